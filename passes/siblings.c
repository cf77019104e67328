/* SPDX-License-Identifier: Apache-2.0 */
/* Weights and cost of siblings; see siblings.h. */
#include "passes/siblings.h"
#include "core/tune/tune.h"
#include <math.h>

/* ---- Weights and bias ---------------------------------------------------------------------------- */

gie_status siblings_weights(const struct siblings *w, gie_id *out)
{
  struct gie_graph *g = w->g;
  struct gie_type type = gie_value_get(g, w->first->in[1])->type;
  struct gie_blob *blob;
  size_t outer = 1, inner = gie_dtype_size(type.dtype), bytes, row; /* inner: bytes of one channel in a row */
  for (int i = 0; i < type.shape.rank; i++)
    if (i != w->axis)
      *(i < w->axis ? &outer : &inner) *= (size_t)type.shape.dim[i].b;
  type.shape.dim[w->axis] = gie_dim_num(w->total);
  if (!gie_mul((size_t)w->total, inner, &row) || !gie_mul(row, outer, &bytes))
    return gie_fail(w->ctx, GIE_E_LIMIT, "the size of the wide weights overflows");
  GIE_TRY(gie_blob_new(w->ctx, bytes, &blob));
  char *to = gie_blob_data(blob);
  for (uint32_t i = 0; i < w->n; i++) {
    size_t part = (size_t)w->channels[i] * inner;
    const char *from = gie_value_bytes(g, gie_node_get(g, w->nodes[i])->in[1], NULL);
    for (size_t k = 0; k < outer && part > 0; k++)
      memcpy(to + k * row, from + k * part, part);
    to += part;
  }
  return pass_const(g, &type, blob, out);
}

gie_status siblings_bias(const struct siblings *w, gie_id *out)
{
  struct gie_graph *g = w->g;
  struct gie_type type = {gie_value_get(g, w->first->in[1])->type.dtype, {1, {gie_dim_num(w->total)}}};
  size_t size = gie_dtype_size(type.dtype), at = 0;
  struct gie_blob *blob;
  bool any = false;
  for (uint32_t i = 0; i < w->n; i++)
    any = any || pass_has_operand(gie_node_get(g, w->nodes[i]), 2);
  if (!any)
    return GIE_OK;
  GIE_TRY(gie_blob_new(w->ctx, (size_t)w->total * size, &blob));
  for (uint32_t i = 0; i < w->n; at += (size_t)w->channels[i++] * size) {
    const struct gie_node *n = gie_node_get(g, w->nodes[i]);
    if (pass_has_operand(n, 2) && w->channels[i])
      memcpy((char *)gie_blob_data(blob) + at, gie_value_bytes(g, n->in[2], NULL),
             (size_t)w->channels[i] * size);
  }
  return pass_const(g, &type, blob, out);
}

gie_status siblings_release(const struct siblings *w, uint32_t i, gie_id part, gie_id whole)
{
  const struct gie_value *p = gie_value_get(w->g, part), *all = gie_value_get(w->g, whole);
  if (!p || p->kind != GIE_VALUE_CONST || p->n_outputs)
    return GIE_OK;
  int axis = p->type.shape.rank == 1 ? 0 : w->axis;
  if (p->n_uses && axis == 0 && all && w->total > 0 && p->type.shape.rank == all->type.shape.rank) {
    struct gie_const data = all->data;
    char name[GIE_MAX_NAME + 1];
    gie_id slice;
    snprintf(name, sizeof name, "%s", p->name);
    for (uint32_t k = 0; k < i; k++)
      data.offset += all->data.size / (size_t)w->total * (size_t)w->channels[k];
    data.size = p->data.size;
    GIE_TRY(gie_graph_add_const(w->g, NULL, &p->type, &data, &slice));
    GIE_TRY(pass_redirect(w->g, part, slice));
    GIE_TRY(gie_value_remove(w->g, part));
    return gie_value_rename(w->g, slice, name);
  }
  return p->n_uses ? GIE_OK : gie_value_remove(w->g, part);
}

/* ---- Whether it pays ------------------------------------------------------------------------------- */

static double elements(const struct gie_value *v)
{
  double n = 1;
  for (int i = 0; i < v->type.shape.rank; i++)
    n *= gie_dim_is_num(v->type.shape.dim[i]) ? (double)v->type.shape.dim[i].b : 1;
  return n;
}

bool siblings_pay(const struct siblings *w, const struct gie_peaks *peaks)
{
  const struct gie_graph *g = w->g;
  const struct gie_value *x = gie_value_get(g, w->first->in[0]);
  double size = (double)gie_dtype_size(x->type.dtype), shared = size * elements(x), apart = 0, flops = 0,
         bytes = 0;
  double rate = size == 2 && peaks->f16_flop_per_s > 0 ? peaks->f16_flop_per_s : peaks->f32_flop_per_s;
  for (uint32_t i = 0; i < w->n; i++) {
    const struct gie_node *n = gie_node_get(g, w->nodes[i]);
    double weight = elements(gie_value_get(g, n->in[1])), result = elements(gie_value_get(g, n->out[0]));
    double work = 2 * result * weight / fmax((double)w->channels[i], 1), moved = size * (weight + result);
    apart += tune_roofline(peaks, work, rate, shared + moved, 0);
    flops += work;
    bytes += moved;
  }
  return tune_roofline(peaks, flops, rate, shared + bytes, 0) <= apart;
}
