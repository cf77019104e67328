libgie_rt_internal_la_SOURCES += core/ir/ir.h core/ir/ops.def \
  core/ir/attrs.c core/ir/blob.c core/ir/clone.c core/ir/dim.c core/ir/graph.c core/ir/layout.c \
  core/ir/node.c core/ir/value.c

# The text form
libgie_rt_internal_la_SOURCES += core/ir/text.h core/ir/read.h core/ir/lex.c core/ir/read.c \
  core/ir/read_type.c core/ir/read_attr.c core/ir/write.c core/ir/weights.c core/ir/text_file.c core/ir/dot.c

# Ops, checks, shape inference
libgie_rt_internal_la_SOURCES += core/ir/ops.c core/ir/check.c core/ir/infer.h core/ir/infer.c core/ir/infer_util.c core/ir/infer_bodies.c \
  core/ir/infer_window.c core/ir/infer_matmul.c core/ir/infer_pointwise.c core/ir/infer_reduce.c \
  core/ir/infer_move.c core/ir/infer_reshape.c core/ir/infer_slice.c core/ir/infer_resize.c core/ir/infer_shape.c

# The verifier
libgie_rt_internal_la_SOURCES += core/ir/verify.h core/ir/verify.c core/ir/verify_value.c
