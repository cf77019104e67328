/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluates one node from tensors at hand: for the dynamic tail and for constant folding.
 *
 * The node is copied into a graph of its own. Its operands become inputs of the dims at hand, or
 * constants when they are small or constant already, so that shape inference sees their elements. An op of a module whose
 * shape depends on data gets all of them as constants: what it looks at is not known here. */
#include "core/run/run.h"

gie_status run_once_open(struct gie_context *ctx, const char *kind, struct run_once *out)
{
  memset(out, 0, sizeof *out);
  GIE_TRY(run_device_open(ctx, kind, 0, &out->device_own));
  gie_status st = GIE_OK;
  if (!out->device_own.host)
    st = gie_fail(ctx, GIE_E_DEVICE, "device %s has no host memory; single nodes run on a host device",
                  out->device_own.ops->kind);
  run_weights_init(&out->weights_own, &out->device_own);
  if (st == GIE_OK)
    st = run_binder_init(&out->binder_own, &out->device_own, &out->weights_own, NULL);
  if (st != GIE_OK) {
    run_device_close(&out->device_own);
    return st;
  }
  run_rules_reference_first(&out->binder_own.rules);
  out->device = &out->device_own;
  out->threads = out->device->threads;
  out->binder = &out->binder_own;
  return GIE_OK;
}

void run_once_share(struct run_once *o, struct run_binder *binder, uint32_t threads)
{
  memset(o, 0, sizeof *o);
  o->threads = threads;
  o->device = binder->device;
  o->binder = binder;
}

void run_once_close(struct run_once *o)
{
  if (!o->device)
    return;
  run_block_free(o->device, &o->scratch);
  if (o->device == &o->device_own) {
    run_binder_free(&o->binder_own);
    run_weights_free(&o->weights_own);
    run_device_close(&o->device_own);
  }
  memset(o, 0, sizeof *o);
}

/* ---- A graph of one node ----------------------------------------------------------------------- */

/* A node on its own: ids and addresses of its operands. */
struct single {
  struct gie_graph *graph;
  gie_id node;
  gie_id *id; /* operands in the new graph */
  void **in, **out;
};

static gie_status add_constant(struct gie_graph *g, const struct gie_type *type, const void *data,
                               size_t bytes, gie_id *out)
{
  struct gie_const c = {.size = bytes};
  GIE_TRY(gie_blob_new(g->ctx, bytes, &c.blob));
  if (bytes)
    memcpy(gie_blob_data(c.blob), data, bytes);
  gie_status st = gie_graph_add_const(g, NULL, type, &c, out);
  gie_blob_unref(c.blob);
  return st;
}

/* Whether the shape function may want to see an operand of that size. */
static bool is_looked_at(const struct gie_op *op, const struct gie_tensor *t, size_t bytes)
{
  return bytes <= GIE_MAX_KNOWN * gie_dtype_size(t->dtype) ||
         ((op->flags & GIE_OP_DATA_DEPENDENT) && !ir_builtin_find(op->name));
}

static gie_status add_operand(struct single *s, const struct gie_graph *from, const struct gie_op *op,
                              gie_id value, const struct gie_tensor *t, uint32_t slot)
{
  const struct gie_value *v = gie_value_get(from, value);
  struct gie_context *ctx = from->ctx;
  char name[24];
  size_t bytes;
  s->id[slot] = GIE_NONE;
  if (!v)
    return GIE_OK;
  snprintf(name, sizeof name, "operand %u", (unsigned)slot);
  if (!t || !t->data) {
    if (v->kind != GIE_VALUE_CONST)
      return gie_fail(ctx, GIE_E_INTERNAL, "operand \"%s\" is neither given nor constant", v->name);
    GIE_TRY(gie_graph_add_const(s->graph, name, &v->type, &v->data, &s->id[slot]));
    s->in[slot] = (void *)(uintptr_t)gie_value_bytes(s->graph, s->id[slot], NULL);
  } else {
    struct gie_type type = run_tensor_type(t);
    GIE_TRY(run_tensor_bytes(ctx, t, &bytes));
    if (is_looked_at(op, t, bytes))
      GIE_TRY(add_constant(s->graph, &type, t->data, bytes, &s->id[slot]));
    else
      GIE_TRY(gie_graph_add_input(s->graph, name, &type, &s->id[slot]));
    s->in[slot] = t->data;
  }
  return v->quant.n ? gie_value_set_quant(s->graph, s->id[slot], &v->quant) : GIE_OK;
}

static gie_status copy_node(struct single *s, const struct gie_node *n)
{
  struct gie_node_spec spec = GIE_NODE_SPEC(n->op->name);
  spec.name = n->name;
  spec.n_in = n->n_operands;
  spec.in = s->id;
  spec.n_out = n->n_out;
  spec.n_attrs = n->attrs.n;
  spec.attrs = n->attrs.v;
  GIE_TRY(gie_node_add(s->graph, &spec, &s->node));
  for (uint32_t i = 0; i < n->n_steps; i++) {
    const struct gie_step *step = &n->steps[i];
    gie_id operand = step->operand < 0 ? GIE_NONE : s->id[step->operand];
    GIE_TRY(gie_node_add_step(s->graph, s->node, step->op->name, operand, step->reverse, &step->attrs));
  }
  for (uint32_t i = n->n_in - n->n_captures; i < n->n_in; i++) {
    uint32_t slot;
    GIE_TRY(gie_node_add_capture(s->graph, s->node, s->id[i], &slot));
  }
  if (n->n_captures)
    GIE_TRY(gie_node_infer(s->graph, s->node));
  for (uint32_t i = 0; i < n->notes.n; i++)
    GIE_TRY(gie_node_set_note(s->graph, s->node, &n->notes.v[i]));
  const struct gie_node *copy = gie_node_get(s->graph, s->node);
  if (copy->n_in != n->n_in)
    return gie_fail(s->graph->ctx, GIE_E_INTERNAL,
                    "the node cannot be evaluated alone: a body captures a value twice");
  for (uint32_t i = 0; i < n->n_out; i++)
    GIE_TRY(gie_graph_add_output(s->graph, copy->out[i]));
  return GIE_OK;
}

/* ---- Running it -------------------------------------------------------------------------------- */

static gie_status make_results(struct single *s, struct gie_tensor *out)
{
  struct gie_context *ctx = s->graph->ctx;
  const struct gie_node *n = gie_node_get(s->graph, s->node);
  for (uint32_t i = 0; i < n->n_out; i++) {
    const struct gie_value *v = gie_value_get(s->graph, n->out[i]);
    size_t bytes;
    if (!run_type_is_static(&v->type))
      return gie_fail(ctx, GIE_E_SHAPE,
                      "the shape of result %u is not known even from the operands' elements", (unsigned)i);
    out[i] = (struct gie_tensor){sizeof out[i], v->type.dtype, v->type.shape.rank, {0}, NULL};
    for (int k = 0; k < out[i].rank; k++)
      out[i].dim[k] = v->type.shape.dim[k].b;
    GIE_TRY(run_tensor_bytes(ctx, &out[i], &bytes));
    if (!(out[i].data = gie_alloc_raw(ctx, bytes, 1)))
      return GIE_E_MEMORY;
    s->out[i] = out[i].data;
  }
  return GIE_OK;
}

static bool is_empty(const struct gie_tensor *t)
{
  for (int i = 0; i < t->rank; i++)
    if (t->dim[i] == 0)
      return true;
  return false;
}

/* Weight forms that the kernel wants replace the operands' addresses. */
static gie_status use_weights(struct run_once *o, struct single *s, const struct gie_node *n,
                              struct run_binding *b)
{
  for (uint32_t i = 0; i < n->n_in; i++) {
    const struct gie_value *v = gie_value_get(s->graph, n->in[i]);
    struct run_weight *w = b->packed ? b->packed[i] : NULL;
    uint32_t align = b->align ? b->align[i] : 0;
    if (!w && align && (uintptr_t)s->in[i] % align) {
      struct gie_desc d;
      GIE_TRY(gie_desc_make(s->graph->ctx, &v->type, &v->layout, &d, NULL));
      GIE_TRY(run_weights_plain(o->binder->weights, v, &d, align, &w));
    }
    if (w)
      s->in[i] = w->data;
  }
  return GIE_OK;
}

static gie_status launch(struct run_once *o, struct single *s, struct gie_arena *mem)
{
  const struct gie_node *n = gie_node_get(s->graph, s->node);
  struct gie_context *ctx = s->graph->ctx;
  struct run_binding b;
  GIE_TRY(run_bind_node(o->binder, mem, s->graph, n, NULL, &b));
  if (!b.kernel)
    return gie_fail(ctx, o->binder->failed, "no kernel on %s takes it: %s", o->device->ops->kind,
                    o->binder->refusals.data);
  o->kernel = b.kernel->name;
  gie_status st = use_weights(o, s, n, &b);
  if (st == GIE_OK && b.workspace)
    st = run_block_reserve(o->device, &o->scratch, b.workspace, NULL);
  if (st == GIE_OK) {
    struct gie_launch l = {.struct_size = sizeof l,
                           .in = s->in,
                           .out = s->out,
                           .workspace = b.workspace ? o->scratch.data : NULL,
                           .library = b.library,
                           .threads = o->threads,
                           .ctx = ctx};
    st = b.kernel->run(b.instance, &l);
    if (st == GIE_OK)
      st = run_device_sync(o->device);
    if (st != GIE_OK)
      gie_error_prefix(ctx, st, "kernel %s", b.kernel->name);
  }
  run_binding_free(&b);
  return st;
}

static gie_status evaluate(struct run_once *o, struct single *s, struct gie_arena *mem,
                           const struct gie_graph *g, const struct gie_node *n, const struct gie_tensor *in,
                           struct gie_tensor *out)
{
  s->id = gie_arena_alloc(mem, n->n_in, sizeof *s->id);
  s->in = gie_arena_alloc(mem, n->n_in, sizeof *s->in);
  s->out = gie_arena_alloc(mem, n->n_out, sizeof *s->out);
  if (!s->id || !s->in || !s->out)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < n->n_in; i++)
    GIE_TRY(add_operand(s, g, n->op, n->in[i], in ? &in[i] : NULL, i));
  GIE_TRY(copy_node(s, n));
  GIE_TRY(make_results(s, out));
  bool empty = true;
  for (uint32_t i = 0; i < n->n_out; i++)
    empty &= is_empty(&out[i]);
  if (!empty || n->n_out == 0 || (n->op->flags & GIE_OP_IMPURE))
    return launch(o, s, mem);
  o->kernel = "view";
  return GIE_OK;
}

gie_status run_once_node(struct run_once *o, const struct gie_graph *g, gie_id node,
                         const struct gie_tensor *in, struct gie_tensor *out)
{
  const struct gie_node *n = gie_node_get(g, node);
  struct gie_context *ctx = g->ctx;
  struct single s = {0};
  struct gie_arena mem;
  char label[128];
  o->kernel = "";
  for (uint32_t i = 0; i < n->n_out; i++)
    out[i].data = NULL;
  gie_arena_init(&mem, ctx);
  gie_status st = gie_graph_new(ctx, NULL, &s.graph);
  if (st == GIE_OK)
    st = evaluate(o, &s, &mem, g, n, in, out);
  gie_graph_free(s.graph);
  gie_arena_free(&mem);
  if (st == GIE_OK)
    return GIE_OK;
  for (uint32_t i = 0; i < n->n_out; i++) {
    gie_free(ctx, out[i].data);
    out[i].data = NULL;
  }
  return gie_error_prefix(ctx, st, "%s", ir_node_label(n, label, sizeof label));
}
