/* SPDX-License-Identifier: Apache-2.0 */
/* A host of ABI 1.9: loads a module and runs a graph whose outputs "a" and "d" have to agree.
 *
 *     host_ahead MODULE.so GRAPH.gie */
#include "core/base/base.h"
#include <gie/gie.h>
#include <math.h>
#include <stdio.h>

static int failed(struct gie_context *ctx, const char *what)
{
  fprintf(stderr, "host_ahead: %s: %s\n", what, gie_error_text(ctx));
  return 1;
}

static gie_status feed(struct gie_exec *x, const struct gie_graph *g)
{
  static float data[4096];
  const struct gie_value *v = gie_value_get(g, gie_graph_input(g, 0));
  struct gie_tensor t = {sizeof t, GIE_F32, v->type.shape.rank, {0}, data};
  for (int i = 0; i < t.rank; i++)
    t.dim[i] = v->type.shape.dim[i].b;
  for (int i = 0; i < 4096; i++)
    data[i] = (float)(i % 17) / 4 - 2;
  return gie_exec_set_input(x, v->name, &t);
}

int main(int argc, char **argv)
{
  const char *const modules[] = {argc > 1 ? argv[1] : "", NULL};
  const struct gie_context_options options = {.struct_size = sizeof options, .modules = modules};
  struct gie_module_info m = {.struct_size = sizeof m};
  struct gie_tensor a = {.struct_size = sizeof a}, d = {.struct_size = sizeof d};
  struct gie_context *ctx;
  struct gie_graph *g;
  struct gie_exec *x;
  size_t n = 1;
  double worst = 0;
  if (argc != 3 || gie_context_new(&options, &ctx) != GIE_OK)
    return argc == 3 ? failed(ctx, "load") : 64;
  if (gie_graph_load(ctx, argv[2], NULL, &g) != GIE_OK || gie_exec_new(g, NULL, &x) != GIE_OK ||
      feed(x, g) != GIE_OK || gie_exec_run(x) != GIE_OK || gie_exec_output(x, "a", &a) != GIE_OK ||
      gie_exec_output(x, "d", &d) != GIE_OK)
    return failed(ctx, argv[2]);
  for (int i = 0; i < a.rank; i++)
    n *= (size_t)a.dim[i];
  for (size_t i = 0; i < n; i++)
    worst = fmax(worst, fabs((double)((float *)a.data)[i] - (double)((float *)d.data)[i]));
  gie_module_at(ctx, 0, &m);
  printf("%s of ABI %u.%u runs in a host of %u.%u, error %g\n", m.name, m.abi_major, m.abi_minor,
         GIE_ABI_MAJOR, GIE_ABI_MINOR, worst);
  gie_exec_free(x);
  gie_graph_free(g);
  gie_context_free(ctx);
  return !(worst < 1e-6);
}
