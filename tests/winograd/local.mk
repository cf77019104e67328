# SPDX-License-Identifier: Apache-2.0
# Tests of the winograd backend that need no device: the forms and their code.
check_PROGRAMS += tests/winograd/transforms tests/winograd/test_forms tests/winograd/test_conv
TESTS += tests/winograd/generated.sh tests/winograd/test_forms tests/winograd/test_conv

tests_winograd_transforms_SOURCES = backends/winograd/transforms.c backends/winograd/cooktoom.c \
  backends/winograd/cooktoom.h backends/winograd/points.def

tests_winograd_test_forms_SOURCES = tests/winograd/test_forms.c backends/winograd/cooktoom.c \
  backends/winograd/forms.c backends/winograd/forms.h backends/winograd/transforms.h
tests_winograd_test_forms_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_winograd_test_forms_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)

tests_winograd_test_conv_SOURCES = tests/winograd/test_conv.c backends/winograd/forms.c \
  tests/op_cases.c tests/op_cases.h tests/op_cases.def
tests_winograd_test_conv_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_winograd_test_conv_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)

if HAVE_CUDA
check_PROGRAMS += tests/winograd/test_device
TESTS += tests/winograd/test_device
tests_winograd_test_device_SOURCES = tests/winograd/test_device.c tests/op_cases.c tests/op_cases.h tests/op_cases.def
tests_winograd_test_device_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_winograd_test_device_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)
endif
