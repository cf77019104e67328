/* SPDX-License-Identifier: Apache-2.0 */
/* The staged form: three kernels. With a chunk the
 * tiles go through in parts whose transforms stay in the cache. */
#include "backends/winograd/k_gemm.cuh"
#include "backends/winograd/k_transform.cuh"
#include "backends/winograd/launch.cuh"

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
  const void *input, *output;
  wg_product product;
  int n, m;                               /* of the form */
  int64_t tiles_x, tiles_y, tiles, chunk; /* tiles in all, and at once */
  int64_t size;                           /* of an element of the transformed input */
};

static bool has(const struct wg_tile_shape *t) { return t->structure == WG_STAGED; }

static int64_t round_up(int64_t v, int64_t to) { return (v + to - 1) / to * to; }

static bool is_group(const wg_staged *s) { return s->tile.unit == WG_TF32X3_GROUP; }

/* Elements of a row of the transformed input and of the products, for `count` tiles; rows. Images are as many as
 * channels and tiles that they hold. */
static int64_t channels(const wg_staged *s) { return is_group(s) ? round_up(s->p.s.c, 32) : s->p.s.c; }
static int64_t tiles(const wg_staged *s, int64_t count) { return is_group(s) ? round_up(count, 64) : count; }

static int64_t input_row(const wg_staged *s, int64_t count)
{
  return round_up(s->p.channels_last ? channels(s) : tiles(s, count), 16 / s->size);
}
static int64_t input_rows(const wg_staged *s, int64_t count)
{
  return s->p.channels_last ? tiles(s, count) : channels(s);
}
static int64_t output_row(const wg_staged *s, int64_t count)
{
  return s->p.channels_last ? wg_padded(s->p.s.k) : round_up(count, 16 / s->size);
}
static int64_t output_rows(const wg_staged *s, int64_t count)
{
  return s->p.channels_last ? count : s->p.s.k;
}

static void fill(const wg_problem *p, const wg_config *c, wg_staged *s)
{
  const wg_form *f = &WG_FORMS[c->form];
  bool half = p->dtype == GIE_F16;
  memset((void *)s, 0, sizeof *s);
  s->p = *p;
  s->c = *c;
  s->tile = WG_TILES[c->tile];
  s->input = TRANSFORMS[c->form][p->channels_last][half].input;
  s->output = TRANSFORMS[c->form][p->channels_last][half].output;
  s->product = wg_product_of(c->tile, p->channels_last);
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

/* Every index of a launch fits 31 bits, so does what is counted per point, and a grid has its blocks along tiles. */
static bool is_small(const wg_staged *s)
{
  int64_t limit = INT32_MAX / 2, in, out;
  return !__builtin_mul_overflow(input_rows(s, s->chunk), input_row(s, s->chunk), &in) &&
         !__builtin_mul_overflow(output_rows(s, s->chunk), output_row(s, s->chunk), &out) && in < limit &&
         out < limit && (s->chunk + s->tile.tiles - 1) / s->tile.tiles <= 65535;
}

static bool workspace(const struct wg_problem *p, const struct wg_config *c, size_t *bytes)
{
  wg_staged s;
  fill(p, c, &s);
  if (s.tiles > INT32_MAX / 2 || !is_small(&s))
    return false;
  *bytes = (size_t)(input_bytes(&s) +
                    (int64_t)s.n * s.n * output_rows(&s, s.chunk) * output_row(&s, s.chunk) * 4 * c->splits);
  return true;
}

static cudaError_t make(const struct wg_problem *p, const struct wg_config *c, void *plan)
{
  wg_staged *s = (wg_staged *)plan;
  fill(p, c, s);
  cudaFuncAttributes code;
  cudaError_t e = wg_check_device(false);
  if (e == cudaSuccess)
    e = cudaFuncGetAttributes(&code, s->product.kernel);
  if (e == cudaSuccess && code.maxThreadsPerBlock < s->product.threads)
    e = cudaErrorNotSupported; /* code of a device without these instructions */
  if (e != cudaSuccess)
    return e;
  return cudaFuncSetAttribute(s->product.kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                              s->product.shared);
}

/* ---- Launches */

template <class T>
static cudaError_t launch_input(const wg_staged *s, const wg_geometry &g, const wg_addresses *a,
                                cudaStream_t stream)
{
  int64_t rows = input_rows(s, g.count), row = input_row(s, g.count);
  wg_input_args<T, T> args = {
      g,          (const T *)a->x,    (T *)a->workspace,     is_group(s) ? (int)channels(s) / 32 : 0,
      rows * row, wg_divider_of(row), (uint32_t)(rows * row)};
  void *pointers[] = {&args};
  return wg_launch(s->input, dim3((unsigned)((rows * row + 127) / 128)), 128, 0, stream, 1, pointers);
}

static cudaError_t launch_product(const wg_staged *s, int64_t count, const wg_addresses *a, float *m,
                                  cudaStream_t stream)
{
  /* the transformed input is A of a product of warpgroups, whichever the layout */
  const bool last = s->p.channels_last, group = is_group(s), first = last || group;
  const int64_t row = input_row(s, count), out_row = output_row(s, count), weights = wg_padded(s->p.s.k);
  const int64_t step_v = input_rows(s, count) * row,
                step_w = group ? channels(s) * round_up(s->p.s.k, 64) * 2 : s->p.s.c * weights;
  const int64_t slices = (s->p.s.c + s->tile.slice - 1) / s->tile.slice;
  wg_gemm g = {};
  g.a = first ? a->workspace : a->packed;
  g.b = first ? a->packed : a->workspace;
  g.d = m;
  g.m = (int)(first ? count : s->p.s.k);
  g.n = (int)(first ? s->p.s.k : count);
  g.k = (int)s->p.s.c;
  g.lda = (int)(first ? row : weights);
  g.ldb = (int)(first ? weights : row);
  g.ldd = (int)out_row;
  g.step_a = first ? step_v : step_w;
  g.step_b = first ? step_w : step_v;
  g.step_d = output_rows(s, count) * out_row;
  g.splits = s->c.splits;
  g.k_split = (int)((slices + s->c.splits - 1) / s->c.splits * s->tile.slice);
  g.step_split = (int64_t)s->n * s->n * g.step_d;
  void *pointers[] = {&g};
  return wg_launch(s->product.kernel,
                   dim3((unsigned)((s->p.s.k + s->tile.weights - 1) / s->tile.weights),
                        (unsigned)((count + s->tile.tiles - 1) / s->tile.tiles),
                        (unsigned)(s->n * s->n * g.splits)),
                   s->product.threads, s->product.shared, stream, 1, pointers);
}

template <class T>
static cudaError_t launch_output(const wg_staged *s, const wg_geometry &g, const gie_cuda_steps *steps,
                                 const wg_addresses *a, const float *m, cudaStream_t stream)
{
  int64_t rows = output_rows(s, g.count), row = output_row(s, g.count);
  bool aligned = wg_rows_are_vectors(&s->p, s->m, a->y);
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
  return wg_launch(s->output, dim3((unsigned)((rows * row + 127) / 128)), 128, 0, stream, 1, pointers);
}

static cudaError_t run(const void *plan, const struct gie_cuda_steps *steps, const struct wg_addresses *a,
                       cudaStream_t stream)
{
  const wg_staged *s = (const wg_staged *)plan;
  float *m = (float *)((char *)a->workspace + input_bytes(s));
  bool half = s->p.dtype == GIE_F16;
  for (int64_t first = 0; first < s->tiles; first += s->chunk) {
    int64_t count = s->tiles - first < s->chunk ? s->tiles - first : s->chunk;
    wg_geometry g = wg_geometry_of(&s->p, s->m, first, count);
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

extern "C" {
const struct wg_structure wg_staged_structure = {
    "no form for this kernel, or tensors above 2^30 elements", has, sizeof(wg_staged), workspace, make, run};
}
