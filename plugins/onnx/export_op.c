/* SPDX-License-Identifier: Apache-2.0 */
/* Ops of the IR as ONNX nodes. The importer's table says how attributes are called; here is what differs
 * beyond names. An epilogue becomes the nodes that it was made of, the last of which makes the value. */
#include "plugins/onnx/export.h"
#include <gie/window.h>

/* One op of the IR on its way: a node's own, or a step. */
struct form {
  struct ex *x;
  struct ex_scope *s;
  const struct gie_node *n;
  const struct gie_op *op;
  const struct gie_attrs *attrs;
  const char **in; /* room for three more */
  size_t n_in;
  const gie_id *in_id;
  const char **out;
  size_t n_out;
  enum gie_dtype dtype; /* of operand 0 */
  struct gie_buf node, *to;
};

void ex_need(struct ex *x, int64_t opset)
{
  if (x->need < opset)
    x->need = opset;
}

void ex_node_begin(struct ex *x, struct gie_buf *node, const char *const *in, size_t n_in,
                   const char *const *out, size_t n_out)
{
  gie_buf_init(node, x->ctx);
  while (n_in > 0 && !*in[n_in - 1])
    n_in--;
  for (size_t i = 0; i < n_in; i++)
    wire_text(node, 1, in[i]);
  for (size_t i = 0; i < n_out; i++)
    wire_text(node, 2, out[i]);
}

void ex_node_end(struct gie_buf *out, struct gie_buf *node, const char *name, const char *type,
                 const char *domain)
{
  wire_text(node, 3, name);
  wire_text(node, 4, type);
  if (*domain)
    wire_text(node, 7, domain);
  wire_message(out, 1, node);
}

static const struct gie_attr *given(const struct form *f, const char *name)
{
  return gie_attrs_find(f->attrs, name);
}

/* ---- Attributes ------------------------------------------------------------------------------ */

static void put_attr(struct form *f, const char *name, const struct gie_attr *a, int type)
{
  if (type == ONNX_A_INT)
    wire_attr_int(&f->node, name, a->u.i);
  else if (type == ONNX_A_FLOAT)
    wire_attr_float(&f->node, name, a->kind == GIE_ATTR_INT ? (double)a->u.i : a->u.f);
  else if (type == ONNX_A_INTS)
    wire_attr_ints(&f->node, name, a->u.is, a->n);
  else if (type == ONNX_A_STRING)
    wire_attr_string(&f->node, name, a->u.s, a->n);
}

/* Whether a pool has the same windows without ceil_mode. A window that would begin in the padding behind does not
 * count, but there are readers that count it where they infer shapes. */
static bool ceil_mode_is_idle(const struct form *f)
{
  const struct gie_shape *s = &gie_value_get(f->s->g, f->in_id[0])->type.shape;
  int64_t kernel[GIE_MAX_SPATIAL] = {0};
  struct gie_window w, floor;
  enum gie_auto_pad auto_pad;
  const char *why;
  if (s->rank < 3 || gie_node_ints(f->n, "kernel", kernel, GIE_MAX_SPATIAL, 1) != (uint32_t)s->rank - 2 ||
      !gie_window_attrs(f->n, s->rank - 2, kernel, &w, &auto_pad, &why))
    return false;
  for (int i = 0; i < w.n; i++) {
    if (!gie_dim_is_num(s->dim[2 + i]))
      return false;
    w.in[i] = s->dim[2 + i].b;
    floor = w;
    if (!gie_window_axis(&w, i, auto_pad, true, &why) || !gie_window_axis(&floor, i, auto_pad, false, &why) ||
        w.out[i] != floor.out[i])
      return false;
  }
  return true;
}

static void put_plain(struct form *f, const struct onnx_op *op)
{
  struct onnx_spec spec;
  for (const char *text = op->attrs; onnx_next_spec(&text, &spec);) {
    const struct gie_attr *a = spec.plain ? given(f, spec.ir) : NULL;
    if (a && !(strcmp(spec.ir, "ceil_mode") == 0 && ceil_mode_is_idle(f)))
      put_attr(f, spec.onnx, a, spec.type);
  }
}

/* ---- Forms of their own: each completes f->node, or changes operands before it is begun ------- */

static void put_string(struct form *f, const char *name, const char *s)
{
  wire_attr_string(&f->node, name, s, strlen(s));
}

static gie_status window(struct form *f)
{
  const struct gie_attr *mode = given(f, "auto_pad"), *pad = given(f, "pad"),
                        *shape = given(f, "output_shape");
  const struct gie_attr *dilation = given(f, "dilation");
  if (mode && strcmp(mode->u.s, "explicit") != 0)
    put_string(f, "auto_pad", strcmp(mode->u.s, "same_upper") == 0 ? "SAME_UPPER" : "SAME_LOWER");
  else if (pad)
    wire_attr_ints(&f->node, "pads", pad->u.is, pad->n);
  if (shape)
    wire_attr_ints(&f->node, "output_shape", shape->u.is, shape->n);
  if (dilation && strcmp(f->op->name, "average_pool") == 0)
    ex_need(f->x, 19);
  return GIE_OK;
}

/* Convolutions repeat the kernel's shape, which some readers take from there. */
static gie_status conv(struct form *f)
{
  const struct gie_shape *w = &gie_value_get(f->s->g, f->in_id[1])->type.shape;
  int64_t kernel[GIE_MAX_RANK];
  bool known = w->rank > 2;
  for (int i = 2; i < w->rank; i++) {
    known = known && gie_dim_is_num(w->dim[i]);
    kernel[i - 2] = w->dim[i].b;
  }
  if (known)
    wire_attr_ints(&f->node, "kernel_shape", kernel, (uint32_t)w->rank - 2);
  return window(f);
}

static gie_status clip_operands(struct form *f)
{
  static const char *const names[] = {"min", "max"};
  for (int i = 0; i < 2; i++) {
    double v = gie_attrs_float(f->attrs, f->op, names[i]);
    const char *bound = given(f, names[i]) && !__builtin_isinf(v) ? ex_scalar(f->x, f->dtype, v) : "";
    if (!bound)
      return GIE_E_MEMORY;
    f->in[f->n_in++] = bound;
  }
  return GIE_OK;
}

static gie_status cast(struct form *f)
{
  wire_attr_int(&f->node, "to", onnx_data_type((enum gie_dtype)gie_attrs_int(f->attrs, f->op, "to")));
  return GIE_OK;
}

static gie_status axis(struct form *f)
{
  wire_attr_int(&f->node, "axis", gie_attrs_int(f->attrs, f->op, "axis"));
  return GIE_OK;
}

static gie_status gelu(struct form *f)
{
  if (gie_attrs_int(f->attrs, f->op, "tanh"))
    put_string(f, "approximate", "tanh");
  return GIE_OK;
}

/* Axes are an operand of ReduceSum from opset 13 on, of the others from 18. */
static gie_status reduce_operands(struct form *f)
{
  bool sum = strcmp(f->op->name, "reduce_sum") == 0;
  int64_t axes[GIE_MAX_KNOWN];
  uint32_t count;
  if (sum || f->x->opset >= 18)
    return GIE_OK;
  if (gie_attrs_int(f->attrs, f->op, "noop_with_empty_axes"))
    ex_need(f->x, 18);
  if (f->n_in < 2 || !*f->in[1])
    return GIE_OK;
  if (gie_value_get(f->s->g, f->in_id[1])->kind != GIE_VALUE_CONST ||
      !gie_value_ints(f->s->g, f->in_id[1], axes, GIE_MAX_KNOWN, &count) || !count)
    ex_need(f->x, 18);
  return GIE_OK;
}

static gie_status reduce(struct form *f)
{
  int64_t axes[GIE_MAX_KNOWN];
  uint32_t count;
  if (f->x->opset < 18 && strcmp(f->op->name, "reduce_sum") != 0 && f->n->n_operands > 1 &&
      f->in_id[1] != GIE_NONE && gie_value_ints(f->s->g, f->in_id[1], axes, GIE_MAX_KNOWN, &count))
    wire_attr_ints(&f->node, "axes", axes, count);
  return GIE_OK;
}

static gie_status split(struct form *f)
{
  if (f->n_in < 2 && f->x->opset >= 18)
    wire_attr_int(&f->node, "num_outputs", (int64_t)f->n_out);
  return GIE_OK;
}

static gie_status pad(struct form *f)
{
  const struct gie_attr *mode = given(f, "mode");
  if (f->n_in > 3)
    ex_need(f->x, 18);
  if (mode && strcmp(mode->u.s, "wrap") == 0)
    ex_need(f->x, 19);
  return GIE_OK;
}

static gie_status resize(struct form *f)
{
  static const char *const names[][2] = {{"coordinate", "coordinate_transformation_mode"},
                                         {"nearest", "nearest_mode"}};
  for (int i = 0; i < 2; i++)
    if (given(f, names[i][0]))
      put_string(f, names[i][1], given(f, names[i][0])->u.s);
  if (given(f, "axes") || given(f, "antialias") || given(f, "keep_aspect"))
    ex_need(f->x, 18);
  if (given(f, "coordinate") && strcmp(given(f, "coordinate")->u.s, "half_pixel_symmetric") == 0)
    ex_need(f->x, 19);
  return GIE_OK;
}

static gie_status constant_of_shape(struct form *f)
{
  const struct gie_attr *a = given(f, "value");
  if (a)
    ex_attr_tensor(&f->node, "value", &a->u.t->type, &a->u.t->data);
  return GIE_OK;
}

static gie_status batch_norm(struct form *f)
{
  if (gie_value_get(f->s->g, f->in_id[1])->type.dtype != f->dtype)
    ex_need(f->x, 15);
  return GIE_OK;
}

static gie_status shape(struct form *f)
{
  if (given(f, "start") || given(f, "end"))
    ex_need(f->x, 15);
  return GIE_OK;
}

static gie_status reshape(struct form *f)
{
  if (gie_attrs_int(f->attrs, f->op, "allowzero"))
    ex_need(f->x, 14);
  return GIE_OK;
}

static gie_status relu(struct form *f)
{
  if (gie_dtype_class(f->dtype) != 'f')
    ex_need(f->x, 14);
  return GIE_OK;
}

/* Narrow integers since opset 14. */
static gie_status arith(struct form *f)
{
  if (gie_dtype_class(f->dtype) != 'f' && gie_dtype_size(f->dtype) < 4)
    ex_need(f->x, 14);
  return GIE_OK;
}

/* bf16 since opset 16. */
static gie_status branches(struct form *f)
{
  for (uint32_t i = 0; i < f->n->n_out; i++)
    if (gie_value_get(f->s->g, f->n->out[i])->type.dtype == GIE_BF16)
      ex_need(f->x, 16);
  return ex_attrs(f->x, f->s, f->n, &f->node);
}

/* Operators in several versions, and what of them the table of the importer does not say. `since`: the first
 * operator set that has the operator, where that is above the least. */
static const struct special {
  const char *op;
  int since;
  gie_status (*operands)(struct form *f);
  gie_status (*rest)(struct form *f);
} specials[] = {
    {"conv", 0, NULL, conv},
    {"conv_transpose", 0, NULL, conv},
    {"max_pool", 0, NULL, window},
    {"average_pool", 0, NULL, window},
    {"clip", 0, clip_operands, NULL},
    {"cast", 0, NULL, cast},
    {"concat", 0, NULL, axis},
    {"softmax", 0, NULL, axis},
    {"log_softmax", 0, NULL, axis},
    {"gelu", 20, NULL, gelu},
    {"mish", 18, NULL, NULL},
    {"layer_norm", 17, NULL, NULL},
    {"hard_swish", 14, NULL, NULL},
    {"relu", 0, NULL, relu},
    {"add", 0, NULL, arith},
    {"sub", 0, NULL, arith},
    {"mul", 0, NULL, arith},
    {"div", 0, NULL, arith},
    {"reduce_mean", 0, reduce_operands, reduce},
    {"reduce_sum", 0, reduce_operands, reduce},
    {"reduce_max", 0, reduce_operands, reduce},
    {"reduce_min", 0, reduce_operands, reduce},
    {"reduce_l2", 0, reduce_operands, reduce},
    {"split", 0, NULL, split},
    {"pad", 0, NULL, pad},
    {"resize", 0, NULL, resize},
    {"constant_of_shape", 0, NULL, constant_of_shape},
    {"batch_norm", 0, NULL, batch_norm},
    {"shape", 0, NULL, shape},
    {"reshape", 0, NULL, reshape},
    {"if", 0, NULL, branches},
};

static const struct special *find_special(const char *op)
{
  for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++)
    if (strcmp(specials[i].op, op) == 0)
      return &specials[i];
  return NULL;
}

/* ---- One op ---------------------------------------------------------------------------------- */

/* A node of no attributes. */
static void simple(struct form *f, const char *type, const char *const *in, size_t n_in, const char *out)
{
  struct gie_buf node;
  ex_node_begin(f->x, &node, in, n_in, &out, 1);
  ex_node_end(f->to, &node, out, type, "");
}

/* x * sigmoid(x) */
static gie_status silu(struct form *f)
{
  const char *mid = ex_fresh(f->x, f->s, f->out[0], "sigmoid");
  if (!mid)
    return GIE_E_MEMORY;
  simple(f, "Sigmoid", f->in, 1, mid);
  simple(f, "Mul", (const char *[]){f->in[0], mid}, 2, f->out[0]);
  return GIE_OK;
}

static gie_status matmul_bias(struct form *f)
{
  const char *mid = ex_fresh(f->x, f->s, f->out[0], "product");
  if (!mid)
    return GIE_E_MEMORY;
  simple(f, "MatMul", f->in, 2, mid);
  simple(f, "Add", (const char *[]){mid, f->in[2]}, 2, f->out[0]);
  return GIE_OK;
}

static gie_status write_form(struct form *f)
{
  const struct onnx_op *row = onnx_op_of(f->op->name);
  const struct special *sp = find_special(f->op->name);
  if (strcmp(f->op->name, "silu") == 0)
    return silu(f);
  if (strcmp(f->op->name, "matmul") == 0 && f->n_in > 2 && *f->in[2])
    return matmul_bias(f);
  if (strcmp(f->op->name, "reorder") == 0) {
    simple(f, "Identity", f->in, 1, f->out[0]);
    return GIE_OK;
  }
  if (!row)
    return gie_fail(f->x->ctx, GIE_E_UNSUPPORTED, "op %s has no form in ONNX; write .gie", f->op->name);
  if (sp && sp->since)
    ex_need(f->x, sp->since);
  if (sp && sp->operands)
    GIE_TRY(sp->operands(f));
  size_t n_in = f->n_in;
  if (sp && sp->operands == reduce_operands && f->x->opset < 18 && strcmp(f->op->name, "reduce_sum") != 0)
    n_in = 1;
  ex_node_begin(f->x, &f->node, f->in, n_in, f->out, f->n_out);
  put_plain(f, row);
  gie_status st = sp && sp->rest ? sp->rest(f) : GIE_OK;
  ex_node_end(f->to, &f->node, f->out[0], row->name, "");
  return st;
}

/* ---- A node with its epilogue ---------------------------------------------------------------- */

/* Operands are noted as read, but axes that become an attribute. */
static void name_operands(struct form *f, const struct gie_node *n)
{
  bool fold = strncmp(n->op->name, "reduce_", 7) == 0 && strcmp(n->op->name, "reduce_sum") != 0 &&
              f->x->opset < 18;
  for (uint32_t i = 0; i < n->n_operands; i++) {
    f->in[i] = n->in[i] == GIE_NONE ? "" : f->s->names[n->in[i]];
    if (fold && i == 1 && n->in[i] != GIE_NONE)
      f->s->folded[n->in[i]] = true;
    else
      ex_name(f->s, n->in[i]);
  }
  f->n_in = n->n_operands;
  while (f->n_in > 0 && !*f->in[f->n_in - 1])
    f->n_in--;
}

static enum gie_dtype dtype_after(const struct gie_op *op, const struct gie_attrs *attrs, enum gie_dtype d)
{
  if (strcmp(op->name, "cast") == 0)
    return (enum gie_dtype)gie_attrs_int(attrs, op, "to");
  return strcmp(op->name, "equal") == 0 || strcmp(op->name, "greater") == 0 || strcmp(op->name, "less") == 0
             ? GIE_BOOL
             : d;
}

/* The value behind step i: that of the node for the last one. */
static const char *step_name(struct form *f, uint32_t i)
{
  const char *final = f->s->names[f->n->out[0]];
  return i == f->n->n_steps ? final
                            : ex_fresh(f->x, f->s, final, i ? f->n->steps[i - 1].op->name : f->n->op->name);
}

static gie_status write_step(struct form *f, uint32_t i, const char **value)
{
  const struct gie_step *step = &f->n->steps[i];
  const char *out = step_name(f, i + 1), *in[8] = {*value, "", "", "", "", "", "", ""};
  gie_id ids[2] = {f->n->out[0], GIE_NONE};
  if (!out)
    return GIE_E_MEMORY;
  if (step->operand >= 0) {
    ids[1] = f->n->in[step->operand];
    in[1] = ex_name(f->s, ids[1]);
  }
  if (step->reverse) {
    in[0] = in[1];
    in[1] = *value;
  }
  struct form s = *f;
  s.op = step->op;
  s.attrs = &step->attrs;
  s.in = in;
  s.n_in = step->operand >= 0 ? 2 : 1;
  s.in_id = ids;
  s.out = &out;
  s.n_out = 1;
  GIE_TRY(write_form(&s));
  f->dtype = dtype_after(step->op, &step->attrs, f->dtype);
  *value = out;
  return GIE_OK;
}

bool ex_is_raw(const struct gie_node *n)
{
  return (n->op->flags & GIE_OP_OPAQUE) || strstr(n->op->name, "::");
}

gie_status ex_op(struct ex *x, struct ex_scope *s, const struct gie_node *n, struct gie_buf *out)
{
  struct form f = {.x = x, .s = s, .n = n, .op = n->op, .attrs = &n->attrs, .to = out, .in_id = n->in};
  f.in = gie_arena_alloc(&x->arena, (size_t)n->n_operands + 4, sizeof *f.in);
  f.out = gie_arena_alloc(&x->arena, (size_t)n->n_out + 1, sizeof *f.out);
  if (!f.in || !f.out)
    return GIE_E_MEMORY;
  name_operands(&f, n);
  for (uint32_t i = 0; i < n->n_out; i++)
    f.out[i] = s->names[n->out[i]];
  f.n_out = n->n_out;
  f.dtype = n->n_operands && n->in[0] != GIE_NONE ? gie_value_get(s->g, n->in[0])->type.dtype : GIE_F32;
  if (!(f.out[0] = step_name(&f, 0)))
    return GIE_E_MEMORY;
  GIE_TRY(ex_is_raw(n) ? ex_raw(x, s, n, f.out, out) : write_form(&f));
  const char *value = f.out[0];
  for (uint32_t i = 0; i < n->n_steps; i++)
    GIE_TRY(write_step(&f, i, &value));
  return GIE_OK;
}
