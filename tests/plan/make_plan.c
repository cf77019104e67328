/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of the command and of programs: make_plan BATCHES OUT.plan NETWORK: a plan with a profile for
 * each batch ("1,4") that has the reference kernel on every node. */
#include "core/plan/plan.h"
#include <stdio.h>

static struct gie_context *ctx;

static void must(gie_status st)
{
  if (st == GIE_OK)
    return;
  fprintf(stderr, "make_plan: %s\n", gie_error_text(ctx));
  exit(1);
}

/* The network with this as the first dim of every input whose first dim is a symbol. */
static struct gie_graph *specialized(const struct gie_graph *base, int64_t batch)
{
  struct gie_graph *g;
  struct gie_type types[16];
  for (uint32_t i = 0; i < gie_graph_n_inputs(base) && i < 16; i++) {
    types[i] = gie_value_get(base, gie_graph_input(base, i))->type;
    if (types[i].shape.rank > 0 && !gie_dim_is_num(types[i].shape.dim[0]))
      types[i].shape.dim[0] = gie_dim_num(batch);
  }
  must(run_specialize(base, types, &g));
  return g;
}

static void note_kernels(struct gie_graph *g)
{
  struct gie_exec_options o = {.struct_size = sizeof o, .backends = "+cpu"};
  struct gie_exec *x;
  struct gie_node_profile p;
  must(gie_exec_new(g, &o, &x));
  for (uint32_t i = 0; gie_exec_profile(x, i, &p); i++) {
    struct gie_attr a = {.name = "kernel",
                         .kind = GIE_ATTR_STRING,
                         .n = (uint32_t)strlen(p.kernel),
                         .u.s = p.kernel};
    if (strcmp(p.kernel, "view") != 0 && gie_node_get(g, p.node))
      must(gie_node_set_note(g, p.node, &a));
  }
  gie_exec_free(x);
}

int main(int argc, char **argv)
{
  struct gie_graph *base;
  struct gie_plan *plan;
  if (argc != 4)
    return 64;
  must(gie_context_new(NULL, &ctx));
  must(gie_graph_load(ctx, argv[3], NULL, &base));
  must(plan_new(ctx, base, &plan));
  for (char *s = argv[1]; *s; s += strcspn(s, ","), s += *s == ',') {
    struct gie_graph *g = specialized(base, atoi(s));
    struct gie_plan_profile p = {.device = "cpu", .threads = 1, .graph = g};
    note_kernels(g);
    must(plan_add_profile(plan, &p));
  }
  must(plan_set_candidates(plan, "none\n"));
  must(gie_plan_save(plan, argv[2]));
  gie_plan_free(plan);
  gie_context_free(ctx);
  return 0;
}
