# SPDX-License-Identifier: Apache-2.0
# Tests of the strategy.
check_PROGRAMS += tests/tune/test_problem
TESTS += tests/tune/test_problem
tests_tune_test_problem_SOURCES = tests/tune/test_problem.c tests/op_cases.c tests/op_cases.h tests/op_cases.def
tests_tune_test_problem_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_tune_test_problem_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)

check_PROGRAMS += tests/tune/test_cost
TESTS += tests/tune/test_cost
tests_tune_test_cost_SOURCES = tests/tune/test_cost.c tests/op_cases.c tests/op_cases.h tests/op_cases.def
tests_tune_test_cost_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_tune_test_cost_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)

check_PROGRAMS += tests/tune/test_pbqp
TESTS += tests/tune/test_pbqp
tests_tune_test_pbqp_SOURCES = tests/tune/test_pbqp.c
tests_tune_test_pbqp_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_tune_test_pbqp_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)

check_PROGRAMS += tests/tune/test_select
TESTS += tests/tune/test_select
tests_tune_test_select_SOURCES = tests/tune/test_select.c tests/tune/costs.c tests/tune/costs.h \
  tests/run/mock.c tests/run/mock_far.c tests/run/mock.h
tests_tune_test_select_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_tune_test_select_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)

check_PROGRAMS += tests/tune/test_types
TESTS += tests/tune/test_types
tests_tune_test_types_SOURCES = tests/tune/test_types.c tests/tune/costs.c tests/tune/costs.h \
  tests/run/mock.c tests/run/mock_far.c tests/run/mock.h
tests_tune_test_types_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_tune_test_types_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)

check_PROGRAMS += tests/tune/test_ranges
TESTS += tests/tune/test_ranges
tests_tune_test_ranges_SOURCES = tests/tune/test_ranges.c tests/temp.c tests/temp.h tests/tune/costs.c tests/tune/costs.h \
  tests/run/mock.c tests/run/mock_far.c tests/run/mock.h
tests_tune_test_ranges_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_tune_test_ranges_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)

check_PROGRAMS += tests/tune/test_build
TESTS += tests/tune/test_build
BIG_TESTS += tests/tune/test_build
tests_tune_test_build_SOURCES = tests/tune/test_build.c
tests_tune_test_build_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_tune_test_build_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)

# The system calls that saving depends on can be made to fail.

check_PROGRAMS += tests/tune/test_cache
TESTS += tests/tune/test_cache
tests_tune_test_cache_SOURCES = tests/tune/test_cache.c tests/tune/cache_check.h
tests_tune_test_cache_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_tune_test_cache_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)

check_LTLIBRARIES += tests/tune/kernels.la
tests_tune_kernels_la_SOURCES = tests/tune/kernels.c
tests_tune_kernels_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS)
tests_tune_kernels_la_LDFLAGS = -module $(GIE_MODULE_LDFLAGS) -rpath /nowhere

check_PROGRAMS += tests/tune/test_race
TESTS += tests/tune/test_race
tests_tune_test_race_SOURCES = tests/tune/test_race.c tests/op_cases.c tests/op_cases.h tests/op_cases.def
tests_tune_test_race_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_tune_test_race_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)

# The system calls that saving depends on can be made to fail.
check_PROGRAMS += tests/tune/test_cache_save
TESTS += tests/tune/test_cache_save
tests_tune_test_cache_save_SOURCES = tests/tune/test_cache_save.c tests/tune/cache_check.h
tests_tune_test_cache_save_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_tune_test_cache_save_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=write,--wrap=fsync,--wrap=renameat,--wrap=open
tests_tune_test_cache_save_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)

check_PROGRAMS += tests/tune/test_race_far
TESTS += tests/tune/test_race_far
tests_tune_test_race_far_SOURCES = tests/tune/test_race_far.c tests/run/mock.c tests/run/mock_far.c tests/run/mock.h
tests_tune_test_race_far_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_tune_test_race_far_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)

check_PROGRAMS += tests/tune/test_limits
TESTS += tests/tune/test_limits
tests_tune_test_limits_SOURCES = tests/tune/test_limits.c tests/run/mock.c tests/run/mock_far.c tests/run/mock.h
tests_tune_test_limits_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_tune_test_limits_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)

check_PROGRAMS += tests/tune/test_target
TESTS += tests/tune/test_target
tests_tune_test_target_SOURCES = tests/tune/test_target.c
tests_tune_test_target_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_tune_test_target_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS)

check_PROGRAMS += tests/tune/test_ways
TESTS += tests/tune/test_ways
tests_tune_test_ways_SOURCES = tests/tune/test_ways.c tests/run/mock.c tests/run/mock_far.c tests/run/mock.h
tests_tune_test_ways_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_tune_test_ways_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)
