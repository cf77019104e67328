/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance of what makes whole graphs, passes and formats: graphs to try, and whether two of them compute the same. */
#include "core/module/conform.h"
#include "core/module/random_graph.h"
#include <gie/gie.h>
#include <math.h>

#define TOLERANCE 1e-4      /* r of max|a-b| <= r * max|b| */
#define SMALL 1e-3          /* what max|b| is at least */
#define MAX_INPUT (1 << 24) /* elements of an input that is made up */

struct gie_graph *conform_random(struct gie_context *ctx, uint64_t seed)
{
  struct gie_graph *g = NULL;
  struct gie_buf b;
  gie_buf_init(&b, ctx);
  random_graph(&b, seed, 4 + (int)(seed % 20), "f32", NULL);
  gie_status st = b.status;
  if (st == GIE_OK)
    st = gie_graph_parse(ctx, b.data, b.len, NULL, &g);
  gie_buf_free(&b);
  return st == GIE_OK ? g : NULL;
}

void conform_ops_text(const struct gie_graph *g, char *buf, size_t size)
{
  size_t at = 0;
  buf[0] = 0;
  GIE_FOR_NODES(g, id) {
    if (at < size)
      at += (size_t)snprintf(buf + at, size - at, "%s%s", at ? " " : "", gie_node_get(g, id)->op->name);
  }
}

bool conform_text(const struct gie_graph *g, char **text, size_t *size)
{
  return gie_graph_print(g, text, size) == GIE_OK;
}

/* ---- Runs */

static void fill(struct gie_tensor *t, size_t count, uint64_t *random)
{
  for (size_t i = 0; i < count; i++) {
    double v = (double)(probe_random(random) >> 40) / (1 << 23) - 1;
    if (t->dtype == GIE_F32)
      ((float *)t->data)[i] = (float)v;
    else if (t->dtype == GIE_F64)
      ((double *)t->data)[i] = v;
  }
}

/* Symbols and what is not known become 2. Inputs that are no floats are zero. */
static gie_status set_input(struct gie_exec *x, const struct gie_graph *g, gie_id id, uint64_t *random)
{
  const struct gie_value *v = gie_value_get(g, id);
  struct gie_tensor t = {.struct_size = sizeof t, .dtype = v->type.dtype, .rank = v->type.shape.rank};
  size_t count = 1;
  if (t.rank < 0)
    return GIE_E_UNSUPPORTED;
  for (int i = 0; i < t.rank; i++) {
    t.dim[i] = gie_dim_is_num(v->type.shape.dim[i]) ? v->type.shape.dim[i].b : 2;
    if (!gie_mul(count, (size_t)t.dim[i], &count) || count > MAX_INPUT)
      return GIE_E_LIMIT;
  }
  t.data = gie_alloc(gie_graph_context(g), count + 1, gie_dtype_size(t.dtype));
  if (!t.data)
    return GIE_E_MEMORY;
  fill(&t, count, random);
  gie_status st = gie_exec_set_input(x, v->name, &t);
  gie_free(gie_graph_context(g), t.data);
  return st;
}

static gie_status run(const struct gie_graph *g, uint64_t seed, struct gie_exec **x)
{
  const struct gie_exec_options options = {.struct_size = sizeof options, .threads = 1};
  *x = NULL;
  GIE_TRY(gie_exec_new(g, &options, x));
  for (uint32_t i = 0; i < gie_graph_n_inputs(g); i++)
    GIE_TRY(set_input(*x, g, gie_graph_input(g, i), &seed));
  return gie_exec_run(*x);
}

static double element(const struct gie_tensor *t, size_t i)
{
  return t->dtype == GIE_F64 ? ((const double *)t->data)[i] : (double)((const float *)t->data)[i];
}

/* NaN and infinities have to be where they were. */
static bool same_numbers(const struct gie_tensor *a, const struct gie_tensor *b, size_t count)
{
  double error = 0, largest = SMALL;
  for (size_t i = 0; i < count; i++) {
    double x = element(a, i), y = element(b, i);
    if (isfinite(x) != isfinite(y) || isnan(x) != isnan(y))
      return false;
    error = isfinite(y) ? fmax(error, fabs(x - y)) : error;
    largest = isfinite(y) ? fmax(largest, fabs(y)) : largest;
  }
  return error <= TOLERANCE * largest;
}

static bool same_tensor(const struct gie_tensor *a, const struct gie_tensor *b)
{
  size_t count = 1;
  if (a->dtype != b->dtype || a->rank != b->rank)
    return false;
  for (int i = 0; i < a->rank; i++) {
    if (a->dim[i] != b->dim[i])
      return false;
    count *= (size_t)a->dim[i];
  }
  if (a->dtype == GIE_F32 || a->dtype == GIE_F64)
    return same_numbers(a, b, count);
  return count == 0 || memcmp(a->data, b->data, count * gie_dtype_size(a->dtype)) == 0;
}

/* Number of inputs and outputs, and their names. */
static bool same_ends(const struct gie_graph *a, const struct gie_graph *b, char *wrong, size_t size)
{
  bool same = true;
  for (uint32_t i = 0; same && i < gie_graph_n_inputs(a); i++)
    same = strcmp(gie_value_get(a, gie_graph_input(a, i))->name,
                  gie_value_get(b, gie_graph_input(b, i))->name) == 0;
  for (uint32_t i = 0; same && i < gie_graph_n_outputs(a); i++)
    same = strcmp(gie_value_get(a, gie_graph_output(a, i))->name,
                  gie_value_get(b, gie_graph_output(b, i))->name) == 0;
  if (!same)
    snprintf(wrong, size, "inputs or outputs have other names");
  return same;
}

static bool same_outputs(const struct gie_graph *a, const struct gie_graph *b, struct gie_exec *x,
                         struct gie_exec *y, char *wrong, size_t size)
{
  for (uint32_t i = 0; i < gie_graph_n_outputs(a); i++) {
    struct gie_tensor before = {.struct_size = sizeof before}, after = {.struct_size = sizeof after};
    const char *name = gie_value_get(a, gie_graph_output(a, i))->name,
               *now = gie_value_get(b, gie_graph_output(b, i))->name;
    if (gie_exec_output(x, name, &before) != GIE_OK || gie_exec_output(y, now, &after) != GIE_OK ||
        !same_tensor(&after, &before)) {
      snprintf(wrong, size, "output \"%.100s\" is not what it was", name);
      return false;
    }
  }
  return true;
}

bool conform_same(const struct gie_graph *before, const struct gie_graph *after, bool names, uint64_t seed,
                  bool *ran, char *wrong, size_t size)
{
  struct gie_exec *x = NULL, *y = NULL;
  bool same = gie_graph_n_inputs(before) == gie_graph_n_inputs(after) &&
              gie_graph_n_outputs(before) == gie_graph_n_outputs(after);
  if (!same)
    snprintf(wrong, size, "there are more or fewer inputs or outputs");
  same = same && (!names || same_ends(before, after, wrong, size));
  *ran = same && run(before, seed, &x) == GIE_OK;
  if (*ran && run(after, seed, &y) != GIE_OK) {
    snprintf(wrong, size, "it does not run any more: %s", gie_error_text(gie_graph_context(before)));
    same = false;
  }
  same = same && (!*ran || same_outputs(before, after, x, y, wrong, size));
  gie_exec_free(x);
  gie_exec_free(y);
  return same;
}
