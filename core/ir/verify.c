/* SPDX-License-Identifier: Apache-2.0 */
/* gie_graph_verify(): every rule of doc/ir.md, one small function each. The message names the node or
 * value and, in brackets, the rule. Values and views are in verify_value.c. Takes linear time. */
#include "core/ir/verify.h"

GIE_PRINTF(5, 6)
static gie_status node_broken(const struct gie_graph *g, const struct gie_node *n, const char *rule,
                              gie_status status, const char *fmt, ...)
{
  char text[600], label[400];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  return gie_fail(g->ctx, status, "%s: %s [%s]", ir_node_label(n, label, sizeof label), text, rule);
}

/* The failure at hand, which already names its node, broke that rule. */
static gie_status with_rule(const struct gie_graph *g, gie_status status, const char *rule)
{
  struct gie_buf b;
  if (status == GIE_E_MEMORY)
    return status;
  gie_buf_init(&b, g->ctx);
  gie_buf_puts(&b, gie_error_text(g->ctx));
  gie_fail(g->ctx, status, "%s [%s]", b.data ? b.data : "", rule);
  gie_buf_free(&b);
  return status;
}

/* ---- The lists of the graph ----------------------------------------------------------------------- */

static gie_status limits_hold(const struct gie_graph *g)
{
  if (g->live_nodes > GIE_MAX_NODES)
    return gie_fail(g->ctx, GIE_E_LIMIT, "%zu nodes; at most %u are allowed [limits]", g->live_nodes,
                    GIE_MAX_NODES);
  if (g->depth > GIE_MAX_BODY_DEPTH)
    return gie_fail(g->ctx, GIE_E_LIMIT, "bodies are nested deeper than %d [limits]", GIE_MAX_BODY_DEPTH);
  return GIE_OK;
}

/* The chain of nodes is sound: everything else walks it. */
static gie_status chain_is_sound(const struct gie_graph *g)
{
  size_t n = 0;
  gie_id prev = GIE_NONE;
  for (gie_id id = g->first; id != GIE_NONE; prev = id, id = g->nodes[id]->pub.next)
    if (!ir_node(g, id) || g->nodes[id]->pub.prev != prev || n++ == g->live_nodes)
      return gie_fail(g->ctx, GIE_E_INTERNAL,
                      "the order of the nodes is damaged at node %u [topological-order]", (unsigned)id);
  if (n != g->live_nodes || prev != g->last)
    return gie_fail(g->ctx, GIE_E_INTERNAL, "the order of the nodes leaves some out [topological-order]");
  return GIE_OK;
}

static gie_status outputs_are_alive(const struct gie_graph *g)
{
  if (g->n_outputs == 0 && g->depth == 0)
    return gie_fail(g->ctx, GIE_E_GRAPH, "the graph has no output [output-alive]");
  for (size_t i = 0; i < g->n_outputs; i++) {
    const struct ir_value *v = ir_value(g, g->outputs[i]);
    if (!v || v->pub.kind == GIE_VALUE_DEAD)
      return gie_fail(g->ctx, GIE_E_GRAPH, "output %zu is no live value [output-alive]", i);
  }
  return GIE_OK;
}

/* ---- Operands and uses ------------------------------------------------------------------------------- */

static gie_status operands_are_alive(const struct gie_graph *g, const struct gie_node *n)
{
  if (n->n_operands > n->n_in || n->n_captures > n->n_in - n->n_operands)
    return node_broken(g, n, "operand-alive", GIE_E_INTERNAL, "its operand lists are damaged");
  for (uint32_t i = 0; i < n->n_in; i++) {
    const struct ir_value *v = ir_value(g, n->in[i]);
    if (n->in[i] == GIE_NONE && i < n->n_operands)
      continue; /* whether the op allows it is checked with the arity */
    if (!v || v->pub.kind == GIE_VALUE_DEAD)
      return node_broken(g, n, "operand-alive", GIE_E_GRAPH, "operand %u is no live value", (unsigned)i);
  }
  return GIE_OK;
}

static gie_status results_are_its_own(const struct gie_graph *g, const struct gie_node *n)
{
  for (uint32_t i = 0; i < n->n_out; i++) {
    const struct ir_value *v = ir_value(g, n->out[i]);
    if (!v || v->pub.kind != GIE_VALUE_RESULT || v->pub.producer != n->id || v->pub.out_index != i)
      return node_broken(g, n, "value-kind", GIE_E_GRAPH, "result %u is not its own", (unsigned)i);
  }
  return GIE_OK;
}

static gie_status uses_agree(const struct gie_graph *g, const struct ir_node *n)
{
  for (uint32_t i = 0; i < n->pub.n_in; i++) {
    const struct ir_use *u = n->uses[i];
    bool fits = n->pub.in[i] == GIE_NONE ? !u : u && u->node == n->pub.id && u->slot == i;
    if (!fits)
      return node_broken(g, &n->pub, "use-lists", GIE_E_INTERNAL,
                         "operand %u is not in its value's list of uses", (unsigned)i);
  }
  return GIE_OK;
}

/* Walks the list of one value; lists together have as many entries as there are operands. */
static gie_status use_list_is_sound(const struct gie_graph *g, const struct ir_value *v)
{
  uint32_t n = 0;
  const struct ir_use *prev = NULL;
  for (const struct ir_use *u = v->first_use; u; prev = u, u = u->next) {
    const struct ir_node *node = ir_node(g, u->node);
    if (u->prev != prev || n++ == v->pub.n_uses || !node || u->slot >= node->pub.n_in ||
        node->uses[u->slot] != u || node->pub.in[u->slot] != v->pub.id)
      return ir_value_broken(g, &v->pub, "use-lists", GIE_E_INTERNAL, "its list of uses is damaged");
  }
  if (n != v->pub.n_uses || prev != v->last_use)
    return ir_value_broken(g, &v->pub, "use-lists", GIE_E_INTERNAL, "it has %u uses but counts %u",
                           (unsigned)n, (unsigned)v->pub.n_uses);
  return GIE_OK;
}

/* Each operand is in one list, and no list holds anything else. */
static gie_status use_counts_agree(const struct gie_graph *g)
{
  uint64_t counted = 0, read = 0;
  for (size_t i = 0; i < g->n_values; i++)
    counted += g->values[i]->pub.kind != GIE_VALUE_DEAD ? g->values[i]->pub.n_uses : 0;
  GIE_FOR_NODES(g, id)
    for (uint32_t i = 0; i < g->nodes[id]->pub.n_in; i++)
      read += g->nodes[id]->pub.in[i] != GIE_NONE;
  if (counted == read)
    return GIE_OK;
  return gie_fail(g->ctx, GIE_E_INTERNAL, "values count %llu uses, there are %llu [use-lists]",
                  (unsigned long long)counted, (unsigned long long)read);
}

static gie_status output_counts_agree(const struct gie_graph *g)
{
  uint64_t counted = 0;
  for (size_t i = 0; i < g->n_values; i++)
    counted += g->values[i]->pub.kind != GIE_VALUE_DEAD ? g->values[i]->pub.n_outputs : 0;
  bool listed = true;
  for (size_t i = 0; listed && i < g->n_outputs; i++)
    listed = g->values[g->outputs[i]]->pub.n_outputs > 0;
  if (!listed || counted != g->n_outputs)
    return gie_fail(g->ctx, GIE_E_INTERNAL, "values count %llu outputs, there are %zu [use-lists]",
                    (unsigned long long)counted, g->n_outputs);
  return GIE_OK;
}

/* ---- Order ---------------------------------------------------------------------------------------------- */

/* A node reads something that comes later: either a cycle, whose path is printed, or just out of order. */
static gie_status order_fail(const struct gie_graph *g, const struct gie_node *n, const struct gie_value *v)
{
  gie_id *order = gie_alloc(g->ctx, g->live_nodes, sizeof *order);
  gie_status s = order ? ir_graph_order(g, order) : GIE_E_MEMORY;
  gie_free(g->ctx, order);
  if (s != GIE_OK)
    return with_rule(g, s, "topological-order");
  return node_broken(g, n, "topological-order", GIE_E_GRAPH,
                     "it reads \"%.200s\" before that is computed; sort the graph", v->name);
}

static gie_status order_is_topological(const struct gie_graph *g)
{
  unsigned char *done = gie_alloc(g->ctx, g->n_nodes ? g->n_nodes : 1, 1);
  gie_status s = done ? GIE_OK : GIE_E_MEMORY;
  for (gie_id id = g->first; s == GIE_OK && id != GIE_NONE; id = g->nodes[id]->pub.next) {
    const struct gie_node *n = &g->nodes[id]->pub;
    for (uint32_t i = 0; s == GIE_OK && i < n->n_in; i++) {
      const struct gie_value *v = gie_value_get(g, n->in[i]);
      if (v && v->producer != GIE_NONE && !done[v->producer])
        s = order_fail(g, n, v);
    }
    done[id] = 1;
  }
  gie_free(g->ctx, done);
  return s;
}

/* ---- Nodes against their ops ------------------------------------------------------------------------------ */

static gie_status node_name_is_valid(const struct gie_graph *g, const struct gie_node *n)
{
  if (!n->name || !*n->name)
    return gie_fail(g->ctx, GIE_E_GRAPH, "node %u has no name [unique-names]", (unsigned)n->id);
  if (strlen(n->name) > GIE_MAX_NAME || n->n_in > UINT16_MAX || n->n_out > UINT16_MAX)
    return node_broken(g, n, "limits", GIE_E_LIMIT,
                       "its name or the number of its operands is above the limit");
  return GIE_OK;
}

static gie_status fits_its_op(const struct gie_graph *g, const struct gie_node *n)
{
  const char *rule;
  gie_status s = ir_check_node_rule(g, n, &rule);
  return s == GIE_OK ? s : with_rule(g, s, rule);
}

static gie_status operand_type_fits(const struct gie_graph *g, const struct gie_node *n)
{
  const struct gie_value *v = n->n_operands ? gie_value_get(g, n->in[0]) : NULL;
  if (!v || !n->op->dtypes || v->type.dtype == GIE_DTYPE_NONE || n->op->dtypes >> v->type.dtype & 1)
    return GIE_OK;
  return node_broken(g, n, "operand-type", GIE_E_TYPE, "%s does not take %s", n->op->name,
                     gie_dtype_name(v->type.dtype));
}

/* The types that inference finds with and without the epilogue; out has room for n_out. */
static gie_status infer_node(const struct gie_graph *g, const struct gie_node *n, struct gie_type *out)
{
  struct gie_dim known[GIE_MAX_KNOWN];
  struct gie_node bare = *n;
  uint32_t n_known;
  bare.n_steps = 0;
  gie_status s = ir_infer_types(g, &bare, out, known, &n_known);
  if (s != GIE_OK)
    return with_rule(g, s, "type-matches-inference");
  if (n->n_steps && (s = ir_infer_types(g, n, out, known, &n_known)) != GIE_OK)
    return with_rule(g, s, s == GIE_E_TYPE ? "epilogue-type" : "epilogue-no-enlarge");
  return GIE_OK;
}

static gie_status type_matches_inference(const struct gie_graph *g, const struct gie_node *n)
{
  struct gie_type few[2], merged, *out = few;
  struct gie_infer x = {.graph = g};
  char a[300], b[300];
  if (n->n_out > 2 && !(out = gie_alloc(g->ctx, n->n_out, sizeof *out)))
    return GIE_E_MEMORY;
  gie_status s = infer_node(g, n, out);
  for (uint32_t i = 0; s == GIE_OK && i < n->n_out; i++) {
    const struct gie_value *v = gie_value_get(g, n->out[i]);
    if (!ir_type_merge(&v->type, &out[i], &merged))
      s = node_broken(g, n, "type-matches-inference",
                      v->type.dtype == out[i].dtype ? GIE_E_SHAPE : GIE_E_TYPE,
                      "result %u is %s, but its operands make it %s", (unsigned)i,
                      ir_type_text(&x, &v->type, a, sizeof a), ir_type_text(&x, &out[i], b, sizeof b));
  }
  if (out != few)
    gie_free(g->ctx, out);
  return s;
}

/* ---- Bodies ------------------------------------------------------------------------------------------------- */

/* Symbols of an opaque node's body are its own, so only numbers are compared. */
static bool may_be_same_type(const struct gie_type *a, const struct gie_type *b)
{
  if (a->dtype != GIE_DTYPE_NONE && b->dtype != GIE_DTYPE_NONE && a->dtype != b->dtype)
    return false;
  if (a->shape.rank < 0 || b->shape.rank < 0)
    return true;
  if (a->shape.rank != b->shape.rank)
    return false;
  for (int i = 0; i < a->shape.rank; i++)
    if (gie_dim_is_num(a->shape.dim[i]) && gie_dim_is_num(b->shape.dim[i]) &&
        a->shape.dim[i].b != b->shape.dim[i].b)
      return false;
  return true;
}

static gie_status captures_fit(const struct gie_graph *g, const struct gie_node *n,
                               const struct gie_graph *body, const char *name)
{
  bool exact = n->op->flags & GIE_OP_BODIES;
  if (body->n_inputs < n->n_captures || (exact && body->n_inputs > n->n_captures))
    return node_broken(g, n, "body-captures", GIE_E_GRAPH, "%.100s has %zu inputs for %u captures", name,
                       body->n_inputs, (unsigned)n->n_captures);
  for (uint32_t i = 0; i < n->n_captures; i++) {
    const struct gie_value *outer = gie_value_get(g, n->in[n->n_in - n->n_captures + i]);
    const struct gie_value *inner = gie_value_get(body, body->inputs[body->n_inputs - n->n_captures + i]);
    if (!may_be_same_type(&outer->type, &inner->type))
      return node_broken(g, n, "body-captures", GIE_E_TYPE,
                         "input \"%.200s\" of %.100s does not have the type of its capture", inner->name,
                         name);
  }
  return GIE_OK;
}

static gie_status bodies_are_valid(const struct gie_graph *g, const struct gie_node *n)
{
  char label[400];
  for (uint32_t i = 0; i < n->attrs.n; i++) {
    const struct gie_attr *a = &n->attrs.v[i];
    if (a->kind != GIE_ATTR_GRAPH)
      continue;
    if (a->u.g->depth != g->depth + 1)
      return node_broken(g, n, "body-valid", GIE_E_GRAPH, "%.100s is not one level below its node", a->name);
    gie_status s = gie_graph_verify(a->u.g);
    if (s == GIE_OK)
      s = captures_fit(g, n, a->u.g, a->name);
    else
      s = gie_error_prefix(g->ctx, s, "%s: body %.100s", ir_node_label(n, label, sizeof label), a->name);
    GIE_TRY(s);
  }
  return GIE_OK;
}

/* ---- All of it ------------------------------------------------------------------------------------------------ */

static gie_status verify_node(const struct gie_graph *g, const struct ir_node *n)
{
  GIE_TRY(node_name_is_valid(g, &n->pub));
  GIE_TRY(operands_are_alive(g, &n->pub));
  GIE_TRY(results_are_its_own(g, &n->pub));
  return uses_agree(g, n);
}

/* After the order is known to be good. */
static gie_status verify_node_meaning(const struct gie_graph *g, const struct gie_node *n)
{
  GIE_TRY(fits_its_op(g, n));
  GIE_TRY(operand_type_fits(g, n));
  GIE_TRY(type_matches_inference(g, n));
  return bodies_are_valid(g, n);
}

gie_status gie_graph_verify(const struct gie_graph *g)
{
  GIE_TRY(limits_hold(g));
  GIE_TRY(chain_is_sound(g));
  GIE_TRY(outputs_are_alive(g));
  GIE_TRY(ir_verify_values(g));
  GIE_FOR_NODES(g, id)
    GIE_TRY(verify_node(g, g->nodes[id]));
  for (size_t i = 0; i < g->n_values; i++)
    if (g->values[i]->pub.kind != GIE_VALUE_DEAD)
      GIE_TRY(use_list_is_sound(g, g->values[i]));
  GIE_TRY(use_counts_agree(g));
  GIE_TRY(output_counts_agree(g));
  GIE_TRY(order_is_topological(g));
  GIE_FOR_NODES(g, id)
    GIE_TRY(verify_node_meaning(g, &g->nodes[id]->pub));
  return ir_verify_views(g);
}
