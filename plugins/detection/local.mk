# SPDX-License-Identifier: Apache-2.0
# Layers of detection networks, and their kernels for CUDA devices as a module of their own.
detection_common = plugins/detection/detection.h plugins/detection/element.h plugins/detection/kernel.c \
  plugins/detection/setting.c
gie_module_LTLIBRARIES += plugins/detection/detection.la
plugins_detection_detection_la_SOURCES = $(detection_common) \
  plugins/detection/detection.c plugins/detection/detection_output.c \
  plugins/detection/non_max_suppression.c plugins/detection/prior_box.c plugins/detection/proposal.c \
  plugins/detection/roi.c plugins/detection/select.c plugins/detection/yolo_decode.c
plugins_detection_detection_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS)
# A product is rounded before it is added, as on the device (det_mul), whatever the host could fuse.
plugins_detection_detection_la_CFLAGS = $(GIE_CFLAGS) -ffp-contract=off
plugins_detection_detection_la_LDFLAGS = -module $(GIE_MODULE_LDFLAGS)
plugins_detection_detection_la_LIBADD = $(LIBM)

if HAVE_CUDA
gie_module_LTLIBRARIES += plugins/detection/detection_cuda.la
plugins_detection_detection_cuda_la_SOURCES = $(detection_common) plugins/detection/detection_cuda.c \
  plugins/detection/element.cu plugins/detection/regions.cu plugins/detection/select.cuh
plugins_detection_detection_cuda_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS) $(CUDA_CPPFLAGS)
plugins_detection_detection_cuda_la_CFLAGS = $(GIE_CFLAGS) -ffp-contract=off
plugins_detection_detection_cuda_la_LDFLAGS = -module $(GIE_MODULE_LDFLAGS) $(CUDA_LDFLAGS)
plugins_detection_detection_cuda_la_LIBADD = $(CUDA_LIBS) $(LIBM)
endif
