GIE_PLAN_TESTS = tests/plan/test_file tests/plan/test_run
check_PROGRAMS += $(GIE_PLAN_TESTS)
TESTS += $(GIE_PLAN_TESTS)

gie_plan_check = tests/plan/plan_check.c tests/plan/plan_check.h tests/plan/plan_bytes.c tests/plan/plan_bytes.h \
  tests/run/mock.c tests/run/mock.h

tests_plan_test_file_SOURCES = tests/plan/test_file.c $(gie_plan_check)
tests_plan_test_file_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_plan_test_run_SOURCES = tests/plan/test_run.c $(gie_plan_check)
tests_plan_test_run_LDADD = libgie_rt_internal.la $(CHECK_LIBS)
