GIE_BASE_TESTS = tests/base/test_context tests/base/test_file tests/base/test_memory tests/base/test_number tests/base/test_sha256
check_PROGRAMS += $(GIE_BASE_TESTS)
TESTS += $(GIE_BASE_TESTS)

tests_base_test_context_SOURCES = tests/base/test_context.c tests/gie_check.h
tests_base_test_context_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_base_test_context_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

# The system calls that saving and reading depend on can be made to fail.
tests_base_test_file_SOURCES = tests/base/test_file.c
tests_base_test_file_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_base_test_file_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=write,--wrap=fsync,--wrap=renameat,--wrap=pread,--wrap=fstat \
  -Wl,--wrap=openat,--wrap=__openat_2
tests_base_test_file_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_base_test_memory_SOURCES = tests/base/test_memory.c
tests_base_test_memory_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_base_test_memory_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_base_test_number_SOURCES = tests/base/test_number.c
tests_base_test_number_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_base_test_number_LDADD = libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)

tests_base_test_sha256_SOURCES = tests/base/test_sha256.c
tests_base_test_sha256_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_base_test_sha256_LDADD = libgie_rt_internal.la $(CHECK_LIBS)
