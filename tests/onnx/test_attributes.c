/* SPDX-License-Identifier: Apache-2.0 */
/* Bad attributes and operands of known operators, and what each gets. */
#include "tests/onnx/onnx_test.h"
#include <math.h>

/* Conv of x[2,3,8,8] with w[4,3,3,3], or another operator on x; attributes to come. */
static void op_on_x(struct ob *b, const char *op, const char *more, int64_t opset)
{
  char in[64];
  ob_model(b, 8, opset);
  ob_input(b, "x", OB_F32, "2,3,8,8");
  ob_input(b, "w", OB_F32, "4,3,3,3");
  ob_output(b, "y");
  snprintf(in, sizeof in, "x%s", more);
  ob_node(b, op, in, "y");
}
static void conv(struct ob *b) { op_on_x(b, "Conv", " w", 13); }
static void max_pool(struct ob *b)
{
  op_on_x(b, "MaxPool", "", 13);
  OB_INTS(b, "kernel_shape", 2, 2);
}

static void conv_ints(struct ob *b, const char *name, int64_t u, int64_t v)
{
  conv(b);
  OB_INTS(b, name, u, v);
}
static void stride_0(struct ob *b) { conv_ints(b, "strides", 1, 0); }
static void stride_negative(struct ob *b) { conv_ints(b, "strides", -1, 1); }
static void dilation_0(struct ob *b) { conv_ints(b, "dilations", 0, 1); }
static void stride_huge(struct ob *b) { conv_ints(b, "strides", INT64_MAX, 1); }
static void kernel_differs(struct ob *b) { conv_ints(b, "kernel_shape", 3, 5); }
static void kernel_rank(struct ob *b)
{
  conv(b);
  OB_INTS(b, "kernel_shape", 3, 3, 3);
}
static void stride_rank(struct ob *b)
{
  conv(b);
  OB_INTS(b, "strides", 1, 1, 1);
}
static void pool_kernel_rank(struct ob *b)
{
  op_on_x(b, "MaxPool", "", 13);
  OB_INTS(b, "kernel_shape", 2, 2, 2);
}
static void group_0(struct ob *b)
{
  conv(b);
  ob_attr_int(b, "group", 0);
}
static void group_negative(struct ob *b)
{
  conv(b);
  ob_attr_int(b, "group", -3);
}
static void group_2(struct ob *b)
{
  conv(b);
  ob_attr_int(b, "group", 2);
}
static void pads_wrap(struct ob *b)
{
  conv(b);
  OB_INTS(b, "pads", INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX);
}
static void pads_negative(struct ob *b)
{
  conv(b);
  OB_INTS(b, "pads", -8, 0, -8, 0);
}
static void pads_count(struct ob *b)
{
  conv(b);
  OB_INTS(b, "pads", 1, 1);
}
static void auto_pad_unknown(struct ob *b)
{
  conv(b);
  ob_attr_str(b, "auto_pad", "SAME");
}
static void attr_wrong_type(struct ob *b)
{
  conv(b);
  ob_attr_float(b, "group", 1);
}
static void attr_twice(struct ob *b)
{
  conv(b);
  ob_attr_int(b, "group", 1);
  ob_attr_int(b, "group", 1);
}
static void attr_without_name(struct ob *b)
{
  conv(b);
  ob_attr_int(b, "", 1);
}
static void attr_missing(struct ob *b) { op_on_x(b, "MaxPool", "", 13); }
static void attr_ref(struct ob *b)
{
  conv(b);
  ob_attr(b, "group", 2);
  ob_str(b, 21, "g");
  ob_end(b);
}
static void attrs_1001(struct ob *b)
{
  char name[16];
  op_on_x(b, "Unknown", "", 13);
  for (int i = 0; i < 1001; i++) {
    snprintf(name, sizeof name, "a%d", i);
    ob_attr_int(b, name, 1);
  }
}
static void axis_bad(struct ob *b)
{
  op_on_x(b, "Softmax", "", 13);
  ob_attr_int(b, "axis", 4);
}
static void axis_bad_old(struct ob *b)
{
  op_on_x(b, "Softmax", "", 11);
  ob_attr_int(b, "axis", -5);
}
static void axis_huge(struct ob *b)
{
  op_on_x(b, "Concat", " x", 13);
  ob_attr_int(b, "axis", INT64_MIN);
}
static void perm_short(struct ob *b)
{
  op_on_x(b, "Transpose", "", 13);
  OB_INTS(b, "perm", 0, 1, 2);
}
static void perm_twice(struct ob *b)
{
  op_on_x(b, "Transpose", "", 13);
  OB_INTS(b, "perm", 0, 1, 1, 2);
}
static void perm_negative(struct ob *b)
{
  op_on_x(b, "Transpose", "", 13);
  OB_INTS(b, "perm", 0, 1, -1, 2);
}
static void reshape_to(struct ob *b, int64_t u, int64_t v)
{
  const int64_t shape[] = {u, v};
  ob_model(b, 8, 13);
  ob_input(b, "x", OB_F32, "2,3,8,8");
  ob_ints(b, "shape", shape, 2);
  ob_output(b, "y");
  ob_node(b, "Reshape", "x shape", "y");
}
static void reshape_two_minus_one(struct ob *b) { reshape_to(b, -1, -1); }
static void reshape_misfit(struct ob *b) { reshape_to(b, 5, -1); }
static void reshape_minus_two(struct ob *b) { reshape_to(b, -2, 192); }
static void reshape_overflow(struct ob *b) { reshape_to(b, INT64_MAX, INT64_MAX); }
static void resize_huge(struct ob *b)
{
  static const float scales[] = {1, 1, 1e30f, 1e30f};
  ob_model(b, 8, 13);
  ob_input(b, "x", OB_F32, "2,3,8,8");
  ob_floats(b, "s", scales, 4);
  ob_output(b, "y");
  ob_node(b, "Resize", "x _ s", "y");
}
static void epsilon_nan(struct ob *b)
{
  op_on_x(b, "InstanceNormalization", " s s", 13);
  ob_attr_float(b, "epsilon", NAN);
  ob_end(b);
  ob_input(b, "s", OB_F32, "3");
}
static void gather_index(struct ob *b)
{
  static const int64_t index[] = {3};
  op_on_x(b, "Gather", " i", 13);
  ob_attr_int(b, "axis", 1);
  ob_end(b);
  ob_ints(b, "i", index, 1);
}
static void num_outputs(struct ob *b)
{
  op_on_x(b, "Split", "", 18);
  ob_attr_int(b, "num_outputs", 2);
}
static void cast_to_nothing(struct ob *b)
{
  op_on_x(b, "Cast", "", 13);
  ob_attr_int(b, "to", 77);
}
static void pool_stride_0(struct ob *b)
{
  max_pool(b);
  OB_INTS(b, "strides", 0, 0);
}
static void too_many_operands(struct ob *b) { op_on_x(b, "Relu", " w", 13); }
static void operand_missing(struct ob *b)
{
  ob_model(b, 8, 13);
  ob_input(b, "x", OB_F32, "2");
  ob_output(b, "y");
  ob_node(b, "Add", "x", "y");
}
static void operand_omitted(struct ob *b)
{
  ob_model(b, 8, 13);
  ob_input(b, "x", OB_F32, "2");
  ob_output(b, "y");
  ob_node(b, "Add", "_ x", "y");
}
static void too_many_results(struct ob *b)
{
  ob_model(b, 8, 13);
  ob_input(b, "x", OB_F32, "2");
  ob_output(b, "y");
  ob_node(b, "Relu", "x", "y z");
}

START_TEST(test_attributes)
{
  static const struct onnx_case cases[] = {
      {"stride 0", stride_0, GIE_E_ATTR, "(Conv)"},
      {"stride -1", stride_negative, GIE_E_ATTR, "(Conv)"},
      {"stride huge", stride_huge, GIE_E_ATTR, "2^31"},
      {"dilation 0", dilation_0, GIE_E_ATTR, "(Conv)"},
      {"kernel differs", kernel_differs, GIE_E_ATTR,
       "kernel_shape says 5 along spatial axis 1, the weights have 3"},
      {"kernel rank", kernel_rank, GIE_E_ATTR, "kernel_shape has 3 entries, the weights have 2"},
      {"stride rank", stride_rank, GIE_E_ATTR, "per spatial axis"},
      {"kernel rank of a pool", pool_kernel_rank, GIE_E_ATTR, "(MaxPool)"},
      {"group 0", group_0, GIE_E_ATTR, "group"},
      {"group -3", group_negative, GIE_E_ATTR, "group"},
      {"group 2 of 3", group_2, GIE_E_SHAPE, "group"},
      {"pads wrap", pads_wrap, GIE_E_ATTR, "2^31"},
      {"pads eat all", pads_negative, GIE_E_ATTR, "(Conv)"},
      {"number of pads", pads_count, GIE_E_ATTR, "pad"},
      {"auto_pad", auto_pad_unknown, GIE_E_ATTR, "auto_pad \"SAME\""},
      {"wrong type", attr_wrong_type, GIE_E_ATTR, "attribute group is of kind float; it must be of kind int"},
      {"twice", attr_twice, GIE_E_ATTR, "attribute group is given twice"},
      {"without name", attr_without_name, GIE_E_ATTR, "has no name"},
      {"missing", attr_missing, GIE_E_ATTR, "attribute kernel_shape is missing"},
      {"reference outside a function", attr_ref, GIE_E_ATTR, "refers to \"g\" of a function"},
      {"1001 attributes", attrs_1001, GIE_E_LIMIT, "1001 attributes"},
      {"axis 4 of 4", axis_bad, GIE_E_ATTR, "axis"},
      {"axis -5 of 4, old", axis_bad_old, GIE_E_ATTR, "axis -5"},
      {"axis INT64_MIN", axis_huge, GIE_E_ATTR, "axis"},
      {"perm too short", perm_short, GIE_E_ATTR, "perm"},
      {"perm twice", perm_twice, GIE_E_ATTR, "perm"},
      {"perm negative", perm_negative, GIE_E_ATTR, "perm"},
      {"two -1", reshape_two_minus_one, GIE_E_SHAPE, "-1"},
      {"reshape misfit", reshape_misfit, GIE_E_SHAPE, "(Reshape)"},
      {"reshape -2", reshape_minus_two, GIE_E_SHAPE, "-2"},
      {"reshape overflow", reshape_overflow, GIE_E_LIMIT, "overflows"},
      {"resize 1e30", resize_huge, GIE_E_LIMIT, "8e+30 elements"},
      {"epsilon NaN", epsilon_nan, GIE_E_ATTR, "epsilon is not a number"},
      {"gather from behind the end", gather_index, GIE_E_SHAPE, "index 3 is out of range"},
      {"num_outputs", num_outputs, GIE_E_ATTR, "num_outputs is 2"},
      {"cast to 77", cast_to_nothing, GIE_E_ATTR, "names no element type"},
      {"stride 0 of a pool", pool_stride_0, GIE_E_ATTR, "(MaxPool)"},
      {"too many operands", too_many_operands, GIE_E_GRAPH, "(Relu)"},
      {"operand missing", operand_missing, GIE_E_GRAPH, "(Add)"},
      {"operand omitted", operand_omitted, GIE_E_GRAPH, "(Add)"},
      {"too many results", too_many_results, GIE_E_GRAPH, "(Relu)"},
  };
  onnx_test_cases(cases, sizeof cases / sizeof cases[0]);
}
END_TEST

/* Indices that are only known when the network runs: an error that names the node. */
START_TEST(test_gather_at_run_time)
{
  static const int64_t bad[] = {3, -4, INT64_MAX, INT64_MIN};
  static float x[2 * 3 * 8 * 8];
  struct onnx_test t;
  struct ob b;
  struct gie_graph *g;
  struct gie_exec *e;
  int64_t index = 0;
  const struct gie_tensor in = {sizeof in, GIE_F32, 4, {2, 3, 8, 8}, x},
                          at = {sizeof at, GIE_I64, 1, {1}, &index};
  onnx_test_begin(&t);
  ob_init(&b);
  op_on_x(&b, "Gather", " i", 13);
  ob_attr_int(&b, "axis", 1);
  ob_end(&b);
  ob_input(&b, "i", OB_I64, "1");
  ck_gie_ok(t.ctx, onnx_test_load(&t, &b, &g));
  ck_gie_ok(t.ctx, gie_exec_new(g, NULL, &e));
  ck_gie_ok(t.ctx, gie_exec_set_input(e, "x", &in));
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    index = bad[i];
    ck_gie_ok(t.ctx, gie_exec_set_input(e, "i", &at));
    ck_gie(t.ctx, gie_exec_run(e), GIE_E_DATA);
    ck_assert_msg(strstr(gie_error_text(t.ctx), "(gather)") &&
                      strstr(gie_error_text(t.ctx), "outside the axis"),
                  "%s", gie_error_text(t.ctx));
  }
  index = -3;
  ck_gie_ok(t.ctx, gie_exec_set_input(e, "i", &at));
  ck_gie_ok(t.ctx, gie_exec_run(e));
  gie_exec_free(e);
  gie_graph_free(g);
  onnx_test_end(&t);
}
END_TEST

/* k > n is not even looked at: no kernel and no shape rule has TopK, and running says so. */
START_TEST(test_top_k)
{
  static const int64_t k[] = {1000};
  struct onnx_test t;
  struct ob b;
  struct gie_graph *g;
  struct gie_exec *e;
  onnx_test_begin(&t);
  ob_init(&b);
  op_on_x(&b, "TopK", " k", 13);
  ob_end(&b);
  ob_ints(&b, "k", k, 1);
  ck_gie_ok(t.ctx, onnx_test_load(&t, &b, &g));
  ck_gie(t.ctx, gie_exec_new(g, NULL, &e), GIE_E_UNSUPPORTED);
  ck_assert_msg(strstr(gie_error_text(t.ctx), "unsupported op ai.onnx::TopK"), "%s", gie_error_text(t.ctx));
  gie_graph_free(g);
  onnx_test_end(&t);
}
END_TEST

GIE_TESTS_MAIN("onnx attributes", test_attributes, test_gather_at_run_time, test_top_k)
