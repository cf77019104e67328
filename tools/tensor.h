/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors in files: NumPy's .npy and ONNX's TensorProto (.pb); conversion and comparison. */
#ifndef GIE_TOOLS_TENSOR_H
#define GIE_TOOLS_TENSOR_H

#include "core/base/base.h"
#include <gie/gie.h>

/* ---- tensor_io.c */

/* A tensor of that type and zeroed data; E_LIMIT when its size overflows. */
gie_status tensor_new(struct gie_context *ctx, enum gie_dtype dtype, int rank, const int64_t *dim,
                      struct gie_tensor *out);
void tensor_free(struct gie_context *ctx, struct gie_tensor *t);
/* Number of elements and bytes of a valid tensor; E_LIMIT, E_SHAPE or E_TYPE for others. */
gie_status tensor_size(struct gie_context *ctx, const struct gie_tensor *t, size_t *count, size_t *bytes);
/* Elements of a valid tensor. */
size_t tensor_count(const struct gie_tensor *t);
/* Element i in row-major order as a double, and back: rounded to floats, cut and saturated to integers. */
double tensor_get(const struct gie_tensor *t, size_t i);
void tensor_set(struct gie_tensor *t, size_t i, double v);
/* Copy in another dtype. Integers stay exact where they fit and are saturated where they do not. */
gie_status tensor_convert(struct gie_context *ctx, const struct gie_tensor *t, enum gie_dtype dtype,
                          struct gie_tensor *out);
bool tensor_is_finite(const struct gie_tensor *t);

/* Reads a .npy or TensorProto file, told apart by content. Messages begin with the path. */
gie_status tensor_read(struct gie_context *ctx, const char *path, struct gie_tensor *out);
/* Writes .npy or .pb, as the suffix says. Atomic. bf16 becomes f32 in a .npy, which has no such type. */
gie_status tensor_write(struct gie_context *ctx, const char *path, const char *name,
                        const struct gie_tensor *t);

/* ---- npy.c and proto.c: the formats, on bytes in memory; messages without the path */

#define NPY_MAGIC "\x93NUMPY"
gie_status npy_decode(struct gie_context *ctx, const void *data, size_t size, struct gie_tensor *out);
/* `head` gets what stands before the data. */
gie_status npy_encode_head(const struct gie_tensor *t, struct gie_buf *head);
gie_status proto_decode(struct gie_context *ctx, const void *data, size_t size, struct gie_tensor *out);
gie_status proto_encode_head(const struct gie_tensor *t, const char *name, struct gie_buf *head);

/* ---- compare.c */

struct compare_rule {
  double rtol, atol; /* NaN: not given */
  uint32_t same_top; /* 0: do not look */
};

struct compare_result {
  bool same, same_shape, same_top; /* `same` is the verdict over all */
  bool absolute;                   /* judged by atol */
  double tolerance;                /* rtol or atol that was applied */
  double max_abs, max_rel;         /* max|a-b|, and that over max|b| */
  size_t worst, count;             /* row-major index of max|a-b|; elements */
};

/* max|a-b| <= rtol * max|b|, or <= atol when that is given. E_DATA when b cannot tell right from wrong: not
 * finite, or constant with a relative tolerance. */
gie_status compare_tensors(struct gie_context *ctx, const struct gie_tensor *a, const struct gie_tensor *b,
                           const struct compare_rule *rule, struct compare_result *out);
/* The tolerance that goes without saying: the wider one of the two types. */
double compare_rtol(enum gie_dtype a, enum gie_dtype b);
/* Equal dims, axes of 1 aside. */
bool compare_shapes(const struct gie_tensor *a, const struct gie_tensor *b);
/* Indices of the k greatest of v[0..n), greatest first, the lower index first among equals; NaN last. */
void compare_top(const struct gie_tensor *t, size_t first, size_t n, uint32_t k, size_t *out);

#endif
