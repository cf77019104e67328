/* SPDX-License-Identifier: Apache-2.0 */
/* Resize and its forerunner Upsample.
 *
 *     Upsample 7, 9, Resize 10   source position = x / scale ("asymmetric"); nearest takes the floor when it
 *                                enlarges and the ceiling when it reduces an axis
 *     Resize 11                  modes are attributes; operands x, roi, scales, sizes; empty scales: sizes
 *     Resize 13                  roi and scales may be left out; tf_half_pixel_for_nn is gone
 *     Resize 18, 19              antialias, axes, keep_aspect_ratio_policy; half_pixel_symmetric
 */
#include "plugins/onnx/onnx.h"

/* Mode and rounding of one of the old operators on its way. */
static void old_attrs(struct onnx_attrs *l, const char *mode, const char *rounding)
{
  onnx_put_string(l, "mode", mode);
  onnx_put_string(l, "coordinate", "asymmetric");
  if (rounding)
    onnx_put_string(l, "nearest", rounding);
}

static gie_status add_old(struct onnx_node *n, gie_id x, gie_id scales, const char *mode,
                          const char *rounding)
{
  const gie_id in[] = {x, GIE_NONE, scales};
  struct onnx_attrs attrs = {.n = 0};
  old_attrs(&attrs, mode, rounding);
  return onnx_result(n, "resize", in, 3, &attrs);
}

/* Some axes are enlarged and others reduced: the former first, then the latter. */
static gie_status add_both(struct onnx_node *n, gie_id x, const double *scales, uint32_t count)
{
  struct gie_type type = {GIE_F32, {.rank = 1}};
  double up[GIE_MAX_RANK], down[GIE_MAX_RANK];
  gie_id in[] = {x, GIE_NONE, GIE_NONE}, down_id;
  struct onnx_attrs attrs = {.n = 0};
  type.shape.dim[0] = gie_dim_num(count);
  for (uint32_t i = 0; i < count; i++) {
    up[i] = scales[i] >= 1 ? scales[i] : 1;
    down[i] = scales[i] < 1 ? scales[i] : 1;
  }
  GIE_TRY(onnx_const_floats(n, "up", &type, up, &in[2]));
  GIE_TRY(onnx_const_floats(n, "down", &type, down, &down_id));
  old_attrs(&attrs, "nearest", "floor");
  GIE_TRY(onnx_step(n, "enlarged", "resize", in, 3, &attrs, &in[0]));
  return add_old(n, in[0], down_id, "nearest", "ceil");
}

static gie_status lower_old(struct onnx_node *n, gie_id scales)
{
  const char *mode = onnx_attr_string(n, "mode", "nearest");
  double v[GIE_MAX_RANK];
  uint32_t count = 0;
  bool up = false, down = false;
  gie_id x = onnx_in(n, 0);
  if (!mode)
    return GIE_E_MEMORY;
  if (strcmp(mode, "linear") == 0 || strcmp(mode, "bilinear") == 0)
    return add_old(n, x, scales, "linear", NULL);
  if (strcmp(mode, "nearest") != 0)
    return gie_fail(n->ctx, GIE_E_ATTR, "mode \"%.40s\" is neither nearest nor linear", mode);
  gie_id c = onnx_const_of(n, scales);
  if (c == GIE_NONE) /* Upsample only enlarges; Resize 10 could do either */
    return strcmp(n->op->name, "Upsample") == 0
               ? add_old(n, x, scales, mode, "floor")
               : onnx_refuse(n, "nearest with computed scales in opset 10; export with opset 11 or later");
  if (!gie_value_floats(n->g, c, v, GIE_MAX_RANK, &count))
    return gie_fail(n->ctx, GIE_E_TYPE, "scales must be up to %d floats", GIE_MAX_RANK);
  for (uint32_t i = 0; i < count; i++) {
    up = up || v[i] > 1;
    down = down || v[i] < 1;
  }
  return up && down ? add_both(n, x, v, count) : add_old(n, x, scales, mode, down ? "ceil" : "floor");
}

/* Scales: an attribute in opset 7 and 8, an operand in 9. */
gie_status onnx_lower_upsample(struct onnx_node *n)
{
  const Onnx__Attribute *a = onnx_attr_find(n, "scales");
  struct gie_type type = {GIE_F32, {.rank = 1}};
  double v[GIE_MAX_RANK];
  gie_id scales = onnx_in(n, 1);
  if (a) {
    if (a->n_floats > GIE_MAX_RANK || scales != GIE_NONE)
      return gie_fail(n->ctx, GIE_E_ATTR, "scales must be given once, one per axis");
    for (size_t i = 0; i < a->n_floats; i++)
      v[i] = (double)a->floats[i];
    type.shape.dim[0] = gie_dim_num((int64_t)a->n_floats);
    GIE_TRY(onnx_const_floats(n, "scales", &type, v, &scales));
  }
  if (scales == GIE_NONE || n->n_in > 2)
    return gie_fail(n->ctx, GIE_E_ATTR, "scales must be given once, one per axis");
  return lower_old(n, scales);
}

static bool is_empty(struct onnx_node *n, gie_id value)
{
  const struct gie_shape *s = &onnx_type(n, value)->shape;
  return value == GIE_NONE || (s->rank == 1 && gie_dim_is_num(s->dim[0]) && s->dim[0].b == 0);
}

/* tf_half_pixel_for_nn puts pixel x at (x + 1/2)/scale, which is half_pixel's position + 1/2; so its floor is
 * half_pixel rounded with ties up, and its rounding with ties down is half_pixel's ceiling. */
static gie_status put_coordinate(struct onnx_node *n, struct onnx_attrs *l, const char *mode)
{
  const char *coordinate = onnx_attr_string(n, "coordinate_transformation_mode", "half_pixel");
  const char *nearest = onnx_attr_string(n, "nearest_mode", "round_prefer_floor");
  if (!coordinate || !nearest)
    return GIE_E_MEMORY;
  if (strcmp(coordinate, "tf_half_pixel_for_nn") == 0) {
    coordinate = "half_pixel";
    if (strcmp(mode, "nearest") == 0 && strcmp(nearest, "floor") == 0)
      nearest = "round_prefer_ceil";
    else if (strcmp(mode, "nearest") == 0 && strcmp(nearest, "round_prefer_floor") == 0)
      nearest = "ceil";
    else
      return onnx_refuse(n, "tf_half_pixel_for_nn with mode %.40s and nearest_mode %.40s", mode, nearest);
  }
  onnx_put_string(l, "coordinate", coordinate);
  onnx_put_string(l, "nearest", nearest);
  return GIE_OK;
}

gie_status onnx_lower_resize(struct onnx_node *n)
{
  struct onnx_attrs attrs = {.n = 0};
  if (n->opset < 11) {
    if (n->n_in != 2)
      return gie_fail(n->ctx, GIE_E_GRAPH, "%u operands; Resize 10 has 2", (unsigned)n->n_in);
    return lower_old(n, n->in[1]);
  }
  gie_id in[4] = {onnx_in(n, 0), onnx_in(n, 1), onnx_in(n, 2), onnx_in(n, 3)};
  const char *mode = onnx_attr_string(n, "mode", "nearest");
  if (!mode)
    return GIE_E_MEMORY;
  GIE_TRY(onnx_plain_attrs(n, &attrs));
  GIE_TRY(put_coordinate(n, &attrs, mode));
  if (n->reason)
    return GIE_OK;
  const char *coordinate = onnx_attr_string(n, "coordinate_transformation_mode", "");
  if (!coordinate)
    return GIE_E_MEMORY;
  if (is_empty(n, in[1]) || strcmp(coordinate, "tf_crop_and_resize") != 0)
    in[1] = GIE_NONE;
  if (is_empty(n, in[2]))
    in[2] = GIE_NONE;
  if (is_empty(n, in[3]))
    in[3] = GIE_NONE;
  if (n->n_in > 4 || (in[2] == GIE_NONE) == (in[3] == GIE_NONE))
    return gie_fail(n->ctx, GIE_E_GRAPH, "either scales or sizes must be given");
  return onnx_result(n, "resize", in, in[3] == GIE_NONE ? 3 : 4, &attrs);
}
