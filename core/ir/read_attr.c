/* SPDX-License-Identifier: Apache-2.0 */
/* Reader of the text form: tensors and attributes. */
#include "core/ir/read.h"
#include <math.h>

/* ---- Tensors ----------------------------------------------------------------------------------------- */

static void put_bits(unsigned char *p, size_t size, uint64_t bits)
{
  for (size_t i = 0; i < size; i++)
    p[i] = (unsigned char)(bits >> (8 * i));
}

/* Rounds to the type; a finite number must stay finite. */
static gie_status float_element(struct reader *r, enum gie_dtype t, double v, unsigned char *p)
{
  float f = (float)v, back = f;
  uint16_t h = t == GIE_F16 ? gie_f32_to_f16(f) : gie_f32_to_bf16(f);
  if (t == GIE_F64)
    memcpy(p, &v, sizeof v);
  else if (t == GIE_F32)
    memcpy(p, &f, sizeof f);
  else
    put_bits(p, 2, h);
  if (t == GIE_F16 || t == GIE_BF16)
    back = t == GIE_F16 ? gie_f16_to_f32(h) : gie_bf16_to_f32(h);
  if (t != GIE_F64 && isfinite(v) && !isfinite(back))
    return lex_fail(&r->lx, &r->lx.tok, GIE_E_DATA, "the number is out of range for %s", gie_dtype_name(t));
  return GIE_OK;
}

static gie_status int_element(struct reader *r, enum gie_dtype t, int64_t v, unsigned char *p)
{
  int width = 8 * (int)gie_dtype_size(t);
  bool is_signed = gie_dtype_class(t) == 'i';
  int64_t max = t == GIE_BOOL ? 1 : width == 64 ? INT64_MAX : ((int64_t)1 << (width - is_signed)) - 1;
  if (v > max || v < (is_signed ? -max - 1 : 0))
    return lex_fail(&r->lx, &r->lx.tok, GIE_E_DATA, "the number is out of range for %s", gie_dtype_name(t));
  put_bits(p, gie_dtype_size(t), (uint64_t)v);
  return GIE_OK;
}

static gie_status read_element(struct reader *r, enum gie_dtype t, unsigned char *p)
{
  struct lex *lx = &r->lx;
  size_t size = gie_dtype_size(t);
  bool is_float = gie_dtype_class(t) == 'f', yes = lex_is_word(lx, "true");
  char found[64];
  if (lx->tok.kind == LEX_HEX) {
    if (size < 8 && lx->tok.bits >> (8 * size))
      return lex_fail(lx, &lx->tok, GIE_E_DATA, "more bits than %s has", gie_dtype_name(t));
    put_bits(p, size, lx->tok.bits);
  } else if (lx->tok.kind == LEX_INT && is_float) {
    GIE_TRY(float_element(r, t, (double)lx->tok.i, p));
  } else if (lx->tok.kind == LEX_INT) {
    GIE_TRY(int_element(r, t, lx->tok.i, p));
  } else if (lx->tok.kind == LEX_FLOAT && is_float) {
    GIE_TRY(float_element(r, t, lx->tok.f, p));
  } else if (is_float && (lex_is_word(lx, "inf") || lex_is_word(lx, "nan"))) {
    GIE_TRY(float_element(r, t, lex_is_word(lx, "inf") ? INFINITY : NAN, p));
  } else if (t == GIE_BOOL && (yes || lex_is_word(lx, "false"))) {
    *p = yes;
  } else {
    return lex_fail(lx, &lx->tok, GIE_E_PARSE, "expected an element of type %s, found %s", gie_dtype_name(t),
                    lex_found(lx, found));
  }
  return lex_next(lx);
}

/* Elements are collected before anything is compared with the type: a text
 * cannot make the reader allocate more than it holds. */
static gie_status read_elements(struct reader *r, enum gie_dtype t, struct gie_buf *b)
{
  unsigned char element[8];
  bool more = !lex_is(&r->lx, '}');
  while (more) {
    GIE_TRY(read_element(r, t, element));
    gie_buf_put(b, element, gie_dtype_size(t));
    GIE_TRY(lex_accept(&r->lx, ',', &more));
  }
  return b->status;
}

static gie_status read_inline(struct reader *r, const struct gie_type *type, int64_t count,
                              struct gie_const *out)
{
  struct lex_token at = r->lx.tok;
  size_t size = gie_dtype_size(type->dtype);
  struct gie_buf b;
  gie_buf_init(&b, r->ctx);
  gie_status s = lex_expect(&r->lx, '{');
  if (s == GIE_OK)
    s = read_elements(r, type->dtype, &b);
  if (s == GIE_OK && b.len / size != (uint64_t)count)
    s = lex_fail(&r->lx, &at, GIE_E_DATA, "%zu elements are there, the type has %lld", b.len / size,
                 (long long)count);
  if (s == GIE_OK)
    s = lex_expect(&r->lx, '}');
  if (s == GIE_OK)
    s = gie_blob_new(r->ctx, b.len, &out->blob);
  if (s == GIE_OK && b.len)
    memcpy(gie_blob_data(out->blob), b.data, b.len);
  out->offset = 0;
  out->size = b.len;
  gie_buf_free(&b);
  return s;
}

static gie_status read_hashed(struct reader *r, const struct gie_type *type, int64_t count,
                              struct gie_const *out)
{
  struct lex_token at = r->lx.tok;
  size_t bytes;
  gie_status s = GIE_OK;
  if (!gie_mul((size_t)count, gie_dtype_size(type->dtype), &bytes))
    return lex_fail(&r->lx, &at, GIE_E_LIMIT, "the size of the constant overflows");
  if (!r->weights && !r->weights_path)
    return lex_fail(&r->lx, &at, GIE_E_NOINPUT, "the constant is in a weights file, and there is none");
  if (!r->weights)
    s = weights_open(r->ctx, r->weights_path, &r->weights);
  if (s == GIE_OK)
    s = weights_get(r->weights, at.hash, bytes, &out->blob);
  if (s != GIE_OK)
    return gie_error_prefix(r->ctx, s, "line %u, column %u", at.line, at.column);
  out->offset = 0;
  out->size = bytes;
  s = lex_next(&r->lx);
  if (s != GIE_OK) {
    gie_blob_unref(out->blob);
    out->blob = NULL;
  }
  return s;
}

gie_status read_tensor(struct reader *r, const struct gie_type *type, struct gie_const *out)
{
  struct lex_token at = r->lx.tok;
  int64_t count;
  if (type->dtype == GIE_DTYPE_NONE)
    return lex_fail(&r->lx, &at, GIE_E_TYPE, "a constant needs an element type");
  gie_status s = gie_shape_count(r->ctx, &type->shape, &count);
  if (s != GIE_OK)
    return gie_error_prefix(r->ctx, s, "line %u, column %u", at.line, at.column);
  return at.kind == LEX_HASH ? read_hashed(r, type, count, out) : read_inline(r, type, count, out);
}

/* ---- Arrays ------------------------------------------------------------------------------------------ */

/* One item goes to the buffer: an int64_t, a double, or a pointer to a string.
 */
static gie_status read_item(struct reader *r, enum gie_attr_kind kind, struct gie_buf *b)
{
  struct lex *lx = &r->lx;
  const struct lex_token *t = &lx->tok;
  bool word = lex_is_word(lx, "inf") || lex_is_word(lx, "nan");
  double f = t->kind == LEX_INT ? (double)t->i : word ? (*t->text == 'i' ? INFINITY : NAN) : t->f;
  char found[64];
  if (kind == GIE_ATTR_STRINGS && t->kind == LEX_STRING && !memchr(t->text, 0, t->n))
    gie_buf_put(b, &t->text, sizeof t->text);
  else if (kind == GIE_ATTR_INTS && t->kind == LEX_INT)
    gie_buf_put(b, &t->i, sizeof t->i);
  else if (kind == GIE_ATTR_FLOATS && (t->kind == LEX_INT || t->kind == LEX_FLOAT || word))
    gie_buf_put(b, &f, sizeof f);
  else
    return lex_fail(lx, t, GIE_E_PARSE, "the items of an array must be all numbers or all strings, found %s",
                    lex_found(lx, found));
  return lex_next(lx);
}

/* Ints become floats when the first float comes. */
static void widen(struct gie_buf *b)
{
  for (size_t i = 0; i + sizeof(int64_t) <= b->len; i += sizeof(int64_t)) {
    int64_t v;
    memcpy(&v, b->data + i, sizeof v);
    double d = (double)v;
    memcpy(b->data + i, &d, sizeof d);
  }
}

static gie_status read_items(struct reader *r, struct gie_attr *a, struct gie_buf *b)
{
  struct lex *lx = &r->lx;
  bool more = !lex_is(lx, ']');
  a->kind = lx->tok.kind == LEX_STRING ? GIE_ATTR_STRINGS : GIE_ATTR_INTS;
  while (more) {
    bool word = lex_is_word(lx, "inf") || lex_is_word(lx, "nan");
    if (a->kind == GIE_ATTR_INTS && (lx->tok.kind == LEX_FLOAT || word)) {
      widen(b);
      a->kind = GIE_ATTR_FLOATS;
    }
    GIE_TRY(read_item(r, a->kind, b));
    a->n++;
    GIE_TRY(lex_accept(lx, ',', &more));
  }
  return lex_expect(lx, ']');
}

/* '[' is at hand. */
static gie_status read_array(struct reader *r, struct gie_attr *a)
{
  struct gie_buf b;
  gie_buf_init(&b, r->ctx);
  gie_status s = lex_next(&r->lx);
  if (s == GIE_OK)
    s = read_items(r, a, &b);
  if (s == GIE_OK)
    s = b.status;
  if (s == GIE_OK && !(a->u.is = gie_arena_copy(&r->arena, b.data, b.len, 1)))
    s = GIE_E_MEMORY;
  gie_buf_free(&b);
  return s;
}

/* ---- Attributes -------------------------------------------------------------------------------------- */

/* A body read for an attribute: freed once the node has its own copy. */
static gie_status read_body(struct reader *r, struct gie_attr *a)
{
  struct lex_token at = r->lx.tok;
  if (r->depth >= GIE_MAX_BODY_DEPTH)
    return lex_fail(&r->lx, &at, GIE_E_LIMIT, "bodies are nested deeper than %d", GIE_MAX_BODY_DEPTH);
  GIE_TRY(gie_grow(r->ctx, &r->bodies, &r->cap_bodies, r->n_bodies + 1, sizeof *r->bodies));
  r->depth++;
  GIE_TRY(read_graph(r, &a->u.g));
  r->depth--;
  /* Bodies of the body were freed with its nodes, so the slot reserved above is
   * free again. */
  r->bodies[r->n_bodies++] = a->u.g;
  a->kind = GIE_ATTR_GRAPH;
  return GIE_OK;
}

static gie_status read_tensor_attr(struct reader *r, const struct scope *sc, enum gie_dtype dtype,
                                   struct gie_attr *a)
{
  struct gie_tensor_attr *t = gie_arena_alloc(&r->arena, 1, sizeof *t);
  if (!t)
    return GIE_E_MEMORY;
  t->type.dtype = dtype;
  GIE_TRY(read_shape(r, sc, &t->type.shape));
  GIE_TRY(gie_grow(r->ctx, &r->blobs, &r->cap_blobs, r->n_blobs + 1, sizeof *r->blobs));
  GIE_TRY(read_tensor(r, &t->type, &t->data));
  r->blobs[r->n_blobs++] = t->data.blob;
  a->kind = GIE_ATTR_TENSOR;
  a->u.t = t;
  return GIE_OK;
}

static gie_status read_word_attr(struct reader *r, const struct scope *sc, struct gie_attr *a)
{
  struct lex *lx = &r->lx;
  enum gie_dtype dtype;
  char found[64];
  if (lex_is_word(lx, "graph"))
    return read_body(r, a);
  if (lex_is_word(lx, "inf") || lex_is_word(lx, "nan")) {
    a->kind = GIE_ATTR_FLOAT;
    a->u.f = lex_is_word(lx, "inf") ? INFINITY : NAN;
    return lex_next(lx);
  }
  if (lex_is_word(lx, "floats") || lex_is_word(lx, "strings")) {
    a->kind = lex_is_word(lx, "floats") ? GIE_ATTR_FLOATS : GIE_ATTR_STRINGS;
    GIE_TRY(lex_next(lx));
    GIE_TRY(lex_expect(lx, '['));
    return lex_expect(lx, ']');
  }
  if (!find_dtype(lx, &dtype))
    return lex_fail(lx, &lx->tok, GIE_E_PARSE, "expected an attribute's value, found %s",
                    lex_found(lx, found));
  GIE_TRY(lex_next(lx));
  if (lex_is(lx, '['))
    return read_tensor_attr(r, sc, dtype, a);
  a->kind = GIE_ATTR_DTYPE;
  a->u.i = dtype;
  return GIE_OK;
}

static gie_status read_attr(struct reader *r, const struct scope *sc, struct gie_attr *a)
{
  struct lex *lx = &r->lx;
  GIE_TRY(read_word(r, true, "an attribute's name", &a->name));
  GIE_TRY(lex_expect(lx, '='));
  switch (lx->tok.kind) {
  case LEX_INT:
    a->kind = GIE_ATTR_INT;
    a->u.i = lx->tok.i;
    return lex_next(lx);
  case LEX_FLOAT:
    a->kind = GIE_ATTR_FLOAT;
    a->u.f = lx->tok.f;
    return lex_next(lx);
  case LEX_STRING:
    a->kind = GIE_ATTR_STRING;
    a->u.s = lx->tok.text;
    a->n = (uint32_t)lx->tok.n;
    return lex_next(lx);
  default:
    return lex_is(lx, '[') ? read_array(r, a) : read_word_attr(r, sc, a);
  }
}

/* The list grows on the heap: bodies nest, and stacks are small. */
static gie_status read_list(struct reader *r, const struct scope *sc, struct gie_attrs *list, size_t *cap)
{
  struct lex *lx = &r->lx;
  bool more = !lex_is(lx, '}');
  while (more) {
    struct lex_token at = lx->tok;
    struct gie_attr a = {0};
    if (list->n == TEXT_MAX_ATTRS)
      return lex_fail(lx, &at, GIE_E_LIMIT, "more than %d attributes", TEXT_MAX_ATTRS);
    GIE_TRY(gie_grow(r->ctx, &list->v, cap, list->n + 1, sizeof a));
    GIE_TRY(read_attr(r, sc, &a));
    if (gie_attrs_find(list, a.name))
      return lex_fail(lx, &at, GIE_E_ATTR, "attribute %.100s is given twice", a.name);
    ((struct gie_attr *)list->v)[list->n++] = a;
    GIE_TRY(lex_accept(lx, ',', &more));
  }
  return lex_expect(lx, '}');
}

gie_status read_attrs(struct reader *r, const struct scope *sc, struct gie_attrs *out)
{
  struct gie_attrs list = {0, NULL};
  size_t cap = 0;
  gie_status s = lex_expect(&r->lx, '{');
  if (s == GIE_OK)
    s = read_list(r, sc, &list, &cap);
  if (s == GIE_OK) {
    out->n = list.n;
    out->v = gie_arena_copy(&r->arena, list.v, list.n, sizeof *list.v);
    s = out->v ? GIE_OK : GIE_E_MEMORY;
  }
  gie_free(r->ctx, (void *)list.v);
  return s;
}

/* An int is accepted where the op wants a float. */
gie_status fit_attrs(struct reader *r, const struct gie_op *op, struct gie_attrs *attrs)
{
  for (uint32_t i = 0; op && i < attrs->n; i++) {
    struct gie_attr *a = (struct gie_attr *)&attrs->v[i];
    const struct gie_attr_spec *spec = gie_op_attr(op, a->name);
    if (spec && spec->kind == GIE_ATTR_FLOAT && a->kind == GIE_ATTR_INT) {
      a->kind = GIE_ATTR_FLOAT;
      a->u.f = (double)a->u.i;
    } else if (spec && spec->kind == GIE_ATTR_FLOATS && a->kind == GIE_ATTR_INTS) {
      double *fs = gie_arena_alloc(&r->arena, a->n, sizeof *fs);
      if (!fs)
        return GIE_E_MEMORY;
      for (uint32_t k = 0; k < a->n; k++)
        fs[k] = (double)a->u.is[k];
      a->kind = GIE_ATTR_FLOATS;
      a->u.fs = fs;
    }
  }
  return GIE_OK;
}
