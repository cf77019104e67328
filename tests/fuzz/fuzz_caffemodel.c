/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: .caffemodel files for a network with a layer of each kind of weights. */
#include "plugins/caffe/caffe.h"
#include "tests/fuzz/fuzz.h"
#include <gie/gie.h>
#include <sys/mman.h>
#include <unistd.h>

static const char net[] =
    "input: 'x' input_dim: 1 input_dim: 2 input_dim: 4 input_dim: 4\n"
    "layer { name: 'c' type: 'Convolution' bottom: 'x' top: 'c' convolution_param { num_output: 2 kernel_size: 2 } }\n"
    "layer { name: 'b' type: 'BatchNorm' bottom: 'c' top: 'c' }\n"
    "layer { name: 's' type: 'Scale' bottom: 'c' top: 'c' }\n"
    "layer { name: 'i' type: 'InnerProduct' bottom: 'c' top: 'i' inner_product_param { num_output: 20 } }\n";

static void no_log(void *user, enum gie_log_level level, const char *module, const char *text)
{
  (void)user, (void)level, (void)module, (void)text;
}

static int memory_file(const void *data, size_t size)
{
  int fd = memfd_create("file", MFD_CLOEXEC);
  fuzz_check(fd >= 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
  return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const struct gie_context_options no_modules = {.struct_size = sizeof no_modules,
                                                        .log = no_log,
                                                        .no_modules = true};
  static struct gie_context *ctx;
  char weights[64];
  const char *options[] = {weights, NULL};
  struct gie_graph *g;
  if (!ctx)
    fuzz_check(gie_context_new(&no_modules, &ctx) == GIE_OK);
  int model = memory_file(data, size), fd = memory_file(net, sizeof net - 1);
  snprintf(weights, sizeof weights, "weights=/proc/self/fd/%d", model);
  struct gie_source src = {.struct_size = sizeof src,
                           .path = "/nonexistent/net.prototxt",
                           .fd = fd,
                           .size = sizeof net - 1,
                           .head = (const unsigned char *)net,
                           .n_head = sizeof net - 1,
                           .options = options};
  gie_status st = caffe_format.import(ctx, &src, &g);
  fuzz_check(st != GIE_E_INTERNAL);
  if (st == GIE_OK) {
    fuzz_check(gie_graph_verify(g) == GIE_OK);
    gie_graph_free(g);
  }
  close(fd);
  close(model);
  return 0;
}
