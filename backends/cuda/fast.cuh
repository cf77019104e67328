/* SPDX-License-Identifier: Apache-2.0 */
/* The device's short functions, for kernels that would otherwise wait for arithmetic and not for memory. Each is one
 * instruction, good to two units of f32 where its comment does not say otherwise; denormal numbers count as 0. */
#ifndef GIE_BACKENDS_CUDA_FAST_CUH
#define GIE_BACKENDS_CUDA_FAST_CUH

#include "backends/cuda/device.cuh"

__device__ __forceinline__ float cuda_exp2(float x)
{
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
}

/* e^x, with a relative error of 2^-22 + |x| 2^-24: the better, the larger the result is beside 1, or for a sum to 1. */
__device__ __forceinline__ float cuda_exp(float x) { return cuda_exp2(x * 1.4426950408889634f); }

/* 1/x; 0 beyond 2^126. */
__device__ __forceinline__ float cuda_reciprocal(float x)
{
  float r;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
}

__device__ __forceinline__ float cuda_rsqrt(float x)
{
  float r;
  asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
}

__device__ __forceinline__ float cuda_sqrt(float x)
{
  float r;
  asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
}

/* Asks for the line at an address that a later load will want, without a register to keep it in. */
__device__ __forceinline__ void cuda_prefetch(const void *p)
{
  asm volatile("prefetch.global.L2 [%0];" ::"l"(p));
}

#endif
