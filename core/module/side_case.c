/* SPDX-License-Identifier: Apache-2.0 */
/* Devices and cases of side.h: what kernels are run on and fed with. */
#include "core/module/side.h"

#define GUARD 4096      /* bytes before and behind every buffer; a multiple of any alignment */
#define GUARD_BYTE 0xa7 /* what guard zones hold */
#define UNSET_BYTE 0xff /* what results hold before the run: NaN in every float type */

/* ---- Devices */

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
  GIE_TRY(s.ops->open(d->ctx, 0, &s.dev));
  s.info.struct_size = sizeof s.info;
  gie_status st = s.ops->info(s.dev, &s.info);
  if (st != GIE_OK) {
    s.ops->close(s.dev);
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
    s->ops->close(s->dev);
  }
  d->n = 0;
}

/* ---- Buffers with guard zones */

static gie_status copy_in(struct side_device *d, void *dev, const void *host, size_t bytes)
{
  gie_status st = d->ops->copy(d->dev, dev, host, bytes, GIE_COPY_TO_DEVICE, NULL);
  return st == GIE_OK ? d->ops->sync(d->dev, NULL) : st;
}

static gie_status fill_buffer(struct gie_context *ctx, struct side_device *d, const struct side_buffer *b,
                              const void *image)
{
  size_t total = b->bytes + 2 * (size_t)GUARD;
  char *host = gie_alloc_raw(ctx, total, 1);
  if (!host)
    return GIE_E_MEMORY;
  memset(host, GUARD_BYTE, total);
  if (image)
    memcpy(host + GUARD, image, b->bytes);
  else
    memset(host + GUARD, UNSET_BYTE, b->bytes);
  gie_status st = copy_in(d, b->base, host, total);
  gie_free(ctx, host);
  return st;
}

gie_status side_buffer_new(struct gie_context *ctx, struct side_device *d, struct side_buffer *b,
                           size_t bytes, const void *image)
{
  size_t total;
  void *base;
  if (!gie_add(bytes, 2 * (size_t)GUARD, &total))
    return gie_fail(ctx, GIE_E_MEMORY, "a buffer of %zu bytes is too large", bytes);
  GIE_TRY(d->ops->alloc(d->dev, total, &base));
  *b = (struct side_buffer){base, bytes};
  return fill_buffer(ctx, d, b, image);
}

void side_buffer_free(struct side_device *d, struct side_buffer *b)
{
  if (b->base)
    d->ops->free(d->dev, b->base);
  *b = (struct side_buffer){0};
}

void *side_buffer_at(const struct side_buffer *b, size_t offset)
{
  return b->base ? b->base + GUARD + offset : NULL;
}

gie_status side_buffer_fetch(struct gie_context *ctx, struct side_device *d, const struct side_buffer *b,
                             unsigned char **contents, size_t *before, size_t *behind)
{
  size_t total = b->bytes + 2 * (size_t)GUARD;
  unsigned char *host = gie_alloc_raw(ctx, total, 1);
  *before = *behind = 0;
  if (!host)
    return GIE_E_MEMORY;
  gie_status st = d->ops->copy(d->dev, host, b->base, total, GIE_COPY_TO_HOST, NULL);
  if (st == GIE_OK)
    st = d->ops->sync(d->dev, NULL);
  for (size_t j = 0; st == GIE_OK && j < GUARD && !*before && !*behind; j++) {
    if (host[GUARD - 1 - j] != GUARD_BYTE)
      *before = j + 1;
    else if (host[GUARD + b->bytes + j] != GUARD_BYTE)
      *behind = j + 1;
  }
  if (st == GIE_OK)
    memmove(host, host + GUARD, b->bytes);
  if (st == GIE_OK)
    *contents = host;
  else
    gie_free(ctx, host);
  return st;
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
  const void *constant = gie_value_bytes(c->g, id, NULL);
  void *copy = gie_arena_alloc(&c->arena, bytes ? bytes : 1, 1);
  if (!copy)
    return GIE_E_MEMORY;
  if (given && !constant && given->size != bytes)
    return gie_fail(c->ctx, GIE_E_SHAPE, "input %u has %zu bytes, its type needs %zu; send the dense tensor",
                    given->index, given->size, bytes);
  if (constant || given)
    memcpy(copy, constant ? constant : given->data, bytes);
  else
    probe_fill_operand(c->node, i, c->in, copy, c->seed + i);
  c->in_host[i] = copy;
  c->in_const[i] = constant ? copy : NULL;
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

gie_status side_case_init(struct side_case *c, struct gie_graph *g, uint64_t seed, uint32_t n_inputs,
                          const struct probe_input *inputs)
{
  *c = (struct side_case){
      .ctx = gie_graph_context(g), .g = g, .seed = seed, .n_inputs = n_inputs, .inputs = inputs};
  gie_arena_init(&c->arena, c->ctx);
  GIE_TRY(check_graph(g));
  return side_case_describe(c);
}

void side_case_free(struct side_case *c)
{
  for (struct side_tensor *t = c->tensors; t; t = t->next)
    side_buffer_free(t->device, &t->buf);
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

static gie_status make_tensor(struct side_case *c, uint32_t i, struct side_tensor *t)
{
  if (i < c->n_in) {
    t->image = gie_arena_alloc(&c->arena, t->place.bytes ? t->place.bytes : 1, 1);
    if (!t->image)
      return GIE_E_MEMORY;
    if (t->place.desc.pitched) /* what is in the gaps must not matter */
      memset(t->image, UNSET_BYTE, t->place.bytes);
    probe_clear(&t->place.desc, (char *)t->image + t->place.offset);
    probe_convert(&c->in[i], c->in_host[i], &t->place.desc, (char *)t->image + t->place.offset);
  }
  return side_buffer_new(c->ctx, t->device, &t->buf, t->place.bytes, t->image);
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

gie_status side_fill(struct side_case *c, struct side_tensor *t, const void *image)
{
  return fill_buffer(c->ctx, t->device, &t->buf, image);
}

gie_status side_unset(struct side_case *c, struct side_tensor *t) { return side_fill(c, t, NULL); }
