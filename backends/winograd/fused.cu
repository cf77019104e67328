/* SPDX-License-Identifier: Apache-2.0 */
/* One kernel for the whole convolution. */
#include "backends/winograd/k_fused.cuh"
#include "backends/winograd/launch.cuh"

struct fused_plan {
  wg_problem p;
  wg_config c;
  const void *kernel;
  int threads, shared;
  int64_t tiles;
  dim3 grid;
};

/* ---- Instances */

static const void *const FUSED[2] = {(const void *)wg_fused_kernel<false>, /* channels last */
                                     (const void *)wg_fused_kernel<true>};

/* ---- Plans */

static bool has(const struct wg_tile_shape *t) { return t->structure == WG_FUSED; }

static void fill(const wg_problem *p, const wg_config *c, fused_plan *f)
{
  const wg_tile_shape *t = &WG_TILES[c->tile];
  const int m = WG_FORMS[c->form].m;
  const bool last = p->channels_last;
  memset((void *)f, 0, sizeof *f);
  f->p = *p;
  f->c = *c;
  f->tiles = p->s.n * ((p->s.ow + m - 1) / m) * ((p->s.oh + m - 1) / m);
  f->kernel = FUSED[last];
  f->threads = wg_fused_shape::THREADS;
  f->shared = wg_fused_shape::shared;
  f->grid = dim3((unsigned)((f->tiles + 31) / 32), (unsigned)((p->s.k + t->weights - 1) / t->weights),
                 c->splits);
}

static bool workspace(const struct wg_problem *p, const struct wg_config *c, size_t *bytes)
{
  const wg_form *f = &WG_FORMS[c->form];
  int64_t tiles, rows = (p->s.oh + f->m - 1) / f->m, columns = (p->s.ow + f->m - 1) / f->m;
  *bytes = 0;
  return !__builtin_mul_overflow(rows, columns, &tiles) && !__builtin_mul_overflow(tiles, p->s.n, &tiles) &&
         tiles < INT32_MAX / 2 && p->s.k <= 65535 * 8 && p->s.c <= INT32_MAX / 2;
}

static cudaError_t make(const struct wg_problem *p, const struct wg_config *c, void *plan)
{
  fused_plan *f = (fused_plan *)plan;
  fill(p, c, f);
  cudaError_t e = wg_check_device(true);
  return e != cudaSuccess
             ? e
             : cudaFuncSetAttribute(f->kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, f->shared);
}

static cudaError_t run(const void *plan, const struct gie_cuda_steps *steps, const struct wg_addresses *a,
                       cudaStream_t stream)
{
  const fused_plan *f = (const fused_plan *)plan;
  const wg_problem *p = &f->p;
  const int m = WG_FORMS[f->c.form].m;
  const wg_geometry g = wg_geometry_of(p, m, 0, f->tiles);
  const bool half = p->dtype == GIE_F16;
  const int vector = wg_rows_are_vectors(p, m, a->y);
  const int c = wg_fused_shape::C, slices = (int)((p->s.c + c - 1) / c);
  wg_fused_args args = {g,
                        (const float *)a->x,
                        (const float *)a->packed,
                        (float *)a->y,
                        a->bias,
                        half,
                        vector,
                        (slices + f->c.splits - 1) / f->c.splits * c};
  void *pointers[] = {&args, (void *)steps};
  return wg_launch(f->kernel, f->grid, f->threads, f->shared, stream, f->c.splits, pointers);
}

extern "C" {
const struct wg_structure wg_fused_structure = {
    "no form in one kernel for this kernel or dtype", has, sizeof(fused_plan), workspace, make, run};
}
