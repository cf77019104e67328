/* SPDX-License-Identifier: Apache-2.0 */
/* The Caffe format module: recognizes a prototxt, reads it and imports the network. */
#include "plugins/caffe/caffe.h"

/* ---- Options --------------------------------------------------------------------------------- */

static const char *option(const struct gie_source *src, const char *key)
{
  size_t n = strlen(key);
  for (const char *const *o = src->options; o && *o; o++)
    if (strncmp(*o, key, n) == 0 && (*o)[n] == '=')
      return *o + n + 1;
  return NULL;
}

static gie_status read_options(struct caffe_import *im)
{
  const char *weights = option(im->src, "weights"), *seed = option(im->src, "random_weights"), *next;
  int64_t v = 0;
  const char *batch = option(im->src, "batch");
  if (batch && strcmp(batch, "open") != 0)
    return gie_fail(im->ctx, GIE_E_USAGE, "batch \"%s\"; it is what the file says, or open", batch);
  im->open_batch = batch != NULL;
  im->outputs = option(im->src, "output");
  if (im->outputs && !*im->outputs)
    return gie_fail(im->ctx, GIE_E_USAGE, "an output without a name");
  if (weights && seed)
    return gie_fail(im->ctx, GIE_E_USAGE, "weights from a file and random ones; give one of the two");
  if (seed) {
    const char *end = seed + strlen(seed);
    if (*seed && (!gie_parse_int(seed, end, &v, &next) || next != end))
      return gie_fail(im->ctx, GIE_E_USAGE, "random weights with seed \"%s\"; give a whole number", seed);
    im->random = true;
    im->seed = (uint64_t)v;
  }
  return weights ? caffe_open_model(im, weights) : GIE_OK;
}

/* ---- The file -------------------------------------------------------------------------------- */

static gie_status read_text(struct caffe_import *im)
{
  const struct gie_source *src = im->src;
  if (src->size > TEXT_MAX_SIZE)
    return gie_fail(im->ctx, GIE_E_LIMIT, "%llu bytes of text; at most %u are read",
                    (unsigned long long)src->size, TEXT_MAX_SIZE);
  char *text = gie_alloc_raw(im->ctx, (size_t)src->size + 1, 1);
  if (!text)
    return GIE_E_MEMORY;
  gie_status st = gie_file_pread(im->ctx, src->fd, src->path, text, (size_t)src->size, 0);
  if (st == GIE_OK)
    st = text_parse(im->ctx, &im->arena, text, (size_t)src->size, &im->root);
  gie_free(im->ctx, text);
  return st;
}

static bool has_suffix(const struct gie_source *src, const char *suffix)
{
  size_t n = strlen(src->path), k = strlen(suffix);
  return n > k && strcmp(src->path + n - k, suffix) == 0;
}

static gie_status import_net(struct caffe_import *im)
{
  if (has_suffix(im->src, ".caffemodel"))
    return gie_fail(im->ctx, GIE_E_USAGE,
                    "these are the weights of a network for Caffe; give its deploy.prototxt,"
                    " and this file with --weights");
  GIE_TRY(read_text(im));
  GIE_TRY(read_options(im));
  return caffe_net(im);
}

static gie_status import(struct gie_context *ctx, const struct gie_source *src, struct gie_graph **out)
{
  struct caffe_import *im = gie_alloc(ctx, 1, sizeof *im);
  if (!im)
    return GIE_E_MEMORY;
  im->ctx = ctx;
  im->src = src;
  gie_arena_init(&im->arena, ctx);
  gie_map_init(&im->model.layers, ctx);
  gie_map_init(&im->blob_map, ctx);
  gie_map_init(&im->warned, ctx);
  gie_status st = import_net(im);
  if (st == GIE_OK)
    *out = im->g;
  else
    gie_graph_free(im->g);
  caffe_close_model(im);
  gie_map_free(&im->warned);
  gie_map_free(&im->blob_map);
  gie_map_free(&im->model.layers);
  gie_arena_free(&im->arena);
  gie_free(ctx, im);
  return st;
}

static int probe(const struct gie_source *src)
{
  return has_suffix(src, ".prototxt") || has_suffix(src, ".caffemodel") ? 90 : 0;
}

static const char *const suffixes[] = {".prototxt", ".caffemodel", NULL};

const struct gie_format caffe_format = {
    .struct_size = sizeof(struct gie_format),
    .name = "caffe",
    .suffixes = suffixes,
    .help = "Caffe networks: deploy.prototxt with the weights of a .caffemodel",
    .probe = probe,
    .import = import,
};

#ifdef GIE_MODULE_BUILD /* the fuzzer links the importer itself */
static gie_status init(const struct gie_host *host, void **state)
{
  (void)state;
  return host->register_format(host, &caffe_format);
}

GIE_MODULE("caffe", GIE_MODULE_FORMAT, init)
#endif
