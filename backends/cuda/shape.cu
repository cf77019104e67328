/* SPDX-License-Identifier: Apache-2.0 */
/* shape: numbers that are known when the instance is made. */
#include "backends/cuda/copy.cuh"

struct shape_each {
  struct cuda_tensor out;
  struct cuda_order order;
  int64_t value[GIE_MAX_RANK];
  __device__ void operator()(const int64_t *to) const
  {
    struct cuda_number n = {0, value[to[0]]};
    cuda_store(GIE_I64, out.data + cuda_offset(out, to), n);
  }
};

struct shape {
  struct gie_context *ctx;
  struct shape_each f;
};

static gie_status shape_run(void *instance, const struct gie_launch *l)
{
  struct shape_each f = static_cast<const struct shape *>(instance)->f;
  f.out.data = static_cast<char *>(l->out[0]);
  return cuda_run_each(f, l, "launching a shape");
}

/* Negative counts from the end; clamped. */
static int64_t first_axis(const struct gie_problem *p)
{
  int64_t start = gie_node_int(p->node, "start"), rank = p->in[0].rank;
  start += start < 0 ? rank : 0;
  return start < 0 ? 0 : start > rank ? rank : start;
}

static bool shape_supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size)
{
  if (p->out[0].rank != 1 || p->out[0].dim[0] > p->in[0].rank - first_axis(p))
    return cuda_refuse(why, size, "the result is longer than the operand's rank");
  return true;
}

static uint32_t shape_variants(const struct gie_kernel *k, const struct gie_problem *p,
                               struct gie_variant *out, uint32_t max)
{
  const struct cuda_follow none = {0, 0};
  uint32_t n = cuda_variants_any(p, 0, none, -1, out, max);
  return n < 1 ? n : 1;
}

static gie_status shape_create(const struct gie_kernel *k, const struct gie_problem *p,
                               const struct gie_variant *v, void **instance)
{
  struct shape *s = cuda_instance<struct shape>(p->ctx);
  int64_t start = first_axis(p);
  if (!s)
    return GIE_E_MEMORY;
  s->f.out = cuda_tensor_of(&p->out[0]);
  s->f.order = cuda_order_of(s->f.out);
  for (int64_t i = 0; i < p->out[0].dim[0]; i++)
    s->f.value[i] = p->in[0].dim[start + i];
  *instance = s;
  return GIE_OK;
}

CUDA_OP_NAME(shape)
static const struct gie_kernel KERNELS[] = {
    {.struct_size = sizeof(struct gie_kernel),
     .name = "cuda.shape",
     .device = "cuda",
     .ops = ops_shape,
     .supports = shape_supports,
     .variants = shape_variants,
     .create = shape_create,
     .destroy = cuda_destroy<struct shape>,
     .run = shape_run},
};
const struct cuda_family cuda_shape = {KERNELS, sizeof KERNELS / sizeof *KERNELS};
