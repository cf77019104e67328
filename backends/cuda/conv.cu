/* SPDX-License-Identifier: Apache-2.0 */
/* The fast convolution as a kernel of the engine: conv of one or two spatial axes with constant weights, and gemm and
 * matmul by a constant, which are convolutions of one tap over images of one pixel. Device code: conv_tile.cuh;
 * what it does not take is left to conv_plain.cu.
 *
 * A variant is a compiled tile, a split and the layouts of operand and result; its number is
 *     kind << 16 | row of conv_tiles.def << 8 | log2(split) << 4 | x is plain << 1 | result is plain
 * f32 problems get the kinds F32 and TF32X3, which are as exact, TF32 where the builder allows it, and F16, whose
 * ports say so. Of the many combinations those are offered that a small model of the device (predict) holds for
 * fastest; measuring decides. */
#include "backends/cuda/common.h"
#include "backends/cuda/conv_tile.h"

#include <gie/window.h>

#define MAX_EXTENT (1 << 28) /* of anything: sums of a few stay inside int */
#define MAX_CANDIDATES 16

static const struct conv_tile_list *const LISTS[] = {&conv_tiles_f16, &conv_tiles_f32, &conv_tiles_tf32,
                                                     &conv_tiles_tf32x3};
static const char *const KIND_NAMES[] = {"f16", "f32", "tf32", "tf32x3"};

struct conv_choice {
  enum conv_kind kind;
  int row, split;
  bool plain_x, plain_y; /* else channels last */
};

/* A problem but for addresses and the tile. */
struct conv_form {
  struct conv_args args;
  struct conv_weights weights;
  int groups;
};

struct conv_instance {
  struct gie_context *ctx;
  const struct conv_tile *tile,
      *gather; /* the latter for operands that are not aligned; NULL: it is the tile */
  struct conv_args args;
  struct gie_cuda_steps steps;
  int groups;
  bool has_bias, early; /* early: begins while the kernel before it ends */
};

/* ---- run ------------------------------------------------------------------------------------------ */

static gie_status run(void *instance, const struct gie_launch *l)
{
  const struct conv_instance *v = (const struct conv_instance *)instance;
  const struct conv_tile *tile = v->tile;
  struct conv_args a = v->args;
  struct gie_cuda_steps steps = v->steps;
  if (a.m == 0 || a.n == 0)
    return GIE_OK;
  gie_cuda_steps_bind(&steps, l);
  a.x = l->in[0];
  a.w = l->in[1];
  a.bias = v->has_bias ? l->in[2] : NULL;
  a.y = l->out[0];
  a.vector_y = a.vector_y && (uintptr_t)a.y % 16 == 0;
  if (v->gather && (uintptr_t)a.x % 16 != 0)
    tile = v->gather;
  conv_args_tile(&a, tile, a.split);
  GIE_CUDA_TRY(l->ctx, conv_tile_launch(tile, &a, v->groups, &steps, v->early, gie_cuda_stream(l)),
               "launching a convolution");
  return GIE_OK;
}

/* ---- Problems as convolutions --------------------------------------------------------------------- */

static bool refuse(char *why, size_t size, const char *text)
{
  snprintf(why, size, "%s", text);
  return false;
}

static bool has_operand(const struct gie_problem *p, uint32_t i)
{
  return i < p->node->n_operands && p->in[i].dtype != GIE_DTYPE_NONE;
}

static bool is_conv(const struct gie_problem *p) { return strcmp(p->node->op->name, "conv") == 0; }

static bool small(int64_t v) { return v >= 0 && v <= MAX_EXTENT; }

/* Window and weights of a convolution; a static text when it is none of ours. */
static const char *read_conv(const struct gie_problem *p, struct gie_window *win, struct conv_form *f)
{
  const struct gie_desc *x = &p->in[0], *w = &p->in[1], *y = &p->out[0];
  const char *why = NULL;
  int64_t groups = gie_node_int(p->node, "group");
  if (x->rank < 3 || x->rank > 4 || w->rank != x->rank || y->rank != x->rank)
    return "not one or two spatial axes";
  if (groups < 1 || groups > 65535 || x->dim[1] % groups || y->dim[1] % groups || w->dim[0] != y->dim[1] ||
      w->dim[1] != x->dim[1] / groups)
    return "channels that do not fit";
  if (!gie_window_read(p->node, x->rank - 2, x->dim + 2, w->dim + 2, win, &why))
    return why;
  for (int i = 0; i < win->n; i++)
    if (win->out[i] != y->dim[2 + i] || !small(win->in[i]) || !small(win->pad_begin[i]) ||
        !small(win->stride[i]) || !small(win->out[i] * win->stride[i]) || !small(gie_window_span(win, i)))
      return "a window that is too large";
  f->groups = (int)groups;
  f->weights.groups = groups;
  f->weights.n = w->dim[0] / groups;
  f->weights.c = w->dim[1];
  f->weights.r = w->rank == 4 ? w->dim[2] : 1;
  f->weights.s = w->dim[w->rank - 1];
  f->weights.stride_s = 1;
  f->weights.stride_r = f->weights.s;
  f->weights.stride_c = f->weights.r * f->weights.s;
  f->weights.stride_n = f->weights.c * f->weights.stride_c;
  return NULL;
}

/* Extents and strides of a convolution; rows of a one-dimensional one are images of one row. */
static bool fill_conv(const struct gie_problem *p, const struct gie_window *win, struct conv_form *f)
{
  const struct gie_desc *x = &p->in[0], *y = &p->out[0];
  struct conv_args *a = &f->args;
  struct gie_cuda_tensor t;
  bool flat = win->n == 1;
  int j = win->n - 1;
  if (!gie_cuda_tensor_make(y, y, 1, &t) || x->layout.block > 1)
    return false;
  a->x_n = x->stride[0];
  int64_t x_c = x->stride[1], x_h = flat ? 0 : x->stride[2], x_w = x->stride[1 + win->n];
  int64_t farthest = (flat ? 0 : gie_window_span(win, 0) * x_h) + gie_window_span(win, j) * x_w +
                     x->dim[1] * x_c;
  if (x_c > INT32_MAX || x_h > INT32_MAX || x_w > INT32_MAX || farthest > INT32_MAX)
    return false;
  a->x_c = (int32_t)x_c, a->x_h = (int32_t)x_h, a->x_w = (int32_t)x_w;
  a->y_n = t.stride_n, a->y_p = t.stride_p, a->y_c = t.stride_c;
  a->h = flat ? 1 : (int32_t)win->in[0];
  a->w_extent = (int32_t)win->in[j];
  a->stride_h = flat ? 1 : (int32_t)win->stride[0], a->stride_w = (int32_t)win->stride[j];
  a->dilation_h = flat ? 1 : (int32_t)win->dilation[0], a->dilation_w = (int32_t)win->dilation[j];
  a->pad_h = flat ? 0 : (int32_t)win->pad_begin[0], a->pad_w = (int32_t)win->pad_begin[j];
  int64_t rows = flat ? 1 : win->out[0], m;
  if (__builtin_mul_overflow(x->dim[0] * rows, win->out[j], &m) || m > MAX_EXTENT)
    return false;
  a->m = (int32_t)m;
  a->by_q = conv_div_make((uint32_t)(win->out[j] > 0 ? win->out[j] : 1));
  a->by_pixels = conv_div_make((uint32_t)(m > 0 ? rows * win->out[j] : 1));
  return true;
}

/* Weights of a matrix product: B as [columns][taps]. */
static const char *read_product(const struct gie_problem *p, struct conv_form *f)
{
  const struct gie_desc *a = &p->in[0], *b = &p->in[1], *y = &p->out[0];
  bool gemm = strcmp(p->node->op->name, "gemm") == 0, flip = gemm && gie_node_int(p->node, "trans_b");
  if (a->rank < 2 || b->rank != 2 || y->rank != a->rank)
    return "B is no matrix, or A a vector";
  if (gemm && (gie_node_float(p->node, "alpha") != 1 || gie_node_int(p->node, "trans_a") ||
               (has_operand(p, 2) && gie_node_float(p->node, "beta") != 1)))
    return "alpha, beta or trans_a";
  f->groups = 1;
  f->weights.groups = f->weights.r = f->weights.s = 1;
  f->weights.n = b->dim[flip ? 0 : 1];
  f->weights.c = b->dim[flip ? 1 : 0];
  f->weights.stride_n = flip ? f->weights.c : 1;
  f->weights.stride_c = flip ? 1 : f->weights.n;
  if (f->weights.c != a->dim[a->rank - 1] || f->weights.n != y->dim[y->rank - 1])
    return "operands that do not fit";
  return NULL;
}

/* Rows are images of one pixel. */
static bool fill_product(const struct gie_problem *p, struct conv_form *f)
{
  const struct gie_desc *x = &p->in[0], *y = &p->out[0];
  struct conv_args *a = &f->args;
  struct gie_cuda_tensor from, to;
  if (!gie_cuda_tensor_make(x, x, x->rank - 1, &from) || !gie_cuda_tensor_make(y, y, y->rank - 1, &to) ||
      from.n > MAX_EXTENT || from.stride_c > INT32_MAX || from.stride_c * x->dim[x->rank - 1] > INT32_MAX)
    return false;
  a->x_n = from.stride_n;
  a->x_c = (int32_t)from.stride_c;
  a->y_n = to.stride_n, a->y_c = to.stride_c;
  a->h = a->w_extent = a->stride_h = a->stride_w = a->dilation_h = a->dilation_w = 1;
  a->m = (int32_t)from.n;
  a->by_q = a->by_pixels = conv_div_make(1);
  return true;
}

/* The problem with the strides that its descs have. NULL, or what does not fit. */
static const char *read_form(const struct gie_problem *p, struct conv_form *f)
{
  struct gie_window win;
  memset(f, 0, sizeof *f);
  const char *why = is_conv(p) ? read_conv(p, &win, f) : read_product(p, f);
  if (why)
    return why;
  if (!small(f->weights.c) || !small(f->weights.n) || !small(f->weights.r * f->weights.s) ||
      !small(f->weights.n * f->weights.groups) || f->weights.c == 0 || p->in[0].dim[0] > MAX_EXTENT ||
      (double)f->weights.c * (double)(f->weights.r * f->weights.s) > MAX_EXTENT)
    return "no taps or too many";
  if (!(is_conv(p) ? fill_conv(p, &win, f) : fill_product(p, f)))
    return "a form that is too large or has gaps between pixels";
  f->args.c = (int32_t)f->weights.c;
  f->args.n = (int32_t)f->weights.n;
  f->args.r = (int32_t)f->weights.r;
  f->args.images = (int32_t)(is_conv(p) ? p->in[0].dim[0] : f->args.m);
  f->args.blocks = (int32_t)((f->weights.n + 7) / 8);
  return NULL;
}

/* ---- supports -------------------------------------------------------------------------------------- */

/* 8 where matrices are multiplied by warps, 9 where blocks form clusters; 0: no device. */
static int capability(void)
{
  int device, major;
  return cudaGetDevice(&device) == cudaSuccess &&
                 cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess
             ? major
             : 0;
}

/* A row of numbers, one per channel or column. */
static bool is_row(const struct gie_desc *d, int64_t n)
{
  for (int i = 0; i < d->rank - 1; i++)
    if (d->dim[i] != 1)
      return false;
  return d->rank > 0 && d->dim[d->rank - 1] == n && (n == 1 || d->stride[d->rank - 1] == 1);
}

static bool supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size)
{
  enum gie_dtype t = p->in[0].dtype;
  struct conv_form f;
  struct gie_cuda_steps steps;
  (void)k;
  if (t != GIE_F32 && t != GIE_F16)
    return refuse(why, size, "neither f32 nor f16");
  if (p->in[1].dtype != t || p->out[0].dtype != t || (has_operand(p, 2) && p->in[2].dtype != t))
    return refuse(why, size, "operands of different dtypes");
  if (!p->in_data[1])
    return refuse(why, size, "weights that are not constant");
  if (p->n_in > GIE_MAX_IO)
    return refuse(why, size, "too many operands");
  const char *reason = read_form(p, &f);
  if (reason)
    return refuse(why, size, reason);
  if (has_operand(p, 2) && !is_row(&p->in[2], f.weights.n * f.groups))
    return refuse(why, size, "a bias that is not one number per channel");
  if (!gie_cuda_steps_make(p, p->node->n_steps, &steps, why, size))
    return false;
  if (capability() < 8)
    return refuse(why, size, "a device before compute capability 8.0");
  return true;
}

/* ---- variants --------------------------------------------------------------------------------------- */

static uint64_t config_of(const struct conv_choice *c)
{
  int log2 = 0;
  while (1 << log2 < c->split)
    log2++;
  return (uint64_t)c->kind << 16 | (uint64_t)c->row << 8 | (uint64_t)log2 << 4 | (uint64_t)c->plain_x << 1 |
         (uint64_t)c->plain_y;
}

static struct conv_choice choice_of(uint64_t config)
{
  struct conv_choice c;
  c.kind = (enum conv_kind)(config >> 16 & 3);
  c.row = (int)(config >> 8 & 255);
  c.split = 1 << (config >> 4 & 7);
  c.plain_x = config >> 1 & 1;
  c.plain_y = config & 1;
  return c;
}

static const struct conv_tile *tile_of(const struct conv_choice *c) { return &LISTS[c->kind]->v[c->row]; }

/* Microseconds on a device of `units` multiprocessors, launch apart. A block needs a fixed time to begin and end and
 * some hundred cycles for each step; the blocks of a multiprocessor share what it can read and multiply.
 * The constants are those of an H100. */
static double predict(const struct conv_tile *t, const struct conv_form *f, int split, double units)
{
  static const double MULTIPLY[] = {1024, 128, 512, 170}; /* products per cycle and multiprocessor */
  const double mhz = 1700, begin = 1500, step = 230, cluster = 900, read = 32; /* cycles; bytes per cycle */
  double tiles = ceil((double)f->args.m / t->m) * ceil((double)f->args.n / t->n) * f->groups;
  double blocks = tiles * split,
         fit = fmin(floor(227.0 * 1024 / (double)t->shared), floor(2048.0 / t->threads));
  double resident = fmin(fmax(fit, 1), ceil(blocks / units)), waves = blocks / (units * resident);
  double elements = 128.0 / conv_element_size(t->kind);
  double busy = fmax((t->m + t->n) * 128 / read, t->m * t->n * elements / MULTIPLY[t->kind]);
  double each = fmax(step, resident * busy), steps = ceil((double)f->args.steps / split);
  if (t->loader != CONV_VECTOR)
    each += 600;
  waves = waves < 1 ? 1 : waves < 3 ? ceil(waves) : waves;
  return (waves * (begin + steps * each) + (split > 1 ? cluster : 0)) / mhz;
}

struct conv_candidate {
  struct conv_choice choice;
  double us;
};

/* Keeps the `max` best, best first. */
static void insert(struct conv_candidate *v, uint32_t *n, uint32_t max, const struct conv_candidate *c)
{
  uint32_t i = *n;
  if (i == max && v[max - 1].us <= c->us)
    return;
  if (i == max)
    i--;
  else
    (*n)++;
  for (; i > 0 && v[i - 1].us > c->us; i--)
    v[i] = v[i - 1];
  v[i] = *c;
}

/* The `max` tiles and splits of a kind and loader that are predicted to be fastest, best first. */
static uint32_t candidates(const struct conv_form *form, enum conv_kind kind, enum conv_loader loader,
                           double units, int capability, struct conv_candidate *out, uint32_t max)
{
  uint32_t n = 0;
  struct conv_form f = *form;
  for (int row = 0; row < LISTS[kind]->n; row++) {
    const struct conv_tile *t = &LISTS[kind]->v[row];
    if (t->loader != loader)
      continue;
    conv_args_taps(&f.args, &f.weights, conv_element_size(kind), conv_unit(t));
    for (int split = 1; split <= CONV_MAX_SPLIT && split <= f.args.steps; split *= 2) {
      double tiles = ceil((double)f.args.m / t->m) * ceil((double)f.args.n / t->n) * f.groups;
      if (split > 1 && (capability < 9 || tiles * split > 6 * units))
        break;
      struct conv_candidate c;
      c.choice =
          (struct conv_choice){.kind = kind, .row = row, .split = split, .plain_x = false, .plain_y = false};
      c.us = predict(t, &f, split, units);
      insert(out, &n, max, &c);
    }
  }
  return n;
}

static struct gie_layout channels_last(int rank)
{
  struct gie_layout l = {};
  l.rank = (uint8_t)rank;
  for (int i = 1; i < rank - 1; i++)
    l.perm[i] = (uint8_t)(i + 1);
  l.perm[rank - 1] = 1;
  return l;
}

static void fill_variant(const struct gie_problem *p, const struct conv_choice *c, struct gie_variant *v)
{
  const struct conv_tile *t = tile_of(c);
  enum gie_dtype dtype = c->kind == CONV_F16 ? GIE_F16 : GIE_F32;
  const struct gie_desc *y = &p->out[0];
  struct gie_layout plain = {}, last = is_conv(p) ? channels_last(y->rank) : plain;
  v->config = config_of(c);
  snprintf(v->label, sizeof v->label, "%s %dx%d%s split %d%s", KIND_NAMES[c->kind], t->m, t->n,
           t->loader == CONV_GATHER  ? " gather"
           : t->loader == CONV_DENSE ? " dense"
           : t->slices > 1           ? ""
                                     : " wide",
           c->split,
           !is_conv(p)  ? ""
           : c->plain_x ? (c->plain_y ? ", plain" : ", from plain")
           : c->plain_y ? ", to plain"
                        : "");
  v->n_steps = p->node->n_steps;
  v->in_place = -1;
  v->capture_safe = true;
  v->n_in = p->n_in;
  v->n_out = p->n_out < GIE_MAX_IO ? p->n_out : GIE_MAX_IO;
  for (uint32_t i = 0; i < v->n_in; i++) {
    bool whole = i >= p->node->n_operands && p->in[i].rank == y->rank;
    for (int a = 0; whole && a < y->rank; a++)
      whole = p->in[i].dim[a] == y->dim[a];
    v->in[i].dtype = dtype;
    v->in[i].pitch = i == 0 || i >= p->node->n_operands;
    v->in[i].layout = i == 0 ? (c->plain_x ? plain : last) : whole ? (c->plain_y ? plain : last) : plain;
  }
  v->in[0].align = t->loader == CONV_VECTOR || t->loader == CONV_TMA ? 16 : 0;
  v->out[0].dtype = dtype;
  v->out[0].pitch = true;
  v->out[0].layout = c->plain_y ? plain : last;
}

/* Channels that can be copied 16 bytes at a time, if the pixels lie so. */
static bool has_whole_chunks(const struct conv_form *f, enum conv_kind kind)
{
  return f->weights.c % (16 / conv_element_size(kind)) == 0;
}

static bool fits_dense(const struct conv_form *f)
{
  return f->weights.c * f->weights.r * f->weights.s <= CONV_MAX_DENSE_TAPS && f->args.h < (1 << 14) &&
         f->weights.r * f->args.dilation_h < (1 << 14) && f->weights.s * f->args.dilation_w < (1 << 15);
}

struct offers {
  struct gie_variant *v;
  uint32_t n, max;
};

static void offer(const struct gie_problem *p, const struct conv_form *f, enum conv_kind kind, bool plain_x,
                  bool plain_y, uint32_t most, struct offers *o)
{
  struct conv_candidate c[MAX_CANDIDATES];
  bool few = f->weights.c < 16 / conv_element_size(kind) && fits_dense(f);
  enum conv_loader loader = few                                                     ? CONV_DENSE
                            : (plain_x && is_conv(p)) || !has_whole_chunks(f, kind) ? CONV_GATHER
                                                                                    : CONV_VECTOR;
  uint32_t n = candidates(f, kind, loader, p->device && p->device->units ? p->device->units : 132,
                          capability(), c, most);
  for (uint32_t i = 0; i < n && o->n < o->max; i++) {
    c[i].choice.plain_x = plain_x;
    c[i].choice.plain_y = plain_y;
    fill_variant(p, &c[i].choice, &o->v[o->n++]);
  }
}

static uint32_t variants(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *out,
                         uint32_t max)
{
  struct conv_form f;
  struct offers o = {out, 0, max};
  (void)k;
  if (read_form(p, &f))
    return 0;
  bool conv = is_conv(p);
  enum conv_kind kinds[4];
  uint32_t most[4], n = 0;
  if (p->in[0].dtype == GIE_F32) {
    kinds[n] = CONV_F32, most[n++] = 6;
    kinds[n] = CONV_TF32X3, most[n++] = 6;
    if (p->math >= GIE_MATH_TF32)
      kinds[n] = CONV_TF32, most[n++] = 4;
  }
  kinds[n] = CONV_F16, most[n++] = p->in[0].dtype == GIE_F16 ? 14 : 8;
  for (uint32_t i = 0; i < n; i++)
    offer(p, &f, kinds[i], !conv, !conv, most[i], &o);
  for (uint32_t i = 0; conv && i < n; i++) {
    bool first_layer = f.weights.c < 8;
    if (kinds[i] == CONV_TF32)
      continue;
    offer(p, &f, kinds[i], true, false, first_layer ? 3 : 1, &o);
    offer(p, &f, kinds[i], true, true, 1, &o);
  }
  return o.n;
}

/* ---- estimate, packing ------------------------------------------------------------------------------- */

static void estimate(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                     struct gie_cost *out)
{
  struct conv_form f;
  struct conv_choice c = choice_of(v->config);
  const struct conv_tile *t = tile_of(&c);
  double units = p->device && p->device->units ? p->device->units : 132, size = conv_element_size(c.kind);
  (void)k;
  if (read_form(p, &f))
    return;
  conv_args_taps(&f.args, &f.weights, (int)size, conv_unit(t));
  double tiles = ceil((double)f.args.m / t->m) * ceil((double)f.args.n / t->n) * f.groups * c.split;
  double taps = (double)(f.weights.c * f.weights.r * f.weights.s),
         outputs = (double)f.args.m * f.args.n * f.groups;
  out->flops = 2 * outputs * taps;
  out->bytes = size * (outputs + (double)gie_desc_count(&p->in[0])) +
               (double)conv_pack_bytes(&f.weights, (int)size, conv_unit(t));
  for (uint32_t i = p->node->n_operands; i < p->n_in; i++)
    out->bytes += size * (double)gie_desc_count(&p->in[i]);
  out->waves = tiles / (units * fmax(1, floor(227.0 * 1024 / (double)t->shared)));
  out->seconds = predict(t, &f, c.split, units) * 1e-6;
}

static uint32_t pack_desc(const struct gie_kernel *k, const struct gie_problem *p,
                          const struct gie_variant *v, struct gie_pack *out, uint32_t max)
{
  struct conv_form f;
  struct conv_choice c = choice_of(v->config);
  int unit = conv_unit(tile_of(&c));
  (void)k;
  if (max < 1 || read_form(p, &f))
    return 0;
  out[0].operand = 1;
  out[0].bytes = conv_pack_bytes(&f.weights, conv_element_size(c.kind), unit);
  snprintf(out[0].key, sizeof out[0].key, "cuda.conv %d bytes unit %d %lldx%lldx%lldx%lldx%lld%s",
           conv_element_size(c.kind), unit, (long long)f.weights.groups, (long long)f.weights.n,
           (long long)f.weights.c, (long long)f.weights.r, (long long)f.weights.s,
           f.weights.stride_n == 1 ? " t" : "");
  return 1;
}

static gie_status pack(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                       const struct gie_pack *d, const void *plain, void *packed)
{
  struct conv_form f;
  struct conv_choice c = choice_of(v->config);
  (void)k, (void)d;
  const char *why = read_form(p, &f);
  if (why)
    return gie_fail(p->ctx, GIE_E_UNSUPPORTED, "%s", why);
  conv_pack(&f.weights, conv_element_size(c.kind), conv_unit(tile_of(&c)), plain, packed);
  return GIE_OK;
}

/* ---- create ------------------------------------------------------------------------------------------- */

static const struct conv_tile *gather_of(enum conv_kind kind)
{
  for (int i = 0; i < LISTS[kind]->n; i++)
    if (LISTS[kind]->v[i].loader == CONV_GATHER)
      return &LISTS[kind]->v[i];
  return NULL;
}

/* Whether 16 bytes at a multiple of 16 can be copied, if the address is one. */
static bool is_aligned(const struct conv_args *a, const struct gie_problem *p, enum conv_kind kind)
{
  int v = 16 / conv_element_size(kind);
  return a->x_c == 1 && (p->in[0].dim[0] == 1 || a->x_n % v == 0) && (a->h == 1 || a->x_h % v == 0) &&
         (a->w_extent == 1 || a->x_w % v == 0);
}

static void set_vector_y(struct conv_instance *v, enum conv_kind kind)
{
  int e = 16 / conv_element_size(kind);
  v->args.vector_y = v->args.y_c == 1 && v->args.y_n % e == 0 && v->args.y_p % e == 0 &&
                     (v->groups == 1 || v->args.n % e == 0);
}

static gie_status prepare(const struct conv_instance *v, const struct conv_tile *t)
{
  if (t)
    GIE_CUDA_TRY(v->ctx, conv_tile_prepare(t, conv_shared(t, &v->args)), "preparing a convolution");
  return GIE_OK;
}

static void destroy(void *instance)
{
  struct conv_instance *v = (struct conv_instance *)instance;
  gie_free(v->ctx, v);
}

static gie_status create(const struct gie_kernel *k, const struct gie_problem *p,
                         const struct gie_variant *variant, void **instance)
{
  struct conv_form f;
  char why[128];
  struct conv_choice c = choice_of(variant->config);
  (void)k;
  const char *reason = read_form(p, &f);
  if (reason)
    return gie_fail(p->ctx, GIE_E_UNSUPPORTED, "%s", reason);
  struct conv_instance *v = (struct conv_instance *)gie_alloc(p->ctx, 1, sizeof *v);
  if (!v)
    return GIE_E_MEMORY;
  v->ctx = p->ctx;
  v->tile = tile_of(&c);
  conv_args_taps(&f.args, &f.weights, conv_element_size(c.kind), conv_unit(v->tile));
  v->args = f.args;
  v->args.split = c.split;
  v->groups = f.groups;
  v->has_bias = has_operand(p, 2);
  v->early = capability() >= 9;
  set_vector_y(v, c.kind);
  if (v->tile->loader == CONV_VECTOR || v->tile->loader == CONV_TMA) {
    v->gather = gather_of(c.kind);
    if (!is_aligned(&v->args, p, c.kind) ||
        (v->tile->loader == CONV_TMA && !conv_tile_can_map(v->tile, &v->args, v->groups)))
      v->tile = v->gather;
  }
  gie_status st = gie_cuda_steps_make(p, variant->n_steps, &v->steps, why, sizeof why)
                      ? prepare(v, v->tile)
                      : gie_fail(p->ctx, GIE_E_UNSUPPORTED, "%s", why);
  if (st == GIE_OK)
    st = prepare(v, v->gather);
  if (st != GIE_OK) {
    destroy(v);
    return st;
  }
  *instance = v;
  return GIE_OK;
}

/* ---- Tables --------------------------------------------------------------------------------------------- */

static const char *const conv_ops[] = {"conv", NULL};
static const char *const product_ops[] = {"gemm", "matmul", NULL};

#define KERNEL(name_, ops_)                                                                                 \
  {                                                                                                         \
    .struct_size = sizeof(struct gie_kernel), .name = name_, .device = "cuda", .ops = ops_,                 \
    .supports = supports, .variants = variants, .estimate = estimate, .pack_desc = pack_desc, .pack = pack, \
    .create = create, .destroy = destroy, .run = run,                                                       \
  }

static const struct gie_kernel KERNELS[] = {KERNEL("cuda.conv", conv_ops),
                                            KERNEL("cuda.product", product_ops)};

extern "C" const struct cuda_family cuda_conv = {KERNELS, sizeof KERNELS / sizeof *KERNELS};
