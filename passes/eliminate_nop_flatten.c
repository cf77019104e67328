/* SPDX-License-Identifier: Apache-2.0 */
/* y = flatten(x) where x has rank 2 and the same shape: readers of y read x. */
#include "passes/util.h"

static bool match(const struct gie_graph *g, const struct gie_node *n, gie_id *to)
{
  (void)g;
  *to = n->in[0];
  return strcmp(n->op->name, "flatten") == 0;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  return pass_eliminate(g, changes, match);
}

const struct gie_pass gie_pass_eliminate_nop_flatten = {
    sizeof(struct gie_pass), "eliminate_nop_flatten",
    "removes flatten of what is flat already; not where an output would lose its name", run, NULL};
