/* SPDX-License-Identifier: Apache-2.0 */
/* What the layers have in common: their kernels, and help for shape functions. */
#include "plugins/detection/detection.h"

/* ---- Kernels */

struct instance {
  const struct det_layer *layer;
  struct det_node n;
};

static bool describe(const struct gie_problem *p, struct det_node *out)
{
  if (p->n_in > DET_MAX_IN || p->n_out > DET_MAX_OUT)
    return false;
  *out = (struct det_node){.ctx = p->ctx, .node = p->node, .n_in = p->n_in, .n_out = p->n_out};
  for (uint32_t i = 0; i < p->n_in; i++)
    out->in[i] = p->in[i];
  for (uint32_t i = 0; i < p->n_out; i++)
    out->out[i] = p->out[i];
  return true;
}

static bool supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t why_size)
{
  const struct det_layer *layer = k->user;
  struct det_node n;
  if (p->node->n_steps || !describe(p, &n)) {
    snprintf(why, why_size, "%s", p->node->n_steps ? "no epilogue" : "too many operands or results");
    return false;
  }
  if (layer->workspace && layer->workspace(&n) == SIZE_MAX) {
    snprintf(why, why_size, "the boxes do not fit into memory");
    return false;
  }
  return true;
}

/* One variant: everything dense and plain, which the zeroed ports say. */
static uint32_t variants(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *out,
                         uint32_t max)
{
  (void)k, (void)p;
  if (max == 0)
    return 0;
  out[0] = (struct gie_variant){.struct_size = sizeof *out, .in_place = -1, .capture_safe = true};
  return 1;
}

static size_t workspace(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v)
{
  const struct det_layer *layer = k->user;
  struct det_node n;
  (void)v;
  return layer->workspace && describe(p, &n) ? layer->workspace(&n) : 0;
}

static gie_status create(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                         void **instance)
{
  struct instance *i = gie_alloc(p->ctx, 1, sizeof *i);
  (void)v;
  if (!i)
    return GIE_E_MEMORY;
  i->layer = k->user;
  describe(p, &i->n);
  *instance = i;
  return GIE_OK;
}

static void destroy(void *instance)
{
  struct instance *i = instance;
  gie_free(i->n.ctx, i);
}

static gie_status run(void *instance, const struct gie_launch *l)
{
  const struct instance *i = instance;
  return i->layer->run(&i->n, l);
}

void det_kernel(const struct det_layer *layer, const char *device, const char *const *ops,
                struct gie_kernel *out)
{
  *out = (struct gie_kernel){
      .struct_size = sizeof *out,
      .name = layer->kernel,
      .device = device,
      .ops = ops,
      .user = (void *)layer,
      .supports = supports,
      .variants = variants,
      .workspace = workspace,
      .create = create,
      .destroy = destroy,
      .run = run,
      .flags = strcmp(device, "cpu") == 0 ? GIE_KERNEL_REFERENCE : 0,
  };
}

/* ---- Dims and attributes */

int64_t det_count(const struct gie_desc *d, int from)
{
  int64_t n = 1;
  for (int i = from; i < d->rank; i++)
    n *= d->dim[i];
  return n;
}

const double *det_floats(const struct gie_node *n, const char *name, uint32_t *count)
{
  const struct gie_attr *a = gie_attrs_find(&n->attrs, name);
  *count = a && a->kind == GIE_ATTR_FLOATS ? a->n : 0;
  return *count ? a->u.fs : NULL;
}

const int64_t *det_ints(const struct gie_node *n, const char *name, uint32_t *count)
{
  const struct gie_attr *a = gie_attrs_find(&n->attrs, name);
  *count = a && a->kind == GIE_ATTR_INTS ? a->n : 0;
  return *count ? a->u.is : NULL;
}

/* ---- Shape functions */

gie_status det_bad(const struct gie_infer *x, gie_status st, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  gie_vfail(x->ctx, st, fmt, ap);
  va_end(ap);
  return st;
}

bool det_is_less(const struct gie_shape *s, int i, int64_t than)
{
  return gie_dim_is_num(s->dim[i]) && s->dim[i].b < than;
}

bool det_is_other(const struct gie_infer *x, uint32_t i, enum gie_dtype dtype)
{
  return x->in[i].dtype != GIE_DTYPE_NONE && dtype != GIE_DTYPE_NONE && x->in[i].dtype != dtype;
}

gie_status det_rank(const struct gie_infer *x, uint32_t i, int rank)
{
  int has = x->in[i].shape.rank;
  if (det_is_other(x, i, x->in[0].dtype))
    return det_bad(x, GIE_E_TYPE, "operand %u is %s; it has to be %s as operand 0", (unsigned)i,
                   gie_dtype_name(x->in[i].dtype), gie_dtype_name(x->in[0].dtype));
  return has < 0 || has == rank
             ? GIE_OK
             : det_bad(x, GIE_E_SHAPE, "operand %u has %d dims; it has to have %d", (unsigned)i, has, rank);
}

void det_type(struct gie_type *out, int rank, const struct gie_dim *dims)
{
  *out = (struct gie_type){GIE_F32, {rank, {{0}}}};
  for (int i = 0; i < rank; i++)
    out->shape.dim[i] = dims[i];
}
