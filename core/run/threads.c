/* SPDX-License-Identifier: Apache-2.0 */
/* Several streams on a host: a thread each. The first stream is the caller's thread, the others have helpers that live
 * as long as the executor, because kernels keep teams of threads by thread. A step waits for those that the schedule
 * names; memory is planned by the same relation. The threads of the run are shared out among the streams. */
#include "core/run/run.h"
#include <sched.h>

#define SPINS 2000 /* looks at a counter before a thread sleeps */

struct run_threads {
  struct gie_exec *x;
  const struct run_spec *s; /* of the present run */
  uint32_t n;               /* helpers: streams 1 … n */
  pthread_t *id;
  pthread_mutex_t lock;
  pthread_cond_t changed; /* a run begins, a step that somebody waits for is done, a stream is done */
  uint64_t run;           /* number of the present run; guarded */
  uint32_t working;       /* helpers that are not through with it; guarded */
  bool ends;              /* guarded */
  gie_status failed;      /* the first failure; guarded */
  atomic_bool stop;       /* there is one */
  atomic_uint done[RUN_MAX_STREAMS]; /* steps of each stream that are over */
};

/* What a helper needs to know who it is. */
struct helper {
  struct run_threads *t;
  uint32_t stream;
};

static void tell(struct run_threads *t)
{
  pthread_mutex_lock(&t->lock);
  pthread_cond_broadcast(&t->changed);
  pthread_mutex_unlock(&t->lock);
}

static void fail(struct run_threads *t, gie_status st)
{
  pthread_mutex_lock(&t->lock);
  t->failed = t->failed == GIE_OK ? st : t->failed;
  atomic_store(&t->stop, true);
  pthread_cond_broadcast(&t->changed);
  pthread_mutex_unlock(&t->lock);
}

static bool is_done(struct run_threads *t, const struct run_position *at)
{
  return atomic_load_explicit(&t->done[at->stream], memory_order_acquire) > at->index ||
         atomic_load(&t->stop);
}

static void wait_for(struct run_threads *t, uint32_t step)
{
  const struct run_position *at = &t->s->schedule.at[step];
  for (int i = 0; i < SPINS; i++)
    if (is_done(t, at))
      return;
  pthread_mutex_lock(&t->lock);
  while (!is_done(t, at))
    pthread_cond_wait(&t->changed, &t->lock);
  pthread_mutex_unlock(&t->lock);
}

/* The steps of one stream, in order. */
static void run_stream(struct run_threads *t, uint32_t stream)
{
  const struct run_spec *s = t->s;
  for (uint32_t i = 0; i < s->n_static; i++) {
    const struct run_position *at = &s->schedule.at[i];
    if (at->stream != stream)
      continue;
    for (uint32_t k = 0; k < at->n_waits; k++)
      wait_for(t, s->schedule.waits[at->first_wait + k]);
    if (atomic_load(&t->stop))
      return;
    gie_status st = s->steps[i].free ? GIE_OK : run_launch(t->x, s, &s->steps[i], NULL);
    if (st != GIE_OK) {
      fail(t, st);
      return;
    }
    atomic_store_explicit(&t->done[stream], at->index + 1, memory_order_release);
    if (s->steps[i].awaited)
      tell(t);
  }
}

static void *help(void *user)
{
  struct helper h = *(struct helper *)user;
  struct run_threads *t = h.t;
  uint64_t seen = 0;
  gie_free(t->x->ctx, user);
  pthread_mutex_lock(&t->lock);
  for (;;) {
    while (!t->ends && t->run == seen)
      pthread_cond_wait(&t->changed, &t->lock);
    if (t->ends)
      break;
    seen = t->run;
    pthread_mutex_unlock(&t->lock);
    if (h.stream < t->s->schedule.n_streams)
      run_stream(t, h.stream);
    pthread_mutex_lock(&t->lock);
    if (--t->working == 0)
      pthread_cond_broadcast(&t->changed);
  }
  pthread_mutex_unlock(&t->lock);
  return NULL;
}

/* ---- Life */

static gie_status add_helper(struct run_threads *t)
{
  struct gie_context *ctx = t->x->ctx;
  struct helper *h = gie_alloc(ctx, 1, sizeof *h);
  if (!h)
    return GIE_E_MEMORY;
  *h = (struct helper){t, t->n + 1};
  int e = pthread_create(&t->id[t->n], NULL, help, h);
  if (e) {
    gie_free(ctx, h);
    return gie_fail(ctx, GIE_E_LIMIT, "a thread for a stream cannot be made: %s", strerror(e));
  }
  t->n++;
  return GIE_OK;
}

/* As many helpers as the schedule has further streams. */
static gie_status need_helpers(struct gie_exec *x, uint32_t n_streams)
{
  struct run_threads *t = x->helpers;
  if (!t) {
    t = gie_alloc(x->ctx, 1, sizeof *t);
    if (!t || !(t->id = gie_alloc(x->ctx, RUN_MAX_STREAMS, sizeof *t->id))) {
      gie_free(x->ctx, t);
      return GIE_E_MEMORY;
    }
    t->x = x;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    x->helpers = t;
  }
  while (t->n + 1 < n_streams)
    GIE_TRY(add_helper(t));
  return GIE_OK;
}

void run_threads_free(struct gie_exec *x)
{
  struct run_threads *t = x->helpers;
  if (!t)
    return;
  pthread_mutex_lock(&t->lock);
  t->ends = true;
  pthread_cond_broadcast(&t->changed);
  pthread_mutex_unlock(&t->lock);
  for (uint32_t i = 0; i < t->n; i++)
    pthread_join(t->id[i], NULL);
  pthread_mutex_destroy(&t->lock);
  pthread_cond_destroy(&t->changed);
  gie_free(x->ctx, t->id);
  gie_free(x->ctx, t);
  x->helpers = NULL;
}

/* ---- A run */

bool run_wants_threads(const struct gie_exec *x, const struct run_spec *s)
{
  return s->schedule.n_streams > 1 && x->threads > 1 && x->device->host && !x->profile && !x->watch.fn;
}

gie_status run_in_threads(struct gie_exec *x, struct run_spec *s)
{
  GIE_TRY(need_helpers(x, s->schedule.n_streams));
  struct run_threads *t = x->helpers;
  t->s = s;
  t->failed = GIE_OK;
  atomic_store(&t->stop, false);
  for (uint32_t i = 0; i < RUN_MAX_STREAMS; i++)
    atomic_store(&t->done[i], 0);
  pthread_mutex_lock(&t->lock);
  t->run++;
  t->working = t->n;
  pthread_cond_broadcast(&t->changed);
  pthread_mutex_unlock(&t->lock);
  run_stream(t, 0);
  pthread_mutex_lock(&t->lock);
  while (t->working)
    pthread_cond_wait(&t->changed, &t->lock);
  gie_status st = t->failed;
  pthread_mutex_unlock(&t->lock);
  return st;
}
