/* SPDX-License-Identifier: Apache-2.0 */
/* y = reshape(x, …), squeeze or unsqueeze with the same shape as x: readers of y read x.
 *
 * The shapes must be certainly equal: does not fire when a dim is unknown. */
#include "passes/util.h"

static bool match(const struct gie_graph *g, const struct gie_node *n, gie_id *to)
{
  const char *op = n->op->name;
  (void)g;
  *to = n->in[0];
  return strcmp(op, "reshape") == 0 || strcmp(op, "squeeze") == 0 || strcmp(op, "unsqueeze") == 0;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  return pass_eliminate(g, changes, match);
}

const struct gie_pass gie_pass_eliminate_nop_reshape = {
    sizeof(struct gie_pass), "eliminate_nop_reshape",
    "removes reshape, squeeze and unsqueeze that keep the shape; not where a dim is unknown", run, NULL};
