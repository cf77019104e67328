/* SPDX-License-Identifier: Apache-2.0 */
/* A selection on each structure of the graph, of which the fastest is lowered: passes that change which kernels there are
 * and where values lie cannot know whether that pays. */
#include "core/tune/select.h"

#define MAX_STATS 64   /* passes of one structure */
#define PRINT_SIZE 512 /* of what they changed */
#define NEAR 1.2       /* times the cheapest structure's cost: such are run as wholes */
#define ROUNDS 12      /* of choosing, with measuring what the choice needs, in which ranges are tried */

/* ---- One structure ----------------------------------------------------------------------------------- */

void tune_outcome_free(struct tune_outcome *o, struct gie_context *ctx)
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
  if (s->fixed > 0)
    return false;
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

static gie_status choose(struct tuner *t, const struct gie_graph *g, uint32_t profile,
                         struct tune_outcome *out)
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

/* ---- Which there are ---------------------------------------------------------------------------------- */

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

uint32_t tune_count_structures(const struct tuner *t)
{
  const char *const *list;
  return list_structures(t, &list);
}

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
  uint32_t n, steps[TUNE_MAX_STRUCTURES];
  char print[TUNE_MAX_STRUCTURES][PRINT_SIZE];
};

/* One of the structures; *made: it is unlike those seen. */
static gie_status choose_one(struct tuner *t, const struct gie_graph *g, uint32_t profile, struct seen *seen,
                             struct tune_outcome *out, bool *made)
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

/* ---- Which it is -------------------------------------------------------------------------------------- */

static uint32_t count_kernels(const struct gie_graph *g)
{
  uint32_t n = 0;
  GIE_FOR_NODES(g, id)
    n += gie_attrs_find(&gie_node_get(g, id)->notes, "kernel") != NULL;
  return n;
}

/* The cheapest by the sum of its nodes, as far as that was measured. */
static uint32_t cheapest(const struct tuner *t, const struct tune_outcome *o, const uint32_t *kernels,
                         uint32_t n)
{
  double seconds[TUNE_MAX_STRUCTURES];
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
static gie_status pick(struct tuner *t, struct tune_outcome *o, uint32_t n, uint32_t *best)
{
  bool near[TUNE_MAX_STRUCTURES] = {false}, branches = false;
  double seconds[TUNE_MAX_STRUCTURES];
  uint32_t kernels[TUNE_MAX_STRUCTURES];
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

gie_status tune_choose(struct tuner *t, const struct gie_graph *g, uint32_t profile, struct tune_outcome *out)
{
  const char *const *list;
  struct tune_outcome o[TUNE_MAX_STRUCTURES] = {0};
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
      tune_outcome_free(&o[i], t->ctx);
  *out = o[best];
  return st;
}
