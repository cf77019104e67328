/* SPDX-License-Identifier: Apache-2.0 */
/* x * clip(x + 3, 0, 6) / 6 and x * hard_sigmoid(x) {alpha=1/6} are hard_swish(x).
 *
 * The division may be anywhere among the factors, and be a product with 1/6.
 *
 * Does not fire: a value in between is read by others or a graph output, other numbers. */
#include "passes/match.h"

static bool is_gate(const struct gie_graph *g, const struct gie_node *n, gie_id gate, double c, gie_id x)
{
  const struct gie_node *h = pass_private_producer(g, gate, "hard_sigmoid");
  gie_id inner;
  if (h)
    return c == 1 && h->in[0] == x && pass_near(g, x, gie_node_float(h, "alpha"), 1.0 / 6) &&
           gie_node_float(h, "beta") == 0.5;
  h = pass_private_producer(g, gate, "clip");
  return h && pass_near(g, n->out[0], c, 1.0 / 6) && gie_node_float(h, "min") == 0 &&
         gie_node_float(h, "max") == 6 && pass_sum(g, h->in[0], 3, &inner) && inner == x;
}

static bool match(const struct gie_graph *g, const struct gie_node *n, gie_id *x, struct gie_attr *attrs,
                  uint32_t *n_attrs)
{
  struct pass_product p;
  (void)attrs, (void)n_attrs;
  if ((!pass_is_op(n, "mul") && !pass_is_op(n, "div")) || !pass_product(g, n, &p) || p.n != 2)
    return false;
  for (int i = 0; i < 2; i++) {
    *x = p.v[i];
    if (is_gate(g, n, p.v[1 - i], p.c, *x))
      return true;
  }
  return false;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  return pass_recognize(g, changes, "hard_swish", match);
}

const struct gie_pass gie_pass_fuse_hard_swish = {
    sizeof(struct gie_pass), "fuse_hard_swish",
    "makes x * clip(x + 3, 0, 6) / 6 and x * hard_sigmoid(x) hard_swish; not of shared values", run, NULL};
