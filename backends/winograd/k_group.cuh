/* SPDX-License-Identifier: Apache-2.0 */
/* The product of the staged form in f32 as three TF32 products of warpgroups: D[f] = V[f]·U[f] for all points f.
 *
 * V is the transformed input, [tile][c] (channels last) or [c][tile]; U are weights in images (forms.h), already
 * split in two TF32 numbers; D is [tile][k] or [k][tile].
 *
 * A block of two warpgroups makes BM tiles × BN output channels, each warpgroup half of the tiles. Slices of 32 channels
 * go through STAGES buffers. V is read from there into registers and split; U is read by the tensor cores where it lies.
 * A product of 64×64 over one slice (12 instructions) has sums of its own, which FADD adds to those in registers: the
 * tensor cores cut off, so long sums would come out too small. While one warpgroup adds, the other multiplies.
 *
 * Roofline: 2·n²·C·K·tiles operations at a third of TF32. A slice of 128×128 takes 1536 cycles of the tensor cores and
 * 48 KiB of the cache. */
#ifndef GIE_WINOGRAD_K_GROUP_CUH
#define GIE_WINOGRAD_K_GROUP_CUH

#include "backends/winograd/k_gemm.cuh"

#if defined __CUDA_ARCH_FEAT_SM90_ALL || !defined __CUDA_ARCH__
#define WG_HAS_GROUPS 1
#else
#define WG_HAS_GROUPS 0
#endif

template <bool LAST, int BM, int BN, int STAGES_> struct wg_group_tile {
  using T = float;
  static constexpr int threads = 256, BK = 32, STAGES = STAGES_, V = 4;
  static constexpr int MT = BM / 128, NT = BN / 64; /* products of 64×64 of a warpgroup */
  static constexpr int LDA = LAST ? BK + 4 : BM + 8, A_SIZE = LAST ? BM * LDA : BK * LDA;
  static constexpr int IMAGE = 64 * BK, B_SIZE = NT * 2 * IMAGE;
  static constexpr int shared = STAGES * (A_SIZE + B_SIZE) * 4 + 1024; /* images lie on 1 KiB */
};

/* ---- Instructions */

__device__ __forceinline__ void wg_group_begin()
{
#if WG_HAS_GROUPS
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}
__device__ __forceinline__ void wg_group_end()
{
#if WG_HAS_GROUPS
  asm volatile("wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;" ::: "memory");
#endif
}

/* An image of 64 rows of 128 bytes: rows in groups of eight, 1 KiB apart, 16-byte units swizzled over 128 bytes. */
__device__ __forceinline__ uint64_t wg_group_image(const float *image)
{
  return (uint64_t)(wg_shared(image) >> 4) | (uint64_t)1 << 16 | (uint64_t)64 << 32 | (uint64_t)1 << 62;
}

/* d = a·b, or d += a·b: 64×64 over 8 channels. */
__device__ __forceinline__ void wg_group_mma(float (&d)[32], const uint32_t (&a)[4], uint64_t b, int add)
{
#if WG_HAS_GROUPS && defined __CUDA_ARCH__
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %37, 0;\n"
               "wgmma.mma_async.sync.aligned.m64n64k8.f32.tf32.tf32 "
               "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
               "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, "
               "{%32,%33,%34,%35}, %36, p, 1, 1;\n}"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]),
                 "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]),
                 "+f"(d[14]), "+f"(d[15]), "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]),
                 "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]),
                 "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add));
#endif
}

/* ---- Parts of the kernel */

/* 64 tiles of a slice, split: what a thread holds of each 8 channels. */
template <class TILE, bool LAST>
__device__ __forceinline__ void wg_group_split(const float *sa, uint32_t (&big)[4][4],
                                               uint32_t (&small)[4][4])
{
  const int lane = threadIdx.x % 32, row = threadIdx.x / 32 % 4 * 16, g = lane / 4, t = lane % 4;
#pragma unroll
  for (int k = 0; k < 4; k++) {
    uint32_t a[4];
    if (LAST)
      wg_ldmatrix4(a, sa + (row + lane % 16) * TILE::LDA + k * 8 + lane / 16 * 4);
    else
#pragma unroll
      for (int j = 0; j < 4; j++)
        a[j] = __float_as_uint(sa[(k * 8 + t + j / 2 * 4) * TILE::LDA + row + g + j % 2 * 8]);
#pragma unroll
    for (int j = 0; j < 4; j++)
      wg_split(__uint_as_float(a[j]), big[k][j], small[k][j]);
  }
}

template <bool LAST>
__device__ __forceinline__ void wg_group_store(const wg_gemm &p, float *out, int tile0, int k0,
                                               const float (&acc)[32])
{
  const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4, tile = tile0 + threadIdx.x / 32 % 4 * 16 + g;
#pragma unroll
  for (int n = 0; n < 8; n++)
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const int row = tile + h * 8, k = k0 + n * 8 + t * 2, at = n * 4 + h * 2;
      if (LAST) {
        if (row < p.m && k < p.ldd)
          *reinterpret_cast<float2 *>(out + (int64_t)row * p.ldd + k) = make_float2(acc[at], acc[at + 1]);
      } else {
        if (row < p.ldd && k < p.n)
          out[(int64_t)k * p.ldd + row] = acc[at];
        if (row < p.ldd && k + 1 < p.n)
          out[(int64_t)(k + 1) * p.ldd + row] = acc[at + 1];
      }
    }
}

/* p.a is V, p.b U; p.m tiles, p.n output channels whichever order. Grid: output channels, tiles, points and splits. */
template <bool LAST, int BM, int BN, int STAGES, int PER_SM>
__global__ void __launch_bounds__(WG_HAS_GROUPS ? 256 : 32, WG_HAS_GROUPS ? PER_SM : 1)
    wg_group_kernel(const __grid_constant__ wg_gemm p)
{
  using TILE = wg_group_tile<LAST, BM, BN, STAGES>;
  constexpr int BK = TILE::BK, MT = TILE::MT, NT = TILE::NT;
  extern __shared__ __align__(128) unsigned char shared[];
  __shared__ uint64_t full[STAGES];
  float *sb = reinterpret_cast<float *>(shared + (1024 - wg_shared(shared) % 1024) % 1024),
        *sa = sb + STAGES * TILE::B_SIZE;
  const int k_block = (int)blockIdx.x * NT, m0 = (int)blockIdx.y * BM;
  const int f = (int)blockIdx.z / p.splits, split = (int)blockIdx.z % p.splits;
  const int k_begin = split * p.k_split, k_end = min(p.k, k_begin + p.k_split);
  const int slices = max(0, (k_end - k_begin + BK - 1) / BK), all = (p.k + BK - 1) / BK;
  const int blocks = min(NT, (p.n + 63) / 64 - k_block), group = threadIdx.x / 128;
  const float *a = static_cast<const float *>(p.a) + f * p.step_a;
  const float *b = static_cast<const float *>(p.b) + f * p.step_b +
                   ((int64_t)k_block * all + k_begin / BK) * 2 * TILE::IMAGE;
  float acc[MT][NT][32];
#pragma unroll
  for (int i = 0; i < MT * NT * 32; i++)
    acc[i / 32 / NT][i / 32 % NT][i % 32] = 0;
  wg_let_next_start();
  auto fetch_weights = [&](int s, int to) { /* one thread's */
                                            wg_barrier_expect(&full[to], blocks * 2 * TILE::IMAGE * 4);
                                            for (int n = 0; n < blocks; n++)
                                              wg_copy_bulk(sb + to * TILE::B_SIZE + n * 2 * TILE::IMAGE,
                                                           b + ((int64_t)n * all + s) * 2 * TILE::IMAGE,
                                                           2 * TILE::IMAGE * 4, &full[to]);
  };
  auto fetch_input = [&](int s, int to) {
    if (s < slices) {
      if (LAST)
        wg_fetch_a<TILE, true, BM, BK>(p, a, sa + to * TILE::A_SIZE, m0, k_begin + s * BK, k_end);
      else
        wg_fetch_a<TILE, false, BM, BK>(p, a, sa + to * TILE::A_SIZE, m0, k_begin + s * BK, k_end);
    }
    wg_copy_commit();
  };
  if (threadIdx.x == 0) {
    for (int s = 0; s < STAGES; s++)
      wg_barrier_make(&full[s], 1);
    wg_barrier_made();
    for (int s = 0; s < min(slices, STAGES - 1); s++)
      fetch_weights(s, s);
  }
  wg_wait_for_previous();
  for (int s = 0; s < STAGES - 1; s++)
    fetch_input(s, s);
  int read = 0, write = STAGES - 1, phase = 0;
  for (int s = 0; s < slices; s++) {
    wg_copy_wait<STAGES - 2>();
    __syncthreads();
    if (threadIdx.x == 0 && s + STAGES - 1 < slices)
      fetch_weights(s + STAGES - 1, write);
    fetch_input(s + STAGES - 1, write);
    wg_barrier_wait(&full[read], phase);
    const float *ta = sa + read * TILE::A_SIZE, *tb = sb + read * TILE::B_SIZE;
#pragma unroll
    for (int m = 0; m < MT; m++) {
      const int row = (group * MT + m) * 64;
      uint32_t big[4][4], small[4][4];
      wg_group_split<TILE, LAST>(ta + (LAST ? row * TILE::LDA : row), big, small);
#pragma unroll
      for (int n = 0; n < NT; n++) {
        const uint64_t image = wg_group_image(tb + n * 2 * TILE::IMAGE),
                       rest = wg_group_image(tb + (n * 2 + 1) * TILE::IMAGE);
        float own[32];
#pragma unroll
        for (int i = 0; i < 32; i++)
          own[i] = 0;
        wg_group_begin();
#pragma unroll
        for (int k = 0; k < 4; k++) { /* 8 channels are 32 bytes, two units of a descriptor */
          wg_group_mma(own, small[k], image + 2 * k, k > 0);
          wg_group_mma(own, big[k], rest + 2 * k, 1);
          wg_group_mma(own, big[k], image + 2 * k, 1);
        }
        wg_group_end();
#pragma unroll
        for (int i = 0; i < 32; i++)
          acc[m][n][i] += own[i];
      }
    }
    read = read + 1 == STAGES ? 0 : read + 1;
    write = write + 1 == STAGES ? 0 : write + 1;
    phase ^= read == 0;
  }
  float *out = p.d + split * p.step_split + f * p.step_d;
#pragma unroll
  for (int m = 0; m < MT; m++)
#pragma unroll
    for (int n = 0; n < NT; n++)
      wg_group_store<LAST>(p, out, m0 + (group * MT + m) * 64, (k_block + n) * 64, acc[m][n]);
#if !WG_HAS_GROUPS
  __trap(); /* wg_check_device() keeps it from being launched */
#endif
}

#endif
