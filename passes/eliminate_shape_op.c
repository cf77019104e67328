/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic on shapes whose outcome reshape and expand can say as a constant goes.
 *
 *     %s = shape(%x)  %n = gather(%s, 0)  %t = concat(%n, 2048)      with %x : f32[n,512,2,2]
 *     %y = reshape(%x, %t)                                      ->   %y = reshape(%x, [0, 2048])
 *
 * Shape inference knows the elements of %t as dims. In reshape's list a dim that %x has in the same
 * place is 0, and one that remains is -1 where all others are numbers above 0. In expand's list a dim
 * that %x has is 1. What is entirely numbers is fold_constants' business, too.
 *
 * Does not fire: elements that are not known, more symbolic dims than can be said, allowzero. */
#include "passes/util.h"

struct list {
  uint32_t n;
  int64_t v[GIE_MAX_RANK];
};

static bool reshape_list(const struct gie_node *n, const struct gie_shape *x, const struct gie_value *s,
                         struct list *out)
{
  uint32_t open = 0, others = 0;
  for (uint32_t i = 0; i < s->n_known; i++) {
    struct gie_dim d = s->known[i];
    out->v[i] = gie_dim_is_num(d) ? d.b : -1;
    if (!gie_dim_is_num(d) && (int)i < x->rank && gie_dim_equal(d, x->dim[i]))
      out->v[i] = 0;
    else if (!gie_dim_is_num(d))
      open++;
    others += out->v[i] > 0;
  }
  return !gie_node_int(n, "allowzero") && (open == 0 || (open == 1 && others + 1 == s->n_known));
}

static bool expand_list(const struct gie_shape *x, const struct gie_value *s, struct list *out)
{
  for (uint32_t i = 0; i < s->n_known; i++) {
    struct gie_dim d = s->known[i];
    int axis = (int)i - (int)s->n_known + x->rank;
    out->v[i] = gie_dim_is_num(d) ? d.b : 1;
    if (!gie_dim_is_num(d) && (axis < 0 || !gie_dim_equal(d, x->dim[axis])))
      return false;
  }
  return true;
}

static bool match(const struct gie_graph *g, const struct gie_node *n, struct list *out)
{
  bool reshape = pass_is_op(n, "reshape");
  if (!reshape && !pass_is_op(n, "expand"))
    return false;
  const struct gie_value *x = gie_value_get(g, n->in[0]), *s = gie_value_get(g, n->in[1]);
  if (s->kind != GIE_VALUE_RESULT || s->n_known > GIE_MAX_RANK || s->type.shape.rank != 1 ||
      x->type.shape.rank < 0)
    return false;
  out->n = s->n_known;
  return reshape ? reshape_list(n, &x->type.shape, s, out) : expand_list(&x->type.shape, s, out);
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  struct list list;
  (void)pc;
  GIE_FOR_NODES(g, id) {
    const struct gie_node *n = gie_node_get(g, id);
    gie_id constant, old = n->n_operands > 1 ? n->in[1] : GIE_NONE;
    if (!match(g, n, &list))
      continue;
    GIE_TRY(pass_const_ints(g, list.v, list.n, &constant));
    GIE_TRY(gie_node_set_input(g, id, 1, constant));
    GIE_TRY(pass_prune(g, old));
    ++*changes;
  }
  return GIE_OK;
}

const struct gie_pass gie_pass_eliminate_shape_op = {
    sizeof(struct gie_pass), "eliminate_shape_op",
    "makes targets of reshape and expand constants where symbolic dims allow it; not with elements that are not known",
    run, NULL};
