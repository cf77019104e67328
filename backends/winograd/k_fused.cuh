/* SPDX-License-Identifier: Apache-2.0 */
/* F(2×2,3×3) in one kernel: transform, 16 products, inverse.
 *
 * A block of 256 threads makes 64 channels of 32 tiles. Slices of 8 input channels: every thread transforms one tile of
 * one channel into shared memory while the slice before is multiplied; each warp has 2 of the 16 points, 64×32 sums of
 * each in registers (128 a thread). Weights come three slices ahead. At the end the points meet in shared
 * memory, half of the channels at a time, and each thread inverts tiles. Blocks of a cluster may share
 * one sum: each takes some of the input channels, and they add their inverses over the cluster's shared memory in
 * a fixed order.
 *
 * Shared memory: 3·36 KiB weights + 2·20 KiB input; 1 block a multiprocessor.
 * Roofline: 32·C·K·tiles operations of FFMA, or of a third of TF32. For each slice a thread has 1024 FFMA, 64 16-byte
 * reads, 16 loads, 32 additions and 16 stores: 85 % at best. */
#ifndef GIE_WINOGRAD_K_FUSED_CUH
#define GIE_WINOGRAD_K_FUSED_CUH

#include "backends/winograd/k_gemm.cuh"
#include "backends/winograd/k_transform.cuh"

#include <cooperative_groups.h>

namespace wg_fused {
constexpr int K = 64, P = 32, C = 8, POINTS = 16, STAGES = 3, LDU = K + 8, LDV = P + 8;
constexpr int U_SIZE = POINTS * C * LDU, V_SIZE = POINTS * C * LDV;
constexpr int LDE = P + 4, HALF = K / 2; /* exchange: [point][k][tile] */
constexpr int PART = HALF * P * 4;       /* inverses of a half: [4][k][tile] */
constexpr int shared = (STAGES * U_SIZE + 2 * V_SIZE) * 4;
static_assert((POINTS * HALF * LDE + 2 * PART) * 4 <= shared, "the exchange reuses the slices' memory");
} // namespace wg_fused

template <class X> struct wg_fused_args {
  wg_geometry g;
  const X *x;
  const float *u;
  X *y;
  const void *bias;
  int half_bias, vector, k_padded, channels; /* channels of one block of a cluster */
};

/* The shape that wg_slice_*() read from. */
struct wg_fused_tile {
  static constexpr int WM = wg_fused::K, WN = wg_fused::P, LDA = wg_fused::LDU, LDB = wg_fused::LDV, ACC = 64;
};

template <class X>
__device__ __forceinline__ void wg_fused_weights(const wg_fused_args<X> &p, float *to, int k0, int c0,
                                                 int c_end)
{
  using namespace wg_fused;
#pragma unroll
  for (int i = 0; i < POINTS * C * K / 4 / 256; i++) {
    int at = (int)threadIdx.x + i * 256, col = at % (K / 4) * 4, row = at / (K / 4), c = c0 + row % C;
    bool valid = c < c_end && k0 + col < p.k_padded;
    const float *from = p.u + ((int64_t)(row / C) * p.g.c + c) * p.k_padded + k0 + col;
    wg_copy16(to + row * LDU + col, valid ? from : p.u, valid ? 16 : 0);
  }
}

template <enum wg_unit UNIT>
__device__ __forceinline__ void wg_fused_exchange(float *e, const float (&acc)[64], int half)
{
  using namespace wg_fused;
  const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  if constexpr (UNIT == WG_FFMA) {
    const float(&d)[8][8] = reinterpret_cast<const float(&)[8][8]>(acc);
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
      for (int j = 0; j < 8; j += 4) {
        const float(&r)[8] = half ? d[i + 4] : d[i];
        *reinterpret_cast<float4 *>(e + (g * 4 + i) * LDE + j / 4 * 16 +
                                    t * 4) = make_float4(r[j], r[j + 1], r[j + 2], r[j + 3]);
      }
  } else {
    const float(&d)[4][4][4] = reinterpret_cast<const float(&)[4][4][4]>(acc);
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
      for (int n = 0; n < 4; n++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
          const float(&r)[4] = half ? d[i + 2][n] : d[i][n];
          *reinterpret_cast<float2 *>(e + (i * 16 + g + h * 8) * LDE + n * 8 +
                                      t * 2) = make_float2(r[h * 2], r[h * 2 + 1]);
        }
  }
}

template <enum wg_unit UNIT, bool LAST, class X>
__global__ void __launch_bounds__(256, 1)
    wg_fused_kernel(const __grid_constant__ wg_fused_args<X> p, const __grid_constant__ gie_cuda_steps steps)
{
  using namespace wg_fused;
  namespace cg = cooperative_groups;
  extern __shared__ __align__(128) float memory[];
  float *su = memory, *sv = memory + STAGES * U_SIZE;
  cg::cluster_group cluster = cg::this_cluster();
  const int parts = (int)cluster.num_blocks(), part = (int)cluster.block_rank();
  const int k0 = (int)blockIdx.y * K, p0 = (int)blockIdx.z * P, warp = threadIdx.x / 32;
  const int c_begin = part * p.channels, c_end = min(p.g.c, c_begin + p.channels);
  const int slices = max(0, (c_end - c_begin + C - 1) / C);

  /* the tile and channel that this thread transforms */
  const int my_c = LAST ? threadIdx.x % C : threadIdx.x / P, my_p = LAST ? threadIdx.x / C : threadIdx.x % P;
  const bool is_tile = p0 + my_p < p.g.count;
  const wg_tile tile = wg_tile_of<2>(p.g, (uint32_t)min(p0 + my_p, p.g.count - 1));
  const X *from = p.x + tile.n * p.g.x_n + (int64_t)(tile.y - p.g.pad_h) * p.g.x_h +
                  (int64_t)(tile.x - p.g.pad_w) * p.g.x_w;
  uint32_t inside = 0;
#pragma unroll
  for (int i = 0; i < 16; i++)
    if (is_tile && (unsigned)(tile.y - p.g.pad_h + i / 4) < (unsigned)p.g.h &&
        (unsigned)(tile.x - p.g.pad_w + i % 4) < (unsigned)p.g.w)
      inside |= 1u << i;
  float d[4][4];
  auto load = [&](int slice) {
    int c = c_begin + slice * C + my_c;
    uint32_t mask = c < c_end ? inside : 0;
    const X *q = from + c * p.g.x_c;
#pragma unroll
    for (int i = 0; i < 16; i++)
      d[i / 4][i % 4] = mask >> i & 1 ? wg_load(q + (int64_t)(i / 4) * p.g.x_h + (i % 4) * p.g.x_w) : 0.0f;
  };
  auto transform = [&](float *to) {
    wg_input_2d<wg_f2r3>(d);
#pragma unroll
    for (int i = 0; i < 16; i++)
      to[(i * C + my_c) * LDV + my_p] = d[i / 4][i % 4];
  };

  float acc[2][64];
#pragma unroll
  for (int i = 0; i < 128; i++)
    acc[i / 64][i % 64] = 0;
#pragma unroll
  for (int s = 0; s < STAGES - 1; s++) {
    if (s < slices)
      wg_fused_weights(p, su + s * U_SIZE, k0, c_begin + s * C, c_end);
    wg_copy_commit();
  }
  wg_wait_for_previous();
  if (slices > 0) {
    load(0);
    transform(sv);
  }
  for (int s = 0; s < slices; s++) {
    wg_copy_wait<STAGES - 2>();
    __syncthreads();
    if (s + STAGES - 1 < slices)
      wg_fused_weights(p, su + (s + STAGES - 1) % STAGES * U_SIZE, k0, c_begin + (s + STAGES - 1) * C, c_end);
    wg_copy_commit();
    if (s + 1 < slices)
      load(s + 1);
#pragma unroll
    for (int f = 0; f < 2; f++) {
      const float *a = su + s % STAGES * U_SIZE + (warp * 2 + f) * C * LDU,
                  *b = sv + s % 2 * V_SIZE + (warp * 2 + f) * C * LDV;
      if constexpr (UNIT == WG_FFMA)
        wg_slice_ffma<wg_fused_tile, false, C>(a, b, acc[f]);
      else
        wg_slice_tf32x3<wg_fused_tile, false, C, false>(a, b, acc[f]);
    }
    if (s + 1 < slices)
      transform(sv + (s + 1) % 2 * V_SIZE);
  }
  wg_let_next_start();
  wg_copy_wait<0>();

  /* Inverses: thread (k, tile) for 4 k of each half; `sums` is what the cluster reads. */
  float *e = memory, *sums = memory + POINTS * HALF * LDE;
#pragma unroll
  for (int half = 0; half < 2; half++) {
    __syncthreads();
#pragma unroll
    for (int f = 0; f < 2; f++)
      wg_fused_exchange<UNIT>(e + (warp * 2 + f) * HALF * LDE, acc[f], half);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < HALF * P / 256; i++) {
      int at = (int)threadIdx.x + i * 256, k = LAST ? at % HALF : at / P, t = LAST ? at / HALF : at % P;
      float m[4][4], y[2][2];
#pragma unroll
      for (int j = 0; j < 16; j++)
        m[j / 4][j % 4] = e[(j * HALF + k) * LDE + t];
      wg_output_2d<wg_f2r3>(m, y);
      if (parts == 1) {
        if (p0 + t < p.g.count && k0 + half * HALF + k < p.g.k)
          wg_write_tile<wg_f2r3>(p.g, p.y, steps, p.vector, wg_tile_of<2>(p.g, (uint32_t)(p0 + t)),
                                 k0 + half * HALF + k, wg_bias(p.bias, p.half_bias, k0 + half * HALF + k), y);
      } else {
#pragma unroll
        for (int j = 0; j < 4; j++)
          sums[half * PART + j * HALF * P + at] = y[j / 2][j % 2];
      }
    }
  }
  if (parts == 1)
    return;
  cluster.sync();
  for (int at = (int)threadIdx.x + part * 256; at < 2 * HALF * P; at += parts * 256) {
    int half = at / (HALF * P), rest = at % (HALF * P),
        k = k0 + half * HALF + (LAST ? rest % HALF : rest / P), t = LAST ? rest / HALF : rest % P;
    float y[2][2] = {};
    for (int other = 0; other < parts; other++) {
      const float *theirs = cluster.map_shared_rank(sums, other) + half * PART + rest;
#pragma unroll
      for (int j = 0; j < 4; j++)
        y[j / 2][j % 2] += theirs[j * HALF * P];
    }
    if (p0 + t < p.g.count && k < p.g.k)
      wg_write_tile<wg_f2r3>(p.g, p.y, steps, p.vector, wg_tile_of<2>(p.g, (uint32_t)(p0 + t)), k,
                             wg_bias(p.bias, p.half_bias, k), y);
  }
  cluster.sync(); /* their memory must be there until all have read it */
}

#endif
