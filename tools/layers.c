/* SPDX-License-Identifier: Apache-2.0 */
/* Layered drawing: a rank by the longest path, bends where an edge passes a rank, the order within a rank by
 * the mean position of the neighbours, first downwards, then upwards, several times. */
#include "tools/layers.h"
#include <stdlib.h>

#define GAP 18.0
#define BEND 10.0
#define SWEEPS 12
#define MANY 6          /* lines that come together */
#define BOX_WEIGHT 64.0 /* there, against a bend */

gie_status layers_item(struct layers *l, uint32_t tag, double width, uint32_t *out)
{
  GIE_TRY(gie_grow(l->ctx, &l->items, &l->cap_items, l->n_items + 1, sizeof *l->items));
  *out = (uint32_t)l->n_items;
  l->items[l->n_items++] = (struct layer_item){.tag = tag, .width = width};
  return GIE_OK;
}

gie_status layers_edge(struct layers *l, uint32_t from, uint32_t to, uint32_t tag)
{
  GIE_TRY(gie_grow(l->ctx, &l->edges, &l->cap_edges, l->n_edges + 1, sizeof *l->edges));
  l->edges[l->n_edges++] = (struct layer_edge){from, to, tag};
  if (l->items[to].rank <= l->items[from].rank)
    l->items[to].rank = l->items[from].rank + 1;
  return GIE_OK;
}

void layers_free(struct layers *l)
{
  gie_free(l->ctx, l->items);
  gie_free(l->ctx, l->edges);
}

/* ---- Ranks ----------------------------------------------------------------------------------- */

static void sink(struct layers *l, const uint32_t *least, uint32_t item)
{
  if (l->items[item].floats && least[item] != UINT32_MAX)
    l->items[item].rank = least[item];
}

/* Lets down what floats. Edges come by their ends, in topological order, so that backwards all that an item leads to
 * is in place before the item. */
static gie_status sink_all(struct layers *l)
{
  uint32_t *least = gie_alloc(l->ctx, l->n_items + 1, sizeof *least);
  if (!least)
    return GIE_E_MEMORY;
  for (size_t i = 0; i < l->n_items; i++)
    least[i] = UINT32_MAX;
  for (size_t i = l->n_edges; i-- > 0;) {
    const struct layer_edge *e = &l->edges[i];
    sink(l, least, e->to);
    uint32_t above = l->items[e->to].rank - 1;
    least[e->from] = above < least[e->from] ? above : least[e->from];
  }
  for (size_t i = 0; i < l->n_items; i++)
    sink(l, least, (uint32_t)i);
  gie_free(l->ctx, least);
  return GIE_OK;
}

/* ---- Bends ----------------------------------------------------------------------------------- */

struct long_edge {
  uint32_t from, tag, rank; /* of the end */
  size_t edge;
};

static int by_beginning(const void *a, const void *b)
{
  const struct long_edge *x = a, *y = b;
  if (x->from != y->from)
    return x->from < y->from ? -1 : 1;
  if (x->tag != y->tag)
    return x->tag < y->tag ? -1 : 1;
  if (x->rank != y->rank)
    return x->rank < y->rank ? -1 : 1;
  return x->edge < y->edge ? -1 : x->edge > y->edge;
}

/* One chain of bends for all that leads from an item under one tag: what is read in many places is one line with
 * branches. */
static gie_status bend_sorted(struct layers *l, const struct long_edge *v, size_t n)
{
  uint32_t last = 0, item;
  for (size_t i = 0; i < n; i++) {
    const struct layer_edge e = l->edges[v[i].edge];
    if (i == 0 || v[i].from != v[i - 1].from || v[i].tag != v[i - 1].tag)
      last = e.from;
    for (uint32_t rank = l->items[last].rank + 1; rank < v[i].rank; rank++) {
      GIE_TRY(layers_item(l, UINT32_MAX, BEND, &item));
      l->items[item].rank = rank;
      GIE_TRY(layers_edge(l, last, item, e.tag));
      last = item;
    }
    l->edges[v[i].edge].from = last;
  }
  return GIE_OK;
}

/* Puts bends in the place of edges that pass ranks. */
static gie_status bend(struct layers *l)
{
  struct long_edge *v = gie_alloc(l->ctx, l->n_edges + 1, sizeof *v);
  size_t n = l->n_edges;
  if (!v)
    return GIE_E_MEMORY;
  for (size_t i = 0; i < n; i++) {
    const struct layer_edge *e = &l->edges[i];
    v[i] = (struct long_edge){e->from, e->tag, l->items[e->to].rank, i};
  }
  qsort(v, n, sizeof *v, by_beginning);
  gie_status st = bend_sorted(l, v, n);
  gie_free(l->ctx, v);
  return st;
}

/* ---- Order and place ------------------------------------------------------------------------- */

struct slot {
  uint32_t item;
  double want; /* mean of the neighbours */
};

/* Items by rank: those of rank r are slots[start[r]] … slots[start[r+1]-1]. Neighbours by item, above and below. */
struct places {
  struct layers *l;
  struct slot *slots;
  uint32_t *start, *first[2], *near[2];
};

static gie_status index_ranks(struct places *p)
{
  const struct layers *l = p->l;
  p->slots = gie_alloc(l->ctx, l->n_items + 1, sizeof *p->slots);
  p->start = gie_alloc(l->ctx, (size_t)l->n_ranks + 2, sizeof *p->start);
  if (!p->slots || !p->start)
    return GIE_E_MEMORY;
  for (size_t i = 0; i < l->n_items; i++)
    p->start[l->items[i].rank + 1]++;
  for (uint32_t r = 0; r < l->n_ranks; r++)
    p->start[r + 1] += p->start[r];
  uint32_t *next = gie_alloc(l->ctx, (size_t)l->n_ranks + 1, sizeof *next);
  if (!next)
    return GIE_E_MEMORY;
  for (size_t i = 0; i < l->n_items; i++) {
    uint32_t r = l->items[i].rank;
    p->slots[p->start[r] + next[r]++].item = (uint32_t)i;
  }
  gie_free(l->ctx, next);
  return GIE_OK;
}

/* side 0: those above an item, side 1: below. */
static gie_status index_edges(struct places *p, int side)
{
  const struct layers *l = p->l;
  uint32_t *first = p->first[side] = gie_alloc(l->ctx, l->n_items + 2, sizeof *first);
  uint32_t *near = p->near[side] = gie_alloc(l->ctx, l->n_edges + 1, sizeof *near);
  if (!first || !near)
    return GIE_E_MEMORY;
  for (size_t i = 0; i < l->n_edges; i++)
    first[(side ? l->edges[i].from : l->edges[i].to) + 1]++;
  for (size_t i = 0; i < l->n_items; i++)
    first[i + 1] += first[i];
  uint32_t *next = gie_alloc(l->ctx, l->n_items + 1, sizeof *next);
  if (!next)
    return GIE_E_MEMORY;
  for (size_t i = 0; i < l->n_edges; i++) {
    uint32_t a = side ? l->edges[i].from : l->edges[i].to, b = side ? l->edges[i].to : l->edges[i].from;
    near[first[a] + next[a]++] = b;
  }
  gie_free(l->ctx, next);
  return GIE_OK;
}

/* The mean of the neighbours. Where many lines come together boxes count for more than bends, so that the box stays
 * below the one that leads to it and does not wander to the middle of the lines. */
static double wanted(const struct places *p, int side, uint32_t item)
{
  uint32_t from = p->first[side][item], to = p->first[side][item + 1];
  double sum = 0, weight = 0;
  for (uint32_t i = from; i < to; i++) {
    const struct layer_item *t = &p->l->items[p->near[side][i]];
    double w = t->tag == UINT32_MAX || to - from < MANY ? 1 : BOX_WEIGHT;
    sum += w * t->x;
    weight += w;
  }
  return weight > 0 ? sum / weight : p->l->items[item].x;
}

static int by_want(const void *a, const void *b)
{
  const struct slot *s = a, *t = b;
  if (s->want != t->want)
    return s->want < t->want ? -1 : 1;
  return s->item < t->item ? -1 : s->item > t->item;
}

/* As near to the wanted places as the order and the widths let: packed to the right of each other and, from the
 * other end, to the left; the mean of both keeps the distances. */
static void place_rank(struct places *p, struct slot *s, size_t n)
{
  struct layer_item *items = p->l->items;
  double at = 0;
  for (size_t i = 0; i < n; i++) {
    double half = items[s[i].item].width / 2, x = s[i].want;
    x = i && x < at + half ? at + half : x;
    items[s[i].item].x = x;
    at = x + half + GAP;
  }
  for (size_t i = n; i-- > 0;) {
    double half = items[s[i].item].width / 2, x = s[i].want;
    x = i + 1 < n && x > at - half ? at - half : x;
    s[i].want = x;
    at = x - half - GAP;
  }
  for (size_t i = 0; i < n; i++)
    items[s[i].item].x = (items[s[i].item].x + s[i].want) / 2;
}

static void sweep(struct places *p, int side, bool sort)
{
  uint32_t n = p->l->n_ranks;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t r = side ? n - 1 - i : i;
    struct slot *s = p->slots + p->start[r];
    size_t count = p->start[r + 1] - p->start[r];
    for (size_t k = 0; k < count; k++)
      s[k].want = wanted(p, side, s[k].item);
    if (sort)
      qsort(s, count, sizeof *s, by_want);
    place_rank(p, s, count);
  }
}

/* Brings what has nothing above it over what it leads to, which has moved. */
static void settle(struct places *p)
{
  for (uint32_t r = p->l->n_ranks; r-- > 0;) {
    struct slot *s = p->slots + p->start[r];
    size_t count = p->start[r + 1] - p->start[r];
    for (size_t k = 0; k < count; k++) {
      uint32_t item = s[k].item;
      bool tops = p->first[0][item] == p->first[0][item + 1];
      s[k].want = tops ? wanted(p, 1, item) : p->l->items[item].x;
    }
    qsort(s, count, sizeof *s, by_want);
    place_rank(p, s, count);
  }
}

static void shift(struct layers *l)
{
  double least = 0, most = 0;
  for (size_t i = 0; i < l->n_items; i++) {
    const struct layer_item *t = &l->items[i];
    least = i == 0 || t->x - t->width / 2 < least ? t->x - t->width / 2 : least;
    most = i == 0 || t->x + t->width / 2 > most ? t->x + t->width / 2 : most;
  }
  for (size_t i = 0; i < l->n_items; i++)
    l->items[i].x += GAP - least;
  l->width = most - least + 2 * GAP;
}

static gie_status place(struct places *p)
{
  GIE_TRY(index_ranks(p));
  GIE_TRY(index_edges(p, 0));
  GIE_TRY(index_edges(p, 1));
  for (int i = 0; i < SWEEPS; i++)
    sweep(p, i % 2, i < SWEEPS - 4);
  sweep(p, 0, false);
  settle(p);
  shift(p->l);
  return GIE_OK;
}

gie_status layers_place(struct layers *l)
{
  struct places p = {.l = l};
  GIE_TRY(sink_all(l));
  GIE_TRY(bend(l));
  for (size_t i = 0; i < l->n_items; i++)
    l->n_ranks = l->items[i].rank + 1 > l->n_ranks ? l->items[i].rank + 1 : l->n_ranks;
  gie_status st = place(&p);
  gie_free(l->ctx, p.slots);
  gie_free(l->ctx, p.start);
  for (int side = 0; side < 2; side++) {
    gie_free(l->ctx, p.first[side]);
    gie_free(l->ctx, p.near[side]);
  }
  return st;
}
