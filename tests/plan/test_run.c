/* SPDX-License-Identifier: Apache-2.0 */
/* Executors of plans on the mock backend: which profile runs, what is shared, what notes do. */
#include "tests/plan/plan_check.h"

static const int FOUR[] = {4, 0}, TWO[] = {1, 4, 0};

/* Lines that were logged, one after the other. */
static char logged[4096];
static void keep_log(void *user, enum gie_log_level level, const char *module, const char *text)
{
  (void)user, (void)level, (void)module;
  strncat(logged, text, sizeof logged - strlen(logged) - 2);
  strcat(logged, "\n");
}

static int count(const char *text)
{
  int n = 0;
  for (const char *s = logged; (s = strstr(s, text)); s++)
    n++;
  return n;
}

static void listen(void)
{
  logged[0] = 0;
  ctx->log = keep_log;
  ctx->log_level = GIE_LOG_WARN;
}

static const float W[4][5] = {{1, 2, 3, 4, 5}, {-1, -2, -3, -4, -5}, {0.5, 0.25, 0, 7, 8}, {1, -1, 1, -1, 1}};

static gie_status run_batch(struct gie_exec *x, int batch)
{
  float in[8 * 4];
  for (int i = 0; i < batch * 4; i++)
    in[i] = (float)((i * 7) % 5) - 1;
  GIE_TRY(set(x, "x", in, 2, batch, 4, 0, 0));
  GIE_TRY(gie_exec_run(x));
  float want[8 * 5];
  for (int r = 0; r < batch; r++)
    for (int c = 0; c < 5; c++) {
      float sum = 0;
      for (int k = 0; k < 4; k++)
        sum += in[r * 4 + k] * W[k][c];
      want[r * 5 + c] = sum > 0 ? sum : 0;
    }
  struct gie_tensor t;
  ck_gie_ok(ctx, gie_exec_output(x, "y", &t));
  ck_assert_int_eq(t.rank, 2);
  ck_assert_int_eq(t.dim[0], batch);
  ck_assert_int_eq(t.dim[1], 5);
  for (int i = 0; i < batch * 5; i++)
    ck_assert(((float *)t.data)[i] == want[i]);
  return GIE_OK;
}

START_TEST(runs_the_profile_that_matches)
{
  struct mock *m = kernel(SMALL_KERNEL);
  struct gie_plan *plan = small_plan(TWO);
  struct gie_exec *x;
  listen();
  ck_gie_ok(ctx, gie_exec_new_plan(plan, NULL, &x));
  ck_assert_int_eq(m->creates, 2); /* one profile's */
  ck_gie_ok(ctx, run_batch(x, 1));
  ck_gie_ok(ctx, run_batch(x, 4));
  ck_gie_ok(ctx, run_batch(x, 1));
  ck_assert_int_eq(m->creates, 4);
  ck_assert_int_eq(m->runs, 6);
  ck_assert_str_eq(kernel_of(x, 0), SMALL_KERNEL);
  ck_assert_int_eq(count("filled up"), 0);
  gie_exec_free(x);
  gie_plan_free(plan);
}
END_TEST

START_TEST(a_smaller_batch_is_filled_up)
{
  kernel(SMALL_KERNEL);
  struct gie_plan *plan = small_plan(TWO);
  struct gie_exec *x, *y;
  listen();
  ck_gie_ok(ctx, gie_exec_new_plan(plan, NULL, &x));
  ck_gie_ok(ctx, gie_exec_new_plan(plan, NULL, &y));
  ck_gie_ok(ctx, run_batch(x, 3));
  ck_gie_ok(ctx, run_batch(x, 2));
  ck_gie_ok(ctx, run_batch(x, 4));
  ck_gie_ok(ctx, run_batch(x, 3));
  ck_gie_ok(ctx, run_batch(x, 0));
  ck_gie_ok(ctx, gie_exec_run(x));
  ck_gie_ok(ctx, run_batch(y, 3));
  ck_assert_int_eq(count("a batch of 3 runs, filled up, in the profile for 4"), 1);
  ck_assert_int_eq(count("filled up"), 1);
  ck_gie(ctx, run_batch(x, 5), GIE_E_SHAPE);
  HAS("no profile of the plan is for inputs x [5,4]; profiles: x:1x4 on cpu; x:4x4 on cpu");
  ck_gie_ok(ctx, run_batch(x, 3));
  gie_exec_free(x);
  gie_exec_free(y);
  gie_plan_free(plan);
}
END_TEST

/* Rows that are added depend on each other: a concat along the batch is no proof. */
START_TEST(a_mixed_batch_is_not)
{
  kernel(SMALL_KERNEL);
  struct gie_plan *plan;
  struct gie_exec *x;
  ck_gie_ok(ctx,
            plan_new(ctx,
                     parse("graph \"g\" (n) { input %x : f32[n,4] %y = concat(%x, %x) {axis=0} output %y }"),
                     &plan));
  add_profile(plan, parse("graph \"g\" { input %x : f32[4,4] %y = concat(%x, %x) {axis=0} output %y }"));
  ck_gie_ok(ctx, gie_exec_new_plan(plan, NULL, &x));
  float data[16] = {0};
  ck_gie_ok(ctx, set(x, "x", data, 2, 3, 4, 0, 0));
  ck_gie(ctx, gie_exec_run(x), GIE_E_SHAPE);
  HAS("may mix the items of a batch");
  ck_gie_ok(ctx, set(x, "x", data, 2, 4, 4, 0, 0));
  ck_gie_ok(ctx, gie_exec_run(x));
  gie_exec_free(x);
  gie_plan_free(plan);
}
END_TEST

START_TEST(executors_share_what_is_packed)
{
  struct mock *m = kernel(SMALL_KERNEL);
  m->pack_key = "transposed";
  struct gie_plan *plan = small_plan(TWO);
  struct gie_exec *x[3];
  for (int round = 0; round < 2; round++) {
    for (int i = 0; i < 3; i++) {
      ck_gie_ok(ctx, gie_exec_new_plan(plan, NULL, &x[i]));
      ck_gie_ok(ctx, run_batch(x[i], 4));
      ck_gie_ok(ctx, run_batch(x[i], 1));
    }
    ck_assert_int_eq(m->packs, round + 1);
    ck_assert_ptr_eq(x[0]->engine, x[2]->engine);
    for (int i = 0; i < 3; i++)
      gie_exec_free(x[i]);
    ck_assert_ptr_null(plan->shared->engines.first);
  }
  gie_plan_free(plan);
}
END_TEST

START_TEST(far_devices_get_their_profiles)
{
  mock_register_device(ctx, &mock_far);
  kernel(SMALL_KERNEL);
  struct mock *m = kernel_on("far", "f.any");
  struct gie_plan *plan = small_plan(FOUR);
  struct gie_plan_profile p = {
      .device = "far",
      .graph = parse(
          "graph \"net\" { input %x : f32[4,4]"
          " const %w : f32[4,5] = {1, 2, 3, 4, 5, -1, -2, -3, -4, -5, 0.5, 0.25, 0, 7, 8, 1, -1, 1, -1, 1}"
          " %a = matmul(%x, %w) !{kernel=\"f.any\"} %y = relu(%a) !{kernel=\"f.any\"} output %y }")};
  struct gie_exec_options o = {.struct_size = sizeof o, .device = "far"},
                          none = {.struct_size = sizeof o, .device = "cuda"};
  struct gie_exec *x;
  ck_gie_ok(ctx, plan_add_profile(plan, &p));
  ck_gie_ok(ctx, gie_exec_new_plan(plan, &o, &x));
  ck_gie_ok(ctx, run_batch(x, 4));
  ck_gie_ok(ctx, run_batch(x, 3));
  ck_assert_int_eq(m->runs, 4);
  gie_exec_free(x);
  ck_gie(ctx, gie_exec_new_plan(plan, &none, &x), GIE_E_DEVICE);
  HAS("no profile for device \"cuda\"; it has some for cpu, far");
  gie_plan_free(plan);
}
END_TEST

/* A plan whose first device is not here runs on the next one that is; kernels of absent devices do not count. */
START_TEST(absent_devices_do_not_matter)
{
  const char *path = temp_path("absent.plan");
  kernel(SMALL_KERNEL);
  struct gie_plan *plan, *back;
  struct gie_exec *x;
  struct gie_plan_profile p = {.device = "gpu", .graph = small_graph(4)};
  struct gie_attr kernel_note = {.name = "kernel", .kind = GIE_ATTR_STRING, .n = 5, .u.s = "g.any"};
  struct gie_graph *g = (struct gie_graph *)p.graph;
  ck_gie_ok(ctx, gie_node_set_note(g, gie_graph_first(g), &kernel_note));
  ck_gie_ok(ctx, plan_new(ctx, small_base(), &plan));
  ck_gie_ok(ctx, plan_add_profile(plan, &p));
  add_profile(plan, small_graph(4));
  ck_gie_ok(ctx, gie_plan_save(plan, path));
  ck_gie_ok(ctx, gie_plan_load(ctx, path, &back));
  ck_gie_ok(ctx, gie_exec_new_plan(back, NULL, &x));
  ck_gie_ok(ctx, run_batch(x, 4));
  gie_exec_free(x);
  gie_plan_free(plan);
  gie_plan_free(back);
}
END_TEST

START_TEST(other_devices_are_told_once)
{
  kernel(SMALL_KERNEL);
  struct gie_plan *plan = small_plan(TWO);
  struct gie_exec *x[2];
  listen();
  for (int i = 0; i < 2; i++) {
    ck_gie_ok(ctx, gie_exec_new_plan(plan, NULL, &x[i]));
    ck_gie_ok(ctx, run_batch(x[i], 4));
  }
  ck_assert_int_eq(count("the plan was tuned on \"mock\" (1), this is \""), 1);
  ck_assert_int_eq(count("\n"), 1);
  for (int i = 0; i < 2; i++)
    gie_exec_free(x[i]);
  gie_plan_free(plan);
}
END_TEST

/* ---- Notes ------------------------------------------------------------------------------------- */

static gie_status run_noted(const char *notes, struct gie_exec **x)
{
  char text[256];
  snprintf(text, sizeof text, "graph \"g\" { input %%x : f32[4] %%y = relu(%%x) %s output %%y }", notes);
  return try_exec(text, NULL, x);
}

/* Variants 7, 8 and 9 of one kernel, which differ in nothing else; the last instance made. */
static uint64_t created;
static uint32_t three_variants(const struct gie_kernel *k, const struct gie_problem *p,
                               struct gie_variant *out, uint32_t max)
{
  static const struct gie_port any = {.layout.any = true, .pitch = true};
  (void)k, (void)max;
  for (uint32_t i = 0; i < 3; i++) {
    out[i].config = 7 + i;
    out[i].n_steps = i == 2 ? p->node->n_steps + 1 : p->node->n_steps;
    out[i].any_in = out[i].any_out = any;
  }
  return 3;
}

static gie_status (*mock_create)(const struct gie_kernel *, const struct gie_problem *,
                                 const struct gie_variant *, void **);
static gie_status create(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                         void **instance)
{
  created = v->config;
  return mock_create(k, p, v, instance);
}

START_TEST(notes_choose_kernel_and_config)
{
  static const struct {
    const char *notes, *kernel;
    uint64_t config;
    int warnings;
  } T[] = {
      {"", "a.first", 7, 0},
      {"!{kernel=\"b.second\"}", "b.second", 7, 0},
      {"!{kernel=\"b.second\", config=8}", "b.second", 8, 0},
      {"!{kernel=\"b.second\", config=9}", "a.first", 7, 1}, /* fuses too much */
      {"!{kernel=\"b.second\", config=10}", "a.first", 7, 1},
      {"!{kernel=\"a.first\", config=10}", "a.first", 7, 1},
      {"!{kernel=\"c.none\", config=8}", "a.first", 7, 1},
      {"!{kernel=\"c.none\"}", "a.first", 7, 1},
      {"!{config=8}", "a.first", 7, 0}, /* says nothing without a kernel */
  };
  static struct gie_kernel k[2];
  static struct mock m[2];
  k[0] = mock_kernel("a.first", "cpu", &m[0]);
  k[1] = mock_kernel("b.second", "cpu", &m[1]);
  mock_create = k[0].create;
  for (int i = 0; i < 2; i++) {
    k[i].variants = three_variants;
    k[i].create = create;
    mock_register_kernel(ctx, &k[i]);
  }
  for (size_t i = 0; i < sizeof T / sizeof T[0]; i++) {
    struct gie_exec *x;
    listen();
    ck_gie_ok(ctx, run_noted(T[i].notes, &x));
    ck_assert_str_eq(kernel_of(x, 0), T[i].kernel);
    ck_assert_uint_eq(created, T[i].config);
    ck_assert_int_eq(count("1 node does not get the kernel chosen for it"), T[i].warnings);
    gie_exec_free(x);
  }
}
END_TEST

START_TEST(one_warning_counts_all_nodes)
{
  struct gie_exec *x;
  kernel(SMALL_KERNEL);
  listen();
  ck_gie_ok(ctx, try_exec("graph \"g\" { input %x : f32[4] %a = relu(%x) !{kernel=\"c.x\"} %b = relu(%a) "
                          "!{kernel=\"" SMALL_KERNEL "\", config=5} %y = relu(%b) output %y }",
                          NULL, &x));
  ck_assert_int_eq(count("\n"), 1);
  ck_assert_int_eq(count("2 nodes do not get the kernel chosen for them"), 1);
  ck_assert_int_eq(count("(\"a\", there is no such kernel)"), 1);
  gie_exec_free(x);
}
END_TEST

/* Executors of one plan say it once. */
START_TEST(one_warning_for_all_executors)
{
  struct gie_plan *plan;
  struct gie_exec *x[2];
  kernel(SMALL_KERNEL);
  listen();
  ck_gie_ok(ctx, plan_new(ctx, parse("graph \"g\" { input %x : f32[4] %y = relu(%x) output %y }"), &plan));
  struct gie_plan_profile p = {.device = "cpu",
                               .graph = parse(
                                   "graph \"g\" { input %x : f32[4] %y = relu(%x) !{kernel=\"" SMALL_KERNEL
                                   "\", config=5} output %y }")};
  ck_gie_ok(ctx, plan_add_profile(plan, &p));
  for (int i = 0; i < 2; i++)
    ck_gie_ok(ctx, gie_exec_new_plan(plan, NULL, &x[i]));
  ck_assert_int_eq(count("\n"), 1);
  ck_assert_int_eq(count("1 node does not get the kernel chosen for it"), 1);
  for (int i = 0; i < 2; i++)
    gie_exec_free(x[i]);
  gie_plan_free(plan);
}
END_TEST

START_TEST(memory_may_end_anywhere)
{
  struct gie_exec *x = NULL;
  long n = 0;
  gie_status st = GIE_E_MEMORY;
  kernel(SMALL_KERNEL);
  struct gie_plan *plan = small_plan(TWO);
  while (st != GIE_OK) {
    ctx->fail_alloc_after = ++n;
    st = gie_exec_new_plan(plan, NULL, &x);
    if (st == GIE_OK && (st = set(x, "x", W[0], 2, 3, 4, 0, 0)) == GIE_OK)
      st = gie_exec_run(x);
    ctx->fail_alloc_after = -1;
    ck_assert_msg(st == GIE_OK || st == GIE_E_MEMORY, "allocation %ld: %s", n, gie_error_text(ctx));
    if (st == GIE_OK)
      ck_gie_ok(ctx, run_batch(x, 3));
    gie_exec_free(x);
    x = NULL;
  }
  ck_assert_int_gt(n, 20);
  gie_plan_free(plan);
}
END_TEST

START_TEST(profiles_must_fit)
{
  struct gie_plan *plan;
  struct gie_plan_profile p = {.struct_size = sizeof p, .device = "cpu", .device_name = "mock"};
  kernel(SMALL_KERNEL);
  plan = small_plan(FOUR);
  p.graph = small_graph(4);
  ck_gie(ctx, plan_add_profile(plan, &p), GIE_E_USAGE);
  HAS("two profiles for the same shapes on cpu");
  p.graph = small_base();
  ck_gie(ctx, plan_add_profile(plan, &p), GIE_E_SHAPE);
  p.graph = small_graph(5);
  p.seconds = -1;
  ck_gie(ctx, plan_add_profile(plan, &p), GIE_E_DATA);
  ck_assert_uint_eq(gie_plan_n_profiles(plan), 1);
  gie_plan_free(plan);
  ck_gie_ok(ctx, plan_new(ctx, small_base(), &plan));
  ck_gie(ctx, gie_plan_save(plan, temp_path("none.plan")), GIE_E_USAGE);
  gie_plan_free(plan);
}
END_TEST

GIE_TESTS_MAIN_WITH("plan run", setup, teardown, runs_the_profile_that_matches, a_smaller_batch_is_filled_up,
                    a_mixed_batch_is_not, executors_share_what_is_packed, far_devices_get_their_profiles,
                    absent_devices_do_not_matter, other_devices_are_told_once, notes_choose_kernel_and_config,
                    one_warning_counts_all_nodes, one_warning_for_all_executors, memory_may_end_anywhere,
                    profiles_must_fit)
