/* SPDX-License-Identifier: Apache-2.0 */
/* The graph as the core sees it. Public parts are in gie/graph.h; this header adds the storage and
 * the functions that only the core uses. */
#ifndef GIE_CORE_IR_H
#define GIE_CORE_IR_H

#include "core/base/base.h"
#include <gie/graph.h>

/* A use of a value, linked in the order uses were made. One per entry of node->in. */
struct ir_use {
  gie_id node;
  uint32_t slot;
  struct ir_use *prev, *next;
};

struct ir_value {
  struct gie_value pub; /* first: const struct gie_value * casts back */
  struct ir_use *first_use, *last_use;
};

struct ir_node {
  struct gie_node pub; /* first */
  bool removed;
  uint32_t in_cap, step_cap;
  struct ir_use **uses; /* uses[slot], NULL where in[slot] is GIE_NONE */
};

/* Values and nodes are allocated in the arena and found through pointer tables, so that the structs
 * handed out stay where they are while the graph grows. */
struct gie_graph {
  struct gie_context *ctx;
  struct gie_arena arena;
  const char *name;
  struct ir_value **values;
  struct ir_node **nodes;
  size_t n_values, cap_values, n_nodes, cap_nodes, live_nodes;
  gie_id first, last;
  gie_id *inputs, *outputs;
  size_t n_inputs, cap_inputs, n_outputs, cap_outputs;
  const char **symbols;
  size_t n_symbols, cap_symbols;
  struct gie_attrs meta;
  struct gie_map names; /* value name → id */
  uint32_t fresh;       /* counter for fresh names */
  struct gie_op **opaque_ops; /* one op struct per opaque name */
  size_t n_opaque, cap_opaque;
  uint32_t depth;       /* nesting of a body; 0 at the top */
};

/* Ops of ops.def, then those that modules registered (core/module keeps the list). */
const struct gie_op *ir_builtin_op(unsigned i); /* NULL past the end */
/* ONNX name, tier and operand names of a built-in op, for importers and documentation. */
struct ir_op_doc {
  const char *onnx, *operands;
  int tier;
};
const struct ir_op_doc *ir_builtin_doc(unsigned i);

/* Inference of one node on a graph (types of operands from the graph, results written back). */
gie_status ir_infer_node(struct gie_graph *g, struct ir_node *n);
/* Checks arity, attribute names, kinds and presence against the op. */
gie_status ir_check_node(const struct gie_graph *g, const struct gie_node *n);
/* Copies attributes into the graph's arena (bodies are cloned). */
gie_status ir_copy_attrs(struct gie_graph *g, const struct gie_attrs *from, struct gie_attrs *to);
/* "node 17 \"conv1\" (conv)" for messages. */
const char *ir_node_label(const struct gie_node *n, char *buf, size_t size);

/* Fails with the node named: GIE_E_SHAPE "node 17 "conv1" (conv): <text>". */
GIE_PRINTF(3, 4) gie_status ir_node_fail(const struct gie_infer *x, gie_status status, const char *fmt, ...);

#endif
