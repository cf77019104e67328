/* SPDX-License-Identifier: Apache-2.0 */
/* Builds a specialization: kernels for the static nodes, their schedule, their memory. */
#include "core/run/run.h"

/* Nodes without a kernel that one error lists before it is cut. */
#define LISTED 20

/* ---- The list of what no kernel takes ---------------------------------------------------------- */

struct unsupported {
  struct gie_buf text;
  uint32_t n;
  gie_status status;
};

static void unsupported_add(struct unsupported *u, const struct gie_node *n, const char *why,
                            gie_status status)
{
  char label[128];
  const struct gie_attr *reason = gie_attrs_find(&n->notes, "reason");
  u->status = u->n == 0 || status == GIE_E_MEMORY ? status : u->status;
  if (u->n++ >= LISTED)
    return;
  if (n->op->flags & GIE_OP_OPAQUE)
    gie_buf_printf(&u->text, "%sunsupported op %.100s in node %u \"%.200s\" (%s)", u->text.len ? ", " : "",
                   n->op->name, (unsigned)n->id, n->name,
                   reason && reason->kind == GIE_ATTR_STRING ? reason->u.s : why);
  else
    gie_buf_printf(&u->text, "%s%s (%s)", u->text.len ? ", " : "", ir_node_label(n, label, sizeof label),
                   why);
}

/* GIE_OK if nothing was added, else the failure with the list. Ends the list. */
static gie_status unsupported_end(struct unsupported *u, const char *device)
{
  struct gie_context *ctx = u->text.ctx;
  gie_status st = u->text.status;
  if (st == GIE_OK && u->n) {
    if (u->n > LISTED)
      gie_buf_printf(&u->text, " and %u more", (unsigned)(u->n - LISTED));
    st = gie_fail(ctx, u->status,
                  "%u node%s without a kernel on %s: %s; load a module with one or relax --backend",
                  (unsigned)u->n, u->n == 1 ? "" : "s", device, u->text.data ? u->text.data : "");
  }
  gie_buf_free(&u->text);
  return st;
}

static bool has_kernel(const struct run_binder *b, const char *op)
{
  for (size_t i = 0; b && i < b->rules.n; i++)
    if (run_kernel_has_op(b->rules.order[i], op))
      return true;
  return false;
}

/* A node may turn out to need no kernel: its results are in place, or its elements are known. */
static bool may_vanish(const struct gie_graph *g, const struct gie_node *n)
{
  return run_op_may_be_free(n->op->name) || gie_value_get(g, n->out[0])->n_known != UINT32_MAX;
}

gie_status run_check_ops(const struct gie_graph *g, struct run_binder *b, struct run_binder *tail)
{
  struct unsupported u = {0};
  uint32_t n = gie_graph_n_nodes(g);
  bool *is_live = gie_alloc(g->ctx, n, sizeof *is_live), *is_tail = gie_alloc(g->ctx, n, sizeof *is_tail);
  gie_status st = is_live && is_tail ? run_classify(g, is_live, is_tail) : GIE_E_MEMORY;
  gie_buf_init(&u.text, g->ctx);
  /* Nodes of one op come in runs; asking once per distinct op would need a map and saves little. */
  const char *known = NULL;
  for (gie_id id = st == GIE_OK ? gie_graph_first(g) : GIE_NONE; id != GIE_NONE;
       id = gie_node_get(g, id)->next) {
    const char *op = gie_node_get(g, id)->op->name;
    if (!is_live[id] || op == known || may_vanish(g, gie_node_get(g, id)))
      continue;
    if (has_kernel(b, op) || has_kernel(tail, op))
      known = op;
    else
      unsupported_add(&u, gie_node_get(g, id), "no kernel for this op", GIE_E_UNSUPPORTED);
  }
  gie_free(g->ctx, is_live);
  gie_free(g->ctx, is_tail);
  if (st == GIE_OK)
    return unsupported_end(&u, b->device->ops->kind);
  gie_buf_free(&u.text);
  return st;
}

/* ---- Steps ------------------------------------------------------------------------------------- */

static gie_status list_steps(struct run_spec *s)
{
  const struct gie_graph *g = s->graph;
  uint32_t n = gie_graph_n_nodes(g);
  s->is_live = gie_arena_alloc(&s->mem, n, sizeof *s->is_live);
  s->is_tail = gie_arena_alloc(&s->mem, n, sizeof *s->is_tail);
  s->values = gie_arena_alloc(&s->mem, gie_graph_n_values(g), sizeof *s->values);
  if (!s->is_live || !s->is_tail || !s->values)
    return GIE_E_MEMORY;
  GIE_TRY(run_classify(g, s->is_live, s->is_tail));
  GIE_FOR_NODES(g, id)
    if (s->is_live[id])
      *(s->is_tail[id] ? &s->n_tail : &s->n_static) += 1;
  s->steps = gie_arena_alloc(&s->mem, (size_t)s->n_static + s->n_tail, sizeof *s->steps);
  if (!s->steps)
    return GIE_E_MEMORY;
  uint32_t at = 0, tail_at = s->n_static;
  GIE_FOR_NODES(g, id)
    if (s->is_live[id])
      s->steps[s->is_tail[id] ? tail_at++ : at++] = (struct run_step){.node = id,
                                                                      .kernel = "",
                                                                      .workspace = RUN_NONE};
  return run_place_values(g, s->is_live, s->is_tail, s->values);
}

/* The streams that the nodes' notes `stream` (an int, from 0) name; more than there can be wrap round. One without a
 * note runs on the first. A device that has no streams runs on one; a host has as many as threads. */
static gie_status read_streams(struct run_spec *s, const struct run_binder *b, uint32_t **stream_of,
                               uint32_t *n)
{
  uint32_t *of = gie_arena_alloc(&s->mem, s->n_static, sizeof *of);
  *n = 1;
  if (!of)
    return GIE_E_MEMORY;
  uint32_t threads = b->threads ? b->threads : b->device->threads;
  uint32_t max = run_has_streams(b->device) ? RUN_MAX_STREAMS : b->device->host ? threads : 1;
  max = max < RUN_MAX_STREAMS ? max : RUN_MAX_STREAMS;
  for (uint32_t i = 0; max > 1 && i < s->n_static; i++) {
    const struct gie_attr *a = gie_attrs_find(&gie_node_get(s->graph, s->steps[i].node)->notes, "stream");
    of[i] = a && a->kind == GIE_ATTR_INT && a->u.i > 0 ? (uint32_t)(a->u.i % max) : 0;
    *n = of[i] >= *n ? of[i] + 1 : *n;
  }
  *stream_of = of;
  return GIE_OK;
}

/* One line for all nodes that run otherwise than their notes say. */
static void warn_missed(struct run_binder *b)
{
  if (b->n_missed && (!b->said_missed || !atomic_exchange(b->said_missed, true)))
    gie_log(
        b->device->ctx, GIE_LOG_WARN, "run",
        "%u node%s not get the kernel chosen for %s and take the first that fits (%s); build the plan again",
        (unsigned)b->n_missed, b->n_missed == 1 ? " does" : "s do", b->n_missed == 1 ? "it" : "them",
        b->missed_why);
  b->n_missed = 0;
}

static gie_status bind_steps(struct run_spec *s, struct run_binder *b, struct run_binder *tail)
{
  struct unsupported u = {0};
  uint32_t *stream_of, n_streams;
  gie_status st = GIE_OK;
  GIE_TRY(read_streams(s, b, &stream_of, &n_streams));
  b->streams = b->device->host ? n_streams : 1;
  b->n_missed = 0;
  gie_buf_init(&u.text, b->device->ctx);
  for (uint32_t i = 0; st == GIE_OK && i < s->n_static; i++) {
    struct run_step *step = &s->steps[i];
    const struct gie_node *n = gie_node_get(s->graph, step->node);
    step->free = run_node_is_free(s->graph, n, s->values);
    step->kernel = "view";
    if (step->free)
      continue;
    st = run_bind_node(b, &s->mem, s->graph, n, s->values, &step->bound);
    if (st == GIE_OK && !step->bound.kernel)
      unsupported_add(&u, n, b->refusals.data ? b->refusals.data : "", b->failed);
    step->kernel = step->bound.kernel ? step->bound.kernel->name : "";
  }
  for (uint32_t i = s->n_static; st == GIE_OK && i < s->n_static + s->n_tail; i++) {
    const struct gie_node *n = gie_node_get(s->graph, s->steps[i].node);
    if (!has_kernel(tail ? tail : b, n->op->name))
      unsupported_add(&u, n, "no kernel for this op on the host", GIE_E_UNSUPPORTED);
  }
  b->streams = 1; /* nodes that are bound one by one have the threads to themselves */
  warn_missed(b);
  run_rules_warn_forced(&b->rules, b->device->ctx, s->graph);
  if (st == GIE_OK)
    return unsupported_end(&u, b->device->ops->kind);
  gie_buf_free(&u.text);
  return st;
}

/* ---- Schedule ---------------------------------------------------------------------------------- */

/* Steps in the order of the graph; each depends on who computes its operands. */
static gie_status schedule(struct run_spec *s, const struct run_binder *b)
{
  const struct gie_graph *g = s->graph;
  uint32_t *step_of = gie_arena_alloc(&s->mem, gie_graph_n_nodes(g), sizeof *step_of);
  uint32_t *first = gie_arena_alloc(&s->mem, (size_t)s->n_static + 1, sizeof *first), n_deps = 0;
  if (!step_of || !first)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < s->n_static; i++) {
    step_of[s->steps[i].node] = i;
    n_deps += gie_node_get(g, s->steps[i].node)->n_in;
  }
  uint32_t *deps = gie_arena_alloc(&s->mem, n_deps, sizeof *deps), at = 0;
  if (!deps)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < s->n_static; i++) {
    const struct gie_node *n = gie_node_get(g, s->steps[i].node);
    first[i] = at;
    for (uint32_t k = 0; k < n->n_in; k++) {
      const struct gie_value *v = gie_value_get(g, n->in[k]);
      if (v && v->producer != GIE_NONE)
        deps[at++] = step_of[v->producer];
    }
  }
  first[s->n_static] = at;
  uint32_t *stream_of = NULL, n_streams = 1;
  GIE_TRY(read_streams(s, b, &stream_of, &n_streams));
  GIE_TRY(run_schedule_make(&s->mem, s->n_static, n_streams, stream_of, first, deps, &s->schedule));
  for (size_t i = 0; i < s->schedule.n_waits; i++)
    s->steps[s->schedule.waits[i]].awaited = true;
  return GIE_OK;
}

/* ---- Memory ------------------------------------------------------------------------------------ */

/* Constants and inputs that are used as they are given need no planned memory. */
static bool needs_buffer(const struct run_spec *s, const struct run_binder *b, gie_id root)
{
  const struct gie_value *v = gie_value_get(s->graph, root);
  if (v->kind == GIE_VALUE_CONST)
    return false;
  return v->kind != GIE_VALUE_INPUT || !b->device->host || !run_desc_is_plain(&s->values[root].desc);
}

static gie_status add_buffer(struct run_spec *s, const struct run_binder *b, gie_id value)
{
  struct gie_context *ctx = b->device->ctx;
  if (value == GIE_NONE || !s->values[value].placed)
    return GIE_OK;
  struct run_value *root = &s->values[s->values[value].root];
  if (root->buffer != RUN_NONE || !needs_buffer(s, b, s->values[value].root))
    return GIE_OK;
  GIE_TRY(run_plan_buffer(&s->plan, ctx, root->bytes, RUN_ACTIVATION, &root->buffer));
  struct run_buffer *buf = &s->plan.buffers[root->buffer];
  buf->from_start = gie_value_get(s->graph, root->root)->kind == GIE_VALUE_INPUT;
  buf->to_end = buf->from_start && !b->device->host; /* the steps can be run again on what is there */
  s->unshared += root->bytes;
  return GIE_OK;
}

static gie_status touch(struct run_spec *s, struct gie_context *ctx, gie_id value, uint32_t step)
{
  if (value == GIE_NONE || !s->values[value].placed)
    return GIE_OK;
  uint32_t buffer = s->values[s->values[value].root].buffer;
  return buffer == RUN_NONE ? GIE_OK : run_plan_touch(&s->plan, ctx, buffer, step);
}

/* A buffer for every root, with all steps that touch it. Free nodes touch nothing. */
static gie_status add_buffers(struct run_spec *s, const struct run_binder *b)
{
  struct gie_context *ctx = b->device->ctx;
  for (uint32_t i = 0; i < s->n_static; i++) {
    struct run_step *step = &s->steps[i];
    const struct gie_node *n = gie_node_get(s->graph, step->node);
    for (uint32_t k = 0; k < n->n_in; k++)
      GIE_TRY(add_buffer(s, b, n->in[k]));
    for (uint32_t k = 0; k < n->n_out; k++)
      GIE_TRY(add_buffer(s, b, n->out[k]));
    for (uint32_t k = 0; !step->free && k < n->n_in; k++)
      if (!step->bound.packed || !step->bound.packed[k])
        GIE_TRY(touch(s, ctx, n->in[k], i));
    for (uint32_t k = 0; !step->free && k < n->n_out; k++)
      GIE_TRY(touch(s, ctx, n->out[k], i));
    if (step->bound.workspace) {
      GIE_TRY(run_plan_buffer(&s->plan, ctx, step->bound.workspace, RUN_WORKSPACE, &step->workspace));
      GIE_TRY(run_plan_touch(&s->plan, ctx, step->workspace, i));
    }
  }
  return GIE_OK;
}

static struct run_buffer *buffer_of(const struct run_spec *s, gie_id value)
{
  const struct run_value *v = &s->values[value];
  uint32_t b = v->placed ? s->values[v->root].buffer : RUN_NONE;
  return b == RUN_NONE ? NULL : &s->plan.buffers[run_plan_find(&s->plan, b)];
}

/* Results that outlive the static steps: graph outputs, and what the tail reads. */
static gie_status add_ends(struct run_spec *s, const struct run_binder *b)
{
  struct run_buffer *buf;
  for (uint32_t i = 0; i < gie_graph_n_outputs(s->graph); i++) {
    gie_id v = gie_graph_output(s->graph, i);
    GIE_TRY(add_buffer(s, b, v));
    if ((buf = buffer_of(s, v))) {
      s->unshared -= buf->category == RUN_ACTIVATION ? buf->bytes : 0;
      buf->category = RUN_OUTPUT;
      buf->to_end = true;
    }
  }
  for (uint32_t i = s->n_static; i < s->n_static + s->n_tail; i++) {
    const struct gie_node *n = gie_node_get(s->graph, s->steps[i].node);
    for (uint32_t k = 0; k < n->n_in; k++)
      if (n->in[k] != GIE_NONE && (buf = buffer_of(s, n->in[k])))
        buf->to_end = true;
  }
  return GIE_OK;
}

/* A result written over an operand: allowed by the variant, both whole and of one size, and nobody
 * needs the operand afterwards. */
static void overwrite(struct run_spec *s, uint32_t i)
{
  const struct run_step *step = &s->steps[i];
  const struct gie_node *n = gie_node_get(s->graph, step->node);
  int32_t slot = step->free ? -1 : step->bound.in_place;
  if (slot < 0 || (uint32_t)slot >= n->n_in || n->in[slot] == GIE_NONE)
    return;
  const struct run_value *from = &s->values[n->in[slot]], *to = &s->values[n->out[0]];
  if (!from->placed || !to->placed || from->root != n->in[slot] || to->root != n->out[0] ||
      from->bytes != to->bytes || from->buffer == RUN_NONE || to->buffer == RUN_NONE)
    return;
  for (uint32_t k = 0; k < n->n_in; k++)
    if (k != (uint32_t)slot && n->in[k] != GIE_NONE && s->values[n->in[k]].placed &&
        s->values[n->in[k]].root == from->root)
      return;
  if (run_plan_is_last(&s->plan, from->buffer, i))
    run_plan_merge(&s->plan, from->buffer, to->buffer);
}

static gie_status plan_memory(struct run_spec *s, const struct run_binder *b)
{
  run_plan_init(&s->plan, &s->schedule);
  GIE_TRY(add_buffers(s, b));
  GIE_TRY(add_ends(s, b));
  for (uint32_t i = 0; i < s->n_static; i++)
    overwrite(s, i);
  return run_plan_make(&s->plan, b->device->ctx);
}

/* ---- Constants --------------------------------------------------------------------------------- */

/* Fetches the plain bytes of constants that steps read unpacked, in the layout and alignment wanted. */
static gie_status fetch_constants(struct run_spec *s, struct run_binder *b)
{
  for (uint32_t i = 0; i < s->n_static; i++) {
    const struct run_step *step = &s->steps[i];
    const struct gie_node *n = gie_node_get(s->graph, step->node);
    for (uint32_t k = 0; k < n->n_in; k++) {
      if (n->in[k] == GIE_NONE || (step->bound.packed && step->bound.packed[k]))
        continue;
      struct run_value *root = &s->values[s->values[n->in[k]].root];
      if (step->free && run_desc_is_plain(&root->desc)) /* who reads its results has the constant's bytes */
        continue;
      const struct gie_value *v = gie_value_get(s->graph, root->root);
      uint32_t align = step->bound.align ? step->bound.align[k] : 0;
      bool is_aligned = root->weight && (align == 0 || (uintptr_t)root->weight->data % align == 0);
      if (v->kind == GIE_VALUE_CONST && !is_aligned)
        GIE_TRY(run_weights_plain(b->weights, v, &root->desc, align, &root->weight));
    }
  }
  for (uint32_t i = 0; i < gie_graph_n_outputs(s->graph); i++) {
    const struct run_value *v = &s->values[gie_graph_output(s->graph, i)];
    struct run_value *root = v->placed ? &s->values[v->root] : NULL;
    if (root && !root->weight && gie_value_get(s->graph, root->root)->kind == GIE_VALUE_CONST)
      GIE_TRY(
          run_weights_plain(b->weights, gie_value_get(s->graph, root->root), &root->desc, 0, &root->weight));
  }
  return GIE_OK;
}

static gie_status make_launches(struct run_spec *s)
{
  for (uint32_t i = 0; i < s->n_static; i++) {
    struct run_step *step = &s->steps[i];
    const struct gie_node *n = gie_node_get(s->graph, step->node);
    step->in = gie_arena_alloc(&s->mem, n->n_in, sizeof(void *));
    step->out = gie_arena_alloc(&s->mem, n->n_out, sizeof(void *));
    if (!step->in || !step->out)
      return GIE_E_MEMORY;
  }
  return GIE_OK;
}

gie_status run_spec_build(struct run_spec *s, struct run_binder *b, struct run_binder *tail)
{
  GIE_TRY(list_steps(s));
  GIE_TRY(bind_steps(s, b, tail));
  GIE_TRY(schedule(s, b));
  GIE_TRY(plan_memory(s, b));
  GIE_TRY(fetch_constants(s, b));
  if (!b->device->host)
    s->device = b->device;
  s->can_capture = s->n_static > 0;
  for (uint32_t i = 0; i < s->n_static; i++)
    s->can_capture &= s->steps[i].free || s->steps[i].bound.capture_safe;
  return make_launches(s);
}

void run_spec_free(struct run_spec *s)
{
  if (!s)
    return;
  struct gie_context *ctx = s->mem.ctx;
  run_flow_forget(s);
  for (uint32_t i = 0; s->steps && i < s->n_static; i++)
    run_binding_free(&s->steps[i].bound);
  run_plan_free(&s->plan, ctx);
  gie_graph_free(s->graph);
  gie_free(ctx, s->key);
  gie_arena_free(&s->mem);
  gie_free(ctx, s);
}
