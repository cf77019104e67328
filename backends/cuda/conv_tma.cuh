/* SPDX-License-Identifier: Apache-2.0 */
/* The tiled convolution with the copy engine (compute capability 9): one thread of a warp of its own keeps all stages
 * of shared memory on their way, the other warps only multiply, so that a step costs them a wait, the reads of
 * shared memory and the products. What is in which stage is told by barriers in shared memory.
 *
 *   A   tensor map of x in im2col mode (or, about twice as fast, of rows and channels where each pixel is one tap): a box is M pixels of the result x BOX chunks of channels at one tap (r, s);
 *       padding, strides, dilation and the last pixels and channels are the map's business. 8 / BOX boxes are
 *       a step; narrow boxes are for channels that are no multiple of 8 chunks.
 *   B   one piece of the packed weights, which may be on its way before the kernel before this one ends
 *
 * Seen at batch 1 on an H200, for a tile of 32 x 32: from the end of the kernel before to the first full stage 850 cycles,
 * 350 for each step after it (issuing the box is what takes them, not the products), 1300 from the last product to
 * the end, of which 800 are the few dozen instructions of the end itself, and 2500 more for a cluster of four. */
#ifndef GIE_BACKENDS_CUDA_CONV_TMA_CUH
#define GIE_BACKENDS_CUDA_CONV_TMA_CUH

#include "backends/cuda/conv_tile.cuh"

#include <cuda.h>

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define CONV_HAS_TMA 1
#endif

/* ---- Instructions ------------------------------------------------------------------------------- */

#ifdef CONV_HAS_TMA
CONV_DEVICE void conv_barrier_init(uint32_t barrier, int arrivals)
{
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

CONV_DEVICE void conv_barrier_arrive(uint32_t barrier)
{
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

CONV_DEVICE void conv_barrier_expect(uint32_t barrier, uint32_t bytes)
{
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
}

CONV_DEVICE void conv_barrier_wait(uint32_t barrier, uint32_t parity)
{
  uint32_t done;
  do
    asm volatile("{\n\t.reg .pred p;\n\t"
                 "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n\t"
                 "selp.u32 %0, 1, 0, p;\n\t}"
                 : "=r"(done)
                 : "r"(barrier), "r"(parity)
                 : "memory");
  while (!done);
}

/* `bytes` (a multiple of 16) from global memory. */
CONV_DEVICE void conv_bulk_copy(uint32_t to, const void *from, uint32_t bytes, uint32_t barrier)
{
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to),
      "l"(from), "r"(bytes), "r"(barrier)
      : "memory");
}

struct conv_box {
  int c, w, h, image; /* of the first pixel, tap (0, 0) */
};

CONV_DEVICE void conv_box_copy(uint32_t to, const CUtensorMap *map, const conv_box &at, int dx, int dy,
                               uint32_t barrier)
{
  asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes "
               "[%0], [%1, {%2, %3, %4, %5}], [%6], {%7, %8};" ::"r"(to),
               "l"(map), "r"(at.c), "r"(at.w), "r"(at.h), "r"(at.image), "r"(barrier),
               "h"(static_cast<uint16_t>(dx)), "h"(static_cast<uint16_t>(dy))
               : "memory");
}

/* The same of a map of rows and channels. */
CONV_DEVICE void conv_flat_copy(uint32_t to, const CUtensorMap *map, int c, int row, uint32_t barrier)
{
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes "
               "[%0], [%1, {%2, %3}], [%4];" ::"r"(to),
               "l"(map), "r"(c), "r"(row), "r"(barrier)
               : "memory");
}

/* ---- The producing thread -------------------------------------------------------------------------- */

/* Copies box after box of A: its place among the taps. */
template <class K> struct conv_boxes {
  conv_box at;
  int row, first_c, channels, dx, dy, s, s_n, end_y;

  __device__ __forceinline__ conv_boxes(const conv_args &a, const conv_place &place, int step)
  {
    constexpr int PER_STEP = 8 / K::BOX;
    int image = conv_divide(place.m, a.by_pixels), pixel = place.m - image * static_cast<int>(a.by_pixels.by);
    int i = conv_divide(pixel, a.by_q), j = pixel - i * static_cast<int>(a.by_q.by);
    int chunk = step * PER_STEP * K::BOX, rs = conv_divide(chunk, a.by_c), r = conv_divide(rs, a.by_s);
    row = place.m;
    s_n = static_cast<int>(a.by_s.by);
    s = rs - r * s_n;
    first_c = place.group * a.c;
    channels = static_cast<int>(a.by_c.by) * K::V;
    at.c = (chunk - rs * static_cast<int>(a.by_c.by)) * K::V;
    at.w = j * a.stride_w - a.pad_w;
    at.h = i * a.stride_h - a.pad_h;
    at.image = image;
    dx = s * a.dilation_w;
    dy = r * a.dilation_h;
    end_y = a.r * a.dilation_h;
  }
  __device__ __forceinline__ void copy(const conv_args &a, const CUtensorMap *map, uint32_t to,
                                       uint32_t barrier)
  {
    conv_box box = at;
    box.c = dy < end_y ? first_c + at.c
                       : 1 << 24; /* past the last tap: outside, which is filled with zeros */
    if (a.flat)
      conv_flat_copy(to, map, box.c, row, barrier);
    else
      conv_box_copy(to, map, box, dx, dy < end_y ? dy : 0, barrier);
    at.c += K::BOX * K::V;
    if (at.c >= channels && dy < end_y) {
      at.c = 0;
      s++;
      dx += a.dilation_w;
      if (s == s_n) {
        s = dx = 0;
        dy += a.dilation_h;
      }
    }
  }
};

template <class K>
CONV_DEVICE void conv_produce(const conv_args &a, const conv_place &at, const CUtensorMap *map, uint32_t base,
                              uint32_t full, int first, int n_steps)
{
  const int64_t stride = static_cast<int64_t>(a.blocks) * 1024;
  const char *w = static_cast<const char *>(a.w) +
                  (static_cast<int64_t>(at.group) * a.steps + first) * stride + at.n * 128;
  const uint32_t b_bytes = min(K::N / 8, a.blocks - at.n / 8) * 1024, empty = full + K::STAGES * 8;
  conv_boxes<K> boxes(a, at, first);
  const int ahead = min(n_steps, K::STAGES);
  for (int i = 0; i < ahead; i++) { /* weights do not depend on the kernel before this one */
    conv_barrier_expect(full + i * 8, K::M * 128 + b_bytes);
    conv_bulk_copy(base + i * K::STAGE + K::M * 128, w, b_bytes, full + i * 8);
    w += stride;
  }
  conv_wait_for_previous();
  for (int i = 0, stage = 0, round = 0; i < n_steps; i++) {
    uint32_t to = base + stage * K::STAGE, barrier = full + stage * 8;
    if (i >= ahead) {
      conv_barrier_wait(empty + stage * 8, (round & 1) ^ 1);
      conv_barrier_expect(barrier, K::M * 128 + b_bytes);
      conv_bulk_copy(to + K::M * 128, w, b_bytes, barrier);
      w += stride;
    }
#pragma unroll
    for (int j = 0; j < 8 / K::BOX; j++)
      boxes.copy(a, map, to + j * (K::M * K::BOX * 16), barrier);
    if (++stage == K::STAGES) {
      stage = 0;
      round++;
    }
  }
}
#endif

/* ---- The kernel --------------------------------------------------------------------------------------- */

template <class K>
__global__ void __launch_bounds__(K::THREADS + 32)
    conv_tma_run(const __grid_constant__ conv_args a, const __grid_constant__ gie_cuda_steps steps,
                 const __grid_constant__ CUtensorMap map)
{
#ifdef CONV_HAS_TMA
  extern __shared__ __align__(1024) char shared[];
  const int tid = static_cast<int>(threadIdx.x);
  const conv_place at = conv_find_place(a, K::M, K::N);
  const int first = a.steps * at.rank / a.split, n_steps = a.steps * (at.rank + 1) / a.split - first;
  const uint32_t base = (conv_smem(shared) + 1023) & ~1023u, full = base + K::SHARED,
                 empty = full + K::STAGES * 8;
  char *const begin = shared + (base - conv_smem(shared));
  if (tid >= K::THREADS) {
    const int lane = tid - K::THREADS;
    if (lane == 0)
      asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
    if (lane < 2 * K::STAGES)
      conv_barrier_init(full + lane * 8, lane < K::STAGES ? 1 : K::THREADS / 32);
    asm volatile("fence.mbarrier_init.release.cluster;\n\tfence.proxy.async.shared::cta;" ::: "memory");
  }
  conv_let_next_start();
  __syncthreads();
  conv_sums<K, K::KIND> sums(tid % K::THREADS);
  if (tid == K::THREADS)
    conv_produce<K>(a, at, &map, base, full, first, n_steps);
  __syncwarp();
  conv_wait_for_previous();
  const conv_ahead<K> ahead(a, at, tid % K::THREADS);
  if (tid < K::THREADS) {
    for (int i = 0, stage = 0, round = 0; i < n_steps; i++) {
      conv_barrier_wait(full + stage * 8, round & 1);
      sums.multiply(base + stage * K::STAGE);
      __syncwarp();
      if (tid % 32 == 0)
        conv_barrier_arrive(empty + stage * 8);
      if (++stage == K::STAGES) {
        stage = 0;
        round++;
      }
    }
  }
  __syncthreads();
  conv_end<K>(a, steps, at, sums, ahead, reinterpret_cast<float *>(begin), tid);
#endif
}

#endif
