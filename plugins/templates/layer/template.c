/* SPDX-License-Identifier: Apache-2.0 */
/* A custom layer for gie: the op "template::Swish", y = x * sigmoid(beta * x), and its kernel for the
 * cpu device. Its kernel for CUDA devices, where nvcc compiled it, is in template_cuda.cu.
 *
 * Models use it without further ado: an ONNX node Swish of the domain "template" becomes this op, and
 * so does "template::Swish" in gie text. */
#include <gie/module.h>
#include <math.h>
#include <stdio.h>

/* 1. The shape function: types of the results from those of the operands. Dims may be symbols or
 *    unknown; here they are just copied. */
static gie_status infer(struct gie_infer *x)
{
  x->out[0] = x->in[0];
  return GIE_OK;
}

/* 2. The op: operands, results, dtypes of the first operand, attributes with their defaults. */
static const struct gie_attr_spec attrs[] = {
    {"beta", GIE_ATTR_FLOAT, GIE_DEFAULT, 1, NULL},
    {NULL, GIE_ATTR_INT, GIE_OPTIONAL, 0, NULL},
};
static const struct gie_op op = {
    .struct_size = sizeof op,
    .name = "template::Swish",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .dtypes = GIE_DT(F32),
    .attrs = attrs,
    .infer = infer,
    .help = "x * sigmoid(beta * x)",
};

/* 3. The kernel: gie/kernel.h says what each function has to do. This one takes any layout
 *    and views, because it asks the descriptors where each element is: a kernel without variants()
 *    promises that. */
struct swish {
  struct gie_context *ctx;
  struct gie_desc x, y;
  float beta;
};

static gie_status run(void *instance, const struct gie_launch *l)
{
  const struct swish *s = instance;
  const float *x = l->in[0];
  float *y = l->out[0];
  int64_t idx[GIE_MAX_RANK] = {0}, n = gie_desc_count(&s->x);
  for (int64_t i = 0; i < n; i++) {
    float v = x[gie_desc_offset(&s->x, idx)];
    y[gie_desc_offset(&s->y, idx)] = v / (1 + expf(-s->beta * v));
    for (int axis = s->x.rank - 1; axis >= 0 && ++idx[axis] == s->x.dim[axis]; axis--)
      idx[axis] = 0;
  }
  return GIE_OK;
}

static bool supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t why_size)
{
  (void)k;
  if (p->node->n_steps > 0 || p->out[0].layout.block > 1) {
    snprintf(why, why_size, "no epilogue, no blocked layout");
    return false;
  }
  return true;
}

static gie_status create(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                         void **instance)
{
  (void)k, (void)v;
  struct swish *s = gie_alloc(p->ctx, 1, sizeof *s);
  if (!s)
    return GIE_E_MEMORY;
  *s = (struct swish){p->ctx, p->in[0], p->out[0], (float)gie_node_float(p->node, "beta")};
  *instance = s;
  return GIE_OK;
}

static void destroy(void *instance)
{
  struct swish *s = instance;
  gie_free(s->ctx, s);
}

static const char *const ops[] = {"template::Swish", NULL};
static const struct gie_kernel kernel = {
    .struct_size = sizeof kernel,
    .name = "template.swish",
    .device = "cpu",
    .ops = ops,
    .supports = supports,
    .create = create,
    .destroy = destroy,
    .run = run,
    .flags = GIE_KERNEL_REFERENCE, /* what other kernels of this op are compared with */
};

/* 4. The module: its name, its kind and what it registers. */
#ifdef WITH_CUDA
extern const struct gie_kernel template_cuda_kernel;
#endif

static gie_status init(const struct gie_host *host, void **state)
{
  (void)state;
  GIE_TRY(host->register_op(host, &op));
#ifdef WITH_CUDA
  GIE_TRY(host->register_kernel(host, &template_cuda_kernel));
#endif
  return host->register_kernel(host, &kernel);
}

GIE_MODULE("template", GIE_MODULE_LAYER, init)
