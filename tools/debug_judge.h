/* SPDX-License-Identifier: Apache-2.0 */
/* How far a tensor is from its reference, and where NaN and Inf come from. */
#ifndef GIE_TOOLS_DEBUG_JUDGE_H
#define GIE_TOOLS_DEBUG_JUDGE_H

#include "tools/tensor.h"

enum { FOUND_NAN = 1, FOUND_INF = 2 };

struct judgement {
  bool same, same_shape;
  double tolerance, max_abs, max_rel; /* max|a-b|, and that over max|b| */
  double cosine;                      /* of a and b as vectors; 1 when both are zero */
};
/* How exact each value of g can be, by id: the coarsest tolerance by type (compare_rtol()) of all floats that it is
 * computed from, its own included. A result in f32 of what was rounded to f16 is no more exact than f16. gie_free. */
gie_status judge_exactness(const struct gie_graph *g, double **out);

/* max|a-b| <= rtol * max|b|; NaN: by type. Elements that are NaN or the same infinity on both sides are equal;
 * one that is finite on one side only is an infinite error. */
struct judgement judge_tensors(const struct gie_tensor *a, const struct gie_tensor *b, double rtol);
/* FOUND_NAN | FOUND_INF of what is in the tensor. */
unsigned judge_scan(const struct gie_tensor *x);

#endif
