/* SPDX-License-Identifier: Apache-2.0 */
/* What each alternative costs. Estimates prune, then every candidate that is left gets a figure from the
 * timing cache or from a race. Candidates of one node race together, whatever their forms: they stand for
 * the same work, so what disturbs one disturbs all. */
#include "core/tune/select.h"
#include <math.h>

#define PATIENCE \
  50.0 /* a candidate hangs when it takes that many times its estimate and WORKER_DEADLINE seconds */
#define MAX_PATIENCE 3600.0            /* seconds, whatever the estimate */
#define MAX_FIELD 128                  /* candidates in one race */
#define MAX_BYTES ((double)(96 << 20)) /* that their tensors take, or one candidate more */
#define DEVICE_BYTES \
  ((double)((uint64_t)8 << 30)) /* the same on a device with memory of its own, but for a quarter of it */
#define DEVICE_SAMPLE 3e-4      /* seconds at least: a device's clock shows half a microsecond */
#define DEVICE_DEADLINE 60      /* seconds that compiling or loading a kernel may take there */

/* ---- Figures -------------------------------------------------------------------------------------- */

static struct tune_entry entry_of(const struct tuner *t, const struct tune_cand *c)
{
  return (struct tune_entry){.problem = c->problem->key,
                             .kernel = c->kernel->name,
                             .config = c->config,
                             .device = t->device_key,
                             .version = c->version,
                             .text = ""};
}

static gie_status take_verdict(struct tuner *t, struct tune_cand *c, enum probe_verdict v, double seconds,
                               double spread, double error, const char *text)
{
  c->error = error;
  if (v == PROBE_OK) {
    c->seconds = seconds;
    c->spread = spread;
    return GIE_OK;
  }
  char *why = gie_arena_alloc(&t->mem, strlen(text) + 32, 1);
  if (!why)
    return GIE_E_MEMORY;
  sprintf(why, "%s%s%s", probe_verdict_word(v), *text ? ": " : "", text);
  c->bad = why;
  c->verdict = v;
  t->report.bad++;
  return GIE_OK;
}

/* A reproducible cost that has nothing to do with the candidate's speed. */
static double random_seconds(const struct tuner *t, const struct tune_cand *c)
{
  uint64_t h = 1469598103934665603u ^ t->o->random_costs;
  for (const char *s = c->problem->key; *s; s++)
    h = (h ^ (unsigned char)*s) * 1099511628211u;
  for (const char *s = c->kernel->name; *s; s++)
    h = (h ^ (unsigned char)*s) * 1099511628211u;
  h = (h ^ c->config) * 1099511628211u;
  h ^= h >> 29;
  return 1e-6 * (1 + (double)(h % 1000));
}

static bool from_cache(struct tuner *t, struct tune_cand *c, gie_status *st)
{
  struct tune_entry key = entry_of(t, c), e;
  const char *why;
  if (!t->cache || !tune_cache_find(t->cache, &key, &e, &why))
    return false;
  c->source = TUNE_CACHED;
  t->report.cached++;
  *st = take_verdict(t, c, e.verdict, e.seconds, e.spread, e.error, e.text);
  return true;
}

/* ---- Races ---------------------------------------------------------------------------------------- */

struct field {
  uint32_t n, cands[MAX_FIELD];
  double bytes;
};

/* Roughly what a race needs for a candidate: results and operands with the copies that they are compared with. */
static double bytes_of(const struct tune_cand *c)
{
  const struct gie_node *n = gie_node_get(c->problem->g, gie_graph_first(c->problem->g));
  double sum = 0;
  for (uint32_t i = 0; i < n->n_in + n->n_out; i++) {
    const struct gie_value *v = gie_value_get(c->problem->g, i < n->n_in ? n->in[i] : n->out[i - n->n_in]);
    double bytes = v ? (double)gie_dtype_size(v->type.dtype) : 0;
    for (int k = 0; v && k < v->type.shape.rank; k++)
      bytes *= (double)v->type.shape.dim[k].b;
    sum += (v && v->kind == GIE_VALUE_CONST ? 3 : 1) *
           bytes; /* packed forms of constants are each candidate's own */
  }
  return sum;
}

/* The same for the field: tensors of one problem are shared by its candidates. */
static double more_bytes(const struct tuner *t, const struct field *f, const struct tune_cand *c)
{
  for (uint32_t i = 0; !t->device.host && i < f->n; i++)
    if (t->cands[f->cands[i]].problem == c->problem)
      return 0;
  return bytes_of(c);
}

static double max_bytes(const struct tuner *t)
{
  double quarter = t->device.info.memory ? (double)t->device.info.memory / 4 : DEVICE_BYTES;
  return t->device.host ? MAX_BYTES : fmin(quarter, DEVICE_BYTES);
}

static bool may_time(struct tuner *t)
{
  if (t->no_timing)
    return false;
  if (t->deadline > 0 && run_now() > t->deadline) {
    t->report.out_of_budget = true;
    return false;
  }
  return true;
}

gie_status tuner_check_stop(struct tuner *t)
{
  bool (*stop)(void *) = GIE_OPTION(t->o, stop);
  return stop && stop(t->o->stop_user) ? gie_fail(t->ctx, GIE_E_STOPPED, "stopped") : GIE_OK;
}

gie_status tuner_start_worker(struct tuner *t)
{
  struct worker_options o = {.quiet = true,
                             .stop = GIE_OPTION(t->o, stop),
                             .stop_user = GIE_OPTION(t->o, stop_user),
                             .modules = GIE_OPTION(t->o, modules),
                             .module_dir = GIE_OPTION(t->o, module_dir),
                             .deadline = t->device.host ? 0 : DEVICE_DEADLINE};
  return t->worker ? GIE_OK : worker_start(t->ctx, &o, &t->worker);
}

/* Whether a verdict says something of the candidate: for want of memory, or of a worker that somebody ended, it
 * says something of this hour. */
static bool is_kept(const struct tune_candidate *r)
{
  return r->verdict != PROBE_LIMIT && r->verdict != PROBE_FAILED && !strstr(r->text, "signal 9") &&
         !strstr(r->text, "signal 15");
}

static gie_status record(struct tuner *t, struct tune_cand *c, const struct tune_candidate *r)
{
  struct tune_entry e = entry_of(t, c);
  c->source = t->o->random_costs ? TUNE_RANDOM : TUNE_TIMED;
  e.verdict = r->verdict;
  e.seconds = r->seconds;
  e.spread = r->spread;
  e.error = r->error;
  e.text = r->text;
  t->report.timed++;
  if (t->o->random_costs)
    return take_verdict(t, c, r->verdict, random_seconds(t, c), 0, r->error, r->text);
  /* What cannot be kept, a key too long for a line say, is measured again next time. */
  if (is_kept(r) && tune_cache_put(t->cache, &e) == GIE_E_MEMORY)
    return GIE_E_MEMORY;
  return take_verdict(t, c, r->verdict, r->seconds, r->spread, r->error, r->text);
}

/* What is slow as expected does not hang: a reference kernel on a large image takes a minute, and runs thrice in its
 * check. */
static double deadline_of(const struct tuner *t, const struct field *f)
{
  double longest = 0;
  for (uint32_t i = 0; i < f->n; i++)
    longest = fmax(longest, t->cands[f->cands[i]].estimate);
  return (t->device.host ? WORKER_DEADLINE : DEVICE_DEADLINE) + fmin(PATIENCE * longest, MAX_PATIENCE);
}

/* What a race found out before it was stopped. */
static void record_some(struct tuner *t, const struct field *f, const struct tune_candidate *c)
{
  for (uint32_t i = 0; i < f->n; i++)
    if (c[i].seconds > 0 || c[i].verdict != PROBE_OK)
      (void)record(t, &t->cands[f->cands[i]], &c[i]);
  (void)tuner_check_stop(t); /* the words of the failure again */
}

/* What the worker said that it did counts there, not as waiting for it. */
static void book_times(struct tuner *t, const struct tune_race_times *r)
{
  struct gie_build_times *to = &t->report.times;
  to->worker -= r->contents + r->pack + r->create + r->check + r->time;
  to->contents += r->contents;
  to->pack += r->pack;
  to->create += r->create;
  to->check += r->check;
  to->time += r->time;
}

static gie_status race_field(struct tuner *t, const struct field *f)
{
  struct tune_race_times times = {0};
  struct tune_candidate *c = gie_alloc(t->ctx, f->n, sizeof *c);
  struct tune_race_options o = {.threads = t->device.threads,
                                .check_only = t->o->random_costs != 0,
                                .device = t->o->device,
                                .min_time = t->device.host ? 0 : DEVICE_SAMPLE,
                                .max_workspace = t->o->memory_limit,
                                .times = &times};
  gie_status st = c ? tuner_start_worker(t) : GIE_E_MEMORY;
  for (uint32_t i = 0; st == GIE_OK && i < f->n; i++) {
    const struct tune_cand *from = &t->cands[f->cands[i]];
    c[i].problem = from->problem;
    c[i].kernel = from->kernel;
    c[i].config = from->config;
  }
  if (st == GIE_OK) {
    worker_set_deadline(t->worker, deadline_of(t, f));
    st = tune_race(t->worker, c, f->n, &o);
  }
  if (st == GIE_E_STOPPED)
    record_some(t, f, c);
  for (uint32_t i = 0; st == GIE_OK && i < f->n; i++) {
    if (c[i].verdict == PROBE_CRASHED || c[i].verdict == PROBE_HUNG)
      st = tune_race(t->worker, &c[i], 1, &o); /* once more, alone: it may have been somebody else's doing */
    if (st == GIE_OK)
      st = record(t, &t->cands[f->cands[i]], &c[i]);
  }
  book_times(t, &times);
  gie_free(t->ctx, c);
  return st;
}

static gie_status race(struct tuner *t, const struct field *f)
{
  GIE_TRY(tuner_check_stop(t));
  if (f->n == 0 || !may_time(t))
    return GIE_OK;
  double *before = tuner_stage(t, &t->report.times.worker);
  gie_status st = race_field(t, f);
  tuner_stage(t, before);
  return st;
}

/* Adds a candidate that needs a measurement and is not in the field yet. */
static gie_status enter(struct tuner *t, struct field *f, uint32_t cand)
{
  struct tune_cand *c = &t->cands[cand];
  gie_status st = GIE_OK;
  if (!c->wanted || c->source != TUNE_ESTIMATED || c->bad)
    return GIE_OK;
  for (uint32_t i = 0; i < f->n; i++)
    if (f->cands[i] == cand)
      return GIE_OK;
  if (from_cache(t, c, &st))
    return st;
  if (f->n == MAX_FIELD || (f->n && f->bytes + more_bytes(t, f, c) > max_bytes(t))) {
    st = race(t, f);
    f->n = 0;
    f->bytes = 0;
  }
  f->bytes += more_bytes(t, f, c);
  f->cands[f->n++] = cand;
  return st;
}

static gie_status enter_set(struct tuner *t, struct field *f, uint32_t set)
{
  for (uint32_t i = 0; i < t->sets[set].n; i++)
    GIE_TRY(enter(t, f, t->sets[set].cands[i]));
  return GIE_OK;
}

static void report_progress(struct tuner *t, const char *node, const struct field *f)
{
  if (!t->o->progress)
    return;
  double best = INFINITY;
  t->progress.node = node;
  t->progress.kernel = "";
  for (uint32_t i = 0; i < f->n; i++) {
    const struct tune_cand *c = &t->cands[f->cands[i]];
    if (!c->bad && c->seconds < best) {
      best = c->seconds;
      t->progress.kernel = c->kernel->name;
    }
  }
  t->progress.seconds = isfinite(best) ? best : 0;
  t->o->progress(t->o->progress_user, &t->progress);
}

static gie_status run_field(struct tuner *t, const char *node, const struct field *f)
{
  gie_status st = race(t, f);
  report_progress(t, node, f);
  return st;
}

gie_status tuner_measure(struct tuner *t, const char *name, const uint32_t *cands, uint32_t n)
{
  struct field f = {0};
  for (uint32_t i = 0; i < n; i++)
    GIE_TRY(enter(t, &f, cands[i]));
  return f.n ? run_field(t, name, &f) : GIE_OK;
}

static gie_status measure_alts(struct selection *s, gie_id id)
{
  const struct tune_node *node = &s->nodes[id];
  struct field f = {0};
  for (size_t i = 0; i < node->n_alts; i++) {
    const struct tune_alt *a = &node->alts[i];
    if (a->kind != ALT_KERNEL || a->pruned)
      continue;
    GIE_TRY(enter(s->t, &f, a->cand));
    for (uint32_t k = 0; k < a->n_rest; k++)
      GIE_TRY(enter_set(s->t, &f, a->rest[k]));
  }
  return run_field(s->t, gie_node_get(s->g, id)->name, &f);
}

static gie_status measure_node(struct selection *s, gie_id id)
{
  s->t->progress.done++;
  GIE_TRY(measure_alts(s, id));
  return select_reconsider(s, id) ? measure_alts(s, id) : GIE_OK;
}

static bool has_usable(const struct tuner *t, const struct tune_node *node)
{
  for (size_t i = 0; i < node->n_alts; i++)
    if (node->alts[i].kind != ALT_KERNEL || (!node->alts[i].pruned && !t->cands[node->alts[i].cand].bad))
      return true;
  return false;
}

/* When all that looked good have failed, what looked bad is worth a measurement after all. */
static gie_status measure_the_rest(struct selection *s, gie_id id)
{
  struct tuner *t = s->t;
  struct tune_node *node = &s->nodes[id];
  if (has_usable(t, node))
    return GIE_OK;
  for (size_t i = 0; i < node->n_alts; i++) {
    struct tune_alt *a = &node->alts[i];
    if (!a->pruned)
      continue;
    a->pruned = a->doubted = false;
    t->report.pruned--;
    t->cands[a->cand].wanted = true;
    for (uint32_t k = 0; k < a->n_rest; k++)
      tuner_want_set(t, a->rest[k]);
  }
  s->t->progress.done--; /* it is the same node */
  return measure_node(s, id);
}

/* ---- Conversions ------------------------------------------------------------------------------------ */

/* Every form that some alternative left writes value v in, and every one that some reader wants: all are known to selection, and
 * timed now with --exhaustive or where the form at one end is given. There they decide alone between kernels that are as fast,
 * while an estimate errs by as much as a conversion takes. Others wait, as estimates at the level of what was measured, for
 * select_settle(). */
static gie_status measure_value(struct selection *s, gie_id value, struct field *f)
{
  const bool now = s->t->o->exhaustive || select_is_edge(gie_value_get(s->g, value));
  const struct gie_value *v = gie_value_get(s->g, value);
  struct tune_form from[16], to[16];
  uint32_t n_from = 0, n_to = 0, set;
  int rank = v->type.shape.rank;
  select_forms(s, value, from, &n_from, to, &n_to, 16);
  for (uint32_t i = 0; i < n_from; i++)
    for (uint32_t k = 0; k < n_to; k++) {
      if (tune_form_equal(&from[i], &to[k], rank) && !s->has_view[value])
        continue;
      GIE_TRY(tuner_conversion(s->t, &v->type, &from[i], &to[k], &set));
      tuner_want_set(s->t, set);
      if (now)
        GIE_TRY(enter_set(s->t, f, set));
    }
  return GIE_OK;
}

static gie_status measure_conversions(struct selection *s)
{
  for (gie_id v = 0; v < gie_graph_n_values(s->g); v++) {
    struct field f = {0};
    if (!select_is_chosen(s, v))
      continue;
    GIE_TRY(measure_value(s, v, &f));
    if (f.n)
      GIE_TRY(run_field(s->t, gie_value_get(s->g, v)->name, &f));
  }
  return GIE_OK;
}

/* The conversions that the present choice makes of a value. */
static gie_status enter_home(struct selection *s, gie_id value, struct field *f)
{
  struct tune_home h;
  uint32_t set;
  select_home(s, value, &h);
  for (uint32_t i = 0; i < h.n_forms + h.copied; i++) {
    GIE_TRY(select_home_conversion(s, value, &h, i, &set));
    tuner_want_set(s->t, set);
    GIE_TRY(enter_set(s->t, f, set));
  }
  return GIE_OK;
}

/* The kernels of a node's choice: for a step that is left over the best may be one that was not worth a measurement by
 * its estimate, before others turned out to be slow. */
static gie_status enter_choice(struct selection *s, gie_id id, struct field *f)
{
  const struct tune_alt *a = &s->nodes[id].alts[s->nodes[id].choice];
  if (a->kind == ALT_KERNEL) {
    s->t->cands[a->cand].wanted = true;
    GIE_TRY(enter(s->t, f, a->cand));
  }
  for (uint32_t i = 0; i < a->n_rest; i++) {
    tuner_want_set(s->t, a->rest[i]);
    GIE_TRY(enter_set(s->t, f, a->rest[i]));
  }
  return GIE_OK;
}

static gie_status measure_choice(struct selection *s, gie_id id)
{
  struct field f = {0};
  GIE_TRY(enter_choice(s, id, &f));
  return f.n ? run_field(s->t, gie_node_get(s->g, id)->name, &f) : GIE_OK;
}

static gie_status price_all(struct selection *s)
{
  GIE_TRY(tuner_price(s->t));
  GIE_FOR_NODES(s->g, id)
    for (size_t i = 0; s->nodes[id].open && i < s->nodes[id].n_alts; i++)
      s->nodes[id].alts[i].cost = select_alt_cost(s->t, &s->nodes[id].alts[i]);
  return GIE_OK;
}

gie_status select_settle(struct selection *s, bool *changed)
{
  struct tuner *t = s->t;
  uint32_t before = t->report.timed + t->report.cached;
  GIE_FOR_NODES(s->g, id)
    if (s->nodes[id].open)
      GIE_TRY(measure_choice(s, id));
  for (gie_id v = 0; v < gie_graph_n_values(s->g); v++) {
    struct field f = {0};
    if (!select_is_chosen(s, v))
      continue;
    GIE_TRY(enter_home(s, v, &f));
    if (f.n)
      GIE_TRY(run_field(t, gie_value_get(s->g, v)->name, &f));
  }
  *changed = t->report.timed + t->report.cached != before;
  return price_all(s);
}

gie_status select_measure(struct selection *s)
{
  struct tuner *t = s->t;
  uint32_t n = 0;
  select_prune(s, &n);
  /* Structures to come are taken to have as many nodes as this one. */
  t->progress.total = t->progress.done + n * (t->parts ? t->parts : 1);
  GIE_FOR_NODES(s->g, id)
    if (s->nodes[id].open) {
      GIE_TRY(measure_node(s, id));
      GIE_TRY(measure_the_rest(s, id));
    }
  GIE_TRY(tuner_price(t));
  GIE_FOR_NODES(s->g, id)
    if (s->nodes[id].open)
      select_price(s, id);
  GIE_TRY(measure_conversions(s));
  return price_all(s);
}
