/* SPDX-License-Identifier: Apache-2.0 */
/* What the benchmark is made of: data, references in f64, runs of winograd's configurations and of cuDNN's, times. */
#ifndef GIE_BENCH_WINOGRAD_BENCH_CUH
#define GIE_BENCH_WINOGRAD_BENCH_CUH

#include "bench/winograd/engines.cuh"

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

struct tensors {
  wg_problem p;
  void *x, *w, *bias, *y;
  size_t x_bytes, y_bytes, y_pad; /* of the buffer; bytes before y */
  void *y_base, *x_base;
  double *want;
  void *weights;                           /* on the host */
  void *packed[WG_N_FORMS][WG_N_PACKINGS]; /* as they are asked for: packed() */
};

static size_t elements(const int64_t *d) { return (size_t)(d[0] * d[1] * d[2] * d[3]); }

template <class T>
static void make(tensors *t, const wg_shape &s, int r, bool last, bool pitched, bool with_reference,
                 const float *weights = nullptr, bool with_bias = true)
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
  for (size_t i = 0; weights && i < elements(wd); i++)
    w[i] = (T)weights[i];
  if (weights)
    TRY(cudaMemcpy(t->w, w, elements(wd) * sizeof(T), cudaMemcpyHostToDevice));
  TRY(cudaMemcpy(w, t->w, elements(wd) * sizeof(T), cudaMemcpyDeviceToHost));
  t->weights = w;
  if (!with_bias)
    cudaFree(t->bias), t->bias = nullptr;
  if (with_reference) {
    int64_t n = s.n * s.k * s.oh * s.ow;
    strides xs = {p->x_n, p->x_c, p->x_h, p->x_w};
    TRY(cudaMalloc(&t->want, (size_t)n * 8));
    reference<T><<<(unsigned)((n + 127) / 128), 128>>>(s, r, (T *)t->x, xs, (T *)t->w, (T *)t->bias, t->want);
  }
  TRY(cudaDeviceSynchronize());
}

static const void *packed(tensors *t, const wg_config *c)
{
  const wg_packing k = wg_packing_of(c);
  const wg_form *f = &WG_FORMS[c->form];
  size_t bytes;
  if (t->packed[c->form][k] || !wg_pack_bytes(f, k, t->p.s.c, t->p.s.k, t->p.dtype, &bytes))
    return t->packed[c->form][k];
  void *host = malloc(bytes);
  wg_pack(f, k, t->p.s.c, t->p.s.k, t->p.dtype, t->weights, t->p.dtype, host);
  TRY(cudaMalloc(&t->packed[c->form][k], bytes));
  TRY(cudaMemcpy(t->packed[c->form][k], host, bytes, cudaMemcpyHostToDevice));
  free(host);
  return t->packed[c->form][k];
}

static void drop(tensors *t)
{
  free(t->weights);
  cudaFree(t->x_base), cudaFree(t->y_base), cudaFree(t->w), cudaFree(t->bias), cudaFree(t->want);
  for (int f = 0; f < WG_N_FORMS; f++)
    for (void *p : t->packed[f])
      cudaFree(p);
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

static bool only_legacy;
static void *workspace;
static size_t workspace_bytes;

struct runner {
  virtual cudaError_t run(cudaStream_t s) = 0;
};
static const wg_structure *structure_of(const wg_config *c)
{
  static const wg_structure *const OF[] = {&wg_staged_structure, &wg_fused_structure, &wg_few_structure};
  return OF[WG_TILES[c->tile].structure];
}
struct wg_runner : runner {
  const wg_structure *how;
  void *plan;
  gie_cuda_steps steps;
  wg_addresses a;
  ~wg_runner() { free(plan); }
  wg_runner(tensors *t, const wg_config *c)
  {
    memset(&steps, 0, sizeof steps);
    how = structure_of(c);
    plan = malloc(how->bytes);
    a = {t->x, packed(t, c), t->bias, t->y, workspace};
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

struct engine_runner : runner {
  engine_plan plan;
  engine_runner(engine_list &list, const cn_config &c, const tensors *t, const void *filter)
      : plan(list, c, t->x, filter, t->y, workspace, workspace_bytes)
  {
  }
  cudaError_t run(cudaStream_t s) override { return plan.run(s); }
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

#endif
