/* SPDX-License-Identifier: Apache-2.0 */
/* Reorders and casts move towards the outputs, through nodes that can do without, and onto constants; those that
 * undo each other cancel.
 *
 *     %b : nchw = reorder(%a)                %c : nhwc = relu(%a)
 *     %c : nchw = relu(%b)             ->    %y : nhwc = conv(%c, %w)
 *     %d : nhwc = reorder(%c)
 *     %y : nhwc = conv(%d, %w)
 *
 * A reorder moves behind pointwise nodes, pools, concats and so on (the table in forms.c) where that makes no more
 * of them: several operands become one result, or the result is read in the old layout. A cast to a wider type moves
 * only behind what picks elements (relu, maximum, concat, reshape …), where every bit of the result stays. Of a
 * conversion of a conversion the first goes, unless it rounds.
 *
 * Does not fire: convolutions, nodes with notes `layout` or `precision`, views and values that hold views, quantized values, a
 * result that is a graph output where nothing is saved. */
#include "passes/forms.h"

#define MAX_ROUNDS 16
#define MAX_READERS 8 /* of a value that are looked at */

/* A node that conversions may move behind. */
struct move {
  const struct gie_node *n;
  const struct forms_op *op;
  struct form from, to; /* of the operands' sources; of the operands */
  bool retype;          /* the dtype changes */
  int saved, added;     /* conversions */
};

/* ---- Conversions of conversions ------------------------------------------------------------------------ */

static bool is_conversion(const struct gie_graph *g, const struct gie_node *n)
{
  if (n->n_steps || (!pass_is_op(n, "reorder") && !pass_is_op(n, "cast")))
    return false;
  const struct gie_value *x = gie_value_get(g, n->in[0]), *y = gie_value_get(g, n->out[0]);
  return forms_is_free(g, y->id) && !x->quant.n && x->type.shape.rank >= 0 &&
         (x->type.dtype == y->type.dtype ||
          (gie_dtype_class(x->type.dtype) == 'f' && gie_dtype_class(y->type.dtype) == 'f'));
}

/* Readers of c's result read `to`, which equals it. An output keeps its name. */
static gie_status give_way(struct forms *f, const struct gie_node *c, gie_id to)
{
  const struct gie_value *y = gie_value_get(f->g, c->out[0]), *t = gie_value_get(f->g, to);
  if (y->n_outputs && t->kind == GIE_VALUE_RESULT && !t->n_outputs && forms_is_free(f->g, to))
    GIE_TRY(gie_value_replace(f->g, y->id, to));
  else if (y->n_uses)
    GIE_TRY(pass_redirect(f->g, y->id, to));
  else
    return GIE_OK;
  ++*f->changes;
  return pass_is_unused(f->g, c) ? gie_node_remove(f->g, c->id) : GIE_OK;
}

static gie_status shorten(struct forms *f, const struct gie_node *c)
{
  const struct gie_value *x = gie_value_get(f->g, c->in[0]), *y = gie_value_get(f->g, c->out[0]);
  const struct form from = form_of(x), to = form_of(y);
  gie_id value = x->id, source = forms_source(f, x->id);
  if (!y->n_uses && !y->n_outputs) {
    ++*f->changes;
    return gie_node_remove(f->g, c->id);
  }
  if (form_equal(&from, &to, x->type.shape.rank))
    return give_way(f, c, x->id);
  if (y->n_outputs ? source == GIE_NONE : x->kind != GIE_VALUE_CONST && source == GIE_NONE)
    return GIE_OK;
  GIE_TRY(forms_get(f, x->id, &to, &value));
  return value == y->id ? GIE_OK : give_way(f, c, value);
}

/* ---- Behind a node --------------------------------------------------------------------------------------- */

static bool is_pinned(const struct forms *f, const struct gie_node *n)
{
  return (f->fixed && n->id < f->n_fixed && f->fixed[n->id]) || gie_attrs_find(&n->notes, "layout") ||
         gie_attrs_find(&n->notes, "precision");
}

/* Whether operand `slot` has the form of the result. */
static bool goes_along(const struct move *m, const struct gie_graph *g, uint32_t slot)
{
  const struct gie_value *v = gie_value_get(g, m->n->in[slot]);
  if (!v || (slot > 0 && slot < m->n->n_operands && !m->op->all))
    return false;
  return m->retype || v->type.shape.rank == gie_value_get(g, m->n->out[0])->type.shape.rank;
}

/* All that read the value could do without a conversion before it. */
static bool will_go(const struct gie_graph *g, gie_id value)
{
  const struct gie_value *v = gie_value_get(g, value);
  struct gie_use use = {GIE_NONE, 0};
  if (v->n_outputs || v->n_uses > MAX_READERS)
    return false;
  while (gie_value_next_use(g, value, &use)) {
    const struct gie_node *n = gie_node_get(g, use.node);
    if (!forms_op(n->op) && !is_conversion(g, n))
      return false;
  }
  return true;
}

static bool count_operands(struct move *m, const struct forms *f)
{
  const struct gie_graph *g = f->g;
  for (uint32_t i = 0; i < m->n->n_in; i++) {
    if (m->n->in[i] == GIE_NONE || !goes_along(m, g, i))
      continue;
    const struct gie_value *v = gie_value_get(g, m->n->in[i]), *x = gie_value_get(g, forms_source(f, v->id));
    const struct form form = x ? form_of(x) : m->to;
    if (x && form_equal(&form, &m->from, x->type.shape.rank))
      m->saved += will_go(g, v->id);
    else if (m->retype)
      return false;
    else
      m->added += v->kind != GIE_VALUE_CONST;
  }
  return true;
}

/* Readers of the results: those that want the new form save a conversion, the first other one costs one. True: a
 * result is an output and nothing else. */
static bool count_readers(struct move *m, const struct gie_graph *g)
{
  bool output = false;
  for (uint32_t i = 0; i < m->n->n_out; i++) {
    const struct gie_value *y = gie_value_get(g, m->n->out[i]);
    struct gie_use use = {GIE_NONE, 0};
    bool wants = false, other = y->n_outputs > 0 || y->n_uses > MAX_READERS;
    for (uint32_t k = 0; k < MAX_READERS && gie_value_next_use(g, y->id, &use); k++) {
      const struct gie_node *r = gie_node_get(g, use.node);
      const struct form form = form_of(gie_value_get(g, r->out[0]));
      bool does = is_conversion(g, r) && form_equal(&form, &m->from, y->type.shape.rank);
      wants = wants || does;
      other = other || !does;
    }
    m->saved += wants;
    m->added += other;
    output = output || (y->n_outputs && !y->n_uses);
  }
  return output;
}

static bool results_are_free(const struct forms *f, const struct gie_node *n)
{
  int rank = gie_value_get(f->g, n->out[0])->type.shape.rank;
  for (uint32_t i = 0; i < n->n_out; i++)
    if (!forms_is_free(f->g, n->out[i]) || gie_value_get(f->g, n->out[i])->type.shape.rank != rank)
      return false;
  return rank >= 0;
}

/* The first operand that is a conversion says which one it is about. */
static bool find_forms(struct move *m, const struct forms *f)
{
  const struct gie_graph *g = f->g;
  static const struct gie_layout plain;
  int rank = gie_value_get(g, m->n->out[0])->type.shape.rank;
  for (uint32_t i = 0; i < m->n->n_in; i++) {
    const struct gie_value *v = gie_value_get(g, m->n->in[i]), *x;
    if (!v || (i > 0 && i < m->n->n_operands && !m->op->all) ||
        !(x = gie_value_get(g, forms_source(f, v->id))))
      continue;
    m->from = form_of(x), m->to = form_of(v);
    m->retype = m->from.dtype != m->to.dtype;
    if (!m->retype)
      return m->op->layout && !m->op->anchor && v->type.shape.rank == rank;
    return m->op->exact && !m->n->n_steps &&
           gie_layout_equal(&m->from.layout, &m->to.layout, v->type.shape.rank) &&
           (m->op->layout ? v->type.shape.rank == rank
                          : gie_layout_equal(&m->to.layout, &plain, v->type.shape.rank)) &&
           (!m->n->op->dtypes || (m->n->op->dtypes & 1u << m->from.dtype));
  }
  return false;
}

static bool match(struct move *m, const struct forms *f, const struct gie_node *n)
{
  *m = (struct move){.n = n, .op = forms_op(n->op)};
  if (!m->op || n->n_captures || !n->n_out || !n->n_in || n->in[0] == GIE_NONE || is_pinned(f, n) ||
      !results_are_free(f, n) || !find_forms(m, f) || !count_operands(m, f))
    return false;
  bool output = count_readers(m, f->g);
  return output ? m->saved > m->added : m->saved >= m->added;
}

static gie_status move(struct forms *f, const struct move *m)
{
  const struct gie_node *n = m->n;
  struct form *old = gie_alloc(f->ctx, n->n_out, sizeof *old);
  gie_status st = old ? GIE_OK : GIE_E_MEMORY;
  for (uint32_t i = 0; st == GIE_OK && i < n->n_in; i++)
    if (n->in[i] != GIE_NONE && goes_along(m, f->g, i)) {
      struct form to = form_of(gie_value_get(f->g, n->in[i]));
      to.dtype = m->retype ? m->from.dtype : to.dtype;
      to.layout = m->retype ? to.layout : m->from.layout;
      st = forms_set_operand(f, n, i, &to);
    }
  for (uint32_t i = 0; st == GIE_OK && i < n->n_out; i++)
    old[i] = form_of(gie_value_get(f->g, n->out[i]));
  if (st == GIE_OK && m->retype)
    st = gie_node_infer(f->g, n->id);
  for (uint32_t i = 0; st == GIE_OK && i < n->n_out; i++) {
    if (!m->retype)
      st = gie_value_set_layout(f->g, n->out[i], &m->from.layout);
    if (st == GIE_OK)
      st = forms_give_back(f, n->out[i], &old[i]);
  }
  gie_free(f->ctx, old);
  ++*f->changes;
  return st;
}

gie_status forms_move(struct forms *f)
{
  uint32_t before = *f->changes - 1;
  for (int round = 0; round < MAX_ROUNDS && *f->changes != before; round++) {
    before = *f->changes;
    for (gie_id id = gie_graph_first(f->g), next; id != GIE_NONE; id = next) {
      const struct gie_node *n = gie_node_get(f->g, id);
      struct move m;
      next = n->next;
      if (is_conversion(f->g, n))
        GIE_TRY(shorten(f, n));
      else if (match(&m, f, n))
        GIE_TRY(move(f, &m));
    }
  }
  return GIE_OK;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  struct forms f = {.g = g, .ctx = pc->ctx, .changes = changes};
  gie_status st = forms_move(&f);
  forms_free(&f);
  return st;
}

const struct gie_pass gie_pass_move_conversions = {
    sizeof(struct gie_pass), "move_conversions",
    "moves reorders and casts behind nodes that can do without, onto constants, and cancels them; not views",
    run, NULL};
