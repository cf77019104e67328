/* SPDX-License-Identifier: Apache-2.0 */
/* Layouts and weights that a product is offered with; packing. */
#include "backends/cublas/cublas.h"

#include <stdio.h>

/* ---- Numbers ------------------------------------------------------------------------------------------ */

enum gie_dtype cb_dtype(enum cb_math m) { return m == CB_F16 ? GIE_F16 : GIE_F32; }

bool cb_math_allowed(const struct gie_problem *p, enum cb_math m, char *why, size_t size)
{
  if (p->in[0].dtype == GIE_F16 && m != CB_F16)
    return cb_refuse(why, size, "f16; it computes f32");
  if (m == CB_TF32 && p->math < GIE_MATH_TF32)
    return cb_refuse(why, size, "TF32 was not asked for");
  return true;
}

/* ---- Forms ---------------------------------------------------------------------------------------------- */

static struct gie_layout last_layout(int rank)
{
  struct gie_layout l = {.rank = (uint8_t)rank};
  for (int i = 1; i < rank; i++)
    l.perm[i] = (uint8_t)(i == rank - 1 ? 1 : i + 1);
  return l;
}

uint32_t cb_forms(const struct gie_problem *p, enum cb_math m, struct cb_form out[CB_MAX_FORMS])
{
  static const bool LAYOUTS[][2] = {{true, true}, {false, false}, {false, true}, {true, false}};
  uint32_t n = 0;
  bool constant = cb_weights_are_constant(p) && p->in[1].rank == (cb_is_conv(p) ? p->in[0].rank : 2);
  if (!cb_is_conv(p)) {
    out[n++] = (struct cb_form){.math = m};
    if (constant)
      out[n++] = (struct cb_form){.math = m, .packed = true};
    return n;
  }
  for (int i = 0; i < 4; i++) {
    out[n++] = (struct cb_form){.x_last = LAYOUTS[i][0], .y_last = LAYOUTS[i][1], .math = m};
    if (constant) {
      out[n] = out[n - 1];
      out[n++].packed = true;
    }
  }
  return n;
}

uint64_t cb_form_code(const struct cb_form *f)
{
  return (uint64_t)f->x_last | (uint64_t)f->y_last << 1 | (uint64_t)f->packed << 2 | (uint64_t)f->math << 4;
}

struct cb_form cb_form_of(uint64_t config)
{
  return (struct cb_form){.x_last = config & 1,
                          .y_last = config >> 1 & 1,
                          .packed = config >> 2 & 1,
                          .math = (enum cb_math)(config >> 4 & 7)};
}

static bool is_like(const struct gie_desc *d, const struct gie_desc *y)
{
  return d->rank == y->rank && memcmp(d->dim, y->dim, (size_t)d->rank * sizeof d->dim[0]) == 0;
}

/* Layout of operand i (-1: the result) of a convolution; all else is plain. */
static struct gie_layout layout_for(const struct gie_problem *p, const struct cb_form *f, int i)
{
  const struct gie_desc *d = i < 0 ? &p->out[0] : &p->in[i];
  bool result = i < 0 || ((uint32_t)i >= p->node->n_operands && is_like(d, &p->out[0]));
  bool last = cb_is_conv(p) && (i == 0 ? f->x_last : result && f->y_last);
  return last ? last_layout(d->rank) : (struct gie_layout){0};
}

static bool make_desc(const struct gie_problem *p, const struct cb_form *f, int i, struct gie_desc *out)
{
  const struct gie_desc *d = i < 0 ? &p->out[0] : &p->in[i];
  struct gie_type t = {.dtype = cb_dtype(f->math), .shape.rank = d->rank};
  const struct gie_layout l = layout_for(p, f, i);
  if (d->dtype == GIE_DTYPE_NONE) {
    *out = *d;
    return true;
  }
  for (int k = 0; k < d->rank; k++)
    t.shape.dim[k] = gie_dim_num(d->dim[k]);
  return gie_desc_make(p->ctx, &t, &l, out, NULL) == GIE_OK;
}

bool cb_form_descs(const struct gie_problem *p, const struct cb_form *f, struct gie_desc *in,
                   struct gie_desc *out)
{
  for (uint32_t i = 0; i < p->n_in; i++)
    if (!make_desc(p, f, (int)i, &in[i]))
      return false;
  return make_desc(p, f, -1, out);
}

/* ---- Ports ------------------------------------------------------------------------------------------------ */

#define ALIGN 16 /* bytes: what the widest loads want, of address and pitch */

/* A range of the channels of a larger tensor, or of the columns of a matrix, is a matrix with a larger pitch. */
static struct gie_port port_for(const struct gie_problem *p, const struct cb_form *f, int i)
{
  const struct gie_desc *d = i < 0 ? &p->out[0] : &p->in[i];
  enum gie_dtype t = cb_dtype(f->math);
  bool weights = i == 1 && cb_is_conv(p), one = d->rank < 2 || (i > 1 && (uint32_t)i < p->node->n_operands);
  struct gie_port port = {.dtype = t == d->dtype ? GIE_DTYPE_NONE : t,
                          .layout = layout_for(p, f, i),
                          .pitch = !weights && !one,
                          .align = ALIGN};
  if (port.pitch)
    port.pitch_axes = (uint8_t)(1u << (cb_is_conv(p) ? 1 : d->rank - 1));
  return port;
}

void cb_form_ports(const struct gie_problem *p, const struct cb_form *f, struct gie_variant *v)
{
  v->n_in = p->n_in;
  v->n_out = 1;
  for (uint32_t i = 0; i < p->n_in; i++)
    v->in[i] = port_for(p, f, (int)i);
  v->out[0] = port_for(p, f, -1);
}

/* ---- Packing ------------------------------------------------------------------------------------------------ */

/* Operand 1 as a matrix of a rows of b elements; the other axes are 1. */
static void weights_dims(const struct gie_problem *p, int64_t *a, int64_t *b)
{
  *a = p->in[1].dim[0];
  *b = p->in[1].dim[1];
}

uint32_t cb_pack_desc(const struct gie_problem *p, int64_t stride, struct gie_pack *out)
{
  int64_t a, b;
  weights_dims(p, &a, &b);
  int64_t row = stride ? stride : a, count;
  if (__builtin_mul_overflow(b, row, &count))
    return 0;
  out->operand = 1;
  out->bytes = (size_t)count * gie_dtype_size(p->in[1].dtype);
  snprintf(out->key, sizeof out->key, "cublas.transposed %lldx%lld pitch %lld", (long long)a, (long long)b,
           (long long)row);
  return 1;
}

#define BLOCK 32 /* elements on a side of what is transposed at once: fits the smallest cache */

static void transpose(const char *from, int64_t a, int64_t b, char *to, int64_t row, size_t size)
{
  for (int64_t i0 = 0; i0 < a; i0 += BLOCK)
    for (int64_t j0 = 0; j0 < b; j0 += BLOCK)
      for (int64_t j = j0; j < b && j < j0 + BLOCK; j++)
        for (int64_t i = i0; i < a && i < i0 + BLOCK; i++)
          memcpy(to + (size_t)(j * row + i) * size, from + (size_t)(i * b + j) * size, size);
}

gie_status cb_pack(const struct gie_problem *p, int64_t stride, const struct gie_pack *d, const void *plain,
                   void *packed)
{
  int64_t a, b;
  weights_dims(p, &a, &b);
  size_t size = gie_dtype_size(p->in[1].dtype);
  memset(packed, 0, d->bytes);
  if (size == 4)
    transpose(plain, a, b, packed, stride ? stride : a, 4);
  else
    transpose(plain, a, b, packed, stride ? stride : a, 2);
  return GIE_OK;
}
