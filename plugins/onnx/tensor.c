/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors: from raw bytes, typed fields, payloads left in the file, or external files into a blob.
 * Sizes are checked against the bytes that are really there before anything is allocated. */
#include "plugins/onnx/onnx.h"

#define CHUNK ((size_t)1 << 16)

/* Where the elements of a tensor are. `inline_n` elements of a typed field, or `n_lifted` payloads. */
struct payload {
  enum { IN_RAW, IN_FLOAT, IN_INT32, IN_INT64, IN_DOUBLE, IN_UINT64, IN_NONE } field;
  const void *data; /* inline elements (or bytes for IN_RAW) */
  size_t n;         /* inline elements */
  const uint32_t *lifted;
  size_t n_lifted;
};

/* Field and size of an element in its inline form, by enum onnx_dtype. Source: the comments on the
 * typed fields in the ONNX IR specification. */
static const int typed_field[] = {
    [ONNX_FLOAT] = IN_FLOAT,   [ONNX_UINT8] = IN_INT32,    [ONNX_INT8] = IN_INT32,
    [ONNX_UINT16] = IN_INT32,  [ONNX_INT16] = IN_INT32,    [ONNX_INT32] = IN_INT32,
    [ONNX_INT64] = IN_INT64,   [ONNX_STRING] = IN_NONE,    [ONNX_BOOL] = IN_INT32,
    [ONNX_FLOAT16] = IN_INT32, [ONNX_DOUBLE] = IN_DOUBLE,  [ONNX_UINT32] = IN_UINT64,
    [ONNX_UINT64] = IN_UINT64, [ONNX_COMPLEX64] = IN_NONE, [ONNX_COMPLEX128] = IN_NONE,
    [ONNX_BFLOAT16] = IN_INT32};

/* ---- Type ------------------------------------------------------------------------------------ */

static gie_status tensor_type(struct onnx_import *im, const Onnx__Tensor *t, struct gie_type *type,
                              size_t *bytes)
{
  struct gie_context *ctx = im->ctx;
  size_t count = 1;
  type->dtype = onnx_dtype(t->data_type);
  if (!onnx_dtype_name(t->data_type))
    return gie_fail(ctx, GIE_E_TYPE, "element type %d does not exist", (int)t->data_type);
  if (!type->dtype)
    return gie_fail(ctx, GIE_E_UNSUPPORTED, "element type %s is not supported",
                    onnx_dtype_name(t->data_type));
  if (t->n_dims > GIE_MAX_RANK)
    return gie_fail(ctx, GIE_E_LIMIT, "rank %zu; at most %d is supported", t->n_dims, GIE_MAX_RANK);
  type->shape.rank = (int32_t)t->n_dims;
  bool empty = false;
  for (size_t i = 0; i < t->n_dims; i++) {
    if (t->dims[i] < 0)
      return gie_fail(ctx, GIE_E_SHAPE, "dim %lld of a tensor with data; dims cannot be negative",
                      (long long)t->dims[i]);
    empty = empty || t->dims[i] == 0;
    type->shape.dim[i] = gie_dim_num(t->dims[i]);
  }
  for (size_t i = 0; !empty && i < t->n_dims; i++)
    if (!gie_mul(count, (size_t)t->dims[i], &count))
      return gie_fail(ctx, GIE_E_LIMIT, "the number of elements overflows; the file is damaged");
  if (!gie_mul(empty ? 0 : count, gie_dtype_size(type->dtype), bytes) || *bytes > INT64_MAX)
    return gie_fail(ctx, GIE_E_LIMIT, "the number of bytes overflows; the file is damaged");
  return GIE_OK;
}

/* ---- Payload --------------------------------------------------------------------------------- */

/* The fields that hold elements; more than one is an error, and so is data on both sides of the pre-scan's
 * size limit, since their order is lost (no writer cuts a field into pieces). */
static gie_status find_payload(struct onnx_import *im, const Onnx__Tensor *t, struct payload *out)
{
  const struct payload fields[] = {
      {IN_RAW, t->raw_data.data, t->has_raw_data ? t->raw_data.len : 0, t->lifted_raw, t->n_lifted_raw},
      {IN_FLOAT, t->float_data, t->n_float_data, t->lifted_float, t->n_lifted_float},
      {IN_INT32, t->int32_data, t->n_int32_data, t->lifted_int32, t->n_lifted_int32},
      {IN_INT64, t->int64_data, t->n_int64_data, t->lifted_int64, t->n_lifted_int64},
      {IN_DOUBLE, t->double_data, t->n_double_data, t->lifted_double, t->n_lifted_double},
      {IN_UINT64, t->uint64_data, t->n_uint64_data, t->lifted_uint64, t->n_lifted_uint64},
  };
  *out = (struct payload){IN_NONE, NULL, 0, NULL, 0};
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    if (!fields[i].n && !fields[i].n_lifted)
      continue;
    if (out->field != IN_NONE)
      return gie_fail(im->ctx, GIE_E_DATA, "data in two fields; there must be one");
    *out = fields[i];
    if (out->n && out->n_lifted)
      return gie_fail(im->ctx, GIE_E_UNSUPPORTED,
                      "data in pieces; save the model again so that each field is in one");
  }
  return GIE_OK;
}

static const struct pre_lift *lift_at(struct onnx_import *im, const struct payload *p, size_t i)
{
  return &im->scan.lifts[p->lifted[i] < im->scan.n_lifts ? p->lifted[i] : 0];
}

static uint64_t lifted_bytes(struct onnx_import *im, const struct payload *p)
{
  uint64_t sum = 0;
  for (size_t i = 0; i < p->n_lifted; i++)
    sum += lift_at(im, p, i)->size;
  return sum;
}

/* Bytes to come straight from memory or file, little-endian as the IR has them. */
static bool is_plain(const struct payload *p)
{
  return p->field == IN_RAW || p->field == IN_FLOAT || p->field == IN_DOUBLE;
}

/* Refuses a payload that cannot hold the elements. A varint has at least one byte. */
static gie_status check_size(struct onnx_import *im, const struct payload *p, size_t bytes, size_t size)
{
  uint64_t lifted = lifted_bytes(im, p);
  if (is_plain(p)) {
    uint64_t have = p->n_lifted ? lifted : p->n * (p->field == IN_RAW ? 1 : size);
    if (have != bytes)
      return gie_fail(im->ctx, GIE_E_DATA,
                      "%zu bytes of data are needed, %llu are there; the file is damaged", bytes,
                      (unsigned long long)have);
    return GIE_OK;
  }
  size_t count = bytes / size;
  if (p->n_lifted ? lifted < count : p->n != count)
    return gie_fail(im->ctx, GIE_E_DATA, "%zu elements are needed, %llu are there; the file is damaged",
                    count, (unsigned long long)(p->n_lifted ? lifted : p->n));
  return GIE_OK;
}

/* ---- Numbers in varint fields ---------------------------------------------------------------- */

/* Stores element i; false if v is no value of the type. int32_data holds f16 and bf16 as their bits. */
static bool store(enum gie_dtype dtype, char *to, size_t i, uint64_t v)
{
  int64_t s = (int64_t)v;
#define STORE(T, fits)                       \
  do {                                       \
    T e = (T)v;                              \
    memcpy(to + i * sizeof e, &e, sizeof e); \
    return fits;                             \
  } while (0)
  switch (dtype) {
  case GIE_BOOL:
    to[i] = v != 0;
    return true;
  case GIE_I8:
    STORE(int8_t, s >= INT8_MIN && s <= INT8_MAX);
  case GIE_U8:
    STORE(uint8_t, v <= UINT8_MAX);
  case GIE_I16:
    STORE(int16_t, s >= INT16_MIN && s <= INT16_MAX);
  case GIE_U16:
  case GIE_F16:
  case GIE_BF16:
    STORE(uint16_t, v <= UINT16_MAX);
  case GIE_I32:
    STORE(int32_t, s >= INT32_MIN && s <= INT32_MAX);
  case GIE_U32:
    STORE(uint32_t, v <= UINT32_MAX);
  default:
    STORE(uint64_t, true);
  }
#undef STORE
}

static gie_status range_error(struct onnx_import *im, enum gie_dtype dtype, size_t i)
{
  return gie_fail(im->ctx, GIE_E_DATA, "element %zu is no %s; the file is damaged", i, gie_dtype_name(dtype));
}

static gie_status store_inline(struct onnx_import *im, const struct payload *p, enum gie_dtype dtype,
                               char *to)
{
  for (size_t i = 0; i < p->n; i++) {
    uint64_t v = p->field == IN_INT32   ? (uint64_t)(int64_t)((const int32_t *)p->data)[i]
                 : p->field == IN_INT64 ? (uint64_t)((const int64_t *)p->data)[i]
                                        : ((const uint64_t *)p->data)[i];
    if (!store(dtype, to, i, v))
      return range_error(im, dtype, i);
  }
  return GIE_OK;
}

/* Decodes the varints of one payload; *i is the next element of `count`. */
static gie_status store_lifted(struct onnx_import *im, const struct pre_lift *l, enum gie_dtype dtype,
                               unsigned char *buf, char *to, size_t *i, size_t count)
{
  uint64_t v = 0;
  unsigned shift = 0;
  for (uint64_t at = 0; at < l->size;) {
    size_t n = l->size - at < CHUNK ? (size_t)(l->size - at) : CHUNK;
    GIE_TRY(gie_file_pread(im->ctx, im->src->fd, im->src->path, buf, n, l->offset + at));
    at += n;
    for (size_t k = 0; k < n; k++) {
      if (shift > 63 || (shift == 63 && buf[k] > 1))
        return gie_fail(im->ctx, GIE_E_PARSE, "byte %llu: number longer than 64 bits",
                        (unsigned long long)(l->offset + at - n + k));
      v |= (uint64_t)(buf[k] & 0x7f) << shift;
      shift += 7;
      if (buf[k] & 0x80)
        continue;
      if (*i >= count)
        return gie_fail(im->ctx, GIE_E_DATA,
                        "more than the %zu elements that the dims say; the file is damaged", count);
      if (!store(dtype, to, *i, v))
        return range_error(im, dtype, *i);
      ++*i;
      v = shift = 0;
    }
  }
  return shift ? gie_fail(im->ctx, GIE_E_PARSE, "byte %llu: truncated number",
                          (unsigned long long)(l->offset + l->size))
               : GIE_OK;
}

static gie_status store_all_lifted(struct onnx_import *im, const struct payload *p, enum gie_dtype dtype,
                                   char *to, size_t count)
{
  size_t done = 0;
  gie_status st = GIE_OK;
  unsigned char *buf = gie_alloc_raw(im->ctx, CHUNK, 1);
  if (!buf)
    return GIE_E_MEMORY;
  for (size_t i = 0; st == GIE_OK && i < p->n_lifted; i++)
    st = store_lifted(im, lift_at(im, p, i), dtype, buf, to, &done, count);
  gie_free(im->ctx, buf);
  if (st == GIE_OK && done != count)
    st = gie_fail(im->ctx, GIE_E_DATA, "%zu elements are needed, %zu are there; the file is damaged", count,
                  done);
  return st;
}

static gie_status read_lifted(struct onnx_import *im, const struct payload *p, char *to)
{
  for (size_t i = 0; i < p->n_lifted; i++) {
    const struct pre_lift *l = lift_at(im, p, i);
    GIE_TRY(gie_file_pread(im->ctx, im->src->fd, im->src->path, to, (size_t)l->size, l->offset));
    to += l->size;
  }
  return GIE_OK;
}

/* ---- Whole tensor ---------------------------------------------------------------------------- */

static gie_status fill(struct onnx_import *im, const struct payload *p, enum gie_dtype dtype, char *to,
                       size_t bytes)
{
  if (bytes == 0)
    return GIE_OK;
  if (!is_plain(p))
    return p->n_lifted ? store_all_lifted(im, p, dtype, to, bytes / gie_dtype_size(dtype))
                       : store_inline(im, p, dtype, to);
  if (p->n_lifted)
    return read_lifted(im, p, to);
  memcpy(to, p->data, bytes);
  return GIE_OK;
}

/* A bool is 0 or 1 whatever byte the file has. */
static void normalize_bools(unsigned char *p, size_t n)
{
  for (size_t i = 0; i < n; i++)
    p[i] = p[i] != 0;
}

static gie_status make_blob(struct onnx_import *im, size_t bytes, struct gie_const *data)
{
  GIE_TRY(gie_blob_new_raw(im->ctx, bytes, &data->blob));
  data->offset = 0;
  data->size = bytes;
  return GIE_OK;
}

static gie_status inside_tensor(struct onnx_import *im, const Onnx__Tensor *t, const struct gie_type *type,
                                size_t bytes, struct gie_const *data)
{
  struct payload p;
  GIE_TRY(find_payload(im, t, &p));
  if (p.field == IN_NONE && bytes > 0)
    return gie_fail(im->ctx, GIE_E_DATA, "%zu bytes of data are needed, none are there", bytes);
  if (p.field != IN_NONE && p.field != IN_RAW && (int)p.field != typed_field[t->data_type])
    return gie_fail(im->ctx, GIE_E_DATA, "the data is in a field that is not for element type %s",
                    onnx_dtype_name(t->data_type));
  if (p.field != IN_NONE)
    GIE_TRY(check_size(im, &p, bytes, gie_dtype_size(type->dtype)));
  GIE_TRY(make_blob(im, bytes, data));
  return fill(im, &p, type->dtype, gie_blob_data(data->blob), bytes);
}

static gie_status outside_tensor(struct onnx_import *im, const Onnx__Tensor *t, size_t bytes,
                                 struct gie_const *data)
{
  int fd;
  const char *path;
  uint64_t offset;
  struct payload p;
  GIE_TRY(find_payload(im, t, &p));
  if (p.field != IN_NONE)
    return gie_fail(im->ctx, GIE_E_DATA, "data in the file and in an external one; there must be one");
  GIE_TRY(onnx_external(im, t, bytes, &fd, &path, &offset));
  GIE_TRY(make_blob(im, bytes, data));
  return bytes ? gie_file_pread(im->ctx, fd, path, gie_blob_data(data->blob), bytes, offset) : GIE_OK;
}

gie_status onnx_tensor(struct onnx_import *im, const Onnx__Tensor *t, struct gie_type *type,
                       struct gie_const *data)
{
  size_t bytes = 0;
  *data = (struct gie_const){NULL, 0, 0};
  if (t->segment)
    return gie_fail(im->ctx, GIE_E_UNSUPPORTED,
                    "a tensor in segments; save the model again with a current version of ONNX");
  GIE_TRY(tensor_type(im, t, type, &bytes));
  gie_status st = t->data_location == 1 ? outside_tensor(im, t, bytes, data)
                                        : inside_tensor(im, t, type, bytes, data);
  if (st != GIE_OK) {
    gie_blob_unref(data->blob);
    return st;
  }
  if (type->dtype == GIE_BOOL)
    normalize_bools(gie_blob_data(data->blob), bytes);
  return GIE_OK;
}

gie_status onnx_tensor_const(struct onnx_scope *s, const Onnx__Tensor *t, const char *name, gie_id *out)
{
  struct gie_type type;
  struct gie_const data;
  GIE_TRY(onnx_tensor(s->im, t, &type, &data));
  gie_status st = gie_graph_add_const(s->g, name, &type, &data, out);
  gie_blob_unref(data.blob);
  return st;
}
