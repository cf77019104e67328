/* SPDX-License-Identifier: Apache-2.0 */
/* Every form of an operator over the versions, and what it becomes: small models, imported and printed; the
 * text must have the given lines in this order. Results are checked by the node tests. */
#include "tests/onnx/onnx_forms.h"

/* ---- Softmax, dropout, batch normalization ---------------------------------------------------------- */

static void softmax_flat(struct ob *b) { one(b, 11, "2,3,4", "Softmax", "x", "y"); }
static void softmax_flat_n(struct ob *b) { one(b, 11, "n,3,4", "LogSoftmax", "x", "y"); }
static void softmax_last(struct ob *b)
{
  one(b, 11, "n,3,4", "Softmax", "x", "y");
  ob_attr_int(b, "axis", -1);
}
static void softmax_ones(struct ob *b) { one(b, 7, "n,3,1,1", "Softmax", "x", "y"); }
static void softmax_13(struct ob *b) { one(b, 13, "n,3,4", "Softmax", "x", "y"); }
static void softmax_rank(struct ob *b) { one(b, 11, NULL, "Softmax", "x", "y"); }
static void softmax_names(struct ob *b)
{
  one(b, 11, "2,3,4", "Softmax", "x", "y");
  ob_end(b);
  node(b, "Relu", "y", "y.flat");
  node(b, "Relu", "y.flat", "y.rows");
}
static void dropout_6(struct ob *b) { one(b, 6, "2", "Dropout", "x", "y"); }
static void dropout_6_test(struct ob *b)
{
  one(b, 6, "2", "Dropout", "x", "y");
  ob_attr_int(b, "is_test", 1);
}
static void dropout_7_mask(struct ob *b) { one(b, 7, "2", "Dropout", "x", "y mask"); }
static void dropout_12(struct ob *b)
{
  ob_model(b, 8, 12);
  ob_input(b, "x", OB_F32, "2");
  scalar(b, "ratio", 0.5f);
  ob_output(b, "y");
  node(b, "Dropout", "x ratio", "y mask");
}
static void dropout_12_training(struct ob *b)
{
  ob_model(b, 8, 13);
  ob_input(b, "x", OB_F32, "2");
  ob_input(b, "t", OB_BOOL, "");
  ob_output(b, "y");
  node(b, "Dropout", "x _ t", "y");
}
static void batch_norm(struct ob *b, int64_t opset, const char *out)
{
  ob_model(b, 8, opset);
  ob_input(b, "x", OB_F32, "2,3,4,4");
  ob_input(b, "s", OB_F32, "3");
  ob_output(b, "y");
  ob_node(b, "BatchNormalization", "x s s s s", out);
}
static void batch_norm_6(struct ob *b) { batch_norm(b, 6, "y"); }
static void batch_norm_6_test(struct ob *b)
{
  batch_norm(b, 6, "y");
  ob_attr_int(b, "is_test", 1);
  OB_INTS(b, "consumed_inputs", 0, 0, 0, 1, 1);
}
static void batch_norm_7(struct ob *b)
{
  batch_norm(b, 7, "y");
  ob_attr_float(b, "momentum", 0.9f);
  ob_attr_float(b, "epsilon", 0.5f);
}
static void batch_norm_spatial(struct ob *b)
{
  batch_norm(b, 7, "y");
  ob_attr_int(b, "spatial", 0);
}
static void batch_norm_5_results(struct ob *b) { batch_norm(b, 9, "y m v sm sv"); }
static void batch_norm_unwanted(struct ob *b) { batch_norm(b, 9, "y _ _ _ _"); }
static void batch_norm_training(struct ob *b)
{
  batch_norm(b, 14, "y");
  ob_attr_int(b, "training_mode", 1);
}

START_TEST(test_norm)
{
  static const struct form forms[] = {
      {"softmax 11 flattens", softmax_flat,
       "= flatten(%x) {axis=1}\n= softmax(%y.flat) {axis=1}\n%y : f32[2,3,4] ncw = reshape(%y.rows, %y.shape) {allowzero=1}"},
      {"softmax 11 of unknown batch", softmax_flat_n,
       "%y.shape : i64[3] = shape(%x)\nlog_softmax(\n%y : f32[n,3,4]"},
      {"softmax 11 of the last axis", softmax_last, "%y : f32[n,3,4] ncw = softmax(%x) {axis=2}"},
      {"softmax 7 before ones", softmax_ones, "%y : f32[n,3,1,1] nchw = softmax(%x) {axis=1}"},
      {"softmax 13", softmax_13, "%y : f32[n,3,4] ncw = softmax(%x) {axis=-1}"},
      {"softmax 11 of unknown rank", softmax_rank, "\"ai.onnx::Softmax\"(%x)\nunknown rank"},
      {"names to come are not taken", softmax_names,
       "%y.flat.1 : \n%y.rows.1 : \n%y : \n%y.flat : f32[2,3,4] ncw = relu(%y)"},
      {"dropout 6", dropout_6, "\"ai.onnx::Dropout\"(%x)\nreason=\"training mode\nopset=6"},
      {"dropout 6, is_test", dropout_6_test, "%y : f32[2] = dropout(%x)"},
      {"dropout 7 with mask", dropout_7_mask,
       "%mask : f32[2] = expand \"y.mask\" (\n%y : f32[2] = dropout(%x)"},
      {"dropout 12", dropout_12, "%y : f32[2], %mask : bool[2] = dropout(%x)"},
      {"dropout 12, training", dropout_12_training, "\"ai.onnx::Dropout\"(%x, _, %t)"},
      {"batch norm 6", batch_norm_6, "\"ai.onnx::BatchNormalization\"\ntraining mode"},
      {"batch norm 6, is_test", batch_norm_6_test, "= batch_norm(%x, %s, %s, %s, %s)"},
      {"batch norm 7", batch_norm_7, "= batch_norm(%x, %s, %s, %s, %s) {epsilon=0.5}"},
      {"batch norm 7, spatial 0", batch_norm_spatial, "\"ai.onnx::BatchNormalization\"\nspatial=0"},
      {"batch norm 9, five results", batch_norm_5_results, "\"ai.onnx::BatchNormalization\"\ntraining mode"},
      {"batch norm 9, unwanted results", batch_norm_unwanted, "= batch_norm("},
      {"batch norm 14, training", batch_norm_training, "\"ai.onnx::BatchNormalization\"\ntraining mode"},
  };
  CHECK_FORMS(forms);
}
END_TEST

/* ---- Clip, old broadcasting, cast, constants ---------------------------------------------------------- */

static void clip_6(struct ob *b)
{
  one(b, 6, "2", "Clip", "x", "y");
  ob_attr_float(b, "max", 6);
}
static void clip_11(struct ob *b)
{
  ob_model(b, 8, 11);
  ob_input(b, "x", OB_F32, "2");
  scalar(b, "low", -1);
  ob_output(b, "y");
  ob_node(b, "Constant", "", "six");
  ob_attr_float(b, "value_float", 6);
  ob_end(b);
  node(b, "Identity", "six", "high");
  node(b, "Clip", "x low high", "y");
}
static void clip_max_only(struct ob *b)
{
  ob_model(b, 8, 11);
  ob_input(b, "x", OB_F32, "2");
  scalar(b, "high", 6);
  ob_output(b, "y");
  node(b, "Clip", "x _ high", "y");
}
static void clip_none(struct ob *b) { one(b, 11, "2", "Clip", "x", "y"); }
static void clip_dynamic(struct ob *b)
{
  ob_model(b, 8, 11);
  ob_input(b, "x", OB_F32, "2");
  ob_input(b, "low", OB_F32, "");
  scalar(b, "high", 6);
  ob_output(b, "y");
  node(b, "Clip", "x low high", "y");
}
static void clip_dynamic_low(struct ob *b)
{
  ob_model(b, 8, 11);
  ob_input(b, "x", OB_F32, "2");
  ob_input(b, "low", OB_F32, "");
  ob_output(b, "y");
  node(b, "Clip", "x low", "y");
}
/* 2^53 + 1 is no double. */
static void clip_i64(struct ob *b)
{
  ob_model(b, 8, 12);
  ob_input(b, "x", OB_I64, "2");
  ob_tensor(b, 5, "high", OB_I64, NULL, 0);
  ob_int(b, 7, (INT64_C(1) << 53) + 1);
  ob_end(b);
  ob_output(b, "y");
  node(b, "Clip", "x _ high", "y");
}
static void clip_i64_exact(struct ob *b)
{
  ob_model(b, 8, 12);
  ob_input(b, "x", OB_I64, "2");
  ob_tensor(b, 5, "high", OB_I64, NULL, 0);
  ob_int(b, 7, -(INT64_C(1) << 53));
  ob_end(b);
  ob_output(b, "y");
  node(b, "Clip", "x _ high", "y");
}
static void add_6_axis(struct ob *b)
{
  two(b, 6, "Add", "2,3,4,5", "3,4");
  ob_attr_int(b, "broadcast", 1);
  ob_attr_int(b, "axis", 1);
}
static void mul_6_negative_axis(struct ob *b)
{
  two(b, 6, "Mul", "2,3,4,5", "3");
  ob_attr_int(b, "broadcast", 1);
  ob_attr_int(b, "axis", -3);
}
static void add_6_suffix(struct ob *b)
{
  two(b, 6, "Add", "2,3,4,5", "4,5");
  ob_attr_int(b, "broadcast", 1);
}
static void add_7_axis(struct ob *b)
{
  two(b, 7, "Add", "2,3", "3");
  ob_attr_int(b, "axis", 1);
}
static void prelu_6(struct ob *b) { two(b, 6, "PRelu", "2,3,4,5", "3"); }
static void prelu_6_shared(struct ob *b) { two(b, 6, "PRelu", "2,3,4,5", "1"); }
static void prelu_7(struct ob *b) { two(b, 7, "PRelu", "2,3,4,5", "3,1,1"); }
static void pow_mixed(struct ob *b)
{
  ob_model(b, 8, 13);
  ob_input(b, "x", OB_F32, "2");
  ob_input(b, "e", OB_I64, "1");
  ob_output(b, "y");
  node(b, "Pow", "x e", "y");
}
static void sum_one(struct ob *b) { one(b, 8, "2", "Sum", "x", "y"); }
static void max_three(struct ob *b) { one(b, 8, "2", "Max", "x x x", "y"); }
static void gemm_without_c(struct ob *b)
{
  two(b, 11, "Gemm", "2,3", "4,3");
  ob_attr_int(b, "transB", 1);
}
static void cast_name(struct ob *b)
{
  one(b, 5, "2", "Cast", "x", "y");
  ob_attr_str(b, "to", "FLOAT16");
}
static void cast_13(struct ob *b)
{
  one(b, 13, "2", "Cast", "x", "y");
  ob_attr_int(b, "to", OB_I64);
}
static void cast_string(struct ob *b)
{
  one(b, 13, "2", "Cast", "x", "y");
  ob_attr_int(b, "to", OB_STRING);
}
static void cast_f8(struct ob *b)
{
  one(b, 19, "2", "Cast", "x", "y");
  ob_attr_int(b, "saturate", 1);
  ob_attr_int(b, "to", 17);
}
static void constants(struct ob *b)
{
  static const float fs[] = {0.5f, 1.5f};
  ob_model(b, 8, 13);
  ob_input(b, "x", OB_F32, "2");
  ob_node(b, "Constant", "", "i");
  ob_attr_int(b, "value_int", -3);
  ob_end(b);
  ob_node(b, "Constant", "", "is");
  OB_INTS(b, "value_ints", 4, 5);
  ob_end(b);
  ob_node(b, "Constant", "", "f");
  ob_attr_float(b, "value_float", 0.25f);
  ob_end(b);
  ob_node(b, "Constant", "", "fs");
  ob_attr_floats(b, "value_floats", 2, fs);
  ob_end(b);
  ob_node(b, "Constant", "", "t");
  ob_attr(b, "value", 4);
  ob_tensor(b, 5, NULL, OB_BOOL, (const int64_t[]){2}, 1);
  ob_bytes(b, 9, "\5\0", 2);
  ob_end(b);
  ob_end(b);
  ob_end(b);
  ob_node(b, "Constant", "", "s");
  ob_attr_str(b, "value_string", "text");
  ob_end(b);
  node(b, "Relu", "x", "y");
  ob_output(b, "y");
}
static void constant_of_shape(struct ob *b)
{
  ob_model(b, 8, 9);
  ob_input(b, "x", OB_F32, "1");
  ints(b, "dims", 2, 3);
  ob_output(b, "y");
  ob_node(b, "ConstantOfShape", "dims", "y");
  ob_attr(b, "value", 4);
  ob_tensor(b, 5, NULL, OB_I32, (const int64_t[]){1}, 1);
  ob_int(b, 5, 7);
}
/* Of a and c, as an initializer and as what a node makes of initializers. */
static void mod(struct ob *b, int64_t a, int64_t c)
{
  const int64_t half = a / 2, rest = a - half;
  ob_model(b, 8, 13);
  ob_ints(b, "half", &half, 1);
  ob_ints(b, "rest", &rest, 1);
  ob_ints(b, "c", &c, 1);
  node(b, "Add", "half rest", "a");
  ob_output(b, "y");
  ob_node(b, "Mod", "a c", "y");
}
static void mod_of_negative(struct ob *b) { mod(b, -1, 3); }
static void mod_by_negative(struct ob *b) { mod(b, 7, -3); }
static void mod_by_minus_one(struct ob *b) { mod(b, INT64_MIN, -1); }
static void mod_by_zero(struct ob *b) { mod(b, 7, 0); }
static void mod_c(struct ob *b)
{
  mod(b, -7, 3);
  ob_attr_int(b, "fmod", 1);
}
static void mod_unknown(struct ob *b) { one(b, 13, "2", "Mod", "x x", "y"); }
static void hard_swish_13(struct ob *b) { one(b, 13, "2", "HardSwish", "x", "y"); }
static void gelu_20(struct ob *b) { one(b, 20, "2", "Gelu", "x", "y"); }
static void gelu_tanh(struct ob *b)
{
  one(b, 20, "2", "Gelu", "x", "y");
  ob_attr_str(b, "approximate", "tanh");
}
static void mish_18(struct ob *b) { one(b, 18, "2", "Mish", "x", "y"); }
static void layer_norm_17(struct ob *b)
{
  one(b, 17, "2,3", "LayerNormalization", "x x", "y mean");
  ob_attr_int(b, "axis", 1);
  ob_attr_float(b, "epsilon", 0.5f);
}
static void layer_norm_stash(struct ob *b)
{
  one(b, 17, "2,3", "LayerNormalization", "x x", "y");
  ob_attr_int(b, "stash_type", 16);
}
static void unknown_attribute(struct ob *b)
{
  one(b, 13, "2", "Relu", "x", "y");
  ob_attr_float(b, "slope", 1);
}
static void affine(struct ob *b)
{
  one(b, 7, "1,3,4,4", "Affine", "x", "y");
  ob_attr_float(b, "alpha", 2);
  ob_attr_float(b, "beta", 0.5f);
}
static void image_scaler(struct ob *b)
{
  static const float bias[] = {1, 2, 3};
  one(b, 7, "1,3,4,4", "ImageScaler", "x", "y");
  ob_attr_float(b, "scale", 0.5f);
  ob_attr_floats(b, "bias", 3, bias);
}

START_TEST(test_pointwise)
{
  static const struct form forms[] = {
      {"clip 6", clip_6, "%y : f32[2] = clip(%x) {max=6.0}"},
      {"clip 11 through identity", clip_11, "%y : f32[2] = clip(%x) {min=-1.0, max=6.0}"},
      {"clip 11, max only", clip_max_only, "%y : f32[2] = clip(%x) {max=6.0}"},
      {"clip 11 without bounds", clip_none, "%y : f32[2] = clip(%x)\n"},
      {"clip 11, computed", clip_dynamic,
       "%y.max : f32[2] = max(%x, %low)\n%y : f32[2] = min(%y.max, %high)"},
      {"clip 11, computed minimum", clip_dynamic_low, "%y : f32[2] = max(%x, %low)"},
      {"clip 12, 2^53 + 1", clip_i64, "%y : i64[2] = min(%x, %high)"},
      {"clip 12, -2^53", clip_i64_exact, "%y : i64[2] = clip(%x) {max=-9.007199e+15f}"},
      {"add 6, axis 1", add_6_axis,
       "%y.aligned : f32[3,4,1] ncw = unsqueeze(%w, \n%y : f32[2,3,4,5] nchw = add(%x, %y.aligned)"},
      {"mul 6, axis -3", mul_6_negative_axis, "f32[3,1,1] ncw = unsqueeze(%w, \nmul(%x, %y.aligned)"},
      {"add 6 at the end", add_6_suffix, "%y : f32[2,3,4,5] nchw = add(%x, %w)"},
      {"add 7 with an axis", add_7_axis, "\"ai.onnx::Add\"\naxis of opset 6"},
      {"prelu 6", prelu_6, "%y.aligned : f32[3,1,1] ncw = unsqueeze(%w, \nprelu(%x, %y.aligned)"},
      {"prelu 6, shared slope", prelu_6_shared, "prelu(%x, %w)"},
      {"prelu 7", prelu_7, "prelu(%x, %w)"},
      {"pow of mixed types", pow_mixed, "%y : f32[2] = pow(%x, %e)"},
      {"sum of one", sum_one, "%y : f32[2] = sum(%x)"},
      {"max of three", max_three, "%y : f32[2] = max(%x, %x, %x)"},
      {"gemm without C", gemm_without_c, "%y : f32[2,4] = gemm(%x, %w) {trans_b=1}"},
      {"cast 5", cast_name, "%y : f16[2] = cast(%x) {to=f16}"},
      {"cast 13", cast_13, "%y : i64[2] = cast(%x) {to=i64}"},
      {"cast to string", cast_string, "\"ai.onnx::Cast\"(%x) {to=8}\nstring"},
      {"cast to f8", cast_f8, "\"ai.onnx::Cast\"(%x) {saturate=1, to=17}\nfloat8e4m3fn"},
      {"constants", constants,
       "const %i : i64[] = {-3}\nconst %is : i64[2] = {4, 5}\nconst %f : f32[] = {0.25}\n"
       "const %fs : f32[2] = {0.5, 1.5}\nconst %t : bool[2] = {true, false}\n%s : ?[*] = \"ai.onnx::Constant\"()\nconstants of strings"},
      {"constant of shape", constant_of_shape, "%y : i32[2,3] = constant_of_shape(%dims) {value=i32[1]{7}}"},
      {"mod of a negative", mod_of_negative, "const %y : i64[1] = {2}"},
      {"mod by a negative", mod_by_negative, "const %y : i64[1] = {-2}"},
      {"mod that overflows", mod_by_minus_one, "const %y : i64[1] = {0}"},
      {"mod by zero", mod_by_zero, "\"ai.onnx::Mod\"(%a, %c)\nonly of two integers that are known"},
      {"mod with C's sign", mod_c, "\"ai.onnx::Mod\""},
      {"mod of what is not known", mod_unknown, "\"ai.onnx::Mod\""},
      {"hard swish 13", hard_swish_13, "\"ai.onnx::HardSwish\"(%x)\nopset 13"},
      {"gelu 20", gelu_20, "%y : f32[2] = gelu(%x)\n"},
      {"gelu 20, tanh", gelu_tanh, "%y : f32[2] = gelu(%x) {tanh=1}"},
      {"mish 18", mish_18, "%y : f32[2] = mish(%x)\n"},
      {"layer norm 17", layer_norm_17,
       "%y : f32[2,3], %mean : f32[2,1] = layer_norm(%x, %x) {axis=1, epsilon=0.5}"},
      {"layer norm 17 with bf16 statistics", layer_norm_stash,
       "\"ai.onnx::LayerNormalization\"(%x, %x)\nstatistics"},
      {"unknown attribute", unknown_attribute, "\"ai.onnx::Relu\"(%x) {slope=1.0}\nattribute slope of Relu"},
      {"affine", affine, "{0.5}\n{2.0}\n= mul(%x, %y.scale)\n= add(%y.scaled, %y.shift)"},
      {"image scaler", image_scaler,
       "f32[3,1,1]\n{1.0, 2.0, 3.0}\n= mul(%x, %y.scale)\n= add(%y.scaled, %y.shift)"},
  };
  CHECK_FORMS(forms);
}
END_TEST

/* ---- Moving data ---------------------------------------------------------------------------------------- */

static void reduce_13(struct ob *b)
{
  one(b, 13, "2,3,4", "ReduceMean", "x", "y");
  OB_INTS(b, "axes", -1, 1);
  ob_attr_int(b, "keepdims", 0);
}
static void reduce_all(struct ob *b) { one(b, 11, "2,3,4", "ReduceMax", "x", "y"); }
static void reduce_18(struct ob *b)
{
  ob_model(b, 8, 18);
  ob_input(b, "x", OB_F32, "2,3,4");
  ints(b, "axes", 0, 2);
  ob_output(b, "y");
  ob_node(b, "ReduceL2", "x axes", "y");
  ob_attr_int(b, "noop_with_empty_axes", 1);
}
static void reduce_sum_13(struct ob *b)
{
  ob_model(b, 8, 13);
  ob_input(b, "x", OB_F32, "2,3,4");
  ints(b, "axes", 0, 2);
  ob_output(b, "y");
  node(b, "ReduceSum", "x axes", "y");
}
static void reduce_18_attribute(struct ob *b)
{
  one(b, 18, "2,3,4", "ReduceMean", "x", "y");
  OB_INTS(b, "axes", 1);
}
static void unsqueeze_scalar(struct ob *b)
{
  ob_model(b, 8, 13);
  ob_input(b, "x", OB_F32, "2,3");
  ob_tensor(b, 5, "axis", OB_I64, NULL, 0);
  ob_int(b, 7, 1);
  ob_end(b);
  ob_output(b, "y");
  node(b, "Unsqueeze", "x axis", "y");
}
static void squeeze_1(struct ob *b)
{
  one(b, 1, "2,1,3", "Squeeze", "x", "y");
  OB_INTS(b, "axes", 1);
}
static void slice_1(struct ob *b)
{
  one(b, 1, "2,8,8", "Slice", "x", "y");
  OB_INTS(b, "starts", 1, -3);
  OB_INTS(b, "ends", 5, 100);
  OB_INTS(b, "axes", 1, 2);
}
static void slice_no_axes(struct ob *b)
{
  one(b, 9, "8,8", "Slice", "x", "y");
  OB_INTS(b, "starts", 1, 0);
  OB_INTS(b, "ends", 5, 8);
}
static void split_2(struct ob *b)
{
  one(b, 2, "2,9", "Split", "x", "y z");
  ob_attr_int(b, "axis", 1);
  OB_INTS(b, "split", 4, 5);
}
static void split_18(struct ob *b)
{
  one(b, 18, "7,2", "Split", "x", "y z w");
  ob_attr_int(b, "num_outputs", 3);
}
static void split_unwanted(struct ob *b) { one(b, 13, "6,2", "Split", "x", "y _ _"); }
static void pad_1(struct ob *b)
{
  one(b, 1, "2,3", "Pad", "x", "y");
  OB_INTS(b, "paddings", 0, 1, 0, 2);
}
static void pad_2(struct ob *b)
{
  one(b, 2, "2,3", "Pad", "x", "y");
  OB_INTS(b, "pads", 0, 1, 0, 2);
  ob_attr_float(b, "value", 0.5f);
  ob_attr_str(b, "mode", "constant");
}
static void pad_18(struct ob *b)
{
  ob_model(b, 8, 19);
  ob_input(b, "x", OB_F32, "2,3");
  ints(b, "pads", 1, 2);
  ob_ints(b, "axes", (const int64_t[]){1}, 1);
  ob_output(b, "y");
  ob_node(b, "Pad", "x pads _ axes", "y");
  ob_attr_str(b, "mode", "wrap");
}
static void reshape_1(struct ob *b)
{
  one(b, 1, "2,3,4", "Reshape", "x", "y");
  OB_INTS(b, "shape", 0, -1);
}
static void concat_3(struct ob *b) { one(b, 3, "2,3", "Concat", "x x", "y"); }
static void flatten_11(struct ob *b)
{
  one(b, 11, "2,3,4", "Flatten", "x", "y");
  ob_attr_int(b, "axis", -1);
}
static void shape_15(struct ob *b)
{
  one(b, 15, "2,3,4", "Shape", "x", "y");
  ob_attr_int(b, "start", 1);
  ob_attr_int(b, "end", -1);
}
static void arg_max_12(struct ob *b)
{
  one(b, 12, "2,3", "ArgMax", "x", "y");
  ob_attr_int(b, "axis", 1);
  ob_attr_int(b, "select_last_index", 1);
}
static void crop(struct ob *b)
{
  one(b, 7, "1,3,10,12", "Crop", "x", "y");
  OB_INTS(b, "border", 1, 2, 3, 0);
}
static void crop_scale(struct ob *b)
{
  one(b, 7, "1,3,10,12", "Crop", "x", "y");
  OB_INTS(b, "border", 1, 2, 0, 0);
  OB_INTS(b, "scale", 4, 5);
}

START_TEST(test_move)
{
  static const struct form forms[] = {
      {"reduce 13", reduce_13,
       "%y.axes : i64[2] = {-1, 1}\n%y : f32[2] = reduce_mean(%x, %y.axes) {keepdims=0}"},
      {"reduce all", reduce_all, "%y : f32[1,1,1] ncw = reduce_max(%x)"},
      {"reduce 18", reduce_18, "%y : f32[1,3,1] ncw = reduce_l2(%x, %axes) {noop_with_empty_axes=1}"},
      {"reduce sum 13", reduce_sum_13, "%y : f32[1,3,1] ncw = reduce_sum(%x, %axes)"},
      {"reduce 18 with an attribute", reduce_18_attribute, "\"ai.onnx::ReduceMean\"\nattribute axes"},
      {"unsqueeze by a scalar", unsqueeze_scalar, "%y : f32[2,1,3] ncw = unsqueeze(%x, "},
      {"squeeze 1", squeeze_1, "%y.axes : i64[1] = {1}\n%y : f32[2,3] = squeeze(%x, %y.axes)"},
      {"slice 1", slice_1,
       "{1, -3}\n{5, 100}\n{1, 2}\n%y : f32[2,4,3] ncw = slice(%x, %y.starts, %y.ends, %y.axes)"},
      {"slice 9 without axes", slice_no_axes, "%y : f32[4,8] = slice(%x, %y.starts, %y.ends)"},
      {"split 2", split_2, "{4, 5}\n%y : f32[2,4], %z : f32[2,5] = split(%x, %y.sizes) {axis=1}"},
      {"split 18", split_18, "%y : f32[3,2], %z : f32[3,2], %w : f32[1,2] = split(%x)"},
      {"split with unwanted results", split_unwanted,
       "%y : f32[2,2], %y.unused1 : f32[2,2], %y.unused2 : f32[2,2] = split(%x)"},
      {"pad 1", pad_1, "%y : f32[2,6] = pad(%x, %y.pads)"},
      {"pad 2", pad_2, "{0.5}\n%y : f32[2,6] = pad(%x, %y.pads, %y.value) {mode=\"constant\"}"},
      {"pad 19", pad_18, "%y : f32[2,6] = pad(%x, %pads, _, %axes) {mode=\"wrap\"}"},
      {"reshape 1", reshape_1, "%y : f32[2,12] = reshape(%x, %y.shape)"},
      {"concat 3", concat_3, "%y : f32[2,6] = concat(%x, %x) {axis=1}"},
      {"flatten 11", flatten_11, "%y : f32[6,4] = flatten(%x) {axis=-1}"},
      {"shape 15", shape_15, "%y : i64[1] = shape(%x) {start=1, end=-1}"},
      {"arg max 12", arg_max_12, "%y : i64[2,1] = arg_max(%x) {axis=1, select_last_index=1}"},
      {"crop", crop, "%y : f32[1,3,8,8] nchw = slice(%x, %y.starts, %y.ends, %y.axes)"},
      {"crop to a size", crop_scale, "%y : f32[1,3,4,5] nchw = slice("},
  };
  CHECK_FORMS(forms);
}
END_TEST

GIE_TESTS_MAIN("onnx forms", test_norm, test_pointwise, test_move)
