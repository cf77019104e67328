/* SPDX-License-Identifier: Apache-2.0 */
/* Deep copy of a graph. Ids, names and order are kept; constants share their blobs. */
#include "core/ir/ir.h"

static gie_status copy_value(struct gie_graph *g, const struct ir_value *from)
{
  struct ir_value *v = gie_arena_alloc(&g->arena, 1, sizeof *v);
  if (!v)
    return GIE_E_MEMORY;
  v->pub = from->pub;
  v->n_views = from->n_views;
  v->pub.n_uses = 0; /* counted again as the nodes are copied */
  v->pub.data.blob = NULL;
  g->values[g->n_values++] = v;
  if (!(v->pub.name = gie_arena_strdup(&g->arena, from->pub.name)))
    return GIE_E_MEMORY;
  v->pub.data.blob = gie_blob_ref(from->pub.data.blob);
  if (from->pub.known && from->pub.n_known != UINT32_MAX &&
      !(v->pub.known = gie_arena_copy(&g->arena, from->pub.known, from->pub.n_known,
                                      sizeof *from->pub.known)))
    return GIE_E_MEMORY;
  return v->pub.kind == GIE_VALUE_DEAD ? GIE_OK : gie_value_set_quant(g, v->pub.id, &from->pub.quant);
}

static gie_status copy_op(struct gie_graph *g, const struct gie_op *from, const struct gie_op **to)
{
  *to = from;
  return from->flags & GIE_OP_OPAQUE ? ir_opaque_op(g, from->name, to) : GIE_OK;
}

static gie_status copy_steps(struct gie_graph *g, struct ir_node *n, const struct gie_node *from)
{
  struct gie_step *steps = gie_arena_alloc(&g->arena, from->n_steps, sizeof *steps);
  if (!steps)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < from->n_steps; i++) {
    steps[i] = from->steps[i];
    GIE_TRY(ir_copy_attrs(g, &from->steps[i].attrs, &steps[i].attrs));
  }
  n->pub.steps = steps;
  n->pub.n_steps = n->step_cap = from->n_steps;
  return GIE_OK;
}

static gie_status copy_node(struct gie_graph *g, const struct ir_node *from)
{
  struct ir_node *n = gie_arena_alloc(&g->arena, 1, sizeof *n);
  if (!n)
    return GIE_E_MEMORY;
  n->removed = from->removed;
  n->pub.id = from->pub.id;
  n->pub.prev = from->pub.prev;
  n->pub.next = from->pub.next;
  g->nodes[g->n_nodes++] = n;
  n->pub.name = "";
  GIE_TRY(copy_op(g, from->pub.op, &n->pub.op));
  if (n->removed)
    return GIE_OK;
  n->pub.name = gie_arena_strdup(&g->arena, from->pub.name);
  n->pub.out = gie_arena_copy(&g->arena, from->pub.out, from->pub.n_out, sizeof *from->pub.out);
  if (!n->pub.name || !n->pub.out)
    return GIE_E_MEMORY;
  n->pub.n_out = from->pub.n_out;
  for (uint32_t i = 0; i < from->pub.n_in; i++)
    GIE_TRY(ir_node_append_in(g, n, i, from->pub.in[i]));
  n->pub.n_operands = from->pub.n_operands;
  n->pub.n_captures = from->pub.n_captures;
  GIE_TRY(copy_steps(g, n, &from->pub));
  GIE_TRY(ir_copy_attrs(g, &from->pub.attrs, &n->pub.attrs));
  return ir_copy_attrs(g, &from->pub.notes, &n->pub.notes);
}

static gie_status copy_ids(struct gie_context *ctx, const gie_id *from, size_t n, gie_id **to, size_t *n_to,
                           size_t *cap)
{
  GIE_TRY(gie_grow(ctx, to, cap, n, sizeof **to));
  if (n)
    memcpy(*to, from, n * sizeof **to);
  *n_to = n;
  return GIE_OK;
}

static gie_status copy_into(struct gie_graph *g, const struct gie_graph *from)
{
  struct gie_context *ctx = g->ctx;
  for (size_t i = 0; i < from->n_symbols; i++) {
    uint32_t sym;
    GIE_TRY(gie_graph_symbol(g, from->symbols[i], &sym));
  }
  GIE_TRY(ir_copy_attrs(g, &from->meta, &g->meta));
  GIE_TRY(gie_grow(ctx, &g->values, &g->cap_values, from->n_values, sizeof(struct ir_value *)));
  for (size_t i = 0; i < from->n_values; i++)
    GIE_TRY(copy_value(g, from->values[i]));
  GIE_TRY(gie_grow(ctx, &g->nodes, &g->cap_nodes, from->n_nodes, sizeof(struct ir_node *)));
  for (size_t i = 0; i < from->n_nodes; i++)
    GIE_TRY(copy_node(g, from->nodes[i]));
  GIE_TRY(copy_ids(ctx, from->inputs, from->n_inputs, &g->inputs, &g->n_inputs, &g->cap_inputs));
  GIE_TRY(copy_ids(ctx, from->outputs, from->n_outputs, &g->outputs, &g->n_outputs, &g->cap_outputs));
  g->live_nodes = from->live_nodes;
  g->first = from->first;
  g->last = from->last;
  g->fresh = from->fresh;
  return ir_index_names(g);
}

gie_status ir_clone_at_depth(const struct gie_graph *from, uint32_t depth, struct gie_graph **out)
{
  struct gie_graph *g;
  GIE_TRY(gie_graph_new(from->ctx, from->name, &g));
  g->depth = depth;
  gie_status s = copy_into(g, from);
  if (s != GIE_OK)
    gie_graph_free(g);
  else
    *out = g;
  return s;
}

gie_status gie_graph_clone(const struct gie_graph *g, struct gie_graph **out)
{
  return ir_clone_at_depth(g, g->depth, out);
}
