/* SPDX-License-Identifier: Apache-2.0 */
/* Tensor data in files beside the model. Which files may be opened is gie_file_open_beside()'s rule;
 * here are the entries of external_data and a few open files. */
#include "plugins/onnx/onnx.h"
#include <unistd.h>

void onnx_close_files(struct onnx_import *im)
{
  for (unsigned i = 0; i < ONNX_OPEN_FILES; i++)
    if (im->files[i].name)
      close(im->files[i].fd);
  memset(im->files, 0, sizeof im->files);
}

/* Models keep all tensors in one file, or each in its own: the last few stay open. */
static gie_status open_file(struct onnx_import *im, const char *name, struct onnx_file **out)
{
  for (unsigned i = 0; i < ONNX_OPEN_FILES; i++)
    if (im->files[i].name && strcmp(im->files[i].name, name) == 0) {
      *out = &im->files[i];
      return GIE_OK;
    }
  struct onnx_file f = {.name = name};
  GIE_TRY(gie_file_open_beside(im->ctx, im->src->path, name, &f.fd, &f.size));
  struct onnx_file *slot = &im->files[im->next_file++ % ONNX_OPEN_FILES];
  if (slot->name)
    close(slot->fd);
  *slot = f;
  *out = slot;
  return GIE_OK;
}

/* Decimal digits only; the numbers are written by programs. */
static gie_status parse_number(struct onnx_import *im, const char *key, const char *text, uint64_t *out)
{
  uint64_t v = 0;
  const char *p = text;
  for (; *p >= '0' && *p <= '9'; p++)
    if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
      break;
  if (p == text || *p)
    return gie_fail(im->ctx, GIE_E_DATA, "external data: %s \"%.40s\" is no number of bytes", key, text);
  *out = v;
  return GIE_OK;
}

gie_status onnx_external(struct onnx_import *im, const Onnx__Tensor *t, uint64_t bytes, int *fd,
                         const char **path, uint64_t *offset)
{
  const char *location = NULL;
  uint64_t length = bytes, end;
  struct onnx_file *f;
  *offset = 0;
  for (size_t i = 0; i < t->n_external_data; i++) {
    const char *key = onnx_str(t->external_data[i]->key), *value = onnx_str(t->external_data[i]->value);
    if (strcmp(key, "location") == 0)
      location = value;
    else if (strcmp(key, "offset") == 0)
      GIE_TRY(parse_number(im, key, value, offset));
    else if (strcmp(key, "length") == 0)
      GIE_TRY(parse_number(im, key, value, &length));
  }
  if (!location || !*location)
    return gie_fail(im->ctx, GIE_E_DATA, "external data without a location");
  if (length != bytes)
    return gie_fail(im->ctx, GIE_E_DATA, "external data \"%s\": length is %llu, the tensor needs %llu bytes",
                    location, (unsigned long long)length, (unsigned long long)bytes);
  GIE_TRY(open_file(im, location, &f));
  if (__builtin_add_overflow(*offset, length, &end) || end > f->size)
    return gie_fail(im->ctx, GIE_E_DATA,
                    "external data \"%s\": bytes %llu and following %llu lie outside the file of %llu bytes",
                    location, (unsigned long long)*offset, (unsigned long long)length,
                    (unsigned long long)f->size);
  *fd = f->fd;
  *path = f->name;
  return GIE_OK;
}
