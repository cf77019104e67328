# Modules for the tests: shared objects although they are not installed, hence -rpath.
GIE_TEST_MODULE_LDFLAGS = $(GIE_MODULE_LDFLAGS) -rpath /nowhere
GIE_TEST_OTHER_LDFLAGS = $(GIE_LDFLAGS) -avoid-version -shared -rpath /nowhere
check_LTLIBRARIES += tests/module/good.la tests/module/graphs.la tests/module/init.la tests/module/kernels.la tests/module/layers.la tests/module/magic.la \
  tests/module/noentry.la tests/module/plain.la tests/module/undefined.la

tests_module_good_la_SOURCES = tests/module/good.c
tests_module_good_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS)
tests_module_good_la_LDFLAGS = -module $(GIE_TEST_MODULE_LDFLAGS)

tests_module_graphs_la_SOURCES = tests/module/graphs.c
tests_module_graphs_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS)
tests_module_graphs_la_LDFLAGS = -module $(GIE_TEST_MODULE_LDFLAGS)

tests_module_init_la_SOURCES = tests/module/init.c
tests_module_init_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS)
tests_module_init_la_LDFLAGS = -module $(GIE_TEST_MODULE_LDFLAGS)

tests_module_kernels_la_SOURCES = tests/module/kernels.c
tests_module_kernels_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS)
tests_module_kernels_la_LDFLAGS = -module $(GIE_TEST_MODULE_LDFLAGS)
tests_module_kernels_la_LIBADD = $(LIBM)

tests_module_layers_la_SOURCES = tests/module/layers.c
tests_module_layers_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS)
tests_module_layers_la_LDFLAGS = -module $(GIE_TEST_MODULE_LDFLAGS)
tests_module_layers_la_LIBADD = $(LIBM)

tests_module_magic_la_SOURCES = tests/module/note_only.c
tests_module_magic_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS) -DTEST_MAGIC=0
tests_module_magic_la_LDFLAGS = -module $(GIE_TEST_OTHER_LDFLAGS)

tests_module_noentry_la_SOURCES = tests/module/note_only.c
tests_module_noentry_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS)
tests_module_noentry_la_LDFLAGS = -module $(GIE_TEST_OTHER_LDFLAGS)

tests_module_plain_la_SOURCES = tests/module/plain.c
tests_module_plain_la_LDFLAGS = -module $(GIE_TEST_OTHER_LDFLAGS)

# Without -z defs: its missing symbol is to be found by the dynamic linker only.
tests_module_undefined_la_SOURCES = tests/module/note_only.c
tests_module_undefined_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS) -DTEST_UNDEFINED
tests_module_undefined_la_LDFLAGS = -module $(GIE_TEST_OTHER_LDFLAGS)

GIE_MODULE_TESTS = tests/module/test_io tests/module/test_load tests/module/test_note tests/module/test_worker
check_PROGRAMS += $(GIE_MODULE_TESTS)
TESTS += $(GIE_MODULE_TESTS) tests/module/plugin_test.sh tests/module/templates.sh

tests_module_test_io_SOURCES = tests/module/test_io.c tests/module/module_check.h
tests_module_test_io_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_module_test_io_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_module_test_load_SOURCES = tests/module/test_load.c tests/module/module_check.h
tests_module_test_load_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_module_test_load_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_module_test_note_SOURCES = tests/module/test_note.c tests/module/module_check.h
tests_module_test_note_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_module_test_note_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_module_test_worker_SOURCES = tests/module/test_worker.c tests/module/module_check.h
tests_module_test_worker_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_module_test_worker_LDADD = libgie_rt_internal.la $(CHECK_LIBS)
