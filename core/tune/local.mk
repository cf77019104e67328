# The strategy; only libgie has it.
libgie_internal_la_SOURCES += \
  core/tune/cost.c \
  core/tune/key.c \
  core/tune/problem.c \
  core/tune/tune.h
