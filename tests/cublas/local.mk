# SPDX-License-Identifier: Apache-2.0
# Tests of the cublas backend; without a device they are skipped.
if HAVE_CUBLAS
check_PROGRAMS += tests/cublas/test_kernels
TESTS += tests/cublas/test_kernels
tests_cublas_test_kernels_SOURCES = tests/cublas/test_kernels.c tests/cublas/gpu_case.c tests/cublas/gpu_case.h
tests_cublas_test_kernels_CPPFLAGS = $(AM_CPPFLAGS) $(CUDA_CPPFLAGS)
tests_cublas_test_kernels_LDFLAGS = $(AM_LDFLAGS) $(GIE_PROGRAM_LDFLAGS) $(CUDA_LDFLAGS)
tests_cublas_test_kernels_LDADD = libgie_internal.la libgie_rt_internal.la $(CUDA_LIBS) $(LIBM)
endif
