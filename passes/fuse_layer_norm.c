/* SPDX-License-Identifier: Apache-2.0 */
/* Layer normalization written node by node is layer_norm.
 *
 *     %m = reduce_mean(%x, axes)     %d = sub(%x, %m)     %v = reduce_mean(pow(%d, 2), axes)
 *     %n = div(%d, sqrt(add(%v, epsilon)))
 *     %y = add(mul(%n, %scale), %bias)           ->   %y = layer_norm(%x, %scale, %bias) {axis=…}
 *
 * The axes are the last ones. The square may be mul(%d, %d). Scale, bias or both may be missing, which
 * makes scale one number 1; they may be any values that broadcast to %x without enlarging it.
 *
 * Does not fire: a value in between is read by others or a graph output, other axes or axes that are
 * not known, a reduction that does not keep its axes, integers, nothing to normalize: of 0 elements
 * others refuse layer normalization, but none of its parts. */
#include "passes/match.h"

struct norm {
  const struct gie_node *last; /* div, mul or add: its result is that of the whole */
  gie_id x, scale, bias;
  int64_t axis;
  double epsilon;
};

/* First of the last axes over which a mean is taken; -1 if it is another kind of mean. */
static int mean_axis(const struct gie_graph *g, const struct gie_node *mean, gie_id x)
{
  int rank = gie_value_get(g, x)->type.shape.rank;
  uint32_t axes;
  if (mean->in[0] != x || !gie_node_int(mean, "keepdims") || !pass_axes(g, mean, 1, rank, &axes) || !axes)
    return -1;
  int axis = __builtin_ctz(axes);
  return axes == (1u << rank) - (1u << axis) ? axis : -1;
}

/* The deviation that the square is of, or GIE_NONE. */
static gie_id square_of(const struct gie_graph *g, gie_id value)
{
  double two;
  int64_t whole;
  uint32_t count;
  const struct gie_node *n = pass_private_producer(g, value, "mul");
  if (n)
    return n->in[0] == n->in[1] ? n->in[0] : GIE_NONE;
  n = pass_private_producer(g, value, "pow");
  if (!n)
    return GIE_NONE;
  if (gie_value_ints(g, n->in[1], &whole, 1, &count) && count == 1)
    return whole == 2 ? n->in[0] : GIE_NONE;
  return pass_scalar(g, n->in[1], &two) && two == 2 ? n->in[0] : GIE_NONE;
}

/* All readers of the deviation are the division and the square. */
static bool is_inner(const struct gie_graph *g, gie_id value, const struct gie_node *div, gie_id square)
{
  struct gie_use use = {GIE_NONE, 0};
  while (gie_value_next_use(g, value, &use))
    if (use.node != div->id && use.node != gie_value_get(g, square)->producer)
      return false;
  return gie_value_get(g, value)->n_outputs == 0;
}

/* value = sqrt(mean(square) + epsilon) */
static bool match_deviation(const struct gie_graph *g, gie_id value, struct norm *out, gie_id *square,
                            const struct gie_node **mean)
{
  gie_id sum = pass_argument(g, value, "sqrt");
  const struct gie_node *add = sum == GIE_NONE ? NULL : pass_private_producer(g, sum, "add");
  for (int i = 0; add && i < 2; i++)
    if (pass_scalar(g, add->in[i], &out->epsilon) && out->epsilon >= 0 &&
        (*mean = pass_private_producer(g, add->in[1 - i], "reduce_mean"))) {
      *square = (*mean)->in[0];
      return true;
    }
  return false;
}

static bool match_core(const struct gie_graph *g, const struct gie_node *div, struct norm *out)
{
  gie_id square;
  const struct gie_node *sub, *mean, *var;
  if (!pass_is_op(div, "div") || div->n_steps || !(sub = pass_producer(g, div->in[0], "sub")) ||
      !match_deviation(g, div->in[1], out, &square, &var) || square_of(g, square) != div->in[0] ||
      !is_inner(g, div->in[0], div, square))
    return false;
  out->x = sub->in[0];
  mean = pass_private_producer(g, sub->in[1], "reduce_mean");
  const struct gie_value *x = gie_value_get(g, out->x);
  if (!mean || gie_dtype_class(x->type.dtype) != 'f' || !pass_is_plain(x) || pass_is_empty(&x->type.shape))
    return false;
  out->axis = mean_axis(g, mean, out->x);
  out->last = div;
  return out->axis >= 0 && mean_axis(g, var, square) == out->axis;
}

/* The operand of `op` behind the value so far, when it is legal as scale or bias; *last moves on. */
static void match_affine(const struct gie_graph *g, struct norm *out, const char *op, gie_id *operand)
{
  const struct gie_value *v = gie_value_get(g, out->last->out[0]), *x = gie_value_get(g, out->x);
  const struct gie_node *n = pass_only_reader(g, v->id);
  *operand = GIE_NONE;
  if (!n || !pass_is_op(n, op) || n->n_steps || !pass_is_plain(v))
    return;
  const struct gie_value *o = gie_value_get(g, n->in[n->in[0] == v->id]);
  int missing = x->type.shape.rank - o->type.shape.rank;
  if (o->type.dtype != x->type.dtype || o->type.shape.rank < 0 || missing < 0 || !pass_is_plain(o))
    return;
  for (int i = 0; i < o->type.shape.rank; i++) {
    struct gie_dim d = o->type.shape.dim[i];
    if (!(gie_dim_is_num(d) && d.b == 1) && !gie_dim_equal(d, x->type.shape.dim[i + missing]))
      return;
  }
  *operand = o->id;
  out->last = n;
}

static gie_status one(struct gie_graph *g, enum gie_dtype dtype, gie_id *out)
{
  struct gie_type type = {dtype, {1, {gie_dim_num(1)}}};
  struct gie_blob *blob;
  GIE_TRY(gie_blob_new(gie_graph_context(g), gie_dtype_size(dtype), &blob));
  pass_store(dtype, gie_blob_data(blob), 0, 1);
  return pass_const(g, &type, blob, out);
}

static gie_status rewrite(struct gie_graph *g, const struct norm *m)
{
  const struct gie_attr attrs[] = {{.name = "axis", .kind = GIE_ATTR_INT, .u.i = m->axis},
                                   {.name = "epsilon", .kind = GIE_ATTR_FLOAT, .u.f = m->epsilon}};
  gie_id in[3] = {m->x, m->scale, m->bias}, result;
  if (m->scale == GIE_NONE)
    GIE_TRY(one(g, gie_value_get(g, m->x)->type.dtype, &in[1]));
  gie_id first = m->last->in[0], second = m->last->in[1];
  GIE_TRY(pass_node(g, "layer_norm", m->last->name, in, m->bias == GIE_NONE ? 2 : 3, attrs, 2, m->last->id,
                    &result));
  GIE_TRY(pass_supplant(g, m->last->id, result));
  GIE_TRY(pass_prune(g, first));
  return pass_prune(g, second);
}

/* By id, since a formula takes nodes before and behind the one at hand with it. */
static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  uint32_t n_nodes = gie_graph_n_nodes(g);
  (void)pc;
  for (gie_id id = 0; id < n_nodes; id++) {
    const struct gie_node *n = gie_node_get(g, id);
    struct norm m = {.scale = GIE_NONE, .bias = GIE_NONE};
    if (!n || !match_core(g, n, &m))
      continue;
    match_affine(g, &m, "mul", &m.scale);
    match_affine(g, &m, "add", &m.bias);
    if (!pass_keeps_type(g, m.last, m.x))
      continue;
    GIE_TRY(rewrite(g, &m));
    ++*changes;
  }
  return GIE_OK;
}

const struct gie_pass gie_pass_fuse_layer_norm = {
    sizeof(struct gie_pass), "fuse_layer_norm",
    "makes layer normalization written node by node layer_norm; not of shared values or other axes", run,
    NULL};
