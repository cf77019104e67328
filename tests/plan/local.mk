GIE_PLAN_TESTS = tests/plan/test_batch tests/plan/test_file tests/plan/test_run tests/plan/test_save tests/plan/test_threads
check_PROGRAMS += $(GIE_PLAN_TESTS)
TESTS += $(GIE_PLAN_TESTS)

gie_plan_check = tests/plan/plan_check.c tests/plan/plan_check.h tests/plan/plan_bytes.c tests/plan/plan_bytes.h \
  tests/run/mock.c tests/run/mock_far.c tests/run/mock.h tests/temp.c tests/temp.h

tests_plan_test_file_SOURCES = tests/plan/test_file.c $(gie_plan_check)
tests_plan_test_file_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_plan_test_run_SOURCES = tests/plan/test_run.c $(gie_plan_check)
tests_plan_test_run_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_plan_test_save_SOURCES = tests/plan/test_save.c $(gie_plan_check)
tests_plan_test_save_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=write,--wrap=fsync,--wrap=renameat
tests_plan_test_save_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

# The reference kernels come as a module.
tests_plan_test_batch_SOURCES = tests/plan/test_batch.c
tests_plan_test_batch_LDADD = libgie_rt_internal.la $(CHECK_LIBS)
tests_plan_test_threads_SOURCES = tests/plan/test_threads.c
tests_plan_test_threads_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

# A build of its own in tsan-build/ with the thread sanitizer, without OpenMP (whose threads it does not
# understand); runs the tests of threads and of streams alone.
PHONY_TARGETS += check-tsan
check-tsan:
	$(AM_TESTS_ENVIRONMENT) $(top_srcdir)/tests/plan/tsan.sh

# Programs of users, and what they need.
check_PROGRAMS += tests/plan/make_plan
tests_plan_make_plan_SOURCES = tests/plan/make_plan.c
tests_plan_make_plan_LDADD = libgie_rt_internal.la
TESTS += tests/plan/cli.sh tests/plan/example.sh
