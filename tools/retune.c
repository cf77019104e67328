/* SPDX-License-Identifier: Apache-2.0 */
/* gie retune: builds a plan again, from the graph that it keeps, for the device at hand. */
#include "tools/build.h"

static const char what[] =
    "Builds a plan again for this machine: the graph and the shapes come from the plan, the choice is made anew, for the device\n"
    "of the first profile unless --device names one.\n"
    "For a plan that was made elsewhere, or after a driver, a library or a backend has changed.";
static const char examples[] = "  gie retune model.plan                       # in place\n"
                               "  gie retune model.plan -o here.plan\n"
                               "  gie retune model.plan --backend=-onednn -o plain.plan\n";

/* The shapes of profile i's inputs as text. */
static gie_status profile_shapes(struct tool *t, const struct gie_plan *plan, uint32_t i, const char **out)
{
  struct gie_plan_profile p = {.struct_size = sizeof p};
  struct gie_buf b;
  GIE_TRY(gie_plan_profile(plan, i, &p));
  gie_buf_init(&b, t->ctx);
  for (uint32_t k = 0; k < gie_graph_n_inputs(p.graph); k++) {
    const struct gie_value *v = gie_value_get(p.graph, gie_graph_input(p.graph, k));
    gie_buf_printf(&b, "%s%s:", b.len ? "," : "", v->name);
    for (int d = 0; d < v->type.shape.rank; d++)
      gie_buf_printf(&b, "%s%lld", d ? "x" : "", (long long)v->type.shape.dim[d].b);
  }
  *out = b.status == GIE_OK ? gie_arena_strdup(&t->arena, b.data ? b.data : "") : NULL;
  gie_buf_free(&b);
  return *out ? GIE_OK : gie_fail(t->ctx, GIE_E_MEMORY, "out of memory");
}

static gie_status retune(struct tool *t, const struct build_flags *f, const struct gie_plan *plan,
                         const char *file)
{
  uint32_t n = gie_plan_n_profiles(plan);
  struct build_flags here = *f;
  struct gie_plan_profile first = {.struct_size = sizeof first};
  GIE_TRY(n ? gie_plan_profile(plan, 0, &first) : GIE_OK);
  here.device = f->device ? f->device : first.device;
  const char **shapes = gie_arena_alloc(&t->arena, (size_t)n + 1, sizeof *shapes);
  if (!shapes)
    return gie_fail(t->ctx, GIE_E_MEMORY, "out of memory");
  for (uint32_t i = 0; i < n; i++)
    GIE_TRY(profile_shapes(t, plan, i, &shapes[i]));
  struct tool_list list = {shapes, n};
  return build_and_save(t, &here, gie_plan_base(plan), file, f->shapes.n || f->batches.n ? NULL : &list);
}

int tool_retune(struct tool *t, int argc, char **argv)
{
  struct build_flags f = build_flags_new();
  f.passes = "";
  const struct tool_option options[] = {BUILD_OPTIONS(&f), {NULL, 0, TOOL_FLAG, NULL, NULL, NULL}};
  const struct tool_command cmd = {"PLAN [-o PLAN] [OPTION]...", what, examples, options, 1, 1};
  struct tool_list args;
  struct gie_plan *plan;
  int exit_code = tool_parse(t, &cmd, argc, argv, &args);
  if (exit_code != TOOL_GO_ON)
    return exit_code;
  if ((exit_code = build_place(t, &f)) != TOOL_GO_ON)
    return exit_code;
  f.out = f.out ? f.out : args.v[0];
  if ((exit_code = build_check(t, &f)) != TOOL_GO_ON || (exit_code = tool_open(t)) != TOOL_GO_ON)
    return exit_code;
  gie_status st = gie_plan_load(t->ctx, args.v[0], &plan);
  if (st != GIE_OK)
    return tool_error(t, st);
  st = retune(t, &f, plan, args.v[0]);
  gie_plan_free(plan);
  return st == GIE_OK ? 0 : tool_error(t, st);
}
