/* SPDX-License-Identifier: Apache-2.0 */
/* The onednn kernels on every op case that they take: each variant, dense and as a view, with operands
 * computed and constant (packed), on one thread and two, against the reference kernel. */
#include "tests/gie_check.h"
#include "tests/op_problem.h"

#define MAX_IO OP_MAX_IO
#define MAX_VARIANTS 32

static struct gie_context *ctx;
static struct op_device device;

static void setup(void)
{
  ctx = op_context();
  op_device_open(ctx, "cpu", &device);
  ck_assert_msg(op_kernel(ctx, "onednn.conv") != NULL, "the onednn backend is not loaded");
}

static void teardown(void)
{
  op_device_close(&device);
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
  q->k = op_kernel_of(ctx, "onednn", q->n->op->name);
  if (!q->k || op_problem_make(&device, g, "cpu", &q->o) != GIE_OK)
    return false;
  if (q->k->supports(q->k, &q->o.p, why, size))
    return true;
  ck_assert_msg(*why != 0, "%s refuses without a reason", q->k->name);
  return false;
}

/* ---- A case */

static struct {
  int cases, variants, runs, packed, in_place, wrong;
} taken;

static void run_variant(const struct op_case *c, struct question *q, const struct gie_variant *v,
                        const struct op_result *want)
{
  struct op_result out[MAX_IO];
  char what[256];
  bool any = v->n_in == 0 && v->any_in.layout.any;
  for (unsigned f = 0; f < (any ? N_OP_FORMS : 2); f++)
    for (device.threads = 1; device.threads <= 2; device.threads++) {
      gie_status st = op_run(&device, q->g, q->n, q->k, v, &OP_FORMS[f], out);
      if (any && st == GIE_E_UNSUPPORTED && f > 0)
        continue;
      bool right = st == GIE_OK &&
                   op_compare(&out[0], want, op_tolerance(out[0].type.dtype), what, sizeof what);
      if (!right) {
        printf("%s, %s, %s, %u threads: %s\n", c->name, v->label, OP_FORMS[f].name, (unsigned)device.threads,
               st == GIE_OK ? what : gie_error_text(ctx));
        taken.wrong++;
      }
      if (st == GIE_OK)
        op_results_free(ctx, out, q->n->n_out);
      taken.runs++;
    }
  device.threads = 1;
}

static void check_variants(const struct op_case *c, struct question *q)
{
  static struct gie_variant v[MAX_VARIANTS];
  struct op_result want[MAX_IO];
  memset(v, 0, sizeof v);
  uint32_t n = q->k->variants(q->k, &q->o.p, v, MAX_VARIANTS), steps = UINT32_MAX;
  ck_assert_msg(n > 0 && n <= MAX_VARIANTS, "%s: %u variants", c->name, n);
  for (uint32_t i = 0; i < n; i++) {
    struct gie_pack packs[GIE_MAX_IO];
    ck_assert_msg(v[i].label[0] != 0 && !v[i].capture_safe, "%s: variant %u", c->name, i);
    for (uint32_t j = 0; j < i; j++)
      ck_assert_msg(v[i].config != v[j].config, "%s: two variants with config %llu", c->name,
                    (unsigned long long)v[i].config);
    steps = v[i].n_steps < steps ? v[i].n_steps : steps;
    memset(packs, 0, sizeof packs);
    taken.packed += (int)q->k->pack_desc(q->k, &q->o.p, &v[i], packs, GIE_MAX_IO);
    taken.in_place += v[i].in_place >= 0;
  }
  for (uint32_t i = 0; i < n; i++) {
    const struct gie_kernel *reference = op_kernel_of(ctx, "cpu", q->n->op->name);
    /* a variant that fuses fewer steps computes the node cut after these */
    struct gie_variant cut = {.struct_size = sizeof cut,
                              .n_steps = v[i].n_steps,
                              .any_in = {.layout.any = true},
                              .any_out = {.layout.any = true}};
    gie_status st = op_run(&device, q->g, q->n, reference, &cut, &OP_FORMS[0], want);
    ck_assert_msg(st == GIE_OK, "%s: %s", c->name, gie_error_text(ctx));
    run_variant(c, q, &v[i], want);
    op_results_free(ctx, want, q->n->n_out);
  }
  taken.variants += (int)n;
}

/* Cases about NaN and infinity, where oneDNN's functions are others (backends/onednn/steps.c). */
static bool is_about_infinity(const struct op_case *c)
{
  static const char *const names[] = {"relu_nan", "max_pool_nan", "silu", "mish", "gelu", "gelu_tanh"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(c->name, names[i]) == 0)
      return true;
  return false;
}

static void check_case(const struct op_case *c, const char *dtype)
{
  if (is_about_infinity(c))
    return;
  for (int constant = 0; constant < 2; constant++) {
    struct gie_graph *g;
    struct question q;
    char why[256] = "";
    gie_status st = op_case_graph(ctx, c, dtype, &g);
    ck_assert_msg(st == GIE_OK, "%s", gie_error_text(ctx));
    if (constant)
      ck_gie_ok(ctx, op_make_constant(g));
    if (ask(&q, g, why, sizeof why)) {
      check_variants(c, &q);
      taken.cases += constant;
    }
    gie_graph_free(g);
  }
}

START_TEST(cases)
{
  char dtype[8];
  setup();
  for (unsigned i = 0; i < N_OP_CASES; i++)
    for (unsigned d = 0; op_case_dtype(&OP_CASES[i], d, dtype); d++)
      check_case(&OP_CASES[i], dtype);
  printf("%d cases, %d variants, %d runs, %d packed, %d in place\n", taken.cases, taken.variants, taken.runs,
         taken.packed, taken.in_place);
  ck_assert_int_eq(taken.wrong, 0);
  /* what every x86-64 with AVX2 takes; fewer means that something is refused for no reason */
  ck_assert_int_ge(taken.cases, 80);
  ck_assert_int_ge(taken.packed, 40);
  ck_assert_int_ge(taken.in_place, 40);
  teardown();
}
END_TEST

/* ---- Windows of random geometry */

START_TEST(random_windows)
{
  setup();
  for (int i = 0; i < 240; i++) {
    char text[512], name[32];
    struct op_case c = {name, "f32", text};
    struct gie_graph *g;
    op_random_window(i % 4, (uint32_t)i, text, sizeof text);
    snprintf(name, sizeof name, "random %d", i);
    if (op_case_graph(ctx, &c, "f32", &g) != GIE_OK)
      continue;
    gie_graph_free(g);
    check_case(&c, "f32");
  }
  printf("%d cases, %d variants, %d runs, %d packed\n", taken.cases, taken.variants, taken.runs,
         taken.packed);
  ck_assert_int_eq(taken.wrong, 0);
  ck_assert_int_ge(taken.cases, 100);
  teardown();
}
END_TEST

GIE_TESTS_MAIN("onednn", cases, random_windows)
