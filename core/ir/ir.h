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
  uint32_t n_views; /* values whose view.base is this one */
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
  struct gie_map names;       /* value name → id */
  uint32_t fresh;             /* counter for fresh names */
  struct gie_op **opaque_ops; /* one op struct per opaque name */
  size_t n_opaque, cap_opaque;
  uint32_t depth;            /* nesting of a body; 0 at the top */
  struct gie_graph **bodies; /* owned: graphs of attributes */
  size_t n_bodies, cap_bodies;
  struct gie_blob **blobs; /* references held by tensor attributes */
  size_t n_blobs, cap_blobs;
};

static inline struct ir_value *ir_value(const struct gie_graph *g, gie_id id)
{
  return id < g->n_values ? g->values[id] : NULL;
}
/* NULL for a removed node too. */
static inline struct ir_node *ir_node(const struct gie_graph *g, gie_id id)
{
  return id < g->n_nodes && !g->nodes[id]->removed ? g->nodes[id] : NULL;
}

/* Graphs as attributes, which a problem has no place for: such a node is neither timed nor found in a cache. */
static inline bool ir_has_bodies(const struct gie_node *n)
{
  return n->n_captures > 0 || (n->op->flags & GIE_OP_BODIES);
}

/* Whether somebody else has a reference, so that its bytes must stay (blob.c). */
bool ir_blob_is_shared(const struct gie_blob *b);
/* Of bytes from gie_alloc(), which are taken over, also on failure. NULL: there was no memory for them. */
gie_status ir_blob_of(struct gie_context *ctx, void *data, size_t size, struct gie_blob **out);
/* A new value with a checked name (NULL: fresh), in the name map (value.c). */
gie_status ir_value_new(struct gie_graph *g, const char *name, enum gie_value_kind kind,
                        struct ir_value **out);
/* Takes a value out of the name map and marks it dead; its constant is released. */
void ir_value_kill(struct gie_graph *g, struct ir_value *v);
/* Operand slots keep the use lists: the only functions that change node->in (node.c). */
gie_status ir_node_append_in(struct gie_graph *g, struct ir_node *n, uint32_t slot, gie_id value);
/* The op struct that stands for an unknown op of that name in this graph. */
gie_status ir_opaque_op(struct gie_graph *g, const char *name, const struct gie_op **out);
/* The live nodes in topological order (order has room for live_nodes), keeping the present one where it can;
 * E_GRAPH with the path of a cycle (graph.c). */
gie_status ir_graph_order(const struct gie_graph *g, gie_id *order);
/* Rebuilds the name map from the live values. */
gie_status ir_index_names(struct gie_graph *g);

/* Element i of an integer or bool array; false for another dtype and where an u64 does not fit (value.c). */
bool ir_int_at(enum gie_dtype dtype, const char *p, size_t i, int64_t *out);

/* ---- Built-in ops (ops.c) */

const struct gie_op *ir_builtin_op(unsigned i); /* NULL past the end */
/* By name; NULL when the op is not built in. gie_op_find() adds the ops of modules. */
const struct gie_op *ir_builtin_find(const char *name);
/* ONNX name, tier and operand names of a built-in op, for importers and documentation. */
struct ir_op_doc {
  const char *onnx, *operands;
  int tier;
};
const struct ir_op_doc *ir_builtin_doc(unsigned i);
const struct ir_op_doc *ir_op_doc(const struct gie_op *op); /* NULL: not built in */
/* Declaration of operand i of a built-in op: "b?" is optional, "axes:i64" has a dtype of its own. */
struct ir_operand {
  const char *name;
  int name_len;
  bool optional;
  uint32_t dtypes; /* GIE_DT set; 0: that of operand 0 */
};
bool ir_op_operand(const struct gie_op *op, uint32_t i, struct ir_operand *out); /* false: none is declared */

/* ---- Checks and inference of one node. Messages name the node. */

/* Arity, attribute names, kinds and presence, steps, against the op (check.c). */
gie_status ir_check_node(const struct gie_graph *g, const struct gie_node *n);
/* The same; *rule is the rule of doc/ir.md that is broken. */
gie_status ir_check_node_rule(const struct gie_graph *g, const struct gie_node *n, const char **rule);
/* Types of the results from those of the operands, epilogue included; out has room for n_out. The elements
 * of result 0 go to known (room for GIE_MAX_KNOWN), *n_known stays UINT32_MAX when they are not known
 * (infer.c). An opaque node's results keep the types they have. */
gie_status ir_infer_types(const struct gie_graph *g, const struct gie_node *n, struct gie_type *out,
                          struct gie_dim *known, uint32_t *n_known);
/* Types of the results if operands had other element types: as[i] of operand i of n->in, NONE: its own. out has room for
 * n_out. Attributes stay: a cast yields what it says. The message does not name the node. */
gie_status ir_infer_as(const struct gie_graph *g, const struct gie_node *n, const enum gie_dtype *as,
                       struct gie_type *out);
/* Infers and writes types and known elements into the results. What inference does not know stays as it
 * was; what it knows replaces the old. */
gie_status ir_infer_node(struct gie_graph *g, struct ir_node *n);
/* The same for a node whose results have declared types: E_SHAPE or E_TYPE when inference contradicts one. */
gie_status ir_infer_declared(struct gie_graph *g, struct ir_node *n);
/* Two statements about one tensor: *out takes from each what it knows, numbers before symbols. false when
 * they contradict each other. */
bool ir_type_merge(const struct gie_type *a, const struct gie_type *b, struct gie_type *out);

/* Copies attributes into the graph's arena (bodies are cloned) (attrs.c). */
gie_status ir_copy_attrs(struct gie_graph *g, const struct gie_attrs *from, struct gie_attrs *to);
/* Adds or overwrites one attribute of a list, takes one out. */
gie_status ir_attrs_set(struct gie_graph *g, struct gie_attrs *attrs, const struct gie_attr *attr);
gie_status ir_attrs_unset(struct gie_graph *g, struct gie_attrs *attrs, const char *name);
/* Clone that becomes a body at that nesting depth; E_LIMIT when its own bodies get too deep (clone.c). */
gie_status ir_clone_at_depth(const struct gie_graph *g, uint32_t depth, struct gie_graph **out);
/* .gie (with .weights beside it) and .dot, by suffix (text_file.c). Reading takes .gie only and
 * verifies; messages begin with the path. */
bool ir_is_text_path(const char *path);
gie_status ir_read_file(struct gie_context *ctx, const char *path, struct gie_graph **out);
gie_status ir_write_file(const struct gie_graph *g, const char *path);
/* "node 17 \"conv1\" (conv)" for messages. */
const char *ir_node_label(const struct gie_node *n, char *buf, size_t size);

#endif
