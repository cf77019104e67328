check_PROGRAMS += tests/tools/test_tensor tests/tools/test_image
TESTS += tests/tools/test_tensor tests/tools/test_image
tests_tools_test_tensor_SOURCES = tests/tools/test_tensor.c
tests_tools_test_tensor_LDADD = tools/libtools.la libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS)
tests_tools_test_image_SOURCES = tests/tools/test_image.c
tests_tools_test_image_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS) $(PNG_CFLAGS) $(JPEG_CFLAGS)
tests_tools_test_image_LDADD = tools/libtools.la libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(PNG_LIBS) $(JPEG_LIBS)

check_PROGRAMS += tests/tools/test_json
TESTS += tests/tools/test_json tests/tools/cli.sh tests/tools/build.sh tests/tools/demo.sh tests/tools/manual.sh
tests_tools_test_json_SOURCES = tests/tools/test_json.c
tests_tools_test_json_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
tests_tools_test_json_LDADD = libgie_rt_internal.la $(CHECK_LIBS) $(JANSSON_LIBS)

check_PROGRAMS += tests/tools/test_prune
TESTS += tests/tools/test_prune
tests_tools_test_prune_SOURCES = tests/tools/test_prune.c
tests_tools_test_prune_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_tools_test_prune_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS)

check_PROGRAMS += tests/tools/test_bench
TESTS += tests/tools/test_bench tests/tools/bench.sh tests/tools/debug.sh
tests_tools_test_bench_SOURCES = tests/tools/test_bench.c
tests_tools_test_bench_LDADD = tools/libtools.la libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS)

# A device with an energy counter.
check_LTLIBRARIES += tests/tools/meter.la
tests_tools_meter_la_SOURCES = tests/tools/meter.c
tests_tools_meter_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS)
tests_tools_meter_la_LDFLAGS = -module $(GIE_MODULE_LDFLAGS) -rpath /nowhere
tests_tools_meter_la_LIBADD = $(LIBM)

check_PROGRAMS += tests/tools/test_diff
TESTS += tests/tools/test_diff
tests_tools_test_diff_SOURCES = tests/tools/test_diff.c
tests_tools_test_diff_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_tools_test_diff_LDADD = tools/libtools.la libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS)

# A kernel with products in f16.
TESTS += tests/tools/precision.sh
check_LTLIBRARIES += tests/tools/half.la
tests_tools_half_la_SOURCES = tests/tools/half.c
tests_tools_half_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS)
tests_tools_half_la_LDFLAGS = -module $(GIE_MODULE_LDFLAGS) -rpath /nowhere
