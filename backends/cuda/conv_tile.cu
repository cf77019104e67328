/* SPDX-License-Identifier: Apache-2.0 */
/* Host side of the tiled convolution: packing weights, launching (conv_tile.h). */
#include "backends/cuda/conv_tile.h"

#include <cuda.h>
#include <string.h>

void conv_args_tile(struct conv_args *a, const struct conv_tile *t, int split)
{
  a->tiles_n = (a->n + t->n - 1) / t->n;
  a->by_tiles_n = conv_div_make((uint32_t)a->tiles_n);
  a->split = split;
}

cudaError_t conv_tile_prepare(const struct conv_tile *t, size_t shared)
{
  cudaFuncAttributes code;
  int device, most = 0;
  cudaError_t e = cudaGetDevice(&device);
  if (e == cudaSuccess)
    e = cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  if (e == cudaSuccess)
    e = cudaFuncGetAttributes(&code, t->function);
  if (e == cudaSuccess && shared + code.sharedSizeBytes > (size_t)most)
    e = cudaErrorInvalidValue;
  /* the limit is the function's, not the convolution's: another one with the same tile must not lower it */
  if (e == cudaSuccess)
    e = cudaFuncSetAttribute(t->function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             most - (int)code.sharedSizeBytes);
  if (e == cudaSuccess)
    e = cudaFuncSetAttribute(t->function, cudaFuncAttributeNonPortableClusterSizeAllowed, 1);
  return e;
}

/* ---- Launching ------------------------------------------------------------------------------------- */

typedef CUresult tiled_fn(CUtensorMap *, CUtensorMapDataType, cuuint32_t, void *, const cuuint64_t *,
                          const cuuint64_t *, const cuuint32_t *, const cuuint32_t *, CUtensorMapInterleave,
                          CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill);
typedef CUresult encode_fn(CUtensorMap *, CUtensorMapDataType, cuuint32_t, void *, const cuuint64_t *,
                           const cuuint64_t *, const int *, const int *, cuuint32_t, cuuint32_t,
                           const cuuint32_t *, CUtensorMapInterleave, CUtensorMapSwizzle,
                           CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

/* The driver's functions that make tensor maps, or NULL; no library of the driver is linked. */
static void *find_function(const char *name, void **found)
{
  void *f = __atomic_load_n(found, __ATOMIC_ACQUIRE), *p = NULL;
  cudaDriverEntryPointQueryResult result;
  if (!f && cudaGetDriverEntryPointByVersion(name, &p, 12000, cudaEnableDefault, &result) == cudaSuccess &&
      result == cudaDriverEntryPointSuccess) {
    f = p;
    __atomic_store_n(found, f, __ATOMIC_RELEASE);
  }
  return f;
}

static CUtensorMapSwizzle swizzle_of(const struct conv_tile *t)
{
  return t->box == 8   ? CU_TENSOR_MAP_SWIZZLE_128B
         : t->box == 4 ? CU_TENSOR_MAP_SWIZZLE_64B
                       : CU_TENSOR_MAP_SWIZZLE_32B;
}

static CUtensorMapDataType type_of(const struct conv_tile *t)
{
  return t->kind == CONV_F16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
}

/* Whether each pixel of the result is one of x, and all pixels lie at the same distance. */
static bool is_flat(const struct conv_args *a)
{
  return a->r == 1 && a->by_s.by == 1 && a->stride_h == 1 && a->stride_w == 1 && a->pad_h == 0 &&
         a->pad_w == 0 && a->m == (int64_t)a->images * a->h * a->w_extent &&
         (a->h == 1 || a->x_h == (int64_t)a->w_extent * a->x_w || a->w_extent == 1) &&
         (a->images == 1 || a->h * a->w_extent == 1 || a->x_n == (int64_t)a->h * a->w_extent * a->x_w);
}

static bool make_flat_map(const struct conv_tile *t, const struct conv_args *a, int groups, const void *x,
                          CUtensorMap *map)
{
  static void *found;
  tiled_fn *encode = (tiled_fn *)find_function("cuTensorMapEncodeTiled", &found);
  int size = conv_element_size(t->kind);
  int64_t pitch = a->h * a->w_extent == 1 ? a->x_n : a->w_extent == 1 ? a->x_h : a->x_w;
  const cuuint64_t extent[] = {(cuuint64_t)a->c * (cuuint64_t)groups, (cuuint64_t)a->m};
  const cuuint64_t stride[] = {a->m == 1 ? (extent[0] * size + 15) / 16 * 16 : (cuuint64_t)pitch * size};
  const cuuint32_t box[] = {(cuuint32_t)(t->box * 16 / size), (cuuint32_t)t->m}, step[] = {1, 1};
  return encode && a->x_c == 1 && stride[0] % 16 == 0 && stride[0] != 0 && stride[0] >> 40 == 0 &&
         encode(map, type_of(t), 2, (void *)x, extent, stride, box, step, CU_TENSOR_MAP_INTERLEAVE_NONE,
                swizzle_of(t), CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
                CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

/* A map of x as the tile reads it. Of the bounding box that the first taps stay in, the end is such that a row has as many
 * places as the result. */
static bool make_box_map(const struct conv_tile *t, const struct conv_args *a, int groups, const void *x,
                         CUtensorMap *map)
{
  static void *found;
  encode_fn *encode = (encode_fn *)find_function("cuTensorMapEncodeIm2col", &found);
  int size = conv_element_size(t->kind), q = (int)a->by_q.by, p = (int)(a->by_pixels.by / a->by_q.by);
  const cuuint64_t extent[] = {(cuuint64_t)a->c * (cuuint64_t)groups, (cuuint64_t)a->w_extent,
                               (cuuint64_t)a->h, (cuuint64_t)a->images};
  cuuint64_t stride[] = {(cuuint64_t)a->x_w * size, (cuuint64_t)a->x_h * size, (cuuint64_t)a->x_n * size};
  const int lower[] = {-a->pad_w, -a->pad_h};
  const int upper[] = {(q - 1) * a->stride_w - a->pad_w - (a->w_extent - 1),
                       (p - 1) * a->stride_h - a->pad_h - (a->h - 1)};
  const cuuint32_t step[] = {1, (cuuint32_t)a->stride_w, (cuuint32_t)a->stride_h, 1};
  if (!encode || a->x_c != 1)
    return false;
  for (int i = 0; i < 2; i++)
    if (lower[i] < -128 || upper[i] < -128 || upper[i] > 127)
      return false;
  if (a->stride_w > 8 || a->stride_h > 8 || (a->r - 1) * a->dilation_h > 255 ||
      ((int)a->by_s.by - 1) * a->dilation_w > 255)
    return false;
  for (int i = 0; i < 3;
       i++) { /* where there is one place, the stride does not count, but must be a sound one */
    if (extent[i + 1] == 1)
      stride[i] = i == 0 ? (extent[0] * size + 15) / 16 * 16 : stride[i - 1] * extent[i];
    if (stride[i] % 16 != 0 || stride[i] == 0 || stride[i] >> 40 != 0)
      return false;
  }
  return encode(map, type_of(t), 4, (void *)x, extent, stride, lower, upper, (cuuint32_t)(t->box * 16 / size),
                (cuuint32_t)t->m, step, CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle_of(t),
                CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

static bool make_map(const struct conv_tile *t, const struct conv_args *a, int groups, const void *x,
                     CUtensorMap *map)
{
  return is_flat(a) ? make_flat_map(t, a, groups, x, map) : make_box_map(t, a, groups, x, map);
}

bool conv_tile_can_map(const struct conv_tile *t, const struct conv_args *a, int groups)
{
  CUtensorMap map;
  /* channels past the last of a group are those of the next one, whose infinities would meet zeros */
  return (groups == 1 || a->c % conv_unit(t) == 0) &&
         make_map(t, a, groups, (const void *)(uintptr_t)65536, &map);
}

/* Whether the fast end will do, and what it is. */
static void set_end(struct conv_args *a, const struct gie_cuda_steps *s, int element_size)
{
  const struct gie_cuda_step *add = &s->step[0];
  bool none = s->kind == GIE_CUDA_STEPS_NONE, clip = s->kind == GIE_CUDA_STEPS_CLIP;
  bool relu = !none && !clip && s->n == 2 && s->step[1].op == GIE_CUDA_STEP_RELU;
  bool adds = !none && !clip && (s->n == 1 || relu) && add->op == GIE_CUDA_STEP_ADD && add->operand >= 0 &&
              add->stride_c == 1 && add->aligned >= 16 && (add->half != 0) == (element_size == 2);
  a->vector_y = a->vector_y && a->y_c == 1 && a->n % (16 / element_size) == 0;
  a->fast = a->vector_y && (uintptr_t)a->bias % 16 == 0 && (none || clip || adds);
  a->low = clip ? s->low : relu ? 0.0f : -INFINITY;
  a->high = clip ? s->high : INFINITY;
  a->residual = adds ? add->data : NULL;
  a->residual_n = adds ? add->stride_n : 0;
  a->residual_p = adds ? add->stride_p : 0;
}

cudaError_t conv_tile_launch(const struct conv_tile *t, const struct conv_args *a, int groups,
                             const struct gie_cuda_steps *steps, bool early, cudaStream_t stream)
{
  CUtensorMap map;
  struct conv_args full = *a;
  void *args[] = {&full, (void *)steps, &map};
  cudaLaunchAttribute attr[2];
  cudaLaunchConfig_t c = {};
  full.flat = is_flat(a);
  set_end(&full, steps, conv_element_size(t->kind));
  if (t->loader == CONV_TMA && !make_map(t, a, groups, a->x, &map))
    return cudaErrorInvalidValue;
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

struct conv_limits conv_limits_of(const void *function)
{
  int device, major, shared;
  struct cudaFuncAttributes f;
  struct conv_limits l = {0, 0};
  if (cudaGetDevice(&device) == cudaSuccess &&
      cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess &&
      cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, device) == cudaSuccess &&
      cudaFuncGetAttributes(&f, function) == cudaSuccess) {
    l.major = f.ptxVersion / 10 < major ? f.ptxVersion / 10 : major;
    l.shared = (size_t)shared;
  } else {
    (void)cudaGetLastError();
  }
  return l;
}

/* ---- Packing --------------------------------------------------------------------------------------- */

int64_t conv_pack_steps(const struct conv_weights *w, int element_size, int unit)
{
  int64_t step = 128 / element_size;
  return (w->r * w->s * conv_round_up(w->c, unit) + step - 1) / step;
}

size_t conv_pack_bytes(const struct conv_weights *w, int element_size, int unit)
{
  return (size_t)(w->groups * conv_pack_steps(w, element_size, unit) * ((w->n + 7) / 8) * 1024);
}

void conv_args_taps(struct conv_args *a, const struct conv_weights *w, int element_size, int unit)
{
  int64_t c = conv_round_up(w->c, unit), chunk = unit == 1 ? 1 : 16 / element_size;
  a->steps = (int32_t)conv_pack_steps(w, element_size, unit);
  a->chunks = (int32_t)(w->r * w->s * c / chunk);
  a->by_c = conv_div_make((uint32_t)(c / chunk));
  a->by_s = conv_div_make((uint32_t)w->s);
}

/* Puts the taps of one result channel in their places: `row` is its row of the first step, steps are `step` bytes
 * apart. */
template <class T>
static void pack_row(const struct conv_weights *w, int64_t c_n, const T *from, int swizzle, char *row,
                     int64_t step)
{
  const int64_t in_chunk = 16 / (int64_t)sizeof(T), in_step = 8 * in_chunk;
  for (int64_t r = 0; r < w->r; r++)
    for (int64_t s = 0; s < w->s; s++) {
      const T *tap = from + r * w->stride_r + s * w->stride_s;
      for (int64_t c = 0, k = (r * w->s + s) * c_n; c < w->c; c++, k++) {
        int64_t place = k / in_chunk % 8 ^ swizzle;
        ((T *)(row + k / in_step * step))[place * in_chunk + k % in_chunk] = tap[c * w->stride_c];
      }
    }
}

void conv_pack(const struct conv_weights *w, int element_size, int unit, const void *plain, void *packed)
{
  int64_t steps = conv_pack_steps(w, element_size, unit), step = (w->n + 7) / 8 * 1024,
          c_n = conv_round_up(w->c, unit);
  memset(packed, 0, conv_pack_bytes(w, element_size, unit));
  for (int64_t g = 0; g < w->groups; g++)
    for (int64_t n = 0; n < w->n; n++) {
      char *row = (char *)packed + g * steps * step + n / 8 * 1024 + n % 8 * 128;
      int64_t from = (g * w->n + n) * w->stride_n;
      if (element_size == 2)
        pack_row(w, c_n, (const uint16_t *)plain + from, (int)(n % 8), row, step);
      else
        pack_row(w, c_n, (const uint32_t *)plain + from, (int)(n % 8), row, step);
    }
}
