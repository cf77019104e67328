/* SPDX-License-Identifier: Apache-2.0 */
/* One node of a graph on a CUDA device, run by a kernel through its ABI alone: for the tests of the cublas backend and
 * its benchmark. The device is addressed by the CUDA runtime, so that no device module is needed. */
#ifndef GIE_TESTS_CUBLAS_GPU_CASE_H
#define GIE_TESTS_CUBLAS_GPU_CASE_H

#include "core/base/base.h"
#include "core/ir/ir.h"
#include <cuda_runtime_api.h>
#include <gie/gie.h>

#define GPU_MAX_IO 8
#define GPU_MAX_VARIANTS 512

/* The device, a context with the modules of GIE_MODULE_PATH, and memory that is given back all at once. */
struct gpu {
  struct gie_context *ctx;
  struct gie_device_info info;
  cudaStream_t stream;
  char *pool;
  size_t size, used;
  bool apart; /* every allocation is one of the runtime, so that a checker sees where it ends */
  void *apart_at[64];
  uint32_t n_apart;
  void *library;
};
/* 0, or the exit code with the reason printed: 77 where there is no device. */
int gpu_open(struct gpu *g, size_t pool);
void gpu_close(struct gpu *g);
/* Aligned to 256 bytes; NULL when the pool is used up. gpu_reset() gives all back. */
void *gpu_alloc(struct gpu *g, size_t bytes);
void gpu_reset(struct gpu *g);
/* Returns when the bytes are there for what is launched on the stream. */
gie_status gpu_upload(struct gpu *g, void *to, const void *from, size_t bytes);

/* A node with its operands' values. */
struct gpu_case {
  struct gie_graph *g;
  const struct gie_node *n;
  struct gie_desc plain[GPU_MAX_IO]; /* operands, then the result */
  const void *data[GPU_MAX_IO];      /* of constants */
  double *value[GPU_MAX_IO];         /* of operands, in row-major order, as their dtype holds them */
  enum gie_math math;
};
/* From the statements of a graph of one node. `constant`: operands 1 and on are constants. */
gie_status gpu_case_make(struct gpu *g, const char *text, bool constant, uint32_t seed, struct gpu_case *c);
void gpu_case_free(struct gpu *g, struct gpu_case *c);
/* The question for a kernel; it points into g and c. */
struct gie_problem gpu_problem(const struct gpu *g, const struct gpu_case *c);
/* Result element at idx[] in f64. */
double gpu_expected(const struct gpu_case *c, const int64_t *idx);

/* A variant ready to run. */
struct gpu_run {
  const struct gie_kernel *k;
  double error; /* bound that the variant states; 0: none */
  struct gie_desc desc[GPU_MAX_IO];
  char *base[GPU_MAX_IO]; /* of the tensors that contain the operands and the result */
  size_t bytes[GPU_MAX_IO], offset[GPU_MAX_IO];
  void *pointer[GPU_MAX_IO], *workspace, *instance;
  uint32_t n_in;
  struct gie_context *ctx;
};
/* `pitched`: every tensor whose port allows it is a range of a larger one. The result's bytes are 0xa5. */
gie_status gpu_run_make(struct gpu *g, const struct gpu_case *c, const struct gie_kernel *k,
                        const struct gie_variant *v, bool pitched, struct gpu_run *out);
gie_status gpu_run_launch(struct gpu *g, const struct gpu_run *r);
void gpu_run_free(struct gpu_run *r);

double gpu_load(enum gie_dtype t, const void *p);
bool gpu_next(const struct gie_desc *d, int64_t *idx);

#endif
