/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors in host memory: sizes, comparison of descriptors, the generic reorder. */
#include "core/run/run.h"

bool run_desc_is_plain(const struct gie_desc *d)
{
  int64_t stride = 1;
  if (d->layout.block > 1)
    return false;
  for (int i = d->rank - 1; i >= 0; i--) {
    if (d->dim[i] != 1 && d->stride[i] != stride)
      return gie_desc_count(d) == 0;
    stride *= d->dim[i];
  }
  return true;
}

bool run_desc_equal(const struct gie_desc *a, const struct gie_desc *b)
{
  bool blocked = a->layout.block > 1;
  if (a->dtype != b->dtype || a->rank != b->rank || blocked != (b->layout.block > 1))
    return false;
  if (blocked && (a->layout.block != b->layout.block || a->layout.block_axis != b->layout.block_axis))
    return false;
  for (int i = 0; i < a->rank; i++)
    if (a->dim[i] != b->dim[i] || (a->dim[i] > 1 && a->stride[i] != b->stride[i]))
      return false;
  return true;
}

static bool next_index(const struct gie_desc *d, int64_t *idx)
{
  for (int i = d->rank - 1; i >= 0; i--) {
    if (++idx[i] < d->dim[i])
      return true;
    idx[i] = 0;
  }
  return false;
}

void run_reorder(const struct gie_desc *from, const void *src, const struct gie_desc *to, void *dst)
{
  size_t size = gie_dtype_size(from->dtype);
  int64_t idx[GIE_MAX_RANK] = {0};
  if (gie_desc_count(from) == 0)
    return;
  if (run_desc_is_plain(from) && run_desc_is_plain(to)) {
    memcpy(dst, src, (size_t)gie_desc_count(from) * size);
    return;
  }
  struct gie_desc pad = *to;
  if (to->layout.block > 1) {
    int a = to->layout.block_axis;
    pad.dim[a] = (to->dim[a] + to->layout.block - 1) / to->layout.block * to->layout.block;
  }
  do {
    char *p = (char *)dst + (size_t)gie_desc_offset(to, idx) * size;
    bool inside = to->layout.block <= 1 || idx[to->layout.block_axis] < to->dim[to->layout.block_axis];
    if (inside)
      memcpy(p, (const char *)src + (size_t)gie_desc_offset(from, idx) * size, size);
    else
      memset(p, 0, size);
  } while (next_index(&pad, idx));
}

gie_status run_tensor_bytes(struct gie_context *ctx, const struct gie_tensor *t, size_t *bytes)
{
  size_t n = gie_dtype_size(t->dtype);
  if (n == 0)
    return gie_fail(ctx, GIE_E_TYPE, "the tensor has no valid element type (%d)", (int)t->dtype);
  if (t->rank < 0 || t->rank > GIE_MAX_RANK)
    return gie_fail(ctx, GIE_E_SHAPE, "the tensor has rank %d; 0 to %d are possible", (int)t->rank,
                    GIE_MAX_RANK);
  bool empty = false;
  for (int i = 0; i < t->rank; i++) {
    if (t->dim[i] < 0)
      return gie_fail(ctx, GIE_E_SHAPE, "dim %d of the tensor is %lld", i, (long long)t->dim[i]);
    empty |= t->dim[i] == 0;
    if (!gie_mul(n, t->dim[i] ? (size_t)t->dim[i] : 1, &n) || n > PTRDIFF_MAX)
      return gie_fail(ctx, GIE_E_LIMIT, "the size of the tensor overflows");
  }
  *bytes = empty ? 0 : n;
  return GIE_OK;
}

struct gie_type run_tensor_type(const struct gie_tensor *t)
{
  struct gie_type type = {.dtype = t->dtype, .shape.rank = t->rank};
  for (int i = 0; i < t->rank; i++)
    type.shape.dim[i] = gie_dim_num(t->dim[i]);
  return type;
}

bool run_type_is_static(const struct gie_type *t)
{
  if (t->dtype == GIE_DTYPE_NONE || t->shape.rank < 0)
    return false;
  for (int i = 0; i < t->shape.rank; i++)
    if (!gie_dim_is_num(t->shape.dim[i]))
      return false;
  return true;
}
