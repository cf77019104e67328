/* SPDX-License-Identifier: Apache-2.0 */
/* A target as text: one line for each thing that is known of a device, "name value". */
#include "core/tune/tune.h"
#include <math.h>

#define HEAD "gie target 1"
#define MAX_BYTES 65536

/* The figures; units are in the names. */
static const struct row {
  const char *name;
  size_t at;
} ROWS[] = {
#define ROW(name) {#name, offsetof(struct gie_peaks, name)},
    TUNE_PEAKS(ROW)
#undef ROW
};
static const struct flag {
  const char *name;
  uint64_t flag;
} FLAGS[] = {{"host", GIE_DEVICE_HOST},
             {"f16", GIE_DEVICE_F16},
             {"bf16", GIE_DEVICE_BF16},
             {"energy", GIE_DEVICE_ENERGY}};
#define N(a) (sizeof(a) / sizeof *(a))
/* What a line can begin with. */
static const char *const NAMES[] = {
#define NAME(name) #name,
    "device", "name", "units", "flags", TUNE_PEAKS(NAME)
#undef NAME
};

void tune_target_print(const struct gie_target *t, struct gie_buf *out)
{
  char number[GIE_NUMBER_MAX];
  gie_buf_printf(out, HEAD "\ndevice %s\nname ", t->device);
  gie_buf_escape(out, t->name, strlen(t->name));
  gie_buf_printf(out, "\nunits %u\nflags", (unsigned)t->units);
  for (size_t i = 0; i < N(FLAGS); i++)
    if (t->flags & FLAGS[i].flag)
      gie_buf_printf(out, " %s", FLAGS[i].name);
  gie_buf_puts(out, "\n");
  for (size_t i = 0; i < N(ROWS); i++) {
    double v;
    memcpy(&v, (const char *)&t->peaks + ROWS[i].at, sizeof v);
    gie_buf_printf(out, "%s %s\n", ROWS[i].name, gie_double_text(v, number));
  }
}

/* ---- Reading ------------------------------------------------------------------------------------------ */

struct reader {
  struct gie_context *ctx;
  struct gie_arena *mem;
  const char *path;
  unsigned line, seen[N(NAMES)]; /* the line that each was in; 0: none yet */
};

static gie_status bad(const struct reader *r, const char *what)
{
  return gie_fail(r->ctx, GIE_E_DATA, "%s: line %u: %s; gie target shows what one looks like", r->path,
                  r->line, what);
}

static gie_status check_once(struct reader *r, const char *name)
{
  for (size_t i = 0; i < N(NAMES); i++) {
    if (strcmp(NAMES[i], name) != 0)
      continue;
    if (r->seen[i])
      return gie_fail(r->ctx, GIE_E_DATA, "%s: line %u: %s is in line %u already; leave one of them out",
                      r->path, r->line, name, r->seen[i]);
    r->seen[i] = r->line;
  }
  return GIE_OK;
}

static gie_status read_flags(const struct reader *r, const char *text, uint64_t *out)
{
  for (const char *s = text + strspn(text, " "); *s; s += strcspn(s, " "), s += strspn(s, " ")) {
    size_t n = strcspn(s, " "), i = 0;
    while (i < N(FLAGS) && (strlen(FLAGS[i].name) != n || memcmp(FLAGS[i].name, s, n) != 0))
      i++;
    if (i == N(FLAGS))
      return bad(r, "there is no such flag");
    *out |= FLAGS[i].flag;
  }
  return GIE_OK;
}

static gie_status read_line(const struct reader *r, const char *name, const char *value, struct gie_target *t)
{
  const char *end = value + strlen(value), *next;
  int64_t units;
  double v;
  if (strcmp(name, "device") == 0 || strcmp(name, "name") == 0) {
    char *copy = gie_arena_strdup(r->mem, value);
    *(*name == 'd' ? &t->device : &t->name) = copy;
    return copy ? GIE_OK : GIE_E_MEMORY;
  }
  if (strcmp(name, "flags") == 0)
    return read_flags(r, value, &t->flags);
  if (strcmp(name, "units") == 0) {
    if (!gie_parse_int(value, end, &units, &next) || next != end || units < 0 || units > INT32_MAX)
      return bad(r, "units is no number");
    t->units = (uint32_t)units;
    return GIE_OK;
  }
  for (size_t i = 0; i < N(ROWS); i++)
    if (strcmp(ROWS[i].name, name) == 0) {
      if (!gie_parse_double(value, end, &v, &next) || next != end || !isfinite(v) || v < 0)
        return bad(r, "a figure is no number of 0 or more");
      memcpy((char *)&t->peaks + ROWS[i].at, &v, sizeof v);
      return GIE_OK;
    }
  return bad(r, "nothing is called so");
}

/* Ends the line at s and cuts it into name and value. */
static char *cut(char *s, char **value, char **next)
{
  size_t n = strcspn(s, "\n");
  *next = s[n] ? s + n + 1 : s + n;
  s[n] = 0;
  if (n > 0 && s[n - 1] == '\r')
    s[n - 1] = 0;
  n = strcspn(s, " ");
  *value = s[n] ? s + n + 1 : s + n;
  s[n] = 0;
  return s;
}

static gie_status read_all(struct reader *r, char *s, const char *end, struct gie_target *t)
{
  char *value, *next;
  if (strncmp(s, HEAD, strlen(HEAD)) != 0 || !strchr("\r\n", s[strlen(HEAD)]))
    return gie_fail(r->ctx, GIE_E_DATA,
                    "%s: it is no target: the first line is not \"" HEAD "\"; gie target makes one", r->path);
  for (s += strcspn(s, "\n"), s += *s == '\n', r->line = 2; s < end; s = next, r->line++) {
    const char *name = cut(s, &value, &next);
    if (!*name || *name == '#')
      continue;
    GIE_TRY(check_once(r, name));
    GIE_TRY(read_line(r, name, value, t));
  }
  return GIE_OK;
}

gie_status tune_target_parse(struct gie_context *ctx, const char *path, char *text, size_t size,
                             struct gie_arena *mem, struct gie_target *out)
{
  struct reader r = {.ctx = ctx, .mem = mem, .path = path, .line = 1};
  struct gie_target t = {.struct_size = sizeof t,
                         .device = "",
                         .name = "",
                         .peaks.struct_size = sizeof t.peaks};
  GIE_TRY(strlen(text) == size ? read_all(&r, text, text + size, &t) : bad(&r, "there is a NUL"));
  if (!*t.device)
    return gie_fail(ctx, GIE_E_DATA, "%s: it does not say for which device it is; give a line device KIND",
                    path);
  if (t.peaks.bytes_per_s <= 0 || t.peaks.f32_flop_per_s <= 0)
    return gie_fail(ctx, GIE_E_DATA, "%s: bytes_per_s and f32_flop_per_s are needed, above 0", path);
  *out = t;
  return GIE_OK;
}

gie_status tune_target_read(struct gie_context *ctx, const char *path, struct gie_arena *mem,
                            struct gie_target *out)
{
  size_t size;
  char *text;
  GIE_TRY(gie_file_read(ctx, path, MAX_BYTES, &text, &size));
  gie_status st = tune_target_parse(ctx, path, text, size, mem, out);
  gie_free(ctx, text);
  return st;
}
