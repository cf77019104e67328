/* SPDX-License-Identifier: Apache-2.0 */
/* Several streams on the host: the same bits as one, run after run, whatever the number of threads; a failure ends the
 * run and not the executor. */
#include "core/run/run.h"
#include "tests/gie_check.h"

/* Three branches of a different length, that meet and part again; %m is read by both ends. */
static const char NET[] = "graph \"net\" { input %x : f32[1,8,24,24] nchw "
                          "const %w : f32[8,8,1,1] = {WEIGHTS} "
                          "%a = conv(%x, %w) | relu "
                          "%b = conv(%x, %w) | tanh !{stream=1} "
                          "%b2 = conv(%b, %w) | relu !{stream=1} "
                          "%p = max_pool(%x) {kernel=[3,3], pad=[1,1,1,1]} !{stream=2} "
                          "%c = conv(%p, %w) | sigmoid !{stream=2} "
                          "%m = add(%a, %b2) "
                          "%n = mul(%m, %c) "
                          "%d = conv(%n, %w) | exp "
                          "%e = conv(%m, %w) | tanh !{stream=1} "
                          "%f0 = add(%d, %e) "
                          "%f = add(%f0, %b) "
                          "output %f output %m }";

static char *net_text(void)
{
  char *text = malloc(sizeof NET + 64 * 12), *at = text;
  const char *hole = strstr(NET, "WEIGHTS");
  ck_assert_ptr_nonnull(text);
  at += sprintf(at, "%.*s", (int)(hole - NET), NET);
  for (int i = 0; i < 64; i++)
    at += sprintf(at, "%s%.3f", i ? ", " : "", (i * 37 % 64 - 32) / 96.0);
  strcpy(at, hole + strlen("WEIGHTS"));
  return text;
}

static struct gie_graph *load(struct gie_context **ctx)
{
  struct gie_graph *g;
  char *text = net_text();
  ck_assert_int_eq(gie_context_new(NULL, ctx), GIE_OK);
  ck_gie_ok(*ctx, gie_graph_parse(*ctx, text, strlen(text), NULL, &g));
  free(text);
  return g;
}

static struct gie_exec *executor(const struct gie_graph *g, uint32_t threads)
{
  const struct gie_exec_options o = {.struct_size = sizeof o, .threads = threads, .backends = "-onednn"};
  struct gie_exec *x;
  ck_gie_ok(g->ctx, gie_exec_new(g, &o, &x));
  return x;
}

static void feed(struct gie_exec *x, int seed)
{
  static float data[8 * 24 * 24];
  const struct gie_tensor t = {
      .struct_size = sizeof t, .dtype = GIE_F32, .rank = 4, .dim = {1, 8, 24, 24}, .data = data};
  for (size_t i = 0; i < sizeof data / sizeof *data; i++)
    data[i] = (float)((i * 31 + (size_t)seed * 17) % 101) / 50 - 1;
  ck_gie_ok(x->ctx, gie_exec_set_input(x, "x", &t));
}

static void same_output(struct gie_exec *x, struct gie_exec *y, const char *name)
{
  struct gie_tensor a = {.struct_size = sizeof a}, b = {.struct_size = sizeof b};
  ck_gie_ok(x->ctx, gie_exec_output(x, name, &a));
  ck_gie_ok(y->ctx, gie_exec_output(y, name, &b));
  ck_assert_mem_eq(a.data, b.data, 8 * 24 * 24 * sizeof(float));
}

START_TEST(test_same_bits)
{
  struct gie_context *ctx;
  struct gie_graph *g = load(&ctx);
  struct gie_exec *one = executor(g, 1), *four = executor(g, 4);
  for (int run = 0; run < 300; run++) {
    feed(one, run);
    feed(four, run);
    ck_gie_ok(ctx, gie_exec_run(one));
    ck_gie_ok(ctx, gie_exec_run(four));
    same_output(one, four, "f");
    same_output(one, four, "m");
  }
  ck_assert_uint_eq(four->current->schedule.n_streams, 3);
  ck_assert_ptr_nonnull(four->helpers); /* it was run by several */
  ck_assert_ptr_null(one->helpers);
  gie_exec_free(one);
  gie_exec_free(four);
  gie_graph_free(g);
  gie_context_free(ctx);
}
END_TEST

static gie_status never(void *instance, const struct gie_launch *l)
{
  (void)instance;
  return gie_fail(l->ctx, GIE_E_DEVICE, "the device fell asleep");
}

/* On each step in turn: the others stop, nobody waits for ever, and the next run is right again. */
START_TEST(test_failure)
{
  struct gie_context *ctx;
  struct gie_graph *g = load(&ctx);
  struct gie_exec *one = executor(g, 1), *four = executor(g, 4);
  feed(one, 5);
  feed(four, 5);
  ck_gie_ok(ctx, gie_exec_run(one));
  ck_gie_ok(ctx, gie_exec_run(four));
  for (uint32_t i = 0; i < four->current->n_static; i++) {
    struct run_step *step = &four->current->steps[i];
    const struct gie_kernel *k = step->bound.kernel;
    struct gie_kernel bad = *k;
    bad.run = never;
    step->bound.kernel = &bad;
    ck_gie(ctx, gie_exec_run(four), GIE_E_DEVICE);
    ck_assert_ptr_nonnull(strstr(gie_error_text(ctx), "the device fell asleep"));
    step->bound.kernel = k;
    ck_gie_ok(ctx, gie_exec_run(four));
    same_output(one, four, "f");
  }
  gie_exec_free(one);
  gie_exec_free(four);
  gie_graph_free(g);
  gie_context_free(ctx);
}
END_TEST

GIE_TESTS_MAIN("streams", test_same_bits, test_failure)
