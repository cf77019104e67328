/* SPDX-License-Identifier: Apache-2.0 */
/* Reductions of f32 and f16 whose elements or results are contiguous: what runs on the device. */
#ifndef GIE_BACKENDS_CUDA_REDUCE_CUH
#define GIE_BACKENDS_CUDA_REDUCE_CUH

#include "backends/cuda/host.cuh"

enum fold { FOLD_MEAN, FOLD_SUM, FOLD_MAX, FOLD_MIN, FOLD_L2 };

/* Kept and reduced axes, innermost first; strides in elements. */
struct reduce_axes {
  int rank;
  struct cuda_div div[CUDA_LOOP_AXES];
  int64_t in[CUDA_LOOP_AXES], out[CUDA_LOOP_AXES];
};

struct reduce_args {
  uint32_t kept, reduced; /* numbers of results and of elements in each */
  enum fold fold;
  struct reduce_axes keep, sum;
};

__device__ __forceinline__ float start_of(enum fold f)
{
  return f == FOLD_MAX ? -INFINITY : f == FOLD_MIN ? INFINITY : 0.0f;
}

/* An element joins; two parts join. */
__device__ __forceinline__ float take(enum fold f, float r, float x)
{
  if (f == FOLD_MAX)
    return x > r || x != x ? x : r;
  if (f == FOLD_MIN)
    return x < r || x != x ? x : r;
  return f == FOLD_L2 ? fmaf(x, x, r) : r + x;
}
__device__ __forceinline__ float join(enum fold f, float a, float b)
{
  if (f == FOLD_MAX)
    return a > b || a != a ? a : b;
  if (f == FOLD_MIN)
    return a < b || a != a ? a : b;
  return a + b;
}

__device__ __forceinline__ float finish(enum fold f, float r, uint32_t n)
{
  return f == FOLD_MEAN ? r / float(n) : f == FOLD_L2 ? sqrtf(r) : r;
}

__device__ __forceinline__ int64_t offset_in(const struct reduce_axes &a, uint32_t i)
{
  int64_t at = 0;
  if (a.rank == 1)
    return i * a.in[0];
  for (int k = 0; k < a.rank; k++) {
    uint32_t q = cuda_quotient(a.div[k], i);
    at += (i - q * a.div[k].d) * a.in[k];
    i = q;
  }
  return at;
}

__device__ __forceinline__ void offsets(const struct reduce_axes &a, uint32_t i, int64_t *in, int64_t *out)
{
  *in = *out = 0;
  for (int k = 0; k < a.rank; k++) {
    uint32_t q = cuda_quotient(a.div[k], i), r = i - q * a.div[k].d;
    *in += r * a.in[k];
    *out += r * a.out[k];
    i = q;
  }
}

/* Over G neighbouring lanes, at most a warp. */
template <int G> __device__ __forceinline__ float join_lanes(enum fold f, float r)
{
#pragma unroll
  for (int k = G / 2; k > 0; k /= 2)
    r = join(f, r, __shfl_xor_sync(0xffffffffu, r, k));
  return r;
}

/* G threads per result, 8, 32 or 256, all of a block. V contiguous elements at a time where V > 1. */
template <class T, enum fold F, int G, int V>
__global__ void __launch_bounds__(256)
    reduce_rows(const __grid_constant__ reduce_args a, const T *__restrict__ x, T *__restrict__ y)
{
  const uint32_t lane = threadIdx.x % G;
  uint32_t row = blockIdx.x * (256 / G) + threadIdx.x / G;
  float r = start_of(F);
  int64_t in = 0, out = 0;
  if (row < a.kept) {
    offsets(a.keep, row, &in, &out);
    if (V > 1) {
      float e[V], part[V];
#pragma unroll
      for (int v = 0; v < V; v++)
        part[v] = r;
#pragma unroll 4
      for (uint32_t i = lane * V; i < a.reduced; i += G * V) {
        cuda_load_v<T, V>(x + in + i, e);
#pragma unroll
        for (int v = 0; v < V; v++)
          part[v] = take(F, part[v], e[v]);
      }
#pragma unroll
      for (int v = 0; v < V; v++)
        r = join(F, r, part[v]);
    } else {
#pragma unroll 4
      for (uint32_t i = lane; i < a.reduced; i += G)
        r = take(F, r, cuda_to_float(x[in + offset_in(a.sum, i)]));
    }
  }
  r = join_lanes < G < 32 ? G : 32 > (F, r);
  if (G > 32) {
    __shared__ float parts[8];
    if (threadIdx.x % 32 == 0)
      parts[threadIdx.x / 32] = r;
    __syncthreads();
    r = parts[0];
    for (int k = 1; k < 8; k++)
      r = join(F, r, parts[k]);
  }
  if (row < a.kept && lane == 0)
    y[out] = cuda_from_float<T>(finish(a.fold, r, a.reduced));
}

/* Rows of at most SHORT elements, one behind the other: a block copies SHORT_ROWS of them, a thread takes one. Where their length
 * is even, threads begin at different elements, so that they meet different banks. */
#define SHORT 64
#define SHORT_ROWS 128

template <class T, enum fold F>
__global__ void __launch_bounds__(SHORT_ROWS)
    reduce_short(const __grid_constant__ reduce_args a, const T *__restrict__ x, T *__restrict__ y)
{
  constexpr int V = 16 / sizeof(T);
  __shared__ gie_cuda_vector<T, V> rows[SHORT * SHORT_ROWS / V];
  const uint32_t first = blockIdx.x * SHORT_ROWS,
                 some = a.kept - first < SHORT_ROWS ? a.kept - first : SHORT_ROWS;
  const uint32_t n = some * a.reduced;
  T *row = &rows[0].v[0];
  x += int64_t(first) * a.reduced;
#pragma unroll 4
  for (uint32_t i = threadIdx.x; i < n / V; i += SHORT_ROWS)
    rows[i] = reinterpret_cast<const gie_cuda_vector<T, V> *>(x)[i];
  for (uint32_t i = n / V * V + threadIdx.x; i < n; i += SHORT_ROWS)
    row[i] = x[i];
  __syncthreads();
  if (threadIdx.x >= some)
    return;
  row += threadIdx.x * a.reduced;
  float r = start_of(F);
  if (a.reduced % 2) {
#pragma unroll 8
    for (uint32_t i = 0; i < a.reduced; i++)
      r = take(F, r, cuda_to_float(row[i]));
  } else {
    uint32_t at = threadIdx.x % a.reduced;
#pragma unroll 8
    for (uint32_t i = 0; i < a.reduced; i++) {
      r = take(F, r, cuda_to_float(row[at]));
      at = at + 1 == a.reduced ? 0 : at + 1;
    }
  }
  y[(first + threadIdx.x) * a.keep.out[0]] = cuda_from_float<T>(finish(a.fold, r, a.reduced));
}

/* A thread for V results. */
template <class T, enum fold F, int V>
__global__ void __launch_bounds__(256)
    reduce_alone(const __grid_constant__ reduce_args a, const T *__restrict__ x, T *__restrict__ y)
{
  uint32_t column = (blockIdx.x * 256 + threadIdx.x) * V;
  float r[V], e[V];
  int64_t in, out;
  if (column >= a.kept)
    return;
  offsets(a.keep, column, &in, &out);
#pragma unroll
  for (int v = 0; v < V; v++)
    r[v] = start_of(F);
#pragma unroll 8
  for (uint32_t i = 0; i < a.reduced; i++) {
    cuda_load_v<T, V>(x + in + offset_in(a.sum, i), e);
#pragma unroll
    for (int v = 0; v < V; v++)
      r[v] = take(F, r[v], e[v]);
  }
#pragma unroll
  for (int v = 0; v < V; v++)
    r[v] = finish(a.fold, r[v], a.reduced);
  cuda_store_v<T, V>(y + out, r);
}

/* 32 results per block, each summed by 8 threads; vectors of V results per thread. */
template <class T, enum fold F, int V>
__global__ void __launch_bounds__(256)
    reduce_columns(const __grid_constant__ reduce_args a, const T *__restrict__ x, T *__restrict__ y)
{
  __shared__ float parts[8][32 * V + 1];
  uint32_t column = (blockIdx.x * 32 + threadIdx.x % 32) * V, part = threadIdx.x / 32;
  float r[V], e[V];
  int64_t in = 0, out = 0;
#pragma unroll
  for (int v = 0; v < V; v++)
    r[v] = start_of(F);
  if (column < a.kept) {
    offsets(a.keep, column, &in, &out);
#pragma unroll 8
    for (uint32_t i = part; i < a.reduced; i += 8) {
      cuda_load_v<T, V>(x + in + offset_in(a.sum, i), e);
#pragma unroll
      for (int v = 0; v < V; v++)
        r[v] = take(F, r[v], e[v]);
    }
  }
#pragma unroll
  for (int v = 0; v < V; v++)
    parts[part][threadIdx.x % 32 * V + v] = r[v];
  __syncthreads();
  if (part != 0 || column >= a.kept)
    return;
#pragma unroll
  for (int v = 0; v < V; v++) {
    for (int k = 1; k < 8; k++)
      r[v] = join(F, r[v], parts[k][threadIdx.x * V + v]);
    r[v] = finish(a.fold, r[v], a.reduced);
  }
  cuda_store_v<T, V>(y + out, r);
}

#endif
