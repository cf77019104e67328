# SPDX-License-Identifier: Apache-2.0
if HAVE_PROTOC_C
ONNX_TESTS = tests/onnx/test_attributes tests/onnx/test_bad tests/onnx/test_export tests/onnx/test_external \
  tests/onnx/test_forms tests/onnx/test_functions tests/onnx/test_import tests/onnx/test_windows tests/onnx/test_wire
check_PROGRAMS += $(ONNX_TESTS) tests/onnx/node_tests
TESTS += $(ONNX_TESTS) tests/onnx/node_tests.sh tests/onnx/node_export.sh
EXTRA_DIST += tests/onnx/check_export.py tests/onnx/if_networks.py tests/onnx/node_export.sh tests/onnx/node_tests.sh \
  tests/onnx/excluded.txt

tests_onnx_test_bad_SOURCES = tests/onnx/test_bad.c
tests_onnx_test_bad_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_onnx_test_bad_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_onnx_test_export_SOURCES = tests/onnx/test_export.c
tests_onnx_test_export_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_onnx_test_export_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS)

tests_onnx_test_external_SOURCES = tests/onnx/test_external.c
tests_onnx_test_external_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_onnx_test_external_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_onnx_test_forms_SOURCES = tests/onnx/test_forms.c
tests_onnx_test_forms_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_onnx_test_forms_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_onnx_test_functions_SOURCES = tests/onnx/test_functions.c tests/onnx/onnx_forms.h
tests_onnx_test_functions_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_onnx_test_functions_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_onnx_test_import_SOURCES = tests/onnx/test_import.c tests/onnx/onnx_forms.h
tests_onnx_test_import_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_onnx_test_import_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_onnx_test_attributes_SOURCES = tests/onnx/test_attributes.c
tests_onnx_test_attributes_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_onnx_test_attributes_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_onnx_test_windows_SOURCES = tests/onnx/test_windows.c
tests_onnx_test_windows_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_onnx_test_windows_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_onnx_test_wire_SOURCES = tests/onnx/test_wire.c tests/onnx/onnx_test.h tests/onnx/onnx_build.h
tests_onnx_test_wire_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_onnx_test_wire_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_onnx_node_tests_SOURCES = tests/onnx/node_tests.c tests/onnx/node_tests.h tests/onnx/node_data.c tests/onnx/node_doc.c
nodist_tests_onnx_node_tests_SOURCES = plugins/onnx/onnx.pb-c.c
tests_onnx_node_tests_CPPFLAGS = $(AM_CPPFLAGS) $(PROTOBUF_C_CFLAGS)
tests_onnx_node_tests_CFLAGS = $(GIE_CFLAGS)
tests_onnx_node_tests_LDADD = libgie_internal.la libgie_rt_internal.la $(PROTOBUF_C_LIBS) $(LIBM)

# Writes doc/onnx-support.md again.
onnx-support: tests/onnx/node_tests all
	$(AM_TESTS_ENVIRONMENT) tests/onnx/node_tests --doc=$(abs_top_srcdir)/doc/onnx-support.md
PHONY_TARGETS += onnx-support
endif
