/* SPDX-License-Identifier: Apache-2.0 */
/* Pointwise functions of oneDNN, and epilogue steps as post-ops. */
#include "backends/onednn/onednn.h"

/* ---- The functions that oneDNN computes as the ops say, for every finite number; log is not among them: it
 * is off by 1e-6 around 1. NaN and infinities are another matter: relu, clip and max pools may give a number
 * for NaN; silu, mish and gelu give NaN for -infinity; a max pool starts at the least finite number. */

static const struct od_function FUNCTIONS[] = {
    /* op, attributes, algorithm, constants, clipped to [0,1], condition */
    {"relu", NULL, NULL, dnnl_eltwise_relu, 0, 0, false, NULL},
    {"leaky_relu", "alpha", NULL, dnnl_eltwise_relu, 0, 0, false, NULL},
    {"clip", "min", "max", dnnl_eltwise_clip, 0, 0, false, NULL},
    {"sigmoid", NULL, NULL, dnnl_eltwise_logistic, 0, 0, false, NULL},
#if OD_V3
    {"hard_sigmoid", "alpha", "beta", dnnl_eltwise_hardsigmoid, 0, 0, false, NULL},
#else
    {"hard_sigmoid", "alpha", "beta", dnnl_eltwise_linear, 0, 0, true, NULL},
#endif
    {"hard_swish", NULL, NULL, dnnl_eltwise_hardswish, 1.0f / 6, 0.5f, false, NULL},
    {"tanh", NULL, NULL, dnnl_eltwise_tanh, 0, 0, false, NULL},
    {"elu", "alpha", NULL, dnnl_eltwise_elu, 0, 0, false, NULL},
    {"softplus", NULL, NULL, dnnl_eltwise_soft_relu, 1, 0, false, NULL},
    {"silu", NULL, NULL, dnnl_eltwise_swish, 1, 0, false, NULL},
    {"mish", NULL, NULL, dnnl_eltwise_mish, 0, 0, false, NULL},
    {"gelu", NULL, NULL, dnnl_eltwise_gelu_tanh, 0, 0, false, "tanh"},
    {"gelu", NULL, NULL, dnnl_eltwise_gelu_erf, 0, 0, false, NULL},
    {"sqrt", NULL, NULL, dnnl_eltwise_sqrt, 0, 0, false, NULL},
    {"exp", NULL, NULL, dnnl_eltwise_exp, 0, 0, false, NULL},
    {"neg", NULL, NULL, dnnl_eltwise_linear, -1, 0, false, NULL},
    {"abs", NULL, NULL, dnnl_eltwise_abs, 0, 0, false, NULL},
};

static const struct {
  const char *op;
  dnnl_alg_kind_t alg;
} BINARIES[] = {
    {"add", dnnl_binary_add}, {"sub", dnnl_binary_sub}, {"mul", dnnl_binary_mul},
    {"div", dnnl_binary_div}, {"sum", dnnl_binary_add},
};

const struct od_function *od_function_find(const struct gie_op *op, const struct gie_attrs *attrs)
{
  for (size_t i = 0; i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++)
    if (strcmp(FUNCTIONS[i].op, op->name) == 0 &&
        (!FUNCTIONS[i].when || gie_attrs_int(attrs, op, FUNCTIONS[i].when) != 0))
      return &FUNCTIONS[i];
  return NULL;
}

dnnl_alg_kind_t od_binary_find(const char *op)
{
  for (size_t i = 0; i < sizeof BINARIES / sizeof *BINARIES; i++)
    if (strcmp(BINARIES[i].op, op) == 0)
      return BINARIES[i].alg;
  return dnnl_alg_kind_undef;
}

float od_alpha(const struct od_function *f, const struct gie_op *op, const struct gie_attrs *attrs)
{
  return f->alpha ? (float)gie_attrs_float(attrs, op, f->alpha) : f->a;
}

float od_beta(const struct od_function *f, const struct gie_op *op, const struct gie_attrs *attrs)
{
  return f->beta ? (float)gie_attrs_float(attrs, op, f->beta) : f->b;
}

/* ---- Post-ops */

dnnl_status_t od_append_function(struct od_build *b, const struct od_function *f, const struct gie_op *op,
                                 const struct gie_attrs *attrs)
{
  dnnl_status_t st = od_append_eltwise(b->ops, f->alg, od_alpha(f, op, attrs), od_beta(f, op, attrs));
  if (st == dnnl_success && f->unit)
    st = od_append_eltwise(b->ops, dnnl_eltwise_clip, 0, 1);
  return st;
}

bool od_align(const struct gie_desc *d, int rank, struct gie_desc *out)
{
  int lead = rank - d->rank;
  *out = *d;
  if (lead == 0)
    return true;
  if (lead < 0 || d->layout.block > 1)
    return false;
  out->rank = rank;
  out->layout = (struct gie_layout){0};
  for (int i = rank - 1; i >= 0; i--) {
    out->dim[i] = i < lead ? 1 : d->dim[i - lead];
    out->stride[i] = i < lead ? 1 : d->stride[i - lead];
  }
  for (int i = d->rank ? lead - 1 : rank - 2; i >= 0; i--) /* as if dense */
    out->stride[i] = out->dim[i + 1] * out->stride[i + 1];
  return true;
}

dnnl_status_t od_append_operand(struct od_build *b, dnnl_alg_kind_t alg, uint32_t operand)
{
  struct gie_desc d;
  int at = dnnl_post_ops_len(b->ops);
  /* some implementations compute places in the operand as if neither it nor the result had gaps */
  if (od_has_gaps(&b->out[0]) || od_has_gaps(&b->in[operand]) ||
      !od_align(&b->in[operand], b->out[0].rank > 0 ? b->out[0].rank : 1, &d))
    return dnnl_unimplemented;
  od_mdp m = od_use(b, &d);
  if (!m)
    return dnnl_unimplemented;
  od_bind(b, DNNL_ARG_ATTR_MULTIPLE_POST_OP(at) | DNNL_ARG_SRC_1, (int32_t)operand);
  return dnnl_post_ops_append_binary(b->ops, alg, m);
}

/* r = op(r, operand), or op(operand, r): c - r is -r + c. */
static dnnl_status_t append_binary(struct od_build *b, const struct gie_step *s)
{
  dnnl_alg_kind_t alg = od_binary_find(s->op->name);
  if (alg == dnnl_alg_kind_undef || s->operand < 0)
    return dnnl_unimplemented;
  if (s->reverse && alg == dnnl_binary_sub) {
    dnnl_status_t st = od_append_eltwise(b->ops, dnnl_eltwise_linear, -1, 0);
    if (st != dnnl_success)
      return st;
    alg = dnnl_binary_add;
  } else if (s->reverse && alg == dnnl_binary_div) {
    return dnnl_unimplemented;
  }
  return od_append_operand(b, alg, (uint32_t)s->operand);
}

dnnl_status_t od_steps(struct od_build *b)
{
  for (uint32_t i = 0; i < b->n_steps; i++) {
    const struct gie_step *s = &b->p->node->steps[i];
    const struct od_function *f = od_function_find(s->op, &s->attrs);
    dnnl_status_t st = f                      ? od_append_function(b, f, s->op, &s->attrs)
                       : (int32_t)i == b->sum ? od_append_sum(b->ops)
                                              : append_binary(b, s);
    if (st != dnnl_success)
      return st;
  }
  return dnnl_primitive_attr_set_post_ops(b->attr, b->ops);
}
