/* SPDX-License-Identifier: Apache-2.0 */
/* Struct to bytes (doc/plan.md). Everything that the header states is known before the first byte is
 * written, so the file is written from front to back, and the same plan gives the same bytes. */
#include "core/ir/text.h"
#include "core/plan/plan.h"

/* ---- Sections ---------------------------------------------------------------------------------- */

static const char *const kind_names[] = {"", "meta", "base", "head", "graph", "candidates", "weights"};

const char *plan_kind_name(enum plan_kind kind)
{
  return kind >= PLAN_META && kind <= PLAN_WEIGHTS ? kind_names[kind] : "?";
}

enum plan_kind plan_section_kind(uint32_t n_profiles, uint32_t i, uint32_t *index)
{
  *index = 0;
  if (i < 2)
    return i == 0 ? PLAN_META : PLAN_BASE;
  if (i < 2 + 2 * n_profiles) {
    *index = (i - 2) / 2;
    return i % 2 == 0 ? PLAN_HEAD : PLAN_GRAPH;
  }
  return i == 2 + 2 * n_profiles ? PLAN_CANDIDATES : PLAN_WEIGHTS;
}

struct section {
  struct gie_buf bytes; /* of weights: header and table */
  uint64_t offset, size;
};

struct writer {
  const struct gie_plan *plan;
  uint32_t n;
  struct section *sections;
  struct weights_out weights;
  uint64_t size; /* of the file */
};

static gie_status fill(struct writer *w, uint32_t i)
{
  const struct gie_plan *plan = w->plan;
  struct section *s = &w->sections[i];
  uint32_t index;
  switch (plan_section_kind(plan->n_profiles, i, &index)) {
  case PLAN_META:
    return plan_put_meta(plan, &s->bytes);
  case PLAN_BASE:
    return text_print(plan->base, &s->bytes, &w->weights);
  case PLAN_HEAD:
    return plan_put_head(&plan->profiles[index].pub, plan->ctx, &s->bytes);
  case PLAN_GRAPH:
    return text_print(plan->profiles[index].pub.graph, &s->bytes, &w->weights);
  case PLAN_CANDIDATES:
    gie_buf_puts(&s->bytes, plan->candidates);
    return s->bytes.status;
  default:
    return weights_head(&w->weights, &s->bytes, &s->size);
  }
}

static gie_status make_sections(struct writer *w)
{
  uint64_t at = PLAN_HEADER + (uint64_t)w->n * PLAN_ENTRY;
  for (uint32_t i = 0; i < w->n; i++)
    gie_buf_init(&w->sections[i].bytes, w->plan->ctx);
  for (uint32_t i = 0; i < w->n; i++) {
    struct section *s = &w->sections[i];
    GIE_TRY(fill(w, i));
    if (i + 1 < w->n && s->bytes.len > TEXT_MAX_SIZE)
      return gie_fail(w->plan->ctx, GIE_E_LIMIT, "a text of the plan has %zu bytes; at most %zu are allowed",
                      s->bytes.len, TEXT_MAX_SIZE);
    s->size = i + 1 < w->n ? s->bytes.len : s->size;
    s->offset = (at + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN;
    at = s->offset + s->size;
  }
  w->size = at;
  return GIE_OK;
}

/* ---- Header ------------------------------------------------------------------------------------ */

static void put_u32(unsigned char *p, uint32_t v)
{
  for (int i = 0; i < 4; i++)
    p[i] = (unsigned char)(v >> (8 * i));
}

static void put_u64(unsigned char *p, uint64_t v)
{
  for (int i = 0; i < 8; i++)
    p[i] = (unsigned char)(v >> (8 * i));
}

static void hash(const void *p, size_t n, const void *q, size_t m, unsigned char out[32])
{
  struct gie_sha256 sha;
  gie_sha256_init(&sha);
  gie_sha256_update(&sha, p, n);
  if (m)
    gie_sha256_update(&sha, q, m);
  gie_sha256_final(&sha, out);
}

/* Header and table: PLAN_HEADER + n * PLAN_ENTRY bytes at p. */
static void make_header(const struct writer *w, unsigned char *p)
{
  static const unsigned char magic[8] = PLAN_MAGIC;
  unsigned char *table = p + PLAN_HEADER;
  memcpy(p, magic, sizeof magic);
  put_u32(p + 8, PLAN_FORMAT);
  put_u32(p + 12, PLAN_ENDIAN);
  put_u64(p + 16, w->size);
  put_u32(p + 24, w->n);
  for (uint32_t i = 0; i < w->n; i++) {
    const struct section *s = &w->sections[i];
    unsigned char *e = table + (size_t)i * PLAN_ENTRY;
    uint32_t index;
    put_u32(e, plan_section_kind(w->plan->n_profiles, i, &index));
    put_u32(e + 4, index);
    put_u64(e + 8, s->offset);
    put_u64(e + 16, s->size);
    hash(s->bytes.data, s->bytes.len, NULL, 0, e + 32);
  }
  hash(p, 32, table, (size_t)w->n * PLAN_ENTRY, p + 32);
}

/* ---- Writing ----------------------------------------------------------------------------------- */

static gie_status write_bytes(const struct writer *w, struct gie_save *save)
{
  static const unsigned char zeros[PLAN_ALIGN];
  uint64_t at = PLAN_HEADER + (uint64_t)w->n * PLAN_ENTRY;
  for (uint32_t i = 0; i < w->n; i++) {
    const struct section *s = &w->sections[i];
    GIE_TRY(gie_save_write(save, zeros, (size_t)(s->offset - at)));
    GIE_TRY(gie_save_write(save, s->bytes.data, s->bytes.len));
    at = s->offset + s->size;
  }
  return weights_body(&w->weights, save);
}

static gie_status write_file(const struct writer *w, const char *path)
{
  struct gie_context *ctx = w->plan->ctx;
  struct gie_save save;
  size_t size = PLAN_HEADER + (size_t)w->n * PLAN_ENTRY;
  unsigned char *header = gie_alloc(ctx, size, 1);
  if (!header)
    return GIE_E_MEMORY;
  make_header(w, header);
  gie_status st = gie_save_begin(ctx, path, &save);
  if (st == GIE_OK) {
    st = gie_save_write(&save, header, size);
    if (st == GIE_OK)
      st = write_bytes(w, &save);
    if (st == GIE_OK)
      st = gie_save_commit(&save);
    else
      gie_save_abort(&save);
  }
  gie_free(ctx, header);
  return st;
}

gie_status gie_plan_save(const struct gie_plan *plan, const char *path)
{
  struct writer w = {.plan = plan, .n = plan_n_sections(plan->n_profiles), .weights = {.ctx = plan->ctx}};
  if (!plan->base || plan->n_profiles == 0)
    return gie_fail(plan->ctx, GIE_E_USAGE, "%s: a plan without profiles cannot be saved", path);
  w.sections = gie_alloc(plan->ctx, w.n, sizeof *w.sections);
  gie_status st = w.sections ? make_sections(&w) : GIE_E_MEMORY;
  if (st != GIE_OK)
    gie_error_prefix(plan->ctx, st, "%s", path);
  else
    st = write_file(&w, path);
  for (uint32_t i = 0; w.sections && i < w.n; i++)
    gie_buf_free(&w.sections[i].bytes);
  gie_free(plan->ctx, w.sections);
  weights_out_free(&w.weights);
  return st;
}
