/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that are one op of the IR, pointwise ones with old broadcasting, constants, and three that
 * ONNX dropped but that files still have (Affine, ImageScaler, see also Crop). */
#include "plugins/onnx/onnx.h"

gie_status onnx_lower_plain(struct onnx_node *n)
{
  struct onnx_attrs attrs = {.n = 0};
  GIE_TRY(onnx_plain_attrs(n, &attrs));
  return onnx_result(n, n->op->ir_op, n->in, n->n_in, &attrs);
}

/* ---- Broadcasting before opset 7 ------------------------------------------------------------- */

/* Puts axis 0 of b at `axis` of a result of rank `rank` by axes of 1 behind b's own. */
static gie_status align(struct onnx_node *n, gie_id *b, int axis, int rank)
{
  int own = onnx_rank(n, *b), behind = rank - axis - own;
  int64_t axes[GIE_MAX_RANK];
  gie_id in[2] = {*b, GIE_NONE};
  if (behind <= 0)
    return behind < 0 ? gie_fail(n->ctx, GIE_E_SHAPE, "operand 1 does not fit from axis %d on", axis)
                      : GIE_OK;
  for (int i = 0; i < behind; i++)
    axes[i] = own + i;
  GIE_TRY(onnx_const_ints(n, "axes", axes, (uint32_t)behind, &in[1]));
  return onnx_step(n, "aligned", "unsqueeze", in, 2, NULL, b);
}

/* Below opset 7 operand 1 broadcasts only when `broadcast` says so, from `axis` of operand 0 on; without an
 * axis it is aligned at the end as ever since. */
gie_status onnx_lower_binary(struct onnx_node *n)
{
  gie_id in[2] = {onnx_in(n, 0), onnx_in(n, 1)};
  if (n->opset < 7 && onnx_attr_int(n, "broadcast", 0) && onnx_attr_find(n, "axis")) {
    int64_t axis = onnx_attr_int(n, "axis", 0);
    int rank = onnx_rank(n, in[0]);
    if (rank < 0 || onnx_rank(n, in[1]) < 0)
      return onnx_refuse(n, "broadcasting along an axis of a tensor of unknown rank");
    axis += axis < 0 ? rank : 0;
    if (axis < 0 || axis > rank)
      return gie_fail(n->ctx, GIE_E_ATTR, "axis %lld of a tensor of rank %d",
                      (long long)onnx_attr_int(n, "axis", 0), rank);
    GIE_TRY(align(n, &in[1], (int)axis, rank));
  } else if (n->opset >= 7 && (onnx_attr_find(n, "broadcast") || onnx_attr_find(n, "axis"))) {
    return onnx_refuse(n, "broadcast and axis of opset 6 in opset %d", (int)n->opset);
  }
  return onnx_result(n, n->op->ir_op, in, n->n_in < 2 ? n->n_in : 2, NULL);
}

/* Below opset 7 a slope of rank 1 is one per channel. */
gie_status onnx_lower_prelu(struct onnx_node *n)
{
  gie_id in[2] = {onnx_in(n, 0), onnx_in(n, 1)};
  int rank = onnx_rank(n, in[0]);
  if (n->opset < 7 && onnx_rank(n, in[1]) == 1 && rank > 2) {
    const struct gie_dim d = onnx_type(n, in[1])->shape.dim[0];
    if (!gie_dim_is_num(d) || d.b != 1)
      GIE_TRY(align(n, &in[1], 1, rank));
  }
  return onnx_result(n, n->op->ir_op, in, n->n_in < 2 ? n->n_in : 2, NULL);
}

/* ---- Clip ------------------------------------------------------------------------------------ */

/* The bound as a number that a double holds exactly; false when it is none. */
static bool constant_bound(struct onnx_node *n, gie_id bound, double *out)
{
  const int64_t exact = INT64_C(1) << 53;
  gie_id c = onnx_const_of(n, bound);
  uint32_t count;
  int64_t i;
  if (c == GIE_NONE)
    return false;
  if (gie_value_floats(n->g, c, out, 1, &count))
    return count == 1;
  if (!gie_value_ints(n->g, c, &i, 1, &count) || count != 1 || i < -exact || i > exact)
    return false;
  *out = (double)i;
  return true;
}

/* Opset 11 made the bounds operands. Constant ones become attributes, others max and min nodes. */
gie_status onnx_lower_clip(struct onnx_node *n)
{
  static const char *const names[] = {"min", "max"}, *const ops[] = {"max", "min"};
  struct onnx_attrs attrs = {.n = 0};
  bool constant = true;
  gie_id x = onnx_in(n, 0);
  for (uint32_t i = 0; i < 2; i++) {
    double bound;
    if (n->opset < 11) {
      if (onnx_attr_find(n, names[i]))
        onnx_put_float(&attrs, names[i], onnx_attr_float(n, names[i], 0));
    } else if (onnx_in(n, i + 1) != GIE_NONE) {
      if (constant_bound(n, onnx_in(n, i + 1), &bound))
        onnx_put_float(&attrs, names[i], bound);
      else
        constant = false;
    }
  }
  if (constant)
    return onnx_result(n, "clip", &x, 1, &attrs);
  for (uint32_t i = 0; i < 2; i++) {
    gie_id in[2] = {x, onnx_in(n, i + 1)};
    if (in[1] == GIE_NONE)
      continue;
    if (i == 1 || onnx_in(n, 2) == GIE_NONE)
      return onnx_result(n, ops[i], in, 2, NULL);
    GIE_TRY(onnx_step(n, "max", ops[i], in, 2, NULL, &x));
  }
  return GIE_OK;
}

/* ---- Cast ------------------------------------------------------------------------------------ */

/* Below opset 6 `to` is the name of the type. */
static gie_status cast_target(struct onnx_node *n, int32_t *out)
{
  static const char *const names[] = {"UNDEFINED", "FLOAT",  "UINT8",  "INT8",   "UINT16",
                                      "INT16",     "INT32",  "INT64",  "STRING", "BOOL",
                                      "FLOAT16",   "DOUBLE", "UINT32", "UINT64"};
  const Onnx__Attribute *a = onnx_attr_find(n, "to");
  int type = a ? onnx_attr_type(a) : 0;
  *out = 0;
  if (!a)
    return gie_fail(n->ctx, GIE_E_ATTR, "attribute to is missing");
  if (type == ONNX_A_INT && a->i > 0 && a->i < 64)
    *out = (int32_t)a->i;
  for (size_t i = 1; type == ONNX_A_STRING && i < sizeof names / sizeof names[0]; i++)
    if (strlen(names[i]) == a->s.len && memcmp(names[i], a->s.data, a->s.len) == 0)
      *out = (int32_t)i;
  return onnx_dtype_name(*out) ? GIE_OK : gie_fail(n->ctx, GIE_E_ATTR, "attribute to names no element type");
}

gie_status onnx_lower_cast(struct onnx_node *n)
{
  struct onnx_attrs attrs = {.n = 1};
  int32_t to;
  GIE_TRY(cast_target(n, &to));
  if (!onnx_dtype(to))
    return onnx_refuse(n, "element type %s is not supported", onnx_dtype_name(to));
  attrs.v[0] = (struct gie_attr){.name = "to", .kind = GIE_ATTR_DTYPE, .u.i = onnx_dtype(to)};
  return onnx_result(n, "cast", n->in, n->n_in, &attrs);
}

/* To the element type of operand 1, whatever is in it. */
gie_status onnx_lower_cast_like(struct onnx_node *n)
{
  struct onnx_attrs attrs = {.n = 1};
  const struct gie_value *like = gie_value_get(n->g, onnx_in(n, 1));
  enum gie_dtype to = like ? like->type.dtype : GIE_DTYPE_NONE;
  if (!like)
    return gie_fail(n->ctx, GIE_E_ATTR, "operand 1 is missing");
  if (to == GIE_DTYPE_NONE)
    return onnx_refuse(n, "the element type of operand 1 is not known");
  attrs.v[0] = (struct gie_attr){.name = "to", .kind = GIE_ATTR_DTYPE, .u.i = to};
  return onnx_result(n, "cast", n->in, 1, &attrs);
}

/* ---- Constants ------------------------------------------------------------------------------- */

static gie_status typed_const(struct onnx_node *n, enum gie_dtype dtype, const void *v, size_t count,
                              int rank, const char *name, gie_id *out)
{
  struct gie_type type = {dtype, {.rank = rank}};
  size_t bytes = count * gie_dtype_size(dtype);
  struct gie_const data = {NULL, 0, bytes};
  if (rank == 1)
    type.shape.dim[0] = gie_dim_num((int64_t)count);
  GIE_TRY(gie_blob_new(n->ctx, bytes, &data.blob));
  if (bytes)
    memcpy(gie_blob_data(data.blob), v, bytes);
  gie_status st = gie_graph_add_const(n->g, name, &type, &data, out);
  gie_blob_unref(data.blob);
  return st;
}

gie_status onnx_lower_constant(struct onnx_node *n)
{
  if (n->n_in || n->n_out != 1 || n->n_attrs != 1)
    return gie_fail(n->ctx, GIE_E_ATTR, "a constant has one attribute, one result and no operands");
  const Onnx__Attribute *a = n->attrs[0].a;
  const char *name = onnx_value_name(n->scope, n->proto->output[0]);
  gie_id id;
  if (!name)
    return GIE_E_MEMORY;
  switch (onnx_attr_type(a)) {
  case ONNX_A_TENSOR:
    if (onnx_dtype_name(a->t->data_type) && !onnx_dtype(a->t->data_type))
      return onnx_refuse(n, "element type %s is not supported", onnx_dtype_name(a->t->data_type));
    GIE_TRY(onnx_tensor_const(n->scope, a->t, name, &id));
    break;
  case ONNX_A_INT:
    GIE_TRY(typed_const(n, GIE_I64, &a->i, 1, 0, name, &id));
    break;
  case ONNX_A_FLOAT:
    GIE_TRY(typed_const(n, GIE_F32, &a->f, 1, 0, name, &id));
    break;
  case ONNX_A_INTS:
    GIE_TRY(typed_const(n, GIE_I64, a->ints, a->n_ints, 1, name, &id));
    break;
  case ONNX_A_FLOATS:
    GIE_TRY(typed_const(n, GIE_F32, a->floats, a->n_floats, 1, name, &id));
    break;
  default:
    return onnx_refuse(n, "constants of strings or sparse tensors are not supported");
  }
  return onnx_bind(n, 0, id);
}

gie_status onnx_lower_constant_of_shape(struct onnx_node *n)
{
  struct onnx_attrs attrs = {.n = 0};
  struct gie_tensor_attr t;
  const Onnx__Attribute *a = onnx_attr_find(n, "value");
  if (!a)
    return onnx_result(n, "constant_of_shape", n->in, n->n_in, NULL);
  if (onnx_dtype_name(a->t->data_type) && !onnx_dtype(a->t->data_type))
    return onnx_refuse(n, "element type %s is not supported", onnx_dtype_name(a->t->data_type));
  GIE_TRY(onnx_tensor(n->im, a->t, &t.type, &t.data));
  attrs.v[attrs.n++] = (struct gie_attr){.name = "value", .kind = GIE_ATTR_TENSOR, .u.t = &t};
  gie_status st = onnx_result(n, "constant_of_shape", n->in, n->n_in, &attrs);
  gie_blob_unref(t.data.blob);
  return st;
}

/* Of two numbers that are known, as exporters write it for an axis from the end: a constant. */
gie_status onnx_lower_mod(struct onnx_node *n)
{
  int64_t a, b, r;
  uint32_t count[2] = {0};
  gie_id x = onnx_in(n, 0), y = onnx_in(n, 1), id;
  const struct gie_value *v = gie_value_get(n->g, x), *w = gie_value_get(n->g, y);
  const Onnx__Attribute *fmod = onnx_attr_find(n, "fmod");
  if (n->n_in != 2 || !v || !w)
    return gie_fail(n->ctx, GIE_E_ATTR, "takes two operands");
  if (v->type.dtype != GIE_I64 || w->type.dtype != GIE_I64 || v->type.shape.rank > 1 ||
      w->type.shape.rank > 1 || v->type.shape.rank < 0 || w->type.shape.rank < 0 || (fmod && fmod->i) ||
      !gie_value_ints(n->g, x, &a, 1, &count[0]) || !gie_value_ints(n->g, y, &b, 1, &count[1]) ||
      count[0] != 1 || count[1] != 1 || b == 0)
    return onnx_refuse(n, "only of two integers that are known");
  r = b == -1 ? 0 : a % b;
  r += r && (r < 0) != (b < 0) ? b : 0; /* the divisor's sign */
  const char *name = onnx_value_name(n->scope, n->proto->output[0]);
  if (!name)
    return GIE_E_MEMORY;
  GIE_TRY(typed_const(n, GIE_I64, &r, 1, v->type.shape.rank | w->type.shape.rank, name, &id));
  return onnx_bind(n, 0, id);
}

/* ---- alpha*x + beta, per tensor or per channel ----------------------------------------------- */

static gie_status scale_and_shift(struct onnx_node *n, double scale, gie_id shift)
{
  gie_id in[2] = {onnx_in(n, 0), GIE_NONE};
  GIE_TRY(onnx_const_scalar(n, "scale", onnx_type(n, in[0])->dtype, scale, &in[1]));
  GIE_TRY(onnx_step(n, "scaled", "mul", in, 2, NULL, &in[0]));
  in[1] = shift;
  return onnx_result(n, "add", in, 2, NULL);
}

/* y = alpha*x + beta */
gie_status onnx_lower_affine(struct onnx_node *n)
{
  gie_id shift;
  enum gie_dtype dtype = onnx_type(n, onnx_in(n, 0))->dtype;
  if (gie_dtype_class(dtype) != 'f')
    return onnx_refuse(n, "operand of unknown or integer element type");
  GIE_TRY(onnx_const_scalar(n, "shift", dtype, onnx_attr_float(n, "beta", 0), &shift));
  return scale_and_shift(n, onnx_attr_float(n, "alpha", 1), shift);
}

/* y[n,c,h,w] = scale*x[n,c,h,w] + bias[c] */
gie_status onnx_lower_image_scaler(struct onnx_node *n)
{
  const Onnx__Attribute *bias = onnx_attr_find(n, "bias");
  struct gie_type type = {onnx_type(n, onnx_in(n, 0))->dtype, {.rank = 3}};
  size_t count = bias ? bias->n_floats : 0;
  gie_id shift;
  if (gie_dtype_class(type.dtype) != 'f')
    return onnx_refuse(n, "operand of unknown or integer element type");
  if (count == 0 || count > INT32_MAX)
    return gie_fail(n->ctx, GIE_E_ATTR, "attribute bias is missing");
  double *v = gie_arena_alloc(&n->im->arena, count, sizeof *v);
  if (!v)
    return GIE_E_MEMORY;
  for (size_t i = 0; i < count; i++)
    v[i] = (double)bias->floats[i];
  type.shape.dim[0] = gie_dim_num((int64_t)count);
  type.shape.dim[1] = type.shape.dim[2] = gie_dim_num(1);
  GIE_TRY(onnx_const_floats(n, "shift", &type, v, &shift));
  return scale_and_shift(n, onnx_attr_float(n, "scale", 1), shift);
}
