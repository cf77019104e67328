/* SPDX-License-Identifier: Apache-2.0 */
/* See op_problem.h. */
#include "tests/op_problem.h"

#include <stdio.h>

gie_status op_problem_make(const struct op_device *d, const struct gie_graph *g, const char *device_kind,
                           struct op_problem *q)
{
  static const struct gie_layout plain;
  struct gie_context *ctx = gie_graph_context(g);
  *q = (struct op_problem){.n = op_case_node(g)};
  if (q->n->n_in + q->n->n_out > OP_MAX_IO)
    return gie_fail(ctx, GIE_E_UNSUPPORTED, "more than %d operands and results", OP_MAX_IO);
  for (uint32_t i = 0; i < q->n->n_in + q->n->n_out; i++) {
    gie_id id = i < q->n->n_in ? q->n->in[i] : q->n->out[i - q->n->n_in];
    if (id == GIE_NONE)
      continue;
    q->data[i] = gie_value_bytes(g, id, NULL);
    GIE_TRY(gie_desc_make(ctx, &gie_value_get(g, id)->type, &plain, &q->desc[i], NULL));
  }
  q->p = (struct gie_problem){.struct_size = sizeof q->p,
                              .ctx = ctx,
                              .graph = g,
                              .node = q->n,
                              .n_in = q->n->n_in,
                              .n_out = q->n->n_out,
                              .in = q->desc,
                              .out = q->desc + q->n->n_in,
                              .in_data = q->data,
                              .device_kind = device_kind,
                              .device = &d->info,
                              .threads = d->threads};
  return GIE_OK;
}

/* v as a constant of f32 elements. */
static gie_status add_constant(struct gie_graph *g, const struct op_result *v, gie_id *id)
{
  struct gie_blob *blob;
  size_t bytes = (size_t)v->count * sizeof(float);
  GIE_TRY(gie_blob_new(gie_graph_context(g), bytes, &blob));
  for (int64_t e = 0; e < v->count; e++)
    ((float *)gie_blob_data(blob))[e] = (float)v->v[e];
  const struct gie_const data = {blob, 0, bytes};
  gie_status st = gie_graph_add_const(g, NULL, &v->type, &data, id);
  gie_blob_unref(blob);
  return st;
}

gie_status op_make_constant(struct gie_graph *g)
{
  const struct gie_node *n = op_case_node(g);
  for (uint32_t i = 1; i < n->n_operands; i++) {
    struct op_result v;
    gie_status st = GIE_OK;
    gie_id id = GIE_NONE;
    if (n->in[i] == GIE_NONE || gie_value_bytes(g, n->in[i], NULL))
      continue;
    GIE_TRY(op_operand(g, n, i, &v));
    if (v.type.dtype == GIE_F32)
      st = add_constant(g, &v, &id);
    op_results_free(gie_graph_context(g), &v, 1);
    if (st == GIE_OK && id != GIE_NONE)
      st = gie_node_set_input(g, n->id, i, id);
    GIE_TRY(st);
  }
  return GIE_OK;
}

static int below(uint32_t *state, int n)
{
  *state = *state * 1664525u + 1013904223u;
  return (int)((*state >> 8) % (uint32_t)n);
}

void op_random_window(int kind, uint32_t i, char *text, size_t size)
{
  static const int channels[] = {1, 3, 8, 16, 20};
  uint32_t s = 17u + i;
  bool conv = kind < 2 || kind == 4;
  int group = kind < 2 ? 1 + below(&s, 2) * (1 + below(&s, 3)) : 1, c = group * channels[below(&s, 5)],
      k = below(&s, 3) ? group * channels[below(&s, 5)] : c, kh = 1 + below(&s, 4), kw = 1 + below(&s, 5);
  char attrs[256], x[64];
  if (kind == 4) {
    group = k = c;
    kw = kh = 1 + 2 * below(&s, 4);
  }
  snprintf(x, sizeof x, "input %%x : T[%d,%d,%d,%d]", 1 + below(&s, 2), c, 1 + below(&s, 12),
           1 + below(&s, 20));
  snprintf(attrs, sizeof attrs, "stride=[%d,%d], dilation=[%d,%d], pad=[%d,%d,%d,%d]", 1 + below(&s, 3),
           1 + below(&s, 4), 1 + below(&s, 3), 1 + below(&s, 2), below(&s, 3), below(&s, 4), below(&s, 3),
           below(&s, 4));
  if (below(&s, 4) == 0)
    snprintf(attrs, sizeof attrs, "stride=[%d,%d], auto_pad=\"same_%s\"", 1 + below(&s, 3), 1 + below(&s, 3),
             below(&s, 2) ? "upper" : "lower");
  if (conv && kind != 1)
    snprintf(text, size, "%s input %%w : T[%d,%d,%d,%d] %%y = conv(%%x, %%w) {group=%d, %s} output %%y", x, k,
             c / group, kh, kw, group, attrs);
  else if (conv)
    snprintf(text, size,
             "%s input %%w : T[%d,%d,%d,%d] %%y = conv_transpose(%%x, %%w) {group=%d, %s} output %%y", x, c,
             k / group, kh, kw, group, attrs);
  else
    snprintf(text, size, "%s %%y = %s(%%x) {kernel=[%d,%d], ceil_mode=%d, %s%s} output %%y", x,
             kind == 2 ? "max_pool" : "average_pool", kh, kw, below(&s, 2), attrs,
             kind == 3 && below(&s, 2) ? ", count_include_pad=1" : "");
}
