/* SPDX-License-Identifier: Apache-2.0 */
/* Shape of resize: extents from scales or sizes, of all axes or of those listed. */
#include "core/ir/infer.h"
#include <math.h>

enum { SCALES = 2, SIZES = 3 };
enum { STRETCH, NOT_LARGER, NOT_SMALLER };

/* Which axes scales and sizes are for: axis[0..n). */
struct chosen {
  int n, axis[GIE_MAX_RANK];
};

static gie_status read_axes(const struct gie_infer *x, int rank, struct chosen *c)
{
  const struct gie_attr *axes = gie_attrs_find(&x->node->attrs, "axes");
  uint32_t seen = 0;
  if (axes && axes->n > (uint32_t)rank)
    return gie_fail(x->ctx, GIE_E_ATTR, "%u axes for rank %d", (unsigned)axes->n, rank);
  c->n = axes ? (int)axes->n : rank;
  for (int i = 0; i < c->n; i++) {
    c->axis[i] = i;
    if (axes)
      GIE_TRY(ir_axis(x, axes->u.is[i], rank, &c->axis[i]));
    if (seen & 1u << c->axis[i])
      return gie_fail(x->ctx, GIE_E_ATTR, "axis %d is listed twice", c->axis[i]);
    seen |= 1u << c->axis[i];
  }
  return GIE_OK;
}

static gie_status check_strings(const struct gie_infer *x)
{
  static const char *const modes[] = {"nearest", "linear", "cubic", NULL};
  static const char *const nearest[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL};
  static const char *const coordinates[] = {"half_pixel",         "half_pixel_symmetric",
                                            "pytorch_half_pixel", "align_corners",
                                            "asymmetric",         "tf_half_pixel_for_nn",
                                            "tf_crop_and_resize", NULL};
  GIE_TRY(ir_one_of(x, "mode", modes, NULL));
  GIE_TRY(ir_one_of(x, "nearest", nearest, NULL));
  if (!isfinite(gie_node_float(x->node, "cubic_a")))
    return gie_fail(x->ctx, GIE_E_ATTR, "cubic_a is not finite");
  return ir_one_of(x, "coordinate", coordinates, NULL);
}

/* Scaling stretches at most to this; an image of more pixels along one axis is not meant. */
static const double max_extent = INT32_MAX;

static gie_status check_extent(const struct gie_infer *x, int axis, struct gie_dim from, double to)
{
  if (!(to >= 0 && to <= max_extent))
    return gie_fail(x->ctx, GIE_E_LIMIT, "axis %d would have %g elements; at most 2^31-1 are supported", axis,
                    to);
  if (gie_dim_is_num(from) && from.b == 0 && to > 0)
    return gie_fail(x->ctx, GIE_E_SHAPE, "axis %d has no elements to interpolate", axis);
  return GIE_OK;
}

/* ---- By scales ----------------------------------------------------------------------------------------- */

/* Part of the axis that tf_crop_and_resize looks at; 1 for the other coordinate modes, NaN if not known. */
static gie_status crop_extent(const struct gie_infer *x, int n, int i, float *out)
{
  double roi[2 * GIE_MAX_RANK];
  uint32_t count;
  *out = 1;
  if (strcmp(gie_node_string(x->node, "coordinate"), "tf_crop_and_resize") != 0)
    return GIE_OK;
  if (!ir_has(x, 1))
    return gie_fail(x->ctx, GIE_E_GRAPH, "coordinate tf_crop_and_resize needs the operand roi");
  *out = NAN;
  if (!gie_value_floats(x->graph, x->node->in[1], roi, 2 * GIE_MAX_RANK, &count))
    return GIE_OK;
  if (count != 2 * (uint32_t)n)
    return gie_fail(x->ctx, GIE_E_SHAPE, "roi has %u entries; %d axes need %d", (unsigned)count, n, 2 * n);
  *out = (float)roi[n + i] - (float)roi[i];
  return isfinite(*out) ? GIE_OK : gie_fail(x->ctx, GIE_E_SHAPE, "roi holds something that is not finite");
}

static gie_status scale_axis(const struct gie_infer *x, const struct chosen *c, int i, double scale,
                             struct gie_dim *d)
{
  float crop;
  if (!(scale > 0 && isfinite(scale)))
    return gie_fail(x->ctx, GIE_E_SHAPE, "the scale of axis %d is %g; it must be a finite number above 0",
                    c->axis[i], scale);
  GIE_TRY(crop_extent(x, c->n, i, &crop));
  if (gie_dim_is_num(*d) && !isnan(crop)) {
    /* In f32, as the scales are: 10 * 0.7f is 7, not 6.99999988. */
    float to = floorf((float)d->b * crop * (float)scale);
    GIE_TRY(check_extent(x, c->axis[i], *d, to));
    *d = gie_dim_num((int64_t)to);
  } else if (isnan(crop) || crop != 1 || scale != floor(scale) || scale > max_extent) {
    *d = gie_dim_unknown();
  } else {
    *d = gie_dim_mul(*d, gie_dim_num((int64_t)scale));
  }
  return GIE_OK;
}

static gie_status by_scales(const struct gie_infer *x, const struct chosen *c, struct gie_shape *out)
{
  double scale[GIE_MAX_RANK];
  uint32_t n;
  int64_t length = ir_list_length(x, SCALES);
  if (length >= 0 && length != c->n)
    return gie_fail(x->ctx, GIE_E_SHAPE, "%lld scales for %d axes", (long long)length, c->n);
  bool known = gie_value_floats(x->graph, x->node->in[SCALES], scale, GIE_MAX_RANK, &n) &&
               n == (uint32_t)c->n;
  for (int i = 0; i < c->n; i++) {
    struct gie_dim *d = &out->dim[c->axis[i]];
    if (known)
      GIE_TRY(scale_axis(x, c, i, scale[i], d));
    else
      *d = gie_dim_unknown();
  }
  return GIE_OK;
}

/* ---- By sizes ------------------------------------------------------------------------------------------ */

/* keep_aspect: one scale for all chosen axes, the least (not larger than asked) or greatest of theirs. */
static gie_status keep_aspect(const struct gie_infer *x, const struct chosen *c, int policy,
                              const struct gie_dim *sizes, struct gie_shape *out)
{
  double scale = 0;
  bool known = true;
  for (int i = 0; i < c->n; i++) {
    struct gie_dim d = out->dim[c->axis[i]];
    known &= gie_dim_is_num(d) && gie_dim_is_num(sizes[i]);
    if (known && d.b == 0)
      return gie_fail(x->ctx, GIE_E_SHAPE, "axis %d has no elements to interpolate", c->axis[i]);
    double s = known ? (double)sizes[i].b / (double)d.b : 0;
    if (i == 0 || (policy == NOT_LARGER ? s < scale : s > scale))
      scale = s;
  }
  for (int i = 0; i < c->n; i++) {
    struct gie_dim *d = &out->dim[c->axis[i]];
    double to = known ? floor(scale * (double)d->b + 0.5) : 0;
    GIE_TRY(check_extent(x, c->axis[i], gie_dim_unknown(), to));
    *d = known ? gie_dim_num((int64_t)to) : gie_dim_unknown();
  }
  return GIE_OK;
}

static gie_status by_sizes(const struct gie_infer *x, const struct chosen *c, int policy,
                           struct gie_shape *out)
{
  uint32_t n;
  const struct gie_dim *k = ir_known(x, SIZES, &n);
  int64_t length = ir_list_length(x, SIZES);
  if (length >= 0 && length != c->n)
    return gie_fail(x->ctx, GIE_E_SHAPE, "%lld sizes for %d axes", (long long)length, c->n);
  for (int i = 0; i < c->n; i++)
    if (k && gie_dim_is_num(k[i]))
      GIE_TRY(check_extent(x, c->axis[i], out->dim[c->axis[i]], (double)k[i].b));
  if (k && policy != STRETCH)
    return keep_aspect(x, c, policy, k, out);
  for (int i = 0; i < c->n; i++)
    out->dim[c->axis[i]] = k ? k[i] : gie_dim_unknown();
  return GIE_OK;
}

/* Whether an operand is given; an empty list stands for an omitted one. */
enum given { NO, YES, MAYBE };
static enum given given(const struct gie_infer *x, uint32_t i)
{
  int64_t length = ir_has(x, i) ? ir_list_length(x, i) : 0;
  return length < 0 ? MAYBE : length > 0 ? YES : NO;
}

gie_status ir_shape_resize(struct gie_infer *x)
{
  static const char *const policies[] = {"stretch", "not_larger", "not_smaller", NULL};
  struct gie_shape *out = &x->out[0].shape;
  int policy;
  struct chosen c;
  x->out[0] = x->in[0];
  GIE_TRY(check_strings(x));
  GIE_TRY(ir_one_of(x, "keep_aspect", policies, &policy));
  GIE_TRY(ir_check_list(x, SCALES, "scales"));
  GIE_TRY(ir_check_list(x, SIZES, "sizes"));
  enum given scales = given(x, SCALES), sizes = given(x, SIZES);
  if (out->rank < 0)
    return GIE_OK;
  if (scales == sizes && (scales == YES || (scales == NO && out->rank > 0)))
    return gie_fail(x->ctx, GIE_E_GRAPH, "resize needs either scales or sizes, and not both");
  GIE_TRY(read_axes(x, out->rank, &c));
  if (scales == MAYBE && sizes == MAYBE) {
    for (int i = 0; i < c.n; i++)
      out->dim[c.axis[i]] = gie_dim_unknown();
    return GIE_OK;
  }
  if (scales == YES || (scales == MAYBE && sizes == NO))
    return by_scales(x, &c, out);
  return sizes != NO ? by_sizes(x, &c, policy, out) : GIE_OK;
}
