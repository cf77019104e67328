/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations: numbers, what is offered where, error bounds and the cost model. */
#include "backends/winograd/winograd.h"

#include <math.h>

const struct wg_tile_shape WG_TILES[] = {
#define WG_STAGED_TILE(unit, w, p, slice, ww, wp, stages, per_sm) {WG_STAGED, WG_##unit, w, p, slice, per_sm},
#define WG_GROUP_TILE(w, p, stages, per_sm) {WG_STAGED, WG_TF32X3_GROUP, w, p, 32, per_sm},
#define WG_FUSED_TILE(unit, w) {WG_FUSED, WG_##unit, w, 32, 8, 1},
#define WG_FEW_TILE(unit, w, p) {WG_FEW, WG_##unit, w, p, 4, 3},
#include "backends/winograd/tiles.def"
#undef WG_STAGED_TILE
#undef WG_GROUP_TILE
#undef WG_FUSED_TILE
#undef WG_FEW_TILE
};
const int WG_N_TILES = sizeof WG_TILES / sizeof WG_TILES[0];

/* ---- Numbers: form, structure, unit and flags in 4 bits each; weights and tiles / 8, splits, chunk in 8 */

uint64_t wg_config_number(const struct wg_problem *p, const struct wg_config *c)
{
  const struct wg_tile_shape *t = &WG_TILES[c->tile];
  uint64_t flags = (p->channels_last ? 1 : 0) | (p->dtype == GIE_F16 ? 2 : 0);
  return (uint64_t)c->form | (uint64_t)t->structure << 4 | (uint64_t)t->unit << 8 | flags << 12 |
         (uint64_t)(t->weights / 8) << 16 | (uint64_t)(t->tiles / 8) << 24 | (uint64_t)c->splits << 32 |
         (uint64_t)c->chunk << 40;
}

bool wg_config_read(uint64_t number, struct wg_problem *p, struct wg_config *out)
{
  struct wg_config c = {(enum wg_form_id)(number & 15), 0, (uint8_t)(number >> 32), (uint8_t)(number >> 40)};
  p->channels_last = number >> 12 & 1;
  p->dtype = number >> 13 & 1 ? GIE_F16 : GIE_F32;
  if ((number & 15) >= WG_N_FORMS || c.splits < 1 || c.splits > 16 || c.chunk > 30)
    return false;
  for (int i = 0; i < WG_N_TILES; i++) {
    c.tile = (uint8_t)i;
    *out = c;
    if (wg_config_number(p, &c) == number)
      return wg_is_possible(p, &c);
  }
  return false;
}

void wg_config_label(const struct wg_problem *p, const struct wg_config *c, char *buf, size_t size)
{
  static const char *const UNITS[] = {"ffma", "3xtf32", "f16", "3xtf32g", "tf32"}, *const STRUCTURES[] = {
                                                                                       "", "fused ", "few "};
  const struct wg_tile_shape *t = &WG_TILES[c->tile];
  int n = snprintf(buf, size, "%s%s %s %dx%d", STRUCTURES[t->structure], WG_FORMS[c->form].name,
                   UNITS[t->unit], t->weights, t->tiles);
  if (c->splits > 1 && n > 0 && (size_t)n < size)
    n += snprintf(buf + n, size - (size_t)n, " /%d", c->splits);
  if (c->chunk && n > 0 && (size_t)n < size)
    n += snprintf(buf + n, size - (size_t)n, " in %d", 1 << c->chunk);
  if (n > 0 && (size_t)n < size)
    snprintf(buf + n, size - (size_t)n, " %s", p->channels_last ? "nhwc" : "nchw");
}

/* ---- What is offered */

static int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

static double tiles_of(const struct wg_problem *p, const struct wg_form *f)
{
  return (double)p->s.n * (double)divide_up(p->s.oh, f->m) * (double)divide_up(p->s.ow, f->m);
}

static bool is_split_useful(const struct wg_problem *p, const struct wg_config *c)
{
  const struct wg_tile_shape *t = &WG_TILES[c->tile];
  const struct wg_form *f = &WG_FORMS[c->form];
  double points = t->structure == WG_STAGED ? f->n * f->n : 1;
  double blocks = points * (double)divide_up(p->s.k, t->weights) * ceil(tiles_of(p, f) / t->tiles);
  return c->splits == 1 || (c->chunk == 0 && p->s.c >= 2 * c->splits * t->slice &&
                            blocks * c->splits <= 6.0 * p->units * t->per_sm);
}

/* A part should fill the device and stay in the cache with all that is made of it; or, where the whole takes more memory
 * than many builds give, be the largest that takes at most 2 GB. */
static bool is_chunk_useful(const struct wg_problem *p, const struct wg_config *c)
{
  const struct wg_form *f = &WG_FORMS[c->form];
  double tiles = (double)((int64_t)1 << c->chunk), tile = f->n * f->n * (double)(p->s.c + p->s.k) * 4;
  return c->chunk == 0 || (tiles < tiles_of(p, f) && ((tiles * tile > 8e6 && tiles * tile < 90e6) ||
                                                      (tiles * tile > 1e9 && tiles * tile <= 2e9)));
}

enum wg_packing wg_packing_of(const struct wg_config *c)
{
  const struct wg_tile_shape *t = &WG_TILES[c->tile];
  return t->structure == WG_FUSED     ? WG_PACK_SLICES
         : t->unit == WG_TF32X3_GROUP ? WG_PACK_IMAGES
                                      : WG_PACK_ROWS;
}

bool wg_is_possible(const struct wg_problem *p, const struct wg_config *c)
{
  const struct wg_tile_shape *t = &WG_TILES[c->tile];
  if (WG_FORMS[c->form].r != p->r || c->splits < 1)
    return false;
  if (t->structure == WG_FEW && t->unit == WG_FFMA)
    return c->form == (t->weights == 16 ? WG_f2r3 : WG_f4r3) && (p->s.c == 1 || p->s.c == 3 || p->s.c == 4) &&
           c->splits == 1 && c->chunk == 0;
  if (t->structure == WG_FEW)
    return c->form == WG_f2r3 && p->s.c <= 4 && (t->unit == WG_TF32) == (p->dtype == GIE_F16) &&
           c->splits == 1 && c->chunk == 0;
  if (t->structure == WG_FUSED && (c->form != WG_f2r3 || c->chunk != 0 || c->splits > 8))
    return false;
  return (t->unit == WG_F16MMA) == (p->dtype == GIE_F16);
}

/* ---- Errors, as measured (bench/results/winograd_layers.txt): `times` those of cuDNN's strict f32 convolution, the worst
 * of its units on random and trained weights, from 8 channels on and below, where a direct convolution has next to no
 * error; bounds on the largest error by the largest result, with room for other data: in f32 they grow as the root of
 * the channels, in f16 they do not. */
static const struct {
  float times, times_few, f32, f16;
} ERRORS[WG_N_FORMS] = {[WG_f2r3] = {1.3f, 2.2f, 1.5e-7f, 2e-3f},
                        [WG_f4r3] = {3.7f, 6.3f, 4e-7f, 4e-3f},
                        [WG_f2r5] = {2.0f, 5.0f, 6e-7f, 6e-3f},
                        [WG_f6r3] = {15.0f, 43.0f, 4e-6f, 4e-2f}};
#define STRICT_TIMES 4.0f /* what still counts as f32 */
#define HALF_BOUND 1e-2f  /* and as f16 */

float wg_error_bound(const struct wg_problem *p, const struct wg_config *c)
{
  return p->dtype == GIE_F16 ? ERRORS[c->form].f16 : ERRORS[c->form].f32 * (float)sqrt((double)p->s.c + 64);
}

/* Others are for those who say that they take errors. */
static bool is_accurate(const struct wg_problem *p, const struct wg_config *c, enum gie_math math)
{
  if (p->dtype == GIE_F16)
    return math == GIE_MATH_FAST || ERRORS[c->form].f16 <= HALF_BOUND;
  return math != GIE_MATH_STRICT ||
         (p->s.c < 8 ? ERRORS[c->form].times_few : ERRORS[c->form].times) <= STRICT_TIMES;
}

bool wg_is_offered(const struct wg_problem *p, const struct wg_config *c, enum gie_math math)
{
  return wg_is_possible(p, c) && is_accurate(p, c, math) && is_split_useful(p, c) && is_chunk_useful(p, c);
}

/* ---- Cost */

/* Of a multiprocessor, in operations a second, as the products reach them; of the device, in bytes. */
static const double RATE[] = {
    [WG_FFMA] = 0.38e12, [WG_TF32X3] = 0.58e12, [WG_F16MMA] = 2.4e12, [WG_TF32X3_GROUP] = 1.1e12};
#define FUSED_RATE 0.37e12
#define MEMORY_RATE 3.4e12
#define CACHE_RATE 4.5e12
#define CACHE_BYTES 40e6
#define LAUNCH 2.0e-6

/* How much of it small tiles reach, which read more for a product, and blocks that have a multiprocessor to themselves. */
static double reached(const struct wg_tile_shape *t)
{
  if (t->unit == WG_TF32X3_GROUP)
    return t->per_sm > 1 ? 1 : 0.85;
  return t->weights * t->tiles < 64 * 64 ? 0.7 : t->weights * t->tiles < 64 * 128 ? 0.85 : 1;
}

static double move_time(double bytes, double live)
{
  return bytes / (live < CACHE_BYTES ? CACHE_RATE : MEMORY_RATE);
}

/* Blocks of equal work on multiprocessors that hold per_sm of them; *waves as in struct gie_cost. */
static double product_time(const struct wg_tile_shape *t, double rate, double blocks, double flops, int units,
                           double *waves)
{
  double resident = fmin(t->per_sm, ceil(blocks / units)), slots = units * resident;
  *waves = blocks / slots;
  return ceil(*waves) * flops * resident / (rate * fmin(1, 0.6 + 0.4 * resident / t->per_sm));
}

static double estimate_staged(const struct wg_problem *p, const struct wg_config *c, struct gie_cost *cost)
{
  const struct wg_tile_shape *t = &WG_TILES[c->tile];
  const struct wg_form *f = &WG_FORMS[c->form];
  double points = f->n * f->n, all = tiles_of(p, f),
         size = p->dtype == GIE_F16 ? 3 : 4; /* f16: one at a time */
  double tiles = c->chunk ? fmin(all, (double)((int64_t)1 << c->chunk)) : all, parts = ceil(all / tiles);
  double x = (double)p->s.c * tiles * f->m * f->m * size, y = (double)p->s.k * tiles * f->m * f->m * size;
  double v = points * (double)p->s.c * tiles * size, m = points * (double)p->s.k * tiles * 4 * c->splits;
  double w = points * (double)p->s.c * (double)p->s.k * size * (t->unit == WG_TF32X3_GROUP ? 2 : 1),
         channels = (double)divide_up(p->s.c, c->splits), waves;
  double blocks = points * c->splits * (double)divide_up(p->s.k, t->weights) * ceil(tiles / t->tiles);
  double flops = 2.0 * t->weights * t->tiles * (channels + t->slice);
  double product = product_time(t, RATE[t->unit] * reached(t), blocks, flops, p->units, &waves);
  product = fmax(product, move_time(v + m + w, v + m + w)) +
            0.3 * fmin(product, move_time(v + m + w, v + m + w));
  if (cost) {
    cost->flops = 2 * points * (double)p->s.c * (double)p->s.k * all;
    cost->bytes = (x + y + 2 * (v + m)) * parts + w;
    cost->waves = waves;
  }
  return parts * (move_time(x + v, v + m) + product + move_time(m + y, v + m) + 3 * LAUNCH);
}

static double estimate_fused(const struct wg_problem *p, const struct wg_config *c, struct gie_cost *cost)
{
  const struct wg_tile_shape *t = &WG_TILES[c->tile];
  double tiles = tiles_of(p, &WG_FORMS[c->form]), channels = (double)divide_up(p->s.c, c->splits), waves;
  const double points = WG_FORMS[c->form].n * WG_FORMS[c->form].n, m = WG_FORMS[c->form].m;
  double blocks = (double)divide_up(p->s.k, t->weights) * ceil(tiles / 32) * c->splits;
  double product = product_time(t, FUSED_RATE, blocks,
                                2 * points * t->weights * 32 * (ceil(channels / t->slice) * t->slice + 24),
                                p->units, &waves);
  double weights = blocks * points * t->weights * channels * 4; /* each block reads its own from the cache */
  if (cost) {
    cost->flops = 2 * points * (double)p->s.c * (double)p->s.k * tiles;
    cost->bytes = points * (double)p->s.c * (double)p->s.k * 4 +
                  4 * m * m * tiles * (double)(p->s.c + p->s.k);
    cost->waves = waves;
  }
  return fmax(product, weights / CACHE_RATE) + (c->splits > 1 ? 4 : 2) * LAUNCH;
}

/* Issue slots of a warp for 16 channels of 8 tiles on tensor cores, with its share of the transforms, and how many a
 * scheduler fills in a second: as profiled. */
#define FEW_SLOTS 370.0
#define FEW_RATE 1.15e9

static double estimate_few(const struct wg_problem *p, const struct wg_config *c, struct gie_cost *cost)
{
  const struct wg_tile_shape *t = &WG_TILES[c->tile];
  const double points = WG_FORMS[c->form].n * WG_FORMS[c->form].n, m = WG_FORMS[c->form].m;
  double tiles = tiles_of(p, &WG_FORMS[c->form]), size = p->dtype == GIE_F16 ? 2 : 4;
  double bytes = m * m * tiles * (double)(p->s.c + p->s.k) * size;
  double work = tiles * points *
                ((double)p->s.k * (2 * (double)p->s.c + 8) +
                 (double)divide_up(p->s.k, t->weights) * 14 * (double)p->s.c);
  double seconds = t->unit == WG_FFMA
                       ? work / (p->units * RATE[WG_FFMA] * 0.5)
                       : tiles / 8 * (double)divide_up(p->s.k, 16) * FEW_SLOTS / (p->units * 4.0 * FEW_RATE);
  if (cost) {
    cost->flops = work;
    cost->bytes = bytes;
    cost->waves = ceil(tiles / t->tiles) * (double)divide_up(p->s.k, t->weights) /
                  (p->units * (double)t->per_sm);
  }
  return fmax(move_time(bytes, bytes), seconds) + 1.5 * LAUNCH;
}

double wg_estimate(const struct wg_problem *p, const struct wg_config *c, struct gie_cost *cost)
{
  static double (*const ESTIMATE[])(const struct wg_problem *, const struct wg_config *, struct gie_cost *) =
      {[WG_STAGED] = estimate_staged, [WG_FUSED] = estimate_fused, [WG_FEW] = estimate_few};
  return ESTIMATE[WG_TILES[c->tile].structure](p, c, cost);
}
