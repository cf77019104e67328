/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of a model, put in the place of the nodes that call them. */
#include "tests/onnx/onnx_forms.h"

static void simple_function(struct ob *b)
{
  model(b);
  call(b, "Twice", "x", "m");
  ob_end(b);
  call(b, "Twice", "m", "y");
  ob_end(b);
  ob_output(b, "y");
  ob_end(b);
  function(b, "Twice", "a", "r");
  function_node(b, "Relu", "a", "t");
  ob_end(b);
  function_node(b, "Sigmoid", "t", "r");
  ob_end(b);
}
/* alpha comes from the call, or from the default, or is left out. */
static void attributes(struct ob *b)
{
  model(b);
  call(b, "Leak", "x", "u");
  ob_attr_float(b, "slope", 0.5f);
  ob_end(b);
  call(b, "Leak", "u", "v");
  ob_end(b);
  call(b, "Bare", "v", "y");
  ob_end(b);
  ob_output(b, "y");
  ob_end(b);
  function(b, "Leak", "a", "r");
  ob_begin(b, 11);
  ob_str(b, 1, "slope");
  ob_int(b, 20, 1);
  ob_float(b, 2, 0.25f);
  ob_end(b);
  function_node(b, "LeakyRelu", "a", "r");
  attr_ref(b, "alpha", 1, "slope");
  ob_end(b);
  ob_end(b);
  function(b, "Bare", "a", "r");
  ob_str(b, 6, "slope");
  function_node(b, "LeakyRelu", "a", "r");
  attr_ref(b, "alpha", 1, "slope");
  ob_end(b);
  ob_end(b);
}
/* The attribute of the outer call reaches the inner function. */
static void nested_attributes(struct ob *b)
{
  model(b);
  call(b, "Outer", "x", "y");
  ob_attr_float(b, "p", 0.75f);
  ob_end(b);
  ob_output(b, "y");
  ob_end(b);
  function(b, "Outer", "a", "r");
  function_node(b, "Inner", "a", "r");
  ob_str(b, 7, "f");
  attr_ref(b, "q", 1, "p");
  ob_end(b);
  ob_end(b);
  function(b, "Inner", "a", "r");
  function_node(b, "Elu", "a", "r");
  attr_ref(b, "alpha", 1, "q");
  ob_end(b);
  ob_end(b);
}
static void omitted_input(struct ob *b)
{
  model(b);
  ob_input(b, "w", OB_F32, "3,4");
  call(b, "Linear", "x w", "y");
  ob_end(b);
  ob_output(b, "y");
  ob_end(b);
  function(b, "Linear", "a w c", "r");
  function_node(b, "Gemm", "a w c", "r");
  ob_end(b);
}
static void passed_through(struct ob *b)
{
  model(b);
  call(b, "Both", "x", "y z w");
  ob_end(b);
  ob_output(b, "y");
  ob_output(b, "z");
  ob_output(b, "w");
  ob_end(b);
  function(b, "Both", "a", "a r r");
  function_node(b, "Relu", "a", "r");
  ob_end(b);
}
static void unwanted_result(struct ob *b)
{
  model(b);
  call(b, "Pair", "x", "_ y");
  ob_end(b);
  ob_output(b, "y");
  ob_end(b);
  function(b, "Pair", "a", "r s");
  function_node(b, "Relu", "a", "r");
  ob_end(b);
  function_node(b, "Tanh", "r", "s");
  ob_end(b);
}
/* The function has its own operator set: Softmax 11 inside a model of opset 13. */
static void own_opset(struct ob *b)
{
  model(b);
  ob_input(b, "v", OB_F32, "2,3,4");
  call(b, "Old", "v", "y");
  ob_end(b);
  ob_output(b, "y");
  ob_end(b);
  function(b, "Old", "a", "r");
  ob_begin(b, 9);
  ob_str(b, 1, "");
  ob_int(b, 2, 11);
  ob_end(b);
  function_node(b, "Softmax", "a", "r");
  ob_end(b);
}
static void overload(struct ob *b)
{
  model(b);
  call(b, "F", "x", "y");
  ob_str(b, 8, "second");
  ob_end(b);
  ob_output(b, "y");
  ob_end(b);
  function(b, "F", "a", "r");
  function_node(b, "Relu", "a", "r");
  ob_end(b);
  ob_end(b);
  function(b, "F", "a", "r");
  ob_str(b, 13, "second");
  function_node(b, "Tanh", "a", "r");
  ob_end(b);
}
static void unsorted_function(struct ob *b)
{
  model(b);
  call(b, "F", "x", "y");
  ob_end(b);
  ob_output(b, "y");
  ob_end(b);
  function(b, "F", "a", "r");
  function_node(b, "Relu", "t", "r");
  ob_end(b);
  function_node(b, "Tanh", "a", "t");
  ob_end(b);
}

START_TEST(test_functions)
{
  static const struct form forms[] = {
      {"a function, called twice", simple_function,
       "%\"m.Twice/t\" : f32[n,3] = relu(%x)\n%m : f32[n,3] = sigmoid(%\"m.Twice/t\")\n"
       "%\"y.Twice/t\" : f32[n,3] = relu(%m)\n%y : f32[n,3] = sigmoid(%\"y.Twice/t\")"},
      {"attributes", attributes, "leaky_relu(%x) {alpha=0.5}\nleaky_relu(%u) {alpha=0.25}\nleaky_relu(%v)\n"},
      {"attributes of nested functions", nested_attributes, "%y : f32[n,3] = elu(%x) {alpha=0.75}"},
      {"an input left out", omitted_input, "%y : f32[n,4] = gemm(%x, %w)\n"},
      {"an input handed through", passed_through,
       "relu(%x)\n%y : f32[n,3] = identity(%x)\n%w : f32[n,3] = identity(%z)"},
      {"an unwanted result", unwanted_result, "= relu(%x)\n%y : f32[n,3] = tanh("},
      {"an operator set of its own", own_opset, "flatten(%v)\n%y : f32[2,3,4] ncw = reshape("},
      {"overloads", overload, "%y : f32[n,3] = tanh(%x)"},
      {"unsorted nodes", unsorted_function, "tanh(%x)\n%y : f32[n,3] = relu("},
  };
  CHECK_FORMS(forms);
}
END_TEST

GIE_TESTS_MAIN("onnx functions", test_functions)
