/* SPDX-License-Identifier: Apache-2.0 */
/* The parser of the protobuf text format: what it makes of each form, and the place and text of each error. */
#include "plugins/caffe/text.h"
#include "tests/gie_check.h"

/* The tree in one line: name=value, name{…}; strings in quotes. */
static void print(struct gie_buf *b, const struct text_field *message)
{
  for (const struct text_field *f = message->first; f; f = f->next) {
    gie_buf_printf(b, "%s%s", f == message->first ? "" : " ", f->name);
    if (f->kind == TEXT_MESSAGE) {
      gie_buf_puts(b, "{");
      print(b, f);
      gie_buf_puts(b, "}");
    } else {
      const char *quote = f->kind == TEXT_STRING ? "'" : "";
      gie_buf_printf(b, "=%s%s%s", quote, f->text, quote);
    }
  }
}

struct form {
  const char *text, *tree;
};

static const struct form forms[] = {
    {"", ""},
    {"# nothing\n", ""},
    {"a: 1", "a=1"},
    {"a: -1.5e-3f a: .5 a: - 2", "a=-1.5e-3f a=.5 a=-2"},
    {"a: inf b: -inf c: nan", "a=inf b=-inf c=nan"},
    {"type: MAX b: true", "type=MAX b=true"},
    {"s: \"x\"", "s='x'"},
    {"s: 'x' \"y\"\n 'z'", "s='xyz'"},
    {"s: \"\\x41\\102\\n\\\\\\\"\\u00e9\\U0001F600\"", "s='AB\n\\\"\xc3\xa9\xf0\x9f\x98\x80'"},
    {"s: '#no comment'", "s='#no comment'"},
    {"m { a: 1 }", "m{a=1}"},
    {"m: { a: 1 }", "m{a=1}"},
    {"m < a: 1 >", "m{a=1}"},
    {"m {} n{}", "m{} n{}"},
    {"l: [1, 2,3]", "l=1 l=2 l=3"},
    {"l: [] a: 1", "a=1"},
    {"l [{a: 1}, {b: 2}]", "l{a=1} l{b=2}"},
    {"a: 1, b: 2; c: 3", "a=1 b=2 c=3"},
    {"a: 1 # one\r\nb: 2 # two", "a=1 b=2"},
    {"\xef\xbb\xbf"
     "a: 1",
     "a=1"},
};

START_TEST(test_forms)
{
  struct gie_context *ctx = check_context();
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
    struct gie_arena arena;
    struct gie_buf b;
    struct text_field *root;
    char *text;
    size_t n;
    gie_arena_init(&arena, ctx);
    gie_buf_init(&b, ctx);
    ck_gie_ok(ctx, text_parse(ctx, &arena, forms[i].text, strlen(forms[i].text), &root));
    print(&b, root);
    ck_gie_ok(ctx, gie_buf_take(&b, &text, &n));
    ck_assert_str_eq(text ? text : "", forms[i].tree);
    gie_free(ctx, text);
    gie_arena_free(&arena);
  }
  gie_context_free(ctx);
}
END_TEST

static const struct {
  const char *text;
  gie_status status;
  const char *message;
} errors[] = {
    {"a: 1\nb 2", GIE_E_PARSE, "2:3: a colon or {"},
    {"a:", GIE_E_PARSE, "1:3: a value is expected for \"a\""},
    {"a: }", GIE_E_PARSE, "1:4: a value is expected"},
    {"m {\n a: 1", GIE_E_PARSE, "1:1: the message \"m\" has no end; close it with }"},
    {"m { a: 1 >", GIE_E_PARSE, "1:10: this closes a message that is not open"},
    {"a: 1 }", GIE_E_PARSE, "1:6: this closes a message"},
    {"\n  s: \"abc", GIE_E_PARSE, "2:6: the string has no end"},
    {"s: \"abc\n\"", GIE_E_PARSE, "1:4: the string has no end"},
    {"s: \"abc\\", GIE_E_PARSE, "unknown escape"},
    {"s: \"\\q\"", GIE_E_PARSE, "1:6: unknown escape"},
    {"s: \"\\777\"", GIE_E_PARSE, "unknown escape"},
    {"s: \"\\ud800\"", GIE_E_PARSE, "no such character"},
    {"s: \"\\xff\"", GIE_E_PARSE, "1:1: the string is no UTF-8"},
    {"s: \"\\0\"", GIE_E_PARSE, "1:1: the string is no UTF-8"},
    {"l: [1 2]", GIE_E_PARSE, "1:7: a comma or ]"},
    {"l: [1", GIE_E_PARSE, "a comma or ]"},
    {"a: -", GIE_E_PARSE, "1:5: a number is expected"},
    {"= 1", GIE_E_PARSE, "1:1: the name of a field"},
    {"\x01", GIE_E_PARSE, "1:1: the name of a field"},
};

static void check_error(struct gie_context *ctx, const char *text, size_t n, gie_status status,
                        const char *message)
{
  struct gie_arena arena;
  struct text_field *root;
  gie_arena_init(&arena, ctx);
  ck_gie(ctx, text_parse(ctx, &arena, text, n, &root), status);
  ck_assert_msg(strstr(gie_error_text(ctx), message), "%s: not in: %s", message, gie_error_text(ctx));
  gie_arena_free(&arena);
}

START_TEST(test_errors)
{
  struct gie_context *ctx = check_context();
  for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
    check_error(ctx, errors[i].text, strlen(errors[i].text), errors[i].status, errors[i].message);
  gie_context_free(ctx);
}
END_TEST

/* A million of `piece`. */
static void check_many(const char *piece, gie_status status, const char *message)
{
  struct gie_context *ctx = check_context();
  const size_t many = 1000000, k = strlen(piece);
  char *text = malloc(many * k);
  ck_assert_ptr_nonnull(text);
  for (size_t i = 0; i < many; i++)
    memcpy(text + i * k, piece, k);
  check_error(ctx, text, many * k, status, message);
  free(text);
  gie_context_free(ctx);
}

START_TEST(test_limits)
{
  check_many("a{", GIE_E_LIMIT, "1:130: messages nested deeper than 64");
  check_many("a:[", GIE_E_PARSE, "1:5: a comma or ]");
  check_many("{", GIE_E_PARSE, "1:1: the name of a field");
  check_many("x", GIE_E_LIMIT, "1:1: a word of more than 4096 bytes");
}
END_TEST

START_TEST(test_places)
{
  static const char text[] = "a: 1\n  m {\n\tb: 2 }";
  struct gie_context *ctx = check_context();
  struct gie_arena arena;
  struct text_field *root;
  gie_arena_init(&arena, ctx);
  ck_gie_ok(ctx, text_parse(ctx, &arena, text, sizeof text - 1, &root));
  const struct text_field *m = root->first->next;
  ck_assert_uint_eq(root->first->line, 1);
  ck_assert_uint_eq(m->line, 2);
  ck_assert_uint_eq(m->column, 3);
  ck_assert_uint_eq(m->first->line, 3);
  ck_assert_uint_eq(m->first->column, 2);
  gie_arena_free(&arena);
  gie_context_free(ctx);
}
END_TEST

GIE_TESTS_MAIN("prototxt", test_forms, test_errors, test_limits, test_places)
