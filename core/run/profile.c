/* SPDX-License-Identifier: Apache-2.0 */
/* What a run cost: time by node, bytes by category. */
#include "core/run/run.h"
#include <time.h>

double run_now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

const struct gie_graph *gie_exec_graph(const struct gie_exec *x)
{
  return x->current ? x->current->graph : x->graph;
}

bool gie_exec_profile(const struct gie_exec *x, uint32_t i, struct gie_node_profile *out)
{
  const struct run_spec *s = x->current;
  if (!s || i >= s->n_static + s->n_tail)
    return false;
  const struct run_step *step = &s->steps[i];
  const struct gie_node *n = gie_node_get(s->graph, step->node);
  *out = (struct gie_node_profile){n->id, n->name, n->op->name, step->kernel, step->seconds};
  return true;
}

gie_status gie_exec_memory(const struct gie_exec *x, struct gie_memory_report *out)
{
  const struct run_spec *s = x->current;
  if (!s)
    return gie_fail(x->ctx, GIE_E_USAGE,
                    "the memory is not planned yet; run once, so that all shapes are known");
  uint64_t inputs = 0;
  for (uint32_t i = 0; i < x->n_inputs; i++)
    inputs += x->inputs[i].block.bytes;
  struct gie_memory_report r = {
      .struct_size = out->struct_size,
      .constants = run_weights_bytes(&x->engine->weights) + run_weights_bytes(&x->engine->host_weights),
      .activations = s->plan.activations,
      .workspace = s->plan.workspace,
      .inputs = inputs,
      .outputs = s->plan.outputs,
      .unshared = s->unshared,
      .tail = x->tail_peak,
  };
  memcpy(out, &r, out->struct_size < sizeof r ? out->struct_size : sizeof r);
  return GIE_OK;
}
