/* SPDX-License-Identifier: Apache-2.0 */
/* The executor: keeps a graph, its inputs, and one specialization per input shape. */
#include "core/run/run.h"

/* ---- Making it --------------------------------------------------------------------------------- */

static gie_status make_binders(struct gie_exec *x, const char *backends)
{
  struct run_engine *e = x->engine;
  x->device = &e->device;
  GIE_TRY(run_device_activate(x->device));
  GIE_TRY(run_flow_open(x));
  GIE_TRY(run_binder_init(&x->binder, &e->device, &e->weights, backends));
  x->binder.said_missed = &e->said_missed;
  x->binder.threads = x->threads;
  if (e->device.host) {
    run_once_share(&x->once, &x->binder, x->threads);
    return GIE_OK;
  }
  x->host = &e->host;
  GIE_TRY(run_binder_init(&x->host_binder, &e->host, &e->host_weights, backends));
  run_once_share(&x->once, &x->host_binder, x->threads);
  return GIE_OK;
}

static gie_status list_values(struct gie_exec *x)
{
  x->n_inputs = gie_graph_n_inputs(x->graph);
  x->n_outputs = gie_graph_n_outputs(x->graph);
  x->inputs = gie_alloc(x->ctx, x->n_inputs, sizeof *x->inputs);
  x->outputs = gie_alloc(x->ctx, x->n_outputs, sizeof *x->outputs);
  if (!x->inputs || !x->outputs)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < x->n_inputs; i++)
    x->inputs[i].value = gie_graph_input(x->graph, i);
  return GIE_OK;
}

/* Specializes right away when all dims are said. */
static gie_status prepare(struct gie_exec *x)
{
  const struct gie_graph *g = x->graph;
  struct gie_type *types = gie_alloc(x->ctx, x->n_inputs, sizeof *types);
  bool ready = types != NULL;
  for (uint32_t i = 0; ready && i < x->n_inputs; i++) {
    types[i] = gie_value_get(g, x->inputs[i].value)->type;
    ready = run_type_is_static(&types[i]);
  }
  gie_status st = types ? GIE_OK : GIE_E_MEMORY;
  if (ready && x->source)
    st = x->source->choose(x->source, types, &g);
  if (ready && st == GIE_OK)
    st = run_use_spec(x, g, types);
  gie_free(x->ctx, types);
  return st;
}

static gie_status setup(struct gie_exec *x, const char *backends)
{
  GIE_TRY(make_binders(x, backends));
  GIE_TRY(list_values(x));
  if (!x->source)
    GIE_TRY(run_check_ops(x->graph, &x->binder, x->host ? &x->host_binder : NULL));
  return prepare(x);
}

gie_status run_exec_new(struct gie_graph *graph, struct run_source *source, struct run_engine *engine,
                        const struct gie_exec_options *o, const char *backends, struct gie_exec **out)
{
  struct gie_context *ctx = gie_graph_context(graph);
  struct gie_exec *x = gie_alloc(ctx, 1, sizeof *x);
  if (!x) {
    if (source)
      source->free(source);
    run_engine_put(engine);
    gie_graph_free(graph);
    return GIE_E_MEMORY;
  }
  x->ctx = ctx;
  x->graph = graph;
  x->source = source;
  x->engine = engine;
  x->threads = GIE_OPTION(o, threads) ? GIE_OPTION(o, threads) : engine->device.threads;
  x->profile = GIE_OPTION(o, profile);
  x->memory_limit = GIE_OPTION(o, memory_limit);
  x->generation = 1;
  gie_status st = setup(x, backends);
  if (st == GIE_OK)
    *out = x;
  else
    gie_exec_free(x);
  return st;
}

gie_status gie_exec_new(const struct gie_graph *g, const struct gie_exec_options *options,
                        struct gie_exec **out)
{
  struct gie_graph *graph;
  struct run_engine *engine;
  GIE_TRY(gie_graph_clone(g, &graph));
  gie_status st = gie_graph_verify(graph);
  if (st == GIE_OK)
    st = run_engine_get(NULL, gie_graph_context(g), GIE_OPTION(options, device), &engine);
  if (st == GIE_OK)
    return run_exec_new(graph, NULL, engine, options, GIE_OPTION(options, backends), out);
  gie_graph_free(graph);
  return st;
}

void gie_exec_free(struct gie_exec *x)
{
  if (!x)
    return;
  struct gie_context *ctx = x->ctx;
  if (x->device) {
    run_device_activate(x->device);
    run_flow_sync(x); /* of a run that failed there may be work left */
  }
  run_threads_free(x);
  run_tail_reset(x);
  for (struct run_spec *s = x->specs, *next; s; s = next) {
    next = s->next;
    run_spec_free(s);
  }
  for (uint32_t i = 0; x->inputs && i < x->n_inputs; i++) {
    run_pinned_free(x->device, &x->inputs[i].block);
    run_pinned_free(x->device, &x->inputs[i].turned);
  }
  for (uint32_t i = 0; x->outputs && i < x->n_outputs; i++) {
    gie_free(ctx, x->outputs[i].block.data);
    run_pinned_free(x->device, &x->outputs[i].pinned);
    run_pinned_free(x->device, &x->outputs[i].whole);
  }
  run_once_close(&x->once);
  run_block_free(x->device, &x->arena);
  run_block_free(x->device, &x->out_arena);
  run_binder_free(&x->binder);
  run_binder_free(&x->host_binder);
  if (x->device)
    run_flow_close(x);
  run_engine_put(x->engine);
  if (x->source)
    x->source->free(x->source);
  gie_free(ctx, x->watch.block.data);
  gie_free(ctx, x->inputs);
  gie_free(ctx, x->outputs);
  gie_graph_free(x->graph);
  gie_free(ctx, x);
}

/* ---- Specializations --------------------------------------------------------------------------- */

/* Dtype and dims of every input, one after the other. */
static gie_status make_key(struct gie_exec *x, const struct gie_type *types, int64_t **key, size_t *n)
{
  *n = 0;
  *key = gie_alloc(x->ctx, x->n_inputs, (GIE_MAX_RANK + 1) * sizeof **key);
  if (!*key)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < x->n_inputs; i++) {
    (*key)[(*n)++] = types[i].shape.rank;
    for (int k = 0; k < types[i].shape.rank; k++)
      (*key)[(*n)++] = gie_dim_is_num(types[i].shape.dim[k]) ? types[i].shape.dim[k].b : -1;
  }
  return GIE_OK;
}

static struct run_spec *find_spec(struct gie_exec *x, const int64_t *key, size_t n)
{
  struct run_spec *s = x->specs;
  while (s && (s->n_key != n || (n && memcmp(s->key, key, n * sizeof *key) != 0)))
    s = s->next;
  return s;
}

/* Takes ownership of `key`. */
static gie_status new_spec(struct gie_exec *x, const struct gie_graph *g, const struct gie_type *types,
                           int64_t *key, size_t n, struct run_spec **out)
{
  struct run_spec *s = gie_alloc(x->ctx, 1, sizeof *s);
  if (!s) {
    gie_free(x->ctx, key);
    return GIE_E_MEMORY;
  }
  s->key = key;
  s->n_key = n;
  gie_arena_init(&s->mem, x->ctx);
  gie_status st = run_specialize(g, types, &s->graph);
  if (st == GIE_OK)
    st = run_spec_build(s, &x->binder, x->host ? &x->host_binder : NULL);
  if (st != GIE_OK) {
    run_spec_free(s);
    return st;
  }
  s->next = x->specs;
  x->specs = s;
  *out = s;
  return GIE_OK;
}

/* Lets the one go that was not used for longest. */
static void trim_specs(struct gie_exec *x)
{
  struct run_spec **oldest = NULL;
  size_t n = 0;
  for (struct run_spec **s = &x->specs; *s; s = &(*s)->next, n++)
    if (*s != x->current && (!oldest || (*s)->used < (*oldest)->used))
      oldest = s;
  if (n <= RUN_MAX_SPECS || !oldest)
    return;
  struct run_spec *gone = *oldest;
  *oldest = gone->next;
  run_spec_free(gone);
}

gie_status run_use_spec(struct gie_exec *x, const struct gie_graph *g, const struct gie_type *types)
{
  int64_t *key;
  size_t n;
  GIE_TRY(make_key(x, types, &key, &n));
  struct run_spec *s = find_spec(x, key, n);
  if (s)
    gie_free(x->ctx, key);
  else
    GIE_TRY(new_spec(x, g, types, key, n, &s));
  /* what the tail holds belongs to the values of the specialization that ran last */
  if (s != x->current)
    run_tail_reset(x);
  x->current = s;
  s->used = ++x->runs;
  trim_specs(x);
  return GIE_OK;
}

/* ---- Inputs ------------------------------------------------------------------------------------ */

static gie_status no_such(const struct gie_exec *x, const char *what, const char *name, uint32_t n,
                          gie_id (*at)(const struct gie_graph *, uint32_t))
{
  struct gie_buf b;
  gie_buf_init(&b, x->ctx);
  for (uint32_t i = 0; i < n && i < 16; i++)
    gie_buf_printf(&b, "%s\"%s\"", i ? ", " : "", gie_value_get(x->graph, at(x->graph, i))->name);
  gie_status st = gie_fail(x->ctx, GIE_E_USAGE, "there is no %s \"%s\"; the graph has %s", what, name,
                           b.data && b.len ? b.data : "none");
  gie_buf_free(&b);
  return st;
}

static gie_status check_dims(const struct gie_exec *x, const struct gie_value *v, const struct gie_tensor *t)
{
  char want[128], have[128];
  struct gie_type type = run_tensor_type(t);
  bool fits = v->type.shape.rank < 0 || v->type.shape.rank == t->rank;
  for (int i = 0; fits && v->type.shape.rank >= 0 && i < t->rank; i++) {
    struct gie_dim d = v->type.shape.dim[i];
    fits = !gie_dim_is_num(d) || d.b == t->dim[i];
  }
  if (fits)
    return GIE_OK;
  return gie_fail(x->ctx, GIE_E_SHAPE, "input \"%s\" is %s, the graph takes %s", v->name,
                  gie_shape_text(NULL, &type.shape, have, sizeof have),
                  gie_shape_text(x->graph, &v->type.shape, want, sizeof want));
}

gie_status gie_exec_set_input(struct gie_exec *x, const char *name, const struct gie_tensor *t)
{
  gie_id id = gie_value_find(x->graph, name);
  struct run_input *in = NULL;
  size_t bytes;
  bool moved = false;
  for (uint32_t i = 0; id != GIE_NONE && i < x->n_inputs; i++)
    if (x->inputs[i].value == id)
      in = &x->inputs[i];
  if (!in)
    return no_such(x, "input", name, x->n_inputs, gie_graph_input);
  const struct gie_value *v = gie_value_get(x->graph, id);
  gie_status st = run_tensor_bytes(x->ctx, t, &bytes);
  if (st != GIE_OK)
    return gie_error_prefix(x->ctx, st, "input \"%s\"", name);
  if (v->type.dtype != GIE_DTYPE_NONE && v->type.dtype != t->dtype)
    return gie_fail(x->ctx, GIE_E_TYPE, "input \"%s\" has elements of %s, the graph takes %s", name,
                    gie_dtype_name(t->dtype), gie_dtype_name(v->type.dtype));
  GIE_TRY(check_dims(x, v, t));
  if (bytes && !t->data)
    return gie_fail(x->ctx, GIE_E_USAGE, "input \"%s\" has no data", name);
  in->set = false;
  GIE_TRY(run_device_activate(x->device));
  st = run_pinned_reserve(x->device, &in->block, bytes, &moved);
  if (moved && x->device->host)
    x->generation++;
  if (st != GIE_OK)
    return gie_error_prefix(x->ctx, st, "input \"%s\"", name);
  if (bytes)
    memcpy(in->block.data, t->data, bytes);
  in->t = *t;
  in->t.data = in->block.data;
  in->set = true;
  return GIE_OK;
}

/* ---- Running ----------------------------------------------------------------------------------- */

/* Types of the tensors that were set. An input that nothing reads may stay unset. */
static gie_status input_types(const struct gie_exec *x, struct gie_type *types)
{
  for (uint32_t i = 0; i < x->n_inputs; i++) {
    const struct gie_value *v = gie_value_get(x->graph, x->inputs[i].value);
    types[i] = x->inputs[i].set ? run_tensor_type(&x->inputs[i].t) : v->type;
    if (!x->inputs[i].set && (v->n_uses || v->n_outputs))
      return gie_fail(x->ctx, GIE_E_USAGE, "input \"%s\" is not set; give it before running", v->name);
  }
  return GIE_OK;
}

/* Room for a whole batch; what is there stays. */
static gie_status grow_input(struct gie_exec *x, struct run_input *in, size_t have, size_t bytes)
{
  struct run_memory_block block = {0};
  if (bytes <= in->block.bytes)
    return GIE_OK;
  GIE_TRY(run_pinned_reserve(x->device, &block, bytes, NULL));
  if (have)
    memcpy(block.data, in->block.data, have);
  run_pinned_free(x->device, &in->block);
  in->block = block;
  in->t.data = block.data;
  x->generation += x->device->host;
  return GIE_OK;
}

gie_status run_pad_inputs(struct gie_exec *x, const struct gie_type *types)
{
  for (uint32_t i = 0; i < x->n_inputs; i++) {
    struct run_input *in = &x->inputs[i];
    struct gie_tensor whole = in->t;
    size_t have, bytes;
    if (!in->set || in->t.rank < 1 || in->t.dim[0] == types[i].shape.dim[0].b)
      continue;
    whole.dim[0] = types[i].shape.dim[0].b;
    GIE_TRY(run_tensor_bytes(x->ctx, &in->t, &have));
    GIE_TRY(run_tensor_bytes(x->ctx, &whole, &bytes));
    GIE_TRY(grow_input(x, in, have, bytes));
    size_t row = bytes / (size_t)whole.dim[0];
    for (size_t at = have; at < bytes; at += row)
      if (have)
        memcpy((char *)in->block.data + at, (char *)in->block.data + have - row, row);
      else
        memset((char *)in->block.data + at, 0, row);
  }
  return GIE_OK;
}

static gie_status use_types(struct gie_exec *x, struct gie_type *types)
{
  const struct gie_graph *g = x->graph;
  GIE_TRY(input_types(x, types));
  if (x->source)
    GIE_TRY(x->source->choose(x->source, types, &g));
  GIE_TRY(run_use_spec(x, g, types));
  return x->source && x->source->rows >= 0 ? run_pad_inputs(x, types) : GIE_OK;
}

static gie_status choose_spec(struct gie_exec *x)
{
  struct gie_type *types = gie_alloc(x->ctx, x->n_inputs, sizeof *types);
  gie_status st = types ? use_types(x, types) : GIE_E_MEMORY;
  gie_free(x->ctx, types);
  return st;
}

static gie_status collect(struct gie_exec *x, struct run_spec *s)
{
  for (uint32_t i = 0; i < x->n_outputs; i++) {
    gie_id id = gie_graph_output(s->graph, i);
    const struct gie_value *v = gie_value_get(s->graph, id);
    struct run_output *out = &x->outputs[i];
    gie_status st;
    if (v->producer != GIE_NONE && s->is_tail[v->producer])
      st = run_tail_value(x, s, id, &out->t);
    else if (out->on_way)
      st = run_flow_output(x, s, i, &out->t);
    else
      st = run_static_value(x, s, id, true, &out->block, &out->t);
    if (st != GIE_OK)
      return gie_error_prefix(x->ctx, st, "output \"%s\"", v->name);
    if (x->source && x->source->rows >= 0 && x->source->cut[i])
      out->t.dim[0] = x->source->rows;
  }
  return GIE_OK;
}

static gie_status run_on_device(struct gie_exec *x, struct run_spec *s)
{
  GIE_TRY(run_flow(x, s));
  double computed = run_now();
  GIE_TRY(collect(x, s));
  x->times.download += run_now() - computed;
  return GIE_OK;
}

/* The parts of a run with the clock read between them. */
static gie_status run_on_host(struct gie_exec *x, struct run_spec *s)
{
  struct gie_run_times t = {.struct_size = sizeof t};
  x->began = run_now();
  GIE_TRY(run_stage(x, s));
  double staged = run_now();
  GIE_TRY(run_static(x, s));
  t.enqueue = run_now() - staged;
  GIE_TRY(run_tail_nodes(x, s));
  GIE_TRY(run_device_sync(x->device));
  double computed = run_now();
  GIE_TRY(collect(x, s));
  t.upload = staged - x->began;
  t.compute = computed - staged;
  t.download = run_now() - computed;
  x->times = t;
  return GIE_OK;
}

/* Takes the specialization at hand apart, whose kernels want too much workspace, and binds others. */
static gie_status bind_smaller(struct gie_exec *x, size_t largest)
{
  struct run_spec **at = &x->specs;
  while (*at != x->current)
    at = &(*at)->next;
  struct run_spec *gone = *at;
  *at = gone->next;
  run_tail_reset(x);
  x->current = NULL;
  run_spec_free(gone);
  x->binder.max_workspace = largest;
  return choose_spec(x);
}

/* Addresses for the run. Where there is not enough memory, kernels with less workspace are tried, as long as there is
 * one that has any. */
static gie_status link_steps(struct gie_exec *x)
{
  for (;;) {
    size_t largest = 0;
    gie_status st = run_link(x, x->current);
    for (uint32_t i = 0; st == GIE_E_MEMORY && i < x->current->n_static; i++)
      if (x->current->steps[i].bound.workspace > largest)
        largest = x->current->steps[i].bound.workspace;
    if (st != GIE_E_MEMORY || largest == 0)
      return st;
    char why[512];
    snprintf(why, sizeof why, "%s", gie_error_text(x->ctx));
    st = bind_smaller(x, largest);
    if (st != GIE_OK) {
      x->binder.max_workspace = 0;
      return st == GIE_E_MEMORY ? gie_fail(x->ctx, st, "%s; no kernels do with less workspace", why) : st;
    }
    gie_log(x->ctx, GIE_LOG_WARN, "run", "%s; kernels with less workspace run", why);
  }
}

gie_status gie_exec_run(struct gie_exec *x)
{
  x->ran = false;
  GIE_TRY(run_device_activate(x->device));
  GIE_TRY(choose_spec(x));
  GIE_TRY(link_steps(x));
  GIE_TRY(x->device->host ? run_on_host(x, x->current) : run_on_device(x, x->current));
  x->ran = true;
  return GIE_OK;
}

gie_status gie_exec_repeat(struct gie_exec *x, uint32_t n, double *seconds)
{
  *seconds = 0;
  if (!x->ran)
    return gie_fail(x->ctx, GIE_E_USAGE, "there are no inputs on the device yet; run first");
  if (x->current->n_tail)
    return gie_fail(x->ctx, GIE_E_UNSUPPORTED,
                    "some shapes are computed on the host, so runs cannot follow each other");
  GIE_TRY(run_device_activate(x->device));
  if (!x->device->host)
    return run_flow_repeat(x, x->current, n, seconds);
  for (uint32_t i = 0; i < n; i++) {
    GIE_TRY(run_on_host(x, x->current));
    *seconds += x->times.compute;
  }
  return GIE_OK;
}

gie_status gie_exec_output(struct gie_exec *x, const char *name, struct gie_tensor *out)
{
  gie_id id = gie_value_find(x->graph, name);
  for (uint32_t i = 0; id != GIE_NONE && i < x->n_outputs; i++) {
    if (gie_graph_output(x->graph, i) != id)
      continue;
    if (!x->ran)
      return gie_fail(x->ctx, GIE_E_USAGE, "output \"%s\" is not there; run first", name);
    *out = x->outputs[i].t;
    return GIE_OK;
  }
  return no_such(x, "output", name, x->n_outputs, gie_graph_output);
}
