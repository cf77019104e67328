/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel of template.c for the device "cuda": compiled by nvcc where it is there, else left out. Device code and the
 * kernel's table are here, everything else is in template.c.
 *
 * Conventions of that device are in gie/cuda.h: run() launches on the stream of the launch and does nothing else. */
#include <gie/cuda.h>
#include <gie/module.h>
#include <stdio.h>

/* 1. What the device gets to know: dims and strides, by value. */
struct where {
  int rank;
  long long count, dim[GIE_MAX_RANK], x[GIE_MAX_RANK], y[GIE_MAX_RANK];
};

/* 2. The device code: one thread for each element, whatever the strides are. */
__global__ void swish(const float *x, float *y, struct where w, float beta)
{
  for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < w.count;
       i += (long long)gridDim.x * blockDim.x) {
    long long rest = i, from = 0, to = 0;
    for (int axis = w.rank - 1; axis >= 0; axis--) {
      long long at = rest % w.dim[axis];
      rest /= w.dim[axis];
      from += at * w.x[axis];
      to += at * w.y[axis];
    }
    y[to] = x[from] / (1 + __expf(-beta * x[from]));
  }
}

/* 3. The kernel, as in template.c. */
struct instance {
  struct gie_context *ctx;
  struct where w;
  float beta;
};

static bool supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t why_size)
{
  (void)k;
  if (p->node->n_steps > 0 || p->out[0].layout.block > 1) {
    snprintf(why, why_size, "no epilogue, no blocked layout");
    return false;
  }
  return true;
}

/* Any layout and view, and it may be captured in a graph of launches. */
static uint32_t variants(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *out,
                         uint32_t max)
{
  (void)k, (void)p;
  if (max == 0)
    return 0;
  out[0].in_place = -1;
  out[0].capture_safe = true;
  out[0].any_in.layout.any = out[0].any_out.layout.any = true;
  out[0].any_in.pitch = out[0].any_out.pitch = true;
  return 1;
}

static gie_status create(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                         void **made)
{
  (void)k, (void)v;
  struct instance *i = (struct instance *)gie_alloc(p->ctx, 1, sizeof *i);
  if (!i)
    return GIE_E_MEMORY;
  i->ctx = p->ctx;
  i->beta = (float)gie_node_float(p->node, "beta");
  i->w.rank = p->in[0].rank;
  i->w.count = gie_desc_count(&p->in[0]);
  for (int axis = 0; axis < i->w.rank; axis++) {
    i->w.dim[axis] = p->in[0].dim[axis];
    i->w.x[axis] = p->in[0].stride[axis];
    i->w.y[axis] = p->out[0].stride[axis];
  }
  *made = i;
  return GIE_OK;
}

static void destroy(void *instance)
{
  struct instance *i = (struct instance *)instance;
  gie_free(i->ctx, i);
}

static gie_status run(void *instance, const struct gie_launch *l)
{
  const struct instance *i = (const struct instance *)instance;
  long long blocks = (i->w.count + 255) / 256;
  if (blocks == 0)
    return GIE_OK;
  swish<<<(unsigned)(blocks < 65535 ? blocks : 65535), 256, 0, gie_cuda_stream(l)>>>((const float *)l->in[0],
                                                                                     (float *)l->out[0], i->w,
                                                                                     i->beta);
  return gie_cuda_launched(l->ctx, "template.swish_cuda");
}

static const char *const ops[] = {"template::Swish", NULL};
extern "C" const struct gie_kernel template_cuda_kernel = {
    .struct_size = sizeof(struct gie_kernel),
    .name = "template.swish_cuda",
    .device = "cuda",
    .ops = ops,
    .supports = supports,
    .variants = variants,
    .create = create,
    .destroy = destroy,
    .run = run,
};
