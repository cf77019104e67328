/* SPDX-License-Identifier: Apache-2.0 */
/* Compares a measurement with an earlier one, which --json has saved. */
#include "tools/bench.h"
#include <math.h>

struct old_point {
  double batch;
  struct bench_summary latency; /* seconds; median, low and high only */
};

struct bench_old {
  const char *device, *name, *version;
  double threads;
  uint32_t n;
  struct old_point point[BENCH_MAX_BATCHES];
};

/* ---- Reading */

struct reading {
  struct tool *t;
  struct bench_old *old;
};

/* "batches[3].batch" → 3 and "batch"; false for another path. */
static bool split_where(const char *where, uint32_t *index, const char **member)
{
  static const char head[] = "batches[";
  int64_t i;
  const char *s = where + sizeof head - 1, *end = where + strlen(where);
  if (strncmp(where, head, sizeof head - 1) != 0 || !gie_parse_int(s, end, &i, &s) || i < 0 ||
      i >= BENCH_MAX_BATCHES || strncmp(s, "].", 2) != 0)
    return false;
  *index = (uint32_t)i;
  *member = s + 2;
  return true;
}

static void take_point(struct bench_old *old, uint32_t index, const char *member, double v)
{
  struct old_point *p = &old->point[index];
  const struct {
    const char *member;
    double *to, unit;
  } rows[] = {{"batch", &p->batch, 1},
              {"latency_ms.median", &p->latency.median, 1e-3},
              {"latency_ms.median_low", &p->latency.low, 1e-3},
              {"latency_ms.median_high", &p->latency.high, 1e-3}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    if (strcmp(member, rows[i].member) == 0) {
      *rows[i].to = rows[i].unit * v;
      old->n = index + 1 > old->n ? index + 1 : old->n;
    }
}

static gie_status take(void *user, const struct json_item *item)
{
  struct reading *r = user;
  struct bench_old *old = r->old;
  const char *text = item->text ? tool_format(r->t, "%s", item->text) : NULL, *member;
  uint32_t index;
  if (strcmp(item->where, "regime.device") == 0)
    old->device = text;
  else if (strcmp(item->where, "regime.device_name") == 0)
    old->name = text;
  else if (strcmp(item->where, "regime.device_version") == 0)
    old->version = text;
  else if (strcmp(item->where, "regime.threads") == 0)
    old->threads = item->number;
  else if (split_where(item->where, &index, &member))
    take_point(old, index, member, item->number);
  return GIE_OK;
}

static bool is_complete(const struct bench_old *old)
{
  for (uint32_t i = 0; i < old->n; i++) {
    const struct old_point *p = &old->point[i];
    if (!(p->batch > 0) || !(p->latency.low > 0) || !(p->latency.median >= p->latency.low) ||
        !(p->latency.high >= p->latency.median))
      return false;
  }
  return old->n && old->device && old->name && old->version && old->threads > 0;
}

gie_status bench_read_baseline(struct bench *b)
{
  struct tool *t = b->t;
  struct reading r = {t, gie_arena_alloc(&t->arena, 1, sizeof *r.old)};
  if (!r.old)
    return gie_fail(t->ctx, GIE_E_MEMORY, "out of memory");
  GIE_TRY(json_read(t, b->baseline, take, &r));
  if (!is_complete(r.old))
    return gie_fail(t->ctx, GIE_E_DATA, "%s: no measurement; give what gie bench --json has printed",
                    b->baseline);
  b->old = r.old;
  return GIE_OK;
}

/* ---- Comparing */

static const struct old_point *find_old(const struct bench_old *old, double batch)
{
  for (uint32_t i = 0; i < old->n; i++)
    if (fabs(old->point[i].batch - batch) < 0.5)
      return &old->point[i];
  return NULL;
}

gie_status bench_check_baseline(const struct bench *b)
{
  const struct bench_old *old = b->old;
  struct gie_context *ctx = b->t->ctx;
  if (strcmp(old->device, b->kind) != 0 || strcmp(old->name, b->info.name) != 0)
    return gie_fail(ctx, GIE_E_DATA, "%s: measured on %s (%s), this is %s (%s); measure the baseline here",
                    b->baseline, old->device, old->name, b->kind, b->info.name);
  if (fabs(old->threads - b->threads) > 0.5)
    return gie_fail(ctx, GIE_E_DATA, "%s: measured with %g threads, now with %u; give --threads=%g",
                    b->baseline, old->threads, (unsigned)b->threads, old->threads);
  for (uint32_t i = 0; i < b->n_points; i++)
    if (find_old(old, b->point[i].images))
      return GIE_OK;
  return gie_fail(ctx, GIE_E_DATA, "%s: has none of the batches that were measured now", b->baseline);
}

static const char *verdict(bool worse, const struct bench_summary *now, const struct bench_summary *old)
{
  return worse ? "WORSE" : now->high < old->low ? "better" : "same";
}

static void compare_json(struct json *j, const struct bench_point *p, const struct old_point *o, bool worse)
{
  json_open(j, NULL, '{', true);
  json_int(j, "batch", (int64_t)p->images);
  json_real(j, "old_ms", 1e3 * o->latency.median);
  json_real(j, "new_ms", 1e3 * p->summary[BENCH_LATENCY].median);
  json_real(j, "change", p->summary[BENCH_LATENCY].median / o->latency.median - 1);
  json_text(j, "verdict", verdict(worse, &p->summary[BENCH_LATENCY], &o->latency));
  json_close(j, '}');
}

static void compare_row(struct tool_table *tab, const struct bench_point *p, const struct old_point *o,
                        bool worse)
{
  const struct bench_summary *s = &p->summary[BENCH_LATENCY];
  tool_cell(tab, "%.0f", p->images);
  tool_cell(tab, "%.4f", 1e3 * o->latency.median);
  tool_cell(tab, "%.4f to %.4f", 1e3 * o->latency.low, 1e3 * o->latency.high);
  tool_cell(tab, "%.4f", 1e3 * s->median);
  tool_cell(tab, "%.4f to %.4f", 1e3 * s->low, 1e3 * s->high);
  tool_cell(tab, "%+.2f %%", 100 * (s->median / o->latency.median - 1));
  tool_cell(tab, "%s", verdict(worse, s, &o->latency));
}

bool bench_compare(const struct bench *b, struct json *j)
{
  static const char *const heads[] = {"batch",         "old ms", "95 % interval", "new ms",
                                      "95 % interval", "change", "verdict"};
  struct tool_table tab;
  bool any = false;
  if (j) {
    json_open(j, "baseline", '[', false);
  } else {
    printf("\nMedian latency against %s, failing over %g %%:\n", tool_safe(b->t, b->baseline),
           100 * b->fail_over);
    tool_table_begin(b->t, &tab, "rrrrrrl", heads);
  }
  for (uint32_t i = 0; i < b->n_points; i++) {
    const struct bench_point *p = &b->point[i];
    const struct old_point *o = find_old(b->old, p->images);
    bool worse = o && bench_is_worse(&p->summary[BENCH_LATENCY], &o->latency, b->fail_over);
    any |= worse;
    if (o && j)
      compare_json(j, p, o, worse);
    else if (o)
      compare_row(&tab, p, o, worse);
  }
  if (j)
    json_close(j, ']');
  else
    tool_table_end(&tab, 0);
  return any;
}
