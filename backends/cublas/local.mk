# SPDX-License-Identifier: Apache-2.0
# The cublas backend: matrix products on the device kind "cuda".
if HAVE_CUBLAS
gie_module_LTLIBRARIES += backends/cublas/cublas.la
backends_cublas_cublas_la_SOURCES = \
  backends/cublas/cublas.c backends/cublas/cublas.h backends/cublas/kernels.def \
  backends/cublas/product.c backends/cublas/forms.c backends/cublas/lt.c backends/cublas/lt_api.c backends/cublas/lt_api.h backends/cublas/kernel.c \
  backends/cublas/gemv.c backends/cublas/gemv.h backends/cublas/k_gemv.cu
backends_cublas_cublas_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS) $(CUBLAS_CFLAGS) $(CUDA_CPPFLAGS)
backends_cublas_cublas_la_CFLAGS = $(GIE_CFLAGS)
backends_cublas_cublas_la_LDFLAGS = -module $(GIE_MODULE_LDFLAGS) $(CUDA_LDFLAGS)
backends_cublas_cublas_la_LIBADD = $(CUDA_LIBS)
endif
