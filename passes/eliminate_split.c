/* SPDX-License-Identifier: Apache-2.0 */
/* What a split or slice takes out is read where it lies: its results become views of its operand.
 *
 *     %a, %b = split(%x) {axis=1}   ->   %a view(%x, 1, 0, 64), %b view(%x, 1, 64, 64) = split(%x) {axis=1}
 *
 * The node stays as a statement about data flow and costs nothing. Where %x is itself a view along
 * the same axis, the results lie in its base. A slice must cut one axis with step 1.
 *
 * Does not fire: %x is a constant, extents or bounds that are no numbers, results that are views or
 * hold views, other layouts or quantization than %x has, ranges that cut through a block of the layout,
 * an epilogue, %x a view along another axis. The log says which. */
#include "passes/util.h"

struct state {
  struct gie_graph *g;
  struct gie_context *ctx;
  unsigned char *is_base; /* by value; the pass adds no values */
};

/* Start along *axis of what the node takes out first. */
static bool split_start(const struct gie_graph *g, const struct gie_node *n, int rank, int32_t *axis,
                        int64_t *start)
{
  (void)g;
  *axis = (int32_t)pass_axis(n, rank);
  *start = 0;
  return true;
}

static bool slice_start(const struct gie_graph *g, const struct gie_node *n, int rank, int32_t *axis,
                        int64_t *start)
{
  int64_t a = 0, step = 1;
  uint32_t count;
  if (!pass_ints(g, n, 1, start, 1, &count) || count != 1 ||
      (pass_has_operand(n, 3) && !pass_ints(g, n, 3, &a, 1, &count)) ||
      (pass_has_operand(n, 4) && !pass_ints(g, n, 4, &step, 1, &count)) || step != 1)
    return false;
  a += a < 0 ? rank : 0;
  if (a < 0 || a >= rank)
    return false;
  struct gie_dim extent = gie_value_get(g, n->in[0])->type.shape.dim[a];
  if (!gie_dim_is_num(extent))
    return false;
  *start += *start < 0 ? extent.b : 0;
  *start = *start < 0 ? 0 : *start > extent.b ? extent.b : *start;
  *axis = (int32_t)a;
  return true;
}

/* The base for the results, and the view of the first with extent 0; or why there is none. */
static const char *find_base(const struct state *st, const struct gie_node *n, const struct gie_value **base,
                             struct gie_view *start)
{
  const struct gie_value *x = gie_value_get(st->g, n->in[0]);
  bool split = pass_is_op(n, "split");
  *base = x;
  *start = (struct gie_view){x->id, 0, 0, 0};
  if (x->kind == GIE_VALUE_CONST || x->type.shape.rank < 1)
    return "its operand is a constant, or its rank is not known";
  if (!(split ? split_start : slice_start)(st->g, n, x->type.shape.rank, &start->axis, &start->offset))
    return "its bounds are not known, or it cuts several axes";
  if (x->view.base == GIE_NONE)
    return NULL;
  *base = gie_value_get(st->g, x->view.base);
  if (x->view.axis != start->axis)
    return "its operand lies in another value along another axis";
  start->base = x->view.base;
  start->offset += x->view.offset;
  return NULL;
}

/* Why the result cannot lie at that view; NULL if it can. */
static const char *refusal(const struct state *st, const struct gie_value *v, const struct gie_value *base,
                           const struct gie_view *view)
{
  const struct gie_layout *l = &base->layout;
  if (v->view.base != GIE_NONE || st->is_base[v->id])
    return "a result lies in another value, or holds one";
  if (v->type.dtype != base->type.dtype || v->type.shape.rank != base->type.shape.rank ||
      !gie_dim_is_num(base->type.shape.dim[view->axis]))
    return "extents are not known";
  if (!gie_layout_equal(&v->layout, l, v->type.shape.rank) || v->quant.n || base->quant.n)
    return "layouts differ, or it is quantized";
  if (l->block > 1 && l->block_axis == view->axis &&
      (view->offset % l->block ||
       (view->extent % l->block && view->offset + view->extent != base->type.shape.dim[view->axis].b)))
    return "it cuts through a block of the layout";
  return NULL;
}

static bool next_view(const struct gie_value *v, struct gie_view *view)
{
  view->offset += view->extent;
  if (v->type.shape.rank <= view->axis || !gie_dim_is_num(v->type.shape.dim[view->axis]))
    return false;
  view->extent = v->type.shape.dim[view->axis].b;
  return true;
}

static bool is_there(const struct gie_value *v, const struct gie_view *view)
{
  return v->view.base == view->base && v->view.axis == view->axis && v->view.offset == view->offset;
}

static const char *match(const struct state *st, const struct gie_node *n, struct gie_view *start,
                         bool *settled)
{
  const struct gie_value *base;
  const char *why = n->n_steps || n->n_captures ? "it has an epilogue" : find_base(st, n, &base, start);
  struct gie_view view = *start;
  *settled = !why;
  for (uint32_t i = 0; !why && i < n->n_out; i++) {
    const struct gie_value *v = gie_value_get(st->g, n->out[i]);
    if (!next_view(v, &view)) {
      *settled = false;
      return "extents are not known";
    }
    if (is_there(v, &view))
      continue;
    *settled = false;
    why = refusal(st, v, base, &view);
  }
  return why;
}

/* In order, so that a split of a split finds its operand where it is. */
static gie_status eliminate(struct state *st, uint32_t *changes)
{
  GIE_FOR_NODES(st->g, id) {
    const struct gie_node *n = gie_node_get(st->g, id);
    struct gie_view view;
    bool settled;
    if (!pass_is_op(n, "split") && !pass_is_op(n, "slice"))
      continue;
    const char *why = match(st, n, &view, &settled);
    if (why)
      gie_log(st->ctx, GIE_LOG_DEBUG, "pass", "eliminate_split: \"%s\" stays a copy: %s", n->name, why);
    if (why || settled)
      continue;
    for (uint32_t i = 0; i < n->n_out; i++) {
      next_view(gie_value_get(st->g, n->out[i]), &view);
      if (!is_there(gie_value_get(st->g, n->out[i]), &view))
        GIE_TRY(gie_value_set_view(st->g, n->out[i], &view));
    }
    st->is_base[view.base] = 1;
    ++*changes;
  }
  return GIE_OK;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  uint32_t n_values = gie_graph_n_values(g);
  struct state st = {g, pc->ctx, gie_alloc(pc->ctx, n_values, 1)};
  if (!st.is_base)
    return GIE_E_MEMORY;
  for (gie_id v = 0; v < n_values; v++)
    if (gie_value_get(g, v)->kind != GIE_VALUE_DEAD && gie_value_get(g, v)->view.base != GIE_NONE)
      st.is_base[gie_value_get(g, v)->view.base] = 1;
  gie_status s = eliminate(&st, changes);
  gie_free(pc->ctx, st.is_base);
  return s;
}

const struct gie_pass gie_pass_eliminate_split = {
    sizeof(struct gie_pass), "eliminate_split",
    "makes results of split and slice views of their operand; not of constants or with unknown bounds", run,
    NULL};
