TESTS += tests/abi/exports.sh tests/abi/frozen.sh tests/abi/headers.sh tests/abi/install.sh tests/abi/layout.sh
EXTRA_DIST += tests/abi/freeze.py

# A host whose ABI is ahead of the modules': its loader and registry are compiled for that.
check_PROGRAMS += tests/abi/host_ahead
tests_abi_host_ahead_SOURCES = tests/abi/host_ahead.c tests/abi/ahead.h core/module/load.c core/module/note.c \
  core/module/registry.c
tests_abi_host_ahead_CPPFLAGS = $(AM_CPPFLAGS) -include $(top_srcdir)/tests/abi/ahead.h
tests_abi_host_ahead_LDADD = libgie_rt_internal.la $(LIBM)
