/* SPDX-License-Identifier: Apache-2.0 */
/* Comparison of a result with a reference: max|a-b| <= r * max|b|, one figure per output. */
#include "tools/tensor.h"
#include <math.h>

/* Tolerance by dtype: a few roundings of f32 arithmetic in another order; half precision has 11 or 8 bits. */
static double default_rtol(enum gie_dtype d)
{
  switch (d) {
  case GIE_F32:
    return 1e-4;
  case GIE_F16:
  case GIE_BF16:
    return 2e-3;
  case GIE_F64:
    return 1e-7;
  default:
    return 0; /* integers and bool: the same */
  }
}

double compare_rtol(enum gie_dtype a, enum gie_dtype b)
{
  return default_rtol(a) > default_rtol(b) ? default_rtol(a) : default_rtol(b);
}

bool compare_shapes(const struct gie_tensor *a, const struct gie_tensor *b)
{
  int i = 0, j = 0;
  for (;; i++, j++) {
    while (i < a->rank && a->dim[i] == 1)
      i++;
    while (j < b->rank && b->dim[j] == 1)
      j++;
    if (i == a->rank || j == b->rank)
      return i == a->rank && j == b->rank;
    if (a->dim[i] != b->dim[j])
      return false;
  }
}

void compare_top(const struct gie_tensor *t, size_t first, size_t n, uint32_t k, size_t *out)
{
  uint32_t have = 0;
  for (size_t i = 0; i < n; i++) {
    double v = tensor_get(t, first + i);
    uint32_t at = have;
    while (at > 0) {
      double w = tensor_get(t, first + out[at - 1]);
      if (!(v > w || (isnan(w) && !isnan(v))))
        break;
      at--;
    }
    if (at >= k)
      continue;
    if (have < k)
      have++;
    for (uint32_t j = have - 1; j > at; j--)
      out[j] = out[j - 1];
    out[at] = i;
  }
}

static gie_status compare_best(struct gie_context *ctx, const struct gie_tensor *a,
                               const struct gie_tensor *b, uint32_t k, size_t count, bool *same)
{
  k = count < k ? (uint32_t)count : k;
  size_t *best = gie_alloc(ctx, 2 * (size_t)k, sizeof *best);
  if (!best)
    return GIE_E_MEMORY;
  compare_top(a, 0, count, k, best);
  compare_top(b, 0, count, k, best + k);
  *same = memcmp(best, best + k, k * sizeof *best) == 0;
  gie_free(ctx, best);
  return GIE_OK;
}

gie_status compare_tensors(struct gie_context *ctx, const struct gie_tensor *a, const struct gie_tensor *b,
                           const struct compare_rule *rule, struct compare_result *out)
{
  struct compare_result r = {.same_shape = compare_shapes(a, b), .same_top = true, .count = tensor_count(a)};
  double max_b = 0, low = INFINITY, high = -INFINITY;
  r.absolute = rule->atol >= 0;
  r.tolerance = r.absolute ? rule->atol : rule->rtol >= 0 ? rule->rtol : compare_rtol(a->dtype, b->dtype);
  *out = r;
  if (!r.same_shape)
    return GIE_OK;
  if (!tensor_is_finite(b))
    return gie_fail(ctx, GIE_E_DATA,
                    "the reference has elements that are not finite; nothing can be compared with it");
  for (size_t i = 0; i < r.count; i++) {
    double y = tensor_get(b, i), d = fabs(tensor_get(a, i) - y);
    low = y < low ? y : low;
    high = y > high ? y : high;
    max_b = fabs(y) > max_b ? fabs(y) : max_b;
    if (!isnan(r.max_abs) && (isnan(d) || d > r.max_abs)) {
      r.max_abs = d;
      r.worst = i;
    }
  }
  if (!r.absolute && r.count > 1 && low == high && gie_dtype_class(b->dtype) == 'f')
    return gie_fail(
        ctx, GIE_E_DATA,
        "the reference is constant (%g everywhere), so agreeing with it means little; give --atol to compare anyway",
        low);
  r.max_rel = r.max_abs == 0 ? 0 : r.max_abs / max_b;
  if (rule->same_top)
    GIE_TRY(compare_best(ctx, a, b, rule->same_top, r.count, &r.same_top));
  r.same = r.max_abs <= (r.absolute ? r.tolerance : r.tolerance * max_b) && r.same_top;
  *out = r;
  return GIE_OK;
}
