/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions, pools, normalization, softmax. */
#include "plugins/onnx/onnx.h"

/* ---- Windows --------------------------------------------------------------------------------- */

/* pads and auto_pad. VALID is no padding; SAME_* replaces pads. */
static gie_status put_pads(struct onnx_node *n, struct onnx_attrs *l)
{
  static const struct {
    const char *onnx, *ir;
  } modes[] = {{"NOTSET", NULL},
               {"", NULL},
               {"VALID", NULL},
               {"SAME_UPPER", "same_upper"},
               {"SAME_LOWER", "same_lower"}};
  const char *mode = onnx_attr_string(n, "auto_pad", "NOTSET");
  uint32_t count;
  const int64_t *pads = onnx_attr_ints(n, "pads", &count);
  size_t i = 0;
  if (!mode)
    return GIE_E_MEMORY;
  while (i < sizeof modes / sizeof modes[0] && strcmp(modes[i].onnx, mode) != 0)
    i++;
  if (i == sizeof modes / sizeof modes[0])
    return gie_fail(n->ctx, GIE_E_ATTR, "auto_pad \"%.40s\" is none of NOTSET, VALID, SAME_UPPER, SAME_LOWER",
                    mode);
  if (modes[i].ir)
    onnx_put_string(l, "auto_pad", modes[i].ir);
  else if (pads && i < 2)
    onnx_put_ints(l, "pad", pads, count);
  return GIE_OK;
}

/* kernel_shape of a convolution only repeats the dims of the weights. */
static gie_status check_kernel(struct onnx_node *n)
{
  uint32_t count;
  const int64_t *kernel = onnx_attr_ints(n, "kernel_shape", &count);
  const struct gie_shape *w = &onnx_type(n, onnx_in(n, 1))->shape;
  if (!kernel || w->rank < 0)
    return GIE_OK;
  if ((int)count != w->rank - 2)
    return gie_fail(n->ctx, GIE_E_ATTR, "kernel_shape has %u entries, the weights have %d spatial axes",
                    (unsigned)count, w->rank - 2);
  for (uint32_t i = 0; i < count; i++)
    if (gie_dim_is_num(w->dim[i + 2]) && w->dim[i + 2].b != kernel[i])
      return gie_fail(n->ctx, GIE_E_ATTR,
                      "kernel_shape says %lld along spatial axis %u, the weights have %lld",
                      (long long)kernel[i], (unsigned)i, (long long)w->dim[i + 2].b);
  return GIE_OK;
}

gie_status onnx_lower_conv(struct onnx_node *n)
{
  struct onnx_attrs attrs = {.n = 0};
  GIE_TRY(check_kernel(n));
  GIE_TRY(onnx_plain_attrs(n, &attrs));
  GIE_TRY(put_pads(n, &attrs));
  return onnx_result(n, "conv", n->in, n->n_in, &attrs);
}

/* output_shape may have the batch and channels in front; only the spatial part says anything. */
gie_status onnx_lower_conv_transpose(struct onnx_node *n)
{
  struct onnx_attrs attrs = {.n = 0};
  uint32_t count;
  const int64_t *shape = onnx_attr_ints(n, "output_shape", &count);
  int rank = onnx_rank(n, onnx_in(n, 1));
  GIE_TRY(check_kernel(n));
  GIE_TRY(onnx_plain_attrs(n, &attrs));
  GIE_TRY(put_pads(n, &attrs));
  if (shape && count) {
    uint32_t skip = rank > 2 && (int)count == rank ? 2 : 0;
    onnx_put_ints(&attrs, "output_shape", shape + skip, count - skip);
  }
  return onnx_result(n, "conv_transpose", n->in, n->n_in, &attrs);
}

gie_status onnx_lower_pool(struct onnx_node *n)
{
  struct onnx_attrs attrs = {.n = 0};
  GIE_TRY(onnx_plain_attrs(n, &attrs));
  GIE_TRY(put_pads(n, &attrs));
  return onnx_result(n, n->op->ir_op, n->in, n->n_in, &attrs);
}

/* ---- Normalization --------------------------------------------------------------------------- */

/* Training form: more than one result, is_test 0 below opset 7, training_mode from 14. spatial 0 (7 and 8)
 * has a mean per element, which is the same as per channel only without spatial axes. */
gie_status onnx_lower_batch_norm(struct onnx_node *n)
{
  struct onnx_attrs attrs = {.n = 0};
  if (onnx_attr_int(n, "training_mode", 0) || (n->opset < 7 && !onnx_attr_int(n, "is_test", 0)) ||
      n->n_out > 1)
    return onnx_refuse(n, "training mode is not supported; export the model for inference");
  if (!onnx_attr_int(n, "spatial", 1) && onnx_rank(n, onnx_in(n, 0)) != 2)
    return onnx_refuse(n, "spatial=0, statistics per element, is not supported");
  GIE_TRY(onnx_plain_attrs(n, &attrs));
  return onnx_result(n, "batch_norm", n->in, n->n_in, &attrs);
}

/* stash_type says in what the statistics are computed and stored: f32, which is the default, or bf16. */
gie_status onnx_lower_layer_norm(struct onnx_node *n)
{
  struct onnx_attrs attrs = {.n = 0};
  if (onnx_attr_int(n, "stash_type", ONNX_FLOAT) != ONNX_FLOAT)
    return onnx_refuse(n, "statistics in another type than f32 are not supported");
  GIE_TRY(onnx_plain_attrs(n, &attrs));
  return onnx_result(n, "layer_norm", n->in, n->n_in, &attrs);
}

gie_status onnx_lower_gelu(struct onnx_node *n)
{
  struct onnx_attrs attrs = {.n = 0};
  const char *approximate = onnx_attr_string(n, "approximate", "none");
  if (!approximate)
    return GIE_E_MEMORY;
  if (strcmp(approximate, "tanh") == 0)
    onnx_put_int(&attrs, "tanh", 1);
  else if (strcmp(approximate, "none") != 0)
    return gie_fail(n->ctx, GIE_E_ATTR, "approximate \"%.40s\" is neither none nor tanh", approximate);
  return onnx_result(n, "gelu", n->in, n->n_in, &attrs);
}

/* Whether dropout is certainly off: is_test below opset 7, always from 7 to 11, an operand from 12. */
static bool inference_form(struct onnx_node *n)
{
  int64_t training;
  uint32_t count;
  if (n->opset < 7)
    return onnx_attr_int(n, "is_test", 0) != 0;
  if (n->opset < 12 || onnx_in(n, 2) == GIE_NONE)
    return true;
  gie_id c = onnx_const_of(n, onnx_in(n, 2));
  return c != GIE_NONE && gie_value_ints(n->g, c, &training, 1, &count) && count == 1 && training == 0;
}

/* Result 1 below opset 10: ones of x's type (bool since, which the IR's dropout makes itself). Exporters
 * list it although nobody reads it, and then clean-up removes these nodes again. */
static gie_status mask_of_ones(struct onnx_node *n, gie_id x)
{
  gie_id one, dims, mask;
  const char *name = n->proto->output[1];
  if (!*name)
    return GIE_OK;
  if (!onnx_type(n, x)->dtype)
    return onnx_refuse(n, "the mask of a tensor of unknown element type");
  GIE_TRY(onnx_const_scalar(n, "one", onnx_type(n, x)->dtype, 1, &one));
  GIE_TRY(onnx_step(n, "shape", "shape", &x, 1, NULL, &dims));
  GIE_TRY(onnx_step(n, "mask", "expand", (gie_id[]){one, dims}, 2, NULL, &mask));
  if (!(name = onnx_value_name(n->scope, name)))
    return GIE_E_MEMORY;
  GIE_TRY(gie_value_rename(n->g, mask, name));
  return onnx_bind(n, 1, mask);
}

gie_status onnx_lower_dropout(struct onnx_node *n)
{
  gie_id x = onnx_in(n, 0);
  if (!inference_form(n))
    return onnx_refuse(n, "training mode is not supported; export the model for inference");
  if (n->n_out > 1 && n->opset < 10) {
    GIE_TRY(mask_of_ones(n, x));
    if (n->reason)
      return GIE_OK;
    n->n_out = 1;
  }
  return onnx_result(n, "dropout", &x, 1, NULL);
}

/* ---- Softmax --------------------------------------------------------------------------------- */

/* Whether the axes behind `axis` are all 1, so that flattening changes nothing. */
static bool plain_axis(const struct gie_shape *s, int axis)
{
  for (int i = axis + 1; i < s->rank; i++)
    if (!gie_dim_is_num(s->dim[i]) || s->dim[i].b != 1)
      return false;
  return true;
}

/* The dims of x as an operand for reshape: a constant when they are numbers. */
static gie_status dims_of(struct onnx_node *n, gie_id x, gie_id *out)
{
  const struct gie_shape *s = &onnx_type(n, x)->shape;
  int64_t dims[GIE_MAX_RANK];
  for (int i = 0; i < s->rank; i++) {
    if (!gie_dim_is_num(s->dim[i]))
      return onnx_step(n, "shape", "shape", &x, 1, NULL, out);
    dims[i] = s->dim[i].b;
  }
  return onnx_const_ints(n, "shape", dims, (uint32_t)s->rank, out);
}

/* Below opset 13 the tensor is flattened to two axes at `axis` (default 1) and the second one is normalized;
 * since, `axis` (default the last) alone is. */
gie_status onnx_lower_softmax(struct onnx_node *n)
{
  struct onnx_attrs attrs = {.n = 0}, flat_attrs = {.n = 0};
  gie_id x = onnx_in(n, 0), in[2];
  int64_t axis = onnx_attr_int(n, "axis", n->opset < 13 ? 1 : -1);
  int rank = onnx_rank(n, x);
  if (n->opset >= 13) {
    onnx_put_int(&attrs, "axis", axis);
    return onnx_result(n, n->op->ir_op, &x, 1, &attrs);
  }
  if (rank < 0)
    return onnx_refuse(n, "softmax below opset 13 on a tensor of unknown rank");
  if (axis < -rank || axis > rank || (axis == rank && rank != 1))
    return gie_fail(n->ctx, GIE_E_ATTR, "axis %lld of a tensor of rank %d", (long long)axis, rank);
  axis += axis < 0 ? rank : 0;
  if (axis < rank && plain_axis(&onnx_type(n, x)->shape, (int)axis)) {
    onnx_put_int(&attrs, "axis", axis);
    return onnx_result(n, n->op->ir_op, &x, 1, &attrs);
  }
  onnx_put_int(&flat_attrs, "axis", axis);
  onnx_put_int(&attrs, "axis", 1);
  GIE_TRY(dims_of(n, x, &in[1]));
  GIE_TRY(onnx_step(n, "flat", "flatten", &x, 1, &flat_attrs, &in[0]));
  GIE_TRY(onnx_step(n, "rows", n->op->ir_op, in, 1, &attrs, &in[0]));
  struct onnx_attrs zero = {.n = 0};
  onnx_put_int(&zero, "allowzero", 1);
  return onnx_result(n, "reshape", in, 2, &zero);
}
