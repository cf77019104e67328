/* SPDX-License-Identifier: Apache-2.0 */
/* The executor: keeps a graph, its inputs, and one specialization per input shape. */
#include "core/run/run.h"

/* ---- Making it --------------------------------------------------------------------------------- */

static gie_status open_devices(struct gie_exec *x, const struct gie_exec_options *o)
{
  GIE_TRY(run_device_open(x->ctx, o->device, o->threads, &x->device));
  run_weights_init(&x->weights, &x->device);
  GIE_TRY(run_binder_init(&x->binder, &x->device, &x->weights, o->backends));
  if (x->device.host) {
    run_once_share(&x->once, &x->binder);
    return GIE_OK;
  }
  GIE_TRY(run_device_open(x->ctx, NULL, o->threads, &x->host));
  x->has_host = true;
  run_weights_init(&x->host_weights, &x->host);
  GIE_TRY(run_binder_init(&x->host_binder, &x->host, &x->host_weights, o->backends));
  run_once_share(&x->once, &x->host_binder);
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

/* Specializes right away when the graph says all dims. */
static gie_status prepare(struct gie_exec *x)
{
  struct gie_type *types = gie_alloc(x->ctx, x->n_inputs, sizeof *types);
  bool ready = types != NULL;
  for (uint32_t i = 0; ready && i < x->n_inputs; i++) {
    types[i] = gie_value_get(x->graph, x->inputs[i].value)->type;
    ready = run_type_is_static(&types[i]);
  }
  gie_status st = types ? GIE_OK : GIE_E_MEMORY;
  if (ready)
    st = run_use_spec(x, types);
  gie_free(x->ctx, types);
  return st;
}

gie_status gie_exec_new(const struct gie_graph *g, const struct gie_exec_options *options,
                        struct gie_exec **out)
{
  static const struct gie_exec_options defaults = {.struct_size = sizeof defaults};
  const struct gie_exec_options *o = options ? options : &defaults;
  struct gie_context *ctx = gie_graph_context(g);
  struct gie_exec *x = gie_alloc(ctx, 1, sizeof *x);
  if (!x)
    return GIE_E_MEMORY;
  x->ctx = ctx;
  x->profile = o->profile;
  x->generation = 1;
  gie_status st = gie_graph_clone(g, &x->graph);
  if (st == GIE_OK)
    st = gie_graph_verify(x->graph);
  if (st == GIE_OK)
    st = open_devices(x, o);
  if (st == GIE_OK)
    st = list_values(x);
  if (st == GIE_OK)
    st = run_check_ops(x->graph, &x->binder, x->has_host ? &x->host_binder : NULL);
  if (st == GIE_OK)
    st = prepare(x);
  if (st != GIE_OK) {
    gie_exec_free(x);
    return st;
  }
  *out = x;
  return GIE_OK;
}

static void close_devices(struct gie_exec *x)
{
  run_once_close(&x->once);
  run_block_free(&x->device, &x->arena);
  run_block_free(&x->device, &x->out_arena);
  run_binder_free(&x->binder);
  run_weights_free(&x->weights);
  run_device_close(&x->device);
  if (x->has_host) {
    run_binder_free(&x->host_binder);
    run_weights_free(&x->host_weights);
    run_device_close(&x->host);
  }
}

void gie_exec_free(struct gie_exec *x)
{
  if (!x)
    return;
  struct gie_context *ctx = x->ctx;
  run_tail_reset(x);
  for (struct run_spec *s = x->specs, *next; s; s = next) {
    next = s->next;
    run_spec_free(s);
  }
  for (uint32_t i = 0; x->inputs && i < x->n_inputs; i++)
    gie_free(ctx, x->inputs[i].block.data);
  for (uint32_t i = 0; x->outputs && i < x->n_outputs; i++)
    gie_free(ctx, x->outputs[i].block.data);
  if (x->device.ops)
    close_devices(x);
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
static gie_status new_spec(struct gie_exec *x, const struct gie_type *types, int64_t *key, size_t n,
                           struct run_spec **out)
{
  struct run_spec *s = gie_alloc(x->ctx, 1, sizeof *s);
  if (!s) {
    gie_free(x->ctx, key);
    return GIE_E_MEMORY;
  }
  s->key = key;
  s->n_key = n;
  gie_arena_init(&s->mem, x->ctx);
  gie_status st = run_specialize(x->graph, types, &s->graph);
  if (st == GIE_OK)
    st = run_spec_build(s, &x->binder, x->has_host ? &x->host_binder : NULL);
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

gie_status run_use_spec(struct gie_exec *x, const struct gie_type *types)
{
  int64_t *key;
  size_t n;
  GIE_TRY(make_key(x, types, &key, &n));
  struct run_spec *s = find_spec(x, key, n);
  if (s)
    gie_free(x->ctx, key);
  else
    GIE_TRY(new_spec(x, types, key, n, &s));
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
  st = run_host_reserve(x->ctx, &in->block, bytes, &moved);
  if (moved)
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

static gie_status choose_spec(struct gie_exec *x)
{
  struct gie_type *types = gie_alloc(x->ctx, x->n_inputs, sizeof *types);
  gie_status st = types ? input_types(x, types) : GIE_E_MEMORY;
  if (st == GIE_OK)
    st = run_use_spec(x, types);
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
    else
      st = run_static_value(x, s, id, true, &out->block, &out->t);
    if (st != GIE_OK)
      return gie_error_prefix(x->ctx, st, "output \"%s\"", v->name);
  }
  return GIE_OK;
}

/* The parts of a run with the clock read between them. */
static gie_status run_parts(struct gie_exec *x, struct run_spec *s)
{
  struct gie_run_times t = {.struct_size = sizeof t};
  x->began = run_now();
  GIE_TRY(run_stage(x, s));
  double staged = run_now();
  GIE_TRY(run_static(x, s));
  t.enqueue = run_now() - staged;
  GIE_TRY(run_tail_nodes(x, s));
  GIE_TRY(run_device_sync(&x->device));
  double computed = run_now();
  GIE_TRY(collect(x, s));
  t.upload = staged - x->began;
  t.compute = computed - staged;
  t.download = run_now() - computed;
  x->times = t;
  return GIE_OK;
}

gie_status gie_exec_run(struct gie_exec *x)
{
  x->ran = false;
  GIE_TRY(choose_spec(x));
  GIE_TRY(run_link(x, x->current));
  GIE_TRY(run_parts(x, x->current));
  x->ran = true;
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
