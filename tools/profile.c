/* SPDX-License-Identifier: Apache-2.0 */
/* Collects the times of nodes over runs and reports them. */
#include "tools/profile.h"
#include "tools/bench_stats.h"
#include <math.h>

/* Rows of a trace: streams have their own numbers. */
#define ROW_HOST 1000
#define ROW_TRANSFERS 1001

void profile_init(struct tool *t, struct profile *p) { *p = (struct profile){.t = t}; }

void profile_free(struct profile *p)
{
  if (!p->t)
    return;
  gie_free(p->t->ctx, p->seconds);
  gie_free(p->t->ctx, p->starts);
  profile_init(p->t, p);
}

/* ---- Collecting */

static uint64_t value_size(const struct gie_graph *g, gie_id value)
{
  const struct gie_value *v = gie_value_get(g, value);
  struct gie_desc d;
  size_t bytes = 0;
  if (!v || v->type.dtype == GIE_DTYPE_NONE || v->type.shape.rank < 0)
    return 0;
  for (int i = 0; i < v->type.shape.rank; i++)
    if (!gie_dim_is_num(v->type.shape.dim[i]))
      return 0;
  return gie_desc_make(gie_graph_context(g), &v->type, &v->layout, &d, &bytes) == GIE_OK ? bytes : 0;
}

static uint64_t node_size(const struct gie_graph *g, const struct gie_node *n)
{
  uint64_t sum = 0;
  for (uint32_t i = 0; i < n->n_in; i++)
    sum += value_size(g, n->in[i]);
  for (uint32_t i = 0; i < n->n_out; i++)
    sum += value_size(g, n->out[i]);
  return sum;
}

static gie_status make_rows(struct profile *p, const struct gie_exec *x)
{
  struct gie_node_profile r;
  struct gie_device_info info = {.struct_size = sizeof info};
  struct tool *t = p->t;
  profile_free(p);
  p->g = gie_exec_graph(x);
  gie_exec_device(x, &info);
  p->has_transfers = !(info.flags & GIE_DEVICE_HOST);
  while (gie_exec_profile(x, p->n_rows, &r))
    p->n_rows++;
  p->rows = gie_arena_alloc(&t->arena, p->n_rows, sizeof *p->rows);
  if (!p->rows)
    return gie_fail(t->ctx, GIE_E_MEMORY, "out of memory");
  for (uint32_t i = 0; gie_exec_profile(x, i, &r); i++) {
    const struct gie_node *n = gie_node_get(p->g, r.node);
    p->rows[i] = (struct profile_row){.name = tool_format(t, "%s", r.name),
                                      .op = tool_format(t, "%s", tool_op(t, n)),
                                      .stream = r.stream,
                                      .bytes = node_size(p->g, n)};
  }
  return GIE_OK;
}

gie_status profile_add(struct profile *p, const struct gie_exec *x, double began)
{
  struct gie_node_profile r;
  if (p->g != gie_exec_graph(x) || gie_exec_profile(x, p->n_rows, &r))
    GIE_TRY(make_rows(p, x));
  size_t at = (size_t)p->n_runs * p->n_rows, end = at + p->n_rows;
  GIE_TRY(gie_grow(p->t->ctx, &p->seconds, &p->cap_seconds, end, sizeof *p->seconds));
  bool traced = p->n_runs < PROFILE_TRACED;
  if (traced) {
    struct profile_run *run = &p->runs[p->n_runs];
    GIE_TRY(gie_grow(p->t->ctx, &p->starts, &p->cap_starts, end, sizeof *p->starts));
    p->first = p->n_runs ? p->first : began;
    run->began = began - p->first;
    run->times = (struct gie_run_times){.struct_size = sizeof run->times};
    GIE_TRY(gie_exec_times(x, &run->times));
  }
  for (uint32_t i = 0; i < p->n_rows && gie_exec_profile(x, i, &r); i++) {
    p->seconds[at + i] = r.seconds;
    p->rows[i].kernel = r.kernel;
    if (traced)
      p->starts[at + i] = r.start;
  }
  p->n_runs++;
  return GIE_OK;
}

gie_status profile_finish(struct profile *p)
{
  double *one = gie_alloc(p->t->ctx, p->n_runs, sizeof *one);
  if (!one)
    return GIE_E_MEMORY;
  p->total = 0;
  for (uint32_t i = 0; i < p->n_rows && p->n_runs; i++) {
    struct profile_row *row = &p->rows[i];
    row->total = 0;
    for (uint32_t k = 0; k < p->n_runs; k++) {
      one[k] = p->seconds[(size_t)k * p->n_rows + i];
      row->total += one[k];
    }
    bench_sort(one, p->n_runs);
    row->mean = row->total / p->n_runs;
    row->median = bench_median(one, p->n_runs);
    p->total += row->median;
  }
  gie_free(p->t->ctx, one);
  return GIE_OK;
}

/* ---- Reports */

static double percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

static void report_json(const struct profile *p, struct json *j)
{
  json_open(j, "profile", '[', false);
  for (uint32_t i = 0; i < p->n_rows; i++) {
    const struct profile_row *r = &p->rows[i];
    json_open(j, NULL, '{', true);
    json_text(j, "node", r->name);
    json_text(j, "op", r->op);
    json_text(j, "kernel", r->kernel);
    json_real(j, "seconds", r->median);
    json_close(j, '}');
  }
  json_close(j, ']');
}

void profile_report(const struct profile *p, struct json *j)
{
  static const char *const heads[] = {"node", "op", "kernel", "ms", "%"};
  struct tool_table tab;
  if (j) {
    report_json(p, j);
    return;
  }
  tool_table_begin(p->t, &tab, "lllrr", heads);
  for (uint32_t i = 0; i < p->n_rows; i++) {
    const struct profile_row *r = &p->rows[i];
    tool_cell(&tab, "%s", r->name);
    tool_cell(&tab, "%s", r->op);
    tool_cell(&tab, "%s", r->kernel ? r->kernel : "-");
    tool_cell(&tab, "%.3f", 1e3 * r->median);
    tool_cell(&tab, "%.1f", percent(r->median, p->total));
  }
  tool_cell(&tab, "total");
  tool_cell(&tab, "%s", "");
  tool_cell(&tab, "%s", "");
  tool_cell(&tab, "%.3f", 1e3 * p->total);
  tool_cell(&tab, "%.1f", percent(p->total, p->total));
  tool_table_end(&tab, 0);
}

static void dump_row(struct tool_table *tab, double total, double mean, double median, double share,
                     const char *layer, const char *kernel)
{
  tool_cell(tab, "%.2f", 1e3 * total);
  tool_cell(tab, "%.4f", 1e3 * mean);
  tool_cell(tab, "%.4f", 1e3 * median);
  tool_cell(tab, "%.1f", share);
  tool_cell(tab, "%s", layer);
  tool_cell(tab, "%s", kernel);
}

void profile_dump(const struct profile *p)
{
  static const char *const heads[] = {"Time(ms)", "Avg.(ms)", "Median(ms)", "Time(%)", "Layer", "Kernel"};
  struct tool_table tab;
  double total = 0;
  for (uint32_t i = 0; i < p->n_rows; i++)
    total += p->rows[i].total;
  printf("\n=== Profile (%u iterations ) ===\n", (unsigned)p->n_runs);
  tool_table_begin(p->t, &tab, "rrrrll", heads);
  for (uint32_t i = 0; i < p->n_rows; i++) {
    const struct profile_row *r = &p->rows[i];
    dump_row(&tab, r->total, r->mean, r->median, percent(r->total, total), r->name,
             r->kernel ? r->kernel : "-");
  }
  dump_row(&tab, total, p->n_runs ? total / p->n_runs : 0, p->total, percent(total, total), "Total", "");
  tool_table_end(&tab, 2);
}

/* ---- Files */

static void fill_profile(struct tool *t, struct json *j, const void *what)
{
  const struct profile *p = what;
  double total = 0;
  (void)t;
  for (uint32_t i = 0; i < p->n_rows; i++)
    total += p->rows[i].total;
  json_open(j, NULL, '{', true);
  json_int(j, "count", p->n_runs);
  json_close(j, '}');
  for (uint32_t i = 0; i < p->n_rows; i++) {
    const struct profile_row *r = &p->rows[i];
    json_open(j, NULL, '{', true);
    json_text(j, "name", r->name);
    json_real(j, "timeMs", 1e3 * r->total);
    json_real(j, "averageMs", 1e3 * r->mean);
    json_real(j, "medianMs", 1e3 * r->median);
    json_real(j, "percentage", percent(r->total, total));
    json_text(j, "op", r->op);
    json_text(j, "kernel", r->kernel);
    json_int(j, "bytes", (int64_t)r->bytes);
    json_close(j, '}');
  }
}

gie_status profile_export(const struct profile *p, const char *path)
{
  return json_save(p->t, path, '[', fill_profile, p);
}

static int trace_row(const struct profile_row *r) { return r->stream < 0 ? ROW_HOST : r->stream; }

static void name_row(struct json *j, const char *what, int tid, const char *name)
{
  json_open(j, NULL, '{', true);
  json_text(j, "name", what);
  json_text(j, "ph", "M");
  json_int(j, "pid", 1);
  json_int(j, "tid", tid);
  json_open(j, "args", '{', true);
  json_text(j, "name", name);
  json_close(j, '}');
  json_close(j, '}');
}

/* Leaves the event open for its arguments. */
static void begin_event(struct json *j, const char *name, const char *category, int tid, double start,
                        double seconds, uint32_t run)
{
  json_open(j, NULL, '{', true);
  json_text(j, "name", name);
  json_text(j, "cat", category);
  json_text(j, "ph", "X");
  json_real(j, "ts", round(1e9 * start) / 1e3);
  json_real(j, "dur", round(1e9 * seconds) / 1e3);
  json_int(j, "pid", 1);
  json_int(j, "tid", tid);
  json_open(j, "args", '{', true);
  json_int(j, "run", run);
}

static void end_event(struct json *j)
{
  json_close(j, '}');
  json_close(j, '}');
}

static void trace_names(const struct profile *p, struct json *j, const char *title)
{
  int last = -1;
  bool host = false;
  name_row(j, "process_name", 0, title);
  for (uint32_t i = 0; i < p->n_rows; i++) {
    host |= p->rows[i].stream < 0;
    last = p->rows[i].stream > last ? p->rows[i].stream : last;
  }
  for (int s = 0; s <= last; s++)
    name_row(j, "thread_name", s, tool_format(p->t, "stream %d", s));
  if (host)
    name_row(j, "thread_name", ROW_HOST, "host");
  if (p->has_transfers)
    name_row(j, "thread_name", ROW_TRANSFERS, "transfers");
}

static void trace_run(const struct profile *p, struct json *j, uint32_t run)
{
  const struct profile_run *r = &p->runs[run];
  const struct gie_run_times *times = &r->times;
  if (p->has_transfers) {
    begin_event(j, "inputs", "transfer", ROW_TRANSFERS, r->began, times->upload, run);
    end_event(j);
    begin_event(j, "outputs", "transfer", ROW_TRANSFERS, r->began + times->upload + times->compute,
                times->download, run);
    end_event(j);
  }
  for (uint32_t i = 0; i < p->n_rows; i++) {
    const struct profile_row *row = &p->rows[i];
    size_t at = (size_t)run * p->n_rows + i;
    if (row->kernel && strcmp(row->kernel, "view") == 0) /* took no time */
      continue;
    begin_event(j, row->name, row->op, trace_row(row), r->began + p->starts[at], p->seconds[at], run);
    json_text(j, "op", row->op);
    json_text(j, "kernel", row->kernel);
    json_int(j, "bytes", (int64_t)row->bytes);
    end_event(j);
  }
}

struct trace {
  const struct profile *p;
  const char *title;
};

static void fill_trace(struct tool *t, struct json *j, const void *what)
{
  const struct trace *trace = what;
  (void)t;
  json_text(j, "displayTimeUnit", "ms");
  json_open(j, "traceEvents", '[', false);
  trace_names(trace->p, j, trace->title);
  for (uint32_t i = 0; i < trace->p->n_runs && i < PROFILE_TRACED; i++)
    trace_run(trace->p, j, i);
  json_close(j, ']');
}

gie_status profile_trace(const struct profile *p, const char *path, const char *title)
{
  const struct trace trace = {p, title};
  return json_save(p->t, path, '{', fill_trace, &trace);
}
