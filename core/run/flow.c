/* SPDX-License-Identifier: Apache-2.0 */
/* Runs on a device with memory of its own: everything is handed to streams of the executor's own and waited for
 * once.
 *
 *   inputs ──copy──> device      from pinned memory, on the first stream
 *   steps                        the first run launches them one by one; later ones replay a captured graph
 *   outputs ──copy──> host       to pinned memory, waited for, then turned into plain layout where they are not
 *
 * Steps on several streams: the others begin behind an event of the first, a step waits for the events behind the
 * steps that the schedule names, and the first stream ends behind all others. Inside a capture the same calls make
 * the branches of the graph.
 *
 * Events between the parts are the clock. With a profile or a watcher steps are launched one by one, with an
 * event before and one behind each. A device without streams, events or captures does without. */
#include "core/run/run.h"

/* ---- Streams and events ------------------------------------------------------------------------ */

bool run_has_events(const struct run_device *d)
{
  const struct gie_device *o = d->ops;
  return !d->host && o->event_new && o->event_free && o->event_record && o->event_wait && o->event_elapsed;
}

bool run_has_streams(const struct run_device *d)
{
  return run_has_events(d) && d->ops->stream_new && d->ops->stream_free;
}

static bool has_capture(const struct run_device *d)
{
  const struct gie_device *o = d->ops;
  return run_has_streams(d) && o->capture_begin && o->capture_end && o->capture_launch && o->capture_free;
}

static gie_status event_make(struct run_device *d, void **event)
{
  return *event ? GIE_OK : d->ops->event_new(d->dev, event);
}

static gie_status record(struct gie_exec *x, void **event, uint32_t stream)
{
  struct run_device *d = x->device;
  GIE_TRY(event_make(d, event));
  return d->ops->event_record(d->dev, *event, x->flow.stream[stream]);
}

gie_status run_flow_open(struct gie_exec *x)
{
  struct run_device *d = x->device;
  const char *sync = gie_config(x->ctx, "SYNC");
  const char *graph = gie_config(x->ctx, "GRAPH");
  x->flow.sync_each = sync && strcmp(sync, "0") != 0;
  x->flow.no_capture = graph && strcmp(graph, "0") == 0;
  if (d->host || !run_has_streams(d))
    return GIE_OK;
  GIE_TRY(d->ops->stream_new(d->dev, &x->flow.stream[0]));
  x->flow.n_streams = 1;
  return GIE_OK;
}

void run_flow_close(struct gie_exec *x)
{
  struct run_flow *f = &x->flow;
  struct run_device *d = x->device;
  for (size_t i = 0; i < sizeof f->mark / sizeof *f->mark; i++)
    if (f->mark[i])
      d->ops->event_free(d->dev, f->mark[i]);
  for (uint32_t i = 0; i < f->n_streams; i++) {
    if (f->join[i])
      d->ops->event_free(d->dev, f->join[i]);
    d->ops->stream_free(d->dev, f->stream[i]);
  }
  memset(f, 0, sizeof *f);
}

/* As many streams as the schedule has. */
static gie_status need_streams(struct gie_exec *x, const struct run_spec *s)
{
  struct run_flow *f = &x->flow;
  while (f->n_streams && f->n_streams < s->schedule.n_streams) {
    GIE_TRY(x->device->ops->stream_new(x->device->dev, &f->stream[f->n_streams]));
    f->n_streams++;
  }
  return GIE_OK;
}

gie_status run_flow_sync(struct gie_exec *x)
{
  struct run_device *d = x->device;
  return d->ops->sync ? d->ops->sync(d->dev, x->flow.stream[0]) : GIE_OK;
}

void run_flow_forget(struct run_spec *s)
{
  struct run_device *d = s->device;
  if (!d)
    return;
  if (s->graph_of_steps)
    d->ops->capture_free(d->dev, s->graph_of_steps);
  for (uint32_t i = 0; s->steps && i < s->n_static; i++) {
    if (s->steps[i].before)
      d->ops->event_free(d->dev, s->steps[i].before);
    if (s->steps[i].behind)
      d->ops->event_free(d->dev, s->steps[i].behind);
  }
  s->graph_of_steps = NULL;
}

/* ---- The clock --------------------------------------------------------------------------------- */

/* Marks a place in the work of the first stream; without events the work is waited for. */
static gie_status mark(struct gie_exec *x, enum run_mark m)
{
  if (run_has_events(x->device))
    return record(x, &x->flow.mark[m], 0);
  GIE_TRY(run_flow_sync(x));
  x->flow.at[m] = run_now();
  return GIE_OK;
}

/* Seconds between two marks; all was waited for. */
static gie_status between(struct gie_exec *x, enum run_mark from, enum run_mark to, double *seconds)
{
  const struct run_flow *f = &x->flow;
  if (run_has_events(x->device))
    return x->device->ops->event_elapsed(x->device->dev, f->mark[from], f->mark[to], seconds);
  *seconds = f->at[to] - f->at[from];
  return GIE_OK;
}

/* ---- Steps ------------------------------------------------------------------------------------- */

static gie_status fork_streams(struct gie_exec *x, const struct run_spec *s)
{
  const struct gie_device *o = x->device->ops;
  if (s->schedule.n_streams < 2)
    return GIE_OK;
  GIE_TRY(record(x, &x->flow.join[0], 0));
  for (uint32_t i = 1; i < s->schedule.n_streams; i++)
    GIE_TRY(o->event_wait(x->device->dev, x->flow.join[0], x->flow.stream[i]));
  return GIE_OK;
}

static gie_status join_streams(struct gie_exec *x, const struct run_spec *s)
{
  const struct gie_device *o = x->device->ops;
  for (uint32_t i = 1; i < s->schedule.n_streams; i++) {
    GIE_TRY(record(x, &x->flow.join[i], i));
    GIE_TRY(o->event_wait(x->device->dev, x->flow.join[i], x->flow.stream[0]));
  }
  return GIE_OK;
}

/* One step on its stream. */
static gie_status hand_over(struct gie_exec *x, struct run_spec *s, uint32_t i, bool timed)
{
  struct run_step *step = &s->steps[i];
  const struct run_position *at = &s->schedule.at[i];
  for (uint32_t k = 0; k < at->n_waits; k++)
    GIE_TRY(x->device->ops->event_wait(x->device->dev, s->steps[s->schedule.waits[at->first_wait + k]].behind,
                                       x->flow.stream[at->stream]));
  if (timed)
    GIE_TRY(record(x, &step->before, at->stream));
  if (!step->free)
    GIE_TRY(run_launch(x, s, step, x->flow.stream[at->stream]));
  return timed || step->awaited ? record(x, &step->behind, at->stream) : GIE_OK;
}

/* All steps, without waiting for any. */
static gie_status hand_over_all(struct gie_exec *x, struct run_spec *s)
{
  GIE_TRY(fork_streams(x, s));
  for (uint32_t i = 0; i < s->n_static; i++)
    GIE_TRY(hand_over(x, s, i, false));
  return join_streams(x, s);
}

/* The same with the time of each, for the profile and who watches. */
static gie_status hand_over_watched(struct gie_exec *x, struct run_spec *s)
{
  bool timed = x->profile && run_has_events(x->device);
  GIE_TRY(fork_streams(x, s));
  for (uint32_t i = 0; i < s->n_static; i++) {
    struct run_step *step = &s->steps[i];
    double from = run_now();
    GIE_TRY(hand_over(x, s, i, timed));
    if (x->profile && !timed && !step->free)
      GIE_TRY(run_flow_sync(x));
    step->start = from - x->began;
    step->seconds = x->profile && !timed && !step->free ? run_now() - from : 0;
    if (x->watch.fn) {
      GIE_TRY(x->device->ops->sync(x->device->dev, x->flow.stream[s->schedule.at[i].stream]));
      GIE_TRY(run_show_step(x, s, step));
    }
  }
  return join_streams(x, s);
}

/* Reads the events of a watched run. */
static gie_status take_step_times(struct gie_exec *x, struct run_spec *s)
{
  struct run_device *d = x->device;
  if (!x->profile || !run_has_events(d))
    return GIE_OK;
  for (uint32_t i = 0; i < s->n_static; i++) {
    struct run_step *step = &s->steps[i];
    GIE_TRY(d->ops->event_elapsed(d->dev, x->flow.mark[RUN_BEGIN], step->before, &step->start));
    step->seconds = 0;
    if (!step->free)
      GIE_TRY(d->ops->event_elapsed(d->dev, step->before, step->behind, &step->seconds));
  }
  return GIE_OK;
}

/* ---- Capture ----------------------------------------------------------------------------------- */

static bool may_capture(const struct gie_exec *x, const struct run_spec *s)
{
  return has_capture(x->device) && s->can_capture && !x->flow.no_capture && !x->flow.sync_each &&
         !x->profile && !x->watch.fn;
}

static gie_status capture(struct gie_exec *x, struct run_spec *s)
{
  struct run_device *d = x->device;
  void *graph = NULL;
  if (s->graph_of_steps)
    d->ops->capture_free(d->dev, s->graph_of_steps);
  s->graph_of_steps = NULL;
  GIE_TRY(d->ops->capture_begin(d->dev, x->flow.stream[0]));
  gie_status st = hand_over_all(x, s);
  if (st != GIE_OK) {
    gie_log(x->ctx, GIE_LOG_DEBUG, "run", "while capturing: %s", gie_error_text(x->ctx));
    if (d->ops->capture_end(d->dev, x->flow.stream[0], &graph) == GIE_OK && graph)
      d->ops->capture_free(d->dev, graph);
    return st;
  }
  GIE_TRY(d->ops->capture_end(d->dev, x->flow.stream[0], &graph));
  s->graph_of_steps = graph;
  s->captured = x->generation;
  return GIE_OK;
}

/* Whether a graph for the present addresses is there. One that cannot be made is done without from then on. */
static bool has_graph(struct gie_exec *x, struct run_spec *s)
{
  if (!may_capture(x, s))
    return false;
  if (s->graph_of_steps && s->captured == x->generation)
    return true;
  if (capture(x, s) == GIE_OK)
    return true;
  x->flow.no_capture = true;
  gie_log(x->ctx, GIE_LOG_WARN, "run",
          "the launches cannot be captured (%s); they are handed over one by one, which takes longer",
          gie_error_text(x->ctx));
  return false;
}

/* The first time after binding the steps run one by one: libraries load what they need then. */
static gie_status launch_steps(struct gie_exec *x, struct run_spec *s)
{
  x->flow.replayed = s->warm && has_graph(x, s);
  if (x->flow.replayed)
    return x->device->ops->capture_launch(x->device->dev, s->graph_of_steps, x->flow.stream[0]);
  s->warm = true;
  return x->profile || x->watch.fn ? hand_over_watched(x, s) : hand_over_all(x, s);
}

/* ---- Transfers --------------------------------------------------------------------------------- */

/* An input to where the steps read it, in the layout that the graph stores it in. */
static gie_status send_input(struct gie_exec *x, struct run_spec *s, uint32_t i)
{
  static const struct gie_layout plain;
  struct run_input *in = &x->inputs[i];
  gie_id value = gie_graph_input(s->graph, i);
  const struct run_value *v = &s->values[value];
  const void *from = in->t.data;
  struct gie_desc desc;
  if (!v->placed || v->buffer == RUN_NONE || v->bytes == 0 || !in->set)
    return GIE_OK;
  if (!run_desc_is_plain(&v->desc)) {
    GIE_TRY(gie_desc_make(x->ctx, &gie_value_get(s->graph, value)->type, &plain, &desc, NULL));
    GIE_TRY(run_pinned_reserve(x->device, &in->turned, v->bytes, NULL));
    run_reorder(&desc, in->t.data, &v->desc, in->turned.data);
    from = in->turned.data;
  }
  return x->device->ops->copy(x->device->dev, run_address(x, s, value), from, v->bytes, GIE_COPY_TO_DEVICE,
                              x->flow.stream[0]);
}

/* An output that is on the device: the copy is on its way afterwards. */
static gie_status fetch_output(struct gie_exec *x, const struct run_spec *s, uint32_t i)
{
  gie_id value = gie_graph_output(s->graph, i);
  const struct gie_value *v = gie_value_get(s->graph, value);
  const struct run_value *at = &s->values[value];
  struct run_output *out = &x->outputs[i];
  bool plain = run_desc_is_plain(&at->desc);
  out->on_way = false;
  if ((v->producer != GIE_NONE && s->is_tail[v->producer]) || !at->placed || run_is_on_host(x, s, v))
    return GIE_OK;
  out->on_way = true;
  const struct run_value *root = &s->values[at->root];
  size_t bytes = plain ? (size_t)gie_desc_count(&at->desc) * gie_dtype_size(at->desc.dtype) : root->bytes;
  GIE_TRY(run_pinned_reserve(x->device, plain ? &out->pinned : &out->whole, bytes, NULL));
  if (bytes == 0)
    return GIE_OK;
  return x->device->ops->copy(x->device->dev, plain ? out->pinned.data : out->whole.data,
                              run_address(x, s, plain ? value : at->root), bytes, GIE_COPY_TO_HOST,
                              x->flow.stream[0]);
}

gie_status run_flow_output(struct gie_exec *x, const struct run_spec *s, uint32_t i, struct gie_tensor *t)
{
  static const struct gie_layout plain;
  gie_id value = gie_graph_output(s->graph, i);
  const struct gie_type *type = &gie_value_get(s->graph, value)->type;
  const struct run_value *at = &s->values[value];
  struct run_output *out = &x->outputs[i];
  struct gie_desc to;
  size_t bytes;
  *t = (struct gie_tensor){.struct_size = sizeof *t, .dtype = type->dtype, .rank = type->shape.rank};
  for (int k = 0; k < t->rank; k++)
    t->dim[k] = type->shape.dim[k].b;
  if (!run_desc_is_plain(&at->desc)) {
    GIE_TRY(gie_desc_make(x->ctx, type, &plain, &to, &bytes));
    GIE_TRY(run_pinned_reserve(x->device, &out->pinned, bytes, NULL));
    run_reorder(&at->desc, (const char *)out->whole.data + at->offset, &to, out->pinned.data);
  }
  t->data = out->pinned.data;
  return GIE_OK;
}

/* ---- The run ----------------------------------------------------------------------------------- */

static gie_status take_times(struct gie_exec *x, double enqueue, double tail)
{
  struct gie_run_times t = {.struct_size = sizeof t, .enqueue = enqueue, .replayed = x->flow.replayed};
  GIE_TRY(between(x, RUN_BEGIN, RUN_STAGED, &t.upload));
  GIE_TRY(between(x, RUN_STAGED, RUN_COMPUTED, &t.compute));
  GIE_TRY(between(x, RUN_FETCHING, RUN_FETCHED, &t.download));
  t.device = run_has_events(x->device) ? t.compute : 0;
  t.compute += tail;
  x->times = t;
  return GIE_OK;
}

gie_status run_flow(struct gie_exec *x, struct run_spec *s)
{
  double tail = 0;
  x->began = run_now();
  GIE_TRY(need_streams(x, s));
  GIE_TRY(mark(x, RUN_BEGIN));
  for (uint32_t i = 0; i < x->n_inputs; i++)
    GIE_TRY(send_input(x, s, i));
  GIE_TRY(mark(x, RUN_STAGED));
  double enqueue = run_now();
  GIE_TRY(launch_steps(x, s));
  enqueue = run_now() - enqueue;
  GIE_TRY(mark(x, RUN_COMPUTED));
  if (s->n_tail) {
    GIE_TRY(run_flow_sync(x));
    tail = run_now();
  }
  GIE_TRY(run_tail_nodes(x, s));
  tail = s->n_tail ? run_now() - tail : 0;
  GIE_TRY(mark(x, RUN_FETCHING));
  for (uint32_t i = 0; i < x->n_outputs; i++)
    GIE_TRY(fetch_output(x, s, i));
  GIE_TRY(mark(x, RUN_FETCHED));
  gie_status st = run_flow_sync(x);
  if (st != GIE_OK)
    return gie_error_prefix(x->ctx, st, "some node of the run, GIE_SYNC=1 says which");
  GIE_TRY(take_step_times(x, s));
  return take_times(x, enqueue, tail);
}

gie_status run_flow_repeat(struct gie_exec *x, struct run_spec *s, uint32_t n, double *seconds)
{
  GIE_TRY(need_streams(x, s));
  bool graph = s->warm && has_graph(x, s);
  GIE_TRY(mark(x, RUN_STAGED));
  for (uint32_t i = 0; i < n; i++)
    GIE_TRY(graph ? x->device->ops->capture_launch(x->device->dev, s->graph_of_steps, x->flow.stream[0])
                  : hand_over_all(x, s));
  GIE_TRY(mark(x, RUN_COMPUTED));
  GIE_TRY(run_flow_sync(x));
  x->flow.replayed = x->times.replayed = graph;
  return between(x, RUN_STAGED, RUN_COMPUTED, seconds);
}
