/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: ONNX files. What is imported and obeys the rules must print, read back to the same text, and go
 * through the default passes without a broken graph; nothing else may happen than an error. */
#include "core/ir/ir.h"
#include "plugins/onnx/onnx.h"
#include "tests/fuzz/fuzz.h"
#include <gie/gie.h>
#include <sys/mman.h>
#include <unistd.h>

static void no_log(void *user, enum gie_log_level level, const char *module, const char *text)
{
  (void)user, (void)level, (void)module, (void)text;
}

/* Made once: a context without modules, and a file in memory. */
static struct gie_context *context(void)
{
  static struct gie_context *ctx;
  struct gie_context_options options = {.struct_size = sizeof options, .log = no_log, .no_modules = true};
  if (!ctx)
    fuzz_check(gie_context_new(&options, &ctx) == GIE_OK);
  return ctx;
}

static int memory_file(const uint8_t *data, size_t size)
{
  static int fd = -1;
  if (fd < 0)
    fuzz_check((fd = memfd_create("model", MFD_CLOEXEC)) >= 0);
  fuzz_check(ftruncate(fd, (off_t)size) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
  return fd;
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
  struct gie_source src = {.struct_size = sizeof src, .path = "/nonexistent/model.onnx", .size = size};
  struct gie_graph *g;
  src.fd = memory_file(data, size);
  src.head = data;
  src.n_head = size < 4096 ? size : 4096;
  onnx_format.probe(&src);
  gie_status st = onnx_format.import(ctx, &src, &g);
  fuzz_check(st != GIE_E_INTERNAL);
  if (st != GIE_OK)
    return 0;
  st = gie_graph_verify(g);
  fuzz_check(st != GIE_E_INTERNAL);
  if (st == GIE_OK) {
    check_fixed_point(ctx, g);
    st = gie_pipeline_run(g, NULL, &options);
    fuzz_check(st != GIE_E_INTERNAL);
    if (st == GIE_OK)
      check_fixed_point(ctx, g);
  }
  gie_graph_free(g);
  return 0;
}
