/* SPDX-License-Identifier: Apache-2.0 */
/* y = concat(x) of a single operand: readers of y read x. */
#include "passes/util.h"

static bool match(const struct gie_graph *g, const struct gie_node *n, gie_id *to)
{
  (void)g;
  *to = n->in[0];
  return strcmp(n->op->name, "concat") == 0 && n->n_operands == 1;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  return pass_eliminate(g, changes, match);
}

const struct gie_pass gie_pass_eliminate_nop_concat = {
    sizeof(struct gie_pass), "eliminate_nop_concat",
    "removes concat of one operand; not where an output would lose its name", run, NULL};
