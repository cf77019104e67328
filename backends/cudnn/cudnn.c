/* SPDX-License-Identifier: Apache-2.0 */
/* The cudnn backend: kernels for the cuda device, by cuDNN's graphs of operations. */
#include "backends/cudnn/cn.h"

#include <stdio.h>

#define CN_KERNEL(op, implementation) extern const struct cn_op cn_op_##implementation;
#include "backends/cudnn/kernels.def"
#undef CN_KERNEL

/* Not const: the version is asked of the library that is there at run time. */
#define CN_KERNEL(op, implementation)        \
  {.struct_size = sizeof(struct gie_kernel), \
   .name = "cudnn." #op,                     \
   .device = "cuda",                         \
   .ops = (const char *const[]){#op, NULL},  \
   .library = &cn_library_ops,               \
   .user = (void *)&cn_op_##implementation,  \
   .supports = cn_supports,                  \
   .variants = cn_variants,                  \
   .estimate = cn_estimate,                  \
   .pack_desc = cn_pack_desc,                \
   .pack = cn_pack,                          \
   .workspace = cn_workspace,                \
   .create = cn_create,                      \
   .destroy = cn_destroy,                    \
   .run = cn_run},
static struct gie_kernel kernels[] = {
#include "backends/cudnn/kernels.def"
};

static char version[32];

static void set_versions(void)
{
  size_t v = cudnnGetVersion();
  snprintf(version, sizeof version, "cuDNN %zu.%zu.%zu", v / 10000, v / 100 % 100, v % 100);
  for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
    kernels[i].version = version;
  for (size_t i = 0; i < CN_LEGACY_KERNELS; i++)
    cn_legacy_kernels[i].version = version;
}

static gie_status init(const struct gie_host *host, void **state)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)state;
  pthread_once(&once, set_versions);
  for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
    GIE_TRY(host->register_kernel(host, &kernels[i]));
  for (size_t i = 0; i < CN_LEGACY_KERNELS; i++)
    GIE_TRY(host->register_kernel(host, &cn_legacy_kernels[i]));
  return GIE_OK;
}

GIE_MODULE("cudnn", GIE_MODULE_KERNEL, init)
