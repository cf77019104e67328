/* SPDX-License-Identifier: Apache-2.0 */
/* The cublas backend: matrix products for the device kind "cuda", by cublasLt and by own kernels for few rows. */
#include "backends/cublas/cublas.h"

#include <pthread.h>

/* Not const: the version is that of the library which is loaded with the first device. */
#define CB_KERNEL(text, op, math)            \
  {.struct_size = sizeof(struct gie_kernel), \
   .name = "cublas." text,                   \
   .device = "cuda",                         \
   .ops = (const char *const[]){op, NULL},   \
   .library = &cb_library,                   \
   .user = (void *)(uintptr_t)(math),        \
   .supports = cb_supports,                  \
   .variants = cb_variants,                  \
   .estimate = cb_estimate,                  \
   .pack_desc = cb_kernel_pack_desc,         \
   .pack = cb_kernel_pack,                   \
   .workspace = cb_workspace,                \
   .create = cb_create,                      \
   .destroy = cb_destroy,                    \
   .run = cb_run},
static struct gie_kernel kernels[] = {
#include "backends/cublas/kernels.def"
};

static char version[32];

static void set_version(void)
{
  cb_version(version, sizeof version);
  for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
    kernels[i].version = version;
}

void cb_set_version(void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, set_version);
}

static gie_status init(const struct gie_host *host, void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
    GIE_TRY(host->register_kernel(host, &kernels[i]));
  return host->register_kernel(host, &cb_gemv);
}

GIE_MODULE("cublas", GIE_MODULE_KERNEL, init)
