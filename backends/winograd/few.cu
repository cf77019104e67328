/* SPDX-License-Identifier: Apache-2.0 */
/* One kernel for convolutions of up to four input channels, with FFMA or on tensor cores. */
#include "backends/winograd/k_few_mma.cuh"
#include "backends/winograd/launch.cuh"

struct few_plan {
  wg_problem p;
  wg_config c;
  const void *kernel;
  wg_geometry g;
  dim3 grid;
};

/* ---- Instances */

/* One, three and four input channels. */
#define WG_FEW_CODE(form, keep, type)                            \
  {                                                              \
    {(const void *)wg_few_first_kernel<form, 1, keep, type>,     \
     (const void *)wg_few_first_kernel<form, 3, keep, type>,     \
     (const void *)wg_few_first_kernel<form, 4, keep, type>},    \
    {                                                            \
      (const void *)wg_few_last_kernel<form, 1, keep, type>,     \
          (const void *)wg_few_last_kernel<form, 3, keep, type>, \
          (const void *)wg_few_last_kernel<form, 4, keep, type>  \
    }                                                            \
  }
/* form, f16, channels last, input channels */
static const void *const FFMA[2][2][2][3] = {{WG_FEW_CODE(wg_f2r3, 16, float),
                                              WG_FEW_CODE(wg_f2r3, 16, __half)},
                                             {WG_FEW_CODE(wg_f4r3, 8, float),
                                              WG_FEW_CODE(wg_f4r3, 8, __half)}};
/* f16, channels last */
static const void *const MMA[2][2] = {{(const void *)wg_few_mma_kernel<false, float>,
                                       (const void *)wg_few_mma_kernel<true, float>},
                                      {(const void *)wg_few_mma_kernel<false, __half>,
                                       (const void *)wg_few_mma_kernel<true, __half>}};

/* ---- Plans */

static bool has(const struct wg_tile_shape *t) { return t->structure == WG_FEW; }

static int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

static void fill_ffma(few_plan *f)
{
  const wg_tile_shape *t = &WG_TILES[f->c.tile];
  const wg_problem *p = &f->p;
  const int m = WG_FORMS[f->c.form].m;
  const bool last = p->channels_last;
  const int64_t tiles = p->s.n * divide_up(p->s.oh, m) * divide_up(p->s.ow, m);
  f->kernel = FFMA[f->c.form == WG_f4r3][p->dtype == GIE_F16][last][p->s.c == 1 ? 0 : p->s.c - 2];
  f->g = wg_geometry_of(p, m, 0, tiles);
  f->grid = dim3((unsigned)divide_up(tiles, last ? t->weights : t->tiles),
                 (unsigned)divide_up(p->s.k, last ? 128 : t->weights));
}

/* Blocks go through units of 8 tiles as long as there are more than all multiprocessors hold at once. */
static void fill_mma(few_plan *f)
{
  using S = wg_few_mma;
  const wg_problem *p = &f->p;
  const int64_t units_x = divide_up(p->s.ow, 2 * S::TILES), units = units_x * divide_up(p->s.oh, 2),
                channels = divide_up(p->s.k, S::K * S::WARPS), work = divide_up(units * p->s.n, S::WARPS);
  const int64_t turns = divide_up(work * channels,
                                  (int64_t)p->units *
                                      (p->dtype == GIE_F16 ? S::per_sm<__half> : S::per_sm<float>));
  f->kernel = MMA[p->dtype == GIE_F16][p->channels_last];
  f->g = wg_geometry_of(p, 2, 0, units * p->s.n);
  f->g.tiles_x = wg_divider_of(units_x);
  f->g.tiles = wg_divider_of(units);
  f->grid = dim3((unsigned)divide_up(work, turns), (unsigned)channels);
}

static bool workspace(const struct wg_problem *p, const struct wg_config *c, size_t *bytes)
{
  const int64_t m = WG_FORMS[c->form].m;
  int64_t tiles;
  *bytes = 0;
  return !__builtin_mul_overflow(divide_up(p->s.oh, m), divide_up(p->s.ow, m), &tiles) &&
         !__builtin_mul_overflow(tiles, p->s.n, &tiles) && tiles < INT32_MAX / 2 && p->s.k <= 65535 * 8;
}

static cudaError_t make(const struct wg_problem *p, const struct wg_config *c, void *plan)
{
  few_plan *f = (few_plan *)plan;
  memset((void *)f, 0, sizeof *f);
  f->p = *p;
  f->c = *c;
  if (WG_TILES[c->tile].unit == WG_FFMA) {
    fill_ffma(f);
    return cudaSuccess;
  }
  fill_mma(f);
  return wg_check_device(false);
}

static cudaError_t run(const void *plan, const struct gie_cuda_steps *steps, const struct wg_addresses *a,
                       cudaStream_t stream)
{
  const few_plan *f = (const few_plan *)plan;
  const wg_problem *p = &f->p;
  const bool mma = WG_TILES[f->c.tile].unit != WG_FFMA;
  wg_few_args<float> args = {f->g,
                             (const float *)a->x,
                             (const float *)a->packed,
                             (float *)a->y,
                             a->bias,
                             p->dtype == GIE_F16,
                             mma && p->channels_last ? wg_channels_are_vectors(p, 2, a->y)
                             : mma                   ? wg_rows_are_vectors(p, 4, a->y)
                                                     : wg_rows_are_vectors(p, WG_FORMS[f->c.form].m, a->y),
                             (int)wg_padded(p->s.k)};
  void *pointers[] = {&args, (void *)steps}; /* of f16 too: only the types of the addresses differ */
  return wg_launch(f->kernel, f->grid, wg_few_mma::THREADS, 0, stream, 1, pointers);
}

extern "C" {
const struct wg_structure wg_few_structure = {
    "more than four input channels, or a kernel other than 3x3", has, sizeof(few_plan), workspace, make, run};
}
