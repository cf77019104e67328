/* SPDX-License-Identifier: Apache-2.0 */
/* Max and average pools. Formulas: ONNX MaxPool (with indices, dilation, storage order), AveragePool (19). NaN wins
 * over every number. Ways:
 *
 *   channels  f32 and f16, channels contiguous (nhwc, views of it): up to 8 channels (16 bytes) per thread
 *   pixels    f32 and f16, any other strides: a thread per result, neighbouring threads along the last axis
 *   each      other dtypes, blocks, indices, three and more spatial axes: any layout
 *
 * The first two read an element once from memory and the other times from the caches; they should reach 80 % of the copy
 * bandwidth. Global pools are reductions (reduce.cu). */
#include "backends/cuda/host.cuh"
#include <gie/window.h>

/* ---- Two spatial axes, f32 or f16 */

struct pool_args {
  uint32_t n;                              /* results, or vectors of channels */
  struct cuda_div channels, width, height; /* of the result, in the order of the thread's number */
  int in_h, in_w, kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, top, left, bottom, right;
  bool average, include_pad;
  int64_t xn, xc, xh, xw, yn, yc, yh, yw; /* strides */
};

/* Taps of a window that begins at `at`: those inside are first … last-1. */
__device__ __forceinline__ void taps_inside(int at, int dilation, int kernel, int extent, int *first,
                                            int *last)
{
  *first = at < 0 ? (-at + dilation - 1) / dilation : 0;
  int room = extent - at;
  int end = room <= 0 ? 0 : (room + dilation - 1) / dilation;
  *last = end < kernel ? end : kernel;
}

/* What divides the sum: the taps inside, or with include_pad those inside the padded extent. */
__device__ __forceinline__ float divisor(const struct pool_args &a, int y, int x, int inside)
{
  if (!a.include_pad)
    return float(inside);
  int h0, h1, w0, w1;
  taps_inside(y + a.top, a.dilation_h, a.kernel_h, a.in_h + a.top + a.bottom, &h0, &h1);
  taps_inside(x + a.left, a.dilation_w, a.kernel_w, a.in_w + a.left + a.right, &w0, &w1);
  return float((h1 - h0) * (w1 - w0));
}

template <class T, int V>
__device__ __forceinline__ void pool_window(const struct pool_args &a, const T *x, int y0, int x0,
                                            float (&r)[V])
{
  int h0, h1, w0, w1;
  taps_inside(y0, a.dilation_h, a.kernel_h, a.in_h, &h0, &h1);
  taps_inside(x0, a.dilation_w, a.kernel_w, a.in_w, &w0, &w1);
#pragma unroll
  for (int v = 0; v < V; v++)
    r[v] = a.average ? 0.0f : -INFINITY;
  for (int h = h0; h < h1; h++) {
    const T *row = x + int64_t(y0 + h * a.dilation_h) * a.xh + int64_t(x0) * a.xw;
#pragma unroll 4
    for (int w = w0; w < w1; w++) {
      float e[V];
      cuda_load_v<T, V>(row + int64_t(w) * a.dilation_w * a.xw, e);
#pragma unroll
      for (int v = 0; v < V; v++)
        r[v] = a.average ? r[v] + e[v] : e[v] > r[v] || e[v] != e[v] ? e[v] : r[v];
    }
  }
  if (a.average) {
    int inside = h1 > h0 && w1 > w0 ? (h1 - h0) * (w1 - w0) : 0;
    float d = divisor(a, y0, x0, inside);
#pragma unroll
    for (int v = 0; v < V; v++)
      r[v] /= d;
  }
}

/* Number: image, row, column, vector of channels. */
template <class T, int V>
__global__ void __launch_bounds__(256)
    pool_channels(const __grid_constant__ pool_args a, const T *__restrict__ x, T *__restrict__ y)
{
  uint32_t i = blockIdx.x * 256 + threadIdx.x;
  float r[V];
  if (i >= a.n)
    return;
  uint32_t q = cuda_quotient(a.channels, i), c = i - q * a.channels.d;
  uint32_t rows = cuda_quotient(a.width, q), ow = q - rows * a.width.d;
  uint32_t n = cuda_quotient(a.height, rows), oh = rows - n * a.height.d;
  pool_window<T, V>(a, x + n * a.xn + c * V, int(oh) * a.stride_h - a.top, int(ow) * a.stride_w - a.left, r);
  cuda_store_v<T, V>(y + n * a.yn + oh * a.yh + ow * a.yw + c * V, r);
}

/* Number: image, channel, row, column. */
template <class T>
__global__ void __launch_bounds__(256)
    pool_pixels(const __grid_constant__ pool_args a, const T *__restrict__ x, T *__restrict__ y)
{
  uint32_t i = blockIdx.x * 256 + threadIdx.x;
  float r[1];
  if (i >= a.n)
    return;
  uint32_t q = cuda_quotient(a.width, i), ow = i - q * a.width.d;
  uint32_t plane = cuda_quotient(a.height, q), oh = q - plane * a.height.d;
  uint32_t n = cuda_quotient(a.channels, plane), c = plane - n * a.channels.d;
  pool_window<T, 1>(a, x + n * a.xn + c * a.xc, int(oh) * a.stride_h - a.top, int(ow) * a.stride_w - a.left,
                    r);
  cuda_store_v<T, 1>(y + n * a.yn + c * a.yc + oh * a.yh + ow * a.yw, r);
}

/* ---- Each */

struct pool_each {
  struct cuda_tensor out, in; /* out: the values, or the indices */
  struct cuda_order order;
  struct gie_window win;
  bool average, include_pad, column_major, indices;

  __device__ int64_t number(const int64_t *at) const
  {
    int64_t n = 0, plane = 1;
    for (int i = 0; i < win.n; i++) {
      int a = column_major ? win.n - 1 - i : i;
      n = n * win.in[a] + at[2 + a];
      plane *= win.in[a];
    }
    return (at[0] * in.dim[1] + at[1]) * plane + n;
  }

  __device__ void operator()(const int64_t *idx) const
  {
    int64_t f[GIE_MAX_SPATIAL] = {0}, at[GIE_MAX_RANK], best = 0, count = 0;
    double r = 0;
    int i;
    at[0] = idx[0];
    at[1] = idx[1];
    do {
      bool inside = true, counts = include_pad;
      for (int k = 0; k < win.n; k++) {
        at[2 + k] = idx[2 + k] * win.stride[k] - win.pad_begin[k] + f[k] * win.dilation[k];
        inside = inside && at[2 + k] >= 0 && at[2 + k] < win.in[k];
        counts = counts && at[2 + k] < win.in[k] + win.pad_end[k];
      }
      if (inside) {
        struct cuda_number n = cuda_read(in, at);
        double x = cuda_is_float(in.dtype) ? n.f : double(n.i);
        if (average)
          r += x;
        else if (count == 0 || x > r || (isnan(x) && !isnan(r))) {
          r = x;
          best = indices ? number(at) : 0;
        }
      }
      count += inside || counts;
      for (i = win.n - 1; i >= 0 && ++f[i] == win.kernel[i]; i--)
        f[i] = 0;
    } while (i >= 0);
    struct cuda_number n = {average ? r / double(count) : count ? r : -INFINITY, best};
    if (!indices && !cuda_is_float(out.dtype))
      n.i = cuda_saturate(n.f, out.dtype);
    cuda_store(out.dtype, out.data + cuda_offset(out, idx), n);
  }
};

/* ---- An instance */

struct pool {
  struct gie_context *ctx;
  bool fast, half, along_channels;
  int64_t images, channels;
  uint32_t out_h, out_w;
  struct pool_args args;
  struct pool_each value, index;
};

template <class T, int V> static void launch_channels(const struct pool *p, const struct gie_launch *l)
{
  struct pool_args a = p->args;
  a.channels = cuda_div_by(uint32_t(p->channels / V));
  a.n = uint32_t(p->images * p->out_h * p->out_w * (p->channels / V));
  pool_channels<T, V><<<(a.n + 255) / 256, 256, 0, gie_cuda_stream(l)>>>(a, static_cast<const T *>(l->in[0]),
                                                                         static_cast<T *>(l->out[0]));
}

/* Whether vectors of v channels lie at multiples of their size in both tensors. */
static bool vectors_fit(const struct pool *p, const struct gie_launch *l, int v)
{
  const struct pool_args *a = &p->args;
  int64_t size = p->half ? 2 : 4, bytes = v * size;
  uint64_t all = uint64_t(a->xn | a->xh | a->xw | a->yn | a->yh | a->yw) * uint64_t(size) |
                 uintptr_t(l->in[0]) | uintptr_t(l->out[0]);
  return p->channels % v == 0 && all % uint64_t(bytes) == 0;
}

template <class T> static void launch_fast(const struct pool *p, const struct gie_launch *l)
{
  struct pool_args a = p->args;
  if (p->along_channels && sizeof(T) == 2 && vectors_fit(p, l, 8) &&
      p->images * p->out_h * p->out_w * p->channels >= 1 << 20)
    return launch_channels < T, sizeof(T) == 2 ? 8 : 4 > (p, l);
  if (p->along_channels && vectors_fit(p, l, 4))
    return launch_channels<T, 4>(p, l);
  if (p->along_channels && vectors_fit(p, l, 2))
    return launch_channels<T, 2>(p, l);
  if (p->along_channels)
    return launch_channels<T, 1>(p, l);
  a.channels = cuda_div_by(uint32_t(p->channels));
  a.n = uint32_t(p->images * p->channels * p->out_h * p->out_w);
  pool_pixels<T><<<(a.n + 255) / 256, 256, 0, gie_cuda_stream(l)>>>(a, static_cast<const T *>(l->in[0]),
                                                                    static_cast<T *>(l->out[0]));
}

static gie_status pool_run(void *instance, const struct gie_launch *l)
{
  const struct pool *p = static_cast<const struct pool *>(instance);
  if (p->fast) {
    p->half ? launch_fast<__half>(p, l) : launch_fast<float>(p, l);
    return gie_cuda_launched(l->ctx, "launching a pool");
  }
  struct pool_each f = p->value;
  f.in.data = static_cast<char *>(l->in[0]);
  f.out.data = static_cast<char *>(l->out[0]);
  GIE_TRY(cuda_run_each(f, l, "launching a pool"));
  if (!p->index.indices || !l->out[1])
    return GIE_OK;
  f = p->index;
  f.in.data = static_cast<char *>(l->in[0]);
  f.out.data = static_cast<char *>(l->out[1]);
  return cuda_run_each(f, l, "launching a pool");
}

/* ---- The kernel */

static bool read_window(const struct gie_problem *p, struct gie_window *win, char *why, size_t size)
{
  int64_t kernel[GIE_MAX_SPATIAL];
  const char *reason;
  const struct gie_attr *given = gie_attrs_find(&p->node->attrs, "kernel");
  if (p->in[0].rank < 3 || p->out[0].rank != p->in[0].rank || !given ||
      given->n != uint32_t(p->in[0].rank) - 2)
    return cuda_refuse(why, size, "kernel does not have one entry per spatial axis");
  gie_node_ints(p->node, "kernel", kernel, GIE_MAX_SPATIAL, 1);
  if (!gie_window_read(p->node, p->in[0].rank - 2, p->in[0].dim + 2, kernel, win, &reason))
    return cuda_refuse(why, size, "%s", reason);
  for (int i = 0; i < win->n; i++)
    if (win->out[i] != p->out[0].dim[2 + i])
      return cuda_refuse(why, size, "the result's axis %d is %lld, the window gives %lld", 2 + i,
                         (long long)p->out[0].dim[2 + i], (long long)win->out[i]);
  return true;
}

static bool pool_supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size)
{
  struct gie_window win;
  return read_window(p, &win, why, size);
}

static uint32_t pool_variants(const struct gie_kernel *k, const struct gie_problem *p,
                              struct gie_variant *out, uint32_t max)
{
  const struct cuda_follow first = {1, 1};
  return cuda_variants_any(p, 0, first, -1, out, max);
}

static void pool_estimate(const struct gie_kernel *k, const struct gie_problem *p,
                          const struct gie_variant *v, struct gie_cost *out)
{
  double taps = 1;
  struct gie_window win;
  if (read_window(p, &win, nullptr, 0))
    for (int i = 0; i < win.n; i++)
      taps *= double(win.kernel[i]);
  out->bytes = cuda_bytes(p->in, 1) + cuda_bytes(p->out, p->n_out);
  out->flops = taps * double(gie_desc_count(&p->out[0]));
}

static bool has_indices(const struct gie_problem *p) { return p->n_out > 1 && p->out[1].dtype == GIE_I64; }

/* Two spatial axes (or one, as a single row) of f32 or f16 without blocks; extents and counts that fit. */
static bool make_fast(struct pool *w, const struct gie_problem *p, const struct gie_window *win)
{
  const struct gie_desc *x = &p->in[0], *y = &p->out[0];
  struct pool_args *a = &w->args;
  int64_t most = int64_t(1) << 30;
  int last = x->rank - 1, h = win->n == 2 ? 0 : -1, v = win->n - 1;
  if (win->n > 2 || x->layout.block > 1 || y->layout.block > 1 || has_indices(p) || x->dtype != y->dtype ||
      (x->dtype != GIE_F32 && x->dtype != GIE_F16) || gie_desc_count(y) >= most || gie_desc_count(y) == 0 ||
      gie_desc_count(x) == 0)
    return false;
  for (int i = 0; i < win->n; i++)
    if (gie_window_span(win, i) > most || win->in[i] + win->pad_begin[i] + win->pad_end[i] > most ||
        win->out[i] * win->stride[i] > most)
      return false;
  a->in_h = h < 0 ? 1 : int(win->in[h]);
  a->kernel_h = h < 0 ? 1 : int(win->kernel[h]);
  a->stride_h = h < 0 ? 1 : int(win->stride[h]);
  a->dilation_h = h < 0 ? 1 : int(win->dilation[h]);
  a->top = h < 0 ? 0 : int(win->pad_begin[h]);
  a->bottom = h < 0 ? 0 : int(win->pad_end[h]);
  a->in_w = int(win->in[v]);
  a->kernel_w = int(win->kernel[v]);
  a->stride_w = int(win->stride[v]);
  a->dilation_w = int(win->dilation[v]);
  a->left = int(win->pad_begin[v]);
  a->right = int(win->pad_end[v]);
  a->average = w->value.average;
  a->include_pad = w->value.include_pad;
  a->xn = x->stride[0];
  a->xc = x->stride[1];
  a->xh = h < 0 ? 0 : x->stride[2];
  a->xw = x->stride[last];
  a->yn = y->stride[0];
  a->yc = y->stride[1];
  a->yh = h < 0 ? 0 : y->stride[2];
  a->yw = y->stride[last];
  w->out_h = h < 0 ? 1 : uint32_t(win->out[h]);
  w->out_w = uint32_t(win->out[v]);
  a->height = cuda_div_by(w->out_h);
  a->width = cuda_div_by(w->out_w);
  w->images = x->dim[0];
  w->channels = x->dim[1];
  w->half = x->dtype == GIE_F16;
  w->along_channels = a->xc == 1 && a->yc == 1 && a->xw != 1;
  return true;
}

static gie_status pool_create(const struct gie_kernel *k, const struct gie_problem *p,
                              const struct gie_variant *v, void **instance)
{
  struct gie_window win;
  char why[128] = "";
  struct pool *w = cuda_instance<struct pool>(p->ctx);
  if (!w)
    return GIE_E_MEMORY;
  if (!read_window(p, &win, why, sizeof why)) {
    gie_free(p->ctx, w);
    return gie_fail(p->ctx, GIE_E_UNSUPPORTED, "%s", why);
  }
  w->value.average = strcmp(p->node->op->name, "average_pool") == 0;
  w->value.include_pad = w->value.average && gie_node_int(p->node, "count_include_pad");
  w->value.column_major = !w->value.average && gie_node_int(p->node, "storage_order");
  w->value.in = cuda_tensor_of(&p->in[0]);
  w->value.out = cuda_tensor_of(&p->out[0]);
  w->value.order = cuda_order_of(w->value.out);
  w->value.win = win;
  w->fast = make_fast(w, p, &win);
  if (has_indices(p)) {
    w->index = w->value;
    w->index.indices = true;
    w->index.out = cuda_tensor_of(&p->out[1]);
    w->index.order = cuda_order_of(w->index.out);
  }
  *instance = w;
  return GIE_OK;
}

static const char *const max_ops[] = {"max_pool", nullptr}, *const average_ops[] = {"average_pool", nullptr};

#define POOL_KERNEL(kernel_name, kernel_ops)                                                                \
  {                                                                                                         \
    .struct_size = sizeof(struct gie_kernel), .name = kernel_name, .device = "cuda", .ops = kernel_ops,     \
    .supports = pool_supports, .variants = pool_variants, .estimate = pool_estimate, .create = pool_create, \
    .destroy = cuda_destroy<struct pool>, .run = pool_run                                                   \
  }
static const struct gie_kernel KERNELS[] = {POOL_KERNEL("cuda.max_pool", max_ops),
                                            POOL_KERNEL("cuda.average_pool", average_ops)};
const struct cuda_family cuda_pool = {KERNELS, sizeof KERNELS / sizeof *KERNELS};
