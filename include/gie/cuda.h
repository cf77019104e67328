/* SPDX-License-Identifier: Apache-2.0 */
/* Host side of a module whose kernels run on the device kind "cuda": errors of the CUDA runtime as
 * gie's, and tensors as three coordinates. Header-only, for C11 and for nvcc (C++20); what needs the
 * runtime is there when its headers are on the include path.
 *
 * Conventions of the kind "cuda": all modules link with the shared runtime, so that they share the
 * process's primary context; gie_launch.stream is a cudaStream_t; run() launches on that stream and does
 * nothing else: no allocation, no synchronization, no default stream. Epilogues: gie/cuda_steps.h. */
#ifndef GIE_CUDA_H
#define GIE_CUDA_H

#include <gie/kernel.h>

#if defined(__has_include)
#if __has_include(<cuda_runtime_api.h>)
#define GIE_CUDA_RUNTIME 1
#include <cuda_runtime_api.h>
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Errors --------------------------------------------------------------------------------- */

#ifdef GIE_CUDA_RUNTIME
/* After these no call of this process reaches the device any more. */
static inline bool gie_cuda_is_lost(cudaError_t e)
{
  switch (e) {
  case cudaErrorIllegalAddress:
  case cudaErrorLaunchTimeout:
  case cudaErrorLaunchFailure:
  case cudaErrorAssert:
  case cudaErrorHardwareStackError:
  case cudaErrorIllegalInstruction:
  case cudaErrorMisalignedAddress:
  case cudaErrorInvalidAddressSpace:
  case cudaErrorInvalidPc:
  case cudaErrorECCUncorrectable:
  case cudaErrorNvlinkUncorrectable:
    return true;
  default:
    return false;
  }
}

/* Records what went wrong in `what` ("copying 12 bytes"): E_MEMORY when the device has too little,
 * E_DEVICE otherwise. The runtime's own record of the error is taken back, unless it is for good. */
static inline gie_status gie_cuda_fail(struct gie_context *ctx, cudaError_t e, const char *what)
{
  (void)cudaGetLastError();
  if (e == cudaErrorMemoryAllocation)
    return gie_fail(ctx, GIE_E_MEMORY, "%s: out of device memory; use a smaller batch or free the device",
                    what);
  if (gie_cuda_is_lost(e))
    return gie_fail(ctx, GIE_E_DEVICE, "%s: %s (%s); the device is lost to this process, start it again",
                    what, cudaGetErrorString(e), cudaGetErrorName(e));
  return gie_fail(ctx, GIE_E_DEVICE, "%s: %s (%s); nvidia-smi shows the state of the device", what,
                  cudaGetErrorString(e), cudaGetErrorName(e));
}

/* `GIE_CUDA_TRY(ctx, cudaMemcpyAsync(…), "copying the weights");` returns from the function on failure. */
#define GIE_CUDA_TRY(ctx, call, what)                     \
  do {                                                    \
    cudaError_t gie_cuda_try_ = (call);                   \
    if (gie_cuda_try_ != cudaSuccess)                     \
      return gie_cuda_fail((ctx), gie_cuda_try_, (what)); \
  } while (0)

/* What the launches just made gave; errors of a kernel that runs come with a later synchronization. */
static inline gie_status gie_cuda_launched(struct gie_context *ctx, const char *what)
{
  cudaError_t e = cudaPeekAtLastError();
  return e == cudaSuccess ? GIE_OK : gie_cuda_fail(ctx, e, what);
}

static inline cudaStream_t gie_cuda_stream(const struct gie_launch *l) { return (cudaStream_t)l->stream; }
#endif

/* ---- Tensors of three coordinates -------------------------------------------------------------- */

/* n image, c channel, p pixel (all spatial axes as one). A matrix has rows n and columns c, and one
 * pixel. Strides in elements; a stride of 0 repeats. */
struct gie_cuda_tensor {
  enum gie_dtype dtype;
  int64_t n, c, p;
  int64_t stride_n, stride_c, stride_p;
};

/* Axis of a result that is c: the last of a matrix product, 1 otherwise (0 for rank 1, -1 for rank 0).
 * The axes before it are n, those behind it p. */
static inline int gie_cuda_channel_axis(const struct gie_node *node, int rank)
{
  bool product = strcmp(node->op->name, "gemm") == 0 || strcmp(node->op->name, "matmul") == 0;
  return rank < 2 ? rank - 1 : product ? rank - 1 : 1;
}

/* One stride for axes from … to-1 of the result, whose strides are those in stride[]; false when there is none.
 * Axes of extent 1 do not count. */
static inline bool gie_cuda_merge_axes(const int64_t *dim, const int64_t *stride, int from, int to,
                                       int64_t *merged)
{
  int64_t next = 0, extent = 0; /* the stride of the axis behind and its extent; 0: none yet */
  *merged = 0;
  for (int i = to - 1; i >= from; i--) {
    if (dim[i] == 1)
      continue;
    if (extent == 0)
      *merged = stride[i];
    else if (stride[i] != next * extent)
      return false;
    next = stride[i];
    extent = dim[i];
  }
  return true;
}

/* d, broadcast to `result` (numpy rules), as n, c and p with channel axis `axis` of the result. false: it is
 * blocked, does not broadcast, or its spatial axes are no single one. */
static inline bool gie_cuda_tensor_make(const struct gie_desc *d, const struct gie_desc *result, int axis,
                                        struct gie_cuda_tensor *out)
{
  int64_t stride[GIE_MAX_RANK] = {0}, extent[3] = {1, 1, 1};
  int shift = result->rank - d->rank;
  if (d->layout.block > 1 || shift < 0)
    return false;
  for (int i = 0; i < d->rank; i++) {
    if (d->dim[i] != 1 && d->dim[i] != result->dim[i + shift])
      return false;
    stride[i + shift] = d->dim[i] == 1 ? 0 : d->stride[i];
  }
  for (int i = 0; i < result->rank; i++)
    extent[i < axis ? 0 : i == axis ? 1 : 2] *= result->dim[i];
  out->dtype = d->dtype;
  out->n = extent[0];
  out->c = extent[1];
  out->p = extent[2];
  out->stride_n = out->stride_c = out->stride_p = 0;
  if (axis < 0)
    return true;
  return gie_cuda_merge_axes(result->dim, stride, 0, axis, &out->stride_n) &&
         gie_cuda_merge_axes(result->dim, stride, axis, axis + 1, &out->stride_c) &&
         gie_cuda_merge_axes(result->dim, stride, axis + 1, result->rank, &out->stride_p);
}

#ifdef __cplusplus
}
#endif
#endif
