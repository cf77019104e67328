# Compiled apart: the only file that knows the installed paths.
noinst_LTLIBRARIES += core/module/libdirs.la
core_module_libdirs_la_SOURCES = core/module/dirs.c
core_module_libdirs_la_CPPFLAGS = $(AM_CPPFLAGS) $(GIE_DIR_CPPFLAGS)

libgie_rt_internal_la_SOURCES += core/module/registry.h \
  core/module/context.c core/module/io.c core/module/load.c core/module/note.c core/module/registry.c
libgie_rt_internal_la_LIBADD += core/module/libdirs.la
