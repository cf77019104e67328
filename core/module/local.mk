# Compiled apart: the only file that knows the installed paths.
noinst_LTLIBRARIES += core/module/libdirs.la
core_module_libdirs_la_SOURCES = core/module/dirs.c
core_module_libdirs_la_CPPFLAGS = $(AM_CPPFLAGS) $(GIE_DIR_CPPFLAGS)

libgie_rt_internal_la_SOURCES += \
  core/module/probe.h core/module/registry.h core/module/wire.h core/module/worker.h \
  core/module/conform.c core/module/conform.h core/module/conform_format.c core/module/conform_graph.c \
  core/module/conform_guess.c core/module/conform_kernel.c core/module/conform_op.c core/module/conform_pass.c \
  core/module/random_graph.c core/module/random_graph.h core/module/random_gen.h core/module/random_ints.c \
  core/module/context.c core/module/io.c core/module/load.c core/module/note.c \
  core/module/probe.c core/module/probe_data.c core/module/registry.c core/module/side.c core/module/side.h \
  core/module/side_buffer.c core/module/side_case.c core/module/side_check.c core/module/variant.c \
  core/module/wire.c core/module/worker.c
libgie_rt_internal_la_LIBADD += core/module/libdirs.la

gie_libexec_PROGRAMS += tools/gie-worker
tools_gie_worker_SOURCES = tools/gie-worker.c
tools_gie_worker_LDADD = libgie_internal.la libgie_rt_internal.la
