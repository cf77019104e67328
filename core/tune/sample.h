/* SPDX-License-Identifier: Apache-2.0 */
/* Exact results of some outputs: the check of convolutions and matrix products, whose full reference
 * would take longer than the rest of a build.
 *
 * Which: all of a small result; else about 4,000. Half of them is the cross product of the coordinates
 * where kernels go wrong, per axis: the ends, both sides of the first and last border of tiles of 32, 16
 * and 8, as many per axis as fit. A quarter has random coordinates beside multiples of 8, 16 or 32, the
 * rest is random; of these every eighth is in the last channel and every eighth in the last image.
 *
 * What: double sums of the operands as they were stored, with alpha, beta and bias, through the whole
 * epilogue in double.
 *
 * How exact: a sum of K products may be off by d = 4 sqrt(K) u A, where A is the greatest sum of |a||b| of
 * all samples and u the unit of the accumulator (2^-24; f64: 2^-53). That is the growth of random rounding
 * errors (Higham, Mary 2019) with room for the order of the sum and for truncating multipliers. Factors that may
 * be rounded to TF32 add 4 v A / sqrt(K), at most v A, with v = 2^-10 for both. An output
 * may be off by what the epilogue makes of sums d apart, by 4u of itself per step, and by two roundings to
 * its dtype. A variant that states an error e may be off by e times the greatest output. */
#ifndef GIE_CORE_TUNE_SAMPLE_H
#define GIE_CORE_TUNE_SAMPLE_H

#include "core/ir/ir.h"
#include <gie/kernel.h>

struct sample_set {
  struct gie_desc out; /* plain */
  uint32_t n;
  int64_t *at;            /* row-major index in the result */
  double *want, *allowed; /* exact output, and how far from it is fine */
  double peak;            /* max |want| */
};

/* What a node computes on: descriptors are plain. */
struct sample_problem {
  struct gie_context *ctx;
  const struct gie_node *node;
  uint32_t n_in;
  const struct gie_desc *in, *out;
  const void *const *in_host;
  uint64_t seed;
  enum gie_math math;
  int64_t period; /* != 0: row i of the result is row i % period, and operands have those rows only */
};

/* Which elements of a tensor are looked at: row-major indices. */
gie_status sample_choose(const struct gie_desc *d, uint64_t seed, struct gie_arena *mem, int64_t **at,
                         uint32_t *n);
/* Whether there is an exact computation: op, dtypes and steps. */
bool sample_supports(const struct sample_problem *p);
gie_status sample_make(const struct sample_problem *p, struct gie_arena *mem, struct sample_set *out);

struct sample_diff {
  double error; /* max |a-b| over the samples / max |want| */
  bool wrong;   /* some sample is further off than allowed, or there is a NaN anywhere */
  int64_t at;   /* where it is worst */
  double a, b;
};
/* `data`: the result in plain layout, or with `picked` the samples one after the other. `stated`: the variant's error,
 * 0: none. */
void sample_compare(const struct sample_set *s, const void *data, bool picked, double stated,
                    struct sample_diff *out);

/* ---- Inside: sums (sample_sum.c), steps (sample_step.c) */

/* The sum behind output idx[] without the epilogue, the sum of the absolute values, and how many products. */
struct sample_sum {
  double sum, magnitude, taps;
};
bool sample_has_sum(const struct gie_node *n);
struct sample_sum sample_sum_at(const struct sample_problem *p, const int64_t *idx);
/* Element of operand i that is broadcast to output idx[]. */
double sample_operand(const struct sample_problem *p, uint32_t i, const int64_t *idx);

bool sample_has_step(const struct gie_step *s);
double sample_run_step(const struct sample_problem *p, const int64_t *idx, uint32_t step, double v);
/* From step `first` on. */
double sample_run_steps(const struct sample_problem *p, const int64_t *idx, uint32_t first, double v);

#endif
