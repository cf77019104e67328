/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes of reductions. */
#include "core/ir/infer.h"

/* Drops (or with keepdims makes 1) the axes in mask. */
static void reduced(const struct gie_shape *in, uint32_t mask, bool keepdims, struct gie_shape *out)
{
  int n = 0;
  for (int i = 0; i < in->rank; i++) {
    bool gone = mask >> i & 1;
    if (!gone || keepdims)
      out->dim[n++] = gone ? gie_dim_num(1) : in->dim[i];
  }
  out->rank = n;
}

/* The one element of a whole list reduced: sum of dims, greatest or least of numbers. */
static void reduce_known(const struct gie_infer *x)
{
  uint32_t n;
  const struct gie_dim *k = ir_known(x, 0, &n);
  const char *op = x->node->op->name;
  bool sum = strcmp(op, "reduce_sum") == 0, max = strcmp(op, "reduce_max") == 0,
       min = strcmp(op, "reduce_min") == 0;
  if (!k || n == 0 || ir_rank(x, 0) > 1 || !(sum || max || min))
    return;
  struct gie_dim r = k[0];
  for (uint32_t i = 1; i < n; i++) {
    bool numbers = gie_dim_is_num(r) && gie_dim_is_num(k[i]);
    if (sum)
      r = gie_dim_add(r, k[i]);
    else if (!numbers)
      r = gie_dim_equal(r, k[i]) ? r : gie_dim_unknown();
    else if (max ? k[i].b > r.b : k[i].b < r.b)
      r = k[i];
  }
  ir_set_known(x, &r, 1);
}

gie_status ir_shape_reduce(struct gie_infer *x)
{
  bool keepdims = gie_node_int(x->node, "keepdims") != 0;
  bool noop = gie_node_int(x->node, "noop_with_empty_axes") != 0;
  int rank = ir_rank(x, 0);
  int64_t count = ir_has(x, 1) ? ir_list_length(x, 1) : 0;
  uint32_t mask = 0;
  bool known = true;
  x->out[0].dtype = x->in[0].dtype;
  GIE_TRY(ir_check_list(x, 1, "axes"));
  if (rank < 0)
    return GIE_OK;
  if (count > rank)
    return gie_fail(x->ctx, GIE_E_SHAPE, "%lld axes for rank %d", (long long)count, rank);
  if (count > 0)
    GIE_TRY(ir_axes(x, 1, rank, &mask, &known));
  if (count == 0)
    mask = noop ? 0 : (1u << rank) - 1;
  if (count < 0 || !known) {
    /* Which axes go is not known: at most the rank is. */
    if (keepdims)
      ir_set_rank(&x->out[0].shape, rank);
    else if (count > 0)
      ir_set_rank(&x->out[0].shape, rank - (int)count);
    return GIE_OK;
  }
  reduced(&x->in[0].shape, mask, keepdims, &x->out[0].shape);
  if (rank == 1 && mask == 1)
    reduce_known(x);
  return GIE_OK;
}

gie_status ir_shape_arg_max(struct gie_infer *x)
{
  int rank = ir_rank(x, 0), axis;
  x->out[0].dtype = GIE_I64;
  if (rank < 0)
    return GIE_OK;
  GIE_TRY(ir_axis(x, gie_node_int(x->node, "axis"), rank, &axis));
  if (gie_dim_is_num(ir_dim(x, 0, axis)) && ir_dim(x, 0, axis).b == 0)
    return gie_fail(x->ctx, GIE_E_SHAPE, "axis %d has no elements, so none is the greatest", axis);
  reduced(&x->in[0].shape, 1u << axis, gie_node_int(x->node, "keepdims") != 0, &x->out[0].shape);
  return GIE_OK;
}
