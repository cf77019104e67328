/* SPDX-License-Identifier: Apache-2.0 */
/* The probe worker against kernels that break one rule each (kernels.c). */
#include "core/module/worker.h"
#include "tests/module/module_check.h"
#include <errno.h>

#define RELU(dims) "graph \"t\" { input %x : f32[" dims "] %y : f32[" dims "] = relu(%x) output %y }"
static const char vector[] = RELU("1000"), image[] = RELU("2,5,3,4");
static const char constant[] =
    "graph \"t\" { const %x : f32[4] = {1.0, -2.0, 3.0, -4.0} %y : f32[4] = relu(%x) output %y }";

/* A worker with the test's kernels and the cpu backend of this build. */
static struct worker *start_with(struct gie_context **ctx, const char *dir, struct worker_options options)
{
  const char *top = getenv("top_builddir");
  char cpu[PATH_MAX];
  const char *const modules[] = {in_folder(dir, "kernels.so"), cpu, NULL};
  struct worker *w = NULL;
  options.modules = modules;
  options.module_dir = dir;
  options.quiet = true;
  snprintf(cpu, sizeof cpu, "%s/backends/cpu/.libs/cpu.so", top ? top : ".");
  copy_file(built_module("kernels"), modules[0]);
  unsetenv("GIE_MODULE_PATH");
  *ctx = check_context();
  ck_gie_ok(*ctx, worker_start(*ctx, &options, &w));
  return w;
}

static struct worker *start(struct gie_context **ctx, const char *dir, double deadline)
{
  return start_with(ctx, dir, (struct worker_options){.deadline = deadline});
}

static const struct {
  const char *kernel, *graph, *text;
  enum probe_verdict verdict;
  bool restarts;
} cases[] = {
    {"test.right", vector, "", PROBE_OK, false},
    {"test.right", RELU("0"), "", PROBE_OK, false},
    {"test.right", RELU(""), "", PROBE_OK, false},
    {"test.nhwc", image, "", PROBE_OK, false},
    {"test.blocked", image, "", PROBE_OK, false},
    {"test.half", vector, "", PROBE_OK, false},
    {"test.prints", vector, "", PROBE_OK, false},
    {"test.pack", constant, "", PROBE_OK, false},
    {"cpu.relu", vector, "", PROBE_OK, false},
    {"test.refuse", vector, "only on Sundays", PROBE_REFUSED, false},
    {"test.right", "graph \"t\" { input %x : f64[2] %y : f64[2] = relu(%x) output %y }", "no reason",
     PROBE_REFUSED, false},
    {"test.right", "graph \"t\" { input %x : f32[2] %y : f32[2] = exp(%x) output %y }",
     "does not list the op exp", PROBE_REFUSED, false},
    {"test.no_variant", vector, "offers no variant", PROBE_REFUSED, false},
    {"test.many_variants", vector, "with room for", PROBE_FAILED, true},
    {"test.null", vector, "create reports success without an instance", PROBE_FAILED, true},
    {"test.fail_create", vector, "create failed with E_MEMORY: no room for the plan", PROBE_FAILED, true},
    {"test.fail_run", vector, "run failed with E_DEVICE: the device fell asleep", PROBE_FAILED, true},
    {"test.fail_pack", constant, "pack failed with E_DATA: cannot pack this", PROBE_FAILED, true},
    {"test.huge", vector, "asks for 1152921504606846976 bytes", PROBE_LIMIT, false},
    {"test.wrong", vector, "element 500 is", PROBE_WRONG, false},
    {"test.over", vector, "", PROBE_OK, false},
    {"test.wrong_over", vector, "element 500 is", PROBE_WRONG, false},
    {"test.nan", vector, "element 999 is nan", PROBE_WRONG, false},
    {"test.unset", vector, "is nan instead of", PROBE_WRONG, false},
    {"test.pads", image, "pad lanes of result 0", PROBE_WRONG, false},
    {"test.stray_after", vector, "behind the end of result 0", PROBE_STRAY, true},
    {"test.stray_before", vector, "before the start of result 0", PROBE_STRAY, true},
    {"test.stray_operand", vector, "wrote into operand 0", PROBE_STRAY, true},
    {"test.stray_workspace", vector, "behind the end of workspace", PROBE_STRAY, true},
    {"test.stray_pack", constant, "pack wrote outside the 16 bytes of operand 0", PROBE_STRAY, true},
    {"test.wrong_shape", vector, "behind the end of result 0", PROBE_STRAY, true},
    {"test.crash", vector, "", PROBE_CRASHED, true},
    {"test.crash_supports", vector, "", PROBE_CRASHED, true},
    {"test.abort", vector, "", PROBE_CRASHED, true},
    {"test.exit", vector, "it ended with exit status 0", PROBE_CRASHED, true},
    {"test.closes", vector, "", PROBE_CRASHED, true},
};

static gie_status ask(struct worker *w, const char *kernel, const char *graph, struct probe_result *r)
{
  const struct probe_request rq = {.kernel = kernel, .any_config = true, .seed = 1};
  *r = (struct probe_result){0};
  return worker_probe(w, graph, strlen(graph), NULL, &rq, r);
}

START_TEST(test_verdicts)
{
  struct gie_context *ctx;
  struct probe_result r;
  const char *dir = new_folder();
  struct worker *w = start(&ctx, dir, 60);
  bool restarts = false;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint32_t before = worker_starts(w);
    ck_gie_ok(ctx, ask(w, cases[i].kernel, cases[i].graph, &r));
    ck_assert_msg(r.verdict == cases[i].verdict && strstr(r.text, cases[i].text),
                  "%s: %s \"%s\" instead of %s \"%s\"", cases[i].kernel, probe_verdict_word(r.verdict),
                  r.text, probe_verdict_word(cases[i].verdict), cases[i].text);
    ck_assert_msg(worker_starts(w) - before == restarts, "%s: %u starts", cases[i].kernel,
                  worker_starts(w) - before);
    restarts = cases[i].restarts;
    if (r.verdict == PROBE_OK) {
      ck_assert_msg(r.compared == (strncmp(cases[i].kernel, "cpu.", 4) != 0), "%s", cases[i].kernel);
      ck_assert_uint_eq(strlen(r.hash), 64);
    }
  }
  worker_stop(w);
  remove_folder(dir);
  gie_context_destroy(ctx);
}
END_TEST

START_TEST(test_hang)
{
  static const char *const kernels[] = {"test.hang", "test.sleep"};
  struct gie_context *ctx;
  struct probe_result r;
  const char *dir = new_folder();
  struct worker *w = start(&ctx, dir, 1);
  for (size_t i = 0; i < 2; i++) {
    ck_gie_ok(ctx, ask(w, kernels[i], vector, &r));
    ck_assert_int_eq(r.verdict, PROBE_HUNG);
    ck_assert_str_eq(r.text, "no answer in 1 s");
  }
  worker_stop(w);
  /* Enough time under a sanitizer on a busy machine for the kernel that is right. */
  gie_context_destroy(ctx);
  w = start(&ctx, dir, 60);
  ck_gie_ok(ctx, ask(w, "test.right", vector, &r));
  ck_assert_int_eq(r.verdict, PROBE_OK);
  worker_stop(w);
  remove_folder(dir);
  gie_context_destroy(ctx);
}
END_TEST

static bool stop_now(void *user)
{
  int *n = user;
  return ++*n > 2;
}

/* A caller that wants an end gets it long before the deadline of a kernel that hangs. */
START_TEST(test_stop)
{
  struct gie_context *ctx;
  struct probe_result r;
  const char *dir = new_folder();
  int asked = -1000000;
  const struct worker_options options = {.deadline = 300, .stop = stop_now, .stop_user = &asked};
  struct worker *w = start_with(&ctx, dir, options);
  asked = 0;
  ck_gie(ctx, ask(w, "test.sleep", vector, &r), GIE_E_STOPPED);
  ck_assert_int_eq(asked, 3);
  worker_stop(w);
  remove_folder(dir);
  gie_context_destroy(ctx);
}
END_TEST

/* Signals are named, unless a sanitizer turns them into an exit. */
START_TEST(test_signal)
{
  struct gie_context *ctx;
  struct probe_result r;
  const char *dir = new_folder();
  struct worker *w = start(&ctx, dir, 60);
  ck_gie_ok(ctx, ask(w, "test.crash", vector, &r));
  ck_assert_msg(strstr(r.text, "killed by signal 11") || strstr(r.text, "exit status"), "%s", r.text);
  worker_stop(w);
  remove_folder(dir);
  gie_context_destroy(ctx);
}
END_TEST

START_TEST(test_requests)
{
  static const float data[4] = {1, -2, 3, -4}, other[4] = {1, -2, 3, -5};
  static const char graph[] = RELU("4");
  struct gie_context *ctx;
  struct probe_result a, b;
  const char *dir = new_folder();
  struct worker *w = start(&ctx, dir, 60);
  struct probe_input in = {.index = 0, .data = data, .size = sizeof data};
  struct probe_request rq = {
      .kernel = "test.right", .any_config = true, .n_inputs = 1, .inputs = &in, .repeat = 3};

  /* The same inputs give the same hash as the same constants; other ones another. */
  ck_gie_ok(ctx, worker_probe(w, graph, strlen(graph), NULL, &rq, &a));
  ck_assert_double_gt(a.seconds, 0);
  ck_gie_ok(ctx, ask(w, "test.right", constant, &b));
  ck_assert_str_eq(a.hash, b.hash);
  ck_assert(b.seconds == 0);
  in.data = other;
  ck_gie_ok(ctx, worker_probe(w, graph, strlen(graph), NULL, &rq, &b));
  ck_assert_str_eq(a.hash, b.hash); /* -5 and -4 are both nothing to relu */
  rq.n_inputs = 0;
  rq.seed = 5;
  ck_gie_ok(ctx, worker_probe(w, graph, strlen(graph), NULL, &rq, &a));
  ck_gie_ok(ctx, worker_probe(w, graph, strlen(graph), NULL, &rq, &b));
  ck_assert_str_eq(a.hash, b.hash);
  rq.seed = 6;
  ck_gie_ok(ctx, worker_probe(w, graph, strlen(graph), NULL, &rq, &b));
  ck_assert_str_ne(a.hash, b.hash);

  /* The variant by its number, the workspace by limit, the error by tolerance. */
  rq.kernel = "test.nhwc";
  rq.any_config = false;
  rq.config = 7;
  ck_gie_ok(ctx, worker_probe(w, image, strlen(image), NULL, &rq, &a));
  ck_assert_int_eq(a.verdict, PROBE_OK);
  rq.config = 8;
  ck_gie_ok(ctx, worker_probe(w, image, strlen(image), NULL, &rq, &a));
  ck_assert_int_eq(a.verdict, PROBE_REFUSED);
  ck_assert_ptr_nonnull(strstr(a.text, "none of its 1 variants has config 8"));
  rq.any_config = true;
  rq.kernel = "test.stray_workspace";
  rq.max_workspace = 1000;
  ck_gie_ok(ctx, worker_probe(w, vector, strlen(vector), NULL, &rq, &a));
  ck_assert_int_eq(a.verdict, PROBE_LIMIT);
  ck_assert_uint_eq(a.workspace, 1024);
  rq.kernel = "test.wrong";
  rq.tolerance = 10;
  ck_gie_ok(ctx, worker_probe(w, vector, strlen(vector), NULL, &rq, &a));
  ck_assert_int_eq(a.verdict, PROBE_OK);
  ck_assert_double_gt(a.error, 0.4);
  ck_assert_uint_eq(worker_starts(w), 1);
  worker_stop(w);
  remove_folder(dir);
  gie_context_destroy(ctx);
}
END_TEST

/* A variant that fuses fewer steps than there are is asked about the node without the others. */
START_TEST(test_cut)
{
  static const char graph[] =
      "graph \"t\" { input %x : f32[1,2,4,4] input %w : f32[2,2,1,1] input %r : f32[1,2,4,4] "
      "%y : f32[1,2,4,4] = conv(%x, %w) | add(%r) | relu output %y }";
  struct gie_context *ctx;
  struct probe_result r;
  const char *dir = new_folder();
  struct worker *w = start(&ctx, dir, 60);
  /* It computes relu of the first operand, no convolution: wrong, but only that. */
  ck_gie_ok(ctx, ask(w, "test.no_steps", graph, &r));
  ck_assert_msg(r.verdict == PROBE_WRONG, "%s: %s", probe_verdict_word(r.verdict), r.text);
  ck_gie_ok(ctx, ask(w, "cpu.conv", graph, &r));
  ck_assert_msg(r.verdict == PROBE_OK, "%s: %s", probe_verdict_word(r.verdict), r.text);
  worker_stop(w);
  remove_folder(dir);
  gie_context_destroy(ctx);
}
END_TEST

/* Questions that cannot be put. The worker stays. */
START_TEST(test_bad_questions)
{
  static const struct {
    const char *kernel, *graph, *text;
    gie_status status;
  } bad[] = {
      {"test.none", vector, "there is no kernel \"test.none\"", GIE_E_USAGE},
      {"test\nright", vector, "line break", GIE_E_USAGE},
      {"test.right", "graph \"t\" {", "line 1", GIE_E_PARSE},
      {"test.right", "graph \"t\" { input %x : f32[2] output %x }", "a graph of one node, this one has 0",
       GIE_E_USAGE},
      {"test.right", "graph \"t\" (n) { input %x : f32[n] %y = relu(%x) output %y }", "", GIE_E_SHAPE},
  };
  struct gie_context *ctx;
  struct probe_result r;
  const char *dir = new_folder();
  struct worker *w = start(&ctx, dir, 60);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    ck_gie(ctx, ask(w, bad[i].kernel, bad[i].graph, &r), bad[i].status);
    ck_assert_msg(strstr(gie_error_text(ctx), bad[i].text), "%s", gie_error_text(ctx));
  }
  const struct probe_input in = {.index = 0, .data = "abc", .size = 3};
  const struct probe_request rq = {.kernel = "test.right", .any_config = true, .n_inputs = 1, .inputs = &in};
  ck_gie(ctx, worker_probe(w, vector, strlen(vector), NULL, &rq, &r), GIE_E_SHAPE);
  ck_assert_uint_eq(worker_starts(w), 1);
  worker_stop(w);
  worker_stop(NULL);
  remove_folder(dir);
  gie_context_destroy(ctx);
}
END_TEST

START_TEST(test_bad_programs)
{
  static const struct {
    const char *program, *text;
    gie_status status;
  } bad[] = {
      {"/nonexistent/gie-worker", "cannot be started: No such file", GIE_E_CONFIG},
      {"/bin/true", "it ended with exit status 0 before it had loaded its modules", GIE_E_CONFIG},
      {"/bin/false", "/bin/false does not work as probe worker: it ended with exit status 1", GIE_E_CONFIG},
      {"/bin/cat", "does not work as probe worker", GIE_E_CONFIG},
  };
  struct gie_context *ctx = check_context();
  struct worker *w = NULL;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    const struct worker_options options = {.program = bad[i].program, .quiet = true};
    ck_gie(ctx, worker_start(ctx, &options, &w), bad[i].status);
    ck_assert_msg(strstr(gie_error_text(ctx), bad[i].text), "%s", gie_error_text(ctx));
  }
  /* A module that the worker refuses is told as here. */
  const char *const modules[] = {built_module("noentry"), NULL};
  const struct worker_options options = {.modules = modules, .quiet = true};
  ck_gie(ctx, worker_start(ctx, &options, &w), GIE_E_MODULE);
  ck_assert_ptr_nonnull(strstr(gie_error_text(ctx), "does not export gie_module_init"));
  ck_assert_ptr_null(w);
  gie_context_destroy(ctx);
}
END_TEST

GIE_TESTS_MAIN("worker", test_verdicts, test_hang, test_stop, test_signal, test_requests, test_cut,
               test_bad_questions, test_bad_programs)
