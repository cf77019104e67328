/* SPDX-License-Identifier: Apache-2.0 */
/* The module: its layers. */
#include "plugins/detection/detection.h"

static const struct det_layer *const layers[] = {
    &det_prior_box, &det_detection_output, &det_non_max_suppression, &det_yolo_decode,
    &det_proposal,  &det_roi_pooling,      &det_psroi_pooling,       &det_roi_align,
};
#define N_LAYERS (sizeof layers / sizeof layers[0])

static gie_status init(const struct gie_host *host, void **state)
{
  static struct gie_kernel kernels[N_LAYERS];
  static const char *ops[N_LAYERS][2];
  (void)state;
  for (size_t i = 0; i < N_LAYERS; i++) {
    ops[i][0] = layers[i]->op->name;
    det_kernel(layers[i], "cpu", ops[i], &kernels[i]);
    GIE_TRY(host->register_op(host, layers[i]->op));
    GIE_TRY(host->register_kernel(host, &kernels[i]));
  }
  return GIE_OK;
}

GIE_MODULE("detection", GIE_MODULE_LAYER, init)
