/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes whose results nobody reads go, and then those that only they read.
 *
 * Does not fire on impure and opaque nodes. A view whose base goes gets storage of its own. */
#include "passes/util.h"

static bool is_live(const struct gie_graph *g, const struct gie_node *n, const unsigned char *read)
{
  if (n->op->flags & GIE_OP_IMPURE)
    return true;
  for (uint32_t i = 0; i < n->n_out; i++)
    if (read[n->out[i]] || gie_value_get(g, n->out[i])->n_outputs)
      return true;
  return false;
}

/* Backwards, so that all readers of a value have been seen before its producer. */
static void mark(const struct gie_graph *g, unsigned char *read)
{
  for (gie_id id = gie_graph_last(g); id != GIE_NONE; id = gie_node_get(g, id)->prev) {
    const struct gie_node *n = gie_node_get(g, id);
    if (!is_live(g, n, read))
      continue;
    for (uint32_t i = 0; i < n->n_in; i++)
      if (n->in[i] != GIE_NONE)
        read[n->in[i]] = 1;
  }
}

static bool goes(const struct gie_graph *g, gie_id value, const unsigned char *read)
{
  const struct gie_value *v = gie_value_get(g, value);
  return v && v->kind == GIE_VALUE_RESULT && !is_live(g, gie_node_get(g, v->producer), read);
}

static gie_status sweep(struct gie_graph *g, const unsigned char *read, uint32_t n_values, uint32_t *changes)
{
  static const struct gie_view none = {GIE_NONE, 0, 0, 0};
  for (gie_id v = 0; v < n_values; v++)
    if (goes(g, gie_value_get(g, v)->view.base, read))
      GIE_TRY(gie_value_set_view(g, v, &none));
  for (gie_id id = gie_graph_last(g), prev; id != GIE_NONE; id = prev) {
    const struct gie_node *n = gie_node_get(g, id);
    prev = n->prev;
    if (is_live(g, n, read))
      continue;
    GIE_TRY(gie_node_remove(g, id));
    ++*changes;
  }
  return GIE_OK;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  uint32_t n_values = gie_graph_n_values(g);
  unsigned char *read = gie_alloc(pc->ctx, n_values, 1);
  if (!read)
    return GIE_E_MEMORY;
  mark(g, read);
  gie_status s = sweep(g, read, n_values, changes);
  gie_free(pc->ctx, read);
  return s;
}

const struct gie_pass gie_pass_eliminate_deadend = {
    sizeof(struct gie_pass), "eliminate_deadend", "removes nodes whose results nobody reads; not opaque ones",
    run, NULL};
