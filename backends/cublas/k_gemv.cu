/* SPDX-License-Identifier: Apache-2.0 */
/* Products with few rows: y = x·w' where w, one column after the other, is streamed once, 16 bytes a load, and x comes
 * from the caches. Bound by the bandwidth of whatever holds w (roofline: bytes of w).
 *
 *   by_ffma  a warp computes 1, 2 or 4 columns for up to 8 rows; registers: columns x rows sums, up to 8 loads of w
 *            in flight a lane; shared memory: the sums of each warp, at most 16 KiB
 *   by_mma   a warp computes 16 columns for 8 or 16 rows by m16n8k16 with sums in f32; the 8 elements that a lane loads
 *            are 2 x 4 places along k, the same for w and x, so that no element moves between lanes
 *   finish   adds up what several blocks computed of the same sums
 *
 * Sums are made in a fixed order: the same launch gives the same bits.
 *
 * Before it waits for the kernel before it, a block already loads its first weights, which are constants; and it lets
 * the kernel behind it start as soon as all its blocks run. A launch then costs little more than its bytes. */
#include "backends/cublas/gemv.h"

#include <cuda_fp16.h>

namespace {

/* 16 bytes that are read once: they need no place in the L1 cache. */
__device__ __forceinline__ uint4 load_once(const void *p)
{
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(p));
  return v;
}

template <class T> struct vec; /* V elements in 16 bytes */
template <> struct vec<float> {
  static constexpr int V = 4;
  static __device__ __forceinline__ void unpack(const uint4 &v, float (&f)[4])
  {
    f[0] = __uint_as_float(v.x);
    f[1] = __uint_as_float(v.y);
    f[2] = __uint_as_float(v.z);
    f[3] = __uint_as_float(v.w);
  }
  static __device__ __forceinline__ float value(float x) { return x; }
  static __device__ __forceinline__ float round(float x) { return x; }
};
template <> struct vec<__half> {
  static constexpr int V = 8;
  static __device__ __forceinline__ void unpack(const uint4 &v, float (&f)[8])
  {
    const uint32_t u[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
      float2 x = __half22float2(*reinterpret_cast<const __half2 *>(&u[i]));
      f[2 * i] = x.x;
      f[2 * i + 1] = x.y;
    }
  }
  static __device__ __forceinline__ float value(__half x) { return __half2float(x); }
  static __device__ __forceinline__ __half round(float x) { return __float2half_rn(x); }
};

/* V elements of a row of x from k on. Not aligned: one by one, zeros behind the last. */
template <class T, bool aligned> __device__ __forceinline__ uint4 load_x(const T *row, int k, int taps)
{
  if (aligned)
    return __ldg(reinterpret_cast<const uint4 *>(row + k));
  uint4 v = {0, 0, 0, 0};
  T *e = reinterpret_cast<T *>(&v);
#pragma unroll
  for (int i = 0; i < vec<T>::V; i++)
    if (k + i < taps)
      e[i] = row[k + i];
  return v;
}

/* ---- The end of a sum ------------------------------------------------------------------------------------ */

/* Called, not copied into every kernel: the steps are long, and few elements are put. */
template <class T>
__device__ __noinline__ void put(const cb_gemv_args &a, const gie_cuda_steps &steps, int r, int c, float sum)
{
  float v = a.alpha * sum;
  if (a.add)
    v += a.beta * vec<T>::value(static_cast<const T *>(a.add)[r * a.add_row + c * a.add_col]);
  if (a.bias)
    v += vec<T>::value(static_cast<const T *>(a.bias)[c]);
  int n = a.pixels == 1 ? r : r / a.pixels, p = a.pixels == 1 ? 0 : r % a.pixels;
  v = gie_cuda_steps_apply(steps, v, n, c, p);
  static_cast<T *>(a.y)[r * a.y_row + c * a.y_col] = vec<T>::round(v);
}

/* The sums of the block's warps, each `width` long in shared memory, added up and put away. A group of wk warps has
 * `columns` columns; place i of a warp's sums is column i / rows_there, row i % rows_there. */
template <class T>
__device__ __forceinline__ void put_block(const cb_gemv_args &a, const gie_cuda_steps &steps,
                                          const float *sums, int columns, int rows_there, int wn, int wk,
                                          bool split)
{
  int width = columns * rows_there;
  __syncthreads();
  for (int i = threadIdx.x; i < wn * width; i += blockDim.x) {
    int group = i / width, at = i % width, r = at / columns, col = at % columns;
    int c = (static_cast<int>(blockIdx.x) * wn + group) * columns + col;
    if (r >= a.rows || c >= a.cols)
      continue;
    float sum = 0;
    for (int k = 0; k < wk; k++)
      sum += sums[(group * wk + k) * width + col * rows_there + r];
    if (split)
      a.partial[(static_cast<int64_t>(blockIdx.y) * a.rows + r) * a.cols + c] = sum;
    else
      put<T>(a, steps, r, c, sum);
  }
}

template <class T>
__global__ void finish(const __grid_constant__ cb_gemv_args a, const __grid_constant__ gie_cuda_steps steps,
                       int splits)
{
  int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x), n = a.rows * a.cols;
  if (i >= n)
    return;
  float sum = 0;
  for (int s = 0; s < splits; s++)
    sum += a.partial[static_cast<int64_t>(s) * n + i];
  put<T>(a, steps, i / a.cols, i % a.cols, sum);
}

/* ---- By FFMA ------------------------------------------------------------------------------------------------ */

/* The first loads of weights are on their way, or w is computed: now whatever the kernel before wrote is there. */
__device__ __forceinline__ void wait_for_operands()
{
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

__device__ __forceinline__ void let_next_start()
{
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}

template <class T, int ROWS, int COLUMNS, bool aligned>
__global__ void __launch_bounds__(32 * CB_GEMV_WARPS)
    by_ffma(const __grid_constant__ cb_gemv_args a, const __grid_constant__ gie_cuda_steps steps, int wn,
            int wk)
{
  constexpr int V = vec<T>::V, STRIP = 32 * V, DEPTH = !aligned ? 1 : COLUMNS == 4 ? 2 : 4;
  __shared__ float sums[CB_GEMV_WARPS * COLUMNS * ROWS];
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32, group = warp / wk;
  int first = (static_cast<int>(blockIdx.x) * wn + group) * COLUMNS;
  int step = static_cast<int>(gridDim.y) * wk, s = static_cast<int>(blockIdx.y) * wk + warp % wk;
  const T *w[COLUMNS], *x[ROWS];
  float sum[COLUMNS][ROWS] = {};
  uint4 wv[DEPTH][COLUMNS];
#pragma unroll
  for (int j = 0; j < COLUMNS; j++)
    w[j] = static_cast<const T *>(a.w) + (first + j < a.cols ? first + j : a.cols - 1) * a.w_row;
#pragma unroll
  for (int r = 0; r < ROWS; r++)
    x[r] = static_cast<const T *>(a.x) + (r < a.rows ? r : 0) * a.x_row;
  let_next_start();
  if (!a.constant)
    wait_for_operands();
#pragma unroll
  for (int d = 0; d < DEPTH; d++) {
    int k = (s + d * step) * STRIP + lane * V;
#pragma unroll
    for (int j = 0; j < COLUMNS; j++)
      wv[d][j] = k < a.taps ? load_once(w[j] + k) : make_uint4(0, 0, 0, 0);
  }
  if (a.constant)
    wait_for_operands();
  for (; s * STRIP < a.taps; s += DEPTH * step) {
#pragma unroll
    for (int d = 0; d < DEPTH; d++) {
      int k = (s + d * step) * STRIP + lane * V, next = k + DEPTH * step * STRIP;
      uint4 xv[ROWS];
#pragma unroll
      for (int r = 0; r < ROWS; r++)
        xv[r] = k < a.taps ? load_x<T, aligned>(x[r], k, a.taps) : make_uint4(0, 0, 0, 0);
#pragma unroll
      for (int j = 0; j < COLUMNS; j++) {
        float fw[V];
        vec<T>::unpack(wv[d][j], fw);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
          float fx[V];
          vec<T>::unpack(xv[r], fx);
#pragma unroll
          for (int i = 0; i < V; i++)
            sum[j][r] = fmaf(fw[i], fx[i], sum[j][r]);
        }
        wv[d][j] = next < a.taps ? load_once(w[j] + next) : make_uint4(0, 0, 0, 0);
      }
    }
  }
#pragma unroll
  for (int j = 0; j < COLUMNS; j++)
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
#pragma unroll
      for (int m = 16; m > 0; m /= 2)
        sum[j][r] += __shfl_xor_sync(0xffffffffu, sum[j][r], m);
      if (lane == 0)
        sums[(warp * COLUMNS + j) * ROWS + r] = sum[j][r];
    }
  put_block<T>(a, steps, sums, COLUMNS, ROWS, wn, wk, gridDim.y > 1);
}

/* ---- By the tensor cores ------------------------------------------------------------------------------------ */

#define MMA_COLUMNS 16

__device__ __forceinline__ void mma(float (&c)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3,
                                    uint32_t b0, uint32_t b1)
{
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
#else
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(b0));
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a2), "r"(a3), "r"(b1));
#endif
}

template <int TILES, bool aligned>
__global__ void __launch_bounds__(32 * CB_GEMV_WARPS)
    by_mma(const __grid_constant__ cb_gemv_args a, const __grid_constant__ gie_cuda_steps steps, int wn,
           int wk)
{
  constexpr int STRIP = 32, DEPTH = aligned ? 4 : 2, ROWS = 8 * TILES;
  __shared__ float sums[CB_GEMV_WARPS * MMA_COLUMNS * ROWS];
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32, group = warp / wk, g = lane / 4, t = lane % 4;
  int first = (static_cast<int>(blockIdx.x) * wn + group) * MMA_COLUMNS;
  /* neighbouring strips go to one warp two by two, so that a column is read by lines of 128 bytes */
  int step = 2 * static_cast<int>(gridDim.y) * wk, s = 2 * (static_cast<int>(blockIdx.y) * wk + warp % wk);
  const __half *w[2], *x[TILES];
  float sum[TILES][4] = {};
  uint4 wv[DEPTH][2];
#pragma unroll
  for (int j = 0; j < 2; j++) {
    int c = first + g + 8 * j;
    w[j] = static_cast<const __half *>(a.w) + (c < a.cols ? c : a.cols - 1) * a.w_row;
  }
#pragma unroll
  for (int i = 0; i < TILES; i++)
    x[i] = static_cast<const __half *>(a.x) + (g + 8 * i < a.rows ? g + 8 * i : 0) * a.x_row;
  let_next_start();
  if (!a.constant)
    wait_for_operands();
#pragma unroll
  for (int d = 0; d < DEPTH; d++) {
    int k = (s + d / 2 * step + d % 2) * STRIP + t * 8;
#pragma unroll
    for (int j = 0; j < 2; j++)
      wv[d][j] = k < a.taps ? load_once(w[j] + k) : make_uint4(0, 0, 0, 0);
  }
  if (a.constant)
    wait_for_operands();
  for (; s * STRIP < a.taps; s += DEPTH / 2 * step) {
    uint4 xv[DEPTH][TILES];
#pragma unroll
    for (int d = 0; d < DEPTH; d++) {
      int k = (s + d / 2 * step + d % 2) * STRIP + t * 8;
#pragma unroll
      for (int i = 0; i < TILES; i++)
        xv[d][i] = k < a.taps && g + 8 * i < a.rows ? load_x<__half, aligned>(x[i], k, a.taps)
                                                    : make_uint4(0, 0, 0, 0);
    }
#pragma unroll
    for (int d = 0; d < DEPTH; d++) {
      int next = (s + DEPTH / 2 * step + d / 2 * step + d % 2) * STRIP + t * 8;
#pragma unroll
      for (int i = 0; i < TILES; i++) {
        mma(sum[i], wv[d][0].x, wv[d][1].x, wv[d][0].y, wv[d][1].y, xv[d][i].x, xv[d][i].y);
        mma(sum[i], wv[d][0].z, wv[d][1].z, wv[d][0].w, wv[d][1].w, xv[d][i].z, xv[d][i].w);
      }
#pragma unroll
      for (int j = 0; j < 2; j++)
        wv[d][j] = next < a.taps ? load_once(w[j] + next) : make_uint4(0, 0, 0, 0);
    }
  }
  float *mine = sums + warp * MMA_COLUMNS * ROWS;
#pragma unroll
  for (int i = 0; i < TILES; i++)
#pragma unroll
    for (int e = 0; e < 4; e++)
      mine[(g + e / 2 * 8) * ROWS + 8 * i + 2 * t + e % 2] = sum[i][e];
  put_block<__half>(a, steps, sums, MMA_COLUMNS, ROWS, wn, wk, gridDim.y > 1);
}

/* ---- Which of them ---------------------------------------------------------------------------------------------- */

typedef void kernel_fn(cb_gemv_args, gie_cuda_steps, int, int);

template <class T, int ROWS, bool aligned> kernel_fn *by_columns(int columns)
{
  return columns == 1   ? by_ffma<T, ROWS, 1, aligned>
         : columns == 2 ? by_ffma<T, ROWS, 2, aligned>
         : columns == 4 ? by_ffma<T, ROWS, 4, aligned>
                        : nullptr;
}

template <bool aligned> kernel_fn *by_rows_f32(int rows, int columns)
{
  return rows <= 1                   ? by_columns<float, 1, aligned>(columns)
         : rows <= 2                 ? by_columns<float, 2, aligned>(columns)
         : rows <= 4                 ? by_columns<float, 4, aligned>(columns)
         : rows <= CB_GEMV_FFMA_ROWS ? by_columns<float, 8, aligned>(columns)
                                     : nullptr;
}

template <bool aligned> kernel_fn *by_rows_f16(int rows, int columns)
{
  return rows <= 1                       ? by_columns<__half, 1, aligned>(columns)
         : rows <= CB_GEMV_FFMA_F16_ROWS ? by_columns<__half, 2, aligned>(columns)
                                         : nullptr;
}

template <bool aligned> kernel_fn *choose(const cb_gemv_args *a, const cb_gemv_cut *cut, bool half)
{
  if (cut->tensor)
    return !half ? nullptr : a->rows <= 8 ? by_mma<1, aligned> : a->rows <= 16 ? by_mma<2, aligned> : nullptr;
  return half ? by_rows_f16<aligned>(a->rows, cut->columns) : by_rows_f32<aligned>(a->rows, cut->columns);
}

bool is_aligned(const cb_gemv_args *a, int size)
{
  int v = 16 / size;
  return a->taps % v == 0 && (a->rows == 1 || a->x_row % v == 0) &&
         reinterpret_cast<uintptr_t>(a->x) % 16 == 0;
}

} // namespace

cudaError_t cb_gemv_launch(const struct cb_gemv_args *a, const struct cb_gemv_cut *cut, bool half,
                           const struct gie_cuda_steps *steps, cudaStream_t stream)
{
  kernel_fn *kernel = is_aligned(a, half ? 2 : 4) ? choose<true>(a, cut, half) : choose<false>(a, cut, half);
  int per_block = cut->columns * cut->wn;
  dim3 grid((a->cols + per_block - 1) / per_block, cut->splits);
  if (!kernel || cut->wn * cut->wk > CB_GEMV_WARPS)
    return cudaErrorInvalidValue;
  cudaLaunchAttribute early = {};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t launch = {};
  launch.gridDim = grid;
  launch.blockDim = dim3(32 * cut->wn * cut->wk);
  launch.stream = stream;
  launch.attrs = &early;
  launch.numAttrs = a->overlap ? 1 : 0;
  cudaError_t e = cudaLaunchKernelEx(&launch, kernel, *a, *steps, static_cast<int>(cut->wn),
                                     static_cast<int>(cut->wk));
  if (e != cudaSuccess)
    return e;
  if (cut->splits > 1) {
    int n = a->rows * a->cols;
    if (half)
      finish<__half><<<(n + 127) / 128, 128, 0, stream>>>(*a, *steps, cut->splits);
    else
      finish<float><<<(n + 127) / 128, 128, 0, stream>>>(*a, *steps, cut->splits);
  }
  return cudaPeekAtLastError();
}
