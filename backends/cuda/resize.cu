/* SPDX-License-Identifier: Apache-2.0 */
/* Resize. Formula: ONNX Resize (19), as the reference computes it: each result axis gives source indices with weights (one
 * for nearest, two for linear, four for cubic, more with antialias), an element is the sum over all combinations. Ways:
 *
 *   rows    f32 and f16, only the last two axes change, no antialias and no region, pixels contiguous: a block makes 128 pixels
 *           of a row in many planes. It works their indices and weights out once, in double; a warp mixes the source rows
 *           of a plane into shared memory and from there the pixels
 *   pixels  the same with contiguous channels: a block makes 32 pixels of a row in some images, 16 bytes of channels a thread
 *   planes  the same where a row shrinks by much, and any other strides: a thread works out one pixel's indices and weights and
 *           uses them for up to 8 images and channels
 *   each    everything else, one element at a time
 *
 * The goal of the first two is 80 % of the copy bandwidth (bench/results/cuda_kernels.txt). */
#include "backends/cuda/resize.cuh"

/* ---- An instance */

struct resize {
  struct gie_context *ctx;
  bool fast, half, channels_last;
  uint32_t images, channels, out_h, out_w;
  struct resize_args args;
  struct resize_each each;
};

/* How many of n a block takes: enough to share the indices, and blocks enough for a device. */
static uint32_t group_of(uint64_t n, uint64_t others, uint32_t least, uint32_t most)
{
  uint64_t group = n * others / 2048 / least * least;
  return group < least ? least : group > most ? most : uint32_t(group);
}

template <class T, int M>
static bool launch_pixels(const struct resize *r, struct resize_args a, const T *x, T *y, cudaStream_t stream)
{
  constexpr int V = 16 / sizeof(T);
  uint32_t tiles = (uint32_t(a.w.out) + PIXELS - 1) / PIXELS;
  uint64_t bits = uint64_t(a.xn | a.xh | a.xw | a.yn | a.yh | a.yw) * sizeof(T) | uintptr_t(x) | uintptr_t(y);
  if (a.xc != 1 || a.yc != 1 || r->out_h > 65535)
    return false;
  a.group = group_of(r->images, uint64_t(tiles) * r->out_h, 1, 16);
  dim3 grid(tiles, r->out_h, (r->images + a.group - 1) / a.group);
  if (grid.z > 65535)
    return false;
  if (r->channels % V == 0 && bits % 16 == 0) {
    a.inner = cuda_div_by(r->channels / V);
    resize_pixels<T, M, V><<<grid, 256, 0, stream>>>(a, x, y);
  } else {
    a.inner = cuda_div_by(r->channels);
    resize_pixels<T, M, 1><<<grid, 256, 0, stream>>>(a, x, y);
  }
  return true;
}

template <class T, int M>
static bool launch_rows(const struct resize *r, struct resize_args a, const T *x, T *y, cudaStream_t stream)
{
  uint32_t tiles = (uint32_t(a.w.out) + ROW_COLUMNS - 1) / ROW_COLUMNS;
  double length = a.w.scale * double(a.w.in),
         step = fmax(1 / a.w.scale, double(a.w.in) / fmax(length - 1, 1.0));
  uint64_t bits = uint64_t(a.yn | a.yc | a.yh) * sizeof(T) | uintptr_t(y);
  if (!(step * ROW_COLUMNS + 2 * M < ROW_MAX) || r->out_h > 65535 * ROW_ROWS) /* source columns of a block */
    return false;
  uint32_t rows = (r->out_h + ROW_ROWS - 1) / ROW_ROWS;
  a.group = group_of(a.planes, uint64_t(tiles) * rows, 1, 32);
  dim3 grid(tiles, rows, (a.planes + a.group - 1) / a.group);
  if (grid.z > 65535)
    return false;
  if (a.yw == 1 && r->each.axis[3].out % 4 == 0 && bits % (4 * sizeof(T)) == 0)
    resize_rows<T, M, 4><<<grid, 256, 0, stream>>>(a, x, y);
  else
    resize_rows<T, M, 1><<<grid, 256, 0, stream>>>(a, x, y);
  return true;
}

template <class T, int M> static void launch(const struct resize *r, const struct gie_launch *l)
{
  struct resize_args a = r->args;
  const T *x = static_cast<const T *>(l->in[0]);
  T *y = static_cast<T *>(l->out[0]);
  cudaStream_t stream = gie_cuda_stream(l);
  a.channels = cuda_div_by(r->channels);
  a.images = r->images;
  a.planes = r->images * r->channels;
  if (r->channels_last ? launch_pixels<T, M>(r, a, x, y, stream) : launch_rows<T, M>(r, a, x, y, stream))
    return;
  uint32_t groups = (a.planes + PLANES - 1) / PLANES;
  a.inner = cuda_div_by(r->out_w);
  a.middle = cuda_div_by(r->out_h);
  a.n = groups * r->out_h * r->out_w;
  resize_planes<T, M><<<(a.n + 255) / 256, 256, 0, stream>>>(a, x, y);
}

static gie_status resize_run(void *instance, const struct gie_launch *l)
{
  const struct resize *r = static_cast<const struct resize *>(instance);
  if (!r->fast) {
    struct resize_each f = r->each;
    f.in.data = static_cast<char *>(l->in[0]);
    f.out.data = static_cast<char *>(l->out[0]);
    return cuda_run_each(f, l, "launching a resize");
  }
  switch (r->args.rule.mode) {
  case MODE_NEAREST:
    r->half ? launch<__half, 1>(r, l) : launch<float, 1>(r, l);
    break;
  case MODE_LINEAR:
    r->half ? launch<__half, 2>(r, l) : launch<float, 2>(r, l);
    break;
  default:
    r->half ? launch<__half, 4>(r, l) : launch<float, 4>(r, l);
  }
  return gie_cuda_launched(l->ctx, "launching a resize");
}

/* ---- The kernel */

static int find(const char *const *list, int n, const char *s)
{
  for (int i = 0; i < n; i++)
    if (strcmp(list[i], s) == 0)
      return i;
  return -1;
}

static bool read_rule(const struct gie_problem *p, struct resize_rule *v, int *aspect, char *why, size_t size)
{
  static const char *const MODES[] = {"nearest", "linear", "cubic"};
  static const char *const COORDINATES[] = {"half_pixel",    "half_pixel_symmetric", "pytorch_half_pixel",
                                            "align_corners", "asymmetric",           "tf_crop_and_resize"};
  static const char *const NEARESTS[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
  static const char *const ASPECTS[] = {"stretch", "not_larger", "not_smaller"};
  int mode = find(MODES, 3, gie_node_string(p->node, "mode"));
  int coordinate = find(COORDINATES, 6, gie_node_string(p->node, "coordinate"));
  v->nearest = find(NEARESTS, 4, gie_node_string(p->node, "nearest"));
  *aspect = find(ASPECTS, 3, gie_node_string(p->node, "keep_aspect"));
  if (mode < 0 || coordinate < 0 || v->nearest < 0 || *aspect < 0)
    return cuda_refuse(why, size, "unknown mode, coordinate, nearest or keep_aspect");
  v->mode = static_cast<enum resize_mode>(mode);
  v->coordinate = static_cast<enum coordinate>(coordinate);
  v->antialias = gie_node_int(p->node, "antialias") != 0;
  v->exclude_outside = gie_node_int(p->node, "exclude_outside") != 0;
  v->cubic_a = gie_node_float(p->node, "cubic_a");
  v->extrapolation = gie_node_float(p->node, "extrapolation");
  return true;
}

static bool given(const struct gie_problem *p, uint32_t i)
{
  return i < p->node->n_operands && p->in[i].dtype != GIE_DTYPE_NONE && gie_desc_count(&p->in[i]) > 0;
}

/* Scales of the axes that scales or sizes are given for; all others keep their extent. */
static bool read_axes(const struct gie_problem *p, const struct resize_rule *v, int aspect,
                      struct resize_axis *axis, char *why, size_t size)
{
  int64_t axes[GIE_MAX_RANK], sizes[GIE_MAX_RANK];
  double scales[GIE_MAX_RANK], roi[2 * GIE_MAX_RANK], least = INFINITY, most = 0;
  int rank = p->in[0].rank;
  uint32_t n = gie_node_ints(p->node, "axes", axes, GIE_MAX_RANK, 0), k = 0;
  for (int i = 0; i < rank; i++) {
    axis[i] = {p->in[0].dim[i], p->out[0].dim[i], 1, 0, 1};
    axes[i] = n == 0 ? i : axes[i];
  }
  n = n ? n : uint32_t(rank);
  bool by_scale = given(p, 2);
  if (by_scale ? !gie_value_floats(p->graph, p->node->in[2], scales, GIE_MAX_RANK, &k)
               : !given(p, 3) || !gie_value_ints(p->graph, p->node->in[3], sizes, GIE_MAX_RANK, &k))
    return cuda_refuse(why, size, "scales or sizes are not constant");
  if (k != n)
    return cuda_refuse(why, size, "scales or sizes do not have one entry per axis");
  for (uint32_t i = 0; i < n; i++) {
    axes[i] += axes[i] < 0 ? rank : 0;
    if (axes[i] < 0 || axes[i] >= rank)
      return cuda_refuse(why, size, "axis outside rank %d", rank);
    if (!by_scale)
      scales[i] = double(sizes[i]) / double(p->in[0].dim[axes[i]]);
    least = fmin(least, scales[i]);
    most = fmax(most, scales[i]);
  }
  for (uint32_t i = 0; i < n; i++)
    axis[axes[i]].scale = by_scale || aspect == 0 ? scales[i] : aspect == 1 ? least : most;
  for (int i = 0; i < rank; i++)
    if (axis[i].out > 0 && (!(axis[i].scale > 0) || axis[i].in == 0))
      return cuda_refuse(why, size, "scale %g of axis %d", axis[i].scale, i);
  if (v->coordinate != TF_CROP_AND_RESIZE)
    return true;
  if (!given(p, 1) || !gie_value_floats(p->graph, p->node->in[1], roi, 2 * GIE_MAX_RANK, &k) || k != 2 * n)
    return cuda_refuse(why, size, "roi is not two constants per axis");
  for (uint32_t i = 0; i < n; i++) {
    axis[axes[i]].begin = roi[i];
    axis[axes[i]].end = roi[n + i];
  }
  return true;
}

static bool resize_supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size)
{
  struct resize_rule rule;
  struct resize_axis axis[GIE_MAX_RANK];
  int aspect;
  if (p->in[0].rank != p->out[0].rank || p->in[0].dtype != p->out[0].dtype)
    return cuda_refuse(why, size, "x and the result differ in rank or dtype");
  return read_rule(p, &rule, &aspect, why, size) && read_axes(p, &rule, aspect, axis, why, size);
}

static uint32_t resize_variants(const struct gie_kernel *k, const struct gie_problem *p,
                                struct gie_variant *out, uint32_t max)
{
  const struct cuda_follow first = {1, 1};
  return cuda_variants_any(p, 0, first, -1, out, max);
}

static void resize_estimate(const struct gie_kernel *k, const struct gie_problem *p,
                            const struct gie_variant *v, struct gie_cost *out)
{
  out->bytes = cuda_bytes(p->in, 1) + cuda_bytes(p->out, 1);
  out->flops = 30 * double(gie_desc_count(&p->out[0]));
}

static bool make_fast(struct resize *r, const struct gie_problem *p)
{
  const struct gie_desc *x = &p->in[0], *y = &p->out[0];
  const struct resize_each *f = &r->each;
  struct resize_args *a = &r->args;
  if (x->rank != 4 || (x->dtype != GIE_F32 && x->dtype != GIE_F16) || x->layout.block > 1 ||
      y->layout.block > 1 || f->rule.antialias || f->rule.coordinate == TF_CROP_AND_RESIZE ||
      gie_desc_count(y) == 0 || gie_desc_count(y) >= int64_t(1) << 30 ||
      gie_desc_count(x) >= int64_t(1) << 30)
    return false;
  for (int i = 0; i < 2; i++)
    if (f->axis[i].in != f->axis[i].out || f->axis[i].scale != 1)
      return false;
  a->rule = f->rule;
  a->h = f->axis[2];
  a->w = f->axis[3];
  a->xn = x->stride[0], a->xc = x->stride[1], a->xh = x->stride[2], a->xw = x->stride[3];
  a->yn = y->stride[0], a->yc = y->stride[1], a->yh = y->stride[2], a->yw = y->stride[3];
  r->images = uint32_t(x->dim[0]);
  r->channels = uint32_t(x->dim[1]);
  r->out_h = uint32_t(y->dim[2]);
  r->out_w = uint32_t(y->dim[3]);
  r->half = x->dtype == GIE_F16;
  r->channels_last = a->yc == 1 && r->channels > 1;
  return true;
}

static gie_status resize_create(const struct gie_kernel *k, const struct gie_problem *p,
                                const struct gie_variant *v, void **instance)
{
  char why[128] = "";
  int aspect;
  struct resize *r = cuda_instance<struct resize>(p->ctx);
  if (!r)
    return GIE_E_MEMORY;
  struct resize_each *f = &r->each;
  f->in = cuda_tensor_of(&p->in[0]);
  f->out = cuda_tensor_of(&p->out[0]);
  f->order = cuda_order_of(f->out);
  if (!read_rule(p, &f->rule, &aspect, why, sizeof why) ||
      !read_axes(p, &f->rule, aspect, f->axis, why, sizeof why)) {
    gie_free(p->ctx, r);
    return gie_fail(p->ctx, GIE_E_UNSUPPORTED, "%s", why);
  }
  r->fast = make_fast(r, p);
  *instance = r;
  return GIE_OK;
}

static const char *const ops[] = {"resize", nullptr};
static const struct gie_kernel KERNELS[] = {{.struct_size = sizeof(struct gie_kernel),
                                             .name = "cuda.resize",
                                             .device = "cuda",
                                             .ops = ops,
                                             .supports = resize_supports,
                                             .variants = resize_variants,
                                             .estimate = resize_estimate,
                                             .create = resize_create,
                                             .destroy = cuda_destroy<struct resize>,
                                             .run = resize_run}};
const struct cuda_family cuda_resize = {KERNELS, 1};
