/* SPDX-License-Identifier: Apache-2.0 */
/* y = cast(x) {to=t} where x has dtype t: readers of y read x. */
#include "passes/util.h"

static bool match(const struct gie_graph *g, const struct gie_node *n, gie_id *to)
{
  (void)g;
  *to = n->in[0];
  return strcmp(n->op->name, "cast") == 0; /* the types are compared by pass_bypass() */
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  return pass_eliminate(g, changes, match);
}

const struct gie_pass gie_pass_eliminate_nop_cast = {
    sizeof(struct gie_pass), "eliminate_nop_cast",
    "removes casts to the dtype that is already there; not where an output would lose its name", run, NULL};
