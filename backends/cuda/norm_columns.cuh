/* SPDX-License-Identifier: Apache-2.0 */
/* Normalization of rows whose neighbours are contiguous instead of their elements. */
#ifndef GIE_BACKENDS_CUDA_NORM_COLUMNS_CUH
#define GIE_BACKENDS_CUDA_NORM_COLUMNS_CUH

#include "backends/cuda/norm.cuh"

/* ---- Columns: lane = row, the 8 warps of a block share its elements */

__device__ __forceinline__ float over_parts(float v, bool greatest, float (*parts)[32])
{
  uint32_t lane = threadIdx.x % 32;
  __syncthreads();
  parts[threadIdx.x / 32][lane] = v;
  __syncthreads();
  v = parts[0][lane];
  for (int k = 1; k < 8; k++)
    v = greatest ? fmaxf(v, parts[k][lane]) : v + parts[k][lane];
  return v;
}

template <class T>
__global__ void __launch_bounds__(256) norm_columns(const __grid_constant__ norm_args a, norm_pointers<T> p)
{
  __shared__ float parts[8][32];
  uint32_t row = blockIdx.x * 32 + threadIdx.x % 32, part = threadIdx.x / 32;
  bool inside = row < a.rows;
  uint32_t n = inside ? a.length : 0;
  int64_t x = 0, y = 0;
  if (inside)
    row_at(a, row, &x, &y);
  const T *from = p.x + x;
  T *to = p.y + y;
  float first = inside ? cuda_to_float(from[0]) : 0.0f, u = a.op <= LOG_SOFTMAX ? -INFINITY : 0.0f, v = 0;
  if (a.op <= LOG_SOFTMAX) {
#pragma unroll 4
    for (uint32_t i = part; i < n; i += 8)
      u = fmaxf(u, cuda_to_float(from[i * a.x_step]));
    u = over_parts(u, true, parts);
#pragma unroll 4
    for (uint32_t i = part; i < n; i += 8)
      v += cuda_exp(cuda_to_float(from[i * a.x_step]) - u);
    v = over_parts(v, false, parts);
    float log_sum = logf(v), factor = 1.0f / v;
#pragma unroll 4
    for (uint32_t i = part; i < n; i += 8) {
      float e = cuda_to_float(from[i * a.x_step]) - u;
      to[i * a.y_step] = cuda_from_float<T>(a.op == LOG_SOFTMAX ? e - log_sum : cuda_exp(e) * factor);
    }
    return;
  }
  /* one pass: sums of the distances from the first element and of their squares */
#pragma unroll 4
  for (uint32_t i = part; i < n; i += 8) {
    float e = cuda_to_float(from[i * a.x_step]) - first;
    u += e;
    v = fmaf(e, e, v);
  }
  u = over_parts(u, false, parts) / float(a.length);
  v = over_parts(v, false, parts) / float(a.length) - u * u;
  if (!inside)
    return;
  uint32_t c = row - cuda_quotient(a.channels, row) * a.channels.d;
  float scale = cuda_to_float(p.scale[c]) / sqrtf(fmaxf(v, 0.0f) + a.epsilon);
  float shift = cuda_to_float(p.bias[c]), mean = first + u;
#pragma unroll 4
  for (uint32_t i = part; i < n; i += 8)
    to[i * a.y_step] = cuda_from_float<T>((cuda_to_float(from[i * a.x_step]) - mean) * scale + shift);
}

/* ---- Softmax of few elements whose rows are neighbours: V rows of at most L elements in the registers of a thread */

template <class T, int V, int L, int OP>
__global__ void __launch_bounds__(256) norm_few(const __grid_constant__ norm_args a, norm_pointers<T> p)
{
  uint32_t row = (blockIdx.x * 256 + threadIdx.x) * V;
  int64_t x, y;
  if (row >= a.rows)
    return;
  row_at(a, row, &x, &y);
  const T *from = p.x + x;
  T *to = p.y + y;
  float e[L][V], most[V], sum[V];
#pragma unroll
  for (int k = 0; k < L; k++)
    if (k < a.length)
      cuda_load_v<T, V>(from + k * a.x_step, e[k]);
#pragma unroll
  for (int v = 0; v < V; v++) {
    most[v] = -INFINITY;
    sum[v] = 0;
  }
#pragma unroll
  for (int k = 0; k < L; k++)
    if (k < a.length)
#pragma unroll
      for (int v = 0; v < V; v++)
        most[v] = fmaxf(most[v], e[k][v]);
#pragma unroll
  for (int k = 0; k < L; k++)
    if (k < a.length)
#pragma unroll
      for (int v = 0; v < V; v++) {
        e[k][v] -= most[v];
        float z = cuda_exp(e[k][v]);
        sum[v] += z;
        e[k][v] = OP == LOG_SOFTMAX ? e[k][v] : z;
      }
#pragma unroll
  for (int v = 0; v < V; v++)
    sum[v] = OP == LOG_SOFTMAX ? logf(sum[v]) : 1.0f / sum[v];
#pragma unroll
  for (int k = 0; k < L; k++)
    if (k < a.length) {
#pragma unroll
      for (int v = 0; v < V; v++)
        e[k][v] = OP == LOG_SOFTMAX ? e[k][v] - sum[v] : e[k][v] * sum[v];
      cuda_store_v<T, V>(to + k * a.y_step, e[k]);
    }
}

/* ---- instance_norm of channels that are neighbours (nhwc), in two launches: sums of chunks of the pixels into the workspace,
 * then these together and the result. A thread has V channels of every lanes-th pixel of its chunk. */

struct norm_place {
  uint32_t vectors, lanes; /* of V channels in this block; threads per vector */
  uint32_t vector, lane, channel, image, begin, end;
  bool busy;
};

template <int V>
__device__ __forceinline__ struct norm_place place_of(const struct norm_args &a, uint32_t chunk,
                                                      uint32_t image)
{
  struct norm_place s;
  uint32_t all = a.channels.d / V, size = (a.length + a.chunks - 1) / a.chunks;
  s.vectors = all < 256 ? all : 256;
  s.lanes = 256 / s.vectors;
  s.lane = threadIdx.x / s.vectors;
  s.vector = threadIdx.x - s.lane * s.vectors;
  s.channel = (blockIdx.x * s.vectors + s.vector) * V;
  s.image = image;
  s.begin = chunk * size;
  s.end = s.begin + size < a.length ? s.begin + size : a.length;
  s.busy = s.lane < s.lanes && s.channel < a.channels.d;
  return s;
}

/* Sums over the lanes, in their order; every lane gets them. */
template <int V>
__device__ __forceinline__ void over_lanes(const struct norm_place &s, float (&u)[V],
                                           gie_cuda_vector<float, V> *shared)
{
  __syncthreads();
#pragma unroll
  for (int v = 0; v < V; v++)
    shared[threadIdx.x].v[v] = u[v];
  __syncthreads();
  if (s.busy && s.lane == 0) {
    for (uint32_t k = 1; k < s.lanes; k++) {
      gie_cuda_vector<float, V> e = shared[k * s.vectors + s.vector];
#pragma unroll
      for (int v = 0; v < V; v++)
        u[v] += e.v[v];
    }
#pragma unroll
    for (int v = 0; v < V; v++)
      shared[s.vector].v[v] = u[v];
  }
  __syncthreads();
#pragma unroll
  for (int v = 0; v < V; v++)
    u[v] = s.busy ? shared[s.vector].v[v] : 0.0f;
}

/* Sums of the distances from the first pixel and of their squares; grid: channels, chunk, image. */
template <class T, int V>
__global__ void __launch_bounds__(256)
    norm_chunk_sums(const __grid_constant__ norm_args a, norm_pointers<T> p)
{
  __shared__ gie_cuda_vector<float, V> shared[256];
  const struct norm_place s = place_of<V>(a, blockIdx.y, blockIdx.z);
  float first[V] = {}, e[V], u[V] = {}, w[V] = {};
  if (s.busy) {
    const T *from = p.x + (a.rank > 1 ? s.image * a.x[1] : 0) + s.channel;
    cuda_load_v<T, V>(from, first);
#pragma unroll 4
    for (uint32_t i = s.begin + s.lane; i < s.end; i += s.lanes) {
      cuda_load_v<T, V>(from + i * a.x_step, e);
#pragma unroll
      for (int v = 0; v < V; v++) {
        float d = e[v] - first[v];
        u[v] += d;
        w[v] = fmaf(d, d, w[v]);
      }
    }
  }
  over_lanes<V>(s, u, shared);
  over_lanes<V>(s, w, shared);
  if (!s.busy || s.lane)
    return;
  float *to = p.sums + (int64_t(s.image) * a.chunks + blockIdx.y) * 2 * a.channels.d + s.channel;
  cuda_store_v<float, V>(to, u);
  cuda_store_v<float, V>(to + a.channels.d, w);
}

/* The last chunks first: they may still be in the cache. */
template <class T, int V>
__global__ void __launch_bounds__(256)
    norm_chunk_ends(const __grid_constant__ norm_args a, norm_pointers<T> p)
{
  __shared__ gie_cuda_vector<float, V> shared[256];
  const struct norm_place s = place_of<V>(a, gridDim.y - 1 - blockIdx.y, gridDim.z - 1 - blockIdx.z);
  float e[V], u[V] = {}, w[V] = {}, scale[V], bias[V];
  if (s.busy)
    for (uint32_t k = s.lane; k < a.chunks; k += s.lanes) {
      const float *sums = p.sums + (int64_t(s.image) * a.chunks + k) * 2 * a.channels.d + s.channel;
      cuda_load_v<float, V>(sums, e);
#pragma unroll
      for (int v = 0; v < V; v++)
        u[v] += e[v];
      cuda_load_v<float, V>(sums + a.channels.d, e);
#pragma unroll
      for (int v = 0; v < V; v++)
        w[v] += e[v];
    }
  over_lanes<V>(s, u, shared);
  over_lanes<V>(s, w, shared);
  if (!s.busy)
    return;
  const T *from = p.x + (a.rank > 1 ? s.image * a.x[1] : 0) + s.channel;
  T *to = p.y + (a.rank > 1 ? s.image * a.y[1] : 0) + s.channel;
  cuda_load_v<T, V>(from, e);
#pragma unroll
  for (int v = 0; v < V; v++) {
    float mean = u[v] / float(a.length), var = w[v] / float(a.length) - mean * mean;
    u[v] = e[v] + mean;
    scale[v] = cuda_to_float(p.scale[s.channel + v]) / sqrtf(fmaxf(var, 0.0f) + a.epsilon);
    bias[v] = cuda_to_float(p.bias[s.channel + v]);
  }
#pragma unroll 4
  for (uint32_t i = s.begin + s.lane; i < s.end; i += s.lanes) {
    cuda_load_v<T, V>(from + i * a.x_step, e);
#pragma unroll
    for (int v = 0; v < V; v++)
      e[v] = (e[v] - u[v]) * scale[v] + bias[v];
    cuda_store_v<T, V>(to + i * a.y_step, e);
  }
}

#endif
