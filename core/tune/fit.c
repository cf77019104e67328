/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping a profile within a limit of memory: the choice is bound as an executor binds it, and while it needs too much,
 * the kernel with the most workspace is given up and all is chosen again. */
#include "core/tune/select.h"
#include <math.h>

struct need {
  uint64_t constants, activations, workspace, outputs;
  gie_id node; /* with the most workspace; GIE_NONE: none has any */
  size_t most;
};

static void take_need(const struct tuner *t, const struct run_spec *spec, struct need *n)
{
  *n = (struct need){.node = GIE_NONE};
  n->constants = run_weights_bytes((struct run_weights *)(uintptr_t)&t->weights);
  n->activations = spec->plan.activations;
  n->workspace = spec->plan.workspace;
  n->outputs = spec->plan.outputs;
  for (uint32_t i = 0; i < spec->n_static; i++)
    if (spec->steps[i].bound.workspace > n->most) {
      n->most = spec->steps[i].bound.workspace;
      n->node = spec->steps[i].node;
    }
}

/* Binds a copy of the graph. E_UNSUPPORTED, for want of a kernel on the host, says nothing of memory. */
static gie_status bind(struct tuner *t, const struct gie_graph *g, struct need *n)
{
  struct run_spec *spec = gie_alloc(t->ctx, 1, sizeof *spec);
  if (!spec)
    return GIE_E_MEMORY;
  run_weights_free(&t->weights); /* those of the choice before */
  run_weights_init(&t->weights, &t->device);
  gie_arena_init(&spec->mem, t->ctx);
  gie_status st = gie_graph_clone(g, &spec->graph);
  if (st == GIE_OK)
    st = run_spec_build(spec, &t->binder, NULL);
  if (st == GIE_OK)
    take_need(t, spec, n);
  run_spec_free(spec);
  if (st == GIE_E_UNSUPPORTED)
    *n = (struct need){.node = GIE_NONE};
  return st == GIE_E_UNSUPPORTED ? GIE_OK : st;
}

static gie_status does_not_fit(const struct tuner *t, const struct need *n)
{
  return gie_fail(
      t->ctx, GIE_E_MEMORY,
      "at least %llu bytes are needed (%llu of constants, %llu of activations, %llu of outputs), the limit is "
      "%llu; raise it or take a smaller batch",
      (unsigned long long)(n->constants + n->activations + n->workspace + n->outputs),
      (unsigned long long)n->constants, (unsigned long long)(n->activations + n->workspace),
      (unsigned long long)n->outputs, (unsigned long long)t->o->memory_limit);
}

/* Gives the chosen candidate of a node up; what it had outdone is possible again. */
static gie_status give_up(struct selection *s, gie_id id, size_t workspace)
{
  struct tuner *t = s->t;
  struct tune_node *node = &s->nodes[id];
  uint32_t cand = node->alts[node->choice].cand;
  struct tune_cand *c = &t->cands[cand];
  char *why = gie_arena_alloc(&t->mem, 96, 1);
  if (!why)
    return GIE_E_MEMORY;
  snprintf(why, 96, "limit: its %zu bytes of workspace are too many beside the rest", workspace);
  c->bad = why;
  c->verdict = PROBE_LIMIT;
  t->report.bad++;
  for (size_t i = 0; i < node->n_alts; i++) {
    struct tune_alt *a = &node->alts[i];
    if (a->kind == ALT_KERNEL && a->cand == cand)
      a->cost = INFINITY;
    else if (isfinite(a->cost))
      a->pruned = false;
  }
  return select_check_failed(s);
}

gie_status select_fit(struct selection *s, const struct gie_graph *lowered, bool *again)
{
  struct tuner *t = s->t;
  struct need n;
  *again = false;
  if (!t->o->memory_limit)
    return GIE_OK;
  GIE_TRY(bind(t, lowered, &n));
  if (n.constants + n.activations + n.workspace + n.outputs <= t->o->memory_limit)
    return GIE_OK;
  /* steps that were cut off and conversions have nodes of their own, which have no alternatives here */
  bool has_choice = n.node != GIE_NONE && n.node < gie_graph_n_nodes(s->g) && s->nodes[n.node].open &&
                    s->nodes[n.node].alts[s->nodes[n.node].choice].kind == ALT_KERNEL;
  if (!has_choice)
    return does_not_fit(t, &n);
  gie_status st = give_up(s, n.node, n.most);
  *again = st == GIE_OK;
  return st == GIE_E_MEMORY || st == GIE_E_UNSUPPORTED ? does_not_fit(t, &n) : st;
}
