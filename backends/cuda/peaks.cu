/* SPDX-License-Identifier: Apache-2.0 */
/* What the device can do at best, measured by short kernels: the cost model's roofline. Each rate is the best of a few
 * runs, since anything else on the device only makes it slower.
 *
 *   copy        16 bytes per thread and step, four in flight; over buffers far larger than the L2 cache, and inside a
 *               quarter of it; bytes read plus bytes written
 *   arithmetic  independent chains in registers: FFMA; mma.sync m16n8k16 f16 with f32 sums, m16n8k8 TF32, m16n8k32 s8
 *   launch      a graph of empty kernels in a row, per kernel */
#include "backends/cuda/common.h"

#define THREADS 256
#define COPY_BYTES (size_t(512) << 20) /* of each of the two buffers, at most */
#define RUNS 6
#define EMPTY_KERNELS 256
#define ROUNDS 512 /* of each arithmetic kernel */

/* ---- Kernels */

__global__ void cuda_peak_empty() {}

__global__ void __launch_bounds__(THREADS)
    cuda_peak_copy(const uint4 *__restrict__ from, uint4 *__restrict__ to, size_t n)
{
  size_t step = size_t(gridDim.x) * THREADS;
  for (size_t i = size_t(blockIdx.x) * THREADS + threadIdx.x; i < n; i += 4 * step) {
    uint4 v[4];
#pragma unroll
    for (int k = 0; k < 4; k++)
      if (i + k * step < n)
        v[k] = from[i + k * step];
#pragma unroll
    for (int k = 0; k < 4; k++)
      if (i + k * step < n)
        to[i + k * step] = v[k];
  }
}

/* Goes over the region again and again, past the first-level cache. n is larger than the grid. */
__global__ void __launch_bounds__(THREADS)
    cuda_peak_cache(const uint4 *__restrict__ from, uint4 *__restrict__ to, uint32_t n, int steps)
{
  uint32_t threads = gridDim.x * THREADS, i = blockIdx.x * THREADS + threadIdx.x;
  for (int s = 0; s < steps; s += 4) {
    uint4 v[4];
    uint32_t at[4];
#pragma unroll
    for (int k = 0; k < 4; k++) {
      at[k] = i;
      v[k] = __ldcg(from + i);
      i = i + threads < n ? i + threads : i + threads - n;
    }
#pragma unroll
    for (int k = 0; k < 4; k++)
      to[at[k]] = v[k];
  }
}

/* The sums end in memory, on a condition that never holds, so that nothing is optimized away. */
__global__ void __launch_bounds__(THREADS) cuda_peak_ffma(float a, float b, float *out)
{
  float x[16];
#pragma unroll
  for (int k = 0; k < 16; k++)
    x[k] = float(threadIdx.x + k);
#pragma unroll 4
  for (int r = 0; r < ROUNDS; r++)
#pragma unroll
    for (int k = 0; k < 16; k++)
      x[k] = fmaf(x[k], a, b);
  float sum = 0;
#pragma unroll
  for (int k = 0; k < 16; k++)
    sum += x[k];
  if (sum == 0.12345f)
    *out = sum;
}

#define CHAINS 8

__global__ void __launch_bounds__(THREADS) cuda_peak_f16(uint32_t a, float *out)
{
  float d[CHAINS][4] = {};
  uint32_t b = a + threadIdx.x;
  for (int r = 0; r < ROUNDS; r++) {
#pragma unroll
    for (int k = 0; k < CHAINS; k++) {
#if __CUDA_ARCH__ >= 800
      asm volatile(
          "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%4,%4,%4}, {%5,%5}, {%0,%1,%2,%3};"
          : "+f"(d[k][0]), "+f"(d[k][1]), "+f"(d[k][2]), "+f"(d[k][3])
          : "r"(a), "r"(b));
#else
      asm volatile(
          "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%4}, {%5}, {%0,%1,%2,%3};\n\t"
          "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%4}, {%5}, {%0,%1,%2,%3};"
          : "+f"(d[k][0]), "+f"(d[k][1]), "+f"(d[k][2]), "+f"(d[k][3])
          : "r"(a), "r"(b));
#endif
    }
  }
  float sum = 0;
#pragma unroll
  for (int k = 0; k < CHAINS; k++)
    sum += d[k][0] + d[k][1] + d[k][2] + d[k][3];
  if (sum == 0.12345f)
    *out = sum;
}

__global__ void __launch_bounds__(THREADS) cuda_peak_tf32(uint32_t a, float *out)
{
#if __CUDA_ARCH__ >= 800
  float d[CHAINS][4] = {};
  uint32_t b = a + threadIdx.x;
  for (int r = 0; r < ROUNDS; r++) {
#pragma unroll
    for (int k = 0; k < CHAINS; k++)
      asm volatile(
          "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%4,%4,%4}, {%5,%5}, {%0,%1,%2,%3};"
          : "+f"(d[k][0]), "+f"(d[k][1]), "+f"(d[k][2]), "+f"(d[k][3])
          : "r"(a), "r"(b));
  }
  float sum = 0;
#pragma unroll
  for (int k = 0; k < CHAINS; k++)
    sum += d[k][0] + d[k][1] + d[k][2] + d[k][3];
  if (sum == 0.12345f)
    *out = sum;
#endif
}

__global__ void __launch_bounds__(THREADS) cuda_peak_s8(uint32_t a, float *out)
{
#if __CUDA_ARCH__ >= 800
  int d[CHAINS][4] = {};
  uint32_t b = a + threadIdx.x;
  for (int r = 0; r < ROUNDS; r++) {
#pragma unroll
    for (int k = 0; k < CHAINS; k++)
      asm volatile(
          "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%4,%4,%4}, {%5,%5}, {%0,%1,%2,%3};"
          : "+r"(d[k][0]), "+r"(d[k][1]), "+r"(d[k][2]), "+r"(d[k][3])
          : "r"(a), "r"(b));
  }
  int sum = 0;
#pragma unroll
  for (int k = 0; k < CHAINS; k++)
    sum += d[k][0] + d[k][1] + d[k][2] + d[k][3];
  if (sum == 12345)
    *out = float(sum);
#endif
}

/* ---- Timing */

struct bench {
  struct gie_context *ctx;
  cudaStream_t stream;
  cudaEvent_t begin, end;
  char *from, *to;
  size_t bytes; /* of each */
  int units, generation;
  size_t l2;
};

#define TRY(b, call, what) GIE_CUDA_TRY((b)->ctx, call, what)

/* Seconds of launch(b, arg), best of RUNS after one that does not count. */
static gie_status time_it(struct bench *b, void (*launch)(const struct bench *b, size_t arg), size_t arg,
                          double *seconds)
{
  *seconds = 1e30;
  for (int run = 0; run <= RUNS; run++) {
    float ms = 0;
    TRY(b, cudaEventRecord(b->begin, b->stream), "measuring the device");
    launch(b, arg);
    TRY(b, cudaEventRecord(b->end, b->stream), "measuring the device");
    TRY(b, cudaEventSynchronize(b->end), "measuring the device");
    GIE_TRY(gie_cuda_launched(b->ctx, "measuring the device"));
    TRY(b, cudaEventElapsedTime(&ms, b->begin, b->end), "measuring the device");
    if (run > 0 && ms > 0 && ms / 1000.0 < *seconds)
      *seconds = ms / 1000.0;
  }
  return GIE_OK;
}

#define COPIES 2
#define CACHE_STEPS 256

static void launch_copy(const struct bench *b, size_t bytes)
{
  size_t n = bytes / sizeof(uint4), blocks = (n + 4 * THREADS - 1) / (4 * THREADS);
  size_t most = size_t(b->units) * 8 * 32; /* beyond that the grid only adds launches of blocks */
  for (int i = 0; i < COPIES; i++)
    cuda_peak_copy<<<unsigned(blocks < most ? blocks : most), THREADS, 0, b->stream>>>(
        reinterpret_cast<const uint4 *>(b->from), reinterpret_cast<uint4 *>(b->to), n);
}

static void launch_cache(const struct bench *b, size_t bytes)
{
  cuda_peak_cache<<<unsigned(b->units * 8), THREADS, 0, b->stream>>>(reinterpret_cast<const uint4 *>(b->from),
                                                                     reinterpret_cast<uint4 *>(b->to),
                                                                     uint32_t(bytes / sizeof(uint4)),
                                                                     CACHE_STEPS);
}

#define LAUNCH(name, ...)                                                                                  \
  static void launch_##name(const struct bench *b, size_t)                                                 \
  {                                                                                                        \
    cuda_peak_##name<<<unsigned(b->units * 8), THREADS, 0, b->stream>>>(__VA_ARGS__,                       \
                                                                        reinterpret_cast<float *>(b->to)); \
  }
LAUNCH(ffma, 0.999f, 0.5f)
LAUNCH(f16, 0x3c003c00u)
LAUNCH(tf32, 0x3f800000u)
LAUNCH(s8, 0x01010101u)

static double threads_of(const struct bench *b) { return double(b->units) * 8 * THREADS; }

static gie_status measure_copies(struct bench *b, struct gie_peaks *out)
{
  double seconds;
  GIE_TRY(time_it(b, launch_copy, b->bytes, &seconds));
  out->bytes_per_s = 2.0 * double(b->bytes) * COPIES / seconds;
  size_t inside = b->l2 / 8 / 1024 * 1024;
  out->cache_bytes = double(b->l2);
  if (double(inside) < threads_of(b) * sizeof(uint4) || inside > b->bytes)
    return GIE_OK; /* no such cache */
  GIE_TRY(time_it(b, launch_cache, inside, &seconds));
  out->cache_bytes_per_s = 2.0 * threads_of(b) * sizeof(uint4) * CACHE_STEPS / seconds;
  return GIE_OK;
}

static gie_status measure_arithmetic(struct bench *b, struct gie_peaks *out)
{
  double seconds, warps = threads_of(b) / 32;
  GIE_TRY(time_it(b, launch_ffma, 0, &seconds));
  out->f32_flop_per_s = threads_of(b) * 16 * ROUNDS * 2 / seconds;
  GIE_TRY(time_it(b, launch_f16, 0, &seconds));
  out->f16_flop_per_s = warps * CHAINS * ROUNDS * 2 * 16 * 8 * 16 / seconds;
  if (b->generation < 80)
    return GIE_OK;
  GIE_TRY(time_it(b, launch_tf32, 0, &seconds));
  out->tf32_flop_per_s = warps * CHAINS * ROUNDS * 2 * 16 * 8 * 8 / seconds;
  GIE_TRY(time_it(b, launch_s8, 0, &seconds));
  out->i8_op_per_s = warps * CHAINS * ROUNDS * 2 * 16 * 8 * 32 / seconds;
  return GIE_OK;
}

static gie_status measure_launch(struct bench *b, struct gie_peaks *out)
{
  cudaGraph_t recorded = NULL;
  cudaGraphExec_t graph = NULL;
  gie_status st = GIE_OK;
  float ms = 0, best = 1e30f;
  TRY(b, cudaStreamBeginCapture(b->stream, cudaStreamCaptureModeThreadLocal), "measuring a launch");
  for (int i = 0; i < EMPTY_KERNELS; i++)
    cuda_peak_empty<<<1, 32, 0, b->stream>>>();
  TRY(b, cudaStreamEndCapture(b->stream, &recorded), "measuring a launch");
  cudaError_t e = cudaGraphInstantiate(&graph, recorded, 0);
  (void)cudaGraphDestroy(recorded);
  for (int run = 0; run <= RUNS && e == cudaSuccess; run++) {
    (void)cudaEventRecord(b->begin, b->stream);
    (void)cudaGraphLaunch(graph, b->stream);
    (void)cudaEventRecord(b->end, b->stream);
    e = cudaEventSynchronize(b->end);
    if (e == cudaSuccess)
      e = cudaEventElapsedTime(&ms, b->begin, b->end);
    best = run > 0 && ms < best ? ms : best;
  }
  if (graph)
    (void)cudaGraphExecDestroy(graph);
  if (e != cudaSuccess)
    st = gie_cuda_fail(b->ctx, e, "measuring a launch");
  else
    out->launch_s = double(best) / 1000 / EMPTY_KERNELS;
  return st;
}

static gie_status prepare(struct bench *b)
{
  int device = 0, major = 0, minor = 0, l2 = 0;
  size_t free = 0, total = 0;
  TRY(b, cudaGetDevice(&device), "measuring the device");
  TRY(b, cudaDeviceGetAttribute(&b->units, cudaDevAttrMultiProcessorCount, device), "measuring the device");
  TRY(b, cudaDeviceGetAttribute(&l2, cudaDevAttrL2CacheSize, device), "measuring the device");
  TRY(b, cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "measuring the device");
  TRY(b, cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), "measuring the device");
  TRY(b, cudaMemGetInfo(&free, &total), "measuring the device");
  b->generation = 10 * major + minor;
  b->l2 = size_t(l2);
  b->bytes = free / 8 < COPY_BYTES ? free / 8 / 1024 * 1024 : COPY_BYTES;
  TRY(b, cudaStreamCreateWithFlags(&b->stream, cudaStreamNonBlocking), "measuring the device");
  TRY(b, cudaEventCreate(&b->begin), "measuring the device");
  TRY(b, cudaEventCreate(&b->end), "measuring the device");
  TRY(b, cudaMalloc(&b->from, b->bytes), "measuring the device");
  TRY(b, cudaMalloc(&b->to, b->bytes), "measuring the device");
  TRY(b, cudaMemsetAsync(b->from, 0x5a, b->bytes, b->stream), "measuring the device");
  TRY(b, cudaMemsetAsync(b->to, 0xa5, b->bytes, b->stream), "measuring the device");
  return GIE_OK;
}

static void release(struct bench *b)
{
  (void)cudaFree(b->from);
  (void)cudaFree(b->to);
  if (b->begin)
    (void)cudaEventDestroy(b->begin);
  if (b->end)
    (void)cudaEventDestroy(b->end);
  if (b->stream)
    (void)cudaStreamDestroy(b->stream);
}

gie_status cuda_measure_peaks(struct gie_context *ctx, struct gie_peaks *out)
{
  struct bench b = {.ctx = ctx};
  struct gie_peaks peaks = {.struct_size = sizeof peaks};
  gie_status st = prepare(&b);
  if (st == GIE_OK)
    st = measure_copies(&b, &peaks);
  if (st == GIE_OK)
    st = measure_arithmetic(&b, &peaks);
  if (st == GIE_OK)
    st = measure_launch(&b, &peaks);
  release(&b);
  if (st == GIE_OK)
    *out = peaks;
  return st;
}

gie_status cuda_check_code(struct gie_context *ctx, const char *device_name)
{
  cudaFuncAttributes a;
  cudaError_t e = cudaFuncGetAttributes(&a, reinterpret_cast<const void *>(cuda_peak_empty));
  if (e == cudaSuccess)
    return GIE_OK;
  (void)cudaGetLastError();
  if (e == cudaErrorNoKernelImageForDevice || e == cudaErrorInvalidDeviceFunction)
    return gie_fail(ctx, GIE_E_DEVICE,
                    "this build holds no code for %s; configure it --with-cuda-arch=release", device_name);
  return gie_cuda_fail(ctx, e, "asking for a kernel's code");
}
