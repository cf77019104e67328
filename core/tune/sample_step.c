/* SPDX-License-Identifier: Apache-2.0 */
/* Epilogue steps in double. Formulas: the ops' rows in ops.def. */
#include "core/tune/sample.h"
#include <math.h>

struct args {
  double x, y;        /* the running result (or, reversed, the operand) and the other */
  double alpha, beta; /* attributes */
};

static double clamp(double v, double lo, double hi) { return v < lo ? lo : v > hi ? hi : v; }

static double gelu(double x, bool approximate)
{
  const double root_half = 0.70710678118654752440, two_over_root_pi = 1.12837916709551257390;
  return approximate ? x / 2 * (1 + tanh(two_over_root_pi * root_half * (x + 0.044715 * x * x * x)))
                     : x / 2 * (1 + erf(x * root_half));
}

#define STEP(name, expr) \
  static double step_##name(const struct args *s) { return expr; }
STEP(identity, s->x)
STEP(relu, s->x < 0 ? 0 : s->x)
STEP(leaky_relu, s->x < 0 ? s->alpha * s->x : s->x)
STEP(clip, s->x > s->beta || s->alpha > s->beta ? s->beta : s->x < s->alpha ? s->alpha : s->x)
STEP(sigmoid, 1 / (1 + exp(-s->x)))
STEP(silu, s->x == -INFINITY ? 0 : s->x / (1 + exp(-s->x)))
STEP(mish, s->x == -INFINITY ? 0 : s->x * tanh(fmax(s->x, 0) + log1p(exp(-fabs(s->x)))))
STEP(gelu, s->x == -INFINITY ? 0 : gelu(s->x, s->alpha != 0))
STEP(hard_sigmoid, clamp(s->alpha * s->x + s->beta, 0, 1))
STEP(hard_swish, s->x *clamp(s->x / 6 + 0.5, 0, 1))
STEP(tanh, tanh(s->x))
STEP(elu, s->x < 0 ? s->alpha * expm1(s->x) : s->x)
STEP(softplus, fmax(s->x, 0) + log1p(exp(-fabs(s->x))))
STEP(sqrt, sqrt(s->x))
STEP(exp, exp(s->x))
STEP(log, log(s->x))
STEP(neg, -s->x)
STEP(abs, fabs(s->x))
STEP(erf, erf(s->x))
STEP(floor, floor(s->x))
STEP(ceil, ceil(s->x))
STEP(add, s->x + s->y)
STEP(sub, s->x - s->y)
STEP(mul, s->x * s->y)
STEP(div, s->x / s->y)
STEP(prelu, s->x < 0 ? s->x * s->y : s->x)
STEP(pow, pow(s->x, s->y))
STEP(max, isnan(s->x) || s->x > s->y ? s->x : s->y)
STEP(min, isnan(s->x) || s->x < s->y ? s->x : s->y)

static const struct step_fn {
  const char *op;
  double (*fn)(const struct args *s);
  const char *alpha, *beta;
} STEPS[] = {
    {"identity", step_identity, NULL, NULL},
    {"relu", step_relu, NULL, NULL},
    {"leaky_relu", step_leaky_relu, "alpha", NULL},
    {"clip", step_clip, "min", "max"},
    {"sigmoid", step_sigmoid, NULL, NULL},
    {"silu", step_silu, NULL, NULL},
    {"mish", step_mish, NULL, NULL},
    {"gelu", step_gelu, "tanh", NULL},
    {"hard_sigmoid", step_hard_sigmoid, "alpha", "beta"},
    {"hard_swish", step_hard_swish, NULL, NULL},
    {"tanh", step_tanh, NULL, NULL},
    {"elu", step_elu, "alpha", NULL},
    {"softplus", step_softplus, NULL, NULL},
    {"sqrt", step_sqrt, NULL, NULL},
    {"exp", step_exp, NULL, NULL},
    {"log", step_log, NULL, NULL},
    {"neg", step_neg, NULL, NULL},
    {"abs", step_abs, NULL, NULL},
    {"erf", step_erf, NULL, NULL},
    {"floor", step_floor, NULL, NULL},
    {"ceil", step_ceil, NULL, NULL},
    {"cast", step_identity, NULL, NULL}, /* floats only: the rounding is that of the result */
    {"add", step_add, NULL, NULL},
    {"sub", step_sub, NULL, NULL},
    {"mul", step_mul, NULL, NULL},
    {"div", step_div, NULL, NULL},
    {"prelu", step_prelu, NULL, NULL},
    {"pow", step_pow, NULL, NULL},
    {"max", step_max, NULL, NULL},
    {"min", step_min, NULL, NULL},
};

static const struct step_fn *find(const char *op)
{
  for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS; i++)
    if (strcmp(STEPS[i].op, op) == 0)
      return &STEPS[i];
  return NULL;
}

bool sample_has_step(const struct gie_step *s)
{
  bool to_float = strcmp(s->op->name, "cast") != 0 ||
                  gie_dtype_class((enum gie_dtype)gie_step_int(s, "to")) == 'f';
  return find(s->op->name) != NULL && to_float;
}

double sample_run_step(const struct sample_problem *p, const int64_t *idx, uint32_t step, double v)
{
  const struct gie_step *s = &p->node->steps[step];
  const struct step_fn *f = find(s->op->name);
  struct args a = {.x = v};
  if (s->operand >= 0) {
    double other = sample_operand(p, (uint32_t)s->operand, idx);
    a.x = s->reverse ? other : v;
    a.y = s->reverse ? v : other;
  }
  a.alpha = f->alpha ? gie_step_float(s, f->alpha) : 0;
  a.beta = f->beta ? gie_step_float(s, f->beta) : 0;
  return f->fn(&a);
}

double sample_run_steps(const struct sample_problem *p, const int64_t *idx, uint32_t first, double v)
{
  for (uint32_t i = first; i < p->node->n_steps; i++)
    v = sample_run_step(p, idx, i, v);
  return v;
}
