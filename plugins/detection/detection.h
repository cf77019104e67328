/* SPDX-License-Identifier: Apache-2.0 */
/* Layers of detection networks. A layer is a row of a table (detection.c): an op with its shape function, and a
 * function that computes it on dense f32 tensors. kernel.c makes gie kernels of them. The CUDA kernels are a module of
 * their own (detection_cuda.c), so that this one needs nothing of CUDA.
 *
 * Results have a size that does not depend on the data, but for that of NonMaxSuppression: rows that are not needed
 * are empty, in the way that each layer says. */
#ifndef GIE_PLUGINS_DETECTION_H
#define GIE_PLUGINS_DETECTION_H

#include <gie/module.h>
#include <stdio.h>

#define DET_MAX_IN 8
#define DET_MAX_OUT 2
#define DET_MAX_RATIOS 32 /* of priors, with 1 */

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Layers (kernel.c) */

/* A node at hand: how its operands and results lie, all of them dense and plain. */
struct det_node {
  struct gie_context *ctx;
  const struct gie_node *node;
  uint32_t n_in, n_out;
  struct gie_desc in[DET_MAX_IN], out[DET_MAX_OUT]; /* an omitted one has dtype GIE_DTYPE_NONE */
};

struct det_layer {
  const struct gie_op *op; /* NULL: another module has it */
  const char *kernel;
  gie_status (*run)(const struct det_node *n, const struct gie_launch *l);
  size_t (*workspace)(const struct det_node *n); /* NULL: none; SIZE_MAX: too much */
};

/* The kernel of a layer on that kind of device, in *out. */
void det_kernel(const struct det_layer *layer, const char *device, const char *const *ops,
                struct gie_kernel *out);

/* Product of the dims from axis `from` on. */
int64_t det_count(const struct gie_desc *d, int from);
/* Elements of an array attribute and how many there are; NULL and 0 when it is absent. */
const double *det_floats(const struct gie_node *n, const char *name, uint32_t *count);
const int64_t *det_ints(const struct gie_node *n, const char *name, uint32_t *count);
GIE_PRINTF(3, 4) gie_status det_bad(const struct gie_infer *x, gie_status st, const char *fmt, ...);
/* Dim i is known to be less than that. */
bool det_is_less(const struct gie_shape *s, int i, int64_t than);
/* Operand i is known to be of another type; what an unsupported node makes is of none. */
bool det_is_other(const struct gie_infer *x, uint32_t i, enum gie_dtype dtype);
/* Operand i has that rank, or its rank is not known. */
gie_status det_rank(const struct gie_infer *x, uint32_t i, int rank);
/* The type f32[dims…]. */
void det_type(struct gie_type *out, int rank, const struct gie_dim *dims);

/* ---- Boxes and scores (select.c) */

struct det_box {
  float x1, y1, x2, y2;
};

struct det_score {
  float score;
  uint32_t index;
};
/* Best first; of equal ones the lower index first. NaN is last. */
void det_sort(struct det_score *v, uint32_t n);

/* Greedy suppression: goes through v, which is sorted, and keeps what overlaps no kept box by more than `threshold`;
 * with eta < 1 the threshold shrinks by that factor after each kept box while it is above 0.5. What is kept, at most
 * `max`, comes first in v; returns how many. */
struct det_suppress {
  const struct det_box *boxes; /* by index */
  float threshold, eta, pixel;
  uint32_t max;
};
uint32_t det_suppress(const struct det_suppress *s, struct det_score *v, uint32_t n);

/* ---- The layers */

extern const struct det_layer det_prior_box, det_detection_output, det_non_max_suppression, det_yolo_decode,
    det_proposal, det_roi_pooling, det_psroi_pooling, det_roi_align;
/* On CUDA devices: element.cu, regions.cu. */
extern const struct det_layer det_cuda_prior_box, det_cuda_detection_output, det_cuda_yolo_decode,
    det_cuda_proposal, det_cuda_roi_pooling, det_cuda_psroi_pooling, det_cuda_roi_align;

#ifdef __cplusplus
}
#endif
#endif
