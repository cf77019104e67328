/* SPDX-License-Identifier: Apache-2.0 */
/* A concat of concats along one axis is one concat.
 *
 *     %a = concat(%x, %y) {axis=1}
 *     %b = concat(%a, %z) {axis=1}    ->    %b = concat(%x, %y, %z) {axis=1}
 *
 * Does not fire: %a read by others or a graph output (its copy is needed anyway), another axis, views
 * and quantized values, an epilogue, or more operands than a node may have. */
#include "passes/util.h"

static int64_t axis_of(const struct gie_node *n, int rank)
{
  int64_t axis = gie_node_int(n, "axis");
  return axis < 0 ? axis + rank : axis;
}

/* The concat that makes operand i and that can go into n; else NULL. */
static const struct gie_node *inner(const struct gie_graph *g, const struct gie_node *n, uint32_t i)
{
  int rank = gie_value_get(g, n->out[0])->type.shape.rank;
  const struct gie_node *c = pass_private_producer(g, n->in[i], "concat");
  return c && rank >= 0 && axis_of(c, rank) == axis_of(n, rank) ? c : NULL;
}

/* Operands of the flat concat; 0 when there is nothing to flatten. */
static uint32_t match(const struct gie_graph *g, const struct gie_node *n)
{
  uint32_t count = 0;
  bool found = false;
  if (!pass_is_op(n, "concat") || n->n_steps || !pass_is_plain(gie_value_get(g, n->out[0])))
    return 0;
  for (uint32_t i = 0; i < n->n_operands; i++) {
    const struct gie_node *c = inner(g, n, i);
    count += c ? c->n_operands : 1;
    found = found || c;
  }
  return found && count <= n->op->max_in ? count : 0;
}

static gie_status rewrite(struct gie_graph *g, const struct gie_node *n, gie_id *in)
{
  uint32_t count = 0;
  gie_id flat, old;
  for (uint32_t i = 0; i < n->n_operands; i++) {
    const struct gie_node *c = inner(g, n, i);
    if (c)
      memcpy(&in[count], c->in, c->n_operands * sizeof *in);
    else
      in[count] = n->in[i];
    count += c ? c->n_operands : 1;
  }
  GIE_TRY(pass_node(g, "concat", n->name, in, count, n->attrs.v, n->attrs.n, n->id, &flat));
  for (uint32_t i = 0; i < n->n_operands; i++) {
    const struct gie_node *c = inner(g, n, i);
    old = n->in[i];
    if (!c)
      continue;
    GIE_TRY(gie_node_set_input(g, n->id, i, in[0])); /* n is about to go */
    GIE_TRY(gie_node_remove(g, gie_value_get(g, old)->producer));
  }
  return pass_supplant(g, n->id, flat);
}

/* In order, so that what is flattened has flat operands. */
static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  for (gie_id id = gie_graph_first(g), next; id != GIE_NONE; id = next) {
    const struct gie_node *n = gie_node_get(g, id);
    uint32_t count = match(g, n);
    next = n->next;
    if (!count)
      continue;
    gie_id *in = gie_alloc(pc->ctx, count, sizeof *in);
    gie_status s = in ? rewrite(g, n, in) : GIE_E_MEMORY;
    gie_free(pc->ctx, in);
    GIE_TRY(s);
    ++*changes;
  }
  return GIE_OK;
}

const struct gie_pass gie_pass_fuse_consecutive_concats = {
    sizeof(struct gie_pass), "fuse_consecutive_concats",
    "makes a concat of concats along one axis a flat one; not of shared ones", run};
