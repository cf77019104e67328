/* SPDX-License-Identifier: Apache-2.0 */
/* gie cache prune on this machine: what the loaded kernels and present devices can use stays. */
#include "core/tune/tune.h"
#include "tests/gie_check.h"
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_NAME "prune-test.txt"

static struct gie_context *ctx;
static struct gie_arena mem;
static struct tune_entry entries[5];

/* Entries of the first cpu kernel: current, of other threads, of another version, of another machine; and one
 * of a kernel that nobody has. */
static void make_entries(void)
{
  struct run_device d;
  ck_gie_ok(ctx, run_device_open(ctx, "cpu", 1, &d));
  const struct gie_kernel *k = NULL;
  for (uint32_t i = 0; (k = gie_kernel_at(ctx, i)) && strcmp(k->device, "cpu") != 0; i++)
    ;
  ck_assert_ptr_nonnull(k);
  const char *version = tune_entry_version(&mem, k, &d.info);
  const char *device = tune_entry_device(&mem, "cpu", &d.info, 2);
  ck_assert_ptr_nonnull(version);
  ck_assert_ptr_nonnull(strstr(version, d.info.version));
  ck_assert(strncmp(version, "cpu ", 4) == 0 && strncmp(version, "cpu |", 5) != 0); /* the module's */
  ck_assert(strncmp(device, "cpu|", 4) == 0 && strstr(device, d.info.name) && strstr(device, "|threads=2"));
  struct tune_entry e = {"p", k->name, 0, device, version, PROBE_OK, 1e-3, 0, 0, ""};
  for (size_t i = 0; i < 5; i++)
    entries[i] = e;
  entries[1].device = tune_entry_device(&mem, "cpu", &d.info, 16);
  entries[2].version = "cpu 0.0|something";
  entries[3].device = "cpu|another machine|threads=2";
  entries[4].kernel = "nobody.has";
  run_device_close(&d);
}

static void write_cache(void)
{
  struct tune_cache *c;
  unlink(FILE_NAME);
  ck_gie_ok(ctx, tune_cache_open(ctx, FILE_NAME, false, &c));
  for (size_t i = 0; i < 5; i++)
    ck_gie_ok(ctx, tune_cache_put(c, &entries[i]));
  ck_gie_ok(ctx, tune_cache_save(c));
  tune_cache_free(c);
}

/* Runs the command; bit i of the result: entry i is still there. */
static unsigned prune(const char *flags, const char *says)
{
  char command[1024], line[1024] = "";
  const char *build = getenv("top_builddir");
  write_cache();
  snprintf(command, sizeof command, "%s/gie cache prune %s " FILE_NAME, build ? build : ".", flags);
  FILE *f = popen(command, "r");
  ck_assert_ptr_nonnull(f);
  ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
  ck_assert_int_eq(pclose(f), 0);
  ck_assert_msg(strstr(line, says) != NULL, "%s", line);
  struct tune_cache *c;
  struct tune_entry got;
  unsigned left = 0;
  ck_gie_ok(ctx, tune_cache_open_named(ctx, FILE_NAME, true, &c));
  for (unsigned i = 0; i < 5; i++)
    left |= (unsigned)tune_cache_find(c, &entries[i], &got, NULL) << i;
  tune_cache_free(c);
  return left;
}

START_TEST(test_prune)
{
  struct gie_context_options options = {.struct_size = sizeof options, .log = check_no_log};
  ck_assert_int_eq(gie_context_new(&options, &ctx), GIE_OK);
  gie_arena_init(&mem, ctx);
  make_entries();
  ck_assert_uint_eq(prune("--dry-run", ": 2 would go (1 of kernels that are not loaded, 1 of devices"), 31);
  ck_assert_uint_eq(
      prune("", ": 2 gone (1 of kernels that are not loaded, 1 of devices that are not here), 3 kept"), 7);
  ck_assert_uint_eq(prune("--older-versions --dry-run", "3 would go"), 31);
  ck_assert_uint_eq(prune("--older-versions", "1 of other versions), 2 kept"), 3);
  unlink(FILE_NAME);
  unlink(FILE_NAME ".lock");
  gie_arena_free(&mem);
  gie_context_free(ctx);
}
END_TEST

GIE_TESTS_MAIN("prune", test_prune)
