# The strategy; only libgie has it.
libgie_internal_la_SOURCES += \
  core/tune/alts.c \
  core/tune/ask.c \
  core/tune/build.c \
  core/tune/cache.c \
  core/tune/cache.h \
  core/tune/cache_file.c \
  core/tune/cache_place.c \
  core/tune/cache_text.c \
  core/tune/cands.c \
  core/tune/consts.c \
  core/tune/cost.c \
  core/tune/failed.c \
  core/tune/fit.c \
  core/tune/home.c \
  core/tune/key.c \
  core/tune/lower.c \
  core/tune/measure.c \
  core/tune/pbqp.c \
  core/tune/pbqp.h \
  core/tune/pbqp_core.c \
  core/tune/pbqp_local.c \
  core/tune/peaks.c \
  core/tune/price.c \
  core/tune/problem.c core/tune/prune.c \
  core/tune/race.c \
  core/tune/race.h \
  core/tune/race_case.c \
  core/tune/race_run.c \
  core/tune/race_wire.c \
  core/tune/range.c \
  core/tune/sample.c \
  core/tune/sample.h \
  core/tune/sample_step.c \
  core/tune/sample_sum.c \
  core/tune/select.h \
  core/tune/solve.c \
  core/tune/streams.c \
  core/tune/structure.c \
  core/tune/table.c \
  core/tune/target.c \
  core/tune/tune.h \
  core/tune/ways.c \
  core/tune/ways.h
