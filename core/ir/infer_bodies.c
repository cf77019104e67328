/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of known ops (GIE_OP_BODIES: if). What is known of the captures goes into the bodies, whose inputs they
 * are, before the node itself is inferred; what that makes of the bodies' outputs are the node's results. A symbol
 * is the same in a body and round it: the one of that name. */
#include "core/ir/infer.h"

/* ---- From the captures into a body --------------------------------------------------------------- */

/* The dim of `from` in the words of `to`, which gets the symbol if it lacks it. */
static gie_status dim_into(struct gie_graph *to, const struct gie_graph *from, struct gie_dim *d)
{
  if (!gie_dim_is_known(*d) || gie_dim_is_num(*d))
    return GIE_OK;
  return gie_graph_symbol(to, gie_graph_symbol_name(from, d->sym), &d->sym);
}

static gie_status take_type(struct gie_graph *body, const struct gie_graph *g,
                            const struct gie_value *capture, struct gie_value *input, bool declared)
{
  struct gie_type type = capture->type, merged;
  struct gie_infer x = {.graph = body};
  char a[200], b[200];
  for (int i = 0; i < type.shape.rank; i++)
    GIE_TRY(dim_into(body, g, &type.shape.dim[i]));
  if (declared && !ir_type_merge(&input->type, &type, &merged))
    return gie_fail(g->ctx, input->type.dtype != type.dtype ? GIE_E_TYPE : GIE_E_SHAPE,
                    "input \"%.200s\" is declared as %s, but what it captures is %s", input->name,
                    ir_type_text(&x, &input->type, a, sizeof a), ir_type_text(&x, &type, b, sizeof b));
  ir_refine(input, &type);
  return GIE_OK;
}

static gie_status take_elements(struct gie_graph *body, const struct gie_graph *g,
                                const struct gie_value *capture, struct gie_value *input)
{
  struct gie_dim known[GIE_MAX_KNOWN];
  int64_t ints[GIE_MAX_KNOWN];
  uint32_t n = UINT32_MAX;
  if (capture->kind == GIE_VALUE_CONST) {
    if (gie_dtype_class(capture->type.dtype) == 'f' ||
        !gie_value_ints(g, capture->id, ints, GIE_MAX_KNOWN, &n))
      n = UINT32_MAX;
    for (uint32_t i = 0; n <= GIE_MAX_KNOWN && i < n; i++)
      known[i] = gie_dim_num(ints[i]);
  } else if (capture->n_known <= GIE_MAX_KNOWN) {
    n = capture->n_known;
    for (uint32_t i = 0; i < n; i++) {
      known[i] = capture->known[i];
      GIE_TRY(dim_into(body, g, &known[i]));
    }
  }
  return ir_write_known(body, input, known, n);
}

static gie_status infer_body(struct gie_graph *g, const struct gie_node *n, struct gie_graph *body,
                             bool declared)
{
  for (uint32_t i = 0; i < n->n_captures; i++) {
    const struct gie_value *capture = gie_value_get(g, n->in[n->n_in - n->n_captures + i]);
    struct gie_value *input = &ir_value(body, body->inputs[i])->pub;
    GIE_TRY(take_type(body, g, capture, input, declared));
    GIE_TRY(take_elements(body, g, capture, input));
  }
  return gie_graph_infer(body);
}

gie_status ir_infer_bodies(struct gie_graph *g, const struct gie_node *n, bool declared)
{
  char label[400];
  for (uint32_t i = 0; i < n->attrs.n; i++) {
    const struct gie_attr *a = &n->attrs.v[i];
    if (a->kind != GIE_ATTR_GRAPH || a->u.g->n_inputs != n->n_captures)
      continue;
    gie_status s = infer_body(g, n, a->u.g, declared);
    if (s != GIE_OK)
      return gie_error_prefix(g->ctx, s, "%s: body %.100s", ir_node_label(n, label, sizeof label), a->name);
  }
  return GIE_OK;
}

/* ---- From the bodies to the results --------------------------------------------------------------- */

/* A symbol that only the body has says nothing outside. */
static struct gie_dim dim_out_of(const struct gie_graph *g, const struct gie_graph *body, struct gie_dim d)
{
  if (!gie_dim_is_known(d) || gie_dim_is_num(d))
    return d;
  const char *name = gie_graph_symbol_name(body, d.sym);
  for (size_t i = 0; name && i < g->n_symbols; i++)
    if (strcmp(g->symbols[i], name) == 0) {
      d.sym = (uint32_t)i;
      return d;
    }
  return gie_dim_unknown();
}

static struct gie_type output_type(const struct gie_graph *g, const struct gie_graph *body, uint32_t i)
{
  struct gie_type t = gie_value_get(body, gie_graph_output(body, i))->type;
  for (int k = 0; k < t.shape.rank; k++)
    t.shape.dim[k] = dim_out_of(g, body, t.shape.dim[k]);
  return t;
}

static gie_status disagree(const struct gie_infer *x, gie_status status, uint32_t i, const struct gie_type *t,
                           const char *first, const char *name)
{
  char a[200], b[200];
  return gie_fail(x->ctx, status, "result %u is %s in %.100s and %s in %.100s; both must yield the same",
                  (unsigned)i, ir_type_text(x, &x->out[i], a, sizeof a), first,
                  ir_type_text(x, t, b, sizeof b), name);
}

/* What is not certainly the same in all bodies is not known of the result. */
static gie_status agree(const struct gie_infer *x, uint32_t i, const struct gie_type *t, const char *first,
                        const char *name)
{
  struct gie_type *out = &x->out[i];
  struct gie_shape *s = &out->shape;
  if (out->dtype != t->dtype && out->dtype != GIE_DTYPE_NONE && t->dtype != GIE_DTYPE_NONE)
    return disagree(x, GIE_E_TYPE, i, t, first, name);
  if (s->rank >= 0 && t->shape.rank >= 0 && s->rank != t->shape.rank)
    return disagree(x, GIE_E_SHAPE, i, t, first, name);
  for (int k = 0; s->rank == t->shape.rank && k < s->rank; k++)
    if (!ir_dim_may_equal(s->dim[k], t->shape.dim[k]))
      return disagree(x, GIE_E_SHAPE, i, t, first, name);
  if (out->dtype != t->dtype)
    out->dtype = GIE_DTYPE_NONE;
  if (s->rank != t->shape.rank)
    s->rank = -1;
  for (int k = 0; k < s->rank; k++)
    if (!gie_dim_equal(s->dim[k], t->shape.dim[k]))
      s->dim[k] = gie_dim_unknown();
  return GIE_OK;
}

static gie_status check_condition(const struct gie_infer *x)
{
  int64_t count = 1;
  for (int i = 0; i < ir_rank(x, 0); i++)
    if (!gie_dim_is_num(ir_dim(x, 0, i)) || !gie_mul64(count, ir_dim(x, 0, i).b, &count))
      return GIE_OK;
  return ir_rank(x, 0) < 0 || count == 1
             ? GIE_OK
             : gie_fail(x->ctx, GIE_E_SHAPE, "the condition has %lld elements; it must have one",
                        (long long)count);
}

/* Captures are added one by one behind the node: before, the bodies' inputs are only what is declared of them. */
static bool captures_are_there(const struct gie_node *n)
{
  for (uint32_t k = 0; k < n->attrs.n; k++)
    if (n->attrs.v[k].kind == GIE_ATTR_GRAPH && n->attrs.v[k].u.g->n_inputs != n->n_captures)
      return false;
  return true;
}

gie_status ir_shape_branches(struct gie_infer *x)
{
  const char *first = NULL;
  bool complete = captures_are_there(x->node);
  GIE_TRY(check_condition(x));
  for (uint32_t k = 0; k < x->node->attrs.n; k++) {
    const struct gie_attr *a = &x->node->attrs.v[k];
    if (a->kind != GIE_ATTR_GRAPH)
      continue;
    if (a->u.g->n_outputs != x->n_out)
      return gie_fail(x->ctx, GIE_E_GRAPH, "%.100s has %zu outputs, the node %u results", a->name,
                      a->u.g->n_outputs, (unsigned)x->n_out);
    for (uint32_t i = 0; complete && i < x->n_out; i++) {
      struct gie_type t = output_type(x->graph, a->u.g, i);
      if (!first)
        x->out[i] = t;
      else
        GIE_TRY(agree(x, i, &t, first, a->name));
    }
    first = first ? first : a->name;
  }
  return GIE_OK;
}
