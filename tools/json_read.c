/* SPDX-License-Identifier: Apache-2.0 */
/* Reads JSON (RFC 8259) as a sequence of values with their paths; believes nothing. */
#include "tools/tool.h"
#include <math.h>

#define MAX_FILE ((size_t)1 << 26)
#define MAX_DEPTH 32
#define MAX_WHERE 256 /* bytes of a path */

struct reader {
  struct tool *t;
  const char *s, *end;
  unsigned line;
  int depth;
  char where[MAX_WHERE];
  size_t n_where;
  struct gie_buf text; /* of the string at hand */
  gie_status (*each)(void *user, const struct json_item *i);
  void *user;
};

static gie_status wrong(struct reader *r, const char *what)
{
  return gie_fail(r->t->ctx, GIE_E_PARSE, "line %u: %s; it is no JSON that gie wrote", r->line, what);
}

/* The next character that is no white space, or 0 at the end. */
static char peek(struct reader *r)
{
  while (r->s < r->end && (*r->s == ' ' || *r->s == '\t' || *r->s == '\r' || *r->s == '\n'))
    r->line += *r->s++ == '\n';
  return r->s < r->end ? *r->s : 0;
}

/* Adds a member's name or, with key NULL, an element's number. */
static gie_status extend(struct reader *r, const char *key, uint32_t index)
{
  size_t room = sizeof r->where - r->n_where;
  int n = key ? snprintf(r->where + r->n_where, room, "%s%s", r->n_where ? "." : "", key)
              : snprintf(r->where + r->n_where, room, "[%u]", (unsigned)index);
  if (n < 0 || (size_t)n >= room)
    return wrong(r, "the names down to here are too long");
  r->n_where += (size_t)n;
  return GIE_OK;
}

static void cut(struct reader *r, size_t n)
{
  r->n_where = n;
  r->where[n] = '\0';
}

/* ---- Values */

/* \uXXXX: ASCII as itself, all else as "?", as nothing here depends on it. */
static bool unicode(struct reader *r)
{
  unsigned code = 0;
  if (r->end - r->s < 4)
    return false;
  for (int i = 0; i < 4; i++, r->s++) {
    char c = *r->s;
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0)
      return false;
    code = 16 * code + (unsigned)digit;
  }
  char c = code && code < 0x80 ? (char)code : '?';
  gie_buf_put(&r->text, &c, 1);
  return true;
}

static bool escape(struct reader *r)
{
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  char c = r->s < r->end ? *r->s++ : 0;
  const char *at = c ? strchr(from, c) : NULL;
  if (at)
    gie_buf_put(&r->text, &to[at - from], 1);
  return at || (c == 'u' && unicode(r));
}

/* Behind the opening quote; the text is in r->text. */
static gie_status string(struct reader *r)
{
  r->text.len = 0;
  for (;;) {
    if (r->s == r->end || (unsigned char)*r->s < 0x20)
      return wrong(r, "a string does not end");
    char c = *r->s++;
    if (c == '"')
      break;
    if (c == '\\' && !escape(r))
      return wrong(r, "bad escape in a string");
    if (c != '\\')
      gie_buf_put(&r->text, &c, 1);
  }
  gie_buf_puts(&r->text, "");
  return r->text.status;
}

static gie_status tell(struct reader *r, const char *text, double number)
{
  const struct json_item item = {r->where, text, number};
  return r->each(r->user, &item);
}

static gie_status word(struct reader *r)
{
  static const char *const words[] = {"true", "false", "null"};
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    size_t n = strlen(words[i]);
    if ((size_t)(r->end - r->s) >= n && memcmp(r->s, words[i], n) == 0) {
      r->s += n;
      return tell(r, NULL, NAN);
    }
  }
  size_t n = 0;
  double number;
  const char *next;
  while (r->s + n < r->end && r->s[n] && strchr("+-.0123456789eE", r->s[n]))
    n++;
  if (n == 0 || r->s[0] == '+' || !gie_parse_double(r->s, r->s + n, &number, &next) || next != r->s + n)
    return wrong(r, "a value is expected");
  r->s = next;
  return tell(r, NULL, number);
}

static gie_status value(struct reader *r);

static gie_status member(struct reader *r, uint32_t index, char close)
{
  if (close == '}') {
    if (peek(r) != '"')
      return wrong(r, "a name in quotes is expected");
    r->s++;
    GIE_TRY(string(r));
    GIE_TRY(extend(r, r->text.data ? r->text.data : "", 0));
    if (peek(r) != ':')
      return wrong(r, "\":\" is expected");
    r->s++;
  } else {
    GIE_TRY(extend(r, NULL, index));
  }
  return value(r);
}

static gie_status members(struct reader *r, char close)
{
  size_t base = r->n_where;
  r->s++;
  if (++r->depth > MAX_DEPTH)
    return wrong(r, "nested too deep");
  for (uint32_t index = 0; peek(r) != close; index++) {
    if (index && peek(r) != ',')
      return wrong(r, "\",\" is expected");
    r->s += index != 0;
    GIE_TRY(member(r, index, close));
    cut(r, base);
  }
  r->s++;
  r->depth--;
  return GIE_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): at most MAX_DEPTH deep */
static gie_status value(struct reader *r)
{
  char c = peek(r);
  if (c == '{' || c == '[')
    return members(r, c == '{' ? '}' : ']');
  if (c != '"')
    return word(r);
  r->s++;
  GIE_TRY(string(r));
  return tell(r, r->text.data ? r->text.data : "", NAN);
}

gie_status json_read(struct tool *t, const char *path,
                     gie_status (*each)(void *user, const struct json_item *i), void *user)
{
  char *data;
  size_t size;
  GIE_TRY(gie_file_read(t->ctx, path, MAX_FILE, &data, &size));
  struct reader r = {.t = t, .s = data, .end = data + size, .line = 1, .each = each, .user = user};
  gie_buf_init(&r.text, t->ctx);
  gie_status st = value(&r);
  if (st == GIE_OK && peek(&r))
    st = wrong(&r, "something follows the document");
  if (st == GIE_OK && r.s < r.end)
    st = wrong(&r, "a byte 0");
  gie_buf_free(&r.text);
  gie_free(t->ctx, data);
  return st == GIE_OK ? st : gie_error_prefix(t->ctx, st, "%s", path);
}
