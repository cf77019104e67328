/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers of the shape functions: axes, dims that may be symbolic, broadcasting. */
#include "core/ir/infer.h"

/* ---- Operands and results --------------------------------------------------------------------- */

int64_t ir_list_length(const struct gie_infer *x, uint32_t i)
{
  uint32_t n;
  if (ir_known(x, i, &n))
    return n;
  if (ir_rank(x, i) != 1 || !gie_dim_is_num(ir_dim(x, i, 0)))
    return -1;
  return ir_dim(x, i, 0).b;
}

gie_status ir_check_list(const struct gie_infer *x, uint32_t i, const char *what)
{
  if (!ir_has(x, i) || ir_rank(x, i) == -1 || ir_rank(x, i) == 1)
    return GIE_OK;
  return gie_fail(x->ctx, GIE_E_SHAPE, "%s has rank %d; it must be a list of rank 1", what, ir_rank(x, i));
}

void ir_set_rank(struct gie_shape *s, int rank)
{
  s->rank = rank;
  for (int i = 0; i < rank; i++)
    s->dim[i] = gie_dim_unknown();
}

gie_status ir_check_rank(const struct gie_infer *x, int64_t rank)
{
  if (rank >= 0 && rank <= GIE_MAX_RANK)
    return GIE_OK;
  return gie_fail(x->ctx, GIE_E_LIMIT, "the result would have rank %lld; at most %d is supported",
                  (long long)rank, GIE_MAX_RANK);
}

void ir_set_known(const struct gie_infer *x, const struct gie_dim *dims, uint32_t n)
{
  if (n > GIE_MAX_KNOWN)
    return;
  if (n)
    memmove(x->known_out, dims, n * sizeof *dims);
  *x->n_known_out = n;
}

void ir_pass_known(const struct gie_infer *x)
{
  uint32_t n;
  const struct gie_dim *k = ir_known(x, 0, &n);
  if (k)
    ir_set_known(x, k, n);
}

/* ---- Axes ------------------------------------------------------------------------------------- */

gie_status ir_axis(const struct gie_infer *x, int64_t axis, int rank, int *out)
{
  if (axis < -(int64_t)rank || axis >= rank)
    return gie_fail(x->ctx, GIE_E_ATTR, "axis %lld is out of range for rank %d", (long long)axis, rank);
  *out = (int)(axis < 0 ? axis + rank : axis);
  return GIE_OK;
}

gie_status ir_axes(const struct gie_infer *x, uint32_t i, int rank, uint32_t *mask, bool *known)
{
  uint32_t n;
  const struct gie_dim *k = ir_known(x, i, &n);
  uint32_t set = 0;
  *mask = 0;
  *known = false;
  if (!k)
    return GIE_OK;
  for (uint32_t j = 0; j < n; j++) {
    int axis = 0;
    if (!gie_dim_is_num(k[j]))
      return GIE_OK;
    GIE_TRY(ir_axis(x, k[j].b, rank, &axis));
    if (set & 1u << axis)
      return gie_fail(x->ctx, GIE_E_ATTR, "axis %d is listed twice", axis);
    set |= 1u << axis;
  }
  *mask = set;
  *known = true;
  return GIE_OK;
}

/* ---- Dims ------------------------------------------------------------------------------------- */

/* Can a*s + b be n for an integer s ≥ 0? */
static bool reaches(struct gie_dim d, int64_t n)
{
  int64_t diff;
  if (__builtin_sub_overflow(n, d.b, &diff))
    return true;
  if (d.a == 0 || d.a == -1)
    return d.a ? diff <= 0 : diff == 0;
  return diff % d.a == 0 && diff / d.a >= 0;
}

bool ir_dim_may_equal(struct gie_dim a, struct gie_dim b)
{
  if (!gie_dim_is_known(a) || !gie_dim_is_known(b))
    return true;
  if (gie_dim_is_num(a) && gie_dim_is_num(b))
    return a.b == b.b;
  if (gie_dim_is_num(a))
    return reaches(b, a.b);
  if (gie_dim_is_num(b))
    return reaches(a, b.b);
  if (a.sym == b.sym && a.a == b.a)
    return a.b == b.b;
  return true;
}

bool ir_dim_at_least(struct gie_dim d, int64_t n)
{
  if (gie_dim_is_num(d))
    return d.b >= n;
  return gie_dim_is_known(d) && d.a > 0 && d.b >= n;
}

struct gie_dim ir_dim_merge(struct gie_dim a, struct gie_dim b)
{
  if (gie_dim_is_num(b) || !gie_dim_is_known(a))
    return b;
  return a;
}

static gie_status dim_overflow(const struct gie_infer *x)
{
  return gie_fail(x->ctx, GIE_E_LIMIT, "a dim of the result is above 2^63-1");
}

gie_status ir_dim_add(const struct gie_infer *x, struct gie_dim a, struct gie_dim b, struct gie_dim *out)
{
  *out = gie_dim_add(a, b);
  return gie_dim_is_num(a) && gie_dim_is_num(b) && !gie_dim_is_known(*out) ? dim_overflow(x) : GIE_OK;
}

gie_status ir_dim_mul(const struct gie_infer *x, struct gie_dim a, struct gie_dim b, struct gie_dim *out)
{
  *out = gie_dim_mul(a, b);
  return gie_dim_is_num(a) && gie_dim_is_num(b) && !gie_dim_is_known(*out) ? dim_overflow(x) : GIE_OK;
}

static int64_t floor_div(int64_t a, int64_t k) { return a / k - (a % k != 0 && a < 0); }

struct gie_dim ir_dim_floor_div(struct gie_dim d, int64_t k)
{
  if (!gie_dim_is_known(d) || k < 1 || d.a % k != 0)
    return gie_dim_unknown();
  d.a /= k;
  d.b = floor_div(d.b, k);
  return d;
}

const char *ir_dim_text(const struct gie_infer *x, struct gie_dim d, char *buf, size_t size)
{
  struct gie_shape s;
  s.rank = 1;
  s.dim[0] = d;
  gie_shape_text(x->graph, &s, buf, size);
  size_t len = strlen(buf);
  if (len >= 2 && buf[len - 1] == ']') { /* take the brackets off */
    memmove(buf, buf + 1, len - 2);
    buf[len - 2] = 0;
  }
  return buf;
}

const char *ir_type_text(const struct gie_infer *x, const struct gie_type *t, char *buf, size_t size)
{
  int n = snprintf(buf, size, "%s", gie_dtype_name(t->dtype));
  if (n >= 0 && (size_t)n < size)
    gie_shape_text(x->graph, &t->shape, buf + n, size - (size_t)n);
  return buf;
}

/* ---- Broadcasting ------------------------------------------------------------------------------ */

static bool is_one(struct gie_dim d) { return gie_dim_is_num(d) && d.b == 1; }

/* The dim that a and b broadcast to; false when they cannot. */
static bool broadcast_dim(struct gie_dim a, struct gie_dim b, struct gie_dim *out)
{
  struct gie_dim one = gie_dim_num(1);
  if (gie_dim_equal(a, b) || is_one(b))
    return *out = a, true;
  if (is_one(a))
    return *out = b, true;
  if (gie_dim_is_num(a) && gie_dim_is_num(b))
    return false;
  *out = gie_dim_unknown();
  if (gie_dim_is_num(a) || gie_dim_is_num(b)) {
    /* A number other than 1 wins: the other one is the same or 1. */
    struct gie_dim num = gie_dim_is_num(a) ? a : b, other = gie_dim_is_num(a) ? b : a;
    if (!ir_dim_may_equal(other, num) && !ir_dim_may_equal(other, one))
      return false;
    *out = num;
  }
  return true;
}

/* Dim of a shape that is padded with ones in front to `rank`. */
static struct gie_dim padded(const struct gie_shape *s, int rank, int i)
{
  int at = i - (rank - s->rank);
  return at < 0 ? gie_dim_num(1) : s->dim[at];
}

gie_status ir_broadcast(const struct gie_infer *x, const struct gie_shape *a, const struct gie_shape *b,
                        struct gie_shape *out)
{
  struct gie_shape r;
  if (a->rank < 0 || b->rank < 0) {
    out->rank = -1;
    return GIE_OK;
  }
  r.rank = a->rank > b->rank ? a->rank : b->rank;
  for (int i = 0; i < r.rank; i++)
    if (!broadcast_dim(padded(a, r.rank, i), padded(b, r.rank, i), &r.dim[i])) {
      char ta[200], tb[200];
      return gie_fail(x->ctx, GIE_E_SHAPE, "operands of shapes %s and %s do not broadcast",
                      gie_shape_text(x->graph, a, ta, sizeof ta), gie_shape_text(x->graph, b, tb, sizeof tb));
    }
  *out = r;
  return GIE_OK;
}

/* Can b be stretched to a? */
static bool fits_dim(struct gie_dim a, struct gie_dim b)
{
  return is_one(b) || ir_dim_may_equal(a, b) || (!gie_dim_is_num(b) && ir_dim_may_equal(b, gie_dim_num(1)));
}

gie_status ir_broadcast_to(const struct gie_infer *x, const struct gie_shape *a, const struct gie_shape *b,
                           const char *what)
{
  char ta[200], tb[200];
  bool fits = true;
  if (a->rank < 0 || b->rank < 0)
    return GIE_OK;
  for (int i = 0; i < b->rank && fits; i++) {
    int at = i + a->rank - b->rank;
    fits = at >= 0 && fits_dim(a->dim[at], b->dim[i]);
  }
  if (fits)
    return GIE_OK;
  return gie_fail(x->ctx, GIE_E_SHAPE, "%s of shape %s does not broadcast to %s", what,
                  gie_shape_text(x->graph, b, tb, sizeof tb), gie_shape_text(x->graph, a, ta, sizeof ta));
}

bool ir_shape_merge(const struct gie_shape *a, const struct gie_shape *b, struct gie_shape *out)
{
  if (a->rank < 0 || b->rank < 0) {
    *out = a->rank < 0 ? *b : *a;
    return true;
  }
  struct gie_shape r = *a;
  if (a->rank != b->rank)
    return false;
  for (int i = 0; i < a->rank; i++) {
    if (!ir_dim_may_equal(a->dim[i], b->dim[i]))
      return false;
    r.dim[i] = ir_dim_merge(a->dim[i], b->dim[i]);
  }
  *out = r;
  return true;
}

/* ---- Types and strings -------------------------------------------------------------------------- */

gie_status ir_same_dtype(const struct gie_infer *x, enum gie_dtype *io, enum gie_dtype t, const char *what)
{
  if (*io == GIE_DTYPE_NONE)
    *io = t;
  if (t == GIE_DTYPE_NONE || t == *io)
    return GIE_OK;
  return gie_fail(x->ctx, GIE_E_TYPE, "%s is %s, but %s is needed here; insert a cast", what,
                  gie_dtype_name(t), gie_dtype_name(*io));
}

gie_status ir_one_of(const struct gie_infer *x, const char *attr, const char *const *choices, int *index)
{
  const char *s = gie_node_string(x->node, attr);
  char list[256];
  size_t at = 0;
  for (int i = 0; choices[i]; i++)
    if (strcmp(choices[i], s) == 0) {
      if (index)
        *index = i;
      return GIE_OK;
    }
  for (int i = 0; choices[i] && at < sizeof list; i++)
    at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", choices[i]);
  return gie_fail(x->ctx, GIE_E_ATTR, "%s \"%.100s\" is none of %s", attr, s, list);
}
