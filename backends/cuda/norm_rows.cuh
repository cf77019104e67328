/* SPDX-License-Identifier: Apache-2.0 */
/* Normalization of contiguous rows, by a warp, a block or a thread each. */
#ifndef GIE_BACKENDS_CUDA_NORM_ROWS_CUH
#define GIE_BACKENDS_CUDA_NORM_ROWS_CUH

#include "backends/cuda/norm.cuh"

/* Sums and maxima of a warp or of 256 threads, which all get the result; W 0: of a thread. */
template <int W, bool greatest> __device__ __forceinline__ float over_group(float v, float *shared)
{
  if constexpr (W > 0)
#pragma unroll
    for (int k = 16; k > 0; k /= 2) {
      float o = __shfl_xor_sync(0xffffffffu, v, k);
      v = greatest ? fmaxf(v, o) : v + o;
    }
  if constexpr (W > 1) {
    __syncthreads(); /* the last use of shared[] */
    if (threadIdx.x % 32 == 0)
      shared[threadIdx.x / 32] = v;
    __syncthreads();
    v = shared[0];
    for (int k = 1; k < W; k++)
      v = greatest ? fmaxf(v, shared[k]) : v + shared[k];
  }
  return v;
}

template <class T, int W, int OP, class F>
__device__ __forceinline__ void norm_row(const struct norm_args &a, const struct norm_pointers<T> &p,
                                         uint32_t row, float *shared, F &for_each)
{
  constexpr int V = F::V;
  const enum norm_op op = OP < 0 ? a.op : static_cast<enum norm_op>(OP);
  int64_t x, y;
  row_at(a, row, &x, &y);
  if (op <= LOG_SOFTMAX) {
    float most = -INFINITY, sum = 0;
    for_each([&](uint32_t, float &v) { most = fmaxf(most, v); });
    most = over_group<W, true>(most, shared);
    bool keeps = for_each.KEEPS && op == SOFTMAX; /* the exponentials, instead of the elements */
    for_each([&](uint32_t, float &v) {
      float e = cuda_exp(v - most);
      sum += e;
      v = keeps ? e : v;
    });
    sum = over_group<W, false>(sum, shared);
    float shift = most + (op == LOG_SOFTMAX ? logf(sum) : 0.0f), factor = 1.0f / sum;
    for_each.store([&](uint32_t, float(&v)[V]) {
#pragma unroll
      for (int e = 0; e < V; e++)
        v[e] = op == LOG_SOFTMAX ? v[e] - most - (shift - most)
                                 : (keeps ? v[e] : cuda_exp(v[e] - most)) * factor;
    });
    return;
  }
  float mean = 0, var = 0;
  for_each([&](uint32_t, float &v) { mean += v; });
  mean = over_group<W, false>(mean, shared) / float(a.length);
  for_each([&](uint32_t, float &v) { var += (v - mean) * (v - mean); });
  var = over_group<W, false>(var, shared) / float(a.length);
  float inverse = 1.0f / sqrtf(var + a.epsilon);
  if (op == LAYER_NORM) {
    const bool first = W == 0 || threadIdx.x % (W ? 32 * W : 1) == 0;
    if (first && p.mean)
      p.mean[row] = mean;
    if (first && p.inverse)
      p.inverse[row] = inverse;
    for_each.store([&](uint32_t i, float(&v)[V]) {
      float scale[V], bias[V] = {};
      cuda_load_v<T, V>(p.scale + i, scale);
      if (p.bias)
        cuda_load_v<T, V>(p.bias + i, bias);
#pragma unroll
      for (int e = 0; e < V; e++)
        v[e] = (v[e] - mean) * inverse * scale[e] + bias[e];
    });
    return;
  }
  uint32_t c = row - cuda_quotient(a.channels, row) * a.channels.d;
  float scale = cuda_to_float(p.scale[c]) * inverse, bias = cuda_to_float(p.bias[c]);
  for_each.store([&](uint32_t, float(&v)[V]) {
#pragma unroll
    for (int e = 0; e < V; e++)
      v[e] = (v[e] - mean) * scale + bias;
  });
}

/* A row in the registers of a warp: N vectors of V elements per lane. */
template <class T, int WIDTH, int N> struct warp_row {
  static constexpr int V = WIDTH;
  static constexpr bool KEEPS = true; /* what f() makes of an element */
  float v[N][V];
  uint32_t length;
  T *y;
  __device__ __forceinline__ warp_row(const T *x, T *y_, uint32_t n) : length(n), y(y_)
  {
#pragma unroll
    for (int k = 0; k < N; k++) {
      uint32_t i = (k * 32 + threadIdx.x % 32) * V;
      if (i < length)
        cuda_load_v<T, V>(x + i, v[k]);
    }
  }
  template <class F> __device__ __forceinline__ void operator()(const F &f)
  {
#pragma unroll
    for (int k = 0; k < N; k++) {
      uint32_t i = (k * 32 + threadIdx.x % 32) * V;
      if (i < length) /* which is a multiple of V */
#pragma unroll
        for (int e = 0; e < V; e++)
          f(i + e, v[k][e]);
    }
  }
  template <class F> __device__ __forceinline__ void store(const F &f) const
  {
#pragma unroll
    for (int k = 0; k < N; k++) {
      uint32_t i = (k * 32 + threadIdx.x % 32) * V;
      float r[V];
      if (i >= length)
        continue;
#pragma unroll
      for (int e = 0; e < V; e++)
        r[e] = v[k][e];
      f(i, r);
      cuda_store_v<T, V>(y + i, r);
    }
  }
};

template <class T, int V, int N>
__global__ void __launch_bounds__(256) norm_warp(const __grid_constant__ norm_args a, norm_pointers<T> p)
{
  uint32_t row = blockIdx.x * 8 + threadIdx.x / 32;
  int64_t x, y;
  if (row >= a.rows)
    return;
  row_at(a, row, &x, &y);
  warp_row<T, V, N> r(p.x + x, p.y + y, a.length);
  norm_row<T, 1, -1>(a, p, row, nullptr, r);
}

/* A row of 256 threads, in shared memory or read again and again. */
template <class T, int WIDTH> struct block_row {
  static constexpr int V = WIDTH;
  static constexpr bool KEEPS = false;
  const T *x;
  T *y;
  uint32_t length;
  template <class F> __device__ __forceinline__ void operator()(const F &f) const
  {
    float r[V];
    for (uint32_t i = threadIdx.x * V; i < length; i += 256 * V) {
      cuda_load_v<T, V>(x + i, r);
#pragma unroll
      for (int e = 0; e < V; e++)
        f(i + e, r[e]);
    }
  }
  template <class F> __device__ __forceinline__ void store(const F &f) const
  {
    float r[V];
    for (uint32_t i = threadIdx.x * V; i < length; i += 256 * V) {
      cuda_load_v<T, V>(x + i, r);
      f(i, r);
      cuda_store_v<T, V>(y + i, r);
    }
  }
};

template <class T, int V, bool keep>
__global__ void __launch_bounds__(256) norm_block(const __grid_constant__ norm_args a, norm_pointers<T> p)
{
  extern __shared__ char memory[];
  __shared__ float shared[8];
  int64_t x, y;
  row_at(a, blockIdx.x, &x, &y);
  block_row<T, V> r = {p.x + x, p.y + y, a.length};
  if (keep) {
    T *row = reinterpret_cast<T *>(memory);
    for (uint32_t i = threadIdx.x * V; i < a.length; i += 256 * V)
      *reinterpret_cast<gie_cuda_vector<T, V> *>(row + i) = *reinterpret_cast<const gie_cuda_vector<T, V> *>(
          p.x + x + i);
    r.x = row; /* each thread reads what it wrote itself */
  }
  norm_row<T, 8, -1>(a, p, blockIdx.x, shared, r);
}

/* Neighbouring rows of at most L elements, one behind the other: a block copies many of them to shared memory, a thread does one.
 * Rows there are an odd number of words apart, so that threads meet different banks. */
template <int L> struct short_row {
  static constexpr int V = 1;
  static constexpr bool KEEPS = true;
  float v[L];
  float *at;
  uint32_t length;
  __device__ __forceinline__ short_row(float *row, uint32_t n) : at(row), length(n)
  {
#pragma unroll
    for (int k = 0; k < L; k++)
      if (k < length)
        v[k] = at[k];
  }
  template <class F> __device__ __forceinline__ void operator()(const F &f)
  {
#pragma unroll
    for (int k = 0; k < L; k++)
      if (k < length)
        f(k, v[k]);
  }
  template <class F> __device__ __forceinline__ void store(const F &f) const
  {
#pragma unroll
    for (int k = 0; k < L; k++) {
      float r[1] = {v[k]};
      if (k >= length)
        break;
      f(k, r);
      at[k] = r[0];
    }
  }
};

template <class T, int V, int L, int OP>
__global__ void __launch_bounds__(256)
    norm_short(const __grid_constant__ norm_args a, struct cuda_div length, norm_pointers<T> p)
{
  constexpr uint32_t ROWS = L <= 32 ? 256 : 128; /* a block's */
  __shared__ float rows[ROWS * (L + 1)];
  const uint32_t first = blockIdx.x * ROWS, some = a.rows - first < ROWS ? a.rows - first : ROWS;
  const uint32_t n = some * a.length, gap = a.length % 2 ? 0 : 1;
  const T *x = p.x + int64_t(first) * a.length;
  T *y = p.y + int64_t(first) * a.length;
  float r[V];
  auto place = [&](uint32_t i) { return i + (gap ? cuda_quotient(length, i) : 0); };
  const uint32_t whole = n / V * V;
#pragma unroll 2
  for (uint32_t i = threadIdx.x * V; i < whole; i += 256 * V) {
    cuda_load_v<T, V>(x + i, r);
#pragma unroll
    for (int e = 0; e < V; e++)
      rows[place(i + e)] = r[e];
  }
  if (whole + threadIdx.x < n)
    rows[place(whole + threadIdx.x)] = cuda_to_float(x[whole + threadIdx.x]);
  __syncthreads();
  if (threadIdx.x < some) {
    short_row<L> row(rows + threadIdx.x * (a.length + gap), a.length);
    norm_row<T, 0, OP>(a, p, first + threadIdx.x, nullptr, row);
  }
  __syncthreads();
#pragma unroll 2
  for (uint32_t i = threadIdx.x * V; i < whole; i += 256 * V) {
#pragma unroll
    for (int e = 0; e < V; e++)
      r[e] = rows[place(i + e)];
    cuda_store_v<T, V>(y + i, r);
  }
  if (whole + threadIdx.x < n)
    y[whole + threadIdx.x] = cuda_from_float<T>(rows[place(whole + threadIdx.x)]);
}

#endif
