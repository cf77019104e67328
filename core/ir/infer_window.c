/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes of convolutions and pools. Axes with a number go through gie/window.h; symbolic ones follow
 * the same formulas where the result is still of the form a*sym+b. */
#include "core/ir/infer.h"
#include <gie/window.h>

static gie_status window_fail(const struct gie_infer *x, gie_status status, const char *why)
{
  return gie_fail(x->ctx, status, "%s; check stride, dilation, pad and kernel", why);
}

/* Shapes of operand 0: rank 3 … 8, or unknown. *n: spatial axes, 0 when the rank is not known. */
static gie_status spatial_axes(const struct gie_infer *x, int *n)
{
  int rank = ir_rank(x, 0);
  *n = 0;
  if (rank < 0)
    return GIE_OK;
  if (rank < 3)
    return gie_fail(x->ctx, GIE_E_SHAPE, "x has rank %d; it must be [N,C,spatial…]", rank);
  *n = rank - 2;
  return GIE_OK;
}

/* One spatial axis of a window op over an extent that is not a number. */
static struct gie_dim symbolic_axis(const struct gie_window *w, int i, enum gie_auto_pad auto_pad,
                                    bool ceil_mode, struct gie_dim in)
{
  int64_t stride = w->stride[i], span = gie_window_span(w, i);
  if (auto_pad != GIE_PAD_EXPLICIT)
    return ir_dim_floor_div(gie_dim_add(in, gie_dim_num(stride - 1)), stride);
  struct gie_dim room = gie_dim_add(in, gie_dim_num(w->pad_begin[i] + w->pad_end[i] - span));
  struct gie_dim out = gie_dim_add(ir_dim_floor_div(room, stride), gie_dim_num(1));
  if (ceil_mode && gie_dim_is_known(out)) {
    /* Here the stride divides the symbol's factor, so the remainder is a constant. The extra window
     * starts before the end padding when out*stride < in + pad_begin. */
    int64_t rest = (room.b % stride + stride) % stride;
    if (rest != 0 && w->pad_end[i] + stride < span + rest)
      out = gie_dim_add(out, gie_dim_num(1));
  }
  return out;
}

/* out->dim[2 …] from x and the kernel extents kernel[0..n). */
static gie_status slide(const struct gie_infer *x, int n, const struct gie_dim *kernel, struct gie_shape *out)
{
  struct gie_window w;
  enum gie_auto_pad auto_pad;
  int64_t k[GIE_MAX_SPATIAL] = {0};
  const char *why;
  bool ceil_mode = gie_node_int(x->node, "ceil_mode") != 0;
  for (int i = 0; i < n; i++)
    k[i] = gie_dim_is_num(kernel[i]) ? kernel[i].b : 1;
  if (!gie_window_attrs(x->node, n, k, &w, &auto_pad, &why))
    return window_fail(x, GIE_E_ATTR, why);
  for (int i = 0; i < n; i++) {
    struct gie_dim in = ir_dim(x, 0, 2 + i);
    if (!gie_dim_is_num(kernel[i])) {
      out->dim[2 + i] = gie_dim_unknown();
    } else if (!gie_dim_is_num(in)) {
      out->dim[2 + i] = symbolic_axis(&w, i, auto_pad, ceil_mode, in);
    } else {
      w.in[i] = in.b;
      if (!gie_window_axis(&w, i, auto_pad, ceil_mode, &why))
        return window_fail(x, GIE_E_SHAPE, why);
      out->dim[2 + i] = gie_dim_num(w.out[i]);
    }
  }
  return GIE_OK;
}

/* ---- Convolutions ------------------------------------------------------------------------------ */

/* What conv and conv_transpose have in common: ranks agree, group ≥ 1, bias is a list. */
static gie_status conv_operands(const struct gie_infer *x, int *n, int64_t *group)
{
  int rank = ir_rank(x, 0), w_rank = ir_rank(x, 1);
  GIE_TRY(spatial_axes(x, n));
  *group = gie_node_int(x->node, "group");
  if (*group < 1)
    return gie_fail(x->ctx, GIE_E_ATTR, "group is %lld; it must be at least 1", (long long)*group);
  if (rank >= 0 && w_rank >= 0 && rank != w_rank)
    return gie_fail(x->ctx, GIE_E_SHAPE, "w has rank %d, x has rank %d; they must be equal", w_rank, rank);
  return ir_check_list(x, 2, "the bias");
}

static gie_status check_bias(const struct gie_infer *x, struct gie_dim channels)
{
  char a[64], b[64];
  if (!ir_has(x, 2) || ir_rank(x, 2) != 1 || ir_dim_may_equal(ir_dim(x, 2, 0), channels))
    return GIE_OK;
  return gie_fail(x->ctx, GIE_E_SHAPE, "the bias has %s elements; there are %s output channels",
                  ir_dim_text(x, ir_dim(x, 2, 0), a, sizeof a), ir_dim_text(x, channels, b, sizeof b));
}

static gie_status check_divides(const struct gie_infer *x, struct gie_dim d, int64_t group, const char *what)
{
  if (!gie_dim_is_num(d) || d.b % group == 0)
    return GIE_OK;
  return gie_fail(x->ctx, GIE_E_SHAPE, "%lld %s cannot be divided into %lld groups", (long long)d.b, what,
                  (long long)group);
}

gie_status ir_shape_conv(struct gie_infer *x)
{
  int n;
  int64_t group;
  struct gie_shape *out = &x->out[0].shape;
  x->out[0].dtype = x->in[0].dtype;
  GIE_TRY(conv_operands(x, &n, &group));
  if (n == 0 || ir_rank(x, 1) < 0) {
    if (n > 0)
      ir_set_rank(out, n + 2), out->dim[0] = ir_dim(x, 0, 0);
    return GIE_OK;
  }
  struct gie_dim c = ir_dim(x, 0, 1), k = ir_dim(x, 1, 0), c_per_group = ir_dim(x, 1, 1), need;
  char a[64], b[64];
  GIE_TRY(ir_dim_mul(x, c_per_group, gie_dim_num(group), &need));
  if (!ir_dim_may_equal(c, need))
    return gie_fail(x->ctx, GIE_E_SHAPE, "x has %s channels; w is made for %s (%lld group%s)",
                    ir_dim_text(x, c, a, sizeof a), ir_dim_text(x, need, b, sizeof b), (long long)group,
                    group == 1 ? "" : "s");
  GIE_TRY(check_divides(x, k, group, "output channels"));
  GIE_TRY(check_bias(x, k));
  ir_set_rank(out, n + 2);
  GIE_TRY(slide(x, n, &x->in[1].shape.dim[2], out));
  out->dim[0] = ir_dim(x, 0, 0);
  out->dim[1] = k;
  return GIE_OK;
}

/* out->dim[2 …] of a transposed convolution. */
static gie_status slide_transposed(const struct gie_infer *x, int n, struct gie_shape *out)
{
  struct gie_window w;
  enum gie_auto_pad auto_pad;
  const struct gie_dim *kernel = &x->in[1].shape.dim[2];
  int64_t k[GIE_MAX_SPATIAL] = {0}, output_pad[GIE_MAX_SPATIAL], output_shape[GIE_MAX_SPATIAL];
  const char *why;
  for (int i = 0; i < n; i++)
    k[i] = gie_dim_is_num(kernel[i]) ? kernel[i].b : 1;
  if (!gie_window_attrs(x->node, n, k, &w, &auto_pad, &why) ||
      !gie_window_transpose_attrs(x->node, &w, output_pad, output_shape, &why))
    return window_fail(x, GIE_E_ATTR, why);
  for (int i = 0; i < n; i++) {
    struct gie_dim in = ir_dim(x, 0, 2 + i), *to = &out->dim[2 + i];
    if (output_shape[i] >= 0) {
      *to = gie_dim_num(output_shape[i]);
    } else if (!gie_dim_is_num(kernel[i])) {
      *to = gie_dim_unknown();
    } else if (gie_dim_is_num(in)) {
      w.in[i] = in.b;
      if (!gie_window_transpose_axis(&w, i, auto_pad, output_pad[i], output_shape[i], &why))
        return window_fail(x, GIE_E_SHAPE, why);
      *to = gie_dim_num(w.out[i]);
    } else {
      *to = gie_dim_mul(in, gie_dim_num(w.stride[i]));
      if (auto_pad == GIE_PAD_EXPLICIT)
        *to = gie_dim_add(*to, gie_dim_num(gie_window_span(&w, i) - w.stride[i] + output_pad[i] -
                                           w.pad_begin[i] - w.pad_end[i]));
    }
  }
  return GIE_OK;
}

gie_status ir_shape_conv_transpose(struct gie_infer *x)
{
  int n;
  int64_t group;
  struct gie_shape *out = &x->out[0].shape;
  x->out[0].dtype = x->in[0].dtype;
  GIE_TRY(conv_operands(x, &n, &group));
  if (n == 0 || ir_rank(x, 1) < 0) {
    if (n > 0)
      ir_set_rank(out, n + 2), out->dim[0] = ir_dim(x, 0, 0);
    return GIE_OK;
  }
  struct gie_dim c = ir_dim(x, 0, 1), wc = ir_dim(x, 1, 0), k;
  char a[64], b[64];
  if (!ir_dim_may_equal(c, wc))
    return gie_fail(x->ctx, GIE_E_SHAPE, "x has %s channels; w is made for %s",
                    ir_dim_text(x, c, a, sizeof a), ir_dim_text(x, wc, b, sizeof b));
  GIE_TRY(check_divides(x, ir_dim_merge(c, wc), group, "channels"));
  GIE_TRY(ir_dim_mul(x, ir_dim(x, 1, 1), gie_dim_num(group), &k));
  GIE_TRY(check_bias(x, k));
  ir_set_rank(out, n + 2);
  GIE_TRY(slide_transposed(x, n, out));
  out->dim[0] = ir_dim(x, 0, 0);
  out->dim[1] = k;
  return GIE_OK;
}

/* ---- Pools --------------------------------------------------------------------------------------- */

/* A window that lies in the padding alone has neither a greatest element nor a mean. */
static gie_status check_pool_pads(const struct gie_infer *x, int n, const int64_t *kernel)
{
  struct gie_window w;
  enum gie_auto_pad auto_pad;
  const char *why;
  if (!gie_window_attrs(x->node, n, kernel, &w, &auto_pad, &why))
    return window_fail(x, GIE_E_ATTR, why);
  for (int i = 0; i < n; i++)
    if (w.pad_begin[i] >= gie_window_span(&w, i) || w.pad_end[i] >= gie_window_span(&w, i))
      return gie_fail(x->ctx, GIE_E_ATTR, "pad on spatial axis %d is not smaller than the kernel", i);
  return GIE_OK;
}

gie_status ir_shape_pool(struct gie_infer *x)
{
  int n;
  int64_t kernel[GIE_MAX_SPATIAL];
  struct gie_dim k[GIE_MAX_SPATIAL];
  struct gie_shape *out = &x->out[0].shape;
  const struct gie_attr *given = gie_attrs_find(&x->node->attrs, "kernel");
  x->out[0].dtype = x->in[0].dtype;
  GIE_TRY(spatial_axes(x, &n));
  if (n > 0) {
    if (!given || given->n != (uint32_t)n)
      return gie_fail(x->ctx, GIE_E_ATTR, "kernel has %u entries; x has %d spatial axes",
                      given ? (unsigned)given->n : 0u, n);
    gie_node_ints(x->node, "kernel", kernel, GIE_MAX_SPATIAL, 1);
    GIE_TRY(check_pool_pads(x, n, kernel));
    for (int i = 0; i < n; i++)
      k[i] = gie_dim_num(kernel[i]);
    ir_set_rank(out, n + 2);
    GIE_TRY(slide(x, n, k, out));
    out->dim[0] = ir_dim(x, 0, 0);
    out->dim[1] = ir_dim(x, 0, 1);
  }
  if (x->n_out > 1) {
    x->out[1].dtype = GIE_I64;
    x->out[1].shape = *out;
  }
  return GIE_OK;
}

gie_status ir_shape_global_pool(struct gie_infer *x)
{
  int n;
  x->out[0] = x->in[0];
  GIE_TRY(spatial_axes(x, &n));
  for (int i = 0; i < n; i++)
    x->out[0].shape.dim[2 + i] = gie_dim_num(1);
  return GIE_OK;
}
