/* SPDX-License-Identifier: Apache-2.0 */
/* Pooling. Formulas: ONNX MaxPool (with indices, dilation, storage order), AveragePool (19: dilation,
 * ceil_mode, count_include_pad), GlobalAveragePool, GlobalMaxPool. NaN wins over every number. */
#include "backends/cpu/cpu.h"

#include <math.h>

struct pool {
  struct cpu_tensor x;
  struct cpu_box box; /* of the result, rows along the last axis */
  struct gie_window win;
  bool average, include_pad, column_major;
};

struct pool_row {
  double value[CPU_ROW];
  int64_t index[CPU_ROW], count[CPU_ROW];
};

/* Number of element (idx[2 …]) within its image and channel. */
static int64_t spatial_number(const struct pool *v, const int64_t *idx)
{
  int64_t number = 0;
  int s = v->win.n;
  for (int i = 0; i < s; i++) {
    int a = v->column_major ? s - 1 - i : i;
    number = number * v->win.in[a] + idx[2 + a];
  }
  return number;
}

/* Takes up x at idx, which window tap f of output j of the row covers. */
static void take(const struct pool *v, struct pool_row *r, int j, const int64_t *idx, double x)
{
  if (v->average) {
    r->value[j] += x;
    r->count[j]++;
    return;
  }
  if (r->count[j]++ > 0 && !(x > r->value[j]) && !(isnan(x) && !isnan(r->value[j])))
    return;
  r->value[j] = x;
  r->index[j] = (idx[0] * v->x.dim[1] + idx[1]) * (cpu_count(&v->x) / v->x.dim[0] / v->x.dim[1]) +
                spatial_number(v, idx);
}

/* One tap f[] of the windows of n outputs from pos[] on. Pad counts for the mean with include_pad,
 * but not what ceil_mode adds beyond the pad. */
static void tap(const struct pool *v, struct pool_row *r, int64_t *idx, const int64_t *pos, const int64_t *f,
                int n)
{
  const struct gie_window *w = &v->win;
  int s = w->n;
  bool inside = true, counts = v->include_pad;
  for (int i = 0; i < s - 1; i++) {
    int64_t at = idx[2 + i] = pos[i] * w->stride[i] - w->pad_begin[i] + f[i] * w->dilation[i];
    inside = inside && at >= 0 && at < w->in[i];
    counts = counts && at < w->in[i] + w->pad_end[i];
  }
  for (int j = 0; j < n; j++) {
    int64_t at = idx[1 + s] = (pos[s - 1] + j) * w->stride[s - 1] - w->pad_begin[s - 1] +
                              f[s - 1] * w->dilation[s - 1];
    if (inside && at >= 0 && at < w->in[s - 1]) {
      double x;
      cpu_read_double(&v->x, idx, 1 + s, 1, 1, &x);
      take(v, r, j, idx, x);
    } else if (counts && at < w->in[s - 1] + w->pad_end[s - 1]) {
      r->count[j]++;
    }
  }
}

static gie_status pool_body(const struct cpu_call *c, const void *arg, int64_t item, int slot)
{
  const struct pool *v = arg;
  struct pool_row r = {{0}, {0}, {0}};
  struct cpu_row row = {.dtype = GIE_F64};
  int64_t idx[GIE_MAX_RANK], at[GIE_MAX_RANK], f[GIE_MAX_SPATIAL] = {0};
  int n = cpu_box_at(&v->box, item, idx), s = v->win.n, i;
  (void)slot;
  memcpy(at, idx, sizeof at);
  do {
    tap(v, &r, at, idx + 2, f, n);
    for (i = s - 1; i >= 0 && ++f[i] == v->win.kernel[i]; i--)
      f[i] = 0;
  } while (i >= 0);
  for (int j = 0; j < n; j++)
    row.f[j] = v->average ? r.value[j] / (double)r.count[j] : r.count[j] ? r.value[j] : -INFINITY;
  cpu_row_convert(&row, n, v->x.dtype); /* i8 and u8 are exact as doubles */
  GIE_TRY(cpu_emit(c, idx, 1 + s, n, &row));
  if (cpu_has_out(c, 1)) {
    struct cpu_tensor indices = cpu_out(c, 1);
    row.dtype = GIE_I64;
    memcpy(row.i, r.index, sizeof r.index);
    cpu_write_row(&indices, idx, 1 + s, n, &row);
  }
  return GIE_OK;
}

static gie_status pool_run(const struct cpu_call *c)
{
  const struct gie_node *node = c->self->node;
  struct cpu_tensor out = cpu_out(c, 0);
  struct pool v = {.x = cpu_in(c, 0), .average = strcmp(node->op->name, "average_pool") == 0};
  int64_t kernel[GIE_MAX_SPATIAL];
  const char *why;
  v.include_pad = v.average && gie_node_int(node, "count_include_pad");
  v.column_major = !v.average && gie_node_int(node, "storage_order");
  gie_node_ints(node, "kernel", kernel, GIE_MAX_SPATIAL, 1);
  if (!gie_window_read(node, v.x.rank - 2, v.x.dim + 2, kernel, &v.win, &why))
    return gie_fail(c->launch->ctx, GIE_E_SHAPE, "%s", why);
  v.box = cpu_box_along(&out, out.rank - 1);
  return cpu_for(c, v.box.rows, 1, pool_body, &v);
}

static bool pool_check(const struct gie_problem *p, char *why, size_t size)
{
  int64_t kernel[GIE_MAX_SPATIAL];
  struct gie_window win;
  const char *reason;
  const struct gie_attr *given = gie_attrs_find(&p->node->attrs, "kernel");
  if (p->in[0].rank < 3 || p->out[0].rank != p->in[0].rank || !given ||
      given->n != (uint32_t)p->in[0].rank - 2)
    return cpu_refuse(why, size, "kernel does not have one entry per spatial axis");
  gie_node_ints(p->node, "kernel", kernel, GIE_MAX_SPATIAL, 1);
  if (!gie_window_read(p->node, p->in[0].rank - 2, p->in[0].dim + 2, kernel, &win, &reason))
    return cpu_refuse(why, size, "%s", reason);
  for (int i = 0; i < win.n; i++)
    if (win.out[i] != p->out[0].dim[2 + i])
      return cpu_refuse(why, size, "the result's axis %d is %lld, the window gives %lld", 2 + i,
                        (long long)p->out[0].dim[2 + i], (long long)win.out[i]);
  return true;
}

/* ---- Global pools: over all spatial axes */

static gie_status global_body(const struct cpu_call *c, const void *arg, int64_t item, int slot)
{
  const struct cpu_tensor *x = arg;
  bool average = strcmp(c->self->node->op->name, "global_average_pool") == 0;
  int64_t idx[GIE_MAX_RANK] = {item / x->dim[1], item % x->dim[1]}, at[GIE_MAX_RANK] = {0};
  struct cpu_box box = cpu_box(x, 3, idx);
  struct cpu_row row;
  double value = average ? 0 : -INFINITY, count = 0;
  (void)slot;
  for (int64_t r = 0; r < box.rows; r++) {
    int n = cpu_box_at(&box, r, at);
    cpu_read_row(x, at, box.axis, n, &row);
    for (int k = 0; k < n; k++) {
      double e = row.f[k];
      value = average ? value + e : e > value || isnan(e) ? e : value;
    }
    count += n;
  }
  row.dtype = x->dtype;
  row.f[0] = average ? value / count : value;
  return cpu_emit(c, idx, 1, 1, &row);
}

static gie_status global_run(const struct cpu_call *c)
{
  struct cpu_tensor x = cpu_in(c, 0);
  return cpu_for(c, x.dim[0] * x.dim[1], 1, global_body, &x);
}

static bool global_check(const struct gie_problem *p, char *why, size_t size)
{
  if (p->in[0].rank < 2)
    return cpu_refuse(why, size, "x has no channel axis");
  return true;
}

const struct cpu_op cpu_op_pool = {pool_run, pool_check, NULL, true};
const struct cpu_op cpu_op_global_pool = {global_run, global_check, NULL, true};
