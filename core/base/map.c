/* SPDX-License-Identifier: Apache-2.0 */
/* Name to id map: linear probing, at most half full; removal moves later entries up, so there are no
 * tombstones. */
#include "core/base/base.h"

struct gie_map_slot {
  const char *key; /* NULL: empty */
  uint64_t hash;
  uint32_t id;
};

/* FNV-1a (64 bit), its high bits folded in because the table uses the low ones. */
static uint64_t map_hash(const char *key)
{
  uint64_t h = 0xcbf29ce484222325u;
  for (; *key; key++)
    h = (h ^ (unsigned char)*key) * 0x100000001b3u;
  return h ^ h >> 32;
}

void gie_map_init(struct gie_map *m, struct gie_context *ctx) { *m = (struct gie_map){.ctx = ctx}; }

void gie_map_free(struct gie_map *m)
{
  gie_free(m->ctx, m->slots);
  gie_map_init(m, m->ctx);
}

/* The key's slot, or the empty one where it would go. The table must not be empty. */
static size_t map_find(const struct gie_map *m, const char *key, uint64_t hash)
{
  size_t i = hash & (m->cap - 1);
  while (m->slots[i].key && (m->slots[i].hash != hash || strcmp(m->slots[i].key, key) != 0))
    i = (i + 1) & (m->cap - 1);
  return i;
}

static gie_status map_double(struct gie_map *m)
{
  size_t cap = m->cap ? m->cap * 2 : 16;
  struct gie_map_slot *slots = gie_alloc(m->ctx, cap, sizeof *slots);
  if (!slots)
    return GIE_E_MEMORY;
  for (size_t i = 0; i < m->cap; i++) {
    if (!m->slots[i].key)
      continue;
    size_t j = m->slots[i].hash & (cap - 1);
    while (slots[j].key)
      j = (j + 1) & (cap - 1);
    slots[j] = m->slots[i];
  }
  gie_free(m->ctx, m->slots);
  m->slots = slots;
  m->cap = cap;
  return GIE_OK;
}

gie_status gie_map_set(struct gie_map *m, const char *key, uint32_t id)
{
  if (m->used >= m->cap / 2)
    GIE_TRY(map_double(m));
  uint64_t hash = map_hash(key);
  size_t i = map_find(m, key, hash);
  if (!m->slots[i].key)
    m->used++;
  m->slots[i] = (struct gie_map_slot){key, hash, id};
  return GIE_OK;
}

uint32_t gie_map_get(const struct gie_map *m, const char *key)
{
  if (!m->cap)
    return UINT32_MAX;
  size_t i = map_find(m, key, map_hash(key));
  return m->slots[i].key ? m->slots[i].id : UINT32_MAX;
}

void gie_map_remove(struct gie_map *m, const char *key)
{
  if (!m->cap)
    return;
  size_t hole = map_find(m, key, map_hash(key)), mask = m->cap - 1;
  if (!m->slots[hole].key)
    return;
  m->used--;
  /* An entry may move up into the hole unless that is before the slot where its search starts. */
  for (size_t i = (hole + 1) & mask; m->slots[i].key; i = (i + 1) & mask) {
    size_t home = m->slots[i].hash & mask;
    if (((i - home) & mask) >= ((i - hole) & mask)) {
      m->slots[hole] = m->slots[i];
      hole = i;
    }
  }
  m->slots[hole] = (struct gie_map_slot){0};
}
