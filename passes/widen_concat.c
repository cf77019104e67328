/* SPDX-License-Identifier: Apache-2.0 */
/* A concat that begins with the last part of a split, or ends with the first one, takes all of what is split.
 *
 *     %b, %a = split(%m) {axis=1}                %b, %a = split(%m) {axis=1}
 *     %p = conv(%b, %w)                    ->    %p = conv(%b, %w)
 *     %y = concat(%a, %p) {axis=1}               %z = concat(%m, %p) {axis=1}
 *                                                %y = slice(%z, …)
 *
 * With eliminate_concat and eliminate_split behind it all of them are ranges of %z: what makes %m writes there, %b is read
 * there and %a needs no copy into %y, whose readers find it further apart. fuse_sibling_convs, which makes such splits
 * in inception-like networks, puts the parts so that this fits.
 *
 * Does not fire: %m an input or constant or read by others, %y a graph output or read by another concat, another axis, dims
 * along it that are no numbers, values of these that are quantized, stored in another layout, or views but for the parts in
 * %m, more parts than siblings are made into one. */
#include "passes/util.h"

#define MAX_PARTS 64

enum { FIRST, LAST };

struct match {
  const struct gie_node *concat, *split[2]; /* at either end; NULL: none */
  int64_t axis, start, end;                 /* of %y in %z */
};

static bool extent(const struct gie_graph *g, gie_id value, int64_t axis, int64_t *out)
{
  const struct gie_shape *s = &gie_value_get(g, value)->type.shape;
  if (axis < 0 || axis >= s->rank || !gie_dim_is_num(s->dim[axis]))
    return false;
  *out = s->dim[axis].b;
  return true;
}

/* Plain, but for being a view of `base`. */
static bool is_part(const struct gie_graph *g, gie_id value, gie_id base)
{
  const struct gie_value *v = gie_value_get(g, value);
  struct gie_value plain = *v;
  if (v->view.base == base)
    plain.view.base = GIE_NONE;
  return pass_is_plain(&plain) && !pass_holds_views(g, value);
}

/* All results are plain or views of the operand, and nothing else lies in that. */
static bool is_simple_split(const struct gie_graph *g, const struct gie_node *n)
{
  const struct gie_value *m = gie_value_get(g, n->in[0]);
  uint32_t n_views = 0;
  for (uint32_t i = 0; i < n->n_out; i++) {
    if (!is_part(g, n->out[i], m->id))
      return false;
    n_views += gie_value_get(g, n->out[i])->view.base == m->id;
  }
  return m->kind == GIE_VALUE_RESULT && pass_is_plain(m) && ir_value(g, m->id)->n_views == n_views;
}

static bool concat_reads(const struct gie_graph *g, gie_id value)
{
  struct gie_use use = {GIE_NONE, 0};
  while (gie_value_next_use(g, value, &use))
    if (pass_is_op(gie_node_get(g, use.node), "concat"))
      return true;
  return false;
}

/* Whether the first or last operand of the concat is the part of a split that lies next to the other operands; *before:
 * the extent of the other parts. */
static bool match_at(const struct gie_graph *g, struct match *m, int end, int64_t *before)
{
  const struct gie_node *n = m->concat;
  const struct gie_value *a = gie_value_get(g, n->in[end == FIRST ? 0 : n->n_operands - 1]);
  const struct gie_node *split = gie_node_get(g, a->producer);
  int64_t whole, part;
  if (!split || !pass_is_op(split, "split") || split->n_steps || split->n_captures || split->n_out < 2 ||
      split->n_out > MAX_PARTS || split->out[end == FIRST ? split->n_out - 1 : 0] != a->id ||
      pass_axis(split, a->type.shape.rank) != m->axis || gie_value_get(g, split->in[0])->n_uses != 1 ||
      gie_value_get(g, split->in[0])->n_outputs || !is_simple_split(g, split) ||
      !extent(g, split->in[0], m->axis, &whole) || !extent(g, a->id, m->axis, &part))
    return false;
  m->split[end] = split;
  *before = whole - part;
  return true;
}

static bool match(const struct gie_graph *g, const struct gie_node *n, struct match *m)
{
  const struct gie_value *y = gie_value_get(g, n->out[0]);
  *m = (struct match){.concat = n};
  if (!pass_is_op(n, "concat") || n->n_steps || n->n_captures || n->n_operands < 2 || y->n_outputs ||
      !pass_is_plain(y) || pass_holds_views(g, y->id) || concat_reads(g, y->id))
    return false;
  int64_t size, before = 0, behind;
  m->axis = pass_axis(n, y->type.shape.rank);
  if (!extent(g, y->id, m->axis, &size))
    return false;
  match_at(g, m, FIRST, &before);
  if (match_at(g, m, LAST, &behind) && m->split[LAST] == m->split[FIRST])
    m->split[LAST] = NULL;
  m->start = before;
  m->end = before + size;
  return m->split[FIRST] || m->split[LAST];
}

static gie_status add_concat(struct gie_graph *g, const struct match *m, gie_id *out)
{
  const struct gie_node *n = m->concat;
  struct gie_context *ctx = gie_graph_context(g);
  gie_id *in = gie_alloc(ctx, n->n_operands, sizeof *in);
  if (!in)
    return GIE_E_MEMORY;
  memcpy(in, n->in, n->n_operands * sizeof *in);
  if (m->split[FIRST])
    in[0] = m->split[FIRST]->in[0];
  if (m->split[LAST])
    in[n->n_operands - 1] = m->split[LAST]->in[0];
  gie_status st = pass_node(g, "concat", NULL, in, n->n_operands, n->attrs.v, n->attrs.n, n->id, out);
  gie_free(ctx, in);
  return st;
}

static gie_status rewrite(struct gie_graph *g, const struct match *m)
{
  static const struct gie_view none = {.base = GIE_NONE};
  gie_id in[4], cut;
  for (int end = FIRST; end <= LAST; end++)
    for (uint32_t i = 0; m->split[end] && i < m->split[end]->n_out; i++)
      GIE_TRY(gie_value_set_view(g, m->split[end]->out[i], &none));
  GIE_TRY(add_concat(g, m, &in[0]));
  GIE_TRY(pass_const_ints(g, &m->start, 1, &in[1]));
  GIE_TRY(pass_const_ints(g, &m->end, 1, &in[2]));
  GIE_TRY(pass_const_ints(g, &m->axis, 1, &in[3]));
  GIE_TRY(pass_node(g, "slice", m->concat->name, in, 4, NULL, 0, m->concat->id, &cut));
  return pass_supplant(g, m->concat->id, cut);
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  for (gie_id id = gie_graph_first(g), next; id != GIE_NONE; id = next) {
    struct match m;
    next = gie_node_get(g, id)->next;
    if (!match(g, gie_node_get(g, id), &m))
      continue;
    GIE_TRY(rewrite(g, &m));
    ++*changes;
  }
  return GIE_OK;
}

const struct gie_pass gie_pass_widen_concat = {
    sizeof(struct gie_pass), "widen_concat",
    "lets a concat take all of a split whose part it begins or ends with; not for graph outputs", run, NULL};
