/* SPDX-License-Identifier: Apache-2.0 */
/* Vertical fusion: pointwise nodes behind a convolution or matrix product become its epilogue.
 *
 *     %c = conv(%x, %w)                   %z = conv(%x, %w) | add(%res) | relu
 *     %y = add(%c, %res)          ->
 *     %z = relu(%y)
 *
 * Any pointwise op with one operand, or with two of which one is the result, in either place: sub,
 * div, pow, … with the result on the right are marked `reverse`. A sum of two is an add.
 *
 * Legal when the result is read by the pointwise node alone and is no graph output, the dtype stays
 * and the operand certainly broadcasts without enlarging (each of its dims is 1 or that of the result, so
 * that a constant per channel is fine whatever the other dims are), and the result is
 * floating point, because steps are computed in f32. The other operand may be anything that does
 * not itself come from the node; when it is produced later, the node moves behind it.
 *
 * Does not fire: shared value, graph output, change of dtype or shape, dims that are not known to
 * be equal, ops with three or more operands, ops of modules, views and quantized values. Of two
 * products that are added, the later one takes the addition. */
#include "passes/util.h"

#define MAX_STEPS 64

/* Position of each node in the order; a node that moves takes the position of the place it goes to. */
struct state {
  struct gie_graph *g;
  uint32_t *position;
};

static bool may_carry(const struct gie_graph *g, const struct gie_node *n)
{
  if (!(n->op->flags & GIE_OP_EPILOGUE) || n->n_out != 1 || n->n_steps >= MAX_STEPS)
    return false;
  const struct gie_value *v = gie_value_get(g, n->out[0]);
  return gie_dtype_class(v->type.dtype) == 'f' && pass_is_plain(v);
}

/* What the reader is as a step. */
static const char *step_op(const struct gie_node *reader)
{
  return pass_is_op(reader, "sum") && reader->n_operands == 2 ? "add" : reader->op->name;
}

/* The operand that is not `value`: GIE_NONE for unary ops. False if the op cannot be a step. */
static bool other_operand(const struct gie_node *reader, gie_id value, gie_id *other, bool *reverse)
{
  bool sum = pass_is_op(reader, "sum");
  *other = GIE_NONE;
  *reverse = false;
  if ((!(reader->op->flags & GIE_OP_POINTWISE) && !sum) || strstr(reader->op->name, "::") ||
      strcmp(reader->op->name, "identity") == 0)
    return false;
  if (reader->n_operands == 1)
    return reader->op->max_in == 1; /* max(x) is no step */
  if (reader->n_operands != 2 || reader->in[0] == GIE_NONE || reader->in[1] == GIE_NONE)
    return false;
  bool second = reader->in[1] == value;
  *other = reader->in[second ? 0 : 1];
  *reverse = second && !sum && !(reader->op->flags & GIE_OP_COMMUTATIVE);
  return true;
}

static uint32_t produced_at(const struct state *st, gie_id value)
{
  gie_id producer = value == GIE_NONE ? GIE_NONE : gie_value_get(st->g, value)->producer;
  return producer == GIE_NONE ? 0 : st->position[producer];
}

/* The operand broadcasts to the result for certain. */
static bool fits(const struct gie_value *operand, const struct gie_value *result)
{
  const struct gie_shape *o = &operand->type.shape, *r = &result->type.shape;
  if (operand->type.dtype != result->type.dtype || o->rank < 0 || o->rank > r->rank)
    return false;
  for (int i = 0; i < o->rank; i++) {
    bool one = gie_dim_is_num(o->dim[i]) && o->dim[i].b == 1;
    if (!one && !gie_dim_equal(o->dim[i], r->dim[r->rank - o->rank + i]))
      return false;
  }
  return true;
}

static bool match(const struct state *st, const struct gie_node *n, const struct gie_node *reader,
                  gie_id *other, bool *reverse)
{
  const struct gie_graph *g = st->g;
  const struct gie_value *v = gie_value_get(g, n->out[0]);
  if (!reader || reader->n_out != 1 || reader->n_steps || !other_operand(reader, v->id, other, reverse))
    return false;
  const struct gie_value *result = gie_value_get(g, reader->out[0]);
  if (result->type.dtype != v->type.dtype || !pass_is_plain(result))
    return false;
  return *other == GIE_NONE || fits(gie_value_get(g, *other), v);
}

/* The reader becomes a step; its result's name goes on if it is a graph output. */
static gie_status rewrite(struct state *st, const struct gie_node *n, const struct gie_node *reader,
                          gie_id other, bool reverse)
{
  if (produced_at(st, other) > st->position[n->id]) {
    GIE_TRY(gie_node_move(st->g, n->id, reader->id));
    st->position[n->id] = st->position[reader->id];
  }
  GIE_TRY(gie_node_add_step(st->g, n->id, step_op(reader), other, reverse, &reader->attrs));
  GIE_TRY(gie_value_replace(st->g, reader->out[0], n->out[0]));
  return gie_node_remove(st->g, reader->id);
}

/* From the last node to the first, so that the later of two products takes a common reader. */
static gie_status fuse_all(struct state *st, uint32_t *changes)
{
  for (gie_id id = gie_graph_last(st->g), prev; id != GIE_NONE; id = prev) {
    const struct gie_node *n = gie_node_get(st->g, id);
    gie_id other;
    bool reverse;
    prev = n->prev;
    while (may_carry(st->g, n)) {
      const struct gie_node *reader = pass_only_reader(st->g, n->out[0]);
      if (!match(st, n, reader, &other, &reverse))
        break;
      GIE_TRY(rewrite(st, n, reader, other, reverse));
      ++*changes;
    }
  }
  return GIE_OK;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  struct state st = {g, gie_alloc(pc->ctx, gie_graph_n_nodes(g), sizeof(uint32_t))};
  uint32_t position = 0;
  if (!st.position)
    return GIE_E_MEMORY;
  GIE_FOR_NODES(g, id)
    st.position[id] = ++position;
  gie_status s = fuse_all(&st, changes);
  gie_free(pc->ctx, st.position);
  return s;
}

const struct gie_pass gie_pass_fuse_epilogue = {
    sizeof(struct gie_pass), "fuse_epilogue",
    "makes pointwise nodes behind conv, gemm and matmul their epilogue; not where the result is shared or an output",
    run, NULL};
