/* SPDX-License-Identifier: Apache-2.0 */
/* Products of one value on their way to be one: what fuse_sibling_convs puts together. */
#ifndef GIE_PASSES_SIBLINGS_H
#define GIE_PASSES_SIBLINGS_H

#include "passes/util.h"

struct siblings {
  struct gie_graph *g;
  struct gie_context *ctx;
  const struct gie_node *first; /* in the order of the graph */
  gie_id *nodes;
  int64_t *channels;
  uint32_t n;
  int axis;        /* of the weights along which they are put together */
  int result_axis; /* of the results */
  int64_t total;   /* channels */
};

/* The weights of all, stored once, one after the other along the axis. */
gie_status siblings_weights(const struct siblings *w, gie_id *out);
/* The biases, 0 where one is missing. *out stays GIE_NONE when no sibling has a bias. */
gie_status siblings_bias(const struct siblings *w, gie_id *out);
/* Constant `part` of sibling i has become part of constant `whole`: it goes, and whoever else reads it reads a range of
 * the bytes of `whole`, where they lie together. */
gie_status siblings_release(const struct siblings *w, uint32_t i, gie_id part, gie_id whole);
/* Whether the wide product takes no longer than all of them, by the device's roofline. Dims that are not known count
 * as 1. */
bool siblings_pay(const struct siblings *w, const struct gie_peaks *peaks);

#endif
