/* SPDX-License-Identifier: Apache-2.0 */
/* The cuda device: memory, copies, streams, events, graphs, peaks. Without one: that this is said, and skipped. */
#include "tests/gie_check.h"

#include <stdlib.h>

static struct gie_context *ctx;
static const struct gie_device *ops;
static void *dev;

static char logged[256];

static void keep_log(void *user, enum gie_log_level level, const char *module, const char *text)
{
  (void)user, (void)level;
  if (strcmp(module, "cuda") == 0)
    snprintf(logged, sizeof logged, "%s", text);
}

START_TEST(info)
{
  struct gie_device_info i;
  void *other;
  ck_gie_ok(ctx, ops->info(dev, &i));
  printf("%s, %s, %u units, %.1f GB\n", i.name, i.version, (unsigned)i.units, (double)i.memory / 1e9);
  ck_assert(i.flags & GIE_DEVICE_F16);
  ck_assert(!(i.flags & GIE_DEVICE_HOST));
  ck_assert(i.units > 0 && i.memory > 0 && strstr(i.version, "sm_"));
  ck_gie(ctx, ops->open(ctx, 1000, &other), GIE_E_DEVICE);
  ck_gie(ctx, ops->open(ctx, -1, &other), GIE_E_DEVICE);
}
END_TEST

START_TEST(memory)
{
  enum { N = 1 << 20 };
  char *a = malloc(N), *b = malloc(N);
  void *p, *q, *stream, *huge;
  ck_assert(a && b);
  for (int i = 0; i < N; i++)
    a[i] = (char)(i * 7);
  ck_gie_ok(ctx, ops->alloc(dev, N, &p));
  ck_gie_ok(ctx, ops->alloc(dev, N, &q));
  ck_assert_uint_eq((uintptr_t)p % 256, 0);
  ck_gie_ok(ctx, ops->stream_new(dev, &stream));
  ck_gie_ok(ctx, ops->copy(dev, p, a, N, GIE_COPY_TO_DEVICE, stream));
  ck_gie_ok(ctx, ops->copy(dev, q, p, N, GIE_COPY_ON_DEVICE, stream));
  ck_gie_ok(ctx, ops->copy(dev, b, q, N, GIE_COPY_TO_HOST, stream));
  ck_gie_ok(ctx, ops->copy(dev, b, q, 0, GIE_COPY_TO_HOST, stream));
  ck_gie_ok(ctx, ops->sync(dev, stream));
  ck_assert_mem_eq(a, b, N);
  ck_gie(ctx, ops->alloc(dev, SIZE_MAX / 2, &huge), GIE_E_MEMORY);
  ck_assert_msg(strstr(gie_error_text(ctx), "out of device memory") != NULL, "%s", gie_error_text(ctx));
  ck_gie_ok(ctx, ops->alloc(dev, 0, &huge));
  ops->free(dev, huge);
  ops->free(dev, NULL);
  ops->free(dev, p);
  ops->free(dev, q);
  ops->stream_free(dev, stream);
  free(a);
  free(b);
}
END_TEST

/* A graph of two copies is launched three times; events tell its time. */
START_TEST(graphs)
{
  enum { N = 1 << 22 };
  void *p, *q, *r, *stream, *other, *graph, *from, *to;
  char *host = malloc(N);
  double seconds = -1;
  ck_assert_ptr_nonnull(host);
  memset(host, 0x5b, N);
  ck_gie_ok(ctx, ops->alloc(dev, N, &p));
  ck_gie_ok(ctx, ops->alloc(dev, N, &q));
  ck_gie_ok(ctx, ops->alloc(dev, N, &r));
  ck_gie_ok(ctx, ops->stream_new(dev, &stream));
  ck_gie_ok(ctx, ops->stream_new(dev, &other));
  ck_gie_ok(ctx, ops->event_new(dev, &from));
  ck_gie_ok(ctx, ops->event_new(dev, &to));
  ck_gie_ok(ctx, ops->copy(dev, p, host, N, GIE_COPY_TO_DEVICE, other));
  ck_gie_ok(ctx, ops->event_record(dev, from, other));
  ck_gie_ok(ctx, ops->event_wait(dev, from, stream));
  ck_gie(ctx, ops->capture_begin(dev, NULL), GIE_E_USAGE);
  ck_gie_ok(ctx, ops->capture_begin(dev, stream));
  ck_gie_ok(ctx, ops->copy(dev, q, p, N, GIE_COPY_ON_DEVICE, stream));
  ck_gie_ok(ctx, ops->copy(dev, r, q, N, GIE_COPY_ON_DEVICE, stream));
  ck_gie_ok(ctx, ops->capture_end(dev, stream, &graph));
  ck_gie_ok(ctx, ops->event_record(dev, from, stream));
  for (int i = 0; i < 3; i++)
    ck_gie_ok(ctx, ops->capture_launch(dev, graph, stream));
  ck_gie_ok(ctx, ops->event_record(dev, to, stream));
  ck_gie_ok(ctx, ops->event_elapsed(dev, from, to, &seconds));
  ck_assert(seconds > 0 && seconds < 1);
  memset(host, 0, N);
  ck_gie_ok(ctx, ops->copy(dev, host, r, N, GIE_COPY_TO_HOST, stream));
  ck_gie_ok(ctx, ops->sync(dev, stream));
  for (int i = 0; i < N; i++)
    ck_assert_int_eq(host[i], 0x5b);
  ops->capture_free(dev, graph);
  ops->event_free(dev, from);
  ops->event_free(dev, to);
  ops->stream_free(dev, stream);
  ops->stream_free(dev, other);
  ops->free(dev, p);
  ops->free(dev, q);
  ops->free(dev, r);
  free(host);
}
END_TEST

/* Measured once; the second call gives the same numbers. */
START_TEST(peaks)
{
  struct gie_peaks p, again;
  double joules;
  ck_gie_ok(ctx, ops->peaks(dev, &p));
  printf(
      "copy %.2f TB/s, in the cache %.2f TB/s (%.0f MB), f32 %.1f, f16 %.0f, tf32 %.0f TFLOP/s, i8 %.0f TOP/s, launch %.2f us\n",
      p.bytes_per_s / 1e12, p.cache_bytes_per_s / 1e12, p.cache_bytes / 1e6, p.f32_flop_per_s / 1e12,
      p.f16_flop_per_s / 1e12, p.tf32_flop_per_s / 1e12, p.i8_op_per_s / 1e12, p.launch_s * 1e6);
  ck_assert(p.bytes_per_s > 1e10 && p.bytes_per_s < 1e14);
  ck_assert(p.f32_flop_per_s > 1e11 && p.f16_flop_per_s > p.f32_flop_per_s);
  ck_assert(p.launch_s > 1e-7 && p.launch_s < 1e-4);
  ck_gie_ok(ctx, ops->peaks(dev, &again));
  ck_assert_mem_eq(&p, &again, sizeof p);
  gie_status st = ops->energy(dev, &joules);
  ck_assert_msg(st == GIE_OK || st == GIE_E_UNSUPPORTED, "%s", gie_error_text(ctx));
  if (st == GIE_OK)
    printf("energy counter %.0f J\n", joules);
}
END_TEST

int main(void)
{
  const struct gie_device *d;
  struct gie_context_options options = {.struct_size = sizeof options, .log = keep_log};
  setenv("GIE_LOG", "info", 1);
  if (gie_context_new(&options, &ctx) != GIE_OK)
    return 1;
  for (uint32_t i = 0; (d = gie_device_at(ctx, i)) != NULL; i++)
    if (strcmp(d->kind, "cuda") == 0)
      ops = d;
  if (!ops) {
    printf("the cuda backend is not loaded; is GIE_MODULE_PATH set?\n");
    return 1;
  }
  if (ops->count(ctx) == 0) {
    if (strstr(logged, "no CUDA device") == NULL || ops->open(ctx, 0, &dev) != GIE_E_DEVICE) {
      printf("not said: \"%s\", \"%s\"\n", logged, gie_error_text(ctx));
      return 1;
    }
    printf("needs a device of kind cuda: skipped (%s)\n", logged);
    return 77;
  }
  if (ops->open(ctx, 0, &dev) != GIE_OK) {
    printf("%s\n", gie_error_text(ctx));
    return 1;
  }
  const TTest *const tests[] = {info, memory, graphs, peaks};
  int failed = check_on_device("cuda device", tests, sizeof tests / sizeof *tests);
  ops->close(dev);
  return failed;
}
