/* SPDX-License-Identifier: Apache-2.0 */
/* gie bench: what it was asked, what it measured, and what is made of it. */
#ifndef GIE_TOOLS_BENCH_H
#define GIE_TOOLS_BENCH_H

#include "tools/bench_stats.h"
#include "tools/net.h"
#include "tools/profile.h"

#define BENCH_MAX_PERCENTILES 8
#define BENCH_MAX_BATCHES 32

enum bench_part { BENCH_LATENCY, BENCH_ENQUEUE, BENCH_IN, BENCH_COMPUTE, BENCH_OUT, BENCH_PARTS };

/* Times of the measured runs at one batch, in seconds. */
struct bench_point {
  uint32_t batch;            /* as asked for; 0: as the network has it */
  double images;             /* per run: the first dim of the inputs */
  size_t n, cap;             /* runs */
  double *part[BENCH_PARTS]; /* as they came until bench_point_sort(), then ascending, each by itself */
  double *start;             /* of each run, from the first */
  double wall, busy;         /* of all runs together: host walltime, and compute alone */
  double runs;               /* of the network: n, or the launches that n measurements are of */
  double joules;             /* NaN: the device does not count them */
  double tail;               /* the latency that --max-latency looks at */
  bool fits;                 /* it is within the limit */
  struct bench_summary summary[BENCH_PARTS];
};

struct bench {
  struct tool *t;
  /* asked */
  const char *file, *passes, *backend, *device;
  struct feed_options feed;
  uint32_t iterations;
  double warm_up, duration, max_latency; /* ms, s, ms */
  double percentile[BENCH_MAX_PERCENTILES];
  uint32_t n_percentiles;
  uint32_t batch[BENCH_MAX_BATCHES], n_batches; /* 0: none was given */
  bool dump_profile, is_json, no_transfers;
  const char *export_profile, *export_times, *trace;
  const char *baseline;
  double fail_over;      /* fraction */
  struct bench_old *old; /* the baseline's content, or NULL */
  /* while measuring */
  struct tool_net net;
  struct tool_progress progress;
  const char *kind;
  struct gie_device_info info;
  uint32_t threads;
  bool replayed, has_clock; /* captured graphs were replayed; compute is by the device's clock */
  struct bench_point point[BENCH_MAX_BATCHES];
  uint32_t n_points;
  struct profile profile;
  bool has_profile;
};

static inline bool bench_has_transfers(const struct bench *b)
{
  return !(b->info.flags & GIE_DEVICE_HOST) && !b->no_transfers;
}
/* The point of the most images per second among those that fit, or NULL. */
const struct bench_point *bench_best(const struct bench *b);

/* ---- bench_report.c */

void bench_report(const struct bench *b);
void bench_report_json(const struct bench *b, struct json *j);
double bench_images_per_second(const struct bench_point *p);
gie_status bench_export_times(const struct bench *b);

/* ---- bench_baseline.c */

/* Reads b->baseline, the file of an earlier --json. */
gie_status bench_read_baseline(struct bench *b);
/* E_DATA when it was measured on something else, or has no batch that was measured now. */
gie_status bench_check_baseline(const struct bench *b);
/* The comparison as a table, or as members of the document. true: a median is worse. */
bool bench_compare(const struct bench *b, struct json *j);

#endif
