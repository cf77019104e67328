/* SPDX-License-Identifier: Apache-2.0 */
/* The graph: values and nodes addressed by id, read through const structs, edited through functions.
 *
 * Values are tensors: a graph input, a constant, or the result of one node. Nodes are operations of
 * the op registry (core/ir/ops.def, plus ops that modules register). Nodes are kept in one linked
 * order that is topological after gie_graph_verify() succeeds.
 *
 * Ownership: the graph owns everything reachable from it; the strings and arrays passed in are
 * copied. A const struct pointer stays valid until the value or node is removed or the graph is
 * compacted or freed, and always shows the present state.
 *
 * Threads: a graph is used by one thread at a time; several threads may read one that nobody edits.
 *
 * This header serves programs that link libgie-rt and modules alike. In a module (GIE_MODULE_BUILD
 * defined before the include, see gie/module.h) the functions are inline calls through the host's
 * "gie.graph" table, so the same source builds either way. graph_list.h is their only list. */
#ifndef GIE_GRAPH_H
#define GIE_GRAPH_H

#include <gie/base.h>
#include <gie/status.h>
#include <gie/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gie_graph;
struct gie_blob;

/* Fixed limits; importers, readers and the verifier refuse more with E_LIMIT. */
#define GIE_MAX_NODES (1u << 20)
#define GIE_MAX_NAME 4096
#define GIE_MAX_BODY_DEPTH 32
#define GIE_MAX_KNOWN 64 /* elements of an integer value that shape inference tracks */

/* ---- Attributes --------------------------------------------------------------------------- */

enum gie_attr_kind {
  GIE_ATTR_INT,     /* i */
  GIE_ATTR_FLOAT,   /* f */
  GIE_ATTR_STRING,  /* s (n bytes, NUL-terminated, may contain NULs only in opaque nodes) */
  GIE_ATTR_DTYPE,   /* i holds an enum gie_dtype */
  GIE_ATTR_INTS,    /* is[n] */
  GIE_ATTR_FLOATS,  /* fs[n] */
  GIE_ATTR_STRINGS, /* ss[n] */
  GIE_ATTR_TENSOR,  /* t */
  GIE_ATTR_GRAPH,   /* g: a body; its free values are captures, see struct gie_node */
};

/* Element type and shape. */
struct gie_type {
  enum gie_dtype dtype;
  struct gie_shape shape;
};

/* Bytes of a constant: [offset, offset+size) of a shared, reference-counted blob; dense row-major. */
struct gie_const {
  struct gie_blob *blob; /* NULL: not a constant */
  size_t offset, size;
};

struct gie_tensor_attr {
  struct gie_type type;
  struct gie_const data;
};

struct gie_attr {
  const char *name;
  enum gie_attr_kind kind;
  uint32_t n; /* elements of an array kind, bytes of a string; else 0 */
  union {
    int64_t i;
    double f;
    const char *s;
    const int64_t *is;
    const double *fs;
    const char *const *ss;
    const struct gie_tensor_attr *t;
    struct gie_graph *g;
  } u;
};

struct gie_attrs {
  uint32_t n;
  const struct gie_attr *v;
};

/* ---- Ops ---------------------------------------------------------------------------------- */

struct gie_infer;

enum gie_op_flags {
  GIE_OP_POINTWISE = 1u << 0,      /* one output; out[i] depends on in[..][i] (broadcast); may be a step */
  GIE_OP_COMMUTATIVE = 1u << 1,    /* two operands in either order */
  GIE_OP_EPILOGUE = 1u << 2,       /* accumulates (conv, gemm, …): may carry an epilogue */
  GIE_OP_OPAQUE = 1u << 3,         /* unknown op carried through with raw attributes */
  GIE_OP_DATA_DEPENDENT = 1u << 4, /* output shape may depend on the values of an operand */
  GIE_OP_IMPURE = 1u << 5,         /* never folded, merged or removed as dead (side effect, randomness) */
  GIE_OP_BODIES = 1u << 6 /* its graphs have the captures as inputs and the results as outputs, no others */
};

/* One attribute that an op understands. GIE_REQUIRED: must be given. GIE_OPTIONAL: may be absent and
 * has no default (arrays: the op says what absence means). GIE_DEFAULT: absent means `num` (numbers,
 * dtypes) or `text` (strings). */
enum gie_attr_presence { GIE_REQUIRED, GIE_OPTIONAL, GIE_DEFAULT };
struct gie_attr_spec {
  const char *name;
  enum gie_attr_kind kind;
  enum gie_attr_presence presence;
  double num;
  const char *text;
};

/* A row of the op registry. Static storage; structs grow only at the end (struct_size first). */
struct gie_op {
  size_t struct_size;
  const char *name; /* text-form name: "conv", or "domain::Name" for custom and opaque ops */
  uint32_t flags;
  uint16_t min_in, max_in;                  /* operands; max UINT16_MAX: any number */
  uint16_t min_out, max_out;                /* results */
  uint32_t dtypes;                          /* GIE_DT set accepted for operand 0 (0: any) */
  const struct gie_attr_spec *attrs;        /* ended by name == NULL; may be NULL */
  gie_status (*infer)(struct gie_infer *x); /* fills x->out; NULL only for opaque ops */
  const char *help;                         /* one line for the documentation */
};

/* What a shape function sees. It fills out[0..n_out): dtype and shape. `known_in[i]` (if not NULL)
 * lists the elements of a small integer operand as dims, constants and shape arithmetic alike;
 * a shape function that can, fills known_out[0] and sets *n_known_out (shape, gather, concat …). */
struct gie_infer {
  size_t struct_size;
  struct gie_context *ctx;
  const struct gie_graph *graph;
  const struct gie_node *node;
  uint32_t n_in;
  const struct gie_type *in; /* an omitted operand has dtype GIE_DTYPE_NONE, rank -1 */
  const struct gie_dim *const *known_in;
  const uint32_t *n_known_in;
  uint32_t n_out;
  struct gie_type *out;
  struct gie_dim *known_out; /* room for GIE_MAX_KNOWN, belongs to output 0 */
  uint32_t *n_known_out;     /* stays UINT32_MAX: not known */
};

/* ---- Values and nodes --------------------------------------------------------------------- */

enum gie_value_kind {
  GIE_VALUE_DEAD,  /* removed; the id is not used again before a compaction */
  GIE_VALUE_INPUT, /* graph input */
  GIE_VALUE_CONST, /* data.blob holds the bytes */
  GIE_VALUE_RESULT /* result `out_index` of node `producer` */
};

/* Quantization: real = (q - zero) * scale; axis -1 and n == 1 per tensor, else one pair per index
 * of `axis`. n == 0: not quantized. */
struct gie_quant {
  uint32_t n;
  int32_t axis;
  const float *scale;
  const int32_t *zero;
};

/* Storage of a value as a range of another one: indices [offset, offset+extent) along `axis` of
 * `base`. A storage decision only: it never changes what a node computes. A base is never itself a
 * view. Two uses: the operands of a concat are views of its result (the producers write in place,
 * the concat costs nothing), or the results of a split or slice are views of its operand. */
struct gie_view {
  gie_id base; /* GIE_NONE: own storage */
  int32_t axis;
  int64_t offset, extent;
};

struct gie_value {
  gie_id id;
  const char *name; /* unique in the graph; any bytes but NUL, ≤ GIE_MAX_NAME */
  enum gie_value_kind kind;
  struct gie_type type;
  struct gie_layout layout;
  struct gie_const data; /* constants only */
  gie_id producer;       /* results only, else GIE_NONE */
  uint32_t out_index;
  struct gie_quant quant;
  struct gie_view view;
  uint32_t n_outputs; /* how often it is listed as a graph output */
  uint32_t n_uses;    /* operand slots that read it, in this graph */
  uint32_t n_known;   /* UINT32_MAX: elements not known */
  const struct gie_dim *known;
};

/* One epilogue step on the (accumulated) result: r = op(r), op(r, in[operand]), or with `reverse`
 * op(in[operand], r). The operand broadcasts to the result and never enlarges it. */
struct gie_step {
  const struct gie_op *op;
  int32_t operand; /* index into node->in, or -1 */
  bool reverse;
  struct gie_attrs attrs;
};

struct gie_node {
  gie_id id;
  const char *name; /* may repeat; used in messages. Never NULL or empty */
  const struct gie_op *op;
  /* in[0..n_operands)               the op's operands, GIE_NONE where an optional one is omitted
   * then one entry for each step that has an operand
   * then n_captures                 values of this graph that the bodies read */
  uint32_t n_in, n_operands, n_captures;
  const gie_id *in;
  uint32_t n_out;
  const gie_id *out;
  uint32_t n_steps;
  const struct gie_step *steps;
  struct gie_attrs attrs; /* only those that were given; defaults are in the op's specs */
  struct gie_attrs notes; /* choices and hints (kernel, device, stream): no meaning for the result */
  gie_id prev, next;
};

/* What gie_node_add() takes. Unset fields are zero; strings and arrays are copied. */
struct gie_node_spec {
  size_t struct_size;
  const char *op;   /* name in the registry */
  const char *name; /* NULL: named after its first output */
  uint32_t n_in;
  const gie_id *in;
  uint32_t n_out;               /* 0: the op's minimum */
  const char *const *out_names; /* NULL, or n_out names; a NULL entry gets a fresh name */
  uint32_t n_attrs;
  const struct gie_attr *attrs;
  bool opaque;   /* accept an op that nobody knows; its results have no type until set */
  gie_id before; /* node to insert before; 0-initialized spec means node 0, so use GIE_NODE_SPEC */
  const struct gie_type *out_types; /* opaque only: declared types, or NULL */
};
#define GIE_NODE_SPEC(op_name)                                                                    \
  {                                                                                               \
    sizeof(struct gie_node_spec), op_name, NULL, 0, NULL, 0, NULL, 0, NULL, false, GIE_NONE, NULL \
  }

/* A use of a value: operand slot `slot` of node `node`. */
struct gie_use {
  gie_id node;
  uint32_t slot;
};

#define GIE_FN_LIST <gie/graph_list.h>
#define GIE_FN_TABLE gie_graph_api
#include <gie/fn_declare.h>

/* ---- Header-only readers -------------------------------------------------------------------- */

/* `GIE_FOR_NODES(g, id) { … }` visits the nodes in order; the body must not remove node `id`. */
#define GIE_FOR_NODES(g, id) \
  for (gie_id id = gie_graph_first(g); id != GIE_NONE; id = gie_node_get(g, id)->next)

/* Attribute readers gie_attrs_find, gie_node_int, gie_node_ints, … */
#include <gie/graph_inline.h>

#ifdef __cplusplus
}
#endif
#endif
