/* SPDX-License-Identifier: Apache-2.0 */
/* The global choice against brute force on random graphs, exactly and with the heuristic alone; cases
 * where greedy choice is wrong; large chains and trees; every allocation failing. */
#include "core/tune/pbqp.h"
#include "tests/gie_check.h"
#include <time.h>

#define MAX_NODES 7
#define MAX_EDGES 30

/* A problem of its own form, so that the reference shares nothing with the solver. */
struct sample {
  uint32_t n, alts[MAX_NODES], n_edges;
  double cost[MAX_NODES][5];
  struct {
    uint32_t u, v;
    double cost[25];
  } edge[MAX_EDGES];
};

static uint64_t seed;
static uint32_t draw(uint32_t n) { return check_random(&seed) % n; }

/* Small integers tie often; seconds do not. */
static double draw_cost(uint32_t kind, uint32_t infinite_of_100)
{
  if (draw(100) < infinite_of_100)
    return INFINITY;
  return kind ? draw(1000000) * 1e-9 : draw(6);
}

static void draw_sample(struct sample *s)
{
  uint32_t kind = draw(2), infinite = (uint32_t[]){0, 5, 30, 60}[draw(4)];
  uint32_t density = (uint32_t[]){20, 50, 80, 100}[draw(4)];
  s->n = 1 + draw(MAX_NODES);
  s->n_edges = 0;
  for (uint32_t u = 0; u < s->n; u++) {
    s->alts[u] = 1 + draw(5);
    for (uint32_t i = 0; i < s->alts[u]; i++)
      s->cost[u][i] = draw_cost(kind, infinite / 2);
  }
  for (uint32_t u = 0; u < s->n; u++)
    for (uint32_t v = u; v < s->n; v++)
      for (uint32_t twice = 0; twice < 2; twice++) {
        uint32_t percent = twice ? density / 10 : u == v ? 5 : density;
        if (s->n_edges == MAX_EDGES || draw(100) >= percent)
          continue;
        bool turned = draw(2);
        s->edge[s->n_edges].u = turned ? v : u;
        s->edge[s->n_edges].v = turned ? u : v;
        uint32_t size = s->alts[u] * s->alts[v], separable = draw(4) == 0;
        for (uint32_t i = 0; i < size; i++)
          s->edge[s->n_edges].cost[i] = separable ? i / s->alts[turned ? u : v] : draw_cost(kind, infinite);
        s->n_edges++;
      }
}

static double cost_of(const struct sample *s, const uint32_t *x)
{
  double sum = 0;
  for (uint32_t u = 0; u < s->n; u++)
    sum += s->cost[u][x[u]];
  for (uint32_t e = 0; e < s->n_edges; e++)
    sum += s->edge[e].cost[x[s->edge[e].u] * s->alts[s->edge[e].v] + x[s->edge[e].v]];
  return sum;
}

static double brute_force(const struct sample *s)
{
  uint32_t x[MAX_NODES] = {0};
  double best = INFINITY;
  for (;;) {
    best = fmin(best, cost_of(s, x));
    uint32_t u = 0;
    while (u < s->n && ++x[u] == s->alts[u])
      x[u++] = 0;
    if (u == s->n)
      return best;
  }
}

static gie_status solve(struct gie_context *ctx, const struct sample *s, uint64_t max_work, uint32_t *choice,
                        struct pbqp_result *out)
{
  struct pbqp *p = NULL;
  GIE_TRY(pbqp_new(ctx, s->n, s->alts, &p));
  gie_status status = GIE_OK;
  p->max_work = max_work < p->max_work ? max_work : p->max_work;
  for (uint32_t u = 0; u < s->n; u++)
    for (uint32_t i = 0; i < s->alts[u]; i++)
      pbqp_add_cost(p, u, i, s->cost[u][i]);
  for (uint32_t e = 0; e < s->n_edges && status == GIE_OK; e++)
    status = pbqp_add_edge(p, s->edge[e].u, s->edge[e].v, s->edge[e].cost);
  if (status == GIE_OK)
    status = pbqp_solve(p, choice, out);
  pbqp_free(p);
  return status;
}

/* No node has a better alternative alone, nor a lower one of equal cost (integers: sums are exact). */
static void check_settled(const struct sample *s, const uint32_t *choice)
{
  double now = cost_of(s, choice);
  for (uint32_t u = 0; u < s->n; u++)
    for (uint32_t i = 0; i < s->alts[u]; i++) {
      uint32_t x[MAX_NODES];
      memcpy(x, choice, sizeof x);
      x[u] = i;
      double other = cost_of(s, x);
      ck_assert_msg(now <= other + 1e-12 * now, "node %u: %u is better", u, i);
      if (now == floor(now) && i < choice[u])
        ck_assert_msg(now < other, "node %u: %u costs the same and is lower", u, i);
    }
}

START_TEST(test_random_exact)
{
  struct gie_context *ctx = check_context();
  int forbidden = 0;
  for (seed = 1; seed <= 1000; seed++) {
    uint64_t number = seed;
    struct sample s;
    draw_sample(&s);
    seed = number;
    uint32_t choice[MAX_NODES] = {0}, again[MAX_NODES] = {0};
    struct pbqp_result r;
    double want = brute_force(&s);
    gie_status status = solve(ctx, &s, UINT64_MAX, choice, &r);
    ck_assert_msg(status == (want < INFINITY ? GIE_OK : GIE_E_NO), "graph %llu: %s",
                  (unsigned long long)number, gie_error_text(ctx));
    forbidden += status != GIE_OK;
    if (status != GIE_OK)
      continue;
    double tolerance = want == floor(want) ? 0 : 1e-12 * want;
    ck_assert_msg(fabs(r.cost - want) <= tolerance, "graph %llu: %.17g instead of %.17g",
                  (unsigned long long)number, r.cost, want);
    ck_assert(r.exact && r.n_heuristic == 0 && r.lower_bound == r.cost);
    ck_assert(fabs(cost_of(&s, choice) - r.cost) <= 1e-12 * r.cost);
    check_settled(&s, choice);
    ck_gie_ok(ctx, solve(ctx, &s, UINT64_MAX, again, &r));
    ck_assert_mem_eq(choice, again, sizeof choice);
  }
  ck_assert(forbidden > 20 && forbidden < 500);
  gie_context_destroy(ctx);
}
END_TEST

/* Without branch and bound: the bound holds, and the heuristic is mostly right. */
START_TEST(test_random_heuristic)
{
  struct gie_context *ctx = check_context();
  int decided = 0, optimal = 0, missed = 0;
  double gap = 0;
  for (uint64_t number = 1; number <= 3000; number++) {
    struct sample s;
    seed = number;
    draw_sample(&s);
    uint32_t choice[MAX_NODES] = {0};
    struct pbqp_result r;
    double want = brute_force(&s);
    gie_status status = solve(ctx, &s, 0, choice, &r);
    ck_assert(status == GIE_OK || status == GIE_E_NO);
    ck_assert(status == GIE_E_NO || want < INFINITY);
    if (status == GIE_E_NO) {
      missed += want < INFINITY;
      continue;
    }
    ck_assert(fabs(cost_of(&s, choice) - r.cost) <= 1e-12 * r.cost);
    ck_assert_msg(r.lower_bound <= (r.exact ? want + 1e-12 * want : want),
                  "graph %llu: bound %.17g above %.17g", (unsigned long long)number, r.lower_bound, want);
    ck_assert(r.lower_bound >= 0 && r.cost >= want - 1e-12 * want);
    ck_assert(r.exact == (r.n_heuristic == 0));
    ck_assert(!r.exact || fabs(r.cost - want) <= 1e-12 * want);
    check_settled(&s, choice);
    if (r.exact)
      continue;
    decided++;
    optimal += r.cost <= want + 1e-12 * want;
    gap += want > 0 ? (want - r.lower_bound) / want : 0;
  }
  printf("heuristic: %d graphs, %d optimal, %d without a choice, mean gap of the bound %.2f %%\n", decided,
         optimal, missed, 100 * gap / decided);
  fflush(stdout);
  ck_assert(decided > 100 && optimal > decided * 9 / 10 && missed < decided / 50);
  ck_assert(gap / decided < 0.1);
  gie_context_destroy(ctx);
}
END_TEST

/* ---- Cases */

/* Each node alone prefers what the edges make dear. */
static const struct sample greedy_pair = {
    .n = 2,
    .alts = {2, 2},
    .cost = {{1, 2}, {2, 1}},
    .n_edges = 1,
    .edge = {{0, 1, {0, 5, 5, 0}}},
};
/* A chain a-b-c in two layouts: the middle is fastest blocked, the conversions cost more than it gains. */
static const struct sample greedy_chain = {
    .n = 3,
    .alts = {2, 2, 2},
    .cost = {{1, 9}, {4, 1}, {1, 9}},
    .n_edges = 2,
    .edge = {{0, 1, {0, 2, 2, 0}}, {1, 2, {0, 2, 2, 0}}},
};
/* Four nodes, each joined with each: all blocked is best although each alone prefers plain. */
static const struct sample greedy_clique = {
    .n = 4,
    .alts = {2, 2, 2, 2},
    .cost = {{1, 2}, {1, 2}, {1, 2}, {1, 2}},
    .n_edges = 6,
    .edge = {{0, 1, {3, 9, 9, 0}},
             {0, 2, {3, 9, 9, 0}},
             {0, 3, {3, 9, 9, 0}},
             {1, 2, {3, 9, 9, 0}},
             {1, 3, {3, 9, 9, 0}},
             {2, 3, {3, 9, 9, 0}}},
};
static const struct {
  const struct sample *sample;
  double cost;
  uint32_t choice[4];
} cases[] = {
    {&greedy_pair, 3, {0, 0}},
    {&greedy_chain, 6, {0, 0, 0}},
    {&greedy_clique, 8, {1, 1, 1, 1}},
};

START_TEST(test_greedy_is_wrong)
{
  struct gie_context *ctx = check_context();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint32_t choice[MAX_NODES];
    struct pbqp_result r;
    ck_gie_ok(ctx, solve(ctx, cases[i].sample, UINT64_MAX, choice, &r));
    ck_assert(r.exact && r.cost == cases[i].cost);
    for (uint32_t u = 0; u < cases[i].sample->n; u++)
      ck_assert_uint_eq(choice[u], cases[i].choice[u]);
  }
  gie_context_destroy(ctx);
}
END_TEST

START_TEST(test_edges_of_the_interface)
{
  struct gie_context *ctx = check_context();
  struct pbqp *p;
  struct pbqp_result r;
  uint32_t choice[2] = {9, 9};
  ck_gie_ok(ctx, pbqp_new(ctx, 0, NULL, &p));
  ck_gie_ok(ctx, pbqp_solve(p, choice, &r));
  ck_assert(r.cost == 0 && r.exact && choice[0] == 9);
  pbqp_free(p);
  pbqp_free(NULL);

  ck_gie_ok(ctx, pbqp_new(ctx, 2, (uint32_t[]){2, 0}, &p)); /* a node without alternatives */
  ck_gie_ok(ctx, pbqp_add_edge(p, 0, 1, NULL));
  ck_gie(ctx, pbqp_solve(p, choice, &r), GIE_E_NO);
  ck_assert_uint_eq(choice[0], 9);
  pbqp_free(p);

  ck_gie_ok(ctx, pbqp_new(ctx, 2, (uint32_t[]){2, 2}, &p)); /* a cost that is no number forbids */
  pbqp_add_cost(p, 0, 0, NAN);
  ck_gie_ok(ctx, pbqp_add_edge(p, 1, 0, (double[]){0, NAN, 0, 7}));
  ck_gie_ok(ctx, pbqp_solve(p, choice, &r));
  ck_assert(r.cost == 7 && choice[0] == 1 && choice[1] == 1);
  pbqp_free(p);
  gie_context_destroy(ctx);
}
END_TEST

/* ---- Size */

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint32_t chain_parent(uint32_t u) { return u - 1; }
static uint32_t tree_parent(uint32_t u) { return (u - 1) / 3; }
static uint32_t star_parent(uint32_t u) { return (void)u, 0; }

/* Joins u with its parent and, for each further edge, with a random node before it. */
static void large(struct gie_context *ctx, uint32_t n, uint32_t alts, uint32_t (*parent)(uint32_t),
                  uint32_t more, uint32_t range, struct pbqp_result *r)
{
  enum { MOST = 8 };
  struct pbqp *p;
  uint32_t *n_alts = gie_alloc(ctx, n, sizeof *n_alts), *choice = gie_alloc(ctx, n, sizeof *choice);
  for (uint32_t u = 0; u < n; u++)
    n_alts[u] = alts;
  ck_gie_ok(ctx, pbqp_new(ctx, n, n_alts, &p));
  for (uint32_t u = 0; u < n; u++) {
    for (uint32_t i = 0; i < alts; i++)
      pbqp_add_cost(p, u, i, draw_cost(1, 0));
    for (uint32_t k = 0; u && k <= more; k++) {
      double cost[MOST * MOST];
      for (uint32_t i = 0; i < alts * alts; i++)
        cost[i] = i % (alts + 1) ? draw_cost(1, 5) : 0; /* no conversion between equal forms */
      uint32_t v = k ? u - 1 - draw(u < range ? u : range) : parent(u);
      ck_gie_ok(ctx, pbqp_add_edge(p, v, u, cost));
    }
  }
  ck_gie_ok(ctx, pbqp_solve(p, choice, r));
  pbqp_free(p);
  gie_free(ctx, n_alts);
  gie_free(ctx, choice);
}

START_TEST(test_large)
{
  static const struct {
    const char *name;
    uint32_t n, alts, (*parent)(uint32_t), more, range;
    bool exact;
    double gap; /* at most */
  } sizes[] = {
      {"chain", 5000, 8, chain_parent, 0, 1, true, 0},
      {"tree", 5000, 8, tree_parent, 0, 1, true, 0},
      {"star", 5000, 8, star_parent, 0, 1, true, 0},
      {"chain with short cuts", 2000, 8, chain_parent, 1, 4, false, 0.05},
      {"random graph", 500, 6, chain_parent, 2, 500, false, 0.3},
  };
  struct gie_context *ctx = check_context();
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    struct pbqp_result r;
    double start = now();
    seed = i + 1;
    large(ctx, sizes[i].n, sizes[i].alts, sizes[i].parent, sizes[i].more, sizes[i].range, &r);
    double gap = (r.cost - r.lower_bound) / r.cost;
    printf("%s: %.3f s, cost %g, gap %.2f %%, %u of %u nodes by heuristic\n", sizes[i].name, now() - start,
           r.cost, 100 * gap, r.n_heuristic, sizes[i].n);
    ck_assert(!sizes[i].exact || (r.exact && now() - start < 1));
    ck_assert(gap >= 0 && gap <= sizes[i].gap);
  }
  gie_context_destroy(ctx);
}
END_TEST

START_TEST(test_failing_allocations)
{
  struct gie_context *ctx = check_context();
  for (uint64_t number = 1; number <= 40; number++) {
    struct sample s;
    seed = number;
    draw_sample(&s);
    for (long n = 1;; n++) {
      uint32_t choice[MAX_NODES];
      struct pbqp_result r;
      ctx->fail_alloc_after = n;
      gie_status status = solve(ctx, &s, number % 2 ? UINT64_MAX : 0, choice, &r);
      bool reached = ctx->fail_alloc_after <= 0;
      ctx->fail_alloc_after = -1;
      if (!reached)
        break;
      ck_assert_int_eq(status, GIE_E_MEMORY);
      ck_assert_int_lt(n, 1000);
    }
  }
  gie_context_destroy(ctx);
}
END_TEST

GIE_TESTS_MAIN("pbqp", test_random_exact, test_random_heuristic, test_greedy_is_wrong,
               test_edges_of_the_interface, test_large, test_failing_allocations)
