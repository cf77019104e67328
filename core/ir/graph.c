/* SPDX-License-Identifier: Apache-2.0 */
/* The graph as a whole: making, freeing, lists of inputs and outputs, symbols, metadata, order and
 * compaction. Values are in value.c, nodes in node.c, copies in clone.c. */
#include "core/ir/ir.h"

gie_status gie_graph_new(struct gie_context *ctx, const char *name, struct gie_graph **out)
{
  struct gie_graph *g = gie_alloc(ctx, 1, sizeof *g);
  if (!g)
    return GIE_E_MEMORY;
  g->ctx = ctx;
  g->first = g->last = GIE_NONE;
  gie_arena_init(&g->arena, ctx);
  gie_map_init(&g->names, ctx);
  g->name = gie_arena_strdup(&g->arena, name ? name : "");
  if (!g->name) {
    gie_graph_free(g);
    return GIE_E_MEMORY;
  }
  *out = g;
  return GIE_OK;
}

void gie_graph_free(struct gie_graph *g)
{
  if (!g)
    return;
  struct gie_context *ctx = g->ctx;
  for (size_t i = 0; i < g->n_values; i++)
    gie_blob_unref(g->values[i]->pub.data.blob);
  for (size_t i = 0; i < g->n_blobs; i++)
    gie_blob_unref(g->blobs[i]);
  for (size_t i = 0; i < g->n_bodies; i++)
    gie_graph_free(g->bodies[i]);
  gie_map_free(&g->names);
  gie_free(ctx, g->values);
  gie_free(ctx, g->nodes);
  gie_free(ctx, g->inputs);
  gie_free(ctx, g->outputs);
  gie_free(ctx, g->symbols);
  gie_free(ctx, g->opaque_ops);
  gie_free(ctx, g->bodies);
  gie_free(ctx, g->blobs);
  gie_arena_free(&g->arena);
  gie_free(ctx, g);
}

struct gie_context *gie_graph_context(const struct gie_graph *g) { return g->ctx; }
const char *gie_graph_name(const struct gie_graph *g) { return g->name; }
uint32_t gie_graph_n_values(const struct gie_graph *g) { return (uint32_t)g->n_values; }
uint32_t gie_graph_n_nodes(const struct gie_graph *g) { return (uint32_t)g->n_nodes; }
uint32_t gie_graph_count_nodes(const struct gie_graph *g) { return (uint32_t)g->live_nodes; }
gie_id gie_graph_first(const struct gie_graph *g) { return g->first; }
gie_id gie_graph_last(const struct gie_graph *g) { return g->last; }

/* ---- Symbols and metadata ------------------------------------------------------------------ */

gie_status gie_graph_symbol(struct gie_graph *g, const char *name, uint32_t *out)
{
  size_t len = strlen(name);
  if (len == 0 || len > GIE_MAX_NAME)
    return gie_fail(g->ctx, GIE_E_LIMIT, "the name of a dim must have 1 to %d bytes", GIE_MAX_NAME);
  for (size_t i = 0; i < g->n_symbols; i++)
    if (strcmp(g->symbols[i], name) == 0) {
      *out = (uint32_t)i;
      return GIE_OK;
    }
  /* Looked up linearly: a network has a handful; the limit keeps hostile files from making it slow. */
  if (g->n_symbols >= 4096)
    return gie_fail(g->ctx, GIE_E_LIMIT, "more than 4096 symbolic dims");
  GIE_TRY(gie_grow(g->ctx, &g->symbols, &g->cap_symbols, g->n_symbols + 1, sizeof *g->symbols));
  const char *copy = gie_arena_strdup(&g->arena, name);
  if (!copy)
    return GIE_E_MEMORY;
  *out = (uint32_t)g->n_symbols;
  g->symbols[g->n_symbols++] = copy;
  return GIE_OK;
}

const char *gie_graph_symbol_name(const struct gie_graph *g, uint32_t sym)
{
  return sym < g->n_symbols ? g->symbols[sym] : NULL;
}

uint32_t gie_graph_n_symbols(const struct gie_graph *g) { return (uint32_t)g->n_symbols; }
const struct gie_attrs *gie_graph_meta(const struct gie_graph *g) { return &g->meta; }

gie_status gie_graph_set_meta(struct gie_graph *g, const struct gie_attr *attr)
{
  return ir_attrs_set(g, &g->meta, attr);
}

/* ---- Inputs and outputs -------------------------------------------------------------------- */

gie_status gie_graph_add_input(struct gie_graph *g, const char *name, const struct gie_type *type,
                               gie_id *out)
{
  struct ir_value *v;
  GIE_TRY(gie_grow(g->ctx, &g->inputs, &g->cap_inputs, g->n_inputs + 1, sizeof *g->inputs));
  GIE_TRY(ir_value_new(g, name, GIE_VALUE_INPUT, &v));
  v->pub.type = *type;
  g->inputs[g->n_inputs++] = v->pub.id;
  *out = v->pub.id;
  return GIE_OK;
}

gie_status gie_graph_add_output(struct gie_graph *g, gie_id value)
{
  struct ir_value *v = ir_value(g, value);
  if (!v || v->pub.kind == GIE_VALUE_DEAD)
    return gie_fail(g->ctx, GIE_E_GRAPH, "a graph output names a value that does not exist");
  GIE_TRY(gie_grow(g->ctx, &g->outputs, &g->cap_outputs, g->n_outputs + 1, sizeof *g->outputs));
  g->outputs[g->n_outputs++] = value;
  v->pub.n_outputs++;
  return GIE_OK;
}

uint32_t gie_graph_n_inputs(const struct gie_graph *g) { return (uint32_t)g->n_inputs; }
uint32_t gie_graph_n_outputs(const struct gie_graph *g) { return (uint32_t)g->n_outputs; }
gie_id gie_graph_input(const struct gie_graph *g, uint32_t i)
{
  return i < g->n_inputs ? g->inputs[i] : GIE_NONE;
}
gie_id gie_graph_output(const struct gie_graph *g, uint32_t i)
{
  return i < g->n_outputs ? g->outputs[i] : GIE_NONE;
}

gie_status gie_graph_set_output(struct gie_graph *g, uint32_t i, gie_id value)
{
  struct ir_value *v = ir_value(g, value);
  if (i >= g->n_outputs || !v || v->pub.kind == GIE_VALUE_DEAD)
    return gie_fail(g->ctx, GIE_E_GRAPH, "output %u or its new value does not exist", (unsigned)i);
  ir_value(g, g->outputs[i])->pub.n_outputs--;
  v->pub.n_outputs++;
  g->outputs[i] = value;
  return GIE_OK;
}

/* ---- Order ---------------------------------------------------------------------------------- */

enum mark { NEW, OPEN, DONE };

/* "a -> b -> a": the nodes on the stack from the one that closes the cycle on. */
static gie_status cycle_error(const struct gie_graph *g, const gie_id *stack, size_t depth, gie_id closing)
{
  struct gie_buf b;
  size_t from = 0, shown = 0;
  gie_buf_init(&b, g->ctx);
  while (from < depth && stack[from] != closing)
    from++;
  /* The stack runs from reader to producer; print in the direction of the data. */
  gie_buf_printf(&b, "%s", g->nodes[closing]->pub.name);
  for (size_t i = depth; i-- > from && shown < 16; shown++)
    gie_buf_printf(&b, " -> %s", g->nodes[stack[i]]->pub.name);
  if (shown == 16)
    gie_buf_puts(&b, " -> …");
  gie_status s = gie_fail(g->ctx, GIE_E_GRAPH, "the graph has a cycle: %s", b.data ? b.data : "");
  gie_buf_free(&b);
  return s;
}

/* Depth-first from each node in the present order: a node is placed once all producers of its
 * operands are. Iterative, because chains may have a million nodes. next_in[n] is the slot of n to
 * look at next, stack the path from a reader to its producers. */
static gie_status sort_into(const struct gie_graph *g, unsigned char *mark, uint32_t *next_in, gie_id *stack,
                            gie_id *order)
{
  size_t placed = 0, depth = 0;
  for (gie_id start = g->first; start != GIE_NONE; start = g->nodes[start]->pub.next) {
    if (mark[start] == NEW) {
      mark[start] = OPEN;
      stack[depth++] = start;
    }
    while (depth > 0) {
      const struct gie_node *n = &g->nodes[stack[depth - 1]]->pub;
      if (next_in[n->id] == n->n_in) {
        mark[n->id] = DONE;
        order[placed++] = n->id;
        depth--;
        continue;
      }
      const struct ir_value *v = ir_value(g, n->in[next_in[n->id]++]);
      gie_id p = v ? v->pub.producer : GIE_NONE;
      if (p == GIE_NONE || mark[p] == DONE)
        continue;
      if (mark[p] == OPEN)
        return cycle_error(g, stack, depth, p);
      mark[p] = OPEN;
      stack[depth++] = p;
    }
  }
  return GIE_OK;
}

gie_status ir_graph_order(const struct gie_graph *g, gie_id *order)
{
  size_t n = g->n_nodes ? g->n_nodes : 1;
  unsigned char *mark = gie_alloc(g->ctx, n, 1);
  uint32_t *next_in = gie_alloc(g->ctx, n, sizeof *next_in);
  gie_id *stack = gie_alloc(g->ctx, n, sizeof *stack);
  gie_status s = mark && next_in && stack ? sort_into(g, mark, next_in, stack, order) : GIE_E_MEMORY;
  gie_free(g->ctx, mark);
  gie_free(g->ctx, next_in);
  gie_free(g->ctx, stack);
  return s;
}

gie_status gie_graph_sort(struct gie_graph *g)
{
  gie_id *order = gie_alloc(g->ctx, g->live_nodes ? g->live_nodes : 1, sizeof *order);
  gie_status s = order ? ir_graph_order(g, order) : GIE_E_MEMORY;
  if (s == GIE_OK) {
    g->first = g->live_nodes ? order[0] : GIE_NONE;
    g->last = g->live_nodes ? order[g->live_nodes - 1] : GIE_NONE;
    for (size_t i = 0; i < g->live_nodes; i++) {
      g->nodes[order[i]]->pub.prev = i > 0 ? order[i - 1] : GIE_NONE;
      g->nodes[order[i]]->pub.next = i + 1 < g->live_nodes ? order[i + 1] : GIE_NONE;
    }
  }
  gie_free(g->ctx, order);
  return s;
}

gie_status gie_graph_infer(struct gie_graph *g)
{
  GIE_FOR_NODES(g, id)
    GIE_TRY(ir_infer_node(g, g->nodes[id]));
  return GIE_OK;
}

/* ---- Compaction ----------------------------------------------------------------------------- */

/* New ids: inputs in their order, constants in id order, then results in node order. */
static void number_values(struct gie_graph *g, struct ir_value **values, gie_id *map, size_t *count)
{
  size_t n = 0;
  for (size_t i = 0; i < g->n_inputs; i++)
    values[n++] = g->values[g->inputs[i]];
  for (size_t i = 0; i < g->n_values; i++)
    if (g->values[i]->pub.kind == GIE_VALUE_CONST)
      values[n++] = g->values[i];
  GIE_FOR_NODES(g, id)
    for (uint32_t k = 0; k < g->nodes[id]->pub.n_out; k++)
      values[n++] = g->values[g->nodes[id]->pub.out[k]];
  for (size_t i = 0; i < n; i++)
    map[values[i]->pub.id] = (gie_id)i;
  *count = n;
}

static gie_id mapped(const gie_id *map, gie_id id) { return id == GIE_NONE ? GIE_NONE : map[id]; }

static void renumber_node(struct ir_node *n, const gie_id *value_map, const gie_id *node_map)
{
  gie_id *in = (gie_id *)n->pub.in, *out = (gie_id *)n->pub.out;
  for (uint32_t i = 0; i < n->pub.n_in; i++) {
    in[i] = mapped(value_map, in[i]);
    if (n->uses[i])
      n->uses[i]->node = node_map[n->pub.id];
  }
  for (uint32_t i = 0; i < n->pub.n_out; i++)
    out[i] = value_map[out[i]];
  n->pub.id = node_map[n->pub.id];
  n->pub.prev = mapped(node_map, n->pub.prev);
  n->pub.next = mapped(node_map, n->pub.next);
}

static void apply_numbers(struct gie_graph *g, struct ir_value **values, size_t n_values,
                          struct ir_node **nodes, const gie_id *value_map, const gie_id *node_map)
{
  for (size_t i = 0; i < g->live_nodes; i++)
    renumber_node(nodes[i], value_map, node_map);
  for (size_t i = 0; i < n_values; i++) {
    struct gie_value *v = &values[i]->pub;
    v->id = (gie_id)i;
    v->producer = mapped(node_map, v->producer);
    v->view.base = mapped(value_map, v->view.base);
  }
  for (size_t i = 0; i < g->n_inputs; i++)
    g->inputs[i] = value_map[g->inputs[i]];
  for (size_t i = 0; i < g->n_outputs; i++)
    g->outputs[i] = value_map[g->outputs[i]];
  g->first = mapped(node_map, g->first);
  g->last = mapped(node_map, g->last);
}

gie_status gie_graph_compact(struct gie_graph *g)
{
  size_t nv = g->n_values + 1, nn = g->n_nodes + 1;
  struct ir_value **values = gie_alloc(g->ctx, nv, sizeof *values);
  struct ir_node **nodes = gie_alloc(g->ctx, nn, sizeof *nodes);
  gie_id *value_map = gie_alloc(g->ctx, nv, sizeof *value_map),
         *node_map = gie_alloc(g->ctx, nn, sizeof *node_map);
  gie_status s = values && nodes && value_map && node_map ? GIE_OK : GIE_E_MEMORY;
  if (s == GIE_OK) {
    size_t n_values, n_nodes = 0;
    number_values(g, values, value_map, &n_values);
    GIE_FOR_NODES(g, id) {
      node_map[id] = (gie_id)n_nodes;
      nodes[n_nodes++] = g->nodes[id];
    }
    apply_numbers(g, values, n_values, nodes, value_map, node_map);
    if (n_values)
      memcpy(g->values, values, n_values * sizeof(struct ir_value *));
    if (n_nodes)
      memcpy(g->nodes, nodes, n_nodes * sizeof(struct ir_node *));
    g->n_values = n_values;
    g->n_nodes = n_nodes;
    s = ir_index_names(g);
  }
  gie_free(g->ctx, values);
  gie_free(g->ctx, nodes);
  gie_free(g->ctx, value_map);
  gie_free(g->ctx, node_map);
  return s;
}
