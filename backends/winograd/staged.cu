/* SPDX-License-Identifier: Apache-2.0 */
/* The staged form: three kernels, each of which may start while the one in front ends. With a chunk the
 * tiles go through in parts whose transforms stay in the cache. */
#include "backends/winograd/winograd.h"

#include "backends/winograd/k_gemm.cuh"
#include "backends/winograd/k_transform.cuh"

/* ---- Instances of the product */

/* unit, weights, tiles, slice, warps along weights and tiles, stages, blocks of a multiprocessor */
#define WG_TILE_LIST(X)               \
  X(TF32X3, 128, 128, 16, 2, 4, 4, 1) \
  X(TF32X3, 128, 64, 16, 2, 2, 4, 2)  \
  X(TF32X3, 64, 128, 16, 2, 2, 4, 2)  \
  X(TF32X3, 64, 64, 16, 2, 2, 4, 3)   \
  X(TF32X3, 64, 32, 32, 2, 2, 4, 3)   \
  X(FFMA, 128, 128, 16, 2, 4, 4, 2)   \
  X(FFMA, 64, 64, 16, 2, 2, 4, 4)     \
  X(F16MMA, 128, 128, 32, 2, 4, 4, 2) \
  X(F16MMA, 64, 64, 32, 2, 2, 4, 4)

#define WG_UNIT_OF_TF32X3 WG_UNIT_TF32X3
#define WG_UNIT_OF_FFMA WG_UNIT_FFMA
#define WG_UNIT_OF_F16MMA WG_UNIT_F16

extern "C" {
const struct wg_tile_shape WG_TILES[] = {
#define WG_TILE_SHAPE(unit, w, p, slice, warps_w, warps_p, stages, per_sm) \
  {WG_UNIT_OF_##unit, w, p, slice, per_sm},
    WG_TILE_LIST(WG_TILE_SHAPE)
#undef WG_TILE_SHAPE
};
const int WG_N_TILES = sizeof WG_TILES / sizeof WG_TILES[0];
}

struct wg_tile_code {
  const void *kernel[2]; /* channels first, channels last */
  int threads, shared[2];
};
static const wg_tile_code CODE[] = {
#define WG_TILE_CODE(unit, w, p, slice, warps_w, warps_p, stages, per_sm)                          \
  {{(const void *)wg_gemm_kernel<WG_##unit, false, w, p, slice, warps_w, warps_p, stages, per_sm>, \
    (const void *)wg_gemm_kernel<WG_##unit, true, p, w, slice, warps_p, warps_w, stages, per_sm>}, \
   32 * warps_w * warps_p,                                                                         \
   {wg_gemm_tile<WG_##unit, false, w, p, slice, warps_w, warps_p, stages>::shared,                 \
    wg_gemm_tile<WG_##unit, true, p, w, slice, warps_p, warps_w, stages>::shared}},
    WG_TILE_LIST(WG_TILE_CODE)
#undef WG_TILE_CODE
};

/* ---- Instances of the transforms, by form, order and type */

struct wg_transform_code {
  const void *input, *output;
};
#define WG_FORM(name, m, r, points)                                   \
  {{{(const void *)wg_input_kernel<wg_##name, false, float, float>,   \
     (const void *)wg_output_kernel<wg_##name, false, float>},        \
    {(const void *)wg_input_kernel<wg_##name, false, __half, __half>, \
     (const void *)wg_output_kernel<wg_##name, false, __half>}},      \
   {{(const void *)wg_input_kernel<wg_##name, true, float, float>,    \
     (const void *)wg_output_kernel<wg_##name, true, float>},         \
    {(const void *)wg_input_kernel<wg_##name, true, __half, __half>,  \
     (const void *)wg_output_kernel<wg_##name, true, __half>}}},
static const wg_transform_code TRANSFORMS[WG_N_FORMS][2][2] = {
#include "backends/winograd/points.def"
};
#undef WG_FORM

/* ---- Sizes */

struct wg_staged {
  wg_problem p;
  wg_config c;
  wg_tile_shape tile;
  const void *input, *product, *output;
  int threads, shared;
  int n, m;                               /* of the form */
  int64_t tiles_x, tiles_y, tiles, chunk; /* tiles in all, and at once */
  int64_t size;                           /* of an element of the transformed input */
};

extern "C" size_t wg_staged_bytes(void) { return sizeof(struct wg_staged); }

static int64_t round_up(int64_t v, int64_t to) { return (v + to - 1) / to * to; }

/* Elements of a row of the transformed input and of the products, for `count` tiles. */
static int64_t input_row(const wg_staged *s, int64_t count)
{
  return round_up(s->p.channels_last ? s->p.s.c : count, 16 / s->size);
}
static int64_t output_row(const wg_staged *s, int64_t count)
{
  return s->p.channels_last ? wg_padded(s->p.s.k) : round_up(count, 16 / s->size);
}
static int64_t input_rows(const wg_staged *s, int64_t count) { return s->p.channels_last ? count : s->p.s.c; }
static int64_t output_rows(const wg_staged *s, int64_t count)
{
  return s->p.channels_last ? count : s->p.s.k;
}

static void fill(const wg_problem *p, const wg_config *c, wg_staged *s)
{
  const wg_form *f = &WG_FORMS[c->form];
  bool half = p->dtype == GIE_F16;
  memset(s, 0, sizeof *s);
  s->p = *p;
  s->c = *c;
  s->tile = WG_TILES[c->tile];
  s->input = TRANSFORMS[c->form][p->channels_last][half].input;
  s->output = TRANSFORMS[c->form][p->channels_last][half].output;
  s->product = CODE[c->tile].kernel[p->channels_last];
  s->threads = CODE[c->tile].threads;
  s->shared = CODE[c->tile].shared[p->channels_last];
  s->n = f->n;
  s->m = f->m;
  s->tiles_x = (p->s.ow + f->m - 1) / f->m;
  s->tiles_y = (p->s.oh + f->m - 1) / f->m;
  s->tiles = p->s.n * s->tiles_x * s->tiles_y;
  s->chunk = c->chunk && (int64_t)1 << c->chunk < s->tiles ? (int64_t)1 << c->chunk : s->tiles;
  s->size = half ? 2 : 4;
}

static int64_t input_bytes(const wg_staged *s)
{
  return round_up(s->n * s->n * input_rows(s, s->chunk) * input_row(s, s->chunk) * s->size, 256);
}

/* Every index of a launch fits 31 bits, and so does what is counted per point. */
static bool is_small(const wg_staged *s)
{
  int64_t limit = INT32_MAX / 2, in, out;
  return !__builtin_mul_overflow(input_rows(s, s->chunk), input_row(s, s->chunk), &in) &&
         !__builtin_mul_overflow(output_rows(s, s->chunk), output_row(s, s->chunk), &out) && in < limit &&
         out < limit;
}

extern "C" bool wg_staged_workspace(const struct wg_problem *p, const struct wg_config *c, size_t *bytes)
{
  wg_staged s;
  fill(p, c, &s);
  if (s.tiles > INT32_MAX / 2 || !is_small(&s))
    return false;
  *bytes = (size_t)(input_bytes(&s) +
                    (int64_t)s.n * s.n * output_rows(&s, s.chunk) * output_row(&s, s.chunk) * 4 * c->splits);
  return true;
}

extern "C" cudaError_t wg_staged_make(const struct wg_problem *p, const struct wg_config *c,
                                      struct wg_staged *out)
{
  fill(p, c, out);
  return cudaFuncSetAttribute(out->product, cudaFuncAttributeMaxDynamicSharedMemorySize, out->shared);
}

/* ---- Launches */

static cudaError_t launch(const void *kernel, dim3 grid, int threads, int shared, cudaStream_t stream,
                          bool early, void **args)
{
  cudaLaunchAttribute attr;
  cudaLaunchConfig_t config = {};
  attr.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attr.val.programmaticStreamSerializationAllowed = 1;
  config.gridDim = grid;
  config.blockDim = dim3((unsigned)threads);
  config.dynamicSmemBytes = (size_t)shared;
  config.stream = stream;
  config.attrs = &attr;
  config.numAttrs = early ? 1 : 0;
  return cudaLaunchKernelExC(&config, kernel, args);
}

static wg_geometry geometry(const wg_staged *s, int64_t first, int64_t count)
{
  const wg_problem *p = &s->p;
  wg_geometry g = {};
  g.n = (int)p->s.n, g.c = (int)p->s.c, g.h = (int)p->s.h, g.w = (int)p->s.w;
  g.k = (int)p->s.k, g.oh = (int)p->s.oh, g.ow = (int)p->s.ow;
  g.pad_h = (int)p->s.pad_h, g.pad_w = (int)p->s.pad_w;
  g.tiles_x = wg_divider_of(s->tiles_x);
  g.tiles = wg_divider_of(s->tiles_x * s->tiles_y);
  g.first = (int)first, g.count = (int)count;
  g.x_n = p->x_n, g.x_c = p->x_c, g.y_n = p->y_n, g.y_c = p->y_c;
  g.x_h = (int)p->x_h, g.x_w = (int)p->x_w, g.y_h = (int)p->y_h, g.y_w = (int)p->y_w;
  return g;
}

template <class T>
static cudaError_t launch_input(const wg_staged *s, const wg_geometry &g, const wg_addresses *a,
                                cudaStream_t stream)
{
  int64_t rows = input_rows(s, g.count), row = input_row(s, g.count);
  wg_input_args<T, T> args = {g,          (const T *)a->x,    (T *)a->workspace,     (int)row,
                              rows * row, wg_divider_of(row), (uint32_t)(rows * row)};
  void *pointers[] = {&args};
  return launch(s->input, dim3((unsigned)((rows * row + 127) / 128)), 128, 0, stream, false, pointers);
}

static cudaError_t launch_product(const wg_staged *s, int64_t count, const wg_addresses *a, float *m,
                                  cudaStream_t stream)
{
  const bool last = s->p.channels_last;
  const int64_t row = input_row(s, count), out_row = output_row(s, count), weights = wg_padded(s->p.s.k);
  const int64_t step_v = input_rows(s, count) * row, step_w = s->p.s.c * weights;
  const int64_t slices = (s->p.s.c + s->tile.slice - 1) / s->tile.slice;
  wg_gemm g = {};
  g.a = last ? a->workspace : a->packed;
  g.b = last ? a->packed : a->workspace;
  g.d = m;
  g.m = (int)(last ? count : s->p.s.k);
  g.n = (int)(last ? s->p.s.k : count);
  g.k = (int)s->p.s.c;
  g.lda = (int)(last ? row : weights);
  g.ldb = (int)(last ? weights : row);
  g.ldd = (int)out_row;
  g.step_a = last ? step_v : step_w;
  g.step_b = last ? step_w : step_v;
  g.step_d = output_rows(s, count) * out_row;
  g.splits = s->c.splits;
  g.k_split = (int)((slices + s->c.splits - 1) / s->c.splits * s->tile.slice);
  g.step_split = (int64_t)s->n * s->n * g.step_d;
  void *pointers[] = {&g};
  return launch(s->product,
                dim3((unsigned)((s->p.s.k + s->tile.weights - 1) / s->tile.weights),
                     (unsigned)((count + s->tile.tiles - 1) / s->tile.tiles),
                     (unsigned)(s->n * s->n * g.splits)),
                s->threads, s->shared, stream, true, pointers);
}

template <class T>
static cudaError_t launch_output(const wg_staged *s, const wg_geometry &g, const gie_cuda_steps *steps,
                                 const wg_addresses *a, const float *m, cudaStream_t stream)
{
  int64_t rows = output_rows(s, g.count), row = output_row(s, g.count);
  size_t vector = sizeof(T) * (size_t)s->m;
  bool aligned = !s->p.channels_last && (s->m & (s->m - 1)) == 0 && s->p.s.ow % s->m == 0 && g.y_w == 1 &&
                 (size_t)a->y % vector == 0 && g.y_h % s->m == 0 && g.y_c % s->m == 0 && g.y_n % s->m == 0;
  wg_output_args<T> args = {g,
                            m,
                            (T *)a->y,
                            a->bias,
                            s->p.dtype == GIE_F16,
                            aligned,
                            (int)row,
                            rows * row,
                            s->c.splits,
                            (int64_t)s->n * s->n * rows * row,
                            wg_divider_of(row),
                            (uint32_t)(rows * row)};
  void *pointers[] = {&args, (void *)steps};
  return launch(s->output, dim3((unsigned)((rows * row + 127) / 128)), 128, 0, stream, true, pointers);
}

extern "C" cudaError_t wg_staged_run(const struct wg_staged *s, const struct gie_cuda_steps *steps,
                                     const struct wg_addresses *a, cudaStream_t stream)
{
  float *m = (float *)((char *)a->workspace + input_bytes(s));
  bool half = s->p.dtype == GIE_F16;
  for (int64_t first = 0; first < s->tiles; first += s->chunk) {
    int64_t count = s->tiles - first < s->chunk ? s->tiles - first : s->chunk;
    wg_geometry g = geometry(s, first, count);
    cudaError_t e = half ? launch_input<__half>(s, g, a, stream) : launch_input<float>(s, g, a, stream);
    if (e == cudaSuccess)
      e = launch_product(s, count, a, m, stream);
    if (e == cudaSuccess)
      e = half ? launch_output<__half>(s, g, steps, a, m, stream)
               : launch_output<float>(s, g, steps, a, m, stream);
    if (e != cudaSuccess)
      return e;
  }
  return cudaSuccess;
}
