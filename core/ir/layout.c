/* SPDX-License-Identifier: Apache-2.0 */
/* Layouts as text, and descriptors: strides of dense tensors and of views into them. */
#include "core/ir/ir.h"

/* Names of layouts; the only list. `block_axis` counts only with a block. */
static const struct layout_name {
  const char *name;
  struct gie_layout layout;
  /* clang-format off */
} NAMES[] = {
    {"ncw", {3, {0, 1, 2}, 0, 0, false}},
    {"nwc", {3, {0, 2, 1}, 0, 0, false}},
    {"nchw", {4, {0, 1, 2, 3}, 0, 0, false}},
    {"nhwc", {4, {0, 2, 3, 1}, 0, 0, false}},
    {"nChw4c", {4, {0, 1, 2, 3}, 1, 4, false}},
    {"nChw8c", {4, {0, 1, 2, 3}, 1, 8, false}},
    {"nChw16c", {4, {0, 1, 2, 3}, 1, 16, false}},
    {"nChw32c", {4, {0, 1, 2, 3}, 1, 32, false}},
    {"Nchw2n", {4, {0, 1, 2, 3}, 0, 2, false}},
    {"ncdhw", {5, {0, 1, 2, 3, 4}, 0, 0, false}},
    {"ndhwc", {5, {0, 2, 3, 4, 1}, 0, 0, false}},
};
/* clang-format on */

static int perm_at(const struct gie_layout *l, int i) { return l->rank ? l->perm[i] : i; }

bool gie_layout_equal(const struct gie_layout *a, const struct gie_layout *b, int rank)
{
  bool a_blocked = a->block > 1, b_blocked = b->block > 1;
  if (a->any != b->any || a_blocked != b_blocked)
    return false;
  if (a_blocked && (a->block != b->block || a->block_axis != b->block_axis))
    return false;
  for (int i = 0; i < rank; i++)
    if (perm_at(a, i) != perm_at(b, i))
      return false;
  return true;
}

static gie_status parse_perm(struct gie_context *ctx, const char *text, int rank, struct gie_layout *out)
{
  unsigned seen = 0;
  struct gie_layout l = {(uint8_t)rank, {0}, 0, 0, false};
  const char *s = text;
  for (int i = 0; i < rank; i++, s++) {
    int axis = *s - '0';
    if (axis < 0 || axis >= rank || (seen & 1u << axis))
      return gie_fail(ctx, GIE_E_DATA, "layout \"%s\" is no permutation of %d axes", text, rank);
    seen |= 1u << axis;
    l.perm[i] = (uint8_t)axis;
  }
  if (*s == '/') {
    int64_t axis, block;
    const char *end = s + strlen(s), *next;
    if (s[1] != 'b' || !gie_parse_int(s + 2, end, &axis, &next) || *next != ':' ||
        !gie_parse_int(next + 1, end, &block, &next) || next != end || axis < 0 || axis >= rank ||
        block < 2 || block > UINT16_MAX)
      return gie_fail(ctx, GIE_E_DATA, "layout \"%s\": a block is written /b<axis>:<size>", text);
    l.block_axis = (uint8_t)axis;
    l.block = (uint16_t)block;
    s = end;
  }
  if (*s)
    return gie_fail(ctx, GIE_E_DATA, "layout \"%s\" does not fit rank %d", text, rank);
  *out = l;
  return GIE_OK;
}

gie_status gie_layout_parse(struct gie_context *ctx, const char *text, int rank, struct gie_layout *out)
{
  for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
    if (strcmp(NAMES[i].name, text) != 0)
      continue;
    if (NAMES[i].layout.rank != rank)
      return gie_fail(ctx, GIE_E_DATA, "layout %s is for rank %d, the tensor has rank %d", text,
                      NAMES[i].layout.rank, rank);
    *out = NAMES[i].layout;
    return GIE_OK;
  }
  if (rank < 0 || rank > GIE_MAX_RANK)
    return gie_fail(ctx, GIE_E_DATA, "layout \"%s\" needs a known rank", text);
  return parse_perm(ctx, text, rank, out);
}

char *gie_layout_text(const struct gie_layout *layout, int rank, char *buf, size_t size)
{
  static const struct gie_layout plain;
  if (size == 0)
    return buf;
  buf[0] = 0;
  for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
    if (NAMES[i].layout.rank == rank && gie_layout_equal(&NAMES[i].layout, layout, rank)) {
      snprintf(buf, size, "%s", NAMES[i].name);
      return buf;
    }
  if (rank < 0 || gie_layout_equal(layout, &plain, rank))
    return buf;
  char perm[GIE_MAX_RANK + 1] = "", block[24] = "";
  for (int i = 0; i < rank && i < GIE_MAX_RANK; i++)
    perm[i] = (char)('0' + perm_at(layout, i));
  if (layout->block > 1)
    snprintf(block, sizeof block, "/b%d:%d", layout->block_axis, layout->block);
  snprintf(buf, size, "%s%s", perm, block);
  return buf;
}

static bool round_up(int64_t n, int64_t to, int64_t *out)
{
  int64_t sum;
  if (!gie_add64(n, to - 1, &sum))
    return false;
  *out = sum / to;
  return true;
}

gie_status gie_desc_make(struct gie_context *ctx, const struct gie_type *type,
                         const struct gie_layout *layout, struct gie_desc *out, size_t *bytes)
{
  struct gie_desc d = {.dtype = type->dtype, .rank = type->shape.rank, .layout = *layout};
  int64_t count;
  GIE_TRY(gie_shape_count(ctx, &type->shape, &count));
  if (type->dtype == GIE_DTYPE_NONE)
    return gie_fail(ctx, GIE_E_TYPE, "the element type is not known");
  if (layout->rank && layout->rank != d.rank)
    return gie_fail(ctx, GIE_E_SHAPE, "layout of rank %d on a tensor of rank %d", layout->rank, d.rank);
  if (layout->block > 1 && layout->block_axis >= d.rank)
    return gie_fail(ctx, GIE_E_SHAPE, "the blocked axis %d is outside rank %d", layout->block_axis, d.rank);
  int64_t stride = layout->block > 1 ? layout->block : 1;
  for (int i = d.rank - 1; i >= 0; i--) {
    int axis = perm_at(layout, i);
    int64_t extent = d.dim[axis] = type->shape.dim[axis].b;
    d.stride[axis] = stride;
    if (layout->block > 1 && axis == layout->block_axis && !round_up(extent, layout->block, &extent))
      return gie_fail(ctx, GIE_E_LIMIT, "the size of the tensor overflows");
    if (!gie_mul64(stride, extent > 0 ? extent : 1, &stride))
      return gie_fail(ctx, GIE_E_LIMIT, "the size of the tensor overflows");
  }
  int64_t size;
  if (!gie_mul64(stride, (int64_t)gie_dtype_size(type->dtype), &size))
    return gie_fail(ctx, GIE_E_LIMIT, "the size of the tensor overflows");
  if (bytes)
    *bytes = count == 0 ? 0 : (size_t)size;
  *out = d;
  return GIE_OK;
}

gie_status gie_desc_view(struct gie_context *ctx, const struct gie_desc *base, int axis, int64_t offset,
                         int64_t extent, struct gie_desc *out, size_t *byte_offset)
{
  if (axis < 0 || axis >= base->rank || offset < 0 || extent < 0 || offset > base->dim[axis] ||
      extent > base->dim[axis] - offset)
    return gie_fail(ctx, GIE_E_SHAPE, "view [%lld,+%lld) of axis %d lies outside its base", (long long)offset,
                    (long long)extent, axis);
  int64_t blocks = offset;
  if (base->layout.block > 1 && axis == base->layout.block_axis) {
    if (offset % base->layout.block)
      return gie_fail(ctx, GIE_E_SHAPE, "view offset %lld is not a multiple of the block %d",
                      (long long)offset, base->layout.block);
    blocks = offset / base->layout.block;
  }
  struct gie_desc d = *base;
  d.pitched = base->pitched || extent != base->dim[axis];
  d.dim[axis] = extent;
  *byte_offset = (size_t)(blocks * base->stride[axis]) * gie_dtype_size(base->dtype);
  *out = d;
  return GIE_OK;
}
