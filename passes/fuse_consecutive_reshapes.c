/* SPDX-License-Identifier: Apache-2.0 */
/* A reshape does not care in which shape its operand comes.
 *
 *     %a = flatten(%x)                     (or reshape, squeeze, unsqueeze)
 *     %b = reshape(%a, [-1, 8])    ->    %b = reshape(%x, [-1, 8])
 *
 * %a stays when others read it.
 *
 * Does not fire: a target that is not known, or that copies a dim of %a (0) which %x has not in the
 * same place; views and quantized values. */
#include "passes/util.h"

static const struct gie_node *producer(const struct gie_graph *g, gie_id value)
{
  static const char *const OPS[] = {"reshape", "flatten", "squeeze", "unsqueeze"};
  const struct gie_node *n = NULL;
  for (size_t i = 0; !n && i < sizeof OPS / sizeof *OPS; i++)
    n = pass_producer(g, value, OPS[i]);
  return n;
}

/* Zeros of the target copy the same dims from x as from the middle. */
static bool zeros_fit(const struct gie_graph *g, const struct gie_node *n, const struct gie_shape *x)
{
  int64_t target[GIE_MAX_RANK];
  uint32_t count;
  const struct gie_shape *m = &gie_value_get(g, n->in[0])->type.shape;
  if (!pass_ints(g, n, 1, target, GIE_MAX_RANK, &count))
    return false;
  for (uint32_t i = 0; i < count; i++)
    if (target[i] == 0 && (gie_node_int(n, "allowzero") || (int)i >= x->rank || (int)i >= m->rank ||
                           !gie_dim_equal(x->dim[i], m->dim[i])))
      return false;
  return true;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  GIE_FOR_NODES(g, id) {
    const struct gie_node *n = gie_node_get(g, id), *first;
    if (!pass_is_op(n, "reshape") || !(first = producer(g, n->in[0])))
      continue;
    const struct gie_value *x = gie_value_get(g, first->in[0]);
    gie_id old = n->in[0];
    if (!pass_is_plain(x) || !zeros_fit(g, n, &x->type.shape))
      continue;
    GIE_TRY(gie_node_set_input(g, id, 0, x->id));
    GIE_TRY(pass_prune(g, old));
    ++*changes;
  }
  return GIE_OK;
}

const struct gie_pass gie_pass_fuse_consecutive_reshapes = {
    sizeof(struct gie_pass), "fuse_consecutive_reshapes",
    "lets reshape read what its operand was reshaped from; not where it copies dims that are not there", run,
    NULL};
