/* SPDX-License-Identifier: Apache-2.0 */
/* When two sets of attributes say the same. */
#ifndef GIE_PASSES_SAME_H
#define GIE_PASSES_SAME_H

#include "passes/util.h"

static inline bool pass_same_floats(const double *a, const double *b, uint32_t n)
{
  return n == 0 || memcmp(a, b, n * sizeof *a) == 0; /* bits: 0.0 and -0.0 differ, NaN is NaN */
}

static inline bool pass_same_tensor(const struct gie_tensor_attr *a, const struct gie_tensor_attr *b)
{
  return pass_same_type(&a->type, &b->type) && a->data.size == b->data.size &&
         (a->data.size == 0 ||
          memcmp((char *)gie_blob_data(a->data.blob) + a->data.offset,
                 (char *)gie_blob_data(b->data.blob) + b->data.offset, a->data.size) == 0);
}

static inline bool pass_same_attr(const struct gie_attr *a, const struct gie_attr *b)
{
  if (a->kind != b->kind || a->n != b->n)
    return false;
  switch (a->kind) {
  case GIE_ATTR_INT:
  case GIE_ATTR_DTYPE:
    return a->u.i == b->u.i;
  case GIE_ATTR_FLOAT:
    return pass_same_floats(&a->u.f, &b->u.f, 1);
  case GIE_ATTR_STRING:
    return memcmp(a->u.s, b->u.s, a->n) == 0;
  case GIE_ATTR_INTS:
    return a->n == 0 || memcmp(a->u.is, b->u.is, a->n * sizeof *a->u.is) == 0;
  case GIE_ATTR_FLOATS:
    return pass_same_floats(a->u.fs, b->u.fs, a->n);
  case GIE_ATTR_TENSOR:
    return pass_same_tensor(a->u.t, b->u.t);
  default:
    return false; /* lists of strings and bodies are rare */
  }
}

static inline bool pass_same_attrs(const struct gie_attrs *a, const struct gie_attrs *b)
{
  if (a->n != b->n)
    return false;
  for (uint32_t i = 0; i < a->n; i++) {
    const struct gie_attr *other = gie_attrs_find(b, a->v[i].name);
    if (!other || !pass_same_attr(&a->v[i], other))
      return false;
  }
  return true;
}

#endif
