/* SPDX-License-Identifier: Apache-2.0 */
/* The plan's texts that are no networks: what it needs, and the head of each profile. Both are graphs
 * without nodes that have a meta line, so that the text form's reader and writer do the work:
 *
 *   graph "plan" {
 *     meta {gie="0.1.0", abi=[1, 0], kernels=["cpu.conv"], kernel_modules=["cpu 1.0"], ops=strings[], …}
 *   }
 *   graph "profile" {
 *     meta {device="cpu", device_name="x86_64 avx2", device_version="…", threads=2, measured=1, seconds=0.25}
 *   }
 *
 * What was read must be, byte by byte, what would be written: nothing else can hide in it. */
#include "core/ir/text.h"
#include "core/plan/plan.h"
#include <math.h>

/* ---- Writing ----------------------------------------------------------------------------------- */

struct attr_list {
  struct gie_attr v[8];
  uint32_t n;
};

static void add_int(struct attr_list *l, const char *name, int64_t i)
{
  l->v[l->n++] = (struct gie_attr){.name = name, .kind = GIE_ATTR_INT, .u.i = i};
}

static void add_float(struct attr_list *l, const char *name, double f)
{
  l->v[l->n++] = (struct gie_attr){.name = name, .kind = GIE_ATTR_FLOAT, .u.f = f};
}

static void add_text(struct attr_list *l, const char *name, const char *s)
{
  l->v[l->n++] = (struct gie_attr){.name = name, .kind = GIE_ATTR_STRING, .n = (uint32_t)strlen(s), .u.s = s};
}

static void add_texts(struct attr_list *l, const char *name, const char *const *ss, uint32_t n)
{
  l->v[l->n++] = (struct gie_attr){.name = name, .kind = GIE_ATTR_STRINGS, .n = n, .u.ss = ss};
}

static gie_status put(struct gie_context *ctx, const char *name, const struct attr_list *l, struct gie_buf *b)
{
  struct gie_graph *g;
  GIE_TRY(gie_graph_new(ctx, name, &g));
  gie_status st = GIE_OK;
  for (uint32_t i = 0; st == GIE_OK && i < l->n; i++)
    st = gie_graph_set_meta(g, &l->v[i]);
  if (st == GIE_OK)
    st = text_print(g, b, NULL);
  gie_graph_free(g);
  return st;
}

/* Names and origins as two arrays of one allocation. */
static const char **split(struct gie_context *ctx, const struct plan_needs *needs)
{
  const char **v = gie_alloc(ctx, (size_t)needs->n + 1, 2 * sizeof(char *));
  for (uint32_t i = 0; v && i < needs->n; i++) {
    v[i] = needs->v[i].name;
    v[needs->n + i] = needs->v[i].origin;
  }
  return v;
}

gie_status plan_put_meta(const struct gie_plan *plan, struct gie_buf *b)
{
  struct attr_list l = {.n = 0};
  int64_t abi[] = {plan->abi_major, plan->abi_minor};
  const char **kernels = split(plan->ctx, &plan->kernels), **ops = split(plan->ctx, &plan->ops);
  gie_status st = kernels && ops ? GIE_OK : GIE_E_MEMORY;
  if (st == GIE_OK) {
    add_text(&l, "gie", plan->version);
    l.v[l.n++] = (struct gie_attr){.name = "abi", .kind = GIE_ATTR_INTS, .n = 2, .u.is = abi};
    add_texts(&l, "kernels", kernels, plan->kernels.n);
    add_texts(&l, "kernel_modules", kernels + plan->kernels.n, plan->kernels.n);
    add_texts(&l, "ops", ops, plan->ops.n);
    add_texts(&l, "op_modules", ops + plan->ops.n, plan->ops.n);
    st = put(plan->ctx, "plan", &l, b);
  }
  gie_free(plan->ctx, (void *)kernels);
  gie_free(plan->ctx, (void *)ops);
  return st;
}

gie_status plan_put_head(const struct gie_plan_profile *p, struct gie_context *ctx, struct gie_buf *b)
{
  struct attr_list l = {.n = 0};
  add_text(&l, "device", p->device);
  add_text(&l, "device_name", p->device_name);
  add_text(&l, "device_version", p->device_version);
  add_int(&l, "threads", p->threads);
  add_int(&l, "measured", p->measured);
  add_float(&l, "seconds", p->seconds);
  if (p->precision && *p->precision)
    add_text(&l, "precision", p->precision);
  return put(ctx, "profile", &l, b);
}

/* ---- Reading ----------------------------------------------------------------------------------- */

static gie_status wrong(struct gie_context *ctx, const char *name)
{
  return gie_fail(ctx, GIE_E_DATA, "\"%s\" is missing or not what it must be", name);
}

static const struct gie_attr *find(const struct gie_graph *g, const char *name, enum gie_attr_kind kind)
{
  const struct gie_attr *a = gie_attrs_find(gie_graph_meta(g), name);
  return a && a->kind == kind ? a : NULL;
}

static gie_status get_text(struct gie_plan *plan, const struct gie_graph *g, const char *name,
                           const char **out)
{
  const struct gie_attr *a = find(g, name, GIE_ATTR_STRING);
  if (!a || strlen(a->u.s) != a->n)
    return wrong(plan->ctx, name);
  *out = gie_arena_strdup(&plan->mem, a->u.s);
  return *out ? GIE_OK : GIE_E_MEMORY;
}

static gie_status get_int(struct gie_context *ctx, const struct gie_graph *g, const char *name, int64_t max,
                          int64_t *out)
{
  const struct gie_attr *a = find(g, name, GIE_ATTR_INT);
  if (!a || a->u.i < 0 || a->u.i > max)
    return wrong(ctx, name);
  *out = a->u.i;
  return GIE_OK;
}

static gie_status get_needs(struct gie_plan *plan, const struct gie_graph *g, const char *name,
                            const char *origin, struct plan_needs *out)
{
  const struct gie_attr *a = find(g, name, GIE_ATTR_STRINGS), *b = find(g, origin, GIE_ATTR_STRINGS);
  if (!a || !b || a->n != b->n)
    return wrong(plan->ctx, name);
  if (a->n > PLAN_MAX_NEEDS)
    return gie_fail(plan->ctx, GIE_E_LIMIT, "\"%s\" has more than %d entries", name, PLAN_MAX_NEEDS);
  GIE_TRY(gie_grow(plan->ctx, &out->v, &out->cap, a->n, sizeof *out->v));
  for (uint32_t i = 0; i < a->n; i++) {
    if (i > 0 && strcmp(a->u.ss[i - 1], a->u.ss[i]) >= 0)
      return gie_fail(plan->ctx, GIE_E_DATA, "\"%s\" is not in order", name);
    struct plan_need need = {gie_arena_strdup(&plan->mem, a->u.ss[i]),
                             gie_arena_strdup(&plan->mem, b->u.ss[i])};
    if (!need.name || !need.origin)
      return GIE_E_MEMORY;
    out->v[out->n++] = need;
  }
  return GIE_OK;
}

static gie_status read_meta(struct gie_plan *plan, const struct gie_graph *g)
{
  const struct gie_attr *abi = find(g, "abi", GIE_ATTR_INTS);
  GIE_TRY(get_text(plan, g, "gie", &plan->version));
  if (!abi || abi->n != 2 || abi->u.is[0] < 0 || abi->u.is[1] < 0 || abi->u.is[0] > UINT16_MAX ||
      abi->u.is[1] > UINT16_MAX)
    return wrong(plan->ctx, "abi");
  plan->abi_major = (uint16_t)abi->u.is[0];
  plan->abi_minor = (uint16_t)abi->u.is[1];
  GIE_TRY(get_needs(plan, g, "kernels", "kernel_modules", &plan->kernels));
  return get_needs(plan, g, "ops", "op_modules", &plan->ops);
}

static gie_status read_head(struct gie_plan *plan, const struct gie_graph *g, struct gie_plan_profile *p)
{
  const struct gie_attr *seconds = find(g, "seconds", GIE_ATTR_FLOAT);
  int64_t threads = 0, measured = 0;
  GIE_TRY(get_text(plan, g, "device", &p->device));
  GIE_TRY(get_text(plan, g, "device_name", &p->device_name));
  GIE_TRY(get_text(plan, g, "device_version", &p->device_version));
  GIE_TRY(get_int(plan->ctx, g, "threads", UINT32_MAX, &threads));
  GIE_TRY(get_int(plan->ctx, g, "measured", 1, &measured));
  if (!seconds || !(seconds->u.f >= 0) || isinf(seconds->u.f))
    return wrong(plan->ctx, "seconds");
  p->precision = "";
  if (gie_attrs_find(gie_graph_meta(g), "precision"))
    GIE_TRY(get_text(plan, g, "precision", &p->precision));
  p->threads = (uint32_t)threads;
  p->measured = measured;
  p->seconds = seconds->u.f;
  return GIE_OK;
}

/* Takes the status of writing it again. */
static gie_status same(struct gie_context *ctx, gie_status st, const struct gie_buf *b, const char *text,
                       size_t size)
{
  if (st == GIE_OK && (b->len != size || memcmp(b->data, text, size) != 0))
    st = gie_fail(ctx, GIE_E_DATA, "there is more in it, or something is written otherwise, than gie writes");
  return st;
}

gie_status plan_read_meta(struct gie_plan *plan, const char *text, size_t size)
{
  struct gie_graph *g;
  struct gie_buf b;
  GIE_TRY(text_read_meta(plan->ctx, text, size, &g));
  gie_buf_init(&b, plan->ctx);
  gie_status st = read_meta(plan, g);
  gie_graph_free(g);
  if (st == GIE_OK)
    st = same(plan->ctx, plan_put_meta(plan, &b), &b, text, size);
  gie_buf_free(&b);
  return st;
}

gie_status plan_read_head(struct gie_plan *plan, const char *text, size_t size, struct gie_plan_profile *p)
{
  struct gie_graph *g;
  struct gie_buf b;
  GIE_TRY(text_read_meta(plan->ctx, text, size, &g));
  gie_buf_init(&b, plan->ctx);
  gie_status st = read_head(plan, g, p);
  gie_graph_free(g);
  if (st == GIE_OK)
    st = same(plan->ctx, plan_put_head(p, plan->ctx, &b), &b, text, size);
  gie_buf_free(&b);
  return st;
}
