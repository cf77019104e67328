/* SPDX-License-Identifier: Apache-2.0 */
/* Element types, dims, shapes, layouts and dense descriptors: plain data, no ownership.
 * All of it is thread-safe; nothing here allocates. */
#ifndef GIE_TYPES_H
#define GIE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Index of a value or a node in its graph. Ids are stable until gie_graph_compact(). */
typedef uint32_t gie_id;
#define GIE_NONE UINT32_MAX

/*      enum  text    bytes  class ('f' float, 'i' signed, 'u' unsigned, 'b' bool) */
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

/* GIE_DTYPE_NONE: not known (result of an opaque node). Printed as `?`. */
enum gie_dtype {
  GIE_DTYPE_NONE,
#define GIE_DTYPE_ENUM(name, text, bytes, cls) GIE_##name,
  GIE_DTYPE_LIST(GIE_DTYPE_ENUM)
#undef GIE_DTYPE_ENUM
      GIE_DTYPE_COUNT
};

#define GIE_MAX_RANK 8

/* One dim: a number, a*sym+b, or unknown until the data is there.
 *   number:   sym == GIE_NONE, value b (a is 0)
 *   symbolic: sym is an index into the graph's symbol table, a != 0
 *   unknown:  sym == GIE_DIM_UNKNOWN */
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
/* True when both are known and certainly the same number. */
static inline bool gie_dim_equal(struct gie_dim x, struct gie_dim y)
{
  return x.sym == y.sym && x.sym != GIE_DIM_UNKNOWN && x.a == y.a && x.b == y.b;
}

/* rank -1: not even the rank is known (result of an opaque node). */
struct gie_shape {
  int32_t rank;
  struct gie_dim dim[GIE_MAX_RANK];
};

/* Memory order of a tensor: `perm/bAxis:size`.
 *   perm[0..rank-1]  logical axes from outermost to innermost
 *   block            1, or the size of the innermost block taken from axis `block_axis`
 * A blocked axis is rounded up to a multiple of the block; pad lanes are zero.
 * rank 0 with any == false is the plain row-major layout of whatever rank the tensor has, so that
 * zero-initialized means plain. `any` occurs only in a kernel's variants: "whatever is there".
 * Names (aliases of perm/block) are in core/ir/layout.c: nchw nhwc nChw8c nChw16c nChw4c nChw32c
 * Nchw2n, ncw nwc, ncdhw ndhwc. */
struct gie_layout {
  uint8_t rank;
  uint8_t perm[GIE_MAX_RANK];
  uint8_t block_axis;
  uint16_t block; /* 0 or 1: not blocked */
  bool any;
};

/* A tensor with all dims known, as kernels see it. Strides are in elements. For the blocked axis,
 * stride[] counts whole blocks; inside a block the stride is 1. A tensor is *pitched* when its
 * strides are not those of its dense layout (it is a view into a larger one). */
struct gie_desc {
  enum gie_dtype dtype;
  int32_t rank;
  int64_t dim[GIE_MAX_RANK];
  int64_t stride[GIE_MAX_RANK];
  struct gie_layout layout;
  bool pitched;
};

/* Element offset of logical index idx[0..rank-1]. */
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

/* Number of logical elements (1 for a scalar). The dims were checked when the desc was made. */
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

/* 'f', 'i', 'u', 'b'; 0 for GIE_DTYPE_NONE. */
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

/* Set of dtypes, for op and kernel tables. */
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
