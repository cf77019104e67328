/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: adding, removing, moving, and every change of operands, steps and attributes. Each entry
 * of node->in has a use in the list of the value it reads; only link_use/unlink_use change that. */
#include "core/ir/ir.h"

const struct gie_node *gie_node_get(const struct gie_graph *g, gie_id node)
{
  const struct ir_node *n = ir_node(g, node);
  return n ? &n->pub : NULL;
}

static gie_status live(const struct gie_graph *g, gie_id id, struct ir_node **out)
{
  *out = ir_node(g, id);
  return *out ? GIE_OK : gie_fail(g->ctx, GIE_E_GRAPH, "node %u does not exist", (unsigned)id);
}

const char *ir_node_label(const struct gie_node *n, char *buf, size_t size)
{
  snprintf(buf, size, "node %u \"%.200s\" (%.100s)", (unsigned)n->id, n->name, n->op->name);
  return buf;
}

/* ---- Uses ------------------------------------------------------------------------------------- */

static void link_use(struct ir_value *v, struct ir_use *u)
{
  u->next = NULL;
  u->prev = v->last_use;
  if (v->last_use)
    v->last_use->next = u;
  else
    v->first_use = u;
  v->last_use = u;
  v->pub.n_uses++;
}

static void unlink_use(struct ir_value *v, struct ir_use *u)
{
  *(u->prev ? &u->prev->next : &v->first_use) = u->next;
  *(u->next ? &u->next->prev : &v->last_use) = u->prev;
  u->prev = u->next = NULL;
  v->pub.n_uses--;
}

static gie_status readable(const struct gie_graph *g, gie_id value)
{
  const struct ir_value *v = ir_value(g, value);
  if (value != GIE_NONE && (!v || v->pub.kind == GIE_VALUE_DEAD))
    return gie_fail(g->ctx, GIE_E_GRAPH, "an operand names value %u, which does not exist", (unsigned)value);
  return GIE_OK;
}

static gie_status set_slot(struct gie_graph *g, struct ir_node *n, uint32_t slot, gie_id value)
{
  gie_id *in = (gie_id *)n->pub.in;
  GIE_TRY(readable(g, value));
  if (value != GIE_NONE && !n->uses[slot]) {
    if (!(n->uses[slot] = gie_arena_alloc(&g->arena, 1, sizeof(struct ir_use))))
      return GIE_E_MEMORY;
  } else if (n->uses[slot]) {
    unlink_use(g->values[in[slot]], n->uses[slot]);
  }
  in[slot] = value;
  if (value == GIE_NONE) {
    n->uses[slot] = NULL;
    return GIE_OK;
  }
  n->uses[slot]->node = n->pub.id;
  n->uses[slot]->slot = slot;
  link_use(g->values[value], n->uses[slot]);
  return GIE_OK;
}

static gie_status reserve_in(struct gie_graph *g, struct ir_node *n, uint32_t need)
{
  if (need <= n->in_cap)
    return GIE_OK;
  uint32_t cap = n->in_cap * 2 > need ? n->in_cap * 2 : need;
  gie_id *in = gie_arena_alloc(&g->arena, cap, sizeof *in);
  struct ir_use **uses = gie_arena_alloc(&g->arena, cap, sizeof *uses);
  if (!in || !uses)
    return GIE_E_MEMORY;
  if (n->pub.n_in) {
    memcpy(in, n->pub.in, n->pub.n_in * sizeof *in);
    memcpy(uses, n->uses, n->pub.n_in * sizeof(struct ir_use *));
  }
  n->pub.in = in;
  n->uses = uses;
  n->in_cap = cap;
  return GIE_OK;
}

gie_status ir_node_append_in(struct gie_graph *g, struct ir_node *n, uint32_t slot, gie_id value)
{
  GIE_TRY(readable(g, value));
  GIE_TRY(reserve_in(g, n, n->pub.n_in + 1));
  gie_id *in = (gie_id *)n->pub.in;
  memmove(&in[slot + 1], &in[slot], (n->pub.n_in - slot) * sizeof *in);
  memmove(&n->uses[slot + 1], &n->uses[slot], (n->pub.n_in - slot) * sizeof(struct ir_use *));
  in[slot] = GIE_NONE;
  n->uses[slot] = NULL;
  n->pub.n_in++;
  for (uint32_t i = slot + 1; i < n->pub.n_in; i++)
    if (n->uses[i])
      n->uses[i]->slot = i;
  for (uint32_t i = 0; i < n->pub.n_steps; i++) {
    struct gie_step *s = (struct gie_step *)&n->pub.steps[i];
    if (s->operand >= 0 && (uint32_t)s->operand >= slot)
      s->operand++;
  }
  return set_slot(g, n, slot, value);
}

/* ---- Adding ----------------------------------------------------------------------------------- */

gie_status ir_opaque_op(struct gie_graph *g, const char *name, const struct gie_op **out)
{
  for (size_t i = 0; i < g->n_opaque; i++)
    if (strcmp(g->opaque_ops[i]->name, name) == 0) {
      *out = g->opaque_ops[i];
      return GIE_OK;
    }
  GIE_TRY(gie_grow(g->ctx, &g->opaque_ops, &g->cap_opaque, g->n_opaque + 1, sizeof(struct gie_op *)));
  struct gie_op *op = gie_arena_alloc(&g->arena, 1, sizeof *op);
  if (!op || !(op->name = gie_arena_strdup(&g->arena, name)))
    return GIE_E_MEMORY;
  op->struct_size = sizeof *op;
  op->flags = GIE_OP_OPAQUE | GIE_OP_IMPURE;
  op->max_in = op->max_out = UINT16_MAX;
  op->help = "";
  *out = g->opaque_ops[g->n_opaque++] = op;
  return GIE_OK;
}

static void link_node(struct gie_graph *g, struct ir_node *n, gie_id before)
{
  gie_id after = before == GIE_NONE ? g->last : g->nodes[before]->pub.prev;
  n->pub.next = before;
  n->pub.prev = after;
  *(after == GIE_NONE ? &g->first : &g->nodes[after]->pub.next) = n->pub.id;
  *(before == GIE_NONE ? &g->last : &g->nodes[before]->pub.prev) = n->pub.id;
}

static void unlink_node(struct gie_graph *g, struct ir_node *n)
{
  *(n->pub.prev == GIE_NONE ? &g->first : &g->nodes[n->pub.prev]->pub.next) = n->pub.next;
  *(n->pub.next == GIE_NONE ? &g->last : &g->nodes[n->pub.next]->pub.prev) = n->pub.prev;
}

static gie_status add_results(struct gie_graph *g, struct ir_node *n, const struct gie_node_spec *spec)
{
  uint32_t count = spec->n_out ? spec->n_out : n->pub.op->min_out;
  gie_id *out = gie_arena_alloc(&g->arena, count, sizeof *out);
  if (!out)
    return GIE_E_MEMORY;
  n->pub.out = out;
  for (uint32_t i = 0; i < count; i++) {
    struct ir_value *v;
    GIE_TRY(ir_value_new(g, spec->out_names ? spec->out_names[i] : NULL, GIE_VALUE_RESULT, &v));
    v->pub.producer = n->pub.id;
    v->pub.out_index = i;
    if (spec->out_types)
      v->pub.type = spec->out_types[i];
    out[i] = v->pub.id;
    n->pub.n_out = i + 1;
  }
  return GIE_OK;
}

/* Everything that can fail after the node has its id; node_add undoes it. */
static gie_status fill_node(struct gie_graph *g, struct ir_node *n, const struct gie_node_spec *spec)
{
  struct gie_attrs attrs = {spec->n_attrs, spec->attrs};
  GIE_TRY(reserve_in(g, n, spec->n_in));
  for (uint32_t i = 0; i < spec->n_in; i++)
    GIE_TRY(ir_node_append_in(g, n, i, spec->in[i]));
  n->pub.n_operands = spec->n_in;
  GIE_TRY(ir_copy_attrs(g, &attrs, &n->pub.attrs));
  GIE_TRY(add_results(g, n, spec));
  n->pub.name = spec->name && *spec->name ? gie_arena_strdup(&g->arena, spec->name)
                : n->pub.n_out            ? g->values[n->pub.out[0]]->pub.name
                                          : gie_arena_strdup(&g->arena, n->pub.op->name);
  if (!n->pub.name)
    return GIE_E_MEMORY;
  GIE_TRY(ir_check_node(g, &n->pub));
  return spec->out_types ? ir_infer_declared(g, n) : ir_infer_node(g, n);
}

static void drop_node(struct gie_graph *g, struct ir_node *n)
{
  for (uint32_t i = 0; i < n->pub.n_in; i++)
    if (n->uses[i])
      unlink_use(g->values[n->pub.in[i]], n->uses[i]);
  for (uint32_t i = 0; i < n->pub.n_out; i++)
    ir_value_kill(g, g->values[n->pub.out[i]]);
  n->removed = true;
}

gie_status gie_node_add(struct gie_graph *g, const struct gie_node_spec *spec, gie_id *out)
{
  const struct gie_op *op = gie_op_find(g->ctx, spec->op);
  if (!op && !spec->opaque)
    return gie_fail(g->ctx, GIE_E_UNSUPPORTED, "unsupported op %s", spec->op);
  if (!op)
    GIE_TRY(ir_opaque_op(g, spec->op, &op));
  if (g->n_nodes >= 4 * GIE_MAX_NODES || g->live_nodes >= GIE_MAX_NODES)
    return gie_fail(g->ctx, GIE_E_LIMIT, "more than %u nodes", GIE_MAX_NODES);
  if (spec->name && strlen(spec->name) > GIE_MAX_NAME)
    return gie_fail(g->ctx, GIE_E_LIMIT, "a node's name has more than %d bytes", GIE_MAX_NAME);
  if (spec->before != GIE_NONE && !ir_node(g, spec->before))
    return gie_fail(g->ctx, GIE_E_GRAPH, "the node to insert before does not exist");
  GIE_TRY(gie_grow(g->ctx, &g->nodes, &g->cap_nodes, g->n_nodes + 1, sizeof(struct ir_node *)));
  struct ir_node *n = gie_arena_alloc(&g->arena, 1, sizeof *n);
  if (!n)
    return GIE_E_MEMORY;
  n->pub.id = (gie_id)g->n_nodes;
  n->pub.op = op;
  n->pub.name = "";
  g->nodes[g->n_nodes++] = n;
  gie_status s = fill_node(g, n, spec);
  if (s != GIE_OK) {
    drop_node(g, n);
    return s;
  }
  link_node(g, n, spec->before);
  g->live_nodes++;
  *out = n->pub.id;
  return GIE_OK;
}

gie_status gie_node_remove(struct gie_graph *g, gie_id node)
{
  struct ir_node *n;
  GIE_TRY(live(g, node, &n));
  for (uint32_t i = 0; i < n->pub.n_out; i++) {
    const struct ir_value *v = g->values[n->pub.out[i]];
    if (v->pub.n_uses || v->pub.n_outputs || v->n_views)
      return gie_fail(g->ctx, GIE_E_GRAPH, "result \"%s\" of node \"%s\" is still in use", v->pub.name,
                      n->pub.name);
  }
  unlink_node(g, n);
  drop_node(g, n);
  g->live_nodes--;
  return GIE_OK;
}

gie_status gie_node_move(struct gie_graph *g, gie_id node, gie_id before)
{
  struct ir_node *n, *b;
  GIE_TRY(live(g, node, &n));
  if (before != GIE_NONE)
    GIE_TRY(live(g, before, &b));
  if (before == node)
    return GIE_OK;
  unlink_node(g, n);
  link_node(g, n, before);
  return GIE_OK;
}

/* ---- Operands and captures -------------------------------------------------------------------- */

gie_status gie_node_infer(struct gie_graph *g, gie_id node)
{
  struct ir_node *n;
  GIE_TRY(live(g, node, &n));
  return ir_infer_node(g, n);
}

gie_status gie_node_set_input(struct gie_graph *g, gie_id node, uint32_t slot, gie_id value)
{
  struct ir_node *n;
  GIE_TRY(live(g, node, &n));
  if (slot >= n->pub.n_in)
    return gie_fail(g->ctx, GIE_E_GRAPH, "node \"%s\" has no operand slot %u", n->pub.name, (unsigned)slot);
  return set_slot(g, n, slot, value);
}

gie_status gie_node_add_operand(struct gie_graph *g, gie_id node, gie_id value)
{
  struct ir_node *n;
  GIE_TRY(live(g, node, &n));
  if (n->pub.n_operands >= n->pub.op->max_in)
    return gie_fail(g->ctx, GIE_E_GRAPH, "node \"%s\" (%s) takes at most %u operands", n->pub.name,
                    n->pub.op->name, (unsigned)n->pub.op->max_in);
  GIE_TRY(ir_node_append_in(g, n, n->pub.n_operands, value));
  n->pub.n_operands++;
  return GIE_OK;
}

gie_status gie_node_add_capture(struct gie_graph *g, gie_id node, gie_id value, uint32_t *slot)
{
  struct ir_node *n;
  GIE_TRY(live(g, node, &n));
  for (uint32_t i = n->pub.n_in - n->pub.n_captures; i < n->pub.n_in; i++)
    if (n->pub.in[i] == value) {
      *slot = i;
      return GIE_OK;
    }
  uint32_t at = n->pub.n_in;
  GIE_TRY(ir_node_append_in(g, n, at, value));
  n->pub.n_captures++;
  *slot = at;
  return GIE_OK;
}

/* ---- Steps ------------------------------------------------------------------------------------ */

gie_status gie_node_add_step(struct gie_graph *g, gie_id node, const char *op_name, gie_id operand,
                             bool reverse, const struct gie_attrs *attrs)
{
  struct ir_node *n;
  static const struct gie_attrs none;
  GIE_TRY(live(g, node, &n));
  const struct gie_op *op = gie_op_find(g->ctx, op_name);
  if (!op || !(op->flags & GIE_OP_POINTWISE))
    return gie_fail(g->ctx, GIE_E_GRAPH, "%s is no pointwise op and cannot be an epilogue step", op_name);
  if (!(n->pub.op->flags & GIE_OP_EPILOGUE))
    return gie_fail(g->ctx, GIE_E_GRAPH, "node \"%s\" (%s) cannot carry an epilogue", n->pub.name,
                    n->pub.op->name);
  if (n->pub.n_steps == n->step_cap) {
    uint32_t cap = n->step_cap ? n->step_cap * 2 : 4;
    struct gie_step *steps = gie_arena_alloc(&g->arena, cap, sizeof *steps);
    if (!steps)
      return GIE_E_MEMORY;
    if (n->pub.n_steps)
      memcpy(steps, n->pub.steps, n->pub.n_steps * sizeof *steps);
    n->pub.steps = steps;
    n->step_cap = cap;
  }
  struct gie_step step = {op, -1, reverse, none};
  GIE_TRY(ir_copy_attrs(g, attrs ? attrs : &none, &step.attrs));
  if (operand != GIE_NONE) {
    step.operand = (int32_t)(n->pub.n_in - n->pub.n_captures);
    GIE_TRY(ir_node_append_in(g, n, (uint32_t)step.operand, operand));
  }
  ((struct gie_step *)n->pub.steps)[n->pub.n_steps++] = step;
  gie_status s = ir_check_node(g, &n->pub);
  if (s == GIE_OK)
    s = ir_infer_node(g, n);
  if (s != GIE_OK)
    gie_node_cut_steps(g, node, n->pub.n_steps - 1);
  return s;
}

/* Takes entry `slot` out of node->in. */
static void remove_slot(struct gie_graph *g, struct ir_node *n, uint32_t slot)
{
  gie_id *in = (gie_id *)n->pub.in;
  if (n->uses[slot])
    unlink_use(g->values[in[slot]], n->uses[slot]);
  uint32_t behind = --n->pub.n_in - slot;
  memmove(&in[slot], &in[slot + 1], behind * sizeof *in);
  memmove(&n->uses[slot], &n->uses[slot + 1], behind * sizeof(struct ir_use *));
  for (uint32_t i = slot; i < n->pub.n_in; i++)
    if (n->uses[i])
      n->uses[i]->slot = i;
}

gie_status gie_node_cut_steps(struct gie_graph *g, gie_id node, uint32_t keep)
{
  struct ir_node *n;
  GIE_TRY(live(g, node, &n));
  /* Step operands stand in step order, so the last step's operand is the last before the captures. */
  while (n->pub.n_steps > keep) {
    const struct gie_step *s = &n->pub.steps[--n->pub.n_steps];
    if (s->operand >= 0)
      remove_slot(g, n, (uint32_t)s->operand);
  }
  return GIE_OK;
}

/* ---- Op, attributes, notes -------------------------------------------------------------------- */

gie_status gie_node_set_op(struct gie_graph *g, gie_id node, const char *op_name)
{
  struct ir_node *n;
  GIE_TRY(live(g, node, &n));
  const struct gie_op *op = gie_op_find(g->ctx, op_name), *old = n->pub.op;
  if (!op)
    return gie_fail(g->ctx, GIE_E_UNSUPPORTED, "unsupported op %s", op_name);
  n->pub.op = op;
  gie_status s = ir_check_node(g, &n->pub);
  if (s != GIE_OK)
    n->pub.op = old;
  return s;
}

static gie_status checked_attrs(struct gie_graph *g, struct ir_node *n, struct gie_attrs attrs)
{
  struct gie_attrs old = n->pub.attrs;
  n->pub.attrs = attrs;
  gie_status s = ir_check_node(g, &n->pub);
  if (s != GIE_OK)
    n->pub.attrs = old;
  return s;
}

gie_status gie_node_set_attr(struct gie_graph *g, gie_id node, const struct gie_attr *attr)
{
  struct ir_node *n;
  GIE_TRY(live(g, node, &n));
  struct gie_attrs attrs = n->pub.attrs;
  GIE_TRY(ir_attrs_set(g, &attrs, attr));
  return checked_attrs(g, n, attrs);
}

gie_status gie_node_unset_attr(struct gie_graph *g, gie_id node, const char *name)
{
  struct ir_node *n;
  GIE_TRY(live(g, node, &n));
  struct gie_attrs attrs = n->pub.attrs;
  GIE_TRY(ir_attrs_unset(g, &attrs, name));
  return checked_attrs(g, n, attrs);
}

gie_status gie_node_set_note(struct gie_graph *g, gie_id node, const struct gie_attr *attr)
{
  struct ir_node *n;
  GIE_TRY(live(g, node, &n));
  if (attr->kind == GIE_ATTR_STRING && attr->n == 0 && !*attr->u.s)
    return ir_attrs_unset(g, &n->pub.notes, attr->name);
  return ir_attrs_set(g, &n->pub.notes, attr);
}
