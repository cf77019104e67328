/* SPDX-License-Identifier: Apache-2.0 */
/* What the makers of nodes of a random network share; see random_graph.h. */
#ifndef GIE_CORE_MODULE_RANDOM_GEN_H
#define GIE_CORE_MODULE_RANDOM_GEN_H

#include "core/module/random_graph.h"

enum { MAX_VALUES = 160, OF_INTS = 7 /* the last makers, which need an integer to begin with */ };

/* What a value holds: the graph's floats, its integers, or truth. */
enum kind { FLOATS, INTS, BOOLS };

struct value {
  int rank; /* 4: [n,C,H,W] or 2: [n,C]; the first dim is the symbol n */
  int64_t dim[4];
  enum kind kind;
};

struct gen {
  struct gie_buf *b;
  uint64_t state;
  const char *t, *ti; /* dtypes of floats and integers */
  int n, k;           /* values; constants and values in between */
  struct value v[MAX_VALUES];
};

static inline uint32_t rnd(struct gen *g, uint32_t n)
{
  g->state ^= g->state >> 12;
  g->state ^= g->state << 25;
  g->state ^= g->state >> 27;
  return (uint32_t)((g->state * 2685821657736338717u) >> 33) % n;
}

/* ---- Values ---------------------------------------------------------------------------------------- */

/* A value of that kind and rank (0: any), rather a new one; -1 if there is none. */
static inline int pick_kind(struct gen *g, enum kind kind, int rank)
{
  for (int i = 0; i < 12; i++) {
    int v = rnd(g, 3) ? g->n - 1 - (int)rnd(g, g->n < 4 ? (uint32_t)g->n : 4) : (int)rnd(g, (uint32_t)g->n);
    if (g->v[v].kind == kind && (!rank || g->v[v].rank == rank))
      return v;
  }
  for (int v = g->n - 1; v >= 0; v--)
    if (g->v[v].kind == kind && (!rank || g->v[v].rank == rank))
      return v;
  return -1;
}

/* Floats; of any rank there are always some. */
static inline int pick(struct gen *g, int rank) { return pick_kind(g, FLOATS, rank); }

/* Another one of the same shape, or the same. */
static inline int pick_like(struct gen *g, int like)
{
  for (int i = 0; i < 12; i++) {
    int v = (int)rnd(g, (uint32_t)g->n);
    if (g->v[v].kind == g->v[like].kind && g->v[v].rank == g->v[like].rank &&
        memcmp(g->v[v].dim, g->v[like].dim, sizeof g->v[v].dim) == 0)
      return v;
  }
  return like;
}

static inline int add(struct gen *g, struct value v)
{
  g->v[g->n] = v;
  return g->n++;
}

/* ---- Constants ------------------------------------------------------------------------------------- */

/* count numbers, each (±1 … ±8) / 8 * scale; returns k, the constant being %kK. */
static inline int floats(struct gen *g, const char *shape, int64_t count, double scale)
{
  gie_buf_printf(g->b, "  const %%k%d : %s[%s] = {", g->k, g->t, shape);
  for (int64_t i = 0; i < count; i++)
    gie_buf_printf(g->b, "%s%.9g", i ? ", " : "", scale * ((int)rnd(g, 17) - 8) / 8 + 1e-9);
  gie_buf_puts(g->b, "}\n");
  return g->k++;
}

static inline int number(struct gen *g, double v)
{
  gie_buf_printf(g->b, "  const %%k%d : %s[] = {%.9g}\n", g->k, g->t, v);
  return g->k++;
}

static inline int positive(struct gen *g, int64_t count)
{
  gie_buf_printf(g->b, "  const %%k%d : %s[%d] = {", g->k, g->t, (int)count);
  for (int64_t i = 0; i < count; i++)
    gie_buf_printf(g->b, "%s%.9g", i ? ", " : "", 0.5 + rnd(g, 8) / 4.0);
  gie_buf_puts(g->b, "}\n");
  return g->k++;
}

static inline int ints(struct gen *g, int n, const int64_t *v)
{
  gie_buf_printf(g->b, "  const %%k%d : i64[%d] = {", g->k, n);
  for (int i = 0; i < n; i++)
    gie_buf_printf(g->b, "%s%lld", i ? ", " : "", (long long)v[i]);
  gie_buf_puts(g->b, "}\n");
  return g->k++;
}

static inline int per_channel(struct gen *g, const struct value *v)
{
  char shape[64];
  if (v->rank == 2 || rnd(g, 4) == 0)
    snprintf(shape, sizeof shape, v->rank == 2 ? "%d" : "1,%d,1,1", (int)v->dim[1]);
  else
    snprintf(shape, sizeof shape, "%d,1,1", (int)v->dim[1]);
  return floats(g, shape, v->dim[1], 1);
}

/* ---- Makers of random_ints.c ------------------------------------------------------------------------ */

void random_int_unary(struct gen *g);
void random_int_binary(struct gen *g);
void random_compare_ints(struct gen *g);
void random_int_move(struct gen *g);
void random_where(struct gen *g);
void random_to_floats(struct gen *g);

#endif
