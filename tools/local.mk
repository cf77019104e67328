# The command. Everything but main() is in a library of its own, which the tests link with.
noinst_LTLIBRARIES += tools/libtools.la
tools_libtools_la_SOURCES = \
  tools/bench.c tools/bench.h \
  tools/bench_baseline.c \
  tools/bench_report.c \
  tools/bench_stats.c tools/bench_stats.h \
  tools/binaryproto.c \
  tools/build.c tools/build.h \
  tools/cache.c \
  tools/check.c \
  tools/compare.c \
  tools/debug.c \
  tools/debug_judge.c tools/debug_judge.h \
  tools/debug_reference.c tools/debug_reference.h \
  tools/diff.c tools/diff.h \
  tools/draw.c tools/draw.h \
  tools/explain.c \
  tools/feed.c tools/feed.h \
  tools/font.c tools/font.h \
  tools/image.c tools/image.h \
  tools/inspect.c tools/inspect.h tools/inspect_plan.c \
  tools/jpeg.c \
  tools/json.c \
  tools/json_read.c \
  tools/kernels.c tools/kernels.h \
  tools/layers.c tools/layers.h \
  tools/measure.c \
  tools/net.c tools/net.h \
  tools/npy.c \
  tools/opt.c tools/opt.h tools/opt_report.c tools/opt_streams.c \
  tools/option.c \
  tools/plugin.c tools/plugin.h tools/plugin_test.c \
  tools/png.c \
  tools/precision.c tools/precision.h \
  tools/print.c \
  tools/profile.c tools/profile.h \
  tools/proto.c \
  tools/report.c tools/report.h \
  tools/resize.c \
  tools/retune.c \
  tools/run.c \
  tools/stop.c \
  tools/table.c \
  tools/target.c \
  tools/tensor.h tools/tensor_io.c \
  tools/tool.h
tools_libtools_la_CFLAGS = $(GIE_CFLAGS) $(PNG_CFLAGS) $(JPEG_CFLAGS)
tools_libtools_la_LIBADD = $(PNG_LIBS) $(JPEG_LIBS) $(LIBM)

dist_man_MANS += doc/gie.1

bin_PROGRAMS += tools/gie
tools_gie_SOURCES = tools/gie.c
tools_gie_LDADD = tools/libtools.la libgie_internal.la libgie_rt_internal.la
tools_gie_LDFLAGS = $(GIE_LDFLAGS) $(GIE_PROGRAM_LDFLAGS)
