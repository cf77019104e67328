/* SPDX-License-Identifier: Apache-2.0 */
/* Between gemv.c and the device code in k_gemv.cu. */
#ifndef GIE_BACKENDS_CUBLAS_GEMV_H
#define GIE_BACKENDS_CUBLAS_GEMV_H

#include <gie/cuda_steps.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Most rows of x. On f16 the tensor cores take over where FFMA would have to turn every weight into f32 for several. */
#define CB_GEMV_ROWS 16
#define CB_GEMV_FFMA_ROWS 8
#define CB_GEMV_FFMA_F16_ROWS 2
#define CB_GEMV_WARPS 16 /* most in a block */

/* y[r, c] = steps(alpha · sum of x[r, k]·w[c, k] + beta · add[r, c] + bias[c]). Strides in elements; those of k are 1. */
struct cb_gemv_args {
  const void *x, *w, *add, *bias;
  void *y;
  float *partial; /* with splits > 1: splits x rows x cols sums */
  int32_t rows, cols, taps, pixels;
  int64_t x_row, w_row, y_row, y_col, add_row, add_col;
  float alpha, beta;
  bool constant; /* w: may be read before the kernel before it has ended */
  bool overlap;  /* the device lets kernels of one stream overlap (compute capability 9.0) */
};

/* How the work is cut: a block has `wn` groups of `wk` warps; a group computes `columns` columns, its warps share the
 * taps, and so do `splits` blocks. */
struct cb_gemv_cut {
  int32_t columns, wn, wk, splits;
  bool tensor; /* by mma on f16: 16 columns */
};

/* Launches it on the stream. `half`: all matrices are f16, else f32. */
cudaError_t cb_gemv_launch(const struct cb_gemv_args *a, const struct cb_gemv_cut *cut, bool half,
                           const struct gie_cuda_steps *steps, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
