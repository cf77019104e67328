/* SPDX-License-Identifier: Apache-2.0 */
/* The plan in memory. */
#include "core/plan/plan.h"
#include "config.h"
#include "core/module/registry.h"
#include <math.h>

/* ---- Making it --------------------------------------------------------------------------------- */

static gie_status start(struct gie_plan *plan)
{
  plan->version = PACKAGE_VERSION;
  plan->abi_major = GIE_ABI_MAJOR;
  plan->abi_minor = GIE_ABI_MINOR;
  plan->candidates = gie_arena_strdup(&plan->mem, "");
  plan->shared = gie_arena_alloc(&plan->mem, 1, sizeof *plan->shared);
  if (!plan->candidates || !plan->shared)
    return GIE_E_MEMORY;
  run_engines_init(&plan->shared->engines);
  return plan->base ? plan_add_needs(plan, plan->base) : GIE_OK;
}

gie_status plan_new(struct gie_context *ctx, struct gie_graph *base, struct gie_plan **out)
{
  struct gie_plan *plan = gie_alloc(ctx, 1, sizeof *plan);
  if (!plan) {
    if (base)
      gie_graph_free(base);
    return GIE_E_MEMORY;
  }
  plan->ctx = ctx;
  plan->base = base;
  gie_arena_init(&plan->mem, ctx);
  gie_status st = start(plan);
  if (st == GIE_OK)
    *out = plan;
  else
    gie_plan_free(plan);
  return st;
}

void gie_plan_free(struct gie_plan *plan)
{
  if (!plan)
    return;
  struct gie_context *ctx = plan->ctx;
  for (uint32_t i = 0; i < plan->n_profiles; i++)
    gie_graph_free((struct gie_graph *)plan->profiles[i].pub.graph);
  if (plan->base)
    gie_graph_free(plan->base);
  if (plan->shared)
    run_engines_free(&plan->shared->engines);
  gie_free(ctx, plan->profiles);
  gie_free(ctx, plan->kernels.v);
  gie_free(ctx, plan->ops.v);
  gie_arena_free(&plan->mem);
  gie_free(ctx, plan);
}

gie_status plan_set_candidates(struct gie_plan *plan, const char *text)
{
  char *copy = gie_arena_strdup(&plan->mem, text);
  if (!copy)
    return GIE_E_MEMORY;
  plan->candidates = copy;
  return GIE_OK;
}

/* ---- Profiles ---------------------------------------------------------------------------------- */

void plan_put_profile(const struct gie_plan *plan, uint32_t i, struct gie_buf *b)
{
  const struct gie_plan_profile *p = &plan->profiles[i].pub;
  for (uint32_t k = 0; k < gie_graph_n_inputs(p->graph); k++) {
    const struct gie_value *v = gie_value_get(p->graph, gie_graph_input(p->graph, k));
    gie_buf_printf(b, "%s%s:", k ? "," : "", v->name);
    for (int a = 0; a < v->type.shape.rank; a++)
      gie_buf_printf(b, "%s%lld", a ? "x" : "", (long long)v->type.shape.dim[a].b);
  }
  gie_buf_printf(b, " on %s", p->device);
}

/* A value of a profile is that of the base: name, element type, and dims where the base has numbers. */
static gie_status check_value(const struct gie_plan *plan, const char *what, uint32_t i,
                              const struct gie_value *a, const struct gie_value *b)
{
  bool fits = strcmp(a->name, b->name) == 0 && a->type.dtype == b->type.dtype;
  const struct gie_shape *x = &a->type.shape, *y = &b->type.shape;
  if (fits && x->rank >= 0 && y->rank >= 0) {
    fits = x->rank == y->rank;
    for (int k = 0; fits && k < x->rank; k++)
      fits = !gie_dim_is_num(x->dim[k]) || !gie_dim_is_num(y->dim[k]) || x->dim[k].b == y->dim[k].b;
  }
  if (fits)
    return GIE_OK;
  return gie_fail(plan->ctx, GIE_E_GRAPH, "%s %u of the profile, \"%s\", is not that of the network, \"%s\"",
                  what, (unsigned)i, b->name, a->name);
}

static gie_status check_side(const struct gie_plan *plan, const struct gie_graph *g, const char *what,
                             uint32_t (*count)(const struct gie_graph *),
                             gie_id (*at)(const struct gie_graph *, uint32_t))
{
  const struct gie_graph *base = plan->base;
  if (count(g) != count(base))
    return gie_fail(plan->ctx, GIE_E_GRAPH, "the profile has %u %ss, the network %u", (unsigned)count(g),
                    what, (unsigned)count(base));
  for (uint32_t i = 0; i < count(g); i++)
    GIE_TRY(check_value(plan, what, i, gie_value_get(base, at(base, i)), gie_value_get(g, at(g, i))));
  return GIE_OK;
}

/* Types of all inputs, which must be numbers and bind the base's symbols without contradiction. */
static gie_status check_shapes(const struct gie_plan *plan, const struct gie_graph *g)
{
  uint32_t n = gie_graph_n_inputs(g);
  struct gie_type *types = gie_alloc(plan->ctx, n, sizeof *types);
  gie_status st = types ? GIE_OK : GIE_E_MEMORY;
  for (uint32_t i = 0; st == GIE_OK && i < n; i++) {
    const struct gie_value *v = gie_value_get(g, gie_graph_input(g, i));
    types[i] = v->type;
    if (!run_type_is_static(&v->type))
      st = gie_fail(plan->ctx, GIE_E_SHAPE, "input \"%s\" of a profile has a dim that is no number", v->name);
  }
  if (st == GIE_OK)
    st = run_check_inputs(plan->base, types);
  gie_free(plan->ctx, types);
  return st;
}

static bool same_shapes(const struct gie_graph *a, const struct gie_graph *b)
{
  for (uint32_t i = 0; i < gie_graph_n_inputs(a); i++) {
    const struct gie_type *x = &gie_value_get(a, gie_graph_input(a, i))->type;
    const struct gie_type *y = &gie_value_get(b, gie_graph_input(b, i))->type;
    bool same = x->shape.rank == y->shape.rank;
    for (int k = 0; same && k < x->shape.rank; k++)
      same = x->shape.dim[k].b == y->shape.dim[k].b;
    if (!same)
      return false;
  }
  return true;
}

static gie_status check_new(const struct gie_plan *plan, const struct gie_plan_profile *p)
{
  for (uint32_t i = 0; i < plan->n_profiles; i++) {
    const struct gie_plan_profile *q = &plan->profiles[i].pub;
    if (strcmp(p->device, q->device) == 0 && strcmp(p->device_name, q->device_name) == 0 &&
        same_shapes(p->graph, q->graph))
      return gie_fail(plan->ctx, GIE_E_USAGE, "there are two profiles for the same shapes on %s; give one",
                      p->device);
  }
  if (plan->n_profiles >= PLAN_MAX_PROFILES)
    return gie_fail(plan->ctx, GIE_E_LIMIT, "more than %d profiles", PLAN_MAX_PROFILES);
  if (!(p->seconds >= 0) || isinf(p->seconds))
    return gie_fail(plan->ctx, GIE_E_DATA, "a profile takes %g seconds", p->seconds);
  return GIE_OK;
}

static gie_status add(struct gie_plan *plan, const struct gie_plan_profile *p)
{
  struct gie_plan_profile copy = *p;
  copy.struct_size = sizeof copy;
  copy.device = gie_arena_strdup(&plan->mem, p->device ? p->device : "cpu");
  copy.device_name = gie_arena_strdup(&plan->mem, p->device_name ? p->device_name : "");
  copy.device_version = gie_arena_strdup(&plan->mem, p->device_version ? p->device_version : "");
  copy.precision = gie_arena_strdup(&plan->mem, p->precision ? p->precision : "");
  if (!copy.device || !copy.device_name || !copy.device_version || !copy.precision)
    return GIE_E_MEMORY;
  GIE_TRY(check_side(plan, p->graph, "input", gie_graph_n_inputs, gie_graph_input));
  GIE_TRY(check_shapes(plan, p->graph));
  GIE_TRY(check_side(plan, p->graph, "output", gie_graph_n_outputs, gie_graph_output));
  GIE_TRY(check_new(plan, &copy));
  GIE_TRY(plan_add_needs(plan, p->graph));
  GIE_TRY(gie_grow(plan->ctx, &plan->profiles, &plan->cap_profiles, (size_t)plan->n_profiles + 1,
                   sizeof *plan->profiles));
  plan->profiles[plan->n_profiles++].pub = copy;
  return GIE_OK;
}

gie_status plan_add_profile(struct gie_plan *plan, const struct gie_plan_profile *p)
{
  gie_status st = add(plan, p);
  if (st != GIE_OK)
    gie_graph_free((struct gie_graph *)p->graph);
  return st;
}

/* ---- Reading ----------------------------------------------------------------------------------- */

uint32_t gie_plan_n_profiles(const struct gie_plan *plan) { return plan->n_profiles; }

gie_status gie_plan_profile(const struct gie_plan *plan, uint32_t i, struct gie_plan_profile *out)
{
  if (i >= plan->n_profiles)
    return gie_fail(plan->ctx, GIE_E_USAGE, "there is no profile %u; the plan has %u", (unsigned)i,
                    (unsigned)plan->n_profiles);
  struct gie_plan_profile p = plan->profiles[i].pub;
  /* the caller may know fewer members than this release */
  size_t size = out->struct_size && out->struct_size < sizeof p ? out->struct_size : sizeof p;
  p.struct_size = out->struct_size;
  memcpy(out, &p, size);
  return GIE_OK;
}

const struct gie_graph *gie_plan_base(const struct gie_plan *plan) { return plan->base; }

const char *gie_plan_candidates(const struct gie_plan *plan) { return plan->candidates; }

bool plan_profile_is_here(const struct gie_plan *plan, uint32_t i)
{
  const struct gie_device *d = mod_find(plan->ctx, MOD_DEVICE, plan->profiles[i].pub.device);
  return d && d->count(plan->ctx) > 0;
}
