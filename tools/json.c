/* SPDX-License-Identifier: Apache-2.0 */
/* JSON for machines, written as it goes (RFC 8259): one document on standard output or in a file. */
#include "tools/tool.h"
#include <math.h>

static bool is_flat(const struct json *j) { return j->depth > 0 && j->depth < 32 && j->flat >> j->depth & 1; }

static void new_line(const struct json *j)
{
  putc('\n', j->to);
  for (int i = 0; i < j->depth; i++)
    fputs("  ", j->to);
}

/* Bytes of the UTF-8 sequence at s (RFC 3629: no surrogates, nothing above U+10FFFF, shortest form), or 0. */
static size_t utf8_length(const unsigned char *s)
{
  size_t n = s[0] < 0x80                   ? 1
             : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
             : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
             : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                           : 0;
  for (size_t i = 1; i < n; i++)
    if ((s[i] & 0xc0) != 0x80)
      return 0;
  if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf0 && s[1] < 0x90) ||
      (s[0] == 0xf4 && s[1] >= 0x90))
    return 0;
  return n;
}

static void put_string(FILE *to, const char *text)
{
  putc('"', to);
  for (const unsigned char *s = (const unsigned char *)text; *s;) {
    size_t n = utf8_length(s);
    if (n == 0)
      fputs("\\ufffd", to);
    else if (*s == '"' || *s == '\\')
      fprintf(to, "\\%c", *s);
    else if (*s < 0x20 || *s == 0x7f)
      fprintf(to, "\\u%04x", *s);
    else
      fwrite(s, 1, n, to);
    s += n ? n : 1;
  }
  putc('"', to);
}

/* Comma, line and key before a value. */
static void lead(struct json *j, const char *key)
{
  if (j->comma)
    putc(',', j->to);
  if (is_flat(j))
    fputs(j->comma ? " " : "", j->to);
  else if (j->depth)
    new_line(j);
  if (key) {
    put_string(j->to, key);
    fputs(": ", j->to);
  }
  j->comma = true;
}

void json_begin(struct json *j) { json_begin_on(j, stdout, '{'); }

void json_begin_on(struct json *j, FILE *to, char bracket)
{
  *j = (struct json){.to = to, .outer = bracket};
  json_open(j, NULL, bracket, false);
}

void json_end(struct json *j)
{
  json_close(j, j->outer == '{' ? '}' : ']');
  putc('\n', j->to);
}

void json_open(struct json *j, const char *key, char bracket, bool flat)
{
  flat |= is_flat(j);
  lead(j, key);
  putc(bracket, j->to);
  j->depth++;
  j->comma = false;
  j->flat = flat ? j->flat | 1u << j->depth : j->flat & ~(1u << j->depth);
}

void json_close(struct json *j, char bracket)
{
  bool line = j->comma && !is_flat(j);
  j->depth--;
  if (line)
    new_line(j);
  putc(bracket, j->to);
  j->comma = true;
}

void json_text(struct json *j, const char *key, const char *s)
{
  lead(j, key);
  if (s)
    put_string(j->to, s);
  else
    fputs("null", j->to);
}

void json_int(struct json *j, const char *key, int64_t v)
{
  lead(j, key);
  fprintf(j->to, "%lld", (long long)v);
}

void json_real(struct json *j, const char *key, double v)
{
  char buf[GIE_NUMBER_MAX];
  lead(j, key);
  fputs(isfinite(v) ? gie_double_text(v, buf) : "null", j->to);
}

void json_bool(struct json *j, const char *key, bool v)
{
  lead(j, key);
  fputs(v ? "true" : "false", j->to);
}

/* Numbers as numbers, everything else as the text form writes it; null: the rank is unknown. */
static void json_shape(struct json *j, const char *key, const struct gie_graph *g, const struct gie_shape *s)
{
  char text[GIE_MAX_NAME + 64];
  if (s->rank < 0) {
    json_text(j, key, NULL);
    return;
  }
  json_open(j, key, '[', true);
  for (int i = 0; i < s->rank; i++) {
    struct gie_shape one = {1, {s->dim[i]}};
    size_t n = strlen(gie_shape_text(g, &one, text, sizeof text));
    if (gie_dim_is_num(s->dim[i])) {
      json_int(j, NULL, s->dim[i].b);
      continue;
    }
    if (n >= 2) /* without the brackets */
      text[n - 1] = '\0';
    json_text(j, NULL, n >= 2 ? text + 1 : text);
  }
  json_close(j, ']');
}

void json_value(struct json *j, const struct gie_graph *g, gie_id value)
{
  const struct gie_value *v = gie_value_get(g, value);
  json_text(j, "name", v->name);
  json_text(j, "dtype", gie_dtype_name(v->type.dtype));
  json_shape(j, "shape", g, &v->type.shape);
}

gie_status json_save(struct tool *t, const char *path, char bracket,
                     void (*fill)(struct tool *t, struct json *j, const void *what), const void *what)
{
  struct gie_save save;
  struct json j;
  char *text = NULL;
  size_t size = 0;
  FILE *f = open_memstream(&text, &size);
  if (!f)
    return gie_fail(t->ctx, GIE_E_MEMORY, "%s: out of memory", path);
  json_begin_on(&j, f, bracket);
  fill(t, &j, what);
  json_end(&j);
  bool lost = ferror(f) != 0;
  lost |= fclose(f) != 0;
  gie_status st = lost ? gie_fail(t->ctx, GIE_E_MEMORY, "%s: out of memory", path)
                       : gie_save_begin(t->ctx, path, &save);
  if (st == GIE_OK)
    st = gie_save_write(&save, text, size);
  if (st == GIE_OK)
    st = gie_save_commit(&save);
  free(text);
  return st;
}
