/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of protobuf. Messages are built inside out: a finished one is put into the field of its parent.
 * Source: the Protocol Buffers encoding specification; numbers of fields are those of onnx.proto. */
#include "plugins/onnx/export.h"

enum { VARINT, FIXED64, LENGTH, FIXED32 = 5 };

void wire_varint(struct gie_buf *b, uint64_t v)
{
  unsigned char bytes[10];
  size_t n = 0;
  do {
    bytes[n++] = (unsigned char)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
    v >>= 7;
  } while (v);
  gie_buf_put(b, bytes, n);
}

void wire_tag(struct gie_buf *b, int field, int wire_type)
{
  wire_varint(b, (uint64_t)field << 3 | (uint64_t)wire_type);
}

void wire_int(struct gie_buf *b, int field, int64_t v)
{
  wire_tag(b, field, VARINT);
  wire_varint(b, (uint64_t)v);
}

void wire_bytes(struct gie_buf *b, int field, const void *p, size_t n)
{
  wire_tag(b, field, LENGTH);
  wire_varint(b, n);
  gie_buf_put(b, p, n);
}

void wire_text(struct gie_buf *b, int field, const char *s) { wire_bytes(b, field, s, strlen(s)); }

void wire_message(struct gie_buf *b, int field, struct gie_buf *m)
{
  if (b->status == GIE_OK)
    b->status = m->status;
  wire_bytes(b, field, m->data, m->len);
  gie_buf_free(m);
}

/* ---- Attributes ------------------------------------------------------------------------------ */

static void attr_begin(const struct gie_buf *node, struct gie_buf *a, const char *name)
{
  gie_buf_init(a, node->ctx);
  wire_text(a, 1, name);
}

static void attr_end(struct gie_buf *node, struct gie_buf *a, enum onnx_attr_type type)
{
  wire_int(a, 20, type);
  wire_message(node, 5, a);
}

void wire_attr_int(struct gie_buf *node, const char *name, int64_t v)
{
  struct gie_buf a;
  attr_begin(node, &a, name);
  wire_int(&a, 3, v);
  attr_end(node, &a, ONNX_A_INT);
}

void wire_attr_float(struct gie_buf *node, const char *name, double v)
{
  struct gie_buf a;
  float f = (float)v;
  attr_begin(node, &a, name);
  wire_tag(&a, 2, FIXED32);
  gie_buf_put(&a, &f, sizeof f);
  attr_end(node, &a, ONNX_A_FLOAT);
}

void wire_attr_string(struct gie_buf *node, const char *name, const char *s, size_t n)
{
  struct gie_buf a;
  attr_begin(node, &a, name);
  wire_bytes(&a, 4, s, n);
  attr_end(node, &a, ONNX_A_STRING);
}

void wire_attr_ints(struct gie_buf *node, const char *name, const int64_t *v, uint32_t n)
{
  struct gie_buf a;
  attr_begin(node, &a, name);
  for (uint32_t i = 0; i < n; i++)
    wire_int(&a, 8, v[i]);
  attr_end(node, &a, ONNX_A_INTS);
}
