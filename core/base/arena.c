/* SPDX-License-Identifier: Apache-2.0 */
/* Arena: many small allocations that are freed together; and arrays that grow. */
#include "core/base/base.h"

#define ARENA_ALIGN 16
#define ARENA_MIN 4096
#define ARENA_MAX ((size_t)1 << 20)

struct gie_arena_chunk {
  struct gie_arena_chunk *next;
  size_t used, size; /* of data */
  _Alignas(ARENA_ALIGN) unsigned char data[];
};

void gie_arena_init(struct gie_arena *a, struct gie_context *ctx) { *a = (struct gie_arena){.ctx = ctx}; }

void gie_arena_free(struct gie_arena *a)
{
  while (a->chunks) {
    struct gie_arena_chunk *c = a->chunks;
    a->chunks = c->next;
    gie_free(a->ctx, c);
  }
  a->total = 0;
}

/* A chunk with room for at least `bytes`. Chunks grow with the arena, so that there are few of them;
 * a large allocation gets its own behind the first, whose rest stays in use. */
static struct gie_arena_chunk *arena_chunk(struct gie_arena *a, size_t bytes)
{
  size_t size = a->total < ARENA_MIN ? ARENA_MIN : a->total > ARENA_MAX ? ARENA_MAX : a->total, all;
  bool own = bytes > size / 4;
  if (own)
    size = bytes;
  if (!gie_add(size, sizeof(struct gie_arena_chunk), &all))
    all = SIZE_MAX; /* lets gie_alloc fail and say so */
  struct gie_arena_chunk *c = gie_alloc(a->ctx, 1, all);
  if (!c)
    return NULL;
  c->size = size;
  a->total += size;
  if (own && a->chunks) {
    c->next = a->chunks->next;
    a->chunks->next = c;
  } else {
    c->next = a->chunks;
    a->chunks = c;
  }
  return c;
}

void *gie_arena_alloc(struct gie_arena *a, size_t n, size_t size)
{
  size_t bytes;
  if (!gie_mul(n, size, &bytes) || !gie_add(bytes, ARENA_ALIGN - 1, &bytes))
    bytes = SIZE_MAX;
  bytes &= ~(size_t)(ARENA_ALIGN - 1);
  if (bytes == 0)
    bytes = ARENA_ALIGN;
  struct gie_arena_chunk *c = a->chunks;
  if (!c || c->size - c->used < bytes)
    c = arena_chunk(a, bytes);
  if (!c)
    return NULL;
  void *p = c->data + c->used;
  c->used += bytes;
  return p;
}

char *gie_arena_strdup(struct gie_arena *a, const char *s) { return gie_arena_copy(a, s, strlen(s) + 1, 1); }

void *gie_arena_copy(struct gie_arena *a, const void *p, size_t n, size_t size)
{
  void *q = gie_arena_alloc(a, n, size);
  if (q && n && size)
    memcpy(q, p, n * size);
  return q;
}

gie_status gie_grow(struct gie_context *ctx, void *data, size_t *cap, size_t need, size_t size)
{
  void *old, *new;
  if (need <= *cap)
    return GIE_OK;
  size_t want = *cap < 8 ? 8 : *cap;
  if (!gie_mul(want, 2, &want) || want < need)
    want = need;
  memcpy(&old, data, sizeof old);
  new = gie_alloc(ctx, want, size);
  if (!new)
    return GIE_E_MEMORY;
  if (*cap)
    memcpy(new, old, *cap * size);
  gie_free(ctx, old);
  memcpy(data, &new, sizeof new);
  *cap = want;
  return GIE_OK;
}
