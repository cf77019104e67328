# SPDX-License-Identifier: Apache-2.0
gie_module_LTLIBRARIES += plugins/detection/detection.la
plugins_detection_detection_la_SOURCES = plugins/detection/detection.h \
  plugins/detection/detection.c plugins/detection/detection_output.c plugins/detection/kernel.c \
  plugins/detection/non_max_suppression.c plugins/detection/prior_box.c plugins/detection/proposal.c \
  plugins/detection/roi.c plugins/detection/select.c plugins/detection/yolo_decode.c
plugins_detection_detection_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS)
plugins_detection_detection_la_CFLAGS = $(GIE_CFLAGS)
plugins_detection_detection_la_LDFLAGS = -module $(GIE_MODULE_LDFLAGS)
plugins_detection_detection_la_LIBADD = $(LIBM)
