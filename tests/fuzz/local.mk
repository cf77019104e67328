# A target NAME is fuzz_NAME.c with its seeds in corpus/NAME. Every build replays the seeds; the libFuzzer
# programs are built on demand, by `make fuzz`.
check_PROGRAMS += tests/fuzz/replay_text
TESTS += tests/fuzz/replay.sh
tests_fuzz_replay_text_SOURCES = tests/fuzz/replay.c tests/fuzz/fuzz_text.c tests/fuzz/fuzz.h
tests_fuzz_replay_text_LDADD = libgie_internal.la libgie_rt_internal.la $(LIBM)

EXTRA_PROGRAMS += tests/fuzz/fuzz_text
tests_fuzz_fuzz_text_SOURCES = tests/fuzz/fuzz_text.c
tests_fuzz_fuzz_text_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_text_LDADD = libgie_internal.la libgie_rt_internal.la $(LIBM)

check_PROGRAMS += tests/fuzz/replay_plan
tests_fuzz_replay_plan_SOURCES = tests/fuzz/replay.c tests/fuzz/fuzz_plan.c tests/fuzz/fuzz.h tests/plan/plan_bytes.c \
  tests/plan/plan_bytes.h
tests_fuzz_replay_plan_LDADD = libgie_rt_internal.la $(LIBM)

EXTRA_PROGRAMS += tests/fuzz/fuzz_plan
tests_fuzz_fuzz_plan_SOURCES = tests/fuzz/fuzz_plan.c tests/fuzz/fuzz.h tests/plan/plan_bytes.c tests/plan/plan_bytes.h
tests_fuzz_fuzz_plan_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_plan_LDADD = libgie_rt_internal.la $(LIBM)

check_PROGRAMS += tests/fuzz/replay_cache
tests_fuzz_replay_cache_SOURCES = tests/fuzz/replay.c tests/fuzz/fuzz_cache.c tests/fuzz/fuzz.h
tests_fuzz_replay_cache_LDADD = libgie_internal.la libgie_rt_internal.la $(LIBM)

EXTRA_PROGRAMS += tests/fuzz/fuzz_cache
tests_fuzz_fuzz_cache_SOURCES = tests/fuzz/fuzz_cache.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_cache_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_cache_LDADD = libgie_internal.la libgie_rt_internal.la $(LIBM)

if HAVE_PROTOC_C
# The importer itself is linked, so that the fuzzer sees into it.
fuzz_onnx_sources = tests/fuzz/fuzz_onnx.c tests/fuzz/fuzz.h $(onnx_sources)
check_PROGRAMS += tests/fuzz/replay_onnx
tests_fuzz_replay_onnx_SOURCES = tests/fuzz/replay.c $(fuzz_onnx_sources)
nodist_tests_fuzz_replay_onnx_SOURCES = plugins/onnx/onnx.pb-c.c
tests_fuzz_replay_onnx_CPPFLAGS = $(AM_CPPFLAGS) $(PROTOBUF_C_CFLAGS)
tests_fuzz_replay_onnx_LDADD = libgie_internal.la libgie_rt_internal.la $(PROTOBUF_C_LIBS) $(LIBM)

EXTRA_PROGRAMS += tests/fuzz/fuzz_onnx
tests_fuzz_fuzz_onnx_SOURCES = $(fuzz_onnx_sources)
nodist_tests_fuzz_fuzz_onnx_SOURCES = plugins/onnx/onnx.pb-c.c
tests_fuzz_fuzz_onnx_CPPFLAGS = $(AM_CPPFLAGS) $(PROTOBUF_C_CFLAGS)
$(tests_fuzz_fuzz_onnx_OBJECTS): plugins/onnx/onnx.pb-c.h
tests_fuzz_fuzz_onnx_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_onnx_LDADD = libgie_internal.la libgie_rt_internal.la $(PROTOBUF_C_LIBS) $(LIBM)
endif

if HAVE_PROTOC_C
fuzz_caffe_flags = -DCAFFE_MAX_RANDOM=65536 $(AM_CPPFLAGS) $(PROTOBUF_C_CFLAGS)
fuzz_caffe_libs = libgie_internal.la libgie_rt_internal.la $(PROTOBUF_C_LIBS) $(LIBM)

fuzz_prototxt_sources = tests/fuzz/fuzz_prototxt.c tests/fuzz/fuzz.h $(caffe_sources)
check_PROGRAMS += tests/fuzz/replay_prototxt
tests_fuzz_replay_prototxt_SOURCES = tests/fuzz/replay.c $(fuzz_prototxt_sources)
nodist_tests_fuzz_replay_prototxt_SOURCES = plugins/caffe/caffe.pb-c.c
tests_fuzz_replay_prototxt_CPPFLAGS = $(fuzz_caffe_flags)
tests_fuzz_replay_prototxt_LDADD = $(fuzz_caffe_libs)

EXTRA_PROGRAMS += tests/fuzz/fuzz_prototxt
tests_fuzz_fuzz_prototxt_SOURCES = $(fuzz_prototxt_sources)
nodist_tests_fuzz_fuzz_prototxt_SOURCES = plugins/caffe/caffe.pb-c.c
tests_fuzz_fuzz_prototxt_CPPFLAGS = $(fuzz_caffe_flags)
$(tests_fuzz_fuzz_prototxt_OBJECTS): plugins/caffe/caffe.pb-c.h
tests_fuzz_fuzz_prototxt_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_prototxt_LDADD = $(fuzz_caffe_libs)

fuzz_caffemodel_sources = tests/fuzz/fuzz_caffemodel.c tests/fuzz/fuzz.h $(caffe_sources)
check_PROGRAMS += tests/fuzz/replay_caffemodel
tests_fuzz_replay_caffemodel_SOURCES = tests/fuzz/replay.c $(fuzz_caffemodel_sources)
nodist_tests_fuzz_replay_caffemodel_SOURCES = plugins/caffe/caffe.pb-c.c
tests_fuzz_replay_caffemodel_CPPFLAGS = $(fuzz_caffe_flags)
tests_fuzz_replay_caffemodel_LDADD = $(fuzz_caffe_libs)

EXTRA_PROGRAMS += tests/fuzz/fuzz_caffemodel
tests_fuzz_fuzz_caffemodel_SOURCES = $(fuzz_caffemodel_sources)
nodist_tests_fuzz_fuzz_caffemodel_SOURCES = plugins/caffe/caffe.pb-c.c
tests_fuzz_fuzz_caffemodel_CPPFLAGS = $(fuzz_caffe_flags)
$(tests_fuzz_fuzz_caffemodel_OBJECTS): plugins/caffe/caffe.pb-c.h
tests_fuzz_fuzz_caffemodel_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_caffemodel_LDADD = $(fuzz_caffe_libs)
endif

PHONY_TARGETS += fuzz
fuzz:
	$(AM_TESTS_ENVIRONMENT) FUZZ_SECONDS='$(FUZZ_SECONDS)' FUZZ_TARGETS='$(FUZZ_TARGETS)' \
	  $(top_srcdir)/tests/fuzz/fuzz.sh
