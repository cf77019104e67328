/* SPDX-License-Identifier: Apache-2.0 */
/* Saving over an older plan: whatever happens, the file is the old one or the whole new one. The calls
 * that write are wrapped (--wrap), so that a process can die, or a call fail, at each of them. */
#include "tests/plan/plan_check.h"
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Calls that write -------------------------------------------------------------------------- */

static int calls, die_at, fail_at, fail_with;

ssize_t __real_write(int fd, const void *p, size_t n);
int __real_fsync(int fd);
int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
ssize_t __wrap_write(int fd, const void *p, size_t n);
int __wrap_fsync(int fd);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);

/* True when this call is to fail. */
static bool faulty(void)
{
  calls++;
  if (calls == die_at)
    kill(getpid(), SIGKILL);
  errno = fail_with;
  return calls == fail_at;
}

/* A call that dies has written the half of it. */
ssize_t __wrap_write(int fd, const void *p, size_t n)
{
  if (calls + 1 == die_at && n > 1)
    n = (size_t)__real_write(fd, p, n / 2);
  return faulty() ? -1 : __real_write(fd, p, n);
}

int __wrap_fsync(int fd) { return faulty() ? -1 : __real_fsync(fd); }

int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
  return faulty() ? -1 : __real_renameat(from_dir, from, to_dir, to);
}

/* ---- What must be there afterwards ------------------------------------------------------------- */

struct files {
  struct gie_plan *old_plan, *new_plan;
  uint8_t *old_bytes, *new_bytes;
  size_t old_size, new_size;
  char path[256];
};

static void start(struct files *f)
{
  static const int one[] = {1, 0}, two[] = {2, 3, 0};
  kernel(SMALL_KERNEL);
  memset(f, 0, sizeof *f);
  f->old_plan = small_plan(one);
  f->new_plan = small_plan(two);
  snprintf(f->path, sizeof f->path, "%s", temp_path("saved.plan"));
  ck_gie_ok(ctx, gie_plan_save(f->new_plan, f->path));
  f->new_bytes = read_bytes(f->path, &f->new_size);
  ck_gie_ok(ctx, gie_plan_save(f->old_plan, f->path));
  f->old_bytes = read_bytes(f->path, &f->old_size);
}

static void end(struct files *f)
{
  gie_plan_free(f->old_plan);
  gie_plan_free(f->new_plan);
  free(f->old_bytes);
  free(f->new_bytes);
}

/* True: the new one; false: the old one. */
static bool is_new(const struct files *f)
{
  struct gie_plan *plan;
  size_t n;
  uint8_t *p = read_bytes(f->path, &n);
  bool old = n == f->old_size && memcmp(p, f->old_bytes, n) == 0;
  bool new = n == f->new_size &&memcmp(p, f->new_bytes, n) == 0;
  ck_assert_msg(old != new, "the file is neither the old plan nor the new one");
  free(p);
  ck_gie_ok(ctx, gie_plan_load(ctx, f->path, &plan));
  gie_plan_free(plan);
  return new;
}

/* ---- Tests ------------------------------------------------------------------------------------- */

START_TEST(killed_at_every_call)
{
  struct files f;
  int n_new = 0, n_old = 0, status = 1;
  start(&f);
  for (int at = 1; status != 0; at++) {
    ck_assert_int_lt(at, 1000);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
      calls = 0;
      die_at = at;
      _exit(gie_plan_save(f.new_plan, f.path) == GIE_OK ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    if (is_new(&f))
      n_new++;
    else
      n_old++;
    ck_gie_ok(ctx, gie_plan_save(f.old_plan, f.path)); /* sweeps what the dead one left */
  }
  ck_assert_int_gt(n_old, 5);
  ck_assert_int_ge(n_new, 1);
  end(&f);
}
END_TEST

START_TEST(killed_at_any_time)
{
  struct files f;
  start(&f);
  for (int i = 0; i < 60; i++) {
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
      for (;;) {
        gie_plan_save(f.new_plan, f.path);
        gie_plan_save(f.old_plan, f.path);
      }
    usleep((useconds_t)(500 + i * 137 % 5000));
    kill(child, SIGKILL);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    is_new(&f);
  }
  end(&f);
}
END_TEST

/* A full disk or a broken one: an error, and the old file. Only the directory's own sync comes when the
 * new one is there. */
START_TEST(every_call_may_fail)
{
  static const int errors[] = {ENOSPC, EIO, EDQUOT};
  struct files f;
  start(&f);
  for (size_t e = 0; e < sizeof errors / sizeof errors[0]; e++) {
    gie_status st = GIE_E_IO;
    for (int at = 1; st != GIE_OK; at++) {
      calls = 0;
      fail_at = at;
      fail_with = errors[e];
      st = gie_plan_save(f.new_plan, f.path);
      bool last = calls == at;
      fail_at = 0;
      ck_assert_msg(st == GIE_OK || st == GIE_E_IO || st == GIE_E_CREATE, "%s", gie_error_text(ctx));
      bool written = strstr(gie_error_text(ctx), "not safely on disk") != NULL;
      ck_assert(is_new(&f) == (st == GIE_OK || (last && written)));
      ck_gie_ok(ctx, gie_plan_save(f.old_plan, f.path));
    }
  }
  end(&f);
}
END_TEST

START_TEST(a_full_disk_keeps_the_old)
{
  struct files f;
  struct rlimit old;
  start(&f);
  signal(SIGXFSZ, SIG_IGN);
  ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
  for (size_t limit = 0; limit < f.new_size; limit += 97) {
    struct rlimit tight = {limit, old.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
    gie_status st = gie_plan_save(f.new_plan, f.path);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    ck_gie(ctx, st, GIE_E_IO);
    ck_assert(!is_new(&f));
  }
  end(&f);
}
END_TEST

START_TEST(places_that_cannot_be_written)
{
  struct files f;
  start(&f);
  ck_gie(ctx, gie_plan_save(f.new_plan, "/dev/full"), GIE_E_CREATE);
  ck_gie(ctx, gie_plan_save(f.new_plan, "/nonexistent/x.plan"), GIE_E_CREATE);
  ck_gie(ctx, gie_plan_save(f.new_plan, "/tmp"), GIE_E_CREATE);
  end(&f);
}
END_TEST

GIE_TESTS_MAIN_WITH("plan save", setup, teardown, killed_at_every_call, killed_at_any_time,
                    every_call_may_fail, a_full_disk_keeps_the_old, places_that_cannot_be_written)
