/* SPDX-License-Identifier: Apache-2.0 */
/* F(4×4,3×3) in one kernel for up to four input channels, as first layers have: everything in registers.
 *
 * Channels first: a thread has one tile, transformed once, and goes through KEEP output channels, whose weights lie in
 * shared memory as [k][c][36]. Channels last: a thread has one output channel and its weights, and goes through tiles
 * whose transforms lie in shared memory; so both write side by side with their neighbours.
 *
 * Roofline: memory, that of the result; 36·C FFMA and 130 additions for 16 results are less than a quarter of that. */
#ifndef GIE_WINOGRAD_K_SMALL_CUH
#define GIE_WINOGRAD_K_SMALL_CUH

#include "backends/winograd/k_transform.cuh"

template <class X> struct wg_small_args {
  wg_geometry g;
  const X *x;
  const X *u;
  X *y;
  const void *bias;
  int half_bias, vector, k_padded;
};

/* One tile of one output channel. */
template <int C>
__device__ __forceinline__ void wg_small_tile(const float4 *shared, const float (&own)[C][6][6],
                                              float (&y)[4][4])
{
  float m[6][6];
#pragma unroll
  for (int c = 0; c < C; c++)
#pragma unroll
    for (int q = 0; q < 9; q++) {
      float4 v = shared[c * 9 + q];
      const float four[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const int i = q * 4 + j;
        m[i / 6][i % 6] = c == 0 ? four[j] * own[c][i / 6][i % 6]
                                 : fmaf(four[j], own[c][i / 6][i % 6], m[i / 6][i % 6]);
      }
    }
  wg_output_2d<wg_f4r3>(m, y);
}

template <int C, int KEEP, class X>
__global__ void __launch_bounds__(128) wg_small_first_kernel(const __grid_constant__ wg_small_args<X> p,
                                                             const __grid_constant__ gie_cuda_steps steps)
{
  __shared__ __align__(16) float u[KEEP][C][36];
  const int k0 = (int)blockIdx.y * KEEP, tile_index = (int)(blockIdx.x * 128 + threadIdx.x);
  float v[C][6][6], y[4][4];
  for (int i = threadIdx.x; i < KEEP * C * 36; i += 128) {
    int k = i % KEEP, rest = i / KEEP, c = rest % C, f = rest / C;
    u[k][c][f] = k0 + k < p.k_padded ? wg_load(p.u + ((int64_t)f * C + c) * p.k_padded + k0 + k) : 0.0f;
  }
  const wg_tile tile = wg_tile_of<4>(p.g, (uint32_t)min(tile_index, p.g.count - 1));
#pragma unroll
  for (int c = 0; c < C; c++) {
    wg_read_tile<wg_f4r3>(p.g, p.x, tile, c, v[c]);
    wg_input_2d<wg_f4r3>(v[c]);
  }
  __syncthreads();
  if (tile_index >= p.g.count)
    return;
#pragma unroll 1
  for (int k = 0; k < KEEP && k0 + k < p.g.k; k++) {
    wg_small_tile<C>(reinterpret_cast<const float4 *>(u[k]), v, y);
    wg_write_tile<wg_f4r3>(p.g, p.y, steps, p.vector, tile, k0 + k, wg_bias(p.bias, p.half_bias, k0 + k), y);
  }
}

/* 4 warps: 32 channels each of them, or all the same 32 where there are no more; TILES tiles a block. */
template <int C, int TILES, class X>
__global__ void __launch_bounds__(128) wg_small_last_kernel(const __grid_constant__ wg_small_args<X> p,
                                                            const __grid_constant__ gie_cuda_steps steps)
{
  __shared__ __align__(16) float v[TILES][C][36];
  const int first = (int)blockIdx.x * TILES, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int groups = min(4, (p.g.k + 31) / 32), k = (int)(blockIdx.y * 4 + warp % groups) * 32 + lane;
  float u[C][6][6], y[4][4];
  for (int i = threadIdx.x; i < TILES * C; i += 128) {
    float d[6][6];
    wg_read_tile<wg_f4r3>(p.g, p.x, wg_tile_of<4>(p.g, (uint32_t)min(first + i / C, p.g.count - 1)), i % C,
                          d);
    wg_input_2d<wg_f4r3>(d);
#pragma unroll
    for (int j = 0; j < 36; j++)
      v[i / C][i % C][j] = d[j / 6][j % 6];
  }
#pragma unroll
  for (int c = 0; c < C; c++)
#pragma unroll
    for (int f = 0; f < 36; f++)
      u[c][f / 6][f % 6] = k < p.k_padded ? wg_load(p.u + ((int64_t)f * C + c) * p.k_padded + k) : 0.0f;
  __syncthreads();
  if (k >= p.g.k || warp / groups >= 4 / groups)
    return;
  const float bias = wg_bias(p.bias, p.half_bias, k);
#pragma unroll 1
  for (int t = warp / groups; t < TILES && first + t < p.g.count; t += 4 / groups) {
    wg_small_tile<C>(reinterpret_cast<const float4 *>(v[t]), u, y);
    wg_write_tile<wg_f4r3>(p.g, p.y, steps, 0, wg_tile_of<4>(p.g, (uint32_t)(first + t)), k, bias, y);
  }
}

#endif
