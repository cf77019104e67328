/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that move data: attributes of old versions become operands. */
#include "plugins/onnx/onnx.h"

/* Axes must be a list; writers also give a scalar, which others accept. */
static gie_status list_operand(struct onnx_node *n, gie_id *list)
{
  static const int64_t zero;
  gie_id in[2] = {*list, GIE_NONE};
  if (onnx_rank(n, *list) != 0)
    return GIE_OK;
  GIE_TRY(onnx_const_ints(n, "first", &zero, 1, &in[1]));
  return onnx_step(n, "axes", "unsqueeze", in, 2, NULL, list);
}

/* Operand 1 of reductions, squeeze, unsqueeze: below `opset` the attribute `axes`. */
static gie_status axes_operand(struct onnx_node *n, int opset, gie_id in[2], uint32_t *n_in)
{
  uint32_t count;
  const int64_t *axes = onnx_attr_ints(n, "axes", &count);
  in[0] = onnx_in(n, 0);
  in[1] = GIE_NONE;
  *n_in = n->n_in;
  if (n->opset >= opset) {
    if (axes)
      return onnx_refuse(n, "the attribute axes of opset %d in opset %d", opset - 1, (int)n->opset);
    if (n->n_in > 2)
      return gie_fail(n->ctx, GIE_E_GRAPH, "%u operands; at most 2 are allowed", (unsigned)n->n_in);
    in[1] = onnx_in(n, 1);
    return list_operand(n, &in[1]);
  }
  if (n->n_in > 1)
    return gie_fail(n->ctx, GIE_E_GRAPH, "%u operands; in opset %d there is one", (unsigned)n->n_in,
                    (int)n->opset);
  if (!axes || !count)
    return GIE_OK;
  *n_in = 2;
  return onnx_const_ints(n, "axes", axes, count, &in[1]);
}

/* ReduceSum takes its axes as an operand from opset 13 on, the others from 18. */
gie_status onnx_lower_reduce(struct onnx_node *n)
{
  struct onnx_attrs attrs = {.n = 0};
  gie_id in[2];
  uint32_t n_in;
  GIE_TRY(axes_operand(n, strcmp(n->op->name, "ReduceSum") == 0 ? 13 : 18, in, &n_in));
  if (n->reason)
    return GIE_OK;
  GIE_TRY(onnx_plain_attrs(n, &attrs));
  return onnx_result(n, n->op->ir_op, in, n_in, &attrs);
}

/* Squeeze, Unsqueeze */
gie_status onnx_lower_axes(struct onnx_node *n)
{
  gie_id in[2];
  uint32_t n_in;
  GIE_TRY(axes_operand(n, 13, in, &n_in));
  return n->reason ? GIE_OK : onnx_result(n, n->op->ir_op, in, n_in, NULL);
}

gie_status onnx_lower_concat(struct onnx_node *n)
{
  struct onnx_attrs attrs = {.n = 0};
  if (n->opset >= 4 && !onnx_attr_find(n, "axis"))
    return gie_fail(n->ctx, GIE_E_ATTR, "attribute axis is missing");
  onnx_put_int(&attrs, "axis", onnx_attr_int(n, "axis", 1));
  return onnx_result(n, "concat", n->in, n->n_in, &attrs);
}

/* Sizes: an attribute before opset 13 (in opset 1 an operand too), an operand since. num_outputs (18) only
 * repeats how many results there are. */
gie_status onnx_lower_split(struct onnx_node *n)
{
  struct onnx_attrs attrs = {.n = 0};
  uint32_t count, n_in = n->n_in;
  const int64_t *sizes = onnx_attr_ints(n, "split", &count);
  gie_id in[2] = {onnx_in(n, 0), onnx_in(n, 1)};
  int64_t num = onnx_attr_int(n, "num_outputs", n->n_out);
  if (sizes && n->opset >= 13)
    return onnx_refuse(n, "the attribute split of opset 12 in opset %d", (int)n->opset);
  if (num != n->n_out && num != (int64_t)n->proto->n_output)
    return gie_fail(n->ctx, GIE_E_ATTR, "num_outputs is %lld, the node has %zu results", (long long)num,
                    n->proto->n_output);
  if (n->n_in > 2)
    return gie_fail(n->ctx, GIE_E_GRAPH, "%u operands; at most 2 are allowed", (unsigned)n->n_in);
  n->n_out = (uint32_t)n->proto->n_output; /* unwanted results at the end count for the sizes */
  if (sizes) {
    GIE_TRY(onnx_const_ints(n, "sizes", sizes, count, &in[1]));
    n_in = 2;
  }
  GIE_TRY(onnx_plain_attrs(n, &attrs));
  return onnx_result(n, "split", in, n_in, &attrs);
}

/* Attributes starts, ends, axes before opset 10, operands since. */
gie_status onnx_lower_slice(struct onnx_node *n)
{
  uint32_t n_starts, n_ends, n_axes;
  const int64_t *starts = onnx_attr_ints(n, "starts", &n_starts), *ends = onnx_attr_ints(n, "ends", &n_ends);
  const int64_t *axes = onnx_attr_ints(n, "axes", &n_axes);
  gie_id in[4] = {onnx_in(n, 0), GIE_NONE, GIE_NONE, GIE_NONE};
  if (n->opset >= 10) {
    if (starts || ends || axes)
      return onnx_refuse(n, "the attributes of opset 9 in opset %d", (int)n->opset);
    return onnx_result(n, "slice", n->in, n->n_in, NULL);
  }
  if (!starts || !ends || n->n_in != 1)
    return gie_fail(n->ctx, GIE_E_ATTR, "one operand and the attributes starts and ends are needed");
  GIE_TRY(onnx_const_ints(n, "starts", starts, n_starts, &in[1]));
  GIE_TRY(onnx_const_ints(n, "ends", ends, n_ends, &in[2]));
  if (axes)
    GIE_TRY(onnx_const_ints(n, "axes", axes, n_axes, &in[3]));
  return onnx_result(n, "slice", in, axes ? 4 : 3, NULL);
}

/* Cuts `border` (left, top, right, bottom) off images; with `scale` (height, width) the size is that. */
gie_status onnx_lower_crop(struct onnx_node *n)
{
  static const int64_t axes[] = {2, 3};
  const int64_t limit = INT32_MAX;
  uint32_t n_border, n_scale;
  const int64_t *border = onnx_attr_ints(n, "border", &n_border),
                *scale = onnx_attr_ints(n, "scale", &n_scale);
  gie_id in[4] = {onnx_in(n, 0), GIE_NONE, GIE_NONE, GIE_NONE};
  if (n_border != 4 || (scale && n_scale != 2))
    return gie_fail(n->ctx, GIE_E_ATTR, "border needs 4 entries, scale 2");
  for (int i = 0; i < 4; i++)
    if (border[i] < 0 || border[i] > limit || (scale && (scale[i % 2] < 0 || scale[i % 2] > limit)))
      return gie_fail(n->ctx, GIE_E_ATTR, "negative or huge entry in border or scale");
  const int64_t starts[] = {border[1], border[0]};
  int64_t ends[] = {border[3] ? -border[3] : INT64_MAX, border[2] ? -border[2] : INT64_MAX};
  for (int i = 0; scale && i < 2; i++)
    ends[i] = starts[i] + scale[i];
  GIE_TRY(onnx_const_ints(n, "starts", starts, 2, &in[1]));
  GIE_TRY(onnx_const_ints(n, "ends", ends, 2, &in[2]));
  GIE_TRY(onnx_const_ints(n, "axes", axes, 2, &in[3]));
  return onnx_result(n, "slice", in, 4, NULL);
}

/* The shape is an attribute before opset 5. */
gie_status onnx_lower_reshape(struct onnx_node *n)
{
  struct onnx_attrs attrs = {.n = 0};
  uint32_t count;
  const int64_t *shape = onnx_attr_ints(n, "shape", &count);
  gie_id in[2] = {onnx_in(n, 0), GIE_NONE};
  GIE_TRY(onnx_plain_attrs(n, &attrs));
  if (n->opset >= 5) {
    if (shape)
      return onnx_refuse(n, "the attribute shape of opset 4 in opset %d", (int)n->opset);
    return onnx_result(n, "reshape", n->in, n->n_in, &attrs);
  }
  if (!shape || n->n_in != 1)
    return gie_fail(n->ctx, GIE_E_ATTR, "one operand and the attribute shape are needed");
  GIE_TRY(onnx_const_ints(n, "shape", shape, count, &in[1]));
  return onnx_result(n, "reshape", in, 2, &attrs);
}

/* Attributes pads (opset 1: paddings) and value before opset 11, operands since. */
gie_status onnx_lower_pad(struct onnx_node *n)
{
  struct onnx_attrs attrs = {.n = 0};
  uint32_t count;
  const int64_t *pads = onnx_attr_ints(n, n->opset < 2 ? "paddings" : "pads", &count);
  double value = onnx_attr_float(n, "value", 0);
  gie_id in[3] = {onnx_in(n, 0), GIE_NONE, GIE_NONE};
  GIE_TRY(onnx_plain_attrs(n, &attrs));
  if (n->opset >= 11) {
    if (pads || onnx_attr_find(n, "value"))
      return onnx_refuse(n, "the attributes of opset 10 in opset %d", (int)n->opset);
    return onnx_result(n, "pad", n->in, n->n_in, &attrs);
  }
  if (!pads || n->n_in != 1)
    return gie_fail(n->ctx, GIE_E_ATTR, "one operand and the attribute pads are needed");
  enum gie_dtype dtype = onnx_type(n, in[0])->dtype;
  if (value != 0 && !dtype)
    return onnx_refuse(n, "a fill value for a tensor of unknown element type");
  GIE_TRY(onnx_const_ints(n, "pads", pads, count, &in[1]));
  if (value == 0)
    return onnx_result(n, "pad", in, 2, &attrs);
  GIE_TRY(onnx_const_scalar(n, "value", dtype, value, &in[2]));
  return onnx_result(n, "pad", in, 3, &attrs);
}
