# The strategy; only libgie has it.
libgie_internal_la_SOURCES += \
  core/tune/alts.c \
  core/tune/build.c \
  core/tune/cands.c \
  core/tune/cost.c \
  core/tune/key.c \
  core/tune/lower.c \
  core/tune/measure.c \
  core/tune/pbqp.c \
  core/tune/pbqp.h \
  core/tune/pbqp_core.c \
  core/tune/pbqp_local.c \
  core/tune/problem.c \
  core/tune/select.h \
  core/tune/solve.c \
  core/tune/tune.h
