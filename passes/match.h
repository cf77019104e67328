/* SPDX-License-Identifier: Apache-2.0 */
/* Recognizing formulas that exporters write node by node, from the result backwards. What lies in
 * between must be read within the formula alone, so that it goes when the formula is one node. */
#ifndef GIE_PASSES_MATCH_H
#define GIE_PASSES_MATCH_H

#include "passes/util.h"

/* Constants are as exact as the dtype in which they are written. */
static inline bool pass_near(const struct gie_graph *g, gie_id value, double c, double want)
{
  enum gie_dtype t = gie_value_get(g, value)->type.dtype;
  double error = c > want ? c - want : want - c, size = want < 0 ? -want : want;
  return error <= size * (t == GIE_BF16 ? 8e-3 : t == GIE_F16 ? 1e-3 : 1e-5);
}

/* c * v[0] * … * v[n-1] */
#define PASS_FACTORS 4
struct pass_product {
  double c;
  int n;
  gie_id v[PASS_FACTORS];
};

/* Takes a node of products apart: mul, div by one number, and what makes their operands as long as it is
 * private. False when it is none or there are more factors. */
static inline bool pass_product(const struct gie_graph *g, const struct gie_node *n, struct pass_product *out)
{
  gie_id todo[2 * PASS_FACTORS];
  int n_todo = 0;
  double c;
  *out = (struct pass_product){.c = 1};
  for (const struct gie_node *at = n; at;) {
    bool mul = pass_is_op(at, "mul");
    if (at->n_steps || (!mul && !(pass_is_op(at, "div") && pass_scalar(g, at->in[1], &c) && c != 0)))
      return false;
    if (!mul)
      out->c /= c;
    for (uint32_t i = 0; i < (mul ? 2u : 1u); i++) {
      if (pass_scalar(g, at->in[i], &c))
        out->c *= c;
      else if (n_todo < 2 * PASS_FACTORS)
        todo[n_todo++] = at->in[i];
      else
        return false;
    }
    for (at = NULL; !at && n_todo > 0;) {
      gie_id v = todo[--n_todo];
      at = pass_private_producer(g, v, "mul");
      const struct gie_node *d = at ? NULL : pass_private_producer(g, v, "div");
      if (d && pass_scalar(g, d->in[1], &c) && c != 0)
        at = d;
      if (!at && out->n == PASS_FACTORS)
        return false;
      if (!at)
        out->v[out->n++] = v;
    }
  }
  return true;
}

/* The same for a value that nothing but the formula reads. */
static inline bool pass_private_product(const struct gie_graph *g, gie_id value, struct pass_product *out)
{
  const struct gie_node *n = pass_private_producer(g, value, "mul");
  if (!n)
    n = pass_private_producer(g, value, "div");
  return n && pass_product(g, n, out);
}

/* value = x + c for one number near c, private. */
static inline bool pass_sum(const struct gie_graph *g, gie_id value, double want, gie_id *x)
{
  const struct gie_node *n = pass_private_producer(g, value, "add");
  double c;
  for (int i = 0; n && i < 2; i++)
    if (pass_scalar(g, n->in[i], &c) && pass_near(g, value, c, want)) {
      *x = n->in[1 - i];
      return true;
    }
  n = pass_private_producer(g, value, "sub");
  if (n && pass_scalar(g, n->in[1], &c) && pass_near(g, value, -c, want)) {
    *x = n->in[0];
    return true;
  }
  return false;
}

/* value = op(x), private; GIE_NONE if it is not. */
static inline gie_id pass_argument(const struct gie_graph *g, gie_id value, const char *op)
{
  const struct gie_node *n = pass_private_producer(g, value, op);
  return n ? n->in[0] : GIE_NONE;
}

/* The formula's result has x's type: everything else in it is one number. */
static inline bool pass_keeps_type(const struct gie_graph *g, const struct gie_node *n, gie_id x)
{
  const struct gie_value *v = gie_value_get(g, x), *y = gie_value_get(g, n->out[0]);
  return gie_dtype_class(v->type.dtype) == 'f' && v->type.dtype == y->type.dtype && v->type.shape.rank >= 0 &&
         v->type.shape.rank == y->type.shape.rank && pass_is_plain(v) && pass_is_plain(y);
}

/* Result 0 of n is op(x): the formula goes. */
static inline gie_status pass_formula(struct gie_graph *g, const struct gie_node *n, const char *op,
                                      const gie_id *in, uint32_t n_in, const struct gie_attr *attrs,
                                      uint32_t n_attrs)
{
  gie_id result, old[2] = {n->in[0], n->n_operands > 1 ? n->in[1] : GIE_NONE};
  GIE_TRY(pass_node(g, op, n->name, in, n_in, attrs, n_attrs, n->id, &result));
  GIE_TRY(pass_supplant(g, n->id, result));
  GIE_TRY(pass_prune(g, old[0]));
  return pass_prune(g, old[1]);
}

/* Runs `match`, which says what the node is, on every node: *op is to be made from x. */
static inline gie_status pass_recognize(struct gie_graph *g, uint32_t *changes, const char *op,
                                        bool (*match)(const struct gie_graph *g, const struct gie_node *n,
                                                      gie_id *x, struct gie_attr *attrs, uint32_t *n_attrs))
{
  for (gie_id id = gie_graph_first(g), next; id != GIE_NONE; id = next) {
    const struct gie_node *n = gie_node_get(g, id);
    struct gie_attr attrs[2];
    uint32_t n_attrs = 0;
    gie_id x;
    next = n->next;
    if (n->n_out != 1 || n->n_operands == 0 || n->n_steps || !match(g, n, &x, attrs, &n_attrs) ||
        !pass_keeps_type(g, n, x))
      continue;
    GIE_TRY(pass_formula(g, n, op, &x, 1, attrs, n_attrs));
    ++*changes;
  }
  return GIE_OK;
}

#endif
