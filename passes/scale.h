/* SPDX-License-Identifier: Apache-2.0 */
/* y = scale*x + shift per channel behind a product with constant weights goes into the weights:
 * what fuse_bn_into_conv and fuse_mul_into_conv share.
 *
 *     w' = w * scale, b' = b * scale + shift, in f64, rounded once
 *
 * For conv, conv_transpose, gemm and matmul by a matrix, whose columns are the channels; a gemm's
 * beta goes into b'. The old constants stay for whoever else reads them; weights whose bytes nobody else has are
 * scaled where they are. */
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

/* A constant of floats in plain order, or NULL. */
const struct gie_value *pass_scale_constant(const struct gie_graph *g, gie_id value);
/* Fills everything but scale and shift. False: no product with constant weights and without epilogue whose result
 * only one node reads, or a result of another type than the product's. */
bool pass_scale_match(struct pass_scale *f, const struct gie_node *n);
/* Calls compute(), which fills scale and shift or says no, and rewrites. *changed stays when something is
 * not constant, not one number per channel, or does not fit the dtype. */
gie_status pass_scale_fold(struct pass_scale *f, bool (*compute)(struct pass_scale *f), bool *changed);

#endif
