# The strategy; only libgie has it.
libgie_internal_la_SOURCES += \
  core/tune/cost.c \
  core/tune/key.c \
  core/tune/problem.c \
  core/tune/race.c \
  core/tune/race.h \
  core/tune/race_case.c \
  core/tune/race_run.c \
  core/tune/race_wire.c \
  core/tune/sample.c \
  core/tune/sample.h \
  core/tune/sample_step.c \
  core/tune/sample_sum.c \
  core/tune/tune.h
