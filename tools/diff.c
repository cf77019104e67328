/* SPDX-License-Identifier: Apache-2.0 */
/* Unified differences of two texts by lines: the shortest edit script (E. W. Myers, "An O(ND) difference algorithm
 * and its variations", 1986) between what is left when equal beginnings and ends are cut off. Texts that differ in
 * more lines than EDITS are shown as one replaced by the other. */
#include "tools/diff.h"

#define EDITS 4000
#define CONTEXT 3

struct lines {
  const char **v;
  size_t *len;
  size_t n;
};

struct differ {
  struct gie_context *ctx;
  struct lines a, b;
  bool *gone, *come; /* per line of a, of b */
};

static gie_status split(struct gie_context *ctx, const char *text, struct lines *l)
{
  size_t cap = 0, cap_len = 0;
  for (const char *p = text; *p;) {
    size_t n = strcspn(p, "\n");
    GIE_TRY(gie_grow(ctx, &l->v, &cap, l->n + 1, sizeof *l->v));
    GIE_TRY(gie_grow(ctx, &l->len, &cap_len, l->n + 1, sizeof *l->len));
    l->v[l->n] = p;
    l->len[l->n++] = n;
    p += n + (p[n] == '\n');
  }
  return GIE_OK;
}

static bool same(const struct differ *d, size_t i, size_t k)
{
  return d->a.len[i] == d->b.len[k] && memcmp(d->a.v[i], d->b.v[k], d->a.len[i]) == 0;
}

/* The part between equal beginning and end. */
struct middle {
  size_t a, b; /* first lines */
  int64_t n, m;
};

/* How far a path on diagonal k gets with one more edit: row of V is that of the edits before. */
static int64_t reach(const struct differ *d, const struct middle *mid, const int32_t *v, int64_t k,
                     int64_t edits)
{
  bool down = k == -edits || (k != edits && v[k - 1] < v[k + 1]);
  int64_t x = edits == 0 ? 0 : down ? v[k + 1] : v[k - 1] + 1, y = x - k;
  while (x < mid->n && y < mid->m && same(d, mid->a + (size_t)x, mid->b + (size_t)y))
    x++, y++;
  return x;
}

/* Entries of the row of e-1 edits beside diagonal k; -1 outside of it. */
static int32_t left(const int32_t *v, int64_t k, int64_t e) { return k - 1 < 1 - e ? -1 : v[k - 1]; }
static int32_t right(const int32_t *v, int64_t k, int64_t e) { return k + 1 > e - 1 ? -1 : v[k + 1]; }

/* Marks the edits, from the last to the first. Row e of `rows` has 2e+1 entries. */
static void backtrack(struct differ *d, const struct middle *mid, const int32_t *rows, int64_t edits)
{
  int64_t x = mid->n, y = mid->m;
  for (int64_t e = edits; e > 0; e--) {
    const int32_t *v = rows + (e - 1) * (e - 1) + (e - 1); /* middle of the row before */
    int64_t k = x - y;
    bool down = k == -e || (k != e && left(v, k, e) < right(v, k, e));
    int64_t from = down ? k + 1 : k - 1;
    x = v[from];
    y = x - from;
    if (down)
      d->come[mid->b + (size_t)y] = true;
    else
      d->gone[mid->a + (size_t)x] = true;
  }
}

/* Row e begins at e*e and has the diagonals -e … e; what is outside a row counts as not reached. */
static gie_status shortest(struct differ *d, const struct middle *mid, bool *found)
{
  int64_t most = mid->n + mid->m < EDITS ? mid->n + mid->m : EDITS;
  size_t cap = 0;
  int32_t *rows = NULL, *v = gie_alloc(d->ctx, (size_t)(2 * most + 5), sizeof *v);
  gie_status st = v ? GIE_OK : GIE_E_MEMORY;
  *found = false;
  for (int64_t e = 0; st == GIE_OK && !*found && e <= most; e++) {
    int32_t *now = v + most + 2;
    now[-e - 1] = now[e + 1] = -1;
    for (int64_t k = -e; k <= e && !*found; k += 2) {
      now[k] = (int32_t)reach(d, mid, now, k, e);
      *found = now[k] >= mid->n && now[k] - k >= mid->m;
    }
    if (*found) {
      backtrack(d, mid, rows, e);
    } else if ((st = gie_grow(d->ctx, &rows, &cap, (size_t)((e + 1) * (e + 1)), sizeof *rows)) == GIE_OK) {
      memcpy(rows + e * e, now - e, (size_t)(2 * e + 1) * sizeof *rows);
    }
  }
  gie_free(d->ctx, v);
  gie_free(d->ctx, rows);
  return st;
}

static gie_status compare(struct differ *d)
{
  size_t n = d->a.n, m = d->b.n, first = 0, last = 0;
  bool found;
  while (first < n && first < m && same(d, first, first))
    first++;
  while (last < n - first && last < m - first && same(d, n - 1 - last, m - 1 - last))
    last++;
  const struct middle mid = {first, first, (int64_t)(n - first - last), (int64_t)(m - first - last)};
  GIE_TRY(shortest(d, &mid, &found));
  for (int64_t i = 0; !found && i < mid.n; i++)
    d->gone[first + (size_t)i] = true;
  for (int64_t i = 0; !found && i < mid.m; i++)
    d->come[first + (size_t)i] = true;
  return GIE_OK;
}

/* ---- Printing -------------------------------------------------------------------------------- */

static void put_line(FILE *to, char sign, const struct lines *l, size_t i)
{
  fprintf(to, "%c%.*s\n", sign, (int)l->len[i], l->v[i]);
}

/* Lines of both from (i, k) on until no change is near; returns how many of each, prints when `to` is given. */
static void hunk(const struct differ *d, FILE *to, size_t i, size_t k, size_t *n, size_t *m)
{
  size_t i0 = i, k0 = k, quiet = 0;
  bool seen = false;
  while (i < d->a.n || k < d->b.n) {
    if (i < d->a.n && d->gone[i]) {
      if (to)
        put_line(to, '-', &d->a, i);
      i++;
    } else if (k < d->b.n && d->come[k]) {
      if (to)
        put_line(to, '+', &d->b, k);
      k++;
    } else {
      /* An equal line: shown unless it is more than CONTEXT behind the last change and before the next. */
      if (seen && ++quiet > CONTEXT) {
        size_t ahead = 0;
        while (ahead <= CONTEXT && i + ahead < d->a.n && k + ahead < d->b.n && !d->gone[i + ahead] &&
               !d->come[k + ahead])
          ahead++;
        if (ahead > CONTEXT || (i + ahead >= d->a.n && k + ahead >= d->b.n))
          break;
      }
      if (to)
        put_line(to, ' ', &d->a, i);
      i++, k++;
      continue;
    }
    seen = true;
    quiet = 0;
  }
  *n = i - i0;
  *m = k - k0;
}

static void print(const struct differ *d, FILE *to, const char *from, const char *into)
{
  bool headed = false;
  for (size_t i = 0, k = 0; i < d->a.n || k < d->b.n;) {
    size_t equal = 0, n, m;
    while (i + equal < d->a.n && k + equal < d->b.n && !d->gone[i + equal] && !d->come[k + equal])
      equal++;
    if (i + equal >= d->a.n && k + equal >= d->b.n)
      break;
    if (!headed)
      fprintf(to, "--- %s\n+++ %s\n", from, into);
    headed = true;
    size_t skip = equal > CONTEXT ? equal - CONTEXT : 0;
    i += skip;
    k += skip;
    hunk(d, NULL, i, k, &n, &m);
    fprintf(to, "@@ -%zu,%zu +%zu,%zu @@\n", i + (n > 0), n, k + (m > 0), m);
    hunk(d, to, i, k, &n, &m);
    i += n;
    k += m;
  }
}

gie_status diff_print(struct gie_context *ctx, FILE *to, const char *from, const char *a, const char *into,
                      const char *b)
{
  struct differ d = {.ctx = ctx};
  gie_status st = split(ctx, a, &d.a);
  if (st == GIE_OK)
    st = split(ctx, b, &d.b);
  d.gone = gie_alloc(ctx, d.a.n + 1, sizeof *d.gone);
  d.come = gie_alloc(ctx, d.b.n + 1, sizeof *d.come);
  if (st == GIE_OK && (!d.gone || !d.come))
    st = GIE_E_MEMORY;
  if (st == GIE_OK)
    st = compare(&d);
  if (st == GIE_OK)
    print(&d, to, from, into);
  gie_free(ctx, d.gone);
  gie_free(ctx, d.come);
  gie_free(ctx, d.a.v);
  gie_free(ctx, d.a.len);
  gie_free(ctx, d.b.v);
  gie_free(ctx, d.b.len);
  return st;
}
