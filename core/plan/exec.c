/* SPDX-License-Identifier: Apache-2.0 */
/* Executors of a plan: their specializations are the plan's profiles, their device and weights are
 * shared. */
#include "core/plan/plan.h"

/* What an executor asks for the graph of a run. */
struct source {
  struct run_source pub; /* first */
  const struct gie_plan *plan;
  const struct gie_device_info *device;
  const char *kind; /* of the profiles that count */
  uint32_t threads;
  bool batch_is_free;
  bool *has_rows; /* by output */
};

/* ---- Which profile ----------------------------------------------------------------------------- */

/* How an input's type compares with the profile's: dims from `from` on are equal. An input that was not set
 * (nothing reads it) fits everything. */
static bool dims_fit(const struct gie_type *have, const struct gie_type *want, int from)
{
  if (!run_type_is_static(have))
    return true;
  bool fits = have->dtype == want->dtype && have->shape.rank == want->shape.rank;
  for (int i = from; fits && i < have->shape.rank; i++)
    fits = have->shape.dim[i].b == want->shape.dim[i].b;
  return fits;
}

static const struct gie_type *input_type(const struct gie_graph *g, uint32_t i)
{
  return &gie_value_get(g, gie_graph_input(g, i))->type;
}

/* Rows at hand: of all inputs the same; -1: they differ. */
static int64_t rows_of(const struct gie_graph *g, const struct gie_type *types)
{
  int64_t rows = -1;
  for (uint32_t i = 0; i < gie_graph_n_inputs(g); i++) {
    if (!run_type_is_static(&types[i]))
      continue;
    if (types[i].shape.rank < 1 || (rows >= 0 && types[i].shape.dim[0].b != rows))
      return -1;
    rows = types[i].shape.dim[0].b;
  }
  return rows;
}

/* True when all inputs fit from axis `from` on. */
static bool profile_fits(const struct source *s, const struct gie_plan_profile *p,
                         const struct gie_type *types, int from)
{
  if (strcmp(p->device, s->kind) != 0)
    return false;
  for (uint32_t i = 0; i < gie_graph_n_inputs(p->graph); i++)
    if (!dims_fit(&types[i], input_type(p->graph, i), from))
      return false;
  return true;
}

/* Of profiles that fit alike, one tuned on a device of this name comes first. */
static bool is_better(const struct source *s, const struct gie_plan_profile *a,
                      const struct gie_plan_profile *b)
{
  return !b || (strcmp(b->device_name, s->device->name) != 0 && strcmp(a->device_name, s->device->name) == 0);
}

static const struct gie_plan_profile *find_exact(const struct source *s, const struct gie_type *types)
{
  const struct gie_plan_profile *best = NULL;
  for (uint32_t i = 0; i < s->plan->n_profiles; i++) {
    const struct gie_plan_profile *p = &s->plan->profiles[i].pub;
    if (profile_fits(s, p, types, 0) && is_better(s, p, best))
      best = p;
  }
  return best;
}

static const struct gie_plan_profile *find_larger(const struct source *s, const struct gie_type *types,
                                                  int64_t rows)
{
  const struct gie_plan_profile *best = NULL;
  int64_t best_batch = INT64_MAX;
  for (uint32_t i = 0; rows >= 0 && i < s->plan->n_profiles; i++) {
    const struct gie_plan_profile *p = &s->plan->profiles[i].pub;
    int64_t batch = input_type(p->graph, 0)->shape.dim[0].b;
    if (batch > rows && profile_fits(s, p, types, 1) &&
        (batch < best_batch || (batch == best_batch && is_better(s, p, best)))) {
      best = p;
      best_batch = batch;
    }
  }
  return best;
}

/* ---- Messages ---------------------------------------------------------------------------------- */

#define LISTED 16

static void put_profiles(const struct source *s, struct gie_buf *b)
{
  uint32_t n = 0;
  for (uint32_t i = 0; i < s->plan->n_profiles; i++) {
    if (strcmp(s->plan->profiles[i].pub.device, s->kind) != 0)
      continue;
    if (n < LISTED) {
      gie_buf_puts(b, n ? "; " : "");
      plan_put_profile(s->plan, i, b);
    }
    n++;
  }
  if (n > LISTED)
    gie_buf_printf(b, "; and %u more", (unsigned)(n - LISTED));
}

static gie_status no_profile(const struct source *s, const struct gie_type *types)
{
  struct gie_context *ctx = s->plan->ctx;
  const struct gie_graph *base = s->plan->base;
  struct gie_buf b;
  char shape[128];
  gie_buf_init(&b, ctx);
  for (uint32_t i = 0; i < gie_graph_n_inputs(base); i++)
    gie_buf_printf(&b, "%s%s %s", i ? ", " : "", gie_value_get(base, gie_graph_input(base, i))->name,
                   gie_shape_text(base, &types[i].shape, shape, sizeof shape));
  gie_buf_printf(&b, "; profiles: ");
  put_profiles(s, &b);
  gie_status st = b.status;
  if (st == GIE_OK)
    st = gie_fail(ctx, GIE_E_SHAPE, "no profile of the plan is for inputs %s; build one for these shapes%s",
                  b.data,
                  s->batch_is_free ? ""
                                   : " (the network may mix the items of a batch, so none is filled up)");
  gie_buf_free(&b);
  return st;
}

/* Told once by all executors of the plan. */
static void say_batch(const struct source *s, int64_t rows, int64_t batch)
{
  if (!atomic_exchange(&s->plan->shared->said_batch, true))
    gie_log(s->plan->ctx, GIE_LOG_WARN, "plan",
            "a batch of %lld runs, filled up, in the profile for %lld; build one for it for the best speed",
            (long long)rows, (long long)batch);
}

/* A profile that names no device was tuned nowhere. */
static void say_elsewhere(const struct source *s, const struct gie_plan_profile *p)
{
  const struct gie_device_info *d = s->device;
  if (!*p->device_name ||
      (strcmp(p->device_name, d->name) == 0 && strcmp(p->device_version, d->version) == 0) ||
      atomic_exchange(&s->plan->shared->said_elsewhere, true))
    return;
  gie_log(
      s->plan->ctx, GIE_LOG_WARN, "plan",
      "the plan was tuned on \"%s\" (%s), this is \"%s\" (%s): its choices are kept, its timings were made "
      "elsewhere; build it here for the best speed",
      p->device_name, p->device_version, d->name, d->version);
}

/* Kernels are chosen for a number of threads; on a device that is not the host they play no part. */
static void say_threads(const struct source *s, const struct gie_plan_profile *p)
{
  if (!p->measured || p->threads == 0 || p->threads == s->threads || !(s->device->flags & GIE_DEVICE_HOST) ||
      atomic_exchange(&s->plan->shared->said_threads, true))
    return;
  gie_log(s->plan->ctx, GIE_LOG_WARN, "plan",
          "the plan was tuned with %u thread%s and runs with %u: its choices are kept; build it with "
          "--threads=%u for the best speed",
          (unsigned)p->threads, p->threads == 1 ? "" : "s", (unsigned)s->threads, (unsigned)s->threads);
}

/* ---- The source -------------------------------------------------------------------------------- */

static gie_status choose(struct run_source *pub, struct gie_type *types, const struct gie_graph **graph)
{
  struct source *s = (struct source *)pub;
  const struct gie_plan_profile *p = find_exact(s, types);
  int64_t rows = p || !s->batch_is_free ? -1 : rows_of(s->plan->base, types);
  s->pub.rows = -1;
  if (!p && (p = find_larger(s, types, rows))) {
    s->pub.rows = rows;
    say_batch(s, rows, input_type(p->graph, 0)->shape.dim[0].b);
  }
  if (!p)
    return no_profile(s, types);
  say_elsewhere(s, p);
  say_threads(s, p);
  for (uint32_t i = 0; i < gie_graph_n_inputs(p->graph); i++)
    types[i] = *input_type(p->graph, i);
  *graph = p->graph;
  return GIE_OK;
}

static void source_free(struct run_source *pub)
{
  struct source *s = (struct source *)pub;
  gie_free(s->plan->ctx, s->has_rows);
  gie_free(s->plan->ctx, s);
}

static gie_status source_new(const struct gie_plan *plan, const struct run_engine *engine, uint32_t threads,
                             struct source **out)
{
  struct source *s = gie_alloc(plan->ctx, 1, sizeof *s);
  if (!s)
    return GIE_E_MEMORY;
  *s = (struct source){.pub = {.choose = choose, .free = source_free, .rows = -1},
                       .plan = plan,
                       .device = &engine->device.info,
                       .kind = engine->device.ops->kind,
                       .threads = threads ? threads : engine->device.threads};
  s->has_rows = gie_alloc(plan->ctx, gie_graph_n_outputs(plan->base), sizeof *s->has_rows);
  s->pub.cut = s->has_rows;
  gie_status st = s->has_rows ? plan_batch_is_free(plan->base, &s->batch_is_free, s->has_rows) : GIE_E_MEMORY;
  if (st == GIE_OK)
    *out = s;
  else
    source_free(&s->pub);
  return st;
}

/* ---- The executor ------------------------------------------------------------------------------ */

/* The device that was asked for, else the first profile's that is here. */
static const char *default_device(const struct gie_plan *plan)
{
  for (uint32_t i = 0; i < plan->n_profiles; i++)
    if (plan_profile_is_here(plan, i))
      return plan->profiles[i].pub.device;
  return plan->n_profiles ? plan->profiles[0].pub.device : "cpu";
}

static gie_status check_device(const struct gie_plan *plan, const char *kind)
{
  size_t n;
  int index;
  struct gie_buf b;
  GIE_TRY(run_device_parse(plan->ctx, kind, &n, &index));
  gie_buf_init(&b, plan->ctx);
  for (uint32_t i = 0; i < plan->n_profiles; i++) {
    const char *device = plan->profiles[i].pub.device;
    if (strlen(device) == n && memcmp(device, kind, n) == 0) {
      gie_buf_free(&b);
      return GIE_OK;
    }
    if (!b.data || !strstr(b.data, device))
      gie_buf_printf(&b, "%s%s", b.len ? ", " : "", device);
  }
  gie_status st = gie_fail(plan->ctx, GIE_E_DEVICE,
                           "the plan has no profile for device \"%s\"; it has some for %s", kind,
                           b.data ? b.data : "none");
  gie_buf_free(&b);
  return st;
}

static gie_status make(const struct gie_plan *plan, const struct gie_exec_options *o,
                       struct run_engine *engine, struct gie_exec **out)
{
  struct gie_graph *base;
  struct source *source = NULL;
  gie_status st = gie_graph_clone(plan->base, &base);
  if (st == GIE_OK && (st = source_new(plan, engine, GIE_OPTION(o, threads), &source)) != GIE_OK)
    gie_graph_free(base);
  if (st == GIE_OK)
    return run_exec_new(base, &source->pub, engine, o, NULL, out);
  run_engine_put(engine);
  return st;
}

/* An executor is ready when it is made: one profile's kernels are bound, the others' when they are asked for. */
static gie_status warm_up(const struct gie_plan *plan, struct gie_exec *x)
{
  struct source *s = (struct source *)x->source;
  const struct gie_plan_profile *p = NULL;
  for (uint32_t i = 0; i < plan->n_profiles && !p; i++)
    if (strcmp(plan->profiles[i].pub.device, s->kind) == 0)
      p = &plan->profiles[i].pub;
  if (!p || x->current)
    return GIE_OK;
  struct gie_type *types = gie_alloc(plan->ctx, x->n_inputs, sizeof *types);
  const struct gie_graph *g = p->graph;
  if (!types)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < x->n_inputs; i++)
    types[i] = *input_type(p->graph, i);
  gie_status st = choose(x->source, types, &g);
  if (st == GIE_OK)
    st = run_use_spec(x, g, types);
  gie_free(plan->ctx, types);
  return st;
}

gie_status gie_exec_new_plan(const struct gie_plan *plan, const struct gie_exec_options *options,
                             struct gie_exec **out)
{
  struct run_engine *engine;
  struct gie_exec *x;
  const char *kind = GIE_OPTION(options, device);
  kind = kind ? kind : default_device(plan);
  GIE_TRY(check_device(plan, kind));
  GIE_TRY(run_engine_get(&plan->shared->engines, plan->ctx, kind, &engine));
  GIE_TRY(make(plan, options, engine, &x));
  gie_status st = warm_up(plan, x);
  if (st == GIE_OK)
    *out = x;
  else
    gie_exec_free(x);
  return st;
}
