/* SPDX-License-Identifier: Apache-2.0 */
/* Prints what came out of a run. */
#include "tools/report.h"
#include <math.h>

#define MAX_LABELS_FILE ((size_t)1 << 26)

/* ---- Labels */

/* Splits the text at its line ends; a last line without one counts, an empty last one does not. */
static void split_lines(struct labels *l, size_t size)
{
  for (char *s = l->text, *end = l->text + size; s < end;) {
    char *newline = memchr(s, '\n', (size_t)(end - s));
    char *stop = newline ? newline : end;
    char *next = newline ? newline + 1 : end;
    if (stop > s && stop[-1] == '\r')
      stop--;
    *stop = '\0';
    l->v[l->n++] = s;
    s = next;
  }
}

gie_status labels_read(struct tool *t, const char *path, struct labels *out)
{
  struct labels l = {0};
  size_t size, lines = 1;
  GIE_TRY(gie_file_read(t->ctx, path, MAX_LABELS_FILE, &l.text, &size));
  for (size_t i = 0; i < size; i++)
    lines += l.text[i] == '\n';
  l.v = gie_alloc(t->ctx, lines, sizeof *l.v);
  gie_status st = l.v ? GIE_OK : GIE_E_MEMORY;
  if (st == GIE_OK)
    split_lines(&l, size);
  if (st == GIE_OK && l.n == 0)
    st = gie_fail(t->ctx, GIE_E_DATA, "the file is empty; give one label per line");
  if (st != GIE_OK) {
    labels_free(t, &l);
    return gie_error_prefix(t->ctx, st, "%s", path);
  }
  *out = l;
  return GIE_OK;
}

void labels_free(struct tool *t, struct labels *l)
{
  gie_free(t->ctx, l->text);
  gie_free(t->ctx, l->v);
}

/* The output with one element per label and item of the batch; the first one that fits. */
static const struct gie_tensor *find_scores(const struct outputs *o, uint32_t n_labels, size_t *rows)
{
  for (uint32_t i = 0; i < o->n; i++) {
    const struct gie_tensor *x = &o->v[i];
    size_t count = tensor_count(x), batch = x->rank > 1 && x->dim[0] > 0 ? (size_t)x->dim[0] : 1;
    if (count && count == batch * n_labels) {
      *rows = batch;
      return x;
    }
  }
  return NULL;
}

/* Not negative and a sum of 1: what softmax makes, with the rounding of half precision. */
static bool is_probability(const struct gie_tensor *x, size_t first, size_t n)
{
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    double v = tensor_get(x, first + i);
    if (!(v >= 0))
      return false;
    sum += v;
  }
  return fabs(sum - 1) < 0.02;
}

static void print_top(struct tool *t, const struct gie_tensor *x, const struct labels *l, size_t first,
                      const size_t *best, uint32_t top)
{
  bool percent = is_probability(x, first, l->n);
  for (uint32_t i = 0; i < top; i++) {
    double v = tensor_get(x, first + best[i]);
    if (percent)
      printf("  %6.2f %%  %s\n", 100 * v, tool_safe(t, l->v[best[i]]));
    else
      printf("  %10.5g  %s\n", v, tool_safe(t, l->v[best[i]]));
  }
}

static void json_top(struct json *j, const struct gie_tensor *x, const struct labels *l, size_t first,
                     const size_t *best, uint32_t top)
{
  json_open(j, NULL, '[', false);
  for (uint32_t i = 0; i < top; i++) {
    json_open(j, NULL, '{', true);
    json_int(j, "index", (int64_t)best[i]);
    json_text(j, "label", l->v[best[i]]);
    json_real(j, "score", tensor_get(x, first + best[i]));
    json_close(j, '}');
  }
  json_close(j, ']');
}

gie_status report_top(struct tool *t, struct json *j, const struct outputs *o, const struct labels *l,
                      uint32_t top, const char *head)
{
  size_t rows;
  const struct gie_tensor *x = find_scores(o, l->n, &rows);
  if (!x)
    return gie_fail(t->ctx, GIE_E_DATA,
                    "no output has one element for each of the %u labels; give the labels of this network",
                    (unsigned)l->n);
  top = top < l->n ? top : l->n;
  size_t *best = gie_alloc(t->ctx, top, sizeof *best);
  if (!best)
    return GIE_E_MEMORY;
  if (j)
    json_open(j, "top", '[', false);
  for (size_t row = 0; row < rows; row++) {
    compare_top(x, row * l->n, l->n, top, best);
    if (!j && rows > 1)
      printf("%s [%zu]\n", tool_safe(t, head), row);
    else if (!j)
      printf("%s\n", tool_safe(t, head));
    if (j)
      json_top(j, x, l, row * l->n, best, top);
    else
      print_top(t, x, l, row * l->n, best, top);
  }
  if (j)
    json_close(j, ']');
  gie_free(t->ctx, best);
  return GIE_OK;
}

/* ---- Outputs */

struct summary {
  double low, high, mean;
  size_t not_finite, count;
};

static struct summary summarize(const struct gie_tensor *x)
{
  struct summary s = {.low = INFINITY, .high = -INFINITY, .count = tensor_count(x)};
  double sum = 0;
  for (size_t i = 0; i < s.count; i++) {
    double v = tensor_get(x, i);
    if (!isfinite(v)) {
      s.not_finite++;
      continue;
    }
    s.low = v < s.low ? v : s.low;
    s.high = v > s.high ? v : s.high;
    sum += v;
  }
  s.mean = s.count > s.not_finite ? sum / (double)(s.count - s.not_finite) : NAN;
  return s;
}

static struct gie_type tensor_type(const struct gie_tensor *x)
{
  struct gie_type type = {.dtype = x->dtype, .shape = {.rank = x->rank}};
  for (int i = 0; i < x->rank; i++)
    type.shape.dim[i] = gie_dim_num(x->dim[i]);
  return type;
}

static void json_outputs(struct json *j, const struct outputs *o)
{
  json_open(j, "outputs", '[', false);
  for (uint32_t i = 0; i < o->n; i++) {
    struct summary s = summarize(&o->v[i]);
    json_open(j, NULL, '{', true);
    json_text(j, "name", gie_value_get(o->g, gie_graph_output(o->g, i))->name);
    json_text(j, "dtype", gie_dtype_name(o->v[i].dtype));
    json_open(j, "shape", '[', true);
    for (int k = 0; k < o->v[i].rank; k++)
      json_int(j, NULL, o->v[i].dim[k]);
    json_close(j, ']');
    json_real(j, "min", s.low);
    json_real(j, "max", s.high);
    json_real(j, "mean", s.mean);
    json_int(j, "not_finite", (int64_t)s.not_finite);
    json_close(j, '}');
  }
  json_close(j, ']');
}

void report_outputs(struct tool *t, struct json *j, const struct outputs *o)
{
  static const char *const heads[] = {"output", "type", "min", "max", "mean", "not finite"};
  struct tool_table tab;
  if (j) {
    json_outputs(j, o);
    return;
  }
  tool_table_begin(t, &tab, "llrrrr", heads);
  for (uint32_t i = 0; i < o->n; i++) {
    struct summary s = summarize(&o->v[i]);
    struct gie_type type = tensor_type(&o->v[i]);
    bool any = s.count > s.not_finite;
    tool_cell(&tab, "%s", gie_value_get(o->g, gie_graph_output(o->g, i))->name);
    tool_cell(&tab, "%s", tool_type(t, o->g, &type));
    tool_cell(&tab, any ? "%.6g" : "-", s.low);
    tool_cell(&tab, any ? "%.6g" : "-", s.high);
    tool_cell(&tab, any ? "%.6g" : "-", s.mean);
    tool_cell(&tab, "%zu", s.not_finite);
  }
  tool_table_end(&tab, 0);
}

/* ---- Comparison */

static void json_compare(struct json *j, const char *name, const char *file, const struct compare_result *r,
                         const struct compare_rule *rule)
{
  json_text(j, "output", name);
  json_text(j, "file", file);
  json_bool(j, "same", r->same);
  json_bool(j, "same_shape", r->same_shape);
  json_real(j, "max_abs", r->max_abs);
  json_real(j, "max_rel", r->max_rel);
  json_real(j, r->absolute ? "atol" : "rtol", r->tolerance);
  if (rule->same_top)
    json_bool(j, "same_top", r->same_top);
}

void report_compare(struct tool *t, struct json *j, const char *name, const char *file,
                    const struct compare_result *r, const struct compare_rule *rule)
{
  if (j) {
    json_compare(j, name, file, r, rule);
    return;
  }
  printf("%s: %s against %s: ", r->same ? "same" : "DIFFERENT", tool_safe(t, name), tool_safe(t, file));
  if (!r->same_shape) {
    printf("the shapes differ\n");
    return;
  }
  printf("max abs error %.3g, relative %.3g (%s %.3g)", r->max_abs, r->max_rel, r->absolute ? "atol" : "rtol",
         r->tolerance);
  if (!(r->max_abs <= 0))
    printf(", worst at element %zu of %zu", r->worst, r->count);
  if (rule->same_top)
    printf(", the %u best %s", (unsigned)rule->same_top, r->same_top ? "in the same order" : "DIFFER");
  putchar('\n');
}

/* ---- Memory */

gie_status report_memory(struct tool *t, struct json *j, const struct gie_exec *x)
{
  struct gie_memory_report m = {.struct_size = sizeof m};
  struct tool_table tab;
  GIE_TRY(gie_exec_memory(x, &m));
  const struct {
    const char *name;
    uint64_t bytes;
  } rows[] = {{"constants", m.constants}, {"activations", m.activations}, {"workspace", m.workspace},
              {"inputs", m.inputs},       {"outputs", m.outputs},         {"tail", m.tail}};
  uint64_t total = 0;
  if (j)
    json_open(j, "memory", '{', false);
  else
    tool_table_begin(t, &tab, "lrl", NULL);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    total += rows[i].bytes;
    if (j) {
      json_int(j, rows[i].name, (int64_t)rows[i].bytes);
      continue;
    }
    if (rows[i].bytes == 0 && strcmp(rows[i].name, "tail") == 0)
      continue; /* few networks have one */
    tool_cell(&tab, "%s", rows[i].name);
    tool_cell(&tab, "%s", tool_bytes(t, rows[i].bytes));
    tool_cell(&tab, "%s",
              i == 1 ? tool_format(t, "(%s if nothing shared memory)", tool_bytes(t, m.unshared)) : "");
  }
  if (j) {
    json_int(j, "activations_unshared", (int64_t)m.unshared);
    json_int(j, "total", (int64_t)total);
    json_close(j, '}');
    return GIE_OK;
  }
  tool_cell(&tab, "peak");
  tool_cell(&tab, "%s", tool_bytes(t, total));
  tool_cell(&tab, "%s", "");
  tool_table_end(&tab, 0);
  return GIE_OK;
}
