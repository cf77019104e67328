GIE_RUN_TESTS = tests/run/test_bind tests/run/test_device tests/run/test_exec tests/run/test_memory tests/run/test_random \
  tests/run/test_storage tests/run/test_watch
check_PROGRAMS += $(GIE_RUN_TESTS)
TESTS += $(GIE_RUN_TESTS)

tests_run_test_bind_SOURCES = tests/run/test_bind.c tests/run/mock.c tests/run/mock_far.c tests/run/mock.h
tests_run_test_bind_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_run_test_bind_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_run_test_device_SOURCES = tests/run/test_device.c tests/run/mock.c tests/run/mock_far.c tests/run/mock.h
tests_run_test_device_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_run_test_device_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_run_test_exec_SOURCES = tests/run/test_exec.c tests/run/mock.c tests/run/mock_far.c tests/run/mock.h
tests_run_test_exec_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_run_test_exec_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_run_test_memory_SOURCES = tests/run/test_memory.c
tests_run_test_memory_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_run_test_memory_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_run_test_random_SOURCES = tests/run/test_random.c tests/run/mock.c tests/run/mock_far.c tests/run/mock.h
tests_run_test_random_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_run_test_random_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

# The reference kernels and the ONNX importer come as modules.
tests_run_test_storage_SOURCES = tests/run/test_storage.c
tests_run_test_storage_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_run_test_storage_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_run_test_watch_SOURCES = tests/run/test_watch.c tests/run/mock.c tests/run/mock_far.c tests/run/mock.h
tests_run_test_watch_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_run_test_watch_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

check_PROGRAMS += tests/run/test_streams
TESTS += tests/run/test_streams
tests_run_test_streams_SOURCES = tests/run/test_streams.c
tests_run_test_streams_LDADD = libgie_rt_internal.la $(CHECK_LIBS)
