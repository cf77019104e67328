/* SPDX-License-Identifier: Apache-2.0 */
/* Several copies of rows in one launch (rows.cuh). A row of all parts, one behind the other, is a row of units of 16 bytes, or
 * of what divides all widths, strides and addresses; neighbouring threads have neighbouring units, four each. The goal is
 * 80 % of the copy bandwidth. */
#include "backends/cuda/rows.cuh"

#define PER_THREAD 4

struct rows_args {
  int n;
  uint32_t units, begin[CUDA_ROWS_PARTS + 1];
  struct cuda_div row; /* units of a row of all parts */
  int64_t from_row[CUDA_ROWS_PARTS], to_row[CUDA_ROWS_PARTS];
  const char *from[CUDA_ROWS_PARTS];
  char *to[CUDA_ROWS_PARTS];
};

template <class U> __global__ void __launch_bounds__(256) copy_rows(const __grid_constant__ rows_args a)
{
  U value[PER_THREAD];
  U *to[PER_THREAD];
#pragma unroll
  for (int i = 0; i < PER_THREAD; i++) {
    uint32_t at = (blockIdx.x * PER_THREAD + i) * 256 + threadIdx.x;
    to[i] = nullptr;
    if (at >= a.units)
      continue;
    uint32_t row = cuda_quotient(a.row, at), unit = at - row * a.row.d;
    int k = 0;
    while (k < a.n - 1 && unit >= a.begin[k + 1])
      k++;
    int64_t column = int64_t(unit - a.begin[k]) * int64_t(sizeof(U));
    value[i] = *reinterpret_cast<const U *>(a.from[k] + row * a.from_row[k] + column);
    to[i] = reinterpret_cast<U *>(a.to[k] + row * a.to_row[k] + column);
  }
#pragma unroll
  for (int i = 0; i < PER_THREAD; i++)
    if (to[i])
      *to[i] = value[i];
}

bool cuda_rows_add(struct cuda_rows *r, const struct cuda_copy *c)
{
  const struct cuda_loop<2> *l = &c->loop;
  int k = r->n;
  int64_t rows = l->rank == 2 ? l->dim[1] : 1;
  bool fits = c->kind == CUDA_COPY_CHUNKS && c->size > 0 && l->rank <= 2 && l->stride[0][0] == 1 &&
              l->stride[1][0] == 1 && k < CUDA_ROWS_PARTS && (k == 0 || rows == r->rows);
  r->n = 0;
  if (!fits)
    return false;
  r->rows = rows;
  r->width[k] = l->dim[0] * c->size;
  r->from_row[k] = l->rank == 2 ? l->stride[1][1] * c->size : 0;
  r->to_row[k] = l->rank == 2 ? l->stride[0][1] * c->size : 0;
  r->n = k + 1;
  return true;
}

template <class U>
static void launch(const struct cuda_rows *r, char *const *to, const char *const *from, cudaStream_t stream)
{
  struct rows_args a = {};
  a.n = r->n;
  for (int k = 0; k < r->n; k++) {
    a.begin[k + 1] = a.begin[k] + uint32_t(r->width[k] / int64_t(sizeof(U)));
    a.from_row[k] = r->from_row[k];
    a.to_row[k] = r->to_row[k];
    a.from[k] = from[k];
    a.to[k] = to[k];
  }
  a.row = cuda_div_by(a.begin[r->n]);
  a.units = uint32_t(r->rows) * a.begin[r->n];
  copy_rows<U><<<(a.units + 256 * PER_THREAD - 1) / (256 * PER_THREAD), 256, 0, stream>>>(a);
}

bool cuda_rows_run(const struct cuda_rows *r, char *const *to, const char *const *from, cudaStream_t stream)
{
  uint64_t bits = 0, bytes = 0;
  for (int k = 0; k < r->n; k++) {
    bits |= uint64_t(r->width[k]) | uint64_t(r->from_row[k]) | uint64_t(r->to_row[k]) | uintptr_t(to[k]) |
            uintptr_t(from[k]);
    bytes += uint64_t(r->width[k]);
  }
  uint64_t unit = bits % 16 == 0 ? 16 : bits % 8 == 0 ? 8 : bits % 4 == 0 ? 4 : 0;
  if (r->n == 0 || unit == 0 || bytes / unit * uint64_t(r->rows) >= uint64_t(1) << 31)
    return false;
  if (unit == 16)
    launch<uint4>(r, to, from, stream);
  else if (unit == 8)
    launch<uint2>(r, to, from, stream);
  else
    launch<uint32_t>(r, to, from, stream);
  return true;
}
