/* SPDX-License-Identifier: Apache-2.0 */
/* Every kernel of the cuda backend on every op case that it takes: each variant, all layouts and views that its ports
 * allow, operands computed and constant, against the reference kernel on the host; then larger tensors and windows of
 * random geometry. A kernel that took no case at all is a failure too. Without a device the test is skipped (exit 77).
 *
 * GIE_TEST_KERNELS=PREFIX takes only kernels whose names begin with it ("cuda.max_pool"), also of another module;
 * GIE_TEST_QUICK=1 takes the first variant of each kernel in three forms, for checkers that make launches slow. */
#include "tests/gie_check.h"
#include "tests/op_problem.h"

#include <stdlib.h>

#define MAX_VARIANTS 64
#define MAX_SHOWN 12    /* lines for one kernel */
#define MAX_KERNELS 512 /* of all modules */

static struct gie_context *ctx;
static struct op_device host, device;
static const char *prefix;
static int tried[MAX_KERNELS]; /* runs that came to an end, of each kernel */

static struct {
  int cases, variants, runs, refused, wrong;
} taken;

static void open_devices(void)
{
  const char *only = getenv("GIE_TEST_KERNELS");
  prefix = only ? only : "cuda.";
  ctx = op_context();
  op_device_open(ctx, "cpu", &host);
  op_device_open(ctx, "cuda", &device);
}

/* ---- One variant */

static void wrong(const char *name, const char *dtype, const struct gie_kernel *k,
                  const struct gie_variant *v, const char *form, const char *text)
{
  static const struct gie_kernel *last;
  static int shown;
  shown = k == last ? shown + 1 : 1;
  last = k;
  taken.wrong++;
  if (shown <= MAX_SHOWN)
    printf("%s, %s, %s %s(%llu), %s: %s\n", name, dtype, k->name, v->label, (unsigned long long)v->config,
           form, text);
}

/* A variant that changes dtypes is tried where the problem has them already, unless the kernel has no other. */
static bool changes_dtypes(const struct op_problem *q, const struct gie_variant *v)
{
  for (uint32_t i = 0; i < v->n_in; i++)
    if (v->in[i].dtype != GIE_DTYPE_NONE && v->in[i].dtype != q->p.in[i].dtype)
      return true;
  return false;
}

/* What result i of a variant is rounded to. */
static enum gie_dtype dtype_of(const struct op_result *out, const struct gie_variant *v, uint32_t i)
{
  return i < v->n_out && v->out[i].dtype != GIE_DTYPE_NONE ? v->out[i].dtype : out->type.dtype;
}

/* Forms that make a difference: a variant that says its layouts is run dense and as views only. */
static unsigned forms_of(const struct gie_variant *v)
{
  return v->n_in == 0 || v->in[0].layout.any ? N_OP_FORMS : 2;
}

static void run_variant(const char *name, const char *dtype, const struct op_problem *q,
                        const struct gie_graph *g, const struct gie_kernel *k, const struct gie_variant *v,
                        const struct op_result *want, int *done)
{
  struct op_result out[OP_MAX_IO];
  char text[256];
  for (unsigned f = 0; f < forms_of(v); f += op_quick() && forms_of(v) > 2 ? 3 : 1) {
    gie_status st = op_run(&device, g, q->n, k, v, &OP_FORMS[f], out);
    taken.runs++;
    if (st == GIE_E_UNSUPPORTED && f > 0) {
      taken.refused++;
      continue;
    }
    if (st != GIE_OK) {
      wrong(name, dtype, k, v, OP_FORMS[f].name, gie_error_text(ctx));
      if (st == GIE_E_DEVICE) /* nothing works after that */
        ck_abort_msg("%s", gie_error_text(ctx));
      continue;
    }
    for (uint32_t i = 0; i < q->n->n_out; i++)
      if (!op_compare(&out[i], &want[i], op_tolerance(dtype_of(&out[i], v, i)), text, sizeof text))
        wrong(name, dtype, k, v, OP_FORMS[f].name, text);
    op_results_free(ctx, out, q->n->n_out);
    *done += 1;
  }
}

static void check_kernel(const char *name, const char *dtype, struct gie_graph *g, struct op_problem *q,
                         const struct gie_kernel *k, int *done)
{
  static struct gie_variant v[MAX_VARIANTS];
  struct op_result want[OP_MAX_IO];
  char why[256] = "";
  if (!k->supports(k, &q->p, why, sizeof why)) {
    if (!why[0])
      wrong(name, dtype, k, &v[0], "supports", "refused without a reason");
    return;
  }
  memset(v, 0, sizeof v);
  v[0] = (struct gie_variant){.struct_size = sizeof v[0], .n_steps = q->n->n_steps, .in_place = -1};
  v[0].any_in.layout.any = v[0].any_out.layout.any = v[0].any_in.pitch = v[0].any_out.pitch = true;
  uint32_t n = k->variants ? k->variants(k, &q->p, v, MAX_VARIANTS) : 1;
  if (n == 0 || n > MAX_VARIANTS)
    wrong(name, dtype, k, &v[0], "variants", "none, or too many");
  bool own = false;
  for (uint32_t i = 0; i < n && i < MAX_VARIANTS; i++)
    own |= !changes_dtypes(q, &v[i]);
  for (uint32_t i = 0; i < n && i < MAX_VARIANTS; i++) {
    /* a variant that fuses fewer steps computes the node cut after these */
    struct gie_variant cut = {.struct_size = sizeof cut, .n_steps = v[i].n_steps};
    cut.any_in.layout.any = cut.any_out.layout.any = true;
    for (uint32_t j = 0; j < i; j++)
      if (v[i].config == v[j].config)
        wrong(name, dtype, k, &v[i], "variants", "two of them have one config");
    if (own && changes_dtypes(q, &v[i]))
      continue;
    gie_status st = op_run(&host, g, q->n, op_kernel_of(ctx, "cpu", q->n->op->name), &cut, &OP_FORMS[0],
                           want);
    ck_assert_msg(st == GIE_OK, "%s, %s: %s", name, dtype, gie_error_text(ctx));
    run_variant(name, dtype, q, g, k, &v[i], want, done);
    op_results_free(ctx, want, q->n->n_out);
    taken.variants++;
    if (op_quick())
      break;
  }
  taken.cases++;
}

static bool takes(const struct gie_kernel *k, const char *op)
{
  if (strcmp(k->device, "cuda") != 0 || strncmp(k->name, prefix, strlen(prefix)) != 0)
    return false;
  for (const char *const *o = k->ops; *o; o++)
    if (strcmp(*o, op) == 0)
      return true;
  return false;
}

static void check_case(const struct op_case *c, const char *dtype)
{
  for (int constant = 0; constant < 2; constant++) {
    struct gie_graph *g;
    struct op_problem q;
    const struct gie_kernel *k;
    gie_status st = op_case_graph(ctx, c, dtype, &g);
    ck_assert_msg(st == GIE_OK, "%s", gie_error_text(ctx));
    if (constant)
      ck_gie_ok(ctx, op_make_constant(g));
    bool weights = op_case_node(g)->op->flags & GIE_OP_EPILOGUE;
    if ((!constant || weights) && op_problem_make(&device, g, "cuda", &q) == GIE_OK)
      for (uint32_t i = 0; (k = gie_kernel_at(ctx, i)) != NULL; i++)
        if (i < MAX_KERNELS && takes(k, q.n->op->name))
          check_kernel(c->name, dtype, g, &q, k, &tried[i]);
    gie_graph_free(g);
  }
}

static void summary(void)
{
  printf("%d cases, %d variants, %d runs (%d refused), %d wrong\n", taken.cases, taken.variants, taken.runs,
         taken.refused, taken.wrong);
  ck_assert_int_eq(taken.wrong, 0);
  memset(&taken, 0, sizeof taken);
}

START_TEST(cases)
{
  char dtype[8];
  for (unsigned i = 0; i < N_OP_CASES; i++)
    for (unsigned d = 0; (d < 2 || !op_quick()) && op_case_dtype(&OP_CASES[i], d, dtype); d++)
      check_case(&OP_CASES[i], dtype);
  summary();
}
END_TEST

START_TEST(random_windows)
{
  for (uint32_t i = 0; i < (op_quick() ? 20 : 120); i++)
    for (int half = 0; half < 2; half++) {
      char text[512], name[32];
      struct op_case c = {name, half ? "f16" : "f32", text};
      struct gie_graph *g;
      op_random_window((int)(i % 5), i, text, sizeof text);
      snprintf(name, sizeof name, "random %u", (unsigned)i);
      if (op_case_graph(ctx, &c, NULL, &g) != GIE_OK)
        continue;
      gie_graph_free(g);
      check_case(&c, c.dtypes);
    }
  summary();
}
END_TEST

/* Tensors that are long enough for vectors, tiles and several blocks, with extents that divide nothing. */
START_TEST(larger)
{
  static const struct op_case LARGER[] = {
      {"reorder", "f32 f16 i8 i64", "input %x : T[2,70,33,67] %y = reorder(%x) output %y"},
      {"reorder even", "f32 f16", "input %x : T[4,64,32,64] %y = reorder(%x) output %y"},
      {"cast", "f32 f16", "input %x : T[2,72,16,32] %y = cast(%x) {to=f16} output %y"},
      {"cast back", "f16", "input %x : T[2,70,17,32] %y = cast(%x) {to=f32} output %y"},
      {"transpose", "f32 f16", "input %x : T[96,2,130] %y = transpose(%x) {perm=[2,1,0]} output %y"},
      {"add", "f32 f16", "input %a : T[2,64,28,28] input %b : T[2,64,28,28] %y = add(%a, %b) output %y"},
      {"add channels", "f32 f16", "input %a : T[2,40,15,17] input %b : T[40,1,1] %y = add(%a, %b) output %y"},
      {"concat", "f32 f16",
       "input %a : T[2,24,14,14] input %b : T[2,48,14,14] %y = concat(%a, %b) {axis=1} output %y"},
      {"max_pool", "f32 f16",
       "input %x : T[2,72,29,31] %y = max_pool(%x) {kernel=[3,3], stride=[2,2], pad=[1,1,1,1]} output %y"},
      {"average_pool", "f32 f16",
       "input %x : T[2,72,29,31] %y = average_pool(%x) {kernel=[3,3], pad=[1,1,1,1]} output %y"},
      {"large pool", "f16",
       "input %x : T[4,128,64,64] %y = max_pool(%x) {kernel=[3,3], stride=[2,2], pad=[1,1,1,1]} output %y"},
      {"global_average_pool", "f32 f16", "input %x : T[3,200,13,11] %y = global_average_pool(%x) output %y"},
      {"reduce_max", "f32 f16",
       "input %x : T[5,700,33] const %a : i64[1] = {1} %y = reduce_max(%x, %a) output %y"},
      {"reduce_sum", "f32",
       "input %x : T[3,70001] const %a : i64[1] = {1} %y = reduce_sum(%x, %a) output %y"},
      {"softmax", "f32 f16", "input %x : T[7,1000] %y = softmax(%x) output %y"},
      {"softmax channels", "f32 f16", "input %x : T[2,21,40,33] %y = softmax(%x) {axis=1} output %y"},
      {"softmax long", "f32", "input %x : T[2,50001] %y = softmax(%x) output %y"},
      {"layer_norm", "f32 f16",
       "input %x : T[9,7,768] input %s : T[768] input %b : T[768] %y = layer_norm(%x, %s, %b) output %y"},
      {"instance_norm", "f32 f16",
       "input %x : T[2,20,41,33] input %s : T[20] input %b : T[20] %y = instance_norm(%x, %s, %b) output %y"},
      {"lrn", "f32 f16", "input %x : T[2,64,27,27] %y = lrn(%x) {size=5} output %y"},
      {"resize", "f32 f16",
       "input %x : T[2,33,20,21] const %s : f32[4] = {1.0,1.0,2.0,2.0} %y = resize(%x, _, %s) {mode=\"linear\"} output %y"},
      {"large pool of stride 1", "f16 f32",
       "input %x : T[8,128,27,29] %y = max_pool(%x) {kernel=[3,3], pad=[1,1,1,1]} output %y"},
      {"large average pool", "f16 f32",
       "input %x : T[8,128,27,29] %y = average_pool(%x) {kernel=[3,3], pad=[1,1,1,1]} output %y"},
      {"large global pool", "f16 f32", "input %x : T[64,1024,7,7] %y = global_average_pool(%x) output %y"},
      {"depthwise", "f32 f16",
       "input %x : T[2,96,29,31] input %w : T[96,1,3,3] input %b : T[96] input %r : T[2,96,29,31] %y = conv(%x, %w, %b) {group=96, pad=[1,1,1,1]} | add(%r) | clip {min=0.0, max=6.0} output %y"},
      {"depthwise strided", "f32 f16",
       "input %x : T[2,96,29,31] input %w : T[96,1,5,5] input %b : T[96] %y = conv(%x, %w, %b) {group=96, pad=[2,2,2,2], stride=[2,2]} | relu output %y"},
      /* what the launchers tell apart by sizes and divisibility */
      {"softmax of many short rows", "f32 f16", "input %x : T[17001,21] %y = softmax(%x) output %y"},
      {"softmax of rows of 32", "f16 f32", "input %x : T[17001,32] %y = log_softmax(%x) output %y"},
      {"softmax of rows of 50", "f32 f16", "input %x : T[16500,50] %y = softmax(%x) output %y"},
      {"softmax of few channels", "f32 f16",
       "input %x : T[2,9,40,36] %y = log_softmax(%x) {axis=1} output %y"},
      {"softmax of 30 channels", "f32 f16", "input %x : T[2,30,40,36] %y = softmax(%x) {axis=1} output %y"},
      {"instance_norm in chunks", "f32 f16",
       "input %x : T[2,96,33,40] input %s : T[96] input %b : T[96] %y = instance_norm(%x, %s, %b) output %y"},
      {"instance_norm of long rows", "f32 f16",
       "input %x : T[1,3,120,110] input %s : T[3] input %b : T[3] %y = instance_norm(%x, %s, %b) output %y"},
      {"lrn of 3", "f32 f16", "input %x : T[2,48,28,28] %y = lrn(%x) {size=3, beta=0.5} output %y"},
      {"lrn of 5", "f32 f16", "input %x : T[2,48,28,28] %y = lrn(%x) {size=5} output %y"},
      {"lrn of 7", "f32 f16", "input %x : T[2,40,28,30] %y = lrn(%x) {size=7} output %y"},
      {"resize nearest", "f32 f16",
       "input %x : T[3,16,20,70] const %s : f32[4] = {1.0,1.0,2.0,2.0} %y = resize(%x, _, %s) output %y"},
      {"resize linear", "f32 f16",
       "input %x : T[3,16,20,70] const %s : f32[4] = {1.0,1.0,2.0,2.0} %y = resize(%x, _, %s) {mode=\"linear\"} output %y"},
      {"resize cubic", "f32 f16",
       "input %x : T[2,8,20,45] const %s : f32[4] = {1.0,1.0,1.5,3.1} %y = resize(%x, _, %s) {mode=\"cubic\"} output %y"},
      {"resize to corners", "f32 f16",
       "input %x : T[1,8,33,300] const %z : i64[4] = {1,8,20,151} %y = resize(%x, _, _, %z) {mode=\"linear\", coordinate=\"align_corners\"} output %y"},
      {"resize to a tenth", "f32 f16",
       "input %x : T[1,3,40,2000] const %z : i64[4] = {1,3,20,200} %y = resize(%x, _, _, %z) {mode=\"linear\"} output %y"},
      {"global pool of many channels", "f32 f16",
       "input %x : T[64,8192,2,2] %y = global_average_pool(%x) output %y"},
      {"reduce rows of 64", "f32 f16",
       "input %x : T[17001,64] const %a : i64[1] = {1} %y = reduce_l2(%x, %a) output %y"},
      {"pool of rows of 56", "f32 f16",
       "input %x : T[2,8,28,56] %y = max_pool(%x) {kernel=[3,3], stride=[2,2], pad=[1,1,1,1]} output %y"},
      {"average pool of rows of 28", "f32 f16",
       "input %x : T[2,8,30,28] %y = average_pool(%x) {kernel=[3,3], pad=[1,1,1,1]} output %y"},
      {"average pool of 2x2", "f32 f16",
       "input %x : T[2,8,30,48] %y = average_pool(%x) {kernel=[2,2], stride=[2,2]} output %y"},
      {"depthwise rows of 56", "f32 f16",
       "input %x : T[2,16,28,56] input %w : T[16,1,3,3] input %b : T[16] input %r : T[2,16,28,56] %y = conv(%x, %w, %b) {group=16, pad=[1,1,1,1]} | add(%r) | clip {min=0.0, max=6.0} output %y"},
      {"depthwise 5x5", "f32 f16",
       "input %x : T[2,24,33,28] input %w : T[24,1,5,5] input %b : T[24] %y = conv(%x, %w, %b) {group=24, pad=[2,2,2,2]} | relu output %y"},
      {"depthwise 5x5 strided", "f32 f16",
       "input %x : T[2,24,33,28] input %w : T[24,1,5,5] %y = conv(%x, %w) {group=24, pad=[2,2,2,2], stride=[2,2]} output %y"},
      {"depthwise without padding", "f32 f16",
       "input %x : T[1,40,70,17] input %w : T[40,1,3,3] input %b : T[40] %y = conv(%x, %w, %b) {group=40} | silu output %y"},
  };
  char dtype[8];
  for (size_t i = 0; i < sizeof LARGER / sizeof *LARGER; i++)
    for (unsigned d = 0; op_case_dtype(&LARGER[i], d, dtype); d++)
      check_case(&LARGER[i], dtype);
  summary();
}
END_TEST

/* Modules register what their tables have (backends/cuda/families.def): nothing of that was left out. */
START_TEST(every_kernel)
{
  const struct gie_kernel *k;
  int n = 0, missing = 0;
  for (uint32_t i = 0; (k = gie_kernel_at(ctx, i)) != NULL; i++) {
    if (strcmp(k->device, "cuda") != 0 || strncmp(k->name, prefix, strlen(prefix)) != 0)
      continue;
    n++;
    if (i < MAX_KERNELS && tried[i] > 0)
      continue;
    printf("%s was never run\n", k->name);
    missing++;
  }
  printf("%d kernels, %d of them never run\n", n, missing);
  ck_assert_int_gt(n, 0);
  ck_assert_int_eq(missing, 0);
}
END_TEST

int main(void)
{
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
  if (!op_has_device("cuda")) {
    printf("needs a device of kind cuda: skipped\n");
    return 77;
  }
  open_devices();
  printf("%s, %s\n", device.info.name, device.info.version);
  const TTest *const tests[] = {cases, larger, random_windows, every_kernel};
  return check_on_device("cuda kernels", tests, sizeof tests / sizeof *tests);
}
