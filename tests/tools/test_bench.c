/* SPDX-License-Identifier: Apache-2.0 */
/* What gie bench and gie debug compute: statistics, judgements, and the reader of their JSON. */
#include "tests/gie_check.h"
#include "tools/bench_stats.h"
#include "tools/debug_judge.h"
#include "tools/tool.h"
#include <math.h>
#include <unistd.h>

#define NEAR(a, b) \
  ck_assert_msg(fabs((a) - (b)) < 1e-9, "%s is %.12g, not %.12g", #a, (double)(a), (double)(b))

/* ---- Statistics */

START_TEST(percentiles)
{
  double v[100];
  for (int i = 0; i < 100; i++)
    v[i] = (i * 37 + 11) % 100 + 1; /* 1 … 100 in disorder */
  bench_sort(v, 100);
  NEAR(v[0], 1);
  NEAR(v[99], 100);
  NEAR(bench_median(v, 100), 50.5);
  NEAR(bench_median(v, 99), 50);
  NEAR(bench_percentile(v, 100, 0), 1);
  NEAR(bench_percentile(v, 100, 90), 90);
  NEAR(bench_percentile(v, 100, 90.1), 91);
  NEAR(bench_percentile(v, 100, 100), 100);
  NEAR(bench_percentile(v, 1, 99), 1);
  NEAR(bench_percentile(v, 10, 99), 10);
}
END_TEST

START_TEST(summary)
{
  double v[100];
  for (int i = 0; i < 100; i++)
    v[i] = i + 1;
  struct bench_summary s = bench_summarize(v, 100);
  ck_assert_uint_eq(s.n, 100);
  NEAR(s.min, 1);
  NEAR(s.max, 100);
  NEAR(s.mean, 50.5);
  NEAR(s.median, 50.5);
  NEAR(s.p25, 25);
  NEAR(s.p75, 75);
  /* ranks 50 - 9.8 and 51 + 9.8, outwards: binomial(100, 1/2) is within them with 96 % */
  NEAR(s.low, 40);
  NEAR(s.high, 61);
  s = bench_summarize(v, 5);
  NEAR(s.low, 1);
  NEAR(s.high, 5);
  s = bench_summarize(v, 1);
  NEAR(s.low, 1);
  NEAR(s.high, 1);
  NEAR(s.median, 1);
}
END_TEST

/* How often the interval covers the true median, over many samples of a skewed distribution: 95 % or a little more. */
START_TEST(interval_covers_the_median)
{
  uint64_t state = 7;
  int covered = 0;
  const int trials = 4000, n = 30;
  for (int i = 0; i < trials; i++) {
    double v[30];
    for (int k = 0; k < n; k++) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      double u = ((double)(state >> 40) + 0.5) / (1 << 24);
      v[k] = -log(u); /* exponential: the median is log 2 */
    }
    bench_sort(v, (size_t)n);
    struct bench_summary s = bench_summarize(v, (size_t)n);
    covered += s.low <= M_LN2 && M_LN2 <= s.high;
  }
  ck_assert_int_ge(covered, trials * 945 / 1000);
  ck_assert_int_le(covered, trials * 985 / 1000);
}
END_TEST

START_TEST(worse)
{
  struct bench_summary old = {.median = 10, .low = 9, .high = 11},
                       now = {.median = 12, .low = 11.5, .high = 13};
  ck_assert(bench_is_worse(&now, &old, 0.03));
  ck_assert(bench_is_worse(&now, &old, 0.19));
  ck_assert(!bench_is_worse(&now, &old, 0.21)); /* allowed */
  now.low = 10.9;
  ck_assert(!bench_is_worse(&now, &old, 0.03)); /* noise */
  ck_assert(!bench_is_worse(&old, &now, 0));    /* faster */
}
END_TEST

/* ---- Judgements */

static struct gie_tensor tensor(float *data, int64_t n)
{
  return (struct gie_tensor){sizeof(struct gie_tensor), GIE_F32, 1, {n}, data};
}

START_TEST(judgement)
{
  static const struct {
    float a[3], b[3];
    double rtol, max_abs, max_rel, cosine;
    bool same;
  } T[] = {
      {{1, 2, -4}, {1, 2, -4}, NAN, 0, 0, 1, true},
      {{1, 2, -4.0002f}, {1, 2, -4}, NAN, 2.0027e-4, 5.0068e-5, 1, true},
      {{1, 2, -4.1f}, {1, 2, -4}, NAN, 0.1, 0.025, 0.99995, false},
      {{1, 2, -4.1f}, {1, 2, -4}, 0.03, 0.1, 0.025, 0.99995, true},
      {{0, 0, 0}, {0, 0, 0}, NAN, 0, 0, 1, true},
      {{0, 0, 1e-30f}, {0, 0, 0}, 1, 1e-30, INFINITY, 0, false},
      {{-1, 0, 0}, {1, 0, 0}, 1, 2, 2, -1, false},
      {{NAN, 1, INFINITY}, {NAN, 1, INFINITY}, NAN, 0, 0, 1, true},
      {{NAN, 1, 0}, {0, 1, 0}, 100, INFINITY, INFINITY, 1, false},
      {{0, 1, 0}, {0, 1, NAN}, 100, INFINITY, INFINITY, 1, false},
      {{0, 1, INFINITY}, {0, 1, -INFINITY}, 100, INFINITY, INFINITY, 1, false},
  };
  for (size_t i = 0; i < sizeof T / sizeof *T; i++) {
    float a[3], b[3];
    memcpy(a, T[i].a, sizeof a);
    memcpy(b, T[i].b, sizeof b);
    struct gie_tensor x = tensor(a, 3), y = tensor(b, 3);
    struct judgement j = judge_tensors(&x, &y, T[i].rtol);
    ck_assert_msg(j.same == T[i].same && j.same_shape, "row %zu", i);
    ck_assert_msg(j.max_abs == T[i].max_abs || fabs(j.max_abs - T[i].max_abs) < 1e-6, "row %zu: %g", i,
                  j.max_abs);
    ck_assert_msg(j.max_rel == T[i].max_rel || fabs(j.max_rel - T[i].max_rel) < 1e-6, "row %zu: %g", i,
                  j.max_rel);
    ck_assert_msg(fabs(j.cosine - T[i].cosine) < 1e-4, "row %zu: %g", i, j.cosine);
  }
}
END_TEST

START_TEST(shapes_and_scans)
{
  float v[4] = {1, NAN, -INFINITY, 2};
  struct gie_tensor x = tensor(v, 4), y = {sizeof y, GIE_F32, 3, {1, 4, 1}, v},
                    z = {sizeof z, GIE_F32, 2, {2, 2}, v};
  ck_assert(judge_tensors(&x, &y, NAN).same);
  ck_assert(!judge_tensors(&x, &z, NAN).same && !judge_tensors(&x, &z, NAN).same_shape);
  ck_assert_uint_eq(judge_scan(&x), FOUND_NAN | FOUND_INF);
  x.dim[0] = 2;
  ck_assert_uint_eq(judge_scan(&x), FOUND_NAN);
  x.dim[0] = 1;
  ck_assert_uint_eq(judge_scan(&x), 0);
  x.dim[0] = 0;
  ck_assert_uint_eq(judge_scan(&x), 0);
  ck_assert(judge_tensors(&x, &x, NAN).same);
}
END_TEST

/* ---- Reading JSON */

static struct tool t;
static char dir[] = "/tmp/gie-test-XXXXXX", file[64], seen[4096];

static void begin(void)
{
  ck_assert(mkdtemp(dir));
  snprintf(file, sizeof file, "%s/a.json", dir);
  gie_arena_init(&t.arena, NULL);
  struct gie_context_options o = {.struct_size = sizeof o, .no_modules = true};
  ck_assert_int_eq(gie_context_new(&o, &t.ctx), GIE_OK);
}

static void end(void)
{
  gie_context_free(t.ctx);
  gie_arena_free(&t.arena);
  unlink(file);
  rmdir(dir);
}

static gie_status note(void *user, const struct json_item *i)
{
  size_t at = strlen(seen);
  (void)user;
  if (i->text)
    snprintf(seen + at, sizeof seen - at, "%s='%s' ", i->where, i->text);
  else
    snprintf(seen + at, sizeof seen - at, "%s=%g ", i->where, isnan(i->number) ? -99 : i->number);
  return strcmp(i->where, "stop") ? GIE_OK : gie_fail(t.ctx, GIE_E_NO, "stopped");
}

static gie_status read_text(const char *text, size_t n)
{
  FILE *f = fopen(file, "w");
  ck_assert(f && fwrite(text, 1, n, f) == n && fclose(f) == 0);
  seen[0] = 0;
  return json_read(&t, file, note, NULL);
}

static const char document[] =
    " {\"a\": 1, \"b\": [true, null, -2.5e1, {\"c\": \"x\\ny\\\"\\u0041\\u00e9\", \"d\": {}}, []],\n"
    "  \"e\": {\"f g\": [[0.5]]}} \n";

START_TEST(reads_json)
{
  ck_gie_ok(t.ctx, read_text(document, sizeof document - 1));
  ck_assert_str_eq(seen, "a=1 b[0]=-99 b[1]=-99 b[2]=-25 b[3].c='x\ny\"A?' e.f g[0][0]=0.5 ");
  ck_gie_ok(t.ctx, read_text("\"one\"", 5));
  ck_assert_str_eq(seen, "='one' ");
  ck_gie(t.ctx, read_text("{\"a\": 1, \"stop\": 2, \"b\": 3}", 28), GIE_E_NO);
  ck_assert_str_eq(seen, "a=1 stop=2 ");
}
END_TEST

START_TEST(refuses_what_is_no_json)
{
  static const struct {
    const char *text, *error;
  } T[] = {{"", "a value is expected"},
           {"{", "a name in quotes"},
           {"{\"a\" 1}", "\":\" is expected"},
           {"{\"a\": 1 \"b\": 2}", "\",\" is expected"},
           {"[1 2]", "\",\" is expected"},
           {"[1,]", "a value is expected"},
           {"[nan]", "a value is expected"},
           {"[inf]", "a value is expected"},
           {"[0x10]", "\",\" is expected"},
           {"[+1]", "a value is expected"},
           {"[1e999]", "a value is expected"},
           {"[truth]", "a value is expected"},
           {"\"abc", "does not end"},
           {"\"a\nb\"", "does not end"},
           {"\"\\x41\"", "bad escape"},
           {"\"\\u00g0\"", "bad escape"},
           {"\"\\u00", "bad escape"},
           {"1 2", "something follows"},
           {"\n\n[1}", "line 3: "},
           {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1", "nested too deep"}};
  char text[700];
  for (size_t i = 0; i < sizeof T / sizeof *T; i++) {
    ck_gie(t.ctx, read_text(T[i].text, strlen(T[i].text)), GIE_E_PARSE);
    ck_assert_msg(strstr(gie_error_text(t.ctx), T[i].error) != NULL, "%s: %s", T[i].text,
                  gie_error_text(t.ctx));
    ck_assert_ptr_eq(strstr(gie_error_text(t.ctx), file), gie_error_text(t.ctx));
  }
  ck_gie(t.ctx, read_text("1\0", 2), GIE_E_PARSE);
  snprintf(text, sizeof text, "{\"%0600d\": 1}", 0);
  ck_gie(t.ctx, read_text(text, strlen(text)), GIE_E_PARSE);
}
END_TEST

/* No crash, whatever byte is there. */
START_TEST(survives_damage)
{
  char text[sizeof document];
  size_t n = sizeof document - 1, refused = 0;
  for (size_t i = 0; i < n; i++) {
    refused += read_text(document, i) != GIE_OK;
    for (int bit = 0; bit < 8; bit++) {
      memcpy(text, document, sizeof text);
      text[i] = (char)(text[i] ^ 1 << bit);
      refused += read_text(text, n) != GIE_OK;
    }
  }
  ck_assert_uint_gt(refused, n);
}
END_TEST

int main(void)
{
  Suite *s = suite_create("bench");
  TCase *plain = check_tcase(s, "figures", NULL, NULL), *json = check_tcase(s, "json", begin, end);
  tcase_add_test(plain, percentiles);
  tcase_add_test(plain, summary);
  tcase_add_test(plain, interval_covers_the_median);
  tcase_add_test(plain, worse);
  tcase_add_test(plain, judgement);
  tcase_add_test(plain, shapes_and_scans);
  tcase_add_test(json, reads_json);
  tcase_add_test(json, refuses_what_is_no_json);
  tcase_add_test(json, survives_damage);
  return check_suite(s);
}
