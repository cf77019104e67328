/* SPDX-License-Identifier: Apache-2.0 */
/* y = identity(x), and sum, max or min of one operand: readers of y read x.
 *
 * Does not fire where y is a graph output and x is an input, a constant or another output: the
 * output would lose its name. */
#include "passes/util.h"

static bool match(const struct gie_graph *g, const struct gie_node *n, gie_id *to)
{
  static const char *const names[] = {"identity", "sum", "max", "min"};
  (void)g;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (n->n_operands == 1 && strcmp(n->op->name, names[i]) == 0) {
      *to = n->in[0];
      return true;
    }
  return false;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  return pass_eliminate(g, changes, match);
}

const struct gie_pass gie_pass_eliminate_identity = {
    sizeof(struct gie_pass), "eliminate_identity",
    "removes identity, and sum, max and min of one operand; not where an output would lose its name", run,
    NULL};
