/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the backend share: convolutions as the kernels see them, configurations, structures. */
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

/* ---- Configurations (config.c) */

/* TF32: one product in TF32; TF32X3: three, which make one of f32; _GROUP: of warpgroups. */
enum wg_unit { WG_FFMA, WG_TF32X3, WG_F16MMA, WG_TF32X3_GROUP, WG_TF32, WG_N_UNITS };
enum wg_structure_id { WG_STAGED, WG_FUSED, WG_FEW /* input channels */ };

struct wg_tile_shape {
  enum wg_structure_id structure;
  enum wg_unit unit;
  int weights, tiles, slice, per_sm; /* of a block; blocks of a multiprocessor */
};
extern const struct wg_tile_shape WG_TILES[];
extern const int WG_N_TILES;

/* A way to compute a problem. */
struct wg_config {
  enum wg_form_id form;
  uint8_t tile;   /* row of WG_TILES */
  uint8_t splits; /* blocks that share the sum over channels */
  uint8_t chunk;  /* tiles at once: 0 all, else 2^chunk; staged only */
};

/* A number that says everything, with the problem's layout and dtype. Read: sets those of *p, which must have the rest;
 * false when the table has no such row or its kernels cannot do the problem. */
uint64_t wg_config_number(const struct wg_problem *p, const struct wg_config *c);
bool wg_config_read(uint64_t number, struct wg_problem *p, struct wg_config *out);
void wg_config_label(const struct wg_problem *p, const struct wg_config *c, char *buf, size_t size);

/* How a configuration's weights are packed. */
enum wg_packing wg_packing_of(const struct wg_config *c);
/* Whether the kernels can do it; also whether it makes sense and is accurate enough for `math`. */
bool wg_is_possible(const struct wg_problem *p, const struct wg_config *c);
bool wg_is_offered(const struct wg_problem *p, const struct wg_config *c, enum gie_math math);
/* Bound on max|a-b|/max|b| against exact arithmetic. */
float wg_error_bound(const struct wg_problem *p, const struct wg_config *c);
/* Seconds; `cost` may be NULL. */
double wg_estimate(const struct wg_problem *p, const struct wg_config *c, struct gie_cost *cost);

/* ---- Structures: how a convolution is launched (staged.cu, fused.cu, few.cu) */

struct wg_addresses {
  const void *x, *packed, *bias;
  void *y, *workspace;
};

struct wg_structure {
  const char *refusal; /* where no configuration is offered */
  bool (*has)(const struct wg_tile_shape *t);
  size_t bytes; /* of a plan */
  /* Scratch memory; false when a size does not fit. */
  bool (*workspace)(const struct wg_problem *p, const struct wg_config *c, size_t *bytes);
  cudaError_t (*make)(const struct wg_problem *p, const struct wg_config *c, void *plan);
  cudaError_t (*run)(const void *plan, const struct gie_cuda_steps *steps, const struct wg_addresses *a,
                     cudaStream_t stream);
};
extern const struct wg_structure wg_staged_structure, wg_fused_structure, wg_few_structure;

/* Code of the staged product (product.cu): `tile` is a row of WG_TILES. */
struct wg_product {
  const void *kernel;
  int threads, shared;
};
struct wg_product wg_product_of(int tile, bool channels_last);

#ifdef __cplusplus
}
#endif
#endif
