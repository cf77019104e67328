/* SPDX-License-Identifier: Apache-2.0 */
/* What a run of a side left behind: guard zones, results, operands. Of a tensor that is too large to be fetched whole
 * (side_case.whole) guard zones are looked at, the elements that the case names, gaps and pad lanes beside some of
 * them, and pieces of operands at random. */
#include "core/module/side.h"

#define PIECES 128 /* of a large operand */
#define PIECE 64   /* bytes */
#define BESIDE 256 /* elements of a large result whose gaps and pad lanes are looked at */

static gie_status stray(struct side *s, size_t before, size_t behind, const char *what, uint32_t i)
{
  if (!before && !behind)
    return GIE_OK;
  return before ? side_verdict(s, PROBE_STRAY, "wrote %zu bytes before the start of %s %u", before, what, i)
                : side_verdict(s, PROBE_STRAY, "wrote %zu bytes behind the end of %s %u", behind, what, i);
}

/* Fetches a buffer and checks its guards; `what` and `i` name it. */
static gie_status fetch(struct side *s, const struct side_buffer *b, const char *what, uint32_t i,
                        unsigned char **contents)
{
  size_t before, behind;
  GIE_TRY(side_buffer_fetch(s->c->ctx, s->device, b, contents, &before, &behind));
  gie_status st = stray(s, before, behind, what, i);
  if (st != GIE_OK)
    gie_free(s->c->ctx, *contents);
  return st;
}

static gie_status check_guards(struct side *s, const struct side_buffer *b, const char *what, uint32_t i)
{
  size_t before, behind;
  GIE_TRY(side_buffer_guards(s->c->ctx, s->device, b, &before, &behind));
  return stray(s, before, behind, what, i);
}

static bool is_large(const struct side *s, const struct side_buffer *b)
{
  return s->c->whole && b->bytes > s->c->whole && !(s->device->info.flags & GIE_DEVICE_HOST);
}

/* ---- Results */

static gie_status check_result(struct side *s, uint32_t i, unsigned char *data, bool results)
{
  const struct side_place *p = &s->out_tensor[i]->place;
  const struct gie_desc *plain = &s->c->out[i];
  size_t n = (size_t)gie_desc_count(plain) * gie_dtype_size(plain->dtype);
  if (!probe_pads_zero(&p->desc, data + p->offset))
    return side_verdict(s, PROBE_WRONG, "the pad lanes of result %u are not zero", i);
  if (results) {
    s->out_plain[i] = gie_arena_alloc(&s->results, n ? n : 1, 1);
    if (!s->out_plain[i])
      return GIE_E_MEMORY;
    probe_convert(&p->desc, data + p->offset, plain, s->out_plain[i]);
  }
  if (p->desc.pitched && !probe_gaps_unset(&p->desc, data, p->bytes, p->offset))
    return side_verdict(s, PROBE_STRAY, "wrote into the gaps of result %u", i);
  return GIE_OK;
}

static void unflat(const struct gie_desc *d, int64_t at, int64_t *idx)
{
  for (int i = d->rank - 1; i >= 0; i--) {
    idx[i] = at % d->dim[i];
    at /= d->dim[i];
  }
}

/* The elements of the case's points, in the problem's dtype. */
static gie_status gather_points(struct side *s, uint32_t i)
{
  const struct side_points *points = &s->c->points[i];
  const struct side_place *p = &s->out_tensor[i]->place;
  const struct gie_desc *plain = &s->c->out[i];
  size_t size = gie_dtype_size(p->desc.dtype);
  struct side_pick *picks = gie_arena_alloc(&s->results, points->n, sizeof *picks);
  void *raw = gie_arena_alloc(&s->results, points->n, size);
  s->out_points[i] = gie_arena_alloc(&s->results, points->n, gie_dtype_size(plain->dtype));
  if (!picks || !raw || !s->out_points[i])
    return GIE_E_MEMORY;
  for (uint32_t k = 0; k < points->n; k++) {
    int64_t idx[GIE_MAX_RANK] = {0};
    unflat(plain, points->at[k], idx);
    picks[k] = (struct side_pick){p->offset + (size_t)gie_desc_offset(&p->desc, idx) * size, 0, k};
  }
  GIE_TRY(side_buffer_gather(s->c->ctx, s->device, &s->out_tensor[i]->buf, picks, points->n, size, raw));
  const struct gie_desc from = {.dtype = p->desc.dtype, .rank = 1, .dim = {points->n}, .stride = {1}},
                        to = {.dtype = plain->dtype, .rank = 1, .dim = {points->n}, .stride = {1}};
  probe_convert(&from, raw, &to, s->out_points[i]);
  return GIE_OK;
}

/* The element beside a point that belongs to no element: the last pad lane, or the gap before the range (tune's
 * pitched tensors have it there). False: there is none. */
static bool beside(const struct side_place *p, const struct gie_desc *plain, int64_t at, bool pads,
                   size_t *offset)
{
  const struct gie_desc *d = &p->desc;
  int64_t idx[GIE_MAX_RANK] = {0}, lane = 0;
  int axis = pads ? d->layout.block_axis : d->rank > 1 ? 1 : 0;
  unflat(plain, at, idx);
  if (pads) {
    int64_t block = d->layout.block > 1 ? d->layout.block : 1, used = d->dim[axis] % block;
    if (used == 0)
      return false;
    idx[axis] = d->dim[axis] - 1;
    lane = block - used;
  } else {
    if (!d->pitched)
      return false;
    idx[axis] = 0;
    lane = -d->stride[axis];
  }
  int64_t element = (int64_t)(p->offset / gie_dtype_size(d->dtype)) + gie_desc_offset(d, idx) + lane;
  *offset = (size_t)element * gie_dtype_size(d->dtype);
  return element >= 0 && *offset < p->bytes;
}

static gie_status check_beside(struct side *s, uint32_t i, bool pads)
{
  const struct side_points *points = &s->c->points[i];
  const struct side_place *p = &s->out_tensor[i]->place;
  size_t size = gie_dtype_size(p->desc.dtype);
  struct side_pick picks[BESIDE];
  unsigned char raw[BESIDE * 16];
  uint32_t n = 0, step = points->n / BESIDE + 1;
  for (uint32_t k = 0; k < points->n && n < BESIDE; k += step, n++) {
    picks[n] = (struct side_pick){.index = n};
    if (!beside(p, &s->c->out[i], points->at[k], pads, &picks[n].offset))
      return GIE_OK;
  }
  GIE_TRY(side_buffer_gather(s->c->ctx, s->device, &s->out_tensor[i]->buf, picks, n, size, raw));
  for (size_t k = 0; k < n * size; k++)
    if (raw[k] != (pads ? 0 : SIDE_UNSET))
      return pads ? side_verdict(s, PROBE_WRONG, "the pad lanes of result %u are not zero", i)
                  : side_verdict(s, PROBE_STRAY, "wrote into the gaps of result %u", i);
  return GIE_OK;
}

static gie_status collect_result(struct side *s, uint32_t i, bool results)
{
  const struct side_buffer *b = &s->out_tensor[i]->buf;
  unsigned char *data;
  if (is_large(s, b) && s->c->points) {
    GIE_TRY(check_guards(s, b, "result", i));
    if (!results)
      return GIE_OK;
    GIE_TRY(gather_points(s, i));
    GIE_TRY(check_beside(s, i, true));
    return check_beside(s, i, false);
  }
  GIE_TRY(fetch(s, b, "result", i, &data));
  gie_status st = check_result(s, i, data, results);
  gie_free(s->c->ctx, data);
  return st;
}

/* ---- Operands */

/* Pieces of a buffer that holds the first n bytes of `image` over and over. */
static gie_status check_pieces(struct side *s, const struct side_buffer *b, const char *image, size_t n,
                               uint32_t i)
{
  struct side_pick picks[PIECES];
  unsigned char raw[PIECES * PIECE];
  size_t at[PIECES];
  uint64_t state = s->c->seed + i;
  GIE_TRY(check_guards(s, b, "operand", i));
  for (uint32_t k = 0; k < PIECES; k++) {
    at[k] = (size_t)(probe_random(&state) % (b->bytes - PIECE + 1));
    if (at[k] % n > n - PIECE)
      at[k] -= PIECE;
    picks[k] = (struct side_pick){at[k], 0, k};
  }
  GIE_TRY(side_buffer_gather(s->c->ctx, s->device, b, picks, PIECES, PIECE, raw));
  for (uint32_t k = 0; k < PIECES; k++)
    if (memcmp(raw + k * PIECE, image + at[k] % n, PIECE) != 0)
      return side_verdict(s, PROBE_STRAY, "wrote into operand %u", i);
  return GIE_OK;
}

static gie_status check_operand(struct side *s, uint32_t i)
{
  const struct side_tensor *t = s->in_tensor[i];
  bool is_packed = s->packed[i].base;
  const struct side_buffer *b = is_packed ? &s->packed[i] : &t->buf;
  const void *image = is_packed ? s->packed_image[i] : t->image;
  size_t n = is_packed ? b->bytes : t->image_bytes;
  unsigned char *data;
  if (is_large(s, b))
    return check_pieces(s, b, image, n, i);
  GIE_TRY(fetch(s, b, "operand", i, &data));
  gie_status st = GIE_OK;
  for (size_t at = 0; st == GIE_OK && at < b->bytes; at += n)
    if (memcmp(data + at, image, n < b->bytes - at ? n : b->bytes - at) != 0)
      st = side_verdict(s, PROBE_STRAY, "wrote into operand %u", i);
  gie_free(s->c->ctx, data);
  return st;
}

/* ---- All of it */

gie_status side_collect(struct side *s, bool results)
{
  for (uint32_t i = 0; i < s->c->n_out; i++)
    GIE_TRY(collect_result(s, i, results));
  for (uint32_t i = 0; i < s->c->n_in; i++)
    if (s->in_tensor[i])
      GIE_TRY(check_operand(s, i));
  return s->workspace.base ? check_guards(s, &s->workspace, "workspace", 0) : GIE_OK;
}

void side_forget_results(struct side *s)
{
  gie_arena_free(&s->results);
  gie_arena_init(&s->results, s->c->ctx);
}
