/* SPDX-License-Identifier: Apache-2.0 */
/* What the cpu backend tells the cost model: measured peaks, and estimates of the reference kernels. */
#include "core/module/registry.h"
#include "core/run/run.h"
#include "tests/gie_check.h"
#include "tests/op_cases.h"
#include <math.h>

static struct gie_context *context(void)
{
  struct gie_context_options options = {.struct_size = sizeof options, .log = check_no_log};
  struct gie_context *ctx = NULL;
  ck_assert_int_eq(gie_context_new(&options, &ctx), GIE_OK);
  return ctx;
}

START_TEST(test_peaks)
{
  struct gie_context *ctx = context();
  struct run_device d;
  struct gie_peaks p = {0}, again = {0};
  ck_gie_ok(ctx, run_device_open(ctx, "cpu", 0, &d));
  ck_gie_ok(ctx, d.ops->peaks(d.dev, &p));
  ck_assert_uint_eq(p.struct_size, sizeof p);
  ck_assert_msg(p.bytes_per_s > 1e7 && p.bytes_per_s < 1e14, "%g", p.bytes_per_s);
  ck_assert_msg(p.cache_bytes_per_s >= p.bytes_per_s && p.cache_bytes_per_s < 1e15, "%g",
                p.cache_bytes_per_s);
  ck_assert_msg(p.cache_bytes >= 1 << 14 && p.cache_bytes < 1e11, "%g", p.cache_bytes);
  ck_assert_msg(p.f32_flop_per_s > 1e7 && p.f32_flop_per_s < 1e16, "%g", p.f32_flop_per_s);
  ck_assert_msg(p.launch_s >= 0 && p.launch_s < 1, "%g", p.launch_s);
  /* Measured once: what is measured twice is not the same to the last bit. */
  ck_gie_ok(ctx, d.ops->peaks(d.dev, &again));
  ck_assert_mem_eq(&p, &again, sizeof p);
  run_device_close(&d);
  gie_context_free(ctx);
}
END_TEST

START_TEST(test_estimates)
{
  struct gie_context *ctx = context();
  struct run_device d;
  struct run_problem p = {0};
  const struct gie_variant v = {.struct_size = sizeof v};
  double conv = 0, relu = 0;
  char name[64];
  ck_gie_ok(ctx, run_device_open(ctx, "cpu", 1, &d));
  for (unsigned i = 0; i < N_OP_CASES; i++) {
    struct gie_graph *g;
    struct gie_cost c = {0};
    ck_gie_ok(ctx, op_case_graph(ctx, &OP_CASES[i], NULL, &g));
    const struct gie_node *n = op_case_node(g);
    ck_gie_ok(ctx, run_problem_fill(&p, &d, g, n, NULL));
    snprintf(name, sizeof name, "cpu.%s", n->op->name);
    const struct gie_kernel *k = mod_find(ctx, MOD_KERNEL, name);
    ck_assert_msg(k && k->estimate, "%s", name);
    k->estimate(k, &p.pub, &v, &c);
    ck_assert_msg(isfinite(c.seconds) && c.seconds >= 0, "%s: %g", OP_CASES[i].name, c.seconds);
    conv = strcmp(OP_CASES[i].name, "conv_3x3") == 0 ? c.seconds : conv;
    relu = strcmp(OP_CASES[i].name, "relu") == 0 ? c.seconds : relu;
    gie_graph_free(g);
  }
  ck_assert_msg(conv > relu && relu > 0, "%g %g", conv, relu);
  run_problem_free(&p, ctx);
  run_device_close(&d);
  gie_context_free(ctx);
}
END_TEST

GIE_TESTS_MAIN("cpu cost", test_peaks, test_estimates)
