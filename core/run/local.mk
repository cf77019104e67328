libgie_rt_internal_la_SOURCES += core/run/run.h \
  core/run/bind.c core/run/build.c core/run/device.c core/run/engine.c core/run/exec.c core/run/flow.c core/run/memory.c core/run/once.c \
  core/run/place.c core/run/problem.c core/run/profile.c core/run/rules.c core/run/schedule.c \
  core/run/segment.c core/run/shapes.c core/run/specialize.c core/run/tail.c core/run/tensor.c core/run/threads.c core/run/weights.c
