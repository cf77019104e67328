/* SPDX-License-Identifier: Apache-2.0 */
/* The ONNX format module: recognizes a file, parses it and imports the model. */
#include "plugins/common/unpack.h"
#include "plugins/onnx/export.h"

const char *onnx_str(const char *s) { return s ? s : ""; }

bool onnx_default_domain(const char *domain) { return !*domain || strcmp(domain, "ai.onnx") == 0; }

/* ---- Parsing --------------------------------------------------------------------------------- */

static gie_status parse(struct onnx_import *im)
{
  ProtobufCMessage *model;
  GIE_TRY(unpack_file(im->ctx, &im->arena, im->src, &onnx_schema_model, &onnx__model__descriptor, &im->scan,
                      &model));
  im->model = (Onnx__Model *)model;
  return GIE_OK;
}

/* ---- Model ----------------------------------------------------------------------------------- */

static int64_t find_opset(Onnx__OperatorSet *const *sets, size_t n, const char *domain)
{
  int64_t version = 0;
  for (size_t i = 0; i < n; i++) {
    const char *d = onnx_str(sets[i]->domain);
    bool same = onnx_default_domain(domain) ? onnx_default_domain(d) : strcmp(d, domain) == 0;
    if (same && sets[i]->version > version)
      version = sets[i]->version;
  }
  return version;
}

int64_t onnx_opset(const struct onnx_scope *s, const char *domain)
{
  const Onnx__Model *m = s->im->model;
  int64_t version = find_opset(s->opsets, s->n_opsets, domain);
  if (!version)
    version = find_opset(m->opset_import, m->n_opset_import, domain);
  return version || !onnx_default_domain(domain) || m->ir_version >= 3 ? version : 1;
}

/* Files before IR version 3 list no operator sets: they use version 1. */
static gie_status check_opset(struct onnx_import *im, Onnx__OperatorSet *const *sets, size_t n,
                              const char *where)
{
  for (size_t i = 0; i < n; i++) {
    if (!onnx_default_domain(onnx_str(sets[i]->domain)) || !sets[i]->has_version)
      continue;
    if (sets[i]->version < ONNX_MIN_OPSET)
      return gie_fail(im->ctx, GIE_E_DATA, "%simports operator set %lld, which does not exist", where,
                      (long long)sets[i]->version);
    if (sets[i]->version > ONNX_MAX_OPSET)
      return gie_fail(
          im->ctx, GIE_E_UNSUPPORTED,
          "%simports operator set %lld; up to %d are supported, export the model with one of them", where,
          (long long)sets[i]->version, ONNX_MAX_OPSET);
  }
  return GIE_OK;
}

static gie_status check_model(struct onnx_import *im)
{
  const Onnx__Model *m = im->model;
  if (!m->graph)
    return gie_fail(im->ctx, GIE_E_DATA, "no graph in the file; it is truncated or no ONNX model");
  GIE_TRY(check_opset(im, m->opset_import, m->n_opset_import, "the model "));
  if (m->ir_version >= 3 && !m->n_opset_import)
    return gie_fail(im->ctx, GIE_E_DATA,
                    "the model imports no operator set; the file is truncated or damaged");
  if (m->graph->n_node > GIE_MAX_NODES)
    return gie_fail(im->ctx, GIE_E_LIMIT, "%zu nodes; at most %u are supported", m->graph->n_node,
                    GIE_MAX_NODES);
  if (!m->graph->n_node)
    return gie_fail(im->ctx, GIE_E_GRAPH, "the graph has no nodes");
  if (!m->graph->n_output)
    return gie_fail(im->ctx, GIE_E_GRAPH, "the graph has no outputs");
  for (size_t i = 0; i < m->n_functions; i++)
    GIE_TRY(check_opset(im, m->functions[i]->opset_import, m->functions[i]->n_opset_import, "a function "));
  return GIE_OK;
}

/* ---- Metadata -------------------------------------------------------------------------------- */

static gie_status meta_string(struct gie_graph *g, const char *name, const char *text)
{
  const struct gie_attr a = {.name = name, .kind = GIE_ATTR_STRING, .n = (uint32_t)strlen(text), .u.s = text};
  return *text ? gie_graph_set_meta(g, &a) : GIE_OK;
}

static gie_status meta_int(struct gie_graph *g, const char *name, int64_t v)
{
  const struct gie_attr a = {.name = name, .kind = GIE_ATTR_INT, .u.i = v};
  return gie_graph_set_meta(g, &a);
}

/* "<prefix><name>" in the arena. */
static const char *prefixed(struct onnx_import *im, const char *prefix, const char *name)
{
  size_t size = strlen(prefix) + strlen(name) + 1;
  char *s = gie_arena_alloc(&im->arena, size, 1);
  if (s)
    snprintf(s, size, "%s%s", prefix, name);
  return s;
}

static gie_status set_metadata(struct onnx_import *im, struct gie_graph *g)
{
  const Onnx__Model *m = im->model;
  GIE_TRY(meta_string(g, "format", "onnx"));
  GIE_TRY(meta_int(g, "ir_version", m->ir_version));
  GIE_TRY(meta_int(g, "opset",
                   m->ir_version < 3 && !m->n_opset_import
                       ? 1
                       : find_opset(m->opset_import, m->n_opset_import, "")));
  GIE_TRY(meta_string(g, "producer", onnx_str(m->producer_name)));
  GIE_TRY(meta_string(g, "producer_version", onnx_str(m->producer_version)));
  GIE_TRY(meta_string(g, "domain", onnx_str(m->domain)));
  GIE_TRY(meta_string(g, "doc", onnx_str(m->doc_string)));
  if (m->has_model_version)
    GIE_TRY(meta_int(g, "model_version", m->model_version));
  for (size_t i = 0; i < m->n_opset_import; i++) {
    const char *domain = onnx_str(m->opset_import[i]->domain), *name = prefixed(im, "opset.", domain);
    if (onnx_default_domain(domain))
      continue;
    GIE_TRY(name ? meta_int(g, name, m->opset_import[i]->version) : GIE_E_MEMORY);
  }
  if (m->n_metadata > ONNX_MAX_SETS) {
    gie_log(im->ctx, GIE_LOG_WARN, "onnx", "%s: %zu entries of metadata left out", im->src->path,
            m->n_metadata);
    return GIE_OK;
  }
  for (size_t i = 0; i < m->n_metadata; i++) {
    const char *name = prefixed(im, "meta.", onnx_str(m->metadata[i]->key));
    GIE_TRY(name ? meta_string(g, name, onnx_str(m->metadata[i]->value)) : GIE_E_MEMORY);
  }
  return GIE_OK;
}

/* ---- The format ------------------------------------------------------------------------------ */

static gie_status import_model(struct onnx_import *im, struct gie_graph **out)
{
  struct gie_graph *g;
  GIE_TRY(parse(im));
  GIE_TRY(check_model(im));
  GIE_TRY(onnx_index_functions(im));
  GIE_TRY(onnx_graph(im, im->model->graph, NULL, NULL, 0, &g));
  gie_status st = set_metadata(im, g);
  if (st != GIE_OK) {
    gie_graph_free(g);
    return st;
  }
  *out = g;
  return GIE_OK;
}

static gie_status import(struct gie_context *ctx, const struct gie_source *src, struct gie_graph **out)
{
  struct onnx_import *im = gie_alloc(ctx, 1, sizeof *im);
  if (!im)
    return GIE_E_MEMORY;
  im->ctx = ctx;
  im->src = src;
  im->scan.ctx = ctx;
  gie_arena_init(&im->arena, ctx);
  gie_map_init(&im->functions, ctx);
  gie_status st = import_model(im, out);
  onnx_close_files(im);
  gie_map_free(&im->functions);
  prescan_free(&im->scan);
  gie_arena_free(&im->arena);
  gie_free(ctx, im);
  return st;
}

/* A model starts with its ir_version (08), followed by the producer (12), graph (3a) or an opset (42). */
static int probe(const struct gie_source *src)
{
  size_t n = strlen(src->path);
  bool suffix = n > 5 && strcmp(src->path + n - 5, ".onnx") == 0;
  if (suffix)
    return 90;
  if (src->n_head < 2 || src->head[0] != 0x08 || src->head[1] == 0 || src->head[1] > 0x20)
    return 0;
  return src->n_head > 2 && (src->head[2] == 0x12 || src->head[2] == 0x3a || src->head[2] == 0x42) ? 40 : 0;
}

static const char *const suffixes[] = {".onnx", NULL};

const struct gie_format onnx_format = {
    .struct_size = sizeof(struct gie_format),
    .name = "onnx",
    .suffixes = suffixes,
    .help = "ONNX models, operator sets 7 to 21",
    .probe = probe,
    .import = import,
    .export_ = onnx_export,
};

#ifdef GIE_MODULE_BUILD /* the fuzzer links the importer itself */
static gie_status init(const struct gie_host *host, void **state)
{
  (void)state;
  return host->register_format(host, &onnx_format);
}

GIE_MODULE("onnx", GIE_MODULE_FORMAT, init)
#endif
