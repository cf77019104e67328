/* SPDX-License-Identifier: Apache-2.0 */
/* A device whose kernels exist in a table only: what each takes and what it costs. Selection asks nothing else of a
 * kernel when it may not time, so every decision can be asserted without one being run. */
#ifndef GIE_TESTS_TUNE_COSTS_H
#define GIE_TESTS_TUNE_COSTS_H

#include "core/tune/select.h"
#include "tests/run/mock.h"

struct cost_row {
  const char *name, *op;
  const char *in, *out; /* layout of operands and of the result of rank 4; NULL: any */
  double ms;
  uint32_t steps; /* of the epilogue that it fuses */
  bool pitch;     /* takes and makes ranges */
  enum gie_dtype dtype;
  uint32_t n_variants; /* alike; 0: one */
};

/* A context with the device `cpu` and one kernel per row. */
struct gie_context *costs_context(const struct cost_row *rows, uint32_t n);
/* The kernel of a row, after costs_context(). Its config is row + 1. */
const struct gie_kernel *costs_kernel(uint32_t row);
/* From then on these operands (by bit) of the row, or with COSTS_RESULTS its results, are f32 in spite of `dtype`. */
#define COSTS_RESULTS (1u << 31)
void costs_keep_f32(uint32_t row, uint32_t ports);
/* Builds without passes and timing, from estimates and what a cache that `more` names has. */
struct gie_plan *costs_build(struct gie_context *c, const char *text, const struct gie_build_options *more,
                             struct gie_build_report *report);
/* "conv:fast reorder:turn relu:-": op and kernel of every node of the lowered graph, in order. */
const char *costs_decisions(const struct gie_plan *plan, char *buf, size_t size);

#endif
