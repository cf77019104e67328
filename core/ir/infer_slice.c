/* SPDX-License-Identifier: Apache-2.0 */
/* Shape of slice: numpy's start:end:step per axis, bounds clamped to the axis. */
#include "core/ir/infer.h"

struct range {
  struct gie_dim start, end, step;
};

static int64_t clamp(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }

/* First index and number of elements of start:end:step over d elements (all numbers, step != 0). */
static int64_t count_numbers(int64_t d, int64_t start, int64_t end, int64_t step, int64_t *first)
{
  /* A negative bound counts from the end; the sum cannot overflow because d ≥ 0. */
  start = start < 0 ? start + d : start;
  end = end < 0 ? end + d : end;
  if (d == 0)
    return *first = 0;
  if (step > 0) {
    start = clamp(start, 0, d);
    end = clamp(end, 0, d);
  } else {
    start = clamp(start, 0, d - 1);
    end = clamp(end, -1, d - 1);
  }
  *first = start;
  if (step > 0 ? end <= start : end >= start)
    return 0;
  __extension__ typedef __int128 wide; /* -step overflows for the smallest step */
  wide span = step > 0 ? (wide)end - start : (wide)start - end, size = step > 0 ? (wide)step : -(wide)step;
  return (int64_t)((span + size - 1) / size);
}

/* A bound as a distance from the beginning, when that is certainly inside 0 … d. */
static struct gie_dim inside(struct gie_dim bound, struct gie_dim d)
{
  if (gie_dim_is_num(bound) && bound.b < 0)
    bound = gie_dim_add(bound, d);
  bool fits = ir_dim_at_least(bound, 0) && ir_dim_at_least(gie_dim_sub(d, bound), 0);
  return fits || gie_dim_equal(bound, d) ? bound : gie_dim_unknown();
}

static struct gie_dim count_symbolic(struct gie_dim d, const struct range *r)
{
  struct gie_dim start = inside(r->start, d), end = inside(r->end, d);
  if (!gie_dim_is_num(r->step) || r->step.b != 1)
    return gie_dim_unknown();
  /* An end beyond any tensor's size means "to the end". */
  if (gie_dim_is_num(r->end) && r->end.b >= INT32_MAX)
    end = d;
  struct gie_dim n = gie_dim_sub(end, start);
  return ir_dim_at_least(n, 0) ? n : gie_dim_unknown();
}

static gie_status slice_axis(const struct gie_infer *x, struct gie_dim d, const struct range *r,
                             struct gie_dim *out)
{
  int64_t first;
  if (gie_dim_is_num(r->step) && r->step.b == 0)
    return gie_fail(x->ctx, GIE_E_ATTR, "a step is 0");
  if (gie_dim_is_num(d) && gie_dim_is_num(r->start) && gie_dim_is_num(r->end) && gie_dim_is_num(r->step))
    *out = gie_dim_num(count_numbers(d.b, r->start.b, r->end.b, r->step.b, &first));
  else
    *out = count_symbolic(d, r);
  return GIE_OK;
}

static void slice_known(const struct gie_infer *x, const struct range *r)
{
  uint32_t n;
  const struct gie_dim *k = ir_known(x, 0, &n);
  struct gie_dim out[GIE_MAX_KNOWN];
  int64_t first;
  if (!k || ir_rank(x, 0) != 1 || !gie_dim_is_num(r->start) || !gie_dim_is_num(r->end) ||
      !gie_dim_is_num(r->step))
    return;
  int64_t count = count_numbers(n, r->start.b, r->end.b, r->step.b, &first);
  for (int64_t i = 0; i < count; i++)
    out[i] = k[first + i * r->step.b];
  ir_set_known(x, out, (uint32_t)count);
}

/* Element i of a list operand; `def` when it is omitted, unknown when its elements are. */
static struct gie_dim entry(const struct gie_infer *x, uint32_t operand, uint32_t i, struct gie_dim def)
{
  uint32_t n;
  const struct gie_dim *k = ir_known(x, operand, &n);
  return !ir_has(x, operand) ? def : k && i < n ? k[i] : gie_dim_unknown();
}

/* All lists have one length; -1 when no operand tells it. */
static gie_status list_lengths(const struct gie_infer *x, int64_t *count)
{
  static const char *const names[] = {"", "starts", "ends", "axes", "steps"};
  *count = -1;
  for (uint32_t i = 1; i < 5; i++) {
    GIE_TRY(ir_check_list(x, i, names[i]));
    int64_t n = ir_has(x, i) ? ir_list_length(x, i) : -1;
    if (n >= 0 && *count >= 0 && n != *count)
      return gie_fail(x->ctx, GIE_E_SHAPE, "%s has %lld entries, another list has %lld", names[i],
                      (long long)n, (long long)*count);
    *count = n >= 0 ? n : *count;
  }
  return GIE_OK;
}

gie_status ir_shape_slice(struct gie_infer *x)
{
  int rank = ir_rank(x, 0);
  int64_t count;
  uint32_t seen = 0, n_axes;
  const struct gie_dim *axes = ir_known(x, 3, &n_axes);
  struct gie_shape *out = &x->out[0].shape;
  x->out[0].dtype = x->in[0].dtype;
  GIE_TRY(list_lengths(x, &count));
  if (rank < 0)
    return GIE_OK;
  ir_set_rank(out, rank);
  if (count > rank)
    return gie_fail(x->ctx, GIE_E_SHAPE, "%lld ranges for rank %d", (long long)count, rank);
  if (count < 0 || (ir_has(x, 3) && !axes))
    return GIE_OK;
  *out = x->in[0].shape;
  for (uint32_t i = 0; i < (uint32_t)count; i++) {
    int axis = (int)i;
    struct range r = {entry(x, 1, i, gie_dim_num(0)), entry(x, 2, i, gie_dim_num(0)),
                      entry(x, 4, i, gie_dim_num(1))};
    if (axes && !gie_dim_is_num(axes[i])) {
      ir_set_rank(out, rank);
      return GIE_OK;
    }
    if (axes)
      GIE_TRY(ir_axis(x, axes[i].b, rank, &axis));
    if (seen & 1u << axis)
      return gie_fail(x->ctx, GIE_E_ATTR, "axis %d is listed twice", axis);
    seen |= 1u << axis;
    GIE_TRY(slice_axis(x, ir_dim(x, 0, axis), &r, &out->dim[axis]));
    slice_known(x, &r);
  }
  if (count == 0)
    ir_pass_known(x);
  return GIE_OK;
}
