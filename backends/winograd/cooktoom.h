/* SPDX-License-Identifier: Apache-2.0 */
/* Winograd's minimal filtering from Toom and Cook's interpolation, in exact fractions.
 *
 * F(m, r): m results y[i] = Σ_k g[k] d[i+k] of a filter with r taps from n = m+r-1 inputs by n products,
 *     y = Aᵀ · (G g ⊙ Bᵀ d).
 * The product of the polynomials with coefficients g (degree r-1) and x (degree m-1) is known by its values at
 * n points, infinity among them; transposing that algorithm for the filter gives Aᵀ, G and Bᵀ:
 *     Aᵀ[i][j] = a_j^i            G[j][k] = a_j^k / N_j          N_j = Π_{l≠j} (a_j - a_l)
 *     Bᵀ[j][·] = coefficients of Π_{l≠j} (x - a_l)
 * and for infinity Aᵀ[m-1] = G[r-1] = 1, Bᵀ[n-1][·] = coefficients of Π_l (x - a_l). In two dimensions each
 * matrix is applied to columns and rows.
 * Sources: S. Winograd, Arithmetic Complexity of Computations (1980); A. Toom (1963), S. Cook (1966);
 * A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural Networks (2016) for the use on tiles. */
#ifndef GIE_WINOGRAD_COOKTOOM_H
#define GIE_WINOGRAD_COOKTOOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CT_MAX 10 /* points of one form, infinity included */

/* In lowest terms, den > 0. */
struct ct_ratio {
  int64_t num, den;
};

/* False where a number leaves 64 bits or a divisor is 0; *out is then unchanged. */
bool ct_add(struct ct_ratio a, struct ct_ratio b, struct ct_ratio *out);
bool ct_mul(struct ct_ratio a, struct ct_ratio b, struct ct_ratio *out);
bool ct_div(struct ct_ratio a, struct ct_ratio b, struct ct_ratio *out);
double ct_double(struct ct_ratio a);

struct ct_form {
  int m, r, n;
  struct ct_ratio point[CT_MAX];                                             /* n - 1, without infinity */
  struct ct_ratio at[CT_MAX][CT_MAX], g[CT_MAX][CT_MAX], bt[CT_MAX][CT_MAX]; /* m×n, n×r, n×n */
};

/* The form for finite points as text ("0 1 -1/2"). False with a reason in *why (static text). */
bool ct_make(int m, int r, const char *points, struct ct_form *f, const char **why);
/* Whether Σ_j Aᵀ[i][j] G[j][k] Bᵀ[j][l] is 1 for l = i+k and 0 for all other l: then y is right for every g and d. */
bool ct_holds(const struct ct_form *f);
/* The forms of points.def in that order; false past the end. */
bool ct_form_at(unsigned i, const char **name, struct ct_form *f, const char **why);

#endif
