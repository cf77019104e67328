/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that compute the same from the same operands become one, the first.
 *
 *     %a = relu(%x)                 %a = relu(%x)
 *     %b = relu(%x)          ->     %y = add(%a, %a)
 *     %y = add(%a, %b)
 *
 * The operands of commutative ops may be in either order. Equal constants are made one value by
 * eliminate_duplicate_initializer, which is best run before.
 *
 * Does not fire: impure and opaque nodes, nodes with bodies, views and quantized values. Of two
 * results that are both graph outputs each keeps its node. */
#include "passes/same.h"

struct slot {
  uint64_t hash;
  gie_id node; /* GIE_NONE: free */
};

/* ---- Comparing ---------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t h, uint64_t v)
{
  h = (h ^ v) * 0x9e3779b97f4a7c15;
  return h ^ h >> 29;
}

static uint64_t mix_text(uint64_t h, const char *s)
{
  for (; *s; s++)
    h = mix(h, (unsigned char)*s);
  return h;
}

/* Attributes in any order. Collisions cost a comparison, so values of arrays are left out. */
static uint64_t hash_attrs(const struct gie_attrs *attrs)
{
  uint64_t sum = 0;
  for (uint32_t i = 0; i < attrs->n; i++) {
    const struct gie_attr *a = &attrs->v[i];
    uint64_t h = mix_text(mix(a->n, a->kind), a->name);
    sum += a->kind == GIE_ATTR_INT || a->kind == GIE_ATTR_DTYPE ? mix(h, (uint64_t)a->u.i) : h;
  }
  return sum;
}

static bool is_commutative(const struct gie_node *n)
{
  return (n->op->flags & GIE_OP_COMMUTATIVE) && n->n_operands == 2;
}

static uint64_t hash_node(const struct gie_node *n)
{
  uint64_t h = mix_text(n->n_operands, n->op->name), operands = 0;
  for (uint32_t i = 0; i < n->n_in; i++)
    operands += mix(i >= 2 || !is_commutative(n) ? i + 1 : 1, n->in[i]);
  h = mix(mix(h, operands), hash_attrs(&n->attrs));
  for (uint32_t i = 0; i < n->n_steps; i++)
    h = mix(mix_text(h, n->steps[i].op->name), hash_attrs(&n->steps[i].attrs));
  return mix(h, n->n_out);
}

static bool same_operands(const struct gie_node *a, const struct gie_node *b)
{
  uint32_t from = 0;
  if (is_commutative(a) && a->in[0] == b->in[1] && a->in[1] == b->in[0])
    from = 2;
  for (uint32_t i = from; i < a->n_in; i++)
    if (a->in[i] != b->in[i])
      return false;
  return true;
}

static bool same_steps(const struct gie_node *a, const struct gie_node *b)
{
  for (uint32_t i = 0; i < a->n_steps; i++) {
    const struct gie_step *s = &a->steps[i], *t = &b->steps[i];
    if (s->op != t->op || s->operand != t->operand || s->reverse != t->reverse ||
        !pass_same_attrs(&s->attrs, &t->attrs))
      return false;
  }
  return true;
}

/* Types are inferred from the same operands, but one may have been declared more exactly. */
static bool same_results(const struct gie_graph *g, const struct gie_node *a, const struct gie_node *b)
{
  for (uint32_t i = 0; i < a->n_out; i++) {
    const struct gie_type *s = &gie_value_get(g, a->out[i])->type, *t = &gie_value_get(g, b->out[i])->type;
    if (s->dtype != t->dtype || s->shape.rank != t->shape.rank)
      return false;
    for (int k = 0; k < s->shape.rank; k++)
      if (!gie_dim_equal(s->shape.dim[k], t->shape.dim[k]) &&
          (gie_dim_is_known(s->shape.dim[k]) || gie_dim_is_known(t->shape.dim[k])))
        return false;
  }
  return true;
}

static bool same(const struct gie_graph *g, const struct gie_node *a, const struct gie_node *b)
{
  return a->op == b->op && a->n_operands == b->n_operands && a->n_in == b->n_in && a->n_out == b->n_out &&
         a->n_steps == b->n_steps && same_operands(a, b) && pass_same_attrs(&a->attrs, &b->attrs) &&
         same_steps(a, b) && same_results(g, a, b);
}

/* ---- Pass --------------------------------------------------------------------------------------- */

static bool match(const struct gie_graph *g, const struct gie_node *n)
{
  if ((n->op->flags & (GIE_OP_IMPURE | GIE_OP_OPAQUE)) || n->n_captures || n->n_out == 0)
    return false;
  for (uint32_t i = 0; i < n->n_out; i++)
    if (!pass_is_plain(gie_value_get(g, n->out[i])))
      return false;
  return true;
}

static struct slot *find(const struct gie_graph *g, struct slot *table, size_t mask, const struct gie_node *n,
                         uint64_t hash)
{
  size_t i = (size_t)hash & mask;
  while (table[i].node != GIE_NONE && (table[i].hash != hash || !same(g, gie_node_get(g, table[i].node), n)))
    i = (i + 1) & mask;
  return &table[i];
}

/* Readers of n's results read those of `first`. */
static gie_status rewrite(struct gie_graph *g, const struct gie_node *n, const struct gie_node *first,
                          uint32_t *changes)
{
  bool changed = false;
  for (uint32_t i = 0; i < n->n_out; i++) {
    const struct gie_value *from = gie_value_get(g, n->out[i]), *to = gie_value_get(g, first->out[i]);
    bool keeps_name = from->n_outputs && to->n_outputs;
    if (!from->n_uses && (!from->n_outputs || keeps_name))
      continue;
    GIE_TRY(keeps_name ? pass_redirect(g, from->id, to->id) : gie_value_replace(g, from->id, to->id));
    changed = true;
  }
  *changes += changed;
  return changed && pass_is_unused(g, n) ? gie_node_remove(g, n->id) : GIE_OK;
}

static gie_status merge(struct gie_graph *g, struct slot *table, size_t mask, uint32_t *changes)
{
  for (gie_id id = gie_graph_first(g), next; id != GIE_NONE; id = next) {
    const struct gie_node *n = gie_node_get(g, id);
    next = n->next;
    if (!match(g, n))
      continue;
    uint64_t hash = hash_node(n);
    struct slot *slot = find(g, table, mask, n, hash);
    if (slot->node == GIE_NONE)
      *slot = (struct slot){hash, id};
    else
      GIE_TRY(rewrite(g, n, gie_node_get(g, slot->node), changes));
  }
  return GIE_OK;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  size_t size = 16;
  while (size < 2 * (size_t)gie_graph_count_nodes(g))
    size *= 2;
  struct slot *table = gie_alloc(pc->ctx, size, sizeof *table);
  if (!table)
    return GIE_E_MEMORY;
  for (size_t i = 0; i < size; i++)
    table[i].node = GIE_NONE;
  gie_status s = merge(g, table, size - 1, changes);
  gie_free(pc->ctx, table);
  return s;
}

const struct gie_pass gie_pass_eliminate_common_subexpression = {
    sizeof(struct gie_pass), "eliminate_common_subexpression",
    "makes nodes that compute the same from the same operands one; not impure or opaque ones", run, NULL};
