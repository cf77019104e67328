/* SPDX-License-Identifier: Apache-2.0 */
/* Saving a text over an older one, cut short at every step: the process is killed before each call that
 * changes the file system, or that call fails. What is left is always a text whose constants can be read, the
 * older or the newer one. */
#include "core/ir/ir.h"
#include "tests/gie_check.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- The calls, in place of the C library's. Step number `stop_at` is the one that is cut. */

static int step, stop_at, failure; /* failure 0: killed */

static bool cut(void)
{
  if (++step != stop_at)
    return false;
  if (!failure)
    raise(SIGKILL);
  errno = failure;
  return true;
}

static bool is_output(int fd)
{
  struct stat st;
  return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

ssize_t write(int fd, const void *data, size_t size)
{
  return is_output(fd) && cut() ? -1 : syscall(SYS_write, fd, data, size);
}
int fsync(int fd) { return cut() ? -1 : (int)syscall(SYS_fsync, fd); }
int fchmod(int fd, mode_t mode) { return cut() ? -1 : (int)syscall(SYS_fchmod, fd, mode); }
int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
  return cut() ? -1 : (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
}

/* ---- Graphs and folders */

#define MANY "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"
/* The first constant is in both, the second in one. */
static const char older[] = "graph \"older\" { const %a : f32[18] = {" MANY ",18} const %b : f32[18] = {" MANY
                            ",19}"
                            " %y = add(%a, %b) output %y }";
static const char newer[] = "graph \"newer\" { const %a : f32[18] = {" MANY ",18} const %c : f32[18] = {" MANY
                            ",20}"
                            " %y = mul(%a, %c) output %y }";
static const char plain[] = "graph \"plain\" { const %a : f32[] = {1} output %a }";

struct folder {
  char dir[64], gie[96], weights[96];
};

static struct folder new_folder(void)
{
  struct folder f = {.dir = "/tmp/gie-save-XXXXXX"};
  ck_assert_ptr_nonnull(mkdtemp(f.dir));
  snprintf(f.gie, sizeof f.gie, "%s/a.gie", f.dir);
  snprintf(f.weights, sizeof f.weights, "%s/a.weights", f.dir);
  return f;
}

/* Removes what is in the folder; the number of files that were. */
static int empty_folder(const struct folder *f)
{
  int n = 0, dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY);
  DIR *dir = fdopendir(dir_fd);
  ck_assert_ptr_nonnull(dir);
  for (const struct dirent *e; (e = readdir(dir));)
    n += unlinkat(dir_fd, e->d_name, 0) == 0;
  closedir(dir);
  return n;
}

static gie_status save(struct gie_context *ctx, const struct folder *f, const char *text)
{
  struct gie_graph *g;
  ck_gie_ok(ctx, gie_graph_parse(ctx, text, strlen(text), NULL, &g));
  gie_status st = ir_write_file(g, f->gie);
  gie_graph_free(g);
  return st;
}

/* The name of the graph that the folder holds: it must be readable with all its constants. */
static void read_name(struct gie_context *ctx, const struct folder *f, char name[16])
{
  struct gie_graph *g;
  ck_gie_ok(ctx, ir_read_file(ctx, f->gie, &g));
  snprintf(name, 16, "%s", gie_graph_name(g));
  gie_graph_free(g);
}

static off_t size_of(const char *path)
{
  struct stat st;
  ck_assert_int_eq(stat(path, &st), 0);
  return st.st_size;
}

/* ---- Tests */

struct change {
  const char *from, *to;
};

/* Saves in a child that is killed at step n; false when it had fewer steps and ended well. */
static bool killed_at(struct gie_context *ctx, const struct folder *f, const char *text, int n)
{
  int status;
  pid_t pid = fork();
  if (pid == 0) {
    step = 0, stop_at = n, failure = 0;
    _exit(save(ctx, f, text) != GIE_OK);
  }
  ck_assert(pid > 0 && waitpid(pid, &status, 0) == pid);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
    return true;
  ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return false;
}

static const struct change changes[] = {
    {older, newer}, {newer, older}, {older, plain}, {plain, newer}, {older, older}};
static const char *const names[][2] = {
    {"older", "newer"}, {"newer", "older"}, {"older", "plain"}, {"plain", "newer"}, {"older", "older"}};
#define N_CHANGES (sizeof changes / sizeof changes[0])

START_TEST(test_killed)
{
  struct gie_context *ctx = check_context();
  struct folder f = new_folder();
  char name[16];
  for (size_t i = 0; i < N_CHANGES; i++) {
    bool alive = false, changed = false;
    int n = 0;
    while (!alive) {
      empty_folder(&f);
      ck_gie_ok(ctx, save(ctx, &f, changes[i].from));
      alive = !killed_at(ctx, &f, changes[i].to, ++n);
      read_name(ctx, &f, name);
      ck_assert_msg(strcmp(name, names[i][1]) == 0 || (!changed && !alive && strcmp(name, names[i][0]) == 0),
                    "killed at step %d: %s", n, name);
      changed = strcmp(name, names[i][1]) == 0;
    }
    ck_assert_int_gt(n, 4);
    /* The next save puts away what the killed ones left. */
    ck_assert(killed_at(ctx, &f, changes[i].to, 4));
    ck_gie_ok(ctx, save(ctx, &f, changes[i].to));
    ck_assert_int_le(empty_folder(&f), 2);
  }
  ck_assert_int_eq(rmdir(f.dir), 0);
  gie_context_destroy(ctx);
}
END_TEST

START_TEST(test_failing)
{
  struct gie_context *ctx = check_context();
  struct folder f = new_folder();
  char name[16];
  for (size_t i = 0; i < 2 * N_CHANGES; i++) {
    const struct change *c = &changes[i / 2];
    gie_status st = GIE_E_IO;
    for (int n = 1, done = 0; !done; n++) {
      empty_folder(&f);
      ck_gie_ok(ctx, save(ctx, &f, c->from));
      step = 0, stop_at = n, failure = i % 2 ? ENOSPC : EIO;
      st = save(ctx, &f, c->to);
      done = step < n;
      stop_at = 0;
      ck_assert_msg(done ? st == GIE_OK : st == GIE_OK || st == GIE_E_IO || st == GIE_E_CREATE, "step %d: %s",
                    n, gie_status_name(st));
      read_name(ctx, &f, name);
      if (st == GIE_OK)
        ck_assert_str_eq(name, names[i / 2][1]);
      ck_assert_int_le(empty_folder(&f), 2); /* no temporary stays */
    }
  }
  ck_assert_int_eq(rmdir(f.dir), 0);
  gie_context_destroy(ctx);
}
END_TEST

/* In the end the weights file holds nothing but what its text needs, whatever was there before. */
START_TEST(test_nothing_left_over)
{
  struct gie_context *ctx = check_context();
  struct folder f = new_folder();
  char name[16];
  ck_gie_ok(ctx, save(ctx, &f, newer));
  off_t size = size_of(f.weights);
  empty_folder(&f);
  ck_gie_ok(ctx, save(ctx, &f, older));
  ck_gie_ok(ctx, save(ctx, &f, newer));
  ck_assert_int_eq(size_of(f.weights), size);
  /* An older weights file that is damaged does not matter. */
  ck_assert_int_eq(truncate(f.weights, size - 1), 0);
  ck_gie_ok(ctx, save(ctx, &f, older));
  read_name(ctx, &f, name);
  ck_assert_str_eq(name, "older");
  empty_folder(&f);
  ck_assert_int_eq(rmdir(f.dir), 0);
  gie_context_destroy(ctx);
}
END_TEST

GIE_TESTS_MAIN("save", test_killed, test_failing, test_nothing_left_over)
