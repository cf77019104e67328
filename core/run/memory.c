/* SPDX-License-Identifier: Apache-2.0 */
/* The memory planner: which buffers may share memory, and where each one goes.
 *
 * Sharing follows the happens-before relation of the schedule: all steps that touch one buffer must be before
 * all steps that touch the other. With one stream that is "their lifetimes do not overlap".
 * Placement takes the largest buffer first and puts it into the smallest gap, between the buffers already
 * placed that it may not share with, that holds it (greedy by size). */
#include "core/run/run.h"

void run_plan_init(struct run_plan *p, const struct run_schedule *s)
{
  memset(p, 0, sizeof *p);
  p->schedule = s;
}

void run_plan_free(struct run_plan *p, struct gie_context *ctx)
{
  gie_free(ctx, p->buffers);
  gie_free(ctx, p->touch_step);
  gie_free(ctx, p->touch_next);
  run_plan_init(p, p->schedule);
}

gie_status run_plan_buffer(struct run_plan *p, struct gie_context *ctx, size_t bytes,
                           enum run_category category, uint32_t *out)
{
  GIE_TRY(gie_grow(ctx, &p->buffers, &p->cap, (size_t)p->n + 1, sizeof *p->buffers));
  p->buffers[p->n] = (struct run_buffer){.bytes = bytes,
                                         .align = category == RUN_WORKSPACE ? RUN_WORKSPACE_ALIGN : RUN_ALIGN,
                                         .category = category,
                                         .first_link = RUN_NONE,
                                         .merged = RUN_NONE};
  *out = p->n++;
  return GIE_OK;
}

uint32_t run_plan_find(const struct run_plan *p, uint32_t buffer)
{
  while (p->buffers[buffer].merged != RUN_NONE)
    buffer = p->buffers[buffer].merged;
  return buffer;
}

gie_status run_plan_touch(struct run_plan *p, struct gie_context *ctx, uint32_t buffer, uint32_t step)
{
  struct run_buffer *b = &p->buffers[run_plan_find(p, buffer)];
  if (p->n_touches >= RUN_NONE)
    return gie_fail(ctx, GIE_E_LIMIT, "the memory plan has too many uses");
  GIE_TRY(gie_grow(ctx, &p->touch_step, &p->cap_step, p->n_touches + 1, sizeof *p->touch_step));
  GIE_TRY(gie_grow(ctx, &p->touch_next, &p->cap_next, p->n_touches + 1, sizeof *p->touch_next));
  p->touch_step[p->n_touches] = step;
  p->touch_next[p->n_touches] = b->first_link;
  b->first_link = (uint32_t)p->n_touches++;
  b->n_touches++;
  b->last_touch = step > b->last_touch ? step : b->last_touch;
  return GIE_OK;
}

bool run_plan_is_last(const struct run_plan *p, uint32_t buffer, uint32_t step)
{
  const struct run_buffer *b = &p->buffers[run_plan_find(p, buffer)];
  if (b->from_start || b->to_end || b->last_touch > step)
    return false;
  for (uint32_t t = b->first_link; t != RUN_NONE; t = p->touch_next[t])
    if (p->touch_step[t] != step && !run_before(p->schedule, p->touch_step[t], step))
      return false;
  return true;
}

void run_plan_merge(struct run_plan *p, uint32_t a, uint32_t b)
{
  a = run_plan_find(p, a);
  b = run_plan_find(p, b);
  struct run_buffer *x = &p->buffers[a], *y = &p->buffers[b];
  if (a == b)
    return;
  if (y->first_link != RUN_NONE) {
    uint32_t t = y->first_link;
    while (p->touch_next[t] != RUN_NONE)
      t = p->touch_next[t];
    p->touch_next[t] = x->first_link;
    x->first_link = y->first_link;
  }
  x->n_touches += y->n_touches;
  x->last_touch = x->last_touch > y->last_touch ? x->last_touch : y->last_touch;
  x->bytes = x->bytes > y->bytes ? x->bytes : y->bytes;
  x->from_start |= y->from_start;
  x->to_end |= y->to_end;
  if (y->category == RUN_OUTPUT)
    x->category = RUN_OUTPUT;
  y->merged = a;
}

/* ---- Sharing ----------------------------------------------------------------------------------- */

/* What the relation needs of a buffer, per stream: how many steps must be over before it is free
 * again, and how many certainly are before it is used for the first time. */
struct span {
  uint32_t *until, *since;
};

static void span_of(const struct run_plan *p, uint32_t buffer, struct span s)
{
  const struct run_schedule *sch = p->schedule;
  const struct run_buffer *b = &p->buffers[buffer];
  bool never = b->first_link == RUN_NONE; /* nobody says when: always */
  for (uint32_t i = 0; i < sch->n_streams; i++) {
    s.until[i] = b->to_end || never ? RUN_NONE : 0;
    s.since[i] = b->from_start || never ? 0 : RUN_NONE;
  }
  for (uint32_t t = b->first_link; t != RUN_NONE; t = p->touch_next[t]) {
    uint32_t step = p->touch_step[t];
    const struct run_position *at = &sch->at[step];
    const uint32_t *clock = sch->clocks + (size_t)step * sch->n_streams;
    if (s.until[at->stream] < at->index + 1)
      s.until[at->stream] = at->index + 1;
    for (uint32_t i = 0; i < sch->n_streams; i++)
      if (s.since[i] > clock[i])
        s.since[i] = clock[i];
  }
}

static bool span_before(struct span a, struct span b, uint32_t n_streams)
{
  for (uint32_t i = 0; i < n_streams; i++)
    if (a.until[i] > b.since[i])
      return false;
  return true;
}

/* ---- Index of placed buffers ------------------------------------------------------------------- */

/* With one stream a span is an interval of positions, and those that overlap another are found without
 * looking at all: they begin inside it, or contain its first position (segment tree). */
struct link {
  uint32_t buffer, next;
};

struct placer {
  struct gie_context *ctx;
  struct run_plan *plan;
  uint32_t n_streams;
  uint32_t *until, *since;  /* [n][n_streams] */
  uint32_t *order, n_order; /* to be placed, largest first */
  uint32_t n_placed;        /* order[0 … n_placed) have an offset */
  uint32_t leaves;          /* one stream: a power of two above the number of steps */
  uint32_t *begin, *tree;   /* lists of placed buffers by first position, by tree node */
  struct link *links;
  size_t n_links, cap_links;
  uint32_t *found; /* buffers placed already that may not share with the one at hand */
  size_t n_found, cap_found;
};

static struct span span_at(const struct placer *q, uint32_t buffer)
{
  size_t at = (size_t)buffer * q->n_streams;
  return (struct span){q->until + at, q->since + at};
}

static gie_status push(struct placer *q, uint32_t *list, uint32_t buffer)
{
  GIE_TRY(gie_grow(q->ctx, &q->links, &q->cap_links, q->n_links + 1, sizeof *q->links));
  q->links[q->n_links] = (struct link){buffer, *list};
  *list = (uint32_t)q->n_links++;
  return GIE_OK;
}

static uint32_t last_position(const struct placer *q, uint32_t buffer)
{
  uint32_t n = q->plan->schedule->n_steps;
  return q->until[buffer] < n ? q->until[buffer] : n;
}

static gie_status index_add(struct placer *q, uint32_t buffer)
{
  if (q->n_streams != 1)
    return GIE_OK;
  uint32_t from = q->since[buffer], to = last_position(q, buffer);
  GIE_TRY(push(q, &q->begin[from], buffer));
  for (uint32_t l = from + q->leaves, r = to + q->leaves; l < r; l /= 2, r /= 2) {
    if (l & 1)
      GIE_TRY(push(q, &q->tree[l++], buffer));
    if (r & 1)
      GIE_TRY(push(q, &q->tree[--r], buffer));
  }
  return GIE_OK;
}

static gie_status found(struct placer *q, uint32_t buffer)
{
  GIE_TRY(gie_grow(q->ctx, &q->found, &q->cap_found, q->n_found + 1, sizeof *q->found));
  q->found[q->n_found++] = buffer;
  return GIE_OK;
}

static gie_status found_list(struct placer *q, uint32_t list)
{
  for (; list != RUN_NONE; list = q->links[list].next)
    GIE_TRY(found(q, q->links[list].buffer));
  return GIE_OK;
}

/* Fills q->found. */
static gie_status index_query(struct placer *q, uint32_t buffer)
{
  q->n_found = 0;
  if (q->n_streams != 1) {
    struct span s = span_at(q, buffer);
    for (uint32_t i = 0; i < q->n_placed; i++) {
      struct span o = span_at(q, q->order[i]);
      if (!span_before(s, o, q->n_streams) && !span_before(o, s, q->n_streams))
        GIE_TRY(found(q, q->order[i]));
    }
    return GIE_OK;
  }
  uint32_t from = q->since[buffer], to = last_position(q, buffer);
  for (uint32_t i = from + 1; i < to; i++)
    GIE_TRY(found_list(q, q->begin[i]));
  for (uint32_t t = from + q->leaves; t > 0; t /= 2)
    GIE_TRY(found_list(q, q->tree[t]));
  return GIE_OK;
}

/* ---- Placement --------------------------------------------------------------------------------- */

static bool align_up(size_t at, size_t align, size_t *out)
{
  size_t sum;
  if (!gie_add(at, align - 1, &sum))
    return false;
  *out = sum / align * align;
  return true;
}

/* qsort has no argument for the plan: what is compared is gathered first. */
struct extent {
  size_t from, to;
  uint32_t buffer;
};

static int by_offset(const void *a, const void *b)
{
  const struct extent *x = a, *y = b;
  return x->from < y->from ? -1 : x->from > y->from;
}

/* What counts first is in `from`, then the size in `to`: largest first. */
static int by_size(const void *a, const void *b)
{
  const struct extent *x = a, *y = b;
  if (x->from != y->from)
    return x->from < y->from ? -1 : 1;
  if (x->to != y->to)
    return x->to < y->to ? 1 : -1;
  return x->buffer < y->buffer ? -1 : x->buffer > y->buffer;
}

/* The smallest gap between the extents (sorted here) that holds the buffer, or behind the last. */
static bool best_offset(struct extent *e, size_t n, const struct run_buffer *b, size_t *out)
{
  size_t end = 0, best = 0, best_gap = SIZE_MAX, at;
  if (n > 1)
    qsort(e, n, sizeof *e, by_offset);
  for (size_t i = 0; i < n; i++) {
    if (!align_up(end, b->align, &at))
      return false;
    if (at <= e[i].from && e[i].from - at >= b->bytes && e[i].from - end < best_gap) {
      best_gap = e[i].from - end;
      best = at;
    }
    end = end > e[i].to ? end : e[i].to;
  }
  if (best_gap != SIZE_MAX) {
    *out = best;
    return true;
  }
  return align_up(end, b->align, out);
}

static gie_status too_large(struct gie_context *ctx)
{
  return gie_fail(ctx, GIE_E_MEMORY, "the tensors of the graph need more memory than can be addressed");
}

/* Places all of q->order; *arena and *activations are how far everything and activations reach. */
static gie_status place_all(struct placer *q, size_t *arena, size_t *activations)
{
  struct run_plan *p = q->plan;
  struct extent *e = NULL;
  size_t cap = 0;
  gie_status st = GIE_OK;
  *arena = *activations = 0;
  for (; st == GIE_OK && q->n_placed < q->n_order; q->n_placed++) {
    struct run_buffer *b = &p->buffers[q->order[q->n_placed]];
    size_t end;
    if ((st = index_query(q, q->order[q->n_placed])) != GIE_OK ||
        (st = gie_grow(q->ctx, &e, &cap, q->n_found, sizeof *e)) != GIE_OK)
      break;
    for (size_t i = 0; i < q->n_found; i++) {
      const struct run_buffer *o = &p->buffers[q->found[i]];
      e[i] = (struct extent){o->offset, o->offset + o->bytes, q->found[i]};
    }
    if (!best_offset(e, q->n_found, b, &b->offset) || !gie_add(b->offset, b->bytes, &end) ||
        end > PTRDIFF_MAX) {
      st = too_large(q->ctx);
      break;
    }
    *arena = *arena > end ? *arena : end;
    if (b->category == RUN_ACTIVATION && *activations < end)
      *activations = end;
    st = index_add(q, q->order[q->n_placed]);
  }
  gie_free(q->ctx, e);
  return st;
}

/* Outputs lie one behind the other. */
static gie_status place_outputs(struct run_plan *p, struct gie_context *ctx)
{
  p->outputs = 0;
  for (uint32_t i = 0; i < p->n; i++) {
    struct run_buffer *b = &p->buffers[i];
    size_t at = 0;
    if (b->merged != RUN_NONE || b->category != RUN_OUTPUT || b->bytes == 0)
      continue;
    if (!align_up(p->outputs, b->align, &at) || !gie_add(at, b->bytes, &p->outputs) ||
        p->outputs > PTRDIFF_MAX)
      return too_large(ctx);
    b->offset = at;
  }
  return GIE_OK;
}

/* Fills q->order: by size, or activations by size and then workspace by size. Nothing is placed. */
static gie_status sort_buffers(struct placer *q, bool mixed)
{
  struct run_plan *p = q->plan;
  struct extent *e = gie_alloc(q->ctx, p->n, sizeof *e);
  if (!e)
    return GIE_E_MEMORY;
  q->n_order = q->n_placed = 0;
  for (uint32_t i = 0; i < p->n; i++) {
    const struct run_buffer *b = &p->buffers[i];
    if (b->merged == RUN_NONE && b->bytes && b->category != RUN_OUTPUT)
      e[q->n_order++] = (struct extent){!mixed && b->category == RUN_WORKSPACE, b->bytes, i};
  }
  if (q->n_order)
    qsort(e, q->n_order, sizeof *e, by_size);
  for (uint32_t i = 0; i < q->n_order; i++)
    q->order[i] = e[i].buffer;
  gie_free(q->ctx, e);
  q->n_links = 0;
  if (q->begin)
    memset(q->begin, 0xff, ((size_t)p->schedule->n_steps + 1) * sizeof *q->begin);
  if (q->tree)
    memset(q->tree, 0xff, 2 * (size_t)q->leaves * sizeof *q->tree);
  return GIE_OK;
}

/* Workspace that is placed last leaves the activations as small as they can be and says what it adds;
 * placed by size among them it may need less in all. The better one stays. */
static gie_status place_twice(struct placer *q)
{
  struct run_plan *p = q->plan;
  size_t mixed, apart, ignored, *offsets = gie_alloc(q->ctx, p->n, sizeof *offsets);
  gie_status st = offsets ? sort_buffers(q, true) : GIE_E_MEMORY;
  if (st == GIE_OK)
    st = place_all(q, &mixed, &ignored);
  for (uint32_t i = 0; st == GIE_OK && i < p->n; i++)
    offsets[i] = p->buffers[i].offset;
  if (st == GIE_OK)
    st = sort_buffers(q, false);
  if (st == GIE_OK)
    st = place_all(q, &apart, &p->activations);
  for (uint32_t i = 0; st == GIE_OK && mixed < apart && i < p->n; i++)
    p->buffers[i].offset = offsets[i];
  gie_free(q->ctx, offsets);
  if (st != GIE_OK)
    return st;
  p->arena = mixed < apart ? mixed : apart;
  p->activations = p->activations < p->arena ? p->activations : p->arena;
  p->workspace = p->arena - p->activations;
  return GIE_OK;
}

static gie_status placer_init(struct placer *q, struct gie_context *ctx, struct run_plan *p)
{
  size_t spans;
  memset(q, 0, sizeof *q);
  q->ctx = ctx;
  q->plan = p;
  q->n_streams = p->schedule->n_streams;
  if (!gie_mul(p->n, q->n_streams, &spans))
    return too_large(ctx);
  q->until = gie_alloc(ctx, spans, sizeof *q->until);
  q->since = gie_alloc(ctx, spans, sizeof *q->since);
  q->order = gie_alloc(ctx, p->n, sizeof *q->order);
  if (!q->until || !q->since || !q->order)
    return GIE_E_MEMORY;
  for (q->leaves = 1; q->leaves <= p->schedule->n_steps;)
    q->leaves *= 2;
  if (q->n_streams == 1) {
    q->begin = gie_alloc(ctx, (size_t)p->schedule->n_steps + 1, sizeof *q->begin);
    q->tree = gie_alloc(ctx, 2 * (size_t)q->leaves, sizeof *q->tree);
    if (!q->begin || !q->tree)
      return GIE_E_MEMORY;
  }
  for (uint32_t i = 0; i < p->n; i++)
    if (p->buffers[i].merged == RUN_NONE)
      span_of(p, i, span_at(q, i));
  return GIE_OK;
}

gie_status run_plan_make(struct run_plan *p, struct gie_context *ctx)
{
  struct placer q;
  gie_status st = placer_init(&q, ctx, p);
  if (st == GIE_OK)
    st = place_outputs(p, ctx);
  if (st == GIE_OK)
    st = place_twice(&q);
  gie_free(ctx, q.until);
  gie_free(ctx, q.since);
  gie_free(ctx, q.order);
  gie_free(ctx, q.begin);
  gie_free(ctx, q.tree);
  gie_free(ctx, q.links);
  gie_free(ctx, q.found);
  return st;
}
