libgie_internal_la_SOURCES += \
  core/tune/pbqp.c \
  core/tune/pbqp.h \
  core/tune/pbqp_core.c \
  core/tune/pbqp_local.c \
  core/tune/tune.h
