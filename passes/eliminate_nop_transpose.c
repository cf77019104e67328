/* SPDX-License-Identifier: Apache-2.0 */
/* y = transpose(x) {perm=[0,1,…]}: readers of y read x.
 *
 * An equal shape is not enough: a square matrix has its shape when it is transposed. */
#include "passes/util.h"

static bool match(const struct gie_graph *g, const struct gie_node *n, gie_id *to)
{
  int64_t perm[GIE_MAX_RANK];
  if (strcmp(n->op->name, "transpose") != 0)
    return false;
  const struct gie_attr *a = gie_attrs_find(&n->attrs, "perm");
  int rank = gie_value_get(g, n->in[0])->type.shape.rank;
  if (rank > 1 && (!a || gie_node_ints(n, "perm", perm, GIE_MAX_RANK, -1) != (uint32_t)rank))
    return false;
  for (int i = 0; rank > 1 && i < rank; i++)
    if (perm[i] != i)
      return false;
  *to = n->in[0];
  return rank >= 0;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  return pass_eliminate(g, changes, match);
}

const struct gie_pass gie_pass_eliminate_nop_transpose = {
    sizeof(struct gie_pass), "eliminate_nop_transpose",
    "removes transpose that keeps the order of the axes; not where an output would lose its name", run, NULL};
