/* SPDX-License-Identifier: Apache-2.0 */
/* The race against kernels that go wrong in one way each, or take a known time (kernels.c). */
#include "core/tune/race.h"
#include "tests/gie_check.h"
#include "tests/op_cases.h"
#include <limits.h>
#include <math.h>

struct arena {
  struct gie_context *ctx;
  struct worker *w;
};

static const char *in_build(const char *file)
{
  static char path[4][PATH_MAX];
  static int n;
  const char *top = getenv("top_builddir");
  char *p = path[n++ % 4];
  snprintf(p, PATH_MAX, "%s/%s", top ? top : ".", file);
  return p;
}

/* Parent and worker with the test's kernels and the cpu backend. */
static struct arena start(double deadline)
{
  const char *const modules[] = {in_build("tests/tune/.libs/kernels.so"),
                                 in_build("backends/cpu/.libs/cpu.so"), NULL};
  const struct gie_context_options options = {.struct_size = sizeof options,
                                              .log = check_no_log,
                                              .modules = modules,
                                              .module_dir = "/var/empty-for-gie-tests"};
  const struct worker_options wo = {.modules = modules,
                                    .module_dir = "/var/empty-for-gie-tests",
                                    .deadline = deadline,
                                    .quiet = true};
  struct arena a = {0};
  unsetenv("GIE_MODULE_PATH");
  ck_assert_int_eq(gie_context_new(&options, &a.ctx), GIE_OK);
  ck_gie_ok(a.ctx, worker_start(a.ctx, &wo, &a.w));
  return a;
}

static void stop(struct arena *a)
{
  worker_stop(a->w);
  gie_context_free(a->ctx);
}

static const struct gie_kernel *kernel(const struct arena *a, const char *name)
{
  const struct gie_kernel *k = mod_find(a->ctx, MOD_KERNEL, name);
  ck_assert_msg(k != NULL, "%s", name);
  return k;
}

/* The convolution that most tests run: 2 images, 9 channels to 44, 18x40 pixels, weights constant. */
static struct tune_problem conv_problem(struct arena *a, const struct tune_form *in,
                                        const struct tune_form *out)
{
  static const char text[] =
      "graph \"t\" { input %x : f32[2,9,18,40] input %w : f32[44,9,3,3] input %b : f32[44] "
      "%y = conv(%x, %w, %b) {pad=[1,1,1,1]} | relu output %y }";
  struct gie_graph *g;
  struct gie_blob *blob;
  struct tune_problem p;
  gie_id w;
  ck_gie_ok(a->ctx, gie_graph_parse(a->ctx, text, strlen(text), NULL, &g));
  const struct gie_type t = {GIE_F32, {4, {gie_dim_num(44), gie_dim_num(9), gie_dim_num(3), gie_dim_num(3)}}};
  ck_gie_ok(a->ctx, gie_blob_new(a->ctx, 44 * 81 * 4, &blob));
  const struct gie_const data = {blob, 0, 44 * 81 * 4};
  ck_gie_ok(a->ctx, gie_graph_add_const(g, "weights", &t, &data, &w));
  gie_blob_unref(blob);
  const struct gie_node *n = gie_node_get(g, gie_graph_first(g));
  ck_gie_ok(a->ctx, gie_value_replace(g, n->in[1], w));
  ck_gie_ok(a->ctx, tune_problem_make(g, n, 1, in, out, &p));
  gie_graph_free(g);
  return p;
}

struct expectation {
  const char *kernel;
  enum probe_verdict verdict;
  const char *text;
};

static void check_verdicts(struct arena *a, const struct tune_problem *p, const struct expectation *e,
                           uint32_t n, uint64_t config, bool check_only)
{
  const struct tune_race_options o = {.check_only = check_only, .min_time = 1e-5, .samples = 3, .threads = 1};
  struct tune_candidate c[32];
  memset(c, 0, sizeof c);
  for (uint32_t i = 0; i < n; i++)
    c[i] = (struct tune_candidate){.problem = p, .kernel = kernel(a, e[i].kernel), .config = config};
  ck_gie_ok(a->ctx, tune_race(a->w, c, n, &o));
  for (uint32_t i = 0; i < n; i++) {
    ck_assert_msg(c[i].verdict == e[i].verdict && strstr(c[i].text, e[i].text), "%s: %s \"%s\"", e[i].kernel,
                  probe_verdict_word(c[i].verdict), c[i].text);
    bool timed = c[i].verdict == PROBE_OK && !check_only;
    ck_assert_msg((c[i].seconds > 0) == timed, "%s: %g s", e[i].kernel, c[i].seconds);
  }
}

#define COUNT(v) ((uint32_t)(sizeof(v) / sizeof *(v)))

/* Planted mistakes are found by the samples; nobody else suffers and the worker lives on. */
START_TEST(test_wrong)
{
  static const struct expectation all[] = {
      {"race.right", PROBE_OK, ""},
      {"race.border", PROBE_WRONG, "result 0 differs from exact arithmetic"},
      {"race.last_channel", PROBE_WRONG, "differs"},
      {"race.bad_pad", PROBE_WRONG, "differs"},
      {"race.no_bias", PROBE_WRONG, "differs"},
      {"race.no_relu", PROBE_WRONG, "differs"},
      {"race.skip_image", PROBE_WRONG, "is nan instead of"},
      {"race.coarse", PROBE_OK, ""}, /* 0.01 off, but it says so */
      {"cpu.conv", PROBE_OK, ""},
  };
  struct arena a = start(60);
  struct tune_problem p = conv_problem(&a, NULL, NULL);
  check_verdicts(&a, &p, all, COUNT(all), 0, true);
  ck_assert_uint_eq(worker_starts(a.w), 1);
  tune_problem_free(&p, a.ctx);
  stop(&a);
}
END_TEST

/* What is left of 150 * tanh(x) + 150 near 0 is as exact as 150 is, not as exact as it is small. */
START_TEST(test_cancellation)
{
  static const char text[] =
      "graph { input %x : f32[64,1] input %w : f32[1,4] input %s : f32[] input %t : f32[] "
      "%y = gemm(%x, %w) | tanh | mul(%s) | add(%t) output %y }";
  static const struct gie_layout plain;
  static float x[64], y[256];
  const float w[4] = {1, 1, 1, 1}, s = 150, t = 150.0055f;
  const void *host[] = {x, w, &s, &t};
  struct gie_context *ctx = NULL;
  struct gie_graph *g;
  struct gie_desc in[4], out;
  struct gie_arena mem;
  struct sample_set set;
  struct sample_diff diff;
  ck_assert_int_eq(gie_context_new(NULL, &ctx), GIE_OK);
  ck_gie_ok(ctx, gie_graph_parse(ctx, text, strlen(text), NULL, &g));
  const struct gie_node *n = gie_node_get(g, gie_graph_first(g));
  for (int i = 0; i < 4; i++)
    ck_gie_ok(ctx, gie_desc_make(ctx, &gie_value_get(g, n->in[i])->type, &plain, &in[i], NULL));
  ck_gie_ok(ctx, gie_desc_make(ctx, &gie_value_get(g, n->out[0])->type, &plain, &out, NULL));
  for (int i = 0; i < 64; i++)
    x[i] = -10;
  for (int i = 0; i < 256; i++)
    y[i] = tanhf(-10) * s + t;
  const struct sample_problem p = {
      .ctx = ctx, .node = n, .n_in = 4, .in = in, .out = &out, .in_host = host, .seed = 1};
  gie_arena_init(&mem, ctx);
  ck_assert(sample_supports(&p));
  ck_gie_ok(ctx, sample_make(&p, &mem, &set));
  sample_compare(&set, y, false, 0, &diff);
  ck_assert_msg(!diff.wrong, "%.12g instead of %.12g", diff.a, diff.b);
  for (int i = 0; i < 256; i++)
    y[i] += 2e-4f; /* more than rounding does */
  sample_compare(&set, y, false, 0, &diff);
  ck_assert(diff.wrong);
  gie_arena_free(&mem);
  gie_graph_free(g);
  gie_context_free(ctx);
}
END_TEST

/* Layouts and pitches of the problem are what kernels get; variants that want others refuse. */
START_TEST(test_forms)
{
  static const struct gie_layout blocked = {.rank = 4, .perm = {0, 1, 2, 3}, .block_axis = 1, .block = 8};
  static const struct expectation dense[] = {{"race.right", PROBE_OK, ""},
                                             {"race.pads", PROBE_WRONG, "pad lanes"},
                                             {"cpu.conv", PROBE_OK, ""},
                                             {"race.border", PROBE_WRONG, "differs"}};
  static const struct expectation refused[] = {
      {"race.right", PROBE_REFUSED, "wants operand 0 in layout nChw8c, not nchw"}};
  static const struct expectation pitched[] = {{"race.right", PROBE_OK, ""},
                                               {"race.gap", PROBE_STRAY, "gaps of result 0"},
                                               {"cpu.conv", PROBE_OK, ""}};
  static const struct expectation view[] = {
      {"race.right", PROBE_REFUSED, "wants operand 0 dense, not a view"}};
  struct tune_form in[3] = {{.layout = blocked}, {0}, {0}}, out = {.layout = blocked};
  struct arena a = start(60);
  struct tune_problem p = conv_problem(&a, in, &out);
  check_verdicts(&a, &p, dense, COUNT(dense), 0, true);
  check_verdicts(&a, &p, dense, 2, 1, true);
  tune_problem_free(&p, a.ctx);
  p = conv_problem(&a, NULL, NULL);
  check_verdicts(&a, &p, refused, 1, 1, true);
  tune_problem_free(&p, a.ctx);
  in[0].pitched = out.pitched = true;
  p = conv_problem(&a, in, &out);
  check_verdicts(&a, &p, pitched, COUNT(pitched), 0, true);
  check_verdicts(&a, &p, view, 1, 2, true);
  tune_problem_free(&p, a.ctx);
  stop(&a);
}
END_TEST

/* Every one that brings the worker down is named and costs one start; the others get their times. */
START_TEST(test_restarts)
{
  static const struct expectation all[] = {
      {"race.right", PROBE_OK, ""},
      {"race.crash", PROBE_CRASHED, ""},
      {"race.fast", PROBE_OK, ""},
      {"race.fail", PROBE_FAILED, "run failed with E_DEVICE"},
      {"race.crash_later", PROBE_CRASHED, ""},
      {"race.stray_later", PROBE_STRAY, "before the start of result 0"},
      {"race.border", PROBE_WRONG, ""},
      {"cpu.conv", PROBE_OK, ""},
  };
  struct arena a = start(60);
  struct tune_problem p = conv_problem(&a, NULL, NULL);
  check_verdicts(&a, &p, all, COUNT(all), 0, false);
  ck_assert_uint_eq(worker_starts(a.w), 5);
  /* The worker is as good as new. */
  check_verdicts(&a, &p, all, 1, 0, false);
  ck_assert_uint_eq(worker_starts(a.w), 5);
  tune_problem_free(&p, a.ctx);
  stop(&a);
}
END_TEST

START_TEST(test_hangs)
{
  static const struct expectation all[] = {{"race.hang", PROBE_HUNG, "no answer in 3 s"},
                                           {"race.right", PROBE_OK, ""},
                                           {"race.hang_later", PROBE_HUNG, "no answer in 3 s"}};
  struct arena a = start(3);
  struct tune_problem p = conv_problem(&a, NULL, NULL);
  check_verdicts(&a, &p, all, COUNT(all), 0, false);
  ck_assert_uint_eq(worker_starts(a.w), 3);
  tune_problem_free(&p, a.ctx);
  stop(&a);
}
END_TEST

/* Kernels that spin for 0.2, 2 and 8 ms of processor time. Other load only adds. */
START_TEST(test_times)
{
  struct arena a = start(60);
  struct tune_problem p = conv_problem(&a, NULL, NULL), q = conv_problem(&a, NULL, NULL);
  struct tune_candidate c[] = {{.problem = &p, .kernel = kernel(&a, "race.slower")},
                               {.problem = &q, .kernel = kernel(&a, "race.fast")},
                               {.problem = &p, .kernel = kernel(&a, "race.slow")},
                               {.problem = &p, .kernel = kernel(&a, "race.threads")}};
  const struct tune_race_options o = {.min_time = 2e-3, .samples = 5, .threads = 3};
  ck_gie_ok(a.ctx, tune_race(a.w, c, COUNT(c), &o));
  for (uint32_t i = 0; i < COUNT(c); i++)
    ck_assert_msg(c[i].verdict == PROBE_OK && c[i].spread >= 0, "%u: %s", i, c[i].text);
  ck_assert_msg(c[0].seconds >= 8e-3 && c[1].seconds >= 2e-4 && c[2].seconds >= 2e-3, "%g %g %g",
                c[0].seconds, c[1].seconds, c[2].seconds);
  ck_assert_msg(c[1].seconds < c[2].seconds && c[2].seconds < c[0].seconds, "%g %g %g", c[0].seconds,
                c[1].seconds, c[2].seconds);
  /* A race of nobody is over; a wrong question is no verdict. */
  ck_gie_ok(a.ctx, tune_race(a.w, c, 0, &o));
  const struct gie_kernel strange = {.name = "no\nkernel"}, unknown = {.name = "no.kernel"};
  c[0].kernel = &strange;
  ck_gie(a.ctx, tune_race(a.w, c, 1, &o), GIE_E_USAGE);
  c[0].kernel = &unknown;
  ck_gie_ok(a.ctx, tune_race(a.w, c, 1, &o));
  ck_assert_int_eq(c[0].verdict, PROBE_REFUSED);
  c[0].kernel = kernel(&a, "race.right");
  c[0].config = 99;
  ck_gie_ok(a.ctx, tune_race(a.w, c, 1, &o));
  ck_assert_int_eq(c[0].verdict, PROBE_REFUSED);
  ck_assert_uint_eq(worker_starts(a.w), 1);
  tune_problem_free(&p, a.ctx);
  tune_problem_free(&q, a.ctx);
  stop(&a);
}
END_TEST

/* The reference kernels are right by the race's own measure, in every case and dtype, plain and pitched. */
START_TEST(test_every_op)
{
  const struct tune_race_options o = {.check_only = true, .threads = 1};
  struct arena a = start(60);
  char dtype[8], name[64];
  for (unsigned i = 0; i < N_OP_CASES; i++)
    for (unsigned t = 0; op_case_dtype(&OP_CASES[i], t, dtype); t++) {
      struct tune_form in[GIE_MAX_IO] = {0}, out[GIE_MAX_IO] = {0};
      struct tune_problem p[2];
      struct gie_graph *g;
      ck_gie_ok(a.ctx, op_case_graph(a.ctx, &OP_CASES[i], dtype, &g));
      const struct gie_node *n = op_case_node(g);
      if (ir_has_bodies(n)) { /* no problem, so nothing to race */
        gie_graph_free(g);
        continue;
      }
      for (int j = 0; j < GIE_MAX_IO; j++)
        in[j].pitched = out[j].pitched = true;
      snprintf(name, sizeof name, "cpu.%s", n->op->name);
      ck_gie_ok(a.ctx, tune_problem_make(g, n, n->n_steps, NULL, NULL, &p[0]));
      ck_gie_ok(a.ctx, tune_problem_make(g, n, n->n_steps, in, out, &p[1]));
      struct tune_candidate c[2] = {{.problem = &p[0], .kernel = kernel(&a, name)},
                                    {.problem = &p[1], .kernel = kernel(&a, name)}};
      gie_status st = tune_race(a.w, c, 2, &o);
      ck_assert_msg(st == GIE_OK, "%s %s: %s", OP_CASES[i].name, dtype, gie_error_text(a.ctx));
      for (int j = 0; j < 2; j++)
        ck_assert_msg(c[j].verdict == PROBE_OK, "%s %s %d: %s %s", OP_CASES[i].name, dtype, j,
                      probe_verdict_word(c[j].verdict), c[j].text);
      tune_problem_free(&p[0], a.ctx);
      tune_problem_free(&p[1], a.ctx);
      gie_graph_free(g);
    }
  ck_assert_uint_eq(worker_starts(a.w), 1);
  stop(&a);
}
END_TEST

/* The samples' own idea of every epilogue step is that of the reference kernels. */
START_TEST(test_every_step)
{
  static const char *const steps[] = {"identity",
                                      "relu",
                                      "leaky_relu {alpha=0.25}",
                                      "clip {min=-1.0, max=0.5}",
                                      "sigmoid",
                                      "hard_sigmoid",
                                      "hard_swish",
                                      "silu",
                                      "mish",
                                      "gelu",
                                      "gelu {tanh=1}",
                                      "tanh",
                                      "elu",
                                      "softplus",
                                      "abs | sqrt",
                                      "exp",
                                      "abs | log",
                                      "neg",
                                      "abs",
                                      "erf",
                                      "floor",
                                      "ceil",
                                      "cast {to=f16}",
                                      "add(%r)",
                                      "sub(%r)",
                                      "reverse sub(%r)",
                                      "mul(%r)",
                                      "div(%r)",
                                      "reverse div(%r)",
                                      "prelu(%r)",
                                      "abs | pow(%r)",
                                      "max(%r)",
                                      "min(%r)",
                                      "add(%c) | relu | mul(%r)"};
  struct arena a = start(60);
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    const struct tune_race_options o = {.check_only = true, .threads = 1};
    struct gie_graph *g;
    struct tune_problem p;
    char text[512];
    snprintf(text, sizeof text,
             "graph \"t\" { input %%x : f32[1,3,20,20] input %%w : f32[17,3,3,3] input %%r : f32[1,17,18,18] "
             "input %%c : f32[17,1,1] %%y = conv(%%x, %%w) | %s output %%y }",
             steps[i]);
    ck_gie_ok(a.ctx, gie_graph_parse(a.ctx, text, strlen(text), NULL, &g));
    const struct gie_node *n = gie_node_get(g, gie_graph_first(g));
    struct sample_problem sampled = {.ctx = a.ctx, .node = n};
    const struct gie_desc f32 = {.dtype = GIE_F32};
    sampled.out = &f32;
    ck_assert_msg(sample_supports(&sampled), "%s", steps[i]);
    ck_gie_ok(a.ctx, tune_problem_make(g, n, n->n_steps, NULL, NULL, &p));
    struct tune_candidate c = {.problem = &p, .kernel = kernel(&a, "cpu.conv")};
    ck_gie_ok(a.ctx, tune_race(a.w, &c, 1, &o));
    ck_assert_msg(c.verdict == PROBE_OK, "%s: %s", steps[i], c.text);
    tune_problem_free(&p, a.ctx);
    gie_graph_free(g);
  }
  stop(&a);
}
END_TEST

GIE_TESTS_MAIN("race", test_wrong, test_cancellation, test_forms, test_restarts, test_hangs, test_times,
               test_every_op, test_every_step)
