/* SPDX-License-Identifier: Apache-2.0 */
/* Runs on a device with memory of its own: streams, captures, pinned copies, events, faults; on the device "far",
 * which does nothing before it is waited for. */
#include "tests/run/mock.h"

static struct mock *far_kernel(const struct gie_device *d)
{
  mock_register_device(ctx, d);
  struct mock *m = kernel_on("far", "far.any");
  kernel("a.any");
  return m;
}

static const struct gie_exec_options on_far = {.struct_size = sizeof on_far, .device = "far"};

/* Two branches behind a relu and their sum; the constants lie on the device. */
static const char NET[] =
    "graph \"g\" (n) { input %x : f32[n,2] const %k : f32[2] = {1, -100} %a = relu(%x) %p = add(%a, %k)"
    " %q = add(%a, %a) %y = add(%p, %q) output %y output %q }";

static void run_net(struct gie_exec *x, int n, float first)
{
  float in[16], y[16], q[16];
  for (int i = 0; i < 2 * n; i++) {
    in[i] = first + (float)i;
    float a = in[i] > 0 ? in[i] : 0;
    q[i] = 2 * a;
    y[i] = a + (i % 2 ? -100 : 1) + q[i];
  }
  ck_gie_ok(ctx, set(x, "x", in, 2, n, 2, 0, 0));
  ck_gie_ok(ctx, gie_exec_run(x));
  expect(x, "y", y, 2 * n);
  expect(x, "q", q, 2 * n);
}

static struct gie_run_times times(struct gie_exec *x)
{
  struct gie_run_times t = {.struct_size = sizeof t};
  ck_gie_ok(ctx, gie_exec_times(x, &t));
  return t;
}

/* ---- Captures ---------------------------------------------------------------------------------- */

/* Once by hand, then captured; every set of addresses is captured once. */
START_TEST(test_capture)
{
  struct mock *m = far_kernel(&mock_far);
  struct gie_exec *x;
  m->workspace = 512;
  ck_gie_ok(ctx, try_exec(NET, &on_far, &x));
  run_net(x, 2, -1);
  ck_assert_int_eq(m->runs, 4);
  ck_assert_int_eq(far.captures, 0);
  ck_assert(!times(x).replayed);
  int syncs = far.syncs;
  for (int i = 0; i < 3; i++) {
    run_net(x, 2, (float)i);
    ck_assert(times(x).replayed);
  }
  ck_assert_int_eq(far.captures, 1);
  ck_assert_int_eq(far.replays, 3);
  ck_assert_int_eq(m->runs, 8);
  ck_assert_int_eq(far.syncs - syncs, 3); /* one per run */
  run_net(x, 7, 1);                       /* another specialization; the arena moves */
  run_net(x, 7, 2);
  ck_assert_int_eq(far.captures, 2);
  run_net(x, 2, 3); /* with the new addresses */
  ck_assert(times(x).replayed);
  ck_assert_int_eq(far.captures, 3);
  run_net(x, 7, 3);
  run_net(x, 2, 4);
  ck_assert_int_eq(far.captures, 3);
  ck_assert(!m->bad_address);
  gie_exec_free(x);
}
END_TEST

START_TEST(test_no_capture)
{
  struct mock *m = far_kernel(&mock_far);
  struct gie_exec *x;
  m->no_capture = true;
  ck_gie_ok(ctx, try_exec(NET, &on_far, &x));
  for (int i = 0; i < 3; i++)
    run_net(x, 3, (float)i);
  ck_assert_int_eq(far.captures, 0);
  gie_exec_free(x);
  m->no_capture = false;
  far.fail_capture = true; /* tried once */
  ck_gie_ok(ctx, try_exec(NET, &on_far, &x));
  for (int i = 0; i < 4; i++)
    run_net(x, 3, (float)i);
  ck_assert_int_eq(far.captures, 1);
  ck_assert_int_eq(far.replays, 0);
  ck_assert(!times(x).replayed);
  gie_exec_free(x);
  static const char *const one_by_one[] = {"GRAPH=0", NULL};
  teardown();
  with_config(one_by_one);
  far_kernel(&mock_far);
  ck_gie_ok(ctx, try_exec(NET, &on_far, &x));
  for (int i = 0; i < 3; i++)
    run_net(x, 3, (float)i);
  ck_assert_int_eq(far.captures, 0);
  gie_exec_free(x);
}
END_TEST

static gie_status look(void *user, const struct gie_watched *w)
{
  float *sum = user;
  for (int i = 0; i < 4; i++)
    *sum += ((const float *)w->tensor->data)[i];
  return GIE_OK;
}

/* Who profiles or watches sees single launches, with the device's times. */
START_TEST(test_profile_and_watch)
{
  struct mock *m = far_kernel(&mock_far);
  struct gie_exec_options o = {.struct_size = sizeof o, .device = "far", .profile = true};
  struct gie_node_profile p;
  struct gie_exec *x;
  float sum = 0;
  m->seconds = 5e-4;
  ck_gie_ok(ctx, try_exec(NET, &o, &x));
  for (int i = 0; i < 3; i++)
    run_net(x, 2, (float)i);
  ck_assert_int_eq(far.captures, 0);
  for (uint32_t i = 0; i < 4; i++) {
    ck_assert(gie_exec_profile(x, i, &p));
    ck_assert_msg(p.seconds > 4.9e-4 && p.seconds < 5.1e-4, "%g", p.seconds);
    ck_assert_msg(p.start >= 5e-4 * i && p.start < 5e-4 * i + 1e-4, "%g", p.start);
  }
  struct gie_run_times t = times(x);
  ck_assert_msg(t.compute > 1.9e-3 && t.compute < 2.1e-3 && t.device == t.compute, "%g", t.compute);
  ck_assert(t.upload > 0 && t.download > 0 && t.upload < 1e-4);
  gie_exec_free(x);
  ck_gie_ok(ctx, try_exec(NET, &on_far, &x));
  run_net(x, 2, 0);
  gie_exec_watch(x, look, &sum);
  run_net(x, 2, 0);
  ck_assert_float_eq(sum, 6 + (6 + 2 - 200) + 12 + (18 + 2 - 200));
  gie_exec_watch(x, NULL, NULL);
  run_net(x, 2, 0);
  ck_assert_int_eq(far.captures, 1);
  gie_exec_free(x);
}
END_TEST

/* A device with nothing but memory and copies. */
START_TEST(test_bare)
{
  struct mock *m = far_kernel(&mock_far_bare);
  struct gie_exec_options o = {.struct_size = sizeof o, .device = "far:7"};
  struct gie_exec *x;
  double seconds;
  ck_gie(ctx, try_exec(NET, &o, &x), GIE_E_DEVICE);
  ck_gie_ok(ctx, try_exec(NET, &on_far, &x));
  for (int i = 0; i < 3; i++)
    run_net(x, 2, (float)i);
  ck_assert_int_eq(m->runs, 12);
  ck_assert(times(x).compute > 0 && times(x).device == 0);
  ck_gie_ok(ctx, gie_exec_repeat(x, 2, &seconds));
  ck_assert(seconds > 0);
  gie_exec_free(x);
}
END_TEST

/* ---- Streams ----------------------------------------------------------------------------------- */

static const char STREAMS[] =
    "graph \"g\" (n) { input %x : f32[n,2] %a = relu(%x) %b = add(%a, %a) !{stream=1} %c = add(%b, %a) !{stream=1}"
    " %d = add(%a, %x) !{stream=2} %e = add(%d, %d) !{stream=2} %f = add(%x, %x) %g = add(%f, %c) %h = add(%g, %e) !{stream=2}"
    " %y = add(%h, %f) output %y output %b }";

START_TEST(test_streams)
{
  struct mock *m = far_kernel(&mock_far);
  struct gie_node_profile p;
  struct gie_exec *x;
  ck_gie_ok(ctx, try_exec(STREAMS, &on_far, &x));
  for (int run = 0; run < 4; run++) {
    float in[6], y[6], b[6];
    for (int i = 0; i < 6; i++) {
      float v = in[i] = (float)(i * 3 - 5 + run), a = v > 0 ? v : 0;
      b[i] = 2 * a;
      y[i] = 2 * v + 3 * a + 2 * (a + v) + 2 * v;
    }
    ck_gie_ok(ctx, set(x, "x", in, 2, 3, 2, 0, 0));
    ck_gie_ok(ctx, gie_exec_run(x));
    expect(x, "y", y, 6);
    expect(x, "b", b, 6);
  }
  ck_assert_int_eq(far.captures, 1);
  ck_assert_int_eq(far.replays, 3);
  ck_assert(gie_exec_profile(x, 1, &p));
  ck_assert_int_eq(p.stream, 1);
  ck_assert(gie_exec_profile(x, 7, &p));
  ck_assert_int_eq(p.stream, 2);
  ck_assert(!m->bad_address);
  gie_exec_free(x);
}
END_TEST

/* Random graphs with random streams: what is computed does not depend on them. */
START_TEST(test_random_streams)
{
  far_kernel(&mock_far);
  unsigned rnd = 7;
  for (int round = 0; round < 40; round++) {
    char text[4096], *at = text, *end = text + sizeof text;
    float v[24][2] = {{0.5f, -1}};
    at += snprintf(at, (size_t)(end - at), "graph \"g\" { input %%v0 : f32[2]");
    for (int i = 1; i < 20; i++) {
      unsigned a = (rnd = rnd * 1664525 + 1013904223) >> 8, b = (rnd = rnd * 1664525 + 1013904223) >> 8,
               s = (rnd = rnd * 1664525 + 1013904223) >> 8;
      a %= (unsigned)i, b %= (unsigned)i;
      bool relu = s % 3 == 0;
      if (relu)
        at += snprintf(at, (size_t)(end - at), " %%v%d = relu(%%v%u) !{stream=%u}", i, a, s / 3 % 4);
      else
        at += snprintf(at, (size_t)(end - at), " %%v%d = add(%%v%u, %%v%u) !{stream=%u}", i, a, b, s / 3 % 4);
      for (int k = 0; k < 2; k++)
        v[i][k] = relu ? (v[a][k] > 0 ? v[a][k] : 0) : v[a][k] + v[b][k];
    }
    snprintf(at, (size_t)(end - at), " output %%v19 output %%v11 }");
    struct gie_exec *x;
    ck_gie_ok(ctx, try_exec(text, &on_far, &x));
    for (int run = 0; run < 3; run++) {
      ck_gie_ok(ctx, set(x, "v0", v[0], 1, 2, 0, 0, 0));
      ck_gie_ok(ctx, gie_exec_run(x));
      expect(x, "v19", v[19], 2);
      expect(x, "v11", v[11], 2);
    }
    gie_exec_free(x);
  }
}
END_TEST

/* ---- Repeated runs, faults --------------------------------------------------------------------- */

START_TEST(test_repeat)
{
  struct mock *m = far_kernel(&mock_far);
  struct gie_exec *x;
  double seconds;
  m->seconds = 1e-3;
  ck_gie_ok(ctx, try_exec(NET, &on_far, &x));
  ck_gie(ctx, gie_exec_repeat(x, 3, &seconds), GIE_E_USAGE);
  run_net(x, 2, 1);
  uint64_t in = far.to_device, out = far.to_host;
  ck_gie_ok(ctx, gie_exec_repeat(x, 10, &seconds));
  ck_assert_msg(seconds > 3.99e-2 && seconds < 4.01e-2, "%g", seconds);
  ck_assert_int_eq(far.replays, 10);
  ck_assert_uint_eq(far.to_device, in);
  ck_assert_uint_eq(far.to_host, out);
  run_net(x, 2, 5);
  gie_exec_free(x);
}
END_TEST

START_TEST(test_faults)
{
  struct mock *m = far_kernel(&mock_far);
  struct gie_exec *x;
  ck_gie_ok(ctx, try_exec(NET, &on_far, &x));
  run_net(x, 2, 1);
  m->fail_run = GIE_E_DEVICE; /* the capture fails, then the launch: its node is named */
  ck_gie(ctx, gie_exec_run(x), GIE_E_DEVICE);
  HAS("node 0 \"a\" (relu), kernel far.any: the mock was told to fail");
  m->fail_run = GIE_OK;
  run_net(x, 2, 2);
  far.fail_sync = true;
  ck_gie(ctx, gie_exec_run(x), GIE_E_DEVICE);
  HAS("some node of the run, GIE_SYNC=1 says which");
  far.fail_sync = false;
  gie_exec_free(x);
  static const char *const sync[] = {"SYNC=1", NULL};
  teardown();
  with_config(sync);
  far_kernel(&mock_far);
  ck_gie_ok(ctx, try_exec(NET, &on_far, &x));
  run_net(x, 2, 2);
  far.fail_sync = true;
  ck_gie(ctx, gie_exec_run(x), GIE_E_DEVICE);
  HAS("node 0 \"a\" (relu), kernel far.any: the far device lost its way");
  far.fail_sync = false;
  gie_exec_free(x);
}
END_TEST

/* Every single allocation of the device fails once: one clear line, nothing leaks, and it works when there is memory. */
START_TEST(test_no_memory)
{
  struct mock *m = far_kernel(&mock_far);
  m->workspace = 256;
  m->pack_key = "t";
  const char *text =
      "graph \"g\" { input %x : f32[2,2] const %w : f32[2,2] = {1, 2, 3, 4} const %k : f32[2] = {1, 2}"
      " %m = matmul(%x, %w) %y = add(%m, %k) output %y }";
  const float in[] = {1, 2, 3, 4}, y[] = {8, 12, 16, 24};
  int failures = 0;
  for (long n = 0;; n++) {
    struct gie_exec *x = NULL;
    far.fail_after = n;
    gie_status st = try_exec(text, &on_far, &x);
    if (st == GIE_OK)
      st = set(x, "x", in, 2, 2, 2, 0, 0);
    if (st == GIE_OK)
      st = gie_exec_run(x);
    bool reached = far.fail_after < 0;
    far.fail_after = -1;
    if (st != GIE_OK) {
      ck_assert_int_eq(st, GIE_E_MEMORY);
      HAS("the far device has no more");
      failures++;
    }
    if (st != GIE_OK && x) {
      ck_gie_ok(ctx, set(x, "x", in, 2, 2, 2, 0, 0));
      ck_gie_ok(ctx, gie_exec_run(x));
    }
    if (x)
      expect(x, "y", y, 4);
    gie_exec_free(x);
    if (st == GIE_OK) {
      ck_assert(!reached);
      break;
    }
  }
  ck_assert_int_ge(failures, 5);
}
END_TEST

/* Too little memory for the first kernel's workspace: the second does; without one, one line. */
START_TEST(test_memory_limit)
{
  struct mock *big = far_kernel(&mock_far), *small = kernel_on("far", "far.small");
  struct gie_exec_options o = {.struct_size = sizeof o, .device = "far", .memory_limit = 1 << 20};
  struct gie_memory_report r = {.struct_size = sizeof r};
  struct gie_exec *x;
  big->workspace = 4 << 20;
  ck_gie_ok(ctx, try_exec(NET, &on_far, &x));
  run_net(x, 2, 1);
  ck_assert_str_eq(kernel_of(x, 0), "far.any");
  gie_exec_free(x);
  ck_gie_ok(ctx, try_exec(NET, &o, &x));
  for (int i = 0; i < 3; i++)
    run_net(x, 2, (float)i);
  ck_assert_str_eq(kernel_of(x, 0), "far.small");
  ck_gie_ok(ctx, gie_exec_memory(x, &r));
  ck_assert_uint_eq(r.workspace, 0);
  gie_exec_free(x);
  ck_gie_ok(ctx, try_exec(NET, &on_far, &x));
  far.fail_after = 2; /* the input's pinned block, the constant, then the arena */
  run_net(x, 2, 1);
  ck_assert_int_lt(far.fail_after, 0);
  ck_assert_str_eq(kernel_of(x, 0), "far.small");
  gie_exec_free(x);
  small->refuse = "it is tired";
  ck_gie_ok(ctx, try_exec(NET, &o, &x));
  ck_gie_ok(ctx, set(x, "x", (const float[]){1, 2}, 2, 1, 2, 0, 0));
  ck_gie(ctx, gie_exec_run(x), GIE_E_MEMORY);
  HAS("the limit is 1048576");
  HAS("no kernels do with less workspace");
  small->refuse = NULL;
  run_net(x, 1, 1);
  o.memory_limit = 16;
  gie_exec_free(x);
  ck_gie_ok(ctx, try_exec(NET, &o, &x));
  ck_gie_ok(ctx, set(x, "x", (const float[]){1, 2}, 2, 1, 2, 0, 0));
  ck_gie(ctx, gie_exec_run(x), GIE_E_MEMORY);
  HAS("raise it or take a smaller batch");
  gie_exec_free(x);
}
END_TEST

/* ---- Several executors ------------------------------------------------------------------------- */

/* Handles belong to executors: two have two, also at once in two threads. */
static void *work(void *arg)
{
  struct gie_exec *x;
  const char *failed = NULL;
  (void)arg;
  if (try_exec(NET, &on_far, &x) != GIE_OK)
    return (void *)"no executor";
  for (int run = 0; run < 50 && !failed; run++) {
    float in[] = {(float)run, 1, 2, 3};
    struct gie_tensor t;
    if (set(x, "x", in, 2, 2, 2, 0, 0) != GIE_OK || gie_exec_run(x) != GIE_OK ||
        gie_exec_output(x, "q", &t) != GIE_OK)
      failed = "a run failed";
    else if (((float *)t.data)[0] != 2 * (float)run || ((float *)t.data)[3] != 6)
      failed = "a result is wrong";
  }
  gie_exec_free(x);
  return (void *)(uintptr_t)failed;
}

START_TEST(test_libraries)
{
  far_kernel(&mock_far);
  kernels[0].library = &mock_library;
  struct gie_exec *x, *y;
  ck_gie_ok(ctx, try_exec(NET, &on_far, &x));
  run_net(x, 2, 1);
  ck_assert_int_eq(mock_library_opens, 1);
  ck_gie_ok(ctx, try_exec(NET, &on_far, &y));
  run_net(y, 2, 1);
  ck_assert_int_eq(mock_library_opens, 2);
  gie_exec_free(x);
  ck_assert_int_eq(mock_library_opens, 1);
  run_net(y, 2, 3);
  gie_exec_free(y);
}
END_TEST

START_TEST(test_threads)
{
  pthread_t t[4];
  far_kernel(&mock_far);
  kernels[0].library = &mock_library;
  for (int i = 0; i < 4; i++)
    ck_assert_int_eq(pthread_create(&t[i], NULL, work, NULL), 0);
  for (int i = 0; i < 4; i++) {
    void *failed;
    pthread_join(t[i], &failed);
    ck_assert_msg(!failed, "%s", (const char *)failed);
  }
}
END_TEST

GIE_TESTS_MAIN_WITH("device", setup, teardown, test_capture, test_no_capture, test_profile_and_watch,
                    test_bare, test_streams, test_random_streams, test_repeat, test_faults, test_no_memory,
                    test_memory_limit, test_libraries, test_threads)
