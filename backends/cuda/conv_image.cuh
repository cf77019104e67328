/* SPDX-License-Identifier: Apache-2.0 */
/* The first layer of a network on the device: f16 products with f32 sums on the tensor cores, where x has up to four channels
 * in one block (nChw4c), so that a pixel is 8 bytes.
 *
 * A block of four warps keeps the weights of N channels in shared memory and goes from tile to tile of 4*ROWS x 16 results;
 * what the next tile reads of x is copied while this one is computed. Four taps of a row of the window are the 16 products of
 * one instruction (mma.m16n8k16): lane 4g+t finds its part of a row of matrix A, two channels of one tap, as one word, for
 * pixel g at word 2*stride*g + t, without bank conflicts for strides 1 and 2. A row of the window is filled up to whole groups
 * of four taps; of what lies beyond the window nothing is taken, since zero times infinity is no zero.
 *
 * Matrix B is packed in the order in which lanes read it: for each pair of blocks of 8 result channels and each step
 * (row of the window, group of taps) 32 times 16 bytes, the lane's two words of the one block and of the other. */
#ifndef GIE_BACKENDS_CUDA_CONV_IMAGE_CUH
#define GIE_BACKENDS_CUDA_CONV_IMAGE_CUH

#include "backends/cuda/host.cuh"

#define IMAGE_THREADS 128
#define IMAGE_WIDTH 16 /* results of a row of a tile */

/* Strides of x in pixels, of y in elements. */
struct image_args {
  const uint2 *x;
  const uint4 *w;
  const float *bias; /* filled up with zeros to whole blocks; NULL: none */
  __half *y;
  int64_t x_n, x_h, x_w, y_n, y_h, y_w; /* channels of y are contiguous */
  int32_t h, w_extent;                  /* of x */
  int32_t out_h, out_w, n;              /* of y; n: channels */
  int32_t stride_h, stride_w, pad_h, pad_w;
  int32_t groups, last; /* of four taps in a row of the window; taps of the last one */
  int32_t tap_steps;    /* rows of the window times groups */
  int32_t patch_h, patch_w;
  uint32_t tiles;
  struct cuda_div by_tiles_w, by_tiles_h, by_patch_w;
  __half2 low, high; /* the clip, twice each */
  bool vector_y;     /* 8 channels at a time can be stored */
};

/* First result of a tile. */
struct image_place {
  uint32_t image;
  int h, w;
};

__device__ __forceinline__ void image_multiply(float (&d)[4], const uint32_t (&a)[4], uint32_t b0,
                                               uint32_t b1)
{
#if __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  __trap();
#endif
}

template <int ROWS> __device__ __forceinline__ image_place image_find(const image_args &a, uint32_t tile)
{
  const uint32_t rows = cuda_quotient(a.by_tiles_w, tile), image = cuda_quotient(a.by_tiles_h, rows);
  return {image, int(rows - image * a.by_tiles_h.d) * 4 * ROWS,
          int(tile - rows * a.by_tiles_w.d) * IMAGE_WIDTH};
}

__device__ __forceinline__ void image_copy_8(uint2 *to, const uint2 *from, bool in)
{
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(uint32_t(__cvta_generic_to_shared(to))),
               "l"(from), "r"(in ? 8 : 0)
               : "memory");
#endif
}

__device__ __forceinline__ void image_copies_wait()
{
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

/* Begins to copy the part of x that a tile reads, with zeros around x. */
template <int ROWS>
__device__ __forceinline__ void image_read(const image_args &a, uint32_t tile, uint2 *patch)
{
  const image_place at = image_find<ROWS>(a, tile);
  const uint2 *x = a.x + at.image * a.x_n;
  const int pixels = a.patch_h * a.patch_w, top = at.h * a.stride_h - a.pad_h,
            left = at.w * a.stride_w - a.pad_w;
  for (int i = threadIdx.x; i < pixels; i += IMAGE_THREADS) {
    int row = int(cuda_quotient(a.by_patch_w, uint32_t(i))), h = top + row, w = left + i - row * a.patch_w;
    bool in = uint32_t(h) < uint32_t(a.h) && uint32_t(w) < uint32_t(a.w_extent);
    image_copy_8(patch + i, in ? x + h * a.x_h + w * a.x_w : x, in);
  }
}

/* Word k of lane t of four neighbours becomes word t of lane k. */
__device__ __forceinline__ uint4 image_turn(uint32_t (&w)[4], int t)
{
#pragma unroll
  for (int bit = 1; bit <= 2; bit *= 2)
#pragma unroll
    for (int k = 0; k < 4; k++) {
      if (k & bit)
        continue;
      uint32_t other = __shfl_xor_sync(0xffffffff, t & bit ? w[k] : w[k | bit], bit);
      if (t & bit)
        w[k] = other;
      else
        w[k | bit] = other;
    }
  return make_uint4(w[0], w[1], w[2], w[3]);
}

__device__ __forceinline__ void image_store(const image_args &a, __half *y, int channels, uint4 v)
{
  if (a.vector_y && channels >= 8) {
    *reinterpret_cast<uint4 *>(y) = v;
    return;
  }
#pragma unroll
  for (int e = 0; e < 8; e++)
    if (e < channels)
      y[e] = reinterpret_cast<const __half *>(&v)[e];
}

/* A row of 16 results, whose first is at y with channel n, to memory, 32 channels at a time. */
template <int TILES>
__device__ __forceinline__ void image_end(const image_args &a, const float (&sums)[TILES][4], __half *y,
                                          int w, int n)
{
  const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
#pragma unroll
  for (int first = 0; first < TILES; first += 4)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      uint32_t words[4];
#pragma unroll
      for (int j = 0; j < 4; j++) { /* rounding keeps the order, so that the clip may come behind it */
        __half2 v = __floats2half2_rn(sums[first + j][2 * half], sums[first + j][2 * half + 1]);
        v = __hmin2_nan(__hmax2_nan(v, a.low), a.high);
        words[j] = reinterpret_cast<uint32_t &>(v);
      }
      uint4 v = image_turn(words, t);
      int c = n + (first + t) * 8, column = g + 8 * half;
      if (w + column < a.out_w && c < a.n)
        image_store(a, y + column * a.y_w + c, a.n - c, v);
    }
}

/* The sums of a warp's ROWS rows, from the bias on. */
template <int N, int ROWS>
__device__ __forceinline__ void image_sum(const image_args &a, float (&sums)[ROWS][N / 8][4],
                                          const uint4 *weights, const uint2 *patch)
{
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const uint32_t keep_0 = t / 2 < a.last ? ~0u : 0, keep_1 = t / 2 + 2 < a.last ? ~0u : 0;
  const int row_words = a.patch_w * 2, next_row = a.stride_h * row_words, next_8 = 16 * a.stride_w;
  const uint32_t *from = reinterpret_cast<const uint32_t *>(patch) + warp * ROWS * next_row +
                         2 * g * a.stride_w + t;
  const uint4 *b = weights + lane;
#pragma unroll
  for (int j = 0; j < N / 8; j++) {
    float2 v = a.bias ? *reinterpret_cast<const float2 *>(a.bias + blockIdx.y * N + j * 8 + 2 * t)
                      : make_float2(0, 0);
#pragma unroll
    for (int i = 0; i < ROWS; i++)
      sums[i][j][0] = sums[i][j][2] = v.x, sums[i][j][1] = sums[i][j][3] = v.y;
  }
  for (int step = 0, group = 0; step < a.tap_steps; step++, b += 32) {
    const bool last = group == a.groups - 1;
    const uint32_t mask_0 = last ? keep_0 : ~0u, mask_1 = last ? keep_1 : ~0u;
    uint32_t x[ROWS][4];
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
      const uint32_t *p = from + i * next_row;
      x[i][0] = p[0] & mask_0, x[i][1] = p[next_8] & mask_0;
      x[i][2] = p[4] & mask_1, x[i][3] = p[next_8 + 4] & mask_1;
    }
#pragma unroll
    for (int j = 0; j < N / 8; j += 2) {
      uint4 v = b[j / 2 * a.tap_steps * 32];
#pragma unroll
      for (int i = 0; i < ROWS; i++) {
        image_multiply(sums[i][j], x[i], v.x, v.y);
        image_multiply(sums[i][j + 1], x[i], v.z, v.w);
      }
    }
    from += last ? row_words - 8 * (a.groups - 1) : 8;
    group = last ? 0 : group + 1;
  }
}

template <int N, int ROWS>
__global__ void __launch_bounds__(IMAGE_THREADS) image_conv(const __grid_constant__ image_args a)
{
  extern __shared__ uint4 image_shared[];
  const int all = a.tap_steps * (N / 16) * 32, pixels = a.patch_h * a.patch_w;
  uint4 *weights = image_shared;
  uint2 *patch = reinterpret_cast<uint2 *>(weights + all), *next = patch + pixels;
  image_read<ROWS>(a, blockIdx.x, patch);
  for (int i = threadIdx.x; i < all; i += IMAGE_THREADS)
    weights[i] = a.w[int64_t(blockIdx.y) * all + i];
  for (uint32_t tile = blockIdx.x; tile < a.tiles; tile += gridDim.x) {
    const image_place at = image_find<ROWS>(a, tile);
    float sums[ROWS][N / 8][4];
    image_copies_wait();
    __syncthreads(); /* the patch is there, and nobody reads the other one any more */
    if (tile + gridDim.x < a.tiles)
      image_read<ROWS>(a, tile + gridDim.x, next);
    image_sum<N, ROWS>(a, sums, weights, patch);
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
      int row = at.h + int(threadIdx.x) / 32 * ROWS + i;
      if (row < a.out_h)
        image_end<N / 8>(a, sums[i], a.y + at.image * a.y_n + row * a.y_h + at.w * a.y_w, at.w,
                         int(blockIdx.y) * N);
    }
    uint2 *other = patch;
    patch = next;
    next = other;
  }
}

#endif
