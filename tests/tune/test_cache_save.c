/* SPDX-License-Identifier: Apache-2.0 */
/* Saving the timing cache: beside other processes, stopped and killed ones; system calls and allocations
 * that fail. */
#include "tests/tune/cache_check.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>

/* ---- Failing system calls: the call number `after` (from 1) of `call` fails with `error` */

static struct {
  const char *call;
  int after, error;
} fault;

static bool fails(const char *call)
{
  if (!fault.call || strcmp(fault.call, call) != 0 || --fault.after != 0)
    return false;
  errno = fault.error;
  return true;
}

ssize_t __real_write(int fd, const void *p, size_t n);
int __real_fsync(int fd);
int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __real_open(const char *path, int flags, ...);
ssize_t __wrap_write(int fd, const void *p, size_t n);
int __wrap_fsync(int fd);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_open(const char *path, int flags, ...);

ssize_t __wrap_write(int fd, const void *p, size_t n) { return fails("write") ? -1 : __real_write(fd, p, n); }
int __wrap_fsync(int fd) { return fails("fsync") ? -1 : __real_fsync(fd); }
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
  return fails("renameat") ? -1 : __real_renameat(from_dir, from, to_dir, to);
}
int __wrap_open(const char *path, int flags, ...)
{
  va_list ap;
  va_start(ap, flags);
  int mode = flags & O_CREAT ? va_arg(ap, int) : 0;
  va_end(ap);
  return flags & O_CREAT && fails("open") ? -1 : __real_open(path, flags, mode);
}

static int n_temporaries(void)
{
  int n = 0;
  DIR *d = opendir(".");
  for (const struct dirent *e; (e = readdir(d));)
    n += strstr(e->d_name, ".tmp") != NULL;
  closedir(d);
  return n;
}

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- Other processes */

/* What one drops goes, what another measures anew or adds stays. */
START_TEST(test_union)
{
  begin();
  struct tune_entry e = sample, got;
  struct tune_cache *a = open_cache();
  for (uint64_t i = 0; i < 4; i++)
    put_config(a, i, 1);
  ck_gie_ok(ctx, tune_cache_save(a));
  struct tune_cache *b = open_cache();
  put_config(b, 1, 20);
  put_config(b, 2, 20);
  put_config(b, 9, 20);
  ck_gie_ok(ctx, tune_cache_save(b));
  for (e.config = 0; e.config < 2; e.config++)
    tune_cache_drop(a, &e);
  put_config(a, 2, 30);
  put_config(a, 8, 30);
  ck_gie_ok(ctx, tune_cache_save(a));
  tune_cache_free(a);
  tune_cache_free(b);
  a = open_cache();
  static const double want[] = {0, 20, 30, 1, 0, 0, 0, 0, 30, 20};
  for (e.config = 0; e.config < 10; e.config++) {
    bool found = tune_cache_find(a, &e, &got, NULL);
    ck_assert_int_eq(found, want[e.config] > 0);
    ck_assert(!found || got.seconds == want[e.config]);
  }
  tune_cache_free(a);
  end();
}
END_TEST

/* Two builders save again and again what they have measured: nothing is lost. */
START_TEST(test_two_builders)
{
  enum { SAVES = 25, EACH = 8 };
  begin();
  int start[2];
  pid_t child[2];
  ck_assert_int_eq(pipe(start), 0);
  for (uint64_t k = 0; k < 2; k++) {
    child[k] = fork();
    ck_assert_int_ge(child[k], 0);
    if (child[k])
      continue;
    char go;
    close(start[1]);
    struct tune_cache *c = open_cache();
    (void)!read(start[0], &go, 1); /* until both are there */
    for (uint64_t i = 0; i < SAVES; i++) {
      for (uint64_t j = 0; j < EACH; j++)
        put_config(c, 1000 * k + i * EACH + j, 1);
      if (tune_cache_save(c) != GIE_OK)
        _exit(1);
    }
    _exit(0);
  }
  close(start[0]);
  close(start[1]);
  for (int k = 0; k < 2; k++) {
    int status;
    ck_assert_int_eq(waitpid(child[k], &status, 0), child[k]);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  ck_assert_uint_eq(count_file(), 2 * SAVES * EACH);
  ck_assert_int_eq(n_temporaries(), 0);
  end();
}
END_TEST

/* Somebody stopped while holding the lock: no saving, but no hanging either. */
START_TEST(test_stopped_holder)
{
  begin();
  int status;
  pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (!child) {
    int fd = open(FILE_NAME ".lock", O_RDWR | O_CREAT, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) != 0)
      _exit(1);
    raise(SIGSTOP);
    _exit(0);
  }
  ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
  ck_assert(WIFSTOPPED(status));
  struct tune_cache *c = open_cache();
  ck_assert(c->lock_wait == 10);
  tune_cache_lock_wait(c, 0.3);
  ck_gie_ok(ctx, tune_cache_put(c, &sample));
  double start = now();
  ck_gie_ok(ctx, tune_cache_save(c));
  ck_assert(now() - start >= 0.3 && now() - start < 5);
  ck_assert_int_eq(n_warnings, 1);
  ck_assert_ptr_nonnull(strstr(last_warning, "another process holds the lock"));
  ck_assert_int_ne(access(FILE_NAME, F_OK), 0);

  struct tune_cache *named; /* who asks about this file is told */
  put_bytes(FILE_NAME, CACHE_HEADER, sizeof CACHE_HEADER - 1);
  ck_gie_ok(ctx, tune_cache_open_named(ctx, FILE_NAME, false, &named));
  tune_cache_lock_wait(named, 0);
  put_config(named, 4, 1);
  ck_gie(ctx, tune_cache_save(named), GIE_E_IO);
  tune_cache_free(named);
  ck_assert_int_eq(n_warnings, 1);

  ck_assert_int_eq(kill(child, SIGKILL), 0);
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_gie_ok(ctx, tune_cache_save(c));
  tune_cache_free(c);
  ck_assert_uint_eq(count_file(), 1);
  end();
}
END_TEST

/* Killed at any time: the file is complete, old or new, and leftovers go with the next save. */
START_TEST(test_killed)
{
  enum { KILLS = 40, ENTRIES = 2000 };
  begin();
  struct tune_cache *c = open_cache();
  for (uint64_t i = 0; i < ENTRIES; i++)
    put_config(c, i, 1);
  ck_gie_ok(ctx, tune_cache_save(c));
  tune_cache_free(c);
  uint32_t draw = 5;
  for (int k = 0; k < KILLS; k++) {
    int status;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (!child) {
      struct tune_cache *d = open_cache();
      for (uint64_t i = 2;; i++) {
        put_config(d, 0, (double)i);
        if (tune_cache_save(d) != GIE_OK)
          _exit(1);
      }
    }
    draw = draw * 1664525 + 1013904223;
    usleep(5000 + (draw >> 8) % 30000);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    ck_assert_uint_eq(count_file(), ENTRIES);
  }
  c = open_cache();
  put_config(c, 0, 0.5);
  ck_gie_ok(ctx, tune_cache_save(c));
  tune_cache_free(c);
  ck_assert_int_eq(n_temporaries(), 0);
  end();
}
END_TEST

/* ---- Failures */

START_TEST(test_failing_calls)
{
  static const struct {
    const char *call;
    int after, error;
    gie_status status;
  } faults[] = {{"write", 1, ENOSPC, GIE_E_IO},   {"write", 2, ENOSPC, GIE_E_IO},
                {"write", 1, EIO, GIE_E_IO},      {"fsync", 1, EIO, GIE_E_IO},
                {"fsync", 2, EIO, GIE_E_IO},      {"renameat", 1, EROFS, GIE_E_CREATE},
                {"open", 1, EROFS, GIE_E_CREATE}, {"open", 1, ENOSPC, GIE_E_IO}};
  begin();
  struct tune_cache *c = open_cache();
  for (uint64_t i = 0; i < 1000; i++) /* more than one piece is written */
    put_config(c, i, 1);
  for (int round = 0; round < 2; round++) {
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
      put_config(c, 5000, 1 + (double)i + 100 * round);
      fault.call = faults[i].call;
      fault.after = faults[i].after;
      fault.error = faults[i].error;
      ck_gie(ctx, tune_cache_save(c), faults[i].status);
      fault.call = NULL;
      ck_assert_int_eq(n_temporaries(), 0);
      /* The second fsync is the directory's, when the new file is there already. */
      bool there = round || i >= 4;
      ck_assert_int_eq(access(FILE_NAME, F_OK) == 0, there);
      if (there)
        ck_assert_uint_eq(count_file(), 1001);
    }
    ck_gie_ok(ctx, tune_cache_save(c));
    ck_assert_uint_eq(count_file(), 1001);
  }
  tune_cache_free(c);
  end();
}
END_TEST

static gie_status use_cache(void)
{
  struct tune_cache *c;
  struct tune_entry e = sample, got;
  GIE_TRY(tune_cache_open(ctx, FILE_NAME, false, &c));
  gie_status status = GIE_OK;
  for (e.config = 0; e.config < 100 && status == GIE_OK; e.config++)
    status = tune_cache_put(c, &e);
  if (status == GIE_OK)
    status = tune_cache_save(c);
  ck_assert(status != GIE_OK || (tune_cache_at(c, 100, &got) && got.config == 99));
  tune_cache_free(c);
  return status;
}

START_TEST(test_failing_allocations)
{
  begin();
  for (long n = 1;; n++) {
    put_bytes(FILE_NAME, CACHE_HEADER OTHER_LINE("ok\t1.0\t0.0\t0.0\t"),
              sizeof CACHE_HEADER OTHER_LINE("ok\t1.0\t0.0\t0.0\t") - 1);
    ctx->fail_alloc_after = n;
    gie_status status = use_cache();
    bool reached = ctx->fail_alloc_after <= 0;
    ctx->fail_alloc_after = -1;
    if (!reached)
      break;
    ck_assert_int_eq(status, GIE_E_MEMORY);
    ck_assert_uint_eq(count_file(), 1);
    ck_assert_int_lt(n, 1000);
  }
  ck_assert_uint_eq(count_file(), 101);
  end();
}
END_TEST

GIE_TESTS_MAIN("cache_save", test_union, test_two_builders, test_stopped_holder, test_killed,
               test_failing_calls, test_failing_allocations)
