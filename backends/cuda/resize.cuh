/* SPDX-License-Identifier: Apache-2.0 */
/* Resize: what runs on the device. */
#ifndef GIE_BACKENDS_CUDA_RESIZE_CUH
#define GIE_BACKENDS_CUDA_RESIZE_CUH

#include "backends/cuda/host.cuh"

enum resize_mode { MODE_NEAREST, MODE_LINEAR, MODE_CUBIC };
enum coordinate {
  HALF_PIXEL,
  HALF_PIXEL_SYMMETRIC,
  PYTORCH_HALF_PIXEL,
  ALIGN_CORNERS,
  ASYMMETRIC,
  TF_CROP_AND_RESIZE
};

struct resize_axis {
  int64_t in, out;
  double scale, begin, end; /* region of interest */
};

struct resize_rule {
  enum resize_mode mode;
  enum coordinate coordinate;
  int nearest;
  bool antialias, exclude_outside;
  double cubic_a, extrapolation;
};

/* Where index o of the result lies on the source axis. */
__device__ double source_position(const struct resize_rule &v, const struct resize_axis &a, int64_t o)
{
  double in = double(a.in), length = a.scale * in, x = double(o);
  switch (v.coordinate) {
  case HALF_PIXEL_SYMMETRIC:
    return in / 2 * (1 - double(a.out) / length) + (x + 0.5) / a.scale - 0.5;
  case PYTORCH_HALF_PIXEL:
    return length == 1 ? -0.5 : (x + 0.5) / a.scale - 0.5;
  case ALIGN_CORNERS:
    return length == 1 ? 0 : x * (in - 1) / (length - 1);
  case ASYMMETRIC:
    return x / a.scale;
  case TF_CROP_AND_RESIZE:
    return a.begin * (in - 1) +
           (length == 1 ? (a.end - a.begin) * (in - 1) / 2 : x * (a.end - a.begin) * (in - 1) / (length - 1));
  default:
    return (x + 0.5) / a.scale - 0.5;
  }
}

__device__ int64_t nearest_index(const struct resize_rule &v, double x, double last)
{
  double i = v.nearest == 0   ? ceil(x - 0.5)
             : v.nearest == 1 ? floor(x + 0.5)
             : v.nearest == 2 ? floor(x)
                              : ceil(x);
  return int64_t(fmin(fmax(i, 0.0), last));
}

/* Weight of a source element at distance d: a triangle, or Keys' cubic convolution kernel. */
__device__ double kernel_weight(const struct resize_rule &v, double d)
{
  double a = v.cubic_a;
  d = fabs(d);
  if (v.mode == MODE_LINEAR)
    return d < 1 ? 1 - d : 0;
  if (d <= 1)
    return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

/* The taps of one index: source elements first … first+n-1, clamped when they are read. */
struct taps {
  int64_t first, n;
  double x, stretch, sum; /* position, of the kernel, of the weights */
  bool outside;
};

__device__ struct taps taps_of(const struct resize_rule &v, const struct resize_axis &a, int64_t o)
{
  struct taps t = {0, 1, source_position(v, a, o), 1, 1, false};
  double last = double(a.in - 1), reach = v.mode == MODE_CUBIC ? 2 : 1;
  if (!(fabs(t.x) < 0x1p53) || (v.coordinate == TF_CROP_AND_RESIZE && (t.x < 0 || t.x > last))) {
    t.outside = true;
    return t;
  }
  if (v.mode == MODE_NEAREST) {
    t.first = nearest_index(v, t.x, last);
    return t;
  }
  t.stretch = v.antialias && a.scale < 1 ? a.scale : 1;
  t.n = 2 * int64_t(ceil(reach / t.stretch));
  t.first = int64_t(floor(t.x)) - t.n / 2 + 1;
  if (!v.antialias && !v.exclude_outside)
    return t;
  t.sum = 0;
  for (int64_t i = t.first; i < t.first + t.n; i++)
    if (!v.exclude_outside || (i >= 0 && i < a.in))
      t.sum += kernel_weight(v, (double(i) - t.x) * t.stretch);
  return t;
}

__device__ double tap_weight(const struct resize_rule &v, const struct resize_axis &a, const struct taps &t,
                             int64_t i)
{
  if (v.mode == MODE_NEAREST)
    return 1;
  if (v.exclude_outside && (i < 0 || i >= a.in))
    return 0;
  return kernel_weight(v, (double(i) - t.x) * t.stretch) / t.sum;
}

__device__ int64_t clamped(int64_t i, int64_t n) { return i < 0 ? 0 : i >= n ? n - 1 : i; }

/* ---- Planes */

struct resize_args {
  uint32_t n;
  struct cuda_div inner, middle; /* of the number, see below */
  uint32_t planes, images;       /* the former: images x channels */
  uint32_t group;                /* planes or images of a block */
  struct cuda_div channels;
  struct resize_rule rule;
  struct resize_axis h, w;
  int64_t xn, xc, xh, xw, yn, yc, yh, yw;
};

/* Clamped indices and weights of one result index, `apart` apart; they are first[k] times the stride. */
template <int M>
__device__ __forceinline__ void taps_out(const struct resize_rule &rule, const struct resize_axis &a,
                                         int64_t o, int *index, float *weight, int apart)
{
  struct taps t = taps_of(rule, a, o);
#pragma unroll
  for (int k = 0; k < M; k++) {
    index[k * apart] = int(clamped(t.first + k, a.in));
    weight[k * apart] = float(tap_weight(rule, a, t, t.first + k));
  }
}

#define PLANES 8

/* Number: group of PLANES planes, row, column. */
template <class T, int M>
__global__ void __launch_bounds__(256)
    resize_planes(const __grid_constant__ resize_args a, const T *__restrict__ x, T *__restrict__ y)
{
  uint32_t i = blockIdx.x * 256 + threadIdx.x;
  if (i >= a.n)
    return;
  uint32_t q = cuda_quotient(a.inner, i), ow = i - q * a.inner.d;
  uint32_t group = cuda_quotient(a.middle, q), oh = q - group * a.middle.d;
  int rows[M], columns[M];
  float wh[M], ww[M];
  taps_out<M>(a.rule, a.h, oh, rows, wh, 1);
  taps_out<M>(a.rule, a.w, ow, columns, ww, 1);
#pragma unroll 2
  for (int k = 0; k < PLANES; k++) {
    uint32_t plane = group * PLANES + k;
    if (plane >= a.planes)
      break;
    uint32_t n = cuda_quotient(a.channels, plane), c = plane - n * a.channels.d;
    const T *from = x + n * a.xn + c * a.xc;
    float sum = 0;
#pragma unroll
    for (int h = 0; h < M; h++) {
      float row = 0;
#pragma unroll
      for (int w = 0; w < M; w++)
        row = fmaf(ww[w], cuda_to_float(from[rows[h] * a.xh + columns[w] * a.xw]), row);
      sum = fmaf(wh[h], row, sum);
    }
    y[n * a.yn + c * a.yc + oh * a.yh + ow * a.yw] = cuda_from_float<T>(sum);
  }
}

/* ---- Rows: 4 columns a lane, 128 of 16 rows a block; at most ROW_MAX source columns */

#define ROW_COLUMNS 128
#define ROW_ROWS 16
#define ROW_MAX 280
#define ROW_BATCH 4 /* rows that a warp reads together */

/* Grid: column / ROW_COLUMNS, row / ROW_ROWS, group of planes; a.group of them. */
template <class T, int M, int V>
__global__ void __launch_bounds__(256)
    resize_rows(const __grid_constant__ resize_args a, const T *__restrict__ x, T *__restrict__ y)
{
  __shared__ int columns[M][ROW_COLUMNS], rows[M][ROW_ROWS];
  __shared__ float ww[M][ROW_COLUMNS], wh[M][ROW_ROWS], source[8][ROW_BATCH][ROW_MAX];
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, left = blockIdx.x * ROW_COLUMNS;
  const uint32_t width = uint32_t(a.w.out), some = width - left < ROW_COLUMNS ? width - left : ROW_COLUMNS;
  const uint32_t top = blockIdx.y * ROW_ROWS, height = uint32_t(a.h.out);
  const uint32_t n_rows = height - top < ROW_ROWS ? height - top : ROW_ROWS;
  const uint32_t begin = blockIdx.z * a.group,
                 n_planes = a.planes - begin < a.group ? a.planes - begin : a.group;
  if (threadIdx.x < some)
    taps_out<M>(a.rule, a.w, left + threadIdx.x, &columns[0][threadIdx.x], &ww[0][threadIdx.x], ROW_COLUMNS);
  else if (threadIdx.x >= 256 - n_rows)
    taps_out<M>(a.rule, a.h, top + 255 - threadIdx.x, &rows[0][255 - threadIdx.x], &wh[0][255 - threadIdx.x],
                ROW_ROWS);
  __syncthreads();
  const int first = columns[0][0], n_source = columns[M - 1][some - 1] - first + 1;
  int at[M][4];
  float w[M][4];
#pragma unroll
  for (int m = 0; m < M; m++)
#pragma unroll
    for (int v = 0; v < 4; v++) {
      uint32_t i = 4 * lane + v < some ? 4 * lane + v : 0;
      at[m][v] = columns[m][i] - first;
      w[m][v] = ww[m][i];
    }
  float(*mixed)[ROW_MAX] = source[warp];
  const uint32_t batches = (n_rows + ROW_BATCH - 1) / ROW_BATCH;
  /* plane by plane, so that a block's rows are read and written together */
  for (uint32_t i = warp; i < n_planes * batches; i += 8) {
    uint32_t p = i / batches, h = (i - p * batches) * ROW_BATCH, plane = begin + p;
    uint32_t n = cuda_quotient(a.channels, plane), c = plane - n * a.channels.d;
    const T *from = x + n * a.xn + c * a.xc + first * a.xw;
    T *to = y + n * a.yn + c * a.yc + (top + h) * a.yh + (left + 4 * lane) * a.yw;
    int64_t row[ROW_BATCH][M];
    float weight[ROW_BATCH][M];
#pragma unroll
    for (int j = 0; j < ROW_BATCH; j++)
#pragma unroll
      for (int m = 0; m < M; m++) {
        row[j][m] = rows[m][h + j < n_rows ? h + j : h] * a.xh;
        weight[j][m] = wh[m][h + j < n_rows ? h + j : h];
      }
#pragma unroll 2
    for (int k = int(lane); k < n_source; k += 32)
#pragma unroll
      for (int j = 0; j < ROW_BATCH; j++) {
        float r = 0;
#pragma unroll
        for (int m = 0; m < M; m++)
          r = fmaf(weight[j][m], cuda_to_float(from[row[j][m] + k * a.xw]), r);
        mixed[j][k] = r;
      }
    __syncwarp();
#pragma unroll
    for (int j = 0; j < ROW_BATCH; j++) {
      float r[4] = {};
      if (h + j >= n_rows)
        break;
#pragma unroll
      for (int m = 0; m < M; m++)
#pragma unroll
        for (int v = 0; v < 4; v++)
          r[v] = fmaf(w[m][v], mixed[j][at[m][v]], r[v]);
      if (V == 4 && 4 * lane < some) {
        cuda_store_v<T, 4>(to + j * a.yh, r);
      } else if (V == 1) {
#pragma unroll
        for (int v = 0; v < 4; v++)
          if (4 * lane + v < some)
            to[j * a.yh + v * a.yw] = cuda_from_float<T>(r[v]);
      }
    }
    __syncwarp();
  }
}

/* ---- Pixels: 32 of a row, grid: column / PIXELS, row, group of images (a.group of them) */

#define PIXELS 32

template <class T, int M, int V>
__global__ void __launch_bounds__(256)
    resize_pixels(const __grid_constant__ resize_args a, const T *__restrict__ x, T *__restrict__ y)
{
  __shared__ int columns[M][PIXELS], rows[M];
  __shared__ float ww[M][PIXELS], wh[M];
  const uint32_t left = blockIdx.x * PIXELS, width = uint32_t(a.w.out);
  const uint32_t some = width - left < PIXELS ? width - left : PIXELS, images = a.images;
  const uint32_t end = (blockIdx.z + 1) * a.group < images ? (blockIdx.z + 1) * a.group : images;
  if (threadIdx.x < some)
    taps_out<M>(a.rule, a.w, left + threadIdx.x, &columns[0][threadIdx.x], &ww[0][threadIdx.x], PIXELS);
  else if (threadIdx.x == 255)
    taps_out<M>(a.rule, a.h, blockIdx.y, rows, wh, 1);
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < some * a.inner.d; i += 256) {
    const uint32_t q = cuda_quotient(a.inner, i), c = (i - q * a.inner.d) * V;
    int64_t at[M], to = blockIdx.y * a.yh + (left + q) * a.yw + c;
#pragma unroll
    for (int m = 0; m < M; m++)
      at[m] = columns[m][q] * a.xw + c;
#pragma unroll 2
    for (uint32_t n = blockIdx.z * a.group; n < end; n++) {
      float sum[V] = {};
#pragma unroll
      for (int h = 0; h < M; h++) {
        const T *from = x + n * a.xn + rows[h] * a.xh;
        float row[V] = {}, e[V];
#pragma unroll
        for (int w = 0; w < M; w++) {
          cuda_load_v<T, V>(from + at[w], e);
#pragma unroll
          for (int v = 0; v < V; v++)
            row[v] = fmaf(ww[w][q], e[v], row[v]);
        }
#pragma unroll
        for (int v = 0; v < V; v++)
          sum[v] = fmaf(wh[h], row[v], sum[v]);
      }
      cuda_store_v<T, V>(y + n * a.yn + to, sum);
    }
  }
}

/* ---- Each */

struct resize_each {
  struct cuda_tensor out, in;
  struct cuda_order order;
  struct resize_rule rule;
  struct resize_axis axis[GIE_MAX_RANK];
  __device__ void operator()(const int64_t *idx) const
  {
    struct taps t[GIE_MAX_RANK];
    int64_t pick[GIE_MAX_RANK] = {0}, at[GIE_MAX_RANK];
    struct cuda_number r = {rule.extrapolation, 0};
    char *to = out.data + cuda_offset(out, idx);
    bool outside = false;
    int i;
    for (i = 0; i < in.rank; i++) {
      t[i] = taps_of(rule, axis[i], idx[i]);
      outside = outside || t[i].outside;
      at[i] = t[i].first;
    }
    if (!outside && rule.mode == MODE_NEAREST) { /* exact for every dtype */
      cuda_copy_element(to, in.data + cuda_offset(in, at), out.size);
      return;
    }
    double sum = 0;
    if (!outside)
      do {
        double w = 1;
        for (int k = 0; k < in.rank; k++) {
          at[k] = clamped(t[k].first + pick[k], axis[k].in);
          w *= tap_weight(rule, axis[k], t[k], t[k].first + pick[k]);
        }
        if (w != 0) {
          struct cuda_number n = cuda_read(in, at);
          sum += w * (cuda_is_float(in.dtype) ? n.f
                      : in.dtype == GIE_U64   ? double(uint64_t(n.i))
                                              : double(n.i));
        }
        for (i = in.rank - 1; i >= 0 && ++pick[i] == t[i].n; i--)
          pick[i] = 0;
      } while (i >= 0);
    r.f = outside ? r.f : sum;
    if (!cuda_is_float(out.dtype))
      r.i = cuda_saturate(nearbyint(r.f), out.dtype);
    cuda_store(out.dtype, to, r);
  }
};

#endif
