/* SPDX-License-Identifier: Apache-2.0 */
/* Values: names, constants, types, views, uses. */
#include "core/ir/ir.h"

const struct gie_value *gie_value_get(const struct gie_graph *g, gie_id value)
{
  const struct ir_value *v = ir_value(g, value);
  return v ? &v->pub : NULL;
}

gie_id gie_value_find(const struct gie_graph *g, const char *name)
{
  uint32_t id = gie_map_get(&g->names, name);
  return id == UINT32_MAX ? GIE_NONE : id;
}

static gie_status live(const struct gie_graph *g, gie_id id, struct ir_value **out)
{
  *out = ir_value(g, id);
  if (!*out || (*out)->pub.kind == GIE_VALUE_DEAD)
    return gie_fail(g->ctx, GIE_E_GRAPH, "value %u does not exist", (unsigned)id);
  return GIE_OK;
}

/* ---- Names ---------------------------------------------------------------------------------- */

static gie_status check_name(const struct gie_graph *g, const char *name)
{
  size_t len = strlen(name);
  if (len == 0)
    return gie_fail(g->ctx, GIE_E_GRAPH, "a value has an empty name");
  if (len > GIE_MAX_NAME)
    return gie_fail(g->ctx, GIE_E_LIMIT, "a value's name has %zu bytes; at most %d are allowed", len,
                    GIE_MAX_NAME);
  if (gie_map_get(&g->names, name) != UINT32_MAX)
    return gie_fail(g->ctx, GIE_E_GRAPH, "two values are named \"%s\"", name);
  return GIE_OK;
}

/* A name that nothing has: "t0", "t1", … */
static const char *fresh_name(struct gie_graph *g)
{
  char buf[16];
  do
    snprintf(buf, sizeof buf, "t%u", (unsigned)g->fresh++);
  while (gie_map_get(&g->names, buf) != UINT32_MAX);
  return gie_arena_strdup(&g->arena, buf);
}

static gie_status name_value(struct gie_graph *g, struct ir_value *v, const char *name)
{
  if (name)
    GIE_TRY(check_name(g, name));
  const char *copy = name ? gie_arena_strdup(&g->arena, name) : fresh_name(g);
  if (!copy)
    return GIE_E_MEMORY;
  GIE_TRY(gie_map_set(&g->names, copy, v->pub.id));
  v->pub.name = copy;
  return GIE_OK;
}

gie_status ir_index_names(struct gie_graph *g)
{
  gie_map_free(&g->names);
  gie_map_init(&g->names, g->ctx);
  for (size_t i = 0; i < g->n_values; i++)
    if (g->values[i]->pub.kind != GIE_VALUE_DEAD)
      GIE_TRY(gie_map_set(&g->names, g->values[i]->pub.name, (uint32_t)i));
  return GIE_OK;
}

gie_status gie_value_rename(struct gie_graph *g, gie_id value, const char *name)
{
  struct ir_value *v;
  GIE_TRY(live(g, value, &v));
  if (strcmp(v->pub.name, name) == 0)
    return GIE_OK;
  const char *old = v->pub.name;
  GIE_TRY(name_value(g, v, name));
  gie_map_remove(&g->names, old);
  return GIE_OK;
}

/* ---- Making and removing --------------------------------------------------------------------- */

gie_status ir_value_new(struct gie_graph *g, const char *name, enum gie_value_kind kind,
                        struct ir_value **out)
{
  /* Results outnumber nodes rarely, constants add a few per node: 16 per node is generous and keeps
   * ids far from the special ones. */
  if (g->n_values >= 16u * GIE_MAX_NODES)
    return gie_fail(g->ctx, GIE_E_LIMIT, "more than %u values", 16u * GIE_MAX_NODES);
  GIE_TRY(gie_grow(g->ctx, &g->values, &g->cap_values, g->n_values + 1, sizeof(struct ir_value *)));
  struct ir_value *v = gie_arena_alloc(&g->arena, 1, sizeof *v);
  if (!v)
    return GIE_E_MEMORY;
  v->pub.id = (gie_id)g->n_values;
  v->pub.kind = kind;
  v->pub.type.shape.rank = -1;
  v->pub.producer = v->pub.view.base = GIE_NONE;
  v->pub.n_known = UINT32_MAX;
  GIE_TRY(name_value(g, v, name));
  g->values[g->n_values++] = v;
  *out = v;
  return GIE_OK;
}

void ir_value_kill(struct gie_graph *g, struct ir_value *v)
{
  struct ir_value *base = ir_value(g, v->pub.view.base);
  if (base)
    base->n_views--;
  v->pub.view.base = GIE_NONE;
  gie_map_remove(&g->names, v->pub.name);
  gie_blob_unref(v->pub.data.blob);
  v->pub.data.blob = NULL;
  v->pub.kind = GIE_VALUE_DEAD;
  v->pub.producer = GIE_NONE;
}

gie_status gie_graph_add_const(struct gie_graph *g, const char *name, const struct gie_type *type,
                               const struct gie_const *data, gie_id *out)
{
  int64_t count;
  size_t bytes, end;
  struct ir_value *v;
  GIE_TRY(gie_shape_count(g->ctx, &type->shape, &count));
  if (!gie_mul((size_t)count, gie_dtype_size(type->dtype), &bytes))
    return gie_fail(g->ctx, GIE_E_LIMIT, "the size of the constant overflows");
  if (type->dtype == GIE_DTYPE_NONE || !data->blob || data->size != bytes)
    return gie_fail(g->ctx, GIE_E_DATA, "the constant needs %zu bytes, %zu are there", bytes, data->size);
  if (!gie_add(data->offset, data->size, &end) || end > gie_blob_size(data->blob))
    return gie_fail(g->ctx, GIE_E_DATA, "the constant lies outside its blob");
  GIE_TRY(ir_value_new(g, name, GIE_VALUE_CONST, &v));
  v->pub.type = *type;
  v->pub.data = *data;
  gie_blob_ref(data->blob);
  *out = v->pub.id;
  return GIE_OK;
}

gie_status gie_value_remove(struct gie_graph *g, gie_id value)
{
  struct ir_value *v;
  GIE_TRY(live(g, value, &v));
  if (v->pub.n_uses || v->pub.n_outputs || v->n_views || v->pub.producer != GIE_NONE)
    return gie_fail(g->ctx, GIE_E_GRAPH, "value \"%s\" is still in use", v->pub.name);
  for (size_t i = 0; i < g->n_inputs; i++)
    if (g->inputs[i] == value) {
      memmove(&g->inputs[i], &g->inputs[i + 1], (g->n_inputs - i - 1) * sizeof *g->inputs);
      g->n_inputs--;
      break;
    }
  ir_value_kill(g, v);
  return GIE_OK;
}

/* ---- Properties ------------------------------------------------------------------------------ */

gie_status gie_value_set_type(struct gie_graph *g, gie_id value, const struct gie_type *type)
{
  struct ir_value *v;
  GIE_TRY(live(g, value, &v));
  if (v->pub.kind == GIE_VALUE_CONST)
    return gie_fail(g->ctx, GIE_E_GRAPH, "the type of constant \"%s\" is fixed; add another constant",
                    v->pub.name);
  v->pub.type = *type;
  return GIE_OK;
}

gie_status gie_value_set_layout(struct gie_graph *g, gie_id value, const struct gie_layout *layout)
{
  struct ir_value *v;
  GIE_TRY(live(g, value, &v));
  v->pub.layout = *layout;
  return GIE_OK;
}

gie_status gie_value_set_view(struct gie_graph *g, gie_id value, const struct gie_view *view)
{
  struct ir_value *v, *base = NULL;
  GIE_TRY(live(g, value, &v));
  if (view->base != GIE_NONE) {
    GIE_TRY(live(g, view->base, &base));
    const struct gie_shape *s = &base->pub.type.shape;
    int64_t extent = view->axis >= 0 && view->axis < s->rank && gie_dim_is_num(s->dim[view->axis])
                         ? s->dim[view->axis].b
                         : -1;
    if (base == v || base->pub.view.base != GIE_NONE || v->n_views)
      return gie_fail(g->ctx, GIE_E_GRAPH, "\"%s\" cannot be a view of \"%s\": views are never nested",
                      v->pub.name, base->pub.name);
    if (view->offset < 0 || view->extent < 0 || view->offset > extent || view->extent > extent - view->offset)
      return gie_fail(g->ctx, GIE_E_SHAPE, "view \"%s\" lies outside \"%s\"", v->pub.name, base->pub.name);
  }
  struct ir_value *old = ir_value(g, v->pub.view.base);
  if (old)
    old->n_views--;
  if (base)
    base->n_views++;
  v->pub.view = *view;
  return GIE_OK;
}

gie_status gie_value_set_quant(struct gie_graph *g, gie_id value, const struct gie_quant *quant)
{
  struct ir_value *v;
  GIE_TRY(live(g, value, &v));
  struct gie_quant q = {quant->n, quant->axis, NULL, NULL};
  if (quant->n) {
    q.scale = gie_arena_copy(&g->arena, quant->scale, quant->n, sizeof *quant->scale);
    q.zero = gie_arena_copy(&g->arena, quant->zero, quant->n, sizeof *quant->zero);
    if (!q.scale || !q.zero)
      return GIE_E_MEMORY;
  }
  v->pub.quant = q;
  return GIE_OK;
}

/* ---- Uses ------------------------------------------------------------------------------------ */

bool gie_value_next_use(const struct gie_graph *g, gie_id value, struct gie_use *use)
{
  const struct ir_value *v = ir_value(g, value);
  const struct ir_use *u;
  if (use->node == GIE_NONE)
    u = v ? v->first_use : NULL;
  else
    u = g->nodes[use->node]->uses[use->slot]->next;
  if (!u)
    return false;
  use->node = u->node;
  use->slot = u->slot;
  return true;
}

static gie_status swap_names(struct gie_graph *g, struct ir_value *a, struct ir_value *b)
{
  const char *name = a->pub.name;
  a->pub.name = b->pub.name;
  b->pub.name = name;
  GIE_TRY(gie_map_set(&g->names, a->pub.name, a->pub.id));
  return gie_map_set(&g->names, b->pub.name, b->pub.id);
}

gie_status gie_value_replace(struct gie_graph *g, gie_id from, gie_id to)
{
  struct ir_value *f, *t;
  GIE_TRY(live(g, from, &f));
  GIE_TRY(live(g, to, &t));
  if (from == to)
    return GIE_OK;
  /* `to` means what `from` meant: the name says so from here on, unless it is an output's own */
  if (!t->pub.n_outputs && t->pub.kind == GIE_VALUE_RESULT && f->pub.kind == GIE_VALUE_RESULT)
    GIE_TRY(swap_names(g, f, t));
  for (struct ir_use *u = f->first_use; u; u = u->next)
    ((gie_id *)g->nodes[u->node]->pub.in)[u->slot] = to;
  if (f->first_use) {
    f->first_use->prev = t->last_use;
    if (t->last_use)
      t->last_use->next = f->first_use;
    else
      t->first_use = f->first_use;
    t->last_use = f->last_use;
    f->first_use = f->last_use = NULL;
  }
  t->pub.n_uses += f->pub.n_uses;
  f->pub.n_uses = 0;
  for (size_t i = 0; f->pub.n_outputs && i < g->n_outputs; i++)
    if (g->outputs[i] == from) {
      g->outputs[i] = to;
      f->pub.n_outputs--;
      t->pub.n_outputs++;
    }
  for (size_t i = 0; f->n_views && i < g->n_values; i++)
    if (g->values[i]->pub.view.base == from) {
      g->values[i]->pub.view.base = to;
      f->n_views--;
      t->n_views++;
    }
  return GIE_OK;
}

/* ---- Elements -------------------------------------------------------------------------------- */

const void *gie_value_bytes(const struct gie_graph *g, gie_id value, size_t *size)
{
  const struct ir_value *v = ir_value(g, value);
  if (!v || v->pub.kind != GIE_VALUE_CONST)
    return NULL;
  if (size)
    *size = v->pub.data.size;
  return (const char *)gie_blob_data(v->pub.data.blob) + v->pub.data.offset;
}

bool ir_int_at(enum gie_dtype dtype, const char *p, size_t i, int64_t *out)
{
#define INT_AT(T)                           \
  do {                                      \
    T t;                                    \
    memcpy(&t, p + i * sizeof t, sizeof t); \
    *out = (int64_t)t;                      \
    return true;                            \
  } while (0)
  switch (dtype) {
  case GIE_BOOL:
  case GIE_U8:
    INT_AT(uint8_t);
  case GIE_I8:
    INT_AT(int8_t);
  case GIE_U16:
    INT_AT(uint16_t);
  case GIE_I16:
    INT_AT(int16_t);
  case GIE_U32:
    INT_AT(uint32_t);
  case GIE_I32:
    INT_AT(int32_t);
  case GIE_I64:
    INT_AT(int64_t);
  case GIE_U64: {
    uint64_t u;
    memcpy(&u, p + i * sizeof u, sizeof u);
    *out = (int64_t)u;
    return u <= INT64_MAX;
  }
  default:
    return false;
  }
#undef INT_AT
}

bool gie_value_ints(const struct gie_graph *g, gie_id value, int64_t *out, uint32_t max, uint32_t *n)
{
  const struct ir_value *v = ir_value(g, value);
  if (!v)
    return false;
  size_t count = v->pub.n_known;
  const char *bytes = gie_value_bytes(g, value, NULL);
  if (bytes)
    count = v->pub.data.size / gie_dtype_size(v->pub.type.dtype);
  else if (v->pub.n_known == UINT32_MAX)
    return false;
  if (count > max)
    return false;
  for (size_t i = 0; i < count; i++) {
    if (bytes ? !ir_int_at(v->pub.type.dtype, bytes, i, &out[i]) : !gie_dim_is_num(v->pub.known[i]))
      return false;
    if (!bytes)
      out[i] = v->pub.known[i].b;
  }
  *n = (uint32_t)count;
  return true;
}

bool gie_value_floats(const struct gie_graph *g, gie_id value, double *out, uint32_t max, uint32_t *n)
{
  const char *bytes = gie_value_bytes(g, value, NULL);
  if (!bytes)
    return false;
  enum gie_dtype dtype = ir_value(g, value)->pub.type.dtype;
  size_t size = gie_dtype_size(dtype), count = ir_value(g, value)->pub.data.size / size;
  if (gie_dtype_class(dtype) != 'f' || count > max)
    return false;
  for (size_t i = 0; i < count; i++) {
    uint16_t h;
    float f;
    if (size == 2) {
      memcpy(&h, bytes + 2 * i, 2);
      out[i] = dtype == GIE_F16 ? gie_f16_to_f32(h) : gie_bf16_to_f32(h);
    } else if (size == 4) {
      memcpy(&f, bytes + 4 * i, 4);
      out[i] = f;
    } else {
      memcpy(&out[i], bytes + 8 * i, 8);
    }
  }
  *n = (uint32_t)count;
  return true;
}
