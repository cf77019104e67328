# SPDX-License-Identifier: Apache-2.0
# Tests of the onednn backend.
if HAVE_ONEDNN
check_PROGRAMS += tests/onednn/test_kernels tests/onednn/test_networks
TESTS += tests/onednn/test_kernels tests/onednn/test_networks
tests_onednn_test_kernels_SOURCES = tests/onednn/test_kernels.c \
  tests/op_problem.c tests/op_problem.h tests/op_cases.c tests/op_cases.h tests/op_cases.def
tests_onednn_test_kernels_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_onednn_test_kernels_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)
tests_onednn_test_networks_SOURCES = tests/onednn/test_networks.c
tests_onednn_test_networks_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_onednn_test_networks_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)
endif
