/* SPDX-License-Identifier: Apache-2.0 */
/* What an executor tells while and after it runs: results as they come, times, streams, energy. */
#include "tests/run/mock.h"

static const float X4[] = {-1, 2, -3, 4};

/* What was shown, as "name kernel: elements; ". */
struct seen {
  char text[1024];
  const char *stop_at;
};

static gie_status look(void *user, const struct gie_watched *w)
{
  struct seen *s = user;
  size_t at = strlen(s->text), n = sizeof s->text;
  int64_t count = 1;
  const struct gie_value *v = gie_value_get(w->graph, w->value);
  ck_assert_uint_eq(v->producer, w->node);
  ck_assert_uint_eq(w->struct_size, sizeof *w);
  for (int i = 0; i < w->tensor->rank; i++)
    count *= w->tensor->dim[i];
  at += (size_t)snprintf(s->text + at, n - at, "%s %s:", v->name, w->kernel);
  for (int64_t i = 0; i < count; i++)
    at += (size_t)snprintf(s->text + at, n - at, " %g", ((const float *)w->tensor->data)[i]);
  snprintf(s->text + at, n - at, "; ");
  if (s->stop_at && strcmp(v->name, s->stop_at) == 0)
    return gie_fail(ctx, GIE_E_NO, "seen enough");
  return GIE_OK;
}

/* Memory that is used again later, views, a constant by another name, a result that nobody reads. */
START_TEST(results_are_shown_as_they_come)
{
  kernel("a.any");
  struct gie_exec *x = new_exec(
      "graph \"g\" { input %a : f32[1,2] const %k : f32[2] = {5, -6} const %s : i64[2] = {1, 2}"
      " const %sz : i64[2] = {1, 1}"
      " %n = relu(%a) %p : f32[1,2] view(%c, 1, 0, 2) = relu(%n) %q : f32[1,2] view(%c, 1, 2, 2) = relu(%a)"
      " %c = concat(%p, %q) {axis=1} %r = reshape(%k, %s) %y = add(%r, %a)"
      " %u : f32[1,1] view(%y, 1, 0, 1), %v : f32[1,1] view(%y, 1, 1, 1) = split(%y, %sz) {axis=1}"
      " %z = relu(%c) output %z output %u output %y }",
      NULL);
  struct seen s = {0};
  const float a[] = {-1, 2};
  ck_gie_ok(ctx, set(x, "a", a, 2, 1, 2, 0, 0));
  gie_exec_watch(x, look, &s);
  ck_gie_ok(ctx, gie_exec_run(x));
  ck_assert_str_eq(s.text, "n a.any: 0 2; p a.any: 0 2; q a.any: 0 2; c view: 0 2 0 2; r view: 5 -6; "
                           "y a.any: 4 -4; u view: 4; z a.any: 0 2 0 2; ");
  s.text[0] = 0;
  s.stop_at = "c";
  ck_gie(ctx, gie_exec_run(x), GIE_E_NO);
  HAS("seen enough");
  ck_assert_str_eq(s.text, "n a.any: 0 2; p a.any: 0 2; q a.any: 0 2; c view: 0 2 0 2; ");
  s.text[0] = 0;
  gie_exec_watch(x, NULL, NULL);
  ck_gie_ok(ctx, gie_exec_run(x));
  ck_assert_str_eq(s.text, "");
  gie_exec_free(x);
}
END_TEST

/* On a device with its own memory, in another layout, and in the tail. */
START_TEST(results_come_from_everywhere)
{
  mock_register_device(ctx, &mock_far);
  struct mock *m = kernel_on("far", "far.any"), *host = kernel("a.any");
  m->any_layout = true;
  struct gie_exec_options o = {.struct_size = sizeof o, .device = "far", .profile = true};
  struct gie_exec *x;
  int64_t shape[] = {4};
  struct gie_tensor s = tensor(GIE_I64, shape, 1, 1, 0, 0, 0);
  struct seen seen = {0};
  struct gie_node_profile p;
  ck_gie_ok(ctx,
            try_exec("graph \"g\" { input %a : f32[1,2,2,1] input %s : i64[1]"
                     " %r : f32[1,2,2,1] nhwc = relu(%a) %f = reshape(%r, %s) %y = add(%f, %f) output %y }",
                     &o, &x));
  ck_gie_ok(ctx, set(x, "a", X4, 4, 1, 2, 2, 1));
  ck_gie_ok(ctx, gie_exec_set_input(x, "s", &s));
  gie_exec_watch(x, look, &seen);
  ck_gie_ok(ctx, gie_exec_run(x));
  ck_assert_str_eq(seen.text, "r far.any: 0 2 0 4; f a.any: 0 2 0 4; y a.any: 0 4 0 8; ");
  ck_assert(!m->bad_address && !host->bad_address);
  double last = 0;
  for (uint32_t i = 0; i < 3; i++) {
    ck_assert(gie_exec_profile(x, i, &p));
    ck_assert_int_eq(p.stream, i == 0 ? 0 : -1);
    ck_assert(p.start >= last && p.seconds >= 0);
    ck_assert_str_eq(gie_node_get(gie_exec_graph(x), p.node)->name, p.name);
    last = p.start + p.seconds;
  }
  ck_assert(!gie_exec_profile(x, 3, &p));
  gie_exec_free(x);
}
END_TEST

/* ---- Times and the device ---------------------------------------------------------------------- */

static gie_status slow_copy(void *dev, void *dst, const void *src, size_t bytes, enum gie_copy kind,
                            void *stream)
{
  double until = run_now() + (kind == GIE_COPY_TO_DEVICE ? 3e-3 : 6e-3);
  while (run_now() < until)
    ;
  return mock_far.copy(dev, dst, src, bytes, kind, stream);
}

static gie_status energetic_info(void *dev, struct gie_device_info *out)
{
  GIE_TRY(mock_far.info(dev, out));
  out->flags |= GIE_DEVICE_ENERGY;
  return GIE_OK;
}

static gie_status energy(void *dev, double *joules)
{
  (void)dev;
  *joules = 42;
  return GIE_OK;
}

START_TEST(parts_of_a_run_are_timed)
{
  struct gie_device slow = mock_far;
  struct gie_run_times t = {.struct_size = sizeof t};
  struct gie_device_info info = {.struct_size = sizeof info};
  struct gie_exec *x;
  double joules = 0;
  slow.copy = slow_copy;
  slow.event_elapsed = NULL; /* no clock of its own: the host's counts */
  slow.info = energetic_info;
  slow.energy = energy;
  mock_register_device(ctx, &slow);
  kernel_on("far", "far.any");
  struct gie_exec_options o = {.struct_size = sizeof o, .device = "far", .threads = 3};
  ck_gie_ok(ctx, try_exec("graph \"g\" { input %x : f32[4] %y = relu(%x) output %y }", &o, &x));
  ck_gie(ctx, gie_exec_times(x, &t), GIE_E_USAGE);
  ck_gie_ok(ctx, set(x, "x", X4, 1, 4, 0, 0, 0));
  ck_gie_ok(ctx, gie_exec_run(x));
  ck_gie_ok(ctx, gie_exec_times(x, &t));
  ck_assert(t.upload >= 3e-3 && t.download >= 6e-3);
  ck_assert(t.compute > 0 && t.compute < t.download && t.enqueue > 0 && t.enqueue <= t.compute);
  t = (struct gie_run_times){.struct_size = offsetof(struct gie_run_times, compute), .compute = -1};
  ck_gie_ok(ctx, gie_exec_times(x, &t));
  ck_assert(t.upload > 0 && t.compute < 0 && t.struct_size == offsetof(struct gie_run_times, compute));
  ck_assert_str_eq(gie_exec_device(x, &info), "far");
  ck_assert_str_eq(info.name, "mock");
  ck_assert_uint_eq(gie_exec_threads(x), 3);
  ck_gie_ok(ctx, gie_exec_energy(x, &joules));
  ck_assert(joules > 41.5 && joules < 42.5);
  gie_exec_free(x);
}
END_TEST

START_TEST(not_every_device_counts_energy)
{
  kernel("a.relu");
  struct gie_exec *x = new_exec("graph \"g\" (n) { input %x : f32[n] %y = relu(%x) output %y }", NULL);
  double joules;
  ck_gie(ctx, gie_exec_energy(x, &joules), GIE_E_UNSUPPORTED);
  HAS("device cpu does not count its energy");
  gie_exec_free(x);
}
END_TEST

GIE_TESTS_MAIN_WITH("watch", setup, teardown, results_are_shown_as_they_come, results_come_from_everywhere,
                    parts_of_a_run_are_timed, not_every_device_counts_energy)
