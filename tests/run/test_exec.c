/* SPDX-License-Identifier: Apache-2.0 */
/* The executor on a mock backend: storage, memory, devices, shapes that change and shapes that are
 * computed, single nodes, threads, and running out of memory at every allocation. */
#include "tests/run/mock.h"

static const char RELU[] = "graph \"g\" { input %x : f32[4] %y = relu(%x) output %y }";
static const float X4[] = {-1, 2, -3, 4}, RELU4[] = {0, 2, 0, 4};

static const char MATMUL[] =
    "graph \"g\" (n) { input %x : f32[n,2] const %w : f32[2,2] = {1, 2, 3, 4}"
    " const %same : f32[2,2] = {1, 2, 3, 4} %a = matmul(%x, %w) %y = matmul(%a, %same) output %y }";

/* ---- Storage ----------------------------------------------------------------------------------- */

START_TEST(runs_and_keeps_inputs)
{
  kernel("a.relu");
  struct gie_exec *x = new_exec(RELU, NULL);
  struct gie_tensor t;
  ck_gie(ctx, gie_exec_output(x, "y", &t), GIE_E_USAGE);
  ck_gie(ctx, gie_exec_run(x), GIE_E_USAGE);
  HAS("input \"x\" is not set");
  ck_gie_ok(ctx, set(x, "x", X4, 1, 4, 0, 0, 0));
  for (int i = 0; i < 2; i++) {
    ck_gie_ok(ctx, gie_exec_run(x));
    expect(x, "y", RELU4, 4);
  }
  gie_exec_free(x);
}
END_TEST

START_TEST(concat_of_views_costs_nothing)
{
  struct mock *m = kernel("a.any");
  struct gie_exec *x = new_exec("graph \"g\" { input %a : f32[2,1,2] input %b : f32[2,2,2]"
                                " %p : f32[2,1,2] view(%c, 1, 0, 1) = relu(%a)"
                                " %q : f32[2,2,2] view(%c, 1, 1, 2) = relu(%b)"
                                " %c = concat(%p, %q) {axis=1} %d = relu(%c) output %d }",
                                NULL);
  const float a[] = {1, -2, 3, 4}, b[] = {5, 6, -7, 8, 9, 10, 11, -12};
  const float want[] = {1, 0, 5, 6, 0, 8, 3, 4, 9, 10, 11, 0};
  ck_gie_ok(ctx, set(x, "a", a, 3, 2, 1, 2, 0));
  ck_gie_ok(ctx, set(x, "b", b, 3, 2, 2, 2, 0));
  ck_gie_ok(ctx, gie_exec_run(x));
  expect(x, "d", want, 12);
  ck_assert_int_eq(m->runs, 3);
  ck_assert_str_eq(kernel_of(x, 2), "view");
  gie_exec_free(x);
}
END_TEST

/* Views that help nobody must not hurt either: swapped, only some of them, below another op. */
START_TEST(useless_views_are_ignored)
{
  teardown();
  static const struct {
    const char *text;
    int runs;
    float c[4], p[2];
  } T[] = {
      {"%p : f32[1,2] view(%c, 1, 2, 2) = relu(%a) %q : f32[1,2] view(%c, 1, 0, 2) = relu(%b) %c = concat(%p, %q) {axis=1}",
       3,
       {1, 0, 3, 4},
       {1, 0}},
      {"%p : f32[1,2] view(%c, 1, 0, 2) = relu(%a) %q = relu(%b) %c = concat(%p, %q) {axis=1}",
       3,
       {1, 0, 3, 4},
       {1, 0}},
      {"%p : f32[1,2] view(%c, 1, 0, 2) = relu(%a) %q = relu(%b) %c = concat(%b, %b) {axis=1}",
       2,
       {3, 4, 3, 4},
       {1, 0}},
      {"%q = concat(%b, %b) {axis=1} %p : f32[1,2] view(%c, 1, 0, 2) = relu(%a) %c = relu(%q)",
       3,
       {3, 4, 3, 4},
       {1, 0}},
      {"%p : f32[1,2] view(%c, 1, 0, 2) = relu(%a) %q : f32[1,4] = concat(%p, %b) {axis=1} %c : f32[1,4] = relu(%q)",
       3,
       {1, 0, 3, 4},
       {1, 0}},
  };
  for (size_t i = 0; i < sizeof T / sizeof *T; i++) {
    char text[512];
    setup();
    struct mock *m = kernel("a.any");
    snprintf(text, sizeof text,
             "graph \"g\" { input %%a : f32[1,2] input %%b : f32[1,2] %s output %%c output %%p }", T[i].text);
    struct gie_exec *x = new_exec(text, NULL);
    const float a[] = {1, -2}, b[] = {3, 4};
    ck_gie_ok(ctx, set(x, "a", a, 2, 1, 2, 0, 0));
    ck_gie_ok(ctx, set(x, "b", b, 2, 1, 2, 0, 0));
    ck_gie_ok(ctx, gie_exec_run(x));
    expect(x, "c", T[i].c, 4);
    expect(x, "p", T[i].p, 2);
    ck_assert_int_eq(m->runs, T[i].runs);
    gie_exec_free(x);
    teardown();
  }
  setup();
}
END_TEST

START_TEST(split_and_slice_into_views_cost_nothing)
{
  struct mock *m = kernel("a.any");
  struct gie_exec *x =
      new_exec("graph \"g\" { input %a : f32[2,3] const %st : i64[1] = {1} const %en : i64[1] = {3}"
               " const %ax : i64[1] = {-1} const %sz : i64[2] = {1, 2}"
               " %r = relu(%a)"
               " %s : f32[2,2] view(%r, 1, 1, 2) = slice(%r, %st, %en, %ax)"
               " %u : f32[2,1] view(%r, 1, 0, 1), %v : f32[2,2] view(%r, 1, 1, 2) = split(%r, %sz) {axis=1}"
               " %w = add(%s, %v) output %w output %u }",
               NULL);
  const float a[] = {1, 2, 3, 4, 5, 6}, w[] = {4, 6, 10, 12}, u[] = {1, 4};
  ck_gie_ok(ctx, set(x, "a", a, 2, 2, 3, 0, 0));
  ck_gie_ok(ctx, gie_exec_run(x));
  expect(x, "w", w, 4);
  expect(x, "u", u, 2); /* a view, shown dense */
  ck_assert_int_eq(m->runs, 2);
  ck_assert(m->was_pitched);
  gie_exec_free(x);
}
END_TEST

START_TEST(reshape_shares_its_operand)
{
  struct mock *m = kernel("a.any");
  struct gie_exec *x =
      new_exec("graph \"g\" { input %a : f32[2,2] const %s : i64[1] = {4} const %t : i64[2] = {1, 4}"
               " %r = relu(%a) %f = reshape(%r, %s) %y = relu(%f) %h = reshape(%a, %t) output %y output %h }",
               NULL);
  ck_gie_ok(ctx, set(x, "a", X4, 2, 2, 2, 0, 0));
  ck_gie_ok(ctx, gie_exec_run(x));
  ck_assert_int_eq(m->runs, 2);
  expect(x, "y", RELU4, 4);
  /* an output that is the input by another name is safe from the next input */
  const float other[] = {7, 7, 7, 7};
  ck_gie_ok(ctx, set(x, "a", other, 2, 2, 2, 0, 0));
  expect(x, "h", X4, 4);
  gie_exec_free(x);
}
END_TEST

START_TEST(outputs_that_nothing_computes)
{
  kernel("a.any");
  struct gie_exec *x = new_exec(
      "graph \"g\" { input %a : f32[4] const %c : f32[2] = {3, 4} output %a output %c output %a }", NULL);
  const float c[] = {3, 4};
  struct gie_node_profile p;
  ck_gie_ok(ctx, set(x, "a", X4, 1, 4, 0, 0, 0));
  ck_gie_ok(ctx, gie_exec_run(x));
  expect(x, "a", X4, 4);
  expect(x, "c", c, 2);
  ck_assert(!gie_exec_profile(x, 0, &p));
  gie_exec_free(x);
}
END_TEST

START_TEST(layouts_are_kept_inside)
{
  struct mock *m = kernel("a.any");
  m->layout = "nChw4c";
  struct gie_exec *x = new_exec(
      "graph \"g\" { input %a : f32[1,6,1,2] nChw4c const %k : f32[1,6,1,1] nChw4c = {1, 2, 3, 4, 5, 6}"
      " %y : f32[1,6,1,2] nChw4c = add(%a, %k) output %y }",
      NULL);
  const float a[] = {0, 1, 10, 11, 20, 21, 30, 31, 40, 41, 50, 51};
  const float want[] = {1, 2, 12, 13, 23, 24, 34, 35, 45, 46, 56, 57};
  ck_gie_ok(ctx, set(x, "a", a, 4, 1, 6, 1, 2));
  ck_gie_ok(ctx, gie_exec_run(x));
  expect(x, "y", want, 12);
  ck_assert(!m->bad_address);
  gie_exec_free(x);
}
END_TEST

START_TEST(empty_tensors)
{
  struct mock *m = kernel("a.any");
  struct gie_exec *x = new_exec("graph \"g\" (n) { input %a : f32[n,2] input %b : f32[2,2] %r = relu(%a)"
                                " %c = concat(%r, %b) {axis=0} output %c output %r }",
                                NULL);
  ck_gie_ok(ctx, set(x, "a", NULL, 2, 0, 2, 0, 0));
  ck_gie_ok(ctx, set(x, "b", X4, 2, 2, 2, 0, 0));
  /* the mock's loops run at least once, so an empty operand is not for it */
  m->refuse = "empty";
  ck_gie(ctx, gie_exec_run(x), GIE_E_UNSUPPORTED);
  HAS("(concat)");
  gie_exec_free(x);
  m->refuse = NULL;
  x = new_exec("graph \"g\" (n) { input %a : f32[n,2] %r = relu(%a) output %r }", NULL);
  ck_gie_ok(ctx, set(x, "a", NULL, 2, 0, 2, 0, 0));
  ck_gie_ok(ctx, gie_exec_run(x));
  expect(x, "r", NULL, 0);
  ck_assert_int_eq(m->runs, 0);
  gie_exec_free(x);
}
END_TEST

/* ---- Memory ------------------------------------------------------------------------------------ */

static const char CHAIN[] =
    "graph \"g\" { input %x : f32[256] %a = relu(%x) %b = relu(%a) %c = relu(%b) %y = relu(%c) output %y }";

static struct gie_memory_report memory_of(const char *text)
{
  struct gie_exec *x = new_exec(text, NULL);
  struct gie_memory_report r = {.struct_size = sizeof r};
  ck_gie_ok(ctx, gie_exec_memory(x, &r));
  gie_exec_free(x);
  return r;
}

START_TEST(memory_is_shared)
{
  struct mock *m = kernel("a.any");
  struct gie_memory_report r = memory_of(CHAIN);
  ck_assert_uint_eq(r.activations, 2048); /* a and c share */
  ck_assert_uint_eq(r.unshared, 3072);
  ck_assert_uint_eq(r.outputs, 1024);
  ck_assert_uint_eq(r.workspace, 0);
  m->workspace = 512;
  ck_assert_uint_eq(memory_of(CHAIN).workspace, 512);
  m->workspace = 0;
  m->in_place = true; /* a takes no input, then everything is the output's memory */
  r = memory_of(CHAIN);
  ck_assert_uint_eq(r.activations, 0);
  ck_assert_uint_eq(r.outputs, 1024);
  /* a is read again later, and b twice by one node */
  r = memory_of(
      "graph \"g\" { input %x : f32[256] %a = relu(%x) %b = relu(%a) %c = add(%b, %b) %y = add(%c, %a) output %y }");
  ck_assert_uint_eq(r.activations, 2048);
}
END_TEST

START_TEST(in_place_gives_the_same)
{
  struct mock *m = kernel("a.any");
  const char *text =
      "graph \"g\" { input %x : f32[4] %a = relu(%x) %b = add(%a, %x) %c = add(%b, %b) %d = add(%c, %a)"
      " %e = relu(%d) %y = add(%e, %d) output %y output %b }";
  float first[4];
  for (int i = 0; i < 2; i++) {
    struct gie_tensor t;
    m->in_place = i;
    struct gie_exec *x = new_exec(text, NULL);
    ck_gie_ok(ctx, set(x, "x", X4, 1, 4, 0, 0, 0));
    ck_gie_ok(ctx, gie_exec_run(x));
    ck_gie_ok(ctx, gie_exec_run(x));
    ck_gie_ok(ctx, gie_exec_output(x, "y", &t));
    if (i)
      ck_assert_mem_eq(first, t.data, sizeof first);
    memcpy(first, t.data, sizeof first);
    gie_exec_free(x);
  }
}
END_TEST

START_TEST(hostile_shapes)
{
  static const char *const text[] = {
      "graph \"g\" (n) { input %x : f32[n,4611686018427387904] %y = relu(%x) output %y }",
      "graph \"g\" { const %c : f32[1] = {1} const %s : i64[3] = {2147483647, 2147483647, 4} %y = expand(%c, %s) %z = relu(%y) output %z }",
      "graph \"g\" { const %c : f32[1] = {1} const %s : i64[2] = {2147483647, 65536} %y = expand(%c, %s) %z = relu(%y) output %z }",
  };
  static const char *const ops[] = {"expand", NULL};
  kernel("a.any");
  struct mock *m = &mocks[n_kernels];
  kernels[n_kernels] = mock_kernel("a.expand", "cpu", m);
  kernels[n_kernels].ops = ops;
  mock_register_kernel(ctx, &kernels[n_kernels++]);
  for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
    struct gie_exec *x = NULL;
    struct gie_graph *g;
    gie_status st = gie_graph_parse(ctx, text[i], strlen(text[i]), NULL, &g);
    if (st != GIE_OK)
      continue; /* refused even earlier */
    st = gie_exec_new(g, NULL, &x);
    gie_graph_free(g);
    if (st == GIE_OK && gie_graph_n_inputs(x->graph))
      st = set(x, "x", X4, 2, 4, INT64_C(4611686018427387904), 0, 0);
    else if (st == GIE_OK)
      st = gie_exec_run(x);
    ck_assert_msg(st == GIE_E_LIMIT || st == GIE_E_MEMORY, "graph %zu: %s", i, gie_error_text(ctx));
    gie_exec_free(x);
  }
}
END_TEST

/* ---- Shapes ------------------------------------------------------------------------------------ */

START_TEST(symbols_follow_the_inputs)
{
  struct mock *m = kernel("a.any");
  struct gie_exec *x =
      new_exec("graph \"g\" (n, c) { input %a : f32[n,c] input %b : f32[n,2*c+1] %p = relu(%a) %q = relu(%b)"
               " %y = concat(%p, %q) {axis=1} output %y }",
               NULL);
  const float data[64] = {1, 2, 3, 4, 5, 6, 7, 8};
  struct gie_tensor t;
  struct gie_memory_report r = {.struct_size = sizeof r};
  ck_gie(ctx, gie_exec_memory(x, &r), GIE_E_USAGE);
  ck_gie_ok(ctx, set(x, "a", data, 2, 2, 1, 0, 0));
  ck_gie_ok(ctx, set(x, "b", data, 2, 3, 3, 0, 0));
  ck_gie(ctx, gie_exec_run(x), GIE_E_SHAPE);
  HAS("inputs disagree about \"n\": 2 in \"a\", 3 in \"b\"");
  ck_gie_ok(ctx, set(x, "b", data, 2, 2, 4, 0, 0));
  ck_gie(ctx, gie_exec_run(x), GIE_E_SHAPE);
  HAS("which 2*c+1 cannot be");
  for (int round = 0; round < 3; round++)
    for (int n = 1; n < 4; n++) {
      ck_gie_ok(ctx, set(x, "a", data, 2, n, 1, 0, 0));
      ck_gie_ok(ctx, set(x, "b", data, 2, n, 3, 0, 0));
      ck_gie_ok(ctx, gie_exec_run(x));
      ck_gie_ok(ctx, gie_exec_output(x, "y", &t));
      ck_assert(t.rank == 2 && t.dim[0] == n && t.dim[1] == 4);
    }
  ck_assert_int_eq(m->creates, 9); /* three nodes, three shapes, each built once */
  for (int n = 1; n < 30; n++) {   /* more shapes than are kept */
    ck_gie_ok(ctx, set(x, "a", data, 2, n, 1, 0, 0));
    ck_gie_ok(ctx, set(x, "b", data, 2, n > 20 ? 20 : n, 3, 0, 0));
    ck_gie(ctx, gie_exec_run(x), n > 20 ? GIE_E_SHAPE : GIE_OK);
  }
  ck_assert_int_le(m->creates - m->destroys, 3 * RUN_MAX_SPECS + 3);
  gie_exec_free(x);
}
END_TEST

START_TEST(inputs_are_checked)
{
  kernel("a.any");
  struct gie_exec *x = new_exec(
      "graph \"g\" (n) { input %a : f32[n,2] input %unused : f32[n] %y = relu(%a) output %y }", NULL);
  struct gie_tensor t = tensor(GIE_F64, (void *)(uintptr_t)X4, 2, 1, 2, 0, 0), out;
  ck_gie(ctx, set(x, "nope", X4, 1, 4, 0, 0, 0), GIE_E_USAGE);
  HAS("there is no input \"nope\"; the graph has \"a\", \"unused\"");
  ck_gie(ctx, set(x, "y", X4, 1, 4, 0, 0, 0), GIE_E_USAGE);
  ck_gie(ctx, gie_exec_set_input(x, "a", &t), GIE_E_TYPE);
  HAS("has elements of f64, the graph takes f32");
  ck_gie(ctx, set(x, "a", X4, 1, 4, 0, 0, 0), GIE_E_SHAPE);
  HAS("input \"a\" is [4], the graph takes [n,2]");
  ck_gie(ctx, set(x, "a", X4, 2, 2, 3, 0, 0), GIE_E_SHAPE);
  ck_gie(ctx, set(x, "a", X4, 2, -1, 2, 0, 0), GIE_E_SHAPE);
  ck_gie(ctx, set(x, "a", X4, 9, 1, 2, 0, 0), GIE_E_SHAPE);
  ck_gie(ctx, set(x, "a", X4, -1, 1, 2, 0, 0), GIE_E_SHAPE);
  ck_gie(ctx, set(x, "a", NULL, 2, 1, 2, 0, 0), GIE_E_USAGE);
  t = tensor(GIE_DTYPE_COUNT, (void *)(uintptr_t)X4, 2, 1, 2, 0, 0);
  ck_gie(ctx, gie_exec_set_input(x, "a", &t), GIE_E_TYPE);
  ck_gie_ok(ctx, set(x, "a", X4, 2, 2, 2, 0, 0));
  ck_gie_ok(ctx, gie_exec_run(x)); /* what nothing reads may stay unset */
  ck_gie(ctx, gie_exec_output(x, "a", &out), GIE_E_USAGE);
  HAS("there is no output \"a\"; the graph has \"y\"");
  gie_exec_free(x);
}
END_TEST

START_TEST(shape_arithmetic_costs_nothing)
{
  struct mock *m = kernel("a.any");
  /* nobody here computes shape, gather or concat of integers: inference does */
  struct gie_exec *x =
      new_exec("graph \"g\" (n) { input %a : f32[n,2,2] const %i : i64[1] = {0} const %m : i64[1] = {-1}"
               " %s = shape(%a) %n = gather(%s, %i) %to = concat(%n, %m) {axis=0}"
               " %r = relu(%a) %y = reshape(%r, %to) %z = relu(%y) output %z }",
               "+a");
  (void)x;
  ck_gie_ok(ctx, set(x, "a", X4, 3, 1, 2, 2, 0));
  ck_gie_ok(ctx, gie_exec_run(x));
  expect(x, "z", RELU4, 4);
  ck_assert_int_eq(m->runs, 2);
  gie_exec_free(x);
}
END_TEST

static const char DYNAMIC[] =
    "graph \"g\" { input %a : f32[2,2] input %s : i64[2] %r = relu(%a) %y = reshape(%r, %s)"
    " %z = add(%y, %y) const %flat : i64[1] = {4} %w = reshape(%z, %flat) %v = add(%w, %w)"
    " output %z output %v output %r }";

START_TEST(computed_shapes_run_in_the_tail)
{
  struct mock *m = kernel("a.any");
  struct gie_exec *x = new_exec(DYNAMIC, NULL);
  int64_t shapes[][2] = {{1, 4}, {4, 1}, {-1, 2}, {3, 1}};
  const float want[] = {0, 4, 0, 8}, twice[] = {0, 8, 0, 16};
  for (int i = 0; i < 4; i++) {
    struct gie_tensor s = tensor(GIE_I64, shapes[i], 1, 2, 0, 0, 0), t;
    ck_gie_ok(ctx, set(x, "a", X4, 2, 2, 2, 0, 0));
    ck_gie_ok(ctx, gie_exec_set_input(x, "s", &s));
    gie_status st = gie_exec_run(x);
    if (i == 3) {
      ck_gie(ctx, st, GIE_E_SHAPE);
      HAS("node 1 \"y\" (reshape)");
      ck_gie(ctx, gie_exec_output(x, "z", &t), GIE_E_USAGE);
      break;
    }
    ck_gie_ok(ctx, st);
    ck_gie_ok(ctx, gie_exec_output(x, "z", &t));
    ck_assert_int_eq(t.dim[0], i == 0 ? 1 : i == 1 ? 4 : 2);
    expect(x, "z", want, 4);
    expect(x, "v", twice, 4);
    expect(x, "r", RELU4, 4);
    ck_assert_str_eq(kernel_of(x, 1), "a.any");
  }
  ck_assert_int_ge(m->runs, 15);
  struct gie_memory_report r = {.struct_size = sizeof r};
  ck_gie_ok(ctx, gie_exec_memory(x, &r));
  ck_assert_uint_eq(r.tail, 0); /* the last run failed at its first */
  struct gie_tensor s = tensor(GIE_I64, shapes[0], 1, 2, 0, 0, 0);
  ck_gie_ok(ctx, gie_exec_set_input(x, "s", &s));
  ck_gie_ok(ctx, gie_exec_run(x));
  ck_gie_ok(ctx, gie_exec_memory(x, &r));
  ck_assert_uint_eq(r.tail, 48); /* z stays, w and v: y was given back */
  const size_t small = offsetof(struct gie_memory_report, unshared);
  r = (struct gie_memory_report){.struct_size = small, .unshared = 1, .tail = 2};
  ck_gie_ok(ctx, gie_exec_memory(x, &r));
  ck_assert(r.struct_size == small && r.unshared == 1 && r.tail == 2 && r.outputs > 0);
  gie_exec_free(x);
}
END_TEST

/* ---- Failing allocations ------------------------------------------------------------------------ */

/* Everything that can be in a graph, with allocation 1, 2, 3 … failing until nothing fails. */
START_TEST(memory_runs_out_everywhere)
{
  struct mock *m = kernel("a.any");
  const char *text =
      "graph \"g\" (n) { input %a : f32[n,2] input %s : i64[2] const %w : f32[2,2] = {1, 2, 3, 4}"
      " %p : f32[n,2] view(%c, 1, 0, 2) = relu(%a) %q : f32[n,2] view(%c, 1, 2, 2) = matmul(%a, %w)"
      " %c = concat(%p, %q) {axis=1} %r = reshape(%c, %s) %y = add(%r, %r) output %y output %q }";
  struct gie_graph *g = parse(text);
  int64_t shape[] = {4, 2};
  struct gie_tensor s = tensor(GIE_I64, shape, 1, 2, 0, 0, 0);
  m->pack_key = "k";
  m->workspace = 64;
  bool done = false;
  for (long n = 1; !done; n++) {
    struct gie_exec *x = NULL;
    ctx->fail_alloc_after = n;
    gie_status st = gie_exec_new(g, NULL, &x);
    if (st == GIE_OK)
      st = set(x, "a", X4, 2, 2, 2, 0, 0);
    if (st == GIE_OK)
      st = gie_exec_set_input(x, "s", &s);
    if (st == GIE_OK)
      st = gie_exec_run(x);
    done = ctx->fail_alloc_after > 0;
    ctx->fail_alloc_after = -1;
    ck_assert_msg(st == GIE_E_MEMORY || (st == GIE_OK && done), "allocation %ld: %s %s", n,
                  gie_status_name(st), gie_error_text(ctx));
    if (st != GIE_OK && x) { /* and it works as soon as there is memory again */
      ck_gie_ok(ctx, set(x, "a", X4, 2, 2, 2, 0, 0));
      ck_gie_ok(ctx, gie_exec_set_input(x, "s", &s));
      ck_gie_ok(ctx, gie_exec_run(x));
    }
    gie_exec_free(x);
  }
  gie_graph_free(g);
}
END_TEST

/* ---- Another device ---------------------------------------------------------------------------- */

START_TEST(a_device_with_its_own_memory)
{
  mock_register_device(ctx, &mock_far);
  struct mock *m = kernel_on("far", "far.any"), *host = kernel("a.any");
  kernels[0].library = &mock_library;
  m->workspace = 256;
  m->pack_key = "t";
  const char *text =
      "graph \"g\" (n) { input %a : f32[n,2] input %s : i64[2] const %w : f32[2,2] = {1, 2, 3, 4} const %k : f32[2] = {1, -100}"
      " %p : f32[n,2] view(%c, 1, 0, 2) = add(%a, %k) %q : f32[n,2] view(%c, 1, 2, 2) = relu(%a)"
      " %c = concat(%p, %q) {axis=1} %m = matmul(%a, %w)"
      " %r = reshape(%q, %s) %y = add(%r, %r) output %y output %q output %m output %a output %w }";
  struct gie_exec_options o = {.struct_size = sizeof o, .device = "far", .profile = true};
  struct gie_exec *x;
  int64_t shape[] = {4, 1};
  struct gie_tensor s = tensor(GIE_I64, shape, 1, 2, 0, 0, 0);
  const float y[] = {0, 4, 0, 8}, mm[] = {5, 6, 9, 10}, w[] = {1, 2, 3, 4};
  ck_gie_ok(ctx, try_exec(text, &o, &x));
  for (int i = 0; i < 2; i++) {
    ck_gie_ok(ctx, set(x, "a", X4, 2, 2, 2, 0, 0));
    ck_gie_ok(ctx, gie_exec_set_input(x, "s", &s));
    ck_gie_ok(ctx, gie_exec_run(x));
    expect(x, "y", y, 4);
    expect(x, "q", RELU4, 4);
    expect(x, "m", mm, 4);
    expect(x, "a", X4, 4);
    expect(x, "w", w, 4);
  }
  ck_assert(!m->bad_address && !host->bad_address);
  ck_assert_int_eq(m->packs, 1);
  ck_assert_int_eq(m->runs, 4);
  ck_assert_int_eq(host->runs, 4);
  ck_assert_int_eq(mock_library_opens, 1);
  gie_exec_free(x);
}
END_TEST

/* ---- Single nodes ------------------------------------------------------------------------------ */

START_TEST(single_nodes_fold)
{
  kernel("a.any");
  struct gie_graph *g = parse(
      "graph \"g\" { const %a : f32[2] = {1, -2} const %b : f32[2] = {3, 4} input %x : f32[2]"
      " %c = add(%a, %b) %y = add(%c, %x) output %y }");
  struct run_once once;
  struct gie_tensor out[1];
  const float want[] = {4, 2};
  ck_gie_ok(ctx, run_once_open(ctx, NULL, &once));
  ck_gie_ok(ctx, run_once_node(&once, g, 0, NULL, out));
  ck_assert(out[0].rank == 1 && out[0].dim[0] == 2 && out[0].dtype == GIE_F32);
  ck_assert_mem_eq(out[0].data, want, sizeof want);
  gie_free(ctx, out[0].data);
  ck_gie(ctx, run_once_node(&once, g, 1, NULL, out), GIE_E_INTERNAL);
  ck_assert_ptr_null(out[0].data);
  run_once_close(&once);
  gie_graph_free(g);
}
END_TEST

/* ---- Threads ----------------------------------------------------------------------------------- */

static void *run_many(void *graph)
{
  struct gie_exec *x;
  for (int i = 0; i < 20; i++) {
    ck_gie_ok(ctx, gie_exec_new(graph, NULL, &x));
    for (int n = 1; n < 4; n++) {
      const float data[] = {1, 1, 1, 1, 1, 1};
      ck_gie_ok(ctx, set(x, "x", data, 2, n, 2, 0, 0));
      ck_gie_ok(ctx, gie_exec_run(x));
    }
    gie_exec_free(x);
  }
  return NULL;
}

START_TEST(one_graph_on_several_threads)
{
  kernel("a.any");
  struct gie_graph *g = parse(MATMUL);
  pthread_t threads[4];
  for (int i = 0; i < 4; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, run_many, g), 0);
  for (int i = 0; i < 4; i++)
    pthread_join(threads[i], NULL);
  gie_graph_free(g);
}
END_TEST

GIE_TESTS_MAIN_WITH("exec", setup, teardown, runs_and_keeps_inputs, concat_of_views_costs_nothing,
                    useless_views_are_ignored, split_and_slice_into_views_cost_nothing,
                    reshape_shares_its_operand, outputs_that_nothing_computes, layouts_are_kept_inside,
                    empty_tensors, memory_is_shared, in_place_gives_the_same, hostile_shapes,
                    symbols_follow_the_inputs, inputs_are_checked, shape_arithmetic_costs_nothing,
                    computed_shapes_run_in_the_tail, memory_runs_out_everywhere, a_device_with_its_own_memory,
                    single_nodes_fold, one_graph_on_several_threads)
