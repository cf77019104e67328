/* SPDX-License-Identifier: Apache-2.0 */
/* Conversions between forms; see form.h. */
#include "core/pass/form.h"
#include "core/module/probe.h"

struct form form_of(const struct gie_value *v)
{
  return (struct form){.dtype = v->type.dtype, .layout = v->layout};
}

bool form_equal(const struct form *a, const struct form *b, int rank)
{
  return a->dtype == b->dtype && gie_layout_equal(&a->layout, &b->layout, rank);
}

char *form_text(const struct form *f, const struct form *from, int rank, char buf[64])
{
  if (f->dtype != from->dtype) {
    snprintf(buf, 64, "%s", gie_dtype_name(f->dtype));
    return buf;
  }
  gie_layout_text(&f->layout, rank, buf, 64);
  for (char *c = buf; *c; c++)
    if (*c == '/' || *c == ':')
      *c = '_';
  if (!*buf)
    snprintf(buf, 64, "plain");
  return buf;
}

const char *form_name(const struct gie_graph *g, const char *name, const char *what,
                      char buf[GIE_MAX_NAME + 1])
{
  int n = snprintf(buf, GIE_MAX_NAME + 1, "%s.%s", name, what);
  return n <= GIE_MAX_NAME && gie_value_find(g, buf) == GIE_NONE ? buf : NULL;
}

gie_status form_set(struct gie_graph *g, gie_id value, const struct form *f)
{
  struct gie_type type = gie_value_get(g, value)->type;
  if (type.dtype != f->dtype) {
    type.dtype = f->dtype;
    GIE_TRY(gie_value_set_type(g, value, &type));
  }
  return gie_value_set_layout(g, value, &f->layout);
}

gie_status form_convert(struct gie_graph *g, gie_id value, const struct form *f, gie_id *out)
{
  const struct gie_value *v = gie_value_get(g, value);
  const struct form from = form_of(v);
  const struct gie_node *maker = gie_node_get(g, v->producer);
  const struct gie_attr to = {.name = "to", .kind = GIE_ATTR_DTYPE, .u.i = f->dtype};
  bool cast = from.dtype != f->dtype;
  struct gie_node_spec spec = GIE_NODE_SPEC(cast ? "cast" : "reorder");
  char text[64], buf[GIE_MAX_NAME + 1];
  const char *name = form_name(g, v->name, form_text(f, &from, v->type.shape.rank, text), buf);
  gie_id node;
  spec.n_in = 1;
  spec.in = &value;
  spec.n_out = 1;
  spec.out_names = &name;
  spec.n_attrs = cast;
  spec.attrs = &to;
  spec.before = maker ? maker->next : gie_graph_first(g);
  GIE_TRY(gie_node_add(g, &spec, &node));
  *out = gie_node_get(g, node)->out[0];
  return gie_value_set_layout(g, *out, &f->layout);
}

gie_status form_bytes(const struct gie_graph *g, const struct gie_value *v, enum gie_dtype to,
                      struct gie_blob **out)
{
  static const struct gie_layout plain;
  struct gie_context *ctx = gie_graph_context(g);
  struct gie_type type = v->type;
  struct gie_desc a, b;
  size_t bytes;
  GIE_TRY(gie_desc_make(ctx, &type, &plain, &a, NULL));
  type.dtype = to;
  GIE_TRY(gie_desc_make(ctx, &type, &plain, &b, &bytes));
  GIE_TRY(gie_blob_new(ctx, bytes, out));
  probe_convert(&a, gie_value_bytes(g, v->id, NULL), &b, gie_blob_data(*out));
  return GIE_OK;
}

gie_status form_const(struct gie_graph *g, gie_id value, const struct form *f, struct gie_blob *blob,
                      gie_id *out)
{
  const struct gie_value *v = gie_value_get(g, value);
  const struct form from = form_of(v);
  struct gie_type type = v->type;
  struct gie_const data = v->data;
  char text[64], buf[GIE_MAX_NAME + 1];
  const char *name = form_name(g, v->name, form_text(f, &from, type.shape.rank, text), buf);
  struct gie_blob *own = NULL;
  if (f->dtype != type.dtype) {
    if (!blob)
      GIE_TRY(form_bytes(g, v, f->dtype, &own));
    type.dtype = f->dtype;
    data = (struct gie_const){.blob = blob ? blob : own, .size = gie_blob_size(blob ? blob : own)};
  }
  gie_status st = gie_graph_add_const(g, name, &type, &data, out);
  gie_blob_unref(own);
  return st == GIE_OK ? gie_value_set_layout(g, *out, &f->layout) : st;
}

gie_status form_output(struct gie_graph *g, gie_id made, gie_id copy, const char *what)
{
  char name[GIE_MAX_NAME + 1], buf[GIE_MAX_NAME + 1], fresh[64];
  snprintf(name, sizeof name, "%s", gie_value_get(g, made)->name);
  const char *inner = form_name(g, name, what, buf);
  snprintf(fresh, sizeof fresh, "%s%u.%u", what, (unsigned)made, (unsigned)copy);
  for (uint32_t i = 0; i < gie_graph_n_outputs(g); i++)
    if (gie_graph_output(g, i) == made)
      GIE_TRY(gie_graph_set_output(g, i, copy));
  if (gie_value_get(g, made)->kind == GIE_VALUE_INPUT)
    return GIE_OK;
  GIE_TRY(gie_value_rename(g, made, inner ? inner : fresh));
  return gie_value_rename(g, copy, name);
}
