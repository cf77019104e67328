/* SPDX-License-Identifier: Apache-2.0 */
/* The module of the layers' kernels for CUDA devices. Their ops, and the kernels that these are compared with, are in
 * detection.c. NonMaxSuppression has none: the size of its result depends on values. */
#include "plugins/detection/detection.h"

static const struct {
  const char *op;
  const struct det_layer *layer;
} layers[] = {
    {"caffe::PriorBox", &det_cuda_prior_box},         {"caffe::DetectionOutput", &det_cuda_detection_output},
    {"caffe::Proposal", &det_cuda_proposal},          {"caffe::ROIPooling", &det_cuda_roi_pooling},
    {"caffe::PSROIPooling", &det_cuda_psroi_pooling}, {"ai.onnx::RoiAlign", &det_cuda_roi_align},
    {"detection::YoloDecode", &det_cuda_yolo_decode},
};
#define N_LAYERS (sizeof layers / sizeof layers[0])

static gie_status init(const struct gie_host *host, void **state)
{
  static struct gie_kernel kernels[N_LAYERS];
  static const char *ops[N_LAYERS][2];
  (void)state;
  for (size_t i = 0; i < N_LAYERS; i++) {
    ops[i][0] = layers[i].op;
    det_kernel(layers[i].layer, "cuda", ops[i], &kernels[i]);
    GIE_TRY(host->register_kernel(host, &kernels[i]));
  }
  return GIE_OK;
}

GIE_MODULE("detection_cuda", GIE_MODULE_KERNEL, init)
