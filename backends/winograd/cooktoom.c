/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/winograd/cooktoom.h"

#include <stdlib.h>
#include <string.h>

typedef __int128 wide;

static const struct ct_ratio ZERO = {0, 1}, ONE = {1, 1};

/* ---- Fractions */

/* num/den in lowest terms; the wide intermediates hold every product of two 64-bit numbers. */
static bool reduce(wide num, wide den, struct ct_ratio *out)
{
  wide a = num < 0 ? -num : num, b = den < 0 ? -den : den;
  if (den == 0)
    return false;
  while (b) {
    wide rest = a % b;
    a = b;
    b = rest;
  }
  num /= den < 0 ? -a : a;
  den /= den < 0 ? -a : a;
  if (num > INT64_MAX || num < -INT64_MAX || den > INT64_MAX)
    return false;
  *out = (struct ct_ratio){(int64_t)num, (int64_t)den};
  return true;
}

bool ct_add(struct ct_ratio a, struct ct_ratio b, struct ct_ratio *out)
{
  wide left, right, sum;
  if (__builtin_mul_overflow((wide)a.num, (wide)b.den, &left) ||
      __builtin_mul_overflow((wide)b.num, (wide)a.den, &right) || __builtin_add_overflow(left, right, &sum))
    return false;
  return reduce(sum, (wide)a.den * b.den, out);
}

bool ct_mul(struct ct_ratio a, struct ct_ratio b, struct ct_ratio *out)
{
  return reduce((wide)a.num * b.num, (wide)a.den * b.den, out);
}

bool ct_div(struct ct_ratio a, struct ct_ratio b, struct ct_ratio *out)
{
  return reduce((wide)a.num * b.den, (wide)a.den * b.num, out);
}

double ct_double(struct ct_ratio a) { return (double)a.num / (double)a.den; }

static struct ct_ratio negative(struct ct_ratio a) { return (struct ct_ratio){-a.num, a.den}; }

static bool power(struct ct_ratio a, int n, struct ct_ratio *out)
{
  struct ct_ratio p = ONE;
  for (int i = 0; i < n; i++)
    if (!ct_mul(p, a, &p))
      return false;
  *out = p;
  return true;
}

/* ---- Points */

static bool read_number(const char **text, int64_t *out)
{
  char *end;
  long long v = strtoll(*text, &end, 10);
  if (end == *text || v > 1 << 20 || v < -(1 << 20))
    return false;
  *out = v;
  *text = end;
  return true;
}

static bool read_points(const char *text, struct ct_form *f, const char **why)
{
  for (int i = 0; i < f->n - 1; i++) {
    int64_t num, den = 1;
    if (!read_number(&text, &num) || (*text == '/' && (text++, !read_number(&text, &den))) ||
        !reduce(num, den, &f->point[i]))
      return *why = "fewer points than m+r-2, or no fraction of small numbers", false;
    for (int j = 0; j < i; j++)
      if (f->point[i].num == f->point[j].num && f->point[i].den == f->point[j].den)
        return *why = "a point twice", false;
  }
  return text[strspn(text, " ")] ? *why = "more points than m+r-2", false : true;
}

/* ---- Matrices */

/* Coefficients of Π_{l≠skip} (x - a_l) over the finite points, lowest first. */
static bool product(const struct ct_form *f, int skip, struct ct_ratio *c)
{
  int degree = 0;
  for (int i = 0; i < f->n; i++)
    c[i] = i == 0 ? ONE : ZERO;
  for (int l = 0; l < f->n - 1; l++) {
    if (l == skip)
      continue;
    degree++;
    for (int i = degree; i >= 0; i--) { /* c = x·c - a·c */
      struct ct_ratio scaled;
      if (!ct_mul(c[i], negative(f->point[l]), &scaled) || !ct_add(scaled, i > 0 ? c[i - 1] : ZERO, &c[i]))
        return false;
    }
  }
  return true;
}

static bool divisor(const struct ct_form *f, int j, struct ct_ratio *out)
{
  struct ct_ratio n = ONE, difference;
  for (int l = 0; l < f->n - 1; l++)
    if (l != j && (!ct_add(f->point[j], negative(f->point[l]), &difference) || !ct_mul(n, difference, &n)))
      return false;
  *out = n;
  return true;
}

/* Row j of Bᵀ and G, column j of Aᵀ. Where N_j is negative both Bᵀ and G change sign. */
static bool fill_point(struct ct_form *f, int j)
{
  bool infinity = j == f->n - 1;
  struct ct_ratio n = ONE;
  if (!product(f, infinity ? -1 : j, f->bt[j]) || (!infinity && !divisor(f, j, &n)))
    return false;
  for (int l = 0; l < f->n && n.num < 0; l++)
    f->bt[j][l] = negative(f->bt[j][l]);
  n.num = n.num < 0 ? -n.num : n.num;
  for (int k = 0; k < f->r; k++)
    if (infinity)
      f->g[j][k] = k == f->r - 1 ? ONE : ZERO;
    else if (!power(f->point[j], k, &f->g[j][k]) || !ct_div(f->g[j][k], n, &f->g[j][k]))
      return false;
  for (int i = 0; i < f->m; i++)
    if (infinity)
      f->at[i][j] = i == f->m - 1 ? ONE : ZERO;
    else if (!power(f->point[j], i, &f->at[i][j]))
      return false;
  return true;
}

bool ct_make(int m, int r, const char *points, struct ct_form *f, const char **why)
{
  memset(f, 0, sizeof *f);
  if (m < 1 || r < 1 || m > CT_MAX || r > CT_MAX || m + r - 1 > CT_MAX || m + r - 1 < 2)
    return *why = "m+r-1 not in 2 … 10", false;
  f->m = m;
  f->r = r;
  f->n = m + r - 1;
  if (!read_points(points, f, why))
    return false;
  for (int j = 0; j < f->n; j++)
    if (!fill_point(f, j))
      return *why = "a factor beyond 64 bits", false;
  return true;
}

bool ct_holds(const struct ct_form *f)
{
  for (int i = 0; i < f->m; i++)
    for (int k = 0; k < f->r; k++)
      for (int l = 0; l < f->n; l++) {
        struct ct_ratio sum = ZERO, term;
        for (int j = 0; j < f->n; j++)
          if (!ct_mul(f->at[i][j], f->g[j][k], &term) || !ct_mul(term, f->bt[j][l], &term) ||
              !ct_add(sum, term, &sum))
            return false;
        if (sum.num != (l == i + k) || sum.den != 1)
          return false;
      }
  return true;
}

/* ---- The forms in use */

static const struct {
  const char *name;
  int m, r;
  const char *points;
} forms[] = {
#define WG_FORM(name, m, r, points) {#name, m, r, points},
#include "backends/winograd/points.def"
#undef WG_FORM
};

bool ct_form_at(unsigned i, const char **name, struct ct_form *f, const char **why)
{
  *why = NULL;
  if (i >= sizeof forms / sizeof forms[0])
    return false;
  *name = forms[i].name;
  return ct_make(forms[i].m, forms[i].r, forms[i].points, f, why);
}
