# SPDX-License-Identifier: Apache-2.0
# Tests of the cublas backend. test_kernels needs a device and is skipped without one.
if HAVE_CUBLAS
check_PROGRAMS += tests/cublas/test_kernels tests/cublas/test_product
TESTS += tests/cublas/test_kernels tests/cublas/test_product
tests_cublas_test_kernels_SOURCES = tests/cublas/test_kernels.c tests/cublas/gpu_case.c tests/cublas/gpu_case.h
tests_cublas_test_kernels_CPPFLAGS = $(AM_CPPFLAGS) $(CUDA_CPPFLAGS)
tests_cublas_test_kernels_LDFLAGS = $(AM_LDFLAGS) $(GIE_PROGRAM_LDFLAGS) $(CUDA_LDFLAGS)
tests_cublas_test_kernels_LDADD = libgie_internal.la libgie_rt_internal.la $(CUDA_LIBS) $(LIBM)
tests_cublas_test_product_SOURCES = tests/cublas/test_product.c tests/cublas/gpu_case.c tests/cublas/gpu_case.h \
  backends/cublas/product.c backends/cublas/forms.c backends/cublas/lt.c backends/cublas/lt_api.c
tests_cublas_test_product_CPPFLAGS = $(AM_CPPFLAGS) $(CUBLAS_CFLAGS) $(CUDA_CPPFLAGS)
tests_cublas_test_product_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_cublas_test_product_LDFLAGS = $(AM_LDFLAGS) $(GIE_PROGRAM_LDFLAGS) $(CUDA_LDFLAGS)
tests_cublas_test_product_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(CUDA_LIBS) $(LIBM)
endif
