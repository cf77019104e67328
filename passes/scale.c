/* SPDX-License-Identifier: Apache-2.0 */
/* A scale and a shift per channel go into the constant weights of a product; see scale.h. */
#include "passes/scale.h"
#include <float.h>
#include <math.h>

static int64_t count_from(const struct gie_shape *s, int axis)
{
  int64_t n = 1;
  for (int i = axis; i < s->rank; i++)
    n *= s->dim[i].b;
  return n;
}

const struct gie_value *pass_scale_constant(const struct gie_graph *g, gie_id value)
{
  const struct gie_value *v = gie_value_get(g, value);
  return v && v->kind == GIE_VALUE_CONST && gie_dtype_class(v->type.dtype) == 'f' && pass_is_plain(v) ? v
                                                                                                      : NULL;
}

static void set_axis(struct pass_scale *f, int64_t channels, int64_t inner, int64_t columns,
                     int64_t per_group)
{
  f->channels = channels, f->inner = inner, f->columns = columns, f->per_group = per_group;
}

/* Which axis of the weights makes the output channels. False for products it does not understand. */
static bool find_axis(struct pass_scale *f, const struct gie_node *n, const struct gie_shape *w)
{
  int64_t group = gie_node_int(n, "group"), total = count_from(w, 0);
  f->channel_axis = pass_is_op(n, "matmul") ? gie_value_get(f->g, n->out[0])->type.shape.rank - 1 : 1;
  if (total == 0 || f->channel_axis < 0)
    return false;
  if (pass_is_op(n, "conv") && w->rank >= 3)
    set_axis(f, w->dim[0].b, count_from(w, 1), w->dim[0].b, total);
  else if (pass_is_op(n, "conv_transpose") && w->rank >= 3 && group > 0 && w->dim[0].b % group == 0)
    set_axis(f, w->dim[1].b * group, count_from(w, 2), w->dim[1].b, total / group);
  else if (pass_is_op(n, "gemm") && gie_node_int(n, "trans_b"))
    set_axis(f, w->dim[0].b, w->dim[1].b, w->dim[0].b, total);
  else if (pass_is_op(n, "gemm") || (pass_is_op(n, "matmul") && w->rank == 2))
    set_axis(f, w->dim[1].b, 1, w->dim[1].b, total);
  else
    return false;
  return true;
}

static int64_t channel_of(const struct pass_scale *f, int64_t i)
{
  return i / f->per_group * f->columns + i / f->inner % f->columns;
}

bool pass_scale_match(struct pass_scale *f, const struct gie_node *n)
{
  const struct gie_value *v = n->n_out ? gie_value_get(f->g, n->out[0]) : NULL, *w;
  if (!v || !(n->op->flags & GIE_OP_EPILOGUE) || n->n_steps || n->n_captures || n->n_operands < 2 ||
      !(w = pass_scale_constant(f->g, n->in[1])))
    return false;
  f->node = n;
  f->reader = pass_only_reader(f->g, v->id);
  if (!f->reader || f->reader->n_out != 1 || f->reader->n_steps || !find_axis(f, n, &w->type.shape))
    return false;
  const struct gie_value *y = gie_value_get(f->g, f->reader->out[0]);
  return w->type.dtype == v->type.dtype && y->type.dtype == v->type.dtype &&
         y->type.shape.rank == v->type.shape.rank && pass_is_plain(v) && pass_is_plain(y);
}

/* Bias of channel i as it is; false when the bias is not one number per channel. */
static bool old_bias(const struct pass_scale *f, int64_t i, double *out)
{
  const struct gie_node *n = f->node;
  *out = 0;
  if (!pass_has_operand(n, 2))
    return true;
  const struct gie_value *b = pass_scale_constant(f->g, n->in[2]);
  if (!b)
    return false;
  int64_t count = count_from(&b->type.shape, 0),
          last = b->type.shape.rank ? b->type.shape.dim[b->type.shape.rank - 1].b : 1;
  if (count != last || (count != 1 && count != f->channels))
    return false;
  *out = pass_load(b->type.dtype, gie_value_bytes(f->g, b->id, NULL), count == 1 ? 0 : (size_t)i);
  if (pass_is_op(n, "gemm"))
    *out *= gie_node_float(n, "beta");
  return true;
}

/* The bias takes part: shift becomes the new one. */
static bool add_bias(struct pass_scale *f)
{
  double bias;
  for (int64_t i = 0; i < f->channels; i++) {
    if (!old_bias(f, i, &bias))
      return false;
    f->shift[i] += bias * f->scale[i];
  }
  return true;
}

static bool all_are(const double *v, int64_t n, double what)
{
  for (int64_t i = 0; i < n; i++)
    if (v[i] != what)
      return false;
  return true;
}

#define LANES 16 /* elements at a time: a fixed number is what compilers make vectors of */

/* Greatest magnitude of n floats; NaN and infinities are above all others, as their bits are. */
static float greatest(const char *p, size_t n)
{
  uint32_t most[LANES] = {0}, all = 0, word[LANES];
  size_t i = 0;
  for (; i + LANES <= n; i += LANES) {
    memcpy(word, p + 4 * i, sizeof word);
    for (int k = 0; k < LANES; k++) {
      word[k] &= 0x7fffffff;
      most[k] = word[k] > most[k] ? word[k] : most[k];
    }
  }
  for (; i < n; i++) {
    memcpy(word, p + 4 * i, sizeof *word);
    all = (word[0] & 0x7fffffff) > all ? word[0] & 0x7fffffff : all;
  }
  for (int k = 0; k < LANES; k++)
    all = most[k] > all ? most[k] : all;
  float f;
  memcpy(&f, &all, sizeof f);
  return f;
}

/* n floats at `from`, which may lie anywhere in a model and be `to`, times the scale; in f64, rounded once. */
static void scale_floats(const char *from, float *to, size_t n, double scale)
{
  size_t i = 0;
  float w[LANES];
  for (; i + LANES <= n; i += LANES) {
    memcpy(w, from + 4 * i, sizeof w);
    for (int k = 0; k < LANES; k++)
      w[k] = (float)((double)w[k] * scale);
    memcpy(to + i, w, sizeof w);
  }
  for (; i < n; i++) {
    memcpy(w, from + 4 * i, sizeof *w);
    to[i] = (float)((double)w[0] * scale);
  }
}

/* Weights of one channel that lie together, times its scale. False when a finite one does not fit. */
static bool scale_run(enum gie_dtype t, const void *from, void *to, size_t first, size_t n, double scale)
{
  bool fits = true;
  const char *bytes = (const char *)from + 4 * first;
  if (t == GIE_F32 && n >= LANES) {
    scale_floats(bytes, (float *)to + first, n, scale);
    if (from == to || greatest((const char *)to + 4 * first, n) <= FLT_MAX)
      return true; /* where they are scaled in place it has been seen that they fit */
  }
  for (size_t i = first; i < first + n; i++)
    fits &= pass_store(t, to, i, pass_load(t, from, i) * scale);
  return fits;
}

/* The rule of scale.h. It ends where the products so far allow all of them to be lost, which for ordinary numbers is at
 * once. */
static bool keeps(const struct pass_scale *f)
{
  const struct gie_value *w = gie_value_get(f->g, f->node->in[1]);
  const void *from = gie_value_bytes(f->g, w->id, NULL);
  int64_t count = count_from(&w->type.shape, 0);
  double enough = (double)count * pass_smallest(w->type.dtype);
  struct pass_scale_error e = {0, 0};
  for (int64_t i = 0; i < count; i += f->inner)
    for (int64_t k = i; k < i + f->inner; k++) {
      pass_scale_count(&e, w->type.dtype, pass_load(w->type.dtype, from, (size_t)k),
                       f->scale[channel_of(f, i)]);
      if (e.had >= enough)
        return true;
    }
  return !(e.lost > e.had);
}

/* Whether the weights may be scaled where they are: nobody else reads them, and all of them will fit. */
static bool may_overwrite(const struct pass_scale *f, const struct gie_value *w)
{
  const char *bytes = gie_value_bytes(f->g, w->id, NULL);
  int64_t count = count_from(&w->type.shape, 0);
  if (w->type.dtype != GIE_F32 || w->n_uses != 1 || w->n_outputs || ir_blob_is_shared(w->data.blob) ||
      f->inner < 16 || w->data.offset % sizeof(float))
    return false;
  for (int64_t i = 0; i < count; i += f->inner) {
    double most = greatest(bytes + 4 * i, (size_t)f->inner) * fabs(f->scale[channel_of(f, i)]);
    if (!(most <= FLT_MAX))
      return false;
  }
  return true;
}

/* *out stays GIE_NONE when a weight does not fit, or too much is lost. */
static gie_status new_weights(const struct pass_scale *f, gie_id *out)
{
  const struct gie_value *w = gie_value_get(f->g, f->node->in[1]);
  const void *from = gie_value_bytes(f->g, w->id, NULL);
  enum gie_dtype t = w->type.dtype;
  struct gie_blob *blob;
  bool fits = true;
  if (all_are(f->scale, f->channels, 1)) {
    *out = w->id;
    return GIE_OK;
  }
  if (!keeps(f))
    return GIE_OK;
  if (may_overwrite(f, w)) { /* of a large network that saves the memory of a second one */
    char *bytes = (char *)gie_blob_data(w->data.blob) + w->data.offset;
    for (int64_t i = 0, n = count_from(&w->type.shape, 0); i < n; i += f->inner)
      scale_run(t, bytes, bytes, (size_t)i, (size_t)f->inner, f->scale[channel_of(f, i)]);
    return gie_graph_add_const(f->g, NULL, &w->type, &w->data, out); /* another name for other elements */
  }
  GIE_TRY(gie_blob_new_raw(gie_graph_context(f->g), w->data.size, &blob));
  int64_t count = count_from(&w->type.shape, 0);
  for (int64_t i = 0; i < count && fits; i += f->inner)
    fits = scale_run(t, from, gie_blob_data(blob), (size_t)i, (size_t)f->inner, f->scale[channel_of(f, i)]);
  if (fits)
    return pass_const(f->g, &w->type, blob, out);
  gie_blob_unref(blob);
  return GIE_OK;
}

static bool bias_fits(const struct pass_scale *f)
{
  enum gie_dtype t = gie_value_get(f->g, f->node->in[1])->type.dtype;
  double room;
  for (int64_t i = 0; i < f->channels; i++)
    if (!pass_store(t, &room, 0, f->shift[i]))
      return false;
  return true;
}

static gie_status new_bias(const struct pass_scale *f, gie_id *out)
{
  struct gie_type type = {gie_value_get(f->g, f->node->in[1])->type.dtype, {1, {gie_dim_num(f->channels)}}};
  struct gie_blob *blob;
  GIE_TRY(gie_blob_new(gie_graph_context(f->g), (size_t)f->channels * gie_dtype_size(type.dtype), &blob));
  for (int64_t i = 0; i < f->channels; i++)
    pass_store(type.dtype, gie_blob_data(blob), (size_t)i, f->shift[i]);
  return pass_const(f->g, &type, blob, out);
}

static gie_status take_bias(struct pass_scale *f, gie_id bias)
{
  const struct gie_node *n = f->node;
  GIE_TRY(pass_set_operand(f->g, n, 2, bias));
  return pass_is_op(n, "gemm") ? gie_node_unset_attr(f->g, n->id, "beta") : GIE_OK;
}

static gie_status rewrite(struct pass_scale *f, bool *changed)
{
  struct gie_graph *g = f->g;
  const struct gie_node *n = f->node;
  gie_id w = GIE_NONE, b = GIE_NONE, old = n->in[1];
  bool has_bias = pass_has_operand(n, 2) || !all_are(f->shift, f->channels, 0);
  if (has_bias && !bias_fits(f))
    return GIE_OK;
  GIE_TRY(new_weights(f, &w));
  if (w == GIE_NONE)
    return GIE_OK;
  if (has_bias)
    GIE_TRY(new_bias(f, &b));
  GIE_TRY(gie_node_set_input(g, n->id, 1, w));
  if (has_bias)
    GIE_TRY(take_bias(f, b));
  GIE_TRY(gie_value_replace(g, f->reader->out[0], n->out[0]));
  GIE_TRY(gie_node_remove(g, f->reader->id));
  /* Weights are large: those that only this node read go at once. */
  if (!gie_value_get(g, old)->n_uses && !gie_value_get(g, old)->n_outputs)
    GIE_TRY(gie_value_remove(g, old));
  *changed = true;
  return GIE_OK;
}

gie_status pass_scale_fold(struct pass_scale *f, bool (*compute)(struct pass_scale *f), bool *changed)
{
  struct gie_context *ctx = gie_graph_context(f->g);
  f->scale = gie_alloc(ctx, (size_t)f->channels, sizeof(double));
  f->shift = gie_alloc(ctx, (size_t)f->channels, sizeof(double));
  gie_status s = f->scale && f->shift ? GIE_OK : GIE_E_MEMORY;
  if (s == GIE_OK && compute(f) && add_bias(f))
    s = rewrite(f, changed);
  gie_free(ctx, f->scale);
  gie_free(ctx, f->shift);
  return s;
}
