/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors of the probe: random contents, conversion between dtypes and layouts, comparison. Plain
 * loops over logical indices; operands of a probe are small. */
#include "core/module/probe.h"
#include <math.h>

/* ---- One element */

static double get_float(const void *data, enum gie_dtype t, int64_t i)
{
  switch (t) {
  case GIE_F32:
    return ((const float *)data)[i];
  case GIE_F64:
    return ((const double *)data)[i];
  case GIE_F16:
    return gie_f16_to_f32(((const uint16_t *)data)[i]);
  case GIE_BF16:
    return gie_bf16_to_f32(((const uint16_t *)data)[i]);
  default:
    return 0;
  }
}

static void set_float(void *data, enum gie_dtype t, int64_t i, double v)
{
  switch (t) {
  case GIE_F32:
    ((float *)data)[i] = (float)v;
    break;
  case GIE_F64:
    ((double *)data)[i] = v;
    break;
  case GIE_F16:
    ((uint16_t *)data)[i] = gie_f32_to_f16((float)v);
    break;
  case GIE_BF16:
    ((uint16_t *)data)[i] = gie_f32_to_bf16((float)v);
    break;
  default:
    break;
  }
}

/* u64 goes through int64 bit for bit: only equality and conversion back matter here. */
static int64_t get_int(const void *data, enum gie_dtype t, int64_t i)
{
  const char *p = (const char *)data + i * (int64_t)gie_dtype_size(t);
  int64_t v = 0;
  memcpy(&v, p, gie_dtype_size(t)); /* little-endian hosts, as the text form's blobs */
  unsigned unused = 64 - 8 * (unsigned)gie_dtype_size(t);
  return gie_dtype_class(t) == 'i' ? (int64_t)((uint64_t)v << unused) >> unused : v;
}

static void set_int(void *data, enum gie_dtype t, int64_t i, int64_t v)
{
  memcpy((char *)data + i * (int64_t)gie_dtype_size(t), &v, gie_dtype_size(t));
}

static bool is_float(enum gie_dtype t) { return gie_dtype_class(t) == 'f'; }

double probe_element(enum gie_dtype t, const void *data, int64_t i)
{
  return is_float(t) ? get_float(data, t, i) : (double)get_int(data, t, i);
}

double probe_round(enum gie_dtype t, double v)
{
  switch (t) {
  case GIE_F32:
    return (float)v;
  case GIE_F16:
    return gie_f16_to_f32(gie_f32_to_f16((float)v));
  case GIE_BF16:
    return gie_bf16_to_f32(gie_f32_to_bf16((float)v));
  default:
    return v;
  }
}

/* ---- All logical indices of a descriptor, row-major */

static bool next_index(const struct gie_desc *d, int64_t *idx)
{
  for (int i = d->rank - 1; i >= 0; i--) {
    if (++idx[i] < d->dim[i])
      return true;
    idx[i] = 0;
  }
  return false;
}

static void convert_element(enum gie_dtype from, const void *src, int64_t a, enum gie_dtype to, void *dst,
                            int64_t b)
{
  if (is_float(to)) {
    set_float(dst, to, b, is_float(from) ? get_float(src, from, a) : (double)get_int(src, from, a));
    return;
  }
  double f = is_float(from) ? get_float(src, from, a) : 0;
  set_int(dst, to, b, !is_float(from) ? get_int(src, from, a) : fabs(f) < 9e18 ? (int64_t)f : 0);
}

/* Elements with a constant stride on both sides. */
static void convert_row(enum gie_dtype from, const void *src, int64_t a, int64_t a_step, enum gie_dtype to,
                        void *dst, int64_t b, int64_t b_step, int64_t n)
{
  size_t size = gie_dtype_size(from);
  if (from != to)
    for (int64_t i = 0; i < n; i++)
      convert_element(from, src, a + i * a_step, to, dst, b + i * b_step);
  else if (a_step == 1 && b_step == 1)
    memcpy((char *)dst + b * (int64_t)size, (const char *)src + a * (int64_t)size, (size_t)n * size);
  else if (size == 4)
    for (int64_t i = 0; i < n; i++)
      memcpy((char *)dst + (b + i * b_step) * 4, (const char *)src + (a + i * a_step) * 4, 4);
  else
    for (int64_t i = 0; i < n; i++)
      memcpy((char *)dst + (b + i * b_step) * (int64_t)size,
             (const char *)src + (a + i * a_step) * (int64_t)size, size);
}

static bool blocked_at(const struct gie_desc *d, int axis)
{
  return d->layout.block > 1 && d->layout.block_axis == axis;
}

/* Row by row along the last axis, where its elements have a stride. */
/* One block of bytes on both sides, in the same order. */
static bool is_same_block(const struct gie_desc *a, const struct gie_desc *b)
{
  int64_t step = 1;
  if (a->dtype != b->dtype || a->layout.block > 1 || b->layout.block > 1)
    return false;
  for (int i = a->rank - 1; i >= 0; i--) {
    if (a->dim[i] > 1 && (a->stride[i] != step || b->stride[i] != step))
      return false;
    step *= a->dim[i];
  }
  return true;
}

void probe_convert(const struct gie_desc *from, const void *src, const struct gie_desc *to, void *dst)
{
  int64_t idx[GIE_MAX_RANK] = {0};
  int last = from->rank - 1;
  struct gie_desc rows = *from;
  if (gie_desc_count(from) == 0)
    return;
  if (is_same_block(from, to)) {
    memcpy(dst, src, (size_t)gie_desc_count(from) * gie_dtype_size(from->dtype));
    return;
  }
  bool by_row = last >= 0 && !blocked_at(from, last) && !blocked_at(to, last);
  if (by_row)
    rows.dim[last] = 1;
  do {
    int64_t a = gie_desc_offset(from, idx), b = gie_desc_offset(to, idx);
    if (by_row)
      convert_row(from->dtype, src, a, from->stride[last], to->dtype, dst, b, to->stride[last],
                  from->dim[last]);
    else
      convert_row(from->dtype, src, a, 1, to->dtype, dst, b, 1, 1);
  } while (next_index(&rows, idx));
}

/* The same with the blocked axis rounded up. */
static struct gie_desc with_pads(const struct gie_desc *d)
{
  struct gie_desc padded = *d;
  int axis = d->layout.block_axis;
  if (d->layout.block > 1)
    padded.dim[axis] = (d->dim[axis] + d->layout.block - 1) / d->layout.block * d->layout.block;
  return padded;
}

static void set_elements(const struct gie_desc *d, void *data, int byte)
{
  struct gie_desc padded = with_pads(d);
  int64_t idx[GIE_MAX_RANK] = {0}, size = (int64_t)gie_dtype_size(d->dtype);
  if (gie_desc_count(d) == 0)
    return;
  do
    memset((char *)data + gie_desc_offset(d, idx) * size, byte, (size_t)size);
  while (next_index(&padded, idx));
}

void probe_clear(const struct gie_desc *d, void *data) { set_elements(d, data, 0); }

bool probe_gaps_unset(const struct gie_desc *d, void *data, size_t bytes, size_t offset)
{
  const unsigned char *p = data;
  set_elements(d, (char *)data + offset, 0xff);
  for (size_t i = 0; i < bytes; i++)
    if (p[i] != 0xff)
      return false;
  return true;
}

bool probe_pads_zero(const struct gie_desc *d, const void *data)
{
  struct gie_desc padded = with_pads(d);
  int64_t idx[GIE_MAX_RANK] = {0};
  int axis = d->layout.block_axis;
  if (d->layout.block <= 1 || gie_desc_count(d) == 0 || padded.dim[axis] == d->dim[axis])
    return true;
  do {
    if (idx[axis] < d->dim[axis])
      continue;
    int64_t at = gie_desc_offset(d, idx);
    if (is_float(d->dtype) ? get_float(data, d->dtype, at) != 0 : get_int(data, d->dtype, at) != 0)
      return false;
  } while (next_index(&padded, idx));
  return true;
}

/* ---- Random contents: splitmix64 (Steele, Lea, Flood 2014), the same on every machine */

uint64_t probe_random(uint64_t *state)
{
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static void fill(const struct gie_desc *d, void *data, uint64_t seed, enum gie_dtype first)
{
  int64_t n = gie_desc_count(d);
  char cls = gie_dtype_class(d->dtype);
  for (int64_t i = 0; i < n; i++) {
    uint64_t r = probe_random(&seed);
    if (cls == 'f')
      set_float(data, d->dtype, i, (double)(r >> 11) / 4503599627370496.0 - 1);
    else if (cls == 'b' || d->dtype != first)
      set_int(data, d->dtype, i, (int64_t)(r & 1));
    else
      set_int(data, d->dtype, i, cls == 'u' ? (int64_t)(r % 9) : (int64_t)(r % 17) - 8);
  }
}

/* Operands whose roots, logarithms or quotients are taken. */
static const struct {
  const char *op;
  uint32_t operand;
} POSITIVE[] = {{"batch_norm", 4}, {"sqrt", 0}, {"log", 0}, {"pow", 0}, {"div", 1}};

static void make_positive(const struct gie_desc *d, void *data)
{
  int64_t n = gie_desc_count(d);
  for (int64_t i = 0; i < n; i++) {
    if (is_float(d->dtype))
      set_float(data, d->dtype, i, fabs(get_float(data, d->dtype, i)) + 0.125);
    else
      set_int(data, d->dtype, i, llabs(get_int(data, d->dtype, i)) + 1);
  }
}

static void fill_indices(const struct gie_desc *d, void *data, uint64_t seed, int64_t extent)
{
  int64_t n = gie_desc_count(d);
  for (int64_t i = 0; i < n; i++)
    set_int(data, d->dtype, i, extent > 0 ? (int64_t)(probe_random(&seed) % (uint64_t)extent) : 0);
}

void probe_fill_operand(const struct gie_node *n, uint32_t i, const struct gie_desc *in, void *data,
                        uint64_t seed)
{
  if (i == 1 && strcmp(n->op->name, "gather") == 0) {
    int64_t axis = gie_node_int(n, "axis");
    axis += axis < 0 ? in[0].rank : 0;
    fill_indices(&in[1], data, seed, axis >= 0 && axis < in[0].rank ? in[0].dim[axis] : 0);
    return;
  }
  fill(&in[i], data, seed, in[0].dtype);
  for (size_t j = 0; j < sizeof POSITIVE / sizeof *POSITIVE; j++)
    if (POSITIVE[j].operand == i && strcmp(POSITIVE[j].op, n->op->name) == 0)
      make_positive(&in[i], data);
}

/* ---- Comparison */

static void compare_ints(enum gie_dtype t, const void *a, const void *b, int64_t n, struct probe_diff *out)
{
  double scale = 1;
  for (int64_t i = 0; i < n; i++)
    scale = fmax(scale, fabs((double)get_int(b, t, i)));
  for (int64_t i = 0; i < n; i++) {
    int64_t x = get_int(a, t, i), y = get_int(b, t, i);
    double e = x == y ? 0 : fmax(fabs((double)x - (double)y), 1) / scale;
    if (e > out->error)
      *out = (struct probe_diff){e, i, (double)x, (double)y};
  }
}

/* Error of a in units of `scale`; special values must be the same. */
static double float_error(double a, double b, double scale)
{
  if (a == b || (isnan(a) && isnan(b)))
    return 0;
  if (!isfinite(a) || !isfinite(b))
    return INFINITY;
  return scale > 0 ? fabs(a - b) / scale : INFINITY;
}

void probe_compare(enum gie_dtype t, const void *a, const void *b, int64_t n, struct probe_diff *out)
{
  double scale = 0;
  *out = (struct probe_diff){0};
  if (!is_float(t)) {
    compare_ints(t, a, b, n, out);
    return;
  }
  for (int64_t i = 0; i < n; i++) {
    double y = fabs(get_float(b, t, i));
    if (isfinite(y) && y > scale)
      scale = y;
  }
  for (int64_t i = 0; i < n; i++) {
    double x = get_float(a, t, i), y = get_float(b, t, i), e = float_error(x, y, scale);
    if (e > out->error)
      *out = (struct probe_diff){e, i, x, y};
  }
}

double probe_tolerance(enum gie_dtype t)
{
  switch (t) {
  case GIE_F64:
    return 1e-9;
  case GIE_F32:
    return 1e-4;
  case GIE_F16:
    return 4e-3;
  case GIE_BF16:
    return 3e-2;
  default:
    return 0;
  }
}
