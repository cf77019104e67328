/* SPDX-License-Identifier: Apache-2.0 */
/* Elements of every dtype as double or int64 and back: the only place that knows how they are stored. */
#include "backends/cpu/cpu.h"

#include <math.h>

/* ---- 16-bit floats: IEEE 754-2019 binary16, and bfloat16 (the upper half of binary32) */

static double f16_to_double(uint16_t h)
{
  uint32_t exponent = h >> 10 & 31, fraction = h & 1023;
  double v;
  if (exponent == 31)
    v = fraction ? (double)NAN : (double)INFINITY;
  else if (exponent == 0)
    v = fraction * 0x1p-24;
  else {
    uint64_t bits = (uint64_t)(exponent + 1008) << 52 | (uint64_t)fraction << 42;
    memcpy(&v, &bits, sizeof v);
  }
  return h & 0x8000 ? -v : v;
}

static double bf16_to_double(uint16_t h)
{
  uint32_t bits = (uint32_t)h << 16;
  float f;
  memcpy(&f, &bits, sizeof f);
  return (double)f;
}

/* Rounds to a 16-bit float with `fraction` explicit significand bits and the least normal exponent
 * e_min, nearest even. |v| is counted in units of its last place: below 2^e_min that count is the
 * encoding itself, above it the exponent is put in front; a carry moves into the exponent as it must. */
static uint16_t double_to_16(double v, int fraction, int e_min)
{
  uint16_t sign = signbit(v) ? 0x8000 : 0, inf = (uint16_t)(0x7fff >> fraction << fraction);
  double magnitude = fabs(v);
  int e;
  if (isnan(v))
    return (uint16_t)(sign | inf | 1 << (fraction - 1));
  if (magnitude >= ldexp(1, 2 - e_min))
    return sign | inf;
  frexp(magnitude, &e);
  e = magnitude == 0 || e - 1 < e_min ? e_min : e - 1;
  uint32_t units = (uint32_t)nearbyint(ldexp(magnitude, fraction - e));
  return (uint16_t)(sign | (units + ((uint32_t)(e - e_min) << fraction)));
}

/* ---- Conversions */

int64_t cpu_wrap(int64_t v, enum gie_dtype t)
{
  switch (t) {
  case GIE_I8:
    return (int8_t)v;
  case GIE_I16:
    return (int16_t)v;
  case GIE_I32:
    return (int32_t)v;
  case GIE_U8:
    return (uint8_t)v;
  case GIE_U16:
    return (uint16_t)v;
  case GIE_U32:
    return (uint32_t)v;
  case GIE_BOOL:
    return v != 0;
  default:
    return v;
  }
}

int64_t cpu_saturate(double v, enum gie_dtype t)
{
  static const struct range {
    int64_t least;
    uint64_t greatest;
  } RANGES[GIE_DTYPE_COUNT] = {
      [GIE_I8] = {INT8_MIN, INT8_MAX},    [GIE_I16] = {INT16_MIN, INT16_MAX},
      [GIE_I32] = {INT32_MIN, INT32_MAX}, [GIE_I64] = {INT64_MIN, INT64_MAX},
      [GIE_U8] = {0, UINT8_MAX},          [GIE_U16] = {0, UINT16_MAX},
      [GIE_U32] = {0, UINT32_MAX},        [GIE_U64] = {0, UINT64_MAX},
  };
  const struct range *r = &RANGES[t];
  if (t == GIE_BOOL)
    return v != 0; /* NaN is true, as in C and numpy */
  if (isnan(v))
    return 0;
  if (v >= (double)r->greatest) /* 64 bits: the double just above it */
    return (int64_t)r->greatest;
  if (v <= (double)r->least)
    return r->least;
  return r->least == 0 ? (int64_t)(uint64_t)v : (int64_t)v;
}

static double int_to_double(int64_t v, enum gie_dtype from, enum gie_dtype to)
{
  bool big = from == GIE_U64;
  if (to == GIE_F32) /* one rounding, not two */
    return big ? (double)(float)(uint64_t)v : (double)(float)v;
  if (to == GIE_BF16 && (v > INT64_C(1) << 53 || v < -(INT64_C(1) << 53)))
    v = (v & ~INT64_C(0xfff)) | (v & 0xfff ? 0x800 : 0); /* sticky bit: exact as a double */
  return big ? (double)(uint64_t)v : (double)v;
}

void cpu_row_convert(struct cpu_row *row, int n, enum gie_dtype to)
{
  enum gie_dtype from = row->dtype;
  row->dtype = to;
  if (cpu_is_float(from) && cpu_is_float(to))
    return;
  for (int k = 0; k < n; k++) {
    if (cpu_is_float(from))
      row->i[k] = cpu_saturate(row->f[k], to);
    else if (cpu_is_float(to))
      row->f[k] = int_to_double(row->i[k], from, to);
    else
      row->i[k] = cpu_wrap(row->i[k], to);
  }
}

/* ---- Rows */

/* Loops over the elements with their stride; a stride of 1 gets a loop of its own, which the
 * compiler can vectorize. */
#define ROW_LOOP(n, stride, body)                             \
  if ((stride) == 1) {                                        \
    for (int64_t k = 0, at = 0; k < (n); k++, at++)           \
      body;                                                   \
  } else {                                                    \
    for (int64_t k = 0, at = 0; k < (n); k++, at += (stride)) \
      body;                                                   \
  }

#define LOAD(name, type, wide, expr)         \
  case GIE_##name: {                         \
    const type *x = (const type *)src;       \
    wide *y = dst;                           \
    ROW_LOOP(n, stride, y[k] = (wide)(expr)) \
    break;                                   \
  }

static void load(enum gie_dtype t, const void *src, int64_t stride, int64_t n, void *dst)
{
  switch (t) {
    LOAD(F32, float, double, x[at])
    LOAD(F64, double, double, x[at])
    LOAD(F16, uint16_t, double, f16_to_double(x[at]))
    LOAD(BF16, uint16_t, double, bf16_to_double(x[at]))
    LOAD(I8, int8_t, int64_t, x[at])
    LOAD(I16, int16_t, int64_t, x[at])
    LOAD(I32, int32_t, int64_t, x[at])
    LOAD(I64, int64_t, int64_t, x[at])
    LOAD(U8, uint8_t, int64_t, x[at])
    LOAD(U16, uint16_t, int64_t, x[at])
    LOAD(U32, uint32_t, int64_t, x[at])
    LOAD(U64, uint64_t, int64_t, x[at])
    LOAD(BOOL, uint8_t, int64_t, x[at] != 0)
  default:
    break;
  }
}

#define STORE(name, type, expr)               \
  case GIE_##name: {                          \
    type *y = (type *)dst;                    \
    ROW_LOOP(n, stride, y[at] = (type)(expr)) \
    break;                                    \
  }

static void store(enum gie_dtype t, const struct cpu_row *row, int first, int64_t stride, int64_t n,
                  void *dst)
{
  const double *f = row->f + first;
  const int64_t *i = row->i + first;
  switch (t) {
    STORE(F32, float, f[k])
    STORE(F64, double, f[k])
    STORE(F16, uint16_t, double_to_16(f[k], 10, -14))
    STORE(BF16, uint16_t, double_to_16(f[k], 7, -126))
    STORE(I8, int8_t, i[k])
    STORE(I16, int16_t, i[k])
    STORE(I32, int32_t, i[k])
    STORE(I64, int64_t, i[k])
    STORE(U8, uint8_t, i[k])
    STORE(U16, uint16_t, i[k])
    STORE(U32, uint32_t, i[k])
    STORE(U64, uint64_t, i[k])
    STORE(BOOL, uint8_t, i[k] != 0)
  default:
    break;
  }
}

void cpu_read(const struct cpu_tensor *t, const int64_t *idx, int axis, int64_t step, int64_t n, void *dst)
{
  size_t size = gie_dtype_size(t->dtype);
  if (n <= 0)
    return;
  if (axis < 0 || axis != t->block_axis) {
    load(t->dtype, t->data + cpu_offset(t, idx) * (int64_t)size, axis < 0 ? 0 : step * t->stride[axis], n,
         dst);
    return;
  }
  int64_t at[GIE_MAX_RANK];
  memcpy(at, idx, sizeof *at * (size_t)t->rank);
  for (int64_t k = 0; k < n; k++, at[axis] += step)
    load(t->dtype, t->data + cpu_offset(t, at) * (int64_t)size, 1, 1, (char *)dst + 8 * k);
}

void cpu_read_double(const struct cpu_tensor *t, const int64_t *idx, int axis, int64_t step, int64_t n,
                     double *dst)
{
  if (cpu_is_float(t->dtype)) {
    cpu_read(t, idx, axis, step, n, dst);
    return;
  }
  int64_t at[GIE_MAX_RANK] = {0}, v;
  memcpy(at, idx, sizeof *at * (size_t)t->rank);
  for (int64_t k = 0; k < n; k++) {
    cpu_read(t, at, axis, 1, 1, &v);
    dst[k] = int_to_double(v, t->dtype, GIE_F64);
    if (axis >= 0)
      at[axis] += step;
  }
}

void cpu_read_row(const struct cpu_tensor *t, const int64_t *idx, int axis, int n, struct cpu_row *row)
{
  row->dtype = t->dtype;
  cpu_read(t, idx, axis, 1, n, row->f);
}

void cpu_read_flat(const struct cpu_tensor *t, const int64_t *idx, int from, void *dst)
{
  int64_t at[GIE_MAX_RANK] = {0}, rows = 1;
  int last = t->rank - 1;
  memcpy(at, idx, sizeof *at * (size_t)from);
  for (int i = from; i < t->rank; i++)
    rows *= t->dim[i];
  if (rows == 0)
    return;
  if (from > last || cpu_is_dense(t, from)) { /* one long row; a stride of 1 stands for all */
    load(t->dtype, t->data + cpu_offset(t, at) * (int64_t)gie_dtype_size(t->dtype), 1, rows, dst);
    return;
  }
  rows /= t->dim[last];
  for (int64_t r = 0; r < rows; r++) {
    cpu_read(t, at, last, 1, t->dim[last], (char *)dst + 8 * r * t->dim[last]);
    for (int i = last - 1; i >= from && ++at[i] == t->dim[i]; i--)
      at[i] = 0;
  }
}

void cpu_write_row(const struct cpu_tensor *t, const int64_t *idx, int axis, int n, struct cpu_row *row)
{
  size_t size = gie_dtype_size(t->dtype);
  if (n <= 0)
    return;
  if (row->dtype != t->dtype)
    cpu_row_convert(row, n, t->dtype);
  if (axis < 0 || axis != t->block_axis) {
    store(t->dtype, row, 0, axis < 0 ? 0 : t->stride[axis], n, t->data + cpu_offset(t, idx) * (int64_t)size);
    return;
  }
  int64_t at[GIE_MAX_RANK];
  memcpy(at, idx, sizeof *at * (size_t)t->rank);
  for (int k = 0; k < n; k++, at[axis]++)
    store(t->dtype, row, k, 1, 1, t->data + cpu_offset(t, at) * (int64_t)size);
}

int cpu_read_ints(const struct cpu_tensor *t, int64_t *out, int max)
{
  int64_t zero[GIE_MAX_RANK] = {0}, n = cpu_count(t);
  if (t->rank > 1 || n > max)
    return -1;
  cpu_read(t, zero, t->rank - 1, 1, n, out);
  return (int)n;
}
