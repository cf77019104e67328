/* SPDX-License-Identifier: Apache-2.0 */
/* Dear arithmetic with a constant becomes cheap arithmetic, and forms that fuse.
 *
 *     x / c          ->  x * (1/c)       x - c          ->  x + (-c)
 *     pow(x, 2)      ->  x * x           pow(x, 0.5)    ->  sqrt(x)
 *     sum(x, y)      ->  x + y           reduce_mean(x) over all axes behind the channels -> global_average_pool(x)
 *
 * 1/c is rounded once more than x/c: the result differs in the last bit. pow(-inf, 0.5) is inf and
 * sqrt(-inf) NaN.
 *
 * Does not fire on integers, where 1/c or -c does not fit the dtype or is subnormal, or on exponents that are not
 * one number or enlarge x, on means over other axes or that drop them, or of 0 elements, which others refuse to pool. */
#include "passes/util.h"

#define MAX_ELEMENTS 65536 /* of a constant that is rewritten */

/* The constant with f(element) for each element; *out stays GIE_NONE where one does not fit. */
static gie_status map_constant(struct gie_graph *g, const struct gie_value *c, bool reciprocal, gie_id *out)
{
  const void *from = gie_value_bytes(g, c->id, NULL);
  enum gie_dtype t = c->type.dtype;
  size_t count = c->data.size / gie_dtype_size(t);
  struct gie_blob *blob;
  bool fits = true;
  GIE_TRY(gie_blob_new(gie_graph_context(g), c->data.size, &blob));
  for (size_t i = 0; i < count && fits; i++) {
    double v = pass_load(t, from, i), r = reciprocal ? 1 / v : -v;
    fits = pass_store(t, gie_blob_data(blob), i, r) && v - v == 0 &&
           (!reciprocal || (r - r == 0 && (r < 0 ? -r : r) >= pass_smallest(t)));
  }
  if (fits)
    return pass_const(g, &c->type, blob, out);
  gie_blob_unref(blob);
  return GIE_OK;
}

static gie_status by_constant(struct gie_graph *g, const struct gie_node *n, const char *op, bool *changed)
{
  const struct gie_value *c = gie_value_get(g, n->in[1]);
  gie_id mapped = GIE_NONE;
  if (c->kind != GIE_VALUE_CONST || !pass_is_plain(c) ||
      c->data.size / gie_dtype_size(c->type.dtype) > MAX_ELEMENTS)
    return GIE_OK;
  GIE_TRY(map_constant(g, c, strcmp(op, "mul") == 0, &mapped));
  if (mapped == GIE_NONE)
    return GIE_OK;
  *changed = true;
  GIE_TRY(gie_node_set_input(g, n->id, 1, mapped));
  return gie_node_set_op(g, n->id, op);
}

static gie_status power(struct gie_graph *g, const struct gie_node *n, bool *changed)
{
  const struct gie_value *x = gie_value_get(g, n->in[0]), *y = gie_value_get(g, n->out[0]);
  double exponent;
  int64_t whole;
  uint32_t count;
  gie_id root;
  if (gie_value_ints(g, n->in[1], &whole, 1, &count) && count == 1)
    exponent = (double)whole;
  else if (!pass_scalar(g, n->in[1], &exponent))
    return GIE_OK;
  if (gie_value_get(g, n->in[1])->type.shape.rank > x->type.shape.rank || !pass_is_plain(y))
    return GIE_OK;
  *changed = exponent == 2 || exponent == 0.5;
  if (exponent == 2) {
    GIE_TRY(gie_node_set_input(g, n->id, 1, x->id));
    return gie_node_set_op(g, n->id, "mul");
  }
  if (exponent != 0.5)
    return GIE_OK;
  GIE_TRY(pass_node(g, "sqrt", n->name, &x->id, 1, NULL, 0, n->id, &root));
  return pass_supplant(g, n->id, root);
}

static gie_status mean(struct gie_graph *g, const struct gie_node *n, bool *changed)
{
  const struct gie_value *x = gie_value_get(g, n->in[0]);
  int rank = x->type.shape.rank;
  uint32_t axes;
  gie_id pooled;
  if (rank < 3 || pass_is_empty(&x->type.shape) || !gie_node_int(n, "keepdims") ||
      !pass_axes(g, n, 1, rank, &axes) || axes != (1u << rank) - 4 ||
      !pass_is_plain(gie_value_get(g, n->out[0])))
    return GIE_OK;
  *changed = true;
  GIE_TRY(pass_node(g, "global_average_pool", n->name, &x->id, 1, NULL, 0, n->id, &pooled));
  return pass_supplant(g, n->id, pooled);
}

static gie_status rewrite(struct gie_graph *g, const struct gie_node *n, bool *changed)
{
  if (pass_is_op(n, "div"))
    return by_constant(g, n, "mul", changed);
  if (pass_is_op(n, "sub"))
    return by_constant(g, n, "add", changed);
  if (pass_is_op(n, "pow"))
    return power(g, n, changed);
  if (pass_is_op(n, "reduce_mean"))
    return mean(g, n, changed);
  if (!pass_is_op(n, "sum") || n->n_operands != 2)
    return GIE_OK;
  *changed = true;
  return gie_node_set_op(g, n->id, "add");
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  for (gie_id id = gie_graph_first(g), next; id != GIE_NONE; id = next) {
    const struct gie_node *n = gie_node_get(g, id);
    bool changed = false;
    next = n->next;
    if (n->n_steps || n->n_out != 1 || gie_dtype_class(gie_value_get(g, n->out[0])->type.dtype) != 'f')
      continue;
    GIE_TRY(rewrite(g, n, &changed));
    *changes += changed;
  }
  return GIE_OK;
}

const struct gie_pass gie_pass_reduce_strength = {
    sizeof(struct gie_pass), "reduce_strength",
    "makes division by a constant a product, pow 2 a square, pow 0.5 a root, sub and sum add, a mean over all of a channel a pool; not on integers",
    run, NULL};
