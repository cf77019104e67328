/* SPDX-License-Identifier: Apache-2.0 */
/* Op cases as problems that a kernel is asked about, and windows of random geometry: what the tests of the fast
 * backends share. */
#ifndef GIE_TESTS_OP_PROBLEM_H
#define GIE_TESTS_OP_PROBLEM_H

#include "tests/op_cases.h"

#define OP_MAX_IO 16

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
/* Makes constants of the f32 operands behind the first one, with what op_run() would fill them with. */
gie_status op_make_constant(struct gie_graph *g);
/* Text of a graph: kind 0 conv, 1 conv_transpose, 2 max_pool, 3 average_pool, 4 depthwise conv; number i of that kind.
 * Some do not fit and are refused by the reader. */
void op_random_window(int kind, uint32_t i, char *text, size_t size);

#endif
