/* SPDX-License-Identifier: Apache-2.0 */
/* Finds and loads modules.
 *
 * Order: files named by the program, the directories of GIE_MODULE_PATH, the installed directory;
 * inside a directory by file name. Of two modules with one name the first found counts, so a
 * directory in front can replace an installed module; within one directory, and for named files, a
 * second one is an error.
 *
 * A module is code that runs with all rights of its user, so file and directory must belong to root
 * or the user and be writable by nobody else, and no place is searched that depends on where the
 * program was started: relative entries of GIE_MODULE_PATH are left out, and what is handed to the
 * dynamic linker is an absolute path, so LD_LIBRARY_PATH never decides.
 *
 * In a directory, a shared object without a note section is a plain library and is passed over
 * (logged at debug level); anything else that is refused costs one warning. */
#include "core/module/registry.h"
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Who may write it */

/* A group that has its owner as the only member, by the usual convention of equal numbers, is the
 * owner. */
static gie_status check_owner(struct gie_context *ctx, const struct stat *st, const char *what)
{
  bool private_group = st->st_gid == st->st_uid;
  if (st->st_uid != 0 && st->st_uid != geteuid())
    return gie_fail(ctx, GIE_E_MODULE,
                    "%s belongs to user %u, not to root or you (%u); copy it to a directory of yours", what,
                    (unsigned)st->st_uid, (unsigned)geteuid());
  if (st->st_mode & S_IWOTH || (st->st_mode & S_IWGRP && !private_group))
    return gie_fail(ctx, GIE_E_MODULE,
                    "%s is writable by other users (mode %04o); take that away (chmod go-w)", what,
                    (unsigned)(st->st_mode & 07777));
  return GIE_OK;
}

/* The directory that really holds the file: `path` is resolved. */
static gie_status check_parent(struct gie_context *ctx, const char *path)
{
  char dir[PATH_MAX];
  struct stat st;
  const char *slash = strrchr(path, '/');
  size_t n = slash == path ? 1 : (size_t)(slash - path);
  memcpy(dir, path, n);
  dir[n] = 0;
  if (stat(dir, &st) != 0)
    return gie_fail(ctx, GIE_E_MODULE, "its directory cannot be examined: %s", strerror(errno));
  return check_owner(ctx, &st, "its directory");
}

/* ---- One module */

static char *copy_text(struct gie_context *ctx, const char *s)
{
  size_t n = strlen(s) + 1;
  char *copy = gie_alloc_raw(ctx, n, 1);
  if (copy)
    memcpy(copy, s, n);
  return copy;
}

static gie_status read_note(struct gie_context *ctx, const char *path, struct gie_note *note, bool *absent)
{
  int fd;
  uint64_t size;
  struct stat st;
  GIE_TRY(gie_file_open(ctx, path, &fd, &size));
  gie_status s = fstat(fd, &st) == 0
                     ? check_owner(ctx, &st, "the file")
                     : gie_fail(ctx, GIE_E_MODULE, "it cannot be examined: %s", strerror(errno));
  if (s == GIE_OK)
    s = check_parent(ctx, path);
  if (s == GIE_OK)
    s = mod_note_read(ctx, fd, path, size, note, absent);
  close(fd);
  return s;
}

/* The dynamic linker begins its text with the path, which the caller says anyway. */
static const char *linker_text(const char *path)
{
  const char *text = dlerror();
  size_t n = strlen(path);
  if (!text)
    return "the dynamic linker gives no reason";
  return strncmp(text, path, n) == 0 && strncmp(text + n, ": ", 2) == 0 ? text + n + 2 : text;
}

static gie_status run_init(struct gie_registry *r, uint32_t index, gie_module_init_fn *init)
{
  struct gie_context *ctx = r->host.ctx;
  void *state = NULL;
  /* Stays as the reason if init says none. */
  gie_fail(ctx, GIE_E_MODULE, "no reason given");
  r->open = true;
  r->loading = index;
  r->failed = GIE_OK;
  gie_status st = init(&r->host, &state);
  r->open = false;
  if (st == GIE_OK && r->failed == GIE_OK) {
    r->modules[index].state = state;
    return GIE_OK;
  }
  mod_forget(r, index);
  if (st == GIE_OK)
    return r->failed;
  return gie_error_prefix(ctx, GIE_E_MODULE, "its init failed with %s", gie_status_name(st));
}

static gie_status open_module(struct gie_registry *r, uint32_t index)
{
  struct gie_context *ctx = r->host.ctx;
  struct mod_module *m = &r->modules[index];
  void *handle = dlopen(m->path, RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    return gie_fail(ctx, GIE_E_MODULE, "it cannot be loaded: %s; link it with the libraries it needs",
                    linker_text(m->path));
  gie_module_init_fn *init;
  void *entry = dlsym(handle, "gie_module_init");
  if (!entry) {
    dlclose(handle);
    return gie_fail(ctx, GIE_E_MODULE, "it does not export gie_module_init; declare it with GIE_MODULE");
  }
  memcpy(&init, &entry, sizeof init);
  /* From here on it stays loaded, even if init fails: it may have started threads. */
  m->handle = handle;
  return run_init(r, index, init);
}

/* A loaded module of that name, or NULL. */
static const struct mod_module *same_name(const struct gie_registry *r, const char *name)
{
  for (size_t i = 0; i < r->n_modules; i++)
    if (!r->modules[i].refused && strcmp(r->modules[i].note.name, name) == 0)
      return &r->modules[i];
  return NULL;
}

static bool same_directory(const char *a, const char *b)
{
  size_t n = (size_t)(strrchr(a, '/') - a);
  return n == (size_t)(strrchr(b, '/') - b) && strncmp(a, b, n) == 0;
}

static bool known_path(const struct gie_registry *r, const char *path)
{
  for (size_t i = 0; i < r->n_modules; i++)
    if (strcmp(r->modules[i].path, path) == 0)
      return true;
  return false;
}

static gie_status append(struct gie_registry *r, const char *path)
{
  struct gie_context *ctx = r->host.ctx;
  GIE_TRY(gie_grow(ctx, &r->modules, &r->cap_modules, r->n_modules + 1, sizeof r->modules[0]));
  struct mod_module *m = &r->modules[r->n_modules];
  memset(m, 0, sizeof *m);
  m->path = copy_text(ctx, path);
  if (!m->path)
    return GIE_E_MEMORY;
  r->n_modules++;
  return GIE_OK;
}

/* Keeps the reason with the module, for `gie plugin list`. */
static gie_status refuse(struct gie_registry *r, gie_status st)
{
  struct gie_context *ctx = r->host.ctx;
  struct mod_module *m = &r->modules[r->n_modules - 1];
  m->refused = copy_text(ctx, gie_error_text(ctx));
  return m->refused ? st : GIE_E_MEMORY;
}

/* `path` is resolved. E_MODULE: refused, and listed so; *minor: not worth a warning (a plain library,
 * or hidden by a module found before). */
static gie_status load_one(struct gie_registry *r, const char *path, bool named, bool *minor)
{
  struct gie_context *ctx = r->host.ctx;
  struct gie_note note;
  bool absent = false;
  *minor = false;
  if (known_path(r, path))
    return GIE_OK;
  memset(&note, 0, sizeof note);
  gie_status st = read_note(ctx, path, &note, &absent);
  if (st == GIE_E_MEMORY)
    return st;
  if (st != GIE_OK && absent && !named) {
    *minor = true;
    return GIE_E_MODULE;
  }
  GIE_TRY(append(r, path));
  if (st != GIE_OK)
    return refuse(r, GIE_E_MODULE);
  uint32_t index = (uint32_t)(r->n_modules - 1);
  const struct mod_module *other = same_name(r, note.name);
  r->modules[index].note = note;
  if (other && other != &r->modules[index]) {
    *minor = !named && !same_directory(path, other->path);
    gie_fail(ctx, GIE_E_MODULE, "a module named \"%s\" is already loaded from %s; leave one of them out",
             note.name, other->path);
    return refuse(r, GIE_E_MODULE);
  }
  st = open_module(r, index);
  if (st == GIE_OK)
    gie_log(ctx, GIE_LOG_DEBUG, "module", "loaded %s (%s %s)", path, note.name, note.version);
  return st == GIE_OK ? GIE_OK : refuse(r, GIE_E_MODULE);
}

static gie_status load_named(struct gie_registry *r, const char *file)
{
  struct gie_context *ctx = r->host.ctx;
  char path[PATH_MAX];
  bool minor;
  if (!strchr(file, '/'))
    return gie_fail(ctx, GIE_E_MODULE, "%s: a module is named by its path; write ./%s for a file here", file,
                    file);
  if (!realpath(file, path))
    return gie_fail(ctx, GIE_E_MODULE, "%s: %s; give the path of a module", file, strerror(errno));
  gie_status st = load_one(r, path, true, &minor);
  return st == GIE_OK ? GIE_OK : gie_error_prefix(ctx, st, "%s", file);
}

/* ---- Directories */

static int is_shared_object(const struct dirent *d)
{
  size_t n = strlen(d->d_name);
  return d->d_name[0] != '.' && n > 3 && strcmp(d->d_name + n - 3, ".so") == 0;
}

/* Byte order, not the locale's. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
  return strcmp((*a)->d_name, (*b)->d_name);
}

static gie_status load_entry(struct gie_registry *r, const char *dir, const char *name)
{
  struct gie_context *ctx = r->host.ctx;
  char joined[PATH_MAX], path[PATH_MAX];
  bool minor = false;
  int n = snprintf(joined, sizeof joined, "%s/%s", dir, name);
  if (n < 0 || (size_t)n >= sizeof joined || !realpath(joined, path)) {
    gie_log(ctx, GIE_LOG_WARN, "module", "%s/%s: %s; left out", dir, name, strerror(errno));
    return GIE_OK;
  }
  gie_status st = load_one(r, path, false, &minor);
  if (st == GIE_OK || st == GIE_E_MEMORY)
    return st;
  gie_log(ctx, minor ? GIE_LOG_DEBUG : GIE_LOG_WARN, "module", "%s: not loaded: %s", path,
          gie_error_text(ctx));
  return GIE_OK;
}

/* `expected`: the user named it, so its absence is worth a warning. */
static gie_status load_dir(struct gie_registry *r, const char *dir, bool expected)
{
  struct gie_context *ctx = r->host.ctx;
  struct dirent **list;
  struct stat st;
  if (dir[0] != '/') {
    gie_log(ctx, GIE_LOG_WARN, "module", "module directory \"%s\" is not an absolute path; left out", dir);
    return GIE_OK;
  }
  if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode)) {
    gie_log(ctx, expected ? GIE_LOG_WARN : GIE_LOG_DEBUG, "module",
            "module directory %s does not exist; left out", dir);
    return GIE_OK;
  }
  if (check_owner(ctx, &st, "the directory") != GIE_OK) {
    gie_log(ctx, GIE_LOG_WARN, "module", "module directory %s left out: %s", dir, gie_error_text(ctx));
    return GIE_OK;
  }
  int n = scandir(dir, &list, is_shared_object, by_name);
  if (n < 0) {
    gie_log(ctx, GIE_LOG_WARN, "module", "module directory %s cannot be read: %s; left out", dir,
            strerror(errno));
    return GIE_OK;
  }
  gie_status s = GIE_OK;
  for (int i = 0; i < n; i++) {
    if (s == GIE_OK)
      s = load_entry(r, dir, list[i]->d_name);
    free(list[i]);
  }
  free(list);
  return s;
}

/* Colon-separated directories; empty entries are nothing (elsewhere they mean the current directory). */
static gie_status load_path(struct gie_registry *r, const char *path)
{
  char dir[PATH_MAX];
  while (path && *path) {
    size_t n = strcspn(path, ":");
    if (n > 0 && n < sizeof dir) {
      memcpy(dir, path, n);
      dir[n] = 0;
      GIE_TRY(load_dir(r, dir, true));
    } else if (n > 0) {
      gie_log(r->host.ctx, GIE_LOG_WARN, "module", "an entry of GIE_MODULE_PATH has %zu bytes; left out", n);
    }
    path += n + (path[n] == ':');
  }
  return GIE_OK;
}

static void remember(struct gie_registry *r, const char *place)
{
  if (place && *place)
    gie_buf_printf(&r->searched, "%s%s", r->searched.len ? ", " : "", place);
}

const char *mod_searched(const struct gie_context *ctx)
{
  const struct gie_registry *r = ctx->registry;
  return r && r->searched.len && r->searched.status == GIE_OK ? r->searched.data : "nowhere";
}

gie_status mod_load_all(struct gie_context *ctx, const struct gie_context_options *options)
{
  struct gie_registry *r = ctx->registry;
  const char *dir = GIE_OPTION(options, module_dir);
  if (GIE_OPTION(options, no_modules))
    return GIE_OK;
  for (const char *const *file = GIE_OPTION(options, modules); file && *file; file++)
    remember(r, *file);
  remember(r, gie_config(ctx, "MODULE_PATH"));
  remember(r, dir ? dir : mod_default_dir());
  for (const char *const *file = GIE_OPTION(options, modules); file && *file; file++)
    GIE_TRY(load_named(r, *file));
  GIE_TRY(load_path(r, gie_config(ctx, "MODULE_PATH")));
  return load_dir(r, dir ? dir : mod_default_dir(), dir != NULL);
}
