/* SPDX-License-Identifier: Apache-2.0 */
/* F(2×2,3×3) and F(4×4,3×3) in one kernel: transform, products of all points, inverse.
 *
 * A block makes K output channels of 32 tiles. Slices of 8 input channels: each of 256 threads transforms one tile of
 * one channel into shared memory while the slice before is multiplied; each warp has some of the points, K×32 sums of
 * each in registers. Weights come STAGES-1 slices ahead. At the end the points meet in shared memory,
 * 16 tiles at a time, and are inverted. Blocks of a cluster may share one sum: each takes some of the input
 * channels, and they add their inverses over the cluster's shared memory in a fixed order.
 *
 *   form    K   warps   points of a warp   stages   shared memory
 *   F2     64     8            2             3       148 KiB
 *   F4     32    12            3             2       184 KiB         1 block a multiprocessor
 *
 * Roofline: 2·n²·C·K·tiles operations of FFMA, or of a third of TF32. For each slice of F2 with FFMA a thread
 * has 1024 FFMA, 64 16-byte reads, 16 loads, 32 additions and 16 stores: 85 % at best. */
#ifndef GIE_WINOGRAD_K_FUSED_CUH
#define GIE_WINOGRAD_K_FUSED_CUH

#include "backends/winograd/k_gemm.cuh"
#include "backends/winograd/k_transform.cuh"

#include <cooperative_groups.h>

template <class F> struct wg_fused_shape {
  static constexpr int POINTS = F::n * F::n, K = POINTS == 16 ? 64 : 32, P = 32, C = 8;
  static constexpr int OWN = POINTS == 16 ? 2 : 3, WARPS = POINTS / OWN, THREADS = 32 * WARPS;
  static constexpr int STAGES = POINTS == 16 ? 3 : 2;
  static constexpr int WM = K, WN = P, LDA = K + 8, LDB = P + 8, ACC = K; /* as wg_slice_*() want it */
  static constexpr int U_SIZE = POINTS * C * LDA, V_SIZE = POINTS * C * LDB;
  static constexpr int LDE = P / 2 + 4, PAIRS = K * P / 2; /* exchange: [point][k][tile of 16] */
  static constexpr int E_SIZE = POINTS * K * LDE;
  static constexpr int shared = (STAGES * U_SIZE + 2 * V_SIZE) * 4;
  static_assert((E_SIZE + 2 * PAIRS * F::m * F::m) * 4 <= shared, "the exchange reuses the slices' memory");
};

template <class X> struct wg_fused_args {
  wg_geometry g;
  const X *x;
  const float *u;
  X *y;
  const void *bias;
  int half_bias, vector, k_padded, channels; /* channels of one block of a cluster */
};

template <class S, class X>
__device__ __forceinline__ void wg_fused_weights(const wg_fused_args<X> &p, float *to, int k0, int c0,
                                                 int c_end)
{
#pragma unroll
  for (int i = 0; i < S::POINTS * S::C * S::K / 4 / S::THREADS; i++) {
    int at = (int)threadIdx.x + i * S::THREADS, col = at % (S::K / 4) * 4, row = at / (S::K / 4),
        c = c0 + row % S::C;
    bool valid = c < c_end && k0 + col < p.k_padded;
    const float *from = p.u + ((int64_t)(row / S::C) * p.g.c + c) * p.k_padded + k0 + col;
    wg_copy16(to + row * S::LDA + col, valid ? from : p.u, valid ? 16 : 0);
  }
}

/* One point's sums of the first or second 16 tiles. */
template <class S, enum wg_unit UNIT>
__device__ __forceinline__ void wg_fused_exchange(float *e, const float (&acc)[S::ACC], int half)
{
  const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  if constexpr (UNIT == WG_FFMA) {
#pragma unroll
    for (int i = 0; i < S::K / 8; i++) {
      const float *r = acc + i * 8 + half * 4;
      *reinterpret_cast<float4 *>(e + wg_ffma_row<false>(i, g) * S::LDE + t * 4) = make_float4(r[0], r[1],
                                                                                               r[2], r[3]);
    }
  } else {
#pragma unroll
    for (int i = 0; i < S::K / 16; i++)
#pragma unroll
      for (int n = 0; n < 2; n++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
          const float *r = acc + ((i * 4 + half * 2 + n) * 2 + h) * 2;
          *reinterpret_cast<float2 *>(e + (i * 16 + g + h * 8) * S::LDE + n * 8 + t * 2) = make_float2(r[0],
                                                                                                       r[1]);
        }
  }
}

/* What a block sums up: its part of the input channels, into acc. */
template <class F, enum wg_unit UNIT, bool LAST, class X>
__device__ __forceinline__ void wg_fused_products(
    const wg_fused_args<X> &p, float *memory, int part, int k0, int p0,
    float (&acc)[wg_fused_shape<F>::OWN][wg_fused_shape<F>::ACC])
{
  using S = wg_fused_shape<F>;
  constexpr int C = S::C, N = F::n;
  float *su = memory, *sv = memory + S::STAGES * S::U_SIZE;
  const int warp = threadIdx.x / 32, c_begin = part * p.channels, c_end = min(p.g.c, c_begin + p.channels);
  const int slices = max(0, (c_end - c_begin + C - 1) / C);
  const bool transforms = threadIdx.x < C * S::P;
  const int my_c = LAST ? threadIdx.x % C : threadIdx.x / S::P,
            my_p = LAST ? threadIdx.x / C : threadIdx.x % S::P;
  const bool is_tile = transforms && p0 + my_p < p.g.count;
  const wg_tile tile = wg_tile_of<F::m>(p.g, (uint32_t)min(p0 + my_p, p.g.count - 1));
  const int y0 = tile.y - p.g.pad_h, x0 = tile.x - p.g.pad_w;
  const X *from = p.x + tile.n * p.g.x_n + (int64_t)y0 * p.g.x_h + (int64_t)x0 * p.g.x_w;
  uint32_t rows = 0, columns = 0;
#pragma unroll
  for (int i = 0; i < N; i++) {
    rows |= (uint32_t)(is_tile && (unsigned)(y0 + i) < (unsigned)p.g.h) << i;
    columns |= (uint32_t)((unsigned)(x0 + i) < (unsigned)p.g.w) << i;
  }
  float d[N][N];
  auto load = [&](int slice) {
    int c = c_begin + slice * C + my_c;
    uint32_t mask = c < c_end ? rows : 0;
    const X *q = from + c * p.g.x_c;
#pragma unroll
    for (int i = 0; i < N; i++)
#pragma unroll
      for (int j = 0; j < N; j++)
        d[i][j] = (mask >> i & columns >> j & 1) ? wg_load(q + (int64_t)i * p.g.x_h + j * p.g.x_w) : 0.0f;
  };
  auto transform = [&](float *to) {
    wg_input_2d<F>(d);
    if (transforms)
#pragma unroll
      for (int i = 0; i < N * N; i++)
        to[(i * C + my_c) * S::LDB + my_p] = d[i / N][i % N];
  };
#pragma unroll
  for (int s = 0; s < S::STAGES - 1; s++) {
    if (s < slices)
      wg_fused_weights<S>(p, su + s * S::U_SIZE, k0, c_begin + s * C, c_end);
    wg_copy_commit();
  }
  if (slices > 0) {
    load(0);
    transform(sv);
  }
  for (int s = 0; s < slices; s++) {
    wg_copy_wait<S::STAGES - 2>();
    __syncthreads();
    if (s + S::STAGES - 1 < slices)
      wg_fused_weights<S>(p, su + (s + S::STAGES - 1) % S::STAGES * S::U_SIZE, k0,
                          c_begin + (s + S::STAGES - 1) * C, c_end);
    wg_copy_commit();
    if (s + 1 < slices)
      load(s + 1);
#pragma unroll
    for (int f = 0; f < S::OWN; f++) {
      const float *a = su + s % S::STAGES * S::U_SIZE + (warp * S::OWN + f) * C * S::LDA;
      const float *b = sv + s % 2 * S::V_SIZE + (warp * S::OWN + f) * C * S::LDB;
      if constexpr (UNIT == WG_FFMA)
        wg_slice_ffma<S, false, C>(a, b, acc[f]);
      else
        wg_slice_tf32x3<S, false, C, false>(a, b, acc[f]);
    }
    if (s + 1 < slices)
      transform(sv + (s + 1) % 2 * S::V_SIZE);
  }
  wg_copy_wait<0>();
}

template <class F, enum wg_unit UNIT, bool LAST, class X>
__global__ void __launch_bounds__(wg_fused_shape<F>::THREADS, 1)
    wg_fused_kernel(const __grid_constant__ wg_fused_args<X> p, const __grid_constant__ gie_cuda_steps steps)
{
  using S = wg_fused_shape<F>;
  constexpr int M = F::m, N = F::n, PAIRS = S::PAIRS, HALF = S::P / 2;
  extern __shared__ __align__(128) float memory[];
#if __CUDA_ARCH__ >= 900
  cooperative_groups::cluster_group cluster = cooperative_groups::this_cluster();
  const int parts = (int)cluster.num_blocks(), part = (int)cluster.block_rank();
#else
  const int parts = 1, part = 0;
#endif
  const int k0 = (int)blockIdx.y * S::K, p0 = (int)blockIdx.x * S::P, warp = threadIdx.x / 32;
  float acc[S::OWN][S::ACC];
#pragma unroll
  for (int i = 0; i < S::OWN * S::ACC; i++)
    acc[i / S::ACC][i % S::ACC] = 0;
  wg_fused_products<F, UNIT, LAST>(p, memory, part, k0, p0, acc);

  auto finish = [&](int at, int half, float(&y)[M][M]) {
    int k = k0 + (LAST ? at % S::K : at / HALF), t = p0 + half * HALF + (LAST ? at / S::K : at % HALF);
    if (t < p.g.count && k < p.g.k)
      wg_write_tile<F>(p.g, p.y, steps, p.vector, wg_tile_of<M>(p.g, (uint32_t)t), k,
                       wg_bias(p.bias, p.half_bias, k), y);
  };
  float *e = memory, *sums = memory + S::E_SIZE; /* `sums` is what the cluster reads */
#pragma unroll
  for (int half = 0; half < 2; half++) {
    __syncthreads();
#pragma unroll
    for (int f = 0; f < S::OWN; f++)
      wg_fused_exchange<S, UNIT>(e + (warp * S::OWN + f) * S::K * S::LDE, acc[f], half);
    __syncthreads();
#pragma unroll 1
    for (int at = (int)threadIdx.x; at < PAIRS; at += S::THREADS) {
      const int k = LAST ? at % S::K : at / HALF, t = LAST ? at / S::K : at % HALF;
      float m[N][N], y[M][M];
#pragma unroll
      for (int j = 0; j < N * N; j++)
        m[j / N][j % N] = e[(j * S::K + k) * S::LDE + t];
      wg_output_2d<F>(m, y);
      if (parts == 1)
        finish(at, half, y);
      else
#pragma unroll
        for (int j = 0; j < M * M; j++)
          sums[(half * M * M + j) * PAIRS + at] = y[j / M][j % M];
    }
  }
#if __CUDA_ARCH__ >= 900
  if (parts == 1)
    return;
  cluster.sync();
#pragma unroll 1
  for (int i = (int)threadIdx.x + part * S::THREADS; i < 2 * PAIRS; i += parts * S::THREADS) {
    const int half = i / PAIRS, at = i % PAIRS;
    float y[M][M] = {};
#pragma unroll 1
    for (int other = 0; other < parts; other++) {
      const float *theirs = cluster.map_shared_rank(sums, other) + half * M * M * PAIRS + at;
#pragma unroll
      for (int j = 0; j < M * M; j++)
        y[j / M][j % M] += theirs[j * PAIRS];
    }
    finish(at, half, y);
  }
  cluster.sync(); /* this block's memory must be there until all have read it */
#endif
}

#endif
