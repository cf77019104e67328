# SPDX-License-Identifier: Apache-2.0
# The onednn backend: fast kernels for the cpu device.
if HAVE_ONEDNN
gie_module_LTLIBRARIES += backends/onednn/onednn.la
backends_onednn_onednn_la_SOURCES = \
  backends/onednn/onednn.c backends/onednn/onednn.h backends/onednn/kernels.def \
  backends/onednn/api.c backends/onednn/api.h backends/onednn/form.c backends/onednn/build.c \
  backends/onednn/steps.c backends/onednn/kernel.c backends/onednn/run.c \
  backends/onednn/conv.c backends/onednn/matmul.c backends/onednn/window.c backends/onednn/pointwise.c \
  backends/onednn/move.c backends/onednn/resize.c
backends_onednn_onednn_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS) $(DNNL_CFLAGS)
backends_onednn_onednn_la_CFLAGS = $(GIE_CFLAGS) $(OPENMP_CFLAGS)
backends_onednn_onednn_la_LDFLAGS = -module $(GIE_MODULE_LDFLAGS)
backends_onednn_onednn_la_LIBADD = $(DNNL_LIBS) $(LIBM)
endif
