/* SPDX-License-Identifier: Apache-2.0 */
/* What a run did: time by node and by part, bytes by category, energy, results as they come. */
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
  int32_t stream = i < s->n_static ? (int32_t)s->schedule.at[i].stream : -1;
  *out = (struct gie_node_profile){n->id,         n->name,     n->op->name, step->kernel,
                                   step->seconds, step->start, stream};
  return true;
}

gie_status gie_exec_times(const struct gie_exec *x, struct gie_run_times *out)
{
  struct gie_run_times t = x->times;
  if (!x->ran)
    return gie_fail(x->ctx, GIE_E_USAGE, "there are no times yet; run first");
  t.struct_size = out->struct_size;
  memcpy(out, &t, out->struct_size < sizeof t ? out->struct_size : sizeof t);
  return GIE_OK;
}

/* ---- The device -------------------------------------------------------------------------------- */

const char *gie_exec_device(const struct gie_exec *x, struct gie_device_info *out)
{
  struct gie_device_info info = x->device->info;
  info.struct_size = out->struct_size;
  memcpy(out, &info, out->struct_size < sizeof info ? out->struct_size : sizeof info);
  return x->device->ops->kind;
}

uint32_t gie_exec_threads(const struct gie_exec *x) { return x->threads; }

gie_status gie_exec_energy(struct gie_exec *x, double *joules)
{
  const struct run_device *d = x->device;
  size_t needed = offsetof(struct gie_device, energy) + sizeof d->ops->energy;
  if (!(d->info.flags & GIE_DEVICE_ENERGY) || d->ops->struct_size < needed || !d->ops->energy)
    return gie_fail(x->ctx, GIE_E_UNSUPPORTED, "device %s does not count its energy", d->ops->kind);
  GIE_TRY(run_device_activate(x->device));
  return d->ops->energy(d->dev, joules);
}

/* ---- Results as they come ---------------------------------------------------------------------- */

void gie_exec_watch(struct gie_exec *x, gie_status (*fn)(void *user, const struct gie_watched *w), void *user)
{
  x->watch.fn = fn;
  x->watch.user = user;
}

gie_status run_show(struct gie_exec *x, const struct run_spec *s, const struct run_step *step, gie_id value,
                    const struct gie_tensor *t)
{
  struct gie_watched w = {sizeof w, s->graph, step->node, value, step->kernel, t};
  return x->watch.fn(x->watch.user, &w);
}

/* ---- Memory ------------------------------------------------------------------------------------ */

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
