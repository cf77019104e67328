/* SPDX-License-Identifier: Apache-2.0 */
/* Pools over windows and over everything, as cuDNN's resampling. */
#include "backends/cudnn/cn.h"

#include <gie/window.h>

static bool is_average(const struct gie_problem *p) { return strstr(p->node->op->name, "average") != NULL; }

static bool is_global(const struct gie_problem *p) { return strncmp(p->node->op->name, "global_", 7) == 0; }

static bool read_window(const struct gie_problem *p, struct gie_window *w, const char **why)
{
  int64_t kernel[GIE_MAX_SPATIAL];
  gie_node_ints(p->node, "kernel", kernel, GIE_MAX_SPATIAL, 1);
  return gie_window_read(p->node, p->in[0].rank - 2, p->in[0].dim + 2, kernel, w, why);
}

/* End pad with which the windows add up: with ceil_mode it may be more than the attribute's. */
static int64_t exact_pad_end(const struct gie_window *w, int i)
{
  int64_t pad = (w->out[i] - 1) * w->stride[i] + gie_window_span(w, i) - w->in[i] - w->pad_begin[i];
  return pad > w->pad_end[i] ? pad : w->pad_end[i];
}

static bool pool_check(const struct gie_problem *p, char *why, size_t size)
{
  struct gie_window w;
  const char *reason;
  if (p->in[0].rank < 3 || p->in[0].rank > 5 || p->out[0].rank != p->in[0].rank)
    return cn_refuse(why, size, "%d spatial axes; it has kernels for 1 to 3", p->in[0].rank - 2);
  if (is_global(p))
    return true;
  if (!read_window(p, &w, &reason))
    return cn_refuse(why, size, "%s", reason);
  for (int i = 0; i < w.n; i++) {
    if (w.dilation[i] != 1)
      return cn_refuse(why, size, "a dilated window");
    if (w.out[i] != p->out[0].dim[2 + i])
      return cn_refuse(why, size, "the result's axis %d does not fit the window", 2 + i);
    if (is_average(p) && gie_node_int(p->node, "count_include_pad") && exact_pad_end(&w, i) > w.pad_end[i])
      return cn_refuse(why, size, "ceil_mode with count_include_pad counts beyond the pad");
  }
  return true;
}

static bool pool_describe(struct cn_case *c)
{
  const struct gie_problem *p = c->p;
  struct gie_window w = {.n = p->in[0].rank - 2};
  const char *why;
  for (int i = 0; i < w.n && is_global(p); i++) {
    w.kernel[i] = p->in[0].dim[2 + i];
    w.stride[i] = w.dilation[i] = w.out[i] = 1;
    w.in[i] = w.kernel[i];
  }
  if (!is_global(p) && !read_window(p, &w, &why))
    return false;
  for (int i = 0; i < w.n; i++)
    w.pad_end[i] = exact_pad_end(&w, i);
  cn_window_of(&w, &c->window);
  c->mode = !is_average(p)                               ? CUDNN_RESAMPLE_MAXPOOL
            : gie_node_int(p->node, "count_include_pad") ? CUDNN_RESAMPLE_AVGPOOL_INCLUDE_PADDING
                                                         : CUDNN_RESAMPLE_AVGPOOL_EXCLUDE_PADDING;
  return cn_tensor_of(c, &p->in[0], &c->in[0]) && cn_tensor_of(c, &p->out[0], &c->out);
}

static void pool_begin(struct cn_flow *f)
{
  cn_desc x = f->g ? cn_real(f->g, &f->c->in[0], 0) : NULL, y = cn_flow_result(f);
  if (f->g)
    cn_resample(f->g, &f->c->window, (cudnnResampleMode_t)f->c->mode, x, y);
  cn_steps(f, 0);
}

/* The compiled engine writes whole vectors of channels, also where the result ends before. */
const struct cn_op cn_op_pool = {.check = pool_check,
                                 .describe = pool_describe,
                                 .begin = pool_begin,
                                 .precompiled = true};
