/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the verifier share. */
#ifndef GIE_CORE_VERIFY_H
#define GIE_CORE_VERIFY_H

#include "core/ir/infer.h"

/* Records "value "x": <text> [rule]" and returns status. */
GIE_PRINTF(5, 6)
gie_status ir_value_broken(const struct gie_graph *g, const struct gie_value *v, const char *rule,
                           gie_status status, const char *fmt, ...);

/* Rules on the values of a graph: names, kinds, shapes, constants, layouts, quantization (verify_value.c). */
gie_status ir_verify_values(const struct gie_graph *g);
/* Rules on views (verify_value.c). */
gie_status ir_verify_views(const struct gie_graph *g);

#endif
