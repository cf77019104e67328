# SPDX-License-Identifier: Apache-2.0
# Layers of VGG-E by the winograd backend and by cuDNN: `make bench/winograd/layers`, then see layers.cu.
if HAVE_CUDNN
EXTRA_PROGRAMS += bench/winograd/layers
bench_winograd_layers_SOURCES = bench/winograd/layers.cu bench/winograd/bench.cuh bench/winograd/engines.cuh bench/winograd/roofline.cuh backends/cudnn/graph.c backends/cudnn/engines.c backends/winograd/config.c backends/winograd/forms.c
bench_winograd_layers_CPPFLAGS = $(AM_CPPFLAGS) $(CUDA_CPPFLAGS) $(CUDNN_CFLAGS)
bench_winograd_layers_LDFLAGS = $(AM_LDFLAGS) $(GIE_PROGRAM_LDFLAGS) $(CUDA_LDFLAGS)
bench_winograd_layers_LDADD = backends/winograd/staged.lo backends/winograd/product.lo backends/winograd/fused.lo \
  backends/winograd/few.lo   $(CUDNN_LIBS) $(CUDA_LIBS) -lstdc++ $(LIBM)
endif
