/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the backend share: convolutions as the kernels see them, and the launches of the two structures. */
#ifndef GIE_WINOGRAD_WINOGRAD_H
#define GIE_WINOGRAD_WINOGRAD_H

#include "backends/winograd/forms.h"
#include <gie/cuda.h>
#include <gie/cuda_steps.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A convolution with the strides of its tensors. Channels last: x and y have channels side by side, pixels `x_w`
 * (`y_w`) apart; channels first: rows without gaps. */
struct wg_problem {
  struct wg_shape s;
  int r;
  bool channels_last;
  enum gie_dtype dtype; /* of x, y and the bias: f32 or f16 */
  int64_t x_n, x_c, x_h, x_w, y_n, y_c, y_h, y_w;
  int units; /* multiprocessors */
};

/* A way to do it; wg_config_number() and wg_config_read() turn it into a variant's number and back. */
struct wg_config {
  enum wg_form_id form;
  uint8_t tile;   /* row of WG_TILES */
  uint8_t splits; /* of the sum over channels */
  uint8_t chunk;  /* tiles at once: 0 all, else 2^chunk */
};

struct wg_addresses {
  const void *x, *packed, *bias;
  void *y, *workspace;
};

enum wg_unit_id { WG_UNIT_FFMA, WG_UNIT_TF32X3, WG_UNIT_F16 };

/* Blocks of the staged product: weights × tiles, channels of a slice, blocks of a multiprocessor. */
struct wg_tile_shape {
  enum wg_unit_id unit;
  int weights, tiles, slice, per_sm;
};
extern const struct wg_tile_shape WG_TILES[];
extern const int WG_N_TILES;

/* ---- Staged: transform, product, inverse (staged.cu) */

struct wg_staged;
size_t wg_staged_bytes(void);
/* Scratch memory; false when a size does not fit. */
bool wg_staged_workspace(const struct wg_problem *p, const struct wg_config *c, size_t *bytes);
cudaError_t wg_staged_make(const struct wg_problem *p, const struct wg_config *c, struct wg_staged *out);
cudaError_t wg_staged_run(const struct wg_staged *s, const struct gie_cuda_steps *steps,
                          const struct wg_addresses *a, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
