/* SPDX-License-Identifier: Apache-2.0 */
/* Passes take time linear in the nodes: a graph of 100,000 nodes goes through each of them in well
 * under a second. The bound, on processor time, leaves room for slow machines and sanitizers; what is
 * quadratic takes minutes. */
#include "core/ir/ir.h"
#include "core/pass/pass.h"
#include "tests/gie_check.h"

/* Blocks of nodes that the passes work on: convolution, bias, normalization, activation, residual,
 * no-ops, shape arithmetic, constants that fold. */
static const char block[] = "  const %%w%d : f32[2,2,1,1] = {0.5, 0.25, -0.5, 0.125}\n"
                            "  const %%b%d : f32[2,1,1] = {0.5, 0.25}\n"
                            "  %%c%d = conv(%%x%d, %%w%d)\n"
                            "  %%a%d = add(%%c%d, %%b%d)\n"
                            "  %%n%d = batch_norm(%%a%d, %%s, %%s, %%s, %%s)\n"
                            "  %%r%d = relu(%%n%d)\n"
                            "  %%i%d = identity(%%r%d)\n"
                            "  %%d%d = dropout(%%i%d)\n"
                            "  %%f%d = neg(%%b%d)\n"
                            "  %%g%d = mul(%%d%d, %%f%d)\n"
                            "  %%h%d = shape(%%g%d)\n"
                            "  %%j%d = reshape(%%g%d, %%h%d)\n"
                            "  %%x%d = add(%%j%d, %%x%d)\n";
#define NODES_OF_BLOCK 11

static struct gie_graph *make(struct gie_context *ctx, int blocks)
{
  struct gie_buf b;
  struct gie_graph *g;
  gie_buf_init(&b, ctx);
  gie_buf_puts(&b, "graph (n) {\n  input %x0 : f32[n,2,4,4]\n  const %s : f32[2] = {1, 2}\n");
  for (int i = 0; i < blocks; i++)
    gie_buf_printf(&b, block, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i,
                   i + 1, i, i);
  gie_buf_printf(&b, "  output %%x%d\n}\n", blocks);
  ck_gie_ok(ctx, gie_graph_parse(ctx, b.data, b.len, NULL, &g));
  gie_buf_free(&b);
  return g;
}

START_TEST(test_default_pipeline)
{
  static const int blocks[2] = {10000 / NODES_OF_BLOCK, 100000 / NODES_OF_BLOCK};
  struct gie_context *ctx;
  double time[2][80], all = 0;
  struct gie_pass_stat stats[80];
  uint32_t n = 0;
  struct gie_pipeline_options options = {.struct_size = sizeof options,
                                         .stats = stats,
                                         .max_stats = 80,
                                         .n_stats = &n};
  ck_assert_int_eq(gie_context_new(NULL, &ctx), GIE_OK);
  for (int k = 0; k < 2; k++) {
    struct gie_graph *g = make(ctx, blocks[k]);
    double start = check_seconds();
    ck_gie_ok(ctx, gie_pipeline_run(g, NULL, &options));
    all = check_seconds() - start;
    printf("%d nodes: pipeline with verification %.2f s\n", blocks[k] * NODES_OF_BLOCK, all);
    ck_assert_uint_lt(gie_graph_count_nodes(g), (uint32_t)blocks[k] * 2);
    for (uint32_t i = 0; i < n; i++)
      time[k][i] = stats[i].seconds;
    gie_graph_free(g);
  }
  for (uint32_t i = 0; i < n; i++)
    printf("  %-32s %8.4f s %8.4f s\n", stats[i].pass, time[0][i], time[1][i]);
  ck_assert_msg(all < 60, "%.1f s", all);
  gie_context_free(ctx);
}
END_TEST

/* One value with 100,000 readers, and one node with 60,000 operands. */
START_TEST(test_wide)
{
  struct gie_context *ctx;
  struct gie_buf b;
  struct gie_graph *g;
  struct gie_pass_stat stats[80];
  uint32_t n = 0;
  struct gie_pipeline_options options = {.struct_size = sizeof options,
                                         .stats = stats,
                                         .max_stats = 80,
                                         .n_stats = &n};
  ck_assert_int_eq(gie_context_new(NULL, &ctx), GIE_OK);
  gie_buf_init(&b, ctx);
  gie_buf_puts(&b, "graph {\n  input %x : f16[1]\n");
  for (int i = 0; i < 60000; i++)
    gie_buf_printf(&b,
                   "  const %%c%d : f16[1] = {0.5}\n  %%i%d = identity(%%x)\n  %%n%d = add(%%i%d, %%c%d)\n",
                   i, i, i, i, i);
  gie_buf_puts(&b, "  %y = sum(%n0");
  for (int i = 1; i < 60000; i++)
    gie_buf_printf(&b, ", %%n%d", i);
  gie_buf_puts(&b, ")\n  output %y\n}\n");
  ck_gie_ok(ctx, gie_graph_parse(ctx, b.data, b.len, NULL, &g));
  gie_buf_free(&b);
  double start = check_seconds();
  ck_gie_ok(ctx, gie_pipeline_run(g, NULL, &options));
  double all = check_seconds() - start;
  for (uint32_t i = 0; i < n; i++)
    printf("  %-32s %8.4f s\n", stats[i].pass, stats[i].seconds);
  ck_assert_msg(all < 60, "%.1f s", all);
  gie_graph_free(g);
  gie_context_free(ctx);
}
END_TEST

GIE_TESTS_MAIN("scale", test_default_pipeline, test_wide)
