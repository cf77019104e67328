/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX TensorProto files, the .pb of test vectors: a small bounded reader and writer of the protobuf wire
 * format, for this one message.
 * Field numbers: onnx.proto3 of ONNX 1.16, message TensorProto. Wire format: protobuf.dev, "Encoding".
 *
 * A first walk over the fields checks them and notes where the elements are; memory is asked for only once
 * the elements are known to be in the file. */
#include "tools/tensor.h"

enum {
  F_DIMS = 1,
  F_TYPE = 2,
  F_SEGMENT = 3,
  F_FLOATS = 4,
  F_INT32S = 5,
  F_STRINGS = 6,
  F_INT64S = 7,
  F_NAME = 8,
  F_RAW = 9,
  F_DOUBLES = 10,
  F_UINT64S = 11,
  F_EXTERNAL = 13,
  F_LOCATION = 14
};
enum { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_GROUP, WIRE_GROUP_END, WIRE_32 };

/* The element types of TensorProto.DataType, and the field that holds elements when raw_data does not. */
static const struct {
  int number;
  enum gie_dtype dtype;
  int field;
} types[] = {
    {1, GIE_F32, F_FLOATS},   {2, GIE_U8, F_INT32S},    {3, GIE_I8, F_INT32S},    {4, GIE_U16, F_INT32S},
    {5, GIE_I16, F_INT32S},   {6, GIE_I32, F_INT32S},   {7, GIE_I64, F_INT64S},   {9, GIE_BOOL, F_INT32S},
    {10, GIE_F16, F_INT32S},  {11, GIE_F64, F_DOUBLES}, {12, GIE_U32, F_UINT64S}, {13, GIE_U64, F_UINT64S},
    {16, GIE_BF16, F_INT32S},
};
#define N_TYPES (sizeof types / sizeof types[0])

struct bytes {
  const unsigned char *s, *end;
};

/* One field of the message: a number, or the bytes of what has a length. */
struct field {
  uint32_t number;
  int wire;
  uint64_t value;
  struct bytes bytes;
};

struct message {
  int rank;
  int64_t dim[GIE_MAX_RANK];
  int64_t type;
  bool has_raw, external, strings, segment;
  struct bytes raw;
  size_t counts[F_UINT64S + 1]; /* elements in each typed field */
};

static gie_status cut_off(struct gie_context *ctx)
{
  return gie_fail(ctx, GIE_E_PARSE,
                  "this is no TensorProto: it ends inside a field; give .npy, .pb, .png or .jpg");
}

static bool take_varint(struct bytes *b, uint64_t *out)
{
  uint64_t v = 0;
  for (int shift = 0; shift < 70 && b->s < b->end; shift += 7) {
    unsigned char c = *b->s++;
    if (shift == 63 && c > 1)
      return false;
    v |= (uint64_t)(c & 127) << shift;
    if (c < 128) {
      *out = v;
      return true;
    }
  }
  return false;
}

static bool take_fixed(struct bytes *b, size_t n, uint64_t *out)
{
  uint64_t v = 0;
  if ((size_t)(b->end - b->s) < n)
    return false;
  for (size_t i = 0; i < n; i++)
    v |= (uint64_t)b->s[i] << 8 * i;
  b->s += n;
  *out = v;
  return true;
}

static gie_status take_field(struct gie_context *ctx, struct bytes *b, struct field *f)
{
  uint64_t key;
  bool ok;
  if (!take_varint(b, &key))
    return cut_off(ctx);
  f->wire = (int)(key & 7);
  if (key >> 3 == 0 || key >> 3 > (1u << 29) - 1)
    return gie_fail(ctx, GIE_E_PARSE,
                    "this is no TensorProto: a field has number %llu; give .npy, .pb, .png or .jpg",
                    (unsigned long long)(key >> 3));
  f->number = (uint32_t)(key >> 3);
  switch (f->wire) {
  case WIRE_VARINT:
    ok = take_varint(b, &f->value);
    break;
  case WIRE_64:
    ok = take_fixed(b, 8, &f->value);
    break;
  case WIRE_32:
    ok = take_fixed(b, 4, &f->value);
    break;
  case WIRE_BYTES:
    ok = take_varint(b, &f->value) && f->value <= (size_t)(b->end - b->s);
    if (ok) {
      f->bytes = (struct bytes){b->s, b->s + f->value};
      b->s += f->value;
    }
    break;
  default:
    return gie_fail(ctx, GIE_E_PARSE,
                    "this is no TensorProto: a field has wire type %d; give .npy, .pb, .png or .jpg",
                    f->wire);
  }
  return ok ? GIE_OK : cut_off(ctx);
}

/* Bytes of an element of a repeated field when it is fixed, or 0: varints. */
static size_t fixed_size(uint32_t number) { return number == F_FLOATS ? 4 : number == F_DOUBLES ? 8 : 0; }

/* Next element of a repeated field, packed in f->bytes or alone in f->value; false at its end. */
static bool next_element(struct field *f, uint64_t *out, bool *bad)
{
  size_t fixed = fixed_size(f->number);
  int alone = fixed == 4 ? WIRE_32 : fixed == 8 ? WIRE_64 : WIRE_VARINT;
  if (f->wire == alone) {
    *out = f->value;
    f->wire = -1;
    return true;
  }
  if (f->wire == -1 || (f->wire == WIRE_BYTES && f->bytes.s == f->bytes.end))
    return false;
  *bad = f->wire != WIRE_BYTES || !(fixed ? take_fixed(&f->bytes, fixed, out) : take_varint(&f->bytes, out));
  return !*bad;
}

static gie_status bad_field(struct gie_context *ctx, uint32_t number)
{
  return gie_fail(ctx, GIE_E_PARSE,
                  "this is no TensorProto: field %u is malformed; give .npy, .pb, .png or .jpg",
                  (unsigned)number);
}

static gie_status note_dims(struct gie_context *ctx, struct field f, struct message *m)
{
  uint64_t v;
  bool bad = false;
  while (next_element(&f, &v, &bad)) {
    if (m->rank == GIE_MAX_RANK)
      return gie_fail(ctx, GIE_E_LIMIT, "the tensor has more than %d dims", GIE_MAX_RANK);
    m->dim[m->rank++] = (int64_t)v;
  }
  return bad ? bad_field(ctx, f.number) : GIE_OK;
}

static gie_status note_elements(struct gie_context *ctx, struct field f, struct message *m)
{
  uint64_t v;
  bool bad = false;
  while (next_element(&f, &v, &bad))
    m->counts[f.number]++;
  return bad ? bad_field(ctx, f.number) : GIE_OK;
}

static gie_status note_field(struct gie_context *ctx, const struct field *f, struct message *m)
{
  switch (f->number) {
  case F_DIMS:
    return note_dims(ctx, *f, m);
  case F_FLOATS:
  case F_INT32S:
  case F_INT64S:
  case F_DOUBLES:
  case F_UINT64S:
    return note_elements(ctx, *f, m);
  case F_TYPE:
  case F_LOCATION:
    if (f->wire != WIRE_VARINT)
      return bad_field(ctx, f->number);
    if (f->number == F_TYPE)
      m->type = (int64_t)f->value;
    else
      m->external = f->value == 1;
    return GIE_OK;
  case F_RAW:
    if (f->wire != WIRE_BYTES)
      return bad_field(ctx, f->number);
    m->has_raw = true;
    m->raw = f->bytes;
    return GIE_OK;
  case F_STRINGS:
    m->strings = true;
    return GIE_OK;
  case F_SEGMENT:
    m->segment = true;
    return GIE_OK;
  default:
    return GIE_OK;
  }
}

static void store(struct gie_tensor *t, size_t i, uint64_t v)
{
  unsigned char *to = (unsigned char *)t->data + i * gie_dtype_size(t->dtype);
  if (t->dtype == GIE_BOOL)
    v = v != 0;
  memcpy(to, &v, gie_dtype_size(t->dtype)); /* the host is little-endian, as every kernel assumes */
}

/* Second walk: the elements of the typed field, which were all seen before. */
static gie_status copy_typed(struct gie_context *ctx, struct bytes b, uint32_t field, struct gie_tensor *t,
                             size_t count)
{
  size_t n = 0;
  while (b.s < b.end) {
    struct field f;
    uint64_t v;
    bool bad = false;
    GIE_TRY(take_field(ctx, &b, &f));
    if (f.number == field)
      while (n < count && next_element(&f, &v, &bad))
        store(t, n++, v);
  }
  return GIE_OK;
}

static void copy_raw(struct gie_tensor *t, const struct bytes *raw)
{
  size_t n = (size_t)(raw->end - raw->s);
  memcpy(t->data, raw->s, n);
  if (t->dtype == GIE_BOOL)
    for (size_t i = 0; i < n; i++)
      ((uint8_t *)t->data)[i] = ((uint8_t *)t->data)[i] != 0;
}

static gie_status check_elements(struct gie_context *ctx, const struct message *m, int field, size_t count,
                                 size_t bytes)
{
  size_t raw = (size_t)(m->raw.end - m->raw.s);
  if (m->has_raw && raw != bytes)
    return gie_fail(ctx, GIE_E_DATA, "raw_data has %zu bytes, the dims need %zu", raw, bytes);
  if (!m->has_raw && m->counts[field] != count)
    return gie_fail(ctx, GIE_E_DATA, "the tensor has %zu elements, its dims need %zu", m->counts[field],
                    count);
  for (int i = 0; m->has_raw && i <= F_UINT64S; i++)
    if (m->counts[i])
      return gie_fail(ctx, GIE_E_DATA, "the tensor has its elements twice, as raw_data and typed");
  return GIE_OK;
}

static gie_status check_kind(struct gie_context *ctx, const struct message *m)
{
  if (m->external)
    return gie_fail(ctx, GIE_E_UNSUPPORTED,
                    "the tensor's elements are in another file; give one that contains them");
  if (m->strings || m->type == 8)
    return gie_fail(ctx, GIE_E_UNSUPPORTED, "a tensor of strings; only numbers are supported");
  if (m->segment)
    return gie_fail(ctx, GIE_E_UNSUPPORTED, "a tensor in segments; give it whole");
  if (m->type == 0)
    return gie_fail(ctx, GIE_E_DATA,
                    "this is no TensorProto with an element type; give .npy, .pb, .png or .jpg");
  return GIE_OK;
}

gie_status proto_decode(struct gie_context *ctx, const void *data, size_t size, struct gie_tensor *out)
{
  struct bytes all = {data, (const unsigned char *)data + size}, b = all;
  struct message m = {0};
  size_t count, bytes, i = 0;
  while (b.s < b.end) {
    struct field f;
    GIE_TRY(take_field(ctx, &b, &f));
    GIE_TRY(note_field(ctx, &f, &m));
  }
  GIE_TRY(check_kind(ctx, &m));
  while (i < N_TYPES && types[i].number != m.type)
    i++;
  if (i == N_TYPES)
    return gie_fail(ctx, GIE_E_UNSUPPORTED, "element type %lld of a TensorProto is not supported",
                    (long long)m.type);
  struct gie_tensor t = {.struct_size = sizeof t, .dtype = types[i].dtype, .rank = m.rank};
  memcpy(t.dim, m.dim, sizeof t.dim);
  GIE_TRY(tensor_size(ctx, &t, &count, &bytes));
  GIE_TRY(check_elements(ctx, &m, types[i].field, count, bytes));
  GIE_TRY(tensor_new(ctx, t.dtype, t.rank, t.dim, &t));
  gie_status st = GIE_OK;
  if (m.has_raw)
    copy_raw(&t, &m.raw);
  else
    st = copy_typed(ctx, all, (uint32_t)types[i].field, &t, count);
  if (st == GIE_OK)
    *out = t;
  else
    tensor_free(ctx, &t);
  return st;
}

/* ---- Writing */

static void put_varint(struct gie_buf *b, uint64_t v)
{
  do {
    char c = (char)((v & 127) | (v > 127 ? 128 : 0));
    gie_buf_put(b, &c, 1);
    v >>= 7;
  } while (v);
}

static void put_key(struct gie_buf *b, int number, int wire)
{
  put_varint(b, (uint64_t)number << 3 | (unsigned)wire);
}

gie_status proto_encode_head(const struct gie_tensor *t, const char *name, struct gie_buf *head)
{
  for (int i = 0; i < t->rank; i++) {
    put_key(head, F_DIMS, WIRE_VARINT);
    put_varint(head, (uint64_t)t->dim[i]);
  }
  for (size_t i = 0; i < N_TYPES; i++)
    if (types[i].dtype == t->dtype) {
      put_key(head, F_TYPE, WIRE_VARINT);
      put_varint(head, (uint64_t)types[i].number);
    }
  put_key(head, F_NAME, WIRE_BYTES);
  put_varint(head, strlen(name));
  gie_buf_puts(head, name);
  put_key(head, F_RAW, WIRE_BYTES);
  put_varint(head, tensor_count(t) * gie_dtype_size(t->dtype));
  return head->status;
}
