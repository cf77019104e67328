/* SPDX-License-Identifier: Apache-2.0 */
/* The true cost of a choice, and its improvement in small steps. Both look at the problem as it was
 * added, not at what the reductions made of it. */
#include "core/tune/pbqp.h"

#define MAX_PASSES 100

struct local {
  struct pbqp *p;
  double forbidden; /* cost of what is forbidden: INFINITY, or finite to get out of a forbidden choice */
  double *a, *b;    /* costs of the alternatives of one node, of its neighbour */
};

double pbqp_true_cost(const struct pbqp *p, const uint32_t *choice)
{
  double sum = 0;
  for (uint32_t u = 0; u < p->n; u++)
    sum += p->nodes[u].n ? p->nodes[u].orig[choice[u]] : INFINITY;
  for (size_t i = 0; i < p->n_edges; i++) {
    const struct pbqp_edge *e = p->edges[i];
    if (e->orig)
      sum += e->orig[(size_t)choice[e->node[0]] * p->nodes[e->node[1]].n + choice[e->node[1]]];
  }
  return sum;
}

static double charge(const struct local *l, double cost) { return cost == INFINITY ? l->forbidden : cost; }

/* cost[i]: what alternative i of u costs with the neighbours' choices, without edge `skip`. */
static void node_costs(const struct local *l, uint32_t u, const struct pbqp_edge *skip, double *cost)
{
  const struct pbqp *p = l->p;
  const struct pbqp_node *node = &p->nodes[u];
  for (uint32_t i = 0; i < node->n; i++)
    cost[i] = charge(l, node->orig[i]);
  for (uint32_t k = p->inc_at[u]; k < p->inc_at[u + 1]; k++) {
    if (p->inc[k] == skip)
      continue;
    struct pbqp_view w = pbqp_view(p, p->inc[k], u, true);
    for (size_t i = 0; i < node->n; i++)
      cost[i] += charge(l, w.c[i * w.si + p->choice[w.other] * w.sj]);
  }
}

static bool improve_nodes(struct local *l)
{
  struct pbqp *p = l->p;
  bool changed = false;
  for (uint32_t u = 0; u < p->n; u++) {
    node_costs(l, u, NULL, l->a);
    uint32_t best = pbqp_argmin(l->a, p->nodes[u].n);
    changed |= best != p->choice[u];
    p->choice[u] = best;
  }
  return changed;
}

/* Both ends of an edge at once. A gain must be more than rounding: the search has to end. */
static bool improve_pair(struct local *l, const struct pbqp_edge *e)
{
  struct pbqp *p = l->p;
  uint32_t u = e->node[0], v = e->node[1];
  size_t nu = p->nodes[u].n, nv = p->nodes[v].n;
  node_costs(l, u, e, l->a);
  node_costs(l, v, e, l->b);
  double now = l->a[p->choice[u]] + l->b[p->choice[v]] + charge(l, e->orig[p->choice[u] * nv + p->choice[v]]);
  double best = now < INFINITY ? now - 1e-12 * now : now;
  bool changed = false;
  for (size_t i = 0; i < nu; i++)
    for (size_t j = 0; l->a[i] < best && j < nv; j++) {
      double cost = l->a[i] + l->b[j] + charge(l, e->orig[i * nv + j]);
      if (cost < best) {
        best = cost;
        p->choice[u] = (uint32_t)i;
        p->choice[v] = (uint32_t)j;
        changed = true;
      }
    }
  return changed;
}

static void descend(struct local *l, bool pairs)
{
  bool changed = true;
  for (int pass = 0; changed && pass < MAX_PASSES; pass++) {
    changed = improve_nodes(l);
    if (changed)
      continue;
    for (size_t i = 0; pairs && i < l->p->n_edges; i++)
      if (l->p->edges[i]->orig)
        changed |= improve_pair(l, l->p->edges[i]);
  }
}

/* More than any allowed choice costs. */
static double more_than_all(const struct pbqp *p)
{
  double sum = 1;
  for (uint32_t u = 0; u < p->n; u++)
    for (uint32_t i = 0; i < p->nodes[u].n; i++)
      sum += p->nodes[u].orig[i] < INFINITY ? p->nodes[u].orig[i] : 0;
  for (size_t k = 0; k < p->n_edges; k++) {
    const struct pbqp_edge *e = p->edges[k];
    size_t n = e->orig ? (size_t)p->nodes[e->node[0]].n * p->nodes[e->node[1]].n : 0;
    for (size_t i = 0; i < n; i++)
      sum += e->orig[i] < INFINITY ? e->orig[i] : 0;
  }
  return sum;
}

gie_status pbqp_improve(struct pbqp *p, bool pairs)
{
  uint32_t most = 0;
  for (uint32_t u = 0; u < p->n; u++)
    most = p->nodes[u].n > most ? p->nodes[u].n : most;
  struct local l = {.p = p, .forbidden = INFINITY};
  l.a = gie_arena_alloc(&p->mem, most, sizeof *l.a);
  l.b = gie_arena_alloc(&p->mem, most, sizeof *l.b);
  if (!l.a || !l.b)
    return GIE_E_MEMORY;
  if (pbqp_true_cost(p, p->choice) == INFINITY) {
    l.forbidden = more_than_all(p);
    descend(&l, pairs);
    l.forbidden = INFINITY;
    if (pbqp_true_cost(p, p->choice) == INFINITY)
      return GIE_OK;
  }
  descend(&l, pairs);
  return GIE_OK;
}
