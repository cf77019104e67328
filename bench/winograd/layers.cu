/* SPDX-License-Identifier: Apache-2.0 */
/* The layers of VGG-E by every variant of the winograd backend and by cuDNN's engines, in strict f32: errors against
 * f64 (batch 1), then times as captured graphs. Arguments, one after the other:
 *   check, few     every configuration on odd shapes, with guards around the result; few: for compute-sanitizer
 *   f32=N, f16=N   the layers at batch N
 *   profile=LAYER:N:LABEL   one configuration three times, for a profiler
 *   small          a workspace of 64 MiB
 * Every time goes to out/details.txt, where there is such a folder.
 * `make bench/winograd/layers` builds it. */
#include "backends/winograd/winograd.h"

#include <algorithm>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <cudnn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRY(call)                                                                  \
  do {                                                                             \
    cudaError_t e_ = (call);                                                       \
    if (e_ != cudaSuccess) {                                                       \
      printf("%s:%d %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorString(e_)); \
      exit(1);                                                                     \
    }                                                                              \
  } while (0)

/* The kernels' sources are a module's, whose calls of the engine go through these; nothing here makes any. */
extern "C" {
const struct gie_base_api *gie_base_api_;
const struct gie_graph_api *gie_graph_api_;
}

static int units;
static double clock_hz;

/* ---- Data */

__device__ uint32_t hash(uint32_t x)
{
  x ^= x >> 16, x *= 0x7feb352d, x ^= x >> 15, x *= 0x846ca68b, x ^= x >> 16;
  return x;
}
/* normal numbers; relu: as they come from a relu */
template <class T> __global__ void fill(T *p, size_t n, uint32_t seed, float scale, int relu)
{
  for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n; i += (size_t)gridDim.x * blockDim.x) {
    float u = (hash((uint32_t)i * 2 + seed) + 1.0f) * 0x1p-32f,
          v = hash((uint32_t)i * 2 + 1 + seed) * 0x1p-32f;
    float r = sqrtf(-2 * logf(fminf(u, 1.0f))) * cospif(2 * v) * scale;
    p[i] = (T)(relu && r < 0 ? 0 : r);
  }
}

struct strides {
  int64_t n, c, h, w;
};

template <class T>
__global__ void reference(wg_shape s, int r, const T *x, strides xs, const T *w, const T *bias, double *y)
{
  int64_t at = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
  if (at >= s.n * s.k * s.oh * s.ow)
    return;
  int64_t ox = at % s.ow, oy = at / s.ow % s.oh, k = at / s.ow / s.oh % s.k, n = at / s.ow / s.oh / s.k;
  double sum = 0;
  for (int64_t c = 0; c < s.c; c++)
    for (int i = 0; i < r; i++)
      for (int j = 0; j < r; j++) {
        int64_t iy = oy - s.pad_h + i, ix = ox - s.pad_w + j;
        if (iy >= 0 && iy < s.h && ix >= 0 && ix < s.w)
          sum += (double)(float)x[n * xs.n + c * xs.c + iy * xs.h + ix * xs.w] *
                 (double)(float)w[((k * s.c + c) * r + i) * r + j];
      }
  y[at] = sum + (bias ? (double)(float)bias[k] : 0);
}

/* sums[0] max |a-b|, [1] Σ (a-b)², [2] Σ b², [3] max |b|, [4] elements that are not finite */
template <class T>
__global__ void compare(wg_shape s, const T *y, strides ys, const double *want, double *sums)
{
  int64_t count = s.n * s.k * s.oh * s.ow;
  double worst = 0, error = 0, size = 0, peak = 0;
  for (int64_t at = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; at < count;
       at += (int64_t)gridDim.x * blockDim.x) {
    int64_t ox = at % s.ow, oy = at / s.ow % s.oh, k = at / s.ow / s.oh % s.k, n = at / s.ow / s.oh / s.k;
    double a = (double)(float)y[n * ys.n + k * ys.c + oy * ys.h + ox * ys.w], b = want[at], d = fabs(a - b);
    if (!isfinite(a))
      atomicAdd(&sums[4], 1.0), d = 0;
    worst = fmax(worst, d), error += d * d, size += b * b, peak = fmax(peak, fabs(b));
  }
  atomicAdd(&sums[1], error);
  atomicAdd(&sums[2], size);
  atomicMax((unsigned long long *)&sums[0], (unsigned long long)__double_as_longlong(worst));
  atomicMax((unsigned long long *)&sums[3], (unsigned long long)__double_as_longlong(peak));
}

struct layer {
  const char *name;
  int c, k, hw;
  double seed;
};
static const layer LAYERS[] = {{"conv1.1", 3, 64, 224, 1.84},   {"conv1.2", 64, 64, 224, 1.83},
                               {"conv2.1", 64, 128, 112, 2.03}, {"conv2.2", 128, 128, 112, 2.07},
                               {"conv3.1", 128, 256, 56, 2.26}, {"conv3.2", 256, 256, 56, 1.92},
                               {"conv4.1", 256, 512, 28, 1.98}, {"conv4.2", 512, 512, 28, 1.25},
                               {"conv5", 512, 512, 14, 0.73}};

struct tensors {
  wg_problem p;
  void *x, *w, *bias, *y;
  size_t x_bytes, y_bytes, y_pad; /* of the buffer; bytes before y */
  void *y_base, *x_base;
  double *want;
  void *packed[WG_N_FORMS];
};

static size_t elements(const int64_t *d) { return (size_t)(d[0] * d[1] * d[2] * d[3]); }

template <class T>
static void make(tensors *t, const wg_shape &s, int r, bool last, bool pitched, bool with_reference)
{
  memset(t, 0, sizeof *t);
  wg_problem *p = &t->p;
  int extra = pitched ? 24 : 0; /* channels of the larger tensor around this one: 8 before, 16 behind */
  int64_t xc = s.c + extra, yc = s.k + extra;
  *p = {s,
        r,
        last,
        sizeof(T) == 2 ? GIE_F16 : GIE_F32,
        xc * s.h * s.w,
        last ? 1 : s.h * s.w,
        last ? s.w * xc : s.w,
        last ? xc : 1,
        yc * s.oh * s.ow,
        last ? 1 : s.oh * s.ow,
        last ? s.ow * yc : s.ow,
        last ? yc : 1,
        units};
  int64_t xd[4] = {s.n, xc, s.h, s.w}, yd[4] = {s.n, yc, s.oh, s.ow}, wd[4] = {s.k, s.c, r, r};
  t->x_bytes = elements(xd) * sizeof(T), t->y_bytes = elements(yd) * sizeof(T);
  TRY(cudaMalloc(&t->x_base, t->x_bytes));
  TRY(cudaMalloc(&t->y_base, t->y_bytes + 512));
  TRY(cudaMalloc(&t->w, elements(wd) * sizeof(T)));
  TRY(cudaMalloc(&t->bias, (size_t)s.k * sizeof(T)));
  t->x = (T *)t->x_base + (pitched ? 8 * p->x_c : 0);
  t->y_pad = 256 + (pitched ? 8 * (size_t)p->y_c * sizeof(T) : 0);
  t->y = (char *)t->y_base + t->y_pad;
  fill<T><<<1024, 256>>>((T *)t->x_base, elements(xd), 1, 1, 1);
  fill<T><<<256, 256>>>((T *)t->w, elements(wd), 77, sqrtf(2.0f / (float)(s.c * r * r)), 0);
  fill<T><<<1, 256>>>((T *)t->bias, (size_t)s.k, 99, 0.1f, 0);
  T *w = (T *)malloc(elements(wd) * sizeof(T));
  TRY(cudaMemcpy(w, t->w, elements(wd) * sizeof(T), cudaMemcpyDeviceToHost));
  for (int f = 0; f < WG_N_FORMS; f++) {
    size_t bytes;
    if (WG_FORMS[f].r != r || !wg_pack_bytes(&WG_FORMS[f], s.c, s.k, p->dtype, &bytes))
      continue;
    void *host = malloc(bytes);
    wg_pack(&WG_FORMS[f], s.c, s.k, p->dtype, w, p->dtype, host);
    TRY(cudaMalloc(&t->packed[f], bytes));
    TRY(cudaMemcpy(t->packed[f], host, bytes, cudaMemcpyHostToDevice));
    free(host);
  }
  free(w);
  if (with_reference) {
    int64_t n = s.n * s.k * s.oh * s.ow;
    strides xs = {p->x_n, p->x_c, p->x_h, p->x_w};
    TRY(cudaMalloc(&t->want, (size_t)n * 8));
    reference<T><<<(unsigned)((n + 127) / 128), 128>>>(s, r, (T *)t->x, xs, (T *)t->w, (T *)t->bias, t->want);
  }
  TRY(cudaDeviceSynchronize());
}

static void drop(tensors *t)
{
  cudaFree(t->x_base), cudaFree(t->y_base), cudaFree(t->w), cudaFree(t->bias), cudaFree(t->want);
  for (int f = 0; f < WG_N_FORMS; f++)
    cudaFree(t->packed[f]);
}

static double *sums;
/* rms and max error; bytes outside the result must still be 0xa5 */
template <class T> static bool judge(const tensors *t, double *rms, double *max)
{
  double h[5];
  const wg_problem *p = &t->p;
  strides ys = {p->y_n, p->y_c, p->y_h, p->y_w};
  TRY(cudaMemset(sums, 0, 40));
  compare<T><<<512, 256>>>(p->s, (const T *)t->y, ys, t->want, sums);
  TRY(cudaMemcpy(h, sums, 40, cudaMemcpyDeviceToHost));
  *rms = sqrt(h[1] / h[2]), *max = h[0] / h[3];
  return h[4] == 0;
}

static bool guards(const tensors *t)
{
  const wg_problem *p = &t->p;
  const wg_shape *s = &p->s;
  size_t size = p->dtype == GIE_F16 ? 2 : 4, total = t->y_bytes + 512;
  unsigned char *h = (unsigned char *)malloc(total), *mine = (unsigned char *)calloc(total, 1);
  TRY(cudaMemcpy(h, t->y_base, total, cudaMemcpyDeviceToHost));
  for (int64_t n = 0; n < s->n; n++)
    for (int64_t k = 0; k < s->k; k++)
      for (int64_t i = 0; i < s->oh; i++)
        for (int64_t j = 0; j < s->ow; j++)
          memset(mine + t->y_pad + (size_t)(n * p->y_n + k * p->y_c + i * p->y_h + j * p->y_w) * size, 1,
                 size);
  bool ok = true;
  for (size_t i = 0; i < total; i++)
    ok = ok && (mine[i] || h[i] == 0xa5);
  free(h), free(mine);
  return ok;
}

/* ---- Variants */

static void *workspace;
static size_t workspace_bytes;

struct runner {
  virtual cudaError_t run(cudaStream_t s) = 0;
};
static const wg_structure *structure_of(const wg_config *c)
{
  return WG_TILES[c->tile].structure == WG_STAGED ? &wg_staged_structure : &wg_fused_structure;
}
struct wg_runner : runner {
  const wg_structure *how;
  void *plan;
  gie_cuda_steps steps;
  wg_addresses a;
  ~wg_runner() { free(plan); }
  wg_runner(const tensors *t, const wg_config *c)
  {
    memset(&steps, 0, sizeof steps);
    how = structure_of(c);
    plan = malloc(how->bytes);
    a = {t->x, t->packed[c->form], t->bias, t->y, workspace};
    TRY(how->make(&t->p, c, plan));
  }
  cudaError_t run(cudaStream_t st) override { return how->run(plan, &steps, &a, st); }
};

static double time_runner(runner *r, double least = 0)
{
  cudaStream_t s;
  cudaGraph_t g;
  cudaGraphExec_t x;
  cudaEvent_t e0, e1;
  TRY(cudaStreamCreate(&s));
  TRY(cudaEventCreate(&e0));
  TRY(cudaEventCreate(&e1));
  cudaError_t err = r->run(s);
  TRY(cudaEventRecord(e0, s));
  err = err == cudaSuccess ? r->run(s) : err;
  TRY(cudaEventRecord(e1, s));
  if (err == cudaSuccess)
    err = cudaStreamSynchronize(s);
  if (err != cudaSuccess) {
    printf("   failed: %s\n", cudaGetErrorString(err));
    cudaGetLastError();
    return 1e9;
  }
  float ms;
  TRY(cudaEventElapsedTime(&ms, e0, e1));
  if (least > 0 && ms * 1e3 > 2.5 * least + 30)
    return ms * 1e3;
  int runs = std::max(1, std::min(40, (int)(1.0 / ms)));
  TRY(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal));
  for (int i = 0; i < runs; i++)
    err = r->run(s);
  TRY(cudaStreamEndCapture(s, &g));
  TRY(cudaGraphInstantiate(&x, g, 0));
  TRY(cudaGraphLaunch(x, s));
  double t[7];
  for (int i = 0; i < 7; i++) {
    TRY(cudaEventRecord(e0, s));
    TRY(cudaGraphLaunch(x, s));
    TRY(cudaEventRecord(e1, s));
    TRY(cudaStreamSynchronize(s));
    TRY(cudaEventElapsedTime(&ms, e0, e1));
    t[i] = ms * 1e3 / runs;
  }
  std::sort(t, t + 7);
  cudaGraphExecDestroy(x), cudaGraphDestroy(g), cudaStreamDestroy(s), cudaEventDestroy(e0),
      cudaEventDestroy(e1);
  return t[3];
}

static bool fits(const tensors *t, const wg_config *c)
{
  size_t bytes;
  return wg_is_offered(&t->p, c, GIE_MATH_STRICT) && structure_of(c)->workspace(&t->p, c, &bytes) &&
         bytes <= workspace_bytes;
}

/* ---- cuDNN */

static cudnnHandle_t dnn;
struct dnn_runner : runner {
  cudnnTensorDescriptor_t x, y;
  cudnnFilterDescriptor_t w;
  cudnnConvolutionDescriptor_t conv;
  const tensors *t;
  cudnnConvolutionFwdAlgo_t algo;
  size_t bytes = 0;
  void *filter;
  dnn_runner(const tensors *t_, void *filter_) : t(t_), filter(filter_)
  {
    const wg_problem *p = &t->p;
    const wg_shape *s = &p->s;
    cudnnDataType_t d = p->dtype == GIE_F16 ? CUDNN_DATA_HALF : CUDNN_DATA_FLOAT;
    cudnnTensorFormat_t f = p->channels_last ? CUDNN_TENSOR_NHWC : CUDNN_TENSOR_NCHW;
    cudnnCreateTensorDescriptor(&x), cudnnCreateTensorDescriptor(&y);
    cudnnCreateFilterDescriptor(&w), cudnnCreateConvolutionDescriptor(&conv);
    cudnnSetTensor4dDescriptor(x, f, d, (int)s->n, (int)s->c, (int)s->h, (int)s->w);
    cudnnSetTensor4dDescriptor(y, f, d, (int)s->n, (int)s->k, (int)s->oh, (int)s->ow);
    cudnnSetFilter4dDescriptor(w, d, f, (int)s->k, (int)s->c, p->r, p->r);
    cudnnSetConvolution2dDescriptor(conv, (int)s->pad_h, (int)s->pad_w, 1, 1, 1, 1, CUDNN_CROSS_CORRELATION,
                                    CUDNN_DATA_FLOAT);
    cudnnSetConvolutionMathType(conv, p->dtype == GIE_F16 ? CUDNN_TENSOR_OP_MATH : CUDNN_FMA_MATH);
  }
  ~dnn_runner()
  {
    cudnnDestroyTensorDescriptor(x), cudnnDestroyTensorDescriptor(y), cudnnDestroyFilterDescriptor(w),
        cudnnDestroyConvolutionDescriptor(conv);
  }
  bool ready(int a)
  {
    algo = (cudnnConvolutionFwdAlgo_t)a;
    return cudnnGetConvolutionForwardWorkspaceSize(dnn, x, w, conv, y, algo, &bytes) ==
               CUDNN_STATUS_SUCCESS &&
           bytes <= workspace_bytes;
  }
  cudaError_t run(cudaStream_t s) override
  {
    float one = 1, zero = 0;
    cudnnSetStream(dnn, s);
    cudnnStatus_t st = cudnnConvolutionForward(dnn, &one, x, t->x, w, filter, conv, algo, workspace, bytes,
                                               &zero, y, t->y);
    return st == CUDNN_STATUS_SUCCESS ? cudaGetLastError() : cudaErrorUnknown;
  }
};

static const char *const ALGOS[] = {"implicit", "precomp",    "gemm",     "direct",
                                    "fft",      "fft_tiling", "winograd", "wino_nonfused"};

template <class T> static void *ordered_filter(const tensors *t)
{
  const wg_shape *s = &t->p.s;
  int r = t->p.r;
  size_t n = (size_t)(s->k * s->c) * r * r;
  T *a = (T *)malloc(n * sizeof(T)), *b = (T *)malloc(n * sizeof(T));
  void *d;
  TRY(cudaMemcpy(a, t->w, n * sizeof(T), cudaMemcpyDeviceToHost));
  for (int64_t k = 0; k < s->k; k++)
    for (int64_t c = 0; c < s->c; c++)
      for (int i = 0; i < r * r; i++)
        b[(k * r * r + i) * s->c + c] = a[(k * s->c + c) * r * r + i];
  TRY(cudaMalloc(&d, n * sizeof(T)));
  TRY(cudaMemcpy(d, t->p.channels_last ? b : a, n * sizeof(T), cudaMemcpyHostToDevice));
  free(a), free(b);
  return d;
}

struct best {
  double us;
  char name[96];
};
static void offer(best *b, double us, const char *name)
{
  if (us < b->us || b->us == 0) {
    b->us = us;
    snprintf(b->name, sizeof b->name, "%s", name);
  }
}

/* ---- What is done */

static FILE *details;

template <class T>
static void time_dnn(const wg_shape &s, bool last, bool accuracy, best *gemm, best *any, double *rms,
                     double *max)
{
  tensors t;
  make<T>(&t, s, 3, last, false, accuracy);
  cudaFree(t.bias), t.bias = nullptr;
  if (accuracy) { /* without a bias */
    strides xs = {t.p.x_n, t.p.x_c, t.p.x_h, t.p.x_w};
    int64_t n = s.n * s.k * s.oh * s.ow;
    reference<T><<<(unsigned)((n + 127) / 128), 128>>>(s, 3, (T *)t.x, xs, (T *)t.w, (T *)nullptr, t.want);
  }
  void *filter = ordered_filter<T>(&t);
  dnn_runner r(&t, filter);
  for (int a = 0; a < CUDNN_CONVOLUTION_FWD_ALGO_COUNT; a++) {
    if (a == 3 || !r.ready(a))
      continue;
    if (r.run(0) != cudaSuccess || cudaDeviceSynchronize() != cudaSuccess) {
      cudaGetLastError();
      continue;
    }
    double us = time_runner(&r, any->us), e_rms = 0, e_max = 0;
    if (accuracy) {
      judge<T>(&t, &e_rms, &e_max);
      if (a <= 2 && (*rms == 0 || e_rms < *rms))
        *rms = e_rms, *max = e_max;
    }
    char name[64];
    snprintf(name, sizeof name, "%s %s", ALGOS[a], last ? "nhwc" : "nchw");
    fprintf(details, "  cudnn %-24s %10.2f us  rms %.2e max %.2e\n", name, us, e_rms, e_max);
    if (a <= 2)
      offer(gemm, us, name);
    offer(any, us, name);
  }
  cudaFree(filter);
  drop(&t);
}

template <class T>
static void time_wg(const wg_shape &s, bool last, bool accuracy, best *b, best *by_unit, double rms0,
                    double max0)
{
  tensors t;
  make<T>(&t, s, 3, last, false, accuracy);
  for (int f = 0; f < 2; f++)
    for (int tile = 0; tile < WG_N_TILES; tile++) {
      const wg_form *form = &WG_FORMS[f];
      int64_t count = s.n * ((s.oh + form->m - 1) / form->m) * ((s.ow + form->m - 1) / form->m);
      for (int splits = 1; splits <= 8; splits *= 2)
        for (int ch = 8; ch < 16; ch++) {
          wg_config c = {(wg_form_id)f, (uint8_t)tile, (uint8_t)splits, (uint8_t)(ch == 8 ? 0 : ch)};
          if (!fits(&t, &c))
            continue;
          char name[96];
          wg_config_label(&t.p, &c, name, sizeof name);
          wg_runner r(&t, &c);
          double e_rms = 0, e_max = 0;
          if (accuracy) {
            TRY(cudaMemset(t.y_base, 0xff, t.y_bytes + 512));
            if (r.run(0) != cudaSuccess || cudaDeviceSynchronize() != cudaSuccess) {
              printf("  %s failed: %s\n", name, cudaGetErrorString(cudaGetLastError()));
              exit(1);
            }
            if (!judge<T>(&t, &e_rms, &e_max) || e_rms > (sizeof(T) == 2 ? 5e-3 : 1e-5))
              printf("  WRONG %s: rms %.3g max %.3g\n", name, e_rms, e_max);
          }
          double us = time_runner(&r, b->us);
          double flops = 2.0 * form->n * form->n * (double)s.c * (double)s.k * (double)count;
          fprintf(
              details,
              "  wg %-40s %10.2f us  product %6.1f TFLOP/s  estimate %8.2f rms %.2e (%.2f) max %.2e (%.2f)\n",
              name, us, flops / us * 1e-6, wg_estimate(&t.p, &c, nullptr) * 1e6, e_rms, e_rms / rms0, e_max,
              e_max / max0);
          offer(b, us, name);
          offer(&by_unit[WG_TILES[tile].structure == WG_STAGED ? WG_TILES[tile].unit : 3], us, name);
        }
    }
  drop(&t);
}

static void time_layers(int n)
{
  printf(
      "\nN=%d f32      GEMM-based           any strict           winograd                               | /gemm seed | /any | staged ffma 3xtf32 fused\n",
      n);
  for (const layer &l : LAYERS) {
    wg_shape s = {n, l.c, l.hw, l.hw, l.k, l.hw, l.hw, 1, 1};
    best gemm = {}, any = {}, wg = {}, unit[4] = {};
    double rms = 0, max = 0;
    fprintf(details, "%s N=%d\n", l.name, n);
    time_dnn<float>(s, false, n == 1, &gemm, &any, &rms, &max);
    time_dnn<float>(s, true, false, &gemm, &any, &rms, &max);
    time_wg<float>(s, false, n == 1, &wg, unit, rms, max);
    time_wg<float>(s, true, n == 1, &wg, unit, rms, max);
    printf("%-8s %8.1f %-14s %8.1f %-18s %8.1f %-34s | %5.2f %5.2f | %5.2f | %.1f %.1f %.1f\n", l.name,
           gemm.us, gemm.name, any.us, any.name, wg.us, wg.name, gemm.us / wg.us, l.seed, any.us / wg.us,
           unit[WG_FFMA].us, unit[WG_TF32X3].us, unit[3].us);
    fflush(stdout);
  }
}

static void time_half(int n)
{
  printf("\nN=%d f16      any                  winograd\n", n);
  for (const layer &l : LAYERS) {
    wg_shape s = {n, l.c, l.hw, l.hw, l.k, l.hw, l.hw, 1, 1};
    best gemm = {}, any = {}, wg = {}, unit[4] = {};
    double rms = 0, max = 0;
    fprintf(details, "%s N=%d f16\n", l.name, n);
    time_dnn<__half>(s, true, n == 1, &gemm, &any, &rms, &max);
    time_wg<__half>(s, true, n == 1, &wg, unit, rms, max);
    printf("%-8s %8.1f %-18s %8.1f %-34s | %5.2f\n", l.name, any.us, any.name, wg.us, wg.name,
           any.us / wg.us);
    fflush(stdout);
  }
}

template <class T> static int check_case(const wg_shape &s, int r, bool last, bool pitched)
{
  tensors t;
  int bad = 0;
  make<T>(&t, s, r, last, pitched, true);
  for (int f = 0; f < WG_N_FORMS; f++)
    for (int tile = 0; tile < WG_N_TILES; tile++)
      for (int splits = 1; splits <= 3; splits += 2)
        for (int chunk = 0; chunk <= 4; chunk += 4) {
          wg_config c = {(wg_form_id)f, (uint8_t)tile, (uint8_t)splits, (uint8_t)chunk};
          double rms, max;
          char name[96];
          size_t bytes;
          if (!wg_is_possible(&t.p, &c) || !structure_of(&c)->workspace(&t.p, &c, &bytes) ||
              bytes > workspace_bytes)
            continue;
          wg_config_label(&t.p, &c, name, sizeof name);
          wg_runner run(&t, &c);
          TRY(cudaMemset(workspace, 0xff, 1 << 22));
          TRY(cudaMemset(t.y_base, 0xa5, t.y_bytes + 512));
          TRY(run.run(0));
          TRY(cudaDeviceSynchronize());
          bool finite = judge<T>(&t, &rms, &max), whole = guards(&t);
          if (!finite || !whole || max > (sizeof(T) == 2 ? 2e-2 : 2e-5)) {
            printf("WRONG %s %s%s r%d n%d c%d h%d w%d k%d: max %.3g%s%s\n", name, last ? "nhwc" : "nchw",
                   pitched ? " pitched" : "", r, (int)s.n, (int)s.c, (int)s.h, (int)s.w, (int)s.k, max,
                   finite ? "" : ", not finite", whole ? "" : ", outside");
            bad++;
          }
        }
  drop(&t);
  return bad;
}

static void check(bool few)
{
  static const int cases[][9] = {/* n c h w k r pad_h pad_w bottom/right pad */
                                 {1, 1, 1, 1, 1, 3, 1, 1, 1},      {1, 1, 3, 3, 1, 3, 0, 0, 0},
                                 {2, 3, 7, 5, 4, 3, 1, 1, 1},      {1, 5, 8, 8, 9, 3, 0, 0, 0},
                                 {1, 2, 6, 13, 3, 3, 2, 0, 1},     {3, 4, 12, 11, 5, 3, 1, 2, 0},
                                 {1, 3, 2, 2, 3, 3, 4, 4, 4},      {1, 64, 5, 6, 17, 3, 1, 1, 1},
                                 {2, 33, 16, 16, 130, 3, 1, 1, 1}, {1, 40, 9, 12, 72, 3, 1, 1, 1},
                                 {1, 1, 1, 1, 1, 5, 2, 2, 2},      {2, 3, 7, 9, 4, 5, 2, 2, 2},
                                 {1, 16, 14, 13, 6, 5, 2, 1, 3},   {1, 1, 1, 9, 2, 3, 1, 1, 1},
                                 {1, 100, 12, 20, 200, 3, 1, 1, 1}};
  int bad = 0, n = 0;
  for (auto &c : cases) {
    if (few && c[0] * c[1] != 6)
      continue;
    for (int last = 0; last < 2; last++)
      for (int pitched = 0; pitched < 2; pitched++, n++) {
        wg_shape s = {
            c[0], c[1], c[2], c[3], c[4], c[2] + c[6] + c[8] - c[5] + 1, c[3] + c[7] + c[8] - c[5] + 1,
            c[6], c[7]};
        bad += check_case<float>(s, c[5], last, pitched);
        bad += check_case<__half>(s, c[5], last, pitched);
      }
  }
  printf("check: %d cases in f32 and f16, %d wrong\n", n, bad);
}

/* name:batch:label: the first configuration whose label begins so, three times; for a profiler */
static void profile(const char *what)
{
  char name[32], wanted[64];
  int n;
  if (sscanf(what, "%31[^:]:%d:%63[^\n]", name, &n, wanted) != 3)
    return;
  for (const layer &l : LAYERS)
    for (int last = 0; last < 2 && strcmp(l.name, name) == 0; last++) {
      wg_shape s = {n, l.c, l.hw, l.hw, l.k, l.hw, l.hw, 1, 1};
      tensors t;
      make<float>(&t, s, 3, last, false, false);
      for (int f = 0; f < 2; f++)
        for (int tile = 0; tile < WG_N_TILES; tile++)
          for (int splits = 1; splits <= 8; splits *= 2) {
            wg_config c = {(wg_form_id)f, (uint8_t)tile, (uint8_t)splits, 0};
            char text[96];
            wg_config_label(&t.p, &c, text, sizeof text);
            if (!fits(&t, &c) || strcmp(text, wanted) != 0)
              continue;
            wg_runner r(&t, &c);
            for (int i = 0; i < 3; i++)
              TRY(r.run(0));
            TRY(cudaDeviceSynchronize());
          }
      drop(&t);
    }
}

int main(int argc, char **argv)
{
  cudaDeviceProp prop;
  int khz = 0;
  TRY(cudaGetDeviceProperties(&prop, 0));
  cudaDeviceGetAttribute(&khz, cudaDevAttrClockRate, 0);
  units = prop.multiProcessorCount;
  clock_hz = khz * 1e3;
  printf("%s, %d multiprocessors, %.0f MHz, cuDNN %zu\n", prop.name, units, clock_hz * 1e-6,
         cudnnGetVersion());
  details = fopen("out/details.txt", "a");
  if (!details)
    details = stderr;
  TRY(cudaMalloc(&sums, 40));
  workspace_bytes = (size_t)9 << 30;
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], "small") == 0)
      workspace_bytes = (size_t)64 << 20;
  TRY(cudaMalloc(&workspace, workspace_bytes));
  if (cudnnCreate(&dnn) != CUDNN_STATUS_SUCCESS)
    return 1;
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], "check") == 0)
      check(false);
    else if (strcmp(argv[i], "few") == 0)
      check(true);
    else if (strncmp(argv[i], "f32=", 4) == 0)
      time_layers(atoi(argv[i] + 4));
    else if (strncmp(argv[i], "profile=", 8) == 0)
      profile(argv[i] + 8);
    else if (strncmp(argv[i], "f16=", 4) == 0)
      time_half(atoi(argv[i] + 4));
  return 0;
}
