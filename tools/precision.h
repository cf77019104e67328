/* SPDX-License-Identifier: Apache-2.0 */
/* Narrower floats: what a plan was allowed and what it uses, and the search for the layers that must not use them. */
#ifndef GIE_TOOLS_PRECISION_H
#define GIE_TOOLS_PRECISION_H

#include "tools/feed.h"
#include <gie/plan.h>

/* "fp16 allowed: 52 nodes f16, 8 f32; tf32 allowed: in 3 products"; what the types say, when nothing else was. */
const char *precision_text(struct tool *t, const struct gie_plan_profile *p);
struct precision_use {
  uint32_t f16, f32, tf32,
      kept; /* nodes by the dtype of their results; products that may round; told to keep f32 */
};
struct precision_use precision_used(const struct gie_graph *g);

/* What --fp16=auto is asked to hold, on inputs that nobody tuned on. */
struct precision_goal {
  const char *dir;          /* files of the only input, or a folder per input, named as it is */
  double error;             /* of max|a-b| / max|b| over all outputs, against f32 */
  struct feed_options feed; /* how images become tensors */
};
struct precision_result {
  double error, first; /* of the plan, and before layers were put back */
  uint32_t kept, nodes, inputs;
};
/* Takes over *plan, which was built from `g` with `o`, and puts layers back to f32, those with the greatest effect
 * first, until the goal holds. */
gie_status precision_search(struct tool *t, const struct gie_build_options *o,
                            const struct precision_goal *goal, struct gie_plan **plan,
                            struct precision_result *out);

#endif
