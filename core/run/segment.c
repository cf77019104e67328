/* SPDX-License-Identifier: Apache-2.0 */
/* The static segment: addresses of a run, values to and from the host, and on a host device staging of inputs and
 * the launches in schedule order. What a device with memory of its own does instead is in flow.c. */
#include "core/run/run.h"

/* What a value without bytes points to: kernels may form the address, never read it. */
static char nothing[RUN_WORKSPACE_ALIGN] __attribute__((aligned(RUN_WORKSPACE_ALIGN)));

/* The specialization's graph may be another one than the executor's: inputs are known by position. */
static struct run_input *input_of(const struct gie_exec *x, const struct run_spec *s, gie_id value)
{
  for (uint32_t i = 0; i < x->n_inputs; i++)
    if (gie_graph_input(s->graph, i) == value)
      return &x->inputs[i];
  return NULL;
}

void *run_address(const struct gie_exec *x, const struct run_spec *s, gie_id value)
{
  const struct run_value *v = &s->values[value];
  if (!v->placed)
    return nothing;
  const struct run_value *root = &s->values[v->root];
  char *base = NULL;
  if (root->buffer != RUN_NONE) {
    const struct run_buffer *b = &s->plan.buffers[run_plan_find(&s->plan, root->buffer)];
    const struct run_memory_block *block = b->category == RUN_OUTPUT ? &x->out_arena : &x->arena;
    base = b->bytes ? (char *)block->data + b->offset : NULL;
  } else if (root->weight) {
    base = root->weight->data;
  } else if (input_of(x, s, v->root)) {
    base = input_of(x, s, v->root)->block.data;
  }
  return base ? base + v->offset : nothing;
}

/* Whether constants, arena and outputs stay within the limit. */
static gie_status check_limit(struct gie_exec *x, const struct run_spec *s)
{
  uint64_t constants = x->memory_limit ? run_weights_bytes(&x->engine->weights) : 0;
  uint64_t need = constants + s->plan.arena + s->plan.outputs;
  if (!x->memory_limit || need <= x->memory_limit)
    return GIE_OK;
  return gie_fail(
      x->ctx, GIE_E_MEMORY,
      "%llu bytes are needed (%llu of constants, %zu of activations, %zu more for workspace, %zu of "
      "outputs), the limit is %llu; raise it or take a smaller batch",
      (unsigned long long)need, (unsigned long long)constants, s->plan.activations, s->plan.workspace,
      s->plan.outputs, (unsigned long long)x->memory_limit);
}

gie_status run_link(struct gie_exec *x, struct run_spec *s)
{
  bool moved = false;
  gie_status st = check_limit(x, s);
  if (st == GIE_OK)
    st = run_block_reserve(x->device, &x->arena, s->plan.arena, &moved);
  if (st == GIE_OK)
    st = run_block_reserve(x->device, &x->out_arena, s->plan.outputs, &moved);
  if (moved)
    x->generation++;
  if (st != GIE_OK)
    return gie_error_prefix(x->ctx, st, "memory for the run");
  if (s->linked == x->generation)
    return GIE_OK;
  for (uint32_t i = 0; i < s->n_static; i++) {
    struct run_step *step = &s->steps[i];
    const struct gie_node *n = gie_node_get(s->graph, step->node);
    for (uint32_t k = 0; k < n->n_in; k++) {
      struct run_weight *packed = step->bound.packed ? step->bound.packed[k] : NULL;
      step->in[k] = n->in[k] == GIE_NONE ? NULL : packed ? packed->data : run_address(x, s, n->in[k]);
    }
    for (uint32_t k = 0; k < n->n_out; k++)
      step->out[k] = run_address(x, s, n->out[k]);
    step->scratch = step->workspace == RUN_NONE
                        ? NULL
                        : (char *)x->arena.data + s->plan.buffers[step->workspace].offset;
  }
  s->linked = x->generation;
  return GIE_OK;
}

/* ---- Values to and from the host --------------------------------------------------------------- */

/* Brings an input into the layout that the graph stores it in. */
static gie_status stage(struct gie_exec *x, struct run_spec *s, uint32_t i)
{
  static const struct gie_layout plain;
  const struct run_input *in = &x->inputs[i];
  gie_id value = gie_graph_input(s->graph, i);
  const struct run_value *v = &s->values[value];
  struct gie_desc from;
  void *dst = run_address(x, s, value);
  if (!v->placed || v->buffer == RUN_NONE || v->bytes == 0)
    return GIE_OK;
  if (run_desc_is_plain(&v->desc))
    return run_device_upload(x->device, dst, in->t.data, v->bytes);
  GIE_TRY(gie_desc_make(x->ctx, &gie_value_get(s->graph, value)->type, &plain, &from, NULL));
  run_reorder(&from, in->t.data, &v->desc, dst);
  return GIE_OK;
}

/* Copies a placed value to plain host memory. */
static gie_status fetch(struct gie_exec *x, const struct run_spec *s, gie_id value, void *dst, size_t bytes)
{
  static const struct gie_layout plain;
  const struct run_value *v = &s->values[value];
  const struct run_value *root = &s->values[v->root];
  struct gie_desc to;
  if (bytes == 0)
    return GIE_OK;
  if (run_desc_is_plain(&v->desc))
    return run_device_download(x->device, dst, run_address(x, s, value), bytes);
  GIE_TRY(gie_desc_make(x->ctx, &gie_value_get(s->graph, value)->type, &plain, &to, NULL));
  if (x->device->host) {
    run_reorder(&v->desc, run_address(x, s, value), &to, dst);
    return GIE_OK;
  }
  char *whole = gie_alloc_raw(x->ctx, root->bytes, 1);
  if (!whole)
    return GIE_E_MEMORY;
  gie_status st = run_device_download(x->device, whole, run_address(x, s, v->root), root->bytes);
  if (st == GIE_OK)
    run_reorder(&v->desc, whole + v->offset, &to, dst);
  gie_free(x->ctx, whole);
  return st;
}

/* Where the value's plain bytes are in host memory already, or NULL. `mine`: not where the next input
 * would change them. */
static void *plain_address(const struct gie_exec *x, const struct run_spec *s, const struct gie_value *v,
                           bool mine)
{
  const struct run_value *at = &s->values[v->id];
  if (v->kind == GIE_VALUE_INPUT)
    return mine ? NULL : input_of(x, s, v->id)->t.data;
  if (v->kind == GIE_VALUE_CONST)
    return mine ? NULL : (void *)(uintptr_t)gie_value_bytes(s->graph, v->id, NULL);
  const char *constant = gie_value_bytes(s->graph, at->root, NULL);
  if (at->placed && constant && run_desc_is_plain(&at->desc) &&
      run_desc_is_plain(
          &s->values[at->root].desc)) /* a constant by another name: may have no bytes of its own */
    return mine ? NULL : (void *)(uintptr_t)(constant + at->offset);
  bool stays = s->values[at->root].buffer != RUN_NONE;
  return x->device->host && run_desc_is_plain(&at->desc) && (stays || !mine) ? run_address(x, s, v->id)
                                                                             : NULL;
}

bool run_is_on_host(const struct gie_exec *x, const struct run_spec *s, const struct gie_value *v)
{
  return plain_address(x, s, v, false) != NULL;
}

gie_status run_static_value(struct gie_exec *x, const struct run_spec *s, gie_id value, bool mine,
                            struct run_memory_block *block, struct gie_tensor *out)
{
  const struct gie_value *v = gie_value_get(s->graph, value);
  struct gie_tensor t = {.struct_size = sizeof t, .dtype = v->type.dtype, .rank = v->type.shape.rank};
  size_t bytes;
  for (int i = 0; i < t.rank; i++)
    t.dim[i] = v->type.shape.dim[i].b;
  GIE_TRY(run_tensor_bytes(x->ctx, &t, &bytes));
  t.data = plain_address(x, s, v, mine);
  if (!t.data) {
    const void *at = plain_address(x, s, v, false);
    GIE_TRY(run_host_reserve(x->ctx, block, bytes, NULL));
    t.data = block->data;
    if (at && bytes)
      memcpy(t.data, at, bytes);
    else if (!at)
      GIE_TRY(fetch(x, s, value, t.data, bytes));
  }
  *out = t;
  return GIE_OK;
}

/* ---- Launching --------------------------------------------------------------------------------- */

/* Streams of a host that run beside each other share the threads. */
static uint32_t share_of_threads(const struct gie_exec *x, const struct run_spec *s)
{
  uint32_t n = run_wants_threads(x, s) ? x->threads / s->schedule.n_streams : x->threads;
  return n ? n : 1;
}

gie_status run_launch(struct gie_exec *x, const struct run_spec *s, struct run_step *step, void *stream)
{
  char label[128];
  struct gie_launch l = {.struct_size = sizeof l,
                         .in = step->in,
                         .out = step->out,
                         .workspace = step->scratch,
                         .stream = stream,
                         .library = step->bound.library,
                         .threads = share_of_threads(x, s),
                         .ctx = x->ctx};
  gie_status st = step->bound.kernel->run(step->bound.instance, &l);
  if (st == GIE_OK && x->flow.sync_each && x->device->ops->sync)
    st = x->device->ops->sync(x->device->dev, stream);
  if (st == GIE_OK)
    return GIE_OK;
  const struct gie_node *n = gie_node_get(s->graph, step->node);
  return gie_error_prefix(x->ctx, st, "%s, kernel %s", ir_node_label(n, label, sizeof label), step->kernel);
}

gie_status run_stage(struct gie_exec *x, struct run_spec *s)
{
  for (uint32_t i = 0; i < x->n_inputs; i++)
    GIE_TRY(stage(x, s, i));
  return GIE_OK;
}

/* Shows the results of a step that are read, those of free ones too: their elements are in place by now. */
gie_status run_show_step(struct gie_exec *x, const struct run_spec *s, const struct run_step *step)
{
  const struct gie_node *n = gie_node_get(s->graph, step->node);
  for (uint32_t i = 0; i < n->n_out; i++) {
    const struct gie_value *v = gie_value_get(s->graph, n->out[i]);
    struct gie_tensor t;
    if (!v->n_uses && !v->n_outputs)
      continue;
    GIE_TRY(run_static_value(x, s, v->id, false, &x->watch.block, &t));
    GIE_TRY(run_show(x, s, step, v->id, &t));
  }
  return GIE_OK;
}

gie_status run_static(struct gie_exec *x, struct run_spec *s)
{
  if (run_wants_threads(x, s))
    return run_in_threads(x, s);
  for (uint32_t i = 0; i < s->n_static; i++) {
    struct run_step *step = &s->steps[i];
    double start = x->profile ? run_now() : x->began;
    if (!step->free)
      GIE_TRY(run_launch(x, s, step, NULL));
    step->seconds = x->profile && !step->free ? run_now() - start : 0;
    step->start = start - x->began;
    if (x->watch.fn)
      GIE_TRY(run_show_step(x, s, step));
  }
  return GIE_OK;
}
