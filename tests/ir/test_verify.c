/* SPDX-License-Identifier: Apache-2.0 */
/* The verifier: for each rule of doc/ir.md at least one graph that breaks just that, mostly made by writing
 * into a good graph behind the back of the functions that would refuse it. */
#include "core/ir/ir.h"
#include "tests/gie_check.h"
#include <gie/gie.h>
#include <math.h>

static struct gie_context *ctx;
static struct gie_graph *g;

static void setup(void)
{
  struct gie_context_options options = {.struct_size = sizeof options, .no_modules = true};
  ck_assert_int_eq(gie_context_new(&options, &ctx), GIE_OK);
}

static void teardown(void) { gie_context_free(ctx); }

static const char good[] = "graph \"g\" (n) {\n"
                           "  input %x : f32[n,4,8,8] nchw\n"
                           "  input %r : f32[n,6,8,8] nchw\n"
                           "  input %w : f32[6,4,1,1] nchw\n"
                           "  const %s : i64[2] = {0,-1}\n"
                           "  %c : f32[n,6,8,8] nchw = conv(%x, %w) | add(%r) | relu\n"
                           "  %t : f32[n,6,8,8] nchw = tanh(%c)\n"
                           "  %cat : f32[n,12,8,8] nchw = concat(%c, %t) {axis=1}\n"
                           "  %p : f32[n,12,4,4] nchw = max_pool(%cat) {kernel=[2,2], stride=[2,2]}\n"
                           "  %f : f32[n,192] = reshape(%p, %s)\n"
                           "  %o : ?[*] = \"org.example::Odd\" \"odd\" (%f, _) {k=3}\n"
                           "  output %f\n"
                           "  output %o\n"
                           "}\n";

static void load(void)
{
  gie_status s = gie_graph_parse(ctx, good, sizeof good - 1, NULL, &g);
  ck_assert_msg(s == GIE_OK, "%s", gie_error_text(ctx));
  ck_assert_int_eq(gie_graph_verify(g), GIE_OK);
}

static struct gie_value *val(const char *name)
{
  struct ir_value *v = ir_value(g, gie_value_find(g, name));
  ck_assert_msg(v, "no value %s", name);
  return &v->pub;
}

static struct gie_node *node(const char *result) { return &ir_node(g, val(result)->producer)->pub; }
static struct gie_step *step(const char *result, int i) { return (struct gie_step *)&node(result)->steps[i]; }

static void view(const char *name, const char *base, int axis, int64_t offset, int64_t extent)
{
  struct gie_view v = {gie_value_find(g, base), axis, offset, extent};
  val(name)->view = v;
  ir_value(g, v.base)->n_views++;
}

static void views_of_cat(void)
{
  view("c", "cat", 1, 0, 6);
  view("t", "cat", 1, 6, 6);
}

/* ---- One way to break each rule ---------------------------------------------------------------------- */

static void long_name(void)
{
  char *name = gie_arena_alloc(&g->arena, GIE_MAX_NAME + 2, 1);
  memset(name, 'a', GIE_MAX_NAME + 1);
  node("t")->name = name;
}
static void too_deep(void) { g->depth = GIE_MAX_BODY_DEPTH + 1; }
static void same_name(void) { val("t")->name = "c"; }
static void no_value_name(void) { val("t")->name = ""; }
static void no_node_name(void) { node("t")->name = ""; }
static void input_listed_twice(void) { g->inputs[1] = g->inputs[0]; }
static void const_without_bytes(void)
{
  gie_blob_unref(val("s")->data.blob);
  val("s")->data.blob = NULL;
}
static void result_of_nobody(void) { val("t")->out_index = 1; }
static void wrong_producer(void) { val("t")->producer = val("p")->producer; }
static void input_with_producer(void) { val("x")->producer = val("p")->producer; }
static void foreign_result(void) { ((gie_id *)node("t")->out)[0] = val("c")->id; }
static void negative_dim(void) { val("t")->type.shape.dim[1].b = -6; }
static void rank_nine(void) { val("t")->type.shape.rank = 9; }
static void no_such_symbol(void) { val("t")->type.shape.dim[0].sym = 7; }
static void factor_zero(void) { val("t")->type.shape.dim[0].a = 0; }
static void no_such_dtype(void) { val("t")->type.dtype = GIE_DTYPE_COUNT; }
static void symbolic_constant(void) { val("s")->type.shape.dim[0] = val("x")->type.shape.dim[0]; }
static void short_constant(void) { val("s")->data.size = 8; }
static void constant_outside(void) { val("s")->data.offset = 8; }
static void constant_overflow(void) { val("s")->type.shape.dim[0].b = INT64_MAX; }
static void layout_rank(void) { val("p")->layout.rank = 3; }
static void layout_twice(void)
{
  struct gie_layout l = {4, {0, 1, 1, 2}, 0, 0, false};
  val("p")->layout = l;
}
static void layout_block_axis(void)
{
  struct gie_layout l = {4, {0, 1, 2, 3}, 5, 8, false};
  val("p")->layout = l;
}
static void layout_any(void) { val("p")->layout.any = true; }
static const float scales[] = {0.5f, -1, INFINITY};
static const int32_t zeros[] = {0, 0, 300};
static void quant(uint32_t n, int32_t axis, const float *scale, const int32_t *zero)
{
  struct gie_quant q = {n, axis, scale, zero};
  val("t")->quant = q;
}
static void quant_count(void) { quant(2, -1, scales, zeros); }
static void quant_axis(void) { quant(1, 4, scales, zeros); }
static void quant_extent(void) { quant(2, 1, scales, zeros); }
static void quant_scale(void) { quant(1, -1, scales + 1, zeros); }
static void quant_infinite(void) { quant(1, -1, scales + 2, zeros); }
static void quant_zero(void) { quant(1, -1, scales, zeros + 2); }
static void dead_operand(void)
{
  val("r")->kind = GIE_VALUE_DEAD, g->n_inputs = 2, g->inputs[1] = val("w")->id;
}
static void omitted_operand(void) { gie_node_set_input(g, val("t")->producer, 0, GIE_NONE); }
static void omitted_step_operand(void)
{
  gie_node_set_input(g, val("c")->producer, (uint32_t)step("c", 0)->operand, GIE_NONE);
}
static void use_count(void) { val("c")->n_uses++; }
static void use_unlinked(void) { ir_node(g, val("t")->producer)->uses[0]->slot = 3; }
static void use_lost(void)
{
  struct ir_value *c = ir_value(g, val("c")->id);
  c->first_use = c->first_use->next;
  c->first_use->prev = NULL;
  c->pub.n_uses--;
}
static void output_count(void) { val("f")->n_outputs = 2; }
static void order_changed(void) { gie_node_move(g, val("t")->producer, val("c")->producer); }
static void cycle(void) { gie_node_set_input(g, val("c")->producer, 0, val("t")->id); }
static void chain_damaged(void) { node("t")->prev = node("p")->id; }
static void chain_short(void) { node("p")->next = GIE_NONE; }
static void no_output(void)
{
  val("f")->n_outputs = val("o")->n_outputs = 0;
  g->n_outputs = 0;
}
static void dead_output(void) { g->outputs[0] = 999; }
static void few_operands(void) { node("c")->n_operands = 1; }
static void wrong_dtype(void)
{
  val("f")->type.dtype = val("p")->type.dtype = val("cat")->type.dtype = val("t")->type.dtype = GIE_I64;
  val("c")->type.dtype = val("x")->type.dtype = val("w")->type.dtype = val("r")->type.dtype = GIE_I64;
}
static struct gie_attr *attrs(const char *result, uint32_t n)
{
  struct gie_attr *copy = gie_arena_alloc(&g->arena, n, sizeof *copy);
  struct gie_node *of = node(result);
  memcpy(copy, of->attrs.v, (n < of->attrs.n ? n : of->attrs.n) * sizeof *copy);
  of->attrs.v = copy;
  of->attrs.n = n;
  return copy;
}
static void attr_unknown(void) { attrs("cat", 1)[0].name = "axes"; }
static void attr_twice(void)
{
  struct gie_attr *a = attrs("cat", 2);
  a[1] = a[0];
}
static void attr_kind(void) { attrs("cat", 1)[0].kind = GIE_ATTR_FLOAT; }
static void attr_missing(void) { attrs("cat", 0); }
static void type_differs(void) { val("t")->type.shape.dim[1].b = 7; }
static void inference_fails(void) { attrs("cat", 1)[0].u.i = 9; }
static void view_offset(void) { view("t", "cat", 1, 7, 6); }
static void view_extent(void) { view("t", "cat", 1, 0, 5); }
static void view_axis(void) { view("t", "cat", 4, 0, 5); }
static void view_other_dim(void) { view("t", "p", 1, 0, 6); }
static void view_of_view(void)
{
  view("c", "cat", 1, 0, 6);
  view("t", "c", 1, 0, 6);
}
static void view_is_input(void) { view("r", "cat", 1, 0, 6); }
static void view_into_input(void) { view("t", "r", 1, 0, 6); }
static void view_without_base(void) { val("t")->view.base = 999; }
static void view_layout(void)
{
  static const struct gie_layout nhwc = {4, {0, 2, 3, 1}, 0, 0, false};
  views_of_cat();
  val("t")->layout = nhwc;
}
static void view_cuts_block(void)
{
  static const struct gie_layout blocked = {4, {0, 1, 2, 3}, 1, 8, false};
  views_of_cat();
  val("c")->layout = val("t")->layout = val("cat")->layout = blocked;
}
static void views_overlap(void)
{
  view("c", "cat", 1, 0, 6);
  view("t", "cat", 1, 3, 6);
  gie_node_set_input(g, val("t")->producer, 0, val("r")->id); /* so that it writes what it does not read */
}
static void epilogue_on_tanh(void)
{
  node("t")->n_steps = 1;
  node("t")->steps = step("c", 1);
}
static void epilogue_concat(void) { step("c", 1)->op = ir_builtin_find("concat"); }
static void epilogue_where(void) { step("c", 0)->op = ir_builtin_find("where"); }
static void epilogue_operand(void) { step("c", 0)->operand = 0; }
static void epilogue_attr(void) { step("c", 1)->attrs = node("cat")->attrs; }
static void epilogue_enlarges(void)
{
  struct gie_shape *s = &val("r")->type.shape;
  s->rank = 5;
  for (int i = 0; i < 5; i++)
    s->dim[i] = gie_dim_num(1);
  val("r")->layout.rank = 0;
}
static void epilogue_dtype(void) { val("r")->type.dtype = GIE_F16; }

static const struct {
  void (*damage)(void);
  const char *rule, *text;
} rows[] = {
    {long_name, "limits", "node 1"},
    {too_deep, "limits", "nested deeper"},
    {same_name, "unique-names", "value \"c\""},
    {no_value_name, "unique-names", "has no name"},
    {no_node_name, "unique-names", "node 1 has no name"},
    {input_listed_twice, "value-kind", "not listed once"},
    {const_without_bytes, "value-kind", "value \"s\""},
    {result_of_nobody, "value-kind", "value \"t\""},
    {wrong_producer, "value-kind", "value \"t\""},
    {input_with_producer, "value-kind", "value \"x\""},
    {foreign_result, "value-kind", "value \"t\""},
    {negative_dim, "shape-valid", "dim 1 is -6"},
    {rank_nine, "shape-valid", "rank is 9"},
    {no_such_symbol, "shape-valid", "dim 0 has no valid symbol"},
    {factor_zero, "shape-valid", "dim 0 has no valid symbol"},
    {no_such_dtype, "shape-valid", "dtype"},
    {symbolic_constant, "shape-valid", "dim 0 of the constant"},
    {short_constant, "const-size", "needs 16 bytes, it has 8"},
    {constant_outside, "const-size", "outside their blob"},
    {constant_overflow, "const-size", "overflows"},
    {layout_rank, "layout-valid", "value \"p\""},
    {layout_twice, "layout-valid", "value \"p\""},
    {layout_block_axis, "layout-valid", "value \"p\""},
    {layout_any, "layout-valid", "value \"p\""},
    {quant_count, "quant-valid", "2 scales"},
    {quant_axis, "quant-valid", "axis 4"},
    {quant_extent, "quant-valid", "extent of axis 1"},
    {quant_scale, "quant-valid", "scale 0"},
    {quant_infinite, "quant-valid", "scale 0"},
    {quant_zero, "quant-valid", "zero 0 (300)"},
    {dead_operand, "operand-alive", "node 0 \"c\" (conv): operand 2"},
    {omitted_operand, "operand-alive", "operand 0 (x) is omitted"},
    {omitted_step_operand, "operand-alive", "operand 2"},
    {use_count, "use-lists", "value \"c\""},
    {use_unlinked, "use-lists", "node 1"},
    {use_lost, "use-lists", "uses, there are"},
    {output_count, "use-lists", "count 3 outputs, there are 2"},
    {order_changed, "topological-order", "reads \"c\" before"},
    {cycle, "topological-order", "cycle: "},
    {chain_damaged, "topological-order", "damaged"},
    {chain_short, "topological-order", "leaves some out"},
    {no_output, "output-alive", "no output"},
    {dead_output, "output-alive", "output 0"},
    {few_operands, "arity", "1 operands"},
    {wrong_dtype, "operand-type", "conv does not take i64"},
    {attr_unknown, "attribute-present", "axis is missing"},
    {attr_twice, "attribute-known", "given twice"},
    {attr_kind, "attribute-kind", "must be an integer"},
    {attr_missing, "attribute-present", "axis is missing"},
    {type_differs, "type-matches-inference", "f32[n,7,8,8]"},
    {inference_fails, "type-matches-inference", "axis 9 is out of range"},
    {view_offset, "view-inside-base", "7+6"},
    {view_extent, "view-inside-base", "extent 5"},
    {view_axis, "view-inside-base", "axis 4"},
    {view_other_dim, "view-inside-base", "dim 2 differs"},
    {view_of_view, "view-flat", "is itself a view"},
    {view_is_input, "view-flat", "only the result"},
    {view_into_input, "view-flat", "would write into"},
    {view_without_base, "view-flat", "does not exist"},
    {view_layout, "view-layout", "layout is not that"},
    {view_cuts_block, "view-layout", "block of 8"},
    {views_overlap, "views-disjoint", "shares elements"},
    {epilogue_on_tanh, "epilogue-allowed", "tanh cannot carry"},
    {epilogue_concat, "epilogue-pointwise", "no pointwise op"},
    {epilogue_where, "epilogue-pointwise", "where takes no operand"},
    {epilogue_operand, "epilogue-pointwise", "none of the step operands"},
    {epilogue_attr, "attribute-known", "step 1 (relu)"},
    {epilogue_enlarges, "epilogue-no-enlarge", "does not broadcast"},
    {epilogue_dtype, "epilogue-type", "step 0 (add)"},
};

START_TEST(broken_rule_is_named)
{
  char rule[64];
  load();
  rows[_i].damage();
  ck_assert_int_ne(gie_graph_verify(g), GIE_OK);
  snprintf(rule, sizeof rule, "[%s]", rows[_i].rule);
  ck_assert_msg(strstr(gie_error_text(ctx), rule) && strstr(gie_error_text(ctx), rows[_i].text),
                "expected \"%s\" and %s in: %s", rows[_i].text, rule, gie_error_text(ctx));
}
END_TEST

/* ---- What must pass ------------------------------------------------------------------------------------ */

START_TEST(good_views_pass)
{
  load();
  views_of_cat();
  ck_assert_msg(gie_graph_verify(g) == GIE_OK, "%s", gie_error_text(ctx));
  gie_graph_free(g);
}
END_TEST

/* A concat inside a concat: flattened views overlap, but nobody writes twice. */
START_TEST(flattened_concats_pass)
{
  static const char text[] =
      "graph { input %x:f32[1,2] %a:f32[1,2] view(%o,1,0,2) = relu(%x) %b:f32[1,2] view(%o,1,2,2) = tanh(%x)"
      " %i:f32[1,4] view(%o,1,0,4) = concat(%a,%b) {axis=1} %c:f32[1,2] view(%o,1,4,2) = exp(%x)"
      " %o:f32[1,6] = concat(%i,%c) {axis=1} output %o }";
  gie_status s = gie_graph_parse(ctx, text, sizeof text - 1, NULL, &g);
  ck_assert_msg(s == GIE_OK, "%s", gie_error_text(ctx));
  gie_graph_free(g);
}
END_TEST

/* Two slices may share a range of their operand: they only read it. */
START_TEST(overlapping_reads_pass)
{
  static const char text[] =
      "graph { input %x:f32[8] const %s:i64[1]={0} const %e:i64[1]={5} const %t:i64[1]={3} const %u:i64[1]={8}"
      " %a:f32[5] view(%x,0,0,5) = slice(%x,%s,%e) %b:f32[5] view(%x,0,3,5) = slice(%x,%t,%u)"
      " %y:f32[5] = add(%a,%b) output %y }";
  gie_status s = gie_graph_parse(ctx, text, sizeof text - 1, NULL, &g);
  ck_assert_msg(s == GIE_OK, "%s", gie_error_text(ctx));
  gie_graph_free(g);
}
END_TEST

static const struct {
  const char *text, *expect;
  gie_status status; /* GIE_OK: any failure */
} bodies[] = {
    {"graph { input %c:bool[] input %a:f32[4] %y:f32[4] = \"ai.onnx::If\" (%c; %a)"
     " {then_branch=graph { input %a:f32[4] output %a }} output %y }",
     NULL, GIE_OK},
    {"graph { input %c:bool[] input %a:f32[4] %y:f32[4] = \"ai.onnx::If\" (%c; %a)"
     " {then_branch=graph { output %b const %b:f32[1]={1.0} }} output %y }",
     "undefined", GIE_OK},
    {"graph { input %c:bool[] input %a:f32[4] %y:f32[4] = \"ai.onnx::If\" (%c; %a)"
     " {then_branch=graph { const %b:f32[1]={1.0} output %b }} output %y }",
     "[body-captures]", GIE_OK},
    {"graph { input %c:bool[] input %a:f32[4] %y:f32[4] = \"ai.onnx::If\" (%c; %a)"
     " {then_branch=graph { input %a:i32[4] output %a }} output %y }",
     "[body-captures]", GIE_OK},
    {"graph { input %c:bool[] input %a:f32[4] %y = if(%c; %a) {then_branch=graph { input %a:f32[4] output %a }, else_branch=graph { input %a:f32[4] %b = relu(%a) output %b }} output %y }",
     NULL, GIE_OK},
    {"graph { input %c:bool[] input %a:f32[4] %y = if(%c; %a) {then_branch=graph { input %a:f32[4] output %a }} output %y }",
     "attribute else_branch is missing", GIE_E_ATTR},
    {"graph { input %c:bool[] input %a:f32[4] %y = if(%c; %a) {then_branch=graph { input %a:f32[4] output %a }, else_branch=graph { input %a:f32[4] output %a output %a }} output %y }",
     "else_branch has 2 outputs, the node 1 results", GIE_E_GRAPH},
    {"graph { input %c:bool[] input %a:f32[4] %y = if(%c; %a) {then_branch=graph { input %a:f32[4] output %a }, else_branch=graph { input %a:f32[4] input %b:f32[4] output %a }} output %y }",
     "else_branch has 2 inputs for 1 captures [body-captures]", GIE_E_GRAPH},
    {"graph { input %c:bool[] input %a:f32[4] %y = if(%c; %a) {then_branch=graph { input %a:f32[4] output %a }, else_branch=graph { const %a:f32[4]={1,2,3,4} output %a }} output %y }",
     "else_branch has 0 inputs for 1 captures [body-captures]", GIE_E_GRAPH},
    {"graph { input %c:bool[] input %a:f32[4] %y = if(%c; %a) {then_branch=graph { input %a:f32[4] output %a }, else_branch=graph { input %a:f32[4] %b = cast(%a) {to=f16} output %b }} output %y }",
     "result 0 is f32[4] in then_branch and f16[4] in else_branch; both must yield the same", GIE_E_TYPE},
    {"graph { input %c:bool[] input %a:f32[4] %y = if(%c; %a) {then_branch=graph { input %a:f32[5] output %a }, else_branch=graph { input %a:f32[5] output %a }} output %y }",
     "input \"a\" is declared as f32[5], but what it captures is f32[4]", GIE_E_SHAPE},
    {"graph { input %c:bool[] input %a:f32[4] %y = if(%c; %a) {then_branch=graph { input %a:i64[4] output %a }, else_branch=graph { input %a:f32[4] output %a }} output %y }",
     "body then_branch: input \"a\" is declared as i64[4], but what it captures is f32[4]", GIE_E_TYPE},
    {"graph { input %c:bool[] input %a:f32[4] %y = if(%a; %a) {then_branch=graph { input %a:f32[4] output %a }, else_branch=graph { input %a:f32[4] output %a }} output %y }",
     "operand 0 (cond) is f32; if takes bool", GIE_E_TYPE},
    {"graph { input %c:bool[2] input %a:f32[4] %y = if(%c; %a) {then_branch=graph { input %a:f32[4] output %a }, else_branch=graph { input %a:f32[4] output %a }} output %y }",
     "the condition has 2 elements; it must have one", GIE_E_SHAPE},
};

START_TEST(bodies_are_checked)
{
  gie_status s = gie_graph_parse(ctx, bodies[_i].text, strlen(bodies[_i].text), NULL, &g);
  if (!bodies[_i].expect) {
    ck_assert_msg(s == GIE_OK, "%s", gie_error_text(ctx));
    gie_graph_free(g);
  } else {
    ck_assert_int_ne(s, GIE_OK);
    if (bodies[_i].status != GIE_OK)
      ck_assert_int_eq(s, bodies[_i].status);
    ck_assert_msg(strstr(gie_error_text(ctx), bodies[_i].expect), "%s", gie_error_text(ctx));
  }
}
END_TEST

START_TEST(broken_body_is_named)
{
  gie_status s = gie_graph_parse(ctx, bodies[0].text, strlen(bodies[0].text), NULL, &g);
  ck_assert_msg(s == GIE_OK, "%s", gie_error_text(ctx));
  struct gie_graph *top = g, *body = node("y")->attrs.v[0].u.g;
  body->outputs[0] = 77;
  ck_assert_int_ne(gie_graph_verify(top), GIE_OK);
  ck_assert_msg(strstr(gie_error_text(ctx), "(ai.onnx::If): body then_branch: output 0"), "%s",
                gie_error_text(ctx));
  body->outputs[0] = body->inputs[0];
  body->depth = 0;
  ck_assert_int_ne(gie_graph_verify(top), GIE_OK);
  ck_assert_msg(strstr(gie_error_text(ctx), "[body-valid]"), "%s", gie_error_text(ctx));
  gie_graph_free(g);
}
END_TEST

/* Linear time: a chain of 100,000 nodes takes a fraction of a second, a quadratic walk 5e9 steps. */
START_TEST(long_chain_is_fast)
{
  struct gie_type type = {GIE_F32, {1, {gie_dim_num(1)}}};
  gie_id at, id;
  double start = check_seconds();
  ck_assert_int_eq(gie_graph_new(ctx, "chain", &g), GIE_OK);
  ck_assert_int_eq(gie_graph_add_input(g, "x", &type, &at), GIE_OK);
  for (int i = 0; i < 100000; i++) {
    struct gie_node_spec spec = GIE_NODE_SPEC("relu");
    spec.n_in = 1;
    spec.in = &at;
    ck_assert_int_eq(gie_node_add(g, &spec, &id), GIE_OK);
    at = gie_node_get(g, id)->out[0];
  }
  ck_assert_int_eq(gie_graph_add_output(g, at), GIE_OK);
  ck_assert_int_eq(gie_graph_verify(g), GIE_OK);
  ck_assert_msg(check_seconds() - start < 10, "100,000 nodes took %.1f s", check_seconds() - start);
  gie_graph_free(g);
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("verify");
  TCase *c = check_tcase(suite, "verify", setup, teardown);
  tcase_add_loop_test(c, broken_rule_is_named, 0, sizeof rows / sizeof rows[0]);
  tcase_add_loop_test(c, bodies_are_checked, 0, sizeof bodies / sizeof bodies[0]);
  tcase_add_test(c, good_views_pass);
  tcase_add_test(c, flattened_concats_pass);
  tcase_add_test(c, overlapping_reads_pass);
  tcase_add_test(c, broken_body_is_named);
  tcase_add_test(c, long_chain_is_fast);
  return check_suite(suite);
}
