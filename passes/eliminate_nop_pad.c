/* SPDX-License-Identifier: Apache-2.0 */
/* y = pad(x, [0,0,…]): readers of y read x.
 *
 * Does not fire when the amounts are not known. An equal shape is not enough: +1 before and -1
 * behind keep it, too. */
#include "passes/util.h"

static bool match(const struct gie_graph *g, const struct gie_node *n, gie_id *to)
{
  int64_t pads[2 * GIE_MAX_RANK];
  uint32_t count;
  if (strcmp(n->op->name, "pad") != 0 || !gie_value_ints(g, n->in[1], pads, 2 * GIE_MAX_RANK, &count))
    return false;
  for (uint32_t i = 0; i < count; i++)
    if (pads[i] != 0)
      return false;
  *to = n->in[0];
  return true;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  return pass_eliminate(g, changes, match);
}

const struct gie_pass gie_pass_eliminate_nop_pad = {
    sizeof(struct gie_pass), "eliminate_nop_pad", "removes pad by nothing; not by amounts that are not known",
    run, NULL};
