/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/plan/plan_check.h"

#define WEIGHTS                                                                                     \
  " const %w : f32[4,5] = {1, 2, 3, 4, 5, -1, -2, -3, -4, -5, 0.5, 0.25, 0, 7, 8, 1, -1, 1, -1, 1}" \
  " %a = matmul(%x, %w) !{kernel=\"" SMALL_KERNEL "\", config=0}"                                   \
  " %y = relu(%a) !{kernel=\"" SMALL_KERNEL "\", config=0} output %y }"

struct gie_graph *small_base(void)
{
  return parse(
      "graph \"net\" (n) { input %x : f32[n,4] const %w : f32[4,5] = {1, 2, 3, 4, 5, -1, -2, -3, -4, -5, "
      "0.5, 0.25, 0, 7, 8, 1, -1, 1, -1, 1} %a = matmul(%x, %w) %y = relu(%a) output %y }");
}

struct gie_graph *small_graph(int batch)
{
  char text[1024];
  snprintf(text, sizeof text, "graph \"net\" { input %%x : f32[%d,4]%s", batch, WEIGHTS);
  return parse(text);
}

void add_profile(struct gie_plan *plan, struct gie_graph *g)
{
  struct gie_plan_profile p = {.struct_size = sizeof p,
                               .device = "cpu",
                               .device_name = "mock",
                               .device_version = "1",
                               .threads = 2,
                               .measured = true,
                               .seconds = 0.001,
                               .graph = g};
  ck_gie_ok(ctx, plan_add_profile(plan, &p));
}

struct gie_plan *small_plan(const int *batches)
{
  struct gie_plan *plan;
  ck_gie_ok(ctx, plan_new(ctx, small_base(), &plan));
  for (; *batches; batches++)
    add_profile(plan, small_graph(*batches));
  ck_gie_ok(ctx, plan_set_candidates(plan, "matmul\ta.any\t0\t1e-05\n"));
  return plan;
}
