/* SPDX-License-Identifier: Apache-2.0 */
/* The module ABI as it was in release 1.0; made by freeze.py, for tests only. */
/* clang-format off */
#ifndef GIE_MODULE_H
#define GIE_MODULE_H
#ifndef GIE_KERNEL_H
#define GIE_KERNEL_H
#ifndef GIE_GRAPH_H
#define GIE_GRAPH_H
#ifndef GIE_BASE_H
#define GIE_BASE_H
#ifndef GIE_STATUS_H
#define GIE_STATUS_H
#ifdef __cplusplus
extern "C" {
#endif
#define GIE_STATUS_LIST(X)                                    \
  X(OK, 0, "success")                                         \
  X(E_NO, 1, "it ran and the answer is no")                   \
  X(E_USAGE, 64, "wrong use of a command or function")        \
  X(E_DATA, 65, "malformed or inconsistent data")             \
  X(E_PARSE, 65, "text or wire format that cannot be parsed") \
  X(E_GRAPH, 65, "graph rule broken")                         \
  X(E_SHAPE, 65, "shapes do not fit")                         \
  X(E_TYPE, 65, "element types do not fit")                   \
  X(E_ATTR, 65, "bad attribute")                              \
  X(E_LIMIT, 65, "input exceeds a fixed limit")               \
  X(E_UNSUPPORTED, 65, "valid, but not supported")            \
  X(E_NOINPUT, 66, "input missing or not a regular file")     \
  X(E_DEVICE, 69, "no such device, or it failed")             \
  X(E_INTERNAL, 70, "a bug in gie or in a module")            \
  X(E_MEMORY, 71, "out of memory")                            \
  X(E_CREATE, 73, "output cannot be created")                 \
  X(E_IO, 74, "reading or writing failed")                    \
  X(E_PERM, 77, "permission denied")                          \
  X(E_CONFIG, 78, "bad configuration")                        \
  X(E_MODULE, 78, "module refused")
typedef enum gie_status {
#define GIE_STATUS_ENUM(name, exit_code, text) GIE_##name,
  GIE_STATUS_LIST(GIE_STATUS_ENUM)
#undef GIE_STATUS_ENUM
} gie_status;
#define GIE_TRY(expr)             \
  do {                            \
    gie_status gie_try_ = (expr); \
    if (gie_try_ != GIE_OK)       \
      return gie_try_;            \
  } while (0)
#ifdef __cplusplus
}
#endif
#endif
#ifndef GIE_TYPES_H
#define GIE_TYPES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
typedef uint32_t gie_id;
#define GIE_NONE UINT32_MAX
#define GIE_DTYPE_LIST(X) \
  X(F32, "f32", 4, 'f')   \
  X(F16, "f16", 2, 'f')   \
  X(BF16, "bf16", 2, 'f') \
  X(F64, "f64", 8, 'f')   \
  X(I8, "i8", 1, 'i')     \
  X(I16, "i16", 2, 'i')   \
  X(I32, "i32", 4, 'i')   \
  X(I64, "i64", 8, 'i')   \
  X(U8, "u8", 1, 'u')     \
  X(U16, "u16", 2, 'u')   \
  X(U32, "u32", 4, 'u')   \
  X(U64, "u64", 8, 'u')   \
  X(BOOL, "bool", 1, 'b')
enum gie_dtype {
  GIE_DTYPE_NONE,
#define GIE_DTYPE_ENUM(name, text, bytes, cls) GIE_##name,
  GIE_DTYPE_LIST(GIE_DTYPE_ENUM)
#undef GIE_DTYPE_ENUM
      GIE_DTYPE_COUNT
};
#define GIE_MAX_RANK 8
#define GIE_DIM_UNKNOWN (UINT32_MAX - 1)
struct gie_dim {
  int64_t a, b;
  uint32_t sym;
};
static inline struct gie_dim gie_dim_num(int64_t n)
{
  struct gie_dim d = {0, n, GIE_NONE};
  return d;
}
static inline struct gie_dim gie_dim_unknown(void)
{
  struct gie_dim d = {0, 0, GIE_DIM_UNKNOWN};
  return d;
}
static inline bool gie_dim_is_num(struct gie_dim d) { return d.sym == GIE_NONE; }
static inline bool gie_dim_is_known(struct gie_dim d) { return d.sym != GIE_DIM_UNKNOWN; }
static inline bool gie_dim_equal(struct gie_dim x, struct gie_dim y)
{
  return x.sym == y.sym && x.sym != GIE_DIM_UNKNOWN && x.a == y.a && x.b == y.b;
}
struct gie_shape {
  int32_t rank;
  struct gie_dim dim[GIE_MAX_RANK];
};
struct gie_layout {
  uint8_t rank;
  uint8_t perm[GIE_MAX_RANK];
  uint8_t block_axis;
  uint16_t block;
  bool any;
};
struct gie_desc {
  enum gie_dtype dtype;
  int32_t rank;
  int64_t dim[GIE_MAX_RANK];
  int64_t stride[GIE_MAX_RANK];
  struct gie_layout layout;
  bool pitched;
};
static inline int64_t gie_desc_offset(const struct gie_desc *d, const int64_t *idx)
{
  int64_t off = 0;
  for (int i = 0; i < d->rank; i++) {
    if (d->layout.block > 1 && i == d->layout.block_axis)
      off += idx[i] / d->layout.block * d->stride[i] + idx[i] % d->layout.block;
    else
      off += idx[i] * d->stride[i];
  }
  return off;
}
static inline int64_t gie_desc_count(const struct gie_desc *d)
{
  int64_t n = 1;
  for (int i = 0; i < d->rank; i++)
    n *= d->dim[i];
  return n;
}
static inline size_t gie_dtype_size(enum gie_dtype t)
{
  switch (t) {
#define GIE_DTYPE_SIZE(name, text, bytes, cls) \
  case GIE_##name:                             \
    return bytes;
    GIE_DTYPE_LIST(GIE_DTYPE_SIZE)
#undef GIE_DTYPE_SIZE
  default:
    return 0;
  }
}
static inline char gie_dtype_class(enum gie_dtype t)
{
  switch (t) {
#define GIE_DTYPE_CLASS(name, text, bytes, cls) \
  case GIE_##name:                              \
    return cls;
    GIE_DTYPE_LIST(GIE_DTYPE_CLASS)
#undef GIE_DTYPE_CLASS
  default:
    return 0;
  }
}
static inline const char *gie_dtype_name(enum gie_dtype t)
{
  switch (t) {
#define GIE_DTYPE_NAME(name, text, bytes, cls) \
  case GIE_##name:                             \
    return text;
    GIE_DTYPE_LIST(GIE_DTYPE_NAME)
#undef GIE_DTYPE_NAME
  default:
    return "?";
  }
}
#define GIE_DT(name) (1u << GIE_##name)
#define GIE_DT_FLOAT (GIE_DT(F32) | GIE_DT(F16) | GIE_DT(BF16) | GIE_DT(F64))
#define GIE_DT_SINT (GIE_DT(I8) | GIE_DT(I16) | GIE_DT(I32) | GIE_DT(I64))
#define GIE_DT_UINT (GIE_DT(U8) | GIE_DT(U16) | GIE_DT(U32) | GIE_DT(U64))
#define GIE_DT_INT (GIE_DT_SINT | GIE_DT_UINT)
#define GIE_DT_NUM (GIE_DT_FLOAT | GIE_DT_INT)
#define GIE_DT_ALL (GIE_DT_NUM | GIE_DT(BOOL))
#ifdef __cplusplus
}
#endif
#endif
#include <stdarg.h>
#ifdef __cplusplus
extern "C" {
#endif
struct gie_context;
enum gie_log_level { GIE_LOG_ERROR, GIE_LOG_WARN, GIE_LOG_INFO, GIE_LOG_DEBUG };
#if defined(__GNUC__)
#define GIE_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define GIE_PRINTF(fmt, first)
#endif
#define GIE_FN_TABLE gie_base_api
#define GIE_FN_CAT_(a, b) a##b
#define GIE_FN_CAT(a, b) GIE_FN_CAT_(a, b)
#if defined(__GNUC__) && !defined(GIE_API)
#define GIE_API __attribute__((visibility("default")))
#define GIE_HIDDEN __attribute__((visibility("hidden")))
#elif !defined(GIE_API)
#define GIE_API
#define GIE_HIDDEN
#endif
struct GIE_FN_TABLE {
  size_t struct_size;
#define GIE_FN(ret, name, params, args) ret(*name) params;
#define GIE_FN_VOID(name, params, args) void(*name) params;
GIE_FN(gie_status, vfail, (struct gie_context * ctx, gie_status status, const char *fmt, va_list ap), (ctx, status, fmt, ap))
GIE_FN(gie_status, verror_prefix, (struct gie_context * ctx, gie_status status, const char *fmt, va_list ap), (ctx, status, fmt, ap))
GIE_FN(const char *, error_text, (const struct gie_context *ctx), (ctx))
GIE_FN_VOID(vlog, (struct gie_context * ctx, enum gie_log_level level, const char *module, const char *fmt, va_list ap), (ctx, level, module, fmt, ap))
GIE_FN(void *, alloc, (struct gie_context * ctx, size_t n, size_t size), (ctx, n, size))
GIE_FN(void *, alloc_raw, (struct gie_context * ctx, size_t n, size_t size), (ctx, n, size))
GIE_FN_VOID(free, (struct gie_context * ctx, void *p), (ctx, p))
GIE_FN(const char *, config, (const struct gie_context *ctx, const char *name), (ctx, name))
GIE_FN(gie_status, file_pread, (struct gie_context * ctx, int fd, const char *path, void *buf, size_t size, uint64_t offset), (ctx, fd, path, buf, size, offset))
GIE_FN(gie_status, file_open_beside, (struct gie_context * ctx, const char *beside, const char *name, int *fd, uint64_t *size), (ctx, beside, name, fd, size))
#undef GIE_FN
#undef GIE_FN_VOID
};
#ifdef GIE_MODULE_BUILD
GIE_HIDDEN extern const struct GIE_FN_TABLE *GIE_FN_CAT(GIE_FN_TABLE, _);
#define GIE_FN(ret, name, params, args) \
  static inline ret gie_##name params { return GIE_FN_CAT(GIE_FN_TABLE, _)->name args; }
#define GIE_FN_VOID(name, params, args) \
  static inline void gie_##name params { GIE_FN_CAT(GIE_FN_TABLE, _)->name args; }
#else
#define GIE_FN(ret, name, params, args) GIE_API ret gie_##name params;
#define GIE_FN_VOID(name, params, args) GIE_API void gie_##name params;
#endif
GIE_FN(gie_status, vfail, (struct gie_context * ctx, gie_status status, const char *fmt, va_list ap), (ctx, status, fmt, ap))
GIE_FN(gie_status, verror_prefix, (struct gie_context * ctx, gie_status status, const char *fmt, va_list ap), (ctx, status, fmt, ap))
GIE_FN(const char *, error_text, (const struct gie_context *ctx), (ctx))
GIE_FN_VOID(vlog, (struct gie_context * ctx, enum gie_log_level level, const char *module, const char *fmt, va_list ap), (ctx, level, module, fmt, ap))
GIE_FN(void *, alloc, (struct gie_context * ctx, size_t n, size_t size), (ctx, n, size))
GIE_FN(void *, alloc_raw, (struct gie_context * ctx, size_t n, size_t size), (ctx, n, size))
GIE_FN_VOID(free, (struct gie_context * ctx, void *p), (ctx, p))
GIE_FN(const char *, config, (const struct gie_context *ctx, const char *name), (ctx, name))
GIE_FN(gie_status, file_pread, (struct gie_context * ctx, int fd, const char *path, void *buf, size_t size, uint64_t offset), (ctx, fd, path, buf, size, offset))
GIE_FN(gie_status, file_open_beside, (struct gie_context * ctx, const char *beside, const char *name, int *fd, uint64_t *size), (ctx, beside, name, fd, size))
#undef GIE_FN
#undef GIE_FN_VOID
#undef GIE_FN_TABLE
GIE_PRINTF(3, 4)
static inline gie_status gie_fail(struct gie_context *ctx, gie_status status, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  gie_vfail(ctx, status, fmt, ap);
  va_end(ap);
  return status;
}
GIE_PRINTF(3, 4)
static inline gie_status gie_error_prefix(struct gie_context *ctx, gie_status status, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  gie_verror_prefix(ctx, status, fmt, ap);
  va_end(ap);
  return status;
}
GIE_PRINTF(4, 5)
static inline void gie_log(struct gie_context *ctx, enum gie_log_level level, const char *module,
                           const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  gie_vlog(ctx, level, module, fmt, ap);
  va_end(ap);
}
#ifdef __clang_analyzer__
#define gie_fail(ctx, status, ...) ((void)gie_fail(ctx, status, __VA_ARGS__), (status))
#define gie_error_prefix(ctx, status, ...) ((void)gie_error_prefix(ctx, status, __VA_ARGS__), (status))
#endif
#ifdef __cplusplus
}
#endif
#endif
#ifdef __cplusplus
extern "C" {
#endif
struct gie_graph;
struct gie_blob;
#define GIE_MAX_NODES (1u << 20)
#define GIE_MAX_NAME 4096
#define GIE_MAX_BODY_DEPTH 32
#define GIE_MAX_KNOWN 64
enum gie_attr_kind {
  GIE_ATTR_INT,
  GIE_ATTR_FLOAT,
  GIE_ATTR_STRING,
  GIE_ATTR_DTYPE,
  GIE_ATTR_INTS,
  GIE_ATTR_FLOATS,
  GIE_ATTR_STRINGS,
  GIE_ATTR_TENSOR,
  GIE_ATTR_GRAPH,
};
struct gie_type {
  enum gie_dtype dtype;
  struct gie_shape shape;
};
struct gie_const {
  struct gie_blob *blob;
  size_t offset, size;
};
struct gie_tensor_attr {
  struct gie_type type;
  struct gie_const data;
};
struct gie_attr {
  const char *name;
  enum gie_attr_kind kind;
  uint32_t n;
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
struct gie_infer;
enum gie_op_flags {
  GIE_OP_POINTWISE = 1u << 0,
  GIE_OP_COMMUTATIVE = 1u << 1,
  GIE_OP_EPILOGUE = 1u << 2,
  GIE_OP_OPAQUE = 1u << 3,
  GIE_OP_DATA_DEPENDENT = 1u << 4,
  GIE_OP_IMPURE = 1u << 5
};
enum gie_attr_presence { GIE_REQUIRED, GIE_OPTIONAL, GIE_DEFAULT };
struct gie_attr_spec {
  const char *name;
  enum gie_attr_kind kind;
  enum gie_attr_presence presence;
  double num;
  const char *text;
};
struct gie_op {
  size_t struct_size;
  const char *name;
  uint32_t flags;
  uint16_t min_in, max_in;
  uint16_t min_out, max_out;
  uint32_t dtypes;
  const struct gie_attr_spec *attrs;
  gie_status (*infer)(struct gie_infer *x);
  const char *help;
};
struct gie_infer {
  size_t struct_size;
  struct gie_context *ctx;
  const struct gie_graph *graph;
  const struct gie_node *node;
  uint32_t n_in;
  const struct gie_type *in;
  const struct gie_dim *const *known_in;
  const uint32_t *n_known_in;
  uint32_t n_out;
  struct gie_type *out;
  struct gie_dim *known_out;
  uint32_t *n_known_out;
};
enum gie_value_kind {
  GIE_VALUE_DEAD,
  GIE_VALUE_INPUT,
  GIE_VALUE_CONST,
  GIE_VALUE_RESULT
};
struct gie_quant {
  uint32_t n;
  int32_t axis;
  const float *scale;
  const int32_t *zero;
};
struct gie_view {
  gie_id base;
  int32_t axis;
  int64_t offset, extent;
};
struct gie_value {
  gie_id id;
  const char *name;
  enum gie_value_kind kind;
  struct gie_type type;
  struct gie_layout layout;
  struct gie_const data;
  gie_id producer;
  uint32_t out_index;
  struct gie_quant quant;
  struct gie_view view;
  uint32_t n_outputs;
  uint32_t n_uses;
  uint32_t n_known;
  const struct gie_dim *known;
};
struct gie_step {
  const struct gie_op *op;
  int32_t operand;
  bool reverse;
  struct gie_attrs attrs;
};
struct gie_node {
  gie_id id;
  const char *name;
  const struct gie_op *op;
  uint32_t n_in, n_operands, n_captures;
  const gie_id *in;
  uint32_t n_out;
  const gie_id *out;
  uint32_t n_steps;
  const struct gie_step *steps;
  struct gie_attrs attrs;
  struct gie_attrs notes;
  gie_id prev, next;
};
struct gie_node_spec {
  size_t struct_size;
  const char *op;
  const char *name;
  uint32_t n_in;
  const gie_id *in;
  uint32_t n_out;
  const char *const *out_names;
  uint32_t n_attrs;
  const struct gie_attr *attrs;
  bool opaque;
  gie_id before;
  const struct gie_type *out_types;
};
#define GIE_NODE_SPEC(op_name)                                                                    \
  {                                                                                               \
    sizeof(struct gie_node_spec), op_name, NULL, 0, NULL, 0, NULL, 0, NULL, false, GIE_NONE, NULL \
  }
struct gie_use {
  gie_id node;
  uint32_t slot;
};
#define GIE_FN_TABLE gie_graph_api
#define GIE_FN_CAT_(a, b) a##b
#define GIE_FN_CAT(a, b) GIE_FN_CAT_(a, b)
#if defined(__GNUC__) && !defined(GIE_API)
#define GIE_API __attribute__((visibility("default")))
#define GIE_HIDDEN __attribute__((visibility("hidden")))
#elif !defined(GIE_API)
#define GIE_API
#define GIE_HIDDEN
#endif
struct GIE_FN_TABLE {
  size_t struct_size;
#define GIE_FN(ret, name, params, args) ret(*name) params;
#define GIE_FN_VOID(name, params, args) void(*name) params;
GIE_FN(gie_status, graph_new, (struct gie_context * ctx, const char *name, struct gie_graph **out), (ctx, name, out))
GIE_FN_VOID(graph_free, (struct gie_graph * g), (g))
GIE_FN(gie_status, graph_clone, (const struct gie_graph *g, struct gie_graph **out), (g, out))
GIE_FN(struct gie_context *, graph_context, (const struct gie_graph *g), (g))
GIE_FN(const char *, graph_name, (const struct gie_graph *g), (g))
GIE_FN(gie_status, graph_verify, (const struct gie_graph *g), (g))
GIE_FN(gie_status, graph_sort, (struct gie_graph * g), (g))
GIE_FN(gie_status, graph_infer, (struct gie_graph * g), (g))
GIE_FN(gie_status, graph_compact, (struct gie_graph * g), (g))
GIE_FN(gie_status, graph_symbol, (struct gie_graph * g, const char *name, uint32_t *out), (g, name, out))
GIE_FN(const char *, graph_symbol_name, (const struct gie_graph *g, uint32_t sym), (g, sym))
GIE_FN(uint32_t, graph_n_symbols, (const struct gie_graph *g), (g))
GIE_FN(const struct gie_attrs *, graph_meta, (const struct gie_graph *g), (g))
GIE_FN(gie_status, graph_set_meta, (struct gie_graph * g, const struct gie_attr *attr), (g, attr))
GIE_FN(const struct gie_op *, op_find, (const struct gie_context *ctx, const char *name), (ctx, name))
GIE_FN(uint32_t, graph_n_values, (const struct gie_graph *g), (g))
GIE_FN(const struct gie_value *, value_get, (const struct gie_graph *g, gie_id value), (g, value))
GIE_FN(gie_id, value_find, (const struct gie_graph *g, const char *name), (g, name))
GIE_FN(gie_status, graph_add_input, (struct gie_graph * g, const char *name, const struct gie_type *type, gie_id *out), (g, name, type, out))
GIE_FN(gie_status, graph_add_const, (struct gie_graph * g, const char *name, const struct gie_type *type, const struct gie_const *data, gie_id *out), (g, name, type, data, out))
GIE_FN(gie_status, graph_add_output, (struct gie_graph * g, gie_id value), (g, value))
GIE_FN(uint32_t, graph_n_inputs, (const struct gie_graph *g), (g))
GIE_FN(gie_id, graph_input, (const struct gie_graph *g, uint32_t i), (g, i))
GIE_FN(uint32_t, graph_n_outputs, (const struct gie_graph *g), (g))
GIE_FN(gie_id, graph_output, (const struct gie_graph *g, uint32_t i), (g, i))
GIE_FN(gie_status, graph_set_output, (struct gie_graph * g, uint32_t i, gie_id value), (g, i, value))
GIE_FN(gie_status, value_rename, (struct gie_graph * g, gie_id value, const char *name), (g, value, name))
GIE_FN(gie_status, value_set_type, (struct gie_graph * g, gie_id value, const struct gie_type *type), (g, value, type))
GIE_FN(gie_status, value_set_layout, (struct gie_graph * g, gie_id value, const struct gie_layout *layout), (g, value, layout))
GIE_FN(gie_status, value_set_view, (struct gie_graph * g, gie_id value, const struct gie_view *view), (g, value, view))
GIE_FN(gie_status, value_set_quant, (struct gie_graph * g, gie_id value, const struct gie_quant *quant), (g, value, quant))
GIE_FN(gie_status, value_remove, (struct gie_graph * g, gie_id value), (g, value))
GIE_FN(gie_status, value_replace, (struct gie_graph * g, gie_id from, gie_id to), (g, from, to))
GIE_FN(bool, value_next_use, (const struct gie_graph *g, gie_id value, struct gie_use *use), (g, value, use))
GIE_FN(const void *, value_bytes, (const struct gie_graph *g, gie_id value, size_t *size), (g, value, size))
GIE_FN(bool, value_ints, (const struct gie_graph *g, gie_id value, int64_t *out, uint32_t max, uint32_t *n), (g, value, out, max, n))
GIE_FN(bool, value_floats, (const struct gie_graph *g, gie_id value, double *out, uint32_t max, uint32_t *n), (g, value, out, max, n))
GIE_FN(uint32_t, graph_n_nodes, (const struct gie_graph *g), (g))
GIE_FN(uint32_t, graph_count_nodes, (const struct gie_graph *g), (g))
GIE_FN(gie_id, graph_first, (const struct gie_graph *g), (g))
GIE_FN(gie_id, graph_last, (const struct gie_graph *g), (g))
GIE_FN(const struct gie_node *, node_get, (const struct gie_graph *g, gie_id node), (g, node))
GIE_FN(gie_status, node_add, (struct gie_graph * g, const struct gie_node_spec *spec, gie_id *out), (g, spec, out))
GIE_FN(gie_status, node_remove, (struct gie_graph * g, gie_id node), (g, node))
GIE_FN(gie_status, node_infer, (struct gie_graph * g, gie_id node), (g, node))
GIE_FN(gie_status, node_set_input, (struct gie_graph * g, gie_id node, uint32_t slot, gie_id value), (g, node, slot, value))
GIE_FN(gie_status, node_add_operand, (struct gie_graph * g, gie_id node, gie_id value), (g, node, value))
GIE_FN(gie_status, node_set_op, (struct gie_graph * g, gie_id node, const char *op), (g, node, op))
GIE_FN(gie_status, node_set_attr, (struct gie_graph * g, gie_id node, const struct gie_attr *attr), (g, node, attr))
GIE_FN(gie_status, node_unset_attr, (struct gie_graph * g, gie_id node, const char *name), (g, node, name))
GIE_FN(gie_status, node_set_note, (struct gie_graph * g, gie_id node, const struct gie_attr *attr), (g, node, attr))
GIE_FN(gie_status, node_add_step, (struct gie_graph * g, gie_id node, const char *op, gie_id operand, bool reverse, const struct gie_attrs *attrs), (g, node, op, operand, reverse, attrs))
GIE_FN(gie_status, node_cut_steps, (struct gie_graph * g, gie_id node, uint32_t n), (g, node, n))
GIE_FN(gie_status, node_add_capture, (struct gie_graph * g, gie_id node, gie_id value, uint32_t *slot), (g, node, value, slot))
GIE_FN(gie_status, node_move, (struct gie_graph * g, gie_id node, gie_id before), (g, node, before))
GIE_FN(gie_status, blob_new, (struct gie_context * ctx, size_t size, struct gie_blob **out), (ctx, size, out))
GIE_FN(struct gie_blob *, blob_ref, (struct gie_blob * b), (b))
GIE_FN_VOID(blob_unref, (struct gie_blob * b), (b))
GIE_FN(void *, blob_data, (struct gie_blob * b), (b))
GIE_FN(size_t, blob_size, (const struct gie_blob *b), (b))
GIE_FN(gie_status, shape_count, (struct gie_context * ctx, const struct gie_shape *shape, int64_t *out), (ctx, shape, out))
GIE_FN(char *, shape_text, (const struct gie_graph *g, const struct gie_shape *shape, char *buf, size_t size), (g, shape, buf, size))
GIE_FN(gie_status, layout_parse, (struct gie_context * ctx, const char *text, int rank, struct gie_layout *out), (ctx, text, rank, out))
GIE_FN(char *, layout_text, (const struct gie_layout *layout, int rank, char *buf, size_t size), (layout, rank, buf, size))
GIE_FN(bool, layout_equal, (const struct gie_layout *a, const struct gie_layout *b, int rank), (a, b, rank))
GIE_FN(gie_status, desc_make, (struct gie_context * ctx, const struct gie_type *type, const struct gie_layout *layout, struct gie_desc *out, size_t *bytes), (ctx, type, layout, out, bytes))
GIE_FN(gie_status, desc_view, (struct gie_context * ctx, const struct gie_desc *base, int axis, int64_t offset, int64_t extent, struct gie_desc *out, size_t *byte_offset), (ctx, base, axis, offset, extent, out, byte_offset))
GIE_FN(struct gie_dim, dim_add, (struct gie_dim x, struct gie_dim y), (x, y))
GIE_FN(struct gie_dim, dim_sub, (struct gie_dim x, struct gie_dim y), (x, y))
GIE_FN(struct gie_dim, dim_mul, (struct gie_dim x, struct gie_dim y), (x, y))
GIE_FN(struct gie_dim, dim_div, (struct gie_dim x, struct gie_dim y), (x, y))
GIE_FN(gie_status, blob_new_raw, (struct gie_context * ctx, size_t size, struct gie_blob **out), (ctx, size, out))
#undef GIE_FN
#undef GIE_FN_VOID
};
#ifdef GIE_MODULE_BUILD
GIE_HIDDEN extern const struct GIE_FN_TABLE *GIE_FN_CAT(GIE_FN_TABLE, _);
#define GIE_FN(ret, name, params, args) \
  static inline ret gie_##name params { return GIE_FN_CAT(GIE_FN_TABLE, _)->name args; }
#define GIE_FN_VOID(name, params, args) \
  static inline void gie_##name params { GIE_FN_CAT(GIE_FN_TABLE, _)->name args; }
#else
#define GIE_FN(ret, name, params, args) GIE_API ret gie_##name params;
#define GIE_FN_VOID(name, params, args) GIE_API void gie_##name params;
#endif
GIE_FN(gie_status, graph_new, (struct gie_context * ctx, const char *name, struct gie_graph **out), (ctx, name, out))
GIE_FN_VOID(graph_free, (struct gie_graph * g), (g))
GIE_FN(gie_status, graph_clone, (const struct gie_graph *g, struct gie_graph **out), (g, out))
GIE_FN(struct gie_context *, graph_context, (const struct gie_graph *g), (g))
GIE_FN(const char *, graph_name, (const struct gie_graph *g), (g))
GIE_FN(gie_status, graph_verify, (const struct gie_graph *g), (g))
GIE_FN(gie_status, graph_sort, (struct gie_graph * g), (g))
GIE_FN(gie_status, graph_infer, (struct gie_graph * g), (g))
GIE_FN(gie_status, graph_compact, (struct gie_graph * g), (g))
GIE_FN(gie_status, graph_symbol, (struct gie_graph * g, const char *name, uint32_t *out), (g, name, out))
GIE_FN(const char *, graph_symbol_name, (const struct gie_graph *g, uint32_t sym), (g, sym))
GIE_FN(uint32_t, graph_n_symbols, (const struct gie_graph *g), (g))
GIE_FN(const struct gie_attrs *, graph_meta, (const struct gie_graph *g), (g))
GIE_FN(gie_status, graph_set_meta, (struct gie_graph * g, const struct gie_attr *attr), (g, attr))
GIE_FN(const struct gie_op *, op_find, (const struct gie_context *ctx, const char *name), (ctx, name))
GIE_FN(uint32_t, graph_n_values, (const struct gie_graph *g), (g))
GIE_FN(const struct gie_value *, value_get, (const struct gie_graph *g, gie_id value), (g, value))
GIE_FN(gie_id, value_find, (const struct gie_graph *g, const char *name), (g, name))
GIE_FN(gie_status, graph_add_input, (struct gie_graph * g, const char *name, const struct gie_type *type, gie_id *out), (g, name, type, out))
GIE_FN(gie_status, graph_add_const, (struct gie_graph * g, const char *name, const struct gie_type *type, const struct gie_const *data, gie_id *out), (g, name, type, data, out))
GIE_FN(gie_status, graph_add_output, (struct gie_graph * g, gie_id value), (g, value))
GIE_FN(uint32_t, graph_n_inputs, (const struct gie_graph *g), (g))
GIE_FN(gie_id, graph_input, (const struct gie_graph *g, uint32_t i), (g, i))
GIE_FN(uint32_t, graph_n_outputs, (const struct gie_graph *g), (g))
GIE_FN(gie_id, graph_output, (const struct gie_graph *g, uint32_t i), (g, i))
GIE_FN(gie_status, graph_set_output, (struct gie_graph * g, uint32_t i, gie_id value), (g, i, value))
GIE_FN(gie_status, value_rename, (struct gie_graph * g, gie_id value, const char *name), (g, value, name))
GIE_FN(gie_status, value_set_type, (struct gie_graph * g, gie_id value, const struct gie_type *type), (g, value, type))
GIE_FN(gie_status, value_set_layout, (struct gie_graph * g, gie_id value, const struct gie_layout *layout), (g, value, layout))
GIE_FN(gie_status, value_set_view, (struct gie_graph * g, gie_id value, const struct gie_view *view), (g, value, view))
GIE_FN(gie_status, value_set_quant, (struct gie_graph * g, gie_id value, const struct gie_quant *quant), (g, value, quant))
GIE_FN(gie_status, value_remove, (struct gie_graph * g, gie_id value), (g, value))
GIE_FN(gie_status, value_replace, (struct gie_graph * g, gie_id from, gie_id to), (g, from, to))
GIE_FN(bool, value_next_use, (const struct gie_graph *g, gie_id value, struct gie_use *use), (g, value, use))
GIE_FN(const void *, value_bytes, (const struct gie_graph *g, gie_id value, size_t *size), (g, value, size))
GIE_FN(bool, value_ints, (const struct gie_graph *g, gie_id value, int64_t *out, uint32_t max, uint32_t *n), (g, value, out, max, n))
GIE_FN(bool, value_floats, (const struct gie_graph *g, gie_id value, double *out, uint32_t max, uint32_t *n), (g, value, out, max, n))
GIE_FN(uint32_t, graph_n_nodes, (const struct gie_graph *g), (g))
GIE_FN(uint32_t, graph_count_nodes, (const struct gie_graph *g), (g))
GIE_FN(gie_id, graph_first, (const struct gie_graph *g), (g))
GIE_FN(gie_id, graph_last, (const struct gie_graph *g), (g))
GIE_FN(const struct gie_node *, node_get, (const struct gie_graph *g, gie_id node), (g, node))
GIE_FN(gie_status, node_add, (struct gie_graph * g, const struct gie_node_spec *spec, gie_id *out), (g, spec, out))
GIE_FN(gie_status, node_remove, (struct gie_graph * g, gie_id node), (g, node))
GIE_FN(gie_status, node_infer, (struct gie_graph * g, gie_id node), (g, node))
GIE_FN(gie_status, node_set_input, (struct gie_graph * g, gie_id node, uint32_t slot, gie_id value), (g, node, slot, value))
GIE_FN(gie_status, node_add_operand, (struct gie_graph * g, gie_id node, gie_id value), (g, node, value))
GIE_FN(gie_status, node_set_op, (struct gie_graph * g, gie_id node, const char *op), (g, node, op))
GIE_FN(gie_status, node_set_attr, (struct gie_graph * g, gie_id node, const struct gie_attr *attr), (g, node, attr))
GIE_FN(gie_status, node_unset_attr, (struct gie_graph * g, gie_id node, const char *name), (g, node, name))
GIE_FN(gie_status, node_set_note, (struct gie_graph * g, gie_id node, const struct gie_attr *attr), (g, node, attr))
GIE_FN(gie_status, node_add_step, (struct gie_graph * g, gie_id node, const char *op, gie_id operand, bool reverse, const struct gie_attrs *attrs), (g, node, op, operand, reverse, attrs))
GIE_FN(gie_status, node_cut_steps, (struct gie_graph * g, gie_id node, uint32_t n), (g, node, n))
GIE_FN(gie_status, node_add_capture, (struct gie_graph * g, gie_id node, gie_id value, uint32_t *slot), (g, node, value, slot))
GIE_FN(gie_status, node_move, (struct gie_graph * g, gie_id node, gie_id before), (g, node, before))
GIE_FN(gie_status, blob_new, (struct gie_context * ctx, size_t size, struct gie_blob **out), (ctx, size, out))
GIE_FN(struct gie_blob *, blob_ref, (struct gie_blob * b), (b))
GIE_FN_VOID(blob_unref, (struct gie_blob * b), (b))
GIE_FN(void *, blob_data, (struct gie_blob * b), (b))
GIE_FN(size_t, blob_size, (const struct gie_blob *b), (b))
GIE_FN(gie_status, shape_count, (struct gie_context * ctx, const struct gie_shape *shape, int64_t *out), (ctx, shape, out))
GIE_FN(char *, shape_text, (const struct gie_graph *g, const struct gie_shape *shape, char *buf, size_t size), (g, shape, buf, size))
GIE_FN(gie_status, layout_parse, (struct gie_context * ctx, const char *text, int rank, struct gie_layout *out), (ctx, text, rank, out))
GIE_FN(char *, layout_text, (const struct gie_layout *layout, int rank, char *buf, size_t size), (layout, rank, buf, size))
GIE_FN(bool, layout_equal, (const struct gie_layout *a, const struct gie_layout *b, int rank), (a, b, rank))
GIE_FN(gie_status, desc_make, (struct gie_context * ctx, const struct gie_type *type, const struct gie_layout *layout, struct gie_desc *out, size_t *bytes), (ctx, type, layout, out, bytes))
GIE_FN(gie_status, desc_view, (struct gie_context * ctx, const struct gie_desc *base, int axis, int64_t offset, int64_t extent, struct gie_desc *out, size_t *byte_offset), (ctx, base, axis, offset, extent, out, byte_offset))
GIE_FN(struct gie_dim, dim_add, (struct gie_dim x, struct gie_dim y), (x, y))
GIE_FN(struct gie_dim, dim_sub, (struct gie_dim x, struct gie_dim y), (x, y))
GIE_FN(struct gie_dim, dim_mul, (struct gie_dim x, struct gie_dim y), (x, y))
GIE_FN(struct gie_dim, dim_div, (struct gie_dim x, struct gie_dim y), (x, y))
GIE_FN(gie_status, blob_new_raw, (struct gie_context * ctx, size_t size, struct gie_blob **out), (ctx, size, out))
#undef GIE_FN
#undef GIE_FN_VOID
#undef GIE_FN_TABLE
#define GIE_FOR_NODES(g, id) \
  for (gie_id id = gie_graph_first(g); id != GIE_NONE; id = gie_node_get(g, id)->next)
#include <stdlib.h>
#include <string.h>
static inline const struct gie_attr *gie_attrs_find(const struct gie_attrs *attrs, const char *name)
{
  for (uint32_t i = 0; i < attrs->n; i++)
    if (strcmp(attrs->v[i].name, name) == 0)
      return &attrs->v[i];
  return NULL;
}
static inline const struct gie_attr_spec *gie_op_attr(const struct gie_op *op, const char *name)
{
  for (const struct gie_attr_spec *s = op->attrs; s && s->name; s++)
    if (strcmp(s->name, name) == 0)
      return s;
  return NULL;
}
static inline double gie_op_default(const struct gie_op *op, const char *name)
{
  const struct gie_attr_spec *s = gie_op_attr(op, name);
  return s && s->presence == GIE_DEFAULT ? s->num : 0;
}
static inline int64_t gie_attrs_int(const struct gie_attrs *attrs, const struct gie_op *op, const char *name)
{
  const struct gie_attr *a = gie_attrs_find(attrs, name);
  if (a)
    return a->kind == GIE_ATTR_INT || a->kind == GIE_ATTR_DTYPE ? a->u.i : 0;
  return (int64_t)gie_op_default(op, name);
}
static inline double gie_attrs_float(const struct gie_attrs *attrs, const struct gie_op *op, const char *name)
{
  const struct gie_attr *a = gie_attrs_find(attrs, name);
  if (a)
    return a->kind == GIE_ATTR_FLOAT ? a->u.f : a->kind == GIE_ATTR_INT ? (double)a->u.i : 0;
  return gie_op_default(op, name);
}
static inline int64_t gie_node_int(const struct gie_node *n, const char *name)
{
  return gie_attrs_int(&n->attrs, n->op, name);
}
static inline double gie_node_float(const struct gie_node *n, const char *name)
{
  return gie_attrs_float(&n->attrs, n->op, name);
}
static inline const char *gie_node_string(const struct gie_node *n, const char *name)
{
  const struct gie_attr *a = gie_attrs_find(&n->attrs, name);
  if (a)
    return a->kind == GIE_ATTR_STRING ? a->u.s : "";
  const struct gie_attr_spec *s = gie_op_attr(n->op, name);
  return s && s->text ? s->text : "";
}
static inline uint32_t gie_node_ints(const struct gie_node *n, const char *name, int64_t *out, uint32_t max,
                                     int64_t fill)
{
  const struct gie_attr *a = gie_attrs_find(&n->attrs, name);
  uint32_t given = a && a->kind == GIE_ATTR_INTS ? a->n : 0;
  for (uint32_t i = 0; i < max; i++)
    out[i] = i < given ? a->u.is[i] : fill;
  return given < max ? given : max;
}
static inline double gie_step_float(const struct gie_step *s, const char *name)
{
  return gie_attrs_float(&s->attrs, s->op, name);
}
static inline int64_t gie_step_int(const struct gie_step *s, const char *name)
{
  return gie_attrs_int(&s->attrs, s->op, name);
}
#ifdef __cplusplus
}
#endif
#endif
#ifdef __cplusplus
extern "C" {
#endif
#define GIE_MAX_IO 64
enum gie_device_flags {
  GIE_DEVICE_HOST = 1u << 0,
  GIE_DEVICE_F16 = 1u << 1,
  GIE_DEVICE_BF16 = 1u << 2,
  GIE_DEVICE_ENERGY = 1u << 3
};
struct gie_device_info {
  size_t struct_size;
  char name[96];
  char version[96];
  uint32_t flags;
  uint32_t units;
  uint64_t memory;
};
struct gie_peaks {
  size_t struct_size;
  double bytes_per_s, cache_bytes_per_s;
  double cache_bytes;
  double f32_flop_per_s, f16_flop_per_s, tf32_flop_per_s, i8_op_per_s;
  double launch_s;
};
enum gie_copy { GIE_COPY_TO_DEVICE, GIE_COPY_TO_HOST, GIE_COPY_ON_DEVICE };
struct gie_device {
  size_t struct_size;
  const char *kind;
  int (*count)(struct gie_context *ctx);
  gie_status (*open)(struct gie_context *ctx, int index, void **dev);
  void (*close)(void *dev);
  gie_status (*info)(void *dev, struct gie_device_info *out);
  gie_status (*alloc)(void *dev, size_t bytes, void **out);
  void (*free)(void *dev, void *p);
  gie_status (*copy)(void *dev, void *dst, const void *src, size_t bytes, enum gie_copy kind, void *stream);
  gie_status (*sync)(void *dev, void *stream);
  gie_status (*peaks)(void *dev, struct gie_peaks *out);
  gie_status (*stream_new)(void *dev, void **stream);
  void (*stream_free)(void *dev, void *stream);
  gie_status (*event_new)(void *dev, void **event);
  void (*event_free)(void *dev, void *event);
  gie_status (*event_record)(void *dev, void *event, void *stream);
  gie_status (*event_wait)(void *dev, void *event, void *stream);
  gie_status (*event_elapsed)(void *dev, void *from, void *to, double *seconds);
  gie_status (*capture_begin)(void *dev, void *stream);
  gie_status (*capture_end)(void *dev, void *stream, void **graph);
  gie_status (*capture_launch)(void *dev, void *graph, void *stream);
  void (*capture_free)(void *dev, void *graph);
  gie_status (*energy)(void *dev, double *joules);
};
enum gie_math {
  GIE_MATH_STRICT,
  GIE_MATH_TF32,
  GIE_MATH_FAST
};
struct gie_problem {
  size_t struct_size;
  struct gie_context *ctx;
  const struct gie_graph *graph;
  const struct gie_node *node;
  uint32_t n_in, n_out;
  const struct gie_desc *in, *out;
  const void *const *in_data;
  enum gie_math math;
  const char *device_kind;
  const struct gie_device_info *device;
  void *library;
  uint32_t threads;
};
struct gie_port {
  enum gie_dtype dtype;
  struct gie_layout layout;
  bool pitch;
  uint16_t align;
  uint8_t pitch_axes;
};
struct gie_variant {
  size_t struct_size;
  uint64_t config;
  char label[48];
  uint32_t n_steps;
  int32_t in_place;
  bool capture_safe;
  float error;
  struct gie_port any_in;
  struct gie_port any_out;
  uint32_t n_in, n_out;
  struct gie_port in[GIE_MAX_IO], out[GIE_MAX_IO];
};
struct gie_cost {
  size_t struct_size;
  double flops, bytes;
  double seconds;
  double waves;
};
struct gie_pack {
  size_t struct_size;
  uint32_t operand;
  size_t bytes;
  char key[128];
};
struct gie_launch {
  size_t struct_size;
  void *const *in;
  void *const *out;
  void *workspace;
  void *stream;
  void *library;
  uint32_t threads;
  struct gie_context *ctx;
};
struct gie_library {
  size_t struct_size;
  const char *name;
  gie_status (*open)(struct gie_context *ctx, void *dev, void **handle);
  void (*close)(void *handle);
};
enum gie_kernel_flags {
  GIE_KERNEL_REFERENCE = 1u << 0
};
struct gie_kernel {
  size_t struct_size;
  const char *name;
  const char *device;
  const char *const *ops;
  const struct gie_library *library;
  void *user;
  bool (*supports)(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t why_size);
  uint32_t (*variants)(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *out,
                       uint32_t max);
  void (*estimate)(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                   struct gie_cost *out);
  uint32_t (*pack_desc)(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                        struct gie_pack *out, uint32_t max);
  gie_status (*pack)(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                     const struct gie_pack *d, const void *plain, void *packed);
  size_t (*workspace)(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v);
  gie_status (*create)(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                       void **instance);
  void (*destroy)(void *instance);
  gie_status (*run)(void *instance, const struct gie_launch *l);
  uint32_t flags;
  const char *version;
};
#ifdef __cplusplus
}
#endif
#endif
#ifdef __cplusplus
extern "C" {
#endif
#define GIE_ABI_MAJOR 1
#define GIE_ABI_MINOR 0
enum gie_module_kind { GIE_MODULE_KERNEL = 1, GIE_MODULE_PASS, GIE_MODULE_LAYER, GIE_MODULE_FORMAT };
struct gie_pass_ctx {
  size_t struct_size;
  struct gie_context *ctx;
  const struct gie_target *target;
  uint64_t device_flags;
};
struct gie_pass {
  size_t struct_size;
  const char *name;
  const char *help;
  gie_status (*run)(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes);
};
struct gie_source {
  size_t struct_size;
  const char *path;
  int fd;
  uint64_t size;
  const unsigned char *head;
  size_t n_head;
  const char *const *options;
};
struct gie_format {
  size_t struct_size;
  const char *name;
  const char *const *suffixes;
  const char *help;
  int (*probe)(const struct gie_source *src);
  gie_status (*import)(struct gie_context *ctx, const struct gie_source *src, struct gie_graph **out);
  gie_status (*export_)(struct gie_context *ctx, const struct gie_graph *g, const char *path, int fd);
};
struct gie_host {
  size_t struct_size;
  uint16_t abi_major, abi_minor;
  struct gie_context *ctx;
  gie_status (*register_device)(const struct gie_host *host, const struct gie_device *device);
  gie_status (*register_op)(const struct gie_host *host, const struct gie_op *op);
  gie_status (*register_kernel)(const struct gie_host *host, const struct gie_kernel *kernel);
  gie_status (*register_pass)(const struct gie_host *host, const struct gie_pass *pass);
  gie_status (*register_format)(const struct gie_host *host, const struct gie_format *format);
  const void *(*interface_)(const struct gie_host *host, const char *name, uint16_t major);
};
typedef gie_status gie_module_init_fn(const struct gie_host *host, void **state);
#define GIE_NOTE_SECTION ".note.gie"
#define GIE_NOTE_OWNER "gie"
#define GIE_NOTE_TYPE 1
#define GIE_NOTE_MAGIC 0x31454947u
struct gie_note {
  uint32_t magic, struct_size;
  uint16_t abi_major, abi_minor;
  uint32_t kind;
  char name[32];
  char version[16];
  uint32_t n_requires;
  struct {
    char name[24];
    uint16_t major, min_minor;
  } requires_[4];
};
struct gie_note_section {
  uint32_t namesz, descsz, type;
  char owner[4];
  struct gie_note desc;
};
#ifdef GIE_MODULE_BUILD
#define GIE_MODULE(module_name, module_kind, module_init_fn)                               \
  const struct gie_base_api *gie_base_api_;                                                \
  const struct gie_graph_api *gie_graph_api_;                                              \
  __attribute__((section(GIE_NOTE_SECTION), used, aligned(4)))                             \
  static const struct gie_note_section gie_module_note = {                                 \
      sizeof(GIE_NOTE_OWNER),                                                              \
      sizeof(struct gie_note),                                                             \
      GIE_NOTE_TYPE,                                                                       \
      GIE_NOTE_OWNER,                                                                      \
      {GIE_NOTE_MAGIC, sizeof(struct gie_note), GIE_ABI_MAJOR, GIE_ABI_MINOR, module_kind, \
       module_name, GIE_MODULE_VERSION, 2, {{"gie.base", 1, 0}, {"gie.graph", 1, 0}}}};    \
  gie_status gie_module_init(const struct gie_host *host, void **state);                   \
  __attribute__((visibility("default")))                                                   \
  gie_status gie_module_init(const struct gie_host *host, void **state)                    \
  {                                                                                        \
    gie_base_api_ = (const struct gie_base_api *)host->interface_(host, "gie.base", 1);    \
    gie_graph_api_ = (const struct gie_graph_api *)host->interface_(host, "gie.graph", 1); \
    return gie_base_api_ && gie_graph_api_ ? module_init_fn(host, state) : GIE_E_MODULE;   \
  }
#ifndef GIE_MODULE_VERSION
#define GIE_MODULE_VERSION "1.0"
#endif
#endif
#ifdef __cplusplus
}
#endif
#endif
#ifndef GIE_WINDOW_H
#define GIE_WINDOW_H
#ifdef __cplusplus
extern "C" {
#endif
#define GIE_MAX_SPATIAL (GIE_MAX_RANK - 2)
struct gie_window {
  int n;
  int64_t kernel[GIE_MAX_SPATIAL], stride[GIE_MAX_SPATIAL], dilation[GIE_MAX_SPATIAL];
  int64_t pad_begin[GIE_MAX_SPATIAL], pad_end[GIE_MAX_SPATIAL];
  int64_t in[GIE_MAX_SPATIAL], out[GIE_MAX_SPATIAL];
};
enum gie_auto_pad { GIE_PAD_EXPLICIT, GIE_PAD_SAME_UPPER, GIE_PAD_SAME_LOWER };
#define GIE_WINDOW_LIMIT INT32_MAX
static inline int64_t gie_window_span(const struct gie_window *w, int i)
{
  return (w->kernel[i] - 1) * w->dilation[i] + 1;
}
static inline bool gie_window_attrs(const struct gie_node *node, int n, const int64_t *kernel,
                                    struct gie_window *w, enum gie_auto_pad *auto_pad, const char **why)
{
  const int64_t limit = GIE_WINDOW_LIMIT;
  int64_t pad[2 * GIE_MAX_SPATIAL];
  const char *mode = gie_node_string(node, "auto_pad");
  if (n < 1 || n > GIE_MAX_SPATIAL)
    return *why = "needs 1 to 6 spatial axes", false;
  if (strcmp(mode, "same_upper") != 0 && strcmp(mode, "same_lower") != 0 && strcmp(mode, "explicit") != 0)
    return *why = "auto_pad is none of explicit, same_upper, same_lower", false;
  *auto_pad = mode[0] == 'e' ? GIE_PAD_EXPLICIT : mode[5] == 'u' ? GIE_PAD_SAME_UPPER : GIE_PAD_SAME_LOWER;
  uint32_t n_stride = gie_node_ints(node, "stride", w->stride, GIE_MAX_SPATIAL, 1);
  uint32_t n_dilation = gie_node_ints(node, "dilation", w->dilation, GIE_MAX_SPATIAL, 1);
  uint32_t n_pad = gie_node_ints(node, "pad", pad, 2 * GIE_MAX_SPATIAL, 0);
  const struct gie_attr *given_stride = gie_attrs_find(&node->attrs, "stride");
  const struct gie_attr *given_dilation = gie_attrs_find(&node->attrs, "dilation");
  const struct gie_attr *given_pad = gie_attrs_find(&node->attrs, "pad");
  if ((n_stride && given_stride->n != (uint32_t)n) || (n_dilation && given_dilation->n != (uint32_t)n) ||
      (n_pad && given_pad->n != 2 * (uint32_t)n))
    return *why = "stride, dilation or pad do not have one entry (pad: two) per spatial axis", false;
  w->n = n;
  for (int i = 0; i < n; i++) {
    w->kernel[i] = kernel[i];
    w->pad_begin[i] = *auto_pad == GIE_PAD_EXPLICIT ? pad[i] : 0;
    w->pad_end[i] = *auto_pad == GIE_PAD_EXPLICIT ? pad[n + i] : 0;
    if (w->stride[i] < 1 || w->dilation[i] < 1 || kernel[i] < 1)
      return *why = "stride, dilation and kernel must be at least 1", false;
    if (w->pad_begin[i] < 0 || w->pad_end[i] < 0)
      return *why = "pad must not be negative", false;
    if (w->stride[i] > limit || w->dilation[i] > limit || kernel[i] > limit || w->pad_begin[i] > limit ||
        w->pad_end[i] > limit)
      return *why = "stride, dilation, kernel or pad above 2^31-1", false;
    if (gie_window_span(w, i) > limit)
      return *why = "dilated kernel above 2^31-1", false;
  }
  return true;
}
static inline bool gie_window_axis(struct gie_window *w, int i, enum gie_auto_pad auto_pad, bool ceil_mode,
                                   const char **why)
{
  int64_t in = w->in[i], stride = w->stride[i], span = gie_window_span(w, i);
  if (in < 0 || in > GIE_WINDOW_LIMIT)
    return *why = "input extent negative or above 2^31-1", false;
  if (auto_pad != GIE_PAD_EXPLICIT) {
    w->out[i] = (in + stride - 1) / stride;
    int64_t total = in > 0 ? (w->out[i] - 1) * stride + span - in : 0;
    total = total < 0 ? 0 : total;
    w->pad_begin[i] = auto_pad == GIE_PAD_SAME_UPPER ? total / 2 : total - total / 2;
    w->pad_end[i] = total - w->pad_begin[i];
    return true;
  }
  int64_t room = in + w->pad_begin[i] + w->pad_end[i] - span;
  if (room < 0)
    return *why = "kernel larger than the padded input", false;
  w->out[i] = room / stride + 1;
  if (ceil_mode && room % stride != 0 && w->out[i] * stride < in + w->pad_begin[i])
    w->out[i]++;
  return true;
}
static inline bool gie_window_read(const struct gie_node *node, int n, const int64_t *in,
                                   const int64_t *kernel, struct gie_window *w, const char **why)
{
  enum gie_auto_pad auto_pad;
  bool ceil_mode = gie_node_int(node, "ceil_mode") != 0;
  if (!gie_window_attrs(node, n, kernel, w, &auto_pad, why))
    return false;
  for (int i = 0; i < n; i++) {
    w->in[i] = in[i];
    if (!gie_window_axis(w, i, auto_pad, ceil_mode, why))
      return false;
  }
  return true;
}
static inline bool gie_window_transpose_attrs(const struct gie_node *node, const struct gie_window *w,
                                              int64_t *output_pad, int64_t *output_shape, const char **why)
{
  uint32_t n_pad = gie_node_ints(node, "output_pad", output_pad, GIE_MAX_SPATIAL, 0);
  uint32_t n_shape = gie_node_ints(node, "output_shape", output_shape, GIE_MAX_SPATIAL, -1);
  const struct gie_attr *given_pad = gie_attrs_find(&node->attrs, "output_pad");
  const struct gie_attr *given_shape = gie_attrs_find(&node->attrs, "output_shape");
  if ((n_pad && given_pad->n != (uint32_t)w->n) || (n_shape && given_shape->n != (uint32_t)w->n))
    return *why = "output_pad or output_shape do not have one entry per spatial axis", false;
  for (int i = 0; i < w->n; i++) {
    if (output_pad[i] < 0 || (output_pad[i] >= w->stride[i] && output_pad[i] >= w->dilation[i]))
      return *why = "output_pad must be at least 0 and below the stride or the dilation", false;
    if (n_shape && (output_shape[i] < 0 || output_shape[i] > GIE_WINDOW_LIMIT))
      return *why = "output_shape negative or above 2^31-1", false;
  }
  return true;
}
static inline bool gie_window_transpose_axis(struct gie_window *w, int i, enum gie_auto_pad auto_pad,
                                             int64_t output_pad, int64_t output_shape, const char **why)
{
  int64_t in = w->in[i], full;
  if (in < 1 || in > GIE_WINDOW_LIMIT)
    return *why = "input extent not in 1 … 2^31-1", false;
  full = (in - 1) * w->stride[i] + gie_window_span(w, i) + output_pad;
  if (output_shape >= 0 || auto_pad != GIE_PAD_EXPLICIT) {
    w->out[i] = output_shape >= 0 ? output_shape : in * w->stride[i];
    int64_t total = full > w->out[i] ? full - w->out[i] : 0;
    w->pad_begin[i] = auto_pad == GIE_PAD_SAME_UPPER ? total / 2 : total - total / 2;
    w->pad_end[i] = total - w->pad_begin[i];
  } else {
    w->out[i] = full - w->pad_begin[i] - w->pad_end[i];
  }
  if (w->out[i] < 0)
    return *why = "pad cuts away more than there is", false;
  if (w->out[i] > GIE_WINDOW_LIMIT)
    return *why = "output extent above 2^31-1", false;
  return true;
}
static inline bool gie_window_read_transpose(const struct gie_node *node, int n, const int64_t *in,
                                             const int64_t *kernel, struct gie_window *w, const char **why)
{
  int64_t output_pad[GIE_MAX_SPATIAL], output_shape[GIE_MAX_SPATIAL];
  enum gie_auto_pad auto_pad;
  if (!gie_window_attrs(node, n, kernel, w, &auto_pad, why) ||
      !gie_window_transpose_attrs(node, w, output_pad, output_shape, why))
    return false;
  for (int i = 0; i < n; i++) {
    w->in[i] = in[i];
    if (!gie_window_transpose_axis(w, i, auto_pad, output_pad[i], output_shape[i], why))
      return false;
  }
  return true;
}
#ifdef __cplusplus
}
#endif
#endif
