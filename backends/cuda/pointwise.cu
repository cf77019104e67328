/* SPDX-License-Identifier: Apache-2.0 */
/* Pointwise ops of any number of operands, broadcast to the result (numpy rules); more than two are folded from the
 * left. batch_norm is one of them: its parameters broadcast along axis 1. Two ways:
 *
 *   vectors  f32 and f16 (mixed too), functions of gie/cuda_steps.h, computed in f32: 1 to 8 elements per thread along
 *            the innermost axis after joining axes, up to 16 bytes per access. Should reach 80 % of the copy bandwidth.
 *   each     everything else (integers, f64, bf16, comparisons, blocks with pad lanes): one element at a time with the
 *            rules of the reference. */
#include "backends/cuda/pointwise.cuh"

/* ---- An instance */

struct pointwise {
  struct gie_context *ctx;
  bool vectors;
  struct cuda_loop<OPERANDS + 1> loop;
  struct pointwise_args args; /* what does not depend on addresses */
  struct pointwise_each each;
};

/* Whether vectors of v elements fit tensor t (0: result) of the loop. */
static bool fits(const struct pointwise *p, int t, int v, int size, const void *address)
{
  const struct cuda_loop<OPERANDS + 1> *l = &p->loop;
  int64_t bytes = v * size < 16 ? v * size : 16;
  bool repeated = t > 0 && l->stride[t][0] == 0;
  if (v == 1 || repeated)
    return true;
  if (l->stride[t][0] != 1 || uintptr_t(address) % uintptr_t(bytes) != 0)
    return false;
  for (int i = 1; i < l->rank; i++)
    if (l->stride[t][i] * size % bytes != 0)
      return false;
  return true;
}

static bool all_fit(const struct pointwise *p, const struct pointwise_args *a, int v)
{
  if (p->loop.dim[0] % v != 0 || !fits(p, 0, v, a->out_half ? 2 : 4, a->out))
    return false;
  for (int i = 0; i < a->n_in; i++)
    if (!fits(p, i + 1, v, a->in[i].half ? 2 : 4, a->in[i].data))
      return false;
  return true;
}

template <int V> static void launch(const struct pointwise *p, struct pointwise_args *a, cudaStream_t stream)
{
  a->n = uint32_t(p->loop.count / V);
  a->div[0] = cuda_div_by(uint32_t(p->loop.dim[0] / V));
  unsigned blocks = (a->n + 255) / 256;
  if (a->n_in == 1)
    pointwise_vectors<V, 1><<<blocks, 256, 0, stream>>>(*a);
  else if (a->op == EACH_BATCH_NORM)
    pointwise_vectors<V, BATCH_NORM_OPERANDS><<<blocks, 256, 0, stream>>>(*a);
  else if (a->n_in == 2)
    pointwise_vectors<V, 2><<<blocks, 256, 0, stream>>>(*a);
  else
    pointwise_vectors<V, 0><<<blocks, 256, 0, stream>>>(*a);
}

static gie_status pointwise_run(void *instance, const struct gie_launch *l)
{
  const struct pointwise *p = static_cast<const struct pointwise *>(instance);
  cudaStream_t stream = gie_cuda_stream(l);
  if (!p->vectors) {
    struct pointwise_each f = p->each;
    f.out.data = static_cast<char *>(l->out[0]);
    for (int i = 0; i < f.n_in; i++)
      f.in[i].data = static_cast<char *>(l->in[i]);
    return cuda_run_each(f, l, "launching a pointwise kernel");
  }
  struct pointwise_args a = p->args;
  bool half = a.out_half;
  a.out = static_cast<char *>(l->out[0]);
  for (int i = 0; i < a.n_in; i++) {
    a.in[i].data = static_cast<const char *>(l->in[i]);
    half = half || a.in[i].half;
  }
  if (p->loop.count == 0)
    return GIE_OK;
  if (half && all_fit(p, &a, 8))
    launch<8>(p, &a, stream);
  else if (all_fit(p, &a, 4))
    launch<4>(p, &a, stream);
  else if (all_fit(p, &a, 2))
    launch<2>(p, &a, stream);
  else
    launch<1>(p, &a, stream);
  return gie_cuda_launched(l->ctx, "launching a pointwise kernel");
}

/* ---- The kernel */

/* Number of the function; -1: none. */
static int op_of(const struct gie_node *n, struct gie_cuda_step *step)
{
  static const struct name {
    const char *op;
    int number;
  } NAMES[] = {{"equal", EACH_EQUAL},
               {"greater", EACH_GREATER},
               {"less", EACH_LESS},
               {"not", EACH_NOT},
               {"where", EACH_WHERE},
               {"sum", EACH_SUM},
               {"batch_norm", EACH_BATCH_NORM}};
  for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
    if (strcmp(NAMES[i].op, n->op->name) == 0)
      return NAMES[i].number;
  return gie_cuda_step_read(n->op, &n->attrs, step) ? step->op : -1;
}

/* batch_norm's parameters: one number per channel. */
static bool batch_norm_fits(const struct gie_problem *p, char *why, size_t size)
{
  if (p->node->n_operands != BATCH_NORM_OPERANDS || p->in[0].rank < 2)
    return cuda_refuse(why, size, "no channel axis");
  for (uint32_t i = 1; i < BATCH_NORM_OPERANDS; i++)
    if (p->in[i].rank != 1 || p->in[i].dim[0] != p->in[0].dim[1] || gie_dtype_class(p->in[i].dtype) != 'f')
      return cuda_refuse(why, size, "operand %u is not one float per channel", i);
  return true;
}

static bool pointwise_supports(const struct gie_kernel *k, const struct gie_problem *p, char *why,
                               size_t size)
{
  struct gie_cuda_step step;
  int op = op_of(p->node, &step);
  if (op < 0 || p->n_out != 1 || p->n_in == 0)
    return cuda_refuse(why, size, "no pointwise function");
  if (op == EACH_BATCH_NORM)
    return batch_norm_fits(p, why, size);
  if (p->node->n_operands > OPERANDS)
    return cuda_refuse(why, size, "more than %d operands", OPERANDS);
  for (uint32_t i = 0; i < p->node->n_operands; i++) {
    const struct gie_desc *d = &p->in[i], *to = &p->out[0];
    bool free_dtype = op == GIE_CUDA_STEP_POW || (op == EACH_WHERE && i == 0);
    if (d->dtype != p->in[op == EACH_WHERE ? 1 : 0].dtype && !free_dtype)
      return cuda_refuse(why, size, "operands of different dtypes");
    if (d->rank > to->rank)
      return cuda_refuse(why, size, "operand %u has more axes than the result", i);
    for (int a = 0; a < d->rank; a++)
      if (d->dim[a] != 1 && d->dim[a] != to->dim[a + to->rank - d->rank])
        return cuda_refuse(why, size, "operand %u does not broadcast to the result", i);
  }
  if (op == EACH_WHERE && (p->in[0].dtype != GIE_BOOL || p->node->n_operands != 3))
    return cuda_refuse(why, size, "the condition is not bool");
  return true;
}

static uint32_t pointwise_variants(const struct gie_kernel *k, const struct gie_problem *p,
                                   struct gie_variant *out, uint32_t max)
{
  const bool batch_norm = strcmp(p->node->op->name, "batch_norm") == 0; /* its parameters stay f32 */
  const struct cuda_follow all = {batch_norm ? 1 : ~0ull, ~0ull};
  bool where = strcmp(p->node->op->name, "where") == 0, same = p->in[0].dtype == p->out[0].dtype;
  bool in_place = !where && same && gie_desc_count(&p->in[0]) == gie_desc_count(&p->out[0]);
  return cuda_variants_any(p, where ? 1 : 0, all, in_place ? 0 : -1, out, max);
}

static void pointwise_estimate(const struct gie_kernel *k, const struct gie_problem *p,
                               const struct gie_variant *v, struct gie_cost *out)
{
  out->bytes = cuda_bytes(p->in, p->node->n_operands) + cuda_bytes(p->out, 1);
  out->flops = 10 * double(gie_desc_count(&p->out[0]));
}

/* Operand i with the dims of the result. */
static struct cuda_tensor operand_of(const struct gie_problem *p, int op, uint32_t i)
{
  struct cuda_tensor to = cuda_tensor_of(&p->out[0]), t = cuda_tensor_of(&p->in[i]), along = t;
  if (op != EACH_BATCH_NORM || i == 0)
    return cuda_broadcast(t, to);
  along.rank = to.rank;
  along.block_axis = t.block_axis < 0 ? -1 : 1;
  for (int k = 0; k < to.rank; k++) {
    along.dim[k] = to.dim[k];
    along.stride[k] = k == 1 ? t.stride[0] : 0;
  }
  return along;
}

/* The joined axes and what else the vectors need; false: not this way. */
static bool make_vectors(struct pointwise *w, const struct gie_problem *p, int op,
                         const struct gie_cuda_step *step)
{
  struct cuda_tensor t[OPERANDS + 1] = {};
  struct pointwise_args *a = &w->args;
  int n = int(p->node->n_operands);
  if (op >= GIE_CUDA_STEP_COUNT && op != EACH_SUM && op != EACH_BATCH_NORM)
    return false;
  for (int i = 0; i <= n; i++) {
    t[i] = i ? operand_of(p, op, uint32_t(i - 1)) : cuda_tensor_of(&p->out[0]);
    if (t[i].dtype != GIE_F32 && t[i].dtype != GIE_F16)
      return false;
  }
  if (!cuda_loop_make<OPERANDS + 1>(t, n + 1, &w->loop) || w->loop.count >= INT64_C(1) << 31)
    return false;
  cuda_loop_merge(&w->loop);
  a->rank = w->loop.rank;
  a->n_in = n;
  a->op = op == EACH_SUM ? GIE_CUDA_STEP_ADD : op;
  if (n == 1 && p->node->op->max_in != 1) /* max(x) alone is x */
    a->op = GIE_CUDA_STEP_IDENTITY;
  a->alpha = op == EACH_BATCH_NORM ? float(gie_node_float(p->node, "epsilon")) : step->alpha;
  a->beta = step->beta;
  a->out_half = t[0].dtype == GIE_F16;
  for (int k = 0; k < a->rank; k++) {
    a->div[k] = cuda_div_by(uint32_t(w->loop.dim[k] ? w->loop.dim[k] : 1));
    a->out_stride[k] = w->loop.stride[0][k];
    for (int i = 0; i < n; i++)
      a->in[i].stride[k] = w->loop.stride[i + 1][k];
  }
  for (int i = 0; i < n; i++)
    a->in[i].half = t[i + 1].dtype == GIE_F16;
  return true;
}

static void make_each(struct pointwise *w, const struct gie_problem *p, int op)
{
  struct pointwise_each *f = &w->each;
  const struct gie_op *o = p->node->op;
  f->out = cuda_tensor_of(&p->out[0]);
  f->order = cuda_order_of(f->out);
  f->n_in = int(p->node->n_operands);
  f->op = f->n_in == 1 && o->max_in != 1 ? GIE_CUDA_STEP_IDENTITY : op;
  bool clip = op == GIE_CUDA_STEP_CLIP, hard = op == GIE_CUDA_STEP_HARD_SIGMOID,
       gelu = op == GIE_CUDA_STEP_GELU;
  const char *first = clip ? "min" : gelu ? "tanh" : op == EACH_BATCH_NORM ? "epsilon" : "alpha";
  f->alpha = gie_attrs_float(&p->node->attrs, o, first);
  f->beta = clip || hard ? gie_attrs_float(&p->node->attrs, o, clip ? "max" : "beta") : 0;
  for (int i = 0; i < f->n_in; i++)
    f->in[i] = operand_of(p, op, uint32_t(i));
}

static gie_status pointwise_create(const struct gie_kernel *k, const struct gie_problem *p,
                                   const struct gie_variant *v, void **instance)
{
  struct gie_cuda_step step = {};
  int op = op_of(p->node, &step);
  struct pointwise *w = cuda_instance<struct pointwise>(p->ctx);
  if (!w)
    return GIE_E_MEMORY;
  w->vectors = make_vectors(w, p, op, &step);
  if (!w->vectors)
    make_each(w, p, op);
  *instance = w;
  return GIE_OK;
}

/* clang-format off */
#define POINTWISE_OPS(X)                                                                                   \
  X(relu) X(leaky_relu) X(clip) X(sigmoid) X(hard_sigmoid) X(hard_swish) X(silu) X(mish) X(gelu) X(tanh)   \
  X(elu) X(softplus) X(sqrt) X(exp) X(log) X(neg) X(abs) X(erf) X(floor) X(ceil) X(not) X(add) X(sub)      \
  X(mul) X(div) X(prelu) X(pow) X(sum) X(max) X(min) X(where) X(equal) X(greater) X(less) X(batch_norm)
/* clang-format on */

#define POINTWISE_ROW(op) CUDA_OP_ROW(op, pointwise)

POINTWISE_OPS(CUDA_OP_NAME)
static const struct gie_kernel KERNELS[] = {POINTWISE_OPS(POINTWISE_ROW)};
const struct cuda_family cuda_pointwise = {KERNELS, sizeof KERNELS / sizeof *KERNELS};
