libgie_rt_internal_la_SOURCES += core/ir/ir.h core/ir/ops.def \
  core/ir/attrs.c core/ir/blob.c core/ir/clone.c core/ir/dim.c core/ir/graph.c core/ir/layout.c \
  core/ir/node.c core/ir/value.c

# The text form
libgie_rt_internal_la_SOURCES += core/ir/text.h core/ir/read.h core/ir/lex.c core/ir/read.c \
  core/ir/read_type.c core/ir/read_attr.c core/ir/write.c core/ir/weights.c core/ir/text_file.c core/ir/dot.c
