# SPDX-License-Identifier: Apache-2.0
# Tests of the cudnn backend: of its numbers, graphs and plans everywhere, of its kernels where there is a device.
if HAVE_CUDNN
check_PROGRAMS += tests/cudnn/test_code tests/cudnn/test_plans tests/cudnn/test_kernels
TESTS += tests/cudnn/test_code tests/cudnn/test_plans tests/cudnn/test_kernels
tests_cudnn_test_code_SOURCES = tests/cudnn/test_code.c backends/cudnn/code.c backends/cudnn/cn.h
tests_cudnn_test_code_CPPFLAGS = $(GIE_CPPFLAGS) $(CUDNN_CFLAGS) $(CUDA_CPPFLAGS)
tests_cudnn_test_code_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_cudnn_test_code_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)
tests_cudnn_test_plans_SOURCES = tests/cudnn/test_plans.c \
  tests/op_cases.c tests/op_cases.h tests/op_cases.def $(cudnn_parts)
tests_cudnn_test_plans_CPPFLAGS = $(GIE_CPPFLAGS) $(CUDNN_CFLAGS) $(CUDA_CPPFLAGS)
tests_cudnn_test_plans_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_cudnn_test_plans_LDFLAGS = $(AM_LDFLAGS) $(CUDA_LDFLAGS)
tests_cudnn_test_plans_LDADD = libgie_internal.la libgie_rt_internal.la $(CUDNN_LIBS) -lcudart $(CHECK_LIBS) $(LIBM)
tests_cudnn_test_kernels_SOURCES = tests/cudnn/test_kernels.c tests/cudnn/windows.def \
  tests/op_problem.c tests/op_problem.h tests/op_cases.c tests/op_cases.h tests/op_cases.def
tests_cudnn_test_kernels_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_cudnn_test_kernels_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)
endif
