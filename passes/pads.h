/* SPDX-License-Identifier: Apache-2.0 */
/* Pads that a window could take: what fuse_pad_into_conv and fuse_pad_into_pool share. */
#ifndef GIE_PASSES_PADS_H
#define GIE_PASSES_PADS_H

#include "passes/util.h"

struct pass_pads {
  int spatial;                   /* axes behind N and C */
  int64_t pad[2 * GIE_MAX_RANK]; /* all begins, then all ends, of the spatial axes */
  double value;
};

/* The pad behind a window's operand 0, if it fills spatial axes alone with a constant. */
static inline const struct gie_node *pass_pads(const struct gie_graph *g, gie_id value, struct pass_pads *out)
{
  const struct gie_node *n = pass_producer(g, value, "pad");
  int64_t pads[2 * GIE_MAX_RANK], axes[GIE_MAX_RANK];
  uint32_t count, n_axes;
  if (!n || strcmp(gie_node_string(n, "mode"), "constant") != 0)
    return NULL;
  int rank = gie_value_get(g, value)->type.shape.rank;
  if (rank < 3 || !pass_is_plain(gie_value_get(g, n->in[0])) ||
      !pass_ints(g, n, 1, pads, 2 * GIE_MAX_RANK, &count))
    return NULL;
  n_axes = (uint32_t)rank;
  for (uint32_t i = 0; i < n_axes; i++)
    axes[i] = i;
  if (pass_has_operand(n, 3) && !pass_ints(g, n, 3, axes, GIE_MAX_RANK, &n_axes))
    return NULL;
  out->value = 0;
  if (count != 2 * n_axes || (pass_has_operand(n, 2) && !pass_scalar(g, n->in[2], &out->value)))
    return NULL;
  out->spatial = rank - 2;
  memset(out->pad, 0, sizeof out->pad);
  for (uint32_t i = 0; i < n_axes; i++) {
    int64_t axis = axes[i] + (axes[i] < 0 ? rank : 0), begin = pads[i], end = pads[n_axes + i];
    if (axis < 0 || axis >= rank || begin < 0 || end < 0 || begin > INT32_MAX || end > INT32_MAX ||
        (axis < 2 && (begin || end)))
      return NULL;
    if (axis >= 2)
      out->pad[axis - 2] = begin, out->pad[out->spatial + axis - 2] = end;
  }
  return n;
}

/* The window reads what the pad reads, with the pads added to its own. */
static inline gie_status pass_take_pads(struct gie_graph *g, const struct gie_node *window,
                                        const struct gie_node *pad, const struct pass_pads *p)
{
  int64_t own[2 * GIE_MAX_RANK];
  gie_id old = window->in[0];
  gie_node_ints(window, "pad", own, 2 * GIE_MAX_RANK, 0);
  for (int i = 0; i < 2 * p->spatial; i++)
    own[i] += p->pad[i];
  struct gie_attr attr = {.name = "pad", .kind = GIE_ATTR_INTS, .n = 2 * (uint32_t)p->spatial, .u.is = own};
  GIE_TRY(gie_node_set_input(g, window->id, 0, pad->in[0]));
  GIE_TRY(gie_node_set_attr(g, window->id, &attr));
  return pass_prune(g, old);
}

#endif
