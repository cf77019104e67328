/* SPDX-License-Identifier: Apache-2.0 */
/* gie plugin: which modules there are, what each registers or why it was refused; and a new one, copied
 * from a template. One file alone is looked at and tested in plugin_test.c. */
#include "tools/plugin.h"
#include "core/module/registry.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static const char what[] =
    "list: the modules found, what each registers, and why those that were not loaded are not.\n"
    "info: what the file of one module says, and what it registers when it is loaded.\n"
    "test: whether what one module registers keeps its contracts; exit 1 when a check fails. Its code runs in\n"
    "another process, so it may crash or hang.\n"
    "new: copies a complete module that builds as it is into DIR (default: ./NAME). KIND is kernel (a\n"
    "backend), pass (a graph rewrite), layer (an op with its kernel) or format (an importer).";
static const char examples[] = "  gie plugin list\n"
                               "  gie plugin list --only=cpu --json\n"
                               "  gie plugin info ./mine.so\n"
                               "  gie plugin test ./mine.so --case=try.gie\n"
                               "  gie plugin new --kind=kernel fast && cd fast && make check\n";

#define LINE_WIDTH 100
#define MAX_TEMPLATE (1u << 20)
#define TEMPLATE_WORD "template"

static const char *const kinds[] = {[GIE_MODULE_KERNEL] = "kernel",
                                    [GIE_MODULE_PASS] = "pass",
                                    [GIE_MODULE_LAYER] = "layer",
                                    [GIE_MODULE_FORMAT] = "format"};
#define N_KINDS (sizeof kinds / sizeof kinds[0])

const char *plugin_kind_text(enum gie_module_kind kind)
{
  return (size_t)kind < N_KINDS && kinds[kind] ? kinds[kind] : "?";
}

/* ---- list */

/* Names of one kind that module `index` registered, wrapped. */
static void print_names(struct tool *t, enum mod_kind kind, uint32_t index)
{
  const struct mod_entry *e;
  size_t column = 0;
  for (uint32_t i = 0; (e = mod_entry_at(t->ctx, kind, i)); i++) {
    if (e->module != index)
      continue;
    const char *name = tool_safe(t, e->name);
    if (column && column + strlen(name) + 2 > LINE_WIDTH) {
      printf(",\n  %-8s ", "");
      column = 11;
    } else if (column) {
      printf(", ");
      column += 2;
    } else {
      printf("  %-8s ", mod_kind_name(kind));
      column = 11;
    }
    printf("%s", name);
    column += strlen(name);
  }
  if (column)
    putchar('\n');
}

static void print_module(struct tool *t, const struct gie_module_info *m, uint32_t index)
{
  if (*m->name)
    printf("%s %s (%s, ABI %u.%u)\n", tool_safe(t, m->name), tool_safe(t, m->version),
           plugin_kind_text(m->kind), m->abi_major, m->abi_minor);
  else
    printf("?\n");
  printf("  %-8s %s\n", "file", tool_safe(t, m->path));
  if (m->refused) {
    printf("  %-8s %s\n", "refused", m->refused);
    return;
  }
  for (int k = 0; k < MOD_KINDS; k++)
    print_names(t, (enum mod_kind)k, index);
}

static void json_module(struct tool *t, struct json *j, const struct gie_module_info *m, uint32_t index)
{
  const struct mod_entry *e;
  json_open(j, NULL, '{', false);
  json_text(j, "name", *m->name ? m->name : NULL);
  json_text(j, "version", *m->name ? m->version : NULL);
  json_text(j, "kind", *m->name ? plugin_kind_text(m->kind) : NULL);
  json_text(j, "abi", *m->name ? tool_format(t, "%u.%u", m->abi_major, m->abi_minor) : NULL);
  json_text(j, "file", m->path);
  json_text(j, "refused", m->refused);
  for (int k = 0; k < MOD_KINDS; k++) {
    json_open(j, tool_format(t, "%s%s", mod_kind_name((enum mod_kind)k), k == MOD_PASS ? "es" : "s"), '[',
              true);
    for (uint32_t i = 0; (e = mod_entry_at(t->ctx, (enum mod_kind)k, i)); i++)
      if (e->module == index)
        json_text(j, NULL, e->name);
    json_close(j, ']');
  }
  json_close(j, '}');
}

static void print_searched(struct tool *t)
{
  const char *path = gie_config(t->ctx, "MODULE_PATH");
  printf("searched: %s%s%s\n", path ? tool_safe(t, path) : "", path ? ":" : "", mod_default_dir());
}

static int list(struct tool *t, const struct plugin *p)
{
  struct gie_module_info m = {.struct_size = sizeof m};
  struct json j;
  uint32_t shown = 0;
  if (p->is_json) {
    json_begin(&j);
    json_open(&j, "modules", '[', false);
  }
  for (uint32_t i = 0; gie_module_at(t->ctx, i, &m); i++) {
    if (p->only && strcmp(p->only, m.name) != 0)
      continue;
    shown += !m.refused || !p->only;
    if (p->is_json)
      json_module(t, &j, &m, i);
    else
      print_module(t, &m, i);
  }
  if (p->is_json) {
    json_close(&j, ']');
    json_end(&j);
  } else if (!p->only) {
    print_searched(t);
  }
  if (p->only && !shown)
    return tool_fail(t, GIE_E_NO, "no module \"%s\" is loaded; searched were %s%s%s", p->only,
                     gie_config(t->ctx, "MODULE_PATH") ? gie_config(t->ctx, "MODULE_PATH") : "",
                     gie_config(t->ctx, "MODULE_PATH") ? ":" : "", mod_default_dir());
  return 0;
}

/* ---- new */

/* Names go into file names, C strings and lists of names. */
static bool is_name(const char *s)
{
  size_t n = strlen(s);
  return n > 0 && n < 24 && s[0] >= 'a' && s[0] <= 'z' &&
         strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
}

/* The text with TEMPLATE_WORD replaced; freed with gie_free(). */
static gie_status replace(struct tool *t, const char *s, size_t n, const char *name, char **out, size_t *size)
{
  const char *end = s + n, *hit;
  struct gie_buf b;
  gie_buf_init(&b, t->ctx);
  for (; (hit = memmem(s, (size_t)(end - s), TEMPLATE_WORD, strlen(TEMPLATE_WORD)));
       s = hit + strlen(TEMPLATE_WORD)) {
    gie_buf_put(&b, s, (size_t)(hit - s));
    gie_buf_puts(&b, name);
  }
  gie_buf_put(&b, s, (size_t)(end - s));
  return gie_buf_take(&b, out, size);
}

static gie_status write_new(struct tool *t, const char *path, const char *text, size_t size)
{
  FILE *f = fopen(path, "wx");
  if (!f)
    return gie_fail(t->ctx, GIE_E_CREATE, "%s: %s", path, strerror(errno));
  bool ok = fwrite(text, 1, size, f) == size;
  int error = errno;
  if (fclose(f) != 0 && ok) {
    ok = false;
    error = errno;
  }
  if (ok)
    return GIE_OK;
  unlink(path);
  return gie_fail(t->ctx, GIE_E_IO, "%s: %s", path, strerror(error));
}

struct copy {
  const char *from, *to, *name;
  struct tool_list made; /* for taking it back */
};

static gie_status copy_one(struct tool *t, struct copy *c, const char *file)
{
  char *text, *renamed, *changed;
  size_t n, n_renamed, n_changed;
  GIE_TRY(replace(t, file, strlen(file), c->name, &renamed, &n_renamed));
  const char *to = tool_format(t, "%s/%s", c->to, renamed);
  gie_free(t->ctx, renamed);
  GIE_TRY(gie_file_read(t->ctx, tool_format(t, "%s/%s", c->from, file), MAX_TEMPLATE, &text, &n));
  gie_status st = replace(t, text, n, c->name, &changed, &n_changed);
  gie_free(t->ctx, text);
  GIE_TRY(st);
  st = write_new(t, to, changed, n_changed);
  gie_free(t->ctx, changed);
  if (st == GIE_OK)
    c->made.v[c->made.n++] = to;
  return st;
}

/* What a build leaves behind is no part of a template. */
static int is_source(const struct dirent *d)
{
  static const char *const products[] = {".so", ".o", ".npy", "~"};
  size_t n = strlen(d->d_name);
  for (size_t i = 0; i < sizeof products / sizeof products[0]; i++) {
    size_t k = strlen(products[i]);
    if (n >= k && strcmp(d->d_name + n - k, products[i]) == 0)
      return 0;
  }
  return d->d_name[0] != '.' && strncmp(d->d_name, "result.", 7) != 0;
}

static gie_status copy_all(struct tool *t, struct copy *c)
{
  struct dirent **list;
  gie_status st = GIE_OK;
  int n = scandir(c->from, &list, is_source, alphasort);
  if (n <= 0)
    return gie_fail(t->ctx, GIE_E_CONFIG,
                    "%s: no template is there; set GIE_DATA_DIR to the directory that has templates/",
                    c->from);
  c->made.v = gie_arena_alloc(&t->arena, (size_t)n, sizeof c->made.v[0]);
  if (!c->made.v)
    st = gie_fail(t->ctx, GIE_E_MEMORY, "out of memory");
  else if (mkdir(c->to, 0777) != 0)
    st = gie_fail(t->ctx, GIE_E_CREATE, "%s: %s; choose a directory that does not exist yet", c->to,
                  strerror(errno));
  for (int i = 0; i < n; i++) {
    if (st == GIE_OK)
      st = copy_one(t, c, list[i]->d_name);
    free(list[i]);
  }
  free(list);
  return st;
}

static bool is_kind(const char *s)
{
  for (size_t i = 0; i < N_KINDS; i++)
    if (kinds[i] && strcmp(kinds[i], s) == 0)
      return true;
  return false;
}

static int make_new(struct tool *t, const struct plugin *p, const char *name, const char *dir)
{
  const char *data = gie_config(t->ctx, "DATA_DIR");
  if (!p->kind || !is_kind(p->kind))
    return tool_fail(t, GIE_E_USAGE, "--kind is one of kernel, pass, layer, format%s%s",
                     p->kind ? ", not " : "", p->kind ? p->kind : "");
  if (!is_name(name))
    return tool_fail(t, GIE_E_USAGE,
                     "a module's name is up to 23 of a-z, 0-9 and _, beginning with a letter, not \"%s\"",
                     name);
  struct copy c = {
      .from = tool_format(t, "%s/templates/%s", data ? data : mod_default_data_dir(), p->kind),
      .to = dir ? dir : name,
      .name = name,
  };
  gie_status st = copy_all(t, &c);
  if (st != GIE_OK) {
    for (uint32_t i = 0; i < c.made.n; i++)
      unlink(c.made.v[i]);
    if (c.made.n)
      rmdir(c.to);
    return tool_error(t, st);
  }
  printf("%s:", tool_safe(t, c.to));
  for (uint32_t i = 0; i < c.made.n; i++)
    printf(" %s", tool_safe(t, strrchr(c.made.v[i], '/') + 1));
  printf(
      "\nnext: cd %s && make check   (with gie installed, or CPPFLAGS saying where its headers are; then make install)\n",
      tool_safe(t, c.to));
  return 0;
}

/* ---- The verb */

/* What may follow "gie plugin". */
static const struct action {
  const char *name, *wrong; /* for a wrong number of arguments */
  uint32_t min_args, max_args;
} actions[] = {
    {"list", "gie plugin list takes no name; use --only=NAME", 0, 0},
    {"info", "give the path of one module: gie plugin info ./FILE.so", 1, 1},
    {"test", "give the path of one module: gie plugin test ./FILE.so", 1, 1},
    {"new", "the new module needs a name; gie plugin new --kind=KIND NAME", 1, 2},
};
enum { LIST, INFO, TEST, NEW, N_ACTIONS };

int tool_plugin(struct tool *t, int argc, char **argv)
{
  struct plugin p = {.seed = 1, .deadline = 10};
  const struct tool_option options[] = {
      {"kind", 0, TOOL_TEXT, &p.kind, "KIND", "what to make: kernel, pass, layer or format"},
      {"only", 0, TOOL_TEXT, &p.only, "NAME", "list this module only; exit 1 when it is not loaded"},
      {"case", 0, TOOL_LIST, &p.cases, "FILE", "a graph whose nodes are tested too (may be repeated)"},
      {"seed", 0, TOOL_COUNT, &p.seed, "N", "of the operands that are guessed; default 1"},
      {"deadline", 0, TOOL_REAL, &p.deadline, "SECONDS", "how long one check may take; default 10"},
      {"json", 0, TOOL_FLAG, &p.is_json, NULL, "list, info or test for machines"},
      {NULL, 0, TOOL_FLAG, NULL, NULL, NULL}};
  const struct tool_command cmd = {
      "list [--only=NAME] | info FILE | test FILE [--case=GRAPH] | new --kind=KIND NAME [DIR]",
      what,
      examples,
      options,
      1,
      3};
  struct tool_list args;
  int which = 0, exit_code = tool_parse(t, &cmd, argc, argv, &args);
  if (exit_code != TOOL_GO_ON)
    return exit_code;
  while (which < N_ACTIONS && strcmp(args.v[0], actions[which].name) != 0)
    which++;
  if (which == N_ACTIONS)
    return tool_fail(t, GIE_E_USAGE, "gie plugin takes list, info, test or new, not \"%s\"", args.v[0]);
  if (args.n - 1 < actions[which].min_args || args.n - 1 > actions[which].max_args)
    return tool_fail(t, GIE_E_USAGE, "%s", actions[which].wrong);
  if (!(p.deadline > 0))
    return tool_fail(t, GIE_E_USAGE, "--deadline wants more than 0 seconds");
  exit_code = which == INFO || which == TEST ? tool_open_bare(t) : tool_open(t);
  if (exit_code != TOOL_GO_ON)
    return exit_code;
  switch (which) {
  case INFO:
    return plugin_info(t, &p, args.v[1]);
  case TEST:
    return plugin_test(t, &p, args.v[1]);
  case NEW:
    return make_new(t, &p, args.v[1], args.n > 2 ? args.v[2] : NULL);
  default:
    return list(t, &p);
  }
}
