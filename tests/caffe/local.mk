# SPDX-License-Identifier: Apache-2.0
if HAVE_PROTOC_C
CAFFE_TESTS = tests/caffe/test_accuracy tests/caffe/test_bad tests/caffe/test_import tests/caffe/test_records tests/caffe/test_text
check_PROGRAMS += $(CAFFE_TESTS)
TESTS += $(CAFFE_TESTS) tests/caffe/old_days.sh tests/caffe/squeezenet.sh
EXTRA_DIST += tests/caffe/squeezenet.sh tests/caffe/record_opencv.py tests/caffe/record_random.py

tests_caffe_test_accuracy_SOURCES = tests/caffe/test_accuracy.c
tests_caffe_test_accuracy_LDADD = tools/libtools.la libgie_internal.la libgie_rt_internal.la $(PNG_LIBS) $(JPEG_LIBS) \
  -lz $(LIBM)

tests_caffe_test_bad_SOURCES = tests/caffe/test_bad.c tests/caffe/caffe_test.h
tests_caffe_test_bad_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_caffe_test_bad_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_caffe_test_import_SOURCES = tests/caffe/test_import.c tests/caffe/caffe_test.h
tests_caffe_test_import_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_caffe_test_import_LDADD = libgie_rt_internal.la $(CHECK_LIBS)

tests_caffe_test_records_SOURCES = tests/caffe/test_records.c
tests_caffe_test_records_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_caffe_test_records_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)

tests_caffe_test_text_SOURCES = tests/caffe/test_text.c plugins/caffe/text.c plugins/caffe/text.h
tests_caffe_test_text_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_caffe_test_text_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)
endif
