/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the fast backends share: devices and kernels by name, op cases as problems that a kernel is asked
 * about, and windows of random geometry. */
#ifndef GIE_TESTS_OP_PROBLEM_H
#define GIE_TESTS_OP_PROBLEM_H

#include "tests/op_cases.h"

#define OP_MAX_IO 16

/* ---- Devices and kernels */

/* A context with the modules of GIE_MODULE_PATH whose log goes nowhere; ends the program when there is none. */
struct gie_context *op_context(void);
/* "cuda.conv"; NULL: no such kernel is loaded. */
const struct gie_kernel *op_kernel(struct gie_context *ctx, const char *name);
/* The kernel that a backend names after an op. */
const struct gie_kernel *op_kernel_of(struct gie_context *ctx, const char *backend, const char *op);
/* Whether there is a device of that kind, asked in a context of its own. */
bool op_has_device(const char *kind);
/* Opens device 0 of that kind; ends the program with a line when its backend is not loaded or it does not open. */
void op_device_open(struct gie_context *ctx, const char *kind, struct op_device *out);
void op_device_close(struct op_device *d);
/* Whether to try little of everything: GIE_TEST_QUICK is set, as where a checker makes each launch slow. */
bool op_quick(void);
/* Of the largest number: sums of some hundred products in the dtype's own or f32 arithmetic, one rounding. */
double op_tolerance(enum gie_dtype t);

/* ---- Problems */

/* The node of a case's graph as a problem of dense plain tensors. */
struct op_problem {
  const struct gie_node *n;
  struct gie_desc desc[OP_MAX_IO];
  const void *data[OP_MAX_IO];
  struct gie_problem p;
};
/* E_UNSUPPORTED when the node has more than OP_MAX_IO operands and results. */
gie_status op_problem_make(const struct op_device *d, const struct gie_graph *g, const char *device_kind,
                           struct op_problem *out);
/* Makes constants of the f32, f16 and bf16 operands behind the first one, with what op_run() would fill them with. */
gie_status op_make_constant(struct gie_graph *g);
/* Text of a graph: kind 0 conv, 1 conv_transpose, 2 max_pool, 3 average_pool, 4 depthwise conv; number i of that kind.
 * Some do not fit and are refused by the reader. */
void op_random_window(int kind, uint32_t i, char *text, size_t size);

#endif
