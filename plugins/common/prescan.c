/* SPDX-License-Identifier: Apache-2.0 */
/* The bounded pre-scan: see prescan.h. Recursion is one level per message and bounded by the tables'
 * nesting limits; all other state is in struct scan. */
#include "plugins/common/prescan.h"
#include "plugins/common/utf8.h"
#include <string.h>

#define WINDOW ((size_t)1 << 16)
#define LENGTH_BYTES 5 /* a length prefix in the slim copy, filled in when the message is complete */

enum wire { WIRE_VARINT, WIRE_64, WIRE_LENGTH, WIRE_GROUP, WIRE_END_GROUP, WIRE_32 };

struct scan {
  struct gie_context *ctx;
  const struct gie_source *src;
  struct prescan *out;
  uint64_t pos;                /* next byte of the file */
  uint64_t win_start, win_len; /* range of the file in `window` */
  unsigned char *window;
  uint32_t entries;
  unsigned depth;   /* messages round the present one, since the last self-nesting one */
  unsigned nesting; /* self-nesting messages round the present one */
};

static gie_status fail_at(struct scan *s, uint64_t at, const char *what)
{
  return gie_fail(s->ctx, GIE_E_PARSE, "byte %llu: %s; the file is damaged or not of this format",
                  (unsigned long long)at, what);
}

/* ---- Reading */

static gie_status fill_window(struct scan *s)
{
  uint64_t rest = s->src->size - s->pos;
  size_t n = rest < WINDOW ? (size_t)rest : WINDOW;
  GIE_TRY(gie_file_pread(s->ctx, s->src->fd, s->src->path, s->window, n, s->pos));
  s->win_start = s->pos;
  s->win_len = n;
  return GIE_OK;
}

/* The caller has checked that pos is below the end of the file. */
static inline gie_status read_byte(struct scan *s, unsigned char *out)
{
  if (s->pos < s->win_start || s->pos - s->win_start >= s->win_len)
    GIE_TRY(fill_window(s));
  *out = s->window[s->pos++ - s->win_start];
  return GIE_OK;
}

static gie_status read_varint(struct scan *s, uint64_t end, uint64_t *out)
{
  uint64_t start = s->pos, v = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    unsigned char b;
    if (s->pos >= end)
      return fail_at(s, start, "truncated number");
    GIE_TRY(read_byte(s, &b));
    if (shift == 63 && b > 1)
      break;
    v |= (uint64_t)(b & 0x7f) << shift;
    if (!(b & 0x80)) {
      *out = v;
      return GIE_OK;
    }
  }
  return fail_at(s, start, "number longer than 64 bits");
}

static gie_status read_bytes(struct scan *s, unsigned char *to, size_t n)
{
  while (n > 0) {
    if (s->pos < s->win_start || s->pos - s->win_start >= s->win_len)
      GIE_TRY(fill_window(s));
    size_t at = (size_t)(s->pos - s->win_start), here = (size_t)s->win_len - at;
    here = here < n ? here : n;
    memcpy(to, s->window + at, here);
    to += here;
    n -= here;
    s->pos += here;
  }
  return GIE_OK;
}

/* ---- Writing the slim copy */

static gie_status grow(struct gie_context *ctx, void **data, size_t *cap, size_t used, size_t need,
                       size_t size)
{
  if (need <= *cap)
    return GIE_OK;
  size_t n = *cap ? *cap : 4096 / size;
  while (n < need)
    n = n > SIZE_MAX / 2 ? need : n * 2;
  void *p = gie_alloc_raw(ctx, n, size);
  if (!p)
    return GIE_E_MEMORY;
  if (used)
    memcpy(p, *data, used * size);
  gie_free(ctx, *data);
  *data = p;
  *cap = n;
  return GIE_OK;
}

static gie_status slim_room(struct scan *s, uint64_t n, unsigned char **to)
{
  struct prescan *o = s->out;
  if (n > PRE_MAX_SLIM - o->n_slim)
    return gie_fail(s->ctx, GIE_E_LIMIT,
                    "more than 2 GiB beside the tensors' raw data; store large data as raw_data");
  void *data = o->slim;
  GIE_TRY(grow(s->ctx, &data, &o->cap_slim, o->n_slim, o->n_slim + (size_t)n, 1));
  o->slim = data;
  *to = o->slim + o->n_slim;
  o->n_slim += (size_t)n;
  return GIE_OK;
}

static gie_status put_varint(struct scan *s, uint64_t v)
{
  unsigned char b[10], *to;
  size_t n = 0;
  for (; v > 0x7f; v >>= 7)
    b[n++] = (unsigned char)(v | 0x80);
  b[n++] = (unsigned char)v;
  GIE_TRY(slim_room(s, n, &to));
  memcpy(to, b, n);
  return GIE_OK;
}

static gie_status put_tag(struct scan *s, uint32_t number, enum wire wire)
{
  return put_varint(s, (uint64_t)number << 3 | wire);
}

static void put_length(unsigned char *to, size_t n)
{
  for (int i = 0; i < LENGTH_BYTES; i++, n >>= 7)
    to[i] = (unsigned char)((n & 0x7f) | (i < LENGTH_BYTES - 1 ? 0x80 : 0));
}

static gie_status lift(struct scan *s, const struct pre_field *f, uint64_t size)
{
  struct prescan *o = s->out;
  void *data = o->lifts;
  GIE_TRY(grow(s->ctx, &data, &o->cap_lifts, o->n_lifts, o->n_lifts + 1, sizeof *o->lifts));
  o->lifts = data;
  o->lifts[o->n_lifts] = (struct pre_lift){s->pos, size};
  s->pos += size;
  GIE_TRY(put_tag(s, f->number + PRE_LIFT_BASE, WIRE_VARINT));
  return put_varint(s, o->n_lifts++);
}

/* ---- One field */

static gie_status copy_bytes(struct scan *s, const struct pre_field *f, uint64_t size)
{
  uint64_t start = s->pos;
  unsigned char *to;
  if (f->type == PRE_NAME && size > GIE_MAX_NAME)
    return gie_fail(s->ctx, GIE_E_LIMIT, "byte %llu: %s of %llu bytes; at most %d are allowed",
                    (unsigned long long)start, f->name, (unsigned long long)size, GIE_MAX_NAME);
  GIE_TRY(put_tag(s, f->number, WIRE_LENGTH));
  GIE_TRY(put_varint(s, size));
  GIE_TRY(slim_room(s, size, &to));
  GIE_TRY(read_bytes(s, to, (size_t)size));
  if ((f->type == PRE_NAME || f->type == PRE_TEXT) && !utf8_valid(to, (size_t)size))
    return gie_fail(s->ctx, GIE_E_PARSE,
                    "byte %llu: %s is not UTF-8 text without NUL; repair the file's names",
                    (unsigned long long)start, f->name);
  if (f->type == PRE_REMARK && !utf8_valid(to, (size_t)size))
    memset(to, 0, (size_t)size);
  return GIE_OK;
}

static gie_status scan_message(struct scan *s, const struct pre_message *m, uint64_t end);

static gie_status scan_nested(struct scan *s, const struct pre_field *f, uint64_t size)
{
  const struct pre_message *m = f->message;
  unsigned depth = s->depth;
  unsigned char *to;
  if (m->max_nesting && ++s->nesting > m->max_nesting)
    return gie_fail(s->ctx, GIE_E_LIMIT, "byte %llu: %s nested more than %u deep; nothing sensible is",
                    (unsigned long long)s->pos, m->name, m->max_nesting - 1);
  s->depth = m->max_nesting ? 0 : depth + 1;
  if (s->depth > PRE_MAX_DEPTH)
    return gie_fail(s->ctx, GIE_E_LIMIT, "byte %llu: messages nested more than %d deep; nothing sensible is",
                    (unsigned long long)s->pos, PRE_MAX_DEPTH);
  GIE_TRY(put_tag(s, f->number, WIRE_LENGTH));
  GIE_TRY(slim_room(s, LENGTH_BYTES, &to));
  size_t start = s->out->n_slim;
  GIE_TRY(scan_message(s, m, s->pos + size));
  put_length(s->out->slim + start - LENGTH_BYTES, s->out->n_slim - start);
  s->depth = depth;
  s->nesting -= m->max_nesting != 0;
  return GIE_OK;
}

static gie_status scan_length_field(struct scan *s, const struct pre_field *f, uint64_t size, uint64_t at)
{
  static const unsigned unit[] = {[PRE_VARINT] = 1, [PRE_FIXED32] = 4, [PRE_FIXED64] = 8};
  if (f->type == PRE_MESSAGE)
    return scan_nested(s, f, size);
  if (f->type <= PRE_FIXED64 && size % unit[f->type] != 0)
    return fail_at(s, at, "packed numbers that do not fill whole elements");
  if ((f->flags & PRE_LIFT) && size >= PRE_LIFT_SIZE)
    return lift(s, f, size);
  return copy_bytes(s, f, size);
}

static gie_status scan_number_field(struct scan *s, const struct pre_field *f, enum wire wire, uint64_t end,
                                    uint64_t at)
{
  unsigned char *to;
  if (wire == WIRE_VARINT) {
    uint64_t v;
    GIE_TRY(read_varint(s, end, &v));
    GIE_TRY(put_tag(s, f->number, wire));
    return put_varint(s, v);
  }
  uint64_t n = wire == WIRE_64 ? 8 : 4;
  if (n > end - s->pos)
    return fail_at(s, at, "truncated number");
  GIE_TRY(put_tag(s, f->number, wire));
  GIE_TRY(slim_room(s, n, &to));
  return read_bytes(s, to, (size_t)n);
}

static gie_status skip_unknown(struct scan *s, enum wire wire, uint64_t end, uint64_t at)
{
  uint64_t n = wire == WIRE_64 ? 8 : 4;
  if (wire == WIRE_VARINT)
    return read_varint(s, end, &n);
  if (wire == WIRE_LENGTH)
    GIE_TRY(read_varint(s, end, &n));
  if (n > end - s->pos)
    return fail_at(s, at, "field longer than what is left of its message");
  s->pos += n;
  return GIE_OK;
}

static const struct pre_field *find_field(const struct pre_message *m, uint64_t number)
{
  for (const struct pre_field *f = m->fields; f->number; f++)
    if (f->number == number)
      return f;
  return NULL;
}

static bool wire_fits(const struct pre_field *f, enum wire wire)
{
  static const enum wire plain[] = {
      [PRE_VARINT] = WIRE_VARINT, [PRE_FIXED32] = WIRE_32,    [PRE_FIXED64] = WIRE_64,
      [PRE_NAME] = WIRE_LENGTH,   [PRE_TEXT] = WIRE_LENGTH,   [PRE_REMARK] = WIRE_LENGTH,
      [PRE_BYTES] = WIRE_LENGTH,  [PRE_MESSAGE] = WIRE_LENGTH};
  return wire == plain[f->type] ||
         ((f->flags & PRE_REPEATED) && f->type <= PRE_FIXED64 && wire == WIRE_LENGTH);
}

static gie_status scan_field(struct scan *s, const struct pre_message *m, uint64_t end, uint64_t *seen)
{
  uint64_t at = s->pos, tag, size;
  GIE_TRY(read_varint(s, end, &tag));
  enum wire wire = (enum wire)(tag & 7);
  if (wire == WIRE_GROUP || wire == WIRE_END_GROUP)
    return fail_at(s, at, "a group, which this format does not have");
  if (wire > WIRE_32 || tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
    return fail_at(s, at, "no valid field tag");
  const struct pre_field *f = find_field(m, tag >> 3);
  if (!f)
    return skip_unknown(s, wire, end, at);
  if (!wire_fits(f, wire))
    return gie_fail(
        s->ctx, GIE_E_PARSE,
        "byte %llu: field %s.%s has the wrong wire type %d; the file is damaged or not of this format",
        (unsigned long long)at, m->name, f->name, (int)wire);
  if (++s->entries > PRE_MAX_ENTRIES)
    return gie_fail(s->ctx, GIE_E_LIMIT, "byte %llu: more than %u fields; no sensible network has as many",
                    (unsigned long long)at, PRE_MAX_ENTRIES);
  uint64_t bit = UINT64_C(1) << (f - m->fields);
  if (!(f->flags & PRE_REPEATED) && (f->type == PRE_MESSAGE || (f->flags & PRE_LIFT)) && (*seen & bit))
    return gie_fail(s->ctx, GIE_E_PARSE, "byte %llu: field %s.%s is given twice; the file is damaged",
                    (unsigned long long)at, m->name, f->name);
  *seen |= bit;
  if (wire != WIRE_LENGTH)
    return scan_number_field(s, f, wire, end, at);
  GIE_TRY(read_varint(s, end, &size));
  if (size > end - s->pos)
    return gie_fail(s->ctx, GIE_E_PARSE,
                    "byte %llu: field %s.%s says %llu bytes, %llu are left; the file is truncated or damaged",
                    (unsigned long long)at, m->name, f->name, (unsigned long long)size,
                    (unsigned long long)(end - s->pos));
  return scan_length_field(s, f, size, at);
}

static gie_status scan_message(struct scan *s, const struct pre_message *m, uint64_t end)
{
  uint64_t seen = 0;
  while (s->pos < end)
    GIE_TRY(scan_field(s, m, end, &seen));
  return GIE_OK;
}

/* ---- Whole file */

gie_status prescan_file(struct gie_context *ctx, const struct gie_source *src, const struct pre_message *root,
                        struct prescan *out)
{
  struct prescan result = {.ctx = ctx};
  struct scan s = {.ctx = ctx, .src = src, .out = &result};
  s.window = gie_alloc_raw(ctx, WINDOW, 1);
  if (!s.window)
    return GIE_E_MEMORY;
  gie_status st = scan_message(&s, root, src->size);
  gie_free(ctx, s.window);
  if (st != GIE_OK) {
    prescan_free(&result);
    return st;
  }
  *out = result;
  return GIE_OK;
}

void prescan_drop_slim(struct prescan *p)
{
  gie_free(p->ctx, p->slim);
  p->slim = NULL;
  p->n_slim = p->cap_slim = 0;
}

void prescan_free(struct prescan *p)
{
  prescan_drop_slim(p);
  gie_free(p->ctx, p->lifts);
  p->lifts = NULL;
  p->n_lifts = p->cap_lifts = 0;
}
