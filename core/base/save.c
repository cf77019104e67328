/* SPDX-License-Identifier: Apache-2.0 */
/* Atomic save: a temporary file beside the target, complete on disk before it takes the target's name.
 *
 * The temporary is locked (flock) while its writer lives, so one that can be locked was left behind by
 * a killed process and is swept. Its name is ".<target>.<16 hex digits>.tmp". */
#include "core/base/base.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX_DIGITS 16
#define SUFFIX_LENGTH (1 + SUFFIX_DIGITS + 4) /* ".0123456789abcdef.tmp" */

static const char *base_name(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* What a failure while an output is made means. */
static gie_status save_failed(struct gie_save *s, gie_status status, int error)
{
  if (error == ENOSPC || error == EIO || error == EDQUOT || error == EFBIG)
    status = GIE_E_IO;
  return gie_fail(s->ctx, status, "%s: %s; the output is not written", s->path, strerror(error));
}

/* True for a name that save_temp_name makes for this target. */
static bool is_temp_of(const char *entry, const char *target)
{
  size_t n = strlen(target);
  if (entry[0] != '.' || strncmp(entry + 1, target, n) != 0 || strlen(entry + 1 + n) != SUFFIX_LENGTH)
    return false;
  const char *suffix = entry + 1 + n;
  return suffix[0] == '.' && strspn(suffix + 1, "0123456789abcdef") == SUFFIX_DIGITS &&
         strcmp(suffix + 1 + SUFFIX_DIGITS, ".tmp") == 0;
}

/* Removes temporaries of this target that no living process holds. Failures do not matter. */
static void sweep(int dir_fd, const char *target)
{
  int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = copy < 0 ? NULL : fdopendir(copy);
  if (!dir) {
    if (copy >= 0)
      close(copy);
    return;
  }
  for (const struct dirent *e; (e = readdir(dir));) {
    if (!is_temp_of(e->d_name, target))
      continue;
    int fd = openat(dir_fd, e->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
      continue;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
      unlinkat(dir_fd, e->d_name, 0);
    close(fd);
  }
  closedir(dir);
}

/* Opens the directory of the target. */
static int open_dir(const struct gie_save *s)
{
  size_t n = (size_t)(base_name(s->target) - s->target);
  char dir[PATH_MAX];
  if (n >= sizeof dir) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(dir, s->target, n);
  dir[n] = '\0';
  return open(n ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Sets s->temp to a new name. */
static gie_status temp_name(struct gie_save *s)
{
  uint64_t random = 0;
  const char *base = base_name(s->target);
  if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
    random = (uint64_t)getpid() << 32 ^ (uint64_t)(uintptr_t)s;
  size_t size = strlen(s->target) + 1 + SUFFIX_LENGTH + 1;
  gie_free(s->ctx, s->temp);
  s->temp = gie_alloc(s->ctx, size, 1);
  if (!s->temp)
    return GIE_E_MEMORY;
  snprintf(s->temp, size, "%.*s.%s.%016llx.tmp", (int)(base - s->target), s->target, base,
           (unsigned long long)random);
  return GIE_OK;
}

/* Makes the temporary and locks it. A sweeper may get in between; then its link is gone. */
static gie_status make_temp(struct gie_save *s, int dir_fd)
{
  for (int attempt = 0; attempt < 16; attempt++) {
    GIE_TRY(temp_name(s));
    int fd = openat(dir_fd, base_name(s->temp), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
      continue;
    if (fd < 0)
      return save_failed(s, GIE_E_CREATE, errno);
    struct stat st;
    (void)flock(fd, LOCK_EX); /* where the file system has no locks, nothing is swept either */
    if (fstat(fd, &st) == 0 && st.st_nlink > 0) {
      s->fd = fd;
      return GIE_OK;
    }
    close(fd);
  }
  return save_failed(s, GIE_E_CREATE, EEXIST);
}

static void save_end(struct gie_save *s)
{
  if (s->fd >= 0)
    close(s->fd);
  gie_free(s->ctx, s->temp);
  gie_free(s->ctx, s->target);
  gie_free(s->ctx, s->path);
  *s = (struct gie_save){.ctx = s->ctx, .fd = -1};
}

static char *copy_text(struct gie_context *ctx, const char *text)
{
  size_t size = strlen(text) + 1;
  char *copy = gie_alloc(ctx, size, 1);
  return copy ? memcpy(copy, text, size) : NULL;
}

static gie_status begin(struct gie_save *s, const char *path)
{
  struct stat st;
  /* A link stays a link: what it points to is replaced. */
  char *real = realpath(path, NULL);
  s->path = copy_text(s->ctx, path);
  s->target = copy_text(s->ctx, real ? real : path);
  free(real);
  if (!s->path || !s->target)
    return GIE_E_MEMORY;
  if (stat(s->target, &st) == 0 && !S_ISREG(st.st_mode))
    return gie_fail(s->ctx, GIE_E_CREATE, "%s: is not a regular file; name another output", path);
  if (!*base_name(s->target))
    return save_failed(s, GIE_E_CREATE, *path ? EISDIR : ENOENT);
  int dir_fd = open_dir(s);
  if (dir_fd < 0)
    return save_failed(s, GIE_E_CREATE, errno);
  sweep(dir_fd, base_name(s->target));
  gie_status status = make_temp(s, dir_fd);
  close(dir_fd);
  return status;
}

gie_status gie_save_begin(struct gie_context *ctx, const char *path, struct gie_save *s)
{
  *s = (struct gie_save){.ctx = ctx, .fd = -1};
  gie_status status = begin(s, path);
  if (status != GIE_OK)
    save_end(s);
  return status;
}

gie_status gie_save_write(struct gie_save *s, const void *p, size_t n)
{
  if (s->fd < 0) /* ended by an earlier failure, which is still the error text */
    return GIE_E_IO;
  for (const unsigned char *q = p; n;) {
    ssize_t k = write(s->fd, q, n < (1u << 30) ? n : 1u << 30);
    if (k < 0 && errno == EINTR)
      continue;
    if (k <= 0) {
      gie_status status = save_failed(s, GIE_E_IO, k < 0 ? errno : EIO);
      gie_save_abort(s);
      return status;
    }
    q += k;
    n -= (size_t)k;
  }
  return GIE_OK;
}

/* The mode a new file gets from open(): what the umask leaves of 0666. Reading the umask by setting it
 * would race with other threads. */
static mode_t default_mode(void)
{
  unsigned long umask_bits = 077;
  char line[128];
  FILE *f = fopen("/proc/self/status", "re");
  while (f && fgets(line, sizeof line, f))
    if (strncmp(line, "Umask:", 6) == 0)
      umask_bits = strtoul(line + 6, NULL, 8);
  if (f)
    fclose(f);
  return (mode_t)(0666 & ~umask_bits);
}

gie_status gie_save_commit(struct gie_save *s)
{
  struct stat st;
  if (s->fd < 0)
    return GIE_E_IO;
  mode_t mode = stat(s->target, &st) == 0 ? st.st_mode & 0777 : default_mode();
  int dir_fd = -1;
  gie_status status = GIE_OK;
  if (fchmod(s->fd, mode) != 0 || fsync(s->fd) != 0) {
    status = save_failed(s, GIE_E_IO, errno);
  } else if ((dir_fd = open_dir(s)) < 0 ||
             renameat(dir_fd, base_name(s->temp), dir_fd, base_name(s->target)) != 0) {
    status = save_failed(s, GIE_E_CREATE, errno);
  } else if (fsync(dir_fd) != 0 && errno != EINVAL) { /* EINVAL: a file system that cannot */
    status = gie_fail(s->ctx, GIE_E_IO, "%s: written, but its directory is not safely on disk: %s", s->path,
                      strerror(errno));
    save_end(s);
  }
  if (dir_fd >= 0)
    close(dir_fd);
  if (status == GIE_OK)
    save_end(s);
  else
    gie_save_abort(s);
  return status;
}

void gie_save_abort(struct gie_save *s)
{
  if (s->temp && s->fd >= 0)
    unlink(s->temp);
  save_end(s);
}
