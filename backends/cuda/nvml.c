/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's management library, looked for when a device is opened: driver version, energy, throttling.
 * Only what is used is declared; the interface is stable (NVML API reference). */
#include "backends/cuda/common.h"

#include <dlfcn.h>
#include <stdio.h>

typedef struct nvml_device_st *nvml_device;

struct cuda_nvml {
  struct gie_context *ctx;
  void *library;
  nvml_device device;
  int (*shutdown)(void);
  int (*driver_version)(char *buf, unsigned size);
  int (*total_energy)(nvml_device d, unsigned long long *millijoules);
  int (*throttle_reasons)(nvml_device d, unsigned long long *reasons);
};

static void *symbol(void *library, const char *name) { return library ? dlsym(library, name) : NULL; }

/* A function pointer from dlsym's object pointer, without a cast that C forbids. */
#define LOAD(target, library, name)            \
  do {                                         \
    void *load_p = symbol((library), (name));  \
    memcpy(&(target), &load_p, sizeof load_p); \
  } while (0)

struct cuda_nvml *cuda_nvml_open(struct gie_context *ctx, const char *pci_bus_id)
{
  int (*init)(void) = NULL;
  int (*by_bus)(const char *id, nvml_device *out) = NULL;
  struct cuda_nvml *n = gie_alloc(ctx, 1, sizeof *n);
  if (!n)
    return NULL;
  n->ctx = ctx;
  n->library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  LOAD(init, n->library, "nvmlInit_v2");
  LOAD(by_bus, n->library, "nvmlDeviceGetHandleByPciBusId_v2");
  LOAD(n->shutdown, n->library, "nvmlShutdown");
  LOAD(n->driver_version, n->library, "nvmlSystemGetDriverVersion");
  LOAD(n->total_energy, n->library, "nvmlDeviceGetTotalEnergyConsumption");
  LOAD(n->throttle_reasons, n->library, "nvmlDeviceGetCurrentClocksThrottleReasons");
  bool started = init && n->shutdown && init() == 0;
  if (started && by_bus && by_bus(pci_bus_id, &n->device) == 0)
    return n;
  gie_log(ctx, GIE_LOG_INFO, "cuda", "no NVML for device %s: energy and throttling are not known",
          pci_bus_id);
  if (started)
    n->shutdown();
  if (n->library)
    dlclose(n->library);
  gie_free(ctx, n);
  return NULL;
}

void cuda_nvml_close(struct cuda_nvml *n)
{
  if (!n)
    return;
  n->shutdown();
  dlclose(n->library);
  gie_free(n->ctx, n);
}

void cuda_nvml_driver(const struct cuda_nvml *n, char *buf, size_t size)
{
  buf[0] = 0;
  if (n && n->driver_version && n->driver_version(buf, (unsigned)size) != 0)
    buf[0] = 0;
}

bool cuda_nvml_energy(const struct cuda_nvml *n, double *joules)
{
  unsigned long long mj;
  if (!n || !n->total_energy || n->total_energy(n->device, &mj) != 0)
    return false;
  *joules = (double)mj / 1000;
  return true;
}

bool cuda_nvml_throttled(const struct cuda_nvml *n, char *buf, size_t size)
{
  static const struct reason {
    unsigned long long bit;
    const char *text;
  } REASONS[] = {
      {0x04, "power limit"},           {0x08, "hardware slowdown"},     {0x20, "temperature"},
      {0x40, "hardware: temperature"}, {0x80, "hardware: power brake"},
  };
  unsigned long long bits = 0;
  size_t at = 0;
  if (!n || !n->throttle_reasons || n->throttle_reasons(n->device, &bits) != 0)
    return false;
  buf[0] = 0;
  for (size_t i = 0; i < sizeof REASONS / sizeof *REASONS && at < size; i++)
    if (bits & REASONS[i].bit)
      at += (size_t)snprintf(buf + at, size - at, "%s%s", at ? ", " : "", REASONS[i].text);
  return at > 0;
}
