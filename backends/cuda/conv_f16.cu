/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled tiles of the convolution. Half precision on the tensor cores, sums in f32. */
#include "backends/cuda/conv_tma.cuh"

static const struct conv_tile TILES[] = {
#define CONV_TILES_F16
#include "backends/cuda/conv_tiles.def"
};

extern "C" const struct conv_tile_list conv_tiles_f16 = {TILES, sizeof TILES / sizeof *TILES};
