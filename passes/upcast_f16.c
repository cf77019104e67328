/* SPDX-License-Identifier: Apache-2.0 */
/* For devices without arithmetic in f16 or bf16: everything is computed in f32.
 *
 *     input %x : f16[…]                       input %x : f16[…]
 *     const %w : f16[…]                       const %w : f32[…]
 *     %y : f16[…] = conv(%x, %w)       ->     %x1 : f32[…] = cast(%x) {to=f32}
 *     output %y                               %y1 : f32[…] = conv(%x1, %w)
 *                                             %y : f16[…] = cast(%y1) {to=f16}
 *                                             output %y
 *
 * Inputs and outputs of the graph keep their dtype; casts to the narrow type inside become casts
 * to f32. Opaque nodes, nodes with bodies and ops of modules that do not take f32 keep it too, with
 * casts round them. Values that lie in something of which the readers get a cast become values of their own.
 *
 * Does not fire: the device has the arithmetic (GIE_DEVICE_F16, GIE_DEVICE_BF16). */
#include "passes/util.h"

struct upcast {
  struct gie_graph *g;
  struct gie_context *ctx;
  uint32_t narrow;      /* GIE_DT set of what is widened */
  unsigned char *dtype; /* by value: the narrow dtype of what now is f32, else 0 */
  uint32_t n_dtype;
  gie_id *cast_back; /* by value: its cast to the narrow dtype for graph outputs, or GIE_NONE */
  uint32_t *changes;
};

static bool is_narrow(const struct upcast *u, enum gie_dtype t)
{
  return t != GIE_DTYPE_NONE && (u->narrow >> t & 1);
}

static enum gie_dtype widened_from(const struct upcast *u, gie_id value)
{
  return value < u->n_dtype ? (enum gie_dtype)u->dtype[value] : GIE_DTYPE_NONE;
}

static gie_status add_cast(struct upcast *u, gie_id value, enum gie_dtype to, gie_id before, gie_id *out)
{
  struct gie_attr attr = {.name = "to", .kind = GIE_ATTR_DTYPE, .u.i = to};
  struct gie_node_spec spec = GIE_NODE_SPEC("cast");
  gie_id node;
  spec.n_in = 1;
  spec.in = &value;
  spec.n_attrs = 1;
  spec.attrs = &attr;
  spec.before = before;
  GIE_TRY(gie_node_add(u->g, &spec, &node));
  *out = gie_node_get(u->g, node)->out[0];
  ++*u->changes;
  return GIE_OK;
}

static bool is_cast_to(const struct gie_node *n, enum gie_dtype to)
{
  return strcmp(n->op->name, "cast") == 0 && gie_node_int(n, "to") == (int64_t)to;
}

/* All readers widen it themselves: what this pass leaves behind. */
static bool is_widened(const struct upcast *u, gie_id value)
{
  struct gie_use use = {GIE_NONE, 0};
  while (gie_value_next_use(u->g, value, &use))
    if (!is_cast_to(gie_node_get(u->g, use.node), GIE_F32))
      return false;
  return true;
}

/* Readers of a narrow value, which stays as it is, read a cast of it. */
static gie_status widen_behind(struct upcast *u, gie_id value, gie_id before)
{
  const struct gie_value *v = gie_value_get(u->g, value);
  gie_id wide;
  if (!is_narrow(u, v->type.dtype) || is_widened(u, value))
    return GIE_OK;
  GIE_TRY(add_cast(u, value, GIE_F32, before, &wide));
  gie_id cast = gie_value_get(u->g, wide)->producer;
  GIE_TRY(pass_redirect(u->g, value, wide));
  GIE_TRY(gie_node_set_input(u->g, cast, 0, value));
  if (wide < u->n_dtype)
    u->dtype[wide] = (unsigned char)v->type.dtype;
  return GIE_OK;
}

static gie_status widen_bytes(struct upcast *u, const struct gie_type *from, const struct gie_const *data,
                              struct gie_type *to, struct gie_blob **out)
{
  size_t n = data->size / 2, bytes;
  const char *p = (const char *)gie_blob_data(data->blob) + data->offset;
  if (!gie_mul(n, sizeof(float), &bytes))
    return gie_fail(u->ctx, GIE_E_LIMIT, "the size of a constant overflows");
  GIE_TRY(gie_blob_new(u->ctx, bytes, out));
  for (size_t i = 0; i < n; i++)
    pass_store(GIE_F32, gie_blob_data(*out), i, pass_load(from->dtype, p, i));
  *to = *from;
  to->dtype = GIE_F32;
  return GIE_OK;
}

static gie_status widen_const(struct upcast *u, gie_id value)
{
  const struct gie_value *v = gie_value_get(u->g, value);
  struct gie_type type;
  struct gie_blob *blob;
  gie_id wide;
  if (!is_narrow(u, v->type.dtype) || !v->n_uses)
    return GIE_OK;
  GIE_TRY(widen_bytes(u, &v->type, &v->data, &type, &blob));
  GIE_TRY(pass_const(u->g, &type, blob, &wide));
  GIE_TRY(gie_value_set_layout(u->g, wide, &v->layout));
  GIE_TRY(pass_redirect(u->g, value, wide));
  if (wide < u->n_dtype)
    u->dtype[wide] = (unsigned char)v->type.dtype;
  ++*u->changes;
  return GIE_OK;
}

/* ---- Nodes -------------------------------------------------------------------------------------- */

static bool keeps_narrow(const struct gie_node *n)
{
  bool refuses_f32 = n->op->dtypes && !(n->op->dtypes & GIE_DT(F32)) && strstr(n->op->name, "::");
  for (uint32_t i = 0; i < n->attrs.n; i++)
    if (n->attrs.v[i].kind == GIE_ATTR_GRAPH)
      return true;
  return (n->op->flags & GIE_OP_OPAQUE) || n->n_captures || refuses_f32;
}

static gie_status surround_with_casts(struct upcast *u, const struct gie_node *n)
{
  for (uint32_t i = 0; i < n->n_in; i++) {
    enum gie_dtype t = widened_from(u, n->in[i]);
    gie_id narrow;
    if (n->in[i] == GIE_NONE || t == GIE_DTYPE_NONE)
      continue;
    GIE_TRY(add_cast(u, n->in[i], t, n->id, &narrow));
    GIE_TRY(gie_node_set_input(u->g, n->id, i, narrow));
  }
  for (uint32_t i = 0; i < n->n_out; i++)
    GIE_TRY(widen_behind(u, n->out[i], n->next));
  return GIE_OK;
}

/* Attributes that name a narrow dtype or hold a narrow tensor. */
static gie_status widen_attrs(struct upcast *u, const struct gie_node *n)
{
  for (uint32_t i = 0; i < n->attrs.n; i++) {
    struct gie_attr a = n->attrs.v[i];
    if (a.kind == GIE_ATTR_DTYPE && is_narrow(u, (enum gie_dtype)a.u.i)) {
      a.u.i = GIE_F32;
      GIE_TRY(gie_node_set_attr(u->g, n->id, &a));
    } else if (a.kind == GIE_ATTR_TENSOR && is_narrow(u, a.u.t->type.dtype)) {
      struct gie_tensor_attr t;
      GIE_TRY(widen_bytes(u, &a.u.t->type, &a.u.t->data, &t.type, &t.data.blob));
      t.data.offset = 0;
      t.data.size = gie_blob_size(t.data.blob);
      a.u.t = &t;
      gie_status s = gie_node_set_attr(u->g, n->id, &a);
      gie_blob_unref(t.data.blob);
      GIE_TRY(s);
    }
  }
  return GIE_OK;
}

/* A cast to a narrow type that only graph outputs and nodes that keep it read: left behind by this pass, or
 * what it would make. */
static bool is_boundary(const struct upcast *u, const struct gie_node *n)
{
  struct gie_use use = {GIE_NONE, 0};
  if (strcmp(n->op->name, "cast") != 0 || gie_value_get(u->g, n->in[0])->type.dtype != GIE_F32 ||
      pass_is_unused(u->g, n))
    return false;
  while (gie_value_next_use(u->g, n->out[0], &use))
    if (!keeps_narrow(gie_node_get(u->g, use.node)))
      return false;
  return true;
}

static gie_status widen_node(struct upcast *u, const struct gie_node *n)
{
  const struct gie_step *last = n->n_steps ? &n->steps[n->n_steps - 1] : NULL;
  GIE_TRY(widen_attrs(u, n));
  /* Only the last step may change the dtype; to a narrow one it goes. */
  if (last && strcmp(last->op->name, "cast") == 0 && is_narrow(u, (enum gie_dtype)gie_step_int(last, "to")))
    GIE_TRY(gie_node_cut_steps(u->g, n->id, n->n_steps - 1));
  bool narrow = false;
  for (uint32_t i = 0; i < n->n_out; i++) {
    enum gie_dtype t = gie_value_get(u->g, n->out[i])->type.dtype;
    if (is_narrow(u, t) && n->out[i] < u->n_dtype)
      u->dtype[n->out[i]] = (unsigned char)t;
    narrow = narrow || is_narrow(u, t);
  }
  *u->changes += narrow;
  return gie_node_infer(u->g, n->id);
}

/* ---- Outputs ------------------------------------------------------------------------------------- */

/* The result of the cast takes the output's name. */
static gie_status swap_name(struct upcast *u, gie_id value, gie_id cast)
{
  const struct gie_value *v = gie_value_get(u->g, value);
  const char *name = v->name;
  struct gie_buf b;
  gie_status s = GIE_OK;
  gie_buf_init(&b, u->ctx);
  for (int i = 0; s == GIE_OK && (i == 0 || gie_value_find(u->g, b.data) != GIE_NONE); i++) {
    gie_buf_free(&b);
    gie_buf_printf(&b, "%.4000s_f32%.*d", name, i > 0, i);
    s = b.status;
  }
  if (s == GIE_OK)
    s = gie_value_rename(u->g, value, b.data);
  if (s == GIE_OK)
    s = gie_value_rename(u->g, cast, name);
  gie_buf_free(&b);
  return s;
}

static gie_status narrow_output(struct upcast *u, uint32_t i)
{
  gie_id value = gie_graph_output(u->g, i);
  enum gie_dtype t = widened_from(u, value);
  if (t == GIE_DTYPE_NONE)
    return GIE_OK;
  if (u->cast_back[value] == GIE_NONE) {
    GIE_TRY(add_cast(u, value, t, GIE_NONE, &u->cast_back[value]));
    GIE_TRY(swap_name(u, value, u->cast_back[value]));
  }
  return gie_graph_set_output(u->g, i, u->cast_back[value]);
}

/* ---- Views ---------------------------------------------------------------------------------------- */

/* A cast will stand between the value and what it lies in: one of both keeps the narrow type. */
static bool is_torn(const struct upcast *u, const struct gie_value *v)
{
  const struct gie_value *base = v->view.base == GIE_NONE ? NULL : gie_value_get(u->g, v->view.base);
  return base && is_narrow(u, v->type.dtype) &&
         (base->kind != GIE_VALUE_RESULT || keeps_narrow(gie_node_get(u->g, base->producer)) ||
          keeps_narrow(gie_node_get(u->g, v->producer)));
}

/* Views of one value read each other, so where one cannot stay none does. */
static gie_status dissolve_views(struct upcast *u, uint32_t n_values)
{
  struct gie_view none = {.base = GIE_NONE};
  bool torn = false;
  for (gie_id v = 0; v < n_values && !torn; v++)
    torn = is_torn(u, gie_value_get(u->g, v));
  for (gie_id v = 0; v < n_values && torn; v++)
    if (gie_value_get(u->g, v)->view.base != GIE_NONE)
      GIE_TRY(gie_value_set_view(u->g, v, &none));
  return GIE_OK;
}

/* ---- Pass ----------------------------------------------------------------------------------------- */

static gie_status widen_all(struct upcast *u, uint32_t n_values)
{
  gie_id first = gie_graph_first(u->g);
  GIE_TRY(dissolve_views(u, n_values));
  for (uint32_t i = 0; i < gie_graph_n_inputs(u->g); i++)
    GIE_TRY(widen_behind(u, gie_graph_input(u->g, i), first));
  for (gie_id v = 0; v < n_values; v++)
    if (gie_value_get(u->g, v)->kind == GIE_VALUE_CONST)
      GIE_TRY(widen_const(u, v));
  for (gie_id id = first, next; id != GIE_NONE; id = next) {
    const struct gie_node *n = gie_node_get(u->g, id);
    next = n->next;
    if (keeps_narrow(n))
      GIE_TRY(surround_with_casts(u, n));
    else if (!is_boundary(u, n))
      GIE_TRY(widen_node(u, n));
  }
  for (uint32_t i = 0; i < gie_graph_n_outputs(u->g); i++)
    GIE_TRY(narrow_output(u, i));
  return GIE_OK;
}

static bool has_narrow(const struct upcast *u)
{
  for (gie_id v = 0; v < gie_graph_n_values(u->g); v++) {
    const struct gie_value *value = gie_value_get(u->g, v);
    if (value->kind != GIE_VALUE_DEAD && is_narrow(u, value->type.dtype))
      return true;
  }
  return false;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  struct upcast u = {.g = g, .ctx = pc->ctx, .changes = changes};
  uint32_t n = gie_graph_n_values(g);
  u.narrow = (pc->device_flags & GIE_DEVICE_F16 ? 0 : GIE_DT(F16)) |
             (pc->device_flags & GIE_DEVICE_BF16 ? 0 : GIE_DT(BF16));
  if (!has_narrow(&u))
    return GIE_OK;
  /* Values that get a dtype noted are old ones and at most one wide copy of each, plus casts for opaque nodes. */
  u.n_dtype = 2 * n;
  GIE_FOR_NODES(g, id)
    u.n_dtype += gie_node_get(g, id)->n_in;
  u.dtype = gie_alloc(pc->ctx, u.n_dtype, 1);
  u.cast_back = gie_alloc(pc->ctx, u.n_dtype, sizeof *u.cast_back);
  gie_status s = u.dtype && u.cast_back ? GIE_OK : GIE_E_MEMORY;
  for (uint32_t i = 0; s == GIE_OK && i < u.n_dtype; i++)
    u.cast_back[i] = GIE_NONE;
  if (s == GIE_OK)
    s = widen_all(&u, n);
  gie_free(pc->ctx, u.dtype);
  gie_free(pc->ctx, u.cast_back);
  return s;
}

const struct gie_pass gie_pass_upcast_f16 = {
    sizeof(struct gie_pass), "upcast_f16",
    "computes f16 and bf16 in f32 on devices without that arithmetic; keeps inputs and outputs", run, NULL};
