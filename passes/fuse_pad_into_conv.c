/* SPDX-License-Identifier: Apache-2.0 */
/* Zeros round the operand of a convolution are its own padding.
 *
 *     %p = pad(%x, [0,0,1,1,0,0,1,1])
 *     %y = conv(%p, %w)                  ->    %y = conv(%x, %w) {pad=[1,1,1,1]}
 *
 * %p stays when others read it.
 *
 * Does not fire: another value or mode than constant 0, pads of the batch or the channels, negative
 * ones, amounts that are not known, auto_pad, views and quantized values. */
#include "passes/pads.h"

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  struct pass_pads pads;
  (void)pc;
  GIE_FOR_NODES(g, id) {
    const struct gie_node *n = gie_node_get(g, id), *pad;
    if (!pass_is_op(n, "conv") || strcmp(gie_node_string(n, "auto_pad"), "explicit") != 0 ||
        !(pad = pass_pads(g, n->in[0], &pads)) || pads.value != 0)
      continue;
    GIE_TRY(pass_take_pads(g, n, pad, &pads));
    ++*changes;
  }
  return GIE_OK;
}

const struct gie_pass gie_pass_fuse_pad_into_conv = {
    sizeof(struct gie_pass), "fuse_pad_into_conv",
    "makes zeros round the operand of conv its padding; not of batch or channels", run, NULL};
