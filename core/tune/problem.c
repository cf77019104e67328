/* SPDX-License-Identifier: Apache-2.0 */
/* Problems: one node with the forms of its operands and results as a graph of its own, and its key.
 *
 * Forms in the graph: dtypes are the values' types, layouts the values' layouts. Pitch has no value to
 * be a range of, so it is a note of the node: `pitched` lists the operands (0 …) and results (n_in …)
 * whose tensors have gaps; tune_pitched_desc() says which.
 *
 * Dtypes: where a form asks for another float type than the graph has, the other operands of the old
 * type follow, unless they have a form that says otherwise or the op gives them a dtype of their own
 * (the statistics of a batch_norm stay f32). Constants are converted. */
#include "core/tune/tune.h"

struct maker {
  struct gie_context *ctx;
  struct tune_consts *consts;
  const struct gie_graph *from;
  const struct gie_node *n;
  const struct tune_form *in, *out;
  uint32_t n_steps;
  struct gie_arena mem;
  struct gie_graph *g;
  enum gie_dtype old, new; /* operands of dtype `old` become `new` */
  gie_id *made;            /* by slot of n->in: the value in g */
  gie_id node;
  int64_t *pitched; /* slots of the new node */
  uint32_t n_pitched;
};

static const struct tune_form *form_in(const struct maker *m, uint32_t slot)
{
  static const struct tune_form plain;
  return m->in ? &m->in[slot] : &plain;
}

/* ---- Dtypes ------------------------------------------------------------------------------------ */

static bool is_float(enum gie_dtype t) { return gie_dtype_class(t) == 'f'; }

static enum gie_dtype graph_dtype(const struct maker *m, uint32_t slot)
{
  const struct gie_value *v = gie_value_get(m->from, m->n->in[slot]);
  return v ? v->type.dtype : GIE_DTYPE_NONE;
}

/* Whether the op gives the operand a dtype of its own: then it does not follow the others. */
static bool has_own_dtype(const struct gie_node *n, uint32_t slot)
{
  struct ir_operand declared;
  return slot < n->n_operands && ir_op_operand(n->op, slot, &declared) && declared.dtypes;
}

static void find_change(struct maker *m)
{
  for (uint32_t i = 0; i < m->n->n_in && m->old == GIE_DTYPE_NONE; i++) {
    enum gie_dtype t = graph_dtype(m, i), wanted = form_in(m, i)->dtype;
    if (wanted == GIE_DTYPE_NONE || wanted == t || !is_float(t) || has_own_dtype(m->n, i))
      continue;
    m->old = t;
    m->new = wanted;
  }
}

static enum gie_dtype dtype_in(const struct maker *m, uint32_t slot)
{
  enum gie_dtype t = graph_dtype(m, slot), wanted = form_in(m, slot)->dtype;
  if (wanted != GIE_DTYPE_NONE)
    return wanted;
  return t == m->old && t != GIE_DTYPE_NONE && !has_own_dtype(m->n, slot) ? m->new : t;
}

/* ---- Operands ---------------------------------------------------------------------------------- */

static gie_status add_bytes(struct maker *m, const char *name, const struct gie_type *t,
                            struct gie_blob *blob, gie_id *out)
{
  struct gie_const data = {blob, 0, gie_blob_size(blob)};
  return gie_graph_add_const(m->g, name, t, &data, out);
}

/* A constant of another float type. */
static gie_status add_converted(struct maker *m, const char *name, const struct gie_value *v,
                                const struct gie_type *t, gie_id *out)
{
  struct gie_blob *blob;
  if (!is_float(v->type.dtype) || !is_float(t->dtype))
    return gie_fail(m->ctx, GIE_E_UNSUPPORTED, "the constant \"%s\" is %s and cannot become %s", v->name,
                    gie_dtype_name(v->type.dtype), gie_dtype_name(t->dtype));
  GIE_TRY(tune_consts_get(m->consts, m->from, v, t->dtype, &blob));
  gie_status st = add_bytes(m, name, t, blob, out);
  gie_blob_unref(blob);
  return st;
}

/* An integer whose elements shape inference knows: kernels will see it as a constant. */
static gie_status add_known(struct maker *m, const char *name, const struct gie_type *t, const int64_t *v,
                            uint32_t n, gie_id *out)
{
  size_t size = gie_dtype_size(t->dtype);
  struct gie_blob *blob;
  GIE_TRY(gie_blob_new(m->ctx, n * size, &blob));
  for (uint32_t i = 0; i < n; i++)
    memcpy((char *)gie_blob_data(blob) + i * size, &v[i], size); /* little-endian, as all constants are */
  gie_status st = add_bytes(m, name, t, blob, out);
  gie_blob_unref(blob);
  return st;
}

static gie_status add_value(struct maker *m, uint32_t slot, gie_id *out)
{
  const struct gie_value *v = gie_value_get(m->from, m->n->in[slot]);
  struct gie_type t = v->type;
  int64_t known[GIE_MAX_KNOWN];
  uint32_t n_known;
  char name[32];
  t.dtype = dtype_in(m, slot);
  snprintf(name, sizeof name, "i%u", (unsigned)slot);
  if (v->kind == GIE_VALUE_CONST && t.dtype == v->type.dtype)
    GIE_TRY(gie_graph_add_const(m->g, name, &t, &v->data, out));
  else if (v->kind == GIE_VALUE_CONST)
    GIE_TRY(add_converted(m, name, v, &t, out));
  else if (t.dtype == v->type.dtype && gie_value_ints(m->from, v->id, known, GIE_MAX_KNOWN, &n_known))
    GIE_TRY(add_known(m, name, &t, known, n_known, out));
  else
    GIE_TRY(gie_graph_add_input(m->g, name, &t, out));
  GIE_TRY(gie_value_set_layout(m->g, *out, &form_in(m, slot)->layout));
  return v->quant.n ? gie_value_set_quant(m->g, *out, &v->quant) : GIE_OK;
}

static bool same_form(const struct tune_form *a, const struct tune_form *b, int rank)
{
  return a->dtype == b->dtype && a->pitched == b->pitched && gie_layout_equal(&a->layout, &b->layout, rank);
}

/* A value that is read twice in one form stays one value. */
static gie_status make_value(struct maker *m, uint32_t slot)
{
  const struct gie_value *v = gie_value_get(m->from, m->n->in[slot]);
  m->made[slot] = GIE_NONE;
  if (!v)
    return GIE_OK;
  if (!run_type_is_static(&v->type))
    return gie_fail(m->ctx, GIE_E_SHAPE, "value \"%s\" has a dim that is no number; a problem needs numbers",
                    v->name);
  for (uint32_t j = 0; j < slot; j++)
    if (m->n->in[j] == m->n->in[slot] && dtype_in(m, j) == dtype_in(m, slot) &&
        same_form(form_in(m, j), form_in(m, slot), v->type.shape.rank)) {
      m->made[slot] = m->made[j];
      return GIE_OK;
    }
  return add_value(m, slot, &m->made[slot]);
}

/* ---- The node ---------------------------------------------------------------------------------- */

/* A cast whose result has a form of another float type casts to that. */
static const struct gie_attrs *cast_attrs(struct maker *m, const struct gie_op *op,
                                          const struct gie_attrs *attrs, struct gie_attrs *own)
{
  enum gie_dtype wanted = m->out ? m->out[0].dtype : GIE_DTYPE_NONE;
  enum gie_dtype now = (enum gie_dtype)gie_attrs_int(attrs, op, "to");
  if (strcmp(op->name, "cast") != 0 || !is_float(wanted) || !is_float(now) || wanted == now)
    return attrs;
  struct gie_attr *to = gie_arena_alloc(&m->mem, 1, sizeof *to);
  if (!to)
    return NULL;
  *to = (struct gie_attr){.name = "to", .kind = GIE_ATTR_DTYPE, .u.i = wanted};
  *own = (struct gie_attrs){1, to};
  return own;
}

static gie_status add_node(struct maker *m)
{
  const struct gie_node *n = m->n;
  struct gie_node_spec spec = GIE_NODE_SPEC(n->op->name);
  struct gie_attrs own;
  const struct gie_attrs *attrs = cast_attrs(m, n->op, &n->attrs, &own);
  const char **names = gie_arena_alloc(&m->mem, n->n_out, sizeof *names);
  if (!attrs || !names)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < n->n_out; i++) {
    char name[32];
    snprintf(name, sizeof name, "o%u", (unsigned)i);
    if (!(names[i] = gie_arena_strdup(&m->mem, name)))
      return GIE_E_MEMORY;
  }
  spec.n_in = n->n_operands;
  spec.in = m->made;
  spec.n_out = n->n_out;
  spec.out_names = names;
  spec.n_attrs = attrs->n;
  spec.attrs = attrs->v;
  return gie_node_add(m->g, &spec, &m->node);
}

static gie_status add_steps(struct maker *m)
{
  for (uint32_t i = 0; i < m->n_steps; i++) {
    const struct gie_step *s = &m->n->steps[i];
    struct gie_attrs own;
    const struct gie_attrs *attrs = cast_attrs(m, s->op, &s->attrs, &own);
    gie_id operand = s->operand < 0 ? GIE_NONE : m->made[s->operand];
    if (!attrs)
      return GIE_E_MEMORY;
    GIE_TRY(gie_node_add_step(m->g, m->node, s->op->name, operand, s->reverse, attrs));
  }
  return GIE_OK;
}

static gie_status describe_result(struct maker *m, uint32_t i)
{
  static const struct tune_form plain;
  const struct tune_form *f = m->out ? &m->out[i] : &plain;
  const struct gie_value *from = gie_value_get(m->from, m->n->out[i]);
  gie_id id = gie_node_get(m->g, m->node)->out[i];
  struct gie_type t = gie_value_get(m->g, id)->type;
  if (!run_type_is_static(&t)) { /* the graph knows more than the operands say */
    enum gie_dtype dtype = t.dtype != GIE_DTYPE_NONE ? t.dtype : from->type.dtype;
    t = from->type;
    t.dtype = dtype;
    GIE_TRY(gie_value_set_type(m->g, id, &t));
  }
  if (!run_type_is_static(&t))
    return gie_fail(m->ctx, GIE_E_SHAPE, "result \"%s\" has a dim that is no number; a problem needs numbers",
                    from->name);
  if (f->dtype != GIE_DTYPE_NONE && f->dtype != t.dtype)
    return gie_fail(m->ctx, GIE_E_TYPE, "%s yields %s from these operands, not %s", m->n->op->name,
                    gie_dtype_name(t.dtype), gie_dtype_name(f->dtype));
  GIE_TRY(gie_value_set_layout(m->g, id, &f->layout));
  if (from->quant.n)
    GIE_TRY(gie_value_set_quant(m->g, id, &from->quant));
  if (f->pitched)
    m->pitched[m->n_pitched++] = gie_node_get(m->g, m->node)->n_in + i;
  return gie_graph_add_output(m->g, id);
}

/* Operand slots of the new node: the old ones, of the steps only those that are kept. */
static void note_pitched_operands(struct maker *m)
{
  for (uint32_t i = 0; i < m->n->n_operands; i++)
    if (m->made[i] != GIE_NONE && form_in(m, i)->pitched)
      m->pitched[m->n_pitched++] = i;
  for (uint32_t i = 0, slot = m->n->n_operands; i < m->n_steps; i++) {
    int32_t operand = m->n->steps[i].operand;
    if (operand < 0)
      continue;
    if (form_in(m, (uint32_t)operand)->pitched)
      m->pitched[m->n_pitched++] = slot;
    slot++;
  }
}

static bool is_kept(const struct maker *m, uint32_t slot)
{
  if (slot < m->n->n_operands)
    return true;
  for (uint32_t i = 0; i < m->n_steps; i++)
    if (m->n->steps[i].operand == (int32_t)slot)
      return true;
  return false;
}

static gie_status make_graph(struct maker *m)
{
  const struct gie_node *n = m->n;
  if (ir_has_bodies(n) || (n->op->flags & GIE_OP_OPAQUE))
    return gie_fail(m->ctx, GIE_E_UNSUPPORTED, "%s has bodies or is opaque; no kernel is timed for it",
                    n->op->name);
  m->made = gie_arena_alloc(&m->mem, n->n_in + 1, sizeof *m->made);
  m->pitched = gie_arena_alloc(&m->mem, (size_t)n->n_in + n->n_out + 1, sizeof *m->pitched);
  if (!m->made || !m->pitched)
    return GIE_E_MEMORY;
  GIE_TRY(gie_graph_new(m->ctx, NULL, &m->g));
  find_change(m);
  for (uint32_t i = 0; i < n->n_in; i++)
    if (is_kept(m, i))
      GIE_TRY(make_value(m, i));
  GIE_TRY(add_node(m));
  GIE_TRY(add_steps(m));
  note_pitched_operands(m);
  for (uint32_t i = 0; i < n->n_out; i++)
    GIE_TRY(describe_result(m, i));
  const struct gie_attr *math = gie_attrs_find(&n->notes, "math");
  if (math)
    GIE_TRY(gie_node_set_note(m->g, m->node, math));
  if (m->n_pitched) {
    const struct gie_attr note = {"pitched", GIE_ATTR_INTS, m->n_pitched, {.is = m->pitched}};
    GIE_TRY(gie_node_set_note(m->g, m->node, &note));
  }
  return GIE_OK;
}

gie_status tune_problem_make(const struct gie_graph *g, const struct gie_node *n, uint32_t n_steps,
                             const struct tune_form *in, const struct tune_form *out, struct tune_problem *p)
{
  return tune_problem_make_with(NULL, g, n, n_steps, in, out, p);
}

gie_status tune_problem_make_with(struct tune_consts *consts, const struct gie_graph *g,
                                  const struct gie_node *n, uint32_t n_steps, const struct tune_form *in,
                                  const struct tune_form *out, struct tune_problem *p)
{
  struct maker m = {.ctx = gie_graph_context(g), .consts = consts, .from = g, .n = n, .in = in, .out = out};
  char *key = NULL;
  m.n_steps = n_steps < n->n_steps ? n_steps : n->n_steps;
  gie_arena_init(&m.mem, m.ctx);
  gie_status st = make_graph(&m);
  if (st == GIE_OK)
    st = tune_problem_key(m.g, &key);
  gie_arena_free(&m.mem);
  if (st == GIE_OK) {
    *p = (struct tune_problem){m.g, key};
    return GIE_OK;
  }
  gie_graph_free(m.g);
  char label[128];
  return gie_error_prefix(m.ctx, st, "%s", ir_node_label(n, label, sizeof label));
}

void tune_problem_free(struct tune_problem *p, struct gie_context *ctx)
{
  gie_graph_free(p->g);
  gie_free(ctx, p->key);
  memset(p, 0, sizeof *p);
}

/* ---- Notes -------------------------------------------------------------------------------------- */

bool tune_keeps_f32(const struct gie_node *n)
{
  const struct gie_attr *a = gie_attrs_find(&n->notes, "keep_f32");
  return a && a->kind == GIE_ATTR_INT && a->u.i != 0;
}

/* ---- Pitch -------------------------------------------------------------------------------------- */

bool tune_is_pitched(const struct gie_node *n, uint32_t slot)
{
  const struct gie_attr *a = gie_attrs_find(&n->notes, "pitched");
  for (uint32_t i = 0; a && a->kind == GIE_ATTR_INTS && i < a->n; i++)
    if (a->u.is[i] == (int64_t)slot)
      return true;
  return false;
}

gie_status tune_pitched_desc(struct gie_context *ctx, const struct gie_type *t,
                             const struct gie_layout *layout, struct gie_desc *out, size_t *bytes,
                             size_t *offset)
{
  struct gie_type base_type = *t;
  struct gie_desc base;
  int axis = t->shape.rank > 1 ? 1 : 0;
  int64_t gap = layout->block > 1 ? layout->block : TUNE_PITCH_GAP, extent;
  *offset = 0;
  if (t->shape.rank < 1)
    return gie_desc_make(ctx, t, layout, out, bytes);
  int64_t dim = t->shape.dim[axis].b;
  if (!gie_add64(dim, gap, &extent))
    return gie_fail(ctx, GIE_E_LIMIT, "the size of the tensor overflows");
  base_type.shape.dim[axis] = gie_dim_num(extent);
  GIE_TRY(gie_desc_make(ctx, &base_type, layout, &base, bytes));
  return gie_desc_view(ctx, &base, axis, gap, dim, out, offset);
}
