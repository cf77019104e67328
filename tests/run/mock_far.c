/* SPDX-License-Identifier: Apache-2.0 */
/* The device "far" of mock.h: as asynchronous as a device can be. Work waits in the queue of its stream until somebody
 * waits for it, and of other streams no more is done than events demand; branches of a captured graph run last
 * branch first. So whoever forgets to wait gets what was there before. */
#include "tests/run/mock.h"

struct far_state far;

enum kind { COPY, FILL, RUN, RECORD, WAIT, REPLAY };

struct event {
  struct device *d;
  uint64_t recorded, done; /* records handed over, executed */
  double time;
  struct graph *graph; /* recorded last in this capture; NULL: outside */
  uint64_t in_graph, graph_done;
};

struct op {
  enum kind kind;
  struct stream *on;
  char *dst;
  const char *src;
  size_t bytes;
  int byte;
  void (*fn)(void *job);
  void *job;
  double seconds;
  struct event *event;
  uint64_t want;
  struct graph *graph;
};

struct queue {
  struct op *v;
  size_t n, cap, at;
};

struct graph {
  struct device *d;
  struct queue ops;
  struct stream *origin;
};

struct stream {
  struct device *d;
  struct queue ops;
  struct graph *capturing;
  bool is_waiting;
  struct stream *next;
};

struct device {
  struct gie_context *ctx;
  int index;
  struct stream *streams;
  double clock;
  int allocs, pinned, n_events, n_graphs;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local struct device *current;
static _Thread_local int captures; /* that go on in this thread */

/* Every call: the device is current, and in a capture there are no others than these. */
static struct device *enter(void *dev, bool may_capture)
{
  struct device *d = dev;
  ck_assert_msg(current == d, "the device was not made current in this thread");
  ck_assert_msg(may_capture || captures == 0, "a call that a capture does not allow");
  pthread_mutex_lock(&lock);
  return d;
}

static gie_status leave(gie_status st)
{
  pthread_mutex_unlock(&lock);
  return st;
}

static void push(struct queue *q, const struct op *op)
{
  if (q->n == q->cap) {
    q->cap = q->cap ? 2 * q->cap : 16;
    q->v = realloc(q->v, q->cap * sizeof *q->v);
    ck_assert(q->v != NULL);
  }
  q->v[q->n++] = *op;
}

static void run_op(struct device *d, struct op *op);

static void replay(struct device *d, struct graph *g)
{
  struct queue *q = &g->ops;
  bool *done = calloc(q->n + 1, 1), progress = true;
  size_t left = q->n;
  for (size_t i = 0; i < q->n; i++)
    if (q->v[i].event)
      q->v[i].event->graph_done = 0;
  for (; left && progress;) {
    progress = false;
    /* the last operation whose predecessors on its stream are done */
    for (size_t i = q->n; i-- > 0 && !progress;) {
      struct op *op = &q->v[i];
      bool ready = !done[i] && (op->kind != WAIT || op->event->graph_done >= op->want);
      for (size_t k = 0; k < i && ready; k++)
        ready = done[k] || q->v[k].on != op->on;
      if (!ready)
        continue;
      if (op->kind == RECORD)
        op->event->graph_done = op->want;
      else if (op->kind != WAIT)
        run_op(d, op);
      done[i] = progress = true;
      left--;
    }
  }
  free(done);
  ck_assert_msg(left == 0, "a captured graph waits for itself");
}

static void run_op(struct device *d, struct op *op)
{
  switch (op->kind) {
  case COPY:
    memcpy(op->dst, op->src, op->bytes);
    d->clock += 1e-6;
    break;
  case FILL:
    memset(op->dst, op->byte, op->bytes);
    break;
  case RUN:
    op->fn(op->job);
    d->clock += op->seconds;
    break;
  case RECORD:
    op->event->done = op->want;
    op->event->time = d->clock;
    break;
  case REPLAY:
    replay(d, op->graph);
    break;
  case WAIT:
    break;
  }
}

static void free_job(const struct op *op)
{
  if (op->kind == RUN)
    free(op->job);
}

static bool step(struct device *d, struct stream *s);

static bool records(const struct stream *s, const struct event *e, uint64_t want)
{
  for (size_t i = s->ops.at; i < s->ops.n; i++)
    if (s->ops.v[i].kind == RECORD && s->ops.v[i].event == e && s->ops.v[i].want >= want)
      return true;
  return false;
}

static void wait_for(struct device *d, struct event *e, uint64_t want)
{
  for (struct stream *s = d->streams; s && e->done < want; s = s->next)
    while (e->done < want && records(s, e, want) && step(d, s))
      ;
  ck_assert_msg(e->done >= want, "an event is waited for that nobody records");
}

static bool step(struct device *d, struct stream *s)
{
  if (s->ops.at == s->ops.n || s->is_waiting)
    return false;
  struct op op = s->ops.v[s->ops.at++];
  if (s->ops.at == s->ops.n)
    s->ops.at = s->ops.n = 0;
  if (op.kind == WAIT) {
    s->is_waiting = true;
    wait_for(d, op.event, op.want);
    s->is_waiting = false;
  } else {
    run_op(d, &op);
  }
  free_job(&op);
  return true;
}

static void drain(struct device *d, struct stream *only)
{
  for (struct stream *s = d->streams; s; s = s->next)
    while ((!only || s == only) && step(d, s))
      ;
}

/* To the stream's queue, or into the capture that it takes part in. Without a stream: now, behind everything. */
static void hand_over(struct device *d, struct stream *s, struct op op)
{
  op.on = s;
  if (!s) {
    drain(d, NULL);
    run_op(d, &op);
    free_job(&op);
  } else {
    push(s->capturing ? &s->capturing->ops : &s->ops, &op);
  }
}

/* ---- Device ------------------------------------------------------------------------------------ */

static int count(struct gie_context *c)
{
  (void)c;
  return far.absent ? 0 : 2;
}

static gie_status open_far(struct gie_context *c, int index, void **dev)
{
  struct device *d = far.absent ? NULL : gie_alloc(c, 1, sizeof *d);
  if (far.absent)
    return gie_fail(c, GIE_E_DEVICE, "there is no far device");
  if (!d)
    return GIE_E_MEMORY;
  *d = (struct device){.ctx = c, .index = index};
  far.index = index;
  *dev = d;
  return GIE_OK;
}

/* A device without activate() is current as soon as it is open. */
static gie_status open_bare(struct gie_context *c, int index, void **dev)
{
  GIE_TRY(open_far(c, index, dev));
  current = *dev;
  return GIE_OK;
}

static void close_far(void *dev)
{
  struct device *d = enter(dev, false);
  ck_assert_ptr_null(d->streams);
  ck_assert_int_eq(d->allocs, 0);
  ck_assert_int_eq(d->pinned, 0);
  ck_assert_int_eq(d->n_events, 0);
  ck_assert_int_eq(d->n_graphs, 0);
  current = NULL;
  leave(GIE_OK);
  gie_free(d->ctx, d);
}

static gie_status activate(void *dev)
{
  current = dev;
  far.activates++;
  return GIE_OK;
}

static gie_status info(void *dev, struct gie_device_info *out)
{
  leave((enter(dev, false), GIE_OK));
  snprintf(out->name, sizeof out->name, "mock");
  out->flags = GIE_DEVICE_ENERGY;
  out->memory = far.memory ? far.memory : UINT64_C(1) << 40;
  return GIE_OK;
}

static gie_status energy(void *dev, double *joules)
{
  *joules = 100 * ((struct device *)dev)->clock;
  return GIE_OK;
}

/* ---- Memory ------------------------------------------------------------------------------------ */

static gie_status out_of_memory(struct device *d, const char *what)
{
  if (far.fail_after < 0 || far.fail_after-- > 0)
    return GIE_OK;
  return gie_fail(d->ctx, GIE_E_MEMORY, "the far device has no more %s", what);
}

static gie_status alloc(void *dev, size_t bytes, void **out)
{
  struct device *d = enter(dev, false);
  gie_status st = out_of_memory(d, "memory");
  char *p = st == GIE_OK ? gie_alloc_raw(d->ctx, bytes + 512, 1) : NULL;
  if (!p)
    return leave(GIE_E_MEMORY);
  char *at = (char *)(((uintptr_t)p + 511) & ~(uintptr_t)255);
  memcpy(at - sizeof p, &p, sizeof p);
  *out = (void *)((uintptr_t)at | MOCK_FAR);
  d->allocs++;
  far.allocs++;
  far.allocated += bytes;
  return leave(GIE_OK);
}

static void free_far(void *dev, void *at)
{
  struct device *d = enter(dev, false);
  char *p;
  drain(d, NULL);
  memcpy(&p, (char *)mock_near(at) - sizeof p, sizeof p);
  gie_free(d->ctx, p);
  d->allocs--;
  leave(GIE_OK);
}

static gie_status host_alloc(void *dev, size_t bytes, void **out)
{
  struct device *d = enter(dev, false);
  gie_status st = out_of_memory(d, "pinned memory");
  if (st == GIE_OK && !(*out = gie_alloc_raw(d->ctx, bytes, 1)))
    st = GIE_E_MEMORY;
  d->pinned += st == GIE_OK;
  return leave(st);
}

static void host_free(void *dev, void *p)
{
  struct device *d = enter(dev, false);
  drain(d, NULL);
  gie_free(d->ctx, p);
  d->pinned--;
  leave(GIE_OK);
}

static gie_status copy(void *dev, void *dst, const void *src, size_t bytes, enum gie_copy kind, void *stream)
{
  struct device *d = enter(dev, false);
  ck_assert_int_eq(((uintptr_t)dst & MOCK_FAR) != 0, kind != GIE_COPY_TO_HOST);
  ck_assert_int_eq(((uintptr_t)src & MOCK_FAR) != 0, kind != GIE_COPY_TO_DEVICE);
  *(kind == GIE_COPY_TO_HOST     ? &far.to_host
    : kind == GIE_COPY_TO_DEVICE ? &far.to_device
                                 : &far.on_device) += bytes;
  far.copies++;
  hand_over(d, stream,
            (struct op){.kind = COPY,
                        .dst = mock_near(dst),
                        .src = mock_near((void *)(uintptr_t)src),
                        .bytes = bytes});
  return leave(GIE_OK);
}

static gie_status fill(void *dev, void *dst, int byte, size_t bytes, void *stream)
{
  struct device *d = enter(dev, false);
  ck_assert_int_ne(((uintptr_t)dst & MOCK_FAR) != 0, 0);
  hand_over(d, stream, (struct op){.kind = FILL, .dst = mock_near(dst), .byte = byte, .bytes = bytes});
  return leave(GIE_OK);
}

static gie_status sync_far(void *dev, void *stream)
{
  struct device *d = enter(dev, false);
  far.syncs++;
  drain(d, stream);
  return leave(far.fail_sync ? gie_fail(d->ctx, GIE_E_DEVICE, "the far device lost its way") : GIE_OK);
}

/* ---- Streams and events ------------------------------------------------------------------------ */

static gie_status stream_new(void *dev, void **stream)
{
  struct device *d = enter(dev, false);
  struct stream *s = calloc(1, sizeof *s);
  s->d = d;
  s->next = d->streams;
  d->streams = s;
  *stream = s;
  return leave(GIE_OK);
}

static void stream_free(void *dev, void *stream)
{
  struct device *d = enter(dev, false);
  struct stream *gone = stream;
  drain(d, gone);
  for (struct stream **s = &d->streams; *s; s = &(*s)->next)
    if (*s == gone) {
      *s = gone->next;
      break;
    }
  free(gone->ops.v);
  free(gone);
  leave(GIE_OK);
}

static gie_status event_new(void *dev, void **event)
{
  struct device *d = enter(dev, true); /* cheap, and no work: libraries do it in captures too */
  struct event *e = calloc(1, sizeof *e);
  e->d = d;
  d->n_events++;
  *event = e;
  return leave(GIE_OK);
}

static void event_free(void *dev, void *event)
{
  struct device *d = enter(dev, false);
  drain(d, NULL);
  free(event);
  d->n_events--;
  leave(GIE_OK);
}

static gie_status event_record(void *dev, void *event, void *stream)
{
  struct device *d = enter(dev, true);
  struct event *e = event;
  struct stream *s = stream;
  e->graph = s ? s->capturing : NULL;
  hand_over(d, s, (struct op){.kind = RECORD, .event = e, .want = e->graph ? ++e->in_graph : ++e->recorded});
  return leave(GIE_OK);
}

static gie_status event_wait(void *dev, void *event, void *stream)
{
  struct device *d = enter(dev, true);
  struct event *e = event;
  struct stream *s = stream;
  ck_assert_ptr_nonnull(s);
  if (e->graph && !s->capturing)
    s->capturing = e->graph; /* joins */
  ck_assert_msg(e->graph == s->capturing, "a capture waits for what is outside");
  hand_over(d, s, (struct op){.kind = WAIT, .event = e, .want = e->graph ? e->in_graph : e->recorded});
  return leave(GIE_OK);
}

static gie_status event_elapsed(void *dev, void *from, void *to, double *seconds)
{
  struct device *d = enter(dev, false);
  const struct event *a = from, *b = to;
  (void)d;
  ck_assert_msg(a->done == a->recorded && b->done == b->recorded && !a->graph && !b->graph,
                "the time of an event that was not waited for");
  *seconds = b->time - a->time;
  return leave(GIE_OK);
}

/* ---- Capture ----------------------------------------------------------------------------------- */

static gie_status capture_begin(void *dev, void *stream)
{
  struct device *d = enter(dev, false);
  struct stream *s = stream;
  struct graph *g = calloc(1, sizeof *g);
  ck_assert_ptr_nonnull(s);
  ck_assert_ptr_null(s->capturing);
  g->d = d;
  g->origin = s;
  s->capturing = g;
  captures++;
  far.captures++;
  d->n_graphs++;
  return leave(GIE_OK);
}

/* The first stream waits at the end for what every other did last. */
static bool is_joined(const struct graph *g, const struct stream *s)
{
  const struct event *last = NULL;
  for (size_t i = 0; i < g->ops.n; i++) {
    const struct op *op = &g->ops.v[i];
    if (op->on == s)
      last = op->kind == RECORD ? op->event : NULL;
    else if (op->on == g->origin && op->kind == WAIT && op->event == last && last)
      return true;
  }
  return false;
}

static void graph_free(struct graph *g)
{
  for (size_t i = 0; i < g->ops.n; i++)
    free_job(&g->ops.v[i]);
  free(g->ops.v);
  g->d->n_graphs--;
  free(g);
}

static gie_status capture_end(void *dev, void *stream, void **graph)
{
  struct device *d = enter(dev, true);
  struct stream *s = stream;
  struct graph *g = s->capturing;
  ck_assert_ptr_nonnull(g);
  captures--;
  for (struct stream *t = d->streams; t; t = t->next)
    if (t->capturing == g) {
      ck_assert_msg(t == s || is_joined(g, t) || far.fail_capture, "a stream of a capture is not joined");
      t->capturing = NULL;
    }
  for (size_t i = 0; i < g->ops.n; i++)
    if (g->ops.v[i].event)
      g->ops.v[i].event->in_graph = 0;
  if (far.fail_capture) {
    graph_free(g);
    return leave(gie_fail(d->ctx, GIE_E_DEVICE, "the far device captures nothing today"));
  }
  *graph = g;
  return leave(GIE_OK);
}

static gie_status capture_launch(void *dev, void *graph, void *stream)
{
  struct device *d = enter(dev, false);
  far.replays++;
  hand_over(d, stream, (struct op){.kind = REPLAY, .graph = graph});
  return leave(GIE_OK);
}

static void capture_free(void *dev, void *graph)
{
  struct device *d = enter(dev, false);
  drain(d, NULL);
  graph_free(graph);
  leave(GIE_OK);
}

void mock_far_run(void *stream, double seconds, void (*fn)(void *job), const void *job, size_t size)
{
  struct device *d = stream ? ((struct stream *)stream)->d : current;
  void *copy = malloc(size);
  ck_assert(copy != NULL);
  memcpy(copy, job, size);
  enter(d, true);
  hand_over(d, stream, (struct op){.kind = RUN, .fn = fn, .job = copy, .seconds = seconds});
  leave(GIE_OK);
}

const struct gie_device mock_far = {.struct_size = sizeof mock_far,
                                    .kind = "far",
                                    .count = count,
                                    .open = open_far,
                                    .close = close_far,
                                    .info = info,
                                    .alloc = alloc,
                                    .free = free_far,
                                    .copy = copy,
                                    .sync = sync_far,
                                    .stream_new = stream_new,
                                    .stream_free = stream_free,
                                    .event_new = event_new,
                                    .event_free = event_free,
                                    .event_record = event_record,
                                    .event_wait = event_wait,
                                    .event_elapsed = event_elapsed,
                                    .capture_begin = capture_begin,
                                    .capture_end = capture_end,
                                    .capture_launch = capture_launch,
                                    .capture_free = capture_free,
                                    .energy = energy,
                                    .activate = activate,
                                    .fill = fill,
                                    .host_alloc = host_alloc,
                                    .host_free = host_free};

/* One that can do nothing but what every device can. */
const struct gie_device mock_far_bare = {.struct_size = offsetof(struct gie_device, activate),
                                         .kind = "far",
                                         .count = count,
                                         .open = open_bare,
                                         .close = close_far,
                                         .info = info,
                                         .alloc = alloc,
                                         .free = free_far,
                                         .copy = copy,
                                         .sync = sync_far};
