/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution and transposed convolution. */
#include "backends/onednn/onednn.h"

#include <gie/window.h>

/* ---- Geometry */

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

/* oneDNN wants pads that add up exactly; a transposed convolution's output_pad is pad cut off less. */
static void geometry_of(const struct gie_problem *p, const struct gie_window *w, struct od_geometry *g)
{
  memset(g, 0, sizeof *g);
  for (int i = 0; i < w->n; i++) {
    g->stride[i] = w->stride[i];
    g->dilation[i] = w->dilation[i];
    g->pad_begin[i] = w->pad_begin[i];
    g->pad_end[i] = w->pad_end[i];
    if (is_transpose(p))
      g->pad_end[i] = (w->in[i] - 1) * w->stride[i] + gie_window_span(w, i) - w->pad_begin[i] - w->out[i];
  }
}

static bool conv_check(const struct gie_problem *p, char *why, size_t size)
{
  struct gie_window w;
  const char *reason;
  if (p->in[0].rank < 3 || p->in[0].rank > 5 || p->in[1].rank != p->in[0].rank ||
      p->out[0].rank != p->in[0].rank)
    return od_refuse(why, size, "%d spatial axes; it has kernels for 1 to 3", p->in[0].rank - 2);
  if (!read_window(p, &w, &reason))
    return od_refuse(why, size, "%s", reason);
  if (od_is_large(w.n, w.stride) || od_is_large(w.n, w.dilation) || od_is_large(w.n, w.kernel) ||
      od_is_large(w.n, w.pad_begin) || od_is_large(w.n, w.pad_end))
    return od_refuse(why, size, "a window above 2^28");
  for (int i = 0; i < w.n; i++)
    if (w.out[i] != p->out[0].dim[2 + i])
      return od_refuse(why, size, "the result's axis %d does not fit the window", 2 + i);
  if (od_is_empty(&p->in[1]))
    return od_refuse(why, size, "no taps");
  return true;
}

/* ---- Weights as oneDNN orders their axes: [group,] results, channels, kernel */

static bool weights_desc(const struct gie_problem *p, const struct gie_desc *w, struct gie_desc *out)
{
  int64_t group = gie_node_int(p->node, "group");
  bool transpose = is_transpose(p);
  int spatial = w->rank - 2, at = group > 1 ? 1 : 0, of = transpose ? 1 : 0, oc = at, ic = at + 1;
  int64_t outer = w->dim[0]; /* K of a convolution, C of a transposed one */
  if (group < 1 || outer % group)
    return false;
  *out = *w;
  out->rank = w->rank + at;
  out->layout = (struct gie_layout){0};
  if (group > 1) {
    out->dim[0] = group;
    out->stride[0] = outer / group * w->stride[0];
  }
  out->dim[oc] = of == 0 ? outer / group : w->dim[1];
  out->stride[oc] = w->stride[of];
  out->dim[ic] = of == 0 ? w->dim[1] : outer / group;
  out->stride[ic] = w->stride[1 - of];
  for (int i = 0; i < spatial; i++) {
    out->dim[at + 2 + i] = w->dim[2 + i];
    out->stride[at + 2 + i] = w->stride[2 + i];
  }
  return true;
}

static dnnl_status_t conv_make(struct od_build *b)
{
  const struct gie_problem *p = b->p;
  struct gie_window win;
  struct gie_desc w, given = od_weights(b, 1);
  struct od_geometry g;
  const char *why;
  bool has_bias = p->node->n_operands > 2 && b->in[2].dtype, transpose = is_transpose(p);
  /* some deconvolutions add the bias as if the result had no gaps */
  if (transpose && od_has_gaps(&b->out[0]))
    return dnnl_unimplemented;
  if (!read_window(p, &win, &why) || !weights_desc(p, &given, &w))
    return dnnl_invalid_arguments;
  geometry_of(p, &win, &g);
  od_bind(b, DNNL_ARG_SRC, 0);
  od_mdp src = od_use(b, &b->in[0]), weights = od_use_weights(b, 1, &w, DNNL_ARG_WEIGHTS);
  od_mdp bias = has_bias ? od_use(b, &b->in[2]) : NULL, dst = od_use(b, &b->out[0]);
  if (has_bias)
    od_bind(b, DNNL_ARG_BIAS, 2);
  od_bind(b, DNNL_ARG_DST, OD_OUT);
  if (!src || !weights || !dst || (has_bias && !bias))
    return dnnl_unimplemented;
  dnnl_status_t st = od_steps(b);
  if (st != dnnl_success)
    return st;
  return od_pd_conv(&b->pd, transpose, transpose ? dnnl_deconvolution_direct : dnnl_convolution_direct, src,
                    weights, bias, dst, &g, b->attr);
}

const struct od_op od_op_conv = {.shape = OD_WINDOW, .check = conv_check, .make = conv_make};
