/* SPDX-License-Identifier: Apache-2.0 */
/* Layers whose op a module brings. A layer of type T becomes the op "caffe::T", or the op T itself when the type is
 * written with its domain ("mine::Swish"). Its attributes are looked for by name in all messages of parameters,
 * however deep, and its weights become operands behind the bottoms. */
#include "plugins/caffe/caffe.h"

const char *caffe_custom_op(struct caffe_layer *n)
{
  size_t size = strlen(n->type) + 16;
  if (strstr(n->type, "::"))
    return n->type;
  char *op = gie_arena_alloc(&n->im->arena, size, 1);
  if (op)
    snprintf(op, size, "caffe::%s", n->type);
  return op;
}

/* Layers of a module that comes with gie, for the message when it is not loaded. */
const char *caffe_custom_module(const char *type)
{
  static const char *const types[] = {"PriorBox", "DetectionOutput", "Proposal", "ROIPooling",
                                      "PSROIPooling"};
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
    if (strcmp(types[i], type) == 0)
      return "detection";
  return NULL;
}

/* ---- Parameters ------------------------------------------------------------------------------ */

static bool is_param(const struct text_field *f)
{
  size_t n = strlen(f->name);
  return f->kind == TEXT_MESSAGE && n > 6 && strcmp(f->name + n - 6, "_param") == 0 &&
         strcmp(f->name, "transform_param") != 0 && strcmp(f->name, "loss_param") != 0;
}

/* The message that holds a field of that name: this one, or one inside. */
static struct text_field *holder(struct text_field *message, const char *name)
{
  for (struct text_field *f = message->first; f; f = f->next)
    if (strcmp(f->name, name) == 0)
      return message;
  for (struct text_field *f = message->first; f; f = f->next) {
    struct text_field *found = f->kind == TEXT_MESSAGE ? holder(f, name) : NULL;
    if (found)
      return found;
  }
  return NULL;
}

/* Messages are known; their fields become so when they are asked for. */
static void see_messages(struct text_field *message)
{
  for (struct text_field *f = message->first; f; f = f->next)
    if (f->kind == TEXT_MESSAGE) {
      f->seen = true;
      see_messages(f);
    }
}

static struct text_field *find_param(struct caffe_layer *n, const char *name)
{
  for (struct text_field *f = n->f->first; f; f = f->next) {
    struct text_field *found = is_param(f) ? holder(f, name) : NULL;
    if (found)
      return found;
  }
  return NULL;
}

/* ---- Attributes ------------------------------------------------------------------------------ */

static gie_status read_list(struct caffe_layer *n, const struct text_field *m, struct gie_attr *a)
{
  struct gie_arena *mem = &n->im->arena;
  uint32_t count = caffe_count(m, a->name), i = 0;
  int64_t *is = gie_arena_alloc(mem, count + 1, sizeof *is);
  double *fs = gie_arena_alloc(mem, count + 1, sizeof *fs);
  const char **ss = gie_arena_alloc(mem, count + 1, sizeof *ss);
  if (!is || !fs || !ss)
    return GIE_E_MEMORY;
  for (const struct text_field *f = m->first; f; f = f->next) {
    if (strcmp(f->name, a->name) != 0)
      continue;
    if (a->kind == GIE_ATTR_INTS)
      is[i] = caffe_field_int(n->im, f);
    else if (a->kind == GIE_ATTR_FLOATS)
      fs[i] = caffe_field_real(n->im, f);
    else
      ss[i] = f->kind == TEXT_MESSAGE ? "" : f->text;
    i++;
  }
  a->n = count;
  if (a->kind == GIE_ATTR_INTS)
    a->u.is = is;
  else if (a->kind == GIE_ATTR_FLOATS)
    a->u.fs = fs;
  else
    a->u.ss = ss;
  return GIE_OK;
}

/* Whole numbers, and true and false. */
static int64_t read_int(struct caffe_layer *n, const struct text_field *m, const char *name)
{
  const struct text_field *f = caffe_find(m, name);
  return f->kind == TEXT_WORD ? caffe_bool(n->im, m, name, false) : caffe_field_int(n->im, f);
}

/* Strings, names of enums and numbers as they are written. */
static const char *read_string(struct caffe_layer *n, const struct text_field *m, const char *name)
{
  const struct text_field *f = caffe_find(m, name);
  return f->kind == TEXT_NUMBER ? f->text : caffe_text(n->im, m, name, "");
}

static gie_status read_attr(struct caffe_layer *n, const struct text_field *m, struct gie_attr *a)
{
  switch (a->kind) {
  case GIE_ATTR_INT:
    a->u.i = read_int(n, m, a->name);
    return GIE_OK;
  case GIE_ATTR_FLOAT:
    a->u.f = caffe_real(n->im, m, a->name, 0);
    return GIE_OK;
  case GIE_ATTR_STRING:
    a->u.s = read_string(n, m, a->name);
    a->n = (uint32_t)strlen(a->u.s);
    return GIE_OK;
  case GIE_ATTR_INTS:
  case GIE_ATTR_FLOATS:
  case GIE_ATTR_STRINGS:
    return read_list(n, m, a);
  default:
    return gie_fail(n->ctx, GIE_E_UNSUPPORTED,
                    "layer \"%s\": attribute \"%s\" of the op cannot be given in a prototxt", n->name,
                    a->name);
  }
}

static gie_status read_attrs(struct caffe_layer *n, const struct gie_op *op, struct gie_attr **out,
                             uint32_t *count)
{
  uint32_t n_specs = 0;
  while (op->attrs && op->attrs[n_specs].name)
    n_specs++;
  *count = 0;
  if (!(*out = gie_arena_alloc(&n->im->arena, n_specs + 1, sizeof **out)))
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < n_specs; i++) {
    const struct text_field *m = find_param(n, op->attrs[i].name);
    struct gie_attr *a = &(*out)[*count];
    if (!m)
      continue;
    *a = (struct gie_attr){.name = op->attrs[i].name, .kind = op->attrs[i].kind};
    GIE_TRY(read_attr(n, m, a));
    ++*count;
  }
  return GIE_OK;
}

/* ---- Operands -------------------------------------------------------------------------------- */

static gie_status add_weights(struct caffe_layer *n, gie_id *in)
{
  for (uint32_t i = 0; i < n->n_blobs; i++) {
    int64_t dims[GIE_MAX_RANK];
    int rank = caffe_blob_dims(n, i, dims);
    if (rank < 0)
      return gie_fail(n->ctx, GIE_E_LIMIT, "layer \"%s\": blob %u has more than %d dims", n->name,
                      (unsigned)i, GIE_MAX_RANK);
    GIE_TRY(caffe_weight_const(n, i, dims, rank, CAFFE_HE, dims, rank, &in[n->n_in + i]));
  }
  return GIE_OK;
}

gie_status caffe_lower_custom(struct caffe_layer *n, const struct gie_op *op)
{
  struct gie_attr *attrs;
  uint32_t n_attrs, n_blobs = (uint32_t)n->n_blobs;
  if (n->n_blobs > CAFFE_MAX_EDGES)
    return gie_fail(n->ctx, GIE_E_LIMIT, "layer \"%s\" has %zu blobs; at most %u are supported", n->name,
                    n->n_blobs, CAFFE_MAX_EDGES);
  gie_id *in = gie_arena_alloc(&n->im->arena, n->n_in + n_blobs + 1, sizeof *in);
  if (!in)
    return GIE_E_MEMORY;
  if (n->n_in)
    memcpy(in, n->in, n->n_in * sizeof *in);
  for (struct text_field *f = n->f->first; f; f = f->next)
    if (is_param(f)) {
      f->seen = true;
      see_messages(f);
    }
  GIE_TRY(read_attrs(n, op, &attrs, &n_attrs));
  GIE_TRY(caffe_params(n->im));
  GIE_TRY(add_weights(n, in));
  return caffe_result_with(n, op->name, in, n->n_in + n_blobs, attrs, n_attrs);
}
