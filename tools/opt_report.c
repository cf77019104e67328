/* SPDX-License-Identifier: Apache-2.0 */
/* The page of gie opt --report: the graph before and after as SVG side by side, and a table of the passes. One file,
 * which fetches nothing. A node that is not in the other graph is marked: it has another op, or none there makes its
 * result. */
#include "tools/layers.h"
#include "tools/opt.h"

#define MAX_DRAWN 3000 /* nodes of a graph; more cannot be read and take browsers long */
#define RANK 58        /* from a layer to the next */
#define BOX 36
#define LETTER 6.7 /* width */
#define MAX_OP 46  /* letters shown */

static const char style[] =
    "body{font:14px/1.45 system-ui,sans-serif;margin:0;color:#1c2430;background:#f4f5f7}"
    "header{padding:14px 20px 6px}h1{font-size:19px;margin:0 0 4px}h2{font-size:14px;margin:0;padding:8px 12px;"
    "background:#e7eaee;border-bottom:1px solid #cfd5dc}p{margin:4px 0}"
    "table{border-collapse:collapse;font-size:13px;background:#fff}th{background:#e7eaee;text-align:left}"
    "td,th{padding:3px 12px;border:1px solid #d8dde3}td.r,th.r{text-align:right;font-variant-numeric:tabular-nums}"
    "details{margin:8px 0}summary{cursor:pointer}"
    ".panes{display:flex;gap:10px;padding:6px 20px 20px}.pane{flex:1 1 0;min-width:0;background:#fff;"
    "border:1px solid #cfd5dc;border-radius:5px;overflow:hidden}"
    ".view{overflow:auto;height:78vh}svg{display:block;margin:auto}"
    "svg text{font:11px ui-monospace,monospace;text-anchor:middle;fill:#1c2430}svg text.op{font-weight:600}"
    "svg text.type{font-size:10px;fill:#586373}path{fill:none;stroke:#98a2ae;stroke-width:1.2}"
    "rect{stroke:#8d98a6;stroke-width:1}.io rect{fill:#fff;stroke-dasharray:2 2}"
    ".gone rect{stroke:#c62f2f;stroke-width:2.2}.come rect{stroke:#1d8a3c;stroke-width:2.2}"
    "g:hover rect{stroke-width:3}"
    ".key{display:inline-block;width:22px;height:11px;border:2.2px solid;border-radius:3px;margin:0 5px 0 14px;"
    "vertical-align:middle}";

/* Fill by family of op; the first whose name the op's begins with. */
static const struct {
  const char *prefix, *color;
} colors[] = {{"conv", "#cfe0f7"},     {"gemm", "#cfe0f7"},     {"matmul", "#cfe0f7"},
              {"max_pool", "#d5efe0"}, {"average", "#d5efe0"},  {"global", "#d5efe0"},
              {"concat", "#f6e3c2"},   {"split", "#f6e3c2"},    {"slice", "#f6e3c2"},
              {"reshape", "#f6e3c2"},  {"flatten", "#f6e3c2"},  {"transpose", "#f6e3c2"},
              {"squeeze", "#f6e3c2"},  {"unsq", "#f6e3c2"},     {"gather", "#f6e3c2"},
              {"pad", "#f6e3c2"},      {"reduce", "#e5dcf5"},   {"batch", "#e5dcf5"},
              {"layer", "#e5dcf5"},    {"instance", "#e5dcf5"}, {"softmax", "#e5dcf5"},
              {"lrn", "#e5dcf5"},      {"", "#eceff2"}};

static const char *color_of(const char *op)
{
  size_t i = 0;
  while (strncmp(op, colors[i].prefix, strlen(colors[i].prefix)) != 0)
    i++;
  return colors[i].color;
}

/* Text of any bytes into HTML, at most n of them. */
static void put_escaped(struct gie_buf *b, const char *s, size_t n)
{
  size_t left = strlen(s), all = left;
  for (; left && n; s++, left--, n--) {
    if (*s == '<' || *s == '>' || *s == '&' || *s == '"')
      gie_buf_printf(b, "&#%d;", *s);
    else if ((unsigned char)*s < ' ' || *s == 0x7f)
      gie_buf_puts(b, "\xef\xbf\xbd");
    else
      gie_buf_put(b, s, 1);
  }
  while (left && ((unsigned char)*s & 0xc0) == 0x80) { /* no letter is cut */
    gie_buf_put(b, s++, 1);
    left--;
  }
  if (left && all > n)
    gie_buf_puts(b, "\xe2\x80\xa6");
}

/* ---- One graph ------------------------------------------------------------------------------- */

struct drawing {
  struct tool *t;
  const struct gie_graph *g, *other;
  const char *mark; /* class of what the other graph does not have */
  struct layers l;
  uint32_t *item; /* by value: the item that it comes from */
  struct gie_buf *b;
};

static double width_of(const char *a, const char *b)
{
  size_t n = strlen(a), m = strlen(b);
  n = n > m ? n : m;
  return LETTER * (double)(n > MAX_OP ? MAX_OP : n) + 18;
}

static const char *result_type(const struct drawing *d, const struct gie_value *v)
{
  return tool_type(d->t, d->g, &v->type);
}

static gie_status add_node(struct drawing *d, const struct gie_node *n)
{
  const struct gie_value *first = gie_value_get(d->g, n->out[0]);
  uint32_t item;
  bool floats = true; /* computed from constants alone */
  GIE_TRY(layers_item(&d->l, n->id, width_of(tool_op(d->t, n), result_type(d, first)), &item));
  for (uint32_t i = 0; i < n->n_in; i++) {
    const struct gie_value *v = gie_value_get(d->g, n->in[i]);
    bool drawn = v && v->kind != GIE_VALUE_CONST;
    for (uint32_t k = 0; drawn && k < i; k++) /* the same operand twice is one line */
      drawn = n->in[k] != n->in[i];
    if (!drawn)
      continue;
    floats = floats && v->kind == GIE_VALUE_RESULT && d->l.items[d->item[v->id]].floats;
    GIE_TRY(layers_edge(&d->l, d->item[v->id], item, v->id));
  }
  d->l.items[item].floats = floats;
  for (uint32_t i = 0; i < n->n_out; i++)
    d->item[n->out[i]] = item;
  return GIE_OK;
}

/* Inputs, nodes, then outputs; tags above the nodes' ids are inputs' and outputs' values. */
static gie_status add_all(struct drawing *d)
{
  uint32_t base = gie_graph_n_nodes(d->g), item;
  for (uint32_t i = 0; i < gie_graph_n_inputs(d->g); i++) {
    const struct gie_value *v = gie_value_get(d->g, gie_graph_input(d->g, i));
    GIE_TRY(layers_item(&d->l, base + v->id, width_of(v->name, result_type(d, v)), &d->item[v->id]));
    d->l.items[d->item[v->id]].floats = true;
  }
  GIE_FOR_NODES(d->g, id)
    GIE_TRY(add_node(d, gie_node_get(d->g, id)));
  for (uint32_t i = 0; i < gie_graph_n_outputs(d->g); i++) {
    const struct gie_value *v = gie_value_get(d->g, gie_graph_output(d->g, i));
    GIE_TRY(layers_item(&d->l, base + v->id, width_of(v->name, result_type(d, v)), &item));
    if (v->kind != GIE_VALUE_CONST)
      GIE_TRY(layers_edge(&d->l, d->item[v->id], item, v->id));
  }
  return GIE_OK;
}

/* The same result from the same op with the same steps is no change. */
static bool is_marked(const struct drawing *d, const struct gie_node *n)
{
  const struct gie_value *v = gie_value_get(d->other,
                                            gie_value_find(d->other, gie_value_get(d->g, n->out[0])->name));
  const struct gie_node *m = v ? gie_node_get(d->other, v->producer) : NULL;
  return !m || strcmp(tool_op(d->t, n), tool_op(d->t, m)) != 0;
}

static void put_box(struct drawing *d, const struct layer_item *i, const char *class, const char *fill,
                    const char *op, const char *type)
{
  double y = 12 + (double)i->rank * RANK;
  gie_buf_printf(
      d->b, "<g class=\"%s\"><rect x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"%d\" rx=\"5\" fill=\"%s\"/>",
      class, i->x - i->width / 2, y, i->width, BOX, fill);
  gie_buf_printf(d->b, "<text class=\"op\" x=\"%.0f\" y=\"%.0f\">", i->x, y + 15);
  put_escaped(d->b, op, MAX_OP);
  gie_buf_printf(d->b, "</text><text class=\"type\" x=\"%.0f\" y=\"%.0f\">", i->x, y + 29);
  put_escaped(d->b, type, MAX_OP);
  gie_buf_puts(d->b, "</text>");
}

static void put_item(struct drawing *d, const struct layer_item *i)
{
  uint32_t base = gie_graph_n_nodes(d->g);
  if (i->tag == UINT32_MAX)
    return;
  if (i->tag >= base) {
    const struct gie_value *v = gie_value_get(d->g, i->tag - base);
    put_box(d, i, "io", "#fff", v->name, result_type(d, v));
    gie_buf_puts(d->b, "</g>\n");
    return;
  }
  const struct gie_node *n = gie_node_get(d->g, i->tag);
  put_box(d, i, is_marked(d, n) ? d->mark : "", color_of(n->op->name), tool_op(d->t, n),
          result_type(d, gie_value_get(d->g, n->out[0])));
  gie_buf_puts(d->b, "<title>");
  put_escaped(d->b, n->name, 300);
  for (uint32_t k = 0; k < n->n_in; k++) {
    const struct gie_value *v = gie_value_get(d->g, n->in[k]);
    gie_buf_puts(d->b, "\n  reads ");
    put_escaped(d->b, v ? v->name : "nothing", 200);
    gie_buf_puts(d->b, v ? " " : "");
    put_escaped(d->b, v ? result_type(d, v) : "", 100);
  }
  gie_buf_puts(d->b, "</title></g>\n");
}

static void put_edge(struct drawing *d, const struct layer_edge *e)
{
  const struct layer_item *a = &d->l.items[e->from], *b = &d->l.items[e->to];
  double y0 = 12 + (double)a->rank * RANK + (a->tag == UINT32_MAX ? BOX / 2.0 : BOX);
  double y1 = 12 + (double)b->rank * RANK + (b->tag == UINT32_MAX ? BOX / 2.0 : 0), mid = (y0 + y1) / 2;
  gie_buf_printf(d->b, "<path d=\"M%.0f %.0fC%.0f %.0f %.0f %.0f %.0f %.0f\"/>", a->x, y0, a->x, mid, b->x,
                 mid, b->x, y1);
}

static gie_status draw(struct drawing *d)
{
  d->item = gie_alloc(d->t->ctx, (size_t)gie_graph_n_values(d->g) + 1, sizeof *d->item);
  if (!d->item)
    return GIE_E_MEMORY;
  GIE_TRY(add_all(d));
  GIE_TRY(layers_place(&d->l));
  gie_buf_printf(d->b, "<svg width=\"%.0f\" height=\"%u\">\n", d->l.width, d->l.n_ranks * RANK + 10);
  for (size_t i = 0; i < d->l.n_edges; i++)
    put_edge(d, &d->l.edges[i]);
  gie_buf_puts(d->b, "\n");
  for (size_t i = 0; i < d->l.n_items; i++)
    put_item(d, &d->l.items[i]);
  gie_buf_puts(d->b, "</svg>\n");
  return d->b->status;
}

static gie_status put_pane(struct tool *t, struct gie_buf *b, const char *head, const struct gie_graph *g,
                           const struct gie_graph *other, const char *mark)
{
  struct drawing d = {.t = t, .g = g, .other = other, .mark = mark, .b = b, .l = {.ctx = t->ctx}};
  uint32_t n = gie_graph_count_nodes(g);
  gie_status st = GIE_OK;
  gie_buf_printf(b, "<div class=\"pane\"><h2>%s: %u nodes</h2><div class=\"view\">", head, (unsigned)n);
  if (n > MAX_DRAWN)
    gie_buf_printf(b, "<p>Graphs of more than %d nodes are not drawn.</p>", MAX_DRAWN);
  else
    st = draw(&d);
  gie_buf_puts(b, "</div></div>\n");
  layers_free(&d.l);
  gie_free(t->ctx, d.item);
  return st;
}

/* ---- The page -------------------------------------------------------------------------------- */

static void put_row(struct gie_buf *b, const struct gie_pass_stat *s)
{
  gie_buf_puts(b, "<tr><td>");
  put_escaped(b, s->pass, 200);
  gie_buf_printf(
      b,
      "</td><td class=\"r\">%u</td><td class=\"r\">%u</td><td class=\"r\">%u</td><td class=\"r\">%.2f</td></tr>\n",
      (unsigned)s->changes, (unsigned)s->nodes_before, (unsigned)s->nodes_after, 1e3 * s->seconds);
}

static void put_table(struct gie_buf *b, const struct opt *o, bool fired)
{
  gie_buf_puts(b, "<table><tr><th>pass</th><th class=\"r\">changes</th><th class=\"r\">nodes before</th><th "
                  "class=\"r\">after</th><th class=\"r\">ms</th></tr>\n");
  for (uint32_t i = 0; i < o->n_stats; i++)
    if ((o->stat[i].changes > 0) == fired)
      put_row(b, &o->stat[i]);
  gie_buf_puts(b, "</table>\n");
}

static void put_head(struct gie_buf *b, const struct opt *o, const char *model)
{
  uint32_t fired = 0;
  for (uint32_t i = 0; i < o->n_stats; i++)
    fired += o->stat[i].changes > 0;
  gie_buf_puts(b, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>");
  put_escaped(b, model, 300);
  gie_buf_printf(b, "</title><style>%s</style></head><body><header><h1>", style);
  put_escaped(b, model, 300);
  gie_buf_puts(b, "</h1>\n<details open><summary>Passes that changed something</summary>\n");
  put_table(b, o, true);
  gie_buf_printf(b, "</details>\n<details><summary>%u that did not</summary>\n",
                 (unsigned)(o->n_stats - fired));
  put_table(b, o, false);
  gie_buf_puts(
      b,
      "</details>\n<p><span class=\"key\" style=\"border-color:#c62f2f;margin-left:0\"></span>only before"
      "<span class=\"key\" style=\"border-color:#1d8a3c\"></span>only after; point at a node for its name and "
      "operands</p></header>\n");
}

static gie_status save(struct tool *t, const char *path, const struct gie_buf *b)
{
  struct gie_save s;
  GIE_TRY(b->status);
  GIE_TRY(gie_save_begin(t->ctx, path, &s));
  GIE_TRY(gie_save_write(&s, b->data, b->len));
  return gie_save_commit(&s);
}

gie_status opt_report(struct tool *t, const struct opt *o, const char *model, const struct gie_graph *before,
                      const struct gie_graph *after)
{
  struct gie_buf b;
  gie_buf_init(&b, t->ctx);
  put_head(&b, o, model);
  gie_buf_puts(&b, "<div class=\"panes\">\n");
  gie_status st = put_pane(t, &b, "Before", before, after, "gone");
  if (st == GIE_OK)
    st = put_pane(t, &b, "After", after, before, "come");
  gie_buf_puts(&b, "</div></body></html>\n");
  if (st == GIE_OK)
    st = save(t, o->report, &b);
  gie_buf_free(&b);
  return st;
}
