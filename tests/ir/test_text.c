/* SPDX-License-Identifier: Apache-2.0 */
/* The text form: what is printed reads back to the same text, every kind of error says where it is,
 * and no text, cut or changed anywhere, does harm. */
#include "core/ir/ir.h"
#include "tests/gie_check.h"
#include <unistd.h>

static struct gie_context *new_context(void)
{
  struct gie_context_options options = {.struct_size = sizeof options,
                                        .log = check_no_log,
                                        .no_modules = true};
  struct gie_context *ctx = NULL;
  ck_assert_int_eq(gie_context_new(&options, &ctx), GIE_OK);
  return ctx;
}

static gie_status parse(struct gie_context *ctx, const char *text, struct gie_graph **g)
{
  return gie_graph_parse(ctx, text, strlen(text), NULL, g);
}

static char *print(struct gie_context *ctx, const struct gie_graph *g)
{
  char *text;
  size_t size;
  ck_gie_ok(ctx, gie_graph_print(g, &text, &size));
  ck_assert_uint_eq(strlen(text), size);
  return text;
}

/* ---- Round trips ------------------------------------------------------------------------------- */

/* In the form that the writer prints. */
static const char *const canonical[] = {
    "graph \"net\" {\n  input %x : f32[2,3]\n  output %x\n}\n",
    "graph {\n  input %x : i8[] q(0.5, 3)\n  output %x\n  output %x\n}\n",
    "graph \"dims\" (n, \"a b\", k.v) {\n"
    "  input %x : f32[n,3,2*n+1,\"a b\"-4] nchw\n"
    "  input %y : f16[-1*k.v+10,?,0] ncw\n"
    "  input %z : bool[1,2,3,4,5,6,7,8]\n"
    "  output %x\n}\n",
    "graph \"names \\\"q\\\"\\n\\x01é\" {\n"
    "  input %\"a/b:c\" : i64[1]\n  input %\"tab\\t\\\\\" : i64[1]\n  input %.-_9 : i64[1]\n  input %\" \" : i64[1]\n"
    "  %y : i64[1] = add \"node / 1\" (%\"a/b:c\", %\" \")\n"
    "  output %y\n}\n",
    "graph \"constants\" {\n"
    "  const %a : f32[4] = {1.0, 0.1, -0.0, 3.4028235e+38}\n"
    "  const %b : f32[4] = {inf, -inf, 0x7fc00000, 0xffc00001}\n"
    "  const %c : f64[3] = {0.1, 0.1, 1e-320}\n"
    "  const %d : f16[3] = {0.099975586, 65504.0, 0x7e01}\n"
    "  const %e : bf16[2] = {1.0, 3.3895314e+38}\n"
    "  const %f : i8[2] = {-128, 127}\n"
    "  const %g : u8[2] = {0, 255}\n"
    "  const %h : i64[2] = {-9223372036854775808, 9223372036854775807}\n"
    "  const %i : u64[2] = {0xffffffffffffffff, 9223372036854775807}\n"
    "  const %j : bool[3] = {true, false, 0x2}\n"
    "  const %k : f32[0,3] = {}\n"
    "  const %l : i32[] = {7}\n"
    "  const %m : f32[1,1,2,2] nhwc = {1.0, 2.0, 3.0, 4.0}\n"
    "  const %n : f32[2,2] 10/b1:8 = {1.0, 2.0, 3.0, 4.0}\n"
    "  output %a\n}\n",
    "graph \"storage\" (n) {\n"
    "  input %x : f32[n,16,4,4] nChw8c\n"
    "  input %y : f32[n,16,4,4] Nchw2n\n"
    "  input %z : i8[2,3] q(axis=1, [0.1, 0.25, 1e-07], [0, -1, 5])\n"
    "  %a : f32[n,16,4,4] nchw view(%c, 1, 0, 16) = relu(%x)\n"
    "  %b : f32[n,16,4,4] nchw view(%c, 1, 16, 16) = relu(%y)\n"
    "  %c : f32[n,32,4,4] nchw = concat(%a, %b) {axis=1}\n"
    "  output %c\n}\n",
    "graph \"epilogue\" {\n"
    "  input %x : f32[1,2,4,4] nchw\n  input %r : f32[1,2,4,4] nchw\n"
    "  const %w : f32[2,2,1,1] = {1.0, 2.0, 3.0, 4.0}\n"
    "  %y : f32[1,2,4,4] nchw = conv \"c\" (%x, %w, _) {stride=[1,1]} | add(%r) | relu | clip {min=0.0, max=6.0}"
    " | reverse sub(%r) !{kernel=\"cpu.conv\", n=3}\n"
    "  output %y\n}\n",
    "graph \"results\" {\n"
    "  input %x : f32[1,2,4,4] nchw\n"
    "  %y : f32[1,2,3,3] nchw, %i : i64[1,2,3,3] nchw = max_pool(%x) {kernel=[2,2]}\n"
    "  %a : f32[1,1,3,3] nchw, %b : f32[1,1,3,3] nchw = split(%y) {axis=1}\n"
    "  output %a\n  output %b\n  output %i\n}\n",
    "graph \"opaque\" (n) {\n"
    "  meta {producer=\"a\\x00b\", opset=17, \"odd name\"=1}\n"
    "  input %x : f32[n]\n  input %c : bool[]\n"
    "  %y : ?[*], %z : f32[?,n] = \"org.example::Warp\" \"w\" (%x, _, %c; %x) {i=-3, f=0.5, g=0.2f, h=0.1, e=1e-40, inf=inf, nan=nan,"
    " s=\"\", t=f16, is=[1,2], fs=[1.0, 0.1f, inf], ss=[\"a\", \"\"], ei=[], ef=floats[], es=strings[],"
    " tensor=i32[2]{1, 2}, body=graph \"b\" (k) {\n"
    "        input %x : f32[k]\n"
    "        %y : f32[k] = relu(%x)\n"
    "        output %y\n"
    "      }}\n"
    "  = \"no.results::Op\"(%z)\n"
    "  output %y\n}\n",
};

START_TEST(test_round_trip)
{
  struct gie_context *ctx = new_context();
  for (size_t i = 0; i < sizeof canonical / sizeof *canonical; i++) {
    struct gie_graph *g;
    ck_gie_ok(ctx, parse(ctx, canonical[i], &g));
    char *text = print(ctx, g);
    ck_assert_str_eq(text, canonical[i]);
    gie_free(ctx, text);
    gie_graph_free(g);
  }
  gie_context_free(ctx);
}
END_TEST

/* What people write, and what it becomes. */
static const struct {
  const char *in, *out;
} loose[] = {
    {"# comment\ngraph{input %x:f32[2]output %x}# end", "graph {\n  input %x : f32[2]\n  output %x\n}\n"},
    {"graph () { input %x : f32[1,2] 01 %y = relu(%x) output %y }",
     "graph {\n  input %x : f32[1,2]\n  %y : f32[1,2] = relu(%x)\n  output %y\n}\n"},
    {"graph { input %x : f32[1,2,3,4] 0123 %y = clip(%x) {min=0, max=6} output %y }",
     "graph {\n  input %x : f32[1,2,3,4] nchw\n  %y : f32[1,2,3,4] nchw = clip(%x) {min=0.0, max=6.0}\n  output %y\n}\n"},
    {"graph { const %c : f32[3] = {1, 2.5, nan} output %c }",
     "graph {\n  const %c : f32[3] = {1.0, 2.5, 0x7fc00000}\n  output %c\n}\n"},
    {"graph { const %c : bool[2] = {1, 0} input %x : f32[] output %c }",
     "graph {\n  input %x : f32[]\n  const %c : bool[2] = {true, false}\n  output %c\n}\n"},
    {"graph { input %x : f32[3] %y = org.example::Op(%x) {a=[1, 2.0]} output %y }",
     "graph {\n  input %x : f32[3]\n  %y : ?[*] = \"org.example::Op\"(%x) {a=[1.0, 2.0]}\n  output %y\n}\n"},
};

START_TEST(test_loose)
{
  struct gie_context *ctx = new_context();
  for (size_t i = 0; i < sizeof loose / sizeof *loose; i++) {
    struct gie_graph *g;
    ck_gie_ok(ctx, parse(ctx, loose[i].in, &g));
    char *text = print(ctx, g);
    ck_assert_str_eq(text, loose[i].out);
    gie_free(ctx, text);
    gie_graph_free(g);
  }
  gie_context_free(ctx);
}
END_TEST

/* A clone and a compacted graph print the same. */
START_TEST(test_clone_prints_same)
{
  struct gie_context *ctx = new_context();
  for (size_t i = 0; i < sizeof canonical / sizeof *canonical; i++) {
    struct gie_graph *g, *copy;
    ck_gie_ok(ctx, parse(ctx, canonical[i], &g));
    ck_gie_ok(ctx, gie_graph_clone(g, &copy));
    ck_gie_ok(ctx, gie_graph_compact(copy));
    gie_graph_free(g);
    char *text = print(ctx, copy);
    ck_assert_str_eq(text, canonical[i]);
    gie_free(ctx, text);
    gie_graph_free(copy);
  }
  gie_context_free(ctx);
}
END_TEST

/* ---- Errors ------------------------------------------------------------------------------------ */

#define X "graph { input %x : f32[2] "
static const struct {
  const char *text;
  gie_status status;
  const char *message; /* part of it */
} errors[] = {
    {"", GIE_E_PARSE, "line 1, column 1: expected graph, found the end"},
    {"  \n # only a comment", GIE_E_PARSE, "line 2, column 18: expected graph"},
    {"digraph {}", GIE_E_PARSE, "line 1, column 1: expected graph, found digraph"},
    {"graph", GIE_E_PARSE, "line 1, column 6: expected '{', found the end of the text"},
    {"graph \"a\" (n, n) {}", GIE_E_PARSE, "line 1, column 15: dim n is listed twice"},
    {"graph \"a\\x00\" {}", GIE_E_LIMIT, "line 1, column 7: the name of a graph"},
    {"graph {", GIE_E_PARSE, "line 1, column 8: expected input, const, output, meta, a node or '}'"},
    {"graph {} graph {}", GIE_E_PARSE, "line 1, column 10: expected the end of the text"},
    {"graph {\n  \x01", GIE_E_PARSE, "line 2, column 3: unexpected byte 0x01"},
    {"graph { bla }", GIE_E_PARSE,
     "line 1, column 9: expected input, const, output, meta, a node or '}', found bla"},
    {"graph { meta {} meta {a=1} meta {b=1} }", GIE_E_PARSE, "column 28: a graph has one meta line"},
    {"graph { input x : f32[2] }", GIE_E_PARSE, "line 1, column 15: expected a value, found x"},
    {"graph { input % : f32[2] }", GIE_E_PARSE, "line 1, column 15: % without a name"},
    {"graph { input %\"\" : f32[2] }", GIE_E_PARSE, "line 1, column 15: % without a name"},
    {"graph { input %\"a\\x00\" : f32[2] }", GIE_E_PARSE, "a name holds a NUL byte"},
    {"graph { input %\"a\\q\" : f32[2] }", GIE_E_PARSE, "line 1, column 15: unknown escape"},
    {"graph { input %\"a : f32[2] }", GIE_E_PARSE, "line 1, column 15: the string does not end"},
    {"graph { input %x f32[2] }", GIE_E_PARSE, "line 1, column 18: expected ':', found f32"},
    {"graph { input %x : f33[2] }", GIE_E_PARSE, "line 1, column 20: expected an element type, found f33"},
    {"graph { input %x : f32 }", GIE_E_PARSE, "line 1, column 24: expected '[', found '}'"},
    {"graph { input %x : f32[m] }", GIE_E_PARSE, "line 1, column 24: unknown dim m"},
    {"graph { input %x : f32[-1] }", GIE_E_SHAPE, "a dim is negative"},
    {"graph (n) { input %x : f32[0*n] }", GIE_E_SHAPE, "multiplies a symbol by 0"},
    {"graph { input %x : f32[1,1,1,1,1,1,1,1,1] }", GIE_E_LIMIT, "line 1, column 40: the rank is above 8"},
    {"graph { input %x : f32[99999999999999999999] }", GIE_E_PARSE, "line 1, column 24: malformed number"},
    {"graph { input %x : f32[2a] }", GIE_E_PARSE, "line 1, column 24: malformed number"},
    {"graph { input %x : f32[2] nchw }", GIE_E_DATA, "line 1, column 15: layout nchw is for rank 4"},
    {"graph { input %x : f32[2,2] 00 }", GIE_E_DATA, "no permutation"},
    {"graph { input %x : f32[2,2] 01/b2:8 }", GIE_E_DATA, "line 1, column 15: layout"},
    {X "input %x : f32[2] }", GIE_E_GRAPH, "line 1, column 33: two values are named \"x\""},
    {X "output %y }", GIE_E_PARSE, "line 1, column 34: undefined value %y"},
    {X "%y : f32[2] view(%z, 0, 0, 2) = relu(%x) output %y }", GIE_E_PARSE,
     "line 1, column 39: undefined value %z as the base"},
    {X "%y : f32[2] view(%x, 0, 1, 2) = relu(%x) output %y }", GIE_E_SHAPE,
     "line 1, column 39: view \"y\" lies outside"},
    {X "%y : f32[2] view(%y, 0, 0, 2) = relu(%x) output %y }", GIE_E_GRAPH, "views are never nested"},
    {X "%y : f32[2] view(%x, 9, 0, 2) = relu(%x) output %y }", GIE_E_LIMIT, "the axis of a view"},
    {"graph { input %x : i8[2] q(0, 1) }", GIE_E_DATA, "line 1, column 28: a scale must be a positive f32"},
    {"graph { input %x : i8[2] q(nan, 1) }", GIE_E_PARSE, "line 1, column 28: expected a scale"},
    {"graph { input %x : i8[2] q(axis=0, [1], [1, 2]) }", GIE_E_DATA, "1 scales but 2 zero points"},
    {"graph { const %c : f32[2] = {1} output %c }", GIE_E_DATA,
     "line 1, column 29: 1 elements are there, the type has 2"},
    {"graph { const %c : f32[99999999999] = {} output %c }", GIE_E_DATA, "0 elements are there"},
    {"graph { const %c : f32[4294967296,4294967296] = {} output %c }", GIE_E_LIMIT,
     "line 1, column 49: the number of elements overflows"},
    {"graph (n) { const %c : f32[n] = {} output %c }", GIE_E_SHAPE, "dim 0 is not a number"},
    {"graph { const %c : ?[2] = {1, 2} output %c }", GIE_E_TYPE,
     "line 1, column 27: a constant needs an element type"},
    {"graph { const %c : f32[1] = {\"a\"} output %c }", GIE_E_PARSE,
     "expected an element of type f32, found a string"},
    {"graph { const %c : i32[1] = {1.5} output %c }", GIE_E_PARSE, "expected an element of type i32"},
    {"graph { const %c : i8[1] = {128} output %c }", GIE_E_DATA,
     "line 1, column 29: the number is out of range for i8"},
    {"graph { const %c : u8[1] = {-1} output %c }", GIE_E_DATA, "out of range for u8"},
    {"graph { const %c : f16[1] = {70000} output %c }", GIE_E_DATA, "out of range for f16"},
    {"graph { const %c : f32[1] = {1e39} output %c }", GIE_E_DATA, "out of range for f32"},
    {"graph { const %c : f16[1] = {0x10000} output %c }", GIE_E_DATA, "more bits than f16 has"},
    {"graph { const %c : f16[1] = {0x} output %c }", GIE_E_PARSE, "0x needs 1 to 16"},
    {"graph { const %c : f32[20] = @sha256:12 output %c }", GIE_E_PARSE, "line 1, column 30: malformed hash"},
    {"graph { const %c : f32[20] = @sha256:0000000000000000000000000000000000000000000000000000000000000000 output %c }",
     GIE_E_NOINPUT, "line 1, column 30: the constant is in a weights file, and there is none"},
    {X "%y = cnov(%x) output %y }", GIE_E_UNSUPPORTED, "line 1, column 27: unknown op cnov"},
    {X "%y = relu(%x output %y }", GIE_E_PARSE, "line 1, column 40: expected ')', found output"},
    {X "%y = relu(%z) output %y }", GIE_E_PARSE, "line 1, column 37: undefined value %z"},
    {X "%y = relu(%x, %x) output %y }", GIE_E_GRAPH, "line 1, column 27"},
    {X "%y : f32[3] = relu(%x) output %y }", GIE_E_SHAPE,
     "line 1, column 27: %y is declared f32[3], but its node makes f32[2]"},
    {X "%y : f16[2] = relu(%x) output %y }", GIE_E_SHAPE, "declared f16[2], but its node makes f32[2]"},
    {X "%y = relu(%x) {a=1} output %y }", GIE_E_ATTR, "line 1, column 27"},
    {X "%y = clip(%x) {min=1, min=2} output %y }", GIE_E_ATTR,
     "line 1, column 49: attribute min is given twice"},
    {X "%y = clip(%x) {min=\"a\"} output %y }", GIE_E_ATTR, "line 1, column 27"},
    {X "%y = clip(%x) {min} output %y }", GIE_E_PARSE, "expected '=', found '}'"},
    {X "%y = clip(%x) {min=} output %y }", GIE_E_PARSE, "expected an attribute's value, found '}'"},
    {X "%y = a::b(%x) {v=[1, \"a\"]} output %y }", GIE_E_PARSE,
     "the items of an array must be all numbers or all strings"},
    {X "%y = relu(%x) | relu output %y }", GIE_E_GRAPH, "line 1, column 43"},
    {X "%y = relu(%x) | output %y }", GIE_E_GRAPH, "line 1, column 43"},
    {X "%x = relu(%x) output %x }", GIE_E_GRAPH, "line 1, column 27: two values are named \"x\""},
};

START_TEST(test_errors)
{
  struct gie_context *ctx = new_context();
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
    struct gie_graph *g = NULL;
    gie_status s = parse(ctx, errors[i].text, &g);
    ck_assert_msg(s == errors[i].status && strstr(gie_error_text(ctx), errors[i].message),
                  "%s\n  gives %s: %s\n  instead of %s: %s", errors[i].text, gie_status_name(s),
                  s ? gie_error_text(ctx) : "", gie_status_name(errors[i].status), errors[i].message);
  }
  gie_context_free(ctx);
}
END_TEST

/* Limits that a table cannot show. */
START_TEST(test_limits)
{
  struct gie_context *ctx = new_context();
  struct gie_graph *g;
  struct gie_buf b;
  for (int depth = GIE_MAX_BODY_DEPTH; depth <= GIE_MAX_BODY_DEPTH + 1; depth++) {
    gie_buf_init(&b, ctx);
    for (int i = 0; i < depth; i++)
      gie_buf_puts(&b, "graph { %y = \"a::b\"() {g=");
    gie_buf_puts(&b, "graph { const %y : f32[] = {1} output %y");
    for (int i = 0; i < depth; i++)
      gie_buf_puts(&b, "}} output %y ");
    gie_buf_puts(&b, "}");
    gie_status s = parse(ctx, b.data, &g);
    if (depth <= GIE_MAX_BODY_DEPTH) {
      ck_gie_ok(ctx, s);
      char *text = print(ctx, g);
      gie_graph_free(g);
      ck_gie_ok(ctx, parse(ctx, text, &g));
      gie_free(ctx, text);
      gie_graph_free(g);
    } else {
      ck_assert_int_eq(s, GIE_E_LIMIT);
      ck_assert_ptr_nonnull(strstr(gie_error_text(ctx), "nested deeper than 32"));
    }
    gie_buf_free(&b);
  }
  for (int extra = 0; extra < 2; extra++) { /* names */
    char *name = gie_alloc(ctx, GIE_MAX_NAME + 2, 1);
    memset(name, 'n', GIE_MAX_NAME + (size_t)extra);
    gie_buf_init(&b, ctx);
    gie_buf_printf(&b, "graph { input %%%s : f32[] output %%%s }", name, name);
    gie_status s = parse(ctx, b.data, &g);
    ck_assert_int_eq(s, extra ? GIE_E_LIMIT : GIE_OK);
    if (!extra)
      gie_graph_free(g);
    gie_buf_free(&b);
    gie_free(ctx, name);
  }
  gie_buf_init(&b, ctx); /* steps */
  gie_buf_puts(&b, "graph { input %x : f32[1,1,1,1] %y = conv(%x, %x)");
  for (int i = 0; i < 65; i++)
    gie_buf_puts(&b, " | relu");
  gie_buf_puts(&b, " output %y }");
  ck_gie(ctx, parse(ctx, b.data, &g), GIE_E_LIMIT);
  gie_buf_free(&b);
  gie_context_free(ctx);
}
END_TEST

/* ---- Hostile texts ------------------------------------------------------------------------------- */

/* Parses, and if that works checks that what is printed is a fixed point. */
static bool survives(struct gie_context *ctx, const char *text, size_t size)
{
  struct gie_graph *g, *again;
  char *first, *second;
  size_t n, m;
  if (gie_graph_parse(ctx, text, size, NULL, &g) != GIE_OK)
    return false;
  ck_gie_ok(ctx, gie_graph_print(g, &first, &n));
  gie_graph_free(g);
  if (!memmem(first, n, "@sha256", 7)) {
    ck_assert_msg(gie_graph_parse(ctx, first, n, NULL, &again) == GIE_OK, "%s\n%s", gie_error_text(ctx),
                  first);
    ck_gie_ok(ctx, gie_graph_print(again, &second, &m));
    ck_assert(n == m && memcmp(first, second, n) == 0);
    gie_free(ctx, second);
    gie_graph_free(again);
  }
  gie_free(ctx, first);
  return true;
}

START_TEST(test_truncated)
{
  struct gie_context *ctx = new_context();
  for (size_t i = 0; i < sizeof canonical / sizeof *canonical; i++) {
    size_t size = strlen(canonical[i]);
    for (size_t n = 0; n < size - 1; n++) {
      char *cut = malloc(n ? n : 1); /* exactly n bytes: a byte read too many is seen by the sanitizer */
      memcpy(cut, canonical[i], n);
      ck_assert_msg(!survives(ctx, cut, n), "%.*s", (int)n, cut);
      free(cut);
    }
    ck_assert(survives(ctx, canonical[i], size));
  }
  gie_context_free(ctx);
}
END_TEST

START_TEST(test_mutated)
{
  static const char interesting[] = "%\"{}[]()|!=,:;@#*+-/_0f9 \n\x00\xff";
  struct gie_context *ctx = new_context();
  uint64_t state = 1;
  uint32_t passed = 0;
  for (int round = 0; round < 20000; round++) {
    const char *text = canonical[check_random(&state) % (sizeof canonical / sizeof *canonical)];
    size_t size = strlen(text);
    char *copy = malloc(size);
    memcpy(copy, text, size);
    for (uint32_t k = check_random(&state) % 4 + 1; k > 0; k--) {
      size_t at = check_random(&state) % size, from = check_random(&state) % size;
      copy[at] = k & 1 ? interesting[check_random(&state) % (sizeof interesting - 1)] : copy[from];
    }
    passed += survives(ctx, copy, size);
    free(copy);
  }
  ck_assert_uint_gt(passed, 100); /* the mutations are not all trivial errors */
  gie_context_free(ctx);
}
END_TEST

START_TEST(test_memory_fails)
{
  struct gie_context *ctx = new_context();
  for (size_t i = 0; i < sizeof canonical / sizeof *canonical; i++) {
    bool done = false;
    for (long n = 1; !done; n++) {
      struct gie_graph *g;
      char *text;
      size_t size;
      ctx->fail_alloc_after = n;
      gie_status s = parse(ctx, canonical[i], &g);
      if (s == GIE_OK) {
        s = gie_graph_print(g, &text, &size);
        gie_graph_free(g);
        if (s == GIE_OK) {
          gie_free(ctx, text);
          done = true;
        }
      }
      ck_assert_msg(s == GIE_OK || s == GIE_E_MEMORY, "%s: %s", gie_status_name(s), gie_error_text(ctx));
    }
    ctx->fail_alloc_after = -1;
  }
  gie_context_free(ctx);
}
END_TEST

/* ---- Size ---------------------------------------------------------------------------------------- */

START_TEST(test_large_graph)
{
  enum { NODES = 100000 };
  struct gie_context *ctx = new_context();
  struct gie_graph *g;
  struct gie_buf b;
  gie_buf_init(&b, ctx);
  gie_buf_puts(&b, "graph \"chain\" (n) {\n  input %v0 : f32[n,4]\n");
  for (int i = 0; i < NODES; i++)
    gie_buf_printf(&b, "  %%v%d : f32[n,4] = relu(%%v%d)\n", i + 1, i);
  gie_buf_printf(&b, "  output %%v%d\n}\n", NODES);
  double start = check_seconds();
  ck_gie_ok(ctx, gie_graph_parse(ctx, b.data, b.len, NULL, &g));
  char *text = print(ctx, g);
  ck_assert(strcmp(text, b.data) == 0);
  ck_assert_msg(check_seconds() - start < 20, "100,000 nodes took %.1f s", check_seconds() - start);
  gie_free(ctx, text);
  gie_buf_free(&b);
  gie_graph_free(g);
  gie_context_free(ctx);
}
END_TEST

/* ---- Files ---------------------------------------------------------------------------------------- */

struct folder {
  char dir[64], gie[96], weights[96], other[96];
};

static struct folder new_folder(void)
{
  struct folder f = {.dir = "/tmp/gie-text-XXXXXX"};
  ck_assert_ptr_nonnull(mkdtemp(f.dir));
  snprintf(f.gie, sizeof f.gie, "%s/a.gie", f.dir);
  snprintf(f.weights, sizeof f.weights, "%s/a.weights", f.dir);
  snprintf(f.other, sizeof f.other, "%s/b.gie", f.dir);
  return f;
}

static void remove_folder(const struct folder *f)
{
  char path[96];
  snprintf(path, sizeof path, "%s/b.weights", f->dir);
  unlink(path);
  unlink(f->gie);
  unlink(f->weights);
  unlink(f->other);
  ck_assert_int_eq(rmdir(f->dir), 0);
}

/* Two large constants with the same bytes, one with others, one small. */
static const char large[] =
    "graph { const %a : f32[2,9] = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18}"
    " const %b : f32[18] = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18}"
    " const %c : u8[17] = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17} const %d : f32[] = {2}"
    " %y = mul(%a, %d) %z = mul(%b, %d) output %y output %z output %c }";

static char *read_all(const char *path, size_t *size)
{
  FILE *f = fopen(path, "rb");
  ck_assert_ptr_nonnull(f);
  char *data = malloc(65536);
  *size = fread(data, 1, 65536, f);
  fclose(f);
  return data;
}

static void write_all(const char *path, const char *data, size_t size)
{
  FILE *f = fopen(path, "wb");
  ck_assert_ptr_nonnull(f);
  ck_assert_uint_eq(fwrite(data, 1, size, f), size);
  fclose(f);
}

START_TEST(test_files)
{
  struct gie_context *ctx = new_context();
  struct folder f = new_folder();
  struct gie_graph *g, *again;
  ck_gie_ok(ctx, parse(ctx, large, &g));
  ck_gie_ok(ctx, ir_write_file(g, f.gie));
  ck_gie_ok(ctx, ir_read_file(ctx, f.gie, &again));
  char *first = print(ctx, g), *second = print(ctx, again);
  ck_assert_str_eq(first, second);
  ck_assert_ptr_nonnull(strstr(first, "@sha256:"));
  size_t n;
  ck_assert(memcmp(gie_value_bytes(g, gie_value_find(g, "c"), &n),
                   gie_value_bytes(again, gie_value_find(again, "c"), NULL), n) == 0);
  /* Same constants, same files, under any name. */
  ck_gie_ok(ctx, ir_write_file(again, f.other));
  size_t size_a, size_b;
  char path[96];
  snprintf(path, sizeof path, "%s/b.weights", f.dir);
  char *a = read_all(f.weights, &size_a), *b = read_all(path, &size_b);
  ck_assert(size_a == size_b && memcmp(a, b, size_a) == 0);
  ck_assert_uint_lt(size_a, 300); /* equal bytes are stored once */
  free(a);
  free(b);
  gie_graph_free(again);
  gie_graph_free(g);
  gie_free(ctx, first);
  gie_free(ctx, second);
  unlink(f.weights);
  ck_gie(ctx, ir_read_file(ctx, f.gie, &g), GIE_E_NOINPUT);
  ck_assert_ptr_nonnull(strstr(gie_error_text(ctx), "a.gie: line "));
  remove_folder(&f);
  gie_context_free(ctx);
}
END_TEST

/* Every byte of the weights file, changed or cut off: refused, or it was padding. */
START_TEST(test_damaged_weights)
{
  struct gie_context *ctx = new_context();
  struct folder f = new_folder();
  struct gie_graph *g;
  size_t size, harmless = 0;
  ck_gie_ok(ctx, parse(ctx, large, &g));
  ck_gie_ok(ctx, ir_write_file(g, f.gie));
  gie_graph_free(g);
  char *data = read_all(f.weights, &size);
  for (size_t i = 0; i < size; i++) {
    data[i] ^= 0x41;
    write_all(f.weights, data, size);
    data[i] ^= 0x41;
    gie_status s = ir_read_file(ctx, f.gie, &g);
    ck_assert(s == GIE_OK || s == GIE_E_DATA);
    if (s == GIE_OK) {
      harmless++;
      gie_graph_free(g);
    }
  }
  ck_assert_uint_lt(harmless, 130);
  for (size_t i = 0; i < size; i++) {
    write_all(f.weights, data, i);
    ck_gie(ctx, ir_read_file(ctx, f.gie, &g), GIE_E_DATA);
  }
  free(data);
  remove_folder(&f);
  gie_context_free(ctx);
}
END_TEST

START_TEST(test_dot)
{
  struct gie_context *ctx = new_context();
  struct folder f = new_folder();
  struct gie_graph *g;
  char *dot;
  size_t size;
  for (size_t i = 0; i < sizeof canonical / sizeof *canonical; i++) {
    ck_gie_ok(ctx, parse(ctx, canonical[i], &g));
    ck_gie_ok(ctx, gie_graph_print_dot(g, &dot, &size));
    ck_assert(strncmp(dot, "digraph \"", 9) == 0 && strcmp(dot + size - 2, "}\n") == 0);
    gie_free(ctx, dot);
    gie_graph_free(g);
  }
  ck_gie_ok(ctx, parse(ctx, canonical[6], &g));
  ck_gie_ok(ctx, gie_graph_print_dot(g, &dot, &size));
  ck_assert_ptr_nonnull(
      strstr(dot,
             "label=\"conv c\\nstride=1,1\\lw f32[2,2,1,1]\\l| add\\l| relu\\l| clip\\l| reverse sub\\l\""));
  ck_assert_ptr_nonnull(strstr(dot, "v0 -> n0 [label=\"f32[1,2,4,4]\"]"));
  ck_assert_ptr_nonnull(strstr(dot, "n0 -> o0"));
  gie_free(ctx, dot);
  snprintf(f.other, sizeof f.other, "%s/b.dot", f.dir);
  ck_gie_ok(ctx, ir_write_file(g, f.other));
  gie_graph_free(g);
  remove_folder(&f);
  gie_context_free(ctx);
}
END_TEST

GIE_TESTS_MAIN("text", test_round_trip, test_loose, test_clone_prints_same, test_errors, test_limits,
               test_truncated, test_mutated, test_memory_fails, test_large_graph, test_files,
               test_damaged_weights, test_dot)
