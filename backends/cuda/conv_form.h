/* SPDX-License-Identifier: Apache-2.0 */
/* Problems of the engine (conv, gemm, matmul) as tiled convolutions: conv.cu and conv_form.cu. */
#ifndef GIE_BACKENDS_CUDA_CONV_FORM_H
#define GIE_BACKENDS_CUDA_CONV_FORM_H

#include "backends/cuda/conv_tile.h"

/* A problem but for addresses and the tile; what depends on the order of taps is filled in by conv_args_taps(). */
struct conv_form {
  struct conv_args args;
  struct conv_weights weights;
  int groups;
};

static inline bool conv_is_conv(const struct gie_problem *p)
{
  return strcmp(p->node->op->name, "conv") == 0;
}

static inline bool conv_has_operand(const struct gie_problem *p, uint32_t i)
{
  return i < p->node->n_operands && p->in[i].dtype != GIE_DTYPE_NONE;
}

/* The problem with the strides that its descs have. NULL, or what does not fit. */
const char *conv_read_form(const struct gie_problem *p, struct conv_form *f);

#endif
