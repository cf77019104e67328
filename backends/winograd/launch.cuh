/* SPDX-License-Identifier: Apache-2.0 */
/* Launches, and geometry as the device code takes it. */
#ifndef GIE_WINOGRAD_LAUNCH_CUH
#define GIE_WINOGRAD_LAUNCH_CUH

#include "backends/winograd/k_common.cuh"

/* Every kernel may start before the one in front has ended: it waits before it touches what others write. cluster: blocks
 * along z that share memory. */
static inline cudaError_t wg_launch(const void *kernel, dim3 grid, int threads, int shared,
                                    cudaStream_t stream, int cluster, void **args)
{
  cudaLaunchAttribute attr[2];
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = dim3((unsigned)threads);
  config.dynamicSmemBytes = (size_t)shared;
  config.stream = stream;
  config.attrs = attr;
  attr[config.numAttrs].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attr[config.numAttrs++].val.programmaticStreamSerializationAllowed = 1;
  if (cluster > 1) {
    attr[config.numAttrs].id = cudaLaunchAttributeClusterDimension;
    attr[config.numAttrs].val.clusterDim.x = attr[config.numAttrs].val.clusterDim.y = 1;
    attr[config.numAttrs++].val.clusterDim.z = (unsigned)cluster;
  }
  return cudaLaunchKernelExC(&config, kernel, args);
}

/* Copies that do not wait and TF32 came with compute capability 8, clusters with 9. */
static inline cudaError_t wg_check_device(bool clusters)
{
  int device, major;
  cudaError_t e = cudaGetDevice(&device);
  if (e == cudaSuccess)
    e = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
  return e != cudaSuccess ? e : major >= (clusters ? 9 : 8) ? cudaSuccess : cudaErrorNotSupported;
}

/* Tiles of m×m, `count` of them from `first` on. */
static inline wg_geometry wg_geometry_of(const wg_problem *p, int m, int64_t first, int64_t count)
{
  const int64_t tiles_x = (p->s.ow + m - 1) / m, tiles_y = (p->s.oh + m - 1) / m;
  wg_geometry g = {};
  g.n = (int)p->s.n, g.c = (int)p->s.c, g.h = (int)p->s.h, g.w = (int)p->s.w;
  g.k = (int)p->s.k, g.oh = (int)p->s.oh, g.ow = (int)p->s.ow;
  g.pad_h = (int)p->s.pad_h, g.pad_w = (int)p->s.pad_w;
  g.tiles_x = wg_divider_of(tiles_x);
  g.tiles = wg_divider_of(tiles_x * tiles_y);
  g.first = (int)first, g.count = (int)count;
  g.x_n = p->x_n, g.x_c = p->x_c, g.y_n = p->y_n, g.y_c = p->y_c;
  g.x_h = (int)p->x_h, g.x_w = (int)p->x_w, g.y_h = (int)p->y_h, g.y_w = (int)p->y_w;
  return g;
}

/* Whether a row of a tile can be stored at once: channels first, whole tiles, aligned. */
static inline bool wg_rows_are_vectors(const wg_problem *p, int m, const void *y)
{
  const size_t size = (p->dtype == GIE_F16 ? 2 : 4) * (size_t)m;
  return !p->channels_last && (m & (m - 1)) == 0 && p->s.ow % m == 0 && (size_t)y % size == 0 &&
         p->y_h % m == 0 && p->y_c % m == 0 && p->y_n % m == 0;
}

/* Whether n channels of a pixel can be stored at once: channels last, a multiple of n, aligned. */
static inline bool wg_channels_are_vectors(const wg_problem *p, int n, const void *y)
{
  const size_t size = (p->dtype == GIE_F16 ? 2 : 4) * (size_t)n;
  return p->channels_last && p->s.k % n == 0 && (size_t)y % size == 0 && p->y_w % n == 0 && p->y_h % n == 0 &&
         p->y_n % n == 0;
}

#endif
