/* SPDX-License-Identifier: Apache-2.0 */
/* Copies between two tensors of the same dims: what reorders, casts, transposes, slices, concats … come down to.
 * After joining axes, with axis 0 the result's innermost one:
 *
 *   chunks  both are contiguous along axis 0 (or one element wide): up to 16 bytes per access
 *   lanes   one of them has 2, 3, 4 or 8 elements of another axis side by side (nhwc of an image, nChw4c, Nchw2n), some of
 *           them pad lanes where the axis is shorter (three colours in nChw4c): a thread gathers, or scatters, the lanes
 *           of 4 places, or of one
 *   tiles   contiguous along different axes (nchw and nhwc): 64x64 elements through shared memory; 256 threads of
 *           16 elements each; rows of 65 words keep the banks apart. 16.25 KiB (f32)
 *   each    other pad lanes, blocks that do not fit each other, dtypes other than f32 and f16: one element at a time
 *
 * All but the last should reach 80 % of the copy bandwidth on tensors beyond the cache. */
#include "backends/cuda/copy.cuh"

#define TILE 64

/* ---- Kernels */

struct copy_axes {
  int rank; /* of the axes that are counted off */
  struct cuda_div div[CUDA_LOOP_AXES];
  int64_t in[CUDA_LOOP_AXES], out[CUDA_LOOP_AXES];
};

struct chunk_args {
  uint32_t n;
  struct copy_axes axes;
};

template <class TI, class TO> struct copy_value {
  static __device__ __forceinline__ TO of(TI v) { return cuda_from_float<TO>(cuda_to_float<TI>(v)); }
};
template <class T> struct copy_value<T, T> {
  static __device__ __forceinline__ T of(T v) { return v; }
};

__device__ __forceinline__ void copy_offsets(const struct copy_axes &a, uint32_t i, int64_t *in, int64_t *out)
{
  int64_t from = 0, to = 0;
  for (int k = 0; k < a.rank - 1; k++) {
    uint32_t q = cuda_quotient(a.div[k], i), r = i - q * a.div[k].d;
    from += r * a.in[k];
    to += r * a.out[k];
    i = q;
  }
  *in = from + i * a.in[a.rank - 1];
  *out = to + i * a.out[a.rank - 1];
}

/* K chunks of V elements per thread. */
template <class TI, class TO, int V, int K>
__global__ void __launch_bounds__(256)
    copy_chunks(const __grid_constant__ chunk_args a, const TI *__restrict__ from, TO *__restrict__ to)
{
  gie_cuda_vector<TI, V> x[K];
  int64_t out[K];
#pragma unroll
  for (int k = 0; k < K; k++) {
    uint32_t i = (blockIdx.x * K + k) * 256 + threadIdx.x;
    int64_t in = 0;
    if (i < a.n) {
      copy_offsets(a.axes, i, &in, &out[k]);
      x[k] = *reinterpret_cast<const gie_cuda_vector<TI, V> *>(from + in);
    }
  }
#pragma unroll
  for (int k = 0; k < K; k++) {
    gie_cuda_vector<TO, V> y;
#pragma unroll
    for (int v = 0; v < V; v++)
      y.v[v] = copy_value<TI, TO>::of(x[k].v[v]);
    if ((blockIdx.x * K + k) * 256 + threadIdx.x < a.n)
      *reinterpret_cast<gie_cuda_vector<TO, V> *>(to + out[k]) = y;
  }
}

/* N elements that lie side by side, in accesses of Q. */
template <class T, int N, int Q> __device__ __forceinline__ void load_side(const T *p, T (&r)[N])
{
#pragma unroll
  for (int i = 0; i < N; i += Q) {
    gie_cuda_vector<T, Q> x = *reinterpret_cast<const gie_cuda_vector<T, Q> *>(p + i);
#pragma unroll
    for (int k = 0; k < Q; k++)
      r[i + k] = x.v[k];
  }
}
template <class T, int N, int Q> __device__ __forceinline__ void store_side(T *p, const T (&r)[N])
{
#pragma unroll
  for (int i = 0; i < N; i += Q) {
    gie_cuda_vector<T, Q> x;
#pragma unroll
    for (int k = 0; k < Q; k++)
      x.v[k] = r[i + k];
    *reinterpret_cast<gie_cuda_vector<T, Q> *>(p + i) = x;
  }
}

/* Elements per access to A lanes of V places, of SIZE bytes each: up to 16 bytes. */
template <int A, int V, int SIZE> struct lane_access {
  enum { TOGETHER = A == 3 ? (V % 4 == 0 ? 4 : 1) : A * V, N = TOGETHER * SIZE > 16 ? 16 / SIZE : TOGETHER };
};

/* Axis 0 of `axes` runs over V places at a time; A lanes lie side by side in the result (or with `split` in the operand)
 * and `lane` apart in the other one, which with `pads` has the first `real` of them only. */
template <class TI, class TO, int A, int V, bool split, bool pads>
__global__ void __launch_bounds__(256) copy_lanes(const __grid_constant__ chunk_args a, int64_t lane,
                                                  int real, const TI *__restrict__ from, TO *__restrict__ to)
{
  uint32_t i = blockIdx.x * 256 + threadIdx.x;
  int64_t in, out;
  if (i >= a.n)
    return;
  copy_offsets(a.axes, i, &in, &out);
  if (split) {
    TI x[A * V];
    load_side<TI, A * V, lane_access<A, V, sizeof(TI)>::N>(from + in, x);
#pragma unroll
    for (int l = 0; l < A; l++) {
      TO y[V];
#pragma unroll
      for (int v = 0; v < V; v++)
        y[v] = copy_value<TI, TO>::of(x[v * A + l]);
      if (!pads || l < real)
        store_side<TO, V, V>(to + out + l * lane, y);
    }
  } else {
    TO y[A * V];
#pragma unroll
    for (int l = 0; l < A; l++) {
      TI x[V];
#pragma unroll
      for (int v = 0; pads && v < V; v++)
        x[v] = TI();
      if (!pads || l < real)
        load_side<TI, V, V>(from + in + l * lane, x);
#pragma unroll
      for (int v = 0; v < V; v++)
        y[v * A + l] = copy_value<TI, TO>::of(x[v]);
    }
    store_side<TO, A * V, lane_access<A, V, sizeof(TO)>::N>(to + out, y);
  }
}

struct tile_args {
  uint32_t a, b, tiles_a; /* extents of the result's and of the operand's inner axis */
  int64_t in_a, out_b;    /* strides of the two axes where they are not 1 */
  struct cuda_div tiles, batch;
  struct copy_axes axes; /* all others */
};

template <class TI, class TO>
__global__ void __launch_bounds__(256)
    copy_tiles(const __grid_constant__ tile_args t, const TI *__restrict__ from, TO *__restrict__ to)
{
  __shared__ TO tile[TILE][TILE + 4 / sizeof(TO)];
  uint32_t batch = cuda_quotient(t.batch, blockIdx.x), rest = blockIdx.x - batch * t.batch.d;
  uint32_t tb = cuda_quotient(t.tiles, rest), ta = rest - tb * t.tiles.d;
  uint32_t a0 = ta * TILE, b0 = tb * TILE, lane = threadIdx.x & 31, row = threadIdx.x >> 5;
  int64_t in = 0, out = 0;
  if (t.axes.rank)
    copy_offsets(t.axes, batch, &in, &out);
#pragma unroll
  for (int k = 0; k < TILE / 8; k++)
#pragma unroll
    for (int h = 0; h < 2; h++) {
      uint32_t a = row + 8 * k, b = lane + 32 * h;
      if (a0 + a < t.a && b0 + b < t.b)
        tile[b][a] = copy_value<TI, TO>::of(from[in + (a0 + a) * t.in_a + b0 + b]);
    }
  __syncthreads();
#pragma unroll
  for (int k = 0; k < TILE / 8; k++)
#pragma unroll
    for (int h = 0; h < 2; h++) {
      uint32_t b = row + 8 * k, a = lane + 32 * h;
      if (a0 + a < t.a && b0 + b < t.b)
        to[out + (b0 + b) * t.out_b + a0 + a] = tile[b][a];
    }
}

struct copy_each {
  struct cuda_tensor out, in;
  struct cuda_order order;
  __device__ void operator()(const int64_t *idx) const
  {
    char *to = out.data + cuda_offset(out, idx);
    const char *from = in.data + cuda_offset(in, idx);
    if (in.dtype == out.dtype)
      cuda_copy_element(to, from, out.size);
    else
      cuda_store(out.dtype, to, cuda_convert(cuda_load(in.dtype, from), in.dtype, out.dtype));
  }
};

/* ---- Choosing */

static bool is_pair(int from, int to)
{
  return (from == GIE_F32 && to == GIE_F16) || (from == GIE_F16 && to == GIE_F32);
}

/* An axis that is shorter than its block in one tensor, and in no block in the other: its elements lie side by side
 * like any others, with pad lanes behind them. The side where that is, or -1. */
static int open_block(struct cuda_tensor (&both)[2], int *width)
{
  for (int side = 0; side < 2; side++) {
    struct cuda_tensor *t = &both[side];
    int a = t->block_axis;
    if (a < 0 || both[1 - side].block_axis >= 0 || t->dim[a] < 2 || t->dim[a] >= t->block)
      continue;
    *width = int(t->block);
    t->stride[a] = 1;
    t->block_axis = -1;
    t->block = 1;
    return side;
  }
  return -1;
}

/* Widths for which there is code that knows pad lanes. */
constexpr bool may_pad(int width) { return width == 4 || width == 8; }

/* Lanes lie side by side in one tensor (axis 0 of the result, or the operand's inner axis), and the axis behind them is
 * contiguous in the other one. Where one side has an opened block its lanes are meant, and the other side may be anything. */
static bool find_lanes(struct cuda_copy *c, int opened)
{
  const struct cuda_loop<2> *l = &c->loop;
  if (l->rank < 2 || c->size == 1 || c->size == 8)
    return false;
  for (int side = 0; side < 2; side++) {
    int lanes = side == 0 ? 0 : c->inner, places = side == 0 ? c->inner : 0;
    int64_t a = opened == side ? c->width : lanes < 0 ? 0 : l->dim[lanes];
    for (int i = 0; opened == side && i < l->rank; i++)
      if (i != lanes && l->stride[side][i] == a)
        places = i;
    bool fits = (opened < 0 || opened == side) && lanes >= 0 && places >= 0 && lanes != places &&
                (a == 2 || a == 3 || a == 4 || a == 8) && l->stride[side][lanes] == 1 &&
                l->stride[side][places] == a &&
                (l->dim[lanes] == a || (l->dim[lanes] < a && may_pad(int(a)))) &&
                (opened == side || l->stride[1 - side][places] == 1);
    if (!fits)
      continue;
    c->split = side == 1;
    c->width = int(a);
    c->places = places;
    return true;
  }
  return false;
}

void cuda_copy_make(const struct cuda_tensor *to, const struct cuda_tensor *from, struct cuda_copy *out)
{
  struct cuda_tensor both[2] = {*to, *from};
  struct cuda_copy c = {};
  c.from_dtype = from->dtype;
  c.to_dtype = to->dtype;
  c.size = from->dtype == to->dtype ? to->size : 0;
  c.to = *to;
  c.from = *from;
  c.kind = CUDA_COPY_EACH;
  c.inner = -1;
  int opened = open_block(both, &c.width);
  if ((c.size || is_pair(c.from_dtype, c.to_dtype)) && cuda_loop_make<2>(both, 2, &c.loop)) {
    struct cuda_loop<2> *l = &c.loop;
    cuda_loop_merge(l);
    for (int i = 0; i < l->rank; i++)
      c.inner = l->stride[1][i] == 1 && c.inner < 0 ? i : c.inner;
    c.kind = CUDA_COPY_CHUNKS;
    if (l->count == 0)
      c.kind = CUDA_COPY_NONE;
    else if (l->count >= INT64_C(1) << 31)
      c.kind = CUDA_COPY_EACH;
    else if (find_lanes(&c, opened))
      c.kind = CUDA_COPY_LANES;
    else if (opened >= 0)
      c.kind = CUDA_COPY_EACH;
    else if (c.inner > 0 && l->stride[0][0] == 1 && l->dim[0] >= 4 && l->dim[c.inner] >= 4)
      c.kind = CUDA_COPY_TILES;
  }
  int64_t count = 1;
  for (int i = 0; i < to->rank; i++)
    count *= to->dim[i];
  if (count == 0)
    c.kind = CUDA_COPY_NONE;
  *out = c;
}

const char *cuda_copy_text(const struct cuda_copy *c)
{
  static const char *const TEXT[] = {"nothing", "chunks", "lanes", "tiles", "each"};
  return TEXT[c->kind];
}

/* ---- Launching */

/* The axes but those in `without` (a set); strides divided by `unit`. */
static struct copy_axes axes_of(const struct cuda_loop<2> *l, unsigned without, int64_t unit, uint32_t *count)
{
  struct copy_axes a = {};
  *count = 1;
  for (int i = 0; i < l->rank; i++) {
    if (without >> i & 1)
      continue;
    a.div[a.rank] = cuda_div_by(uint32_t(l->dim[i]));
    a.in[a.rank] = l->stride[1][i] / unit;
    a.out[a.rank] = l->stride[0][i] / unit;
    *count *= uint32_t(l->dim[i]);
    a.rank++;
  }
  return a;
}

/* Whether chunks of v elements fit along axis 0 of tensor t, whose elements have `size` bytes. */
static bool chunks_fit(const struct cuda_loop<2> *l, int t, int v, int size, const void *p)
{
  int64_t bytes = v * size < 16 ? v * size : 16;
  if (v == 1)
    return true;
  if (l->stride[t][0] != 1 || l->dim[0] % v != 0 || uintptr_t(p) % uintptr_t(bytes) != 0)
    return false;
  for (int i = 1; i < l->rank; i++)
    if (l->stride[t][i] * size % bytes != 0)
      return false;
  return true;
}

template <class TI, class TO, int V>
static void launch_chunks(struct chunk_args *a, const struct cuda_loop<2> *l, const void *from, void *to,
                          cudaStream_t stream)
{
  const TI *in = static_cast<const TI *>(from);
  TO *out = static_cast<TO *>(to);
  a->axes = axes_of(l, 0, 1, &a->n);
  a->axes.div[0] = cuda_div_by(uint32_t(l->dim[0] / V));
  a->axes.in[0] *= V;
  a->axes.out[0] *= V;
  a->n /= V;
  if (a->n >= 1u << 19)
    copy_chunks<TI, TO, V, 4><<<(a->n + 1023) / 1024, 256, 0, stream>>>(*a, in, out);
  else
    copy_chunks<TI, TO, V, 1><<<(a->n + 255) / 256, 256, 0, stream>>>(*a, in, out);
}

/* Same dtype: the widest unit that divides everything, as if it were an element. */
template <class U>
static bool try_units(const struct cuda_copy *c, const void *from, void *to, cudaStream_t stream)
{
  struct cuda_loop<2> l = c->loop;
  struct chunk_args a;
  int v = int(sizeof(U)) / c->size;
  if (v == 0 || !chunks_fit(&l, 0, v, c->size, to) || !chunks_fit(&l, 1, v, c->size, from))
    return false;
  for (int t = 0; t < 2; t++)
    for (int i = v > 1 ? 1 : 0; i < l.rank; i++)
      l.stride[t][i] /= v;
  l.dim[0] /= v;
  launch_chunks<U, U, 1>(&a, &l, from, to, stream);
  return true;
}

template <class TI, class TO>
static void launch_pair(const struct cuda_copy *c, const void *from, void *to, cudaStream_t stream)
{
  const struct cuda_loop<2> *l = &c->loop;
  struct chunk_args a;
  auto fits = [&](int v) {
    return chunks_fit(l, 0, v, sizeof(TO), to) && chunks_fit(l, 1, v, sizeof(TI), from);
  };
  if (fits(8))
    launch_chunks<TI, TO, 8>(&a, l, from, to, stream);
  else if (fits(4))
    launch_chunks<TI, TO, 4>(&a, l, from, to, stream);
  else if (fits(2))
    launch_chunks<TI, TO, 2>(&a, l, from, to, stream);
  else
    launch_chunks<TI, TO, 1>(&a, l, from, to, stream);
}

static void run_chunks(const struct cuda_copy *c, const void *from, void *to, cudaStream_t stream)
{
  if (c->size == 0 && c->from_dtype == GIE_F32)
    launch_pair<float, __half>(c, from, to, stream);
  else if (c->size == 0)
    launch_pair<__half, float>(c, from, to, stream);
  else if (!try_units<uint4>(c, from, to, stream) && !try_units<uint2>(c, from, to, stream) &&
           !try_units<uint32_t>(c, from, to, stream) && !try_units<uint16_t>(c, from, to, stream))
    (void)try_units<uint8_t>(c, from, to, stream);
}

template <class TI, class TO, int A, int V, bool split>
static void launch_lanes(const struct cuda_copy *c, const void *from, void *to, cudaStream_t stream)
{
  const struct cuda_loop<2> *l = &c->loop;
  int lanes = split ? c->inner : 0, places = c->places;
  struct cuda_loop<2> first = *l; /* the places become axis 0 */
  struct chunk_args a = {};
  cuda_loop_swap(&first, 0, places);
  first.dim[0] /= V;
  first.stride[0][0] *= V;
  first.stride[1][0] *= V;
  int moved = lanes == 0 ? places : lanes;
  a.axes = axes_of(&first, 1u << moved, 1, &a.n);
  const TI *in = static_cast<const TI *>(from);
  TO *out = static_cast<TO *>(to);
  int64_t lane = l->stride[split ? 0 : 1][lanes];
  int real = int(l->dim[lanes]);
  constexpr bool MAY_PAD = may_pad(A);
  if (MAY_PAD && real < A)
    copy_lanes<TI, TO, A, V, split, MAY_PAD><<<(a.n + 255) / 256, 256, 0, stream>>>(a, lane, real, in, out);
  else
    copy_lanes<TI, TO, A, V, split, false><<<(a.n + 255) / 256, 256, 0, stream>>>(a, lane, real, in, out);
}

/* Whether all offsets but those along `lanes` and `places`, and the address, are multiples of n elements. */
static bool offsets_fit(const struct cuda_loop<2> *l, int t, unsigned without, int64_t n, size_t size,
                        const void *p)
{
  if (uintptr_t(p) % (uintptr_t(n) * size) != 0)
    return false;
  for (int i = 0; i < l->rank; i++)
    if (!(without >> i & 1) && l->stride[t][i] % n != 0)
      return false;
  return true;
}

template <class TI, class TO, int A, bool split>
static bool try_lanes(const struct cuda_copy *c, const void *from, void *to, cudaStream_t stream)
{
  const struct cuda_loop<2> *l = &c->loop;
  int lanes = split ? c->inner : 0, places = c->places, side = split ? 1 : 0;
  unsigned without = 1u << lanes | 1u << places;
  const void *side_p = split ? from : to, *other_p = split ? to : from;
  constexpr size_t side_size = split ? sizeof(TI) : sizeof(TO), other_size = split ? sizeof(TO) : sizeof(TI);
  bool by_4 = l->stride[1 - side][places] == 1 && l->dim[places] % 4 == 0 &&
              l->stride[1 - side][lanes] % 4 == 0 &&
              offsets_fit(l, 1 - side, without, 4, other_size, other_p) &&
              offsets_fit(l, side, without, lane_access<A, 4, side_size>::N, side_size, side_p);
  if (by_4)
    launch_lanes<TI, TO, A, 4, split>(c, from, to, stream);
  else if (offsets_fit(l, side, without, lane_access<A, 1, side_size>::N, side_size, side_p))
    launch_lanes<TI, TO, A, 1, split>(c, from, to, stream);
  else
    return false;
  return true;
}

template <class TI, class TO>
static bool choose_lanes(const struct cuda_copy *c, const void *from, void *to, cudaStream_t stream)
{
#define LANES(A)                                                      \
  case A:                                                             \
    return c->split ? try_lanes<TI, TO, A, true>(c, from, to, stream) \
                    : try_lanes<TI, TO, A, false>(c, from, to, stream);
  switch (c->width) {
    LANES(2)
    LANES(3)
    LANES(4)
    LANES(8)
  default:
    return false;
  }
#undef LANES
}

/* false: the addresses do not allow it. */
static bool run_lanes(const struct cuda_copy *c, const void *from, void *to, cudaStream_t stream)
{
  if (c->size == 2)
    return choose_lanes<uint16_t, uint16_t>(c, from, to, stream);
  if (c->size == 4)
    return choose_lanes<uint32_t, uint32_t>(c, from, to, stream);
  return c->from_dtype == GIE_F32 ? choose_lanes<float, __half>(c, from, to, stream)
                                  : choose_lanes<__half, float>(c, from, to, stream);
}

template <class TI, class TO>
static void launch_tiles(const struct cuda_copy *c, const void *from, void *to, cudaStream_t stream)
{
  const struct cuda_loop<2> *l = &c->loop;
  struct tile_args t = {};
  uint32_t batch, tiles_b;
  t.a = uint32_t(l->dim[0]);
  t.b = uint32_t(l->dim[c->inner]);
  t.in_a = l->stride[1][0];
  t.out_b = l->stride[0][c->inner];
  t.tiles_a = (t.a + TILE - 1) / TILE;
  tiles_b = (t.b + TILE - 1) / TILE;
  t.tiles = cuda_div_by(t.tiles_a);
  t.batch = cuda_div_by(t.tiles_a * tiles_b);
  t.axes = axes_of(l, 1u | 1u << c->inner, 1, &batch);
  copy_tiles<TI, TO><<<t.tiles_a * tiles_b * batch, 256, 0, stream>>>(t, static_cast<const TI *>(from),
                                                                      static_cast<TO *>(to));
}

static void run_tiles(const struct cuda_copy *c, const void *from, void *to, cudaStream_t stream)
{
  if (c->size == 0 && c->from_dtype == GIE_F32)
    return launch_tiles<float, __half>(c, from, to, stream);
  switch (c->size) {
  case 0:
    return launch_tiles<__half, float>(c, from, to, stream);
  case 1:
    return launch_tiles<uint8_t, uint8_t>(c, from, to, stream);
  case 2:
    return launch_tiles<uint16_t, uint16_t>(c, from, to, stream);
  case 4:
    return launch_tiles<uint32_t, uint32_t>(c, from, to, stream);
  default:
    return launch_tiles<uint64_t, uint64_t>(c, from, to, stream);
  }
}

gie_status cuda_copy_run(const struct cuda_copy *c, void *to, const void *from, const struct gie_launch *l)
{
  cudaStream_t stream = gie_cuda_stream(l);
  if (c->kind == CUDA_COPY_NONE)
    return GIE_OK;
  bool done = c->kind == CUDA_COPY_LANES && run_lanes(c, from, to, stream);
  bool fills = c->kind == CUDA_COPY_LANES && !c->split && c->loop.dim[0] < c->width; /* pad lanes */
  if (c->kind == CUDA_COPY_EACH || (fills && !done)) {
    struct copy_each f = {c->to, c->from, cuda_order_of(c->to)};
    f.out.data = static_cast<char *>(to);
    f.in.data = const_cast<char *>(static_cast<const char *>(from));
    return cuda_run_each(f, l, "launching a copy");
  }
  if (c->kind == CUDA_COPY_TILES)
    run_tiles(c, from, to, stream);
  else if (!done)
    run_chunks(c, from, to, stream);
  return gie_cuda_launched(l->ctx, "launching a copy");
}
