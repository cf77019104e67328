/* SPDX-License-Identifier: Apache-2.0 */
/* Unified differences: applied to the first text, what is printed gives the second, for random pairs; and no more
 * lines than the edits that were made. */
#include "tests/gie_check.h"
#include "tools/diff.h"

static uint32_t seed;
static uint32_t number(uint32_t below)
{
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 8) % below;
}

static char *difference(struct gie_context *ctx, const char *a, const char *b)
{
  char *text;
  size_t size;
  FILE *f = open_memstream(&text, &size);
  ck_assert_ptr_nonnull(f);
  ck_gie_ok(ctx, diff_print(ctx, f, "a", a, "b", b));
  fclose(f);
  return text;
}

/* Copies n lines. */
static const char *copy(const char *from, size_t n, char *to)
{
  size_t at = strlen(to);
  for (; n && *from; n--) {
    size_t len = strcspn(from, "\n") + 1;
    memcpy(to + at, from, len);
    to[at += len] = '\0';
    from += len;
  }
  return from;
}

/* Fails where a line to be removed or kept is not the one that is there. */
static void apply(const char *a, const char *diff, char *out)
{
  size_t line = 1;
  *out = '\0';
  diff = strstr(diff, "@@");
  while (diff && *diff) {
    size_t start, n, at, m, len = strcspn(diff, "\n") + 1;
    if (*diff == '@') {
      ck_assert_int_eq(sscanf(diff, "@@ -%zu,%zu +%zu,%zu @@", &start, &n, &at, &m), 4);
      start += n == 0;
      ck_assert_uint_ge(start, line);
      a = copy(a, start - line, out);
      line = start;
    } else if (*diff == '+') {
      strncat(out, diff + 1, len - 1);
    } else {
      ck_assert_msg(strncmp(a, diff + 1, len - 1) == 0, "%.30s is not %.30s", a, diff);
      if (*diff == ' ')
        strncat(out, diff + 1, len - 1);
      a += len - 1;
      line++;
    }
    diff += len;
  }
  copy(a, SIZE_MAX, out);
}

/* Lines of few kinds, so that there is much to confuse. */
static void edit(const char *a, char *b, uint32_t *edits)
{
  size_t at = 0;
  *edits = 0;
  for (const char *p = a; *p; p += 2) {
    bool drop = number(8) == 0, add = number(8) == 0;
    if (add)
      at += (size_t)sprintf(b + at, "%c\n", 'a' + (int)number(5));
    if (!drop)
      at += (size_t)sprintf(b + at, "%.2s", p);
    *edits += drop + add;
  }
  b[at] = '\0';
}

START_TEST(test_random)
{
  struct gie_context *ctx = check_context();
  for (seed = 1; seed < 2000; seed++) {
    char a[512] = "", b[1024], back[2048];
    uint32_t edits, n = number(40), changes = 0, keep = seed;
    for (uint32_t i = 0; i < n; i++)
      sprintf(a + 2 * i, "%c\n", 'a' + (int)number(5));
    edit(a, b, &edits);
    char *diff = difference(ctx, a, b);
    apply(a, diff, back);
    ck_assert_str_eq(back, b);
    ck_assert_int_eq(*diff == '\0', strcmp(a, b) == 0);
    const char *first = strstr(diff, "@@");
    for (const char *p = first ? first : ""; *p; p += strcspn(p, "\n") + 1)
      changes += *p == '-' || *p == '+';
    ck_assert_uint_le(changes, edits);
    free(diff);
    seed = keep;
  }
  gie_context_free(ctx);
}
END_TEST

START_TEST(test_hunks)
{
  struct gie_context *ctx = check_context();
  char *diff = difference(ctx, "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n",
                          "1\n2\n3\n4\nx\n6\n7\n8\n9\n10\n11\n12\n13\n");
  ck_assert_str_eq(
      diff,
      "--- a\n+++ b\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n@@ -10,3 +10,4 @@\n 10\n 11\n 12\n+13\n");
  free(diff);
  diff = difference(ctx, "", "1\n");
  ck_assert_str_eq(diff, "--- a\n+++ b\n@@ -0,0 +1,1 @@\n+1\n");
  free(diff);
  gie_context_free(ctx);
}
END_TEST

/* More edits than the search goes through: one block replaced. */
START_TEST(test_many)
{
  struct gie_context *ctx = check_context();
  struct gie_buf a, b;
  gie_buf_init(&a, ctx);
  gie_buf_init(&b, ctx);
  for (int i = 0; i < 5000; i++) {
    gie_buf_printf(&a, "a%d\n", i);
    gie_buf_printf(&b, "b%d\n", i);
  }
  char *diff = difference(ctx, a.data, b.data);
  ck_assert_ptr_nonnull(strstr(diff, "@@ -1,5000 +1,5000 @@"));
  free(diff);
  gie_buf_free(&a);
  gie_buf_free(&b);
  gie_context_free(ctx);
}
END_TEST

GIE_TESTS_MAIN("diff", test_random, test_hunks, test_many)
