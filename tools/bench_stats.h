/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of a series of times. */
#ifndef GIE_TOOLS_BENCH_STATS_H
#define GIE_TOOLS_BENCH_STATS_H

#include <stdbool.h>
#include <stddef.h>

/* Ascending. */
void bench_sort(double *v, size_t n);
/* Of n ≥ 1 ascending numbers: the middle one, or the mean of the middle two. */
double bench_median(const double *v, size_t n);
/* The smallest of n ≥ 1 ascending numbers that p % are not above (nearest rank). */
double bench_percentile(const double *v, size_t n, double p);

struct bench_summary {
  size_t n;
  double min, max, mean, median;
  double low, high; /* where the median is with 95 % confidence, whatever the distribution */
  double p25, p75;
};
/* Of n ≥ 1 ascending numbers. The interval has the ranks n/2 -+ 0.98 sqrt(n) (W. J. Conover, "Practical
 * Nonparametric Statistics", 3rd ed. 1999, 3.2); up to 5 numbers it is all of them. */
struct bench_summary bench_summarize(const double *v, size_t n);

/* Whether `now` is slower than `before`: the medians differ by more than the fraction `over`, and no
 * chance would do, as the intervals do not meet. */
bool bench_is_worse(const struct bench_summary *now, const struct bench_summary *before, double over);

#endif
