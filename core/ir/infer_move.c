/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes of ops that move data: concat, split, gather, transpose, pad, tile, depth/space. */
#include "core/ir/infer.h"

/* ---- concat, split ------------------------------------------------------------------------------- */

static void concat_known(const struct gie_infer *x)
{
  struct gie_dim r[GIE_MAX_KNOWN];
  uint32_t total = 0;
  for (uint32_t i = 0; i < x->n_in; i++) {
    uint32_t n;
    const struct gie_dim *k = ir_known(x, i, &n);
    int64_t len = ir_list_length(x, i);
    if (len < 0 || len > GIE_MAX_KNOWN - (int64_t)total)
      return;
    for (int64_t j = 0; j < len; j++)
      r[total++] = k ? k[j] : gie_dim_unknown();
  }
  ir_set_known(x, r, total);
}

gie_status ir_shape_concat(struct gie_infer *x)
{
  struct gie_type out = x->in[0];
  int64_t axis_attr = gie_node_int(x->node, "axis");
  int axis, rank = -1;
  bool all_known = true;
  for (uint32_t i = 0; i < x->n_in; i++) {
    GIE_TRY(ir_same_dtype(x, &out.dtype, x->in[i].dtype, "an operand"));
    if (rank >= 0 && ir_rank(x, i) >= 0 && ir_rank(x, i) != rank)
      return gie_fail(x->ctx, GIE_E_SHAPE, "operand %u has rank %d, others have %d", (unsigned)i,
                      ir_rank(x, i), rank);
    if (ir_rank(x, i) >= 0)
      rank = ir_rank(x, i);
    else
      all_known = false;
  }
  x->out[0].dtype = out.dtype;
  if (rank < 0)
    return GIE_OK;
  GIE_TRY(ir_axis(x, axis_attr, rank, &axis));
  ir_set_rank(&out.shape, rank);
  struct gie_dim total = all_known ? gie_dim_num(0) : gie_dim_unknown();
  for (uint32_t i = 0; i < x->n_in; i++) {
    struct gie_shape s = x->in[i].shape;
    if (s.rank < 0)
      continue;
    GIE_TRY(ir_dim_add(x, total, s.dim[axis], &total));
    s.dim[axis] = gie_dim_unknown();
    if (!ir_shape_merge(&out.shape, &s, &out.shape)) {
      char a[200], b[200];
      out.shape.dim[axis] = gie_dim_unknown();
      return gie_fail(x->ctx, GIE_E_SHAPE, "operand %u of shape %s does not fit %s along axis %d",
                      (unsigned)i, gie_shape_text(x->graph, &x->in[i].shape, a, sizeof a),
                      gie_shape_text(x->graph, &out.shape, b, sizeof b), axis);
    }
  }
  out.shape.dim[axis] = total;
  x->out[0] = out;
  if (rank == 1 && gie_dtype_class(out.dtype) != 'f')
    concat_known(x);
  return GIE_OK;
}

/* Sizes of equal parts: the last takes what is left. */
static gie_status equal_parts(const struct gie_infer *x, struct gie_dim whole, int axis)
{
  struct gie_dim part = gie_dim_div(whole, gie_dim_num(x->n_out)), last = part;
  if (gie_dim_is_num(whole)) {
    int64_t n = x->n_out, size = whole.b / n + (whole.b % n != 0), left = whole.b - size * (n - 1);
    if (left < 0)
      return gie_fail(x->ctx, GIE_E_SHAPE, "axis %d of %lld elements cannot be split into %u parts", axis,
                      (long long)whole.b, (unsigned)x->n_out);
    part = gie_dim_num(size);
    last = gie_dim_num(left);
  }
  for (uint32_t i = 0; i < x->n_out; i++)
    x->out[i].shape.dim[axis] = i + 1 < x->n_out ? part : last;
  return GIE_OK;
}

static gie_status given_parts(const struct gie_infer *x, struct gie_dim whole, int axis)
{
  uint32_t n;
  const struct gie_dim *k = ir_known(x, 1, &n);
  struct gie_dim sum = gie_dim_num(0);
  char a[64], b[64];
  for (uint32_t i = 0; i < x->n_out; i++) {
    if (k && gie_dim_is_num(k[i]) && k[i].b < 0)
      return gie_fail(x->ctx, GIE_E_SHAPE, "part %u has the negative size %lld", (unsigned)i,
                      (long long)k[i].b);
    x->out[i].shape.dim[axis] = k ? k[i] : gie_dim_unknown();
    GIE_TRY(ir_dim_add(x, sum, x->out[i].shape.dim[axis], &sum));
  }
  if (!ir_dim_may_equal(sum, whole))
    return gie_fail(x->ctx, GIE_E_SHAPE, "the sizes add up to %s; axis %d has %s elements",
                    ir_dim_text(x, sum, a, sizeof a), axis, ir_dim_text(x, whole, b, sizeof b));
  return GIE_OK;
}

gie_status ir_shape_split(struct gie_infer *x)
{
  int rank = ir_rank(x, 0), axis;
  int64_t count = ir_has(x, 1) ? ir_list_length(x, 1) : x->n_out;
  for (uint32_t i = 0; i < x->n_out; i++)
    x->out[i] = x->in[0];
  GIE_TRY(ir_check_list(x, 1, "sizes"));
  if (count >= 0 && count != x->n_out)
    return gie_fail(x->ctx, GIE_E_SHAPE, "%lld sizes for %u results", (long long)count, (unsigned)x->n_out);
  if (rank < 0)
    return GIE_OK;
  GIE_TRY(ir_axis(x, gie_node_int(x->node, "axis"), rank, &axis));
  return ir_has(x, 1) ? given_parts(x, ir_dim(x, 0, axis), axis) : equal_parts(x, ir_dim(x, 0, axis), axis);
}

/* ---- gather, transpose ---------------------------------------------------------------------------- */

static gie_status gather_known(const struct gie_infer *x, struct gie_dim extent)
{
  uint32_t n, n_x;
  const struct gie_dim *at = ir_known(x, 1, &n), *k = ir_known(x, 0, &n_x);
  struct gie_dim r[GIE_MAX_KNOWN];
  for (uint32_t i = 0; i < n; i++) {
    r[i] = gie_dim_unknown();
    if (!gie_dim_is_num(at[i]))
      continue;
    if (gie_dim_is_num(extent) && (at[i].b >= extent.b || at[i].b < -extent.b))
      return gie_fail(x->ctx, GIE_E_SHAPE, "index %lld is out of range for %lld entries", (long long)at[i].b,
                      (long long)extent.b);
    int64_t j = at[i].b < 0 ? at[i].b + n_x : at[i].b;
    if (k && j >= 0 && j < n_x)
      r[i] = k[j];
  }
  if (at && k && ir_rank(x, 0) == 1)
    ir_set_known(x, r, n);
  return GIE_OK;
}

gie_status ir_shape_gather(struct gie_infer *x)
{
  int rank = ir_rank(x, 0), n_idx = ir_rank(x, 1), axis, n = 0;
  struct gie_shape *out = &x->out[0].shape;
  x->out[0].dtype = x->in[0].dtype;
  if (rank < 0)
    return GIE_OK;
  GIE_TRY(ir_axis(x, gie_node_int(x->node, "axis"), rank, &axis));
  GIE_TRY(gather_known(x, ir_dim(x, 0, axis)));
  if (n_idx < 0)
    return GIE_OK;
  GIE_TRY(ir_check_rank(x, (int64_t)rank - 1 + n_idx));
  for (int i = 0; i < axis; i++)
    out->dim[n++] = ir_dim(x, 0, i);
  for (int i = 0; i < n_idx; i++)
    out->dim[n++] = ir_dim(x, 1, i);
  for (int i = axis + 1; i < rank; i++)
    out->dim[n++] = ir_dim(x, 0, i);
  out->rank = n;
  return GIE_OK;
}

gie_status ir_shape_transpose(struct gie_infer *x)
{
  int rank = ir_rank(x, 0);
  const struct gie_attr *perm = gie_attrs_find(&x->node->attrs, "perm");
  uint32_t seen = 0;
  x->out[0] = x->in[0];
  if (rank < 0)
    return GIE_OK;
  if (perm && perm->n != (uint32_t)rank)
    return gie_fail(x->ctx, GIE_E_ATTR, "perm has %u entries; x has rank %d", (unsigned)perm->n, rank);
  for (int i = 0; i < rank; i++) {
    int64_t from = perm ? perm->u.is[i] : rank - 1 - i;
    if (from < 0 || from >= rank || seen & 1u << from)
      return gie_fail(x->ctx, GIE_E_ATTR, "perm is no permutation of the axes 0 … %d", rank - 1);
    seen |= 1u << from;
    x->out[0].shape.dim[i] = ir_dim(x, 0, (int)from);
  }
  return GIE_OK;
}

/* ---- pad, tile -------------------------------------------------------------------------------------- */

/* begin[], end[] per axis of x from the operands pads and axes; *known false when they are not. */
static gie_status read_pads(const struct gie_infer *x, int rank, struct gie_dim *begin, struct gie_dim *end,
                            bool *known)
{
  uint32_t n, n_axes;
  const struct gie_dim *pads = ir_known(x, 1, &n), *axes = ir_known(x, 3, &n_axes);
  uint32_t mask, count = ir_has(x, 3) ? n_axes : (uint32_t)rank;
  *known = false;
  GIE_TRY(ir_axes(x, 3, rank, &mask, known));
  *known = pads && (*known || !ir_has(x, 3));
  if (!*known)
    return GIE_OK;
  if (n != 2 * count)
    return gie_fail(x->ctx, GIE_E_SHAPE, "pads has %u entries; %u axes need %u", (unsigned)n, (unsigned)count,
                    2 * (unsigned)count);
  for (int i = 0; i < rank; i++)
    begin[i] = end[i] = gie_dim_num(0);
  for (uint32_t i = 0; i < count; i++) {
    int axis = (int)i;
    if (axes)
      GIE_TRY(ir_axis(x, axes[i].b, rank, &axis));
    begin[axis] = pads[i];
    end[axis] = pads[count + i];
  }
  return GIE_OK;
}

/* The modes that repeat data need some to repeat. */
static gie_status check_pad_mode(const struct gie_infer *x, int mode, int axis, struct gie_dim d,
                                 struct gie_dim by)
{
  enum { CONSTANT, REFLECT };
  if (mode == CONSTANT || !gie_dim_is_num(d) || !gie_dim_is_num(by) || by.b <= 0)
    return GIE_OK;
  if (d.b == 0)
    return gie_fail(x->ctx, GIE_E_SHAPE, "axis %d has no elements to pad with", axis);
  if (mode == REFLECT && by.b >= d.b)
    return gie_fail(x->ctx, GIE_E_SHAPE, "axis %d of %lld elements cannot be reflected by %lld", axis,
                    (long long)d.b, (long long)by.b);
  return GIE_OK;
}

static gie_status check_pad_value(const struct gie_infer *x)
{
  if (!ir_has(x, 2))
    return GIE_OK;
  const struct gie_shape *s = &x->in[2].shape;
  bool one = s->rank < 1 || (s->rank == 1 && ir_dim_may_equal(s->dim[0], gie_dim_num(1)));
  return one ? GIE_OK : gie_fail(x->ctx, GIE_E_SHAPE, "the value to pad with must be one element");
}

gie_status ir_shape_pad(struct gie_infer *x)
{
  static const char *const modes[] = {"constant", "reflect", "edge", "wrap", NULL};
  int rank = ir_rank(x, 0), mode;
  struct gie_dim begin[GIE_MAX_RANK], end[GIE_MAX_RANK];
  bool known;
  x->out[0].dtype = x->in[0].dtype;
  GIE_TRY(ir_one_of(x, "mode", modes, &mode));
  GIE_TRY(ir_check_list(x, 1, "pads"));
  GIE_TRY(ir_check_list(x, 3, "axes"));
  GIE_TRY(check_pad_value(x));
  if (rank < 0)
    return GIE_OK;
  ir_set_rank(&x->out[0].shape, rank);
  GIE_TRY(read_pads(x, rank, begin, end, &known));
  int64_t n_pads = ir_list_length(x, 1), n_axes = ir_has(x, 3) ? ir_list_length(x, 3) : rank;
  if (n_pads >= 0 && n_axes >= 0 && n_pads != 2 * n_axes)
    return gie_fail(x->ctx, GIE_E_SHAPE, "pads has %lld elements for %lld axes", (long long)n_pads,
                    (long long)n_axes);
  for (int i = 0; known && i < rank; i++) {
    struct gie_dim d = ir_dim(x, 0, i), *to = &x->out[0].shape.dim[i];
    GIE_TRY(check_pad_mode(x, mode, i, d, begin[i]));
    GIE_TRY(check_pad_mode(x, mode, i, d, end[i]));
    GIE_TRY(ir_dim_add(x, d, begin[i], to));
    GIE_TRY(ir_dim_add(x, *to, end[i], to));
    if (gie_dim_is_num(*to) && to->b < 0)
      return gie_fail(x->ctx, GIE_E_SHAPE, "the pads of axis %d cut away more than its %lld elements", i,
                      (long long)d.b);
  }
  return GIE_OK;
}

gie_status ir_shape_tile(struct gie_infer *x)
{
  int rank = ir_rank(x, 0);
  uint32_t n;
  const struct gie_dim *k = ir_known(x, 1, &n);
  int64_t count = ir_list_length(x, 1);
  x->out[0].dtype = x->in[0].dtype;
  GIE_TRY(ir_check_list(x, 1, "repeats"));
  if (rank < 0)
    return GIE_OK;
  if (count >= 0 && count != rank)
    return gie_fail(x->ctx, GIE_E_SHAPE, "%lld repeats for rank %d", (long long)count, rank);
  ir_set_rank(&x->out[0].shape, rank);
  for (int i = 0; k && i < rank; i++) {
    if (gie_dim_is_num(k[i]) && k[i].b < 0)
      return gie_fail(x->ctx, GIE_E_SHAPE, "axis %d is to be repeated %lld times", i, (long long)k[i].b);
    GIE_TRY(ir_dim_mul(x, ir_dim(x, 0, i), k[i], &x->out[0].shape.dim[i]));
  }
  return GIE_OK;
}

/* ---- depth_to_space, space_to_depth ------------------------------------------------------------------- */

/* Rank 4 and a block whose square is far from overflowing. */
static gie_status read_block(const struct gie_infer *x, int64_t *block)
{
  *block = gie_node_int(x->node, "block");
  if (*block < 1 || *block > INT16_MAX)
    return gie_fail(x->ctx, GIE_E_ATTR, "block is %lld; it must be 1 … 32767", (long long)*block);
  if (ir_rank(x, 0) >= 0 && ir_rank(x, 0) != 4)
    return gie_fail(x->ctx, GIE_E_SHAPE, "x has rank %d; it must be [N,C,H,W]", ir_rank(x, 0));
  return GIE_OK;
}

static gie_status divide_axis(const struct gie_infer *x, int axis, int64_t by, struct gie_dim *out)
{
  struct gie_dim d = ir_dim(x, 0, axis);
  if (gie_dim_is_num(d) && d.b % by != 0)
    return gie_fail(x->ctx, GIE_E_SHAPE, "axis %d of %lld elements cannot be divided by %lld", axis,
                    (long long)d.b, (long long)by);
  *out = gie_dim_div(d, gie_dim_num(by));
  return GIE_OK;
}

gie_status ir_shape_depth_to_space(struct gie_infer *x)
{
  static const char *const modes[] = {"DCR", "CRD", NULL};
  int64_t b;
  struct gie_type *out = &x->out[0];
  *out = x->in[0];
  GIE_TRY(ir_one_of(x, "mode", modes, NULL));
  GIE_TRY(read_block(x, &b));
  if (out->shape.rank < 0)
    return GIE_OK;
  GIE_TRY(divide_axis(x, 1, b * b, &out->shape.dim[1]));
  GIE_TRY(ir_dim_mul(x, ir_dim(x, 0, 2), gie_dim_num(b), &out->shape.dim[2]));
  return ir_dim_mul(x, ir_dim(x, 0, 3), gie_dim_num(b), &out->shape.dim[3]);
}

gie_status ir_shape_space_to_depth(struct gie_infer *x)
{
  int64_t b;
  struct gie_type *out = &x->out[0];
  *out = x->in[0];
  GIE_TRY(read_block(x, &b));
  if (out->shape.rank < 0)
    return GIE_OK;
  GIE_TRY(divide_axis(x, 2, b, &out->shape.dim[2]));
  GIE_TRY(divide_axis(x, 3, b, &out->shape.dim[3]));
  return ir_dim_mul(x, ir_dim(x, 0, 1), gie_dim_num(b * b), &out->shape.dim[1]);
}
