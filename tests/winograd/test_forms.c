/* SPDX-License-Identifier: Apache-2.0 */
/* The forms of Winograd's convolution: identities in exact fractions, the generated code against the exact
 * matrices, packed weights against them. */
#include "backends/winograd/cooktoom.h"
#include "backends/winograd/forms.h"
#include "tests/gie_check.h"

#include <math.h>

START_TEST(identities_hold)
{
  static const struct {
    int m, r;
    const char *points;
  } others[] = {{1, 2, "0"},
                {2, 3, "0 1 2"},
                {3, 2, "1/3 -2/7 5"},
                {4, 3, "0 1 -1 2 -2"},
                {4, 4, "0 1 -1 1/2 -1/2 2"},
                {3, 5, "0 1/2 -1/2 1 -1 2"},
                {8, 3, "0 1/2 -1/2 1 -1 2 -2 3/2 -3/2"}};
  struct ct_form f;
  const char *name, *why;
  unsigned n = 0;
  for (; ct_form_at(n, &name, &f, &why); n++)
    ck_assert_msg(ct_holds(&f), "%s", name);
  ck_assert_msg(n == WG_N_FORMS && !why, "%s", why);
  for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++) {
    ck_assert_msg(ct_make(others[i].m, others[i].r, others[i].points, &f, &why), "%s: %s", others[i].points,
                  why);
    ck_assert_msg(ct_holds(&f), "%s", others[i].points);
    f.bt[0][f.n - 1].num++; /* an algorithm that is wrong in one factor is seen */
    ck_assert(!ct_holds(&f));
  }
}
END_TEST

START_TEST(bad_forms_are_refused)
{
  static const struct {
    int m, r;
    const char *points, *why;
  } bad[] = {{2, 3, "0 1", "fewer points"},
             {2, 3, "0 1 -1 2", "more points"},
             {2, 3, "0 1 1", "a point twice"},
             {2, 3, "0 1 2/2", "a point twice"},
             {2, 3, "0 1 1/0", "fewer points"},
             {2, 3, "0 x 1", "fewer points"},
             {0, 3, "", "m+r-1"},
             {9, 3, "0", "m+r-1"},
             {2, 3, "0 1 9999999", "fewer points"}};
  struct ct_form f;
  for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    const char *why = "";
    ck_assert_msg(!ct_make(bad[i].m, bad[i].r, bad[i].points, &f, &why), "%s", bad[i].points);
    ck_assert_msg(strncmp(why, bad[i].why, strlen(bad[i].why)) == 0, "%s: %s", bad[i].points, why);
  }
  const char *why = "";
  ck_assert(
      !ct_make(6, 4, "1/999999 2/999983 3/999979 5/999961 7/999959 11/999953 13/999931 17/999917", &f, &why));
  ck_assert_str_eq(why, "a factor beyond 64 bits");
}
END_TEST

START_TEST(fractions_do_not_wrap)
{
  struct ct_ratio big = {INT64_MAX, 1}, small = {1, INT64_MAX}, out = {7, 1}, zero = {0, 1};
  ck_assert(!ct_add(big, big, &out) && !ct_mul(big, big, &out) && !ct_div(big, small, &out));
  ck_assert(!ct_div(big, zero, &out));
  ck_assert_int_eq(out.num, 7);
  ck_assert(ct_mul(big, small, &out));
  ck_assert(out.num == 1 && out.den == 1);
}
END_TEST

/* Each unit vector through the generated code gives a column of the exact matrix; dyadic factors are exact. */
START_TEST(code_is_the_matrices)
{
  const char *name, *why;
  struct ct_form f;
  for (unsigned i = 0; ct_form_at(i, &name, &f, &why); i++) {
    const struct wg_form *w = &WG_FORMS[i];
    ck_assert(strcmp(w->name, name) == 0 && w->m == f.m && w->r == f.r && w->n == f.n && f.n <= WG_MAX_N);
    for (int l = 0; l < f.n; l++) {
      float unit[WG_MAX_N] = {0}, v[WG_MAX_N], y[WG_MAX_N];
      unit[l] = 1;
      w->input(unit, v);
      w->output(unit, y);
      for (int j = 0; j < f.n; j++)
        ck_assert_msg((double)v[j] == ct_double(f.bt[j][l]), "%s: Bt[%d][%d]", name, j, l);
      for (int j = 0; j < f.m; j++)
        ck_assert_msg((double)y[j] == ct_double(f.at[j][l]), "%s: At[%d][%d]", name, j, l);
      for (int k = 0; k < f.r; k++)
        ck_assert_msg(w->filter[l * f.r + k] == ct_double(f.g[l][k]), "%s: G[%d][%d]", name, l, k);
    }
  }
}
END_TEST

/* One tap of one filter at a time: u = G e Gᵀ is the product of two entries of G. */
START_TEST(packed_weights)
{
  const char *name, *why;
  struct ct_form f;
  for (unsigned i = 0; ct_form_at(i, &name, &f, &why); i++)
    for (int t = 0; t < f.r * f.r; t++) {
      enum { C = 2, K = 3 };
      float w[K * C * 25] = {0}, packed[64 * C * 8];
      uint16_t w16[K * C * 25] = {0}, packed16[64 * C * 8];
      size_t bytes;
      w[(2 * C + 1) * f.r * f.r + t] = 1; /* k = 2, c = 1 */
      w16[(2 * C + 1) * f.r * f.r + t] = 0x3c00;
      ck_assert(wg_pack_bytes(&WG_FORMS[i], WG_PACK_ROWS, C, K, GIE_F32, &bytes));
      ck_assert_uint_eq(bytes, (size_t)(f.n * f.n * C * 8) * sizeof(float));
      wg_pack(&WG_FORMS[i], WG_PACK_ROWS, C, K, GIE_F32, w, GIE_F32, packed);
      wg_pack(&WG_FORMS[i], WG_PACK_ROWS, C, K, GIE_F16, w16, GIE_F16, packed16);
      for (int p = 0; p < f.n * f.n; p++)
        for (int c = 0; c < C; c++)
          for (int k = 0; k < 8; k++) {
            double exact = ct_double(f.g[p / f.n][t / f.r]) * ct_double(f.g[p % f.n][t % f.r]);
            double want = k == 2 && c == 1 ? exact : 0;
            ck_assert_float_eq(packed[(p * C + c) * 8 + k], (float)want);
            double got = gie_f16_to_f32(packed16[(p * C + c) * 8 + k]);
            ck_assert_msg(fabs(got - want) <= fabs(want) * 0x1p-11 + 0x1p-25, "%g %g", got, want);
          }
    }
}
END_TEST

/* The other orders hold what the rows hold, where they say, and zeros. */
START_TEST(packed_orders)
{
  enum { C = 37, K = 70, CS = 48, CI = 64, KS = 128, N2 = 16 };
  const struct wg_form *f = &WG_FORMS[WG_f2r3];
  size_t bytes;
  static float w[K * C * 9], rows[N2 * C * 72], slices[KS * CS * N2], images[N2 * KS * CI * 2];
  for (int i = 0; i < K * C * 9; i++)
    w[i] = (float)((i * 7919 % 10007) - 5000) / 3000;
  ck_assert(wg_pack_bytes(f, WG_PACK_ROWS, C, K, GIE_F32, &bytes) && bytes == sizeof rows);
  wg_pack(f, WG_PACK_ROWS, C, K, GIE_F32, w, GIE_F32, rows);
  ck_assert(wg_pack_bytes(f, WG_PACK_SLICES, C, K, GIE_F32, &bytes) && bytes == sizeof slices);
  wg_pack(f, WG_PACK_SLICES, C, K, GIE_F32, w, GIE_F32, slices);
  ck_assert(wg_pack_bytes(f, WG_PACK_IMAGES, C, K, GIE_F32, &bytes) && bytes == sizeof images);
  wg_pack(f, WG_PACK_IMAGES, C, K, GIE_F32, w, GIE_F32, images);
  for (int i = 0; i < N2; i++)
    for (int k = 0; k < KS; k++) {
      for (int c = 0; c < CS; c++) {
        float want = c < C && k < K ? rows[(i * C + c) * 72 + k] : 0;
        ck_assert_float_eq(slices[((k / 64 * CS + c) * N2 + i) * 64 + k % 64], want);
      }
      for (int c = 0; c < CI; c++) {
        const float *image = images + ((i * (KS / 64) + k / 64) * (CI / 32) + c / 32) * 2 * 64 * 32;
        int at = k % 64 * 32 + (c % 32 / 4 ^ k % 8) * 4 + c % 4;
        float want = c < C && k < K ? rows[(i * C + c) * 72 + k] : 0, big = image[at],
              rest = image[at + 64 * 32];
        uint32_t bits[2];
        memcpy(&bits[0], &big, 4);
        memcpy(&bits[1], &rest, 4);
        ck_assert_msg(((bits[0] | bits[1]) & 0x1fff) == 0, "%a %a", (double)big, (double)rest);
        ck_assert_msg(fabs((double)big + (double)rest - (double)want) <= 0x1p-22 * fabs((double)want),
                      "%a + %a, %a", (double)big, (double)rest, (double)want);
      }
    }
}
END_TEST

/* Every f16 number through the identity of the middle of F2: packed[∞][∞] is tap (2, 2) itself. */
START_TEST(half_weights)
{
  for (uint32_t h = 0; h < 0x10000; h++) {
    uint16_t w[9] = {0}, packed[16 * 8];
    float same[16 * 8];
    w[8] = (uint16_t)h;
    wg_pack(&WG_FORMS[WG_f2r3], WG_PACK_ROWS, 1, 1, GIE_F16, w, GIE_F16, packed);
    wg_pack(&WG_FORMS[WG_f2r3], WG_PACK_ROWS, 1, 1, GIE_F16, w, GIE_F32, same);
    float want = gie_f16_to_f32((uint16_t)h);
    if (isnan(want))
      ck_assert(isnan(gie_f16_to_f32(packed[15 * 8])) && isnan(same[15 * 8]));
    else
      ck_assert_msg(gie_f16_to_f32(packed[15 * 8]) == want && same[15 * 8] == want, "%#x", h);
  }
  for (int i = 0; i < 1000; i++) { /* rounding, against the engine's */
    float w[9] = {0};
    uint16_t packed[16 * 8];
    w[8] = ldexpf(1 + (float)(i * 7919 % 4096) / 4096, i % 44 - 27);
    wg_pack(&WG_FORMS[WG_f2r3], WG_PACK_ROWS, 1, 1, GIE_F32, w, GIE_F16, packed);
    ck_assert_uint_eq(packed[15 * 8], gie_f32_to_f16(w[8]));
  }
}
END_TEST

START_TEST(sizes_do_not_wrap)
{
  size_t bytes;
  ck_assert(!wg_pack_bytes(&WG_FORMS[0], WG_PACK_ROWS, INT64_MAX / 4, 1 << 20, GIE_F32, &bytes));
  ck_assert(!wg_pack_bytes(&WG_FORMS[0], WG_PACK_ROWS, 1, INT64_MAX - 1, GIE_F32, &bytes));
  ck_assert(!wg_pack_bytes(&WG_FORMS[0], WG_PACK_IMAGES, INT64_MAX - 1, 1, GIE_F32, &bytes));
  ck_assert(wg_pack_bytes(&WG_FORMS[0], WG_PACK_ROWS, 0, 5, GIE_F32, &bytes) && bytes == 0);
}
END_TEST

GIE_TESTS_MAIN("winograd forms", identities_hold, bad_forms_are_refused, fractions_do_not_wrap,
               code_is_the_matrices, packed_weights, packed_orders, half_weights, sizes_do_not_wrap)
