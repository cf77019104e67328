# The strategy; only libgie has it.
libgie_internal_la_SOURCES += \
  core/tune/cost.c \
  core/tune/key.c \
  core/tune/problem.c \
  core/tune/pbqp.c \
  core/tune/pbqp.h \
  core/tune/pbqp_core.c \
  core/tune/pbqp_local.c \
  core/tune/tune.h
