/* SPDX-License-Identifier: Apache-2.0 */
/* Constants as kernels want them: on the device, in a layout, packed. Each form of each content is
 * made once and shared by all nodes, specializations and executors of an engine. */
#include "core/run/run.h"

void run_weights_init(struct run_weights *w, struct run_device *d)
{
  memset(w, 0, sizeof *w);
  w->device = d;
  pthread_mutex_init(&w->lock, NULL);
}

static void weight_free(struct run_weights *w, struct run_weight *e)
{
  struct gie_context *ctx = w->device->ctx;
  if (!e->borrowed)
    run_device_free(w->device, e->data);
  gie_blob_unref(e->content.blob);
  gie_free(ctx, e->key);
  gie_free(ctx, e);
}

void run_weights_free(struct run_weights *w)
{
  if (!w->device)
    return;
  for (size_t i = 0; i < w->n_slots; i++)
    for (struct run_weight *e = w->slots[i], *next; e; e = next) {
      next = e->next;
      weight_free(w, e);
    }
  gie_free(w->device->ctx, w->slots);
  pthread_mutex_destroy(&w->lock);
  memset(w, 0, sizeof *w);
}

/* ---- Table ------------------------------------------------------------------------------------- */

static const char *content_bytes(const struct gie_const *c)
{
  return (const char *)gie_blob_data(c->blob) + c->offset;
}

/* The key, the size and the first bytes tell nearly all apart; equality looks at every byte. */
static size_t hash(const struct gie_const *c, const char *key)
{
  uint64_t h = 1469598103934665603u ^ c->size;
  const unsigned char *p = (const unsigned char *)content_bytes(c);
  for (size_t i = 0; i < c->size && i < 64; i++)
    h = (h ^ p[i]) * 1099511628211u;
  for (; *key; key++)
    h = (h ^ (unsigned char)*key) * 1099511628211u;
  return (size_t)(h ^ h >> 32);
}

static bool same(const struct run_weight *e, const struct gie_const *c, const char *key)
{
  return e->content.size == c->size && strcmp(e->key, key) == 0 &&
         ((e->content.blob == c->blob && e->content.offset == c->offset) ||
          memcmp(content_bytes(&e->content), content_bytes(c), c->size) == 0);
}

static struct run_weight *find(const struct run_weights *w, const struct gie_const *c, const char *key)
{
  struct run_weight *e = w->n_slots ? w->slots[hash(c, key) & (w->n_slots - 1)] : NULL;
  while (e && !same(e, c, key))
    e = e->next;
  return e;
}

static gie_status grow(struct run_weights *w)
{
  struct gie_context *ctx = w->device->ctx;
  size_t n = w->n_slots ? 2 * w->n_slots : 64;
  struct run_weight **slots = gie_alloc(ctx, n, sizeof(struct run_weight *));
  if (!slots)
    return GIE_E_MEMORY;
  for (size_t i = 0; i < w->n_slots; i++)
    for (struct run_weight *e = w->slots[i], *next; e; e = next) {
      struct run_weight **at = &slots[hash(&e->content, e->key) & (n - 1)];
      next = e->next;
      e->next = *at;
      *at = e;
    }
  gie_free(ctx, w->slots);
  w->slots = slots;
  w->n_slots = n;
  return GIE_OK;
}

/* A new entry, not yet in the table; freed with weight_free() or put into it with insert(). */
static gie_status entry_new(struct run_weights *w, const struct gie_const *c, const char *key,
                            struct run_weight **out)
{
  struct gie_context *ctx = w->device->ctx;
  size_t len = strlen(key) + 1;
  if (w->n >= w->n_slots)
    GIE_TRY(grow(w));
  struct run_weight *e = gie_alloc(ctx, 1, sizeof *e);
  if (!e)
    return GIE_E_MEMORY;
  if (!(e->key = gie_alloc(ctx, len, 1))) {
    gie_free(ctx, e);
    return GIE_E_MEMORY;
  }
  memcpy(e->key, key, len);
  e->content = *c;
  gie_blob_ref(c->blob);
  *out = e;
  return GIE_OK;
}

static void insert(struct run_weights *w, struct run_weight *e)
{
  struct run_weight **at = &w->slots[hash(&e->content, e->key) & (w->n_slots - 1)];
  e->next = *at;
  *at = e;
  w->n++;
}

/* ---- Plain and reordered ----------------------------------------------------------------------- */

static void plain_key(const struct gie_desc *d, uint32_t align, char *key, size_t size)
{
  char layout[64];
  size_t at = (size_t)snprintf(key, size, "plain %s",
                               d->layout.block > 1 || !run_desc_is_plain(d)
                                   ? gie_layout_text(&d->layout, d->rank, layout, sizeof layout)
                                   : "");
  if (!run_desc_is_plain(d))
    for (int i = 0; i < d->rank && at < size; i++)
      at += (size_t)snprintf(key + at, size - at, " %lld", (long long)d->dim[i]);
  if (at < size)
    snprintf(key + at, size - at, " %u %u", (unsigned)gie_dtype_size(d->dtype), (unsigned)align);
}

/* Bytes in the layout wanted, in host memory. */
static gie_status reordered(struct run_weights *w, const struct gie_value *v, const struct gie_desc *desc,
                            size_t bytes, void **out)
{
  static const struct gie_layout plain;
  struct gie_context *ctx = w->device->ctx;
  struct gie_desc from;
  GIE_TRY(gie_desc_make(ctx, &v->type, &plain, &from, NULL));
  void *p = gie_alloc_raw(ctx, bytes, 1);
  if (!p)
    return GIE_E_MEMORY;
  run_reorder(&from, content_bytes(&v->data), desc, p);
  *out = p;
  return GIE_OK;
}

static gie_status fill_plain(struct run_weights *w, const struct gie_value *v, const struct gie_desc *desc,
                             struct run_weight *e)
{
  struct gie_context *ctx = w->device->ctx;
  void *copy;
  GIE_TRY(run_device_alloc(w->device, e->bytes, &e->data));
  if (run_desc_is_plain(desc))
    return run_device_upload(w->device, e->data, content_bytes(&v->data), e->bytes);
  GIE_TRY(reordered(w, v, desc, e->bytes, &copy));
  gie_status st = run_device_upload(w->device, e->data, copy, e->bytes);
  gie_free(ctx, copy);
  return st;
}

static gie_status get_plain(struct run_weights *w, const struct gie_value *v, const struct gie_desc *desc,
                            uint32_t align, struct run_weight **out)
{
  char key[256];
  struct gie_desc d;
  size_t bytes;
  bool here = w->device->host && run_desc_is_plain(desc);
  GIE_TRY(gie_desc_make(w->device->ctx, &v->type, &desc->layout, &d, &bytes));
  if (here && (align == 0 || (uintptr_t)content_bytes(&v->data) % align == 0))
    align = 0;
  plain_key(desc, align, key, sizeof key);
  struct run_weight *e = find(w, &v->data, key);
  if (!e) {
    GIE_TRY(entry_new(w, &v->data, key, &e));
    e->bytes = bytes;
    e->borrowed = here && align == 0;
    if (e->borrowed)
      e->data = (void *)(uintptr_t)content_bytes(&v->data);
    gie_status st = e->borrowed ? GIE_OK : fill_plain(w, v, desc, e);
    if (st != GIE_OK) {
      weight_free(w, e);
      return gie_error_prefix(w->device->ctx, st, "constant \"%s\"", v->name);
    }
    insert(w, e);
  }
  *out = e;
  return GIE_OK;
}

gie_status run_weights_plain(struct run_weights *w, const struct gie_value *v, const struct gie_desc *desc,
                             uint32_t align, struct run_weight **out)
{
  pthread_mutex_lock(&w->lock);
  gie_status st = get_plain(w, v, desc, align, out);
  pthread_mutex_unlock(&w->lock);
  return st;
}

/* ---- Packed ------------------------------------------------------------------------------------ */

static gie_status fill_packed(struct run_weights *w, const struct gie_kernel *k, const struct gie_problem *p,
                              const struct gie_variant *v, const struct gie_pack *d, struct run_weight *e)
{
  struct gie_context *ctx = w->device->ctx;
  GIE_TRY(run_device_alloc(w->device, d->bytes, &e->data));
  if (w->device->host)
    return k->pack(k, p, v, d, p->in_data[d->operand], e->data);
  void *packed = gie_alloc(ctx, d->bytes, 1);
  if (!packed)
    return GIE_E_MEMORY;
  gie_status st = k->pack(k, p, v, d, p->in_data[d->operand], packed);
  if (st == GIE_OK)
    st = run_device_upload(w->device, e->data, packed, d->bytes);
  gie_free(ctx, packed);
  return st;
}

static gie_status get_packed(struct run_weights *w, const struct gie_kernel *k, const struct gie_problem *p,
                             const struct gie_variant *v, const struct gie_pack *d, struct run_weight **out)
{
  struct gie_context *ctx = w->device->ctx;
  char key[sizeof d->key + 8];
  const struct gie_value *value = gie_value_get(p->graph, p->node->in[d->operand]);
  snprintf(key, sizeof key, "pack %.*s", (int)sizeof d->key, d->key);
  struct run_weight *e = find(w, &value->data, key);
  if (e && e->bytes != d->bytes)
    return gie_fail(ctx, GIE_E_INTERNAL, "pack key \"%.*s\" stands for %zu and for %zu bytes",
                    (int)sizeof d->key, d->key, e->bytes, d->bytes);
  if (!e) {
    GIE_TRY(entry_new(w, &value->data, key, &e));
    e->bytes = d->bytes;
    gie_status st = fill_packed(w, k, p, v, d, e);
    if (st != GIE_OK) {
      weight_free(w, e);
      return gie_error_prefix(ctx, st, "packing operand %u", (unsigned)d->operand);
    }
    insert(w, e);
  }
  *out = e;
  return GIE_OK;
}

gie_status run_weights_packed(struct run_weights *w, const struct gie_kernel *k, const struct gie_problem *p,
                              const struct gie_variant *v, const struct gie_pack *d, struct run_weight **out)
{
  pthread_mutex_lock(&w->lock);
  gie_status st = get_packed(w, k, p, v, d, out);
  pthread_mutex_unlock(&w->lock);
  return st;
}

uint64_t run_weights_bytes(struct run_weights *w)
{
  uint64_t sum = 0;
  if (!w->device)
    return 0;
  pthread_mutex_lock(&w->lock);
  for (size_t i = 0; i < w->n_slots; i++)
    for (const struct run_weight *e = w->slots[i]; e; e = e->next)
      sum += e->bytes;
  pthread_mutex_unlock(&w->lock);
  return sum;
}
