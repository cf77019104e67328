/* SPDX-License-Identifier: Apache-2.0 */
/* Two squeezes or unsqueezes in a row become one: what fuse_consecutive_squeezes and fuse_consecutive_unsqueezes
 * share. */
#ifndef GIE_PASSES_SQUEEZES_H
#define GIE_PASSES_SQUEEZES_H

#include "passes/util.h"

/* Of `rank` axes those in `own`, and those of the others that, counted without them, are in `rest`. */
static inline uint32_t squeezes_join(uint32_t own, uint32_t rest, int rank)
{
  uint32_t axes = own;
  for (int i = 0, left = 0; i < rank; i++)
    if (!(own & 1u << i) && (rest & 1u << left++))
      axes |= 1u << i;
  return axes;
}

/* join() says which axes one node has instead of `first` and n, which reads it; false: they stay as they are. */
static inline gie_status squeezes_fuse(struct gie_graph *g, const char *op,
                                       bool (*join)(const struct gie_graph *g, const struct gie_node *first,
                                                    const struct gie_node *n, uint32_t *axes),
                                       uint32_t *changes)
{
  GIE_FOR_NODES(g, id) {
    const struct gie_node *n = gie_node_get(g, id), *first;
    int64_t list[GIE_MAX_RANK];
    uint32_t axes, count = 0;
    gie_id operand;
    if (!pass_is_op(n, op) || !(first = pass_producer(g, n->in[0], op)) || !join(g, first, n, &axes))
      continue;
    for (int i = 0; i < GIE_MAX_RANK; i++)
      if (axes & 1u << i)
        list[count++] = i;
    gie_id old = n->in[0];
    GIE_TRY(pass_const_ints(g, list, count, &operand));
    GIE_TRY(gie_node_set_input(g, id, 1, operand));
    GIE_TRY(gie_node_set_input(g, id, 0, first->in[0]));
    GIE_TRY(pass_prune(g, old));
    ++*changes;
  }
  return GIE_OK;
}

#endif
