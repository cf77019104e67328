/* SPDX-License-Identifier: Apache-2.0 */
/* What is put round the operand of a pool becomes its own padding.
 *
 *     %p = pad(%x, [0,0,1,1,0,0,1,1])
 *     %y = average_pool(%p) {kernel=[3,3]}   ->   %y = average_pool(%x) {…, pad=[1,1,1,1], count_include_pad=1}
 *
 * An average takes zeros, unless it has padding of its own that it does not count. A maximum leaves
 * its padding out, so what it takes must never win: -inf, the least number of the dtype, or zero round
 * a relu, which makes no number below. For that every window must hold an element of %x: pads smaller
 * than the kernel, no dilation, no ceil_mode. %p stays when others read it.
 *
 * Does not fire: other values, pads of the batch or the channels, amounts that are not known, auto_pad,
 * a second result (indices) that is read, views and quantized values. */
#include "passes/pads.h"

static bool windows_hold_elements(const struct gie_node *n, const struct pass_pads *p)
{
  int64_t kernel[GIE_MAX_RANK], dilation[GIE_MAX_RANK], own[2 * GIE_MAX_RANK];
  gie_node_ints(n, "kernel", kernel, GIE_MAX_RANK, 0);
  gie_node_ints(n, "dilation", dilation, GIE_MAX_RANK, 1);
  gie_node_ints(n, "pad", own, 2 * GIE_MAX_RANK, 0);
  for (int i = 0; i < p->spatial; i++) {
    int k = i + p->spatial;
    if (dilation[i] != 1 || p->pad[i] + own[i] >= kernel[i] || p->pad[k] + own[k] >= kernel[i])
      return false;
  }
  return true;
}

static bool is_least(enum gie_dtype t, double v)
{
  static const double least[GIE_DTYPE_COUNT] = {[GIE_F64] = -1.7976931348623157e308,
                                                [GIE_F32] = -3.4028234663852886e38,
                                                [GIE_F16] = -65504,
                                                [GIE_BF16] = -3.3895313892515355e38};
  return least[t] != 0 && v <= least[t];
}

static bool never_wins(const struct gie_graph *g, const struct gie_node *pad, double value)
{
  const struct gie_value *x = gie_value_get(g, pad->in[0]);
  const struct gie_node *n = gie_node_get(g, x->producer);
  if (is_least(x->type.dtype, value))
    return true;
  if (!n || value != 0 || gie_dtype_class(x->type.dtype) != 'f')
    return false;
  return n->n_steps ? strcmp(n->steps[n->n_steps - 1].op->name, "relu") == 0 : pass_is_op(n, "relu");
}

static bool no_padding(const struct gie_node *n)
{
  int64_t own[2 * GIE_MAX_RANK];
  uint32_t count = gie_node_ints(n, "pad", own, 2 * GIE_MAX_RANK, 0);
  for (uint32_t i = 0; i < count; i++)
    if (own[i])
      return false;
  return true;
}

static bool match(const struct gie_graph *g, const struct gie_node *n, const struct gie_node **pad,
                  struct pass_pads *p)
{
  bool average = pass_is_op(n, "average_pool");
  if ((!average && !pass_is_op(n, "max_pool")) || gie_node_int(n, "ceil_mode") ||
      strcmp(gie_node_string(n, "auto_pad"), "explicit") != 0 || !(*pad = pass_pads(g, n->in[0], p)) ||
      !windows_hold_elements(n, p))
    return false;
  for (uint32_t i = 1; i < n->n_out; i++)
    if (gie_value_get(g, n->out[i])->n_uses || gie_value_get(g, n->out[i])->n_outputs)
      return false;
  return average ? p->value == 0 && (gie_node_int(n, "count_include_pad") || no_padding(n))
                 : never_wins(g, *pad, p->value);
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  static const struct gie_attr counts = {.name = "count_include_pad", .kind = GIE_ATTR_INT, .u.i = 1};
  struct pass_pads pads;
  (void)pc;
  GIE_FOR_NODES(g, id) {
    const struct gie_node *n = gie_node_get(g, id), *pad;
    if (!match(g, n, &pad, &pads))
      continue;
    if (pass_is_op(n, "average_pool"))
      GIE_TRY(gie_node_set_attr(g, id, &counts));
    GIE_TRY(pass_take_pads(g, n, pad, &pads));
    ++*changes;
  }
  return GIE_OK;
}

const struct gie_pass gie_pass_fuse_pad_into_pool = {
    sizeof(struct gie_pass), "fuse_pad_into_pool",
    "makes what is put round the operand of a pool its padding; not values that a maximum would see", run,
    NULL};
