/* SPDX-License-Identifier: Apache-2.0 */
/* The reference kernels on every op case: against hand-computed results and naive loops, in every dtype
 * against f64, in every layout, view and number of threads against the plain run, with guard zones. */
#include "tests/cpu/naive.h"
#include "tests/gie_check.h"
#include "tests/op_problem.h"

#define MAX_IO OP_MAX_IO

static struct gie_context *ctx;
static struct op_device device;

static const struct gie_kernel *kernel_of(const char *op) { return op_kernel_of(ctx, "cpu", op); }

static void setup(void)
{
  ctx = op_context();
  op_device_open(ctx, "cpu", &device);
  device.info.units = 4; /* scratch for four threads wherever the test runs */
}

static void teardown(void)
{
  op_device_close(&device);
  gie_context_free(ctx);
}

/* ---- The table */

struct plain_run {
  struct gie_graph *g;
  const struct gie_node *n;
  const struct gie_kernel *k;
  struct op_result out[MAX_IO];
};

static void run_plain(const struct op_case *c, const char *dtype, struct plain_run *r)
{
  gie_status st = op_case_graph(ctx, c, dtype, &r->g);
  ck_assert_msg(st == GIE_OK, "%s", gie_error_text(ctx));
  r->n = op_case_node(r->g);
  r->k = kernel_of(r->n->op->name);
  ck_assert_uint_le(r->n->n_out, MAX_IO);
  st = op_run(&device, r->g, r->n, r->k, NULL, &OP_FORMS[0], r->out);
  ck_assert_msg(st == GIE_OK, "%s, %s: %s", c->name, dtype, gie_error_text(ctx));
}

static void free_plain(struct plain_run *r)
{
  op_results_free(ctx, r->out, r->n->n_out);
  gie_graph_free(r->g);
}

static void same(const struct op_case *c, const char *what, const struct op_result *a,
                 const struct op_result *b, double r)
{
  char text[256];
  ck_assert_msg(op_compare(a, b, r, text, sizeof text), "%s, %s: %s", c->name, what, text);
}

/* Against the constants %want, %want1, which are written with seven digits. */
static void check_wants(const struct op_case *c, const char *dtype, struct plain_run *r)
{
  static const char *const names[] = {"want", "want1"};
  struct op_result want;
  for (uint32_t i = 0; i < r->n->n_out && i < 2; i++)
    if (op_constant(r->g, names[i], &want)) {
      double epsilon = op_epsilon(want.type.dtype);
      same(c, dtype, &r->out[i], &want, epsilon > 0 && epsilon < 1e-6 ? 1e-6 : epsilon);
      op_results_free(ctx, &want, 1);
    }
}

static void check_naive(const struct op_case *c, const char *dtype, struct plain_run *r)
{
  struct op_result in[MAX_IO], out = r->out[0];
  for (uint32_t i = 0; i < MAX_IO; i++)
    ck_gie_ok(ctx, op_operand(r->g, r->n, i, &in[i]));
  out.v = gie_alloc(ctx, (size_t)out.count, sizeof *out.v);
  ck_assert_ptr_nonnull(out.v);
  if (strcmp(c->name, "gemm_wraps") != 0 && naive_run(r->n, in, &out))
    same(c, dtype, &r->out[0], &out, op_epsilon(out.type.dtype));
  op_results_free(ctx, &out, 1);
  op_results_free(ctx, in, MAX_IO);
}

/* In all layouts, pitched, on three threads: as plain up to the order of sums. */
static void check_forms(const struct op_case *c, const char *dtype, struct plain_run *r)
{
  struct op_result out[MAX_IO];
  for (unsigned f = 0; f < N_OP_FORMS; f++) {
    char what[128];
    snprintf(what, sizeof what, "%s, %s", dtype, OP_FORMS[f].name);
    device.threads = f % 2 ? 1 : 3;
    gie_status st = op_run(&device, r->g, r->n, r->k, NULL, &OP_FORMS[f], out);
    ck_assert_msg(st == GIE_OK, "%s, %s: %s", c->name, what, gie_error_text(ctx));
    for (uint32_t i = 0; i < r->n->n_out; i++)
      same(c, what, &out[i], &r->out[i], op_epsilon(out[i].type.dtype));
    op_results_free(ctx, out, r->n->n_out);
  }
  device.threads = 1;
}

START_TEST(cases)
{
  const struct op_case *c = &OP_CASES[_i];
  struct plain_run exact = {0}, r = {0};
  char dtype[8];
  setup();
  for (unsigned d = 0; op_case_dtype(c, d, dtype); d++) {
    run_plain(c, dtype, &r);
    check_wants(c, dtype, &r);
    check_naive(c, dtype, &r);
    check_forms(c, dtype, &r);
    if (d == 0 && strcmp(dtype, "f64") == 0)
      exact = r;
    if (exact.g && (strcmp(dtype, "f32") == 0 || strcmp(dtype, "f16") == 0 || strcmp(dtype, "bf16") == 0))
      for (uint32_t i = 0; i < r.n->n_out; i++)
        same(c, dtype, &r.out[i], &exact.out[i], op_epsilon(r.out[i].type.dtype));
    if (r.g != exact.g)
      free_plain(&r);
  }
  if (exact.g)
    free_plain(&exact);
  teardown();
}
END_TEST

/* ---- Completeness */

START_TEST(every_op_has_a_kernel_and_a_case)
{
  const struct gie_op *op;
  setup();
  for (unsigned i = 0; (op = ir_builtin_op(i)) != NULL; i++) {
    bool found = false;
    ck_assert_msg(kernel_of(op->name) != NULL, "no kernel for %s", op->name);
    for (unsigned j = 0; j < N_OP_CASES && !found; j++) {
      struct gie_graph *g;
      ck_gie_ok(ctx, op_case_graph(ctx, &OP_CASES[j], NULL, &g));
      found = strcmp(op_case_node(g)->op->name, op->name) == 0;
      gie_graph_free(g);
    }
    ck_assert_msg(found, "no case for %s", op->name);
  }
  teardown();
}
END_TEST

/* ---- Windows of random geometry against the naive loops */

static uint32_t random_state;

static int below(int n)
{
  random_state = random_state * 1664525u + 1013904223u;
  return (int)((random_state >> 8) % (uint32_t)n);
}

/* Two axes of random extents; shapes that do not fit are refused by the reader and left out. */
static void random_case(int kind, char *text, size_t size)
{
  int group = 1 + below(3), c = group * (1 + below(3)), k = group * (1 + below(4)), kh = 1 + below(4),
      kw = 1 + below(5);
  char attrs[256], x[64];
  snprintf(x, sizeof x, "input %%x : T[%d,%d,%d,%d]", 1 + below(2), c, 1 + below(12), 1 + below(40));
  snprintf(attrs, sizeof attrs, "stride=[%d,%d], dilation=[%d,%d], pad=[%d,%d,%d,%d]", 1 + below(3),
           1 + below(4), 1 + below(3), 1 + below(2), below(3), below(4), below(3), below(4));
  if (below(4) == 0)
    snprintf(attrs, sizeof attrs, "stride=[%d,%d], auto_pad=\"same_%s\"", 1 + below(3), 1 + below(3),
             below(2) ? "upper" : "lower");
  if (kind == 0)
    snprintf(text, size, "%s input %%w : T[%d,%d,%d,%d] %%y = conv(%%x, %%w) {group=%d, %s} output %%y", x, k,
             c / group, kh, kw, group, attrs);
  else if (kind == 1)
    snprintf(text, size,
             "%s input %%w : T[%d,%d,%d,%d] %%y = conv_transpose(%%x, %%w) {group=%d, %s} output %%y", x, c,
             k / group, kh, kw, group, attrs);
  else
    snprintf(text, size, "%s %%y = %s(%%x) {kernel=[%d,%d], ceil_mode=%d, %s%s} output %%y", x,
             kind == 2 ? "max_pool" : "average_pool", kh, kw, below(2), attrs,
             kind == 3 && below(2) ? ", count_include_pad=1" : "");
}

START_TEST(random_windows)
{
  int tried = 0;
  setup();
  random_state = 17u + (uint32_t)_i;
  for (int i = 0; i < 400; i++) {
    char text[512];
    struct op_case c = {text, "f64", text};
    struct gie_graph *g;
    struct plain_run r;
    random_case(_i, text, sizeof text);
    if (op_case_graph(ctx, &c, "f64", &g) != GIE_OK)
      continue;
    gie_graph_free(g);
    run_plain(&c, "f64", &r);
    check_naive(&c, "f64", &r);
    free_plain(&r);
    tried++;
  }
  ck_assert_int_ge(tried, 150);
  teardown();
}
END_TEST

/* ---- Failing memory, refusals */

START_TEST(failing_memory)
{
  struct op_case c = {
      "memory", "",
      "input %x : f32[2,3,5,5] input %w : f32[4,3,3,3] input %r : f32[4,1,1] %y = conv(%x, %w) | add(%r) | relu output %y"};
  struct gie_graph *g;
  struct op_result out[1];
  gie_status st = GIE_E_MEMORY;
  long n;
  setup();
  ck_gie_ok(ctx, op_case_graph(ctx, &c, NULL, &g));
  for (n = 1; st == GIE_E_MEMORY && n < 100; n++) {
    ctx->fail_alloc_after = n;
    st = op_run(&device, g, op_case_node(g), kernel_of("conv"), NULL, &OP_FORMS[0], out);
  }
  ctx->fail_alloc_after = -1;
  ck_gie_ok(ctx, st);
  ck_assert_int_gt(n, 8); /* what the kernel takes and the runner's own buffers */
  op_results_free(ctx, out, 1);
  gie_graph_free(g);
  teardown();
}
END_TEST

/* A problem whose descriptors do not fit its node is refused, not computed. */
static const struct bad_problem {
  const char *text;
  int operand, axis; /* whose extent is changed; operand -1: the result */
  const char *why;
} BAD_PROBLEMS[] = {
    {"input %x : f32[1,2,5,5] input %w : f32[3,2,3,3] %y = conv(%x, %w) output %y", -1, 2, "window"},
    {"input %x : f32[1,2,5,5] input %w : f32[3,2,3,3] %y = conv(%x, %w) output %y", 1, 1, "channels"},
    {"input %x : f32[1,2,5,5] input %w : f32[3,2,3,3] input %b : f32[3] %y = conv(%x, %w, %b) output %y", 2,
     0, "per output channel"},
    {"input %x : f32[1,2,5,5] input %w : f32[2,2,3,3] %y = conv_transpose(%x, %w) output %y", -1, 3,
     "window"},
    {"input %x : f32[1,2,5,5] %y = max_pool(%x) {kernel=[2,2]} output %y", -1, 3, "window"},
    {"input %x : f32[3,4] input %w : f32[4,2] %y = gemm(%x, %w) output %y", 1, 0, "multiply"},
    {"input %x : f32[3,4] input %w : f32[4,2] %y = matmul(%x, %w) output %y", 0, 1, "multiply"},
    {"input %x : f32[3,4] input %w : f32[3,2] %y = concat(%x, %w) {axis=1} output %y", 1, 0, "axis 0"},
    {"input %x : f32[1,4,2] input %p : f32[4] %y = batch_norm(%x, %p, %p, %p, %p) output %y", 3, 0,
     "per channel"},
    {"input %x : f32[3,4] const %i : i64[2] = {0,1} %y = gather(%x, %i) output %y", -1, 0, "indices"},
};

START_TEST(bad_problem)
{
  const struct bad_problem *bad = &BAD_PROBLEMS[_i];
  static const struct gie_layout plain;
  struct op_case c = {"bad_problem", "", bad->text};
  struct gie_graph *g;
  struct gie_desc d[8] = {{.dtype = GIE_DTYPE_NONE}};
  char why[256] = "";
  setup();
  ck_gie_ok(ctx, op_case_graph(ctx, &c, NULL, &g));
  const struct gie_node *n = op_case_node(g);
  for (uint32_t i = 0; i <= n->n_in; i++)
    ck_gie_ok(ctx, gie_desc_make(ctx, &gie_value_get(g, i < n->n_in ? n->in[i] : n->out[0])->type, &plain,
                                 &d[i], NULL));
  struct gie_problem p = {
      .struct_size = sizeof p, .ctx = ctx, .graph = g, .node = n, .n_in = n->n_in, .n_out = 1};
  p.in = d;
  p.out = d + n->n_in;
  const struct gie_kernel *k = kernel_of(n->op->name);
  ck_assert_msg(k->supports(k, &p, why, sizeof why), "%s", why);
  d[bad->operand < 0 ? (int)n->n_in : bad->operand].dim[bad->axis]++;
  ck_assert(!k->supports(k, &p, why, sizeof why));
  ck_assert_msg(strstr(why, bad->why) != NULL, "%s", why);
  gie_graph_free(g);
  teardown();
}
END_TEST

/* ---- Data that a kernel must refuse when it runs */

static const struct bad_data {
  const char *text, *error;
  gie_status status;
} BAD_DATA[] = {
    {"const %a : i32[3] = {1,2,3} const %b : i32[3] = {1,0,1} %y = div(%a, %b) output %y", "division by zero",
     GIE_E_DATA},
    {"const %a : u64[1] = {1} const %b : u64[1] = {0} %y = div(%a, %b) output %y", "division by zero",
     GIE_E_DATA},
    {"const %a : i64[1] = {0} const %b : i64[1] = {-2} %y = pow(%a, %b) output %y", "division by zero",
     GIE_E_DATA},
    {"const %a : i32[2,2] = {1,2,3,4} const %c : i32[2] = {1,0} %y = gemm(%a, %a) | div(%c) output %y",
     "division by zero", GIE_E_DATA},
    {"input %x : i32[0,3] const %a : i64[1] = {0} %y = reduce_mean(%x, %a) output %y", "division by zero",
     GIE_E_DATA},
    /* inputs are numbers in [-16,16] */
    {"input %x : f32[3,4] input %i : i64[20] %y = gather(%x, %i) output %y", "outside the axis", GIE_E_DATA},
    {"input %x : u8[2,3,4] input %i : i32[5,7] %y = gather(%x, %i) {axis=1} output %y", "outside the axis",
     GIE_E_DATA},
    {"input %x : f32[0,4] input %i : i64[1] %y = gather(%x, %i) output %y", "outside the axis", GIE_E_DATA},
};

START_TEST(bad_data)
{
  struct op_case c = {"bad_data", "", BAD_DATA[_i].text};
  struct gie_graph *g;
  struct op_result out[MAX_IO];
  setup();
  gie_status st = op_case_graph(ctx, &c, NULL, &g);
  ck_assert_msg(st == GIE_OK, "%s", gie_error_text(ctx));
  const struct gie_node *n = op_case_node(g);
  for (unsigned f = 0; f < N_OP_FORMS; f++) {
    ck_gie(ctx, op_run(&device, g, n, kernel_of(n->op->name), NULL, &OP_FORMS[f], out), BAD_DATA[_i].status);
    ck_assert_msg(strstr(gie_error_text(ctx), BAD_DATA[_i].error) != NULL, "%s", gie_error_text(ctx));
  }
  gie_graph_free(g);
  teardown();
}
END_TEST

/* ---- Numbers */

/* Runs a cast of the 65536 elements at `from` with the plainest problem. */
static void cast_all(const char *text, void *from, void *to)
{
  static const struct gie_layout plain;
  struct op_case c = {"cast", "", text};
  struct gie_graph *g;
  struct gie_desc in, out;
  void *instance;
  ck_gie_ok(ctx, op_case_graph(ctx, &c, NULL, &g));
  const struct gie_node *n = op_case_node(g);
  const struct gie_kernel *k = kernel_of("cast");
  ck_gie_ok(ctx, gie_desc_make(ctx, &gie_value_get(g, n->in[0])->type, &plain, &in, NULL));
  ck_gie_ok(ctx, gie_desc_make(ctx, &gie_value_get(g, n->out[0])->type, &plain, &out, NULL));
  struct gie_problem p = {.struct_size = sizeof p, .ctx = ctx, .graph = g, .node = n, .n_in = 1, .n_out = 1};
  struct gie_launch l = {.struct_size = sizeof l, .in = &from, .out = &to, .threads = 1, .ctx = ctx};
  p.in = &in;
  p.out = &out;
  ck_gie_ok(ctx, k->create(k, &p, NULL, &instance));
  ck_gie_ok(ctx, k->run(instance, &l));
  k->destroy(instance);
  gie_graph_free(g);
}

/* All 16-bit floats come back from f32 unchanged, and the core's conversions agree. */
START_TEST(sixteen_bit_floats)
{
  uint16_t *bits = malloc(65536 * sizeof *bits), *back = malloc(65536 * sizeof *back);
  float *f = malloc(65536 * sizeof *f);
  bool bf16 = _i == 1;
  ck_assert(bits && back && f);
  setup();
  for (int i = 0; i < 65536; i++)
    bits[i] = (uint16_t)i;
  cast_all(bf16 ? "input %x : bf16[65536] %y = cast(%x) {to=f32} output %y"
                : "input %x : f16[65536] %y = cast(%x) {to=f32} output %y",
           bits, f);
  cast_all(bf16 ? "input %x : f32[65536] %y = cast(%x) {to=bf16} output %y"
                : "input %x : f32[65536] %y = cast(%x) {to=f16} output %y",
           f, back);
  for (int i = 0; i < 65536; i++) {
    float want = bf16 ? gie_bf16_to_f32((uint16_t)i) : gie_f16_to_f32((uint16_t)i);
    uint16_t core = bf16 ? gie_f32_to_bf16(want) : gie_f32_to_f16(want);
    if (want != want)
      ck_assert_msg(f[i] != f[i], "%04x is %g, not NaN", (unsigned)i, (double)f[i]);
    else
      ck_assert_msg(f[i] == want && back[i] == i && core == i,
                    "%04x: %g instead of %g, back as %04x, core %04x", (unsigned)i, (double)f[i],
                    (double)want, back[i], core);
  }
  teardown();
  free(bits);
  free(back);
  free(f);
}
END_TEST

/* ---- The device */

START_TEST(host_device)
{
  static const size_t sizes[] = {0, 1, 255, 100000};
  void *p[4], *other;
  setup();
  ck_assert_int_eq(device.ops->count(ctx), 1);
  ck_gie(ctx, device.ops->open(ctx, 1, &other), GIE_E_DEVICE);
  ck_assert(device.info.flags & GIE_DEVICE_HOST);
  ck_assert(!(device.info.flags & GIE_DEVICE_F16));
  ck_assert(device.info.name[0] && device.info.memory > 0);
  for (int i = 0; i < 4; i++) {
    ck_gie_ok(ctx, device.ops->alloc(device.dev, sizes[i], &p[i]));
    ck_assert_uint_eq((uintptr_t)p[i] % 256, 0);
    memset(p[i], i, sizes[i]);
  }
  ck_gie_ok(ctx, device.ops->copy(device.dev, p[3], p[2], 255, GIE_COPY_ON_DEVICE, NULL));
  ck_assert_int_eq(((char *)p[3])[254], 2);
  ck_assert_int_eq(((char *)p[3])[255], 3);
  for (int i = 0; i < 4; i++)
    device.ops->free(device.dev, p[i]);
  device.ops->free(device.dev, NULL);
  ck_gie(ctx, device.ops->alloc(device.dev, SIZE_MAX - 100, &other), GIE_E_MEMORY);
  ck_gie(ctx, device.ops->alloc(device.dev, SIZE_MAX / 2, &other), GIE_E_MEMORY);
  teardown();
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("cpu kernels");
  TCase *tcase = check_tcase(suite, "cpu kernels", NULL, NULL);
  tcase_add_loop_test(tcase, cases, 0, (int)N_OP_CASES);
  tcase_add_test(tcase, every_op_has_a_kernel_and_a_case);
  tcase_add_loop_test(tcase, random_windows, 0, 4);
  tcase_add_test(tcase, failing_memory);
  tcase_add_loop_test(tcase, bad_problem, 0, (int)(sizeof BAD_PROBLEMS / sizeof *BAD_PROBLEMS));
  tcase_add_loop_test(tcase, bad_data, 0, (int)(sizeof BAD_DATA / sizeof *BAD_DATA));
  tcase_add_loop_test(tcase, sixteen_bit_floats, 0, 2);
  tcase_add_test(tcase, host_device);
  return check_suite(suite);
}
