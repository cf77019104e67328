/* SPDX-License-Identifier: Apache-2.0 */
/* Well-formed files with bad content: graphs and tensors, and what each gets. */
#include "tests/onnx/onnx_test.h"

/* ---- Graphs ------------------------------------------------------------------------------------- */

static void model(struct ob *b)
{
  ob_model(b, 8, 13);
  ob_input(b, "x", OB_F32, "2,3,8,8");
}

static void cycle(struct ob *b)
{
  model(b);
  node(b, "Add", "x c", "a");
  node(b, "Relu", "a", "b");
  node(b, "Relu", "b", "c");
  ob_output(b, "c");
}

static void self_cycle(struct ob *b)
{
  model(b);
  node(b, "Add", "x y", "y");
  ob_output(b, "y");
}

static void never_produced(struct ob *b)
{
  model(b);
  node(b, "Add", "x other", "y");
  ob_output(b, "y");
}

static void output_never_produced(struct ob *b)
{
  model(b);
  node(b, "Relu", "x", "y");
  ob_output(b, "z");
}

static void produced_twice(struct ob *b)
{
  model(b);
  node(b, "Relu", "x", "y");
  node(b, "Sigmoid", "x", "y");
  ob_output(b, "y");
}

static void input_produced(struct ob *b)
{
  model(b);
  node(b, "Relu", "x", "x");
  ob_output(b, "x");
}

static void output_twice(struct ob *b)
{
  onnx_test_relu(b);
  ob_output(b, "y");
}

static void input_twice(struct ob *b)
{
  onnx_test_relu(b);
  ob_input(b, "x", OB_F32, "1");
}

static void initializer_twice(struct ob *b)
{
  static const float w[] = {1};
  onnx_test_relu(b);
  ob_floats(b, "w", w, 1);
  ob_floats(b, "w", w, 1);
}

static void initializer_without_name(struct ob *b)
{
  static const float w[] = {1};
  onnx_test_relu(b);
  ob_floats(b, "", w, 1);
}

static void unsorted(struct ob *b)
{
  model(b);
  node(b, "Relu", "b", "c");
  node(b, "Relu", "a", "b");
  node(b, "Relu", "x", "a");
  ob_output(b, "c");
}

static void no_graph(struct ob *b)
{
  ob_int(b, 1, 8);
  ob_opset(b, "", 13);
}
static void no_nodes(struct ob *b)
{
  model(b);
  ob_output(b, "x");
}
static void no_outputs(struct ob *b)
{
  model(b);
  node(b, "Relu", "x", "y");
}
static void output_of_other_type(struct ob *b)
{
  model(b);
  node(b, "Relu", "x", "y");
  ob_value(b, 12, "y", OB_I64, "9,9");
}
static void branch_of_other_type(struct ob *b)
{
  model(b);
  ob_input(b, "c", OB_BOOL, "");
  ob_node(b, "If", "c", "y");
  for (int i = 0; i < 2; i++) {
    ob_attr(b, i ? "else_branch" : "then_branch", 5);
    ob_begin(b, 6);
    node(b, "Relu", "x", "r");
    ob_value(b, 12, "r", i ? OB_I64 : OB_F32, NULL);
    ob_end(b);
    ob_end(b);
  }
  ob_end(b);
  ob_output(b, "y");
}
static void no_results(struct ob *b)
{
  model(b);
  node(b, "Relu", "x", "");
  ob_output(b, "x");
}
static void no_op_type(struct ob *b)
{
  model(b);
  node(b, "", "x", "y");
  ob_output(b, "y");
}

static void with_opset(struct ob *b, int64_t opset)
{
  ob_model(b, 8, opset);
  ob_input(b, "x", OB_F32, "2");
  node(b, "Relu", "x", "y");
  ob_output(b, "y");
}
static void opset_0(struct ob *b) { with_opset(b, 0); }
static void opset_negative(struct ob *b) { with_opset(b, -1); }
static void opset_999(struct ob *b) { with_opset(b, 999); }
static void opset_21(struct ob *b) { with_opset(b, 21); }
static void opset_missing(struct ob *b)
{
  ob_int(b, 1, 8);
  ob_begin(b, 7);
  node(b, "Relu", "x", "y");
  ob_output(b, "y");
}
static void opset_of_other_domain(struct ob *b)
{
  ob_int(b, 1, 8);
  ob_opset(b, "org.example", 1);
  ob_begin(b, 7);
  ob_input(b, "x", OB_F32, "2");
  node(b, "Relu", "x", "y");
  ob_output(b, "y");
}
/* Some writers list the default domain again, without a version. */
static void opset_extra(struct ob *b)
{
  ob_opset(b, "ai.onnx.ml", 2);
  ob_begin(b, 8);
  ob_end(b);
  with_opset(b, 13);
}
static void opset_by_alias(struct ob *b)
{
  ob_int(b, 1, 8);
  ob_opset(b, "ai.onnx", 13);
  ob_begin(b, 7);
  ob_input(b, "x", OB_F32, "2");
  ob_node(b, "Relu", "x", "y");
  ob_str(b, 7, "ai.onnx");
  ob_end(b);
  ob_output(b, "y");
}

/* Function `name`(a) → r that calls `callee`. */
static void function(struct ob *b, const char *name, const char *callee)
{
  ob_begin(b, 25);
  ob_str(b, 1, name);
  ob_str(b, 10, "f");
  ob_str(b, 4, "a");
  ob_str(b, 5, "r");
  ob_node_in(b, 7, callee, "a", "r");
  ob_str(b, 7, "f");
  ob_end(b);
  ob_end(b);
}

static void calling(struct ob *b, const char *callee)
{
  model(b);
  ob_node(b, callee, "x", "y");
  ob_str(b, 7, "f");
  ob_end(b);
  ob_output(b, "y");
  ob_end(b);
}
static void recursion(struct ob *b)
{
  calling(b, "A");
  function(b, "A", "A");
}
static void mutual_recursion(struct ob *b)
{
  calling(b, "A");
  function(b, "A", "B");
  function(b, "B", "A");
}
static void functions_33_deep(struct ob *b)
{
  char name[16], callee[16];
  calling(b, "F0");
  for (int i = 0; i < 40; i++) {
    snprintf(name, sizeof name, "F%d", i);
    snprintf(callee, sizeof callee, "F%d", i + 1);
    function(b, name, callee);
  }
}
/* 2^32 calls without a node at their end. */
static void function_bomb(struct ob *b)
{
  char name[16], callee[16];
  calling(b, "F0");
  for (int i = 0; i < 32; i++) {
    snprintf(name, sizeof name, "F%d", i);
    snprintf(callee, sizeof callee, "F%d", i + 1);
    ob_begin(b, 25);
    ob_str(b, 1, name);
    ob_str(b, 10, "f");
    ob_str(b, 4, "a");
    ob_str(b, 5, i < 31 ? "r" : "a");
    for (int k = 0; k < 2 && i < 31; k++) {
      ob_node_in(b, 7, callee, "a", k ? "r" : "s");
      ob_str(b, 7, "f");
      ob_end(b);
    }
    ob_end(b);
  }
}
static void function_twice(struct ob *b)
{
  calling(b, "A");
  function(b, "A", "B");
  function(b, "A", "C");
}
static void function_operands(struct ob *b)
{
  model(b);
  ob_node(b, "A", "x x", "y");
  ob_str(b, 7, "f");
  ob_end(b);
  ob_output(b, "y");
  ob_end(b);
  function(b, "A", "Relu");
}

START_TEST(test_graphs)
{
  static const struct onnx_case cases[] = {
      {"cycle", cycle, GIE_E_GRAPH, "cycle: a -> b -> c -> a"},
      {"self cycle", self_cycle, GIE_E_GRAPH, "cycle: y -> y"},
      {"never produced", never_produced, GIE_E_GRAPH,
       "node 0 \"\" (Add): operand 1 \"other\" is never produced"},
      {"output never produced", output_never_produced, GIE_E_GRAPH, "output \"z\" is never produced"},
      {"produced twice", produced_twice, GIE_E_GRAPH, "\"y\" is produced by another node too"},
      {"input produced", input_produced, GIE_E_GRAPH, "input \"x\" is the result of a node too"},
      {"output twice", output_twice, GIE_E_GRAPH, "output \"y\" is listed twice"},
      {"input twice", input_twice, GIE_E_GRAPH, "two inputs are named \"x\""},
      {"initializer twice", initializer_twice, GIE_E_GRAPH, "two initializers are named \"w\""},
      {"initializer without name", initializer_without_name, GIE_E_GRAPH, "no name"},
      {"unsorted", unsorted, GIE_OK, NULL},
      {"no graph", no_graph, GIE_E_DATA, "no graph"},
      {"no nodes", no_nodes, GIE_E_GRAPH, "no nodes"},
      {"no outputs", no_outputs, GIE_E_GRAPH, "no outputs"},
      {"an output of another type", output_of_other_type, GIE_E_TYPE,
       "output \"y\" is declared as i64[9,9], but the graph makes it f32["},
      {"a branch of another type", branch_of_other_type, GIE_E_TYPE,
       "node 0 \"\" (If): else_branch: output \"r\" is declared as i64[*], but the graph makes it f32["},
      {"no results", no_results, GIE_E_GRAPH, "without results"},
      {"no op_type", no_op_type, GIE_E_GRAPH, "without op_type"},
      {"opset 0", opset_0, GIE_E_DATA, "operator set 0"},
      {"opset -1", opset_negative, GIE_E_DATA, "operator set -1"},
      {"opset 999", opset_999, GIE_E_UNSUPPORTED, "operator set 999; up to 21"},
      {"opset 21", opset_21, GIE_OK, NULL},
      {"opset missing", opset_missing, GIE_E_DATA, "no operator set"},
      {"opset of another domain", opset_of_other_domain, GIE_E_DATA, "no version of the ONNX operator set"},
      {"opset listed again", opset_extra, GIE_OK, NULL},
      {"opset of ai.onnx", opset_by_alias, GIE_OK, NULL},
      {"recursion", recursion, GIE_E_GRAPH, "function \"A\" calls itself"},
      {"mutual recursion", mutual_recursion, GIE_E_GRAPH, "function \"A\" calls itself"},
      {"deep functions", functions_33_deep, GIE_E_LIMIT, "more than 32 deep"},
      {"function bomb", function_bomb, GIE_E_LIMIT, "function calls"},
      {"function twice", function_twice, GIE_E_GRAPH, "two functions are named \"A\""},
      {"function operands", function_operands, GIE_E_GRAPH,
       "has 1 inputs and 1 results, the call has 2 and 1"},
  };
  onnx_test_cases(cases, sizeof cases / sizeof cases[0]);
}
END_TEST

/* A chain of a million nodes takes linear time. */
START_TEST(test_chain)
{
  struct onnx_test t;
  struct ob b;
  struct gie_graph *g;
  const int n = 1 << 20;
  char in[16], out[16];
  onnx_test_begin(&t);
  ob_init(&b);
  ob_model(&b, 8, 13);
  ob_input(&b, "v0", OB_F32, "2");
  for (int i = 0; i < n; i++) {
    snprintf(in, sizeof in, "v%d", i);
    snprintf(out, sizeof out, "v%d", i + 1);
    node(&b, "Relu", in, out);
  }
  ob_output(&b, out);
  double start = check_seconds();
  ck_gie_ok(t.ctx, onnx_test_load(&t, &b, &g));
  double took = check_seconds() - start;
  ck_assert_uint_eq(gie_graph_count_nodes(g), (unsigned)n);
  ck_assert_msg(took < 60, "%d nodes took %.1f s", n, took);
  gie_graph_free(g);
  onnx_test_end(&t);
}
END_TEST

/* ---- Tensors -------------------------------------------------------------------------------------- */

static void tensor(struct ob *b, int dtype, const int64_t *dims, size_t n)
{
  onnx_test_relu(b);
  ob_tensor(b, 5, "w", dtype, dims, n);
}
#define DIMS(...) (const int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)

static void raw(struct ob *b, int dtype, const int64_t *dims, size_t n, size_t bytes)
{
  static const char zeros[64];
  tensor(b, dtype, dims, n);
  ob_bytes(b, 9, zeros, bytes);
}

static void dims_overflow(struct ob *b) { raw(b, OB_F32, DIMS(INT64_C(1) << 32, INT64_C(1) << 32), 4); }
static void bytes_overflow(struct ob *b) { raw(b, OB_F32, DIMS(INT64_C(1) << 31, INT64_C(1) << 31), 4); }
static void dim_negative(struct ob *b) { raw(b, OB_F32, DIMS(-1), 4); }
static void dim_least(struct ob *b) { raw(b, OB_F32, DIMS(INT64_MIN), 4); }
static void dim_zero(struct ob *b) { raw(b, OB_F32, DIMS(3, 0), 0); }
static void dim_zero_and_huge(struct ob *b) { raw(b, OB_F32, DIMS(INT64_MAX, 0, INT64_MAX), 0); }
static void rank_8(struct ob *b) { raw(b, OB_F32, DIMS(1, 1, 1, 1, 1, 1, 1, 1), 4); }
static void rank_9(struct ob *b) { raw(b, OB_F32, DIMS(1, 1, 1, 1, 1, 1, 1, 1, 1), 4); }
static void rank_1000(struct ob *b)
{
  static int64_t dims[1000];
  for (int i = 0; i < 1000; i++)
    dims[i] = 1;
  raw(b, OB_F32, dims, 1000, 4);
}
static void raw_short(struct ob *b) { raw(b, OB_F32, DIMS(2), 7); }
static void raw_long(struct ob *b) { raw(b, OB_F32, DIMS(2), 9); }
static void no_data(struct ob *b) { tensor(b, OB_F32, DIMS(2)); }
static void raw_and_floats(struct ob *b)
{
  raw(b, OB_F32, DIMS(2), 8);
  ob_bytes(b, 4, "\0\0\0\0\0\0\0\0", 8);
}
static void dtype_0(struct ob *b) { raw(b, 0, DIMS(1), 4); }
static void dtype_99(struct ob *b) { raw(b, 99, DIMS(1), 4); }
static void four_terabytes(struct ob *b) { raw(b, OB_F32, DIMS(INT64_C(1) << 40), 64); }
static void four_terabytes_empty(struct ob *b) { tensor(b, OB_I64, DIMS(INT64_C(1) << 40)); }
static void floats_for_ints(struct ob *b)
{
  tensor(b, OB_I64, DIMS(1));
  ob_bytes(b, 4, "\0\0\0\0", 4);
}
static void too_few_ints(struct ob *b)
{
  tensor(b, OB_I64, DIMS(3));
  ob_bytes(b, 7, "\1\2", 2);
}
static void u8_out_of_range(struct ob *b)
{
  tensor(b, OB_U8, DIMS(1));
  ob_int(b, 5, 256);
}
/* 2,000 varints of one byte, lifted, for 2,001 elements; and one that is cut. */
static void lifted(struct ob *b, int64_t count, unsigned char last)
{
  static unsigned char v[2000];
  tensor(b, OB_I64, &count, 1);
  memset(v, 1, sizeof v);
  v[sizeof v - 1] = last;
  ob_bytes(b, 7, v, sizeof v);
}
static void lifted_good(struct ob *b) { lifted(b, 2000, 5); }
static void lifted_short(struct ob *b) { lifted(b, 2001, 5); }
static void lifted_long(struct ob *b) { lifted(b, 1999, 5); }
static void lifted_cut(struct ob *b) { lifted(b, 1999, 0x80); }
static void pieces(struct ob *b)
{
  static const float v[300];
  tensor(b, OB_F32, DIMS(301));
  ob_bytes(b, 4, v, sizeof v);
  ob_float(b, 4, 1);
}
static void segment(struct ob *b)
{
  raw(b, OB_F32, DIMS(1), 4);
  ob_begin(b, 3);
  ob_int(b, 1, 0);
  ob_end(b);
}
static void nan_and_denormals(struct ob *b)
{
  static const uint32_t w[] = {0x7fc00001, 0xff800000, 1, 0x80000000};
  tensor(b, OB_F32, DIMS(4));
  ob_bytes(b, 9, w, sizeof w);
}
static void input_dim_negative(struct ob *b)
{
  onnx_test_relu(b);
  ob_input(b, "z", OB_F32, "-1,2");
}
static void input_rank_9(struct ob *b)
{
  onnx_test_relu(b);
  ob_input(b, "z", OB_F32, "1,1,1,1,1,1,1,1,1");
}
static void input_dtype_99(struct ob *b)
{
  onnx_test_relu(b);
  ob_input(b, "z", 99, "1");
}

START_TEST(test_tensors)
{
  static const struct onnx_case cases[] = {
      {"dims overflow", dims_overflow, GIE_E_LIMIT, "initializer \"w\": the number of elements overflows"},
      {"bytes overflow", bytes_overflow, GIE_E_LIMIT, "overflows"},
      {"dim -1", dim_negative, GIE_E_SHAPE, "dim -1"},
      {"dim INT64_MIN", dim_least, GIE_E_SHAPE, "dim -9223372036854775808"},
      {"dim 0", dim_zero, GIE_OK, NULL},
      {"dim 0 and huge", dim_zero_and_huge, GIE_OK, NULL},
      {"rank 8", rank_8, GIE_OK, NULL},
      {"rank 9", rank_9, GIE_E_LIMIT, "rank 9; at most 8"},
      {"rank 1000", rank_1000, GIE_E_LIMIT, "rank 1000; at most 8"},
      {"raw_data - 1", raw_short, GIE_E_DATA, "8 bytes of data are needed, 7 are there"},
      {"raw_data + 1", raw_long, GIE_E_DATA, "8 bytes of data are needed, 9 are there"},
      {"no data", no_data, GIE_E_DATA, "8 bytes of data are needed, none are there"},
      {"raw_data and float_data", raw_and_floats, GIE_E_DATA, "data in two fields"},
      {"dtype 0", dtype_0, GIE_E_TYPE, "element type 0 does not exist"},
      {"dtype 99", dtype_99, GIE_E_TYPE, "element type 99 does not exist"},
      {"4 TB", four_terabytes, GIE_E_DATA, "4398046511104 bytes of data are needed, 64 are there"},
      {"4 TB without data", four_terabytes_empty, GIE_E_DATA, "none are there"},
      {"float_data for i64", floats_for_ints, GIE_E_DATA, "not for element type int64"},
      {"too few ints", too_few_ints, GIE_E_DATA, "3 elements are needed, 2 are there"},
      {"u8 256", u8_out_of_range, GIE_E_DATA, "element 0 is no u8"},
      {"lifted ints", lifted_good, GIE_OK, NULL},
      {"lifted ints, too few", lifted_short, GIE_E_DATA, "2001 elements are needed, 2000 are there"},
      {"lifted ints, too many", lifted_long, GIE_E_DATA, "more than the 1999 elements"},
      {"lifted ints, cut", lifted_cut, GIE_E_PARSE, "truncated number"},
      {"pieces", pieces, GIE_E_UNSUPPORTED, "data in pieces"},
      {"segment", segment, GIE_E_UNSUPPORTED, "segments"},
      {"NaN, infinity, denormals", nan_and_denormals, GIE_OK, NULL},
      {"input dim -1", input_dim_negative, GIE_E_SHAPE, "\"z\" has the dim -1"},
      {"input rank 9", input_rank_9, GIE_E_LIMIT, "rank 9"},
      {"input dtype 99", input_dtype_99, GIE_E_TYPE, "element type 99"},
  };
  onnx_test_cases(cases, sizeof cases / sizeof cases[0]);
}
END_TEST

/* Weights that are NaN, infinite or denormal are used as they are: nothing is flushed or refused. */
START_TEST(test_special_weights)
{
  static const uint32_t w[] = {0x7fc00001, 0xff800000, 0x7f800000, 1, 0x807fffff, 0x80000000};
  static float ones[] = {1, 1, 1, 1, 1, 1};
  struct onnx_test t;
  struct ob b;
  struct gie_graph *g;
  struct gie_exec *e;
  const struct gie_tensor x = {sizeof x, GIE_F32, 1, {6}, ones};
  struct gie_tensor y = {.struct_size = sizeof y};
  onnx_test_begin(&t);
  ob_init(&b);
  ob_model(&b, 8, 13);
  ob_input(&b, "x", OB_F32, "6");
  ob_tensor(&b, 5, "w", OB_F32, DIMS(6));
  ob_bytes(&b, 9, w, sizeof w);
  ob_end(&b);
  node(&b, "Mul", "x w", "y");
  ob_output(&b, "y");
  ck_gie_ok(t.ctx, onnx_test_load(&t, &b, &g));
  ck_assert_mem_eq(gie_value_bytes(g, gie_value_find(g, "w"), NULL), w, sizeof w);
  ck_gie_ok(t.ctx, gie_exec_new(g, NULL, &e));
  ck_gie_ok(t.ctx, gie_exec_set_input(e, "x", &x));
  ck_gie_ok(t.ctx, gie_exec_run(e));
  ck_gie_ok(t.ctx, gie_exec_output(e, "y", &y));
  ck_assert_mem_eq(y.data, w, sizeof w);
  gie_exec_free(e);
  gie_graph_free(g);
  onnx_test_end(&t);
}
END_TEST

GIE_TESTS_MAIN("onnx bad models", test_graphs, test_chain, test_tensors, test_special_weights)
