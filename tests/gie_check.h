/* SPDX-License-Identifier: Apache-2.0 */
/* What unit tests share: the main function over a list of tests, contexts, and checks that show the
 * error text when they fail. */
#ifndef GIE_TESTS_GIE_CHECK_H
#define GIE_TESTS_GIE_CHECK_H

#include "core/base/base.h"
#include <check.h>
#include <gie/gie.h>
#include <time.h>

/* A case of the suite; each of its tests runs between before() and after() (NULL: nothing), for 300 s at most. */
static inline TCase *check_tcase(Suite *suite, const char *name, SFun before, SFun after)
{
  TCase *tcase = tcase_create(name);
  tcase_set_timeout(tcase, 300);
  tcase_add_checked_fixture(tcase, before, after);
  suite_add_tcase(suite, tcase);
  return tcase;
}

/* Runs the suite, which is gone then. The exit status. */
static inline int check_suite_in(Suite *suite, enum fork_status fork)
{
  SRunner *runner = srunner_create(suite);
  srunner_set_fork_status(runner, fork);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
/* The same, each test in a process of its own unless CK_FORK=no. */
static inline int check_suite(Suite *suite) { return check_suite_in(suite, CK_FORK_GETENV); }

static inline int check_tests(const char *name, SFun before, SFun after, enum fork_status fork,
                              const TTest *const *tests, size_t n)
{
  Suite *suite = suite_create(name);
  TCase *tcase = check_tcase(suite, name, before, after);
  for (size_t i = 0; i < n; i++)
    tcase_add_test(tcase, tests[i]);
  return check_suite_in(suite, fork);
}

/* GIE_TESTS_MAIN("name", test_a, test_b): a main function that runs them, or, with something before and after each,
 * GIE_TESTS_MAIN_WITH("name", setup, teardown, test_a, test_b). */
#define GIE_TESTS_MAIN(name, ...) GIE_TESTS_MAIN_WITH(name, NULL, NULL, __VA_ARGS__)
#define GIE_TESTS_MAIN_WITH(name, before, after, ...)                                               \
  int main(void)                                                                                    \
  {                                                                                                 \
    const TTest *const tests[] = {__VA_ARGS__};                                                     \
    return check_tests(name, before, after, CK_FORK_GETENV, tests, sizeof tests / sizeof tests[0]); \
  }

#define ck_gie(ctx, expr, wanted)                                                                \
  do {                                                                                           \
    gie_status ck_got = (expr), ck_want = (wanted);                                              \
    ck_assert_msg(ck_got == ck_want, "%s: %s instead of %s: %s", #expr, gie_status_name(ck_got), \
                  gie_status_name(ck_want), gie_error_text(ctx));                                \
  } while (0)
#define ck_gie_ok(ctx, expr) ck_gie(ctx, expr, GIE_OK)

/* Reproducible numbers of 31 bits: Knuth's MMIX generator (TAOCP 2, 3.3.4), its high bits. */
static inline uint32_t check_random(uint64_t *state)
{
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(*state >> 33);
}

/* Processor time of this process, for bounds on time: other processes cannot make a test fail. */
static inline double check_seconds(void)
{
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A context without modules whose log goes nowhere. */
static inline void check_no_log(void *user, enum gie_log_level level, const char *module, const char *text)
{
  (void)user, (void)level, (void)module, (void)text;
}

static inline struct gie_context *check_context(void)
{
  struct gie_context_options options = {.struct_size = sizeof options,
                                        .log = check_no_log,
                                        .no_modules = true};
  struct gie_context *ctx = NULL;
  ck_assert_int_eq(gie_context_init(&options, &ctx), GIE_OK);
  return ctx;
}

/* Runs the tests in this process, since a device that was opened does not survive a fork. The exit status. */
static inline int check_on_device(const char *name, const TTest *const *tests, size_t n)
{
  return check_tests(name, NULL, NULL, CK_NOFORK, tests, n);
}

#endif
