/* SPDX-License-Identifier: Apache-2.0 */
/* The tiled convolution on the device: from sums in registers to the result. */
#ifndef GIE_BACKENDS_CUDA_CONV_END_CUH
#define GIE_BACKENDS_CUDA_CONV_END_CUH

#include "backends/cuda/conv_sums.cuh"

/* ---- The end of a tile ----------------------------------------------------------------------------------- */

/* Adds slices 1 … to slice 0. */
template <class K> CONV_DEVICE void conv_fold_slices(float *sums, int tid)
{
  for (int v = tid; v < K::M * (K::N / 4); v += K::THREADS) {
    float4 *at = reinterpret_cast<float4 *>(sums + v / (K::N / 4) * K::LD + v % (K::N / 4) * 4), r = *at;
#pragma unroll
    for (int s = 1; s < K::SLICES; s++) {
      float4 x = at[s * (K::M * K::LD / 4)];
      r = make_float4(r.x + x.x, r.y + x.y, r.z + x.z, r.w + x.w);
    }
    *at = r;
  }
}

/* W (1 or a multiple of 4) neighbouring sums of the whole tile. */
template <class K, int W> CONV_DEVICE void conv_total(float (&r)[W], const float *sums, int at, int split)
{
  if constexpr (W == 1) {
    if (split == 1) {
      r[0] = sums[at];
#pragma unroll
      for (int s = 1; s < K::SLICES; s++)
        r[0] += sums[s * K::M * K::LD + at];
      return;
    }
    float4 v;
    r[0] = 0;
    for (int s = 0; s < split; s++) {
      v = conv_cluster_read(conv_smem(sums + (at & ~3)), s);
      r[0] += (at & 3) == 0 ? v.x : (at & 3) == 1 ? v.y : (at & 3) == 2 ? v.z : v.w;
    }
  } else {
    int copies = split == 1 ? K::SLICES : split;
#pragma unroll
    for (int e = 0; e < W; e++)
      r[e] = 0;
#pragma unroll 4
    for (int s = 0; s < copies; s++)
#pragma unroll
      for (int e = 0; e < W; e += 4) {
        float4 v = split == 1 ? *reinterpret_cast<const float4 *>(sums + s * K::M * K::LD + at + e)
                              : conv_cluster_read(conv_smem(sums + at + e), s);
        r[e] += v.x, r[e + 1] += v.y, r[e + 2] += v.z, r[e + 3] += v.w;
      }
  }
}

struct conv_place {
  int m, n, group, rank; /* first pixel and channel of the tile */
};

/* Bias of the V channels that a thread finishes in every round, read before the sums are there. */
template <class K> struct conv_bias {
  float v[K::V];

  __device__ __forceinline__ conv_bias(const conv_args &a, const conv_place &at, int tid)
  {
    using T = typename K::T;
    int n = at.n + tid % (K::N / K::V) * K::V;
    const T *bias = static_cast<const T *>(a.bias) + at.group * a.n + n;
#pragma unroll
    for (int e = 0; e < K::V; e++)
      v[e] = 0;
    if (!a.bias)
      return;
    if (n + K::V <= a.n && reinterpret_cast<uintptr_t>(bias) % 16 == 0) {
      uint4 bits = *reinterpret_cast<const uint4 *>(bias);
#pragma unroll
      for (int e = 0; e < K::V; e++)
        v[e] = conv_to_float(reinterpret_cast<const T *>(&bits)[e]);
    } else {
#pragma unroll
      for (int e = 0; e < K::V; e++)
        v[e] = n + e < a.n ? conv_to_float(bias[e]) : 0;
    }
  }
};

/* The operand of a first step that adds, for the first rounds of a thread, on its way while the sums are made. Only where it lies
 * as the result does and relu is all that may follow; other epilogues read their operands in the end. */
template <class K> struct conv_residual {
  using T = typename K::T;
  static constexpr int PER_ROW = K::N / K::V, ROUNDS = K::M * PER_ROW > K::THREADS ? 2 : 1;
  uint4 v[ROUNDS];
  bool used, relu;

  __device__ __forceinline__ conv_residual(const conv_args &a, const gie_cuda_steps &steps,
                                           const conv_place &at, int tid)
  {
    const gie_cuda_step &add = steps.step[0];
    relu = steps.n == 2;
    used = steps.kind == GIE_CUDA_STEPS_LIST && add.op == GIE_CUDA_STEP_ADD && add.operand >= 0 &&
           add.stride_c == 1 && add.aligned >= 16 && (add.half != 0) == (sizeof(T) == 2) &&
           (steps.n == 1 || (relu && steps.step[1].op == GIE_CUDA_STEP_RELU)) && a.vector_y;
    if (!used)
      return;
    const int share = K::M * PER_ROW / a.split, n = at.n + tid % PER_ROW * K::V;
#pragma unroll
    for (int i = 0; i < ROUNDS; i++) {
      int round = i * K::THREADS + tid, m = at.m + (at.rank * share + round) / PER_ROW;
      v[i] = make_uint4(0, 0, 0, 0);
      if (round >= share || m >= a.m || n + K::V > a.n)
        continue;
      int image = conv_divide(m, a.by_pixels), pixel = m - image * static_cast<int>(a.by_pixels.by);
      v[i] = *reinterpret_cast<const uint4 *>(static_cast<const T *>(add.data) + image * add.stride_n +
                                              pixel * add.stride_p + at.group * a.n + n);
    }
  }
  /* Whether that was all of the epilogue of a full vector. */
  __device__ __forceinline__ bool apply(float (&r)[K::V], int round) const
  {
    if (!used || round >= ROUNDS)
      return false;
    const uint4 bits = ROUNDS > 1 && round > 0 ? v[ROUNDS - 1] : v[0];
#pragma unroll
    for (int e = 0; e < K::V; e++) {
      r[e] += conv_to_float(reinterpret_cast<const T *>(&bits)[e]);
      r[e] = relu && r[e] < 0 ? 0 : r[e];
    }
    return true;
  }
};

/* This block's share of the tile, channels next to each other. */
template <class K>
CONV_DEVICE void conv_finish_channels(const conv_args &a, const gie_cuda_steps &steps, const conv_place &at,
                                      const float *sums, const conv_bias<K> &bias,
                                      const conv_residual<K> &residual, int tid)
{
  using T = typename K::T;
  constexpr int V = K::V, VECTORS = K::M * (K::N / V);
  static_assert(K::THREADS % (K::N / V) == 0 && VECTORS / CONV_MAX_SPLIT % (K::N / V) == 0, "bias");
  const int share = VECTORS / a.split, end = (at.rank + 1) * share;
  const int column = tid % (K::N / V) * V, n = at.n + column, c = at.group * a.n + n;
  if (n >= a.n)
    return;
  for (int v = at.rank * share + tid, round = 0; v < end; v += K::THREADS, round++) {
    int row = v / (K::N / V), m = at.m + row;
    float r[V];
    if (m >= a.m)
      break;
    int image = conv_divide(m, a.by_pixels), pixel = m - image * static_cast<int>(a.by_pixels.by);
    T *y = static_cast<T *>(a.y) + image * a.y_n + pixel * a.y_p + c;
    conv_total<K, V>(r, sums, row * K::LD + column, a.split);
#pragma unroll
    for (int e = 0; e < V; e++)
      r[e] += bias.v[e];
    if (a.vector_y && n + V <= a.n) {
      if (!residual.apply(r, round))
        gie_cuda_steps_apply_c<V>(steps, r, image, c, pixel);
      conv_store_vector(y, r);
    } else {
#pragma unroll
      for (int e = 0; e < V; e++)
        if (n + e < a.n)
          conv_store(y + e, gie_cuda_steps_apply(steps, r[e], image, c + e, pixel));
    }
  }
}

/* The same where pixels are next to each other. */
template <class K>
CONV_DEVICE void conv_finish_pixels(const conv_args &a, const gie_cuda_steps &steps, const conv_place &at,
                                    const float *sums, int tid)
{
  using T = typename K::T;
  constexpr int ALL = K::M * K::N;
  const int share = ALL / a.split, end = (at.rank + 1) * share;
  for (int v = at.rank * share + tid; v < end; v += K::THREADS) {
    int row = v % K::M, column = v / K::M, m = at.m + row, n = at.n + column;
    float r[1];
    if (m >= a.m || n >= a.n)
      continue;
    int image = conv_divide(m, a.by_pixels), pixel = m - image * static_cast<int>(a.by_pixels.by);
    int c = at.group * a.n + n;
    conv_total<K, 1>(r, sums, row * K::LD + column, a.split);
    if (a.bias)
      r[0] += conv_to_float(static_cast<const T *>(a.bias)[c]);
    conv_store(static_cast<T *>(a.y) + image * a.y_n + pixel * a.y_p + c * a.y_c,
               gie_cuda_steps_apply(steps, r[0], image, c, pixel));
  }
}

/* From sums in registers to the result. Threads from K::THREADS on only keep step. */
template <class K>
CONV_DEVICE void conv_end(const conv_args &a, const gie_cuda_steps &steps, const conv_place &at,
                          const conv_sums<K, K::KIND> &sums, const conv_bias<K> &bias,
                          const conv_residual<K> &residual, float *total, int tid)
{
  const bool works = tid < K::THREADS;
  if (works)
    sums.store(total + tid / (32 * K::WM * K::WN) * K::M * K::LD);
  if (a.split == 1) {
    __syncthreads();
  } else {
    if (K::SLICES > 1) {
      __syncthreads();
      if (works)
        conv_fold_slices<K>(total, tid);
    }
    conv_cluster_wait();
  }
  if (works) {
    if (a.y_c == 1)
      conv_finish_channels<K>(a, steps, at, total, bias, residual, tid);
    else
      conv_finish_pixels<K>(a, steps, at, total, tid);
  }
  if (a.split > 1)
    conv_cluster_wait(); /* others may still read this block's sums */
}

CONV_DEVICE conv_place conv_find_place(const conv_args &a, int tile_m_size, int tile_n_size)
{
  int tile = static_cast<int>(blockIdx.x) / a.split, m = conv_divide(tile, a.by_tiles_n);
  return {m * tile_m_size, (tile - m * a.tiles_n) * tile_n_size, static_cast<int>(blockIdx.y),
          static_cast<int>(blockIdx.x) % a.split};
}

#endif
