/* SPDX-License-Identifier: Apache-2.0 */
/* The global choice where every node has degree > 2, one connected component after the other.
 *
 * Costs are first moved between nodes and edges by message passing (in turns over the nodes, forwards and
 * backwards, as in TRW-S): the problem stays the same while the sum of the least costs rises; that sum is
 * a lower bound. With it, branch and bound is tried within a fixed amount of work, so that the result
 * does not depend on the machine's speed. Where that is not enough, the heuristic RN decides the node
 * of the highest degree, the reductions go on, and small rests are solved exactly again. */
#include "core/tune/pbqp.h"

#define MAX_ROUNDS 60          /* of message passing */
#define SMALL_PRODUCT 200000.0 /* choices of a rest that is searched again after a heuristic decision */

struct core {
  struct pbqp *p;
  uint32_t *node, n; /* the component, ascending */
  uint32_t *pos;     /* by node: place in `node` (messages) or in `order` (search) */
  uint32_t *order;   /* in which the search assigns */
  bool *seen;        /* by node */
  uint32_t *best;    /* by node: the best choice that the search found */
  double best_cost;  /* INFINITY: found none */
};

/* The other end of an edge. */
static uint32_t across(const struct pbqp_edge *e, uint32_t u) { return e->node[e->node[0] == u]; }

static double least(const struct pbqp_node *node)
{
  return node->n ? node->cost[pbqp_argmin(node->cost, node->n)] : INFINITY;
}

static int by_number(const void *a, const void *b)
{
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

/* The component of `from`. */
static void collect(struct core *c, uint32_t from)
{
  struct pbqp *p = c->p;
  memset(c->seen, 0, p->n * sizeof *c->seen);
  c->n = 0;
  c->node[c->n++] = from;
  c->seen[from] = true;
  for (uint32_t k = 0; k < c->n; k++) {
    uint32_t u = c->node[k];
    pbqp_compact(&p->nodes[u]);
    for (uint32_t i = 0; i < p->nodes[u].n_edges; i++) {
      uint32_t v = across(p->nodes[u].edges[i], u);
      if (!c->seen[v]) {
        c->seen[v] = true;
        c->node[c->n++] = v;
      }
    }
  }
  qsort(c->node, c->n, sizeof *c->node, by_number);
}

/* ---- Message passing */

/* Gathers what the edges of u cost at least and hands it on to those that lead further in this direction. */
static void pass_node(struct core *c, uint32_t u, bool forward)
{
  struct pbqp *p = c->p;
  struct pbqp_node *node = &p->nodes[u];
  uint32_t on = 0;
  for (uint32_t k = 0; k < node->n_edges; k++) {
    pbqp_pull(p, node->edges[k], u);
    on += (across(node->edges[k], u) > u) == forward;
  }
  uint32_t most = on > node->n_edges - on ? on : node->n_edges - on;
  for (size_t i = 0; on && i < node->n; i++) {
    if (node->cost[i] == INFINITY)
      continue;
    double share = node->cost[i] / most;
    for (uint32_t k = 0; k < node->n_edges; k++) {
      struct pbqp_view w = pbqp_view(p, node->edges[k], u, false);
      for (size_t j = 0; (w.other > u) == forward && j < w.n; j++)
        w.c[i * w.si + j * w.sj] += share;
    }
    node->cost[i] = on == most ? 0 : node->cost[i] - share * on;
  }
}

static double edge_least(const struct pbqp *p, const struct pbqp_edge *e)
{
  const struct pbqp_node *u = &p->nodes[e->node[0]], *v = &p->nodes[e->node[1]];
  double min = INFINITY;
  for (size_t i = 0; i < u->n; i++)
    for (size_t j = 0; u->cost[i] < INFINITY && j < v->n; j++)
      if (v->cost[j] < INFINITY && e->cost[i * v->n + j] < min)
        min = e->cost[i * v->n + j];
  return min;
}

static double core_bound(const struct core *c)
{
  double sum = 0;
  for (uint32_t k = 0; k < c->n; k++) {
    uint32_t u = c->node[k];
    const struct pbqp_node *node = &c->p->nodes[u];
    sum += least(node);
    for (uint32_t i = 0; i < node->n_edges; i++)
      if (node->edges[i]->node[0] == u)
        sum += edge_least(c->p, node->edges[i]);
  }
  return sum;
}

/* Returns the bound; the edges' row and column minima are 0 afterwards. */
static double pass_messages(struct core *c)
{
  double bound = core_bound(c), before;
  for (int round = 0; round < MAX_ROUNDS; round++) {
    before = bound;
    for (uint32_t k = 0; k < c->n; k++)
      pass_node(c, c->node[k], true);
    for (uint32_t k = c->n; k-- > 0;)
      pass_node(c, c->node[k], false);
    bound = core_bound(c);
    if (!(bound > before + 1e-6 * before) || bound == INFINITY)
      break;
  }
  for (uint32_t k = 0; k < c->n; k++)
    for (uint32_t i = 0; i < c->p->nodes[c->node[k]].n_edges; i++)
      pbqp_pull(c->p, c->p->nodes[c->node[k]].edges[i], c->node[k]);
  return fmax(bound, core_bound(c));
}

/* ---- Branch and bound */

/* One assigned node. The alternatives of later neighbours carry what the choice costs them; what they
 * cost before is saved. */
struct level {
  double fixed, rest; /* cost of the nodes before; sum of the least costs of this and the later ones */
  size_t saved;       /* offset */
  uint32_t *alts, n_alts, next;
};
struct search {
  struct core *c;
  struct level *levels;
  double *saved;
  uint64_t work;
};

/* Nodes with many ends among those before come first: their choice is the most bound. */
static void order_nodes(struct core *c)
{
  struct pbqp *p = c->p;
  uint32_t *ends = c->best; /* free until something is found */
  for (uint32_t k = 0; k < c->n; k++) {
    ends[c->node[k]] = 0;
    c->pos[c->node[k]] = UINT32_MAX;
  }
  for (uint32_t k = 0; k < c->n; k++) {
    uint32_t pick = UINT32_MAX;
    for (uint32_t m = 0; m < c->n; m++) {
      uint32_t u = c->node[m];
      if (c->pos[u] != UINT32_MAX)
        continue;
      if (pick == UINT32_MAX || ends[u] > ends[pick] ||
          (ends[u] == ends[pick] && p->nodes[u].n_edges > p->nodes[pick].n_edges))
        pick = u;
    }
    c->pos[pick] = k;
    c->order[k] = pick;
    for (uint32_t i = 0; i < p->nodes[pick].n_edges; i++)
      ends[across(p->nodes[pick].edges[i], pick)]++;
  }
}

static bool is_later(const struct core *c, uint32_t u, uint32_t d) { return c->pos[u] > d; }

static gie_status make_levels(struct search *s, struct gie_arena *mem)
{
  struct core *c = s->c;
  size_t total = 0;
  double rest = 0;
  s->levels = gie_arena_alloc(mem, (size_t)c->n + 1, sizeof *s->levels);
  if (!s->levels)
    return GIE_E_MEMORY;
  for (uint32_t d = 0; d < c->n; d++) {
    const struct pbqp_node *node = &c->p->nodes[c->order[d]];
    rest += least(node);
    s->levels[d].saved = total;
    for (uint32_t i = 0; i < node->n_edges; i++)
      if (is_later(c, across(node->edges[i], c->order[d]), d))
        total += c->p->nodes[across(node->edges[i], c->order[d])].n; /* less than the matrices in memory */
    if (!(s->levels[d].alts = gie_arena_alloc(mem, node->n, sizeof *s->levels[d].alts)))
      return GIE_E_MEMORY;
  }
  s->levels[0].rest = rest;
  s->saved = gie_arena_alloc(mem, total, sizeof *s->saved);
  return s->saved ? GIE_OK : GIE_E_MEMORY;
}

/* The allowed alternatives at depth d, the cheapest first. */
static void enter(struct search *s, uint32_t d)
{
  struct level *l = &s->levels[d];
  const struct pbqp_node *node = &s->c->p->nodes[s->c->order[d]];
  l->n_alts = l->next = 0;
  for (uint32_t i = 0; i < node->n; i++) {
    if (node->cost[i] == INFINITY)
      continue;
    uint32_t k = l->n_alts++;
    for (; k && node->cost[l->alts[k - 1]] > node->cost[i]; k--)
      l->alts[k] = l->alts[k - 1];
    l->alts[k] = i;
  }
  s->work += node->n;
}

/* Later neighbours take over row i; returns by how much their least costs rise. */
static double assign(struct search *s, uint32_t d, uint32_t i)
{
  struct pbqp *p = s->c->p;
  uint32_t u = s->c->order[d];
  double rise = 0, *saved = s->saved + s->levels[d].saved;
  for (uint32_t k = 0; k < p->nodes[u].n_edges; k++) {
    struct pbqp_view w = pbqp_view(p, p->nodes[u].edges[k], u, false);
    struct pbqp_node *other = &p->nodes[w.other];
    if (!is_later(s->c, w.other, d))
      continue;
    double before = least(other);
    memcpy(saved, other->cost, other->n * sizeof *saved);
    saved += other->n;
    for (size_t j = 0; j < w.n; j++)
      other->cost[j] += w.c[i * w.si + j * w.sj];
    s->work += w.n;
    rise += least(other) - before;
  }
  return rise;
}

static void undo(struct search *s, uint32_t d)
{
  struct pbqp *p = s->c->p;
  uint32_t u = s->c->order[d];
  const double *saved = s->saved + s->levels[d].saved;
  for (uint32_t k = 0; k < p->nodes[u].n_edges; k++) {
    struct pbqp_node *other = &p->nodes[across(p->nodes[u].edges[k], u)];
    if (!is_later(s->c, across(p->nodes[u].edges[k], u), d))
      continue;
    memcpy(other->cost, saved, other->n * sizeof *saved);
    saved += other->n;
  }
}

/* Tries the next alternative at depth d: true when the search goes deeper. */
static bool advance(struct search *s, uint32_t d)
{
  struct core *c = s->c;
  struct level *l = &s->levels[d];
  const double *cost = c->p->nodes[c->order[d]].cost;
  uint32_t i = l->alts[l->next++];
  double others = l->rest - cost[l->alts[0]];
  if (l->fixed + cost[i] + others >= c->best_cost) {
    l->next = l->n_alts; /* the next ones cost more */
    return false;
  }
  l[1].fixed = l->fixed + cost[i];
  l[1].rest = others + assign(s, d, i);
  if (l[1].fixed + l[1].rest < c->best_cost) {
    if (d + 1 < c->n)
      return true;
    c->best_cost = l[1].fixed;
    for (uint32_t k = 0; k < c->n; k++)
      c->best[c->order[k]] = s->levels[k].alts[s->levels[k].next - 1];
  }
  undo(s, d);
  return false;
}

/* *done: the whole space was searched. c->best_cost and c->best hold what was found. */
static gie_status search(struct core *c, struct gie_arena *mem, bool *done)
{
  struct search s = {.c = c};
  uint32_t d = 0;
  c->best_cost = INFINITY;
  order_nodes(c);
  GIE_TRY(make_levels(&s, mem));
  *done = true;
  if (s.levels[0].rest == INFINITY)
    return GIE_OK;
  enter(&s, 0);
  for (;;) {
    if (s.work > c->p->max_work)
      *done = false;
    if (s.levels[d].next < s.levels[d].n_alts && *done) {
      if (advance(&s, d))
        enter(&s, ++d);
    } else if (d) {
      undo(&s, --d);
    } else {
      return GIE_OK;
    }
  }
}

/* ---- The heuristic RN */

/* Decides the node of the highest degree as if each of its neighbours had no other neighbour. */
static void decide_one(struct core *c)
{
  struct pbqp *p = c->p;
  uint32_t u = c->node[0];
  for (uint32_t k = 1; k < c->n; k++)
    if (p->nodes[c->node[k]].n_edges > p->nodes[u].n_edges)
      u = c->node[k];
  const struct pbqp_node *node = &p->nodes[u];
  double best = INFINITY;
  uint32_t pick = 0;
  for (uint32_t i = 0; i < node->n; i++) {
    double sum = node->cost[i];
    for (uint32_t k = 0; sum < best && k < node->n_edges; k++) {
      struct pbqp_view w = pbqp_view(p, node->edges[k], u, false);
      double min = INFINITY;
      for (size_t j = 0; j < w.n; j++)
        min = fmin(min, w.c[i * w.si + j * w.sj] + p->nodes[w.other].cost[j]);
      sum += min;
    }
    if (sum < best) {
      best = sum;
      pick = i;
    }
  }
  pbqp_decide(p, u, pick);
  p->n_heuristic++;
}

/* ---- Both */

static bool is_small(const struct core *c)
{
  double product = 1;
  for (uint32_t k = 0; k < c->n; k++) {
    const struct pbqp_node *node = &c->p->nodes[c->node[k]];
    uint32_t allowed = 0;
    for (uint32_t i = 0; i < node->n; i++)
      allowed += node->cost[i] < INFINITY;
    product *= allowed;
  }
  return product <= SMALL_PRODUCT;
}

/* All nodes of the component get the choice that was found; where none is allowed, the least forbidden. */
static void take_best(struct core *c)
{
  struct pbqp *p = c->p;
  for (uint32_t k = 0; k < c->n; k++) {
    uint32_t u = c->node[k];
    struct pbqp_node *node = &p->nodes[u];
    p->choice[u] = c->best_cost < INFINITY ? c->best[u] : pbqp_argmin(node->cost, node->n);
    if (p->second && !node->estimated)
      p->second[u] = p->choice[u];
    for (uint32_t i = 0; i < node->n_edges; i++)
      node->edges[i]->dead = true;
    node->gone = true;
  }
}

/* The search was cut off: the bound counts, and what it found is kept for comparison. */
static void estimate(struct core *c, double bound)
{
  struct pbqp *p = c->p;
  p->bound += bound;
  if (c->best_cost == INFINITY)
    p->second = NULL;
  for (uint32_t k = 0; k < c->n; k++) {
    p->nodes[c->node[k]].estimated = true;
    if (p->second)
      p->second[c->node[k]] = c->best[c->node[k]];
  }
}

static gie_status solve_component(struct core *c, struct gie_arena *mem)
{
  struct pbqp *p = c->p;
  bool estimated = p->nodes[c->node[0]].estimated, done = false;
  double bound = estimated ? 0 : pass_messages(c);
  c->best_cost = INFINITY;
  if (bound == INFINITY)
    done = true;
  else if (!estimated || is_small(c))
    GIE_TRY(search(c, mem, &done));
  if (done) {
    if (!estimated)
      p->bound += c->best_cost;
    take_best(c);
    return GIE_OK;
  }
  if (!estimated)
    estimate(c, bound);
  decide_one(c);
  return pbqp_reduce(p);
}

gie_status pbqp_solve_core(struct pbqp *p)
{
  struct core c = {.p = p};
  struct gie_arena mem;
  gie_status status = GIE_OK;
  c.node = gie_arena_alloc(&p->mem, p->n, sizeof *c.node);
  c.pos = gie_arena_alloc(&p->mem, p->n, sizeof *c.pos);
  c.order = gie_arena_alloc(&p->mem, p->n, sizeof *c.order);
  c.seen = gie_arena_alloc(&p->mem, p->n, sizeof *c.seen);
  c.best = gie_arena_alloc(&p->mem, p->n, sizeof *c.best);
  p->second = gie_arena_alloc(&p->mem, p->n, sizeof *p->second);
  if (!c.node || !c.pos || !c.order || !c.seen || !c.best || !p->second)
    return GIE_E_MEMORY;
  gie_arena_init(&mem, p->ctx);
  for (uint32_t from = 0; from < p->n && p->bound < INFINITY && status == GIE_OK;) {
    if (p->nodes[from].gone) {
      from++;
      continue;
    }
    collect(&c, from);
    status = solve_component(&c, &mem);
    gie_arena_free(&mem);
  }
  gie_arena_free(&mem);
  return status;
}
