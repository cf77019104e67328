/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors on the host: sizes, element access, conversion between types, files. */
#include "tools/tensor.h"
#include <math.h>

#define MAX_FILE ((size_t)1 << 36)

/* ---- Sizes */

gie_status tensor_size(struct gie_context *ctx, const struct gie_tensor *t, size_t *count, size_t *bytes)
{
  size_t n = 1, size = gie_dtype_size(t->dtype);
  bool empty = false;
  if (size == 0)
    return gie_fail(ctx, GIE_E_TYPE, "the tensor has no element type");
  if (t->rank < 0 || t->rank > GIE_MAX_RANK)
    return gie_fail(ctx, GIE_E_LIMIT, "the tensor has %d dims; at most %d are possible", (int)t->rank,
                    GIE_MAX_RANK);
  for (int i = 0; i < t->rank; i++) {
    if (t->dim[i] < 0)
      return gie_fail(ctx, GIE_E_SHAPE, "dim %d of the tensor is negative (%lld)", i, (long long)t->dim[i]);
    empty |= t->dim[i] == 0;
    /* A dim of 0 must not hide that the others are absurd: strides are computed from them. */
    if (t->dim[i] && !gie_mul(n, (size_t)t->dim[i], &n))
      return gie_fail(ctx, GIE_E_LIMIT, "the number of elements overflows");
  }
  if (!gie_mul(n, size, bytes) || *bytes > PTRDIFF_MAX)
    return gie_fail(ctx, GIE_E_LIMIT, "the size of the tensor overflows");
  *count = empty ? 0 : n;
  *bytes = empty ? 0 : *bytes;
  return GIE_OK;
}

size_t tensor_count(const struct gie_tensor *t)
{
  size_t n = 1;
  for (int i = 0; i < t->rank; i++)
    n *= (size_t)t->dim[i];
  return n;
}

gie_status tensor_new(struct gie_context *ctx, enum gie_dtype dtype, int rank, const int64_t *dim,
                      struct gie_tensor *out)
{
  struct gie_tensor t = {.struct_size = sizeof t, .dtype = dtype, .rank = rank};
  size_t count, bytes;
  for (int i = 0; i < rank && i < GIE_MAX_RANK; i++)
    t.dim[i] = dim[i];
  GIE_TRY(tensor_size(ctx, &t, &count, &bytes));
  t.data = gie_alloc(ctx, bytes, 1);
  if (!t.data)
    return GIE_E_MEMORY;
  *out = t;
  return GIE_OK;
}

void tensor_free(struct gie_context *ctx, struct gie_tensor *t)
{
  gie_free(ctx, t->data);
  t->data = NULL;
}

/* ---- Elements */

double tensor_get(const struct gie_tensor *t, size_t i)
{
  const void *p = t->data;
  switch (t->dtype) {
  case GIE_F32:
    return ((const float *)p)[i];
  case GIE_F16:
    return gie_f16_to_f32(((const uint16_t *)p)[i]);
  case GIE_BF16:
    return gie_bf16_to_f32(((const uint16_t *)p)[i]);
  case GIE_F64:
    return ((const double *)p)[i];
  case GIE_I8:
    return ((const int8_t *)p)[i];
  case GIE_I16:
    return ((const int16_t *)p)[i];
  case GIE_I32:
    return ((const int32_t *)p)[i];
  case GIE_I64:
    return (double)((const int64_t *)p)[i];
  case GIE_U8:
    return ((const uint8_t *)p)[i];
  case GIE_U16:
    return ((const uint16_t *)p)[i];
  case GIE_U32:
    return ((const uint32_t *)p)[i];
  case GIE_U64:
    return (double)((const uint64_t *)p)[i];
  case GIE_BOOL:
    return ((const uint8_t *)p)[i] != 0;
  default:
    return 0;
  }
}

/* Stores a whole number that was saturated to the type. */
static void store_int(struct gie_tensor *t, size_t i, uint64_t bits)
{
  void *p = t->data;
  switch (gie_dtype_size(t->dtype)) {
  case 1:
    ((uint8_t *)p)[i] = (uint8_t)bits;
    break;
  case 2:
    ((uint16_t *)p)[i] = (uint16_t)bits;
    break;
  case 4:
    ((uint32_t *)p)[i] = (uint32_t)bits;
    break;
  default:
    ((uint64_t *)p)[i] = bits;
    break;
  }
}

static void store_float(struct gie_tensor *t, size_t i, double v)
{
  void *p = t->data;
  switch (t->dtype) {
  case GIE_F16:
    ((uint16_t *)p)[i] = gie_f32_to_f16((float)v);
    break;
  case GIE_BF16:
    ((uint16_t *)p)[i] = gie_f32_to_bf16((float)v);
    break;
  case GIE_F64:
    ((double *)p)[i] = v;
    break;
  default:
    ((float *)p)[i] = (float)v;
    break;
  }
}

static int int_bits(enum gie_dtype d) { return 8 * (int)gie_dtype_size(d); }

void tensor_set(struct gie_tensor *t, size_t i, double v)
{
  char cls = gie_dtype_class(t->dtype);
  int bits = int_bits(t->dtype);
  if (cls == 'f') {
    store_float(t, i, v);
  } else if (cls == 'b') {
    store_int(t, i, v != 0);
  } else if (cls == 'u') {
    double top = ldexp(1, bits);
    uint64_t max = bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
    store_int(t, i, !(v > 0) ? 0 : v >= top ? max : (uint64_t)v);
  } else if (bits > 0) {
    double top = ldexp(1, bits - 1);
    int64_t max = bits == 64 ? INT64_MAX : ((int64_t)1 << (bits - 1)) - 1;
    store_int(t, i, (uint64_t)(isnan(v) ? 0 : v >= top ? max : v < -top ? -max - 1 : (int64_t)v));
  }
}

/* Integer to integer without the detour over a double. */
static void convert_int(const struct gie_tensor *a, struct gie_tensor *b, size_t i)
{
  int64_t v;
  if (a->dtype == GIE_U64) {
    uint64_t u = ((const uint64_t *)a->data)[i];
    if (b->dtype == GIE_U64 || u > INT64_MAX) {
      tensor_set(b, i, (double)u);
      if (b->dtype == GIE_U64)
        store_int(b, i, u);
      return;
    }
    v = (int64_t)u;
  } else {
    v = a->dtype == GIE_I64 ? ((const int64_t *)a->data)[i] : (int64_t)tensor_get(a, i);
  }
  if (gie_dtype_size(b->dtype) < 8)
    tensor_set(b, i, (double)v); /* far outside or exact: saturation sees the same either way */
  else
    store_int(b, i, gie_dtype_class(b->dtype) == 'u' && v < 0 ? 0 : (uint64_t)v);
}

gie_status tensor_convert(struct gie_context *ctx, const struct gie_tensor *t, enum gie_dtype dtype,
                          struct gie_tensor *out)
{
  struct gie_tensor b;
  GIE_TRY(tensor_new(ctx, dtype, t->rank, t->dim, &b));
  size_t n = tensor_count(t);
  bool ints = strchr("iu", gie_dtype_class(t->dtype)) && strchr("iu", gie_dtype_class(dtype));
  if (dtype == t->dtype)
    memcpy(b.data, t->data, n * gie_dtype_size(dtype));
  else if (ints)
    for (size_t i = 0; i < n; i++)
      convert_int(t, &b, i);
  else
    for (size_t i = 0; i < n; i++)
      tensor_set(&b, i, tensor_get(t, i));
  *out = b;
  return GIE_OK;
}

bool tensor_is_finite(const struct gie_tensor *t)
{
  size_t n = tensor_count(t);
  if (gie_dtype_class(t->dtype) != 'f')
    return true;
  for (size_t i = 0; i < n; i++)
    if (!isfinite(tensor_get(t, i)))
      return false;
  return true;
}

/* ---- Files */

static bool has_suffix(const char *path, const char *suffix)
{
  size_t n = strlen(path), k = strlen(suffix);
  return n > k && strcmp(path + n - k, suffix) == 0;
}

static gie_status decode(struct gie_context *ctx, const char *path, const char *data, size_t size,
                         struct gie_tensor *out)
{
  if (size == 0)
    return gie_fail(ctx, GIE_E_DATA, "the file is empty; give a tensor (.npy, .pb)");
  if (size >= 6 && memcmp(data, NPY_MAGIC, 6) == 0)
    return npy_decode(ctx, data, size, out);
  if (has_suffix(path, ".npy"))
    return gie_fail(ctx, GIE_E_DATA, "this is no .npy file: it does not begin with \\x93NUMPY");
  if (size >= 2 && memcmp(data, "PK", 2) == 0)
    return gie_fail(ctx, GIE_E_DATA,
                    "this looks like a zip archive (.npz); unzip it and give one .npy of it");
  return proto_decode(ctx, data, size, out);
}

gie_status tensor_read(struct gie_context *ctx, const char *path, struct gie_tensor *out)
{
  char *data;
  size_t size;
  GIE_TRY(gie_file_read(ctx, path, MAX_FILE, &data, &size));
  gie_status st = decode(ctx, path, data, size, out);
  gie_free(ctx, data);
  return st == GIE_OK ? st : gie_error_prefix(ctx, st, "%s", path);
}

static gie_status save(struct gie_context *ctx, const char *path, const struct gie_buf *head,
                       const struct gie_tensor *t)
{
  struct gie_save s;
  GIE_TRY(gie_save_begin(ctx, path, &s));
  gie_status st = gie_save_write(&s, head->data, head->len);
  if (st == GIE_OK)
    st = gie_save_write(&s, t->data, tensor_count(t) * gie_dtype_size(t->dtype));
  if (st == GIE_OK)
    return gie_save_commit(&s);
  gie_save_abort(&s);
  return st;
}

static gie_status write_as(struct gie_context *ctx, const char *path, const char *name,
                           const struct gie_tensor *t, bool npy)
{
  struct gie_buf head;
  gie_buf_init(&head, ctx);
  gie_status st = npy ? npy_encode_head(t, &head) : proto_encode_head(t, name, &head);
  if (st == GIE_OK)
    st = head.status;
  if (st == GIE_OK)
    st = save(ctx, path, &head, t);
  gie_buf_free(&head);
  return st;
}

gie_status tensor_write(struct gie_context *ctx, const char *path, const char *name,
                        const struct gie_tensor *t)
{
  bool npy = has_suffix(path, ".npy");
  if (!npy && !has_suffix(path, ".pb"))
    return gie_fail(ctx, GIE_E_USAGE,
                    "%s: an output is written as .npy or .pb; give the file one of these suffixes", path);
  if (!npy || t->dtype != GIE_BF16)
    return write_as(ctx, path, name, t, npy);
  struct gie_tensor wide;
  GIE_TRY(tensor_convert(ctx, t, GIE_F32, &wide));
  gie_status st = write_as(ctx, path, name, &wide, true);
  tensor_free(ctx, &wide);
  return st;
}
