/* SPDX-License-Identifier: Apache-2.0 */
/* What several passes need: when two types are certainly the same, taking a node out of a graph
 * without losing an output's name, and floats of constants of any width. */
#ifndef GIE_PASSES_UTIL_H
#define GIE_PASSES_UTIL_H

#include "core/base/base.h"
#include "core/ir/ir.h"
#include <gie/module.h>

/* Certainly of 0 elements. */
static inline bool pass_is_empty(const struct gie_shape *s)
{
  for (int i = 0; i < s->rank; i++)
    if (gie_dim_is_num(s->dim[i]) && s->dim[i].b == 0)
      return true;
  return false;
}

/* Known and certainly equal: dtype, rank and every dim, whatever the symbols stand for. */
static inline bool pass_same_type(const struct gie_type *a, const struct gie_type *b)
{
  if (a->dtype == GIE_DTYPE_NONE || a->dtype != b->dtype || a->shape.rank < 0 ||
      a->shape.rank != b->shape.rank)
    return false;
  for (int i = 0; i < a->shape.rank; i++)
    if (!gie_dim_equal(a->shape.dim[i], b->shape.dim[i]))
      return false;
  return true;
}

/* Neither a view nor quantized, and in row-major order: nothing that replacing the value would lose. */
static inline bool pass_is_plain(const struct gie_value *v)
{
  static const struct gie_layout plain = {0};
  return v->view.base == GIE_NONE && v->quant.n == 0 &&
         gie_layout_equal(&v->layout, &plain, v->type.shape.rank);
}

/* The only reader of `value`, when it is read once and is no graph output; else NULL. */
static inline const struct gie_node *pass_only_reader(const struct gie_graph *g, gie_id value)
{
  const struct gie_value *v = gie_value_get(g, value);
  struct gie_use use = {GIE_NONE, 0};
  if (v->n_uses != 1 || v->n_outputs || !gie_value_next_use(g, value, &use))
    return NULL;
  return gie_node_get(g, use.node);
}

/* Makes every operand slot that reads `from` read `to`; graph outputs stay. */
static inline gie_status pass_redirect(struct gie_graph *g, gie_id from, gie_id to)
{
  struct gie_context *ctx = gie_graph_context(g);
  uint32_t n = gie_value_get(g, from)->n_uses, count = 0;
  struct gie_use *uses = gie_alloc(ctx, n, sizeof *uses), use = {GIE_NONE, 0};
  gie_status s = uses ? GIE_OK : GIE_E_MEMORY;
  while (uses && count < n && gie_value_next_use(g, from, &use))
    uses[count++] = use;
  for (uint32_t i = 0; s == GIE_OK && i < count; i++)
    s = gie_node_set_input(g, uses[i].node, uses[i].slot, to);
  gie_free(ctx, uses);
  return s;
}

/* Other values lie in it. */
static inline bool pass_holds_views(const struct gie_graph *g, gie_id value)
{
  return ir_value(g, value)->n_views > 0;
}

/* Nothing reads any result of the node, or lies in one. */
static inline bool pass_is_unused(const struct gie_graph *g, const struct gie_node *n)
{
  for (uint32_t i = 0; i < n->n_out; i++) {
    const struct gie_value *v = gie_value_get(g, n->out[i]);
    if (v->n_uses || v->n_outputs || pass_holds_views(g, v->id))
      return false;
  }
  return true;
}

/* Result 0 of the node is known to equal `to`: lets its readers read `to` and removes the node when
 * nothing is left. A graph output keeps its name: it moves only to a result that is no output yet,
 * else the node stays behind it. */
static inline gie_status pass_bypass(struct gie_graph *g, gie_id node, gie_id to, uint32_t *changes)
{
  const struct gie_node *n = gie_node_get(g, node);
  const struct gie_value *from = gie_value_get(g, n->out[0]), *v = gie_value_get(g, to);
  if (!from->n_uses && !from->n_outputs)
    return GIE_OK; /* dead, or alive for its other results */
  if (!pass_same_type(&from->type, &v->type) || !pass_is_plain(from) || !pass_is_plain(v))
    return GIE_OK;
  if (!from->n_outputs || (v->kind == GIE_VALUE_RESULT && !v->n_outputs)) {
    GIE_TRY(gie_value_replace(g, from->id, to));
  } else if (from->n_uses) {
    GIE_TRY(pass_redirect(g, from->id, to));
  } else {
    return GIE_OK;
  }
  ++*changes;
  return pass_is_unused(g, n) ? gie_node_remove(g, node) : GIE_OK;
}

/* Runs `match` on every node; where it finds the operand that equals result 0, the node goes. */
static inline gie_status pass_eliminate(struct gie_graph *g, uint32_t *changes,
                                        bool (*match)(const struct gie_graph *g, const struct gie_node *n,
                                                      gie_id *to))
{
  for (gie_id id = gie_graph_first(g), next; id != GIE_NONE; id = next) {
    const struct gie_node *n = gie_node_get(g, id);
    gie_id to = GIE_NONE;
    next = n->next;
    if (n->n_steps == 0 && n->n_operands > 0 && n->n_out > 0 && match(g, n, &to))
      GIE_TRY(pass_bypass(g, id, to, changes));
  }
  return GIE_OK;
}

/* ---- Floats of any width */

static inline double pass_load(enum gie_dtype t, const void *p, size_t i)
{
  double d;
  float f;
  uint16_t h;
  if (t == GIE_F64) {
    memcpy(&d, (const char *)p + 8 * i, sizeof d);
    return d;
  }
  if (t == GIE_F32) {
    memcpy(&f, (const char *)p + 4 * i, sizeof f);
    return f;
  }
  memcpy(&h, (const char *)p + 2 * i, sizeof h);
  return t == GIE_F16 ? gie_f16_to_f32(h) : gie_bf16_to_f32(h);
}

/* The least number that is not subnormal. */
static inline double pass_smallest(enum gie_dtype t)
{
  return t == GIE_F64 ? 2.2250738585072014e-308 : t == GIE_F16 ? 6.103515625e-05 : 1.1754943508222875e-38;
}

/* False when a finite value does not fit the type. */
static inline bool pass_store(enum gie_dtype t, void *p, size_t i, double v)
{
  float f = (float)v;
  if (t == GIE_F64) {
    memcpy((char *)p + 8 * i, &v, sizeof v);
  } else if (t == GIE_F32) {
    memcpy((char *)p + 4 * i, &f, sizeof f);
  } else {
    uint16_t h = t == GIE_F16 ? gie_f32_to_f16(f) : gie_f32_to_bf16(f);
    memcpy((char *)p + 2 * i, &h, sizeof h);
  }
  return !__builtin_isfinite(v) || __builtin_isfinite(pass_load(t, p, i));
}

/* A new constant of that type from bytes in a blob of its own, whose reference is taken over. */
static inline gie_status pass_const(struct gie_graph *g, const struct gie_type *type, struct gie_blob *blob,
                                    gie_id *out)
{
  struct gie_const data = {blob, 0, gie_blob_size(blob)};
  gie_status s = gie_graph_add_const(g, NULL, type, &data, out);
  gie_blob_unref(blob);
  return s;
}

/* ---- Patterns */

static inline bool pass_is_op(const struct gie_node *n, const char *op)
{
  return strcmp(n->op->name, op) == 0;
}

/* The node of that op, without epilogue, whose first result is `value`; else NULL. */
static inline const struct gie_node *pass_producer(const struct gie_graph *g, gie_id value, const char *op)
{
  const struct gie_value *v = gie_value_get(g, value);
  const struct gie_node *n = v ? gie_node_get(g, v->producer) : NULL;
  return n && v->out_index == 0 && n->n_steps == 0 && pass_is_op(n, op) && pass_is_plain(v) ? n : NULL;
}

/* The same, and the value is read once, is no graph output and holds no views: the node may go with its reader. */
static inline const struct gie_node *pass_private_producer(const struct gie_graph *g, gie_id value,
                                                           const char *op)
{
  const struct gie_node *n = pass_producer(g, value, op);
  const struct gie_value *v = n ? gie_value_get(g, value) : NULL;
  return n && v->n_uses == 1 && v->n_outputs == 0 && !pass_holds_views(g, value) ? n : NULL;
}

/* The one element of a constant of floats. */
static inline bool pass_scalar(const struct gie_graph *g, gie_id value, double *out)
{
  const struct gie_value *v = gie_value_get(g, value);
  uint32_t n;
  return v && v->kind == GIE_VALUE_CONST && pass_is_plain(v) && gie_value_floats(g, value, out, 1, &n) &&
         n == 1;
}

/* Elements of an integer operand, when it is there and they are known. */
static inline bool pass_ints(const struct gie_graph *g, const struct gie_node *n, uint32_t slot, int64_t *out,
                             uint32_t max, uint32_t *count)
{
  return slot < n->n_operands && n->in[slot] != GIE_NONE && gie_value_ints(g, n->in[slot], out, max, count);
}

static inline bool pass_has_operand(const struct gie_node *n, uint32_t slot)
{
  return slot < n->n_operands && n->in[slot] != GIE_NONE;
}

/* The attribute axis of a node, counted from the front of `rank` axes. */
static inline int64_t pass_axis(const struct gie_node *n, int rank)
{
  int64_t axis = gie_node_int(n, "axis");
  return axis < 0 ? axis + rank : axis;
}

/* A list operand of axes as a set of bits; false when they are not known or outside the rank. */
static inline bool pass_axes(const struct gie_graph *g, const struct gie_node *n, uint32_t slot, int rank,
                             uint32_t *set)
{
  int64_t axes[GIE_MAX_RANK];
  uint32_t count;
  *set = 0;
  if (rank < 0 || rank > GIE_MAX_RANK || !pass_ints(g, n, slot, axes, GIE_MAX_RANK, &count))
    return false;
  for (uint32_t i = 0; i < count; i++) {
    int64_t axis = axes[i] + (axes[i] < 0 ? rank : 0);
    if (axis < 0 || axis >= rank)
      return false;
    *set |= 1u << axis;
  }
  return true;
}

/* ---- Rewriting */

/* The result `by` takes the place of result 0 of the node, its name too, and the node goes. */
static inline gie_status pass_supplant(struct gie_graph *g, gie_id node, gie_id by)
{
  GIE_TRY(gie_value_replace(g, gie_node_get(g, node)->out[0], by));
  return gie_node_remove(g, node);
}

/* Removes the node that makes `value` when nothing reads it, and then those that only it read; what
 * lies deeper than a pattern is left to eliminate_deadend. */
#define PASS_PRUNE 64
static inline gie_status pass_prune(struct gie_graph *g, gie_id value)
{
  gie_id todo[PASS_PRUNE] = {value};
  for (uint32_t n_todo = 1; n_todo > 0;) {
    const struct gie_value *v = gie_value_get(g, todo[--n_todo]);
    const struct gie_node *n = v && v->kind == GIE_VALUE_RESULT ? gie_node_get(g, v->producer) : NULL;
    if (!n || (n->op->flags & GIE_OP_IMPURE) || !pass_is_unused(g, n) || n->n_in > PASS_PRUNE - n_todo)
      continue;
    for (uint32_t i = 0; i < n->n_in; i++)
      todo[n_todo++] = n->in[i];
    GIE_TRY(gie_node_remove(g, n->id));
  }
  return GIE_OK;
}

/* A node with one result before `before`, called `name`. */
static inline gie_status pass_node(struct gie_graph *g, const char *op, const char *name, const gie_id *in,
                                   uint32_t n_in, const struct gie_attr *attrs, uint32_t n_attrs,
                                   gie_id before, gie_id *result)
{
  struct gie_node_spec spec = GIE_NODE_SPEC(op);
  gie_id node;
  spec.name = name;
  spec.in = in;
  spec.n_in = n_in;
  spec.attrs = attrs;
  spec.n_attrs = n_attrs;
  spec.before = before;
  GIE_TRY(gie_node_add(g, &spec, &node));
  *result = gie_node_get(g, node)->out[0];
  return GIE_OK;
}

/* A list of i64. */
static inline gie_status pass_const_ints(struct gie_graph *g, const int64_t *v, uint32_t n, gie_id *out)
{
  struct gie_type type = {GIE_I64, {1, {gie_dim_num(n)}}};
  struct gie_blob *blob;
  GIE_TRY(gie_blob_new(gie_graph_context(g), n * sizeof *v, &blob));
  if (n)
    memcpy(gie_blob_data(blob), v, n * sizeof *v);
  return pass_const(g, &type, blob, out);
}

/* Operand `slot` becomes `value`, whether it was there or not; those between are left out. */
static inline gie_status pass_set_operand(struct gie_graph *g, const struct gie_node *n, uint32_t slot,
                                          gie_id value)
{
  while (n->n_operands <= slot)
    GIE_TRY(gie_node_add_operand(g, n->id, n->n_operands == slot ? value : GIE_NONE));
  return gie_node_set_input(g, n->id, slot, value);
}

#endif
