/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of plans share: a small plan on the mock backend, files as bytes, and right hashes for
 * bytes that were changed. */
#ifndef GIE_TESTS_PLAN_CHECK_H
#define GIE_TESTS_PLAN_CHECK_H

#include "core/plan/plan.h"
#include "tests/plan/plan_bytes.h"
#include "tests/run/mock.h"
#include "tests/temp.h"

/* x[n,4] times a constant of 20 elements, then relu, with notes; from what the base is and with n = batch. */
#define SMALL_KERNEL "a.any"
struct gie_graph *small_base(void);
struct gie_graph *small_graph(int batch);
/* With profiles for these batches, ended by 0; on the mock device "cpu". */
struct gie_plan *small_plan(const int *batches);
void add_profile(struct gie_plan *plan, struct gie_graph *g);

#endif
