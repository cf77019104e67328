/* SPDX-License-Identifier: Apache-2.0 */
/* Where the timing cache is, and how its entries name devices and versions. */
#include "core/module/registry.h"
#include "core/tune/cache.h"

static const char *join(struct gie_arena *mem, const char *a, const char *b, const char *c)
{
  size_t n = strlen(a) + strlen(b) + strlen(c) + 1;
  char *s = gie_arena_alloc(mem, n, 1);
  if (s)
    snprintf(s, n, "%s%s%s", a, b, c);
  return s;
}

/* The two variables of the XDG base directory specification, which are no settings of ours. */
const char *cache_home_path(struct gie_arena *mem)
{
  const char *base = getenv("XDG_CACHE_HOME"), *below = "";
  if (!base || *base != '/') { /* a relative path is to be ignored */
    base = getenv("HOME");
    below = "/.cache";
  }
  return base && *base == '/' ? join(mem, base, below, "/gie/timing.txt") : NULL;
}

const char *tune_cache_default_path(struct gie_context *ctx, struct gie_arena *mem)
{
  const char *set = gie_config(ctx, "CACHE");
  if (!set || !*set)
    return cache_home_path(mem);
  return strcmp(set, "none") == 0 ? NULL : gie_arena_strdup(mem, set);
}

gie_status tune_cache_open_default(struct gie_context *ctx, const char *path, bool read_only,
                                   struct tune_cache **out)
{
  struct gie_arena mem;
  gie_arena_init(&mem, ctx);
  if (!path)
    path = tune_cache_default_path(ctx, &mem);
  gie_status st = tune_cache_open(ctx, path && *path ? path : NULL, read_only, out);
  gie_arena_free(&mem);
  return st;
}

const char *tune_entry_device(struct gie_arena *mem, const char *kind, const struct gie_device_info *info,
                              uint32_t threads)
{
  char count[32];
  snprintf(count, sizeof count, "|threads=%u", threads);
  const char *what = join(mem, kind, "|", info->name);
  return what ? join(mem, what, count, "") : NULL;
}

const char *tune_entry_version(struct gie_arena *mem, const struct gie_kernel *k,
                               const struct gie_device_info *info)
{
  const struct mod_entry *e;
  struct gie_module_info m = {.struct_size = sizeof m};
  const char *module = "program";
  for (uint32_t i = 0; (e = mod_entry_at(mem->ctx, MOD_KERNEL, i)); i++)
    if (e->what == k && gie_module_at(mem->ctx, e->module, &m) && m.name)
      module = join(mem, m.name, " ", m.version);
  const char *library = GIE_OPTION(k, version);
  if (module && library)
    module = join(mem, module, " ", library);
  return module ? join(mem, module, "|", info->version) : NULL;
}
