/* SPDX-License-Identifier: Apache-2.0 */
/* Detection layers against the recorded results of OpenCV's dnn module (records/, made by record_opencv.py). OpenCV gives
 * as many detections as there are, by score; here they are by class, and empty rows follow. GIE_TEST_DEVICE=cuda: on that
 * kind of device. */
#include "tests/records.h"
#include <math.h>
#include <unistd.h>

#define TOLERANCE 1e-5 /* r of max|a-b| <= r * max|b| */
#define MAX_VALUES 8192

static const char *const records[] = {
    "prior_box",     "prior_box_clip", "detection_shared", "detection_sets", "detection_batch", "roi_pooling",
    "psroi_pooling", "proposal",       "normalize",        "normalize_all",  "permute",         "yolo",
};

struct record {
  struct gie_context *ctx;
  struct gie_graph *g;
  struct gie_exec *x;
  FILE *f;
  const char *name;
  int64_t step; /* every how many rows are recorded */
};

/* The network in the record, which may be gie text. */
static void load(struct record *r, const char *header)
{
  static const char *const options[] = {"random_weights=1", NULL};
  char path[64] = "/tmp/gie-detection-XXXXXX", line[4096];
  int lines;
  ck_assert_int_eq(sscanf(header, "net %d", &lines), 1);
  ck_assert_ptr_nonnull(mkdtemp(path));
  size_t n = strlen(path);
  for (int i = 0; i < lines; i++) {
    ck_assert_ptr_nonnull(fgets(line, sizeof line, r->f));
    if (i == 0)
      snprintf(path + n, sizeof path - n, "/net.%s", strncmp(line, "graph", 5) == 0 ? "gie" : "prototxt");
    FILE *to = fopen(path, i ? "a" : "w");
    ck_assert_ptr_nonnull(to);
    fputs(line, to);
    fclose(to);
  }
  ck_gie_ok(r->ctx, gie_graph_load(r->ctx, path, options, &r->g));
  unlink(path);
  path[n] = 0;
  rmdir(path);
  const struct gie_exec_options on = {.struct_size = sizeof on, .device = getenv("GIE_TEST_DEVICE")};
  ck_gie_ok(r->ctx, gie_exec_new(r->g, &on, &r->x));
}

static int64_t parse_dims(const char *text, struct gie_tensor *t)
{
  int64_t count = 1;
  t->rank = 0;
  for (char *end; *text; text = *end ? end + 1 : end)
    count *= t->dim[t->rank++] = strtoll(text, &end, 10);
  return count;
}

/* The numbers of record_opencv.py. */
static double uniform(uint64_t seed, uint64_t i)
{
  uint64_t z = seed + (i + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return (double)((z ^ (z >> 31)) >> 40) / (1 << 24);
}

static void feed(struct record *r, char *line)
{
  char name[64], dims[64];
  double scale, offset;
  int at, seed;
  struct gie_tensor t = {.struct_size = sizeof t, .dtype = GIE_F32};
  ck_assert_int_eq(sscanf(line, "input %63s %63s %n", name, dims, &at), 2);
  int64_t n = parse_dims(dims, &t);
  float *data = calloc((size_t)n, sizeof *data);
  ck_assert_ptr_nonnull(data);
  bool is_random = sscanf(line + at, "seed %d scale %lf offset %lf", &seed, &scale, &offset) == 3;
  char *next = line + at + strlen("values");
  for (int64_t i = 0; i < n; i++)
    data[i] = is_random ? (float)(uniform((uint64_t)seed, (uint64_t)i) * scale + offset)
                        : strtof(next, &next);
  t.data = data;
  ck_gie_ok(r->ctx, gie_exec_set_input(r->x, name, &t));
  free(data);
}

/* By image and class, best first. */
static int by_class(const void *a, const void *b)
{
  const float *x = a, *y = b;
  return x[0] != y[0]   ? (x[0] > y[0]) - (x[0] < y[0])
         : x[1] != y[1] ? (x[1] > y[1]) - (x[1] < y[1])
                        : (x[2] < y[2]) - (x[2] > y[2]);
}

static void compare_values(const struct record *r, const char *name, const float *got, const float *want,
                           int64_t n, int64_t width)
{
  double peak = 0, worst = 0;
  for (int64_t i = 0; i < n; i++)
    peak = fmax(peak, fabs((double)want[i]));
  for (int64_t i = 0; i < n; i++) {
    int64_t row = i / width * r->step;
    double error = fabs((double)got[row * width + i % width] - (double)want[i]);
    ck_assert_msg(error <= TOLERANCE * peak, "%s %s: element %lld is %g instead of %g", r->name, name,
                  (long long)i, (double)got[row * width + i % width], (double)want[i]);
    worst = fmax(worst, error);
  }
  printf("%s: %s max|a-b|/max|b| = %.1e over %lld numbers\n", r->name, name, worst / peak, (long long)n);
}

/* Scores have the classes first here and last in the record. */
static void classes_last(const struct gie_tensor *t, float *out)
{
  for (int64_t c = 0; c < t->dim[1]; c++)
    for (int64_t i = 0; i < t->dim[2]; i++)
      out[i * t->dim[1] + c] = ((const float *)t->data)[c * t->dim[2] + i];
}

static void compare(struct record *r, const char *line)
{
  static float want[MAX_VALUES], turned[2 * MAX_VALUES];
  char name[64], dims[64], number[64];
  struct gie_tensor t = {.struct_size = sizeof t}, got = {.struct_size = sizeof got};
  ck_assert_int_eq(sscanf(line, "output %63s %63s", name, dims), 2);
  int64_t n = parse_dims(dims, &t);
  ck_assert_int_le(n, MAX_VALUES);
  for (int64_t i = 0; i < n; i++) {
    ck_assert_ptr_nonnull(fgets(number, sizeof number, r->f));
    want[i] = strtof(number, NULL);
  }
  ck_gie_ok(r->ctx, gie_exec_output(r->x, name, &got));
  const float *data = got.data;
  if (strncmp(r->name, "detection", 9) == 0) {
    int64_t rows = got.dim[2];
    qsort(want, (size_t)n / 7, 7 * sizeof *want, by_class);
    ck_assert_int_ge(rows, n / 7);
    for (int64_t i = n / 7; i < rows; i++)
      ck_assert_msg(data[7 * i] == -1, "row %lld is no empty one", (long long)i);
  } else if (strcmp(name, "scores") == 0) {
    classes_last(&got, turned);
    data = turned;
  } else if (r->step == 1) {
    ck_assert_int_eq(got.rank, t.rank);
    for (int i = 0; i < t.rank; i++)
      ck_assert_int_eq(got.dim[i], t.dim[i]);
  }
  compare_values(r, name, data, want, n, t.dim[t.rank - 1]);
}

START_TEST(test_records)
{
  char path[4096], line[4096];
  struct record r = {.name = records[_i], .step = 1};
  bool has_run = false;
  snprintf(path, sizeof path, "%s/tests/detection/records/%s.txt", records_source(), r.name);
  r.f = fopen(path, "r");
  ck_assert_ptr_nonnull(r.f);
  ck_assert_int_eq(gie_context_new(NULL, &r.ctx), GIE_OK);
  while (fgets(line, sizeof line, r.f)) {
    if (strncmp(line, "net ", 4) == 0) {
      load(&r, line);
    } else if (strncmp(line, "input ", 6) == 0) {
      feed(&r, line);
    } else if (sscanf(line, "rows %lld", (long long *)&r.step) != 1 && strncmp(line, "output ", 7) == 0) {
      if (!has_run)
        ck_gie_ok(r.ctx, gie_exec_run(r.x));
      has_run = true;
      compare(&r, line);
    }
  }
  ck_assert(has_run);
  fclose(r.f);
  gie_exec_free(r.x);
  gie_graph_free(r.g);
  gie_context_free(r.ctx);
}
END_TEST

int main(void)
{
  return records_main("detection records", test_records, sizeof records / sizeof *records, NULL);
}
