/* SPDX-License-Identifier: Apache-2.0 */
/* The global choice. Nodes with alternatives are the nodes of a PBQP; an edge between the maker and a reader of a
 * value costs the conversion between their forms. Views make three-cornered terms of pairs: the concat that
 * keeps its operands in place is a node too, and readers that take no pitch pay on their edge to it.
 *
 * What pairs cannot say is that a converted value serves all readers of one form. The true cost counts it
 * once (select_home); a search over single changes in true cost follows the PBQP. Dividing each edge by the
 * number of readers counts no conversion more than once, so that PBQP's bound is one in true cost. */
#include "core/tune/select.h"
#include <math.h>

#define SWEEPS 20
#define TIE 0.01 /* of the whole cost: less is no reason to copy what ranges hold without a kernel */

/* ---- True cost -------------------------------------------------------------------------------------- */

static double value_cost(struct selection *s, gie_id value)
{
  const struct gie_value *v = select_value(s, value);
  gie_id group = select_group(s, value);
  struct tune_home h;
  double sum = 0;
  if (!select_is_chosen(s, value))
    return 0;
  select_home(s, value, &h);
  sum += h.more;
  if (h.copied)
    sum += select_conversion(s, v, &h.from.form, &h.range);
  for (uint32_t i = 0; i < h.n_forms; i++)
    sum += select_conversion(s, v, &h.from.form, &h.forms[i]);
  struct gie_use use = {.node = GIE_NONE};
  while (v->view.base != GIE_NONE && gie_value_next_use(s->g, value, &use)) {
    if (select_is_inner(s, v, use.node) &&
        !select_agree(select_chosen(s, v->producer), select_chosen(s, use.node), v->type.shape.rank))
      return INFINITY;
    if (select_is_part(s, v, use.node) && select_chosen(s, use.node)->kind == ALT_VIEW &&
        (group == GIE_NONE ||
         !select_agree(select_chosen(s, group), select_chosen(s, use.node), v->type.shape.rank)))
      return INFINITY;
  }
  return sum;
}

double select_true_cost(struct selection *s)
{
  double sum = s->fixed;
  GIE_FOR_NODES(s->g, id)
    if (s->nodes[id].open)
      sum += select_chosen(s, id)->cost;
  for (gie_id v = 0; v < gie_graph_n_values(s->g); v++)
    sum += value_cost(s, v);
  return sum;
}

/* The part of the true cost that the choice of one node can change. */
static double cost_around(struct selection *s, gie_id id)
{
  const struct gie_node *n = gie_node_get(s->g, id);
  double sum = select_chosen(s, id)->cost;
  for (uint32_t i = 0; i < n->n_in; i++) {
    bool seen = n->in[i] == GIE_NONE;
    for (uint32_t k = 0; k < i; k++)
      seen |= n->in[k] == n->in[i];
    if (!seen)
      sum += value_cost(s, n->in[i]);
  }
  for (uint32_t i = 0; i < n->n_out; i++)
    sum += value_cost(s, n->out[i]);
  return sum;
}

static bool improve(struct selection *s, gie_id id)
{
  struct tune_node *node = &s->nodes[id];
  uint32_t best = node->choice;
  double cost = cost_around(s, id), least = cost;
  for (uint32_t i = 0; i < node->n_alts; i++) {
    if (node->alts[i].pruned || !isfinite(node->alts[i].cost))
      continue;
    node->choice = i;
    double c = cost_around(s, id);
    if (c < least * (1 - 1e-9)) {
      least = c;
      best = i;
    }
  }
  bool changed = isfinite(least) && least < cost * (1 - 1e-9);
  node->choice = best;
  return changed;
}

static void search(struct selection *s)
{
  bool changed = true;
  for (int sweep = 0; changed && sweep < SWEEPS; sweep++) {
    changed = false;
    GIE_FOR_NODES(s->g, id)
      if (s->nodes[id].open)
        changed |= improve(s, id);
  }
}

/* ---- The PBQP --------------------------------------------------------------------------------------- */

struct network {
  struct selection *s;
  struct pbqp *p;
  uint32_t *index; /* of a node of the graph, TUNE_NONE when not open */
  uint32_t **alts; /* by PBQP node: the alternatives that were not pruned */
  uint32_t *n_alts, n;
  bool shared; /* divide conversions by the number of readers */
};

static gie_status list_alts(struct network *net)
{
  struct selection *s = net->s;
  uint32_t n_nodes = gie_graph_n_nodes(s->g);
  net->index = gie_arena_alloc(&s->mem, n_nodes, sizeof *net->index);
  net->alts = gie_arena_alloc(&s->mem, n_nodes, sizeof *net->alts);
  net->n_alts = gie_arena_alloc(&s->mem, n_nodes, sizeof *net->n_alts);
  if (!net->index || !net->alts || !net->n_alts)
    return GIE_E_MEMORY;
  memset(net->index, 0xff, n_nodes * sizeof *net->index);
  GIE_FOR_NODES(s->g, id) {
    const struct tune_node *node = &s->nodes[id];
    if (!node->open)
      continue;
    uint32_t *list = gie_arena_alloc(&s->mem, node->n_alts, sizeof *list), n = 0;
    if (!list)
      return GIE_E_MEMORY;
    for (uint32_t i = 0; i < node->n_alts; i++)
      if (!node->alts[i].pruned)
        list[n++] = i;
    net->index[id] = net->n;
    net->alts[net->n] = list;
    net->n_alts[net->n++] = n;
  }
  return GIE_OK;
}

static const struct tune_alt *alt_at(const struct network *net, gie_id node, uint32_t i)
{
  return &net->s->nodes[node].alts[net->alts[net->index[node]][i]];
}

/* What it costs that `maker` makes value v one way and `reader` reads it one way. */
static double pair_cost(struct network *net, const struct gie_value *v, const struct tune_port *from,
                        const struct tune_alt *maker, const struct tune_alt *reader, gie_id reader_node,
                        const struct tune_port *to)
{
  int rank = v->type.shape.rank;
  gie_id group = select_group(net->s, v->id);
  if (reader && maker && select_is_inner(net->s, v, reader_node) && !select_agree(maker, reader, rank))
    return INFINITY;
  if (reader && reader->kind == ALT_VIEW && select_is_part(net->s, v, reader_node))
    return group == GIE_NONE || (group == v->producer && !select_agree(maker, reader, rank)) ? INFINITY : 0;
  if (reader && reader->kind == ALT_VIEW && select_keeps(net->s, v->id, reader_node))
    return select_writes_range(net->s, v->id, from, &reader->out[0].form)
               ? from->more
               : select_conversion(net->s, v, &from->form, &reader->out[0].form);
  bool in_range = maker && maker->kind == ALT_VIEW && group == v->producer;
  if (tune_form_equal(&from->form, &to->form, rank) && (!in_range || tune_takes_range(to, v->view.axis)))
    return in_range ? to->more : 0;
  return select_conversion(net->s, v, &from->form, &to->form);
}

static double share(const struct network *net, const struct gie_value *v)
{
  return net->shared ? v->n_uses + (v->n_outputs ? 1u : 0u) : 1.0;
}

static gie_status add_edge(struct network *net, gie_id maker, gie_id reader, const double *cost)
{
  return pbqp_add_edge(net->p, net->index[maker], net->index[reader], cost);
}

/* Between the maker of a value and one reader. */
static gie_status add_use(struct network *net, const struct gie_value *v, const struct gie_use *use)
{
  struct tune_port plain = {.form = tune_plain_form(v), .pitch = true};
  bool made = select_is_open(net->s, v->producer), read = select_is_open(net->s, use->node);
  uint32_t a = made ? net->n_alts[net->index[v->producer]] : 1,
           b = read ? net->n_alts[net->index[use->node]] : 1;
  double *m = gie_alloc(net->s->t->ctx, (size_t)a * b, sizeof *m);
  if (!m)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < a; i++)
    for (uint32_t k = 0; k < b; k++) {
      const struct tune_alt *x = made ? alt_at(net, v->producer, i) : NULL;
      const struct tune_alt *y = read ? alt_at(net, use->node, k) : NULL;
      m[(size_t)i * b + k] = pair_cost(net, v, x ? &x->out[v->out_index] : &plain, x, y, use->node,
                                       y ? &y->in[use->slot] : &plain) /
                             share(net, v);
    }
  gie_status st = GIE_OK;
  if (made && read)
    st = add_edge(net, v->producer, use->node, m);
  for (uint32_t i = 0; made != read && i < a * b; i++)
    pbqp_add_cost(net->p, net->index[made ? v->producer : use->node], i, m[i]);
  gie_free(net->s->t->ctx, m);
  return st;
}

/* Between a concat that keeps v in place and another reader of v, which may take no pitch, or parts that lie there. */
static gie_status add_pitch(struct network *net, const struct gie_value *v, gie_id group,
                            const struct gie_use *use)
{
  if (!select_is_open(net->s, use->node) || use->node == group || net->shared)
    return GIE_OK;
  uint32_t a = net->n_alts[net->index[group]], b = net->n_alts[net->index[use->node]];
  double *m = gie_alloc(net->s->t->ctx, (size_t)a * b, sizeof *m);
  if (!m)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < a; i++)
    for (uint32_t k = 0; k < b; k++) {
      const struct tune_alt *x = alt_at(net, group, i), *y = alt_at(net, use->node, k);
      const struct tune_port *port = &y->in[use->slot];
      if (y->kind == ALT_VIEW && select_is_part(net->s, v, use->node))
        m[(size_t)i * b + k] = select_agree(x, y, v->type.shape.rank) ? 0 : INFINITY;
      else if (x->kind == ALT_VIEW && tune_form_equal(&port->form, &x->out[0].form, v->type.shape.rank))
        m[(size_t)i * b + k] = tune_takes_range(port, v->view.axis)
                                   ? port->more
                                   : select_conversion(net->s, v, &port->form, &port->form);
    }
  gie_status st = add_edge(net, group, use->node, m);
  gie_free(net->s->t->ctx, m);
  return st;
}

static gie_status add_output(struct network *net, const struct gie_value *v)
{
  struct tune_port plain = {.form = tune_plain_form(v)};
  for (uint32_t i = 0; select_is_open(net->s, v->producer) && i < net->n_alts[net->index[v->producer]]; i++) {
    const struct tune_alt *x = alt_at(net, v->producer, i);
    double c = pair_cost(net, v, &x->out[v->out_index], x, NULL, GIE_NONE, &plain) / share(net, v);
    pbqp_add_cost(net->p, net->index[v->producer], i, c);
  }
  return GIE_OK;
}

static gie_status add_value(struct network *net, gie_id value)
{
  const struct gie_value *v = select_value(net->s, value);
  gie_id group = select_group(net->s, value);
  struct gie_use use = {.node = GIE_NONE};
  if (!select_is_chosen(net->s, value))
    return GIE_OK;
  while (gie_value_next_use(net->s->g, value, &use)) {
    if (!net->s->is_live[use.node])
      continue;
    GIE_TRY(add_use(net, v, &use));
    if (group != GIE_NONE && group != v->producer)
      GIE_TRY(add_pitch(net, v, group, &use));
  }
  return v->n_outputs ? add_output(net, v) : GIE_OK;
}

static gie_status solve(struct network *net, uint32_t *choice, struct pbqp_result *result)
{
  struct selection *s = net->s;
  GIE_TRY(pbqp_new(s->t->ctx, net->n, net->n_alts, &net->p));
  gie_status st = GIE_OK;
  GIE_FOR_NODES(s->g, id)
    for (uint32_t i = 0; s->nodes[id].open && i < net->n_alts[net->index[id]]; i++)
      pbqp_add_cost(net->p, net->index[id], i, alt_at(net, id, i)->cost);
  for (gie_id v = 0; st == GIE_OK && v < gie_graph_n_values(s->g); v++)
    st = add_value(net, v);
  if (st == GIE_OK)
    st = pbqp_solve(net->p, choice, result);
  pbqp_free(net->p);
  net->p = NULL;
  if (st != GIE_E_NO)
    return st;
  GIE_TRY(select_check_failed(s));
  return gie_fail(s->t->ctx, GIE_E_UNSUPPORTED,
                  "no combination of kernels runs the graph: a conversion that it needs has no kernel");
}

static void take(struct network *net, const uint32_t *choice)
{
  GIE_FOR_NODES(net->s->g, id)
    if (net->s->nodes[id].open)
      net->s->nodes[id].choice = net->alts[net->index[id]][choice[net->index[id]]];
}

static void note_bound(struct selection *s)
{
  s->lower_bound = fmin(s->lower_bound, s->cost);
  s->exact = s->cost <= s->lower_bound * (1 + 1e-9);
}

gie_status select_solve(struct selection *s)
{
  struct network net = {.s = s};
  struct pbqp_result pairs, shared;
  GIE_TRY(list_alts(&net));
  if (net.n == 0) {
    s->cost = s->lower_bound = s->fixed;
    return GIE_OK;
  }
  uint32_t *choice = gie_arena_alloc(&s->mem, 2 * (size_t)net.n, sizeof *choice);
  if (!choice)
    return GIE_E_MEMORY;
  GIE_TRY(solve(&net, choice, &pairs));
  net.shared = true;
  GIE_TRY(solve(&net, choice + net.n, &shared));
  take(&net, choice + net.n);
  search(s);
  double other = select_true_cost(s);
  GIE_FOR_NODES(s->g, id)
    if (s->nodes[id].open)
      choice[net.n + net.index[id]] = s->nodes[id].choice;
  take(&net, choice);
  search(s);
  s->cost = select_true_cost(s);
  if (other < s->cost * (1 - 1e-9)) {
    GIE_FOR_NODES(s->g, id)
      if (s->nodes[id].open)
        s->nodes[id].choice = choice[net.n + net.index[id]];
    s->cost = other;
  }
  s->lower_bound = shared.lower_bound + s->fixed;
  note_bound(s);
  if (!isfinite(s->cost))
    return gie_fail(s->t->ctx, GIE_E_UNSUPPORTED,
                    "no combination of kernels runs the graph: a conversion that it needs has no kernel");
  return GIE_OK;
}

/* ---- Ties ------------------------------------------------------------------------------------------- */

static void save_choice(const struct selection *s, uint32_t *choice)
{
  GIE_FOR_NODES(s->g, id)
    choice[id] = s->nodes[id].choice;
}

static void restore_choice(struct selection *s, const uint32_t *choice)
{
  GIE_FOR_NODES(s->g, id)
    s->nodes[id].choice = choice[id];
}

/* Lets the nodes next to that one follow its choice. */
static void follow(struct selection *s, gie_id id)
{
  const struct gie_node *n = gie_node_get(s->g, id);
  for (int sweep = 0; sweep < 2; sweep++) {
    for (uint32_t i = 0; i < n->n_in; i++)
      if (n->in[i] != GIE_NONE && select_is_open(s, select_value(s, n->in[i])->producer))
        improve(s, select_value(s, n->in[i])->producer);
    for (uint32_t i = 0; i < n->n_out; i++) {
      struct gie_use use = {.node = GIE_NONE};
      while (gie_value_next_use(s->g, n->out[i], &use))
        if (select_is_open(s, use.node))
          improve(s, use.node);
    }
  }
}

/* The best choice that keeps the node's views, if it costs no more than `limit`. */
static void try_views(struct selection *s, gie_id id, double limit, uint32_t *before, uint32_t *best)
{
  struct tune_node *node = &s->nodes[id];
  save_choice(s, before);
  save_choice(s, best);
  for (uint32_t i = 0; i < node->n_alts; i++) {
    if (node->alts[i].kind != ALT_VIEW || node->alts[i].pruned)
      continue;
    node->choice = i;
    follow(s, id);
    double cost = select_true_cost(s);
    if (cost <= limit) {
      limit = cost;
      save_choice(s, best);
    }
    restore_choice(s, before);
  }
  restore_choice(s, best);
}

gie_status select_prefer_views(struct selection *s)
{
  uint32_t n = gie_graph_n_nodes(s->g);
  double limit = s->cost * (1 + TIE);
  if (s->t->o->random_costs)
    return GIE_OK;
  uint32_t *saved = gie_alloc(s->t->ctx, 2 * (size_t)n + 1, sizeof *saved);
  if (!saved)
    return GIE_E_MEMORY;
  GIE_FOR_NODES(s->g, id)
    if (select_is_open(s, id) && s->nodes[id].view_of != GIE_NONE && select_chosen(s, id)->kind == ALT_KERNEL)
      try_views(s, id, limit, saved, saved + n);
  gie_free(s->t->ctx, saved);
  s->cost = select_true_cost(s);
  note_bound(s);
  return GIE_OK;
}
