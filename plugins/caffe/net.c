/* SPDX-License-Identifier: Apache-2.0 */
/* The network as a whole: inputs, the layers of the test phase in order, outputs. */
#include "plugins/caffe/caffe.h"

static gie_status fail_layer(struct caffe_layer *n, gie_status st, const char *text, const char *blob)
{
  return gie_fail(n->ctx, st, "%u:%u: layer \"%s\" %s \"%s\"", n->f->line, n->f->column, n->name, text, blob);
}

/* ---- Blobs ----------------------------------------------------------------------------------- */

struct caffe_blob *caffe_blob(struct caffe_import *im, const char *name)
{
  uint32_t i = gie_map_get(&im->blob_map, name);
  if (i != UINT32_MAX)
    return &im->blobs[i];
  if (im->n_blobs == im->cap_blobs) {
    size_t cap = im->cap_blobs ? 2 * im->cap_blobs : 64;
    struct caffe_blob *v = gie_arena_alloc(&im->arena, cap, sizeof *v);
    if (!v)
      return NULL;
    if (im->n_blobs)
      memcpy(v, im->blobs, im->n_blobs * sizeof *v);
    im->blobs = v;
    im->cap_blobs = cap;
  }
  if (gie_map_set(&im->blob_map, name, (uint32_t)im->n_blobs) != GIE_OK)
    return NULL;
  im->blobs[im->n_blobs] = (struct caffe_blob){.name = name, .value = GIE_NONE};
  return &im->blobs[im->n_blobs++];
}

gie_status caffe_bind(struct caffe_layer *n, uint32_t top, gie_id value)
{
  struct caffe_blob *b = caffe_blob(n->im, n->tops[top]);
  if (!b)
    return GIE_E_MEMORY;
  b->value = value;
  b->used = false;
  return GIE_OK;
}

/* ---- Inputs ---------------------------------------------------------------------------------- */

static gie_status add_input(struct caffe_import *im, const struct text_field *at, const char *name,
                            const int64_t *dims, uint32_t n)
{
  struct gie_type type = {GIE_F32, {(int32_t)n, {{0}}}};
  struct caffe_blob *b = caffe_blob(im, name);
  if (!b)
    return GIE_E_MEMORY;
  if (b->value != GIE_NONE)
    return gie_fail(im->ctx, GIE_E_GRAPH, "%u:%u: a second input \"%s\"", at->line, at->column, name);
  for (uint32_t i = 0; i < n; i++) {
    if (dims[i] < 1)
      return gie_fail(im->ctx, GIE_E_SHAPE, "%u:%u: dim %lld of input \"%s\"; dims are at least 1", at->line,
                      at->column, (long long)dims[i], name);
    type.shape.dim[i] = gie_dim_num(dims[i]);
  }
  if (im->open_batch && n > 0) {
    type.shape.dim[0] = (struct gie_dim){.a = 1};
    GIE_TRY(gie_graph_symbol(im->g, "n", &type.shape.dim[0].sym));
  }
  gie_status st = gie_graph_add_input(im->g, name, &type, &b->value);
  b->used = true; /* an input that nobody reads is no output */
  return st;
}

static uint32_t shape_dims(struct caffe_import *im, const struct text_field *shape, int64_t *dims)
{
  return caffe_ints(im, shape, "dim", dims, GIE_MAX_RANK);
}

/* input: "x" with input_dim (four for each) or input_shape. */
static gie_status legacy_inputs(struct caffe_import *im)
{
  int64_t dims[GIE_MAX_RANK];
  struct text_field *root = im->root;
  uint32_t n = caffe_count(root, "input"), n_shapes = caffe_count(root, "input_shape"),
           n_dims = caffe_count(root, "input_dim");
  struct text_field *shape = root->first, *dim = root->first;
  while (shape && strcmp(shape->name, "input_shape") != 0)
    shape = shape->next;
  while (dim && strcmp(dim->name, "input_dim") != 0)
    dim = dim->next;
  if (n_shapes ? n_shapes != n : n_dims != 4 * n)
    return gie_fail(im->ctx, GIE_E_DATA,
                    "%u inputs with %u input_shape and %u input_dim; each input has one shape or"
                    " four dims",
                    (unsigned)n, (unsigned)n_shapes, (unsigned)n_dims);
  for (struct text_field *f = root->first; f; f = f->next) {
    uint32_t k = 0;
    if (strcmp(f->name, "input") != 0)
      continue;
    if (f->kind != TEXT_STRING)
      return gie_fail(im->ctx, GIE_E_DATA, "%u:%u: \"input\" has to be a name in quotes", f->line, f->column);
    if (n_shapes) {
      k = shape_dims(im, shape, dims);
      shape = caffe_next(shape);
    } else {
      for (; k < 4; k++, dim = caffe_next(dim))
        dims[k] = caffe_field_int(im, dim);
    }
    GIE_TRY(caffe_params(im));
    GIE_TRY(add_input(im, f, f->text, dims, k));
  }
  return GIE_OK;
}

gie_status caffe_lower_input(struct caffe_layer *n)
{
  struct caffe_import *im = n->im;
  int64_t dims[GIE_MAX_RANK];
  const struct text_field *p = caffe_message(n, "input_param"), *shape = p ? p->first : NULL;
  uint32_t count = caffe_count(p, "shape");
  if (count != 1 && count != n->n_top)
    return gie_fail(n->ctx, GIE_E_DATA, "%u:%u: layer \"%s\" has %u shapes for %u tops", n->f->line,
                    n->f->column, n->name, (unsigned)count, (unsigned)n->n_top);
  while (shape && strcmp(shape->name, "shape") != 0)
    shape = shape->next;
  for (uint32_t i = 0; shape && i < n->n_top; i++) {
    uint32_t k = shape_dims(im, shape, dims);
    GIE_TRY(caffe_params(im));
    GIE_TRY(add_input(im, n->f, n->tops[i], dims, k));
    if (count > 1)
      shape = caffe_next(shape);
  }
  return GIE_OK;
}

/* ---- Phase ----------------------------------------------------------------------------------- */

/* Whether a rule fits the state in which networks are imported: phase TEST, level 0, no stages. */
static bool rule_met(struct caffe_import *im, const struct text_field *rule)
{
  const char *phase = caffe_text(im, rule, "phase", "TEST");
  caffe_find(rule, "not_stage"); /* there are none */
  return strcmp(phase, "TRAIN") != 0 && strcmp(phase, "0") != 0 && caffe_int(im, rule, "min_level", 0) <= 0 &&
         caffe_int(im, rule, "max_level", 0) >= 0 && !caffe_find(rule, "stage");
}

static bool is_wanted(struct caffe_import *im, struct text_field *layer)
{
  bool included = false;
  uint32_t n_include = caffe_count(layer, "include");
  caffe_find(layer, "exclude");
  for (const struct text_field *f = layer->first; f; f = f->next) {
    if (strcmp(f->name, "include") == 0)
      included = included || rule_met(im, f);
    else if (strcmp(f->name, "exclude") == 0 && rule_met(im, f))
      return false;
  }
  return !n_include || included;
}

/* ---- One layer ------------------------------------------------------------------------------- */

static gie_status names_of(struct caffe_layer *n, const char *field, const char ***out, uint32_t *count)
{
  uint32_t k = 0;
  *count = caffe_count(n->f, field);
  if (*count > CAFFE_MAX_EDGES)
    return gie_fail(n->ctx, GIE_E_LIMIT, "%u:%u: layer \"%s\" has %u of \"%s\"; at most %u are supported",
                    n->f->line, n->f->column, n->name, (unsigned)*count, field, CAFFE_MAX_EDGES);
  if (!(*out = gie_arena_alloc(&n->im->arena, *count + 1, sizeof **out)))
    return GIE_E_MEMORY;
  for (const struct text_field *f = n->f->first; f; f = f->next) {
    if (strcmp(f->name, field) != 0)
      continue;
    if (f->kind != TEXT_STRING || !f->n)
      return gie_fail(n->ctx, GIE_E_DATA, "%u:%u: \"%s\" has to be a name in quotes", f->line, f->column,
                      field);
    (*out)[k++] = f->text;
  }
  return GIE_OK;
}

/* Name, type, tops; marks the blobs that it makes. */
static gie_status read_layer(struct caffe_import *im, struct text_field *f, uint32_t index,
                             struct caffe_layer *n)
{
  *n = (struct caffe_layer){.im = im, .ctx = im->ctx, .g = im->g, .f = f, .index = index};
  n->name = caffe_text(im, f, "name", "");
  n->type = caffe_v1_type(caffe_text(im, f, "type", ""));
  GIE_TRY(caffe_params(im));
  if (!*n->type)
    return gie_fail(im->ctx, GIE_E_DATA, "%u:%u: layer \"%s\" has no type", f->line, f->column, n->name);
  GIE_TRY(names_of(n, "top", &n->tops, &n->n_top));
  for (uint32_t i = 0; i < n->n_top; i++) {
    struct caffe_blob *b = caffe_blob(im, n->tops[i]);
    if (!b)
      return GIE_E_MEMORY;
    b->last = index;
  }
  return GIE_OK;
}

static gie_status read_bottoms(struct caffe_layer *n, const char ***out)
{
  const char **names;
  GIE_TRY(names_of(n, "bottom", &names, &n->n_in));
  if (!(n->in = gie_arena_alloc(&n->im->arena, n->n_in + 1, sizeof *n->in)))
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < n->n_in; i++) {
    uint32_t b = gie_map_get(&n->im->blob_map, names[i]);
    if (b == UINT32_MAX || n->im->blobs[b].value == GIE_NONE)
      return fail_layer(n, GIE_E_GRAPH,
                        b == UINT32_MAX ? "reads a blob that no layer makes:"
                                        : "reads a blob that only later layers make:",
                        names[i]);
    n->in[i] = n->im->blobs[b].value;
    n->im->blobs[b].used = true;
  }
  *out = names;
  return GIE_OK;
}

/* A blob is made anew only in place: as top i and bottom i of a layer. */
static gie_status check_tops(struct caffe_layer *n, const char **bottoms)
{
  for (uint32_t i = 0; i < n->n_top; i++) {
    const struct caffe_blob *b = caffe_blob(n->im, n->tops[i]);
    bool in_place = i < n->n_in && strcmp(bottoms[i], n->tops[i]) == 0;
    for (uint32_t k = 0; k < i; k++)
      if (strcmp(n->tops[k], n->tops[i]) == 0)
        return fail_layer(n, GIE_E_GRAPH, "makes a blob twice:", n->tops[i]);
    if (b && b->value != GIE_NONE && !in_place)
      return fail_layer(n, GIE_E_GRAPH, "makes a blob that is there already:", n->tops[i]);
  }
  return GIE_OK;
}

/* A type that is not in the table: an op of a module, or nothing. */
static gie_status lower_other(struct caffe_layer *n)
{
  const char *name = caffe_custom_op(n), *module = caffe_custom_module(n->type);
  const struct gie_op *op = name ? gie_op_find(n->ctx, name) : NULL;
  if (!name)
    return GIE_E_MEMORY;
  if (op)
    return caffe_lower_custom(n, op);
  if (module)
    return caffe_refuse(n, "it needs the module \"%s\", which is not loaded", module);
  return caffe_refuse(n, "no layer of this type is known; a module with the op \"%s\" would provide it",
                      name);
}

static gie_status lower(struct caffe_layer *n)
{
  const struct caffe_kind *k = caffe_find_kind(n->type);
  if (!k)
    return lower_other(n);
  if (n->n_in < k->min_in || n->n_in > k->max_in || n->n_top < k->min_top || n->n_top > k->max_top)
    return gie_fail(n->ctx, GIE_E_DATA, "%u:%u: layer \"%s\" of type %s has %u bottoms and %u tops",
                    n->f->line, n->f->column, n->name, n->type, (unsigned)n->n_in, (unsigned)n->n_top);
  GIE_TRY(k->lower(n));
  const char *name = n->reason ? caffe_custom_op(n) : "";
  const struct gie_op *op = name ? gie_op_find(n->ctx, name) : NULL;
  if (!name)
    return GIE_E_MEMORY;
  if (!op)
    return GIE_OK;
  n->reason = NULL; /* a module has what cannot be expressed here */
  return caffe_lower_custom(n, op);
}

static gie_status import_layer(struct caffe_layer *n)
{
  const char **bottoms = NULL;
  GIE_TRY(read_bottoms(n, &bottoms));
  GIE_TRY(check_tops(n, bottoms));
  GIE_TRY(caffe_find_weights(n));
  gie_status st = lower(n);
  GIE_TRY(caffe_params(n->im)); /* rather than what came of it */
  GIE_TRY(st);
  if (n->reason)
    GIE_TRY(caffe_opaque(n));
  return caffe_warn_unknown(n->im, n->f);
}

/* ---- The network ----------------------------------------------------------------------------- */

static gie_status pick_layers(struct caffe_import *im, struct caffe_layer **out, uint32_t *count)
{
  uint32_t n = 0, n_v1 = caffe_count(im->root, "layers"), n_v2 = caffe_count(im->root, "layer");
  if (n_v1 && n_v2)
    return gie_fail(im->ctx, GIE_E_DATA,
                    "layers of format V1 (\"layers\") and V2 (\"layer\") in one file; convert it to V2");
  if (n_v1 + n_v2 == 0)
    return gie_fail(im->ctx, GIE_E_DATA, "no layers in the file; it is no network for Caffe");
  if (n_v1 + n_v2 > GIE_MAX_NODES)
    return gie_fail(im->ctx, GIE_E_LIMIT, "%u layers; at most %u are supported", (unsigned)(n_v1 + n_v2),
                    GIE_MAX_NODES);
  struct caffe_layer *v = gie_arena_alloc(&im->arena, n_v1 + n_v2, sizeof *v);
  if (!v)
    return GIE_E_MEMORY;
  for (struct text_field *f = im->root->first; f; f = f->next) {
    if (strcmp(f->name, n_v1 ? "layers" : "layer") != 0)
      continue;
    if (f->kind != TEXT_MESSAGE)
      return gie_fail(im->ctx, GIE_E_DATA, "%u:%u: a layer has to be a message", f->line, f->column);
    if (is_wanted(im, f)) {
      GIE_TRY(read_layer(im, f, n + 1, &v[n]));
      n++;
    }
    GIE_TRY(caffe_params(im));
  }
  *out = v;
  *count = n;
  return GIE_OK;
}

/* The blobs that the caller named. */
static gie_status add_named_outputs(struct caffe_import *im)
{
  for (const char *s = im->outputs; *s;) {
    size_t n = strcspn(s, ",");
    char *name = gie_arena_alloc(&im->arena, n + 1, 1);
    if (!name)
      return GIE_E_MEMORY;
    memcpy(name, s, n);
    name[n] = 0;
    uint32_t b = gie_map_get(&im->blob_map, name);
    if (b == UINT32_MAX || im->blobs[b].value == GIE_NONE)
      return gie_fail(im->ctx, GIE_E_USAGE, "there is no blob \"%s\" that could be an output", name);
    GIE_TRY(gie_graph_add_output(im->g, im->blobs[b].value));
    s += n + (s[n] == ',');
  }
  return GIE_OK;
}

static gie_status add_outputs(struct caffe_import *im)
{
  if (im->outputs)
    return add_named_outputs(im);
  for (size_t i = 0; i < im->n_blobs; i++)
    if (im->blobs[i].value != GIE_NONE && !im->blobs[i].used)
      GIE_TRY(gie_graph_add_output(im->g, im->blobs[i].value));
  if (gie_graph_n_outputs(im->g))
    return GIE_OK;
  return gie_fail(im->ctx, GIE_E_GRAPH, "no layer is left in the test phase; the network has no output");
}

gie_status caffe_net(struct caffe_import *im)
{
  struct caffe_layer *layers = NULL;
  uint32_t n = 0;
  const struct gie_attr format = {.name = "format", .kind = GIE_ATTR_STRING, .n = 5, .u.s = "caffe"};
  const char *name = caffe_text(im, im->root, "name", NULL);
  GIE_TRY(gie_graph_new(im->ctx, name, &im->g));
  GIE_TRY(gie_graph_set_meta(im->g, &format));
  GIE_TRY(legacy_inputs(im));
  GIE_TRY(caffe_upgrade(im));
  GIE_TRY(pick_layers(im, &layers, &n));
  for (uint32_t i = 0; i < n; i++)
    GIE_TRY(import_layer(&layers[i]));
  return add_outputs(im);
}
