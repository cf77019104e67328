/* SPDX-License-Identifier: Apache-2.0 */
/* The cudnn kernels against the reference, where there is a device; else skipped. Op cases of every op that they
 * list, and convolutions with channels that fast engines like, under every step that can be fused: operands
 * computed and constant, dense and as views; of the engines of a case the first and some others, the same in each run.
 * CUDNN_TEST_ENGINES (default 2) is how many engines of a case are run: each may take the library a second to compile. */
#include "tests/gie_check.h"
#include "tests/op_problem.h"

#define MAX_IO OP_MAX_IO
#define MAX_VARIANTS 256

static struct gie_context *ctx;
static struct op_device device, host;
static uint32_t max_engines;
static time_t began;
static struct {
  int cases, offered, runs, packed, refused, wrong;
} taken;

static bool has_device(void)
{
  ctx = op_context();
  bool found = op_kernel(ctx, "cudnn.conv") != NULL;
  gie_context_free(ctx);
  return found && op_has_device("cuda");
}

static void setup(void)
{
  const char *engines = getenv("CUDNN_TEST_ENGINES");
  max_engines = engines ? (uint32_t)strtoul(engines, NULL, 10) : 2;
  memset(&taken, 0, sizeof taken);
  began = time(NULL);
  ctx = op_context();
  op_device_open(ctx, "cpu", &host);
  op_device_open(ctx, "cuda", &device);
  ck_gie_ok(ctx, op_kernel(ctx, "cudnn.conv")->library->open(ctx, device.dev, &device.library));
}

static void teardown(void)
{
  op_kernel(ctx, "cudnn.conv")->library->close(device.library);
  op_device_close(&device);
  op_device_close(&host);
  gie_context_free(ctx);
}

/* ---- One problem */

struct question {
  struct gie_graph *g;
  const struct gie_node *n;
  const struct gie_kernel *k;
  struct op_problem o;
};

static bool ask(struct question *q, struct gie_graph *g, char *why, size_t size)
{
  q->g = g;
  q->n = op_case_node(g);
  q->k = op_kernel_of(ctx, "cudnn", q->n->op->name);
  if (!q->k || op_problem_make(&device, g, "cuda", &q->o) != GIE_OK)
    return false;
  if (q->k->supports(q->k, &q->o.p, why, size))
    return true;
  ck_assert_msg(*why != 0, "%s refuses without a reason", q->k->name);
  return false;
}

/* ---- A case */

/* TF32 has f16's 10 bits for the factors; the sums are of a few hundred products. */
static double tolerance(const struct question *q, const struct gie_variant *v)
{
  enum gie_dtype t = q->o.p.out[0].dtype;
  if (strstr(v->label, "tf32"))
    return 0x1p-9;
  return t == GIE_F16 ? 0x1p-9 : t == GIE_BF16 ? 0x1p-6 : 2e-5;
}

static void run_variant(const char *name, struct question *q, const struct gie_variant *v,
                        const struct op_result *want)
{
  struct op_result out[MAX_IO];
  char what[256];
  bool all_dense = true;
  for (uint32_t i = 0; i < v->n_in; i++)
    all_dense &= !v->in[i].pitch;
  for (unsigned f = 0; f < (all_dense && !v->out[0].pitch ? 1 : 2); f++) {
    gie_status st = op_run(&device, q->g, q->n, q->k, v, &OP_FORMS[f], out);
    taken.runs++;
    if (st == GIE_E_UNSUPPORTED) { /* said when the plan is made: an engine less */
      taken.refused++;
      continue;
    }
    if (st != GIE_OK || !op_compare(&out[0], want, tolerance(q, v), what, sizeof what)) {
      printf("%s, %s, %s: %s\n", name, v->label, OP_FORMS[f].name, st == GIE_OK ? what : gie_error_text(ctx));
      taken.wrong++;
    }
    if (st == GIE_OK)
      op_results_free(ctx, out, q->n->n_out);
  }
}

/* Whether variants compute in the graph's own element types: the others are another problem. */
static bool is_own(const struct question *q, const struct gie_variant *v)
{
  return v->in[0].dtype == GIE_DTYPE_NONE || v->in[0].dtype == q->o.p.in[0].dtype;
}

/* Other engines for each case, the same in each run. */
static uint32_t seed_of(const char *name)
{
  uint32_t seed = 2166136261u;
  while (*name)
    seed = (seed ^ (unsigned char)*name++) * 16777619u;
  return seed;
}

static void check_variants(const char *name, struct question *q)
{
  static struct gie_variant v[MAX_VARIANTS];
  struct op_result want[MAX_IO];
  memset(v, 0, sizeof v);
  uint32_t n = q->k->variants(q->k, &q->o.p, v, MAX_VARIANTS), kept = 0;
  ck_assert_uint_le(n, MAX_VARIANTS);
  for (uint32_t i = 0; i < n; i++) {
    struct gie_pack packs[GIE_MAX_IO];
    ck_assert_msg(v[i].label[0] != 0 && v[i].capture_safe && v[i].n_steps == q->n->n_steps, "%s: variant %u",
                  name, i);
    for (uint32_t j = 0; j < i; j++)
      ck_assert_msg(v[i].config != v[j].config, "%s: two variants with config %llx", name,
                    (unsigned long long)v[i].config);
    if (!is_own(q, &v[i]))
      continue;
    memset(packs, 0, sizeof packs);
    if (q->k->pack_desc)
      taken.packed += (int)q->k->pack_desc(q->k, &q->o.p, &v[i], packs, GIE_MAX_IO);
    v[kept++] = v[i];
  }
  taken.offered += (int)n;
  if (kept == 0)
    return;
  gie_status st = op_run(&host, q->g, q->n, op_kernel_of(ctx, "cpu", q->n->op->name), NULL, &OP_FORMS[0],
                         want);
  ck_assert_msg(st == GIE_OK, "%s: %s", name, gie_error_text(ctx));
  run_variant(name, q, &v[0], want);
  for (uint32_t i = 1, left = kept - 1, seed = seed_of(name); i < max_engines && left > 0; i++, left--) {
    seed = seed * 1664525u + 1013904223u;
    uint32_t at = 1 + (seed >> 8) % left; /* of those that were not run, which are in front */
    run_variant(name, q, &v[at], want);
    v[at] = v[left];
  }
  op_results_free(ctx, want, q->n->n_out);
}

/* Operands behind the first are inputs, then (or only) constants. */
static void check_case(const struct op_case *c, const char *dtype, bool only_constant)
{
  char name[128];
  snprintf(name, sizeof name, "%s %s", c->name, dtype);
  for (int constant = only_constant; constant < 2; constant++) {
    struct gie_graph *g;
    struct question q;
    char why[256] = "";
    int before = taken.runs - taken.refused;
    gie_status st = op_case_graph(ctx, c, dtype, &g);
    ck_assert_msg(st == GIE_OK, "%s", gie_error_text(ctx));
    if (constant)
      ck_gie_ok(ctx, op_make_constant(g));
    if (ask(&q, g, why, sizeof why))
      check_variants(name, &q);
    taken.cases += constant && taken.runs - taken.refused > before;
    gie_graph_free(g);
  }
}

static bool is_listed(const struct op_case *c)
{
  struct gie_graph *g;
  char dtype[8];
  ck_assert(op_case_dtype(c, 0, dtype));
  ck_gie_ok(ctx, op_case_graph(ctx, c, dtype, &g));
  bool listed = op_kernel_of(ctx, "cudnn", op_case_node(g)->op->name) != NULL;
  gie_graph_free(g);
  return listed;
}

static bool is_float(const char *dtype)
{
  return strcmp(dtype, "f32") == 0 || strcmp(dtype, "f16") == 0 || strcmp(dtype, "bf16") == 0;
}

static void show(void)
{
  printf("%d cases, %d variants offered, %d runs, %d refused when made, %d packed, %d wrong, %d s\n",
         taken.cases, taken.offered, taken.runs, taken.refused, taken.packed, taken.wrong,
         (int)(time(NULL) - began));
}

/* Cases about NaN, which cuDNN's max pool does not keep. */
static bool is_about_nan(const struct op_case *c) { return strcmp(c->name, "max_pool_nan") == 0; }

START_TEST(cases)
{
  char dtype[8];
  setup();
  for (unsigned i = 0; i < N_OP_CASES; i++)
    for (unsigned d = 0;
         !is_about_nan(&OP_CASES[i]) && is_listed(&OP_CASES[i]) && op_case_dtype(&OP_CASES[i], d, dtype); d++)
      if (is_float(dtype))
        check_case(&OP_CASES[i], dtype, false);
  show();
  ck_assert_int_eq(taken.wrong, 0);
  ck_assert_int_ge(taken.cases, 30);
  ck_assert_int_ge(taken.packed, 100);
  teardown();
}
END_TEST

/* ---- Convolutions as networks have them, each followed by every step */

static const char *const STEPS[] = {
    "",
    "| relu",
    "| leaky_relu {alpha=0.1}",
    "| clip {min=0.0, max=6.0}",
    "| sigmoid",
    "| tanh",
    "| elu {alpha=0.7}",
    "| gelu",
    "| gelu {tanh=1}",
    "| silu",
    "| softplus",
    "| hard_sigmoid",
    "| hard_swish",
    "| mish",
    "| abs | sqrt",
    "| mul(%small) | exp",
    "| abs | add(%one) | log",
    "| neg",
    "| erf",
    "| floor",
    "| ceil",
    "| identity",
    "| add(%r)",
    "| add(%r) | relu",
    "| relu | add(%r)",
    "| mul(%c)",
    "| sub(%c) | max(%one)",
    "| reverse sub(%c) | min(%one)",
    "| div(%two)",
    "| prelu(%c)",
    "| mul(%c) | add(%r) | silu",
};

static void run_steps(const char *dtype, const char *conv, const char *result, size_t stride)
{
  for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS; i += stride) {
    char text[1024];
    struct op_case c = {STEPS[i], dtype, text};
    snprintf(
        text, sizeof text,
        "%s input %%r : %s input %%c : T[24,1,1] const %%one : T[] = {1} const %%two : T[1] = {2} const %%small : T[] = {0.015625} "
        "%%y = %s %s output %%y",
        "input %x : T[2,16,9,8] input %w : T[24,16,3,3] input %b : T[24]", result, conv, STEPS[i]);
    check_case(&c, dtype, true);
  }
}

START_TEST(steps)
{
  const char *dtype = _i == 0 ? "f16" : "f32";
  setup();
  max_engines = 1;
  run_steps(dtype, "conv(%x, %w, %b) {pad=[1,1,1,1]}", "T[2,24,9,8]", _i == 0 ? 1 : 4);
  run_steps(dtype, "conv(%x, %w) {pad=[1,0,0,1], stride=[2,1]}", "T[2,24,4,7]", 5);
  show();
  ck_assert_int_eq(taken.wrong, 0);
  ck_assert_int_ge(taken.cases, _i == 0 ? 20 : 10);
  teardown();
}
END_TEST

/* Windows that networks have, in sizes that fast engines take. */
static const struct op_case WINDOWS[] = {
#define OP_CASE(name, dtypes, text) {#name, dtypes, text},
#include "tests/cudnn/windows.def"
#undef OP_CASE
};

START_TEST(windows)
{
  char dtype[8];
  setup();
  device.math = _i == 0 ? GIE_MATH_STRICT : GIE_MATH_TF32;
  for (size_t i = 0; i < sizeof WINDOWS / sizeof *WINDOWS; i++)
    for (unsigned d = 0; op_case_dtype(&WINDOWS[i], d, dtype); d++)
      if (_i == 0 || strcmp(dtype, "f32") == 0)
        check_case(&WINDOWS[i], dtype, false);
  show();
  ck_assert_int_eq(taken.wrong, 0);
  ck_assert_int_ge(taken.cases, 10);
  teardown();
}
END_TEST

int main(void)
{
  const struct {
    const char *name;
    const TTest *test;
    int i;
  } parts[] = {{"cases", cases, 0},
               {"steps f16", steps, 0},
               {"steps f32", steps, 1},
               {"windows", windows, 0},
               {"windows tf32", windows, 1}};
  if (!has_device()) {
    printf("skipped: needs a device of kind cuda\n");
    return 77;
  }
  /* a case each: several processes can share the work (CK_RUN_CASE) */
  Suite *suite = suite_create("cudnn");
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    TCase *tcase = check_tcase(suite, parts[i].name, NULL, NULL);
    tcase_set_timeout(tcase, 900);
    tcase_add_loop_test(tcase, parts[i].test, parts[i].i, parts[i].i + 1);
  }
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
  return check_suite_in(suite, CK_NOFORK); /* a device that was initialized does not survive a fork */
}
