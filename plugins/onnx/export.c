/* SPDX-License-Identifier: Apache-2.0 */
/* A graph as an ONNX model. The same graph gives the same bytes. */
#include "plugins/onnx/export.h"

/* ---- Operator sets --------------------------------------------------------------------------- */

static int64_t meta_int(const struct gie_graph *g, const char *name, int64_t def)
{
  const struct gie_attr *a = gie_attrs_find(gie_graph_meta(g), name);
  return a && a->kind == GIE_ATTR_INT ? a->u.i : def;
}

static const char *meta_text(const struct gie_graph *g, const char *name)
{
  const struct gie_attr *a = gie_attrs_find(gie_graph_meta(g), name);
  return a && a->kind == GIE_ATTR_STRING ? a->u.s : "";
}

/* The domain's version: the model's, else the node's, else 1. */
gie_status ex_domain(struct ex *x, const char *domain, int64_t version)
{
  size_t size = strlen(domain) + 8;
  char *key = gie_arena_alloc(&x->arena, size, 1);
  if (!key)
    return GIE_E_MEMORY;
  snprintf(key, size, "opset.%s", domain);
  if (gie_map_get(&x->domains, domain) != UINT32_MAX)
    return GIE_OK;
  version = meta_int(x->g, key, version > 0 ? version : 1);
  GIE_TRY(gie_grow(x->ctx, &x->domain, &x->cap_domains, x->n_domains + 1, sizeof *x->domain));
  x->domain[x->n_domains++] = domain;
  return gie_map_set(&x->domains, domain, version > 0 && version < UINT32_MAX ? (uint32_t)version : 1);
}

/* Those that the model imported, though no node is left of them. */
static gie_status model_domains(struct ex *x)
{
  const struct gie_attrs *meta = gie_graph_meta(x->g);
  for (uint32_t i = 0; i < meta->n; i++)
    if (strncmp(meta->v[i].name, "opset.", 6) == 0 && meta->v[i].kind == GIE_ATTR_INT)
      GIE_TRY(ex_domain(x, meta->v[i].name + 6, 0));
  return GIE_OK;
}

/* Least version of the file format for an operator set. Source: the ONNX versioning document. */
static int64_t ir_version(int64_t opset, int64_t own)
{
  static const int64_t least[] = {
      [13] = 7, [14] = 7, [15] = 8, [16] = 8, [17] = 8, [18] = 8, [19] = 9, [20] = 9, [21] = 10};
  int64_t v = opset < (int64_t)(sizeof least / sizeof least[0]) ? least[opset] : 10;
  return own > v ? own : v;
}

/* ---- The model ------------------------------------------------------------------------------- */

static void put_set(struct gie_buf *b, const char *domain, int64_t version)
{
  struct gie_buf set;
  gie_buf_init(&set, b->ctx);
  wire_text(&set, 1, domain);
  wire_int(&set, 2, version);
  wire_message(b, 8, &set);
}

static void put_texts(struct ex *x, struct gie_buf *b)
{
  static const struct {
    const char *name;
    int field;
  } texts[] = {{"producer", 2}, {"producer_version", 3}, {"domain", 4}, {"doc", 6}};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    if (*meta_text(x->g, texts[i].name))
      wire_text(b, texts[i].field, meta_text(x->g, texts[i].name));
}

static void put_metadata(struct ex *x, struct gie_buf *b)
{
  const struct gie_attrs *meta = gie_graph_meta(x->g);
  for (uint32_t i = 0; i < meta->n; i++) {
    struct gie_buf pair;
    if (strncmp(meta->v[i].name, "meta.", 5) != 0 || meta->v[i].kind != GIE_ATTR_STRING)
      continue;
    gie_buf_init(&pair, b->ctx);
    wire_text(&pair, 1, meta->v[i].name + 5);
    wire_text(&pair, 2, meta->v[i].u.s);
    wire_message(b, 14, &pair);
  }
}

static void put_head(struct ex *x, struct gie_buf *b)
{
  wire_int(b, 1, ir_version(x->opset, meta_int(x->g, "ir_version", 0)));
  put_texts(x, b);
  if (gie_attrs_find(gie_graph_meta(x->g), "model_version"))
    wire_int(b, 5, meta_int(x->g, "model_version", 0));
  put_set(b, "", x->opset);
  for (size_t i = 0; i < x->n_domains; i++)
    put_set(b, x->domain[i], gie_map_get(&x->domains, x->domain[i]));
  put_metadata(x, b);
}

static gie_status write_model(struct ex *x, struct ex_scope *s, struct gie_buf *graph)
{
  struct gie_buf head;
  const char *name = gie_graph_name(x->g);
  wire_text(graph, 2, name && *name ? name : "graph");
  gie_buf_put(graph, x->extra.data, x->extra.len);
  GIE_TRY(ex_interface(x, s, gie_graph_n_inputs(x->g), graph));
  gie_buf_put(graph, x->infos.data, x->infos.len);
  gie_buf_init(&head, x->ctx);
  put_head(x, &head);
  gie_status st = ex_write(x, &head, graph);
  gie_buf_free(&head);
  return st;
}

/* ---- Attempts -------------------------------------------------------------------------------- */

static void begin(struct ex *x)
{
  gie_arena_init(&x->arena, x->ctx);
  gie_map_init(&x->domains, x->ctx);
  gie_map_init(&x->scalars, x->ctx);
  gie_buf_init(&x->nodes, x->ctx);
  gie_buf_init(&x->extra, x->ctx);
  gie_buf_init(&x->infos, x->ctx);
  x->n_domains = x->n_scalars = 0;
}

static void end(struct ex *x)
{
  gie_buf_free(&x->nodes);
  gie_buf_free(&x->extra);
  gie_buf_free(&x->infos);
  gie_map_free(&x->scalars);
  gie_map_free(&x->domains);
  gie_arena_free(&x->arena);
}

static gie_status attempt(struct ex *x, bool *done)
{
  struct ex_scope s;
  x->top = &s;
  gie_status st = ex_scope_init(x, &s, x->g, NULL, NULL);
  if (st == GIE_OK)
    st = model_domains(x);
  if (st == GIE_OK)
    st = ex_nodes(x, &s, &x->nodes, &x->infos);
  *done = x->need <= x->opset;
  if (st == GIE_OK && *done)
    st = write_model(x, &s, &x->nodes);
  ex_scope_free(&s);
  return st;
}

/* The forms of one operator set may ask for another only once each, so this ends. */
gie_status onnx_export(struct gie_context *ctx, const struct gie_graph *g, const char *path, int fd)
{
  struct ex x = {.ctx = ctx, .g = g, .path = path, .fd = fd};
  gie_status st;
  bool done = false;
  x.need = meta_int(g, "opset", EX_OPSET);
  if (x.need < EX_LEAST_OPSET)
    x.need = EX_LEAST_OPSET;
  do {
    x.opset = x.need;
    begin(&x);
    st = x.opset > ONNX_MAX_OPSET
             ? gie_fail(ctx, GIE_E_UNSUPPORTED, "operator set %lld; up to %d can be written",
                        (long long)x.opset, ONNX_MAX_OPSET)
             : attempt(&x, &done);
    end(&x);
  } while (st == GIE_OK && !done);
  gie_free(ctx, x.domain);
  gie_free(ctx, x.scalar);
  return st;
}
