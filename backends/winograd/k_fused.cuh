/* SPDX-License-Identifier: Apache-2.0 */
/* F(2×2,3×3) in one kernel: transform, products of all 16 points, inverse.
 *
 * A block of 512 threads makes 64 output channels of 32 tiles: each warp has one point, 64×32 sums of it in registers, 8×8 a
 * thread. Input channels go by in slices of 8 through four buffers. The two halves of the block take turns: in the middle of
 * a slice's products one half makes the slice after the next, each thread transforms one tile of one channel that it loaded
 * two slices before, and its first warp asks for that slice's weights, one copy of 32 KiB. Nobody waits for the whole
 * block; warps may be more than a slice apart, so that one's reads and transforms fall into another's products. At the end
 * the points meet in shared memory and are inverted. Blocks of a cluster may share one sum: each takes some of the input
 * channels, and they add their inverses over the cluster's shared memory in a fixed order.
 *
 * Shared memory: weights 4×32 KiB, transformed input 4×18 KiB; 1 block a multiprocessor, 4 warps a scheduler.
 *
 * Roofline: 2·16·C·K·tiles operations of FFMA. For 16 channels a thread has 1024 FFMA, 64 16-byte reads, 16 loads, 32
 * additions, 16 stores and some 100 others: 82 % at best. The reads take 2048 of the 4096 cycles that the FFMA do
 * (wg_ffma_lane), the rest of the traffic in shared memory 1000; weights cost the cache 16 bytes a cycle and
 * multiprocessor. An FFMA whose three operands lie in one of the two banks of registers takes two cycles: the sums go to
 * shared memory in an order that has the compiler give them the banks that the factors leave free (wg_fused_at). */
#ifndef GIE_WINOGRAD_K_FUSED_CUH
#define GIE_WINOGRAD_K_FUSED_CUH

#include "backends/winograd/k_gemm.cuh"
#include "backends/winograd/k_transform.cuh"

#include <cooperative_groups.h>

struct wg_fused_shape {
  static constexpr int POINTS = 16, K = 64, P = 32, C = 8, THREADS = 512, STAGES = 4, AHEAD = 2;
  static_assert(STAGES == 2 * AHEAD, "a buffer is filled again two slices after it was read");
  static constexpr int WM = K, WN = P, ACC = K * P / 32;
  static constexpr int WARPS = THREADS / 32, HALF = C * P; /* threads that make a slice */
  static_assert(THREADS == AHEAD * HALF, "halves take turns");
  static constexpr int LDA = POINTS * K,
                       LDB = P + 4; /* from channel to channel; LDB: stores meet no bank twice */
  static constexpr int U_SIZE = POINTS * C * K, V_SIZE = POINTS * C * LDB;
  static constexpr int PAIRS = K * P, E_SIZE = POINTS * PAIRS; /* exchange, inverses */
  static constexpr int BUFFERS = STAGES * (U_SIZE + V_SIZE), shared = BUFFERS * 4 + 2 * STAGES * 8;
  static_assert(E_SIZE + PAIRS * 4 <= BUFFERS, "the exchange reuses the slices' memory");
};

struct wg_fused_args {
  wg_geometry g;
  const float *x;
  const float *u; /* [k/64][c padded to 16][point][64] */
  float *y;
  const void *bias;
  int half_bias, vector, channels; /* of one block of a cluster */
};

/* Where one point's sum lies. Neither stores nor reads meet a bank twice. Neighbours are swapped, so that four sums stored at
 * once are in registers of the other bank than the factors' of the same index, as FFMA likes it. */
template <bool LAST> __device__ __forceinline__ int wg_fused_at(int k, int tile)
{
  using S = wg_fused_shape;
  return LAST ? tile * S::K + (k ^ 1 ^ (tile & 12) << 1) : k * S::P + (tile ^ 1 ^ (k & 4) << 2);
}

template <bool LAST>
__device__ __forceinline__ void wg_fused_exchange(float *e, const float (&acc)[wg_fused_shape::ACC])
{
  constexpr int STEP = LAST ? 8 : 1; /* from one of four to the next */
  int g, t;
  wg_ffma_lane(g, t);
#pragma unroll
  for (int i = 0; i < 16; i++) {
    const int row = LAST ? i / 8 * 4 : i / 2, col = LAST ? i % 8 : i % 2 * 4, k = wg_ffma_row<false>(row, g),
              tile = col / 4 * 16 + t * 4 + col % 4;
    const float *r = acc + row * 8 + col;
    *reinterpret_cast<float4 *>(
        e + (LAST ? wg_fused_at<true>(k ^ 1, tile)
                  : wg_fused_at<false>(k, tile ^ 1))) = make_float4(r[STEP], r[0], r[3 * STEP], r[2 * STEP]);
  }
}

/* One tile of one channel of every second slice, as a thread transforms it. */
template <bool LAST> struct wg_fused_input {
  const float *from;
  int64_t step; /* from one to the next */
  int x_h, x_w, channel, store;
  uint32_t mask; /* which of the 16 lie in the image */
  float d[4][4];

  __device__ __forceinline__ wg_fused_input(const wg_fused_args &p, int c_begin, int p0)
  {
    using S = wg_fused_shape;
    const int at = (int)threadIdx.x % S::HALF, c = LAST ? at % S::C : at / S::P,
              t = LAST ? at / S::C : at % S::P;
    const wg_tile tile = wg_tile_of<2>(p.g, (uint32_t)min(p0 + t, p.g.count - 1));
    const int y0 = tile.y - p.g.pad_h, x0 = tile.x - p.g.pad_w;
    channel = c_begin + (int)threadIdx.x / S::HALF * S::C + c;
    store = c * S::LDB + t;
    from = p.x + tile.n * p.g.x_n + channel * p.g.x_c + (int64_t)y0 * p.g.x_h + (int64_t)x0 * p.g.x_w;
    step = S::AHEAD * S::C * p.g.x_c;
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
    channel += wg_fused_shape::AHEAD * wg_fused_shape::C;
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
  uint64_t full[wg_fused_shape::STAGES]; /* weights have come, and half the warps have stored their input */
  uint64_t done[wg_fused_shape::STAGES]; /* each warp has read them */
};

#ifndef WG_FUSED_LANES
#define WG_FUSED_LANES 32 /* of a warp, that arrive at a barrier: one for all, or 32 */
#endif
__device__ __forceinline__ void wg_fused_arrive(uint64_t *barrier)
{
  if (WG_FUSED_LANES == 1)
    __syncwarp();
  if (WG_FUSED_LANES == 32 || threadIdx.x % 32 == 0)
    wg_barrier_arrive(barrier);
}

/* One point's products of half a slice; a, b: where this lane's rows and columns begin. */
__device__ __forceinline__ void wg_fused_multiply(const float *a, const float *b,
                                                  float (&acc)[wg_fused_shape::ACC])
{
  using S = wg_fused_shape;
#pragma unroll
  for (int c = 0; c < S::C / 2; c++) {
    const float4 *ra = reinterpret_cast<const float4 *>(a + c * S::LDA),
                 *rb = reinterpret_cast<const float4 *>(b + c * S::LDB);
    const float4 a0 = ra[0], b0 = rb[0], a1 = ra[8], b1 = rb[4];
    const float fa[8] = {a0.x, a0.y, a0.z, a0.w, a1.x, a1.y, a1.z, a1.w},
                fb[8] = {b0.x, b0.y, b0.z, b0.w, b1.x, b1.y, b1.z, b1.w};
#pragma unroll
    for (int j = 0; j < 8; j++)
#pragma unroll
      for (int n = 0; n < 8; n++) {
        const int i = j % 2 ? 7 - n : n; /* neighbours have a factor in common */
        acc[i * 8 + j] = fmaf(fa[i], fb[j], acc[i * 8 + j]);
      }
  }
}

/* What a block sums up: its part of the input channels, into acc. */
template <bool LAST>
__device__ __forceinline__ void wg_fused_products(const wg_fused_args &p, float *memory, int part,
                                                  int k_block, int p0, float (&acc)[wg_fused_shape::ACC])
{
  using S = wg_fused_shape;
  float *su = memory, *sv = memory + S::STAGES * S::U_SIZE;
  wg_fused_steps &steps = *reinterpret_cast<wg_fused_steps *>(memory + S::BUFFERS);
  int g, t;
  wg_ffma_lane(g, t);
  const int warp = __shfl_sync(~0u, (int)threadIdx.x / 32, 0), turn = warp / (S::WARPS / S::AHEAD);
  const int c_begin = part * p.channels, c_end = min(p.g.c, c_begin + p.channels);
  const int slices = max(0, (c_end - c_begin + S::C - 1) / S::C), padded = (p.g.c + 15) / 16 * 16;
  const float *u = p.u + ((int64_t)k_block * padded + c_begin) * S::LDA;
  int a_at = warp * S::K + g * 4, b_at = warp * S::C * S::LDB + t * 4;
  asm("" : "+r"(a_at), "+r"(b_at)); /* kept, not computed anew in each slice */
  auto fetch = [&](int s) {
    uint64_t *full = &steps.full[s % S::STAGES];
    wg_barrier_expect(full, S::U_SIZE * 4);
    wg_copy_bulk(su + s % S::STAGES * S::U_SIZE, u + (int64_t)s * S::U_SIZE, S::U_SIZE * 4, full);
  };
  if (threadIdx.x == 0) {
    for (int s = 0; s < S::STAGES; s++) {
      wg_barrier_make(&steps.full[s], 1 + S::WARPS / S::AHEAD * WG_FUSED_LANES);
      wg_barrier_make(&steps.done[s], S::WARPS * WG_FUSED_LANES);
    }
    wg_barrier_made();
    for (int s = 0; s < min(slices, S::AHEAD); s++)
      fetch(s);
  }
  __syncthreads();
  wg_fused_input<LAST> input(p, c_begin, p0);
  wg_wait_for_previous();
  auto store = [&](int s) { /* and load what comes next */
                            input.transform(sv + s % S::STAGES * S::V_SIZE);
                            wg_fused_arrive(&steps.full[s % S::STAGES]);
                            input.load(c_end);
  };
  input.load(c_end);
  store(turn);
#pragma unroll 1
  for (int s = 0; s < slices; s++) {
    const int stage = s % S::STAGES, next = s + S::AHEAD;
    const float *a = su + stage * S::U_SIZE + a_at, *b = sv + stage * S::V_SIZE + b_at;
    wg_barrier_wait(&steps.full[stage], s / S::STAGES % 2);
    wg_fused_multiply(a, b, acc);
    if (s % S::AHEAD == turn && next < slices) {
      if (s >= S::AHEAD)
        wg_barrier_wait(&steps.done[next % S::STAGES], (s - S::AHEAD) / S::STAGES % 2);
      if (threadIdx.x % S::HALF == 0)
        fetch(next);
      store(next);
    }
    wg_fused_multiply(a + S::C / 2 * S::LDA, b + S::C / 2 * S::LDB, acc);
    wg_fused_arrive(&steps.done[stage]);
  }
}

template <bool LAST>
__global__ void __launch_bounds__(wg_fused_shape::THREADS, 1)
    wg_fused_kernel(const __grid_constant__ wg_fused_args p, const __grid_constant__ gie_cuda_steps steps)
{
  using S = wg_fused_shape;
  using F = wg_f2r3;
  constexpr int M = F::m, N = F::n;
  extern __shared__ __align__(128) float memory[];
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
  wg_fused_products<LAST>(p, memory, part, (int)blockIdx.y, p0, acc);

  auto finish = [&](int at, float(&y)[M][M]) {
    int k = k0 + (LAST ? at % S::K : at / S::P), t = p0 + (LAST ? at / S::K : at % S::P);
    if (t < p.g.count && k < p.g.k)
      wg_write_tile<F>(p.g, p.y, steps, p.vector, wg_tile_of<M>(p.g, (uint32_t)t), k,
                       wg_bias(p.bias, p.half_bias, k), y);
  };
  float *e = memory, *sums = memory + S::E_SIZE; /* `sums` is what the cluster reads */
  __syncthreads();
  wg_fused_exchange<LAST>(e + warp * S::PAIRS, acc);
  __syncthreads();
#pragma unroll 1
  for (int at = (int)threadIdx.x; at < S::PAIRS; at += S::THREADS) {
    const float *from = e + (LAST ? wg_fused_at<true>(at % S::K, at / S::K)
                                  : wg_fused_at<false>(at / S::P, at % S::P));
    float m[N][N], y[M][M];
#pragma unroll
    for (int j = 0; j < N * N; j++)
      m[j / N][j % N] = from[j * S::PAIRS];
    wg_output_2d<F>(m, y);
    if (parts == 1)
      finish(at, y);
    else
#pragma unroll
      for (int j = 0; j < M * M; j++)
        sums[j * S::PAIRS + at] = y[j / M][j % M];
  }
#if __CUDA_ARCH__ >= 900
  if (parts == 1)
    return;
  cluster.sync();
#pragma unroll 1
  for (int at = (int)threadIdx.x + part * S::THREADS; at < S::PAIRS; at += parts * S::THREADS) {
    float y[M][M] = {};
#pragma unroll 1
    for (int other = 0; other < parts; other++) {
      const float *theirs = cluster.map_shared_rank(sums, other) + at;
#pragma unroll
      for (int j = 0; j < M * M; j++)
        y[j / M][j % M] += theirs[j * S::PAIRS];
    }
    finish(at, y);
  }
  cluster.sync(); /* this block's memory must be there until all have read it */
#endif
}

#endif
