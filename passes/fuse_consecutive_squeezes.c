/* SPDX-License-Identifier: Apache-2.0 */
/* A squeeze of a squeeze is one squeeze.
 *
 *     %a = squeeze(%x, [0])
 *     %b = squeeze(%a, [1])    ->    %b = squeeze(%x, [0, 2])
 *
 * %a stays when others read it.
 *
 * Does not fire: axes that are not known or left out (all dims of 1), unknown rank, views. */
#include "passes/squeezes.h"

static bool join(const struct gie_graph *g, const struct gie_node *first, const struct gie_node *n,
                 uint32_t *axes)
{
  uint32_t inner, outer;
  int rank = gie_value_get(g, first->in[0])->type.shape.rank;
  if (!pass_axes(g, first, 1, rank, &inner) || !pass_axes(g, n, 1, rank - __builtin_popcount(inner), &outer))
    return false;
  *axes = squeezes_join(inner, outer, rank);
  return true;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  return squeezes_fuse(g, "squeeze", join, changes);
}

const struct gie_pass gie_pass_fuse_consecutive_squeezes = {
    sizeof(struct gie_pass), "fuse_consecutive_squeezes",
    "makes a squeeze of a squeeze one; not without axes", run, NULL};
