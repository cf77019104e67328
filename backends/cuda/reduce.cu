/* SPDX-License-Identifier: Apache-2.0 */
/* Reductions over any set of axes, arg_max, and global pools, which are means and maxima over the spatial axes.
 * Formulas: ONNX ReduceMean, ReduceSum, ReduceMax, ReduceMin, ReduceL2 (18), ArgMax (13). NaN wins in max, min and
 * arg_max. Ways, after joining axes:
 *
 *   rows     f32 and f16, what is summed is contiguous: a warp per row, a block where rows are long, a thread where they are
 *            short and one behind the other, from shared memory
 *   columns  f32 and f16, what stays is contiguous: a block of 32 columns and 8 parts of the sum, or a thread per column where
 *            there are many
 *   each     everything else: one thread per result
 *
 * Their kernels are instantiated for each function. They read every element once. The goal is 80 % of the copy bandwidth; what they reach is in
 * bench/results/cuda_kernels.txt. */
#include "backends/cuda/reduce.cuh"

/* ---- Each */

/* out has the rank of in: reduced axes are kept with extent 1 and stride 0. */
struct reduce_each {
  struct cuda_tensor out, in;
  struct cuda_order order;
  enum fold fold;
  unsigned axes;
  int8_t axis_of[GIE_MAX_RANK]; /* of in, for each axis of out; -1: none */

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

  __device__ void operator()(const int64_t *idx) const
  {
    int64_t at[GIE_MAX_RANK] = {0}, count = 0, i = 0;
    double f = fold == FOLD_MAX ? -INFINITY : fold == FOLD_MIN ? INFINITY : 0, squares = 0;
    bool real = cuda_is_float(in.dtype), big = in.dtype == GIE_U64, any = true;
    for (int k = 0; k < out.rank; k++)
      if (axis_of[k] >= 0)
        at[axis_of[k]] = idx[k];
    for (int k = 0; k < in.rank; k++)
      any = any && in.dim[k] > 0;
    i = real ? 0 : cuda_saturate(f, in.dtype);
    if (any)
      do {
        struct cuda_number x = cuda_read(in, at);
        double v = real ? x.f : big ? double(uint64_t(x.i)) : double(x.i);
        bool less = big ? uint64_t(x.i) < uint64_t(i) : x.i < i;
        if (fold == FOLD_MAX)
          f = isnan(f) || f > x.f ? f : x.f, i = less ? i : x.i;
        else if (fold == FOLD_MIN)
          f = isnan(f) || f < x.f ? f : x.f, i = less ? x.i : i;
        else
          f += x.f, i = int64_t(uint64_t(i) + uint64_t(x.i)), squares += v * v;
        count++;
      } while (next(at));
    if (fold == FOLD_MEAN && count > 0)
      i = big ? int64_t(uint64_t(i) / uint64_t(count)) : i / count;
    if (fold == FOLD_L2)
      i = cuda_saturate(sqrt(squares), in.dtype);
    struct cuda_number r = {fold == FOLD_MEAN ? f / double(count) : fold == FOLD_L2 ? sqrt(squares) : f, i};
    cuda_store(out.dtype, out.data + cuda_offset(out, idx), r);
  }
};

struct arg_max_each {
  struct cuda_tensor out, in;
  struct cuda_order order;
  int axis;
  bool last;
  int8_t axis_of[GIE_MAX_RANK];
  __device__ void operator()(const int64_t *idx) const
  {
    int64_t at[GIE_MAX_RANK] = {0}, best = 0;
    struct cuda_number r = {0, 0};
    bool real = cuda_is_float(in.dtype), big = in.dtype == GIE_U64;
    for (int k = 0; k < out.rank; k++)
      if (axis_of[k] >= 0)
        at[axis_of[k]] = idx[k];
    for (int64_t i = 0; i < in.dim[axis]; i++) {
      at[axis] = i;
      struct cuda_number x = cuda_read(in, at);
      bool greater = big ? uint64_t(x.i) > uint64_t(r.i) : x.i > r.i, wins = greater || (last && x.i == r.i);
      if (real)
        wins = isnan(r.f) || isnan(x.f) ? isnan(x.f) && (last || !isnan(r.f)) : last ? x.f >= r.f : x.f > r.f;
      if (i == 0 || wins) {
        r = x;
        best = i;
      }
    }
    struct cuda_number n = {0, best};
    cuda_store(GIE_I64, out.data + cuda_offset(out, idx), n);
  }
};

/* A block per result, f32 and f16; the extent is long and there are few results. */
template <class T>
__global__ void __launch_bounds__(256) arg_max_rows(const __grid_constant__ reduce_args a, bool last,
                                                    const T *__restrict__ x, int64_t *__restrict__ y)
{
  __shared__ float values[8];
  __shared__ int64_t places[8];
  float best = 0;
  int64_t place = -1, in, out;
  offsets(a.keep, blockIdx.x, &in, &out);
  /* b takes the place of a: greater, or NaN over a number, or equal and earlier (later with `last`) */
  auto wins = [last](float a_, int64_t pa, float b, int64_t pb) {
    if (pa < 0 || pb < 0)
      return pb >= 0;
    bool nan_a = a_ != a_, nan_b = b != b;
    if (nan_a != nan_b)
      return nan_b;
    if (nan_a || a_ == b)
      return last ? pb > pa : pb < pa;
    return b > a_;
  };
  for (uint32_t i = threadIdx.x; i < a.reduced; i += 256) {
    float v = cuda_to_float(x[in + i * a.sum.in[0]]);
    if (wins(best, place, v, i)) {
      best = v;
      place = i;
    }
  }
#pragma unroll
  for (int k = 16; k > 0; k /= 2) {
    float v = __shfl_xor_sync(0xffffffffu, best, k);
    int64_t p = __shfl_xor_sync(0xffffffffu, place, k);
    if (wins(best, place, v, p)) {
      best = v;
      place = p;
    }
  }
  if (threadIdx.x % 32 == 0) {
    values[threadIdx.x / 32] = best;
    places[threadIdx.x / 32] = place;
  }
  __syncthreads();
  if (threadIdx.x != 0)
    return;
  for (int k = 1; k < 8; k++)
    if (wins(best, place, values[k], places[k])) {
      best = values[k];
      place = places[k];
    }
  y[out] = place;
}

/* ---- An instance */

enum reduce_way { WAY_EACH, WAY_ROWS, WAY_COLUMNS, WAY_ARG_EACH, WAY_ARG_ROWS };

struct reduce {
  struct gie_context *ctx;
  enum reduce_way way;
  bool half, last;
  struct reduce_args args;
  int64_t inner; /* extent of the contiguous axis that stays (columns) */
  struct reduce_each each;
  struct arg_max_each arg;
};

/* Rows that one thread sums. */
template <class T> static bool is_short(const struct reduce_args *a, const T *x)
{
  return a->reduced <= SHORT && a->kept >= 1 << 14 && a->keep.rank == 1 && a->keep.in[0] == a->reduced &&
         a->sum.rank == 1 && a->sum.in[0] == 1 && uintptr_t(x) % 16 == 0;
}

template <class T, enum fold F>
static void launch_rows(const struct reduce *r, const T *x, T *y, cudaStream_t stream)
{
  const struct reduce_args *a = &r->args;
  constexpr int V = 16 / sizeof(T);
  bool vectors = a->sum.rank == 1 && a->sum.in[0] == 1 && a->reduced % V == 0 && uintptr_t(x) % 16 == 0;
  if (is_short(a, x)) {
    reduce_short<T, F><<<(a->kept + SHORT_ROWS - 1) / SHORT_ROWS, SHORT_ROWS, 0, stream>>>(*a, x, y);
    return;
  }
  for (int k = 0; k < a->keep.rank; k++)
    vectors = vectors && a->keep.in[k] % V == 0;
  bool block = a->reduced >= 2048 || (a->reduced >= 512 && a->kept < 2048);
  bool some = !block && a->reduced <= 128;
  int group = block ? 256 : some ? 8 : 32;
  unsigned blocks = unsigned((uint64_t(a->kept) * group + 255) / 256);
#define ROWS(g)                                                            \
  (vectors ? reduce_rows<T, F, g, V><<<blocks, 256, 0, stream>>>(*a, x, y) \
           : reduce_rows<T, F, g, 1><<<blocks, 256, 0, stream>>>(*a, x, y))
  if (block)
    ROWS(256);
  else if (some)
    ROWS(8);
  else
    ROWS(32);
#undef ROWS
}

/* Whether V neighbouring results and elements lie at multiples of V. */
static bool columns_fit(const struct reduce *r, int v, size_t size, const void *x, const void *y)
{
  const struct reduce_args *a = &r->args;
  if (r->inner % v != 0 || a->keep.out[0] != 1 || (uintptr_t(x) | uintptr_t(y)) % (size_t(v) * size) != 0)
    return false;
  for (int k = 1; k < a->keep.rank; k++)
    if (a->keep.in[k] % v != 0 || a->keep.out[k] % v != 0)
      return false;
  for (int k = 0; k < a->sum.rank; k++)
    if (a->sum.in[k] % v != 0)
      return false;
  return true;
}

/* Wide vectors where that leaves blocks enough for the device. */
template <class T, enum fold F>
static void launch_columns(const struct reduce *r, const T *x, T *y, cudaStream_t stream)
{
  const struct reduce_args *a = &r->args;
  constexpr int V = 16 / sizeof(T), HALF = V / 2;
  auto blocks = [a](uint32_t each) { return (a->kept + each - 1) / each; };
  if (a->kept / V >= 1 << 16 && columns_fit(r, V, sizeof(T), x, y))
    reduce_alone<T, F, V><<<blocks(256 * V), 256, 0, stream>>>(*a, x, y);
  else if (blocks(32 * V) >= 512 && columns_fit(r, V, sizeof(T), x, y))
    reduce_columns<T, F, V><<<blocks(32 * V), 256, 0, stream>>>(*a, x, y);
  else if (blocks(32 * HALF) >= 256 && columns_fit(r, HALF, sizeof(T), x, y))
    reduce_columns<T, F, HALF><<<blocks(32 * HALF), 256, 0, stream>>>(*a, x, y);
  else if (HALF > 2 && blocks(64) >= 64 && columns_fit(r, 2, sizeof(T), x, y))
    reduce_columns<T, F, 2><<<blocks(64), 256, 0, stream>>>(*a, x, y);
  else
    reduce_columns<T, F, 1><<<blocks(32), 256, 0, stream>>>(*a, x, y);
}

template <class T, enum fold F> static void launch_fold(const struct reduce *r, const struct gie_launch *l)
{
  const T *x = static_cast<const T *>(l->in[0]);
  T *y = static_cast<T *>(l->out[0]);
  if (r->way == WAY_ROWS)
    launch_rows<T, F>(r, x, y, gie_cuda_stream(l));
  else
    launch_columns<T, F>(r, x, y, gie_cuda_stream(l));
}

template <class T> static void launch(const struct reduce *r, const struct gie_launch *l)
{
  if (r->way == WAY_ARG_ROWS) {
    arg_max_rows<T><<<r->args.kept, 256, 0, gie_cuda_stream(l)>>>(r->args, r->last,
                                                                  static_cast<const T *>(l->in[0]),
                                                                  static_cast<int64_t *>(l->out[0]));
    return;
  }
  switch (r->args.fold) {
  case FOLD_MAX:
    return launch_fold<T, FOLD_MAX>(r, l);
  case FOLD_MIN:
    return launch_fold<T, FOLD_MIN>(r, l);
  case FOLD_L2:
    return launch_fold<T, FOLD_L2>(r, l);
  default: /* a mean is a sum until its end */
    return launch_fold<T, FOLD_SUM>(r, l);
  }
}

static gie_status reduce_run(void *instance, const struct gie_launch *l)
{
  const struct reduce *r = static_cast<const struct reduce *>(instance);
  if (r->way == WAY_EACH) {
    struct reduce_each f = r->each;
    f.in.data = static_cast<char *>(l->in[0]);
    f.out.data = static_cast<char *>(l->out[0]);
    return cuda_run_each(f, l, "launching a reduction");
  }
  if (r->way == WAY_ARG_EACH) {
    struct arg_max_each f = r->arg;
    f.in.data = static_cast<char *>(l->in[0]);
    f.out.data = static_cast<char *>(l->out[0]);
    return cuda_run_each(f, l, "launching an arg_max");
  }
  r->half ? launch<__half>(r, l) : launch<float>(r, l);
  return gie_cuda_launched(l->ctx, "launching a reduction");
}

/* ---- The kernels */

/* Set of reduced axes and whether they stay as axes of extent 1. */
static bool read_axes(const struct gie_problem *p, unsigned *axes, bool *keep, char *why, size_t size)
{
  const char *name = p->node->op->name;
  int64_t list[GIE_MAX_RANK], axis = gie_node_int(p->node, "axis");
  int rank = p->in[0].rank;
  uint32_t n = 0;
  *axes = 0;
  *keep = true;
  if (strncmp(name, "global", 6) == 0) {
    *axes = ((1u << rank) - 1) & ~3u;
    return rank >= 3 || cuda_refuse(why, size, "no spatial axis");
  }
  *keep = gie_node_int(p->node, "keepdims") != 0;
  if (strcmp(name, "arg_max") == 0) {
    axis += axis < 0 ? rank : 0;
    if (axis < 0 || axis >= rank || p->in[0].dim[axis] == 0)
      return cuda_refuse(why, size, "the axis is outside rank %d, or has no elements", rank);
    *axes = 1u << axis;
    return true;
  }
  bool given = p->node->n_operands > 1 && p->in[1].dtype != GIE_DTYPE_NONE;
  if (given && !gie_value_ints(p->graph, p->node->in[1], list, GIE_MAX_RANK, &n))
    return cuda_refuse(why, size, "the axes are not constant");
  if (n == 0 && !gie_node_int(p->node, "noop_with_empty_axes"))
    *axes = (1u << rank) - 1;
  for (uint32_t i = 0; i < n; i++) {
    int64_t a = list[i] < 0 ? list[i] + rank : list[i];
    if (a < 0 || a >= rank)
      return cuda_refuse(why, size, "axis %lld is outside rank %d", (long long)list[i], rank);
    *axes |= 1u << a;
  }
  return true;
}

/* axis_of[]: the axis of x behind each of the result. */
static bool match_axes(const struct gie_problem *p, unsigned axes, bool keep, int8_t *axis_of, char *why,
                       size_t size)
{
  int o = 0;
  for (int i = 0; i < p->in[0].rank; i++) {
    bool reduced = axes >> i & 1;
    if (reduced && !keep)
      continue;
    if (o >= p->out[0].rank || p->out[0].dim[o] != (reduced ? 1 : p->in[0].dim[i]))
      return cuda_refuse(why, size, "the axes do not give the result's shape");
    axis_of[o++] = reduced ? -1 : int8_t(i);
  }
  return o == p->out[0].rank || cuda_refuse(why, size, "the axes do not give the result's shape");
}

static bool reduce_supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size)
{
  unsigned axes;
  bool keep;
  int8_t axis_of[GIE_MAX_RANK];
  char class_ = gie_dtype_class(p->in[0].dtype);
  if (!read_axes(p, &axes, &keep, why, size) || !match_axes(p, axes, keep, axis_of, why, size))
    return false;
  if (class_ != 'f' && strcmp(p->node->op->name, "reduce_mean") == 0)
    for (int i = 0; i < p->in[0].rank; i++)
      if (axes >> i & 1 && p->in[0].dim[i] == 0)
        return cuda_refuse(why, size, "a mean of no integers");
  return true;
}

static uint32_t reduce_variants(const struct gie_kernel *k, const struct gie_problem *p,
                                struct gie_variant *out, uint32_t max)
{
  const struct cuda_follow first = {1, 1};
  return cuda_variants_any(p, 0, first, -1, out, max);
}

static void reduce_estimate(const struct gie_kernel *k, const struct gie_problem *p,
                            const struct gie_variant *v, struct gie_cost *out)
{
  out->bytes = cuda_bytes(p->in, 1) + cuda_bytes(p->out, 1);
  out->flops = double(gie_desc_count(&p->in[0]));
}

/* Joins the axes of one kind; out has those strides of the result. */
static bool join_axes(const struct gie_desc *x, const int64_t *out_stride, unsigned axes,
                      struct reduce_axes *a, uint32_t *count)
{
  struct cuda_tensor t[2] = {cuda_tensor_of(x), cuda_tensor_of(x)};
  struct cuda_loop<2> l;
  int rank = 0;
  for (int i = 0; i < x->rank; i++) {
    if (!(axes >> i & 1))
      continue;
    t[0].dim[rank] = x->dim[i];
    t[0].stride[rank] = x->stride[i]; /* x decides the order of what is summed */
    t[1].dim[rank] = x->dim[i];
    t[1].stride[rank++] = out_stride[i];
  }
  t[0].rank = t[1].rank = rank;
  if (!cuda_loop_make<2>(t, 2, &l) || l.count >= INT64_C(1) << 31)
    return false;
  cuda_loop_merge(&l);
  *count = uint32_t(l.count);
  a->rank = l.rank;
  for (int i = 0; i < l.rank; i++) {
    a->div[i] = cuda_div_by(uint32_t(l.dim[i] ? l.dim[i] : 1));
    a->in[i] = l.stride[0][i];
    a->out[i] = l.stride[1][i];
  }
  return true;
}

/* Rows or columns, if there are f32 or f16 elements without blocks. */
static bool make_fast(struct reduce *r, const struct gie_problem *p, unsigned axes, const int8_t *axis_of)
{
  const struct gie_desc *x = &p->in[0], *y = &p->out[0];
  int64_t out_stride[GIE_MAX_RANK] = {0};
  bool arg = y->dtype == GIE_I64;
  if ((x->dtype != GIE_F32 && x->dtype != GIE_F16) || (y->dtype != x->dtype && !arg) || x->layout.block > 1 ||
      y->layout.block > 1 || gie_desc_count(x) == 0)
    return false;
  for (int k = 0; k < y->rank; k++)
    if (axis_of[k] >= 0)
      out_stride[int(axis_of[k])] = y->stride[k];
  unsigned all = (1u << x->rank) - 1;
  if (!join_axes(x, out_stride, all & ~axes, &r->args.keep, &r->args.kept) ||
      !join_axes(x, out_stride, axes, &r->args.sum, &r->args.reduced))
    return false;
  r->half = x->dtype == GIE_F16;
  r->inner = r->args.keep.div[0].d;
  bool rows = r->args.sum.in[0] == 1 || r->args.keep.in[0] != 1;
  if (arg && (r->args.sum.rank > 1 || r->args.kept > 4096 || r->args.reduced < 64))
    return false;
  r->way = arg ? WAY_ARG_ROWS : rows ? WAY_ROWS : WAY_COLUMNS;
  return true;
}

static gie_status reduce_create(const struct gie_kernel *k, const struct gie_problem *p,
                                const struct gie_variant *v, void **instance)
{
  static const char *const FOLDS[] = {"reduce_mean", "reduce_sum", "reduce_max", "reduce_min", "reduce_l2"};
  const char *name = p->node->op->name;
  char why[128] = "";
  unsigned axes;
  bool keep;
  int8_t axis_of[GIE_MAX_RANK];
  if (!read_axes(p, &axes, &keep, why, sizeof why) || !match_axes(p, axes, keep, axis_of, why, sizeof why))
    return gie_fail(p->ctx, GIE_E_UNSUPPORTED, "%s", why);
  struct reduce *r = cuda_instance<struct reduce>(p->ctx);
  if (!r)
    return GIE_E_MEMORY;
  for (int i = 0; i < 5; i++)
    if (strcmp(name, FOLDS[i]) == 0)
      r->each.fold = static_cast<enum fold>(i);
  if (strcmp(name, "global_max_pool") == 0)
    r->each.fold = FOLD_MAX;
  r->args.fold = r->each.fold;
  r->each.in = r->arg.in = cuda_tensor_of(&p->in[0]);
  r->each.out = r->arg.out = cuda_tensor_of(&p->out[0]);
  r->each.order = r->arg.order = cuda_order_of(r->each.out);
  r->each.axes = axes;
  memcpy(r->each.axis_of, axis_of, sizeof axis_of);
  memcpy(r->arg.axis_of, axis_of, sizeof axis_of);
  bool arg = strcmp(name, "arg_max") == 0;
  r->last = r->arg.last = arg && gie_node_int(p->node, "select_last_index");
  while (arg && r->arg.axis < GIE_MAX_RANK - 1 && !(axes >> r->arg.axis & 1))
    r->arg.axis++;
  if (!make_fast(r, p, axes, axis_of))
    r->way = arg ? WAY_ARG_EACH : WAY_EACH;
  *instance = r;
  return GIE_OK;
}

/* clang-format off */
#define REDUCE_OPS(X)                                                                                     \
  X(reduce_mean) X(reduce_sum) X(reduce_max) X(reduce_min) X(reduce_l2) X(arg_max) X(global_average_pool) \
  X(global_max_pool)
/* clang-format on */

#define REDUCE_ROW(op) CUDA_OP_ROW(op, reduce)

REDUCE_OPS(CUDA_OP_NAME)
static const struct gie_kernel KERNELS[] = {REDUCE_OPS(REDUCE_ROW)};
const struct cuda_family cuda_reduce = {KERNELS, sizeof KERNELS / sizeof *KERNELS};
