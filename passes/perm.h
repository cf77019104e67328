/* SPDX-License-Identifier: Apache-2.0 */
/* What the passes on transposes share. */
#ifndef GIE_PASSES_PERM_H
#define GIE_PASSES_PERM_H

#include "passes/util.h"

/* Result axis i of the transpose is axis perm[i] of its operand. False when it is none or the rank is unknown. */
static inline bool pass_perm(const struct gie_graph *g, const struct gie_node *n, int64_t *perm, int *rank)
{
  if (!pass_is_op(n, "transpose"))
    return false;
  *rank = gie_value_get(g, n->in[0])->type.shape.rank;
  const struct gie_attr *a = gie_attrs_find(&n->attrs, "perm");
  if (*rank < 0 || (a && a->n != (uint32_t)*rank))
    return false;
  gie_node_ints(n, "perm", perm, GIE_MAX_RANK, 0);
  for (int i = 0; !a && i < *rank; i++)
    perm[i] = *rank - 1 - i;
  return true;
}

static inline struct gie_attr pass_perm_attr(const int64_t *perm, int rank)
{
  return (struct gie_attr){.name = "perm", .kind = GIE_ATTR_INTS, .n = (uint32_t)rank, .u.is = perm};
}

#define PASS_TILE ((size_t)32) /* of a matrix, in the cache as rows and as columns */

/* Columns as rows, a tile at a time, of elements of 4 bytes. */
static inline void pass_transpose_words(const char *from, char *to, size_t rows, size_t columns)
{
  for (size_t r = 0; r < rows; r += PASS_TILE)
    for (size_t c = 0; c < columns; c += PASS_TILE)
      for (size_t k = c; k < c + PASS_TILE && k < columns; k++)
        for (size_t i = r; i < r + PASS_TILE && i < rows; i++)
          memcpy(to + 4 * (k * rows + i), from + 4 * (i * columns + k), 4);
}

#endif
