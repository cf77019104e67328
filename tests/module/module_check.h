/* SPDX-License-Identifier: Apache-2.0 */
/* What the module tests share: folders of their own, copies of the test modules, a log that counts. */
#ifndef GIE_TESTS_MODULE_CHECK_H
#define GIE_TESTS_MODULE_CHECK_H

#include "core/module/registry.h"
#include "tests/gie_check.h"
#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

struct log_lines {
  int warnings;
  char last[4096]; /* warning */
};

static inline void count_warnings(void *user, enum gie_log_level level, const char *module, const char *text)
{
  struct log_lines *lines = user;
  (void)module;
  /* new_context() keeps the installed modules out with a folder that does not exist. */
  if (level > GIE_LOG_WARN || strstr(text, "/var/empty-for-gie-tests"))
    return;
  lines->warnings++;
  snprintf(lines->last, sizeof lines->last, "%s", text);
}

/* A module that the build made for the tests. */
static inline const char *built_module(const char *name)
{
  static char path[PATH_MAX];
  const char *top = getenv("top_builddir");
  snprintf(path, sizeof path, "%s/tests/module/.libs/%s.so", top ? top : ".", name);
  return path;
}

static inline char *read_all(const char *path, size_t *size)
{
  FILE *f = fopen(path, "rb");
  ck_assert_msg(f != NULL, "%s is missing; run the tests with make check", path);
  fseek(f, 0, SEEK_END);
  *size = (size_t)ftell(f);
  rewind(f);
  char *data = malloc(*size + 1);
  ck_assert_uint_eq(fread(data, 1, *size, f), *size);
  fclose(f);
  return data;
}

static inline void write_all(const char *path, const void *data, size_t size)
{
  unlink(path); /* never over a file that is mapped */
  FILE *f = fopen(path, "wb");
  ck_assert_ptr_nonnull(f);
  ck_assert_uint_eq(fwrite(data, 1, size, f), size);
  ck_assert_int_eq(fclose(f), 0);
  chmod(path, 0644);
}

static inline void copy_file(const char *from, const char *to)
{
  size_t size;
  char *data = read_all(from, &size);
  write_all(to, data, size);
  free(data);
}

static inline char *new_folder(void)
{
  static char path[4][PATH_MAX];
  static int n;
  char *p = path[n++ % 4];
  snprintf(p, PATH_MAX, "/tmp/gie-modules-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(p));
  char real[PATH_MAX];
  ck_assert_ptr_nonnull(realpath(p, real));
  return strcpy(p, real);
}

static inline void remove_folder(const char *dir)
{
  DIR *d = opendir(dir);
  char path[2 * PATH_MAX];
  for (struct dirent *e; d && (e = readdir(d));) {
    snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
    if (e->d_name[0] != '.')
      unlink(path);
  }
  if (d)
    closedir(d);
  rmdir(dir);
}

/* dir/name, good for a few calls. */
static inline const char *in_folder(const char *dir, const char *name)
{
  static char path[8][PATH_MAX + 256];
  static int n;
  char *p = path[n++ % 8];
  snprintf(p, sizeof path[0], "%s/%s", dir, name);
  return p;
}

/* A context that loads the named files (NULL: none) and searches `path` (NULL: nothing). */
static inline gie_status new_context(const char *const *modules, const char *path, struct log_lines *lines,
                                     struct gie_context **ctx)
{
  char setting[4 * PATH_MAX];
  const char *const config[] = {setting, NULL};
  snprintf(setting, sizeof setting, "MODULE_PATH=%s", path ? path : "");
  *lines = (struct log_lines){0};
  const struct gie_context_options options = {
      .struct_size = sizeof options,
      .log = count_warnings,
      .log_user = lines,
      .config = config,
      .module_dir = "/var/empty-for-gie-tests",
      .modules = modules,
  };
  return gie_context_new(&options, ctx);
}

#endif
