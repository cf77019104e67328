/* SPDX-License-Identifier: Apache-2.0 */
/* Instances: a primitive, and sets of its arguments. A set belongs to one run at a time; the first run
 * of each thread makes one, the later ones find it with its addresses already set. */
#include "backends/onednn/onednn.h"

#include <pthread.h>

struct set {
  struct set *next;
  dnnl_stream_t stream;
  void *at[OD_MAX_ARGS]; /* addresses that the memories have */
  dnnl_exec_arg_t args[OD_MAX_ARGS];
};

struct program {
  dnnl_primitive_desc_t pd;
  dnnl_primitive_t primitive;
  uint32_t n;
  struct od_arg args[OD_MAX_ARGS];
  struct set *free; /* sets that no run has */
};

struct instance {
  struct gie_context *ctx;
  pthread_mutex_t lock;
  int threads;
  struct program program;
  int32_t sum;      /* operand that the result is added to, or -1 */
  size_t sum_bytes; /* of the result, which that operand has to be copied to first unless it lies there */
};

static gie_status failed(struct gie_context *ctx, const char *what, dnnl_status_t st)
{
  if (st == dnnl_out_of_memory)
    return gie_fail(ctx, GIE_E_MEMORY, "oneDNN is out of memory");
  return gie_fail(ctx, st == dnnl_unimplemented ? GIE_E_UNSUPPORTED : GIE_E_INTERNAL,
                  "oneDNN cannot %s: status %d", what, (int)st);
}

/* ---- Sets of arguments */

static void set_free(struct gie_context *ctx, struct set *s, uint32_t n)
{
  for (uint32_t i = 0; i < n; i++)
    if (s->args[i].memory)
      dnnl_memory_destroy(s->args[i].memory);
  if (s->stream)
    dnnl_stream_destroy(s->stream);
  gie_free(ctx, s);
}

static struct set *set_new(struct gie_context *ctx, const struct program *g)
{
  struct set *s = gie_alloc(ctx, 1, sizeof *s);
  if (!s)
    return NULL;
  bool ok = dnnl_stream_create(&s->stream, od_engine(), dnnl_stream_default_flags) == dnnl_success;
  for (uint32_t i = 0; ok && i < g->n; i++) {
    od_mdp m = g->args[i].io == OD_SCRATCH ? dnnl_primitive_desc_query_md(g->pd, dnnl_query_scratchpad_md, 0)
                                           : od_pd_arg(g->pd, g->args[i].arg);
    s->args[i].arg = g->args[i].arg;
    ok = m && dnnl_memory_create(&s->args[i].memory, m, od_engine(), DNNL_MEMORY_NONE) == dnnl_success;
  }
  if (ok)
    return s;
  set_free(ctx, s, g->n);
  return NULL;
}

static struct set *set_take(struct instance *self, struct program *g)
{
  pthread_mutex_lock(&self->lock);
  struct set *s = g->free;
  if (s)
    g->free = s->next;
  pthread_mutex_unlock(&self->lock);
  return s ? s : set_new(self->ctx, g);
}

static void set_return(struct instance *self, struct program *g, struct set *s)
{
  pthread_mutex_lock(&self->lock);
  s->next = g->free;
  g->free = s;
  pthread_mutex_unlock(&self->lock);
}

/* ---- Making */

static void program_free(struct gie_context *ctx, struct program *g)
{
  for (struct set *s = g->free, *next; s; s = next) {
    next = s->next;
    set_free(ctx, s, g->n);
  }
  if (g->primitive)
    dnnl_primitive_destroy(g->primitive);
  if (g->pd)
    dnnl_primitive_desc_destroy(g->pd);
}

/* Takes the descriptor out of b. A first set of arguments is made here, so that run() finds one. */
static gie_status program_make(struct instance *self, struct program *g, struct od_build *b)
{
  g->pd = b->pd;
  b->pd = NULL;
  g->n = b->n_args;
  memcpy(g->args, b->args, b->n_args * sizeof b->args[0]);
  if (od_pd_scratch(g->pd) > 0)
    g->args[g->n++] = (struct od_arg){DNNL_ARG_SCRATCHPAD, OD_SCRATCH};
  int before = od_threads_enter(self->threads);
  dnnl_status_t st = dnnl_primitive_create(&g->primitive, g->pd);
  od_threads_leave(before);
  if (st != dnnl_success)
    return failed(self->ctx, "make the primitive", st);
  g->free = set_new(self->ctx, g);
  return g->free ? GIE_OK : failed(self->ctx, "make memory objects", dnnl_out_of_memory);
}

static gie_status make(struct instance *self, const struct od_op *op, const struct gie_problem *p,
                       const struct gie_variant *v, struct od_build *b)
{
  static const struct gie_layout plain;
  int32_t step = od_variant_sum(p, v);
  struct gie_type type = {p->out[0].dtype, {.rank = p->out[0].rank}};
  struct gie_desc d;
  dnnl_status_t st = od_build_make(b, op, p->in, p->out, v->n_steps, step);
  if (st != dnnl_success || ((v->config & OD_SUM) && step < 0))
    return failed(p->ctx, "do this with these layouts and strides", st ? st : dnnl_unimplemented);
  if (step >= 0) {
    for (int i = 0; i < type.shape.rank; i++)
      type.shape.dim[i] = gie_dim_num(p->out[0].dim[i]);
    const struct gie_layout *l = p->out[0].layout.any ? &plain : &p->out[0].layout;
    GIE_TRY(gie_desc_make(p->ctx, &type, l, &d, &self->sum_bytes));
    self->sum = p->node->steps[step].operand;
  }
  return program_make(self, &self->program, b);
}

gie_status od_create(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                     void **instance)
{
  struct instance *self = gie_alloc(p->ctx, 1, sizeof *self);
  if (!self)
    return GIE_E_MEMORY;
  self->ctx = p->ctx;
  self->sum = -1;
  self->threads = od_threads(p);
  pthread_mutex_init(&self->lock, NULL);
  struct od_build *b = od_build_new(p);
  gie_status st = b ? make(self, k->user, p, v, b) : GIE_E_MEMORY;
  if (b)
    od_build_free(b);
  if (st != GIE_OK) {
    od_destroy(self);
    return st;
  }
  *instance = self;
  return GIE_OK;
}

void od_destroy(void *instance)
{
  struct instance *self = instance;
  if (!self)
    return;
  program_free(self->ctx, &self->program);
  pthread_mutex_destroy(&self->lock);
  gie_free(self->ctx, self);
}

/* ---- Running */

static void *address_of(const struct gie_launch *l, int32_t io)
{
  return io == OD_OUT ? l->out[0] : io == OD_SCRATCH ? l->workspace : l->in[io];
}

static dnnl_status_t execute(const struct program *g, struct set *s, const struct gie_launch *l)
{
  for (uint32_t i = 0; i < g->n; i++) {
    void *at = address_of(l, g->args[i].io);
    if (at == s->at[i])
      continue;
    dnnl_status_t st = dnnl_memory_set_data_handle(s->args[i].memory, at);
    if (st != dnnl_success)
      return st;
    s->at[i] = at;
  }
  return dnnl_primitive_execute(g->primitive, s->stream, (int)g->n, s->args);
}

gie_status od_run(void *instance, const struct gie_launch *l)
{
  struct instance *self = instance;
  struct program *g = &self->program;
  if (self->sum >= 0 && l->in[self->sum] != l->out[0])
    memcpy(l->out[0], l->in[self->sum], self->sum_bytes);
  struct set *s = set_take(self, g);
  if (!s)
    return failed(l->ctx, "make memory objects", dnnl_out_of_memory);
  int before = od_threads_enter(self->threads);
  dnnl_status_t st = execute(g, s, l);
  od_threads_leave(before);
  set_return(self, g, s);
  return st == dnnl_success ? GIE_OK : failed(l->ctx, "run the primitive", st);
}
