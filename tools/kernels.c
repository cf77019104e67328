/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the kernels which of them would take each node, without running anything. */
#include "tools/kernels.h"
#include "core/run/run.h"

bool dim_number(struct gie_dim d, int64_t *out)
{
  if (!gie_dim_is_known(d))
    return false;
  return gie_dim_is_num(d) ? (*out = d.b, true) : gie_add64(d.a, d.b, out);
}

bool graph_has_symbols(const struct gie_graph *g)
{
  for (gie_id id = 0; id < gie_graph_n_values(g); id++) {
    const struct gie_value *v = gie_value_get(g, id);
    for (int i = 0; v->kind != GIE_VALUE_DEAD && i < v->type.shape.rank; i++)
      if (!gie_dim_is_num(v->type.shape.dim[i]))
        return true;
  }
  return false;
}

/* The graph with symbols bound to 1. A network may not work at that size; then *out is a plain copy. */
static gie_status with_numbers(const struct gie_graph *g, struct gie_graph **out)
{
  struct gie_context *ctx = gie_graph_context(g);
  uint32_t n = gie_graph_n_inputs(g);
  struct gie_type *types = gie_alloc(ctx, n, sizeof *types);
  if (!types)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < n; i++) {
    types[i] = gie_value_get(g, gie_graph_input(g, i))->type;
    for (int k = 0; k < types[i].shape.rank; k++) {
      int64_t d;
      if (dim_number(types[i].shape.dim[k], &d) && d >= 0)
        types[i].shape.dim[k] = gie_dim_num(d);
    }
  }
  gie_status st = run_specialize(g, types, out);
  gie_free(ctx, types);
  return st == GIE_OK || st == GIE_E_MEMORY ? st : gie_graph_clone(g, out);
}

static bool is_static(const struct gie_graph *g, const struct gie_node *n)
{
  for (uint32_t i = 0; i < n->n_in; i++)
    if (n->in[i] != GIE_NONE && !run_type_is_static(&gie_value_get(g, n->in[i])->type))
      return false;
  for (uint32_t i = 0; i < n->n_out; i++)
    if (!run_type_is_static(&gie_value_get(g, n->out[i])->type))
      return false;
  return true;
}

static void by_name(struct tool *t, const struct run_binder *b, const struct gie_node *n,
                    struct node_fit *fit)
{
  for (size_t i = 0; i < b->rules.n; i++)
    if (run_kernel_has_op(b->rules.order[i], n->op->name)) {
      fit->kernel = b->rules.order[i]->name;
      return;
    }
  fit->reason = tool_format(t, "no kernel for %s on %s", n->op->name, b->device->ops->kind);
}

static const char *opaque_reason(const struct gie_node *n)
{
  const struct gie_attr *a = gie_attrs_find(&n->notes, "reason");
  return a && a->kind == GIE_ATTR_STRING && a->n ? a->u.s : "the op is not known";
}

static gie_status find_one(struct tool *t, struct run_binder *b, const struct gie_graph *g,
                           const struct gie_node *n, struct node_fit *fit)
{
  struct gie_arena mem;
  struct run_binding bound;
  if (n->op->flags & GIE_OP_OPAQUE) {
    fit->reason = gie_arena_strdup(&t->arena, opaque_reason(n));
    return fit->reason ? GIE_OK : GIE_E_MEMORY;
  }
  if (!is_static(g, n)) {
    by_name(t, b, n, fit);
    return GIE_OK;
  }
  gie_arena_init(&mem, t->ctx);
  gie_status st = run_bind_node(b, &mem, g, n, NULL, &bound);
  if (st == GIE_OK) {
    fit->kernel = bound.kernel ? bound.kernel->name : NULL;
    if (!fit->kernel)
      fit->reason = gie_arena_strdup(&t->arena, b->refusals.data ? b->refusals.data : "no kernel takes it");
    run_binding_free(&bound);
  }
  gie_arena_free(&mem);
  return st;
}

static gie_status find_all(struct tool *t, struct run_binder *b, const struct gie_graph *g, struct fits *out)
{
  GIE_FOR_NODES(g, id) {
    GIE_TRY(find_one(t, b, g, gie_node_get(g, id), &out->v[id]));
  }
  return GIE_OK;
}

gie_status fits_find(struct tool *t, const struct gie_graph *g, struct fits *out)
{
  struct gie_graph *numbers;
  struct run_device device;
  struct run_weights weights;
  struct run_binder binder;
  out->n = gie_graph_n_nodes(g);
  out->v = gie_arena_alloc(&t->arena, out->n, sizeof *out->v);
  if (!out->v)
    return GIE_E_MEMORY;
  GIE_TRY(run_device_open(t->ctx, NULL, t->threads, &device));
  run_weights_init(&weights, &device);
  gie_status st = run_binder_init(&binder, &device, &weights, NULL);
  if (st == GIE_OK) {
    st = with_numbers(g, &numbers);
    if (st == GIE_OK) {
      st = find_all(t, &binder, numbers, out);
      gie_graph_free(numbers);
    }
    run_binder_free(&binder);
  }
  run_weights_free(&weights);
  run_device_close(&device);
  return st;
}
