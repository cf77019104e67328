/* SPDX-License-Identifier: Apache-2.0 */
/* GELU written node by node is gelu(x).
 *
 *     x * 0.5 * (1 + erf(x / sqrt(2)))                                   ->   gelu(x)
 *     x * 0.5 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 * x^3)))            ->   gelu(x) {tanh=1}
 *
 * Factors may stand in any order; divisions may be products; x^3 may be pow(x, 3) or x*x*x, and
 * x + 0.044715 * x^3 may be x * (1 + 0.044715 * x^2).
 *
 * Does not fire: a value in between is read by others or a graph output, other numbers. */
#include "passes/match.h"

#define ROOT_HALF 0.70710678118654752440 /* sqrt(1/2) */
#define ROOT_2_PI 0.79788456080286535588 /* sqrt(2/pi) */
#define CUBIC 0.044715

/* Factors that are all x. */
static bool are_x(const struct pass_product *p, int n, gie_id x)
{
  for (int i = 0; i < p->n; i++)
    if (p->v[i] != x)
      return false;
  return p->n == n;
}

/* c * x^n, the power written out or as pow. */
static bool is_power(const struct gie_graph *g, gie_id value, double c, int n, gie_id x)
{
  struct pass_product p;
  double exponent;
  if (!pass_private_product(g, value, &p) || !pass_near(g, value, p.c, c))
    return false;
  if (are_x(&p, n, x))
    return true;
  const struct gie_node *pow = p.n == 1 ? pass_private_producer(g, p.v[0], "pow") : NULL;
  return pow && pow->in[0] == x && pass_scalar(g, pow->in[1], &exponent) && exponent == n;
}

/* x + CUBIC * x^3 */
static bool is_cubic(const struct gie_graph *g, gie_id value, gie_id x)
{
  const struct gie_node *n = pass_private_producer(g, value, "add");
  for (int i = 0; n && i < 2; i++)
    if (n->in[i] == x && is_power(g, n->in[1 - i], CUBIC, 3, x))
      return true;
  return false;
}

/* 1 + CUBIC * x^2 */
static bool is_quadratic(const struct gie_graph *g, gie_id value, gie_id x)
{
  gie_id square;
  return pass_sum(g, value, 1, &square) && is_power(g, square, CUBIC, 2, x);
}

static bool is_erf(const struct gie_graph *g, gie_id value, gie_id x)
{
  struct pass_product p;
  gie_id argument = pass_argument(g, value, "erf");
  return argument != GIE_NONE && pass_private_product(g, argument, &p) &&
         pass_near(g, argument, p.c, ROOT_HALF) && are_x(&p, 1, x);
}

static bool is_tanh(const struct gie_graph *g, gie_id value, gie_id x)
{
  struct pass_product p;
  gie_id argument = pass_argument(g, value, "tanh");
  if (argument == GIE_NONE || !pass_private_product(g, argument, &p) ||
      !pass_near(g, argument, p.c, ROOT_2_PI))
    return false;
  if (p.n == 1)
    return is_cubic(g, p.v[0], x);
  return p.n == 2 &&
         ((p.v[0] == x && is_quadratic(g, p.v[1], x)) || (p.v[1] == x && is_quadratic(g, p.v[0], x)));
}

static bool match(const struct gie_graph *g, const struct gie_node *n, gie_id *x, struct gie_attr *attrs,
                  uint32_t *n_attrs)
{
  struct pass_product p;
  gie_id gate;
  if ((!pass_is_op(n, "mul") && !pass_is_op(n, "div")) || !pass_product(g, n, &p) || p.n != 2 ||
      !pass_near(g, n->out[0], p.c, 0.5))
    return false;
  for (int i = 0; i < 2; i++) {
    *x = p.v[i];
    if (!pass_sum(g, p.v[1 - i], 1, &gate))
      continue;
    attrs[0] = (struct gie_attr){.name = "tanh", .kind = GIE_ATTR_INT, .u.i = 1};
    *n_attrs = is_tanh(g, gate, *x);
    if (*n_attrs || is_erf(g, gate, *x))
      return true;
  }
  return false;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  return pass_recognize(g, changes, "gelu", match);
}

const struct gie_pass gie_pass_fuse_gelu = {
    sizeof(struct gie_pass), "fuse_gelu",
    "makes GELU written node by node, with erf or tanh, gelu; not of shared values", run, NULL};
