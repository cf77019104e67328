/* SPDX-License-Identifier: Apache-2.0 */
/* What `gie opt` does, in a process that has loaded the modules already, as other optimizers are timed in
 * a Python that has imported them: a model is read from disk, optimized by the default pipeline, checked and
 * written to disk.
 *
 *     in_process [--runs=N] MODEL OUT
 *
 * Prints the medians in milliseconds as JSON. The result is brought to the medium (fsync) before it takes its
 * name; that time, which no other optimizer here spends, is "fsync" and in no other number. */
#include <gie/gie.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_RUNS 1000

enum { LOAD, PASSES, SAVE, FSYNC, ALL, N_PARTS };
static const char *const names[N_PARTS] = {"load", "passes", "save", "fsync", "all"};

static struct gie_context *ctx;
static double times[N_PARTS][MAX_RUNS], in_fsync;

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* Taken before the C library's by everything in this process. */
__attribute__((visibility("default"))) int fsync(int fd)
{
  double from = now();
  int result = (int)syscall(SYS_fsync, fd);
  in_fsync += now() - from;
  return result;
}

static void must(gie_status status)
{
  if (status == GIE_OK)
    return;
  fprintf(stderr, "in_process: %s: %s\n", gie_status_name(status), gie_error_text(ctx));
  exit(gie_status_exit_code(status));
}

static void run(const char *model, const char *out, int i)
{
  /* As the command has it: a model is for any device. */
  const struct gie_pipeline_options options = {.struct_size = sizeof options,
                                               .device_flags = GIE_DEVICE_F16 | GIE_DEVICE_BF16};
  struct gie_graph *g;
  double from = now();
  must(gie_graph_load(ctx, model, NULL, &g));
  double loaded = now();
  must(gie_pipeline_run(g, NULL, &options));
  double passed = now();
  in_fsync = 0;
  must(gie_graph_save(g, out));
  gie_graph_free(g);
  double end = now();
  times[LOAD][i] = loaded - from;
  times[PASSES][i] = passed - loaded;
  times[SAVE][i] = end - passed - in_fsync;
  times[FSYNC][i] = in_fsync;
  times[ALL][i] = end - from - in_fsync;
}

static int by_value(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
  int first = 1, runs = 5;
  if (argc > 1 && strncmp(argv[1], "--runs=", 7) == 0) {
    runs = atoi(argv[1] + 7);
    first = 2;
  }
  if (argc - first != 2 || runs < 1 || runs > MAX_RUNS) {
    fprintf(stderr, "Usage: in_process [--runs=N] MODEL OUT\n");
    return 64;
  }
  must(gie_context_new(NULL, &ctx));
  for (int i = 0; i < runs; i++) {
    unlink(argv[first + 1]);
    run(argv[first], argv[first + 1], i);
  }
  printf("{\"runs\": %d", runs);
  for (int part = 0; part < N_PARTS; part++) {
    qsort(times[part], (size_t)runs, sizeof times[part][0], by_value);
    printf(", \"%s\": %.3f", names[part], times[part][runs / 2]);
  }
  printf("}\n");
  gie_context_free(ctx);
  return 0;
}
