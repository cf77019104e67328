/* SPDX-License-Identifier: Apache-2.0 */
/* The plainest loops for some ops, written apart from the reference kernels to check them. */
#ifndef GIE_TESTS_CPU_NAIVE_H
#define GIE_TESTS_CPU_NAIVE_H

#include "tests/op_cases.h"

/* Result 0 of the node in double; out has its type and room for its elements. false: no loop for that op. */
bool naive_run(const struct gie_node *n, const struct op_result *in, struct op_result *out);

#endif
