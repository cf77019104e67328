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
#include "backends/cuda/conv_form.h"

#define MAX_CANDIDATES 16

static const struct conv_tile_list *const LISTS[] = {&conv_tiles_f16, &conv_tiles_f32, &conv_tiles_tf32,
                                                     &conv_tiles_tf32x3};
static const char *const KIND_NAMES[] = {"f16", "f32", "tf32", "tf32x3"};
static const char *const LOADER_NAMES[] = {"", " gather", " dense", " tma"};
static const char *const LAYOUT_NAMES[2][2] = {{"", ", to plain"}, {", from plain", ", plain"}};

struct conv_choice {
  enum conv_kind kind;
  int row, split;
  bool plain_x, plain_y; /* else channels last */
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

/* ---- supports -------------------------------------------------------------------------------------- */

static bool refuse(char *why, size_t size, const char *text)
{
  snprintf(why, size, "%s", text);
  return false;
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
  if (p->in[1].dtype != t || p->out[0].dtype != t || (conv_has_operand(p, 2) && p->in[2].dtype != t))
    return refuse(why, size, "operands of different dtypes");
  if (!p->in_data[1])
    return refuse(why, size, "weights that are not constant");
  if (p->n_in > GIE_MAX_IO)
    return refuse(why, size, "too many operands");
  const char *reason = conv_read_form(p, &f);
  if (reason)
    return refuse(why, size, reason);
  if (conv_has_operand(p, 2) && !is_row(&p->in[2], f.weights.n * f.groups))
    return refuse(why, size, "a bias that is not one number per channel");
  if (!gie_cuda_steps_make(p, p->node->n_steps, &steps, why, size))
    return false;
  if (conv_limits_of(conv_tiles_f16.v[0].function).major < 8)
    return refuse(why, size, "a device or code for one before compute capability 8.0");
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

/* Microseconds on a device of `units` multiprocessors, launch apart: a fixed time to begin and end, and for each step what the
 * reader takes or what the blocks of a multiprocessor have to share. The constants are fitted to some thousand
 * timings on an H200 (batch 1): of the layers of two networks the best tile is among the first 12 but for 0.4 % of its time. */
static double predict(const struct conv_tile *t, const struct conv_form *f, int split, double units)
{
  static const double MULTIPLY[] = {575, 80, 290, 96}; /* products per cycle and multiprocessor */
  const double mhz = 1700, begin = 1400, cluster = 580, cluster_log2 = 670; /* cycles */
  const double read = 38; /* bytes per cycle and multiprocessor */
  double tiles = ceil((double)f->args.m / t->m) * ceil((double)f->args.n / t->n) * f->groups;
  double blocks = tiles * split;
  double fit = fmax(1, fmin(floor(227.0 * 1024 / (double)(t->shared + 1024)), floor(2048.0 / t->threads)));
  double resident = fmax(1, fmin(fit, ceil(blocks / units))), waves = blocks / (units * resident);
  double elements = 128.0 / conv_element_size(t->kind), steps = ceil((double)f->args.steps / split);
  double busy = fmax((t->m + t->n) * 128 / read, t->m * t->n * elements / MULTIPLY[t->kind]);
  double step = t->loader == CONV_TMA      ? 150 + 118 * (8.0 / t->box) * t->m / 32
                : t->loader == CONV_VECTOR ? 370
                                           : 1000;
  if (t->loader == CONV_TMA && resident > 1)
    step *= 0.87 * resident;
  double body = begin + steps * fmax(step, resident * busy) + 20.0 * resident * t->m * t->n / 1024 / split;
  double log2_split = 0;
  while (1 << (int)log2_split < split)
    log2_split++;
  return ((waves < 3 ? fmax(ceil(waves), 1) : waves) * body +
          (split > 1 ? cluster + cluster_log2 * log2_split : 0)) /
         mhz;
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

/* The strides that a dense x has with channels last. */
static void set_channels_last(struct conv_form *f)
{
  int64_t row = f->weights.c * f->groups * f->args.w_extent;
  f->args.x_c = 1;
  f->args.x_w = (int32_t)(f->weights.c * f->groups);
  f->args.x_h = (int32_t)(row < INT32_MAX ? row : INT32_MAX);
  f->args.x_n = row * f->args.h;
}

/* Whether the tile reads x by that loader or, as good, by the copy engine. */
static bool reads(const struct conv_tile *t, enum conv_loader loader, const struct conv_form *f,
                  struct conv_limits l)
{
  if (t->shared + (loader == CONV_DENSE ? 8 * (CONV_MAX_DENSE_TAPS + 64) : 0) > l.shared)
    return false;
  if (t->loader != CONV_TMA || loader != CONV_VECTOR)
    return t->loader == loader;
  int64_t c = f->weights.c, unit = conv_unit(t), filled = (c + unit - 1) / unit * unit;
  return l.major >= 9 && 3 * filled <= 4 * c && conv_tile_can_map(t, &f->args, f->groups);
}

/* The `max` tiles and splits of a kind and loader that are predicted to be fastest, best first. */
static uint32_t candidates(const struct conv_form *form, enum conv_kind kind, enum conv_loader loader,
                           double units, struct conv_limits l, struct conv_candidate *out, uint32_t max)
{
  uint32_t n = 0;
  struct conv_form f = *form;
  if (loader == CONV_VECTOR)
    set_channels_last(&f);
  for (int row = 0; row < LISTS[kind]->n; row++) {
    const struct conv_tile *t = &LISTS[kind]->v[row];
    if (!reads(t, loader, &f, l))
      continue;
    conv_args_taps(&f.args, &f.weights, conv_element_size(kind), conv_unit(t));
    for (int split = 1; split <= CONV_MAX_SPLIT && split <= f.args.steps; split *= 2) {
      double tiles = ceil((double)f.args.m / t->m) * ceil((double)f.args.n / t->n) * f.groups;
      if (split > 1 && (l.major < 9 || tiles * split > 6 * units))
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
  struct gie_layout plain = {}, last = conv_is_conv(p) ? channels_last(y->rank) : plain;
  v->config = config_of(c);
  snprintf(v->label, sizeof v->label, "%s %dx%d/%d%s split %d%s", KIND_NAMES[c->kind], t->m, t->n, t->stages,
           LOADER_NAMES[t->loader], c->split, conv_is_conv(p) ? LAYOUT_NAMES[c->plain_x][c->plain_y] : "");
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
  enum conv_loader loader = few                                                          ? CONV_DENSE
                            : (plain_x && conv_is_conv(p)) || !has_whole_chunks(f, kind) ? CONV_GATHER
                                                                                         : CONV_VECTOR;
  uint32_t n = candidates(f, kind, loader, p->device && p->device->units ? p->device->units : 132,
                          conv_limits_of(conv_tiles_f16.v[0].function), c, most);
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
  if (conv_read_form(p, &f))
    return 0;
  bool conv = conv_is_conv(p);
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
  if (conv_read_form(p, &f))
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
  if (max < 1 || conv_read_form(p, &f))
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
  const char *why = conv_read_form(p, &f);
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
  const char *reason = conv_read_form(p, &f);
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
  v->has_bias = conv_has_operand(p, 2);
  v->early = conv_limits_of(conv_tiles_f16.v[0].function).major >= 9;
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
