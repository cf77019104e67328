/* SPDX-License-Identifier: Apache-2.0 */
/* y = scale*x + shift per channel behind a product with constant weights goes into the weights:
 * what fuse_bn_into_conv and fuse_mul_into_conv share.
 *
 *     w' = w * scale, b' = b * scale + shift, in f64, rounded once
 *
 * For conv, conv_transpose, gemm and matmul by a matrix, whose columns are the channels; a gemm's
 * beta goes into b'. The old constants stay for whoever else reads them; weights whose bytes nobody else has are
 * scaled where they are.
 *
 * Products that become subnormal or 0 lose bits that the arithmetic left alone keeps. Fusing may cost no more
 * than the dtype has cost the weights: in terms of the weights, w' / scale, the errors of a channel's inexact
 * products below the smallest normal number, together, are at most those of rounding the channel's weights
 * to the dtype. So a few products may vanish beside large ones, subnormal weights may grow, and a channel that
 * vanishes as a whole keeps its arithmetic, and with it all of the node. */
#ifndef GIE_PASSES_SCALE_H
#define GIE_PASSES_SCALE_H

#include "passes/util.h"

struct pass_scale {
  struct gie_graph *g;
  const struct gie_node *node, *reader; /* the product, and the node behind it that goes */
  int channel_axis;                     /* of the result */
  int64_t channels;
  int64_t inner;         /* elements behind the channel axis of the weights */
  int64_t columns;       /* extent of the channel axis of the weights */
  int64_t per_group;     /* elements of one group; the whole if there are no groups */
  double *scale, *shift; /* by channel */
};

/* Bounds of errors as the size of a normal number that is rounded with the same one: by scaling, and by rounding
 * the weights. */
struct pass_scale_error {
  double lost, had;
};

static inline void pass_scale_count(struct pass_scale_error *e, enum gie_dtype t, double w, double scale)
{
  double smallest = pass_smallest(t), size = w < 0 ? -w : w, factor = scale < 0 ? -scale : scale, room;
  if (w == 0 || scale == 0)
    return;
  e->had += size > smallest ? size : smallest;
  if (!(size * factor < smallest))
    return;
  pass_store(t, &room, 0, w * scale);
  if (t == GIE_F64 || w * scale == 0 || pass_load(t, &room, 0) != w * scale)
    e->lost += smallest / factor;
}

/* A constant of floats in plain order, or NULL. */
const struct gie_value *pass_scale_constant(const struct gie_graph *g, gie_id value);
/* Fills everything but scale and shift. False: no product with constant weights and without epilogue whose result
 * only one node reads, or a result of another type than the product's. */
bool pass_scale_match(struct pass_scale *f, const struct gie_node *n);
/* Calls compute(), which fills scale and shift or says no, and rewrites. *changed stays when something is
 * not constant, not one number per channel, does not fit the dtype or loses more there than the weights had. */
gie_status pass_scale_fold(struct pass_scale *f, bool (*compute)(struct pass_scale *f), bool *changed);

#endif
