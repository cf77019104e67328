/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the ONNX exporter share.
 *
 *     export.c        the model as a whole          export_op.c    ops of the IR → ONNX forms
 *     export_graph.c  graphs, names, types          export_raw.c   nodes that stayed as they were
 *     export_data.c   constants, files beside       wire.c         bytes of protobuf
 *
 * The nodes are written first, for an operator set that is the model's own or the least that the exporter
 * knows the forms of. Where a form turns out to need a later one, all is written again for that. */
#ifndef GIE_PLUGINS_ONNX_EXPORT_H
#define GIE_PLUGINS_ONNX_EXPORT_H

#include "plugins/onnx/onnx.h"

#define EX_LEAST_OPSET 13 /* axes, sizes and bounds are operands from here on */
#define EX_OPSET 18       /* of a graph that comes from elsewhere */

/* Names in use in a graph, and of its values. A body sees those of the graphs round it. */
struct ex_scope {
  const struct gie_graph *g;
  const struct ex_scope *outer;
  struct gie_map taken;
  const char **names;  /* by value */
  bool *used, *folded; /* constants: read by a node, replaced by an attribute */
};

/* One export. */
struct ex {
  struct gie_context *ctx;
  const struct gie_graph *g;
  struct gie_arena arena; /* of one attempt */
  const char *path;
  int fd;
  int64_t opset, need;    /* as written now, and what the forms asked for */
  struct gie_map domains; /* name → version, of the other operator sets */
  const char **domain;
  size_t n_domains, cap_domains;
  struct ex_scope *top;
  struct gie_map scalars; /* constants of the exporter, in the top graph: content → index */
  const char **scalar;    /* names */
  size_t n_scalars, cap_scalars;
  struct gie_buf nodes, extra, infos; /* fields of the top graph: nodes, those constants, types */
};

/* ---- wire.c */

void wire_int(struct gie_buf *b, int field, int64_t v);
void wire_tag(struct gie_buf *b, int field, int wire_type);
void wire_varint(struct gie_buf *b, uint64_t v);
void wire_bytes(struct gie_buf *b, int field, const void *p, size_t n);
void wire_text(struct gie_buf *b, int field, const char *s);
/* Puts a finished message into the field and frees it; its failure becomes b's. */
void wire_message(struct gie_buf *b, int field, struct gie_buf *m);

/* ---- Attributes (wire.c): fields of a node */

void wire_attr_int(struct gie_buf *node, const char *name, int64_t v);
void wire_attr_float(struct gie_buf *node, const char *name, double v);
void wire_attr_string(struct gie_buf *node, const char *name, const char *s, size_t n);
void wire_attr_ints(struct gie_buf *node, const char *name, const int64_t *v, uint32_t n);

/* ---- export_graph.c */

gie_status ex_scope_init(struct ex *x, struct ex_scope *s, const struct gie_graph *g,
                         const struct ex_scope *outer, const char *const *input_names);
void ex_scope_free(struct ex_scope *s);
/* A name like "<base>.<what>" that nothing has; NULL when out of memory. */
const char *ex_fresh(struct ex *x, struct ex_scope *s, const char *base, const char *what);
/* Name of an operand, "" for GIE_NONE; notes that it is read. */
const char *ex_name(struct ex_scope *s, gie_id value);
/* Fields node, value_info of one graph, in order. */
gie_status ex_nodes(struct ex *x, struct ex_scope *s, struct gie_buf *out, struct gie_buf *infos);
/* Fields input and output. The first n_inputs inputs are its own, the others captures. */
gie_status ex_interface(struct ex *x, struct ex_scope *s, uint32_t n_inputs, struct gie_buf *out);
/* A whole graph as the content of a message, constants inside. */
gie_status ex_body(struct ex *x, const struct gie_graph *g, struct ex_scope *outer,
                   const struct gie_node *node, struct gie_buf *out);

/* ---- export_op.c, export_raw.c */

/* Begins a node; ex_node_end() puts it into `out`. Operands: "" where one is left out. */
void ex_node_begin(struct ex *x, struct gie_buf *node, const char *const *in, size_t n_in,
                   const char *const *out, size_t n_out);
void ex_node_end(struct gie_buf *out, struct gie_buf *node, const char *name, const char *type,
                 const char *domain);
gie_status ex_op(struct ex *x, struct ex_scope *s, const struct gie_node *n, struct gie_buf *out);
/* An op that ONNX itself does not define, or a node that no op of the IR is. */
bool ex_is_raw(const struct gie_node *n);
gie_status ex_raw(struct ex *x, struct ex_scope *s, const struct gie_node *n, const char *const *results,
                  struct gie_buf *out);
/* The attributes of a node as they are, bodies with what they read from outside by its name there. */
gie_status ex_attrs(struct ex *x, struct ex_scope *s, const struct gie_node *n, struct gie_buf *node);
/* Asks for an operator set of at least that version. */
void ex_need(struct ex *x, int64_t opset);
/* Notes the version of another domain. */
gie_status ex_domain(struct ex *x, const char *domain, int64_t version);

/* ---- export_data.c */

/* A tensor message without its data: dims, data_type, name. */
void ex_tensor_head(struct gie_buf *b, const struct gie_type *type, const char *name);
/* The same with its data inside. */
void ex_tensor(struct gie_buf *b, const struct gie_type *type, const void *data, size_t size,
               const char *name);
/* A tensor as an attribute of a node. */
void ex_attr_tensor(struct gie_buf *node, const char *name, const struct gie_type *type,
                    const struct gie_const *data);
/* Name of a constant of the exporter with one element. NULL: out of memory. */
const char *ex_scalar(struct ex *x, enum gie_dtype dtype, double v);
/* Fields initializer of a graph whose nodes are written, data inside. */
gie_status ex_constants(struct ex *x, const struct ex_scope *s, struct gie_buf *out);
/* Whether a constant is still wanted. */
bool ex_wants(const struct ex_scope *s, const struct gie_value *v);
/* Writes the model: `head` are its fields before the graph, `graph` those of the graph without constants. */
gie_status ex_write(struct ex *x, struct gie_buf *head, struct gie_buf *graph);

gie_status onnx_export(struct gie_context *ctx, const struct gie_graph *g, const char *path, int fd);

#endif
