/* SPDX-License-Identifier: Apache-2.0 */
/* The timing cache as a file: reading what may be damaged, and saving beside other processes.
 *
 * Savers take turns by a lock on a file of its own beside the cache, PATH.lock, which is never removed: the
 * cache itself is replaced, so a lock on it would be one on the old file. */
#include "core/tune/cache.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_POLL_NS 10000000
#define TOPIC "cache"

/* ---- Reading */

static gie_status open_failed(struct tune_cache *c, int error)
{
  if (error == ELOOP)
    return gie_fail(c->ctx, GIE_E_PERM, "%s: is a symbolic link; name the file that it points to", c->path);
  gie_status status = error == EACCES || error == EPERM           ? GIE_E_PERM
                      : error == ENOTDIR || error == ENAMETOOLONG ? GIE_E_NOINPUT
                                                                  : GIE_E_IO;
  return gie_fail(c->ctx, status, "%s: %s; name another timing cache", c->path, strerror(error));
}

/* What others may write could make any kernel win. */
static gie_status check_file(struct tune_cache *c, const struct stat *st)
{
  if (!S_ISREG(st->st_mode))
    return gie_fail(c->ctx, GIE_E_NOINPUT, "%s: is not a regular file; name another timing cache", c->path);
  if (st->st_uid != 0 && st->st_uid != geteuid())
    return gie_fail(c->ctx, GIE_E_PERM, "%s: belongs to another user, who could change it; copy it first",
                    c->path);
  if (st->st_mode & (S_IWGRP | S_IWOTH))
    return gie_fail(c->ctx, GIE_E_PERM, "%s: others may write it; take that away with chmod go-w", c->path);
  return GIE_OK;
}

/* Who may write the directory can put another file in the cache's place; in a sticky one only its owner can. A group
 * of its owner's number has no other members, by convention. */
static gie_status check_dir(struct tune_cache *c)
{
  struct stat st;
  const char *slash = strrchr(c->path, '/');
  size_t n = !slash ? 1 : slash == c->path ? 1 : (size_t)(slash - c->path);
  char *dir = gie_alloc(c->ctx, n + 1, 1);
  if (!dir)
    return GIE_E_MEMORY;
  memcpy(dir, slash ? c->path : ".", n);
  int missing = stat(dir, &st);
  gie_free(c->ctx, dir);
  if (missing)
    return GIE_OK; /* there is nothing in it, and why shows when the file is opened or made */
  if (st.st_uid != 0 && st.st_uid != geteuid())
    return gie_fail(c->ctx, GIE_E_PERM,
                    "%s: its directory belongs to another user, who could change it; copy it first", c->path);
  if (!(st.st_mode & S_ISVTX) && (st.st_mode & S_IWOTH || (st.st_mode & S_IWGRP && st.st_gid != st.st_uid)))
    return gie_fail(
        c->ctx, GIE_E_PERM,
        "%s: others may write its directory; take that away with chmod go-w, or name a file elsewhere",
        c->path);
  return GIE_OK;
}

/* The bytes with a NUL behind, or *data NULL where there is no file. */
static gie_status read_bytes(struct tune_cache *c, char **data, size_t *size)
{
  struct stat st;
  *data = NULL;
  *size = 0;
  GIE_TRY(check_dir(c));
  int fd = open(c->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0)
    return errno == ENOENT ? GIE_OK : open_failed(c, errno);
  gie_status status = fstat(fd, &st) == 0 ? check_file(c, &st) : open_failed(c, errno);
  if (status == GIE_OK) {
    /* Of what is too large to be ours the beginning is enough to say so. */
    *size = (uint64_t)st.st_size > CACHE_MAX_FILE ? 1 : (size_t)st.st_size;
    *data = gie_alloc_raw(c->ctx, *size + 1, 1);
    status = *data ? gie_file_pread(c->ctx, fd, c->path, *data, *size, 0) : GIE_E_MEMORY;
  }
  close(fd);
  if (status == GIE_OK) {
    (*data)[*size] = '\0';
    if ((uint64_t)st.st_size > CACHE_MAX_FILE)
      (*data)[0] = '\0';
    return GIE_OK;
  }
  gie_free(c->ctx, *data);
  return status;
}

/* An empty file is an empty cache, and so is one that was cut within our first line. */
static bool is_ours(const char *data, size_t n)
{
  size_t header = sizeof CACHE_HEADER - 1;
  return memcmp(data, CACHE_HEADER, n < header ? n : header) == 0;
}

struct damage {
  size_t lines, first;
  const char *why;
};

static void note_damage(struct damage *d, size_t line, const char *why)
{
  if (!d->lines++) {
    d->first = line;
    d->why = why;
  }
}

static gie_status read_lines(struct tune_cache *c, char *s, char *end, struct damage *d)
{
  struct tune_entry e;
  for (size_t line = 2; s < end; line++) {
    char *stop = memchr(s, '\n', (size_t)(end - s));
    const char *why = stop ? cache_read_line(s, (size_t)(stop - s), &e) : "the end is missing";
    size_t before = c->n_twice;
    if (!why)
      GIE_TRY(cache_add(c, &e, false));
    if (!why && c->n_twice > before)
      why = "the entry has come before";
    if (why)
      note_damage(d, line, why);
    s = stop ? stop + 1 : end;
  }
  return GIE_OK;
}

static gie_status is_foreign(struct tune_cache *c)
{
  if (c->named)
    return gie_fail(c->ctx, GIE_E_DATA,
                    "%s: is no timing cache of this version; its first line is to be \"%.*s\"", c->path,
                    (int)sizeof CACHE_HEADER - 2, CACHE_HEADER);
  gie_log(c->ctx, GIE_LOG_WARN, TOPIC,
          "%s: is no timing cache of this version and stays as it is, what is measured is not kept; name "
          "another file",
          c->path);
  return GIE_OK;
}

gie_status cache_read_text(struct tune_cache *c, char *data, size_t size, bool first, bool *foreign)
{
  size_t header = sizeof CACHE_HEADER - 1;
  struct damage d = {0};
  c->pass++;
  c->n_twice = 0;
  *foreign = !is_ours(data, size);
  if (*foreign)
    return is_foreign(c);
  if (size >= header)
    GIE_TRY(read_lines(c, data + header, data + size, &d));
  else if (size)
    note_damage(&d, 1, "the end is missing");
  c->unsaved |= d.lines > 0;
  if (d.lines && first)
    gie_log(c->ctx, GIE_LOG_WARN, TOPIC,
            "%s: %zu line%s cannot be used (line %zu: %s) and will be measured again", c->path, d.lines,
            d.lines == 1 ? "" : "s", d.first, d.why);
  return GIE_OK;
}

gie_status cache_read_file(struct tune_cache *c, bool first, bool *foreign)
{
  char *data;
  size_t size;
  *foreign = false;
  GIE_TRY(read_bytes(c, &data, &size));
  if (!data)
    return c->named && first ? gie_fail(c->ctx, GIE_E_NOINPUT, "%s: there is no such file", c->path) : GIE_OK;
  gie_status status = cache_read_text(c, data, size, first, foreign);
  gie_free(c->ctx, data);
  return status;
}

/* ---- The lock */

static double seconds_now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static gie_status lock_failed(struct tune_cache *c, const char *path, int error)
{
  gie_status status = error == ENOSPC || error == EDQUOT || error == EIO ? GIE_E_IO
                      : error == ELOOP                                   ? GIE_E_PERM
                                                                         : GIE_E_CREATE;
  return gie_fail(c->ctx, status, "%s: %s; the timing cache is not saved", path, strerror(error));
}

/* Waits for the lock on fd; false: somebody else has had it all the time. A file system without locks
 * cannot do better than to go on. */
static bool wait_lock(const struct tune_cache *c, int fd)
{
  double until = seconds_now() + c->lock_wait;
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return true;
    if (seconds_now() >= until)
      return false;
    nanosleep(&(struct timespec){0, LOCK_POLL_NS}, NULL);
  }
  return true;
}

static gie_status open_lock(struct tune_cache *c, char **path, int *fd)
{
  size_t n = strlen(c->path) + sizeof ".lock";
  *path = gie_alloc(c->ctx, n, 1);
  if (!*path)
    return GIE_E_MEMORY;
  snprintf(*path, n, "%s.lock", c->path);
  *fd = open(*path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
  return *fd < 0 ? lock_failed(c, *path, errno) : GIE_OK;
}

/* *fd < 0: nobody gave the lock up in time. */
static gie_status take_lock(struct tune_cache *c, int *fd)
{
  char *path;
  gie_status status = open_lock(c, &path, fd);
  if (status == GIE_OK && !wait_lock(c, *fd)) {
    static const char text[] =
        "%s: another process holds the lock for over %g s, nothing is saved; end that process";
    if (c->named)
      status = gie_fail(c->ctx, GIE_E_IO, text, path, c->lock_wait);
    else
      gie_log(c->ctx, GIE_LOG_WARN, TOPIC, text, path, c->lock_wait);
    close(*fd);
    *fd = -1;
  }
  gie_free(c->ctx, path);
  return status;
}

/* ---- Saving */

/* The directory of the default path, and the one above it. That they cannot be made shows at the lock. */
static void make_dirs(struct tune_cache *c)
{
  char *slash = strrchr(c->path, '/'), *above;
  *slash = '\0';
  if ((above = strrchr(c->path, '/')) && above > c->path) {
    *above = '\0';
    (void)mkdir(c->path, 0700);
    *above = '/';
  }
  (void)mkdir(c->path, 0700);
  *slash = '/';
}

static gie_status write_lines(struct tune_cache *c, struct gie_save *s)
{
  enum { PIECE = 1 << 16 };
  struct gie_buf b;
  struct tune_entry e;
  gie_status status = GIE_OK;
  gie_buf_init(&b, c->ctx);
  gie_buf_puts(&b, CACHE_HEADER);
  for (size_t i = 0; status == GIE_OK && tune_cache_at(c, i, &e); i++) {
    cache_put_line(&b, &e);
    status = b.status;
    if (status == GIE_OK && b.len >= PIECE) {
      status = gie_save_write(s, b.data, b.len);
      b.len = 0;
    }
  }
  if (status == GIE_OK && (status = b.status) == GIE_OK)
    status = gie_save_write(s, b.data, b.len);
  gie_buf_free(&b);
  return status;
}

static gie_status replace_file(struct tune_cache *c)
{
  struct gie_save s;
  GIE_TRY(gie_save_begin(c->ctx, c->path, &s));
  gie_status status = write_lines(c, &s);
  if (status == GIE_OK)
    return gie_save_commit(&s);
  gie_save_abort(&s);
  return status;
}

/* Under the lock. A new file is made first, because the replacement takes over the old one's mode. */
static gie_status save_union(struct tune_cache *c)
{
  bool foreign;
  GIE_TRY(cache_read_file(c, false, &foreign));
  if (foreign)
    return GIE_OK;
  int made = open(c->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (made >= 0)
    close(made);
  gie_status status = replace_file(c);
  struct stat st;
  if (status != GIE_OK && made >= 0 && lstat(c->path, &st) == 0 && st.st_size == 0)
    unlink(c->path); /* not replaced */
  GIE_TRY(status);
  for (size_t i = 0; i < c->n_items; i++)
    c->items[i].fresh = false;
  c->unsaved = false;
  return GIE_OK;
}

gie_status tune_cache_save(struct tune_cache *c)
{
  int fd;
  if (!c->path || c->read_only || !c->unsaved)
    return GIE_OK;
  if (c->make_dir)
    make_dirs(c);
  GIE_TRY(take_lock(c, &fd));
  if (fd < 0)
    return GIE_OK;
  gie_status status = save_union(c);
  close(fd);
  return status;
}

gie_status tune_cache_try(struct tune_cache *c)
{
  char *path;
  int fd;
  if (!c->path || c->read_only)
    return GIE_OK;
  if (c->make_dir)
    make_dirs(c);
  gie_status status = open_lock(c, &path, &fd);
  gie_free(c->ctx, path);
  if (status == GIE_OK)
    close(fd);
  return status;
}
