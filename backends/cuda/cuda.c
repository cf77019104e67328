/* SPDX-License-Identifier: Apache-2.0 */
/* The cuda backend: NVIDIA GPUs as a device, and kernels that live off memory bandwidth: pointwise, pools,
 * normalization, reductions, data movement, and a direct convolution that always works. */
#include "backends/cuda/common.h"

static const struct cuda_family *const FAMILIES[] = {
#define CUDA_FAMILY(name) &cuda_##name,
#include "backends/cuda/families.def"
#undef CUDA_FAMILY
    NULL,
};

static gie_status init(const struct gie_host *host, void **state)
{
  (void)state;
  GIE_TRY(host->register_device(host, &cuda_device_kind));
  for (size_t i = 0; FAMILIES[i]; i++)
    for (size_t k = 0; k < FAMILIES[i]->n; k++)
      GIE_TRY(host->register_kernel(host, &FAMILIES[i]->kernels[k]));
  return GIE_OK;
}

GIE_MODULE("cuda", GIE_MODULE_KERNEL, init)
