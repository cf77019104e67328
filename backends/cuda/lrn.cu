/* SPDX-License-Identifier: Apache-2.0 */
/* Local response normalization over channels. Formula: ONNX LRN: x / (bias + alpha/size * s)^beta, s the sum of squares
 * over channels c - floor((size-1)/2) … c + ceil((size-1)/2) that exist. Ways:
 *
 *   runs     f32 and f16, sizes 3, 5 and 7, pixels contiguous: a thread makes 8 channels of 1, 2 or 4 neighbouring pixels, so
 *            that an element is read (8 + size - 1)/8 times
 *   vectors  the same sizes, channels contiguous: a thread makes the channels of 16 bytes; the neighbours come from the first
 *            cache
 *   one      f32 and f16, any size and strides: a thread per result
 *   each     other dtypes and blocks
 *
 * The goal is 80 % of the copy bandwidth for sizes up to 5 (bench/results/cuda_kernels.txt). */
#include "backends/cuda/fast.cuh"
#include "backends/cuda/host.cuh"

#define RUN 8

struct lrn_args {
  uint32_t n;
  struct cuda_div first, second; /* extents of the two inner of: image, channels (or runs of them), pixels */
  int channels, size;
  float alpha, beta, bias; /* alpha: over the size already */
  int64_t xn, xc, xp, yn, yc, yp;
};

/* v^-beta; 0.75 is the usual one. */
__device__ __forceinline__ float power(float v, float beta)
{
  if (beta != 0.75f)
    return powf(v, -beta);
  float root = cuda_rsqrt(v);
  return root * cuda_sqrt(root);
}

/* Number: image, run of channels, V pixels. */
template <class T, int S, int V>
__global__ void __launch_bounds__(256)
    lrn_runs(const __grid_constant__ lrn_args a, const T *__restrict__ x, T *__restrict__ y)
{
  uint32_t i = blockIdx.x * 256 + threadIdx.x;
  if (i >= a.n)
    return;
  uint32_t q = cuda_quotient(a.first, i), p = (i - q * a.first.d) * V;
  uint32_t n = cuda_quotient(a.second, q);
  int c0 = int(q - n * a.second.d) * RUN;
  const T *from = x + n * a.xn + p * a.xp + (c0 - (S - 1) / 2) * a.xc;
  T *to = y + n * a.yn + p * a.yp + c0 * a.yc;
  float e[RUN + S - 1][V];
#pragma unroll
  for (int k = 0; k < RUN + S - 1; k++) {
    int c = c0 + k - (S - 1) / 2;
    if (c >= 0 && c < a.channels)
      cuda_load_v<T, V>(from + k * a.xc, e[k]);
    else
#pragma unroll
      for (int v = 0; v < V; v++)
        e[k][v] = 0.0f;
  }
#pragma unroll
  for (int k = 0; k < RUN; k++) {
    float r[V];
#pragma unroll
    for (int v = 0; v < V; v++) {
      float s = 0;
#pragma unroll
      for (int j = 0; j < S; j++)
        s = fmaf(e[k + j][v], e[k + j][v], s);
      r[v] = e[k + (S - 1) / 2][v] * power(fmaf(a.alpha, s, a.bias), a.beta);
    }
    if (c0 + k < a.channels)
      cuda_store_v<T, V>(to + k * a.yc, r);
  }
}

/* Number: image, pixel, V channels. */
template <class T, int S, int V>
__global__ void __launch_bounds__(256)
    lrn_vectors(const __grid_constant__ lrn_args a, const T *__restrict__ x, T *__restrict__ y)
{
  constexpr int L = (S - 1) / 2;
  uint32_t i = blockIdx.x * 256 + threadIdx.x;
  if (i >= a.n)
    return;
  uint32_t q = cuda_quotient(a.first, i);
  int c = int(i - q * a.first.d) * V;
  uint32_t n = cuda_quotient(a.second, q), p = q - n * a.second.d;
  const T *from = x + n * a.xn + p * a.xp + c;
  float e[V + S - 1], r[V];
  cuda_load_v<T, V>(from, r);
#pragma unroll
  for (int k = 0; k < L; k++) {
    e[k] = c + k >= L ? cuda_to_float(from[k - L]) : 0.0f;
    e[L + V + k] = c + V + k < a.channels ? cuda_to_float(from[V + k]) : 0.0f;
  }
#pragma unroll
  for (int v = 0; v < V; v++)
    e[L + v] = r[v];
#pragma unroll
  for (int v = 0; v < V; v++) {
    float s = 0;
#pragma unroll
    for (int j = 0; j < S; j++)
      s = fmaf(e[v + j], e[v + j], s);
    r[v] *= power(fmaf(a.alpha, s, a.bias), a.beta);
  }
  cuda_store_v<T, V>(y + n * a.yn + p * a.yp + c, r);
}

/* Number: image, then channel and pixel, the contiguous one last. */
template <class T, bool channels_last>
__global__ void __launch_bounds__(256)
    lrn_one(const __grid_constant__ lrn_args a, const T *__restrict__ x, T *__restrict__ y)
{
  uint32_t i = blockIdx.x * 256 + threadIdx.x;
  if (i >= a.n)
    return;
  uint32_t q = cuda_quotient(a.first, i), inner = i - q * a.first.d;
  uint32_t n = cuda_quotient(a.second, q), outer = q - n * a.second.d;
  int c = int(channels_last ? inner : outer);
  uint32_t p = channels_last ? outer : inner;
  const T *from = x + n * a.xn + p * a.xp;
  int begin = c - (a.size - 1) / 2, end = c + a.size / 2 + 1;
  float s = 0;
  begin = begin < 0 ? 0 : begin;
  end = end > a.channels ? a.channels : end;
#pragma unroll 5
  for (int k = begin; k < end; k++) {
    float v = cuda_to_float(from[k * a.xc]);
    s = fmaf(v, v, s);
  }
  float v = cuda_to_float(from[c * a.xc]) * power(fmaf(a.alpha, s, a.bias), a.beta);
  y[n * a.yn + c * a.yc + p * a.yp] = cuda_from_float<T>(v);
}

struct lrn_each {
  struct cuda_tensor out, in;
  struct cuda_order order;
  int64_t size;
  double alpha, beta, bias;
  __device__ void operator()(const int64_t *idx) const
  {
    int64_t at[GIE_MAX_RANK], end = idx[1] + size / 2 + 1;
    double s = 0;
    for (int i = 0; i < in.rank; i++)
      at[i] = idx[i];
    at[1] = idx[1] - (size - 1) / 2;
    for (at[1] = at[1] < 0 ? 0 : at[1]; at[1] < end && at[1] < in.dim[1]; at[1]++) {
      double v = cuda_read(in, at).f;
      s += v * v;
    }
    struct cuda_number n = {cuda_read(in, idx).f / pow(bias + alpha / double(size) * s, beta), 0};
    cuda_store(out.dtype, out.data + cuda_offset(out, idx), n);
  }
};

/* ---- An instance */

struct lrn {
  struct gie_context *ctx;
  bool fast, half;
  uint32_t images, pixels;
  struct lrn_args args;
  struct lrn_each each;
};

/* Whether vectors of v elements along an axis of that stride lie at multiples of their size, where a step of any other
 * stride goes. */
static bool fits(const struct lrn_args &a, const void *x, const void *y, int v, size_t size,
                 bool along_channels)
{
  uint64_t bytes = uint64_t(v) * size,
           others = uint64_t(a.xn | a.yn | (along_channels ? a.xp | a.yp : a.xc | a.yc)) * size;
  bool dense = along_channels ? a.xc == 1 && a.yc == 1 : a.xp == 1 && a.yp == 1;
  return v == 1 || (dense && (others | uintptr_t(x) | uintptr_t(y)) % bytes == 0);
}

template <class T, int S>
static void launch_runs(const struct lrn *w, struct lrn_args a, const T *x, T *y, cudaStream_t stream)
{
  uint32_t runs = (uint32_t(a.channels) + RUN - 1) / RUN;
  auto fit = [&](uint32_t v) { return w->pixels % v == 0 && fits(a, x, y, int(v), sizeof(T), false); };
  uint32_t v = sizeof(T) == 2 && fit(4) ? 4 : fit(2) ? 2 : 1;
  a.first = cuda_div_by(w->pixels / v);
  a.second = cuda_div_by(runs);
  a.n = w->images * runs * (w->pixels / v);
  unsigned blocks = (a.n + 255) / 256;
  if (v == 4)
    lrn_runs<T, S, 4><<<blocks, 256, 0, stream>>>(a, x, y);
  else if (v == 2)
    lrn_runs<T, S, 2><<<blocks, 256, 0, stream>>>(a, x, y);
  else
    lrn_runs<T, S, 1><<<blocks, 256, 0, stream>>>(a, x, y);
}

template <class T, int S>
static void launch_vectors(const struct lrn *w, struct lrn_args a, const T *x, T *y, cudaStream_t stream)
{
  constexpr int V = 16 / sizeof(T);
  a.first = cuda_div_by(uint32_t(a.channels) / V);
  a.second = cuda_div_by(w->pixels);
  a.n = w->images * (uint32_t(a.channels) / V) * w->pixels;
  lrn_vectors<T, S, V><<<(a.n + 255) / 256, 256, 0, stream>>>(a, x, y);
}

template <class T> static void launch(const struct lrn *w, const struct gie_launch *l)
{
  struct lrn_args a = w->args;
  const T *x = static_cast<const T *>(l->in[0]);
  T *y = static_cast<T *>(l->out[0]);
  cudaStream_t stream = gie_cuda_stream(l);
  constexpr int V = 16 / sizeof(T);
  bool last = a.xc == 1 && w->pixels > 1, vectors = a.channels % V == 0 && fits(a, x, y, V, sizeof(T), true);
#define SIZE_CASE(s)                                   \
  case s:                                              \
    if (last && vectors)                               \
      return launch_vectors<T, s>(w, a, x, y, stream); \
    if (!last)                                         \
      return launch_runs<T, s>(w, a, x, y, stream);    \
    break;
  switch (a.size) {
    SIZE_CASE(3)
    SIZE_CASE(5)
    SIZE_CASE(7)
  default:
    break;
  }
#undef SIZE_CASE
  a.first = cuda_div_by(last ? uint32_t(a.channels) : w->pixels);
  a.second = cuda_div_by(last ? w->pixels : uint32_t(a.channels));
  a.n = w->images * uint32_t(a.channels) * w->pixels;
  if (last)
    lrn_one<T, true><<<(a.n + 255) / 256, 256, 0, stream>>>(a, x, y);
  else
    lrn_one<T, false><<<(a.n + 255) / 256, 256, 0, stream>>>(a, x, y);
}

static gie_status lrn_run(void *instance, const struct gie_launch *l)
{
  const struct lrn *w = static_cast<const struct lrn *>(instance);
  if (w->fast) {
    w->half ? launch<__half>(w, l) : launch<float>(w, l);
    return gie_cuda_launched(l->ctx, "launching an lrn");
  }
  struct lrn_each f = w->each;
  f.in.data = static_cast<char *>(l->in[0]);
  f.out.data = static_cast<char *>(l->out[0]);
  return cuda_run_each(f, l, "launching an lrn");
}

/* ---- The kernel */

static bool lrn_supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size)
{
  int64_t n = gie_node_int(p->node, "size");
  if (p->in[0].rank < 2 || n < 1 || n > INT32_MAX)
    return cuda_refuse(why, size, "needs a channel axis and a size from 1 to 2^31-1");
  return true;
}

static uint32_t lrn_variants(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *out,
                             uint32_t max)
{
  const struct cuda_follow all = {1, 1};
  return cuda_variants_any(p, 0, all, -1, out, max);
}

static void lrn_estimate(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                         struct gie_cost *out)
{
  out->bytes = cuda_bytes(p->in, 1) + cuda_bytes(p->out, 1);
  out->flops = (2 * double(gie_node_int(p->node, "size")) + 10) * double(gie_desc_count(&p->in[0]));
}

static bool make_fast(struct lrn *w, const struct gie_problem *p)
{
  const struct gie_desc *x = &p->in[0], *y = &p->out[0];
  struct gie_cuda_tensor tx, ty;
  struct lrn_args *a = &w->args;
  if ((x->dtype != GIE_F32 && x->dtype != GIE_F16) || y->dtype != x->dtype ||
      gie_desc_count(x) >= int64_t(1) << 31 || gie_desc_count(x) == 0 ||
      !gie_cuda_tensor_make(x, y, 1, &tx) || !gie_cuda_tensor_make(y, y, 1, &ty))
    return false;
  a->channels = int(tx.c);
  a->xn = tx.stride_n;
  a->xc = tx.stride_c;
  a->xp = tx.stride_p;
  a->yn = ty.stride_n;
  a->yc = ty.stride_c;
  a->yp = ty.stride_p;
  w->images = uint32_t(tx.n);
  w->pixels = uint32_t(tx.p);
  w->half = x->dtype == GIE_F16;
  return true;
}

static gie_status lrn_create(const struct gie_kernel *k, const struct gie_problem *p,
                             const struct gie_variant *v, void **instance)
{
  struct lrn *w = cuda_instance<struct lrn>(p->ctx);
  if (!w)
    return GIE_E_MEMORY;
  w->each.in = cuda_tensor_of(&p->in[0]);
  w->each.out = cuda_tensor_of(&p->out[0]);
  w->each.order = cuda_order_of(w->each.out);
  w->each.size = gie_node_int(p->node, "size");
  w->each.alpha = gie_node_float(p->node, "alpha");
  w->each.beta = gie_node_float(p->node, "beta");
  w->each.bias = gie_node_float(p->node, "bias");
  w->args.size = int(w->each.size);
  w->args.alpha = float(w->each.alpha / double(w->each.size));
  w->args.beta = float(w->each.beta);
  w->args.bias = float(w->each.bias);
  w->fast = make_fast(w, p);
  *instance = w;
  return GIE_OK;
}

static const char *const ops[] = {"lrn", nullptr};
static const struct gie_kernel KERNELS[] = {{.struct_size = sizeof(struct gie_kernel),
                                             .name = "cuda.lrn",
                                             .device = "cuda",
                                             .ops = ops,
                                             .supports = lrn_supports,
                                             .variants = lrn_variants,
                                             .estimate = lrn_estimate,
                                             .create = lrn_create,
                                             .destroy = cuda_destroy<struct lrn>,
                                             .run = lrn_run}};
const struct cuda_family cuda_lrn = {KERNELS, 1};
