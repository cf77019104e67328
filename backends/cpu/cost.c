/* SPDX-License-Identifier: Apache-2.0 */
/* What the cost model is told about the host: peaks, measured once per process, and how far from them the
 * reference kernels are. */
#include "backends/cpu/cpu.h"

#include <math.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
/* The best of many short rounds counts: on a busy machine some of them still have all cores to themselves. */
#define LARGE_ROUNDS 5
#define SMALL_ROUNDS 40
#define LAUNCHES 10 /* in a round */

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static size_t cache_size(int level, size_t otherwise)
{
  long n = -1;
#if defined _SC_LEVEL2_CACHE_SIZE && defined _SC_LEVEL3_CACHE_SIZE
  n = sysconf(level == 2 ? _SC_LEVEL2_CACHE_SIZE : _SC_LEVEL3_CACHE_SIZE);
#endif
  return n > 0 ? (size_t)n : otherwise;
}

/* ---- Bandwidth: a = b + s*c (McCalpin, STREAM), each thread on its own part */

static void triad(float *a, const float *b, const float *c, size_t n)
{
  for (size_t i = 0; i < n; i++)
    a[i] = b[i] + 3 * c[i];
}

/* Bytes per second of `threads` threads on arrays of n floats in all, gone over `repeat` times. */
static double bandwidth(float *base, size_t n, int threads, int repeat, int rounds)
{
  double best = INFINITY;
  size_t part = n / 3 / (size_t)threads / 16 * 16;
  for (int round = -1; round < rounds; round++) { /* the first touches the pages */
    double start = now(), took;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int t = 0; t < threads; t++) {
      float *a = base + 3 * part * (size_t)t;
      if (round < 0)
        memset(a, 0, 3 * part * sizeof *a);
      for (int r = 0; round >= 0 && r < repeat; r++)
        triad(a, a + part, a + 2 * part, part);
    }
    took = now() - start;
    if (round >= 0 && took < best)
      best = took;
  }
  return 3.0 * (double)part * sizeof(float) * threads * repeat / best;
}

/* ---- f32 multiply-adds: independent chains in registers, in the widest form that this host has */

#define CHAINS 8 /* enough to hide the latency; named, so that they are in registers */
#define STEPS 20000

#define FMA_LOOP(name, type)                                                              \
  static float name(float m)                                                              \
  {                                                                                       \
    const type f = (type){0} + m, one = (type){0} + 1.0f;                                 \
    type a = f, b = f + 1.0f, c = f + 2.0f, d = f + 3.0f, e = -a, g = -b, h = -c, k = -d; \
    for (int i = 0; i < STEPS; i++) {                                                     \
      a = a * f + one, b = b * f + one, c = c * f + one, d = d * f + one;                 \
      e = e * f + one, g = g * f + one, h = h * f + one, k = k * f + one;                 \
    }                                                                                     \
    a += b + c + d + e + g + h + k;                                                       \
    return a[0];                                                                          \
  }

typedef float lanes_4 __attribute__((vector_size(16)));
FMA_LOOP(fma_plain, lanes_4)
#ifdef __x86_64__
typedef float lanes_8 __attribute__((vector_size(32)));
typedef float lanes_16 __attribute__((vector_size(64)));
__attribute__((target("avx2,fma"))) FMA_LOOP(fma_avx2, lanes_8) __attribute__((target("avx512f")))
FMA_LOOP(fma_avx512, lanes_16)
#endif

    struct fma {
  float (*run)(float m);
  int lanes;
};

static struct fma find_fma(void)
{
#ifdef __x86_64__
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f"))
    return (struct fma){fma_avx512, 16};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return (struct fma){fma_avx2, 8};
#endif
  return (struct fma){fma_plain, 4};
}

static double flop_rate(int threads)
{
  struct fma fma = find_fma();
  double best = INFINITY;
  volatile float sink = 0;
  for (int round = 0; round < SMALL_ROUNDS; round++) {
    double start = now(), took;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int t = 0; t < threads; t++) {
      float sum = 0;
      for (int r = 0; r < 4; r++)
        sum += fma.run(0.5f + sum * 0);
#pragma omp critical
      sink += sum;
    }
    took = now() - start;
    if (took < best)
      best = took;
  }
  return 2.0 * fma.lanes * CHAINS * STEPS * 4 * threads / best;
}

/* What starting work on all threads costs. */
static double launch_time(int threads)
{
  volatile int sink = 0;
  double best = INFINITY;
  for (int round = 0; round < SMALL_ROUNDS; round++) {
    double start = now(), took;
    for (int i = 0; i < LAUNCHES; i++) {
#pragma omp parallel for num_threads(threads) schedule(static, 1)
      for (int t = 0; t < threads; t++)
        if (t == 0)
          sink = i;
    }
    took = now() - start;
    if (took < best)
      best = took;
  }
  (void)sink;
  return best / LAUNCHES;
}

static gie_status measure(struct gie_context *ctx, int threads, struct gie_peaks *out)
{
  size_t l2 = cache_size(2, 512 << 10), l3 = cache_size(3, 0), share = l3 / (size_t)threads;
  /* Beyond the cache, but not so much that touching it takes long. The third level may be shared with
   * others: a thread counts on 4 MiB of it. */
  size_t large = 2 * l3 < 48 * MIB ? 48 * MIB : 2 * l3 > 128 * MIB ? 128 * MIB : 2 * l3;
  share = share < 4 * MIB ? share : 4 * MIB;
  float *base = gie_alloc_raw(ctx, large, 1);
  if (!base)
    return GIE_E_MEMORY;
  size_t small = l2 / 2 * (size_t)threads;
  small = small < large ? small : large;
  struct gie_peaks p = {.struct_size = sizeof p};
  p.bytes_per_s = bandwidth(base, large / sizeof(float), threads, 1, LARGE_ROUNDS);
  p.cache_bytes_per_s = fmax(p.bytes_per_s,
                             bandwidth(base, small / sizeof(float), threads, 10, SMALL_ROUNDS));
  p.cache_bytes = (double)(l2 + share) * threads;
  p.f32_flop_per_s = flop_rate(threads);
  p.launch_s = launch_time(threads);
  gie_free(ctx, base);
  *out = p;
  return GIE_OK;
}

gie_status cpu_peaks(struct gie_context *ctx, uint32_t units, struct gie_peaks *out)
{
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static struct gie_peaks measured;
  gie_status st = GIE_OK;
  pthread_mutex_lock(&lock);
  if (measured.f32_flop_per_s == 0)
    st = measure(ctx, (int)units, &measured);
  if (st == GIE_OK)
    *out = measured;
  pthread_mutex_unlock(&lock);
  return st;
}

/* ---- The reference kernels: every element goes through a double, every product through a gathered tile */

#define ELEMENT_S 8e-9 /* of one core */
#define PRODUCT_S 0.4e-9

static double product(const struct gie_desc *d, int from)
{
  double n = 1;
  for (int i = from; i < d->rank; i++)
    n *= (double)d->dim[i];
  return n;
}

/* Products, or elements looked at, behind all results. */
static double count_taps(const struct gie_problem *p)
{
  const char *op = p->node->op->name;
  const struct gie_desc *x = &p->in[0];
  double out = product(&p->out[0], 0), taps = 0;
  int64_t kernel[GIE_MAX_SPATIAL];
  if (strcmp(op, "conv") == 0)
    return out * product(&p->in[1], 1);
  if (strcmp(op, "conv_transpose") == 0)
    return product(x, 0) * product(&p->in[1], 1);
  if (strcmp(op, "gemm") == 0)
    return out * (double)x->dim[gie_node_int(p->node, "trans_a") ? 0 : 1];
  if (strcmp(op, "matmul") == 0)
    return out * (double)x->dim[x->rank - 1];
  uint32_t n = gie_node_ints(p->node, "kernel", kernel, GIE_MAX_SPATIAL, 1);
  for (uint32_t i = 0; i < n; i++)
    taps = (i ? taps : out) * (double)kernel[i];
  return taps * ELEMENT_S / PRODUCT_S; /* a pool reads every tap anew */
}

void cpu_estimate(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                  struct gie_cost *out)
{
  double elements = 0, units = p->device && p->device->units > 1 ? p->device->units : 1;
  (void)k, (void)v;
  for (uint32_t i = 0; i < p->n_in; i++)
    elements += p->in[i].dtype == GIE_DTYPE_NONE ? 0 : product(&p->in[i], 0);
  for (uint32_t i = 0; i < p->n_out; i++)
    elements += product(&p->out[i], 0);
  *out = (struct gie_cost){.struct_size = sizeof *out};
  out->seconds = (count_taps(p) * PRODUCT_S + elements * ELEMENT_S) / units;
}
