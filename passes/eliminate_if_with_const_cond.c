/* SPDX-License-Identifier: Apache-2.0 */
/* An if whose condition is constant is replaced by the nodes of the branch that is taken.
 *
 *     %y = if(%true; %a) {then_branch=graph { input %a %r = relu(%a) output %r }, …}
 *       ->   %y = relu(%a)
 *
 * The branches are bodies; their inputs are its captures in order. An ONNX If that could not become an if, because its
 * branches differ in shape or hold unknown operators, is treated alike. Types are inferred again afterwards,
 * because those behind an opaque node may not have been known.
 *
 * Does not fire: condition not constant, a branch that is missing or has other numbers of inputs or
 * outputs than the node says, views, layouts or quantization inside the branch. */
#include "passes/util.h"

/* A branch on its way into the graph round it. */
struct inlining {
  struct gie_graph *g;
  const struct gie_graph *body;
  gie_id before;
  gie_id *map; /* value of the body → value of g */
};

static bool condition(const struct gie_graph *g, const struct gie_node *n, bool *taken)
{
  int64_t v;
  uint32_t count;
  if (n->n_operands != 1 || n->n_steps || !gie_value_ints(g, n->in[0], &v, 1, &count) || count != 1)
    return false;
  *taken = v != 0;
  return true;
}

static bool all_plain(const struct gie_graph *body)
{
  for (gie_id v = 0; v < gie_graph_n_values(body); v++)
    if (gie_value_get(body, v)->kind != GIE_VALUE_DEAD && !pass_is_plain(gie_value_get(body, v)))
      return false;
  return true;
}

static const struct gie_graph *match(const struct gie_graph *g, const struct gie_node *n)
{
  bool taken;
  if ((!pass_is_op(n, "if") && !pass_is_op(n, "ai.onnx::If")) || !condition(g, n, &taken))
    return NULL;
  const struct gie_attr *a = gie_attrs_find(&n->attrs, taken ? "then_branch" : "else_branch");
  if (!a || a->kind != GIE_ATTR_GRAPH || gie_graph_n_inputs(a->u.g) != n->n_captures ||
      gie_graph_n_outputs(a->u.g) != n->n_out || !all_plain(a->u.g))
    return NULL;
  for (uint32_t i = 0; i < n->n_out; i++)
    if (!pass_is_plain(gie_value_get(g, n->out[i])))
      return NULL;
  return a->u.g;
}

/* ---- Copying the branch ------------------------------------------------------------------------- */

static gie_status copy_constants(struct inlining *in)
{
  for (gie_id id = 0; id < gie_graph_n_values(in->body); id++) {
    const struct gie_value *v = gie_value_get(in->body, id);
    if (v->kind != GIE_VALUE_CONST)
      continue;
    bool taken = gie_value_find(in->g, v->name) != GIE_NONE;
    GIE_TRY(gie_graph_add_const(in->g, taken ? NULL : v->name, &v->type, &v->data, &in->map[id]));
  }
  return GIE_OK;
}

static gie_id mapped(const struct inlining *in, gie_id value)
{
  return value == GIE_NONE ? GIE_NONE : in->map[value];
}

static gie_status copy_steps(struct inlining *in, const struct gie_node *n, gie_id copy)
{
  for (uint32_t i = 0; i < n->n_steps; i++) {
    const struct gie_step *s = &n->steps[i];
    gie_id operand = s->operand < 0 ? GIE_NONE : mapped(in, n->in[s->operand]);
    GIE_TRY(gie_node_add_step(in->g, copy, s->op->name, operand, s->reverse, &s->attrs));
  }
  return GIE_OK;
}

/* What were two values inside may be one outside, which can be captured only once: a copy of it is another. */
static gie_status copy_captures(struct inlining *in, const struct gie_node *n, gie_id copy)
{
  uint32_t first = n->n_in - n->n_captures, slot;
  for (uint32_t i = first; i < n->n_in; i++) {
    gie_id value = mapped(in, n->in[i]);
    GIE_TRY(gie_node_add_capture(in->g, copy, value, &slot));
    if (slot == i)
      continue;
    GIE_TRY(pass_node(in->g, "identity", NULL, &value, 1, NULL, 0, copy, &value));
    GIE_TRY(gie_node_add_capture(in->g, copy, value, &slot));
  }
  return GIE_OK;
}

/* Symbols of an opaque node's types may mean nothing outside. */
static struct gie_type without_symbols(struct gie_type t)
{
  for (int i = 0; i < t.shape.rank; i++)
    if (!gie_dim_is_num(t.shape.dim[i]))
      t.shape.dim[i] = gie_dim_unknown();
  return t;
}

/* Arrays of spec are n_operands, n_out and n_out long. */
static gie_status add_copy(struct inlining *in, const struct gie_node *n, gie_id *operands,
                           const char **names, struct gie_type *types)
{
  struct gie_node_spec spec = GIE_NODE_SPEC(n->op->name);
  gie_id copy;
  for (uint32_t i = 0; i < n->n_operands; i++)
    operands[i] = mapped(in, n->in[i]);
  for (uint32_t i = 0; i < n->n_out; i++) {
    const struct gie_value *v = gie_value_get(in->body, n->out[i]);
    names[i] = gie_value_find(in->g, v->name) == GIE_NONE ? v->name : NULL;
    types[i] = without_symbols(v->type);
  }
  spec.name = n->name;
  spec.in = operands, spec.n_in = n->n_operands;
  spec.n_out = n->n_out, spec.out_names = names;
  spec.attrs = n->attrs.v, spec.n_attrs = n->attrs.n;
  spec.opaque = (n->op->flags & GIE_OP_OPAQUE) != 0;
  spec.out_types = spec.opaque ? types : NULL;
  spec.before = in->before;
  GIE_TRY(gie_node_add(in->g, &spec, &copy));
  for (uint32_t i = 0; i < n->n_out; i++)
    in->map[n->out[i]] = gie_node_get(in->g, copy)->out[i];
  GIE_TRY(copy_steps(in, n, copy));
  for (uint32_t i = 0; i < n->notes.n; i++)
    GIE_TRY(gie_node_set_note(in->g, copy, &n->notes.v[i]));
  return copy_captures(in, n, copy);
}

static gie_status copy_node(struct inlining *in, const struct gie_node *n)
{
  struct gie_context *ctx = gie_graph_context(in->g);
  gie_id *operands = gie_alloc(ctx, n->n_operands, sizeof *operands);
  const char **names = gie_alloc(ctx, n->n_out, sizeof *names);
  struct gie_type *types = gie_alloc(ctx, n->n_out, sizeof *types);
  gie_status s = operands && names && types ? add_copy(in, n, operands, names, types) : GIE_E_MEMORY;
  gie_free(ctx, operands);
  gie_free(ctx, names);
  gie_free(ctx, types);
  return s;
}

/* ---- Rewriting ---------------------------------------------------------------------------------- */

/* A graph output keeps its name, for which it has to be the result of a node and no other output. */
static gie_status take_result(struct inlining *in, gie_id from, gie_id to)
{
  const struct gie_value *f = gie_value_get(in->g, from), *t = gie_value_get(in->g, to);
  bool direct = !f->n_outputs || (t->kind == GIE_VALUE_RESULT && !t->n_outputs);
  if (!direct)
    GIE_TRY(pass_node(in->g, "identity", NULL, &to, 1, NULL, 0, in->before, &to));
  return gie_value_replace(in->g, from, to);
}

static gie_status inline_body(struct inlining *in, const struct gie_node *n)
{
  uint32_t n_own = n->n_in - n->n_captures;
  for (uint32_t i = 0; i < n->n_captures; i++)
    in->map[gie_graph_input(in->body, i)] = n->in[n_own + i];
  GIE_TRY(copy_constants(in));
  GIE_FOR_NODES(in->body, id)
    GIE_TRY(copy_node(in, gie_node_get(in->body, id)));
  for (uint32_t i = 0; i < n->n_out; i++)
    GIE_TRY(take_result(in, n->out[i], mapped(in, gie_graph_output(in->body, i))));
  return gie_node_remove(in->g, n->id);
}

static gie_status rewrite(struct gie_graph *g, const struct gie_node *n, const struct gie_graph *body)
{
  struct gie_context *ctx = gie_graph_context(g);
  struct inlining in = {g, body, n->id, gie_alloc(ctx, gie_graph_n_values(body), sizeof(gie_id))};
  gie_status s = in.map ? inline_body(&in, n) : GIE_E_MEMORY;
  gie_free(ctx, in.map);
  return s;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  uint32_t before = *changes;
  (void)pc;
  for (gie_id id = gie_graph_first(g), next; id != GIE_NONE; id = next) {
    const struct gie_node *n = gie_node_get(g, id);
    const struct gie_graph *body = match(g, n);
    next = n->next;
    if (!body)
      continue;
    gie_id prev = n->prev;
    GIE_TRY(rewrite(g, n, body));
    next = prev == GIE_NONE ? gie_graph_first(g) : gie_node_get(g, prev)->next; /* an If inside is next */
    ++*changes;
  }
  return *changes > before ? gie_graph_infer(g) : GIE_OK;
}

const struct gie_pass gie_pass_eliminate_if_with_const_cond = {
    sizeof(struct gie_pass), "eliminate_if_with_const_cond",
    "replaces an If by the branch that is taken, where the condition is constant", run, NULL};
