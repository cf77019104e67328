/* SPDX-License-Identifier: Apache-2.0 */
/* Order of steps and what it guarantees. Each step has a vector clock: how many steps of every
 * stream are certainly finished before it starts. It is the join of the clock after the previous
 * step of the same stream and of the clocks after the steps it waits for. */
#include "core/run/run.h"

static uint32_t *clock_of(const struct run_schedule *s, uint32_t step)
{
  return s->clocks + (size_t)step * s->n_streams;
}

static void join(const struct run_schedule *s, uint32_t *clock, uint32_t done)
{
  const uint32_t *other = clock_of(s, done);
  for (uint32_t i = 0; i < s->n_streams; i++)
    clock[i] = clock[i] > other[i] ? clock[i] : other[i];
  uint32_t *own = &clock[s->at[done].stream];
  *own = *own > s->at[done].index + 1 ? *own : s->at[done].index + 1;
}

/* Index of the dependency that is farthest ahead among those not yet guaranteed, or -1. Taking it
 * first makes those behind it on the same stream needless. */
static int64_t farthest(const struct run_schedule *s, uint32_t step, const uint32_t *deps, uint32_t n)
{
  int64_t best = -1;
  for (uint32_t i = 0; i < n; i++)
    if (!run_before(s, deps[i], step) && (best < 0 || deps[i] > deps[best]))
      best = i;
  return best;
}

gie_status run_schedule_make(struct gie_arena *mem, uint32_t n_steps, uint32_t n_streams,
                             const uint32_t *stream_of, const uint32_t *first, const uint32_t *deps,
                             struct run_schedule *out)
{
  struct run_schedule s = {.n_steps = n_steps, .n_streams = n_streams ? n_streams : 1};
  size_t clocks;
  if (!gie_mul(n_steps, s.n_streams, &clocks))
    return gie_fail(mem->ctx, GIE_E_MEMORY, "the schedule is too large");
  uint32_t *last = gie_arena_alloc(mem, s.n_streams, sizeof *last); /* last step of each stream, plus 1 */
  s.at = gie_arena_alloc(mem, n_steps, sizeof *s.at);
  s.clocks = gie_arena_alloc(mem, clocks, sizeof *s.clocks);
  s.waits = gie_arena_alloc(mem, n_steps ? first[n_steps] : 0, sizeof *s.waits);
  if (!last || !s.at || !s.clocks || !s.waits)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < n_steps; i++) {
    struct run_position *at = &s.at[i];
    at->stream = stream_of ? stream_of[i] : 0;
    at->first_wait = (uint32_t)s.n_waits;
    if (last[at->stream]) {
      at->index = s.at[last[at->stream] - 1].index + 1;
      join(&s, clock_of(&s, i), last[at->stream] - 1);
    }
    last[at->stream] = i + 1;
    for (int64_t d; (d = farthest(&s, i, deps + first[i], first[i + 1] - first[i])) >= 0;) {
      uint32_t step = deps[first[i] + d];
      s.waits[s.n_waits++] = step;
      join(&s, clock_of(&s, i), step);
    }
    at->n_waits = (uint32_t)s.n_waits - at->first_wait;
  }
  *out = s;
  return GIE_OK;
}
