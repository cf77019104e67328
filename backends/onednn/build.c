/* SPDX-License-Identifier: Apache-2.0 */
/* A primitive descriptor being made. */
#include "backends/onednn/onednn.h"

#include <stdarg.h>
#include <stdio.h>
#ifdef _OPENMP
#include <omp.h>
#endif

bool od_refuse(char *why, size_t size, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(why, size, fmt, ap);
  va_end(ap);
  return false;
}

/* ---- Threads: oneDNN asks OpenMP, whose number belongs to the calling thread */

int od_threads(const struct gie_problem *p)
{
  uint32_t n = 0;
  if (p->struct_size >= offsetof(struct gie_problem, threads) + sizeof p->threads)
    n = p->threads;
  if (n == 0 && p->device)
    n = p->device->units;
  return n < 1 ? 1 : n > 1024 ? 1024 : (int)n;
}

int od_threads_enter(int n)
{
#ifdef _OPENMP
  int before = omp_get_max_threads();
  if (before != n)
    omp_set_num_threads(n);
  return before;
#else
  return n;
#endif
}

void od_threads_leave(int before) { od_threads_enter(before); }

/* ---- Making */

struct od_build *od_build_new(const struct gie_problem *p)
{
  struct od_build *b = gie_alloc(p->ctx, 1, sizeof *b);
  if (b)
    b->p = p;
  return b;
}

static void clear(struct od_build *b)
{
  for (uint32_t i = 0; i < b->n_md; i++)
    od_md_free(&b->md[i]);
  if (b->pd)
    dnnl_primitive_desc_destroy(b->pd);
  if (b->ops)
    dnnl_post_ops_destroy(b->ops);
  if (b->attr)
    dnnl_primitive_attr_destroy(b->attr);
  b->n_md = b->n_args = 0;
  b->pd = NULL;
  b->ops = NULL;
  b->attr = NULL;
  b->packs = false;
}

void od_build_free(struct od_build *b)
{
  struct gie_context *ctx = b->p->ctx;
  clear(b);
  gie_free(ctx, b);
}

static dnnl_status_t make_attributes(struct od_build *b)
{
  dnnl_status_t st = dnnl_primitive_attr_create(&b->attr);
  if (st == dnnl_success)
    st = dnnl_primitive_attr_set_scratchpad_mode(b->attr, dnnl_scratchpad_mode_user);
  if (st == dnnl_success)
    st = dnnl_primitive_attr_set_fpmath_mode(b->attr, dnnl_fpmath_mode_strict);
  if (st == dnnl_success)
    st = dnnl_post_ops_create(&b->ops);
  return st;
}

/* "ref:any", and what is built upon it: "conv:any+ref:any". */
static bool is_reference(const char *name)
{
  return strstr(name, "ref:") != NULL || strcmp(name, "ref") == 0;
}

dnnl_status_t od_build_make(struct od_build *b, const struct od_op *op, const struct gie_desc *in,
                            const struct gie_desc *out, uint32_t n_steps, int32_t sum)
{
  clear(b);
  b->in = in;
  b->out = out;
  b->n_steps = n_steps;
  b->sum = sum;
  int before = od_threads_enter(od_threads(b->p));
  dnnl_status_t st = od_engine() ? make_attributes(b) : dnnl_runtime_error;
  if (st == dnnl_success)
    st = op->make(b);
  od_threads_leave(before);
  if (st == dnnl_success && !op->any_reference && is_reference(od_pd_name(b->pd)))
    st = dnnl_unimplemented;
  return st;
}

od_mdp od_use(struct od_build *b, const struct gie_desc *d)
{
  if (b->n_md == OD_MAX_ARGS || od_md_make(d, &b->md[b->n_md]) != dnnl_success)
    return NULL;
  return od_md_ref(&b->md[b->n_md++]);
}

void od_bind(struct od_build *b, int arg, int32_t io)
{
  if (b->n_args < OD_MAX_ARGS)
    b->args[b->n_args++] = (struct od_arg){arg, io};
}

static bool is_constant(const struct od_build *b, uint32_t i) { return b->p->in_data && b->p->in_data[i]; }

struct gie_desc od_weights(const struct od_build *b, uint32_t i)
{
  static const struct gie_layout plain;
  struct gie_desc d = b->in[i];
  if (is_constant(b, i))
    od_dense(&d, &plain);
  return d;
}

od_mdp od_use_weights(struct od_build *b, uint32_t i, const struct gie_desc *d, int arg)
{
  struct gie_desc any = *d;
  od_bind(b, arg, (int32_t)i);
  if (!is_constant(b, i))
    return od_use(b, d);
  b->packs = true;
  b->packed = i;
  b->packed_plain = *d;
  any.layout.any = true;
  return od_use(b, &any);
}
