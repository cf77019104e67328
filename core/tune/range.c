/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges. Candidates are raced on whole tensors, with what their ports say about ranges of something larger taken on
 * trust. Once a choice says which operands and results are ranges, its kernels are measured so. One that refuses then
 * takes none at that port; one that is slower pays the difference there. Then all is chosen again, in which what had been
 * outdone on whole tensors may win. */
#include "core/tune/select.h"
#include <math.h>

#define RIVALS 4 /* alternatives of a node that are measured together, the chosen one included */
#define NEAR \
  1.25 /* slower than the chosen one on whole tensors by more than this: not before others have failed */

/* ---- What the choice gives ranges ------------------------------------------------------------------- */

/* Larger tensors than the problem's own are made along this axis only (tune_pitched_desc). */
static bool is_known_range(const struct selection *s, gie_id value, const struct tune_home *h)
{
  return h->in_place && h->axis == 1 && gie_value_get(s->g, value)->type.shape.rank > 1;
}

/* Whether the candidate reads the operand, rather than a step that it leaves over. */
static bool is_own_operand(const struct gie_node *n, const struct tune_alt *a, uint32_t slot)
{
  for (uint32_t i = a->n_steps; i < n->n_steps; i++)
    if (n->steps[i].operand == (int32_t)slot)
      return false;
  return true;
}

/* The ports that are ranges under the present choice. */
static uint64_t ranges_of(const struct selection *s, const struct gie_node *n, const struct tune_alt *a)
{
  struct tune_home h;
  uint64_t ports = 0;
  for (uint32_t i = 0; i < n->n_in + n->n_out && i < 64; i++) {
    gie_id v = i < n->n_in ? n->in[i] : n->out[i - n->n_in];
    if (v == GIE_NONE || !select_is_chosen(s, v))
      continue;
    select_home(s, v, &h);
    bool here = i < n->n_in ? is_own_operand(n, a, i) &&
                                  select_reads_home(&h, &a->in[i], gie_value_get(s->g, v)->type.shape.rank)
                            : a->n_rest == 0;
    if (here && is_known_range(s, v, &h))
      ports |= 1ull << i;
  }
  return ports;
}

/* ---- Trials ----------------------------------------------------------------------------------------- */

static struct tune_port *port_at(const struct gie_node *n, const struct tune_alt *a, uint32_t i)
{
  return i < n->n_in ? &a->in[i] : &a->out[i - n->n_in];
}

static struct tune_trial *find_trial(const struct tune_alt *a, uint64_t ports)
{
  for (struct tune_trial *t = a->trials; t; t = t->next)
    if (t->ports == ports)
      return t;
  return NULL;
}

/* Whether a says that it takes ranges where `like` does, in the same forms. */
static bool can_replace(const struct gie_node *n, const struct tune_alt *a, const struct tune_alt *like,
                        uint64_t ports)
{
  for (uint32_t i = 0; i < n->n_in + n->n_out; i++) {
    const struct tune_port *p = port_at(n, a, i), *q = port_at(n, like, i);
    bool is_range = i < 64 && (ports >> i & 1);
    if (!tune_form_same(&p->form, &q->form) || (is_range && (!tune_takes_range(p, 1) || p->align > q->align)))
      return false;
  }
  return a->kind == ALT_KERNEL && a->n_steps == like->n_steps;
}

/* The candidate for an alternative with ranges; it expects what the one without takes. */
static gie_status make_trial(struct selection *s, const struct gie_node *n, struct tune_alt *a,
                             uint64_t ports, struct tune_trial **out)
{
  struct tuner *t = s->t;
  const struct tune_problem *problem;
  struct tune_problem made;
  struct tune_trial *trial = gie_arena_alloc(&s->mem, 1, sizeof *trial);
  struct tune_form *forms = gie_arena_alloc(&s->mem, (size_t)n->n_in + n->n_out, sizeof *forms);
  if (!trial || !forms)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < n->n_in + n->n_out; i++) {
    forms[i] = port_at(n, a, i)->form;
    forms[i].pitched = i < 64 && (ports >> i & 1);
  }
  GIE_TRY(tune_problem_make_with(&t->consts, s->g, n, a->n_steps, forms, forms + n->n_in, &made));
  GIE_TRY(tuner_problem(t, &made, &problem));
  const struct tune_cand c = t->cands[a->cand]; /* the array may move */
  GIE_TRY(tuner_cand(t, problem, c.kernel, c.config, c.label, c.estimate, &trial->cand));
  t->cands[trial->cand].wanted = true;
  trial->ports = ports;
  trial->next = a->trials;
  a->trials = *out = trial;
  return GIE_OK;
}

/* ---- Verdicts --------------------------------------------------------------------------------------- */

static gie_status say_why(struct selection *s, struct tune_alt *a, const char *bad)
{
  size_t size = strlen(bad) + 32;
  char *text = gie_arena_alloc(&s->mem, size, 1);
  if (!text)
    return GIE_E_MEMORY;
  snprintf(text, size, "with a range: %s", bad);
  a->why = text;
  return GIE_OK;
}

static void lose(const struct gie_node *n, struct tune_alt *a, uint32_t port, bool *changed)
{
  *changed |= port_at(n, a, port)->pitch;
  port_at(n, a, port)->pitch = false;
}

static uint32_t lowest(uint64_t ports)
{
  uint32_t i = 0;
  while (i < 63 && !(ports >> i & 1))
    i++;
  return i;
}

static uint32_t highest(uint64_t ports)
{
  uint32_t i = 63;
  while (i > 0 && !(ports >> i & 1))
    i--;
  return i;
}

/* What a range costs more goes to the result, if that is one: there a copy can take its place. */
static void charge(struct selection *s, const struct gie_node *n, struct tune_alt *a,
                   const struct tune_trial *trial, bool *changed)
{
  const struct tune_cand *c = &s->t->cands[trial->cand], *whole = &s->t->cands[a->cand];
  uint32_t port = highest(trial->ports) >= n->n_in ? highest(trial->ports) : lowest(trial->ports);
  double more = c->seconds - whole->seconds, noise = fmax(tuner_noise(c), tuner_noise(whole));
  if (c->source == TUNE_ESTIMATED || whole->source == TUNE_ESTIMATED || more <= noise * whole->seconds)
    more = 0;
  *changed |= port_at(n, a, port)->more < more;
  if (port_at(n, a, port)->more < more)
    port_at(n, a, port)->more = more;
}

/* Refused with several ranges: which of them is it? Each alone; if each alone is fine, it is the result. */
static gie_status find_culprit(struct selection *s, const struct gie_node *n, struct tune_alt *a,
                               uint64_t ports, bool *changed)
{
  bool found = false;
  for (uint32_t i = 0; i < 64; i++) {
    struct tune_trial *trial;
    if (!(ports >> i & 1))
      continue;
    if (!(trial = find_trial(a, 1ull << i)))
      GIE_TRY(make_trial(s, n, a, 1ull << i, &trial));
    GIE_TRY(tuner_measure(s->t, n->name, &trial->cand, 1));
    if (!s->t->cands[trial->cand].bad)
      continue;
    lose(n, a, i, changed);
    found = true;
  }
  if (!found)
    lose(n, a, highest(ports), changed);
  return GIE_OK;
}

static gie_status judge(struct selection *s, const struct gie_node *n, struct tune_alt *a,
                        const struct tune_trial *trial, bool *changed)
{
  const char *bad = s->t->cands[trial->cand].bad;
  if (!bad) {
    charge(s, n, a, trial, changed);
    return GIE_OK;
  }
  GIE_TRY(say_why(s, a, bad));
  if ((trial->ports & (trial->ports - 1)) != 0)
    return find_culprit(s, n, a, trial->ports, changed);
  lose(n, a, lowest(trial->ports), changed);
  return GIE_OK;
}

/* ---- All of it -------------------------------------------------------------------------------------- */

/* The chosen alternative, and the next best of those that could stand in for it. */
static uint32_t list_rivals(const struct selection *s, const struct gie_node *n, uint64_t ports,
                            struct tune_alt *list[RIVALS])
{
  struct tune_node *node = &s->nodes[n->id];
  struct tune_alt *chosen = &node->alts[node->choice];
  uint32_t count = 1;
  list[0] = chosen;
  while (count < RIVALS) {
    struct tune_alt *best = NULL;
    for (size_t i = 0; i < node->n_alts; i++) {
      struct tune_alt *a = &node->alts[i];
      bool listed = false;
      for (uint32_t k = 0; k < count; k++)
        listed |= list[k] == a;
      if (!listed && (!a->pruned || a->outdone) && a->cost <= NEAR * chosen->cost && !find_trial(a, ports) &&
          can_replace(n, a, chosen, ports) && (!best || a->cost < best->cost))
        best = a;
    }
    if (!best)
      break;
    list[count++] = best;
  }
  return count;
}

static gie_status try_node(struct selection *s, const struct gie_node *n, uint64_t ports, bool *changed)
{
  struct tune_alt *rivals[RIVALS];
  struct tune_trial *trials[RIVALS];
  uint32_t cands[RIVALS], count = list_rivals(s, n, ports, rivals);
  for (uint32_t i = 0; i < count; i++) {
    GIE_TRY(make_trial(s, n, rivals[i], ports, &trials[i]));
    cands[i] = trials[i]->cand;
  }
  GIE_TRY(tuner_measure(s->t, n->name, cands, count));
  for (uint32_t i = 0; i < count; i++)
    GIE_TRY(judge(s, n, rivals[i], trials[i], changed));
  return GIE_OK;
}

/* Nobody has looked: no ranges where values may be ones, so that the last choice holds no surprise. */
static bool drop_the_rest(struct selection *s, const struct gie_node *n)
{
  struct tune_node *node = &s->nodes[n->id];
  bool changed = false;
  for (size_t i = 0; i < node->n_alts; i++) {
    struct tune_alt *a = &node->alts[i];
    for (uint32_t k = 0; a->kind == ALT_KERNEL && !a->trials && k < n->n_in + n->n_out; k++) {
      gie_id v = k < n->n_in ? n->in[k] : n->out[k - n->n_in];
      if (v != GIE_NONE && s->has_view[v])
        lose(n, a, k, &changed);
    }
  }
  return changed;
}

gie_status select_ranges(struct selection *s, bool last, bool *changed)
{
  *changed = false;
  GIE_FOR_NODES(s->g, id) {
    const struct gie_node *n = gie_node_get(s->g, id);
    struct tune_node *node = &s->nodes[id];
    bool mine = false;
    if (!node->open || node->alts[node->choice].kind != ALT_KERNEL)
      continue;
    uint64_t ports = ranges_of(s, n, &node->alts[node->choice]);
    if (ports && !find_trial(&node->alts[node->choice], ports))
      GIE_TRY(try_node(s, n, ports, &mine));
    if (last)
      mine |= drop_the_rest(s, n);
    if (mine)
      select_price(s, id);
    *changed |= mine;
  }
  return GIE_OK;
}
