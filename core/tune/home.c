/* SPDX-License-Identifier: Apache-2.0 */
/* Values under a choice: which node has a value in a range of another one, where the value is at home, in which forms, and
 * what conversions that takes. */
#include "core/tune/select.h"
#include <math.h>

bool select_is_chosen(const struct selection *s, gie_id value)
{
  const struct gie_value *v = select_value(s, value);
  if (v->kind == GIE_VALUE_DEAD || v->kind == GIE_VALUE_CONST || !run_type_is_static(&v->type))
    return false;
  if (select_is_open(s, v->producer))
    return true;
  struct gie_use use = {.node = GIE_NONE};
  while (gie_value_next_use(s->g, value, &use))
    if (select_is_open(s, use.node))
      return true;
  return false;
}

/* A node that can leave values where they are in that base. */
static bool may_keep(const struct selection *s, gie_id node, gie_id base)
{
  return base != GIE_NONE && select_is_open(s, node) && s->nodes[node].view_of == base;
}

static bool is_concat(const struct selection *s, gie_id node)
{
  return strcmp(gie_node_get(s->g, node)->op->name, "concat") == 0;
}

gie_id select_group(const struct selection *s, gie_id value)
{
  const struct gie_value *v = select_value(s, value);
  if (v->view.base == GIE_NONE)
    return GIE_NONE;
  gie_id writer = select_value(s, v->view.base)->producer;
  bool own = may_keep(s, v->producer, v->view.base);
  if (own && !is_concat(s, v->producer))
    return v->producer;
  if (may_keep(s, writer, v->view.base) && writer != v->producer)
    return writer;
  return own ? v->producer : GIE_NONE;
}

bool select_keeps(const struct selection *s, gie_id value, gie_id reader)
{
  return may_keep(s, reader, select_value(s, value)->view.base);
}

bool select_is_inner(const struct selection *s, const struct gie_value *v, gie_id reader)
{
  return may_keep(s, reader, v->view.base) && is_concat(s, reader) &&
         may_keep(s, v->producer, v->view.base) && is_concat(s, v->producer);
}

bool select_is_part(const struct selection *s, const struct gie_value *v, gie_id reader)
{
  return may_keep(s, reader, v->view.base) && !is_concat(s, reader);
}

bool select_agree(const struct tune_alt *a, const struct tune_alt *b, int rank)
{
  bool x = a->kind == ALT_VIEW, y = b->kind == ALT_VIEW;
  return x == y && (!x || tune_form_equal(&a->out[0].form, &b->out[0].form, rank));
}

/* Bytes that the range's start in its base is sure to be aligned to. */
static uint32_t range_align(const struct selection *s, gie_id value, const struct tune_form *form)
{
  const struct gie_view *view = &select_value(s, value)->view;
  struct gie_type type = select_value(s, view->base)->type;
  struct gie_desc base, part;
  size_t offset;
  type.dtype = form->dtype;
  if (gie_desc_make(s->t->ctx, &type, &form->layout, &base, NULL) != GIE_OK ||
      gie_desc_view(s->t->ctx, &base, view->axis, view->offset, view->extent, &part, &offset) != GIE_OK)
    return 1;
  uint32_t a = RUN_ALIGN;
  while (a > 1 && offset % a)
    a /= 2;
  return a;
}

bool select_writes_range(const struct selection *s, gie_id value, const struct tune_port *port,
                         const struct tune_form *range)
{
  return tune_takes_range(port, select_value(s, value)->view.axis) &&
         tune_form_equal(&port->form, range, select_value(s, value)->type.shape.rank) &&
         port->align <= range_align(s, value, range);
}

bool select_reads_home(const struct tune_home *h, const struct tune_port *port, int rank)
{
  return tune_form_equal(&port->form, &h->from.form, rank) &&
         (!h->in_place || tune_takes_range(port, h->axis));
}

static struct tune_port source_port(const struct selection *s, gie_id value)
{
  const struct gie_value *v = select_value(s, value);
  struct tune_port plain = {.form = tune_plain_form(v), .pitch = true};
  return select_is_open(s, v->producer) ? select_chosen(s, v->producer)->out[v->out_index] : plain;
}

static void need(struct tune_home *h, const struct tune_form *f, int rank)
{
  for (uint32_t i = 0; i < h->n_forms; i++)
    if (tune_form_equal(&h->forms[i], f, rank))
      return;
  if (h->n_forms < sizeof h->forms / sizeof *h->forms)
    h->forms[h->n_forms++] = *f;
}

void select_home(const struct selection *s, gie_id value, struct tune_home *h)
{
  const struct gie_value *v = select_value(s, value);
  int rank = v->type.shape.rank;
  gie_id group = select_group(s, value);
  bool kept = group != GIE_NONE && select_chosen(s, group)->kind == ALT_VIEW;
  struct tune_port plain = {.form = tune_plain_form(v)};
  memset(h, 0, sizeof *h);
  h->from = source_port(s, value);
  h->axis = v->view.axis;
  if (kept && group == v->producer) {
    h->in_place = true;
    h->range = h->from.form;
  } else if (kept) {
    h->range = select_chosen(s, group)->out[0].form;
    h->in_place = select_writes_range(s, value, &h->from, &h->range);
    h->copied = !h->in_place;
    h->more = h->in_place ? h->from.more : 0;
  }
  struct gie_use use = {.node = GIE_NONE};
  while (gie_value_next_use(s->g, value, &use)) {
    bool open = select_is_open(s, use.node);
    if ((kept && select_keeps(s, value, use.node) && select_chosen(s, use.node)->kind == ALT_VIEW) ||
        !s->is_live[use.node])
      continue;
    const struct tune_port *port = open ? &select_chosen(s, use.node)->in[use.slot] : &plain;
    if (!select_reads_home(h, port, rank))
      need(h, &port->form, rank);
    else if (h->in_place)
      h->more += port->more;
  }
  if (v->n_outputs && !select_reads_home(h, &plain, rank))
    need(h, &plain.form, rank);
}

/* ---- Forms ------------------------------------------------------------------------------------------ */

static void add_form(const struct tune_form *f, struct tune_form *list, uint32_t *n, uint32_t max, int rank)
{
  for (uint32_t i = 0; i < *n; i++)
    if (tune_form_equal(&list[i], f, rank))
      return;
  if (*n < max)
    list[(*n)++] = *f;
}

void select_forms(const struct selection *s, gie_id value, struct tune_form *from, uint32_t *n_from,
                  struct tune_form *to, uint32_t *n_to, uint32_t max)
{
  const struct gie_value *v = select_value(s, value);
  struct tune_form plain = tune_plain_form(v);
  int rank = v->type.shape.rank;
  bool open = select_is_open(s, v->producer);
  for (size_t i = 0; open && i < s->nodes[v->producer].n_alts; i++)
    if (!s->nodes[v->producer].alts[i].pruned)
      add_form(&s->nodes[v->producer].alts[i].out[v->out_index].form, from, n_from, max, rank);
  if (!open)
    add_form(&plain, from, n_from, max, rank);
  if (v->n_outputs)
    add_form(&plain, to, n_to, max, rank);
  struct gie_use use = {.node = GIE_NONE};
  while (gie_value_next_use(s->g, value, &use)) {
    const struct tune_node *r = &s->nodes[use.node];
    for (size_t i = 0; r->open && i < r->n_alts; i++)
      if (!r->alts[i].pruned)
        add_form(&r->alts[i].in[use.slot].form, to, n_to, max, rank);
    if (!r->open)
      add_form(&plain, to, n_to, max, rank);
  }
}

double select_conversion(struct selection *s, const struct gie_value *v, const struct tune_form *from,
                         const struct tune_form *to)
{
  uint32_t set;
  if (tuner_conversion(s->t, &v->type, from, to, &set) != GIE_OK)
    return INFINITY;
  return tuner_set_seconds(s->t, set);
}

gie_status select_home_conversion(struct selection *s, gie_id value, const struct tune_home *h, uint32_t i,
                                  uint32_t *set)
{
  return tuner_conversion(s->t, &select_value(s, value)->type, &h->from.form,
                          i < h->n_forms ? &h->forms[i] : &h->range, set);
}
