/* SPDX-License-Identifier: Apache-2.0 */
/* Instances: a plan and the addresses that it was last run with. */
#include "backends/cudnn/cn.h"

struct instance {
  struct gie_context *ctx;
  struct cn_library *lib;
  struct cn_plan *plan;
  cn_desc pack; /* NULL: none yet */
  float scalars[CN_MAX_BOUND];
  void *at[CN_MAX_BOUND], *workspace; /* what the pack says */
};

gie_status cn_create(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                     void **instance)
{
  struct cn_plan *plan;
  if (!p->library)
    return gie_fail(p->ctx, GIE_E_DEVICE, "cuDNN has no handle; open a device first");
  GIE_TRY(cn_library_plan(p->library, p, k->user, v->config, &plan));
  struct instance *self = gie_alloc(p->ctx, 1, sizeof *self);
  if (!self) {
    cn_library_plan_return(p->library, plan);
    return GIE_E_MEMORY;
  }
  self->ctx = p->ctx;
  self->lib = p->library;
  self->plan = plan;
  for (uint32_t i = 0; i < plan->graph.n_bound; i++)
    self->scalars[i] = plan->graph.bound[i].scalar;
  *instance = self;
  return GIE_OK;
}

void cn_destroy(void *instance)
{
  struct instance *self = instance;
  if (self->pack)
    cudnnBackendDestroyDescriptor(self->pack);
  cn_library_plan_return(self->lib, self->plan);
  gie_free(self->ctx, self);
}

/* ---- Addresses */

static void *address_of(struct instance *self, const struct gie_launch *l, uint32_t i)
{
  switch (self->plan->graph.bound[i].io) {
  case CN_SCALAR:
    return &self->scalars[i];
  case CN_ZEROS:
    return self->lib->zeros;
  case CN_OUT:
    return l->out[0];
  default:
    return l->in[self->plan->graph.bound[i].io];
  }
}

static bool take_addresses(struct instance *self, const struct gie_launch *l)
{
  bool changed = !self->pack || self->workspace != l->workspace;
  self->workspace = l->workspace;
  for (uint32_t i = 0; i < self->plan->graph.n_bound; i++) {
    void *at = address_of(self, l, i);
    changed |= at != self->at[i];
    self->at[i] = at;
  }
  return changed;
}

static cudnnStatus_t make_pack(struct instance *self)
{
  const struct cn_graph *g = &self->plan->graph;
  int64_t uids[CN_MAX_BOUND];
  cn_desc d;
  for (uint32_t i = 0; i < g->n_bound; i++)
    uids[i] = g->bound[i].uid;
  if (self->pack)
    cudnnBackendDestroyDescriptor(self->pack);
  self->pack = NULL;
  cudnnStatus_t st = cudnnBackendCreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &d);
  if (st != CUDNN_STATUS_SUCCESS)
    return st;
  st = cudnnBackendSetAttribute(d, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, g->n_bound, uids);
  if (st == CUDNN_STATUS_SUCCESS)
    st = cudnnBackendSetAttribute(d, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, g->n_bound,
                                  self->at);
  if (st == CUDNN_STATUS_SUCCESS)
    st = cudnnBackendSetAttribute(d, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1,
                                  &self->workspace);
  if (st == CUDNN_STATUS_SUCCESS)
    st = cudnnBackendFinalize(d);
  if (st == CUDNN_STATUS_SUCCESS)
    self->pack = d;
  else
    cudnnBackendDestroyDescriptor(d);
  return st;
}

/* ---- Running */

static cudnnStatus_t execute(struct instance *self, struct cn_library *lib, const struct gie_launch *l)
{
  cudnnStatus_t st = cn_library_stream(lib, l->stream);
  if (st == CUDNN_STATUS_SUCCESS && take_addresses(self, l))
    st = make_pack(self);
  return st == CUDNN_STATUS_SUCCESS ? cudnnBackendExecute(lib->target.handle, self->plan->plan, self->pack)
                                    : st;
}

gie_status cn_run(void *instance, const struct gie_launch *l)
{
  struct instance *self = instance;
  struct cn_library *lib = self->lib;
  pthread_mutex_lock(&lib->lock);
  cudnnStatus_t st = execute(self, lib, l);
  pthread_mutex_unlock(&lib->lock);
  if (st != CUDNN_STATUS_SUCCESS)
    return gie_fail(l->ctx, GIE_E_DEVICE, "cuDNN cannot run the plan: %s", cudnnGetErrorString(st));
  return GIE_OK;
}
