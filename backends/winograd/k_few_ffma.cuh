/* SPDX-License-Identifier: Apache-2.0 */
/* F(2×2,3×3) and F(4×4,3×3) in one kernel for up to four input channels, as first layers have: everything in registers.
 *
 * Channels first: a thread has one tile, transformed once, and goes through KEEP output channels, whose weights lie in
 * shared memory as [k][c][point]. Channels last: a thread has one output channel and its weights, and goes through tiles
 * whose transforms lie in shared memory; so both write side by side with their neighbours.
 *
 * Roofline: memory, that of the result; 36·C FFMA and 130 additions for 16 results are less than a quarter of that. */
#ifndef GIE_WINOGRAD_K_FEW_FFMA_CUH
#define GIE_WINOGRAD_K_FEW_FFMA_CUH

#include "backends/winograd/k_transform.cuh"

template <class X> struct wg_few_args {
  wg_geometry g;
  const X *x;
  const X *u;
  X *y;
  const void *bias;
  int half_bias, vector, k_padded;
};

/* One tile of one output channel. */
template <class F, int C>
__device__ __forceinline__ void wg_few_tile(const float4 *shared, const float (&own)[C][F::n][F::n],
                                            float (&y)[F::m][F::m])
{
  constexpr int N = F::n, QUADS = N * N / 4;
  float m[N][N];
#pragma unroll
  for (int c = 0; c < C; c++)
#pragma unroll
    for (int q = 0; q < QUADS; q++) {
      float4 v = shared[c * QUADS + q];
      const float four[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const int i = q * 4 + j;
        m[i / N][i % N] = c == 0 ? four[j] * own[c][i / N][i % N]
                                 : fmaf(four[j], own[c][i / N][i % N], m[i / N][i % N]);
      }
    }
  wg_output_2d<F>(m, y);
}

/* All output channels of a thread where rows are stored at once and nothing but a bound is applied to results. */
template <class F, int C, int KEEP, class X>
__device__ __forceinline__ void wg_few_rows(const wg_few_args<X> &p, const gie_cuda_steps &steps,
                                            const wg_tile &tile, int k0,
                                            const float (&u)[KEEP][C][F::n * F::n], const float (&bias)[KEEP],
                                            const float (&v)[C][F::n][F::n])
{
  const bool clips = steps.kind == GIE_CUDA_STEPS_CLIP;
  const float low = clips ? steps.low : -INFINITY, high = clips ? steps.high : INFINITY;
  const int rows = min(F::m, p.g.oh - tile.y), n = min(KEEP, p.g.k - k0);
  X *to = p.y + tile.n * p.g.y_n + k0 * p.g.y_c + (int64_t)tile.y * p.g.y_h + tile.x;
#pragma unroll 2
  for (int k = 0; k < n; k++, to += p.g.y_c) {
    float y[F::m][F::m];
    wg_few_tile<F, C>(reinterpret_cast<const float4 *>(u[k]), v, y);
#pragma unroll
    for (int i = 0; i < F::m; i++) {
#pragma unroll
      for (int j = 0; j < F::m; j++)
        y[i][j] = gie_cuda_clip(y[i][j] + bias[k], low, high);
      if (i < rows)
        wg_store_v<F::m>(to + i * p.g.y_h, y[i]);
    }
  }
}

template <class F, int C, int KEEP, class X>
__global__ void __launch_bounds__(128) wg_few_first_kernel(const __grid_constant__ wg_few_args<X> p,
                                                           const __grid_constant__ gie_cuda_steps steps)
{
  __shared__ __align__(16) float u[KEEP][C][F::n * F::n];
  __shared__ float bias[KEEP];
  const int k0 = (int)blockIdx.y * KEEP, tile_index = (int)(blockIdx.x * 128 + threadIdx.x);
  float v[C][F::n][F::n], y[F::m][F::m];
  wg_let_next_start();
  for (int i = threadIdx.x; i < KEEP * C * F::n * F::n; i += 128) {
    int k = i % KEEP, rest = i / KEEP, c = rest % C, f = rest / C;
    u[k][c][f] = k0 + k < p.k_padded ? wg_load(p.u + ((int64_t)f * C + c) * p.k_padded + k0 + k) : 0.0f;
  }
  const wg_tile tile = wg_tile_of<F::m>(p.g, (uint32_t)min(tile_index, p.g.count - 1));
  wg_wait_for_previous();
  if (threadIdx.x < KEEP)
    bias[threadIdx.x] = k0 + (int)threadIdx.x < p.g.k ? wg_bias(p.bias, p.half_bias, k0 + (int)threadIdx.x)
                                                      : 0.0f;
#pragma unroll
  for (int c = 0; c < C; c++) {
    wg_read_tile<F>(p.g, p.x, tile, c, v[c]);
    wg_input_2d<F>(v[c]);
  }
  __syncthreads();
  if (tile_index >= p.g.count)
    return;
  if (p.vector && steps.kind != GIE_CUDA_STEPS_LIST) {
    wg_few_rows<F, C, KEEP>(p, steps, tile, k0, u, bias, v);
    return;
  }
#pragma unroll 1
  for (int k = 0; k < KEEP && k0 + k < p.g.k; k++) {
    wg_few_tile<F, C>(reinterpret_cast<const float4 *>(u[k]), v, y);
    wg_write_tile<F>(p.g, p.y, steps, p.vector, tile, k0 + k, bias[k], y);
  }
}

/* 4 warps: 32 channels each of them, or all the same 32 where there are no more; TILES tiles a block. */
template <class F, int C, int TILES, class X>
__global__ void __launch_bounds__(128)
    wg_few_last_kernel(const __grid_constant__ wg_few_args<X> p, const __grid_constant__ gie_cuda_steps steps)
{
  __shared__ __align__(16) float v[TILES][C][F::n * F::n];
  const int first = (int)blockIdx.x * TILES, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int groups = min(4, (p.g.k + 31) / 32), k = (int)(blockIdx.y * 4 + warp % groups) * 32 + lane;
  float u[C][F::n][F::n], y[F::m][F::m];
  wg_let_next_start();
#pragma unroll
  for (int c = 0; c < C; c++)
#pragma unroll
    for (int f = 0; f < F::n * F::n; f++)
      u[c][f / F::n][f % F::n] = k < p.k_padded ? wg_load(p.u + ((int64_t)f * C + c) * p.k_padded + k) : 0.0f;
  wg_wait_for_previous();
  for (int i = threadIdx.x; i < TILES * C; i += 128) {
    float d[F::n][F::n];
    wg_read_tile<F>(p.g, p.x, wg_tile_of<F::m>(p.g, (uint32_t)min(first + i / C, p.g.count - 1)), i % C, d);
    wg_input_2d<F>(d);
#pragma unroll
    for (int j = 0; j < F::n * F::n; j++)
      v[i / C][i % C][j] = d[j / F::n][j % F::n];
  }
  __syncthreads();
  if (k >= p.g.k || warp / groups >= 4 / groups)
    return;
  const float bias = wg_bias(p.bias, p.half_bias, k);
#pragma unroll 1
  for (int t = warp / groups; t < TILES && first + t < p.g.count; t += 4 / groups) {
    wg_few_tile<F, C>(reinterpret_cast<const float4 *>(v[t]), u, y);
    wg_write_tile<F>(p.g, p.y, steps, 0, wg_tile_of<F::m>(p.g, (uint32_t)(first + t)), k, bias, y);
  }
}

#endif
