/* SPDX-License-Identifier: Apache-2.0 */
/* A squeeze of a squeeze is one squeeze.
 *
 *     %a = squeeze(%x, [0])
 *     %b = squeeze(%a, [1])    ->    %b = squeeze(%x, [0, 2])
 *
 * %a stays when others read it.
 *
 * Does not fire: axes that are not known or left out (all dims of 1), unknown rank, views. */
#include "passes/util.h"

static bool match(const struct gie_graph *g, const struct gie_node *n, const struct gie_node **first,
                  uint32_t *axes)
{
  uint32_t inner, outer;
  if (!pass_is_op(n, "squeeze") || !(*first = pass_producer(g, n->in[0], "squeeze")))
    return false;
  int rank = gie_value_get(g, (*first)->in[0])->type.shape.rank;
  if (!pass_axes(g, *first, 1, rank, &inner) || !pass_axes(g, n, 1, rank - __builtin_popcount(inner), &outer))
    return false;
  *axes = inner;
  for (int i = 0, kept = 0; i < rank; i++)
    if (!(inner & 1u << i) && (outer & 1u << kept++))
      *axes |= 1u << i;
  return true;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  const struct gie_node *first;
  uint32_t axes;
  (void)pc;
  GIE_FOR_NODES(g, id) {
    const struct gie_node *n = gie_node_get(g, id);
    int64_t list[GIE_MAX_RANK];
    uint32_t count = 0;
    gie_id operand, old = n->n_operands ? n->in[0] : GIE_NONE;
    if (!match(g, n, &first, &axes))
      continue;
    for (int i = 0; i < GIE_MAX_RANK; i++)
      if (axes & 1u << i)
        list[count++] = i;
    GIE_TRY(pass_const_ints(g, list, count, &operand));
    GIE_TRY(gie_node_set_input(g, id, 1, operand));
    GIE_TRY(gie_node_set_input(g, id, 0, first->in[0]));
    GIE_TRY(pass_prune(g, old));
    ++*changes;
  }
  return GIE_OK;
}

const struct gie_pass gie_pass_fuse_consecutive_squeezes = {
    sizeof(struct gie_pass), "fuse_consecutive_squeezes",
    "makes a squeeze of a squeeze one; not without axes", run, NULL};
