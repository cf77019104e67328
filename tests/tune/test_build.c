/* SPDX-License-Identifier: Apache-2.0 */
/* Whole builds with the real kernels: the plan of every network gives the reference's results whichever candidates
 * win, one cache gives one plan, and kernels that misbehave cost nothing but their place in it. */
#include "core/module/probe.h"
#include "core/plan/plan.h"
#include "core/run/run.h"
#include "core/tune/tune.h"
#include "tests/gie_check.h"
#include <sys/stat.h>
#include <unistd.h>

static struct gie_context *modules_context(const char *const *modules)
{
  struct gie_context_options o = {.struct_size = sizeof o, .modules = modules, .log = check_no_log};
  struct gie_context *ctx = NULL;
  gie_status st = gie_context_new(&o, &ctx);
  ck_assert_msg(st == GIE_OK, "%s", gie_error_text(ctx));
  return ctx;
}

/* ---- Networks ---------------------------------------------------------------------------------------- */

/* r: of max|a-b|/max|b| between plan and reference; f16 storage rounds in other places when fused otherwise. */
static const struct network {
  const char *file, *shapes; /* file: under the source, or with '/' in front under the shared data */
  double r;
  float scale; /* of the input: images are 0 … 255 where the network takes them so */
  bool big;    /* every candidate is verified in `make check-big` only */
} NETWORKS[] = {
    {"examples/signs/signs.onnx", "image:2x3x48x48", 1e-4, 1, false},
    {"/onnx/mnist.onnx", NULL, 1e-4, 255, false},
    {"/onnx/gtsrb_dogun.onnx", NULL, 1e-4, 1, false},
    {"/onnx/version-RFB-320.onnx", NULL, 1e-4, 1, false},
    {"/onnx/SqueezeNet_fp16.onnx", NULL, 2e-3, 255, false},
    {"/onnx/candy_style.onnx", "inputImage:1x3x720x720", 1e-4, 255, true},
};

static bool network_path(const struct network *net, char *path, size_t size)
{
  const char *shared = getenv("GIE_SHARED"), *top = getenv("top_srcdir");
  if (net->file[0] != '/')
    snprintf(path, size, "%s/%s", top ? top : ".", net->file);
  else
    snprintf(path, size, "%s/data%s", shared ? shared : "../shared", net->file);
  return access(path, R_OK) == 0;
}

/* Reproducible numbers in [0, scale). */
static void fill(const struct gie_desc *d, void *data, uint32_t seed, float scale)
{
  for (int64_t i = 0; i < gie_desc_count(d); i++) {
    seed = seed * 1664525u + 1013904223u;
    float f = scale * (float)(seed >> 8) / (1 << 24);
    uint16_t h = gie_f32_to_f16(f);
    ck_assert(d->dtype == GIE_F32 || d->dtype == GIE_F16);
    memcpy((char *)data + i * (int64_t)gie_dtype_size(d->dtype),
           d->dtype == GIE_F16 ? (void *)&h : (void *)&f, gie_dtype_size(d->dtype));
  }
}

static void feed(struct gie_exec *x, const struct gie_graph *g, float scale)
{
  for (uint32_t i = 0; i < gie_graph_n_inputs(g); i++) {
    const struct gie_value *v = gie_value_get(g, gie_graph_input(g, i));
    static const struct gie_layout plain;
    struct gie_desc d;
    size_t bytes;
    ck_gie_ok(g->ctx, gie_desc_make(g->ctx, &v->type, &plain, &d, &bytes));
    struct gie_tensor t = {.struct_size = sizeof t,
                           .dtype = d.dtype,
                           .rank = d.rank,
                           .data = malloc(bytes + 1)};
    memcpy(t.dim, d.dim, sizeof t.dim);
    ck_assert_ptr_nonnull(t.data);
    fill(&d, t.data, 7 + i, scale);
    ck_gie_ok(g->ctx, gie_exec_set_input(x, v->name, &t));
    free(t.data);
  }
}

/* The worst error over all outputs. */
static double difference(struct gie_exec *x, struct gie_exec *y, const struct gie_graph *g)
{
  double worst = 0;
  for (uint32_t i = 0; i < gie_graph_n_outputs(g); i++) {
    struct gie_tensor a = {.struct_size = sizeof a}, b = {.struct_size = sizeof b};
    struct probe_diff d;
    int64_t n = 1;
    const char *name = gie_value_get(g, gie_graph_output(g, i))->name;
    ck_gie_ok(g->ctx, gie_exec_output(x, name, &a));
    ck_gie_ok(g->ctx, gie_exec_output(y, name, &b));
    ck_assert_int_eq(a.rank, b.rank);
    for (int k = 0; k < a.rank; k++)
      n *= a.dim[k];
    probe_compare(a.dtype, a.data, b.data, n, &d);
    worst = d.error > worst ? d.error : worst;
  }
  return worst;
}

/* The plan against the reference kernels on the graph that it was made from. */
static double against_reference(const struct gie_plan *plan, const struct gie_graph *g, const char *shapes,
                                float scale)
{
  struct gie_type *types = calloc(gie_graph_n_inputs(g) + 1, sizeof *types);
  struct gie_graph *numbers;
  struct gie_exec *x, *y;
  struct gie_exec_options reference = {.struct_size = sizeof reference, .backends = "-onednn,-test."};
  ck_gie_ok(g->ctx, gie_graph_parse_shapes(g, shapes, types));
  ck_gie_ok(g->ctx, run_specialize(g, types, &numbers));
  ck_gie_ok(g->ctx, gie_pipeline_run(numbers, NULL, NULL));
  ck_gie_ok(g->ctx, gie_exec_new_plan(plan, NULL, &x));
  ck_gie_ok(g->ctx, gie_exec_new(numbers, &reference, &y));
  feed(x, numbers, scale);
  feed(y, numbers, scale);
  ck_gie_ok(g->ctx, gie_exec_run(x));
  ck_gie_ok(g->ctx, gie_exec_run(y));
  double error = difference(x, y, numbers);
  gie_exec_free(x);
  gie_exec_free(y);
  gie_graph_free(numbers);
  free(types);
  return error;
}

static void check_network(const struct network *net, struct gie_build_options *o, const char *how)
{
  char path[8192];
  struct gie_context *ctx = modules_context(NULL);
  struct gie_build_report r = {.struct_size = sizeof r};
  struct gie_graph *g;
  struct gie_plan *plan;
  ck_assert(network_path(net, path, sizeof path));
  o->shapes = &net->shapes;
  o->n_shapes = net->shapes ? 1 : 0;
  ck_gie_ok(ctx, gie_graph_load(ctx, path, NULL, &g));
  ck_gie_ok(ctx, gie_build(g, o, &r, &plan));
  if (r.bad)
    printf("%s", gie_plan_candidates(plan));
  ck_assert_msg(r.bad == 0, "%s: %u bad candidates in the table on standard output", net->file,
                (unsigned)r.bad);
  double error = against_reference(plan, g, net->shapes, net->scale);
  printf("%s, %s: %u candidates, %u run, error %.1e, %.1f s\n", net->file, how, (unsigned)r.candidates,
         (unsigned)r.timed, error, r.seconds);
  ck_assert_msg(error <= net->r, "%s, %s: error %g", net->file, how, error);
  gie_plan_free(plan);
  gie_graph_free(g);
  gie_context_free(ctx);
}

static bool is_big(void) { return getenv("GIE_BIG") != NULL; }

START_TEST(test_estimates)
{
  struct gie_build_options o = {.struct_size = sizeof o, .cache = "", .budget = -1};
  check_network(&NETWORKS[_i], &o, "chosen by estimates");
}
END_TEST

/* Costs without sense make candidates win that never would; every one of them is verified first. */
START_TEST(test_random_costs)
{
  struct gie_build_options o = {.struct_size = sizeof o, .cache = "", .exhaustive = true, .random_costs = 1};
  if (NETWORKS[_i].big == is_big())
    check_network(&NETWORKS[_i], &o, "chosen by random costs, all candidates verified");
}
END_TEST

/* Removes a cache, its lock and the folder that they are in. */
static void remove_cache(const char *dir, const char *cache)
{
  char lock[128];
  snprintf(lock, sizeof lock, "%s.lock", cache);
  unlink(cache);
  unlink(lock);
  rmdir(dir);
}

/* ---- The cache ----------------------------------------------------------------------------------------- */

static void read_file(struct gie_context *ctx, const char *path, char **data, size_t *size)
{
  ck_gie_ok(ctx, gie_file_read(ctx, path, (size_t)1 << 30, data, size));
}

static void build_file(struct gie_context *ctx, const struct gie_graph *g, const struct gie_build_options *o,
                       const char *path, struct gie_build_report *r)
{
  struct gie_plan *plan;
  *r = (struct gie_build_report){.struct_size = sizeof *r};
  ck_gie_ok(ctx, gie_build(g, o, r, &plan));
  ck_gie_ok(ctx, gie_plan_save(plan, path));
  gie_plan_free(plan);
}

START_TEST(test_one_cache_one_plan)
{
  char dir[] = "/tmp/gie-build-XXXXXX", cache[64], a[64], b[64], *bytes[2], path[8192];
  size_t size[2];
  struct gie_build_report r;
  struct gie_graph *g;
  struct gie_context *ctx = modules_context(NULL);
  ck_assert_ptr_nonnull(mkdtemp(dir));
  snprintf(cache, sizeof cache, "%s/timing.txt", dir);
  snprintf(a, sizeof a, "%s/a.plan", dir);
  snprintf(b, sizeof b, "%s/b.plan", dir);
  struct gie_build_options o = {.struct_size = sizeof o,
                                .cache = cache,
                                .shapes = &NETWORKS[0].shapes,
                                .n_shapes = 1};
  ck_assert(network_path(&NETWORKS[0], path, sizeof path));
  ck_gie_ok(ctx, gie_graph_load(ctx, path, NULL, &g));
  build_file(ctx, g, &o, a, &r);
  ck_assert_uint_gt(r.timed, 0);
  printf("signs: %u timed of %u candidates, %.2f s\n", (unsigned)r.timed, (unsigned)r.candidates, r.seconds);
  o.cache_read_only = true;
  ck_assert_int_eq(chmod(cache, 0400), 0);
  build_file(ctx, g, &o, b, &r);
  ck_assert_uint_eq(r.timed, 0);
  ck_assert_uint_gt(r.cached, 0);
  read_file(ctx, a, &bytes[0], &size[0]);
  read_file(ctx, b, &bytes[1], &size[1]);
  ck_assert_uint_eq(size[0], size[1]);
  ck_assert_mem_eq(bytes[0], bytes[1], size[0]);
  gie_free(ctx, bytes[0]);
  gie_free(ctx, bytes[1]);
  gie_graph_free(g);
  gie_context_free(ctx);
  unlink(a);
  unlink(b);
  remove_cache(dir, cache);
}
END_TEST

/* A plan that rests on a measurement for every kernel and on estimates for its conversions is not measured. */
START_TEST(test_measured)
{
  char dir[] = "/tmp/gie-build-XXXXXX", path[8192], cache[64];
  struct gie_context *ctx = modules_context(NULL);
  struct gie_plan_profile p = {.struct_size = sizeof p};
  struct tune_cache *c;
  struct tune_entry e;
  struct gie_graph *g;
  struct gie_plan *plan;
  uint32_t n_conversions = 0;
  ck_assert_ptr_nonnull(mkdtemp(dir));
  snprintf(cache, sizeof cache, "%s/timing.txt", dir);
  struct gie_build_options o = {.struct_size = sizeof o,
                                .cache = cache,
                                .shapes = &NETWORKS[0].shapes,
                                .n_shapes = 1};
  ck_assert(network_path(&NETWORKS[0], path, sizeof path));
  ck_gie_ok(ctx, gie_graph_load(ctx, path, NULL, &g));
  ck_gie_ok(ctx, gie_build(g, &o, NULL, &plan));
  ck_gie_ok(ctx, gie_plan_profile(plan, 0, &p));
  ck_assert(p.measured);
  gie_plan_free(plan);
  ck_gie_ok(ctx, tune_cache_open_named(ctx, cache, false, &c));
  for (size_t i = 0; tune_cache_at(c, i, &e);) {
    if (strncmp(e.problem, "reorder(", 8) == 0)
      tune_cache_drop(c, &e);
    else
      i++;
  }
  ck_gie_ok(ctx, tune_cache_save(c));
  tune_cache_free(c);
  o.budget = -1;
  ck_gie_ok(ctx, gie_build(g, &o, NULL, &plan));
  ck_gie_ok(ctx, gie_plan_profile(plan, 0, &p));
  GIE_FOR_NODES(p.graph, id)
    n_conversions += strcmp(gie_node_get(p.graph, id)->op->name, "reorder") == 0;
  printf("signs: %u conversions\n", (unsigned)n_conversions);
  ck_assert_int_eq(p.measured, n_conversions == 0);
  gie_plan_free(plan);
  gie_graph_free(g);
  gie_context_free(ctx);
  remove_cache(dir, cache);
}
END_TEST

/* Where the form at one end is given, conversions are timed whether they are chosen or not: an estimate errs by as much as
 * one takes, and then the better kernel behind it is never seen. */
START_TEST(test_conversions_at_the_edge)
{
  const char *text = "graph { input %x : f32[1,8,16,16] input %w : f32[8,8,3,3] "
                     "%y = conv(%x, %w) {pad=[1,1,1,1]} output %y }",
             *top = getenv("top_builddir");
  static const char *const wanted[] = {"reorder(f32[1,8,16,16]) -> f32[1,8,16,16] nChw8c",
                                       "reorder(f32[1,8,16,16] nChw8c) -> f32[1,8,16,16]"};
  char dir[] = "/tmp/gie-build-XXXXXX", cache[64], file[4096];
  snprintf(file, sizeof file, "%s/tests/tune/.libs/kernels.so", top ? top : ".");
  const char *modules[] = {file, NULL};
  struct gie_context *ctx = modules_context(modules);
  struct tune_cache *c;
  struct tune_entry e;
  struct gie_graph *g;
  struct gie_plan *plan;
  int found[2] = {0};
  ck_assert_ptr_nonnull(mkdtemp(dir));
  snprintf(cache, sizeof cache, "%s/timing.txt", dir);
  struct gie_build_options o = {.struct_size = sizeof o,
                                .cache = cache,
                                .modules = modules,
                                .backends = "-onednn,-race,+race.slow"};
  ck_gie_ok(ctx, gie_graph_parse(ctx, text, strlen(text), NULL, &g));
  ck_gie_ok(ctx, gie_build(g, &o, NULL, &plan));
  ck_gie_ok(ctx, tune_cache_open_named(ctx, cache, true, &c));
  for (size_t i = 0; tune_cache_at(c, i, &e); i++)
    for (int k = 0; k < 2; k++)
      found[k] += strcmp(e.problem, wanted[k]) == 0;
  ck_assert_msg(found[0] > 0 && found[1] > 0, "timed: %d of one conversion, %d of the other", found[0],
                found[1]);
  tune_cache_free(c);
  gie_plan_free(plan);
  gie_graph_free(g);
  gie_context_free(ctx);
  remove_cache(dir, cache);
}
END_TEST

/* Makes several streams take that long, for all that the cache knows. */
static uint32_t set_streams(struct gie_context *ctx, const char *path, double seconds)
{
  struct tune_cache *c;
  struct tune_entry e, found[64];
  uint32_t n = 0;
  ck_gie_ok(ctx, tune_cache_open_named(ctx, path, false, &c));
  for (size_t i = 0; tune_cache_at(c, i, &e) && n < 64; i++)
    if (strcmp(e.kernel, TUNE_STREAMS) == 0 && e.config == 1)
      found[n++] = e;
  for (uint32_t i = 0; i < n; i++) {
    found[i].seconds = seconds;
    ck_gie_ok(ctx, tune_cache_put(c, &found[i]));
  }
  ck_gie_ok(ctx, tune_cache_save(c));
  tune_cache_free(c);
  return n;
}

static uint32_t count_streams(const struct gie_plan *plan)
{
  struct gie_plan_profile p = {.struct_size = sizeof p};
  uint32_t n = 0;
  ck_assert_int_eq(gie_plan_profile(plan, 0, &p), GIE_OK);
  GIE_FOR_NODES(p.graph, id)
    n += gie_attrs_find(&gie_node_get(p.graph, id)->notes, "stream") != NULL;
  return n;
}

/* Branches run beside each other where that was faster when both ways were run, and not where it was not. */
START_TEST(test_streams)
{
  char dir[] = "/tmp/gie-build-XXXXXX", path[8192], cache[64];
  struct gie_context *ctx = modules_context(NULL);
  struct gie_graph *g;
  struct gie_plan *plan;
  ck_assert_ptr_nonnull(mkdtemp(dir));
  snprintf(cache, sizeof cache, "%s/timing.txt", dir);
  struct gie_build_options o = {
      .struct_size = sizeof o, .threads = 2, .cache = cache, .shapes = &NETWORKS[0].shapes, .n_shapes = 1};
  ck_assert(network_path(&NETWORKS[0], path, sizeof path));
  ck_gie_ok(ctx, gie_graph_load(ctx, path, NULL, &g));
  ck_gie_ok(ctx, gie_build(g, &o, NULL, &plan));
  gie_plan_free(plan);
  for (int several = 0; several < 2; several++) {
    struct gie_build_report r = {.struct_size = sizeof r};
    ck_assert_uint_ge(set_streams(ctx, cache, several ? 1e-9 : 1e3), 1);
    ck_gie_ok(ctx, gie_build(g, &o, &r, &plan));
    ck_assert_uint_eq(r.timed, 0);
    ck_assert_int_eq(count_streams(plan) > 0, several);
    ck_assert_ptr_nonnull(strstr(gie_plan_candidates(plan), several ? "\tseveral\n" : "\tone\n"));
    ck_assert(against_reference(plan, g, NETWORKS[0].shapes, 1) < 1e-4);
    gie_plan_free(plan);
  }
  gie_graph_free(g);
  gie_context_free(ctx);
  remove_cache(dir, cache);
}
END_TEST

/* Two graphs that differ in an attribute alone do not share what is known of their runs. */
START_TEST(test_streams_of_others)
{
  char dir[] = "/tmp/gie-build-XXXXXX", cache[64], text[512];
  struct gie_context *ctx = modules_context(NULL);
  ck_assert_ptr_nonnull(mkdtemp(dir));
  snprintf(cache, sizeof cache, "%s/timing.txt", dir);
  struct gie_build_options o = {.struct_size = sizeof o, .threads = 2, .cache = cache, .backends = "-onednn"};
  uint32_t seen[3] = {0};
  for (int i = 0; i < 3; i++) { /* the third is the first again */
    struct gie_graph *g;
    struct gie_plan *plan;
    int pad = i == 1 ? 2 : 1;
    snprintf(text, sizeof text,
             "graph { input %%x : f32[1,32,48,48] %%a = max_pool(%%x) {kernel=[%d,%d], pad=[%d,%d,%d,%d]} "
             "%%b = average_pool(%%x) {kernel=[3,3], pad=[1,1,1,1]} %%y = add(%%a, %%b) output %%y }",
             2 * pad + 1, 2 * pad + 1, pad, pad, pad, pad);
    ck_gie_ok(ctx, gie_graph_parse(ctx, text, strlen(text), NULL, &g));
    ck_gie_ok(ctx, gie_build(g, &o, NULL, &plan));
    gie_plan_free(plan);
    gie_graph_free(g);
    seen[i] = set_streams(ctx, cache, 1);
  }
  ck_assert_uint_eq(seen[0], 1);
  ck_assert_uint_eq(seen[1], 2);
  ck_assert_uint_eq(seen[2], 2);
  gie_context_free(ctx);
  remove_cache(dir, cache);
}
END_TEST

/* A budget that ends at once still gives a plan that runs. */
START_TEST(test_budget)
{
  struct gie_build_options o = {.struct_size = sizeof o, .cache = "", .budget = 1e-9};
  check_network(&NETWORKS[0], &o, "with no time to measure");
}
END_TEST

/* ---- Kernels that misbehave ------------------------------------------------------------------------------ */

START_TEST(test_bad_kernels)
{
  const char *text = "graph { input %x : f32[1,8,16,16] nchw %a = relu(%x) output %a }",
             *top = getenv("top_builddir");
  char file[4096];
  snprintf(file, sizeof file, "%s/tests/module/.libs/kernels.so", top ? top : ".");
  const char *modules[] = {file, NULL};
  struct gie_context *ctx = modules_context(modules);
  struct gie_build_options o = {.struct_size = sizeof o,
                                .cache = "",
                                .pipeline = "",
                                .modules = modules,
                                .exhaustive = true,
                                .reduced_precision = true,
                                .backends = "-test.crash_supports"};
  struct gie_build_report r = {.struct_size = sizeof r};
  struct gie_graph *g;
  struct gie_plan *plan;
  struct gie_plan_profile p = {.struct_size = sizeof p};
  ck_gie_ok(ctx, gie_graph_parse(ctx, text, strlen(text), NULL, &g));
  ck_gie_ok(ctx, gie_build(g, &o, &r, &plan));
  ck_assert_uint_ge(r.bad, 5);
  const char *table = gie_plan_candidates(plan);
  static const char *const named[] = {"bad\ttest.crash", "bad\ttest.hang", "bad\ttest.wrong",
                                      "test.mixed: mixes element types: result 0 is f16; relu makes it f32",
                                      "test.untyped: wants another element type than the graph has"};
  for (size_t i = 0; i < sizeof named / sizeof *named; i++)
    ck_assert_msg(strstr(table, named[i]) != NULL, "%s is not in\n%s", named[i], table);
  ck_gie_ok(ctx, gie_plan_profile(plan, 0, &p));
  GIE_FOR_NODES(p.graph, id) {
    const struct gie_attr *k = gie_attrs_find(&gie_node_get(p.graph, id)->notes, "kernel");
    ck_assert(k && strncmp(k->u.s, "test.crash", 10) != 0 && strcmp(k->u.s, "test.wrong") != 0);
  }
  ck_assert(against_reference(plan, g, NULL, 1) < 1e-4);
  gie_plan_free(plan);
  gie_graph_free(g);
  gie_context_free(ctx);
}
END_TEST

/* When all that estimates recommend has failed, what they advised against is tried. */
START_TEST(test_tempting)
{
  const char *text = "graph { input %x : f32[1,64,128,128] nchw %a = relu(%x) output %a }",
             *top = getenv("top_builddir");
  char file[4096];
  snprintf(file, sizeof file, "%s/tests/module/.libs/kernels.so", top ? top : ".");
  const char *modules[] = {file, NULL};
  struct gie_context *ctx = modules_context(modules);
  struct gie_build_options o = {
      .struct_size = sizeof o,
      .cache = "",
      .pipeline = "",
      .modules = modules,
      .backends =
          "-test.crash,-test.hang,-test.sleep,-test.abort,-test.exit,-test.closes,-test.stray,-test.wrong"};
  struct gie_build_report r = {.struct_size = sizeof r};
  struct gie_graph *g;
  struct gie_plan *plan;
  ck_gie_ok(ctx, gie_graph_parse(ctx, text, strlen(text), NULL, &g));
  ck_gie_ok(ctx, gie_build(g, &o, &r, &plan));
  const char *table = gie_plan_candidates(plan);
  ck_assert_msg(strstr(table, "bad\ttest.tempting") != NULL, "%s", table);
  ck_assert(against_reference(plan, g, NULL, 1) < 1e-4);
  gie_plan_free(plan);
  gie_graph_free(g);
  gie_context_free(ctx);
}
END_TEST

int main(void)
{
  char path[8192];
  int n = sizeof NETWORKS / sizeof *NETWORKS;
  bool shared = network_path(&NETWORKS[1], path, sizeof path);
  Suite *suite = suite_create("build");
  TCase *tc = check_tcase(suite, "build", NULL, NULL), *streams = check_tcase(suite, "streams", NULL, NULL);
  tcase_set_timeout(tc, 600);
  tcase_set_timeout(streams, 600);
  tcase_add_loop_test(tc, test_random_costs, 0, shared ? n : 1);
  if (!is_big()) {
    tcase_add_loop_test(tc, test_estimates, 0, shared ? n : 1);
    tcase_add_test(tc, test_one_cache_one_plan);
    tcase_add_test(tc, test_measured);
    tcase_add_test(tc, test_conversions_at_the_edge);
    tcase_add_test(streams, test_streams);
    tcase_add_test(streams, test_streams_of_others);
    tcase_add_test(tc, test_budget);
    tcase_add_test(tc, test_bad_kernels);
    tcase_add_test(tc, test_tempting);
  }
  int failed = check_suite(suite);
  if (!failed && !shared) {
    printf("SKIP: %s is not there; the shipped network passed\n", path);
    return 77;
  }
  return failed != 0;
}
