/* SPDX-License-Identifier: Apache-2.0 */
/* Batch normalization behind a product with constant weights goes into the weights.
 *
 *     %c = conv(%x, %w, %b)
 *     %y = batch_norm(%c, %scale, %bias, %mean, %var)   ->   %y = conv(%x, %w', %b')
 *
 * With s = scale / sqrt(var + epsilon) per output channel: w' = w * s, b' = (b - mean) * s + bias,
 * in f64, rounded once. Also for conv_transpose, and for gemm and matmul of rank 2, whose columns
 * are the channels; a gemm's beta goes into b'.
 *
 * Does not fire: result shared or a graph output, an epilogue in between, weights or parameters
 * not constant, a bias that varies along another axis, var + epsilon not positive, or a new weight
 * that does not fit the dtype. The old constants stay for whoever else reads them. */
#include "passes/util.h"
#include <math.h>

/* Where the output channel of element i of the weights is: (i / inner) % columns, plus `columns` of
 * the groups before. */
struct axis {
  int64_t channels;  /* of the result */
  int64_t inner;     /* elements behind the channel axis */
  int64_t columns;   /* extent of the channel axis of the weights */
  int64_t per_group; /* elements of one group; the whole if there are no groups */
};

struct fold {
  struct gie_graph *g;
  const struct gie_node *node, *bn;
  struct axis axis;
  double *scale, *shift; /* y = scale*x + shift per channel */
};

static bool is_op(const struct gie_node *n, const char *name) { return strcmp(n->op->name, name) == 0; }

static const struct gie_value *constant(const struct gie_graph *g, gie_id id)
{
  const struct gie_value *v = id == GIE_NONE ? NULL : gie_value_get(g, id);
  return v && v->kind == GIE_VALUE_CONST && gie_dtype_class(v->type.dtype) == 'f' && pass_is_plain(v) ? v
                                                                                                      : NULL;
}

static int64_t count_from(const struct gie_shape *s, int axis)
{
  int64_t n = 1;
  for (int i = axis; i < s->rank; i++)
    n *= s->dim[i].b;
  return n;
}

/* Which axis of the weights makes the output channels. False for products it does not understand. */
static bool find_axis(const struct gie_node *n, const struct gie_shape *w, struct axis *a)
{
  int64_t group = gie_node_int(n, "group"), total = count_from(w, 0);
  if (total == 0)
    return false;
  if (is_op(n, "conv") && w->rank >= 3)
    *a = (struct axis){w->dim[0].b, count_from(w, 1), w->dim[0].b, total};
  else if (is_op(n, "conv_transpose") && w->rank >= 3 && group > 0 && w->dim[0].b % group == 0)
    *a = (struct axis){w->dim[1].b * group, count_from(w, 2), w->dim[1].b, total / group};
  else if (is_op(n, "gemm") && gie_node_int(n, "trans_b"))
    *a = (struct axis){w->dim[0].b, w->dim[1].b, w->dim[0].b, total};
  else if (is_op(n, "gemm") || (is_op(n, "matmul") && w->rank == 2))
    *a = (struct axis){w->dim[1].b, 1, w->dim[1].b, total};
  else
    return false;
  return true;
}

static int64_t channel_of(const struct axis *a, int64_t i)
{
  return i / a->per_group * a->columns + i / a->inner % a->columns;
}

static bool match(struct fold *f, const struct gie_node *n)
{
  const struct gie_value *v = n->n_out ? gie_value_get(f->g, n->out[0]) : NULL, *w;
  if (!v || !(n->op->flags & GIE_OP_EPILOGUE) || n->n_steps || n->n_operands < 2 ||
      !(w = constant(f->g, n->in[1])))
    return false;
  f->node = n;
  f->bn = pass_only_reader(f->g, v->id);
  if (!f->bn || !is_op(f->bn, "batch_norm") || f->bn->in[0] != v->id ||
      !find_axis(n, &w->type.shape, &f->axis))
    return false;
  if (is_op(n, "matmul") && v->type.shape.rank != 2)
    return false;
  for (int i = 1; i <= 4; i++) {
    const struct gie_value *p = constant(f->g, f->bn->in[i]);
    if (!p || p->type.shape.rank != 1 || p->type.shape.dim[0].b != f->axis.channels)
      return false;
  }
  const struct gie_value *y = gie_value_get(f->g, f->bn->out[0]);
  return w->type.dtype == v->type.dtype && y->type.dtype == v->type.dtype && pass_is_plain(v) &&
         pass_is_plain(y);
}

static double param(const struct fold *f, int operand, int64_t i)
{
  const struct gie_value *v = gie_value_get(f->g, f->bn->in[operand]);
  return pass_load(v->type.dtype, gie_value_bytes(f->g, v->id, NULL), (size_t)i);
}

/* Bias of channel i before the normalization; false when the bias is not one number per channel. */
static bool old_bias(const struct fold *f, int64_t i, double *out)
{
  const struct gie_node *n = f->node;
  *out = 0;
  if (n->n_operands < 3 || n->in[2] == GIE_NONE)
    return true;
  const struct gie_value *b = constant(f->g, n->in[2]);
  if (!b)
    return false;
  int64_t count = count_from(&b->type.shape, 0),
          last = b->type.shape.rank ? b->type.shape.dim[b->type.shape.rank - 1].b : 1;
  if (count != last || (count != 1 && count != f->axis.channels))
    return false;
  *out = pass_load(b->type.dtype, gie_value_bytes(f->g, b->id, NULL), count == 1 ? 0 : (size_t)i);
  if (is_op(n, "gemm"))
    *out *= gie_node_float(n, "beta");
  return true;
}

/* scale and the new bias per channel. */
static bool compute(struct fold *f)
{
  double epsilon = gie_node_float(f->bn, "epsilon"), bias;
  for (int64_t i = 0; i < f->axis.channels; i++) {
    double var = param(f, 4, i) + epsilon;
    if (!(var > 0) || !old_bias(f, i, &bias))
      return false;
    f->scale[i] = param(f, 1, i) / sqrt(var);
    f->shift[i] = (bias - param(f, 3, i)) * f->scale[i] + param(f, 2, i);
  }
  return true;
}

/* *out stays GIE_NONE when a weight does not fit. */
static gie_status scaled_weights(const struct fold *f, gie_id *out)
{
  const struct gie_value *w = gie_value_get(f->g, f->node->in[1]);
  const void *from = gie_value_bytes(f->g, w->id, NULL);
  enum gie_dtype t = w->type.dtype;
  struct gie_blob *blob;
  bool fits = true;
  GIE_TRY(gie_blob_new(gie_graph_context(f->g), w->data.size, &blob));
  int64_t count = count_from(&w->type.shape, 0);
  for (int64_t i = 0; i < count && fits; i++)
    fits = pass_store(t, gie_blob_data(blob), (size_t)i,
                      pass_load(t, from, (size_t)i) * f->scale[channel_of(&f->axis, i)]);
  if (fits)
    return pass_const(f->g, &w->type, blob, out);
  gie_blob_unref(blob);
  return GIE_OK;
}

static gie_status new_bias(const struct fold *f, gie_id *out)
{
  struct gie_type type = {gie_value_get(f->g, f->node->in[1])->type.dtype,
                          {1, {gie_dim_num(f->axis.channels)}}};
  struct gie_blob *blob;
  bool fits = true;
  GIE_TRY(
      gie_blob_new(gie_graph_context(f->g), (size_t)f->axis.channels * gie_dtype_size(type.dtype), &blob));
  for (int64_t i = 0; i < f->axis.channels && fits; i++)
    fits = pass_store(type.dtype, gie_blob_data(blob), (size_t)i, f->shift[i]);
  if (fits)
    return pass_const(f->g, &type, blob, out);
  gie_blob_unref(blob);
  return GIE_OK;
}

static gie_status rewrite(struct fold *f, uint32_t *changes)
{
  struct gie_graph *g = f->g;
  const struct gie_node *n = f->node;
  gie_id w = GIE_NONE, b = GIE_NONE, old = n->in[1];
  GIE_TRY(scaled_weights(f, &w));
  if (w != GIE_NONE)
    GIE_TRY(new_bias(f, &b));
  if (w == GIE_NONE)
    return GIE_OK;
  if (b == GIE_NONE)
    return gie_value_remove(g, w);
  GIE_TRY(gie_node_set_input(g, n->id, 1, w));
  if (n->n_operands < 3)
    GIE_TRY(gie_node_add_operand(g, n->id, b));
  else
    GIE_TRY(gie_node_set_input(g, n->id, 2, b));
  if (is_op(n, "gemm"))
    GIE_TRY(gie_node_unset_attr(g, n->id, "beta"));
  GIE_TRY(gie_value_replace(g, f->bn->out[0], n->out[0]));
  GIE_TRY(gie_node_remove(g, f->bn->id));
  /* Weights are large: those that only this node read go at once. */
  if (!gie_value_get(g, old)->n_uses && !gie_value_get(g, old)->n_outputs)
    GIE_TRY(gie_value_remove(g, old));
  ++*changes;
  return GIE_OK;
}

static gie_status fold_one(struct fold *f, uint32_t *changes)
{
  struct gie_context *ctx = gie_graph_context(f->g);
  f->scale = gie_alloc(ctx, (size_t)f->axis.channels, sizeof(double));
  f->shift = gie_alloc(ctx, (size_t)f->axis.channels, sizeof(double));
  gie_status s = f->scale && f->shift ? GIE_OK : GIE_E_MEMORY;
  if (s == GIE_OK && compute(f))
    s = rewrite(f, changes);
  gie_free(ctx, f->scale);
  gie_free(ctx, f->shift);
  return s;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  struct fold f = {.g = g};
  (void)pc;
  GIE_FOR_NODES(g, id)
    if (match(&f, gie_node_get(g, id)))
      GIE_TRY(fold_one(&f, changes));
  return GIE_OK;
}

const struct gie_pass gie_pass_fuse_bn_into_conv = {
    sizeof(struct gie_pass), "fuse_bn_into_conv",
    "folds batch_norm behind conv, conv_transpose, gemm or matmul into constant weights", run};
