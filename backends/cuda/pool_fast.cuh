/* SPDX-License-Identifier: Apache-2.0 */
/* Pools over two spatial axes of f32 and f16: what runs on the device. */
#ifndef GIE_BACKENDS_CUDA_POOL_FAST_CUH
#define GIE_BACKENDS_CUDA_POOL_FAST_CUH

#include "backends/cuda/host.cuh"

struct pool_args {
  uint32_t n;                              /* results, or vectors of channels */
  struct cuda_div channels, width, height; /* of the result, in the order of the thread's number */
  int in_h, in_w, out_h, out_w, kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, top, left,
      bottom, right;
  bool average, include_pad;
  int64_t xn, xc, xh, xw, yn, yc, yh, yw; /* strides */
};

/* Taps of a window that begins at `at`: those inside are first … last-1. */
__device__ __forceinline__ void taps_inside(int at, int dilation, int kernel, int extent, int *first,
                                            int *last)
{
  *first = at < 0 ? (-at + dilation - 1) / dilation : 0;
  int room = extent - at;
  int end = room <= 0 ? 0 : (room + dilation - 1) / dilation;
  *last = end < kernel ? end : kernel;
}

/* What divides the sum: the taps inside, or with include_pad those inside the padded extent. */
__device__ __forceinline__ float divisor(const struct pool_args &a, int y, int x, int inside)
{
  if (!a.include_pad)
    return float(inside);
  int h0, h1, w0, w1;
  taps_inside(y + a.top, a.dilation_h, a.kernel_h, a.in_h + a.top + a.bottom, &h0, &h1);
  taps_inside(x + a.left, a.dilation_w, a.kernel_w, a.in_w + a.left + a.right, &w0, &w1);
  return float((h1 - h0) * (w1 - w0));
}

/* Greatest of two, NaN first. */
__device__ __forceinline__ float greatest(float a, float b)
{
#if __CUDA_ARCH__ >= 800
  float r;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
  return r;
#else
  return b > a || b != b ? b : a;
#endif
}

/* What V neighbouring elements give, taken one after the other. */
template <class T, int V, bool average> struct pool_sum {
  float r[V];
  __device__ __forceinline__ pool_sum()
  {
#pragma unroll
    for (int v = 0; v < V; v++)
      r[v] = average ? 0.0f : -INFINITY;
  }
  struct element {
    float v[V];
  };
  static __device__ __forceinline__ element load(const T *p)
  {
    element e;
    cuda_load_v<T, V>(p, e.v);
    return e;
  }
  __device__ __forceinline__ void take(const element &e)
  {
#pragma unroll
    for (int v = 0; v < V; v++)
      r[v] = average ? r[v] + e.v[v] : greatest(r[v], e.v[v]);
  }
  __device__ __forceinline__ void put(T *p, float factor)
  {
    if (average)
#pragma unroll
      for (int v = 0; v < V; v++)
        r[v] *= factor;
    cuda_store_v<T, V>(p, r);
  }
};

#if __CUDA_ARCH__ >= 800
/* The greatest half numbers need no conversion, and come in pairs. */
template <int V>
requires(V % 2 == 0) struct pool_sum<__half, V, false> {
  __half2 r[V / 2];
  __device__ __forceinline__ pool_sum()
  {
#pragma unroll
    for (int v = 0; v < V / 2; v++)
      r[v] = __half2half2(__ushort_as_half(0xfc00));
  }
  typedef gie_cuda_vector<__half2, V / 2> element;
  static __device__ __forceinline__ element load(const __half *p)
  {
    return *reinterpret_cast<const element *>(p);
  }
  __device__ __forceinline__ void take(const element &e)
  {
#pragma unroll
    for (int v = 0; v < V / 2; v++)
      r[v] = __hmax2_nan(r[v], e.v[v]);
  }
  __device__ __forceinline__ void put(__half *p, float)
  {
    gie_cuda_vector<__half2, V / 2> y;
#pragma unroll
    for (int v = 0; v < V / 2; v++)
      y.v[v] = r[v];
    *reinterpret_cast<gie_cuda_vector<__half2, V / 2> *>(p) = y;
  }
};
#endif

/* What an average is multiplied by. */
__device__ __forceinline__ float factor_of(const struct pool_args &a, int y0, int x0)
{
  int h0, h1, w0, w1;
  taps_inside(y0, a.dilation_h, a.kernel_h, a.in_h, &h0, &h1);
  taps_inside(x0, a.dilation_w, a.kernel_w, a.in_w, &w0, &w1);
  return 1.0f / divisor(a, y0, x0, h1 > h0 && w1 > w0 ? (h1 - h0) * (w1 - w0) : 0);
}

/* A window of K x K without dilation, or any (K 0). Offsets within an image and channel fit 32 bits. */
template <int K, class T, class S>
__device__ __forceinline__ void pool_window(const struct pool_args &a, const T *x, int y0, int x0, S &sum)
{
  const int xh = int(a.xh), xw = int(a.xw);
  if (K > 0) {
#pragma unroll
    for (int h = 0; h < K; h++)
#pragma unroll
      for (int w = 0; w < K; w++)
        if (unsigned(y0 + h) < unsigned(a.in_h) && unsigned(x0 + w) < unsigned(a.in_w))
          sum.take(S::load(x + (y0 + h) * xh + (x0 + w) * xw));
    return;
  }
  int h0, h1, w0, w1;
  taps_inside(y0, a.dilation_h, a.kernel_h, a.in_h, &h0, &h1);
  taps_inside(x0, a.dilation_w, a.kernel_w, a.in_w, &w0, &w1);
  for (int h = h0; h < h1; h++)
#pragma unroll 4
    for (int w = w0; w < w1; w++)
      sum.take(S::load(x + (y0 + h * a.dilation_h) * xh + (x0 + w * a.dilation_w) * xw));
}

/* Number: image, row, column, vector of channels. */
template <class T, int V, bool average, int K>
__global__ void __launch_bounds__(256)
    pool_channels(const __grid_constant__ pool_args a, const T *__restrict__ x, T *__restrict__ y)
{
  uint32_t i = blockIdx.x * 256 + threadIdx.x;
  if (i >= a.n)
    return;
  uint32_t q = cuda_quotient(a.channels, i), c = i - q * a.channels.d;
  uint32_t rows = cuda_quotient(a.width, q), ow = q - rows * a.width.d;
  uint32_t n = cuda_quotient(a.height, rows), oh = rows - n * a.height.d;
  int y0 = int(oh) * a.stride_h - a.top, x0 = int(ow) * a.stride_w - a.left;
  pool_sum<T, V, average> sum;
  pool_window<K>(a, x + n * a.xn + c * V, y0, x0, sum);
  sum.put(y + n * a.yn + oh * a.yh + ow * a.yw + c * V, average ? factor_of(a, y0, x0) : 1.0f);
}

/* 2 x 2 neighbouring results of a 3 x 3 window at stride 1: 16 elements instead of 36. Number: image, pair of rows, pair of
 * columns, vector of channels. */
template <class T, int V, bool average>
__global__ void __launch_bounds__(256, 4)
    pool_quads(const __grid_constant__ pool_args a, const T *__restrict__ x, T *__restrict__ y)
{
  uint32_t i = blockIdx.x * 256 + threadIdx.x;
  if (i >= a.n)
    return;
  uint32_t q = cuda_quotient(a.channels, i), c = i - q * a.channels.d;
  uint32_t rows = cuda_quotient(a.width, q), ow = 2 * (q - rows * a.width.d);
  uint32_t n = cuda_quotient(a.height, rows), oh = 2 * (rows - n * a.height.d);
  int y0 = int(oh) - a.top, x0 = int(ow) - a.left;
  const int xh = int(a.xh), xw = int(a.xw);
  const T *from = x + n * a.xn + c * V;
  T *to = y + n * a.yn + c * V;
  pool_sum<T, V, average> sum[2][2];
#pragma unroll
  for (int h = 0; h < 4; h++)
#pragma unroll
    for (int w = 0; w < 4; w++) {
      if (unsigned(y0 + h) >= unsigned(a.in_h) || unsigned(x0 + w) >= unsigned(a.in_w))
        continue;
      typename pool_sum<T, V, average>::element e = pool_sum<T, V, average>::load(from + (y0 + h) * xh +
                                                                                  (x0 + w) * xw);
#pragma unroll
      for (int oy = 0; oy < 2; oy++)
#pragma unroll
        for (int ox = 0; ox < 2; ox++)
          if (h >= oy && h < oy + 3 && w >= ox && w < ox + 3)
            sum[oy][ox].take(e);
    }
#pragma unroll
  for (int oy = 0; oy < 2; oy++)
#pragma unroll
    for (int ox = 0; ox < 2; ox++)
      if (oh + oy < uint32_t(a.out_h) && ow + ox < uint32_t(a.out_w))
        sum[oy][ox].put(to + (oh + oy) * a.yh + (ow + ox) * a.yw,
                        average ? factor_of(a, y0 + oy, x0 + ox) : 1.0f);
}

/* Number: image, channel, row, group of W columns. */
template <class T, bool average, int K, int S, int W>
__global__ void __launch_bounds__(256)
    pool_pixels(const __grid_constant__ pool_args a, const T *__restrict__ x, T *__restrict__ y)
{
  uint32_t i = blockIdx.x * 256 + threadIdx.x;
  if (i >= a.n)
    return;
  uint32_t q = cuda_quotient(a.width, i), ow = (i - q * a.width.d) * W;
  uint32_t plane = cuda_quotient(a.height, q), oh = q - plane * a.height.d;
  uint32_t n = cuda_quotient(a.channels, plane), c = plane - n * a.channels.d;
  const int sw = S ? S : a.stride_w, xh = int(a.xh), xw = int(a.xw);
  int y0 = int(oh) * a.stride_h - a.top, x0 = int(ow) * sw - a.left;
  const T *from = x + n * a.xn + c * a.xc;
  T *to = y + n * a.yn + c * a.yc + oh * a.yh + ow * a.yw;
  if (K == 0) {
    pool_sum<T, 1, average> sum;
    pool_window<0>(a, from, y0, x0, sum);
    sum.put(to, average ? factor_of(a, y0, x0) : 1.0f);
    return;
  }
  constexpr int COLUMNS = (W - 1) * S + K;
  float r[W];
#pragma unroll
  for (int w = 0; w < W; w++)
    r[w] = average ? 0.0f : -INFINITY;
#pragma unroll
  for (int h = 0; h < K; h++) {
    float e[COLUMNS > 0 ? COLUMNS : 1];
    if (unsigned(y0 + h) >= unsigned(a.in_h))
      continue;
#pragma unroll
    for (int w = 0; w < COLUMNS; w++)
      e[w] = unsigned(x0 + w) < unsigned(a.in_w) ? cuda_to_float(from[(y0 + h) * xh + (x0 + w) * xw])
                                                 : (average ? 0.0f : -INFINITY);
#pragma unroll
    for (int o = 0; o < W; o++)
#pragma unroll
      for (int w = 0; w < K; w++)
        r[o] = average ? r[o] + e[o * S + w] : greatest(r[o], e[o * S + w]);
  }
#pragma unroll
  for (int o = 0; o < W; o++)
    if (ow + o < uint32_t(a.out_w))
      to[o * a.yw] = cuda_from_float<T>(average ? r[o] * factor_of(a, y0, x0 + o * sw) : r[o]);
}

/* Rows of vectors of V elements that begin at multiples of V: V/S results per thread from one vector and the elements beside it,
 * L of them on the left. Number: image, channel, row, vector. */
template <class T, bool average, int K, int S, int L, int V>
__global__ void __launch_bounds__(256)
    pool_strips(const __grid_constant__ pool_args a, const T *__restrict__ x, T *__restrict__ y)
{
  constexpr int W = V / S, COLUMNS = (W - 1) * S + K;
  uint32_t i = blockIdx.x * 256 + threadIdx.x;
  if (i >= a.n)
    return;
  uint32_t q = cuda_quotient(a.width, i), ow = (i - q * a.width.d) * W;
  uint32_t plane = cuda_quotient(a.height, q), oh = q - plane * a.height.d;
  uint32_t n = cuda_quotient(a.channels, plane), c = plane - n * a.channels.d;
  const int y0 = int(oh) * S - a.top, x0 = int(ow) * S, xh = int(a.xh);
  const T *from = x + n * a.xn + c * a.xc + x0;
  float column[COLUMNS], r[W];
#pragma unroll
  for (int w = 0; w < COLUMNS; w++)
    column[w] = average ? 0.0f : -INFINITY;
#pragma unroll
  for (int h = 0; h < K; h++) {
    const T *row = from + (y0 + h) * xh;
    float e[V];
    if (unsigned(y0 + h) >= unsigned(a.in_h))
      continue;
    cuda_load_v<T, V>(row, e);
#pragma unroll
    for (int w = 0; w < COLUMNS; w++) {
      const int at = w - L;
      if (at >= 0 && at < V)
        column[w] = average ? column[w] + e[at >= 0 && at < V ? at : 0]
                            : greatest(column[w], e[at >= 0 && at < V ? at : 0]);
      else if (unsigned(x0 + at) < unsigned(a.in_w))
        column[w] = average ? column[w] + cuda_to_float(row[at])
                            : greatest(column[w], cuda_to_float(row[at]));
    }
  }
  const bool whole = y0 >= 0 && y0 + K <= a.in_h && x0 >= L && x0 - L + COLUMNS <= a.in_w; /* no padding */
#pragma unroll
  for (int o = 0; o < W; o++) {
    r[o] = column[o * S];
#pragma unroll
    for (int w = 1; w < K; w++)
      r[o] = average ? r[o] + column[o * S + w] : greatest(r[o], column[o * S + w]);
    if (average)
      r[o] *= whole ? 1.0f / float(K * K) : factor_of(a, y0, x0 - L + o * S);
  }
  cuda_store_v<T, W>(y + n * a.yn + c * a.yc + oh * a.yh + ow, r);
}

#endif
