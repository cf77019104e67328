/* SPDX-License-Identifier: Apache-2.0 */
/* A reduction whose axes are put back keeps them.
 *
 *     %a = reduce_mean(%x, [1]) {keepdims=0}
 *     %b = unsqueeze(%a, [1])                   ->    %b = reduce_mean(%x, [1])
 *
 * Also for arg_max. Does not fire: %a read by others or a graph output, other axes than those that were
 * reduced, axes that are not known. */
#include "passes/util.h"

static bool reduced_axes(const struct gie_graph *g, const struct gie_node *n, int rank, uint32_t *axes)
{
  if (strncmp(n->op->name, "reduce_", 7) == 0)
    return !pass_has_operand(n, 1) ? false : pass_axes(g, n, 1, rank, axes);
  int64_t axis = gie_node_int(n, "axis");
  axis += axis < 0 ? rank : 0;
  *axes = axis >= 0 && axis < rank ? 1u << axis : 0;
  return pass_is_op(n, "arg_max");
}

static const struct gie_node *match(const struct gie_graph *g, const struct gie_node *n)
{
  uint32_t reduced, inserted;
  if (!pass_is_op(n, "unsqueeze") || n->n_steps)
    return NULL;
  const struct gie_value *v = gie_value_get(g, n->in[0]), *y = gie_value_get(g, n->out[0]);
  const struct gie_node *first = gie_node_get(g, v->producer);
  if (!first || v->n_uses != 1 || v->n_outputs || first->n_steps || !pass_is_plain(v) || !pass_is_plain(y) ||
      first->n_out != 1 || first->n_operands == 0 || pass_holds_views(g, v->id))
    return NULL;
  int rank = gie_value_get(g, first->in[0])->type.shape.rank;
  if (rank < 0 || y->type.shape.rank != rank || !reduced_axes(g, first, rank, &reduced) ||
      gie_node_int(first, "keepdims") || !reduced || !pass_axes(g, n, 1, rank, &inserted))
    return NULL;
  return reduced == inserted ? first : NULL;
}

/* The attributes of the reduction without keepdims, whose default is 1. */
static gie_status rewrite(struct gie_graph *g, const struct gie_node *n, const struct gie_node *first)
{
  gie_id kept;
  GIE_TRY(gie_node_unset_attr(g, first->id, "keepdims"));
  GIE_TRY(pass_node(g, first->op->name, first->name, first->in, first->n_operands, first->attrs.v,
                    first->attrs.n, n->id, &kept));
  GIE_TRY(pass_supplant(g, n->id, kept));
  return gie_node_remove(g, first->id);
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  for (gie_id id = gie_graph_first(g), next; id != GIE_NONE; id = next) {
    const struct gie_node *n = gie_node_get(g, id), *first = n->n_operands ? match(g, n) : NULL;
    next = n->next;
    if (!first)
      continue;
    GIE_TRY(rewrite(g, n, first));
    ++*changes;
  }
  return GIE_OK;
}

const struct gie_pass gie_pass_fuse_consecutive_reduce_unsqueeze = {
    sizeof(struct gie_pass), "fuse_consecutive_reduce_unsqueeze",
    "makes a reduction keep the axes that an unsqueeze puts back; not of shared ones", run, NULL};
