/* SPDX-License-Identifier: Apache-2.0 */
/* The weights file beside a text graph: constants found by the SHA-256 of their
 * bytes. The format is in doc/ir.md; everything in the file is checked before
 * it is believed. */
#include "core/ir/text.h"
#include <unistd.h>

static const unsigned char magic[8] = {'G', 'I', 'E', 'W', 'G', 'T', '1', '\n'};
#define HEADER 16u
#define ENTRY 48u
#define ALIGN 64u
#define CHUNK ((size_t)1 << 20) /* read and hashed in one go, while it is in the cache */

struct entry {
  unsigned char hash[32];
  uint64_t offset, size; /* offset from `base` */
  struct gie_blob *blob; /* once read */
  bool used;
};

struct weights_in {
  struct gie_context *ctx;
  char *path;
  int fd;
  bool own_fd;
  uint64_t base;      /* where the weights begin in the file */
  const char *remedy; /* for messages */
  size_t n;
  struct entry *entries;
  unsigned char head_hash[32]; /* of header and table */
};

static uint64_t get_u64(const unsigned char *p)
{
  uint64_t v = 0;
  for (int i = 7; i >= 0; i--)
    v = v << 8 | p[i];
  return v;
}

static void put_u64(unsigned char *p, uint64_t v)
{
  for (int i = 0; i < 8; i++)
    p[i] = (unsigned char)(v >> (8 * i));
}

char *weights_path(struct gie_context *ctx, const char *gie_path)
{
  size_t len = strlen(gie_path);
  if (len > 4 && strcmp(gie_path + len - 4, ".gie") == 0 && gie_path[len - 5] != '/')
    len -= 4;
  char *path = gie_alloc(ctx, len + sizeof ".weights", 1);
  if (path)
    snprintf(path, len + sizeof ".weights", "%.*s.weights", (int)len, gie_path);
  return path;
}

/* ---- Reading */

/* Payloads follow the table in order, each at the next multiple of 64: anything
 * else is damage. */
static gie_status check_table(const struct weights_in *w, const unsigned char *table, uint64_t file_size)
{
  uint64_t at = HEADER + (uint64_t)w->n * ENTRY;
  for (size_t i = 0; i < w->n; i++) {
    struct entry *e = &w->entries[i];
    memcpy(e->hash, table + i * ENTRY, 32);
    e->offset = get_u64(table + i * ENTRY + 32);
    e->size = get_u64(table + i * ENTRY + 40);
    at = (at + ALIGN - 1) / ALIGN * ALIGN;
    if (e->offset != at || at > file_size || e->size > file_size - at)
      return gie_fail(w->ctx, GIE_E_DATA, "%s: weight %zu lies outside the file or not where it belongs; %s",
                      w->path, i, w->remedy);
    if (i > 0 && memcmp(w->entries[i - 1].hash, e->hash, 32) >= 0)
      return gie_fail(w->ctx, GIE_E_DATA, "%s: weight %zu is out of order; %s", w->path, i, w->remedy);
    at += e->size;
  }
  if (at != file_size)
    return gie_fail(w->ctx, GIE_E_DATA, "%s: bytes behind the last weight; %s", w->path, w->remedy);
  return GIE_OK;
}

static void hash_head(struct weights_in *w, const unsigned char head[HEADER], const unsigned char *table)
{
  struct gie_sha256 sha;
  gie_sha256_init(&sha);
  gie_sha256_update(&sha, head, HEADER);
  gie_sha256_update(&sha, table, w->n * ENTRY);
  gie_sha256_final(&sha, w->head_hash);
}

static gie_status read_table(struct weights_in *w, uint64_t file_size)
{
  unsigned char head[HEADER];
  if (file_size < HEADER)
    return gie_fail(w->ctx, GIE_E_DATA, "%s: too short for weights", w->path);
  GIE_TRY(gie_file_pread(w->ctx, w->fd, w->path, head, HEADER, w->base));
  if (memcmp(head, magic, 8) != 0)
    return gie_fail(w->ctx, GIE_E_DATA, "%s: no weights of this version", w->path);
  uint64_t n = get_u64(head + 8);
  if (n > (file_size - HEADER) / ENTRY)
    return gie_fail(w->ctx, GIE_E_DATA, "%s: the table of %llu entries is longer than the file", w->path,
                    (unsigned long long)n);
  w->n = (size_t)n;
  w->entries = gie_alloc(w->ctx, w->n, sizeof *w->entries);
  unsigned char *table = gie_alloc_raw(w->ctx, w->n, ENTRY);
  gie_status s = w->entries && table
                     ? gie_file_pread(w->ctx, w->fd, w->path, table, w->n * ENTRY, w->base + HEADER)
                     : GIE_E_MEMORY;
  if (s == GIE_OK) {
    hash_head(w, head, table);
    s = check_table(w, table, file_size);
  }
  gie_free(w->ctx, table);
  return s;
}

static gie_status make(struct gie_context *ctx, const char *path, struct weights_in **out)
{
  struct weights_in *w = gie_alloc(ctx, 1, sizeof *w);
  size_t size = strlen(path) + 1;
  if (!w)
    return GIE_E_MEMORY;
  w->ctx = ctx;
  w->fd = -1;
  if (!(w->path = gie_alloc(ctx, size, 1))) {
    gie_free(ctx, w);
    return GIE_E_MEMORY;
  }
  memcpy(w->path, path, size);
  *out = w;
  return GIE_OK;
}

gie_status weights_open(struct gie_context *ctx, const char *path, struct weights_in **out)
{
  struct weights_in *w;
  uint64_t size;
  GIE_TRY(make(ctx, path, &w));
  w->own_fd = true;
  w->remedy = "write the graph again";
  gie_status s = gie_file_open(ctx, path, &w->fd, &size);
  if (s == GIE_OK)
    s = read_table(w, size);
  if (s == GIE_OK)
    *out = w;
  else
    weights_close(w);
  return s;
}

gie_status weights_open_part(struct gie_context *ctx, int fd, const char *path, uint64_t base, uint64_t size,
                             const char *remedy, struct weights_in **out)
{
  struct weights_in *w;
  GIE_TRY(make(ctx, path, &w));
  w->fd = fd;
  w->base = base;
  w->remedy = remedy;
  gie_status s = read_table(w, size);
  if (s == GIE_OK)
    *out = w;
  else
    weights_close(w);
  return s;
}

const unsigned char *weights_head_hash(const struct weights_in *w) { return w->head_hash; }

void weights_close(struct weights_in *w)
{
  if (!w)
    return;
  for (size_t i = 0; w->entries && i < w->n; i++)
    gie_blob_unref(w->entries[i].blob);
  if (w->own_fd && w->fd >= 0)
    close(w->fd);
  gie_free(w->ctx, w->entries);
  gie_free(w->ctx, w->path);
  gie_free(w->ctx, w);
}

static struct entry *find(struct weights_in *w, const unsigned char hash[32])
{
  size_t low = 0, high = w->n;
  while (low < high) {
    size_t mid = low + (high - low) / 2;
    int order = memcmp(hash, w->entries[mid].hash, 32);
    if (order == 0)
      return &w->entries[mid];
    *(order < 0 ? &high : &low) = order < 0 ? mid : mid + 1;
  }
  return NULL;
}

/* The bytes between the end of the entry before (or of the table) and this one are zero. */
static gie_status check_padding(struct weights_in *w, const struct entry *e)
{
  unsigned char pad[ALIGN];
  uint64_t from = e == w->entries ? HEADER + (uint64_t)w->n * ENTRY : e[-1].offset + e[-1].size;
  size_t n = (size_t)(e->offset - from);
  GIE_TRY(gie_file_pread(w->ctx, w->fd, w->path, pad, n, w->base + from));
  for (size_t i = 0; i < n; i++)
    if (pad[i])
      return gie_fail(w->ctx, GIE_E_DATA, "%s: bytes between the weights are not zero; %s", w->path,
                      w->remedy);
  return GIE_OK;
}

static gie_status read_bytes(struct weights_in *w, const struct entry *e, unsigned char *p,
                             unsigned char hash[32])
{
  struct gie_sha256 sha;
  gie_sha256_init(&sha);
  for (size_t at = 0, n; at < e->size; at += n) {
    n = (size_t)e->size - at < CHUNK ? (size_t)e->size - at : CHUNK;
    GIE_TRY(gie_file_pread(w->ctx, w->fd, w->path, p + at, n, w->base + e->offset + at));
    gie_sha256_update(&sha, p + at, n);
  }
  gie_sha256_final(&sha, hash);
  return GIE_OK;
}

static gie_status load(struct weights_in *w, struct entry *e)
{
  struct gie_blob *b;
  unsigned char hash[32];
  if (e->size > SIZE_MAX)
    return gie_fail(w->ctx, GIE_E_LIMIT, "%s: a weight is larger than the address space", w->path);
  GIE_TRY(check_padding(w, e));
  GIE_TRY(gie_blob_new_raw(w->ctx, (size_t)e->size, &b));
  gie_status s = read_bytes(w, e, gie_blob_data(b), hash);
  if (s == GIE_OK && memcmp(hash, e->hash, 32) != 0)
    s = gie_fail(w->ctx, GIE_E_DATA, "%s: the bytes of a weight do not have its hash; the file is damaged",
                 w->path);
  if (s != GIE_OK)
    gie_blob_unref(b);
  else
    e->blob = b;
  return s;
}

gie_status weights_load_all(struct weights_in *w)
{
  for (size_t i = 0; i < w->n; i++)
    if (!w->entries[i].blob)
      GIE_TRY(load(w, &w->entries[i]));
  return GIE_OK;
}

size_t weights_unused(const struct weights_in *w)
{
  size_t n = 0;
  for (size_t i = 0; i < w->n; i++)
    n += !w->entries[i].used;
  return n;
}

gie_status weights_get(struct weights_in *w, const unsigned char hash[32], size_t size, struct gie_blob **out)
{
  char hex[65];
  struct entry *e = find(w, hash);
  if (!e) {
    gie_sha256_hex(hash, hex);
    return gie_fail(w->ctx, GIE_E_DATA, "%s has no entry %s; it belongs to another text", w->path, hex);
  }
  if (e->size != size)
    return gie_fail(w->ctx, GIE_E_DATA, "the constant needs %zu bytes, its entry in %s has %llu", size,
                    w->path, (unsigned long long)e->size);
  if (!e->blob)
    GIE_TRY(load(w, e));
  e->used = true;
  *out = gie_blob_ref(e->blob);
  return GIE_OK;
}

/* ---- Writing */

gie_status weights_add(struct weights_out *w, const unsigned char hash[32], const void *data, size_t size)
{
  GIE_TRY(gie_grow(w->ctx, &w->items, &w->cap, w->n + 1, sizeof *w->items));
  struct weights_item *it = &w->items[w->n++];
  *it = (struct weights_item){.data = data, .size = size};
  memcpy(it->hash, hash, 32);
  return GIE_OK;
}

static int by_hash(const void *a, const void *b)
{
  return memcmp(((const struct weights_item *)a)->hash, ((const struct weights_item *)b)->hash, 32);
}

static void sort_unique(struct weights_out *w)
{
  size_t n = 0;
  if (w->n)
    qsort(w->items, w->n, sizeof *w->items, by_hash);
  for (size_t i = 0; i < w->n; i++)
    if (n == 0 || by_hash(&w->items[n - 1], &w->items[i]) != 0)
      w->items[n++] = w->items[i];
  w->n = n;
}

gie_status weights_join(struct weights_out *w, const struct weights_in *old, struct weights_out *both)
{
  size_t i = 0, k = 0;
  sort_unique(w);
  *both = (struct weights_out){.ctx = w->ctx, .from = old};
  GIE_TRY(gie_grow(w->ctx, &both->items, &both->cap, w->n + old->n, sizeof *both->items));
  while (i < w->n || k < old->n) {
    int order = i == w->n ? 1 : k == old->n ? -1 : memcmp(w->items[i].hash, old->entries[k].hash, 32);
    struct weights_item *it = &both->items[both->n++];
    if (order > 0) {
      *it = (struct weights_item){.size = (size_t)old->entries[k].size, .offset = old->entries[k].offset};
      memcpy(it->hash, old->entries[k++].hash, 32);
      continue;
    }
    *it = w->items[i++];
    k += order == 0;
  }
  return GIE_OK;
}

/* The bytes of an item that is in another file. */
static gie_status copy_payload(const struct weights_in *from, const struct weights_item *it,
                               struct gie_save *save)
{
  size_t chunk = it->size < CHUNK ? it->size : CHUNK;
  unsigned char *buf = gie_alloc_raw(from->ctx, chunk, 1);
  gie_status s = buf ? GIE_OK : GIE_E_MEMORY;
  for (size_t at = 0; s == GIE_OK && at < it->size; at += chunk) {
    chunk = it->size - at < CHUNK ? it->size - at : CHUNK;
    s = gie_file_pread(from->ctx, from->fd, from->path, buf, chunk, it->offset + at);
    if (s == GIE_OK)
      s = gie_save_write(save, buf, chunk);
  }
  gie_free(from->ctx, buf);
  return s;
}

static gie_status write_padding(struct gie_save *save, uint64_t *at)
{
  static const unsigned char zeros[ALIGN];
  size_t pad = (size_t)((ALIGN - *at % ALIGN) % ALIGN);
  *at += pad;
  return pad ? gie_save_write(save, zeros, pad) : GIE_OK;
}

gie_status weights_head(struct weights_out *w, struct gie_buf *b, uint64_t *size)
{
  unsigned char row[ENTRY];
  sort_unique(w);
  uint64_t at = HEADER + (uint64_t)w->n * ENTRY;
  memcpy(row, magic, 8);
  put_u64(row + 8, w->n);
  gie_buf_put(b, row, HEADER);
  for (size_t i = 0; i < w->n; i++) {
    at = (at + ALIGN - 1) / ALIGN * ALIGN;
    memcpy(row, w->items[i].hash, 32);
    put_u64(row + 32, at);
    put_u64(row + 40, w->items[i].size);
    gie_buf_put(b, row, ENTRY);
    at += w->items[i].size;
  }
  *size = at;
  return b->status;
}

gie_status weights_body(const struct weights_out *w, struct gie_save *save)
{
  uint64_t at = HEADER + (uint64_t)w->n * ENTRY;
  for (size_t i = 0; i < w->n; i++) {
    GIE_TRY(write_padding(save, &at));
    GIE_TRY(w->items[i].data ? gie_save_write(save, w->items[i].data, w->items[i].size)
                             : copy_payload(w->from, &w->items[i], save));
    at += w->items[i].size;
  }
  return GIE_OK;
}

gie_status weights_write(struct weights_out *w, struct gie_save *save)
{
  struct gie_buf b;
  uint64_t size;
  gie_buf_init(&b, w->ctx);
  gie_status s = weights_head(w, &b, &size);
  if (s == GIE_OK)
    s = gie_save_write(save, b.data, b.len);
  gie_buf_free(&b);
  return s == GIE_OK ? weights_body(w, save) : s;
}

void weights_out_free(struct weights_out *w) { gie_free(w->ctx, w->items); }
