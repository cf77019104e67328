/* SPDX-License-Identifier: Apache-2.0 */
/* Prints what gie bench measured: the lines that trtexec prints, JSON, the times of single runs. */
#include "tools/bench.h"
#include <math.h>

/* What the parts are called. Only a device with its own memory has the last four apart. */
static const struct {
  const char *title, *key;
  bool device_only;
} parts[BENCH_PARTS] = {
    [BENCH_LATENCY] = {"Latency", "latency_ms", false},
    [BENCH_ENQUEUE] = {"Enqueue Time", "enqueue_ms", true},
    [BENCH_IN] = {"H2D Latency", "h2d_ms", true},
    [BENCH_COMPUTE] = {"GPU Compute Time", "compute_ms", true},
    [BENCH_OUT] = {"D2H Latency", "d2h_ms", true},
};

double bench_images_per_second(const struct bench_point *p)
{
  return p->wall > 0 ? p->images * p->runs / p->wall : 0;
}

static double images_per_joule(const struct bench_point *p)
{
  return p->joules > 0 ? p->images * p->runs / p->joules : NAN;
}

static bool has_energy(const struct bench *b)
{
  for (uint32_t i = 0; i < b->n_points; i++)
    if (!isnan(images_per_joule(&b->point[i])))
      return true;
  return false;
}

/* ---- Text */

static void print_regime(const struct bench *b)
{
  struct tool *t = b->t;
  bool host = b->info.flags & GIE_DEVICE_HOST;
  printf("Regime: %s (%s), %u thread%s, one stream, %s, %s, %s%s\n", tool_safe(t, b->kind),
         tool_safe(t, b->info.name), (unsigned)b->threads, b->threads == 1 ? "" : "s",
         b->no_transfers ? "runs one behind the other" : "each run waited for",
         b->replayed ? "a captured graph replayed" : "no graph capture",
         bench_has_transfers(b) ? "transfers in and out included"
         : host                 ? "no transfers (host memory)"
                                : "no transfers",
         b->has_clock ? ", times by the device's clock" : "");
}

static void print_part(const struct bench *b, const struct bench_point *p, enum bench_part part)
{
  const struct bench_summary *s = &p->summary[part];
  printf("%s: min = %.4f ms, max = %.4f ms, mean = %.4f ms, median = %.4f ms", parts[part].title,
         1e3 * s->min, 1e3 * s->max, 1e3 * s->mean, 1e3 * s->median);
  for (uint32_t i = 0; i < b->n_percentiles; i++)
    printf(", percentile(%g%%) = %.4f ms", b->percentile[i],
           1e3 * bench_percentile(p->part[part], p->n, b->percentile[i]));
  putchar('\n');
}

static void print_point(const struct bench *b, const struct bench_point *p)
{
  printf("\n=== Performance summary ===\n");
  printf("Throughput: %.3f qps\n", p->runs / p->wall);
  for (int i = 0; i < BENCH_PARTS; i++)
    if (!parts[i].device_only || bench_has_transfers(b))
      print_part(b, p, i);
  printf("Total Host Walltime: %.4f s\n", p->wall);
  printf("Iterations: %zu\n", p->n);
  if (bench_has_transfers(b))
    printf("Total GPU Compute Time: %.4f s\n", p->busy);
  printf("Images: %.3f images/s at a batch of %.0f\n", bench_images_per_second(p), p->images);
  if (!isnan(images_per_joule(p)))
    printf("Energy: %.4f J, %.4f images/J, %.4f W\n", p->joules, images_per_joule(p), p->joules / p->wall);
}

static void print_sweep(const struct bench *b)
{
  const char *const heads[] = {
      "batch",    "median ms", tool_format(b->t, "percentile(%g%%) ms", b->percentile[0]),
      "images/s", "images/J",  ""};
  bool energy = has_energy(b);
  struct tool_table tab;
  putchar('\n');
  tool_table_begin(b->t, &tab, "rrrrrl", heads);
  for (uint32_t i = 0; i < b->n_points; i++) {
    const struct bench_point *p = &b->point[i];
    tool_cell(&tab, "%u", (unsigned)p->batch);
    tool_cell(&tab, "%.4f", 1e3 * p->summary[BENCH_LATENCY].median);
    tool_cell(&tab, "%.4f", 1e3 * p->tail);
    tool_cell(&tab, "%.3f", bench_images_per_second(p));
    tool_cell(&tab, energy ? "%.4f" : "-", images_per_joule(p));
    tool_cell(&tab, "%s", p->fits ? "" : "too slow");
  }
  tool_table_end(&tab, 0);
}

static void print_best(const struct bench *b)
{
  const struct bench_point *best = bench_best(b);
  if (!best)
    printf("No batch keeps percentile(%g%%) at %g ms.\n", b->percentile[0], b->max_latency);
  else if (b->n_batches > 1)
    printf("Best batch: %u, %.3f images/s\n", (unsigned)best->batch, bench_images_per_second(best));
}

void bench_report(const struct bench *b)
{
  print_regime(b);
  if (b->n_points > 1)
    print_sweep(b);
  else
    print_point(b, &b->point[0]);
  print_best(b);
  if (b->dump_profile)
    profile_dump(&b->profile);
}

/* ---- JSON */

static void json_part(const struct bench *b, struct json *j, const struct bench_point *p,
                      enum bench_part part)
{
  const struct bench_summary *s = &p->summary[part];
  const struct {
    const char *key;
    double seconds;
  } rows[] = {{"min", s->min},        {"max", s->max},          {"mean", s->mean}, {"median", s->median},
              {"median_low", s->low}, {"median_high", s->high}, {"p25", s->p25},   {"p75", s->p75}};
  json_open(j, parts[part].key, '{', true);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    json_real(j, rows[i].key, 1e3 * rows[i].seconds);
  json_open(j, "percentiles", '[', true);
  for (uint32_t i = 0; i < b->n_percentiles; i++) {
    json_open(j, NULL, '{', true);
    json_real(j, "p", b->percentile[i]);
    json_real(j, "ms", 1e3 * bench_percentile(p->part[part], p->n, b->percentile[i]));
    json_close(j, '}');
  }
  json_close(j, ']');
  json_close(j, '}');
}

static void json_point(const struct bench *b, struct json *j, const struct bench_point *p)
{
  json_open(j, NULL, '{', false);
  json_int(j, "batch", (int64_t)p->images);
  json_int(j, "iterations", (int64_t)p->n);
  json_real(j, "walltime_s", p->wall);
  json_real(j, "throughput_qps", p->runs / p->wall);
  json_real(j, "images_per_s", bench_images_per_second(p));
  json_real(j, "joules", p->joules);
  json_real(j, "images_per_j", images_per_joule(p));
  json_bool(j, "fits", p->fits);
  for (int i = 0; i < BENCH_PARTS; i++)
    if (!parts[i].device_only || bench_has_transfers(b))
      json_part(b, j, p, i);
  json_close(j, '}');
}

void bench_report_json(const struct bench *b, struct json *j)
{
  const struct bench_point *best = bench_best(b);
  json_text(j, "file", b->file);
  json_open(j, "regime", '{', true);
  json_text(j, "device", b->kind);
  json_text(j, "device_name", b->info.name);
  json_text(j, "device_version", b->info.version);
  json_int(j, "threads", b->threads);
  json_int(j, "streams", 1);
  json_bool(j, "capture", b->replayed);
  json_bool(j, "transfers", bench_has_transfers(b));
  json_bool(j, "device_clock", b->has_clock);
  json_close(j, '}');
  json_open(j, "batches", '[', false);
  for (uint32_t i = 0; i < b->n_points; i++)
    json_point(b, j, &b->point[i]);
  json_close(j, ']');
  if (best)
    json_int(j, "best_batch", (int64_t)best->images);
  else
    json_text(j, "best_batch", NULL);
  if (b->dump_profile)
    profile_report(&b->profile, j);
}

/* ---- Single runs */

static void fill_times(struct tool *t, struct json *j, const void *what)
{
  const struct bench *b = what;
  const struct bench_point *p = &b->point[0];
  (void)t;
  for (size_t i = 0; i < p->n; i++) {
    json_open(j, NULL, '{', true);
    json_real(j, "startMs", 1e3 * p->start[i]);
    json_real(j, "latencyMs", 1e3 * p->part[BENCH_LATENCY][i]);
    json_real(j, "enqMs", 1e3 * p->part[BENCH_ENQUEUE][i]);
    json_real(j, "h2dMs", 1e3 * p->part[BENCH_IN][i]);
    json_real(j, "computeMs", 1e3 * p->part[BENCH_COMPUTE][i]);
    json_real(j, "d2hMs", 1e3 * p->part[BENCH_OUT][i]);
    json_close(j, '}');
  }
}

gie_status bench_export_times(const struct bench *b)
{
  return json_save(b->t, b->export_times, '[', fill_times, b);
}
