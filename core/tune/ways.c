/* SPDX-License-Identifier: Apache-2.0 */
/* One stream or several, in the worker (frames and lines as in core/module/wire.h).
 *
 *   WAYS     threads COUNT   device KIND:INDEX   backends RULES
 *            graph BYTES            text IR with choices and streams in its notes; large constants are inputs
 *            data BYTES NAME        that input is a constant with these bytes
 *            random NAME            a constant with any contents: weights are as fast whatever they are
 *            then the bytes of graph and data, in the order of their lines
 *   REPLY    one SECONDS   several SECONDS */
#include "core/tune/ways.h"
#include "core/ir/text.h"
#include <math.h>

#define SMALL 4096                /* bytes of a constant that is sent */
#define INDICES ((size_t)1 << 20) /* the same for integers, which may be indices */
#define ROUNDS 9
#define MIN_ROUNDS 3
#define MAX_SECONDS 4.0 /* of measuring, after the first rounds */
#define SAMPLE 2e-3     /* seconds that a device runs for a sample at least */
#define MAX_REPEATS 64

/* ---- The parent: from a graph to a request */

struct sender {
  struct gie_context *ctx;
  struct gie_graph *g;
  struct gie_buf lines, bytes;
};

/* Replaces a constant by an input that the worker makes a constant of again. */
static gie_status send_constant(struct sender *s, gie_id from)
{
  const struct gie_value *v = gie_value_get(s->g, from);
  bool is_int = v->type.dtype == GIE_I32 || v->type.dtype == GIE_I64;
  bool send = v->data.size <= (is_int ? INDICES : SMALL);
  gie_id to;
  if (send && v->data.size / gie_dtype_size(v->type.dtype) <= TEXT_INLINE_MAX)
    return GIE_OK; /* the text has them */
  GIE_TRY(gie_graph_add_input(s->g, NULL, &v->type, &to));
  GIE_TRY(gie_value_set_layout(s->g, to, &v->layout));
  if (v->quant.n)
    GIE_TRY(gie_value_set_quant(s->g, to, &v->quant));
  if (send) {
    gie_buf_printf(&s->lines, "data %zu %s\n", v->data.size, gie_value_get(s->g, to)->name);
    gie_buf_put(&s->bytes, gie_value_bytes(s->g, from, NULL), v->data.size);
  } else {
    gie_buf_printf(&s->lines, "random %s\n", gie_value_get(s->g, to)->name);
  }
  GIE_TRY(gie_value_replace(s->g, from, to));
  return gie_value_remove(s->g, from);
}

static gie_status send_constants(struct sender *s)
{
  gie_id n = gie_graph_n_values(s->g); /* inputs are added behind them */
  for (gie_id v = 0; v < n; v++) {
    const struct gie_value *value = gie_value_get(s->g, v);
    if (value->kind != GIE_VALUE_CONST)
      continue;
    GIE_TRY(value->n_uses || value->n_outputs ? send_constant(s, v) : gie_value_remove(s->g, v));
  }
  return GIE_OK;
}

static gie_status put_request(struct sender *s, const struct ways_request *rq, struct gie_buf *b)
{
  char *text;
  size_t size;
  GIE_TRY(send_constants(s));
  GIE_TRY(gie_graph_print(s->g, &text, &size));
  wire_put_u64(b, "threads", rq->threads);
  if (rq->device)
    wire_put_line(b, "device", rq->device);
  if (rq->backends)
    wire_put_line(b, "backends", rq->backends);
  wire_put_u64(b, "graph", size);
  gie_buf_put(b, s->lines.data ? s->lines.data : "", s->lines.len);
  gie_buf_puts(b, "\n");
  gie_buf_put(b, text, size);
  gie_buf_put(b, s->bytes.data ? s->bytes.data : "", s->bytes.len);
  gie_free(s->ctx, text);
  return s->lines.status != GIE_OK   ? s->lines.status
         : s->bytes.status != GIE_OK ? s->bytes.status
                                     : b->status;
}

gie_status ways_put_request(const struct gie_graph *g, const struct ways_request *rq, struct gie_buf *b)
{
  struct sender s = {.ctx = gie_graph_context(g)};
  GIE_TRY(gie_graph_clone(g, &s.g));
  gie_buf_init(&s.lines, s.ctx);
  gie_buf_init(&s.bytes, s.ctx);
  gie_status st = put_request(&s, rq, b);
  gie_buf_free(&s.lines);
  gie_buf_free(&s.bytes);
  gie_graph_free(s.g);
  return st;
}

static gie_status take_reply(void *user, enum wire_type type, char *payload, size_t size)
{
  double *seconds = user;
  char *at = payload;
  const char *key, *value;
  while (type == WIRE_REPLY && wire_next_line(&at, payload + size, &key, &value)) {
    if (strcmp(key, "one") == 0)
      seconds[0] = wire_double(value);
    else if (strcmp(key, "several") == 0)
      seconds[1] = wire_double(value);
  }
  return GIE_OK;
}

gie_status ways_measure(struct worker *w, const struct gie_graph *g, const struct ways_request *rq,
                        double seconds[2])
{
  struct gie_context *ctx = worker_context(w);
  enum worker_end end = WORKER_ANSWERED;
  struct gie_buf b;
  char how[128];
  seconds[0] = seconds[1] = 0;
  gie_buf_init(&b, ctx);
  gie_status st = ways_put_request(g, rq, &b);
  if (st == GIE_OK)
    st = worker_talk(w, WIRE_WAYS, &b, take_reply, seconds, &end, how);
  gie_buf_free(&b);
  if (st == GIE_OK && end != WORKER_ANSWERED)
    st = gie_fail(ctx, GIE_E_DEVICE, "the probe worker ran it and is gone: %s", how);
  if (st == GIE_OK && !(seconds[0] > 0 && seconds[1] > 0 && isfinite(seconds[0]) && isfinite(seconds[1])))
    st = gie_fail(ctx, GIE_E_INTERNAL, "the probe worker gives no times");
  if (st == GIE_E_DEVICE && end == WORKER_ANSWERED)
    worker_replace(w); /* its device may be damaged */
  return st;
}

/* ---- The worker: from a request to a graph */

struct server {
  struct gie_context *ctx;
  struct ways_request rq;
  struct gie_graph *g[2]; /* on one stream, on several */
  struct gie_exec *x[2];
  double sample[2][ROUNDS];
  uint32_t n;
};

static uint32_t next_random(uint32_t *seed) { return *seed = *seed * 1664525u + 1013904223u; }

/* Small numbers of both signs, so that sums stay finite; zeros for what is neither f32 nor f16. */
static void fill_random(enum gie_dtype dtype, void *to, size_t bytes)
{
  enum { N = 4093 };
  size_t size = gie_dtype_size(dtype), have = N * size < bytes ? N * size : bytes;
  uint32_t seed = 1;
  memset(to, 0, bytes);
  for (size_t i = 0; i < have / size && (dtype == GIE_F32 || dtype == GIE_F16); i++) {
    float f = ((float)(next_random(&seed) >> 8) / (1 << 24) - 0.5f) / 16;
    if (dtype == GIE_F32)
      ((float *)to)[i] = f;
    else
      ((uint16_t *)to)[i] = gie_f32_to_f16(f);
  }
  for (size_t more; have < bytes; have += more) {
    more = have < bytes - have ? have : bytes - have;
    memcpy((char *)to + have, to, more);
  }
}

/* The input of that name becomes a constant. */
static gie_status take_constant(struct gie_graph *g, const char *name, const char *data, size_t size)
{
  struct gie_context *ctx = gie_graph_context(g);
  gie_id from = gie_value_find(g, name), to;
  const struct gie_value *v = gie_value_get(g, from);
  struct gie_desc d;
  struct gie_blob *blob;
  size_t bytes;
  static const struct gie_layout plain;
  if (!v || v->kind != GIE_VALUE_INPUT)
    return gie_fail(ctx, GIE_E_DATA, "a graph for the worker has no input \"%s\"", name);
  GIE_TRY(gie_desc_make(ctx, &v->type, &plain, &d, &bytes));
  if (data && size != bytes)
    return gie_fail(ctx, GIE_E_DATA, "the worker is given %zu bytes for a constant of %zu", size, bytes);
  GIE_TRY(gie_blob_new(ctx, bytes, &blob));
  if (data)
    memcpy(gie_blob_data(blob), data, bytes);
  else
    fill_random(v->type.dtype, gie_blob_data(blob), bytes);
  const struct gie_const c = {blob, 0, bytes};
  gie_status st = gie_graph_add_const(g, NULL, &v->type, &c, &to);
  gie_blob_unref(blob);
  GIE_TRY(st);
  GIE_TRY(gie_value_set_layout(g, to, &v->layout));
  if (v->quant.n)
    GIE_TRY(gie_value_set_quant(g, to, &v->quant));
  GIE_TRY(gie_value_replace(g, from, to));
  return gie_value_remove(g, from);
}

/* "data BYTES NAME" and "random NAME" in the order of the lines, whose bytes follow the text. */
static gie_status take_constants(struct server *s, char *lines, char *end, const char *at, const char *stop)
{
  const char *key, *value;
  while (wire_next_line(&lines, end, &key, &value)) {
    bool sent = strcmp(key, "data") == 0;
    size_t size = sent ? (size_t)wire_u64(value) : 0;
    const char *name = sent ? strchr(value, ' ') : value;
    if (!sent && strcmp(key, "random") != 0)
      continue;
    if (!name || size > (size_t)(stop - at))
      return gie_fail(s->ctx, GIE_E_DATA, "a graph for the worker lacks the bytes of a constant");
    GIE_TRY(take_constant(s->g[1], sent ? name + 1 : name, sent ? at : NULL, size));
    at += size;
  }
  return GIE_OK;
}

static gie_status on_one_stream(struct server *s)
{
  const struct gie_attr first = {.name = "stream", .kind = GIE_ATTR_INT};
  GIE_TRY(gie_graph_clone(s->g[1], &s->g[0]));
  GIE_FOR_NODES(s->g[0], id)
    if (gie_attrs_find(&gie_node_get(s->g[0], id)->notes, "stream"))
      GIE_TRY(gie_node_set_note(s->g[0], id, &first));
  return GIE_OK;
}

static gie_status take_request(struct server *s, char *payload, size_t size)
{
  char *at = payload, *end = payload + size, *constants = payload;
  const char *key, *value;
  size_t n_text = 0;
  while (wire_next_line(&at, end, &key, &value)) {
    if (strcmp(key, "threads") == 0)
      s->rq.threads = (uint32_t)wire_u64(value);
    else if (strcmp(key, "device") == 0)
      s->rq.device = value;
    else if (strcmp(key, "backends") == 0)
      s->rq.backends = value;
    else if (strcmp(key, "graph") == 0) {
      n_text = (size_t)wire_u64(value);
      constants = at;
      break;
    }
  }
  const char *text = NULL;
  for (char *line = constants; line < end && !text; line++) /* behind the empty line */
    if (*line == '\n' && (line == constants || line[-1] == '\n'))
      text = line + 1;
  if (!text || n_text > (size_t)(end - text))
    return gie_fail(s->ctx, GIE_E_DATA, "the worker is given no graph");
  GIE_TRY(gie_graph_parse(s->ctx, text, n_text, NULL, &s->g[1]));
  GIE_TRY(take_constants(s, constants, end, text + n_text, end));
  GIE_TRY(gie_graph_infer(s->g[1]));
  return on_one_stream(s);
}

/* ---- Measuring */

/* Numbers in [0, 1) for f32, zeros for the rest: kernels take as long for either. */
static gie_status feed(struct gie_exec *x, const struct gie_graph *g, uint32_t input)
{
  const struct gie_value *v = gie_value_get(g, gie_graph_input(g, input));
  struct gie_tensor t = {.struct_size = sizeof t, .dtype = v->type.dtype, .rank = v->type.shape.rank};
  size_t bytes;
  uint32_t seed = 1;
  for (int i = 0; i < t.rank; i++)
    t.dim[i] = v->type.shape.dim[i].b;
  GIE_TRY(run_tensor_bytes(x->ctx, &t, &bytes));
  t.data = gie_alloc(x->ctx, bytes + 1, 1);
  if (!t.data)
    return GIE_E_MEMORY;
  for (size_t i = 0; t.dtype == GIE_F32 && i < bytes / 4; i++)
    ((float *)t.data)[i] = (float)(next_random(&seed) >> 8) / (1 << 24);
  gie_status st = gie_exec_set_input(x, v->name, &t);
  gie_free(x->ctx, t.data);
  return st;
}

/* Both share the weights. The first run launches step by step, the second one captures. */
static gie_status open_ways(struct server *s, struct run_engines *pool)
{
  const struct gie_exec_options o = {.struct_size = sizeof o, .threads = s->rq.threads};
  for (int i = 0; i < 2; i++) {
    struct run_engine *engine;
    struct gie_graph *copy;
    GIE_TRY(gie_graph_clone(s->g[i], &copy));
    gie_status st = run_engine_get(pool, s->ctx, s->rq.device, &engine);
    if (st != GIE_OK) {
      gie_graph_free(copy);
      return st;
    }
    GIE_TRY(run_exec_new(copy, NULL, engine, &o, s->rq.backends, &s->x[i]));
    for (uint32_t k = 0; k < gie_graph_n_inputs(s->g[i]); k++)
      GIE_TRY(feed(s->x[i], s->g[i], k));
    GIE_TRY(gie_exec_run(s->x[i]));
    GIE_TRY(gie_exec_run(s->x[i]));
  }
  return GIE_OK;
}

/* One sample: on a device many runs one behind the other, without transfers; a host has none. */
static gie_status sample(struct gie_exec *x, uint32_t repeats, double *seconds)
{
  if (repeats == 0 || gie_exec_repeat(x, repeats, seconds) == GIE_E_UNSUPPORTED) {
    double before = run_now();
    GIE_TRY(gie_exec_run(x));
    *seconds = run_now() - before;
    return GIE_OK;
  }
  *seconds /= repeats;
  return GIE_OK;
}

static int by_size(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static gie_status run_ways(struct server *s, double seconds[2])
{
  struct gie_device_info info = {.struct_size = sizeof info};
  double start = run_now(), once = 0;
  uint32_t repeats = 0;
  gie_exec_device(s->x[0], &info);
  GIE_TRY(sample(s->x[0], 0, &once));
  if (!(info.flags & GIE_DEVICE_HOST))
    repeats = once > 0 && SAMPLE / once < MAX_REPEATS ? (uint32_t)(SAMPLE / once) + 1 : MAX_REPEATS;
  for (s->n = 0; s->n < ROUNDS && (s->n < MIN_ROUNDS || run_now() - start < MAX_SECONDS); s->n++)
    for (int i = 0; i < 2; i++)
      GIE_TRY(sample(s->x[i], repeats, &s->sample[i][s->n]));
  for (int i = 0; i < 2; i++) {
    qsort(s->sample[i], s->n, sizeof(double), by_size);
    seconds[i] = s->sample[i][s->n / 2];
  }
  return GIE_OK;
}

static gie_status reply(struct server *s, int fd, const double seconds[2])
{
  struct gie_buf b;
  gie_buf_init(&b, s->ctx);
  wire_put_double(&b, "one", seconds[0]);
  wire_put_double(&b, "several", seconds[1]);
  gie_status st = b.status;
  if (st == GIE_OK)
    st = wire_send(s->ctx, fd, INFINITY, WIRE_REPLY, b.data, b.len);
  gie_buf_free(&b);
  return st;
}

gie_status ways_serve(struct gie_context *ctx, int fd, char *payload, size_t size)
{
  struct server s = {.ctx = ctx};
  struct run_engines pool;
  double seconds[2];
  run_engines_init(&pool);
  gie_status st = take_request(&s, payload, size);
  if (st == GIE_OK)
    st = open_ways(&s, &pool);
  if (st == GIE_OK)
    st = run_ways(&s, seconds);
  for (int i = 0; i < 2; i++) {
    gie_exec_free(s.x[i]);
    gie_graph_free(s.g[i]);
  }
  run_engines_free(&pool);
  return st == GIE_OK ? reply(&s, fd, seconds) : st;
}
