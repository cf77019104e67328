/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic with constants per channel before a convolution with constant weights goes into these.
 *
 *     %m = batch_norm(%x, …)   or mul, div, add, sub by a constant per channel
 *     %y = conv(%m, %w, %b)                                       ->    %y = conv(%x, %w', %b')
 *
 * With m = scale*x + shift per input channel c: w'[k,c] = w[k,c] * scale[c], b'[k] = b[k] + sum of
 * w[k,c] * shift[c] over channels and taps, in f64, rounded once. A shift needs a convolution without
 * padding, since what is padded with zeros is %m.
 *
 * Does not fire: %m shared or a graph output, weights, bias or parameters not constant, a constant that
 * varies along another axis or enlarges %x, division by 0, new weights that do not fit the dtype: too large, or
 * so small that they vanish (scale.h). */
#include "passes/scale.h"
#include <math.h>

struct fold {
  struct gie_graph *g;
  const struct gie_node *conv, *before;
  gie_id x;
  int64_t channels, group;
  double *scale, *shift; /* by input channel */
};

/* The constant operand of arithmetic; NULL if it is none. */
static const struct gie_value *operand(const struct fold *f)
{
  bool first = f->before->in[0] == f->x;
  return pass_scale_constant(f->g, f->before->in[first]);
}

static bool is_arithmetic(const struct gie_node *n, bool first)
{
  return n->n_operands == 2 && (pass_is_op(n, "mul") || pass_is_op(n, "add") ||
                                (first && (pass_is_op(n, "div") || pass_is_op(n, "sub"))));
}

/* Which operand is x, and that the other ones are constants per channel. */
static bool match_before(struct fold *f)
{
  const struct gie_node *n = f->before;
  if (pass_is_op(n, "batch_norm")) {
    f->x = n->in[0];
    for (int i = 1; i <= 4; i++) {
      const struct gie_value *p = pass_scale_constant(f->g, n->in[i]);
      if (!p || p->type.shape.rank != 1 || p->type.shape.dim[0].b != f->channels)
        return false;
    }
    return true;
  }
  bool first = n->n_operands == 2 && pass_scale_constant(f->g, n->in[1]);
  if (!is_arithmetic(n, first))
    return false;
  f->x = n->in[!first];
  const struct gie_value *k = operand(f);
  int rank = gie_value_get(f->g, n->out[0])->type.shape.rank;
  if (!k || k->type.shape.rank > rank)
    return false;
  for (int i = 0; i < k->type.shape.rank; i++) {
    int64_t d = k->type.shape.dim[i].b;
    if (d != 1 && (i + rank - k->type.shape.rank != 1 || d != f->channels))
      return false;
  }
  return true;
}

static bool match(struct fold *f, const struct gie_node *n)
{
  const struct gie_value *w, *b, *m, *x;
  if (!pass_is_op(n, "conv") || !(w = pass_scale_constant(f->g, n->in[1])) || w->type.shape.rank < 3 ||
      w->data.size == 0)
    return false;
  b = pass_has_operand(n, 2) ? pass_scale_constant(f->g, n->in[2]) : w;
  m = gie_value_get(f->g, n->in[0]);
  f->before = gie_node_get(f->g, m->producer);
  if (!b || b->type.dtype != w->type.dtype || !f->before || m->n_uses != 1 || m->n_outputs ||
      f->before->n_steps || f->before->n_out != 1 || !pass_is_plain(m) || pass_holds_views(f->g, m->id))
    return false;
  f->conv = n;
  f->group = gie_node_int(n, "group");
  if (f->group < 1 || w->type.shape.dim[0].b % f->group ||
      !gie_mul64(w->type.shape.dim[1].b, f->group, &f->channels) || !match_before(f))
    return false;
  x = gie_value_get(f->g, f->x);
  return x->type.dtype == w->type.dtype && x->type.shape.rank == m->type.shape.rank && pass_is_plain(x) &&
         gie_dim_equal(x->type.shape.dim[1], gie_dim_num(f->channels));
}

/* ---- Numbers ---------------------------------------------------------------------------------------- */

static double element(const struct fold *f, gie_id value, int64_t i)
{
  const struct gie_value *v = gie_value_get(f->g, value);
  bool one = v->data.size == gie_dtype_size(v->type.dtype);
  return pass_load(v->type.dtype, gie_value_bytes(f->g, value, NULL), one ? 0 : (size_t)i);
}

static bool compute(struct fold *f)
{
  const struct gie_node *n = f->before;
  for (int64_t i = 0; i < f->channels; i++) {
    f->scale[i] = 1, f->shift[i] = 0;
    if (pass_is_op(n, "batch_norm")) {
      double var = element(f, n->in[4], i) + gie_node_float(n, "epsilon");
      if (!(var > 0))
        return false;
      f->scale[i] = element(f, n->in[1], i) / sqrt(var);
      f->shift[i] = element(f, n->in[2], i) - element(f, n->in[3], i) * f->scale[i];
      continue;
    }
    double k = element(f, operand(f)->id, i);
    if (pass_is_op(n, "add") || pass_is_op(n, "sub"))
      f->shift[i] = pass_is_op(n, "add") ? k : -k;
    else
      f->scale[i] = pass_is_op(n, "mul") ? k : 1 / k;
    if (!isfinite(f->scale[i]) || !isfinite(f->shift[i]))
      return false;
  }
  return true;
}

static bool is_padded(const struct gie_node *n)
{
  int64_t pad[2 * GIE_MAX_RANK];
  gie_node_ints(n, "pad", pad, 2 * GIE_MAX_RANK, 0);
  for (int i = 0; i < 2 * GIE_MAX_RANK; i++)
    if (pad[i])
      return true;
  return strcmp(gie_node_string(n, "auto_pad"), "explicit") != 0;
}

static bool shifts(const struct fold *f)
{
  for (int64_t i = 0; i < f->channels; i++)
    if (f->shift[i] != 0)
      return true;
  return false;
}

/* New weights and bias into memory of their sizes; false when one does not fit, or too much is lost. */
static bool fill(const struct fold *f, void *weights, void *bias)
{
  const struct gie_value *w = gie_value_get(f->g, f->conv->in[1]);
  const void *from = gie_value_bytes(f->g, w->id, NULL);
  enum gie_dtype t = w->type.dtype;
  int64_t rows = w->type.shape.dim[0].b, columns = w->type.shape.dim[1].b;
  size_t count = w->data.size / gie_dtype_size(t), taps = count / (size_t)(rows * columns), at = 0;
  struct pass_scale_error e = {0, 0};
  for (int64_t k = 0; k < rows; k++) {
    double sum = pass_has_operand(f->conv, 2) ? element(f, f->conv->in[2], k) : 0;
    for (int64_t c = 0; c < columns; c++)
      for (size_t tap = 0; tap < taps; tap++, at++) {
        double v = pass_load(t, from, at);
        int64_t channel = k / (rows / f->group) * columns + c;
        sum += v * f->shift[channel];
        pass_scale_count(&e, t, v, f->scale[channel]);
        if (!pass_store(t, weights, at, v * f->scale[channel]))
          return false;
      }
    if (!pass_store(t, bias, (size_t)k, sum))
      return false;
  }
  return !(e.lost > e.had);
}

static gie_status rewrite(struct fold *f, uint32_t *changes)
{
  struct gie_graph *g = f->g;
  const struct gie_value *w = gie_value_get(g, f->conv->in[1]);
  struct gie_type type = {w->type.dtype, {1, {w->type.shape.dim[0]}}};
  struct gie_blob *weights, *bias = NULL;
  gie_id new_w = GIE_NONE, new_b = GIE_NONE, old = w->id, m = f->conv->in[0];
  GIE_TRY(gie_blob_new(gie_graph_context(g), w->data.size, &weights));
  gie_status s = gie_blob_new(gie_graph_context(g), (size_t)type.shape.dim[0].b * gie_dtype_size(type.dtype),
                              &bias);
  if (s != GIE_OK || !fill(f, gie_blob_data(weights), gie_blob_data(bias))) {
    gie_blob_unref(weights);
    if (s == GIE_OK)
      gie_blob_unref(bias);
    return s;
  }
  s = pass_const(g, &w->type, weights, &new_w);
  if (s != GIE_OK || !(shifts(f) || pass_has_operand(f->conv, 2)))
    gie_blob_unref(bias);
  else
    s = pass_const(g, &type, bias, &new_b);
  GIE_TRY(s);
  GIE_TRY(gie_node_set_input(g, f->conv->id, 0, f->x));
  GIE_TRY(gie_node_set_input(g, f->conv->id, 1, new_w));
  if (new_b != GIE_NONE)
    GIE_TRY(pass_set_operand(g, f->conv, 2, new_b));
  if (!gie_value_get(g, old)->n_uses && !gie_value_get(g, old)->n_outputs)
    GIE_TRY(gie_value_remove(g, old));
  ++*changes;
  return pass_prune(g, m);
}

static gie_status fold_one(struct fold *f, uint32_t *changes)
{
  struct gie_context *ctx = gie_graph_context(f->g);
  f->scale = gie_alloc(ctx, (size_t)f->channels, sizeof(double));
  f->shift = gie_alloc(ctx, (size_t)f->channels, sizeof(double));
  gie_status s = f->scale && f->shift ? GIE_OK : GIE_E_MEMORY;
  if (s == GIE_OK && compute(f) && !(shifts(f) && is_padded(f->conv)))
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
    for (bool again = true; again && match(&f, gie_node_get(g, id));) {
      uint32_t before = *changes;
      GIE_TRY(fold_one(&f, changes));
      again = *changes != before;
    }
  return GIE_OK;
}

const struct gie_pass gie_pass_fuse_scale_into_next_conv = {
    sizeof(struct gie_pass), "fuse_scale_into_next_conv",
    "folds batch_norm and arithmetic per channel before conv into its weights; a shift not where conv pads",
    run, NULL};
