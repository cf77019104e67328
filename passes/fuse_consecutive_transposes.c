/* SPDX-License-Identifier: Apache-2.0 */
/* A transpose of a transpose is one transpose.
 *
 *     %a = transpose(%x) {perm=[0,2,3,1]}
 *     %b = transpose(%a) {perm=[0,3,1,2]}    ->    %b = transpose(%x) {perm=[0,1,2,3]}
 *
 * %a stays when others read it. eliminate_nop_transpose removes what has become nothing.
 *
 * Does not fire: unknown rank, views and quantized values. */
#include "passes/perm.h"

static gie_status rewrite(struct gie_graph *g, const struct gie_node *n, const struct gie_node *first,
                          const int64_t *inner, const int64_t *outer, int rank)
{
  int64_t perm[GIE_MAX_RANK];
  gie_id old = n->in[0];
  for (int i = 0; i < rank; i++)
    perm[i] = inner[outer[i]];
  struct gie_attr attr = pass_perm_attr(perm, rank);
  GIE_TRY(gie_node_set_attr(g, n->id, &attr));
  GIE_TRY(gie_node_set_input(g, n->id, 0, first->in[0]));
  return pass_prune(g, old);
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  int64_t inner[GIE_MAX_RANK], outer[GIE_MAX_RANK];
  int rank;
  (void)pc;
  GIE_FOR_NODES(g, id) {
    const struct gie_node *n = gie_node_get(g, id), *first;
    if (!pass_perm(g, n, outer, &rank) || !(first = pass_producer(g, n->in[0], "transpose")) ||
        !pass_perm(g, first, inner, &rank))
      continue;
    GIE_TRY(rewrite(g, n, first, inner, outer, rank));
    ++*changes;
  }
  return GIE_OK;
}

const struct gie_pass gie_pass_fuse_consecutive_transposes = {
    sizeof(struct gie_pass), "fuse_consecutive_transposes",
    "makes a transpose of a transpose one; not of unknown rank", run, NULL};
