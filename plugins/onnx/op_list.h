/* SPDX-License-Identifier: Apache-2.0 */
/* The operators that the importer knows, sorted by name:
 *
 *     ONNX_OP(name, since, IR op, attributes, function)
 *
 * A row covers all versions from `since` to the newest; what changed in between is the business of its
 * function onnx_lower_<function>. Attributes: see struct onnx_op. "consumed_inputs" is a hint of opset 1
 * without meaning.
 * Source: the ONNX operator specification with its change log. */

#define OLD "consumed_inputs-:I"
#define OLD_BINARY "broadcast-:i axis-:i " OLD
#define WINDOW "strides=stride:I pads-:I dilations=dilation:I auto_pad-:s"
#define POOL "kernel_shape=kernel:I! ceil_mode:i " WINDOW
#define REDUCE "axes-:I keepdims:i noop_with_empty_axes:i"

ONNX_OP(Abs, 1, "abs", OLD, plain)
ONNX_OP(Add, 1, "add", OLD_BINARY, binary)
ONNX_OP(Affine, 1, "", "alpha-:f beta-:f", affine)
ONNX_OP(ArgMax, 1, "arg_max", "axis:i keepdims:i select_last_index:i", plain)
ONNX_OP(AveragePool, 1, "average_pool", POOL " count_include_pad:i", pool)
ONNX_OP(BatchNormalization, 1, "batch_norm",
        "epsilon:f momentum-:f spatial-:i is_test-:i training_mode-:i " OLD, batch_norm)
ONNX_OP(Cast, 1, "cast", "to-:? saturate-:i", cast)
ONNX_OP(CastLike, 15, "cast", "saturate-:i round_mode-:s", cast_like)
ONNX_OP(Ceil, 1, "ceil", OLD, plain)
ONNX_OP(Clip, 1, "clip", "min-:f max-:f " OLD, clip)
ONNX_OP(Concat, 1, "concat", "axis-:i", concat)
ONNX_OP(Constant, 1, "",
        "value-:t value_int-:i value_ints-:I value_float-:f value_floats-:F "
        "value_string-:s value_strings-:S sparse_value-:?",
        constant)
ONNX_OP(ConstantOfShape, 9, "constant_of_shape", "value-:t", constant_of_shape)
ONNX_OP(Conv, 1, "conv", "kernel_shape-:I group:i " WINDOW, conv)
ONNX_OP(ConvTranspose, 1, "conv_transpose",
        "kernel_shape-:I group:i output_padding=output_pad:I output_shape-:I " WINDOW, conv_transpose)
ONNX_OP(Crop, 1, "slice", "border-:I! scale-:I", crop)
ONNX_OP(DepthToSpace, 1, "depth_to_space", "blocksize=block:i! mode:s", plain)
ONNX_OP(Div, 1, "div", OLD_BINARY, binary)
ONNX_OP(Dropout, 1, "dropout", "ratio-:f is_test-:i seed-:i " OLD, dropout)
ONNX_OP(Elu, 1, "elu", "alpha:f " OLD, plain)
ONNX_OP(Equal, 1, "equal", OLD_BINARY, binary)
ONNX_OP(Erf, 9, "erf", "", plain)
ONNX_OP(Exp, 1, "exp", OLD, plain)
ONNX_OP(Expand, 8, "expand", "", plain)
ONNX_OP(Flatten, 1, "flatten", "axis:i", plain)
ONNX_OP(Floor, 1, "floor", OLD, plain)
ONNX_OP(Gather, 1, "gather", "axis:i", plain)
ONNX_OP(Gelu, 20, "gelu", "approximate-:s", gelu)
ONNX_OP(Gemm, 6, "gemm", "alpha:f beta:f transA=trans_a:i transB=trans_b:i broadcast-:i", plain)
ONNX_OP(GlobalAveragePool, 1, "global_average_pool", "", plain)
ONNX_OP(GlobalMaxPool, 1, "global_max_pool", "", plain)
ONNX_OP(Greater, 1, "greater", OLD_BINARY, binary)
ONNX_OP(HardSigmoid, 1, "hard_sigmoid", "alpha:f beta:f " OLD, plain)
ONNX_OP(HardSwish, 14, "hard_swish", "", plain)
ONNX_OP(Identity, 1, "identity", "", plain)
ONNX_OP(If, 1, "if", "then_branch-:g! else_branch-:g!", if)
ONNX_OP(ImageScaler, 1, "", "scale-:f bias-:F", image_scaler)
ONNX_OP(InstanceNormalization, 1, "instance_norm", "epsilon:f " OLD, plain)
ONNX_OP(LRN, 1, "lrn", "size:i! alpha:f beta:f bias:f", plain)
ONNX_OP(LayerNormalization, 17, "layer_norm", "axis:i epsilon:f stash_type-:i", layer_norm)
ONNX_OP(LeakyRelu, 1, "leaky_relu", "alpha:f " OLD, plain)
ONNX_OP(Less, 1, "less", OLD_BINARY, binary)
ONNX_OP(Log, 1, "log", OLD, plain)
ONNX_OP(LogSoftmax, 1, "log_softmax", "axis-:i", softmax)
ONNX_OP(MatMul, 1, "matmul", "", plain)
ONNX_OP(Max, 1, "max", OLD, plain)
ONNX_OP(MaxPool, 1, "max_pool", POOL " storage_order:i", pool)
ONNX_OP(Min, 1, "min", OLD, plain)
ONNX_OP(Mish, 18, "mish", "", plain)
ONNX_OP(Mod, 10, "", "fmod-:i", mod)
ONNX_OP(Mul, 1, "mul", OLD_BINARY, binary)
ONNX_OP(Neg, 1, "neg", OLD, plain)
ONNX_OP(Not, 1, "not", "", plain)
ONNX_OP(PRelu, 1, "prelu", OLD, prelu)
ONNX_OP(Pad, 1, "pad", "pads-:I paddings-:I value-:f mode:s", pad)
ONNX_OP(Pow, 1, "pow", OLD_BINARY, binary)
ONNX_OP(ReduceL2, 1, "reduce_l2", REDUCE, reduce)
ONNX_OP(ReduceMax, 1, "reduce_max", REDUCE, reduce)
ONNX_OP(ReduceMean, 1, "reduce_mean", REDUCE, reduce)
ONNX_OP(ReduceMin, 1, "reduce_min", REDUCE, reduce)
ONNX_OP(ReduceSum, 1, "reduce_sum", REDUCE, reduce)
ONNX_OP(Relu, 1, "relu", OLD, plain)
ONNX_OP(Reshape, 1, "reshape", "shape-:I allowzero:i " OLD, reshape)
ONNX_OP(Resize, 10, "resize",
        "mode:s coordinate_transformation_mode-:s nearest_mode-:s cubic_coeff_a=cubic_a:f exclude_outside:i "
        "extrapolation_value=extrapolation:f axes:I antialias:i keep_aspect_ratio_policy=keep_aspect:s",
        resize)
ONNX_OP(Shape, 1, "shape", "start:i end:i", plain)
ONNX_OP(Sigmoid, 1, "sigmoid", OLD, plain)
ONNX_OP(Slice, 1, "slice", "starts-:I ends-:I axes-:I", slice)
ONNX_OP(Softmax, 1, "softmax", "axis-:i", softmax)
ONNX_OP(Softplus, 1, "softplus", "", plain)
ONNX_OP(SpaceToDepth, 1, "space_to_depth", "blocksize=block:i!", plain)
ONNX_OP(Split, 1, "split", "axis:i split-:I num_outputs-:i", split)
ONNX_OP(Sqrt, 1, "sqrt", OLD, plain)
ONNX_OP(Squeeze, 1, "squeeze", "axes-:I", axes)
ONNX_OP(Sub, 1, "sub", OLD_BINARY, binary)
ONNX_OP(Sum, 1, "sum", OLD, plain)
ONNX_OP(Tanh, 1, "tanh", OLD, plain)
ONNX_OP(Tile, 6, "tile", "", plain)
ONNX_OP(Transpose, 1, "transpose", "perm:I", plain)
ONNX_OP(Unsqueeze, 1, "unsqueeze", "axes-:I", axes)
ONNX_OP(Upsample, 7, "resize", "mode-:s scales-:F", upsample)
ONNX_OP(Where, 9, "where", "", plain)

#undef OLD
#undef OLD_BINARY
#undef WINDOW
#undef POOL
#undef REDUCE
#undef ONNX_OP
