/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of the text form. Every token knows its line and column; nothing here
 * looks behind `end`, and every byte is looked at a bounded number of times. */
#include "core/ir/text.h"
#include <math.h>
#include <stdarg.h>

gie_status lex_fail(const struct lex *lx, const struct lex_token *at, gie_status status, const char *fmt, ...)
{
  char text[1024];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  return gie_fail(lx->ctx, status, "line %u, column %u: %s", at->line, at->column, text);
}

/* ---- Characters: own tables, because ctype.h follows the locale */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_ident(char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '.'; }
static bool is_name(char c) { return is_ident(c) || c == '-'; }
static bool is_layout(char c) { return is_letter(c) || is_digit(c) || c == '/' || c == ':'; }

static int hex_digit(char c)
{
  if (is_digit(c))
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Length of the identifier at s: "::" counts as a letter, so that domain::Name
 * is one. */
static size_t ident_length(const char *s, const char *end)
{
  const char *p = s;
  if (p == end || !(is_letter(*p) || *p == '_'))
    return 0;
  while (p < end) {
    if (is_ident(*p))
      p++;
    else if (end - p > 2 && p[0] == ':' && p[1] == ':' && is_ident(p[2]))
      p += 2;
    else
      break;
  }
  return (size_t)(p - s);
}

bool text_is_ident(const char *s)
{
  size_t n = strlen(s);
  return n > 0 && ident_length(s, s + n) == n;
}

bool text_is_name(const char *s)
{
  if (!*s)
    return false;
  while (is_name(*s))
    s++;
  return !*s;
}

/* ---- Scanning */

static void skip_space(struct lex *lx)
{
  while (lx->p < lx->end) {
    char c = *lx->p;
    if (c == '\n') {
      lx->line++;
      lx->line_start = ++lx->p;
    } else if (c == ' ' || c == '\t' || c == '\r') {
      lx->p++;
    } else if (c == '#') {
      const char *nl = memchr(lx->p, '\n', (size_t)(lx->end - lx->p));
      lx->p = nl ? nl : lx->end;
    } else {
      return;
    }
  }
}

static gie_status keep_text(struct lex *lx, const char *s, size_t n)
{
  char *copy = gie_arena_alloc(lx->arena, n + 1, 1);
  if (!copy)
    return GIE_E_MEMORY;
  memcpy(copy, s, n);
  lx->tok.text = copy;
  lx->tok.n = n;
  return GIE_OK;
}

static gie_status unescape(struct lex *lx, char *out, size_t *n)
{
  static const char from[] = "ntr\"\\", to[] = "\n\t\r\"\\";
  if (lx->end - lx->p < 2)
    return lex_fail(lx, &lx->tok, GIE_E_PARSE, "the string does not end; close it with \"");
  const char *known = lx->p[1] ? strchr(from, lx->p[1]) : NULL;
  if (known) {
    out[(*n)++] = to[known - from];
    lx->p += 2;
    return GIE_OK;
  }
  if (lx->p[1] == 'x' && lx->end - lx->p >= 4 && hex_digit(lx->p[2]) >= 0 && hex_digit(lx->p[3]) >= 0) {
    out[(*n)++] = (char)(hex_digit(lx->p[2]) * 16 + hex_digit(lx->p[3]));
    lx->p += 4;
    return GIE_OK;
  }
  return lex_fail(lx, &lx->tok, GIE_E_PARSE,
                  "unknown escape in a string; use \\n \\t \\r \\\" \\\\ or \\xNN");
}

/* The opening quote is at p. */
static gie_status scan_string(struct lex *lx)
{
  const char *close = lx->p + 1;
  while (close < lx->end && *close != '"')
    close += *close == '\\' && close + 1 < lx->end ? 2 : 1;
  if (close >= lx->end)
    return lex_fail(lx, &lx->tok, GIE_E_PARSE, "the string does not end; close it with \"");
  char *out = gie_arena_alloc(lx->arena, (size_t)(close - lx->p), 1);
  size_t n = 0;
  if (!out)
    return GIE_E_MEMORY;
  for (lx->p++; *lx->p != '"';) {
    if (*lx->p == '\\') {
      GIE_TRY(unescape(lx, out, &n));
      continue;
    }
    if (*lx->p == '\n') {
      lx->line++;
      lx->line_start = lx->p + 1;
    }
    out[n++] = *lx->p++;
  }
  lx->p++;
  lx->tok.kind = LEX_STRING;
  lx->tok.text = out;
  lx->tok.n = n;
  return GIE_OK;
}

static gie_status scan_value(struct lex *lx)
{
  lx->p++;
  if (lx->p < lx->end && *lx->p == '"') {
    GIE_TRY(scan_string(lx));
    if (memchr(lx->tok.text, 0, lx->tok.n))
      return lex_fail(lx, &lx->tok, GIE_E_PARSE, "a name holds a NUL byte");
  } else {
    const char *from = lx->p;
    while (lx->p < lx->end && is_name(*lx->p))
      lx->p++;
    GIE_TRY(keep_text(lx, from, (size_t)(lx->p - from)));
  }
  lx->tok.kind = LEX_VALUE;
  if (lx->tok.n == 0)
    return lex_fail(lx, &lx->tok, GIE_E_PARSE, "%% without a name; write %%name or %%\"any name\"");
  if (lx->tok.n > GIE_MAX_NAME)
    return lex_fail(lx, &lx->tok, GIE_E_LIMIT, "a name has more than %d bytes", GIE_MAX_NAME);
  return GIE_OK;
}

static gie_status scan_hex(struct lex *lx)
{
  uint64_t bits = 0;
  int digits = 0;
  for (lx->p += 2; lx->p < lx->end && hex_digit(*lx->p) >= 0; lx->p++, digits++)
    bits = bits << 4 | (uint64_t)hex_digit(*lx->p);
  if (digits < 1 || digits > 16)
    return lex_fail(lx, &lx->tok, GIE_E_PARSE, "0x needs 1 to 16 hexadecimal digits");
  lx->tok.kind = LEX_HEX;
  lx->tok.bits = bits;
  return GIE_OK;
}

static gie_status scan_float(struct lex *lx)
{
  struct lex_token *t = &lx->tok;
  t->kind = LEX_FLOAT;
  if (lx->end - lx->p >= 4 && memcmp(lx->p, "-inf", 4) == 0) {
    t->f = -INFINITY;
    lx->p += 4;
    return GIE_OK;
  }
  if (!gie_parse_double(lx->p, lx->end, &t->f, &lx->p))
    return lex_fail(lx, t, GIE_E_PARSE, "malformed number");
  if (lx->p < lx->end && *lx->p == 'f') {
    if (isfinite(t->f) && !isfinite((float)t->f))
      return lex_fail(lx, t, GIE_E_PARSE, "the number is out of range for f32");
    t->f = (double)(float)t->f;
    lx->p++;
  }
  return GIE_OK;
}

static gie_status scan_number(struct lex *lx)
{
  const char *p = lx->p + (*lx->p == '-');
  if (*lx->p != '-' && lx->end - p > 2 && p[0] == '0' && p[1] == 'x')
    return scan_hex(lx);
  while (p < lx->end && is_digit(*p))
    p++;
  if (p < lx->end && (*p == '.' || *p == 'e' || *p == 'E' || *p == 'i')) {
    GIE_TRY(scan_float(lx));
  } else if (!gie_parse_int(lx->p, lx->end, &lx->tok.i, &lx->p)) {
    return lex_fail(lx, &lx->tok, GIE_E_PARSE, "malformed number, or one beyond 64 bits");
  } else {
    lx->tok.kind = LEX_INT;
  }
  if (lx->p < lx->end && (is_ident(*lx->p)))
    return lex_fail(lx, &lx->tok, GIE_E_PARSE, "malformed number");
  return GIE_OK;
}

static gie_status scan_hash(struct lex *lx)
{
  static const char prefix[] = "@sha256:";
  size_t skip = sizeof prefix - 1;
  const char *hex = lx->p + skip;
  if ((size_t)(lx->end - lx->p) < skip + 64 || memcmp(lx->p, prefix, skip) != 0)
    return lex_fail(lx, &lx->tok, GIE_E_PARSE, "malformed hash; write @sha256: and 64 hexadecimal digits");
  for (int i = 0; i < 32; i++) {
    int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
    if (high < 0 || low < 0)
      return lex_fail(lx, &lx->tok, GIE_E_PARSE, "malformed hash; write @sha256: and 64 hexadecimal digits");
    lx->tok.hash[i] = (unsigned char)(high * 16 + low);
  }
  lx->p = hex + 64;
  lx->tok.kind = LEX_HASH;
  return GIE_OK;
}

gie_status lex_next(struct lex *lx)
{
  skip_space(lx);
  struct lex_token *t = &lx->tok;
  memset(t, 0, sizeof *t);
  t->start = lx->p;
  t->line = lx->line;
  t->column = (unsigned)(lx->p - lx->line_start) + 1;
  t->text = "";
  if (lx->p == lx->end)
    return GIE_OK;
  size_t word = ident_length(lx->p, lx->end);
  if (word > 0) {
    if (word > GIE_MAX_NAME)
      return lex_fail(lx, t, GIE_E_LIMIT, "a word has more than %d bytes", GIE_MAX_NAME);
    GIE_TRY(keep_text(lx, lx->p, word));
    t->kind = LEX_IDENT;
    lx->p += word;
    return GIE_OK;
  }
  switch (*lx->p) {
  case '"':
    return scan_string(lx);
  case '%':
    return scan_value(lx);
  case '@':
    return scan_hash(lx);
  default:
    break;
  }
  if (is_digit(*lx->p) ||
      (*lx->p == '-' && lx->end - lx->p > 1 && (is_digit(lx->p[1]) || is_letter(lx->p[1]))))
    return scan_number(lx);
  if (!*lx->p || !strchr("(){}[],:;=|!*+/?", *lx->p))
    return lex_fail(lx, t, GIE_E_PARSE, "unexpected byte 0x%02x", (unsigned char)*lx->p);
  t->kind = LEX_PUNCT;
  lx->p++;
  return GIE_OK;
}

gie_status lex_layout(struct lex *lx)
{
  const char *p = lx->tok.start;
  while (p < lx->end && is_layout(*p))
    p++;
  GIE_TRY(keep_text(lx, lx->tok.start, (size_t)(p - lx->tok.start)));
  lx->tok.kind = LEX_IDENT;
  lx->p = p;
  return GIE_OK;
}

gie_status lex_init(struct lex *lx, struct gie_context *ctx, struct gie_arena *arena, const char *text,
                    size_t size)
{
  memset(lx, 0, sizeof *lx);
  lx->ctx = ctx;
  lx->arena = arena;
  lx->p = lx->line_start = text;
  lx->end = text + size;
  lx->line = 1;
  return lex_next(lx);
}

/* ---- Looking at the token at hand */

bool lex_is(const struct lex *lx, char punct) { return lx->tok.kind == LEX_PUNCT && *lx->tok.start == punct; }

bool lex_is_word(const struct lex *lx, const char *word)
{
  return lx->tok.kind == LEX_IDENT && strcmp(lx->tok.text, word) == 0;
}

const char *lex_found(const struct lex *lx, char buf[64])
{
  static const char *const what[] = {
      [LEX_END] = "the end of the text", [LEX_STRING] = "a string",          [LEX_INT] = "a number",
      [LEX_FLOAT] = "a number",          [LEX_HEX] = "a hexadecimal number", [LEX_HASH] = "a hash"};
  const struct lex_token *t = &lx->tok;
  if (t->kind == LEX_PUNCT)
    snprintf(buf, 64, "'%c'", *t->start);
  else if (t->kind == LEX_IDENT || t->kind == LEX_VALUE)
    snprintf(buf, 64, "%s%.40s", t->kind == LEX_VALUE ? "%" : "", t->text);
  else
    snprintf(buf, 64, "%s", what[t->kind]);
  return buf;
}

gie_status lex_expect(struct lex *lx, char punct)
{
  char found[64];
  if (!lex_is(lx, punct))
    return lex_fail(lx, &lx->tok, GIE_E_PARSE, "expected '%c', found %s", punct, lex_found(lx, found));
  return lex_next(lx);
}

gie_status lex_accept(struct lex *lx, char punct, bool *taken)
{
  *taken = lex_is(lx, punct);
  return *taken ? lex_next(lx) : GIE_OK;
}
