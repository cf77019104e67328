/* SPDX-License-Identifier: Apache-2.0 */
/* Horizontal fusion: products of one value with constant weights become one wide product.
 *
 *     %a = conv(%x, %v, %c) | relu             %w' = [%v; %w], %b' = [%c; %d], stored once: who else reads %v reads a slice
 *     %b = conv(%x, %w, %d) | relu       ->    %y = conv(%x, %w', %b') | relu
 *                                              %a view(%y, 1, 0, 64), %b view(%y, 1, 64, 32) = split(%y, [64, 32])
 *
 * in the order of the graph, but for one that only a concat reads: at the end if that begins with it, at the beginning if it
 * ends with it (widen_concat).
 *
 * Siblings read the same value, have the same op, attributes, kernel size and dtype, and the same
 * epilogue without operands; their numbers of channels may differ. conv with group 1, gemm, and
 * matmul by a matrix. A missing bias is 0 where another one has one. The results are views of the wide
 * one and cost nothing.
 *
 * Does not fire: weights or bias not constant, groups, epilogues with operands, results that are or hold
 * views, a bias of gemm or matmul that is not one number per column, a rank or number of channels that
 * is not known; with a target, where by its roofline the wide product takes longer than all of them (its weights and
 * result no longer fit in the cache), unless the argument is `force`. Dims that are not known count as 1. */
#include "passes/same.h"
#include "passes/siblings.h"

#define MAX_KINDS 16 /* of siblings told apart per value: keeps values with many readers linear */
#define MAX_SIBLINGS GIE_MAX_KNOWN /* in one product: the sizes of a split are known up to there */

struct group {
  gie_id first, last; /* list through state.next, in the order of uses */
  uint32_t n;
};

struct state {
  struct gie_graph *g;
  struct gie_context *ctx;
  uint32_t n_nodes;
  uint32_t *position;              /* by node that was there at the start */
  gie_id *next;                    /* the next sibling in the group */
  const struct gie_target *target; /* NULL: it pays */
  struct group *groups;            /* of one value */
  size_t n_groups, cap_groups;
};

/* ---- Which are siblings -------------------------------------------------------------------------- */

static const struct gie_value *weights(const struct gie_graph *g, gie_id value)
{
  const struct gie_value *v = gie_value_get(g, value);
  return v && v->kind == GIE_VALUE_CONST && pass_is_plain(v) ? v : NULL;
}

static int weight_axis(const struct gie_node *n)
{
  return pass_is_op(n, "conv") || (pass_is_op(n, "gemm") && gie_node_int(n, "trans_b")) ? 0 : 1;
}

/* The bias is missing, or one number per channel. */
static bool bias_fits(const struct gie_graph *g, const struct gie_node *n, int64_t channels)
{
  if (!pass_has_operand(n, 2))
    return true;
  const struct gie_value *b = weights(g, n->in[2]);
  int rank = b ? b->type.shape.rank : 0;
  if (rank < 1 || b->type.shape.dim[rank - 1].b != channels)
    return false;
  for (int i = 0; i < rank - 1; i++)
    if (b->type.shape.dim[i].b != 1)
      return false;
  return b->type.dtype == gie_value_get(g, n->in[1])->type.dtype;
}

static bool is_candidate(const struct gie_graph *g, const struct gie_node *n)
{
  bool conv = pass_is_op(n, "conv");
  const struct gie_value *w;
  if ((!conv && !pass_is_op(n, "gemm") && !pass_is_op(n, "matmul")) || n->n_captures ||
      n->n_in != n->n_operands || !(w = weights(g, n->in[1])) || (conv && gie_node_int(n, "group") != 1))
    return false;
  const struct gie_value *y = gie_value_get(g, n->out[0]);
  int rank = y->type.shape.rank;
  if (rank < 2 || !pass_is_plain(y) || pass_holds_views(g, y->id) || y->type.dtype != w->type.dtype ||
      (!conv && w->type.shape.rank != 2))
    return false;
  return bias_fits(g, n, w->type.shape.dim[weight_axis(n)].b);
}

static bool are_siblings(const struct gie_graph *g, const struct gie_node *a, const struct gie_node *b)
{
  const struct gie_value *v = gie_value_get(g, a->in[1]), *w = gie_value_get(g, b->in[1]);
  if (a->op != b->op || a->n_steps != b->n_steps || v->type.dtype != w->type.dtype ||
      v->type.shape.rank != w->type.shape.rank || !pass_same_attrs(&a->attrs, &b->attrs))
    return false;
  for (int i = 0; i < v->type.shape.rank; i++)
    if (i != weight_axis(a) && v->type.shape.dim[i].b != w->type.shape.dim[i].b)
      return false;
  for (uint32_t i = 0; i < a->n_steps; i++)
    if (a->steps[i].op != b->steps[i].op || !pass_same_attrs(&a->steps[i].attrs, &b->steps[i].attrs))
      return false;
  return true;
}

/* ---- Rewriting ----------------------------------------------------------------------------------- */

static gie_status add_product(const struct siblings *w, gie_id *out)
{
  struct gie_graph *g = w->g;
  const struct gie_node *n = w->first;
  gie_id in[3] = {n->in[0], GIE_NONE, GIE_NONE};
  GIE_TRY(siblings_weights(w, &in[1]));
  GIE_TRY(siblings_bias(w, &in[2]));
  GIE_TRY(pass_node(g, n->op->name, NULL, in, in[2] == GIE_NONE ? 2 : 3, n->attrs.v, n->attrs.n, n->id, out));
  for (uint32_t i = 0; i < n->n_steps; i++)
    GIE_TRY(gie_node_add_step(g, gie_value_get(g, *out)->producer, n->steps[i].op->name, GIE_NONE, false,
                              &n->steps[i].attrs));
  return GIE_OK;
}

static gie_status add_split(const struct siblings *w, gie_id product, gie_id *node)
{
  struct gie_graph *g = w->g;
  const struct gie_attr axis = {.name = "axis", .kind = GIE_ATTR_INT, .u.i = w->result_axis};
  struct gie_node_spec spec = GIE_NODE_SPEC("split");
  gie_id in[2] = {product, GIE_NONE};
  GIE_TRY(pass_const_ints(g, w->channels, w->n, &in[1]));
  spec.in = in, spec.n_in = 2, spec.n_out = w->n;
  spec.attrs = &axis, spec.n_attrs = 1, spec.before = w->first->id;
  return gie_node_add(g, &spec, node);
}

static gie_status rewrite(const struct siblings *w)
{
  struct gie_graph *g = w->g;
  gie_id product, split;
  GIE_TRY(add_product(w, &product));
  GIE_TRY(add_split(w, product, &split));
  const struct gie_node *n_wide = gie_node_get(g, gie_value_get(g, product)->producer);
  const gie_id wide[2] = {n_wide->in[1], n_wide->n_operands > 2 ? n_wide->in[2] : GIE_NONE};
  struct gie_view view = {product, w->result_axis, 0, 0};
  for (uint32_t i = 0; i < w->n; i++, view.offset += view.extent) {
    const struct gie_node *n = gie_node_get(g, w->nodes[i]);
    gie_id part = gie_node_get(g, split)->out[i],
           old[2] = {n->in[1], n->n_operands > 2 ? n->in[2] : GIE_NONE};
    view.extent = w->channels[i];
    GIE_TRY(pass_supplant(g, n->id, part));
    GIE_TRY(gie_value_set_view(g, part, &view));
    GIE_TRY(siblings_release(w, i, old[0], wide[0]));
    GIE_TRY(siblings_release(w, i, old[1], wide[1]));
  }
  return GIE_OK;
}

static bool add_member(const struct state *st, struct siblings *w, gie_id id)
{
  const struct gie_node *n = gie_node_get(w->g, id);
  if (!w->n || st->position[id] < st->position[w->first->id])
    w->first = n;
  w->axis = weight_axis(n);
  w->channels[w->n] = gie_value_get(w->g, n->in[1])->type.shape.dim[w->axis].b;
  w->nodes[w->n] = id;
  return gie_add64(w->total, w->channels[w->n++], &w->total);
}

/* Where a sibling's channels go, so that widen_concat can leave them in place: to the end (1) if a concat begins with them,
 * to the beginning (-1) if one ends with them. */
static int place_of(const struct gie_graph *g, const struct gie_node *n)
{
  const struct gie_node *r = pass_only_reader(g, n->out[0]);
  if (!r || !pass_is_op(r, "concat") || r->n_operands < 2)
    return 0;
  return r->in[0] == n->out[0] ? 1 : r->in[r->n_operands - 1] == n->out[0] ? -1 : 0;
}

static gie_status fuse_group(struct state *st, const struct group *group, uint32_t *changes)
{
  struct siblings w = {.g = st->g, .ctx = st->ctx};
  w.nodes = gie_alloc(st->ctx, group->n, sizeof *w.nodes);
  w.channels = gie_alloc(st->ctx, group->n, sizeof *w.channels);
  gie_status s = w.nodes && w.channels ? GIE_OK : GIE_E_MEMORY;
  bool fits = s == GIE_OK;
  for (int place = -1; place <= 1; place++)
    for (gie_id id = group->first; fits && id != GIE_NONE; id = st->next[id])
      if (place_of(st->g, gie_node_get(st->g, id)) == place)
        fits = add_member(st, &w, id);
  if (fits && w.first) { /* a group has members */
    int rank = gie_value_get(st->g, w.first->out[0])->type.shape.rank;
    w.result_axis = pass_is_op(w.first, "conv") ? 1 : rank - 1;
    fits = !st->target || siblings_pay(&w, &st->target->peaks);
    if (fits)
      s = rewrite(&w);
    *changes += fits;
  }
  gie_free(st->ctx, w.nodes);
  gie_free(st->ctx, w.channels);
  return s;
}

/* ---- Pass ------------------------------------------------------------------------------------------ */

/* The open group of n's kind, a new one where there is none or it is full; NULL: a kind too many is left alone. */
static gie_status group_for(struct state *st, const struct gie_node *n, size_t *kinds, uint32_t *n_kinds,
                            struct group **out)
{
  uint32_t i = 0;
  *out = NULL;
  while (i < *n_kinds && !are_siblings(st->g, gie_node_get(st->g, st->groups[kinds[i]].first), n))
    i++;
  if (i == MAX_KINDS)
    return GIE_OK;
  if (i == *n_kinds || st->groups[kinds[i]].n == MAX_SIBLINGS) {
    GIE_TRY(gie_grow(st->ctx, &st->groups, &st->cap_groups, st->n_groups + 1, sizeof *st->groups));
    *n_kinds += i == *n_kinds;
    kinds[i] = st->n_groups;
    st->groups[st->n_groups++] = (struct group){n->id, n->id, 0};
  }
  *out = &st->groups[kinds[i]];
  return GIE_OK;
}

/* Sorts the readers of a value into groups. */
static gie_status find_groups(struct state *st, gie_id value)
{
  struct gie_use use = {GIE_NONE, 0};
  size_t kinds[MAX_KINDS];
  uint32_t n_kinds = 0;
  st->n_groups = 0;
  while (gie_value_next_use(st->g, value, &use)) {
    const struct gie_node *n = gie_node_get(st->g, use.node);
    struct group *group;
    if (use.slot != 0 || use.node >= st->n_nodes || !is_candidate(st->g, n))
      continue;
    GIE_TRY(group_for(st, n, kinds, &n_kinds, &group));
    if (!group)
      continue;
    st->next[use.node] = GIE_NONE;
    if (group->n++)
      st->next[group->last] = use.node;
    group->last = use.node;
  }
  return GIE_OK;
}

/* Results of a split are values of their own, whose readers may be siblings, too. */
static gie_status fuse_all(struct state *st, uint32_t *changes)
{
  for (gie_id v = 0; v < gie_graph_n_values(st->g); v++) {
    if (gie_value_get(st->g, v)->kind == GIE_VALUE_DEAD || gie_value_get(st->g, v)->n_uses < 2)
      continue;
    GIE_TRY(find_groups(st, v));
    for (size_t i = 0; i < st->n_groups; i++)
      if (st->groups[i].n > 1)
        GIE_TRY(fuse_group(st, &st->groups[i], changes));
  }
  return GIE_OK;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  struct state st = {.g = g, .ctx = pc->ctx, .n_nodes = gie_graph_n_nodes(g), .target = pc->target};
  uint32_t position = 0;
  if (pc->argument && strcmp(pc->argument, "force") != 0)
    return gie_fail(pc->ctx, GIE_E_USAGE, "fuse_sibling_convs=%s: give force, or nothing", pc->argument);
  if (pc->argument)
    st.target = NULL;
  st.position = gie_alloc(pc->ctx, st.n_nodes, sizeof *st.position);
  st.next = gie_alloc(pc->ctx, st.n_nodes, sizeof *st.next);
  gie_status s = st.position && st.next ? GIE_OK : GIE_E_MEMORY;
  if (s == GIE_OK) {
    GIE_FOR_NODES(g, id)
      st.position[id] = ++position;
    s = fuse_all(&st, changes);
  }
  gie_free(pc->ctx, st.groups);
  gie_free(pc->ctx, st.position);
  gie_free(pc->ctx, st.next);
  return s;
}

const struct gie_pass gie_pass_fuse_sibling_convs = {
    sizeof(struct gie_pass), "fuse_sibling_convs",
    "makes conv, gemm or matmul of one value with constant weights one wide product; not with other attributes",
    run, "force"};
