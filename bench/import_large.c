/* SPDX-License-Identifier: Apache-2.0 */
/* Time and memory of importing a large file, against reading it.
 *
 *     import_large FILE [BESIDE]
 *     import_large FILE.prototxt FILE.caffemodel
 *
 * Each measurement is a process of its own: one that reads FILE (and BESIDE, its external data) through one
 * buffer, as cat does, one that reads all of it into memory, and the command `gie inspect FILE` (environment
 * GIE: another command). Every kind runs once to warm the caches (of files, and of pages where a hypervisor
 * hands them out), then five times. The median import must stay below 3 times the median of the faster reading,
 * its memory below 2 times the file; else the exit status is 1. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUNS 5
#define BUFFER ((size_t)1 << 20)
#define MAX_TIME 3.0
#define MAX_MEMORY 2.0

static const char *const *files; /* ended by NULL */

/* ---- What is measured: runs in a child, exit status 0 on success */

static size_t file_size(const char *path)
{
  struct stat st;
  if (stat(path, &st) != 0) {
    fprintf(stderr, "import_large: %s: %s\n", path, strerror(errno));
    exit(66);
  }
  return (size_t)st.st_size;
}

/* Each part of the file into the buffer (keep: behind the part before). */
static int read_file(const char *path, char *buffer, size_t size, bool keep)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = -1;
  for (off_t at = 0; fd >= 0 && (n = pread(fd, buffer, size, at)) > 0; at += n)
    if (keep) {
      buffer += n;
      size -= (size_t)n;
    }
  if (fd >= 0)
    close(fd);
  return n != 0;
}

static int read_through(void)
{
  char *buffer = malloc(BUFFER);
  int failed = !buffer;
  for (int i = 0; !failed && files[i]; i++)
    failed = read_file(files[i], buffer, BUFFER, false);
  free(buffer);
  return failed;
}

static int read_all(void)
{
  int failed = 0;
  for (int i = 0; !failed && files[i]; i++) {
    size_t size = file_size(files[i]);
    char *buffer = malloc(size + 1);
    failed = !buffer || read_file(files[i], buffer, size + 1, true);
    free(buffer);
  }
  return failed;
}

static int import(void)
{
  const char *gie = getenv("GIE");
  int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (null < 0 || dup2(null, STDOUT_FILENO) < 0)
    return 1;
  const char *beside = files[1], *end = beside ? strrchr(beside, '.') : NULL;
  char weights[4096] = "--quiet";
  if (end && strcmp(end, ".caffemodel") == 0)
    snprintf(weights, sizeof weights, "--weights=%s", beside);
  execlp(gie ? gie : "gie", "gie", "inspect", files[0], weights, (char *)NULL);
  fprintf(stderr, "import_large: %s: %s\n", gie ? gie : "gie", strerror(errno));
  return 1;
}

/* ---- Measuring */

struct kind {
  const char *what;
  int (*run)(void);
  double seconds[RUNS + 1], mib[RUNS + 1]; /* the first warms the cache */
};

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void measure(struct kind *k, int i)
{
  struct rusage usage;
  int status = 1;
  double from = now();
  pid_t pid = fork();
  if (pid == 0)
    _exit(k->run());
  if (pid < 0 || wait4(pid, &status, 0, &usage) != pid || status != 0) {
    fprintf(stderr, "import_large: cannot %s (status %d)\n", k->what, status);
    exit(1);
  }
  k->seconds[i] = now() - from;
  k->mib[i] = (double)usage.ru_maxrss / 1024; /* the highest of the child: VmHWM */
}

static int by_value(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *v)
{
  qsort(v + 1, RUNS, sizeof *v, by_value);
  return v[1 + RUNS / 2];
}

int main(int argc, char **argv)
{
  struct kind kinds[] = {{.what = "read it through a buffer of 1 MiB", .run = read_through},
                         {.what = "read it into memory", .run = read_all},
                         {.what = "import it (gie inspect)", .run = import}};
  enum { N_KINDS = sizeof kinds / sizeof kinds[0] };
  double seconds[N_KINDS], mib[N_KINDS], size = 0;
  if (argc < 2 || argc > 3) {
    fprintf(stderr, "Usage: import_large FILE [BESIDE]\n");
    return 64;
  }
  files = (const char *const *)argv + 1;
  for (int i = 0; files[i]; i++)
    size += (double)file_size(files[i]) / (1 << 20);
  for (int k = 0; k < N_KINDS; k++)
    for (int i = 0; i <= RUNS; i++)
      measure(&kinds[k], i);
  printf("%s: %.0f MiB, median of %d (warm cache)\n", files[0], size, RUNS);
  for (int k = 0; k < N_KINDS; k++) {
    seconds[k] = median(kinds[k].seconds);
    mib[k] = median(kinds[k].mib);
    printf("  %-36s %6.3f s (%.3f to %.3f) %8.1f MiB\n", kinds[k].what, seconds[k], kinds[k].seconds[1],
           kinds[k].seconds[RUNS], mib[k]);
  }
  double reading = seconds[0] < seconds[1] ? seconds[0] : seconds[1];
  double times = seconds[2] / reading, memory = mib[2] / size;
  bool good = times < MAX_TIME && memory <= MAX_MEMORY;
  printf("  import: %.2f times the reading (limit %.0f), %.2f times the size in memory (limit %.0f): %s\n",
         times, MAX_TIME, memory, MAX_MEMORY, good ? "held" : "MISSED");
  return !good;
}
