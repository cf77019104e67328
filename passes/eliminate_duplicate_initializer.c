/* SPDX-License-Identifier: Apache-2.0 */
/* Constants of the same type and bytes become one, the first.
 *
 * Does not fire on constants that are graph outputs, quantized, or laid out in a particular way. */
#include "passes/util.h"

struct slot {
  uint64_t hash;
  gie_id value; /* GIE_NONE: free */
  bool is_full; /* the hash is of all bytes, or the constant has a slot for that, too */
};

#define END_BYTES 1024 /* at each end */

/* FNV-1a over words: fast, and collisions only cost a comparison. */
static uint64_t mix_word(uint64_t h, uint64_t word)
{
  h = (h ^ word) * 0x100000001b3;
  return h ^ h >> 32;
}

static uint64_t mix(uint64_t h, const char *s, size_t n)
{
  uint64_t word = 0;
  for (; n >= sizeof word; n -= sizeof word, s += sizeof word) {
    memcpy(&word, s, sizeof word);
    h = mix_word(h, word);
  }
  word = 0;
  if (n > 0)
    memcpy(&word, s, n);
  return mix_word(h, word);
}

/* Of type and bytes; of a large constant's bytes only those at both ends, unless `full`. */
static uint64_t hash_value(const struct gie_graph *g, const struct gie_value *v, bool full)
{
  size_t size;
  const char *bytes = gie_value_bytes(g, v->id, &size);
  uint64_t h = mix_word(0xcbf29ce484222325, (uint64_t)v->type.dtype << 1 | full);
  h = mix_word(h, (uint64_t)v->type.shape.rank);
  for (int i = 0; i < v->type.shape.rank; i++)
    h = mix_word(h, (uint64_t)v->type.shape.dim[i].b);
  if (full || size <= 2 * END_BYTES)
    return mix(h, bytes, size);
  return mix(mix(h, bytes, END_BYTES), bytes + size - END_BYTES, END_BYTES);
}

static bool same(const struct gie_graph *g, const struct gie_value *a, const struct gie_value *b)
{
  size_t n, m;
  const void *p = gie_value_bytes(g, a->id, &n), *q = gie_value_bytes(g, b->id, &m);
  return pass_same_type(&a->type, &b->type) && n == m && memcmp(p, q, n) == 0;
}

/* The slot with that hash whose constant equals v, or any constant if v is NULL; else the free one where it belongs. */
static struct slot *find(const struct gie_graph *g, struct slot *table, size_t mask,
                         const struct gie_value *v, uint64_t hash)
{
  size_t i = (size_t)hash & mask;
  while (table[i].value != GIE_NONE &&
         (table[i].hash != hash || (v && !same(g, gie_value_get(g, table[i].value), v))))
    i = (i + 1) & mask;
  return &table[i];
}

/* The equal constant that came before, or GIE_NONE: then v is entered. Weights are large and hardly ever equal: all
 * bytes count only where both ends have been seen before, of both constants then. */
static gie_id enter(const struct gie_graph *g, struct slot *table, size_t mask, const struct gie_value *v)
{
  uint64_t hash = hash_value(g, v, false);
  struct slot *slot = find(g, table, mask, NULL, hash), *other;
  if (slot->value == GIE_NONE) {
    *slot = (struct slot){hash, v->id, false};
    return GIE_NONE;
  }
  if (!slot->is_full) {
    slot->is_full = true;
    uint64_t full = hash_value(g, gie_value_get(g, slot->value), true);
    *find(g, table, mask, gie_value_get(g, slot->value), full) = (struct slot){full, slot->value, true};
  }
  hash = hash_value(g, v, true);
  other = find(g, table, mask, v, hash);
  if (other->value == GIE_NONE) {
    *other = (struct slot){hash, v->id, true};
    return GIE_NONE;
  }
  return other->value;
}

static gie_status merge(struct gie_graph *g, struct slot *table, size_t mask, uint32_t n, uint32_t *changes)
{
  for (gie_id id = 0; id < n; id++) {
    const struct gie_value *v = gie_value_get(g, id);
    if (v->kind != GIE_VALUE_CONST || v->n_outputs || !pass_is_plain(v))
      continue;
    gie_id first = enter(g, table, mask, v);
    if (first == GIE_NONE)
      continue;
    GIE_TRY(gie_value_replace(g, id, first));
    GIE_TRY(gie_value_remove(g, id));
    ++*changes;
  }
  return GIE_OK;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  uint32_t n = gie_graph_n_values(g);
  size_t size = 16;
  while (size < 4 * (size_t)n)
    size *= 2;
  struct slot *table = gie_alloc(pc->ctx, size, sizeof *table);
  if (!table)
    return GIE_E_MEMORY;
  for (size_t i = 0; i < size; i++)
    table[i].value = GIE_NONE;
  gie_status s = merge(g, table, size - 1, n, changes);
  gie_free(pc->ctx, table);
  return s;
}

const struct gie_pass gie_pass_eliminate_duplicate_initializer = {
    sizeof(struct gie_pass), "eliminate_duplicate_initializer",
    "makes equal constants one; not outputs or quantized ones", run, NULL};
