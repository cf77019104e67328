/* SPDX-License-Identifier: Apache-2.0 */
/* Where a graph's nodes are drawn: in layers from top to bottom. */
#ifndef GIE_TOOLS_LAYERS_H
#define GIE_TOOLS_LAYERS_H

#include "core/base/base.h"

/* A box, or a bend of an edge that passes a layer. */
struct layer_item {
  uint32_t rank, tag; /* tag: the caller's, UINT32_MAX for a bend */
  double x, width;    /* x of its middle */
  bool floats;        /* is drawn right above what it leads to, not as high as it can be; the caller's */
};
struct layer_edge {
  uint32_t from, to; /* items, of neighbouring ranks once layers_place() is done */
  uint32_t tag;      /* the caller's */
};

struct layers {
  struct gie_context *ctx;
  struct layer_item *items;
  struct layer_edge *edges;
  size_t n_items, cap_items, n_edges, cap_edges;
  uint32_t n_ranks;
  double width;
};

/* Items are added in topological order; ranks follow from the edges, which are added before items behind them. */
gie_status layers_item(struct layers *l, uint32_t tag, double width, uint32_t *out);
gie_status layers_edge(struct layers *l, uint32_t from, uint32_t to, uint32_t tag);
/* Cuts long edges by bends, orders each layer and sets x. */
gie_status layers_place(struct layers *l);
void layers_free(struct layers *l);

#endif
