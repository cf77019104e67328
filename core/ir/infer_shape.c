/* SPDX-License-Identifier: Apache-2.0 */
/* Shape functions of shape and constant_of_shape. */
#include "core/ir/infer.h"

static int64_t clamp_axis(int64_t axis, int rank)
{
  axis = axis < 0 ? axis + rank : axis;
  return axis < 0 ? 0 : axis > rank ? rank : axis;
}

gie_status ir_shape_shape(struct gie_infer *x)
{
  int rank = ir_rank(x, 0);
  x->out[0].dtype = GIE_I64;
  ir_set_rank(&x->out[0].shape, 1);
  if (rank < 0)
    return GIE_OK;
  int64_t start = clamp_axis(gie_node_int(x->node, "start"), rank),
          end = clamp_axis(gie_node_int(x->node, "end"), rank);
  int64_t n = end > start ? end - start : 0;
  x->out[0].shape.dim[0] = gie_dim_num(n);
  ir_set_known(x, &x->in[0].shape.dim[n ? start : 0], (uint32_t)n);
  return GIE_OK;
}

/* The one element of the value attribute; false when it is no integer. */
static bool fill_element(const struct gie_tensor_attr *t, int64_t *out)
{
  return ir_int_at(t->type.dtype, (const char *)gie_blob_data(t->data.blob) + t->data.offset, 0, out);
}

gie_status ir_shape_constant_of_shape(struct gie_infer *x)
{
  const struct gie_attr *value = gie_attrs_find(&x->node->attrs, "value");
  const struct gie_tensor_attr *t = value ? value->u.t : NULL;
  uint32_t n;
  const struct gie_dim *k = ir_known(x, 0, &n);
  int64_t count = ir_list_length(x, 0), element, total;
  struct gie_shape *out = &x->out[0].shape;
  struct gie_dim fill[GIE_MAX_KNOWN];
  x->out[0].dtype = t ? t->type.dtype : GIE_F32;
  if (t && (gie_shape_count(x->ctx, &t->type.shape, &total) != GIE_OK || total != 1))
    return gie_fail(x->ctx, GIE_E_ATTR, "value must have one element");
  GIE_TRY(ir_check_list(x, 0, "shape"));
  if (count < 0)
    return GIE_OK;
  GIE_TRY(ir_check_rank(x, count));
  ir_set_rank(out, (int)count);
  for (int i = 0; k && i < out->rank; i++) {
    if (gie_dim_is_num(k[i]) && k[i].b < 0)
      return gie_fail(x->ctx, GIE_E_SHAPE, "shape asks for the dim %lld", (long long)k[i].b);
    out->dim[i] = k[i];
  }
  total = out->rank == 0 ? 1 : out->rank == 1 && gie_dim_is_num(out->dim[0]) ? out->dim[0].b : -1;
  if (total < 0 || total > GIE_MAX_KNOWN || !t || !fill_element(t, &element))
    return GIE_OK;
  for (int64_t i = 0; i < total; i++)
    fill[i] = gie_dim_num(element);
  ir_set_known(x, fill, (uint32_t)total);
  return GIE_OK;
}
