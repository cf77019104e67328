/* SPDX-License-Identifier: Apache-2.0 */
/* Problems of the engine as tiled convolutions: extents, strides, weights (conv_form.h). A matrix product is a
 * convolution of one tap, its rows are images of one pixel. */
#include "backends/cuda/common.h"
#include "backends/cuda/conv_form.h"

#include <gie/window.h>

#define MAX_EXTENT (1 << 28) /* of anything: sums of a few stay inside int */

static bool small(int64_t v) { return v >= 0 && v <= MAX_EXTENT; }

/* Window and weights of a convolution; a static text when it is none of ours. */
static const char *read_conv(const struct gie_problem *p, struct gie_window *win, struct conv_form *f)
{
  const struct gie_desc *x = &p->in[0], *w = &p->in[1], *y = &p->out[0];
  const char *why = NULL;
  int64_t groups = gie_node_int(p->node, "group");
  if (x->rank < 3 || x->rank > 4 || w->rank != x->rank || y->rank != x->rank)
    return "not one or two spatial axes";
  if (groups < 1 || groups > 65535 || x->dim[1] % groups || y->dim[1] % groups || w->dim[0] != y->dim[1] ||
      w->dim[1] != x->dim[1] / groups)
    return "channels that do not fit";
  if (!gie_window_read(p->node, x->rank - 2, x->dim + 2, w->dim + 2, win, &why))
    return why;
  for (int i = 0; i < win->n; i++)
    if (win->out[i] != y->dim[2 + i] || !small(win->in[i]) || !small(win->pad_begin[i]) ||
        !small(win->stride[i]) || !small(win->out[i] * win->stride[i]) || !small(gie_window_span(win, i)))
      return "a window that is too large";
  f->groups = (int)groups;
  f->weights.groups = groups;
  f->weights.n = w->dim[0] / groups;
  f->weights.c = w->dim[1];
  f->weights.r = w->rank == 4 ? w->dim[2] : 1;
  f->weights.s = w->dim[w->rank - 1];
  f->weights.stride_s = 1;
  f->weights.stride_r = f->weights.s;
  f->weights.stride_c = f->weights.r * f->weights.s;
  f->weights.stride_n = f->weights.c * f->weights.stride_c;
  return NULL;
}

/* Extents and strides of a convolution; rows of a one-dimensional one are images of one row. */
static bool fill_conv(const struct gie_problem *p, const struct gie_window *win, struct conv_form *f)
{
  const struct gie_desc *x = &p->in[0], *y = &p->out[0];
  struct conv_args *a = &f->args;
  struct gie_cuda_tensor t;
  bool flat = win->n == 1;
  int j = win->n - 1;
  if (!gie_cuda_tensor_make(y, y, 1, &t) || x->layout.block > 1)
    return false;
  a->x_n = x->stride[0];
  int64_t x_c = x->stride[1], x_h = flat ? 0 : x->stride[2], x_w = x->stride[1 + win->n];
  int64_t farthest = (flat ? 0 : gie_window_span(win, 0) * x_h) + gie_window_span(win, j) * x_w +
                     x->dim[1] * x_c;
  if (x_c > INT32_MAX || x_h > INT32_MAX || x_w > INT32_MAX || farthest > INT32_MAX)
    return false;
  a->x_c = (int32_t)x_c, a->x_h = (int32_t)x_h, a->x_w = (int32_t)x_w;
  a->y_n = t.stride_n, a->y_p = t.stride_p, a->y_c = t.stride_c;
  a->h = flat ? 1 : (int32_t)win->in[0];
  a->w_extent = (int32_t)win->in[j];
  a->stride_h = flat ? 1 : (int32_t)win->stride[0], a->stride_w = (int32_t)win->stride[j];
  a->dilation_h = flat ? 1 : (int32_t)win->dilation[0], a->dilation_w = (int32_t)win->dilation[j];
  a->pad_h = flat ? 0 : (int32_t)win->pad_begin[0], a->pad_w = (int32_t)win->pad_begin[j];
  int64_t rows = flat ? 1 : win->out[0], m;
  if (__builtin_mul_overflow(x->dim[0] * rows, win->out[j], &m) || m > MAX_EXTENT)
    return false;
  a->m = (int32_t)m;
  a->by_q = conv_div_make((uint32_t)(win->out[j] > 0 ? win->out[j] : 1));
  a->by_pixels = conv_div_make((uint32_t)(m > 0 ? rows * win->out[j] : 1));
  return true;
}

/* Weights of a matrix product: B as [columns][taps]. */
static const char *read_product(const struct gie_problem *p, struct conv_form *f)
{
  const struct gie_desc *a = &p->in[0], *b = &p->in[1], *y = &p->out[0];
  bool gemm = strcmp(p->node->op->name, "gemm") == 0, flip = gemm && gie_node_int(p->node, "trans_b");
  if (a->rank < 2 || b->rank != 2 || y->rank != a->rank)
    return "B is no matrix, or A a vector";
  if (gemm && (gie_node_float(p->node, "alpha") != 1 || gie_node_int(p->node, "trans_a") ||
               (conv_has_operand(p, 2) && gie_node_float(p->node, "beta") != 1)))
    return "alpha, beta or trans_a";
  f->groups = 1;
  f->weights.groups = f->weights.r = f->weights.s = 1;
  f->weights.n = b->dim[flip ? 0 : 1];
  f->weights.c = b->dim[flip ? 1 : 0];
  f->weights.stride_n = flip ? f->weights.c : 1;
  f->weights.stride_c = flip ? 1 : f->weights.n;
  if (f->weights.c != a->dim[a->rank - 1] || f->weights.n != y->dim[y->rank - 1])
    return "operands that do not fit";
  return NULL;
}

/* Rows are images of one pixel. */
static bool fill_product(const struct gie_problem *p, struct conv_form *f)
{
  const struct gie_desc *x = &p->in[0], *y = &p->out[0];
  struct conv_args *a = &f->args;
  struct gie_cuda_tensor from, to;
  if (!gie_cuda_tensor_make(x, x, x->rank - 1, &from) || !gie_cuda_tensor_make(y, y, y->rank - 1, &to) ||
      from.n > MAX_EXTENT || from.stride_c > INT32_MAX || from.stride_c * x->dim[x->rank - 1] > INT32_MAX)
    return false;
  a->x_n = from.stride_n;
  a->x_c = (int32_t)from.stride_c;
  a->y_n = to.stride_n, a->y_c = to.stride_c;
  a->h = a->w_extent = a->stride_h = a->stride_w = a->dilation_h = a->dilation_w = 1;
  a->m = (int32_t)from.n;
  a->by_q = a->by_pixels = conv_div_make(1);
  return true;
}

const char *conv_read_form(const struct gie_problem *p, struct conv_form *f)
{
  struct gie_window win;
  memset(f, 0, sizeof *f);
  const char *why = conv_is_conv(p) ? read_conv(p, &win, f) : read_product(p, f);
  if (why)
    return why;
  if (!small(f->weights.c * f->weights.groups) || !small(f->weights.n) ||
      !small(f->weights.r * f->weights.s) || !small(f->weights.n * f->weights.groups) || f->weights.c == 0 ||
      p->in[0].dim[0] > MAX_EXTENT ||
      (double)f->weights.c * (double)(f->weights.r * f->weights.s) > MAX_EXTENT)
    return "no taps or too many";
  if (!(conv_is_conv(p) ? fill_conv(p, &win, f) : fill_product(p, f)))
    return "a form that is too large or has gaps between pixels";
  f->args.c = (int32_t)f->weights.c;
  f->args.n = (int32_t)f->weights.n;
  f->args.r = (int32_t)f->weights.r;
  f->args.images = (int32_t)(conv_is_conv(p) ? p->in[0].dim[0] : f->args.m);
  f->args.blocks = (int32_t)((f->weights.n + 7) / 8);
  return NULL;
}
