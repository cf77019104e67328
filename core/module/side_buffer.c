/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers with guard zones for side.h, and what is copied to fill and to look at them.
 *
 * On a host device everything is in reach. On another, guard zones and unset contents are filled there, what repeats
 * is sent once and copied on the device, and of large tensors only pieces come back. */
#include "core/module/side.h"

#define GUARD 4096      /* bytes before and behind every buffer; a multiple of any alignment */
#define GUARD_BYTE 0xa7 /* what guard zones hold */
#define CHUNK ((size_t)1 << 20)
#define NEAR 256 /* bytes between two elements that are fetched in one piece */

/* ---- Copies; what has to be in host memory meanwhile is waited for */

static gie_status copy(struct side_device *d, void *dst, const void *src, size_t bytes, enum gie_copy kind)
{
  return bytes ? d->ops->copy(d->dev, dst, src, bytes, kind, d->stream) : GIE_OK;
}

static gie_status wait(struct side_device *d)
{
  return d->ops->sync ? d->ops->sync(d->dev, d->stream) : GIE_OK;
}

/* Host memory of the device for what comes back. */
static gie_status stage(struct gie_context *ctx, struct side_device *d, size_t bytes, unsigned char **out)
{
  gie_status (*host_alloc)(void *, size_t, void **) = GIE_OPTION(d->ops, host_alloc);
  if (bytes > d->stage_bytes) {
    side_device_unstage(ctx, d);
    if (host_alloc)
      GIE_TRY(host_alloc(d->dev, bytes, &d->stage));
    else if (!(d->stage = gie_alloc_raw(ctx, bytes, 1)))
      return GIE_E_MEMORY;
    d->stage_bytes = bytes;
  }
  *out = d->stage;
  return GIE_OK;
}

void side_device_unstage(struct gie_context *ctx, struct side_device *d)
{
  if (d->stage && GIE_OPTION(d->ops, host_alloc))
    d->ops->host_free(d->dev, d->stage);
  else
    gie_free(ctx, d->stage);
  d->stage = NULL;
  d->stage_bytes = 0;
}

static gie_status set_bytes(struct gie_context *ctx, struct side_device *d, char *dst, int byte, size_t bytes)
{
  gie_status (*fill)(void *, void *, int, size_t, void *) = GIE_OPTION(d->ops, fill);
  size_t n = bytes < CHUNK ? bytes : CHUNK;
  unsigned char *host;
  if (d->info.flags & GIE_DEVICE_HOST) {
    memset(dst, byte, bytes);
    return GIE_OK;
  }
  if (fill || bytes == 0)
    return bytes ? fill(d->dev, dst, byte, bytes, d->stream) : GIE_OK;
  GIE_TRY(stage(ctx, d, n, &host));
  memset(host, byte, n);
  for (size_t at = 0; at < bytes; at += n)
    GIE_TRY(copy(d, dst + at, host, n < bytes - at ? n : bytes - at, GIE_COPY_TO_DEVICE));
  return wait(d);
}

/* `bytes` bytes whose first `n` are `image`, over and over. */
static gie_status set_image(struct side_device *d, char *dst, const void *image, size_t n, size_t bytes)
{
  bool host = d->info.flags & GIE_DEVICE_HOST;
  n = n < bytes ? n : bytes;
  GIE_TRY(copy(d, dst, image, n, GIE_COPY_TO_DEVICE));
  for (size_t have = n, more; have < bytes; have += more) {
    more = have < bytes - have ? have : bytes - have;
    if (host)
      memcpy(dst + have, dst, more);
    else
      GIE_TRY(copy(d, dst + have, dst, more, GIE_COPY_ON_DEVICE));
  }
  return wait(d);
}

/* ---- Buffers */

gie_status side_buffer_fill(struct gie_context *ctx, struct side_device *d, const struct side_buffer *b,
                            const void *image, size_t n)
{
  GIE_TRY(set_bytes(ctx, d, b->base, GUARD_BYTE, GUARD));
  GIE_TRY(set_bytes(ctx, d, b->base + GUARD + b->bytes, GUARD_BYTE, GUARD));
  if (b->bytes == 0)
    return wait(d);
  if (!image)
    GIE_TRY(set_bytes(ctx, d, b->base + GUARD, SIDE_UNSET, b->bytes));
  return image ? set_image(d, b->base + GUARD, image, n, b->bytes) : wait(d);
}

gie_status side_buffer_new(struct gie_context *ctx, struct side_device *d, struct side_buffer *b,
                           size_t bytes, const void *image, size_t n)
{
  size_t total;
  void *base;
  if (!gie_add(bytes, 2 * (size_t)GUARD, &total))
    return gie_fail(ctx, GIE_E_MEMORY, "a buffer of %zu bytes is too large", bytes);
  GIE_TRY(d->ops->alloc(d->dev, total, &base));
  *b = (struct side_buffer){base, bytes};
  return side_buffer_fill(ctx, d, b, image, n);
}

void side_buffer_free(struct side_device *d, struct side_buffer *b)
{
  if (b->base)
    d->ops->free(d->dev, b->base);
  *b = (struct side_buffer){0};
}

void *side_buffer_at(const struct side_buffer *b, size_t offset)
{
  return b->base ? b->base + GUARD + offset : NULL;
}

gie_status side_buffer_copy(struct side_device *d, const struct side_buffer *to,
                            const struct side_buffer *from)
{
  if (d->info.flags & GIE_DEVICE_HOST)
    memcpy(side_buffer_at(to, 0), side_buffer_at(from, 0), to->bytes);
  else
    GIE_TRY(copy(d, side_buffer_at(to, 0), side_buffer_at(from, 0), to->bytes, GIE_COPY_ON_DEVICE));
  return wait(d);
}

/* ---- Looking */

/* `low` and `high` are the zones before and behind. */
static void look_at_guards(const unsigned char *low, const unsigned char *high, size_t *before,
                           size_t *behind)
{
  *before = *behind = 0;
  for (size_t j = 0; j < GUARD && !*before && !*behind; j++) {
    if (low[GUARD - 1 - j] != GUARD_BYTE)
      *before = j + 1;
    else if (high[j] != GUARD_BYTE)
      *behind = j + 1;
  }
}

gie_status side_buffer_fetch(struct gie_context *ctx, struct side_device *d, const struct side_buffer *b,
                             unsigned char **contents, size_t *before, size_t *behind)
{
  unsigned char *host;
  *before = *behind = 0;
  GIE_TRY(stage(ctx, d, b->bytes + 2 * (size_t)GUARD, &host));
  GIE_TRY(copy(d, host, b->base, b->bytes + 2 * (size_t)GUARD, GIE_COPY_TO_HOST));
  GIE_TRY(wait(d));
  look_at_guards(host, host + GUARD + b->bytes, before, behind);
  if (!(*contents = gie_alloc_raw(ctx, b->bytes, 1)))
    return GIE_E_MEMORY;
  if (b->bytes)
    memcpy(*contents, host + GUARD, b->bytes);
  return GIE_OK;
}

gie_status side_buffer_guards(struct gie_context *ctx, struct side_device *d, const struct side_buffer *b,
                              size_t *before, size_t *behind)
{
  unsigned char *host;
  GIE_TRY(stage(ctx, d, 2 * (size_t)GUARD, &host));
  GIE_TRY(copy(d, host, b->base, GUARD, GIE_COPY_TO_HOST));
  GIE_TRY(copy(d, host + GUARD, b->base + GUARD + b->bytes, GUARD, GIE_COPY_TO_HOST));
  GIE_TRY(wait(d));
  look_at_guards(host, host + GUARD, before, behind);
  return GIE_OK;
}

static int by_offset(const void *a, const void *b)
{
  const struct side_pick *x = a, *y = b;
  return x->offset < y->offset ? -1 : x->offset > y->offset;
}

gie_status side_buffer_gather(struct gie_context *ctx, struct side_device *d, const struct side_buffer *b,
                              struct side_pick *picks, uint32_t n, size_t size, void *out)
{
  size_t total = 0;
  unsigned char *host;
  qsort(picks, n, sizeof *picks, by_offset);
  /* where each piece ends in the staged bytes: what lies near is one piece */
  for (uint32_t i = 0; i < n; i++) {
    bool joined = i > 0 && picks[i].offset <= picks[i - 1].offset + size + NEAR;
    picks[i].staged = joined ? picks[i - 1].staged + (picks[i].offset - picks[i - 1].offset) : total;
    total = picks[i].staged + size;
  }
  GIE_TRY(stage(ctx, d, total, &host));
  for (uint32_t i = 0, j; i < n; i = j) {
    for (j = i + 1; j < n && picks[j].staged - picks[i].staged == picks[j].offset - picks[i].offset; j++)
      ;
    size_t bytes = picks[j - 1].offset + size - picks[i].offset;
    GIE_TRY(copy(d, host + picks[i].staged, side_buffer_at(b, picks[i].offset), bytes, GIE_COPY_TO_HOST));
  }
  GIE_TRY(wait(d));
  for (uint32_t i = 0; i < n; i++)
    memcpy((char *)out + picks[i].index * size, host + picks[i].staged, size);
  return GIE_OK;
}
