/* SPDX-License-Identifier: Apache-2.0 */
/* The protobuf text format: one pass over the bytes, one function per form. */
#include "plugins/caffe/text.h"
#include "plugins/common/utf8.h"
#include <gie/graph.h>

struct reader {
  struct gie_context *ctx;
  struct gie_arena *arena;
  const char *at, *end, *line_start;
  uint32_t line, n_fields, depth;
};

struct list {
  struct text_field *first, **last;
};

static gie_status fields(struct reader *r, char close, struct list *out);

/* ---- Places ---------------------------------------------------------------------------------- */

static uint32_t column(const struct reader *r, const char *p) { return (uint32_t)(p - r->line_start) + 1; }

static gie_status fail_at(struct reader *r, gie_status st, const char *text)
{
  return gie_fail(r->ctx, st, "%u:%u: %s", r->line, column(r, r->at), text);
}

static int peek(const struct reader *r) { return r->at < r->end ? (unsigned char)*r->at : -1; }

static bool is_alpha(int c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

static bool is_digit(int c) { return c >= '0' && c <= '9'; }

/* Spaces and comments. */
static void skip(struct reader *r)
{
  for (; r->at < r->end; r->at++) {
    if (*r->at == '#')
      while (r->at < r->end && *r->at != '\n')
        r->at++;
    if (r->at == r->end)
      return;
    if (*r->at == '\n') {
      r->line++;
      r->line_start = r->at + 1;
    } else if (*r->at != ' ' && *r->at != '\t' && *r->at != '\r' && *r->at != '\f' && *r->at != '\v')
      return;
  }
}

static bool take(struct reader *r, char c)
{
  if (peek(r) != c)
    return false;
  r->at++;
  skip(r);
  return true;
}

/* ---- Values ---------------------------------------------------------------------------------- */

static gie_status copy(struct reader *r, const char *from, const char **out)
{
  size_t n = (size_t)(r->at - from);
  if (n > TEXT_MAX_STRING) {
    r->at = from;
    return fail_at(r, GIE_E_LIMIT, "a word of more than 4096 bytes");
  }
  char *s = gie_arena_alloc(r->arena, n + 1, 1);
  if (!s)
    return GIE_E_MEMORY;
  memcpy(s, from, n);
  s[n] = 0;
  *out = s;
  return GIE_OK;
}

static gie_status word(struct reader *r, const char **out)
{
  const char *from = r->at;
  while (is_alpha(peek(r)) || is_digit(peek(r)))
    r->at++;
  return copy(r, from, out);
}

/* The characters of a number; whether they make one is for text_number()'s caller to see. */
static gie_status number(struct reader *r, struct text_field *f)
{
  const char *from = r->at;
  if (peek(r) == '-') {
    r->at++;
    skip(r);
  }
  const char *digits = r->at;
  while (is_alpha(peek(r)) || is_digit(peek(r)) || peek(r) == '.' ||
         ((peek(r) == '-' || peek(r) == '+') && (r->at[-1] | 0x20) == 'e'))
    r->at++;
  if (r->at == digits)
    return fail_at(r, GIE_E_PARSE, "a number is expected after the minus sign");
  GIE_TRY(copy(r, digits, &f->text));
  f->n = (size_t)(r->at - digits);
  if (from == digits)
    return GIE_OK;
  char *s = gie_arena_alloc(r->arena, f->n + 2, 1);
  if (!s)
    return GIE_E_MEMORY;
  s[0] = '-';
  memcpy(s + 1, f->text, f->n + 1);
  f->text = s;
  f->n++;
  return GIE_OK;
}

static int hex(int c)
{
  if (is_digit(c))
    return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Up to `max` digits of a base; UINT32_MAX when there is none. */
static uint32_t digits(struct reader *r, int base, int max)
{
  uint32_t v = 0;
  int n = 0;
  for (; n < max && hex(peek(r)) >= 0 && hex(peek(r)) < base; n++, r->at++)
    v = v * (uint32_t)base + (uint32_t)hex(peek(r));
  return n ? v : UINT32_MAX;
}

static size_t utf8_put(char *to, uint32_t c)
{
  if (c < 0x80)
    return to[0] = (char)c, 1;
  if (c < 0x800)
    return to[0] = (char)(0xc0 | c >> 6), to[1] = (char)(0x80 | (c & 0x3f)), 2;
  if (c < 0x10000) {
    to[0] = (char)(0xe0 | c >> 12), to[1] = (char)(0x80 | (c >> 6 & 0x3f)), to[2] = (char)(0x80 | (c & 0x3f));
    return 3;
  }
  to[0] = (char)(0xf0 | c >> 18), to[1] = (char)(0x80 | (c >> 12 & 0x3f));
  to[2] = (char)(0x80 | (c >> 6 & 0x3f)), to[3] = (char)(0x80 | (c & 0x3f));
  return 4;
}

/* What follows a backslash; `to` has room for 4 bytes. */
static gie_status escape(struct reader *r, char *to, size_t *n)
{
  static const char plain[] = "abfnrtv\\'\"?", means[] = "\a\b\f\n\r\t\v\\'\"?";
  const char *p = peek(r) > 0 ? strchr(plain, peek(r)) : NULL;
  *n = 1;
  if (p) {
    to[0] = means[p - plain];
    r->at++;
    return GIE_OK;
  }
  int c = peek(r);
  uint32_t v = UINT32_MAX;
  if (c >= '0' && c <= '7') {
    v = digits(r, 8, 3);
  } else if (c == 'x' || c == 'X') {
    r->at++;
    v = digits(r, 16, 2);
  } else if (c == 'u' || c == 'U') {
    r->at++;
    v = digits(r, 16, c == 'u' ? 4 : 8);
    if (v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
      return fail_at(r, GIE_E_PARSE, "no such character; \\u takes four hexadecimal digits, \\U eight");
    *n = utf8_put(to, v);
    return GIE_OK;
  }
  if (v > 0xff)
    return fail_at(r, GIE_E_PARSE, "unknown escape in a string; write \\\\ for a backslash");
  to[0] = (char)v;
  return GIE_OK;
}

/* One quoted piece, added to buf. */
static gie_status quoted(struct reader *r, char *buf, size_t *n)
{
  const char *from = r->at;
  char quote = *r->at++;
  for (; peek(r) != quote;) {
    if (peek(r) < 0 || peek(r) == '\n') {
      r->at = from;
      return fail_at(r, GIE_E_PARSE, "the string has no end; close it with the quote that opens it");
    }
    if (*n > TEXT_MAX_STRING - 4)
      return fail_at(r, GIE_E_LIMIT, "a string of more than 4092 bytes");
    size_t more = 1;
    if (*r->at == '\\') {
      r->at++;
      GIE_TRY(escape(r, buf + *n, &more));
    } else {
      buf[*n] = *r->at++;
    }
    *n += more;
  }
  r->at++;
  return GIE_OK;
}

/* A string may be in several pieces. */
static gie_status string(struct reader *r, struct text_field *f)
{
  char buf[TEXT_MAX_STRING + 4];
  f->n = 0;
  do {
    GIE_TRY(quoted(r, buf, &f->n));
    skip(r);
  } while (peek(r) == '"' || peek(r) == '\'');
  if (!utf8_valid((const unsigned char *)buf, f->n))
    return gie_fail(r->ctx, GIE_E_PARSE, "%u:%u: the string is no UTF-8 without NUL", f->line, f->column);
  char *s = gie_arena_alloc(r->arena, f->n + 1, 1);
  if (!s)
    return GIE_E_MEMORY;
  memcpy(s, buf, f->n);
  s[f->n] = 0;
  f->text = s;
  return GIE_OK;
}

static gie_status message(struct reader *r, struct text_field *f)
{
  char close = *r->at == '{' ? '}' : '>';
  struct list in = {NULL, &in.first};
  if (++r->depth > TEXT_MAX_DEPTH)
    return fail_at(r, GIE_E_LIMIT, "messages nested deeper than 64");
  r->at++;
  skip(r);
  GIE_TRY(fields(r, close, &in));
  if (peek(r) != close)
    return gie_fail(r->ctx, GIE_E_PARSE, "%u:%u: the message \"%s\" has no end; close it with %c", f->line,
                    f->column, f->name, close);
  r->at++;
  r->depth--;
  f->kind = TEXT_MESSAGE;
  f->first = in.first;
  return GIE_OK;
}

/* ---- Fields ---------------------------------------------------------------------------------- */

static gie_status scalar(struct reader *r, struct text_field *f)
{
  int c = peek(r);
  f->kind = is_alpha(c) ? TEXT_WORD : c == '"' || c == '\'' ? TEXT_STRING : TEXT_NUMBER;
  if (f->kind == TEXT_STRING)
    return string(r, f);
  if (c != '-' && c != '.' && !is_digit(c) && !is_alpha(c))
    return gie_fail(r->ctx, GIE_E_PARSE, "%u:%u: a value is expected for \"%s\"", r->line, column(r, r->at),
                    f->name);
  if (f->kind == TEXT_NUMBER)
    return number(r, f);
  GIE_TRY(word(r, &f->text));
  f->n = strlen(f->text);
  return GIE_OK;
}

static gie_status value(struct reader *r, const char *name, uint32_t line, uint32_t col, bool colon,
                        struct list *out)
{
  if (r->n_fields++ >= TEXT_MAX_FIELDS)
    return fail_at(r, GIE_E_LIMIT, "more than 4194304 fields");
  struct text_field *f = gie_arena_alloc(r->arena, 1, sizeof *f);
  if (!f)
    return GIE_E_MEMORY;
  *f = (struct text_field){.name = name, .line = line, .column = col};
  if (peek(r) == '{' || peek(r) == '<')
    GIE_TRY(message(r, f));
  else if (colon)
    GIE_TRY(scalar(r, f));
  else
    return fail_at(r, GIE_E_PARSE, "a colon or { is expected after the name of a field");
  skip(r);
  *out->last = f;
  out->last = &f->next;
  return GIE_OK;
}

static gie_status elements(struct reader *r, const char *name, bool colon, struct list *out)
{
  if (take(r, ']'))
    return GIE_OK;
  do
    GIE_TRY(value(r, name, r->line, column(r, r->at), colon, out));
  while (take(r, ','));
  return take(r, ']') ? GIE_OK : fail_at(r, GIE_E_PARSE, "a comma or ] is expected in a list");
}

static gie_status field(struct reader *r, struct list *out)
{
  const char *name;
  uint32_t line = r->line, col = column(r, r->at);
  if (!is_alpha(peek(r)))
    return fail_at(r, GIE_E_PARSE,
                   peek(r) == '}' || peek(r) == '>' ? "this closes a message that is not open"
                                                    : "the name of a field is expected");
  GIE_TRY(word(r, &name));
  skip(r);
  bool colon = take(r, ':');
  if (take(r, '['))
    GIE_TRY(elements(r, name, colon, out));
  else
    GIE_TRY(value(r, name, line, col, colon, out));
  if (!take(r, ','))
    take(r, ';');
  return GIE_OK;
}

/* Up to `close`, or to the end of the file for 0. */
static gie_status fields(struct reader *r, char close, struct list *out)
{
  while (r->at < r->end && (!close || *r->at != close))
    GIE_TRY(field(r, out));
  return GIE_OK;
}

gie_status text_parse(struct gie_context *ctx, struct gie_arena *arena, const char *text, size_t n,
                      struct text_field **out)
{
  struct reader r = {ctx, arena, text, text + n, text, 1, 0, 0};
  struct list all = {NULL, &all.first};
  struct text_field *root = gie_arena_alloc(arena, 1, sizeof *root);
  if (!root)
    return GIE_E_MEMORY;
  if (n > TEXT_MAX_SIZE)
    return gie_fail(ctx, GIE_E_LIMIT, "%zu bytes of text; at most %u are read", n, TEXT_MAX_SIZE);
  if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
    r.line_start = r.at += 3;
  skip(&r);
  GIE_TRY(fields(&r, 0, &all));
  *root = (struct text_field){.name = "", .kind = TEXT_MESSAGE, .line = 1, .column = 1, .first = all.first};
  *out = root;
  return GIE_OK;
}
