/* SPDX-License-Identifier: Apache-2.0 */
/* Pointwise ops of any number of operands, broadcast to the result (numpy rules); more than two are folded from the
 * left. batch_norm is one of them: its parameters broadcast along axis 1. Two ways:
 *
 *   vectors  f32 and f16 (mixed too), functions of gie/cuda_steps.h, computed in f32: 1 to 8 elements per thread along
 *            the innermost axis after joining axes, up to 16 bytes per access. Should reach 80 % of the copy bandwidth.
 *   each     everything else (integers, f64, bf16, comparisons, blocks with pad lanes): one element at a time with the
 *            rules of the reference. */
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

/* ---- An instance */

struct pointwise {
  struct gie_context *ctx;
  bool vectors;
  struct cuda_loop<OPERANDS + 1> loop;
  struct pointwise_args args; /* what does not depend on addresses */
  struct pointwise_each each;
};

/* Whether vectors of v elements fit tensor t (0: result) of the loop. */
static bool fits(const struct pointwise *p, int t, int v, int size, const void *address)
{
  const struct cuda_loop<OPERANDS + 1> *l = &p->loop;
  int64_t bytes = v * size < 16 ? v * size : 16;
  bool repeated = t > 0 && l->stride[t][0] == 0;
  if (v == 1 || repeated)
    return true;
  if (l->stride[t][0] != 1 || uintptr_t(address) % uintptr_t(bytes) != 0)
    return false;
  for (int i = 1; i < l->rank; i++)
    if (l->stride[t][i] * size % bytes != 0)
      return false;
  return true;
}

static bool all_fit(const struct pointwise *p, const struct pointwise_args *a, int v)
{
  if (p->loop.dim[0] % v != 0 || !fits(p, 0, v, a->out_half ? 2 : 4, a->out))
    return false;
  for (int i = 0; i < a->n_in; i++)
    if (!fits(p, i + 1, v, a->in[i].half ? 2 : 4, a->in[i].data))
      return false;
  return true;
}

template <int V> static void launch(const struct pointwise *p, struct pointwise_args *a, cudaStream_t stream)
{
  a->n = uint32_t(p->loop.count / V);
  a->div[0] = cuda_div_by(uint32_t(p->loop.dim[0] / V));
  unsigned blocks = (a->n + 255) / 256;
  if (a->n_in == 1)
    pointwise_vectors<V, 1><<<blocks, 256, 0, stream>>>(*a);
  else if (a->op == EACH_BATCH_NORM)
    pointwise_vectors<V, BATCH_NORM_OPERANDS><<<blocks, 256, 0, stream>>>(*a);
  else if (a->n_in == 2)
    pointwise_vectors<V, 2><<<blocks, 256, 0, stream>>>(*a);
  else
    pointwise_vectors<V, 0><<<blocks, 256, 0, stream>>>(*a);
}

static gie_status pointwise_run(void *instance, const struct gie_launch *l)
{
  const struct pointwise *p = static_cast<const struct pointwise *>(instance);
  cudaStream_t stream = gie_cuda_stream(l);
  if (!p->vectors) {
    struct pointwise_each f = p->each;
    f.out.data = static_cast<char *>(l->out[0]);
    for (int i = 0; i < f.n_in; i++)
      f.in[i].data = static_cast<char *>(l->in[i]);
    return cuda_run_each(f, l, "launching a pointwise kernel");
  }
  struct pointwise_args a = p->args;
  bool half = a.out_half;
  a.out = static_cast<char *>(l->out[0]);
  for (int i = 0; i < a.n_in; i++) {
    a.in[i].data = static_cast<const char *>(l->in[i]);
    half = half || a.in[i].half;
  }
  if (p->loop.count == 0)
    return GIE_OK;
  if (half && all_fit(p, &a, 8))
    launch<8>(p, &a, stream);
  else if (all_fit(p, &a, 4))
    launch<4>(p, &a, stream);
  else if (all_fit(p, &a, 2))
    launch<2>(p, &a, stream);
  else
    launch<1>(p, &a, stream);
  return gie_cuda_launched(l->ctx, "launching a pointwise kernel");
}

/* ---- The kernel */

/* Number of the function; -1: none. */
static int op_of(const struct gie_node *n, struct gie_cuda_step *step)
{
  static const struct name {
    const char *op;
    int number;
  } NAMES[] = {{"equal", EACH_EQUAL},
               {"greater", EACH_GREATER},
               {"less", EACH_LESS},
               {"not", EACH_NOT},
               {"where", EACH_WHERE},
               {"sum", EACH_SUM},
               {"batch_norm", EACH_BATCH_NORM}};
  for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
    if (strcmp(NAMES[i].op, n->op->name) == 0)
      return NAMES[i].number;
  return gie_cuda_step_read(n->op, &n->attrs, step) ? step->op : -1;
}

/* batch_norm's parameters: one number per channel. */
static bool batch_norm_fits(const struct gie_problem *p, char *why, size_t size)
{
  if (p->node->n_operands != BATCH_NORM_OPERANDS || p->in[0].rank < 2)
    return cuda_refuse(why, size, "no channel axis");
  for (uint32_t i = 1; i < BATCH_NORM_OPERANDS; i++)
    if (p->in[i].rank != 1 || p->in[i].dim[0] != p->in[0].dim[1] || gie_dtype_class(p->in[i].dtype) != 'f')
      return cuda_refuse(why, size, "operand %u is not one float per channel", i);
  return true;
}

static bool pointwise_supports(const struct gie_kernel *k, const struct gie_problem *p, char *why,
                               size_t size)
{
  struct gie_cuda_step step;
  int op = op_of(p->node, &step);
  if (op < 0 || p->n_out != 1 || p->n_in == 0)
    return cuda_refuse(why, size, "no pointwise function");
  if (op == EACH_BATCH_NORM)
    return batch_norm_fits(p, why, size);
  if (p->node->n_operands > OPERANDS)
    return cuda_refuse(why, size, "more than %d operands", OPERANDS);
  for (uint32_t i = 0; i < p->node->n_operands; i++) {
    const struct gie_desc *d = &p->in[i], *to = &p->out[0];
    bool free_dtype = op == GIE_CUDA_STEP_POW || (op == EACH_WHERE && i == 0);
    if (d->dtype != p->in[op == EACH_WHERE ? 1 : 0].dtype && !free_dtype)
      return cuda_refuse(why, size, "operands of different dtypes");
    if (d->rank > to->rank)
      return cuda_refuse(why, size, "operand %u has more axes than the result", i);
    for (int a = 0; a < d->rank; a++)
      if (d->dim[a] != 1 && d->dim[a] != to->dim[a + to->rank - d->rank])
        return cuda_refuse(why, size, "operand %u does not broadcast to the result", i);
  }
  if (op == EACH_WHERE && (p->in[0].dtype != GIE_BOOL || p->node->n_operands != 3))
    return cuda_refuse(why, size, "the condition is not bool");
  return true;
}

static uint32_t pointwise_variants(const struct gie_kernel *k, const struct gie_problem *p,
                                   struct gie_variant *out, uint32_t max)
{
  const bool batch_norm = strcmp(p->node->op->name, "batch_norm") == 0; /* its parameters stay f32 */
  const struct cuda_follow all = {batch_norm ? 1 : ~0ull, ~0ull};
  bool where = strcmp(p->node->op->name, "where") == 0, same = p->in[0].dtype == p->out[0].dtype;
  bool in_place = !where && same && gie_desc_count(&p->in[0]) == gie_desc_count(&p->out[0]);
  return cuda_variants_any(p, where ? 1 : 0, all, in_place ? 0 : -1, out, max);
}

static void pointwise_estimate(const struct gie_kernel *k, const struct gie_problem *p,
                               const struct gie_variant *v, struct gie_cost *out)
{
  out->bytes = cuda_bytes(p->in, p->node->n_operands) + cuda_bytes(p->out, 1);
  out->flops = 10 * double(gie_desc_count(&p->out[0]));
}

/* Operand i with the dims of the result. */
static struct cuda_tensor operand_of(const struct gie_problem *p, int op, uint32_t i)
{
  struct cuda_tensor to = cuda_tensor_of(&p->out[0]), t = cuda_tensor_of(&p->in[i]), along = t;
  if (op != EACH_BATCH_NORM || i == 0)
    return cuda_broadcast(t, to);
  along.rank = to.rank;
  along.block_axis = t.block_axis < 0 ? -1 : 1;
  for (int k = 0; k < to.rank; k++) {
    along.dim[k] = to.dim[k];
    along.stride[k] = k == 1 ? t.stride[0] : 0;
  }
  return along;
}

/* The joined axes and what else the vectors need; false: not this way. */
static bool make_vectors(struct pointwise *w, const struct gie_problem *p, int op,
                         const struct gie_cuda_step *step)
{
  struct cuda_tensor t[OPERANDS + 1] = {};
  struct pointwise_args *a = &w->args;
  int n = int(p->node->n_operands);
  if (op >= GIE_CUDA_STEP_COUNT && op != EACH_SUM && op != EACH_BATCH_NORM)
    return false;
  for (int i = 0; i <= n; i++) {
    t[i] = i ? operand_of(p, op, uint32_t(i - 1)) : cuda_tensor_of(&p->out[0]);
    if (t[i].dtype != GIE_F32 && t[i].dtype != GIE_F16)
      return false;
  }
  if (!cuda_loop_make<OPERANDS + 1>(t, n + 1, &w->loop) || w->loop.count >= INT64_C(1) << 31)
    return false;
  cuda_loop_merge(&w->loop);
  a->rank = w->loop.rank;
  a->n_in = n;
  a->op = op == EACH_SUM ? GIE_CUDA_STEP_ADD : op;
  if (n == 1 && p->node->op->max_in != 1) /* max(x) alone is x */
    a->op = GIE_CUDA_STEP_IDENTITY;
  a->alpha = op == EACH_BATCH_NORM ? float(gie_node_float(p->node, "epsilon")) : step->alpha;
  a->beta = step->beta;
  a->out_half = t[0].dtype == GIE_F16;
  for (int k = 0; k < a->rank; k++) {
    a->div[k] = cuda_div_by(uint32_t(w->loop.dim[k] ? w->loop.dim[k] : 1));
    a->out_stride[k] = w->loop.stride[0][k];
    for (int i = 0; i < n; i++)
      a->in[i].stride[k] = w->loop.stride[i + 1][k];
  }
  for (int i = 0; i < n; i++)
    a->in[i].half = t[i + 1].dtype == GIE_F16;
  return true;
}

static void make_each(struct pointwise *w, const struct gie_problem *p, int op)
{
  struct pointwise_each *f = &w->each;
  const struct gie_op *o = p->node->op;
  f->out = cuda_tensor_of(&p->out[0]);
  f->order = cuda_order_of(f->out);
  f->n_in = int(p->node->n_operands);
  f->op = f->n_in == 1 && o->max_in != 1 ? GIE_CUDA_STEP_IDENTITY : op;
  bool clip = op == GIE_CUDA_STEP_CLIP, hard = op == GIE_CUDA_STEP_HARD_SIGMOID,
       gelu = op == GIE_CUDA_STEP_GELU;
  const char *first = clip ? "min" : gelu ? "tanh" : op == EACH_BATCH_NORM ? "epsilon" : "alpha";
  f->alpha = gie_attrs_float(&p->node->attrs, o, first);
  f->beta = clip || hard ? gie_attrs_float(&p->node->attrs, o, clip ? "max" : "beta") : 0;
  for (int i = 0; i < f->n_in; i++)
    f->in[i] = operand_of(p, op, uint32_t(i));
}

static gie_status pointwise_create(const struct gie_kernel *k, const struct gie_problem *p,
                                   const struct gie_variant *v, void **instance)
{
  struct gie_cuda_step step = {};
  int op = op_of(p->node, &step);
  struct pointwise *w = cuda_instance<struct pointwise>(p->ctx);
  if (!w)
    return GIE_E_MEMORY;
  w->vectors = make_vectors(w, p, op, &step);
  if (!w->vectors)
    make_each(w, p, op);
  *instance = w;
  return GIE_OK;
}

/* clang-format off */
#define POINTWISE_OPS(X)                                                                                   \
  X(relu) X(leaky_relu) X(clip) X(sigmoid) X(hard_sigmoid) X(hard_swish) X(silu) X(mish) X(gelu) X(tanh)   \
  X(elu) X(softplus) X(sqrt) X(exp) X(log) X(neg) X(abs) X(erf) X(floor) X(ceil) X(not) X(add) X(sub)      \
  X(mul) X(div) X(prelu) X(pow) X(sum) X(max) X(min) X(where) X(equal) X(greater) X(less) X(batch_norm)
/* clang-format on */

#define POINTWISE_ROW(op) CUDA_OP_ROW(op, pointwise)

POINTWISE_OPS(CUDA_OP_NAME)
static const struct gie_kernel KERNELS[] = {POINTWISE_OPS(POINTWISE_ROW)};
const struct cuda_family cuda_pointwise = {KERNELS, sizeof KERNELS / sizeof *KERNELS};
