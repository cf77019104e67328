/* SPDX-License-Identifier: Apache-2.0 */
/* Writes ONNX files for the tests: the wire format byte by byte, so that broken files are as easy as
 * good ones, and short forms for the usual messages. Numbers are the field numbers of onnx.proto.
 *
 *     struct ob b;
 *     ob_init(&b);
 *     ob_model(&b, 8, 13);                       // ir_version, opset; leaves the graph open
 *     ob_input(&b, "x", OB_F32, "n,3");
 *     ob_node(&b, "Relu", "x", "y");             // leaves the node open, for attributes
 *     ob_end(&b);
 *     ob_output(&b, "y");
 *     ob_done(&b);                               // closes all
 */
#ifndef GIE_TESTS_ONNX_BUILD_H
#define GIE_TESTS_ONNX_BUILD_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  OB_F32 = 1,
  OB_U8 = 2,
  OB_I8 = 3,
  OB_I32 = 6,
  OB_I64 = 7,
  OB_STRING = 8,
  OB_BOOL = 9,
  OB_F16 = 10,
  OB_F64 = 11
};

struct ob {
  unsigned char *data;
  size_t n, cap;
  size_t open[256]; /* starts of the messages that are open */
  int depth;
};

static inline void ob_init(struct ob *b) { memset(b, 0, sizeof *b); }
static inline void ob_free(struct ob *b) { free(b->data); }

static inline void ob_raw(struct ob *b, const void *p, size_t n)
{
  if (b->n + n > b->cap) {
    b->cap = (b->n + n) * 2;
    b->data = realloc(b->data, b->cap);
    if (!b->data)
      abort();
  }
  memcpy(b->data + b->n, p, n);
  b->n += n;
}

static inline void ob_varint(struct ob *b, uint64_t v)
{
  unsigned char c;
  for (; v > 0x7f; v >>= 7) {
    c = (unsigned char)(v | 0x80);
    ob_raw(b, &c, 1);
  }
  c = (unsigned char)v;
  ob_raw(b, &c, 1);
}

static inline void ob_tag(struct ob *b, unsigned field, unsigned wire)
{
  ob_varint(b, (uint64_t)field << 3 | wire);
}

static inline void ob_int(struct ob *b, unsigned field, int64_t v)
{
  ob_tag(b, field, 0);
  ob_varint(b, (uint64_t)v);
}

static inline void ob_float(struct ob *b, unsigned field, float v)
{
  ob_tag(b, field, 5);
  ob_raw(b, &v, 4);
}

static inline void ob_bytes(struct ob *b, unsigned field, const void *p, size_t n)
{
  ob_tag(b, field, 2);
  ob_varint(b, n);
  ob_raw(b, p, n);
}

static inline void ob_str(struct ob *b, unsigned field, const char *s) { ob_bytes(b, field, s, strlen(s)); }

/* A message: everything until the matching ob_end() is inside. */
static inline void ob_begin(struct ob *b, unsigned field)
{
  ob_tag(b, field, 2);
  if (b->depth == (int)(sizeof b->open / sizeof b->open[0]))
    abort();
  b->open[b->depth++] = b->n;
}

static inline void ob_end(struct ob *b)
{
  size_t start = b->open[--b->depth], len = b->n - start;
  struct ob head;
  ob_init(&head);
  ob_varint(&head, len);
  ob_raw(b, head.data, head.n);
  memmove(b->data + start + head.n, b->data + start, len);
  memcpy(b->data + start, head.data, head.n);
  ob_free(&head);
}

static inline void ob_done(struct ob *b)
{
  while (b->depth > 0)
    ob_end(b);
}

/* ---- Messages ------------------------------------------------------------------------------ */

static inline void ob_opset(struct ob *b, const char *domain, int64_t version)
{
  ob_begin(b, 8);
  ob_str(b, 1, domain);
  ob_int(b, 2, version);
  ob_end(b);
}

static inline void ob_model(struct ob *b, int64_t ir_version, int64_t opset)
{
  ob_int(b, 1, ir_version);
  ob_opset(b, "", opset);
  ob_begin(b, 7);
  ob_str(b, 2, "net");
}

/* dims: "n,3,224", "?" for a dim without a name, "" for a scalar, NULL for no shape. */
static inline void ob_value(struct ob *b, unsigned field, const char *name, int dtype, const char *dims)
{
  ob_begin(b, field);
  ob_str(b, 1, name);
  ob_begin(b, 2);
  ob_begin(b, 1);
  ob_int(b, 1, dtype);
  if (dims) {
    ob_begin(b, 2);
    while (*dims) {
      char text[64];
      int n = (int)strcspn(dims, ",");
      snprintf(text, sizeof text, "%.*s", n, dims);
      ob_begin(b, 1);
      if (strchr("-0123456789", *text))
        ob_int(b, 1, strtoll(text, NULL, 10));
      else if (*text != '?')
        ob_str(b, 2, text);
      ob_end(b);
      dims += n + (dims[n] == ',');
    }
    ob_end(b);
  }
  ob_end(b);
  ob_end(b);
  ob_end(b);
}

static inline void ob_input(struct ob *b, const char *name, int dtype, const char *dims)
{
  ob_value(b, 11, name, dtype, dims);
}
/* An output of which no type is declared; ob_value(b, 12, …) declares one. */
static inline void ob_output(struct ob *b, const char *name)
{
  ob_begin(b, 12);
  ob_str(b, 1, name);
  ob_end(b);
}

/* Strings of a list "a b c"; "_" is the empty one. */
static inline void ob_list(struct ob *b, unsigned field, const char *list)
{
  while (*list) {
    size_t n = strcspn(list, " ");
    ob_bytes(b, field, list, n == 1 && *list == '_' ? 0 : n);
    list += n + (list[n] == ' ');
  }
}

static inline void ob_node_in(struct ob *b, unsigned field, const char *op, const char *in, const char *out)
{
  ob_begin(b, field);
  ob_list(b, 1, in);
  ob_list(b, 2, out);
  ob_str(b, 4, op);
}

static inline void ob_node(struct ob *b, const char *op, const char *in, const char *out)
{
  ob_node_in(b, 1, op, in, out);
}

/* A tensor with its dims and type; leave it open for data. */
static inline void ob_tensor(struct ob *b, unsigned field, const char *name, int dtype, const int64_t *dims,
                             size_t n)
{
  ob_begin(b, field);
  for (size_t i = 0; i < n; i++)
    ob_int(b, 1, dims[i]);
  ob_int(b, 2, dtype);
  if (name)
    ob_str(b, 8, name);
}

/* An initializer: list of f32 or i64 as raw data. */
static inline void ob_floats(struct ob *b, const char *name, const float *v, int64_t n)
{
  ob_tensor(b, 5, name, OB_F32, &n, 1);
  ob_bytes(b, 9, v, (size_t)n * sizeof *v);
  ob_end(b);
}

static inline void ob_ints(struct ob *b, const char *name, const int64_t *v, int64_t n)
{
  ob_tensor(b, 5, name, OB_I64, &n, 1);
  ob_bytes(b, 9, v, (size_t)n * sizeof *v);
  ob_end(b);
}

/* Attributes of the open node. The types are those of AttributeProto. */
static inline void ob_attr(struct ob *b, const char *name, int type)
{
  ob_begin(b, 5);
  ob_str(b, 1, name);
  ob_int(b, 20, type);
}

static inline void ob_attr_int(struct ob *b, const char *name, int64_t v)
{
  ob_attr(b, name, 2);
  ob_int(b, 3, v);
  ob_end(b);
}

static inline void ob_attr_float(struct ob *b, const char *name, float v)
{
  ob_attr(b, name, 1);
  ob_float(b, 2, v);
  ob_end(b);
}

static inline void ob_attr_str(struct ob *b, const char *name, const char *v)
{
  ob_attr(b, name, 3);
  ob_str(b, 4, v);
  ob_end(b);
}

static inline void ob_attr_ints(struct ob *b, const char *name, int n, const int64_t *v)
{
  ob_attr(b, name, 7);
  for (int i = 0; i < n; i++)
    ob_int(b, 8, v[i]);
  ob_end(b);
}
#define OB_INTS(b, name, ...)                                                      \
  ob_attr_ints(b, name, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), \
               (const int64_t[]){__VA_ARGS__})

static inline void ob_attr_floats(struct ob *b, const char *name, int n, const float *v)
{
  ob_attr(b, name, 6);
  for (int i = 0; i < n; i++)
    ob_float(b, 7, v[i]);
  ob_end(b);
}

/* Writes the bytes to a file. */
static inline void ob_save(const struct ob *b, const char *path)
{
  FILE *f = fopen(path, "wb");
  if (!f || (b->n && fwrite(b->data, 1, b->n, f) != b->n) || fclose(f) != 0) {
    perror(path);
    exit(1);
  }
}

#endif
