/* SPDX-License-Identifier: Apache-2.0 */
/* x * sigmoid(x) is silu(x).
 *
 * Does not fire: the sigmoid is read by others or a graph output, integers. */
#include "passes/match.h"

static bool match(const struct gie_graph *g, const struct gie_node *n, gie_id *x, struct gie_attr *attrs,
                  uint32_t *n_attrs)
{
  (void)attrs, (void)n_attrs;
  if (!pass_is_op(n, "mul"))
    return false;
  for (int i = 0; i < 2; i++) {
    *x = n->in[i];
    if (pass_argument(g, n->in[1 - i], "sigmoid") == *x)
      return true;
  }
  return false;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  return pass_recognize(g, changes, "silu", match);
}

const struct gie_pass gie_pass_fuse_silu = {sizeof(struct gie_pass), "fuse_silu",
                                            "makes x * sigmoid(x) silu; not of a shared sigmoid", run, NULL};
