/* SPDX-License-Identifier: Apache-2.0 */
/* A concat of concats along one axis is one concat.
 *
 *     %a = concat(%x, %y) {axis=1}
 *     %b = concat(%a, %z) {axis=1}    ->    %b = concat(%x, %y, %z) {axis=1}
 *
 * Does not fire: %a read by others or a graph output (its copy is needed anyway), another axis, views
 * and quantized values, an epilogue, or more operands than a node may have. */
#include "passes/util.h"

struct flat {
  struct gie_graph *g;
  struct gie_context *ctx;
  gie_id *in, *todo, *inner; /* operands found; still to look at, the next one last; nodes that go */
  size_t n_in, n_todo, n_inner, cap_in, cap_todo, cap_inner;
};

/* The concat that makes the value and that can go into n; else NULL. */
static const struct gie_node *inner(const struct gie_graph *g, const struct gie_node *n, gie_id value)
{
  int rank = gie_value_get(g, n->out[0])->type.shape.rank;
  const struct gie_node *c = pass_private_producer(g, value, "concat");
  return c && rank >= 0 && pass_axis(c, rank) == pass_axis(n, rank) ? c : NULL;
}

static bool match(const struct gie_graph *g, const struct gie_node *n)
{
  if (!pass_is_op(n, "concat") || n->n_steps || !pass_is_plain(gie_value_get(g, n->out[0])))
    return false;
  for (uint32_t i = 0; i < n->n_operands; i++)
    if (inner(g, n, n->in[i]))
      return true;
  return false;
}

static gie_status push(struct flat *f, const struct gie_node *n)
{
  GIE_TRY(gie_grow(f->ctx, &f->todo, &f->cap_todo, f->n_todo + n->n_operands, sizeof *f->todo));
  for (uint32_t i = n->n_operands; i-- > 0;)
    f->todo[f->n_todo++] = n->in[i];
  return GIE_OK;
}

/* What n concatenates, through all concats before it. */
static gie_status collect(struct flat *f, const struct gie_node *n)
{
  f->n_in = f->n_todo = f->n_inner = 0;
  GIE_TRY(push(f, n));
  while (f->n_todo > 0) {
    gie_id v = f->todo[--f->n_todo];
    const struct gie_node *c = inner(f->g, n, v);
    if (c) {
      GIE_TRY(gie_grow(f->ctx, &f->inner, &f->cap_inner, f->n_inner + 1, sizeof *f->inner));
      f->inner[f->n_inner++] = c->id;
      GIE_TRY(push(f, c));
    } else {
      GIE_TRY(gie_grow(f->ctx, &f->in, &f->cap_in, f->n_in + 1, sizeof *f->in));
      f->in[f->n_in++] = v;
    }
  }
  return GIE_OK;
}

/* The nodes that go come in the order of reading: each after the one that reads it. */
static gie_status rewrite(struct flat *f, const struct gie_node *n, gie_id *result)
{
  GIE_TRY(
      pass_node(f->g, "concat", n->name, f->in, (uint32_t)f->n_in, n->attrs.v, n->attrs.n, n->id, result));
  GIE_TRY(pass_supplant(f->g, n->id, *result));
  for (size_t i = 0; i < f->n_inner; i++)
    GIE_TRY(gie_node_remove(f->g, f->inner[i]));
  return GIE_OK;
}

/* From the last node to the first, so that each concat is copied once however deep they are nested. */
static gie_status flatten(struct flat *f, uint32_t *changes)
{
  for (gie_id id = gie_graph_last(f->g), result; id != GIE_NONE;) {
    const struct gie_node *n = gie_node_get(f->g, id);
    id = n->prev;
    if (!match(f->g, n))
      continue;
    GIE_TRY(collect(f, n));
    if (f->n_in > n->op->max_in)
      continue;
    GIE_TRY(rewrite(f, n, &result));
    id = gie_node_get(f->g, gie_value_get(f->g, result)->producer)->prev;
    ++*changes;
  }
  return GIE_OK;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  struct flat f = {.g = g, .ctx = pc->ctx};
  gie_status s = flatten(&f, changes);
  gie_free(pc->ctx, f.in);
  gie_free(pc->ctx, f.todo);
  gie_free(pc->ctx, f.inner);
  return s;
}

const struct gie_pass gie_pass_fuse_consecutive_concats = {
    sizeof(struct gie_pass), "fuse_consecutive_concats",
    "makes a concat of concats along one axis a flat one; not of shared ones", run, NULL};
