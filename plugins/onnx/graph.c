/* SPDX-License-Identifier: Apache-2.0 */
/* One graph: inputs, initializers, nodes, outputs. Names of ONNX become names of the IR. */
#include "plugins/onnx/onnx.h"

/* In a scope's map of values: a function's input that the caller left out. */
#define OMITTED (GIE_NONE - 1)

gie_status onnx_scope_init(struct onnx_scope *s)
{
  gie_map_init(&s->values, s->im->ctx);
  gie_map_init(&s->produced, s->im->ctx);
  gie_map_init(&s->info_map, s->im->ctx);
  for (size_t i = 0; i < s->n_nodes; i++)
    for (size_t k = 0; k < s->nodes[i]->n_output; k++) {
      const char *name = s->nodes[i]->output[k];
      if (!*name)
        continue;
      if (gie_map_get(&s->produced, name) != UINT32_MAX)
        return gie_fail(s->im->ctx, GIE_E_GRAPH,
                        "node %zu \"%s\" (%s): result \"%s\" is produced by another node too", i,
                        onnx_str(s->nodes[i]->name), onnx_str(s->nodes[i]->op_type), name);
      GIE_TRY(gie_map_set(&s->produced, name, (uint32_t)i));
    }
  return GIE_OK;
}

void onnx_scope_free(struct onnx_scope *s)
{
  gie_map_free(&s->values);
  gie_map_free(&s->produced);
  gie_map_free(&s->info_map);
}

gie_status onnx_omit(struct onnx_scope *s, const char *name)
{
  return gie_map_set(&s->values, name, OMITTED);
}

gie_status onnx_bind(struct onnx_node *n, uint32_t i, gie_id value)
{
  const char *name = n->proto->output[i];
  return *name ? gie_map_set(&n->scope->values, name, value) : GIE_OK;
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

static gie_status read_operands(struct onnx_node *n)
{
  const Onnx__Node *p = n->proto;
  size_t count = p->n_input;
  n->in = gie_arena_alloc(&n->im->arena, count + 1, sizeof *n->in);
  if (!n->in)
    return GIE_E_MEMORY;
  for (size_t i = 0; i < count; i++) {
    n->in[i] = GIE_NONE;
    if (!*p->input[i])
      continue;
    uint32_t id = gie_map_get(&n->scope->values, p->input[i]);
    if (id == UINT32_MAX)
      return gie_fail(n->ctx, GIE_E_GRAPH, "operand %zu \"%s\" is never produced; the model is incomplete", i,
                      p->input[i]);
    n->in[i] = id == OMITTED ? GIE_NONE : id;
  }
  while (count > 0 && n->in[count - 1] == GIE_NONE)
    count--;
  n->n_in = (uint32_t)count;
  for (count = p->n_output; count > 0 && !*p->output[count - 1];)
    count--;
  n->n_out = (uint32_t)count;
  return count ? GIE_OK : gie_fail(n->ctx, GIE_E_GRAPH, "a node without results");
}

/* An operand that is no tensor of a type the IR has: nothing but an opaque node can read it. */
static gie_status refuse_foreign(struct onnx_node *n)
{
  for (uint32_t i = 0; i < n->n_in; i++) {
    const struct gie_value *v = gie_value_get(n->g, n->in[i]);
    if (v && v->kind == GIE_VALUE_INPUT && v->type.dtype == GIE_DTYPE_NONE)
      return onnx_refuse(n, "operand \"%.200s\" is no tensor of a supported element type", v->name);
  }
  return GIE_OK;
}

static gie_status lower(struct onnx_node *n)
{
  const char *domain = onnx_str(n->proto->domain);
  const Onnx__Function *f = onnx_find_function(n->im, n->proto);
  if (f)
    return onnx_inline(n, f);
  n->opset = onnx_opset(n->scope, domain);
  n->op = onnx_default_domain(domain) ? onnx_find_op(onnx_str(n->proto->op_type)) : NULL;
  if (!n->op)
    return onnx_refuse(n, "operator not supported");
  if (!n->opset)
    return gie_fail(n->ctx, GIE_E_DATA, "the model imports no version of the ONNX operator set");
  if (n->opset < n->op->since)
    return onnx_refuse(n, "the form of opset %d is not supported", (int)n->opset);
  GIE_TRY(refuse_foreign(n));
  if (!n->reason)
    GIE_TRY(onnx_check_attrs(n));
  return n->reason ? GIE_OK : n->op->lower(n);
}

/* Takes the graph functions' own label, `node 3 "x" (conv): `, off the error text: the label with the index
 * and operator of the ONNX file says it better. */
static gie_status relabel(struct onnx_scope *s, gie_status st, size_t index)
{
  const Onnx__Node *p = s->nodes[index];
  const char *text = gie_error_text(s->im->ctx), *rest = strstr(text, "): ");
  if (strncmp(text, "node ", 5) == 0 && rest &&
      strncmp(text + 5 + strspn(text + 5, "0123456789"), " \"", 2) == 0)
    text = rest + 3;
  char *copy = gie_arena_strdup(&s->im->arena, text);
  if (!copy || st == GIE_E_MEMORY)
    return st;
  return gie_fail(s->im->ctx, st, "node %zu \"%s\" (%s): %s", index, onnx_str(p->name), onnx_str(p->op_type),
                  copy);
}

static gie_status import_node(struct onnx_scope *s, size_t index)
{
  struct onnx_node n = {.im = s->im, .ctx = s->im->ctx, .scope = s, .g = s->g, .proto = s->nodes[index]};
  GIE_TRY(onnx_resolve_attrs(s, n.proto, &n.attrs, &n.n_attrs));
  GIE_TRY(read_operands(&n));
  GIE_TRY(lower(&n));
  return n.reason ? onnx_opaque(&n) : GIE_OK;
}

gie_status onnx_nodes(struct onnx_scope *s)
{
  uint32_t *order = gie_alloc(s->im->ctx, s->n_nodes, sizeof *order);
  if (!order)
    return GIE_E_MEMORY;
  gie_status st = onnx_order(s, order);
  for (size_t i = 0; st == GIE_OK && i < s->n_nodes; i++) {
    st = import_node(s, order[i]);
    if (st != GIE_OK)
      st = relabel(s, st, order[i]);
  }
  gie_free(s->im->ctx, order);
  return st;
}

/* ---- Inputs, constants, outputs -------------------------------------------------------------- */

static gie_status define(struct onnx_scope *s, const char *name, const char *what, gie_id id)
{
  if (gie_map_get(&s->produced, name) != UINT32_MAX)
    return gie_fail(s->im->ctx, GIE_E_GRAPH, "%s \"%s\" is the result of a node too", what, name);
  return gie_map_set(&s->values, name, id);
}

static gie_status import_constant(struct onnx_scope *s, const Onnx__Tensor *t, bool is_sparse)
{
  const char *name = onnx_str(t->name), *dtype = onnx_dtype_name(t->data_type);
  gie_id id;
  if (!*name)
    return gie_fail(s->im->ctx, GIE_E_GRAPH, "an initializer has no name");
  if (gie_map_get(&s->values, name) != UINT32_MAX)
    return gie_fail(s->im->ctx, GIE_E_GRAPH, "two initializers are named \"%s\"", name);
  if (is_sparse)
    return onnx_opaque_const(s, name, "sparse initializer");
  if (dtype && !onnx_dtype(t->data_type))
    return onnx_opaque_const(s, name, dtype);
  gie_status st = onnx_tensor_const(s, t, name, &id);
  return st == GIE_OK ? define(s, name, "initializer", id)
                      : gie_error_prefix(s->im->ctx, st, "initializer \"%s\"", name);
}

static gie_status import_constants(struct onnx_scope *s)
{
  for (size_t i = 0; i < s->proto->n_initializer; i++)
    GIE_TRY(import_constant(s, s->proto->initializer[i], false));
  for (size_t i = 0; i < s->proto->n_sparse_initializer; i++) {
    if (!s->proto->sparse_initializer[i]->values)
      return gie_fail(s->im->ctx, GIE_E_DATA, "sparse initializer %zu has no values", i);
    GIE_TRY(import_constant(s, s->proto->sparse_initializer[i]->values, true));
  }
  return GIE_OK;
}

/* Files of IR versions below 4 list the initializers as inputs too; they are constants all the same. */
static gie_status import_inputs(struct onnx_scope *s, struct gie_map *constants)
{
  for (size_t i = 0; i < s->proto->n_initializer; i++)
    GIE_TRY(gie_map_set(constants, onnx_str(s->proto->initializer[i]->name), 0));
  for (size_t i = 0; i < s->proto->n_sparse_initializer; i++)
    if (s->proto->sparse_initializer[i]->values)
      GIE_TRY(gie_map_set(constants, onnx_str(s->proto->sparse_initializer[i]->values->name), 0));
  for (size_t i = 0; i < s->proto->n_input; i++) {
    const Onnx__ValueInfo *v = s->proto->input[i];
    const char *name = onnx_str(v->name);
    struct gie_type type;
    gie_id id;
    if (!*name)
      return gie_fail(s->im->ctx, GIE_E_GRAPH, "input %zu has no name", i);
    if (gie_map_get(constants, name) != UINT32_MAX)
      continue;
    if (gie_map_get(&s->values, name) != UINT32_MAX)
      return gie_fail(s->im->ctx, GIE_E_GRAPH, "two inputs are named \"%s\"", name);
    GIE_TRY(onnx_input_type(s, v, &type));
    GIE_TRY(gie_graph_add_input(s->g, name, &type, &id));
    GIE_TRY(define(s, name, "input", id));
  }
  return GIE_OK;
}

static gie_status import_captures(struct onnx_scope *s, const struct onnx_scope *outer,
                                  const struct onnx_capture *c, size_t n)
{
  for (size_t i = 0; outer && i < n; i++) { /* only a body has captures, and it has an outer scope */
    gie_id id = GIE_NONE;
    /* Two names of one value (a function called with the same operand twice) are one capture. */
    for (size_t k = 0; k < i && id == GIE_NONE; k++)
      if (c[k].value == c[i].value)
        id = gie_map_get(&s->values, c[k].name);
    if (id == GIE_NONE)
      GIE_TRY(gie_graph_add_input(s->g, c[i].name, &gie_value_get(outer->g, c[i].value)->type, &id));
    GIE_TRY(gie_map_set(&s->values, c[i].name, id));
  }
  return GIE_OK;
}

/* Which values are made of what an opaque node makes: their sizes are nobody's but the file's to say. NULL when out of
 * memory. */
static const bool *behind_opaque(struct onnx_scope *s)
{
  bool *behind = gie_arena_alloc(&s->im->arena, (size_t)gie_graph_n_values(s->g) + 1, sizeof *behind);
  if (!behind)
    return NULL;
  GIE_FOR_NODES(s->g, id) {
    const struct gie_node *n = gie_node_get(s->g, id);
    bool is = n->op->flags & GIE_OP_OPAQUE;
    for (uint32_t i = 0; !is && i < n->n_in; i++)
      is = n->in[i] != GIE_NONE && behind[n->in[i]];
    for (uint32_t i = 0; i < n->n_out; i++)
      behind[n->out[i]] = is;
  }
  return behind;
}

/* Declared dims fill in where the sizes of a branch have to be known. Elsewhere a size that depends on data is known when
 * the model runs, and what the file says of it may be that of another run. */
static gie_status declare_outputs(struct onnx_scope *s)
{
  const bool *behind = behind_opaque(s);
  if (!behind)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < s->proto->n_output; i++) {
    gie_id id = gie_graph_output(s->g, i);
    GIE_TRY(onnx_take_declared(s, s->proto->output[i], id, s->depth > 0 || behind[id]));
  }
  return GIE_OK;
}

static gie_status import_outputs(struct onnx_scope *s)
{
  struct gie_map seen;
  gie_status st = GIE_OK;
  gie_map_init(&seen, s->im->ctx);
  for (size_t i = 0; st == GIE_OK && i < s->proto->n_output; i++) {
    const char *name = onnx_str(s->proto->output[i]->name);
    uint32_t id = gie_map_get(&s->values, name);
    if (id == UINT32_MAX || id == OMITTED)
      st = gie_fail(s->im->ctx, GIE_E_GRAPH, "output \"%s\" is never produced; the model is incomplete",
                    name);
    else if (gie_map_get(&seen, name) != UINT32_MAX)
      st = gie_fail(s->im->ctx, GIE_E_GRAPH, "output \"%s\" is listed twice", name);
    else if ((st = gie_map_set(&seen, name, 0)) == GIE_OK)
      st = gie_graph_add_output(s->g, id);
  }
  gie_map_free(&seen);
  return st == GIE_OK ? declare_outputs(s) : st;
}

/* ---- The whole ------------------------------------------------------------------------------- */

static gie_status take_names(struct onnx_scope *s)
{
  const Onnx__Graph *p = s->proto;
  for (size_t i = 0; i < p->n_initializer; i++)
    GIE_TRY(gie_map_set(s->taken, onnx_str(p->initializer[i]->name), 0));
  for (size_t i = 0; i < p->n_input; i++)
    GIE_TRY(gie_map_set(s->taken, onnx_str(p->input[i]->name), 0));
  for (size_t i = 0; i < p->n_node; i++)
    for (size_t k = 0; k < p->node[i]->n_output; k++)
      GIE_TRY(gie_map_set(s->taken, p->node[i]->output[k], 0));
  return GIE_OK;
}

/* A body has the symbols of the graph round it, in the same order, so that types can be copied. */
static gie_status copy_symbols(const struct gie_graph *from, struct gie_graph *to)
{
  uint32_t sym;
  for (uint32_t i = 0; i < gie_graph_n_symbols(from); i++)
    GIE_TRY(gie_graph_symbol(to, gie_graph_symbol_name(from, i), &sym));
  return GIE_OK;
}

static gie_status fill_graph(struct onnx_scope *s, const struct onnx_scope *outer,
                             const struct onnx_capture *captures, size_t n_captures)
{
  struct gie_map constants;
  if (outer)
    GIE_TRY(copy_symbols(outer->g, s->g));
  GIE_TRY(take_names(s));
  gie_map_init(&constants, s->im->ctx);
  gie_status st = import_inputs(s, &constants);
  gie_map_free(&constants);
  GIE_TRY(st);
  GIE_TRY(import_captures(s, outer, captures, n_captures));
  GIE_TRY(import_constants(s));
  GIE_TRY(onnx_nodes(s));
  return import_outputs(s);
}

gie_status onnx_graph(struct onnx_import *im, const Onnx__Graph *proto, const struct onnx_scope *outer,
                      const struct onnx_capture *captures, size_t n_captures, struct gie_graph **out)
{
  struct gie_map taken;
  struct onnx_scope s = {.im = im,
                         .proto = proto,
                         .call = outer ? outer->call : NULL,
                         .nodes = proto->node,
                         .n_nodes = proto->n_node};
  s.opsets = outer ? outer->opsets : im->model->opset_import;
  s.n_opsets = outer ? outer->n_opsets : im->model->n_opset_import;
  s.infos = proto->value_info;
  s.n_infos = proto->n_value_info;
  s.depth = outer ? outer->depth + 1 : 0;
  s.taken = &taken;
  if (s.depth > GIE_MAX_BODY_DEPTH)
    return gie_fail(im->ctx, GIE_E_LIMIT, "graphs nested more than %d deep", GIE_MAX_BODY_DEPTH);
  GIE_TRY(gie_graph_new(im->ctx, proto->name, &s.g));
  gie_map_init(&taken, im->ctx);
  gie_status st = onnx_scope_init(&s);
  if (st == GIE_OK)
    st = fill_graph(&s, outer, captures, n_captures);
  onnx_scope_free(&s);
  gie_map_free(&taken);
  if (st != GIE_OK) {
    gie_graph_free(s.g);
    return st;
  }
  *out = s.g;
  return GIE_OK;
}
