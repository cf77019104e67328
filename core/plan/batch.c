/* SPDX-License-Identifier: Apache-2.0 */
/* Does a network treat the items of a batch apart? Only then may a batch of 3 run, filled up, in the
 * profile for 4.
 *
 * The proof is by induction over the nodes. A value is
 *
 *   fixed  computed from constants alone
 *   shape  integers that follow from dims alone: it may say what shape a result has, nothing else
 *   rows   its first dim is the batch symbol, and row i follows from row i of the inputs
 *
 * and each op has a rule for when rows make rows. An op without a rule ends the proof: not proven is the
 * answer in every doubt. */
#include "core/plan/plan.h"

enum state { FIXED, SHAPE, ROWS };

struct proof {
  const struct gie_graph *g;
  uint32_t sym;         /* the batch */
  unsigned char *state; /* enum state by value */
};

/* ---- Types ------------------------------------------------------------------------------------- */

static bool is_batch(const struct proof *p, struct gie_dim d)
{
  return d.sym == p->sym && d.a == 1 && d.b == 0;
}

/* The batch is the first dim and nowhere else, in storage too. */
static bool has_rows(const struct proof *p, const struct gie_value *v)
{
  const struct gie_shape *s = &v->type.shape;
  if (s->rank < 1 || !is_batch(p, s->dim[0]) || (v->quant.n > 1 && v->quant.axis == 0))
    return false;
  for (int i = 1; i < s->rank; i++)
    if (!gie_dim_is_known(s->dim[i]) || (!gie_dim_is_num(s->dim[i]) && s->dim[i].sym == p->sym))
      return false;
  return true;
}

static int rank_of(const struct proof *p, gie_id id) { return gie_value_get(p->g, id)->type.shape.rank; }

static bool dim0_is_1(const struct proof *p, gie_id id)
{
  struct gie_dim d = gie_value_get(p->g, id)->type.shape.dim[0];
  return gie_dim_is_num(d) && d.b == 1;
}

/* An operand that is left out counts as fixed. */
static bool is(const struct proof *p, const struct gie_node *n, uint32_t i, enum state s)
{
  return i >= n->n_operands || n->in[i] == GIE_NONE ? s == FIXED : p->state[n->in[i]] == s;
}

static bool rest_is_fixed(const struct proof *p, const struct gie_node *n, uint32_t from)
{
  for (uint32_t i = from; i < n->n_operands; i++)
    if (!is(p, n, i, FIXED))
      return false;
  return true;
}

/* An operand that broadcasts to a result of that rank: rows with rows, or the same for every row. */
static bool broadcasts(const struct proof *p, gie_id id, int rank)
{
  if (id == GIE_NONE)
    return true;
  if (p->state[id] == ROWS)
    return rank_of(p, id) == rank;
  int r = rank_of(p, id);
  return p->state[id] == FIXED && r >= 0 && (r < rank || (r == rank && dim0_is_1(p, id)));
}

/* Axis numbers in operand `slot`; false when one is the first axis, or they are not known. */
static bool axes_spare_rows(const struct proof *p, const struct gie_node *n, uint32_t slot)
{
  int64_t axes[GIE_MAX_RANK];
  uint32_t count;
  int rank = rank_of(p, n->in[0]);
  if (slot >= n->n_operands || n->in[slot] == GIE_NONE || !is(p, n, slot, FIXED) ||
      !gie_value_ints(p->g, n->in[slot], axes, GIE_MAX_RANK, &count))
    return false;
  for (uint32_t i = 0; i < count; i++)
    if (axes[i] == 0 || axes[i] == -rank)
      return false;
  return true;
}

static bool attr_axis_spares_rows(const struct proof *p, const struct gie_node *n)
{
  int64_t axis = gie_node_int(n, "axis");
  return axis != 0 && axis != -rank_of(p, n->in[0]);
}

/* ---- Rules: may be called when an operand has rows --------------------------------------------- */

typedef bool rule_fn(const struct proof *p, const struct gie_node *n);

static bool rule_broadcast(const struct proof *p, const struct gie_node *n)
{
  int rank = rank_of(p, n->out[0]);
  for (uint32_t i = 0; i < n->n_operands; i++)
    if (!broadcasts(p, n->in[i], rank))
      return false;
  return true;
}

/* Image by image: x is [N,C,…]. */
static bool rule_images(const struct proof *p, const struct gie_node *n)
{
  return is(p, n, 0, ROWS) && rank_of(p, n->in[0]) >= 2 && rest_is_fixed(p, n, 1);
}

/* Result 1 counts positions in the whole batch. */
static bool rule_max_pool(const struct proof *p, const struct gie_node *n)
{
  return rule_images(p, n) && n->n_out == 1;
}

static bool rule_gemm(const struct proof *p, const struct gie_node *n)
{
  return is(p, n, 0, ROWS) && is(p, n, 1, FIXED) && gie_node_int(n, "trans_a") == 0 &&
         (n->n_operands < 3 || (is(p, n, 2, FIXED) && broadcasts(p, n->in[2], 2)));
}

/* The first axis must be one of rows of A, or of both as a batch of matrices. */
static bool rule_matmul(const struct proof *p, const struct gie_node *n)
{
  int a = rank_of(p, n->in[0]), b = rank_of(p, n->in[1]), rank = rank_of(p, n->out[0]);
  bool rows_a = is(p, n, 0, ROWS), rows_b = is(p, n, 1, ROWS);
  if (n->n_operands > 2 && !broadcasts(p, n->in[2], rank))
    return false;
  if (rows_a && is(p, n, 1, FIXED) && a == 2)
    return b == 1 || b == 2;
  if (a < 2 || b < 2 || rank < 3 || (rows_a && a != rank) || (rows_b && b != rank))
    return false;
  return broadcasts(p, n->in[0], rank) && broadcasts(p, n->in[1], rank);
}

static bool rule_axis(const struct proof *p, const struct gie_node *n)
{
  return is(p, n, 0, ROWS) && rest_is_fixed(p, n, 1) && attr_axis_spares_rows(p, n);
}

static bool rule_concat(const struct proof *p, const struct gie_node *n)
{
  for (uint32_t i = 0; i < n->n_operands; i++)
    if (!is(p, n, i, ROWS))
      return false;
  return attr_axis_spares_rows(p, n);
}

static bool rule_reduce(const struct proof *p, const struct gie_node *n)
{
  return is(p, n, 0, ROWS) && axes_spare_rows(p, n, 1);
}

static bool rule_slice(const struct proof *p, const struct gie_node *n)
{
  return is(p, n, 0, ROWS) && rest_is_fixed(p, n, 1) && axes_spare_rows(p, n, 3);
}

/* Operand and result begin with the batch and have as many elements: rows stay rows. */
static bool rule_reshape(const struct proof *p, const struct gie_node *n)
{
  return is(p, n, 0, ROWS) && (n->n_operands < 2 || !is(p, n, 1, ROWS));
}

static bool rule_transpose(const struct proof *p, const struct gie_node *n)
{
  const struct gie_attr *perm = gie_attrs_find(&n->attrs, "perm");
  return is(p, n, 0, ROWS) && perm && perm->kind == GIE_ATTR_INTS && perm->n > 0 && perm->u.is[0] == 0;
}

static bool rule_pad(const struct proof *p, const struct gie_node *n)
{
  int64_t pads[2 * GIE_MAX_RANK];
  uint32_t count;
  if (!is(p, n, 0, ROWS) || !rest_is_fixed(p, n, 1))
    return false;
  if (n->n_operands > 3 && n->in[3] != GIE_NONE)
    return axes_spare_rows(p, n, 3);
  return gie_value_ints(p->g, n->in[1], pads, 2 * GIE_MAX_RANK, &count) && count >= 2 && pads[0] == 0 &&
         pads[count / 2] == 0;
}

static bool rule_expand(const struct proof *p, const struct gie_node *n)
{
  return is(p, n, 0, ROWS) && !is(p, n, 1, ROWS) && rank_of(p, n->in[0]) == rank_of(p, n->out[0]);
}

static bool rule_tile(const struct proof *p, const struct gie_node *n)
{
  int64_t repeats[GIE_MAX_RANK];
  uint32_t count;
  return is(p, n, 0, ROWS) && is(p, n, 1, FIXED) &&
         gie_value_ints(p->g, n->in[1], repeats, GIE_MAX_RANK, &count) && count > 0 && repeats[0] == 1;
}

/* With a first dim that stays, that axis is scaled by 1; a region of interest could move it. */
static bool rule_resize(const struct proof *p, const struct gie_node *n)
{
  bool roi = n->n_operands > 1 && n->in[1] != GIE_NONE;
  return is(p, n, 0, ROWS) && !roi && rest_is_fixed(p, n, 1);
}

static const struct {
  const char *op;
  rule_fn *rule;
} rules[] = {
    {"conv", rule_images},
    {"conv_transpose", rule_images},
    {"batch_norm", rule_images},
    {"instance_norm", rule_images},
    {"lrn", rule_images},
    {"max_pool", rule_max_pool},
    {"average_pool", rule_images},
    {"global_average_pool", rule_images},
    {"global_max_pool", rule_images},
    {"depth_to_space", rule_images},
    {"space_to_depth", rule_images},
    {"gemm", rule_gemm},
    {"matmul", rule_matmul},
    {"sum", rule_broadcast},
    {"dropout", rule_images},
    {"softmax", rule_axis},
    {"log_softmax", rule_axis},
    {"arg_max", rule_axis},
    {"split", rule_axis},
    {"gather", rule_axis},
    {"concat", rule_concat},
    {"reduce_mean", rule_reduce},
    {"reduce_sum", rule_reduce},
    {"reduce_max", rule_reduce},
    {"reduce_min", rule_reduce},
    {"reduce_l2", rule_reduce},
    {"slice", rule_slice},
    {"reshape", rule_reshape},
    {"flatten", rule_reshape},
    {"squeeze", rule_reshape},
    {"unsqueeze", rule_reshape},
    {"transpose", rule_transpose},
    {"pad", rule_pad},
    {"expand", rule_expand},
    {"tile", rule_tile},
    {"resize", rule_resize},
    {"reorder", rule_broadcast},
};

/* ---- Nodes ------------------------------------------------------------------------------------- */

static rule_fn *rule_of(const struct gie_op *op)
{
  if (op != ir_builtin_find(op->name) || (op->flags & (GIE_OP_OPAQUE | GIE_OP_IMPURE)))
    return NULL;
  if (op->flags & GIE_OP_POINTWISE)
    return rule_broadcast;
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
    if (strcmp(rules[i].op, op->name) == 0)
      return rules[i].rule;
  return NULL;
}

static bool steps_keep_rows(const struct proof *p, const struct gie_node *n)
{
  int rank = rank_of(p, n->out[0]);
  for (uint32_t i = 0; i < n->n_steps; i++) {
    const struct gie_step *s = &n->steps[i];
    if (rule_of(s->op) != rule_broadcast || (s->operand >= 0 && !broadcasts(p, n->in[s->operand], rank)))
      return false;
  }
  return true;
}

static bool results_have_rows(const struct proof *p, const struct gie_node *n)
{
  for (uint32_t i = 0; i < n->n_out; i++)
    if (!has_rows(p, gie_value_get(p->g, n->out[i])))
      return false;
  return true;
}

/* The greatest state among what the node reads. */
static enum state reads(const struct proof *p, const struct gie_node *n)
{
  enum state s = FIXED;
  for (uint32_t i = 0; i < n->n_in; i++)
    if (n->in[i] != GIE_NONE && p->state[n->in[i]] > s)
      s = (enum state)p->state[n->in[i]];
  return s;
}

static bool elements_are_known(const struct proof *p, const struct gie_node *n)
{
  return n->n_out == 1 && gie_value_get(p->g, n->out[0])->n_known != UINT32_MAX;
}

static bool prove_node(const struct proof *p, const struct gie_node *n)
{
  enum state s = reads(p, n);
  if (n->n_captures || (n->op->flags & (GIE_OP_IMPURE | GIE_OP_OPAQUE)))
    return false;
  if (s == ROWS && strcmp(n->op->name, "shape") == 0)
    s = SHAPE;
  if (s == SHAPE && !elements_are_known(p, n))
    return false;
  if (s == ROWS) {
    rule_fn *rule = rule_of(n->op);
    if (!rule || !results_have_rows(p, n) || !rule(p, n) || !steps_keep_rows(p, n))
      return false;
  }
  for (uint32_t i = 0; i < n->n_out; i++)
    p->state[n->out[i]] = (unsigned char)s;
  return true;
}

/* ---- The proof --------------------------------------------------------------------------------- */

static bool prove(struct proof *p)
{
  const struct gie_graph *g = p->g;
  for (uint32_t i = 0; i < gie_graph_n_inputs(g); i++) {
    const struct gie_value *v = gie_value_get(g, gie_graph_input(g, i));
    if (i == 0 && v->type.shape.rank > 0)
      p->sym = v->type.shape.dim[0].sym;
    if (p->sym >= gie_graph_n_symbols(g) || !has_rows(p, v))
      return false;
    p->state[v->id] = ROWS;
  }
  GIE_FOR_NODES(g, id)
    if (!prove_node(p, gie_node_get(g, id)))
      return false;
  for (uint32_t i = 0; i < gie_graph_n_outputs(g); i++)
    if (p->state[gie_graph_output(g, i)] == SHAPE)
      return false;
  return gie_graph_n_inputs(g) > 0;
}

gie_status plan_batch_is_free(const struct gie_graph *base, bool *is_free, bool *rows)
{
  struct gie_context *ctx = gie_graph_context(base);
  struct proof p = {.g = base, .sym = GIE_NONE};
  p.state = gie_alloc(ctx, gie_graph_n_values(base), 1);
  if (!p.state)
    return GIE_E_MEMORY;
  *is_free = prove(&p);
  for (uint32_t i = 0; rows && i < gie_graph_n_outputs(base); i++)
    rows[i] = p.state[gie_graph_output(base, i)] == ROWS;
  gie_free(ctx, p.state);
  return GIE_OK;
}
