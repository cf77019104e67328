/* SPDX-License-Identifier: Apache-2.0 */
/* An unsqueeze of an unsqueeze is one unsqueeze.
 *
 *     %a = unsqueeze(%x, [0])
 *     %b = unsqueeze(%a, [1])    ->    %b = unsqueeze(%x, [0, 1])
 *
 * %a stays when others read it.
 *
 * Does not fire: axes that are not known, unknown rank, views. */
#include "passes/squeezes.h"

static bool join(const struct gie_graph *g, const struct gie_node *first, const struct gie_node *n,
                 uint32_t *axes)
{
  uint32_t inner, outer;
  int middle = gie_value_get(g, n->in[0])->type.shape.rank,
      rank = gie_value_get(g, n->out[0])->type.shape.rank;
  if (!pass_axes(g, first, 1, middle, &inner) || !pass_axes(g, n, 1, rank, &outer) ||
      rank - middle != __builtin_popcount(outer))
    return false;
  *axes = squeezes_join(outer, inner, rank);
  return true;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  return squeezes_fuse(g, "unsqueeze", join, changes);
}

const struct gie_pass gie_pass_fuse_consecutive_unsqueezes = {
    sizeof(struct gie_pass), "fuse_consecutive_unsqueezes",
    "makes an unsqueeze of an unsqueeze one; not with unknown axes or rank", run, NULL};
