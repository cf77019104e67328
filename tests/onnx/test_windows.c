/* SPDX-License-Identifier: Apache-2.0 */
/* Forms of convolutions, pools, Upsample and Resize over the versions. */
#include "tests/onnx/onnx_forms.h"

static void conv_valid(struct ob *b)
{
  two(b, 11, "Conv", "1,3,8,8", "4,3,3,3");
  ob_attr_str(b, "auto_pad", "VALID");
  OB_INTS(b, "pads", 0, 0, 0, 0);
}
static void conv_same(struct ob *b)
{
  two(b, 11, "Conv", "1,3,8,8", "4,3,3,3");
  ob_attr_str(b, "auto_pad", "SAME_LOWER");
  OB_INTS(b, "strides", 2, 2);
}
static void conv_notset(struct ob *b)
{
  two(b, 11, "Conv", "1,3,8,8", "4,3,3,3");
  ob_attr_str(b, "auto_pad", "NOTSET");
  OB_INTS(b, "pads", 1, 0, 1, 0);
}
static void transpose_shape(struct ob *b)
{
  two(b, 11, "ConvTranspose", "1,3,8,8", "3,4,3,3");
  OB_INTS(b, "strides", 2, 2);
  OB_INTS(b, "output_shape", 1, 4, 16, 17);
}
static void transpose_padding(struct ob *b)
{
  two(b, 11, "ConvTranspose", "1,3,8,8", "3,2,3,3");
  OB_INTS(b, "strides", 2, 2);
  OB_INTS(b, "dilations", 2, 2);
  OB_INTS(b, "output_padding", 1, 1);
}
static void max_pool_12(struct ob *b)
{
  one(b, 12, "1,3,9,9", "MaxPool", "x", "y i");
  OB_INTS(b, "kernel_shape", 2, 2);
  OB_INTS(b, "dilations", 2, 2);
  OB_INTS(b, "strides", 2, 2);
  ob_attr_int(b, "storage_order", 1);
  ob_attr_int(b, "ceil_mode", 1);
}
static void average_pool_19(struct ob *b)
{
  one(b, 19, "1,3,9,9", "AveragePool", "x", "y");
  OB_INTS(b, "kernel_shape", 2, 2);
  OB_INTS(b, "dilations", 2, 2);
  ob_attr_int(b, "count_include_pad", 1);
}
static void upsample_7(struct ob *b)
{
  static const float scales[] = {1, 1, 2, 3};
  one(b, 7, "1,3,4,4", "Upsample", "x", "y");
  ob_attr_floats(b, "scales", 4, scales);
}
static void resize_by(struct ob *b, int64_t opset, const char *op, const char *in, float u, float v)
{
  const float scales[] = {1, 1, u, v};
  ob_model(b, 8, opset);
  ob_input(b, "x", OB_F32, "1,3,4,4");
  ob_floats(b, "s", scales, 4);
  ob_floats(b, "empty", scales, 0);
  ob_ints(b, "sizes", (const int64_t[]){1, 3, 8, 2}, 4);
  ob_output(b, "y");
  ob_node(b, op, in, "y");
}
static void upsample_9(struct ob *b)
{
  resize_by(b, 9, "Upsample", "x s", 2, 3);
  ob_attr_str(b, "mode", "linear");
}
static void upsample_computed(struct ob *b)
{
  ob_model(b, 8, 9);
  ob_input(b, "x", OB_F32, "1,3,4,4");
  ob_input(b, "s", OB_F32, "4");
  ob_output(b, "y");
  node(b, "Upsample", "x s", "y");
}
static void resize_10_up(struct ob *b) { resize_by(b, 10, "Resize", "x s", 2, 1); }
static void resize_10_down(struct ob *b) { resize_by(b, 10, "Resize", "x s", 0.5f, 0.5f); }
static void resize_10_both(struct ob *b) { resize_by(b, 10, "Resize", "x s", 2, 0.5f); }
static void resize_10_computed(struct ob *b)
{
  ob_model(b, 8, 10);
  ob_input(b, "x", OB_F32, "1,3,4,4");
  ob_input(b, "s", OB_F32, "4");
  ob_output(b, "y");
  node(b, "Resize", "x s", "y");
}
static void resize_11_sizes(struct ob *b)
{
  resize_by(b, 11, "Resize", "x empty empty sizes", 1, 1);
  ob_attr_str(b, "mode", "cubic");
  ob_attr_float(b, "cubic_coeff_a", -0.5f);
  ob_attr_str(b, "coordinate_transformation_mode", "align_corners");
}
static void resize_13(struct ob *b)
{
  resize_by(b, 13, "Resize", "x _ s", 2, 2);
  ob_attr_str(b, "nearest_mode", "floor");
}
static void resize_tf(struct ob *b)
{
  resize_by(b, 11, "Resize", "x empty s", 2, 2);
  ob_attr_str(b, "nearest_mode", "floor");
  ob_attr_str(b, "coordinate_transformation_mode", "tf_half_pixel_for_nn");
}
static void resize_18(struct ob *b)
{
  ob_model(b, 8, 18);
  ob_input(b, "x", OB_F32, "1,3,4,4");
  ints(b, "sizes", 8, 6);
  ob_output(b, "y");
  ob_node(b, "Resize", "x _ _ sizes", "y");
  OB_INTS(b, "axes", 2, 3);
  ob_attr_int(b, "antialias", 1);
  ob_attr_str(b, "keep_aspect_ratio_policy", "not_larger");
  ob_attr_str(b, "mode", "linear");
}

START_TEST(test_windows)
{
  static const struct form forms[] = {
      {"conv, VALID", conv_valid, "%y : f32[1,4,6,6] nchw = conv(%x, %w)\n"},
      {"conv, SAME_LOWER", conv_same, "conv(%x, %w) {stride=[2,2], auto_pad=\"same_lower\"}"},
      {"conv, NOTSET", conv_notset, "%y : f32[1,4,8,6] nchw = conv(%x, %w) {pad=[1,0,1,0]}"},
      {"conv transpose, output_shape", transpose_shape,
       "%y : f32[1,4,16,17] nchw = conv_transpose(%x, %w)\noutput_shape=[16,17]"},
      {"conv transpose, output_padding", transpose_padding,
       "f32[1,2,20,20] nchw = conv_transpose(\noutput_pad=[1,1]"},
      {"max pool 12", max_pool_12,
       "%y : f32[1,3,4,4] nchw, %i : i64[1,3,4,4] nchw = max_pool(%x)\ndilation=[2,2]\nstorage_order=1"},
      {"average pool 19", average_pool_19, "average_pool(%x)\ncount_include_pad=1"},
      {"upsample 7", upsample_7,
       "%y : f32[1,3,8,12] nchw = resize(%x, _, %y.scales) {mode=\"nearest\", coordinate=\"asymmetric\", nearest=\"floor\"}"},
      {"upsample 9", upsample_9,
       "f32[1,3,8,12] nchw = resize(%x, _, %s) {mode=\"linear\", coordinate=\"asymmetric\"}"},
      {"upsample 9, computed", upsample_computed, "resize(%x, _, %s)\nnearest=\"floor\""},
      {"resize 10 up", resize_10_up, "resize(%x, _, %s)\nnearest=\"floor\""},
      {"resize 10 down", resize_10_down, "f32[1,3,2,2] nchw = resize(%x, _, %s)\nnearest=\"ceil\""},
      {"resize 10 both ways", resize_10_both,
       "%y.enlarged : f32[1,3,8,4] nchw = resize(%x, _, %y.up)\nnearest=\"floor\"\n%y : f32[1,3,8,2] nchw = resize(%y.enlarged, _, "
       "%y.down)\nnearest=\"ceil\""},
      {"resize 10, computed", resize_10_computed, "\"ai.onnx::Resize\"(%x, %s)\ncomputed scales"},
      {"resize 11 by sizes", resize_11_sizes,
       "%y : f32[1,3,8,2] nchw = resize(%x, _, _, %sizes)\ncubic_a=-0.5\ncoordinate=\"align_corners\""},
      {"resize 13", resize_13, "resize(%x, _, %s)\nnearest=\"floor\""},
      {"resize 11 as TensorFlow", resize_tf, "coordinate=\"half_pixel\", nearest=\"round_prefer_ceil\""},
      {"resize 18", resize_18,
       "%y : f32[1,3,6,6] nchw = resize(%x, _, _, %sizes)\naxes=[2,3]\nantialias=1\nkeep_aspect=\"not_larger\""},
  };
  CHECK_FORMS(forms);
}
END_TEST

GIE_TESTS_MAIN("onnx windows", test_windows)
