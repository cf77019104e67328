/* SPDX-License-Identifier: Apache-2.0 */
/* Constants that nobody reads go. Does not fire on constants that are graph outputs. */
#include "passes/util.h"

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  for (gie_id id = 0; id < gie_graph_n_values(g); id++) {
    const struct gie_value *v = gie_value_get(g, id);
    if (v->kind != GIE_VALUE_CONST || v->n_uses || v->n_outputs)
      continue;
    GIE_TRY(gie_value_remove(g, id));
    ++*changes;
  }
  return GIE_OK;
}

const struct gie_pass gie_pass_eliminate_unused_initializer = {
    sizeof(struct gie_pass), "eliminate_unused_initializer",
    "removes constants that nobody reads; not outputs", run, NULL};
