/* SPDX-License-Identifier: Apache-2.0 */
/* Allocation, arena, growing arrays, text buffer and map, each also with every allocation failing. */
#include "tests/gie_check.h"

START_TEST(test_alloc)
{
  struct gie_context *ctx = check_context();
  for (size_t n = 0; n < 300; n += 7) {
    unsigned char *p = gie_alloc(ctx, n, 3);
    ck_assert_ptr_nonnull(p);
    ck_assert_uint_eq((uintptr_t)p % 64, 0);
    for (size_t i = 0; i < 3 * n; i++)
      ck_assert_uint_eq(p[i], 0);
    gie_free(ctx, p);
  }
  /* Large enough for huge pages, and not whole ones: zeroed to the last byte. */
  const size_t large = ((size_t)9 << 20) + 5;
  unsigned char *q = gie_alloc(ctx, large, 1);
  ck_assert_ptr_nonnull(q);
  ck_assert(q[0] == 0 && memcmp(q, q + 1, large - 1) == 0);
  gie_free(ctx, q);
  q = gie_alloc_raw(ctx, large, 1);
  ck_assert_ptr_nonnull(q);
  memset(q, 255, large);
  gie_free(ctx, q);
  static const size_t huge[][2] = {{SIZE_MAX, 2},
                                   {SIZE_MAX, 1},
                                   {(size_t)1 << 32, (size_t)1 << 32},
                                   {SIZE_MAX / 2 + 1, 1}};
  for (size_t i = 0; i < sizeof huge / sizeof huge[0]; i++) {
    ck_assert_ptr_null(gie_alloc(ctx, huge[i][0], huge[i][1]));
    ck_assert_ptr_nonnull(strstr(gie_error_text(ctx), "address space"));
  }
  gie_free(ctx, NULL);
  gie_context_destroy(ctx);
}
END_TEST

START_TEST(test_arena)
{
  struct gie_context *ctx = check_context();
  struct gie_arena a;
  gie_arena_init(&a, ctx);
  unsigned char *blocks[400];
  for (size_t i = 0; i < 400; i++) {
    size_t n = i % 50 == 49 ? 100000 + i : i;
    blocks[i] = gie_arena_alloc(&a, n, 1);
    ck_assert_ptr_nonnull(blocks[i]);
    ck_assert_uint_eq((uintptr_t)blocks[i] % 16, 0);
    for (size_t k = 0; k < n; k++)
      ck_assert_uint_eq(blocks[i][k], 0);
    memset(blocks[i], (int)i, n);
  }
  for (size_t i = 1; i < 400; i++)
    ck_assert_uint_eq(blocks[i][0], i & 255); /* none overlaps another */
  ck_assert_str_eq(gie_arena_strdup(&a, "text"), "text");
  ck_assert_int_eq(((int *)gie_arena_copy(&a, (int[]){1, 2, 3}, 3, sizeof(int)))[2], 3);
  ck_assert_ptr_nonnull(gie_arena_copy(&a, NULL, 0, 8));
  ck_assert_ptr_null(gie_arena_alloc(&a, SIZE_MAX, 1));
  ck_assert_ptr_null(gie_arena_alloc(&a, SIZE_MAX / 4, 8));
  ck_assert_ptr_null(gie_arena_alloc(&a, SIZE_MAX - 20, 1));
  gie_arena_free(&a);
  ck_assert_uint_eq(a.total, 0);
  ck_assert_ptr_nonnull(gie_arena_alloc(&a, 1, 1)); /* usable again */
  gie_arena_free(&a);
  gie_context_destroy(ctx);
}
END_TEST

START_TEST(test_grow)
{
  struct gie_context *ctx = check_context();
  int *v = NULL;
  size_t cap = 0;
  for (int i = 0; i < 1000; i++) {
    ck_gie_ok(ctx, gie_grow(ctx, &v, &cap, (size_t)i + 1, sizeof *v));
    v[i] = i;
  }
  for (int i = 0; i < 1000; i++)
    ck_assert_int_eq(v[i], i);
  int *old = v;
  size_t old_cap = cap;
  ck_gie(ctx, gie_grow(ctx, &v, &cap, SIZE_MAX / 2, sizeof *v), GIE_E_MEMORY);
  ck_assert(v == old && cap == old_cap);
  gie_free(ctx, v);
  gie_context_destroy(ctx);
}
END_TEST

START_TEST(test_buf)
{
  struct gie_context *ctx = check_context();
  struct gie_buf b;
  char *text, *long_text = malloc(1001);
  size_t len;
  memset(long_text, 'x', 1000);
  long_text[1000] = '\0';
  gie_buf_init(&b, ctx);
  gie_buf_puts(&b, "a");
  gie_buf_printf(&b, "%d|%s|", 7, long_text);
  gie_buf_escape(&b, "q\"b\\n\nt\te\033\x7f\xc3\xa9\0z", 15);
  ck_gie_ok(ctx, gie_buf_take(&b, &text, &len));
  ck_assert_uint_eq(len, strlen(text));
  ck_assert_uint_eq(strncmp(text, "a7|xxx", 6), 0);
  ck_assert_str_eq(text + 1003, "|q\\\"b\\\\n\\nt\\te\\x1b\\x7f\xc3\xa9\\x00z");
  gie_free(ctx, text);
  ck_gie_ok(ctx, gie_buf_take(&b, &text, NULL)); /* nothing put: an empty text */
  ck_assert_str_eq(text, "");
  gie_free(ctx, text);
  free(long_text);
  gie_context_destroy(ctx);
}
END_TEST

/* Against a plain array, with many collisions and removals. */
START_TEST(test_map)
{
  enum { KEYS = 3000 };
  static char keys[KEYS][12];
  static uint32_t want[KEYS];
  struct gie_context *ctx = check_context();
  struct gie_map m;
  uint64_t x = 1;
  gie_map_init(&m, ctx);
  ck_assert_uint_eq(gie_map_get(&m, "absent"), UINT32_MAX);
  gie_map_remove(&m, "absent");
  for (int i = 0; i < KEYS; i++) {
    snprintf(keys[i], sizeof keys[i], "k%d", i);
    want[i] = UINT32_MAX;
  }
  for (int step = 0; step < 40000; step++) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    uint32_t i = (uint32_t)(x >> 33) % KEYS;
    if (x >> 62) {
      want[i] = (uint32_t)step;
      ck_gie_ok(ctx, gie_map_set(&m, keys[i], want[i]));
    } else {
      want[i] = UINT32_MAX;
      gie_map_remove(&m, keys[i]);
    }
  }
  size_t used = 0;
  for (int i = 0; i < KEYS; i++) {
    ck_assert_uint_eq(gie_map_get(&m, keys[i]), want[i]);
    used += want[i] != UINT32_MAX;
  }
  ck_assert_uint_eq(m.used, used);
  gie_map_free(&m);
  gie_context_destroy(ctx);
}
END_TEST

/* ---- Every allocation fails once */

static gie_status use_arena(struct gie_context *ctx)
{
  struct gie_arena a;
  gie_status status = GIE_OK;
  gie_arena_init(&a, ctx);
  for (size_t i = 0; i < 200 && status == GIE_OK; i++)
    if (!gie_arena_alloc(&a, i * 10, 1) || !gie_arena_strdup(&a, "name"))
      status = GIE_E_MEMORY;
  gie_arena_free(&a);
  return status;
}

static gie_status use_buf(struct gie_context *ctx)
{
  struct gie_buf b;
  char *text;
  gie_buf_init(&b, ctx);
  for (int i = 0; i < 200; i++)
    gie_buf_printf(&b, "line %d\n", i);
  GIE_TRY(gie_buf_take(&b, &text, NULL));
  gie_free(ctx, text);
  return GIE_OK;
}

static gie_status use_map(struct gie_context *ctx)
{
  static char keys[200][8];
  struct gie_map m;
  gie_status status = GIE_OK;
  gie_map_init(&m, ctx);
  for (uint32_t i = 0; i < 200 && status == GIE_OK; i++) {
    snprintf(keys[i], sizeof keys[i], "%u", i);
    status = gie_map_set(&m, keys[i], i);
  }
  gie_map_free(&m);
  return status;
}

static gie_status use_file(struct gie_context *ctx)
{
  struct gie_save s;
  char *text;
  size_t size;
  GIE_TRY(gie_save_begin(ctx, "memory-test.txt", &s));
  GIE_TRY(gie_save_write(&s, "text", 4));
  GIE_TRY(gie_save_commit(&s));
  GIE_TRY(gie_file_read(ctx, "memory-test.txt", 100, &text, &size));
  gie_free(ctx, text);
  return GIE_OK;
}

START_TEST(test_failing_allocations)
{
  static gie_status (*const uses[])(struct gie_context *) = {use_arena, use_buf, use_map, use_file};
  struct gie_context *ctx = check_context();
  for (size_t u = 0; u < sizeof uses / sizeof uses[0]; u++) {
    long n = 1;
    for (;; n++) {
      ctx->fail_alloc_after = n;
      gie_status status = uses[u](ctx);
      bool reached = ctx->fail_alloc_after <= 0;
      ctx->fail_alloc_after = -1;
      if (!reached) {
        ck_gie_ok(ctx, status);
        break;
      }
      ck_gie(ctx, status, GIE_E_MEMORY);
      ck_assert_ptr_nonnull(strstr(gie_error_text(ctx), "out of memory"));
    }
    ck_assert_msg(n > 2, "use %zu made only %ld allocations", u, n - 1);
  }
  gie_context_destroy(ctx);
  remove("memory-test.txt");
}
END_TEST

GIE_TESTS_MAIN("memory", test_alloc, test_arena, test_grow, test_buf, test_map, test_failing_allocations)
