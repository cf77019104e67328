/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution: what runs on the device. */
#ifndef GIE_BACKENDS_CUDA_DEPTHWISE_CUH
#define GIE_BACKENDS_CUDA_DEPTHWISE_CUH

#include "backends/cuda/fast.cuh"
#include "backends/cuda/host.cuh"

struct depthwise_args {
  uint32_t n; /* threads that have something to do */
  struct cuda_div inner, columns,
      rows; /* vectors of channels, groups of results, rows; or groups, rows, channels */
  int channels, in_h, in_w, out_h, out_w, segment, kernel_h, kernel_w, stride_h, stride_w, dilation_h,
      dilation_w, top, left;
  int64_t xn, xc, xh, xw, yn, yc, yh, yw;
  const float *weights, *bias; /* packed; bias NULL: none */
  const void *loose_bias;      /* not packed: of the problem's dtype */
  int bias_half;
};

__device__ __forceinline__ float bias_of(const struct depthwise_args &a, int c)
{
  if (a.bias)
    return a.bias[c];
  if (!a.loose_bias)
    return 0.0f;
  return a.bias_half ? __half2float(static_cast<const __half *>(a.loose_bias)[c])
                     : static_cast<const float *>(a.loose_bias)[c];
}

/* K: kernel side, S: stride (both 0: as the arguments say), W: results per thread, V: channels per thread. */
template <class T, int K, int S, int W, int V>
__global__ void __launch_bounds__(256)
    depthwise_channels(const __grid_constant__ depthwise_args a, const __grid_constant__ gie_cuda_steps steps,
                       const T *__restrict__ x, T *__restrict__ y)
{
  uint32_t i = blockIdx.x * 256 + threadIdx.x;
  if (i >= a.n)
    return;
  uint32_t q = cuda_quotient(a.inner, i), c = (i - q * a.inner.d) * V;
  uint32_t r = cuda_quotient(a.columns, q), ow = (q - r * a.columns.d) * W;
  uint32_t n = cuda_quotient(a.rows, r), oh = r - n * a.rows.d;
  const int kh = K ? K : a.kernel_h, kw = K ? K : a.kernel_w, sh = S ? S : a.stride_h,
            sw = S ? S : a.stride_w;
  const int dh = K ? 1 : a.dilation_h, dw = K ? 1 : a.dilation_w;
  int top = int(oh) * sh - a.top, left = int(ow) * sw - a.left;
  const T *from = x + n * a.xn + c;
  const float *weights = a.weights + c;
  float sum[W][V];
#pragma unroll
  for (int v = 0; v < V; v++)
    sum[0][v] = bias_of(a, c + v);
#pragma unroll
  for (int w = 1; w < W; w++)
#pragma unroll
    for (int v = 0; v < V; v++)
      sum[w][v] = sum[0][v];
  if (K) {
    constexpr int COLUMNS = (W - 1) * (S ? S : 1) + (K ? K : 1); /* of x that W results take */
#pragma unroll
    for (int h = 0; h < K; h++) {
      /* the whole row is asked for before any of it is used */
      gie_cuda_vector<T, V> row[COLUMNS] = {};
      const bool inside = unsigned(top + h) < unsigned(a.in_h);
#pragma unroll
      for (int w = 0; w < COLUMNS; w++)
        if (inside && unsigned(left + w) < unsigned(a.in_w))
          row[w] = *reinterpret_cast<const gie_cuda_vector<T, V> *>(from + (top + h) * a.xh +
                                                                    (left + w) * a.xw);
      float weight[K ? K : 1][V];
#pragma unroll
      for (int w = 0; w < K; w++)
        cuda_load_v<float, V>(weights + (h * K + w) * a.channels, weight[w]);
#pragma unroll
      for (int w = 0; w < COLUMNS; w++) {
        float e[V];
#pragma unroll
        for (int v = 0; v < V; v++)
          e[v] = cuda_to_float(row[w].v[v]);
#pragma unroll
        for (int o = 0; o < W; o++) {
          const int tap = w - o * S;
          if (tap >= 0 && tap < K)
#pragma unroll
            for (int v = 0; v < V; v++)
              sum[o][v] = fmaf(e[v], weight[tap >= 0 && tap < K ? tap : 0][v], sum[o][v]);
        }
      }
    }
  } else {
    for (int h = 0; h < kh; h++)
      for (int w = 0; w < kw; w++) {
        int ih = top + h * dh, iw = left + w * dw;
        float e[V], weight[V];
        if (ih < 0 || ih >= a.in_h || iw < 0 || iw >= a.in_w)
          continue;
        cuda_load_v<T, V>(from + ih * a.xh + iw * a.xw, e);
        cuda_load_v<float, V>(weights + (h * kw + w) * a.channels, weight);
#pragma unroll
        for (int v = 0; v < V; v++)
          sum[0][v] = fmaf(e[v], weight[v], sum[0][v]);
      }
  }
#pragma unroll
  for (int w = 0; w < W; w++) {
    if (ow + w >= uint32_t(a.out_w))
      break;
    gie_cuda_steps_apply_c<V>(steps, sum[w], n, c, int64_t(oh) * a.out_w + ow + w);
    cuda_store_v<T, V>(y + n * a.yn + oh * a.yh + (ow + w) * a.yw + c, sum[w]);
  }
}

/* Number: image, channel, row, group of W results. */
template <class T, int K, int S, int W>
__global__ void __launch_bounds__(256)
    depthwise_pixels(const __grid_constant__ depthwise_args a, const __grid_constant__ gie_cuda_steps steps,
                     const T *__restrict__ x, T *__restrict__ y)
{
  uint32_t i = blockIdx.x * 256 + threadIdx.x;
  if (i >= a.n)
    return;
  uint32_t q = cuda_quotient(a.inner, i), ow = (i - q * a.inner.d) * W;
  uint32_t plane = cuda_quotient(a.columns, q), oh = q - plane * a.columns.d;
  uint32_t n = cuda_quotient(a.rows, plane), c = plane - n * a.rows.d;
  const int kh = K ? K : a.kernel_h, kw = K ? K : a.kernel_w, sh = S ? S : a.stride_h,
            sw = S ? S : a.stride_w;
  const int dh = K ? 1 : a.dilation_h, dw = K ? 1 : a.dilation_w;
  int top = int(oh) * sh - a.top, left = int(ow) * sw - a.left;
  const T *from = x + n * a.xn + c * a.xc;
  const float *weights = a.weights + c * kh * kw;
  float sum[W];
#pragma unroll
  for (int w = 0; w < W; w++)
    sum[w] = bias_of(a, c);
  if (K) {
    constexpr int COLUMNS = (W - 1) * (S ? S : 1) + (K ? K : 1);
#pragma unroll
    for (int h = 0; h < K; h++) {
      int ih = top + h;
      if (ih < 0 || ih >= a.in_h)
        continue;
      float e[COLUMNS];
#pragma unroll
      for (int w = 0; w < COLUMNS; w++) {
        int iw = left + w;
        e[w] = iw >= 0 && iw < a.in_w ? cuda_to_float(from[ih * a.xh + iw * a.xw]) : 0.0f;
      }
#pragma unroll
      for (int w = 0; w < K; w++) {
        float weight = weights[h * K + w];
#pragma unroll
        for (int o = 0; o < W; o++)
          sum[o] = fmaf(e[o * S + w], weight, sum[o]);
      }
    }
  } else {
    for (int h = 0; h < kh; h++)
      for (int w = 0; w < kw; w++) {
        int ih = top + h * dh, iw = left + w * dw;
        if (ih >= 0 && ih < a.in_h && iw >= 0 && iw < a.in_w)
          sum[0] = fmaf(cuda_to_float(from[ih * a.xh + iw * a.xw]), weights[h * kw + w], sum[0]);
      }
  }
#pragma unroll
  for (int w = 0; w < W; w++) {
    if (ow + w >= uint32_t(a.out_w))
      break;
    float r = gie_cuda_steps_apply(steps, sum[w], n, c, int64_t(oh) * a.out_w + ow + w);
    y[n * a.yn + c * a.yc + oh * a.yh + (ow + w) * a.yw] = cuda_from_float<T>(r);
  }
}

/* A thread goes down a column of results: W neighbouring ones of V channels, with the weights and the sums of the K rows that an
 * element takes part in kept in registers, and the next row asked for before the present one is used. Stride 1. Number: image,
 * segment of a.segment rows, group of W results, vector of channels. */
template <class T, int K, int W, int V>
__global__ void __launch_bounds__(256)
    depthwise_walk(const __grid_constant__ depthwise_args a, const __grid_constant__ gie_cuda_steps steps,
                   const T *__restrict__ x, T *__restrict__ y)
{
  constexpr int COLUMNS = W + K - 1, AHEAD = 6;
  uint32_t i = blockIdx.x * 256 + threadIdx.x;
  if (i >= a.n)
    return;
  uint32_t q = cuda_quotient(a.inner, i), c = (i - q * a.inner.d) * V;
  uint32_t r = cuda_quotient(a.columns, q), ow = (q - r * a.columns.d) * W;
  uint32_t n = cuda_quotient(a.rows, r);
  const int first = int(r - n * a.rows.d) * a.segment, end = min(first + a.segment, a.out_h);
  const int left = int(ow) - a.left;
  const T *from = x + n * a.xn + left * a.xw + c;
  T *to = y + n * a.yn + ow * a.yw + c;
  float weight[K * K][V], bias[V], sum[K][W][V];
  gie_cuda_vector<T, V> row[COLUMNS], next[COLUMNS] = {};
  const int n_columns = min(COLUMNS, a.in_w - left);
  auto ask = [&](int h) {
#pragma unroll
    for (int w = 0; w < COLUMNS; w++) {
      next[w] = {};
      if (unsigned(h) < unsigned(a.in_h) && left + w >= 0 && w < n_columns)
        next[w] = *reinterpret_cast<const gie_cuda_vector<T, V> *>(from + h * a.xh + w * a.xw);
    }
  };
  /* rows that come later, into the second cache: registers for them would cost threads */
  auto expect = [&](int h) {
#pragma unroll
    for (int o = 0; o < W; o++)
      if (unsigned(h) < unsigned(a.in_h) && ow + o < uint32_t(a.in_w))
        cuda_prefetch(from + h * a.xh + (o + a.left) * a.xw);
  };
  ask(first - a.top);
#pragma unroll
  for (int h = 1; h < AHEAD; h++)
    expect(first - a.top + h);
#pragma unroll
  for (int k = 0; k < K * K; k++)
    cuda_load_v<float, V>(a.weights + k * a.channels + c, weight[k]);
#pragma unroll
  for (int v = 0; v < V; v++) {
    bias[v] = bias_of(a, int(c) + v);
#pragma unroll
    for (int k = 0; k < K; k++)
#pragma unroll
      for (int w = 0; w < W; w++)
        sum[k][w][v] = bias[v];
  }
  /* sum[0] is the oldest result's, whose last tap comes now, sum[K-1] that of the one that begins */
#pragma unroll 1
  for (int oh = first - (K - 1); oh < end; oh++) {
#pragma unroll
    for (int w = 0; w < COLUMNS; w++)
      row[w] = next[w];
    if (oh + 1 < end)
      ask(oh + K - a.top);
    if (oh + AHEAD < end)
      expect(oh + K - 1 + AHEAD - a.top);
#pragma unroll
    for (int w = 0; w < COLUMNS; w++) {
      float e[V];
#pragma unroll
      for (int v = 0; v < V; v++)
        e[v] = cuda_to_float(row[w].v[v]);
#pragma unroll
      for (int k = 0; k < K; k++)
#pragma unroll
        for (int o = 0; o < W; o++) {
          const int tap = w - o;
          if (tap >= 0 && tap < K)
#pragma unroll
            for (int v = 0; v < V; v++)
              sum[k][o][v] = fmaf(e[v], weight[(K - 1 - k) * K + (tap >= 0 && tap < K ? tap : 0)][v],
                                  sum[k][o][v]);
        }
    }
#pragma unroll
    for (int o = 0; o < W; o++) {
      if (oh < first || ow + o >= uint32_t(a.out_w))
        continue;
      gie_cuda_steps_apply_c<V>(steps, sum[0][o], n, c, int64_t(oh) * a.out_w + ow + o);
      cuda_store_v<T, V>(to + oh * a.yh + o * a.yw, sum[0][o]);
    }
#pragma unroll
    for (int k = 0; k < K; k++)
#pragma unroll
      for (int o = 0; o < W; o++)
#pragma unroll
        for (int v = 0; v < V; v++)
          sum[k][o][v] = k + 1 < K ? sum[k + 1 < K ? k + 1 : 0][o][v] : bias[v];
  }
}

/* Rows of vectors of V elements that begin at multiples of V: V/S results per thread from one vector and the elements beside it,
 * (K-1)/2 of them on the left. Number: image, channel, row, vector. */
template <class T, int K, int S, int V>
__global__ void __launch_bounds__(256)
    depthwise_strips(const __grid_constant__ depthwise_args a, const __grid_constant__ gie_cuda_steps steps,
                     const T *__restrict__ x, T *__restrict__ y)
{
  constexpr int W = V / S, COLUMNS = (W - 1) * S + K, L = (K - 1) / 2;
  uint32_t i = blockIdx.x * 256 + threadIdx.x;
  if (i >= a.n)
    return;
  uint32_t q = cuda_quotient(a.inner, i), ow = (i - q * a.inner.d) * W;
  uint32_t plane = cuda_quotient(a.columns, q), oh = q - plane * a.columns.d;
  uint32_t n = cuda_quotient(a.rows, plane), c = plane - n * a.rows.d;
  const int y0 = int(oh) * S - a.top, x0 = int(ow) * S;
  const T *from = x + n * a.xn + c * a.xc + x0;
  const float *weights = a.weights + c * (K * K);
  float sum[W];
#pragma unroll
  for (int o = 0; o < W; o++)
    sum[o] = bias_of(a, int(c));
#pragma unroll
  for (int h = 0; h < K; h++) {
    const T *row = from + (y0 + h) * a.xh;
    float e[COLUMNS], middle[V];
    if (unsigned(y0 + h) >= unsigned(a.in_h))
      continue;
    cuda_load_v<T, V>(row, middle);
#pragma unroll
    for (int w = 0; w < COLUMNS; w++) {
      const int at = w - L;
      if (at >= 0 && at < V)
        e[w] = middle[at >= 0 && at < V ? at : 0];
      else
        e[w] = unsigned(x0 + at) < unsigned(a.in_w) ? cuda_to_float(row[at]) : 0.0f;
    }
#pragma unroll
    for (int w = 0; w < K; w++) {
      const float weight = weights[h * K + w];
#pragma unroll
      for (int o = 0; o < W; o++)
        sum[o] = fmaf(e[o * S + w], weight, sum[o]);
    }
  }
  gie_cuda_steps_apply_p<W>(steps, sum, n, c, int64_t(oh) * a.out_w + ow);
  cuda_store_v<T, W>(y + n * a.yn + c * a.yc + oh * a.yh + ow, sum);
}

#endif
