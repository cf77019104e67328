/* SPDX-License-Identifier: Apache-2.0 */
/* Applies a choice of float types: precision=f16, or what notes say.
 *
 *     const %w : f32[…]               const %w.f16 : f16[…]
 *     %y : f32[…] = conv(%x, %w)  ->  %x.f16 : f16[…] = cast(%x) {to=f16}
 *     output %y                       %y.f16 : f16[…] = conv(%x.f16, %w.f16)
 *                                     %y : f32[…] = cast(%y.f16) {to=f32}
 *
 * All nodes that compute floats get the dtype of the argument. A node whose note `precision` names one has it
 * instead, and without an argument only those have one; the note keep_f32 keeps a node as it is. Casts are put round
 * each node, then moved and cancelled as in move_conversions: inputs and outputs of the graph keep their types.
 * Nodes accumulate as before; what is rounded is what they read and write.
 *
 * Does not fire: casts, opaque nodes, ops of modules that do not name the dtype, ops without it, quantized values,
 * views, epilogues that change the dtype, tensors in attributes, a finite constant that the dtype cannot hold. */
#include "passes/forms.h"

static enum gie_dtype float_named(const char *text)
{
  for (int t = GIE_DTYPE_NONE + 1; text && t < GIE_DTYPE_COUNT; t++)
    if (gie_dtype_class((enum gie_dtype)t) == 'f' && strcmp(gie_dtype_name((enum gie_dtype)t), text) == 0)
      return (enum gie_dtype)t;
  return GIE_DTYPE_NONE;
}

/* ---- Which nodes ------------------------------------------------------------------------------------ */

static gie_status wanted(const struct forms *f, const struct gie_node *n, enum gie_dtype argument,
                         enum gie_dtype *out)
{
  const struct gie_attr *note = gie_attrs_find(&n->notes, "precision"),
                        *keep = gie_attrs_find(&n->notes, "keep_f32");
  *out = keep && keep->kind == GIE_ATTR_INT && keep->u.i ? GIE_DTYPE_NONE : argument;
  if (!note || note->kind != GIE_ATTR_STRING)
    return GIE_OK;
  *out = float_named(note->u.s);
  return *out != GIE_DTYPE_NONE
             ? GIE_OK
             : gie_fail(f->ctx, GIE_E_DATA, "node \"%s\", note precision: \"%s\" is no float type", n->name,
                        note->u.s);
}

static bool is_float(const struct gie_value *v) { return v && gie_dtype_class(v->type.dtype) == 'f'; }

static bool takes(const struct gie_op *op, enum gie_dtype t)
{
  bool module = strstr(op->name, "::") != NULL;
  return op->dtypes ? (op->dtypes & 1u << t) != 0 : !module;
}

/* Operands of its own dtype, and those of steps. */
static bool follows(const struct gie_node *n, uint32_t slot)
{
  struct ir_operand d;
  return n->in[slot] != GIE_NONE &&
         (slot >= n->n_operands || !ir_op_operand(n->op, slot, &d) || d.dtypes == 0);
}

/* Whether every finite element is finite in dtype t. */
static bool fits(const struct gie_graph *g, const struct gie_value *v, enum gie_dtype t)
{
  const void *p = gie_value_bytes(g, v->id, NULL);
  size_t n = v->data.size / gie_dtype_size(v->type.dtype);
  double room;
  if (gie_dtype_size(t) >= gie_dtype_size(v->type.dtype) && t != GIE_F16)
    return true;
  for (size_t i = 0; i < n; i++)
    if (!pass_store(t, &room, 0, pass_load(v->type.dtype, p, i)))
      return false;
  return true;
}

static bool can_change(const struct forms *f, const struct gie_node *n, enum gie_dtype t)
{
  const struct gie_step *last = n->n_steps ? &n->steps[n->n_steps - 1] : NULL;
  if (!n->n_out || !n->n_in || n->in[0] == GIE_NONE || !(n->op->infer) || (n->op->flags & GIE_OP_OPAQUE) ||
      n->n_captures || pass_is_op(n, "cast") || pass_is_op(n, "reorder") || pass_is_op(n, "shape") ||
      !takes(n->op, t) || (last && strcmp(last->op->name, "cast") == 0))
    return false;
  for (uint32_t i = 0; i < n->attrs.n; i++)
    if (n->attrs.v[i].kind == GIE_ATTR_TENSOR || n->attrs.v[i].kind == GIE_ATTR_GRAPH)
      return false;
  for (uint32_t i = 0; i < n->n_out; i++)
    if (!forms_is_free(f->g, n->out[i]))
      return false;
  if (!is_float(gie_value_get(f->g, n->out[0])))
    return false;
  for (uint32_t i = 0; i < n->n_in; i++) {
    const struct gie_value *v = gie_value_get(f->g, n->in[i]);
    if (follows(n, i) && (!is_float(v) || v->quant.n || (v->kind == GIE_VALUE_CONST && !fits(f->g, v, t))))
      return false;
  }
  return true;
}

/* ---- Changing them ------------------------------------------------------------------------------------ */

static gie_status results(struct forms *f, const struct gie_node *n, struct form *old)
{
  for (uint32_t i = 0; i < n->n_out; i++)
    old[i] = form_of(gie_value_get(f->g, n->out[i]));
  GIE_TRY(gie_node_infer(f->g, n->id));
  for (uint32_t i = 0; i < n->n_out; i++) {
    *f->changes += gie_value_get(f->g, n->out[i])->type.dtype != old[i].dtype;
    GIE_TRY(forms_give_back(f, n->out[i], &old[i]));
  }
  return GIE_OK;
}

static gie_status apply(struct forms *f, const struct gie_node *n, enum gie_dtype t)
{
  for (uint32_t i = 0; i < n->n_in; i++) {
    if (!follows(n, i))
      continue;
    struct form to = form_of(gie_value_get(f->g, n->in[i]));
    to.dtype = t;
    GIE_TRY(forms_set_operand(f, n, i, &to));
  }
  struct form *old = gie_alloc(f->ctx, n->n_out, sizeof *old);
  gie_status st = old ? results(f, n, old) : GIE_E_MEMORY;
  gie_free(f->ctx, old);
  return st;
}

static gie_status apply_all(struct forms *f, enum gie_dtype argument)
{
  GIE_TRY(forms_choose(f));
  for (gie_id id = gie_graph_first(f->g), next; id != GIE_NONE; id = next) {
    const struct gie_node *n = gie_node_get(f->g, id);
    enum gie_dtype t;
    next = n->next;
    GIE_TRY(wanted(f, n, argument, &t));
    if (t != GIE_DTYPE_NONE && can_change(f, n, t)) {
      f->fixed[n->id] = 1;
      GIE_TRY(apply(f, n, t));
    }
  }
  return forms_move(f);
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  struct forms f = {.g = g, .ctx = pc->ctx, .changes = changes};
  enum gie_dtype t = float_named(pc->argument);
  if (pc->argument && t == GIE_DTYPE_NONE)
    return gie_fail(pc->ctx, GIE_E_USAGE, "precision=%s: give f16, bf16, f32 or f64", pc->argument);
  gie_status st = apply_all(&f, t);
  forms_free(&f);
  return st;
}

const struct gie_pass gie_pass_precision = {
    sizeof(struct gie_pass), "precision",
    "computes floats in that dtype, or as notes say, with casts where needed; not what keep_f32 keeps", run,
    "DTYPE"};
