/* SPDX-License-Identifier: Apache-2.0 */
/* What the device code of all Winograd kernels shares: geometry, copies that do not wait, tensor-core
 * instructions. */
#ifndef GIE_WINOGRAD_K_COMMON_CUH
#define GIE_WINOGRAD_K_COMMON_CUH

#include "backends/winograd/transforms.h"
#include "backends/winograd/winograd.h"
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <gie/cuda_steps.h>
#include <stdint.h>

/* ---- Division by a number that the host knows: n < 2^31, d ≥ 1 (Granlund and Montgomery, 1994) */

struct wg_divider {
  uint32_t d, factor, shift;
};

static inline wg_divider wg_divider_of(int64_t d)
{
  wg_divider r = {(uint32_t)d, 0, 0};
  while ((1ull << r.shift) < (uint64_t)d)
    r.shift++;
  r.factor = (uint32_t)((((1ull << r.shift) - (uint64_t)d) << 32) / (uint64_t)d + 1);
  return r;
}

__device__ __forceinline__ uint32_t wg_div(uint32_t n, const wg_divider &d, uint32_t *rest)
{
  uint32_t q = (__umulhi(n, d.factor) + n) >> d.shift;
  *rest = n - q * d.d;
  return q;
}

/* ---- Geometry: every result belongs to one tile of m×m; tiles are counted by column, row, image */

struct wg_geometry {
  int n, c, h, w, k, oh, ow, pad_h, pad_w;
  wg_divider tiles_x, tiles;  /* of a row, of an image */
  int first, count;           /* tiles of this launch */
  int64_t x_n, x_c, y_n, y_c; /* strides; channels last: those of a column, rows are w (ow) columns */
  int x_h, x_w, y_h, y_w;
};

struct wg_tile {
  int n, y, x; /* image, first result */
};

template <int M> __device__ __forceinline__ wg_tile wg_tile_of(const wg_geometry &g, uint32_t tile)
{
  uint32_t rest, column;
  wg_tile t;
  t.n = (int)wg_div(tile, g.tiles, &rest);
  t.y = (int)wg_div(rest, g.tiles_x, &column) * M;
  t.x = (int)column * M;
  return t;
}

/* ---- The forms as types */

#define WG_FORM(name, m_, r_, points)                                                 \
  struct wg_##name {                                                                  \
    static constexpr int m = m_, r = r_, n = m_ + r_ - 1;                             \
    static __device__ __forceinline__ void input(const float (&d)[n], float (&v)[n])  \
    {                                                                                 \
      wg_##name##_input(d, v);                                                        \
    }                                                                                 \
    static __device__ __forceinline__ void output(const float (&v)[n], float (&y)[m]) \
    {                                                                                 \
      wg_##name##_output(v, y);                                                       \
    }                                                                                 \
  };
#include "backends/winograd/points.def"
#undef WG_FORM

/* d = Bᵀ d B in place: columns, then rows. */
template <class F> __device__ __forceinline__ void wg_input_2d(float (&d)[F::n][F::n])
{
#pragma unroll
  for (int j = 0; j < F::n; j++) {
    float a[F::n], b[F::n];
#pragma unroll
    for (int i = 0; i < F::n; i++)
      a[i] = d[i][j];
    F::input(a, b);
#pragma unroll
    for (int i = 0; i < F::n; i++)
      d[i][j] = b[i];
  }
#pragma unroll
  for (int i = 0; i < F::n; i++) {
    float b[F::n];
    F::input(d[i], b);
#pragma unroll
    for (int j = 0; j < F::n; j++)
      d[i][j] = b[j];
  }
}

/* y = Aᵀ v A. */
template <class F>
__device__ __forceinline__ void wg_output_2d(const float (&v)[F::n][F::n], float (&y)[F::m][F::m])
{
  float half[F::m][F::n];
#pragma unroll
  for (int j = 0; j < F::n; j++) {
    float a[F::n], b[F::m];
#pragma unroll
    for (int i = 0; i < F::n; i++)
      a[i] = v[i][j];
    F::output(a, b);
#pragma unroll
    for (int i = 0; i < F::m; i++)
      half[i][j] = b[i];
  }
#pragma unroll
  for (int i = 0; i < F::m; i++)
    F::output(half[i], y[i]);
}

/* ---- Loads and stores of f32 and f16. Not as constants: a kernel may have started before what it reads was written. */

__device__ __forceinline__ float wg_load(const float *p) { return *p; }
__device__ __forceinline__ float wg_load(const __half *p) { return __half2float(*p); }
__device__ __forceinline__ void wg_store(float *p, float v) { *p = v; }
__device__ __forceinline__ void wg_store(__half *p, float v) { *p = __float2half_rn(v); }

/* Two or four at once, as one instruction: an assignment of a float4 may become four, the intrinsics' stores are stronger
 * than these need to be. */
__device__ __forceinline__ void wg_store_together(float *to, float a, float b)
{
  asm volatile("st.global.v2.f32 [%0], {%1, %2};" ::"l"(to), "f"(a), "f"(b) : "memory");
}
__device__ __forceinline__ void wg_store_together(float *to, float a, float b, float c, float d)
{
  asm volatile("st.global.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(to), "f"(a), "f"(b), "f"(c), "f"(d)
               : "memory");
}
__device__ __forceinline__ uint32_t wg_half_pair(float a, float b)
{
  const __half2 h = __floats2half2_rn(a, b);
  return *reinterpret_cast<const uint32_t *>(&h);
}
__device__ __forceinline__ void wg_store_together(__half *to, float a, float b)
{
  asm volatile("st.global.b32 [%0], %1;" ::"l"(to), "r"(wg_half_pair(a, b)) : "memory");
}
__device__ __forceinline__ void wg_store_together(__half *to, float a, float b, float c, float d)
{
  asm volatile("st.global.v2.b32 [%0], {%1, %2};" ::"l"(to), "r"(wg_half_pair(a, b)), "r"(wg_half_pair(c, d))
               : "memory");
}

/* min(max(v, low), high) in two instructions; NaN stays. */
__device__ __forceinline__ float wg_bound(float v, float low, float high)
{
#if __CUDA_ARCH__ >= 800
  asm("max.NaN.f32 %0, %0, %1;\nmin.NaN.f32 %0, %0, %2;" : "+f"(v) : "f"(low), "f"(high));
#else
  v = gie_cuda_clip(v, low, high);
#endif
  return v;
}

/* ---- Copies to shared memory that do not wait; bytes behind `valid` become zero. What older devices do not have is
 * left out of their code, and wg_check_device() keeps it from being launched there. */

__device__ __forceinline__ void wg_copy16(void *to, const void *from, int valid)
{
#if __CUDA_ARCH__ >= 800
  uint32_t s = (uint32_t)__cvta_generic_to_shared(to);
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(s), "l"(from), "r"(valid) : "memory");
#endif
}
__device__ __forceinline__ void wg_copy_commit()
{
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
template <int N> __device__ __forceinline__ void wg_copy_wait()
{
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#endif
}

/* ---- Whole copies, which a barrier in shared memory counts: compute capability 9 */

__device__ __forceinline__ uint32_t wg_shared(const void *p) { return (uint32_t)__cvta_generic_to_shared(p); }
__device__ __forceinline__ void wg_barrier_make(uint64_t *barrier, int arrivals)
{
#if __CUDA_ARCH__ >= 900
  asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(wg_shared(barrier)), "r"(arrivals) : "memory");
#endif
}
/* Makes barriers visible to the copies; other threads need a block's barrier. */
__device__ __forceinline__ void wg_barrier_made()
{
#if __CUDA_ARCH__ >= 900
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
}
__device__ __forceinline__ void wg_barrier_wait(uint64_t *barrier, int phase)
{
#if __CUDA_ARCH__ >= 900
  asm volatile("{\n.reg .pred done;\nagain:\n"
               "mbarrier.try_wait.parity.shared.b64 done, [%0], %1;\n"
               "@!done bra again;\n}" ::"r"(wg_shared(barrier)),
               "r"(phase)
               : "memory");
#endif
}
/* True for one lane of a whole warp. */
__device__ __forceinline__ bool wg_elected()
{
  uint32_t is = 0;
#if __CUDA_ARCH__ >= 900
  asm volatile("{\n.reg .pred p;\nelect.sync _|p, 0xffffffff;\nselp.u32 %0, 1, 0, p;\n}" : "=r"(is));
#endif
  return is != 0;
}
/* One thread's: the barrier's phase ends when so many bytes have come, by copies that name it (multiples of 16). */
__device__ __forceinline__ void wg_barrier_expect(uint64_t *barrier, int bytes)
{
#if __CUDA_ARCH__ >= 900
  asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" ::"r"(wg_shared(barrier)), "r"(bytes)
               : "memory");
#endif
}
__device__ __forceinline__ void wg_barrier_arrive(uint64_t *barrier)
{
#if __CUDA_ARCH__ >= 900
  asm volatile("mbarrier.arrive.shared.b64 _, [%0];" ::"r"(wg_shared(barrier)) : "memory");
#endif
}
__device__ __forceinline__ void wg_copy_bulk(void *to, const void *from, int bytes, uint64_t *barrier)
{
#if __CUDA_ARCH__ >= 900
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
          wg_shared(to)),
      "l"(from), "r"(bytes), "r"(wg_shared(barrier))
      : "memory");
#endif
}

/* Before a block's barrier, behind which copies may come to where threads have stored. */
__device__ __forceinline__ void wg_fence_async()
{
#if __CUDA_ARCH__ >= 900
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

/* ---- Chains of launches: a kernel may start before the one in front has ended, and waits here for its results */

__device__ __forceinline__ void wg_wait_for_previous()
{
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
__device__ __forceinline__ void wg_let_next_start()
{
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/* ---- The transformed input for products of warpgroups: images of 64 tiles × 32 channels, ordered so that neither the
 * transform's stores nor the product's reads meet a bank of shared memory twice. */

#define WG_IMAGE (64 * 32)
template <bool LAST> __device__ __forceinline__ int wg_image_at(int tile, int c)
{
  return LAST ? tile * 32 + ((c >> 2 ^ (tile & 7)) << 2) + (c & 3) : c * 64 + (tile ^ (c & 3) << 3);
}

/* ---- Tensor cores */

__device__ __forceinline__ uint32_t wg_tf32(float x)
{
  uint32_t r = 0;
#if __CUDA_ARCH__ >= 800
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(x));
#endif
  return r;
}

/* x = big + small to 2^-22: the tensor cores drop what of `small` is beyond TF32, and that has either sign. */
__device__ __forceinline__ void wg_split(float x, uint32_t &big, uint32_t &small)
{
  big = wg_tf32(x);
  small = __float_as_uint(x - __uint_as_float(big));
}

__device__ __forceinline__ void wg_mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
{
#if __CUDA_ARCH__ >= 800
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
               "{%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

__device__ __forceinline__ void wg_mma_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
{
#if __CUDA_ARCH__ >= 800
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
               "{%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

__device__ __forceinline__ void wg_ldmatrix4(uint32_t (&r)[4], const void *row)
{
  uint32_t s = (uint32_t)__cvta_generic_to_shared(row);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(s)
               : "memory");
}
__device__ __forceinline__ void wg_ldmatrix4_trans(uint32_t (&r)[4], const void *row)
{
  uint32_t s = (uint32_t)__cvta_generic_to_shared(row);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(s)
               : "memory");
}

#endif
