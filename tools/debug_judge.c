/* SPDX-License-Identifier: Apache-2.0 */
/* See debug_judge.h. */
#include "tools/debug_judge.h"
#include <math.h>

static double own_exactness(const struct gie_value *v)
{
  return gie_dtype_class(v->type.dtype) == 'f' ? compare_rtol(v->type.dtype, v->type.dtype) : 0;
}

gie_status judge_exactness(const struct gie_graph *g, double **out)
{
  double *r = gie_alloc(gie_graph_context(g), (size_t)gie_graph_n_values(g) + 1, sizeof *r);
  if (!r)
    return GIE_E_MEMORY;
  for (gie_id v = 0; v < gie_graph_n_values(g); v++)
    r[v] = own_exactness(gie_value_get(g, v));
  GIE_FOR_NODES(g, id) {
    const struct gie_node *n = gie_node_get(g, id);
    double worst = 0;
    for (uint32_t i = 0; i < n->n_in; i++)
      worst = n->in[i] == GIE_NONE ? worst : fmax(worst, r[n->in[i]]);
    for (uint32_t i = 0; i < n->n_out; i++)
      r[n->out[i]] = fmax(worst, r[n->out[i]]);
  }
  *out = r;
  return GIE_OK;
}

struct judgement judge_tensors(const struct gie_tensor *a, const struct gie_tensor *b, double rtol)
{
  struct judgement j = {.same_shape = compare_shapes(a, b),
                        .tolerance = rtol >= 0 ? rtol : compare_rtol(a->dtype, b->dtype),
                        .max_abs = NAN,
                        .max_rel = NAN,
                        .cosine = NAN};
  double max_b = 0, aa = 0, bb = 0, ab = 0;
  if (!j.same_shape)
    return j;
  j.max_abs = 0;
  for (size_t i = 0, n = tensor_count(a); i < n; i++) {
    double x = tensor_get(a, i), y = tensor_get(b, i);
    if (!isfinite(x) || !isfinite(y)) {
      bool equal = x == y || (isnan(x) && isnan(y));
      j.max_abs = equal ? j.max_abs : INFINITY;
      continue;
    }
    max_b = fmax(max_b, fabs(y));
    j.max_abs = fmax(j.max_abs, fabs(x - y));
    aa += x * x;
    bb += y * y;
    ab += x * y;
  }
  j.max_rel = j.max_abs > 0 ? j.max_abs / max_b : 0;
  j.cosine = aa > 0 && bb > 0 ? ab / (sqrt(aa) * sqrt(bb)) : aa > 0 || bb > 0 ? 0 : 1;
  j.same = j.max_abs <= j.tolerance * max_b;
  return j;
}

unsigned judge_scan(const struct gie_tensor *x)
{
  unsigned found = 0;
  if (gie_dtype_class(x->dtype) != 'f')
    return 0;
  for (size_t i = 0, n = tensor_count(x); i < n; i++) {
    double v = tensor_get(x, i);
    found |= isnan(v) ? FOUND_NAN : isinf(v) ? FOUND_INF : 0;
  }
  return found;
}
