/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernels of this backend share on the device: numbers of every dtype, tensors of any layout, division by
 * constants, vectors of 16 bytes. */
#ifndef GIE_BACKENDS_CUDA_DEVICE_CUH
#define GIE_BACKENDS_CUDA_DEVICE_CUH

#include "backends/cuda/common.h"
#include <cuda_fp16.h>
#include <gie/cuda_steps.h>

/* ---- Division of 31-bit numbers by a constant (Granlund and Montgomery, 1994) --------------------------- */

struct cuda_div {
  uint32_t d, multiplier, shift;
};

static inline struct cuda_div cuda_div_by(uint32_t d)
{
  struct cuda_div v = {d, 0, 0};
  while (v.shift < 31 && (uint32_t(1) << v.shift) < d)
    v.shift++;
  v.multiplier = uint32_t(((uint64_t(1) << 32) * ((uint64_t(1) << v.shift) - d)) / d + 1);
  return v;
}

__device__ __forceinline__ uint32_t cuda_quotient(const struct cuda_div &v, uint32_t n)
{
  return (__umulhi(n, v.multiplier) + n) >> v.shift;
}

/* ---- Numbers: the rules of the reference kernels ------------------------------------------------------------ */

__device__ __forceinline__ float cuda_bf16_to_float(uint16_t b) { return __uint_as_float(uint32_t(b) << 16); }

/* One rounding to nearest even, from f64 too: first to f32 with the lost bits kept in the last one. */
__device__ __forceinline__ uint16_t cuda_double_to_bf16(double v)
{
  float f = __double2float_rz(v);
  uint32_t u = __float_as_uint(f);
  if (v != v)
    return 0x7fff;
  if (isinf(v) || u >> 23 == 0xff || u >> 23 == 0x1ff)
    return uint16_t(u >> 16);
  if (double(f) != v)
    u |= 1;
  return uint16_t((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

__device__ __forceinline__ double cuda_load_double(int dtype, const void *p)
{
  switch (dtype) {
  case GIE_F32:
    return *static_cast<const float *>(p);
  case GIE_F16:
    return gie_cuda_half_to_float(*static_cast<const uint16_t *>(p));
  case GIE_BF16:
    return cuda_bf16_to_float(*static_cast<const uint16_t *>(p));
  case GIE_F64:
    return *static_cast<const double *>(p);
  default:
    return 0;
  }
}

__device__ __forceinline__ int64_t cuda_load_int(int dtype, const void *p)
{
  switch (dtype) {
  case GIE_I8:
    return *static_cast<const int8_t *>(p);
  case GIE_I16:
    return *static_cast<const int16_t *>(p);
  case GIE_I32:
    return *static_cast<const int32_t *>(p);
  case GIE_I64:
  case GIE_U64:
    return *static_cast<const int64_t *>(p);
  case GIE_U8:
    return *static_cast<const uint8_t *>(p);
  case GIE_U16:
    return *static_cast<const uint16_t *>(p);
  case GIE_U32:
    return *static_cast<const uint32_t *>(p);
  default:
    return *static_cast<const uint8_t *>(p) != 0;
  }
}

__device__ __forceinline__ bool cuda_is_float(int dtype) { return dtype >= GIE_F32 && dtype <= GIE_F64; }

/* A number of any dtype: `f` for floats, `i` for integers and bool (the bits of u64). */
struct cuda_number {
  double f;
  int64_t i;
};

__device__ __forceinline__ struct cuda_number cuda_load(int dtype, const void *p)
{
  struct cuda_number n = {0, 0};
  if (cuda_is_float(dtype))
    n.f = cuda_load_double(dtype, p);
  else
    n.i = cuda_load_int(dtype, p);
  return n;
}

/* Truncates and saturates, NaN to 0. */
__device__ __forceinline__ int64_t cuda_saturate(double v, int dtype)
{
  double least = 0, most = 0;
  switch (dtype) {
  case GIE_BOOL:
    return v != 0;
  case GIE_I8:
    least = -128, most = 127;
    break;
  case GIE_I16:
    least = -32768, most = 32767;
    break;
  case GIE_I32:
    least = -2147483648.0, most = 2147483647.0;
    break;
  case GIE_U8:
    most = 255;
    break;
  case GIE_U16:
    most = 65535;
    break;
  case GIE_U32:
    most = 4294967295.0;
    break;
  case GIE_U64:
    return v != v || v <= 0 ? 0 : v >= 18446744073709551616.0 ? -1 : int64_t(uint64_t(v));
  default:
    return v != v                        ? 0
           : v >= 9223372036854775808.0  ? INT64_MAX
           : v <= -9223372036854775808.0 ? INT64_MIN
                                         : int64_t(v);
  }
  return v != v ? 0 : v <= least ? int64_t(least) : v >= most ? int64_t(most) : int64_t(v);
}

__device__ __forceinline__ int64_t cuda_wrap(int64_t v, int dtype)
{
  switch (dtype) {
  case GIE_I8:
    return int8_t(v);
  case GIE_I16:
    return int16_t(v);
  case GIE_I32:
    return int32_t(v);
  case GIE_U8:
    return uint8_t(v);
  case GIE_U16:
    return uint16_t(v);
  case GIE_U32:
    return uint32_t(v);
  case GIE_BOOL:
    return v != 0;
  default:
    return v;
  }
}

/* n of dtype `from` as dtype `to`. */
__device__ __forceinline__ struct cuda_number cuda_convert(struct cuda_number n, int from, int to)
{
  if (cuda_is_float(from) && !cuda_is_float(to)) {
    n.i = cuda_saturate(n.f, to);
  } else if (!cuda_is_float(from) && cuda_is_float(to)) {
    int64_t v = n.i;
    if (to == GIE_F32) { /* one rounding, not two */
      n.f = from == GIE_U64 ? __ull2float_rn(uint64_t(v)) : __ll2float_rn(v);
    } else {
      if (to == GIE_BF16 && (v > INT64_C(1) << 53 || v < -(INT64_C(1) << 53)))
        v = (v & ~INT64_C(0xfff)) | (v & 0xfff ? 0x800 : 0); /* exact as a double */
      n.f = from == GIE_U64 ? double(uint64_t(v)) : double(v);
    }
  } else if (!cuda_is_float(to)) {
    n.i = cuda_wrap(n.i, to);
  }
  return n;
}

/* n is of the class of dtype; integers are cut to its width. */
__device__ __forceinline__ void cuda_store(int dtype, void *p, struct cuda_number n)
{
  switch (dtype) {
  case GIE_F32:
    *static_cast<float *>(p) = float(n.f);
    break;
  case GIE_F16:
    *static_cast<uint16_t *>(p) = __half_as_ushort(__double2half(n.f));
    break;
  case GIE_BF16:
    *static_cast<uint16_t *>(p) = cuda_double_to_bf16(n.f);
    break;
  case GIE_F64:
    *static_cast<double *>(p) = n.f;
    break;
  case GIE_I8:
  case GIE_U8:
    *static_cast<uint8_t *>(p) = uint8_t(n.i);
    break;
  case GIE_I16:
  case GIE_U16:
    *static_cast<uint16_t *>(p) = uint16_t(n.i);
    break;
  case GIE_I32:
  case GIE_U32:
    *static_cast<uint32_t *>(p) = uint32_t(n.i);
    break;
  case GIE_I64:
  case GIE_U64:
    *static_cast<int64_t *>(p) = n.i;
    break;
  default:
    *static_cast<uint8_t *>(p) = n.i != 0;
  }
}

/* ---- f32 and f16 in vectors ------------------------------------------------------------------------------------- */

template <class T> __device__ __forceinline__ float cuda_to_float(T v);
template <> __device__ __forceinline__ float cuda_to_float(float v) { return v; }
template <> __device__ __forceinline__ float cuda_to_float(__half v) { return __half2float(v); }
template <class T> __device__ __forceinline__ T cuda_from_float(float v);
template <> __device__ __forceinline__ float cuda_from_float(float v) { return v; }
template <> __device__ __forceinline__ __half cuda_from_float(float v) { return __float2half_rn(v); }

template <class T, int V> __device__ __forceinline__ void cuda_load_v(const T *p, float (&r)[V])
{
  gie_cuda_vector<T, V> x = *reinterpret_cast<const gie_cuda_vector<T, V> *>(p);
#pragma unroll
  for (int v = 0; v < V; v++)
    r[v] = cuda_to_float(x.v[v]);
}

template <class T, int V> __device__ __forceinline__ void cuda_store_v(T *p, const float (&r)[V])
{
  gie_cuda_vector<T, V> x;
#pragma unroll
  for (int v = 0; v < V; v++)
    x.v[v] = cuda_from_float<T>(r[v]);
  *reinterpret_cast<gie_cuda_vector<T, V> *>(p) = x;
}

/* ---- Tensors of any layout, for the kernels that take everything ---------------------------------------------------- */

/* Element idx[] is at the sum of idx[i]*stride[i]; on block_axis (or -1) at idx/block*stride + idx%block. */
struct cuda_tensor {
  char *data;
  int dtype, size, rank, block_axis;
  int64_t block, dim[GIE_MAX_RANK], stride[GIE_MAX_RANK];
};

__device__ __forceinline__ int64_t cuda_offset(const struct cuda_tensor &t, const int64_t *idx)
{
  int64_t at = 0;
  for (int i = 0; i < t.rank; i++)
    at += i == t.block_axis ? idx[i] / t.block * t.stride[i] + idx[i] % t.block : idx[i] * t.stride[i];
  return at * t.size;
}

__device__ __forceinline__ struct cuda_number cuda_read(const struct cuda_tensor &t, const int64_t *idx)
{
  return cuda_load(t.dtype, t.data + cuda_offset(t, idx));
}

__device__ __forceinline__ void cuda_copy_element(char *to, const char *from, int size)
{
  switch (size) {
  case 1:
    *to = *from;
    break;
  case 2:
    *reinterpret_cast<uint16_t *>(to) = *reinterpret_cast<const uint16_t *>(from);
    break;
  case 4:
    *reinterpret_cast<uint32_t *>(to) = *reinterpret_cast<const uint32_t *>(from);
    break;
  default:
    *reinterpret_cast<uint64_t *>(to) = *reinterpret_cast<const uint64_t *>(from);
  }
}

/* The indices of a tensor in the order of its memory, pad lanes of a blocked axis included. */
struct cuda_order {
  int rank;
  int axis[GIE_MAX_RANK]; /* outermost first */
  int64_t extent[GIE_MAX_RANK], lanes, count;
};

/* Index number i of t; false for a pad lane, which is set to zero. */
__device__ __forceinline__ bool cuda_index(const struct cuda_tensor &t, const struct cuda_order &o, int64_t i,
                                           int64_t *idx)
{
  int64_t lane = i % o.lanes, rest = i / o.lanes;
  for (int k = o.rank - 1; k >= 0; k--) {
    idx[o.axis[k]] = rest % o.extent[k];
    rest /= o.extent[k];
  }
  if (t.block_axis < 0)
    return true;
  idx[t.block_axis] = idx[t.block_axis] * o.lanes + lane;
  if (idx[t.block_axis] < t.dim[t.block_axis])
    return true;
  uint64_t zero = 0;
  cuda_copy_element(t.data + cuda_offset(t, idx), reinterpret_cast<const char *>(&zero), t.size);
  return false;
}

/* f(idx) for every index of its result f.out; the functor stores. */
template <class F> __global__ void __launch_bounds__(256) cuda_each(const __grid_constant__ F f)
{
  int64_t idx[GIE_MAX_RANK];
  for (int64_t i = int64_t(blockIdx.x) * 256 + threadIdx.x; i < f.order.count; i += int64_t(gridDim.x) * 256)
    if (cuda_index(f.out, f.order, i, idx))
      f(idx);
}

#endif
