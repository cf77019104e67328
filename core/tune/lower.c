/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the choice into a copy of the graph: what was decided becomes nodes and notes that the executor follows
 * without knowing of any choice.
 *
 *   kernel, config   notes on every node that a candidate runs
 *   epilogue cut     the steps left over become nodes behind it
 *   conversions      reorder and cast nodes behind the maker of a value, one per form that readers need
 *   views            kept where the maker writes into the range, taken away elsewhere; a maker that cannot is
 *                    followed by a reorder into the range
 *   constants        copies in the layout or dtype that a reader wants */
#include "core/pass/form.h"
#include "core/tune/select.h"

struct lowering {
  struct selection *s;
  struct gie_graph *h; /* the copy; ids below the original's counts mean the same */
  gie_id *at;          /* by original value: the one in h that its maker (steps included) writes */
  gie_id **rest;       /* by original node: the nodes in h of the steps left over, or NULL */
};

/* ---- Notes ------------------------------------------------------------------------------------------ */

static gie_status note_kernel(struct lowering *l, gie_id node, const struct gie_kernel *k, uint64_t config)
{
  struct gie_attr name = {.name = "kernel",
                          .kind = GIE_ATTR_STRING,
                          .n = (uint32_t)strlen(k->name),
                          .u.s = k->name};
  struct gie_attr number = {.name = "config", .kind = GIE_ATTR_INT, .u.i = (int64_t)config};
  GIE_TRY(gie_node_set_note(l->h, node, &name));
  return gie_node_set_note(l->h, node, &number);
}

static gie_status note_candidate(struct lowering *l, gie_id node, uint32_t cand)
{
  const struct tune_cand *c = &l->s->t->cands[cand];
  return note_kernel(l, node, c->kernel, c->config);
}

static gie_status note_set(struct lowering *l, gie_id node, uint32_t set)
{
  uint32_t best = l->s->t->sets[set].best;
  return best == TUNE_NONE ? GIE_OK : note_candidate(l, node, best);
}

/* ---- New values ------------------------------------------------------------------------------------- */

static struct form as_form(const struct tune_form *f)
{
  return (struct form){.dtype = f->dtype, .layout = f->layout};
}

/* A reorder or cast of value `from` in h to a form. Candidates are timed on whole tensors: with a range at either end
 * the kernel is left to the executor, which knows who takes one. */
static gie_status convert(struct lowering *l, gie_id from, const struct tune_form *form, bool is_range,
                          gie_id *out)
{
  const struct gie_value *v = gie_value_get(l->h, from);
  struct tune_form source = {.dtype = v->type.dtype, .layout = v->layout};
  struct form to = as_form(form);
  uint32_t set;
  GIE_TRY(tuner_conversion(l->s->t, &v->type, &source, form, &set));
  GIE_TRY(form_convert(l->h, from, &to, out));
  return is_range ? GIE_OK : note_set(l, gie_value_get(l->h, *out)->producer, set);
}

/* A constant in another form; converted bytes are shared with everything that has them in that dtype. */
static gie_status convert_const(struct lowering *l, gie_id value, const struct tune_form *form, gie_id *out)
{
  const struct gie_value *v = gie_value_get(l->h, value);
  struct form to = as_form(form);
  struct gie_blob *blob = NULL;
  if (form->dtype != v->type.dtype)
    GIE_TRY(tune_consts_get(&l->s->t->consts, l->h, v, form->dtype, &blob));
  gie_status st = form_const(l->h, value, &to, blob, out);
  gie_blob_unref(blob);
  return st;
}

/* ---- Forms of what nodes make ----------------------------------------------------------------------- */

static gie_status drop_view(struct gie_graph *h, gie_id value)
{
  static const struct gie_view none = {.base = GIE_NONE};
  return gie_value_get(h, value)->view.base == GIE_NONE ? GIE_OK : gie_value_set_view(h, value, &none);
}

/* The step as a node of its own on value x; its result takes x's form. A cast makes the type of that, as it was
 * measured (problem.c): who wants another one has a conversion. */
static gie_status add_step(struct lowering *l, const struct gie_node *n, uint32_t step, uint32_t set,
                           gie_id x, gie_id operand, gie_id before, gie_id *out)
{
  const struct gie_step *s = &n->steps[step];
  const struct gie_value *v = gie_value_get(l->h, x);
  struct gie_node_spec spec = GIE_NODE_SPEC(s->op->name);
  struct gie_attr to = {.name = "to",
                        .kind = GIE_ATTR_DTYPE,
                        .u.i = select_chosen(l->s, n->id)->out[0].form.dtype};
  bool is_cast = strcmp(s->op->name, "cast") == 0;
  gie_id in[2] = {s->reverse ? operand : x, s->reverse ? x : operand}, node;
  spec.n_in = s->operand >= 0 ? 2 : 1;
  spec.in = s->operand >= 0 ? in : &x;
  spec.n_attrs = is_cast ? 1 : s->attrs.n;
  spec.attrs = is_cast ? &to : s->attrs.v;
  spec.before = before;
  GIE_TRY(gie_node_add(l->h, &spec, &node));
  *out = gie_node_get(l->h, node)->out[0];
  GIE_TRY(gie_value_set_layout(l->h, *out, &v->layout));
  return note_set(l, node, set);
}

/* Every reader of `from` reads `to` instead, outputs and name included, but for node `keep`. */
static gie_status take_over(struct lowering *l, gie_id from, gie_id to, gie_id keep)
{
  struct gie_graph *h = l->h;
  const struct gie_value *v = gie_value_get(h, from);
  const char *name = gie_arena_strdup(&l->s->mem, v->name);
  size_t n = v->n_uses;
  struct gie_use *uses = gie_arena_alloc(&l->s->mem, n, sizeof *uses);
  struct gie_use use = {.node = GIE_NONE};
  if (!name || !uses)
    return GIE_E_MEMORY;
  n = 0;
  while (gie_value_next_use(h, from, &use))
    uses[n++] = use;
  for (size_t i = 0; i < n; i++)
    if (uses[i].node != keep)
      GIE_TRY(gie_node_set_input(h, uses[i].node, uses[i].slot, to));
  for (uint32_t i = 0; i < gie_graph_n_outputs(h); i++)
    if (gie_graph_output(h, i) == from)
      GIE_TRY(gie_graph_set_output(h, i, to));
  char buf[GIE_MAX_NAME + 1], fresh[64];
  const char *inner = form_name(h, name, "part", buf);
  snprintf(fresh, sizeof fresh, "part%u.%u", (unsigned)from, (unsigned)to);
  GIE_TRY(gie_value_rename(h, from, inner ? inner : fresh));
  return gie_value_rename(h, to, name);
}

/* Cuts the epilogue after the steps that the candidate fuses. */
static gie_status cut(struct lowering *l, gie_id id, const struct tune_alt *a)
{
  const struct gie_node *orig = gie_node_get(l->s->g, id);
  gie_id v = orig->out[0], x = v;
  if (a->n_rest == 0)
    return GIE_OK;
  gie_id *operands = gie_arena_alloc(&l->s->mem, a->n_rest, sizeof *operands);
  struct gie_view view = gie_value_get(l->h, v)->view;
  if (!operands)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < a->n_rest; i++) {
    int32_t slot = orig->steps[a->n_steps + i].operand;
    operands[i] = slot >= 0 ? gie_node_get(l->h, id)->in[slot] : GIE_NONE; /* set by its own maker already */
  }
  GIE_TRY(drop_view(l->h, v));
  GIE_TRY(gie_node_cut_steps(l->h, id, a->n_steps));
  gie_id before = gie_node_get(l->h, id)->next;
  for (uint32_t i = 0; i < a->n_rest; i++) {
    GIE_TRY(add_step(l, orig, a->n_steps + i, a->rest[i], x, operands[i], before, &x));
    operands[i] = gie_value_get(l->h, x)->producer;
  }
  l->rest[id] = operands; /* from here on the nodes */
  GIE_TRY(take_over(l, v, x, operands[0]));
  if (view.base != GIE_NONE)
    GIE_TRY(gie_value_set_view(l->h, x, &view));
  l->at[v] = x;
  return GIE_OK;
}

/* ---- Values ------------------------------------------------------------------------------------------ */

/* Stores the value in its range by a copy, for the concat that has it there. */
static gie_status copy_to_range(struct lowering *l, gie_id value, const struct tune_home *home, gie_id *out)
{
  gie_id made = l->at[value];
  struct gie_view view = gie_value_get(l->s->g, value)->view;
  GIE_TRY(drop_view(l->h, made));
  GIE_TRY(convert(l, made, &home->range, true, out));
  view.base = l->at[view.base];
  return gie_value_set_view(l->h, *out, &view);
}

/* Which of the value's copies a reader with that port takes. */
static gie_id pick(const struct tune_home *h, const struct tune_port *port, int rank, gie_id made,
                   const gie_id *copies)
{
  if (select_reads_home(h, port, rank))
    return made;
  for (uint32_t i = 0; i < h->n_forms; i++)
    if (tune_form_equal(&h->forms[i], &port->form, rank))
      return copies[i];
  return made;
}

/* Makes operand `slot` of an original node read `to`, wherever that operand is now. */
static gie_status set_reader(struct lowering *l, const struct gie_use *use, gie_id to)
{
  const struct gie_node *orig = gie_node_get(l->s->g, use->node);
  gie_id node = use->node;
  uint32_t slot = use->slot;
  for (uint32_t i = 0; l->rest[use->node] && i < orig->n_steps; i++) {
    uint32_t fused = select_chosen(l->s, use->node)->n_steps;
    if (i >= fused && orig->steps[i].operand == (int32_t)use->slot) {
      node = l->rest[use->node][i - fused];
      slot = orig->steps[i].reverse ? 0 : 1;
    }
  }
  return gie_node_get(l->h, node)->in[slot] == to ? GIE_OK : gie_node_set_input(l->h, node, slot, to);
}

static gie_status place(struct lowering *l, gie_id value)
{
  const struct selection *s = l->s;
  const struct gie_value *v = gie_value_get(s->g, value);
  struct tune_home home;
  struct tune_port plain = {.form = tune_plain_form(v)};
  gie_id copies[sizeof home.forms / sizeof *home.forms], range = GIE_NONE;
  int rank = v->type.shape.rank;
  if (!select_is_chosen(s, value))
    return GIE_OK;
  select_home(s, value, &home);
  gie_id made = l->at[value];
  if (home.copied)
    GIE_TRY(copy_to_range(l, value, &home, &range));
  else if (!home.in_place)
    GIE_TRY(drop_view(l->h, made));
  for (uint32_t i = 0; i < home.n_forms; i++)
    GIE_TRY(convert(l, made, &home.forms[i], home.in_place, &copies[i]));
  struct gie_use use = {.node = GIE_NONE};
  while (gie_value_next_use(s->g, value, &use)) {
    bool open = s->nodes[use.node].open;
    if (!s->is_live[use.node])
      continue;
    gie_id to;
    if (select_keeps(s, value, use.node) && select_chosen(s, use.node)->kind == ALT_VIEW)
      to = range != GIE_NONE ? range : made;
    else
      to = pick(&home, open ? &select_chosen(s, use.node)->in[use.slot] : &plain, rank, made, copies);
    GIE_TRY(set_reader(l, &use, to));
  }
  gie_id shown = v->n_outputs ? pick(&home, &plain, rank, made, copies) : made;
  return shown == made ? GIE_OK : form_output(l->h, made, shown, "raw");
}

static gie_status place_consts(struct lowering *l, gie_id id)
{
  const struct gie_node *n = gie_node_get(l->s->g, id);
  const struct tune_alt *a = select_chosen(l->s, id);
  for (uint32_t i = 0; i < n->n_in; i++) {
    const struct gie_value *v = gie_value_get(l->s->g, n->in[i]);
    gie_id made;
    if (!v || v->kind != GIE_VALUE_CONST)
      continue;
    struct tune_form plain = tune_plain_form(v);
    if (tune_form_equal(&a->in[i].form, &plain, v->type.shape.rank))
      continue;
    GIE_TRY(convert_const(l, n->in[i], &a->in[i].form, &made));
    GIE_TRY(gie_node_set_input(l->h, id, i, made));
  }
  return GIE_OK;
}

/* ---- All of it --------------------------------------------------------------------------------------- */

/* Layouts of bases go before those of their ranges: first every form, views put back afterwards. */
static gie_status set_forms(struct lowering *l)
{
  const struct selection *s = l->s;
  GIE_FOR_NODES(s->g, id)
    for (uint32_t i = 0; s->nodes[id].open && i < gie_node_get(s->g, id)->n_out; i++) {
      struct form f = as_form(&select_chosen(s, id)->out[i].form);
      GIE_TRY(form_set(l->h, gie_node_get(s->g, id)->out[i], &f));
    }
  return GIE_OK;
}

static gie_status lower_node(struct lowering *l, gie_id id)
{
  const struct tune_fixed *fixed = &l->s->nodes[id].fixed;
  if (!l->s->nodes[id].open)
    return fixed->kernel ? note_kernel(l, id, fixed->kernel, fixed->config) : GIE_OK;
  const struct tune_alt *a = select_chosen(l->s, id);
  GIE_TRY(place_consts(l, id));
  GIE_TRY(cut(l, id, a));
  return a->kind == ALT_KERNEL ? note_candidate(l, id, a->cand) : GIE_OK;
}

/* The results of a kept split or slice are ranges of whatever it now reads. */
static gie_status rebase(struct lowering *l, gie_id id)
{
  const struct gie_node *n = gie_node_get(l->h, id), *orig = gie_node_get(l->s->g, id);
  if (select_chosen(l->s, id)->kind != ALT_VIEW || l->s->nodes[id].view_of != orig->in[0])
    return GIE_OK;
  for (uint32_t i = 0; i < n->n_out; i++) {
    struct gie_view view = gie_value_get(l->h, n->out[i])->view;
    if (view.base == GIE_NONE || view.base == n->in[0])
      continue;
    view.base = n->in[0];
    GIE_TRY(gie_value_set_view(l->h, n->out[i], &view));
  }
  return GIE_OK;
}

static gie_status lower(struct lowering *l)
{
  const struct selection *s = l->s;
  GIE_TRY(set_forms(l));
  GIE_FOR_NODES(s->g, id)
    GIE_TRY(lower_node(l, id));
  for (gie_id v = 0; v < gie_graph_n_values(s->g); v++)
    GIE_TRY(place(l, v));
  GIE_FOR_NODES(s->g, id)
    if (s->nodes[id].open)
      GIE_TRY(rebase(l, id));
  GIE_TRY(gie_graph_infer(l->h));
  return gie_graph_verify(l->h);
}

gie_status select_lower(struct selection *s, struct gie_graph **out)
{
  struct lowering l = {.s = s};
  uint32_t n = gie_graph_n_values(s->g);
  l.at = gie_arena_alloc(&s->mem, n, sizeof *l.at);
  l.rest = gie_arena_alloc(&s->mem, gie_graph_n_nodes(s->g), sizeof *l.rest);
  if (!l.at || !l.rest)
    return GIE_E_MEMORY;
  for (gie_id v = 0; v < n; v++)
    l.at[v] = v;
  GIE_TRY(gie_graph_clone(s->g, &l.h));
  gie_status st = lower(&l);
  if (st != GIE_OK) {
    gie_graph_free(l.h);
    return gie_error_prefix(s->t->ctx, st, "writing the choice into the graph");
  }
  *out = l.h;
  return GIE_OK;
}
