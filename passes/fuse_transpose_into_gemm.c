/* SPDX-License-Identifier: Apache-2.0 */
/* gemm reads transposed operands itself.
 *
 *     %t = transpose(%w)
 *     %y = gemm(%x, %t)    ->    %y = gemm(%x, %w) {trans_b=1}
 *
 * A matmul of matrices becomes a gemm for that. %t stays when others read it.
 *
 * Does not fire: matmul of other ranks, views and quantized values. */
#include "passes/perm.h"

static bool is_matrix_product(const struct gie_graph *g, const struct gie_node *n)
{
  if (pass_is_op(n, "gemm"))
    return true;
  return pass_is_op(n, "matmul") && gie_value_get(g, n->in[0])->type.shape.rank == 2 &&
         gie_value_get(g, n->in[1])->type.shape.rank == 2;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  static const char *const flags[] = {"trans_a", "trans_b"};
  (void)pc;
  GIE_FOR_NODES(g, id) {
    const struct gie_node *n = gie_node_get(g, id), *t;
    for (uint32_t i = 0; i < 2 && is_matrix_product(g, n); i++) {
      int64_t perm[GIE_MAX_RANK];
      int rank;
      gie_id old = n->in[i];
      if (!(t = pass_producer(g, old, "transpose")) || !pass_perm(g, t, perm, &rank) || rank != 2 ||
          perm[0] != 1 || !pass_is_plain(gie_value_get(g, t->in[0])))
        continue;
      struct gie_attr attr = {.name = flags[i], .kind = GIE_ATTR_INT};
      GIE_TRY(gie_node_set_op(g, id, "gemm"));
      attr.u.i = !gie_node_int(n, flags[i]);
      GIE_TRY(gie_node_set_input(g, id, i, t->in[0]));
      GIE_TRY(gie_node_set_attr(g, id, &attr));
      GIE_TRY(pass_prune(g, old));
      ++*changes;
    }
  }
  return GIE_OK;
}

const struct gie_pass gie_pass_fuse_transpose_into_gemm = {
    sizeof(struct gie_pass), "fuse_transpose_into_gemm",
    "lets gemm and matmul of matrices read transposed operands themselves; not matmul of other ranks", run,
    NULL};
