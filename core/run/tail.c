/* SPDX-License-Identifier: Apache-2.0 */
/* The dynamic tail: nodes whose dims depend on computed values, and all behind them. They run one by
 * one on the host; each result gets its memory when its shape is known and gives it back after its
 * last reader. */
#include "core/run/run.h"

void run_tail_reset(struct gie_exec *x)
{
  for (uint32_t i = 0; x->tail && i < x->n_tail_values; i++)
    if (x->tail[i].owned)
      gie_free(x->ctx, x->tail[i].t.data);
  gie_free(x->ctx, x->tail);
  x->tail = NULL;
  x->n_tail_values = 0;
  x->tail_bytes = 0;
}

/* Gives a value memory of its own and counts it. */
static void own(struct gie_exec *x, gie_id value, const struct gie_tensor *t, size_t bytes)
{
  x->tail[value].t = *t;
  x->tail[value].owned = true;
  x->tail[value].bytes = bytes;
  x->tail_bytes += bytes;
  x->tail_peak = x->tail_bytes > x->tail_peak ? x->tail_bytes : x->tail_peak;
}

static gie_status start(struct gie_exec *x, const struct run_spec *s)
{
  const struct gie_graph *g = s->graph;
  run_tail_reset(x);
  x->tail_peak = 0;
  uint32_t n = gie_graph_n_values(g);
  x->tail = gie_alloc(x->ctx, n, sizeof *x->tail);
  if (!x->tail)
    return GIE_E_MEMORY;
  x->n_tail_values = n;
  for (uint32_t i = s->n_static; i < s->n_static + s->n_tail; i++) {
    const struct gie_node *node = gie_node_get(g, s->steps[i].node);
    for (uint32_t k = 0; k < node->n_in; k++)
      if (node->in[k] != GIE_NONE)
        x->tail[node->in[k]].uses++;
  }
  for (uint32_t i = 0; i < gie_graph_n_outputs(g); i++)
    x->tail[gie_graph_output(g, i)].output = true;
  return GIE_OK;
}

gie_status run_tail_value(struct gie_exec *x, struct run_spec *s, gie_id value, struct gie_tensor *out)
{
  struct run_tail *t = &x->tail[value];
  const struct gie_value *v = gie_value_get(s->graph, value);
  if (!t->t.data) {
    struct run_memory_block block = {0};
    if (v->producer != GIE_NONE && s->is_tail[v->producer])
      return gie_fail(x->ctx, GIE_E_INTERNAL, "value \"%s\" is read before it is computed", v->name);
    gie_status st = run_static_value(x, s, value, false, &block, &t->t);
    if (st != GIE_OK) {
      gie_free(x->ctx, block.data);
      return st;
    }
    if (block.data)
      own(x, value, &t->t, block.bytes);
  }
  *out = t->t;
  return GIE_OK;
}

/* Operands of a node; constants stay what they are, so that their packed forms are found again. */
static gie_status operands(struct gie_exec *x, struct run_spec *s, const struct gie_node *n,
                           struct gie_tensor *in)
{
  memset(in, 0, n->n_in * sizeof *in);
  for (uint32_t i = 0; i < n->n_in; i++)
    if (n->in[i] != GIE_NONE && gie_value_get(s->graph, n->in[i])->kind != GIE_VALUE_CONST)
      GIE_TRY(run_tail_value(x, s, n->in[i], &in[i]));
  return GIE_OK;
}

static void release(struct gie_exec *x, gie_id value)
{
  struct run_tail *t = &x->tail[value];
  if (t->uses || t->output || !t->owned)
    return;
  gie_free(x->ctx, t->t.data);
  x->tail_bytes -= t->bytes;
  t->t.data = NULL;
  t->owned = false;
}

static gie_status run_one(struct gie_exec *x, struct run_spec *s, struct run_step *step)
{
  const struct gie_node *n = gie_node_get(s->graph, step->node);
  struct gie_tensor *in = gie_alloc(x->ctx, n->n_in, sizeof *in),
                    *out = gie_alloc(x->ctx, n->n_out, sizeof *out);
  double from = x->profile ? run_now() : x->began;
  gie_status st = in && out ? operands(x, s, n, in) : GIE_E_MEMORY;
  if (st == GIE_OK)
    st = run_once_node(&x->once, s->graph, step->node, in, out);
  for (uint32_t i = 0; st == GIE_OK && i < n->n_out; i++) {
    size_t bytes = 0;
    run_tensor_bytes(x->ctx, &out[i], &bytes); /* cannot fail: it was allocated by it */
    own(x, n->out[i], &out[i], bytes);
  }
  step->kernel = x->once.kernel;
  for (uint32_t i = 0; x->watch.fn && st == GIE_OK && i < n->n_out; i++)
    if (x->tail[n->out[i]].uses || x->tail[n->out[i]].output)
      st = run_show(x, s, step, n->out[i], &out[i]);
  for (uint32_t i = 0; st == GIE_OK && i < n->n_out; i++)
    release(x, n->out[i]); /* nobody reads it */
  for (uint32_t i = 0; st == GIE_OK && i < n->n_in; i++)
    if (n->in[i] != GIE_NONE) {
      x->tail[n->in[i]].uses--;
      release(x, n->in[i]);
    }
  step->start = from - x->began;
  step->seconds = x->profile ? run_now() - from : 0;
  gie_free(x->ctx, in);
  gie_free(x->ctx, out);
  return st;
}

gie_status run_tail_nodes(struct gie_exec *x, struct run_spec *s)
{
  if (s->n_tail == 0) {
    run_tail_reset(x);
    x->tail_peak = 0;
    return GIE_OK;
  }
  GIE_TRY(start(x, s));
  for (uint32_t i = s->n_static; i < s->n_static + s->n_tail; i++)
    GIE_TRY(run_one(x, s, &s->steps[i]));
  return GIE_OK;
}
