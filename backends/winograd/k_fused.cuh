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
  static constexpr int PAIRS = K * P / 2, E_SIZE = POINTS * PAIRS; /* exchange of half the tiles */
  static_assert(E_SIZE <= STAGES * V_SIZE, "the exchange reuses the input's memory");
  static_assert(2 * PAIRS * 4 <= STAGES * U_SIZE, "inverses for the cluster reuse the weights' memory");
  static constexpr int shared = STAGES * (U_SIZE + V_SIZE) * 4 + 2 * STAGES * 8;
};

struct wg_fused_args {
  wg_geometry g;
  const float *x;
  const float *u; /* [k/64][c padded to 16][point][64] */
  float *y;
  const void *bias;
  int half_bias, vector, channels; /* of one block of a cluster */
  int blocks, work;                /* of 32 tiles; these for all output channels */
};

/* Where one point's sum of one of 16 tiles lies: by tiles, fours of channels in an order by which neither stores nor reads
 * meet a bank twice. Neighbours are swapped: four sums that are stored at once begin at a register of an even number, and
 * so each is in the other bank than its factor of the weights. */
__device__ __forceinline__ int wg_fused_at(int k, int tile)
{
  return tile * wg_fused_shape::K +
         (k ^ 1 ^ ((tile << 1 ^ tile << 3) & 16) ^ (tile << 1 & 8) ^ (tile << 2 & 4));
}

__device__ __forceinline__ void wg_fused_exchange(float *e, const float (&acc)[wg_fused_shape::ACC], int half)
{
  int g, t;
  wg_ffma_lane(g, t);
#pragma unroll
  for (int i = 0; i < 8; i += 4)
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const float *r = acc + i * 8 + half * 4 + j;
      *reinterpret_cast<float4 *>(
          e + wg_fused_at(wg_ffma_row<false>(i, g) ^ 1, t * 4 + j)) = make_float4(r[8], r[0], r[24], r[16]);
    }
}

/* Pair `at` of a channel and one of 16 tiles, as a warp's lanes read and write them: 32 channels, or 4 of 8 tiles. */
template <bool LAST> __device__ __forceinline__ void wg_fused_pair(int at, int &k, int &tile)
{
  k = LAST ? at % wg_fused_shape::K : at / 64 * 4 + at / 8 % 4;
  tile = LAST ? at / wg_fused_shape::K : at / 32 % 2 * 8 + at % 8;
}

/* One tile of one channel of every second slice, as a thread transforms it. */
template <bool LAST> struct wg_fused_input {
  const float *from;
  int64_t step; /* from one to the next */
  int x_h, x_w, channel, store;
  uint32_t mask; /* which of the 16 lie in the image */
  float d[4][4];

  __device__ __forceinline__ void aim(const wg_fused_args &p, int c_begin, int p0)
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
    for (int i = 0; i < 4; i++) {
      const float *at = from + (int64_t)i * x_h;
#pragma unroll
      for (int j = 0; j < 4; j++, at += x_w)
        d[i][j] = valid >> (i * 4 + j) & 1 ? *at : 0.0f;
    }
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

/* A block's way through its pieces of work, each 64 output channels of 32 tiles; buffers are taken in turn over all. */
template <bool LAST> struct wg_fused_block {
  using S = wg_fused_shape;
  using F = wg_f2r3;
  const wg_fused_args &p;
  float *su, *sv;
  wg_fused_steps *steps;
  int c_begin, c_end, slices /* an even number */, warp, turn, a_at, b_at;
  int first; /* how many slices have been before this work */
  wg_fused_input<LAST> input;

  __device__ __forceinline__ wg_fused_block(const wg_fused_args &args, float *memory, int part)
      : p(args), su(memory), sv(memory + S::STAGES * S::U_SIZE),
        steps(reinterpret_cast<wg_fused_steps *>(sv + S::STAGES * S::V_SIZE)), first(0)
  {
    int g, t;
    wg_ffma_lane(g, t);
    c_begin = part * p.channels, c_end = min(p.g.c, c_begin + p.channels);
    slices = max(0, (c_end - c_begin + 2 * S::C - 1) / (2 * S::C) * 2);
    warp = __shfl_sync(~0u, (int)threadIdx.x / 32, 0), turn = warp / (S::WARPS / S::AHEAD);
    a_at = warp * S::K + g * 4, b_at = warp * S::C * S::LDB + t * 4;
    asm("" : "+r"(a_at), "+r"(b_at)); /* kept, not computed anew in each slice */
  }
  /* One thread's: weights of slice s of this work or, behind its end, of the next. */
  __device__ __forceinline__ void fetch(int work, int s)
  {
    const int stage = (first + s) % S::STAGES;
    if (s >= slices)
      s -= slices, work += (int)gridDim.x;
    const int64_t padded = (p.g.c + 15) / 16 * 16;
    wg_barrier_expect(&steps->full[stage], S::U_SIZE * 4);
    wg_copy_bulk(su + stage * S::U_SIZE,
                 p.u + (work / p.blocks * padded + c_begin + s * S::C) * (int64_t)S::LDA, S::U_SIZE * 4,
                 &steps->full[stage]);
  }
  __device__ __forceinline__ void begin(int work)
  {
    if (threadIdx.x == 0) {
      for (int s = 0; s < S::STAGES; s++) {
        wg_barrier_make(&steps->full[s], 1 + S::WARPS / S::AHEAD * WG_FUSED_LANES);
        wg_barrier_make(&steps->done[s], S::WARPS * WG_FUSED_LANES);
      }
      wg_barrier_made();
      for (int s = 0; s < min(slices, S::AHEAD); s++)
        fetch(work, s);
    }
    __syncthreads();
  }
  __device__ __forceinline__ void load(int work)
  {
    input.aim(p, c_begin, work % p.blocks * S::P);
    input.load(c_end);
  }
  __device__ __forceinline__ void store(int s) /* and load what comes next */
  {
    const int stage = (first + s) % S::STAGES;
    input.transform(sv + stage * S::V_SIZE);
    wg_fused_arrive(&steps->full[stage]);
    input.load(c_end);
  }
  /* What a block sums up: its part of the input channels, into acc. */
  __device__ __forceinline__ void multiply(int work, bool more, float (&acc)[S::ACC])
  {
    store(turn);
#pragma unroll 1
    for (int pair = 0; pair < slices; pair += 2) {
#pragma unroll
      for (int i = 0; i < 2; i++) {
        const int at = first + pair, stage = at % S::STAGES + i, next = pair + i + S::AHEAD;
        const float *a = su + stage * S::U_SIZE + a_at, *b = sv + stage * S::V_SIZE + b_at;
        wg_barrier_wait(&steps->full[stage], at / S::STAGES % 2);
        wg_fused_multiply(a, b, acc);
        if (i == turn && (more || next < slices)) {
          if (at > 0)
            wg_barrier_wait(&steps->done[(at + S::AHEAD) % S::STAGES + i], (at - S::AHEAD) / S::STAGES % 2);
          if (threadIdx.x % S::HALF == 0)
            fetch(work, next);
          if (next < slices)
            store(next);
        }
        wg_fused_multiply(a + S::C / 2 * S::LDA, b + S::C / 2 * S::LDB, acc);
        wg_fused_arrive(&steps->done[stage]);
      }
    }
    first += slices;
  }
};

template <bool LAST>
__global__ void __launch_bounds__(wg_fused_shape::THREADS, 1)
    wg_fused_kernel(const __grid_constant__ wg_fused_args p, const __grid_constant__ gie_cuda_steps steps)
{
  using S = wg_fused_shape;
  using F = wg_f2r3;
  constexpr int M = F::m, N = F::n, PAIRS = S::PAIRS;
  extern __shared__ __align__(128) float memory[];
#if __CUDA_ARCH__ >= 900
  cooperative_groups::cluster_group cluster = cooperative_groups::this_cluster();
  const int parts = (int)cluster.num_blocks(), part = (int)cluster.block_rank();
#else
  const int parts = 1, part = 0;
#endif
  int work = (int)blockIdx.x;
  wg_let_next_start();
  wg_fused_block<LAST> block(p, memory, part);
  block.begin(work);
  wg_wait_for_previous();
  block.load(work);

  auto finish = [&](int at, int half, float(&y)[M][M]) {
    int k, t;
    wg_fused_pair<LAST>(at, k, t);
    k += work / p.blocks * S::K, t += work % p.blocks * S::P + half * (S::P / 2);
    if (t < p.g.count && k < p.g.k)
      wg_write_tile<F>(p.g, p.y, steps, p.vector, wg_tile_of<M>(p.g, (uint32_t)t), k,
                       wg_bias(p.bias, p.half_bias, k), y);
  };
  float *e = block.sv,
        *sums = block.su; /* `sums` is what the cluster reads: such a block has one piece of work */
#pragma unroll 1
  for (;; work += (int)gridDim.x) {
    const bool more = work + (int)gridDim.x < p.work;
    float acc[S::ACC];
#pragma unroll
    for (int i = 0; i < S::ACC; i++)
      acc[i] = 0;
    block.multiply(work, more, acc);
    if (more)
      block.load(work + (int)gridDim.x);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      __syncthreads();
      wg_fused_exchange(e + block.warp * PAIRS, acc, half);
      __syncthreads();
#pragma unroll 1
      for (int at = (int)threadIdx.x; at < PAIRS; at += S::THREADS) {
        int k, tile;
        wg_fused_pair<LAST>(at, k, tile);
        const float *from = e + wg_fused_at(k, tile);
        float m[N][N], y[M][M];
#pragma unroll
        for (int j = 0; j < N * N; j++)
          m[j / N][j % N] = from[j * PAIRS];
        wg_output_2d<F>(m, y);
        if (parts == 1)
          finish(at, half, y);
        else
#pragma unroll
          for (int j = 0; j < M * M; j++)
            sums[(half * M * M + j) * PAIRS + at] = y[j / M][j % M];
      }
    }
    if (!more)
      break;
    __syncthreads();
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
