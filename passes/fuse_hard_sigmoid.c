/* SPDX-License-Identifier: Apache-2.0 */
/* clip(x + 3, 0, 6) / 6 is hard_sigmoid(x) {alpha=1/6, beta=0.5}; also with * 1/6.
 *
 * Does not fire: a value in between is read by others or a graph output, other numbers. */
#include "passes/match.h"

static bool match(const struct gie_graph *g, const struct gie_node *n, gie_id *x, struct gie_attr *attrs,
                  uint32_t *n_attrs)
{
  struct pass_product p;
  if ((!pass_is_op(n, "mul") && !pass_is_op(n, "div")) || !pass_product(g, n, &p) || p.n != 1 ||
      !pass_near(g, n->out[0], p.c, 1.0 / 6))
    return false;
  const struct gie_node *clip = pass_private_producer(g, p.v[0], "clip");
  if (!clip || gie_node_float(clip, "min") != 0 || gie_node_float(clip, "max") != 6 ||
      !pass_sum(g, clip->in[0], 3, x))
    return false;
  *n_attrs = 1; /* beta's default is 0.5 */
  attrs[0] = (struct gie_attr){.name = "alpha", .kind = GIE_ATTR_FLOAT, .u.f = (double)(1.0f / 6)};
  return true;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  return pass_recognize(g, changes, "hard_sigmoid", match);
}

const struct gie_pass gie_pass_fuse_hard_sigmoid = {
    sizeof(struct gie_pass), "fuse_hard_sigmoid",
    "makes clip(x + 3, 0, 6) / 6 hard_sigmoid; not of shared values", run, NULL};
