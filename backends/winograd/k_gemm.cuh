/* SPDX-License-Identifier: Apache-2.0 */
/* D[f] = A[f]·B[f] for all points f of a form at once; C channels are summed over.
 *
 * Channels first: A are the weights [c][k], B the transformed input [c][tile], D is [k][tile].
 * Channels last:  A is the transformed input [tile][c], B are the weights [c][k], D is [tile][k].
 *
 * A block makes BM×BN of D; its warps share the tile as rows and columns of WM×WN. Slices of BK channels go through
 * STAGES buffers in shared memory. Blocks along the weights are neighbours, so that a slice of the transformed
 * input is read from memory once. A sum may be split over several blocks, each with its own D.
 *
 * Roofline: 2·n²·C·K·tiles operations at the rate of the unit: FFMA; a third of TF32 (each product is
 * three: small·big + big·small + big·big); F16. */
#ifndef GIE_WINOGRAD_K_GEMM_CUH
#define GIE_WINOGRAD_K_GEMM_CUH

#include "backends/winograd/k_common.cuh"

struct wg_gemm {
  const void *a, *b;
  float *d;
  int m, n, k;
  int lda, ldb, ldd;
  int64_t step_a, step_b, step_d; /* from point to point */
  int splits, k_split;            /* channels of one split, whole slices */
  int64_t step_split;             /* of d */
};

template <enum wg_unit UNIT, bool A_INNER, int BM, int BN, int BK, int WARPS_M, int WARPS_N, int STAGES>
struct wg_gemm_tile {
  using T = typename std::conditional<UNIT == WG_F16MMA, __half, float>::type;
  static constexpr int threads = 32 * WARPS_M * WARPS_N;
  static constexpr int WM = BM / WARPS_M, WN = BN / WARPS_N;
  static constexpr int V = 16 / (int)sizeof(T); /* elements of a copy */
  static constexpr int PAD = UNIT == WG_F16MMA ? 8 : A_INNER ? 4 : 8;
  static constexpr int PAD_B = 8;
  static constexpr int LDA = A_INNER ? BK + PAD : BM + PAD, LDB = BN + PAD_B;
  static constexpr int A_SIZE = A_INNER ? BM * LDA : BK * LDA, B_SIZE = BK * LDB;
  static constexpr int shared = STAGES * (A_SIZE + B_SIZE) * (int)sizeof(T);
  static constexpr int ACC = WM * WN / 32;
};

/* A slice of A (B) on its way to shared memory. */
template <class TILE, bool A_INNER, int BM, int BK>
__device__ __forceinline__ void wg_fetch_a(const wg_gemm &g, const typename TILE::T *a, typename TILE::T *to,
                                           int m0, int k0, int k_end)
{
  using T = typename TILE::T;
  constexpr int V = TILE::V, ROW = (A_INNER ? BK : BM) / V, N = BM * BK / V;
#pragma unroll
  for (int i = 0; i < (N + TILE::threads - 1) / TILE::threads; i++) {
    int at = (int)threadIdx.x + i * TILE::threads, row = at / ROW, col = at % ROW * V, valid;
    const T *from;
    if (N % TILE::threads && at >= N)
      break;
    if (A_INNER) {
      int left = (k_end - k0 - col) * (int)sizeof(T);
      valid = m0 + row < g.m ? left < 0 ? 0 : left < 16 ? left : 16 : 0;
      from = a + (int64_t)(m0 + row) * g.lda + k0 + col;
    } else {
      valid = k0 + row < k_end && m0 + col < g.lda ? 16 : 0;
      from = a + (int64_t)(k0 + row) * g.lda + m0 + col;
    }
    wg_copy16(to + row * TILE::LDA + col, valid ? from : a, valid);
  }
}

template <class TILE, int BN, int BK>
__device__ __forceinline__ void wg_fetch_b(const wg_gemm &g, const typename TILE::T *b, typename TILE::T *to,
                                           int n0, int k0, int k_end)
{
  constexpr int V = TILE::V, ROW = BN / V, N = BN * BK / V;
#pragma unroll
  for (int i = 0; i < (N + TILE::threads - 1) / TILE::threads; i++) {
    int at = (int)threadIdx.x + i * TILE::threads, row = at / ROW, col = at % ROW * V;
    if (N % TILE::threads && at >= N)
      break;
    int valid = k0 + row < k_end && n0 + col < g.ldb ? 16 : 0;
    wg_copy16(to + row * TILE::LDB + col, valid ? b + (int64_t)(k0 + row) * g.ldb + n0 + col : b, valid);
  }
}

/* ---- Products of a slice. Threads of a warp as 8×4: row `g`, column `t`. */

/* Of FFMA: so that lanes 1 and 2 apart have an address in common, whichever of A and B they read; halves of a warp then
 * read 16 bytes a lane in one pass instead of two. */
__device__ __forceinline__ void wg_ffma_lane(int &g, int &t)
{
  const int lane = threadIdx.x % 32;
  t = (lane & 1) | (lane >> 1 & 2);
  g = (lane >> 1 & 1) | (lane >> 2 & 6);
}

/* The tensor cores add by cutting off, which would make a long sum too small: each slice has sums of its own. */
template <class TILE, bool A_INNER, int BK, bool OWN_SUMS>
__device__ __forceinline__ void wg_slice_tf32x3(const float *sa, const float *sb, float (&acc)[TILE::ACC])
{
  constexpr int MI = TILE::WM / 16, NI = TILE::WN / 8;
  const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  float own[OWN_SUMS ? TILE::ACC : 1];
#pragma unroll
  for (int i = 0; i < (OWN_SUMS ? TILE::ACC : 1); i++)
    own[i] = 0;
  float(&d)[MI][NI][4] = OWN_SUMS ? reinterpret_cast<float(&)[MI][NI][4]>(own)
                                  : reinterpret_cast<float(&)[MI][NI][4]>(acc);
#pragma unroll
  for (int k = 0; k < BK; k += 8) {
    uint32_t a_big[MI][4], a_small[MI][4];
#pragma unroll
    for (int i = 0; i < MI; i++)
#pragma unroll
      for (int j = 0; j < 4; j++) {
        int row = i * 16 + g + j % 2 * 8, col = k + t + j / 2 * 4;
        wg_split(A_INNER ? sa[row * TILE::LDA + col] : sa[col * TILE::LDA + row], a_big[i][j], a_small[i][j]);
      }
#pragma unroll
    for (int n = 0; n < NI; n++) {
      uint32_t b_big[2], b_small[2];
#pragma unroll
      for (int j = 0; j < 2; j++)
        wg_split(sb[(k + t + 4 * j) * TILE::LDB + n * 8 + g], b_big[j], b_small[j]);
#pragma unroll
      for (int i = 0; i < MI; i++)
        wg_mma_tf32(d[i][n], a_small[i], b_big);
#pragma unroll
      for (int i = 0; i < MI; i++)
        wg_mma_tf32(d[i][n], a_big[i], b_small);
#pragma unroll
      for (int i = 0; i < MI; i++)
        wg_mma_tf32(d[i][n], a_big[i], b_big);
    }
  }
  if (OWN_SUMS)
#pragma unroll
    for (int i = 0; i < TILE::ACC; i++)
      acc[i] += own[OWN_SUMS ? i : 0];
}

template <class TILE, bool A_INNER, int BK>
__device__ __forceinline__ void wg_slice_f16(const __half *sa, const __half *sb, float (&acc)[TILE::ACC])
{
  constexpr int MI = TILE::WM / 16, NI = TILE::WN / 8;
  const int lane = threadIdx.x % 32;
  float(&d)[MI][NI][4] = reinterpret_cast<float(&)[MI][NI][4]>(acc);
#pragma unroll
  for (int k = 0; k < BK; k += 16) {
    uint32_t a[MI][4];
#pragma unroll
    for (int i = 0; i < MI; i++)
      if (A_INNER)
        wg_ldmatrix4(a[i], sa + (i * 16 + lane % 16) * TILE::LDA + k + lane / 16 * 8);
      else
        wg_ldmatrix4_trans(a[i], sa + (k + lane / 16 * 8 + lane % 8) * TILE::LDA + i * 16 + lane / 8 % 2 * 8);
#pragma unroll
    for (int n = 0; n < NI; n += 2) {
      uint32_t b[4];
      wg_ldmatrix4_trans(b, sb + (k + lane % 16) * TILE::LDB + n * 8 + lane / 16 * 8);
#pragma unroll
      for (int i = 0; i < MI; i++) {
        wg_mma_f16(d[i][n], a[i], reinterpret_cast<uint32_t(&)[2]>(b[0]));
        wg_mma_f16(d[i][n + 1], a[i], reinterpret_cast<uint32_t(&)[2]>(b[2]));
      }
    }
  }
}

/* Row i of a thread, so that reads of A meet no bank twice; its columns are t*4 + {0…3} of every 16. */
template <bool A_INNER> __device__ __forceinline__ int wg_ffma_row(int i, int g)
{
  return A_INNER ? i * 8 + g : i / 4 * 32 + g * 4 + i % 4;
}

template <class TILE, bool A_INNER, int BK>
__device__ __forceinline__ void wg_slice_ffma(const float *sa, const float *sb, float (&acc)[TILE::ACC])
{
  constexpr int MI = TILE::WM / 8, NI = TILE::WN / 4;
  int g, t;
  wg_ffma_lane(g, t);
  float(&d)[MI][NI] = reinterpret_cast<float(&)[MI][NI]>(acc);
  constexpr int STEP = A_INNER ? 4 : 1;
#pragma unroll
  for (int k = 0; k < BK; k += STEP) {
    float a[STEP][MI];
#pragma unroll
    for (int i = 0; i < MI; i += A_INNER ? 1 : 4) {
      int row = wg_ffma_row<A_INNER>(i, g);
      float4 v = *reinterpret_cast<const float4 *>(A_INNER ? &sa[row * TILE::LDA + k]
                                                           : &sa[k * TILE::LDA + row]);
      if (A_INNER)
        a[0][i] = v.x, a[1 % STEP][i] = v.y, a[2 % STEP][i] = v.z, a[3 % STEP][i] = v.w;
      else
        a[0][i] = v.x, a[0][i + 1] = v.y, a[0][i + 2] = v.z, a[0][i + 3] = v.w;
    }
#pragma unroll
    for (int s = 0; s < STEP; s++) {
      float b[NI];
#pragma unroll
      for (int j = 0; j < NI; j += 4) {
        float4 v = *reinterpret_cast<const float4 *>(&sb[(k + s) * TILE::LDB + j / 4 * 16 + t * 4]);
        b[j] = v.x, b[j + 1] = v.y, b[j + 2] = v.z, b[j + 3] = v.w;
      }
      /* in this order, neighbours have a factor in common and few find all their operands in one bank of registers */
#pragma unroll
      for (int j = 0; j < NI; j++)
#pragma unroll
        for (int n = 0; n < MI; n++) {
          const int i = j % 2 ? MI - 1 - n : n;
          d[i][j] = fmaf(a[s][i], b[j], d[i][j]);
        }
    }
  }
}

/* ---- Results */

template <class TILE, enum wg_unit UNIT, bool A_INNER>
__device__ __forceinline__ void wg_gemm_store(const wg_gemm &p, float *out, int m0, int n0,
                                              const float (&acc)[TILE::ACC])
{
  if constexpr (UNIT == WG_FFMA) {
    constexpr int MI = TILE::WM / 8, NI = TILE::WN / 4;
    int g, t;
    wg_ffma_lane(g, t);
#pragma unroll
    for (int i = 0; i < MI; i++) {
      int row = m0 + wg_ffma_row<A_INNER>(i, g);
#pragma unroll
      for (int j = 0; j < NI; j += 4) {
        int col = n0 + j / 4 * 16 + t * 4;
        if (row < p.m && col < p.ldd)
          *reinterpret_cast<float4 *>(out + (int64_t)row * p.ldd +
                                      col) = make_float4(acc[i * NI + j], acc[i * NI + j + 1],
                                                         acc[i * NI + j + 2], acc[i * NI + j + 3]);
      }
    }
  } else {
    constexpr int MI = TILE::WM / 16, NI = TILE::WN / 8;
    const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
    for (int i = 0; i < MI; i++)
#pragma unroll
      for (int n = 0; n < NI; n++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
          int row = m0 + i * 16 + g + h * 8, col = n0 + n * 8 + t * 2, at = (i * NI + n) * 4 + h * 2;
          if (row < p.m && col < p.ldd)
            *reinterpret_cast<float2 *>(out + (int64_t)row * p.ldd + col) = make_float2(acc[at], acc[at + 1]);
        }
  }
}

template <enum wg_unit UNIT, bool A_INNER, int BM, int BN, int BK, int WARPS_M, int WARPS_N, int STAGES,
          int PER_SM>
__global__ void __launch_bounds__(32 * WARPS_M * WARPS_N, PER_SM)
    wg_gemm_kernel(const __grid_constant__ wg_gemm p)
{
  using TILE = wg_gemm_tile<UNIT, A_INNER, BM, BN, BK, WARPS_M, WARPS_N, STAGES>;
  using T = typename TILE::T;
  extern __shared__ __align__(128) unsigned char shared[];
  T *sa = reinterpret_cast<T *>(shared), *sb = sa + STAGES * TILE::A_SIZE;
  const int m0 = (int)(A_INNER ? blockIdx.y : blockIdx.x) * BM,
            n0 = (int)(A_INNER ? blockIdx.x : blockIdx.y) * BN;
  const int f = (int)blockIdx.z / p.splits, split = (int)blockIdx.z % p.splits;
  const T *a = static_cast<const T *>(p.a) + f * p.step_a, *b = static_cast<const T *>(p.b) + f * p.step_b;
  const int k_begin = split * p.k_split, k_end = min(p.k, k_begin + p.k_split);
  const int slices = (k_end - k_begin + BK - 1) / BK;
  const int warp = threadIdx.x / 32, wm = warp % WARPS_M * TILE::WM, wn = warp / WARPS_M * TILE::WN;
  float acc[TILE::ACC];
#pragma unroll
  for (int i = 0; i < TILE::ACC; i++)
    acc[i] = 0;
  wg_let_next_start();
  /* the weights of the first slices do not depend on the kernel in front */
  auto fetch = [&](int s, int to, bool weights, bool inputs) {
    int k0 = k_begin + s * BK;
    if (s < slices && (A_INNER ? inputs : weights))
      wg_fetch_a<TILE, A_INNER, BM, BK>(p, a, sa + to * TILE::A_SIZE, m0, k0, k_end);
    if (s < slices && (A_INNER ? weights : inputs))
      wg_fetch_b<TILE, BN, BK>(p, b, sb + to * TILE::B_SIZE, n0, k0, k_end);
  };
#pragma unroll
  for (int s = 0; s < STAGES - 1; s++)
    fetch(s, s, true, false);
  wg_wait_for_previous();
#pragma unroll
  for (int s = 0; s < STAGES - 1; s++) {
    fetch(s, s, false, true);
    wg_copy_commit();
  }
  int read = 0, write = STAGES - 1;
  for (int s = 0; s < slices; s++) {
    wg_copy_wait<STAGES - 2>();
    __syncthreads();
    fetch(s + STAGES - 1, write, true, true);
    wg_copy_commit();
    const T *ta = sa + read * TILE::A_SIZE + (A_INNER ? wm * TILE::LDA : wm),
            *tb = sb + read * TILE::B_SIZE + wn;
    if constexpr (UNIT == WG_TF32X3)
      wg_slice_tf32x3<TILE, A_INNER, BK, true>(ta, tb, acc);
    else if constexpr (UNIT == WG_F16MMA)
      wg_slice_f16<TILE, A_INNER, BK>(ta, tb, acc);
    else
      wg_slice_ffma<TILE, A_INNER, BK>(ta, tb, acc);
    read = read + 1 == STAGES ? 0 : read + 1;
    write = write + 1 == STAGES ? 0 : write + 1;
  }
  wg_gemm_store<TILE, UNIT, A_INNER>(p, p.d + split * p.step_split + f * p.step_d, m0 + wm, n0 + wn, acc);
}

#endif
