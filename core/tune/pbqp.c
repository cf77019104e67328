/* SPDX-License-Identifier: Apache-2.0 */
/* The global choice as a partitioned boolean quadratic problem.
 *
 * Reductions that keep an optimum are applied until none fits:
 *   - row minima of an edge move to its end's costs; a row without an allowed element forbids the alternative;
 *   - an edge that is the sum of a row and a column vector is zero after that, and goes;
 *   - an alternative goes when another costs no more in itself and in each row of each edge;
 *   - R0, RI, RII: a node of degree 0, 1, 2 is minimized out; its neighbours take over what it costs at best.
 * What is left has degree > 2 everywhere and is solved by pbqp_core.c, exactly where that is affordable.
 * Then the choices are read backwards, each from those of the neighbours that the node had when it left.
 *
 * Ties. An optimum is not made unique (the lexicographically lowest would cost the reductions), but the
 * result is the same on every run, and no node of it can take a lower alternative at equal cost alone. */
#include "core/tune/pbqp.h"

#define MAX_WORK 20000000 /* about 0.1 s */

gie_status pbqp_new(struct gie_context *ctx, uint32_t n_nodes, const uint32_t *n_alts, struct pbqp **out)
{
  struct pbqp *p = gie_alloc(ctx, 1, sizeof *p);
  if (!p)
    return GIE_E_MEMORY;
  p->ctx = ctx;
  p->n = n_nodes;
  p->max_work = MAX_WORK;
  gie_arena_init(&p->mem, ctx);
  size_t total = 0;
  bool fits = true;
  for (uint32_t u = 0; u < n_nodes; u++)
    fits = fits && gie_add(total, n_alts[u], &total);
  double *cost = fits ? gie_arena_alloc(&p->mem, total, sizeof *cost) : NULL;
  p->nodes = cost ? gie_arena_alloc(&p->mem, n_nodes, sizeof *p->nodes) : NULL;
  if (!p->nodes) {
    pbqp_free(p);
    return fits ? GIE_E_MEMORY
                : gie_fail(ctx, GIE_E_LIMIT, "too many alternatives; select fewer nodes at once");
  }
  for (uint32_t u = 0; u < n_nodes; u++) {
    p->nodes[u].n = n_alts[u];
    p->nodes[u].cost = cost;
    cost += n_alts[u];
  }
  *out = p;
  return GIE_OK;
}

void pbqp_free(struct pbqp *p)
{
  if (!p)
    return;
  struct gie_context *ctx = p->ctx;
  gie_free(ctx, p->edges);
  gie_arena_free(&p->mem);
  gie_free(ctx, p);
}

/* A cost that is no number forbids too. */
static double sane(double cost) { return isnan(cost) ? INFINITY : cost; }

void pbqp_add_cost(struct pbqp *p, uint32_t node, uint32_t alt, double cost)
{
  p->nodes[node].cost[alt] += sane(cost);
}

/* ---- Edges */

void pbqp_compact(struct pbqp_node *node)
{
  uint32_t n = 0;
  for (uint32_t i = 0; i < node->n_edges; i++)
    if (!node->edges[i]->dead)
      node->edges[n++] = node->edges[i];
  node->n_edges = n;
}

static gie_status attach(struct pbqp *p, struct pbqp_node *node, struct pbqp_edge *e)
{
  if (node->n_edges == node->cap_edges) {
    uint32_t cap = node->cap_edges ? node->cap_edges * 2 : 4;
    struct pbqp_edge **edges = gie_arena_alloc(&p->mem, cap, sizeof(*edges));
    if (!edges)
      return GIE_E_MEMORY;
    if (node->n_edges)
      memcpy(edges, node->edges, node->n_edges * sizeof(*edges));
    node->edges = edges;
    node->cap_edges = cap;
  }
  node->edges[node->n_edges++] = e;
  return GIE_OK;
}

static struct pbqp_edge *find_edge(const struct pbqp *p, uint32_t u, uint32_t v)
{
  const struct pbqp_node *a = &p->nodes[u], *b = &p->nodes[v];
  const struct pbqp_node *fewer = a->n_edges <= b->n_edges ? a : b;
  for (uint32_t i = 0; i < fewer->n_edges; i++) {
    struct pbqp_edge *e = fewer->edges[i];
    if (!e->dead && ((e->node[0] == u && e->node[1] == v) || (e->node[0] == v && e->node[1] == u)))
      return e;
  }
  return NULL;
}

/* The edge between u and v, made with a zero matrix if there is none. */
static gie_status get_edge(struct pbqp *p, uint32_t u, uint32_t v, struct pbqp_edge **out)
{
  if ((*out = find_edge(p, u, v)))
    return GIE_OK;
  size_t size;
  if (!gie_mul(p->nodes[u].n, p->nodes[v].n, &size))
    return gie_fail(p->ctx, GIE_E_LIMIT, "too many alternatives; select fewer nodes at once");
  GIE_TRY(gie_grow(p->ctx, &p->edges, &p->cap_edges, p->n_edges + 1, sizeof(*p->edges)));
  struct pbqp_edge *e = gie_arena_alloc(&p->mem, 1, sizeof *e);
  if (!e || !(e->cost = gie_arena_alloc(&p->mem, size, sizeof *e->cost)))
    return GIE_E_MEMORY;
  e->node[0] = u;
  e->node[1] = v;
  e->dirty = true;
  GIE_TRY(attach(p, &p->nodes[u], e));
  GIE_TRY(attach(p, &p->nodes[v], e));
  p->edges[p->n_edges++] = e;
  *out = e;
  return GIE_OK;
}

gie_status pbqp_add_edge(struct pbqp *p, uint32_t u, uint32_t v, const double *cost)
{
  uint32_t nu = p->nodes[u].n, nv = p->nodes[v].n;
  if (u == v) { /* only the diagonal can be chosen */
    for (uint32_t i = 0; i < nu; i++)
      p->nodes[u].cost[i] += sane(cost[(size_t)i * nu + i]);
    return GIE_OK;
  }
  struct pbqp_edge *e;
  GIE_TRY(get_edge(p, u, v, &e));
  struct pbqp_view w = pbqp_view(p, e, u, false);
  for (size_t i = 0; i < nu; i++)
    for (size_t j = 0; j < nv; j++)
      w.c[i * w.si + j * w.sj] += sane(cost[i * nv + j]);
  return GIE_OK;
}

/* ---- Reductions */

void pbqp_touch(struct pbqp *p, uint32_t u)
{
  struct pbqp_node *node = &p->nodes[u];
  if (node->gone || node->queued)
    return;
  node->queued = true;
  p->queue[(p->queue_head + p->queue_used++) % p->n] = u;
}

static void touch_edge(struct pbqp *p, struct pbqp_edge *e)
{
  e->dirty = true;
  pbqp_touch(p, e->node[0]);
  pbqp_touch(p, e->node[1]);
}

/* An alternative of u has gone: its rows no longer count. */
static void touch_edges(struct pbqp *p, uint32_t u)
{
  const struct pbqp_node *node = &p->nodes[u];
  pbqp_touch(p, u);
  for (uint32_t i = 0; i < node->n_edges; i++)
    if (!node->edges[i]->dead)
      touch_edge(p, node->edges[i]);
}

/* What subtracting leaves of equal numbers by rounding is zero. */
static double rest(double from, double take)
{
  double d = from - take;
  if (d == INFINITY)
    return d;
  return d <= 4 * 2.220446049250313e-16 * fabs(from) ? 0 : d;
}

bool pbqp_pull(struct pbqp *p, struct pbqp_edge *e, uint32_t from)
{
  double *cost = p->nodes[from].cost;
  struct pbqp_view w = pbqp_view(p, e, from, false);
  const double *other = p->nodes[w.other].cost;
  bool forbids = false;
  for (size_t i = 0; i < p->nodes[from].n; i++) {
    double *row = w.c + i * w.si, least = INFINITY;
    if (cost[i] == INFINITY)
      continue;
    for (size_t j = 0; j < w.n; j++)
      if (other[j] < INFINITY && row[j * w.sj] < least)
        least = row[j * w.sj];
    cost[i] += least;
    if (cost[i] == INFINITY)
      forbids = true;
    else if (least != 0)
      for (size_t j = 0; j < w.n; j++)
        row[j * w.sj] = rest(row[j * w.sj], least);
  }
  return forbids;
}

static bool is_zero(const struct pbqp *p, const struct pbqp_edge *e)
{
  const struct pbqp_node *u = &p->nodes[e->node[0]], *v = &p->nodes[e->node[1]];
  for (size_t i = 0; i < u->n; i++)
    for (size_t j = 0; u->cost[i] < INFINITY && j < v->n; j++)
      if (v->cost[j] < INFINITY && e->cost[i * v->n + j] != 0)
        return false;
  return true;
}

static void normalize(struct pbqp *p, struct pbqp_edge *e)
{
  e->dirty = false;
  for (int end = 0; end < 2; end++)
    if (pbqp_pull(p, e, e->node[end]))
      touch_edges(p, e->node[end]);
  if (is_zero(p, e)) {
    e->dead = true;
    pbqp_touch(p, e->node[0]);
    pbqp_touch(p, e->node[1]);
  }
}

/* a costs no more than b whatever the neighbours choose. An equal b goes only if it is the higher one, so
 * that a lower alternative is never lost to a higher one of equal cost. */
static bool dominates(const struct pbqp *p, uint32_t u, uint32_t a, uint32_t b)
{
  const struct pbqp_node *node = &p->nodes[u];
  if (a < b ? node->cost[a] > node->cost[b] : node->cost[a] >= node->cost[b])
    return false;
  for (uint32_t k = 0; k < node->n_edges; k++) {
    struct pbqp_view w = pbqp_view(p, node->edges[k], u, false);
    const double *other = p->nodes[w.other].cost;
    for (size_t j = 0; j < w.n; j++)
      if (other[j] < INFINITY && w.c[a * w.si + j * w.sj] > w.c[b * w.si + j * w.sj])
        return false;
  }
  return true;
}

static void drop_dominated(struct pbqp *p, uint32_t u)
{
  struct pbqp_node *node = &p->nodes[u];
  bool dropped = false;
  for (uint32_t b = 0; b < node->n; b++)
    for (uint32_t a = 0; a < node->n && node->cost[b] < INFINITY; a++)
      if (a != b && node->cost[a] < INFINITY && dominates(p, u, a, b)) {
        node->cost[b] = INFINITY;
        dropped = true;
      }
  if (dropped)
    touch_edges(p, u);
}

/* Takes u out; its choice follows from those of its neighbours. */
static void push(struct pbqp *p, uint32_t u)
{
  struct pbqp_node *node = &p->nodes[u];
  node->gone = true;
  p->stack[p->n_stack++] = u;
  for (uint32_t i = 0; i < node->n_edges; i++) {
    struct pbqp_edge *e = node->edges[i];
    e->dead = true;
    pbqp_touch(p, e->node[e->node[0] == u]);
  }
}

/* R0: what is left of the component is this node. */
static gie_status reduce_0(struct pbqp *p, uint32_t u)
{
  const struct pbqp_node *node = &p->nodes[u];
  double least = node->n ? node->cost[pbqp_argmin(node->cost, node->n)] : INFINITY;
  if (!node->estimated)
    p->bound += least;
  push(p, u);
  return GIE_OK;
}

/* RI: the neighbour's alternatives cost what this node costs at best with them. */
static gie_status reduce_1(struct pbqp *p, uint32_t u)
{
  const struct pbqp_node *node = &p->nodes[u];
  struct pbqp_view w = pbqp_view(p, node->edges[0], u, false);
  double *other = p->nodes[w.other].cost;
  bool forbids = false;
  for (size_t j = 0; j < w.n; j++) {
    double least = INFINITY;
    for (size_t i = 0; i < node->n; i++)
      least = fmin(least, node->cost[i] + w.c[i * w.si + j * w.sj]);
    forbids |= least == INFINITY && other[j] < INFINITY;
    other[j] += least;
  }
  push(p, u);
  if (forbids)
    touch_edges(p, w.other);
  return GIE_OK;
}

/* RII: the same for pairs of the two neighbours' alternatives, on the edge between them. */
static gie_status reduce_2(struct pbqp *p, uint32_t u)
{
  struct pbqp_node *node = &p->nodes[u];
  struct pbqp_view a = pbqp_view(p, node->edges[0], u, false), b = pbqp_view(p, node->edges[1], u, false);
  struct pbqp_edge *e;
  GIE_TRY(get_edge(p, a.other, b.other, &e));
  struct pbqp_view w = pbqp_view(p, e, a.other, false);
  for (size_t j = 0; j < a.n; j++)
    for (size_t k = 0; k < b.n; k++) {
      double least = INFINITY;
      for (size_t i = 0; i < node->n; i++)
        least = fmin(least, node->cost[i] + a.c[i * a.si + j * a.sj] + b.c[i * b.si + k * b.sj]);
      w.c[j * w.si + k * w.sj] += least;
    }
  push(p, u);
  touch_edge(p, e);
  return GIE_OK;
}

static gie_status reduce_node(struct pbqp *p, uint32_t u)
{
  static gie_status (*const by_degree[])(struct pbqp *, uint32_t) = {reduce_0, reduce_1, reduce_2};
  struct pbqp_node *node = &p->nodes[u];
  pbqp_compact(node);
  for (uint32_t i = 0; i < node->n_edges; i++)
    if (node->edges[i]->dirty)
      normalize(p, node->edges[i]);
  pbqp_compact(node);
  if (node->n_edges < sizeof by_degree / sizeof by_degree[0])
    return by_degree[node->n_edges](p, u);
  drop_dominated(p, u);
  return GIE_OK;
}

gie_status pbqp_reduce(struct pbqp *p)
{
  while (p->queue_used) {
    uint32_t u = p->queue[p->queue_head];
    p->queue_head = (p->queue_head + 1) % p->n;
    p->queue_used--;
    p->nodes[u].queued = false;
    if (!p->nodes[u].gone)
      GIE_TRY(reduce_node(p, u));
  }
  return GIE_OK;
}

void pbqp_decide(struct pbqp *p, uint32_t u, uint32_t alt)
{
  struct pbqp_node *node = &p->nodes[u];
  pbqp_compact(node);
  for (uint32_t k = 0; k < node->n_edges; k++) {
    struct pbqp_view w = pbqp_view(p, node->edges[k], u, false);
    double *other = p->nodes[w.other].cost;
    for (size_t j = 0; j < w.n; j++)
      other[j] += w.c[alt * w.si + j * w.sj];
    node->edges[k]->dead = true;
    touch_edges(p, w.other);
  }
  p->choice[u] = alt;
  node->gone = true;
}

/* ---- Solving */

static void note_largest(struct pbqp *p, const double *cost, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (cost[i] < INFINITY && cost[i] > p->largest)
      p->largest = cost[i];
}

/* The matrices and costs as they were added, and the edges of each node, for the true cost. */
static gie_status keep_original(struct pbqp *p)
{
  p->inc_at = gie_arena_alloc(&p->mem, (size_t)p->n + 2, sizeof *p->inc_at);
  p->inc = gie_arena_alloc(&p->mem, 2 * p->n_edges, sizeof(*p->inc));
  if (!p->inc_at || !p->inc)
    return GIE_E_MEMORY;
  for (uint32_t u = 0; u < p->n; u++) {
    struct pbqp_node *node = &p->nodes[u];
    if (!(node->orig = gie_arena_copy(&p->mem, node->cost, node->n, sizeof *node->cost)))
      return GIE_E_MEMORY;
    note_largest(p, node->cost, node->n);
  }
  for (size_t i = 0; i < p->n_edges; i++) {
    struct pbqp_edge *e = p->edges[i];
    size_t size = (size_t)p->nodes[e->node[0]].n * p->nodes[e->node[1]].n; /* fits: allocated before */
    if (!(e->orig = gie_arena_copy(&p->mem, e->cost, size, sizeof *e->cost)))
      return GIE_E_MEMORY;
    note_largest(p, e->cost, size);
    p->inc_at[e->node[0] + 2]++;
    p->inc_at[e->node[1] + 2]++;
  }
  for (uint32_t u = 0; u < p->n; u++)
    p->inc_at[u + 2] += p->inc_at[u + 1];
  for (size_t i = 0; i < p->n_edges; i++)
    for (int end = 0; end < 2; end++)
      p->inc[p->inc_at[p->edges[i]->node[end] + 1]++] = p->edges[i];
  return GIE_OK;
}

/* Choices of the first n reduced nodes, from the last to the first. */
static gie_status read_back(struct pbqp *p, uint32_t n)
{
  uint32_t most = 1;
  for (uint32_t u = 0; u < p->n; u++)
    most = p->nodes[u].n > most ? p->nodes[u].n : most;
  double *cost = gie_arena_alloc(&p->mem, most, sizeof *cost);
  if (!cost)
    return GIE_E_MEMORY;
  while (n) {
    uint32_t u = p->stack[--n];
    const struct pbqp_node *node = &p->nodes[u];
    if (node->n)
      memcpy(cost, node->cost, node->n * sizeof *cost);
    for (uint32_t k = 0; k < node->n_edges; k++) {
      struct pbqp_view w = pbqp_view(p, node->edges[k], u, false);
      for (size_t i = 0; i < node->n; i++)
        cost[i] += w.c[i * w.si + p->choice[w.other] * w.sj];
    }
    p->choice[u] = pbqp_argmin(cost, node->n);
  }
  return GIE_OK;
}

/* The complete choice in p->choice, and where a search was cut off also the one from its best find: the
 * cheaper one goes to choice[]. */
static gie_status finish(struct pbqp *p, uint32_t *choice, double *cost)
{
  GIE_TRY(read_back(p, p->n_stack));
  GIE_TRY(pbqp_improve(p, p->n_heuristic != 0));
  *cost = pbqp_true_cost(p, p->choice);
  memcpy(choice, p->choice, p->n * sizeof *choice);
  if (!p->n_heuristic || !p->second)
    return GIE_OK;
  memcpy(p->choice, p->second, p->n * sizeof *choice);
  GIE_TRY(read_back(p, p->n_stack_core));
  GIE_TRY(pbqp_improve(p, true));
  double second = pbqp_true_cost(p, p->choice);
  if (second < *cost) {
    *cost = second;
    memcpy(choice, p->choice, p->n * sizeof *choice);
  }
  return GIE_OK;
}

static gie_status prepare(struct pbqp *p)
{
  GIE_TRY(keep_original(p));
  p->queue = gie_arena_alloc(&p->mem, p->n, sizeof *p->queue);
  p->stack = gie_arena_alloc(&p->mem, p->n, sizeof *p->stack);
  p->choice = gie_arena_alloc(&p->mem, p->n, sizeof *p->choice);
  if (!p->queue || !p->stack || !p->choice)
    return GIE_E_MEMORY;
  for (uint32_t u = 0; u < p->n; u++)
    pbqp_touch(p, u);
  return GIE_OK;
}

/* Sums are rounded in other orders than the cost's, so a bound gives way by that much. */
static double safe_bound(const struct pbqp *p, double cost)
{
  return fmin(fmax(p->bound - 1e-12 * cost - 1e-13 * p->largest, 0), cost);
}

gie_status pbqp_solve(struct pbqp *p, uint32_t *choice, struct pbqp_result *out)
{
  double cost = 0;
  if (!p->n) {
    *out = (struct pbqp_result){.exact = true};
    return GIE_OK;
  }
  GIE_TRY(prepare(p));
  GIE_TRY(pbqp_reduce(p));
  p->n_stack_core = p->n_stack;
  GIE_TRY(pbqp_solve_core(p));
  if (p->bound == INFINITY)
    return gie_fail(p->ctx, GIE_E_NO, "every choice is forbidden; allow more alternatives");
  GIE_TRY(finish(p, choice, &cost));
  if (cost == INFINITY)
    return gie_fail(p->ctx, GIE_E_NO, "no choice was found that is not forbidden; allow more alternatives");
  bool exact = p->n_heuristic == 0;
  *out = (struct pbqp_result){cost, exact ? cost : safe_bound(p, cost), exact, p->n_heuristic};
  return GIE_OK;
}
