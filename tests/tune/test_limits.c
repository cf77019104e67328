/* SPDX-License-Identifier: Apache-2.0 */
/* What a build is allowed: rounding (math), narrower floats node by node, memory; on the mocks of tests/run. */
#include "core/plan/plan.h"
#include "core/tune/select.h"
#include "tests/run/mock.h"

static const char NET[] = "graph \"g\" { input %x : f32[4,4] const %w : f32[4,2] = {1, 2, 3, 4, 5, 6, 7, 8}"
                          " %m = matmul(%x, %w) %y = relu(%m) output %y }";

static gie_status try_build(const char *text, struct gie_build_options o, struct gie_plan **plan)
{
  struct gie_graph *g = parse(text);
  o.struct_size = sizeof o;
  o.cache = "";
  o.budget = -1;
  o.pipeline = "";
  gie_status st = gie_build(g, &o, NULL, plan);
  gie_graph_free(g);
  return st;
}

static const struct gie_node *node_of(const struct gie_plan *plan, const char *value)
{
  struct gie_plan_profile p = {.struct_size = sizeof p};
  ck_gie_ok(ctx, gie_plan_profile(plan, 0, &p));
  return gie_node_get(p.graph, gie_value_get(p.graph, gie_value_find(p.graph, value))->producer);
}

static const char *kernel_note(const struct gie_plan *plan, const char *value)
{
  return gie_attrs_find(&node_of(plan, value)->notes, "kernel")->u.s;
}

/* ---- Rounding ---------------------------------------------------------------------------------- */

/* What the products were allowed to do, and where: asked and bound. */
static enum gie_math asked, bound, of_relu;
static bool (*mock_supports)(const struct gie_kernel *, const struct gie_problem *, char *, size_t);
static gie_status (*mock_create)(const struct gie_kernel *, const struct gie_problem *,
                                 const struct gie_variant *, void **);

static bool supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size)
{
  *(strcmp(p->node->op->name, "matmul") == 0 ? &asked : &of_relu) = p->math;
  return mock_supports(k, p, why, size);
}

static gie_status create(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                         void **out)
{
  if (strcmp(p->node->op->name, "matmul") == 0)
    bound = p->math;
  return mock_create(k, p, v, out);
}

START_TEST(test_math)
{
  static const char *const precisions[] = {"", "tf32", "fast"};
  struct gie_kernel k = mock_kernel("a.any", "cpu", &mocks[0]);
  mock_supports = k.supports;
  mock_create = k.create;
  k.supports = supports;
  k.create = create;
  mock_register_kernel(ctx, &k);
  for (int math = GIE_MATH_STRICT; math <= GIE_MATH_FAST; math++) {
    const struct gie_build_options o = {.math = (enum gie_math)math};
    struct gie_plan_profile p = {.struct_size = sizeof p};
    struct gie_plan *plan;
    struct gie_exec *x;
    ck_gie_ok(ctx, try_build(NET, o, &plan));
    ck_assert_int_eq(asked, math);
    ck_assert_int_eq(of_relu, GIE_MATH_STRICT);
    ck_assert_int_eq(gie_attrs_find(&node_of(plan, "m")->notes, "math") != NULL, math != GIE_MATH_STRICT);
    ck_gie_ok(ctx, gie_plan_profile(plan, 0, &p));
    ck_assert_str_eq(p.precision, precisions[math]);
    ck_gie_ok(ctx, gie_exec_new_plan(plan, NULL, &x));
    ck_assert_int_eq(bound, math);
    gie_exec_free(x);
    gie_plan_free(plan);
  }
  struct gie_plan *plan;
  ck_gie(ctx, try_build(NET, (struct gie_build_options){.math = (enum gie_math)7}, &plan), GIE_E_USAGE);
  const char *keeps = "graph \"g\" { input %x : f32[4,4] const %w : f32[4,2] = {1, 2, 3, 4, 5, 6, 7, 8}"
                      " %m = matmul(%x, %w) !{keep_f32=1} output %m }";
  ck_gie_ok(ctx, try_build(keeps, (struct gie_build_options){.math = GIE_MATH_TF32}, &plan));
  ck_assert_int_eq(asked, GIE_MATH_STRICT);
  gie_plan_free(plan);
}
END_TEST

/* One key for each: a time of one is no time of the other. */
START_TEST(test_math_keys)
{
  static const char *const texts[] = {"", " !{math=1}", " !{math=2}"};
  static const char *const wants[] = {" -> ", " math=tf32 -> ", " math=fast -> "};
  for (int i = 0; i < 3; i++) {
    char text[256];
    struct tune_problem p;
    snprintf(text, sizeof text,
             "graph \"g\" { input %%x : f32[4,4] input %%w : f32[4,2] %%m = matmul(%%x, %%w)%s output %%m }",
             texts[i]);
    struct gie_graph *g = parse(text);
    ck_gie_ok(ctx, tune_problem_make(g, gie_node_get(g, gie_graph_first(g)), 0, NULL, NULL, &p));
    ck_assert_msg(strstr(p.key, wants[i]) != NULL, "%s", p.key);
    tune_problem_free(&p, ctx);
    gie_graph_free(g);
  }
}
END_TEST

/* ---- Memory ------------------------------------------------------------------------------------ */

START_TEST(test_workspace_is_given_up)
{
  struct mock *big = kernel("a.big");
  kernel("b.small");
  struct gie_plan *plan;
  big->workspace = 1 << 20;
  ck_gie_ok(ctx, try_build(NET, (struct gie_build_options){0}, &plan));
  ck_assert_str_eq(kernel_note(plan, "m"), "a.big");
  gie_plan_free(plan);
  ck_gie_ok(ctx, try_build(NET, (struct gie_build_options){.memory_limit = 1 << 21}, &plan));
  ck_assert_str_eq(kernel_note(plan, "m"), "a.big");
  gie_plan_free(plan);
  ck_gie_ok(ctx, try_build(NET, (struct gie_build_options){.memory_limit = 1 << 19}, &plan));
  ck_assert_str_eq(kernel_note(plan, "m"), "b.small");
  ck_assert_str_eq(kernel_note(plan, "y"), "b.small");
  ck_assert(strstr(gie_plan_candidates(plan), "limit: its 1048576 bytes of workspace") != NULL);
  gie_plan_free(plan);
  ck_gie(ctx, try_build(NET, (struct gie_build_options){.memory_limit = 64}, &plan), GIE_E_MEMORY);
  HAS("the limit is 64; raise it or take a smaller batch");
}
END_TEST

START_TEST(test_nothing_smaller)
{
  kernel("a.big")->workspace = 1 << 20;
  struct gie_plan *plan;
  ck_gie(ctx, try_build(NET, (struct gie_build_options){.memory_limit = 1 << 19}, &plan), GIE_E_MEMORY);
  HAS("the limit is 524288");
}
END_TEST

/* ---- Several executors of one plan -------------------------------------------------------------- */

static const struct gie_plan *shared;

static void *work(void *arg)
{
  struct gie_exec *x;
  const char *failed = NULL;
  float base = (float)(intptr_t)arg;
  if (gie_exec_new_plan(shared, NULL, &x) != GIE_OK)
    return (void *)(uintptr_t) "no executor";
  for (int run = 0; run < 40 && !failed; run++) {
    float in[16] = {0};
    struct gie_tensor t;
    for (int i = 0; i < 4; i++)
      in[4 * i] = base + (float)(run + i);
    if (set(x, "x", in, 2, 4, 4, 0, 0) != GIE_OK || gie_exec_run(x) != GIE_OK ||
        gie_exec_output(x, "y", &t) != GIE_OK)
      failed = "a run failed";
    for (int i = 0; !failed && i < 4; i++)
      if (((float *)t.data)[2 * i] != in[4 * i] || ((float *)t.data)[2 * i + 1] != 2 * in[4 * i])
        failed = "a result is wrong";
  }
  gie_exec_free(x);
  return (void *)(uintptr_t)failed;
}

/* Four contexts on one device: one set of weights, four streams, handles and graphs. */
START_TEST(test_contexts)
{
  struct gie_build_options o = {.device = "far"};
  struct gie_plan *plan;
  pthread_t t[4];
  mock_register_device(ctx, &mock_far);
  kernel("host.any"); /* executors have a host beside the device */
  struct mock *m = kernel_on("far", "far.any");
  kernels[1].library = &mock_library;
  m->pack_key = "t";
  ck_gie_ok(ctx, try_build(NET, o, &plan));
  shared = plan;
  for (intptr_t i = 0; i < 4; i++)
    ck_assert_int_eq(pthread_create(&t[i], NULL, work, (void *)(100 * i)), 0);
  for (int i = 0; i < 4; i++) {
    void *failed;
    pthread_join(t[i], &failed);
    ck_assert_msg(!failed, "%s", (const char *)failed);
  }
  ck_assert_int_ge(far.captures, 4);
  ck_assert_int_ge(far.replays, 4 * 39);
  ck_assert(!m->bad_address);
  gie_plan_free(plan);
}
END_TEST

GIE_TESTS_MAIN_WITH("limits", setup, teardown, test_math, test_math_keys, test_workspace_is_given_up,
                    test_nothing_smaller, test_contexts)
