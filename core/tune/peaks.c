/* SPDX-License-Identifier: Apache-2.0 */
/* Peaks of a device: measurements too, kept with the others, so that a second build sees the same. */
#include "core/tune/tune.h"

static struct tune_entry entry_of(const struct run_device *d, const char *key, const char *name)
{
  return (struct tune_entry){
      .problem = name, .kernel = TUNE_PEAK, .device = key, .version = d->info.version, .text = ""};
}

static bool from_cache(const struct run_device *d, const char *key, const struct tune_cache *c,
                       struct gie_peaks *out)
{
  struct tune_entry e;
#define FIND_PEAK(name)                                         \
  {                                                             \
    struct tune_entry wanted = entry_of(d, key, "peak " #name); \
    if (tune_cache_find(c, &wanted, &e, NULL))                  \
      out->name = e.seconds;                                    \
  }
  TUNE_PEAKS(FIND_PEAK)
#undef FIND_PEAK
  return out->bytes_per_s > 0;
}

static gie_status to_cache(const struct run_device *d, const char *key, struct tune_cache *c,
                           const struct gie_peaks *peaks)
{
#define PUT_PEAK(name)                                     \
  {                                                        \
    struct tune_entry e = entry_of(d, key, "peak " #name); \
    e.seconds = peaks->name;                               \
    if (e.seconds > 0)                                     \
      GIE_TRY(tune_cache_put(c, &e));                      \
  }
  TUNE_PEAKS(PUT_PEAK)
#undef PUT_PEAK
  return GIE_OK;
}

gie_status tune_find_peaks(struct run_device *d, const char *key, struct tune_cache *c, bool measure,
                           struct gie_peaks *out)
{
  *out = (struct gie_peaks){.struct_size = sizeof *out};
  if (from_cache(d, key, c, out))
    return GIE_OK;
  if (!measure || !d->ops->peaks || d->ops->peaks(d->dev, out) != GIE_OK || out->bytes_per_s <= 0) {
    tune_default_peaks(&d->info, out);
    return GIE_OK;
  }
  return to_cache(d, key, c, out);
}

/* The figures of an open device; what was measured is kept. */
static gie_status peaks_of(struct run_device *d, const char *cache, bool measure, struct gie_arena *mem,
                           struct gie_peaks *out)
{
  const char *key = tune_entry_device(mem, d->ops->kind, &d->info, d->threads);
  struct tune_cache *c;
  if (!key)
    return GIE_E_MEMORY;
  GIE_TRY(tune_cache_open_default(d->ctx, cache, !measure, &c));
  gie_status st = tune_find_peaks(d, key, c, measure, out);
  if (st == GIE_OK && tune_cache_save(c) != GIE_OK)
    gie_log(d->ctx, GIE_LOG_WARN, "tune", "what was measured is not kept: %s", gie_error_text(d->ctx));
  tune_cache_free(c);
  return st;
}

gie_status tune_target_of(struct gie_context *ctx, const char *device, uint32_t threads, const char *cache,
                          bool measure, struct gie_arena *mem, struct gie_target *out)
{
  struct run_device d;
  GIE_TRY(run_device_open(ctx, device, threads, &d));
  bool host = d.info.flags & GIE_DEVICE_HOST;
  *out = (struct gie_target){.struct_size = sizeof *out,
                             .device = d.ops->kind,
                             .name = gie_arena_strdup(mem, d.info.name),
                             .flags = d.info.flags,
                             .units = host ? d.threads : d.info.units};
  gie_status st = out->name ? peaks_of(&d, cache, measure, mem, &out->peaks) : GIE_E_MEMORY;
  run_device_close(&d);
  return st;
}
