/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs: reference-counted bytes that hold constants. Clones of a graph share them; the count is
 * atomic because graphs on several threads may share one. */
#include "core/ir/ir.h"
#include <stdatomic.h>

struct gie_blob {
  struct gie_context *ctx;
  atomic_uint refs;
  size_t size;
  void *data;
};

static gie_status blob_new(struct gie_context *ctx, size_t size, bool zero, struct gie_blob **out)
{
  struct gie_blob *b = gie_alloc(ctx, 1, sizeof *b);
  if (!b)
    return GIE_E_MEMORY;
  b->data = zero ? gie_alloc(ctx, size, 1) : gie_alloc_raw(ctx, size, 1);
  if (!b->data) {
    gie_free(ctx, b);
    return GIE_E_MEMORY;
  }
  b->ctx = ctx;
  b->size = size;
  atomic_init(&b->refs, 1);
  *out = b;
  return GIE_OK;
}

gie_status gie_blob_new(struct gie_context *ctx, size_t size, struct gie_blob **out)
{
  return blob_new(ctx, size, true, out);
}

gie_status ir_blob_new_raw(struct gie_context *ctx, size_t size, struct gie_blob **out)
{
  return blob_new(ctx, size, false, out);
}

struct gie_blob *gie_blob_ref(struct gie_blob *b)
{
  if (b)
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
  return b;
}

void gie_blob_unref(struct gie_blob *b)
{
  if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
    return;
  gie_free(b->ctx, b->data);
  gie_free(b->ctx, b);
}

void *gie_blob_data(struct gie_blob *b) { return b->data; }
size_t gie_blob_size(const struct gie_blob *b) { return b->size; }
