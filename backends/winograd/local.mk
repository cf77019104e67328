# SPDX-License-Identifier: Apache-2.0
# The winograd backend: convolutions of the cuda device by Winograd's minimal filtering. A module of its own that
# links with nothing but CUDA's runtime.
if HAVE_CUDA
gie_module_LTLIBRARIES += backends/winograd/winograd.la
backends_winograd_winograd_la_SOURCES = \
  backends/winograd/kernel.c backends/winograd/config.c backends/winograd/winograd.h backends/winograd/tiles.def \
  backends/winograd/forms.c backends/winograd/forms.h backends/winograd/transforms.h backends/winograd/points.def \
  backends/winograd/staged.cu backends/winograd/product.cu backends/winograd/fused.cu backends/winograd/few.cu \
  backends/winograd/launch.cuh backends/winograd/k_common.cuh backends/winograd/k_transform.cuh \
  backends/winograd/k_gemm.cuh backends/winograd/k_group.cuh backends/winograd/k_fused.cuh \
  backends/winograd/k_few_ffma.cuh backends/winograd/k_few_mma.cuh
backends_winograd_winograd_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS) $(CUDA_CPPFLAGS)
backends_winograd_winograd_la_LDFLAGS = -module $(GIE_MODULE_LDFLAGS) $(CUDA_LDFLAGS)
backends_winograd_winograd_la_LIBADD = $(CUDA_LIBS) $(LIBM)
endif
