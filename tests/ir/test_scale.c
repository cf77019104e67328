/* SPDX-License-Identifier: Apache-2.0 */
/* Passes take time linear in the nodes: a graph of 100,000 nodes goes through each of them in well
 * under a second. The bound, on processor time, leaves room for slow machines and sanitizers; what is
 * quadratic takes minutes. */
#include "core/ir/ir.h"
#include "core/pass/pass.h"
#include "tests/gie_check.h"
#include <sys/resource.h>

#define LEEWAY 6 /* sanitizers, debug builds */

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

/* Bytes of the process's memory at its peak. */
static double peak_bytes(void)
{
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return 1024.0 * (double)u.ru_maxrss;
}

static const char *const ops[] = {"relu", "tanh", "abs", "sigmoid"};

static void put_chain(struct gie_buf *b, int n)
{
  for (int i = 0; i < n; i++)
    if (i % 10)
      gie_buf_printf(b, "  %%x%d = %s(%%x%d)\n", i + 1, ops[i % 4], i);
    else
      gie_buf_printf(b, "  %%x%d = conv(%%x%d, %%w)\n", i + 1, i);
  gie_buf_printf(b, "  output %%x%d\n}\n", n);
}

/* Of two nodes each, brought together by a tree of concats. */
static void put_branches(struct gie_buf *b, int n)
{
  for (int i = 0; i < n; i++)
    gie_buf_printf(b,
                   "  const %%k%d : f32[1,1,1,1] = {%d}\n  %%c%d = conv(%%x0, %%k%d)\n  %%b%d = %s(%%c%d)\n",
                   i, i, i, i, i, ops[i % 4], i);
  for (int i = 0; i < n; i += 50) {
    gie_buf_printf(b, "  %%j%d = concat(%%b%d", i / 50, i);
    for (int k = i + 1; k < i + 50 && k < n; k++)
      gie_buf_printf(b, ", %%b%d", k);
    gie_buf_puts(b, ") {axis=1}\n");
  }
  gie_buf_puts(b, "  %y = concat(%j0");
  for (int i = 50; i < n; i += 50)
    gie_buf_printf(b, ", %%j%d", i / 50);
  gie_buf_puts(b, ") {axis=1}\n  output %y\n}\n");
}

static struct gie_graph *make_large(struct gie_context *ctx, bool chain, int n)
{
  struct gie_buf b;
  struct gie_graph *g;
  gie_buf_init(&b, ctx);
  gie_buf_puts(&b, "graph (n) {\n  input %x0 : f32[n,1,2,2]\n  const %w : f32[1,1,1,1] = {0.5}\n");
  (chain ? put_chain : put_branches)(&b, n);
  ck_gie_ok(ctx, gie_graph_parse(ctx, b.data, b.len, NULL, &g));
  gie_buf_free(&b);
  return g;
}

/* All that there is, on half the size and on the whole: less than 10 s where nothing slows it down, and memory
 * that grows no faster than the graph. Each in a process of its own, so that peaks are its own. */
static void check_large(bool chain, const char *passes, int n)
{
  struct gie_context *ctx;
  double base = peak_bytes(), after[2];
  ck_assert_int_eq(gie_context_new(NULL, &ctx), GIE_OK);
  for (int k = 0; k < 2; k++) {
    struct gie_graph *g = make_large(ctx, chain, k ? n : n / 2);
    double start = check_seconds();
    ck_gie_ok(ctx, gie_pipeline_run(g, passes, NULL));
    double all = check_seconds() - start;
    after[k] = peak_bytes() - base;
    printf("%d %s: %.2f s, %.1f MiB more, %u nodes left\n", k ? n : n / 2,
           chain ? "nodes in a row" : "branches", all, after[k] / 1048576,
           (unsigned)gie_graph_count_nodes(g));
    ck_assert_msg(all < 10 * LEEWAY, "%.1f s", all);
    gie_graph_free(g);
  }
  ck_assert_msg(after[1] < 2.5 * after[0], "%.0f and %.0f bytes", after[0], after[1]);
  gie_context_free(ctx);
}

static const char structure[] = "default,precision=f16,structure,assign_streams",
                  forms[] = "default,layout=nhwc,precision=f16,assign_streams";

START_TEST(test_chain) { check_large(true, forms, 100000); }
END_TEST
START_TEST(test_branches) { check_large(false, structure, 20000); }
END_TEST
START_TEST(test_branches_in_forms) { check_large(false, forms, 20000); }
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

GIE_TESTS_MAIN("scale", test_default_pipeline, test_chain, test_branches, test_branches_in_forms, test_wide)
