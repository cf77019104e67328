/* SPDX-License-Identifier: Apache-2.0 */
/* A product of two matrices with a bias is a gemm.
 *
 *     %m = matmul(%a, %b)
 *     %y = add(%m, %c)  with %c constant   ->   %y = gemm(%a, %b, %c)
 *
 * Also where the bias has already become the third operand of matmul.
 *
 * Does not fire: operands of another rank than 2, %m shared or a graph output, %c that enlarges the
 * result or has another dtype, matmul without a bias. */
#include "passes/util.h"

static bool has_rank_2(const struct gie_graph *g, gie_id value)
{
  return gie_value_get(g, value)->type.shape.rank == 2;
}

/* The addition of a constant behind n, or NULL. */
static const struct gie_node *addition(const struct gie_graph *g, const struct gie_node *n, gie_id *bias)
{
  const struct gie_value *v = gie_value_get(g, n->out[0]);
  const struct gie_node *add = pass_only_reader(g, v->id);
  if (n->n_steps || !add || !pass_is_op(add, "add") || add->n_steps || !pass_is_plain(v))
    return NULL;
  *bias = add->in[add->in[0] == v->id];
  const struct gie_value *b = gie_value_get(g, *bias), *y = gie_value_get(g, add->out[0]);
  return b->kind == GIE_VALUE_CONST && pass_is_plain(b) && pass_is_plain(y) &&
                 b->type.dtype == v->type.dtype && pass_same_type(&v->type, &y->type)
             ? add
             : NULL;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  GIE_FOR_NODES(g, id) {
    const struct gie_node *n = gie_node_get(g, id), *add = NULL;
    gie_id bias;
    if (!pass_is_op(n, "matmul") || !has_rank_2(g, n->in[0]) || !has_rank_2(g, n->in[1]))
      continue;
    if (!pass_has_operand(n, 2) && !(add = addition(g, n, &bias)))
      continue;
    GIE_TRY(gie_node_set_op(g, id, "gemm"));
    if (add) {
      GIE_TRY(pass_set_operand(g, n, 2, bias));
      GIE_TRY(gie_value_replace(g, add->out[0], n->out[0]));
      GIE_TRY(gie_node_remove(g, add->id));
    }
    ++*changes;
  }
  return GIE_OK;
}

const struct gie_pass gie_pass_fuse_matmul_add_bias_into_gemm = {
    sizeof(struct gie_pass), "fuse_matmul_add_bias_into_gemm",
    "makes matmul of matrices with a constant bias gemm; not of other ranks", run, NULL};
