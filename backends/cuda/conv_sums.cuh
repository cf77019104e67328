/* SPDX-License-Identifier: Apache-2.0 */
/* The tiled convolution on the device: how a step is multiplied, for each kind of arithmetic. */
#ifndef GIE_BACKENDS_CUDA_CONV_SUMS_CUH
#define GIE_BACKENDS_CUDA_CONV_SUMS_CUH

#include "backends/cuda/conv_device.cuh"

/* ---- Multiplying a step -------------------------------------------------------------------------------- */

template <class K, conv_kind KIND> struct conv_sums;

/* On the tensor cores: 16 x 8 results per instruction; a pair of chunks is its 16 (f16) or 8 (TF32) taps. */
template <class K> struct conv_sums_mma {
  static constexpr int MI = K::TM / 16, NI = K::TN / 8;
  float sum[MI][NI][4];
  uint32_t at_a, at_b, swizzle_a, swizzle_b;
  int sub;         /* first pair of chunks */
  int row, column; /* of sum[0][0][0] in the tile */

  __device__ __forceinline__ conv_sums_mma(int tid)
  {
    int lane = tid % 32, warp = tid / 32, slice = warp / (K::WM * K::WN), place = warp % (K::WM * K::WN);
    int wm = place % K::WM, wn = place / K::WM;
    at_a = (wm * K::TM + (lane & 15)) * K::BOX * 16;
    swizzle_a = ((lane >> 4) ^ (K::BOX == 8 ? lane & 7 : K::BOX == 4 ? lane >> 1 & 3 : lane >> 2 & 1)) << 4;
    at_b = K::M * 128 + (wn * K::TN + (lane & 7) + (lane >> 4) * 8) * 128;
    swizzle_b = (((lane >> 3) & 1) ^ (lane & 7)) << 4;
    sub = slice * K::SUBS;
    row = wm * K::TM + lane / 4;
    column = wn * K::TN + lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < MI; i++)
#pragma unroll
      for (int j = 0; j < NI; j++)
#pragma unroll
        for (int e = 0; e < 4; e++)
          sum[i][j][e] = 0;
  }
  /* Pair of chunks number `pair` of 16 rows of A, 16 channels of B. */
  __device__ __forceinline__ void read_a(uint32_t (&r)[4], uint32_t stage, int i, int pair) const
  {
    uint32_t at = K::BOX == 8   ? swizzle_a ^ (pair * 32)
                  : K::BOX == 4 ? (pair >> 1) * (K::M * 64) + (swizzle_a ^ ((pair & 1) * 32))
                                : pair * (K::M * 32) + swizzle_a;
    conv_matrices(r, stage + at_a + i * (K::BOX * 256) + at);
  }
  __device__ __forceinline__ void read_b(uint32_t (&r)[4], uint32_t stage, int j, int pair) const
  {
    conv_matrices(r, stage + at_b + j * 2048 + (swizzle_b ^ (pair * 32)));
  }
  __device__ __forceinline__ void store(float *to) const
  {
#pragma unroll
    for (int i = 0; i < MI; i++)
#pragma unroll
      for (int j = 0; j < NI; j++)
#pragma unroll
        for (int e = 0; e < 2; e++)
          *reinterpret_cast<float2 *>(to + (row + i * 16 + e * 8) * K::LD + column +
                                      j * 8) = make_float2(sum[i][j][2 * e], sum[i][j][2 * e + 1]);
  }
};

template <class K> struct conv_sums<K, CONV_F16> : conv_sums_mma<K> {
  using B = conv_sums_mma<K>;
  using B::B;
  __device__ __forceinline__ void multiply(uint32_t stage)
  {
#pragma unroll
    for (int u = 0; u < K::SUBS; u++) {
      uint32_t a[B::MI][4], b[B::NI / 2][4];
      const int pair = this->sub + u;
#pragma unroll
      for (int i = 0; i < B::MI; i++)
        this->read_a(a[i], stage, i, pair);
#pragma unroll
      for (int j = 0; j < B::NI / 2; j++)
        this->read_b(b[j], stage, j, pair);
#pragma unroll
      for (int i = 0; i < B::MI; i++)
#pragma unroll
        for (int j = 0; j < B::NI; j++)
          conv_mma_f16(this->sum[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
    }
  }
};

template <class K> struct conv_sums<K, CONV_TF32> : conv_sums_mma<K> {
  using B = conv_sums_mma<K>;
  using B::B;
  __device__ __forceinline__ void multiply(uint32_t stage)
  {
#pragma unroll
    for (int u = 0; u < K::SUBS; u++) {
      uint32_t a[B::MI][4], b[B::NI / 2][4];
      const int pair = this->sub + u;
#pragma unroll
      for (int i = 0; i < B::MI; i++) {
        this->read_a(a[i], stage, i, pair);
#pragma unroll
        for (int e = 0; e < 4; e++)
          a[i][e] = conv_tf32(__uint_as_float(a[i][e]));
      }
#pragma unroll
      for (int j = 0; j < B::NI / 2; j++) {
        this->read_b(b[j], stage, j, pair);
#pragma unroll
        for (int e = 0; e < 4; e++)
          b[j][e] = conv_tf32(__uint_as_float(b[j][e]));
      }
#pragma unroll
      for (int i = 0; i < B::MI; i++)
#pragma unroll
        for (int j = 0; j < B::NI; j++)
          conv_mma_tf32(this->sum[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
    }
  }
};

/* The small products first: what is left out is below 2^-22 of a product. The tensor cores cut sums off rather than
 * round them, so only one step is summed there. */
template <class K> struct conv_sums<K, CONV_TF32X3> : conv_sums_mma<K> {
  using B = conv_sums_mma<K>;
  using B::B;
  __device__ __forceinline__ void multiply(uint32_t stage)
  {
    float part[B::MI][B::NI][4] = {};
#pragma unroll
    for (int u = 0; u < K::SUBS; u++) {
      uint32_t high_b[B::NI / 2][4], low_b[B::NI / 2][4];
      const int pair = this->sub + u;
#pragma unroll
      for (int j = 0; j < B::NI / 2; j++) {
        uint32_t b[4];
        this->read_b(b, stage, j, pair);
#pragma unroll
        for (int e = 0; e < 4; e++)
          conv_tf32_parts(b[e], high_b[j][e], low_b[j][e]);
      }
#pragma unroll
      for (int i = 0; i < B::MI; i++) {
        uint32_t a[4], high[4], low[4];
        this->read_a(a, stage, i, pair);
#pragma unroll
        for (int e = 0; e < 4; e++)
          conv_tf32_parts(a[e], high[e], low[e]);
#pragma unroll
        for (int j = 0; j < B::NI; j++)
          conv_mma_tf32(part[i][j], low, high_b[j / 2][j % 2 * 2], high_b[j / 2][j % 2 * 2 + 1]);
#pragma unroll
        for (int j = 0; j < B::NI; j++)
          conv_mma_tf32(part[i][j], high, low_b[j / 2][j % 2 * 2], low_b[j / 2][j % 2 * 2 + 1]);
#pragma unroll
        for (int j = 0; j < B::NI; j++)
          conv_mma_tf32(part[i][j], high, high_b[j / 2][j % 2 * 2], high_b[j / 2][j % 2 * 2 + 1]);
      }
    }
#pragma unroll
    for (int i = 0; i < B::MI; i++)
#pragma unroll
      for (int j = 0; j < B::NI; j++)
#pragma unroll
        for (int e = 0; e < 4; e++)
          this->sum[i][j][e] += part[i][j][e];
  }
};

/* On the ordinary units: a thread has rows 8 apart and channels 4 apart of its warp's tile. */
template <class K> struct conv_sums<K, CONV_F32> {
  static constexpr int MI = K::TM / 8, NI = K::TN / 4;
  float sum[MI][NI];
  uint32_t at_a, at_b;
  int first, row, column, lane_n;

  __device__ __forceinline__ conv_sums(int tid)
  {
    int lane = tid % 32, warp = tid / 32, slice = warp / (K::WM * K::WN), place = warp % (K::WM * K::WN);
    int wm = place % K::WM, wn = place / K::WM;
    lane_n = lane / 8;
    row = wm * K::TM + lane % 8;
    column = wn * K::TN + lane_n;
    at_a = row * 128;
    at_b = K::M * 128 + column * 128;
    first = slice * K::SUBS * 2;
#pragma unroll
    for (int i = 0; i < MI; i++)
#pragma unroll
      for (int j = 0; j < NI; j++)
        sum[i][j] = 0;
  }
  static __device__ __forceinline__ float4 read(uint32_t at)
  {
    float4 v;
    asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
                 : "r"(at)
                 : "memory");
    return v;
  }
  __device__ __forceinline__ void multiply(uint32_t stage)
  {
#pragma unroll
    for (int u = 0; u < 2 * K::SUBS; u++) {
      int chunk = first + u;
      float4 a[MI], b[NI];
#pragma unroll
      for (int i = 0; i < MI; i++)
        a[i] = read(stage + at_a + i * 1024 + ((chunk ^ (row & 7)) << 4));
#pragma unroll
      for (int j = 0; j < NI; j++)
        b[j] = read(stage + at_b + j * 512 + ((chunk ^ (lane_n + j % 2 * 4)) << 4));
#pragma unroll
      for (int i = 0; i < MI; i++)
#pragma unroll
        for (int j = 0; j < NI; j++)
          sum[i][j] = fmaf(a[i].x, b[j].x, sum[i][j]);
#pragma unroll
      for (int i = 0; i < MI; i++)
#pragma unroll
        for (int j = 0; j < NI; j++)
          sum[i][j] = fmaf(a[i].y, b[j].y, sum[i][j]);
#pragma unroll
      for (int i = 0; i < MI; i++)
#pragma unroll
        for (int j = 0; j < NI; j++)
          sum[i][j] = fmaf(a[i].z, b[j].z, sum[i][j]);
#pragma unroll
      for (int i = 0; i < MI; i++)
#pragma unroll
        for (int j = 0; j < NI; j++)
          sum[i][j] = fmaf(a[i].w, b[j].w, sum[i][j]);
    }
  }
  __device__ __forceinline__ void store(float *to) const
  {
#pragma unroll
    for (int i = 0; i < MI; i++)
#pragma unroll
      for (int j = 0; j < NI; j++)
        to[(row + i * 8) * K::LD + column + j * 4] = sum[i][j];
  }
};

#endif
