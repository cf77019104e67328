/* SPDX-License-Identifier: Apache-2.0 */
/* Host side of the tiled convolution: packing weights, launching (conv_tile.h). */
#include "backends/cuda/conv_tile.h"

#include <string.h>

void conv_args_tile(struct conv_args *a, const struct conv_tile *t, int split)
{
  a->tiles_n = (a->n + t->n - 1) / t->n;
  a->by_tiles_n = conv_div_make((uint32_t)a->tiles_n);
  a->split = split;
}

cudaError_t conv_tile_prepare(const struct conv_tile *t, size_t shared)
{
  cudaError_t e = cudaFuncSetAttribute(t->function, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared);
  if (e == cudaSuccess)
    e = cudaFuncSetAttribute(t->function, cudaFuncAttributeNonPortableClusterSizeAllowed, 1);
  return e;
}

cudaError_t conv_tile_launch(const struct conv_tile *t, const struct conv_args *a, int groups,
                             const struct gie_cuda_steps *steps, bool early, cudaStream_t stream)
{
  void *args[] = {(void *)a, (void *)steps};
  cudaLaunchAttribute attr[2];
  cudaLaunchConfig_t c = {};
  unsigned tiles = (unsigned)((a->m + t->m - 1) / t->m) * (unsigned)a->tiles_n;
  c.gridDim = dim3(tiles * (unsigned)a->split, (unsigned)groups);
  c.blockDim = dim3((unsigned)t->threads);
  c.dynamicSmemBytes = conv_shared(t, a);
  c.stream = stream;
  c.attrs = attr;
  if (a->split > 1) {
    attr[c.numAttrs].id = cudaLaunchAttributeClusterDimension;
    attr[c.numAttrs].val.clusterDim.x = (unsigned)a->split;
    attr[c.numAttrs].val.clusterDim.y = attr[c.numAttrs].val.clusterDim.z = 1;
    c.numAttrs++;
  }
  if (early) {
    attr[c.numAttrs].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attr[c.numAttrs].val.programmaticStreamSerializationAllowed = 1;
    c.numAttrs++;
  }
  return cudaLaunchKernelExC(&c, t->function, args);
}

/* ---- Packing --------------------------------------------------------------------------------------- */

static int64_t round_up(int64_t v, int64_t to) { return (v + to - 1) / to * to; }

int64_t conv_pack_steps(const struct conv_weights *w, int element_size, bool dense)
{
  int64_t chunk = 16 / element_size, c = dense ? w->c : round_up(w->c, chunk);
  return (w->r * w->s * c + 8 * chunk - 1) / (8 * chunk);
}

size_t conv_pack_bytes(const struct conv_weights *w, int element_size, bool dense)
{
  return (size_t)(w->groups * conv_pack_steps(w, element_size, dense) * ((w->n + 7) / 8) * 1024);
}

/* Copies the taps of one channel: `row` is its row of the first step, steps are `step` bytes apart. */
static void pack_row(const struct conv_weights *w, int element_size, bool dense, const char *from,
                     int swizzle, char *row, int64_t step)
{
  int64_t chunk = 16 / element_size, c_n = dense ? w->c : round_up(w->c, chunk);
  for (int64_t r = 0; r < w->r; r++)
    for (int64_t s = 0; s < w->s; s++)
      for (int64_t c = 0; c < w->c; c++) {
        int64_t k = (r * w->s + s) * c_n + c, at = k / chunk;
        char *to = row + at / 8 * step + ((at % 8) ^ swizzle) * 16 + k % chunk * element_size;
        memcpy(to, from + (c * w->stride_c + r * w->stride_r + s * w->stride_s) * element_size,
               (size_t)element_size);
      }
}

void conv_pack(const struct conv_weights *w, int element_size, bool dense, const void *plain, void *packed)
{
  int64_t steps = conv_pack_steps(w, element_size, dense), step = (w->n + 7) / 8 * 1024;
  memset(packed, 0, conv_pack_bytes(w, element_size, dense));
  for (int64_t g = 0; g < w->groups; g++)
    for (int64_t n = 0; n < w->n; n++)
      pack_row(w, element_size, dense, (const char *)plain + (g * w->n + n) * w->stride_n * element_size,
               (int)(n % 8), (char *)packed + g * steps * step + n / 8 * 1024 + n % 8 * 128, step);
}
