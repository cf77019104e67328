/* SPDX-License-Identifier: Apache-2.0 */
/* What the host knows of the tiled convolution (conv_tile.cuh): its arguments, the table of compiled tiles, and
 * the packed form of the weights. Neither depends on gie's problems, so that a benchmark can drive them alone.
 *
 * A convolution is the product of a matrix A, whose rows are the result's pixels and whose columns are the
 * taps (r, s, c) with the channel innermost, and the weights B. Both are read in *chunks* of 16 bytes along
 * the taps; 8 chunks (128 bytes) are one *step*.
 *
 * Packed weights: [group][step][block of 8 result channels][8 x 128 bytes], the chunk number `c` of row `r` of
 * a block at place c ^ r, which is how a step lies in shared memory, without bank conflicts. What is beyond
 * the last tap or channel is zero. The channels of each (r, s) are filled up to a multiple of the *unit*: 1 for the
 * few channels of a first layer, a chunk, or more. */
#ifndef GIE_BACKENDS_CUDA_CONV_TILE_H
#define GIE_BACKENDS_CUDA_CONV_TILE_H

#include <cuda_runtime_api.h>
#include <gie/cuda_steps.h>
#include <stdint.h>

/* q = n / by for 0 ≤ n < 2^31 (Granlund, Montgomery 1994: multiply by the reciprocal, rounded up). */
struct conv_div {
  uint32_t by, mul, shift;
};

static inline struct conv_div conv_div_make(uint32_t by)
{
  struct conv_div d = {by, 0, 0};
  uint32_t log2 = 0;
  while (log2 < 31 && (1u << log2) < by)
    log2++;
  if (by > 1) {
    d.shift = log2 - 1;
    d.mul = (uint32_t)((((uint64_t)1 << (31 + log2)) + by - 1) / by);
  }
  return d;
}

enum conv_kind {
  CONV_F16,   /* f16, products exact, sums in f32 on the tensor cores */
  CONV_F32,   /* f32 on the ordinary units */
  CONV_TF32,  /* f32 with factors rounded to TF32 */
  CONV_TF32X3 /* f32: each factor is the sum of two TF32 numbers, three of the four products */
};

enum conv_loader {
  CONV_VECTOR, /* channels next to each other, pixels at multiples of 16 bytes: copied 16 bytes at a time */
  CONV_GATHER, /* any strides, taps in padded order */
  CONV_DENSE,  /* any strides, taps in dense order; a table of taps in shared memory */
  CONV_TMA     /* as CONV_VECTOR, by the copy engine */
};

#define CONV_MAX_DENSE_TAPS 1024
#define CONV_MAX_SPLIT 16

/* Strides in elements. Extents are per group. */
struct conv_args {
  const void *x, *w, *bias; /* bias NULL: none */
  void *y;
  int64_t x_n, y_n, y_p, y_c; /* y: image, pixel, channel */
  int32_t x_h, x_w, x_c;
  int32_t h, w_extent, c; /* of x */
  int32_t images, r;      /* of x; rows of taps */
  int32_t m, n;           /* pixels of all images, result channels */
  int32_t steps, chunks;  /* along the taps */
  int32_t blocks;         /* of 8 result channels in the packed weights */
  int32_t stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w;
  int32_t tiles_n, split;
  struct conv_div by_tiles_n, by_pixels, by_q; /* pixels of an image, of a row of the result */
  struct conv_div by_c, by_s; /* chunks (padded) or channels (dense) of one tap (r, s); taps of a row */
  int32_t flat;               /* CONV_TMA: pixels are rows of one map (set by the launch) */
  int32_t vector_y;           /* results may be stored 16 bytes at a time */
  /* Set by the launch. fast: whole vectors, and clip(sum + bias + residual, low, high) is all. */
  int32_t fast;
  float low, high;
  const void *residual; /* NULL: none */
  int64_t residual_n, residual_p;
};

/* A compiled tile. Kind and row are part of plans: rows of conv_tiles.def are only added at the end of a kind. */
struct conv_tile {
  const char *name;
  enum conv_kind kind;
  enum conv_loader loader;
  int m, n; /* the tile */
  int threads;
  int slices; /* groups of warps that share the steps */
  int stages;
  int box;       /* chunks of a box of CONV_TMA */
  size_t shared; /* bytes, without the table of taps */
  const void *function;
};

struct conv_tile_list {
  const struct conv_tile *v;
  int n;
};

static inline int64_t conv_round_up(int64_t v, int64_t to) { return (v + to - 1) / to * to; }

static inline int conv_element_size(enum conv_kind kind) { return kind == CONV_F16 ? 2 : 4; }

/* Shared memory of a launch. */
static inline size_t conv_shared(const struct conv_tile *t, const struct conv_args *a)
{
  size_t step = 128u / (unsigned)conv_element_size(t->kind);
  return t->shared + (t->loader == CONV_DENSE ? 8 * step * (size_t)a->steps : 0);
}

#ifdef __cplusplus
extern "C" {
#endif

extern const struct conv_tile_list conv_tiles_f16, conv_tiles_f32, conv_tiles_tf32, conv_tiles_tf32x3;

/* Fills in tiles and split. 1 ≤ split ≤ CONV_MAX_SPLIT, a power of two: thread blocks that share a tile's steps, which
 * is a cluster. */
void conv_args_tile(struct conv_args *a, const struct conv_tile *t, int split);
/* Lets the function use all the shared memory that a block can have, and clusters; before a launch. Fails where `shared`, which
 * the launch will ask for, is more. */
cudaError_t conv_tile_prepare(const struct conv_tile *t, size_t shared);
cudaError_t conv_tile_launch(const struct conv_tile *t, const struct conv_args *a, int groups,
                             const struct gie_cuda_steps *steps, bool early, cudaStream_t stream);

/* What the device and the code that was compiled for it can do. */
struct conv_limits {
  int major;     /* 8: products by warps; 9: clusters, the copy engine; 0: no device */
  size_t shared; /* bytes that a block can have */
};
struct conv_limits conv_limits_of(const void *function);

/* Whether the copy engine can read x, whatever its address. */
bool conv_tile_can_map(const struct conv_tile *t, const struct conv_args *a, int groups);

/* Elements that the channels of a tap are filled up to. */
static inline int conv_unit(const struct conv_tile *t)
{
  int chunk = 16 / conv_element_size(t->kind);
  return t->loader == CONV_DENSE ? 1 : t->loader == CONV_TMA ? t->box * chunk : chunk;
}

/* Weights as [group*n][c][r][s], or with the taps of a channel `strides` apart. */
struct conv_weights {
  int64_t groups, n, c, r, s; /* n, c per group */
  int64_t stride_n, stride_c, stride_r, stride_s;
};
int64_t conv_pack_steps(const struct conv_weights *w, int element_size, int unit);
size_t conv_pack_bytes(const struct conv_weights *w, int element_size, int unit);
void conv_pack(const struct conv_weights *w, int element_size, int unit, const void *plain, void *packed);
/* Fills in what depends on the order of taps. */
void conv_args_taps(struct conv_args *a, const struct conv_weights *w, int element_size, int unit);

#ifdef __cplusplus
}
#endif
#endif
