/* SPDX-License-Identifier: Apache-2.0 */
/* An unsqueeze of an unsqueeze is one unsqueeze.
 *
 *     %a = unsqueeze(%x, [0])
 *     %b = unsqueeze(%a, [1])    ->    %b = unsqueeze(%x, [0, 1])
 *
 * %a stays when others read it.
 *
 * Does not fire: axes that are not known, unknown rank, views. */
#include "passes/util.h"

static bool match(const struct gie_graph *g, const struct gie_node *n, const struct gie_node **first,
                  uint32_t *axes)
{
  uint32_t inner, outer;
  if (!pass_is_op(n, "unsqueeze") || !(*first = pass_producer(g, n->in[0], "unsqueeze")))
    return false;
  int middle = gie_value_get(g, n->in[0])->type.shape.rank,
      rank = gie_value_get(g, n->out[0])->type.shape.rank;
  if (!pass_axes(g, *first, 1, middle, &inner) || !pass_axes(g, n, 1, rank, &outer) ||
      rank - middle != __builtin_popcount(outer))
    return false;
  *axes = outer;
  for (int i = 0, from = 0; i < rank; i++)
    if (!(outer & 1u << i) && (inner & 1u << from++))
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

const struct gie_pass gie_pass_fuse_consecutive_unsqueezes = {
    sizeof(struct gie_pass), "fuse_consecutive_unsqueezes",
    "makes an unsqueeze of an unsqueeze one; not with unknown axes or rank", run, NULL};
