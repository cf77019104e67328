/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the normalizations: a row is what one maximum or mean is taken over. */
#ifndef GIE_BACKENDS_CUDA_NORM_CUH
#define GIE_BACKENDS_CUDA_NORM_CUH

#include "backends/cuda/fast.cuh"
#include "backends/cuda/host.cuh"

enum norm_op { SOFTMAX, LOG_SOFTMAX, LAYER_NORM, INSTANCE_NORM };

/* Which row is where: strides of x and y for the axes of the rows, innermost first. */
struct norm_args {
  uint32_t rows, length;
  int rank;
  struct cuda_div div[CUDA_LOOP_AXES];
  int64_t x[CUDA_LOOP_AXES], y[CUDA_LOOP_AXES];
  int64_t x_step, y_step; /* within a row */
  enum norm_op op;
  float epsilon;
  bool kept;                /* a block has the row in shared memory */
  struct cuda_div channels; /* instance_norm: row number % channels is the parameter's index */
  uint32_t chunks;          /* of a row, whose sums are made apart (norm_columns.cuh); 0: they are not */
};

template <class T> struct norm_pointers {
  const T *x, *scale, *bias;
  T *y;
  float *mean, *inverse; /* layer_norm's further results, or NULL */
  float *sums;           /* workspace */
};

__device__ __forceinline__ void row_at(const struct norm_args &a, uint32_t row, int64_t *x, int64_t *y)
{
  *x = *y = 0;
  for (int k = 0; k < a.rank; k++) {
    uint32_t q = cuda_quotient(a.div[k], row), r = row - q * a.div[k].d;
    *x += r * a.x[k];
    *y += r * a.y[k];
    row = q;
  }
}

#endif
