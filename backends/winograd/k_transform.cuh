/* SPDX-License-Identifier: Apache-2.0 */
/* The transforms of the staged form. One thread has one tile of one channel, all of it in registers; what it
 * writes and reads of the transformed tensors lies side by side with its neighbours'.
 *
 * Roofline: memory. The input is read once (its overlaps come from the cache), n²/m² times as much is written; the
 * other way round for the results.
 *
 * Transformed input: [point][channel][tile] (channels first) or [point][tile][channel]; rows are padded to `ld`
 * elements. Pad tiles are zero; the product reads no pad channels. Or in images, [point][tile/64][c/32][image], padded
 * to whole images with zeros. */
#ifndef GIE_WINOGRAD_K_TRANSFORM_CUH
#define GIE_WINOGRAD_K_TRANSFORM_CUH

#include "backends/winograd/k_common.cuh"

template <class X, class V> struct wg_input_args {
  wg_geometry g;
  const X *x;
  V *v;
  int images;   /* of a row of images (32 channels each); 0: rows */
  int64_t step; /* from point to point */
  wg_divider row;
  uint32_t threads;
};

template <class F, class X>
__device__ __forceinline__ void wg_read_tile(const wg_geometry &g, const X *x, const wg_tile &t, int c,
                                             float (&d)[F::n][F::n])
{
  const X *from = x + t.n * g.x_n + c * g.x_c;
  const int y0 = t.y - g.pad_h, x0 = t.x - g.pad_w;
#pragma unroll
  for (int i = 0; i < F::n; i++) {
    const X *row = from + (int64_t)(y0 + i) * g.x_h;
    bool in_row = (unsigned)(y0 + i) < (unsigned)g.h;
#pragma unroll
    for (int j = 0; j < F::n; j++)
      d[i][j] = in_row && (unsigned)(x0 + j) < (unsigned)g.w ? wg_load(row + (int64_t)(x0 + j) * g.x_w)
                                                             : 0.0f;
  }
}

template <class F, bool CHANNELS_LAST, class X, class V>
__global__ void __launch_bounds__(128) wg_input_kernel(const __grid_constant__ wg_input_args<X, V> p)
{
  const uint32_t at = blockIdx.x * 128u + threadIdx.x;
  uint32_t inner, outer;
  float d[F::n][F::n];
  wg_let_next_start();
  if (at >= p.threads)
    return;
  outer = wg_div(at, p.row, &inner);
  const int c = (int)(CHANNELS_LAST ? inner : outer), tile = (int)(CHANNELS_LAST ? outer : inner);
  wg_wait_for_previous();
  if (tile < p.g.count && c < p.g.c) {
    wg_read_tile<F>(p.g, p.x, wg_tile_of<F::m>(p.g, (uint32_t)(p.g.first + tile)), c, d);
    wg_input_2d<F>(d);
  } else {
#pragma unroll
    for (int i = 0; i < F::n * F::n; i++)
      d[i / F::n][i % F::n] = 0;
  }
  V *to = p.v + (p.images ? ((tile / 64) * p.images + c / 32) * WG_IMAGE +
                                wg_image_at<CHANNELS_LAST>(tile % 64, c % 32)
                          : (int64_t)at);
#pragma unroll
  for (int i = 0; i < F::n; i++)
#pragma unroll
    for (int j = 0; j < F::n; j++)
      wg_store(to + (i * F::n + j) * p.step, d[i][j]);
}

template <class Y> struct wg_output_args {
  wg_geometry g;
  const float *m;
  Y *y;
  const void *bias;
  int half_bias;
  int vector; /* rows of a tile may be stored at once */
  int ld;
  int64_t step; /* from point to point */
  int splits;
  int64_t step_split;
  wg_divider row;
  uint32_t threads;
};

__device__ __forceinline__ float wg_bias(const void *bias, int half_bias, int k)
{
  return !bias       ? 0.0f
         : half_bias ? wg_load(static_cast<const __half *>(bias) + k)
                     : wg_load(static_cast<const float *>(bias) + k);
}

template <int V> struct alignas(4 * V) wg_floats {
  float v[V];
};
template <int V> __device__ __forceinline__ void wg_store_v(float *p, const float (&v)[V])
{
  wg_floats<V> o;
#pragma unroll
  for (int i = 0; i < V; i++)
    o.v[i] = v[i];
  *reinterpret_cast<wg_floats<V> *>(p) = o;
}
template <int V> struct alignas(2 * V) wg_halves {
  __half v[V];
};
template <int V> __device__ __forceinline__ void wg_store_v(__half *p, const float (&v)[V])
{
  wg_halves<V> o;
#pragma unroll
  for (int i = 0; i < V; i++)
    o.v[i] = __float2half_rn(v[i]);
  *reinterpret_cast<wg_halves<V> *>(p) = o;
}

/* The epilogue; what is more than a bound on the result is called, not copied into each place. */
static __device__ __noinline__ float wg_steps_far(const gie_cuda_steps &s, float r, int n, int c, int64_t p)
{
  return gie_cuda_steps_apply(s, r, n, c, p);
}
__device__ __forceinline__ float wg_steps(const gie_cuda_steps &s, float r, int n, int c, int64_t p)
{
  if (s.kind == GIE_CUDA_STEPS_NONE)
    return r;
  return s.kind == GIE_CUDA_STEPS_CLIP ? gie_cuda_clip(r, s.low, s.high) : wg_steps_far(s, r, n, c, p);
}

/* m×m results of one channel: bias, epilogue, and what of them lies inside the image is stored. */
template <class F, class Y>
__device__ __forceinline__ void wg_write_tile(const wg_geometry &g, Y *y, const gie_cuda_steps &steps,
                                              int vector, const wg_tile &t, int k, float bias,
                                              float (&r)[F::m][F::m])
{
  Y *to = y + t.n * g.y_n + k * g.y_c + (int64_t)t.y * g.y_h + (int64_t)t.x * g.y_w;
#pragma unroll
  for (int i = 0; i < F::m; i++) {
    if (t.y + i >= g.oh)
      break;
    int64_t pixel = (int64_t)(t.y + i) * g.ow + t.x;
#pragma unroll
    for (int j = 0; j < F::m; j++)
      r[i][j] += bias;
    if constexpr (F::m == 2 || F::m == 4)
      if (vector) { /* ow is a multiple of m, rows are dense and aligned */
#pragma unroll
        for (int j = 0; j < F::m; j++)
          r[i][j] = wg_steps(steps, r[i][j], t.n, k, pixel + j);
        wg_store_v<F::m>(to + (int64_t)i * g.y_h, r[i]);
        continue;
      }
#pragma unroll
    for (int j = 0; j < F::m; j++)
      if (t.x + j < g.ow)
        wg_store(to + (int64_t)i * g.y_h + (int64_t)j * g.y_w, wg_steps(steps, r[i][j], t.n, k, pixel + j));
  }
}

template <class F, bool CHANNELS_LAST, class Y>
__global__ void __launch_bounds__(128) wg_output_kernel(const __grid_constant__ wg_output_args<Y> p,
                                                        const __grid_constant__ gie_cuda_steps steps)
{
  const uint32_t at = blockIdx.x * 128u + threadIdx.x;
  uint32_t inner, outer;
  float v[F::n][F::n], y[F::m][F::m];
  wg_let_next_start();
  if (at >= p.threads)
    return;
  outer = wg_div(at, p.row, &inner);
  const int k = (int)(CHANNELS_LAST ? inner : outer), tile = (int)(CHANNELS_LAST ? outer : inner);
  if (tile >= p.g.count || k >= p.g.k)
    return;
  wg_wait_for_previous();
  const float bias = wg_bias(p.bias, p.half_bias, k); /* which need not be a constant */
  const float *from = p.m + at;
#pragma unroll
  for (int i = 0; i < F::n; i++)
#pragma unroll
    for (int j = 0; j < F::n; j++)
      v[i][j] = __ldcg(from + (i * F::n + j) * p.step);
  for (int s = 1; s < p.splits; s++) {
    from += p.step_split;
#pragma unroll
    for (int i = 0; i < F::n; i++)
#pragma unroll
      for (int j = 0; j < F::n; j++)
        v[i][j] += __ldcg(from + (i * F::n + j) * p.step);
  }
  wg_output_2d<F>(v, y);
  wg_write_tile<F>(p.g, p.y, steps, p.vector, wg_tile_of<F::m>(p.g, (uint32_t)(p.g.first + tile)), k, bias,
                   y);
}

#endif
