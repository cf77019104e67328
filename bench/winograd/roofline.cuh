/* SPDX-License-Identifier: Apache-2.0 */
/* Rooflines: what the device reaches with nothing else to do, and the least time of a configuration at those rates. */
#ifndef GIE_BENCH_WINOGRAD_ROOFLINE_CUH
#define GIE_BENCH_WINOGRAD_ROOFLINE_CUH

#include "bench/winograd/bench.cuh"

static struct {
  double ffma, memory, cache; /* operations and bytes a second */
} ceilings;

static __global__ void __launch_bounds__(256) ffma_chains(float *out, float a, float b)
{
  float v[16];
#pragma unroll
  for (int i = 0; i < 16; i++)
    v[i] = threadIdx.x + i;
#pragma unroll 1
  for (int n = 0; n < 1024; n++)
#pragma unroll
    for (int j = 0; j < 4; j++)
#pragma unroll
      for (int i = 0; i < 16; i++)
        v[i] = fmaf(v[i], a, b);
  float sum = 0;
#pragma unroll
  for (int i = 0; i < 16; i++)
    sum += v[i];
  if (sum == 1.25f)
    *out = sum;
}

static __global__ void copy_floats(float4 *to, const float4 *from, size_t n)
{
  for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n; i += (size_t)gridDim.x * blockDim.x)
    to[i] = from[i];
}

struct ffma_runner : runner {
  cudaError_t run(cudaStream_t s) override
  {
    ffma_chains<<<(unsigned)units * 4, 256, 0, s>>>((float *)workspace, 0.5f, 1.0f);
    return cudaGetLastError();
  }
};
struct copy_runner : runner {
  size_t bytes;
  explicit copy_runner(size_t b) : bytes(b) {}
  cudaError_t run(cudaStream_t s) override
  {
    copy_floats<<<(unsigned)units * 8, 512, 0, s>>>((float4 *)((char *)workspace + bytes),
                                                    (float4 *)workspace, bytes / 16);
    return cudaGetLastError();
  }
};

static void measure_ceilings(void)
{
  ffma_runner f;
  copy_runner large((size_t)1 << 30), small((size_t)12 << 20);
  const bool room = workspace_bytes >= (size_t)2 << 30;
  TRY(cudaMemset(workspace, 0x3c, std::min(workspace_bytes, (size_t)2 << 30)));
  ceilings.ffma = 2.0 * units * 4 * 256 * 1024 * 64 / time_runner(&f) * 1e6;
  ceilings.cache = 2.0 * (double)small.bytes / time_runner(&small) * 1e6;
  ceilings.memory = room ? 2.0 * (double)large.bytes / time_runner(&large) * 1e6 : ceilings.cache;
  printf(
      "ceilings: FFMA %.1f TFLOP/s, memory %.2f TB/s, cache %.2f TB/s; tensor cores taken as 8 (TF32) and 16 (f16) times FFMA\n",
      ceilings.ffma * 1e-12, ceilings.memory * 1e-12, ceilings.cache * 1e-12);
}

static double peak(enum wg_unit u)
{
  static const double TIMES[WG_N_UNITS] = {1, 8.0 / 3, 16, 8.0 / 3, 8};
  return ceilings.ffma * TIMES[u];
}
static double moved_s(double bytes, double live)
{
  return bytes / (live < 40e6 ? ceilings.cache : ceilings.memory);
}

/* Staged: its three kernels one after the other; the others: the larger of arithmetic and bytes. */
static double floor_us(const wg_problem &p, const wg_config &c)
{
  const wg_tile_shape &t = WG_TILES[c.tile];
  const wg_form &f = WG_FORMS[c.form];
  const double tiles = (double)p.s.n * (double)((p.s.oh + f.m - 1) / f.m) *
                       (double)((p.s.ow + f.m - 1) / f.m);
  const double size = p.dtype == GIE_F16 ? 2 : 4, points = f.n * f.n, C = (double)p.s.c, K = (double)p.s.k;
  const double x = (double)(p.s.n * p.s.h * p.s.w) * C * size,
               y = (double)(p.s.n * p.s.oh * p.s.ow) * K * size;
  const double w = points * C * K * (t.unit == WG_TF32X3_GROUP ? 8 : size),
               flops = 2 * points * C * K * tiles;
  if (t.structure == WG_FEW)
    return std::max(std::max(flops / peak(t.unit), tiles * K * 2 * f.n * f.m / ceilings.ffma) +
                        (t.unit == WG_FFMA ? tiles * K * 2 * f.n * f.m / ceilings.ffma : 0),
                    moved_s(x + y, x + y)) *
           1e6;
  if (t.structure == WG_FUSED)
    return std::max(flops / peak(t.unit), moved_s(x + y + w, x + y)) * 1e6;
  const double v = points * C * tiles * size, m = points * K * tiles * 4 * c.splits,
               live = c.chunk ? 0 : v + m;
  return (moved_s(x + v, live) + std::max(flops / peak(t.unit), moved_s(v + m + w, live)) +
          moved_s(m + y, live)) *
         1e6;
}

/* A GEMM-based convolution by the same kind of model: whole waves of blocks of 128x128 … 64x64, at the rates that cuDNN
 * reaches on large ones. */
static double gemm_estimate_us(const wg_shape &s, int r, size_t size)
{
  static const struct {
    int k, p;
    double rate;
  } TILES[] = {{128, 128, 1}, {64, 128, 0.9}, {64, 64, 0.75}};
  const double full = (size == 2 ? 4.2e12 : 0.36e12), pixels = (double)(s.n * s.oh * s.ow),
               sum = (double)(s.c * r * r);
  double best = 0;
  for (const auto &t : TILES) {
    double blocks = std::ceil((double)s.k / t.k) * std::ceil(pixels / t.p), waves = std::ceil(blocks / units);
    double us = waves * 2 * t.k * t.p * (sum + 64) / (full * t.rate) * 1e6;
    best = best == 0 ? us : std::min(best, us);
  }
  const double bytes = ((double)(s.n * s.c * s.h * s.w) + pixels * (double)s.k) * (double)size;
  return std::max(best, bytes / (bytes < 40e6 ? 4.5e12 : 2.6e12) * 1e6) + 2;
}

#endif
