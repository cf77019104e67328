/* SPDX-License-Identifier: Apache-2.0 */
/* Resize. Formula: ONNX Resize (19), as the reference computes it: each result axis gives source indices with weights (one
 * for nearest, two for linear, four for cubic, more with antialias), an element is the sum over all combinations. Ways:
 *
 *   rows    f32 and f16, only the last two axes change, no antialias and no region, pixels contiguous: a block makes 128 pixels
 *           of a row in many planes. It works their indices and weights out once, in double; a warp mixes the source rows
 *           of a plane into shared memory and from there the pixels
 *   pixels  the same with contiguous channels: a block makes 32 pixels of a row in some images, 16 bytes of channels a thread
 *   planes  the same where a row shrinks by much, and any other strides: a thread works out one pixel's indices and weights and
 *           uses them for up to 8 images and channels
 *   each    everything else, one element at a time
 *
 * The goal of the first two is 80 % of the copy bandwidth (bench/results/cuda_kernels.txt). */
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

/* ---- An instance */

struct resize {
  struct gie_context *ctx;
  bool fast, half, channels_last;
  uint32_t images, channels, out_h, out_w;
  struct resize_args args;
  struct resize_each each;
};

/* How many of n a block takes: enough to share the indices, and blocks enough for a device. */
static uint32_t group_of(uint64_t n, uint64_t others, uint32_t least, uint32_t most)
{
  uint64_t group = n * others / 2048 / least * least;
  return group < least ? least : group > most ? most : uint32_t(group);
}

template <class T, int M>
static bool launch_pixels(const struct resize *r, struct resize_args a, const T *x, T *y, cudaStream_t stream)
{
  constexpr int V = 16 / sizeof(T);
  uint32_t tiles = (uint32_t(a.w.out) + PIXELS - 1) / PIXELS;
  uint64_t bits = uint64_t(a.xn | a.xh | a.xw | a.yn | a.yh | a.yw) * sizeof(T) | uintptr_t(x) | uintptr_t(y);
  if (a.xc != 1 || a.yc != 1 || r->out_h > 65535)
    return false;
  a.group = group_of(r->images, uint64_t(tiles) * r->out_h, 1, 16);
  dim3 grid(tiles, r->out_h, (r->images + a.group - 1) / a.group);
  if (grid.z > 65535)
    return false;
  if (r->channels % V == 0 && bits % 16 == 0) {
    a.inner = cuda_div_by(r->channels / V);
    resize_pixels<T, M, V><<<grid, 256, 0, stream>>>(a, x, y);
  } else {
    a.inner = cuda_div_by(r->channels);
    resize_pixels<T, M, 1><<<grid, 256, 0, stream>>>(a, x, y);
  }
  return true;
}

template <class T, int M>
static bool launch_rows(const struct resize *r, struct resize_args a, const T *x, T *y, cudaStream_t stream)
{
  uint32_t tiles = (uint32_t(a.w.out) + ROW_COLUMNS - 1) / ROW_COLUMNS;
  double length = a.w.scale * double(a.w.in),
         step = fmax(1 / a.w.scale, double(a.w.in) / fmax(length - 1, 1.0));
  uint64_t bits = uint64_t(a.yn | a.yc | a.yh) * sizeof(T) | uintptr_t(y);
  if (!(step * ROW_COLUMNS + 2 * M < ROW_MAX) || r->out_h > 65535 * ROW_ROWS) /* source columns of a block */
    return false;
  uint32_t rows = (r->out_h + ROW_ROWS - 1) / ROW_ROWS;
  a.group = group_of(a.planes, uint64_t(tiles) * rows, 1, 32);
  dim3 grid(tiles, rows, (a.planes + a.group - 1) / a.group);
  if (grid.z > 65535)
    return false;
  if (a.yw == 1 && r->each.axis[3].out % 4 == 0 && bits % (4 * sizeof(T)) == 0)
    resize_rows<T, M, 4><<<grid, 256, 0, stream>>>(a, x, y);
  else
    resize_rows<T, M, 1><<<grid, 256, 0, stream>>>(a, x, y);
  return true;
}

template <class T, int M> static void launch(const struct resize *r, const struct gie_launch *l)
{
  struct resize_args a = r->args;
  const T *x = static_cast<const T *>(l->in[0]);
  T *y = static_cast<T *>(l->out[0]);
  cudaStream_t stream = gie_cuda_stream(l);
  a.channels = cuda_div_by(r->channels);
  a.images = r->images;
  a.planes = r->images * r->channels;
  if (r->channels_last ? launch_pixels<T, M>(r, a, x, y, stream) : launch_rows<T, M>(r, a, x, y, stream))
    return;
  uint32_t groups = (a.planes + PLANES - 1) / PLANES;
  a.inner = cuda_div_by(r->out_w);
  a.middle = cuda_div_by(r->out_h);
  a.n = groups * r->out_h * r->out_w;
  resize_planes<T, M><<<(a.n + 255) / 256, 256, 0, stream>>>(a, x, y);
}

static gie_status resize_run(void *instance, const struct gie_launch *l)
{
  const struct resize *r = static_cast<const struct resize *>(instance);
  if (!r->fast) {
    struct resize_each f = r->each;
    f.in.data = static_cast<char *>(l->in[0]);
    f.out.data = static_cast<char *>(l->out[0]);
    return cuda_run_each(f, l, "launching a resize");
  }
  switch (r->args.rule.mode) {
  case MODE_NEAREST:
    r->half ? launch<__half, 1>(r, l) : launch<float, 1>(r, l);
    break;
  case MODE_LINEAR:
    r->half ? launch<__half, 2>(r, l) : launch<float, 2>(r, l);
    break;
  default:
    r->half ? launch<__half, 4>(r, l) : launch<float, 4>(r, l);
  }
  return gie_cuda_launched(l->ctx, "launching a resize");
}

/* ---- The kernel */

static int find(const char *const *list, int n, const char *s)
{
  for (int i = 0; i < n; i++)
    if (strcmp(list[i], s) == 0)
      return i;
  return -1;
}

static bool read_rule(const struct gie_problem *p, struct resize_rule *v, int *aspect, char *why, size_t size)
{
  static const char *const MODES[] = {"nearest", "linear", "cubic"};
  static const char *const COORDINATES[] = {"half_pixel",    "half_pixel_symmetric", "pytorch_half_pixel",
                                            "align_corners", "asymmetric",           "tf_crop_and_resize"};
  static const char *const NEARESTS[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
  static const char *const ASPECTS[] = {"stretch", "not_larger", "not_smaller"};
  int mode = find(MODES, 3, gie_node_string(p->node, "mode"));
  int coordinate = find(COORDINATES, 6, gie_node_string(p->node, "coordinate"));
  v->nearest = find(NEARESTS, 4, gie_node_string(p->node, "nearest"));
  *aspect = find(ASPECTS, 3, gie_node_string(p->node, "keep_aspect"));
  if (mode < 0 || coordinate < 0 || v->nearest < 0 || *aspect < 0)
    return cuda_refuse(why, size, "unknown mode, coordinate, nearest or keep_aspect");
  v->mode = static_cast<enum resize_mode>(mode);
  v->coordinate = static_cast<enum coordinate>(coordinate);
  v->antialias = gie_node_int(p->node, "antialias") != 0;
  v->exclude_outside = gie_node_int(p->node, "exclude_outside") != 0;
  v->cubic_a = gie_node_float(p->node, "cubic_a");
  v->extrapolation = gie_node_float(p->node, "extrapolation");
  return true;
}

static bool given(const struct gie_problem *p, uint32_t i)
{
  return i < p->node->n_operands && p->in[i].dtype != GIE_DTYPE_NONE && gie_desc_count(&p->in[i]) > 0;
}

/* Scales of the axes that scales or sizes are given for; all others keep their extent. */
static bool read_axes(const struct gie_problem *p, const struct resize_rule *v, int aspect,
                      struct resize_axis *axis, char *why, size_t size)
{
  int64_t axes[GIE_MAX_RANK], sizes[GIE_MAX_RANK];
  double scales[GIE_MAX_RANK], roi[2 * GIE_MAX_RANK], least = INFINITY, most = 0;
  int rank = p->in[0].rank;
  uint32_t n = gie_node_ints(p->node, "axes", axes, GIE_MAX_RANK, 0), k = 0;
  for (int i = 0; i < rank; i++) {
    axis[i] = {p->in[0].dim[i], p->out[0].dim[i], 1, 0, 1};
    axes[i] = n == 0 ? i : axes[i];
  }
  n = n ? n : uint32_t(rank);
  bool by_scale = given(p, 2);
  if (by_scale ? !gie_value_floats(p->graph, p->node->in[2], scales, GIE_MAX_RANK, &k)
               : !given(p, 3) || !gie_value_ints(p->graph, p->node->in[3], sizes, GIE_MAX_RANK, &k))
    return cuda_refuse(why, size, "scales or sizes are not constant");
  if (k != n)
    return cuda_refuse(why, size, "scales or sizes do not have one entry per axis");
  for (uint32_t i = 0; i < n; i++) {
    axes[i] += axes[i] < 0 ? rank : 0;
    if (axes[i] < 0 || axes[i] >= rank)
      return cuda_refuse(why, size, "axis outside rank %d", rank);
    if (!by_scale)
      scales[i] = double(sizes[i]) / double(p->in[0].dim[axes[i]]);
    least = fmin(least, scales[i]);
    most = fmax(most, scales[i]);
  }
  for (uint32_t i = 0; i < n; i++)
    axis[axes[i]].scale = by_scale || aspect == 0 ? scales[i] : aspect == 1 ? least : most;
  for (int i = 0; i < rank; i++)
    if (axis[i].out > 0 && (!(axis[i].scale > 0) || axis[i].in == 0))
      return cuda_refuse(why, size, "scale %g of axis %d", axis[i].scale, i);
  if (v->coordinate != TF_CROP_AND_RESIZE)
    return true;
  if (!given(p, 1) || !gie_value_floats(p->graph, p->node->in[1], roi, 2 * GIE_MAX_RANK, &k) || k != 2 * n)
    return cuda_refuse(why, size, "roi is not two constants per axis");
  for (uint32_t i = 0; i < n; i++) {
    axis[axes[i]].begin = roi[i];
    axis[axes[i]].end = roi[n + i];
  }
  return true;
}

static bool resize_supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size)
{
  struct resize_rule rule;
  struct resize_axis axis[GIE_MAX_RANK];
  int aspect;
  if (p->in[0].rank != p->out[0].rank || p->in[0].dtype != p->out[0].dtype)
    return cuda_refuse(why, size, "x and the result differ in rank or dtype");
  return read_rule(p, &rule, &aspect, why, size) && read_axes(p, &rule, aspect, axis, why, size);
}

static uint32_t resize_variants(const struct gie_kernel *k, const struct gie_problem *p,
                                struct gie_variant *out, uint32_t max)
{
  const struct cuda_follow first = {1, 1};
  return cuda_variants_any(p, 0, first, -1, out, max);
}

static void resize_estimate(const struct gie_kernel *k, const struct gie_problem *p,
                            const struct gie_variant *v, struct gie_cost *out)
{
  out->bytes = cuda_bytes(p->in, 1) + cuda_bytes(p->out, 1);
  out->flops = 30 * double(gie_desc_count(&p->out[0]));
}

static bool make_fast(struct resize *r, const struct gie_problem *p)
{
  const struct gie_desc *x = &p->in[0], *y = &p->out[0];
  const struct resize_each *f = &r->each;
  struct resize_args *a = &r->args;
  if (x->rank != 4 || (x->dtype != GIE_F32 && x->dtype != GIE_F16) || x->layout.block > 1 ||
      y->layout.block > 1 || f->rule.antialias || f->rule.coordinate == TF_CROP_AND_RESIZE ||
      gie_desc_count(y) == 0 || gie_desc_count(y) >= int64_t(1) << 30 ||
      gie_desc_count(x) >= int64_t(1) << 30)
    return false;
  for (int i = 0; i < 2; i++)
    if (f->axis[i].in != f->axis[i].out || f->axis[i].scale != 1)
      return false;
  a->rule = f->rule;
  a->h = f->axis[2];
  a->w = f->axis[3];
  a->xn = x->stride[0], a->xc = x->stride[1], a->xh = x->stride[2], a->xw = x->stride[3];
  a->yn = y->stride[0], a->yc = y->stride[1], a->yh = y->stride[2], a->yw = y->stride[3];
  r->images = uint32_t(x->dim[0]);
  r->channels = uint32_t(x->dim[1]);
  r->out_h = uint32_t(y->dim[2]);
  r->out_w = uint32_t(y->dim[3]);
  r->half = x->dtype == GIE_F16;
  r->channels_last = a->yc == 1 && r->channels > 1;
  return true;
}

static gie_status resize_create(const struct gie_kernel *k, const struct gie_problem *p,
                                const struct gie_variant *v, void **instance)
{
  char why[128] = "";
  int aspect;
  struct resize *r = cuda_instance<struct resize>(p->ctx);
  if (!r)
    return GIE_E_MEMORY;
  struct resize_each *f = &r->each;
  f->in = cuda_tensor_of(&p->in[0]);
  f->out = cuda_tensor_of(&p->out[0]);
  f->order = cuda_order_of(f->out);
  if (!read_rule(p, &f->rule, &aspect, why, sizeof why) ||
      !read_axes(p, &f->rule, aspect, f->axis, why, sizeof why)) {
    gie_free(p->ctx, r);
    return gie_fail(p->ctx, GIE_E_UNSUPPORTED, "%s", why);
  }
  r->fast = make_fast(r, p);
  *instance = r;
  return GIE_OK;
}

static const char *const ops[] = {"resize", nullptr};
static const struct gie_kernel KERNELS[] = {{.struct_size = sizeof(struct gie_kernel),
                                             .name = "cuda.resize",
                                             .device = "cuda",
                                             .ops = ops,
                                             .supports = resize_supports,
                                             .variants = resize_variants,
                                             .estimate = resize_estimate,
                                             .create = resize_create,
                                             .destroy = cuda_destroy<struct resize>,
                                             .run = resize_run}};
const struct cuda_family cuda_resize = {KERNELS, 1};
