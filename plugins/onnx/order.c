/* SPDX-License-Identifier: Apache-2.0 */
/* Order of the nodes of a graph, and the names that bodies read from outside. ONNX wants the nodes in
 * order; files that are not are put in order here, keeping the order they have where it is possible. */
#include "plugins/onnx/onnx.h"

/* ---- Names that bodies read ------------------------------------------------------------------ */

bool onnx_has_bodies(const Onnx__Node *node)
{
  for (size_t i = 0; i < node->n_attribute; i++)
    if (node->attribute[i]->g || node->attribute[i]->n_graphs)
      return true;
  return false;
}

static gie_status add_name(struct onnx_import *im, struct onnx_names *l, const char *name)
{
  if (gie_map_get(&l->seen, name) != UINT32_MAX)
    return GIE_OK;
  GIE_TRY(gie_grow(im->ctx, &l->v, &l->cap, l->n + 1, sizeof *l->v));
  GIE_TRY(gie_map_set(&l->seen, name, 0));
  l->v[l->n++] = name;
  return GIE_OK;
}

static gie_status define_names(const Onnx__Graph *g, struct gie_map *own)
{
  for (size_t i = 0; i < g->n_input; i++)
    GIE_TRY(gie_map_set(own, onnx_str(g->input[i]->name), 0));
  for (size_t i = 0; i < g->n_initializer; i++)
    GIE_TRY(gie_map_set(own, onnx_str(g->initializer[i]->name), 0));
  for (size_t i = 0; i < g->n_sparse_initializer; i++)
    if (g->sparse_initializer[i]->values)
      GIE_TRY(gie_map_set(own, onnx_str(g->sparse_initializer[i]->values->name), 0));
  for (size_t i = 0; i < g->n_node; i++)
    for (size_t k = 0; k < g->node[i]->n_output; k++)
      GIE_TRY(gie_map_set(own, g->node[i]->output[k], 0));
  return GIE_OK;
}

static gie_status add_unless_own(struct onnx_import *im, const struct gie_map *own, const char *name,
                                 struct onnx_names *out)
{
  return !*name || gie_map_get(own, name) != UINT32_MAX ? GIE_OK : add_name(im, out, name);
}

static gie_status free_of_graph(struct onnx_import *im, const Onnx__Graph *g, const struct gie_map *own,
                                struct onnx_names *out)
{
  for (size_t i = 0; i < g->n_node; i++) {
    const Onnx__Node *node = g->node[i];
    for (size_t k = 0; k < node->n_input; k++)
      GIE_TRY(add_unless_own(im, own, node->input[k], out));
    if (!onnx_has_bodies(node))
      continue;
    struct onnx_names inner = {0};
    gie_status st = onnx_free_names(im, node, &inner);
    for (size_t k = 0; st == GIE_OK && k < inner.n; k++)
      st = add_unless_own(im, own, inner.v[k], out);
    onnx_names_free(&inner);
    GIE_TRY(st);
  }
  for (size_t i = 0; i < g->n_output; i++)
    GIE_TRY(add_unless_own(im, own, onnx_str(g->output[i]->name), out));
  return GIE_OK;
}

static gie_status add_body(struct onnx_import *im, const Onnx__Graph *g, struct onnx_names *out)
{
  struct gie_map own;
  gie_map_init(&own, im->ctx);
  gie_status st = define_names(g, &own);
  if (st == GIE_OK)
    st = free_of_graph(im, g, &own, out);
  gie_map_free(&own);
  return st;
}

gie_status onnx_free_names(struct onnx_import *im, const Onnx__Node *node, struct onnx_names *out)
{
  *out = (struct onnx_names){0};
  gie_map_init(&out->seen, im->ctx);
  for (size_t i = 0; i < node->n_attribute; i++) {
    const Onnx__Attribute *a = node->attribute[i];
    if (a->g)
      GIE_TRY(add_body(im, a->g, out));
    for (size_t k = 0; k < a->n_graphs; k++)
      GIE_TRY(add_body(im, a->graphs[k], out));
  }
  return GIE_OK;
}

void onnx_names_free(struct onnx_names *l)
{
  if (l->seen.ctx) {
    gie_free(l->seen.ctx, l->v);
    gie_map_free(&l->seen);
  }
  *l = (struct onnx_names){0};
}

/* ---- Order ----------------------------------------------------------------------------------- */

enum mark { NEW, OPEN, DONE };

struct ordering {
  struct onnx_scope *s;
  struct onnx_names *bodies; /* per node: what its bodies read; NULL if no node has bodies */
  unsigned char *mark;
  uint32_t *next, *stack;
};

static const char *label(const Onnx__Node *n)
{
  return n->name && *n->name ? n->name : n->n_output && *n->output[0] ? n->output[0] : onnx_str(n->op_type);
}

static gie_status cycle_error(const struct ordering *o, size_t depth, uint32_t closing)
{
  struct gie_buf b;
  size_t from = depth;
  gie_buf_init(&b, o->s->im->ctx);
  while (from > 0 && o->stack[from - 1] != closing)
    from--;
  /* The stack runs from reader to producer; print in the direction of the data. */
  gie_buf_puts(&b, label(o->s->nodes[closing]));
  for (size_t i = depth, shown = 0; i >= from && i > 0; i--, shown++) {
    gie_buf_printf(&b, " -> %s", shown < 16 ? label(o->s->nodes[o->stack[i - 1]]) : "...");
    if (shown == 16)
      break;
  }
  gie_status st = gie_fail(o->s->im->ctx, GIE_E_GRAPH, "the graph has a cycle: %s", b.data ? b.data : "");
  gie_buf_free(&b);
  return st;
}

/* Name k that node i reads; NULL past the last. */
static const char *read_name(const struct ordering *o, uint32_t i, uint32_t k)
{
  const Onnx__Node *n = o->s->nodes[i];
  if (k < n->n_input)
    return n->input[k];
  k -= (uint32_t)n->n_input;
  return o->bodies && k < o->bodies[i].n ? o->bodies[i].v[k] : NULL;
}

/* Depth first, iterative: a node is placed when all producers of what it reads are. */
static gie_status place(struct ordering *o, uint32_t *order)
{
  size_t placed = 0, depth = 0;
  for (uint32_t start = 0; start < o->s->n_nodes; start++) {
    if (o->mark[start] == NEW) {
      o->mark[start] = OPEN;
      o->stack[depth++] = start;
    }
    while (depth > 0) {
      uint32_t i = o->stack[depth - 1];
      const char *name = read_name(o, i, o->next[i]++);
      if (!name) {
        o->mark[i] = DONE;
        order[placed++] = i;
        depth--;
        continue;
      }
      uint32_t p = *name ? gie_map_get(&o->s->produced, name) : UINT32_MAX;
      if (p == UINT32_MAX || o->mark[p] == DONE)
        continue;
      if (o->mark[p] == OPEN)
        return cycle_error(o, depth, p);
      o->mark[p] = OPEN;
      o->stack[depth++] = p;
    }
  }
  return GIE_OK;
}

static gie_status find_bodies(struct ordering *o)
{
  for (size_t i = 0; i < o->s->n_nodes; i++) {
    if (!onnx_has_bodies(o->s->nodes[i]))
      continue;
    if (!o->bodies && !(o->bodies = gie_alloc(o->s->im->ctx, o->s->n_nodes, sizeof *o->bodies)))
      return GIE_E_MEMORY;
    GIE_TRY(onnx_free_names(o->s->im, o->s->nodes[i], &o->bodies[i]));
  }
  return GIE_OK;
}

gie_status onnx_order(struct onnx_scope *s, uint32_t *order)
{
  struct gie_context *ctx = s->im->ctx;
  struct ordering o = {.s = s};
  o.mark = gie_alloc(ctx, s->n_nodes, 1);
  o.next = gie_alloc(ctx, s->n_nodes, sizeof *o.next);
  o.stack = gie_alloc(ctx, s->n_nodes, sizeof *o.stack);
  gie_status st = o.mark && o.next && o.stack ? find_bodies(&o) : GIE_E_MEMORY;
  if (st == GIE_OK)
    st = place(&o, order);
  for (size_t i = 0; o.bodies && i < s->n_nodes; i++)
    onnx_names_free(&o.bodies[i]);
  gie_free(ctx, o.bodies);
  gie_free(ctx, o.mark);
  gie_free(ctx, o.next);
  gie_free(ctx, o.stack);
  return st;
}
