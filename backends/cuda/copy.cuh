/* SPDX-License-Identifier: Apache-2.0 */
/* Copies between two tensors of the same dims, any strides, with or without a change of dtype (copy.cu). */
#ifndef GIE_BACKENDS_CUDA_COPY_CUH
#define GIE_BACKENDS_CUDA_COPY_CUH

#include "backends/cuda/host.cuh"

/* How it is done, best first; see copy.cu. */
enum cuda_copy_kind { CUDA_COPY_NONE, CUDA_COPY_CHUNKS, CUDA_COPY_LANES, CUDA_COPY_TILES, CUDA_COPY_EACH };

struct cuda_copy {
  enum cuda_copy_kind kind;
  int from_dtype, to_dtype, size; /* bytes of an element where the dtypes are the same, else 0 */
  struct cuda_loop<2> loop;       /* 0: result, 1: operand */
  int inner;                      /* axis along which the operand is contiguous, or -1 */
  bool split;                     /* LANES: the operand has the lanes */
  int width, places;              /* LANES: that lie side by side, pad lanes included; axis of the places */
  struct cuda_tensor to, from;    /* EACH */
};

/* `from` may have strides of 0 (broadcast) and below 0. Pad lanes of `to` become zero. */
void cuda_copy_make(const struct cuda_tensor *to, const struct cuda_tensor *from, struct cuda_copy *out);
gie_status cuda_copy_run(const struct cuda_copy *c, void *to, const void *from, const struct gie_launch *l);
/* "chunks", "tiles": for tests and people. */
const char *cuda_copy_text(const struct cuda_copy *c);

#endif
