# SPDX-License-Identifier: Apache-2.0
# The Caffe format module; see plugins/onnx/local.mk.
if HAVE_PROTOC_C
gie_module_LTLIBRARIES += plugins/caffe/caffe.la
caffe_sources = plugins/caffe/caffe.h plugins/caffe/text.h \
  plugins/caffe/caffe.c plugins/caffe/custom.c plugins/caffe/emit.c plugins/caffe/layers.c plugins/caffe/lower_basic.c \
  plugins/caffe/lower_move.c plugins/caffe/lower_net.c plugins/caffe/model.c plugins/caffe/net.c \
  plugins/caffe/param.c plugins/caffe/text.c plugins/caffe/upgrade.c \
  plugins/common/prescan.c plugins/common/prescan.h plugins/common/unpack.c plugins/common/unpack.h \
  plugins/common/utf8.h
plugins_caffe_caffe_la_SOURCES = $(caffe_sources) \
  core/base/arena.c core/base/buf.c core/base/map.c core/base/number.c
nodist_plugins_caffe_caffe_la_SOURCES = plugins/caffe/caffe.pb-c.c plugins/caffe/caffe.pb-c.h
plugins_caffe_caffe_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS) $(PROTOBUF_C_CFLAGS)
plugins_caffe_caffe_la_CFLAGS = $(GIE_CFLAGS)
plugins_caffe_caffe_la_LDFLAGS = -module $(GIE_MODULE_LDFLAGS)
plugins_caffe_caffe_la_LIBADD = $(PROTOBUF_C_LIBS) $(LIBM)

BUILT_SOURCES += plugins/caffe/caffe.pb-c.h
CLEANFILES += plugins/caffe/caffe.pb-c.c plugins/caffe/caffe.pb-c.h

plugins/caffe/caffe.pb-c.h: plugins/caffe/caffe.proto
	$(AM_V_GEN)$(MKDIR_P) plugins/caffe && \
	  $(PROTOC_C) --proto_path=$(top_srcdir) --c_out=. $(top_srcdir)/plugins/caffe/caffe.proto
plugins/caffe/caffe.pb-c.c: plugins/caffe/caffe.pb-c.h
	@test -f $@ || { rm -f plugins/caffe/caffe.pb-c.h && $(MAKE) $(AM_MAKEFLAGS) plugins/caffe/caffe.pb-c.h; }
endif
EXTRA_DIST += plugins/caffe/caffe.proto
