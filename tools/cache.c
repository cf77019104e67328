/* SPDX-License-Identifier: Apache-2.0 */
/* gie cache: timing caches listed, merged, compared and pruned. */
#include "core/tune/tune.h"
#include "tools/tool.h"
#include <math.h>
#include <unistd.h>

static const char what[] =
    "Works on timing caches, the files in which builds keep how long kernels took. FILE is by default the\n"
    "one that builds use.\n"
    "list: the entries. merge: puts the entries of every IN into OUT; of equal ones the later IN counts.\n"
    "diff: entries that only one has, and times that differ; exit 1 if there are any. prune: takes out what\n"
    "cannot be used here: entries of kernels that are not loaded and of devices that are not present; with\n"
    "--bad also those of kernels that failed, say for want of memory, so that the next build tries them again.";
static const char examples[] = "  gie cache list --problem=conv --kernel=onednn\n"
                               "  gie cache merge all.txt monday.txt tuesday.txt\n"
                               "  gie cache diff old.txt new.txt --tolerance=5%\n"
                               "  gie cache prune --older-versions --dry-run\n";

struct options {
  const char *problem, *kernel, *tolerance_text;
  double tolerance;
  bool is_json, older, bad, dry_run;
};

/* ---- Files */

/* The file that was named, or the one that builds use. NULL: there is none. */
static const char *path_of(struct tool *t, const struct tool_list *args)
{
  return args->n > 1 ? args->v[1] : tune_cache_default_path(t->ctx, &t->arena);
}

/* A file that was named must be there; the default one is empty before the first build. */
static int open_path(struct tool *t, const struct tool_list *args, bool read_only, struct tune_cache **out)
{
  const char *path = path_of(t, args);
  if (!path)
    return tool_fail(t, GIE_E_CONFIG, "there is no timing cache by default; name a file, or set GIE_CACHE");
  bool missing = args->n < 2 && access(path, F_OK) != 0;
  gie_status st = missing ? tune_cache_open(t->ctx, path, read_only, out)
                          : tune_cache_open_named(t->ctx, path, read_only, out);
  return st == GIE_OK ? TOOL_GO_ON : tool_error(t, st);
}

/* Saves and frees. */
static int close_saved(struct tool *t, struct tune_cache *c)
{
  gie_status st = tune_cache_save(c);
  tune_cache_free(c);
  return st == GIE_OK ? 0 : tool_error(t, st);
}

static const char *milliseconds(struct tool *t, double seconds)
{
  return tool_format(t, "%.4f ms", seconds * 1e3);
}

/* ---- list */

static bool is_wanted(const struct options *o, const struct tune_entry *e)
{
  return (!o->problem || strstr(e->problem, o->problem)) && (!o->kernel || strstr(e->kernel, o->kernel));
}

static void json_entry(struct json *j, struct tool *t, const struct tune_entry *e)
{
  json_open(j, NULL, '{', false);
  json_text(j, "problem", e->problem);
  json_text(j, "kernel", e->kernel);
  json_text(j, "config", tool_format(t, "0x%llx", (unsigned long long)e->config));
  json_text(j, "device", e->device);
  json_text(j, "version", e->version);
  json_text(j, "verdict", probe_verdict_word(e->verdict));
  json_real(j, "seconds", e->seconds);
  json_real(j, "spread", e->spread);
  json_real(j, "error", e->error);
  json_text(j, "text", e->text);
  json_close(j, '}');
}

static int list_json(struct tool *t, const struct options *o, const struct tune_cache *c)
{
  struct json j;
  struct tune_entry e;
  json_begin(&j);
  json_open(&j, "entries", '[', false);
  for (size_t i = 0; tune_cache_at(c, i, &e); i++)
    if (is_wanted(o, &e))
      json_entry(&j, t, &e);
  json_close(&j, ']');
  json_end(&j);
  return 0;
}

static int list_table(struct tool *t, const struct options *o, const struct tune_cache *c)
{
  static const char *const heads[] = {"kernel", "config", "time", "spread", "device", "problem"};
  struct tool_table tab;
  struct tune_entry e;
  size_t total = 0, shown = 0;
  tool_table_begin(t, &tab, "llrrll", heads);
  for (; tune_cache_at(c, total, &e); total++) {
    if (!is_wanted(o, &e))
      continue;
    bool timed = e.verdict == PROBE_OK;
    tool_cell(&tab, "%s", e.kernel);
    tool_cell(&tab, "0x%llx", (unsigned long long)e.config);
    tool_cell(&tab, "%s", timed ? milliseconds(t, e.seconds) : probe_verdict_word(e.verdict));
    tool_cell(&tab, "%s", timed ? tool_format(t, "%.1f %%", 100 * e.spread) : "-");
    tool_cell(&tab, "%s", e.device);
    tool_cell(&tab, "%s", e.problem);
    shown++;
  }
  if (shown)
    tool_table_end(&tab, 0);
  if (shown == total)
    printf("%zu entries\n", total);
  else
    printf("%zu of %zu entries\n", shown, total);
  return 0;
}

static int list(struct tool *t, const struct options *o, const struct tool_list *args)
{
  struct tune_cache *c = NULL;
  int exit_code = open_path(t, args, true, &c);
  if (exit_code != TOOL_GO_ON)
    return exit_code;
  exit_code = o->is_json ? list_json(t, o, c) : list_table(t, o, c);
  tune_cache_free(c);
  return exit_code;
}

/* ---- merge */

struct merged {
  size_t added, changed;
};

static gie_status merge_one(struct tool *t, struct tune_cache *to, const char *path, struct merged *m)
{
  struct tune_cache *from = NULL;
  struct tune_entry e, old;
  GIE_TRY(tune_cache_open_named(t->ctx, path, true, &from));
  gie_status st = GIE_OK;
  for (size_t i = 0; st == GIE_OK && tune_cache_at(from, i, &e); i++) {
    bool has = tune_cache_find(to, &e, &old, NULL);
    m->added += !has;
    m->changed += has && (old.verdict != e.verdict || old.seconds != e.seconds);
    st = tune_cache_put(to, &e);
  }
  tune_cache_free(from);
  return st;
}

static int merge(struct tool *t, const struct options *o, const struct tool_list *args)
{
  (void)o;
  struct tune_cache *to = NULL;
  struct merged m = {0};
  const char *path = args->v[1];
  gie_status st = access(path, F_OK) == 0 ? tune_cache_open_named(t->ctx, path, false, &to)
                                          : tune_cache_open(t->ctx, path, false, &to);
  if (st != GIE_OK)
    return tool_error(t, st);
  for (uint32_t i = 2; i < args->n && st == GIE_OK; i++)
    st = merge_one(t, to, args->v[i], &m);
  if (st != GIE_OK) {
    tune_cache_free(to);
    return tool_error(t, st);
  }
  int exit_code = close_saved(t, to);
  if (exit_code == 0)
    printf("%s: %zu entries added, %zu changed\n", tool_safe(t, path), m.added, m.changed);
  return exit_code;
}

/* ---- diff */

static int compare_entries(const struct tune_entry *a, const struct tune_entry *b)
{
  int c = strcmp(a->problem, b->problem);
  c = c ? c : strcmp(a->kernel, b->kernel);
  c = c ? c : (a->config > b->config) - (a->config < b->config);
  c = c ? c : strcmp(a->device, b->device);
  return c ? c : strcmp(a->version, b->version);
}

/* "cpu.relu 0x0: relu(…)", escaped where it is printed */
static const char *entry_name(struct tool *t, const struct tune_entry *e)
{
  return tool_format(t, "%s 0x%llx  %s", e->kernel, (unsigned long long)e->config, e->problem);
}

/* One entry that both have: whether it differs. */
static bool diff_entry(struct tool *t, const struct options *o, struct tool_table *tab,
                       const struct tune_entry *a, const struct tune_entry *b)
{
  if (a->verdict != b->verdict) {
    tool_cell(tab, "%s, then %s", probe_verdict_word(a->verdict), probe_verdict_word(b->verdict));
    tool_cell(tab, "%s", entry_name(t, a));
    return true;
  }
  if (a->verdict != PROBE_OK ||
      fmax(a->seconds, b->seconds) <= (1 + o->tolerance) * fmin(a->seconds, b->seconds))
    return false;
  tool_cell(tab, "%s, then %s (%+.1f %%)", milliseconds(t, a->seconds), milliseconds(t, b->seconds),
            100 * (b->seconds / a->seconds - 1));
  tool_cell(tab, "%s", entry_name(t, a));
  return true;
}

/* Both are sorted alike. Returns the number of differences. */
static size_t diff_sorted(struct tool *t, const struct options *o, const struct tune_cache *a,
                          const struct tune_cache *b, const struct tool_list *args)
{
  struct tool_table tab;
  struct tune_entry x, y;
  size_t i = 0, j = 0, n = 0;
  tool_table_begin(t, &tab, "ll", NULL);
  for (;;) {
    bool has_x = tune_cache_at(a, i, &x), has_y = tune_cache_at(b, j, &y);
    if (!has_x && !has_y)
      break;
    int c = !has_x ? 1 : !has_y ? -1 : compare_entries(&x, &y);
    if (c == 0) {
      n += diff_entry(t, o, &tab, &x, &y);
    } else {
      tool_cell(&tab, "only in %s", c < 0 ? args->v[1] : args->v[2]);
      tool_cell(&tab, "%s", entry_name(t, c < 0 ? &x : &y));
      n++;
    }
    i += c <= 0;
    j += c >= 0;
  }
  tool_table_end(&tab, 0);
  return n;
}

static int diff(struct tool *t, const struct options *o, const struct tool_list *args)
{
  struct tune_cache *a = NULL, *b = NULL;
  gie_status st = tune_cache_open_named(t->ctx, args->v[1], true, &a);
  if (st != GIE_OK)
    return tool_error(t, st);
  st = tune_cache_open_named(t->ctx, args->v[2], true, &b);
  if (st != GIE_OK) {
    tune_cache_free(a);
    return tool_error(t, st);
  }
  size_t n = diff_sorted(t, o, a, b, args);
  printf("%zu difference%s\n", n, n == 1 ? "" : "s");
  tune_cache_free(a);
  tune_cache_free(b);
  return n ? gie_status_exit_code(GIE_E_NO) : 0;
}

/* ---- prune */

/* A device of this machine: "cpu|x86_64 avx2|", which entries of any number of threads begin with. */
struct here {
  const char *prefix;
  struct gie_device_info info;
};
struct machine {
  struct here *v;
  size_t n, cap;
};
enum reason { NO_KERNEL, NO_DEVICE, OTHER_VERSION, FAILED, KEPT, N_REASONS };

static gie_status look(struct tool *t, struct machine *m, const struct gie_device *d, int index)
{
  struct run_device open;
  if (run_device_open(t->ctx, tool_format(t, "%s:%d", d->kind, index), 1, &open) != GIE_OK)
    return GIE_OK; /* what cannot be opened is not here */
  gie_status st = gie_grow(t->ctx, &m->v, &m->cap, m->n + 1, sizeof *m->v);
  if (st == GIE_OK)
    m->v[m->n++] = (struct here){tool_format(t, "%s|%s|", d->kind, open.info.name), open.info};
  run_device_close(&open);
  return st;
}

static gie_status look_around(struct tool *t, struct machine *m)
{
  const struct gie_device *d;
  for (uint32_t i = 0; (d = gie_device_at(t->ctx, i)); i++)
    for (int k = 0, n = d->count ? d->count(t->ctx) : 1; k < n; k++)
      GIE_TRY(look(t, m, d, k));
  return GIE_OK;
}

static const struct gie_kernel *find_kernel(struct tool *t, const char *name)
{
  const struct gie_kernel *k;
  for (uint32_t i = 0; (k = gie_kernel_at(t->ctx, i)); i++)
    if (strcmp(k->name, name) == 0)
      return k;
  return NULL;
}

static enum reason judge(struct tool *t, const struct options *o, const struct machine *m,
                         const struct tune_entry *e)
{
  const struct gie_kernel *k = find_kernel(t, e->kernel);
  bool is_peak = strcmp(e->kernel, TUNE_PEAK) == 0 || strcmp(e->kernel, TUNE_STREAMS) == 0;
  enum reason reason = k || is_peak ? NO_DEVICE : NO_KERNEL;
  if (o->bad && e->verdict != PROBE_OK)
    return FAILED;
  for (size_t i = 0; (k || is_peak) && i < m->n; i++) {
    if (strncmp(e->device, m->v[i].prefix, strlen(m->v[i].prefix)) != 0)
      continue;
    struct gie_arena mem;
    gie_arena_init(&mem, t->ctx);
    const char *version = !o->older ? NULL
                          : is_peak ? m->v[i].info.version
                                    : tune_entry_version(&mem, k, &m->v[i].info);
    bool current = !version || strcmp(version, e->version) == 0;
    gie_arena_free(&mem);
    if (current)
      return KEPT;
    reason = OTHER_VERSION;
  }
  return reason;
}

/* Takes out what judge() does not keep, and counts by reason. */
static gie_status prune_entries(struct tool *t, const struct options *o, struct tune_cache *c,
                                size_t n[N_REASONS])
{
  struct machine m = {0};
  struct tune_entry e, *gone = NULL;
  size_t n_gone = 0, cap = 0;
  gie_status st = look_around(t, &m);
  for (size_t i = 0; st == GIE_OK && tune_cache_at(c, i, &e); i++) {
    enum reason reason = judge(t, o, &m, &e);
    n[reason]++;
    if (reason != KEPT && (st = gie_grow(t->ctx, &gone, &cap, n_gone + 1, sizeof *gone)) == GIE_OK)
      gone[n_gone++] = e;
  }
  for (size_t i = 0; st == GIE_OK && !o->dry_run && i < n_gone; i++)
    tune_cache_drop(c, &gone[i]);
  gie_free(t->ctx, gone);
  gie_free(t->ctx, m.v);
  return st;
}

static int prune(struct tool *t, const struct options *o, const struct tool_list *args)
{
  struct tune_cache *c = NULL;
  size_t n[N_REASONS] = {0};
  int exit_code = open_path(t, args, o->dry_run, &c);
  if (exit_code != TOOL_GO_ON)
    return exit_code;
  gie_status st = prune_entries(t, o, c, n);
  if (st != GIE_OK) {
    tune_cache_free(c);
    return tool_error(t, st);
  }
  exit_code = close_saved(t, c);
  if (exit_code != 0)
    return exit_code;
  printf("%s: %zu %s (%zu of kernels that are not loaded, %zu of devices that are not here",
         tool_safe(t, path_of(t, args)), n[NO_KERNEL] + n[NO_DEVICE] + n[OTHER_VERSION] + n[FAILED],
         o->dry_run ? "would go" : "gone", n[NO_KERNEL], n[NO_DEVICE]);
  if (o->older)
    printf(", %zu of other versions", n[OTHER_VERSION]);
  if (o->bad)
    printf(", %zu of kernels that failed", n[FAILED]);
  printf("), %zu kept\n", n[KEPT]);
  return 0;
}

/* ---- The verb */

/* "10%" or "0.1". */
static bool read_tolerance(struct options *o)
{
  const char *s = o->tolerance_text, *next;
  if (!s) {
    o->tolerance = 0.1;
    return true;
  }
  if (!gie_parse_double(s, s + strlen(s), &o->tolerance, &next))
    return false;
  if (*next == '%') {
    o->tolerance /= 100;
    next++;
  }
  return !*next && o->tolerance >= 0 && isfinite(o->tolerance);
}

static const struct action {
  const char *name, *usage;
  uint32_t min, max; /* files */
  int (*run)(struct tool *t, const struct options *o, const struct tool_list *args);
} actions[] = {
    {"list", "list [FILE]", 0, 1, list},
    {"merge", "merge OUT IN...", 2, UINT32_MAX - 1, merge},
    {"diff", "diff A B", 2, 2, diff},
    {"prune", "prune [FILE]", 0, 1, prune},
};

int tool_cache(struct tool *t, int argc, char **argv)
{
  struct options o = {0};
  const struct tool_option options[] = {
      {"problem", 0, TOOL_TEXT, &o.problem, "TEXT", "list: only problems with this text"},
      {"kernel", 0, TOOL_TEXT, &o.kernel, "TEXT", "list: only kernels with this text"},
      {"json", 0, TOOL_FLAG, &o.is_json, NULL, "list: for machines"},
      {"tolerance", 0, TOOL_TEXT, &o.tolerance_text, "PERCENT",
       "diff: times this near are equal; default: 10%"},
      {"older-versions", 0, TOOL_FLAG, &o.older, NULL, "prune: also what was measured with other versions"},
      {"bad", 0, TOOL_FLAG, &o.bad, NULL, "prune: also what failed, so that it is tried again"},
      {"dry-run", 0, TOOL_FLAG, &o.dry_run, NULL, "prune: only say what would go"},
      {NULL, 0, TOOL_FLAG, NULL, NULL, NULL}};
  const struct tool_command cmd = {
      "list [FILE] | merge OUT IN... | diff A B | prune [FILE]", what, examples, options, 1, UINT32_MAX};
  const struct action *a = actions, *end = actions + sizeof actions / sizeof actions[0];
  struct tool_list args;
  int exit_code = tool_parse(t, &cmd, argc, argv, &args);
  if (exit_code != TOOL_GO_ON)
    return exit_code;
  while (a < end && strcmp(a->name, args.v[0]) != 0)
    a++;
  if (a == end)
    return tool_fail(t, GIE_E_USAGE, "gie cache takes list, merge, diff or prune, not \"%s\"", args.v[0]);
  if (args.n - 1 < a->min)
    return tool_fail(t, GIE_E_USAGE, "gie cache %s takes at least %u files, %u %s given; usage: gie cache %s",
                     a->name, (unsigned)a->min, (unsigned)args.n - 1, args.n == 2 ? "is" : "are", a->usage);
  if (args.n - 1 > a->max)
    return tool_fail(t, GIE_E_USAGE, "\"%s\" is one file too many; usage: gie cache %s", args.v[a->max + 1],
                     a->usage);
  if (!read_tolerance(&o))
    return tool_fail(t, GIE_E_USAGE, "--tolerance wants a percentage like 10%%, not \"%s\"",
                     o.tolerance_text);
  exit_code = tool_open(t);
  return exit_code == TOOL_GO_ON ? a->run(t, &o, &args) : exit_code;
}
