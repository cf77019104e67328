/* SPDX-License-Identifier: Apache-2.0 */
/* F(2×2,3×3) in one kernel: transform, products of all 16 points, inverse.
 *
 * A block of 512 threads makes 64 output channels of 32 tiles. It goes through slices of 16 input channels: each thread
 * transforms one tile of one channel into shared memory while the slice before is multiplied; each warp has one point,
 * 64×32 sums of it in registers, 8×8 a thread. Weights come as one copy of 64 KiB a slice, one slice ahead. At the end
 * the points meet in shared memory, 16 tiles at a time, and are inverted. Blocks of a cluster may share one sum: each takes
 * some of the input channels, and they add their inverses over the cluster's shared memory in a fixed order.
 *
 * Shared memory: weights 2×64 KiB, transformed input 2×36 KiB; 1 block a multiprocessor, 4 warps a scheduler.
 *
 * Roofline: 2·16·C·K·tiles operations of FFMA. A thread has 1024 FFMA a slice, 64 16-byte reads, 16 loads, 32 additions
 * and 16 stores and some 100 others: 80 % at best. The reads take 2048 of a slice's 4096 cycles (wg_ffma_lane), the
 * rest of the traffic in shared memory 1000; weights cost the cache 16 bytes a cycle and multiprocessor. */
#ifndef GIE_WINOGRAD_K_FUSED_CUH
#define GIE_WINOGRAD_K_FUSED_CUH

#include "backends/winograd/k_gemm.cuh"
#include "backends/winograd/k_transform.cuh"

#include <cooperative_groups.h>

struct wg_fused_shape {
  static constexpr int POINTS = 16, K = 64, P = 32, C = 16, THREADS = 512, STAGES = 2;
  static_assert(STAGES == 2, "buffers alternate");
  static constexpr int WM = K, WN = P, ACC = K * P / 32;
  static constexpr int LDA = POINTS * K,
                       LDB = P + 4; /* from channel to channel; LDB: stores meet no bank twice */
  static constexpr int U_SIZE = POINTS * C * K, V_SIZE = POINTS * C * LDB;
  static constexpr int LDE = P / 2 + 4, PAIRS = K * P / 2; /* exchange: [point][k][tile of 16] */
  static constexpr int E_SIZE = POINTS * K * LDE;
  static constexpr int shared = (STAGES * U_SIZE + 2 * V_SIZE) * 4;
  static_assert((E_SIZE + 2 * PAIRS * 4) * 4 <= shared, "the exchange reuses the slices' memory");
};

struct wg_fused_args {
  wg_geometry g;
  const float *x;
  const float *u; /* [k/64][c padded to 16][point][64] */
  float *y;
  const void *bias;
  int half_bias, vector, channels; /* of one block of a cluster */
};

/* One point's sums of the first or second 16 tiles. */
__device__ __forceinline__ void wg_fused_exchange(float *e, const float (&acc)[wg_fused_shape::ACC], int half)
{
  int g, t;
  wg_ffma_lane(g, t);
#pragma unroll
  for (int i = 0; i < wg_fused_shape::K / 8; i++) {
    const float *r = acc + i * 8 + half * 4;
    *reinterpret_cast<float4 *>(e + wg_ffma_row<false>(i, g) * wg_fused_shape::LDE +
                                t * 4) = make_float4(r[0], r[1], r[2], r[3]);
  }
}

/* One tile of one channel of each slice, as a thread transforms it. */
template <bool LAST> struct wg_fused_input {
  const float *from;
  int64_t step; /* from slice to slice */
  int x_h, x_w, channel, store;
  uint32_t mask; /* which of the 16 lie in the image */
  float d[4][4];

  __device__ __forceinline__ wg_fused_input(const wg_fused_args &p, int c_begin, int p0)
  {
    using S = wg_fused_shape;
    const int c = (int)(LAST ? threadIdx.x % S::C : threadIdx.x / S::P),
              t = (int)(LAST ? threadIdx.x / S::C : threadIdx.x % S::P);
    const wg_tile tile = wg_tile_of<2>(p.g, (uint32_t)min(p0 + t, p.g.count - 1));
    const int y0 = tile.y - p.g.pad_h, x0 = tile.x - p.g.pad_w;
    channel = c_begin + c;
    store = c * S::LDB + t;
    from = p.x + tile.n * p.g.x_n + channel * p.g.x_c + (int64_t)y0 * p.g.x_h + (int64_t)x0 * p.g.x_w;
    step = S::C * p.g.x_c;
    x_h = p.g.x_h, x_w = LAST ? p.g.x_w : 1;
    mask = 0;
#pragma unroll
    for (int i = 0; i < 16; i++)
      mask |= (uint32_t)(p0 + t < p.g.count && (unsigned)(y0 + i / 4) < (unsigned)p.g.h &&
                         (unsigned)(x0 + i % 4) < (unsigned)p.g.w)
              << i;
  }
  __device__ __forceinline__ void load(int c_end)
  {
    const uint32_t valid = channel < c_end ? mask : 0;
#pragma unroll
    for (int i = 0; i < 16; i++)
      d[i / 4][i % 4] = valid >> i & 1 ? from[(int64_t)(i / 4) * x_h + (i % 4) * x_w] : 0.0f;
    from += step;
    channel += wg_fused_shape::C;
  }
  __device__ __forceinline__ void transform(float *to)
  {
    wg_input_2d<wg_f2r3>(d);
#pragma unroll
    for (int i = 0; i < 16; i++)
      to[i * wg_fused_shape::C * wg_fused_shape::LDB + store] = d[i / 4][i % 4];
  }
};

/* How the warps keep in step, without a barrier that all reach at once. */
struct wg_fused_steps {
  uint64_t
      full[wg_fused_shape::STAGES]; /* weights have come, and each warp has stored its part of the input */
  uint64_t done[wg_fused_shape::STAGES]; /* each warp has read them */
  int left
      [wg_fused_shape::STAGES]; /* warps that have, over all slices: the last has the buffer filled again */
};

/* What a block sums up: its part of the input channels, into acc. */
template <bool LAST>
__device__ __forceinline__ void wg_fused_products(const wg_fused_args &p, float *memory,
                                                  wg_fused_steps &steps, int part, int k_block, int p0,
                                                  float (&acc)[wg_fused_shape::ACC])
{
  using S = wg_fused_shape;
  constexpr int WARPS = S::THREADS / 32;
  float *su = memory, *sv = memory + S::STAGES * S::U_SIZE;
  const int warp = threadIdx.x / 32, c_begin = part * p.channels, c_end = min(p.g.c, c_begin + p.channels);
  const int slices = max(0, (c_end - c_begin + S::C - 1) / S::C), padded = (p.g.c + S::C - 1) / S::C * S::C;
  const float *u = p.u + ((int64_t)k_block * padded + c_begin) * S::LDA;
  auto fetch = [&](int s, int to) {
    wg_barrier_expect(&steps.full[to], S::U_SIZE * 4);
    wg_copy_bulk(su + to * S::U_SIZE, u + (int64_t)s * S::U_SIZE, S::U_SIZE * 4, &steps.full[to]);
  };
  if (threadIdx.x == 0) {
    for (int s = 0; s < S::STAGES; s++) {
      wg_barrier_make(&steps.full[s], 1 + WARPS);
      wg_barrier_make(&steps.done[s], WARPS);
      steps.left[s] = 0;
    }
    wg_barrier_made();
    for (int s = 0; s < min(slices, S::STAGES); s++)
      fetch(s, s);
  }
  __syncthreads();
  wg_fused_input<LAST> input(p, c_begin, p0);
  wg_wait_for_previous();
  input.load(c_end);
  input.transform(sv);
  __syncwarp();
  if (threadIdx.x % 32 == 0)
    wg_barrier_arrive(&steps.full[0]);
  input.load(
      c_end); /* half a slice before the transform, which the compiler moves to the start of its half */
  for (int s = 0; s < slices; s++) {
    const int stage = s % 2, phase = s / 2 % 2;
    const float *a = su + stage * S::U_SIZE + warp * S::K;
    const float *b = sv + stage * S::V_SIZE + warp * S::C * S::LDB;
    wg_barrier_wait(&steps.full[stage], phase);
    wg_slice_ffma<S, false, S::C / 2>(a, b, acc);
    if (s > 0)
      wg_barrier_wait(&steps.done[1 - stage], (s - 1) / 2 % 2);
    input.transform(sv + (1 - stage) * S::V_SIZE);
    __syncwarp();
    if (threadIdx.x % 32 == 0)
      wg_barrier_arrive(&steps.full[1 - stage]);
    input.load(c_end);
    wg_slice_ffma<S, false, S::C / 2>(a + S::C / 2 * S::LDA, b + S::C / 2 * S::LDB, acc);
    __syncwarp();
    if (threadIdx.x % 32 == 0) {
      wg_barrier_arrive(&steps.done[stage]);
      __threadfence_block();
      if (atomicAdd(&steps.left[stage], 1) % WARPS == WARPS - 1 && s + S::STAGES < slices) {
        __threadfence_block();
        fetch(s + S::STAGES, stage);
      }
    }
    __syncwarp();
  }
}

template <bool LAST>
__global__ void __launch_bounds__(wg_fused_shape::THREADS, 1)
    wg_fused_kernel(const __grid_constant__ wg_fused_args p, const __grid_constant__ gie_cuda_steps steps)
{
  using S = wg_fused_shape;
  using F = wg_f2r3;
  constexpr int M = F::m, N = F::n, PAIRS = S::PAIRS, HALF = S::P / 2;
  extern __shared__ __align__(128) float memory[];
  __shared__ wg_fused_steps in_step;
#if __CUDA_ARCH__ >= 900
  cooperative_groups::cluster_group cluster = cooperative_groups::this_cluster();
  const int parts = (int)cluster.num_blocks(), part = (int)cluster.block_rank();
#else
  const int parts = 1, part = 0;
#endif
  const int k0 = (int)blockIdx.y * S::K, p0 = (int)blockIdx.x * S::P, warp = threadIdx.x / 32;
  float acc[S::ACC];
  wg_let_next_start();
#pragma unroll
  for (int i = 0; i < S::ACC; i++)
    acc[i] = 0;
  wg_fused_products<LAST>(p, memory, in_step, part, (int)blockIdx.y, p0, acc);

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
    wg_fused_exchange(e + warp * S::K * S::LDE, acc, half);
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
