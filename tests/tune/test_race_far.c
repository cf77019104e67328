/* SPDX-License-Identifier: Apache-2.0 */
/* The race on a device with memory of its own: what is copied for large tensors, that mistakes in them are found all
 * the same, and whose clock counts. The worker's side runs in this process, on the mocks of tests/run. */
#include "core/tune/race.h"
#include "tests/run/mock.h"
#include <sys/socket.h>
#include <unistd.h>

#define WHOLE 65536 /* bytes; tensors above it are large here */

static const char MATMUL[] =
    "graph \"g\" { input %x : f32[65536,4] const %w : f32[4,32] = @ %y = matmul(%x, %w) output %y }";
static const char RELU[] = "graph \"g\" { input %x : f32[60000,16] %y = relu(%x) output %y }";

/* "@" stands for 128 numbers. */
static struct tune_problem problem(const char *text)
{
  struct gie_buf b;
  struct gie_graph *g;
  struct tune_problem p;
  gie_buf_init(&b, ctx);
  for (const char *s = text; *s; s++)
    if (*s != '@')
      gie_buf_put(&b, s, 1);
    else
      for (int i = 0; i < 128; i++)
        gie_buf_printf(&b, "%s%d.5%s", i ? ", " : "{", i % 11 - 5, i == 127 ? "}" : "");
  ck_gie_ok(ctx, gie_graph_parse(ctx, b.data, b.len, NULL, &g));
  gie_buf_free(&b);
  ck_gie_ok(ctx, tune_problem_make(g, gie_node_get(g, gie_graph_first(g)), 0, NULL, NULL, &p));
  gie_graph_free(g);
  return p;
}

/* What the worker says last of kernel `name`, if it says a result. */
static struct race_news race(const struct tune_problem *p, const char *name, char *text, size_t size)
{
  struct race_entry e = {.kernel = name};
  struct race_problem rp;
  struct gie_arena mem;
  struct gie_buf b;
  struct race_news last = {.text = "no result"};
  int fd[2];
  enum wire_type type = WIRE_PROGRESS;
  gie_arena_init(&mem, ctx);
  gie_buf_init(&b, ctx);
  ck_gie_ok(ctx, race_export(&mem, p->g, &rp));
  const struct race_request rq = {
      {.samples = 3, .threads = 1, .whole = WHOLE, .device = "far:1"}, &rp, &e, 1, 1};
  ck_gie_ok(ctx, race_put_request(&b, &rq));
  ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
  struct race_worker worker;
  race_worker_init(&worker, ctx);
  ck_gie_ok(ctx, race_serve(&worker, fd[1], b.data, b.len));
  race_worker_free(&worker);
  while (type == WIRE_PROGRESS) {
    char *payload;
    size_t n;
    ck_gie_ok(ctx, wire_receive(ctx, fd[0], wire_now() + 10, &type, &payload, &n));
    struct race_news news = {0};
    if (type == WIRE_PROGRESS) {
      ck_gie_ok(ctx, race_get_news(ctx, payload, n, &news));
      if (news.word == RACE_RESULT) {
        last = news;
        snprintf(text, size, "%s", news.text);
        last.text = text;
      }
    }
    gie_free(ctx, payload);
  }
  close(fd[0]);
  close(fd[1]);
  gie_buf_free(&b);
  gie_arena_free(&mem);
  return last;
}

static struct mock *far_kernels(void)
{
  mock_register_device(ctx, &mock_far);
  struct mock *m = kernel_on("far", "far.any");
  kernel("cpu.any"); /* the reference */
  m->seconds = 2e-3;
  return m;
}

static struct race_news race_text(const char *graph)
{
  static char text[512];
  struct tune_problem p = problem(graph);
  struct race_news n = race(&p, "far.any", text, sizeof text);
  tune_problem_free(&p, ctx);
  return n;
}

/* A product is checked against exact sums, a relu against the reference on few rows; of each large tensor little
 * is copied. */
START_TEST(test_copies)
{
  static const struct {
    const char *graph;
    uint64_t operand, result;
  } cases[] = {{MATMUL, 65536 * 4 * 4, 65536 * 32 * 4}, {RELU, 60000 * 64, 60000 * 64}};
  struct mock *m = far_kernels();
  for (size_t i = 0; i < 2; i++) {
    far.to_device = far.to_host = far.on_device = 0;
    struct race_news n = race_text(cases[i].graph);
    ck_assert_msg(n.verdict == PROBE_OK, "%s", n.text);
    ck_assert_msg(n.seconds > 1.999e-3 && n.seconds < 2.001e-3, "%g", n.seconds);
    ck_assert_int_eq(far.index, 1);
    ck_assert_msg(far.to_device < cases[i].operand / 4, "%llu bytes to the device",
                  (unsigned long long)far.to_device);
    ck_assert_msg(far.to_host < cases[i].result / 2, "%llu bytes to the host",
                  (unsigned long long)far.to_host);
    ck_assert_uint_ge(far.on_device, cases[i].operand / 2);
  }
  ck_assert_int_gt(far.captures, 0);
  ck_assert_int_gt(far.replays, 0);
  ck_assert(!m->bad_address);
}
END_TEST

/* Runs are doubled until a sample lasts, in graphs of a few dozen. */
START_TEST(test_short_runs)
{
  struct mock *m = far_kernels();
  m->seconds = 1e-5;
  struct race_news n = race_text("graph \"g\" { input %x : f32[8,16] %y = relu(%x) output %y }");
  ck_assert_msg(n.verdict == PROBE_OK, "%s", n.text);
  ck_assert_msg(n.seconds > 0.999e-5 && n.seconds < 1.001e-5, "%g", n.seconds);
  ck_assert_msg(m->runs < 100, "%d launches", m->runs);
  m->no_capture = true;
  n = race_text("graph \"g\" { input %x : f32[8,16] %y = relu(%x) output %y }");
  ck_assert_msg(n.verdict == PROBE_OK && n.seconds > 0.999e-5 && n.seconds < 1.001e-5, "%g", n.seconds);
  m->no_capture = false;
  far.fail_capture = true;
  n = race_text("graph \"g\" { input %x : f32[8,16] %y = relu(%x) output %y }");
  ck_assert_msg(n.verdict == PROBE_OK && n.seconds > 0.999e-5 && n.seconds < 1.001e-5, "%s", n.text);
}
END_TEST

static void last_is_zero(const struct mock *m, void *out)
{
  (void)m;
  ((float *)out)[65536 * 32 - 1] = 7;
}

static void one_before(const struct mock *m, void *out)
{
  (void)m;
  ((float *)out)[-1] = 7;
}

static void one_behind(const struct mock *m, void *out)
{
  (void)m;
  ((float *)out)[60000 * 16] = 7;
}

static void half_is_unset(const struct mock *m, void *out)
{
  (void)m;
  memset(out, 0xff, (size_t)60000 * 32);
}

START_TEST(test_mistakes)
{
  static const struct {
    void (*flaw)(const struct mock *m, void *out);
    const char *graph;
    enum probe_verdict verdict;
    const char *text;
  } cases[] = {
      {last_is_zero, MATMUL, PROBE_WRONG, "element 2097151 is 7"},
      {one_before, MATMUL, PROBE_STRAY, "wrote 1 bytes before the start of result 0"},
      {one_behind, RELU, PROBE_STRAY, "wrote 1 bytes behind the end of result 0"},
      {half_is_unset, RELU, PROBE_WRONG, "result 0 differs from the reference"},
  };
  struct mock *m = far_kernels();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    m->flaw = cases[i].flaw;
    struct race_news n = race_text(cases[i].graph);
    ck_assert_msg(n.verdict == cases[i].verdict && strstr(n.text, cases[i].text), "%d: %s", n.verdict,
                  n.text);
  }
}
END_TEST

/* The device's error is the candidate's, who is out with the worker. */
START_TEST(test_device_error)
{
  far_kernels();
  far.fail_sync = true;
  struct race_news n = race_text(RELU);
  ck_assert_msg(n.verdict == PROBE_FAILED && strstr(n.text, "the far device lost its way"), "%s", n.text);
  far.fail_sync = false;
  for (long i = 0; i < 12; i++) { /* out of memory: a verdict that says nothing of the candidate */
    far.fail_after = i;
    n = race_text(MATMUL);
    bool reached = far.fail_after < 0;
    far.fail_after = -1;
    ck_assert_msg(n.verdict == (reached ? PROBE_LIMIT : PROBE_OK), "%ld: %s", i, n.text);
    if (!reached)
      return;
  }
  ck_abort_msg("more allocations than expected");
}
END_TEST

GIE_TESTS_MAIN_WITH("race_far", setup, teardown, test_copies, test_short_runs, test_mistakes,
                    test_device_error)
