# SPDX-License-Identifier: Apache-2.0
# Tests of the cuda backend. What runs on a device is skipped without one.
check_PROGRAMS += tests/cuda/test_steps
TESTS += tests/cuda/test_steps
tests_cuda_test_steps_SOURCES = tests/cuda/test_steps.c tests/cuda/steps_vector.h \
  tests/op_cases.c tests/op_cases.h tests/op_cases.def
tests_cuda_test_steps_CPPFLAGS = $(GIE_CPPFLAGS) $(CUDA_CPPFLAGS)
tests_cuda_test_steps_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_cuda_test_steps_LDFLAGS = $(GIE_LDFLAGS) $(CUDA_LDFLAGS)
tests_cuda_test_steps_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)

if HAVE_CUDA
tests_cuda_test_steps_SOURCES += tests/cuda/steps_vector.cu
tests_cuda_test_steps_CPPFLAGS += -DSTEPS_VECTOR
tests_cuda_test_steps_LDADD += $(CUDA_LIBS)

check_PROGRAMS += tests/cuda/test_kernels tests/cuda/test_device
TESTS += tests/cuda/test_kernels tests/cuda/test_device
tests_cuda_test_kernels_SOURCES = tests/cuda/test_kernels.c \
  tests/op_problem.c tests/op_problem.h tests/op_cases.c tests/op_cases.h tests/op_cases.def
tests_cuda_test_kernels_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_cuda_test_kernels_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)
check_PROGRAMS += tests/cuda/test_copies
TESTS += tests/cuda/test_copies
tests_cuda_test_copies_SOURCES = tests/cuda/test_copies.cu
tests_cuda_test_copies_LDFLAGS = $(GIE_LDFLAGS) $(GIE_PROGRAM_LDFLAGS) $(CUDA_LDFLAGS)
tests_cuda_test_copies_LDADD = backends/cuda/copy.lo backends/cuda/rows.lo $(CUDA_LIBS) $(CHECK_LIBS) $(LIBM)
tests_cuda_test_device_SOURCES = tests/cuda/test_device.c
tests_cuda_test_device_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_cuda_test_device_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)
endif

if HAVE_CUDA
check_PROGRAMS += tests/cuda/test_conv
TESTS += tests/cuda/test_conv
tests_cuda_test_conv_SOURCES = tests/cuda/test_conv.c \
  tests/op_problem.c tests/op_problem.h tests/op_cases.c tests/op_cases.h tests/op_cases.def
tests_cuda_test_conv_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_cuda_test_conv_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)
check_PROGRAMS += tests/cuda/test_same_bits
TESTS += tests/cuda/test_same_bits
tests_cuda_test_same_bits_SOURCES = tests/cuda/test_same_bits.c \
  tests/op_problem.c tests/op_problem.h tests/op_cases.c tests/op_cases.h tests/op_cases.def
tests_cuda_test_same_bits_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_cuda_test_same_bits_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)
endif
