/* SPDX-License-Identifier: Apache-2.0 */
/* See op_problem.h. */
#include "tests/op_problem.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Devices and kernels */

static void no_log(void *user, enum gie_log_level level, const char *module, const char *text)
{
  (void)user, (void)level, (void)module, (void)text;
}

struct gie_context *op_context(void)
{
  struct gie_context_options options = {.struct_size = sizeof options, .log = no_log};
  struct gie_context *ctx = NULL;
  if (gie_context_new(&options, &ctx) == GIE_OK)
    return ctx;
  printf("no context: %s\n", gie_error_text(ctx));
  exit(1);
}

const struct gie_kernel *op_kernel(struct gie_context *ctx, const char *name)
{
  const struct gie_kernel *k;
  for (uint32_t i = 0; (k = gie_kernel_at(ctx, i)) != NULL; i++)
    if (strcmp(k->name, name) == 0)
      return k;
  return NULL;
}

const struct gie_kernel *op_kernel_of(struct gie_context *ctx, const char *backend, const char *op)
{
  char name[128];
  snprintf(name, sizeof name, "%s.%s", backend, op);
  return op_kernel(ctx, name);
}

static const struct gie_device *device_of(struct gie_context *ctx, const char *kind)
{
  const struct gie_device *d;
  for (uint32_t i = 0; (d = gie_device_at(ctx, i)) != NULL; i++)
    if (strcmp(d->kind, kind) == 0)
      return d;
  return NULL;
}

bool op_has_device(const char *kind)
{
  struct gie_context *ctx = op_context();
  const struct gie_device *d = device_of(ctx, kind);
  bool found = d && d->count(ctx) > 0;
  gie_context_free(ctx);
  return found;
}

void op_device_open(struct gie_context *ctx, const char *kind, struct op_device *out)
{
  *out = (struct op_device){.ops = device_of(ctx, kind), .threads = 1};
  out->info.struct_size = sizeof out->info;
  if (!out->ops) {
    printf("no device of kind %s; is GIE_MODULE_PATH set?\n", kind);
    exit(1);
  }
  gie_status st = out->ops->open(ctx, 0, &out->dev);
  if (st == GIE_OK && out->ops->activate)
    st = out->ops->activate(out->dev);
  if (st == GIE_OK)
    st = out->ops->info(out->dev, &out->info);
  if (st == GIE_OK)
    return;
  printf("%s\n", gie_error_text(ctx));
  exit(1);
}

void op_device_close(struct op_device *d)
{
  d->ops->close(d->dev);
  d->ops = NULL;
}

bool op_quick(void) { return getenv("GIE_TEST_QUICK") != NULL; }

double op_tolerance(enum gie_dtype t)
{
  switch (t) {
  case GIE_F32:
    return 4e-6;
  case GIE_F16:
    return 0x1p-10;
  case GIE_BF16:
    return 0x1p-7;
  case GIE_F64:
    return 1e-12;
  default:
    return 0;
  }
}

/* ---- Problems */

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
                              .math = d->math,
                              .library = d->library,
                              .device_kind = device_kind,
                              .device = &d->info,
                              .threads = d->threads};
  return GIE_OK;
}

/* v as a constant of its dtype, one of the three. */
static gie_status add_constant(struct gie_graph *g, const struct op_result *v, gie_id *id)
{
  struct gie_blob *blob;
  size_t size = gie_dtype_size(v->type.dtype), bytes = (size_t)v->count * size;
  GIE_TRY(gie_blob_new(gie_graph_context(g), bytes, &blob));
  for (int64_t e = 0; e < v->count; e++) {
    float f = (float)v->v[e];
    uint16_t h = v->type.dtype == GIE_F16 ? gie_f32_to_f16(f) : gie_f32_to_bf16(f);
    memcpy((char *)gie_blob_data(blob) + (size_t)e * size, size == sizeof f ? (const void *)&f : &h, size);
  }
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
    if (v.type.dtype == GIE_F32 || v.type.dtype == GIE_F16 || v.type.dtype == GIE_BF16)
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
