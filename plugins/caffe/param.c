/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of the prototxt by name. */
#include "plugins/caffe/caffe.h"

/* ---- Finding --------------------------------------------------------------------------------- */

/* The last one counts, as in protobuf; all of that name are known now. */
struct text_field *caffe_find(const struct text_field *message, const char *name)
{
  struct text_field *last = NULL;
  for (struct text_field *f = message ? message->first : NULL; f; f = f->next)
    if (strcmp(f->name, name) == 0) {
      f->seen = true;
      last = f;
    }
  return last;
}

static struct text_field *first(const struct text_field *message, const char *name)
{
  caffe_find(message, name);
  struct text_field *f = message ? message->first : NULL;
  while (f && strcmp(f->name, name) != 0)
    f = f->next;
  return f;
}

struct text_field *caffe_next(const struct text_field *field)
{
  struct text_field *f = field->next;
  while (f && strcmp(f->name, field->name) != 0)
    f = f->next;
  return f;
}

uint32_t caffe_count(const struct text_field *message, const char *name)
{
  uint32_t n = 0;
  for (const struct text_field *f = first(message, name); f; f = caffe_next(f))
    n++;
  return n;
}

static void bad(struct caffe_import *im, const struct text_field *f, const char *wanted)
{
  if (!*im->bad_param)
    snprintf(im->bad_param, sizeof im->bad_param, "%u:%u: \"%.100s\" has to be %s", f->line, f->column,
             f->name, wanted);
}

gie_status caffe_params(struct caffe_import *im)
{
  return *im->bad_param ? gie_fail(im->ctx, GIE_E_DATA, "%s", im->bad_param) : GIE_OK;
}

struct text_field *caffe_message(struct caffe_layer *n, const char *name)
{
  struct text_field *f = caffe_find(n->f, name);
  if (f && f->kind != TEXT_MESSAGE) {
    bad(n->im, f, "a message");
    return NULL;
  }
  return f;
}

/* ---- Values ---------------------------------------------------------------------------------- */

int64_t caffe_field_int(struct caffe_import *im, const struct text_field *f)
{
  int64_t v = 0;
  const char *next;
  if (f->kind != TEXT_NUMBER || !gie_parse_int(f->text, f->text + f->n, &v, &next) || next != f->text + f->n)
    bad(im, f, "a whole number");
  return v;
}

double caffe_field_real(struct caffe_import *im, const struct text_field *f)
{
  double v = 0;
  const char *next, *end;
  if (f->kind != TEXT_NUMBER && f->kind != TEXT_WORD) { /* a message has no text */
    bad(im, f, "a number");
    return v;
  }
  end = f->text + f->n;
  bool ok = gie_parse_double(f->text, end, &v, &next);
  if (ok && next + 1 == end && (*next == 'f' || *next == 'F')) /* 1.5f */
    next++;
  if (!ok || next != end)
    bad(im, f, "a number");
  return v;
}

int64_t caffe_int(struct caffe_import *im, const struct text_field *m, const char *name, int64_t def)
{
  const struct text_field *f = caffe_find(m, name);
  return f ? caffe_field_int(im, f) : def;
}

double caffe_real(struct caffe_import *im, const struct text_field *m, const char *name, double def)
{
  const struct text_field *f = caffe_find(m, name);
  return f ? caffe_field_real(im, f) : def;
}

bool caffe_bool(struct caffe_import *im, const struct text_field *m, const char *name, bool def)
{
  static const char *const yes[] = {"true", "True", "t", "1"}, *const no[] = {"false", "False", "f", "0"};
  const struct text_field *f = caffe_find(m, name);
  if (!f)
    return def;
  for (int i = 0; i < 4 && (f->kind == TEXT_WORD || f->kind == TEXT_NUMBER); i++) {
    if (strcmp(f->text, yes[i]) == 0)
      return true;
    if (strcmp(f->text, no[i]) == 0)
      return false;
  }
  bad(im, f, "true or false");
  return def;
}

const char *caffe_text(struct caffe_import *im, const struct text_field *m, const char *name, const char *def)
{
  const struct text_field *f = caffe_find(m, name);
  if (!f)
    return def;
  if (f->kind == TEXT_WORD || f->kind == TEXT_STRING)
    return f->text;
  bad(im, f, "a name");
  return def;
}

uint32_t caffe_ints(struct caffe_import *im, const struct text_field *m, const char *name, int64_t *out,
                    uint32_t max)
{
  uint32_t n = 0;
  for (const struct text_field *f = first(m, name); f; f = caffe_next(f)) {
    if (n == max) {
      bad(im, f, "given less often");
      return n;
    }
    out[n++] = caffe_field_int(im, f);
  }
  return n;
}

/* ---- Unknown fields -------------------------------------------------------------------------- */

/* Of training, or without meaning for the result. */
static bool harmless(const char *name)
{
  static const char *const names[] = {"param",      "weight_filler",   "bias_filler",
                                      "filler",     "engine",          "loss_weight",
                                      "blobs_lr",   "weight_decay",    "phase",
                                      "loss_param", "dropout_param",   "propagate_down",
                                      "debug_info", "transform_param", "force_backward",
                                      "state",      "force_nd_im2col", "moving_average_fraction"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcmp(names[i], name) == 0)
      return true;
  return false;
}

gie_status caffe_warn_unknown(struct caffe_import *im, const struct text_field *message)
{
  for (const struct text_field *f = message->first; f; f = f->next) {
    if (harmless(f->name))
      continue;
    if (f->seen && f->kind == TEXT_MESSAGE)
      GIE_TRY(caffe_warn_unknown(im, f));
    if (f->seen || gie_map_get(&im->warned, f->name) != UINT32_MAX)
      continue;
    GIE_TRY(gie_map_set(&im->warned, f->name, 0));
    gie_log(im->ctx, GIE_LOG_WARN, "caffe", "%s:%u:%u: field \"%s\" is not known here and has no effect",
            im->src->path, f->line, f->column, f->name);
  }
  return GIE_OK;
}
