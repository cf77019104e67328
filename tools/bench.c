/* SPDX-License-Identifier: Apache-2.0 */
/* gie bench: measures runs of a network, at one batch or several. */
#include "tools/bench.h"
#include <math.h>

static const char what[] =
    "Measures how fast a network runs: warms up, then runs it at least --iterations times and for --duration\n"
    "seconds, on random inputs unless --input gives some. Prints what trtexec prints, with the regime that was\n"
    "measured. With several batches it finds the one that makes the most images per second. Exit 1 when\n"
    "--baseline was faster, or no batch keeps --max-latency.";
static const char examples[] = "  gie bench model.onnx --threads=2\n"
                               "  gie bench model.onnx --batch=1,2,4,8,16 --max-latency=20\n"
                               "  gie bench model.onnx --dumpProfile --trace=trace.json\n"
                               "  gie bench model.onnx --json >old.json\n"
                               "  gie bench model.onnx --baseline=old.json --fail-over=3%\n";

#define PROFILE_SECONDS 1.0 /* at most, however long the measurement is */
#define STEP_EVERY 0.1      /* seconds between two looks of the progress line */
#define MANY_SECONDS 0.02   /* of launches without transfers between two looks at the clock */
#define MANY_MAX 4096

/* ---- One series of runs */

struct series {
  struct bench *b;
  const struct tool_exec *e;
  struct bench_point *point; /* NULL: nothing is kept */
  struct profile *profile;   /* NULL: none */
  const char *what;          /* for the progress line */
  uint32_t repeat;           /* launches without transfers at a time; 0: whole runs */
  uint64_t launches;
};

static gie_status keep(struct bench_point *p, struct gie_context *ctx, const struct gie_run_times *t,
                       double start)
{
  if (p->n == p->cap) {
    size_t cap = p->cap;
    for (int i = 0; i < BENCH_PARTS; i++) {
      cap = p->cap;
      GIE_TRY(gie_grow(ctx, &p->part[i], &cap, p->n + 1, sizeof(double)));
    }
    size_t cap_start = p->cap;
    GIE_TRY(gie_grow(ctx, &p->start, &cap_start, p->n + 1, sizeof(double)));
    p->cap = cap;
  }
  p->part[BENCH_LATENCY][p->n] = t->upload + t->compute + t->download;
  p->part[BENCH_ENQUEUE][p->n] = t->enqueue;
  p->part[BENCH_IN][p->n] = t->upload;
  p->part[BENCH_COMPUTE][p->n] = t->compute;
  p->part[BENCH_OUT][p->n] = t->download;
  p->start[p->n++] = start;
  p->busy += t->compute;
  return GIE_OK;
}

static gie_status run_one(const struct series *s, double begin)
{
  struct gie_run_times times = {.struct_size = sizeof times};
  double now = tool_now();
  gie_status st = gie_exec_run(s->e->x);
  if (st == GIE_OK && s->profile)
    st = profile_add(s->profile, s->e->x, now);
  if (st == GIE_OK && s->point && (st = gie_exec_times(s->e->x, &times)) == GIE_OK)
    st = keep(s->point, s->b->t->ctx, &times, now - begin);
  return st == GIE_OK ? st : gie_error_prefix(s->b->t->ctx, st, "%s", s->b->file);
}

/* As many launches as fill a while, without transfers; what is kept is the mean of one. */
static gie_status run_many(struct series *s, double begin)
{
  struct gie_run_times times = {.struct_size = sizeof times};
  double seconds = 0, start = tool_now() - begin;
  gie_status st = gie_exec_repeat(s->e->x, s->repeat, &seconds);
  if (st != GIE_OK)
    return gie_error_prefix(s->b->t->ctx, st, "%s", s->b->file);
  times.compute = seconds / s->repeat;
  if (s->point)
    GIE_TRY(keep(s->point, s->b->t->ctx, &times, start));
  s->launches += s->repeat;
  if (seconds > 0 && times.compute * s->repeat < MANY_SECONDS / 2 && s->repeat < MANY_MAX)
    s->repeat *= 2;
  return GIE_OK;
}

/* Runs until there were `iterations` and `seconds` have passed. */
static gie_status run_series(struct series *s, uint32_t iterations, double seconds)
{
  double begin = tool_now(), spent = 0, shown = 0;
  for (uint32_t i = 0; i < iterations || spent < seconds; i++) {
    GIE_TRY(s->repeat ? run_many(s, begin) : run_one(s, begin));
    spent = tool_now() - begin;
    if (spent - shown < STEP_EVERY)
      continue;
    double total = seconds / spent * (i + 1);
    total = total > iterations ? total : iterations;
    tool_progress_step(&s->b->progress, i + 1, total < UINT32_MAX ? (uint32_t)total : UINT32_MAX, s->what);
    shown = spent;
  }
  if (s->point) {
    s->point->wall = spent;
    s->point->runs = s->launches ? (double)s->launches : (double)s->point->n;
  }
  return GIE_OK;
}

/* ---- One batch */

/* The first dim of the first input that is read and has one. */
static double images_of(const struct feeds *f)
{
  for (uint32_t i = 0; i < f->n; i++) {
    const struct gie_shape *s = &f->v[i].type.shape;
    if (f->v[i].needed && s->rank > 1 && (gie_dim_is_num(s->dim[0])))
      return (double)s->dim[0].b;
  }
  return 1;
}

static gie_status open_exec(struct bench *b, uint32_t batch, bool profile, struct tool_exec *e,
                            double *images)
{
  struct feeds feeds;
  const struct gie_exec_options options = {.struct_size = sizeof options,
                                           .device = b->device,
                                           .backends = b->backend,
                                           .threads = b->t->threads,
                                           .profile = profile};
  GIE_TRY(tool_open_exec(b->t, &b->net, batch, &options, e));
  GIE_TRY(tool_make_feeds(b->t, &b->net, e, &b->feed, &feeds));
  if (feeds.runs > 1)
    return gie_fail(b->t->ctx, GIE_E_USAGE, "an input is given %u times; a benchmark takes one of each",
                    (unsigned)feeds.runs);
  *images = images_of(&feeds);
  return tool_feed_exec(b->t, &b->net, e, &feeds, 0);
}

static double read_energy(const struct tool_exec *e)
{
  double joules;
  return gie_exec_energy(e->x, &joules) == GIE_OK ? joules : NAN;
}

static void sum_up(struct bench *b, struct bench_point *p)
{
  for (int i = 0; i < BENCH_PARTS; i++) {
    bench_sort(p->part[i], p->n);
    p->summary[i] = bench_summarize(p->part[i], p->n);
  }
  p->tail = bench_percentile(p->part[BENCH_LATENCY], p->n, b->percentile[0]);
  p->fits = !(b->max_latency > 0) || p->tail <= 1e-3 * b->max_latency;
}

static gie_status measure(struct bench *b, const struct tool_exec *e, struct bench_point *p)
{
  const char *name = p->batch ? tool_format(b->t, "batch %u", (unsigned)p->batch) : "run";
  struct series warm = {b, e, NULL, NULL, "warm-up", 0, 0}, s = {b, e, p, NULL, name, 0, 0};
  GIE_TRY(run_series(&warm, 1, 1e-3 * b->warm_up));
  if (b->no_transfers) {
    struct series many = {.b = b, .e = e, .what = "warm-up", .repeat = 1};
    GIE_TRY(run_series(&many, 2, 1e-3 * b->warm_up));
    s.repeat = many.repeat;
  }
  double before = read_energy(e);
  GIE_TRY(run_series(&s, b->iterations, b->duration));
  p->joules = read_energy(e) - before;
  return GIE_OK;
}

static gie_status measure_batch(struct bench *b, uint32_t batch)
{
  struct bench_point *p = &b->point[b->n_points];
  struct tool_exec e = {0};
  p->batch = batch;
  b->n_points++;
  gie_status st = open_exec(b, batch, false, &e, &p->images);
  if (st == GIE_OK)
    st = measure(b, &e, p);
  if (st == GIE_OK) {
    struct gie_run_times times = {.struct_size = sizeof times};
    b->kind = gie_exec_device(e.x, &b->info);
    b->threads = gie_exec_threads(e.x);
    b->replayed = gie_exec_times(e.x, &times) == GIE_OK && times.replayed;
    b->has_clock = times.device > 0;
  }
  tool_close_exec(&e);
  return st;
}

/* Apart from the measurement: on a device every node is waited for, which the whole would show. */
static gie_status measure_profile(struct bench *b, uint32_t batch)
{
  struct tool_exec e = {0};
  double images;
  struct series s = {b, &e, NULL, &b->profile, "profile", 0, 0}, warm = {b, &e, NULL, NULL, "warm-up", 0, 0};
  gie_status st = open_exec(b, batch, true, &e, &images);
  if (st == GIE_OK)
    st = run_series(&warm, 1, 0);
  if (st == GIE_OK)
    st = run_series(&s, b->iterations, b->duration < PROFILE_SECONDS ? b->duration : PROFILE_SECONDS);
  if (st == GIE_OK)
    st = profile_finish(&b->profile);
  tool_close_exec(&e);
  return st;
}

/* ---- The whole */

const struct bench_point *bench_best(const struct bench *b)
{
  const struct bench_point *best = NULL;
  for (uint32_t i = 0; i < b->n_points; i++) {
    const struct bench_point *p = &b->point[i];
    if (p->fits && (!best || bench_images_per_second(p) > bench_images_per_second(best)))
      best = p;
  }
  return best;
}

static gie_status measure_all(struct bench *b)
{
  gie_status st = GIE_OK;
  if (b->baseline)
    GIE_TRY(bench_read_baseline(b));
  GIE_TRY(tool_check_weights(b->t, b->file));
  GIE_TRY(tool_open_net(b->t, b->file, b->passes, &b->net));
  tool_progress_begin(b->t, &b->progress);
  for (uint32_t i = 0; st == GIE_OK && i < (b->n_batches ? b->n_batches : 1); i++)
    st = measure_batch(b, b->n_batches ? b->batch[i] : 0);
  if (st == GIE_OK && b->has_profile)
    st = measure_profile(b, b->point[0].batch);
  tool_progress_end(&b->progress);
  return st;
}

static gie_status save_files(struct bench *b)
{
  if (b->export_times)
    GIE_TRY(bench_export_times(b));
  for (uint32_t i = 0; i < b->n_points; i++)
    sum_up(b, &b->point[i]);
  if (b->export_profile)
    GIE_TRY(profile_export(&b->profile, b->export_profile));
  return b->trace ? profile_trace(&b->profile, b->trace, b->file) : GIE_OK;
}

/* Whether a median is worse than the baseline's. */
static bool report(struct bench *b)
{
  struct json json;
  bool worse = false;
  if (!b->is_json) {
    bench_report(b);
    return b->old && bench_compare(b, NULL);
  }
  json_begin(&json);
  bench_report_json(b, &json);
  if (b->old)
    worse = bench_compare(b, &json);
  json_end(&json);
  return worse;
}

static void close_all(struct bench *b)
{
  for (uint32_t i = 0; i < b->n_points; i++) {
    for (int k = 0; k < BENCH_PARTS; k++)
      gie_free(b->t->ctx, b->point[i].part[k]);
    gie_free(b->t->ctx, b->point[i].start);
  }
  profile_free(&b->profile);
  tool_close_net(&b->net);
}

static int run(struct bench *b)
{
  bool worse = false;
  profile_init(b->t, &b->profile);
  gie_status st = measure_all(b);
  if (st == GIE_OK)
    st = save_files(b);
  if (st == GIE_OK && b->old)
    st = bench_check_baseline(b);
  if (st == GIE_OK)
    worse = report(b);
  int exit_code = st != GIE_OK              ? tool_error(b->t, st)
                  : worse || !bench_best(b) ? gie_status_exit_code(GIE_E_NO)
                                            : 0;
  close_all(b);
  return exit_code;
}

/* ---- Flags */

/* Up to `max` numbers separated by commas; 0: not so. */
static uint32_t parse_numbers(const char *text, double low, double high, double *out, uint32_t max)
{
  const char *s = text, *end = text + strlen(text);
  for (uint32_t n = 0; n < max;) {
    if (!gie_parse_double(s, end, &out[n], &s) || !(out[n] >= low && out[n] <= high))
      return 0;
    n++;
    if (s == end)
      return n;
    if (*s++ != ',')
      return 0;
  }
  return 0;
}

static int parse_batches(struct bench *b, const char *text)
{
  double v[BENCH_MAX_BATCHES];
  b->n_batches = text ? parse_numbers(text, 1, 1 << 20, v, BENCH_MAX_BATCHES) : 0;
  for (uint32_t i = 0; i < b->n_batches; i++) {
    b->batch[i] = (uint32_t)v[i];
    if (b->batch[i] != v[i])
      b->n_batches = 0;
  }
  if (text && !b->n_batches)
    return tool_fail(b->t, GIE_E_USAGE,
                     "--batch=%s: give up to %d numbers from 1 to 1048576, separated by commas", text,
                     BENCH_MAX_BATCHES);
  return TOOL_GO_ON;
}

/* "3%", or "3" */
static int parse_fail_over(struct bench *b, const char *text)
{
  const char *end = text + strlen(text), *next;
  double v;
  if (!gie_parse_double(text, end, &v, &next) || !(v >= 0 && v <= 1000) ||
      (next != end && strcmp(next, "%") != 0))
    return tool_fail(b->t, GIE_E_USAGE, "--fail-over=%s: give a percentage from 0 to 1000, such as 3%%",
                     text);
  b->fail_over = v / 100;
  return TOOL_GO_ON;
}

static int check_flags(struct bench *b, const char *percentile, const char *batches, const char *fail_over)
{
  int exit_code = parse_batches(b, batches);
  if (exit_code == TOOL_GO_ON)
    exit_code = parse_fail_over(b, fail_over ? fail_over : "3%");
  if (exit_code != TOOL_GO_ON)
    return exit_code;
  b->n_percentiles = parse_numbers(percentile, 0, 100, b->percentile, BENCH_MAX_PERCENTILES);
  if (!b->n_percentiles)
    return tool_fail(b->t, GIE_E_USAGE, "--percentile=%s: give up to %d numbers from 0 to 100", percentile,
                     BENCH_MAX_PERCENTILES);
  if (b->iterations == 0 || !(b->duration >= 0) || !(b->warm_up >= 0) || isinf(b->duration) ||
      isinf(b->warm_up) || !(b->max_latency >= 0))
    return tool_fail(b->t, GIE_E_USAGE,
                     "--iterations is at least 1; --duration, --warmUp and --max-latency are not negative");
  if (fail_over && !b->baseline)
    return tool_fail(b->t, GIE_E_USAGE, "--fail-over goes with --baseline");
  b->has_profile = b->dump_profile || b->export_profile || b->trace;
  if (b->n_batches > 1 && (b->has_profile || b->export_times))
    return tool_fail(b->t, GIE_E_USAGE,
                     "--dumpProfile, --exportProfile, --exportTimes and --trace go with one batch");
  return TOOL_GO_ON;
}

int tool_bench(struct tool *t, int argc, char **argv)
{
  struct bench b = {
      .t = t, .iterations = 10, .duration = 3, .warm_up = 200, .info = {.struct_size = sizeof b.info}};
  const char *percentile = "90,95,99", *batches = NULL, *fail_over = NULL;
  b.feed.random = "";
  const struct tool_option options[] = {
      {"iterations", 0, TOOL_COUNT, &b.iterations, "N", "run at least N times; default 10"},
      {"duration", 0, TOOL_REAL, &b.duration, "S", "run for at least S seconds; default 3"},
      {"warmUp", 0, TOOL_REAL, &b.warm_up, "MS", "run for MS milliseconds before; default 200"},
      {"percentile", 0, TOOL_TEXT, &percentile, "P,...", "percentiles to print; default 90,95,99"},
      {"batch", 0, TOOL_TEXT, &batches, "N,...", "first dim of the inputs; several find the best"},
      {"max-latency", 0, TOOL_REAL, &b.max_latency, "MS",
       "the best batch keeps this at the first percentile"},
      {"shapes", 0, TOOL_TEXT, &b.feed.shapes, "NAME:DIMS,...",
       "dims of inputs that the network leaves open: data:1x3x224x224"},
      {"input", 'i', TOOL_LIST, &b.feed.inputs, "[NAME=]FILE", "feed this input: .npy, .pb, .png, .jpg"},
      {"random", 0, TOOL_MAYBE, &b.feed.random, "SEED", "the seed of the other inputs; default 1"},
      {"dumpProfile", 0, TOOL_FLAG, &b.dump_profile, NULL, "print the time of each node"},
      {"exportProfile", 0, TOOL_TEXT, &b.export_profile, "FILE", "save the time of each node as JSON"},
      {"exportTimes", 0, TOOL_TEXT, &b.export_times, "FILE", "save the times of each run as JSON"},
      {"trace", 0, TOOL_TEXT, &b.trace, "FILE", "save the first runs as Chrome trace events"},
      {"baseline", 0, TOOL_TEXT, &b.baseline, "FILE", "compare with an earlier --json; exit 1 when slower"},
      {"fail-over", 0, TOOL_TEXT, &fail_over, "P%", "slower than this is a failure; default 3%"},
      {"passes", 0, TOOL_TEXT, &b.passes, "LIST", "passes to run before, as in gie opt"},
      {"backend", 0, TOOL_TEXT, &b.backend, "-NAME,+NAME",
       "leave out kernels, or try them first, by how their names begin"},
      DEVICE_OPTIONS(t, &b.device),
      {"noDataTransfers", 0, TOOL_FLAG, &b.no_transfers, NULL,
       "leave inputs and outputs on the device; time the launches alone, many between two looks at its clock"},
      {"json", 0, TOOL_FLAG, &b.is_json, NULL, "everything for machines"},
      {NULL, 0, TOOL_FLAG, NULL, NULL, NULL}};
  const struct tool_command cmd = {"FILE [OPTION]...", what, examples, options, 1, 1};
  struct tool_list args;
  int exit_code = tool_parse(t, &cmd, argc, argv, &args);
  if (exit_code == TOOL_GO_ON)
    exit_code = check_flags(&b, percentile, batches, fail_over);
  if (exit_code == TOOL_GO_ON)
    exit_code = tool_check_fallback(t);
  if (exit_code == TOOL_GO_ON)
    exit_code = tool_open(t);
  if (exit_code != TOOL_GO_ON)
    return exit_code;
  b.file = args.v[0];
  return run(&b);
}
