/* SPDX-License-Identifier: Apache-2.0 */
/* Order and greedy suppression of boxes by one block of threads: the same boxes in the same order as select.c has. */
#ifndef GIE_PLUGINS_DETECTION_SELECT_CUH
#define GIE_PLUGINS_DETECTION_SELECT_CUH

#include "plugins/detection/element.h"
#include <gie/cuda.h>

#define DET_THREADS 1024
#define DET_WARPS (DET_THREADS / 32)
#define DET_CHUNK 2048 /* keys that are sorted in shared memory */
#define DET_NEAR 1536  /* kept boxes that are there */
#define DET_NO_KEY (~0ull)

/* A score and its index as a number: the smaller one is the better. NaN is last. Two zeros are equal. */
static __device__ __forceinline__ uint64_t det_key(float score, uint32_t index)
{
  uint32_t u = __float_as_uint(score + 0.0f);
  u = isnan(score) ? 0 : u >> 31 ? ~u : u | 0x80000000u;
  return uint64_t(~u) << 32 | index;
}

static __device__ __forceinline__ uint32_t det_key_index(uint64_t key) { return uint32_t(key); }

static __device__ __forceinline__ float det_key_score(uint64_t key)
{
  uint32_t u = ~uint32_t(key >> 32);
  return u == 0 ? nanf("") : __uint_as_float(u >> 31 ? u & 0x7fffffffu : ~u);
}

static __host__ __device__ __forceinline__ uint32_t det_power(uint32_t n)
{
  uint32_t p = 1;
  while (p < n)
    p *= 2;
  return p;
}

/* ---- Bitonic sort, ascending. n is a power of two; all threads of the block take part */

static __device__ __forceinline__ void det_exchange(uint64_t *v, uint32_t i, uint32_t step, bool up)
{
  uint32_t a = 2 * i - (i & (step - 1)), b = a + step;
  uint64_t x = v[a], y = v[b];
  if ((x > y) == up) {
    v[a] = y;
    v[b] = x;
  }
}

/* Runs of `from` to `to` keys become sorted, in the chunk of n keys that begins at `base` of the whole. */
static __device__ void det_sort_chunk(uint64_t *v, uint32_t base, uint32_t n, uint32_t from, uint32_t to)
{
  __shared__ uint64_t s[DET_CHUNK];
  for (uint32_t i = threadIdx.x; i < n; i += DET_THREADS)
    s[i] = v[base + i];
  __syncthreads();
  for (uint32_t run = from; run <= to; run *= 2)
    for (uint32_t step = (run < n ? run : n) / 2; step > 0; step /= 2) {
      for (uint32_t i = threadIdx.x; i < n / 2; i += DET_THREADS)
        det_exchange(s, i, step, ((base + 2 * i - (i & (step - 1))) & run) == 0);
      __syncthreads();
    }
  for (uint32_t i = threadIdx.x; i < n; i += DET_THREADS)
    v[base + i] = s[i];
  __syncthreads();
}

static __device__ void det_sort_block(uint64_t *v, uint32_t n)
{
  uint32_t chunk = n < DET_CHUNK ? n : DET_CHUNK;
  for (uint32_t base = 0; base < n; base += chunk)
    det_sort_chunk(v, base, chunk, 2, chunk);
  for (uint32_t run = 2 * chunk; run <= n && run; run *= 2) {
    for (uint32_t step = run / 2; step >= chunk; step /= 2) {
      for (uint32_t i = threadIdx.x; i < n / 2; i += DET_THREADS)
        det_exchange(v, i, step, ((2 * i - (i & (step - 1))) & run) == 0);
      __syncthreads();
    }
    for (uint32_t base = 0; base < n; base += chunk)
      det_sort_chunk(v, base, chunk, run, run);
  }
}

/* ---- Sums: what the threads before this one have, and in *total what all have */

static __device__ uint32_t det_sum_before(uint32_t v, uint32_t *total)
{
  __shared__ uint32_t sums[DET_WARPS];
  uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, sum = v, before = 0, all = 0;
  for (uint32_t d = 1; d < 32; d *= 2) {
    uint32_t other = __shfl_up_sync(~0u, sum, d);
    sum += lane >= d ? other : 0;
  }
  __syncthreads();
  if (lane == 31)
    sums[warp] = sum;
  __syncthreads();
  for (uint32_t w = 0; w < DET_WARPS; w++) {
    before += w < warp ? sums[w] : 0;
    all += sums[w];
  }
  *total = all;
  return before + sum - v;
}

/* ---- Suppression: a warp for each of as many boxes as there are warps, against those that are kept and the ones
 * before it; then one after the other is judged. While the threshold shrinks, one box at a time. */

struct det_suppressing {
  const struct det_box *boxes; /* by index */
  float threshold, eta, pixel;
  uint32_t max;
};

/* Whether a box overlaps one of those that are kept; the lanes of a warp share the work. */
static __device__ __forceinline__ bool det_hits(const struct det_suppressing &s, const struct det_box *box,
                                                const struct det_box *near, const uint64_t *v, uint32_t kept,
                                                float threshold)
{
  uint32_t lane = threadIdx.x % 32;
  bool hit = false;
  for (uint32_t from = 0; from < kept && !hit; from += 32) {
    uint32_t k = from + lane;
    bool is = false;
    if (k < kept) {
      const struct det_box *other = k < DET_NEAR ? &near[k] : &s.boxes[det_key_index(v[k])];
      is = !(det_iou(box, other, s.pixel) <= threshold);
    }
    hit = __any_sync(~0u, is);
  }
  return hit;
}

/* Bits of the boxes of a batch that are kept. */
static __device__ __forceinline__ uint32_t det_judge(const bool *out, const uint32_t *over, uint32_t n,
                                                     uint32_t room)
{
  uint32_t keep = 0;
  for (uint32_t w = 0; w < n && room > 0; w++)
    if (!out[w] && !(over[w] & keep)) {
      keep |= 1u << w;
      room--;
    }
  return keep;
}

static __device__ uint32_t det_suppress_block(const struct det_suppressing &s, uint64_t *v, uint32_t n)
{
  __shared__ uint64_t key[DET_WARPS];
  __shared__ struct det_box box[DET_WARPS], near[DET_NEAR];
  __shared__ uint32_t over[DET_WARPS];
  __shared__ bool out[DET_WARPS];
  uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, kept = 0;
  float threshold = s.threshold;
  for (uint32_t i = 0; i < n && kept < s.max;) {
    bool shrinks = s.eta < 1 && threshold > 0.5f;
    uint32_t batch = shrinks ? 1 : n - i < DET_WARPS ? n - i : DET_WARPS;
    if (threadIdx.x < batch) {
      key[threadIdx.x] = v[i + threadIdx.x];
      box[threadIdx.x] = s.boxes[det_key_index(key[threadIdx.x])];
    }
    __syncthreads();
    if (warp < batch) {
      bool hit = det_hits(s, &box[warp], near, v, kept, threshold);
      bool before = lane < warp && !(det_iou(&box[warp], &box[lane], s.pixel) <= threshold);
      uint32_t bits = __ballot_sync(~0u, before);
      if (lane == 0) {
        out[warp] = hit;
        over[warp] = bits;
      }
    }
    __syncthreads();
    uint32_t keep = det_judge(out, over, batch, s.max - kept);
    if (threadIdx.x < batch && keep >> threadIdx.x & 1) {
      uint32_t to = kept + __popc(keep & ((1u << threadIdx.x) - 1));
      v[to] = key[threadIdx.x];
      if (to < DET_NEAR)
        near[to] = box[threadIdx.x];
    }
    kept += __popc(keep);
    if (shrinks && keep)
      threshold *= s.eta;
    i += batch;
    __syncthreads();
  }
  return kept;
}

#endif
