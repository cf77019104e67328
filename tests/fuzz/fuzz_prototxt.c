/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: networks for Caffe, with made-up weights. What is imported must keep every rule of the graph, or
 * break one with an error that says so. */
#include "core/module/registry.h"
#include "plugins/caffe/caffe.h"
#include "tests/fuzz/fuzz.h"
#include <gie/gie.h>
#include <sys/mman.h>
#include <unistd.h>

static void no_log(void *user, enum gie_log_level level, const char *module, const char *text)
{
  (void)user, (void)level, (void)module, (void)text;
}

/* An op as modules bring them, with an attribute of each kind: what layers that no table knows become. */
static gie_status infer_any(struct gie_infer *x)
{
  for (uint32_t i = 0; i < x->n_out; i++)
    x->out[i] = x->in[0];
  return GIE_OK;
}

static void register_any(struct gie_context *ctx)
{
  static const struct gie_attr_spec attrs[] = {
      {"int", GIE_ATTR_INT, GIE_DEFAULT, 0, NULL},
      {"float", GIE_ATTR_FLOAT, GIE_DEFAULT, 0, NULL},
      {"string", GIE_ATTR_STRING, GIE_DEFAULT, 0, ""},
      {"ints", GIE_ATTR_INTS, GIE_OPTIONAL, 0, NULL},
      {"floats", GIE_ATTR_FLOATS, GIE_OPTIONAL, 0, NULL},
      {"strings", GIE_ATTR_STRINGS, GIE_OPTIONAL, 0, NULL},
      {"dtype", GIE_ATTR_DTYPE, GIE_OPTIONAL, 0, NULL},
      {NULL, GIE_ATTR_INT, GIE_OPTIONAL, 0, NULL},
  };
  static const struct gie_op any = {.struct_size = sizeof any,
                                    .name = "caffe::Any",
                                    .min_in = 1,
                                    .max_in = 8,
                                    .min_out = 1,
                                    .max_out = 8,
                                    .attrs = attrs,
                                    .infer = infer_any,
                                    .help = "for the fuzzer"};
  struct gie_registry *r = ctx->registry;
  r->open = true;
  r->loading = UINT32_MAX;
  fuzz_check(r->host.register_op(&r->host, &any) == GIE_OK);
  r->open = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const char *const options[] = {"random_weights=1", NULL};
  static const struct gie_context_options no_modules = {.struct_size = sizeof no_modules,
                                                        .log = no_log,
                                                        .no_modules = true};
  static struct gie_context *ctx;
  static int fd = -1;
  struct gie_graph *g;
  if (!ctx) {
    fuzz_check(gie_context_new(&no_modules, &ctx) == GIE_OK && (fd = memfd_create("net", MFD_CLOEXEC)) >= 0);
    register_any(ctx);
  }
  fuzz_check(ftruncate(fd, (off_t)size) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
  struct gie_source src = {.struct_size = sizeof src,
                           .path = "/nonexistent/net.prototxt",
                           .fd = fd,
                           .size = size,
                           .head = data,
                           .n_head = size < 4096 ? size : 4096,
                           .options = options};
  caffe_format.probe(&src);
  gie_status st = caffe_format.import(ctx, &src, &g);
  fuzz_check(st != GIE_E_INTERNAL);
  if (st == GIE_OK) {
    fuzz_check(gie_graph_verify(g) != GIE_E_INTERNAL);
    gie_graph_free(g);
  }
  return 0;
}
