/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the ONNX importer share; the exporter's are in export.h.
 *
 *     onnx.c      module, the model as a whole          order.c     topological order, free names
 *     schema.c    table for the pre-scan                function.c  inlining of model-local functions
 *     tensor.c    tensors and their payloads            opaque.c    nodes that stay as they are
 *     type.c      element types, dims, symbols          emit.c      adding nodes and constants
 *     attr.c      attributes                            ops.c       table of operators
 *     graph.c     one graph: inputs, nodes, outputs     lower_*.c   ONNX forms → canonical IR
 */
#ifndef GIE_PLUGINS_ONNX_H
#define GIE_PLUGINS_ONNX_H

#include "core/base/base.h"
#include "plugins/common/prescan.h"
#include "plugins/onnx/onnx.pb-c.h"

#define ONNX_MIN_OPSET 1
#define ONNX_MAX_OPSET 21
#define ONNX_OPEN_FILES 8         /* external data files kept open */
#define ONNX_MAX_CALLS (1u << 16) /* function calls inlined in one model */
#define ONNX_MAX_CALL_DEPTH 32
#define ONNX_MAX_ATTRS 1000 /* of a node: they are searched one by one */
#define ONNX_MAX_SETS 1000  /* operator sets imported, entries of metadata */

/* Values of Tensor.data_type, TensorType.elem_type and the attribute `to` of Cast. */
enum onnx_dtype {
  ONNX_FLOAT = 1,
  ONNX_UINT8,
  ONNX_INT8,
  ONNX_UINT16,
  ONNX_INT16,
  ONNX_INT32,
  ONNX_INT64,
  ONNX_STRING,
  ONNX_BOOL,
  ONNX_FLOAT16,
  ONNX_DOUBLE,
  ONNX_UINT32,
  ONNX_UINT64,
  ONNX_COMPLEX64,
  ONNX_COMPLEX128,
  ONNX_BFLOAT16
};

/* Values of Attribute.type. */
enum onnx_attr_type {
  ONNX_A_FLOAT = 1,
  ONNX_A_INT,
  ONNX_A_STRING,
  ONNX_A_TENSOR,
  ONNX_A_GRAPH,
  ONNX_A_FLOATS,
  ONNX_A_INTS,
  ONNX_A_STRINGS,
  ONNX_A_TENSORS,
  ONNX_A_GRAPHS,
  ONNX_A_SPARSE_TENSOR,
  ONNX_A_SPARSE_TENSORS,
  ONNX_A_TYPE,
  ONNX_A_TYPES
};

struct onnx_file {
  const char *name; /* NULL: free slot */
  int fd;
  uint64_t size;
};

/* One import. */
struct onnx_import {
  struct gie_context *ctx;
  const struct gie_source *src;
  struct gie_arena arena; /* the parsed model and everything temporary */
  struct prescan scan;
  const Onnx__Model *model;
  struct gie_map functions;     /* "domain::name:overload" → index in model->functions */
  const struct onnx_call *call; /* innermost function being inlined */
  uint32_t n_calls;
  struct onnx_file files[ONNX_OPEN_FILES];
  unsigned next_file;
};

/* A named attribute after references to a function's attributes were resolved. */
struct onnx_attr {
  const char *name;
  const Onnx__Attribute *a;
};

/* A function on the way of being inlined. */
struct onnx_call {
  const struct onnx_call *outer;
  const Onnx__Function *function;
  const struct onnx_attr *attrs;
  size_t n_attrs;
  const char *prefix;   /* of the names of its values */
  const char **outputs; /* the caller's names of its results; "" where not wanted */
  size_t n_outputs;
};

/* A list of nodes under import into a graph: the model's graph, a body, or a function's nodes. */
struct onnx_scope {
  struct onnx_import *im;
  struct gie_graph *g;
  const Onnx__Graph *proto;     /* NULL in a function */
  const struct onnx_call *call; /* function whose nodes these are, or NULL */
  Onnx__Node *const *nodes;
  size_t n_nodes;
  Onnx__OperatorSet *const *opsets; /* what the nodes' operators are versions of */
  size_t n_opsets;
  Onnx__ValueInfo *const *infos;
  size_t n_infos;
  struct gie_map values;   /* ONNX name → value of g */
  struct gie_map produced; /* ONNX name → index of the node that makes it */
  struct gie_map *taken;   /* names of g that are still to come, so that no fresh name takes them */
  struct gie_map info_map; /* ONNX name → index in infos, made when first needed */
  bool has_info_map;
  unsigned depth; /* nesting of the graph as a body */
};

struct onnx_op;

/* One node under import. `in` has no trailing omitted operands, `n_out` no trailing unwanted results. */
struct onnx_node {
  struct onnx_import *im;
  struct gie_context *ctx;
  struct onnx_scope *scope;
  struct gie_graph *g;
  const Onnx__Node *proto;
  const struct onnx_op *op;
  int64_t opset; /* of the operator's domain */
  struct onnx_attr *attrs;
  size_t n_attrs;
  gie_id *in;
  uint32_t n_in;
  uint32_t n_out;
  const char *reason; /* why it has to stay opaque; set by onnx_refuse() */
};

/* A row of the table of operators (op_list.h). `attrs`: "name:k" per attribute, separated by spaces, k the kind
 * (i f s t I F S, ? any); "!" behind it: required; "name=other:k": the IR calls it so; "name-:k": read by
 * `lower`, or without meaning. */
struct onnx_op {
  const char *name;
  int since; /* first opset whose form `lower` understands */
  const char *ir_op;
  const char *attrs;
  gie_status (*lower)(struct onnx_node *n);
};

/* ---- Attributes to be given to a node of the IR */

struct onnx_attrs {
  struct gie_attr v[16];
  uint32_t n;
};
void onnx_put_int(struct onnx_attrs *l, const char *name, int64_t v);
void onnx_put_float(struct onnx_attrs *l, const char *name, double v);
void onnx_put_string(struct onnx_attrs *l, const char *name, const char *s);
void onnx_put_ints(struct onnx_attrs *l, const char *name, const int64_t *v, uint32_t n);

/* ---- schema.c, onnx.c */

extern const struct gie_format onnx_format;
extern const struct pre_message onnx_schema_model;
/* Version of the operator set of a domain in scope; 0: not imported. "ai.onnx" is the default domain. */
int64_t onnx_opset(const struct onnx_scope *s, const char *domain);
bool onnx_default_domain(const char *domain);
const char *onnx_str(const char *s); /* "" for NULL */

/* ---- type.c */

int32_t onnx_data_type(enum gie_dtype dtype);   /* ONNX's number, 0 for GIE_DTYPE_NONE */
enum gie_dtype onnx_dtype(int32_t data_type);   /* GIE_DTYPE_NONE: not one of ours */
const char *onnx_dtype_name(int32_t data_type); /* "string", "f8e4m3fn", …; NULL: no such type */
/* Type of a graph input: named dims become symbols, dims without a name a symbol called after the input. */
gie_status onnx_input_type(struct onnx_scope *s, const Onnx__ValueInfo *v, struct gie_type *out);
/* What value_info or the outputs say about a value; unknown where they are silent. */
gie_status onnx_declared_type(struct onnx_scope *s, const char *name, struct gie_type *out);
/* What an output is declared as. `define`: names of dims that are new become symbols, else unknown dims. */
gie_status onnx_output_type(struct onnx_scope *s, const Onnx__ValueInfo *v, bool define,
                            struct gie_type *out);
/* Gives a result, which is listed as an output, what is declared of it and not known; E_TYPE when the two contradict. */
gie_status onnx_take_declared(struct onnx_scope *s, const Onnx__ValueInfo *info, gie_id id, bool dims);
/* What is not known of a type, dims only if wanted, is as in the other one. */
void onnx_fill_type(struct gie_type *type, const struct gie_type *from, bool dims);
/* "a sequence", "a tensor of strings", …; NULL if the type is one the IR has. */
const char *onnx_foreign_type(const Onnx__Type *t);

/* ---- tensor.c */

/* Type and bytes; the caller unrefs data->blob. E_UNSUPPORTED for an element type that the IR lacks. */
gie_status onnx_tensor(struct onnx_import *im, const Onnx__Tensor *t, struct gie_type *type,
                       struct gie_const *data);
gie_status onnx_tensor_const(struct onnx_scope *s, const Onnx__Tensor *t, const char *name, gie_id *out);
void onnx_close_files(struct onnx_import *im);
gie_status onnx_external(struct onnx_import *im, const Onnx__Tensor *t, uint64_t bytes, int *fd,
                         const char **path, uint64_t *offset);

/* ---- attr.c */

/* Resolves the attributes of a node and checks that none is there twice. */
gie_status onnx_resolve_attrs(struct onnx_scope *s, const Onnx__Node *node, struct onnx_attr **out,
                              size_t *n);
int onnx_attr_type(const Onnx__Attribute *a); /* enum onnx_attr_type, 0: none */
/* Reads the next "name[-|=other]:k[!]" of a row's attributes; false at the end. */
struct onnx_spec {
  char onnx[40], ir[40];
  int type;
  bool required, plain;
};
bool onnx_next_spec(const char **text, struct onnx_spec *out);
/* Checks a node's attributes against its operator's row; one that is not in it makes the node opaque. */
gie_status onnx_check_attrs(struct onnx_node *n);
/* Gives every attribute that is the IR's to `l`. */
gie_status onnx_plain_attrs(struct onnx_node *n, struct onnx_attrs *l);
const Onnx__Attribute *onnx_attr_find(const struct onnx_node *n, const char *name);
int64_t onnx_attr_int(const struct onnx_node *n, const char *name, int64_t def);
double onnx_attr_float(const struct onnx_node *n, const char *name, double def);
/* A copy in the arena, NUL-terminated; `def` when it is not given, NULL when out of memory. */
const char *onnx_attr_string(const struct onnx_node *n, const char *name, const char *def);
/* NULL: not given. */
const int64_t *onnx_attr_ints(const struct onnx_node *n, const char *name, uint32_t *count);

/* ---- graph.c */

gie_status onnx_scope_init(struct onnx_scope *s);
void onnx_scope_free(struct onnx_scope *s);
/* Imports the nodes of a scope whose inputs are in place. */
gie_status onnx_nodes(struct onnx_scope *s);
/* Imports a whole graph. `captures` (names and types) become inputs after its own. */
struct onnx_capture {
  const char *name;
  gie_id value; /* in the graph round it */
};
gie_status onnx_graph(struct onnx_import *im, const Onnx__Graph *proto, const struct onnx_scope *outer,
                      const struct onnx_capture *captures, size_t n_captures, struct gie_graph **out);
/* The name in g of an ONNX value of this scope, in the arena; NULL when out of memory. */
const char *onnx_value_name(struct onnx_scope *s, const char *name);
/* Says that the caller of a function leaves out its input `name`. */
gie_status onnx_omit(struct onnx_scope *s, const char *name);
/* Makes `value` known as the node's result i. */
gie_status onnx_bind(struct onnx_node *n, uint32_t i, gie_id value);

/* ---- order.c */

/* Fills order[0..n_nodes) so that every node comes after those whose results it reads. */
gie_status onnx_order(struct onnx_scope *s, uint32_t *order);
/* Names that a node's bodies read from outside, in order of first use; in the arena. */
struct onnx_names {
  const char **v;
  size_t n, cap;
  struct gie_map seen;
};
gie_status onnx_free_names(struct onnx_import *im, const Onnx__Node *node, struct onnx_names *out);
void onnx_names_free(struct onnx_names *n);
bool onnx_has_bodies(const Onnx__Node *node);

/* ---- function.c, opaque.c */

gie_status onnx_index_functions(struct onnx_import *im);
const Onnx__Function *onnx_find_function(struct onnx_import *im, const Onnx__Node *node);
gie_status onnx_inline(struct onnx_node *n, const Onnx__Function *f);
/* Adds the node as it is, with its reason and opset as notes. */
gie_status onnx_opaque(struct onnx_node *n);
/* The same for a constant whose element type the IR does not have. */
gie_status onnx_opaque_const(struct onnx_scope *s, const char *name, const char *reason);

/* ---- emit.c */

/* Records why the node cannot be lowered; it will be kept opaque. Returns GIE_OK: `return onnx_refuse(…)`. */
GIE_PRINTF(2, 3) gie_status onnx_refuse(struct onnx_node *n, const char *fmt, ...);
/* Adds a node with one result on the way; `what` becomes part of its name. */
gie_status onnx_step(struct onnx_node *n, const char *what, const char *op, const gie_id *in, uint32_t n_in,
                     const struct onnx_attrs *attrs, gie_id *out);
/* Adds the node that makes the results. */
gie_status onnx_result(struct onnx_node *n, const char *op, const gie_id *in, uint32_t n_in,
                       const struct onnx_attrs *attrs);
/* Constants: a list of i64, and a scalar of a dtype. */
gie_status onnx_const_ints(struct onnx_node *n, const char *what, const int64_t *v, uint32_t count,
                           gie_id *out);
gie_status onnx_const_scalar(struct onnx_node *n, const char *what, enum gie_dtype dtype, double v,
                             gie_id *out);
/* f32/f16/… list of the given shape. */
gie_status onnx_const_floats(struct onnx_node *n, const char *what, const struct gie_type *type,
                             const double *v, gie_id *out);
/* A name not in use in the graph, now or later: "<first result>.<what>". NULL when out of memory. */
const char *onnx_fresh_name(struct onnx_node *n, const char *what);
/* The name for result i in the graph; unwanted ones get one of their own. NULL when out of memory. */
const char *onnx_result_name(struct onnx_node *n, uint32_t i);
/* Operand i, or GIE_NONE when there is none. */
gie_id onnx_in(const struct onnx_node *n, uint32_t i);
const struct gie_type *onnx_type(const struct onnx_node *n, gie_id value);
int onnx_rank(const struct onnx_node *n, gie_id value); /* -1: not known */
/* The constant behind a value, through identity nodes; GIE_NONE if it is none. */
gie_id onnx_const_of(const struct onnx_node *n, gie_id value);

/* ---- ops.c, lower_*.c */

const struct onnx_op *onnx_find_op(const char *name);
/* The row whose operator an op of the IR is; NULL when no single one is. */
const struct onnx_op *onnx_op_of(const char *ir_op);

gie_status onnx_lower_if(struct onnx_node *n); /* opaque.c */
gie_status onnx_lower_plain(struct onnx_node *n);
gie_status onnx_lower_binary(struct onnx_node *n);
gie_status onnx_lower_prelu(struct onnx_node *n);
gie_status onnx_lower_clip(struct onnx_node *n);
gie_status onnx_lower_cast(struct onnx_node *n);
gie_status onnx_lower_cast_like(struct onnx_node *n);
gie_status onnx_lower_constant(struct onnx_node *n);
gie_status onnx_lower_constant_of_shape(struct onnx_node *n);
gie_status onnx_lower_mod(struct onnx_node *n);
gie_status onnx_lower_affine(struct onnx_node *n);
gie_status onnx_lower_image_scaler(struct onnx_node *n);

gie_status onnx_lower_conv(struct onnx_node *n);
gie_status onnx_lower_conv_transpose(struct onnx_node *n);
gie_status onnx_lower_pool(struct onnx_node *n);
gie_status onnx_lower_batch_norm(struct onnx_node *n);
gie_status onnx_lower_dropout(struct onnx_node *n);
gie_status onnx_lower_layer_norm(struct onnx_node *n);
gie_status onnx_lower_gelu(struct onnx_node *n);
gie_status onnx_lower_softmax(struct onnx_node *n);

gie_status onnx_lower_reduce(struct onnx_node *n);
gie_status onnx_lower_concat(struct onnx_node *n);
gie_status onnx_lower_split(struct onnx_node *n);
gie_status onnx_lower_slice(struct onnx_node *n);
gie_status onnx_lower_crop(struct onnx_node *n);
gie_status onnx_lower_axes(struct onnx_node *n);
gie_status onnx_lower_reshape(struct onnx_node *n);
gie_status onnx_lower_pad(struct onnx_node *n);
gie_status onnx_lower_resize(struct onnx_node *n);
gie_status onnx_lower_upsample(struct onnx_node *n);

#endif
