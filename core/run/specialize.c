/* SPDX-License-Identifier: Apache-2.0 */
/* From a graph with symbols to one with numbers: binds the symbols to the inputs at hand, infers again,
 * turns shape arithmetic that is known by then into constants, and finds out which nodes are needed
 * and which have to wait for computed values. */
#include "core/run/run.h"

/* ---- Symbols ----------------------------------------------------------------------------------- */

struct binding {
  bool set;
  int64_t value;
  const char *input; /* where the value came from */
};

static gie_status bind_dim(const struct gie_graph *g, struct binding *symbols, const struct gie_value *v,
                           int axis, int64_t n)
{
  struct gie_dim d = v->type.shape.dim[axis];
  if (!gie_dim_is_known(d) || gie_dim_is_num(d)) {
    if (gie_dim_is_num(d) && d.b != n)
      return gie_fail(g->ctx, GIE_E_SHAPE, "input \"%s\": dim %d is %lld, the graph says %lld", v->name, axis,
                      (long long)n, (long long)d.b);
    return GIE_OK;
  }
  const char *name = gie_graph_symbol_name(g, d.sym);
  struct binding *s = &symbols[d.sym];
  int64_t rest;
  if (__builtin_sub_overflow(n, d.b, &rest) || rest % d.a || rest / d.a < 0)
    return gie_fail(g->ctx, GIE_E_SHAPE, "input \"%s\": dim %d is %lld, which %lld*%s%+lld cannot be",
                    v->name, axis, (long long)n, (long long)d.a, name, (long long)d.b);
  if (s->set && s->value != rest / d.a)
    return gie_fail(g->ctx, GIE_E_SHAPE, "inputs disagree about \"%s\": %lld in \"%s\", %lld in \"%s\"", name,
                    (long long)s->value, s->input, (long long)(rest / d.a), v->name);
  *s = (struct binding){true, rest / d.a, v->name};
  return GIE_OK;
}

static gie_status bind_input(const struct gie_graph *g, struct binding *symbols, const struct gie_value *v,
                             const struct gie_type *type)
{
  if (v->type.shape.rank < 0)
    return GIE_OK;
  if (v->type.shape.rank != type->shape.rank)
    return gie_fail(g->ctx, GIE_E_SHAPE, "input \"%s\" has rank %d, the graph says %d", v->name,
                    type->shape.rank, v->type.shape.rank);
  for (int i = 0; i < type->shape.rank; i++)
    GIE_TRY(bind_dim(g, symbols, v, i, type->shape.dim[i].b));
  return GIE_OK;
}

gie_status run_check_inputs(const struct gie_graph *g, const struct gie_type *types)
{
  struct binding *symbols = gie_alloc(g->ctx, gie_graph_n_symbols(g), sizeof *symbols);
  gie_status st = symbols ? GIE_OK : GIE_E_MEMORY;
  for (uint32_t i = 0; st == GIE_OK && i < gie_graph_n_inputs(g); i++)
    if (run_type_is_static(&types[i]))
      st = bind_input(g, symbols, gie_value_get(g, gie_graph_input(g, i)), &types[i]);
  gie_free(g->ctx, symbols);
  return st;
}

/* ---- Known elements ---------------------------------------------------------------------------- */

static void put_int(enum gie_dtype dtype, void *p, size_t i, int64_t v)
{
  size_t size = gie_dtype_size(dtype);
  /* little-endian hosts only, as everywhere in gie: the low bytes are the narrower integer */
  memcpy((char *)p + i * size, &v, size);
}

/* A constant with the elements that inference knows; *out stays GIE_NONE if there are none. */
static gie_status known_constant(struct gie_graph *g, const struct gie_value *v, gie_id *out)
{
  int64_t ints[GIE_MAX_KNOWN], count;
  uint32_t n;
  char cls = gie_dtype_class(v->type.dtype);
  if (v->n_known == UINT32_MAX || cls == 'f' || !run_type_is_static(&v->type) ||
      !gie_value_ints(g, v->id, ints, GIE_MAX_KNOWN, &n))
    return GIE_OK;
  GIE_TRY(gie_shape_count(g->ctx, &v->type.shape, &count));
  if (count != n)
    return GIE_OK;
  struct gie_const c = {.size = n * gie_dtype_size(v->type.dtype)};
  GIE_TRY(gie_blob_new(g->ctx, c.size, &c.blob));
  for (uint32_t i = 0; i < n; i++)
    put_int(v->type.dtype, gie_blob_data(c.blob), i, ints[i]);
  gie_status st = gie_graph_add_const(g, NULL, &v->type, &c, out);
  gie_blob_unref(c.blob);
  return st;
}

/* Readers of a value whose elements are known read a constant instead; who computes it may then be
 * needed no more. */
static gie_status fold_known(struct gie_graph *g, gie_id value)
{
  gie_id c = GIE_NONE;
  const struct gie_value *v = gie_value_get(g, value);
  if (v->n_uses == 0)
    return GIE_OK;
  GIE_TRY(known_constant(g, v, &c));
  while (c != GIE_NONE && v->n_uses) {
    struct gie_use use = {.node = GIE_NONE};
    if (!gie_value_next_use(g, value, &use))
      break;
    GIE_TRY(gie_node_set_input(g, use.node, use.slot, c));
  }
  return GIE_OK;
}

gie_status run_specialize(const struct gie_graph *g, const struct gie_type *types, struct gie_graph **out)
{
  struct gie_graph *s;
  GIE_TRY(run_check_inputs(g, types));
  GIE_TRY(gie_graph_clone(g, &s));
  gie_status st = GIE_OK;
  for (uint32_t i = 0; st == GIE_OK && i < gie_graph_n_inputs(s); i++)
    if (run_type_is_static(&types[i]))
      st = gie_value_set_type(s, gie_graph_input(s, i), &types[i]);
  if (st == GIE_OK)
    st = gie_graph_infer(s);
  for (gie_id id = gie_graph_first(s); st == GIE_OK && id != GIE_NONE; id = gie_node_get(s, id)->next)
    for (uint32_t i = 0; st == GIE_OK && i < gie_node_get(s, id)->n_out; i++)
      st = fold_known(s, gie_node_get(s, id)->out[i]);
  if (st != GIE_OK) {
    gie_graph_free(s);
    return st;
  }
  *out = s;
  return GIE_OK;
}

/* ---- Which nodes ------------------------------------------------------------------------------- */

static bool is_needed(const struct gie_graph *g, const struct gie_node *n, const bool *value_needed)
{
  (void)g;
  if (n->op->flags & GIE_OP_IMPURE)
    return true;
  for (uint32_t i = 0; i < n->n_out; i++)
    if (value_needed[n->out[i]])
      return true;
  return false;
}

static void mark_live(const struct gie_graph *g, bool *is_live, bool *needed)
{
  for (uint32_t i = 0; i < gie_graph_n_outputs(g); i++)
    needed[gie_graph_output(g, i)] = true;
  for (gie_id id = gie_graph_last(g); id != GIE_NONE; id = gie_node_get(g, id)->prev) {
    const struct gie_node *n = gie_node_get(g, id);
    is_live[id] = is_needed(g, n, needed);
    for (uint32_t i = 0; is_live[id] && i < n->n_in; i++)
      if (n->in[i] != GIE_NONE)
        needed[n->in[i]] = true;
  }
}

static bool must_wait(const struct gie_graph *g, const struct gie_node *n, const bool *is_tail)
{
  for (uint32_t i = 0; i < n->n_in; i++) {
    const struct gie_value *v = gie_value_get(g, n->in[i]);
    if (v && v->producer != GIE_NONE && is_tail[v->producer])
      return true;
  }
  for (uint32_t i = 0; i < n->n_out; i++)
    if (!run_type_is_static(&gie_value_get(g, n->out[i])->type))
      return true;
  return false;
}

gie_status run_classify(const struct gie_graph *g, bool *is_live, bool *is_tail)
{
  bool *needed = gie_alloc(g->ctx, gie_graph_n_values(g), sizeof *needed);
  if (!needed)
    return GIE_E_MEMORY;
  mark_live(g, is_live, needed);
  gie_free(g->ctx, needed);
  GIE_FOR_NODES(g, id)
    if (is_live[id])
      is_tail[id] = must_wait(g, gie_node_get(g, id), is_tail);
  return GIE_OK;
}
