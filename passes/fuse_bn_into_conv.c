/* SPDX-License-Identifier: Apache-2.0 */
/* Batch normalization behind a product with constant weights goes into the weights.
 *
 *     %c = conv(%x, %w, %b)
 *     %y = batch_norm(%c, %scale, %bias, %mean, %var)   ->   %y = conv(%x, %w', %b')
 *
 * With s = scale / sqrt(var + epsilon) per output channel: w' = w * s, b' = b * s + bias - mean * s,
 * in f64, rounded once (scale.c). Also for conv_transpose, and for gemm and matmul of rank 2, whose
 * columns are the channels; a gemm's beta goes into b'.
 *
 * Does not fire: result shared or a graph output, an epilogue in between, weights or parameters
 * not constant, a bias that varies along another axis, var + epsilon not positive, or new weights
 * that do not fit the dtype: too large, or so small that they vanish (scale.h). The old constants stay for whoever else reads them. */
#include "passes/scale.h"
#include <math.h>

static bool match(struct pass_scale *f, const struct gie_node *n)
{
  if (!pass_scale_match(f, n) || !pass_is_op(f->reader, "batch_norm") || f->reader->in[0] != n->out[0] ||
      f->channel_axis != 1)
    return false;
  for (int i = 1; i <= 4; i++) {
    const struct gie_value *p = pass_scale_constant(f->g, f->reader->in[i]);
    if (!p || p->type.shape.rank != 1 || p->type.shape.dim[0].b != f->channels)
      return false;
  }
  return true;
}

static double param(const struct pass_scale *f, int operand, int64_t i)
{
  const struct gie_value *v = gie_value_get(f->g, f->reader->in[operand]);
  return pass_load(v->type.dtype, gie_value_bytes(f->g, v->id, NULL), (size_t)i);
}

static bool compute(struct pass_scale *f)
{
  double epsilon = gie_node_float(f->reader, "epsilon");
  for (int64_t i = 0; i < f->channels; i++) {
    double var = param(f, 4, i) + epsilon;
    if (!(var > 0))
      return false;
    f->scale[i] = param(f, 1, i) / sqrt(var);
    f->shift[i] = param(f, 2, i) - param(f, 3, i) * f->scale[i];
  }
  return true;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  struct pass_scale f = {.g = g};
  (void)pc;
  GIE_FOR_NODES(g, id) {
    bool changed = false;
    if (match(&f, gie_node_get(g, id)))
      GIE_TRY(pass_scale_fold(&f, compute, &changed));
    *changes += changed;
  }
  return GIE_OK;
}

const struct gie_pass gie_pass_fuse_bn_into_conv = {
    sizeof(struct gie_pass), "fuse_bn_into_conv",
    "folds batch_norm behind conv, conv_transpose, gemm or matmul into constant weights; not behind shared results or an epilogue",
    run, NULL};
