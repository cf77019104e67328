/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes of matrix products. */
#include "core/ir/infer.h"

static gie_status check_inner(const struct gie_infer *x, struct gie_dim a, struct gie_dim b)
{
  char ta[64], tb[64];
  if (ir_dim_may_equal(a, b))
    return GIE_OK;
  return gie_fail(x->ctx, GIE_E_SHAPE, "inner dims differ: a has %s, b has %s",
                  ir_dim_text(x, a, ta, sizeof ta), ir_dim_text(x, b, tb, sizeof tb));
}

gie_status ir_shape_gemm(struct gie_infer *x)
{
  int trans_a = gie_node_int(x->node, "trans_a") != 0, trans_b = gie_node_int(x->node, "trans_b") != 0;
  struct gie_shape *out = &x->out[0].shape;
  x->out[0].dtype = x->in[0].dtype;
  for (uint32_t i = 0; i < 2; i++)
    if (ir_rank(x, i) >= 0 && ir_rank(x, i) != 2)
      return gie_fail(x->ctx, GIE_E_SHAPE, "%s has rank %d; it must be a matrix", i ? "b" : "a",
                      ir_rank(x, i));
  ir_set_rank(out, 2);
  if (ir_rank(x, 0) == 2)
    out->dim[0] = ir_dim(x, 0, trans_a);
  if (ir_rank(x, 1) == 2)
    out->dim[1] = ir_dim(x, 1, !trans_b);
  if (ir_rank(x, 0) == 2 && ir_rank(x, 1) == 2)
    GIE_TRY(check_inner(x, ir_dim(x, 0, !trans_a), ir_dim(x, 1, trans_b)));
  return ir_has(x, 2) ? ir_broadcast_to(x, out, &x->in[2].shape, "c") : GIE_OK;
}

/* The axes of s before the last two. */
static struct gie_shape batch_of(const struct gie_shape *s)
{
  struct gie_shape b = *s;
  b.rank = s->rank > 2 ? s->rank - 2 : 0;
  return b;
}

gie_status ir_shape_matmul(struct gie_infer *x)
{
  const struct gie_shape *a = &x->in[0].shape, *b = &x->in[1].shape;
  struct gie_shape *out = &x->out[0].shape, ba, bb;
  x->out[0].dtype = x->in[0].dtype;
  if (a->rank == 0 || b->rank == 0)
    return gie_fail(x->ctx, GIE_E_SHAPE, "%s is a scalar; use mul", a->rank == 0 ? "a" : "b");
  if (a->rank < 0 || b->rank < 0)
    return GIE_OK;
  GIE_TRY(check_inner(x, a->dim[a->rank - 1], b->dim[b->rank > 1 ? b->rank - 2 : 0]));
  ba = batch_of(a);
  bb = batch_of(b);
  GIE_TRY(ir_broadcast(x, &ba, &bb, out));
  /* A vector is a matrix with one row (a) or column (b), which the result does not have. */
  if (a->rank > 1)
    out->dim[out->rank++] = a->dim[a->rank - 2];
  if (b->rank > 1)
    out->dim[out->rank++] = b->dim[b->rank - 1];
  return ir_has(x, 2) ? ir_broadcast_to(x, out, &x->in[2].shape, "the bias") : GIE_OK;
}
