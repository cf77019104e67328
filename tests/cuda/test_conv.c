/* SPDX-License-Identifier: Apache-2.0 */
/* The convolutions and matrix products of the cuda backend on the op cases and on problems of random geometry, with
 * operands computed and constant (packed): each variant, dense and as a view, against the reference kernel, and twice for
 * the same bits. Skipped without a device. GIE_TEST_QUICK=1 tries fewer forms and problems. */
#include "tests/gie_check.h"
#include "tests/op_problem.h"

#define MAX_VARIANTS 32

static struct gie_context *ctx;
static struct op_device cpu, cuda;

static void setup(void)
{
  ctx = op_context();
  op_device_open(ctx, "cpu", &cpu);
  op_device_open(ctx, "cuda", &cuda);
  cpu.threads = 2;
}

static void teardown(void)
{
  op_device_close(&cpu);
  op_device_close(&cuda);
  gie_context_free(ctx);
}

/* ---- A case */

static struct {
  int cases, variants, runs, packed, wrong;
} taken;

static bool same_bits(const struct op_result *a, const struct op_result *b)
{
  return a->count == b->count && memcmp(a->v, b->v, (size_t)a->count * sizeof *a->v) == 0;
}

static void run_form(const struct op_case *c, const struct op_problem *q, const struct gie_kernel *k,
                     const struct gie_variant *v, const struct op_form *form, const struct op_result *want)
{
  struct op_result out, again;
  char what[256] = "";
  bool any = v->n_in == 0 && v->any_in.layout.any;
  gie_status st = op_run(&cuda, q->p.graph, q->n, k, v, form, &out);
  if (any && st == GIE_E_UNSUPPORTED && form != &OP_FORMS[0])
    return;
  bool half = v->n_out > 0 && v->out[0].dtype == GIE_F16;
  bool right = st == GIE_OK &&
               op_compare(&out, want, op_tolerance(half ? GIE_F16 : out.type.dtype), what, sizeof what);
  if (right && op_run(&cuda, q->p.graph, q->n, k, v, form, &again) == GIE_OK) {
    if (!same_bits(&out, &again)) {
      right = false;
      snprintf(what, sizeof what, "other bits in a second run");
    }
    op_results_free(ctx, &again, 1);
  }
  if (!right && taken.wrong++ < 20)
    printf("%s, %s, %s, %s: %s\n", c->name, k->name, v->label, form->name,
           st == GIE_OK ? what : gie_error_text(ctx));
  if (st == GIE_OK)
    op_results_free(ctx, &out, 1);
  taken.runs++;
}

static void check_kernel(const struct op_case *c, struct op_problem *q, const struct gie_kernel *k,
                         const struct op_result *want)
{
  static struct gie_variant v[MAX_VARIANTS];
  char why[256] = "";
  if (!k->supports(k, &q->p, why, sizeof why)) {
    ck_assert_msg(*why != 0, "%s refuses without a reason", k->name);
    return;
  }
  memset(v, 0, sizeof v);
  uint32_t n = k->variants(k, &q->p, v, MAX_VARIANTS);
  ck_assert_msg(n > 0 && n <= MAX_VARIANTS, "%s: %u variants", c->name, (unsigned)n);
  for (uint32_t i = 0; i < n; i++) {
    struct gie_cost cost = {.struct_size = sizeof cost};
    bool busy = gie_desc_count(&q->p.out[0]) > 0;
    ck_assert_msg(v[i].label[0] != 0 && v[i].capture_safe && v[i].n_steps <= q->n->n_steps, "%s: variant %u",
                  c->name, (unsigned)i);
    if (v[i].n_steps < q->n->n_steps)
      continue; /* the builder runs the others as kernels of their own */
    for (uint32_t j = 0; j < i; j++)
      ck_assert_msg(v[i].config != v[j].config, "%s: two variants with config %llu", c->name,
                    (unsigned long long)v[i].config);
    if (k->estimate)
      k->estimate(k, &q->p, &v[i], &cost);
    ck_assert_msg(!k->estimate || (cost.seconds > 0 ? cost.seconds < 1 : !busy || cost.flops > 0),
                  "%s: estimate of %s", c->name, v[i].label);
    taken.packed += k->pack_desc != NULL;
    taken.variants++;
    for (unsigned f = 0; f < (v[i].any_in.layout.any ? N_OP_FORMS : 2); f += op_quick() ? 3 : 1)
      run_form(c, q, k, &v[i], &OP_FORMS[f], want);
  }
  taken.cases++;
}

static bool is_ours(const char *op)
{
  static const char *const ops[] = {"conv", "conv_transpose", "gemm", "matmul"};
  for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
    if (strcmp(op, ops[i]) == 0)
      return true;
  return false;
}

/* `only`: this kernel; NULL: all. */
static void check_case(const struct op_case *c, const char *dtype, const char *only)
{
  static const char *const kernels[] = {"cuda.conv", "cuda.conv_image", "cuda.product", "cuda.conv_plain",
                                        "cuda.product_plain"};
  for (int constant = 0; constant < 2; constant++) {
    struct gie_graph *g;
    struct op_problem q;
    struct op_result want;
    if (op_case_graph(ctx, c, dtype, &g) != GIE_OK)
      return; /* a random window that does not fit */
    if (is_ours(op_case_node(g)->op->name)) {
      if (constant)
        ck_gie_ok(ctx, op_make_constant(g));
      if (op_problem_make(&cuda, g, "cuda", &q) == GIE_OK) {
        ck_gie_ok(ctx,
                  op_run(&cpu, g, q.n, op_kernel_of(ctx, "cpu", q.n->op->name), NULL, &OP_FORMS[0], &want));
        for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
          const struct gie_kernel *k = op_kernel(ctx, kernels[i]);
          ck_assert_msg(k != NULL, "%s is not there", kernels[i]);
          if (only && strcmp(only, kernels[i]) != 0)
            continue;
          for (size_t o = 0; k->ops[o]; o++)
            if (strcmp(k->ops[o], q.n->op->name) == 0)
              check_kernel(c, &q, k, &want);
        }
        op_results_free(ctx, &want, 1);
      }
    }
    gie_graph_free(g);
  }
}

static void report(void)
{
  printf("%d problems, %d variants, %d runs, %d packed, %d wrong\n", taken.cases, taken.variants, taken.runs,
         taken.packed, taken.wrong);
  ck_assert_int_eq(taken.wrong, 0);
}

START_TEST(cases)
{
  static const char *const dtypes[] = {"f32", "f16"};
  char dtype[8];
  setup();
  for (unsigned i = 0; i < N_OP_CASES; i++)
    for (unsigned d = 0; op_case_dtype(&OP_CASES[i], d, dtype); d++)
      for (int t = 0; t < 2; t++)
        if (strcmp(dtype, dtypes[t]) == 0)
          check_case(&OP_CASES[i], dtype, NULL);
  report();
  ck_assert_int_ge(taken.cases, 120);
  ck_assert_int_ge(taken.packed, 200);
  teardown();
}
END_TEST

/* ---- Problems of random geometry */

static uint32_t random_state;

static int below(int n)
{
  random_state = random_state * 1664525u + 1013904223u;
  return (int)((random_state >> 8) % (uint32_t)n);
}

static void random_conv(bool transposed, char *text, size_t size)
{
  static const int channels[] = {1, 3, 8, 16, 20, 32, 40};
  int group = 1 + below(2) * (1 + below(3)), c = group * channels[below(7)], k = group * channels[below(7)],
      kh = 1 + below(4), kw = 1 + below(5), n = 1 + below(2);
  char attrs[256];
  snprintf(attrs, sizeof attrs, "group=%d, stride=[%d,%d], dilation=[%d,%d], pad=[%d,%d,%d,%d]", group,
           1 + below(3), 1 + below(4), 1 + below(3), 1 + below(2), below(3), below(4), below(3), below(4));
  if (below(4) == 0)
    snprintf(attrs, sizeof attrs, "group=%d, stride=[%d,%d], auto_pad=\"same_%s\"", group, 1 + below(3),
             1 + below(3), below(2) ? "upper" : "lower");
  snprintf(text, size,
           "input %%x : T[%d,%d,%d,%d] input %%w : T[%d,%d,%d,%d] input %%b : T[%d] input %%s : T[%d,1,1] "
           "%%y = %s(%%x, %%w, %%b) {%s} | %s output %%y",
           n, c, 1 + below(12), 1 + below(20), transposed ? c : k, transposed ? k / group : c / group, kh, kw,
           k, k, transposed ? "conv_transpose" : "conv", attrs,
           below(2) ? "relu" : "mul(%s) | clip {min=-3.0, max=100.0}");
}

/* What networks for images begin with. */
static void random_image(char *text, size_t size)
{
  static const int channels[] = {3, 8, 24, 32, 40, 64, 72, 96};
  int c = 1 + below(4), k = channels[below(8)], kh = 1 + below(11), kw = 1 + below(11);
  snprintf(text, size,
           "input %%x : T[%d,%d,%d,%d] input %%w : T[%d,%d,%d,%d] input %%b : T[%d] "
           "%%y = conv(%%x, %%w, %%b) {stride=[%d,%d], pad=[%d,%d,%d,%d]} | %s output %%y",
           1 + below(3), c, kh + below(40), kw + below(50), k, c, kh, kw, k, 1 + below(4), 1 + below(4),
           below(6), below(6), below(6), below(6), below(2) ? "relu" : "clip {min=-3.0, max=6.0}");
}

static void random_product(char *text, size_t size)
{
  int m = 1 + below(70), n = 1 + below(140), k = 1 + below(90);
  bool flip = below(2);
  if (below(2))
    snprintf(text, size,
             "input %%a : T[%d,%d] input %%b : T[%d,%d] input %%c : T[%d] %%y = gemm(%%a, %%b, %%c) "
             "{trans_b=%d} | leaky_relu {alpha=0.25} output %%y",
             m, k, flip ? n : k, flip ? k : n, n, flip);
  else
    snprintf(text, size,
             "input %%a : T[%d,%d,%d] input %%b : T[%d,%d] input %%r : T[%d,%d] "
             "%%y = matmul(%%a, %%b) | add(%%r) output %%y",
             1 + below(3), m, k, k, n, m, n);
}

START_TEST(random_problems)
{
  setup();
  for (int i = 0; i < (op_quick() ? 24 : 120); i++) {
    char text[512], name[32];
    struct op_case c = {name, "f32 f16", text};
    random_state = 17u + (uint32_t)i;
    if (i % 5 == 4)
      random_image(text, sizeof text);
    else if (i % 5 == 3)
      random_product(text, sizeof text);
    else
      random_conv(i % 5 == 2, text, sizeof text);
    snprintf(name, sizeof name, "random %d", i);
    check_case(&c, i % 2 ? "f32" : "f16", NULL);
  }
  report();
  ck_assert_int_ge(taken.cases, op_quick() ? 20 : 100);
  teardown();
}
END_TEST

/* Images at the limits: taps beyond the window meet infinities, which must not become NaN; the largest windows and strides,
 * of which some do not fit and are refused, never offered. */
START_TEST(images)
{
  static const char *const texts[] = {
      "const %x : T[1,1,5,6] = {1,2,inf,4,5,6, 1,2,3,4,5,6, 1,2,3,-inf,5,6, 1,2,3,4,5,6, inf,2,3,4,5,6} "
      "input %w : T[8,1,3,3] %y = conv(%x, %w) output %y",
      "const %x : T[1,1,3,9] = {1,2,3,4,5,6,7,inf,9, 1,2,3,4,5,6,7,8,9, inf,2,3,4,5,6,7,8,9} "
      "input %w : T[8,1,1,5] input %b : T[8] %y = conv(%x, %w, %b) {stride=[1,2], pad=[0,1,0,2]} | relu output %y",
      "input %x : T[1,4,40,40] input %w : T[40,4,16,16] %y = conv(%x, %w) {stride=[4,4], pad=[3,3,3,3]} output %y",
      "input %x : T[2,3,33,31] input %w : T[8,3,16,12] %y = conv(%x, %w) {stride=[4,4]} output %y",
      "input %x : T[1,2,3,2] input %w : T[9,2,5,5] input %b : T[9] %y = conv(%x, %w, %b) {pad=[7,9,8,6]} output %y"};
  setup();
  for (unsigned i = 0; i < 2 * sizeof texts / sizeof *texts; i++) {
    struct op_case c = {"image", "f32 f16", texts[i / 2]};
    check_case(&c, i % 2 ? "f32" : "f16", "cuda.conv_image");
  }
  report();
  teardown();
}
END_TEST

int main(void)
{
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
  if (!op_has_device("cuda")) {
    printf("needs a device of kind cuda: skipped\n");
    return 77;
  }
  const TTest *const tests[] = {cases, random_problems, images};
  return check_on_device("cuda convolution", tests, sizeof tests / sizeof *tests);
}
