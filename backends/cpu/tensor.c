/* SPDX-License-Identifier: Apache-2.0 */
/* Addressing: descriptors, broadcasting, boxes of indices, pad lanes. */
#include "backends/cpu/cpu.h"

struct cpu_tensor cpu_tensor_of(const struct gie_desc *d, void *data)
{
  struct cpu_tensor t = {data, d->dtype, d->rank, -1, 1, {0}, {0}};
  memcpy(t.dim, d->dim, sizeof t.dim);
  memcpy(t.stride, d->stride, sizeof t.stride);
  if (d->layout.block > 1) {
    t.block_axis = d->layout.block_axis;
    t.block = d->layout.block;
  }
  return t;
}

/* Axis `from` of t becomes axis `to` of a tensor of those dims. */
static void move_axis(const struct cpu_tensor *t, int from, struct cpu_tensor *out, int to)
{
  if (t->dim[from] == 1 && out->dim[to] != 1)
    return; /* its stride stays 0 */
  out->stride[to] = t->stride[from];
  if (t->block_axis == from) {
    out->block_axis = to;
    out->block = t->block;
  }
}

struct cpu_tensor cpu_broadcast(const struct cpu_tensor *t, int rank, const int64_t *dim)
{
  struct cpu_tensor out = {t->data, t->dtype, rank, -1, 1, {0}, {0}};
  memcpy(out.dim, dim, sizeof *dim * (size_t)rank);
  for (int i = 0; i < t->rank; i++)
    move_axis(t, i, &out, i + rank - t->rank);
  return out;
}

struct cpu_tensor cpu_along(const struct cpu_tensor *t, int axis, int rank, const int64_t *dim)
{
  struct cpu_tensor out = {t->data, t->dtype, rank, -1, 1, {0}, {0}};
  memcpy(out.dim, dim, sizeof *dim * (size_t)rank);
  move_axis(t, 0, &out, axis);
  return out;
}

void cpu_insert_axis(struct cpu_tensor *t, int axis)
{
  for (int i = t->rank++; i > axis; i--) {
    t->dim[i] = t->dim[i - 1];
    t->stride[i] = t->stride[i - 1];
  }
  t->dim[axis] = 1;
  t->stride[axis] = 0;
  if (t->block_axis >= axis)
    t->block_axis++;
}

void cpu_swap_axes(struct cpu_tensor *t, int a, int b)
{
  int64_t dim = t->dim[a], stride = t->stride[a];
  t->dim[a] = t->dim[b];
  t->stride[a] = t->stride[b];
  t->dim[b] = dim;
  t->stride[b] = stride;
  if (t->block_axis == a || t->block_axis == b)
    t->block_axis = a + b - t->block_axis;
}

int64_t cpu_offset(const struct cpu_tensor *t, const int64_t *idx)
{
  int64_t off = 0;
  for (int i = 0; i < t->rank; i++)
    off += (i == t->block_axis ? idx[i] / t->block : idx[i]) * t->stride[i];
  if (t->block_axis >= 0)
    off += idx[t->block_axis] % t->block;
  return off;
}

int64_t cpu_count(const struct cpu_tensor *t)
{
  int64_t n = 1;
  for (int i = 0; i < t->rank; i++)
    n *= t->dim[i];
  return n;
}

bool cpu_is_dense(const struct cpu_tensor *t, int from)
{
  int64_t stride = 1;
  if (t->block_axis >= 0)
    return false;
  for (int i = t->rank - 1; i >= from; i--) {
    if (t->dim[i] != 1 && t->stride[i] != stride)
      return false;
    stride *= t->dim[i];
  }
  return true;
}

/* The axis to run rows along: of more than one element, not blocked, with the smallest stride. */
static int row_axis(const struct cpu_tensor *t, unsigned fixed)
{
  int best = -1;
  bool best_good = false;
  for (int i = 0; i < t->rank; i++) {
    if (fixed >> i & 1)
      continue;
    bool good = t->dim[i] > 1 && i != t->block_axis;
    if (best < 0 || (good && !best_good) || (good == best_good && t->stride[i] <= t->stride[best])) {
      best = i;
      best_good = good;
    }
  }
  return best;
}

static struct cpu_box make_box(const struct cpu_tensor *t, int axis, unsigned fixed, const int64_t *at)
{
  struct cpu_box b = {.rank = t->rank, .axis = axis};
  for (int i = 0; i < t->rank; i++) {
    b.begin[i] = fixed >> i & 1 ? at[i] : 0;
    b.dim[i] = fixed >> i & 1 ? 1 : t->dim[i];
  }
  b.chunks = b.axis < 0 ? 1 : (b.dim[b.axis] + CPU_ROW - 1) / CPU_ROW;
  b.rows = b.chunks;
  for (int i = 0; i < t->rank; i++)
    if (i != b.axis)
      b.rows *= b.dim[i];
  return b;
}

struct cpu_box cpu_box(const struct cpu_tensor *t, unsigned fixed, const int64_t *at)
{
  return make_box(t, row_axis(t, fixed), fixed, at);
}

struct cpu_box cpu_box_along(const struct cpu_tensor *t, int axis) { return make_box(t, axis, 0, NULL); }

int cpu_box_at(const struct cpu_box *b, int64_t row, int64_t *idx)
{
  int64_t chunk = row % b->chunks * CPU_ROW, rest = row / b->chunks;
  for (int i = b->rank - 1; i >= 0; i--) {
    if (i == b->axis)
      continue;
    idx[i] = b->begin[i] + rest % b->dim[i];
    rest /= b->dim[i];
  }
  if (b->axis < 0)
    return 1;
  idx[b->axis] = b->begin[b->axis] + chunk;
  return (int)(b->dim[b->axis] - chunk < CPU_ROW ? b->dim[b->axis] - chunk : CPU_ROW);
}

void cpu_zero_lanes(const struct cpu_tensor *t)
{
  int a = t->block_axis;
  if (a < 0 || t->dim[a] % t->block == 0)
    return;
  size_t size = gie_dtype_size(t->dtype), lanes = (size_t)(t->block - t->dim[a] % t->block);
  int64_t at[GIE_MAX_RANK] = {0};
  at[a] = t->dim[a];
  struct cpu_box b = cpu_box(t, 1u << a, at);
  for (int64_t row = 0; row < b.rows; row++) {
    int n = cpu_box_at(&b, row, at);
    for (int k = 0; k < n; k++, at[b.axis < 0 ? 0 : b.axis]++)
      memset(t->data + (size_t)cpu_offset(t, at) * size, 0, lanes * size);
  }
}
