/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to the engine's questions, all found by asking oneDNN for primitive descriptors. */
#include "backends/onednn/onednn.h"

#include <stdio.h>

static const struct od_op *op_of(const struct gie_kernel *k) { return k->user; }

/* ---- Forms of a candidate */

struct walk {
  const struct gie_problem *p;
  const struct od_op *op;
  struct gie_variant *out; /* NULL: only whether there is one */
  uint32_t n, max;
  bool seen[OD_CODES][OD_CODES];
  struct od_build *b;
  struct gie_desc in[GIE_MAX_IO], res, probe[GIE_MAX_IO];
};

static bool set_layout(struct gie_desc *d, enum od_code code)
{
  struct gie_layout l;
  if (d->dtype == GIE_DTYPE_NONE)
    return true;
  if (!od_layout(code, d, &l))
    return false;
  od_dense(d, &l);
  return true;
}

static enum od_code code_for(const struct walk *w, uint32_t i, enum od_code in, enum od_code out)
{
  const struct gie_problem *p = w->p;
  bool own = i < p->node->n_operands, like_result = od_same_dims(&p->in[i], &p->out[0]);
  if (!own)
    return like_result ? out : OD_PLAIN;
  switch (w->op->shape) {
  case OD_WINDOW:
    return i == 0 ? in : OD_PLAIN;
  case OD_POINTWISE:
    return like_result ? out : OD_PLAIN;
  case OD_ALL:
    return out;
  default:
    return OD_PLAIN;
  }
}

static bool set_forms(struct walk *w, enum od_code in, enum od_code out)
{
  w->res = w->p->out[0];
  if (!set_layout(&w->res, out))
    return false;
  for (uint32_t i = 0; i < w->p->n_in; i++) {
    w->in[i] = w->p->in[i];
    if (!set_layout(&w->in[i], code_for(w, i, in, out)))
      return false;
  }
  return true;
}

/* ---- Variants */

#define CHANNELS (1u << 1) /* the axis that takes_pitch() tries */

/* Whether operand i (-1: the result) may be a view. */
static bool takes_pitch(struct walk *w, int32_t i, uint32_t n_steps)
{
  struct gie_desc res = w->res;
  memcpy(w->probe, w->in, w->p->n_in * sizeof w->in[0]);
  return od_pitched(i < 0 ? &res : &w->probe[i]) &&
         od_build_make(w->b, w->op, w->probe, &res, n_steps, -1) == dnnl_success;
}

/* Operand that a pointwise result may be written over. */
static int32_t over_first(const struct walk *w)
{
  const struct gie_desc *x = &w->in[0];
  return w->op->over_first && x->dtype == w->res.dtype && od_same_dims(x, &w->res) &&
                 gie_layout_equal(&x->layout, &w->res.layout, x->rank)
             ? 0
             : -1;
}

static void fill_ports(struct walk *w, struct gie_variant *v)
{
  const struct gie_problem *p = w->p;
  v->n_in = p->n_in;
  v->n_out = 1;
  for (uint32_t i = 0; i < p->n_in; i++) {
    v->in[i].layout = w->in[i].layout;
    if (i < p->node->n_operands && p->in[i].dtype && (i == 0 || w->op->shape != OD_WINDOW))
      v->in[i].pitch = takes_pitch(w, (int32_t)i, v->n_steps);
  }
  v->out[0].layout = w->res.layout;
  v->out[0].pitch = takes_pitch(w, -1, v->n_steps);
  for (uint32_t i = 0; i < v->n_in; i++)
    v->in[i].pitch_axes = CHANNELS;
  v->out[0].pitch_axes = CHANNELS;
}

/* The descriptor at hand as a variant. `sum`: the step whose operand the result is added to where it lies, which
 * oneDNN may do with another implementation, and so with other weights, than when it reads the operand. */
static void add_variant(struct walk *w, enum od_code in, enum od_code out, uint32_t n_steps, int32_t sum)
{
  if (w->n++, !w->out)
    return;
  struct gie_variant *v = &w->out[w->n - 1];
  *v = (struct gie_variant){.struct_size = sizeof *v,
                            .config = (uint64_t)in | (uint64_t)out << 8 | (sum >= 0 ? OD_SUM : 0),
                            .n_steps = n_steps};
  snprintf(v->label, sizeof v->label, "%.28s %s>%s%s", od_pd_name(w->b->pd), od_code_name(in),
           od_code_name(out), sum >= 0 ? " sum" : "");
  fill_ports(w, v);
  v->in_place = over_first(w);
  if (sum >= 0) {
    v->in_place = w->p->node->steps[sum].operand;
    v->out[0].pitch = false;
  }
}

/* The forms at hand as variants with as many steps as can be fused; false: oneDNN cannot. */
static bool offer(struct walk *w, enum od_code in, enum od_code out)
{
  int64_t n_steps = w->p->node->n_steps;
  if (w->seen[in][out] || w->n == w->max || !set_forms(w, in, out))
    return false;
  w->seen[in][out] = true;
  while (n_steps >= 0 && od_build_make(w->b, w->op, w->in, &w->res, (uint32_t)n_steps, -1) != dnnl_success)
    n_steps--;
  if (n_steps < 0)
    return false;
  add_variant(w, in, out, (uint32_t)n_steps, -1);
  int32_t sum = od_sum_step(w->p, w->in, &w->res, (uint32_t)n_steps);
  if (sum >= 0 && w->n < w->max &&
      od_build_make(w->b, w->op, w->in, &w->res, (uint32_t)n_steps, sum) == dnnl_success)
    add_variant(w, in, out, (uint32_t)n_steps, sum);
  return true;
}

/* What oneDNN would like best, without the epilogue; where gie has no word for that, nothing. */
static void offer_preferred(struct walk *w)
{
  enum od_code in, out;
  if (w->op->shape != OD_WINDOW || !set_forms(w, OD_PLAIN, OD_PLAIN))
    return;
  w->in[0].layout.any = true;
  w->res.layout.any = true;
  if (od_build_make(w->b, w->op, w->in, &w->res, 0, -1) != dnnl_success)
    return;
  od_mdp src = od_pd_arg(w->b->pd, DNNL_ARG_SRC), dst = od_pd_arg(w->b->pd, DNNL_ARG_DST);
  if (src && dst && od_code_of(src, &w->p->in[0], &in) && od_code_of(dst, &w->p->out[0], &out))
    offer(w, in, out);
}

static void offer_all(struct walk *w)
{
  static const enum od_code PAIRS[][2] = {{OD_C16, OD_C16},     {OD_C8, OD_C8},     {OD_LAST, OD_LAST},
                                          {OD_PLAIN, OD_PLAIN}, {OD_PLAIN, OD_C16}, {OD_PLAIN, OD_C8}};
  if (w->op->shape == OD_FIXED) {
    offer(w, OD_PLAIN, OD_PLAIN);
    return;
  }
  offer_preferred(w);
  for (size_t i = 0; i < sizeof PAIRS / sizeof *PAIRS; i++)
    if (PAIRS[i][0] == PAIRS[i][1] || w->op->shape == OD_WINDOW)
      offer(w, PAIRS[i][0], PAIRS[i][1]);
}

/* One variant that takes whatever is there; making an instance tells. */
static void offer_any(struct walk *w)
{
  static const struct gie_port any = {.layout.any = true, .pitch = true};
  if (!set_forms(w, OD_PLAIN, OD_PLAIN) || od_build_make(w->b, w->op, w->in, &w->res, 0, -1) != dnnl_success)
    return;
  w->n = 1;
  if (!w->out)
    return;
  *w->out =
      (struct gie_variant){.struct_size = sizeof *w->out, .in_place = -1, .any_in = any, .any_out = any};
  snprintf(w->out->label, sizeof w->out->label, "%.40s", od_pd_name(w->b->pd));
}

static uint32_t walk(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *out,
                     uint32_t max)
{
  struct walk *w = gie_alloc(p->ctx, 1, sizeof *w);
  uint32_t n = 0;
  if (!w)
    return 0;
  w->p = p;
  w->op = op_of(k);
  w->out = out;
  w->max = max;
  w->b = od_build_new(p);
  if (w->b) {
    if (w->op->shape == OD_ANY && max > 0)
      offer_any(w);
    else
      offer_all(w);
    n = w->n;
    od_build_free(w->b);
  }
  gie_free(p->ctx, w);
  return n;
}

uint32_t od_variants(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *out,
                     uint32_t max)
{
  return walk(k, p, out, max);
}

/* ---- supports */

static bool check_tensors(const struct gie_problem *p, bool all_f32, char *why, size_t size)
{
  if (p->n_in == 0 || p->n_out == 0 || p->n_in > GIE_MAX_IO)
    return od_refuse(why, size, "no operand, no result or more than %d operands", GIE_MAX_IO);
  if (p->n_out > 1 && p->out[1].dtype)
    return od_refuse(why, size, "more than one result");
  if (p->out[0].rank > 6)
    return od_refuse(why, size, "rank %d; oneDNN has kernels up to rank 6", p->out[0].rank);
  for (uint32_t i = 0; i <= p->n_in; i++) {
    const struct gie_desc *d = i < p->n_in ? &p->in[i] : &p->out[0];
    if (all_f32 && d->dtype != GIE_F32 && d->dtype != GIE_DTYPE_NONE)
      return od_refuse(why, size, "%s; it computes in f32", gie_dtype_name(d->dtype));
    if (d->dtype && od_is_large(d->rank, d->dim))
      return od_refuse(why, size, "an axis above 2^28");
  }
  if (od_is_empty(&p->in[0]) || od_is_empty(&p->out[0]))
    return od_refuse(why, size, "no elements");
  return true;
}

bool od_supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size)
{
  const struct od_op *op = op_of(k);
  if (!check_tensors(p, op->shape != OD_ANY, why, size) || (op->check && !op->check(p, why, size)))
    return false;
  if (walk(k, p, NULL, 1) == 0)
    return od_refuse(why, size, "%s has no optimized implementation for it", od_version());
  return true;
}

/* ---- Packed weights and scratch memory of the forms at hand */

int32_t od_sum_step(const struct gie_problem *p, const struct gie_desc *in, const struct gie_desc *out,
                    uint32_t n_steps)
{
  for (uint32_t i = 0; i < n_steps; i++) {
    const struct gie_step *s = &p->node->steps[i];
    if (strcmp(s->op->name, "add") != 0 || s->operand < 0)
      continue;
    const struct gie_desc *d = &in[s->operand];
    if (od_same_dims(d, out) && gie_layout_equal(&d->layout, &out->layout, d->rank) && !d->pitched &&
        !out->pitched)
      return (int32_t)i;
  }
  return -1;
}

int32_t od_variant_sum(const struct gie_problem *p, const struct gie_variant *v)
{
  return v->config & OD_SUM ? od_sum_step(p, p->in, p->out, v->n_steps) : -1;
}

static struct od_build *made(const struct gie_kernel *k, const struct gie_problem *p,
                             const struct gie_variant *v)
{
  struct od_build *b = od_build_new(p);
  if (b && od_build_make(b, op_of(k), p->in, p->out, v->n_steps, od_variant_sum(p, v)) != dnnl_success) {
    od_build_free(b);
    return NULL;
  }
  return b;
}

static od_mdp packed_format(const struct od_build *b)
{
  for (uint32_t i = 0; i < b->n_args; i++)
    if (b->args[i].io == (int32_t)b->packed)
      return od_pd_arg(b->pd, b->args[i].arg);
  return NULL;
}

/* How the plain bytes are read: the same bytes are packed otherwise when a product takes them transposed. */
static uint64_t desc_hash(const struct gie_desc *d)
{
  uint64_t h = 1469598103934665603u;
  for (int i = 0; i < d->rank; i++) {
    h = (h ^ (uint64_t)d->dim[i]) * 1099511628211u;
    h = (h ^ (uint64_t)d->stride[i]) * 1099511628211u;
  }
  return h;
}

uint32_t od_pack_desc(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                      struct gie_pack *out, uint32_t max)
{
  struct od_build *b = max > 0 ? made(k, p, v) : NULL;
  uint32_t n = 0;
  if (b && b->packs) {
    char text[96];
    od_mdp m = packed_format(b);
    if (m && od_md_text(m, text, sizeof text)) {
      out[0].operand = b->packed;
      out[0].bytes = dnnl_memory_desc_get_size(m);
      snprintf(out[0].key, sizeof out[0].key, "%.12s %s %llx", strchr(k->name, '.') + 1, text,
               (unsigned long long)desc_hash(&b->packed_plain));
      n = 1;
    }
  }
  if (b)
    od_build_free(b);
  return n;
}

/* Runs a primitive that reads `from` and writes `to` at once. */
static dnnl_status_t reorder_now(od_mdp from, const void *src, od_mdp to, void *dst)
{
  dnnl_primitive_desc_t pd = NULL;
  dnnl_primitive_t primitive = NULL;
  dnnl_stream_t stream = NULL;
  dnnl_memory_t m[2] = {NULL, NULL};
  dnnl_status_t st = od_pd_reorder(&pd, from, to, NULL);
  if (st == dnnl_success)
    st = dnnl_primitive_create(&primitive, pd);
  if (st == dnnl_success)
    st = dnnl_stream_create(&stream, od_engine(), dnnl_stream_default_flags);
  if (st == dnnl_success)
    st = dnnl_memory_create(&m[0], from, od_engine(), (void *)(uintptr_t)src);
  if (st == dnnl_success)
    st = dnnl_memory_create(&m[1], to, od_engine(), dst);
  if (st == dnnl_success) {
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, m[0]}, {DNNL_ARG_TO, m[1]}};
    st = dnnl_primitive_execute(primitive, stream, 2, args);
  }
  if (st == dnnl_success)
    st = dnnl_stream_wait(stream);
  for (int i = 0; i < 2; i++)
    if (m[i])
      dnnl_memory_destroy(m[i]);
  if (stream)
    dnnl_stream_destroy(stream);
  if (primitive)
    dnnl_primitive_destroy(primitive);
  if (pd)
    dnnl_primitive_desc_destroy(pd);
  return st;
}

gie_status od_pack(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                   const struct gie_pack *d, const void *plain, void *packed)
{
  struct od_build *b = made(k, p, v);
  od_mdp to = b ? packed_format(b) : NULL;
  od_mdp from = b ? od_use(b, &b->packed_plain) : NULL;
  dnnl_status_t st = dnnl_runtime_error;
  if (from && to && dnnl_memory_desc_get_size(to) == d->bytes) {
    int before = od_threads_enter(od_threads(p));
    st = reorder_now(from, plain, to, packed);
    od_threads_leave(before);
  }
  if (b)
    od_build_free(b);
  if (st != dnnl_success)
    return gie_fail(p->ctx, GIE_E_INTERNAL, "oneDNN cannot pack operand %u: status %d", d->operand, (int)st);
  return GIE_OK;
}

size_t od_workspace(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v)
{
  struct od_build *b = made(k, p, v);
  if (!b)
    return 0; /* create says why */
  size_t bytes = od_pd_scratch(b->pd);
  od_build_free(b);
  return bytes;
}
