/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the timing cache share: a folder and a log for each test, and entries. */
#ifndef GIE_TESTS_CACHE_CHECK_H
#define GIE_TESTS_CACHE_CHECK_H

#include "core/tune/cache.h"
#include "tests/gie_check.h"
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "timing.txt"
static struct gie_context *ctx;
static char folder[32], last_warning[1024];
static int n_warnings;

static inline void log_warning(void *user, enum gie_log_level level, const char *module, const char *text)
{
  (void)user, (void)level;
  ck_assert_str_eq(module, "cache");
  n_warnings++;
  snprintf(last_warning, sizeof last_warning, "%s", text);
}

static inline void begin(void)
{
  struct gie_context_options options = {.struct_size = sizeof options,
                                        .log = log_warning,
                                        .no_modules = true};
  strcpy(folder, "test-cache-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
  ck_assert_int_eq(chdir(folder), 0);
  umask(0002); /* new files must not be writable by the group all the same */
  ck_assert_int_eq(gie_context_init(&options, &ctx), GIE_OK);
  n_warnings = 0;
}

static inline void end(void)
{
  char command[64];
  gie_context_destroy(ctx);
  ck_assert_int_eq(chdir(".."), 0);
  snprintf(command, sizeof command, "rm -rf %s", folder);
  ck_assert_int_eq(system(command), 0);
}

static inline void put_bytes(const char *path, const char *data, size_t n)
{
  FILE *f = fopen(path, "w");
  ck_assert_ptr_nonnull(f);
  ck_assert_uint_eq(fwrite(data, 1, n, f), n);
  fclose(f);
  chmod(path, 0644);
}

static inline char *get_bytes(const char *path, size_t *n)
{
  char *data;
  ck_gie_ok(ctx, gie_file_read(ctx, path, 64 << 20, &data, n));
  return data;
}

static inline struct tune_cache *open_cache(void)
{
  struct tune_cache *c = NULL;
  ck_gie_ok(ctx, tune_cache_open(ctx, FILE_NAME, false, &c));
  return c;
}

static inline size_t count(const struct tune_cache *c)
{
  struct tune_entry e;
  size_t n = 0;
  while (tune_cache_at(c, n, &e))
    n++;
  return n;
}

/* Entries of the file, which must be without damage. */
static inline size_t count_file(void)
{
  int before = n_warnings;
  struct tune_cache *c = open_cache();
  size_t n = count(c);
  tune_cache_free(c);
  ck_assert_int_eq(n_warnings, before);
  return n;
}

static const struct tune_entry sample = {.problem = "relu(f32[4]) -> f32[4]",
                                         .kernel = "cpu.pointwise",
                                         .config = 0x1f,
                                         .device = "cpu|x86_64|threads=2",
                                         .version = "cpu 0.1|1",
                                         .verdict = PROBE_OK,
                                         .seconds = 1.25e-6,
                                         .spread = 0.03,
                                         .error = 0,
                                         .text = ""};
#define SAMPLE_LINE \
  "relu(f32[4]) -> f32[4]\tcpu.pointwise\t0x1f\tcpu|x86_64|threads=2\tcpu 0.1|1\tok\t1.25e-06\t0.03\t0.0\t\n"

#define OTHER_LINE(fields) "p\tk\t0x0\td\tv\t" fields "\n"

static inline void put_config(struct tune_cache *c, uint64_t config, double seconds)
{
  struct tune_entry e = sample;
  e.config = config;
  e.seconds = seconds;
  ck_gie_ok(ctx, tune_cache_put(c, &e));
}

#endif
