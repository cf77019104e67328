/* SPDX-License-Identifier: Apache-2.0 */
/* What the passes on transposes share. */
#ifndef GIE_PASSES_PERM_H
#define GIE_PASSES_PERM_H

#include "passes/util.h"

/* Result axis i of the transpose is axis perm[i] of its operand. False when it is none or the rank is unknown. */
static inline bool pass_perm(const struct gie_graph *g, const struct gie_node *n, int64_t *perm, int *rank)
{
  if (!pass_is_op(n, "transpose"))
    return false;
  *rank = gie_value_get(g, n->in[0])->type.shape.rank;
  const struct gie_attr *a = gie_attrs_find(&n->attrs, "perm");
  if (*rank < 0 || (a && a->n != (uint32_t)*rank))
    return false;
  gie_node_ints(n, "perm", perm, GIE_MAX_RANK, 0);
  for (int i = 0; !a && i < *rank; i++)
    perm[i] = *rank - 1 - i;
  return true;
}

static inline struct gie_attr pass_perm_attr(const int64_t *perm, int rank)
{
  return (struct gie_attr){.name = "perm", .kind = GIE_ATTR_INTS, .n = (uint32_t)rank, .u.is = perm};
}

#endif
