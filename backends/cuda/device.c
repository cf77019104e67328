/* SPDX-License-Identifier: Apache-2.0 */
/* The device kind "cuda": memory, copies, streams, events, graphs and peaks through the CUDA runtime.
 *
 * The runtime keeps a current device per thread, so whatever is called first on a thread (activate, and
 * every function here that does not get a stream) makes the device current. Streams do not wait for the
 * default stream. */
#include "backends/cuda/common.h"

#include <pthread.h>
#include <stdio.h>

struct cuda_device {
  struct gie_context *ctx;
  int index;
  struct gie_device_info info;
  struct cuda_nvml *nvml;
  pthread_mutex_t lock; /* for the peaks */
  bool measured;
  struct gie_peaks peaks;
};

#define TRY(d, call, what) GIE_CUDA_TRY((d)->ctx, call, what)

/* ---- Which devices there are ------------------------------------------------------------------------- */

static int device_count(struct gie_context *ctx)
{
  int n = 0, driver = 0;
  cudaError_t e = cudaGetDeviceCount(&n);
  if (e == cudaSuccess && n > 0)
    return n;
  (void)cudaGetLastError();
  if (cudaDriverGetVersion(&driver) == cudaSuccess && driver == 0)
    gie_log(ctx, GIE_LOG_INFO, "cuda", "no CUDA device: no NVIDIA driver is loaded");
  else
    gie_log(ctx, GIE_LOG_INFO, "cuda", "no CUDA device: %s",
            e == cudaSuccess ? "the driver lists none" : cudaGetErrorString(e));
  return 0;
}

static gie_status device_activate(void *dev)
{
  struct cuda_device *d = dev;
  TRY(d, cudaSetDevice(d->index), "selecting the device");
  return GIE_OK;
}

/* Versions that timings depend on: runtime, driver, and the generation of the device. */
static gie_status read_info(struct cuda_device *d)
{
  struct cudaDeviceProp p;
  int runtime = 0, driver = 0;
  char release[48];
  TRY(d, cudaGetDeviceProperties(&p, d->index), "asking for the device's properties");
  TRY(d, cudaRuntimeGetVersion(&runtime), "asking for the runtime's version");
  TRY(d, cudaDriverGetVersion(&driver), "asking for the driver's version");
  d->info = (struct gie_device_info){.struct_size = sizeof d->info,
                                     .flags = GIE_DEVICE_F16,
                                     .units = (uint32_t)p.multiProcessorCount,
                                     .memory = p.totalGlobalMem};
  snprintf(d->info.name, sizeof d->info.name, "%.90s", p.name);
  cuda_nvml_driver(d->nvml, release, sizeof release);
  snprintf(d->info.version, sizeof d->info.version, "sm_%d%d, CUDA %d.%d, driver %.40s (%d.%d)", p.major,
           p.minor, runtime / 1000, runtime % 1000 / 10, release[0] ? release : "unknown", driver / 1000,
           driver % 1000 / 10);
  double joules;
  if (cuda_nvml_energy(d->nvml, &joules))
    d->info.flags |= GIE_DEVICE_ENERGY;
  return GIE_OK;
}

static void device_close(void *dev)
{
  struct cuda_device *d = dev;
  if (!d)
    return;
  cuda_nvml_close(d->nvml);
  pthread_mutex_destroy(&d->lock);
  gie_free(d->ctx, d);
}

static gie_status open_checked(struct cuda_device *d)
{
  char bus[32] = "";
  GIE_TRY(device_activate(d));
  TRY(d, cudaFree(NULL), "starting CUDA on the device");
  TRY(d, cudaDeviceGetPCIBusId(bus, (int)sizeof bus, d->index), "asking for the device's address");
  d->nvml = cuda_nvml_open(d->ctx, bus);
  GIE_TRY(read_info(d));
  return cuda_check_code(d->ctx, d->info.name);
}

static gie_status device_open(struct gie_context *ctx, int index, void **dev)
{
  int n = device_count(ctx);
  if (index < 0 || index >= n)
    return gie_fail(ctx, GIE_E_DEVICE, "there is no CUDA device %d; %d are present", index, n);
  struct cuda_device *d = gie_alloc(ctx, 1, sizeof *d);
  if (!d)
    return GIE_E_MEMORY;
  d->ctx = ctx;
  d->index = index;
  pthread_mutex_init(&d->lock, NULL);
  gie_status st = open_checked(d);
  if (st != GIE_OK) {
    device_close(d);
    return st;
  }
  *dev = d;
  return GIE_OK;
}

static gie_status device_info(void *dev, struct gie_device_info *out)
{
  *out = ((struct cuda_device *)dev)->info;
  return GIE_OK;
}

/* ---- Memory and copies --------------------------------------------------------------------------------- */

static gie_status out_of_memory(struct cuda_device *d, size_t bytes)
{
  size_t free = 0, total = 0;
  (void)cudaGetLastError();
  (void)cudaMemGetInfo(&free, &total);
  return gie_fail(d->ctx, GIE_E_MEMORY,
                  "out of device memory: %zu bytes asked for, %zu of %zu are free; use a smaller batch",
                  bytes, free, total);
}

static gie_status device_alloc(void *dev, size_t bytes, void **out)
{
  struct cuda_device *d = dev;
  void *p = NULL;
  GIE_TRY(device_activate(d));
  cudaError_t e = cudaMalloc(&p, bytes ? bytes : 1); /* aligned to 256 (CUDA C programming guide) */
  if (e == cudaErrorMemoryAllocation || (e == cudaErrorInvalidValue && bytes > d->info.memory))
    return out_of_memory(d, bytes);
  TRY(d, e, "reserving device memory");
  *out = p;
  return GIE_OK;
}

static void device_free(void *dev, void *p)
{
  if (p && device_activate(dev) == GIE_OK && cudaFree(p) != cudaSuccess)
    (void)cudaGetLastError(); /* the device was lost; what led to it has been reported */
}

static gie_status device_host_alloc(void *dev, size_t bytes, void **out)
{
  struct cuda_device *d = dev;
  void *p = NULL;
  GIE_TRY(device_activate(d));
  cudaError_t e = cudaHostAlloc(&p, bytes ? bytes : 1, cudaHostAllocDefault);
  if (e == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    return gie_fail(d->ctx, GIE_E_MEMORY,
                    "%zu bytes of host memory cannot be pinned; free memory or raise `ulimit -l`", bytes);
  }
  TRY(d, e, "pinning host memory");
  *out = p;
  return GIE_OK;
}

static void device_host_free(void *dev, void *p)
{
  if (p && device_activate(dev) == GIE_OK && cudaFreeHost(p) != cudaSuccess)
    (void)cudaGetLastError();
}

static gie_status device_fill(void *dev, void *dst, int byte, size_t bytes, void *stream)
{
  struct cuda_device *d = dev;
  if (bytes)
    TRY(d, cudaMemsetAsync(dst, byte, bytes, (cudaStream_t)stream), "filling device memory");
  return GIE_OK;
}

static gie_status device_copy(void *dev, void *dst, const void *src, size_t bytes, enum gie_copy kind,
                              void *stream)
{
  static const enum cudaMemcpyKind KINDS[] = {[GIE_COPY_TO_DEVICE] = cudaMemcpyHostToDevice,
                                              [GIE_COPY_TO_HOST] = cudaMemcpyDeviceToHost,
                                              [GIE_COPY_ON_DEVICE] = cudaMemcpyDeviceToDevice};
  static const char *const WHAT[] = {[GIE_COPY_TO_DEVICE] = "copying to the device",
                                     [GIE_COPY_TO_HOST] = "copying from the device",
                                     [GIE_COPY_ON_DEVICE] = "copying on the device"};
  struct cuda_device *d = dev;
  if (bytes)
    TRY(d, cudaMemcpyAsync(dst, src, bytes, KINDS[kind], (cudaStream_t)stream), WHAT[kind]);
  return GIE_OK;
}

static gie_status device_sync(void *dev, void *stream)
{
  struct cuda_device *d = dev;
  TRY(d, cudaStreamSynchronize((cudaStream_t)stream), "waiting for the device");
  return GIE_OK;
}

/* ---- Streams and events ----------------------------------------------------------------------------------- */

static gie_status device_stream_new(void *dev, void **stream)
{
  struct cuda_device *d = dev;
  cudaStream_t s;
  GIE_TRY(device_activate(d));
  TRY(d, cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking), "making a stream");
  *stream = s;
  return GIE_OK;
}

static void device_stream_free(void *dev, void *stream)
{
  if (stream && device_activate(dev) == GIE_OK && cudaStreamDestroy((cudaStream_t)stream) != cudaSuccess)
    (void)cudaGetLastError();
}

static gie_status device_event_new(void *dev, void **event)
{
  struct cuda_device *d = dev;
  cudaEvent_t e;
  GIE_TRY(device_activate(d));
  TRY(d, cudaEventCreate(&e), "making an event");
  *event = e;
  return GIE_OK;
}

static void device_event_free(void *dev, void *event)
{
  if (event && device_activate(dev) == GIE_OK && cudaEventDestroy((cudaEvent_t)event) != cudaSuccess)
    (void)cudaGetLastError();
}

static gie_status device_event_record(void *dev, void *event, void *stream)
{
  struct cuda_device *d = dev;
  TRY(d, cudaEventRecord((cudaEvent_t)event, (cudaStream_t)stream), "recording an event");
  return GIE_OK;
}

static gie_status device_event_wait(void *dev, void *event, void *stream)
{
  struct cuda_device *d = dev;
  TRY(d, cudaStreamWaitEvent((cudaStream_t)stream, (cudaEvent_t)event, 0), "making a stream wait");
  return GIE_OK;
}

static gie_status device_event_elapsed(void *dev, void *from, void *to, double *seconds)
{
  struct cuda_device *d = dev;
  float ms = 0;
  TRY(d, cudaEventSynchronize((cudaEvent_t)to), "waiting for an event");
  TRY(d, cudaEventElapsedTime(&ms, (cudaEvent_t)from, (cudaEvent_t)to),
      "reading the time between two events");
  *seconds = (double)ms / 1000;
  return GIE_OK;
}

/* ---- Graphs -------------------------------------------------------------------------------------------------- */

static gie_status device_capture_begin(void *dev, void *stream)
{
  struct cuda_device *d = dev;
  if (!stream)
    return gie_fail(d->ctx, GIE_E_USAGE, "the default stream cannot be captured; use one of stream_new()");
  /* other threads may go on allocating meanwhile */
  TRY(d, cudaStreamBeginCapture((cudaStream_t)stream, cudaStreamCaptureModeThreadLocal),
      "beginning a capture");
  return GIE_OK;
}

static gie_status device_capture_end(void *dev, void *stream, void **graph)
{
  struct cuda_device *d = dev;
  cudaGraph_t recorded = NULL;
  cudaGraphExec_t ready = NULL;
  TRY(d, cudaStreamEndCapture((cudaStream_t)stream, &recorded), "ending a capture");
  cudaError_t e = cudaGraphInstantiate(&ready, recorded, 0);
  (void)cudaGraphDestroy(recorded);
  TRY(d, e, "making a graph of what was captured");
  if (cudaGraphUpload(ready, (cudaStream_t)stream) != cudaSuccess)
    (void)cudaGetLastError(); /* the first launch does it then */
  *graph = ready;
  return GIE_OK;
}

static gie_status device_capture_launch(void *dev, void *graph, void *stream)
{
  struct cuda_device *d = dev;
  TRY(d, cudaGraphLaunch((cudaGraphExec_t)graph, (cudaStream_t)stream), "launching a graph");
  return GIE_OK;
}

static void device_capture_free(void *dev, void *graph)
{
  if (graph && device_activate(dev) == GIE_OK && cudaGraphExecDestroy((cudaGraphExec_t)graph) != cudaSuccess)
    (void)cudaGetLastError();
}

/* ---- Peaks and energy ------------------------------------------------------------------------------------------ */

static gie_status device_peaks(void *dev, struct gie_peaks *out)
{
  struct cuda_device *d = dev;
  gie_status st = GIE_OK;
  char why[128];
  pthread_mutex_lock(&d->lock);
  if (!d->measured) {
    st = device_activate(d);
    if (st == GIE_OK)
      st = cuda_measure_peaks(d->ctx, &d->peaks);
    d->measured = st == GIE_OK;
    if (d->measured && cuda_nvml_throttled(d->nvml, why, sizeof why))
      gie_log(d->ctx, GIE_LOG_WARN, "cuda",
              "the device's clocks are held down (%s): timings are not what it can do", why);
  }
  if (st == GIE_OK)
    *out = d->peaks;
  pthread_mutex_unlock(&d->lock);
  return st;
}

static gie_status device_energy(void *dev, double *joules)
{
  struct cuda_device *d = dev;
  if (!cuda_nvml_energy(d->nvml, joules))
    return gie_fail(d->ctx, GIE_E_UNSUPPORTED, "this device has no energy counter");
  return GIE_OK;
}

const struct gie_device cuda_device_kind = {
    .struct_size = sizeof cuda_device_kind,
    .kind = "cuda",
    .count = device_count,
    .open = device_open,
    .close = device_close,
    .info = device_info,
    .alloc = device_alloc,
    .free = device_free,
    .copy = device_copy,
    .sync = device_sync,
    .peaks = device_peaks,
    .stream_new = device_stream_new,
    .stream_free = device_stream_free,
    .event_new = device_event_new,
    .event_free = device_event_free,
    .event_record = device_event_record,
    .event_wait = device_event_wait,
    .event_elapsed = device_event_elapsed,
    .capture_begin = device_capture_begin,
    .capture_end = device_capture_end,
    .capture_launch = device_capture_launch,
    .capture_free = device_capture_free,
    .energy = device_energy,
    .activate = device_activate,
    .fill = device_fill,
    .host_alloc = device_host_alloc,
    .host_free = device_host_free,
};
