/* SPDX-License-Identifier: Apache-2.0 */
/* What a plan cannot do without: the kernels that its notes name, and the ops that modules bring. A plan
 * names them, never a file; modules are found as always. */
#include "core/module/registry.h"
#include "core/plan/plan.h"

#define LISTED 20 /* names in one message before it is cut */

/* ---- Collecting -------------------------------------------------------------------------------- */

/* Position of the first that is not below `name`. */
static uint32_t lower_bound(const struct plan_needs *needs, const char *name)
{
  uint32_t low = 0, high = needs->n;
  while (low < high) {
    uint32_t mid = low + (high - low) / 2;
    if (strcmp(needs->v[mid].name, name) < 0)
      low = mid + 1;
    else
      high = mid;
  }
  return low;
}

static const struct plan_need *find(const struct plan_needs *needs, const char *name)
{
  uint32_t at = lower_bound(needs, name);
  return at < needs->n && strcmp(needs->v[at].name, name) == 0 ? &needs->v[at] : NULL;
}

static gie_status add(struct gie_plan *plan, struct plan_needs *needs, enum mod_kind kind, const char *name)
{
  char buf[128];
  uint32_t at = lower_bound(needs, name);
  if (find(needs, name))
    return GIE_OK;
  const struct mod_entry *e = mod_find_entry(plan->ctx, kind, name);
  if (needs->n >= PLAN_MAX_NEEDS)
    return gie_fail(plan->ctx, GIE_E_LIMIT, "the graphs name more than %d kernels or ops", PLAN_MAX_NEEDS);
  struct plan_need need = {gie_arena_strdup(&plan->mem, name), NULL};
  need.origin = gie_arena_strdup(&plan->mem, e ? mod_origin(plan->ctx, e, buf, sizeof buf) : "");
  if (!need.name || !need.origin)
    return GIE_E_MEMORY;
  GIE_TRY(gie_grow(plan->ctx, &needs->v, &needs->cap, (size_t)needs->n + 1, sizeof *needs->v));
  memmove(&needs->v[at + 1], &needs->v[at], (needs->n - at) * sizeof *needs->v);
  needs->v[at] = need;
  needs->n++;
  return GIE_OK;
}

/* Opaque ops belong to nobody: nothing can be asked for them. */
static gie_status add_op(struct gie_plan *plan, const struct gie_op *op)
{
  if ((op->flags & GIE_OP_OPAQUE) || ir_builtin_find(op->name))
    return GIE_OK;
  return add(plan, &plan->ops, MOD_OP, op->name);
}

static const char *kernel_of(const struct gie_node *n)
{
  const struct gie_attr *a = gie_attrs_find(&n->notes, "kernel");
  return a && a->kind == GIE_ATTR_STRING ? a->u.s : NULL;
}

gie_status plan_add_needs(struct gie_plan *plan, const struct gie_graph *g)
{
  GIE_FOR_NODES(g, id) {
    const struct gie_node *n = gie_node_get(g, id);
    GIE_TRY(add_op(plan, n->op));
    for (uint32_t i = 0; i < n->n_steps; i++)
      GIE_TRY(add_op(plan, n->steps[i].op));
    if (kernel_of(n))
      GIE_TRY(add(plan, &plan->kernels, MOD_KERNEL, kernel_of(n)));
    for (uint32_t i = 0; i < n->attrs.n; i++)
      if (n->attrs.v[i].kind == GIE_ATTR_GRAPH)
        GIE_TRY(plan_add_needs(plan, n->attrs.v[i].u.g));
  }
  return GIE_OK;
}

/* ---- Checking ---------------------------------------------------------------------------------- */

struct missing {
  struct gie_buf text;
  uint32_t n;
};

static void missing_add(struct missing *m, const char *what, const struct plan_need *need)
{
  if (m->n++ < LISTED)
    gie_buf_printf(&m->text, "%s%s %s (%s)", m->text.len ? ", " : "", what, need->name,
                   *need->origin ? need->origin : "version not known");
}

/* Ends the list. */
static gie_status missing_end(struct missing *m)
{
  struct gie_context *ctx = m->text.ctx;
  gie_status st = m->text.status;
  if (st == GIE_OK && m->n) {
    if (m->n > LISTED)
      gie_buf_printf(&m->text, " and %u more", (unsigned)(m->n - LISTED));
    st = gie_fail(
        ctx, GIE_E_MODULE,
        "the plan needs what no module here has: %s; modules were searched in %s; give the module with "
        "--module or GIE_MODULE_PATH, or build the plan again",
        m->text.data ? m->text.data : "", mod_searched(ctx));
  }
  gie_buf_free(&m->text);
  return st;
}

gie_status plan_check_ops(const struct gie_plan *plan)
{
  struct missing m = {.n = 0};
  gie_buf_init(&m.text, plan->ctx);
  for (uint32_t i = 0; i < plan->ops.n; i++)
    if (!gie_op_find(plan->ctx, plan->ops.v[i].name))
      missing_add(&m, "op", &plan->ops.v[i]);
  return missing_end(&m);
}

/* Marks the kernels that profiles of present devices name; all when no device is present. */
static void mark_wanted(const struct gie_plan *plan, bool *is_wanted)
{
  bool any = false;
  for (uint32_t i = 0; i < plan->n_profiles; i++)
    any |= plan_profile_is_here(plan, i);
  for (uint32_t i = 0; i < plan->n_profiles; i++) {
    const struct gie_graph *g = plan->profiles[i].pub.graph;
    if (any && !plan_profile_is_here(plan, i))
      continue;
    GIE_FOR_NODES(g, id) {
      const char *name = kernel_of(gie_node_get(g, id));
      const struct plan_need *need = name ? find(&plan->kernels, name) : NULL;
      if (need)
        is_wanted[need - plan->kernels.v] = true;
    }
  }
}

gie_status plan_check_kernels(const struct gie_plan *plan)
{
  struct missing m = {.n = 0};
  char buf[128];
  uint32_t n_other = 0;
  const char *other = NULL;
  bool *is_wanted = gie_alloc(plan->ctx, plan->kernels.n, sizeof *is_wanted);
  if (!is_wanted)
    return GIE_E_MEMORY;
  gie_buf_init(&m.text, plan->ctx);
  mark_wanted(plan, is_wanted);
  for (uint32_t i = 0; i < plan->kernels.n; i++) {
    const struct plan_need *need = &plan->kernels.v[i];
    const struct mod_entry *e = mod_find_entry(plan->ctx, MOD_KERNEL, need->name);
    if (is_wanted[i] && !e) {
      missing_add(&m, "kernel", need);
    } else if (is_wanted[i] && strcmp(mod_origin(plan->ctx, e, buf, sizeof buf), need->origin) != 0) {
      other = other ? other : need->name;
      n_other++;
    }
  }
  gie_free(plan->ctx, is_wanted);
  if (n_other && m.n == 0)
    gie_log(
        plan->ctx, GIE_LOG_WARN, "plan",
        "%u kernel%s (%s first) of another module version than when the plan was made; build it again for the "
        "best speed",
        (unsigned)n_other, n_other == 1 ? " is" : "s are", other);
  return missing_end(&m);
}

static gie_status same(const struct gie_plan *plan, const char *what, const struct plan_needs *a,
                       const struct plan_needs *b)
{
  for (uint32_t i = 0; i < a->n || i < b->n; i++)
    if (i >= a->n || i >= b->n || strcmp(a->v[i].name, b->v[i].name) != 0)
      return gie_fail(plan->ctx, GIE_E_DATA,
                      "the list of %ss is not that of the graphs, beginning with \"%s\"", what,
                      i < a->n ? a->v[i].name : b->v[i].name);
  return GIE_OK;
}

gie_status plan_same_needs(const struct gie_plan *plan, const struct plan_needs *kernels,
                           const struct plan_needs *ops)
{
  GIE_TRY(same(plan, "kernel", kernels, &plan->kernels));
  return same(plan, "op", ops, &plan->ops);
}
