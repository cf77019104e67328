/* SPDX-License-Identifier: Apache-2.0 */
/* Plans in files. An engine that is compiled at run time needs up to seconds for a plan; cuDNN reads the text
 * of one that was made before in a millisecond. Files are found by a hash of what the plan is for and say that in
 * full, with a checksum, so that no other plan and no damaged one is taken. Whatever goes wrong, plans are made
 * again: nothing here fails.
 *
 * A file holds code for the device. It is taken only from a directory and a file that belong to the user and
 * that nobody else can write. */
#include "backends/cudnn/cn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_FILE ((size_t)64 << 20)
#define MAX_FILES 4096
#define OLD (60 * 24 * 3600) /* seconds: what goes when there are too many */
#define SUFFIX ".plan"

/* ---- Where */

/* Beside the timing cache, whose place core/tune/cache_place.c says. */
static bool find_directory(struct gie_context *ctx, char *buf, size_t size)
{
  const char *set = gie_config(ctx, "CACHE"), *base = getenv("XDG_CACHE_HOME"), *below = "";
  int n;
  if (set && strcmp(set, "none") == 0)
    return false;
  if (!base || *base != '/') {
    base = getenv("HOME");
    below = "/.cache";
  }
  if (set && *set)
    n = snprintf(buf, size, "%s.cudnn", set);
  else if (base && *base == '/')
    n = snprintf(buf, size, "%s%s/gie/cudnn", base, below);
  else
    return false;
  return n > 0 && (size_t)n < size;
}

void cn_store_init(struct cn_store *s, struct gie_context *ctx, const char *about)
{
  s->ctx = ctx;
  s->used = *about && find_directory(ctx, s->directory, sizeof s->directory);
  snprintf(s->about, sizeof s->about, "%s", about);
}

static bool is_ours(int fd, bool directory)
{
  struct stat st;
  return fstat(fd, &st) == 0 && (directory ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode)) &&
         st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH));
}

static int open_directory(const struct cn_store *s)
{
  int fd = open(s->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 || is_ours(fd, true))
    return fd;
  gie_log(s->ctx, GIE_LOG_WARN, "cudnn", "%s belongs to or can be written by others; it is not used",
          s->directory);
  close(fd);
  return -1;
}

/* The directory and the one that it is in. */
static void make_directory(const struct cn_store *s)
{
  char parent[sizeof s->directory];
  memcpy(parent, s->directory, sizeof parent);
  char *slash = strrchr(parent, '/');
  if (slash && slash != parent) {
    *slash = 0;
    mkdir(parent, 0700);
  }
  mkdir(s->directory, 0700);
}

/* ---- Names and headers */

static uint64_t hash(uint64_t h, const char *p, size_t n)
{
  for (size_t i = 0; i < n; i++)
    h = (h ^ (unsigned char)p[i]) * 1099511628211u;
  return h ^ h >> 31;
}

static void name_of(const struct cn_store *s, const char *key, char *buf, size_t size)
{
  uint64_t a = hash(hash(1469598103934665603u, s->about, strlen(s->about)), key, strlen(key));
  uint64_t b = hash(hash(a, key, strlen(key)), s->about, strlen(s->about));
  snprintf(buf, size, "%016llx%016llx" SUFFIX, (unsigned long long)a, (unsigned long long)b);
}

/* Header for these bytes; NULL: no memory. */
static char *header_of(const struct cn_store *s, const char *key, const char *bytes, size_t n, size_t *len)
{
  size_t size = strlen(s->about) + strlen(key) + 96;
  char *h = gie_alloc(s->ctx, size, 1);
  if (h)
    *len = (size_t)snprintf(h, size, "gie cudnn plan 1\n%s\n%s\n%zu %016llx\n", s->about, key, n,
                            (unsigned long long)hash(1469598103934665603u, bytes, n));
  return h;
}

/* ---- Reading */

static char *read_all(const struct cn_store *s, int fd, size_t *n)
{
  struct stat st;
  if (!is_ours(fd, false) || fstat(fd, &st) != 0 || st.st_size < 1 || (uint64_t)st.st_size > MAX_FILE)
    return NULL;
  char *bytes = gie_alloc_raw(s->ctx, (size_t)st.st_size, 1);
  size_t at = 0;
  while (bytes && at < (size_t)st.st_size) {
    ssize_t got = read(fd, bytes + at, (size_t)st.st_size - at);
    if (got <= 0)
      break;
    at += (size_t)got;
  }
  if (bytes && at == (size_t)st.st_size)
    return *n = at, bytes;
  gie_free(s->ctx, bytes);
  return NULL;
}

/* Start of what the header `want`s, whose length it does not know: behind the fourth line. */
static size_t body_at(const char *bytes, size_t n)
{
  size_t at = 0;
  for (int line = 0; line < 4; line++) {
    const char *end = memchr(bytes + at, '\n', n - at);
    if (!end)
      return n;
    at = (size_t)(end - bytes) + 1;
  }
  return at;
}

static char *checked_body(const struct cn_store *s, const char *key, char *bytes, size_t n, size_t *size)
{
  size_t at = body_at(bytes, n), len = 0;
  char *want = at < n ? header_of(s, key, bytes + at, n - at, &len) : NULL, *body = NULL;
  if (want && len == at && memcmp(want, bytes, at) == 0 && (body = gie_alloc_raw(s->ctx, n - at, 1))) {
    memcpy(body, bytes + at, n - at);
    *size = n - at;
  }
  gie_free(s->ctx, want);
  return body;
}

char *cn_store_read(const struct cn_store *s, const char *key, size_t *size)
{
  char name[64], *bytes = NULL, *body = NULL;
  size_t n = 0;
  int dir = s->used ? open_directory(s) : -1;
  if (dir < 0)
    return NULL;
  name_of(s, key, name, sizeof name);
  int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd >= 0) {
    bytes = read_all(s, fd, &n);
    close(fd);
  }
  if (bytes)
    body = checked_body(s, key, bytes, n, size);
  gie_free(s->ctx, bytes);
  close(dir);
  return body;
}

/* ---- Writing */

/* Counts the plans; where there are too many the old ones go. */
static uint32_t sweep(int dir)
{
  int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
  uint32_t n = 0;
  time_t now = time(NULL);
  for (int remove = 0; d && remove < 2; remove++) {
    struct dirent *e;
    struct stat st;
    n = 0;
    rewinddir(d);
    while ((e = readdir(d)) != NULL) {
      const char *dot = strrchr(e->d_name, '.');
      if (!dot || (strcmp(dot, SUFFIX) != 0 && strcmp(dot, ".tmp") != 0))
        continue;
      if (remove && fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && now - st.st_mtime > OLD)
        unlinkat(dir, e->d_name, 0);
      else
        n++;
    }
    if (n < MAX_FILES)
      break;
  }
  if (d)
    closedir(d);
  else if (copy >= 0)
    close(copy);
  return n;
}

static bool write_all(int fd, const char *p, size_t n)
{
  while (n > 0) {
    ssize_t put = write(fd, p, n);
    if (put < 0 && errno == EINTR)
      continue;
    if (put <= 0)
      return false;
    p += put;
    n -= (size_t)put;
  }
  return true;
}

/* The checksum tells a file that a crash left half on the disk, so nothing waits for the disk here. */
static void write_file(const struct cn_store *s, int dir, const char *key, const char *text, size_t size)
{
  char name[64], temp[96];
  size_t len;
  char *header = header_of(s, key, text, size, &len);
  name_of(s, key, name, sizeof name);
  snprintf(temp, sizeof temp, ".%s-%ld.tmp", name, (long)getpid());
  int fd = header ? openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
  if (fd >= 0) {
    bool ok = write_all(fd, header, len) && write_all(fd, text, size);
    if (close(fd) != 0 || !ok || renameat(dir, temp, dir, name) != 0)
      unlinkat(dir, temp, 0);
  }
  gie_free(s->ctx, header);
}

void cn_store_write(struct cn_store *s, const char *key, const char *text, size_t size)
{
  if (!s->used || size == 0 || size > MAX_FILE / 2)
    return;
  int dir = open_directory(s);
  if (dir < 0 && errno == ENOENT) {
    make_directory(s);
    dir = open_directory(s);
  }
  if (dir < 0)
    return;
  if (s->n_files == 0)
    s->n_files = sweep(dir);
  if (s->n_files++ < MAX_FILES)
    write_file(s, dir, key, text, size);
  close(dir);
}
