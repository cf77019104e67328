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

PHONY_TARGETS += fuzz
fuzz:
	$(AM_TESTS_ENVIRONMENT) FUZZ_SECONDS='$(FUZZ_SECONDS)' FUZZ_TARGETS='$(FUZZ_TARGETS)' \
	  $(top_srcdir)/tests/fuzz/fuzz.sh
