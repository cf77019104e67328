/* SPDX-License-Identifier: Apache-2.0 */
/* Pools over windows and over everything; LRN; softmax. */
#include "backends/onednn/onednn.h"

#include <gie/window.h>

/* ---- Pools */

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
  int64_t room = w->in[i] + w->pad_begin[i] + w->pad_end[i] - gie_window_span(w, i);
  if (room / w->stride[i] + 1 == w->out[i])
    return w->pad_end[i];
  return (w->out[i] - 1) * w->stride[i] + gie_window_span(w, i) - w->in[i] - w->pad_begin[i];
}

static bool pool_check(const struct gie_problem *p, char *why, size_t size)
{
  struct gie_window w;
  const char *reason;
  if (p->in[0].rank < 3 || p->in[0].rank > 5 || p->out[0].rank != p->in[0].rank)
    return od_refuse(why, size, "%d spatial axes; it has kernels for 1 to 3", p->in[0].rank - 2);
  if (is_global(p))
    return true;
  if (!read_window(p, &w, &reason))
    return od_refuse(why, size, "%s", reason);
  if (od_is_large(w.n, w.stride) || od_is_large(w.n, w.dilation) || od_is_large(w.n, w.kernel) ||
      od_is_large(w.n, w.pad_begin) || od_is_large(w.n, w.pad_end))
    return od_refuse(why, size, "a window above 2^28");
  for (int i = 0; i < w.n; i++) {
    if (w.out[i] != p->out[0].dim[2 + i])
      return od_refuse(why, size, "the result's axis %d does not fit the window", 2 + i);
    if (is_average(p) && gie_node_int(p->node, "count_include_pad") && exact_pad_end(&w, i) > w.pad_end[i])
      return od_refuse(why, size, "ceil_mode with count_include_pad counts beyond the pad");
  }
  return true;
}

static bool pool_geometry(const struct gie_problem *p, struct od_geometry *g)
{
  struct gie_window w;
  const char *why;
  memset(g, 0, sizeof *g);
  for (int i = 0; is_global(p) && i < p->in[0].rank - 2; i++) {
    g->kernel[i] = p->in[0].dim[2 + i];
    g->stride[i] = g->dilation[i] = 1;
  }
  if (is_global(p))
    return true;
  if (!read_window(p, &w, &why))
    return false;
  for (int i = 0; i < w.n; i++) {
    g->kernel[i] = w.kernel[i];
    g->stride[i] = w.stride[i];
    g->dilation[i] = w.dilation[i];
    g->pad_begin[i] = w.pad_begin[i];
    g->pad_end[i] = exact_pad_end(&w, i);
  }
  return true;
}

/* Binds the one operand and the result; false when oneDNN has no word for one of them. */
static bool bind_unary(struct od_build *b, od_mdp *src, od_mdp *dst)
{
  od_bind(b, DNNL_ARG_SRC, 0);
  od_bind(b, DNNL_ARG_DST, OD_OUT);
  *src = od_use(b, &b->in[0]);
  *dst = od_use(b, &b->out[0]);
  return *src && *dst && od_steps(b) == dnnl_success;
}

static dnnl_status_t pool_make(struct od_build *b)
{
  struct od_geometry g;
  od_mdp src, dst;
  dnnl_alg_kind_t alg = !is_average(b->p)                               ? dnnl_pooling_max
                        : gie_node_int(b->p->node, "count_include_pad") ? dnnl_pooling_avg_include_padding
                                                                        : dnnl_pooling_avg_exclude_padding;
  if (!pool_geometry(b->p, &g) || !bind_unary(b, &src, &dst))
    return dnnl_unimplemented;
  return od_pd_pool(&b->pd, alg, src, dst, &g, b->attr);
}

const struct od_op od_op_pool = {.shape = OD_WINDOW, .check = pool_check, .make = pool_make};

/* ---- LRN */

static bool lrn_check(const struct gie_problem *p, char *why, size_t size)
{
  if (gie_node_int(p->node, "size") % 2 == 0) /* which neighbour is left out differs */
    return od_refuse(why, size, "an even number of channels");
  return true;
}

static dnnl_status_t lrn_make(struct od_build *b)
{
  const struct gie_node *n = b->p->node;
  od_mdp src, dst;
  if (!bind_unary(b, &src, &dst))
    return dnnl_unimplemented;
  return od_pd_lrn(&b->pd, src, dst, gie_node_int(n, "size"), (float)gie_node_float(n, "alpha"),
                   (float)gie_node_float(n, "beta"), (float)gie_node_float(n, "bias"), b->attr);
}

const struct od_op od_op_lrn = {.shape = OD_POINTWISE, .check = lrn_check, .make = lrn_make};

/* ---- softmax, log_softmax */

static bool softmax_check(const struct gie_problem *p, char *why, size_t size)
{
  if (p->in[0].rank < 1)
    return od_refuse(why, size, "a scalar");
  return true;
}

static dnnl_status_t softmax_make(struct od_build *b)
{
  int64_t axis = gie_node_int(b->p->node, "axis");
  od_mdp src, dst;
  axis += axis < 0 ? b->in[0].rank : 0;
  if (!bind_unary(b, &src, &dst))
    return dnnl_unimplemented;
  return od_pd_softmax(&b->pd, strcmp(b->p->node->op->name, "log_softmax") == 0, src, dst, (int)axis,
                       b->attr);
}

const struct od_op od_op_softmax = {.shape = OD_POINTWISE,
                                    .check = softmax_check,
                                    .make = softmax_make,
                                    .over_first = true};
