/* SPDX-License-Identifier: Apache-2.0 */
/* The same plan gives the same bits: a small network like an inception, in f32 and with f16 allowed, is built for the
 * device by measured costs and by random ones, under which kernels win that never would, such as sums split over blocks.
 * Each plan runs 100 times: in two threads with an executor each, and in a context that loaded it from its file. Skipped
 * without a device. */
#include "tests/gie_check.h"
#include "tests/op_problem.h"
#include <gie/plan.h>

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define RUNS 100
#define SEEDS 3

/* ---- The network */

static const char NETWORK[] =
    "%c1 = conv(%x, w64x3x7x7, w64) {stride=[2,2], pad=[3,3,3,3]} | relu "
    "%p1 = max_pool(%c1) {kernel=[3,3], stride=[2,2], ceil_mode=1} "
    "%n1 = lrn(%p1) {size=5, alpha=0.0001, beta=0.75} "
    "%a1 = conv(%n1, w32x64x1x1, w32) | relu "
    "%b1 = conv(%n1, w48x64x1x1, w48) | relu "
    "%b2 = conv(%b1, w64x48x3x3, w64) {pad=[1,1,1,1]} | relu "
    "%d1 = conv(%n1, w16x64x1x1, w16) | relu "
    "%d2 = conv(%d1, w32x16x5x5, w32) {pad=[2,2,2,2]} | relu "
    "%e1 = max_pool(%n1) {kernel=[3,3], pad=[1,1,1,1]} "
    "%e2 = conv(%e1, w32x64x1x1, w32) | relu "
    "%m1 = concat(%a1, %b2, %d2, %e2) {axis=1} "
    "%f1 = conv(%m1, w160x1x3x3, w160) {group=160, stride=[2,2], pad=[1,1,1,1]} | clip {min=0.0, max=6.0} "
    "%f2 = conv(%f1, w192x160x1x1, w192) | clip {min=0.0, max=6.0} "
    "%g1 = conv(%f2, w64x192x3x3, w64) {pad=[1,1,1,1]} | silu "
    "%g2 = conv(%g1, w192x64x1x1, w192) | add(%f2) | relu "
    "%h1 = average_pool(%g2) {kernel=[3,3], stride=[2,2]} "
    "%k1 = global_average_pool(%h1) "
    "%k2 = flatten(%k1) "
    "%k3 = gemm(%k2, w200x192, w200) {trans_b=1} "
    "%y = softmax(%k3) "
    "output %y output %k1";

/* A constant of pseudo-random numbers, small where many are summed, behind the graph's name for it. */
static void put_constant(struct gie_buf *b, const char *dims, int number, uint32_t *seed)
{
  int64_t n = 1, first = 0, d;
  char *end;
  gie_buf_printf(b, "const %%w%d : f32[", number);
  for (const char *s = dims;; s = end + 1) {
    d = strtol(s, &end, 10);
    first = first ? first : d;
    n *= d;
    gie_buf_printf(b, "%s%lld", s == dims ? "" : ",", (long long)d);
    if (*end != 'x')
      break;
  }
  gie_buf_puts(b, "] = {");
  double scale = 2.0 / (1 + (double)(n / first) / 8);
  for (int64_t i = 0; i < n; i++) {
    *seed = *seed * 1664525u + 1013904223u;
    gie_buf_printf(b, "%s%.4g", i ? "," : "", scale * ((double)(*seed >> 8) / (1 << 24) - 0.45));
  }
  gie_buf_puts(b, "}\n");
}

/* " w64x3" in the text becomes a constant of those dims. */
static struct gie_graph *network(struct gie_context *ctx)
{
  struct gie_buf head, body;
  struct gie_graph *g;
  uint32_t seed = 1;
  int n = 0;
  gie_buf_init(&head, ctx);
  gie_buf_init(&body, ctx);
  gie_buf_puts(&head, "graph \"bits\" {\ninput %x : f32[2,3,96,96]\n");
  for (const char *s = NETWORK; *s;) {
    if (s[0] == ' ' && s[1] == 'w' && s[2] >= '1' && s[2] <= '9') {
      put_constant(&head, s + 2, n, &seed);
      gie_buf_printf(&body, " %%w%d", n++);
      s += 2 + strspn(s + 2, "0123456789x");
    } else {
      gie_buf_put(&body, s++, 1);
    }
  }
  char *text, *rest;
  size_t size;
  ck_gie_ok(ctx, gie_buf_take(&body, &rest, &size));
  gie_buf_puts(&head, rest);
  gie_buf_puts(&head, "\n}\n");
  gie_free(ctx, rest);
  ck_gie_ok(ctx, gie_buf_take(&head, &text, &size));
  ck_gie_ok(ctx, gie_graph_parse(ctx, text, size, NULL, &g));
  gie_free(ctx, text);
  return g;
}

/* ---- Runs */

#define MAX_BYTES 4096
struct bits {
  size_t n;
  char byte[MAX_BYTES];
};

static void keep(struct gie_exec *x, const char *name, struct bits *to)
{
  struct gie_tensor t = {.struct_size = sizeof t};
  size_t bytes = gie_dtype_size(GIE_F32);
  ck_assert_int_eq(gie_exec_output(x, name, &t), GIE_OK);
  for (int i = 0; i < t.rank; i++)
    bytes *= (size_t)t.dim[i];
  ck_assert(to->n + bytes <= MAX_BYTES);
  memcpy(to->byte + to->n, t.data, bytes);
  to->n += bytes;
}

static void feed(struct gie_exec *x)
{
  static float in[2 * 3 * 96 * 96];
  struct gie_tensor t = {.struct_size = sizeof t, .dtype = GIE_F32, .rank = 4, .data = in};
  const int64_t dim[4] = {2, 3, 96, 96};
  uint32_t seed = 5;
  memcpy(t.dim, dim, sizeof dim);
  for (size_t i = 0; i < sizeof in / sizeof *in; i++) {
    seed = seed * 1664525u + 1013904223u;
    in[i] = (float)(seed >> 8) / (1 << 23) - 1.0f;
  }
  ck_assert_int_eq(gie_exec_set_input(x, "x", &t), GIE_OK);
}

struct runner {
  struct gie_context *ctx;
  const struct gie_plan *plan;
  struct gie_exec *x;
  int runs, different; /* from the first run */
  struct bits first;
  char error[256];
};

static void *run(void *argument)
{
  struct runner *r = argument;
  for (int i = 0; i < r->runs && !r->error[0]; i++) {
    struct bits b = {0};
    if (gie_exec_run(r->x) != GIE_OK) {
      snprintf(r->error, sizeof r->error, "run %d: %s", i, gie_error_text(r->ctx));
      break;
    }
    keep(r->x, "k1", &b);
    keep(r->x, "y", &b);
    if (i == 0)
      r->first = b;
    r->different += memcmp(&b, &r->first, sizeof b) != 0;
  }
  return NULL;
}

static void new_runner(struct gie_context *ctx, const struct gie_plan *plan, int runs, struct runner *r)
{
  *r = (struct runner){.ctx = ctx, .plan = plan, .runs = runs};
  ck_gie_ok(ctx, gie_exec_new_plan(plan, NULL, &r->x));
  feed(r->x);
}

/* Something came out: two different numbers at least, all finite. */
static void check_alive(const struct bits *b)
{
  const float *v = (const float *)(const void *)b->byte;
  bool varied = false;
  for (size_t i = 0; i < b->n / sizeof *v; i++) {
    ck_assert(v[i] - v[i] == 0);
    varied |= v[i] != v[0];
  }
  ck_assert(varied);
}

static void check_plan(struct gie_context *ctx, const struct gie_plan *plan, const char *what)
{
  char path[] = "/tmp/gie-bits-XXXXXX";
  struct gie_context *other = op_context();
  struct gie_plan *loaded;
  struct runner r[3];
  pthread_t thread[2];
  int file = mkstemp(path), different = 0;
  ck_assert_int_ge(file, 0);
  close(file);
  ck_gie_ok(ctx, gie_plan_save(plan, path));
  ck_gie_ok(other, gie_plan_load(other, path, &loaded));
  for (int i = 0; i < 2; i++)
    new_runner(ctx, plan, 2 * RUNS / 5, &r[i]);
  new_runner(other, loaded, RUNS / 5, &r[2]);
  for (int i = 0; i < 2; i++)
    ck_assert_int_eq(pthread_create(&thread[i], NULL, run, &r[i]), 0);
  for (int i = 0; i < 2; i++)
    pthread_join(thread[i], NULL);
  run(&r[2]);
  for (int i = 0; i < 3; i++)
    ck_assert_msg(!r[i].error[0], "%s: %s", what, r[i].error);
  check_alive(&r[0].first);
  for (int i = 0; i < 3; i++) {
    different += r[i].different + (memcmp(&r[i].first, &r[0].first, sizeof r[i].first) != 0);
    gie_exec_free(r[i].x);
  }
  printf("%s: %d runs, %d of them with other bits\n", what, RUNS, different);
  ck_assert_int_eq(different, 0);
  gie_plan_free(loaded);
  gie_context_free(other);
  unlink(path);
}

static void check_network(bool half, uint64_t seed)
{
  struct gie_context *ctx = op_context();
  struct gie_graph *g = network(ctx);
  struct gie_plan *plan;
  char what[64];
  struct gie_build_report report = {.struct_size = sizeof report};
  /* cuDNN's engines take long to make, and those that are not deterministic are left out by its backend */
  struct gie_build_options o = {.struct_size = sizeof o,
                                .device = "cuda",
                                .backends = seed ? "-cudnn" : NULL,
                                .cache = "",
                                .budget = seed ? 0 : 12,
                                .reduced_precision = half,
                                .random_costs = seed};
  ck_gie_ok(ctx, gie_build(g, &o, &report, &plan));
  snprintf(what, sizeof what, "%s, %s costs %llu", half ? "f16" : "f32", seed ? "random" : "measured",
           (unsigned long long)seed);
  printf("%s: built in %.1f s, %u candidates, %u of them bad\n", what, report.seconds, report.candidates,
         report.bad);
  check_plan(ctx, plan, what);
  gie_plan_free(plan);
  gie_graph_free(g);
  gie_context_free(ctx);
}

START_TEST(measured_costs)
{
  check_network(false, 0);
  check_network(true, 0);
}
END_TEST

START_TEST(random_costs)
{
  for (uint64_t seed = 1; seed <= (op_quick() ? 1 : SEEDS); seed++) {
    check_network(false, seed);
    check_network(true, seed);
  }
}
END_TEST

int main(void)
{
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
  if (!op_has_device("cuda")) {
    printf("needs a device of kind cuda: skipped\n");
    return 77;
  }
  const TTest *const tests[] = {measured_costs, random_costs};
  return check_on_device("same bits", tests, sizeof tests / sizeof *tests);
}
