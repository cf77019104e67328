/* SPDX-License-Identifier: Apache-2.0 */
/* Which kernel would take each node, and what a graph's values weigh. */
#ifndef GIE_TOOLS_KERNELS_H
#define GIE_TOOLS_KERNELS_H

#include "tools/tool.h"

/* One node; by id. */
struct node_fit {
  const char *kernel; /* NULL: none */
  const char *reason; /* why none, NULL otherwise */
};

struct fits {
  uint32_t n;
  struct node_fit *v;
};

/* Asks the kernels of the CPU about every node. Symbols count as 1; where a node's dims are not known even
 * so, a kernel that names the op is enough. Memory lives as long as the command. */
gie_status fits_find(struct tool *t, const struct gie_graph *g, struct fits *out);

/* A dim with every symbol 1; false when it is unknown. */
bool dim_number(struct gie_dim d, int64_t *out);
/* True when a dim of some value is a symbol or unknown. */
bool graph_has_symbols(const struct gie_graph *g);

/* How often each op occurs, most frequent first, bodies included. */
struct op_count {
  const char *op;
  uint32_t n;
};
struct measures {
  uint32_t n_ops, n_nodes; /* n_nodes counts the graph's own nodes */
  struct op_count *ops;
  uint64_t const_bytes, peak_bytes; /* of constants; of results that live at the same time */
  uint32_t n_consts, n_unknown;     /* values whose size is not known do not count */
  gie_id peak_node;                 /* where the peak is */
};
gie_status measures_take(struct tool *t, const struct gie_graph *g, struct measures *out);

#endif
