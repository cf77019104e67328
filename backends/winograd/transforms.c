/* SPDX-License-Identifier: Apache-2.0 */
/* Writes transforms.h: the forms of points.def as code that C and CUDA share. */
#include "backends/winograd/cooktoom.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_exact(struct ct_ratio a)
{
  return (a.den & (a.den - 1)) == 0 && a.den <= 1 << 24 && a.num < 1 << 24 && a.num > -(1 << 24);
}

static _Noreturn void die(const char *form, const char *why)
{
  fprintf(stderr, "points.def: %s: %s\n", form, why);
  exit(65);
}

/* ---- Sums of products */

struct term {
  struct ct_ratio factor;
  char name[16];
};

static void add_term(struct term *terms, int *n, struct ct_ratio factor, const char *name, int index)
{
  if (factor.num == 0)
    return;
  terms[*n].factor = factor;
  snprintf(terms[*n].name, sizeof terms[*n].name, strchr(name, '[') ? "%s%d]" : "%s%d", name, index);
  (*n)++;
}

static void print_term(const char *form, const struct term *t, bool first)
{
  struct ct_ratio size = {t->factor.num < 0 ? -t->factor.num : t->factor.num, t->factor.den};
  if (!is_exact(size))
    die(form, "a factor is no fraction of a power of two that f32 holds");
  fputs(first ? t->factor.num < 0 ? "-" : "" : t->factor.num < 0 ? " - " : " + ", stdout);
  if (size.num != 1 || size.den != 1)
    printf(size.den == 1 ? "%.17g.0f * " : "%.17gf * ", ct_double(size));
  fputs(t->name, stdout);
}

/* A term without a factor comes first, so that each further one is a fused multiply-add. */
static void print_sum(const char *form, const char *target, const struct term *terms, int n)
{
  int first = 0;
  for (int i = n - 1; i >= 0; i--)
    if (terms[i].factor.num == terms[i].factor.den)
      first = i;
  printf("%s = ", target);
  print_term(form, &terms[first], true);
  for (int i = 0; i < n; i++)
    if (i != first)
      print_term(form, &terms[i], false);
  puts(";");
}

/* ---- One form */

static bool is_pair(const struct ct_form *f, int j)
{
  return j + 1 < f->n - 1 && f->point[j].num != 0 && f->point[j].num == -f->point[j + 1].num &&
         f->point[j].den == f->point[j + 1].den;
}

/* (a + sign·b) / 2 */
static struct ct_ratio half(struct ct_ratio a, struct ct_ratio b, int sign)
{
  struct ct_ratio out, h = {1, 2};
  b.num *= sign;
  if (!ct_add(a, b, &out) || !ct_mul(out, h, &out))
    abort(); /* ct_make() has formed larger numbers */
  return out;
}

/* The rows of a pair ±a are s+t and s-t: what stays and what changes sign with a. */
static void print_input(const char *form, const struct ct_form *f)
{
  struct term terms[CT_MAX] = {0};
  char target[32];
  int n;
  printf("WG_FN void wg_%s_input(const float d[%d], float v[%d])\n{\n", form, f->n, f->n);
  for (int j = 0; j < f->n; j++) {
    if (!is_pair(f, j)) {
      n = 0;
      for (int l = 0; l < f->n; l++)
        add_term(terms, &n, f->bt[j][l], "d[", l);
      snprintf(target, sizeof target, "  v[%d]", j);
      print_sum(form, target, terms, n);
      continue;
    }
    for (int sign = 1; sign >= -1; sign -= 2) {
      n = 0;
      for (int l = 0; l < f->n; l++)
        add_term(terms, &n, half(f->bt[j][l], f->bt[j + 1][l], sign), "d[", l);
      snprintf(target, sizeof target, "  const float %c%d", sign > 0 ? 's' : 't', j);
      print_sum(form, target, terms, n);
    }
    printf("  v[%d] = s%d + t%d;\n  v[%d] = s%d - t%d;\n", j, j, j, j + 1, j, j);
    j++;
  }
  puts("}\n");
}

static void print_output(const char *form, const struct ct_form *f)
{
  struct term terms[2 * CT_MAX] = {0};
  char target[32];
  printf("WG_FN void wg_%s_output(const float v[%d], float y[%d])\n{\n", form, f->n, f->m);
  for (int j = 0; j < f->n; j++)
    if (is_pair(f, j)) {
      printf("  const float s%d = v[%d] + v[%d];\n  const float t%d = v[%d] - v[%d];\n", j, j, j + 1, j, j,
             j + 1);
      j++;
    }
  for (int i = 0; i < f->m; i++) {
    int n = 0;
    for (int j = 0; j < f->n; j++) {
      if (!is_pair(f, j)) {
        add_term(terms, &n, f->at[i][j], "v[", j);
        continue;
      }
      add_term(terms, &n, half(f->at[i][j], f->at[i][j + 1], 1), "s", j);
      add_term(terms, &n, half(f->at[i][j], f->at[i][j + 1], -1), "t", j);
      j++;
    }
    snprintf(target, sizeof target, "  y[%d]", i);
    print_sum(form, target, terms, n);
  }
  puts("}\n");
}

static void print_filter(const char *form, const struct ct_form *f)
{
  printf("static const double wg_%s_filter[%d][%d] = {\n", form, f->n, f->r);
  for (int j = 0; j < f->n; j++) {
    fputs("    {", stdout);
    for (int k = 0; k < f->r; k++) {
      printf("%s%lld", k ? ", " : "", (long long)f->g[j][k].num);
      if (f->g[j][k].den != 1)
        printf(".0 / %lld", (long long)f->g[j][k].den);
    }
    puts("},");
  }
  puts("};\n");
}

int main(void)
{
  const char *name, *why;
  struct ct_form f;
  puts("/* SPDX-License-Identifier: Apache-2.0 */\n"
       "/* Made by backends/winograd/transforms from points.def; a test makes it again and compares.\n"
       " * For each form, in one dimension: the filter's matrix G, and as code v = Bt d (input) and\n"
       " * y = At v (output). */\n"
       "#ifndef GIE_WINOGRAD_TRANSFORMS_H\n#define GIE_WINOGRAD_TRANSFORMS_H\n\n"
       "#ifdef __CUDACC__\n#define WG_FN static __host__ __device__ __forceinline__\n"
       "#else\n#define WG_FN static inline\n#endif\n");
  for (unsigned i = 0; ct_form_at(i, &name, &f, &why); i++) {
    printf("/* F(%dx%d,%dx%d), points", f.m, f.m, f.r, f.r);
    for (int j = 0; j < f.n - 1; j++)
      printf(f.point[j].den == 1 ? " %lld" : " %lld/%lld", (long long)f.point[j].num,
             (long long)f.point[j].den);
    puts(" and infinity */\n");
    print_filter(name, &f);
    print_input(name, &f);
    print_output(name, &f);
  }
  if (why)
    die(name, why);
  puts("#endif");
  return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 74;
}
