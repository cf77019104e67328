/* SPDX-License-Identifier: Apache-2.0 */
/* The product of the staged form in f32 as three TF32 products of warpgroups: D[f] = V[f]·U[f] for all points f.
 *
 * V is the transformed input in images of 64 tiles × 32 channels (wg_image_at()), U are weights in images (forms.h), already
 * split in two TF32 numbers; D is [tile][k] (channels last) or [k][tile].
 *
 * A block of two warpgroups makes BM tiles × BN output channels, each warpgroup half of the tiles. Slices of 32 channels
 * come through STAGES buffers; the last warp that leaves one has it filled again. V is read from there into registers and
 * split; U is read by the tensor cores where it lies. A product of 64×64 over one slice (12 instructions) has sums of its own, which FADD adds to those in
 * registers: the tensor cores cut off, so long sums would come out too small. While one warpgroup adds, the other
 * multiplies; they meet nowhere but in the buffers.
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

template <int BM, int BN, int STAGES> struct wg_group_tile {
  static constexpr int threads = 256, BK = 32, IMAGE = 64 * BK;
  static constexpr int MT = BM / 128, NT = BN / 64; /* products of 64×64 of a warpgroup */
  static constexpr int A_SIZE = BM * BK, B_SIZE = NT * 2 * IMAGE;
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
template <bool LAST>
__device__ __forceinline__ void wg_group_split(const float *image, uint32_t (&big)[4][4],
                                               uint32_t (&small)[4][4])
{
  const int lane = threadIdx.x % 32, row = threadIdx.x / 32 % 4 * 16, g = lane / 4, t = lane % 4;
#pragma unroll
  for (int k = 0; k < 4; k++) {
    uint32_t a[4];
    if (LAST)
      wg_ldmatrix4(a, image + wg_image_at<true>(row + lane % 16, k * 8 + lane / 16 * 4));
    else
#pragma unroll
      for (int j = 0; j < 4; j++)
        a[j] = __float_as_uint(image[wg_image_at<false>(row + g + j % 2 * 8, k * 8 + t + j / 2 * 4)]);
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

/* Slices on their way into buffers: one thread's work. */
template <class TILE> struct wg_group_source {
  const float *a, *b; /* of the first slice */
  int tiles, blocks;  /* images of a slice, along tiles and along output channels */
  int all;            /* slices of a row of images */
  float *sa, *sb;
  uint64_t *full;

  __device__ __forceinline__ void weights(int s, int to) const
  {
    wg_barrier_expect(&full[to], (blocks * 2 + tiles) * TILE::IMAGE * 4);
#pragma unroll 1
    for (int n = 0; n < blocks; n++)
      wg_copy_bulk(sb + to * TILE::B_SIZE + n * 2 * TILE::IMAGE, b + ((int64_t)n * all + s) * 2 * TILE::IMAGE,
                   2 * TILE::IMAGE * 4, &full[to]);
  }
  __device__ __forceinline__ void input(int s, int to) const
  {
#pragma unroll 1
    for (int m = 0; m < tiles; m++)
      wg_copy_bulk(sa + to * TILE::A_SIZE + m * TILE::IMAGE, a + ((int64_t)m * all + s) * TILE::IMAGE,
                   TILE::IMAGE * 4, &full[to]);
  }
};

/* p.a is V, p.b U; p.m tiles, p.n output channels whichever order. Grid: output channels, tiles, points and splits. */
template <bool LAST, int BM, int BN, int STAGES, int PER_SM>
__global__ void __launch_bounds__(WG_HAS_GROUPS ? 256 : 32, WG_HAS_GROUPS ? PER_SM : 1)
    wg_group_kernel(const __grid_constant__ wg_gemm p)
{
  using TILE = wg_group_tile<BM, BN, STAGES>;
  constexpr int BK = TILE::BK, MT = TILE::MT, NT = TILE::NT, IMAGE = TILE::IMAGE;
  extern __shared__ __align__(128) unsigned char shared[];
  __shared__ uint64_t full[STAGES];
  __shared__ int left[STAGES]; /* warps that have left a buffer, over all slices */
  float *memory = reinterpret_cast<float *>(shared + (1024 - wg_shared(shared) % 1024) % 1024);
  const int k_block = (int)blockIdx.x * NT, m0 = (int)blockIdx.y * BM;
  const int f = (int)blockIdx.z / p.splits, split = (int)blockIdx.z % p.splits;
  const int k_begin = split * p.k_split, k_end = min(p.k, k_begin + p.k_split);
  const int slices = max(0, (k_end - k_begin + BK - 1) / BK), group = (int)threadIdx.x / 128;
  float *sb = memory, *sa = memory + STAGES * TILE::B_SIZE;
  const int all = (p.k + BK - 1) / BK;
  const wg_group_source<TILE> source = {static_cast<const float *>(p.a) + f * p.step_a +
                                            ((int64_t)(m0 / 64) * all + k_begin / BK) * IMAGE,
                                        static_cast<const float *>(p.b) + f * p.step_b +
                                            ((int64_t)k_block * all + k_begin / BK) * 2 * IMAGE,
                                        min(BM / 64, (p.m - m0 + 63) / 64),
                                        min(NT, (p.n + 63) / 64 - k_block),
                                        all,
                                        sa,
                                        sb,
                                        full};
  wg_let_next_start();
  if (threadIdx.x == 0) {
    for (int s = 0; s < STAGES; s++) {
      wg_barrier_make(&full[s], 1);
      left[s] = 0;
    }
    wg_barrier_made();
    for (int s = 0; s < min(slices, STAGES); s++) /* the weights do not depend on the kernel in front */
      source.weights(s, s);
    wg_wait_for_previous();
    for (int s = 0; s < min(slices, STAGES); s++)
      source.input(s, s);
  }
  __syncthreads();
  float acc[MT][NT][32];
#pragma unroll
  for (int i = 0; i < MT * NT * 32; i++)
    acc[i / 32 / NT][i / 32 % NT][i % 32] = 0;
  int read = 0, phase = 0;
  for (int s = 0; s < slices; s++) {
    const float *tb = sb + read * TILE::B_SIZE, *ta = sa + read * TILE::A_SIZE + group * MT * IMAGE;
    wg_barrier_wait(&full[read], phase);
#pragma unroll
    for (int m = 0; m < MT; m++) {
      uint32_t big[4][4], small[4][4];
      wg_group_split<LAST>(ta + m * IMAGE, big, small);
#pragma unroll
      for (int n = 0; n < NT; n++) {
        const uint64_t image = wg_group_image(tb + n * 2 * IMAGE),
                       rest = wg_group_image(tb + (n * 2 + 1) * IMAGE);
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
    __syncwarp();
    if (threadIdx.x % 32 == 0) {
      __threadfence_block();
      if (atomicAdd(&left[read], 1) % 8 == 7 && s + STAGES < slices) {
        __threadfence_block();
        source.weights(s + STAGES, read);
        source.input(s + STAGES, read);
      }
    }
    __syncwarp();
    read = read + 1 == STAGES ? 0 : read + 1;
    phase ^= read == 0;
  }
  wg_wait_for_previous(); /* whose readers of D may be at work where there were no slices */
  float *out = p.d + split * p.step_split + f * p.step_d;
#pragma unroll
  for (int m = 0; m < MT; m++)
#pragma unroll
    for (int n = 0; n < NT; n++)
      wg_group_store<LAST>(p, out, m0 + (group * MT + m) * 64, (k_block + n) * 64, acc[m][n]);
#if !WG_HAS_GROUPS
  __trap(); /* its launch is refused on devices that have the instructions and not this code */
#endif
}

#endif
