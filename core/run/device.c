/* SPDX-License-Identifier: Apache-2.0 */
/* Opening devices, and their memory. */
#include "core/module/registry.h"
#include "core/run/run.h"
#include <sched.h>
#include <unistd.h>

/* Number of kinds to list in a message before it is cut. */
#define KINDS_SHOWN 8

/* What follows the kind: nothing, or ":1". */
static bool parse_index(const char *s, int *index)
{
  const char *end = s + strlen(s), *next = s + 1;
  int64_t n = 0;
  if (*s && (!gie_parse_int(s + 1, end, &n, &next) || next != end || n < 0 || n > INT16_MAX))
    return false;
  *index = (int)n;
  return true;
}

gie_status run_device_parse(struct gie_context *ctx, const char *device, size_t *len, int *index)
{
  *len = strcspn(device, ":");
  if (mod_is_name(device, *len) && parse_index(device + *len, index))
    return GIE_OK;
  return gie_fail(ctx, GIE_E_USAGE,
                  "device \"%s\": write one kind, or kind:index with an index from 0, as in cpu or cuda:1",
                  device);
}

static const struct gie_device *find_kind(struct gie_context *ctx, const char *kind, size_t len)
{
  const struct gie_device *d;
  for (uint32_t i = 0; (d = gie_device_at(ctx, i)); i++)
    if (strlen(d->kind) == len && memcmp(d->kind, kind, len) == 0)
      return d;
  return NULL;
}

static gie_status no_such_kind(struct gie_context *ctx, const char *kind, size_t len)
{
  char kinds[256] = "";
  size_t at = 0;
  const struct gie_device *d;
  for (uint32_t i = 0; (d = gie_device_at(ctx, i)) && i < KINDS_SHOWN && at < sizeof kinds; i++)
    at += (size_t)snprintf(kinds + at, sizeof kinds - at, "%s%s", i ? ", " : "", d->kind);
  if (at == 0)
    return gie_fail(ctx, GIE_E_DEVICE,
                    "there is no device \"%.*s\" because no module brought one; check GIE_MODULE_PATH",
                    (int)len, kind);
  return gie_fail(ctx, GIE_E_DEVICE, "there is no device \"%.*s\"; devices here: %s", (int)len, kind, kinds);
}

/* Processors that this process may use. */
static uint32_t processors(void)
{
  cpu_set_t set;
  int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
  return n > 0 ? (uint32_t)n : 1;
}

gie_status run_device_open(struct gie_context *ctx, const char *kind, uint32_t threads,
                           struct run_device *out)
{
  struct run_device d = {.ctx = ctx};
  size_t len;
  int index;
  kind = kind ? kind : "cpu";
  GIE_TRY(run_device_parse(ctx, kind, &len, &index));
  d.ops = find_kind(ctx, kind, len);
  if (!d.ops)
    return no_such_kind(ctx, kind, len);
  int count = d.ops->count ? d.ops->count(ctx) : 1;
  if (index >= count)
    return gie_fail(ctx, GIE_E_DEVICE, "there is no device %s:%d; %d of that kind are present", d.ops->kind,
                    index, count);
  gie_status st = d.ops->open(ctx, index, &d.dev);
  if (st != GIE_OK)
    return gie_error_prefix(ctx, st, "device %s:%d", d.ops->kind, index);
  d.info.struct_size = sizeof d.info;
  st = run_device_activate(&d);
  if (st == GIE_OK)
    st = d.ops->info(d.dev, &d.info);
  if (st != GIE_OK) {
    d.ops->close(d.dev);
    return gie_error_prefix(ctx, st, "device %s:%d", d.ops->kind, index);
  }
  d.host = d.info.flags & GIE_DEVICE_HOST;
  d.threads = threads ? threads : processors();
  *out = d;
  return GIE_OK;
}

void run_device_close(struct run_device *d)
{
  if (!d->ops)
    return;
  run_device_activate(d);
  d->ops->close(d->dev);
  memset(d, 0, sizeof *d);
}

gie_status run_device_activate(struct run_device *d)
{
  gie_status (*activate)(void *) = GIE_OPTION(d->ops, activate);
  return activate ? activate(d->dev) : GIE_OK;
}

gie_status run_device_alloc(struct run_device *d, size_t bytes, void **out)
{
  if (d->info.memory && bytes > d->info.memory)
    return gie_fail(d->ctx, GIE_E_MEMORY, "%zu bytes are wanted, device %s has %llu", bytes, d->ops->kind,
                    (unsigned long long)d->info.memory);
  return d->ops->alloc(d->dev, bytes ? bytes : 1, out);
}

void run_device_free(struct run_device *d, void *p)
{
  if (p)
    d->ops->free(d->dev, p);
}

gie_status run_device_sync(struct run_device *d)
{
  return d->ops->sync ? d->ops->sync(d->dev, NULL) : GIE_OK;
}

static gie_status copy(struct run_device *d, void *dst, const void *src, size_t bytes, enum gie_copy kind)
{
  if (bytes == 0)
    return GIE_OK;
  if (d->host) {
    memcpy(dst, src, bytes);
    return GIE_OK;
  }
  GIE_TRY(d->ops->copy(d->dev, dst, src, bytes, kind, NULL));
  return run_device_sync(d);
}

gie_status run_device_upload(struct run_device *d, void *dst, const void *src, size_t bytes)
{
  return copy(d, dst, src, bytes, GIE_COPY_TO_DEVICE);
}

gie_status run_device_download(struct run_device *d, void *dst, const void *src, size_t bytes)
{
  return copy(d, dst, src, bytes, GIE_COPY_TO_HOST);
}

gie_status run_block_reserve(struct run_device *d, struct run_memory_block *b, size_t bytes, bool *moved)
{
  void *p;
  if (b->data && bytes <= b->bytes)
    return GIE_OK;
  /* the old one goes first: the peak is what one needs, not two */
  run_block_free(d, b);
  if (moved)
    *moved = true;
  GIE_TRY(run_device_alloc(d, bytes, &p));
  b->data = p;
  b->bytes = bytes;
  return GIE_OK;
}

void run_block_free(struct run_device *d, struct run_memory_block *b)
{
  run_device_free(d, b->data);
  b->data = NULL;
  b->bytes = 0;
}

gie_status run_pinned_reserve(struct run_device *d, struct run_memory_block *b, size_t bytes, bool *moved)
{
  gie_status (*host_alloc)(void *, size_t, void **) = GIE_OPTION(d->ops, host_alloc);
  if (!host_alloc)
    return run_host_reserve(d->ctx, b, bytes, moved);
  if (b->data && bytes <= b->bytes)
    return GIE_OK;
  run_pinned_free(d, b);
  if (moved)
    *moved = true;
  GIE_TRY(host_alloc(d->dev, bytes ? bytes : 1, &b->data));
  b->bytes = bytes;
  return GIE_OK;
}

void run_pinned_free(struct run_device *d, struct run_memory_block *b)
{
  if (b->data && GIE_OPTION(d->ops, host_alloc))
    d->ops->host_free(d->dev, b->data);
  else
    gie_free(d->ctx, b->data);
  b->data = NULL;
  b->bytes = 0;
}

gie_status run_host_reserve(struct gie_context *ctx, struct run_memory_block *b, size_t bytes, bool *moved)
{
  if (b->data && bytes <= b->bytes)
    return GIE_OK;
  gie_free(ctx, b->data);
  if (moved)
    *moved = true;
  b->bytes = 0;
  if (!(b->data = gie_alloc_raw(ctx, bytes, 1)))
    return GIE_E_MEMORY;
  b->bytes = bytes;
  return GIE_OK;
}
