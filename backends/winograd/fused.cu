/* SPDX-License-Identifier: Apache-2.0 */
/* One kernel for the whole convolution. */
#include "backends/winograd/k_fused.cuh"
#include "backends/winograd/launch.cuh"

struct fused_plan {
  wg_problem p;
  wg_config c;
  const void *kernel;
  wg_geometry g;
  int blocks, work, channels; /* as in wg_fused_args */
  dim3 grid;
};

/* ---- Plans */

static bool has(const struct wg_tile_shape *t) { return t->structure == WG_FUSED; }

static int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

static void fill(const wg_problem *p, const wg_config *c, fused_plan *f)
{
  using S = wg_fused_shape;
  const int64_t tiles = p->s.n * divide_up(p->s.ow, 2) * divide_up(p->s.oh, 2),
                pairs = divide_up(p->s.c, 2 * S::C); /* of slices */
  memset((void *)f, 0, sizeof *f);
  f->p = *p;
  f->c = *c;
  f->kernel = p->channels_last ? (const void *)wg_fused_kernel<true> : (const void *)wg_fused_kernel<false>;
  f->g = wg_geometry_of(p, 2, 0, tiles);
  f->blocks = (int)divide_up(tiles, S::P);
  f->work = f->blocks * (int)divide_up(p->s.k, S::K);
  f->channels = (int)divide_up(pairs, c->splits) * 2 * S::C;
  /* as many blocks as there are multiprocessors take what there is by turns; not where blocks share a sum, or too few
   * slices follow each other */
  const bool turns = c->splits == 1 && p->s.c > S::C && p->units > 1;
  f->grid = dim3((unsigned)(turns ? min(f->work, p->units) : f->work), 1, c->splits);
}

static bool workspace(const struct wg_problem *p, const struct wg_config *c, size_t *bytes)
{
  using S = wg_fused_shape;
  const int64_t m = WG_FORMS[c->form].m;
  int64_t tiles;
  *bytes = 0;
  return !__builtin_mul_overflow(divide_up(p->s.oh, m), divide_up(p->s.ow, m), &tiles) &&
         !__builtin_mul_overflow(tiles, p->s.n, &tiles) && tiles < INT32_MAX / 2 && p->s.c <= INT32_MAX / 2 &&
         divide_up(tiles, S::P) * divide_up(p->s.k, S::K) < INT32_MAX / 2;
}

static cudaError_t make(const struct wg_problem *p, const struct wg_config *c, void *plan)
{
  fused_plan *f = (fused_plan *)plan;
  fill(p, c, f);
  cudaError_t e = wg_check_device(true);
  return e != cudaSuccess ? e
                          : cudaFuncSetAttribute(f->kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                 wg_fused_shape::shared);
}

static cudaError_t run(const void *plan, const struct gie_cuda_steps *steps, const struct wg_addresses *a,
                       cudaStream_t stream)
{
  const fused_plan *f = (const fused_plan *)plan;
  wg_fused_args args = {f->g,
                        (const float *)a->x,
                        (const float *)a->packed,
                        (float *)a->y,
                        (const float *)a->bias,
                        f->p.channels_last ? wg_channels_are_vectors(&f->p, 4, a->y)
                                           : wg_rows_are_vectors(&f->p, 2, a->y),
                        f->channels,
                        wg_divider_of(f->blocks),
                        f->work,
                        2 * wg_fused_shape::C * f->p.x_c * (int64_t)sizeof(float)};
  void *pointers[] = {&args, (void *)steps};
  return wg_launch(f->kernel, f->grid, wg_fused_shape::THREADS, wg_fused_shape::shared, stream, f->c.splits,
                   pointers);
}

extern "C" {
const struct wg_structure wg_fused_structure = {
    "no form in one kernel for this kernel or dtype", has, sizeof(fused_plan), workspace, make, run};
}
