/* SPDX-License-Identifier: Apache-2.0 */
/* The schedule's happens-before relation against reachability, and the memory planner against a
 * comparison of every two buffers, on random schedules with one and several streams. */
#include "core/run/run.h"
#include "tests/gie_check.h"

static struct gie_context *ctx;
static struct gie_arena mem;

static void setup(void)
{
  struct gie_context_options options = {.struct_size = sizeof options, .no_modules = true};
  ck_assert_int_eq(gie_context_new(&options, &ctx), GIE_OK);
  gie_arena_init(&mem, ctx);
}

static void teardown(void)
{
  gie_arena_free(&mem);
  gie_context_free(ctx);
}

/* A small generator of our own, so that a seed means the same everywhere. */
static uint32_t seed;
static uint32_t rnd(uint32_t n)
{
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 8) % n;
}

/* ---- Schedules --------------------------------------------------------------------------------- */

#define MAX_STEPS 40

struct net {
  uint32_t n, n_streams, stream[MAX_STEPS], first[MAX_STEPS + 1], deps[MAX_STEPS * 3];
  bool before[MAX_STEPS][MAX_STEPS]; /* by dependencies and streams, closed transitively */
};

static void random_net(struct net *net, uint32_t n_streams)
{
  memset(net, 0, sizeof *net);
  net->n = 1 + rnd(MAX_STEPS);
  net->n_streams = n_streams;
  uint32_t at = 0;
  for (uint32_t i = 0; i < net->n; i++) {
    net->stream[i] = rnd(n_streams);
    net->first[i] = at;
    for (uint32_t k = i ? rnd(4) : 0; k > 0; k--) {
      net->deps[at] = rnd(i);
      net->before[net->deps[at++]][i] = true;
    }
    for (uint32_t k = 0; k < i; k++)
      net->before[k][i] |= net->stream[k] == net->stream[i];
  }
  net->first[net->n] = at;
  for (uint32_t k = 0; k < net->n; k++)
    for (uint32_t i = 0; i < net->n; i++)
      for (uint32_t j = 0; j < net->n; j++)
        net->before[i][j] |= net->before[i][k] && net->before[k][j];
}

static struct run_schedule make_schedule(const struct net *net)
{
  struct run_schedule s;
  ck_assert_int_eq(run_schedule_make(&mem, net->n, net->n_streams, net->stream, net->first, net->deps, &s),
                   GIE_OK);
  return s;
}

START_TEST(relation_is_reachability)
{
  static struct net net;
  for (uint32_t round = 0; round < 300; round++) {
    seed = round;
    random_net(&net, 1 + round % 4);
    struct run_schedule s = make_schedule(&net);
    for (uint32_t a = 0; a < net.n; a++)
      for (uint32_t b = 0; b < net.n; b++)
        ck_assert_msg(run_before(&s, a, b) == net.before[a][b], "seed %u: %u before %u", round, a, b);
  }
}
END_TEST

START_TEST(waits_are_minimal)
{
  /* stream 0: 0 1, stream 1: 2 3; 3 needs 0, 1 and 2: one wait, for 1, is enough */
  const uint32_t stream[] = {0, 0, 1, 1}, first[] = {0, 0, 1, 1, 4}, deps[] = {0, 0, 1, 2};
  struct run_schedule s;
  ck_assert_int_eq(run_schedule_make(&mem, 4, 2, stream, first, deps, &s), GIE_OK);
  ck_assert_uint_eq(s.n_waits, 1);
  ck_assert_uint_eq(s.at[3].n_waits, 1);
  ck_assert_uint_eq(s.waits[s.at[3].first_wait], 1);
  ck_assert(!run_before(&s, 1, 2) && !run_before(&s, 2, 1));
  ck_assert(run_before(&s, 0, 3) && !run_before(&s, 3, 0) && !run_before(&s, 3, 3));
}
END_TEST

START_TEST(empty_schedule)
{
  const uint32_t first[] = {0};
  struct run_schedule s;
  struct run_plan p;
  ck_assert_int_eq(run_schedule_make(&mem, 0, 1, NULL, first, NULL, &s), GIE_OK);
  run_plan_init(&p, &s);
  ck_assert_int_eq(run_plan_make(&p, ctx), GIE_OK);
  ck_assert_uint_eq(p.arena + p.outputs, 0);
  run_plan_free(&p, ctx);
}
END_TEST

/* ---- Random plans against comparing all pairs ------------------------------------------------- */

static bool all_before(const struct net *net, const uint64_t *touch, uint32_t a, uint32_t b)
{
  if (touch[a] == 0 || touch[b] == 0)
    return false;
  for (uint32_t i = 0; i < net->n; i++)
    for (uint32_t j = 0; j < net->n; j++)
      if ((touch[a] >> i & 1) && (touch[b] >> j & 1) && !net->before[i][j])
        return false;
  return true;
}

static bool may_share(const struct net *net, const struct run_plan *p, const uint64_t *touch, uint32_t a,
                      uint32_t b)
{
  const struct run_buffer *x = &p->buffers[a], *y = &p->buffers[b];
  return (all_before(net, touch, a, b) && !x->to_end && !y->from_start) ||
         (all_before(net, touch, b, a) && !y->to_end && !x->from_start);
}

/* Several buffers touched by random steps: a buffer with many is what a view base looks like. */
static void random_plan(const struct net *net, struct run_plan *p, uint64_t *touch)
{
  uint32_t n = 1 + rnd(30);
  for (uint32_t i = 0; i < n; i++) {
    uint32_t b, near = rnd(net->n);
    enum run_category category = rnd(8) == 0 ? RUN_WORKSPACE : rnd(10) == 0 ? RUN_OUTPUT : RUN_ACTIVATION;
    ck_assert_int_eq(run_plan_buffer(p, ctx, rnd(12) ? 1 + rnd(5000) : 0, category, &b), GIE_OK);
    p->buffers[b].from_start = rnd(12) == 0;
    p->buffers[b].to_end = category == RUN_OUTPUT || rnd(12) == 0;
    touch[b] = 0;
    for (uint32_t k = category == RUN_WORKSPACE ? 1 : rnd(5); k > 0; k--) {
      uint32_t step = (near + rnd(4)) % net->n;
      ck_assert_int_eq(run_plan_touch(p, ctx, b, step), GIE_OK);
      touch[b] |= UINT64_C(1) << step;
    }
  }
  for (uint32_t i = 0; i + 1 < n; i += 5)
    if (p->buffers[i].category == RUN_ACTIVATION && p->buffers[i + 1].category == RUN_ACTIVATION) {
      run_plan_merge(p, i, i + 1);
      touch[i] |= touch[i + 1];
    }
}

static void check_plan(const struct net *net, const struct run_plan *p, const uint64_t *touch, uint32_t round)
{
  size_t sum = 0, outputs = 0;
  for (uint32_t i = 0; i < p->n; i++) {
    const struct run_buffer *b = &p->buffers[i];
    if (b->merged != RUN_NONE || b->bytes == 0)
      continue;
    bool is_output = b->category == RUN_OUTPUT;
    *(is_output ? &outputs : &sum) += b->bytes + b->align - 1;
    ck_assert_uint_eq(b->offset % b->align, 0);
    ck_assert_uint_le(b->offset + b->bytes, is_output ? p->outputs : p->arena);
    for (uint32_t k = 0; k < i; k++) {
      const struct run_buffer *o = &p->buffers[k];
      if (o->merged != RUN_NONE || o->bytes == 0 || (o->category == RUN_OUTPUT) != is_output)
        continue;
      bool overlap = b->offset < o->offset + o->bytes && o->offset < b->offset + b->bytes;
      ck_assert_msg(!overlap || (!is_output && may_share(net, p, touch, i, k)), "seed %u: buffers %u and %u",
                    round, k, i);
    }
  }
  ck_assert_uint_le(p->arena, sum);
  ck_assert_uint_le(p->outputs, outputs);
  ck_assert_uint_eq(p->activations + p->workspace, p->arena);
}

START_TEST(no_two_in_use_overlap)
{
  static struct net net;
  for (uint32_t round = 0; round < 2000; round++) {
    uint64_t touch[64];
    struct run_plan p;
    seed = round + 1000;
    random_net(&net, 1 + (round % 3 ? 0 : round % 4));
    struct run_schedule s = make_schedule(&net);
    run_plan_init(&p, &s);
    random_plan(&net, &p, touch);
    ck_assert_int_eq(run_plan_make(&p, ctx), GIE_OK);
    check_plan(&net, &p, touch, round);
    run_plan_free(&p, ctx);
    gie_arena_free(&mem);
    gie_arena_init(&mem, ctx);
  }
}
END_TEST

/* ---- Exact offsets ----------------------------------------------------------------------------- */

/* A chain of n steps on one stream. */
static struct run_schedule chain(uint32_t n)
{
  struct run_schedule s;
  uint32_t *first = gie_arena_alloc(&mem, (size_t)n + 1, sizeof *first),
           *deps = gie_arena_alloc(&mem, n, sizeof *deps);
  for (uint32_t i = 0; i < n; i++) {
    first[i + 1] = i;
    deps[i] = i;
  }
  if (n)
    first[n] = n - 1;
  for (uint32_t i = 0; i < n; i++)
    first[i] = i ? i - 1 : 0;
  ck_assert_int_eq(run_schedule_make(&mem, n, 1, NULL, first, deps, &s), GIE_OK);
  return s;
}

struct expect {
  size_t bytes;
  enum run_category category;
  uint32_t from, to; /* steps that touch it first and last */
  size_t offset;
};

static const struct small {
  const char *what;
  uint32_t n;
  struct expect b[5];
  size_t arena, outputs, workspace;
} SMALL[] = {
    /* three results of a chain: the third goes where the first was */
    {"chain", 3, {{1024, 0, 0, 1, 0}, {1024, 0, 1, 2, 1024}, {1024, 0, 2, 3, 0}}, 2048, 0, 0},
    /* the largest is placed first, at 0; the others share the room behind it */
    {"largest first", 3, {{64, 0, 0, 1, 4096}, {4096, 0, 0, 3, 0}, {128, 0, 2, 3, 4096}}, 4224, 0, 0},
    /* alignment: 100 bytes occupy 128 */
    {"alignment", 2, {{100, 0, 0, 1, 0}, {100, 0, 0, 1, 128}}, 228, 0, 0},
    /* workspace lies on memory that is free at its step, aligned to 256 */
    {"workspace",
     4,
     {{512, 0, 0, 1, 0}, {512, 0, 1, 2, 512}, {300, RUN_WORKSPACE, 2, 2, 0}, {64, 0, 2, 3, 320}},
     1024,
     0,
     0},
    {"workspace on top", 2, {{64, 0, 0, 0, 0}, {32, RUN_WORKSPACE, 0, 0, 256}}, 288, 0, 224},
    /* outputs share with nothing */
    {"outputs", 3, {{64, 0, 0, 1, 0}, {64, RUN_OUTPUT, 1, 1, 0}, {64, RUN_OUTPUT, 2, 2, 64}}, 64, 128, 0},
    /* the smaller of two gaps that fit */
    {"best fit",
     5,
     {{1024, 0, 0, 0, 0}, {900, 0, 1, 3, 0}, {800, 0, 0, 3, 1024}, {640, 0, 2, 3, 1856}, {64, 0, 1, 2, 960}},
     2496,
     0,
     0},
};

START_TEST(exact_offsets)
{
  const struct small *t = &SMALL[_i];
  struct run_schedule s = chain(4);
  struct run_plan p;
  run_plan_init(&p, &s);
  for (uint32_t i = 0; i < t->n; i++) {
    uint32_t b;
    ck_assert_int_eq(run_plan_buffer(&p, ctx, t->b[i].bytes, t->b[i].category, &b), GIE_OK);
    ck_assert_int_eq(run_plan_touch(&p, ctx, b, t->b[i].from), GIE_OK);
    ck_assert_int_eq(run_plan_touch(&p, ctx, b, t->b[i].to), GIE_OK);
  }
  ck_assert_int_eq(run_plan_make(&p, ctx), GIE_OK);
  for (uint32_t i = 0; i < t->n; i++)
    ck_assert_msg(p.buffers[i].offset == t->b[i].offset, "%s: buffer %u is at %zu", t->what, i,
                  p.buffers[i].offset);
  ck_assert_msg(p.arena == t->arena && p.outputs == t->outputs && p.workspace == t->workspace,
                "%s: %zu %zu %zu", t->what, p.arena, p.outputs, p.workspace);
  run_plan_free(&p, ctx);
}
END_TEST

START_TEST(overwriting_needs_the_last_use)
{
  struct run_schedule s = chain(4);
  struct run_plan p;
  uint32_t a, b, c;
  run_plan_init(&p, &s);
  ck_assert_int_eq(run_plan_buffer(&p, ctx, 64, RUN_ACTIVATION, &a), GIE_OK);
  ck_assert_int_eq(run_plan_buffer(&p, ctx, 64, RUN_ACTIVATION, &b), GIE_OK);
  ck_assert_int_eq(run_plan_buffer(&p, ctx, 64, RUN_OUTPUT, &c), GIE_OK);
  const uint32_t touches[][2] = {{0, 0}, {0, 1}, {1, 1}, {1, 2}, {2, 2}};
  for (size_t i = 0; i < sizeof touches / sizeof *touches; i++)
    ck_assert_int_eq(run_plan_touch(&p, ctx, touches[i][0], touches[i][1]), GIE_OK);
  ck_assert(!run_plan_is_last(&p, a, 0));
  ck_assert(run_plan_is_last(&p, a, 1));
  run_plan_merge(&p, a, b);
  ck_assert_uint_eq(run_plan_find(&p, b), a);
  ck_assert(!run_plan_is_last(&p, a, 1));
  ck_assert(run_plan_is_last(&p, b, 2));
  run_plan_merge(&p, b, c);
  ck_assert_int_eq(run_plan_make(&p, ctx), GIE_OK);
  ck_assert_uint_eq(p.arena, 0); /* all three became the output */
  ck_assert_uint_eq(p.outputs, 64);
  run_plan_free(&p, ctx);
}
END_TEST

/* ---- Hostile and large ------------------------------------------------------------------------- */

START_TEST(hostile_sizes)
{
  const size_t bytes[][2] = {{SIZE_MAX, 1},
                             {SIZE_MAX / 2, SIZE_MAX / 2},
                             {SIZE_MAX - 63, 64},
                             {PTRDIFF_MAX, 64}};
  struct run_schedule s = chain(2);
  for (int category = RUN_ACTIVATION; category <= RUN_OUTPUT; category++)
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
      struct run_plan p;
      run_plan_init(&p, &s);
      for (uint32_t k = 0; k < 2; k++) {
        uint32_t b;
        ck_assert_int_eq(run_plan_buffer(&p, ctx, bytes[i][k], (enum run_category)category, &b), GIE_OK);
        ck_assert_int_eq(run_plan_touch(&p, ctx, b, 0), GIE_OK);
      }
      ck_assert_int_eq(run_plan_make(&p, ctx), GIE_E_MEMORY);
      ck_assert_ptr_nonnull(strstr(gie_error_text(ctx), "more memory than can be addressed"));
      run_plan_free(&p, ctx);
    }
}
END_TEST

/* A chain of 200,000 with some long-lived buffers: linear enough to be over at once. */
START_TEST(long_chain)
{
  const uint32_t n = 200000;
  struct run_schedule s = chain(n);
  struct run_plan p;
  run_plan_init(&p, &s);
  for (uint32_t i = 0; i + 1 < n; i++) {
    uint32_t b;
    ck_assert_int_eq(run_plan_buffer(&p, ctx, 64 + 64 * (size_t)(i % 3), RUN_ACTIVATION, &b), GIE_OK);
    ck_assert_int_eq(run_plan_touch(&p, ctx, b, i), GIE_OK);
    ck_assert_int_eq(run_plan_touch(&p, ctx, b, i % 20000 ? i + 1 : n - 1), GIE_OK);
  }
  ck_assert_int_eq(run_plan_make(&p, ctx), GIE_OK);
  ck_assert_uint_le(p.arena, 64 * 40);
  run_plan_free(&p, ctx);
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("memory");
  TCase *t = check_tcase(suite, "all", setup, teardown);
  tcase_add_test(t, relation_is_reachability);
  tcase_add_test(t, waits_are_minimal);
  tcase_add_test(t, empty_schedule);
  tcase_add_test(t, no_two_in_use_overlap);
  tcase_add_loop_test(t, exact_offsets, 0, sizeof SMALL / sizeof *SMALL);
  tcase_add_test(t, overwriting_needs_the_last_use);
  tcase_add_test(t, hostile_sizes);
  tcase_add_test(t, long_chain);
  return check_suite(suite);
}
