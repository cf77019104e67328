/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels that say that they take ranges and then refuse them, or take longer: the whole decision table, on a device of
 * costs. Figures come from a timing cache that the test writes, with a row for whole tensors and one for ranges, so that
 * nothing is run. */
#include "tests/temp.h"
#include "tests/tune/costs.h"
#include <math.h>

#define N(rows) (sizeof(rows) / sizeof *(rows))
#define T4 " : f32[1,8,4,4] nchw"
#define REFUSES (-1.0)

static char decisions[2048], cache_file[64];

/* What a kernel of the table takes with ranges; `in` and `out` say where, neither: its figure for whole tensors, if that
 * is another than it expects. */
struct range_row {
  const char *kernel;
  bool in, out;
  double ms; /* or REFUSES */
};

struct writer {
  struct gie_arena mem;
  struct run_device device;
  struct tune_cache *cache;
  const char *key;
};

static void put(struct writer *w, const struct gie_graph *g, const struct gie_node *n, const char *kernel,
                bool in, bool out, double ms)
{
  struct tune_form from[4], to[4];
  const struct gie_kernel *k = mod_find(ctx, MOD_KERNEL, kernel);
  struct tune_problem p;
  uint64_t config = 1;
  ck_assert(n->n_in <= N(from) && n->n_out <= N(to));
  for (size_t i = 0; i < N(to); i++) {
    from[i] = (struct tune_form){.dtype = GIE_F32, .pitched = in};
    to[i] = (struct tune_form){.dtype = GIE_F32, .pitched = out};
  }
  ck_gie_ok(ctx, tune_problem_make(g, n, 0, from, to, &p));
  for (size_t i = 0; costs_kernel((uint32_t)i) != k; i++)
    config = i + 2;
  const struct tune_entry e = {.problem = p.key,
                               .kernel = kernel,
                               .config = config,
                               .device = w->key,
                               .version = tune_entry_version(&w->mem, k, &w->device.info),
                               .verdict = ms < 0 ? PROBE_REFUSED : PROBE_OK,
                               .seconds = ms < 0 ? 0 : ms * 1e-3,
                               .text = ms < 0 ? "no views" : ""};
  ck_gie_ok(ctx, tune_cache_put(w->cache, &e));
  tune_problem_free(&p, ctx);
}

/* Entries for every node: each kernel of its op on whole tensors, then the rows given. */
static void write_cache(const char *text, const struct cost_row *rows, size_t n,
                        const struct range_row *ranges, size_t n_ranges)
{
  struct writer w = {0};
  struct gie_graph *g;
  gie_arena_init(&w.mem, ctx);
  ck_gie_ok(ctx, gie_graph_parse(ctx, text, strlen(text), NULL, &g));
  ck_gie_ok(ctx, run_device_open(ctx, NULL, 1, &w.device));
  w.key = tune_entry_device(&w.mem, w.device.ops->kind, &w.device.info, w.device.threads);
  ck_gie_ok(ctx, tune_cache_open(ctx, cache_file, false, &w.cache));
  GIE_FOR_NODES(g, id) {
    const struct gie_node *node = gie_node_get(g, id);
    for (size_t i = 0; i < n; i++) {
      if (strcmp(rows[i].op, node->op->name) != 0)
        continue;
      put(&w, g, node, rows[i].name, false, false, rows[i].ms);
      for (size_t k = 0; k < n_ranges; k++)
        if (strcmp(ranges[k].kernel, rows[i].name) == 0)
          put(&w, g, node, rows[i].name, ranges[k].in, ranges[k].out, ranges[k].ms);
    }
  }
  ck_gie_ok(ctx, tune_cache_save(w.cache));
  tune_cache_free(w.cache);
  run_device_close(&w.device);
  gie_graph_free(g);
  gie_arena_free(&w.mem);
}

/* The plan of that text with these figures for the nodes of `known`; its decisions and cost are as wanted. */
static struct gie_plan *decide_from(const char *known, const char *text, const struct cost_row *rows,
                                    size_t n, const struct range_row *ranges, size_t n_ranges,
                                    const char *want, double ms)
{
  struct gie_build_report r = {.struct_size = sizeof r};
  struct gie_build_options o = {.struct_size = sizeof o, .cache = cache_file, .cache_read_only = true};
  ctx = costs_context(rows, (uint32_t)n);
  snprintf(cache_file, sizeof cache_file, "%s", temp_path("timing.txt"));
  write_cache(known, rows, n, ranges, n_ranges);
  struct gie_plan *plan = costs_build(ctx, text, &o, &r);
  ck_assert_str_eq(costs_decisions(plan, decisions, sizeof decisions), want);
  ck_assert_msg(fabs(r.cost * 1e3 - ms) < 0.005, "%g ms instead of %g", r.cost * 1e3, ms);
  ck_assert_msg(r.lower_bound <= r.cost * (1 + 1e-9), "%g above %g", r.lower_bound, r.cost);
  ck_assert_uint_eq(r.timed, 0);
  ck_assert_int_eq(remove(cache_file), 0); /* the next one knows other figures */
  return plan;
}

static struct gie_plan *decide(const char *text, const struct cost_row *rows, size_t n,
                               const struct range_row *ranges, size_t n_ranges, const char *want, double ms)
{
  return decide_from(text, text, rows, n, ranges, n_ranges, want, ms);
}

static void decide_only(const char *text, const struct cost_row *rows, size_t n,
                        const struct range_row *ranges, size_t n_ranges, const char *want, double ms)
{
  gie_plan_free(decide(text, rows, n, ranges, n_ranges, want, ms));
  gie_context_free(ctx);
}

static const char *const CONCAT =
    "graph { input %x" T4 " %a : f32[1,8,4,4] nchw view(%c, 1, 0, 8) = sigmoid(%x) "
    "%b : f32[1,8,4,4] nchw view(%c, 1, 8, 8) = tanh(%x) %c : f32[1,16,4,4] nchw = concat(%a, %b) {axis=1} "
    "%d = exp(%c) output %d }";

static const struct cost_row rows[] = {{"cat", "concat", NULL, NULL, 5.0, 0, true, 0, 0},
                                       {"e", "exp", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                       {"s.first", "sigmoid", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                       {"s.second", "sigmoid", "nchw", "nchw", 1.2, 0, true, 0, 0},
                                       {"s.third", "sigmoid", "nchw", "nchw", 1.4, 0, true, 0, 0},
                                       {"t", "tanh", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                       {"turn", "reorder", NULL, NULL, 0.5, 0, true, 0, 0}};

/* All is as it says: the first stays. */
START_TEST(test_it_takes_them)
{
  static const struct range_row ranges[] = {{"s.first", false, true, 1.0}, {"t", false, true, 1.0}};
  decide_only(CONCAT, rows, N(rows), ranges, N(ranges), "sigmoid:s.first tanh:t concat:- exp:e", 3.0);
}
END_TEST

/* What it had outdone on whole tensors takes its place; the table says why. */
START_TEST(test_it_refuses)
{
  static const struct range_row ranges[] = {{"s.first", false, true, REFUSES}, {"t", false, true, 1.0}};
  struct gie_plan *plan = decide(CONCAT, rows, N(rows), ranges, N(ranges),
                                 "sigmoid:s.second tanh:t concat:- exp:e", 3.2);
  const char *table = gie_plan_candidates(plan);
  ck_assert_msg(strstr(table, "with a range: refused: no views\n") != NULL, "%s", table);
  gie_plan_free(plan);
  gie_context_free(ctx);
}
END_TEST

/* A copy into the range costs less than any other kernel. */
START_TEST(test_a_copy_is_cheaper)
{
  static const struct range_row ranges[] = {{"s.first", false, true, REFUSES},
                                            {"s.second", false, true, REFUSES},
                                            {"s.third", false, true, 1.9},
                                            {"t", false, true, 1.0}};
  decide_only(CONCAT, rows, N(rows), ranges, N(ranges), "sigmoid:s.first reorder:- tanh:t concat:- exp:e",
              3.5);
}
END_TEST

/* It takes them, and needs twice as long: the next one, though slower on whole tensors. */
START_TEST(test_it_is_slower)
{
  static const struct range_row ranges[] = {{"s.first", false, true, 2.0},
                                            {"s.second", false, true, 1.3},
                                            {"t", false, true, 1.0}};
  decide_only(CONCAT, rows, N(rows), ranges, N(ranges), "sigmoid:s.second tanh:t concat:- exp:e", 3.3);
}
END_TEST

/* Nobody takes ranges at a fair price: the concat is done. */
START_TEST(test_the_concat_pays)
{
  static const struct cost_row dear[] = {{"cat", "concat", NULL, NULL, 0.3, 0, true, 0, 0},
                                         {"e", "exp", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                         {"s", "sigmoid", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                         {"t", "tanh", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                         {"turn", "reorder", NULL, NULL, 0.5, 0, true, 0, 0}};
  static const struct range_row ranges[] = {{"s", false, true, 1.4}, {"t", false, true, REFUSES}};
  decide_only(CONCAT, dear, N(dear), ranges, N(ranges), "sigmoid:s tanh:t concat:cat exp:e", 3.3);
}
END_TEST

/* Readers of ranges: one refuses and another one of its op takes its place, one pays a copy, one is slower. */
START_TEST(test_readers)
{
  static const struct cost_row read[] = {{"s", "sigmoid", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                         {"cut", "split", NULL, NULL, 9.0, 0, true, 0, 0},
                                         {"t.first", "tanh", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                         {"t.second", "tanh", "nchw", "nchw", 1.1, 0, true, 0, 0},
                                         {"e", "exp", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                         {"turn", "reorder", NULL, NULL, 0.5, 0, true, 0, 0}};
  static const struct range_row ranges[] = {{"t.first", true, false, REFUSES},
                                            {"t.second", true, false, 1.2},
                                            {"e", true, false, REFUSES}};
  decide_only(
      "graph { input %x" T4 " %c : f32[1,8,4,4] nchw = sigmoid(%x) "
      "%a : f32[1,4,4,4] nchw view(%c, 1, 0, 4), %b : f32[1,4,4,4] nchw view(%c, 1, 4, 4) = split(%c) {axis=1} "
      "%d = tanh(%a) %e = exp(%b) output %d output %e }",
      read, N(read), ranges, N(ranges), "sigmoid:s split:- reorder:- tanh:t.second exp:e", 3.7);
}
END_TEST

/* A range at both ends is refused: each end is asked about, and the one that is refused gets the copy. */
START_TEST(test_both_ends)
{
  static const struct cost_row both[] = {{"s", "sigmoid", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                         {"cut", "split", NULL, NULL, 9.0, 0, true, 0, 0},
                                         {"cat", "concat", NULL, NULL, 9.0, 0, true, 0, 0},
                                         {"t", "tanh", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                         {"e", "exp", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                         {"turn", "reorder", NULL, NULL, 0.5, 0, true, 0, 0}};
  static const char *const text =
      "graph { input %x" T4 " %c : f32[1,8,4,4] nchw = sigmoid(%x) "
      "%a : f32[1,4,4,4] nchw view(%c, 1, 0, 4), %b : f32[1,4,4,4] nchw view(%c, 1, 4, 4) = split(%c) {axis=1} "
      "%d : f32[1,4,4,4] nchw view(%y, 1, 0, 4) = tanh(%a) %e : f32[1,4,4,4] nchw view(%y, 1, 4, 4) = exp(%b) "
      "%y : f32[1,8,4,4] nchw = concat(%d, %e) {axis=1} output %y }";
  static const struct range_row reads[] = {{"t", true, true, REFUSES}, {"t", true, false, REFUSES},
                                           {"t", false, true, 1.0},    {"e", true, true, 1.0},
                                           {"e", true, false, 1.0},    {"e", false, true, 1.0}};
  static const struct range_row writes[] = {{"t", true, true, REFUSES},  {"t", true, false, 1.0},
                                            {"t", false, true, REFUSES}, {"e", true, true, 1.0},
                                            {"e", true, false, 1.0},     {"e", false, true, 1.0}};
  static const struct range_row together[] = {{"t", true, true, REFUSES}, {"t", true, false, 1.0},
                                              {"t", false, true, 1.0},    {"e", true, true, 1.0},
                                              {"e", true, false, 1.0},    {"e", false, true, 1.0}};
  decide_only(text, both, N(both), reads, N(reads), "sigmoid:s split:- reorder:- tanh:t exp:e concat:-", 3.5);
  decide_only(text, both, N(both), writes, N(writes), "sigmoid:s split:- tanh:t reorder:- exp:e concat:-",
              3.5);
  decide_only(text, both, N(both), together, N(together), "sigmoid:s split:- tanh:t reorder:- exp:e concat:-",
              3.5);
}
END_TEST

/* One kernel expects a hundredth of what it takes, one what it takes: nobody trusts the first more than its figure. A third
 * that expects far more than the first really takes is not looked at, though it would be the fastest. */
START_TEST(test_expectations)
{
  static const struct cost_row hopes[] = {{"dreamer", "exp", "nchw", "nchw", 0.06, 0, true, 0, 0},
                                          {"honest", "exp", "nchw", "nchw", 5.0, 0, true, 0, 0},
                                          {"modest", "exp", "nchw", "nchw", 10.0, 0, true, 0, 0}};
  static const struct range_row figures[] = {{"dreamer", false, false, 6.0}, {"modest", false, false, 1.0}};
  struct gie_plan *plan = decide("graph { input %x" T4 " %a = exp(%x) output %a }", hopes, N(hopes), figures,
                                 N(figures), "exp:honest", 5.0);
  const char *table = gie_plan_candidates(plan);
  ck_assert_msg(strstr(table, "pruned\tmodest\t") != NULL, "%s", table);
  gie_plan_free(plan);
  gie_context_free(ctx);
}
END_TEST

/* The same for a step that is left over: `honest`, known from %c, is the best there once `dreamer` has a figure, and then
 * gets one too. */
START_TEST(test_expectations_of_steps)
{
  static const struct cost_row hopes[] = {{"g", "gemm", NULL, NULL, 1.0, 0, true, 0, 0},
                                          {"dreamer", "exp", NULL, NULL, 0.06, 0, true, 0, 0},
                                          {"honest", "exp", NULL, NULL, 1.0, 0, true, 0, 0}};
  static const struct range_row figures[] = {{"dreamer", false, false, 6.0}, {"honest", false, false, 1.5}};
  struct gie_plan_profile p = {.struct_size = sizeof p};
  struct gie_plan *plan = decide_from(
      "graph { input %x : f32[2,2] input %z : f32[4,4] %a = gemm(%x, %x) %b = exp(%a) %c = exp(%z) "
      "output %b output %c }",
      "graph { input %x : f32[2,2] input %z : f32[4,4] %a = gemm(%x, %x) | exp %c = exp(%z) "
      "output %a output %c }",
      hopes, N(hopes), figures, N(figures), "gemm:g exp:honest exp:honest", 4.0);
  ck_gie_ok(ctx, gie_plan_profile(plan, 0, &p));
  ck_assert(p.measured);
  gie_plan_free(plan);
  gie_context_free(ctx);
}
END_TEST

GIE_TESTS_MAIN("ranges", test_it_takes_them, test_it_refuses, test_a_copy_is_cheaper, test_it_is_slower,
               test_the_concat_pays, test_readers, test_both_ends, test_expectations,
               test_expectations_of_steps)
