/* SPDX-License-Identifier: Apache-2.0 */
/* From figures to prices: estimates at the level of what was measured, the best of each set, and what another
 * alternative with the same ports makes superfluous. */
#include "core/tune/select.h"
#include <math.h>

#define MAX_NOISE 0.1 /* a spread above that is a disturbance and says nothing of which is faster */
#define NOISE 0.02    /* times closer than this are called equal, or than the spread if that is more */

static int by_value(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* How far off the estimates of the measured candidates of a kernel are, in the middle; 1 without any. */
static double calibration(const struct tuner *t, const struct gie_kernel *k, double *ratios)
{
  size_t n = 0;
  for (size_t i = 0; i < t->n_cands; i++) {
    const struct tune_cand *c = &t->cands[i];
    if (c->source != TUNE_ESTIMATED && !c->bad && (!k || c->kernel == k))
      ratios[n++] = c->seconds / c->estimate;
  }
  qsort(ratios, n, sizeof *ratios, by_value);
  return n ? ratios[n / 2] : 0;
}

/* A conversion that a choice makes is measured then, and all is chosen again; one that nobody dares to choose because others
 * take longer than they expect is never measured. So as long as there is time those of kernels without any figure are
 * taken at their word. */
static bool is_on_trial(const struct tuner *t, const struct tune_cand *c)
{
  const struct gie_node *n = gie_node_get(c->problem->g, gie_graph_first(c->problem->g));
  return !t->no_timing && !t->report.out_of_budget &&
         (strcmp(n->op->name, "reorder") == 0 || strcmp(n->op->name, "cast") == 0);
}

/* Brings estimates to the level of the measurements, so that the two can be compared. */
static gie_status calibrate(struct tuner *t)
{
  double *ratios = gie_alloc(t->ctx, t->n_cands, sizeof *ratios);
  if (!ratios)
    return GIE_E_MEMORY;
  double all = calibration(t, NULL, ratios);
  for (size_t i = 0; i < t->binder.rules.n; i++) {
    const struct gie_kernel *k = t->binder.rules.order[i];
    double own = calibration(t, k, ratios), factor = own > 0 ? own : all > 0 ? all : 1;
    for (size_t j = 0; j < t->n_cands; j++) {
      struct tune_cand *c = &t->cands[j];
      if (c->kernel == k && c->source == TUNE_ESTIMATED)
        c->seconds = c->estimate * (own > 0 || !is_on_trial(t, c) ? factor : fmin(factor, 1));
    }
  }
  gie_free(t->ctx, ratios);
  return GIE_OK;
}

double tuner_noise(const struct tune_cand *c) { return fmin(MAX_NOISE, fmax(NOISE, c->spread)); }

/* The best of each set; within the noise the first. */
static void decide_sets(struct tuner *t)
{
  for (size_t i = 0; i < t->n_sets; i++) {
    struct tune_set *set = &t->sets[i];
    set->best = TUNE_NONE;
    for (uint32_t k = 0; k < set->n; k++) {
      const struct tune_cand *c = &t->cands[set->cands[k]];
      const struct tune_cand *best = set->best == TUNE_NONE ? NULL : &t->cands[set->best];
      if (!c->bad && (!best || c->seconds < best->seconds * (1 - fmax(tuner_noise(c), tuner_noise(best)))))
        set->best = set->cands[k];
    }
  }
}

gie_status tuner_price(struct tuner *t)
{
  GIE_TRY(calibrate(t));
  decide_sets(t);
  return GIE_OK;
}

double select_alt_cost(const struct tuner *t, const struct tune_alt *a)
{
  double sum = 0;
  if (a->kind == ALT_KERNEL)
    sum = t->cands[a->cand].bad ? INFINITY : t->cands[a->cand].seconds;
  for (uint32_t i = 0; i < a->n_rest; i++)
    sum += tuner_set_seconds(t, a->rest[i]);
  return sum;
}

static bool same_ports(const struct gie_node *n, const struct tune_alt *a, const struct tune_alt *b)
{
  for (uint32_t i = 0; i < n->n_in + n->n_out; i++) {
    const struct tune_port *p = i < n->n_in ? &a->in[i] : &a->out[i - n->n_in];
    const struct tune_port *q = i < n->n_in ? &b->in[i] : &b->out[i - n->n_in];
    if (!tune_form_same(&p->form, &q->form) || p->pitch < q->pitch || p->axes != q->axes ||
        p->align > q->align || p->more > q->more)
      return false;
  }
  return true;
}

static double alt_noise(const struct tuner *t, const struct tune_alt *a)
{
  return a->kind == ALT_KERNEL ? tuner_noise(&t->cands[a->cand]) : 0;
}

/* Prices the alternatives and drops those that another one with the same ports beats. Of two within the noise
 * of each other the first stays, so that noise does not change the plan. */
void select_price(struct selection *s, gie_id id)
{
  const struct tuner *t = s->t;
  struct tune_node *node = &s->nodes[id];
  const struct gie_node *n = gie_node_get(s->g, id);
  for (size_t i = 0; i < node->n_alts; i++) {
    struct tune_alt *a = &node->alts[i];
    a->cost = select_alt_cost(t, a);
    a->pruned &= !a->outdone;
    a->outdone = false;
  }
  for (size_t i = 0; i < node->n_alts; i++)
    for (size_t k = 0; k < node->n_alts && !node->alts[i].pruned; k++) {
      const struct tune_alt *a = &node->alts[i], *b = &node->alts[k];
      if (i == k || b->pruned || a->kind != ALT_KERNEL || b->kind != ALT_KERNEL || !same_ports(n, b, a))
        continue;
      double noise = t->o->random_costs || t->no_timing ? 0 : fmax(alt_noise(t, a), alt_noise(t, b));
      if (b->cost < a->cost * (1 - noise) || (k < i && b->cost <= a->cost * (1 + noise)))
        node->alts[i].pruned = node->alts[i].outdone = true;
    }
}
