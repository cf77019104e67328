/* SPDX-License-Identifier: Apache-2.0 */
/* What is round the operators: inputs, constants, names, dims, nodes that stay opaque, bodies. */
#include "tests/onnx/onnx_forms.h"

/* ---- Inputs, constants, dims, metadata ------------------------------------------------------------- */

static void listed_initializers(struct ob *b)
{
  static const float w[] = {1, 2, 3};
  ob_model(b, 3, 7);
  ob_input(b, "w", OB_F32, "3");
  ob_input(b, "x", OB_F32, "2,3");
  ob_floats(b, "w", w, 3);
  node(b, "Add", "x w", "y");
  ob_output(b, "y");
}
static void old_without_opset(struct ob *b)
{
  ob_int(b, 1, 2);
  ob_begin(b, 7);
  ob_input(b, "x", OB_F32, "2");
  node(b, "Relu", "x", "y");
  ob_output(b, "y");
}
static void dims(struct ob *b)
{
  ob_model(b, 8, 13);
  ob_input(b, "data", OB_F32, "?,3,height,?");
  ob_input(b, "other", OB_F32, "n,height");
  node(b, "Relu", "data", "y");
  ob_output(b, "y");
}
static void rank_unknown(struct ob *b)
{
  ob_model(b, 8, 13);
  ob_input(b, "x", OB_F32, NULL);
  node(b, "Relu", "x", "y");
  ob_output(b, "y");
}
static void metadata(struct ob *b)
{
  ob_str(b, 2, "trainer");
  ob_str(b, 3, "1.2");
  ob_str(b, 4, "org.example");
  ob_int(b, 5, 7);
  ob_str(b, 6, "documentation is dropped \xff");
  ob_begin(b, 14);
  ob_str(b, 1, "author");
  ob_str(b, 2, "somebody");
  ob_end(b);
  ob_begin(b, 20);
  ob_str(b, 1, "training information is dropped");
  ob_end(b);
  ob_opset(b, "org.example", 3);
  model(b);
  node(b, "Relu", "x", "y");
  ob_output(b, "y");
  ob_begin(b, 14); /* quantization annotation */
  ob_str(b, 1, "x");
  ob_end(b);
}
static void strange_names(struct ob *b)
{
  ob_model(b, 8, 13);
  ob_input(b, "a b", OB_F32, "2");
  ob_node(b, "Relu", "", "");
  ob_str(b, 1, "a b");
  ob_str(b, 2, "\xc3\xa4\"\n");
  ob_str(b, 3, "node 1 \"x\" (y): z");
  ob_end(b);
  ob_output(b, "\xc3\xa4\"\n");
}
static void output_is_input(struct ob *b)
{
  static const float w[] = {1};
  model(b);
  ob_floats(b, "w", w, 1);
  node(b, "Relu", "x", "y");
  ob_output(b, "x");
  ob_output(b, "w");
}
static void empty_optional(struct ob *b)
{
  model(b);
  ob_input(b, "w", OB_F32, "3,4");
  node(b, "Gemm", "x w _", "y");
  ob_output(b, "y");
}

START_TEST(test_values)
{
  static const struct form forms[] = {
      {"initializers listed as inputs", listed_initializers,
       "input %x : f32[2,3]\nconst %w : f32[3] = {1.0, 2.0, 3.0}\nadd(%x, %w)"},
      {"IR version 2 has no operator sets", old_without_opset, "ir_version=2, opset=1\nrelu(%x)"},
      {"dims", dims,
       "graph \"net\" (data_d0, height, data_d3, n)\ninput %data : f32[data_d0,3,height,data_d3] nchw\n"
       "input %other : f32[n,height]\n%y : f32[data_d0,3,height,data_d3] nchw = relu(%data)"},
      {"rank unknown", rank_unknown, "input %x : f32[*]\n%y : f32[*] = relu(%x)"},
      {"metadata", metadata,
       "meta {format=\"onnx\", ir_version=8, opset=13, producer=\"trainer\", producer_version=\"1.2\", domain=\"org.example\", "
       "model_version=7\nopset.org.example=3\nauthor=\"somebody\""},
      {"strange names", strange_names,
       "input %\"a b\" : f32[2]\n\\\"\\n\" : f32[2] = relu \"node 1 \\\"x\\\" (y): z\" (%\"a b\")"},
      {"outputs that no node makes", output_is_input, "output %x\noutput %w"},
      {"omitted operand", empty_optional, "gemm(%x, %w)"},
  };
  CHECK_FORMS(forms);
}
END_TEST

/* ---- Opaque nodes ------------------------------------------------------------------------------------------ */

static void unknown_ops(struct ob *b)
{
  static const float fs[] = {0.5f, 1.5f};
  model(b);
  ob_node(b, "Fancy", "x _ x", "u v");
  ob_str(b, 3, "fancy1");
  ob_str(b, 7, "org.example");
  ob_attr_int(b, "i", 5);
  ob_attr_float(b, "f", 0.5f);
  ob_attr_str(b, "s", "text");
  OB_INTS(b, "is", 1, 2);
  ob_attr_floats(b, "fs", 2, fs);
  ob_attr(b, "ss", 8);
  ob_str(b, 9, "a");
  ob_str(b, 9, "b");
  ob_end(b);
  ob_attr(b, "t", 4);
  ob_tensor(b, 5, NULL, OB_U8, (const int64_t[]){2}, 1);
  ob_bytes(b, 9, "\1\2", 2);
  ob_end(b);
  ob_end(b);
  ob_attr(b, "ts", 9);
  for (int i = 0; i < 2; i++) {
    ob_tensor(b, 10, NULL, OB_I8, NULL, 0);
    ob_int(b, 5, i);
    ob_end(b);
  }
  ob_end(b);
  ob_end(b);
  node(b, "Celu", "u", "y");
  ob_value(b, 13, "u", OB_F32, "n,4,k");
  ob_output(b, "y");
}
static void foreign_inputs(struct ob *b)
{
  model(b);
  ob_input(b, "text", OB_STRING, "2");
  ob_begin(b, 11);
  ob_str(b, 1, "seq");
  ob_begin(b, 2);
  ob_begin(b, 4);
  ob_end(b);
  ob_end(b);
  ob_end(b);
  node(b, "Identity", "text", "t");
  node(b, "Concat", "x seq", "y");
  ob_output(b, "y");
}
static void foreign_constants(struct ob *b)
{
  model(b);
  ob_tensor(b, 5, "words", OB_STRING, (const int64_t[]){1}, 1);
  ob_str(b, 6, "hello");
  ob_end(b);
  ob_begin(b, 15);
  ob_tensor(b, 1, "sparse", OB_F32, (const int64_t[]){1}, 1);
  ob_float(b, 4, 1);
  ob_end(b);
  ob_end(b);
  node(b, "Add", "x sparse", "y");
  ob_output(b, "y");
}
static void branch(struct ob *b, const char *name, const char *op, const char *in)
{
  ob_attr(b, name, 5);
  ob_begin(b, 6);
  ob_str(b, 2, name);
  node(b, op, in, "r");
  ob_output(b, "r");
  ob_end(b);
  ob_end(b);
}
static void captures(struct ob *b)
{
  model(b);
  ob_input(b, "c", OB_BOOL, "");
  ob_output(b, "y");
  ob_node(b, "If", "c", "y");
  branch(b, "then_branch", "Relu", "late");
  branch(b, "else_branch", "Add", "x late");
  ob_end(b);
  node(b, "Tanh", "x", "late");
}
/* The inner body reads x from two graphs up. */
static void nested_captures(struct ob *b)
{
  model(b);
  ob_input(b, "c", OB_BOOL, "");
  ob_node(b, "If", "c", "y");
  ob_attr(b, "then_branch", 5);
  ob_begin(b, 6);
  ob_str(b, 2, "outer");
  node(b, "Relu", "x", "own");
  ob_node(b, "If", "c", "r");
  branch(b, "then_branch", "Add", "x own");
  branch(b, "else_branch", "Identity", "own");
  ob_end(b);
  ob_output(b, "r");
  ob_end(b);
  ob_end(b);
  branch(b, "else_branch", "Relu", "x");
  ob_end(b);
  ob_output(b, "y");
}
static void body_of_function(struct ob *b)
{
  model(b);
  ob_input(b, "c", OB_BOOL, "");
  call(b, "F", "c x x", "y");
  ob_attr_float(b, "p", 0.5f);
  ob_end(b);
  ob_output(b, "y");
  ob_end(b);
  function(b, "F", "c u v", "r");
  function_node(b, "If", "c", "r");
  ob_attr(b, "then_branch", 5);
  ob_begin(b, 6);
  ob_str(b, 2, "t");
  ob_node(b, "Elu", "u", "s");
  attr_ref(b, "alpha", 1, "p");
  ob_end(b);
  node(b, "Add", "s v", "r");
  ob_output(b, "r");
  ob_end(b);
  ob_end(b);
  branch(b, "else_branch", "Relu", "v");
  ob_end(b);
}

/* ---- If that cannot be an if */

static void two_branches(struct ob *b, const char *op, const char *in, const char *other,
                         const char *other_in)
{
  model(b);
  ob_input(b, "c", OB_BOOL, "");
  ob_input(b, "w", OB_F32, "m,3");
  ob_input(b, "i", OB_I64, "2");
  ob_node(b, "If", "c", "y");
  branch(b, "then_branch", op, in);
  branch(b, "else_branch", other, other_in);
  ob_end(b);
  ob_output(b, "y");
}
static void if_unknown_inside(struct ob *b) { two_branches(b, "Relu", "x", "Celu", "x"); }
static void if_other_type(struct ob *b) { two_branches(b, "Relu", "x", "Shape", "x"); }
static void if_other_rank(struct ob *b) { two_branches(b, "Relu", "x", "Flatten", "i"); }
static void if_other_symbol(struct ob *b) { two_branches(b, "Relu", "x", "Relu", "w"); }
static void if_unknown_size(struct ob *b) { two_branches(b, "Reshape", "x i", "Reshape", "x i"); }
static void if_same_symbol(struct ob *b) { two_branches(b, "Tanh", "x", "Relu", "x"); }

/* ---- What is declared of outputs */

static void declared(struct ob *b, const char *name, int dtype, const char *dims)
{
  ob_value(b, 12, name, dtype, dims);
}
static void declared_behind_if(struct ob *b)
{
  model(b);
  ob_input(b, "c", OB_BOOL, "");
  ob_node(b, "If", "c", "z");
  branch(b, "then_branch", "Relu", "x");
  branch(b, "else_branch", "Size", "x");
  ob_end(b);
  node(b, "Relu", "z", "u");
  declared(b, "u", OB_F32, "m,7,n");
  declared(b, "z", OB_F32, NULL);
}
static void declared_by_data(struct ob *b)
{
  model(b);
  ob_input(b, "i", OB_I64, "2");
  ob_input(b, "k", OB_I64, "k");
  node(b, "Reshape", "x i", "y");
  node(b, "Reshape", "x k", "z");
  declared(b, "y", OB_F32, "4,m");
  declared(b, "z", OB_F32, "4,5");
}
static void declared_otherwise(struct ob *b)
{
  model(b);
  node(b, "Relu", "x", "y");
  declared(b, "y", OB_F32, "9,9,9");
}
static void declared_branch(struct ob *b, const char *name, const char *op, const char *in, int dtype,
                            const char *dims)
{
  ob_attr(b, name, 5);
  ob_begin(b, 6);
  ob_str(b, 2, name);
  node(b, op, in, "r");
  declared(b, "r", dtype, dims);
  ob_end(b);
  ob_end(b);
}
/* x is [n,3], w [m,3]; what the branches say of what they yield. */
static void declared_branches(struct ob *b, const char *op, const char *in, const char *dims,
                              const char *other_dims)
{
  model(b);
  ob_input(b, "c", OB_BOOL, "");
  ob_input(b, "w", OB_F32, "m,3");
  ob_input(b, "i", OB_I64, "2");
  ob_node(b, "If", "c", "y");
  declared_branch(b, "then_branch", "Relu", "x", OB_F32, dims);
  declared_branch(b, "else_branch", op, in, OB_F32, other_dims);
  ob_end(b);
  ob_output(b, "y");
}
static void declared_in_both(struct ob *b) { declared_branches(b, "Relu", "w", "1,3", "1,3"); }
static void declared_in_one(struct ob *b) { declared_branches(b, "Relu", "w", "1,3", NULL); }
static void declared_apart(struct ob *b) { declared_branches(b, "Relu", "w", "1,3", "2,3"); }
static void declared_by_name(struct ob *b) { declared_branches(b, "Reshape", "w i", NULL, "n,3"); }
static void declared_badly(struct ob *b)
{
  model(b);
  node(b, "Celu", "x", "y");
  node(b, "Celu", "x", "z");
  declared(b, "y", OB_F32, "-1,3");
  declared(b, "z", OB_F32, "1,2,3,4,5,6,7,8,9");
}

START_TEST(test_declared)
{
  static const struct form forms[] = {
      {"behind an If", declared_behind_if,
       "graph \"net\" (n, m)\n%z : f32[*] = \"ai.onnx::If\"(%c; %x)\n%u : f32[m,7,n] ncw = relu(%z)"},
      {"sizes that depend on data", declared_by_data,
       "%y : f32[?,?] = reshape(%x, %i)\n%z : f32[?,?] = reshape(%x, %k)"},
      {"another shape", declared_otherwise, "%y : f32[n,3] = relu(%x)"},
      {"numbers in both branches", declared_in_both, "%y : f32[1,3] = if(%c; %x, %w)\nrelu(%x)"},
      {"numbers in one branch", declared_in_one, "%y : f32[?,3] = \"ai.onnx::If\""},
      {"other numbers", declared_apart, "%y : f32[?,3] = \"ai.onnx::If\""},
      {"a symbol in one branch", declared_by_name,
       "%y : f32[n,3] = if(%c; %x, %w, %i)\n%r : f32[n,3] = reshape(%w, %i)"},
      {"shapes that cannot be", declared_badly,
       "%y : f32[?,3] = \"ai.onnx::Celu\"\n%z : f32[*] = \"ai.onnx::Celu\""},
  };
  CHECK_FORMS(forms);
}
END_TEST

START_TEST(test_opaque)
{
  static const struct form forms[] = {
      {"unknown operators", unknown_ops,
       "%u : f32[n,4,?] ncw, %v : ?[*] = \"org.example::Fancy\" \"fancy1\" (%x, _, %x) {i=5, f=0.5, s=\"text\", is=[1,2], fs=[0.5, 1.5], "
       "ss=[\"a\", \"b\"], t=u8[2]{1, 2}, ts.0=i8[]{0}, ts.1=i8[]{1}}\nopset=0\n\"ai.onnx::Celu\"(%u)\nopset=13"},
      {"foreign inputs", foreign_inputs,
       "input %text : ?[2]\ninput %seq : ?[*]\n\"ai.onnx::Identity\"(%text)\noperand \\\"text\\\" is no tensor\n"
       "\"ai.onnx::Concat\"(%x, %seq)\noperand \\\"seq\\\" is no tensor"},
      {"foreign constants", foreign_constants,
       "%words : ?[*] = \"ai.onnx::Constant\"()\nstring\n%sparse : ?[*] = \"ai.onnx::Constant\"()\nsparse\nadd(%x, %sparse)"},
      {"captures", captures,
       "%late : f32[n,3] = tanh(%x)\n%y : f32[n,3] = if(%c; %late, %x)\nthen_branch=graph\ninput %late : f32[n,3]\n"
       "input %x : f32[n,3]\nrelu(%late)\nelse_branch=graph\nadd(%x, %late)"},
      {"nested captures", nested_captures,
       "%y : f32[n,3] = if(%c; %x, %c)\ninput %x : f32[n,3]\ninput %c : bool[]\n%own : f32[n,3] = relu(%x)\n%r : f32[n,3] = if(%c; %x, %own)"},
      {"a body in a function", body_of_function,
       "= if(%c; %x)\ninput %u : f32[n,3]\nelu(%u) {alpha=0.5}\nadd(%s, %u)"},
      {"an unknown operator in a branch", if_unknown_inside,
       "\"ai.onnx::If\"(%c; %x)\nelse_branch has \\\"r\\\" (ai.onnx::Celu): operator not supported"},
      {"branches of two types", if_other_type,
       "\"ai.onnx::If\"(%c; %x)\nresult 0 is f32[n,3] in then_branch and i64[2] in else_branch"},
      {"branches of two ranks", if_other_rank, "\"ai.onnx::If\"(%c; %x, %i)\nresult 0 is f32[n,3]"},
      {"branches of two symbols", if_other_symbol,
       "%y : f32[?,3] = \"ai.onnx::If\"(%c; %x, %w)\nnot known to yield the same shape: of result 0 they agree on [?,3]"},
      {"branches of unknown size", if_unknown_size,
       "\"ai.onnx::If\"(%c; %x, %i)\nof result 0 they agree on [?,?]"},
      {"branches of one symbol", if_same_symbol, "%y : f32[n,3] = if(%c; %x)"},
  };
  CHECK_FORMS(forms);
}
END_TEST

/* Every operator of the table of ops that has an ONNX name is read. */
START_TEST(test_complete)
{
  static const char *const wanted[] = {
#define GIE_OP(name, onnx, tier, flags, min_in, max_in, min_out, max_out, dtypes, infer, operands, help, \
               ...)                                                                                      \
  onnx,
#include "core/ir/ops.def"
#undef GIE_OP
  };
  static const char *const known[] = {
#define ONNX_OP(name, since, ir_op, attrs, function) #name,
#include "plugins/onnx/op_list.h"
  };
  for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
    bool found = !*wanted[i];
    for (size_t k = 0; !found && k < sizeof known / sizeof known[0]; k++)
      found = strcmp(wanted[i], known[k]) == 0;
    ck_assert_msg(found, "%s is not read", wanted[i]);
  }
  for (size_t k = 1; k < sizeof known / sizeof known[0]; k++)
    ck_assert_msg(strcmp(known[k - 1], known[k]) < 0, "%s is not in order", known[k]);
}
END_TEST

GIE_TESTS_MAIN("onnx import", test_values, test_declared, test_opaque, test_complete)
