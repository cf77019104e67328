# SPDX-License-Identifier: Apache-2.0
if HAVE_PROTOC_C
CAFFE_TESTS = tests/caffe/test_text
check_PROGRAMS += $(CAFFE_TESTS)
TESTS += $(CAFFE_TESTS)

tests_caffe_test_text_SOURCES = tests/caffe/test_text.c plugins/caffe/text.c plugins/caffe/text.h
tests_caffe_test_text_CFLAGS = $(GIE_CFLAGS) $(CHECK_CFLAGS)
tests_caffe_test_text_LDADD = libgie_internal.la libgie_rt_internal.la $(CHECK_LIBS) $(LIBM)
endif
