/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution, and transposed convolution as the gradient of its operand. */
#include "backends/cudnn/cn.h"

#include <gie/window.h>

static bool is_transpose(const struct gie_problem *p)
{
  return strcmp(p->node->op->name, "conv_transpose") == 0;
}

static bool read_window(const struct gie_problem *p, struct gie_window *w, const char **why)
{
  int n = p->in[0].rank - 2;
  const int64_t *in = p->in[0].dim + 2, *kernel = p->in[1].dim + 2;
  return is_transpose(p) ? gie_window_read_transpose(p->node, n, in, kernel, w, why)
                         : gie_window_read(p->node, n, in, kernel, w, why);
}

static bool conv_check(const struct gie_problem *p, char *why, size_t size)
{
  struct gie_window w;
  const char *reason;
  if (p->in[0].rank < 3 || p->in[0].rank > 5 || p->in[1].rank != p->in[0].rank ||
      p->out[0].rank != p->in[0].rank)
    return cn_refuse(why, size, "%d spatial axes; it has kernels for 1 to 3", p->in[0].rank - 2);
  if (!read_window(p, &w, &reason))
    return cn_refuse(why, size, "%s", reason);
  for (int i = 0; i < w.n; i++)
    if (w.out[i] != p->out[0].dim[2 + i])
      return cn_refuse(why, size, "the result's axis %d does not fit the window", 2 + i);
  if (p->in[1].dtype != p->in[0].dtype || p->out[0].dtype != p->in[0].dtype)
    return cn_refuse(why, size, "weights or result of another element type");
  return true;
}

/* A transposed convolution's output_pad is end pad that is left away. */
static void forward_pads(struct gie_window *w)
{
  for (int i = 0; i < w->n; i++)
    w->pad_end[i] = (w->in[i] - 1) * w->stride[i] + gie_window_span(w, i) - w->pad_begin[i] - w->out[i];
}

/* Operand 0 of channels in one block, and weights for that. */
static bool block_channels(struct cn_case *c)
{
  struct gie_desc x = c->p->in[0], w = c->p->in[1];
  struct gie_layout block = cn_layout_of_first(c->form, x.rank);
  if (!c->dense && (x.layout.block != block.block || x.layout.block_axis != 1 || x.stride[1] < 1))
    return false;
  x.layout = (struct gie_layout){0};
  x.stride[1] = 1;
  x.dim[1] = w.dim[1] = CN_CHANNELS;
  struct cn_case packed = *c;
  packed.dense = true;
  return cn_tensor_of(c, &x, &c->in[0]) && cn_tensor_of(&packed, &w, &c->in[1]);
}

static bool conv_describe(struct cn_case *c)
{
  const struct gie_problem *p = c->p;
  struct gie_window w;
  const char *why;
  if (!read_window(p, &w, &why))
    return false;
  if (is_transpose(p))
    forward_pads(&w);
  cn_window_of(&w, &c->window);
  for (int i = 0; i < c->window.n; i++)
    if (c->window.pad_end[i] < 0)
      return false;
  /* weights that do not change are packed without gaps, whatever their form in the problem */
  struct cn_case packed = *c;
  packed.dense = c->dense || p->in_data[1];
  bool fits = c->form & CN_BLOCK
                  ? block_channels(c)
                  : cn_tensor_of(c, &p->in[0], &c->in[0]) && cn_tensor_of(&packed, &p->in[1], &c->in[1]);
  if (!fits || !cn_tensor_of(c, &p->out[0], &c->out))
    return false;
  c->zeros = cn_needs_zeros(p);
  if (!cn_has_bias(p) && !c->zeros)
    return true;
  struct gie_desc bias = {.dtype = c->zeros ? p->in[0].dtype : p->in[2].dtype,
                          .rank = p->out[0].rank,
                          .dim = {1, 1, 1, 1, 1}};
  bias.dim[1] = p->out[0].dim[1];
  packed.dense = true;
  return cn_tensor_of(&packed, &bias, &c->bias);
}

static void add(struct cn_flow *f, const struct cn_tensor *t, int32_t io)
{
  struct cn_pointwise p = {.mode = CUDNN_POINTWISE_ADD};
  cn_flow_apply(f, &p, f->g ? cn_real(f->g, t, io) : NULL);
}

static void conv_begin(struct cn_flow *f)
{
  const struct cn_case *c = f->c;
  uint32_t first = 0;
  cn_desc x = NULL, w = NULL;
  if (f->g) {
    x = cn_real(f->g, &c->in[0], 0);
    w = cn_real(f->g, &c->in[1], 1);
  }
  cn_desc y = cn_flow_result(f);
  if (f->g && is_transpose(c->p))
    cn_conv(f->g, &c->window, true, y, w, x);
  else if (f->g)
    cn_conv(f->g, &c->window, false, x, w, y);
  if (c->form & CN_RESIDUAL) {
    int32_t residual = c->p->node->steps[first++].operand;
    add(f, &c->in[residual], residual);
  }
  if (c->bias.rank)
    add(f, &c->bias, c->zeros ? CN_ZEROS : 2);
  cn_steps(f, first);
}

const struct cn_op cn_op_conv = {.check = conv_check,
                                 .describe = conv_describe,
                                 .begin = conv_begin,
                                 .weights = true,
                                 .forms = CN_RESIDUAL | CN_BLOCK};
