/* SPDX-License-Identifier: Apache-2.0 */
/* Element types that the ports of a variant name together: what the op does not take so is refused by name, and
 * something else is chosen; what it does take is chosen as it is. */
#include "core/module/registry.h"
#include "tests/tune/costs.h"

#define T4 " : f32[1,8,4,4] nchw"
#define W " const %w : f32[2,8,1,1] = {1,2,3,4,5,6,7,8,1,2,3,4,5,6,7,8}"

/* An op of a module whose second operand is f32 whatever the first one is. */
static gie_status boxes_infer(struct gie_infer *x)
{
  if (x->in[1].dtype != GIE_F32)
    return gie_fail(x->ctx, GIE_E_TYPE, "boxes are %s; give f32", gie_dtype_name(x->in[1].dtype));
  x->out[0] = x->in[0];
  return GIE_OK;
}
static const struct gie_op BOXES = {.struct_size = sizeof BOXES,
                                    .name = "test::Boxes",
                                    .min_in = 2,
                                    .max_in = 2,
                                    .min_out = 1,
                                    .max_out = 1,
                                    .dtypes = GIE_DT_FLOAT,
                                    .infer = boxes_infer,
                                    .help = "x where the boxes are"};

/* Builds with kernels "k.half", f16 but for `keeps`, and, unless it is the only one, "k.f32". The plan's decisions and table. */
struct built {
  char decisions[256], *table;
};

static void build(const char *op, const char *text, uint32_t keeps, bool reduced, struct built *out)
{
  const struct cost_row rows[] = {{"k.half", op, NULL, NULL, 0.1, 9, true, GIE_F16, 0},
                                  {"k.f32", op, NULL, NULL, 2.0, 9, true, 0, 0},
                                  {"to", "cast", NULL, NULL, 0.1, 0, true, 0, 0}};
  struct gie_build_options o = {.struct_size = sizeof o, .reduced_precision = reduced};
  struct gie_context *c = costs_context(rows, sizeof rows / sizeof *rows);
  mock_register_op(c, &BOXES);
  costs_keep_f32(0, keeps);
  struct gie_plan *plan = costs_build(c, text, &o, NULL);
  costs_decisions(plan, out->decisions, sizeof out->decisions);
  out->table = strdup(gie_plan_candidates(plan));
  ck_assert_ptr_nonnull(out->table);
  gie_plan_free(plan);
  gie_context_free(c);
}

static const struct mixed {
  const char *op, *text;
  uint32_t keeps;
  const char *why;
} MIXED[] = {
    {"conv", "input %x" T4 W " %y = conv(%x, %w) output %y", 1u << 0, "operand 1 (w) is f16; conv takes f32"},
    {"conv", "input %x" T4 W " %y = conv(%x, %w, _) output %y", 1u << 1,
     "operand 1 (w) is f32; conv takes f16"},
    {"conv",
     "input %x" T4 W " input %r : f32[1,2,4,4] nchw const %s : f32[1] = {2}"
     " %y = conv(%x, %w) | mul(%s) | add(%r) output %y",
     1u << 3, "step 1 (add): the step's operand is f32, but f16 is needed here"},
    {"exp", "input %x" T4 " %y = exp(%x) output %y", 1u << 0, "result 0 is f16; exp makes it f32"},
    {"exp", "input %x" T4 " %y = exp(%x) output %y", COSTS_RESULTS, "result 0 is f32; exp makes it f16"},
    {"cast", "input %x : i32[4] %y = cast(%x) {to=f32} output %y", 0, "result 0 is f16; cast makes it f32"},
    {"layer_norm",
     "input %x" T4 " const %s : f32[4] = {1,2,3,4} %y, %m, %d = layer_norm(%x, %s) output %y output %m", 0,
     "result 1 is f16; layer_norm makes it f32"},
    {"sum", /* more operands than are looked at without another place for them */
     "input %a" T4 " input %b" T4 " %y = sum(%a, %b, %a, %b, %a, %b, %a, %b, %a) output %y", 1u << 8,
     "operand 8 (x) is f32; sum takes f16"},
    {"test::Boxes", "input %x" T4 " input %r" T4 " %y = test::Boxes(%x, %r) output %y", 0,
     "boxes are f16; give f32"},
};

START_TEST(test_mixed)
{
  for (size_t i = 0; i < sizeof MIXED / sizeof *MIXED; i++) {
    const struct mixed *m = &MIXED[i];
    for (int reduced = 0; reduced < 2; reduced++) {
      struct built b;
      char text[512], line[256], want[64];
      snprintf(text, sizeof text, "graph { %s }", m->text);
      snprintf(line, sizeof line, "refused\tk.half: %s%s", reduced ? "mixes element types: " : "",
               reduced ? m->why : "computes in a narrower element type");
      snprintf(want, sizeof want, "%s:%s", m->op, strcmp(m->op, "cast") == 0 ? "to" : "k.f32");
      build(m->op, text, m->keeps, reduced, &b);
      ck_assert_msg(strcmp(b.decisions, want) == 0, "%s: %s", text, b.decisions);
      ck_assert_msg(strstr(b.table, line) != NULL, "%s: no \"%s\" in\n%s", text, line, b.table);
      free(b.table);
    }
  }
}
END_TEST

/* What the op takes: statistics, exponents and boxes of another type than the rest; an operand that is not there. */
static const struct mixed TAKEN[] = {
    {"conv", "input %x" T4 W " %y = conv(%x, %w, _) output %y", 1u << 2, NULL},
    {"batch_norm",
     "input %x" T4 " const %s : f32[8] = {1,2,3,4,5,6,7,8} %y = batch_norm(%x, %s, %s, %s, %s) output %y",
     0x1e, NULL},
    {"pow", "input %x" T4 " input %e : f32[1] %y = pow(%x, %e) output %y", 1u << 1, NULL},
    {"test::Boxes", "input %x" T4 " input %r" T4 " %y = test::Boxes(%x, %r) output %y", 1u << 1, NULL},
};

START_TEST(test_taken)
{
  for (size_t i = 0; i < sizeof TAKEN / sizeof *TAKEN; i++) {
    struct built b;
    char text[512], want[64];
    snprintf(text, sizeof text, "graph { %s }", TAKEN[i].text);
    snprintf(want, sizeof want, "cast:to %s:k.half cast:to", TAKEN[i].op);
    build(TAKEN[i].op, text, TAKEN[i].keeps, true, &b);
    ck_assert_msg(strcmp(b.decisions, want) == 0, "%s: %s", text, b.decisions);
    free(b.table);
  }
}
END_TEST

/* A cast that a kernel leaves over makes the type that the choice has for the result, whoever reads it. */
START_TEST(test_cast_left_over)
{
  static const struct cost_row rows[] = {{"c", "conv", NULL, NULL, 0.1, 0, true, 0, 0},
                                         {"t", "conv_transpose", NULL, NULL, 0.1, 9, true, GIE_F16, 0},
                                         {"to", "cast", NULL, NULL, 0.1, 0, true, 0, 0}};
  struct gie_build_options o = {.struct_size = sizeof o, .reduced_precision = true};
  struct gie_context *c = costs_context(rows, sizeof rows / sizeof *rows);
  char b[256];
  struct gie_plan *plan = costs_build(
      c,
      "graph { input %x : f16[1,8,4,4] const %w : f16[2,8,1,1] = {1,2,3,4,5,6,7,8,1,2,3,4,5,6,7,8}"
      " const %u : f32[2,1,1,1] = {1,2} %y = conv(%x, %w) | cast {to=f32}"
      " %z = conv_transpose(%y, %u) output %z }",
      &o, NULL);
  ck_assert_str_eq(costs_decisions(plan, b, sizeof b), "conv:c cast:to conv_transpose:t cast:to");
  gie_plan_free(plan);
  gie_context_free(c);
}
END_TEST

GIE_TESTS_MAIN("types", test_mixed, test_taken, test_cast_left_over)
