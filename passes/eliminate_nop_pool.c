/* SPDX-License-Identifier: Apache-2.0 */
/* A pool over windows of one element with stride 1 and no padding: readers read the operand.
 *
 * Does not fire on max_pool with a second result that is read. */
#include "passes/util.h"

static bool match(const struct gie_graph *g, const struct gie_node *n, gie_id *to)
{
  int64_t kernel[GIE_MAX_RANK], stride[GIE_MAX_RANK], pad[2 * GIE_MAX_RANK];
  if ((!pass_is_op(n, "average_pool") && !pass_is_op(n, "max_pool")) ||
      strcmp(gie_node_string(n, "auto_pad"), "explicit") != 0)
    return false;
  for (uint32_t i = 1; i < n->n_out; i++)
    if (gie_value_get(g, n->out[i])->n_uses || gie_value_get(g, n->out[i])->n_outputs)
      return false;
  gie_node_ints(n, "kernel", kernel, GIE_MAX_RANK, 1);
  gie_node_ints(n, "stride", stride, GIE_MAX_RANK, 1);
  gie_node_ints(n, "pad", pad, 2 * GIE_MAX_RANK, 0);
  for (int i = 0; i < GIE_MAX_RANK; i++)
    if (kernel[i] != 1 || stride[i] != 1 || pad[2 * i] || pad[2 * i + 1])
      return false;
  *to = n->in[0];
  return true;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  return pass_eliminate(g, changes, match);
}

const struct gie_pass gie_pass_eliminate_nop_pool = {
    sizeof(struct gie_pass), "eliminate_nop_pool",
    "removes pools over windows of one element; not with indices that are read", run, NULL};
