/* SPDX-License-Identifier: Apache-2.0 */
/* A device with memory of its own and an energy counter, for tests of gie bench: it uses 50 W all the time, and
 * brings data in and out in 2 and 4 ms. */
#include <gie/module.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WATTS 50.0
#define SECONDS_IN 2e-3
#define SECONDS_OUT 4e-3

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void wait_for(double seconds)
{
  double until = now() + seconds;
  while (now() < until)
    ;
}

/* ---- The device */

static int count(struct gie_context *ctx)
{
  (void)ctx;
  return 1;
}

static gie_status open_device(struct gie_context *ctx, int index, void **dev)
{
  (void)index;
  *dev = ctx;
  return GIE_OK;
}

static void close_device(void *dev) { (void)dev; }

static gie_status info(void *dev, struct gie_device_info *out)
{
  (void)dev;
  snprintf(out->name, sizeof out->name, "fifty watts");
  snprintf(out->version, sizeof out->version, "1");
  out->flags = GIE_DEVICE_ENERGY;
  return GIE_OK;
}

static gie_status alloc(void *dev, size_t bytes, void **out)
{
  return (*out = gie_alloc(dev, bytes, 1)) ? GIE_OK : GIE_E_MEMORY;
}

static void free_memory(void *dev, void *p) { gie_free(dev, p); }

static gie_status copy(void *dev, void *dst, const void *src, size_t bytes, enum gie_copy kind, void *stream)
{
  (void)dev, (void)stream;
  wait_for(kind == GIE_COPY_TO_DEVICE ? SECONDS_IN : SECONDS_OUT);
  memcpy(dst, src, bytes);
  return GIE_OK;
}

static gie_status sync_device(void *dev, void *stream)
{
  (void)dev, (void)stream;
  return GIE_OK;
}

static gie_status energy(void *dev, double *joules)
{
  (void)dev;
  *joules = WATTS * now();
  return GIE_OK;
}

static const struct gie_device device = {.struct_size = sizeof device,
                                         .kind = "meter",
                                         .count = count,
                                         .open = open_device,
                                         .close = close_device,
                                         .info = info,
                                         .alloc = alloc,
                                         .free = free_memory,
                                         .copy = copy,
                                         .sync = sync_device,
                                         .energy = energy};

/* ---- Its kernel */

struct relu {
  struct gie_context *ctx;
  int64_t n;
};

static bool supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t why_size)
{
  (void)k;
  snprintf(why, why_size, "only f32");
  return p->in[0].dtype == GIE_F32;
}

static gie_status create(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                         void **instance)
{
  (void)k, (void)v;
  struct relu *r = gie_alloc(p->ctx, 1, sizeof *r);
  if (!r)
    return GIE_E_MEMORY;
  *r = (struct relu){p->ctx, gie_desc_count(&p->in[0])};
  *instance = r;
  return GIE_OK;
}

static void destroy(void *instance)
{
  struct relu *r = instance;
  gie_free(r->ctx, r);
}

static gie_status run(void *instance, const struct gie_launch *l)
{
  const struct relu *r = instance;
  for (int64_t i = 0; i < r->n; i++)
    ((float *)l->out[0])[i] = fmaxf(((const float *)l->in[0])[i], 0);
  return GIE_OK;
}

static const char *const ops[] = {"relu", NULL};
static const struct gie_kernel kernel = {.struct_size = sizeof kernel,
                                         .name = "meter.relu",
                                         .device = "meter",
                                         .ops = ops,
                                         .supports = supports,
                                         .create = create,
                                         .destroy = destroy,
                                         .run = run};

static gie_status init(const struct gie_host *host, void **state)
{
  (void)state;
  GIE_TRY(host->register_device(host, &device));
  return host->register_kernel(host, &kernel);
}

GIE_MODULE("test-meter", GIE_MODULE_KERNEL, init)
