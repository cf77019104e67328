/* SPDX-License-Identifier: Apache-2.0 */
/* Where values live. Most have storage of their own. A view lives inside its base, and the result
 * of a node that only renames the elements (reshape, flatten, …) shares its operand's bytes:
 *
 *   %a = relu(%x)    view(%cat, 1, 0, 64)      %a: root %cat, offset 0, pitched
 *   %b = relu(%y)    view(%cat, 1, 64, 32)     %b: root %cat, offset of channel 64
 *   %cat = concat(%a, %b)                      free: both are where they belong
 *   %f = flatten(%cat)                         free: root %cat, offset 0
 *
 * Sharing read-only bytes is always legal, because a value is written once; whoever overwrites
 * its operand asks the memory planner, which counts the users of the whole root. */
#include "core/run/run.h"

/* ---- Placing ---------------------------------------------------------------------------------- */

static bool base_is_usable(const struct gie_graph *g, const bool *is_tail, gie_id base)
{
  const struct gie_value *b = gie_value_get(g, base);
  return b && b->kind != GIE_VALUE_DEAD && run_type_is_static(&b->type) &&
         (b->producer == GIE_NONE || !is_tail[b->producer]);
}

static gie_status place_root(const struct gie_graph *g, const struct gie_value *v, struct run_value *values)
{
  struct run_value *p = &values[v->id];
  if (p->placed)
    return GIE_OK;
  gie_status st = gie_desc_make(g->ctx, &v->type, &v->layout, &p->desc, &p->bytes);
  if (st != GIE_OK)
    return gie_error_prefix(g->ctx, st, "value \"%s\"", v->name);
  p->root = v->id;
  p->buffer = RUN_NONE;
  p->placed = true;
  return GIE_OK;
}

static gie_status place_value(const struct gie_graph *g, const bool *is_tail, gie_id id,
                              struct run_value *values)
{
  const struct gie_value *v = gie_value_get(g, id);
  if (!v || values[id].placed)
    return GIE_OK;
  if (v->producer != GIE_NONE && is_tail[v->producer]) {
    values[id].is_tail = true;
    return GIE_OK;
  }
  if (!run_type_is_static(&v->type))
    return GIE_OK;
  if (v->view.base == GIE_NONE || !base_is_usable(g, is_tail, v->view.base))
    return place_root(g, v, values);
  GIE_TRY(place_root(g, gie_value_get(g, v->view.base), values));
  const struct run_value *base = &values[v->view.base];
  struct run_value *p = &values[id];
  gie_status st = gie_desc_view(g->ctx, &base->desc, v->view.axis, v->view.offset, v->view.extent, &p->desc,
                                &p->offset);
  if (st != GIE_OK)
    return gie_error_prefix(g->ctx, st, "value \"%s\"", v->name);
  p->root = base->root;
  p->offset += base->offset;
  p->buffer = RUN_NONE;
  p->placed = true;
  return GIE_OK;
}

/* Ops whose first result has the elements of operand 0 in the same logical order. */
static bool op_renames(const char *op)
{
  static const char *const OPS[] = {"dropout", "flatten", "identity", "reshape", "squeeze", "unsqueeze"};
  for (size_t i = 0; i < sizeof OPS / sizeof *OPS; i++)
    if (strcmp(OPS[i], op) == 0)
      return true;
  return false;
}

/* Lets the result share the operand's bytes where memory order allows. */
static void place_alias(const struct gie_graph *g, const struct gie_node *n, struct run_value *values)
{
  if (!op_renames(n->op->name) || n->n_steps || n->in[0] == GIE_NONE)
    return;
  const struct ir_value *from = ir_value(g, n->in[0]), *to = ir_value(g, n->out[0]);
  struct run_value *src = &values[n->in[0]], *dst = &values[n->out[0]];
  if (!src->placed || !dst->placed || to->n_views || to->pub.view.base != GIE_NONE ||
      from->pub.type.dtype != to->pub.type.dtype || gie_desc_count(&src->desc) != gie_desc_count(&dst->desc))
    return;
  if (!run_desc_equal(&src->desc, &dst->desc) &&
      !(run_desc_is_plain(&src->desc) && run_desc_is_plain(&dst->desc)))
    return;
  dst->root = src->root;
  dst->offset = src->offset;
  dst->bytes = 0;
}

/* ---- Free nodes ------------------------------------------------------------------------------- */

/* True when a value is stored exactly where `desc` at `offset` in `root` says. */
static bool is_at(const struct run_value *v, gie_id root, size_t offset, const struct gie_desc *desc)
{
  return v->placed && v->root == root && (v->offset == offset || gie_desc_count(desc) == 0) &&
         run_desc_equal(&v->desc, desc);
}

/* The range of `whole` that starts at `at` on `axis` and is as long as `part`: is that where part is? */
static bool is_range(const struct gie_graph *g, const struct run_value *whole, const struct run_value *part,
                     int axis, int64_t at)
{
  struct gie_desc d;
  size_t offset;
  if (!part->placed || part->root != whole->root || part->desc.rank != whole->desc.rank)
    return false;
  if (whole->desc.layout.block > 1 && axis == whole->desc.layout.block_axis && at % whole->desc.layout.block)
    return false;
  if (gie_desc_view(g->ctx, &whole->desc, axis, at, part->desc.dim[axis], &d, &offset) != GIE_OK)
    return false;
  return is_at(part, whole->root, whole->offset + offset, &d);
}

static int axis_of(const struct gie_node *n, int rank)
{
  int64_t axis = gie_node_int(n, "axis");
  axis += axis < 0 ? rank : 0;
  return axis >= 0 && axis < rank ? (int)axis : -1;
}

/* Concat: the operands are ranges of the result. Split: the results are ranges of the operand. */
static bool ranges_in_place(const struct gie_graph *g, const struct gie_node *n,
                            const struct run_value *values, gie_id whole, const gie_id *parts,
                            uint32_t n_parts)
{
  const struct run_value *w = &values[whole];
  int axis = w->placed ? axis_of(n, w->desc.rank) : -1;
  int64_t at = 0;
  if (axis < 0)
    return false;
  for (uint32_t i = 0; i < n_parts; i++) {
    if (parts[i] == GIE_NONE || at > w->desc.dim[axis] || !is_range(g, w, &values[parts[i]], axis, at))
      return false;
    at += values[parts[i]].desc.dim[axis];
  }
  return true;
}

/* Start of a slice on each axis; false unless every step is 1 and all numbers are known. */
static bool slice_starts(const struct gie_graph *g, const struct gie_node *n, const struct gie_desc *x,
                         int64_t *start)
{
  int64_t starts[GIE_MAX_RANK], axes[GIE_MAX_RANK], steps[GIE_MAX_RANK];
  uint32_t ns, na, nt;
  memset(start, 0, GIE_MAX_RANK * sizeof *start);
  if (!gie_value_ints(g, n->in[1], starts, GIE_MAX_RANK, &ns))
    return false;
  bool has_axes = n->n_operands > 3 && n->in[3] != GIE_NONE,
       has_steps = n->n_operands > 4 && n->in[4] != GIE_NONE;
  if (has_axes && (!gie_value_ints(g, n->in[3], axes, GIE_MAX_RANK, &na) || na != ns))
    return false;
  if (has_steps && (!gie_value_ints(g, n->in[4], steps, GIE_MAX_RANK, &nt) || nt != ns))
    return false;
  for (uint32_t i = 0; i < ns; i++) {
    int64_t axis = has_axes ? axes[i] : i;
    axis += axis < 0 ? x->rank : 0;
    if (axis < 0 || axis >= x->rank || (has_steps && steps[i] != 1))
      return false;
    int64_t s = starts[i] < 0 ? starts[i] + x->dim[axis] : starts[i];
    start[axis] = s < 0 ? 0 : s > x->dim[axis] ? x->dim[axis] : s;
  }
  return true;
}

static bool slice_in_place(const struct gie_graph *g, const struct gie_node *n,
                           const struct run_value *values)
{
  const struct run_value *x = &values[n->in[0]], *y = &values[n->out[0]];
  int64_t start[GIE_MAX_RANK];
  size_t offset = 0;
  if (!x->placed || !y->placed || x->root != y->root || !slice_starts(g, n, &x->desc, start))
    return false;
  struct gie_desc d = x->desc;
  for (int i = 0; i < d.rank; i++) {
    size_t more;
    if ((d.layout.block > 1 && i == d.layout.block_axis && start[i] % d.layout.block) ||
        y->desc.dim[i] > d.dim[i] - start[i] ||
        gie_desc_view(g->ctx, &d, i, start[i], y->desc.dim[i], &d, &more) != GIE_OK)
      return false;
    offset += more;
  }
  return is_at(y, x->root, x->offset + offset, &d);
}

/* Nothing reads the results beyond the first. */
static bool only_first_result(const struct gie_graph *g, const struct gie_node *n)
{
  for (uint32_t i = 1; i < n->n_out; i++) {
    const struct gie_value *v = gie_value_get(g, n->out[i]);
    if (v->n_uses || v->n_outputs)
      return false;
  }
  return true;
}

static bool computes_nothing(const struct gie_node *n, const struct run_value *values)
{
  for (uint32_t i = 0; i < n->n_out; i++)
    if (!values[n->out[i]].placed || gie_desc_count(&values[n->out[i]].desc) != 0)
      return false;
  return n->n_out > 0 && !(n->op->flags & (GIE_OP_IMPURE | GIE_OP_OPAQUE));
}

bool run_op_may_be_free(const char *op)
{
  return strcmp(op, "concat") == 0 || strcmp(op, "split") == 0 || strcmp(op, "slice") == 0 || op_renames(op);
}

bool run_node_is_free(const struct gie_graph *g, const struct gie_node *n, const struct run_value *values)
{
  const char *op = n->op->name;
  if (computes_nothing(n, values))
    return true;
  if (n->n_steps || n->in == NULL || n->n_operands == 0 || n->in[0] == GIE_NONE)
    return false;
  if (strcmp(op, "concat") == 0)
    return ranges_in_place(g, n, values, n->out[0], n->in, n->n_operands);
  if (strcmp(op, "split") == 0)
    return ranges_in_place(g, n, values, n->in[0], n->out, n->n_out);
  if (strcmp(op, "slice") == 0)
    return slice_in_place(g, n, values);
  if (!op_renames(op) || !only_first_result(g, n))
    return false;
  const struct run_value *x = &values[n->in[0]], *y = &values[n->out[0]];
  return x->placed && y->placed && x->root == y->root && x->offset == y->offset;
}

/* ---- All of it --------------------------------------------------------------------------------- */

/* A view is of use only where it makes a node free: the split or slice that computes it, or a concat that
 * reads it. Any other would be overwritten when its base is computed, so it gets its own storage. */
static bool is_justified(const struct gie_graph *g, const bool *is_live, const bool *is_tail,
                         const struct run_value *values, gie_id value)
{
  const struct gie_value *v = gie_value_get(g, value);
  const struct gie_node *n = gie_node_get(g, v->producer);
  if (n && strcmp(n->op->name, "concat") != 0 && run_node_is_free(g, n, values))
    return true;
  struct gie_use use = {.node = GIE_NONE};
  while (gie_value_next_use(g, value, &use)) {
    n = gie_node_get(g, use.node);
    if (is_live[use.node] && !is_tail[use.node] && strcmp(n->op->name, "concat") == 0 &&
        run_node_is_free(g, n, values))
      return true;
  }
  return false;
}

/* Takes views away that are of no use (or all); *changed if there was one. */
static gie_status drop_views(const struct gie_graph *g, const bool *is_live, const bool *is_tail,
                             struct run_value *values, bool all, bool *changed)
{
  for (gie_id id = gie_graph_last(g); id != GIE_NONE; id = gie_node_get(g, id)->prev) {
    const struct gie_node *n = gie_node_get(g, id);
    for (uint32_t i = 0; is_live[id] && !is_tail[id] && i < n->n_out; i++) {
      struct run_value *v = &values[n->out[i]];
      if (!v->placed || v->root == n->out[i] ||
          (!all && is_justified(g, is_live, is_tail, values, n->out[i])))
        continue;
      memset(v, 0, sizeof *v);
      GIE_TRY(place_root(g, gie_value_get(g, n->out[i]), values));
      *changed = true;
    }
  }
  return GIE_OK;
}

/* Dropping one view can make another useless. Real graphs need one round; whoever nests them so that
 * many are needed gets no views. */
static gie_status settle_views(const struct gie_graph *g, const bool *is_live, const bool *is_tail,
                               struct run_value *values)
{
  bool changed = true;
  for (int round = 0; changed && round <= 8; round++) {
    changed = false;
    GIE_TRY(drop_views(g, is_live, is_tail, values, round == 8, &changed));
  }
  return GIE_OK;
}

gie_status run_place_values(const struct gie_graph *g, const bool *is_live, const bool *is_tail,
                            struct run_value *values)
{
  for (uint32_t i = 0; i < gie_graph_n_outputs(g); i++)
    GIE_TRY(place_value(g, is_tail, gie_graph_output(g, i), values));
  GIE_FOR_NODES(g, id) {
    const struct gie_node *n = gie_node_get(g, id);
    for (uint32_t i = 0; is_live[id] && i < n->n_in; i++)
      GIE_TRY(place_value(g, is_tail, n->in[i], values));
    for (uint32_t i = 0; is_live[id] && i < n->n_out; i++)
      GIE_TRY(place_value(g, is_tail, n->out[i], values));
  }
  GIE_TRY(settle_views(g, is_live, is_tail, values));
  GIE_FOR_NODES(g, id)
    if (is_live[id] && !is_tail[id])
      place_alias(g, gie_node_get(g, id), values);
  return GIE_OK;
}
