# SPDX-License-Identifier: Apache-2.0
# The cudnn backend: kernels of cuDNN for the cuda device.
if HAVE_CUDNN
gie_module_LTLIBRARIES += backends/cudnn/cudnn.la
# Everything but the module's table, which a test links with, too.
cudnn_parts = \
  backends/cudnn/cn.h backends/cudnn/graph.c backends/cudnn/graph.h backends/cudnn/engines.c \
  backends/cudnn/form.c backends/cudnn/steps.c backends/cudnn/code.c backends/cudnn/store.c \
  backends/cudnn/library.c backends/cudnn/kernel.c backends/cudnn/run.c backends/cudnn/conv.c \
  backends/cudnn/pool.c backends/cudnn/legacy.c
backends_cudnn_cudnn_la_SOURCES = backends/cudnn/cudnn.c backends/cudnn/kernels.def $(cudnn_parts)
backends_cudnn_cudnn_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS) $(CUDNN_CFLAGS) $(CUDA_CPPFLAGS)
backends_cudnn_cudnn_la_LDFLAGS = -module $(GIE_MODULE_LDFLAGS) $(CUDA_LDFLAGS)
backends_cudnn_cudnn_la_LIBADD = $(CUDNN_LIBS) -lcudart $(LIBM)
endif
