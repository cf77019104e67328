/* SPDX-License-Identifier: Apache-2.0 */
/* The tiled convolution on the device. A thread block computes M pixels x N channels of the result; its steps
 * along the taps (conv_tile.h) pass through STAGES stages of shared memory, of which all but one are on their
 * way while one is multiplied.
 *
 *   warps      WM x WN share the tile; SLICES groups of them share each step, so that a small tile still
 *              has enough warps to hide latency
 *   split      the blocks of a cluster share the steps of one tile and add up over distributed shared memory;
 *              every sum has a fixed order, so that results repeat bit by bit
 *   shared     a row (pixel or channel) of a step is 128 bytes, its chunks swizzled: ldmatrix, float4 reads
 *              and the copies are free of bank conflicts
 *   epilogue   sums go through shared memory, then a thread has 16 bytes of neighbouring channels: bias, steps,
 *              one rounding, one store
 *
 * At batch 1 a layer is bound by latency and by L2 traffic: tiles x taps x (M + N) elements at about 5.5 TB/s.
 * Reading A costs two compares per row and step; taps are found by multiplication with reciprocals. */
#ifndef GIE_BACKENDS_CUDA_CONV_TILE_CUH
#define GIE_BACKENDS_CUDA_CONV_TILE_CUH

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

/* x rounded to TF32, and what that leaves, rounded too. */
CONV_DEVICE uint32_t conv_tf32(float x)
{
  uint32_t r;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(x));
  return r;
}

CONV_DEVICE void conv_tf32_parts(uint32_t bits, uint32_t &high, uint32_t &low)
{
  float x = __uint_as_float(bits);
  high = conv_tf32(x);
  low = conv_tf32(x - __uint_as_float(high));
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

template <conv_kind KIND_, conv_loader LOADER_, int M_, int N_, int WM_, int WN_, int SLICES_, int STAGES_>
struct conv_shape {
  using T = typename conv_element<KIND_>::type;
  static constexpr conv_kind KIND = KIND_;
  static constexpr conv_loader LOADER = LOADER_;
  static constexpr int M = M_, N = N_, WM = WM_, WN = WN_, SLICES = SLICES_, STAGES = STAGES_;
  static constexpr int THREADS = 32 * WM * WN * SLICES;
  static constexpr int TM = M / WM, TN = N / WN;             /* of a warp */
  static constexpr int V = 16 / static_cast<int>(sizeof(T)); /* elements of a chunk */
  static constexpr int STAGE = (M + N) * 128;
  static constexpr int LD = N + 8; /* floats of a row of sums */
  static constexpr int PIPE_BYTES = STAGES * STAGE, SUM_BYTES = SLICES * M * LD * 4;
  static constexpr int SHARED = PIPE_BYTES > SUM_BYTES ? PIPE_BYTES : SUM_BYTES;
  static constexpr int SUBS = 4 / SLICES; /* pairs of chunks of a step that a slice multiplies */
  static_assert(M % (8 * WM) == 0 && N % (8 * WN) == 0 && 4 % SLICES == 0 && STAGES >= 2, "tile");
  static_assert(KIND == CONV_F32 || (TM % 16 == 0 && TN % 16 == 0), "warp tile");
};

/* ---- Reading A -------------------------------------------------------------------------------------- */

/* Where the row of a pixel begins in x, and its position; a row past the last is outside everywhere. */
template <class T> struct conv_row {
  const T *x;
  int h, w;
};

template <class T> CONV_DEVICE conv_row<T> conv_find_row(const conv_args &a, int m, int group)
{
  conv_row<T> row;
  int valid = m < a.m, image = conv_divide(valid ? m : 0, a.by_pixels);
  int pixel = (valid ? m : 0) - image * static_cast<int>(a.by_pixels.by), i = conv_divide(pixel, a.by_q);
  int j = pixel - i * static_cast<int>(a.by_q.by);
  row.h = valid ? i * a.stride_h - a.pad_h : -(1 << 30);
  row.w = j * a.stride_w - a.pad_w;
  row.x = static_cast<const T *>(a.x) + image * a.x_n + static_cast<int64_t>(group) * a.c * a.x_c;
  if (valid)
    row.x += static_cast<int64_t>(row.h) * a.x_h + static_cast<int64_t>(row.w) * a.x_w;
  return row;
}

/* Chunk number `chunk` along the taps: offset from a row's begin, displacement, channels (0: past the last). */
struct conv_tap {
  int offset, dy, dx, channels;
};

template <int V> CONV_DEVICE conv_tap conv_find_tap(const conv_args &a, int chunk)
{
  conv_tap t;
  int rs = conv_divide(chunk, a.by_c), c = (chunk - rs * static_cast<int>(a.by_c.by)) * V;
  int r = conv_divide(rs, a.by_s), s = rs - r * static_cast<int>(a.by_s.by);
  t.dy = r * a.dilation_h;
  t.dx = s * a.dilation_w;
  t.offset = t.dy * a.x_h + t.dx * a.x_w + c * a.x_c;
  t.channels = chunk < a.chunks ? min(V, a.c - c) : 0;
  return t;
}

template <class T> CONV_DEVICE bool conv_inside(const conv_args &a, const conv_row<T> &row, int dy, int dx)
{
  return static_cast<unsigned>(row.h + dy) < static_cast<unsigned>(a.h) &&
         static_cast<unsigned>(row.w + dx) < static_cast<unsigned>(a.w_extent);
}

template <class K, conv_loader LOADER> struct conv_reader;

/* A thread copies the same chunk of several rows, step after step: it keeps its place among the taps. */
template <class K> struct conv_reader<K, CONV_VECTOR> {
  using T = typename K::T;
  static constexpr int STRIDE = K::THREADS / 8, ROWS = (K::M + STRIDE - 1) / STRIDE;
  conv_row<T> row[ROWS];
  uint32_t to;
  int c, dy, dx, end_x, end_y; /* end: of the taps of a row, of all */
  bool works;                  /* false in a tile of fewer rows than the threads copy at once */

  __device__ __forceinline__ conv_reader(const conv_args &a, int tid, int m, int group, int step,
                                         const void *)
  {
    int first = tid / 8, column = tid % 8, chunk = step * 8 + column;
    works = ROWS > 1 || first < K::M;
    to = first * 128 + ((column ^ (first & 7)) << 4);
#pragma unroll
    for (int i = 0; i < ROWS; i++)
      row[i] = conv_find_row<T>(a, m + first + i * STRIDE, group);
    int rs = conv_divide(chunk, a.by_c), r = conv_divide(rs, a.by_s);
    c = (chunk - rs * static_cast<int>(a.by_c.by)) * K::V;
    dy = r * a.dilation_h;
    dx = (rs - r * static_cast<int>(a.by_s.by)) * a.dilation_w;
    end_x = static_cast<int>(a.by_s.by) * a.dilation_w;
    end_y = a.r * a.dilation_h;
  }

  __device__ __forceinline__ void read(const conv_args &a, uint32_t stage, int)
  {
    if (works) {
      int bytes = dy < end_y ? min(K::V, a.c - c) * static_cast<int>(sizeof(T)) : 0;
      int offset = dy * a.x_h + dx * a.x_w + c;
#pragma unroll
      for (int i = 0; i < ROWS; i++) {
        bool in = bytes > 0 && conv_inside(a, row[i], dy, dx);
        conv_copy16(stage + to + i * STRIDE * 128, in ? row[i].x + offset : static_cast<const T *>(a.x),
                    in ? bytes : 0);
      }
    }
    for (c += 8 * K::V; c >= a.c && dy < end_y; c -= a.by_c.by * K::V) {
      dx += a.dilation_w;
      if (dx == end_x) {
        dx = 0;
        dy += a.dilation_h;
      }
    }
  }
};

/* Chunks that are put together from single elements: a thread does several chunks of one row, so that
 * the threads of a warp read neighbouring pixels. */
template <class K> struct conv_chunks {
  using T = typename K::T;
  static constexpr int PARTS = K::THREADS / K::M, CHUNKS = 8 / PARTS;
  static_assert(K::THREADS % K::M == 0 && K::THREADS / K::M <= 8, "threads");
  conv_row<T> row;
  int part, number; /* of the row's first chunk; of the row */

  __device__ __forceinline__ conv_chunks(const conv_args &a, int tid, int m, int group)
  {
    number = tid % K::M;
    part = tid / K::M;
    row = conv_find_row<T>(a, m + number, group);
  }
  __device__ __forceinline__ void put(uint32_t stage, int column, const T (&v)[K::V]) const
  {
    const uint4 bits = *reinterpret_cast<const uint4 *>(v);
    uint32_t to = stage + number * 128 + ((column ^ (number & 7)) << 4);
    asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(to), "r"(bits.x), "r"(bits.y), "r"(bits.z),
                 "r"(bits.w)
                 : "memory");
  }
};

template <class K> struct conv_reader<K, CONV_GATHER> {
  using T = typename K::T;
  conv_chunks<K> chunks;

  __device__ __forceinline__ conv_reader(const conv_args &a, int tid, int m, int group, int, const void *)
      : chunks(a, tid, m, group)
  {
  }
  __device__ __forceinline__ void read(const conv_args &a, uint32_t stage, int step) const
  {
#pragma unroll
    for (int i = 0; i < conv_chunks<K>::CHUNKS; i++) {
      int column = chunks.part + i * conv_chunks<K>::PARTS;
      conv_tap t = conv_find_tap<K::V>(a, step * 8 + column);
      bool in = conv_inside(a, chunks.row, t.dy, t.dx);
      alignas(16) T v[K::V];
#pragma unroll
      for (int e = 0; e < K::V; e++)
        v[e] = in && e < t.channels ? chunks.row.x[t.offset + e * a.x_c] : static_cast<T>(0.0f);
      chunks.put(stage, column, v);
    }
  }
};

/* The table has an entry {offset, dy << 16 | dx} for each tap; what is past the last one is outside. */
template <class K> struct conv_reader<K, CONV_DENSE> {
  using T = typename K::T;
  conv_chunks<K> chunks;
  const int2 *table;

  __device__ __forceinline__ conv_reader(const conv_args &a, int tid, int m, int group, int,
                                         const void *table_)
      : chunks(a, tid, m, group), table(static_cast<const int2 *>(table_))
  {
    int2 *to = const_cast<int2 *>(table);
    int c_n = static_cast<int>(a.by_c.by), s_n = static_cast<int>(a.by_s.by);
    for (int k = tid; k < a.steps * 8 * K::V; k += K::THREADS) {
      int rs = conv_divide(k, a.by_c), c = k - rs * c_n, r = conv_divide(rs, a.by_s), s = rs - r * s_n;
      int dy = r * a.dilation_h, dx = s * a.dilation_w;
      bool in = k < a.chunks; /* here the number of taps */
      to[k] = in ? make_int2(dy * a.x_h + dx * a.x_w + c * a.x_c, dy << 16 | dx) : make_int2(0, INT_MIN);
    }
    __syncthreads();
  }
  __device__ __forceinline__ void read(const conv_args &a, uint32_t stage, int step) const
  {
#pragma unroll
    for (int i = 0; i < conv_chunks<K>::CHUNKS; i++) {
      int column = chunks.part + i * conv_chunks<K>::PARTS;
      const int2 *t = table + (step * 8 + column) * K::V;
      alignas(16) T v[K::V];
#pragma unroll
      for (int e = 0; e < K::V; e++) {
        int2 tap = t[e];
        bool in = conv_inside(a, chunks.row, tap.y >> 16, tap.y & 0xffff);
        v[e] = in ? chunks.row.x[tap.x] : static_cast<T>(0.0f);
      }
      chunks.put(stage, column, v);
    }
  }
};

/* A step of B lies in one piece; blocks of channels past the last one are filled with zeros. */
template <class K> struct conv_reader_b {
  static constexpr int CHUNKS = (K::N * 8 + K::THREADS - 1) / K::THREADS;
  const char *from;
  int64_t stride;
  int tid, chunks;

  __device__ __forceinline__ conv_reader_b(const conv_args &a, int tid_, int n, int group, int step)
      : stride(static_cast<int64_t>(a.blocks) * 1024), tid(tid_), chunks((a.blocks - n / 8) * 64)
  {
    from = static_cast<const char *>(a.w) + (static_cast<int64_t>(group) * a.steps + step) * stride +
           n * 128 + tid * 16;
  }
  __device__ __forceinline__ void read(uint32_t stage)
  {
#pragma unroll
    for (int i = 0; i < CHUNKS; i++) {
      int chunk = i * K::THREADS + tid;
      bool in = chunk < chunks;
      if (K::N * 8 % K::THREADS == 0 || chunk < K::N * 8)
        conv_copy16(stage + K::M * 128 + chunk * 16, in ? from + i * K::THREADS * 16 : from, in ? 16 : 0);
    }
    from += stride;
  }
};

/* ---- Multiplying a step -------------------------------------------------------------------------------- */

template <class K, conv_kind KIND> struct conv_sums;

/* On the tensor cores: 16 x 8 results per instruction; a pair of chunks is its 16 (f16) or 8 (TF32) taps. */
template <class K> struct conv_sums_mma {
  static constexpr int MI = K::TM / 16, NI = K::TN / 8;
  float sum[MI][NI][4];
  uint32_t at_a, at_b, swizzle_a, swizzle_b, sub;
  int row, column; /* of sum[0][0][0] in the tile */

  __device__ __forceinline__ conv_sums_mma(int tid)
  {
    int lane = tid % 32, warp = tid / 32, slice = warp / (K::WM * K::WN), place = warp % (K::WM * K::WN);
    int wm = place % K::WM, wn = place / K::WM;
    at_a = (wm * K::TM + (lane & 15)) * 128;
    swizzle_a = ((lane >> 4) ^ (lane & 7)) << 4;
    at_b = K::M * 128 + (wn * K::TN + (lane & 7) + (lane >> 4) * 8) * 128;
    swizzle_b = (((lane >> 3) & 1) ^ (lane & 7)) << 4;
    sub = slice * K::SUBS * 32;
    row = wm * K::TM + lane / 4;
    column = wn * K::TN + lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < MI; i++)
#pragma unroll
      for (int j = 0; j < NI; j++)
#pragma unroll
        for (int e = 0; e < 4; e++)
          sum[i][j][e] = 0;
  }
  __device__ __forceinline__ void store(float *to) const
  {
#pragma unroll
    for (int i = 0; i < MI; i++)
#pragma unroll
      for (int j = 0; j < NI; j++)
#pragma unroll
        for (int e = 0; e < 2; e++)
          *reinterpret_cast<float2 *>(to + (row + i * 16 + e * 8) * K::LD + column +
                                      j * 8) = make_float2(sum[i][j][2 * e], sum[i][j][2 * e + 1]);
  }
};

template <class K> struct conv_sums<K, CONV_F16> : conv_sums_mma<K> {
  using B = conv_sums_mma<K>;
  using B::B;
  __device__ __forceinline__ void multiply(uint32_t stage)
  {
#pragma unroll
    for (int u = 0; u < K::SUBS; u++) {
      uint32_t a[B::MI][4], b[B::NI / 2][4], at = this->sub ^ (u * 32);
#pragma unroll
      for (int i = 0; i < B::MI; i++)
        conv_matrices(a[i], stage + this->at_a + i * 2048 + (this->swizzle_a ^ at));
#pragma unroll
      for (int j = 0; j < B::NI / 2; j++)
        conv_matrices(b[j], stage + this->at_b + j * 2048 + (this->swizzle_b ^ at));
#pragma unroll
      for (int i = 0; i < B::MI; i++)
#pragma unroll
        for (int j = 0; j < B::NI; j++)
          conv_mma_f16(this->sum[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
    }
  }
};

template <class K> struct conv_sums<K, CONV_TF32> : conv_sums_mma<K> {
  using B = conv_sums_mma<K>;
  using B::B;
  __device__ __forceinline__ void multiply(uint32_t stage)
  {
#pragma unroll
    for (int u = 0; u < K::SUBS; u++) {
      uint32_t a[B::MI][4], b[B::NI / 2][4], at = this->sub ^ (u * 32);
#pragma unroll
      for (int i = 0; i < B::MI; i++) {
        conv_matrices(a[i], stage + this->at_a + i * 2048 + (this->swizzle_a ^ at));
#pragma unroll
        for (int e = 0; e < 4; e++)
          a[i][e] = conv_tf32(__uint_as_float(a[i][e]));
      }
#pragma unroll
      for (int j = 0; j < B::NI / 2; j++) {
        conv_matrices(b[j], stage + this->at_b + j * 2048 + (this->swizzle_b ^ at));
#pragma unroll
        for (int e = 0; e < 4; e++)
          b[j][e] = conv_tf32(__uint_as_float(b[j][e]));
      }
#pragma unroll
      for (int i = 0; i < B::MI; i++)
#pragma unroll
        for (int j = 0; j < B::NI; j++)
          conv_mma_tf32(this->sum[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
    }
  }
};

/* The small products first: what is left out is below 2^-22 of a product. The tensor cores cut sums off rather than
 * round them, so only one step is summed there. */
template <class K> struct conv_sums<K, CONV_TF32X3> : conv_sums_mma<K> {
  using B = conv_sums_mma<K>;
  using B::B;
  __device__ __forceinline__ void multiply(uint32_t stage)
  {
    float part[B::MI][B::NI][4] = {};
#pragma unroll
    for (int u = 0; u < K::SUBS; u++) {
      uint32_t high_b[B::NI / 2][4], low_b[B::NI / 2][4], at = this->sub ^ (u * 32);
#pragma unroll
      for (int j = 0; j < B::NI / 2; j++) {
        uint32_t b[4];
        conv_matrices(b, stage + this->at_b + j * 2048 + (this->swizzle_b ^ at));
#pragma unroll
        for (int e = 0; e < 4; e++)
          conv_tf32_parts(b[e], high_b[j][e], low_b[j][e]);
      }
#pragma unroll
      for (int i = 0; i < B::MI; i++) {
        uint32_t a[4], high[4], low[4];
        conv_matrices(a, stage + this->at_a + i * 2048 + (this->swizzle_a ^ at));
#pragma unroll
        for (int e = 0; e < 4; e++)
          conv_tf32_parts(a[e], high[e], low[e]);
#pragma unroll
        for (int j = 0; j < B::NI; j++)
          conv_mma_tf32(part[i][j], low, high_b[j / 2][j % 2 * 2], high_b[j / 2][j % 2 * 2 + 1]);
#pragma unroll
        for (int j = 0; j < B::NI; j++)
          conv_mma_tf32(part[i][j], high, low_b[j / 2][j % 2 * 2], low_b[j / 2][j % 2 * 2 + 1]);
#pragma unroll
        for (int j = 0; j < B::NI; j++)
          conv_mma_tf32(part[i][j], high, high_b[j / 2][j % 2 * 2], high_b[j / 2][j % 2 * 2 + 1]);
      }
    }
#pragma unroll
    for (int i = 0; i < B::MI; i++)
#pragma unroll
      for (int j = 0; j < B::NI; j++)
#pragma unroll
        for (int e = 0; e < 4; e++)
          this->sum[i][j][e] += part[i][j][e];
  }
};

/* On the ordinary units: a thread has rows 8 apart and channels 4 apart of its warp's tile. */
template <class K> struct conv_sums<K, CONV_F32> {
  static constexpr int MI = K::TM / 8, NI = K::TN / 4;
  float sum[MI][NI];
  uint32_t at_a, at_b;
  int first, row, column, lane_n;

  __device__ __forceinline__ conv_sums(int tid)
  {
    int lane = tid % 32, warp = tid / 32, slice = warp / (K::WM * K::WN), place = warp % (K::WM * K::WN);
    int wm = place % K::WM, wn = place / K::WM;
    lane_n = lane / 8;
    row = wm * K::TM + lane % 8;
    column = wn * K::TN + lane_n;
    at_a = row * 128;
    at_b = K::M * 128 + column * 128;
    first = slice * K::SUBS * 2;
#pragma unroll
    for (int i = 0; i < MI; i++)
#pragma unroll
      for (int j = 0; j < NI; j++)
        sum[i][j] = 0;
  }
  static __device__ __forceinline__ float4 read(uint32_t at)
  {
    float4 v;
    asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
                 : "r"(at)
                 : "memory");
    return v;
  }
  __device__ __forceinline__ void multiply(uint32_t stage)
  {
#pragma unroll
    for (int u = 0; u < 2 * K::SUBS; u++) {
      int chunk = first + u;
      float4 a[MI], b[NI];
#pragma unroll
      for (int i = 0; i < MI; i++)
        a[i] = read(stage + at_a + i * 1024 + ((chunk ^ (row & 7)) << 4));
#pragma unroll
      for (int j = 0; j < NI; j++)
        b[j] = read(stage + at_b + j * 512 + ((chunk ^ (lane_n + j % 2 * 4)) << 4));
#pragma unroll
      for (int i = 0; i < MI; i++)
#pragma unroll
        for (int j = 0; j < NI; j++)
          sum[i][j] = fmaf(a[i].x, b[j].x, sum[i][j]);
#pragma unroll
      for (int i = 0; i < MI; i++)
#pragma unroll
        for (int j = 0; j < NI; j++)
          sum[i][j] = fmaf(a[i].y, b[j].y, sum[i][j]);
#pragma unroll
      for (int i = 0; i < MI; i++)
#pragma unroll
        for (int j = 0; j < NI; j++)
          sum[i][j] = fmaf(a[i].z, b[j].z, sum[i][j]);
#pragma unroll
      for (int i = 0; i < MI; i++)
#pragma unroll
        for (int j = 0; j < NI; j++)
          sum[i][j] = fmaf(a[i].w, b[j].w, sum[i][j]);
    }
  }
  __device__ __forceinline__ void store(float *to) const
  {
#pragma unroll
    for (int i = 0; i < MI; i++)
#pragma unroll
      for (int j = 0; j < NI; j++)
        to[(row + i * 8) * K::LD + column + j * 4] = sum[i][j];
  }
};

/* ---- The end of a tile ----------------------------------------------------------------------------------- */

/* Adds slices 1 … to slice 0. */
template <class K> CONV_DEVICE void conv_fold_slices(float *sums, int tid)
{
  for (int v = tid; v < K::M * (K::N / 4); v += K::THREADS) {
    float4 *at = reinterpret_cast<float4 *>(sums + v / (K::N / 4) * K::LD + v % (K::N / 4) * 4), r = *at;
#pragma unroll
    for (int s = 1; s < K::SLICES; s++) {
      float4 x = at[s * (K::M * K::LD / 4)];
      r = make_float4(r.x + x.x, r.y + x.y, r.z + x.z, r.w + x.w);
    }
    *at = r;
  }
}

/* W (1 or a multiple of 4) neighbouring sums of the whole tile. */
template <class K, int W> CONV_DEVICE void conv_total(float (&r)[W], const float *sums, int at, int split)
{
  if constexpr (W == 1) {
    if (split == 1) {
      r[0] = sums[at];
#pragma unroll
      for (int s = 1; s < K::SLICES; s++)
        r[0] += sums[s * K::M * K::LD + at];
      return;
    }
    float4 v;
    r[0] = 0;
    for (int s = 0; s < split; s++) {
      v = conv_cluster_read(conv_smem(sums + (at & ~3)), s);
      r[0] += (at & 3) == 0 ? v.x : (at & 3) == 1 ? v.y : (at & 3) == 2 ? v.z : v.w;
    }
  } else {
    int copies = split == 1 ? K::SLICES : split;
#pragma unroll
    for (int e = 0; e < W; e++)
      r[e] = 0;
#pragma unroll 4
    for (int s = 0; s < copies; s++)
#pragma unroll
      for (int e = 0; e < W; e += 4) {
        float4 v = split == 1 ? *reinterpret_cast<const float4 *>(sums + s * K::M * K::LD + at + e)
                              : conv_cluster_read(conv_smem(sums + at + e), s);
        r[e] += v.x, r[e + 1] += v.y, r[e + 2] += v.z, r[e + 3] += v.w;
      }
  }
}

struct conv_place {
  int m, n, group, rank; /* first pixel and channel of the tile */
};

/* Bias of the V channels that a thread finishes in every round, read before the sums are there. */
template <class K> struct conv_bias {
  float v[K::V];

  __device__ __forceinline__ conv_bias(const conv_args &a, const conv_place &at, int tid)
  {
    using T = typename K::T;
    int n = at.n + tid % (K::N / K::V) * K::V;
    const T *bias = static_cast<const T *>(a.bias) + at.group * a.n + n;
#pragma unroll
    for (int e = 0; e < K::V; e++)
      v[e] = 0;
    if (!a.bias)
      return;
    if (n + K::V <= a.n && reinterpret_cast<uintptr_t>(bias) % 16 == 0) {
      uint4 bits = *reinterpret_cast<const uint4 *>(bias);
#pragma unroll
      for (int e = 0; e < K::V; e++)
        v[e] = conv_to_float(reinterpret_cast<const T *>(&bits)[e]);
    } else {
#pragma unroll
      for (int e = 0; e < K::V; e++)
        v[e] = n + e < a.n ? conv_to_float(bias[e]) : 0;
    }
  }
};

/* This block's share of the tile, channels next to each other. */
template <class K>
CONV_DEVICE void conv_finish_channels(const conv_args &a, const gie_cuda_steps &steps, const conv_place &at,
                                      const float *sums, const conv_bias<K> &bias, int tid)
{
  using T = typename K::T;
  constexpr int V = K::V, VECTORS = K::M * (K::N / V);
  static_assert(K::THREADS % (K::N / V) == 0 && VECTORS / CONV_MAX_SPLIT % (K::N / V) == 0, "bias");
  const int share = VECTORS / a.split, end = (at.rank + 1) * share;
  const int column = tid % (K::N / V) * V, n = at.n + column, c = at.group * a.n + n;
  if (n >= a.n)
    return;
  for (int v = at.rank * share + tid; v < end; v += K::THREADS) {
    int row = v / (K::N / V), m = at.m + row;
    float r[V];
    if (m >= a.m)
      break;
    int image = conv_divide(m, a.by_pixels), pixel = m - image * static_cast<int>(a.by_pixels.by);
    T *y = static_cast<T *>(a.y) + image * a.y_n + pixel * a.y_p + c;
    conv_total<K, V>(r, sums, row * K::LD + column, a.split);
#pragma unroll
    for (int e = 0; e < V; e++)
      r[e] += bias.v[e];
    if (a.vector_y && n + V <= a.n) {
      gie_cuda_steps_apply_c<V>(steps, r, image, c, pixel);
      conv_store_vector(y, r);
    } else {
#pragma unroll
      for (int e = 0; e < V; e++)
        if (n + e < a.n)
          conv_store(y + e, gie_cuda_steps_apply(steps, r[e], image, c + e, pixel));
    }
  }
}

/* The same where pixels are next to each other. */
template <class K>
CONV_DEVICE void conv_finish_pixels(const conv_args &a, const gie_cuda_steps &steps, const conv_place &at,
                                    const float *sums, int tid)
{
  using T = typename K::T;
  constexpr int ALL = K::M * K::N;
  const int share = ALL / a.split, end = (at.rank + 1) * share;
  for (int v = at.rank * share + tid; v < end; v += K::THREADS) {
    int row = v % K::M, column = v / K::M, m = at.m + row, n = at.n + column;
    float r[1];
    if (m >= a.m || n >= a.n)
      continue;
    int image = conv_divide(m, a.by_pixels), pixel = m - image * static_cast<int>(a.by_pixels.by);
    int c = at.group * a.n + n;
    conv_total<K, 1>(r, sums, row * K::LD + column, a.split);
    if (a.bias)
      r[0] += conv_to_float(static_cast<const T *>(a.bias)[c]);
    conv_store(static_cast<T *>(a.y) + image * a.y_n + pixel * a.y_p + c * a.y_c,
               gie_cuda_steps_apply(steps, r[0], image, c, pixel));
  }
}

/* ---- The kernel -------------------------------------------------------------------------------------------- */

template <class K>
__global__ void __launch_bounds__(K::THREADS)
    conv_tile_run(const __grid_constant__ conv_args a, const __grid_constant__ gie_cuda_steps steps)
{
#if __CUDA_ARCH__ >= 800
  extern __shared__ __align__(1024) char shared[];
  const int tid = static_cast<int>(threadIdx.x);
  const int tile = static_cast<int>(blockIdx.x) / a.split, tile_m = conv_divide(tile, a.by_tiles_n);
  const conv_place at = {tile_m * K::M, (tile - tile_m * a.tiles_n) * K::N, static_cast<int>(blockIdx.y),
                         static_cast<int>(blockIdx.x) % a.split};
  const int first = a.steps * at.rank / a.split, n_steps = a.steps * (at.rank + 1) / a.split - first;
  const uint32_t base = conv_smem(shared);

  /* weights do not depend on the kernel before this one */
  conv_reader_b<K> weights(a, tid, at.n, at.group, first);
#pragma unroll
  for (int s = 0; s < K::STAGES - 1; s++)
    if (s < n_steps)
      weights.read(base + s * K::STAGE);
  conv_reader<K, K::LOADER> reader(a, tid, at.m, at.group, first, shared + K::SHARED);
  conv_sums<K, K::KIND> sums(tid);
  conv_wait_for_previous();
#pragma unroll
  for (int s = 0; s < K::STAGES - 1; s++) {
    if (s < n_steps)
      reader.read(a, base + s * K::STAGE, first + s);
    conv_copy_commit();
  }
  const conv_bias<K> bias(a, at, tid);
  int stage = 0, next = K::STAGES - 1;
  for (int i = 0; i < n_steps; i++) {
    conv_copy_wait<K::STAGES - 2>();
    __syncthreads();
    if (i + K::STAGES - 1 < n_steps) {
      uint32_t to = base + next * K::STAGE;
      weights.read(to);
      reader.read(a, to, first + i + K::STAGES - 1);
    }
    conv_copy_commit();
    sums.multiply(base + stage * K::STAGE);
    stage = stage + 1 == K::STAGES ? 0 : stage + 1;
    next = next + 1 == K::STAGES ? 0 : next + 1;
  }
  conv_let_next_start();
  conv_copy_wait<0>();
  __syncthreads();

  float *total = reinterpret_cast<float *>(shared);
  sums.store(total + tid / (32 * K::WM * K::WN) * K::M * K::LD);
  if (a.split == 1) {
    __syncthreads();
  } else {
    if (K::SLICES > 1) {
      __syncthreads();
      conv_fold_slices<K>(total, tid);
    }
    conv_cluster_wait();
  }
  if (a.y_c == 1)
    conv_finish_channels<K>(a, steps, at, total, bias, tid);
  else
    conv_finish_pixels<K>(a, steps, at, total, tid);
  if (a.split > 1)
    conv_cluster_wait(); /* others may still read this block's sums */
#endif
}

/* A row of conv_tiles.def as an element of a table. */
#define CONV_TILE(KIND_, LOADER_, M_, N_, WM, WN, SLICES_, STAGES_)                                   \
  {                                                                                                   \
      .name = #KIND_ " " #LOADER_ " " #M_ "x" #N_,                                                    \
      .kind = CONV_##KIND_,                                                                           \
      .loader = CONV_##LOADER_,                                                                       \
      .m = M_,                                                                                        \
      .n = N_,                                                                                        \
      .threads = 32 * WM * WN * SLICES_,                                                              \
      .slices = SLICES_,                                                                              \
      .stages = STAGES_,                                                                              \
      .shared = conv_shape<CONV_##KIND_, CONV_##LOADER_, M_, N_, WM, WN, SLICES_, STAGES_>::SHARED,   \
      .function = reinterpret_cast<const void *>(                                                     \
          conv_tile_run<conv_shape<CONV_##KIND_, CONV_##LOADER_, M_, N_, WM, WN, SLICES_, STAGES_>>), \
  },

#endif
