/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax, and normalization by mean and variance: softmax, log_softmax, layer_norm, instance_norm. Formulas: ONNX. A row
 * is what one maximum or mean is taken over. Ways:
 *
 *   rows     f32 and f16 rows that are contiguous (norm_rows.cuh): up to 64 elements by a thread, up to 1024 in the registers
 *            of a warp, longer ones by 256 threads, in shared memory if it has at most 48 KiB
 *   columns  neighbouring rows are contiguous instead (softmax over channels of nchw, instance_norm of nhwc;
 *            norm_columns.cuh): few elements by a thread; chunks of long ones in two launches; else 32 rows per block, 8
 *            threads each, in passes over memory that all but the first are mostly served by the caches
 *   each     everything else: a thread per row, in double
 *
 * The first, and columns of few elements, read and write each element once; chunks read it twice. The goal is 80 % of the copy
 * bandwidth; what they reach is in bench/results/cuda_kernels.txt. */
#include "backends/cuda/norm_columns.cuh"
#include "backends/cuda/norm_rows.cuh"

/* ---- Each: order counts rows, that is indices of y with 0 on the axes of the row */

struct norm_each {
  struct cuda_tensor out, in, scale, bias, mean, inverse; /* data NULL: none */
  struct cuda_order order;                                /* of a row's first element */
  unsigned axes;
  enum norm_op op;
  double epsilon, length;

  __device__ bool next(int64_t *at) const
  {
    for (int i = in.rank - 1; i >= 0; i--) {
      if (!(axes >> i & 1))
        continue;
      if (++at[i] < in.dim[i])
        return true;
      at[i] = 0;
    }
    return false;
  }
  __device__ void put(const int64_t *at, double v) const
  {
    struct cuda_number n = {v, 0};
    cuda_store(out.dtype, out.data + cuda_offset(out, at), n);
  }
  __device__ void put_softmax(int64_t *at) const
  {
    double most = -INFINITY, sum = 0;
    do
      most = fmax(most, cuda_read(in, at).f);
    while (next(at));
    do
      sum += exp(cuda_read(in, at).f - most);
    while (next(at));
    do {
      double v = cuda_read(in, at).f - most;
      put(at, op == LOG_SOFTMAX ? v - log(sum) : exp(v) / sum);
    } while (next(at));
  }
  __device__ void operator()(int64_t *at) const
  {
    double u = 0, v = 0;
    if (op <= LOG_SOFTMAX)
      return put_softmax(at);
    do
      u += cuda_read(in, at).f;
    while (next(at));
    u /= length;
    do {
      double d = cuda_read(in, at).f - u;
      v += d * d;
    } while (next(at));
    double inverse_root = 1 / sqrt(v / length + epsilon);
    struct cuda_number a = {u, 0}, b = {inverse_root, 0};
    if (mean.data)
      cuda_store(GIE_F32, mean.data + cuda_offset(mean, at), a);
    if (inverse.data)
      cuda_store(GIE_F32, inverse.data + cuda_offset(inverse, at), b);
    do {
      double r = (cuda_read(in, at).f - u) * inverse_root * cuda_read(scale, at).f;
      put(at, bias.data ? r + cuda_read(bias, at).f : r);
    } while (next(at));
  }
};

__global__ void __launch_bounds__(256) norm_rows_each(const __grid_constant__ norm_each f)
{
  int64_t idx[GIE_MAX_RANK];
  for (int64_t i = int64_t(blockIdx.x) * 256 + threadIdx.x; i < f.order.count;
       i += int64_t(gridDim.x) * 256) {
    int64_t rest = i;
    for (int k = f.order.rank - 1; k >= 0; k--) {
      idx[f.order.axis[k]] = rest % f.order.extent[k];
      rest /= f.order.extent[k];
    }
    f(idx);
  }
}

/* Sets pad lanes to zero. */
struct zero_lanes {
  struct cuda_tensor out;
  struct cuda_order order;
  __device__ void operator()(const int64_t *) const {}
};

/* ---- An instance */

enum norm_way { WAY_NONE, WAY_EACH, WAY_ROWS, WAY_COLUMNS };

struct norm {
  struct gie_context *ctx;
  enum norm_way way;
  bool half, has_bias, has_mean, has_inverse;
  struct norm_args args;
  struct norm_each each;
};

template <class T, int V>
static bool launch_warp(const struct norm_args &a, const norm_pointers<T> &p, cudaStream_t s)
{
  unsigned blocks = (a.rows + 7) / 8;
  uint32_t vectors = (a.length + 32 * V - 1) / (32 * V);
  if (vectors <= 1)
    norm_warp<T, V, 1><<<blocks, 256, 0, s>>>(a, p);
  else if (vectors <= 2)
    norm_warp<T, V, 2><<<blocks, 256, 0, s>>>(a, p);
  else if (vectors <= 4)
    norm_warp<T, V, 4><<<blocks, 256, 0, s>>>(a, p);
  else if (vectors <= 32 / V)
    norm_warp<T, V, 32 / V><<<blocks, 256, 0, s>>>(a, p);
  else
    return false;
  return true;
}

/* Many rows of up to 64 elements, one behind the other. */
template <class T, int OP>
static bool launch_short(const struct norm_args &a, const norm_pointers<T> &p, cudaStream_t s)
{
  constexpr int V = 16 / sizeof(T);
  struct cuda_div length = cuda_div_by(a.length);
  if (a.rank != 1 || a.x[0] != a.length || a.y[0] != a.length || a.length > 64 || a.rows < 1 << 14 ||
      (uintptr_t(p.x) | uintptr_t(p.y)) % 16 != 0)
    return false;
  if (a.length <= 16)
    norm_short<T, V, 16, OP><<<(a.rows + 255) / 256, 256, 0, s>>>(a, length, p);
  else if (a.length <= 24)
    norm_short<T, V, 24, OP><<<(a.rows + 255) / 256, 256, 0, s>>>(a, length, p);
  else if (a.length <= 32)
    norm_short<T, V, 32, OP><<<(a.rows + 255) / 256, 256, 0, s>>>(a, length, p);
  else
    norm_short<T, V, 64, OP><<<(a.rows + 127) / 128, 256, 0, s>>>(a, length, p);
  return true;
}

template <class T, int V>
static void launch_rows(const struct norm_args &a, const norm_pointers<T> &p, cudaStream_t s)
{
  size_t bytes = size_t(a.length) * sizeof(T);
  bool few = a.rows < 256 && a.length >= 256; /* a block has more bytes in flight than a warp */
  if (a.length <= 1024 && !few && launch_warp<T, V>(a, p, s))
    return;
  if (a.kept)
    norm_block<T, V, true><<<a.rows, 256, bytes, s>>>(a, p);
  else
    norm_block<T, V, false><<<a.rows, 256, 0, s>>>(a, p);
}

/* Whether vectors of v neighbouring rows lie at multiples of their size. */
template <class T> static bool rows_fit(const struct norm_args &a, const norm_pointers<T> &p, int v)
{
  int64_t strides = a.x_step | a.y_step;
  for (int k = 1; k < a.rank; k++)
    strides |= a.x[k] | a.y[k];
  return a.x[0] == 1 && a.y[0] == 1 && a.div[0].d % uint32_t(v) == 0 && strides % v == 0 &&
         (uintptr_t(p.x) | uintptr_t(p.y)) % (size_t(v) * sizeof(T)) == 0;
}

/* Few elements in each row. */
template <class T, int OP>
static bool launch_few(const struct norm_args &a, const norm_pointers<T> &p, cudaStream_t s)
{
  if (a.length > 32 || !rows_fit(a, p, 2))
    return false;
  if (a.length <= 12 && rows_fit(a, p, 4))
    norm_few<T, 4, 12, OP><<<(a.rows / 4 + 255) / 256, 256, 0, s>>>(a, p);
  else if (a.length <= 12)
    norm_few<T, 2, 12, OP><<<(a.rows / 2 + 255) / 256, 256, 0, s>>>(a, p);
  else if (a.length <= 24)
    norm_few<T, 2, 24, OP><<<(a.rows / 2 + 255) / 256, 256, 0, s>>>(a, p);
  else
    norm_few<T, 2, 32, OP><<<(a.rows / 2 + 255) / 256, 256, 0, s>>>(a, p);
  return true;
}

template <class T>
static void launch_columns(const struct norm_args &a, const norm_pointers<T> &p, cudaStream_t s)
{
  constexpr int V = 16 / sizeof(T);
  if (a.chunks && rows_fit(a, p, V)) {
    uint32_t vectors = a.channels.d / V;
    dim3 grid((vectors + 255) / 256, a.chunks, a.rows / a.channels.d);
    norm_chunk_sums<T, V><<<grid, 256, 0, s>>>(a, p);
    norm_chunk_ends<T, V><<<grid, 256, 0, s>>>(a, p);
  } else if (a.op == SOFTMAX && launch_few<T, SOFTMAX>(a, p, s)) {
  } else if (a.op == LOG_SOFTMAX && launch_few<T, LOG_SOFTMAX>(a, p, s)) {
  } else {
    norm_columns<T><<<(a.rows + 31) / 32, 256, 0, s>>>(a, p);
  }
}

template <class T> static void launch(const struct norm *n, const struct gie_launch *l)
{
  const struct norm_args &a = n->args;
  norm_pointers<T> p = {};
  cudaStream_t s = gie_cuda_stream(l);
  constexpr int V = 16 / sizeof(T);
  p.x = static_cast<const T *>(l->in[0]);
  p.y = static_cast<T *>(l->out[0]);
  if (a.op >= LAYER_NORM)
    p.scale = static_cast<const T *>(l->in[1]);
  if (n->has_bias)
    p.bias = static_cast<const T *>(l->in[2]);
  if (n->has_mean)
    p.mean = static_cast<float *>(l->out[1]);
  if (n->has_inverse)
    p.inverse = static_cast<float *>(l->out[2]);
  p.sums = static_cast<float *>(l->workspace);
  if (n->way == WAY_COLUMNS)
    return launch_columns<T>(a, p, s);
  if ((a.op == SOFTMAX && launch_short<T, SOFTMAX>(a, p, s)) ||
      (a.op == LOG_SOFTMAX && launch_short<T, LOG_SOFTMAX>(a, p, s)))
    return;
  uintptr_t addresses = uintptr_t(p.x) | uintptr_t(p.y);
  if (a.op == LAYER_NORM)
    addresses |= uintptr_t(p.scale) | uintptr_t(p.bias);
  bool vectors = a.length % V == 0 && addresses % 16 == 0;
  for (int k = 0; k < a.rank; k++)
    vectors = vectors && (a.x[k] | a.y[k]) % V == 0;
  if (vectors)
    launch_rows<T, V>(a, p, s);
  else
    launch_rows<T, 1>(a, p, s);
}

static gie_status clear_lanes(const struct cuda_tensor &t, const struct gie_launch *l)
{
  struct zero_lanes z = {t, cuda_order_of(t)};
  bool some = t.block_axis >= 0 && t.dim[t.block_axis] % t.block != 0;
  return some ? cuda_run_each(z, l, "launching a normalization") : GIE_OK;
}

static gie_status norm_run(void *instance, const struct gie_launch *l)
{
  const struct norm *n = static_cast<const struct norm *>(instance);
  if (n->way == WAY_NONE)
    return GIE_OK;
  if (n->way != WAY_EACH) {
    n->half ? launch<__half>(n, l) : launch<float>(n, l);
    return gie_cuda_launched(l->ctx, "launching a normalization");
  }
  struct norm_each f = n->each;
  f.in.data = static_cast<char *>(l->in[0]);
  f.out.data = static_cast<char *>(l->out[0]);
  if (f.op >= LAYER_NORM)
    f.scale.data = static_cast<char *>(l->in[1]);
  f.bias.data = n->has_bias ? static_cast<char *>(l->in[2]) : nullptr;
  f.mean.data = n->has_mean ? static_cast<char *>(l->out[1]) : nullptr;
  f.inverse.data = n->has_inverse ? static_cast<char *>(l->out[2]) : nullptr;
  const struct cuda_tensor *const results[] = {&f.out, &f.mean, &f.inverse};
  for (const struct cuda_tensor *t : results)
    if (t->data)
      GIE_TRY(clear_lanes(*t, l));
  norm_rows_each<<<cuda_blocks(f.order.count), 256, 0, gie_cuda_stream(l)>>>(f);
  return gie_cuda_launched(l->ctx, "launching a normalization");
}

/* ---- The kernels */

static enum norm_op op_of(const struct gie_problem *p)
{
  const char *name = p->node->op->name;
  return strcmp(name, "softmax") == 0       ? SOFTMAX
         : strcmp(name, "log_softmax") == 0 ? LOG_SOFTMAX
         : strcmp(name, "layer_norm") == 0  ? LAYER_NORM
                                            : INSTANCE_NORM;
}

/* Axes of a row as a set; 0: there is no such axis. */
static unsigned row_axes(const struct gie_problem *p)
{
  enum norm_op op = op_of(p);
  int rank = p->in[0].rank;
  unsigned all = (1u << rank) - 1;
  if (op == INSTANCE_NORM)
    return rank >= 2 ? all & ~3u : 0;
  int64_t axis = gie_node_int(p->node, "axis");
  axis += axis < 0 ? rank : 0;
  if (axis < 0 || axis >= rank)
    return 0;
  return op == LAYER_NORM ? all & ~((1u << axis) - 1) : 1u << axis;
}

static bool has(const struct gie_desc *d, uint32_t n, uint32_t i)
{
  return i < n && d[i].dtype != GIE_DTYPE_NONE;
}

static bool broadcasts(const struct gie_desc *d, const struct gie_desc *to)
{
  for (int i = 0; i < d->rank; i++)
    if (to->rank < d->rank || (d->dim[i] != 1 && d->dim[i] != to->dim[i + to->rank - d->rank]))
      return false;
  return true;
}

static bool norm_supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size)
{
  enum norm_op op = op_of(p);
  if (row_axes(p) == 0)
    return cuda_refuse(why, size, "no axis to go along");
  for (uint32_t i = 1; op >= LAYER_NORM && i < p->node->n_operands; i++) {
    const struct gie_desc *d = &p->in[i];
    if (d->dtype == GIE_DTYPE_NONE)
      continue;
    if (gie_dtype_class(d->dtype) != 'f')
      return cuda_refuse(why, size, "operand %u is no float", i);
    if (op == INSTANCE_NORM && (d->rank != 1 || d->dim[0] != p->in[0].dim[1]))
      return cuda_refuse(why, size, "operand %u is not one number per channel", i);
    if (op == LAYER_NORM && !broadcasts(d, &p->in[0]))
      return cuda_refuse(why, size, "operand %u does not broadcast to x", i);
  }
  return true;
}

static uint32_t norm_variants(const struct gie_kernel *k, const struct gie_problem *p,
                              struct gie_variant *out, uint32_t max)
{
  const struct cuda_follow all = {~0ull, 1};
  return cuda_variants_any(p, 0, all, -1, out, max);
}

static void norm_estimate(const struct gie_kernel *k, const struct gie_problem *p,
                          const struct gie_variant *v, struct gie_cost *out)
{
  out->bytes = cuda_bytes(p->in, 1) + cuda_bytes(p->out, 1);
  out->flops = 20 * double(gie_desc_count(&p->in[0]));
}

/* Joined axes of the rows, or within them (where *one stride must do for all). */
static bool join(const struct gie_problem *p, unsigned axes, struct cuda_loop<2> *l)
{
  struct cuda_tensor t[2] = {cuda_tensor_of(&p->out[0]), cuda_tensor_of(&p->in[0])};
  for (int k = 0; k < 2; k++) {
    int rank = 0;
    for (int i = 0; i < p->in[0].rank; i++)
      if (axes >> i & 1) {
        t[k].dim[rank] = t[k].dim[i];
        t[k].stride[rank++] = t[k].stride[i];
      }
    t[k].rank = rank;
  }
  return cuda_loop_make<2>(t, 2, l) && l->count < INT64_C(1) << 31;
}

/* Row-major and as many as a row has elements: the parameter of element i is at i. */
static bool is_row(const struct gie_desc *d, int64_t length)
{
  int64_t stride = 1;
  for (int i = d->rank - 1; i >= 0; i--) {
    if (d->dim[i] != 1 && d->stride[i] != stride)
      return false;
    stride *= d->dim[i];
  }
  return stride == length && d->layout.block <= 1;
}

/* Rows in the order of x's axes, so that the channel is the row's number modulo their number. */
static bool make_fast(struct norm *n, const struct gie_problem *p, unsigned axes)
{
  struct norm_args *a = &n->args;
  const struct gie_desc *x = &p->in[0], *y = &p->out[0];
  struct cuda_loop<2> inside;
  unsigned all = (1u << x->rank) - 1;
  bool plain_rows = a->op >= LAYER_NORM; /* row numbers matter */
  struct cuda_loop<2> rows;
  if ((x->dtype != GIE_F32 && x->dtype != GIE_F16) || y->dtype != x->dtype || x->layout.block > 1 ||
      y->layout.block > 1)
    return false;
  if (!join(p, axes, &inside) || !join(p, all & ~axes, &rows))
    return false;
  cuda_loop_merge(&inside);
  if (inside.rank != 1)
    return false;
  if (!plain_rows)
    cuda_loop_merge(&rows);
  if (rows.rank == 0) {
    rows.rank = 1;
    rows.dim[0] = 1;
  }
  a->rows = uint32_t(rows.count);
  a->length = uint32_t(inside.count);
  a->rank = rows.rank;
  for (int i = 0; i < rows.rank; i++) {
    a->div[i] = cuda_div_by(uint32_t(rows.dim[i]));
    a->y[i] = rows.stride[0][i];
    a->x[i] = rows.stride[1][i];
  }
  a->y_step = inside.stride[0][0];
  a->x_step = inside.stride[1][0];
  for (uint32_t i = 1; a->op >= LAYER_NORM && i < 3; i++)
    if (has(p->in, p->node->n_operands, i) &&
        (p->in[i].dtype != x->dtype || !is_row(&p->in[i], a->op == LAYER_NORM ? a->length : x->dim[1])))
      return false;
  for (uint32_t i = 1; i < p->n_out; i++)
    if (has(p->out, p->n_out, i) && !is_row(&p->out[i], a->rows))
      return false;
  bool one = a->length == 1 || (a->x_step == 1 && a->y_step == 1);
  if (!one && a->op == LAYER_NORM)
    return false;
  n->half = x->dtype == GIE_F16;
  n->way = one ? WAY_ROWS : WAY_COLUMNS;
  bool along_channels = a->op == INSTANCE_NORM && a->rank <= 2 && a->div[0].d == a->channels.d &&
                        a->x[0] == 1;
  if (!one && along_channels && a->length >= 64 && a->rows / a->channels.d < 1 << 16) {
    uint32_t images = a->rows / a->channels.d, most = (a->length + 63) / 64;
    a->chunks = (1000 + images - 1) / images; /* blocks for a whole device */
    a->chunks = a->chunks > most ? most : a->chunks;
    a->chunks = a->chunks > 64 ? 64 : a->chunks;
  }
  return true;
}

static void make_each(struct norm *n, const struct gie_problem *p, unsigned axes)
{
  struct norm_each *f = &n->each;
  f->in = cuda_tensor_of(&p->in[0]);
  f->out = cuda_tensor_of(&p->out[0]);
  f->axes = axes;
  f->op = n->args.op;
  f->epsilon = gie_node_float(p->node, "epsilon");
  f->length = 1;
  f->order.rank = f->in.rank;
  f->order.count = 1;
  for (int i = 0; i < f->in.rank; i++) {
    f->order.axis[i] = i;
    f->order.extent[i] = axes >> i & 1 ? 1 : f->in.dim[i];
    f->order.count *= f->order.extent[i];
    f->length *= axes >> i & 1 ? double(f->in.dim[i]) : 1;
  }
  struct cuda_tensor *const parameters[] = {nullptr, &f->scale, &f->bias};
  for (uint32_t i = 1; f->op >= LAYER_NORM && i < 3; i++) {
    if (!has(p->in, p->node->n_operands, i))
      continue;
    struct cuda_tensor t = cuda_tensor_of(&p->in[i]), along = f->in;
    if (f->op == LAYER_NORM) {
      *parameters[i] = cuda_broadcast(t, f->in);
      continue;
    }
    along.dtype = t.dtype; /* along axis 1 */
    along.size = t.size;
    along.block_axis = t.block_axis < 0 ? -1 : 1;
    along.block = t.block;
    for (int k = 0; k < along.rank; k++)
      along.stride[k] = k == 1 ? t.stride[0] : 0;
    *parameters[i] = along;
  }
  if (p->n_out > 1)
    f->mean = cuda_tensor_of(&p->out[1]);
  if (p->n_out > 2)
    f->inverse = cuda_tensor_of(&p->out[2]);
  n->way = WAY_EACH;
}

static void make(struct norm *n, const struct gie_problem *p)
{
  unsigned axes = row_axes(p);
  n->args.op = op_of(p);
  n->args.epsilon = float(gie_node_float(p->node, "epsilon"));
  n->args.channels = cuda_div_by(p->in[0].rank > 1 && p->in[0].dim[1] > 0 ? uint32_t(p->in[0].dim[1]) : 1);
  n->has_bias = n->args.op >= LAYER_NORM && has(p->in, p->node->n_operands, 2);
  n->has_mean = n->args.op == LAYER_NORM && has(p->out, p->n_out, 1);
  n->has_inverse = n->args.op == LAYER_NORM && has(p->out, p->n_out, 2);
  if (gie_desc_count(&p->in[0]) == 0)
    n->way = WAY_NONE;
  else if (!make_fast(n, p, axes))
    make_each(n, p, axes);
}

/* Whether a block can hold a row, and half of a multiprocessor's memory or so is left to another; says so to the runtime. */
template <class T> static bool allow_row(size_t bytes)
{
  constexpr cudaFuncAttribute WHAT = cudaFuncAttributeMaxDynamicSharedMemorySize;
  int device, most = 0;
  if (bytes <= 48 << 10)
    return true;
  if (bytes > 100 << 10 || cudaGetDevice(&device) != cudaSuccess ||
      cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device) != cudaSuccess ||
      bytes + 1024 > size_t(most))
    return false;
  bool allowed = cudaFuncSetAttribute(norm_block<T, 16 / sizeof(T), true>, WHAT, most - 1024) ==
                     cudaSuccess &&
                 cudaFuncSetAttribute(norm_block<T, 1, true>, WHAT, most - 1024) == cudaSuccess;
  if (!allowed)
    (void)cudaGetLastError(); /* it was asked for, that is all */
  return allowed;
}

static gie_status norm_create(const struct gie_kernel *k, const struct gie_problem *p,
                              const struct gie_variant *v, void **instance)
{
  struct norm *n = cuda_instance<struct norm>(p->ctx);
  if (!n)
    return GIE_E_MEMORY;
  make(n, p);
  size_t bytes = size_t(n->args.length) * (n->half ? 2 : 4);
  n->args.kept = n->way == WAY_ROWS && (n->half ? allow_row<__half>(bytes) : allow_row<float>(bytes));
  *instance = n;
  return GIE_OK;
}

/* Two sums of every chunk. */
static size_t norm_workspace(const struct gie_kernel *k, const struct gie_problem *p,
                             const struct gie_variant *v)
{
  struct norm n = {};
  make(&n, p);
  return size_t(n.args.chunks) * n.args.rows * 2 * sizeof(float);
}

#define NORM_OPS(X) X(softmax) X(log_softmax) X(layer_norm) X(instance_norm)
#define NORM_ROW(op)                         \
  {.struct_size = sizeof(struct gie_kernel), \
   .name = "cuda." #op,                      \
   .device = "cuda",                         \
   .ops = ops_##op,                          \
   .supports = norm_supports,                \
   .variants = norm_variants,                \
   .estimate = norm_estimate,                \
   .workspace = norm_workspace,              \
   .create = norm_create,                    \
   .destroy = cuda_destroy<struct norm>,     \
   .run = norm_run},

NORM_OPS(CUDA_OP_NAME)
static const struct gie_kernel KERNELS[] = {NORM_OPS(NORM_ROW)};
const struct cuda_family cuda_norm = {KERNELS, sizeof KERNELS / sizeof *KERNELS};
