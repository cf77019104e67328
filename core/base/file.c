/* SPDX-License-Identifier: Apache-2.0 */
/* Reading files that may be hostile, and saving files so that an older one survives every failure. */
#include "core/base/base.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Reading */

/* What a failed open() of an input means. */
static gie_status open_status(int error)
{
  switch (error) {
  case EACCES:
  case EPERM:
    return GIE_E_PERM;
  case ENOENT:
  case ENOTDIR:
  case ELOOP:
  case ENAMETOOLONG:
  case ENXIO:
  case ENODEV:
    return GIE_E_NOINPUT;
  default:
    return GIE_E_IO;
  }
}

/* Takes fd: gives it out as a regular file of *size bytes, or closes it and fails with `status`. */
static gie_status accept_regular(struct gie_context *ctx, const char *path, int fd, gie_status status,
                                 struct stat *st)
{
  if (fstat(fd, st) != 0)
    status = gie_fail(ctx, GIE_E_IO, "%s: %s", path, strerror(errno));
  else if (S_ISDIR(st->st_mode))
    gie_fail(ctx, status, "%s: is a directory; name a file", path);
  else if (!S_ISREG(st->st_mode))
    gie_fail(ctx, status, "%s: is not a regular file", path);
  else if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) != 0)
    status = gie_fail(ctx, GIE_E_IO, "%s: %s", path, strerror(errno));
  else
    return GIE_OK;
  close(fd);
  return status;
}

/* O_NONBLOCK: opening a FIFO without a writer would wait. */
#define READ_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

gie_status gie_file_open(struct gie_context *ctx, const char *path, int *fd, uint64_t *size)
{
  struct stat st;
  int f = open(path, READ_FLAGS);
  if (f < 0)
    return gie_fail(ctx, open_status(errno), "%s: %s", path, strerror(errno));
  GIE_TRY(accept_regular(ctx, path, f, GIE_E_NOINPUT, &st));
  *fd = f;
  *size = (uint64_t)st.st_size;
  return GIE_OK;
}

gie_status gie_file_pread(struct gie_context *ctx, int fd, const char *path, void *buf, size_t size,
                          uint64_t offset)
{
  if (offset > INT64_MAX || size > INT64_MAX - offset)
    return gie_fail(ctx, GIE_E_IO, "%s: offset %llu is beyond any file", path, (unsigned long long)offset);
  for (unsigned char *p = buf; size;) {
    ssize_t n = pread(fd, p, size < (1u << 30) ? size : 1u << 30, (off_t)offset);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return gie_fail(ctx, GIE_E_IO, "%s: %s", path, strerror(errno));
    if (n == 0)
      return gie_fail(ctx, GIE_E_IO, "%s: has become shorter while it was read", path);
    p += n;
    size -= (size_t)n;
    offset += (uint64_t)n;
  }
  return GIE_OK;
}

gie_status gie_file_read(struct gie_context *ctx, const char *path, size_t max, char **data, size_t *size)
{
  int fd;
  uint64_t n;
  GIE_TRY(gie_file_open(ctx, path, &fd, &n));
  char *text = NULL;
  gie_status status = GIE_OK;
  if (n > max || n >= SIZE_MAX)
    status = gie_fail(ctx, GIE_E_LIMIT, "%s: %llu bytes, at most %zu are read", path, (unsigned long long)n,
                      max);
  else if (!(text = gie_alloc_raw(ctx, (size_t)n + 1, 1)))
    status = gie_error_prefix(ctx, GIE_E_MEMORY, "%s", path);
  else
    status = gie_file_pread(ctx, fd, path, text, (size_t)n, 0);
  close(fd);
  if (status != GIE_OK) {
    gie_free(ctx, text);
    return status;
  }
  text[n] = '\0';
  *data = text;
  *size = (size_t)n;
  return GIE_OK;
}

/* ---- Files beside another one
 *
 * The name is followed component by component, each relative to the directory just opened and never
 * through a symlink. So the file is beneath the directory whatever someone renames meanwhile, on any
 * kernel and inside any sandbox (openat2 with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS means the same, but
 * is often filtered). */

static gie_status beside_refused(struct gie_context *ctx, const char *name, const char *why)
{
  return gie_fail(ctx, GIE_E_DATA, "file \"%s\" is refused: %s; put it beside the file that names it", name,
                  why);
}

/* Opens the directory that holds `path`. */
static int open_parent(const char *path)
{
  char dir[PATH_MAX];
  const char *slash = strrchr(path, '/');
  size_t n = slash ? (size_t)(slash - path) + 1 : 2;
  if (n >= sizeof dir) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(dir, slash ? path : "./", n);
  dir[n] = '\0';
  return open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Status and text for a component that could not be opened. */
static gie_status beside_failed(struct gie_context *ctx, const char *name, int dir, const char *part,
                                int error)
{
  struct stat st;
  if (error == ELOOP || (fstatat(dir, part, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode)))
    return beside_refused(ctx, name, "it is or goes through a symbolic link");
  return gie_fail(ctx, open_status(error), "file \"%s\": %s", name, strerror(error));
}

gie_status gie_file_open_beside(struct gie_context *ctx, const char *beside, const char *name, int *fd,
                                uint64_t *size)
{
  char part[NAME_MAX + 1];
  if (!*name || *name == '/')
    return beside_refused(ctx, name, *name ? "the path is absolute" : "the name is empty");
  for (const char *s = name; *s; s += strcspn(s, "/"), s += strspn(s, "/"))
    if (strncmp(s, "..", 2) == 0 && (!s[2] || s[2] == '/'))
      return beside_refused(ctx, name, "the path has a \"..\"");
  int dir = open_parent(beside);
  if (dir < 0)
    return gie_fail(ctx, open_status(errno), "directory of %s: %s", beside, strerror(errno));
  for (const char *s = name;;) {
    size_t n = strcspn(s, "/");
    const char *rest = s + n + strspn(s + n, "/");
    if (n > NAME_MAX) {
      close(dir);
      return beside_refused(ctx, name, "a part of the path is too long");
    }
    memcpy(part, s, n);
    part[n] = '\0';
    bool last = !s[n];
    int f = openat(dir, part, last ? READ_FLAGS | O_NOFOLLOW : O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    gie_status status = f < 0 ? beside_failed(ctx, name, dir, part, errno) : GIE_OK;
    if (status == GIE_OK && !last && !*rest) {
      close(f);
      status = beside_refused(ctx, name, "it is a directory");
    }
    close(dir);
    GIE_TRY(status);
    dir = f;
    s = rest;
    if (last)
      break;
  }
  struct stat st;
  GIE_TRY(accept_regular(ctx, name, dir, GIE_E_DATA, &st));
  if (st.st_nlink != 1) {
    close(dir);
    return beside_refused(ctx, name, "it has another hard link");
  }
  *fd = dir;
  *size = (uint64_t)st.st_size;
  return GIE_OK;
}
