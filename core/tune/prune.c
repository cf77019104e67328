/* SPDX-License-Identifier: Apache-2.0 */
/* Pruning: which alternatives are worth a measurement, by estimates alone. */
#include "core/tune/select.h"
#include <math.h>

#define PRUNE 4.0 /* estimates of different kernels are trusted to this factor */
#define AROUND \
  1.5 /* what ranges cost, or conversions at the edge, may make one that takes so much longer the better one */
#define KEEP 4 /* of one kernel's variants between the same forms, those that it expects most of */

static double set_estimate(const struct tuner *t, uint32_t set)
{
  double best = INFINITY;
  for (uint32_t i = 0; i < t->sets[set].n; i++)
    best = fmin(best, t->cands[t->sets[set].cands[i]].estimate);
  return best;
}

static double alt_estimate(const struct tuner *t, const struct tune_alt *a)
{
  double sum = a->kind == ALT_KERNEL ? t->cands[a->cand].estimate : 0;
  for (uint32_t i = 0; i < a->n_rest; i++)
    sum += set_estimate(t, a->rest[i]);
  return sum;
}

/* With those that are the best by now, whatever others expected. */
void tuner_want_set(struct tuner *t, uint32_t set)
{
  double best = set_estimate(t, set);
  if (t->sets[set].best != TUNE_NONE)
    t->cands[t->sets[set].best].wanted = true;
  for (uint32_t i = 0; i < t->sets[set].n; i++) {
    struct tune_cand *c = &t->cands[t->sets[set].cands[i]];
    c->wanted |= t->o->exhaustive || c->estimate <= PRUNE * best;
  }
}

/* Whether the same kernel offers b, which fuses more, with the same forms at both ends: then a is not worth timing. */
static bool fuses_less(const struct tuner *t, const struct tune_alt *a, const struct tune_alt *b)
{
  return b->kind == ALT_KERNEL && b->n_steps > a->n_steps &&
         t->cands[a->cand].kernel == t->cands[b->cand].kernel &&
         tune_form_same(&a->in[0].form, &b->in[0].form) && tune_form_same(&a->out[0].form, &b->out[0].form);
}

static bool is_outdone(const struct tuner *t, const struct tune_node *node, const struct tune_alt *a)
{
  for (size_t i = 0; i < node->n_alts; i++)
    if (fuses_less(t, a, &node->alts[i]))
      return true;
  return false;
}

static bool same_ends(const struct gie_node *n, const struct tune_alt *a, const struct tune_alt *b,
                      bool dtypes)
{
  for (uint32_t i = 0; i < n->n_in + n->n_out; i++) {
    struct tune_form x = i < n->n_in ? a->in[i].form : a->out[i - n->n_in].form;
    struct tune_form y = i < n->n_in ? b->in[i].form : b->out[i - n->n_in].form;
    if (!dtypes)
      x.dtype = y.dtype;
    if (!tune_form_same(&x, &y))
      return false;
  }
  return true;
}

/* Whether the kernel expects more of KEEP other variants that do the same between the same forms. A kernel knows its
 * own variants better than the roofline knows kernels: a vendor library's heuristics, or waves and tiles. */
static bool is_far_down(const struct tuner *t, const struct gie_node *n, const struct tune_node *node,
                        size_t i)
{
  const struct tune_alt *a = &node->alts[i];
  double own = t->cands[a->cand].estimate;
  uint32_t better = 0;
  for (size_t k = 0; k < node->n_alts && better < KEEP; k++) {
    const struct tune_alt *b = &node->alts[k];
    if (k == i || b->kind != ALT_KERNEL || b->n_steps != a->n_steps ||
        t->cands[b->cand].kernel != t->cands[a->cand].kernel)
      continue;
    double other = t->cands[b->cand].estimate;
    better += (other < own || (other <= own && k < i)) && same_ends(n, a, b, true);
  }
  return better == KEEP;
}

/* Whether something does the same in a narrower element type, between the same layouts, and is expected to be no
 * slower: who allows it wants that. At the network's edge casts are to be counted first. */
static bool is_wide(const struct selection *s, const struct gie_node *n, const struct tune_node *node,
                    size_t i)
{
  const struct tuner *t = s->t;
  const struct tune_alt *a = &node->alts[i];
  if (!GIE_OPTION(t->o, reduced_precision) || n->n_in == 0 || select_is_at_the_edge(s, n))
    return false;
  for (size_t k = 0; k < node->n_alts; k++) {
    const struct tune_alt *b = &node->alts[k];
    if (b->kind == ALT_KERNEL && b->n_steps >= a->n_steps &&
        gie_dtype_size(b->in[0].form.dtype) < gie_dtype_size(a->in[0].form.dtype) &&
        gie_dtype_size(b->out[0].form.dtype) < gie_dtype_size(a->out[0].form.dtype) &&
        t->cands[b->cand].estimate <= t->cands[a->cand].estimate && same_ends(n, a, b, false))
      return true;
  }
  return false;
}

static void want(struct tuner *t, const struct tune_alt *a)
{
  t->cands[a->cand].wanted = true;
  for (uint32_t k = 0; k < a->n_rest; k++)
    tuner_want_set(t, a->rest[k]);
}

/* Marks what is worth a measurement. An alternative that costs nothing does not count as the one to beat: its
 * cost lies in the conversions around it. */
static void prune_node(struct selection *s, const struct gie_node *n, struct tune_node *node)
{
  struct tuner *t = s->t;
  double best = INFINITY;
  for (size_t i = 0; i < node->n_alts; i++)
    if (node->alts[i].kind == ALT_KERNEL)
      best = fmin(best, alt_estimate(t, &node->alts[i]));
  for (size_t i = 0; i < node->n_alts; i++) {
    struct tune_alt *a = &node->alts[i];
    if (a->kind != ALT_KERNEL)
      continue;
    a->pruned = !t->o->exhaustive &&
                (is_outdone(t, node, a) || is_far_down(t, n, node, i) || is_wide(s, n, node, i));
    a->doubted = !t->o->exhaustive && !a->pruned && alt_estimate(t, a) > PRUNE * best;
    a->pruned |= a->doubted;
    t->report.pruned += a->pruned;
    if (!a->pruned)
      want(t, a);
  }
}

bool select_reconsider(struct selection *s, gie_id id)
{
  struct tuner *t = s->t;
  struct tune_node *node = &s->nodes[id];
  const struct gie_node *n = gie_node_get(s->g, id);
  bool is_around = (n->n_out && s->has_view[n->out[0]]) || select_is_at_the_edge(s, n);
  double best = INFINITY, factor = is_around ? AROUND : 1;
  bool some = false;
  for (size_t i = 0; i < node->n_alts; i++) {
    const struct tune_alt *a = &node->alts[i];
    const struct tune_cand *c = a->kind == ALT_KERNEL ? &t->cands[a->cand] : NULL;
    if (c && !a->pruned && a->n_rest == 0 && !c->bad && c->source != TUNE_ESTIMATED)
      best = fmin(best, c->seconds);
  }
  for (size_t i = 0; i < node->n_alts && isfinite(best); i++) {
    struct tune_alt *a = &node->alts[i];
    if (!a->doubted || alt_estimate(t, a) >= factor * best)
      continue;
    a->pruned = a->doubted = false;
    t->report.pruned--;
    want(t, a);
    some = true;
  }
  return some;
}

void select_prune(struct selection *s, uint32_t *n)
{
  *n = 0;
  GIE_FOR_NODES(s->g, id)
    if (s->nodes[id].open) {
      prune_node(s, gie_node_get(s->g, id), &s->nodes[id]);
      ++*n;
    }
}
