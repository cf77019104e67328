/* SPDX-License-Identifier: Apache-2.0 */
/* The onednn backend: fast kernels for the cpu device, by oneDNN. Storage and arithmetic are f32. */
#include "backends/onednn/onednn.h"

#include <pthread.h>

#define OD_KERNEL(op, implementation) extern const struct od_op od_op_##implementation;
#include "backends/onednn/kernels.def"
#undef OD_KERNEL

/* Not const: the version is asked of the library that is there at run time. */
#define OD_KERNEL(op, implementation)        \
  {.struct_size = sizeof(struct gie_kernel), \
   .name = "onednn." #op,                    \
   .device = "cpu",                          \
   .ops = (const char *const[]){#op, NULL},  \
   .user = (void *)&od_op_##implementation,  \
   .supports = od_supports,                  \
   .variants = od_variants,                  \
   .pack_desc = od_pack_desc,                \
   .pack = od_pack,                          \
   .workspace = od_workspace,                \
   .create = od_create,                      \
   .destroy = od_destroy,                    \
   .run = od_run},
static struct gie_kernel kernels[] = {
#include "backends/onednn/kernels.def"
};

static void set_versions(void)
{
  for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
    kernels[i].version = od_version();
}

static gie_status init(const struct gie_host *host, void **state)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)state;
  pthread_once(&once, set_versions);
  if (!od_engine())
    return gie_fail(host->ctx, GIE_E_DEVICE, "%s finds no CPU engine; remove the onednn module",
                    od_version());
  for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
    GIE_TRY(host->register_kernel(host, &kernels[i]));
  return GIE_OK;
}

GIE_MODULE("onednn", GIE_MODULE_KERNEL, init)
