/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the timing cache: fields separated by tabs, in the order of the table below. Strings are
 * escaped (\\, \t, \n, \xNN), so a line has no other control characters than its tabs. */
#include "core/tune/cache.h"
#include <math.h>

static const char *const verdicts[] = {
#define VERDICT_WORD(name, word) word,
    PROBE_VERDICTS(VERDICT_WORD)
#undef VERDICT_WORD
};
#define N_VERDICTS (sizeof verdicts / sizeof verdicts[0])

enum field_kind { FIELD_STRING, FIELD_CONFIG, FIELD_VERDICT, FIELD_REAL };
static const struct field {
  const char *name;
  enum field_kind kind;
  size_t at;
} fields[] = {
    {"problem", FIELD_STRING, offsetof(struct tune_entry, problem)},
    {"kernel", FIELD_STRING, offsetof(struct tune_entry, kernel)},
    {"config", FIELD_CONFIG, offsetof(struct tune_entry, config)},
    {"device", FIELD_STRING, offsetof(struct tune_entry, device)},
    {"version", FIELD_STRING, offsetof(struct tune_entry, version)},
    {"verdict", FIELD_VERDICT, offsetof(struct tune_entry, verdict)},
    {"seconds", FIELD_REAL, offsetof(struct tune_entry, seconds)},
    {"spread", FIELD_REAL, offsetof(struct tune_entry, spread)},
    {"error", FIELD_REAL, offsetof(struct tune_entry, error)},
    {"text", FIELD_STRING, offsetof(struct tune_entry, text)},
};
#define N_FIELDS (sizeof fields / sizeof fields[0])

static bool is_control(unsigned char c) { return c < 0x20 || c == 0x7f; }

/* ---- What can be kept */

static size_t escaped_length(const char *s)
{
  size_t n = 0;
  for (; *s; s++)
    n += *s == '\\' ? 2 : is_control((unsigned char)*s) ? 4 : 1;
  return n;
}

static bool is_time(double v) { return isfinite(v) && v >= 0; }

const char *cache_unfit(const struct tune_entry *e)
{
  enum { NUMBERS = 160 }; /* the fields that are no strings, the tabs and the newline take less */
  size_t n = NUMBERS;
  for (size_t i = 0; i < N_FIELDS; i++)
    if (fields[i].kind == FIELD_STRING)
      n += escaped_length(*(const char *const *)((const char *)e + fields[i].at));
  if (n > CACHE_MAX_LINE)
    return "its names are longer than a line may be";
  if (!*e->problem || !*e->kernel)
    return "the problem or the kernel has no name";
  if ((size_t)e->verdict >= N_VERDICTS)
    return "unknown verdict";
  if (!is_time(e->seconds) || !is_time(e->spread) || !(e->error >= 0))
    return "a time or an error is negative or not a number";
  if (e->verdict == PROBE_OK && e->seconds == 0)
    return "a candidate that is right has no time";
  return NULL;
}

/* ---- Writing */

static void put_string(struct gie_buf *b, const char *s)
{
  while (*s) {
    size_t n = 0;
    while (s[n] && s[n] != '\\' && !is_control((unsigned char)s[n]))
      n++;
    gie_buf_put(b, s, n);
    s += n;
    if (*s == '\\')
      gie_buf_puts(b, "\\\\");
    else if (*s == '\t')
      gie_buf_puts(b, "\\t");
    else if (*s == '\n')
      gie_buf_puts(b, "\\n");
    else if (*s)
      gie_buf_printf(b, "\\x%02x", (unsigned char)*s);
    s += *s != '\0';
  }
}

void cache_put_line(struct gie_buf *b, const struct tune_entry *e)
{
  char number[GIE_NUMBER_MAX];
  for (size_t i = 0; i < N_FIELDS; i++) {
    const void *p = (const char *)e + fields[i].at;
    if (i)
      gie_buf_put(b, "\t", 1);
    switch (fields[i].kind) {
    case FIELD_STRING:
      put_string(b, *(const char *const *)p);
      break;
    case FIELD_CONFIG:
      gie_buf_printf(b, "0x%llx", (unsigned long long)e->config);
      break;
    case FIELD_VERDICT:
      gie_buf_puts(b, verdicts[e->verdict]);
      break;
    case FIELD_REAL:
      gie_buf_puts(b, gie_double_text(*(const double *)p, number));
      break;
    }
  }
  gie_buf_put(b, "\n", 1);
}

/* ---- Reading */

static int hex_digit(char c)
{
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undoes the escapes in place; false: one that is never written. */
static bool unescape(char *s)
{
  char *to = s;
  for (; *s; s++) {
    if (*s != '\\') {
      *to++ = *s;
      continue;
    }
    s++;
    if (*s == '\\' || *s == 't' || *s == 'n') {
      *to++ = *s == 't' ? '\t' : *s == 'n' ? '\n' : '\\';
    } else if (*s == 'x' && hex_digit(s[1]) >= 0 && hex_digit(s[2]) >= 0) {
      int c = hex_digit(s[1]) * 16 + hex_digit(s[2]);
      if (!is_control((unsigned char)c) || c == 0)
        return false;
      *to++ = (char)c;
      s += 2;
    } else {
      return false;
    }
  }
  *to = '\0';
  return true;
}

static bool read_config(const char *s, uint64_t *out)
{
  size_t n = strlen(s);
  if (strncmp(s, "0x", 2) != 0 || n < 3 || n > 18)
    return false;
  *out = 0;
  for (s += 2; *s; s++) {
    if (hex_digit(*s) < 0)
      return false;
    *out = *out << 4 | (unsigned)hex_digit(*s);
  }
  return true;
}

static bool read_verdict(const char *s, enum probe_verdict *out)
{
  for (size_t i = 0; i < N_VERDICTS; i++)
    if (strcmp(verdicts[i], s) == 0) {
      *out = (enum probe_verdict)i;
      return true;
    }
  return false;
}

static bool read_real(const char *s, double *out)
{
  const char *end = s + strlen(s), *next;
  return gie_parse_double(s, end, out, &next) && next == end;
}

static bool read_field(const struct field *f, char *s, struct tune_entry *out)
{
  void *p = (char *)out + f->at;
  switch (f->kind) {
  case FIELD_STRING:
    *(const char **)p = s;
    return unescape(s);
  case FIELD_CONFIG:
    return read_config(s, p);
  case FIELD_VERDICT:
    return read_verdict(s, p);
  default:
    return read_real(s, p);
  }
}

const char *cache_read_line(char *line, size_t n, struct tune_entry *out)
{
  char *end = line + n;
  if (n >= CACHE_MAX_LINE)
    return "longer than a line may be";
  for (char *s = line; s < end; s++)
    if (*s != '\t' && is_control((unsigned char)*s))
      return *s == '\r' && s + 1 == end ? "ends with a carriage return" : "has a control character";
  *end = '\0';
  for (size_t i = 0; i < N_FIELDS; i++) {
    char *tab = memchr(line, '\t', (size_t)(end - line));
    if (!tab != (i + 1 == N_FIELDS))
      return "has another number of fields";
    char *stop = tab ? tab : end;
    *stop = '\0';
    if (!read_field(&fields[i], line, out))
      return fields[i].name;
    line = stop + (tab != NULL);
  }
  return cache_unfit(out);
}
