if HAVE_PROTOC_C
ONNX_TESTS = tests/onnx/test_bad tests/onnx/test_external tests/onnx/test_wire
check_PROGRAMS += $(ONNX_TESTS)
TESTS += $(ONNX_TESTS)

tests_onnx_test_wire_SOURCES = tests/onnx/test_wire.c tests/onnx/onnx_test.h tests/onnx/onnx_build.h
tests_onnx_test_wire_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_onnx_test_wire_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_onnx_test_bad_SOURCES = tests/onnx/test_bad.c
tests_onnx_test_bad_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_onnx_test_bad_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_onnx_test_external_SOURCES = tests/onnx/test_external.c
tests_onnx_test_external_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_onnx_test_external_LDADD = libgie_rt_internal.la $(CHECK_LIBS)
endif
