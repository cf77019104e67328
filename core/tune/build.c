/* SPDX-License-Identifier: Apache-2.0 */
/* From a network to a plan: clean-up passes, then for every profile a selection on each structure of the graph (structure.c),
 * of which the cheapest is lowered into the plan. */
#include "core/plan/plan.h"
#include "core/tune/select.h"

/* ---- The tuner --------------------------------------------------------------------------------------- */

double *tuner_stage(struct tuner *t, double *stage)
{
  double *before = t->stage, now = run_now();
  if (before)
    *before += now - t->since;
  t->stage = stage;
  t->since = now;
  return before;
}

static gie_status open_cache(struct tuner *t)
{
  GIE_TRY(tune_cache_open_default(t->ctx, t->o->cache, t->o->cache_read_only, &t->cache));
  /* Better known before the timing than after. */
  t->no_saving = t->o->random_costs || (!t->no_timing && tune_cache_try(t->cache) != GIE_OK);
  if (t->no_saving && !t->o->random_costs)
    gie_log(t->ctx, GIE_LOG_WARN, "tune", "what is measured will not be kept: %s", gie_error_text(t->ctx));
  return GIE_OK;
}

gie_status tuner_open(struct gie_context *ctx, const struct gie_build_options *o, struct tuner *t)
{
  memset(t, 0, sizeof *t);
  t->ctx = t->consts.ctx = ctx;
  t->o = o;
  t->no_timing = o->budget < 0;
  t->deadline = o->budget > 0 ? run_now() + o->budget : 0;
  t->report.struct_size = sizeof t->report;
  t->progress.struct_size = sizeof t->progress;
  tuner_stage(t, &t->report.times.open);
  gie_arena_init(&t->mem, ctx);
  gie_map_init(&t->problem_index, ctx);
  gie_map_init(&t->cand_index, ctx);
  gie_map_init(&t->set_index, ctx);
  gie_map_init(&t->conversion_index, ctx);
  gie_status st = run_device_open(ctx, o->device, o->threads, &t->device);
  if (st == GIE_OK) {
    run_weights_init(&t->weights, &t->device);
    t->device_key = tune_entry_device(&t->mem, t->device.ops->kind, &t->device.info, t->device.threads);
    st = t->device_key ? run_binder_init(&t->binder, &t->device, &t->weights, o->backends) : GIE_E_MEMORY;
  }
  if (st == GIE_OK)
    st = open_cache(t);
  if (st == GIE_OK)
    st = tune_find_peaks(&t->device, t->device_key, t->cache, !t->no_timing, &t->peaks);
  tuner_stage(t, NULL);
  if (st != GIE_OK)
    tuner_close(t);
  return st;
}

void tuner_close(struct tuner *t)
{
  worker_stop(t->worker);
  tune_cache_free(t->cache);
  for (size_t i = 0; i < t->n_problems; i++)
    tune_problem_free(t->problems[i], t->ctx);
  gie_free(t->ctx, t->problems);
  gie_free(t->ctx, t->cands);
  gie_free(t->ctx, t->sets);
  run_binder_free(&t->binder);
  run_weights_free(&t->weights);
  if (t->device.ops)
    run_device_close(&t->device);
  tune_consts_free(&t->consts);
  gie_map_free(&t->problem_index);
  gie_map_free(&t->cand_index);
  gie_map_free(&t->set_index);
  gie_map_free(&t->conversion_index);
  gie_arena_free(&t->mem);
}

/* ---- Profiles ---------------------------------------------------------------------------------------- */

static gie_status specialize(struct tuner *t, const struct gie_graph *g, const char *shapes,
                             struct gie_graph **out)
{
  struct gie_type *types = gie_alloc(t->ctx, gie_graph_n_inputs(g) + 1, sizeof *types);
  gie_status st = types ? gie_graph_parse_shapes(g, shapes, types) : GIE_E_MEMORY;
  for (uint32_t i = 0; st == GIE_OK && i < gie_graph_n_inputs(g); i++)
    if (!run_type_is_static(&types[i])) {
      const struct gie_value *v = gie_value_get(g, gie_graph_input(g, i));
      char text[256];
      st = gie_fail(t->ctx, GIE_E_SHAPE, "input \"%s\" is %s; a plan needs numbers: give --shapes=%s:…",
                    v->name, gie_shape_text(g, &types[i].shape, text, sizeof text), v->name);
    }
  if (st == GIE_OK)
    st = run_specialize(g, types, out);
  gie_free(t->ctx, types);
  return st;
}

static const char *precision_of(const struct gie_build_options *o)
{
  static const char *const WORDS[2][3] = {{"", "tf32", "fast"}, {"fp16", "fp16,tf32", "fp16,fast"}};
  return WORDS[o->reduced_precision][o->math];
}

static gie_status add_profile(struct tuner *t, const char *shapes, struct gie_plan *plan,
                              struct gie_buf *tables)
{
  struct gie_graph *g;
  struct tune_outcome best = {0};
  uint32_t index = gie_plan_n_profiles(plan);
  GIE_TRY(specialize(t, plan->base, shapes, &g));
  gie_status st = tune_choose(t, g, index, &best);
  gie_graph_free(g);
  if (st == GIE_OK) {
    gie_buf_puts(tables, best.table);
    tune_put_run(tables, &best.run);
    t->report.cost += best.cost;
    t->report.lower_bound += best.lower_bound;
    t->report.exact &= best.exact;
    struct gie_plan_profile p = {.struct_size = sizeof p,
                                 .device = t->device.ops->kind,
                                 .device_name = t->device.info.name,
                                 .device_version = t->device.info.version,
                                 .threads = t->device.threads,
                                 .measured = best.measured,
                                 .seconds = best.cost,
                                 .graph = best.graph,
                                 .precision = precision_of(t->o)};
    best.graph = NULL;
    st = plan_add_profile(plan, &p);
  }
  tune_outcome_free(&best, t->ctx);
  return st;
}

static gie_status fill_plan(struct tuner *t, struct gie_plan *plan)
{
  struct gie_buf tables;
  uint32_t n = t->o->n_shapes ? t->o->n_shapes : 1;
  gie_status st = GIE_OK;
  gie_buf_init(&tables, t->ctx);
  t->report.exact = true;
  t->parts = n * tune_count_structures(t);
  for (uint32_t i = 0; st == GIE_OK && i < n; i++)
    st = add_profile(t, t->o->n_shapes ? t->o->shapes[i] : NULL, plan, &tables);
  tuner_put_cut_sets(&tables, t);
  if (st == GIE_OK)
    st = tables.status;
  if (st == GIE_OK)
    st = plan_set_candidates(plan, tables.data ? tables.data : "");
  gie_buf_free(&tables);
  return st;
}

/* What was measured is kept even when the build fails; that it cannot be kept is no failure. Returns st, with its
 * words. */
static gie_status keep_measurements(struct tuner *t, gie_status st)
{
  struct gie_buf why;
  if (!t->report.timed || t->no_saving)
    return st;
  gie_buf_init(&why, t->ctx);
  gie_buf_puts(&why, gie_error_text(t->ctx));
  if (tune_cache_save(t->cache) != GIE_OK) {
    gie_log(t->ctx, GIE_LOG_WARN, "tune", "timings are not kept: %s", gie_error_text(t->ctx));
    if (st != GIE_OK && why.data)
      st = gie_fail(t->ctx, st, "%s", why.data);
  }
  gie_buf_free(&why);
  return st;
}

static gie_status build(struct tuner *t, const struct gie_graph *g, struct gie_plan **out)
{
  struct gie_graph *base;
  struct gie_plan *plan = NULL;
  struct gie_pipeline_options po = {.struct_size = sizeof po,
                                    .device_flags = t->device.info.flags,
                                    .disable = t->o->disable};
  GIE_TRY(gie_graph_clone(g, &base));
  tuner_stage(t, &t->report.times.passes);
  gie_status st = gie_pipeline_run(base, t->o->pipeline, &po);
  tuner_stage(t, NULL);
  if (st != GIE_OK) {
    gie_graph_free(base);
    return st;
  }
  st = run_check_ops(base, &t->binder, NULL);
  if (st != GIE_OK) {
    gie_graph_free(base);
    return st;
  }
  base->fresh = 0; /* as after reading it from the plan, so that retuning makes the same names */
  GIE_TRY(plan_new(t->ctx, base, &plan));
  st = fill_plan(t, plan);
  tuner_stage(t, &t->report.times.save);
  st = keep_measurements(t, st);
  tuner_stage(t, NULL);
  if (st != GIE_OK) {
    gie_plan_free(plan);
    return st;
  }
  *out = plan;
  return GIE_OK;
}

gie_status gie_build(const struct gie_graph *g, const struct gie_build_options *options,
                     struct gie_build_report *report, struct gie_plan **out)
{
  struct gie_build_options o = {.struct_size = sizeof o};
  struct gie_context *ctx = gie_graph_context(g);
  struct tuner t;
  double start = run_now();
  if (options)
    memcpy(&o, options, options->struct_size < sizeof o ? options->struct_size : sizeof o);
  o.struct_size = sizeof o;
  if (o.math < GIE_MATH_STRICT || o.math > GIE_MATH_FAST)
    return gie_fail(ctx, GIE_E_USAGE, "math %d is no enum gie_math", (int)o.math);
  if (o.n_structures > TUNE_MAX_STRUCTURES)
    return gie_fail(ctx, GIE_E_USAGE, "%u structures; at most %d are tried", (unsigned)o.n_structures,
                    TUNE_MAX_STRUCTURES);
  GIE_TRY(tuner_open(ctx, &o, &t));
  gie_status st = build(&t, g, out);
  t.report.seconds = run_now() - start;
  t.report.problems = (uint32_t)t.n_sets + t.report.nodes;
  if (report) {
    size_t size = report->struct_size < sizeof t.report ? report->struct_size : sizeof t.report;
    memcpy(report, &t.report, size);
    report->struct_size = size;
  }
  tuner_close(&t);
  return st;
}
