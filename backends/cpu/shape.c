/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes and constants as tensors. Formulas: ONNX Shape (15), ConstantOfShape. */
#include "backends/cpu/cpu.h"

static gie_status shape_run(const struct cpu_call *c)
{
  const struct gie_desc *x = &c->self->in[0];
  struct cpu_tensor out = cpu_out(c, 0);
  struct cpu_row row = {.dtype = GIE_I64};
  int64_t start = gie_node_int(c->self->node, "start"), zero[GIE_MAX_RANK] = {0};
  start += start < 0 ? x->rank : 0;
  start = start < 0 ? 0 : start > x->rank ? x->rank : start;
  if (out.rank != 1 || out.dim[0] > x->rank - start)
    return gie_fail(c->launch->ctx, GIE_E_SHAPE, "the result is longer than the operand's rank");
  for (int64_t i = 0; i < out.dim[0]; i++)
    row.i[i] = x->dim[start + i];
  return cpu_emit(c, zero, 0, (int)out.dim[0], &row);
}

static gie_status fill_body(const struct cpu_call *c, const void *arg, int64_t item, int slot)
{
  const struct cpu_row *value = arg;
  struct cpu_tensor out = cpu_out(c, 0);
  struct cpu_box box = cpu_box(&out, 0, NULL);
  int64_t idx[GIE_MAX_RANK];
  int n = cpu_box_at(&box, item, idx);
  struct cpu_row row = *value;
  (void)slot;
  return cpu_emit(c, idx, box.axis, n, &row);
}

static gie_status constant_of_shape_run(const struct cpu_call *c)
{
  const struct gie_attr *a = gie_attrs_find(&c->self->node->attrs, "value");
  struct cpu_tensor out = cpu_out(c, 0);
  struct cpu_row value = {.dtype = out.dtype};
  if (a) {
    const struct gie_const *data = &a->u.t->data;
    struct cpu_tensor t = {(char *)gie_blob_data(data->blob) + data->offset, out.dtype, 0, -1, 1, {0}, {0}};
    cpu_read_row(&t, NULL, -1, 1, &value);
  }
  for (int k = 1; k < CPU_ROW; k++) /* the same 8 bytes, whichever member they are */
    value.i[k] = value.i[0];
  return cpu_for(c, cpu_box(&out, 0, NULL).rows, 16, fill_body, &value);
}

static bool constant_of_shape_check(const struct gie_problem *p, char *why, size_t size)
{
  const struct gie_attr *a = gie_attrs_find(&p->node->attrs, "value");
  if (a && (a->kind != GIE_ATTR_TENSOR || a->u.t->type.dtype != p->out[0].dtype ||
            a->u.t->data.size != gie_dtype_size(p->out[0].dtype)))
    return cpu_refuse(why, size, "the value is not one element of the result's dtype");
  return true;
}

const struct cpu_op cpu_op_shape = {shape_run, NULL, NULL, true};
const struct cpu_op cpu_op_constant_of_shape = {constant_of_shape_run, constant_of_shape_check, NULL, true};
