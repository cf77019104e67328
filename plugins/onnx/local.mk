# SPDX-License-Identifier: Apache-2.0
# The ONNX format module. It carries its own copy of what it uses of core/base, since modules link with no library of gie.
if HAVE_PROTOC_C
gie_module_LTLIBRARIES += plugins/onnx/onnx.la
onnx_sources = plugins/onnx/onnx.h plugins/onnx/op_list.h \
  plugins/onnx/attr.c plugins/onnx/emit.c plugins/onnx/export.c plugins/onnx/export.h plugins/onnx/export_data.c \
  plugins/onnx/export_graph.c plugins/onnx/export_op.c plugins/onnx/export_raw.c \
  plugins/onnx/external.c plugins/onnx/function.c plugins/onnx/graph.c \
  plugins/onnx/lower_basic.c plugins/onnx/lower_move.c plugins/onnx/lower_net.c plugins/onnx/lower_resize.c \
  plugins/onnx/onnx.c plugins/onnx/opaque.c plugins/onnx/ops.c plugins/onnx/order.c plugins/onnx/schema.c \
  plugins/onnx/tensor.c plugins/onnx/type.c plugins/onnx/wire.c \
  plugins/common/prescan.c plugins/common/prescan.h plugins/common/unpack.c plugins/common/unpack.h \
  plugins/common/utf8.h
plugins_onnx_onnx_la_SOURCES = $(onnx_sources) \
  core/base/arena.c core/base/buf.c core/base/map.c core/base/number.c \
  core/base/save.c core/base/sha256.c
nodist_plugins_onnx_onnx_la_SOURCES = plugins/onnx/onnx.pb-c.c plugins/onnx/onnx.pb-c.h
plugins_onnx_onnx_la_CPPFLAGS = $(GIE_MODULE_CPPFLAGS) $(PROTOBUF_C_CFLAGS)
plugins_onnx_onnx_la_CFLAGS = $(GIE_CFLAGS)
plugins_onnx_onnx_la_LDFLAGS = -module $(GIE_MODULE_LDFLAGS)
plugins_onnx_onnx_la_LIBADD = $(PROTOBUF_C_LIBS) $(LIBM)

BUILT_SOURCES += plugins/onnx/onnx.pb-c.h
CLEANFILES += plugins/onnx/onnx.pb-c.c plugins/onnx/onnx.pb-c.h

plugins/onnx/onnx.pb-c.h: plugins/onnx/onnx.proto
	$(AM_V_GEN)$(MKDIR_P) plugins/onnx && \
	  $(PROTOC_C) --proto_path=$(top_srcdir) --c_out=. $(top_srcdir)/plugins/onnx/onnx.proto
plugins/onnx/onnx.pb-c.c: plugins/onnx/onnx.pb-c.h
	@test -f $@ || { rm -f plugins/onnx/onnx.pb-c.h && $(MAKE) $(AM_MAKEFLAGS) plugins/onnx/onnx.pb-c.h; }
endif
EXTRA_DIST += plugins/onnx/onnx.proto
