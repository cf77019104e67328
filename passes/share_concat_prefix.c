/* SPDX-License-Identifier: Apache-2.0 */
/* A concat that begins with all that another one puts together begins with that one's result.
 *
 *     %a = concat(%x, %y) {axis=1}
 *     %b = concat(%x, %y, %z) {axis=1}    ->    %b = concat(%a, %z) {axis=1}
 *
 * Densely connected networks are made of these. Nothing is saved by itself, but with eliminate_concat, which is to
 * come behind, all of them are ranges of one buffer that grows: %x, %y and %a lie in %b, and nothing is copied.
 * The longest beginning that is there before the node counts.
 *
 * Does not fire: another axis, a beginning of one operand, the same operands (eliminate_common_subexpression), a
 * concat that is or holds views, is quantized or stored in another layout, an epilogue. */
#include "passes/util.h"

/* What the concats before began with: a tree of operand lists, its edges in a hash table. A place in it is a number;
 * those below GIE_MAX_RANK are the empty lists along each axis. */
struct edge {
  uint32_t from, to; /* places; to == 0: the slot is free */
  gie_id operand;
  gie_id result; /* of a concat of the operands up to here, or GIE_NONE */
};

struct state {
  struct gie_graph *g;
  struct gie_context *ctx;
  struct edge *edges;
  size_t n_slots; /* a power of two */
  uint32_t n_places;
};

static bool is_candidate(const struct gie_graph *g, const struct gie_node *n)
{
  if (!pass_is_op(n, "concat") || n->n_steps || n->n_captures)
    return false;
  const struct gie_value *y = gie_value_get(g, n->out[0]);
  return y->type.shape.rank > 0 && pass_is_plain(y) && !pass_holds_views(g, y->id);
}

static uint32_t axis_of(const struct gie_graph *g, const struct gie_node *n)
{
  return (uint32_t)pass_axis(n, gie_value_get(g, n->out[0])->type.shape.rank);
}

/* The edge from a place by an operand; a new one where there is none. */
static struct edge *follow(struct state *st, uint32_t from, gie_id operand)
{
  uint64_t h = ((uint64_t)from << 32 | operand) * 0x9e3779b97f4a7c15u;
  for (size_t i = (size_t)(h >> 20) & (st->n_slots - 1);; i = (i + 1) & (st->n_slots - 1)) {
    struct edge *e = &st->edges[i];
    if (!e->to)
      *e = (struct edge){from, st->n_places++, operand, GIE_NONE};
    if (e->from == from && e->operand == operand)
      return e;
  }
}

/* The longest beginning that another concat has made, its operands in *taken; GIE_NONE: there is none. *end is where
 * the list of operands ends. */
static gie_id find_prefix(struct state *st, const struct gie_node *n, uint32_t *taken, struct edge **end)
{
  uint32_t place = axis_of(st->g, n);
  gie_id found = GIE_NONE;
  for (uint32_t i = 0; i < n->n_operands; i++) {
    *end = follow(st, place, n->in[i]);
    place = (*end)->to;
    if (i > 0 && i + 1 < n->n_operands && (*end)->result != GIE_NONE) {
      found = (*end)->result;
      *taken = i + 1;
    }
  }
  return found;
}

static gie_status rewrite(struct state *st, const struct gie_node *n, gie_id prefix, uint32_t taken,
                          gie_id *result)
{
  uint32_t count = n->n_operands - taken + 1;
  gie_id *in = gie_alloc(st->ctx, count, sizeof *in);
  if (!in)
    return GIE_E_MEMORY;
  in[0] = prefix;
  memcpy(in + 1, n->in + taken, (count - 1) * sizeof *in);
  gie_status s = pass_node(st->g, "concat", n->name, in, count, n->attrs.v, n->attrs.n, n->id, result);
  gie_free(st->ctx, in);
  return s == GIE_OK ? pass_supplant(st->g, n->id, *result) : s;
}

static gie_status share(struct state *st, uint32_t *changes)
{
  for (gie_id id = gie_graph_first(st->g), next; id != GIE_NONE; id = next) {
    const struct gie_node *n = gie_node_get(st->g, id);
    struct edge *end = NULL;
    uint32_t taken = 0;
    next = n->next;
    if (!is_candidate(st->g, n))
      continue;
    gie_id result = n->out[0], prefix = find_prefix(st, n, &taken, &end);
    if (prefix != GIE_NONE) {
      GIE_TRY(rewrite(st, n, prefix, taken, &result));
      ++*changes;
    }
    if (end && end->result == GIE_NONE)
      end->result = result;
  }
  return GIE_OK;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  struct state st = {.g = g, .ctx = pc->ctx, .n_slots = 4, .n_places = GIE_MAX_RANK};
  size_t n_edges = 0;
  GIE_FOR_NODES(g, id)
    n_edges += is_candidate(g, gie_node_get(g, id)) ? gie_node_get(g, id)->n_operands : 0;
  if (!n_edges)
    return GIE_OK;
  while (st.n_slots < 2 * n_edges)
    st.n_slots *= 2;
  if (!(st.edges = gie_alloc(pc->ctx, st.n_slots, sizeof *st.edges)))
    return GIE_E_MEMORY;
  gie_status s = share(&st, changes);
  gie_free(pc->ctx, st.edges);
  return s;
}

const struct gie_pass gie_pass_share_concat_prefix = {
    sizeof(struct gie_pass), "share_concat_prefix",
    "begins a concat with the result of one that has the same first operands; not of one operand", run, NULL};
