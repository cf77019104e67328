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
 * Products that become subnormal or 0 lose bits that the arithmetic left alone keeps: each at most what rounding costs the
 * smallest normal number. Together that may be no more than what rounding costs all other products. So products, and
 * channels that training has left dead, may vanish beside ordinary ones, subnormal weights may grow, and weights that would
 * vanish as a whole keep their arithmetic. */
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

/* Bounds of the products' errors as the size of a normal number that is rounded with the same one: of those below the
 * smallest one, and of the others. */
struct pass_scale_error {
  double lost, had;
};

static inline void pass_scale_count(struct pass_scale_error *e, enum gie_dtype t, double w, double scale)
{
  double smallest = pass_smallest(t), product = w * scale, size = product < 0 ? -product : product, room;
  if (w == 0 || scale == 0)
    return;
  if (!(size < smallest)) {
    e->had += size;
    return;
  }
  if (-smallest < w && w < smallest) /* rounded like that already */
    e->had += smallest * (scale < 0 ? -scale : scale);
  pass_store(t, &room, 0, product);
  if (t == GIE_F64 || product == 0 || pass_load(t, &room, 0) != product)
    e->lost += smallest;
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
