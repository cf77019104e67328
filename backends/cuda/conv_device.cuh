/* SPDX-License-Identifier: Apache-2.0 */
/* The tiled convolution on the device: instructions, element types, and the shape of a tile. */
#ifndef GIE_BACKENDS_CUDA_CONV_DEVICE_CUH
#define GIE_BACKENDS_CUDA_CONV_DEVICE_CUH

#include "backends/cuda/conv_tile.h"

#include <cuda_fp16.h>
#include <limits.h>

/* ---- Instructions ------------------------------------------------------------------------------- */

#define CONV_DEVICE static __device__ __forceinline__

CONV_DEVICE uint32_t conv_smem(const void *p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }

CONV_DEVICE int conv_divide(int n, const conv_div &d)
{
  return d.by == 1 ? n : static_cast<int>(__umulhi(static_cast<uint32_t>(n), d.mul) >> d.shift);
}

/* Copies `bytes` (0 … 16) and fills up with zeros. */
CONV_DEVICE void conv_copy16(uint32_t to, const void *from, int bytes)
{
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}

CONV_DEVICE void conv_copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

template <int PENDING> CONV_DEVICE void conv_copy_wait()
{
  asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

CONV_DEVICE void conv_matrices(uint32_t (&r)[4], uint32_t at)
{
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(at)
               : "memory");
}

CONV_DEVICE void conv_mma_f16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

CONV_DEVICE void conv_mma_tf32(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* x rounded to TF32. */
CONV_DEVICE uint32_t conv_tf32(float x)
{
  uint32_t r;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(x));
  return r;
}

/* The same with integer operations, which the instruction's own unit is slower than; a NaN ends up in `low`. What
 * that has beyond TF32 the tensor cores ignore. */
CONV_DEVICE void conv_tf32_parts(uint32_t bits, uint32_t &high, uint32_t &low)
{
  high = (bits + 0x1000) & 0xffffe000;
  low = __float_as_uint(__uint_as_float(bits) - __uint_as_float(high));
}

/* All blocks of the cluster, with what they wrote to shared memory. */
CONV_DEVICE void conv_cluster_wait()
{
#if __CUDA_ARCH__ >= 900
  __syncwarp();
  asm volatile("barrier.cluster.arrive.release.aligned;\n\tbarrier.cluster.wait.acquire.aligned;" ::
                   : "memory");
#endif
}

/* Four numbers at the same place of the shared memory of another block of the cluster. */
CONV_DEVICE float4 conv_cluster_read(uint32_t at, int rank)
{
  float4 v = make_float4(0, 0, 0, 0);
#if __CUDA_ARCH__ >= 900
  uint32_t there;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(at), "r"(rank));
  asm volatile("ld.shared::cluster.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
               : "r"(there)
               : "memory");
#endif
  return v;
}

/* Programmatic dependent launch: a kernel may start while the one before it ends, and waits here before it
 * touches what that one writes or reads. Without it both do nothing. */
CONV_DEVICE void conv_wait_for_previous()
{
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

CONV_DEVICE void conv_let_next_start()
{
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/* ---- Elements ------------------------------------------------------------------------------------- */

template <conv_kind KIND> struct conv_element {
  using type = float;
};
template <> struct conv_element<CONV_F16> {
  using type = __half;
};

CONV_DEVICE float conv_to_float(float x) { return x; }
CONV_DEVICE float conv_to_float(__half x) { return __half2float(x); }
CONV_DEVICE void conv_store(float *to, float x) { *to = x; }
CONV_DEVICE void conv_store(__half *to, float x) { *to = __float2half_rn(x); }

CONV_DEVICE void conv_store_vector(float *to, const float (&r)[4])
{
  *reinterpret_cast<float4 *>(to) = make_float4(r[0], r[1], r[2], r[3]);
}
CONV_DEVICE void conv_store_vector(__half *to, const float (&r)[8])
{
  __half2 h[4];
#pragma unroll
  for (int i = 0; i < 4; i++)
    h[i] = __floats2half2_rn(r[2 * i], r[2 * i + 1]);
  *reinterpret_cast<uint4 *>(to) = *reinterpret_cast<uint4 *>(h);
}

/* ---- The tile --------------------------------------------------------------------------------------- */

template <conv_kind KIND_, conv_loader LOADER_, int M_, int N_, int WM_, int WN_, int SLICES_, int STAGES_,
          int BOX_ = 8>
struct conv_shape {
  using T = typename conv_element<KIND_>::type;
  static constexpr conv_kind KIND = KIND_;
  static constexpr conv_loader LOADER = LOADER_;
  static constexpr int M = M_, N = N_, WM = WM_, WN = WN_, SLICES = SLICES_, STAGES = STAGES_;
  static constexpr int BOX = BOX_; /* chunks of a row of A that lie together: 8, or 4 or 2 of a narrow box */
  static constexpr int THREADS = 32 * WM * WN * SLICES;
  static constexpr int TM = M / WM, TN = N / WN;             /* of a warp */
  static constexpr int V = 16 / static_cast<int>(sizeof(T)); /* elements of a chunk */
  static constexpr int STAGE = (M + N) * 128;
  static constexpr int LD = N + 8; /* floats of a row of sums */
  static constexpr int PIPE_BYTES = STAGES * STAGE, SUM_BYTES = SLICES * M * LD * 4;
  static constexpr int SHARED = PIPE_BYTES > SUM_BYTES ? PIPE_BYTES : SUM_BYTES;
  static constexpr int EXTRA = LOADER == CONV_TMA ? 1024 + 16 * STAGES
                                                  : 0; /* to begin at a multiple of 1024; barriers */
  static constexpr int SUBS = 4 / SLICES;              /* pairs of chunks of a step that a slice multiplies */
  static_assert(M % (8 * WM) == 0 && N % (8 * WN) == 0 && 4 % SLICES == 0 && STAGES >= 2, "tile");
  static_assert(KIND == CONV_F32 || (TM % 16 == 0 && TN % 16 == 0), "warp tile");
};

#endif
