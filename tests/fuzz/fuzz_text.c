/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: graph text. What parses must print, read back to the same text, and go through the
 * default passes without a broken graph; nothing else may happen than an error. */
#include "core/base/base.h"
#include "core/ir/ir.h"
#include "tests/fuzz/fuzz.h"
#include <gie/gie.h>

static void no_log(void *user, enum gie_log_level level, const char *module, const char *text)
{
  (void)user, (void)level, (void)module, (void)text;
}

/* Made once: a context without modules. */
static struct gie_context *context(void)
{
  static struct gie_context *ctx;
  struct gie_context_options options = {.struct_size = sizeof options, .log = no_log, .no_modules = true};
  if (!ctx)
    fuzz_check(gie_context_new(&options, &ctx) == GIE_OK);
  return ctx;
}

static void check_fixed_point(struct gie_context *ctx, const struct gie_graph *g)
{
  struct gie_graph *again;
  char *first, *second;
  size_t n, m;
  fuzz_check(gie_graph_print(g, &first, &n) == GIE_OK);
  if (!memmem(first, n, "@sha256:", 8)) { /* else the bytes are elsewhere */
    fuzz_check(gie_graph_parse(ctx, first, n, NULL, &again) == GIE_OK);
    fuzz_check(gie_graph_print(again, &second, &m) == GIE_OK);
    fuzz_check(n == m && memcmp(first, second, n) == 0);
    gie_free(ctx, second);
    gie_graph_free(again);
  }
  gie_free(ctx, first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct gie_context *ctx = context();
  struct gie_pipeline_options options = {.struct_size = sizeof options, .verify_each = true};
  struct gie_graph *g;
  if (gie_graph_parse(ctx, (const char *)data, size, NULL, &g) != GIE_OK)
    return 0;
  check_fixed_point(ctx, g);
  gie_status s = gie_pipeline_run(g, NULL, &options);
  fuzz_check(s != GIE_E_INTERNAL);
  if (s == GIE_OK)
    check_fixed_point(ctx, g);
  gie_graph_free(g);
  return 0;
}
