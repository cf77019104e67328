/* SPDX-License-Identifier: Apache-2.0 */
/* x * tanh(softplus(x)) is mish(x); softplus may be written as log(exp(x) + 1).
 *
 * Does not fire: a value in between is read by others or a graph output. */
#include "passes/match.h"

static bool is_softplus(const struct gie_graph *g, gie_id value, gie_id x)
{
  gie_id sum;
  if (value != GIE_NONE && pass_argument(g, value, "softplus") == x)
    return true;
  gie_id log = value == GIE_NONE ? GIE_NONE : pass_argument(g, value, "log");
  return log != GIE_NONE && pass_sum(g, log, 1, &sum) && pass_argument(g, sum, "exp") == x;
}

static bool match(const struct gie_graph *g, const struct gie_node *n, gie_id *x, struct gie_attr *attrs,
                  uint32_t *n_attrs)
{
  (void)attrs, (void)n_attrs;
  if (!pass_is_op(n, "mul"))
    return false;
  for (int i = 0; i < 2; i++) {
    *x = n->in[i];
    if (is_softplus(g, pass_argument(g, n->in[1 - i], "tanh"), *x))
      return true;
  }
  return false;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  return pass_recognize(g, changes, "mish", match);
}

const struct gie_pass gie_pass_fuse_mish = {sizeof(struct gie_pass), "fuse_mish",
                                            "makes x * tanh(softplus(x)) mish; not of shared values", run,
                                            NULL};
