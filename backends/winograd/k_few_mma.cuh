/* SPDX-License-Identifier: Apache-2.0 */
/* F(2×2,3×3) in one kernel for up to four input channels, with its products on tensor cores.
 *
 * A unit of work is 8 neighbouring tiles of a row. A warp has 16 output channels, whose weights stay in its registers: 16
 * points × (16 channels × up to 4 input channels) × 8 tiles of a unit. The instructions want of each lane one channel of one
 * tile, so a lane transforms just that and nothing changes lanes. The four warps of a block transform a unit each and
 * then make their 16 channels of all four; blocks go on to further units while the next input is on its way. A lane
 * ends with 2×4 results of two channels; channels last, where these are neighbours, with pairs to store at once,
 * else with rows of four.
 *
 * f32: each product as three in TF32, of factors split in two: one instruction has big·small + small·big, another big·big.
 * f16: one product in TF32, which has the precision of f16 and the range of f32, so that nothing needs scaling.
 *
 * Roofline: memory, that of the result. A unit's 16 channels take a warp 32 (f16: 16) tensor-core and some 200 other
 * instructions: half of the time that memory takes for these results where all schedulers have something to issue. */
#ifndef GIE_WINOGRAD_K_FEW_MMA_CUH
#define GIE_WINOGRAD_K_FEW_MMA_CUH

#include "backends/winograd/k_few_ffma.cuh"

struct wg_few_mma {
  static constexpr int TILES = 8, K = 16, WARPS = 4, THREADS = 32 * WARPS;
  template <class X> static constexpr int per_sm = sizeof(X) == 2 ? 4 : 3;
};

__device__ __forceinline__ void wg_mma_tf32_k4(float (&d)[4], uint32_t a0, uint32_t a1, uint32_t b)
{
#if __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a0), "r"(a1), "r"(b));
#endif
}

/* How factors are kept, by type of the tensors: small and big, or one. */
template <class X> struct wg_few_factor;
template <> struct wg_few_factor<float> {
  static constexpr int WORDS = 2;
  static __device__ __forceinline__ void make(float v, uint32_t *w) { wg_split(v, w[1], w[0]); }
  static __device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&u)[2][2], const uint32_t *v)
  {
    const uint32_t all[4] = {u[0][1], u[1][1], u[0][0], u[1][0]}, pair[2] = {v[0], v[1]};
    wg_mma_tf32(d, all, pair);
    wg_mma_tf32_k4(d, u[0][1], u[1][1], v[1]);
  }
};
template <> struct wg_few_factor<__half> {
  static constexpr int WORDS = 1;
  static __device__ __forceinline__ void make(float v, uint32_t *w) { w[0] = wg_tf32(v); }
  static __device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&u)[2][1], const uint32_t *v)
  {
    wg_mma_tf32_k4(d, u[0][0], u[1][0], v[0]);
  }
};

/* A lane's two output channels: eight apart, as the instructions have them; or neighbours, as channels last wants them: which
 * row of weights is which channel is free. */
template <bool LAST> constexpr int wg_few_channel_step = LAST ? 1 : 8;

/* First tile of a unit. */
__device__ __forceinline__ wg_tile wg_few_unit(const wg_geometry &g, int unit)
{
  wg_tile t = wg_tile_of<2>(g, (uint32_t)min(unit, g.count - 1));
  t.x *= wg_few_mma::TILES;
  return t;
}

/* One channel of one tile, as it lies in memory; what lies outside is zero. */
template <bool LAST, class X>
__device__ __forceinline__ void wg_few_read(const wg_few_args<X> &p, int unit, X (&d)[4][4])
{
  const int tile = (int)threadIdx.x % 32 / 4, c = (int)threadIdx.x % 4, x_w = LAST ? p.g.x_w : 1;
  const wg_tile t = wg_few_unit(p.g, unit);
  const int y0 = t.y - p.g.pad_h, x0 = t.x + tile * 2 - p.g.pad_w;
  const X *row = p.x + (t.n * p.g.x_n + c * p.g.x_c + (int64_t)y0 * p.g.x_h + (int64_t)x0 * x_w);
  bool column[4];
#pragma unroll
  for (int j = 0; j < 4; j++)
    column[j] = c < p.g.c && (unsigned)(x0 + j) < (unsigned)p.g.w;
#pragma unroll
  for (int i = 0; i < 4; i++, row += p.g.x_h) {
    const bool valid = (unsigned)(y0 + i) < (unsigned)p.g.h;
    const X *at = row;
#pragma unroll
    for (int j = 0; j < 4; j++, at += x_w)
      d[i][j] = valid && column[j] ? *at : X(0.0f);
  }
}

/* Where a lane's 2×4 results begin, and how many rows, columns and channels of them there are (or more). */
template <class X> struct wg_few_place {
  X *to;
  int n, k, y, x, rows, columns, channels;
};
template <bool LAST, class X>
__device__ __forceinline__ wg_few_place<X> wg_few_place_of(const wg_few_args<X> &p, int unit, int k)
{
  const wg_tile t = wg_few_unit(p.g, unit);
  const int x = t.x + (int)threadIdx.x % 4 * 4;
  return {p.y + (t.n * p.g.y_n + k * p.g.y_c + (int64_t)t.y * p.g.y_h + (int64_t)x * p.g.y_w),
          t.n,
          k,
          t.y,
          x,
          p.g.oh - t.y,
          p.g.ow - x,
          (p.g.k - k + wg_few_channel_step<LAST> - 1) / wg_few_channel_step<LAST>};
}

/* Results as y[r][i][j]: row i, column j of a tile; r: the first channel's two tiles, then the second's. Here whole rows of
 * four or pairs of channels are stored at once, and nothing but a bound is applied. */
template <bool LAST, class X>
__device__ __forceinline__ void wg_few_write_vectors(const wg_few_args<X> &p, const gie_cuda_steps &steps,
                                                     const wg_few_place<X> &at, float (&y)[4][2][2])
{
  const bool clips = steps.kind == GIE_CUDA_STEPS_CLIP;
  const float low = clips ? steps.low : -INFINITY, high = clips ? steps.high : INFINITY;
#pragma unroll
  for (int r = 0; r < 4; r++)
#pragma unroll
    for (int j = 0; j < 4; j++)
      y[r][j / 2][j % 2] = wg_bound(y[r][j / 2][j % 2], low, high);
#pragma unroll
  for (int i = 0; i < 2; i++) {
    X *to = at.to + (int64_t)i * p.g.y_h;
    if (!LAST) {
#pragma unroll
      for (int c = 0; c < 2; c++)
        if (i < at.rows && 0 < at.columns && c < at.channels)
          wg_store_together(to + c * wg_few_channel_step<LAST> * p.g.y_c, y[c * 2][i][0], y[c * 2][i][1],
                            y[c * 2 + 1][i][0], y[c * 2 + 1][i][1]);
    } else {
#pragma unroll
      for (int j = 0; j < 4; j++)
        if (i < at.rows && j < at.columns && 0 < at.channels)
          wg_store_together(to + (int64_t)j * p.g.y_w, y[j / 2][i][j % 2], y[2 + j / 2][i][j % 2]);
    }
  }
}

/* Any epilogue, any alignment. */
template <bool LAST, class X>
__device__ __forceinline__ void wg_few_write(const wg_few_args<X> &p, const gie_cuda_steps &steps,
                                             const wg_few_place<X> &at, const float (&y)[4][2][2])
{
#pragma unroll
  for (int r = 0; r < 4; r++)
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
      for (int j = 0; j < 2; j++) {
        const int column = r % 2 * 2 + j, k = r / 2 * wg_few_channel_step<LAST>;
        if (r / 2 < at.channels && i < at.rows && column < at.columns)
          wg_store(at.to + k * p.g.y_c + (int64_t)i * p.g.y_h + (int64_t)column * p.g.y_w,
                   wg_steps(steps, y[r][i][j], at.n, at.k + k, (int64_t)(at.y + i) * p.g.ow + at.x + column));
      }
}

/* Products and inverse of a lane's part of a unit. */
template <class A, int WORDS>
__device__ __forceinline__ void wg_few_products(const uint32_t (&u)[16][2][WORDS], const float (&bias)[2],
                                                const uint4 *v, float (&y)[4][2][2])
{
  using F = wg_f2r3;
  constexpr int QUADS = 16 * WORDS / 4;
  uint32_t factors[16 * WORDS];
  float half[4][2][4]; /* [result][its row][column of points] */
#pragma unroll
  for (int q = 0; q < QUADS; q++) {
    const uint4 four = v[q * 32];
    factors[q * 4] = four.x, factors[q * 4 + 1] = four.y;
    factors[q * 4 + 2] = four.z, factors[q * 4 + 3] = four.w;
  }
#pragma unroll
  for (int column = 0; column < 4; column++) {
    float m[4][4]; /* [row of points][result] */
#pragma unroll
    for (int row = 0; row < 4; row++) {
      m[row][0] = m[row][1] = m[row][2] = m[row][3] = 0;
      A::multiply(m[row], u[row * 4 + column], factors + (row * 4 + column) * WORDS);
    }
#pragma unroll
    for (int r = 0; r < 4; r++) {
      if (column == 1) /* the point (1, 1) is in all results, once */
        m[1][r] += bias[r / 2];
      const float points[4] = {m[0][r], m[1][r], m[2][r], m[3][r]};
      float two[2];
      F::output(points, two);
      half[r][0][column] = two[0], half[r][1][column] = two[1];
    }
  }
#pragma unroll
  for (int r = 0; r < 4; r++)
#pragma unroll
    for (int row = 0; row < 2; row++)
      F::output(half[r][row], y[r][row]);
}

template <bool LAST, class X>
__global__ void __launch_bounds__(wg_few_mma::THREADS, wg_few_mma::per_sm<X>)
    wg_few_mma_kernel(const __grid_constant__ wg_few_args<X> p, const __grid_constant__ gie_cuda_steps steps)
{
  using S = wg_few_mma;
  using A = wg_few_factor<X>;
  constexpr int WORDS = A::WORDS, QUADS = 16 * WORDS / 4;
  __shared__ uint4 shared[2][S::WARPS][QUADS][32]; /* [round][unit][factors of a lane, by fours][lane] */
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, c = lane % 4,
            k_block = (int)blockIdx.y * S::WARPS * S::K, left = p.g.k - k_block;
  /* few output channels: one, two or four warps have them, the others take other units */
  const int bits = left <= S::K ? 0 : left <= 2 * S::K ? 1 : 2, own = warp >> bits, share = S::WARPS >> bits;
  const int k = k_block + (warp & ((1 << bits) - 1)) * S::K + lane / 4 * (LAST ? 2 : 1);
  const bool vectors = p.vector && steps.kind != GIE_CUDA_STEPS_LIST;
  uint32_t u[16][2][WORDS];
  float bias[2];
  X d[4][4];
  wg_let_next_start();
#pragma unroll
  for (int h = 0; h < 2; h++) {
    const int of = k + h * wg_few_channel_step<LAST>;
#pragma unroll
    for (int f = 0; f < 16; f++)
      A::make(of < p.g.k && c < p.g.c ? wg_load(p.u + ((int64_t)f * p.g.c + c) * p.k_padded + of) : 0.0f,
              u[f][h]);
  }
  wg_wait_for_previous();
#pragma unroll
  for (int h = 0; h < 2; h++) {
    const int of = k + h * wg_few_channel_step<LAST>;
    bias[h] = of < p.g.k ? wg_bias(p.bias, p.half_bias, of) : 0.0f;
  }
  const int step = (int)gridDim.x * S::WARPS;
  wg_few_read<LAST>(p, (int)blockIdx.x * S::WARPS + warp, d);
#pragma unroll 1
  for (int first = (int)blockIdx.x * S::WARPS, buffer = 0; first < p.g.count; first += step, buffer ^= 1) {
    uint32_t v[16 * WORDS];
    float t[4][4];
#pragma unroll
    for (int f = 0; f < 16; f++)
      t[f / 4][f % 4] = (float)d[f / 4][f % 4];
    wg_input_2d<wg_f2r3>(t);
#pragma unroll
    for (int f = 0; f < 16; f++)
      A::make(t[f / 4][f % 4], v + f * WORDS);
#pragma unroll
    for (int q = 0; q < QUADS; q++)
      shared[buffer][warp][q][lane] = make_uint4(v[q * 4], v[q * 4 + 1], v[q * 4 + 2], v[q * 4 + 3]);
    __syncthreads(); /* also: all have read what comes into the other buffer next */
    if (first + step < p.g.count)
      wg_few_read<LAST>(p, first + step + warp, d);
#pragma unroll 1
    for (int i = own; i < S::WARPS && first + i < p.g.count; i += share) {
      float y[4][2][2];
      wg_few_products<A>(u, bias, &shared[buffer][i][0][lane], y);
      const wg_few_place<X> at = wg_few_place_of<LAST>(p, first + i, k);
      if (vectors)
        wg_few_write_vectors<LAST>(p, steps, at, y);
      else
        wg_few_write<LAST>(p, steps, at, y);
    }
  }
}

#endif
