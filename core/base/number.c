/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as text, whatever the locale, and the 16-bit float formats. */
#include "core/base/base.h"
#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>

#define NUMBER_TOKEN 1024 /* characters of a number that are looked at; longer ones are refused */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_xdigit(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/* strtod as in the C locale. glibc's newlocale gives a static object for "C", so this is cheap. */
static double c_strtod(const char *s, bool *overflow)
{
  locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  errno = 0;
  double v = c ? strtod_l(s, NULL, c) : strtod(s, NULL);
  *overflow = errno == ERANGE && fabs(v) > 1;
  if (c)
    freelocale(c);
  return v;
}

/* ---- Printing */

/* Writes v with `digits` significant digits, a point instead of the locale's decimal mark. */
static void print_digits(double v, int digits, char buf[GIE_NUMBER_MAX])
{
  char text[GIE_NUMBER_MAX];
  snprintf(text, sizeof text, "%.*g", digits, v);
  char *q = buf;
  for (const char *p = text; *p; p++) {
    if (is_digit(*p) || *p == 'e' || *p == '-' || *p == '+')
      *q++ = *p;
    else if (q == buf || q[-1] != '.') /* the mark may be several bytes */
      *q++ = '.';
  }
  *q = '\0';
}

/* What needs no digits; else false. */
static bool print_special(double v, char buf[GIE_NUMBER_MAX])
{
  const char *text = isnan(v) ? "nan" : isinf(v) ? (v < 0 ? "-inf" : "inf") : NULL;
  if (text)
    memcpy(buf, text, strlen(text) + 1);
  return text != NULL;
}

/* So that it reads as a float and not as an integer. */
static char *with_point(char buf[GIE_NUMBER_MAX])
{
  if (!strpbrk(buf, ".einx"))
    memcpy(buf + strlen(buf), ".0", sizeof ".0");
  return buf;
}

char *gie_double_text(double v, char buf[GIE_NUMBER_MAX])
{
  bool overflow;
  if (print_special(v, buf))
    return buf;
  /* Where 15 digits are exact, trailing zeros are dropped; subnormals may need fewer than that. */
  for (int digits = fabs(v) < DBL_MIN ? 1 : DBL_DIG; digits <= DBL_DECIMAL_DIG; digits++) {
    print_digits(v, digits, buf);
    if (c_strtod(buf, &overflow) == v)
      break;
  }
  return with_point(buf);
}

char *gie_float_text(float v, char buf[GIE_NUMBER_MAX])
{
  bool overflow;
  if (print_special(v, buf))
    return buf;
  for (int digits = fabsf(v) < FLT_MIN ? 1 : FLT_DIG; digits <= FLT_DECIMAL_DIG; digits++) {
    print_digits(v, digits, buf);
    if ((float)c_strtod(buf, &overflow) == v)
      break;
  }
  return with_point(buf);
}

/* ---- Parsing */

static const char *skip_digits(const char *s, const char *end, bool hex)
{
  while (s < end && (hex ? is_xdigit(*s) : is_digit(*s)))
    s++;
  return s;
}

/* End of the longest number that begins at s, or s itself:
 * [+-] ( inf | nan | digits [. digits] [e exponent] | 0x hex [. hex] [p exponent] ) */
static const char *number_end(const char *s, const char *end)
{
  const char *start = s;
  if (s < end && (*s == '+' || *s == '-'))
    s++;
  if (end - s >= 3 && (memcmp(s, "inf", 3) == 0 || memcmp(s, "nan", 3) == 0))
    return s + 3;
  bool hex = end - s >= 3 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') &&
             (is_xdigit(s[2]) || (end - s >= 4 && s[2] == '.' && is_xdigit(s[3])));
  if (hex)
    s += 2;
  const char *whole = s;
  s = skip_digits(s, end, hex);
  size_t digits = (size_t)(s - whole);
  if (s < end && *s == '.') {
    const char *fraction = skip_digits(s + 1, end, hex);
    digits += (size_t)(fraction - (s + 1));
    if (digits)
      s = fraction;
  }
  if (!digits)
    return start;
  if (s < end && (hex ? *s == 'p' || *s == 'P' : *s == 'e' || *s == 'E')) {
    const char *e = s + 1;
    if (e < end && (*e == '+' || *e == '-'))
      e++;
    if (e < end && is_digit(*e))
      s = skip_digits(e, end, false);
  }
  return s;
}

bool gie_parse_double(const char *s, const char *end, double *out, const char **next)
{
  char token[NUMBER_TOKEN];
  bool overflow;
  size_t n = (size_t)(number_end(s, end) - s);
  if (n == 0 || n >= sizeof token)
    return false;
  memcpy(token, s, n);
  token[n] = '\0';
  double v = c_strtod(token, &overflow);
  if (overflow)
    return false;
  *out = v;
  *next = s + n;
  return true;
}

bool gie_parse_int(const char *s, const char *end, int64_t *out, const char **next)
{
  bool negative = s < end && *s == '-';
  if (s < end && (*s == '+' || *s == '-'))
    s++;
  const char *first = s;
  int64_t v = 0;
  for (; s < end && is_digit(*s); s++)
    if (!gie_mul64(v, 10, &v) || !gie_add64(v, negative ? '0' - *s : *s - '0', &v))
      return false;
  if (s == first)
    return false;
  *out = v;
  *next = s;
  return true;
}

/* ---- 16-bit floats: IEEE 754-2008 binary16 (1+5+10 bits) and bfloat16 (the upper half of binary32) */

static uint32_t float_bits(float f)
{
  uint32_t u;
  memcpy(&u, &f, sizeof u);
  return u;
}

static float float_of(uint32_t u)
{
  float f;
  memcpy(&f, &u, sizeof f);
  return f;
}

float gie_f16_to_f32(uint16_t h)
{
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;
  if (exponent == 31)
    return float_of(sign | 0x7f800000 | fraction << 13);
  if (exponent)
    return float_of(sign | (exponent + 112) << 23 | fraction << 13);
  float subnormal = (float)fraction * 0x1p-24f; /* exact */
  return sign ? -subnormal : subnormal;
}

uint16_t gie_f32_to_f16(float f)
{
  uint32_t u = float_bits(f), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
  if (a > 0x7f800000) /* NaN: quiet, upper payload bits kept */
    return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x3ff));
  if (a >= 0x477ff000) /* rounds to 65536 or more */
    return (uint16_t)(sign | 0x7c00);
  if (a >= 0x38800000) /* normal: rebias, round to nearest even */
    return (uint16_t)(sign | ((a - 0x38000000 + 0xfff + (a >> 13 & 1)) >> 13));
  if (a < 0x33000000) /* below half of the smallest subnormal */
    return (uint16_t)sign;
  /* Subnormal: the result counts units of 2^-24. */
  uint32_t shift = 126 - (a >> 23), m = (a & 0x7fffff) | 0x800000;
  uint32_t half = 1u << (shift - 1), rest = m & ((1u << shift) - 1), q = m >> shift;
  return (uint16_t)(sign | (q + (rest > half || (rest == half && (q & 1)))));
}

uint16_t gie_f32_to_bf16(float f)
{
  uint32_t u = float_bits(f);
  if ((u & 0x7fffffff) > 0x7f800000)
    return (uint16_t)(u >> 16 | 0x40);
  return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
