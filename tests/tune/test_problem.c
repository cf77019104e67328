/* SPDX-License-Identifier: Apache-2.0 */
/* Problems and their keys: which nodes share one, and that every op makes a valid problem. */
#include "core/tune/tune.h"
#include "tests/gie_check.h"
#include "tests/op_cases.h"

static struct gie_graph *parse(struct gie_context *ctx, const char *body)
{
  struct gie_graph *g = NULL;
  char text[2048];
  snprintf(text, sizeof text, "graph \"t\" { %s }", body);
  ck_gie_ok(ctx, gie_graph_parse(ctx, text, strlen(text), NULL, &g));
  return g;
}

/* The problem of the last node of a graph. */
static struct tune_problem make(struct gie_context *ctx, const char *body, uint32_t n_steps,
                                const struct tune_form *in, const struct tune_form *out)
{
  struct gie_graph *g = parse(ctx, body);
  struct tune_problem p = {0};
  ck_gie_ok(ctx, tune_problem_make(g, gie_node_get(g, gie_graph_last(g)), n_steps, in, out, &p));
  gie_graph_free(g);
  ck_gie_ok(ctx, gie_graph_verify(p.g));
  ck_assert_uint_eq(gie_graph_count_nodes(p.g), 1);
  return p;
}

static void check_key(struct gie_context *ctx, const char *body, const char *key)
{
  struct tune_problem p = make(ctx, body, 99, NULL, NULL);
  ck_assert_str_eq(p.key, key);
  tune_problem_free(&p, ctx);
}

#define CONV "input %x : f32[1,4,6,6] const %w : f32[2,4,1,1] = {1,2,3,4,5,6,7,8} "

/* The spelling is part of the timing cache's file: it may not change by accident. */
START_TEST(test_spelling)
{
  struct gie_context *ctx = check_context();
  check_key(ctx, CONV "input %r : f32[1,2,6,6] %y = conv(%x, %w) | add(%r) | relu output %y",
            "conv(f32[1,4,6,6], const f32[2,4,1,1], f32[1,2,6,6]) | add(2) | relu -> f32[1,2,6,6]");
  check_key(ctx, "input %x : f16[2,3] const %s : i64[2] = {3,-1} %y = reshape(%x, %s) output %y",
            "reshape(f16[2,3], const i64[2]{3,-1}) -> f16[3,2]");
  check_key(ctx, "input %x : f32[2,3] %y = mul(%x, %x) output %y", "mul(f32[2,3], =0) -> f32[2,3]");
  check_key(ctx,
            "input %a : f32[4,4] input %b : f32[4,4] %y = gemm(%a, %b, _) {alpha=0.5, beta=1.0} output %y",
            "gemm(f32[4,4], f32[4,4], _) {alpha=0.5} -> f32[4,4]");
  check_key(ctx, "input %x : f32[1,2,6,6] %y, %i = max_pool(%x) {kernel=[2,2], pad=[0,0,0,0]} output %y",
            "max_pool(f32[1,2,6,6]) {kernel=[2,2]} -> f32[1,2,5,5], i64[1,2,5,5]");
  check_key(ctx, "const %p : i64[2] = {1,0} input %x : f32[2] %y = pad(%x, %p) {mode=\"edge\"} output %y",
            "pad(f32[2], const i64[2]{1,0}) {mode=\"edge\"} -> f32[3]");
  check_key(ctx, "input %x : i8[4] q(0.5, 3) %y : i8[4] q(0.5, 0) = identity(%x) output %y",
            "identity(i8[4] q(z)) -> i8[4] q(0)");
  gie_context_destroy(ctx);
}
END_TEST

/* Pairs of nodes: whether a measurement of one holds for the other. */
static const struct {
  const char *a, *b;
  bool same;
} PAIRS[] = {
    /* names, notes and the contents of floats say nothing */
    {CONV "%y = conv(%x, %w) output %y",
     "input %data : f32[1,4,6,6] const %k : f32[2,4,1,1] = {0,0,0,0,0,0,0,0} %z = conv \"c1\" (%data, %k) !{kernel=\"a.b\"} output %z",
     true},
    /* defaults may be written out */
    {CONV "%y = conv(%x, %w) output %y",
     CONV "%y = conv(%x, %w) {stride=[1,1], pad=[0,0,0,0], group=1, auto_pad=\"explicit\"} output %y", true},
    {CONV "%y = conv(%x, %w) {pad=[1,1,1,1], stride=[2,2]} output %y",
     CONV "%y = conv(%x, %w) {stride=[2,2], pad=[1,1,1,1]} output %y", true},
    /* where a value comes from says nothing, that it is constant does */
    {"input %x : f32[3] %a = exp(%x) %y = relu(%a) output %y", "input %x : f32[3] %y = relu(%x) output %y",
     true},
    {"const %x : f32[3] = {1,2,3} %y = relu(%x) output %y", "input %x : f32[3] %y = relu(%x) output %y",
     false},
    {CONV "%y = conv(%x, %w) output %y", CONV "%y = conv(%x, %w) {stride=[2,2]} output %y", false},
    {CONV "%y = conv(%x, %w) output %y", CONV "%y = conv(%x, %w) | relu output %y", false},
    {CONV "%y = conv(%x, %w) | clip {min=0.0, max=6.0} output %y",
     CONV "%y = conv(%x, %w) | clip {min=0.0, max=5.0} output %y", false},
    {CONV "input %r : f32[1] %y = conv(%x, %w) | sub(%r) output %y",
     CONV "input %r : f32[1] %y = conv(%x, %w) | reverse sub(%r) output %y", false},
    {"input %x : f32[3] %y = add(%x, %x) output %y",
     "input %x : f32[3] input %z : f32[3] %y = add(%x, %z) output %y", false},
    {"input %x : f32[2,3] %y = relu(%x) output %y", "input %x : f32[3,2] %y = relu(%x) output %y", false},
    {"input %x : f32[2] %y = relu(%x) output %y", "input %x : f64[2] %y = relu(%x) output %y", false},
    /* integers of a shape are part of the question */
    {"input %x : f32[6] const %s : i64[2] = {2,3} %y = reshape(%x, %s) output %y",
     "input %x : f32[6] const %s : i64[2] = {2,-1} %y = reshape(%x, %s) output %y", false},
    {"input %x : f32[6] input %q : f32[2,3] %s = shape(%q) %y = reshape(%x, %s) output %y",
     "input %x : f32[6] const %s : i64[2] = {2,3} %y = reshape(%x, %s) output %y", true},
    {"const %s : i64[1] = {4} %y = constant_of_shape(%s) {value=f32[1]{1.0}} output %y",
     "const %s : i64[1] = {4} %y = constant_of_shape(%s) {value=f32[1]{2.0}} output %y", true},
    {"input %x : i8[4] q(0.5, 0) %y = identity(%x) output %y", "input %x : i8[4] %y = identity(%x) output %y",
     false},
    {"input %x : i8[4] q(0.5, 0) %y = identity(%x) output %y",
     "input %x : i8[4] q(0.25, 0) %y = identity(%x) output %y", true},
};

START_TEST(test_pairs)
{
  struct gie_context *ctx = check_context();
  for (size_t i = 0; i < sizeof PAIRS / sizeof *PAIRS; i++) {
    struct tune_problem a = make(ctx, PAIRS[i].a, 99, NULL, NULL), b = make(ctx, PAIRS[i].b, 99, NULL, NULL);
    ck_assert_msg((strcmp(a.key, b.key) == 0) == PAIRS[i].same, "%s\n%s", a.key, b.key);
    tune_problem_free(&a, ctx);
    tune_problem_free(&b, ctx);
  }
  gie_context_destroy(ctx);
}
END_TEST

START_TEST(test_forms)
{
  static const struct gie_layout blocked = {.rank = 4, .perm = {0, 1, 2, 3}, .block_axis = 1, .block = 8};
  static const char body[] = "input %x : f32[1,16,6,6] input %w : f32[16,16,1,1] input %b : f32[16] "
                             "input %r : f32[1,16,6,6] %y = conv(%x, %w, %b) | add(%r) | relu output %y";
  struct tune_form in[4] = {{.layout = blocked}, {0}, {0}, {.layout = blocked, .pitched = true}},
                   out[1] = {{.layout = blocked, .pitched = true}};
  struct gie_context *ctx = check_context();
  struct tune_problem p = make(ctx, body, 99, in, out);
  ck_assert_str_eq(p.key, "conv(f32[1,16,6,6] nChw8c, f32[16,16,1,1], f32[16], f32[1,16,6,6] nChw8c pitched)"
                          " | add(3) | relu -> f32[1,16,6,6] nChw8c pitched");
  const struct gie_node *n = gie_node_get(p.g, gie_graph_first(p.g));
  ck_assert(tune_is_pitched(n, 3) && tune_is_pitched(n, 4) && !tune_is_pitched(n, 0));
  tune_problem_free(&p, ctx);

  /* The step's operand goes with the step. */
  p = make(ctx, body, 0, in, out);
  ck_assert_str_eq(p.key,
                   "conv(f32[1,16,6,6] nChw8c, f32[16,16,1,1], f32[16]) -> f32[1,16,6,6] nChw8c pitched");
  ck_assert(tune_is_pitched(gie_node_get(p.g, gie_graph_first(p.g)), 3));
  tune_problem_free(&p, ctx);

  /* One operand in f16 takes the others along. */
  in[0] = (struct tune_form){.dtype = GIE_F16};
  in[3] = (struct tune_form){0};
  p = make(ctx, body, 99, in, NULL);
  ck_assert_str_eq(p.key, "conv(f16[1,16,6,6], f16[16,16,1,1], f16[16], f16[1,16,6,6]) | add(3) | relu"
                          " -> f16[1,16,6,6]");
  tune_problem_free(&p, ctx);

  /* A pitched tensor lies behind its gap; the descriptor has the strides of the larger one. */
  struct gie_type t = {GIE_F32, {4, {gie_dim_num(2), gie_dim_num(12), gie_dim_num(3), gie_dim_num(5)}}};
  struct gie_desc d;
  size_t bytes, offset;
  ck_gie_ok(ctx, tune_pitched_desc(ctx, &t, &blocked, &d, &bytes, &offset));
  ck_assert_uint_eq(bytes, 2 * 24 * 15 * 4);
  ck_assert_uint_eq(offset, 8 * 15 * 4);
  ck_assert_int_eq(d.stride[0], 24 * 15);
  ck_assert(d.pitched && d.dim[1] == 12);
  gie_context_destroy(ctx);
}
END_TEST

static const void *constant(const struct tune_problem *p, uint32_t slot)
{
  return gie_value_bytes(p->g, gie_node_get(p->g, gie_graph_first(p->g))->in[slot], NULL);
}

START_TEST(test_constants)
{
  struct gie_context *ctx = check_context();
  struct gie_graph *g = parse(ctx, CONV "%y = conv(%x, %w) output %y");
  const struct gie_node *n = gie_node_get(g, gie_graph_first(g));
  struct tune_form in[2] = {{.dtype = GIE_F16}, {0}};
  struct tune_problem p;
  ck_gie_ok(ctx, tune_problem_make(g, n, 0, NULL, NULL, &p));
  ck_assert_ptr_eq(constant(&p, 1), gie_value_bytes(g, n->in[1], NULL));
  tune_problem_free(&p, ctx);
  ck_gie_ok(ctx, tune_problem_make(g, n, 0, in, NULL, &p));
  ck_assert_int_eq(((const uint16_t *)constant(&p, 1))[2], gie_f32_to_f16(3));
  tune_problem_free(&p, ctx);
  gie_graph_free(g);

  /* The parameters of a batch_norm have a dtype of their own; a cast casts to what is wanted. */
  p = make(ctx,
           "input %x : f32[1,2] input %s : f32[2] input %b : f32[2] input %m : f32[2] input %v : f32[2] "
           "%y = batch_norm(%x, %s, %b, %m, %v) output %y",
           0, (struct tune_form[5]){{.dtype = GIE_BF16}}, NULL);
  ck_assert_str_eq(p.key, "batch_norm(bf16[1,2], f32[2], f32[2], f32[2], f32[2]) -> bf16[1,2]");
  tune_problem_free(&p, ctx);
  p = make(ctx, "input %x : f32[4] %y = cast(%x) {to=f16} output %y", 0, NULL,
           &(struct tune_form){.dtype = GIE_BF16});
  ck_assert_str_eq(p.key, "cast(f32[4]) {to=bf16} -> bf16[4]");
  tune_problem_free(&p, ctx);
  gie_context_destroy(ctx);
}
END_TEST

START_TEST(test_refusals)
{
  static const struct {
    const char *body, *text;
    struct tune_form in[2], out;
    gie_status status;
  } bad[] = {
      {"input %x : f32[4] %y = relu(%x) output %y",
       "yields f32 from these operands, not f16",
       {{0}},
       {.dtype = GIE_F16},
       GIE_E_TYPE},
      {"input %x : f32[2,4] const %s : i64[1] = {8} %y = reshape(%x, %s) output %y",
       "cannot become f32",
       {{0}, {.dtype = GIE_F32}},
       {0},
       GIE_E_UNSUPPORTED},
      {"%y = \"a::B\" () output %y", "bodies or is opaque", {{0}}, {0}, GIE_E_UNSUPPORTED},
      {"input %x : f32[4] input %s : i64[2] %y = reshape(%x, %s) output %y",
       "no number",
       {{0}},
       {0},
       GIE_E_SHAPE},
  };
  struct gie_context *ctx = check_context();
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct gie_graph *g = parse(ctx, bad[i].body);
    struct tune_problem p;
    ck_gie(ctx, tune_problem_make(g, gie_node_get(g, gie_graph_first(g)), 0, bad[i].in, &bad[i].out, &p),
           bad[i].status);
    ck_assert_msg(strstr(gie_error_text(ctx), bad[i].text), "%s", gie_error_text(ctx));
    gie_graph_free(g);
  }
  gie_context_destroy(ctx);
}
END_TEST

/* Every op in every dtype, plain and blocked and pitched, makes a graph that verifies. */
START_TEST(test_every_op)
{
  struct gie_context *ctx = check_context();
  char dtype[8];
  for (unsigned i = 0; i < N_OP_CASES; i++)
    for (unsigned t = 0; op_case_dtype(&OP_CASES[i], t, dtype); t++) {
      struct gie_graph *g;
      struct tune_problem p, again;
      ck_gie_ok(ctx, op_case_graph(ctx, &OP_CASES[i], dtype, &g));
      const struct gie_node *n = op_case_node(g);
      if (ir_has_bodies(n)) {
        ck_assert_int_eq(tune_problem_make(g, n, 0, NULL, NULL, &p), GIE_E_UNSUPPORTED);
        gie_graph_free(g);
        continue;
      }
      ck_gie_ok(ctx, tune_problem_make(g, n, n->n_steps, NULL, NULL, &p));
      ck_assert_msg(gie_graph_verify(p.g) == GIE_OK, "%s %s: %s", OP_CASES[i].name, dtype,
                    gie_error_text(ctx));
      ck_assert_ptr_null(strpbrk(p.key, "\t\n\r"));
      /* A problem of a problem is the same problem. */
      ck_gie_ok(ctx, tune_problem_make(p.g, gie_node_get(p.g, gie_graph_first(p.g)), n->n_steps, NULL, NULL,
                                       &again));
      ck_assert_str_eq(p.key, again.key);
      tune_problem_free(&again, ctx);
      tune_problem_free(&p, ctx);
      gie_graph_free(g);
    }
  gie_context_destroy(ctx);
}
END_TEST

GIE_TESTS_MAIN("problem", test_spelling, test_pairs, test_forms, test_constants, test_refusals, test_every_op)
