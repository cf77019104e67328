/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic on dims of the form a*sym+b, and shapes as text. What the form cannot hold becomes the
 * unknown dim: never wrong, only less known. */
#include "core/ir/ir.h"

static struct gie_dim make(int64_t a, int64_t b, uint32_t sym)
{
  struct gie_dim d = {a, b, sym};
  return a == 0 ? gie_dim_num(b) : d;
}

/* Symbol of a sum or difference: that of the symbolic side, when there is at most one symbol. */
static bool common_symbol(struct gie_dim x, struct gie_dim y, uint32_t *sym)
{
  if (!gie_dim_is_known(x) || !gie_dim_is_known(y))
    return false;
  if (!gie_dim_is_num(x) && !gie_dim_is_num(y) && x.sym != y.sym)
    return false;
  *sym = gie_dim_is_num(x) ? y.sym : x.sym;
  return true;
}

struct gie_dim gie_dim_add(struct gie_dim x, struct gie_dim y)
{
  uint32_t sym;
  int64_t a, b;
  if (!common_symbol(x, y, &sym) || !gie_add64(x.a, y.a, &a) || !gie_add64(x.b, y.b, &b))
    return gie_dim_unknown();
  return make(a, b, sym);
}

struct gie_dim gie_dim_sub(struct gie_dim x, struct gie_dim y)
{
  uint32_t sym;
  int64_t a, b;
  if (!common_symbol(x, y, &sym) || __builtin_sub_overflow(x.a, y.a, &a) ||
      __builtin_sub_overflow(x.b, y.b, &b))
    return gie_dim_unknown();
  return make(a, b, sym);
}

struct gie_dim gie_dim_mul(struct gie_dim x, struct gie_dim y)
{
  if (gie_dim_is_num(y)) {
    struct gie_dim t = x;
    x = y;
    y = t;
  }
  int64_t a, b;
  if (!gie_dim_is_num(x) || !gie_dim_is_known(y) || !gie_mul64(x.b, y.a, &a) || !gie_mul64(x.b, y.b, &b))
    return gie_dim_unknown();
  return make(a, b, y.sym);
}

struct gie_dim gie_dim_div(struct gie_dim x, struct gie_dim y)
{
  if (gie_dim_equal(x, y) && !(gie_dim_is_num(x) && x.b == 0))
    return gie_dim_num(1);
  if (!gie_dim_is_known(x) || !gie_dim_is_num(y) || y.b == 0 || y.b == -1 || x.a % y.b || x.b % y.b)
    return gie_dim_unknown();
  return make(x.a / y.b, x.b / y.b, x.sym);
}

gie_status gie_shape_count(struct gie_context *ctx, const struct gie_shape *shape, int64_t *out)
{
  int64_t n = 1;
  if (shape->rank < 0)
    return gie_fail(ctx, GIE_E_SHAPE, "the rank is not known");
  for (int i = 0; i < shape->rank; i++) {
    struct gie_dim d = shape->dim[i];
    if (!gie_dim_is_num(d))
      return gie_fail(ctx, GIE_E_SHAPE, "dim %d is not a number", i);
    if (d.b < 0)
      return gie_fail(ctx, GIE_E_SHAPE, "dim %d is negative (%lld)", i, (long long)d.b);
    if (!gie_mul64(n, d.b, &n))
      return gie_fail(ctx, GIE_E_LIMIT, "the number of elements overflows");
  }
  *out = n;
  return GIE_OK;
}

static int dim_text(const struct gie_graph *g, struct gie_dim d, char *buf, size_t size)
{
  if (gie_dim_is_num(d))
    return snprintf(buf, size, "%lld", (long long)d.b);
  if (!gie_dim_is_known(d))
    return snprintf(buf, size, "?");
  const char *name = g ? gie_graph_symbol_name(g, d.sym) : NULL;
  char factor[24] = "", offset[24] = "", sym[64];
  if (d.a != 1)
    snprintf(factor, sizeof factor, "%lld*", (long long)d.a);
  if (d.b != 0)
    snprintf(offset, sizeof offset, "%+lld", (long long)d.b);
  snprintf(sym, sizeof sym, "s%u", (unsigned)d.sym);
  return snprintf(buf, size, "%s%s%s", factor, name ? name : sym, offset);
}

char *gie_shape_text(const struct gie_graph *g, const struct gie_shape *shape, char *buf, size_t size)
{
  if (size == 0)
    return buf;
  size_t at = 0;
  if (shape->rank < 0) {
    snprintf(buf, size, "[*]");
    return buf;
  }
  at += (size_t)snprintf(buf, size, "[");
  for (int i = 0; i < shape->rank && at < size; i++) {
    if (i > 0)
      at += (size_t)snprintf(buf + at, size - at, ",");
    if (at < size)
      at += (size_t)dim_text(g, shape->dim[i], buf + at, size - at);
  }
  if (at < size)
    snprintf(buf + at, size - at, "]");
  return buf;
}
