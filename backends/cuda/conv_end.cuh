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
#pragma unroll
    for (int e = 0; e < W; e++)
      r[e] = 0;
    if (split == 1) {
#pragma unroll
      for (int s = 0; s < K::SLICES; s++)
#pragma unroll
        for (int e = 0; e < W; e += 4) {
          float4 v = *reinterpret_cast<const float4 *>(sums + s * K::M * K::LD + at + e);
          r[e] += v.x, r[e + 1] += v.y, r[e + 2] += v.z, r[e + 3] += v.w;
        }
      return;
    }
#pragma unroll 2
    for (int s = 0; s < split; s++)
#pragma unroll
      for (int e = 0; e < W; e += 4) {
        float4 v = conv_cluster_read(conv_smem(sums + at + e), s);
        r[e] += v.x, r[e + 1] += v.y, r[e + 2] += v.z, r[e + 3] += v.w;
      }
  }
}

struct conv_place {
  int m, n, group, rank; /* first pixel and channel of the tile */
};

/* The fast end (conv_args.fast): what a thread needs for it, found and read while the sums are made, so that little is left
 * to do, and little code that no block has run yet. */
template <class K> struct conv_ahead {
  using T = typename K::T;
  static constexpr int V = K::V, PER_ROW = K::N / V, VECTORS = K::M * PER_ROW;
  static constexpr int ROUNDS = (VECTORS + K::THREADS - 1) / K::THREADS, HELD = ROUNDS <= 2 ? ROUNDS : 1;
  static_assert(K::THREADS % PER_ROW == 0 && VECTORS / CONV_MAX_SPLIT % PER_ROW == 0,
                "a thread keeps its channels");
  T *y[HELD]; /* NULL: nothing to do */
  uint4 bias, residual[HELD];

  __device__ __forceinline__ conv_ahead(const conv_args &a, const conv_place &at, int tid)
  {
    if (!a.fast)
      return;
    const int c = at.group * a.n + at.n + tid % PER_ROW * V;
    bias = make_uint4(0, 0, 0, 0);
    if (a.bias && at.n + tid % PER_ROW * V < a.n)
      bias = *reinterpret_cast<const uint4 *>(static_cast<const T *>(a.bias) + c);
#pragma unroll
    for (int i = 0; i < HELD; i++)
      find(a, at, tid, i, y[i], residual[i]);
  }
  __device__ __forceinline__ static void find(const conv_args &a, const conv_place &at, int tid, int round,
                                              T *&y, uint4 &residual)
  {
    const int share = VECTORS / a.split, v = round * K::THREADS + tid, n = at.n + tid % PER_ROW * V;
    const int m = at.m + (at.rank * share + v) / PER_ROW, c = at.group * a.n + n;
    y = nullptr;
    residual = make_uint4(0, 0, 0, 0);
    if (v >= share || m >= a.m || n >= a.n)
      return;
    const int image = conv_divide(m, a.by_pixels), pixel = m - image * static_cast<int>(a.by_pixels.by);
    y = static_cast<T *>(a.y) + image * a.y_n + pixel * a.y_p + c;
    if (a.residual)
      residual = *reinterpret_cast<const uint4 *>(static_cast<const T *>(a.residual) + image * a.residual_n +
                                                  pixel * a.residual_p + c);
  }
};

template <class K>
CONV_DEVICE void conv_finish_fast(const conv_args &a, const conv_place &at, const float *sums,
                                  const conv_ahead<K> &ahead, int tid)
{
  using A = conv_ahead<K>;
  using T = typename K::T;
  const int first = at.rank * (A::VECTORS / a.split) + tid;
#pragma unroll
  for (int i = 0; i < A::ROUNDS; i++) {
    T *y;
    uint4 residual;
    if (i < A::HELD)
      y = ahead.y[i < A::HELD ? i : 0], residual = ahead.residual[i < A::HELD ? i : 0];
    else
      A::find(a, at, tid, i, y, residual);
    if (!y)
      continue;
    const int v = first + i * K::THREADS;
    float r[K::V];
    conv_total<K, K::V>(r, sums, v / A::PER_ROW * K::LD + v % A::PER_ROW * K::V, a.split);
#pragma unroll
    for (int e = 0; e < K::V; e++) {
      r[e] += conv_to_float(reinterpret_cast<const T *>(&ahead.bias)[e]);
      r[e] = gie_cuda_clip(r[e] + conv_to_float(reinterpret_cast<const T *>(&residual)[e]), a.low, a.high);
    }
    conv_store_vector(y, r);
  }
}

/* Any epilogue on whole vectors of neighbouring channels. */
template <class K>
CONV_DEVICE void conv_finish_vectors(const conv_args &a, const gie_cuda_steps &steps, const conv_place &at,
                                     const float *sums, int tid)
{
  using T = typename K::T;
  constexpr int V = K::V, PER_ROW = K::N / V;
  const int share = K::M * PER_ROW / a.split, end = (at.rank + 1) * share;
  const int column = tid % PER_ROW * V, n = at.n + column, c = at.group * a.n + n;
#pragma unroll 1
  for (int v = at.rank * share + tid; v < end; v += K::THREADS) {
    int row = v / PER_ROW, m = at.m + row;
    float r[V];
    if (m >= a.m || n >= a.n)
      return;
    int image = conv_divide(m, a.by_pixels), pixel = m - image * static_cast<int>(a.by_pixels.by);
    conv_total<K, V>(r, sums, row * K::LD + column, a.split);
    if (a.bias)
#pragma unroll
      for (int e = 0; e < V; e++)
        r[e] += conv_to_float(static_cast<const T *>(a.bias)[c + e]);
    gie_cuda_steps_apply_c<V>(steps, r, image, c, pixel);
    conv_store_vector(static_cast<T *>(a.y) + image * a.y_n + pixel * a.y_p + c, r);
  }
}

/* Any epilogue and any result, one element at a time; neighbouring threads have neighbouring elements. */
template <class K>
CONV_DEVICE void conv_finish_elements(const conv_args &a, const gie_cuda_steps &steps, const conv_place &at,
                                      const float *sums, int tid)
{
  using T = typename K::T;
  const int share = K::M * K::N / a.split, end = (at.rank + 1) * share;
#pragma unroll 1
  for (int v = at.rank * share + tid; v < end; v += K::THREADS) {
    int row = a.y_c == 1 ? v / K::N : v % K::M, column = a.y_c == 1 ? v % K::N : v / K::M;
    int m = at.m + row, n = at.n + column;
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
                          const conv_sums<K, K::KIND> &sums, const conv_ahead<K> &ahead, float *total,
                          int tid)
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
    if (__builtin_expect(a.fast, 1))
      conv_finish_fast<K>(a, at, total, ahead, tid);
    else if (a.vector_y)
      conv_finish_vectors<K>(a, steps, at, total, tid);
    else
      conv_finish_elements<K>(a, steps, at, total, tid);
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
