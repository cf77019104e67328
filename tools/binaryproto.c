/* SPDX-License-Identifier: Apache-2.0 */
/* Caffe's .binaryproto files with a mean image: one BlobProto, of which the dims and the floats are read. Wire format:
 * protobuf.dev, "Encoding"; field numbers: caffe.proto, message BlobProto. */
#include "tools/image.h"

#define MAX_FILE ((size_t)1 << 28)
#define MAX_DIM 32768

enum { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_32 = 5 };
enum { F_NUM = 1, F_CHANNELS, F_HEIGHT, F_WIDTH, F_DATA, F_SHAPE = 7, F_DOUBLES };

struct bytes {
  const unsigned char *s, *end;
};

struct blob {
  uint64_t dim[4]; /* num, channels, height, width */
  int rank;        /* of the shape; -1: there is none */
  size_t n_floats, n_doubles;
  float *to; /* on the second walk */
};

static bool take_varint(struct bytes *b, uint64_t *out)
{
  *out = 0;
  for (int shift = 0; shift < 64 && b->s < b->end; shift += 7) {
    unsigned char c = *b->s++;
    *out |= (uint64_t)(c & 127) << shift;
    if (c < 128)
      return true;
  }
  return false;
}

static bool take_bytes(struct bytes *b, struct bytes *out)
{
  uint64_t n;
  if (!take_varint(b, &n) || n > (uint64_t)(b->end - b->s))
    return false;
  *out = (struct bytes){b->s, b->s + n};
  b->s += n;
  return true;
}

/* Dims of a shape, packed or not. */
static bool read_shape(struct bytes b, struct blob *out)
{
  uint64_t key, v;
  out->rank = 0;
  while (b.s < b.end) {
    struct bytes dims;
    if (!take_varint(&b, &key) || key >> 3 != 1)
      return false;
    if ((key & 7) == WIRE_BYTES ? !take_bytes(&b, &dims) : (key & 7) != WIRE_VARINT)
      return false;
    if ((key & 7) == WIRE_VARINT) {
      dims = b;
      if (!take_varint(&b, &v))
        return false;
      dims.end = b.s;
    }
    while (dims.s < dims.end) {
      if (out->rank == 4 || !take_varint(&dims, &out->dim[out->rank]))
        return false;
      out->rank++;
    }
  }
  return true;
}

static void put(struct blob *out, const unsigned char *s, bool is_double)
{
  double d;
  float f;
  if (out->to && is_double) {
    memcpy(&d, s, sizeof d);
    out->to[out->n_doubles] = (float)d;
  } else if (out->to) {
    memcpy(&f, s, sizeof f);
    out->to[out->n_floats] = f;
  }
  out->n_doubles += is_double;
  out->n_floats += !is_double;
}

/* Elements in field `number`, packed or one by one. */
static bool read_elements(struct bytes *b, bool is_double, int wire, struct blob *out)
{
  size_t size = is_double ? 8 : 4;
  struct bytes data = {b->s, b->s + size};
  if (wire == WIRE_BYTES ? !take_bytes(b, &data)
                         : wire != (is_double ? WIRE_64 : WIRE_32) || (size_t)(b->end - b->s) < size)
    return false;
  if (wire != WIRE_BYTES)
    b->s += size;
  if ((size_t)(data.end - data.s) % size)
    return false;
  for (; data.s < data.end; data.s += size)
    put(out, data.s, is_double);
  return true;
}

static bool skip(struct bytes *b, int wire)
{
  struct bytes unused;
  uint64_t v;
  size_t n = wire == WIRE_64 ? 8 : 4;
  if (wire == WIRE_VARINT)
    return take_varint(b, &v);
  if (wire == WIRE_BYTES)
    return take_bytes(b, &unused);
  if ((wire != WIRE_64 && wire != WIRE_32) || (size_t)(b->end - b->s) < n)
    return false;
  b->s += n;
  return true;
}

static bool walk(struct bytes b, struct blob *out)
{
  out->n_floats = out->n_doubles = 0;
  while (b.s < b.end) {
    uint64_t key;
    struct bytes shape;
    bool good;
    if (!take_varint(&b, &key))
      return false;
    int wire = (int)(key & 7);
    uint64_t number = key >> 3;
    if (number >= F_NUM && number <= F_WIDTH && wire == WIRE_VARINT)
      good = out->rank >= 0 ? skip(&b, wire) : take_varint(&b, &out->dim[number - F_NUM]);
    else if (number == F_DATA || number == F_DOUBLES)
      good = read_elements(&b, number == F_DOUBLES, wire, out);
    else if (number == F_SHAPE && wire == WIRE_BYTES)
      good = take_bytes(&b, &shape) && read_shape(shape, out);
    else
      good = skip(&b, wire);
    if (!good)
      return false;
  }
  return true;
}

/* Channels, height and width; leading dims are 1. */
static bool find_size(const struct blob *b, uint32_t size[3])
{
  int rank = b->rank < 0 ? 4 : b->rank;
  if (rank < 3 || (rank == 4 && b->dim[0] != 1))
    return false;
  for (int i = 0; i < 3; i++) {
    uint64_t d = b->dim[rank - 3 + i];
    if (d < 1 || d > MAX_DIM)
      return false;
    size[i] = (uint32_t)d;
  }
  return size[0] == 1 || size[0] == 3;
}

static gie_status decode(struct gie_context *ctx, struct bytes file, struct image_mean *out)
{
  struct blob b = {.dim = {1, 1, 1, 1}, .rank = -1};
  uint32_t size[3];
  if (!walk(file, &b))
    return gie_fail(ctx, GIE_E_PARSE,
                    "this is no BlobProto; give the mean image that Caffe's compute_image_mean wrote");
  if (!find_size(&b, size))
    return gie_fail(ctx, GIE_E_SHAPE, "the blob is no image of 1 or 3 channels");
  size_t n = (size_t)size[0] * size[1] * size[2];
  if ((b.n_floats ? b.n_floats : b.n_doubles) != n || (b.n_floats && b.n_doubles))
    return gie_fail(ctx, GIE_E_DATA, "the image has %zu numbers, %zu are there; the file is damaged", n,
                    b.n_floats + b.n_doubles);
  if (!(b.to = gie_alloc_raw(ctx, n, sizeof *b.to)))
    return GIE_E_MEMORY;
  walk(file, &b);
  *out = (struct image_mean){size[0], size[1], size[2], b.to};
  return GIE_OK;
}

gie_status image_mean_read(struct gie_context *ctx, const char *path, struct image_mean *out)
{
  char *data;
  size_t size;
  GIE_TRY(gie_file_read(ctx, path, MAX_FILE, &data, &size));
  const struct bytes file = {(unsigned char *)data, (unsigned char *)data + size};
  gie_status st = decode(ctx, file, out);
  gie_free(ctx, data);
  return st == GIE_OK ? st : gie_error_prefix(ctx, st, "%s", path);
}
