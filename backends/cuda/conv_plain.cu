/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution, transposed convolution and matrix products that take everything: any strides and layout, group,
 * dilation, 1 to 6 spatial axes, operands computed or constant. One thread per result, f32 sums in the order of the
 * taps. Made to be right; conv.cu is made to be fast.
 *
 * A transposed convolution gathers: result o meets x element (o + pad - f*dilation) / stride of every tap f
 * for which that is whole. */
#include "backends/cuda/common.h"

#include <cuda_fp16.h>
#include <gie/cuda_steps.h>
#include <gie/window.h>

#define THREADS 128

/* ---- Device: convolution -------------------------------------------------------------------------- */

/* Element (n, c, s[]) with one axis possibly in blocks: 0 n, 1 c, 2 … the spatial ones; block 1: none is. */
template <int S> struct plain_tensor {
  int64_t n, c, s[S];
  int32_t block_axis, block;
};

template <int S> struct plain_conv {
  const void *x, *w, *bias;
  void *y;
  plain_tensor<S> tx, tw, ty;
  int64_t count; /* elements of y with the pad lanes of a blocked axis */
  int64_t images, channels, out[S], lanes_n, lanes_c, lanes[S]; /* of y; the latter with pad lanes */
  int64_t in[S], kernel[S], stride[S], dilation[S], pad[S], taps;
  int64_t c_per, k_per, bias_stride; /* channels of a group */
  int32_t bias_block;
  bool half_y, transposed, channels_last; /* the last says in which order threads go through y */
};

static __device__ __forceinline__ float plain_float(float x) { return x; }
static __device__ __forceinline__ float plain_float(__half x) { return __half2float(x); }
static __device__ __forceinline__ void plain_store(void *y, int64_t at, bool half, float x)
{
  if (half)
    static_cast<__half *>(y)[at] = __float2half_rn(x);
  else
    static_cast<float *>(y)[at] = x;
}

static __device__ __forceinline__ int64_t plain_step(int64_t i, int64_t stride, bool blocked, int32_t block)
{
  return blocked ? i / block * stride + i % block : i * stride;
}

template <int S>
static __device__ __forceinline__ int64_t plain_at(const plain_tensor<S> &t, int64_t n, const int64_t (&s)[S])
{
  int64_t at = plain_step(n, t.n, t.block_axis == 0, t.block);
#pragma unroll
  for (int i = 0; i < S; i++)
    at += plain_step(s[i], t.s[i], t.block_axis == 2 + i, t.block);
  return at;
}

template <int S> static __device__ __forceinline__ int64_t plain_channel(const plain_tensor<S> &t, int64_t c)
{
  return plain_step(c, t.c, t.block_axis == 1, t.block);
}

/* The x element that tap number `tap` of the result at `o` reads; false: none. Sets the tap's position too. */
template <int S>
static __device__ __forceinline__ bool plain_reach(const plain_conv<S> &a, const int64_t (&o)[S], int64_t tap,
                                                   int64_t (&f)[S], int64_t (&x)[S])
{
  bool in = true;
#pragma unroll
  for (int i = S - 1; i >= 0; i--) {
    f[i] = tap % a.kernel[i];
    tap /= a.kernel[i];
    if (a.transposed) {
      int64_t q = o[i] + a.pad[i] - f[i] * a.dilation[i];
      x[i] = q / a.stride[i];
      in = in && q >= 0 && q % a.stride[i] == 0;
    } else {
      x[i] = o[i] * a.stride[i] - a.pad[i] + f[i] * a.dilation[i];
    }
    in = in && x[i] >= 0 && x[i] < a.in[i];
  }
  return in;
}

template <class T, int S>
static __device__ float plain_sum(const plain_conv<S> &a, int64_t n, int64_t k, const int64_t (&o)[S])
{
  int64_t group = k / a.k_per, local = k - group * a.k_per, first = group * a.c_per;
  float sum = 0;
  for (int64_t tap = 0; tap < a.taps; tap++) {
    int64_t f[S], at[S];
    if (!plain_reach<S>(a, o, tap, f, at))
      continue;
    const T *x = static_cast<const T *>(a.x) + plain_at<S>(a.tx, n, at);
    const T *w = static_cast<const T *>(a.w);
    if (a.transposed) { /* w is [C][K/group] */
      w += plain_at<S>(a.tw, 0, f) + plain_channel<S>(a.tw, local);
      for (int64_t c = first; c < first + a.c_per; c++)
        sum = fmaf(plain_float(x[plain_channel<S>(a.tx, c)]),
                   plain_float(w[plain_step(c, a.tw.n, a.tw.block_axis == 0, a.tw.block)]), sum);
    } else {
      w += plain_at<S>(a.tw, k, f);
      for (int64_t c = 0; c < a.c_per; c++)
        sum = fmaf(plain_float(x[plain_channel<S>(a.tx, first + c)]),
                   plain_float(w[plain_channel<S>(a.tw, c)]), sum);
    }
  }
  return sum;
}

template <class T, int S>
static __global__ void __launch_bounds__(THREADS)
    plain_conv_run(const __grid_constant__ plain_conv<S> a, const __grid_constant__ gie_cuda_steps steps)
{
  for (int64_t i = blockIdx.x * static_cast<int64_t>(THREADS) + threadIdx.x; i < a.count;
       i += gridDim.x * static_cast<int64_t>(THREADS)) {
    int64_t rest = i, k = 0, pixel = 0, o[S];
    bool lane = false;
    if (a.channels_last) {
      k = rest % a.lanes_c;
      rest /= a.lanes_c;
    }
#pragma unroll
    for (int s = S - 1; s >= 0; s--) {
      o[s] = rest % a.lanes[s];
      rest /= a.lanes[s];
      lane = lane || o[s] >= a.out[s];
    }
    if (!a.channels_last) {
      k = rest % a.lanes_c;
      rest /= a.lanes_c;
    }
    int64_t y = plain_at<S>(a.ty, rest, o) + plain_channel<S>(a.ty, k);
    if (lane || k >= a.channels || rest >= a.images) { /* who writes a blocked result fills its last block */
      plain_store(a.y, y, a.half_y, 0.0f);
      continue;
    }
    float sum = plain_sum<T, S>(a, rest, k, o);
    if (a.bias)
      sum += plain_float(
          static_cast<const T *>(a.bias)[plain_step(k, a.bias_stride, a.bias_block > 1, a.bias_block)]);
#pragma unroll
    for (int s = 0; s < S; s++)
      pixel = pixel * a.out[s] + o[s];
    plain_store(a.y, y, a.half_y, gie_cuda_steps_apply(steps, sum, rest, k, pixel));
  }
}

/* ---- Device: matrix products ------------------------------------------------------------------------- */

/* Result element idx[] is the product of the row of A and the column of B that begin at the sum of idx[i]*stride[i]. */
struct plain_product {
  const void *a, *b, *bias;
  void *y;
  int32_t rank;
  int64_t count, taps, columns, a_k, b_k; /* columns: the last axis */
  int64_t dim[GIE_MAX_RANK], to_a[GIE_MAX_RANK], to_b[GIE_MAX_RANK], to_bias[GIE_MAX_RANK],
      to_y[GIE_MAX_RANK];
  float alpha, beta;
  bool half_y;
};

template <class T>
static __global__ void __launch_bounds__(THREADS)
    plain_product_run(const __grid_constant__ plain_product v, const __grid_constant__ gie_cuda_steps steps)
{
  for (int64_t i = blockIdx.x * static_cast<int64_t>(THREADS) + threadIdx.x; i < v.count;
       i += gridDim.x * static_cast<int64_t>(THREADS)) {
    int64_t rest = i, a = 0, b = 0, c = 0, y = 0;
    float sum = 0;
    for (int r = v.rank - 1; r >= 0; r--) {
      int64_t at = rest % v.dim[r];
      rest /= v.dim[r];
      a += at * v.to_a[r];
      b += at * v.to_b[r];
      c += at * v.to_bias[r];
      y += at * v.to_y[r];
    }
    for (int64_t k = 0; k < v.taps; k++)
      sum = fmaf(plain_float(static_cast<const T *>(v.a)[a + k * v.a_k]),
                 plain_float(static_cast<const T *>(v.b)[b + k * v.b_k]), sum);
    sum *= v.alpha;
    if (v.bias)
      sum = fmaf(v.beta, plain_float(static_cast<const T *>(v.bias)[c]), sum);
    plain_store(v.y, y, v.half_y, gie_cuda_steps_apply(steps, sum, i / v.columns, i % v.columns, 0));
  }
}

/* ---- run ------------------------------------------------------------------------------------------------ */

struct plain_instance {
  struct gie_context *ctx;
  struct gie_cuda_steps steps;
  gie_status (*launch)(const struct plain_instance *v, const struct gie_launch *l);
  bool has_bias, half;
  int64_t count;
  union {
    plain_conv<2> conv2;
    plain_conv<3> conv3;
    plain_conv<6> conv6;
    plain_product product;
  };
};

static unsigned blocks_of(int64_t count)
{
  int64_t blocks = (count + THREADS - 1) / THREADS;
  return (unsigned)(blocks < (1 << 20) ? blocks : (1 << 20));
}

template <int S>
static gie_status launch_conv(const struct plain_instance *v, const struct gie_launch *l, plain_conv<S> a)
{
  struct gie_cuda_steps steps = v->steps;
  gie_cuda_steps_bind(&steps, l);
  a.x = l->in[0];
  a.w = l->in[1];
  a.bias = v->has_bias ? l->in[2] : NULL;
  a.y = l->out[0];
  if (v->half)
    plain_conv_run<__half, S><<<blocks_of(a.count), THREADS, 0, gie_cuda_stream(l)>>>(a, steps);
  else
    plain_conv_run<float, S><<<blocks_of(a.count), THREADS, 0, gie_cuda_stream(l)>>>(a, steps);
  return gie_cuda_launched(l->ctx, "launching a convolution");
}

static gie_status launch_conv2(const struct plain_instance *v, const struct gie_launch *l)
{
  return launch_conv<2>(v, l, v->conv2);
}
static gie_status launch_conv3(const struct plain_instance *v, const struct gie_launch *l)
{
  return launch_conv<3>(v, l, v->conv3);
}
static gie_status launch_conv6(const struct plain_instance *v, const struct gie_launch *l)
{
  return launch_conv<6>(v, l, v->conv6);
}

static gie_status launch_product(const struct plain_instance *v, const struct gie_launch *l)
{
  struct plain_product a = v->product;
  struct gie_cuda_steps steps = v->steps;
  gie_cuda_steps_bind(&steps, l);
  a.a = l->in[0];
  a.b = l->in[1];
  a.bias = v->has_bias ? l->in[2] : NULL;
  a.y = l->out[0];
  if (v->half)
    plain_product_run<__half><<<blocks_of(a.count), THREADS, 0, gie_cuda_stream(l)>>>(a, steps);
  else
    plain_product_run<float><<<blocks_of(a.count), THREADS, 0, gie_cuda_stream(l)>>>(a, steps);
  return gie_cuda_launched(l->ctx, "launching a matrix product");
}

static gie_status run(void *instance, const struct gie_launch *l)
{
  const struct plain_instance *v = (const struct plain_instance *)instance;
  return v->count == 0 ? GIE_OK : v->launch(v, l);
}

/* ---- supports --------------------------------------------------------------------------------------------- */

static bool refuse(char *why, size_t size, const char *text)
{
  snprintf(why, size, "%s", text);
  return false;
}

static bool has_operand(const struct gie_problem *p, uint32_t i)
{
  return i < p->node->n_operands && p->in[i].dtype != GIE_DTYPE_NONE;
}

static bool dtypes_fit(const struct gie_problem *p, char *why, size_t size)
{
  enum gie_dtype t = p->in[0].dtype;
  if (t != GIE_F32 && t != GIE_F16)
    return refuse(why, size, "neither f32 nor f16");
  if (p->out[0].dtype != GIE_F32 && p->out[0].dtype != GIE_F16)
    return refuse(why, size, "a result that is neither f32 nor f16");
  if (p->in[1].dtype != t || (has_operand(p, 2) && p->in[2].dtype != t))
    return refuse(why, size, "operands of different dtypes");
  return true;
}

static bool is_transposed(const struct gie_problem *p)
{
  return strcmp(p->node->op->name, "conv_transpose") == 0;
}

static bool read_window(const struct gie_problem *p, struct gie_window *w, const char **why)
{
  int n = p->in[0].rank - 2;
  return is_transposed(p) ? gie_window_read_transpose(p->node, n, p->in[0].dim + 2, p->in[1].dim + 2, w, why)
                          : gie_window_read(p->node, n, p->in[0].dim + 2, p->in[1].dim + 2, w, why);
}

static bool conv_supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size)
{
  const struct gie_desc *x = &p->in[0], *w = &p->in[1], *y = &p->out[0];
  int64_t group = gie_node_int(p->node, "group");
  bool transposed = is_transposed(p);
  struct gie_window win;
  struct gie_cuda_steps steps;
  const char *reason;
  (void)k;
  if (!dtypes_fit(p, why, size))
    return false;
  if (x->rank < 3 || w->rank != x->rank || y->rank != x->rank)
    return refuse(why, size, "x, w and the result need one rank of 3 or more");
  if (group < 1 || x->dim[1] % group || y->dim[1] % group)
    return refuse(why, size, "channels do not divide by the group");
  if (w->dim[0] != (transposed ? x : y)->dim[1] || w->dim[1] != (transposed ? y : x)->dim[1] / group)
    return refuse(why, size, "w does not have the channels of x and the result");
  if (has_operand(p, 2) && (p->in[2].rank != 1 || p->in[2].dim[0] != y->dim[1]))
    return refuse(why, size, "b is not one number per output channel");
  if (!read_window(p, &win, &reason))
    return refuse(why, size, reason);
  for (int i = 0; i < win.n; i++)
    if (win.out[i] != y->dim[2 + i])
      return refuse(why, size, "the result does not have the window's extents");
  return gie_cuda_steps_make(p, p->node->n_steps, &steps, why, size);
}

/* ---- create: convolutions ----------------------------------------------------------------------------------- */

/* Spatial axes are aligned at the last; the ones in front have extent 1. */
template <int S> static plain_tensor<S> tensor_of(const struct gie_desc *d)
{
  plain_tensor<S> t = {};
  int front = S - (d->rank - 2);
  bool blocked = d->layout.block > 1;
  t.n = d->stride[0];
  t.c = d->stride[1];
  for (int i = 2; i < d->rank; i++)
    t.s[front + i - 2] = d->stride[i];
  t.block = blocked ? d->layout.block : 1;
  t.block_axis = !blocked                   ? -1
                 : d->layout.block_axis < 2 ? d->layout.block_axis
                                            : front + d->layout.block_axis;
  return t;
}

static int64_t lanes_of(const struct gie_desc *d, int axis)
{
  int64_t block = d->layout.block;
  return block > 1 && d->layout.block_axis == axis ? (d->dim[axis] + block - 1) / block * block
                                                   : d->dim[axis];
}

/* false: too many elements to count. */
template <int S>
static bool fill_conv(const struct gie_problem *p, const struct gie_window *w, plain_conv<S> *a)
{
  const struct gie_desc *y = &p->out[0];
  int64_t group = gie_node_int(p->node, "group");
  int front = S - w->n;
  memset(a, 0, sizeof *a);
  a->tx = tensor_of<S>(&p->in[0]);
  a->tw = tensor_of<S>(&p->in[1]);
  a->ty = tensor_of<S>(y);
  a->images = y->dim[0];
  a->channels = y->dim[1];
  a->lanes_n = lanes_of(y, 0);
  a->lanes_c = lanes_of(y, 1);
  a->taps = 1;
  bool fits = !__builtin_mul_overflow(a->lanes_n, a->lanes_c, &a->count);
  for (int i = 0; i < S; i++) {
    int j = i - front;
    a->out[i] = j < 0 ? 1 : w->out[j];
    a->lanes[i] = j < 0 ? 1 : lanes_of(y, 2 + j);
    a->in[i] = j < 0 ? 1 : w->in[j];
    a->kernel[i] = j < 0 ? 1 : w->kernel[j];
    a->stride[i] = j < 0 ? 1 : w->stride[j];
    a->dilation[i] = j < 0 ? 1 : w->dilation[j];
    a->pad[i] = j < 0 ? 0 : w->pad_begin[j];
    fits = fits && !__builtin_mul_overflow(a->taps, a->kernel[i], &a->taps) &&
           !__builtin_mul_overflow(a->count, a->lanes[i], &a->count);
  }
  a->c_per = p->in[0].dim[1] / group;
  a->k_per = y->dim[1] / group;
  a->bias_stride = has_operand(p, 2) ? p->in[2].stride[0] : 0;
  a->bias_block = has_operand(p, 2) && p->in[2].layout.block > 1 ? p->in[2].layout.block : 1;
  a->half_y = y->dtype == GIE_F16;
  a->transposed = is_transposed(p);
  a->channels_last = y->stride[1] < y->stride[y->rank - 1];
  return fits;
}

/* What all instances share; freed by the caller on failure. */
static gie_status instance_new(const struct gie_problem *p, const struct gie_variant *variant,
                               struct plain_instance **out)
{
  char why[128];
  struct plain_instance *v = (struct plain_instance *)gie_alloc(p->ctx, 1, sizeof *v);
  if (!v)
    return GIE_E_MEMORY;
  v->ctx = p->ctx;
  v->has_bias = has_operand(p, 2);
  v->half = p->in[0].dtype == GIE_F16;
  v->count = gie_desc_count(&p->out[0]);
  if (!gie_cuda_steps_make(p, variant->n_steps, &v->steps, why, sizeof why)) {
    gie_free(p->ctx, v);
    return gie_fail(p->ctx, GIE_E_UNSUPPORTED, "%s", why);
  }
  *out = v;
  return GIE_OK;
}

static gie_status conv_create(const struct gie_kernel *k, const struct gie_problem *p,
                              const struct gie_variant *variant, void **instance)
{
  struct plain_instance *v;
  struct gie_window w;
  const char *why;
  (void)k;
  if (!read_window(p, &w, &why))
    return gie_fail(p->ctx, GIE_E_SHAPE, "%s", why);
  GIE_TRY(instance_new(p, variant, &v));
  bool fits = w.n <= 2   ? fill_conv<2>(p, &w, &v->conv2)
              : w.n == 3 ? fill_conv<3>(p, &w, &v->conv3)
                         : fill_conv<6>(p, &w, &v->conv6);
  v->launch = w.n <= 2 ? launch_conv2 : w.n == 3 ? launch_conv3 : launch_conv6;
  if (!fits) {
    gie_free(p->ctx, v);
    return gie_fail(p->ctx, GIE_E_LIMIT, "more elements or taps than can be counted");
  }
  *instance = v;
  return GIE_OK;
}

static void destroy(void *instance)
{
  struct plain_instance *v = (struct plain_instance *)instance;
  gie_free(v->ctx, v);
}

/* ---- Matrix products ------------------------------------------------------------------------------------------- */

/* Strides of d per axis of the result, numpy-broadcast over `axes` of them; false: it does not fit. */
static bool broadcast(const struct gie_desc *d, int d_axes, const struct gie_desc *y, int axes,
                      int64_t *stride)
{
  for (int i = 0; i < d_axes; i++) {
    int at = axes - d_axes + i;
    if (at < 0 || (d->dim[i] != 1 && d->dim[i] != y->dim[at]))
      return false;
    stride[at] = d->dim[i] == 1 ? 0 : d->stride[i];
  }
  return true;
}

/* Everything but what the steps and addresses are; a static text when something does not fit. */
static const char *fill_product(const struct gie_problem *p, struct plain_product *v)
{
  const struct gie_desc *a = &p->in[0], *b = &p->in[1], *y = &p->out[0];
  bool gemm = strcmp(p->node->op->name, "gemm") == 0;
  bool flip_a = gemm && gie_node_int(p->node, "trans_a"), flip_b = gemm && gie_node_int(p->node, "trans_b");
  memset(v, 0, sizeof *v);
  if (a->rank < 1 || b->rank < 1 || (gemm && (a->rank != 2 || b->rank != 2)))
    return "operands of a rank that has no product";
  if (a->layout.block > 1 || b->layout.block > 1 || y->layout.block > 1)
    return "a layout with blocks";
  /* axes of the result: batch …, then the rows of A if it has any, then the columns of B */
  int a_k = a->rank == 1 ? 0 : a->rank - 1 - flip_a, b_k = b->rank == 1 ? 0 : b->rank - 2 + flip_b;
  int rows = a->rank > 1, columns = b->rank > 1, batch = y->rank - rows - columns;
  if (batch < 0 || a->dim[a_k] != b->dim[b_k])
    return "operands that do not fit";
  if (!broadcast(a, a->rank - 1 - rows, y, batch, v->to_a) ||
      !broadcast(b, b->rank - 1 - columns, y, batch, v->to_b))
    return "operands that do not broadcast";
  if (rows)
    v->to_a[batch] = a->stride[a->rank - 2 + flip_a];
  if (columns)
    v->to_b[batch + rows] = b->stride[b->rank - 1 - flip_b];
  v->half_y = y->dtype == GIE_F16;
  v->rank = y->rank;
  v->taps = a->dim[a_k];
  v->a_k = a->stride[a_k];
  v->b_k = b->stride[b_k];
  v->columns = y->rank ? y->dim[y->rank - 1] : 1;
  v->columns += v->columns == 0; /* a divisor */
  v->count = gie_desc_count(y);
  for (int i = 0; i < y->rank; i++) {
    v->dim[i] = y->dim[i];
    v->to_y[i] = y->stride[i];
  }
  v->alpha = gemm ? (float)gie_node_float(p->node, "alpha") : 1.0f;
  v->beta = gemm ? (float)gie_node_float(p->node, "beta") : 1.0f;
  if (has_operand(p, 2) &&
      (p->in[2].layout.block > 1 || !broadcast(&p->in[2], p->in[2].rank, y, y->rank, v->to_bias)))
    return "a bias that does not broadcast";
  return NULL;
}

static bool product_supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size)
{
  struct plain_product v;
  struct gie_cuda_steps steps;
  (void)k;
  if (!dtypes_fit(p, why, size))
    return false;
  const char *reason = fill_product(p, &v);
  return reason ? refuse(why, size, reason) : gie_cuda_steps_make(p, p->node->n_steps, &steps, why, size);
}

static gie_status product_create(const struct gie_kernel *k, const struct gie_problem *p,
                                 const struct gie_variant *variant, void **instance)
{
  struct plain_instance *v;
  (void)k;
  GIE_TRY(instance_new(p, variant, &v));
  v->launch = launch_product;
  const char *reason = fill_product(p, &v->product);
  if (reason) {
    gie_free(p->ctx, v);
    return gie_fail(p->ctx, GIE_E_UNSUPPORTED, "%s", reason);
  }
  *instance = v;
  return GIE_OK;
}

/* ---- Tables ------------------------------------------------------------------------------------------------------ */

static uint32_t variants(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *out,
                         uint32_t max)
{
  (void)k, (void)max;
  struct gie_port any = {};
  any.layout.any = true;
  any.pitch = true;
  struct gie_variant *v = &out[0];
  v->n_steps = p->node->n_steps;
  v->in_place = -1;
  v->capture_safe = true;
  v->any_in = v->any_out = any;
  snprintf(v->label, sizeof v->label, "plain");
  return 1;
}

static const char *const conv_ops[] = {"conv", "conv_transpose", NULL};
static const char *const product_ops[] = {"gemm", "matmul", NULL};

static const struct gie_kernel KERNELS[] = {
    {
        .struct_size = sizeof(struct gie_kernel),
        .name = "cuda.conv_plain",
        .device = "cuda",
        .ops = conv_ops,
        .supports = conv_supports,
        .variants = variants,
        .create = conv_create,
        .destroy = destroy,
        .run = run,
        .flags = GIE_KERNEL_REFERENCE,
    },
    {
        .struct_size = sizeof(struct gie_kernel),
        .name = "cuda.product_plain",
        .device = "cuda",
        .ops = product_ops,
        .supports = product_supports,
        .variants = variants,
        .create = product_create,
        .destroy = destroy,
        .run = run,
        .flags = GIE_KERNEL_REFERENCE,
    },
};

extern "C" const struct cuda_family cuda_conv_plain = {KERNELS, sizeof KERNELS / sizeof *KERNELS};
