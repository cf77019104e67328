/* SPDX-License-Identifier: Apache-2.0 */
/* Pointwise functions on rows of numbers: one table for standalone nodes and epilogue steps.
 * Formulas: ONNX operators of the corresponding names (see ops.def), written so that NaN stays NaN. */
#include "backends/cpu/cpu.h"

#include <math.h>

/* x and y are the elements of a and b, the expression is the new element of a. In the integer forms
 * x and y are int64_t and `big` says that they are the bits of u64. Results are wrapped by cpu_apply(). */
#define FLOAT_FN(name, expr)                                                                          \
  static bool name##_f(struct cpu_row *a, const struct cpu_row *b, int n, const struct cpu_scalar *s) \
  {                                                                                                   \
    (void)b, (void)s;                                                                                 \
    for (int k = 0; k < n; k++) {                                                                     \
      const double x = a->f[k];                                                                       \
      a->f[k] = (expr);                                                                               \
    }                                                                                                 \
    return true;                                                                                      \
  }
#define FLOAT_FN2(name, expr)                                                                         \
  static bool name##_f(struct cpu_row *a, const struct cpu_row *b, int n, const struct cpu_scalar *s) \
  {                                                                                                   \
    (void)s;                                                                                          \
    for (int k = 0; k < n; k++) {                                                                     \
      const double x = a->f[k], y = b->f[k];                                                          \
      a->f[k] = (expr);                                                                               \
    }                                                                                                 \
    return true;                                                                                      \
  }
#define INT_FN(name, expr)                                                                            \
  static bool name##_i(struct cpu_row *a, const struct cpu_row *b, int n, const struct cpu_scalar *s) \
  {                                                                                                   \
    const bool big = a->dtype == GIE_U64;                                                             \
    (void)b, (void)s, (void)big;                                                                      \
    for (int k = 0; k < n; k++) {                                                                     \
      const int64_t x = a->i[k];                                                                      \
      a->i[k] = (int64_t)(expr);                                                                      \
    }                                                                                                 \
    return true;                                                                                      \
  }
#define INT_FN2(name, expr)                                                                           \
  static bool name##_i(struct cpu_row *a, const struct cpu_row *b, int n, const struct cpu_scalar *s) \
  {                                                                                                   \
    const bool big = a->dtype == GIE_U64;                                                             \
    (void)s, (void)big;                                                                               \
    for (int k = 0; k < n; k++) {                                                                     \
      const int64_t x = a->i[k], y = b->i[k];                                                         \
      a->i[k] = (int64_t)(expr);                                                                      \
    }                                                                                                 \
    return true;                                                                                      \
  }
#define COMPARE_FN(name, op)                                                                          \
  static bool name##_f(struct cpu_row *a, const struct cpu_row *b, int n, const struct cpu_scalar *s) \
  {                                                                                                   \
    (void)s;                                                                                          \
    for (int k = 0; k < n; k++)                                                                       \
      a->i[k] = a->f[k] op b->f[k];                                                                   \
    a->dtype = GIE_BOOL;                                                                              \
    return true;                                                                                      \
  }                                                                                                   \
  static bool name##_i(struct cpu_row *a, const struct cpu_row *b, int n, const struct cpu_scalar *s) \
  {                                                                                                   \
    const bool big = a->dtype == GIE_U64;                                                             \
    (void)s;                                                                                          \
    for (int k = 0; k < n; k++)                                                                       \
      a->i[k] = big ? (uint64_t)a->i[k] op(uint64_t) b->i[k] : a->i[k] op b->i[k];                    \
    a->dtype = GIE_BOOL;                                                                              \
    return true;                                                                                      \
  }

/* Wrapping arithmetic without undefined overflow. */
#define U(x) ((uint64_t)(x))
static bool int_less(int64_t x, int64_t y, bool big) { return big ? U(x) < U(y) : x < y; }

static double clamp01(double x) { return x < 0 ? 0 : x > 1 ? 1 : x; }

static double gelu(double x, bool approximate)
{
  if (x == -INFINITY)
    return 0;
  if (approximate)
    return x / 2 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  return x / 2 * (1 + erf(x / M_SQRT2));
}

static bool identity_any(struct cpu_row *a, const struct cpu_row *b, int n, const struct cpu_scalar *s)
{
  (void)a, (void)b, (void)n, (void)s;
  return true;
}

FLOAT_FN(relu, x < 0 ? 0 : x)
INT_FN(relu, x < 0 && !big ? 0 : x)
FLOAT_FN(leaky_relu, x < 0 ? s->alpha * x : x)
FLOAT_FN(sigmoid, 1 / (1 + exp(-x)))
FLOAT_FN(hard_sigmoid, clamp01(s->alpha *x + s->beta))
FLOAT_FN(hard_swish, x *clamp01(x / 6 + 0.5))
/* -inf goes to its limit 0 instead of -inf * 0. */
FLOAT_FN(silu, x == -INFINITY ? 0 : x / (1 + exp(-x)))
FLOAT_FN(mish, x == -INFINITY ? 0 : x * tanh(fmax(x, 0) + log1p(exp(-fabs(x)))))
FLOAT_FN(gelu, gelu(x, s->alpha != 0))
FLOAT_FN(tanh, tanh(x))
FLOAT_FN(elu, x < 0 ? s->alpha * expm1(x) : x)
FLOAT_FN(softplus, isnan(x) ? x : fmax(x, 0) + log1p(exp(-fabs(x)))) /* = log(exp(x) + 1) */
FLOAT_FN(sqrt, sqrt(x))
FLOAT_FN(exp, exp(x))
FLOAT_FN(log, log(x))
FLOAT_FN(neg, -x)
INT_FN(neg, -U(x))
FLOAT_FN(abs, fabs(x))
INT_FN(abs, x < 0 && !big ? -U(x) : U(x))
FLOAT_FN(erf, erf(x))
INT_FN(erf, erf(big ? (double)U(x) : (double)x))
FLOAT_FN(floor, floor(x))
FLOAT_FN(ceil, ceil(x))
INT_FN(not, !x)

/* max(min) first, then min(max): with min > max everything becomes max. */
FLOAT_FN(clip, x > s->beta || s->alpha > s->beta ? s->beta : x < s->alpha ? s->alpha : x)
static bool clip_i(struct cpu_row *a, const struct cpu_row *b, int n, const struct cpu_scalar *s)
{
  const bool big = a->dtype == GIE_U64;
  const int64_t lo = cpu_saturate(ceil(s->alpha), a->dtype), hi = cpu_saturate(floor(s->beta), a->dtype);
  (void)b;
  for (int k = 0; k < n; k++) {
    if (int_less(a->i[k], lo, big))
      a->i[k] = lo;
    if (int_less(hi, a->i[k], big))
      a->i[k] = hi;
  }
  return true;
}

static bool cast_any(struct cpu_row *a, const struct cpu_row *b, int n, const struct cpu_scalar *s)
{
  (void)b;
  cpu_row_convert(a, n, s->to);
  return true;
}

FLOAT_FN2(add, x + y)
INT_FN2(add, U(x) + U(y))
FLOAT_FN2(sub, x - y)
INT_FN2(sub, U(x) - U(y))
FLOAT_FN2(mul, x *y)
INT_FN2(mul, U(x) * U(y))
FLOAT_FN2(div, x / y)
FLOAT_FN2(prelu, x < 0 ? x * y : x)
INT_FN2(prelu, x < 0 && !big ? U(x) * U(y) : U(x))
FLOAT_FN2(max, isnan(x) || x > y ? x : y)
INT_FN2(max, int_less(x, y, big) ? y : x)
FLOAT_FN2(min, isnan(x) || x < y ? x : y)
INT_FN2(min, int_less(y, x, big) ? y : x)
COMPARE_FN(equal, ==)
COMPARE_FN(greater, >)
COMPARE_FN(less, <)

static bool div_i(struct cpu_row *a, const struct cpu_row *b, int n, const struct cpu_scalar *s)
{
  const bool big = a->dtype == GIE_U64;
  (void)s;
  for (int k = 0; k < n; k++) {
    int64_t y = b->i[k];
    if (y == 0)
      return false;
    if (big)
      a->i[k] = (int64_t)(U(a->i[k]) / U(y));
    else
      a->i[k] = y == -1 ? (int64_t)-U(a->i[k]) : a->i[k] / y; /* INT64_MIN / -1 wraps */
  }
  return true;
}

/* base^exponent modulo 2^64; a negative exponent leaves 1/base^|exponent| truncated. */
static bool int_power(int64_t base, int64_t exponent, bool negative, int64_t *out)
{
  uint64_t r = 1, square = U(base);
  if (negative) {
    *out = base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
    return base != 0;
  }
  for (uint64_t e = U(exponent); e; e >>= 1, square *= square)
    if (e & 1)
      r *= square;
  *out = (int64_t)r;
  return true;
}

/* The result has the base's dtype; the exponent may have any. Integers among themselves are exact. */
static bool pow_any(struct cpu_row *a, const struct cpu_row *b, int n, const struct cpu_scalar *s)
{
  struct cpu_row y = *b;
  enum gie_dtype t = a->dtype;
  (void)s;
  if (!cpu_is_float(t) && !cpu_is_float(b->dtype)) {
    for (int k = 0; k < n; k++)
      if (!int_power(a->i[k], b->i[k], b->i[k] < 0 && b->dtype != GIE_U64, &a->i[k]))
        return false;
    return true;
  }
  cpu_row_convert(a, n, GIE_F64);
  cpu_row_convert(&y, n, GIE_F64);
  for (int k = 0; k < n; k++)
    a->f[k] = pow(a->f[k], y.f[k]);
  cpu_row_convert(a, n, t);
  return true;
}

static const struct cpu_function FUNCTIONS[] = {
    {"identity", identity_any, identity_any, NULL, NULL},
    {"relu", relu_f, relu_i, NULL, NULL},
    {"leaky_relu", leaky_relu_f, NULL, "alpha", NULL},
    {"clip", clip_f, clip_i, "min", "max"},
    {"sigmoid", sigmoid_f, NULL, NULL, NULL},
    {"hard_sigmoid", hard_sigmoid_f, NULL, "alpha", "beta"},
    {"hard_swish", hard_swish_f, NULL, NULL, NULL},
    {"silu", silu_f, NULL, NULL, NULL},
    {"mish", mish_f, NULL, NULL, NULL},
    {"gelu", gelu_f, NULL, "tanh", NULL},
    {"tanh", tanh_f, NULL, NULL, NULL},
    {"elu", elu_f, NULL, "alpha", NULL},
    {"softplus", softplus_f, NULL, NULL, NULL},
    {"sqrt", sqrt_f, NULL, NULL, NULL},
    {"exp", exp_f, NULL, NULL, NULL},
    {"log", log_f, NULL, NULL, NULL},
    {"neg", neg_f, neg_i, NULL, NULL},
    {"abs", abs_f, abs_i, NULL, NULL},
    {"erf", erf_f, erf_i, NULL, NULL},
    {"floor", floor_f, NULL, NULL, NULL},
    {"ceil", ceil_f, NULL, NULL, NULL},
    {"not", NULL, not_i, NULL, NULL},
    {"cast", cast_any, cast_any, NULL, NULL},
    {"add", add_f, add_i, NULL, NULL},
    {"sum", add_f, add_i, NULL, NULL},
    {"sub", sub_f, sub_i, NULL, NULL},
    {"mul", mul_f, mul_i, NULL, NULL},
    {"div", div_f, div_i, NULL, NULL},
    {"prelu", prelu_f, prelu_i, NULL, NULL},
    {"pow", pow_any, pow_any, NULL, NULL},
    {"max", max_f, max_i, NULL, NULL},
    {"min", min_f, min_i, NULL, NULL},
    {"equal", equal_f, equal_i, NULL, NULL},
    {"greater", greater_f, greater_i, NULL, NULL},
    {"less", less_f, less_i, NULL, NULL},
};

const struct cpu_function *cpu_function_find(const char *op)
{
  for (size_t i = 0; i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++)
    if (strcmp(FUNCTIONS[i].op, op) == 0)
      return &FUNCTIONS[i];
  return NULL;
}

struct cpu_scalar cpu_scalar_read(const struct cpu_function *fn, const struct gie_op *op,
                                  const struct gie_attrs *attrs)
{
  struct cpu_scalar s = {0, 0, GIE_DTYPE_NONE};
  if (fn->alpha)
    s.alpha = gie_attrs_float(attrs, op, fn->alpha);
  if (fn->beta)
    s.beta = gie_attrs_float(attrs, op, fn->beta);
  if (strcmp(fn->op, "cast") == 0)
    s.to = (enum gie_dtype)gie_attrs_int(attrs, op, "to");
  return s;
}

bool cpu_apply(const struct cpu_step *s, struct cpu_row *a, const struct cpu_row *b, int n)
{
  enum gie_dtype t = a->dtype;
  if (cpu_is_float(t))
    return s->fn->on_float(a, b, n, &s->scalar);
  if (!s->fn->on_int(a, b, n, &s->scalar))
    return false;
  if (a->dtype == t)
    for (int k = 0; k < n; k++)
      a->i[k] = cpu_wrap(a->i[k], t);
  return true;
}
