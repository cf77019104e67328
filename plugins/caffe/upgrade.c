/* SPDX-License-Identifier: Apache-2.0 */
/* Networks of format V0, `layers { layer { name type … } bottom top }`, become V1 before they are imported: parameters move
 * into a message of their own, and a layer that only pads goes into the layers behind it. Fields and rules: Caffe's
 * upgrade_net_proto_text. */
#include "plugins/caffe/caffe.h"

/* ---- What becomes of types and fields */

static const struct type_row {
  const char *v0, *v1, *param; /* param: the message of its parameters; NULL: it has none */
} types[] = {
    {"accuracy", "ACCURACY", NULL},
    {"bnll", "BNLL", NULL},
    {"concat", "CONCAT", "concat_param"},
    {"conv", "CONVOLUTION", "convolution_param"},
    {"data", "DATA", "data_param"},
    {"dropout", "DROPOUT", "dropout_param"},
    {"euclidean_loss", "EUCLIDEAN_LOSS", NULL},
    {"flatten", "FLATTEN", NULL},
    {"hdf5_data", "HDF5_DATA", "hdf5_data_param"},
    {"hdf5_output", "HDF5_OUTPUT", NULL},
    {"im2col", "IM2COL", "convolution_param"},
    {"images", "IMAGE_DATA", "image_data_param"},
    {"infogain_loss", "INFOGAIN_LOSS", "infogain_loss_param"},
    {"innerproduct", "INNER_PRODUCT", "inner_product_param"},
    {"lrn", "LRN", "lrn_param"},
    {"multinomial_logistic_loss", "MULTINOMIAL_LOGISTIC_LOSS", NULL},
    {"pool", "POOLING", "pooling_param"},
    {"relu", "RELU", NULL},
    {"sigmoid", "SIGMOID", NULL},
    {"softmax", "SOFTMAX", NULL},
    {"softmax_loss", "SOFTMAX_LOSS", NULL},
    {"split", "SPLIT", NULL},
    {"tanh", "TANH", NULL},
    {"window_data", "WINDOW_DATA", "window_data_param"},
};

/* Parameters by the name that they get; the others keep theirs. */
static const struct {
  const char *v0, *v1;
} fields[] = {
    {"biasterm", "bias_term"},
    {"kernelsize", "kernel_size"},
};

/* Fields of the layer itself. */
static bool is_own(const char *name)
{
  static const char *const own[] = {"name", "type", "blobs", "blobs_lr", "weight_decay"};
  for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
    if (strcmp(own[i], name) == 0)
      return true;
  return false;
}

static const struct type_row *find_type(const char *name)
{
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
    if (strcmp(types[i].v0, name) == 0)
      return &types[i];
  return NULL;
}

/* ---- Fields */

static struct text_field *field(const struct text_field *message, const char *name)
{
  struct text_field *f = message->first;
  while (f && strcmp(f->name, name) != 0)
    f = f->next;
  return f;
}

static const char *text_of(const struct text_field *message, const char *name)
{
  const struct text_field *f = field(message, name);
  return f && f->kind != TEXT_MESSAGE ? f->text : "";
}

static struct text_field **end_of(struct text_field *message)
{
  struct text_field **end = &message->first;
  while (*end)
    end = &(*end)->next;
  return end;
}

/* Puts a field at *end, which moves behind it. */
static void append(struct text_field ***end, struct text_field *f)
{
  **end = f;
  *end = &f->next;
  f->next = NULL;
}

static struct text_field *new_field(struct caffe_import *im, const struct text_field *like, const char *name,
                                    enum text_kind kind, const char *text)
{
  struct text_field *f = gie_arena_alloc(&im->arena, 1, sizeof *f);
  if (f)
    *f = (struct text_field){.name = name,
                             .kind = kind,
                             .line = like->line,
                             .column = like->column,
                             .text = text,
                             .n = strlen(text)};
  return f;
}

/* ---- A layer */

/* Moves the parameters of `v0` into `param`, and what is the layer's own behind `layer_end`. */
static void move_fields(struct text_field **layer_end, struct text_field *v0, struct text_field *param)
{
  struct text_field **param_end = param ? end_of(param) : NULL, *next;
  for (struct text_field *f = v0->first; f; f = next) {
    next = f->next;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
      if (strcmp(f->name, fields[i].v0) == 0)
        f->name = fields[i].v1;
    if (strcmp(f->name, "type") != 0)
      append(is_own(f->name) || !param ? &layer_end : &param_end, f);
  }
}

static gie_status upgrade_layer(struct caffe_import *im, struct text_field *layer)
{
  struct text_field *v0 = field(layer, "layer"), **link = &layer->first, *type, *param = NULL;
  const char *name = text_of(v0, "type");
  const struct type_row *row = find_type(name);
  if (!row)
    return gie_fail(im->ctx, GIE_E_DATA, "%u:%u: there was no layer of type \"%s\" in format V0", v0->line,
                    v0->column, name);
  while (*link != v0)
    link = &(*link)->next;
  *link = v0->next;
  if (!(type = new_field(im, v0, "type", TEXT_WORD, row->v1)) ||
      (row->param && !(param = new_field(im, v0, row->param, TEXT_MESSAGE, ""))))
    return GIE_E_MEMORY;
  link = end_of(layer);
  append(&link, type);
  if (param)
    append(&link, param);
  move_fields(link, v0, param);
  return GIE_OK;
}

/* ---- Padding */

static bool is_padding(const struct text_field *layer)
{
  const struct text_field *v0 = field(layer, "layer");
  return v0 && v0->kind == TEXT_MESSAGE && strcmp(text_of(v0, "type"), "padding") == 0;
}

/* The bottom `f` of a layer is what a padding layer makes: the layer pads by itself. */
static gie_status take_padding(struct caffe_import *im, struct text_field *layer, struct text_field *f,
                               const struct text_field *padding)
{
  struct text_field *v0 = field(layer, "layer"), *pad;
  const struct text_field *source = field(padding, "bottom"), *amount = field(field(padding, "layer"), "pad");
  const char *type = v0 && v0->kind == TEXT_MESSAGE ? text_of(v0, "type") : "";
  if ((strcmp(type, "conv") != 0 && strcmp(type, "pool") != 0) || !source || source->kind != TEXT_STRING)
    return gie_fail(im->ctx, GIE_E_DATA,
                    "%u:%u: a padding layer of format V0 has to stand before a convolution or pooling",
                    layer->line, layer->column);
  f->text = source->text;
  f->n = source->n;
  if (!amount)
    return GIE_OK;
  if (!(pad = new_field(im, amount, "pad", amount->kind, amount->text)))
    return GIE_E_MEMORY;
  struct text_field **end = end_of(v0);
  append(&end, pad);
  return GIE_OK;
}

/* Bottoms that a padding layer makes are replaced; `makers` says which layer made a blob last. */
static gie_status upgrade_bottoms(struct caffe_import *im, struct text_field *layer,
                                  const struct text_field *const *layers, const struct gie_map *makers)
{
  for (struct text_field *f = layer->first; f; f = f->next) {
    uint32_t by = strcmp(f->name, "bottom") == 0 && f->kind == TEXT_STRING ? gie_map_get(makers, f->text)
                                                                           : UINT32_MAX;
    if (by != UINT32_MAX && is_padding(layers[by]))
      GIE_TRY(take_padding(im, layer, f, layers[by]));
  }
  return GIE_OK;
}

static gie_status note_tops(const struct text_field *layer, uint32_t index, struct gie_map *makers)
{
  for (const struct text_field *f = layer->first; f; f = f->next)
    if (strcmp(f->name, "top") == 0 && f->kind == TEXT_STRING)
      GIE_TRY(gie_map_set(makers, f->text, index));
  return GIE_OK;
}

static gie_status upgrade_padding(struct caffe_import *im)
{
  const struct text_field *layers[CAFFE_MAX_V0];
  struct text_field **link = &im->root->first;
  struct gie_map makers;
  gie_status st = GIE_OK;
  uint32_t n = 0;
  gie_map_init(&makers, im->ctx);
  for (struct text_field *l = im->root->first; l && st == GIE_OK; l = l->next) {
    if (strcmp(l->name, "layers") != 0)
      continue;
    layers[n] = l;
    st = upgrade_bottoms(im, l, layers, &makers);
    if (st == GIE_OK)
      st = note_tops(l, n++, &makers);
  }
  gie_map_free(&makers);
  while (*link)
    if (strcmp((*link)->name, "layers") == 0 && is_padding(*link))
      *link = (*link)->next;
    else
      link = &(*link)->next;
  return st;
}

/* ---- The network */

gie_status caffe_upgrade(struct caffe_import *im)
{
  uint32_t n_old = 0, n_padding = 0, n = 0;
  for (struct text_field *l = im->root->first; l; l = l->next) {
    const struct text_field *v0 = strcmp(l->name, "layers") == 0 ? field(l, "layer") : NULL;
    n += strcmp(l->name, "layers") == 0;
    if (!v0)
      continue;
    if (v0->kind != TEXT_MESSAGE)
      return gie_fail(im->ctx, GIE_E_DATA, "%u:%u: \"layer\" has to be a message", v0->line, v0->column);
    n_old++;
    n_padding += is_padding(l);
  }
  if (n_old == 0)
    return GIE_OK;
  if (n_old != n)
    return gie_fail(im->ctx, GIE_E_DATA, "layers of format V0 and V1 in one file; convert it to V2");
  if (n > CAFFE_MAX_V0)
    return gie_fail(im->ctx, GIE_E_LIMIT, "%u layers of format V0; at most %u are supported", (unsigned)n,
                    CAFFE_MAX_V0);
  if (n_padding)
    GIE_TRY(upgrade_padding(im));
  for (struct text_field *l = im->root->first; l; l = l->next)
    if (strcmp(l->name, "layers") == 0)
      GIE_TRY(upgrade_layer(im, l));
  return GIE_OK;
}
