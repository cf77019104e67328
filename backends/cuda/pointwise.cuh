/* SPDX-License-Identifier: Apache-2.0 */
/* Pointwise ops of any number of operands: what runs on the device. */
#ifndef GIE_BACKENDS_CUDA_POINTWISE_CUH
#define GIE_BACKENDS_CUDA_POINTWISE_CUH

#include "backends/cuda/fast.cuh"
#include "backends/cuda/host.cuh"

#define OPERANDS 8

/* ---- Vectors */

struct pointwise_operand {
  const char *data;
  int half;
  int64_t stride[CUDA_LOOP_AXES]; /* elements; axis 0 innermost */
};

struct pointwise_args {
  uint32_t n; /* vectors */
  int rank, n_in, op, out_half;
  float alpha, beta;
  struct cuda_div div[CUDA_LOOP_AXES];
  char *out;
  int64_t out_stride[CUDA_LOOP_AXES];
  struct pointwise_operand in[OPERANDS];
};

template <int V>
__device__ __forceinline__ void load(const struct pointwise_operand &o, int64_t at, float (&r)[V])
{
  if (V > 1 && o.stride[0] == 0) {
    float one = o.half ? __half2float(reinterpret_cast<const __half *>(o.data)[at])
                       : reinterpret_cast<const float *>(o.data)[at];
#pragma unroll
    for (int v = 0; v < V; v++)
      r[v] = one;
  } else if (o.half) {
    cuda_load_v<__half, V>(reinterpret_cast<const __half *>(o.data) + at, r);
  } else {
    cuda_load_v<float, V>(reinterpret_cast<const float *>(o.data) + at, r);
  }
}

/* Functions that networks have on large tensors, in few instructions: beside exact sums they are right to a unit of f32 of the
 * greatest result, and to less than half a unit of f16 in each. */
__device__ __forceinline__ float short_sigmoid(float x) { return cuda_reciprocal(1.0f + cuda_exp(-x)); }
__device__ __forceinline__ float short_silu(float x)
{
  return x == -INFINITY ? 0.0f : x * cuda_reciprocal(1.0f + cuda_exp(-x));
}

/* x Phi(x) for a result in f16. erfc(z) e^(z^2) is a polynomial of 1/(1 + z/2) for z >= 0 (interpolated at Chebyshev's points;
 * relative error 1.7e-5). */
__device__ __forceinline__ float short_gelu(float x)
{
  float t = cuda_reciprocal(fmaf(0.35355339f, fabsf(x), 1.0f)); /* z is |x|/sqrt(2); half of erfc */
  float q = fmaf(t, -0.103162546f, 0.284305429f);
  q = fmaf(t, q, 0.00464564962f);
  q = fmaf(t, q, 0.178944900f);
  q = fmaf(t, q, 0.134856001f);
  q = fmaf(t, q, 0.000407493047f);
  float tail = q * cuda_exp2(x * x * -0.72134752f);
  return x == -INFINITY ? 0.0f : x * (x < 0.0f ? tail : 1.0f - tail);
}

/* r = op(r, y) for the function that the whole grid runs. */
template <int V, int N>
__device__ __forceinline__ void fold(const struct pointwise_args &a, float (&r)[V], const float (&y)[V])
{
  /* the long ones of one operand, in line: a call per element would cost more than the memory */
#define LONG_CASE(name)                                                       \
  case GIE_CUDA_STEP_##name:                                                  \
    _Pragma("unroll") for (int v = 0; v < V; v++)                             \
        r[v] = gie_cuda_step_long(GIE_CUDA_STEP_##name, r[v], 0.0f, a.alpha); \
    return;
#define SHORT_CASE(name, f)                                       \
  case GIE_CUDA_STEP_##name:                                      \
    _Pragma("unroll") for (int v = 0; v < V; v++) r[v] = f(r[v]); \
    return;
  if (N == 1 && a.op == GIE_CUDA_STEP_GELU && a.out_half && a.alpha == 0.0f) {
#pragma unroll
    for (int v = 0; v < V; v++)
      r[v] = short_gelu(r[v]);
    return;
  }
  if (N == 1)
    switch (a.op) {
      SHORT_CASE(SIGMOID, short_sigmoid)
      SHORT_CASE(SILU, short_silu)
      LONG_CASE(MISH)
      LONG_CASE(GELU)
      LONG_CASE(TANH)
      LONG_CASE(ELU)
      LONG_CASE(SOFTPLUS)
      LONG_CASE(SQRT)
      LONG_CASE(EXP)
      LONG_CASE(LOG)
      LONG_CASE(NEG)
      LONG_CASE(ABS)
      LONG_CASE(ERF)
      LONG_CASE(FLOOR)
      LONG_CASE(CEIL)
    default:
      break;
    }
  if (N == 2 && a.op == GIE_CUDA_STEP_DIV) {
#pragma unroll
    for (int v = 0; v < V; v++)
      r[v] = r[v] / y[v];
    return;
  }
#undef LONG_CASE
#undef SHORT_CASE
  struct gie_cuda_step s;
  s.op = uint8_t(a.op);
  s.reverse = 0;
  s.alpha = a.alpha;
  s.beta = a.beta;
  gie_cuda_step_v<V>(s, r, y);
}

#define BATCH_NORM_OPERANDS 5 /* x, scale, bias, mean, var */

/* N: operands, 0 for any number; BATCH_NORM_OPERANDS is batch_norm, where alpha is epsilon. */
template <int V, int N>
__global__ void __launch_bounds__(256) pointwise_vectors(const __grid_constant__ pointwise_args a)
{
  uint32_t i = blockIdx.x * 256 + threadIdx.x;
  const int operands = N ? N : a.n_in;
  int64_t at[N ? N : OPERANDS] = {}, to = 0;
  float r[V], y[V] = {};
  if (i >= a.n)
    return;
  for (int k = 0; k < a.rank; k++) {
    uint32_t q = k < a.rank - 1 ? cuda_quotient(a.div[k], i) : 0, c = i - q * a.div[k].d;
    i = q;
    if (k == 0)
      c *= V;
    to += c * a.out_stride[k];
#pragma unroll
    for (int o = 0; o < (N ? N : OPERANDS); o++)
      if (N || o < operands)
        at[o] += c * a.in[o].stride[k];
  }
  load<V>(a.in[0], at[0], r);
  if (N == 1)
    fold<V, N>(a, r, y);
  if (N == BATCH_NORM_OPERANDS) {
    float scale[V], bias[V], mean[V], var[V];
    load<V>(a.in[1], at[1 % (N ? N : 2)], scale);
    load<V>(a.in[2], at[2 % (N ? N : 2)], bias);
    load<V>(a.in[3], at[3 % (N ? N : 2)], mean);
    load<V>(a.in[4], at[4 % (N ? N : 2)], var);
#pragma unroll
    for (int v = 0; v < V; v++)
      r[v] = (r[v] - mean[v]) * (scale[v] * rsqrtf(var[v] + a.alpha)) + bias[v];
  }
#pragma unroll
  for (int o = N == BATCH_NORM_OPERANDS ? N : 1; o < (N ? N : OPERANDS); o++)
    if (N || o < operands) {
      load<V>(a.in[o], at[o], y);
      fold<V, N>(a, r, y);
    }
  if (a.out_half)
    cuda_store_v<__half, V>(reinterpret_cast<__half *>(a.out) + to, r);
  else
    cuda_store_v<float, V>(reinterpret_cast<float *>(a.out) + to, r);
}

/* ---- Each */

/* Functions that only this way has; the others are those of gie/cuda_steps.h. */
enum each_op {
  EACH_EQUAL = GIE_CUDA_STEP_COUNT,
  EACH_GREATER,
  EACH_LESS,
  EACH_NOT,
  EACH_WHERE,
  EACH_SUM,
  EACH_BATCH_NORM
};

__device__ double clamp01(double x) { return x < 0 ? 0 : x > 1 ? 1 : x; }

__device__ double on_float(int op, double x, double y, double alpha, double beta)
{
  switch (op) {
  case GIE_CUDA_STEP_RELU:
    return x < 0 ? 0 : x;
  case GIE_CUDA_STEP_LEAKY_RELU:
    return x < 0 ? alpha * x : x;
  case GIE_CUDA_STEP_CLIP:
    return x > beta || alpha > beta ? beta : x < alpha ? alpha : x;
  case GIE_CUDA_STEP_SIGMOID:
    return 1 / (1 + exp(-x));
  case GIE_CUDA_STEP_HARD_SIGMOID:
    return clamp01(alpha * x + beta);
  case GIE_CUDA_STEP_HARD_SWISH:
    return x * clamp01(x / 6 + 0.5);
  case GIE_CUDA_STEP_SILU:
    return x == -INFINITY ? 0 : x / (1 + exp(-x));
  case GIE_CUDA_STEP_MISH:
    return x == -INFINITY ? 0 : x * tanh(fmax(x, 0.0) + log1p(exp(-fabs(x))));
  case GIE_CUDA_STEP_GELU:
    if (x == -INFINITY)
      return 0;
    if (alpha != 0)
      return x / (1 + exp(-2 * sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    return x / 2 * erfc(-x * M_SQRT1_2);
  case GIE_CUDA_STEP_TANH:
    return tanh(x);
  case GIE_CUDA_STEP_ELU:
    return x < 0 ? alpha * expm1(x) : x;
  case GIE_CUDA_STEP_SOFTPLUS:
    return isnan(x) ? x : fmax(x, 0.0) + log1p(exp(-fabs(x)));
  case GIE_CUDA_STEP_SQRT:
    return sqrt(x);
  case GIE_CUDA_STEP_EXP:
    return exp(x);
  case GIE_CUDA_STEP_LOG:
    return log(x);
  case GIE_CUDA_STEP_NEG:
    return -x;
  case GIE_CUDA_STEP_ABS:
    return fabs(x);
  case GIE_CUDA_STEP_ERF:
    return erf(x);
  case GIE_CUDA_STEP_FLOOR:
    return floor(x);
  case GIE_CUDA_STEP_CEIL:
    return ceil(x);
  case GIE_CUDA_STEP_ADD:
  case EACH_SUM:
    return x + y;
  case GIE_CUDA_STEP_SUB:
    return x - y;
  case GIE_CUDA_STEP_MUL:
    return x * y;
  case GIE_CUDA_STEP_DIV:
    return x / y;
  case GIE_CUDA_STEP_PRELU:
    return x < 0 ? x * y : x;
  case GIE_CUDA_STEP_MAX:
    return isnan(x) || x > y ? x : y;
  case GIE_CUDA_STEP_MIN:
    return isnan(x) || x < y ? x : y;
  default:
    return x;
  }
}

__device__ bool int_less(int64_t x, int64_t y, bool big) { return big ? uint64_t(x) < uint64_t(y) : x < y; }

/* A divisor of zero gives zero: a kernel cannot report it. */
__device__ int64_t int_quotient(int64_t x, int64_t y, bool big)
{
  if (y == 0)
    return 0;
  if (big)
    return int64_t(uint64_t(x) / uint64_t(y));
  return y == -1 ? int64_t(-uint64_t(x)) : x / y;
}

__device__ int64_t int_power(int64_t base, int64_t exponent, bool negative)
{
  uint64_t r = 1, square = uint64_t(base);
  if (negative)
    return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
  for (uint64_t e = uint64_t(exponent); e; e >>= 1, square *= square)
    if (e & 1)
      r *= square;
  return int64_t(r);
}

__device__ int64_t on_int(int op, int64_t x, int64_t y, double alpha, double beta, int dtype)
{
  const bool big = dtype == GIE_U64;
  switch (op) {
  case GIE_CUDA_STEP_RELU:
    return x < 0 && !big ? 0 : x;
  case GIE_CUDA_STEP_CLIP: {
    int64_t low = cuda_saturate(ceil(alpha), dtype), high = cuda_saturate(floor(beta), dtype);
    x = int_less(x, low, big) ? low : x;
    return int_less(high, x, big) ? high : x;
  }
  case GIE_CUDA_STEP_NEG:
    return int64_t(-uint64_t(x));
  case GIE_CUDA_STEP_ABS:
    return x < 0 && !big ? int64_t(-uint64_t(x)) : x;
  case GIE_CUDA_STEP_ERF:
    return int64_t(erf(big ? double(uint64_t(x)) : double(x)));
  case EACH_NOT:
    return !x;
  case GIE_CUDA_STEP_ADD:
    return int64_t(uint64_t(x) + uint64_t(y));
  case GIE_CUDA_STEP_SUB:
    return int64_t(uint64_t(x) - uint64_t(y));
  case GIE_CUDA_STEP_MUL:
    return int64_t(uint64_t(x) * uint64_t(y));
  case GIE_CUDA_STEP_DIV:
    return int_quotient(x, y, big);
  case GIE_CUDA_STEP_PRELU:
    return x < 0 && !big ? int64_t(uint64_t(x) * uint64_t(y)) : x;
  case GIE_CUDA_STEP_MAX:
    return int_less(x, y, big) ? y : x;
  case GIE_CUDA_STEP_MIN:
    return int_less(y, x, big) ? y : x;
  default:
    return x;
  }
}

struct pointwise_each {
  struct cuda_tensor out, in[OPERANDS];
  struct cuda_order order;
  int n_in, op;
  double alpha, beta;

  __device__ bool compare(const struct cuda_number &x, const struct cuda_number &y) const
  {
    bool real = cuda_is_float(in[0].dtype), big = in[0].dtype == GIE_U64;
    if (op == EACH_EQUAL)
      return real ? x.f == y.f : x.i == y.i;
    if (op == EACH_GREATER)
      return real ? x.f > y.f : int_less(y.i, x.i, big);
    return real ? x.f < y.f : int_less(x.i, y.i, big);
  }

  /* The result has the base's dtype; integers among themselves are exact. */
  __device__ struct cuda_number power(struct cuda_number x, struct cuda_number y) const
  {
    int a = in[0].dtype, b = in[1].dtype;
    if (!cuda_is_float(a) && !cuda_is_float(b)) {
      x.i = cuda_wrap(int_power(x.i, y.i, y.i < 0 && b != GIE_U64), a);
      return x;
    }
    double v = pow(cuda_convert(x, a, GIE_F64).f, cuda_convert(y, b, GIE_F64).f), whole = nearbyint(v);
    if (!cuda_is_float(a) && fabs(v - whole) <= 1e-14 * fabs(whole)) /* 9^0.5 is 3, not just below it */
      v = whole;
    struct cuda_number r = {v, 0};
    return cuda_convert(r, GIE_F64, a);
  }

  __device__ void operator()(const int64_t *idx) const
  {
    struct cuda_number r = cuda_read(in[0], idx), y = {0, 0};
    char *to = out.data + cuda_offset(out, idx);
    int dtype = in[0].dtype;
    if (op == EACH_BATCH_NORM) {
      double scale = cuda_read(in[1], idx).f / sqrt(cuda_read(in[4], idx).f + alpha);
      struct cuda_number n = {(r.f - cuda_read(in[3], idx).f) * scale + cuda_read(in[2], idx).f, 0};
      cuda_store(out.dtype, to, n);
      return;
    }
    if (op == EACH_WHERE) {
      const struct cuda_tensor &t = in[r.i ? 1 : 2];
      cuda_copy_element(to, t.data + cuda_offset(t, idx), out.size);
      return;
    }
    for (int k = n_in > 1 ? 1 : 0; k < n_in; k++) {
      if (k > 0)
        y = cuda_read(in[k], idx);
      if (op >= EACH_EQUAL && op <= EACH_LESS)
        r.i = compare(r, y);
      else if (op == GIE_CUDA_STEP_POW)
        r = power(r, y);
      else if (cuda_is_float(dtype))
        r.f = on_float(op, r.f, y.f, alpha, beta);
      else
        r.i = cuda_wrap(on_int(op, r.i, y.i, alpha, beta, dtype), dtype);
    }
    cuda_store(out.dtype, to, r);
  }
};

#endif
