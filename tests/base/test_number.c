/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as text in every locale, and the 16-bit float formats. */
#include "tests/gie_check.h"
#include <locale.h>
#include <math.h>

static const struct {
  double v;
  const char *text;
} double_texts[] = {
    {0, "0.0"},
    {-0.0, "-0.0"},
    {1, "1.0"},
    {-17, "-17.0"},
    {0.1, "0.1"},
    {1e-5, "1e-05"},
    {1e22, "1e+22"},
    {1.0 / 3, "0.3333333333333333"},
    {5e-324, "5e-324"},
    {2.2250738585072014e-308, "2.2250738585072014e-308"},
    {1.7976931348623157e308, "1.7976931348623157e+308"},
    {123456789012345680.0, "1.2345678901234568e+17"},
    {INFINITY, "inf"},
    {-INFINITY, "-inf"},
};

static const struct {
  float v;
  const char *text;
} float_texts[] = {
    {0.1f, "0.1"},     {1.0f / 3, "0.33333334"},         {16777216.0f, "16777216.0"},
    {1e-45f, "1e-45"}, {3.4028235e38f, "3.4028235e+38"}, {-2.5f, "-2.5"},
};

static void check_texts(void)
{
  char buf[GIE_NUMBER_MAX];
  for (size_t i = 0; i < sizeof double_texts / sizeof double_texts[0]; i++)
    ck_assert_str_eq(gie_double_text(double_texts[i].v, buf), double_texts[i].text);
  for (size_t i = 0; i < sizeof float_texts / sizeof float_texts[0]; i++)
    ck_assert_str_eq(gie_float_text(float_texts[i].v, buf), float_texts[i].text);
  ck_assert_str_eq(gie_double_text(NAN, buf), "nan");
  ck_assert_str_eq(gie_double_text(-NAN, buf), "nan");
  ck_assert_str_eq(gie_float_text(-NAN, buf), "nan");
}

/* Bit patterns from a generator (xorshift64): every text reads back to the same bits. */
static void check_round_trips(int n)
{
  uint64_t x = 88172645463325252u;
  for (int i = 0; i < n; i++) {
    double d, d2;
    float f;
    char buf[GIE_NUMBER_MAX];
    const char *next;
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    memcpy(&d, &x, sizeof d);
    memcpy(&f, (char *)&x + 4, sizeof f);
    if (isfinite(d)) {
      gie_double_text(d, buf);
      ck_assert(gie_parse_double(buf, buf + strlen(buf), &d2, &next) && !*next);
      ck_assert_msg(memcmp(&d, &d2, sizeof d) == 0, "%a became %s", d, buf);
    }
    if (isfinite(f)) {
      gie_float_text(f, buf);
      ck_assert(gie_parse_double(buf, buf + strlen(buf), &d2, &next) && !*next);
      float f2 = (float)d2;
      ck_assert_msg(memcmp(&f, &f2, sizeof f) == 0, "%a became %s", (double)f, buf);
    }
  }
}

/* Text, what of it is the number (0: none), its value. */
static const struct {
  const char *text;
  size_t n;
  double v;
} parses[] = {
    {"1", 1, 1},
    {"-1.5e3x", 6, -1500},
    {"+2.", 3, 2},
    {".5,", 2, 0.5},
    {"1e", 1, 1},
    {"1e+", 1, 1},
    {"1.5e+2", 6, 150},
    {"0x1.8p3", 7, 12},
    {"-0x.8p1", 7, -1},
    {"0x", 1, 0},
    {"0xg", 1, 0},
    {"1,5", 1, 1},
    {"inf", 3, INFINITY},
    {"-inf]", 4, -INFINITY},
    {"1e-400", 6, 0},
    {"1e400", 0, 0},
    {"-1e999999999999", 0, 0},
    {"", 0, 0},
    {"-", 0, 0},
    {".", 0, 0},
    {"e5", 0, 0},
    {" 1", 0, 0},
    {"infinity", 3, INFINITY},
};

static void check_parses(void)
{
  for (size_t i = 0; i < sizeof parses / sizeof parses[0]; i++) {
    const char *s = parses[i].text, *next = NULL;
    double v = -7;
    bool ok = gie_parse_double(s, s + strlen(s), &v, &next);
    ck_assert_msg(ok == (parses[i].n != 0), "\"%s\": %d", s, ok);
    if (ok)
      ck_assert_msg(next == s + parses[i].n && v == parses[i].v, "\"%s\": %zu characters, %a", s,
                    (size_t)(next - s), v);
    else
      ck_assert(v == -7 && !next);
  }
}

START_TEST(test_c_locale)
{
  check_texts();
  check_parses();
  check_round_trips(20000);
}
END_TEST

START_TEST(test_comma_locale)
{
  char dir[] = "comma-locale-XXXXXX", command[4096];
  const char *top = getenv("top_srcdir");
  ck_assert_ptr_nonnull(mkdtemp(dir));
  snprintf(command, sizeof command, "'%s/tests/base/comma_locale.sh' %s", top ? top : ".", dir);
  ck_assert_int_eq(system(command), 0);
  setenv("LOCPATH", dir, 1);
  const char *set = setlocale(LC_ALL, "comma");
  snprintf(command, sizeof command, "rm -rf %s", dir);
  ck_assert_int_eq(system(command), 0);
  ck_assert_ptr_nonnull(set);
  ck_assert_str_eq(localeconv()->decimal_point, ",");
  check_texts();
  check_parses();
  check_round_trips(2000);
}
END_TEST

/* Only the range given is read: no terminator is needed. */
START_TEST(test_parse_bounds)
{
  char *text = calloc(3, 1);
  const char *next;
  double v;
  int64_t n;
  memcpy(text, "1.5", 3);
  ck_assert(gie_parse_double(text, text + 3, &v, &next) && v == 1.5 && next == text + 3);
  ck_assert(gie_parse_int(text, text + 1, &n, &next) && n == 1 && next == text + 1);
  ck_assert(!gie_parse_double(text, text, &v, &next));
  memcpy(text, "inf", 3);
  ck_assert(!gie_parse_double(text, text + 2, &v, &next));
  free(text);
  /* Longer than any number needs to be. */
  char digits[5000];
  memset(digits, '9', sizeof digits);
  ck_assert(!gie_parse_double(digits, digits + sizeof digits, &v, &next));
  ck_assert(!gie_parse_int(digits, digits + sizeof digits, &n, &next));
}
END_TEST

static const struct {
  const char *text;
  bool ok;
  int64_t v;
} ints[] = {
    {"0", true, 0},
    {"-12", true, -12},
    {"+7", true, 7},
    {"9223372036854775807", true, INT64_MAX},
    {"-9223372036854775808", true, INT64_MIN},
    {"9223372036854775808", false, 0},
    {"-9223372036854775809", false, 0},
    {"99999999999999999999", false, 0},
    {"", false, 0},
    {"-", false, 0},
    {"x", false, 0},
};

START_TEST(test_parse_int)
{
  for (size_t i = 0; i < sizeof ints / sizeof ints[0]; i++) {
    const char *s = ints[i].text, *next;
    int64_t v = 0;
    ck_assert_msg(gie_parse_int(s, s + strlen(s), &v, &next) == ints[i].ok, "\"%s\"", s);
    ck_assert_msg(v == ints[i].v, "\"%s\": %lld", s, (long long)v);
  }
}
END_TEST

/* The value of a finite binary16 by its definition. */
static double half_value(uint16_t h)
{
  int exponent = h >> 10 & 31, fraction = h & 0x3ff;
  double v = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
  return h & 0x8000 ? -v : v;
}

START_TEST(test_f16_all)
{
  for (uint32_t h = 0; h < 0x10000; h++) {
    float f = gie_f16_to_f32((uint16_t)h);
    if ((h & 0x7c00) != 0x7c00) {
      ck_assert_msg((double)f == half_value((uint16_t)h) && !signbit(f) == !(h & 0x8000), "%04x", h);
      ck_assert_uint_eq(gie_f32_to_f16(f), h);
    } else if (h & 0x3ff) {
      ck_assert(isnan(f));
      uint16_t back = gie_f32_to_f16(f);
      ck_assert((back & 0x7c00) == 0x7c00 && (back & 0x3ff));
    } else {
      ck_assert(isinf(f));
      ck_assert_uint_eq(gie_f32_to_f16(f), h);
    }
  }
}
END_TEST

/* Between two neighbours the nearer one is taken, in the middle the even one. */
START_TEST(test_f16_rounding)
{
  for (uint32_t h = 0; h < 0x7bff; h++) {
    double low = half_value((uint16_t)h), high = half_value((uint16_t)(h + 1));
    float middle = (float)((low + high) / 2); /* exact: one more bit */
    ck_assert_uint_eq(gie_f32_to_f16(middle), h & 1 ? h + 1 : h);
    ck_assert_uint_eq(gie_f32_to_f16(nextafterf(middle, 0)), h);
    ck_assert_uint_eq(gie_f32_to_f16(nextafterf(middle, INFINITY)), h + 1);
    ck_assert_uint_eq(gie_f32_to_f16(-middle), (h & 1 ? h + 1 : h) | 0x8000);
  }
  ck_assert_uint_eq(gie_f32_to_f16(65519.996f), 0x7bff);
  ck_assert_uint_eq(gie_f32_to_f16(65520.0f), 0x7c00);
  ck_assert_uint_eq(gie_f32_to_f16(3e38f), 0x7c00);
}
END_TEST

START_TEST(test_bf16)
{
  for (uint32_t h = 0; h < 0x10000; h++) {
    float f = gie_bf16_to_f32((uint16_t)h);
    if (isnan(f)) {
      ck_assert(isnan(gie_bf16_to_f32(gie_f32_to_bf16(f))));
      continue;
    }
    ck_assert_uint_eq(gie_f32_to_bf16(f), h);
    if ((h & 0x7fff) < 0x7f7f) {
      uint32_t bits = h << 16 | 0x8000;
      float middle;
      memcpy(&middle, &bits, sizeof middle);
      ck_assert_uint_eq(gie_f32_to_bf16(middle), h & 1 ? h + 1 : h);
    }
  }
  ck_assert_uint_eq(gie_f32_to_bf16(3.4028235e38f), 0x7f80);
}
END_TEST

GIE_TESTS_MAIN("number", test_c_locale, test_comma_locale, test_parse_bounds, test_parse_int, test_f16_all,
               test_f16_rounding, test_bf16)
