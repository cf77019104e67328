/* SPDX-License-Identifier: Apache-2.0 */
/* F(2×2,3×3) in one kernel: transform, products of all 16 points, inverse.
 *
 * A piece of work is 64 output channels of 32 tiles; as many blocks of 512 threads as there are multiprocessors take the
 * pieces by turns. Each warp has one point, 64×32 sums of it in registers, 8×8 a thread. Input channels go by in slices of 8
 * through four buffers. The two halves of the block take turns: in the middle of a slice's products one half makes the
 * slice after the next, each thread transforms one tile of one channel that it loaded two slices before, and one of its
 * threads asks for that slice's weights, one copy of 32 KiB. Nobody waits for the whole block; warps may be more than a
 * slice apart, so that one's reads and transforms fall into another's products. At the end of a piece the points meet in
 * shared memory, and a thread inverts four channels of a tile; weights and input of the next piece are on their way by
 * then, and its first slices are made before the results are stored. Blocks of a cluster may share one sum: each takes
 * some of the input channels, and they add their inverses over the cluster's shared memory in a fixed order.
 *
 * Shared memory: weights 4×32 KiB, transformed input 4×18 KiB; 1 block a multiprocessor, 4 warps a scheduler.
 *
 * Roofline: 2·16·C·K·tiles operations of FFMA. For 16 channels a thread has 1024 FFMA, 64 16-byte reads, 16 loads, 32
 * additions, 16 stores and some 100 others: 82 % at best. The reads take 2048 of the 4096 cycles that the FFMA do
 * (wg_ffma_lane), the rest of the traffic in shared memory 1000; weights cost the cache 16 bytes a cycle and
 * multiprocessor. An FFMA that reads two registers of one bank anew takes two cycles: the sums go to shared memory in an
 * order that has the compiler give them the banks that the factors leave free (wg_fused_at). All registers are in use: what
 * is needed between pieces only is computed there, what kernel arguments can hold is read from them. */
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
  static_assert(E_SIZE <= STAGES * V_SIZE && E_SIZE <= AHEAD * U_SIZE && 2 * PAIRS * 4 <= AHEAD * U_SIZE,
                "halves of the exchange and inverses for the cluster reuse the slices' memory");
  static constexpr int shared = STAGES * (U_SIZE + V_SIZE) * 4 + 2 * STAGES * 8;
};

struct wg_fused_args {
  wg_geometry g;
  const float *x;
  const float *u; /* [k/64][c padded to 16][point][64] */
  float *y;
  const float *bias;
  int vector;        /* results are stored as vectors */
  int channels;      /* that one block of a cluster sums up */
  wg_divider blocks; /* of 32 tiles */
  int work;          /* pieces: these, for each 64 output channels */
  int64_t step;      /* of the input, in bytes, from a slice to the next but one */
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

/* The thread's number, asked for anew: what is computed from it between pieces is to hold no register during the products. */
__device__ __forceinline__ int wg_fused_thread()
{
  int thread;
  asm volatile("mov.u32 %0, %%tid.x;" : "=r"(thread));
  return thread;
}

/* The four channels and the tile that a thread inverts: a warp's lanes have the 64 channels of two tiles, or 8 of 16. */
template <bool LAST> __device__ __forceinline__ int wg_fused_k(int thread)
{
  return thread / (LAST ? 1 : 16) % 16 * 4;
}
template <bool LAST> __device__ __forceinline__ int wg_fused_tile(int thread)
{
  return LAST ? thread / 16 : thread / 256 * 16 + thread % 16;
}

/* Not as the compiler would: what is not loaded stays as it is. */
__device__ __forceinline__ void wg_load_if(float &d, const float *from, uint32_t when)
{
  asm volatile("{\n.reg .pred p;\nsetp.ne.u32 p, %2, 0;\n@p ld.global.f32 %0, [%1];\n}"
               : "+f"(d)
               : "l"(from), "r"(when));
}

/* One tile of one channel of every second slice, as a thread transforms it. */
template <bool LAST> struct wg_fused_input {
  const float *from;
  int left, store; /* channels up to the end of the part */
  uint32_t mask;   /* which of the 16 lie in the image */
  float d[4][4];

  __device__ __forceinline__ void aim(const wg_fused_args &p, int c_begin, int c_end, int p0)
  {
    using S = wg_fused_shape;
    const int thread = wg_fused_thread(), at = thread % S::HALF, c = LAST ? at % S::C : at / S::P,
              t = LAST ? at / S::C : at % S::P;
    const wg_tile tile = wg_tile_of<2>(p.g, (uint32_t)min(p0 + t, p.g.count - 1));
    const int y0 = tile.y - p.g.pad_h, x0 = tile.x - p.g.pad_w;
    const int channel = c_begin + thread / S::HALF * S::C + c;
    left = c_end - channel;
    store = c * S::LDB + t;
    from = p.x + tile.n * p.g.x_n + channel * p.g.x_c + (int64_t)y0 * p.g.x_h + (int64_t)x0 * p.g.x_w;
    uint32_t columns = 0;
#pragma unroll
    for (int j = 0; j < 4; j++)
      columns |= (uint32_t)((unsigned)(x0 + j) < (unsigned)p.g.w) << j;
    if (p0 + t >= p.g.count)
      columns = 0;
    mask = 0;
#pragma unroll
    for (int i = 0; i < 4; i++)
      mask |= (unsigned)(y0 + i) < (unsigned)p.g.h ? columns << i * 4 : 0;
    clear(); /* and what lies outside stays so */
  }
  __device__ __forceinline__ void clear()
  {
#pragma unroll
    for (int i = 0; i < 16; i++)
      asm volatile("mov.f32 %0, 0f00000000;" : "=f"(d[i / 4][i % 4]));
  }
  __device__ __forceinline__ void load(const wg_fused_args &p)
  {
    uint32_t valid = mask;
    if (left <= 0) {
      valid = 0;
      clear();
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const float *at = from + (int64_t)i * p.g.x_h;
#pragma unroll
      for (int j = 0; j < 4; j++, at += LAST ? p.g.x_w : 1)
        wg_load_if(d[i][j], at, valid & 1u << (i * 4 + j));
    }
    from = reinterpret_cast<const float *>(reinterpret_cast<const char *>(from) + p.step);
    left -= wg_fused_shape::AHEAD * wg_fused_shape::C;
  }
  __device__ __forceinline__ void transform(float *to)
  {
    float v[4][4];
#pragma unroll
    for (int i = 0; i < 16; i++)
      v[i / 4][i % 4] = d[i / 4][i % 4];
    wg_input_2d<wg_f2r3>(v);
#pragma unroll
    for (int i = 0; i < 16; i++)
      to[i * wg_fused_shape::C * wg_fused_shape::LDB + store] = v[i / 4][i % 4];
  }
};

/* How the warps keep in step, without a barrier that all reach at once. */
struct wg_fused_steps {
  uint64_t full[wg_fused_shape::STAGES]; /* weights have come, and half the warps have stored their input */
  uint64_t done[wg_fused_shape::STAGES]; /* each warp has read them */
};

/* One point's products of half a slice; a, b: where this lane's rows and columns begin. Neighbours have a factor in common, and
 * the order of the reads and of the rows is the one that the compiler keeps to, so that few FFMA wait for a bank. */
__device__ __forceinline__ void wg_fused_multiply(const float *a, const float *b,
                                                  float (&acc)[wg_fused_shape::ACC])
{
  using S = wg_fused_shape;
#pragma unroll
  for (int c = 0; c < S::C / 2; c++) {
    const float4 *ra = reinterpret_cast<const float4 *>(a + c * S::LDA),
                 *rb = reinterpret_cast<const float4 *>(b + c * S::LDB);
    const float4 a0 = ra[0], a1 = ra[8], b0 = rb[0], b1 = rb[4];
    const float fa[8] = {a0.x, a0.y, a0.z, a0.w, a1.x, a1.y, a1.z, a1.w},
                fb[8] = {b0.x, b0.y, b0.z, b0.w, b1.x, b1.y, b1.z, b1.w};
#pragma unroll
    for (int j = 0; j < 8; j++)
#pragma unroll
      for (int n = 0; n < 8; n++) {
        const int i = (j % 2 ? 7 - n : n) ^ 4;
        acc[i * 8 + j] = fmaf(fa[i], fb[j], acc[i * 8 + j]);
      }
  }
}

/* A block's way through its pieces of work, each 64 output channels of 32 tiles. Slices go by in pairs, which take turns at two
 * pairs of buffers, over all pieces: `odd` says which one has this pair, `phase` how often it was (mod 2). */
template <bool LAST> struct wg_fused_block {
  using S = wg_fused_shape;
  static_assert(S::STAGES == 4 && S::AHEAD == 2, "two pairs of buffers");
  const wg_fused_args &p;
  float *su, *sv;
  wg_fused_steps *steps;
  int c_begin, c_end, slices /* an even number */, warp, turn, a_at, b_at, odd, phase;
  wg_fused_input<LAST> input;

  __device__ __forceinline__ wg_fused_block(const wg_fused_args &args, float *memory, int part)
      : p(args), su(memory), sv(memory + S::STAGES * S::U_SIZE),
        steps(reinterpret_cast<wg_fused_steps *>(sv + S::STAGES * S::V_SIZE)), odd(0), phase(0)
  {
    int g, t;
    wg_ffma_lane(g, t);
    c_begin = part * p.channels, c_end = min(p.g.c, c_begin + p.channels);
    slices = max(0, (c_end - c_begin + 2 * S::C - 1) / (2 * S::C) * 2);
    warp = __shfl_sync(~0u, (int)threadIdx.x / 32, 0), turn = warp / (S::WARPS / S::AHEAD);
    a_at = warp * S::K + g * 4, b_at = warp * S::C * S::LDB + t * 4;
    asm("" : "+r"(a_at), "+r"(b_at)); /* kept, not computed anew in each slice */
  }
  __device__ __forceinline__ const float *weights(int work) const
  {
    const int64_t padded = (p.g.c + 15) / 16 * 16;
    uint32_t block;
    return p.u + (wg_div((uint32_t)work, p.blocks, &block) * padded + c_begin) * (int64_t)S::LDA;
  }
  /* One thread's. */
  __device__ __forceinline__ void fetch(int stage, const float *from)
  {
    wg_barrier_expect(&steps->full[stage], S::U_SIZE * 4);
    wg_copy_bulk(su + stage * S::U_SIZE, from, S::U_SIZE * 4, &steps->full[stage]);
  }
  __device__ __forceinline__ void begin(int work)
  {
    if (threadIdx.x == 0) {
      for (int s = 0; s < S::STAGES; s++) {
        wg_barrier_make(&steps->full[s], 1 + S::HALF);
        wg_barrier_make(&steps->done[s], S::THREADS);
      }
      wg_barrier_made();
      for (int s = 0; s < min(slices, S::AHEAD); s++)
        fetch(s, weights(work) + s * S::U_SIZE);
    }
    __syncthreads();
  }
  __device__ __forceinline__ void load(int work)
  {
    uint32_t block;
    wg_div((uint32_t)work, p.blocks, &block);
    input.aim(p, c_begin, c_end, (int)block * S::P);
    input.load(p);
  }
  __device__ __forceinline__ void store(int stage) /* and load what comes next */
  {
    input.transform(sv + stage * S::V_SIZE);
    wg_barrier_arrive(&steps->full[stage]);
    input.load(p);
  }
  /* What a block sums up: its part of the input channels, into acc. */
  __device__ __forceinline__ void multiply(int work, bool more, float (&acc)[S::ACC])
  {
    const float *next = weights(work) + S::AHEAD * S::U_SIZE,
                *after = more ? weights(work + (int)gridDim.x) : nullptr;
    const int end = more ? 0 : 1; /* the last pair fetches for the next piece, if there is one */
#pragma unroll 1
    for (int left = slices / 2; left > 0; left--, next += 2 * S::U_SIZE) {
      const int other = odd ^ 1;
      const float *a = su + odd * (2 * S::U_SIZE) + a_at, *b = sv + odd * (2 * S::V_SIZE) + b_at;
#pragma unroll
      for (int i = 0; i < 2; i++, a += S::U_SIZE, b += S::V_SIZE) {
        wg_barrier_wait(&steps->full[odd * 2 + i], phase);
        wg_fused_multiply(a, b, acc);
        if (i == turn && left > end) {
          wg_barrier_wait(&steps->done[other * 2 + i], phase ^ other); /* the first time nobody waits */
          if (warp == i * (S::WARPS / S::AHEAD + 1) && wg_elected())   /* two schedulers' warps */
            fetch(other * 2 + i, (left > 1 ? next : after) + i * S::U_SIZE);
          if (left > 1)
            store(other * 2 + i);
        }
        wg_fused_multiply(a + S::C / 2 * S::LDA, b + S::C / 2 * S::LDB, acc);
        wg_barrier_arrive(&steps->done[odd * 2 + i]);
      }
      phase ^= odd;
      odd = other;
    }
  }
};

/* Epilogue and store of four channels of one tile. */
template <bool LAST>
__device__ __forceinline__ void wg_fused_write(const wg_fused_args &p, const gie_cuda_steps &steps, int k,
                                               int at, float (&y)[4][2][2])
{
  if (at >= p.g.count)
    return;
  const wg_tile t = wg_tile_of<2>(p.g, (uint32_t)at);
  if (steps.kind == GIE_CUDA_STEPS_LIST || !p.vector) {
#pragma unroll
    for (int c = 0; c < 4; c++)
      if (k + c < p.g.k)
        wg_write_tile<wg_f2r3>(p.g, p.y, steps, 0, t, k + c, 0.0f, y[c]);
    return;
  }
  const bool clips = steps.kind == GIE_CUDA_STEPS_CLIP;
  const float low = clips ? steps.low : -INFINITY, high = clips ? steps.high : INFINITY;
#pragma unroll
  for (int i = 0; i < 16; i++)
    y[i / 4][i / 2 % 2][i % 2] = wg_bound(y[i / 4][i / 2 % 2][i % 2], low, high);
  float *to = p.y + (t.n * p.g.y_n + k * p.g.y_c + (int64_t)t.y * p.g.y_h + (int64_t)t.x * p.g.y_w);
  const bool second = t.y + 1 < p.g.oh;
  if (LAST) {
    const bool column = t.x + 1 < p.g.ow;
#pragma unroll
    for (int i = 0; i < 4; i++)
      if (k < p.g.k && (i / 2 == 0 || second) && (i % 2 == 0 || column))
        wg_store_together(to + (int64_t)(i / 2) * p.g.y_h + i % 2 * p.g.y_w, y[0][i / 2][i % 2],
                          y[1][i / 2][i % 2], y[2][i / 2][i % 2], y[3][i / 2][i % 2]);
  } else {
#pragma unroll
    for (int c = 0; c < 4; c++, to += p.g.y_c)
      if (k + c < p.g.k) {
        wg_store_together(to, y[c][0][0], y[c][0][1]);
        if (second)
          wg_store_together(to + p.g.y_h, y[c][1][0], y[c][1][1]);
      }
  }
}

/* Inverse of a thread's four channels of its tile. */
__device__ __forceinline__ void wg_fused_invert(const float *from, const float (&bias)[4],
                                                float (&y)[4][2][2])
{
  using F = wg_f2r3;
  float m[4][F::n][F::n];
#pragma unroll
  for (int j = 0; j < F::n * F::n; j++) {
    const float4 v = *reinterpret_cast<const float4 *>(from + j * wg_fused_shape::PAIRS);
    m[0][j / 4][j % 4] = v.y, m[1][j / 4][j % 4] = v.x; /* as wg_fused_at() swaps them */
    m[2][j / 4][j % 4] = v.w, m[3][j / 4][j % 4] = v.z;
  }
#pragma unroll
  for (int c = 0; c < 4; c++) {
    m[c][1][1] += bias[c]; /* which is in all results, once */
    wg_output_2d<F>(m[c], y[c]);
  }
}

template <bool LAST>
__global__ void __launch_bounds__(wg_fused_shape::THREADS, 1)
    wg_fused_kernel(const __grid_constant__ wg_fused_args p, const __grid_constant__ gie_cuda_steps steps)
{
  using S = wg_fused_shape;
  using F = wg_f2r3;
  constexpr int M = F::m, PAIRS = S::PAIRS;
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
  block.store(block.turn);
  float *sums = block.su; /* what the cluster reads: such a block has one piece of work */
#pragma unroll 1
  for (;; work += (int)gridDim.x) {
    const bool more = work + (int)gridDim.x < p.work;
    float acc[S::ACC], bias[4], y[4][M][M];
#pragma unroll
    for (int i = 0; i < S::ACC; i++)
      acc[i] = 0;
    block.multiply(work, more, acc);
    if (more)
      block.load(work + (int)gridDim.x);
    /* one half of the tiles where the input was, the other where the weights were that no next slice is fetched to */
    float *const e[2] = {block.sv, block.su + (parts > 1 ? 1 : block.odd ^ 1) * S::AHEAD * S::U_SIZE};
    __syncthreads();
    wg_fused_exchange(e[0] + block.warp * PAIRS, acc, 0);
    wg_fused_exchange(e[1] + block.warp * PAIRS, acc, 1);
    uint32_t at;
    const int thread = wg_fused_thread(), k = wg_fused_k<LAST>(thread), tile = wg_fused_tile<LAST>(thread),
              k0 = (int)wg_div((uint32_t)work, p.blocks, &at) * S::K + k;
#pragma unroll
    for (int c = 0; c < 4; c++)
      bias[c] = p.bias && part == 0 && k0 + c < p.g.k ? p.bias[k0 + c] : 0.0f;
    __syncthreads();
    wg_fused_invert((tile < S::P / 2 ? e[0] : e[1]) + wg_fused_at(k ^ 1, tile % (S::P / 2)), bias, y);
    if (more) {
      wg_fence_async(); /* copies may now come where the exchange was */
      __syncthreads();
      block.store(block.odd * 2 + block.turn);
    }
    if (parts == 1)
      wg_fused_write<LAST>(p, steps, k0, (int)at * S::P + tile, y);
    else
#pragma unroll
      for (int i = 0; i < 16; i++)
        sums[i * S::THREADS + (int)threadIdx.x] = y[i / 4][i / 2 % 2][i % 2];
    if (!more)
      break;
  }
#if __CUDA_ARCH__ >= 900
  if (parts == 1)
    return;
  cluster.sync();
#pragma unroll 1
  for (int c = part; c < 4; c += parts) {
    uint32_t block;
    const int thread = (int)threadIdx.x,
              of = (int)wg_div((uint32_t)work, p.blocks, &block) * S::K + wg_fused_k<LAST>(thread) + c,
              at = (int)block * S::P + wg_fused_tile<LAST>(thread);
    float y[M][M] = {};
#pragma unroll 1
    for (int other = 0; other < parts; other++) {
      const float *theirs = cluster.map_shared_rank(sums, other) + c * M * M * S::THREADS + (int)threadIdx.x;
#pragma unroll
      for (int j = 0; j < M * M; j++)
        y[j / M][j % M] += theirs[j * S::THREADS];
    }
    if (at < p.g.count && of < p.g.k)
      wg_write_tile<F>(p.g, p.y, steps, !LAST && p.vector, wg_tile_of<M>(p.g, (uint32_t)at), of, 0.0f, y);
  }
  cluster.sync(); /* this block's memory must be there until all have read it */
#endif
}

#endif
