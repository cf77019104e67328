/* SPDX-License-Identifier: Apache-2.0 */
/* The alternatives of every node, from the raw variants that ask.c found: a port that takes any layout becomes
 * one alternative for each layout that the value could have, which are those that some neighbour names.
 * Only then are there candidates to time. */
#include "core/tune/select.h"
#include <math.h>

#define ROUNDS 4 /* of spreading layouts through nodes that take any */

/* ---- Start and end ------------------------------------------------------------------------------ */

gie_status selection_init(struct selection *s, struct tuner *t, const struct gie_graph *g)
{
  uint32_t n = gie_graph_n_nodes(g), m = gie_graph_n_values(g);
  memset(s, 0, sizeof *s);
  s->t = t;
  s->g = g;
  gie_arena_init(&s->mem, t->ctx);
  s->is_live = gie_arena_alloc(&s->mem, n, sizeof *s->is_live);
  s->is_tail = gie_arena_alloc(&s->mem, n, sizeof *s->is_tail);
  s->nodes = gie_arena_alloc(&s->mem, n, sizeof *s->nodes);
  s->layouts = gie_arena_alloc(&s->mem, m, sizeof *s->layouts);
  s->has_view = gie_arena_alloc(&s->mem, m, sizeof *s->has_view);
  gie_status st = s->is_live && s->is_tail && s->nodes && s->layouts && s->has_view
                      ? run_classify(g, s->is_live, s->is_tail)
                      : GIE_E_MEMORY;
  if (st != GIE_OK)
    selection_free(s);
  return st;
}

void selection_free(struct selection *s)
{
  if (!s->t)
    return;
  for (uint32_t i = 0; s->nodes && i < gie_graph_n_nodes(s->g); i++) {
    gie_free(s->t->ctx, s->nodes[i].raws);
    gie_free(s->t->ctx, s->nodes[i].alts);
  }
  gie_arena_free(&s->mem);
  memset(s, 0, sizeof *s);
}

/* ---- Layouts that values could have --------------------------------------------------------------- */

static int rank_of(const struct selection *s, gie_id v) { return gie_value_get(s->g, v)->type.shape.rank; }

static bool is_const(const struct selection *s, gie_id v)
{
  return v == GIE_NONE || gie_value_get(s->g, v)->kind == GIE_VALUE_CONST;
}

/* Adds a layout to those of a value; true if it is new and there was room. */
static bool add_layout(struct selection *s, gie_id value, const struct gie_layout *l)
{
  struct tune_layouts *set = &s->layouts[value];
  int rank = rank_of(s, value);
  if (is_const(s, value) || (l->rank && l->rank != rank))
    return false;
  for (uint32_t i = 0; i < set->n; i++)
    if (gie_layout_equal(&set->v[i], l, rank))
      return false;
  if (set->n == TUNE_MAX_LAYOUTS)
    return false;
  set->v[set->n++] = *l;
  return true;
}

static void add_named(struct selection *s, const struct gie_node *n, const struct tune_raw *r)
{
  for (uint32_t i = 0; i < r->n_in; i++)
    if (n->in[i] != GIE_NONE && !r->any[i])
      add_layout(s, n->in[i], &r->in[i].form.layout);
  for (uint32_t i = 0; i < n->n_out; i++)
    if (!r->any[r->n_in + i])
      add_layout(s, n->out[i], &r->out[i].form.layout);
}

/* The value whose layout the others of a variant that takes any follow: the first operand that is no constant. */
static gie_id leader(const struct selection *s, const struct gie_node *n, const struct tune_raw *r)
{
  for (uint32_t i = 0; i < r->n_in; i++)
    if (r->any[i] && !is_const(s, n->in[i]) && rank_of(s, n->in[i]) == rank_of(s, n->out[0]))
      return n->in[i];
  return n->n_out && r->any[r->n_in] ? n->out[0] : GIE_NONE;
}

static bool spread(struct selection *s, gie_id from, gie_id to)
{
  bool changed = false;
  if (rank_of(s, from) == rank_of(s, to))
    for (uint32_t i = 0; i < s->layouts[from].n; i++)
      changed |= add_layout(s, to, &s->layouts[from].v[i]);
  return changed;
}

static bool spread_node(struct selection *s, const struct gie_node *n, const struct tune_raw *r)
{
  gie_id lead = leader(s, n, r);
  bool changed = false;
  if (lead == GIE_NONE)
    return false;
  for (uint32_t i = 0; i < r->n_in + n->n_out; i++) {
    gie_id v = i < r->n_in ? n->in[i] : n->out[i - r->n_in];
    if (!r->any[i] || v == lead || is_const(s, v))
      continue;
    changed |= spread(s, lead, v);
    changed |= spread(s, v, lead);
  }
  return changed;
}

static void find_layouts(struct selection *s)
{
  static const struct gie_layout plain;
  for (gie_id v = 0; v < gie_graph_n_values(s->g); v++)
    if (gie_value_get(s->g, v)->kind != GIE_VALUE_DEAD)
      add_layout(s, v, &plain);
  GIE_FOR_NODES(s->g, id)
    for (size_t i = 0; i < s->nodes[id].n_raws; i++)
      add_named(s, gie_node_get(s->g, id), &s->nodes[id].raws[i]);
  bool changed = true;
  for (int round = 0; changed && round < ROUNDS; round++) {
    changed = false;
    GIE_FOR_NODES(s->g, id)
      for (size_t i = 0; i < s->nodes[id].n_raws; i++)
        changed |= spread_node(s, gie_node_get(s->g, id), &s->nodes[id].raws[i]);
  }
}

/* ---- Expanding ------------------------------------------------------------------------------------ */

static gie_status add_alt(struct selection *s, struct tune_node *node, const struct tune_alt *alt)
{
  GIE_TRY(gie_grow(s->t->ctx, &node->alts, &node->cap_alts, node->n_alts + 1, sizeof *node->alts));
  node->alts[node->n_alts++] = *alt;
  return GIE_OK;
}

/* Ports of all of n's values: those of the variant with `layout` where it takes any, and for operands of
 * steps that it leaves over the form of the result. */
static struct tune_port *make_ports(struct selection *s, const struct gie_node *n, const struct tune_raw *r,
                                    const struct gie_layout *layout)
{
  static const struct gie_layout plain;
  struct tune_port *p = gie_arena_alloc(&s->mem, (size_t)n->n_in + n->n_out, sizeof *p);
  int rank = rank_of(s, n->out[0]);
  if (!p)
    return NULL;
  for (uint32_t i = 0; i < n->n_out; i++) {
    p[n->n_in + i] = r->out[i];
    if (r->any[r->n_in + i])
      p[n->n_in + i].form.layout = rank_of(s, n->out[i]) == rank ? *layout : plain;
  }
  for (uint32_t i = 0; i < r->n_in; i++) {
    p[i] = r->in[i];
    if (r->any[i])
      p[i].form.layout = !is_const(s, n->in[i]) && rank_of(s, n->in[i]) == rank ? *layout : plain;
  }
  for (uint32_t i = r->n_in; i < n->n_in; i++) {
    p[i].form.dtype = gie_value_get(s->g, n->in[i])->type.dtype;
    p[i].form.layout = !is_const(s, n->in[i]) && rank_of(s, n->in[i]) == rank ? p[n->n_in].form.layout
                                                                              : plain;
    p[i].pitch = true;
  }
  return p;
}

static void take_forms(const struct tune_port *ports, uint32_t n, struct tune_form *forms)
{
  for (uint32_t i = 0; i < n; i++)
    forms[i] = ports[i].form;
}

/* Sets for the steps from `first` on; *out stays NULL when some step has no candidate. */
static gie_status left_over(struct selection *s, const struct gie_node *n, uint32_t first,
                            const struct tune_port *ports, uint32_t **out)
{
  uint32_t *sets = gie_arena_alloc(&s->mem, n->n_steps - first, sizeof *sets);
  *out = NULL;
  if (!sets)
    return GIE_E_MEMORY;
  for (uint32_t i = first; i < n->n_steps; i++) {
    int32_t operand = n->steps[i].operand;
    gie_status st = tuner_step(s->t, s->g, n, i, &ports[n->n_in].form,
                               operand >= 0 ? &ports[operand].form : NULL, &sets[i - first]);
    if (st != GIE_OK)
      return st == GIE_E_MEMORY ? st : GIE_OK;
    if (s->t->sets[sets[i - first]].n == 0)
      return GIE_OK;
  }
  *out = sets;
  return GIE_OK;
}

static bool same_forms(const struct gie_node *n, const struct tune_port *a, const struct tune_port *b)
{
  for (uint32_t i = 0; i < n->n_in + n->n_out; i++)
    if (!tune_form_same(&a[i].form, &b[i].form))
      return false;
  return true;
}

/* The problem of the node, its epilogue cut, in the forms of these ports. Most variants share theirs with one before. */
static gie_status problem_of(struct selection *s, const struct tune_node *node, const struct gie_node *n,
                             uint32_t n_steps, const struct tune_port *ports, const struct tune_problem **out)
{
  struct tune_problem made;
  struct tune_form *forms;
  for (size_t i = node->n_alts; i-- > 0;) {
    const struct tune_alt *a = &node->alts[i];
    if (a->kind == ALT_KERNEL && a->n_steps == n_steps && same_forms(n, a->in, ports)) {
      *out = s->t->cands[a->cand].problem;
      return GIE_OK;
    }
  }
  if (!(forms = gie_arena_alloc(&s->mem, (size_t)n->n_in + n->n_out, sizeof *forms)))
    return GIE_E_MEMORY;
  take_forms(ports, n->n_in + n->n_out, forms);
  GIE_TRY(tune_problem_make_with(&s->t->consts, s->g, n, n_steps, forms, forms + n->n_in, &made));
  return tuner_problem(s->t, &made, out);
}

static gie_status expand_one(struct selection *s, struct tune_node *node, const struct gie_node *n,
                             const struct tune_raw *r, const struct gie_layout *layout)
{
  const struct tune_problem *problem;
  struct tune_alt alt = {.kind = ALT_KERNEL, .n_steps = r->n_steps, .n_rest = n->n_steps - r->n_steps};
  struct tune_port *ports = make_ports(s, n, r, layout);
  if (!ports)
    return GIE_E_MEMORY;
  if (alt.n_rest && n->n_out != 1)
    return GIE_OK;
  GIE_TRY(left_over(s, n, r->n_steps, ports, &alt.rest));
  if (alt.n_rest && !alt.rest)
    return GIE_OK;
  GIE_TRY(problem_of(s, node, n, r->n_steps, ports, &problem));
  GIE_TRY(tuner_cand(s->t, problem, r->kernel, r->config, r->label, r->estimate, &alt.cand));
  alt.in = ports;
  alt.out = ports + n->n_in;
  return add_alt(s, node, &alt);
}

static gie_status expand_raw(struct selection *s, struct tune_node *node, const struct gie_node *n,
                             const struct tune_raw *r)
{
  static const struct gie_layout plain;
  gie_id lead = leader(s, n, r);
  uint32_t n_layouts = lead == GIE_NONE ? 1 : s->layouts[lead].n;
  for (uint32_t i = 0; i < n_layouts; i++)
    GIE_TRY(expand_one(s, node, n, r, lead == GIE_NONE ? &plain : &s->layouts[lead].v[i]));
  return GIE_OK;
}

/* Ports of a node that does nothing: every value whose rank fits has that layout, and what is f32 the type `narrow`
 * (NONE: f32). */
static struct tune_port *idle_ports(struct selection *s, const struct gie_node *n,
                                    const struct gie_layout *layout, enum gie_dtype narrow)
{
  struct tune_port *p = gie_arena_alloc(&s->mem, (size_t)n->n_in + n->n_out, sizeof *p);
  int rank = rank_of(s, n->out[0]);
  for (uint32_t i = 0; p && i < n->n_in + n->n_out; i++) {
    gie_id v = i < n->n_in ? n->in[i] : n->out[i - n->n_in];
    if (v == GIE_NONE)
      continue;
    p[i].form = tune_plain_form(gie_value_get(s->g, v));
    if (layout && !is_const(s, v) && rank_of(s, v) == rank)
      p[i].form.layout = *layout;
    if (narrow != GIE_DTYPE_NONE && !is_const(s, v) && p[i].form.dtype == GIE_F32)
      p[i].form.dtype = narrow;
    p[i].pitch = true;
  }
  return p;
}

static gie_status add_idle_as(struct selection *s, struct tune_node *node, const struct gie_node *n,
                              enum tune_alt_kind kind, const struct gie_layout *layout, enum gie_dtype narrow)
{
  struct tune_alt alt = {.kind = kind, .cand = TUNE_NONE};
  struct tune_port *p = idle_ports(s, n, layout, narrow);
  if (!p)
    return GIE_E_MEMORY;
  if (kind == ALT_FREE) /* shares bytes only with what is dense */
    p[0].pitch = p[n->n_in].pitch = false;
  alt.in = p;
  alt.out = p + n->n_in;
  return add_alt(s, node, &alt);
}

static gie_status add_idle(struct selection *s, struct tune_node *node, const struct gie_node *n,
                           enum tune_alt_kind kind, const struct gie_layout *layout)
{
  enum gie_dtype narrow = select_narrow_dtype(s, n);
  GIE_TRY(add_idle_as(s, node, n, kind, layout, GIE_DTYPE_NONE));
  return narrow == GIE_DTYPE_NONE ? GIE_OK : add_idle_as(s, node, n, kind, layout, narrow);
}

/* Offsets that the layout can begin a range at. */
static bool layout_allows(const struct gie_layout *l, const struct gie_view *v, int64_t whole)
{
  if (l->block <= 1 || l->block_axis != v->axis)
    return true;
  return v->offset % l->block == 0 && (v->extent % l->block == 0 || v->offset + v->extent == whole);
}

/* The value in which a node leaves others when its views are kept: a concat's operands are ranges of its result, a split's
 * and slice's results ranges of their operand, or with it of what that is a range of. GIE_NONE when that is not how they
 * are. */
static gie_id view_group(const struct selection *s, const struct gie_node *n)
{
  bool concat = strcmp(n->op->name, "concat") == 0;
  gie_id base = concat ? n->out[0] : n->in[0];
  const gie_id *parts = concat ? n->in : n->out;
  uint32_t n_parts = concat ? n->n_operands : n->n_out;
  if (n->n_steps || (!concat && strcmp(n->op->name, "split") != 0 && strcmp(n->op->name, "slice") != 0))
    return GIE_NONE;
  if (is_const(s, base))
    return GIE_NONE;
  if (gie_value_get(s->g, base)->view.base != GIE_NONE)
    base = gie_value_get(s->g, base)->view.base;
  for (uint32_t i = 0; i < n_parts; i++)
    if (parts[i] == GIE_NONE || gie_value_get(s->g, parts[i])->view.base != base)
      return GIE_NONE;
  return base;
}

static gie_status add_views(struct selection *s, struct tune_node *node, const struct gie_node *n)
{
  bool concat = strcmp(n->op->name, "concat") == 0;
  gie_id base = view_group(s, n);
  const gie_id *parts = concat ? n->in : n->out;
  uint32_t n_parts = concat ? n->n_operands : n->n_out;
  if (base == GIE_NONE)
    return GIE_OK;
  node->view_of = base;
  for (uint32_t i = 0; i < s->layouts[base].n; i++) {
    const struct gie_layout *l = &s->layouts[base].v[i];
    bool fits = true;
    for (uint32_t k = 0; k < n_parts; k++) {
      const struct gie_view *v = &gie_value_get(s->g, parts[k])->view;
      fits &= layout_allows(l, v, gie_value_get(s->g, base)->type.shape.dim[v->axis].b);
    }
    if (fits)
      GIE_TRY(add_idle(s, node, n, ALT_VIEW, l));
  }
  return GIE_OK;
}

static bool renames(const struct gie_node *n)
{
  return n->n_steps == 0 && n->n_out == 1 && run_op_may_be_free(n->op->name) &&
         strcmp(n->op->name, "concat") != 0 && strcmp(n->op->name, "split") != 0 &&
         strcmp(n->op->name, "slice") != 0;
}

static gie_status expand_node(struct selection *s, gie_id id)
{
  struct tune_node *node = &s->nodes[id];
  const struct gie_node *n = gie_node_get(s->g, id);
  node->view_of = GIE_NONE;
  GIE_TRY(add_views(s, node, n));
  if (renames(n) && !is_const(s, n->in[0]) && gie_value_get(s->g, n->in[0])->view.base == GIE_NONE)
    GIE_TRY(add_idle(s, node, n, ALT_FREE, NULL));
  for (size_t i = 0; i < node->n_raws; i++)
    GIE_TRY(expand_raw(s, node, n, &node->raws[i]));
  return GIE_OK;
}

gie_status select_expand(struct selection *s)
{
  char label[128];
  find_layouts(s);
  GIE_FOR_NODES(s->g, id) {
    if (!s->nodes[id].open)
      continue;
    GIE_TRY(expand_node(s, id));
    if (s->nodes[id].n_alts == 0)
      return gie_fail(s->t->ctx, GIE_E_UNSUPPORTED,
                      "%s: no kernel on %s takes it (%s); load a module with one",
                      ir_node_label(gie_node_get(s->g, id), label, sizeof label), s->t->device.ops->kind,
                      *s->nodes[id].refusals ? s->nodes[id].refusals
                                             : "the backend rules leave none that could");
  }
  for (gie_id v = 0; v < gie_graph_n_values(s->g); v++)
    s->has_view[v] = gie_value_get(s->g, v)->kind != GIE_VALUE_DEAD && select_group(s, v) != GIE_NONE;
  return GIE_OK;
}
