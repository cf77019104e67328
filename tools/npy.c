/* SPDX-License-Identifier: Apache-2.0 */
/* NumPy's .npy files, versions 1 to 3.
 * Format: numpy.org, "NEP 1 — A Simple File Format for NumPy Arrays" and numpy.lib.format:
 *   "\x93NUMPY" major minor, length of the header (u16 in version 1, u32 later, little-endian), the
 *   header, a Python dict of 'descr', 'fortran_order' and 'shape'; then the elements. */
#include "tools/tensor.h"

#define MAX_HEADER (1u << 20)
#define ALIGN 64 /* of the data in what we write */

static const struct {
  char kind;
  uint8_t size;
  enum gie_dtype dtype;
} types[] = {
    {'f', 4, GIE_F32}, {'f', 2, GIE_F16}, {'f', 8, GIE_F64}, {'i', 1, GIE_I8},
    {'i', 2, GIE_I16}, {'i', 4, GIE_I32}, {'i', 8, GIE_I64}, {'u', 1, GIE_U8},
    {'u', 2, GIE_U16}, {'u', 4, GIE_U32}, {'u', 8, GIE_U64}, {'b', 1, GIE_BOOL},
};
#define N_TYPES (sizeof types / sizeof types[0])

/* ---- The header's Python literal */

struct scan {
  struct gie_context *ctx;
  const char *s, *end;
};

struct header {
  char descr[16];
  bool fortran, has_descr, has_order, has_shape, structured;
  int rank;
  int64_t dim[GIE_MAX_RANK];
};

static void skip_blanks(struct scan *x)
{
  while (x->s < x->end && (*x->s == ' ' || *x->s == '\t' || *x->s == '\n' || *x->s == '\r'))
    x->s++;
}

static bool take(struct scan *x, char c)
{
  skip_blanks(x);
  if (x->s >= x->end || *x->s != c)
    return false;
  x->s++;
  return true;
}

static bool take_word(struct scan *x, const char *word)
{
  size_t n = strlen(word);
  skip_blanks(x);
  if ((size_t)(x->end - x->s) < n || memcmp(x->s, word, n) != 0)
    return false;
  x->s += n;
  return true;
}

/* 'text' or "text" without escapes, which none of the header's strings needs. */
static bool take_string(struct scan *x, char *out, size_t size)
{
  skip_blanks(x);
  char quote = x->s < x->end ? *x->s : 0;
  if (quote != '\'' && quote != '"')
    return false;
  const char *from = ++x->s;
  while (x->s < x->end && *x->s != quote && *x->s != '\\')
    x->s++;
  size_t n = (size_t)(x->s - from);
  if (x->s >= x->end || *x->s != quote || n >= size)
    return false;
  memcpy(out, from, n);
  out[n] = '\0';
  x->s++;
  return true;
}

static gie_status take_shape(struct scan *x, struct header *h)
{
  if (!take(x, '('))
    return gie_fail(x->ctx, GIE_E_PARSE, "the header's shape is no tuple");
  while (!take(x, ')')) {
    int64_t d;
    skip_blanks(x);
    if (h->rank == GIE_MAX_RANK)
      return gie_fail(x->ctx, GIE_E_LIMIT, "the array has more than %d dims", GIE_MAX_RANK);
    if (!gie_parse_int(x->s, x->end, &d, &x->s) || d < 0)
      return gie_fail(x->ctx, GIE_E_PARSE, "the header's shape has something that is no size");
    h->dim[h->rank++] = d;
    take(x, 'L'); /* Python 2 */
    if (!take(x, ',') && (skip_blanks(x), x->s >= x->end || *x->s != ')'))
      return gie_fail(x->ctx, GIE_E_PARSE, "the header's shape does not end");
  }
  return GIE_OK;
}

static gie_status take_member(struct scan *x, struct header *h)
{
  char key[32];
  if (!take_string(x, key, sizeof key) || !take(x, ':'))
    return gie_fail(x->ctx, GIE_E_PARSE, "the header is no dict of 'descr', 'fortran_order' and 'shape'");
  if (strcmp(key, "descr") == 0 && !h->has_descr) {
    h->has_descr = true;
    if (take_string(x, h->descr, sizeof h->descr))
      return GIE_OK;
    return gie_fail(x->ctx, GIE_E_UNSUPPORTED,
                    "the array's elements are records; give an array of plain numbers");
  }
  if (strcmp(key, "fortran_order") == 0 && !h->has_order) {
    h->has_order = true;
    h->fortran = take_word(x, "True");
    if (h->fortran || take_word(x, "False"))
      return GIE_OK;
    return gie_fail(x->ctx, GIE_E_PARSE, "the header's fortran_order is neither True nor False");
  }
  if (strcmp(key, "shape") == 0 && !h->has_shape) {
    h->has_shape = true;
    return take_shape(x, h);
  }
  return gie_fail(x->ctx, GIE_E_PARSE, "the header has an unknown or repeated member \"%s\"", key);
}

static gie_status read_header(struct gie_context *ctx, const char *text, size_t n, struct header *h)
{
  struct scan x = {ctx, text, text + n};
  memset(h, 0, sizeof *h);
  if (!take(&x, '{'))
    return gie_fail(ctx, GIE_E_PARSE, "the header is no dict");
  while (!take(&x, '}')) {
    GIE_TRY(take_member(&x, h));
    if (!take(&x, ',') && (skip_blanks(&x), x.s >= x.end || *x.s != '}'))
      return gie_fail(ctx, GIE_E_PARSE, "the header's dict does not end");
  }
  skip_blanks(&x);
  if (x.s != x.end)
    return gie_fail(ctx, GIE_E_PARSE, "there is something behind the header's dict");
  if (!h->has_descr || !h->has_order || !h->has_shape)
    return gie_fail(ctx, GIE_E_PARSE, "the header lacks 'descr', 'fortran_order' or 'shape'");
  return GIE_OK;
}

/* "<f4" and the like; *swap: the bytes of an element are in big-endian order. */
static gie_status read_descr(struct gie_context *ctx, const char *descr, enum gie_dtype *dtype, bool *swap)
{
  char order = descr[0];
  const char *s = descr + (order && strchr("<>=|", order) ? 1 : 0);
  *swap = order == '>';
  for (size_t i = 0; i < N_TYPES; i++)
    if (s[0] == types[i].kind && s[1] == '0' + types[i].size && s[2] == '\0') {
      *dtype = types[i].dtype;
      return GIE_OK;
    }
  if (strcmp(s, "?") == 0) {
    *dtype = GIE_BOOL;
    return GIE_OK;
  }
  return gie_fail(ctx, GIE_E_UNSUPPORTED,
                  "element type \"%s\" is not supported; use floats (f2 f4 f8), integers or bool", descr);
}

/* ---- Elements */

static void copy_element(unsigned char *to, const unsigned char *from, size_t size, bool swap)
{
  for (size_t i = 0; i < size; i++)
    to[i] = from[swap ? size - 1 - i : i];
}

/* The file's elements run along the first axis first; ours along the last. */
static void copy_fortran(const struct gie_tensor *t, const unsigned char *from, size_t count, size_t size,
                         bool swap)
{
  int64_t idx[GIE_MAX_RANK] = {0};
  size_t stride[GIE_MAX_RANK], at = 0;
  for (int i = 0; i < t->rank; i++)
    stride[i] = i ? stride[i - 1] * (size_t)t->dim[i - 1] : 1;
  for (size_t n = 0; n < count; n++) {
    copy_element((unsigned char *)t->data + n * size, from + at * size, size, swap);
    for (int i = t->rank - 1; i >= 0; i--) {
      at += stride[i];
      if (++idx[i] < t->dim[i])
        break;
      at -= stride[i] * (size_t)t->dim[i];
      idx[i] = 0;
    }
  }
}

static void copy_elements(struct gie_tensor *t, const unsigned char *from, size_t count, bool fortran,
                          bool swap)
{
  size_t size = gie_dtype_size(t->dtype);
  if (fortran && t->rank > 1)
    copy_fortran(t, from, count, size, swap);
  else if (!swap)
    memcpy(t->data, from, count * size);
  else
    for (size_t i = 0; i < count; i++)
      copy_element((unsigned char *)t->data + i * size, from + i * size, size, true);
  if (t->dtype == GIE_BOOL)
    for (size_t i = 0; i < count; i++)
      ((uint8_t *)t->data)[i] = ((uint8_t *)t->data)[i] != 0;
}

gie_status npy_decode(struct gie_context *ctx, const void *data, size_t size, struct gie_tensor *out)
{
  const unsigned char *p = data;
  struct gie_tensor t = {.struct_size = sizeof t};
  struct header h;
  bool swap;
  size_t count, bytes;
  if (size < 10 || memcmp(p, NPY_MAGIC, 6) != 0)
    return gie_fail(ctx, GIE_E_PARSE, "the file ends inside its header");
  if (p[6] < 1 || p[6] > 3)
    return gie_fail(ctx, GIE_E_UNSUPPORTED, "version %d of the .npy format is not known; 1 to 3 are", p[6]);
  size_t at = p[6] == 1 ? 10 : 12;
  if (size < at)
    return gie_fail(ctx, GIE_E_PARSE, "the file ends inside its header");
  size_t n = p[8] | (size_t)p[9] << 8;
  if (p[6] > 1)
    n |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
  if (n > MAX_HEADER)
    return gie_fail(ctx, GIE_E_LIMIT, "a header of %zu bytes; at most %u are read", n, MAX_HEADER);
  if (n > size - at)
    return gie_fail(ctx, GIE_E_PARSE, "the file ends inside its header");
  GIE_TRY(read_header(ctx, (const char *)p + at, n, &h));
  GIE_TRY(read_descr(ctx, h.descr, &t.dtype, &swap));
  t.rank = h.rank;
  memcpy(t.dim, h.dim, sizeof t.dim);
  GIE_TRY(tensor_size(ctx, &t, &count, &bytes));
  if (bytes != size - at - n)
    return gie_fail(ctx, GIE_E_DATA, "the header announces %zu bytes of elements, the file has %zu", bytes,
                    size - at - n);
  GIE_TRY(tensor_new(ctx, t.dtype, t.rank, t.dim, out));
  copy_elements(out, p + at + n, count, h.fortran, swap);
  return GIE_OK;
}

gie_status npy_encode_head(const struct gie_tensor *t, struct gie_buf *head)
{
  struct gie_buf dict;
  gie_buf_init(&dict, head->ctx);
  for (size_t i = 0; i < N_TYPES; i++)
    if (types[i].dtype == t->dtype)
      gie_buf_printf(&dict, "{'descr': '%c%c%u', 'fortran_order': False, 'shape': (",
                     types[i].size == 1 ? '|' : '<', types[i].kind, types[i].size);
  for (int i = 0; i < t->rank; i++)
    gie_buf_printf(&dict, i ? ", %lld" : "%lld", (long long)t->dim[i]);
  gie_buf_puts(&dict, t->rank == 1 ? ",), }" : "), }");
  size_t blanks = ALIGN - (10 + dict.len + 1) % ALIGN, n = dict.len + blanks + 1;
  gie_buf_put(head, NPY_MAGIC "\x01\x00", 8);
  gie_buf_put(head, (const char[]){(char)(n & 255), (char)(n >> 8)}, 2);
  gie_buf_put(head, dict.data, dict.len);
  while (blanks--)
    gie_buf_put(head, " ", 1);
  gie_buf_put(head, "\n", 1);
  gie_status st = dict.status;
  gie_buf_free(&dict);
  return st;
}
