/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution (one filter per channel) of f32 and f16 with two spatial axes, with bias and epilogue; sums in f32.
 * Ways, chosen by the layout of x and y:
 *
 *   channels  channels contiguous (nhwc, channel ranges of it): a thread makes V channels (16 or 8 bytes) of W neighbouring
 *             results of a row (or one), so that a loaded element serves up to W taps; weights packed as [tap][channel]
 *   walk      the same for kernels of 3 and 5 at stride 1: a thread goes down a column and keeps weights and sums
 *   strips    pixels contiguous, rows of whole vectors of 8 or 16 bytes, as much padding as result and x are of one size: a
 *             thread makes what one vector gives; weights packed as [channel][tap]
 *   pixels    any other strides: a thread makes 4 (stride 1) or 2 results of a row
 *
 * The first two are variants to be timed. Square kernels of 3, 5 and 7 without dilation are instantiated per stride 1 and 2, the
 * others have loops. For 3x3 the goal is x and y at 80 % of the copy bandwidth; 5x5 in f16 has more arithmetic than that. */
#include "backends/cuda/depthwise.cuh"
#include <gie/window.h>

/* ---- An instance */

struct depthwise {
  struct gie_context *ctx;
  bool half, channels_last, packed_bias, narrow, one, walk;
  int bias; /* operand, or -1 */
  uint32_t images, out_h;
  struct depthwise_args args;
  struct gie_cuda_steps steps;
};

template <class T, int K, int S, int W, int V>
static void launch_channels(const struct depthwise *d, struct depthwise_args a, const gie_cuda_steps &steps,
                            const T *x, T *y, cudaStream_t stream)
{
  uint32_t columns = (uint32_t(a.out_w) + W - 1) / W;
  a.inner = cuda_div_by(uint32_t(a.channels) / V);
  a.columns = cuda_div_by(columns);
  a.rows = cuda_div_by(d->out_h);
  a.n = d->images * d->out_h * columns * (uint32_t(a.channels) / V);
  depthwise_channels<T, K, S, W, V><<<(a.n + 255) / 256, 256, 0, stream>>>(a, steps, x, y);
}

template <class T, int K, int S, int W>
static void launch_pixels(const struct depthwise *d, struct depthwise_args a, const gie_cuda_steps &steps,
                          const T *x, T *y, cudaStream_t stream)
{
  uint32_t columns = (uint32_t(a.out_w) + W - 1) / W;
  a.inner = cuda_div_by(columns);
  a.columns = cuda_div_by(d->out_h);
  a.rows = cuda_div_by(uint32_t(a.channels));
  a.n = d->images * uint32_t(a.channels) * d->out_h * columns;
  depthwise_pixels<T, K, S, W><<<(a.n + 255) / 256, 256, 0, stream>>>(a, steps, x, y);
}

/* Down a column in segments: long ones where there are threads enough all the same. */
template <class T, int K, int W, int V>
static void launch_walk(const struct depthwise *d, struct depthwise_args a, const gie_cuda_steps &steps,
                        const T *x, T *y, cudaStream_t stream)
{
  uint32_t columns = (uint32_t(a.out_w) + W - 1) / W, vectors = uint32_t(a.channels) / V, segments = 1;
  while (uint64_t(d->images) * columns * vectors * segments < 1 << 18 && uint32_t(a.out_h) / segments > 8)
    segments *= 2;
  a.segment = int((uint32_t(a.out_h) + segments - 1) / segments);
  segments = (uint32_t(a.out_h) + uint32_t(a.segment) - 1) / uint32_t(a.segment);
  a.inner = cuda_div_by(vectors);
  a.columns = cuda_div_by(columns);
  a.rows = cuda_div_by(segments);
  a.n = d->images * segments * columns * vectors;
  depthwise_walk<T, K, W, V><<<(a.n + 255) / 256, 256, 0, stream>>>(a, steps, x, y);
}

template <class T, int K, int S, int V>
static void launch_strips(const struct depthwise *d, struct depthwise_args a, const gie_cuda_steps &steps,
                          const T *x, T *y, cudaStream_t stream)
{
  a.inner = cuda_div_by(uint32_t(a.out_w) / (V / S));
  a.columns = cuda_div_by(d->out_h);
  a.rows = cuda_div_by(uint32_t(a.channels));
  a.n = d->images * uint32_t(a.channels) * d->out_h * a.inner.d;
  depthwise_strips<T, K, S, V><<<(a.n + 255) / 256, 256, 0, stream>>>(a, steps, x, y);
}

/* Kernel side and stride of the instantiated kernels; 0, 0: the one with loops. */
static int square_kernel(const struct depthwise_args *a)
{
  bool square = a->kernel_h == a->kernel_w && a->stride_h == a->stride_w && a->dilation_h == 1 &&
                a->dilation_w == 1;
  bool known = (a->kernel_h == 3 || a->kernel_h == 5 || a->kernel_h == 7) &&
               (a->stride_h == 1 || a->stride_h == 2);
  return square && known ? a->kernel_h * 10 + a->stride_h : 0;
}

/* V channels per thread. */
template <class T, int V>
static void choose_channels(const struct depthwise *d, const struct depthwise_args &a,
                            const gie_cuda_steps &s, const T *x, T *y, cudaStream_t t)
{
#define CASE(k, stride, w)                                                \
  case k * 10 + stride:                                                   \
    return d->one ? launch_channels<T, k, stride, 1, V>(d, a, s, x, y, t) \
                  : launch_channels<T, k, stride, w, V>(d, a, s, x, y, t);
  switch (square_kernel(&a)) {
    CASE(3, 1, 4)
    CASE(3, 2, 2)
    CASE(5, 1, 4)
    CASE(5, 2, 2)
    CASE(7, 1, 2)
    CASE(7, 2, 2)
  default:
    return launch_channels<T, 0, 0, 1, V>(d, a, s, x, y, t);
  }
#undef CASE
}

/* Whether rows are vectors of v elements, and the results of each are too. */
static bool strips_fit(const struct depthwise_args *a, const void *x, const void *y, int v, size_t size)
{
  const int s = a->stride_w, w = v / s;
  uint64_t in = uint64_t(a->xn | a->xc | a->xh), out = uint64_t(a->yn | a->yc | a->yh);
  return a->xw == 1 && a->yw == 1 && a->in_w % v == 0 && a->out_w * s == a->in_w &&
         a->left == (a->kernel_w - 1) / 2 && in % uint64_t(v) == 0 && out % uint64_t(w) == 0 &&
         uintptr_t(x) % (size_t(v) * size) == 0 && uintptr_t(y) % (size_t(w) * size) == 0;
}

/* false: not this way. */
template <class T, int V>
static bool choose_strips(const struct depthwise *d, const struct depthwise_args &a, const gie_cuda_steps &s,
                          const T *x, T *y, cudaStream_t t)
{
#define CASE(k, stride)                               \
  case k * 10 + stride:                               \
    launch_strips<T, k, stride, V>(d, a, s, x, y, t); \
    return true;
  if (!strips_fit(&a, x, y, V, sizeof(T)))
    return false;
  switch (square_kernel(&a)) {
    CASE(3, 1)
    CASE(3, 2)
    CASE(5, 1)
    CASE(5, 2)
  default:
    return false;
  }
#undef CASE
}

template <class T>
static void choose_pixels(const struct depthwise *d, const struct depthwise_args &a, const gie_cuda_steps &s,
                          const T *x, T *y, cudaStream_t t)
{
  if (choose_strips<T, 16 / sizeof(T)>(d, a, s, x, y, t) ||
      (sizeof(T) == 2 && choose_strips<T, 4>(d, a, s, x, y, t)))
    return;
#define CASE(k, stride, w) \
  case k * 10 + stride:    \
    return launch_pixels<T, k, stride, w>(d, a, s, x, y, t);
  switch (square_kernel(&a)) {
    CASE(3, 1, 4)
    CASE(3, 2, 2)
    CASE(5, 1, 4)
    CASE(5, 2, 2)
    CASE(7, 1, 2)
    CASE(7, 2, 2)
  default:
    return launch_pixels<T, 0, 0, 1>(d, a, s, x, y, t);
  }
#undef CASE
}

template <class T> static void launch(const struct depthwise *d, const struct gie_launch *l)
{
  struct depthwise_args a = d->args;
  struct gie_cuda_steps steps = d->steps;
  const T *x = static_cast<const T *>(l->in[0]);
  T *y = static_cast<T *>(l->out[0]);
  cudaStream_t stream = gie_cuda_stream(l);
  gie_cuda_steps_bind(&steps, l);
  a.weights = static_cast<const float *>(l->in[1]);
  if (d->bias >= 0 && d->packed_bias)
    a.bias = static_cast<const float *>(l->in[d->bias]);
  else if (d->bias >= 0)
    a.loose_bias = l->in[d->bias];
  if (!d->channels_last)
    return choose_pixels<T>(d, a, steps, x, y, stream);
  constexpr uint64_t SIZE = sizeof(T);
  uint64_t bits = uint64_t(a.xn | a.xh | a.xw | a.yn | a.yh | a.yw) * SIZE | uintptr_t(x) | uintptr_t(y);
  auto fits = [&](int v) { return a.channels % v == 0 && bits % (uint64_t(v) * SIZE) == 0; };
  if (d->walk && square_kernel(&a) == 31 && fits(4))
    return launch_walk<T, 3, 2, 4>(d, a, steps, x, y, stream);
  if (d->walk && square_kernel(&a) == 51 && fits(2))
    return launch_walk<T, 5, 2, 2>(d, a, steps, x, y, stream);
  if (SIZE == 2 && fits(8) && !d->narrow)
    return choose_channels < T, SIZE == 2 ? 8 : 4 > (d, a, steps, x, y, stream);
  if (fits(4) && (SIZE == 2 || !d->narrow))
    return choose_channels<T, 4>(d, a, steps, x, y, stream);
  if (fits(2))
    return choose_channels<T, 2>(d, a, steps, x, y, stream);
  choose_channels<T, 1>(d, a, steps, x, y, stream);
}

static gie_status depthwise_run(void *instance, const struct gie_launch *l)
{
  const struct depthwise *d = static_cast<const struct depthwise *>(instance);
  if (d->images == 0 || d->out_h == 0 || d->args.out_w == 0 || d->args.channels == 0)
    return GIE_OK;
  d->half ? launch<__half>(d, l) : launch<float>(d, l);
  return gie_cuda_launched(l->ctx, "launching a depthwise convolution");
}

/* ---- The kernel */

static bool read_window(const struct gie_problem *p, struct gie_window *win, char *why, size_t size)
{
  const struct gie_desc *x = &p->in[0], *w = &p->in[1], *y = &p->out[0];
  const char *reason;
  if (x->rank != 4 || w->rank != 4 || y->rank != 4)
    return cuda_refuse(why, size, "not two spatial axes");
  if (!gie_window_read(p->node, 2, x->dim + 2, w->dim + 2, win, &reason))
    return cuda_refuse(why, size, "%s", reason);
  if (win->out[0] != y->dim[2] || win->out[1] != y->dim[3])
    return cuda_refuse(why, size, "the window does not give the result's extents");
  return true;
}

static bool depthwise_supports(const struct gie_kernel *k, const struct gie_problem *p, char *why,
                               size_t size)
{
  struct gie_window win;
  struct gie_cuda_steps steps;
  const struct gie_desc *x = &p->in[0], *y = &p->out[0];
  int64_t most = int64_t(1) << 30;
  if (x->dtype != GIE_F32 && x->dtype != GIE_F16)
    return cuda_refuse(why, size, "neither f32 nor f16");
  if (!read_window(p, &win, why, size))
    return false;
  if (gie_node_int(p->node, "group") != x->dim[1] || y->dim[1] != x->dim[1] || p->in[1].dim[0] != x->dim[1])
    return cuda_refuse(why, size, "not one filter per channel");
  if (!p->in_data[1])
    return cuda_refuse(why, size, "the weights are not constant");
  if (gie_desc_count(x) >= most || gie_desc_count(y) >= most || gie_desc_count(&p->in[1]) >= most)
    return cuda_refuse(why, size, "2^30 elements or more");
  for (int i = 0; i < 2; i++)
    if (gie_window_span(&win, i) > most || win.in[i] + win.pad_begin[i] + win.pad_end[i] > most ||
        win.out[i] * win.stride[i] > most)
      return cuda_refuse(why, size, "a window of more than 2^30");
  return gie_cuda_steps_make(p, p->node->n_steps < GIE_CUDA_MAX_STEPS ? p->node->n_steps : GIE_CUDA_MAX_STEPS,
                             &steps, why, size) ||
         gie_cuda_steps_make(p, 0, &steps, why, size);
}

/* As many steps as can be taken. */
static uint32_t steps_taken(const struct gie_problem *p)
{
  struct gie_cuda_steps steps;
  char why[96];
  uint32_t n = p->node->n_steps < GIE_CUDA_MAX_STEPS ? p->node->n_steps : GIE_CUDA_MAX_STEPS;
  while (n > 0 && !gie_cuda_steps_make(p, n, &steps, why, sizeof why))
    n--;
  return n;
}

/* Bits of the configuration; with CONFIG_LAST also how much a thread does: half of 16 bytes of channels, one result, or (alone) a
 * column. */
enum { CONFIG_HALF = 1, CONFIG_LAST = 2, CONFIG_NARROW = 4, CONFIG_ONE = 8, CONFIG_WALK = 16, CONFIGS = 32 };

/* Whether these bits go together and there is such a kernel. */
static bool config_fits(const struct gie_problem *p, uint64_t config)
{
  struct gie_window win;
  if (!(config & CONFIG_WALK))
    return config < CONFIG_NARROW || config & CONFIG_LAST;
  if ((config & ~uint64_t(CONFIG_HALF)) != (CONFIG_WALK | CONFIG_LAST) || !read_window(p, &win, nullptr, 0))
    return false;
  bool square = win.kernel[0] == win.kernel[1] && win.dilation[0] == 1 && win.dilation[1] == 1;
  bool known = win.kernel[0] == 3 || win.kernel[0] == 5;
  return square && known && win.stride[0] == 1 && win.stride[1] == 1;
}

static uint32_t depthwise_variants(const struct gie_kernel *k, const struct gie_problem *p,
                                   struct gie_variant *out, uint32_t max)
{
  static const struct gie_layout NHWC = {4, {0, 2, 3, 1}, 0, 0, false}, NCHW = {};
  bool half = p->in[0].dtype == GIE_F16;
  uint32_t n = 0;
  for (uint64_t config = half ? CONFIG_HALF : 0; config < CONFIGS && n < max; config += half ? 2 : 1) {
    struct gie_variant *v = &out[n];
    bool change = (config & CONFIG_HALF) && !half;
    struct gie_port port = {};
    if (p->n_in > GIE_MAX_IO || !config_fits(p, config))
      continue;
    memset(v, 0, sizeof *v);
    v->struct_size = sizeof *v;
    v->config = config;
    snprintf(v->label, sizeof v->label, "%s%s%s%s%s", config & CONFIG_LAST ? "nhwc" : "nchw",
             config & CONFIG_HALF ? " f16" : "", config & CONFIG_NARROW ? ", 8 bytes" : "",
             config & CONFIG_ONE ? ", 1 result" : "", config & CONFIG_WALK ? ", columns" : "");
    v->n_steps = steps_taken(p);
    v->in_place = -1;
    v->capture_safe = true;
    port.layout = config & CONFIG_LAST ? NHWC : NCHW;
    port.pitch = true;
    v->n_in = p->n_in;
    v->n_out = 1;
    for (uint32_t i = 0; i < p->n_in; i++) {
      /* x and step operands of four axes lie as the result does; weights and bias are plain */
      bool lies = i == 0 || (i >= p->node->n_operands && p->in[i].rank == 4);
      if (lies)
        v->in[i] = port;
      v->in[i].dtype = change && p->in[i].dtype == GIE_F32 ? GIE_F16 : GIE_DTYPE_NONE;
    }
    v->out[0] = port;
    v->out[0].dtype = change && p->out[0].dtype == GIE_F32 ? GIE_F16 : GIE_DTYPE_NONE;
    n++;
  }
  return n;
}

static void depthwise_estimate(const struct gie_kernel *k, const struct gie_problem *p,
                               const struct gie_variant *v, struct gie_cost *out)
{
  double taps = double(p->in[1].dim[2]) * double(p->in[1].dim[3]),
         narrow = v->config & CONFIG_HALF && p->in[0].dtype == GIE_F32 ? 0.5 : 1;
  out->flops = 2 * taps * double(gie_desc_count(&p->out[0]));
  out->bytes = narrow * (cuda_bytes(p->in, p->n_in) + cuda_bytes(p->out, 1));
}

/* Weights as f32: [tap][channel] for channels-last, else [channel][tap]; a constant bias as f32. */
static uint32_t depthwise_pack_desc(const struct gie_kernel *k, const struct gie_problem *p,
                                    const struct gie_variant *v, struct gie_pack *out, uint32_t max)
{
  uint32_t n = 0;
  for (uint32_t i = 1; i < 3 && i < p->node->n_operands && n < max; i++) {
    if (!p->in_data[i] || p->in[i].dtype == GIE_DTYPE_NONE)
      continue;
    out[n].struct_size = sizeof out[n];
    out[n].operand = i;
    out[n].bytes = size_t(gie_desc_count(&p->in[i])) * sizeof(float);
    snprintf(out[n].key, sizeof out[n].key, "cuda.depthwise %s %s",
             i == 2                    ? "bias"
             : v->config & CONFIG_LAST ? "tap,channel"
                                       : "channel,tap",
             gie_dtype_name(p->in[i].dtype));
    n++;
  }
  return n;
}

static gie_status depthwise_pack(const struct gie_kernel *k, const struct gie_problem *p,
                                 const struct gie_variant *v, const struct gie_pack *d, const void *plain,
                                 void *packed)
{
  const struct gie_desc *w = &p->in[d->operand];
  int64_t channels = w->dim[0], taps = d->operand == 1 ? w->dim[2] * w->dim[3] : 1;
  float *to = static_cast<float *>(packed);
  for (int64_t c = 0; c < channels; c++)
    for (int64_t t = 0; t < taps; t++) {
      int64_t at = c * taps + t;
      float e = w->dtype == GIE_F16 ? gie_cuda_half_to_float(static_cast<const uint16_t *>(plain)[at])
                                    : static_cast<const float *>(plain)[at];
      to[v->config & CONFIG_LAST ? t * channels + c : at] = e;
    }
  return GIE_OK;
}

static gie_status depthwise_create(const struct gie_kernel *k, const struct gie_problem *p,
                                   const struct gie_variant *v, void **instance)
{
  const struct gie_desc *x = &p->in[0], *y = &p->out[0];
  struct gie_window win;
  struct gie_cuda_steps steps;
  char why[128] = "";
  if (!read_window(p, &win, why, sizeof why) || !gie_cuda_steps_make(p, v->n_steps, &steps, why, sizeof why))
    return gie_fail(p->ctx, GIE_E_UNSUPPORTED, "%s", why);
  struct depthwise *d = cuda_instance<struct depthwise>(p->ctx);
  if (!d)
    return GIE_E_MEMORY;
  struct depthwise_args *a = &d->args;
  d->steps = steps;
  d->half = x->dtype == GIE_F16;
  d->channels_last = v->config & CONFIG_LAST;
  d->narrow = v->config & CONFIG_NARROW;
  d->one = v->config & CONFIG_ONE;
  d->walk = v->config & CONFIG_WALK;
  d->bias = p->node->n_operands > 2 && p->in[2].dtype != GIE_DTYPE_NONE ? 2 : -1;
  d->packed_bias = d->bias >= 0 && p->in_data[2];
  a->bias_half = d->bias >= 0 && p->in[2].dtype == GIE_F16;
  d->images = uint32_t(x->dim[0]);
  d->out_h = uint32_t(y->dim[2]);
  a->channels = int(x->dim[1]);
  a->in_h = int(win.in[0]);
  a->in_w = int(win.in[1]);
  a->out_h = int(win.out[0]);
  a->out_w = int(win.out[1]);
  a->kernel_h = int(win.kernel[0]);
  a->kernel_w = int(win.kernel[1]);
  a->stride_h = int(win.stride[0]);
  a->stride_w = int(win.stride[1]);
  a->dilation_h = int(win.dilation[0]);
  a->dilation_w = int(win.dilation[1]);
  a->top = int(win.pad_begin[0]);
  a->left = int(win.pad_begin[1]);
  a->xn = x->stride[0], a->xc = x->stride[1], a->xh = x->stride[2], a->xw = x->stride[3];
  a->yn = y->stride[0], a->yc = y->stride[1], a->yh = y->stride[2], a->yw = y->stride[3];
  *instance = d;
  return GIE_OK;
}

static const char *const ops[] = {"conv", nullptr};
static const struct gie_kernel KERNELS[] = {{.struct_size = sizeof(struct gie_kernel),
                                             .name = "cuda.conv_depthwise",
                                             .device = "cuda",
                                             .ops = ops,
                                             .supports = depthwise_supports,
                                             .variants = depthwise_variants,
                                             .estimate = depthwise_estimate,
                                             .pack_desc = depthwise_pack_desc,
                                             .pack = depthwise_pack,
                                             .create = depthwise_create,
                                             .destroy = cuda_destroy<struct depthwise>,
                                             .run = depthwise_run}};
const struct cuda_family cuda_depthwise = {KERNELS, 1};
