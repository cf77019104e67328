/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution and transposed convolution of any rank, with groups, dilation, strides and padding.
 * Formulas: ONNX Conv, ConvTranspose.
 *
 * conv: out[n][k][o] = b[k] + sum over c, f of w[k][c][f] * x[n][c][o*stride - pad + f*dilation]
 * conv_transpose: x[n][c][i] adds w[c][k][f] * x to out[n][k][i*stride - pad + f*dilation]. Outputs with
 * the same remainder (o + pad) mod stride, a *phase*, are fed by the same taps f, so each phase is a
 * convolution of stride 1 over those taps. */
#include "backends/cpu/cpu.h"

struct conv {
  struct cpu_tensor x, w, b;
  bool has_b;
  struct gie_window win;
  int64_t group, c_per, k_per;      /* channels of x and of the result per group */
  int64_t phase[GIE_MAX_SPATIAL];   /* conv_transpose: remainder of the outputs at hand */
  int64_t n_phase[GIE_MAX_SPATIAL]; /* and how many there are on each axis */
};

/* pos[] = number i in row-major order over dim[0..n). */
static void unravel(int64_t i, int n, const int64_t *dim, int64_t *pos)
{
  for (int a = n - 1; a >= 0; a--) {
    pos[a] = i % dim[a];
    i /= dim[a];
  }
}

/* Next position; false after the last, which is when all are 0 again. */
static bool advance(int64_t *pos, int n, const int64_t *dim)
{
  for (int a = n - 1; a >= 0; a--) {
    if (++pos[a] < dim[a])
      return true;
    pos[a] = 0;
  }
  return false;
}

/* Reads x at (image, channel, first[] + j*step on the last axis) for j in [0,n), zero outside. */
static void read_padded(const struct conv *v, int64_t image, int64_t channel, const int64_t *first,
                        int64_t step, int n, double *dst)
{
  int s = v->win.n;
  int64_t idx[GIE_MAX_RANK] = {image, channel}, begin = 0, end, extent = v->win.in[s - 1], at = first[s - 1];
  for (int i = 0; i < s - 1; i++)
    if (first[i] < 0 || first[i] >= v->win.in[i])
      return; /* dst is zeroed */
  if (at < 0)
    begin = (-at + step - 1) / step;
  end = at < extent ? (extent - at + step - 1) / step : 0;
  end = end < n ? end : n;
  if (begin >= end)
    return;
  for (int i = 0; i < s; i++)
    idx[2 + i] = first[i];
  idx[1 + s] = at + begin * step;
  cpu_read(&v->x, idx, 1 + s, step, end - begin, dst + begin);
}

/* ---- conv */

static void conv_load_w(const struct cpu_contract *t, int64_t outer, int64_t row, void *dst)
{
  const struct conv *v = t->op;
  int64_t idx[GIE_MAX_RANK] = {outer % v->group * v->k_per + row};
  cpu_read_flat(&v->w, idx, 1, dst);
}

static void conv_load_x(const struct cpu_contract *t, int64_t outer, int64_t col, int n, void *dst)
{
  const struct conv *v = t->op;
  const struct gie_window *w = &v->win;
  int s = w->n;
  int64_t image = outer / v->group, group = outer % v->group;
  for (int done = 0, run; done < n; done += run) {
    int64_t pos[GIE_MAX_SPATIAL], f[GIE_MAX_SPATIAL] = {0}, first[GIE_MAX_SPATIAL] = {0};
    unravel(col + done, s, w->out, pos);
    run = w->out[s - 1] - pos[s - 1] < n - done ? (int)(w->out[s - 1] - pos[s - 1]) : n - done;
    double *to = (double *)dst + done;
    for (int64_t c = 0; c < v->c_per; c++)
      do {
        for (int i = 0; i < s; i++)
          first[i] = pos[i] * w->stride[i] - w->pad_begin[i] + f[i] * w->dilation[i];
        read_padded(v, image, group * v->c_per + c, first, w->stride[s - 1], run, to);
        to += CPU_COLS;
      } while (advance(f, s, w->kernel));
  }
}

/* Adds the bias of channel k to n sums. */
static void add_bias(const struct conv *v, int64_t k, int n, struct cpu_row *sum)
{
  double b = 0;
  if (!v->has_b)
    return;
  cpu_read(&v->b, &k, 0, 1, 1, &b);
  for (int j = 0; j < n; j++)
    sum->f[j] += b;
}

/* Hands on elements [done, done+n) of the sums. */
static gie_status emit_part(const struct cpu_call *c, const int64_t *idx, int axis, const struct cpu_row *sum,
                            int done, int n)
{
  struct cpu_row part;
  part.dtype = sum->dtype;
  memcpy(part.f, sum->f + done, sizeof *part.f * (size_t)n);
  return cpu_emit(c, idx, axis, n, &part);
}

static gie_status conv_emit(const struct cpu_call *c, const struct cpu_contract *t, int64_t outer,
                            int64_t row, int64_t col, int n, struct cpu_row *sum)
{
  const struct conv *v = t->op;
  int s = v->win.n;
  int64_t k = outer % v->group * v->k_per + row, idx[GIE_MAX_RANK] = {outer / v->group, k};
  add_bias(v, k, n, sum);
  for (int done = 0, run; done < n; done += run) {
    unravel(col + done, s, v->win.out, idx + 2);
    int64_t left = v->win.out[s - 1] - idx[1 + s];
    run = left < n - done ? (int)left : n - done;
    GIE_TRY(emit_part(c, idx, 1 + s, sum, done, run));
  }
  return GIE_OK;
}

static int64_t product(const int64_t *v, int n)
{
  int64_t p = 1;
  for (int i = 0; i < n; i++)
    p *= v[i];
  return p;
}

static void conv_operands(const struct cpu_call *c, struct conv *v)
{
  v->x = cpu_in(c, 0);
  v->w = cpu_in(c, 1);
  v->has_b = cpu_has_in(c, 2);
  if (v->has_b)
    v->b = cpu_in(c, 2);
  v->group = gie_node_int(c->self->node, "group");
  v->c_per = v->x.dim[1] / v->group;
  v->k_per = c->self->out[0].dim[1] / v->group;
}

static gie_status conv_run(const struct cpu_call *c)
{
  struct conv v = {0};
  const char *why;
  conv_operands(c, &v);
  if (!gie_window_read(c->self->node, v.x.rank - 2, v.x.dim + 2, v.w.dim + 2, &v.win, &why))
    return gie_fail(c->launch->ctx, GIE_E_SHAPE, "%s", why);
  struct cpu_contract t = {.outer = v.x.dim[0] * v.group,
                           .rows = v.k_per,
                           .cols = product(v.win.out, v.win.n),
                           .taps = v.c_per * product(v.win.kernel, v.win.n),
                           .op = &v,
                           .load_a = conv_load_w,
                           .load_b = conv_load_x,
                           .emit = conv_emit};
  return cpu_contract(c, &t);
}

/* ---- conv_transpose */

/* Distance on axis i from output phase[i] to the start of tap f; taps of this phase reach an x element exactly. */
static int64_t reach(const struct conv *v, int i, int64_t f)
{
  return v->phase[i] + v->win.pad_begin[i] - f * v->win.dilation[i];
}

static bool in_phase(const struct conv *v, const int64_t *f)
{
  for (int i = 0; i < v->win.n; i++)
    if (reach(v, i, f[i]) % v->win.stride[i] != 0)
      return false;
  return true;
}

static void transpose_load_w(const struct cpu_contract *t, int64_t outer, int64_t row, void *dst)
{
  const struct conv *v = t->op;
  int s = v->win.n;
  int64_t idx[GIE_MAX_RANK] = {0, row}, group = outer % v->group;
  double *to = dst;
  for (int64_t c = 0; c < v->c_per; c++) {
    idx[0] = group * v->c_per + c;
    do {
      if (in_phase(v, idx + 2))
        cpu_read(&v->w, idx, 1 + s, 1, 1, to++);
    } while (advance(idx + 2, s, v->win.kernel));
  }
}

/* Column number q of the phase is output phase + q*stride; it meets x at q + reach/stride. */
static void transpose_load_x(const struct cpu_contract *t, int64_t outer, int64_t col, int n, void *dst)
{
  const struct conv *v = t->op;
  const struct gie_window *w = &v->win;
  int s = w->n;
  int64_t image = outer / v->group, group = outer % v->group;
  for (int done = 0, run; done < n; done += run) {
    int64_t q[GIE_MAX_SPATIAL], f[GIE_MAX_SPATIAL] = {0}, first[GIE_MAX_SPATIAL] = {0};
    unravel(col + done, s, v->n_phase, q);
    run = v->n_phase[s - 1] - q[s - 1] < n - done ? (int)(v->n_phase[s - 1] - q[s - 1]) : n - done;
    double *to = (double *)dst + done;
    for (int64_t c = 0; c < v->c_per; c++)
      do {
        if (!in_phase(v, f))
          continue;
        for (int i = 0; i < s; i++)
          first[i] = q[i] + reach(v, i, f[i]) / w->stride[i];
        read_padded(v, image, group * v->c_per + c, first, 1, run, to);
        to += CPU_COLS;
      } while (advance(f, s, w->kernel));
  }
}

static gie_status transpose_emit(const struct cpu_call *c, const struct cpu_contract *t, int64_t outer,
                                 int64_t row, int64_t col, int n, struct cpu_row *sum)
{
  const struct conv *v = t->op;
  int s = v->win.n;
  int64_t k = outer % v->group * v->k_per + row, idx[GIE_MAX_RANK] = {outer / v->group, k};
  add_bias(v, k, n, sum);
  for (int j = 0; j < n; j++) {
    unravel(col + j, s, v->n_phase, idx + 2);
    for (int i = 0; i < s; i++)
      idx[2 + i] = v->phase[i] + idx[2 + i] * v->win.stride[i];
    GIE_TRY(emit_part(c, idx, 1 + s, sum, j, 1));
  }
  return GIE_OK;
}

static gie_status transpose_run(const struct cpu_call *c)
{
  struct conv v = {0};
  const char *why;
  conv_operands(c, &v);
  if (!gie_window_read_transpose(c->self->node, v.x.rank - 2, v.x.dim + 2, v.w.dim + 2, &v.win, &why))
    return gie_fail(c->launch->ctx, GIE_E_SHAPE, "%s", why);
  int s = v.win.n;
  do {
    struct cpu_contract t = {.outer = v.x.dim[0] * v.group,
                             .rows = v.k_per,
                             .op = &v,
                             .load_a = transpose_load_w,
                             .load_b = transpose_load_x,
                             .emit = transpose_emit};
    int64_t f[GIE_MAX_SPATIAL] = {0};
    for (int i = 0; i < s; i++)
      v.n_phase[i] = v.win.out[i] > v.phase[i]
                         ? (v.win.out[i] - v.phase[i] + v.win.stride[i] - 1) / v.win.stride[i]
                         : 0;
    t.cols = product(v.n_phase, s);
    do
      t.taps += in_phase(&v, f) ? v.c_per : 0;
    while (advance(f, s, v.win.kernel));
    if (t.cols > 0)
      GIE_TRY(cpu_contract(c, &t));
  } while (advance(v.phase, s, v.win.stride));
  return GIE_OK;
}

/* ---- Tables */

static bool conv_fits(const struct gie_problem *p, bool transposed, char *why, size_t size)
{
  const struct gie_desc *x = &p->in[0], *w = &p->in[1], *y = &p->out[0];
  int64_t group = gie_node_int(p->node, "group");
  struct gie_window win;
  const char *reason;
  if (x->rank < 3 || w->rank != x->rank || y->rank != x->rank)
    return cpu_refuse(why, size, "x, w and the result need one rank of 3 or more");
  if (w->dtype != x->dtype ||
      (p->node->n_operands > 2 && p->in[2].dtype != GIE_DTYPE_NONE && p->in[2].dtype != x->dtype))
    return cpu_refuse(why, size, "operands of different dtypes");
  if (group < 1 || x->dim[1] % group || y->dim[1] % group)
    return cpu_refuse(why, size, "channels do not divide by group %lld", (long long)group);
  if (transposed ? w->dim[0] != x->dim[1] || w->dim[1] != y->dim[1] / group
                 : w->dim[0] != y->dim[1] || w->dim[1] != x->dim[1] / group)
    return cpu_refuse(why, size, "w does not have the channels of x and the result");
  if (p->node->n_operands > 2 && p->in[2].dtype != GIE_DTYPE_NONE &&
      (p->in[2].rank != 1 || p->in[2].dim[0] != y->dim[1]))
    return cpu_refuse(why, size, "b is not one number per output channel");
  if (!(transposed ? gie_window_read_transpose : gie_window_read)(p->node, x->rank - 2, x->dim + 2,
                                                                  w->dim + 2, &win, &reason))
    return cpu_refuse(why, size, "%s", reason);
  for (int i = 0; i < win.n; i++)
    if (win.out[i] != y->dim[2 + i])
      return cpu_refuse(why, size, "the result's axis %d is %lld, the window gives %lld", 2 + i,
                        (long long)y->dim[2 + i], (long long)win.out[i]);
  return true;
}

static bool conv_check(const struct gie_problem *p, char *why, size_t size)
{
  return conv_fits(p, false, why, size);
}
static bool transpose_check(const struct gie_problem *p, char *why, size_t size)
{
  return conv_fits(p, true, why, size);
}

static void conv_scratch(const struct gie_problem *p, size_t *per_thread, size_t *shared)
{
  (void)shared;
  *per_thread = cpu_contract_scratch(product(p->in[1].dim + 1, p->in[1].rank - 1));
}

/* No phase has more taps than channels of x times the kernel. */
static void transpose_scratch(const struct gie_problem *p, size_t *per_thread, size_t *shared)
{
  (void)shared;
  *per_thread = cpu_contract_scratch(p->in[0].dim[1] / gie_node_int(p->node, "group") *
                                     product(p->in[1].dim + 2, p->in[1].rank - 2));
}

const struct cpu_op cpu_op_conv = {conv_run, conv_check, conv_scratch, true};
const struct cpu_op cpu_op_conv_transpose = {transpose_run, transpose_check, transpose_scratch, true};
