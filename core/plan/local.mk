libgie_rt_internal_la_SOURCES += core/plan/plan.h \
  core/plan/batch.c core/plan/exec.c core/plan/load.c core/plan/meta.c core/plan/need.c core/plan/plan.c core/plan/save.c
