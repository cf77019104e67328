/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled tiles of the convolution. f32 on the tensor cores: three TF32 products for one. */
#include "backends/cuda/conv_tma.cuh"

static const struct conv_tile TILES[] = {
#define CONV_TILES_TF32X3
#include "backends/cuda/conv_tiles.def"
};

extern "C" const struct conv_tile_list conv_tiles_tf32x3 = {TILES, sizeof TILES / sizeof *TILES};
