/* SPDX-License-Identifier: Apache-2.0 */
/* Max and average pools. Formulas: ONNX MaxPool (with indices, dilation, storage order), AveragePool (19). NaN wins
 * over every number. Ways:
 *
 *   channels  f32 and f16, channels contiguous (nhwc, views of it) or the lanes of a block (Nchw2n, nChw8c): up to 8 of
 *             them (16 bytes) per thread
 *   strips    f32 and f16, rows of whole vectors of 8 or 16 bytes, windows of 2x2 and 3x3 at stride 1 or 2: a thread reads one
 *             vector and its neighbours in each row of the window
 *   pixels    f32 and f16, any other strides: 1, 2 or 4 neighbouring results of a row per thread
 *   each      other dtypes, other blocks, indices, three and more spatial axes: any layout
 *
 * Channels and pixels have kernels of 2x2 and 3x3 unrolled, without dilation, the latter at strides 1 and 2. They read an
 * element once from memory and the other times from the caches; the goal is 80 % of the copy bandwidth
 * (bench/results/cuda_kernels.txt). Global pools are reductions (reduce.cu). */
#include "backends/cuda/pool_fast.cuh"
#include <gie/window.h>

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

/* Side of the unrolled kernels; 0: loops. */
static int side_of(const struct pool_args *a)
{
  bool square = a->kernel_h == a->kernel_w && a->dilation_h == 1 && a->dilation_w == 1;
  return square && (a->kernel_h == 2 || a->kernel_h == 3) ? a->kernel_h : 0;
}

template <class T, int V, bool average>
static void launch_channels(const struct pool *p, const T *x, T *y, cudaStream_t stream)
{
  struct pool_args a = p->args;
  a.channels = cuda_div_by(uint32_t(p->channels / V));
  a.n = uint32_t(p->images * p->out_h * p->out_w * (p->channels / V));
  unsigned blocks = (a.n + 255) / 256;
  if (side_of(&a) == 3 && a.stride_h == 1 && a.stride_w == 1 &&
      a.n >= 1u << 18) {             /* else more threads are better */
    constexpr int Q = V > 4 ? 4 : V; /* 16 vectors are kept: shorter ones leave room for more threads */
    a.channels = cuda_div_by(uint32_t(p->channels / Q));
    a.width = cuda_div_by((p->out_w + 1) / 2);
    a.height = cuda_div_by((p->out_h + 1) / 2);
    a.n = uint32_t(p->images * (p->channels / Q)) * a.width.d * a.height.d;
    pool_quads<T, Q, average><<<(a.n + 255) / 256, 256, 0, stream>>>(a, x, y);
    return;
  }
  switch (side_of(&a)) {
  case 2:
    pool_channels<T, V, average, 2><<<blocks, 256, 0, stream>>>(a, x, y);
    break;
  case 3:
    pool_channels<T, V, average, 3><<<blocks, 256, 0, stream>>>(a, x, y);
    break;
  default:
    pool_channels<T, V, average, 0><<<blocks, 256, 0, stream>>>(a, x, y);
  }
}

template <class T, bool average, int K, int S, int W>
static void launch_pixels(const struct pool *p, const T *x, T *y, cudaStream_t stream)
{
  struct pool_args a = p->args;
  uint32_t groups = (p->out_w + W - 1) / W;
  a.channels = cuda_div_by(uint32_t(p->channels));
  a.width = cuda_div_by(groups);
  a.n = uint32_t(p->images * p->channels * p->out_h * groups);
  pool_pixels<T, average, K, S, W><<<(a.n + 255) / 256, 256, 0, stream>>>(a, x, y);
}

template <class T, bool average, int K, int S, int L, int V>
static void launch_strips(const struct pool *p, const T *x, T *y, cudaStream_t stream)
{
  struct pool_args a = p->args;
  a.channels = cuda_div_by(uint32_t(p->channels));
  a.width = cuda_div_by(p->out_w / (V / S));
  a.n = uint32_t(p->images * p->channels * p->out_h * a.width.d);
  pool_strips<T, average, K, S, L, V><<<(a.n + 255) / 256, 256, 0, stream>>>(a, x, y);
}

/* Whether rows are vectors of v elements, and the results of each are too. */
static bool strips_fit(const struct pool *p, const void *x, const void *y, int v)
{
  const struct pool_args *a = &p->args;
  const int s = a->stride_w, size = p->half ? 2 : 4, w = v / s;
  uint64_t in = uint64_t(a->xn | a->xc | a->xh), out = uint64_t(a->yn | a->yc | a->yh);
  return a->xw == 1 && a->yw == 1 && a->in_w % v == 0 && a->out_w % w == 0 && a->out_w * s == a->in_w &&
         in % uint64_t(v) == 0 && out % uint64_t(w) == 0 && uintptr_t(x) % uintptr_t(v * size) == 0 &&
         uintptr_t(y) % uintptr_t(w * size) == 0;
}

/* false: not this way. */
template <class T, bool average, int V>
static bool choose_strips(const struct pool *p, const T *x, T *y, cudaStream_t stream)
{
  const struct pool_args *a = &p->args;
  bool same = a->stride_h == a->stride_w && a->stride_w <= 2 && a->left <= 1;
  if (!same || !strips_fit(p, x, y, V))
    return false;
#define STRIPS_CASE(k, s, l)                                \
  case k * 100 + s * 10 + l:                                \
    launch_strips<T, average, k, s, l, V>(p, x, y, stream); \
    return true;
  switch (side_of(a) * 100 + a->stride_w * 10 + a->left) {
    STRIPS_CASE(2, 2, 0)
    STRIPS_CASE(3, 1, 1)
    STRIPS_CASE(3, 2, 0)
    STRIPS_CASE(3, 2, 1)
  default:
    return false;
  }
#undef STRIPS_CASE
}

template <class T, bool average>
static void choose_pixels(const struct pool *p, const T *x, T *y, cudaStream_t stream)
{
  const struct pool_args *a = &p->args;
  bool same = a->stride_h == a->stride_w && a->stride_w <= 2;
  if (choose_strips<T, average, 16 / sizeof(T)>(p, x, y, stream) ||
      (sizeof(T) == 2 && choose_strips<T, average, 4>(p, x, y, stream)))
    return;
  switch (same ? side_of(a) * 10 + a->stride_w : 0) {
  case 21:
    return launch_pixels<T, average, 2, 1, 4>(p, x, y, stream);
  case 22:
    return launch_pixels<T, average, 2, 2, 2>(p, x, y, stream);
  case 31:
    return launch_pixels<T, average, 3, 1, 4>(p, x, y, stream);
  case 32:
    return launch_pixels<T, average, 3, 2, 2>(p, x, y, stream);
  default:
    return launch_pixels<T, average, 0, 0, 1>(p, x, y, stream);
  }
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

template <class T, bool average> static void launch_fast(const struct pool *p, const struct gie_launch *l)
{
  const T *x = static_cast<const T *>(l->in[0]);
  T *y = static_cast<T *>(l->out[0]);
  cudaStream_t stream = gie_cuda_stream(l);
  bool much = p->images * p->out_h * p->out_w * p->channels >= 1 << 20; /* else more threads are better */
  if (!p->along_channels)
    return choose_pixels<T, average>(p, x, y, stream);
  if (sizeof(T) == 2 && vectors_fit(p, l, 8) && much)
    return launch_channels < T, sizeof(T) == 2 ? 8 : 4, average > (p, x, y, stream);
  if (vectors_fit(p, l, 4) && (much || sizeof(T) == 2))
    return launch_channels<T, 4, average>(p, x, y, stream);
  if (vectors_fit(p, l, 2))
    return launch_channels<T, 2, average>(p, x, y, stream);
  return launch_channels<T, 1, average>(p, x, y, stream);
}

template <class T> static void choose(const struct pool *p, const struct gie_launch *l)
{
  p->args.average ? launch_fast<T, true>(p, l) : launch_fast<T, false>(p, l);
}

static gie_status pool_run(void *instance, const struct gie_launch *l)
{
  const struct pool *p = static_cast<const struct pool *>(instance);
  if (p->fast) {
    p->half ? choose<__half>(p, l) : choose<float>(p, l);
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

/* Strides of a tensor as images, channels, rows and columns. The lanes of a block become the channels, and what else
 * images and channels there are becomes the images, if they have one stride. */
struct planes {
  int64_t images, channels, n, c, h, w;
};

static bool planes_of(const struct gie_desc *d, struct planes *p)
{
  int64_t blocks[2] = {d->dim[0], d->dim[1]};
  int lanes = d->layout.block > 1 ? d->layout.block_axis : -1, last = d->rank - 1;
  *p = {d->dim[0], d->dim[1], d->stride[0], d->stride[1], d->rank == 4 ? d->stride[2] : 0, d->stride[last]};
  if (lanes < 0)
    return true;
  if (lanes > 1 || d->dim[lanes] % d->layout.block != 0)
    return false;
  blocks[lanes] /= d->layout.block;
  if (blocks[0] > 1 && blocks[1] > 1 && d->stride[0] != d->stride[1] * blocks[1])
    return false;
  p->images = blocks[0] * blocks[1];
  p->channels = d->layout.block;
  p->n = blocks[1] > 1 ? d->stride[1] : d->stride[0];
  p->c = 1;
  return true;
}

static bool same_blocks(const struct gie_desc *a, const struct gie_desc *b)
{
  bool blocked = a->layout.block > 1 || b->layout.block > 1;
  return !blocked || (a->layout.block == b->layout.block && a->layout.block_axis == b->layout.block_axis);
}

/* Two spatial axes (or one, as a single row) of f32 or f16; extents and counts that fit. */
static bool make_fast(struct pool *w, const struct gie_problem *p, const struct gie_window *win)
{
  const struct gie_desc *x = &p->in[0], *y = &p->out[0];
  struct pool_args *a = &w->args;
  struct planes px, py;
  int64_t most = int64_t(1) << 30;
  int h = win->n == 2 ? 0 : -1, v = win->n - 1;
  if (win->n > 2 || has_indices(p) || x->dtype != y->dtype || (x->dtype != GIE_F32 && x->dtype != GIE_F16) ||
      gie_desc_count(y) >= most || gie_desc_count(y) == 0 || gie_desc_count(x) == 0 || !planes_of(x, &px) ||
      !planes_of(y, &py) || px.images != py.images || px.channels != py.channels || !same_blocks(x, y))
    return false;
  for (int i = 0; i < win->n; i++)
    if (gie_window_span(win, i) > most || win->in[i] + win->pad_begin[i] + win->pad_end[i] > most ||
        win->out[i] * win->stride[i] > most)
      return false;
  a->in_h = h < 0 ? 1 : int(win->in[h]);
  a->in_w = int(win->in[v]);
  if (px.h * a->in_h >= most || px.w * a->in_w >= most)
    return false;
  a->kernel_h = h < 0 ? 1 : int(win->kernel[h]);
  a->stride_h = h < 0 ? 1 : int(win->stride[h]);
  a->dilation_h = h < 0 ? 1 : int(win->dilation[h]);
  a->top = h < 0 ? 0 : int(win->pad_begin[h]);
  a->bottom = h < 0 ? 0 : int(win->pad_end[h]);
  a->kernel_w = int(win->kernel[v]);
  a->stride_w = int(win->stride[v]);
  a->dilation_w = int(win->dilation[v]);
  a->left = int(win->pad_begin[v]);
  a->right = int(win->pad_end[v]);
  a->average = w->value.average;
  a->include_pad = w->value.include_pad;
  a->xn = px.n, a->xc = px.c, a->xh = px.h, a->xw = px.w;
  a->yn = py.n, a->yc = py.c, a->yh = py.h, a->yw = py.w;
  w->out_h = h < 0 ? 1 : uint32_t(win->out[h]);
  w->out_w = uint32_t(win->out[v]);
  a->out_h = int(w->out_h);
  a->out_w = int(w->out_w);
  a->height = cuda_div_by(w->out_h);
  a->width = cuda_div_by(w->out_w);
  w->images = px.images;
  w->channels = px.channels;
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
