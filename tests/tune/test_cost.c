/* SPDX-License-Identifier: Apache-2.0 */
/* The cost model: work of nodes counted by hand, and what the estimate makes of it. */
#include "core/tune/tune.h"
#include "tests/gie_check.h"
#include "tests/op_cases.h"
#include <math.h>

/* Descriptors of a one-node graph. */
struct described {
  struct gie_graph *g;
  struct gie_desc in[8], out[8];
  struct gie_problem p;
};

static void describe_value(struct gie_context *ctx, const struct gie_graph *g, gie_id id, struct gie_desc *d)
{
  const struct gie_value *v = gie_value_get(g, id);
  if (v)
    ck_gie_ok(ctx, gie_desc_make(ctx, &v->type, &v->layout, d, NULL));
}

static void describe(struct gie_context *ctx, struct gie_graph *g, struct described *d)
{
  const struct gie_node *n = op_case_node(g);
  memset(d, 0, sizeof *d);
  ck_assert(n->n_in <= 8 && n->n_out <= 8);
  d->g = g;
  for (uint32_t i = 0; i < n->n_in; i++)
    describe_value(ctx, g, n->in[i], &d->in[i]);
  for (uint32_t i = 0; i < n->n_out; i++)
    describe_value(ctx, g, n->out[i], &d->out[i]);
  d->p = (struct gie_problem){.struct_size = sizeof d->p,
                              .ctx = ctx,
                              .graph = g,
                              .node = n,
                              .n_in = n->n_in,
                              .n_out = n->n_out,
                              .in = d->in,
                              .out = d->out};
}

static struct gie_graph *parse(struct gie_context *ctx, const char *body)
{
  struct gie_graph *g = NULL;
  char text[1024];
  snprintf(text, sizeof text, "graph \"t\" { %s }", body);
  ck_gie_ok(ctx, gie_graph_parse(ctx, text, strlen(text), NULL, &g));
  return g;
}

static const struct {
  const char *body;
  double flops, bytes;
} COUNTED[] = {
    {"input %x : f32[1,3,8,8] input %w : f32[4,3,3,3] %y = conv(%x, %w) {pad=[1,1,1,1]} output %y",
     2.0 * 4 * 64 * 27, 4 * (192 + 108 + 256)},
    {"input %x : f32[1,4,8,8] input %w : f32[4,1,3,3] %y = conv(%x, %w) {group=4, pad=[1,1,1,1]} | relu output %y",
     2.0 * 256 * 9 + 256, 4 * (256 + 36 + 256)},
    {"input %x : f32[1,2,3,3] input %w : f32[2,5,2,2] %y = conv_transpose(%x, %w) {stride=[2,2]} output %y",
     2.0 * 18 * 20, 4 * (18 + 40 + 180)},
    {"input %a : f16[7,5] input %b : f16[9,7] %y = gemm(%a, %b) {trans_a=1, trans_b=1} output %y",
     2.0 * 5 * 9 * 7, 2 * (35 + 63 + 45)},
    {"input %a : f32[2,3,4] input %b : f32[4,5] %y = matmul(%a, %b) output %y", 2.0 * 30 * 4,
     4 * (24 + 20 + 30)},
    {"input %x : f32[10] %y = mul(%x, %x) output %y", 10, 80},
    {"input %x : f32[1,2,6,6] %y = max_pool(%x) {kernel=[2,2], stride=[2,2]} output %y", 18 * 4,
     4 * (72 + 18)},
    {"input %x : f32[1,2,6,6] %y = global_average_pool(%x) output %y", 72, 4 * (72 + 2)},
    {"input %x : f32[100,4] const %i : i64[2] = {3,5} %y = gather(%x, %i) output %y", 0, 32 + 16 + 32},
    {"input %x : f32[9,9] %y = shape(%x) output %y", 0, 16},
    {"input %x : f32[1,2,4,4] const %n : i64[4] = {1,2,8,8} %y = resize(%x, _, _, %n) {mode=\"linear\"} output %y",
     2.0 * 128 * 4, 4 * (32 + 128) + 32},
    {"input %x : f32[1,5,2,2] nChw8c %y : f32[1,5,2,2] nChw8c = relu(%x) output %y", 20, 2 * 4 * 32},
};

START_TEST(test_counted)
{
  struct gie_context *ctx = check_context();
  for (size_t i = 0; i < sizeof COUNTED / sizeof *COUNTED; i++) {
    struct described d;
    struct gie_cost c;
    describe(ctx, parse(ctx, COUNTED[i].body), &d);
    tune_work(&d.p, &c);
    ck_assert_msg(fabs(c.flops - COUNTED[i].flops) < 0.5, "%s: %g flops", COUNTED[i].body, c.flops);
    ck_assert_msg(fabs(c.bytes - COUNTED[i].bytes) < 0.5, "%s: %g bytes", COUNTED[i].body, c.bytes);
    gie_graph_free(d.g);
  }
  gie_context_destroy(ctx);
}
END_TEST

static const struct gie_peaks PEAKS = {.struct_size = sizeof PEAKS,
                                       .bytes_per_s = 1e9,
                                       .cache_bytes_per_s = 1e10,
                                       .cache_bytes = 1000,
                                       .f32_flop_per_s = 1e9,
                                       .f16_flop_per_s = 4e9,
                                       .launch_s = 1e-6};

static struct gie_cost stated;
static void estimate(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                     struct gie_cost *out)
{
  (void)k, (void)p, (void)v;
  *out = stated;
}

START_TEST(test_estimate)
{
  static const struct gie_kernel plain = {.name = "a"}, telling = {.name = "b", .estimate = estimate};
  const struct gie_variant v = {.struct_size = sizeof v};
  const struct {
    struct gie_cost stated;
    double seconds;
  } cases[] = {
      {{.flops = 1e6, .bytes = 1e3}, 1e-3 + 1e-6},
      {{.flops = 1e3, .bytes = 1e6}, 1e-3 + 1e-6},
      {{.flops = 0, .bytes = 1000}, 1e-7 + 1e-6}, /* from the cache */
      {{.flops = 1e6, .waves = 1.25}, 1e-3 * 2 / 1.25 + 1e-6},
      {{.flops = 1e6, .waves = 2}, 1e-3 + 1e-6},
      {{.flops = 1e6, .bytes = 1e9, .seconds = 0.5}, 0.5 + 1e-6},
      {{.flops = 1e6, .bytes = 1e3, .seconds = NAN}, 1e-3 + 1e-6},
      {{.flops = INFINITY, .bytes = -1}, 8e-9 + 1e-6}, /* the op's own count instead */
      {{.seconds = INFINITY}, 1e-6},
  };
  struct gie_context *ctx = check_context();
  struct described d;
  describe(ctx, parse(ctx, "input %x : f32[10] %y = relu(%x) output %y"), &d);
  ck_assert_double_eq_tol(tune_estimate(&plain, &d.p, &v, &PEAKS), 1e-8 + 1e-6, 1e-12);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    stated = cases[i].stated;
    double got = tune_estimate(&telling, &d.p, &v, &PEAKS), want = cases[i].seconds;
    ck_assert_msg(fabs(got - want) <= want * 1e-2, "case %zu: %g s instead of %g s", i, got, want);
  }
  /* In f16 the same work takes a quarter, if the device has that peak. */
  stated = (struct gie_cost){.flops = 4e6};
  struct gie_variant half = v;
  half.any_in.dtype = GIE_F16;
  ck_assert_double_eq_tol(tune_estimate(&telling, &d.p, &half, &PEAKS), 1e-3 + 1e-6, 1e-9);
  gie_graph_free(d.g);
  gie_context_destroy(ctx);
}
END_TEST

/* Never 0, always finite, whatever the op and however little is known of the device. */
START_TEST(test_every_op)
{
  static const struct gie_kernel k = {.name = "a"};
  static const struct gie_peaks nothing = {.bytes_per_s = NAN, .f32_flop_per_s = -1};
  const struct gie_device_info host = {.flags = GIE_DEVICE_HOST, .units = 4}, other = {.units = 100};
  const struct gie_variant v = {.struct_size = sizeof v};
  struct gie_peaks peaks[3] = {nothing};
  struct gie_context *ctx = check_context();
  tune_default_peaks(&host, &peaks[1]);
  tune_default_peaks(&other, &peaks[2]);
  for (unsigned i = 0; i < N_OP_CASES; i++) {
    struct described d;
    struct gie_cost c;
    struct gie_graph *g;
    ck_gie_ok(ctx, op_case_graph(ctx, &OP_CASES[i], NULL, &g));
    describe(ctx, g, &d);
    tune_work(&d.p, &c);
    ck_assert_msg(isfinite(c.flops) && c.flops >= 0 && isfinite(c.bytes) && c.bytes >= 0, "%s",
                  OP_CASES[i].name);
    for (int j = 0; j < 3; j++) {
      double s = tune_estimate(&k, &d.p, &v, &peaks[j]);
      ck_assert_msg(isfinite(s) && s > 0, "%s: %g", OP_CASES[i].name, s);
    }
    gie_graph_free(g);
  }
  gie_context_destroy(ctx);
}
END_TEST

/* Every built-in op has a row: none is costed as if it were somebody's custom layer. */
START_TEST(test_every_row)
{
  struct gie_context *ctx = check_context();
  for (unsigned i = 0; ir_builtin_op(i); i++)
    ck_assert_msg(tune_knows_op(ir_builtin_op(i)->name), "%s", ir_builtin_op(i)->name);
  ck_assert(!tune_knows_op("my::layer"));
  gie_context_destroy(ctx);
}
END_TEST

GIE_TESTS_MAIN("cost", test_counted, test_estimate, test_every_op, test_every_row)
