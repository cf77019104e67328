/* SPDX-License-Identifier: Apache-2.0 */
/* Single outputs of convolutions and matrix products as sums in double. Formulas: ONNX Conv, ConvTranspose,
 * Gemm, MatMul. Operands are plain, so element idx[] is at the sum of idx times stride. */
#include "core/module/probe.h"
#include "core/tune/sample.h"
#include <gie/window.h>
#include <math.h>

static double element(const struct sample_problem *p, uint32_t i, int64_t at)
{
  return probe_element(p->in[i].dtype, p->in_host[i], at);
}

static bool has(const struct sample_problem *p, uint32_t i)
{
  return i < p->node->n_operands && p->in[i].dtype != GIE_DTYPE_NONE;
}

static void add_product(struct sample_sum *s, double a, double b)
{
  s->sum += a * b;
  s->magnitude += fabs(a * b);
  s->taps++;
}

static void add_bias(struct sample_sum *s, double factor, double b)
{
  s->sum += factor * b;
  s->magnitude += fabs(factor * b);
}

double sample_operand(const struct sample_problem *p, uint32_t i, const int64_t *idx)
{
  const struct gie_desc *d = &p->in[i];
  int64_t at = 0;
  for (int a = 0; a < d->rank; a++)
    if (d->dim[a] > 1)
      at += idx[p->out->rank - d->rank + a] * d->stride[a];
  return element(p, i, at);
}

/* ---- Convolutions */

struct geometry {
  struct gie_window win;
  int64_t c_per, k_per; /* channels of x and of the result per group */
};

static bool read_geometry(const struct sample_problem *p, bool transposed, struct geometry *g)
{
  const char *why;
  int64_t group = gie_node_int(p->node, "group");
  group = group < 1 ? 1 : group;
  g->c_per = p->in[0].dim[1] / group;
  g->k_per = p->out->dim[1] / group;
  return (transposed ? gie_window_read_transpose : gie_window_read)(p->node, p->in[0].rank - 2,
                                                                    p->in[0].dim + 2, p->in[1].dim + 2,
                                                                    &g->win, &why);
}

/* Where tap f[] of output idx[] reads x; false: in the padding, or (transposed) not at all. */
static bool tap_at(const struct gie_window *w, const int64_t *o, const int64_t *f, bool transposed,
                   const int64_t *stride, int64_t *at)
{
  *at = 0;
  for (int i = 0; i < w->n; i++) {
    int64_t x = transposed ? o[i] + w->pad_begin[i] - f[i] * w->dilation[i]
                           : o[i] * w->stride[i] - w->pad_begin[i] + f[i] * w->dilation[i];
    if (x < 0 || (transposed && x % w->stride[i]))
      return false;
    x = transposed ? x / w->stride[i] : x;
    if (x >= w->in[i])
      return false;
    *at += x * stride[i];
  }
  return true;
}

static bool next_tap(const struct gie_window *w, int64_t *f)
{
  for (int i = w->n - 1; i >= 0; i--) {
    if (++f[i] < w->kernel[i])
      return true;
    f[i] = 0;
  }
  return false;
}

static struct sample_sum conv_at(const struct sample_problem *p, const int64_t *idx, bool transposed)
{
  const struct gie_desc *x = &p->in[0], *w = &p->in[1];
  struct sample_sum s = {0, 0, 0};
  struct geometry g;
  int64_t f[GIE_MAX_SPATIAL] = {0}, at;
  if (!read_geometry(p, transposed, &g) || g.k_per == 0)
    return s;
  int64_t first = idx[1] / g.k_per * g.c_per; /* of the group's channels */
  do {
    int64_t w_at = 0;
    if (!tap_at(&g.win, idx + 2, f, transposed, x->stride + 2, &at))
      continue;
    for (int i = 0; i < g.win.n; i++)
      w_at += f[i] * w->stride[2 + i];
    at += idx[0] * x->stride[0] + first * x->stride[1];
    w_at += transposed ? first * w->stride[0] + idx[1] % g.k_per * w->stride[1] : idx[1] * w->stride[0];
    for (int64_t c = 0; c < g.c_per; c++)
      add_product(&s, element(p, 0, at + c * x->stride[1]),
                  element(p, 1, w_at + c * w->stride[transposed ? 0 : 1]));
  } while (next_tap(&g.win, f));
  if (has(p, 2))
    add_bias(&s, 1, element(p, 2, idx[1]));
  return s;
}

static struct sample_sum conv_sum(const struct sample_problem *p, const int64_t *idx)
{
  return conv_at(p, idx, false);
}

static struct sample_sum transpose_sum(const struct sample_problem *p, const int64_t *idx)
{
  return conv_at(p, idx, true);
}

/* ---- Matrix products */

static struct sample_sum dot(const struct sample_problem *p, int64_t a, int64_t a_step, int64_t b,
                             int64_t b_step, int64_t n)
{
  struct sample_sum s = {0, 0, 0};
  for (int64_t t = 0; t < n; t++)
    add_product(&s, element(p, 0, a + t * a_step), element(p, 1, b + t * b_step));
  return s;
}

static struct sample_sum gemm_sum(const struct sample_problem *p, const int64_t *idx)
{
  const struct gie_desc *a = &p->in[0], *b = &p->in[1];
  int ta = gie_node_int(p->node, "trans_a") != 0, tb = gie_node_int(p->node, "trans_b") != 0;
  double alpha = gie_node_float(p->node, "alpha");
  struct sample_sum s = dot(p, idx[0] * a->stride[ta], a->stride[1 - ta], idx[1] * b->stride[1 - tb],
                            b->stride[tb], a->dim[1 - ta]);
  s.sum *= alpha;
  s.magnitude *= fabs(alpha);
  if (has(p, 2))
    add_bias(&s, gie_node_float(p->node, "beta"), sample_operand(p, 2, idx));
  return s;
}

/* Offset of the matrix of a (or b) that output idx[] needs; `kept` axes of the result follow the batch. */
static int64_t batch_offset(const struct gie_desc *d, const int64_t *idx, int batch_axes)
{
  int64_t at = 0;
  for (int i = 0; i < d->rank - 2; i++)
    if (d->dim[i] > 1)
      at += idx[batch_axes - (d->rank - 2) + i] * d->stride[i];
  return at;
}

static struct sample_sum matmul_sum(const struct sample_problem *p, const int64_t *idx)
{
  const struct gie_desc *a = &p->in[0], *b = &p->in[1];
  int batch = (a->rank > b->rank ? a->rank : b->rank) - 2, next;
  batch = batch < 0 ? 0 : batch;
  next = batch; /* the axis of the result that is not looked at yet */
  int64_t a_at = batch_offset(a, idx, batch), b_at = batch_offset(b, idx, batch);
  if (a->rank > 1)
    a_at += idx[next++] * a->stride[a->rank - 2];
  if (b->rank > 1)
    b_at += idx[next] * b->stride[b->rank - 1];
  struct sample_sum s = dot(p, a_at, a->stride[a->rank - 1], b_at, b->stride[b->rank > 1 ? b->rank - 2 : 0],
                            a->dim[a->rank - 1]);
  if (has(p, 2))
    add_bias(&s, 1, sample_operand(p, 2, idx));
  return s;
}

/* ---- By op */

static const struct sum_fn {
  const char *op;
  struct sample_sum (*fn)(const struct sample_problem *p, const int64_t *idx);
} SUMS[] = {{"conv", conv_sum},
            {"conv_transpose", transpose_sum},
            {"gemm", gemm_sum},
            {"matmul", matmul_sum}};

static const struct sum_fn *find(const struct gie_node *n)
{
  for (size_t i = 0; i < sizeof SUMS / sizeof *SUMS; i++)
    if (strcmp(SUMS[i].op, n->op->name) == 0)
      return &SUMS[i];
  return NULL;
}

bool sample_has_sum(const struct gie_node *n) { return find(n) != NULL; }

struct sample_sum sample_sum_at(const struct sample_problem *p, const int64_t *idx)
{
  return find(p->node)->fn(p, idx);
}
