/* SPDX-License-Identifier: Apache-2.0 */
/* The table of operators, sorted by name. A row covers all versions from `since` to the newest; what changed
 * in between is the business of its function. Attributes: see struct onnx_op. "consumed_inputs" is a hint of
 * opset 1 without meaning. Source: the ONNX operator specification with its change log. */
#include "plugins/onnx/onnx.h"

#define OLD "consumed_inputs-:I"
#define OLD_BINARY "broadcast-:i axis-:i " OLD
#define WINDOW "strides=stride:I pads-:I dilations=dilation:I auto_pad-:s"
#define POOL "kernel_shape=kernel:I! ceil_mode:i " WINDOW
#define REDUCE "axes-:I keepdims:i noop_with_empty_axes:i"

static const struct onnx_op ops[] = {
    {"Abs", 1, "abs", OLD, onnx_lower_plain},
    {"Add", 1, "add", OLD_BINARY, onnx_lower_binary},
    {"Affine", 1, "", "alpha-:f beta-:f", onnx_lower_affine},
    {"ArgMax", 1, "arg_max", "axis:i keepdims:i select_last_index:i", onnx_lower_plain},
    {"AveragePool", 1, "average_pool", POOL " count_include_pad:i", onnx_lower_pool},
    {"BatchNormalization", 1, "batch_norm",
     "epsilon:f momentum-:f spatial-:i is_test-:i training_mode-:i " OLD, onnx_lower_batch_norm},
    {"Cast", 1, "cast", "to-:? saturate-:i", onnx_lower_cast},
    {"Ceil", 1, "ceil", OLD, onnx_lower_plain},
    {"Clip", 1, "clip", "min-:f max-:f " OLD, onnx_lower_clip},
    {"Concat", 1, "concat", "axis-:i", onnx_lower_concat},
    {"Constant", 1, "", "value-:t value_int-:i value_ints-:I value_float-:f value_floats-:F",
     onnx_lower_constant},
    {"ConstantOfShape", 9, "constant_of_shape", "value-:t", onnx_lower_constant_of_shape},
    {"Conv", 1, "conv", "kernel_shape-:I group:i " WINDOW, onnx_lower_conv},
    {"ConvTranspose", 1, "conv_transpose",
     "kernel_shape-:I group:i output_padding=output_pad:I output_shape-:I " WINDOW,
     onnx_lower_conv_transpose},
    {"Crop", 1, "slice", "border-:I! scale-:I", onnx_lower_crop},
    {"DepthToSpace", 1, "depth_to_space", "blocksize=block:i! mode:s", onnx_lower_plain},
    {"Div", 1, "div", OLD_BINARY, onnx_lower_binary},
    {"Dropout", 1, "dropout", "ratio-:f is_test-:i seed-:i " OLD, onnx_lower_dropout},
    {"Elu", 1, "elu", "alpha:f " OLD, onnx_lower_plain},
    {"Equal", 1, "equal", OLD_BINARY, onnx_lower_binary},
    {"Erf", 9, "erf", "", onnx_lower_plain},
    {"Exp", 1, "exp", OLD, onnx_lower_plain},
    {"Expand", 8, "expand", "", onnx_lower_plain},
    {"Flatten", 1, "flatten", "axis:i", onnx_lower_plain},
    {"Floor", 1, "floor", OLD, onnx_lower_plain},
    {"Gather", 1, "gather", "axis:i", onnx_lower_plain},
    {"Gemm", 6, "gemm", "alpha:f beta:f transA=trans_a:i transB=trans_b:i broadcast-:i", onnx_lower_plain},
    {"GlobalAveragePool", 1, "global_average_pool", "", onnx_lower_plain},
    {"GlobalMaxPool", 1, "global_max_pool", "", onnx_lower_plain},
    {"Greater", 1, "greater", OLD_BINARY, onnx_lower_binary},
    {"HardSigmoid", 1, "hard_sigmoid", "alpha:f beta:f " OLD, onnx_lower_plain},
    {"HardSwish", 14, "hard_swish", "", onnx_lower_plain},
    {"Identity", 1, "identity", "", onnx_lower_plain},
    {"ImageScaler", 1, "", "scale-:f bias-:F", onnx_lower_image_scaler},
    {"InstanceNormalization", 1, "instance_norm", "epsilon:f " OLD, onnx_lower_plain},
    {"LRN", 1, "lrn", "size:i! alpha:f beta:f bias:f", onnx_lower_plain},
    {"LeakyRelu", 1, "leaky_relu", "alpha:f " OLD, onnx_lower_plain},
    {"Less", 1, "less", OLD_BINARY, onnx_lower_binary},
    {"Log", 1, "log", OLD, onnx_lower_plain},
    {"LogSoftmax", 1, "log_softmax", "axis-:i", onnx_lower_softmax},
    {"MatMul", 1, "matmul", "", onnx_lower_plain},
    {"Max", 1, "max", OLD, onnx_lower_plain},
    {"MaxPool", 1, "max_pool", POOL " storage_order:i", onnx_lower_pool},
    {"Min", 1, "min", OLD, onnx_lower_plain},
    {"Mul", 1, "mul", OLD_BINARY, onnx_lower_binary},
    {"Neg", 1, "neg", OLD, onnx_lower_plain},
    {"Not", 1, "not", "", onnx_lower_plain},
    {"PRelu", 1, "prelu", OLD, onnx_lower_prelu},
    {"Pad", 1, "pad", "pads-:I paddings-:I value-:f mode:s", onnx_lower_pad},
    {"Pow", 1, "pow", OLD_BINARY, onnx_lower_binary},
    {"ReduceL2", 1, "reduce_l2", REDUCE, onnx_lower_reduce},
    {"ReduceMax", 1, "reduce_max", REDUCE, onnx_lower_reduce},
    {"ReduceMean", 1, "reduce_mean", REDUCE, onnx_lower_reduce},
    {"ReduceMin", 1, "reduce_min", REDUCE, onnx_lower_reduce},
    {"ReduceSum", 1, "reduce_sum", REDUCE, onnx_lower_reduce},
    {"Relu", 1, "relu", OLD, onnx_lower_plain},
    {"Reshape", 1, "reshape", "shape-:I allowzero:i " OLD, onnx_lower_reshape},
    {"Resize", 10, "resize",
     "mode:s coordinate_transformation_mode-:s nearest_mode-:s cubic_coeff_a=cubic_a:f exclude_outside:i "
     "extrapolation_value=extrapolation:f axes:I antialias:i keep_aspect_ratio_policy=keep_aspect:s",
     onnx_lower_resize},
    {"Shape", 1, "shape", "start:i end:i", onnx_lower_plain},
    {"Sigmoid", 1, "sigmoid", OLD, onnx_lower_plain},
    {"Slice", 1, "slice", "starts-:I ends-:I axes-:I", onnx_lower_slice},
    {"Softmax", 1, "softmax", "axis-:i", onnx_lower_softmax},
    {"Softplus", 1, "softplus", "", onnx_lower_plain},
    {"SpaceToDepth", 1, "space_to_depth", "blocksize=block:i!", onnx_lower_plain},
    {"Split", 1, "split", "axis:i split-:I num_outputs-:i", onnx_lower_split},
    {"Sqrt", 1, "sqrt", OLD, onnx_lower_plain},
    {"Squeeze", 1, "squeeze", "axes-:I", onnx_lower_axes},
    {"Sub", 1, "sub", OLD_BINARY, onnx_lower_binary},
    {"Sum", 1, "sum", OLD, onnx_lower_plain},
    {"Tanh", 1, "tanh", OLD, onnx_lower_plain},
    {"Tile", 6, "tile", "", onnx_lower_plain},
    {"Transpose", 1, "transpose", "perm:I", onnx_lower_plain},
    {"Unsqueeze", 1, "unsqueeze", "axes-:I", onnx_lower_axes},
    {"Upsample", 7, "resize", "mode-:s scales-:F", onnx_lower_upsample},
    {"Where", 9, "where", "", onnx_lower_plain},
};

#define N_OPS (sizeof ops / sizeof ops[0])

const struct onnx_op *onnx_op_at(size_t i) { return i < N_OPS ? &ops[i] : NULL; }

static int compare(const void *name, const void *op)
{
  return strcmp(name, ((const struct onnx_op *)op)->name);
}

const struct onnx_op *onnx_find_op(const char *name)
{
  return bsearch(name, ops, N_OPS, sizeof ops[0], compare);
}
