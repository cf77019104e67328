/* SPDX-License-Identifier: Apache-2.0 */
/* The instances of the staged product: the first rows of the table. */
#include "backends/winograd/k_gemm.cuh"
#include "backends/winograd/k_group.cuh"
#include "backends/winograd/launch.cuh"

struct code {
  const void *kernel[2]; /* channels first, channels last */
  int threads, shared[2];
};
static const code CODE[] = {
#define WG_STAGED_TILE(unit, w, p, slice, warps_w, warps_p, stages, per_sm)                        \
  {{(const void *)wg_gemm_kernel<WG_##unit, false, w, p, slice, warps_w, warps_p, stages, per_sm>, \
    (const void *)wg_gemm_kernel<WG_##unit, true, p, w, slice, warps_p, warps_w, stages, per_sm>}, \
   32 * warps_w * warps_p,                                                                         \
   {wg_gemm_tile<WG_##unit, false, w, p, slice, warps_w, warps_p, stages>::shared,                 \
    wg_gemm_tile<WG_##unit, true, p, w, slice, warps_p, warps_w, stages>::shared}},
#define WG_GROUP_TILE(w, p, stages, per_sm)                     \
  {{(const void *)wg_group_kernel<false, p, w, stages, per_sm>, \
    (const void *)wg_group_kernel<true, p, w, stages, per_sm>}, \
   wg_group_tile<p, w, stages>::threads,                        \
   {wg_group_tile<p, w, stages>::shared, wg_group_tile<p, w, stages>::shared}},
#define WG_FUSED_TILE(unit, w)
#define WG_FEW_TILE(unit, w, p)
#include "backends/winograd/tiles.def"
#undef WG_STAGED_TILE
#undef WG_GROUP_TILE
#undef WG_FUSED_TILE
#undef WG_FEW_TILE
};

extern "C" struct wg_product wg_product_of(int tile, bool channels_last)
{
  const code *c = &CODE[tile];
  return {c->kernel[channels_last], c->threads, c->shared[channels_last]};
}
