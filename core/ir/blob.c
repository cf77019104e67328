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

gie_status ir_blob_of(struct gie_context *ctx, void *data, size_t size, struct gie_blob **out)
{
  struct gie_blob *b = data ? gie_alloc(ctx, 1, sizeof *b) : NULL;
  if (!b) {
    gie_free(ctx, data);
    return GIE_E_MEMORY;
  }
  b->data = data;
  b->ctx = ctx;
  b->size = size;
  atomic_init(&b->refs, 1);
  *out = b;
  return GIE_OK;
}

gie_status gie_blob_new(struct gie_context *ctx, size_t size, struct gie_blob **out)
{
  return ir_blob_of(ctx, gie_alloc(ctx, size, 1), size, out);
}

gie_status gie_blob_new_raw(struct gie_context *ctx, size_t size, struct gie_blob **out)
{
  return ir_blob_of(ctx, gie_alloc_raw(ctx, size, 1), size, out);
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

bool ir_blob_is_shared(const struct gie_blob *b)
{
  return atomic_load_explicit(&b->refs, memory_order_acquire) != 1;
}

void *gie_blob_data(struct gie_blob *b) { return b->data; }
size_t gie_blob_size(const struct gie_blob *b) { return b->size; }
