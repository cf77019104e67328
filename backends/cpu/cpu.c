/* SPDX-License-Identifier: Apache-2.0 */
/* The cpu backend: the host as a device, and a reference kernel for every op. The kernels are made to
 * be right and to take everything (any layout, any view, all dtypes an op has, whole epilogues), not
 * to be fast: other backends are checked against them, and they run what no other backend takes. */
#include "backends/cpu/cpu.h"

#include <sched.h>
#include <stdio.h>
#include <unistd.h>

/* ---- The device: host memory, work on the calling thread and those of the launch's budget */

struct cpu_device {
  struct gie_context *ctx;
};

#define ALIGN 256

static int device_count(struct gie_context *ctx)
{
  (void)ctx;
  return 1;
}

static gie_status device_open(struct gie_context *ctx, int index, void **dev)
{
  if (index != 0)
    return gie_fail(ctx, GIE_E_DEVICE, "there is no cpu %d; all cores are one device, 0", index);
  struct cpu_device *d = gie_alloc(ctx, 1, sizeof *d);
  if (!d)
    return GIE_E_MEMORY;
  d->ctx = ctx;
  *dev = d;
  return GIE_OK;
}

static void device_close(void *dev)
{
  if (dev)
    gie_free(((struct cpu_device *)dev)->ctx, dev);
}

/* The text behind "model name" in /proc/cpuinfo, which x86 has and other machines may not. */
static void read_model_name(char *name, size_t size)
{
  char line[256], *value;
  FILE *f = fopen("/proc/cpuinfo", "re");
  snprintf(name, size, "cpu");
  while (f && fgets(line, sizeof line, f))
    if (strncmp(line, "model name", 10) == 0 && (value = strchr(line, ':')) != NULL) {
      value += 1 + strspn(value + 1, " \t");
      value[strcspn(value, "\n")] = 0;
      snprintf(name, size, "%s", value);
      break;
    }
  if (f)
    fclose(f);
}

static uint32_t count_cores(void)
{
  cpu_set_t set;
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    n = CPU_COUNT(&set);
  return n > 0 ? (uint32_t)n : 1;
}

static gie_status device_info(void *dev, struct gie_device_info *out)
{
  struct gie_device_info info = {.struct_size = sizeof info,
                                 .flags = GIE_DEVICE_HOST,
                                 .units = count_cores()};
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
  (void)dev;
  read_model_name(info.name, sizeof info.name);
  snprintf(info.version, sizeof info.version, "reference 1");
  if (pages > 0 && page > 0)
    info.memory = (uint64_t)pages * (uint64_t)page;
  *out = info;
  return GIE_OK;
}

/* gie_alloc() aligns to 64; the pointer it gave is kept in front of the one handed out. */
static gie_status device_alloc(void *dev, size_t bytes, void **out)
{
  struct cpu_device *d = dev;
  if (bytes > SIZE_MAX - 2 * ALIGN)
    return gie_fail(d->ctx, GIE_E_MEMORY, "out of memory: %zu bytes asked for", bytes);
  char *base = gie_alloc_raw(d->ctx, 1, bytes + ALIGN + sizeof base);
  if (!base)
    return GIE_E_MEMORY;
  uintptr_t p = ((uintptr_t)base + sizeof base + ALIGN - 1) / ALIGN * ALIGN;
  char *data = base + (p - (uintptr_t)base);
  memcpy(data - sizeof base, &base, sizeof base);
  *out = data;
  return GIE_OK;
}

static void device_free(void *dev, void *p)
{
  char *base;
  if (!p)
    return;
  memcpy(&base, (char *)p - sizeof base, sizeof base);
  gie_free(((struct cpu_device *)dev)->ctx, base);
}

static gie_status device_copy(void *dev, void *dst, const void *src, size_t bytes, enum gie_copy kind,
                              void *stream)
{
  (void)dev, (void)kind, (void)stream;
  if (bytes)
    memcpy(dst, src, bytes);
  return GIE_OK;
}

static gie_status device_sync(void *dev, void *stream)
{
  (void)dev, (void)stream;
  return GIE_OK;
}

static gie_status device_peaks(void *dev, struct gie_peaks *out)
{
  return cpu_peaks(((struct cpu_device *)dev)->ctx, count_cores(), out);
}

static const struct gie_device DEVICE = {
    .struct_size = sizeof DEVICE,
    .kind = "cpu",
    .count = device_count,
    .open = device_open,
    .close = device_close,
    .info = device_info,
    .alloc = device_alloc,
    .free = device_free,
    .copy = device_copy,
    .sync = device_sync,
    .peaks = device_peaks,
};

/* ---- Kernels: one set of callbacks for all, what differs is in struct cpu_op */

static gie_status kernel_run(void *instance, const struct gie_launch *l)
{
  const struct cpu_instance *self = instance;
  struct cpu_call call = {self, l};
  GIE_TRY(self->op->run(&call));
  for (uint32_t i = 0; i < self->n_out; i++)
    if (cpu_has_out(&call, i)) {
      struct cpu_tensor out = cpu_out(&call, i);
      cpu_zero_lanes(&out);
    }
  return GIE_OK;
}

static const struct cpu_op *op_of(const struct gie_kernel *k) { return k->user; }

static bool steps_supported(const struct gie_problem *p, const struct cpu_op *op, char *why, size_t size)
{
  if (p->node->n_steps && !op->steps)
    return cpu_refuse(why, size, "%s takes no epilogue", p->node->op->name);
  for (uint32_t i = 0; i < p->node->n_steps; i++) {
    const struct gie_step *s = &p->node->steps[i];
    const struct cpu_function *fn = cpu_function_find(s->op->name);
    if (!fn || !(cpu_is_float(p->in[0].dtype) ? fn->on_float : fn->on_int))
      return cpu_refuse(why, size, "step %s is not defined on %s", s->op->name,
                        gie_dtype_name(p->in[0].dtype));
    if (s->operand >= (int32_t)p->n_in || (s->operand >= 0 && p->in[s->operand].dtype != p->in[0].dtype))
      return cpu_refuse(why, size, "the operand of step %s is not %s", s->op->name,
                        gie_dtype_name(p->in[0].dtype));
  }
  return true;
}

static bool kernel_supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size)
{
  const struct cpu_op *op = op_of(k);
  uint32_t dtypes = p->node->op->dtypes ? p->node->op->dtypes : GIE_DT_ALL;
  if (p->n_in == 0 || p->n_out == 0)
    return cpu_refuse(why, size, "no operand or no result");
  if (!(dtypes >> p->in[0].dtype & 1))
    return cpu_refuse(why, size, "%s is not defined on %s", p->node->op->name,
                      gie_dtype_name(p->in[0].dtype));
  return (!op->check || op->check(p, why, size)) && steps_supported(p, op, why, size);
}

/* Scratch: what all threads share, then one piece per thread, each a multiple of ALIGN. */
struct scratch {
  size_t shared, per_thread;
  int slots;
};

static struct scratch scratch_of(const struct cpu_op *op, const struct gie_problem *p)
{
  struct scratch s = {0, 0, 1};
  size_t limit = SIZE_MAX / 4;
  if (p->device && p->device->units > 1)
    s.slots = p->device->units < 64 ? (int)p->device->units : 64;
  if (op->scratch)
    op->scratch(p, &s.per_thread, &s.shared);
  s.shared = s.shared < limit ? (s.shared + ALIGN - 1) / ALIGN * ALIGN : limit;
  s.per_thread = s.per_thread < limit / 64 ? (s.per_thread + ALIGN - 1) / ALIGN * ALIGN : limit / 64;
  return s;
}

static size_t kernel_workspace(const struct gie_kernel *k, const struct gie_problem *p,
                               const struct gie_variant *v)
{
  struct scratch s = scratch_of(op_of(k), p);
  (void)v;
  return s.shared + s.per_thread * (size_t)s.slots;
}

static void kernel_destroy(void *instance)
{
  struct cpu_instance *self = instance;
  if (!self)
    return;
  gie_free(self->ctx, self->in);
  gie_free(self->ctx, self->out);
  gie_free(self->ctx, self->steps);
  gie_free(self->ctx, self);
}

static gie_status kernel_create(const struct gie_kernel *k, const struct gie_problem *p,
                                const struct gie_variant *v, void **instance)
{
  struct scratch scratch = scratch_of(op_of(k), p);
  struct cpu_instance *self = gie_alloc(p->ctx, 1, sizeof *self);
  if (!self)
    return GIE_E_MEMORY;
  *self = (struct cpu_instance){
      .op = op_of(k), .ctx = p->ctx, .node = p->node, .n_in = p->n_in, .n_out = p->n_out};
  self->n_steps = v && v->n_steps < p->node->n_steps ? v->n_steps : p->node->n_steps;
  self->slots = scratch.slots;
  self->slot_bytes = scratch.per_thread;
  self->shared_bytes = scratch.shared;
  self->in = gie_alloc(p->ctx, p->n_in, sizeof *self->in);
  self->out = gie_alloc(p->ctx, p->n_out, sizeof *self->out);
  self->steps = gie_alloc(p->ctx, self->n_steps, sizeof *self->steps);
  if (!self->in || !self->out || !self->steps) {
    kernel_destroy(self);
    return GIE_E_MEMORY;
  }
  memcpy(self->in, p->in, p->n_in * sizeof *self->in);
  memcpy(self->out, p->out, p->n_out * sizeof *self->out);
  for (uint32_t i = 0; i < self->n_steps; i++) {
    const struct gie_step *s = &p->node->steps[i];
    const struct cpu_function *fn = cpu_function_find(s->op->name);
    self->steps[i] = (struct cpu_step){fn, cpu_scalar_read(fn, s->op, &s->attrs), s->operand, s->reverse};
  }
  self->self.fn = cpu_function_find(p->node->op->name);
  if (self->self.fn)
    self->self.scalar = cpu_scalar_read(self->self.fn, p->node->op, &p->node->attrs);
  *instance = self;
  return GIE_OK;
}

#define CPU_KERNEL(op, implementation) extern const struct cpu_op cpu_op_##implementation;
#include "backends/cpu/kernels.def"

#define CPU_KERNEL(op, implementation)       \
  {.struct_size = sizeof(struct gie_kernel), \
   .name = "cpu." #op,                       \
   .device = "cpu",                          \
   .ops = (const char *const[]){#op, NULL},  \
   .user = (void *)&cpu_op_##implementation, \
   .supports = kernel_supports,              \
   .estimate = cpu_estimate,                 \
   .workspace = kernel_workspace,            \
   .create = kernel_create,                  \
   .destroy = kernel_destroy,                \
   .run = kernel_run,                        \
   .flags = GIE_KERNEL_REFERENCE},
static const struct gie_kernel KERNELS[] = {
#include "backends/cpu/kernels.def"
};

const struct gie_kernel *cpu_kernel_of(const char *op)
{
  for (size_t i = 0; i < sizeof KERNELS / sizeof *KERNELS; i++)
    if (strcmp(KERNELS[i].ops[0], op) == 0)
      return &KERNELS[i];
  return strcmp(cpu_kernel_if.ops[0], op) == 0 ? &cpu_kernel_if : NULL;
}

static gie_status init(const struct gie_host *host, void **state)
{
  (void)state;
  GIE_TRY(host->register_device(host, &DEVICE));
  for (size_t i = 0; i < sizeof KERNELS / sizeof *KERNELS; i++)
    GIE_TRY(host->register_kernel(host, &KERNELS[i]));
  return host->register_kernel(host, &cpu_kernel_if);
}

GIE_MODULE("cpu", GIE_MODULE_KERNEL, init)
