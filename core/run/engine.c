/* SPDX-License-Identifier: Apache-2.0 */
/* Engines: a device with the weights that are on it. An executor has one; executors of one plan share
 * theirs, so that a weight is uploaded and packed once however many threads run the plan.
 *
 * Locks: the table of weights has its own, which is taken while nodes are bound. Launches take none. */
#include "core/run/run.h"

void run_engines_init(struct run_engines *pool)
{
  memset(pool, 0, sizeof *pool);
  pthread_mutex_init(&pool->lock, NULL);
}

void run_engines_free(struct run_engines *pool) { pthread_mutex_destroy(&pool->lock); }

static void engine_free(struct run_engine *e)
{
  struct gie_context *ctx = e->ctx;
  if (e->device.ops)
    run_device_activate(&e->device);
  run_weights_free(&e->weights);
  run_weights_free(&e->host_weights);
  run_device_close(&e->device);
  run_device_close(&e->host);
  gie_free(ctx, e->kind);
  gie_free(ctx, e);
}

static gie_status engine_open(struct run_engine *e, const char *kind)
{
  size_t size = strlen(kind) + 1;
  if (!(e->kind = gie_alloc(e->ctx, size, 1)))
    return GIE_E_MEMORY;
  memcpy(e->kind, kind, size);
  GIE_TRY(run_device_open(e->ctx, kind, 0, &e->device));
  run_weights_init(&e->weights, &e->device);
  if (e->device.host)
    return GIE_OK;
  GIE_TRY(run_device_open(e->ctx, NULL, 0, &e->host));
  run_weights_init(&e->host_weights, &e->host);
  return GIE_OK;
}

static gie_status engine_new(struct gie_context *ctx, const char *kind, struct run_engine **out)
{
  struct run_engine *e = gie_alloc(ctx, 1, sizeof *e);
  if (!e)
    return GIE_E_MEMORY;
  e->ctx = ctx;
  e->refs = 1;
  gie_status st = engine_open(e, kind);
  if (st == GIE_OK)
    *out = e;
  else
    engine_free(e);
  return st;
}

static struct run_engine *find(const struct run_engines *pool, const char *kind)
{
  struct run_engine *e = pool->first;
  while (e && strcmp(e->kind, kind) != 0)
    e = e->next;
  return e;
}

gie_status run_engine_get(struct run_engines *pool, struct gie_context *ctx, const char *kind,
                          struct run_engine **out)
{
  kind = kind ? kind : "cpu";
  if (!pool)
    return engine_new(ctx, kind, out);
  pthread_mutex_lock(&pool->lock);
  struct run_engine *e = find(pool, kind);
  gie_status st = GIE_OK;
  if (e) {
    e->refs++;
  } else if ((st = engine_new(ctx, kind, &e)) == GIE_OK) {
    e->pool = pool;
    e->next = pool->first;
    pool->first = e;
  }
  pthread_mutex_unlock(&pool->lock);
  if (st == GIE_OK)
    *out = e;
  return st;
}

void run_engine_put(struct run_engine *e)
{
  struct run_engines *pool = e ? e->pool : NULL;
  if (!e)
    return;
  if (pool)
    pthread_mutex_lock(&pool->lock);
  bool last = --e->refs == 0;
  for (struct run_engine **p = last && pool ? &pool->first : NULL; p; p = *p ? &(*p)->next : NULL)
    if (*p == e) {
      *p = e->next;
      break;
    }
  if (last)
    engine_free(e);
  if (pool)
    pthread_mutex_unlock(&pool->lock);
}
