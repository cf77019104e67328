/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: a timing cache. What is read of it is written and read back to the same lines. */
#include "core/tune/cache.h"
#include "tests/fuzz/fuzz.h"

static void no_log(void *user, enum gie_log_level level, const char *module, const char *text)
{
  (void)user, (void)level, (void)module, (void)text;
}

static struct gie_context *context(void)
{
  static struct gie_context *ctx;
  struct gie_context_options options = {.struct_size = sizeof options, .log = no_log, .no_modules = true};
  if (!ctx)
    fuzz_check(gie_context_new(&options, &ctx) == GIE_OK);
  return ctx;
}

/* Reads bytes, which are copied, and writes what was read. NULL: they are no timing cache. */
static char *read_and_write(struct gie_context *ctx, const void *data, size_t size, size_t *n)
{
  struct tune_cache *c;
  struct tune_entry e, found;
  struct gie_buf b;
  bool foreign;
  char *copy = gie_alloc(ctx, size + 1, 1), *text = NULL;
  fuzz_check(copy && tune_cache_open(ctx, "no/such/file", true, &c) == GIE_OK);
  if (size)
    memcpy(copy, data, size);
  fuzz_check(cache_read_text(c, copy, size, true, &foreign) == GIE_OK);
  gie_free(ctx, copy);
  gie_buf_init(&b, ctx);
  gie_buf_puts(&b, CACHE_HEADER);
  for (size_t i = 0; tune_cache_at(c, i, &e); i++) {
    fuzz_check(!cache_unfit(&e) && tune_cache_find(c, &e, &found, NULL));
    cache_put_line(&b, &e);
  }
  tune_cache_free(c);
  fuzz_check(gie_buf_take(&b, &text, n) == GIE_OK);
  if (!foreign)
    return text;
  gie_free(ctx, text);
  return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct gie_context *ctx = context();
  size_t n, m;
  char *first = read_and_write(ctx, data, size, &n);
  if (!first)
    return 0;
  char *second = read_and_write(ctx, first, n, &m);
  fuzz_check(second && n == m && memcmp(first, second, n) == 0);
  gie_free(ctx, first);
  gie_free(ctx, second);
  return 0;
}
