/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the cuda backend: the device's parts, and the families of kernels. C and CUDA sources include it. */
#ifndef GIE_BACKENDS_CUDA_COMMON_H
#define GIE_BACKENDS_CUDA_COMMON_H

#include <gie/cuda.h>
#include <gie/module.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Kernels: each family is a .cu file and a line in families.def --------------------------------- */

struct cuda_family {
  const struct gie_kernel *kernels;
  size_t n;
};
#define CUDA_FAMILY(name) extern const struct cuda_family cuda_##name;
#include "backends/cuda/families.def"
#undef CUDA_FAMILY

extern const struct gie_device cuda_device_kind; /* device.c */

/* ---- Peaks (peaks.cu) ----------------------------------------------------------------------------------- */

/* Measured on the current device, which should be idle; takes about 0.2 s and a few hundred MiB for that time. */
gie_status cuda_measure_peaks(struct gie_context *ctx, struct gie_peaks *out);
/* Whether this module holds code for the current device. */
gie_status cuda_check_code(struct gie_context *ctx, const char *device_name);

/* ---- The management library (nvml.c): there with most drivers; without it these things are not known ------- */

struct cuda_nvml;

/* NULL with the reason logged when the library or the device cannot be found in it. */
struct cuda_nvml *cuda_nvml_open(struct gie_context *ctx, const char *pci_bus_id);
void cuda_nvml_close(struct cuda_nvml *n);
/* Driver version ("580.159.04") into buf; "" if unknown. */
void cuda_nvml_driver(const struct cuda_nvml *n, char *buf, size_t size);
/* Joules since some moment; false: the device does not count. */
bool cuda_nvml_energy(const struct cuda_nvml *n, double *joules);
/* Why the clocks are held down right now, as text; false: they are not. */
bool cuda_nvml_throttled(const struct cuda_nvml *n, char *buf, size_t size);

#ifdef __cplusplus
}
#endif
#endif
