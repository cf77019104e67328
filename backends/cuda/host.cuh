/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernels of this backend share on the host: variants, instances, launches, and loops over several tensors at
 * once with as few axes as possible. */
#ifndef GIE_BACKENDS_CUDA_HOST_CUH
#define GIE_BACKENDS_CUDA_HOST_CUH

#include "backends/cuda/device.cuh"

/* "false; why" of supports(). */
__attribute__((format(printf, 3, 4))) static inline bool cuda_refuse(char *why, size_t size, const char *fmt,
                                                                     ...)
{
  va_list ap;
  va_start(ap, fmt);
  if (size)
    vsnprintf(why, size, fmt, ap);
  va_end(ap);
  return false;
}

/* ---- Variants ------------------------------------------------------------------------------------------ */

/* Numbers of the two ways in which most kernels run: with the dtypes of the problem, and in f16. A problem that
 * is f16 already gets the second number only. */
enum cuda_config { CUDA_CONFIG_GIVEN = 0, CUDA_CONFIG_F16 = 1 };

/* Which operands and results become f16 in the second way, as sets; what is not f32 stays. */
struct cuda_follow {
  uint64_t in, out;
};

static inline struct gie_port cuda_any_port(enum gie_dtype dtype)
{
  struct gie_port port = {};
  port.dtype = dtype;
  port.layout.any = true;
  port.pitch = true;
  return port;
}

/* Any layout, any view, all dtypes; `main` is the operand that decides between the two ways. */
static inline uint32_t cuda_variants_any(const struct gie_problem *p, uint32_t main,
                                         struct cuda_follow follow, int in_place, struct gie_variant *out,
                                         uint32_t max)
{
  uint32_t n = 0;
  bool half = p->in[main].dtype == GIE_F16;
  for (int way = half ? CUDA_CONFIG_F16 : CUDA_CONFIG_GIVEN; way <= CUDA_CONFIG_F16 && n < max; way++) {
    bool change = way == CUDA_CONFIG_F16 && !half;
    if (change && (p->in[main].dtype != GIE_F32 || p->n_in > GIE_MAX_IO || p->n_out > GIE_MAX_IO))
      break;
    struct gie_variant *v = &out[n++];
    memset(v, 0, sizeof *v);
    v->struct_size = sizeof *v;
    v->config = uint64_t(way);
    snprintf(v->label, sizeof v->label, "%s", way == CUDA_CONFIG_F16 ? "f16" : "");
    v->in_place = in_place;
    v->capture_safe = true;
    v->any_in = v->any_out = cuda_any_port(GIE_DTYPE_NONE);
    if (!change)
      continue;
    v->n_in = p->n_in;
    v->n_out = p->n_out;
    for (uint32_t i = 0; i < p->n_in; i++)
      v->in[i] = cuda_any_port(follow.in >> i & 1 && p->in[i].dtype == GIE_F32 ? GIE_F16 : GIE_DTYPE_NONE);
    for (uint32_t i = 0; i < p->n_out; i++)
      v->out[i] = cuda_any_port(follow.out >> i & 1 && p->out[i].dtype == GIE_F32 ? GIE_F16 : GIE_DTYPE_NONE);
  }
  return n;
}

/* Bytes moved, for the roofline: each element once. */
static inline double cuda_bytes(const struct gie_desc *d, uint32_t n)
{
  double sum = 0;
  for (uint32_t i = 0; i < n; i++)
    if (d[i].dtype != GIE_DTYPE_NONE)
      sum += double(gie_desc_count(&d[i])) * double(gie_dtype_size(d[i].dtype));
  return sum;
}

/* ---- Instances: plain data ------------------------------------------------------------------------------------ */

template <class T> static T *cuda_instance(struct gie_context *ctx)
{
  T *t = static_cast<T *>(gie_alloc(ctx, 1, sizeof(T)));
  if (t)
    t->ctx = ctx;
  return t;
}

template <class T> static void cuda_destroy(void *instance)
{
  T *t = static_cast<T *>(instance);
  if (t)
    gie_free(t->ctx, t);
}

/* ---- Tensors and their order -------------------------------------------------------------------------------------- */

static inline struct cuda_tensor cuda_tensor_of(const struct gie_desc *d)
{
  struct cuda_tensor t = {};
  t.dtype = d->dtype;
  t.size = int(gie_dtype_size(d->dtype));
  t.rank = d->rank;
  t.block_axis = d->layout.block > 1 ? d->layout.block_axis : -1;
  t.block = d->layout.block > 1 ? d->layout.block : 1;
  for (int i = 0; i < d->rank; i++) {
    t.dim[i] = d->dim[i];
    t.stride[i] = d->stride[i];
  }
  return t;
}

/* Stretched to the dims of `to` (numpy rules). */
static inline struct cuda_tensor cuda_broadcast(const struct cuda_tensor &t, const struct cuda_tensor &to)
{
  struct cuda_tensor b = t;
  int shift = to.rank - t.rank;
  b.rank = to.rank;
  b.block_axis = -1;
  b.block = 1;
  for (int i = 0; i < to.rank; i++) {
    int from = i - shift;
    b.dim[i] = to.dim[i];
    b.stride[i] = 0;
    if (from < 0 || (t.dim[from] == 1 && to.dim[i] != 1))
      continue;
    b.stride[i] = t.stride[from];
    if (t.block_axis == from) {
      b.block_axis = i;
      b.block = t.block;
    }
  }
  return b;
}

static inline struct cuda_order cuda_order_of(const struct cuda_tensor &t)
{
  struct cuda_order o = {};
  o.rank = t.rank;
  o.lanes = t.block;
  o.count = t.block;
  for (int i = 0; i < t.rank; i++)
    o.axis[i] = i;
  for (int i = 1; i < t.rank; i++) /* by stride, the largest first */
    for (int k = i; k > 0 && t.stride[o.axis[k]] > t.stride[o.axis[k - 1]]; k--) {
      int swap = o.axis[k];
      o.axis[k] = o.axis[k - 1];
      o.axis[k - 1] = swap;
    }
  for (int k = 0; k < t.rank; k++) {
    int a = o.axis[k];
    o.extent[k] = a == t.block_axis ? (t.dim[a] + t.block - 1) / t.block : t.dim[a];
    o.count *= o.extent[k];
  }
  return o;
}

/* ---- Launches ---------------------------------------------------------------------------------------------------------- */

/* Blocks of 256 threads for n items, `each` per thread; the kernels loop beyond the limit. */
static inline unsigned cuda_blocks(int64_t n, int64_t each = 1)
{
  int64_t blocks = (n + 256 * each - 1) / (256 * each);
  return unsigned(blocks < 1 ? 1 : blocks > (1 << 30) ? 1 << 30 : blocks);
}

template <class F> static gie_status cuda_run_each(const F &f, const struct gie_launch *l, const char *what)
{
  if (f.order.count == 0)
    return GIE_OK;
  cuda_each<F><<<cuda_blocks(f.order.count), 256, 0, gie_cuda_stream(l)>>>(f);
  return gie_cuda_launched(l->ctx, what);
}

/* ---- Loops over T tensors of the same indices ------------------------------------------------------------------------------ */

#define CUDA_LOOP_AXES (GIE_MAX_RANK + 2)

/* Axis 0 is the innermost; strides in elements. Tensor 0 is the result and decides the order. */
template <int T> struct cuda_loop {
  int rank;
  int64_t dim[CUDA_LOOP_AXES], stride[T][CUDA_LOOP_AXES], count;
};

/* A blocked axis becomes two. false: blocks differ or do not divide the axis, so that there are pad lanes. */
template <int T> static bool cuda_loop_make(const struct cuda_tensor *t, int n, struct cuda_loop<T> *out)
{
  struct cuda_loop<T> l = {};
  l.count = 1;
  for (int a = t[0].rank - 1; a >= 0; a--) {
    int64_t block = 1;
    for (int k = 0; k < n; k++) {
      if (t[k].block_axis != a)
        continue;
      if (t[0].dim[a] % t[k].block != 0 || (block > 1 && block != t[k].block))
        return false;
      block = t[k].block;
    }
    for (int part = block > 1 ? 0 : 1; part < 2; part++) { /* the lanes, then the blocks */
      int64_t dim = part == 0 ? block : t[0].dim[a] / block;
      l.count *= dim;
      if (dim == 1)
        continue;
      l.dim[l.rank] = dim;
      for (int k = 0; k < n; k++) {
        bool blocked = t[k].block_axis == a;
        l.stride[k][l.rank] = part == 0 ? (blocked ? 1 : t[k].stride[a])
                                        : t[k].stride[a] * (blocked ? 1 : block);
      }
      l.rank++;
    }
  }
  *out = l;
  return true;
}

template <int T> static void cuda_loop_swap(struct cuda_loop<T> *l, int a, int b)
{
  int64_t dim = l->dim[a];
  l->dim[a] = l->dim[b];
  l->dim[b] = dim;
  for (int k = 0; k < T; k++) {
    int64_t stride = l->stride[k][a];
    l->stride[k][a] = l->stride[k][b];
    l->stride[k][b] = stride;
  }
}

/* Sorts the axes by the result's stride and joins those that are one in every tensor. */
template <int T> static void cuda_loop_merge(struct cuda_loop<T> *l)
{
  for (int i = 1; i < l->rank; i++)
    for (int k = i; k > 0 && l->stride[0][k] < l->stride[0][k - 1]; k--)
      cuda_loop_swap(l, k, k - 1);
  int to = 0;
  for (int i = 1; i < l->rank; i++) {
    bool one = true;
    for (int k = 0; k < T; k++)
      one = one && l->stride[k][i] == l->stride[k][to] * l->dim[to];
    if (one) {
      l->dim[to] *= l->dim[i];
      continue;
    }
    cuda_loop_swap(l, ++to, i);
  }
  l->rank = l->rank ? to + 1 : 0;
  if (l->rank == 0) {
    l->rank = 1;
    l->dim[0] = 1;
  }
}

/* ---- Tables of kernels, one a row and op: CUDA_OP_NAME of every op, then CUDA_OP_ROW(op, family) for the functions
 * and the struct that are named after the family */

#define CUDA_OP_NAME(op) static const char *const ops_##op[] = {#op, nullptr};
#define CUDA_OP_ROW(op, family)              \
  {.struct_size = sizeof(struct gie_kernel), \
   .name = "cuda." #op,                      \
   .device = "cuda",                         \
   .ops = ops_##op,                          \
   .supports = family##_supports,            \
   .variants = family##_variants,            \
   .estimate = family##_estimate,            \
   .create = family##_create,                \
   .destroy = cuda_destroy<struct family>,   \
   .run = family##_run},

#endif
