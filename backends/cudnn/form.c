/* SPDX-License-Identifier: Apache-2.0 */
/* Problems as cuDNN sees them: types, layouts, strides, and keys of these. */
#include "backends/cudnn/cn.h"

#include <stdarg.h>
#include <stdio.h>

bool cn_refuse(char *why, size_t size, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(why, size, fmt, ap);
  va_end(ap);
  return false;
}

bool cn_type(enum gie_dtype t, cudnnDataType_t *out)
{
  static const cudnnDataType_t types[GIE_DTYPE_COUNT] = {
      [GIE_F32] = CUDNN_DATA_FLOAT, [GIE_F16] = CUDNN_DATA_HALF, [GIE_BF16] = CUDNN_DATA_BFLOAT16};
  *out = types[t];
  return t == GIE_F32 || t == GIE_F16 || t == GIE_BF16;
}

/* ---- Layouts */

struct gie_layout cn_layout(uint32_t form, int rank)
{
  struct gie_layout l = {0};
  if (!(form & CN_LAST))
    return l;
  l.rank = (uint8_t)rank;
  for (int i = 1; i < rank; i++)
    l.perm[i] = (uint8_t)(i == rank - 1 ? 1 : i + 1);
  return l;
}

struct gie_layout cn_layout_of_first(uint32_t form, int rank)
{
  struct gie_layout l = cn_layout(form, rank);
  if (!(form & CN_BLOCK))
    return l;
  for (int i = 0; i < rank; i++)
    l.perm[i] = (uint8_t)i;
  l.block = CN_CHANNELS;
  l.block_axis = 1;
  return l;
}

/* The axis at place i, from the innermost on. */
static int inner_axis(const struct cn_tensor *t, uint32_t form, int i)
{
  int rank = t->rank;
  if (i == rank - 1)
    return 0;
  return form & CN_LAST ? (i == 0 ? 1 : rank - i) : rank - 1 - i;
}

/* Extents were checked when the problem's descriptors were made; all strides are below the tensor's size. */
static void make_dense(struct cn_tensor *t, uint32_t form)
{
  int64_t stride = 1;
  for (int i = 0; i < t->rank; i++) {
    int axis = inner_axis(t, form, i);
    t->stride[axis] = stride;
    stride *= t->dim[axis];
  }
}

void cn_tidy(struct cn_tensor *t, uint32_t form)
{
  int64_t stride = 1;
  for (int i = 0; i < t->rank; i++) {
    int axis = inner_axis(t, form, i);
    if (t->dim[axis] == 1)
      t->stride[axis] = stride;
    stride = t->stride[axis] * t->dim[axis];
  }
}

/* ---- Tensors */

bool cn_tensor_of(const struct cn_case *c, const struct gie_desc *d, struct cn_tensor *out)
{
  int rank = c->p->out[0].rank, lead = rank - d->rank, extra = rank == 3;
  if (lead < 0 || rank + extra > CN_MAX_RANK || d->layout.block > 1 || !cn_type(d->dtype, &out->type))
    return false;
  if ((c->form & CN_HALF) && d->dtype == GIE_F32)
    out->type = CUDNN_DATA_HALF;
  out->rank = rank + extra;
  for (int i = 0; i < rank; i++) {
    int to = extra && i == 2 ? 3 : i; /* one spatial axis is the second of two */
    out->dim[to] = i < lead ? 1 : d->dim[i - lead];
    out->stride[to] = i < lead ? 1 : d->stride[i - lead];
    if (out->dim[to] < 1 || out->dim[to] > INT32_MAX)
      return false;
  }
  if (extra)
    out->dim[2] = 1;
  if (c->dense && lead == 0)
    make_dense(out, c->form);
  else
    cn_tidy(out, c->form);
  return true;
}

void cn_window_of(const struct gie_window *w, struct cn_window *out)
{
  int at = w->n == 1; /* one spatial axis is the second of two */
  out->n = w->n + at;
  out->kernel[0] = out->stride[0] = out->dilation[0] = 1;
  out->pad_begin[0] = out->pad_end[0] = 0;
  for (int i = 0; i < w->n; i++) {
    out->kernel[at + i] = w->kernel[i];
    out->stride[at + i] = w->stride[i];
    out->dilation[at + i] = w->dilation[i];
    out->pad_begin[at + i] = w->pad_begin[i];
    out->pad_end[at + i] = w->pad_end[i];
  }
}

static bool operands_of_steps(struct cn_case *c)
{
  const struct gie_problem *p = c->p;
  for (uint32_t i = 0; i < p->node->n_steps; i++) {
    int32_t operand = p->node->steps[i].operand;
    if (operand >= 0 && !cn_tensor_of(c, &p->in[operand], &c->in[operand]))
      return false;
  }
  return true;
}

bool cn_has_bias(const struct gie_problem *p) { return p->node->n_operands > 2 && p->in[2].dtype; }

bool cn_needs_zeros(const struct gie_problem *p)
{
  return !cn_has_bias(p) && p->node->n_steps > 0 && strcmp(p->node->op->name, "conv") == 0 &&
         (uint64_t)p->out[0].dim[1] <= CN_ZEROS_BYTES / sizeof(float);
}

bool cn_first_is_residual(const struct gie_problem *p)
{
  const struct gie_node *n = p->node;
  if ((!cn_has_bias(p) && !cn_needs_zeros(p)) || n->n_steps == 0 || n->steps[0].operand < 0 ||
      strcmp(n->steps[0].op->name, "add") != 0)
    return false;
  const struct gie_desc *d = &p->in[n->steps[0].operand];
  return d->rank == p->out[0].rank && memcmp(d->dim, p->out[0].dim, (size_t)d->rank * sizeof d->dim[0]) == 0;
}

bool cn_may_block(const struct gie_problem *p)
{
  return p->in[0].dim[1] < CN_CHANNELS && p->in[1].dim[1] == p->in[0].dim[1] && p->in_data[1];
}

/* A form may come from a plan. */
static bool form_fits(const struct gie_problem *p, const struct cn_op *op, uint32_t form, bool dense)
{
  enum gie_dtype t = p->in[0].dtype;
  if (form & ~(uint32_t)(CN_LAST | CN_HALF | CN_RESIDUAL | CN_BLOCK))
    return false;
  if ((form & CN_HALF) ? t != GIE_F16 && !(dense && t == GIE_F32) : t == GIE_F16)
    return false;
  if ((form & CN_BLOCK) && (!(form & CN_LAST) || !(op->forms & CN_BLOCK) || !cn_may_block(p)))
    return false;
  return !(form & CN_RESIDUAL) || ((op->forms & CN_RESIDUAL) && cn_first_is_residual(p));
}

bool cn_case_init(struct cn_case *c, const struct gie_problem *p, const struct cn_op *op, uint32_t form,
                  bool dense)
{
  memset(c, 0, sizeof *c);
  c->p = p;
  c->op = op;
  c->form = form;
  c->dense = dense;
  return p->n_in <= GIE_MAX_IO && form_fits(p, op, form, dense) && op->describe(c) && operands_of_steps(c);
}

/* ---- Keys */

struct text {
  char *at;
  size_t left;
  bool full;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(t->at, t->left, fmt, ap);
  va_end(ap);
  if (n < 0 || (size_t)n >= t->left) {
    t->full = true;
    return;
  }
  t->at += n;
  t->left -= (size_t)n;
}

static void add_tensor(struct text *t, const char *what, const struct cn_tensor *x)
{
  if (x->rank == 0)
    return;
  add(t, " %s%d", what, (int)x->type);
  for (int i = 0; i < x->rank; i++)
    add(t, ",%lld:%lld", (long long)x->dim[i], (long long)x->stride[i]);
}

static void add_step(struct text *t, const struct cn_case *c, const struct gie_step *s)
{
  add(t, "|%s%s", s->op->name, s->reverse ? "!" : "");
  for (uint32_t i = 0; i < s->attrs.n; i++) {
    const struct gie_attr *a = &s->attrs.v[i];
    if (a->kind == GIE_ATTR_FLOAT)
      add(t, " %s=%a", a->name, a->u.f);
    else if (a->kind == GIE_ATTR_INT)
      add(t, " %s=%lld", a->name, (long long)a->u.i);
  }
  if (s->operand >= 0)
    add_tensor(t, "", &c->in[s->operand]);
}

bool cn_case_key(const struct cn_case *c, char *buf, size_t size)
{
  struct text t = {buf, size, false};
  const struct gie_node *n = c->p->node;
  add(&t, "%s %u %d", n->op->name, (unsigned)c->form, c->mode);
  for (int i = 0; i < c->window.n; i++)
    add(&t, " %lld,%lld,%lld,%lld,%lld", (long long)c->window.kernel[i], (long long)c->window.stride[i],
        (long long)c->window.dilation[i], (long long)c->window.pad_begin[i], (long long)c->window.pad_end[i]);
  for (uint32_t i = 0; i < n->n_operands; i++)
    add_tensor(&t, "x", &c->in[i]);
  add_tensor(&t, c->zeros ? "0" : "b", &c->bias);
  add_tensor(&t, "y", &c->out);
  for (uint32_t i = 0; i < n->n_steps; i++)
    add_step(&t, c, &n->steps[i]);
  return !t.full;
}
