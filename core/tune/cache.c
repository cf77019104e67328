/* SPDX-License-Identifier: Apache-2.0 */
/* The timing cache in memory: entries found by candidate (problem, kernel, config, device); those of
 * other versions hang on the same candidate, so that a miss can say which version there is. */
#include "core/tune/cache.h"

#define STALE_PREFIX "measured with "
#define DEFAULT_LOCK_WAIT 10.0

/* ---- Strings */

static const char *name_of(const struct tune_cache *c, uint32_t id)
{
  return c->names[id] + sizeof STALE_PREFIX - 1;
}

/* The number of a string, which is kept behind the words that a stale entry is explained with. */
static gie_status intern(struct tune_cache *c, const char *s, uint32_t *id)
{
  *id = gie_map_get(&c->ids, s);
  if (*id != UINT32_MAX)
    return GIE_OK;
  size_t n = strlen(s) + 1;
  char *kept = gie_arena_alloc(&c->mem, sizeof STALE_PREFIX - 1 + n, 1);
  if (!kept)
    return GIE_E_MEMORY;
  memcpy(kept, STALE_PREFIX, sizeof STALE_PREFIX - 1);
  memcpy(kept + sizeof STALE_PREFIX - 1, s, n);
  GIE_TRY(gie_grow(c->ctx, &c->names, &c->cap_names, c->n_names + 1, sizeof(*c->names)));
  GIE_TRY(gie_map_set(&c->ids, kept + sizeof STALE_PREFIX - 1, (uint32_t)c->n_names));
  *id = (uint32_t)c->n_names;
  c->names[c->n_names++] = kept;
  return GIE_OK;
}

/* ---- Candidates */

static bool same_candidate(const struct cache_item *a, const struct cache_item *b)
{
  return a->problem == b->problem && a->kernel == b->kernel && a->config == b->config &&
         a->device == b->device;
}

static size_t hash_of(const struct cache_item *i)
{
  uint64_t h = ((uint64_t)i->problem << 32 | i->kernel) * 0x9e3779b97f4a7c15u;
  h = (h ^ h >> 29 ^ i->config ^ (uint64_t)i->device << 40) * 0xbf58476d1ce4e5b9u;
  return (size_t)(h ^ h >> 32);
}

/* The candidate's slot, or the empty one where it would go. The table must not be empty. */
static size_t find_slot(const struct tune_cache *c, const struct cache_item *key)
{
  size_t i = hash_of(key) & (c->cap_slots - 1);
  while (c->slots[i] && !same_candidate(&c->items[c->slots[i] - 1], key))
    i = (i + 1) & (c->cap_slots - 1);
  return i;
}

static gie_status grow_slots(struct tune_cache *c)
{
  if (c->n_items < c->cap_slots / 2)
    return GIE_OK;
  uint32_t *old = c->slots;
  size_t n_old = c->cap_slots, cap = n_old ? n_old * 2 : 64;
  uint32_t *slots = gie_alloc(c->ctx, cap, sizeof *slots);
  if (!slots)
    return GIE_E_MEMORY;
  c->slots = slots;
  c->cap_slots = cap;
  for (size_t i = 0; i < n_old; i++)
    if (old[i])
      slots[find_slot(c, &c->items[old[i] - 1])] = old[i];
  gie_free(c->ctx, old);
  return GIE_OK;
}

/* Fills the key of *item; false: no entry has one of these strings. */
static bool known(const struct tune_cache *c, const struct tune_entry *e, struct cache_item *item)
{
  *item = (struct cache_item){
      .problem = gie_map_get(&c->ids, e->problem),
      .kernel = gie_map_get(&c->ids, e->kernel),
      .device = gie_map_get(&c->ids, e->device),
      .version = gie_map_get(&c->ids, e->version),
      .config = e->config,
  };
  return c->cap_slots && item->problem != UINT32_MAX && item->kernel != UINT32_MAX &&
         item->device != UINT32_MAX;
}

/* The item of that version, or NULL; *other (may be NULL): one of another version that is not dropped. */
static struct cache_item *find_item(const struct tune_cache *c, const struct cache_item *key,
                                    const struct cache_item **other)
{
  struct cache_item *found = NULL;
  for (uint32_t i = c->slots[find_slot(c, key)]; i; i = c->items[i - 1].sibling) {
    struct cache_item *item = &c->items[i - 1];
    if (item->version == key->version)
      found = item;
    else if (other && !item->dropped && !*other)
      *other = item;
  }
  return found;
}

static void fill(const struct tune_cache *c, const struct cache_item *i, struct tune_entry *out)
{
  *out = (struct tune_entry){
      .problem = name_of(c, i->problem),
      .kernel = name_of(c, i->kernel),
      .config = i->config,
      .device = name_of(c, i->device),
      .version = name_of(c, i->version),
      .verdict = i->verdict,
      .seconds = i->seconds,
      .spread = i->spread,
      .error = i->error,
      .text = i->text,
  };
}

bool tune_cache_find(const struct tune_cache *c, const struct tune_entry *key, struct tune_entry *out,
                     const char **why)
{
  struct cache_item item;
  const struct cache_item *other = NULL;
  const struct cache_item *found = known(c, key, &item) ? find_item(c, &item, &other) : NULL;
  if (found && !found->dropped) {
    fill(c, found, out);
    return true;
  }
  if (why)
    *why = other ? c->names[other->version] : "absent";
  return false;
}

/* ---- Adding */

static bool same_result(const struct cache_item *i, const struct tune_entry *e)
{
  return i->verdict == e->verdict && i->seconds == e->seconds && i->spread == e->spread &&
         i->error == e->error && strcmp(i->text, e->text) == 0;
}

static gie_status set_result(struct tune_cache *c, struct cache_item *item, const struct tune_entry *e)
{
  const char *text = *e->text ? gie_arena_strdup(&c->mem, e->text) : "";
  if (!text)
    return GIE_E_MEMORY;
  item->text = text;
  item->verdict = e->verdict;
  item->seconds = e->seconds;
  item->spread = e->spread;
  item->error = e->error;
  item->dropped = false;
  c->order->valid = false;
  return GIE_OK;
}

static gie_status add_item(struct tune_cache *c, const struct cache_item *key, const struct tune_entry *e)
{
  if (c->n_items >= UINT32_MAX - 1)
    return gie_fail(c->ctx, GIE_E_LIMIT, "the timing cache is full; gie cache prune makes room");
  GIE_TRY(grow_slots(c));
  GIE_TRY(gie_grow(c->ctx, &c->items, &c->cap_items, c->n_items + 1, sizeof *c->items));
  GIE_TRY(gie_grow(c->ctx, &c->order->v, &c->order->cap, c->cap_items, sizeof *c->order->v));
  struct cache_item *item = &c->items[c->n_items];
  *item = *key;
  GIE_TRY(set_result(c, item, e));
  size_t slot = find_slot(c, item);
  item->sibling = c->slots[slot];
  c->slots[slot] = (uint32_t)++c->n_items;
  return GIE_OK;
}

/* fresh: measured by this process, and counts. Else read from the file: an entry of this process stays, one
 * that it dropped too, unless the file says something new. */
gie_status cache_add(struct tune_cache *c, const struct tune_entry *e, bool fresh)
{
  struct cache_item key = {.config = e->config};
  GIE_TRY(intern(c, e->problem, &key.problem));
  GIE_TRY(intern(c, e->kernel, &key.kernel));
  GIE_TRY(intern(c, e->device, &key.device));
  GIE_TRY(intern(c, e->version, &key.version));
  struct cache_item *item = c->cap_slots ? find_item(c, &key, NULL) : NULL;
  key.fresh = fresh;
  key.pass = fresh ? 0 : c->pass;
  if (!item) {
    GIE_TRY(add_item(c, &key, e));
  } else {
    c->n_twice += !fresh && item->pass == c->pass;
    item->pass = fresh ? item->pass : c->pass;
    if (same_result(item, e) && (!fresh || !item->dropped))
      return GIE_OK;
    if (!fresh && item->fresh)
      return GIE_OK;
    GIE_TRY(set_result(c, item, e));
    item->fresh = fresh;
  }
  c->unsaved |= fresh;
  return GIE_OK;
}

gie_status tune_cache_put(struct tune_cache *c, const struct tune_entry *e)
{
  const char *why = cache_unfit(e);
  if (why)
    return gie_fail(c->ctx, GIE_E_DATA, "an entry of the timing cache: %s", why);
  return cache_add(c, e, true);
}

void tune_cache_drop(struct tune_cache *c, const struct tune_entry *key)
{
  struct cache_item item, *found = known(c, key, &item) ? find_item(c, &item, NULL) : NULL;
  if (!found || found->dropped)
    return;
  found->dropped = true;
  found->fresh = false;
  c->unsaved = true;
  c->order->valid = false;
}

/* ---- In order */

static int compare_items(const void *a, const void *b, void *cache)
{
  const struct tune_cache *c = cache;
  const struct cache_item *x = &c->items[*(const uint32_t *)a], *y = &c->items[*(const uint32_t *)b];
  const uint32_t pairs[][2] = {{x->problem, y->problem}, {x->kernel, y->kernel}};
  for (size_t i = 0; i < 2; i++)
    if (pairs[i][0] != pairs[i][1])
      return strcmp(name_of(c, pairs[i][0]), name_of(c, pairs[i][1]));
  if (x->config != y->config)
    return x->config < y->config ? -1 : 1;
  if (x->device != y->device)
    return strcmp(name_of(c, x->device), name_of(c, y->device));
  return strcmp(name_of(c, x->version), name_of(c, y->version));
}

bool tune_cache_at(const struct tune_cache *c, size_t i, struct tune_entry *out)
{
  struct cache_order *o = c->order;
  if (!o->valid) {
    o->n = 0;
    for (size_t k = 0; k < c->n_items; k++)
      if (!c->items[k].dropped)
        o->v[o->n++] = (uint32_t)k;
    if (o->n)
      qsort_r(o->v, o->n, sizeof *o->v, compare_items, (void *)(uintptr_t)c);
    o->valid = true;
  }
  if (i >= o->n)
    return false;
  fill(c, &c->items[o->v[i]], out);
  return true;
}

/* ---- Life */

static bool is_default_path(const char *path)
{
  struct gie_arena mem;
  gie_arena_init(&mem, NULL);
  const char *home = cache_home_path(&mem);
  bool same = home && strcmp(home, path) == 0;
  gie_arena_free(&mem);
  return same;
}

static gie_status open_file(struct tune_cache *c, const char *path)
{
  bool foreign = false;
  size_t n = strlen(path) + 1;
  c->path = gie_alloc(c->ctx, n, 1);
  if (!c->path)
    return GIE_E_MEMORY;
  memcpy(c->path, path, n);
  c->make_dir = is_default_path(path);
  GIE_TRY(cache_read_file(c, true, &foreign));
  if (!foreign)
    return GIE_OK;
  gie_free(c->ctx, c->path);
  c->path = NULL;
  return GIE_OK;
}

static gie_status open_cache(struct gie_context *ctx, const char *path, bool read_only, bool named,
                             struct tune_cache **out)
{
  struct tune_cache *c = gie_alloc(ctx, 1, sizeof *c);
  if (!c)
    return GIE_E_MEMORY;
  c->ctx = ctx;
  c->read_only = read_only;
  c->named = named;
  c->lock_wait = DEFAULT_LOCK_WAIT;
  gie_arena_init(&c->mem, ctx);
  gie_map_init(&c->ids, ctx);
  c->order = gie_alloc(ctx, 1, sizeof *c->order);
  gie_status status = !c->order ? GIE_E_MEMORY : path ? open_file(c, path) : GIE_OK;
  if (status != GIE_OK) {
    tune_cache_free(c);
    return status;
  }
  *out = c;
  return GIE_OK;
}

gie_status tune_cache_open(struct gie_context *ctx, const char *path, bool read_only, struct tune_cache **out)
{
  return open_cache(ctx, path, read_only, false, out);
}

gie_status tune_cache_open_named(struct gie_context *ctx, const char *path, bool read_only,
                                 struct tune_cache **out)
{
  return open_cache(ctx, path, read_only, true, out);
}

void tune_cache_free(struct tune_cache *c)
{
  if (!c)
    return;
  struct gie_context *ctx = c->ctx;
  if (c->order)
    gie_free(ctx, c->order->v);
  gie_free(ctx, c->order);
  gie_free(ctx, c->slots);
  gie_free(ctx, c->items);
  gie_free(ctx, c->names);
  gie_free(ctx, c->path);
  gie_map_free(&c->ids);
  gie_arena_free(&c->mem);
  gie_free(ctx, c);
}

void tune_cache_lock_wait(struct tune_cache *c, double seconds) { c->lock_wait = seconds; }

bool tune_cache_is_file(const struct tune_cache *c) { return c->path != NULL; }
