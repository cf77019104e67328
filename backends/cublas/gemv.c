/* SPDX-License-Identifier: Apache-2.0 */
/* Products with few rows as a kernel: w is read once, as fast as memory gives it. It wants the taps of a column
 * next to each other and the columns at multiples of 16 bytes; constants are packed like that where they are not. */
#include "backends/cublas/gemv.h"
#include "backends/cublas/cublas.h"

#include <stdio.h>

/* Number in a variant's config, so only add. Many warps for the taps of few columns suit short products; where the
 * warps of a block read the same x (wn), that costs less of the L2 cache's bandwidth. */
static const struct cb_gemv_cut CUTS[] = {
    {.columns = 1, .wn = 8, .wk = 1},
    {.columns = 1, .wn = 2, .wk = 4},
    {.columns = 1, .wn = 1, .wk = 8},
    {.columns = 2, .wn = 2, .wk = 4},
    {.columns = 2, .wn = 1, .wk = 8},
    {.columns = 4, .wn = 2, .wk = 4},
    {.columns = 4, .wn = 1, .wk = 8},
    {.columns = 16, .wn = 1, .wk = 4, .tensor = true},
    {.columns = 16, .wn = 1, .wk = 8, .tensor = true},
    {.columns = 16, .wn = 1, .wk = 16, .tensor = true},
    {.columns = 2, .wn = 8, .wk = 1},
    {.columns = 2, .wn = 4, .wk = 2},
    {.columns = 4, .wn = 8, .wk = 1},
    {.columns = 4, .wn = 4, .wk = 2},
    {.columns = 4, .wn = 2, .wk = 2},
    {.columns = 16, .wn = 2, .wk = 8, .tensor = true},
    {.columns = 16, .wn = 2, .wk = 4, .tensor = true},
    {.columns = 16, .wn = 4, .wk = 4, .tensor = true},
};
#define N_CUTS ((uint32_t)(sizeof CUTS / sizeof *CUTS))
#define MAX_SPLITS_LOG 3

/* config: form in the low 16 bits, the cut, log2 of the splits */
static uint64_t config_of(const struct cb_form *f, uint32_t cut, uint32_t log)
{
  return cb_form_code(f) | (uint64_t)cut << 16 | (uint64_t)log << 24;
}

static bool cut_of(uint64_t config, struct cb_gemv_cut *out)
{
  uint64_t i = config >> 16 & 0xff;
  if (i >= N_CUTS || config >> 24 > MAX_SPLITS_LOG)
    return false;
  *out = CUTS[i];
  out->splits = 1 << (config >> 24);
  return true;
}

static int64_t per_load(enum gie_dtype t) { return 16 / (int64_t)gie_dtype_size(t); }
static int64_t rounded(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* ---- Questions --------------------------------------------------------------------------------------------- */

/* How the weights have to lie: as given, with longer columns, or the other way round. A load reads 16 bytes, which
 * must be taps or zeros. */
enum weights { W_GIVEN, W_LONGER, W_TURNED };

static enum weights weights_for(const struct cb_product *c, int64_t v)
{
  bool by_column = c->w.row == 1 || c->taps == 1;
  return !by_column ? W_TURNED : c->taps % v || c->w.col % v ? W_LONGER : W_GIVEN;
}

/* Whether the kernels can address the product, which is read without packing. */
static bool check_product(const struct gie_problem *p, const struct cb_product *c, enum cb_math m, char *why,
                          size_t size)
{
  int64_t limit = m == CB_F16 ? CB_GEMV_ROWS : CB_GEMV_FFMA_ROWS;
  if (c->batch != 1 || c->rows > limit)
    return cb_refuse(why, size, "%lld rows; it is for at most %lld", (long long)c->rows * c->batch,
                     (long long)limit);
  if (c->cols > INT32_MAX / CB_GEMV_ROWS || c->taps > INT32_MAX / 2)
    return cb_refuse(why, size, "too many columns or taps");
  if (c->x.col != 1 && c->taps > 1)
    return cb_refuse(why, size, "a row of x with gaps");
  if (strcmp(p->node->op->name, "matmul") == 0 && p->in[1].rank < 2)
    return cb_refuse(why, size, "a vector as second factor");
  if (weights_for(c, per_load(cb_dtype(m))) != W_GIVEN && !cb_weights_are_constant(p))
    return cb_refuse(why, size, "computed weights whose columns do not begin at multiples of 16 bytes");
  if (cb_weights_are_constant(p) && p->in[1].rank > 2 && !cb_is_conv(p))
    return cb_refuse(why, size, "weights of rank %d", p->in[1].rank);
  return true;
}

/* The product with the weights as given; *in and *out are where the descriptors are kept. */
static bool read_given(const struct gie_problem *p, const struct cb_form *f, struct gie_desc *in,
                       struct gie_desc *out, struct cb_product *c, char *why, size_t size)
{
  const struct cb_view v = {.in = in, .out = out};
  if (!cb_form_descs(p, f, in, out))
    return cb_refuse(why, size, "%s", gie_error_text(p->ctx));
  return cb_read(p, &v, c, why, size) && cb_read_addend(p, &v, c, why, size) &&
         check_product(p, c, f->math, why, size);
}

static bool steps_fit(const struct gie_problem *p, const struct gie_desc *in, const struct gie_desc *out,
                      uint32_t n_steps, struct gie_cuda_steps *steps, char *why, size_t size)
{
  struct gie_problem q = *p;
  q.in = in;
  q.out = out;
  return gie_cuda_steps_make(&q, n_steps, steps, why, size);
}

static bool takes(const struct gie_problem *p, const struct cb_form *f, struct cb_product *c, char *why,
                  size_t size)
{
  struct gie_desc in[GIE_MAX_IO], out;
  struct gie_cuda_steps steps;
  return read_given(p, f, in, &out, c, why, size) &&
         steps_fit(p, in, &out, p->node->n_steps, &steps, why, size);
}

static bool gemv_supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size)
{
  struct cb_form f = {.math = p->in[0].dtype == GIE_F16 ? CB_F16 : CB_F32}, half = {.math = CB_F16};
  struct cb_product c;
  (void)k;
  return cb_check(p, why, size) && (takes(p, &f, &c, why, size) || takes(p, &half, &c, why, size));
}

/* More blocks only where one per group leaves units idle, and each has something to do. */
static bool split_pays(const struct gie_problem *p, const struct cb_product *c, const struct cb_gemv_cut *cut,
                       uint32_t log, enum gie_dtype t)
{
  int64_t per_block = (int64_t)cut->columns * cut->wn, blocks = (c->cols + per_block - 1) / per_block;
  int64_t strips = c->taps / (cut->tensor ? 64 : 32 * per_load(t)), units = p->device ? p->device->units : 1;
  return log == 0 || (blocks < units && (strips >> log) >= cut->wk);
}

static const char *layout_name(const struct gie_problem *p, const struct cb_form *f)
{
  return !cb_is_conv(p)           ? ""
         : f->x_last && f->y_last ? " last"
         : f->x_last              ? " last>plain"
         : f->y_last              ? " plain>last"
                                  : "";
}

struct offers {
  struct gie_variant *out;
  uint32_t n, max;
};

static void offer(const struct gie_problem *p, const struct cb_form *f, uint32_t cut, uint32_t log,
                  struct offers *o)
{
  const struct cb_gemv_cut *c = &CUTS[cut];
  if (o->n == o->max)
    return;
  struct gie_variant *v = &o->out[o->n++];
  *v = (struct gie_variant){.struct_size = sizeof *v,
                            .config = config_of(f, cut, log),
                            .n_steps = p->node->n_steps,
                            .in_place = -1,
                            .capture_safe = true};
  snprintf(v->label, sizeof v->label, "%s%s %s %dx%dx%d k%d", f->math == CB_F16 ? "f16" : "f32",
           layout_name(p, f), c->tensor ? "mma" : "ffma", c->columns, c->wn, c->wk, 1 << log);
  cb_form_ports(p, f, v);
}

static void offer_cuts(const struct gie_problem *p, const struct cb_form *f, const struct cb_product *c,
                       struct offers *o)
{
  for (uint32_t log = 0; log <= MAX_SPLITS_LOG; log++)
    for (uint32_t i = 0; i < N_CUTS; i++) {
      int64_t most = f->math == CB_F32 ? CB_GEMV_FFMA_ROWS : CB_GEMV_FFMA_F16_ROWS;
      bool fits = CUTS[i].tensor ? f->math == CB_F16 : c->rows <= most;
      if (fits && split_pays(p, c, &CUTS[i], log, cb_dtype(f->math)))
        offer(p, f, i, log, o);
    }
}

static uint32_t gemv_variants(const struct gie_kernel *k, const struct gie_problem *p,
                              struct gie_variant *out, uint32_t max)
{
  struct offers o = {.out = out, .max = max};
  struct cb_product c;
  char why[128];
  (void)k;
  for (int m = p->in[0].dtype == GIE_F16 ? CB_F16 : CB_F32; m < CB_MATHS; m++) {
    struct cb_form forms[CB_MAX_FORMS];
    uint32_t n = m == CB_TF32 ? 0 : cb_forms(p, (enum cb_math)m, forms);
    for (uint32_t i = 0; i < n; i++)
      if (!forms[i].packed && takes(p, &forms[i], &c, why, sizeof why))
        offer_cuts(p, &forms[i], &c, &o);
  }
  return o.n;
}

static void gemv_estimate(const struct gie_kernel *k, const struct gie_problem *p,
                          const struct gie_variant *v, struct gie_cost *out)
{
  (void)k;
  cb_work(p, cb_form_of(v->config).math, out);
}

/* ---- Packing --------------------------------------------------------------------------------------------------- */

static enum weights given_weights(const struct gie_problem *p, struct cb_product *c, int64_t *v)
{
  const struct cb_view view = {.in = p->in, .out = &p->out[0]};
  char why[128];
  *v = per_load(p->in[1].dtype);
  return cb_read(p, &view, c, why, sizeof why) ? weights_for(c, *v) : W_GIVEN;
}

static uint32_t gemv_pack_desc(const struct gie_kernel *k, const struct gie_problem *p,
                               const struct gie_variant *v, struct gie_pack *out, uint32_t max)
{
  struct cb_product c;
  int64_t unit;
  (void)k, (void)v;
  if (max == 0 || !cb_weights_are_constant(p))
    return 0;
  enum weights w = given_weights(p, &c, &unit);
  int64_t pitch = rounded(c.taps, unit), count;
  if (w == W_GIVEN)
    return 0;
  if (w == W_TURNED)
    return cb_pack_desc(p, pitch, out);
  if (__builtin_mul_overflow(c.cols, pitch, &count))
    return 0;
  out->operand = 1;
  out->bytes = (size_t)count * gie_dtype_size(p->in[1].dtype);
  snprintf(out->key, sizeof out->key, "cublas.pitch %lldx%lld pitch %lld", (long long)c.cols,
           (long long)c.taps, (long long)pitch);
  return 1;
}

static gie_status gemv_pack(const struct gie_kernel *k, const struct gie_problem *p,
                            const struct gie_variant *v, const struct gie_pack *d, const void *plain,
                            void *packed)
{
  struct cb_product c;
  int64_t unit;
  (void)k, (void)v;
  enum weights w = given_weights(p, &c, &unit);
  int64_t pitch = rounded(c.taps, unit);
  size_t size = gie_dtype_size(p->in[1].dtype), row = (size_t)c.taps * size;
  if (w == W_TURNED)
    return cb_pack(p, pitch, d, plain, packed);
  memset(packed, 0, d->bytes);
  for (int64_t i = 0; i < c.cols; i++)
    memcpy((char *)packed + (size_t)(i * pitch) * size, (const char *)plain + (size_t)i * row, row);
  return GIE_OK;
}

/* ---- Instances -------------------------------------------------------------------------------------------------- */

struct instance {
  struct gie_context *ctx;
  struct cb_gemv_args args;
  struct cb_gemv_cut cut;
  struct gie_cuda_steps steps;
  int32_t add_in, bias;
  bool half;
};

static size_t gemv_workspace(const struct gie_kernel *k, const struct gie_problem *p,
                             const struct gie_variant *v)
{
  const struct cb_view view = {.in = p->in, .out = &p->out[0]};
  struct cb_product c;
  struct cb_gemv_cut cut;
  char why[128];
  (void)k;
  if (!cut_of(v->config, &cut) || cut.splits == 1 || !cb_read(p, &view, &c, why, sizeof why))
    return 0;
  return (size_t)cut.splits * (size_t)c.rows * (size_t)c.cols * sizeof(float);
}

/* Of the device that is current: an instance is made for that. */
static bool lets_overlap(void)
{
  int device, major;
  return cudaGetDevice(&device) == cudaSuccess &&
         cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess &&
         major >= 9;
}

static void fill_args(const struct gie_problem *p, const struct cb_product *c, struct instance *self)
{
  int64_t v = per_load(p->in[1].dtype);
  self->args = (struct cb_gemv_args){
      .rows = (int32_t)c->rows,
      .cols = (int32_t)c->cols,
      .taps = (int32_t)c->taps,
      .pixels = (int32_t)c->pixels,
      .x_row = c->x.row,
      .w_row = weights_for(c, v) == W_GIVEN ? c->w.col : rounded(c->taps, v),
      .y_row = c->y.row,
      .y_col = c->y.col,
      .add_row = c->add.row,
      .add_col = c->add.col,
      .alpha = c->alpha,
      .beta = c->beta,
      .constant = cb_weights_are_constant(p),
      .overlap = lets_overlap(),
  };
  self->add_in = c->add_in;
  self->bias = c->bias;
  self->half = p->in[0].dtype == GIE_F16;
}

static gie_status gemv_create(const struct gie_kernel *k, const struct gie_problem *p,
                              const struct gie_variant *v, void **instance)
{
  const struct cb_view view = {.in = p->in, .out = &p->out[0]};
  struct cb_product c;
  struct instance made = {.ctx = p->ctx};
  char why[128] = "an unknown config";
  (void)k;
  if (!cut_of(v->config, &made.cut) || !cb_read(p, &view, &c, why, sizeof why) ||
      !cb_read_addend(p, &view, &c, why, sizeof why) ||
      !check_product(p, &c, cb_form_of(v->config).math, why, sizeof why) ||
      !gie_cuda_steps_make(p, v->n_steps, &made.steps, why, sizeof why))
    return gie_fail(p->ctx, GIE_E_UNSUPPORTED, "%s", why);
  fill_args(p, &c, &made);
  struct instance *self = gie_alloc(p->ctx, 1, sizeof *self);
  if (!self)
    return GIE_E_MEMORY;
  *self = made;
  *instance = self;
  return GIE_OK;
}

static void gemv_destroy(void *instance)
{
  struct instance *self = instance;
  gie_free(self->ctx, self);
}

static gie_status gemv_run(void *instance, const struct gie_launch *l)
{
  const struct instance *self = instance;
  struct cb_gemv_args a = self->args;
  struct gie_cuda_steps steps = self->steps;
  a.x = l->in[0];
  a.w = l->in[1];
  a.add = self->add_in >= 0 ? l->in[self->add_in] : NULL;
  a.bias = self->bias >= 0 ? l->in[self->bias] : NULL;
  a.y = l->out[0];
  a.partial = l->workspace;
  gie_cuda_steps_bind(&steps, l);
  GIE_CUDA_TRY(l->ctx, cb_gemv_launch(&a, &self->cut, self->half, &steps, gie_cuda_stream(l)),
               "launching a product with few rows");
  return GIE_OK;
}

static const char *const OPS[] = {"conv", "gemm", "matmul", NULL};
const struct gie_kernel cb_gemv = {.struct_size = sizeof cb_gemv,
                                   .name = "cublas.gemv",
                                   .device = "cuda",
                                   .ops = OPS,
                                   .supports = gemv_supports,
                                   .variants = gemv_variants,
                                   .estimate = gemv_estimate,
                                   .pack_desc = gemv_pack_desc,
                                   .pack = gemv_pack,
                                   .workspace = gemv_workspace,
                                   .create = gemv_create,
                                   .destroy = gemv_destroy,
                                   .run = gemv_run};
