/* SPDX-License-Identifier: Apache-2.0 */
/* Transposes move towards the outputs, through pointwise nodes and concats, until they meet another
 * one and cancel (fuse_consecutive_transposes, eliminate_nop_transpose).
 *
 *     %t = transpose(%x) {perm=[0,2,3,1]}        %r = relu(%x)
 *     %y = relu(%t)                        ->    %y = transpose(%r) {perm=[0,2,3,1]}
 *
 * Through a pointwise node with two operands if both are transposed the same way, or the other one is
 * a constant with one dim that is not 1 at most: its dims move. Through a concat if all operands are
 * transposed the same way.
 *
 * Does not fire: the transposed value is read by others or a graph output, its operand is itself
 * transposed (the two are to be fused), the node adds axes, unknown rank, epilogues, views and
 * quantized values. */
#include "passes/perm.h"

struct sink {
  struct gie_graph *g;
  const struct gie_node *reader;
  int64_t perm[GIE_MAX_RANK]; /* result axis i is operand axis perm[i] */
  int rank;
};

/* Is the operand a transpose by the same perm that only this node reads? */
static const struct gie_node *transposed(const struct sink *s, gie_id value)
{
  const struct gie_node *t = pass_producer(s->g, value, "transpose");
  int64_t perm[GIE_MAX_RANK];
  int rank;
  if (!t || !pass_perm(s->g, t, perm, &rank) || rank != s->rank ||
      memcmp(perm, s->perm, (size_t)rank * sizeof *perm) != 0 ||
      !pass_is_plain(gie_value_get(s->g, t->in[0])))
    return NULL;
  struct gie_use use = {GIE_NONE, 0};
  while (gie_value_next_use(s->g, value, &use))
    if (use.node != s->reader->id)
      return NULL;
  return gie_value_get(s->g, value)->n_outputs ? NULL : t;
}

/* A constant of at most s->rank axes of which one at most is longer than 1. */
static bool is_movable(const struct sink *s, gie_id value)
{
  const struct gie_value *v = gie_value_get(s->g, value);
  int longer = 0;
  if (!v || v->kind != GIE_VALUE_CONST || v->type.shape.rank > s->rank || !pass_is_plain(v))
    return false;
  for (int i = 0; i < v->type.shape.rank; i++)
    longer += v->type.shape.dim[i].b != 1;
  return longer <= 1;
}

static bool match(struct sink *s, const struct gie_node *t)
{
  const struct gie_graph *g = s->g;
  if (!pass_perm(g, t, s->perm, &s->rank) || t->n_steps || !gie_value_get(g, t->out[0])->n_uses ||
      pass_producer(g, t->in[0], "transpose"))
    return false;
  struct gie_use use = {GIE_NONE, 0};
  gie_value_next_use(g, t->out[0], &use);
  const struct gie_node *n = s->reader = gie_node_get(g, use.node);
  bool concat = pass_is_op(n, "concat");
  if (!concat && (!(n->op->flags & GIE_OP_POINTWISE) || n->n_operands > 2 || strstr(n->op->name, "::")))
    return false;
  const struct gie_value *y = gie_value_get(g, n->out[0]);
  if (n->n_out != 1 || n->n_steps || n->n_captures || y->type.shape.rank != s->rank || !pass_is_plain(y))
    return false;
  for (uint32_t i = 0; i < n->n_operands; i++)
    if (n->in[i] == GIE_NONE || (!transposed(s, n->in[i]) && (concat || !is_movable(s, n->in[i]))))
      return false;
  return transposed(s, t->out[0]) != NULL;
}

/* The constant with its dims where they are before the transpose; the bytes stay, as one dim at most is
 * longer than 1. */
static gie_status move_constant(const struct sink *s, gie_id value, gie_id *out)
{
  const struct gie_value *v = gie_value_get(s->g, value);
  int missing = s->rank - v->type.shape.rank;
  struct gie_type type = {v->type.dtype, {.rank = s->rank}};
  for (int i = 0; i < s->rank; i++)
    type.shape.dim[s->perm[i]] = i < missing ? gie_dim_num(1) : v->type.shape.dim[i - missing];
  *out = value;
  return v->data.size == gie_dtype_size(v->type.dtype)
             ? GIE_OK
             : gie_graph_add_const(s->g, NULL, &type, &v->data, out);
}

static gie_status operands(const struct sink *s, gie_id *in)
{
  for (uint32_t i = 0; i < s->reader->n_operands; i++) {
    const struct gie_node *t = transposed(s, s->reader->in[i]);
    if (t)
      in[i] = t->in[0];
    else
      GIE_TRY(move_constant(s, s->reader->in[i], &in[i]));
  }
  return GIE_OK;
}

/* *out: the transpose behind the reader. */
static gie_status rewrite(const struct sink *s, const struct gie_node *t, gie_id *in, gie_id *out)
{
  struct gie_graph *g = s->g;
  const struct gie_node *n = s->reader;
  struct gie_attr perm = pass_perm_attr(s->perm, s->rank);
  gie_id inner, outer;
  GIE_TRY(operands(s, in));
  struct gie_attr axis = {.name = "axis", .kind = GIE_ATTR_INT, .u.i = gie_node_int(n, "axis")};
  if (pass_is_op(n, "concat")) {
    axis.u.i = s->perm[axis.u.i + (axis.u.i < 0 ? s->rank : 0)];
    GIE_TRY(pass_node(g, "concat", n->name, in, n->n_operands, &axis, 1, n->id, &inner));
  } else {
    GIE_TRY(pass_node(g, n->op->name, n->name, in, n->n_operands, n->attrs.v, n->attrs.n, n->id, &inner));
  }
  GIE_TRY(pass_node(g, "transpose", t->name, &inner, 1, &perm, 1, n->id, &outer));
  *out = gie_value_get(g, outer)->producer;
  for (uint32_t i = 0; i < n->n_operands; i++)
    in[i] = n->in[i];
  uint32_t count = n->n_operands;
  GIE_TRY(pass_supplant(g, n->id, outer));
  for (uint32_t i = 0; i < count; i++)
    GIE_TRY(pass_prune(g, in[i]));
  return GIE_OK;
}

static gie_status sink_one(struct sink *s, const struct gie_node *t, gie_id *out)
{
  struct gie_context *ctx = gie_graph_context(s->g);
  gie_id *in = gie_alloc(ctx, s->reader->n_operands, sizeof *in);
  gie_status status = in ? rewrite(s, t, in, out) : GIE_E_MEMORY;
  gie_free(ctx, in);
  return status;
}

/* The node to look at behind t: one that stays, or GIE_NONE when that is the transpose to come. */
static gie_id next_node(const struct sink *s, const struct gie_node *t)
{
  const struct gie_node *n = gie_node_get(s->g, t->next);
  while (n != s->reader && pass_is_op(n, "transpose") && gie_value_get(s->g, n->out[0])->n_uses) {
    struct gie_use use = {GIE_NONE, 0};
    gie_value_next_use(s->g, n->out[0], &use);
    if (use.node != s->reader->id)
      break;
    n = gie_node_get(s->g, n->next);
  }
  return n == s->reader ? GIE_NONE : n->id;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  struct sink s = {.g = g};
  (void)pc;
  for (gie_id id = gie_graph_first(g), next; id != GIE_NONE; id = next) {
    const struct gie_node *n = gie_node_get(g, id);
    gie_id moved;
    next = n->next;
    if (!match(&s, n))
      continue;
    next = next_node(&s, n);
    GIE_TRY(sink_one(&s, n, &moved));
    next = next == GIE_NONE ? moved : next;
    ++*changes;
  }
  return GIE_OK;
}

const struct gie_pass gie_pass_sink_transpose = {
    sizeof(struct gie_pass), "sink_transpose",
    "moves transposes behind pointwise nodes and concats; not of shared values", run, NULL};
