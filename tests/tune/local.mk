GIE_TUNE_TESTS = \
  tests/tune/test_pbqp
check_PROGRAMS += $(GIE_TUNE_TESTS)
TESTS += $(GIE_TUNE_TESTS)

tests_tune_test_pbqp_SOURCES = tests/tune/test_pbqp.c
tests_tune_test_pbqp_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_tune_test_pbqp_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)
