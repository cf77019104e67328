/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes of ops that keep the elements and change the dims: reshape, flatten, squeeze, unsqueeze;
 * and expand. */
#include "core/ir/infer.h"

/* ---- reshape: counting elements as number * product of symbolic factors --------------------------- */

/* A product of dims. Symbolic dims are split into a number and a primitive rest, so that 2*n / n is 2.
 * Dims that are the same on both sides cancel before anything is multiplied: a batch of 0 still
 * tells what -1 stands for. */
struct product {
  struct gie_dim factor[GIE_MAX_RANK];
  int n;
};

static int64_t gcd(int64_t a, int64_t b)
{
  while (b) {
    int64_t t = a % b;
    a = b;
    b = t;
  }
  return a < 0 ? -a : a;
}

static void cancel(struct product *p, struct product *q)
{
  for (int i = 0; i < p->n; i++)
    for (int j = 0; j < q->n; j++)
      if (gie_dim_equal(p->factor[i], q->factor[j])) {
        p->factor[i--] = p->factor[--p->n];
        q->factor[j] = q->factor[--q->n];
        break;
      }
}

/* Takes the numbers out of a product: *num is theirs, symbolic rests stay. false on overflow. */
static bool split_numbers(struct product *p, int64_t *num)
{
  struct product rest = {.n = 0};
  int64_t m = 1;
  for (int i = 0; i < p->n; i++) {
    struct gie_dim d = p->factor[i];
    int64_t k = d.b;
    if (!gie_dim_is_num(d)) {
      if (d.a == INT64_MIN || d.b == INT64_MIN)
        return false;
      k = gcd(d.a, d.b);
      d.a /= k;
      d.b /= k;
      rest.factor[rest.n++] = d;
    }
    if (!gie_mul64(m, k, &m))
      return false;
  }
  *p = rest;
  *num = m;
  return true;
}

static bool all_known(const struct gie_shape *s)
{
  for (int i = 0; i < s->rank; i++)
    if (!gie_dim_is_known(s->dim[i]))
      return false;
  return s->rank >= 0;
}

static gie_status count_fail(const struct gie_infer *x, const struct gie_shape *out)
{
  char a[200], b[200];
  return gie_fail(x->ctx, GIE_E_SHAPE, "%s does not have as many elements as %s",
                  gie_shape_text(x->graph, &x->in[0].shape, a, sizeof a),
                  gie_shape_text(x->graph, out, b, sizeof b));
}

/* Finds the open dim of out (-1: none is), or checks that the counts agree. `must` says that the open
 * dim was asked for with -1, so that a count that does not divide is an error. */
static gie_status balance(const struct gie_infer *x, struct gie_shape *out, int open, bool must)
{
  struct product p = {.n = 0}, q = {.n = 0};
  int64_t have, want;
  if (!all_known(&x->in[0].shape))
    return GIE_OK;
  bool symbols = false;
  for (int i = 0; i < ir_rank(x, 0); i++) {
    p.factor[p.n++] = ir_dim(x, 0, i);
    symbols |= !gie_dim_is_num(ir_dim(x, 0, i));
  }
  for (int i = 0; i < out->rank; i++)
    if (i != open && gie_dim_is_known(out->dim[i]))
      q.factor[q.n++] = out->dim[i];
    else if (i != open)
      return GIE_OK;
  cancel(&p, &q);
  if (!split_numbers(&p, &have) || !split_numbers(&q, &want)) /* a symbol may still be 0 */
    return symbols ? GIE_OK : gie_fail(x->ctx, GIE_E_LIMIT, "the number of elements overflows");
  cancel(&p, &q);
  if (q.n > 0 || p.n > (open >= 0))
    return GIE_OK;
  if (open < 0)
    return have == want ? GIE_OK : count_fail(x, out);
  if (want == 0 && must)
    return gie_fail(x->ctx, GIE_E_SHAPE, "-1 cannot be told from the other dims when one of them is 0");
  if (p.n == 0 && want && have % want != 0)
    return must ? count_fail(x, out) : GIE_OK;
  if (want == 0)
    return GIE_OK;
  out->dim[open] = p.n ? gie_dim_div(gie_dim_mul(p.factor[0], gie_dim_num(have)), gie_dim_num(want))
                       : gie_dim_num(have / want);
  return GIE_OK;
}

gie_status ir_shape_reshape(struct gie_infer *x)
{
  uint32_t n;
  const struct gie_dim *k = ir_known(x, 1, &n);
  bool allowzero = gie_node_int(x->node, "allowzero") != 0;
  int64_t count = ir_list_length(x, 1);
  struct gie_shape *out = &x->out[0].shape;
  int open = -1, unknown = 0;
  bool zero = false, must = false;
  x->out[0].dtype = x->in[0].dtype;
  GIE_TRY(ir_check_list(x, 1, "shape"));
  if (count < 0)
    return GIE_OK;
  GIE_TRY(ir_check_rank(x, count));
  ir_set_rank(out, (int)count);
  for (int i = 0; k && i < out->rank; i++) {
    if (gie_dim_is_num(k[i]) && k[i].b < -1)
      return gie_fail(x->ctx, GIE_E_SHAPE, "shape asks for the dim %lld", (long long)k[i].b);
    if (gie_dim_is_num(k[i]) && k[i].b == -1) {
      if (must)
        return gie_fail(x->ctx, GIE_E_SHAPE, "shape holds more than one -1");
      must = true;
      open = i;
    } else if (gie_dim_is_num(k[i]) && k[i].b == 0 && !allowzero) {
      if (ir_rank(x, 0) >= 0 && i >= ir_rank(x, 0))
        return gie_fail(x->ctx, GIE_E_SHAPE, "shape copies dim %d; x has rank %d", i, ir_rank(x, 0));
      if (ir_rank(x, 0) >= 0)
        out->dim[i] = ir_dim(x, 0, i);
    } else {
      /* A symbol is taken for what it says, although the number 0 in its place would copy a dim. Exporters
       * write the dims of x here, where both mean the same. */
      zero |= gie_dim_is_num(k[i]) && k[i].b == 0;
      out->dim[i] = k[i];
    }
  }
  if (zero && must)
    return gie_fail(x->ctx, GIE_E_SHAPE,
                    "shape holds both 0 and -1 with allowzero; the -1 could be anything");
  /* One dim that is not known is what the count leaves, just like -1. */
  for (int i = 0; i < out->rank && !must; i++)
    if (!gie_dim_is_known(out->dim[i])) {
      unknown++;
      open = i;
    }
  if (k && (must || unknown <= 1))
    GIE_TRY(balance(x, out, open, must));
  ir_pass_known(x);
  return GIE_OK;
}

/* ---- flatten, squeeze, unsqueeze --------------------------------------------------------------------- */

gie_status ir_shape_flatten(struct gie_infer *x)
{
  int rank = ir_rank(x, 0);
  int64_t axis = gie_node_int(x->node, "axis");
  struct gie_shape *out = &x->out[0].shape;
  x->out[0].dtype = x->in[0].dtype;
  ir_set_rank(out, 2);
  if (rank < 0)
    return GIE_OK;
  if (axis < -(int64_t)rank || axis > rank)
    return gie_fail(x->ctx, GIE_E_ATTR, "axis %lld is out of range for rank %d", (long long)axis, rank);
  axis += axis < 0 ? rank : 0;
  out->dim[0] = out->dim[1] = gie_dim_num(1);
  for (int i = 0; i < rank; i++)
    GIE_TRY(ir_dim_mul(x, out->dim[i >= axis], ir_dim(x, 0, i), &out->dim[i >= axis]));
  return GIE_OK;
}

gie_status ir_shape_squeeze(struct gie_infer *x)
{
  int rank = ir_rank(x, 0), n = 0;
  uint32_t mask = 0;
  bool known = false;
  struct gie_dim one = gie_dim_num(1);
  struct gie_shape *out = &x->out[0].shape;
  int64_t count = ir_has(x, 1) ? ir_list_length(x, 1) : 0;
  x->out[0].dtype = x->in[0].dtype;
  GIE_TRY(ir_check_list(x, 1, "axes"));
  ir_pass_known(x);
  if (rank < 0)
    return GIE_OK;
  if (ir_has(x, 1)) {
    GIE_TRY(ir_axes(x, 1, rank, &mask, &known));
    if (!known && count >= 0 && count <= rank)
      ir_set_rank(out, rank - (int)count);
    if (!known)
      return GIE_OK;
  }
  for (int i = 0; i < rank; i++) {
    struct gie_dim d = ir_dim(x, 0, i);
    char t[64];
    if (ir_has(x, 1) ? !(mask >> i & 1) : gie_dim_is_num(d) && d.b != 1) {
      out->dim[n++] = d;
      continue;
    }
    if (ir_has(x, 1) && !ir_dim_may_equal(d, one))
      return gie_fail(x->ctx, GIE_E_SHAPE, "axis %d has %s elements, not 1", i,
                      ir_dim_text(x, d, t, sizeof t));
    /* Without axes a dim that is not known may stay or go, so the rank is not known either. */
    if (!ir_has(x, 1) && !gie_dim_is_num(d)) {
      if (ir_dim_may_equal(d, one))
        return GIE_OK;
      out->dim[n++] = d;
    }
  }
  out->rank = n;
  return GIE_OK;
}

gie_status ir_shape_unsqueeze(struct gie_infer *x)
{
  int rank = ir_rank(x, 0), n = 0;
  uint32_t mask;
  bool known;
  int64_t count = ir_list_length(x, 1);
  struct gie_shape *out = &x->out[0].shape;
  x->out[0].dtype = x->in[0].dtype;
  GIE_TRY(ir_check_list(x, 1, "axes"));
  ir_pass_known(x);
  if (rank < 0 || count < 0)
    return GIE_OK;
  if (count > GIE_MAX_RANK)
    return ir_check_rank(x, count);
  GIE_TRY(ir_check_rank(x, rank + count));
  GIE_TRY(ir_axes(x, 1, rank + (int)count, &mask, &known));
  ir_set_rank(out, rank + (int)count);
  for (int i = 0; known && i < out->rank; i++)
    out->dim[i] = mask >> i & 1 ? gie_dim_num(1) : ir_dim(x, 0, n++);
  return GIE_OK;
}

/* ---- expand --------------------------------------------------------------------------------------------- */

gie_status ir_shape_expand(struct gie_infer *x)
{
  uint32_t n;
  const struct gie_dim *k = ir_known(x, 1, &n);
  int64_t count = ir_list_length(x, 1);
  struct gie_shape to;
  x->out[0].dtype = x->in[0].dtype;
  GIE_TRY(ir_check_list(x, 1, "shape"));
  if (count < 0)
    return GIE_OK;
  GIE_TRY(ir_check_rank(x, count));
  ir_set_rank(&to, (int)count);
  for (int i = 0; k && i < to.rank; i++) {
    if (gie_dim_is_num(k[i]) && k[i].b < 0)
      return gie_fail(x->ctx, GIE_E_SHAPE, "shape asks for the dim %lld", (long long)k[i].b);
    to.dim[i] = k[i];
  }
  return ir_broadcast(x, &x->in[0].shape, &to, &x->out[0].shape);
}
