/* SPDX-License-Identifier: Apache-2.0 */
/* Several copies of rows in one launch (rows.cu): what a concat and a split come down to, where all parts have the same
 * number of rows, each contiguous in operand and result. One launch instead of one per part: with tensors of a few MiB the
 * launches' beginnings and ends are half of the time. */
#ifndef GIE_BACKENDS_CUDA_ROWS_CUH
#define GIE_BACKENDS_CUDA_ROWS_CUH

#include "backends/cuda/copy.cuh"

#define CUDA_ROWS_PARTS 16

struct cuda_rows {
  int n; /* parts; 0: not this way */
  int64_t rows, width[CUDA_ROWS_PARTS], from_row[CUDA_ROWS_PARTS], to_row[CUDA_ROWS_PARTS]; /* bytes */
};

/* Adds a copy as the next part; false, and no part at all any more: it does not go with those before. */
bool cuda_rows_add(struct cuda_rows *r, const struct cuda_copy *c);
/* Copies from[i] to to[i]; false: the addresses do not allow it, nothing was launched. */
bool cuda_rows_run(const struct cuda_rows *r, char *const *to, const char *const *from, cudaStream_t stream);

#endif
