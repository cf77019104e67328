/* SPDX-License-Identifier: Apache-2.0 */
/* Constants, and the file as a whole. Their bytes go from where they are to the file: the lengths of the
 * messages round them are known before. A model whose constants are larger than what protobuf's readers take
 * keeps them in a file beside it, called after its content: an older model and its own stay a pair until the
 * new model is in place. */
#include "plugins/onnx/export.h"
#include <errno.h>
#include <unistd.h>

#define INSIDE 1500000000.0 /* bytes; protobuf's messages end at 2 GiB */
#define SMALL 1024          /* bytes of a constant that is always inside */
#define PAGE 4096u          /* where constants begin in the file beside */

/* ---- Tensors --------------------------------------------------------------------------------- */

void ex_tensor_head(struct gie_buf *b, const struct gie_type *type, const char *name)
{
  for (int i = 0; i < type->shape.rank; i++)
    wire_int(b, 1, type->shape.dim[i].b);
  wire_int(b, 2, onnx_data_type(type->dtype));
  if (*name)
    wire_text(b, 8, name);
}

void ex_tensor(struct gie_buf *b, const struct gie_type *type, const void *data, size_t size,
               const char *name)
{
  ex_tensor_head(b, type, name);
  wire_bytes(b, 9, data, size);
}

void ex_attr_tensor(struct gie_buf *node, const char *name, const struct gie_type *type,
                    const struct gie_const *data)
{
  struct gie_buf attr, tensor;
  gie_buf_init(&attr, node->ctx);
  gie_buf_init(&tensor, node->ctx);
  wire_text(&attr, 1, name);
  ex_tensor(&tensor, type, (char *)gie_blob_data(data->blob) + data->offset, data->size, "");
  wire_message(&attr, 5, &tensor);
  wire_int(&attr, 20, ONNX_A_TENSOR);
  wire_message(node, 5, &attr);
}

/* One element, as the dtype's bytes. */
static size_t scalar_bytes(enum gie_dtype dtype, double v, unsigned char bytes[8])
{
  int64_t i = gie_dtype_class(dtype) == 'f' ? 0 : (int64_t)v;
  float f = (float)v;
  uint16_t h = dtype == GIE_F16 ? gie_f32_to_f16(f) : gie_f32_to_bf16(f);
  size_t size = gie_dtype_size(dtype);
  const void *from = dtype == GIE_F64 ? (const void *)&v : dtype == GIE_F32 ? (const void *)&f : &h;
  memcpy(bytes, gie_dtype_class(dtype) == 'f' ? from : &i, size); /* the low bytes come first */
  return size;
}

const char *ex_scalar(struct ex *x, enum gie_dtype dtype, double v)
{
  char what[GIE_NUMBER_MAX + 16], number[GIE_NUMBER_MAX];
  const struct gie_type type = {dtype, {.rank = 0}};
  unsigned char bytes[8];
  struct gie_buf tensor;
  snprintf(what, sizeof what, "%s.%s", gie_dtype_name(dtype), gie_double_text(v, number));
  uint32_t known = gie_map_get(&x->scalars, what);
  if (known != UINT32_MAX)
    return x->scalar[known];
  char *key = gie_arena_strdup(&x->arena, what);
  const char *name = ex_fresh(x, x->top, "const", what);
  if (!key || !name || gie_grow(x->ctx, &x->scalar, &x->cap_scalars, x->n_scalars + 1, sizeof *x->scalar) ||
      gie_map_set(&x->scalars, key, (uint32_t)x->n_scalars))
    return NULL;
  x->scalar[x->n_scalars++] = name;
  gie_buf_init(&tensor, x->ctx);
  ex_tensor(&tensor, &type, bytes, scalar_bytes(dtype, v, bytes), name);
  wire_message(&x->extra, 5, &tensor);
  return name;
}

/* One that became an attribute is not, unless something else reads it; an output is a node. */
bool ex_wants(const struct ex_scope *s, const struct gie_value *v)
{
  return v->kind == GIE_VALUE_CONST && !v->n_outputs && (s->used[v->id] || !s->folded[v->id]);
}

gie_status ex_constants(struct ex *x, const struct ex_scope *s, struct gie_buf *out)
{
  for (gie_id i = 0; i < gie_graph_n_values(s->g); i++) {
    const struct gie_value *v = gie_value_get(s->g, i);
    struct gie_buf tensor;
    size_t size;
    if (!ex_wants(s, v))
      continue;
    const void *data = gie_value_bytes(s->g, i, &size);
    gie_buf_init(&tensor, x->ctx);
    ex_tensor(&tensor, &v->type, data, size, s->names[i]);
    wire_message(out, 5, &tensor);
  }
  return out->status;
}

/* ---- The file -------------------------------------------------------------------------------- */

static gie_status put(struct ex *x, const void *p, size_t n)
{
  for (const unsigned char *q = p; n;) {
    ssize_t k = write(x->fd, q, n < (1u << 30) ? n : 1u << 30);
    if (k < 0 && errno == EINTR)
      continue;
    if (k <= 0)
      return gie_fail(x->ctx, GIE_E_IO, "%s; the output is not written", strerror(k < 0 ? errno : EIO));
    q += k;
    n -= (size_t)k;
  }
  return GIE_OK;
}

/* The constants of the top graph, with what their message holds beside the data. */
struct part {
  gie_id value;
  bool outside;
  uint64_t offset; /* outside */
  struct gie_buf head;
};

struct parts {
  struct part *v;
  size_t n, cap;
  uint64_t inside, outside; /* bytes of data */
  char *file;               /* the one beside, without its directory */
};

static gie_status collect(struct ex *x, struct parts *p)
{
  const struct ex_scope *s = x->top;
  for (gie_id i = 0; i < gie_graph_n_values(s->g); i++) {
    const struct gie_value *v = gie_value_get(s->g, i);
    if (!ex_wants(s, v))
      continue;
    GIE_TRY(gie_grow(x->ctx, &p->v, &p->cap, p->n + 1, sizeof *p->v));
    struct part *part = &p->v[p->n++];
    *part = (struct part){.value = i};
    gie_buf_init(&part->head, x->ctx);
    ex_tensor_head(&part->head, &v->type, s->names[i]);
    p->inside += v->data.size;
  }
  return GIE_OK;
}

static uint64_t inside_limit(struct ex *x)
{
  const char *text = gie_config(x->ctx, "ONNX_INSIDE"), *next;
  double v = INSIDE;
  if (text && *text && (!gie_parse_double(text, text + strlen(text), &v, &next) || *next || !(v >= 0)))
    v = INSIDE;
  return v < INSIDE ? (uint64_t)v : (uint64_t)INSIDE;
}

/* Which constants go outside, where, and what the file is called. */
static gie_status place_outside(struct ex *x, struct parts *p)
{
  struct gie_sha256 sha;
  unsigned char digest[32];
  char hex[65];
  const char *base = strrchr(x->path, '/');
  gie_sha256_init(&sha);
  for (size_t i = 0; i < p->n; i++) {
    size_t size;
    const void *data = gie_value_bytes(x->g, p->v[i].value, &size);
    if (size < SMALL)
      continue;
    p->v[i].outside = true;
    p->v[i].offset = (p->outside + PAGE - 1) / PAGE * PAGE;
    p->outside = p->v[i].offset + size;
    gie_sha256_update(&sha, &size, sizeof size);
    gie_sha256_update(&sha, data, size);
  }
  gie_sha256_final(&sha, digest);
  gie_sha256_hex(digest, hex);
  base = base ? base + 1 : x->path;
  size_t size = strlen(base) + 32;
  if (!(p->file = gie_arena_alloc(&x->arena, size, 1)))
    return GIE_E_MEMORY;
  snprintf(p->file, size, "%s.%.12s.data", base, hex);
  return GIE_OK;
}

static void put_pair(struct gie_buf *b, const char *key, const char *value)
{
  struct gie_buf pair;
  gie_buf_init(&pair, b->ctx);
  wire_text(&pair, 1, key);
  wire_text(&pair, 2, value);
  wire_message(b, 13, &pair);
}

/* The rest of the heads: the data's place or its length. */
static void finish_heads(struct ex *x, struct parts *p)
{
  for (size_t i = 0; i < p->n; i++) {
    struct part *part = &p->v[i];
    size_t size = gie_value_get(x->g, part->value)->data.size;
    char number[24];
    if (!part->outside) {
      wire_tag(&part->head, 9, 2);
      wire_varint(&part->head, size);
      continue;
    }
    put_pair(&part->head, "location", p->file);
    snprintf(number, sizeof number, "%llu", (unsigned long long)part->offset);
    put_pair(&part->head, "offset", number);
    snprintf(number, sizeof number, "%zu", size);
    put_pair(&part->head, "length", number);
    wire_int(&part->head, 14, 1);
  }
}

static gie_status fill_beside(struct ex *x, const struct parts *p, struct gie_save *s)
{
  static const char zeros[PAGE];
  uint64_t at = 0;
  for (size_t i = 0; i < p->n; i++) {
    size_t size;
    const void *data = gie_value_bytes(x->g, p->v[i].value, &size);
    if (!p->v[i].outside)
      continue;
    GIE_TRY(gie_save_write(s, zeros, (size_t)(p->v[i].offset - at)));
    GIE_TRY(gie_save_write(s, data, size));
    at = p->v[i].offset + size;
  }
  return GIE_OK;
}

static gie_status write_beside(struct ex *x, const struct parts *p)
{
  const char *slash = strrchr(x->path, '/');
  size_t dir = slash ? (size_t)(slash - x->path) + 1 : 0, size = dir + strlen(p->file) + 1;
  char *path = gie_arena_alloc(&x->arena, size, 1);
  struct gie_save s;
  if (!path)
    return GIE_E_MEMORY;
  snprintf(path, size, "%.*s%s", (int)dir, x->path, p->file);
  GIE_TRY(gie_save_begin(x->ctx, path, &s));
  gie_status st = fill_beside(x, p, &s);
  if (st == GIE_OK)
    return gie_save_commit(&s);
  gie_save_abort(&s);
  return st;
}

static uint64_t varint_size(uint64_t v)
{
  uint64_t n = 1;
  while (v >>= 7)
    n++;
  return n;
}

static uint64_t part_size(const struct ex *x, const struct part *p)
{
  return p->head.len + (p->outside ? 0 : gie_value_get(x->g, p->value)->data.size);
}

static gie_status write_parts(struct ex *x, const struct parts *p)
{
  for (size_t i = 0; i < p->n; i++) {
    const struct part *part = &p->v[i];
    struct gie_buf begin;
    size_t size;
    const void *data = gie_value_bytes(x->g, part->value, &size);
    gie_buf_init(&begin, x->ctx);
    wire_tag(&begin, 5, 2);
    wire_varint(&begin, part_size(x, part));
    gie_buf_put(&begin, part->head.data, part->head.len);
    gie_status st = begin.status;
    if (st == GIE_OK)
      st = put(x, begin.data, begin.len);
    if (st == GIE_OK && !part->outside)
      st = put(x, data, size);
    gie_buf_free(&begin);
    GIE_TRY(st);
  }
  return GIE_OK;
}

static gie_status write_all(struct ex *x, struct parts *p, struct gie_buf *head, struct gie_buf *graph)
{
  GIE_TRY(collect(x, p));
  if (p->inside > inside_limit(x))
    GIE_TRY(place_outside(x, p));
  finish_heads(x, p);
  uint64_t size = graph->len;
  for (size_t i = 0; i < p->n; i++) {
    GIE_TRY(p->v[i].head.status);
    size += 1 + varint_size(part_size(x, &p->v[i])) + part_size(x, &p->v[i]);
  }
  wire_tag(head, 7, 2);
  wire_varint(head, size);
  GIE_TRY(head->status);
  GIE_TRY(graph->status);
  if (size > INT32_MAX)
    return gie_fail(x->ctx, GIE_E_LIMIT, "the model would be larger than the 2 GiB that ONNX files can have");
  if (p->file)
    GIE_TRY(write_beside(x, p));
  GIE_TRY(put(x, head->data, head->len));
  GIE_TRY(put(x, graph->data, graph->len));
  return write_parts(x, p);
}

gie_status ex_write(struct ex *x, struct gie_buf *head, struct gie_buf *graph)
{
  struct parts p = {.n = 0};
  gie_status st = write_all(x, &p, head, graph);
  for (size_t i = 0; i < p.n; i++)
    gie_buf_free(&p.v[i].head);
  gie_free(x->ctx, p.v);
  return st;
}
