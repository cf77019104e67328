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

/* Transformed weights [n·n][c][k_padded]: G w Gᵀ in double, rounded once. Rows are padded with zeros to whole
 * 16-byte units. `w` is [k][c][r][r] in f32 or f16, `packed` in `to`. */
int64_t wg_padded(int64_t k);
bool wg_pack_bytes(const struct wg_form *f, int64_t c, int64_t k, enum gie_dtype to, size_t *bytes);
void wg_pack(const struct wg_form *f, int64_t c, int64_t k, enum gie_dtype from, const void *w,
             enum gie_dtype to, void *packed);

/* The convolution in f32 with weights as wg_pack() makes them; x and y dense, channels before rows.
 * `scratch` holds n·n·(c+1) floats. */
void wg_conv(const struct wg_form *f, const struct wg_shape *s, const float *x, const float *packed,
             float *scratch, float *y);

#ifdef __cplusplus
}
#endif
#endif
