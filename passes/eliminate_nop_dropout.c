/* SPDX-License-Identifier: Apache-2.0 */
/* y, mask = dropout(x): readers of y read x. The node stays while its mask is read.
 *
 * The IR's dropout is the inference form: shape inference refuses training. */
#include "passes/util.h"

static bool match(const struct gie_graph *g, const struct gie_node *n, gie_id *to)
{
  (void)g;
  *to = n->in[0];
  return strcmp(n->op->name, "dropout") == 0;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  return pass_eliminate(g, changes, match);
}

const struct gie_pass gie_pass_eliminate_nop_dropout = {
    sizeof(struct gie_pass), "eliminate_nop_dropout",
    "removes dropout, which does nothing at inference; not where an output would lose its name", run, NULL};
