libgie_rt_internal_la_SOURCES += core/ir/ir.h core/ir/ops.def \
  core/ir/attrs.c core/ir/blob.c core/ir/clone.c core/ir/dim.c core/ir/graph.c core/ir/layout.c \
  core/ir/node.c core/ir/value.c
