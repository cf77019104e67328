/* SPDX-License-Identifier: Apache-2.0 */
/* One plan, eight threads with an executor each: 1,000 runs give the same bits, and what they share is not
 * raced for (make check-tsan). Reference kernels, one thread per launch. */
#include "core/plan/plan.h"
#include "tests/gie_check.h"
#include <unistd.h>

#define THREADS 8
#define RUNS 125 /* of each thread */

static void put_numbers(struct gie_buf *b, int n, int seed)
{
  for (int i = 0; i < n; i++)
    gie_buf_printf(b, "%s%d.5", i ? ", " : "", (i * seed) % 13 - 6);
}

/* conv, relu, pools, concat, matmul, softmax. `n` is the batch as text. */
static struct gie_graph *network(struct gie_context *ctx, const char *n)
{
  struct gie_buf b;
  struct gie_graph *g;
  gie_buf_init(&b, ctx);
  gie_buf_printf(&b, "graph \"net\" %s { input %%x : f32[%s,2,6,6] const %%w : f32[4,2,3,3] = {",
                 *n == 'n' ? "(n)" : "", n);
  put_numbers(&b, 72, 7);
  gie_buf_puts(&b, "} const %f : f32[54,3] = {");
  put_numbers(&b, 162, 5);
  gie_buf_puts(&b, "} %a = conv(%x, %w) {pad=[1,1,1,1]} | relu %p = max_pool(%a) {kernel=[2,2], stride=[2,2]}"
                   " %q = average_pool(%x) {kernel=[2,2], stride=[2,2]} %c = concat(%p, %q) {axis=1}"
                   " %r = flatten(%c) %m = matmul(%r, %f) %y = softmax(%m) output %y }");
  ck_gie_ok(ctx, gie_graph_parse(ctx, b.data, b.len, NULL, &g));
  gie_buf_free(&b);
  return g;
}

static struct gie_context *context(void)
{
  struct gie_context_options options = {.struct_size = sizeof options, .log = check_no_log};
  struct gie_context *ctx = NULL;
  ck_assert_int_eq(gie_context_new(&options, &ctx), GIE_OK);
  return ctx;
}

struct job {
  const struct gie_plan *plan;
  int seed;
  float out[4][4 * 3]; /* of batches 1 … 4 */
  int different;
  gie_status status;
};

/* Runs one batch; out has room for its results. */
static gie_status run(struct gie_exec *x, int seed, int batch, float *out)
{
  float data[4 * 72];
  struct gie_tensor t = {sizeof t, GIE_F32, 4, {batch, 2, 6, 6}, data};
  for (int i = 0; i < batch * 72; i++)
    data[i] = (float)((i * 31 + seed * 17) % 23) / 4 - 2;
  GIE_TRY(gie_exec_set_input(x, "x", &t));
  GIE_TRY(gie_exec_run(x));
  GIE_TRY(gie_exec_output(x, "y", &t));
  memcpy(out, t.data, (size_t)batch * 3 * sizeof *out);
  return GIE_OK;
}

static void *work(void *arg)
{
  struct job *j = arg;
  struct gie_exec_options o = {.struct_size = sizeof o, .threads = 1};
  struct gie_exec *x;
  j->status = gie_exec_new_plan(j->plan, &o, &x);
  if (j->status != GIE_OK)
    return NULL;
  for (int i = 0; i < RUNS && j->status == GIE_OK; i++) {
    float out[4 * 3];
    int batch = 1 + i % 4;
    j->status = run(x, j->seed, batch, out);
    if (i < 4)
      memcpy(j->out[batch - 1], out, sizeof out);
    else if (memcmp(j->out[batch - 1], out, (size_t)batch * 3 * sizeof *out) != 0)
      j->different++;
  }
  gie_exec_free(x);
  return NULL;
}

START_TEST(eight_threads_share_a_plan)
{
  struct gie_context *ctx = context();
  struct gie_plan *made, *plan;
  struct job jobs[THREADS];
  pthread_t threads[THREADS];
  char path[] = "/tmp/gie-threads-XXXXXX";
  ck_gie_ok(ctx, plan_new(ctx, network(ctx, "n"), &made));
  for (int i = 0; i < 2; i++) {
    struct gie_plan_profile p = {.device = "cpu", .graph = network(ctx, i ? "4" : "1")};
    ck_gie_ok(ctx, plan_add_profile(made, &p));
  }
  int fd = mkstemp(path);
  ck_assert_int_ge(fd, 0);
  close(fd);
  ck_gie_ok(ctx, gie_plan_save(made, path));
  gie_plan_free(made);
  ck_gie_ok(ctx, gie_plan_load(ctx, path, &plan));
  unlink(path);
  for (int i = 0; i < THREADS; i++) {
    jobs[i] = (struct job){.plan = plan, .seed = i % 2};
    ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_gie_ok(ctx, jobs[i].status);
    ck_assert_int_eq(jobs[i].different, 0);
    ck_assert_mem_eq(jobs[i].out[3], jobs[i % 2].out[3], sizeof jobs[i].out[3]);
    ck_assert_mem_eq(jobs[i].out[2], jobs[i % 2].out[2], 3 * 3 * sizeof(float));
    ck_assert_mem_eq(jobs[i].out[2], jobs[i].out[3], 3 * 3 * sizeof(float));
  }
  ck_assert(memcmp(jobs[0].out[3], jobs[1].out[3], sizeof jobs[0].out[3]) != 0);
  gie_plan_free(plan);
  gie_context_free(ctx);
}
END_TEST

GIE_TESTS_MAIN("plan threads", eight_threads_share_a_plan)
