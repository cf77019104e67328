/* SPDX-License-Identifier: Apache-2.0 */
/* The race in the worker: every candidate is set up and checked, then those that are right run in turn. */
#include "core/tune/race.h"
#include <math.h>

#define MIN_TIME 1e-3
#define SAMPLES 7
#define MAX_SAMPLES 1000
#define STOP_AT 2.0
#define MAX_RUNS (1u << 24) /* of one sample */
#define SURE_SAMPLES 3      /* before a candidate is given up */
#define LONG_RUN 0.25       /* seconds: such a candidate is sampled LONG_SAMPLES times */
#define LONG_SAMPLES 3
#define COLD_RUN 0.01 /* seconds: longer runs warm themselves up */
#define SEED 1
#define WHOLE ((size_t)4 << 20)

struct runner {
  struct side s;
  struct race_case *rc;
  uint32_t entry;
  double error;
  bool racing;      /* set up and right */
  uint32_t runs, n; /* of a sample; samples so far */
  double *sample;   /* seconds of one run */
};

struct race {
  struct gie_context *ctx;
  int fd;
  struct gie_arena mem;
  struct race_request rq;
  struct side_devices *devices;
  struct race_case *cases;
  struct runner *runners;
  uint32_t n_samples;
  bool damaged; /* by what a candidate did */
  struct tune_race_times times;
};

/* Books what has passed since *from to a part of the times; from now on it is the next one's. */
static void book(double *part, double *from)
{
  double now = run_now();
  *part += now - *from;
  *from = now;
}

/* ---- News */

static gie_status send_news(struct race *r, const struct race_news *n)
{
  struct gie_buf b;
  gie_buf_init(&b, r->ctx);
  race_put_news(&b, n);
  gie_status st = b.status;
  if (st == GIE_OK)
    st = wire_send(r->ctx, r->fd, INFINITY, WIRE_PROGRESS, b.data, b.len);
  gie_buf_free(&b);
  return st;
}

static gie_status say_start(struct race *r, const struct runner *x)
{
  const struct race_news n = {.word = RACE_START, .entry = x->entry};
  return send_news(r, &n);
}

static gie_status say_checked(struct race *r, const struct runner *x)
{
  const struct race_news n = {.word = RACE_CHECKED,
                              .entry = x->entry,
                              .error = x->error,
                              .workspace = x->s.workspace_bytes};
  return send_news(r, &n);
}

static gie_status say_result(struct race *r, const struct runner *x, double seconds, double spread)
{
  const struct race_news n = {.word = RACE_RESULT,
                              .entry = x->entry,
                              .verdict = x->s.verdict,
                              .seconds = seconds,
                              .spread = spread,
                              .error = x->error,
                              .workspace = x->s.workspace_bytes,
                              .text = x->s.text};
  return send_news(r, &n);
}

/* The candidate is out: says why. Other failures are the race's own. */
static gie_status drop(struct race *r, struct runner *x, gie_status st)
{
  if (st == GIE_E_MEMORY)
    side_verdict(&x->s, PROBE_LIMIT, "%s", gie_error_text(r->ctx));
  else if (st == GIE_E_DEVICE && x->s.device) /* the device is not to be trusted any more: a new worker is */
    side_verdict(&x->s, PROBE_FAILED, "the device failed: %s", gie_error_text(r->ctx));
  else if (st != GIE_E_NO || x->s.verdict == PROBE_OK)
    return st == GIE_E_NO ? gie_fail(r->ctx, GIE_E_INTERNAL, "a device of the race failed with E_NO") : st;
  x->racing = false;
  side_close(&x->s);
  r->damaged = !worker_is_harmless(x->s.verdict);
  return say_result(r, x, 0, 0);
}

/* ---- Setting up and checking */

static gie_status check(struct race *r, struct runner *x)
{
  double seconds;
  for (uint32_t i = 0; i < x->rc->c.n_out; i++)
    GIE_TRY(side_unset(&x->rc->c, x->s.out_tensor[i]));
  GIE_TRY(side_launch(&x->s, 1, &seconds));
  GIE_TRY(side_collect(&x->s, true));
  GIE_TRY(race_case_compare(x->rc, r->devices, &x->s, &x->error));
  side_forget_results(&x->s);
  if (side_overwrites(&x->s)) {
    GIE_TRY(side_set_over(&x->s, true)); /* it stays so: in a network the planner lets it where it can */
    GIE_TRY(side_launch(&x->s, 1, &seconds));
    GIE_TRY(side_collect(&x->s, true));
    GIE_TRY(race_case_compare(x->rc, r->devices, &x->s, &x->error));
    side_forget_results(&x->s);
  }
  return say_checked(r, x);
}

static gie_status prepare(struct race *r, struct side *s)
{
  double start = run_now();
  gie_status st = side_prepare(s);
  r->times.contents += s->contents_seconds;
  r->times.pack += s->pack_seconds;
  r->times.create += run_now() - start - s->contents_seconds - s->pack_seconds;
  return st;
}

static gie_status enter(struct race *r, struct runner *x)
{
  const struct race_entry *e = &r->rq.entries[x->entry];
  struct side *s = &x->s;
  double from = run_now();
  s->k = mod_find(r->ctx, MOD_KERNEL, e->kernel);
  s->threads = r->rq.options.threads;
  if (!s->k)
    return side_verdict(s, PROBE_REFUSED, "the worker has no kernel \"%s\"", e->kernel);
  GIE_TRY(side_open(s, &x->rc->c, r->devices));
  book(&r->times.worker, &from);
  if (s->threads == 0)
    s->threads = s->device->info.units;
  GIE_TRY(side_choose(s, false, e->config));
  book(&r->times.create, &from);
  if (s->var.n_steps != x->rc->c.node->n_steps)
    return side_verdict(s, PROBE_REFUSED, "fuses %u of the %u epilogue steps", s->var.n_steps,
                        x->rc->c.node->n_steps);
  s->max_workspace = r->rq.options.max_workspace;
  GIE_TRY(say_start(r, x)); /* each of these may compile for seconds */
  GIE_TRY(prepare(r, s));
  GIE_TRY(say_start(r, x));
  from = run_now();
  gie_status st = !e->checked ? check(r, x) : side_overwrites(s) ? side_set_over(s, true) : GIE_OK;
  book(&r->times.check, &from);
  return st;
}

static gie_status enter_all(struct race *r)
{
  for (uint32_t i = 0; i < r->rq.n_entries && !r->damaged; i++) {
    struct runner *x = &r->runners[i];
    x->entry = i;
    x->rc = &r->cases[r->rq.entries[i].problem];
    GIE_TRY(say_start(r, x));
    gie_status st = enter(r, x);
    x->racing = st == GIE_OK;
    if (st != GIE_OK)
      GIE_TRY(drop(r, x, st));
    else if (r->rq.options.check_only) {
      side_close(&x->s);
      GIE_TRY(say_result(r, x, 0, 0));
    }
  }
  return GIE_OK;
}

/* ---- Timing */

/* Doubles the runs until a sample lasts long enough; that one counts. Then looks whether all is well: some
 * kernels do wrong only when they run again. */
static gie_status first_sample(struct race *r, struct runner *x)
{
  double seconds;
  GIE_TRY(side_launch(&x->s, 1, &seconds));
  for (x->runs = 1;; x->runs *= 2) {
    GIE_TRY(side_time(&x->s, x->runs, &seconds));
    if (seconds >= r->rq.options.min_time || x->runs >= MAX_RUNS)
      break;
  }
  x->sample[x->n++] = seconds / x->runs;
  return side_collect(&x->s, false);
}

static gie_status next_sample(struct runner *x)
{
  double seconds;
  if (x->sample[0] < COLD_RUN)
    GIE_TRY(side_time(&x->s, x->s.graph ? x->s.graph_runs : 1, &seconds));
  GIE_TRY(side_time(&x->s, x->runs, &seconds));
  x->sample[x->n++] = seconds / x->runs;
  return GIE_OK;
}

/* The same op on the same dims in whatever form: candidates that can stand for each other. */
static bool are_rivals(const struct side_case *a, const struct side_case *b)
{
  if (a->node->op != b->node->op || a->n_in != b->n_in || a->n_out != b->n_out)
    return false;
  for (uint32_t i = 0; i < a->n_in + a->n_out; i++) {
    const struct gie_desc *x = i < a->n_in ? &a->in[i] : &a->out[i - a->n_in];
    const struct gie_desc *y = i < a->n_in ? &b->in[i] : &b->out[i - a->n_in];
    if (x->rank != y->rank || memcmp(x->dim, y->dim, (size_t)x->rank * sizeof x->dim[0]) != 0)
      return false;
  }
  return true;
}

static double least(const struct runner *x)
{
  double t = x->sample[0];
  for (uint32_t i = 1; i < x->n; i++)
    t = fmin(t, x->sample[i]);
  return t;
}

/* What disturbs one sample does not disturb three. */
static bool is_hopeless(const struct race *r, const struct runner *x)
{
  if (x->n < SURE_SAMPLES && x->sample[0] < LONG_RUN)
    return false;
  for (uint32_t i = 0; i < r->rq.n_entries; i++) {
    const struct runner *y = &r->runners[i];
    if (y->racing && y->n && (x->rc == y->rc || are_rivals(&x->rc->c, &y->rc->c)) &&
        least(x) > r->rq.options.stop_at * least(y))
      return true;
  }
  return false;
}

static gie_status run_rounds(struct race *r)
{
  for (uint32_t round = 0; round < r->n_samples; round++)
    for (uint32_t i = 0; i < r->rq.n_entries; i++) {
      struct runner *x = &r->runners[i];
      if (!x->racing || (round > 0 && is_hopeless(r, x)) ||
          (round >= LONG_SAMPLES && x->sample[0] >= LONG_RUN))
        continue;
      GIE_TRY(say_start(r, x));
      gie_status st = round == 0 ? first_sample(r, x) : next_sample(x);
      if (st != GIE_OK)
        GIE_TRY(drop(r, x, st));
      if (r->damaged)
        return GIE_OK;
    }
  return GIE_OK;
}

static int by_size(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Between the two sorted samples beside it. */
static double quantile(const double *v, uint32_t n, double q)
{
  double at = q * (n - 1);
  uint32_t i = (uint32_t)at;
  return i + 1 < n ? v[i] + (at - i) * (v[i + 1] - v[i]) : v[n - 1];
}

static gie_status say_times(struct race *r)
{
  for (uint32_t i = 0; i < r->rq.n_entries; i++) {
    struct runner *x = &r->runners[i];
    if (!x->racing || x->n == 0)
      continue;
    qsort(x->sample, x->n, sizeof *x->sample, by_size);
    double median = quantile(x->sample, x->n, 0.5),
           spread = quantile(x->sample, x->n, 0.75) - quantile(x->sample, x->n, 0.25);
    GIE_TRY(say_result(r, x, median, median > 0 ? spread / median : 0));
  }
  return GIE_OK;
}

/* ---- The whole */

static void set_defaults(struct race *r)
{
  struct tune_race_options *o = &r->rq.options;
  o->min_time = isfinite(o->min_time) && o->min_time > 0 ? o->min_time : MIN_TIME;
  o->stop_at = isfinite(o->stop_at) && o->stop_at > 0 ? o->stop_at : STOP_AT;
  r->n_samples = o->samples ? o->samples : SAMPLES;
  r->n_samples = r->n_samples < MAX_SAMPLES ? r->n_samples : MAX_SAMPLES;
}

/* What tensors are looked at in samples: large ones, on a device with memory of its own. */
static size_t whole_bytes(struct race *r)
{
  const struct gie_kernel *k = r->rq.n_entries ? mod_find(r->ctx, MOD_KERNEL, r->rq.entries[0].kernel) : NULL;
  struct side_device *d;
  if (!k || side_devices_get(r->devices, k, &d) != GIE_OK || (d->info.flags & GIE_DEVICE_HOST))
    return 0;
  return r->rq.options.whole ? (size_t)r->rq.options.whole : WHOLE;
}

static gie_status make_arrays(struct race *r)
{
  double from = run_now();
  size_t whole = whole_bytes(r);
  book(&r->times.worker, &from);
  r->cases = gie_arena_alloc(&r->mem, r->rq.n_problems + 1, sizeof *r->cases);
  r->runners = gie_arena_alloc(&r->mem, r->rq.n_entries + 1, sizeof *r->runners);
  if (!r->cases || !r->runners)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < r->rq.n_entries; i++)
    if (!(r->runners[i].sample = gie_arena_alloc(&r->mem, r->n_samples, sizeof(double))))
      return GIE_E_MEMORY;
  for (uint32_t i = 0; i < r->rq.n_problems; i++) {
    GIE_TRY(race_case_init(&r->cases[i], r->ctx, &r->rq.problems[i], SEED, whole));
    race_case_pair(&r->cases[i], r->cases, i);
  }
  book(&r->times.contents, &from);
  return GIE_OK;
}

static gie_status hold_race(struct race *r)
{
  set_defaults(r);
  GIE_TRY(make_arrays(r));
  GIE_TRY(enter_all(r));
  if (r->damaged || r->rq.options.check_only)
    return GIE_OK;
  double from = run_now();
  GIE_TRY(run_rounds(r));
  book(&r->times.time, &from);
  return r->damaged ? GIE_OK : say_times(r);
}

/* Devices stay open for the next race, which mostly wants the same. */
static void same_devices(struct race_worker *w, const char *kind)
{
  const char *had = w->devices.kind ? w->devices.kind : "";
  kind = kind ? kind : "";
  if (strcmp(had, kind) == 0)
    return;
  side_devices_close(&w->devices);
  snprintf(w->kind, sizeof w->kind, "%s", kind);
  w->devices.kind = *kind ? w->kind : NULL;
}

static gie_status reply(struct race *r)
{
  struct gie_buf b;
  gie_buf_init(&b, r->ctx);
  race_put_times(&b, &r->times);
  gie_status st = b.status;
  if (st == GIE_OK)
    st = wire_send(r->ctx, r->fd, INFINITY, WIRE_REPLY, b.data, b.len);
  gie_buf_free(&b);
  return st;
}

void race_worker_init(struct race_worker *w, struct gie_context *ctx)
{
  *w = (struct race_worker){.devices = {.ctx = ctx}};
}

void race_worker_free(struct race_worker *w) { side_devices_close(&w->devices); }

gie_status race_serve(struct race_worker *w, int fd, char *payload, size_t size)
{
  struct gie_context *ctx = w->devices.ctx;
  struct race r = {.ctx = ctx, .fd = fd, .devices = &w->devices};
  gie_arena_init(&r.mem, ctx);
  gie_status st = race_get_request(ctx, &r.mem, payload, size, &r.rq);
  if (st == GIE_OK) {
    same_devices(w, r.rq.options.device);
    st = hold_race(&r);
  }
  double from = run_now();
  for (uint32_t i = 0; r.runners && i < r.rq.n_entries; i++)
    side_close(&r.runners[i].s);
  for (uint32_t i = 0; r.cases && i < r.rq.n_problems; i++)
    race_case_free(&r.cases[i]);
  book(&r.times.contents, &from);
  if (st == GIE_OK)
    st = reply(&r);
  gie_arena_free(&r.mem);
  return st;
}
