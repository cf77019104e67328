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

#include "backends/cuda/conv_end.cuh"
#include "backends/cuda/conv_read.cuh"

/* ---- The kernel -------------------------------------------------------------------------------------------- */

template <class K>
__global__ void __launch_bounds__(K::THREADS)
    conv_tile_run(const __grid_constant__ conv_args a, const __grid_constant__ gie_cuda_steps steps)
{
#if __CUDA_ARCH__ >= 800
  extern __shared__ __align__(1024) char shared[];
  const int tid = static_cast<int>(threadIdx.x);
  const conv_place at = conv_find_place(a, K::M, K::N);
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
  conv_read_first<K>(reader, a, base, first, n_steps);
  const conv_ahead<K> ahead(a, at, tid);
  int stage = 0, next = K::STAGES - 1;
  for (int i = 0; i < n_steps; i++) {
    conv_copy_wait<K::STAGES - 2>();
    __syncthreads();
    const bool more = i + K::STAGES - 1 < n_steps;
    if (more)
      weights.read(base + next * K::STAGE);
    if constexpr (K::LOADER == CONV_VECTOR) {
      if (more)
        reader.read(a, base + next * K::STAGE);
      conv_copy_commit();
      sums.multiply(base + stage * K::STAGE);
    } else {
      typename conv_chunks<K>::held h;
      conv_copy_commit();
      if (more)
        reader.fetch(a, first + i + K::STAGES - 1, h);
      sums.multiply(base + stage * K::STAGE);
      if (more)
        reader.put(base + next * K::STAGE, h);
    }
    stage = stage + 1 == K::STAGES ? 0 : stage + 1;
    next = next + 1 == K::STAGES ? 0 : next + 1;
  }
  conv_let_next_start();
  conv_copy_wait<0>();
  __syncthreads();

  conv_end<K>(a, steps, at, sums, ahead, reinterpret_cast<float *>(shared), tid);
#endif
}

/* ---- Rows of conv_tiles.def as elements of a table ------------------------------------------------------------ */

#define CONV_TILE_ROW(KIND_, LOADER_, M_, N_, WM_, WN_, SLICES_, STAGES_, BOX_, MORE_, FUNCTION_)            \
  {                                                                                                          \
      .name = #KIND_ " " #LOADER_ " " #M_ "x" #N_,                                                           \
      .kind = CONV_##KIND_,                                                                                  \
      .loader = CONV_##LOADER_,                                                                              \
      .m = M_,                                                                                               \
      .n = N_,                                                                                               \
      .threads = 32 * WM_ * WN_ * SLICES_ + MORE_,                                                           \
      .slices = SLICES_,                                                                                     \
      .stages = STAGES_,                                                                                     \
      .box = BOX_,                                                                                           \
      .shared = conv_shape<CONV_##KIND_, CONV_##LOADER_, M_, N_, WM_, WN_, SLICES_, STAGES_, BOX_>::SHARED + \
                conv_shape<CONV_##KIND_, CONV_##LOADER_, M_, N_, WM_, WN_, SLICES_, STAGES_, BOX_>::EXTRA,   \
      .function = reinterpret_cast<const void *>(                                                            \
          FUNCTION_<conv_shape<CONV_##KIND_, CONV_##LOADER_, M_, N_, WM_, WN_, SLICES_, STAGES_, BOX_>>),    \
  },
#define CONV_TILE(KIND_, LOADER_, M_, N_, WM_, WN_, SLICES_, STAGES_) \
  CONV_TILE_ROW(KIND_, LOADER_, M_, N_, WM_, WN_, SLICES_, STAGES_, 8, 0, conv_tile_run)
#define CONV_TILE_TMA(KIND_, BOX_, M_, N_, WM_, WN_, SLICES_, STAGES_) \
  CONV_TILE_ROW(KIND_, TMA, M_, N_, WM_, WN_, SLICES_, STAGES_, BOX_, 32, conv_tma_run)

#endif
