/* SPDX-License-Identifier: Apache-2.0 */
/* The forms F(m×m, r×r) as data and functions of the host, packed weights, and a convolution in plain C. */
#ifndef GIE_WINOGRAD_FORMS_H
#define GIE_WINOGRAD_FORMS_H

#include <gie/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum wg_form_id {
#define WG_FORM(name, m, r, points) WG_##name,
#include "backends/winograd/points.def"
#undef WG_FORM
  WG_N_FORMS
};

#define WG_MAX_N 8 /* inputs of a form in one dimension */

struct wg_form {
  const char *name;
  int m, r, n;
  const double *filter; /* G, n×r */
  void (*input)(const float *d, float *v);
  void (*output)(const float *v, float *y);
};
extern const struct wg_form WG_FORMS[WG_N_FORMS];

/* A convolution of stride 1 without groups: y[n][k][oh][ow] = Σ x[n][c][oh-pad_h+i][ow-pad_w+j] w[k][c][i][j].
 * What lies outside x is zero. */
struct wg_shape {
  int64_t n, c, h, w, k, oh, ow, pad_h, pad_w;
};

/* Transformed weights G w Gᵀ, made in double and rounded once, in the order that a kernel reads them. `w` is [k][c][r][r] in
 * f32 or f16, `packed` in `to`. What fills up rows and blocks is zero.
 *   rows     [n·n][c][k to 16 bytes]
 *   slices   [k/64][c to 16][n·n][64]: 16 channels of all points side by side
 *   images   f32 as two TF32 numbers that add up to it, [n·n][k/64][c/32][2][64][32], each row of 32 channels as eight
 *            16-byte units, unit u of row r at u^(r mod 8): as the tensor cores want a matrix in shared memory */
enum wg_packing { WG_PACK_ROWS, WG_PACK_SLICES, WG_PACK_IMAGES, WG_N_PACKINGS };
extern const char *const WG_PACKINGS[WG_N_PACKINGS];

int64_t wg_padded(int64_t k);
bool wg_pack_bytes(const struct wg_form *f, enum wg_packing packing, int64_t c, int64_t k, enum gie_dtype to,
                   size_t *bytes);
void wg_pack(const struct wg_form *f, enum wg_packing packing, int64_t c, int64_t k, enum gie_dtype from,
             const void *w, enum gie_dtype to, void *packed);

/* The convolution in f32 with weights in rows; x and y dense, channels before rows.
 * `scratch` holds n·n·(c+1) floats. */
void wg_conv(const struct wg_form *f, const struct wg_shape *s, const float *x, const float *packed,
             float *scratch, float *y);

#ifdef __cplusplus
}
#endif
#endif
