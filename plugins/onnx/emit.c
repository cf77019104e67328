/* SPDX-License-Identifier: Apache-2.0 */
/* Adding nodes and constants to the graph, with names that collide with nothing. */
#include "plugins/onnx/onnx.h"
#include <math.h>

gie_status onnx_refuse(struct onnx_node *n, const char *fmt, ...)
{
  char text[512];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  n->reason = gie_arena_strdup(&n->im->arena, text);
  return n->reason ? GIE_OK : GIE_E_MEMORY;
}

/* ---- Attributes ------------------------------------------------------------------------------ */

static struct gie_attr *next_attr(struct onnx_attrs *l, const char *name, enum gie_attr_kind kind)
{
  struct gie_attr *a = &l->v[l->n < sizeof l->v / sizeof l->v[0] - 1 ? l->n++ : l->n];
  *a = (struct gie_attr){.name = name, .kind = kind};
  return a;
}

void onnx_put_int(struct onnx_attrs *l, const char *name, int64_t v)
{
  next_attr(l, name, GIE_ATTR_INT)->u.i = v;
}
void onnx_put_float(struct onnx_attrs *l, const char *name, double v)
{
  next_attr(l, name, GIE_ATTR_FLOAT)->u.f = v;
}

void onnx_put_string(struct onnx_attrs *l, const char *name, const char *s)
{
  struct gie_attr *a = next_attr(l, name, GIE_ATTR_STRING);
  a->u.s = s;
  a->n = (uint32_t)strlen(s);
}

void onnx_put_ints(struct onnx_attrs *l, const char *name, const int64_t *v, uint32_t n)
{
  struct gie_attr *a = next_attr(l, name, GIE_ATTR_INTS);
  a->u.is = v;
  a->n = n;
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* "<base><sep><what>", made unique with a number; long bases are cut. */
static const char *unique_name(struct onnx_scope *s, const char *base, const char *sep, const char *what)
{
  const int room = GIE_MAX_NAME - 32;
  size_t size = strlen(base) + strlen(what) + 32;
  char *name = gie_arena_alloc(&s->im->arena, size, 1);
  for (unsigned i = 0; name; i++) {
    int len = snprintf(name, size, "%.*s%s%.*s", room / 2, base, sep, room / 2, what);
    if (i > 0)
      snprintf(name + len, size - (size_t)len, ".%u", i);
    if (gie_value_find(s->g, name) == GIE_NONE && gie_map_get(s->taken, name) == UINT32_MAX)
      break;
  }
  return name;
}

const char *onnx_value_name(struct onnx_scope *s, const char *name)
{
  if (s->proto)
    return name;
  const Onnx__Function *f = s->call->function;
  for (size_t i = 0; i < f->n_output && i < s->call->n_outputs; i++)
    if (strcmp(f->output[i], name) == 0 && *s->call->outputs[i] &&
        gie_value_find(s->g, s->call->outputs[i]) == GIE_NONE)
      return s->call->outputs[i];
  return unique_name(s, s->call->prefix, "/", name);
}

/* Inside a function the base is made unique by the call's prefix, so that no name needs a long search. */
const char *onnx_fresh_name(struct onnx_node *n, const char *what)
{
  const char *base = n->proto->n_output ? n->proto->output[0] : "";
  if (!*base)
    base = n->proto->name && *n->proto->name ? n->proto->name : onnx_str(n->proto->op_type);
  if (!n->scope->proto && !(base = unique_name(n->scope, n->scope->call->prefix, "/", base)))
    return NULL;
  return unique_name(n->scope, base, ".", what);
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

static gie_status add(struct onnx_node *n, const char *op, const gie_id *in, uint32_t n_in,
                      const struct onnx_attrs *attrs, uint32_t n_out, const char *const *names, gie_id *node)
{
  struct gie_node_spec spec = GIE_NODE_SPEC(op);
  spec.name = n->proto->name && *n->proto->name ? n->proto->name : NULL;
  spec.in = in;
  spec.n_in = n_in;
  spec.n_out = n_out;
  spec.out_names = names;
  spec.attrs = attrs ? attrs->v : NULL;
  spec.n_attrs = attrs ? attrs->n : 0;
  return gie_node_add(n->g, &spec, node);
}

gie_status onnx_step(struct onnx_node *n, const char *what, const char *op, const gie_id *in, uint32_t n_in,
                     const struct onnx_attrs *attrs, gie_id *out)
{
  gie_id node;
  const char *name = onnx_fresh_name(n, what);
  if (!name)
    return GIE_E_MEMORY;
  GIE_TRY(add(n, op, in, n_in, attrs, 1, &name, &node));
  *out = gie_node_get(n->g, node)->out[0];
  return GIE_OK;
}

const char *onnx_result_name(struct onnx_node *n, uint32_t i)
{
  char what[24];
  if (*n->proto->output[i])
    return onnx_value_name(n->scope, n->proto->output[i]);
  snprintf(what, sizeof what, "unused%u", (unsigned)i);
  return onnx_fresh_name(n, what);
}

gie_status onnx_result(struct onnx_node *n, const char *op, const gie_id *in, uint32_t n_in,
                       const struct onnx_attrs *attrs)
{
  gie_id node;
  const char **names = gie_arena_alloc(&n->im->arena, n->n_out + 1, sizeof *names);
  if (!names)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < n->n_out; i++)
    if (!(names[i] = onnx_result_name(n, i)))
      return GIE_E_MEMORY;
  GIE_TRY(add(n, op, in, n_in, attrs, n->n_out, names, &node));
  for (uint32_t i = 0; i < n->n_out; i++)
    GIE_TRY(onnx_bind(n, i, gie_node_get(n->g, node)->out[i]));
  return GIE_OK;
}

/* ---- Constants ------------------------------------------------------------------------------- */

static gie_status add_const(struct onnx_node *n, const char *what, const struct gie_type *type,
                            struct gie_blob *blob, gie_id *out)
{
  const struct gie_const data = {blob, 0, gie_blob_size(blob)};
  const char *name = onnx_fresh_name(n, what);
  gie_status st = name ? gie_graph_add_const(n->g, name, type, &data, out) : GIE_E_MEMORY;
  gie_blob_unref(blob);
  return st;
}

gie_status onnx_const_ints(struct onnx_node *n, const char *what, const int64_t *v, uint32_t count,
                           gie_id *out)
{
  struct gie_type type = {GIE_I64, {.rank = 1}};
  struct gie_blob *blob;
  type.shape.dim[0] = gie_dim_num(count);
  GIE_TRY(gie_blob_new(n->ctx, (size_t)count * sizeof *v, &blob));
  if (count)
    memcpy(gie_blob_data(blob), v, (size_t)count * sizeof *v);
  return add_const(n, what, &type, blob, out);
}

/* v as element i; integers are rounded towards zero and clamped, NaN is 0 among them. */
static void store_number(enum gie_dtype dtype, void *to, size_t i, double v)
{
  size_t size = gie_dtype_size(dtype);
  unsigned cut = (64 - 8 * (unsigned)size) & 63;
  float f = (float)v;
  double top = (double)(INT64_MAX >> cut) + 1, n = isnan(v) ? 0 : v;
  int64_t s = n >= top ? INT64_MAX >> cut : n <= -top ? -(INT64_MAX >> cut) - 1 : (int64_t)n;
  uint64_t u = n >= 2 * top ? UINT64_MAX >> cut : n <= 0 ? 0 : (uint64_t)n;
  uint16_t h = dtype == GIE_F16 ? gie_f32_to_f16(f) : gie_f32_to_bf16(f);
  char *p = (char *)to + i * size;
  switch (gie_dtype_class(dtype)) {
  case 'f':
    memcpy(p, size == 2 ? (void *)&h : size == 4 ? (void *)&f : (void *)&v, size);
    break;
  case 'i':
    memcpy(p, &s, size);
    break; /* little-endian: the low bytes come first */
  default:
    memcpy(p, &u, size);
    break;
  }
}

gie_status onnx_const_floats(struct onnx_node *n, const char *what, const struct gie_type *type,
                             const double *v, gie_id *out)
{
  struct gie_blob *blob;
  int64_t count;
  GIE_TRY(gie_shape_count(n->ctx, &type->shape, &count));
  GIE_TRY(gie_blob_new(n->ctx, (size_t)count * gie_dtype_size(type->dtype), &blob));
  for (int64_t i = 0; i < count; i++)
    store_number(type->dtype, gie_blob_data(blob), (size_t)i, v[i]);
  return add_const(n, what, type, blob, out);
}

gie_status onnx_const_scalar(struct onnx_node *n, const char *what, enum gie_dtype dtype, double v,
                             gie_id *out)
{
  const struct gie_type type = {dtype, {.rank = 0}};
  return onnx_const_floats(n, what, &type, &v, out);
}

/* ---- Operands -------------------------------------------------------------------------------- */

gie_id onnx_in(const struct onnx_node *n, uint32_t i) { return i < n->n_in ? n->in[i] : GIE_NONE; }

const struct gie_type *onnx_type(const struct onnx_node *n, gie_id value)
{
  static const struct gie_type none = {GIE_DTYPE_NONE, {.rank = -1}};
  const struct gie_value *v = gie_value_get(n->g, value);
  return v ? &v->type : &none;
}

int onnx_rank(const struct onnx_node *n, gie_id value) { return onnx_type(n, value)->shape.rank; }

gie_id onnx_const_of(const struct onnx_node *n, gie_id value)
{
  const struct gie_value *v = gie_value_get(n->g, value);
  while (v && v->kind == GIE_VALUE_RESULT) {
    const struct gie_node *p = gie_node_get(n->g, v->producer);
    if (!p || strcmp(p->op->name, "identity") != 0)
      break;
    v = gie_value_get(n->g, p->in[0]);
  }
  return v && v->kind == GIE_VALUE_CONST ? v->id : GIE_NONE;
}
