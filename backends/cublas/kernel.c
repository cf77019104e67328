/* SPDX-License-Identifier: Apache-2.0 */
/* cublasLt's products as kernels: answers to the engine's questions, and instances. */
#include "backends/cublas/cublas.h"

#include <stdio.h>

static enum cb_math math_of(const struct gie_kernel *k) { return (enum cb_math)(uintptr_t)k->user; }

/* ---- Questions --------------------------------------------------------------------------------------------- */

/* The product as cublasLt would see it if all lay as the form wants. */
static bool dense_shape(const struct gie_problem *p, const struct cb_form *f, uint32_t n_steps,
                        struct cb_product *c, struct cb_lt_shape *s, char *why, size_t size)
{
  struct gie_desc in[GIE_MAX_IO], out;
  const struct cb_view v = {.in = in, .out = &out, .packed = f->packed};
  if (!cb_form_descs(p, f, in, &out))
    return cb_refuse(why, size, "%s", gie_error_text(p->ctx));
  return cb_read(p, &v, c, why, size) && cb_read_addend(p, &v, c, why, size) &&
         cb_read_steps(p, &v, n_steps, c, why, size) && cb_lt_shape(c, f->math, s, why, size);
}

bool cb_supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size)
{
  struct cb_form forms[CB_MAX_FORMS];
  struct cb_product c;
  struct cb_lt_shape s;
  const struct cb_algo *algos;
  uint32_t n = 0;
  bool described = false;
  if (!cb_check(p, why, size) || !cb_math_allowed(p, math_of(k), why, size))
    return false;
  n = cb_forms(p, math_of(k), forms);
  for (uint32_t i = 0; i < n; i++) {
    if (!dense_shape(p, &forms[i], p->node->n_steps, &c, &s, why, size))
      continue;
    described = true;
    if (!p->library || cb_lt_algos(p->library, &s, &algos) > 0)
      return true;
  }
  if (described)
    return cb_refuse(why, size, "cublasLt has no algorithm for it");
  return false;
}

struct offer {
  const struct gie_problem *p;
  const struct cb_algo *algos;
  uint32_t n;
  int32_t add_in;
  struct cb_lt_shape shape;
  struct cb_form form;
};

/* The addend may lie where the result goes. */
static int32_t over_addend(const struct offer *o)
{
  return o->add_in >= 0 && o->shape.ldc == o->shape.ldd && o->shape.batch_c == o->shape.batch_d ? o->add_in
                                                                                                : -1;
}

#define TF32_ERROR \
  2e-3f /* factors have 11 bits; sums of a few thousand products are off by a quarter of that */

static void fill(const struct offer *o, const struct cb_algo *a, struct gie_variant *v)
{
  static const char *const MATHS[CB_MATHS] = {"f32", "tf32", "f16"};
  const struct cb_form *f = &o->form;
  bool conv = cb_is_conv(o->p);
  *v = (struct gie_variant){.struct_size = sizeof *v,
                            .config = a->hash << 16 | cb_form_code(f),
                            .n_steps = o->p->node->n_steps,
                            .in_place = over_addend(o),
                            .capture_safe = true,
                            .error = f->math == CB_TF32 ? TF32_ERROR : 0};
  snprintf(v->label, sizeof v->label, "%s%s %s%s a%d t%d s%d k%d", cb_lt_form_name(&o->shape),
           f->packed ? "'" : "", MATHS[f->math],
           !conv                    ? ""
           : f->x_last && f->y_last ? " last"
           : f->x_last              ? " last>plain"
           : f->y_last              ? " plain>last"
                                    : "",
           a->id, a->tile, a->stages, a->split);
  cb_form_ports(o->p, f, v);
}

/* cublasLt orders its list well: over the 1x1 convolutions of four networks, the first 8 of every form lose nothing
 * and the first 4 one percent at most (bench/results/cublas.txt). */
#define DEPTH 8
#define DEPTH_MIXED 4 /* where the product also changes the layout */

static uint32_t depth_of(const struct offer *o)
{
  uint32_t most = o->form.x_last == o->form.y_last ? DEPTH : DEPTH_MIXED;
  return o->n < most ? o->n : most;
}

/* By rank of the algorithm, so that a caller with little room gets the best of every form. */
uint32_t cb_variants(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *out,
                     uint32_t max)
{
  struct cb_form forms[CB_MAX_FORMS];
  struct offer offers[CB_MAX_FORMS];
  struct cb_product c;
  char why[128];
  uint32_t n_forms = p->library ? cb_forms(p, math_of(k), forms) : 0, n_offers = 0, n = 0;
  for (uint32_t i = 0; i < n_forms; i++) {
    struct offer *o = &offers[n_offers];
    *o = (struct offer){.p = p, .form = forms[i]};
    if (!dense_shape(p, &forms[i], p->node->n_steps, &c, &o->shape, why, sizeof why))
      continue;
    o->add_in = c.add_in;
    o->n = cb_lt_algos(p->library, &o->shape, &o->algos);
    n_offers++;
  }
  for (uint32_t rank = 0; rank < DEPTH; rank++)
    for (uint32_t i = 0; i < n_offers && n < max; i++)
      if (rank < depth_of(&offers[i]))
        fill(&offers[i], &offers[i].algos[rank], &out[n++]);
  return n;
}

/* Everything about the variant with the tensors as they lie in the problem. */
static gie_status resolve(const struct gie_problem *p, const struct gie_variant *v, struct cb_product *here,
                          struct cb_lt_shape *shape, struct cb_algo *algo)
{
  const struct cb_form f = cb_form_of(v->config);
  const struct cb_view view = {.in = p->in, .out = &p->out[0], .packed = f.packed};
  struct cb_product c;
  struct cb_lt_shape dense;
  char why[128] = "";
  if (!p->library)
    return gie_fail(p->ctx, GIE_E_INTERNAL, "asked without the handle of cublasLt");
  if (!cb_read(p, &view, here, why, sizeof why) || !cb_read_addend(p, &view, here, why, sizeof why) ||
      !cb_read_steps(p, &view, v->n_steps, here, why, sizeof why) ||
      !cb_lt_shape(here, f.math, shape, why, sizeof why) ||
      !dense_shape(p, &f, v->n_steps, &c, &dense, why, sizeof why))
    return gie_fail(p->ctx, GIE_E_UNSUPPORTED, "%s", why);
  return cb_lt_find(p->ctx, p->library, &dense, shape, v->config >> 16, algo);
}

void cb_work(const struct gie_problem *p, enum cb_math m, struct gie_cost *out)
{
  const struct cb_view v = {.in = p->in, .out = &p->out[0]};
  struct cb_product c;
  char why[128];
  if (!cb_read(p, &v, &c, why, sizeof why))
    return;
  double rows = (double)c.rows * (double)c.batch, cols = (double)c.cols, taps = (double)c.taps;
  double addend = cb_read_addend(p, &v, &c, why, sizeof why) &&
                          cb_read_steps(p, &v, p->node->n_steps, &c, why, sizeof why) && c.add_in >= 0
                      ? rows * cols
                      : 0;
  double weights = cols * taps * (c.w.batch ? (double)c.batch : 1);
  out->flops = 2 * rows * cols * taps;
  out->bytes = (rows * taps + weights + rows * cols + addend) * (double)gie_dtype_size(cb_dtype(m));
}

void cb_estimate(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                 struct gie_cost *out)
{
  const struct cb_form f = cb_form_of(v->config);
  struct cb_product c;
  struct cb_lt_shape s;
  char why[128];
  cb_work(p, math_of(k), out);
  if (!p->library || !dense_shape(p, &f, v->n_steps, &c, &s, why, sizeof why))
    return;
  const struct cb_algo *a;
  uint32_t n = cb_lt_algos(p->library, &s, &a);
  for (uint32_t i = 0; i < n; i++)
    if (a[i].hash == v->config >> 16)
      out->waves = (double)a[i].waves;
}

uint32_t cb_kernel_pack_desc(const struct gie_kernel *k, const struct gie_problem *p,
                             const struct gie_variant *v, struct gie_pack *out, uint32_t max)
{
  (void)k;
  return max > 0 && cb_form_of(v->config).packed && cb_weights_are_constant(p) ? cb_pack_desc(p, 0, out) : 0;
}

gie_status cb_kernel_pack(const struct gie_kernel *k, const struct gie_problem *p,
                          const struct gie_variant *v, const struct gie_pack *d, const void *plain,
                          void *packed)
{
  (void)k, (void)v;
  return cb_pack(p, 0, d, plain, packed);
}

size_t cb_workspace(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v)
{
  struct cb_product c;
  struct cb_lt_shape s;
  struct cb_algo a;
  (void)k;
  return resolve(p, v, &c, &s, &a) == GIE_OK ? a.workspace : 0; /* create says why */
}

/* ---- Instances --------------------------------------------------------------------------------------------------- */

struct instance {
  struct gie_context *ctx;
  struct cb_lt_call *call;
  int32_t add_in, bias;
};

gie_status cb_create(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                     void **instance)
{
  struct cb_product c;
  struct cb_lt_shape s;
  struct cb_algo a;
  (void)k;
  GIE_TRY(resolve(p, v, &c, &s, &a));
  struct instance *self = gie_alloc(p->ctx, 1, sizeof *self);
  if (!self)
    return GIE_E_MEMORY;
  *self = (struct instance){.ctx = p->ctx, .add_in = c.add_in, .bias = c.bias};
  gie_status st = cb_lt_call_new(p->ctx, &s, &a, c.alpha, c.beta, &self->call);
  if (st != GIE_OK) {
    gie_free(p->ctx, self);
    return st;
  }
  *instance = self;
  return GIE_OK;
}

void cb_destroy(void *instance)
{
  struct instance *self = instance;
  cb_lt_call_free(self->ctx, self->call);
  gie_free(self->ctx, self);
}

gie_status cb_run(void *instance, const struct gie_launch *l)
{
  const struct instance *self = instance;
  return cb_lt_call_run(self->call, l, l->in[0], l->in[1], self->add_in >= 0 ? l->in[self->add_in] : NULL,
                        self->bias >= 0 ? l->in[self->bias] : NULL, l->out[0]);
}
