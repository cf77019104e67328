/* SPDX-License-Identifier: Apache-2.0 */
/* From a network to a plan: clean-up passes, then for every profile a selection on each structure of the graph,
 * of which the cheapest is lowered into the plan. */
#include "core/plan/plan.h"
#include "core/tune/select.h"

#define MAX_STATS 64 /* passes of one structure */
#define MAX_STRUCTURES 16
#define NEAR 1.2  /* times the cheapest structure's cost: such are run as wholes */
#define ROUNDS 12 /* of choosing, with measuring what the choice needs, in which ranges are tried */

/* ---- The tuner --------------------------------------------------------------------------------------- */

/* Peaks are measurements too: kept with the others, so that a second build sees the same. */
static struct tune_entry peak_entry(const struct tuner *t, const char *name)
{
  return (struct tune_entry){.problem = name,
                             .kernel = TUNE_PEAK,
                             .device = t->device_key,
                             .version = t->device.info.version,
                             .text = ""};
}

static bool peaks_from_cache(struct tuner *t)
{
  struct tune_entry e;
#define FIND_PEAK(name)                                   \
  {                                                       \
    struct tune_entry key = peak_entry(t, "peak " #name); \
    if (tune_cache_find(t->cache, &key, &e, NULL))        \
      t->peaks.name = e.seconds;                          \
  }
  TUNE_PEAKS(FIND_PEAK)
#undef FIND_PEAK
  return t->peaks.bytes_per_s > 0;
}

static gie_status peaks_to_cache(struct tuner *t)
{
#define PUT_PEAK(name)                                  \
  {                                                     \
    struct tune_entry e = peak_entry(t, "peak " #name); \
    e.seconds = t->peaks.name;                          \
    if (e.seconds > 0)                                  \
      GIE_TRY(tune_cache_put(t->cache, &e));            \
  }
  TUNE_PEAKS(PUT_PEAK)
#undef PUT_PEAK
  return GIE_OK;
}

double *tuner_stage(struct tuner *t, double *stage)
{
  double *before = t->stage, now = run_now();
  if (before)
    *before += now - t->since;
  t->stage = stage;
  t->since = now;
  return before;
}

static gie_status find_peaks(struct tuner *t)
{
  const struct gie_device *d = t->device.ops;
  t->peaks = (struct gie_peaks){.struct_size = sizeof t->peaks};
  if (peaks_from_cache(t))
    return GIE_OK;
  if (t->no_timing || !d->peaks || d->peaks(t->device.dev, &t->peaks) != GIE_OK ||
      t->peaks.bytes_per_s <= 0) {
    tune_default_peaks(&t->device.info, &t->peaks);
    return GIE_OK;
  }
  return peaks_to_cache(t);
}

static gie_status open_cache(struct tuner *t)
{
  const char *path = t->o->cache ? t->o->cache : tune_cache_default_path(t->ctx, &t->mem);
  if (path && !*path)
    path = NULL;
  GIE_TRY(tune_cache_open(t->ctx, path, t->o->cache_read_only, &t->cache));
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
    st = find_peaks(t);
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

struct outcome {
  struct gie_graph *graph; /* lowered */
  char *table;
  const char *structure;
  double cost, lower_bound;
  bool exact, measured;
  struct tune_run run; /* of the whole graph */
};

static void outcome_free(struct outcome *o, struct gie_context *ctx)
{
  gie_graph_free(o->graph);
  gie_free(ctx, o->table);
  memset(o, 0, sizeof *o);
}

static bool is_measured(const struct selection *s, const struct tune_alt *a)
{
  if (a->kind == ALT_KERNEL && s->t->cands[a->cand].source == TUNE_ESTIMATED)
    return false;
  for (uint32_t i = 0; i < a->n_rest; i++)
    if (!tuner_set_is_measured(s->t, a->rest[i]))
      return false;
  return true;
}

/* Kernels, steps that they leave over, and conversions. */
static bool all_measured(struct selection *s)
{
  struct tune_home h;
  uint32_t set;
  GIE_FOR_NODES(s->g, id)
    if (s->nodes[id].open && !is_measured(s, &s->nodes[id].alts[s->nodes[id].choice]))
      return false;
  for (gie_id v = 0; v < gie_graph_n_values(s->g); v++) {
    if (!select_is_chosen(s, v))
      continue;
    select_home(s, v, &h);
    for (uint32_t i = 0; i < h.n_forms + h.copied; i++)
      if (select_home_conversion(s, v, &h, i, &set) != GIE_OK || !tuner_set_is_measured(s->t, set))
        return false;
  }
  return true;
}

/* Chooses and measures the conversions and ranges of the choice, until there is nothing new to measure. From ROUNDS on
 * no new ranges are taken, so that it ends. */
static gie_status settle(struct selection *s)
{
  bool changed = true;
  gie_status st = GIE_OK;
  double *before = tuner_stage(s->t, &s->t->report.times.choose);
  for (int round = 1; st == GIE_OK && changed && round < 2 * ROUNDS; round++) {
    bool ranges = false;
    st = select_solve(s);
    if (st == GIE_OK)
      st = select_prefer_views(s);
    if (st == GIE_OK)
      st = select_settle(s, &changed);
    if (st == GIE_OK)
      st = select_ranges(s, round >= ROUNDS, &ranges);
    changed |= ranges;
  }
  tuner_stage(s->t, before);
  return st;
}

static gie_status choose(struct tuner *t, const struct gie_graph *g, uint32_t profile, struct outcome *out)
{
  struct selection s;
  struct gie_buf table;
  size_t len;
  GIE_TRY(selection_init(&s, t, g));
  tuner_stage(t, &t->report.times.ask);
  gie_status st = select_ask(&s);
  if (st == GIE_OK)
    st = select_expand(&s);
  tuner_stage(t, &t->report.times.choose);
  if (st == GIE_OK)
    st = select_measure(&s);
  if (st == GIE_OK)
    st = settle(&s);
  tuner_stage(t, &t->report.times.lower);
  for (bool again = st == GIE_OK; again && st == GIE_OK;) {
    st = select_lower(&s, &out->graph);
    if (st == GIE_OK)
      st = select_fit(&s, out->graph, &again);
    if (st == GIE_OK && again) {
      gie_graph_free(out->graph);
      out->graph = NULL;
      st = settle(&s);
    }
  }
  gie_buf_init(&table, t->ctx);
  if (st == GIE_OK) {
    select_put_table(&table, &s, profile, out->structure);
    st = gie_buf_take(&table, &out->table, &len);
    out->cost = s.cost;
    out->lower_bound = s.lower_bound;
    out->exact = s.exact;
    out->measured = all_measured(&s);
  }
  gie_buf_free(&table);
  selection_free(&s);
  tuner_stage(t, NULL);
  return st;
}

/* Structures that selection may choose from: passes on the graph with numbers as dims, after the clean-up. */
static const char *const STRUCTURES[] = {"", "share_concat_prefix,eliminate_concat,eliminate_split",
                                         "structure", "wide_structure"};

/* What kernels may round stands on the node: asking, the race and the executor read it there. */
static gie_status note_math(const struct tuner *t, struct gie_graph *g)
{
  const struct gie_attr math = {.name = "math", .kind = GIE_ATTR_INT, .u.i = (int64_t)t->o->math};
  if (t->o->math == GIE_MATH_STRICT)
    return GIE_OK;
  GIE_FOR_NODES(g, id)
    if (tune_has_math(gie_node_get(g, id)->op) && !tune_keeps_f32(gie_node_get(g, id)))
      GIE_TRY(gie_node_set_note(g, id, &math));
  return GIE_OK;
}

static uint32_t list_structures(const struct tuner *t, const char *const **list)
{
  *list = t->o->structures ? t->o->structures : STRUCTURES;
  return t->o->structures ? t->o->n_structures : sizeof STRUCTURES / sizeof *STRUCTURES;
}

#define PRINT_SIZE 512

/* "pass:3 other:1 ", what passes changed how much: structures that are alike there are the same. */
static void print_changes(const struct gie_pass_stat *stats, uint32_t n, const char *pipeline, char *print)
{
  size_t at = 0;
  print[0] = 0;
  for (uint32_t i = 0; i < n && at < PRINT_SIZE; i++)
    if (stats[i].changes)
      at += (size_t)snprintf(print + at, PRINT_SIZE - at, "%s:%u ", stats[i].pass,
                             (unsigned)stats[i].changes);
  if (n == MAX_STATS || at >= PRINT_SIZE) /* not all of it: unlike any other */
    snprintf(print, PRINT_SIZE, "%s", pipeline);
}

/* The structure of a copy. */
static gie_status restructure(struct tuner *t, struct gie_graph *g, const char *pipeline, char *print)
{
  struct gie_pass_stat stats[MAX_STATS];
  uint32_t n = 0;
  struct gie_pipeline_options po = {.struct_size = sizeof po,
                                    .device_flags = t->device.info.flags,
                                    .stats = stats,
                                    .max_stats = MAX_STATS,
                                    .n_stats = &n,
                                    .disable = t->o->disable};
  tuner_stage(t, &t->report.times.passes);
  gie_status st = gie_pipeline_run(g, pipeline, &po);
  tuner_stage(t, NULL);
  print_changes(stats, n < MAX_STATS ? n : MAX_STATS, pipeline, print);
  return st == GIE_OK ? note_math(t, g) : st;
}

/* Structures gone through, and how many steps of progress each was. */
struct seen {
  uint32_t n, steps[MAX_STRUCTURES];
  char print[MAX_STRUCTURES][PRINT_SIZE];
};

/* One of the structures; *made: it is unlike those seen. */
static gie_status choose_one(struct tuner *t, const struct gie_graph *g, uint32_t profile, struct seen *seen,
                             struct outcome *out, bool *made)
{
  uint32_t done = t->progress.done, i = 0;
  char *print = seen->print[seen->n];
  struct gie_graph *copy;
  GIE_TRY(gie_graph_clone(g, &copy));
  gie_status st = restructure(t, copy, out->structure, print);
  while (i < seen->n && strcmp(seen->print[i], print) != 0)
    i++;
  *made = st == GIE_OK && i == seen->n;
  if (*made)
    st = choose(t, copy, profile, out);
  gie_graph_free(copy);
  t->parts--;
  if (!*made && st == GIE_OK) {
    t->progress.done += seen->steps[i];
  } else {
    seen->steps[seen->n++] = t->progress.done - done;
  }
  return st;
}

static uint32_t count_kernels(const struct gie_graph *g)
{
  uint32_t n = 0;
  GIE_FOR_NODES(g, id)
    n += gie_attrs_find(&gie_node_get(g, id)->notes, "kernel") != NULL;
  return n;
}

/* The cheapest by the sum of its nodes, as far as that was measured. */
static uint32_t cheapest(const struct tuner *t, const struct outcome *o, const uint32_t *kernels, uint32_t n)
{
  double seconds[MAX_STRUCTURES];
  uint32_t first = 0;
  for (uint32_t i = 0; i < n; i++) {
    seconds[i] = o[i].cost;
    if (o[i].cost < o[first].cost * (1 - 1e-9))
      first = i;
  }
  return t->o->random_costs ? first : tune_fastest(seconds, kernels, n, first);
}

/* The cheapest. Where branches run beside each other the sum of its nodes is not what a run takes, so that
 * structures which are NEAR are run as wholes. */
static gie_status pick(struct tuner *t, struct outcome *o, uint32_t n, uint32_t *best)
{
  bool near[MAX_STRUCTURES] = {false}, branches = false;
  double seconds[MAX_STRUCTURES];
  uint32_t kernels[MAX_STRUCTURES];
  for (uint32_t i = 0; i < n; i++)
    kernels[i] = count_kernels(o[i].graph);
  uint32_t first = cheapest(t, o, kernels, n);
  tuner_stage(t, &t->report.times.streams);
  gie_status st = GIE_OK;
  for (uint32_t i = 0; st == GIE_OK && i < n; i++) {
    near[i] = o[i].cost <= o[first].cost * NEAR;
    if (near[i])
      st = tune_streams(t, &o[i].graph, false, &o[i].run);
    branches |= near[i] && o[i].run.n_streams > 1;
  }
  for (uint32_t i = 0; st == GIE_OK && branches && i < n; i++)
    if (near[i] && o[i].run.n_streams == 1)
      st = tune_streams(t, &o[i].graph, true, &o[i].run);
  tuner_stage(t, NULL);
  for (uint32_t i = 0; i < n; i++)
    seconds[i] = near[i] ? o[i].run.seconds : 0;
  *best = tune_fastest(seconds, kernels, n, first);
  return st;
}

static gie_status choose_structure(struct tuner *t, const struct gie_graph *g, uint32_t profile,
                                   struct outcome *out)
{
  const char *const *list;
  struct outcome o[MAX_STRUCTURES] = {0};
  struct seen seen = {0};
  uint32_t n_list = list_structures(t, &list), n = 0, best = 0;
  gie_status st = GIE_OK;
  for (uint32_t i = 0; st == GIE_OK && i < n_list; i++) {
    uint32_t n_nodes = t->report.nodes;
    bool made = false;
    o[n].structure = list[i];
    st = choose_one(t, g, profile, &seen, &o[n], &made);
    if (i > 0) /* the network's are counted once */
      t->report.nodes = n_nodes;
    n += made;
  }
  if (st == GIE_OK)
    st = pick(t, o, n, &best);
  for (uint32_t i = 0; i < n; i++)
    if (st != GIE_OK || i != best)
      outcome_free(&o[i], t->ctx);
  *out = o[best];
  return st;
}

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
  struct outcome best = {0};
  uint32_t index = gie_plan_n_profiles(plan);
  GIE_TRY(specialize(t, plan->base, shapes, &g));
  gie_status st = choose_structure(t, g, index, &best);
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
  outcome_free(&best, t->ctx);
  return st;
}

static gie_status fill_plan(struct tuner *t, struct gie_plan *plan)
{
  struct gie_buf tables;
  const char *const *list;
  uint32_t n = t->o->n_shapes ? t->o->n_shapes : 1;
  gie_status st = GIE_OK;
  gie_buf_init(&tables, t->ctx);
  t->report.exact = true;
  t->parts = n * list_structures(t, &list);
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
  if (o.n_structures > MAX_STRUCTURES)
    return gie_fail(ctx, GIE_E_USAGE, "%u structures; at most %d are tried", (unsigned)o.n_structures,
                    MAX_STRUCTURES);
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
