/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance of a format: whatever the bytes are, its importer gives a valid graph or an error with a reason, closes what
 * it opens and frees what it allocates; what it writes it reads again. Tried on bytes that are made up, and on the files that
 * were given, which are cut and changed. */
#include "core/module/conform.h"
#include <dirent.h>
#include <gie/gie.h>
#include <sys/mman.h>
#include <unistd.h>

#define HEAD 512
#define MAX_FILE (1 << 20)
#define STRANGE 400
#define CUTS 400
#define CHANGES 3000
#define MAX_FAILURES 3000
#define WARM 40
#define LIFES 160
#define FAILING 1000 /* imports that fail in search of a leak */
#define WRITTEN 40   /* random graphs that are written */
#define NO_REASON "no reason given"

struct trial {
  struct conform *c;
  const struct gie_format *f;
  char path[128]; /* that the importer is told */
  unsigned char *bytes;
  size_t size;
  uint32_t accepted, refused, others;
};

/* ---- A file in memory */

static int memory_file(const unsigned char *bytes, size_t n)
{
  int fd = memfd_create("gie", MFD_CLOEXEC);
  size_t at = 0;
  while (fd >= 0 && at < n) {
    ssize_t k = pwrite(fd, bytes + at, n - at, (off_t)at);
    if (k <= 0) {
      close(fd);
      return -1;
    }
    at += (size_t)k;
  }
  return fd;
}

static uint32_t open_files(void)
{
  DIR *d = opendir("/proc/self/fd");
  uint32_t n = 0;
  while (d && readdir(d))
    n++;
  if (d)
    closedir(d);
  return n;
}

static struct gie_source source_of(const struct trial *t, int fd, const unsigned char *bytes, size_t n)
{
  return (struct gie_source){.struct_size = sizeof(struct gie_source),
                             .path = t->path,
                             .fd = fd,
                             .size = n,
                             .head = bytes,
                             .n_head = n < HEAD ? n : HEAD};
}

/* ---- Reading */

/* Imports; *out is NULL when it was refused. false: it did wrong. */
static bool read_bytes(struct trial *t, const unsigned char *bytes, size_t n, struct gie_graph **out)
{
  struct gie_context *ctx = t->c->ctx;
  int fd = memory_file(bytes, n);
  struct gie_source src = source_of(t, fd, bytes, n);
  *out = NULL;
  if (fd < 0)
    return conform_wrong(t->c, "no file in memory can be made");
  gie_fail(ctx, GIE_E_INTERNAL, NO_REASON);
  gie_status st = t->f->import(ctx, &src, out);
  close(fd);
  if (st == GIE_OK && !*out)
    return conform_wrong(t->c, "import reports success without a graph");
  if (st != GIE_OK && *out) {
    *out = NULL;
    return conform_wrong(t->c, "import fails and gives a graph");
  }
  if (st != GIE_OK && strcmp(gie_error_text(ctx), NO_REASON) == 0)
    return conform_wrong(t->c, "import fails without a reason; call gie_fail()");
  t->accepted += st == GIE_OK;
  t->refused += st != GIE_OK;
  return true;
}

/* What was accepted is a graph that can be used. */
static bool check_graph(struct trial *t, struct gie_graph *g)
{
  char *text = NULL;
  size_t n;
  if (gie_graph_verify(g) != GIE_OK)
    return conform_wrong(t->c, "import gives a graph that is not valid: %s", gie_error_text(t->c->ctx));
  if (!conform_text(g, &text, &n))
    return conform_wrong(t->c, "import gives a graph that cannot be printed: %s", gie_error_text(t->c->ctx));
  gie_free(t->c->ctx, text);
  return true;
}

static bool try_bytes(struct trial *t, const unsigned char *bytes, size_t n)
{
  struct gie_graph *g;
  int fd = memory_file(bytes, n);
  const struct gie_source src = source_of(t, fd, bytes, n);
  int sure = t->f->probe(&src), again = t->f->probe(&src);
  if (fd >= 0)
    close(fd);
  if (sure < 0 || sure > 100 || sure != again)
    return conform_wrong(t->c, "probe returns %d and %d; it is 0 to 100, and the same for the same file",
                         sure, again);
  if (sure == 0) { /* then the engine does not ask it */
    t->others++;
    return true;
  }
  bool good = read_bytes(t, bytes, n, &g) && (!g || check_graph(t, g));
  gie_graph_free(g);
  return good;
}

static void end_reading(struct trial *t, bool good, uint32_t files)
{
  uint32_t now = open_files();
  if (good && now > files)
    good = conform_wrong(t->c, "it leaves %u files open", (unsigned)(now - files));
  if (good && t->accepted + t->refused == 0)
    conform_end(t->c, CONFORM_SKIPPED, "nothing is tried: its probe takes none of %u files for its own",
                (unsigned)t->others);
  else if (good)
    conform_end(t->c, CONFORM_OK, "%u accepted, %u refused with a reason, %u not its own",
                (unsigned)t->accepted, (unsigned)t->refused, (unsigned)t->others);
  else
    conform_end(t->c, CONFORM_FAILED, "%s", t->c->wrong);
}

/* ---- Bytes that are made up */

static size_t make_up(uint64_t *random, int i, unsigned char *out, size_t max)
{
  static const char *const starts[] = {"",        "\x7f\x45LF", "PK\x03\x04", "\x08\x07",
                                       "graph {", "{",          "<?xml",      "name: \"x\""};
  const char *start = starts[(size_t)i % (sizeof starts / sizeof starts[0])];
  size_t n = 1 + probe_random(random) % max, at = strlen(start);
  int kind = i % 3;
  for (size_t k = 0; k < n; k++) {
    uint64_t r = probe_random(random) >> 16;
    out[k] = (unsigned char)(kind == 0   ? r
                             : kind == 1 ? ' ' + (unsigned)(r % 95)
                                         : (unsigned)"0123456789 \n\"{}:,-"[r % 18]);
  }
  memcpy(out, start, at < n ? at : n);
  return n;
}

static void check_strange(struct trial *t)
{
  unsigned char bytes[600];
  uint64_t random = t->c->seed;
  bool good = true;
  if (!conform_begin(t->c, "format %s: strange bytes", t->f->name))
    return;
  uint32_t files = open_files();
  for (int i = 0; good && i < STRANGE; i++) {
    size_t n = make_up(&random, i, bytes, sizeof bytes);
    conform_doing(t->c, "file %d of %d, %zu bytes", i, STRANGE, n);
    good = try_bytes(t, bytes, n);
  }
  end_reading(t, good, files);
}

/* ---- A file that was given */

static void check_cuts(struct trial *t, const char *name)
{
  bool good = true;
  size_t step = t->size / CUTS + 1;
  if (!conform_begin(t->c, "format %s: %s: cut", t->f->name, name))
    return;
  uint32_t files = open_files();
  t->accepted = t->refused = t->others = 0;
  for (size_t n = 1; good && n < t->size; n += step) {
    conform_doing(t->c, "its first %zu bytes", n);
    good = try_bytes(t, t->bytes, n);
  }
  end_reading(t, good, files);
}

#define PLACES 4 /* that are changed at most */
#define RUN 16   /* bytes of a place at most */

/* Changes 1 to PLACES places: a byte, a bit, a run of the same, bytes of elsewhere, which may be more; returns the size. */
static size_t change(uint64_t *random, unsigned char *b, size_t n, size_t *first)
{
  static const unsigned char odd[] = {0, 0xff, 0x7f, 0x80, '0', '-', '9', '"', '{', '}', ' ', '\n'};
  int places = 1 + (int)(probe_random(random) % PLACES);
  for (int i = 0; i < places; i++) {
    uint64_t r = probe_random(random);
    size_t at = (size_t)(probe_random(random) % n), from = (size_t)(probe_random(random) % n);
    size_t most = n - (at > from ? at : from), run = 1 + (size_t)(r >> 32) % (most < RUN ? most : RUN);
    *first = i ? *first : at;
    switch (r % 5) {
    case 0:
      b[at] = odd[(r >> 8) % sizeof odd];
      break;
    case 1:
      b[at] ^= (unsigned char)(1u << ((r >> 8) % 8));
      break;
    case 2:
      memset(b + at, odd[(r >> 8) % sizeof odd], run);
      break;
    case 3:
      memmove(b + at, b + from, run);
      break;
    default: /* a part twice */
      memmove(b + at + run, b + at, n - at);
      n += run;
      break;
    }
  }
  return n;
}

static void check_changes(struct trial *t, const char *name)
{
  uint64_t random = t->c->seed;
  if (!conform_begin(t->c, "format %s: %s: changed", t->f->name, name))
    return;
  unsigned char *bytes = gie_alloc(t->c->ctx, t->size + PLACES * RUN, 1);
  bool good = bytes || conform_wrong(t->c, "out of memory");
  uint32_t files = open_files();
  t->accepted = t->refused = t->others = 0;
  for (int i = 0; bytes && good && i < CHANGES; i++) {
    size_t first = 0;
    memcpy(bytes, t->bytes, t->size);
    size_t n = change(&random, bytes, t->size, &first);
    conform_doing(t->c, "change %d of %d, at byte %zu", i, CHANGES, first);
    good = try_bytes(t, bytes, n);
  }
  gie_free(t->c->ctx, bytes);
  end_reading(t, good, files);
}

/* An import whose allocation n fails; *reached: it came to it. `refused`: the file is, also with memory. */
static bool import_without(struct trial *t, long n, bool refused, bool *reached)
{
  struct gie_context *ctx = t->c->ctx;
  struct gie_graph *g = NULL;
  int fd = memory_file(t->bytes, t->size);
  struct gie_source src = source_of(t, fd, t->bytes, t->size);
  ctx->fail_alloc_after = n;
  gie_status st = t->f->import(ctx, &src, &g);
  *reached = ctx->fail_alloc_after <= 0;
  ctx->fail_alloc_after = -1;
  close(fd);
  if (st == GIE_OK)
    gie_graph_free(g);
  if (st == GIE_OK && *reached)
    return conform_wrong(t->c, "import reports success though allocation %ld failed", n);
  return st == GIE_OK || *reached || refused ||
         conform_wrong(t->c, "import fails when it is repeated: %s", gie_error_text(ctx));
}

struct failures {
  struct trial *t;
  bool refused; /* the file is, also with memory */
  long n;       /* allocations 1 to n - 1 are there */
};

static bool fail_again(void *user, long i)
{
  struct failures *f = user;
  bool reached;
  long which = 1 + i % (f->n - 1);
  conform_doing(f->t->c, "allocation %ld fails once more", which);
  return import_without(f->t, which, f->refused, &reached);
}

/* Each allocation fails in turn, which is an error; many times, of which nothing may be left. */
static bool check_failures(struct trial *t)
{
  struct failures f = {.t = t, .n = 1};
  struct gie_graph *whole;
  bool reached = true;
  if (!read_bytes(t, t->bytes, t->size, &whole))
    return false;
  f.refused = whole == NULL;
  gie_graph_free(whole);
  while (f.n < MAX_FAILURES && reached) {
    conform_doing(t->c, "allocation %ld fails", f.n);
    if (!import_without(t, f.n++, f.refused, &reached))
      return false;
  }
  f.n -= !reached;
  const struct conform_repeat r = {WARM, FAILING, fail_again, &f, "imports that fail", ""};
  return f.n == 1 || conform_repeat(t->c, &r);
}

/* The whole file, and one that ends early. */
static bool read_again(void *user, long i)
{
  struct trial *t = user;
  struct gie_graph *g;
  if (!read_bytes(t, t->bytes, i % 2 ? t->size : t->size - t->size / 3, &g))
    return false;
  gie_graph_free(g);
  return true;
}

static bool check_leaks(struct trial *t)
{
  const struct conform_repeat r = {WARM, LIFES, read_again, t, "imports", ""};
  return conform_repeat(t->c, &r);
}

static void check_memory(struct trial *t, const char *name)
{
  if (!conform_begin(t->c, "format %s: %s: without memory, many times", t->f->name, name))
    return;
  uint32_t files = open_files();
  if (check_leaks(t) && check_failures(t) &&
      (open_files() <= files || conform_wrong(t->c, "it leaves files open")))
    conform_end(t->c, CONFORM_OK, "each failed allocation is an error, and %d imports leave nothing behind",
                LIFES);
  else
    conform_end(t->c, CONFORM_FAILED, "%s", t->c->wrong);
}

/* The bytes of a case, if it is of this format and not too large. */
static bool load_bytes(struct trial *t, const char *path)
{
  char *bytes = NULL;
  if (gie_file_read(t->c->ctx, path, MAX_FILE, &bytes, &t->size) != GIE_OK || t->size == 0) {
    gie_free(t->c->ctx, bytes);
    return false;
  }
  t->bytes = (unsigned char *)bytes;
  const struct gie_source src = source_of(t, -1, t->bytes, t->size);
  return t->f->probe(&src) > 0;
}

static bool check_file(struct conform *c, const struct gie_format *f, const char *path)
{
  struct trial t = {.c = c, .f = f};
  snprintf(t.path, sizeof t.path, "%s", strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
  bool is_ours = load_bytes(&t, path);
  if (is_ours) {
    check_cuts(&t, path);
    check_changes(&t, path);
    check_memory(&t, path);
  }
  gie_free(c->ctx, t.bytes);
  return is_ours;
}

/* ---- Writing */

/* Writes the graph and reads it again; E_NO: it did wrong, another status: it does not write this graph. */
static gie_status write_and_read(struct trial *t, const struct gie_graph *g)
{
  struct gie_graph *back = NULL;
  char how[300];
  bool ran;
  int fd = memory_file(NULL, 0);
  gie_fail(t->c->ctx, GIE_E_INTERNAL, NO_REASON);
  gie_status st = fd >= 0 ? t->f->export_(t->c->ctx, g, t->path, fd) : GIE_E_IO;
  off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
  if (st != GIE_OK) {
    if (fd >= 0)
      close(fd);
    if (strcmp(gie_error_text(t->c->ctx), NO_REASON) != 0)
      return st;
    conform_wrong(t->c, "export fails without a reason; call gie_fail()");
    return GIE_E_NO;
  }
  t->size = (size_t)size;
  t->bytes = gie_alloc_raw(t->c->ctx, t->size + 1, 1);
  bool good = t->bytes && pread(fd, t->bytes, t->size, 0) == (ssize_t)size;
  close(fd);
  const struct gie_source src = source_of(t, -1, t->bytes, t->size);
  good = (good || conform_wrong(t->c, "what it wrote cannot be read")) &&
         (t->f->probe(&src) > 0 || conform_wrong(t->c, "probe does not know what export wrote")) &&
         read_bytes(t, t->bytes, t->size, &back) &&
         (back || conform_wrong(t->c, "import refuses what export wrote: %s", gie_error_text(t->c->ctx))) &&
         check_graph(t, back) &&
         (conform_same(g, back, false, t->c->seed, &ran, how, sizeof how) ||
          conform_wrong(t->c, "written and read again: %s", how));
  gie_graph_free(back);
  gie_free(t->c->ctx, t->bytes);
  t->bytes = NULL;
  return good ? GIE_OK : GIE_E_NO;
}

static void check_writing(struct trial *t)
{
  uint32_t written = 0, refused = 0;
  gie_status st = GIE_OK;
  if (!t->f->export_ || !conform_begin(t->c, "format %s: written and read again", t->f->name))
    return;
  for (uint64_t i = 0; st != GIE_E_NO && i < WRITTEN + t->c->n_cases; i++) {
    struct gie_graph *g = i < WRITTEN ? conform_random(t->c->ctx, t->c->seed * WRITTEN + i) : NULL;
    const struct gie_graph *from = i < WRITTEN ? g : t->c->cases[i - WRITTEN];
    char ops[400];
    if (!from)
      continue;
    conform_ops_text(from, ops, sizeof ops);
    conform_doing(t->c, "%s", ops);
    st = write_and_read(t, from);
    written += st == GIE_OK;
    refused += st != GIE_OK;
    gie_graph_free(g);
  }
  if (st == GIE_E_NO)
    conform_end(t->c, CONFORM_FAILED, "%s", t->c->wrong);
  else
    conform_end(t->c, written ? CONFORM_OK : CONFORM_SKIPPED,
                "%u graphs, the same after it; %u refused with a reason", (unsigned)written,
                (unsigned)refused);
}

void conform_format(struct conform *c, const struct gie_format *f)
{
  struct trial t = {.c = c, .f = f};
  bool any = false;
  snprintf(t.path, sizeof t.path, "strange%s", f->suffixes && f->suffixes[0] ? f->suffixes[0] : "");
  check_strange(&t);
  for (uint32_t i = 0; i < c->n_cases; i++)
    any |= check_file(c, f, c->paths[i]);
  if (!any && conform_begin(c, "format %s: files", f->name))
    conform_end(c, CONFORM_SKIPPED,
                "no file of it; give some with --case, of up to %d bytes: they are cut and changed",
                MAX_FILE);
  check_writing(&t);
}
