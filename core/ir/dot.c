/* SPDX-License-Identifier: Apache-2.0 */
/* Graph → Graphviz. Nodes are boxes with op, name, attributes and epilogue;
 * inputs and outputs are ellipses; edges carry the type. Constants are listed
 * inside the node that reads them, because as boxes of their own they would
 * hide the structure. Bodies are not drawn. */
#include "core/ir/text.h"

#define LABEL_MAX 200 /* bytes of a name or an attribute that are shown */

/* Inside a quoted label; "\l" ends a left-aligned line. */
static void put_label(struct gie_buf *b, const char *s)
{
  size_t n = strlen(s);
  gie_buf_escape(b, s, n > LABEL_MAX ? LABEL_MAX : n);
  if (n > LABEL_MAX)
    gie_buf_puts(b, "…");
}

static void put_type(struct gie_buf *b, const struct gie_graph *g, const struct gie_value *v)
{
  char shape[256], layout[64];
  static const struct gie_layout plain;
  gie_buf_puts(b, gie_dtype_name(v->type.dtype));
  put_label(b, gie_shape_text(g, &v->type.shape, shape, sizeof shape));
  if (!gie_layout_equal(&v->layout, &plain, v->type.shape.rank))
    gie_buf_printf(b, " %s", gie_layout_text(&v->layout, v->type.shape.rank, layout, sizeof layout));
}

static void put_attr(struct gie_buf *b, const struct gie_attr *a)
{
  char num[GIE_NUMBER_MAX];
  put_label(b, a->name);
  gie_buf_puts(b, "=");
  switch (a->kind) {
  case GIE_ATTR_INT:
    gie_buf_printf(b, "%lld", (long long)a->u.i);
    break;
  case GIE_ATTR_FLOAT:
    gie_buf_puts(b, gie_double_text(a->u.f, num));
    break;
  case GIE_ATTR_STRING:
    put_label(b, a->u.s);
    break;
  case GIE_ATTR_DTYPE:
    gie_buf_puts(b, gie_dtype_name((enum gie_dtype)a->u.i));
    break;
  case GIE_ATTR_INTS:
    for (uint32_t i = 0; i < a->n && i < 16; i++)
      gie_buf_printf(b, "%s%lld", i ? "," : "", (long long)a->u.is[i]);
    gie_buf_puts(b, a->n > 16 ? ",…" : "");
    break;
  default:
    gie_buf_puts(b, "…");
  }
}

static void put_attrs(struct gie_buf *b, const struct gie_attrs *attrs)
{
  for (uint32_t i = 0; i < attrs->n; i++) {
    put_attr(b, &attrs->v[i]);
    gie_buf_puts(b, "\\l");
  }
}

static void put_node(struct gie_buf *b, const struct gie_graph *g, const struct gie_node *n)
{
  gie_buf_printf(b, "  n%u [shape=box,label=\"", (unsigned)n->id);
  put_label(b, n->op->name);
  gie_buf_puts(b, " ");
  put_label(b, n->name);
  gie_buf_puts(b, "\\n");
  put_attrs(b, &n->attrs);
  for (uint32_t i = 0; i < n->n_in; i++) {
    const struct gie_value *v = gie_value_get(g, n->in[i]);
    if (!v || v->kind != GIE_VALUE_CONST)
      continue;
    put_label(b, v->name);
    gie_buf_puts(b, " ");
    put_type(b, g, v);
    gie_buf_puts(b, "\\l");
  }
  for (uint32_t i = 0; i < n->n_steps; i++) {
    gie_buf_puts(b, n->steps[i].reverse ? "| reverse " : "| ");
    put_label(b, n->steps[i].op->name);
    gie_buf_puts(b, "\\l");
  }
  gie_buf_puts(b, "\"];\n");
}

static void put_edges(struct gie_buf *b, const struct gie_graph *g, const struct gie_node *n)
{
  for (uint32_t i = 0; i < n->n_in; i++) {
    const struct gie_value *v = gie_value_get(g, n->in[i]);
    if (!v || v->kind == GIE_VALUE_CONST)
      continue;
    if (v->kind == GIE_VALUE_INPUT)
      gie_buf_printf(b, "  v%u -> n%u [label=\"", (unsigned)v->id, (unsigned)n->id);
    else
      gie_buf_printf(b, "  n%u -> n%u [label=\"", (unsigned)v->producer, (unsigned)n->id);
    put_type(b, g, v);
    gie_buf_puts(b, v->view.base == GIE_NONE ? "\"];\n" : "\",style=dashed];\n");
  }
}

static void put_outputs(struct gie_buf *b, const struct gie_graph *g)
{
  for (uint32_t i = 0; i < gie_graph_n_outputs(g); i++) {
    const struct gie_value *v = gie_value_get(g, gie_graph_output(g, i));
    bool node = v->kind == GIE_VALUE_RESULT;
    gie_buf_printf(b, "  o%u [shape=ellipse,label=\"", (unsigned)i);
    put_label(b, v->name);
    gie_buf_printf(b, "\"];\n  %c%u -> o%u [label=\"", node ? 'n' : 'v',
                   (unsigned)(node ? v->producer : v->id), (unsigned)i);
    put_type(b, g, v);
    gie_buf_puts(b, "\"];\n");
  }
}

gie_status gie_graph_print_dot(const struct gie_graph *g, char **text, size_t *size)
{
  struct gie_buf b;
  gie_buf_init(&b, gie_graph_context(g));
  gie_buf_puts(&b, "digraph \"");
  put_label(&b, gie_graph_name(g));
  gie_buf_puts(&b, "\" {\n  node [fontname=\"monospace\"];\n");
  for (uint32_t i = 0; i < gie_graph_n_values(g); i++) {
    const struct gie_value *v = gie_value_get(g, i);
    bool shown = v->kind == GIE_VALUE_INPUT || (v->kind == GIE_VALUE_CONST && v->n_outputs);
    if (!shown)
      continue;
    gie_buf_printf(&b, "  v%u [shape=ellipse,label=\"", (unsigned)i);
    put_label(&b, v->name);
    gie_buf_puts(&b, "\"];\n");
  }
  GIE_FOR_NODES(g, id) {
    put_node(&b, g, gie_node_get(g, id));
    put_edges(&b, g, gie_node_get(g, id));
  }
  put_outputs(&b, g);
  gie_buf_puts(&b, "}\n");
  return gie_buf_take(&b, text, size);
}
