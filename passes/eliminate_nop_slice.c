/* SPDX-License-Identifier: Apache-2.0 */
/* y = slice(x, …) with steps > 0 and the same shape as x: readers of y read x.
 *
 * Does not fire with steps that are not known or negative: they may reverse an axis. */
#include "passes/util.h"

static bool match(const struct gie_graph *g, const struct gie_node *n, gie_id *to)
{
  int64_t steps[GIE_MAX_RANK];
  uint32_t count = 0;
  if (strcmp(n->op->name, "slice") != 0)
    return false;
  bool given = n->n_operands > 4 && n->in[4] != GIE_NONE;
  if (given && !gie_value_ints(g, n->in[4], steps, GIE_MAX_RANK, &count))
    return false;
  for (uint32_t i = 0; i < count; i++)
    if (steps[i] < 1)
      return false;
  *to = n->in[0];
  return true;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  return pass_eliminate(g, changes, match);
}

const struct gie_pass gie_pass_eliminate_nop_slice = {
    sizeof(struct gie_pass), "eliminate_nop_slice",
    "removes slices that take everything; not with negative or unknown steps", run, NULL};
