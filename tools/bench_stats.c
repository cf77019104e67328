/* SPDX-License-Identifier: Apache-2.0 */
/* See bench_stats.h. */
#include "tools/bench_stats.h"
#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

void bench_sort(double *v, size_t n)
{
  if (n)
    qsort(v, n, sizeof *v, compare);
}

double bench_median(const double *v, size_t n) { return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2; }

double bench_percentile(const double *v, size_t n, double p)
{
  double rank = ceil(p / 100 * (double)n);
  size_t i = rank < 1 ? 0 : (size_t)rank - 1;
  return v[i < n ? i : n - 1];
}

struct bench_summary bench_summarize(const double *v, size_t n)
{
  struct bench_summary s = {.n = n, .min = v[0], .max = v[n - 1], .median = bench_median(v, n)};
  double sum = 0, half = 0.98 * sqrt((double)n), low = floor((double)n / 2 - half),
         high = ceil((double)n / 2 + half);
  for (size_t i = 0; i < n; i++)
    sum += v[i];
  s.mean = sum / (double)n;
  s.low = v[low >= 1 && n > 5 ? (size_t)low - 1 : 0];
  s.high = v[high < (double)n && n > 5 ? (size_t)high : n - 1];
  s.p25 = bench_percentile(v, n, 25);
  s.p75 = bench_percentile(v, n, 75);
  return s;
}

bool bench_is_worse(const struct bench_summary *now, const struct bench_summary *before, double over)
{
  return now->median > before->median * (1 + over) && now->low > before->high;
}
