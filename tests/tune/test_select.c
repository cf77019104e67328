/* SPDX-License-Identifier: Apache-2.0 */
/* The whole decision table of selection on a device of costs, where the right answer is known. Unary ops serve as
 * nodes with costs of their own: sigmoid, tanh, exp … */
#include "tests/tune/costs.h"
#include <math.h>

#define N(rows) (sizeof(rows) / sizeof *(rows))
#define T4 " : f32[1,8,4,4] nchw"

static char decisions[2048];

static void decide(const struct cost_row *rows, size_t n, const char *text, const char *want, double ms)
{
  struct gie_context *c = costs_context(rows, (uint32_t)n);
  struct gie_build_report r = {.struct_size = sizeof r};
  struct gie_plan *plan = costs_build(c, text, NULL, &r);
  ck_assert_str_eq(costs_decisions(plan, decisions, sizeof decisions), want);
  ck_assert_msg(fabs(r.cost * 1e3 - ms) < 0.05, "%g ms instead of %g", r.cost * 1e3, ms);
  ck_assert(r.lower_bound <= r.cost);
  gie_plan_free(plan);
  gie_context_free(c);
}

/* The cheapest kernel of the first node makes the second one dear. */
START_TEST(test_greedy_is_wrong)
{
  static const struct cost_row rows[] = {{"s.last", "sigmoid", "nhwc", "nhwc", 0.9, 0, false, 0, 0},
                                         {"s.plain", "sigmoid", "nchw", "nchw", 1.0, 0, false, 0, 0},
                                         {"t.last", "tanh", "nhwc", "nhwc", 3.0, 0, false, 0, 0},
                                         {"t.plain", "tanh", "nchw", "nchw", 1.0, 0, false, 0, 0},
                                         {"turn", "reorder", NULL, NULL, 0.5, 0, true, 0, 0}};
  decide(rows, N(rows), "graph { input %x" T4 " %a = sigmoid(%x) %b = tanh(%a) output %b }",
         "sigmoid:s.plain tanh:t.plain", 2.0);
}
END_TEST

/* A chain that pays for the conversions at its ends only when it is long enough. */
START_TEST(test_a_long_chain_pays_for_reorders)
{
  static const struct cost_row rows[] = {{"e.last", "exp", "nhwc", "nhwc", 1.0, 0, false, 0, 0},
                                         {"e.plain", "exp", "nchw", "nchw", 1.6, 0, false, 0, 0},
                                         {"turn", "reorder", NULL, NULL, 0.8, 0, true, 0, 0}};
  decide(rows, N(rows), "graph { input %x" T4 " %a = exp(%x) %b = exp(%a) output %b }",
         "exp:e.plain exp:e.plain", 3.2);
  decide(rows, N(rows), "graph { input %x" T4 " %a = exp(%x) %b = exp(%a) %c = exp(%b) output %c }",
         "reorder:turn exp:e.last exp:e.last exp:e.last reorder:turn", 4.6);
}
END_TEST

/* Three readers gain 0.3 each; the conversion costs 0.5 once. No pair of nodes sees that. */
START_TEST(test_shared_conversion)
{
  static const struct cost_row rows[] = {{"s.plain", "sigmoid", "nchw", "nchw", 1.0, 0, false, 0, 0},
                                         {"l.last", "softplus", "nhwc", "nchw", 0.7, 0, false, 0, 0},
                                         {"l.plain", "softplus", "nchw", "nchw", 1.0, 0, false, 0, 0},
                                         {"turn", "reorder", NULL, NULL, 0.5, 0, true, 0, 0}};
  decide(rows, N(rows),
         "graph { input %x" T4 " %a = sigmoid(%x) %b = softplus(%a) %c = softplus(%a) %d = softplus(%a)"
         " output %b output %c output %d }",
         "sigmoid:s.plain reorder:turn softplus:l.last softplus:l.last softplus:l.last", 3.6);
  decide(rows, N(rows), "graph { input %x" T4 " %a = sigmoid(%x) %b = softplus(%a) output %b }",
         "sigmoid:s.plain softplus:l.plain", 2.0);
}
END_TEST

/* Whether to fuse both steps, one or none is a matter of what the rest costs. */
START_TEST(test_epilogue_cut)
{
  static const struct cost_row fused[] = {{"c.all", "gemm", NULL, NULL, 2.0, 2, true, 0, 0},
                                          {"c.bare", "gemm", NULL, NULL, 1.0, 0, true, 0, 0},
                                          {"c.one", "gemm", NULL, NULL, 1.7, 1, true, 0, 0},
                                          {"relu", "relu", NULL, NULL, 0.6, 0, true, 0, 0},
                                          {"sig", "sigmoid", NULL, NULL, 0.6, 0, true, 0, 0}};
  static const struct cost_row one[] = {{"c.all", "gemm", NULL, NULL, 2.5, 2, true, 0, 0},
                                        {"c.bare", "gemm", NULL, NULL, 1.0, 0, true, 0, 0},
                                        {"c.one", "gemm", NULL, NULL, 1.2, 1, true, 0, 0},
                                        {"relu", "relu", NULL, NULL, 0.6, 0, true, 0, 0},
                                        {"sig", "sigmoid", NULL, NULL, 0.6, 0, true, 0, 0}};
  static const struct cost_row none[] = {{"c.all", "gemm", NULL, NULL, 2.5, 2, true, 0, 0},
                                         {"c.bare", "gemm", NULL, NULL, 1.0, 0, true, 0, 0},
                                         {"relu", "relu", NULL, NULL, 0.3, 0, true, 0, 0},
                                         {"sig", "sigmoid", NULL, NULL, 0.3, 0, true, 0, 0}};
  const char *text =
      "graph { input %x : f32[2,2] input %y : f32[2,2] %a = gemm(%x, %y) | relu | sigmoid output %a }";
  decide(fused, N(fused), text, "gemm:c.all", 2.0);
  decide(one, N(one), text, "gemm:c.one sigmoid:sig", 1.8);
  decide(none, N(none), text, "gemm:c.bare relu:relu sigmoid:sig", 1.6);
}
END_TEST

/* The residual of a step that is cut off is read by the node that does it. */
START_TEST(test_cut_step_keeps_its_operand)
{
  static const struct cost_row rows[] = {{"c.all", "gemm", NULL, NULL, 2.5, 2, true, 0, 0},
                                         {"c.bare", "gemm", NULL, NULL, 1.0, 0, true, 0, 0},
                                         {"sub", "sub", NULL, NULL, 0.3, 0, true, 0, 0},
                                         {"relu", "relu", NULL, NULL, 0.3, 0, true, 0, 0}};
  struct gie_context *c = costs_context(rows, N(rows));
  struct gie_plan *plan = costs_build(c,
                                      "graph { input %x : f32[2,2] input %y : f32[2,2] input %r : f32[2,2] "
                                      "%a = gemm(%x, %y) | reverse sub(%r) | relu output %a }",
                                      NULL, NULL);
  struct gie_plan_profile p = {.struct_size = sizeof p};
  char *text;
  size_t size;
  ck_gie_ok(c, gie_plan_profile(plan, 0, &p));
  ck_gie_ok(c, gie_graph_print(p.graph, &text, &size));
  ck_assert_msg(strstr(text, "sub(%r, %a.part)") != NULL, "%s", text);
  ck_assert_msg(strstr(text, "output %a\n") != NULL, "%s", text);
  gie_free(c, text);
  gie_plan_free(plan);
  gie_context_free(c);
}
END_TEST

static const char *const CONCAT =
    "graph { input %x" T4 " %a : f32[1,8,4,4] nchw view(%c, 1, 0, 8) = sigmoid(%x) "
    "%b : f32[1,8,4,4] nchw view(%c, 1, 8, 8) = tanh(%x) %c : f32[1,16,4,4] nchw = concat(%a, %b) {axis=1} "
    "%d = exp(%c) output %d }";

/* Writing in place is worth a slower kernel up to the price of the concat, and one part in a hundred of all. */
START_TEST(test_views)
{
  static const struct cost_row kept[] = {{"cat", "concat", NULL, NULL, 1.0, 0, true, 0, 0},
                                         {"e", "exp", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                         {"s.dense", "sigmoid", "nchw", "nchw", 1.0, 0, false, 0, 0},
                                         {"s.pitch", "sigmoid", "nchw", "nchw", 1.2, 0, true, 0, 0},
                                         {"t.pitch", "tanh", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                         {"turn", "reorder", NULL, NULL, 0.5, 0, true, 0, 0}};
  static const struct cost_row copied[] = {{"cat", "concat", NULL, NULL, 1.0, 0, true, 0, 0},
                                           {"e", "exp", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                           {"s.dense", "sigmoid", "nchw", "nchw", 1.0, 0, false, 0, 0},
                                           {"s.pitch", "sigmoid", "nchw", "nchw", 1.9, 0, true, 0, 0},
                                           {"t.pitch", "tanh", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                           {"turn", "reorder", NULL, NULL, 0.5, 0, true, 0, 0}};
  static const struct cost_row dissolved[] = {{"cat", "concat", NULL, NULL, 0.3, 0, true, 0, 0},
                                              {"e", "exp", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                              {"s.dense", "sigmoid", "nchw", "nchw", 1.0, 0, false, 0, 0},
                                              {"t.dense", "tanh", "nchw", "nchw", 1.0, 0, false, 0, 0},
                                              {"turn", "reorder", NULL, NULL, 0.5, 0, true, 0, 0}};
  static const struct cost_row tie[] = {{"cat", "concat", NULL, NULL, 0.03, 0, true, 0, 0},
                                        {"e", "exp", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                        {"s.dense", "sigmoid", "nchw", "nchw", 1.0, 0, false, 0, 0},
                                        {"s.pitch", "sigmoid", "nchw", "nchw", 1.05, 0, true, 0, 0},
                                        {"t.pitch", "tanh", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                        {"turn", "reorder", NULL, NULL, 0.5, 0, true, 0, 0}};
  decide(tie, N(tie), CONCAT, "sigmoid:s.pitch tanh:t.pitch concat:- exp:e", 3.05); /* 3.03 with a copy */
  decide(kept, N(kept), CONCAT, "sigmoid:s.pitch tanh:t.pitch concat:- exp:e", 3.2);
  decide(copied, N(copied), CONCAT, "sigmoid:s.dense reorder:- tanh:t.pitch concat:- exp:e", 3.5);
  decide(dissolved, N(dissolved), CONCAT, "sigmoid:s.dense tanh:t.dense concat:cat exp:e", 3.3);
}
END_TEST

/* A concat inside another one: both keep their operands in place or none does, and a copy serves both. */
START_TEST(test_nested_views)
{
  static const char nested[] = "graph { input %x" T4
                               " %a : f32[1,8,4,4] nchw view(%q, 1, 0, 8) = sigmoid(%x) "
                               "%b : f32[1,8,4,4] nchw view(%q, 1, 8, 8) = tanh(%x) "
                               "%p : f32[1,16,4,4] nchw view(%q, 1, 0, 16) = concat(%a, %b) {axis=1} "
                               "%e : f32[1,16,4,4] nchw view(%q, 1, 16, 16) = exp(%p) "
                               "%q : f32[1,32,4,4] nchw = concat(%p, %e) {axis=1} %z = exp(%q) output %z }";
  static const struct cost_row kept[] = {{"cat", "concat", NULL, NULL, 1.0, 0, true, 0, 0},
                                         {"e", "exp", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                         {"s.dense", "sigmoid", "nchw", "nchw", 1.0, 0, false, 0, 0},
                                         {"s.pitch", "sigmoid", "nchw", "nchw", 1.2, 0, true, 0, 0},
                                         {"t.pitch", "tanh", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                         {"turn", "reorder", NULL, NULL, 0.5, 0, true, 0, 0}};
  static const struct cost_row copied[] = {{"cat", "concat", NULL, NULL, 1.0, 0, true, 0, 0},
                                           {"e", "exp", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                           {"s.dense", "sigmoid", "nchw", "nchw", 1.0, 0, false, 0, 0},
                                           {"s.pitch", "sigmoid", "nchw", "nchw", 1.9, 0, true, 0, 0},
                                           {"t.pitch", "tanh", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                           {"turn", "reorder", NULL, NULL, 0.5, 0, true, 0, 0}};
  static const struct cost_row dissolved[] = {{"cat", "concat", NULL, NULL, 0.1, 0, true, 0, 0},
                                              {"e", "exp", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                              {"s.dense", "sigmoid", "nchw", "nchw", 1.0, 0, false, 0, 0},
                                              {"t.dense", "tanh", "nchw", "nchw", 1.0, 0, false, 0, 0},
                                              {"turn", "reorder", NULL, NULL, 0.5, 0, true, 0, 0}};
  decide(kept, N(kept), nested, "sigmoid:s.pitch tanh:t.pitch concat:- exp:e concat:- exp:e", 4.2);
  decide(copied, N(copied), nested, "sigmoid:s.dense reorder:- tanh:t.pitch concat:- exp:e concat:- exp:e",
         4.5);
  decide(dissolved, N(dissolved), nested, "sigmoid:s.dense tanh:t.dense concat:cat exp:e concat:cat exp:e",
         4.2);
}
END_TEST

/* A reader of a range that takes none costs a copy; a split's results are ranges of what it reads. */
START_TEST(test_split_views)
{
  static const struct cost_row rows[] = {{"s", "sigmoid", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                         {"cut", "split", NULL, NULL, 0.9, 0, true, 0, 0},
                                         {"t.pitch", "tanh", "nchw", "nchw", 1.0, 0, true, 0, 0},
                                         {"e.dense", "exp", "nchw", "nchw", 1.0, 0, false, 0, 0},
                                         {"turn", "reorder", NULL, NULL, 0.5, 0, true, 0, 0}};
  decide(
      rows, N(rows),
      "graph { input %x" T4 " %c : f32[1,8,4,4] nchw = sigmoid(%x) "
      "%a : f32[1,4,4,4] nchw view(%c, 1, 0, 4), %b : f32[1,4,4,4] nchw view(%c, 1, 4, 4) = split(%c) {axis=1} "
      "%d = tanh(%a) %e = exp(%b) output %d output %e }",
      "sigmoid:s split:- reorder:- tanh:t.pitch exp:e.dense", 3.5);
}
END_TEST

/* A split of what is a range itself: its results lie in the base of that, and so does what is cut out of the base. */
START_TEST(test_views_of_ranges)
{
  static const char parts[] =
      "graph { input %x : f32[1,16,4,4] nchw const %from : i64[1] = {8} const %to : i64[1] = {24} "
      "const %axis : i64[1] = {1} %m : f32[1,16,4,4] nchw view(%z, 1, 0, 16) = sigmoid(%x) "
      "%b : f32[1,8,4,4] nchw view(%z, 1, 0, 8), %a : f32[1,8,4,4] nchw view(%z, 1, 8, 8) = split(%m) {axis=1} "
      "%p : f32[1,8,4,4] nchw view(%z, 1, 16, 8) = tanh(%b) %z : f32[1,24,4,4] nchw = concat(%m, %p) {axis=1} "
      "%y : f32[1,16,4,4] nchw view(%z, 1, 8, 16) = slice(%z, %from, %to, %axis) %e = exp(%y) output %e }";
  struct cost_row rows[] = {{"cat", "concat", NULL, NULL, 2.0, 0, true, 0, 0},
                            {"cut", "split", NULL, NULL, 2.0, 0, true, 0, 0},
                            {"part", "slice", NULL, NULL, 2.0, 0, true, 0, 0},
                            {"s", "sigmoid", "nchw", "nchw", 1.0, 0, true, 0, 0},
                            {"t", "tanh", "nchw", "nchw", 1.0, 0, true, 0, 0},
                            {"e", "exp", "nchw", "nchw", 1.0, 0, true, 0, 0},
                            {"turn", "reorder", NULL, NULL, 0.5, 0, true, 0, 0}};
  decide(rows, N(rows), parts, "sigmoid:s split:- tanh:t concat:- slice:- exp:e", 3.0);
  rows[3].pitch = false; /* its result is copied to where the parts lie */
  decide(rows, N(rows), parts, "sigmoid:s reorder:- split:- tanh:t concat:- slice:- exp:e", 3.5);
  rows[3].pitch = true;
  rows[4].pitch = false; /* a copy before and one behind */
  decide(rows, N(rows), parts, "sigmoid:s split:- reorder:- tanh:t reorder:- concat:- slice:- exp:e", 4.0);
  rows[4].pitch = true;
  rows[5].pitch = false; /* what is cut out is copied, by whatever is cheapest */
  decide(rows, N(rows), parts, "sigmoid:s split:- tanh:t concat:- slice:- reorder:- exp:e", 3.5);
  rows[2].ms = 0.4;
  decide(rows, N(rows), parts, "sigmoid:s split:- tanh:t concat:- slice:part exp:e", 3.4);
  rows[2].ms = 2.0;
  rows[5].pitch = true;
  rows[3].in = rows[3].out =
      "nhwc"; /* another form on the way: all that lies there is nchw, so it is turned first */
  decide(rows, N(rows), parts, "reorder:turn sigmoid:s reorder:- split:- tanh:t concat:- slice:- exp:e", 4.0);
  rows[0].ms = rows[1].ms = 0.1; /* copies are cheaper than anything that keeps ranges */
  rows[3].in = rows[3].out = "nchw";
  rows[3].pitch = rows[4].pitch = false;
  decide(rows, N(rows), parts, "sigmoid:s split:cut tanh:t concat:cat slice:- exp:e", 3.2);
}
END_TEST

/* Narrower floats only when the caller accepts them; then casts are part of the price. */
START_TEST(test_precision)
{
  static const struct cost_row rows[] = {{"e.f32", "exp", NULL, NULL, 1.0, 0, true, 0, 0},
                                         {"e.f16", "exp", NULL, NULL, 0.4, 0, true, GIE_F16, 0},
                                         {"cast", "cast", NULL, NULL, 0.3, 0, true, 0, 0}};
  const char *text = "graph { input %x" T4 " %a = exp(%x) %b = exp(%a) output %b }";
  struct gie_build_options o = {.struct_size = sizeof o, .reduced_precision = true};
  decide(rows, N(rows), text, "exp:e.f32 exp:e.f32", 2.0);
  struct gie_context *c = costs_context(rows, N(rows));
  struct gie_plan *plan = costs_build(c, text, &o, NULL);
  ck_assert_str_eq(costs_decisions(plan, decisions, sizeof decisions),
                   "cast:cast exp:e.f16 exp:e.f16 cast:cast");
  gie_plan_free(plan);
  gie_context_free(c);
}
END_TEST

/* A concat that costs nothing, and a reshape, pass narrower floats on: no cast before or behind them. */
START_TEST(test_precision_of_views)
{
  static const struct cost_row rows[] = {{"s.f16", "sigmoid", NULL, NULL, 0.4, 0, true, GIE_F16, 0},
                                         {"t.f16", "tanh", NULL, NULL, 0.4, 0, true, GIE_F16, 0},
                                         {"e.f16", "exp", NULL, NULL, 0.4, 0, true, GIE_F16, 0},
                                         {"c", "concat", NULL, NULL, 5.0, 0, true, 0, 0},
                                         {"f", "flatten", NULL, NULL, 5.0, 0, true, 0, 0},
                                         {"cast", "cast", NULL, NULL, 0.3, 0, true, 0, 0}};
  struct gie_build_options o = {.struct_size = sizeof o, .reduced_precision = true};
  struct gie_context *c = costs_context(rows, N(rows));
  struct gie_plan *plan = costs_build(
      c,
      "graph { input %x" T4 " %a : f32[1,8,4,4] nchw view(%c, 1, 0, 8) = sigmoid(%x) "
      "%b : f32[1,8,4,4] nchw view(%c, 1, 8, 8) = tanh(%x) %c : f32[1,16,4,4] nchw = concat(%a, %b) {axis=1} "
      "%d = flatten(%c) %e = exp(%d) output %e }",
      &o, NULL);
  ck_assert_str_eq(costs_decisions(plan, decisions, sizeof decisions),
                   "cast:cast sigmoid:s.f16 tanh:t.f16 concat:- flatten:- exp:e.f16 cast:cast");
  gie_plan_free(plan);
  gie_context_free(c);
}
END_TEST

/* A range of one tensor that is copied into a range of another stays f16 on the way: one copy, no casts, though the
 * kernel that copies knows of no other type than its operand's. */
START_TEST(test_precision_of_copies)
{
  static const struct cost_row rows[] = {{"s.f16", "sigmoid", NULL, NULL, 0.4, 0, true, GIE_F16, 0},
                                         {"t.f16", "tanh", NULL, NULL, 0.4, 0, true, GIE_F16, 0},
                                         {"e.f16", "exp", NULL, NULL, 0.4, 0, true, GIE_F16, 0},
                                         {"c", "concat", NULL, NULL, 5.0, 0, true, 0, 0},
                                         {"p", "split", NULL, NULL, 5.0, 0, true, 0, 0},
                                         {"turn", "reorder", NULL, NULL, 0.2, 0, true, 0, 0},
                                         {"cast", "cast", NULL, NULL, 0.3, 0, true, 0, 0}};
  struct gie_build_options o = {.struct_size = sizeof o, .reduced_precision = true};
  struct gie_build_report r = {.struct_size = sizeof r};
  struct gie_context *c = costs_context(rows, N(rows));
  struct gie_plan *plan = costs_build(
      c,
      "graph { input %x" T4 " %m = sigmoid(%x) "
      "%a : f32[1,4,4,4] nchw view(%m, 1, 0, 4), %b : f32[1,4,4,4] nchw view(%m, 1, 4, 4) = split(%m) {axis=1} "
      "%r : f32[1,4,4,4] nchw view(%c, 1, 0, 4) = reorder(%a) "
      "%t : f32[1,4,4,4] nchw view(%c, 1, 4, 4) = tanh(%b) "
      "%c : f32[1,8,4,4] nchw = concat(%r, %t) {axis=1} %e = exp(%c) output %e }",
      &o, &r);
  ck_assert_str_eq(costs_decisions(plan, decisions, sizeof decisions),
                   "cast:cast sigmoid:s.f16 split:- reorder:turn tanh:t.f16 concat:- exp:e.f16 cast:cast");
  ck_assert_msg(fabs(r.cost * 1e3 - 2.0) < 0.05, "%g ms", r.cost * 1e3);
  gie_plan_free(plan);
  gie_context_free(c);
}
END_TEST

/* Structures are solved apart and compared in full. */
START_TEST(test_structures)
{
  static const struct cost_row rows[] = {{"c.all", "gemm", NULL, NULL, 1.0, 9, true, 0, 0},
                                         {"add", "add", NULL, NULL, 0.5, 0, true, 0, 0},
                                         {"relu", "relu", NULL, NULL, 0.5, 0, true, 0, 0}};
  static const char *const both[] = {"", "fuse_epilogue"};
  struct gie_build_options o = {.struct_size = sizeof o, .structures = both, .n_structures = 2};
  struct gie_context *c = costs_context(rows, N(rows));
  struct gie_plan *plan = costs_build(
      c, "graph { input %x : f32[2,2] input %y : f32[2,2] %a = gemm(%x, %y) %b = relu(%a) output %b }", &o,
      NULL);
  ck_assert_str_eq(costs_decisions(plan, decisions, sizeof decisions), "gemm:c.all");
  ck_assert(strstr(gie_plan_candidates(plan), "fuse_epilogue") != NULL);
  gie_plan_free(plan);
  gie_context_free(c);
}
END_TEST

/* What may be left out of a build: a pass of a structure, layouts other than the plain one. */
START_TEST(test_left_out)
{
  static const struct cost_row rows[] = {{"c.all", "gemm", NULL, NULL, 1.0, 9, true, 0, 0},
                                         {"e.last", "exp", "nhwc", "nhwc", 0.1, 0, false, 0, 0},
                                         {"e.plain", "exp", "nchw", "nchw", 2.0, 0, false, 0, 0},
                                         {"relu", "relu", NULL, NULL, 0.5, 0, true, 0, 0},
                                         {"turn", "reorder", NULL, NULL, 0.2, 0, true, 0, 0}};
  static const char *const both[] = {"", "fuse_epilogue"};
  static const char *const text =
      "graph { input %x : f32[2,2] input %y : f32[2,2] %a = gemm(%x, %y) %b = relu(%a)"
      " input %z" T4 " %c = exp(%z) output %b output %c }";
  struct gie_build_options o = {.struct_size = sizeof o, .structures = both, .n_structures = 2};
  struct gie_context *c = costs_context(rows, N(rows));
  struct gie_plan *plan = costs_build(c, text, &o, NULL);
  ck_assert_str_eq(costs_decisions(plan, decisions, sizeof decisions),
                   "reorder:turn gemm:c.all exp:e.last reorder:turn");
  gie_plan_free(plan);
  o.disable = "fuse_epilogue";
  o.plain_layouts = true;
  plan = costs_build(c, text, &o, NULL);
  ck_assert_str_eq(costs_decisions(plan, decisions, sizeof decisions), "gemm:c.all relu:relu exp:e.plain");
  ck_assert(strstr(gie_plan_candidates(plan), "e.last: wants another layout than the plain one") != NULL);
  gie_plan_free(plan);
  gie_context_free(c);
}
END_TEST

/* Where whole structures were run, the fastest stays; within the noise the one with the fewest kernels and then the
 * cheapest by its nodes, which also stays where its time is not known. */
START_TEST(test_fastest)
{
  static const struct {
    double seconds[3];
    uint32_t kernels[3], cheapest, want;
  } rows[] = {
      {{1, 0.9, 0.8}, {4, 4, 4}, 0, 2},    {{1, 0.8, 0.9}, {4, 4, 4}, 2, 1},
      {{1, 0.99, 1.2}, {4, 4, 4}, 0, 0},   {{0.5, 0, 0.499}, {4, 4, 4}, 0, 0},
      {{0, 0.1, 0.2}, {4, 4, 4}, 0, 0},    {{0, 0, 0}, {4, 3, 2}, 1, 1},
      {{1, 0, 0.9}, {4, 2, 4}, 0, 2},      {{0.9, 1, 0.8}, {4, 4, 4}, 1, 2},
      {{0.90, 0.899, 1}, {4, 4, 4}, 2, 1}, {{1, 0.99, 1.2}, {4, 5, 1}, 0, 0},
      {{1, 1.01, 1.2}, {4, 3, 1}, 0, 1},   {{1, 1.01, 1.005}, {4, 2, 3}, 0, 1},
      {{1.01, 1, 1.005}, {4, 9, 4}, 0, 0}, {{1.03, 1, 1.005}, {1, 9, 8}, 0, 2},
  };
  for (size_t i = 0; i < N(rows); i++)
    ck_assert_uint_eq(tune_fastest(rows[i].seconds, rows[i].kernels, 3, rows[i].cheapest), rows[i].want);
}
END_TEST

struct seen {
  uint32_t n, done, total, nodes;
};

static void watch(void *user, const struct gie_build_progress *p)
{
  struct seen *s = user;
  ck_assert_msg(p->done >= s->done && p->done <= p->total, "%u of %u after %u", p->done, p->total, s->done);
  ck_assert(s->total == 0 || p->total == s->total);
  s->done = p->done;
  s->total = p->total;
  s->n++;
}

/* All structures of all profiles are one way to go; conversions are no steps of it. A structure that changes nothing is
 * not gone through again: its part is done with the step that follows. */
START_TEST(test_progress)
{
  static const struct cost_row rows[] = {{"e.last", "exp", "nhwc", "nhwc", 1.0, 0, false, 0, 0},
                                         {"e.plain", "exp", "nchw", "nchw", 9.0, 0, false, 0, 0},
                                         {"turn", "reorder", NULL, NULL, 0.8, 0, true, 0, 0}};
  static const char *const both[] = {"", "fuse_epilogue"}, *const shapes[] = {"x:1x8x4x4", "x:2x8x4x4"};
  struct seen s = {0};
  struct gie_build_options o = {.struct_size = sizeof o,
                                .structures = both,
                                .n_structures = 2,
                                .shapes = shapes,
                                .n_shapes = 2,
                                .exhaustive = true,
                                .progress = watch,
                                .progress_user = &s};
  struct gie_context *c = costs_context(rows, N(rows));
  struct gie_plan *plan = costs_build(
      c, "graph (n) { input %x : f32[n,8,4,4] nchw %a = exp(%x) %b = exp(%a) %c = exp(%b) output %c }", &o,
      NULL);
  ck_assert_uint_eq(s.total, 12);
  ck_assert_uint_eq(s.done, 9);
  gie_plan_free(plan);
  gie_context_free(c);
}
END_TEST

/* What there is no room for is said in the table. */
START_TEST(test_too_many)
{
  static struct cost_row rows[9];
  static const char *const names[] = {"k00", "k01", "k02", "k03", "k04", "k05", "k06", "k07", "k08"};
  for (uint32_t i = 0; i < N(rows); i++) {
    bool turns = i >= 6;
    rows[i] = (struct cost_row){
        names[i], turns ? "reorder" : "exp",      turns ? NULL : "nhwc", turns ? NULL : "nhwc", 1, 0, turns,
        0,        i == 0 ? 140 : i == 5 ? 24 : 30};
  }
  struct gie_context *c = costs_context(rows, N(rows));
  struct gie_plan *plan = costs_build(c, "graph { input %x" T4 " %a = exp(%x) output %a }", NULL, NULL);
  const char *table = gie_plan_candidates(plan);
  ck_assert_msg(strstr(table,
                       "\ncut\tk00: all above the first 128 variants; k05: 16 variants with 0 of 0 steps; a "
                       "node may have 256\n") != NULL,
                "%s", table);
  ck_assert_msg(strstr(table, "\ncut_set\t26 candidates of reorder(") != NULL, "%s", table);
  gie_plan_free(plan);
  gie_context_free(c);
}
END_TEST

/* Of two that cost the same the first by name stays. */
START_TEST(test_ties)
{
  static const struct cost_row rows[] = {{"b", "exp", NULL, NULL, 1.0, 0, true, 0, 0},
                                         {"a", "exp", NULL, NULL, 1.0, 0, true, 0, 0}};
  decide(rows, N(rows), "graph { input %x" T4 " %a = exp(%x) output %a }", "exp:a", 1.0);
}
END_TEST

START_TEST(test_nothing_runs_it)
{
  static const struct cost_row rows[] = {{"e", "exp", NULL, NULL, 1.0, 0, true, 0, 0}};
  const char *text = "graph { input %x" T4 " %a = tanh(%x) output %a }";
  struct gie_context *c = costs_context(rows, N(rows));
  struct gie_build_options o = {.struct_size = sizeof o, .cache = "", .budget = -1, .pipeline = ""};
  struct gie_graph *g;
  struct gie_plan *plan;
  ck_gie_ok(c, gie_graph_parse(c, text, strlen(text), NULL, &g));
  ck_gie(c, gie_build(g, &o, NULL, &plan), GIE_E_UNSUPPORTED);
  ck_assert(strstr(gie_error_text(c), "tanh") != NULL);
  gie_graph_free(g);
  gie_context_free(c);
}
END_TEST

/* ---- Against brute force ------------------------------------------------------------------------------ */

static const char *const OPS[] = {"exp", "tanh", "sigmoid", "softplus"};
static const char *const LAYOUTS[] = {"nchw", "nhwc"};

/* A network of up to seven nodes: unary ones, sums, a concat whose operands may be ranges of it. */
static void random_network(uint64_t *seed, char *text, size_t size)
{
  size_t at = (size_t)snprintf(text, size, "graph { input %%v0" T4 " ");
  uint32_t n = 3 + check_random(seed) % 3;
  for (uint32_t i = 1; i <= n; i++) {
    uint32_t a = check_random(seed) % i, b = check_random(seed) % i;
    if (check_random(seed) % 3 == 0)
      at += (size_t)snprintf(text + at, size - at, "%%v%u = add(%%v%u, %%v%u) ", i, a, b);
    else
      at += (size_t)snprintf(text + at, size - at, "%%v%u = %s(%%v%u) ", i, OPS[check_random(seed) % 4], a);
  }
  snprintf(
      text + at, size - at,
      "%%p : f32[1,8,4,4] nchw view(%%c, 1, 0, 8) = exp(%%v%u) %%q : f32[1,8,4,4] nchw view(%%c, 1, 8, 8) = tanh(%%v%u) "
      "%%c : f32[1,16,4,4] nchw = concat(%%p, %%q) {axis=1} output %%v%u output %%c }",
      n, n - 1, n);
}

static uint32_t random_rows(uint64_t *seed, struct cost_row *rows)
{
  static const char *const names[] = {"k00", "k01", "k02", "k03", "k04", "k05", "k06", "k07", "k08",
                                      "k09", "k10", "k11", "k12", "k13", "k14", "k15", "k16"};
  uint32_t n = 0;
  for (uint32_t op = 0; op < 5; op++)
    for (uint32_t l = 0; l < 2; l++)
      rows[n++] = (struct cost_row){.op = op < 4 ? OPS[op] : "add",
                                    .in = LAYOUTS[l],
                                    .out = LAYOUTS[check_random(seed) % 4 ? l : !l],
                                    .ms = 1 + check_random(seed) % 8 * 0.25,
                                    .pitch = check_random(seed) % 2};
  for (uint32_t l = 0; l < 2; l++)
    rows[n++] = (struct cost_row){.op = "concat",
                                  .in = LAYOUTS[l],
                                  .out = LAYOUTS[l],
                                  .ms = 0.25 + check_random(seed) % 8 * 0.25};
  for (uint32_t l = 0; l < 4; l++)
    rows[n++] = (struct cost_row){.op = "reorder",
                                  .in = LAYOUTS[l % 2],
                                  .out = LAYOUTS[l / 2],
                                  .ms = 0.25 + check_random(seed) % 4 * 0.25,
                                  .pitch = true};
  for (uint32_t i = 0; i < n; i++)
    rows[i].name = names[i];
  return n;
}

static double brute_force(struct selection *s, gie_id id)
{
  double best = INFINITY;
  while (id != GIE_NONE && !s->nodes[id].open)
    id = gie_node_get(s->g, id)->next;
  if (id == GIE_NONE)
    return select_true_cost(s);
  for (uint32_t i = 0; i < s->nodes[id].n_alts; i++) {
    if (s->nodes[id].alts[i].pruned)
      continue;
    s->nodes[id].choice = i;
    best = fmin(best, brute_force(s, gie_node_get(s->g, id)->next));
  }
  return best;
}

START_TEST(test_against_brute_force)
{
  uint32_t optimal = 0, n_networks = 200;
  double worst = 1;
  for (uint64_t k = 1; k <= n_networks; k++) {
    struct cost_row rows[20];
    char text[2048];
    uint64_t seed = k;
    struct gie_build_options o = {.struct_size = sizeof o, .cache = "", .budget = -1, .threads = 1};
    struct gie_context *c = costs_context(rows, random_rows(&seed, rows));
    struct gie_graph *g;
    struct tuner t;
    struct selection s;
    random_network(&seed, text, sizeof text);
    ck_gie_ok(c, gie_graph_parse(c, text, strlen(text), NULL, &g));
    ck_gie_ok(c, tuner_open(c, &o, &t));
    ck_gie_ok(c, selection_init(&s, &t, g));
    ck_gie_ok(c, select_ask(&s));
    ck_gie_ok(c, select_expand(&s));
    ck_gie_ok(c, select_measure(&s));
    ck_gie_ok(c, select_solve(&s));
    double best = brute_force(&s, gie_graph_first(g));
    ck_assert_msg(s.lower_bound <= best * (1 + 1e-9), "network %u: bound %g above %g", (unsigned)k,
                  s.lower_bound, best);
    ck_assert_msg(s.cost >= best * (1 - 1e-9), "network %u: %g below the least, %g", (unsigned)k, s.cost,
                  best);
    optimal += s.cost <= best * (1 + 1e-9);
    worst = fmax(worst, s.cost / best);
    selection_free(&s);
    tuner_close(&t);
    gie_graph_free(g);
    gie_context_free(c);
  }
  printf("optimal in true cost: %u of %u, worst %.3f times the least\n", (unsigned)optimal,
         (unsigned)n_networks, worst);
  ck_assert_uint_ge(optimal, n_networks * 95 / 100);
  ck_assert(worst < 1.1);
}
END_TEST

GIE_TESTS_MAIN("select", test_greedy_is_wrong, test_a_long_chain_pays_for_reorders, test_shared_conversion,
               test_epilogue_cut, test_cut_step_keeps_its_operand, test_views, test_nested_views,
               test_split_views, test_views_of_ranges, test_precision, test_precision_of_views,
               test_precision_of_copies, test_structures, test_left_out, test_fastest, test_progress,
               test_too_many, test_ties, test_nothing_runs_it, test_against_brute_force)
