libgie_rt_internal_la_SOURCES += \
  core/base/arena.c \
  core/base/base.h \
  core/base/buf.c \
  core/base/config_list.h \
  core/base/context.c \
  core/base/file.c \
  core/base/map.c \
  core/base/number.c \
  core/base/save.c \
  core/base/sha256.c
