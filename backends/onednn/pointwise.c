/* SPDX-License-Identifier: Apache-2.0 */
/* Pointwise nodes of one operand, of two or more, and prelu. */
#include "backends/onednn/onednn.h"

/* ---- One operand */

static dnnl_status_t unary_make(struct od_build *b)
{
  const struct gie_node *n = b->p->node;
  const struct od_function *f = od_function_find(n->op, &n->attrs);
  od_bind(b, DNNL_ARG_SRC, 0);
  od_bind(b, DNNL_ARG_DST, OD_OUT);
  od_mdp src = od_use(b, &b->in[0]), dst = od_use(b, &b->out[0]);
  dnnl_status_t st = f && src && dst ? dnnl_success : dnnl_unimplemented;
  if (st == dnnl_success && f->unit)
    st = od_append_eltwise(b->ops, dnnl_eltwise_clip, 0, 1);
  if (st == dnnl_success)
    st = od_steps(b);
  if (st != dnnl_success)
    return st;
  return od_pd_eltwise(&b->pd, f->alg, src, dst, od_alpha(f, n->op, &n->attrs), od_beta(f, n->op, &n->attrs),
                       b->attr);
}

const struct od_op od_op_unary = {.shape = OD_POINTWISE, .make = unary_make, .over_first = true};

/* ---- Several operands: oneDNN wants the first to have the result's dims; the others broadcast */

static bool swapped(const struct gie_problem *p)
{
  return strcmp(p->node->op->name, "sub") != 0 && strcmp(p->node->op->name, "div") != 0 &&
         !od_same_dims(&p->in[0], &p->out[0]);
}

static bool binary_check(const struct gie_problem *p, char *why, size_t size)
{
  if (p->node->n_operands < 2)
    return od_refuse(why, size, "one operand");
  if (!od_same_dims(&p->in[swapped(p) ? 1 : 0], &p->out[0]))
    return od_refuse(why, size, "no operand of the result's dims where it needs one");
  return true;
}

static od_mdp use_aligned(struct od_build *b, uint32_t i, int arg)
{
  struct gie_desc d;
  od_bind(b, arg, (int32_t)i);
  return od_align(&b->in[i], b->out[0].rank, &d) ? od_use(b, &d) : NULL;
}

static dnnl_status_t binary_make(struct od_build *b)
{
  const struct gie_node *n = b->p->node;
  uint32_t first = swapped(b->p) ? 1 : 0;
  od_mdp x = use_aligned(b, first, DNNL_ARG_SRC_0), y = use_aligned(b, 1 - first, DNNL_ARG_SRC_1);
  od_mdp dst = od_use(b, &b->out[0]);
  dnnl_status_t st = x && y && dst ? dnnl_success : dnnl_unimplemented;
  od_bind(b, DNNL_ARG_DST, OD_OUT);
  for (uint32_t i = 2; st == dnnl_success && i < n->n_operands; i++)
    st = od_append_operand(b, od_binary_find(n->op->name), i);
  if (st == dnnl_success)
    st = od_steps(b);
  return st == dnnl_success ? od_pd_binary(&b->pd, od_binary_find(n->op->name), x, y, dst, b->attr) : st;
}

const struct od_op od_op_binary = {.shape = OD_POINTWISE,
                                   .check = binary_check,
                                   .make = binary_make,
                                   .over_first = true};

static dnnl_status_t prelu_make(struct od_build *b)
{
  od_mdp x = use_aligned(b, 0, DNNL_ARG_SRC), slope = use_aligned(b, 1, DNNL_ARG_WEIGHTS);
  od_mdp dst = od_use(b, &b->out[0]);
  od_bind(b, DNNL_ARG_DST, OD_OUT);
  if (!x || !slope || !dst || b->n_steps)
    return dnnl_unimplemented;
  return od_pd_prelu(&b->pd, x, slope, dst, b->attr);
}

const struct od_op od_op_prelu = {.shape = OD_POINTWISE, .make = prelu_make, .over_first = true};
