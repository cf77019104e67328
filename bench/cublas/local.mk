# SPDX-License-Identifier: Apache-2.0
# Times of the cublas backend's variants: `make bench-programs`, then see products.c.
if HAVE_CUBLAS
EXTRA_PROGRAMS += bench/cublas/products
bench_cublas_products_SOURCES = bench/cublas/products.c tests/cublas/gpu_case.c tests/cublas/gpu_case.h
bench_cublas_products_CPPFLAGS = $(AM_CPPFLAGS) $(CUDA_CPPFLAGS)
bench_cublas_products_LDFLAGS = $(AM_LDFLAGS) $(GIE_PROGRAM_LDFLAGS) $(CUDA_LDFLAGS)
bench_cublas_products_LDADD = libgie_internal.la libgie_rt_internal.la $(CUDA_LIBS) $(LIBM)
endif
