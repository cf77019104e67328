/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of a graph: nodes by op, bytes of constants, bytes of results that are alive together. */
#include "tools/kernels.h"

/* ---- Nodes by op */

static gie_status count_op(struct tool *t, struct measures *m, size_t *cap, const char *op)
{
  for (uint32_t i = 0; i < m->n_ops; i++)
    if (strcmp(m->ops[i].op, op) == 0) {
      m->ops[i].n++;
      return GIE_OK;
    }
  GIE_TRY(gie_grow(t->ctx, &m->ops, cap, (size_t)m->n_ops + 1, sizeof *m->ops));
  m->ops[m->n_ops++] = (struct op_count){op, 1};
  return GIE_OK;
}

static gie_status count_ops(struct tool *t, const struct gie_graph *g, struct measures *m, size_t *cap)
{
  GIE_FOR_NODES(g, id) {
    const struct gie_node *n = gie_node_get(g, id);
    GIE_TRY(count_op(t, m, cap, n->op->name));
    for (uint32_t i = 0; i < n->attrs.n; i++)
      if (n->attrs.v[i].kind == GIE_ATTR_GRAPH)
        GIE_TRY(count_ops(t, n->attrs.v[i].u.g, m, cap));
  }
  return GIE_OK;
}

static int by_count(const void *a, const void *b)
{
  const struct op_count *x = a, *y = b;
  return x->n != y->n ? (x->n < y->n ? 1 : -1) : strcmp(x->op, y->op);
}

/* ---- Memory */

/* Bytes of a value with symbols as 1; false when they are not known. */
static bool value_bytes(const struct gie_graph *g, const struct gie_value *v, uint64_t *out)
{
  struct gie_type type = v->type;
  struct gie_desc desc;
  size_t bytes;
  for (int i = 0; i < type.shape.rank; i++) {
    int64_t d;
    if (!dim_number(type.shape.dim[i], &d) || d < 0)
      return false;
    type.shape.dim[i] = gie_dim_num(d);
  }
  if (type.shape.rank < 0 || type.dtype == GIE_DTYPE_NONE ||
      gie_desc_make(gie_graph_context(g), &type, &v->layout, &desc, &bytes) != GIE_OK)
    return false;
  *out = bytes;
  return true;
}

/* When the storage of a value is in use, in positions of nodes. */
struct life {
  uint32_t first, last;
  uint64_t bytes;
};

static gie_id storage_of(const struct gie_value *v)
{
  return v->view.base == GIE_NONE ? v->id : v->view.base;
}

static void touch(const struct gie_graph *g, struct life *lives, gie_id value, uint32_t at)
{
  const struct gie_value *v = gie_value_get(g, value);
  if (!v)
    return;
  struct life *l = &lives[storage_of(v)];
  l->first = at < l->first ? at : l->first;
  l->last = at > l->last ? at : l->last;
}

static void find_lives(const struct gie_graph *g, struct life *lives, struct measures *m)
{
  uint32_t at = 0;
  for (gie_id id = 0; id < gie_graph_n_values(g); id++) {
    const struct gie_value *v = gie_value_get(g, id);
    lives[id] = (struct life){UINT32_MAX, 0, 0};
    if (v->kind == GIE_VALUE_RESULT && v->view.base == GIE_NONE && !value_bytes(g, v, &lives[id].bytes))
      m->n_unknown++;
  }
  GIE_FOR_NODES(g, id) {
    const struct gie_node *n = gie_node_get(g, id);
    for (uint32_t i = 0; i < n->n_in; i++)
      touch(g, lives, n->in[i], at);
    for (uint32_t i = 0; i < n->n_out; i++)
      touch(g, lives, n->out[i], at);
    at++;
  }
  for (uint32_t i = 0; i < gie_graph_n_outputs(g); i++)
    touch(g, lives, gie_graph_output(g, i), at);
}

/* Bytes that begin and end at each node make the sum alive there. */
static gie_status find_peak(struct tool *t, const struct gie_graph *g, const struct life *lives,
                            struct measures *m)
{
  uint32_t n = gie_graph_count_nodes(g), at = 0;
  uint64_t *begins = gie_alloc(t->ctx, (size_t)n + 2, 2 * sizeof *begins), *ends, now = 0;
  if (!begins)
    return GIE_E_MEMORY;
  ends = begins + n + 2;
  for (gie_id id = 0; id < gie_graph_n_values(g); id++)
    if (lives[id].first <= n) {
      begins[lives[id].first] += lives[id].bytes;
      ends[lives[id].last + 1] += lives[id].bytes;
    }
  m->peak_node = GIE_NONE;
  GIE_FOR_NODES(g, id) {
    now += begins[at] - ends[at];
    if (now > m->peak_bytes) {
      m->peak_bytes = now;
      m->peak_node = id;
    }
    at++;
  }
  gie_free(t->ctx, begins);
  return GIE_OK;
}

static void count_constants(const struct gie_graph *g, struct measures *m)
{
  for (gie_id id = 0; id < gie_graph_n_values(g); id++) {
    const struct gie_value *v = gie_value_get(g, id);
    m->n_consts += v->kind == GIE_VALUE_CONST;
    m->const_bytes += v->kind == GIE_VALUE_CONST ? v->data.size : 0;
  }
}

gie_status measures_take(struct tool *t, const struct gie_graph *g, struct measures *out)
{
  struct measures m = {.n_nodes = gie_graph_count_nodes(g)};
  struct op_count *ops = NULL;
  size_t cap = 0;
  gie_status st = count_ops(t, g, &m, &cap);
  if (st == GIE_OK && m.n_ops) {
    qsort(m.ops, m.n_ops, sizeof *m.ops, by_count);
    ops = gie_arena_copy(&t->arena, m.ops, m.n_ops, sizeof *m.ops);
    st = ops ? GIE_OK : GIE_E_MEMORY;
  }
  gie_free(t->ctx, m.ops);
  m.ops = ops;
  struct life *lives = st == GIE_OK ? gie_alloc(t->ctx, gie_graph_n_values(g), sizeof *lives) : NULL;
  if (!lives)
    return st == GIE_OK ? GIE_E_MEMORY : st;
  find_lives(g, lives, &m);
  count_constants(g, &m);
  st = find_peak(t, g, lives, &m);
  gie_free(t->ctx, lives);
  if (st == GIE_OK)
    *out = m;
  return st;
}
