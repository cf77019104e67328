/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution of images in f16: up to four channels, which lie in one block (nChw4c), strides 1 to 4, channels of the result
 * last; bias and a clip. conv_image.cuh says how. What a network begins with is mostly memory: at batch 128 windows of 3x3 move
 * x and the result at 57 to 62 % of the copy bandwidth of an H200, 7x7, which has more to do on the tensor cores, at 31 %.
 * cuDNN's kernels for first layers take 1.4 to 2.1 times as long. */
#include "backends/cuda/conv_form.h"
#include "backends/cuda/conv_image.cuh"

#include <gie/window.h>

#define MAX_WINDOW 16
#define MAX_STRIDE 4
#define MAX_SHARED (96 * 1024)
#define FULL_BLOCK 64 /* packed weights and bias are filled up to a multiple */

/* The compiled kernels: channels of a block, rows of a tile. The number of a row is part of plans. */
struct image_tile {
  int n, rows;
  const void *function;
};
#define TILE(n, rows)                                                \
  {                                                                  \
    n, 4 * rows, reinterpret_cast<const void *>(image_conv<n, rows>) \
  }
static const struct image_tile TILES[] = {TILE(32, 1), TILE(32, 2), TILE(32, 4),
                                          TILE(64, 1), TILE(64, 2), TILE(64, 4)};
#define TILE_COUNT (sizeof TILES / sizeof *TILES)

struct conv_image {
  struct gie_context *ctx;
  const struct image_tile *tile;
  struct image_args args;
  size_t shared;
  uint32_t blocks; /* that go from tile to tile */
  bool has_bias;
};

/* ---- Shapes */

struct image_shape {
  struct gie_window win;
  int64_t images, c, n, r, s;
  int64_t tap_steps; /* of four taps of a row of the window */
};

/* Rows and columns of x that a tile reads. */
static int patch_h(const struct image_shape *f, const struct image_tile *t)
{
  return int((t->rows - 1) * f->win.stride[0] + f->r);
}
static int patch_w(const struct image_shape *f)
{
  return int((IMAGE_WIDTH - 1) * f->win.stride[1] + conv_round_up(f->s, 4));
}

/* Bytes of shared memory: weights of a block and what two tiles read. */
static size_t shared_of(const struct image_shape *f, const struct image_tile *t)
{
  return size_t(f->tap_steps) * size_t(t->n) * 32 + size_t(patch_h(f, t)) * size_t(patch_w(f)) * 16;
}

/* NULL, or what does not fit. */
static const char *read_shape(const struct gie_problem *p, struct image_shape *f)
{
  const struct gie_desc *x = &p->in[0], *w = &p->in[1], *y = &p->out[0];
  const char *why = nullptr;
  if (x->rank != 4 || w->rank != 4 || y->rank != 4)
    return "not two spatial axes";
  if (gie_node_int(p->node, "group") != 1 || x->dim[1] < 1 || x->dim[1] > 4)
    return "no image: groups or more than four channels";
  if (!gie_window_read(p->node, 2, x->dim + 2, w->dim + 2, &f->win, &why))
    return why;
  for (int i = 0; i < 2; i++) {
    if (f->win.kernel[i] > MAX_WINDOW || f->win.stride[i] > MAX_STRIDE || f->win.dilation[i] != 1)
      return "a window of more than 16x16, a stride above 4 or dilation";
    if (f->win.out[i] != y->dim[2 + i] || f->win.in[i] > 1 << 20 || f->win.out[i] > 1 << 20)
      return "extents that do not fit";
  }
  if (x->dim[0] > 1 << 16 || gie_desc_count(y) >= int64_t(1) << 40 || w->dim[0] > 1 << 16)
    return "too many images, channels or results";
  f->images = x->dim[0];
  f->c = x->dim[1];
  f->n = w->dim[0];
  f->r = w->dim[2];
  f->s = w->dim[3];
  f->tap_steps = f->r * (conv_round_up(f->s, 4) / 4);
  if (double(f->images) * double(f->win.out[0]) * double(f->win.out[1]) > 1 << 30)
    return "2^30 pixels or more";
  if (shared_of(f, &TILES[0]) > MAX_SHARED)
    return "a window and stride that need too much shared memory";
  return nullptr;
}

static bool conv_image_supports(const struct gie_kernel *k, const struct gie_problem *p, char *why,
                                size_t size)
{
  struct image_shape f;
  enum gie_dtype t = p->in[0].dtype;
  const char *reason = read_shape(p, &f);
  if (reason)
    return cuda_refuse(why, size, "%s", reason);
  if ((t != GIE_F32 && t != GIE_F16) || p->in[1].dtype != t || p->out[0].dtype != t)
    return cuda_refuse(why, size, "neither f32 nor f16");
  if (!p->in_data[1] || (conv_has_operand(p, 2) && !p->in_data[2]))
    return cuda_refuse(why, size, "weights or a bias that are not constant");
  if (conv_has_operand(p, 2) && (p->in[2].dtype != t || gie_desc_count(&p->in[2]) != f.n))
    return cuda_refuse(why, size, "a bias that is not one number per channel");
  if (p->n_in > GIE_MAX_IO)
    return cuda_refuse(why, size, "too many operands");
  if (conv_limits_of(TILES[0].function).major < 8)
    return cuda_refuse(why, size, "a device or code for one before compute capability 8.0");
  return true;
}

/* ---- Variants */

/* 1 where the first step is a relu or clip: no others are taken. */
static uint32_t takes_clip(const struct gie_problem *p)
{
  struct gie_cuda_steps steps;
  char why[96];
  return p->node->n_steps && gie_cuda_steps_make(p, 1, &steps, why, sizeof why) &&
         steps.kind == GIE_CUDA_STEPS_CLIP;
}

static uint32_t conv_image_variants(const struct gie_kernel *k, const struct gie_problem *p,
                                    struct gie_variant *out, uint32_t max)
{
  static const struct gie_layout NHWC = {4, {0, 2, 3, 1}, 0, 0, false},
                                 IMAGE = {4, {0, 1, 2, 3}, 1, 4, false};
  struct image_shape f;
  uint32_t n = 0;
  if (read_shape(p, &f))
    return 0;
  for (uint32_t i = 0; i < TILE_COUNT && n < max; i++) {
    struct gie_variant *v = &out[n];
    if ((f.n <= 32 && TILES[i].n > 32) || shared_of(&f, &TILES[i]) > MAX_SHARED)
      continue;
    memset(v, 0, sizeof *v);
    v->struct_size = sizeof *v;
    v->config = i;
    snprintf(v->label, sizeof v->label, "%dx%dx%d", TILES[i].rows, IMAGE_WIDTH, TILES[i].n);
    v->n_steps = takes_clip(p);
    v->in_place = -1;
    v->capture_safe = true;
    v->n_in = p->n_in;
    v->n_out = 1;
    for (uint32_t j = 0; j < p->node->n_operands; j++)
      v->in[j].dtype = p->in[j].dtype == GIE_DTYPE_NONE ? GIE_DTYPE_NONE : GIE_F16;
    v->in[0].layout = IMAGE;
    v->in[0].align = 8;
    v->out[0].dtype = GIE_F16;
    v->out[0].layout = NHWC;
    v->out[0].pitch = true;
    n++;
  }
  return n;
}

static void conv_image_estimate(const struct gie_kernel *k, const struct gie_problem *p,
                                const struct gie_variant *v, struct gie_cost *out)
{
  struct image_shape f;
  if (read_shape(p, &f))
    return;
  double results = double(gie_desc_count(&p->out[0])),
         pixels = double(gie_desc_count(&p->in[0])) / double(f.c);
  out->flops = 2 * results * double(f.c * f.r * f.s);
  out->bytes = 8 * pixels + 2 * results;
}

/* ---- Packing */

static uint32_t conv_image_pack_desc(const struct gie_kernel *k, const struct gie_problem *p,
                                     const struct gie_variant *v, struct gie_pack *out, uint32_t max)
{
  struct image_shape f;
  uint32_t n = 0;
  if (read_shape(p, &f))
    return 0;
  for (uint32_t i = 1; i < (conv_has_operand(p, 2) ? 3u : 2u) && n < max; i++) {
    size_t channels = size_t(conv_round_up(f.n, FULL_BLOCK));
    out[n].struct_size = sizeof out[n];
    out[n].operand = i;
    out[n].bytes = i == 2 ? channels * sizeof(float) : channels * size_t(f.tap_steps) * 32;
    snprintf(out[n].key, sizeof out[n].key, "cuda.conv_image %s %s %dx%dx%dx%d", i == 2 ? "bias" : "weights",
             gie_dtype_name(p->in[i].dtype), int(f.n), int(f.c), int(f.r), int(f.s));
    n++;
  }
  return n;
}

/* Tap (r, s) of channel c for result channel n: k = 4(s mod 4) + c is row k of matrix B of step r, s/4; lane 4(n mod 8) +
 * (k mod 8)/2 has rows 2t, 2t+1 in its first word and 2t+8, 2t+9 in the second. */
static void pack_weights(const struct image_shape *f, const uint16_t *plain, uint16_t *to)
{
  int64_t groups = f->tap_steps / f->r;
  for (int64_t n = 0; n < f->n; n++)
    for (int64_t r = 0; r < f->r; r++)
      for (int64_t s = 0; s < f->s; s++)
        for (int64_t c = 0; c < f->c; c++) {
          int64_t step = r * groups + s / 4, k = s % 4 * 4 + c, lane = n % 8 * 4 + k % 8 / 2;
          int64_t vector = (n / 16 * f->tap_steps + step) * 32 + lane, word = n / 8 % 2 * 2 + k / 8;
          to[vector * 8 + word * 2 + k % 2] = plain[((n * f->c + c) * f->r + r) * f->s + s];
        }
}

static gie_status conv_image_pack(const struct gie_kernel *k, const struct gie_problem *p,
                                  const struct gie_variant *v, const struct gie_pack *d, const void *plain,
                                  void *packed)
{
  struct image_shape f;
  const char *reason = read_shape(p, &f);
  if (reason || p->in[d->operand].dtype != GIE_F16)
    return gie_fail(p->ctx, GIE_E_UNSUPPORTED, "%s", reason ? reason : "weights that are not f16");
  memset(packed, 0, d->bytes);
  if (d->operand == 1)
    pack_weights(&f, static_cast<const uint16_t *>(plain), static_cast<uint16_t *>(packed));
  for (int64_t n = 0; d->operand == 2 && n < f.n; n++)
    static_cast<float *>(packed)[n] = gie_cuda_half_to_float(static_cast<const uint16_t *>(plain)[n]);
  return GIE_OK;
}

/* ---- Instances */

/* How many blocks can be on the device at a time, with that much shared memory. */
static gie_status prepare(struct conv_image *v)
{
  int device, units, resident;
  const void *f = v->tile->function;
  GIE_CUDA_TRY(v->ctx, cudaFuncSetAttribute(f, cudaFuncAttributeMaxDynamicSharedMemorySize, MAX_SHARED),
               "preparing a convolution");
  GIE_CUDA_TRY(v->ctx, cudaGetDevice(&device), "asking for the device");
  GIE_CUDA_TRY(v->ctx, cudaDeviceGetAttribute(&units, cudaDevAttrMultiProcessorCount, device),
               "asking for multiprocessors");
  GIE_CUDA_TRY(v->ctx, cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, f, IMAGE_THREADS, v->shared),
               "asking how many blocks fit");
  v->blocks = uint32_t(units) * uint32_t(resident > 0 ? resident : 1);
  if (v->blocks > v->args.tiles)
    v->blocks = v->args.tiles;
  return GIE_OK;
}

static void fill_args(const struct gie_problem *p, const struct image_shape *f, const struct image_tile *t,
                      struct image_args *a)
{
  const struct gie_desc *x = &p->in[0], *y = &p->out[0];
  a->x_n = x->stride[0] / 4, a->x_h = x->stride[2] / 4, a->x_w = x->stride[3] / 4;
  a->y_n = y->stride[0], a->y_h = y->stride[2], a->y_w = y->stride[3];
  a->h = int(x->dim[2]), a->w_extent = int(x->dim[3]);
  a->out_h = int(y->dim[2]), a->out_w = int(y->dim[3]), a->n = int(f->n);
  a->stride_h = int(f->win.stride[0]), a->stride_w = int(f->win.stride[1]);
  a->pad_h = int(f->win.pad_begin[0]), a->pad_w = int(f->win.pad_begin[1]);
  a->groups = int(f->tap_steps / f->r);
  a->last = int(f->s) - 4 * (a->groups - 1);
  a->tap_steps = int(f->tap_steps);
  a->patch_h = patch_h(f, t);
  a->patch_w = patch_w(f);
  uint32_t tiles_w = uint32_t(a->out_w + IMAGE_WIDTH - 1) / IMAGE_WIDTH,
           tiles_h = uint32_t(a->out_h + t->rows - 1) / uint32_t(t->rows);
  a->tiles = uint32_t(f->images) * tiles_h * tiles_w;
  a->by_tiles_w = cuda_div_by(tiles_w ? tiles_w : 1);
  a->by_tiles_h = cuda_div_by(tiles_h ? tiles_h : 1);
  a->by_patch_w = cuda_div_by(uint32_t(a->patch_w));
  a->vector_y = (a->y_n | a->y_h | a->y_w) % 8 == 0;
}

static gie_status conv_image_create(const struct gie_kernel *k, const struct gie_problem *p,
                                    const struct gie_variant *variant, void **instance)
{
  struct image_shape f;
  struct gie_cuda_steps steps;
  char why[128] = "";
  const struct image_tile *t = &TILES[variant->config < TILE_COUNT ? variant->config : 0];
  const char *reason = read_shape(p, &f);
  if (reason || !gie_cuda_steps_make(p, variant->n_steps, &steps, why, sizeof why))
    return gie_fail(p->ctx, GIE_E_UNSUPPORTED, "%s", reason ? reason : why);
  struct conv_image *v = cuda_instance<struct conv_image>(p->ctx);
  if (!v)
    return GIE_E_MEMORY;
  v->tile = t;
  v->shared = shared_of(&f, t);
  v->has_bias = conv_has_operand(p, 2);
  fill_args(p, &f, t, &v->args);
  bool clips = steps.kind == GIE_CUDA_STEPS_CLIP;
  v->args.low = __float2half2_rn(clips ? steps.low : -INFINITY);
  v->args.high = __float2half2_rn(clips ? steps.high : INFINITY);
  gie_status st = v->args.tiles && v->args.n ? prepare(v) : GIE_OK;
  if (st != GIE_OK) {
    gie_free(p->ctx, v);
    return st;
  }
  *instance = v;
  return GIE_OK;
}

static gie_status conv_image_run(void *instance, const struct gie_launch *l)
{
  const struct conv_image *v = static_cast<const struct conv_image *>(instance);
  struct image_args a = v->args;
  void *args[] = {&a};
  dim3 grid(v->blocks, uint32_t((a.n + v->tile->n - 1) / v->tile->n));
  if (a.tiles == 0 || a.n == 0)
    return GIE_OK;
  a.x = static_cast<const uint2 *>(l->in[0]);
  a.w = static_cast<const uint4 *>(l->in[1]);
  a.bias = v->has_bias ? static_cast<const float *>(l->in[2]) : nullptr;
  a.y = static_cast<__half *>(l->out[0]);
  a.vector_y = a.vector_y && uintptr_t(a.y) % 16 == 0;
  GIE_CUDA_TRY(l->ctx,
               cudaLaunchKernel(v->tile->function, grid, dim3(IMAGE_THREADS), args, v->shared,
                                gie_cuda_stream(l)),
               "launching a convolution of images");
  return GIE_OK;
}

static const char *const ops[] = {"conv", nullptr};
static const struct gie_kernel KERNELS[] = {{.struct_size = sizeof(struct gie_kernel),
                                             .name = "cuda.conv_image",
                                             .device = "cuda",
                                             .ops = ops,
                                             .supports = conv_image_supports,
                                             .variants = conv_image_variants,
                                             .estimate = conv_image_estimate,
                                             .pack_desc = conv_image_pack_desc,
                                             .pack = conv_image_pack,
                                             .create = conv_image_create,
                                             .destroy = cuda_destroy<struct conv_image>,
                                             .run = conv_image_run}};
const struct cuda_family cuda_conv_image = {KERNELS, 1};
