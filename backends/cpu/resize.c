/* SPDX-License-Identifier: Apache-2.0 */
/* Resize. Formula: ONNX Resize (19). Each result axis has a table: for every index the source indices
 * and weights it is made of (one for nearest, two for linear, four for cubic, more with antialias); an
 * element is the sum over all combinations. Integers round to nearest even, as the standard leaves open. */
#include "backends/cpu/cpu.h"

#include <math.h>

enum mode { MODE_NEAREST, MODE_LINEAR, MODE_CUBIC };
enum coordinate {
  HALF_PIXEL,
  HALF_PIXEL_SYMMETRIC,
  PYTORCH_HALF_PIXEL,
  ALIGN_CORNERS,
  ASYMMETRIC,
  TF_CROP_AND_RESIZE
};

static const char *const MODES[] = {"nearest", "linear", "cubic", NULL};
static const char *const COORDINATES[] = {"half_pixel",
                                          "half_pixel_symmetric",
                                          "pytorch_half_pixel",
                                          "align_corners",
                                          "asymmetric",
                                          "tf_crop_and_resize",
                                          NULL};
static const char *const NEARESTS[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL};
static const char *const ASPECTS[] = {"stretch", "not_larger", "not_smaller", NULL};

/* Index of s in a list ended by NULL, or -1. */
static int find(const char *const *list, const char *s)
{
  for (int i = 0; list[i]; i++)
    if (strcmp(list[i], s) == 0)
      return i;
  return -1;
}

struct axis {
  int64_t in, out, taps; /* taps: room per index in the tables */
  double scale, roi_begin, roi_end;
  int64_t *index; /* [out][taps] */
  double *weight; /* [out][taps] */
  int64_t *count; /* [out]; 0: outside the region of interest */
};

struct resize {
  struct cpu_tensor x;
  struct cpu_box box;
  struct axis axis[GIE_MAX_RANK];
  int mode, coordinate, nearest;
  bool antialias, exclude_outside;
  double cubic_a, extrapolation;
};

/* ---- Tables of one axis */

/* Where index o of the result lies on the source axis. */
static double source_position(const struct resize *v, const struct axis *a, int64_t o)
{
  double in = (double)a->in, length = a->scale * in, x = (double)o;
  switch (v->coordinate) {
  case HALF_PIXEL_SYMMETRIC:
    return in / 2 * (1 - (double)a->out / length) + (x + 0.5) / a->scale - 0.5;
  case PYTORCH_HALF_PIXEL:
    return length == 1 ? -0.5 : (x + 0.5) / a->scale - 0.5;
  case ALIGN_CORNERS:
    return length == 1 ? 0 : x * (in - 1) / (length - 1);
  case ASYMMETRIC:
    return x / a->scale;
  case TF_CROP_AND_RESIZE:
    return a->roi_begin * (in - 1) + (length == 1
                                          ? (a->roi_end - a->roi_begin) * (in - 1) / 2
                                          : x * (a->roi_end - a->roi_begin) * (in - 1) / (length - 1));
  default:
    return (x + 0.5) / a->scale - 0.5;
  }
}

static double nearest_index(int nearest, double x)
{
  switch (nearest) {
  case 0:
    return ceil(x - 0.5);
  case 1:
    return floor(x + 0.5);
  case 2:
    return floor(x);
  default:
    return ceil(x);
  }
}

/* Weight of a source element at distance d: a triangle, or Keys' cubic convolution kernel with a. */
static double kernel_weight(const struct resize *v, double d)
{
  double a = v->cubic_a;
  d = fabs(d);
  if (v->mode == MODE_LINEAR)
    return d < 1 ? 1 - d : 0;
  if (d <= 1)
    return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

/* How far the kernel reaches: with antialias it is stretched when the axis shrinks. */
static double kernel_stretch(const struct resize *v, const struct axis *a)
{
  return v->antialias && a->scale < 1 ? a->scale : 1;
}

static int64_t taps_needed(const struct resize *v, const struct axis *a)
{
  double reach = v->mode == MODE_CUBIC ? 2 : 1;
  return v->mode == MODE_NEAREST ? 1 : 2 * (int64_t)ceil(reach / kernel_stretch(v, a));
}

static void fill_entry(const struct resize *v, struct axis *a, int64_t o)
{
  int64_t *index = a->index + o * a->taps, n = 0, taps = taps_needed(v, a);
  double *weight = a->weight + o * a->taps, sum = 0, stretch = kernel_stretch(v, a);
  double x = source_position(v, a, o), last = (double)(a->in - 1);
  a->count[o] = 0;
  if (!(fabs(x) < 0x1p53) || (v->coordinate == TF_CROP_AND_RESIZE && (x < 0 || x > last)))
    return;
  if (v->mode == MODE_NEAREST) {
    index[0] = (int64_t)fmin(fmax(nearest_index(v->nearest, x), 0), last);
    weight[0] = 1;
    a->count[o] = 1;
    return;
  }
  int64_t first = (int64_t)floor(x) - taps / 2 + 1;
  for (int64_t i = first; i < first + taps; i++) {
    double w = kernel_weight(v, ((double)i - x) * stretch);
    if (w == 0 || (v->exclude_outside && (i < 0 || i >= a->in)))
      continue;
    index[n] = i < 0 ? 0 : i >= a->in ? a->in - 1 : i;
    weight[n++] = w;
    sum += w;
  }
  if (v->antialias || v->exclude_outside)
    for (int64_t i = 0; i < n; i++)
      weight[i] /= sum;
  a->count[o] = n;
}

/* ---- Elements */

static double interpolate(const struct resize *v, const int64_t *to)
{
  int64_t pick[GIE_MAX_RANK] = {0}, from[GIE_MAX_RANK];
  double sum = 0;
  int i;
  do {
    double w = 1, x;
    for (i = 0; i < v->x.rank; i++) {
      int64_t at = to[i] * v->axis[i].taps + pick[i];
      from[i] = v->axis[i].index[at];
      w *= v->axis[i].weight[at];
    }
    cpu_read_double(&v->x, from, -1, 1, 1, &x);
    sum += w * x;
    for (i = v->x.rank - 1; i >= 0 && ++pick[i] == v->axis[i].count[to[i]]; i--)
      pick[i] = 0;
  } while (i >= 0);
  return sum;
}

static gie_status resize_body(const struct cpu_call *c, const void *arg, int64_t item, int slot)
{
  const struct resize *v = arg;
  int64_t idx[GIE_MAX_RANK], to[GIE_MAX_RANK] = {0}, from[GIE_MAX_RANK];
  int n = cpu_box_at(&v->box, item, idx), axis = v->box.axis, rank = v->x.rank;
  bool is_float = cpu_is_float(v->x.dtype);
  struct cpu_row row = {.dtype = v->x.dtype};
  (void)slot;
  memcpy(to, idx, sizeof *to * (size_t)rank);
  for (int k = 0; k < n; k++) {
    bool outside = false;
    double value = v->extrapolation;
    for (int i = 0; i < rank; i++)
      outside = outside || v->axis[i].count[to[i]] == 0;
    if (!outside && v->mode == MODE_NEAREST) { /* exact for every dtype */
      for (int i = 0; i < rank; i++)
        from[i] = v->axis[i].index[to[i] * v->axis[i].taps];
      cpu_read(&v->x, from, -1, 1, 1, is_float ? (void *)&row.f[k] : (void *)&row.i[k]);
    } else {
      if (!outside)
        value = interpolate(v, to);
      if (is_float)
        row.f[k] = value;
      else
        row.i[k] = cpu_saturate(nearbyint(value), row.dtype);
    }
    if (axis >= 0)
      to[axis]++;
  }
  return cpu_emit(c, idx, axis, n, &row);
}

/* ---- Setting up */

static void read_modes(const struct gie_node *node, struct resize *v)
{
  v->mode = find(MODES, gie_node_string(node, "mode"));
  v->coordinate = find(COORDINATES, gie_node_string(node, "coordinate"));
  v->nearest = find(NEARESTS, gie_node_string(node, "nearest"));
  v->antialias = gie_node_int(node, "antialias") != 0;
  v->exclude_outside = gie_node_int(node, "exclude_outside") != 0;
  v->cubic_a = gie_node_float(node, "cubic_a");
  v->extrapolation = gie_node_float(node, "extrapolation");
}

/* Room for the taps of an axis, from its extents alone. The scale that gave `out` is at least
 * (out - 1/2)/in: sizes are products of scales rounded down, or to nearest with keep_aspect. */
static int64_t taps_room(const struct resize *v, int64_t in, int64_t out)
{
  struct axis a = {.scale = out > 0 && in > 0 ? ((double)out - 0.5) / (double)in : 1};
  return taps_needed(v, &a) + 2;
}

/* Reads scales or sizes for the axes they are given for; all others keep their extent. */
static gie_status read_scales(const struct cpu_call *c, struct resize *v)
{
  const struct gie_node *node = c->self->node;
  int64_t axes[GIE_MAX_RANK], zero = 0, sizes[GIE_MAX_RANK];
  double scales[GIE_MAX_RANK], roi[2 * GIE_MAX_RANK], least = INFINITY, most = 0;
  int rank = v->x.rank, n = (int)gie_node_ints(node, "axes", axes, GIE_MAX_RANK, 0),
      aspect = find(ASPECTS, gie_node_string(node, "keep_aspect"));
  for (int i = 0; i < rank && n == 0; i++)
    axes[i] = i;
  n = n ? n : rank;
  struct cpu_tensor t = cpu_has_in(c, 2) ? cpu_in(c, 2) : (struct cpu_tensor){.rank = 1, .block_axis = -1};
  bool by_scale = cpu_count(&t) > 0;
  if (!by_scale && cpu_has_in(c, 3))
    t = cpu_in(c, 3);
  if (t.rank != 1 || t.dim[0] != n)
    return gie_fail(c->launch->ctx, GIE_E_SHAPE, "scales or sizes do not have one entry per axis");
  if (by_scale)
    cpu_read_double(&t, &zero, 0, 1, n, scales);
  else
    cpu_read_ints(&t, sizes, GIE_MAX_RANK);
  for (int i = 0; i < n; i++) {
    axes[i] += axes[i] < 0 ? rank : 0;
    if (axes[i] < 0 || axes[i] >= rank)
      return gie_fail(c->launch->ctx, GIE_E_SHAPE, "axis outside rank %d", rank);
    if (!by_scale)
      scales[i] = (double)sizes[i] / (double)v->x.dim[axes[i]];
    least = fmin(least, scales[i]);
    most = fmax(most, scales[i]);
  }
  for (int i = 0; i < n; i++)
    v->axis[axes[i]].scale = by_scale || aspect == 0 ? scales[i] : aspect == 1 ? least : most;
  if (v->coordinate != TF_CROP_AND_RESIZE)
    return GIE_OK;
  t = cpu_has_in(c, 1) ? cpu_in(c, 1) : t;
  if (!cpu_has_in(c, 1) || t.rank != 1 || t.dim[0] != 2 * n || !cpu_is_float(t.dtype))
    return gie_fail(c->launch->ctx, GIE_E_SHAPE, "roi does not have two floats per axis");
  cpu_read_double(&t, &zero, 0, 1, 2 * n, roi);
  for (int i = 0; i < n; i++) {
    v->axis[axes[i]].roi_begin = roi[i];
    v->axis[axes[i]].roi_end = roi[n + i];
  }
  return GIE_OK;
}

static gie_status resize_run(const struct cpu_call *c)
{
  struct resize v = {.x = cpu_in(c, 0)};
  struct cpu_tensor out = cpu_out(c, 0);
  char *at = cpu_scratch_shared(c);
  if (cpu_count(&out) == 0)
    return GIE_OK;
  read_modes(c->self->node, &v);
  for (int i = 0; i < v.x.rank; i++)
    v.axis[i] = (struct axis){.in = v.x.dim[i], .out = out.dim[i], .scale = 1, .roi_end = 1};
  GIE_TRY(read_scales(c, &v));
  for (int i = 0; i < v.x.rank; i++) {
    struct axis *a = &v.axis[i];
    a->taps = taps_room(&v, a->in, a->out);
    if (!(a->scale > 0) || a->in == 0 || taps_needed(&v, a) > a->taps)
      return gie_fail(c->launch->ctx, GIE_E_DATA, "scale %g of axis %d does not give the result's shape",
                      a->scale, i);
    a->index = (int64_t *)(void *)at;
    a->weight = (double *)(void *)(at += 8 * a->taps * a->out);
    a->count = (int64_t *)(void *)(at += 8 * a->taps * a->out);
    at += 8 * a->out;
    for (int64_t o = 0; o < a->out; o++)
      fill_entry(&v, a, o);
  }
  v.box = cpu_box(&out, 0, NULL);
  return cpu_for(c, v.box.rows, 1, resize_body, &v);
}

static void resize_scratch(const struct gie_problem *p, size_t *per_thread, size_t *shared)
{
  struct resize v;
  (void)per_thread;
  read_modes(p->node, &v);
  *shared = 0;
  for (int i = 0; i < p->in[0].rank; i++) {
    size_t bytes;
    if (__builtin_mul_overflow((size_t)p->out[0].dim[i],
                               (size_t)(16 * taps_room(&v, p->in[0].dim[i], p->out[0].dim[i]) + 8), &bytes) ||
        __builtin_add_overflow(*shared, bytes, shared))
      *shared = SIZE_MAX / 2;
  }
}

static bool resize_check(const struct gie_problem *p, char *why, size_t size)
{
  struct resize v;
  read_modes(p->node, &v);
  if (p->in[0].rank != p->out[0].rank)
    return cpu_refuse(why, size, "x and the result differ in rank");
  if (v.mode < 0 || v.coordinate < 0 || v.nearest < 0 ||
      find(ASPECTS, gie_node_string(p->node, "keep_aspect")) < 0)
    return cpu_refuse(why, size, "unknown mode, coordinate, nearest or keep_aspect");
  return true;
}

const struct cpu_op cpu_op_resize = {resize_run, resize_check, resize_scratch, true};
