/* SPDX-License-Identifier: Apache-2.0 */
/* The tiled convolution on the device: how a step of A and B gets into shared memory without the copy engine. */
#ifndef GIE_BACKENDS_CUDA_CONV_READ_CUH
#define GIE_BACKENDS_CUDA_CONV_READ_CUH

#include "backends/cuda/conv_device.cuh"

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
  t.channels = chunk < a.chunks ? max(min(V, a.c - c), 0) : 0;
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

  __device__ __forceinline__ void read(const conv_args &a, uint32_t stage)
  {
    if (works) {
      int bytes = dy < end_y ? max(min(K::V, a.c - c), 0) * static_cast<int>(sizeof(T)) : 0;
      int offset = dy * a.x_h + dx * a.x_w + c;
#pragma unroll
      for (int i = 0; i < ROWS; i++) {
        bool in = bytes > 0 && conv_inside(a, row[i], dy, dx);
        conv_copy16(stage + to + i * STRIDE * 128, in ? row[i].x + offset : static_cast<const T *>(a.x),
                    in ? bytes : 0);
      }
    }
    const int tap = static_cast<int>(a.by_c.by) * K::V;
    for (c += 8 * K::V; c >= tap && dy < end_y; c -= tap) {
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
  __device__ __forceinline__ int column(int i) const { return part + i * PARTS; }

  /* What a thread reads of a step, on its way in registers. */
  struct alignas(16) held {
    T v[CHUNKS][K::V];
  };
  __device__ __forceinline__ void put(uint32_t stage, const held &h) const
  {
#pragma unroll
    for (int i = 0; i < CHUNKS; i++) {
      const uint4 bits = *reinterpret_cast<const uint4 *>(h.v[i]);
      uint32_t to = stage + number * 128 + ((column(i) ^ (number & 7)) << 4);
      asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(to), "r"(bits.x), "r"(bits.y),
                   "r"(bits.z), "r"(bits.w)
                   : "memory");
    }
  }
};

template <class K> struct conv_reader<K, CONV_GATHER> : conv_chunks<K> {
  using T = typename K::T;

  __device__ __forceinline__ conv_reader(const conv_args &a, int tid, int m, int group, int, const void *)
      : conv_chunks<K>(a, tid, m, group)
  {
  }
  __device__ __forceinline__ void fetch(const conv_args &a, int step, typename conv_chunks<K>::held &h) const
  {
#pragma unroll
    for (int i = 0; i < this->CHUNKS; i++) {
      conv_tap t = conv_find_tap<K::V>(a, step * 8 + this->column(i));
      bool in = conv_inside(a, this->row, t.dy, t.dx);
#pragma unroll
      for (int e = 0; e < K::V; e++)
        h.v[i][e] = in && e < t.channels ? this->row.x[t.offset + e * a.x_c] : static_cast<T>(0.0f);
    }
  }
};

/* The table has an entry {offset, dy << 16 | dx} for each tap; what is past the last one is outside. */
template <class K> struct conv_reader<K, CONV_DENSE> : conv_chunks<K> {
  using T = typename K::T;
  const int2 *table;

  __device__ __forceinline__ conv_reader(const conv_args &a, int tid, int m, int group, int,
                                         const void *table_)
      : conv_chunks<K>(a, tid, m, group), table(static_cast<const int2 *>(table_))
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
  __device__ __forceinline__ void fetch(const conv_args &a, int step, typename conv_chunks<K>::held &h) const
  {
#pragma unroll
    for (int i = 0; i < this->CHUNKS; i++) {
      const int4 *t = reinterpret_cast<const int4 *>(table + (step * 8 + this->column(i)) * K::V);
#pragma unroll
      for (int e = 0; e < K::V; e += 2) {
        int4 two = t[e / 2];
        bool in = conv_inside(a, this->row, two.y >> 16, two.y & 0xffff),
             in_too = conv_inside(a, this->row, two.w >> 16, two.w & 0xffff);
        h.v[i][e] = in ? this->row.x[two.x] : static_cast<T>(0.0f);
        h.v[i][e + 1] = in_too ? this->row.x[two.z] : static_cast<T>(0.0f);
      }
    }
  }
};

/* ---- The first steps, and a later one around the multiplication of another ------------------------------ */

template <class K>
CONV_DEVICE void conv_read_first(conv_reader<K, K::LOADER> &reader, const conv_args &a, uint32_t base,
                                 int first, int n_steps)
{
  if constexpr (K::LOADER == CONV_VECTOR) {
#pragma unroll
    for (int s = 0; s < K::STAGES - 1; s++) {
      if (s < n_steps)
        reader.read(a, base + s * K::STAGE);
      conv_copy_commit();
    }
  } else {
    typename conv_chunks<K>::held h[K::STAGES - 1];
#pragma unroll
    for (int s = 0; s < K::STAGES - 1; s++)
      if (s < n_steps)
        reader.fetch(a, first + s, h[s]);
#pragma unroll
    for (int s = 0; s < K::STAGES - 1; s++) {
      if (s < n_steps)
        reader.put(base + s * K::STAGE, h[s]);
      conv_copy_commit();
    }
  }
}

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

#endif
