/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/cuda/steps_vector.h"

template <int V>
static void apply(const struct gie_cuda_steps *s, bool along_c, float *r, int64_t n, int64_t c, int64_t p)
{
  float x[V];
  for (int v = 0; v < V; v++)
    x[v] = r[v];
  if (along_c)
    gie_cuda_steps_apply_c<V>(*s, x, n, c, p);
  else
    gie_cuda_steps_apply_p<V>(*s, x, n, c, p);
  for (int v = 0; v < V; v++)
    r[v] = x[v];
}

void steps_vector(const struct gie_cuda_steps *s, int v, bool along_c, float *r, int64_t n, int64_t c,
                  int64_t p)
{
  switch (v) {
  case 1:
    return apply<1>(s, along_c, r, n, c, p);
  case 2:
    return apply<2>(s, along_c, r, n, c, p);
  case 4:
    return apply<4>(s, along_c, r, n, c, p);
  default:
    return apply<8>(s, along_c, r, n, c, p);
  }
}
