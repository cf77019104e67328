/* SPDX-License-Identifier: Apache-2.0 */
/* Concurrency: branches that do not need each other get streams of their own.
 *
 *     %a = conv(%x, …)            %a = conv(%x, …)
 *     %b = conv(%x, …)      ->    %b = conv(%x, …)  !{stream=1}
 *     %c = concat(%a, %b)         %c = concat(%a, %b)
 *
 * A node carries on the stream of the operand whose producer has it as heir: of all readers of a node's results the
 * one with the most work behind it. That makes chains along the longest ways, and a step waits only where a chain
 * ends in another one. The head of a chain takes a stream that is idle by then for sure, else a new one, else stays
 * with its operand. A node without a note is on the first stream. The executor leaves out waits that others imply
 * and plans memory by what is certainly over.
 *
 * Does not fire: chains of little work, which do not pay for a wait; what is not parallel. Notes mean nothing for the
 * result; whether several streams are faster is for whoever measures it to say. */
#include "passes/util.h"

#define MAX_STREAMS 4
#define MIN_WORK 20000.0 /* multiply-adds or elements of a chain that is worth a stream */

struct node {
  double work;  /* of the node */
  double above; /* of the longest way from the start to it, itself included */
  double below; /* of the longest way from it to the end, itself included */
  double chain; /* of the node and its heirs, down to one that is reached by a longer way */
  gie_id from;  /* producer that the longest way to it comes by */
  gie_id heir;  /* reader that carries on its stream */
  uint32_t stream;
  uint32_t clock[MAX_STREAMS]; /* steps of each stream that are over when it is */
};

struct state {
  struct gie_graph *g;
  struct node *nodes; /* by id */
  uint32_t n_streams, n_steps[MAX_STREAMS];
  gie_id last[MAX_STREAMS];
  gie_id tail[MAX_STREAMS]; /* the last one whose heir may carry on: little nodes in between do not count */
};

/* Elements; dims that are not known count as one. */
static double size_of(const struct gie_graph *g, gie_id value)
{
  const struct gie_value *v = gie_value_get(g, value);
  double n = v ? 1 : 0;
  for (int i = 0; v && i < v->type.shape.rank; i++)
    n *= gie_dim_is_num(v->type.shape.dim[i]) ? (double)v->type.shape.dim[i].b : 1;
  return n;
}

static bool moves_nothing(const struct gie_graph *g, const struct gie_node *n)
{
  static const char *const ops[] = {"reshape",  "flatten", "squeeze", "unsqueeze",
                                    "identity", "split",   "slice"};
  const struct gie_value *y = n->n_out ? gie_value_get(g, n->out[0]) : NULL;
  for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
    if (pass_is_op(n, ops[i]))
      return i < 5 || (y && y->view.base != GIE_NONE);
  return pass_is_op(n, "concat") && n->n_operands && gie_value_get(g, n->in[0])->view.base == n->out[0];
}

/* Products: elements of the result times the length of the sum. Everything else: elements that are touched. */
static double work_of(const struct gie_graph *g, const struct gie_node *n)
{
  double out = n->n_out ? size_of(g, n->out[0]) : 0, in = 0;
  if (moves_nothing(g, n))
    return 0;
  if ((n->op->flags & GIE_OP_EPILOGUE) && n->n_operands > 1) {
    const struct gie_value *w = gie_value_get(g, n->in[1]);
    int rank = w ? w->type.shape.rank : 0;
    struct gie_dim channels = rank > 0 ? w->type.shape.dim[pass_is_op(n, "conv") ? 0 : rank - 1]
                                       : gie_dim_num(1);
    double c = gie_dim_is_num(channels) && channels.b > 0 ? (double)channels.b : 1;
    return out * size_of(g, n->in[1]) / c;
  }
  for (uint32_t i = 0; i < n->n_operands; i++)
    in += n->in[i] == GIE_NONE ? 0 : size_of(g, n->in[i]);
  return in + out;
}

static gie_id producer(const struct gie_graph *g, gie_id value)
{
  const struct gie_value *v = gie_value_get(g, value);
  return v ? v->producer : GIE_NONE;
}

static void look_ahead(struct state *s)
{
  GIE_FOR_NODES(s->g, id) {
    const struct gie_node *n = gie_node_get(s->g, id);
    struct node *at = &s->nodes[id];
    double most = -1;
    at->from = GIE_NONE;
    at->work = work_of(s->g, n);
    for (uint32_t i = 0; i < n->n_in; i++) {
      gie_id dep = producer(s->g, n->in[i]);
      if (dep != GIE_NONE && s->nodes[dep].above > most) {
        most = s->nodes[dep].above;
        at->from = dep;
      }
    }
    at->above = at->work + (most > 0 ? most : 0);
  }
}

/* From the end: the work below every node, its heir, and what its chain weighs. */
static void look_back(struct state *s)
{
  for (gie_id id = gie_graph_last(s->g); id != GIE_NONE; id = gie_node_get(s->g, id)->prev) {
    const struct gie_node *n = gie_node_get(s->g, id);
    struct node *at = &s->nodes[id];
    double most = -1;
    at->heir = GIE_NONE;
    for (uint32_t i = 0; i < n->n_out; i++) {
      struct gie_use use = {GIE_NONE, 0};
      while (gie_value_next_use(s->g, n->out[i], &use))
        if (s->nodes[use.node].below > most) {
          most = s->nodes[use.node].below;
          at->heir = use.node;
        }
    }
    at->below = at->work + (most > 0 ? most : 0);
    at->chain = at->work;
    if (at->heir != GIE_NONE && s->nodes[at->heir].from == id)
      at->chain += s->nodes[at->heir].chain;
  }
}

static void join(const struct state *s, gie_id dep, uint32_t clock[MAX_STREAMS])
{
  for (uint32_t i = 0; dep != GIE_NONE && i < MAX_STREAMS; i++)
    clock[i] = clock[i] > s->nodes[dep].clock[i] ? clock[i] : s->nodes[dep].clock[i];
}

/* The stream of the producer that has the node as heir and is the tail of it; of several the one that took longest.
 * MAX_STREAMS: none. *latest: that of the producer that took longest. */
static uint32_t inherited(const struct state *s, const struct gie_node *n, uint32_t *latest)
{
  double most = -1;
  uint32_t stream = MAX_STREAMS;
  gie_id from = s->nodes[n->id].from;
  *latest = from == GIE_NONE ? 0 : s->nodes[from].stream;
  for (uint32_t i = 0; i < n->n_in; i++) {
    gie_id dep = producer(s->g, n->in[i]);
    const struct node *d = dep == GIE_NONE ? NULL : &s->nodes[dep];
    if (d && d->heir == n->id && s->tail[d->stream] == dep && d->above > most) {
      most = d->above;
      stream = d->stream;
    }
  }
  return stream;
}

static uint32_t choose(const struct state *s, const struct gie_node *n, const uint32_t clock[MAX_STREAMS],
                       bool *little)
{
  uint32_t latest, stream = inherited(s, n, &latest);
  *little = false;
  if (stream < MAX_STREAMS)
    return stream;
  *little = s->n_streams && s->nodes[n->id].chain < MIN_WORK;
  if (*little)
    return latest;
  for (uint32_t i = 0; i < s->n_streams; i++)
    if (clock[i] == s->n_steps[i])
      return i;
  return s->n_streams < MAX_STREAMS ? s->n_streams : latest;
}

static void assign(struct state *s)
{
  GIE_FOR_NODES(s->g, id) {
    const struct gie_node *n = gie_node_get(s->g, id);
    struct node *at = &s->nodes[id];
    bool little;
    for (uint32_t i = 0; i < n->n_in; i++)
      join(s, producer(s->g, n->in[i]), at->clock);
    at->stream = choose(s, n, at->clock, &little);
    s->n_streams = at->stream >= s->n_streams ? at->stream + 1 : s->n_streams;
    if (s->n_steps[at->stream])
      join(s, s->last[at->stream], at->clock);
    at->clock[at->stream] = ++s->n_steps[at->stream];
    s->last[at->stream] = id;
    if (!little)
      s->tail[at->stream] = id;
  }
}

static gie_status take_notes(struct state *s, uint32_t *changes)
{
  GIE_FOR_NODES(s->g, id) {
    const struct gie_attr *old = gie_attrs_find(&gie_node_get(s->g, id)->notes, "stream");
    int64_t stream = s->nodes[id].stream;
    struct gie_attr note = {.name = "stream", .kind = GIE_ATTR_INT, .u.i = stream};
    if (!stream)
      note = (struct gie_attr){.name = "stream", .kind = GIE_ATTR_STRING, .u.s = ""};
    if (old ? old->kind == GIE_ATTR_INT && old->u.i == stream && stream : !stream)
      continue;
    GIE_TRY(gie_node_set_note(s->g, id, &note));
    ++*changes;
  }
  return GIE_OK;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  struct state s = {.g = g, .nodes = gie_alloc(pc->ctx, (size_t)gie_graph_n_nodes(g) + 1, sizeof *s.nodes)};
  if (!s.nodes)
    return GIE_E_MEMORY;
  look_ahead(&s);
  look_back(&s);
  assign(&s);
  gie_status st = take_notes(&s, changes);
  gie_free(pc->ctx, s.nodes);
  return st;
}

const struct gie_pass gie_pass_assign_streams = {
    sizeof(struct gie_pass), "assign_streams",
    "notes streams for parallel branches; not for branches with too little work to pay for a wait", run,
    NULL};
