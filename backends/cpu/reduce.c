/* SPDX-License-Identifier: Apache-2.0 */
/* Reductions over a set of axes, and arg_max. Formulas: ONNX ReduceMean, ReduceSum, ReduceMax,
 * ReduceMin, ReduceL2 (18), ArgMax (13). Floats accumulate in double; integer sums wrap in 64 bits
 * before they are cut to their dtype, an integer mean truncates. NaN wins in max, min and arg_max. */
#include "backends/cpu/cpu.h"

#include <math.h>

enum fold { FOLD_MEAN, FOLD_SUM, FOLD_MAX, FOLD_MIN, FOLD_L2 };

static const struct fold_name {
  const char *op;
  enum fold fold;
} FOLDS[] = {{"reduce_mean", FOLD_MEAN},
             {"reduce_sum", FOLD_SUM},
             {"reduce_max", FOLD_MAX},
             {"reduce_min", FOLD_MIN},
             {"reduce_l2", FOLD_L2}};

struct reduce {
  struct cpu_tensor x, out;
  struct cpu_box box; /* of the result */
  enum fold fold;
  unsigned axes; /* set of reduced axes */
  bool keepdims;
};

static void fold_float(enum fold fold, const double *x, int n, double *acc)
{
  for (int k = 0; k < n; k++) {
    if (fold == FOLD_MAX)
      *acc = isnan(*acc) || *acc > x[k] ? *acc : x[k];
    else if (fold == FOLD_MIN)
      *acc = isnan(*acc) || *acc < x[k] ? *acc : x[k];
    else
      *acc += fold == FOLD_L2 ? x[k] * x[k] : x[k];
  }
}

static void fold_int(enum fold fold, const int64_t *x, int n, bool big, int64_t *acc, double *squares)
{
  for (int k = 0; k < n; k++) {
    bool less = big ? (uint64_t)x[k] < (uint64_t)*acc : x[k] < *acc;
    double v = big ? (double)(uint64_t)x[k] : (double)x[k];
    if (fold == FOLD_MAX)
      *acc = less ? *acc : x[k];
    else if (fold == FOLD_MIN)
      *acc = less ? x[k] : *acc;
    else
      *acc = (int64_t)((uint64_t)*acc + (uint64_t)x[k]);
    *squares += v * v;
  }
}

/* What an empty range gives: the neutral element of the fold (ONNX 20). */
static void start(const struct reduce *v, double *f, int64_t *i)
{
  *f = v->fold == FOLD_MAX ? -INFINITY : v->fold == FOLD_MIN ? INFINITY : 0;
  *i = cpu_is_float(v->x.dtype) ? 0 : cpu_saturate(*f, v->x.dtype);
}

/* The fold of x over the reduced axes for the result at out_idx[], as element k of the row. */
static bool reduce_one(const struct reduce *v, const int64_t *out_idx, struct cpu_row *row, int k)
{
  struct cpu_row x;
  int64_t idx[GIE_MAX_RANK] = {0}, acc_i, count = 0;
  double acc_f, squares = 0;
  int o = 0;
  for (int i = 0; i < v->x.rank; i++) {
    bool reduced = v->axes >> i & 1;
    if (!reduced)
      idx[i] = out_idx[o];
    o += v->keepdims || !reduced;
  }
  struct cpu_box box = cpu_box(&v->x, ~v->axes, idx);
  start(v, &acc_f, &acc_i);
  for (int64_t r = 0; r < box.rows; r++) {
    int n = cpu_box_at(&box, r, idx);
    cpu_read_row(&v->x, idx, box.axis, n, &x);
    count += n;
    if (cpu_is_float(v->x.dtype))
      fold_float(v->fold, x.f, n, &acc_f);
    else
      fold_int(v->fold, x.i, n, v->x.dtype == GIE_U64, &acc_i, &squares);
  }
  if (cpu_is_float(v->x.dtype)) {
    row->f[k] = v->fold == FOLD_MEAN ? acc_f / (double)count : v->fold == FOLD_L2 ? sqrt(acc_f) : acc_f;
    return true;
  }
  if (v->fold == FOLD_MEAN && count == 0)
    return false;
  if (v->fold == FOLD_MEAN)
    acc_i = v->x.dtype == GIE_U64 ? (int64_t)((uint64_t)acc_i / (uint64_t)count) : acc_i / count;
  row->i[k] = v->fold == FOLD_L2 ? cpu_saturate(sqrt(squares), v->x.dtype) : cpu_wrap(acc_i, v->x.dtype);
  return true;
}

static gie_status reduce_body(const struct cpu_call *c, const void *arg, int64_t item, int slot)
{
  const struct reduce *v = arg;
  int64_t idx[GIE_MAX_RANK], at[GIE_MAX_RANK] = {0};
  int n = cpu_box_at(&v->box, item, idx), axis = v->box.axis;
  struct cpu_row row = {.dtype = v->x.dtype};
  (void)slot;
  memcpy(at, idx, sizeof *at * (size_t)v->out.rank);
  for (int k = 0; k < n; k++) {
    if (!reduce_one(v, at, &row, k))
      return cpu_fail_division(c);
    if (axis >= 0)
      at[axis]++;
  }
  return cpu_emit(c, idx, axis, n, &row);
}

/* The set of axes from operand 1, all without one (or none, with noop_with_empty_axes). */
static gie_status read_axes(const struct cpu_call *c, int rank, unsigned *axes)
{
  int64_t list[GIE_MAX_RANK];
  int n = 0;
  *axes = 0;
  if (cpu_has_in(c, 1)) {
    struct cpu_tensor t = cpu_in(c, 1);
    n = cpu_read_ints(&t, list, GIE_MAX_RANK);
  }
  if (n == 0 && !gie_node_int(c->self->node, "noop_with_empty_axes"))
    *axes = (1u << rank) - 1;
  if (n < 0)
    return gie_fail(c->launch->ctx, GIE_E_SHAPE, "more axes than a tensor can have");
  for (int i = 0; i < n; i++) {
    int64_t a = list[i] < 0 ? list[i] + rank : list[i];
    if (a < 0 || a >= rank)
      return gie_fail(c->launch->ctx, GIE_E_SHAPE, "axis %lld is outside rank %d", (long long)list[i], rank);
    *axes |= 1u << a;
  }
  return GIE_OK;
}

static gie_status reduce_run(const struct cpu_call *c)
{
  const struct gie_node *node = c->self->node;
  struct reduce v = {.x = cpu_in(c, 0), .out = cpu_out(c, 0), .keepdims = gie_node_int(node, "keepdims")};
  GIE_TRY(read_axes(c, v.x.rank, &v.axes));
  for (size_t i = 0; i < sizeof FOLDS / sizeof *FOLDS; i++)
    if (strcmp(FOLDS[i].op, node->op->name) == 0)
      v.fold = FOLDS[i].fold;
  int o = 0;
  for (int i = 0; i < v.x.rank; i++) { /* the axes must be those the shape was inferred from */
    bool reduced = v.axes >> i & 1;
    if (reduced && !v.keepdims)
      continue;
    if (o >= v.out.rank || v.out.dim[o++] != (reduced ? 1 : v.x.dim[i]))
      return gie_fail(c->launch->ctx, GIE_E_SHAPE, "the axes do not give the result's shape");
  }
  if (o != v.out.rank)
    return gie_fail(c->launch->ctx, GIE_E_SHAPE, "the axes do not give the result's shape");
  v.box = cpu_box(&v.out, 0, NULL);
  return cpu_for(c, v.box.rows, 1, reduce_body, &v);
}

/* ---- arg_max: index along one axis of the greatest element; the first one, or the last */

struct arg_max {
  struct cpu_tensor x, out;
  struct cpu_box box;
  int axis;
  bool keepdims, last;
};

/* Whether b takes the place of a: greater, or NaN over a number, or equal and the last one wins. */
static bool wins_float(double a, double b, bool last)
{
  return isnan(a) || isnan(b) ? isnan(b) && (last || !isnan(a)) : last ? b >= a : b > a;
}
static bool wins_int(int64_t a, int64_t b, bool big, bool last)
{
  bool greater = big ? (uint64_t)b > (uint64_t)a : b > a;
  return greater || (last && a == b);
}

static int64_t arg_max_one(const struct arg_max *v, const int64_t *out_idx)
{
  int64_t idx[GIE_MAX_RANK] = {0}, best_i = 0, best = 0, *at = &idx[v->axis];
  double best_f = 0;
  struct cpu_row x;
  for (int i = 0, o = 0; i < v->x.rank; i++) {
    if (i != v->axis)
      idx[i] = out_idx[o];
    o += v->keepdims || i != v->axis;
  }
  for (*at = 0; *at < v->x.dim[v->axis]; *at += CPU_ROW) {
    int n = v->x.dim[v->axis] - *at < CPU_ROW ? (int)(v->x.dim[v->axis] - *at) : CPU_ROW;
    cpu_read_row(&v->x, idx, v->axis, n, &x);
    for (int k = 0; k < n; k++) {
      bool first = *at + k == 0;
      if (cpu_is_float(x.dtype) ? first || wins_float(best_f, x.f[k], v->last)
                                : first || wins_int(best_i, x.i[k], x.dtype == GIE_U64, v->last)) {
        best = *at + k;
        if (cpu_is_float(x.dtype))
          best_f = x.f[k];
        else
          best_i = x.i[k];
      }
    }
  }
  return best;
}

static gie_status arg_max_body(const struct cpu_call *c, const void *arg, int64_t item, int slot)
{
  const struct arg_max *v = arg;
  int64_t idx[GIE_MAX_RANK], at[GIE_MAX_RANK] = {0};
  int n = cpu_box_at(&v->box, item, idx), axis = v->box.axis;
  struct cpu_row row = {.dtype = GIE_I64};
  (void)slot;
  memcpy(at, idx, sizeof *at * (size_t)v->out.rank);
  for (int k = 0; k < n; k++) {
    row.i[k] = arg_max_one(v, at);
    if (axis >= 0)
      at[axis]++;
  }
  return cpu_emit(c, idx, axis, n, &row);
}

static gie_status arg_max_run(const struct cpu_call *c)
{
  const struct gie_node *node = c->self->node;
  struct arg_max v = {.x = cpu_in(c, 0),
                      .out = cpu_out(c, 0),
                      .axis = (int)gie_node_int(node, "axis"),
                      .keepdims = gie_node_int(node, "keepdims"),
                      .last = gie_node_int(node, "select_last_index")};
  v.axis += v.axis < 0 ? v.x.rank : 0;
  v.box = cpu_box(&v.out, 0, NULL);
  return cpu_for(c, v.box.rows, 1, arg_max_body, &v);
}

static bool arg_max_check(const struct gie_problem *p, char *why, size_t size)
{
  int64_t axis = gie_node_int(p->node, "axis");
  if (axis < -p->in[0].rank || axis >= p->in[0].rank)
    return cpu_refuse(why, size, "axis %lld is outside rank %d", (long long)axis, p->in[0].rank);
  if (p->in[0].dim[axis < 0 ? axis + p->in[0].rank : axis] == 0)
    return cpu_refuse(why, size, "an axis without elements has no greatest one");
  return true;
}

const struct cpu_op cpu_op_reduce = {reduce_run, NULL, NULL, true};
const struct cpu_op cpu_op_arg_max = {arg_max_run, arg_max_check, NULL, true};
