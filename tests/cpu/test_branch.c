/* SPDX-License-Identifier: Apache-2.0 */
/* The op if through executors and plans: symbols that become numbers inside branches, both branches, sizes that are
 * known only when it runs, what is refused and how. The op cases have the kernel itself. */
#include "core/plan/plan.h"
#include "tests/gie_check.h"
#include "tests/op_problem.h"

#include <pthread.h>
#include <unistd.h>

static struct gie_context *ctx;

static void setup(void) { ctx = op_context(); }
static void teardown(void) { gie_context_free(ctx); }

static struct gie_graph *parse(const char *text)
{
  struct gie_graph *g;
  ck_gie_ok(ctx, gie_graph_parse(ctx, text, strlen(text), NULL, &g));
  return g;
}

/* y = c ? max(x, 0) * k : -x unless d, and 1 for each element of x where d; z = c ? 7 : 8; h = c ? 1.5 : x as f16 */
static const char NET[] =
    "graph (n) { input %c : bool[1] input %d : bool[] input %x : f32[n,2] const %k : f32[2] = {1.0, 10.0}"
    " %y, %z, %h = if(%c; %x, %k, %d) {"
    "  then_branch=graph (n) { input %x : f32[n,2] input %k : f32[2] input %d : bool[] const %z : i64[] = {7}"
    "   const %one : f16[1,1] = {1.5} %r = relu(%x) %y = mul(%r, %k) %s = shape(%x) %h = expand(%one, %s)"
    "   output %y output %z output %h },"
    "  else_branch=graph (n) { input %x : f32[n,2] input %k : f32[2] input %d : bool[] const %z : i64[] = {8}"
    "   %y = if(%d; %x) {"
    "    then_branch=graph (n) { input %x : f32[n,2] %s = shape(%x) %o = constant_of_shape(%s) {value=f32[1]{1.0}}"
    "     output %o },"
    "    else_branch=graph (n) { input %x : f32[n,2] %m = neg(%x) output %m }}"
    "   %h = cast(%x) {to=f16} output %y output %z output %h }}"
    " output %y output %z output %h }";

static gie_status feed(struct gie_exec *x, bool c, bool d, float *data, int64_t n)
{
  struct gie_tensor tc = {sizeof tc, GIE_BOOL, 1, {1}, &c}, td = {sizeof td, GIE_BOOL, 0, {0}, &d},
                    tx = {sizeof tx, GIE_F32, 2, {n, 2}, data};
  GIE_TRY(gie_exec_set_input(x, "c", &tc));
  GIE_TRY(gie_exec_set_input(x, "d", &td));
  GIE_TRY(gie_exec_set_input(x, "x", &tx));
  return gie_exec_run(x);
}

/* Not with assertions: threads call it. */
static bool right(struct gie_exec *x, bool c, bool d, const float *data, int64_t n)
{
  struct gie_tensor y, z, h;
  if (gie_exec_output(x, "y", &y) != GIE_OK || gie_exec_output(x, "z", &z) != GIE_OK ||
      gie_exec_output(x, "h", &h) != GIE_OK)
    return false;
  bool ok = y.dtype == GIE_F32 && y.rank == 2 && y.dim[0] == n && y.dim[1] == 2 && z.dtype == GIE_I64 &&
            z.rank == 0 && *(int64_t *)z.data == (c ? 7 : 8) && h.dtype == GIE_F16 && h.rank == 2 &&
            h.dim[0] == n && h.dim[1] == 2;
  for (int64_t i = 0; ok && i < 2 * n; i++) {
    float relu = data[i] > 0 ? data[i] : 0, want = c ? relu * (i % 2 ? 10 : 1) : d ? 1 : -data[i];
    ok = ((float *)y.data)[i] == want && gie_f16_to_f32(((uint16_t *)h.data)[i]) == (c ? 1.5f : data[i]);
  }
  return ok;
}

static float X[] = {1, -2, 3, 4, -5, 6, 0.5, -0.25};

static void all_ways(struct gie_exec *x, int64_t n)
{
  for (int i = 0; i < 4; i++) {
    ck_gie_ok(ctx, feed(x, i & 1, i >> 1, X, n));
    ck_assert_msg(right(x, i & 1, i >> 1, X, n), "c %d, d %d, batch %d", i & 1, i >> 1, (int)n);
  }
}

START_TEST(test_symbols)
{
  struct gie_graph *g = parse(NET);
  struct gie_exec *x;
  ck_gie_ok(ctx, gie_exec_new(g, NULL, &x));
  all_ways(x, 2);
  all_ways(x, 4);
  all_ways(x, 0);
  all_ways(x, 2);
  gie_exec_free(x);
  gie_graph_free(g);
}
END_TEST

/* ---- Plans, and executors of one plan on several threads */

static struct gie_plan *make_plan(const char *path)
{
  struct gie_plan *plan, *back;
  const char *shapes[] = {"x:2x2", "x:4x2"};
  struct gie_build_options o = {
      .struct_size = sizeof o, .cache = "", .budget = -1, .n_shapes = 2, .shapes = shapes};
  struct gie_graph *g = parse(NET);
  ck_gie_ok(ctx, gie_build(g, &o, NULL, &plan));
  ck_gie_ok(ctx, gie_plan_save(plan, path));
  ck_gie_ok(ctx, gie_plan_load(ctx, path, &back));
  gie_plan_free(plan);
  gie_graph_free(g);
  return back;
}

struct worker {
  const struct gie_plan *plan;
  int number;
  bool ok;
};

static void *work(void *arg)
{
  struct worker *w = arg;
  struct gie_exec *x;
  w->ok = gie_exec_new_plan(w->plan, NULL, &x) == GIE_OK;
  for (int i = 0; w->ok && i < 40; i++) {
    bool c = (i + w->number) & 1, d = i >> 1 & 1;
    int64_t n = i & 4 ? 2 : 4;
    w->ok = feed(x, c, d, X, n) == GIE_OK && right(x, c, d, X, n);
  }
  gie_exec_free(x);
  return NULL;
}

START_TEST(test_plan)
{
  char path[] = "/tmp/gie-branch-XXXXXX";
  struct gie_exec *x;
  int fd = mkstemp(path);
  ck_assert_int_ge(fd, 0);
  close(fd);
  struct gie_plan *plan = make_plan(path);
  ck_gie_ok(ctx, gie_exec_new_plan(plan, NULL, &x));
  all_ways(x, 2);
  all_ways(x, 4);
  ck_gie(ctx, feed(x, true, false, X, 3), GIE_E_SHAPE); /* nobody looked whether the branches mix a batch */
  gie_exec_free(x);
  pthread_t threads[3];
  struct worker w[3];
  for (int i = 0; i < 3; i++) {
    w[i] = (struct worker){plan, i, false};
    ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &w[i]), 0);
  }
  for (int i = 0; i < 3; i++) {
    pthread_join(threads[i], NULL);
    ck_assert_msg(w[i].ok, "thread %d", i);
  }
  gie_plan_free(plan);
  unlink(path);
}
END_TEST

/* What a plan expects of one product, or of an if of such. */
static double expected(const char *text)
{
  struct gie_build_options o = {.struct_size = sizeof o, .cache = "", .budget = -1};
  struct gie_build_report r = {.struct_size = sizeof r};
  struct gie_plan_profile p = {.struct_size = sizeof p};
  struct gie_plan *plan;
  struct gie_graph *g = parse(text);
  ck_gie_ok(ctx, gie_build(g, &o, &r, &plan));
  ck_gie_ok(ctx, gie_plan_profile(plan, 0, &p));
  ck_assert_double_eq(p.seconds, r.cost);
  ck_assert(r.lower_bound <= r.cost && r.lower_bound > 0);
  ck_assert(!p.measured);
  double seconds = p.seconds;
  if (strstr(text, "if(")) {
    ck_assert_uint_eq(plan->kernels.n, 1);
    ck_assert_str_eq(plan->kernels.v[0].name, "cpu.if");
    ck_assert_ptr_nonnull(strstr(gie_plan_candidates(plan), "\tif\nchosen\tcpu.if\t0\t"));
  }
  gie_plan_free(plan);
  gie_graph_free(g);
  return seconds;
}

#define BRANCH(nodes, out) \
  "=graph { input %x : f32[64,64] input %k : f32[64,64] input %d : bool[] " nodes " output %" out " }"
#define CHEAP BRANCH("%r = neg(%x)", "r")
#define DEAR BRANCH("%m = matmul(%x, %k) %r = neg(%m)", "r")
#define INNER(a, b) BRANCH("%r = if(%d; %x, %k, %d) { then_branch" a ", else_branch" b "}", "r")
#define CHOICE(a, b)                                                                          \
  "graph { input %c : bool[1] input %d : bool[] input %x : f32[64,64] input %k : f32[64,64] " \
  "%y = if(%c; %x, %k, %d) { then_branch" a ", else_branch" b "} output %y }"

START_TEST(test_price)
{
  double product = expected("graph { input %x : f32[64,64] input %k : f32[64,64] %m = matmul(%x, %k) "
                            "%r = neg(%m) output %r }");
  double cheap = expected(CHOICE(CHEAP, CHEAP)), dear = expected(CHOICE(DEAR, DEAR));
  ck_assert_double_gt(cheap, 0);
  ck_assert_double_gt(dear, 2 * cheap);
  ck_assert_double_gt(dear, product / 2); /* which may be one kernel with an epilogue */
  ck_assert_double_eq(expected(CHOICE(DEAR, CHEAP)), dear);
  ck_assert_double_eq(expected(CHOICE(CHEAP, DEAR)), dear);
  double inside = expected(CHOICE(CHEAP, INNER(CHEAP, DEAR)));
  ck_assert_double_gt(inside, dear);
  ck_assert_double_lt(inside, dear + cheap);
}
END_TEST

/* ---- Sizes that come with the data */

static const char LATE[] =
    "graph (n,m) { input %c : bool[1] input %i : i64[1] input %x : f32[n] input %z : f32[m]"
    " %v = reshape(%x, %i)"
    " %y = if(%c; %v, %z) {"
    "  then_branch=graph (m) { input %v : f32[?] input %z : f32[m] %r = neg(%v) output %r },"
    "  else_branch=graph (m) { input %v : f32[?] input %z : f32[m] output %z }}"
    " %w = abs(%y) output %w }";

static gie_status run_late(struct gie_exec *x, bool c, int64_t size, int64_t n, int64_t m)
{
  struct gie_tensor tc = {sizeof tc, GIE_BOOL, 1, {1}, &c}, ti = {sizeof ti, GIE_I64, 1, {1}, &size},
                    tx = {sizeof tx, GIE_F32, 1, {n}, X}, tz = {sizeof tz, GIE_F32, 1, {m}, X};
  GIE_TRY(gie_exec_set_input(x, "c", &tc));
  GIE_TRY(gie_exec_set_input(x, "i", &ti));
  GIE_TRY(gie_exec_set_input(x, "x", &tx));
  GIE_TRY(gie_exec_set_input(x, "z", &tz));
  return gie_exec_run(x);
}

START_TEST(test_late_sizes)
{
  struct gie_graph *g = parse(LATE);
  struct gie_exec *x;
  struct gie_tensor t;
  ck_gie_ok(ctx, gie_exec_new(g, NULL, &x));
  for (int c = 0; c < 2; c++) {
    ck_gie_ok(ctx, run_late(x, c, -1, 3, 3));
    ck_gie_ok(ctx, gie_exec_output(x, "w", &t));
    ck_assert(t.rank == 1 && t.dim[0] == 3);
    for (int i = 0; i < 3; i++)
      ck_assert(((float *)t.data)[i] == (X[i] < 0 ? -X[i] : X[i]));
  }
  ck_gie(ctx, run_late(x, true, -1, 3, 4), GIE_E_SHAPE); /* though the branch that is taken would do */
  ck_assert_ptr_nonnull(
      strstr(gie_error_text(ctx), "result 0 is f32[3] in then_branch and f32[4] in else_branch"));
  gie_exec_free(x);
  gie_graph_free(g);
}
END_TEST

/* ---- What is refused */

START_TEST(test_refusals)
{
#define REST "else_branch=graph { input %x : f32[2] input %i : i64[1] output %x }} output %y }"
  static const struct {
    const char *text, *why;
  } nets[] = {
      {"graph { input %c : bool[] input %x : f32[2] input %i : i64[1] %y = if(%c; %x, %i) {then_branch=graph {"
       " input %x : f32[2] input %i : i64[1] %r : f32[2] = \"a::B\"(%x) output %r }, " REST,
       "(cpu.if: \\\"r\\\" (a::B) in a branch: there is no reference kernel for it)"},
      {"graph { input %c : bool[] input %x : f32[2] input %i : i64[1] %y = if(%c; %x, %i) {then_branch=graph {"
       " input %x : f32[2] input %i : i64[1] %m = reshape(%x, %i) const %k : i64[1] = {2} %r = reshape(%m, %k)"
       " output %r }, " REST,
       "(cpu.if: the size of \\\"m\\\" in a branch is not known before it runs)"},
  };
  for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
    struct gie_graph *g = parse(nets[i].text);
    struct gie_exec *x;
    ck_gie(ctx, gie_exec_new(g, NULL, &x), GIE_E_UNSUPPORTED);
    ck_assert_msg(strstr(gie_error_text(ctx), nets[i].why), "%s", gie_error_text(ctx));
    gie_graph_free(g);
  }
}
END_TEST

/* A failure inside says where. */
START_TEST(test_failure_inside)
{
  struct gie_graph *g = parse(
      "graph { input %c : bool[1] input %x : i64[2] %y = if(%c; %x) {then_branch=graph { input %x : i64[2]"
      " const %k : i64[] = {5} %r = div(%k, %x) output %r }, else_branch=graph { input %x : i64[2] output %x }}"
      " output %y }");
  struct gie_exec *x;
  int64_t zero[2] = {1, 0};
  ck_gie_ok(ctx, gie_exec_new(g, NULL, &x));
  for (int i = 0; i < 2; i++) {
    bool c = i;
    struct gie_tensor tc = {sizeof tc, GIE_BOOL, 1, {1}, &c}, tx = {sizeof tx, GIE_I64, 1, {2}, zero};
    ck_gie_ok(ctx, gie_exec_set_input(x, "c", &tc));
    ck_gie_ok(ctx, gie_exec_set_input(x, "x", &tx));
    ck_gie(ctx, gie_exec_run(x), c ? GIE_E_DATA : GIE_OK); /* only the branch that is taken */
  }
  ck_assert_ptr_nonnull(strstr(gie_error_text(ctx), "\"r\" (div) in a branch: integer division by zero"));
  gie_exec_free(x);
  gie_graph_free(g);
}
END_TEST

/* ---- Allocation 1, 2, 3 … fails until nothing fails */

START_TEST(test_memory_runs_out)
{
  struct gie_graph *g = parse(NET);
  bool done = false;
  for (long n = 1; !done; n++) {
    struct gie_exec *x = NULL;
    ctx->fail_alloc_after = n;
    gie_status st = gie_exec_new(g, NULL, &x);
    if (st == GIE_OK)
      st = feed(x, false, false, X, 2);
    done = ctx->fail_alloc_after > 0;
    ctx->fail_alloc_after = -1;
    ck_assert_msg(st == GIE_E_MEMORY || (st == GIE_OK && right(x, false, false, X, 2)),
                  "allocation %ld: %s %s", n, gie_status_name(st), gie_error_text(ctx));
    gie_exec_free(x);
  }
  gie_graph_free(g);
}
END_TEST

GIE_TESTS_MAIN_WITH("cpu branch", setup, teardown, test_symbols, test_plan, test_price, test_late_sizes,
                    test_refusals, test_failure_inside, test_memory_runs_out)
