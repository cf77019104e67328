/* SPDX-License-Identifier: Apache-2.0 */
/* Graph → text (doc/ir.md). The same graph always gives the same bytes, and
 * what is printed here reads back to a graph that prints the same. */
#include "core/ir/text.h"
#include <float.h>
#include <math.h>

struct writer {
  struct gie_buf *b;
  struct weights_out *out; /* NULL: hashes only */
  gie_status status;       /* first failure outside the buffer */
};

static void put_graph(struct writer *w, const struct gie_graph *g, int indent);

/* ---- Words and numbers */

static void put_string(struct writer *w, const char *s, size_t n)
{
  gie_buf_puts(w->b, "\"");
  gie_buf_escape(w->b, s, n);
  gie_buf_puts(w->b, "\"");
}

static void put_word(struct writer *w, const char *s)
{
  if (text_is_ident(s))
    gie_buf_puts(w->b, s);
  else
    put_string(w, s, strlen(s));
}

static void put_value_name(struct writer *w, const struct gie_graph *g, gie_id id)
{
  const struct gie_value *v = gie_value_get(g, id);
  const char *name = v ? v->name : "";
  gie_buf_puts(w->b, "%");
  if (text_is_name(name))
    gie_buf_puts(w->b, name);
  else
    put_string(w, name, strlen(name));
}

/* Shortest decimal that is exactly that float when it is read as a double and
 * rounded. */
static const char *float_text(float f, char buf[GIE_NUMBER_MAX])
{
  double back;
  const char *next;
  gie_float_text(f, buf);
  if (isfinite(f) && (!gie_parse_double(buf, buf + strlen(buf), &back, &next) || (float)back != f))
    gie_double_text((double)f, buf);
  return buf;
}

static void put_double(struct writer *w, double v)
{
  char wide[GIE_NUMBER_MAX], narrow[GIE_NUMBER_MAX];
  gie_double_text(v, wide);
  if (isfinite(v) && fabs(v) <= FLT_MAX && (double)(float)v == v &&
      strlen(float_text((float)v, narrow)) + 1 < strlen(wide))
    gie_buf_printf(w->b, "%sf", narrow);
  else
    gie_buf_puts(w->b, wide);
}

/* ---- Types, constants */

static void put_dim(struct writer *w, const struct gie_graph *g, struct gie_dim d)
{
  if (gie_dim_is_num(d)) {
    gie_buf_printf(w->b, "%lld", (long long)d.b);
  } else if (!gie_dim_is_known(d)) {
    gie_buf_puts(w->b, "?");
  } else {
    const char *name = gie_graph_symbol_name(g, d.sym);
    if (d.a != 1)
      gie_buf_printf(w->b, "%lld*", (long long)d.a);
    put_word(w, name ? name : "");
    if (d.b != 0)
      gie_buf_printf(w->b, "%+lld", (long long)d.b);
  }
}

static void put_type(struct writer *w, const struct gie_graph *g, const struct gie_type *t)
{
  gie_buf_printf(w->b, "%s[", gie_dtype_name(t->dtype));
  if (t->shape.rank < 0)
    gie_buf_puts(w->b, "*");
  for (int i = 0; i < t->shape.rank; i++) {
    if (i > 0)
      gie_buf_puts(w->b, ",");
    put_dim(w, g, t->shape.dim[i]);
  }
  gie_buf_puts(w->b, "]");
}

static uint64_t bits_at(const unsigned char *p, size_t size)
{
  uint64_t bits = 0;
  for (size_t i = size; i-- > 0;)
    bits = bits << 8 | p[i];
  return bits;
}

static double element_as_double(enum gie_dtype t, const unsigned char *p)
{
  float f;
  double d;
  uint16_t h = (uint16_t)(p[0] | p[1] << 8);
  switch (t) {
  case GIE_F16:
    return gie_f16_to_f32(h);
  case GIE_BF16:
    return gie_bf16_to_f32(h);
  case GIE_F32:
    memcpy(&f, p, sizeof f);
    return f;
  default:
    memcpy(&d, p, sizeof d);
    return d;
  }
}

/* NaNs are printed as bits, because a NaN's sign and payload have no decimal
 * form. */
static void put_float_element(struct writer *w, enum gie_dtype t, const unsigned char *p)
{
  char buf[GIE_NUMBER_MAX];
  double v = element_as_double(t, p);
  if (isnan(v))
    gie_buf_printf(w->b, "0x%llx", (unsigned long long)bits_at(p, gie_dtype_size(t)));
  else if (t == GIE_F64)
    gie_buf_puts(w->b, gie_double_text(v, buf));
  else
    gie_buf_puts(w->b, float_text((float)v, buf));
}

static void put_element(struct writer *w, enum gie_dtype t, const unsigned char *p)
{
  size_t size = gie_dtype_size(t);
  uint64_t bits = bits_at(p, size);
  switch (gie_dtype_class(t)) {
  case 'f':
    put_float_element(w, t, p);
    return;
  case 'i':
    gie_buf_printf(w->b, "%lld", (long long)((int64_t)(bits << (64 - 8 * size)) >> (64 - 8 * size)));
    return;
  case 'b':
    if (bits <= 1) {
      gie_buf_puts(w->b, bits ? "true" : "false");
      return;
    }
    break;
  default:
    if (bits <= INT64_MAX) {
      gie_buf_printf(w->b, "%llu", (unsigned long long)bits);
      return;
    }
  }
  gie_buf_printf(w->b, "0x%llx", (unsigned long long)bits);
}

static void put_tensor(struct writer *w, enum gie_dtype t, const struct gie_const *data)
{
  const unsigned char *bytes = (const unsigned char *)gie_blob_data(data->blob) + data->offset;
  size_t size = gie_dtype_size(t), n = size ? data->size / size : 0;
  if (n <= TEXT_INLINE_MAX) {
    gie_buf_puts(w->b, "{");
    for (size_t i = 0; i < n; i++) {
      gie_buf_puts(w->b, i ? ", " : "");
      put_element(w, t, bytes + i * size);
    }
    gie_buf_puts(w->b, "}");
    return;
  }
  struct gie_sha256 sha;
  unsigned char hash[32];
  char hex[65];
  gie_sha256_init(&sha);
  gie_sha256_update(&sha, bytes, data->size);
  gie_sha256_final(&sha, hash);
  gie_sha256_hex(hash, hex);
  gie_buf_printf(w->b, "@sha256:%s", hex);
  if (w->out && w->status == GIE_OK)
    w->status = weights_add(w->out, hash, bytes, data->size);
}

/* Layout, view, quantization. A plain layout is named only where it says
 * something: not on constants. */
static void put_storage(struct writer *w, const struct gie_graph *g, const struct gie_value *v)
{
  static const struct gie_layout plain;
  char text[64];
  int rank = v->type.shape.rank;
  gie_layout_text(&v->layout, rank, text, sizeof text);
  if (*text && (v->kind != GIE_VALUE_CONST || !gie_layout_equal(&v->layout, &plain, rank)))
    gie_buf_printf(w->b, " %s", text);
  if (v->view.base != GIE_NONE) {
    gie_buf_puts(w->b, " view(");
    put_value_name(w, g, v->view.base);
    gie_buf_printf(w->b, ", %d, %lld, %lld)", (int)v->view.axis, (long long)v->view.offset,
                   (long long)v->view.extent);
  }
  const struct gie_quant *q = &v->quant;
  char num[GIE_NUMBER_MAX];
  if (q->n == 1 && q->axis == -1) {
    gie_buf_printf(w->b, " q(%s, %d)", float_text(q->scale[0], num), (int)q->zero[0]);
  } else if (q->n > 0) {
    gie_buf_printf(w->b, " q(axis=%d, [", (int)q->axis);
    for (uint32_t i = 0; i < q->n; i++)
      gie_buf_printf(w->b, "%s%s", i ? ", " : "", float_text(q->scale[i], num));
    gie_buf_puts(w->b, "], [");
    for (uint32_t i = 0; i < q->n; i++)
      gie_buf_printf(w->b, "%s%d", i ? ", " : "", (int)q->zero[i]);
    gie_buf_puts(w->b, "])");
  }
}

static void put_declaration(struct writer *w, const struct gie_graph *g, gie_id id)
{
  const struct gie_value *v = gie_value_get(g, id);
  put_value_name(w, g, id);
  gie_buf_puts(w->b, " : ");
  put_type(w, g, &v->type);
  put_storage(w, g, v);
}

/* ---- Attributes */

static void put_array(struct writer *w, const struct gie_attr *a)
{
  if (a->n == 0 && a->kind != GIE_ATTR_INTS)
    gie_buf_puts(w->b, a->kind == GIE_ATTR_FLOATS ? "floats" : "strings");
  gie_buf_puts(w->b, "[");
  for (uint32_t i = 0; i < a->n; i++) {
    if (i > 0)
      gie_buf_puts(w->b, a->kind == GIE_ATTR_INTS ? "," : ", ");
    if (a->kind == GIE_ATTR_INTS)
      gie_buf_printf(w->b, "%lld", (long long)a->u.is[i]);
    else if (a->kind == GIE_ATTR_FLOATS)
      put_double(w, a->u.fs[i]);
    else
      put_string(w, a->u.ss[i], strlen(a->u.ss[i]));
  }
  gie_buf_puts(w->b, "]");
}

static void put_attr(struct writer *w, const struct gie_graph *g, const struct gie_attr *a, int indent)
{
  put_word(w, a->name);
  gie_buf_puts(w->b, "=");
  switch (a->kind) {
  case GIE_ATTR_INT:
    gie_buf_printf(w->b, "%lld", (long long)a->u.i);
    break;
  case GIE_ATTR_FLOAT:
    put_double(w, a->u.f);
    break;
  case GIE_ATTR_STRING:
    put_string(w, a->u.s, a->n);
    break;
  case GIE_ATTR_DTYPE:
    gie_buf_puts(w->b, gie_dtype_name((enum gie_dtype)a->u.i));
    break;
  case GIE_ATTR_INTS:
  case GIE_ATTR_FLOATS:
  case GIE_ATTR_STRINGS:
    put_array(w, a);
    break;
  case GIE_ATTR_TENSOR:
    put_type(w, g, &a->u.t->type);
    put_tensor(w, a->u.t->type.dtype, &a->u.t->data);
    break;
  case GIE_ATTR_GRAPH:
    put_graph(w, a->u.g, indent + 4);
    break;
  }
}

static void put_attrs(struct writer *w, const struct gie_graph *g, const struct gie_attrs *attrs,
                      const char *open, int indent)
{
  if (attrs->n == 0)
    return;
  gie_buf_puts(w->b, open);
  for (uint32_t i = 0; i < attrs->n; i++) {
    gie_buf_puts(w->b, i ? ", " : "");
    put_attr(w, g, &attrs->v[i], indent);
  }
  gie_buf_puts(w->b, "}");
}

/* ---- Nodes */

static void put_operands(struct writer *w, const struct gie_graph *g, const struct gie_node *n)
{
  gie_buf_puts(w->b, "(");
  for (uint32_t i = 0; i < n->n_operands; i++) {
    gie_buf_puts(w->b, i ? ", " : "");
    if (n->in[i] == GIE_NONE)
      gie_buf_puts(w->b, "_");
    else
      put_value_name(w, g, n->in[i]);
  }
  for (uint32_t i = 0; i < n->n_captures; i++) {
    gie_buf_puts(w->b, i ? ", " : n->n_operands ? "; " : ";");
    put_value_name(w, g, n->in[n->n_in - n->n_captures + i]);
  }
  gie_buf_puts(w->b, ")");
}

static void put_steps(struct writer *w, const struct gie_graph *g, const struct gie_node *n, int indent)
{
  for (uint32_t i = 0; i < n->n_steps; i++) {
    const struct gie_step *s = &n->steps[i];
    gie_buf_puts(w->b, s->reverse ? " | reverse " : " | ");
    put_word(w, s->op->name);
    if (s->operand >= 0) {
      gie_buf_puts(w->b, "(");
      put_value_name(w, g, n->in[s->operand]);
      gie_buf_puts(w->b, ")");
    }
    put_attrs(w, g, &s->attrs, " {", indent);
  }
}

static void put_node(struct writer *w, const struct gie_graph *g, const struct gie_node *n, int indent)
{
  for (uint32_t i = 0; i < n->n_out; i++) {
    gie_buf_puts(w->b, i ? ", " : "");
    put_declaration(w, g, n->out[i]);
  }
  gie_buf_puts(w->b, n->n_out ? " = " : "= ");
  if (n->op->flags & GIE_OP_OPAQUE)
    put_string(w, n->op->name, strlen(n->op->name));
  else
    put_word(w, n->op->name);
  const char *implied = n->n_out ? gie_value_get(g, n->out[0])->name : n->op->name;
  if (strcmp(n->name, implied) != 0) {
    gie_buf_puts(w->b, " ");
    put_string(w, n->name, strlen(n->name));
    gie_buf_puts(w->b, " ");
  }
  put_operands(w, g, n);
  put_attrs(w, g, &n->attrs, " {", indent);
  put_steps(w, g, n, indent);
  put_attrs(w, g, &n->notes, " !{", indent);
}

/* ---- Graph */

static void start_line(struct writer *w, int indent, const char *word)
{
  gie_buf_printf(w->b, "%*s%s", indent, "", word);
}

static void put_header(struct writer *w, const struct gie_graph *g)
{
  const char *name = gie_graph_name(g);
  gie_buf_puts(w->b, "graph ");
  if (name && *name) {
    put_string(w, name, strlen(name));
    gie_buf_puts(w->b, " ");
  }
  uint32_t n = gie_graph_n_symbols(g);
  for (uint32_t i = 0; i < n; i++) {
    gie_buf_puts(w->b, i ? ", " : "(");
    put_word(w, gie_graph_symbol_name(g, i));
  }
  gie_buf_puts(w->b, n ? ") {\n" : "{\n");
}

static void put_graph(struct writer *w, const struct gie_graph *g, int indent)
{
  int in = indent + 2;
  put_header(w, g);
  if (gie_graph_meta(g)->n) {
    start_line(w, in, "meta");
    put_attrs(w, g, gie_graph_meta(g), " {", in);
    gie_buf_puts(w->b, "\n");
  }
  for (uint32_t i = 0; i < gie_graph_n_inputs(g); i++) {
    start_line(w, in, "input ");
    put_declaration(w, g, gie_graph_input(g, i));
    gie_buf_puts(w->b, "\n");
  }
  for (uint32_t i = 0; i < gie_graph_n_values(g); i++) {
    const struct gie_value *v = gie_value_get(g, i);
    if (v->kind != GIE_VALUE_CONST)
      continue;
    start_line(w, in, "const ");
    put_declaration(w, g, i);
    gie_buf_puts(w->b, " = ");
    put_tensor(w, v->type.dtype, &v->data);
    gie_buf_puts(w->b, "\n");
  }
  GIE_FOR_NODES(g, id) {
    start_line(w, in, "");
    put_node(w, g, gie_node_get(g, id), in);
    gie_buf_puts(w->b, "\n");
  }
  for (uint32_t i = 0; i < gie_graph_n_outputs(g); i++) {
    start_line(w, in, "output ");
    put_value_name(w, g, gie_graph_output(g, i));
    gie_buf_puts(w->b, "\n");
  }
  start_line(w, indent, "}");
}

gie_status text_print(const struct gie_graph *g, struct gie_buf *b, struct weights_out *out)
{
  struct writer w = {b, out, GIE_OK};
  put_graph(&w, g, 0);
  gie_buf_puts(b, "\n");
  return w.status != GIE_OK ? w.status : b->status;
}

gie_status gie_graph_print(const struct gie_graph *g, char **text, size_t *size)
{
  struct gie_buf b;
  gie_buf_init(&b, gie_graph_context(g));
  gie_status s = text_print(g, &b, NULL);
  if (s == GIE_OK)
    s = gie_buf_take(&b, text, size);
  if (s != GIE_OK)
    gie_buf_free(&b);
  return s;
}
