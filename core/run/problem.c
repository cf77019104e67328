/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the problem that kernels are asked about: a node with every dim a number. */
#include "core/module/registry.h"
#include "core/run/run.h"

static gie_status describe(struct run_problem *p, const struct gie_graph *g, uint32_t i, gie_id value,
                           const struct run_value *values)
{
  static const struct gie_layout plain;
  const struct gie_value *v = gie_value_get(g, value);
  p->in_data[i] = NULL;
  if (!v) {
    memset(&p->plain[i], 0, sizeof p->plain[i]);
    p->here[i] = p->plain[i];
    return GIE_OK;
  }
  gie_status st = gie_desc_make(g->ctx, &v->type, &plain, &p->plain[i], NULL);
  if (st != GIE_OK)
    return gie_error_prefix(g->ctx, st, "value \"%s\"", v->name);
  p->here[i] = values && values[value].placed ? values[value].desc : p->plain[i];
  p->in_data[i] = gie_value_bytes(g, value, NULL);
  return GIE_OK;
}

gie_status run_problem_fill(struct run_problem *p, struct run_device *d, const struct gie_graph *g,
                            const struct gie_node *n, const struct run_value *values)
{
  struct gie_context *ctx = d->ctx;
  size_t need = (size_t)n->n_in + n->n_out;
  GIE_TRY(gie_grow(ctx, &p->plain, &p->cap_plain, need, sizeof *p->plain));
  GIE_TRY(gie_grow(ctx, &p->here, &p->cap_here, need, sizeof *p->here));
  GIE_TRY(gie_grow(ctx, &p->in_data, &p->cap_data, need, sizeof *p->in_data));
  for (uint32_t i = 0; i < n->n_in; i++)
    GIE_TRY(describe(p, g, i, n->in[i], values));
  for (uint32_t i = 0; i < n->n_out; i++)
    GIE_TRY(describe(p, g, n->n_in + i, n->out[i], values));
  p->pub = (struct gie_problem){
      .struct_size = sizeof p->pub,
      .ctx = ctx,
      .graph = g,
      .node = n,
      .n_in = n->n_in,
      .n_out = n->n_out,
      .in_data = p->in_data,
      .math = mod_math(n),
      .device_kind = d->ops->kind,
      .device = &d->info,
      .threads = d->threads,
      .narrow = GIE_NARROW_NO, /* types are settled */
  };
  run_problem_show(p, false);
  return GIE_OK;
}

void run_problem_show(struct run_problem *p, bool here)
{
  const struct gie_desc *d = here ? p->here : p->plain;
  p->pub.in = d;
  p->pub.out = d + p->pub.n_in;
}

void run_problem_free(struct run_problem *p, struct gie_context *ctx)
{
  gie_free(ctx, p->plain);
  gie_free(ctx, p->here);
  gie_free(ctx, p->in_data);
  memset(p, 0, sizeof *p);
}
