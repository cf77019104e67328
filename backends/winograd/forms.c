/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/winograd/forms.h"

#include "backends/winograd/transforms.h"
#include <math.h>
#include <string.h>

#define WG_FORM(name, m, r, points)                                               \
  static void name##_input(const float *d, float *v) { wg_##name##_input(d, v); } \
  static void name##_output(const float *v, float *y) { wg_##name##_output(v, y); }
#include "backends/winograd/points.def"
#undef WG_FORM

const struct wg_form WG_FORMS[WG_N_FORMS] = {
#define WG_FORM(name, m, r, points) \
  {#name, m, r, (m) + (r)-1, &wg_##name##_filter[0][0], name##_input, name##_output},
#include "backends/winograd/points.def"
#undef WG_FORM
};

/* ---- Half precision on the host */

static double from_half(uint16_t h)
{
  int exponent = h >> 10 & 31, mantissa = h & 1023;
  double v = exponent == 31 ? mantissa ? NAN : INFINITY
             : exponent     ? ldexp(1024 + mantissa, exponent - 25)
                            : ldexp(mantissa, -24);
  return h & 0x8000 ? -v : v;
}

/* To nearest, ties to even; a mantissa that rounds up to 2048 carries into the exponent as it should. */
static uint16_t to_half(double x)
{
  unsigned sign = signbit(x) ? 0x8000 : 0;
  int exponent;
  double a = fabs(x), fraction = frexp(a, &exponent);
  if (isnan(x))
    return (uint16_t)(sign | 0x7e00);
  if (a >= 65520)
    return (uint16_t)(sign | 0x7c00);
  if (a < 0x1p-14)
    return (uint16_t)(sign | (unsigned)nearbyint(a * 0x1p24));
  return (uint16_t)(sign | (((unsigned)(exponent + 14) << 10) + (unsigned)nearbyint(fraction * 2048) - 1024));
}

/* ---- Weights */

const char *const WG_PACKINGS[WG_N_PACKINGS] = {"rows", "slices", "images"};

int64_t wg_padded(int64_t k) { return (k + 7) / 8 * 8; }

/* Rows and columns are filled up to multiples of these; copies of a number. */
static const struct {
  int c, k, copies;
} UNITS[WG_N_PACKINGS] = {
    [WG_PACK_ROWS] = {1, 8, 1}, [WG_PACK_SLICES] = {16, 64, 1}, [WG_PACK_IMAGES] = {32, 64, 2}};

static size_t fill_up(int64_t v, int unit)
{
  return ((size_t)v + (size_t)unit - 1) / (size_t)unit * (size_t)unit;
}

bool wg_pack_bytes(const struct wg_form *f, enum wg_packing packing, int64_t c, int64_t k, enum gie_dtype to,
                   size_t *bytes)
{
  size_t size = (size_t)UNITS[packing].copies * (to == GIE_F16 ? 2 : 4), n = (size_t)f->n * (size_t)f->n;
  return c >= 0 && k >= 0 && c <= INT64_MAX - 63 && k <= INT64_MAX - 63 &&
         !__builtin_mul_overflow(n, fill_up(c, UNITS[packing].c), &n) &&
         !__builtin_mul_overflow(n, fill_up(k, UNITS[packing].k), &n) &&
         !__builtin_mul_overflow(n, size, bytes);
}

/* Where u[i] of channels c and k goes; of images the first of two, 64·32 apart. */
static size_t place(enum wg_packing packing, size_t points, size_t i, size_t c, size_t k, size_t cs,
                    size_t ks)
{
  size_t row = k % 64;
  switch (packing) {
  case WG_PACK_SLICES:
    return ((k / 64 * cs + c) * points + i) * 64 + row;
  case WG_PACK_IMAGES:
    return ((((i * (ks / 64) + k / 64) * (cs / 32) + c / 32) * 2) * 64 + row) * 32 +
           ((c % 32 / 4) ^ (row % 8)) * 4 + c % 4;
  default:
    return (i * cs + c) * ks + k;
  }
}

/* To nearest with 10 bits of mantissa, ties away from zero, as the device does. */
static float to_tf32(float x)
{
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if (isfinite(x))
    bits = (bits + 0x1000) & ~0x1fffu;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* u = G w Gᵀ */
static void transform_filter(const struct wg_form *f, const double *w, double *u)
{
  double half[WG_MAX_N * WG_MAX_N] = {0};
  for (int i = 0; i < f->n; i++)
    for (int j = 0; j < f->r; j++) {
      half[i * f->r + j] = 0;
      for (int l = 0; l < f->r; l++)
        half[i * f->r + j] += f->filter[i * f->r + l] * w[l * f->r + j];
    }
  for (int i = 0; i < f->n; i++)
    for (int j = 0; j < f->n; j++) {
      u[i * f->n + j] = 0;
      for (int l = 0; l < f->r; l++)
        u[i * f->n + j] += half[i * f->r + l] * f->filter[j * f->r + l];
    }
}

static void put(enum wg_packing packing, enum gie_dtype to, void *packed, size_t at, double u)
{
  float *to32 = packed, v = (float)u;
  if (to == GIE_F16) {
    ((uint16_t *)packed)[at] = to_half(u);
    return;
  }
  to32[at] = packing == WG_PACK_IMAGES ? to_tf32(v) : v;
  if (packing == WG_PACK_IMAGES && isfinite(to32[at]))
    to32[at + 64 * 32] = to_tf32(v - to32[at]);
}

void wg_pack(const struct wg_form *f, enum wg_packing packing, int64_t c, int64_t k, enum gie_dtype from,
             const void *w, enum gie_dtype to, void *packed)
{
  const float *w32 = w;
  const uint16_t *w16 = w;
  size_t taps = (size_t)f->r * (size_t)f->r, points = (size_t)f->n * (size_t)f->n, bytes = 0;
  size_t cs = fill_up(c, UNITS[packing].c), ks = fill_up(k, UNITS[packing].k);
  double filter[WG_MAX_N * WG_MAX_N] = {0}, u[WG_MAX_N * WG_MAX_N] = {0};
  if (!wg_pack_bytes(f, packing, c, k, to, &bytes))
    return;
  memset(packed, 0, bytes);
  for (size_t ik = 0; ik < (size_t)k; ik++)
    for (size_t ic = 0; ic < (size_t)c; ic++) {
      for (size_t t = 0; t < taps; t++) {
        size_t at = (ik * (size_t)c + ic) * taps + t;
        filter[t] = from == GIE_F16 ? from_half(w16[at]) : (double)w32[at];
      }
      transform_filter(f, filter, u);
      for (size_t i = 0; i < points; i++)
        put(packing, to, packed, place(packing, points, i, ic, ik, cs, ks), u[i]);
    }
}

/* ---- A convolution, tile by tile */

/* v[n·n] with a step between its elements: the input transform of the tile whose first result is (oy, ox). */
static void input_tile(const struct wg_form *f, const struct wg_shape *s, const float *x, int64_t oy,
                       int64_t ox, float *v, int64_t step)
{
  float d[WG_MAX_N * WG_MAX_N] = {0}, column[WG_MAX_N], out[WG_MAX_N] = {0};
  for (int i = 0; i < f->n; i++) {
    for (int j = 0; j < f->n; j++) {
      int64_t y = oy - s->pad_h + i, at = ox - s->pad_w + j;
      column[j] = y >= 0 && y < s->h && at >= 0 && at < s->w ? x[y * s->w + at] : 0;
    }
    f->input(column, d + i * f->n);
  }
  for (int j = 0; j < f->n; j++) {
    for (int i = 0; i < f->n; i++)
      column[i] = d[i * f->n + j];
    f->input(column, out);
    for (int i = 0; i < f->n; i++)
      v[(i * f->n + j) * step] = out[i];
  }
}

/* The inverse transform of m[n·n], stored where the result has elements. */
static void output_tile(const struct wg_form *f, const struct wg_shape *s, const float *m, int64_t oy,
                        int64_t ox, float *y)
{
  float half[WG_MAX_N * WG_MAX_N] = {0}, column[WG_MAX_N], out[WG_MAX_N] = {0};
  for (int i = 0; i < f->n; i++)
    f->output(m + i * f->n, half + i * f->m);
  for (int j = 0; j < f->m && ox + j < s->ow; j++) {
    for (int i = 0; i < f->n; i++)
      column[i] = half[i * f->m + j];
    f->output(column, out);
    for (int i = 0; i < f->m && oy + i < s->oh; i++)
      y[(oy + i) * s->ow + ox + j] = out[i];
  }
}

void wg_conv(const struct wg_form *f, const struct wg_shape *s, const float *x, const float *packed,
             float *scratch, float *y)
{
  int64_t points = (int64_t)f->n * f->n, row = wg_padded(s->k);
  float *v = scratch, *m = scratch + points * s->c;
  for (int64_t in = 0; in < s->n; in++)
    for (int64_t oy = 0; oy < s->oh; oy += f->m)
      for (int64_t ox = 0; ox < s->ow; ox += f->m) {
        for (int64_t c = 0; c < s->c; c++)
          input_tile(f, s, x + (in * s->c + c) * s->h * s->w, oy, ox, v + c, s->c);
        for (int64_t k = 0; k < s->k; k++) {
          for (int64_t i = 0; i < points; i++) {
            m[i] = 0;
            for (int64_t c = 0; c < s->c; c++)
              m[i] += packed[(i * s->c + c) * row + k] * v[i * s->c + c];
          }
          output_tile(f, s, m, oy, ox, y + (in * s->k + k) * s->oh * s->ow);
        }
      }
}
