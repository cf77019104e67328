/* SPDX-License-Identifier: Apache-2.0 */
/* Devices and cases of side.h: what kernels are run on and fed with. */
#include "core/module/side.h"

/* ---- Devices */

/* "cuda:1" makes it 1 for kernels of cuda. */
static int index_of(const struct side_devices *d, const char *kind)
{
  size_t n = strlen(kind);
  int64_t index = 0;
  const char *next;
  if (d->kind && strncmp(d->kind, kind, n) == 0 && d->kind[n] == ':')
    gie_parse_int(d->kind + n + 1, d->kind + strlen(d->kind), &index, &next);
  return index > 0 && index <= INT16_MAX ? (int)index : 0;
}

static gie_status set_up(struct side_device *s)
{
  const struct gie_device *o = s->ops;
  gie_status (*activate)(void *) = GIE_OPTION(o, activate);
  s->info.struct_size = sizeof s->info;
  if (activate)
    GIE_TRY(activate(s->dev));
  GIE_TRY(o->info(s->dev, &s->info));
  if ((s->info.flags & GIE_DEVICE_HOST) || !o->stream_new || !o->stream_free)
    return GIE_OK;
  GIE_TRY(o->stream_new(s->dev, &s->stream));
  if (!o->event_new || !o->event_free || !o->event_record || !o->event_elapsed)
    return GIE_OK;
  GIE_TRY(o->event_new(s->dev, &s->from));
  GIE_TRY(o->event_new(s->dev, &s->to));
  s->has_captures = o->capture_begin && o->capture_end && o->capture_launch && o->capture_free;
  return GIE_OK;
}

static void tear_down(struct gie_context *ctx, struct side_device *s)
{
  side_device_unstage(ctx, s);
  if (s->from)
    s->ops->event_free(s->dev, s->from);
  if (s->to)
    s->ops->event_free(s->dev, s->to);
  if (s->stream)
    s->ops->stream_free(s->dev, s->stream);
  s->ops->close(s->dev);
}

gie_status side_devices_get(struct side_devices *d, const struct gie_kernel *k, struct side_device **out)
{
  struct side_device s = {0};
  for (uint32_t i = 0; i < d->n; i++)
    if (strcmp(d->v[i].ops->kind, k->device) == 0) {
      *out = &d->v[i];
      return GIE_OK;
    }
  s.ops = mod_find(d->ctx, MOD_DEVICE, k->device);
  if (!s.ops)
    return gie_fail(d->ctx, GIE_E_DEVICE,
                    "no module offers the device \"%s\" of kernel \"%s\"; add its backend to "
                    "GIE_MODULE_PATH",
                    k->device, k->name);
  if (d->n == SIDE_MAX_DEVICES)
    return gie_fail(d->ctx, GIE_E_LIMIT, "kernels of more than %d kinds of device at once", SIDE_MAX_DEVICES);
  if (s.ops->count(d->ctx) < 1)
    return gie_fail(d->ctx, GIE_E_DEVICE, "there is no \"%s\" device on this machine", k->device);
  GIE_TRY(s.ops->open(d->ctx, index_of(d, k->device), &s.dev));
  gie_status st = set_up(&s);
  if (st != GIE_OK) {
    tear_down(d->ctx, &s);
    return st;
  }
  d->v[d->n] = s;
  *out = &d->v[d->n++];
  return GIE_OK;
}

void side_devices_close(struct side_devices *d)
{
  for (uint32_t i = 0; i < d->n; i++) {
    struct side_device *s = &d->v[i];
    for (uint32_t j = 0; j < s->n_libs; j++)
      if (s->libs[j].lib->close)
        s->libs[j].lib->close(s->libs[j].handle);
    tear_down(d->ctx, s);
  }
  d->n = 0;
}

/* ---- Contents of the operands */

static gie_status plain_desc(struct side_case *c, gie_id id, struct gie_desc *d, size_t *bytes)
{
  const struct gie_value *v = gie_value_get(c->g, id);
  const struct gie_layout plain = {0};
  *bytes = 0;
  memset(d, 0, sizeof *d);
  if (!v)
    return GIE_OK; /* omitted: dtype NONE */
  if (v->type.dtype == GIE_DTYPE_NONE || v->type.shape.rank < 0)
    return gie_fail(c->ctx, GIE_E_UNSUPPORTED, "value \"%s\" has no type; a probe needs types and numbers",
                    v->name);
  return gie_desc_make(c->ctx, &v->type, &plain, d, bytes);
}

static const struct probe_input *given_input(const struct side_case *c, gie_id id)
{
  for (uint32_t i = 0; i < c->n_inputs; i++)
    if (gie_graph_input(c->g, c->inputs[i].index) == id)
      return &c->inputs[i];
  return NULL;
}

bool side_repeats(const struct side_case *c, uint32_t i)
{
  return c->period && !gie_value_bytes(c->g, c->node->in[i], NULL) && c->in[i].rank > 0;
}

/* Random contents, of an operand that repeats its first rows only. */
static gie_status fill_random(struct side_case *c, uint32_t i, void *data)
{
  struct gie_desc *in = gie_alloc(c->ctx, c->n_in, sizeof *in);
  if (!in)
    return GIE_E_MEMORY;
  memcpy(in, c->in, c->n_in * sizeof *in);
  for (uint32_t j = 0; j < c->n_in; j++)
    if (side_repeats(c, j))
      in[j].dim[0] = c->period;
  probe_fill_operand(c->node, i, in, data, c->seed + i);
  gie_free(c->ctx, in);
  return GIE_OK;
}

static gie_status fill_operand(struct side_case *c, uint32_t i, size_t bytes)
{
  gie_id id = c->node->in[i];
  const struct probe_input *given = given_input(c, id);
  if (id == GIE_NONE)
    return GIE_OK;
  for (uint32_t j = 0; j < i; j++) /* the same value twice has the same contents */
    if (c->node->in[j] == id) {
      c->in_host[i] = c->in_host[j];
      c->in_const[i] = c->in_const[j];
      return GIE_OK;
    }
  if ((c->in_host[i] = c->in_const[i] = gie_value_bytes(c->g, id, NULL)))
    return GIE_OK;
  if (side_repeats(c, i))
    bytes = bytes / (size_t)c->in[i].dim[0] * (size_t)c->period;
  void *copy = gie_arena_alloc(&c->arena, bytes ? bytes : 1, 1);
  if (!copy)
    return GIE_E_MEMORY;
  if (given && given->size != bytes)
    return gie_fail(c->ctx, GIE_E_SHAPE, "input %u has %zu bytes, its type needs %zu; send the dense tensor",
                    given->index, given->size, bytes);
  c->in_host[i] = copy;
  if (!given)
    return fill_random(c, i, copy);
  memcpy(copy, given->data, bytes);
  return GIE_OK;
}

gie_status side_case_describe(struct side_case *c)
{
  size_t bytes;
  c->node = gie_node_get(c->g, gie_graph_first(c->g));
  c->n_in = c->node->n_in;
  c->n_out = c->node->n_out;
  c->in = gie_arena_alloc(&c->arena, c->n_in + 1, sizeof c->in[0]);
  c->out = gie_arena_alloc(&c->arena, c->n_out + 1, sizeof c->out[0]);
  c->in_host = gie_arena_alloc(&c->arena, c->n_in + 1, sizeof c->in_host[0]);
  c->in_const = gie_arena_alloc(&c->arena, c->n_in + 1, sizeof c->in_const[0]);
  c->places = gie_arena_alloc(&c->arena, (size_t)c->n_in + c->n_out + 1, sizeof c->places[0]);
  if (!c->in || !c->out || !c->in_host || !c->in_const || !c->places)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < c->n_in; i++) {
    GIE_TRY(plain_desc(c, c->node->in[i], &c->in[i], &bytes));
    GIE_TRY(fill_operand(c, i, bytes));
  }
  for (uint32_t i = 0; i < c->n_out; i++)
    GIE_TRY(plain_desc(c, c->node->out[i], &c->out[i], &bytes));
  return GIE_OK;
}

static gie_status check_graph(const struct gie_graph *g)
{
  struct gie_context *ctx = gie_graph_context(g);
  GIE_TRY(gie_graph_verify(g));
  uint32_t n = gie_graph_count_nodes(g);
  if (n != 1)
    return gie_fail(ctx, GIE_E_USAGE, "a probe takes a graph of one node, this one has %u", n);
  if (gie_node_get(g, gie_graph_first(g))->n_captures)
    return gie_fail(ctx, GIE_E_UNSUPPORTED, "a probe takes no node with bodies");
  return GIE_OK;
}

gie_status side_case_init(struct side_case *c, struct gie_graph *g, uint64_t seed, int64_t period,
                          uint32_t n_inputs, const struct probe_input *inputs)
{
  *c = (struct side_case){.ctx = gie_graph_context(g),
                          .g = g,
                          .seed = seed,
                          .period = period,
                          .n_inputs = n_inputs,
                          .inputs = inputs};
  gie_arena_init(&c->arena, c->ctx);
  GIE_TRY(check_graph(g));
  return side_case_describe(c);
}

void side_case_free(struct side_case *c)
{
  for (struct side_tensor *t = c->tensors; t; t = t->next)
    side_buffer_free(t->device, &t->buf);
  for (struct side_pack *p = c->packs; p; p = p->next)
    side_buffer_free(p->device, &p->buf);
  gie_graph_free(c->g);
  gie_arena_free(&c->arena);
  memset(c, 0, sizeof *c);
}

/* ---- Tensors */

static bool same_place(const struct side_place *a, const struct side_place *b)
{
  const struct gie_desc *x = &a->desc, *y = &b->desc;
  if (a->bytes != b->bytes || a->offset != b->offset || x->dtype != y->dtype || x->rank != y->rank)
    return false;
  for (int i = 0; i < x->rank; i++)
    if (x->dim[i] != y->dim[i] || x->stride[i] != y->stride[i])
      return false;
  return gie_layout_equal(&x->layout, &y->layout, x->rank);
}

/* Whether what repeats row by row repeats in storage too, with the rows' distance. */
static bool rows_follow(const struct side_place *p)
{
  const struct gie_desc *d = &p->desc;
  size_t row = (size_t)d->stride[0] * gie_dtype_size(d->dtype);
  bool blocked = d->layout.block > 1 && d->layout.block_axis == 0;
  return !blocked && row > 0 && p->bytes % row == 0 && p->bytes / row == (size_t)d->dim[0];
}

/* An operand as it lies in memory: all of it, or its first rows where those repeat in storage. */
static gie_status make_image(struct side_case *c, uint32_t i, struct side_tensor *t)
{
  const struct gie_desc *d = &t->place.desc;
  bool repeats = side_repeats(c, i) && d->dim[0] > c->period;
  int64_t rows = repeats ? c->period : 0;
  t->image_bytes = t->place.bytes;
  if (repeats && rows_follow(&t->place))
    t->image_bytes = (size_t)d->stride[0] * gie_dtype_size(d->dtype) * (size_t)rows;
  t->image = gie_arena_alloc(&c->arena, t->image_bytes ? t->image_bytes : 1, 1);
  if (!t->image)
    return GIE_E_MEMORY;
  if (d->pitched) /* what is in the gaps must not matter */
    memset(t->image, SIDE_UNSET, t->image_bytes);
  struct gie_desc from = c->in[i], to = *d;
  if (t->image_bytes < t->place.bytes)
    to.dim[0] = rows;
  if (d->pitched) /* otherwise all is 0 already */
    probe_clear(&to, (char *)t->image + t->place.offset);
  if (!repeats) {
    probe_convert(&from, c->in_host[i], &to, (char *)t->image + t->place.offset);
    return GIE_OK;
  }
  for (int64_t at = 0; at < to.dim[0]; at += rows) {
    int64_t idx[GIE_MAX_RANK] = {at};
    struct gie_desc part = to;
    from.dim[0] = part.dim[0] = rows < to.dim[0] - at ? rows : to.dim[0] - at;
    probe_convert(&from, c->in_host[i], &part,
                  (char *)t->image + t->place.offset +
                      (size_t)gie_desc_offset(&to, idx) * gie_dtype_size(d->dtype));
  }
  return GIE_OK;
}

static gie_status make_tensor(struct side_case *c, uint32_t i, struct side_tensor *t)
{
  if (i < c->n_in)
    GIE_TRY(make_image(c, i, t));
  return side_buffer_new(c->ctx, t->device, &t->buf, t->place.bytes, t->image, t->image_bytes);
}

gie_status side_case_tensor(struct side_case *c, struct side_device *d, uint32_t i,
                            const struct side_place *place, struct side_tensor **out)
{
  gie_id value = i < c->n_in ? c->node->in[i] : c->node->out[i - c->n_in];
  for (struct side_tensor *t = c->tensors; t; t = t->next)
    if (t->value == value && t->device == d && same_place(&t->place, place)) {
      *out = t;
      return GIE_OK;
    }
  struct side_tensor *t = gie_arena_alloc(&c->arena, 1, sizeof *t);
  if (!t)
    return GIE_E_MEMORY;
  *t = (struct side_tensor){.device = d, .value = value, .place = *place};
  gie_status st = make_tensor(c, i, t);
  if (st != GIE_OK) {
    side_buffer_free(d, &t->buf);
    return st;
  }
  t->next = c->tensors;
  c->tensors = t;
  *out = t;
  return GIE_OK;
}

gie_status side_unset(struct side_case *c, struct side_tensor *t)
{
  return side_buffer_fill(c->ctx, t->device, &t->buf, NULL, 0);
}
