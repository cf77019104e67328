/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic with a constant per channel behind a product with constant weights goes into the weights.
 *
 *     %c = conv(%x, %w, %b)
 *     %m = mul(%c, %k)                                            ->   %y = conv(%x, %w', %b')
 *     %y = add(%m, %l)      with %k, %l constant, one number per channel or one
 *
 * mul and div, and add and sub where there is a bias already or will be one (scale.c says how). Also for
 * conv_transpose, gemm and matmul by a matrix, whose columns are the channels.
 *
 * Does not fire: result shared or a graph output, an epilogue in between, weights, bias or constant
 * not constant or varying along another axis, division by 0, constant divided by the product, a
 * constant that adds an axis, or new weights that do not fit the dtype: too large, or so small that
 * they vanish (scale.h). */
#include "passes/scale.h"

/* What the constant has for channel i, when it varies along the channel axis alone. */
static bool element(const struct pass_scale *f, int64_t i, double *out)
{
  const struct gie_value *k = gie_value_get(f->g, f->reader->in[f->reader->in[0] == f->node->out[0]]);
  int rank = gie_value_get(f->g, f->node->out[0])->type.shape.rank, missing = rank - k->type.shape.rank;
  int64_t count = 1;
  for (int axis = 0; axis < k->type.shape.rank; axis++) {
    if (k->type.shape.dim[axis].b != 1 && axis + missing != f->channel_axis)
      return false;
    count *= k->type.shape.dim[axis].b;
  }
  if (count != 1 && count != f->channels)
    return false;
  *out = pass_load(k->type.dtype, gie_value_bytes(f->g, k->id, NULL), count == 1 ? 0 : (size_t)i);
  return true;
}

static bool match(struct pass_scale *f, const struct gie_node *n)
{
  if (!pass_scale_match(f, n) || f->reader->n_operands != 2)
    return false;
  const char *op = f->reader->op->name;
  bool first = f->reader->in[0] == n->out[0];
  if (strcmp(op, "mul") != 0 && strcmp(op, "add") != 0 &&
      !(first && (strcmp(op, "div") == 0 || strcmp(op, "sub") == 0)))
    return false;
  const struct gie_value *k = pass_scale_constant(f->g, f->reader->in[first]);
  const struct gie_value *v = gie_value_get(f->g, n->out[0]);
  return k && k->type.dtype == v->type.dtype && k->type.shape.rank <= v->type.shape.rank;
}

static bool compute(struct pass_scale *f)
{
  const char *op = f->reader->op->name;
  for (int64_t i = 0; i < f->channels; i++) {
    double k;
    if (!element(f, i, &k) || k - k != 0 || (strcmp(op, "div") == 0 && k == 0))
      return false;
    f->scale[i] = strcmp(op, "mul") == 0 ? k : strcmp(op, "div") == 0 ? 1 / k : 1;
    f->shift[i] = strcmp(op, "add") == 0 ? k : strcmp(op, "sub") == 0 ? -k : 0;
  }
  return true;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  struct pass_scale f = {.g = g};
  (void)pc;
  GIE_FOR_NODES(g, id)
    for (bool changed = true; changed && match(&f, gie_node_get(g, id)); *changes += changed) {
      changed = false;
      GIE_TRY(pass_scale_fold(&f, compute, &changed));
    }
  return GIE_OK;
}

const struct gie_pass gie_pass_fuse_mul_into_conv = {
    sizeof(struct gie_pass), "fuse_mul_into_conv",
    "folds arithmetic with a constant per channel behind conv, gemm or matmul into constant weights; not behind shared results or an epilogue",
    run, NULL};
