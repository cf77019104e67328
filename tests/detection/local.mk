# SPDX-License-Identifier: Apache-2.0
if HAVE_PROTOC_C
check_PROGRAMS += tests/detection/test_records
TESTS += tests/detection/test_records tests/detection/faces.sh
tests_detection_test_records_SOURCES = tests/detection/test_records.c
tests_detection_test_records_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_detection_test_records_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)
endif
check_PROGRAMS += tests/detection/test_layers
TESTS += tests/detection/test_layers
tests_detection_test_layers_SOURCES = tests/detection/test_layers.c
tests_detection_test_layers_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_detection_test_layers_LDADD = libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)

if HAVE_CUDA
check_PROGRAMS += tests/detection/test_cuda
TESTS += tests/detection/test_cuda tests/detection/plugin_cuda.sh
tests_detection_test_cuda_SOURCES = tests/detection/test_cuda.c
tests_detection_test_cuda_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_detection_test_cuda_LDADD = libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)
endif
