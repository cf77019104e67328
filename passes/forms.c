/* SPDX-License-Identifier: Apache-2.0 */
/* Forms of operands and results; see forms.h. */
#include "passes/forms.h"

static const struct forms_op OPS[] = {
    /* op, all, exact, layout, space, anchor */
    {"conv", false, false, true, true, true},
    {"conv_transpose", false, false, true, true, true},
    {"max_pool", false, true, true, true, false},
    {"average_pool", false, false, true, true, false},
    {"global_average_pool", false, false, true, true, false},
    {"global_max_pool", false, true, true, true, false},
    {"batch_norm", false, false, true, true, false},
    {"instance_norm", false, false, true, true, false},
    {"lrn", false, false, true, true, false},
    {"resize", false, false, true, true, false},
    {"depth_to_space", false, true, true, true, false},
    {"space_to_depth", false, true, true, true, false},
    {"concat", true, true, true, false, false},
    {"sum", true, false, true, false, false},
    {"split", false, true, true, false, false},
    {"slice", false, true, true, false, false},
    {"dropout", false, true, true, false, false},
    {"softmax", false, false, true, false, false},
    {"log_softmax", false, false, true, false, false},
    {"reduce_mean", false, false, true, false, false},
    {"reduce_sum", false, false, true, false, false},
    {"reduce_max", false, true, true, false, false},
    {"reduce_min", false, true, true, false, false},
    {"reduce_l2", false, false, true, false, false},
    {"relu", true, true, true, false, false},
    {"abs", true, true, true, false, false},
    {"neg", true, true, true, false, false},
    {"max", true, true, true, false, false},
    {"min", true, true, true, false, false},
    {"identity", true, true, true, false, false},
    {"reshape", false, true, false, false, false},
    {"flatten", false, true, false, false, false},
    {"squeeze", false, true, false, false, false},
    {"unsqueeze", false, true, false, false, false},
    {"transpose", false, true, false, false, false},
    {"gather", false, true, false, false, false},
    {"expand", false, true, false, false, false},
    {"tile", false, true, false, false, false},
};

const struct forms_op *forms_op(const struct gie_op *op)
{
  static const struct forms_op pointwise = {"", true, false, true, false, false};
  for (size_t i = 0; i < sizeof OPS / sizeof *OPS; i++)
    if (strcmp(OPS[i].op, op->name) == 0)
      return &OPS[i];
  return (op->flags & GIE_OP_POINTWISE) && !strstr(op->name, "::") && strcmp(op->name, "cast") != 0
             ? &pointwise
             : NULL;
}

gie_status forms_choose(struct forms *f)
{
  f->n_fixed = gie_graph_n_nodes(f->g);
  f->fixed = gie_alloc(f->ctx, f->n_fixed, 1);
  return f->fixed ? GIE_OK : GIE_E_MEMORY;
}

void forms_free(struct forms *f)
{
  gie_free(f->ctx, f->made);
  gie_free(f->ctx, f->fixed);
}

bool forms_is_free(const struct gie_graph *g, gie_id value)
{
  const struct gie_value *v = gie_value_get(g, value);
  return v->view.base == GIE_NONE && v->quant.n == 0 && !pass_holds_views(g, value);
}

/* ---- Conversions ---------------------------------------------------------------------------------- */

gie_id forms_source(const struct forms *f, gie_id value)
{
  const struct gie_graph *g = f->g;
  const struct gie_value *v = gie_value_get(g, value), *x;
  const struct gie_node *n = v ? gie_node_get(g, v->producer) : NULL;
  if (!n || n->n_steps || !forms_is_free(g, value))
    return GIE_NONE;
  x = gie_value_get(g, n->in[0]);
  if (pass_is_op(n, "reorder"))
    return x->quant.n ? GIE_NONE : x->id;
  bool floats = gie_dtype_class(x->type.dtype) == 'f' && gie_dtype_class(v->type.dtype) == 'f';
  bool kept = gie_dtype_size(x->type.dtype) < gie_dtype_size(v->type.dtype) ||
              (f->fixed && n->id >= f->n_fixed);
  return pass_is_op(n, "cast") && floats && kept && !x->quant.n ? x->id : GIE_NONE;
}

static gie_status remember(struct forms *f, gie_id value, gie_id made)
{
  size_t n = f->n_made;
  if (value >= n) {
    GIE_TRY(gie_grow(f->ctx, &f->made, &f->n_made, (size_t)value + 1, sizeof *f->made));
    for (size_t i = n; i < f->n_made; i++)
      f->made[i] = GIE_NONE;
  }
  f->made[value] = made;
  return GIE_OK;
}

gie_status forms_get(struct forms *f, gie_id value, const struct form *to, gie_id *out)
{
  const struct gie_value *v = gie_value_get(f->g, value), *made;
  struct form form = form_of(v);
  int rank = v->type.shape.rank;
  *out = value;
  if (form_equal(&form, to, rank))
    return GIE_OK;
  gie_id source = forms_source(f, value);
  if (source != GIE_NONE) { /* there and back is nowhere */
    form = form_of(gie_value_get(f->g, source));
    *out = source;
    if (form_equal(&form, to, rank))
      return GIE_OK;
    value = source;
    v = gie_value_get(f->g, value);
  }
  made = value < f->n_made ? gie_value_get(f->g, f->made[value]) : NULL;
  if (made && made->kind != GIE_VALUE_DEAD) {
    form = form_of(made);
    *out = made->id;
    if (form_equal(&form, to, rank))
      return GIE_OK;
  }
  ++*f->changes;
  if (v->kind == GIE_VALUE_CONST)
    GIE_TRY(form_const(f->g, value, to, NULL, out));
  else
    GIE_TRY(form_convert(f->g, value, to, out));
  return remember(f, value, *out);
}

gie_status forms_set_operand(struct forms *f, const struct gie_node *n, uint32_t slot, const struct form *to)
{
  gie_id old = n->in[slot], value;
  GIE_TRY(forms_get(f, old, to, &value));
  if (value == old)
    return GIE_OK;
  GIE_TRY(gie_node_set_input(f->g, n->id, slot, value));
  const struct gie_value *v = gie_value_get(f->g, old);
  if (v->n_uses || v->n_outputs)
    return GIE_OK;
  /* Weights are large, and conversions that wander would be many: gone at once when nobody reads them. */
  if (v->kind == GIE_VALUE_CONST)
    return gie_value_remove(f->g, old);
  return forms_source(f, old) != GIE_NONE ? gie_node_remove(f->g, v->producer) : GIE_OK;
}

gie_status forms_give_back(struct forms *f, gie_id value, const struct form *old)
{
  const struct gie_value *v = gie_value_get(f->g, value);
  const struct form now = form_of(v);
  char what[64];
  gie_id back;
  if (form_equal(&now, old, v->type.shape.rank) || (!v->n_uses && !v->n_outputs))
    return GIE_OK;
  GIE_TRY(form_convert(f->g, value, old, &back));
  gie_id node = gie_value_get(f->g, back)->producer;
  GIE_TRY(pass_redirect(f->g, value, back));
  GIE_TRY(gie_node_set_input(f->g, node, 0, value));
  GIE_TRY(remember(f, value, back));
  ++*f->changes;
  return v->n_outputs ? form_output(f->g, value, back, form_text(&now, old, v->type.shape.rank, what))
                      : GIE_OK;
}
