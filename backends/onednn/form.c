/* SPDX-License-Identifier: Apache-2.0 */
/* Layouts that gie and oneDNN both have words for. */
#include "backends/onednn/onednn.h"

const char *od_code_name(enum od_code code)
{
  static const char *const names[OD_CODES] = {"plain", "last", "C16c", "C8c", "C4c"};
  return names[code];
}

/* A block is worth asking for when at least half of it is used. */
bool od_layout(enum od_code code, const struct gie_desc *d, struct gie_layout *out)
{
  static const uint16_t blocks[OD_CODES] = {0, 0, 16, 8, 4};
  struct gie_layout l = {0};
  *out = l;
  if (code == OD_PLAIN)
    return true;
  if (d->rank < 3 || d->rank > 5 || (blocks[code] && 2 * d->dim[1] < blocks[code]))
    return false;
  l.rank = (uint8_t)d->rank;
  for (int i = 0; i < d->rank; i++)
    l.perm[i] = (uint8_t)(code == OD_LAST && i > 0 ? i == d->rank - 1 ? 1 : i + 1 : i);
  l.block = blocks[code];
  l.block_axis = blocks[code] ? 1 : 0;
  *out = l;
  return true;
}

static int axis_at(const struct gie_desc *d, int i) { return d->layout.rank ? d->layout.perm[i] : i; }

static int64_t extent_of(const struct gie_desc *d, int axis)
{
  if (d->layout.block > 1 && d->layout.block_axis == axis)
    return (d->dim[axis] + d->layout.block - 1) / d->layout.block;
  return d->dim[axis];
}

/* Sizes were checked when the problem's descriptors were made; a block at most multiplies by 16. */
void od_dense(struct gie_desc *d, const struct gie_layout *layout)
{
  d->layout = *layout;
  d->pitched = false;
  int64_t stride = layout->block > 1 ? layout->block : 1;
  for (int i = d->rank - 1; i >= 0; i--) {
    int axis = axis_at(d, i);
    d->stride[axis] = stride;
    if (__builtin_mul_overflow(stride, extent_of(d, axis), &stride))
      stride = 1; /* no memory holds it: oneDNN refuses the descriptor or the engine the buffer */
  }
}

bool od_pitched(struct gie_desc *d)
{
  if (d->rank < 2 || d->layout.any)
    return false;
  int at = 0;
  while (axis_at(d, at) != 1)
    at++;
  int64_t span = d->stride[1] * (2 * extent_of(d, 1));
  for (int i = at - 1; i >= 0; i--) {
    d->stride[axis_at(d, i)] = span;
    if (__builtin_mul_overflow(span, extent_of(d, axis_at(d, i)), &span))
      return false;
  }
  d->pitched = true;
  return true;
}

bool od_code_of(od_mdp m, const struct gie_desc *d, enum od_code *out)
{
  for (int code = 0; code < OD_CODES; code++) {
    struct gie_desc dense = *d;
    struct gie_layout layout;
    struct od_md mine;
    bool fits = od_layout((enum od_code)code, d, &layout);
    /* oneDNN may choose a block of which it uses less than half */
    if (!fits && d->rank >= 3 && d->rank <= 5) {
      dense.dim[1] = 16;
      fits = od_layout((enum od_code)code, &dense, &layout);
      dense.dim[1] = d->dim[1];
    }
    if (!fits)
      continue;
    od_dense(&dense, &layout);
    if (od_md_make(&dense, &mine) != dnnl_success)
      continue;
    bool equal = dnnl_memory_desc_equal(m, od_md_ref(&mine)) != 0;
    od_md_free(&mine);
    if (equal)
      return *out = (enum od_code)code, true;
  }
  return false;
}

bool od_same_dims(const struct gie_desc *a, const struct gie_desc *b)
{
  return a->rank == b->rank && memcmp(a->dim, b->dim, (size_t)a->rank * sizeof a->dim[0]) == 0;
}

bool od_is_empty(const struct gie_desc *d)
{
  for (int i = 0; i < d->rank; i++)
    if (d->dim[i] == 0)
      return true;
  return false;
}

bool od_is_large(int n, const int64_t *extent)
{
  for (int i = 0; i < n; i++)
    if (extent[i] > OD_MAX_EXTENT)
      return true;
  return false;
}

bool od_has_gaps(const struct gie_desc *d)
{
  struct gie_desc dense = *d;
  od_dense(&dense, &d->layout);
  for (int i = 0; i < d->rank; i++)
    if (extent_of(d, i) > 1 && d->stride[i] != dense.stride[i])
      return true;
  return false;
}
