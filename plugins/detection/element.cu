/* SPDX-License-Identifier: Apache-2.0 */
/* Layers whose elements do not depend on each other, on CUDA devices: a thread for each. */
#include "plugins/detection/element.h"
#include <gie/cuda.h>

#define THREADS 256
#define MOST_BLOCKS (1 << 20)

/* Blocks of threads that go through n elements in turns. */
static unsigned blocks_for(int64_t n)
{
  int64_t blocks = (n + THREADS - 1) / THREADS;
  return unsigned(blocks < MOST_BLOCKS ? blocks : MOST_BLOCKS);
}

#define FOR_ELEMENTS(i, n) \
  for (int64_t i = blockIdx.x * int64_t(THREADS) + threadIdx.x; i < (n); i += int64_t(gridDim.x) * THREADS)

/* ---- PriorBox: a thread writes a box and its variances */

__global__ void __launch_bounds__(THREADS)
    prior_box(const __grid_constant__ struct det_prior p, int64_t n, float *to)
{
  FOR_ELEMENTS(i, n)
  {
    int64_t cell = i / p.n;
    det_prior_box_at(&p, cell % p.w, cell / p.w, uint32_t(i % p.n), to + 4 * i);
    for (int k = 0; k < 4; k++)
      to[4 * (n + i) + k] = p.variance[k];
  }
}

static gie_status run_prior_box(const struct det_node *n, const struct gie_launch *l)
{
  struct det_prior p;
  det_prior_read(n, &p);
  int64_t boxes = p.w * p.h * p.n;
  if (boxes == 0)
    return GIE_OK;
  prior_box<<<blocks_for(boxes), THREADS, 0, gie_cuda_stream(l)>>>(p, boxes, static_cast<float *>(l->out[0]));
  return gie_cuda_launched(l->ctx, "launching a prior_box");
}

/* ---- YoloDecode: blocks with y = 0 write boxes, the others the scores of class y - 1 */

__global__ void __launch_bounds__(THREADS)
    yolo(const __grid_constant__ struct det_yolo m, int64_t images, const float *x, float *box, float *score)
{
  int64_t boxes = m.w * m.h * m.anchors, of_image = boxes * (5 + m.classes);
  FOR_ELEMENTS(i, images * boxes)
  {
    int64_t image = i / boxes, b = i % boxes, a = b % m.anchors, cell = b / m.anchors;
    const float *map = x + image * of_image;
    if (blockIdx.y == 0)
      det_yolo_box(&m, map, a, cell, box + 4 * i);
    for (int64_t c = blockIdx.y; score && c < m.classes; c += gridDim.y)
      score[(image * m.classes + c) * boxes + b] = det_yolo_score(&m, map, a, c, cell);
  }
}

static gie_status run_yolo(const struct det_node *n, const struct gie_launch *l)
{
  struct det_yolo m;
  det_yolo_read(n, &m);
  int64_t images = n->in[0].dim[0], boxes = images * m.w * m.h * m.anchors;
  if (boxes == 0)
    return GIE_OK;
  const dim3 grid(blocks_for(boxes), unsigned(m.classes < 64 ? m.classes : 64));
  yolo<<<grid, THREADS, 0, gie_cuda_stream(l)>>>(m, images, static_cast<const float *>(l->in[0]),
                                                 static_cast<float *>(l->out[0]),
                                                 static_cast<float *>(n->n_out > 1 ? l->out[1] : nullptr));
  return gie_cuda_launched(l->ctx, "launching a yolo_decode");
}

/* ---- Regions: a thread for each element of the result */

__global__ void __launch_bounds__(THREADS)
    roi(const __grid_constant__ struct det_pool p, const float *x, const float *rois, float *to)
{
  int64_t bins = p.out_h * p.out_w, of_region = p.out_c * bins;
  FOR_ELEMENTS(i, p.regions * of_region)
  {
    const struct det_region r = det_roi_region(&p, rois + 5 * (i / of_region));
    to[i] = det_roi_bin(&p, x, &r, i % of_region / bins, i % bins);
  }
}

__global__ void __launch_bounds__(THREADS)
    psroi(const __grid_constant__ struct det_pool p, const float *x, const float *rois, float *to)
{
  int64_t of_region = p.out_c * p.out_h * p.out_w;
  FOR_ELEMENTS(i, p.regions * of_region)
  {
    const struct det_region r = det_psroi_region(&p, rois + 5 * (i / of_region));
    to[i] = det_psroi_bin(&p, x, &r, i % of_region);
  }
}

__global__ void __launch_bounds__(THREADS) align(const __grid_constant__ struct det_align a, const float *x,
                                                 const float *rois, const int64_t *images, float *to)
{
  int64_t bins = a.p.out_h * a.p.out_w, of_region = a.p.out_c * bins;
  FOR_ELEMENTS(i, a.p.regions * of_region)
  {
    int64_t region = i / of_region;
    const struct det_region r = det_align_region(&a, rois + 4 * region, images[region]);
    to[i] = det_align_bin(&a, x, &r, i % of_region / bins, i % bins);
  }
}

static gie_status run_roi(const struct det_node *n, const struct gie_launch *l)
{
  struct det_pool p;
  det_pool_read(n, &p);
  int64_t count = p.regions * p.out_c * p.out_h * p.out_w;
  if (count > 0)
    roi<<<blocks_for(count), THREADS, 0, gie_cuda_stream(l)>>>(p, static_cast<const float *>(l->in[0]),
                                                               static_cast<const float *>(l->in[1]),
                                                               static_cast<float *>(l->out[0]));
  return gie_cuda_launched(l->ctx, "launching a roi_pooling");
}

static gie_status run_psroi(const struct det_node *n, const struct gie_launch *l)
{
  struct det_pool p;
  det_pool_read(n, &p);
  int64_t count = p.regions * p.out_c * p.out_h * p.out_w;
  if (count > 0)
    psroi<<<blocks_for(count), THREADS, 0, gie_cuda_stream(l)>>>(p, static_cast<const float *>(l->in[0]),
                                                                 static_cast<const float *>(l->in[1]),
                                                                 static_cast<float *>(l->out[0]));
  return gie_cuda_launched(l->ctx, "launching a psroi_pooling");
}

static gie_status run_align(const struct det_node *n, const struct gie_launch *l)
{
  struct det_align a;
  det_align_read(n, &a);
  int64_t count = a.p.regions * a.p.out_c * a.p.out_h * a.p.out_w;
  if (count > 0)
    align<<<blocks_for(count), THREADS, 0, gie_cuda_stream(l)>>>(a, static_cast<const float *>(l->in[0]),
                                                                 static_cast<const float *>(l->in[1]),
                                                                 static_cast<const int64_t *>(l->in[2]),
                                                                 static_cast<float *>(l->out[0]));
  return gie_cuda_launched(l->ctx, "launching a roi_align");
}

const struct det_layer det_cuda_prior_box = {nullptr, "detection_cuda.prior_box", run_prior_box, nullptr};
const struct det_layer det_cuda_yolo_decode = {nullptr, "detection_cuda.yolo_decode", run_yolo, nullptr};
const struct det_layer det_cuda_roi_pooling = {nullptr, "detection_cuda.roi_pooling", run_roi, nullptr};
const struct det_layer det_cuda_psroi_pooling = {nullptr, "detection_cuda.psroi_pooling", run_psroi, nullptr};
const struct det_layer det_cuda_roi_align = {nullptr, "detection_cuda.roi_align", run_align, nullptr};
