/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes of pointwise ops, normalizations and softmax, and the arithmetic of known elements (the
 * chains that exporters make of shapes: shape, gather, mul, equal, where …). */
#include "core/ir/infer.h"

gie_status ir_shape_same(struct gie_infer *x)
{
  x->out[0] = x->in[0];
  return GIE_OK;
}

gie_status ir_shape_identity(struct gie_infer *x)
{
  ir_pass_known(x);
  return ir_shape_same(x);
}

gie_status ir_shape_broadcast(struct gie_infer *x)
{
  struct gie_type out = x->in[0];
  for (uint32_t i = 1; i < x->n_in; i++) {
    GIE_TRY(ir_same_dtype(x, &out.dtype, x->in[i].dtype, "an operand"));
    GIE_TRY(ir_broadcast(x, &out.shape, &x->in[i].shape, &out.shape));
  }
  x->out[0] = out;
  return GIE_OK;
}

gie_status ir_shape_broadcast_to_first(struct gie_infer *x)
{
  x->out[0] = x->in[0];
  return ir_broadcast_to(x, &x->in[0].shape, &x->in[1].shape, "the second operand");
}

/* ---- Known elements ------------------------------------------------------------------------------ */

/* A number that a value of that dtype can hold; what would wrap or saturate is not known. */
static struct gie_dim fitting(struct gie_dim d, enum gie_dtype t)
{
  static const struct {
    enum gie_dtype dtype;
    int64_t min, max;
  } ranges[] = {
      {GIE_I8, INT8_MIN, INT8_MAX},    {GIE_I16, INT16_MIN, INT16_MAX}, {GIE_I32, INT32_MIN, INT32_MAX},
      {GIE_I64, INT64_MIN, INT64_MAX}, {GIE_U8, 0, UINT8_MAX},          {GIE_U16, 0, UINT16_MAX},
      {GIE_U32, 0, UINT32_MAX},        {GIE_U64, 0, INT64_MAX},         {GIE_BOOL, 0, 1},
  };
  for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
    if (ranges[i].dtype == t && gie_dim_is_num(d) && d.b >= ranges[i].min && d.b <= ranges[i].max)
      return d;
  /* Extents of tensors in memory: 32 bits hold them. */
  if (!gie_dim_is_num(d) && (t == GIE_I32 || t == GIE_I64 || t == GIE_U32 || t == GIE_U64))
    return d;
  return gie_dim_unknown();
}

static struct gie_dim div_elements(struct gie_dim a, struct gie_dim b)
{
  if (!gie_dim_is_num(a) || !gie_dim_is_num(b))
    return gie_dim_div(a, b);
  if (b.b == 0 || (a.b == INT64_MIN && b.b == -1))
    return gie_dim_unknown();
  return gie_dim_num(a.b / b.b);
}

/* A symbol is at least 0, so a*sym+b with both negative never equals a dim; ir_dim_may_equal knows. */
static struct gie_dim equal_elements(struct gie_dim a, struct gie_dim b)
{
  if (gie_dim_equal(a, b))
    return gie_dim_num(1);
  return ir_dim_may_equal(a, b) ? gie_dim_unknown() : gie_dim_num(0);
}

typedef struct gie_dim element_fn(struct gie_dim a, struct gie_dim b);

/* Element i of operand `op`, a scalar or list of which one element stands for all. */
static struct gie_dim element(const struct gie_dim *k, uint32_t n, uint32_t i)
{
  return n == 1 ? k[0] : k[i];
}

/* Elements of the result of a binary op on lists or scalars. */
static void combine(const struct gie_infer *x, element_fn *fn)
{
  uint32_t na, nb;
  const struct gie_dim *a = ir_known(x, 0, &na), *b = ir_known(x, 1, &nb);
  struct gie_dim r[GIE_MAX_KNOWN];
  if (!a || !b || ir_rank(x, 0) > 1 || ir_rank(x, 1) > 1 || (na != nb && na != 1 && nb != 1))
    return;
  uint32_t n = na == 1 ? nb : na;
  for (uint32_t i = 0; i < n; i++)
    r[i] = fitting(fn(element(a, na, i), element(b, nb, i)), x->out[0].dtype);
  ir_set_known(x, r, n);
}

gie_status ir_shape_arith(struct gie_infer *x)
{
  static const struct {
    const char *op;
    element_fn *fn;
  } table[] = {{"add", gie_dim_add}, {"sub", gie_dim_sub}, {"mul", gie_dim_mul}, {"div", div_elements}};
  GIE_TRY(ir_shape_broadcast(x));
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
    if (strcmp(table[i].op, x->node->op->name) == 0)
      combine(x, table[i].fn);
  return GIE_OK;
}

gie_status ir_shape_neg(struct gie_infer *x)
{
  uint32_t n;
  const struct gie_dim *k = ir_known(x, 0, &n);
  struct gie_dim r[GIE_MAX_KNOWN];
  for (uint32_t i = 0; i < n; i++)
    r[i] = fitting(gie_dim_sub(gie_dim_num(0), k[i]), x->in[0].dtype);
  if (k)
    ir_set_known(x, r, n);
  return ir_shape_same(x);
}

gie_status ir_shape_compare(struct gie_infer *x)
{
  GIE_TRY(ir_shape_broadcast(x));
  x->out[0].dtype = GIE_BOOL;
  if (strcmp(x->node->op->name, "equal") == 0)
    combine(x, equal_elements);
  return GIE_OK;
}

gie_status ir_shape_pow(struct gie_infer *x)
{
  x->out[0].dtype = x->in[0].dtype;
  return ir_broadcast(x, &x->in[0].shape, &x->in[1].shape, &x->out[0].shape);
}

static void choose(const struct gie_infer *x)
{
  uint32_t nc, na, nb, n = 1;
  const struct gie_dim *c = ir_known(x, 0, &nc), *a = ir_known(x, 1, &na), *b = ir_known(x, 2, &nb);
  struct gie_dim r[GIE_MAX_KNOWN];
  if (!c || !a || !b || ir_rank(x, 0) > 1 || ir_rank(x, 1) > 1 || ir_rank(x, 2) > 1)
    return;
  const uint32_t counts[3] = {nc, na, nb};
  for (int i = 0; i < 3; i++)
    if (counts[i] != 1)
      n = counts[i];
  if ((nc != n && nc != 1) || (na != n && na != 1) || (nb != n && nb != 1))
    return;
  for (uint32_t i = 0; i < n; i++) {
    struct gie_dim ci = element(c, nc, i), ai = element(a, na, i), bi = element(b, nb, i);
    if (gie_dim_is_num(ci))
      r[i] = ci.b ? ai : bi;
    else
      r[i] = gie_dim_equal(ai, bi) ? ai : gie_dim_unknown();
  }
  ir_set_known(x, r, n);
}

gie_status ir_shape_where(struct gie_infer *x)
{
  struct gie_type out = {x->in[1].dtype, {0, {{0, 0, 0}}}};
  GIE_TRY(ir_same_dtype(x, &out.dtype, x->in[2].dtype, "y"));
  GIE_TRY(ir_broadcast(x, &x->in[0].shape, &x->in[1].shape, &out.shape));
  GIE_TRY(ir_broadcast(x, &out.shape, &x->in[2].shape, &out.shape));
  x->out[0] = out;
  choose(x);
  return GIE_OK;
}

gie_status ir_shape_cast(struct gie_infer *x)
{
  uint32_t n;
  const struct gie_dim *k = ir_known(x, 0, &n);
  enum gie_dtype to = (enum gie_dtype)gie_node_int(x->node, "to");
  struct gie_dim r[GIE_MAX_KNOWN];
  x->out[0].dtype = to;
  x->out[0].shape = x->in[0].shape;
  if (!k || gie_dtype_class(to) == 'f')
    return GIE_OK;
  for (uint32_t i = 0; i < n; i++) {
    bool truth = to == GIE_BOOL && gie_dim_is_num(k[i]);
    r[i] = truth ? gie_dim_num(k[i].b != 0) : fitting(k[i], to);
  }
  ir_set_known(x, r, n);
  return GIE_OK;
}

/* ---- Normalization, softmax, dropout --------------------------------------------------------------- */

static gie_status check_epsilon(const struct gie_infer *x)
{
  double e = gie_node_float(x->node, "epsilon");
  if (e >= 0 && e < 1e30)
    return GIE_OK;
  return gie_fail(x->ctx, GIE_E_ATTR, "epsilon is %g; it must be a number ≥ 0", e);
}

/* batch_norm, instance_norm: operands 1 … are lists with one element per channel. */
gie_status ir_shape_channel_norm(struct gie_infer *x)
{
  int rank = ir_rank(x, 0);
  struct gie_dim channels = rank >= 2 ? ir_dim(x, 0, 1) : gie_dim_unknown();
  char a[64], b[64];
  GIE_TRY(check_epsilon(x));
  if (rank == 0 || rank == 1)
    return gie_fail(x->ctx, GIE_E_SHAPE, "x has rank %d; it must be [N,C,…]", rank);
  for (uint32_t i = 1; i < x->n_in; i++) {
    GIE_TRY(ir_check_list(x, i, "a parameter"));
    if (gie_dtype_class(x->in[i].dtype) && gie_dtype_class(x->in[i].dtype) != 'f')
      return gie_fail(x->ctx, GIE_E_TYPE, "operand %u is %s; it must be a float", (unsigned)i,
                      gie_dtype_name(x->in[i].dtype));
    if (ir_rank(x, i) == 1 && !ir_dim_may_equal(ir_dim(x, i, 0), channels))
      return gie_fail(x->ctx, GIE_E_SHAPE, "operand %u has %s elements; x has %s channels", (unsigned)i,
                      ir_dim_text(x, ir_dim(x, i, 0), a, sizeof a), ir_dim_text(x, channels, b, sizeof b));
  }
  return ir_shape_same(x);
}

/* scale and bias broadcast to x; the statistics have dims of 1 where x was summed up. */
gie_status ir_shape_layer_norm(struct gie_infer *x)
{
  int axis = 0, rank = ir_rank(x, 0);
  GIE_TRY(check_epsilon(x));
  if (rank >= 0)
    GIE_TRY(ir_axis(x, gie_node_int(x->node, "axis"), rank, &axis));
  for (uint32_t i = 1; i < x->n_in; i++) {
    enum gie_dtype t = x->in[0].dtype;
    GIE_TRY(ir_same_dtype(x, &t, x->in[i].dtype, i == 1 ? "scale" : "bias"));
    if (ir_has(x, i) && rank >= 0 && ir_rank(x, i) >= 0)
      GIE_TRY(ir_broadcast_to(x, &x->in[0].shape, &x->in[i].shape, i == 1 ? "scale" : "bias"));
  }
  for (uint32_t i = 1; i < x->n_out; i++) {
    x->out[i] = (struct gie_type){GIE_F32, x->in[0].shape};
    for (int k = axis; k < rank; k++)
      x->out[i].shape.dim[k] = gie_dim_num(1);
  }
  return ir_shape_same(x);
}

gie_status ir_shape_lrn(struct gie_infer *x)
{
  int64_t size = gie_node_int(x->node, "size");
  int rank = ir_rank(x, 0);
  if (size < 1 || size > INT32_MAX)
    return gie_fail(x->ctx, GIE_E_ATTR, "size is %lld; it must be 1 … 2^31-1", (long long)size);
  if (rank == 0 || rank == 1)
    return gie_fail(x->ctx, GIE_E_SHAPE, "x has rank %d; it must be [N,C,…]", rank);
  return ir_shape_same(x);
}

gie_status ir_shape_same_axis(struct gie_infer *x)
{
  int axis;
  if (ir_rank(x, 0) >= 0)
    GIE_TRY(ir_axis(x, gie_node_int(x->node, "axis"), ir_rank(x, 0), &axis));
  return ir_shape_same(x);
}

gie_status ir_shape_dropout(struct gie_infer *x)
{
  uint32_t n;
  const struct gie_dim *training = ir_known(x, 2, &n);
  bool off = training && n == 1 && gie_dim_is_num(training[0]) && training[0].b == 0;
  if (x->n_in > 2 && x->in[2].dtype != GIE_DTYPE_NONE && !off)
    return gie_fail(x->ctx, GIE_E_UNSUPPORTED, "dropout in training mode; export the network for inference");
  if (x->n_out > 1) {
    x->out[1].dtype = GIE_BOOL;
    x->out[1].shape = x->in[0].shape;
  }
  return ir_shape_same(x);
}
