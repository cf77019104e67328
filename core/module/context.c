/* SPDX-License-Identifier: Apache-2.0 */
/* A context: the base layer's, with the registry of modules on top. */
#include "core/module/registry.h"

gie_status gie_context_new(const struct gie_context_options *options, struct gie_context **out)
{
  struct gie_context *ctx = NULL; /* stays so without memory */
  gie_status st = gie_context_init(options, &ctx);
  if (st == GIE_OK)
    st = mod_registry_new(ctx);
  if (st == GIE_OK)
    st = mod_load_all(ctx, options);
  /* Also on failure: the text of the error is in it. */
  *out = ctx;
  return st;
}

void gie_context_free(struct gie_context *ctx)
{
  if (!ctx)
    return;
  mod_registry_free(ctx);
  gie_context_destroy(ctx);
}
