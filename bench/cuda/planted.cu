/* SPDX-License-Identifier: Apache-2.0 */
/* One planted error for each of compute-sanitizer's tools: where a tool does not find its own here, its silence elsewhere says
 * nothing (bench/cuda/sanitize.sh).
 *
 *   bench/cuda/planted memcheck|racecheck|initcheck|synccheck|none */
#include <cuda_runtime.h>
#include <stdio.h>
#include <string.h>

#define THREADS 64

/* Thread 0 writes one element behind the allocation. */
static __global__ void write_behind(int *to, int n) { to[threadIdx.x + (threadIdx.x == 0 ? n : 0)] = 1; }

/* No barrier between writing a shared element and another warp's reading it. */
static __global__ void read_early(int *to, int)
{
  __shared__ int shared[THREADS];
  shared[threadIdx.x] = int(threadIdx.x);
  to[threadIdx.x] = shared[THREADS - 1 - threadIdx.x];
}

/* The second half of the allocation was never written. */
static __global__ void read_unset(int *to, int n) { to[threadIdx.x] = to[n / 2 + threadIdx.x] + 1; }

/* Half of a warp waits at a barrier that is not theirs. */
static __global__ void wait_for_others(int *to, int)
{
  __syncwarp(0x0000ffffu);
  to[threadIdx.x] = 1;
}

static __global__ void write_all(int *to, int) { to[threadIdx.x] = 1; }

static const struct {
  const char *tool;
  void (*kernel)(int *to, int n);
} KERNELS[] = {{"memcheck", write_behind},
               {"racecheck", read_early},
               {"initcheck", read_unset},
               {"synccheck", wait_for_others},
               {"none", write_all}};

int main(int argc, char **argv)
{
  int *to, n = 4 * THREADS;
  for (size_t i = 0; argc > 1 && i < sizeof KERNELS / sizeof *KERNELS; i++) {
    if (strcmp(argv[1], KERNELS[i].tool) != 0)
      continue;
    cudaError_t st = cudaMalloc(reinterpret_cast<void **>(&to), size_t(n) * sizeof *to);
    if (st == cudaSuccess) {
      KERNELS[i].kernel<<<1, THREADS>>>(to, n);
      st = cudaDeviceSynchronize();
    }
    printf("%s: %s\n", argv[1], cudaGetErrorString(st));
    return st != cudaSuccess;
  }
  fprintf(stderr, "planted: one of memcheck, racecheck, initcheck, synccheck, none\n");
  return 64;
}
