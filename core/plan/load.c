/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes to struct (doc/plan.md). Nothing in the file is believed: places and sizes follow from the table's
 * order and are only compared, memory is asked for only for bytes that are there, texts are hashed before
 * they are parsed, weights while they are read, and bytes between sections must be zero. So every byte of
 * the file is covered: one that changes is found. */
#include "core/ir/text.h"
#include "core/module/registry.h"
#include "core/plan/plan.h"
#include <unistd.h>

#define REMEDY "the file is damaged; build the plan again"
#define HEAD_SIZE 4096

struct section {
  enum plan_kind kind;
  uint32_t index;
  uint64_t offset, size;
  unsigned char hash[32];
};

struct reader {
  struct gie_context *ctx;
  const char *path;
  int fd;
  uint64_t size; /* of the file */
  uint32_t n, n_profiles;
  struct section *sections;
  struct weights_in *weights;
  struct gie_plan *plan;
  struct plan_needs kernels, ops; /* as the meta section lists them */
};

static uint32_t get_u32(const unsigned char *p)
{
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get_u64(const unsigned char *p) { return get_u32(p) | (uint64_t)get_u32(p + 4) << 32; }

static gie_status damaged(const struct reader *r, const char *what)
{
  return gie_fail(r->ctx, GIE_E_DATA, "%s; " REMEDY, what);
}

/* ---- The first bytes --------------------------------------------------------------------------- */

static gie_status no_plan(const struct reader *r, const unsigned char *head, size_t n)
{
  struct gie_source src = {
      .struct_size = sizeof src, .path = r->path, .fd = r->fd, .size = r->size, .head = head, .n_head = n};
  const char *remedy, *what = n ? mod_looks_like(r->ctx, &src, &remedy) : NULL;
  if (n == 0)
    return gie_fail(r->ctx, GIE_E_DATA, "the file is empty; give a plan");
  if (what)
    return gie_fail(r->ctx, GIE_E_DATA,
                    "this is no plan: it looks like %s; build a plan from a network first", what);
  return gie_fail(r->ctx, GIE_E_DATA, "this is no plan; give a file that gie build has written");
}

/* Magic, version, byte order and size: what tells another kind of file from a damaged one. */
static gie_status check_start(struct reader *r, const unsigned char *p, size_t n)
{
  if (n < 8 || memcmp(p, PLAN_MAGIC, 8) != 0)
    return no_plan(r, p, n);
  if (n < PLAN_HEADER)
    return gie_fail(r->ctx, GIE_E_DATA, "the plan is cut off after %zu bytes; fetch or build it again", n);
  if (get_u32(p + 12) == __builtin_bswap32(PLAN_ENDIAN))
    return gie_fail(
        r->ctx, GIE_E_DATA,
        "the plan was made on a machine of the other byte order (big-endian); build it on one like this");
  if (get_u32(p + 12) != PLAN_ENDIAN)
    return damaged(r, "the mark of the byte order is none");
  if (get_u32(p + 8) != PLAN_FORMAT)
    return gie_fail(r->ctx, GIE_E_DATA,
                    "the plan has format version %u, this gie reads version %u; build the plan again with it",
                    (unsigned)get_u32(p + 8), PLAN_FORMAT);
  if (get_u64(p + 16) > r->size)
    return gie_fail(r->ctx, GIE_E_DATA,
                    "the plan is cut off: %llu of %llu bytes are there; fetch or build it again",
                    (unsigned long long)r->size, (unsigned long long)get_u64(p + 16));
  if (get_u64(p + 16) < r->size)
    return damaged(r, "there are bytes behind the end of the plan");
  return GIE_OK;
}

/* ---- The table --------------------------------------------------------------------------------- */

/* Sections come in one order, each at the next multiple of PLAN_ALIGN, to the end of the file. */
static gie_status check_table(struct reader *r, const unsigned char *table)
{
  uint64_t at = PLAN_HEADER + (uint64_t)r->n * PLAN_ENTRY;
  for (uint32_t i = 0; i < r->n; i++) {
    const unsigned char *e = table + (size_t)i * PLAN_ENTRY;
    struct section *s = &r->sections[i];
    s->kind = plan_section_kind(r->n_profiles, i, &s->index);
    s->offset = get_u64(e + 8);
    s->size = get_u64(e + 16);
    memcpy(s->hash, e + 32, 32);
    at = (at + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN;
    if (get_u32(e) != s->kind || get_u32(e + 4) != s->index || get_u64(e + 24) != 0)
      return damaged(r, "a section is not the one that belongs at its place");
    if (s->offset != at || at > r->size || s->size > r->size - at)
      return damaged(r, "a section lies outside the file or not where it belongs");
    if (s->kind != PLAN_WEIGHTS && s->size > TEXT_MAX_SIZE)
      return gie_fail(r->ctx, GIE_E_LIMIT, "a text of the plan has %llu bytes; at most %zu are allowed",
                      (unsigned long long)s->size, TEXT_MAX_SIZE);
    at += s->size;
  }
  return at == r->size ? GIE_OK : damaged(r, "the last section does not end with the file");
}

static gie_status check_hash(const struct reader *r, const void *p, size_t n, const void *q, size_t m,
                             const unsigned char want[32], const char *what)
{
  struct gie_sha256 sha;
  unsigned char have[32];
  gie_sha256_init(&sha);
  if (n)
    gie_sha256_update(&sha, p, n);
  if (m)
    gie_sha256_update(&sha, q, m);
  gie_sha256_final(&sha, have);
  if (memcmp(have, want, 32) == 0)
    return GIE_OK;
  return gie_fail(r->ctx, GIE_E_DATA, "the %s does not have its SHA-256; " REMEDY, what);
}

static gie_status read_table(struct reader *r)
{
  unsigned char head[HEAD_SIZE];
  size_t n = r->size < sizeof head ? (size_t)r->size : sizeof head;
  GIE_TRY(gie_file_pread(r->ctx, r->fd, r->path, head, n, 0));
  GIE_TRY(check_start(r, head, n));
  r->n = get_u32(head + 24);
  if (get_u32(head + 28) != 0 || r->n < plan_n_sections(1) || r->n > plan_n_sections(PLAN_MAX_PROFILES) ||
      r->n % 2 || (r->size - PLAN_HEADER) / PLAN_ENTRY < r->n)
    return damaged(r, "the number of sections is impossible");
  r->n_profiles = (r->n - 4) / 2;
  r->sections = gie_alloc(r->ctx, r->n, sizeof *r->sections);
  unsigned char *table = gie_alloc_raw(r->ctx, r->n, PLAN_ENTRY);
  gie_status st = r->sections && table ? GIE_OK : GIE_E_MEMORY;
  if (st == GIE_OK)
    st = gie_file_pread(r->ctx, r->fd, r->path, table, (size_t)r->n * PLAN_ENTRY, PLAN_HEADER);
  if (st == GIE_OK)
    st = check_hash(r, head, 32, table, (size_t)r->n * PLAN_ENTRY, head + 32, "header");
  if (st == GIE_OK)
    st = check_table(r, table);
  gie_free(r->ctx, table);
  return st;
}

/* ---- Sections ---------------------------------------------------------------------------------- */

/* Bytes between the section before (or the table) and this one. */
static gie_status check_padding(const struct reader *r, uint32_t i)
{
  unsigned char pad[PLAN_ALIGN];
  uint64_t from = i ? r->sections[i - 1].offset + r->sections[i - 1].size
                    : PLAN_HEADER + (uint64_t)r->n * PLAN_ENTRY;
  size_t n = (size_t)(r->sections[i].offset - from);
  GIE_TRY(gie_file_pread(r->ctx, r->fd, r->path, pad, n, from));
  for (size_t k = 0; k < n; k++)
    if (pad[k])
      return damaged(r, "bytes between the sections are not zero");
  return GIE_OK;
}

/* The text of a section, with a NUL behind; freed with gie_free(). */
static gie_status read_text(const struct reader *r, uint32_t i, char **out)
{
  const struct section *s = &r->sections[i];
  char *text = gie_alloc_raw(r->ctx, (size_t)s->size + 1, 1);
  if (!text)
    return GIE_E_MEMORY;
  gie_status st = gie_file_pread(r->ctx, r->fd, r->path, text, (size_t)s->size, s->offset);
  if (st == GIE_OK)
    st = check_hash(r, text, (size_t)s->size, NULL, 0, s->hash, plan_kind_name(s->kind));
  if (st != GIE_OK) {
    gie_free(r->ctx, text);
    return st;
  }
  text[s->size] = '\0';
  *out = text;
  return GIE_OK;
}

static gie_status use_meta(struct reader *r, const char *text, size_t size)
{
  struct gie_plan *plan = r->plan;
  GIE_TRY(plan_read_meta(plan, text, size));
  if (plan->abi_major != GIE_ABI_MAJOR)
    return gie_fail(r->ctx, GIE_E_DATA,
                    "it was made for modules of ABI %u, this gie has %u; build the plan again",
                    (unsigned)plan->abi_major, GIE_ABI_MAJOR);
  GIE_TRY(plan_check_ops(plan));
  /* what the graphs need is collected anew from them and compared at the end */
  r->kernels = plan->kernels;
  r->ops = plan->ops;
  plan->kernels = plan->ops = (struct plan_needs){0};
  return GIE_OK;
}

static gie_status use_text(struct reader *r, const struct section *s, const char *text,
                           struct gie_plan_profile *p)
{
  struct gie_plan *plan = r->plan;
  struct gie_graph *g;
  size_t size = (size_t)s->size;
  switch (s->kind) {
  case PLAN_META:
    return use_meta(r, text, size);
  case PLAN_BASE:
    GIE_TRY(text_read(r->ctx, text, size, r->weights, &plan->base));
    return plan_add_needs(plan, plan->base);
  case PLAN_HEAD:
    return plan_read_head(plan, text, size, p);
  case PLAN_GRAPH:
    GIE_TRY(text_read(r->ctx, text, size, r->weights, &g));
    p->graph = g;
    return plan_add_profile(plan, p);
  default:
    if (memchr(text, 0, size))
      return gie_fail(r->ctx, GIE_E_DATA, "there is a NUL in it");
    return plan_set_candidates(plan, text);
  }
}

/* Damage by another name: whatever is wrong in a text is wrong data of the plan. */
static gie_status as_data(gie_status st)
{
  bool keep = st == GIE_OK || st == GIE_E_MEMORY || st == GIE_E_IO || st == GIE_E_MODULE ||
              st == GIE_E_INTERNAL;
  return keep ? st : GIE_E_DATA;
}

static gie_status read_section(struct reader *r, uint32_t i, struct gie_plan_profile *p)
{
  const struct section *s = &r->sections[i];
  char *text;
  gie_status st = read_text(r, i, &text);
  if (st != GIE_OK)
    return st;
  st = as_data(use_text(r, s, text, p));
  gie_free(r->ctx, text);
  if (st == GIE_OK || st == GIE_E_MODULE)
    return st;
  return gie_error_prefix(r->ctx, st, "section %s %u", plan_kind_name(s->kind), (unsigned)s->index);
}

/* All weights, front to back, before any text that names them. */
static gie_status read_weights(struct reader *r)
{
  const struct section *s = &r->sections[r->n - 1];
  GIE_TRY(weights_open_part(r->ctx, r->fd, r->path, s->offset, s->size, REMEDY, &r->weights));
  if (memcmp(weights_head_hash(r->weights), s->hash, 32) != 0)
    return damaged(r, "the table of weights does not have its SHA-256");
  return weights_load_all(r->weights);
}

/* ---- The whole --------------------------------------------------------------------------------- */

/* What the plan says it needs, and what its graphs do; where it came from is as the plan says. */
static gie_status finish(struct reader *r, bool look_only)
{
  struct gie_plan *plan = r->plan;
  struct plan_needs kernels = plan->kernels, ops = plan->ops;
  if (weights_unused(r->weights))
    return gie_fail(r->ctx, GIE_E_DATA, "%zu weights belong to no graph; " REMEDY,
                    weights_unused(r->weights));
  GIE_TRY(as_data(plan_same_needs(plan, &r->kernels, &r->ops)));
  plan->kernels = r->kernels;
  plan->ops = r->ops;
  r->kernels = kernels;
  r->ops = ops;
  return look_only ? GIE_OK : plan_check_kernels(plan);
}

static gie_status read_plan(struct reader *r, bool look_only)
{
  struct gie_plan_profile p = {.struct_size = sizeof p};
  GIE_TRY(read_table(r));
  for (uint32_t i = 0; i < r->n; i++)
    GIE_TRY(check_padding(r, i));
  GIE_TRY(read_weights(r));
  GIE_TRY(plan_new(r->ctx, NULL, &r->plan));
  for (uint32_t i = 0; i + 1 < r->n; i++)
    GIE_TRY(read_section(r, i, &p));
  return finish(r, look_only);
}

static gie_status load(struct gie_context *ctx, const char *path, bool look_only, struct gie_plan **out)
{
  struct reader r = {.ctx = ctx, .path = path};
  GIE_TRY(gie_file_open(ctx, path, &r.fd, &r.size));
  gie_status st = read_plan(&r, look_only);
  close(r.fd);
  weights_close(r.weights);
  gie_free(ctx, r.sections);
  gie_free(ctx, r.kernels.v);
  gie_free(ctx, r.ops.v);
  if (st == GIE_OK) {
    *out = r.plan;
    return GIE_OK;
  }
  gie_plan_free(r.plan);
  return mod_with_path(ctx, st, path);
}

gie_status gie_plan_load(struct gie_context *ctx, const char *path, struct gie_plan **out)
{
  return load(ctx, path, false, out);
}

gie_status plan_load_any(struct gie_context *ctx, const char *path, struct gie_plan **out)
{
  return load(ctx, path, true, out);
}

bool gie_plan_probe(const char *path)
{
  struct gie_context *quiet = NULL;
  unsigned char head[8];
  uint64_t size;
  int fd;
  if (gie_file_open(quiet, path, &fd, &size) != GIE_OK)
    return false;
  bool is = size >= sizeof head && gie_file_pread(quiet, fd, path, head, sizeof head, 0) == GIE_OK &&
            memcmp(head, PLAN_MAGIC, sizeof head) == 0;
  close(fd);
  return is;
}
