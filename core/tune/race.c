/* SPDX-License-Identifier: Apache-2.0 */
/* The race, parent's side: asks the worker about all candidates at once, and again about the rest when
 * one of them has brought it down. The worker says what it is at, so the parent knows whom to blame. */
#include "core/tune/race.h"

struct heat {
  struct worker *w;
  struct gie_context *ctx;
  struct gie_arena mem;
  struct tune_candidate *c;
  uint32_t n;
  bool *done, *checked;
  struct race_request rq;
  uint32_t *index;   /* by entry of the request: the candidate */
  uint32_t *problem; /* by candidate: the request's problem */
  uint32_t at;       /* candidate that the worker is at; n: none yet */
  bool harmed;       /* some result says that the worker may be damaged */
};

static void decide(struct heat *h, uint32_t i, enum probe_verdict v, const char *text)
{
  h->c[i].verdict = v;
  snprintf(h->c[i].text, sizeof h->c[i].text, "%s", text);
  h->done[i] = true;
}

static gie_status take_news(void *user, enum wire_type type, char *payload, size_t size)
{
  struct heat *h = user;
  struct race_news n;
  if (type == WIRE_REPLY) {
    if (h->rq.options.times)
      race_get_times(payload, size, h->rq.options.times);
    return GIE_OK;
  }
  GIE_TRY(race_get_news(h->ctx, payload, size, &n));
  if (n.entry >= h->rq.n_entries)
    return gie_fail(h->ctx, GIE_E_DATA, "the probe worker speaks of a candidate that it was not asked about");
  uint32_t i = h->index[n.entry];
  h->at = i;
  if (n.word == RACE_START)
    return GIE_OK;
  if (!h->checked[i]) { /* one that was checked before is not checked again */
    h->c[i].error = n.error;
    h->checked[i] = n.word == RACE_CHECKED;
  }
  h->c[i].workspace = n.workspace;
  if (n.word != RACE_RESULT)
    return GIE_OK;
  h->c[i].seconds = n.seconds;
  h->c[i].spread = n.spread;
  h->harmed = h->harmed || !worker_is_harmless(n.verdict);
  decide(h, i, n.verdict, n.text);
  return GIE_OK;
}

/* The problems of all candidates, each once. */
static gie_status export_problems(struct heat *h)
{
  h->rq.problems = gie_arena_alloc(&h->mem, h->n, sizeof *h->rq.problems);
  h->problem = gie_arena_alloc(&h->mem, h->n, sizeof *h->problem);
  if (!h->rq.problems || !h->problem)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < h->n; i++) {
    uint32_t j = 0;
    while (j < i && h->c[j].problem != h->c[i].problem)
      j++;
    h->problem[i] = j < i ? h->problem[j] : h->rq.n_problems;
    if (j == i)
      GIE_TRY(race_export(&h->mem, h->c[i].problem->g, &h->rq.problems[h->rq.n_problems++]));
  }
  return GIE_OK;
}

static gie_status prepare(struct heat *h)
{
  h->done = gie_arena_alloc(&h->mem, h->n, sizeof *h->done);
  h->checked = gie_arena_alloc(&h->mem, h->n, sizeof *h->checked);
  h->index = gie_arena_alloc(&h->mem, h->n, sizeof *h->index);
  h->rq.entries = gie_arena_alloc(&h->mem, h->n, sizeof *h->rq.entries);
  if (!h->done || !h->checked || !h->index || !h->rq.entries)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < h->n; i++) {
    struct tune_candidate *c = &h->c[i];
    c->verdict = PROBE_OK;
    c->seconds = c->spread = c->error = 0;
    c->workspace = 0;
    c->text[0] = 0;
  }
  return export_problems(h);
}

/* Everybody who is not decided yet; false: all are. */
static bool list_entries(struct heat *h)
{
  h->rq.n_entries = 0;
  for (uint32_t i = 0; i < h->n; i++) {
    if (h->done[i])
      continue;
    h->index[h->rq.n_entries] = i;
    h->rq.entries[h->rq.n_entries++] = (struct race_entry){h->problem[i], h->c[i].config, h->checked[i],
                                                           h->c[i].kernel->name};
  }
  return h->rq.n_entries > 0;
}

static uint32_t count_done(const struct heat *h)
{
  uint32_t n = 0;
  for (uint32_t i = 0; i < h->n; i++)
    n += h->done[i];
  return n;
}

static gie_status ask(struct heat *h)
{
  enum worker_end end = WORKER_ANSWERED;
  uint32_t before = count_done(h);
  struct gie_buf b;
  char how[128];
  h->at = h->n;
  h->harmed = false;
  gie_buf_init(&b, h->ctx);
  gie_status st = race_put_request(&b, &h->rq);
  if (st == GIE_OK)
    st = worker_talk(h->w, WIRE_RACE, &b, take_news, h, &end, how);
  gie_buf_free(&b);
  if (st != GIE_OK)
    return st;
  if (end == WORKER_ANSWERED) {
    if (h->harmed)
      worker_replace(h->w);
  } else if (h->at < h->n && !h->done[h->at]) {
    decide(h, h->at, end == WORKER_HUNG ? PROBE_HUNG : PROBE_CRASHED, how);
  }
  return count_done(h) > before
             ? GIE_OK
             : gie_fail(h->ctx, GIE_E_INTERNAL, "the probe worker gave no result in a race: %s",
                        *how ? how : "it stopped early");
}

gie_status tune_race(struct worker *w, struct tune_candidate *c, uint32_t n,
                     const struct tune_race_options *o)
{
  struct heat h = {.w = w, .ctx = worker_context(w), .c = c, .n = n, .rq.options = *o};
  gie_arena_init(&h.mem, h.ctx);
  gie_status st = n ? prepare(&h) : GIE_OK;
  while (st == GIE_OK && n && list_entries(&h))
    st = ask(&h);
  gie_arena_free(&h.mem);
  return st;
}
