/* SPDX-License-Identifier: Apache-2.0 */
/* Layers that work on each element, and Softmax. Formulas: the layer catalogue of Caffe's documentation. */
#include "plugins/caffe/caffe.h"
#include <math.h>

/* ---- Without parameters ---------------------------------------------------------------------- */

gie_status caffe_lower_plain(struct caffe_layer *n)
{
  static const struct {
    const char *type, *op;
  } ops[] = {{"AbsVal", "abs"}, {"BNLL", "softplus"}, {"Sigmoid", "sigmoid"}, {"TanH", "tanh"}};
  size_t i = 0;
  caffe_message(n, "sigmoid_param"); /* only an engine */
  caffe_message(n, "tanh_param");
  while (i < 3 && strcmp(ops[i].type, n->type) != 0)
    i++;
  return caffe_result(n, ops[i].op, n->in, 1, NULL);
}

/* ---- ReLU and its kin ------------------------------------------------------------------------ */

gie_status caffe_lower_relu(struct caffe_layer *n)
{
  struct caffe_attrs attrs = {.n = 0};
  double slope = caffe_real(n->im, caffe_message(n, "relu_param"), "negative_slope", 0);
  if (slope == 0)
    return caffe_result(n, "relu", n->in, 1, NULL);
  caffe_put_float(&attrs, "alpha", slope);
  return caffe_result(n, "leaky_relu", n->in, 1, &attrs);
}

gie_status caffe_lower_prelu(struct caffe_layer *n)
{
  bool shared = caffe_bool(n->im, caffe_message(n, "prelu_param"), "channel_shared", false);
  int64_t x[GIE_MAX_RANK], slope[GIE_MAX_RANK];
  int rank;
  gie_id in[2] = {n->in[0]};
  if (!caffe_dims(n, 0, x, &rank))
    return GIE_OK;
  if (rank < 2)
    return caffe_refuse(n, "a PReLU of a blob with %d dims", rank);
  for (int i = 1; i < rank; i++)
    slope[i - 1] = i == 1 && !shared ? x[1] : 1;
  GIE_TRY(caffe_weight_const(n, 0, slope, 1, CAFFE_QUARTER, slope, rank - 1, &in[1]));
  return caffe_result(n, "prelu", in, 2, NULL);
}

gie_status caffe_lower_elu(struct caffe_layer *n)
{
  struct caffe_attrs attrs = {.n = 0};
  caffe_put_float(&attrs, "alpha", caffe_real(n->im, caffe_message(n, "elu_param"), "alpha", 1));
  return caffe_result(n, "elu", n->in, 1, &attrs);
}

/* ---- Power, Exp, Log ------------------------------------------------------------------------- */

/* What is left to do with a value, so that the last step makes the top. */
struct chain {
  struct {
    const char *op, *what;
    double operand; /* NAN: unary */
  } v[4];
  int n;
};

static void chain_add(struct chain *c, const char *op, const char *what, double operand, double neutral)
{
  if (operand == neutral)
    return;
  c->v[c->n].op = op;
  c->v[c->n].what = what;
  c->v[c->n++].operand = operand;
}

static gie_status run_chain(struct caffe_layer *n, const struct chain *c)
{
  gie_id in[2] = {n->in[0]};
  if (c->n == 0)
    return caffe_result(n, "identity", in, 1, NULL);
  for (int i = 0; i < c->n; i++) {
    uint32_t n_in = isnan(c->v[i].operand) ? 1 : 2;
    if (n_in == 2)
      GIE_TRY(caffe_const_scalar(n, c->v[i].what, c->v[i].operand, &in[1]));
    if (i == c->n - 1)
      return caffe_result(n, c->v[i].op, in, n_in, NULL);
    GIE_TRY(caffe_step(n, c->v[i].op, c->v[i].op, in, n_in, NULL, &in[0]));
  }
  return GIE_OK;
}

/* (shift + scale*x)^power */
gie_status caffe_lower_power(struct caffe_layer *n)
{
  const struct text_field *p = caffe_message(n, "power_param");
  struct chain c = {.n = 0};
  chain_add(&c, "mul", "scale", caffe_real(n->im, p, "scale", 1), 1);
  chain_add(&c, "add", "shift", caffe_real(n->im, p, "shift", 0), 0);
  chain_add(&c, "pow", "power", caffe_real(n->im, p, "power", 1), 1);
  return run_chain(n, &c);
}

/* base^(shift + scale*x) or log_base(shift + scale*x); base -1: e. */
static gie_status exponential(struct caffe_layer *n, const char *message, bool is_log)
{
  const struct text_field *p = caffe_message(n, message);
  struct chain c = {.n = 0};
  double base = caffe_real(n->im, p, "base", -1), ln = base == -1 ? 1 : log(base);
  if (base != -1 && !(base > 0 && isfinite(ln) && ln != 0))
    return gie_fail(n->ctx, GIE_E_DATA, "%u:%u: layer \"%s\": base %g; it has to be positive and not 1",
                    n->f->line, n->f->column, n->name, base);
  chain_add(&c, "mul", "scale", caffe_real(n->im, p, "scale", 1) * (is_log ? 1 : ln), 1);
  chain_add(&c, "add", "shift", caffe_real(n->im, p, "shift", 0) * (is_log ? 1 : ln), 0);
  chain_add(&c, is_log ? "log" : "exp", "", NAN, 0);
  if (is_log)
    chain_add(&c, "mul", "base", 1 / ln, 1);
  return run_chain(n, &c);
}

gie_status caffe_lower_exp(struct caffe_layer *n) { return exponential(n, "exp_param", false); }

gie_status caffe_lower_log(struct caffe_layer *n) { return exponential(n, "log_param", true); }

/* ---- Softmax, Eltwise ------------------------------------------------------------------------ */

gie_status caffe_lower_softmax(struct caffe_layer *n)
{
  struct caffe_attrs attrs = {.n = 0};
  caffe_put_int(&attrs, "axis", caffe_int(n->im, caffe_message(n, "softmax_param"), "axis", 1));
  return caffe_result(n, "softmax", n->in, 1, &attrs);
}

/* Two by two; the last one makes the top. */
static gie_status reduce(struct caffe_layer *n, const char *op)
{
  gie_id y = n->in[0];
  for (uint32_t i = 1; i + 1 < n->n_in; i++)
    GIE_TRY(caffe_step(n, op, op, (gie_id[]){y, n->in[i]}, 2, NULL, &y));
  return caffe_result(n, op, (gie_id[]){y, n->in[n->n_in - 1]}, 2, NULL);
}

static gie_status weigh(struct caffe_layer *n, const struct text_field *p)
{
  uint32_t i = 0, count = caffe_count(p, "coeff");
  if (count && count != n->n_in)
    return gie_fail(n->ctx, GIE_E_DATA, "%u:%u: layer \"%s\" has %u coefficients for %u bottoms", n->f->line,
                    n->f->column, n->name, (unsigned)count, (unsigned)n->n_in);
  for (const struct text_field *f = p ? p->first : NULL; f; f = f->next) {
    gie_id c;
    if (strcmp(f->name, "coeff") != 0)
      continue;
    double v = caffe_field_real(n->im, f);
    if (v != 1) {
      GIE_TRY(caffe_const_scalar(n, "coeff", v, &c));
      GIE_TRY(caffe_step(n, "weighted", "mul", (gie_id[]){n->in[i], c}, 2, NULL, &n->in[i]));
    }
    i++;
  }
  return GIE_OK;
}

static bool same_dims(struct caffe_layer *n)
{
  const struct gie_shape *a = &gie_value_get(n->g, n->in[0])->type.shape;
  for (uint32_t i = 1; i < n->n_in; i++) {
    const struct gie_shape *b = &gie_value_get(n->g, n->in[i])->type.shape;
    bool same = a->rank == b->rank;
    for (int k = 0; same && k < a->rank; k++)
      same = gie_dim_equal(a->dim[k], b->dim[k]);
    if (!same && a->rank >= 0 && b->rank >= 0)
      return false;
  }
  return true;
}

gie_status caffe_lower_eltwise(struct caffe_layer *n)
{
  const struct text_field *p = caffe_message(n, "eltwise_param");
  const char *how = caffe_text(n->im, p, "operation", "SUM");
  if (!same_dims(n))
    return gie_fail(n->ctx, GIE_E_SHAPE, "%u:%u: layer \"%s\": its bottoms differ in shape", n->f->line,
                    n->f->column, n->name);
  caffe_find(p, "stable_prod_grad");
  if (strcmp(how, "PROD") == 0)
    return reduce(n, "mul");
  if (strcmp(how, "MAX") == 0)
    return reduce(n, "max");
  if (strcmp(how, "SUM") != 0)
    return caffe_refuse(n, "operation %s", how);
  GIE_TRY(weigh(n, p));
  return reduce(n, "add");
}
