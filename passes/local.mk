libgie_internal_la_SOURCES += passes/passes.def passes/perm.h passes/util.h \
  passes/eliminate_common_subexpression.c \
  passes/eliminate_deadend.c \
  passes/eliminate_duplicate_initializer.c \
  passes/eliminate_identity.c \
  passes/eliminate_if_with_const_cond.c \
  passes/eliminate_nop_cast.c \
  passes/eliminate_nop_concat.c \
  passes/eliminate_nop_dropout.c \
  passes/eliminate_nop_expand.c \
  passes/eliminate_nop_flatten.c \
  passes/eliminate_nop_pad.c \
  passes/eliminate_nop_reshape.c \
  passes/eliminate_nop_slice.c \
  passes/eliminate_nop_split.c \
  passes/eliminate_nop_transpose.c \
  passes/eliminate_shape_op.c \
  passes/eliminate_unused_initializer.c \
  passes/fold_constants.c \
  passes/fuse_add_bias_into_conv.c \
  passes/fuse_bn_into_conv.c \
  passes/fuse_consecutive_concats.c \
  passes/fuse_consecutive_slices.c \
  passes/fuse_consecutive_squeezes.c \
  passes/fuse_consecutive_transposes.c \
  passes/fuse_consecutive_unsqueezes.c \
  passes/fuse_epilogue.c \
  passes/upcast_f16.c
