/* SPDX-License-Identifier: Apache-2.0 */
/* Resize, where oneDNN's resampling is the same function: it puts result o at (o + 0.5)*in/out - 0.5 of the
 * source, rounds halves away from zero (nearest) or holds the edges (linear). */
#include "backends/onednn/onednn.h"

/* The scales in use are out/in: they are not given, or they are just that. */
static bool scales_exact(const struct gie_problem *p)
{
  double scale[GIE_MAX_RANK];
  uint32_t n = 0;
  const struct gie_node *node = p->node;
  if (node->n_operands < 3 || node->in[2] == GIE_NONE || gie_desc_count(&p->in[2]) == 0)
    return true;
  if (!gie_value_floats(p->graph, node->in[2], scale, GIE_MAX_RANK, &n) || n != (uint32_t)p->in[0].rank)
    return false;
  for (int i = 0; i < p->in[0].rank; i++)
    if (scale[i] * (double)p->in[0].dim[i] != (double)p->out[0].dim[i])
      return false;
  return true;
}

/* Nearest: with a whole factor no result lies on a half, so all ways to round agree; and floor(o/factor)
 * is the same element. */
static bool nearest_exact(const struct gie_problem *p)
{
  const char *where = gie_node_string(p->node, "coordinate"), *round = gie_node_string(p->node, "nearest");
  bool half = (strcmp(where, "half_pixel") == 0 || strcmp(where, "pytorch_half_pixel") == 0) &&
              strncmp(round, "round_", 6) == 0;
  bool floored = strcmp(where, "asymmetric") == 0 && strcmp(round, "floor") == 0;
  for (int i = 0; i < p->in[0].rank; i++)
    if (p->out[0].dim[i] % p->in[0].dim[i] || (where[0] == 'p' && p->out[0].dim[i] == 1 && i > 1))
      return false;
  return half || floored;
}

static bool linear_exact(const struct gie_problem *p)
{
  const char *where = gie_node_string(p->node, "coordinate");
  for (int i = 2; i < p->in[0].rank; i++)
    if (where[0] == 'p' && p->out[0].dim[i] == 1)
      return false;
  return strcmp(where, "half_pixel") == 0 || strcmp(where, "pytorch_half_pixel") == 0;
}

static bool resize_check(const struct gie_problem *p, char *why, size_t size)
{
  const struct gie_node *n = p->node;
  const char *mode = gie_node_string(n, "mode");
  if (p->in[0].dtype != GIE_F32 || p->out[0].dtype != GIE_F32)
    return od_refuse(why, size, "%s; it computes in f32", gie_dtype_name(p->in[0].dtype));
  if (p->in[0].rank < 3 || p->in[0].rank > 5 || n->n_steps)
    return od_refuse(why, size, "not 1 to 3 spatial axes, or an epilogue");
  if (p->in[0].dim[0] != p->out[0].dim[0] || p->in[0].dim[1] != p->out[0].dim[1])
    return od_refuse(why, size, "images or channels are resized");
  if (gie_attrs_find(&n->attrs, "axes") || gie_node_int(n, "antialias") ||
      gie_node_int(n, "exclude_outside") || strcmp(gie_node_string(n, "keep_aspect"), "stretch") != 0 ||
      !scales_exact(p))
    return od_refuse(why, size,
                     "axes, antialias, exclude_outside, keep_aspect or scales that are not out/in");
  if (!(strcmp(mode, "nearest") == 0 && nearest_exact(p)) &&
      !(strcmp(mode, "linear") == 0 && linear_exact(p)))
    return od_refuse(why, size, "mode %s at %s is another function there", mode,
                     gie_node_string(n, "coordinate"));
  return true;
}

static dnnl_status_t resize_make(struct od_build *b)
{
  bool nearest = strcmp(gie_node_string(b->p->node, "mode"), "nearest") == 0;
  od_bind(b, DNNL_ARG_SRC, 0);
  od_bind(b, DNNL_ARG_DST, OD_OUT);
  od_mdp src = od_use(b, &b->in[0]), dst = od_use(b, &b->out[0]);
  if (!src || !dst)
    return dnnl_unimplemented;
  return od_pd_resize(&b->pd, nearest ? dnnl_resampling_nearest : dnnl_resampling_linear, src, dst, b->attr);
}

const struct od_op od_op_resize = {.shape = OD_WINDOW, .check = resize_check, .make = resize_make};
