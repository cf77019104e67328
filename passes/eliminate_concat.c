/* SPDX-License-Identifier: Apache-2.0 */
/* What a concat puts together is made where it belongs: its operands become views of its result.
 *
 *     %a = conv(%x, %v)                   %a view(%y, 1, 0, 64)  = conv(%x, %v)
 *     %b = conv(%x, %w)             ->    %b view(%y, 1, 64, 32) = conv(%x, %w)
 *     %y = concat(%a, %b) {axis=1}        %y = concat(%a, %b) {axis=1}            (costs nothing)
 *
 * The concat stays as a statement about data flow. Operands of a concat whose result is itself a view
 * along the same axis go to where that lies. An operand that cannot be a view is copied by a reorder,
 * which pays as long as another one needs no copy; the log says why. Other readers of an operand
 * read the view.
 *
 * An operand cannot be a view: inputs, constants, results of opaque nodes, values that are views or
 * hold views already, that the concat reads twice, or with another layout or quantization.
 *
 * Does not fire: no operand can be a view, dims along the axis that are no numbers, an epilogue, a
 * range that cuts through a block of the layout, a result that is a view along another axis. */
#include "passes/util.h"

struct state {
  struct gie_graph *g;
  struct gie_context *ctx;
  unsigned char *is_base; /* by value */
  uint32_t n_values;
};

static bool same_quant(const struct gie_quant *a, const struct gie_quant *b)
{
  return a->n == b->n && a->axis == b->axis &&
         (a->n == 0 || (memcmp(a->scale, b->scale, a->n * sizeof *a->scale) == 0 &&
                        memcmp(a->zero, b->zero, a->n * sizeof *a->zero) == 0));
}

static bool is_read_before(const struct gie_node *n, uint32_t operand)
{
  for (uint32_t i = 0; i < operand; i++)
    if (n->in[i] == n->in[operand])
      return true;
  return false;
}

/* Why operand i cannot be a view; NULL if it can. */
static const char *refusal(const struct state *st, const struct gie_node *n, uint32_t i)
{
  const struct gie_value *v = gie_value_get(st->g, n->in[i]), *y = gie_value_get(st->g, n->out[0]);
  const struct gie_node *producer = gie_node_get(st->g, v->producer);
  if (v->kind != GIE_VALUE_RESULT)
    return v->kind == GIE_VALUE_INPUT ? "it is an input" : "it is a constant";
  if (producer->op->flags & GIE_OP_OPAQUE)
    return "an opaque node makes it";
  if (v->view.base != GIE_NONE)
    return "it lies in another value already";
  if (v->id < st->n_values && st->is_base[v->id])
    return "other values lie in it";
  if (v->n_uses > 1 && is_read_before(n, i))
    return "the concat reads it twice";
  if (!gie_layout_equal(&v->layout, &y->layout, y->type.shape.rank))
    return "its layout is not that of the result";
  return same_quant(&v->quant, &y->quant) ? NULL : "its quantization is not that of the result";
}

/* Where operand i lies in the base; *offset moves on to the next. False when its extent is no number or
 * a block is cut. */
static bool range_of(const struct state *st, const struct gie_node *n, uint32_t i,
                     const struct gie_value *base, struct gie_view *view)
{
  struct gie_dim d = gie_value_get(st->g, n->in[i])->type.shape.dim[view->axis];
  view->offset += view->extent;
  if (!gie_dim_is_num(d))
    return false;
  view->extent = d.b;
  if (base->layout.block <= 1 || base->layout.block_axis != view->axis)
    return true;
  return view->offset % base->layout.block == 0 &&
         (view->extent % base->layout.block == 0 ||
          view->offset + view->extent == base->type.shape.dim[view->axis].b);
}

/* The view of operand 0, as a start: extent 0 at the concat's own place. NULL: the pass does not fire. */
static const struct gie_value *match(const struct state *st, const struct gie_node *n, struct gie_view *start)
{
  if (!pass_is_op(n, "concat") || n->n_steps || n->n_captures)
    return NULL;
  const struct gie_value *y = gie_value_get(st->g, n->out[0]), *base = y;
  int rank = y->type.shape.rank;
  if (rank < 1)
    return NULL;
  *start = (struct gie_view){y->id, (int32_t)pass_axis(n, rank), 0, 0};
  if (y->view.base != GIE_NONE) {
    base = gie_value_get(st->g, y->view.base);
    if (y->view.axis != start->axis)
      return NULL;
    start->base = base->id;
    start->offset = y->view.offset;
  }
  struct gie_view view = *start;
  bool one = false, settled = true;
  for (uint32_t i = 0; i < n->n_operands; i++) {
    const struct gie_value *v = gie_value_get(st->g, n->in[i]);
    if (v->type.dtype != y->type.dtype || v->type.shape.rank != rank || !range_of(st, n, i, base, &view))
      return NULL;
    bool there = v->view.base == view.base && v->view.axis == view.axis && v->view.offset == view.offset;
    settled = settled && there;
    one = one || there || !refusal(st, n, i);
  }
  return one && !settled && gie_dim_is_num(base->type.shape.dim[start->axis]) ? base : NULL;
}

/* A copy of operand i, made right before the concat, takes its place. */
static gie_status copy_operand(struct state *st, const struct gie_node *n, uint32_t i)
{
  const struct gie_value *y = gie_value_get(st->g, n->out[0]);
  gie_id copy, from = n->in[i];
  GIE_TRY(pass_node(st->g, "reorder", NULL, &from, 1, NULL, 0, n->id, &copy));
  GIE_TRY(gie_value_set_layout(st->g, copy, &y->layout));
  GIE_TRY(gie_value_set_quant(st->g, copy, &y->quant));
  return gie_node_set_input(st->g, n->id, i, copy);
}

static gie_status rewrite(struct state *st, const struct gie_node *n, const struct gie_value *base,
                          struct gie_view view)
{
  const char *name = gie_value_get(st->g, n->out[0])->name;
  for (uint32_t i = 0; i < n->n_operands; i++) {
    range_of(st, n, i, base, &view);
    const struct gie_value *v = gie_value_get(st->g, n->in[i]);
    if (v->view.base == view.base && v->view.axis == view.axis && v->view.offset == view.offset)
      continue;
    const char *why = refusal(st, n, i);
    if (why) {
      gie_log(st->ctx, GIE_LOG_DEBUG, "pass", "eliminate_concat: \"%s\" is copied into \"%s\": %s", v->name,
              name, why);
      GIE_TRY(copy_operand(st, n, i));
    }
    GIE_TRY(gie_value_set_view(st->g, n->in[i], &view));
  }
  if (base->id < st->n_values)
    st->is_base[base->id] = 1;
  return GIE_OK;
}

static void log_refusals(const struct state *st, const struct gie_node *n)
{
  const char *name = gie_value_get(st->g, n->out[0])->name;
  for (uint32_t i = 0; i < n->n_operands; i++) {
    const char *why = refusal(st, n, i);
    gie_log(st->ctx, GIE_LOG_DEBUG, "pass", "eliminate_concat: \"%s\" stays a copy: \"%s\": %s", name,
            gie_value_get(st->g, n->in[i])->name, why ? why : "its range does not fit");
  }
}

/* From the last node to the first, so that of nested concats the outer one comes first. */
static gie_status eliminate(struct state *st, uint32_t *changes)
{
  for (gie_id id = gie_graph_last(st->g); id != GIE_NONE; id = gie_node_get(st->g, id)->prev) {
    const struct gie_node *n = gie_node_get(st->g, id);
    struct gie_view start;
    const struct gie_value *base = match(st, n, &start);
    if (base) {
      GIE_TRY(rewrite(st, n, base, start));
      ++*changes;
    } else if (pass_is_op(n, "concat")) {
      log_refusals(st, n);
    }
  }
  return GIE_OK;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  struct state st = {.g = g, .ctx = pc->ctx, .n_values = gie_graph_n_values(g)};
  if (!(st.is_base = gie_alloc(pc->ctx, st.n_values, 1)))
    return GIE_E_MEMORY;
  for (gie_id v = 0; v < st.n_values; v++)
    if (gie_value_get(g, v)->kind != GIE_VALUE_DEAD && gie_value_get(g, v)->view.base != GIE_NONE)
      st.is_base[gie_value_get(g, v)->view.base] = 1;
  gie_status s = eliminate(&st, changes);
  gie_free(pc->ctx, st.is_base);
  return s;
}

const struct gie_pass gie_pass_eliminate_concat = {
    sizeof(struct gie_pass), "eliminate_concat",
    "makes operands of concat views of its result; not inputs, constants and what lies elsewhere", run, NULL};
