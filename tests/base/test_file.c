/* SPDX-License-Identifier: Apache-2.0 */
/* Reading bad files, files beside others, and saving under failure. The tests work in a folder of
 * their own; system calls fail on request (the program is linked with --wrap). */
#include "tests/gie_check.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Failing system calls: the call number `after` (from 1) of `call` fails with `error` */

static struct {
  const char *call;
  int after, error;
  size_t piece; /* > 0: read and write at most so many bytes at a time */
} fault;

static bool fails(const char *call)
{
  if (!fault.call || strcmp(fault.call, call) != 0 || --fault.after != 0)
    return false;
  errno = fault.error;
  return true;
}

static size_t pieces(size_t n) { return fault.piece && n > fault.piece ? fault.piece : n; }

ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __real_pread(int fd, void *p, size_t n, off_t offset);
int __real_fsync(int fd);
int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t __wrap_pread(int fd, void *p, size_t n, off_t offset);
int __wrap_fsync(int fd);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);

ssize_t __wrap_write(int fd, const void *p, size_t n)
{
  return fails("write") ? -1 : __real_write(fd, p, pieces(n));
}

ssize_t __wrap_pread(int fd, void *p, size_t n, off_t offset)
{
  if (fails("pread"))
    return fault.error ? -1 : 0; /* no error: end of file */
  return __real_pread(fd, p, pieces(n), offset);
}

int __wrap_fsync(int fd) { return fails("fsync") ? -1 : __real_fsync(fd); }

int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
  return fails("renameat") ? -1 : __real_renameat(from_dir, from, to_dir, to);
}

/* Before call number `at` (from 1) of openat() or fstat() somebody else is busy in the folder. */
static struct {
  const char *call;
  int at, n;
  void (*act)(void);
} other;

static void others(const char *call)
{
  if (other.act && strcmp(other.call, call) == 0 && ++other.n == other.at)
    other.act();
}

int __real_openat(int dir, const char *path, int flags, ...);
int __real_fstat(int fd, struct stat *st);
int __wrap_openat(int dir, const char *path, int flags, ...);
int __wrap___openat_2(int dir, const char *path, int flags); /* what a fortified openat() is */
int __wrap_fstat(int fd, struct stat *st);

int __wrap_openat(int dir, const char *path, int flags, ...)
{
  others("openat");
  return __real_openat(dir, path, flags, 0600);
}
int __wrap___openat_2(int dir, const char *path, int flags) { return __wrap_openat(dir, path, flags); }

int __wrap_fstat(int fd, struct stat *st)
{
  others("fstat");
  return __real_fstat(fd, st);
}

/* ---- A folder for each test */

static struct gie_context *ctx;
static char folder[32];

static void put(const char *path, const char *text)
{
  FILE *f = fopen(path, "w");
  ck_assert_ptr_nonnull(f);
  ck_assert_int_ge(fputs(text, f), 0);
  fclose(f);
}

static void ck_content(const char *path, const char *text)
{
  char *data;
  size_t size;
  ck_gie_ok(ctx, gie_file_read(ctx, path, 1 << 20, &data, &size));
  ck_assert_uint_eq(size, strlen(text));
  ck_assert_str_eq(data, text);
  gie_free(ctx, data);
}

static int n_entries(void)
{
  int n = 0;
  DIR *d = opendir(".");
  while (readdir(d))
    n++;
  closedir(d);
  return n - 2;
}

static void begin(void)
{
  strcpy(folder, "test-file-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
  ck_assert_int_eq(chdir(folder), 0);
  ck_assert_int_eq(chmod(".", 0755), 0);
  ctx = check_context();
}

static void end(void)
{
  char command[64];
  if (geteuid() != getuid())
    ck_assert_int_eq(seteuid(getuid()), 0);
  gie_context_destroy(ctx);
  ck_assert_int_eq(chdir(".."), 0);
  snprintf(command, sizeof command, "rm -rf %s", folder);
  ck_assert_int_eq(system(command), 0);
}

/* Root may do everything; permissions show to others. */
static void leave_root(void)
{
  if (geteuid() == 0)
    ck_assert_int_eq(seteuid(65534), 0);
}

/* ---- Reading */

START_TEST(test_open)
{
  begin();
  put("file", "text");
  put("empty", "");
  put("secret", "x");
  chmod("secret", 0);
  mkdir("dir", 0755);
  mkdir("closed", 0);
  mkfifo("fifo", 0644);
  ck_assert_int_eq(symlink("loop", "loop"), 0);
  ck_assert_int_eq(symlink("file", "link"), 0);
  char long_name[1000];
  memset(long_name, 'x', sizeof long_name);
  long_name[sizeof long_name - 1] = '\0';
  const struct {
    const char *path;
    gie_status status;
    uint64_t size;
    const char *text;
  } cases[] = {
      {"file", GIE_OK, 4, ""},
      {"empty", GIE_OK, 0, ""},
      {"link", GIE_OK, 4, ""},
      {"missing", GIE_E_NOINPUT, 0, "missing: No such file"},
      {"", GIE_E_NOINPUT, 0, "No such file"},
      {"file/x", GIE_E_NOINPUT, 0, "Not a directory"},
      {"dir", GIE_E_NOINPUT, 0, "dir: is a directory"},
      {"fifo", GIE_E_NOINPUT, 0, "not a regular file"},
      {"/dev/zero", GIE_E_NOINPUT, 0, "not a regular file"},
      {"loop", GIE_E_NOINPUT, 0, "symbolic links"},
      {long_name, GIE_E_NOINPUT, 0, "too long"},
      {"secret", GIE_E_PERM, 0, "Permission denied"},
      {"closed/x", GIE_E_PERM, 0, "Permission denied"},
      {"new\nline\033", GIE_E_NOINPUT, 0, "new\\nline\\x1b: No such file"},
  };
  leave_root();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int fd = -5;
    uint64_t size = 99;
    ck_gie(ctx, gie_file_open(ctx, cases[i].path, &fd, &size), cases[i].status);
    if (cases[i].status == GIE_OK) {
      ck_assert_uint_eq(size, cases[i].size);
      ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
      close(fd);
    } else {
      ck_assert(fd == -5 && size == 99);
      ck_assert_msg(strstr(gie_error_text(ctx), cases[i].text) != NULL, "\"%s\"", gie_error_text(ctx));
    }
  }
  end();
}
END_TEST

START_TEST(test_read)
{
  char *data;
  size_t size;
  begin();
  put("file", "0123456789");
  ck_content("file", "0123456789");
  ck_gie_ok(ctx, gie_file_read(ctx, "file", 10, &data, &size));
  gie_free(ctx, data);
  ck_gie(ctx, gie_file_read(ctx, "file", 9, &data, &size), GIE_E_LIMIT);
  fault.piece = 3; /* short reads are put together */
  ck_content("file", "0123456789");
  static const struct {
    int after, error;
    gie_status status;
  } faults[] = {{1, EINTR, GIE_OK}, {2, EINTR, GIE_OK}, {1, EIO, GIE_E_IO},
                {3, EIO, GIE_E_IO}, {1, 0, GIE_E_IO},   {3, 0, GIE_E_IO}};
  for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
    fault.call = "pread";
    fault.after = faults[i].after;
    fault.error = faults[i].error;
    ck_gie(ctx, gie_file_read(ctx, "file", 10, &data, &size), faults[i].status);
    if (faults[i].status == GIE_OK)
      gie_free(ctx, data);
  }
  ck_assert_ptr_nonnull(strstr(gie_error_text(ctx), "file: has become shorter"));
  int fd;
  uint64_t n;
  char c;
  ck_gie_ok(ctx, gie_file_open(ctx, "file", &fd, &n));
  ck_gie(ctx, gie_file_pread(ctx, fd, "file", &c, 1, 10), GIE_E_IO);
  ck_gie(ctx, gie_file_pread(ctx, fd, "file", &c, 1, UINT64_MAX), GIE_E_IO);
  ck_gie(ctx, gie_file_pread(ctx, fd, "file", &c, 1, INT64_MAX), GIE_E_IO);
  ck_gie_ok(ctx, gie_file_pread(ctx, fd, "file", &c, 1, 9));
  ck_assert_int_eq(c, '9');
  close(fd);
  end();
}
END_TEST

START_TEST(test_beside)
{
  begin();
  mkdir("model", 0755);
  mkdir("model/sub", 0755);
  mkdir("model/sub/deep", 0755);
  mkdir("outside", 0755);
  put("model/net.onnx", "net");
  put("model/weights", "1234567");
  put("model/sub/weights", "12");
  put("model/sub/deep/weights", "1");
  put("model/..weights", "123");
  put("model/linked", "x");
  put("outside/secret", "secret");
  mkfifo("model/fifo", 0644);
  ck_assert_int_eq(symlink("../outside/secret", "model/symlink"), 0);
  ck_assert_int_eq(symlink("weights", "model/inner-symlink"), 0);
  ck_assert_int_eq(symlink("../outside", "model/dir-symlink"), 0);
  ck_assert_int_eq(link("model/linked", "outside/linked"), 0);
  char absolute[4200], long_part[400];
  ck_assert_ptr_nonnull(getcwd(absolute, 4096));
  strcat(absolute, "/model/weights");
  memset(long_part, 'x', sizeof long_part);
  long_part[sizeof long_part - 1] = '\0';
  const struct {
    const char *name;
    gie_status status;
    uint64_t size;
    const char *text;
  } cases[] = {
      {"weights", GIE_OK, 7, ""},
      {"sub/weights", GIE_OK, 2, ""},
      {"sub//deep///weights", GIE_OK, 1, ""},
      {"./sub/./weights", GIE_OK, 2, ""},
      {"..weights", GIE_OK, 3, ""},
      {"missing", GIE_E_NOINPUT, 0, "No such file"},
      {"sub/missing", GIE_E_NOINPUT, 0, "No such file"},
      {"missing/weights", GIE_E_NOINPUT, 0, "No such file"},
      {"weights/x", GIE_E_NOINPUT, 0, "Not a directory"},
      {"", GIE_E_DATA, 0, "name is empty"},
      {absolute, GIE_E_DATA, 0, "absolute"},
      {"../outside/secret", GIE_E_DATA, 0, "\"..\""},
      {"sub/../../outside/secret", GIE_E_DATA, 0, "\"..\""},
      {"sub/..", GIE_E_DATA, 0, "\"..\""},
      {"..", GIE_E_DATA, 0, "\"..\""},
      {".", GIE_E_DATA, 0, "directory"},
      {"sub", GIE_E_DATA, 0, "directory"},
      {"sub/", GIE_E_DATA, 0, "directory"},
      {"fifo", GIE_E_DATA, 0, "not a regular file"},
      {"symlink", GIE_E_DATA, 0, "symbolic link"},
      {"inner-symlink", GIE_E_DATA, 0, "symbolic link"},
      {"dir-symlink/secret", GIE_E_DATA, 0, "symbolic link"},
      {"linked", GIE_E_DATA, 0, "hard link"},
      {long_part, GIE_E_DATA, 0, "too long"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int fd = -5;
    uint64_t size = 99;
    ck_gie(ctx, gie_file_open_beside(ctx, "model/net.onnx", cases[i].name, &fd, &size), cases[i].status);
    if (cases[i].status == GIE_OK) {
      ck_assert_uint_eq(size, cases[i].size);
      close(fd);
    } else {
      ck_assert(fd == -5 && size == 99);
      ck_assert_msg(strstr(gie_error_text(ctx), cases[i].text) != NULL, "\"%s\"", gie_error_text(ctx));
    }
  }
  /* The file named may itself be in the current folder or be missing with its folder. */
  int fd;
  uint64_t size;
  ck_assert_int_eq(chdir("model"), 0);
  ck_gie_ok(ctx, gie_file_open_beside(ctx, "net.onnx", "weights", &fd, &size));
  close(fd);
  ck_assert_int_eq(chdir(".."), 0);
  ck_gie(ctx, gie_file_open_beside(ctx, "nowhere/net.onnx", "weights", &fd, &size), GIE_E_NOINPUT);
  end();
}
END_TEST

/* Somebody swaps the file, or a folder on the way to it, between any two steps: what is opened is what was
 * checked, and it is never the file outside. */
static void swap_file(void) { ck_assert_int_eq(rename("model/sub/weights", "model/sub/moved"), 0); }
static void swap_file_for_symlink(void)
{
  swap_file();
  ck_assert_int_eq(symlink("../../outside/secret", "model/sub/weights"), 0);
}
static void swap_file_for_hard_link(void)
{
  swap_file();
  ck_assert_int_eq(link("outside/secret", "model/sub/weights"), 0);
}
static void swap_file_for_fifo(void)
{
  swap_file();
  ck_assert_int_eq(mkfifo("model/sub/weights", 0600), 0);
}
static void swap_folder_for_symlink(void)
{
  ck_assert_int_eq(rename("model/sub", "model/moved"), 0);
  ck_assert_int_eq(symlink("../outside", "model/sub"), 0);
}
static void link_file(void) { ck_assert_int_eq(link("model/sub/weights", "outside/linked"), 0); }

START_TEST(test_beside_swapped)
{
  /* openat() 1 opens sub, 2 the file; fstat() then looks at what is open. */
  static const struct {
    const char *call;
    int at;
    void (*act)(void);
    gie_status status;
    const char *text;
  } cases[] = {
      {"openat", 1, swap_folder_for_symlink, GIE_E_DATA, "symbolic link"},
      {"openat", 2, swap_folder_for_symlink, GIE_OK, ""},
      {"openat", 1, swap_file_for_symlink, GIE_E_DATA, "symbolic link"},
      {"openat", 2, swap_file_for_symlink, GIE_E_DATA, "symbolic link"},
      {"openat", 2, swap_file_for_hard_link, GIE_E_DATA, "hard link"},
      {"openat", 2, swap_file_for_fifo, GIE_E_DATA, "not a regular file"},
      {"openat", 2, swap_file, GIE_E_NOINPUT, "No such file"},
      {"fstat", 1, swap_folder_for_symlink, GIE_OK, ""},
      {"fstat", 1, swap_file_for_symlink, GIE_OK, ""},
      {"fstat", 1, swap_file_for_hard_link, GIE_OK, ""},
      {"fstat", 1, swap_file_for_fifo, GIE_OK, ""},
      {"fstat", 1, link_file, GIE_E_DATA, "hard link"},
  };
  begin();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int fd = -5;
    uint64_t size = 99;
    char data[8] = "";
    mkdir("model", 0755);
    mkdir("model/sub", 0755);
    mkdir("outside", 0755);
    put("model/sub/weights", "inside!");
    put("outside/secret", "secret!");
    put("outside/weights", "secret!");
    other.call = cases[i].call;
    other.at = cases[i].at;
    other.n = 0;
    other.act = cases[i].act;
    ck_gie(ctx, gie_file_open_beside(ctx, "model/net.onnx", "sub/weights", &fd, &size), cases[i].status);
    other.act = NULL;
    ck_assert_msg(other.n >= other.at, "case %zu: %s() was not called", i, other.call);
    if (cases[i].status == GIE_OK) {
      ck_assert_uint_eq(size, 7);
      ck_gie_ok(ctx, gie_file_pread(ctx, fd, "weights", data, 7, 0));
      ck_assert_str_eq(data, "inside!");
      close(fd);
    } else {
      ck_assert_int_eq(fd, -5);
      ck_assert_msg(strstr(gie_error_text(ctx), cases[i].text), "case %zu: %s", i, gie_error_text(ctx));
    }
    ck_assert_int_eq(system("rm -rf model outside"), 0);
  }
  end();
}
END_TEST

/* ---- Saving */

static gie_status save(const char *path, const char *text)
{
  struct gie_save s;
  GIE_TRY(gie_save_begin(ctx, path, &s));
  size_t half = strlen(text) / 2;
  GIE_TRY(gie_save_write(&s, text, half));
  GIE_TRY(gie_save_write(&s, text + half, strlen(text) - half));
  return gie_save_commit(&s);
}

static mode_t mode_of(const char *path)
{
  struct stat st;
  ck_assert_int_eq(stat(path, &st), 0);
  return st.st_mode & 07777;
}

START_TEST(test_save)
{
  begin();
  umask(027);
  ck_gie_ok(ctx, save("out", "first"));
  ck_content("out", "first");
  ck_assert_uint_eq(mode_of("out"), 0640); /* as open() would have made it */
  chmod("out", 0604);
  fault.piece = 2; /* short writes are continued */
  ck_gie_ok(ctx, save("out", "second, longer"));
  ck_content("out", "second, longer");
  ck_assert_uint_eq(mode_of("out"), 0604); /* as it was */
  ck_gie_ok(ctx, save("./out", ""));
  ck_content("out", "");
  ck_assert_int_eq(symlink("out", "link"), 0);
  ck_gie_ok(ctx, save("link", "through"));
  ck_content("out", "through");
  struct stat st;
  ck_assert(lstat("link", &st) == 0 && S_ISLNK(st.st_mode));
  ck_assert_int_eq(n_entries(), 2);
  end();
}
END_TEST

/* While it is being written, nobody else may read it, and the old file is still there. */
START_TEST(test_save_temporary)
{
  struct gie_save s;
  begin();
  put("out", "old");
  umask(0);
  ck_gie_ok(ctx, gie_save_begin(ctx, "out", &s));
  ck_gie_ok(ctx, gie_save_write(&s, "new", 3));
  ck_assert_uint_eq(mode_of(s.temp), 0600);
  ck_content("out", "old");
  gie_save_abort(&s);
  gie_save_abort(&s);
  ck_content("out", "old");
  ck_assert_int_eq(n_entries(), 1);
  ck_assert_int_eq(gie_save_write(&s, "x", 1), GIE_E_IO);
  ck_assert_int_eq(gie_save_commit(&s), GIE_E_IO);
  end();
}
END_TEST

START_TEST(test_save_refused)
{
  begin();
  mkdir("dir", 0777);
  mkdir("readonly", 0555);
  mkfifo("fifo", 0666);
  put("file", "x");
  static const struct {
    const char *path;
    gie_status status;
  } cases[] = {
      {"missing/out", GIE_E_CREATE}, {"dir", GIE_E_CREATE},
      {"dir/", GIE_E_CREATE},        {"", GIE_E_CREATE},
      {"fifo", GIE_E_CREATE},        {"/dev/null", GIE_E_CREATE},
      {"file/out", GIE_E_CREATE},    {"readonly/out", GIE_E_CREATE},
      {"/dev/full", GIE_E_CREATE},   {"new/", GIE_E_CREATE},
  };
  leave_root();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    ck_gie(ctx, save(cases[i].path, "text"), cases[i].status);
    ck_assert_int_eq(strncmp(gie_error_text(ctx), cases[i].path, strlen(cases[i].path)), 0);
  }
  struct stat st;
  ck_assert(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode));
  end();
}
END_TEST

START_TEST(test_save_faults)
{
  static const struct {
    const char *call;
    int after, error;
    gie_status status;
    const char *left; /* content afterwards */
  } cases[] = {
      {"write", 1, ENOSPC, GIE_E_IO, "old"},        {"write", 3, EIO, GIE_E_IO, "old"},
      {"write", 1, EFBIG, GIE_E_IO, "old"},         {"write", 2, EINTR, GIE_OK, "new contents"},
      {"fsync", 1, EIO, GIE_E_IO, "old"},           {"fsync", 1, ENOSPC, GIE_E_IO, "old"},
      {"renameat", 1, EROFS, GIE_E_CREATE, "old"},  {"renameat", 1, EACCES, GIE_E_CREATE, "old"},
      {"renameat", 1, EIO, GIE_E_IO, "old"},        {"fsync", 2, EIO, GIE_E_IO, "new contents"},
      {"fsync", 2, EINVAL, GIE_OK, "new contents"},
  };
  begin();
  fault.piece = 4;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    put("out", "old");
    fault.call = cases[i].call;
    fault.after = cases[i].after;
    fault.error = cases[i].error;
    ck_gie(ctx, save("out", "new contents"), cases[i].status);
    ck_content("out", cases[i].left);
    ck_assert_int_eq(n_entries(), 1); /* no temporary is left */
    if (cases[i].status != GIE_OK)
      ck_assert_int_eq(strncmp(gie_error_text(ctx), "out: ", 5), 0);
  }
  end();
}
END_TEST

/* A writer that is killed leaves a temporary; the next one of the same target sweeps it, but neither
 * that of a living writer nor files that only look alike. */
START_TEST(test_save_sweep)
{
  struct gie_save alive;
  begin();
  put("out", "old");
  pid_t child = fork();
  if (child == 0) {
    struct gie_save s;
    _exit(gie_save_begin(ctx, "out", &s) != GIE_OK || gie_save_write(&s, "half", 4) != GIE_OK);
  }
  int status;
  ck_assert(waitpid(child, &status, 0) == child && status == 0);
  ck_content("out", "old");
  ck_assert_int_eq(n_entries(), 2);
  put(".out.0123456789abcde.tmp", "one digit short");
  put(".out.0123456789abcdeg.tmp", "not hexadecimal");
  put(".other.0123456789abcdef.tmp", "another target");
  ck_gie_ok(ctx, gie_save_begin(ctx, "out", &alive));
  ck_assert_int_eq(n_entries(), 5);
  ck_gie_ok(ctx, save("out", "second"));
  ck_assert_int_eq(n_entries(), 5);
  ck_content("out", "second");
  ck_gie_ok(ctx, gie_save_write(&alive, "alive", 5));
  ck_gie_ok(ctx, gie_save_commit(&alive));
  ck_content("out", "alive");
  ck_assert_int_eq(n_entries(), 4);
  end();
}
END_TEST

GIE_TESTS_MAIN("file", test_open, test_read, test_beside, test_beside_swapped, test_save, test_save_temporary,
               test_save_refused, test_save_faults, test_save_sweep)
