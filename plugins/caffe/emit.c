/* SPDX-License-Identifier: Apache-2.0 */
/* Adding nodes and constants to the graph, with names that collide with nothing. */
#include "plugins/caffe/caffe.h"

gie_status caffe_refuse(struct caffe_layer *n, const char *fmt, ...)
{
  char text[512];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  const char *reason = gie_arena_strdup(&n->im->arena, text);
  n->reason = reason ? reason : "out of memory"; /* never NULL: the layer has no tops */
  return reason ? GIE_OK : GIE_E_MEMORY;
}

/* ---- Attributes ------------------------------------------------------------------------------ */

static struct gie_attr *next_attr(struct caffe_attrs *l, const char *name, enum gie_attr_kind kind)
{
  struct gie_attr *a = &l->v[l->n++];
  *a = (struct gie_attr){.name = name, .kind = kind};
  return a;
}

void caffe_put_int(struct caffe_attrs *l, const char *name, int64_t v)
{
  next_attr(l, name, GIE_ATTR_INT)->u.i = v;
}

void caffe_put_float(struct caffe_attrs *l, const char *name, double v)
{
  next_attr(l, name, GIE_ATTR_FLOAT)->u.f = v;
}

void caffe_put_ints(struct caffe_attrs *l, const char *name, const int64_t *v, uint32_t n)
{
  struct gie_attr *a = next_attr(l, name, GIE_ATTR_INTS);
  a->u.is = v;
  a->n = n;
}

/* ---- Names ----------------------------------------------------------------------------------- */

static bool is_free(const struct caffe_layer *n, const char *name)
{
  return gie_value_find(n->g, name) == GIE_NONE && gie_map_get(&n->im->blob_map, name) == UINT32_MAX;
}

/* "<layer>.<what>", made unique with a number; long names are cut. */
const char *caffe_fresh_name(struct caffe_layer *n, const char *what)
{
  const int room = GIE_MAX_NAME / 2 - 32;
  size_t size = strlen(n->name) + strlen(what) + 32;
  char *name = gie_arena_alloc(&n->im->arena, size, 1);
  for (unsigned i = 0; name; i++) {
    int len = snprintf(name, size, "%.*s.%.*s", room, n->name, room, what);
    if (i > 0)
      snprintf(name + len, size - (size_t)len, ".%u", i);
    if (is_free(n, name))
      break;
  }
  return name;
}

/* A blob's own name is for the value that it has in the end. */
static const char *top_name(struct caffe_layer *n, uint32_t top)
{
  const struct caffe_blob *b = caffe_blob(n->im, n->tops[top]);
  if (!b)
    return NULL;
  if (b->last == n->index && gie_value_find(n->g, b->name) == GIE_NONE)
    return b->name;
  return caffe_fresh_name(n, b->name);
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

static gie_status add(struct caffe_layer *n, const char *op, const gie_id *in, uint32_t n_in,
                      const struct gie_attr *attrs, uint32_t n_attrs, uint32_t n_out,
                      const char *const *names, gie_id *node)
{
  struct gie_node_spec spec = GIE_NODE_SPEC(op);
  spec.name = *n->name ? n->name : NULL;
  spec.in = in;
  spec.n_in = n_in;
  spec.n_out = n_out;
  spec.out_names = names;
  spec.attrs = attrs;
  spec.n_attrs = n_attrs;
  gie_status st = gie_node_add(n->g, &spec, node);
  return st == GIE_OK
             ? st
             : gie_error_prefix(n->ctx, st, "%u:%u: layer \"%s\"", n->f->line, n->f->column, n->name);
}

gie_status caffe_step(struct caffe_layer *n, const char *what, const char *op, const gie_id *in,
                      uint32_t n_in, const struct caffe_attrs *attrs, gie_id *out)
{
  gie_id node;
  const char *name = caffe_fresh_name(n, what);
  GIE_TRY(name ? add(n, op, in, n_in, attrs ? attrs->v : NULL, attrs ? attrs->n : 0, 1, &name, &node)
               : GIE_E_MEMORY);
  *out = gie_node_get(n->g, node)->out[0];
  return GIE_OK;
}

static gie_status bind_all(struct caffe_layer *n, gie_id node)
{
  for (uint32_t i = 0; i < n->n_top; i++)
    GIE_TRY(caffe_bind(n, i, gie_node_get(n->g, node)->out[i]));
  return GIE_OK;
}

static gie_status names_of_tops(struct caffe_layer *n, const char ***out)
{
  const char **names = gie_arena_alloc(&n->im->arena, n->n_top + 1, sizeof *names);
  for (uint32_t i = 0; names && i < n->n_top; i++)
    if (!(names[i] = top_name(n, i)))
      return GIE_E_MEMORY;
  *out = names;
  return names ? GIE_OK : GIE_E_MEMORY;
}

gie_status caffe_result_with(struct caffe_layer *n, const char *op, const gie_id *in, uint32_t n_in,
                             const struct gie_attr *attrs, uint32_t n_attrs)
{
  const char **names;
  gie_id node;
  GIE_TRY(names_of_tops(n, &names));
  GIE_TRY(add(n, op, in, n_in, attrs, n_attrs, n->n_top, names, &node));
  return bind_all(n, node);
}

gie_status caffe_result(struct caffe_layer *n, const char *op, const gie_id *in, uint32_t n_in,
                        const struct caffe_attrs *attrs)
{
  return caffe_result_with(n, op, in, n_in, attrs ? attrs->v : NULL, attrs ? attrs->n : 0);
}

/* ---- Layers that stay as they are ------------------------------------------------------------ */

/* The fields of a parameter message as strings, those of the same name joined by commas. */
static gie_status raw_attr(struct caffe_layer *n, const struct text_field *f, struct gie_attr *out)
{
  struct gie_buf b;
  char *text = NULL;
  size_t len;
  gie_buf_init(&b, n->ctx);
  for (const struct text_field *e = f; e; e = caffe_next(e)) {
    gie_buf_puts(&b, e == f ? "" : ",");
    gie_buf_puts(&b, e->kind == TEXT_MESSAGE ? "{}" : e->text);
  }
  GIE_TRY(gie_buf_take(&b, &text, &len));
  const char *kept = len <= GIE_MAX_NAME ? gie_arena_strdup(&n->im->arena, text) : "(long)";
  gie_free(n->ctx, text);
  if (!kept)
    return GIE_E_MEMORY;
  *out =
      (struct gie_attr){.name = f->name, .kind = GIE_ATTR_STRING, .n = (uint32_t)strlen(kept), .u.s = kept};
  return GIE_OK;
}

static void see_all(struct text_field *message)
{
  for (struct text_field *f = message->first; f; f = f->next) {
    f->seen = true;
    see_all(f);
  }
}

static bool given(const struct gie_attr *v, uint32_t n, const char *name)
{
  for (uint32_t i = 0; i < n; i++)
    if (strcmp(v[i].name, name) == 0)
      return true;
  return false;
}

static gie_status raw_attrs(struct caffe_layer *n, struct caffe_attrs *out)
{
  const struct text_field *p = n->f->first;
  while (p &&
         (p->kind != TEXT_MESSAGE || strlen(p->name) < 6 ||
          strcmp(p->name + strlen(p->name) - 6, "_param") != 0 || strcmp(p->name, "transform_param") == 0))
    p = p->next;
  for (const struct text_field *f = p ? p->first : NULL; f && out->n < 12; f = f->next)
    if (!given(out->v, out->n, f->name))
      GIE_TRY(raw_attr(n, f, &out->v[out->n++]));
  return GIE_OK;
}

gie_status caffe_opaque(struct caffe_layer *n)
{
  struct caffe_attrs attrs = {.n = 0};
  const char **names, *op = caffe_custom_op(n);
  gie_id node;
  if (!op)
    return GIE_E_MEMORY;
  see_all(n->f);
  GIE_TRY(raw_attrs(n, &attrs));
  GIE_TRY(names_of_tops(n, &names));
  struct gie_node_spec spec = GIE_NODE_SPEC(op);
  spec.name = *n->name ? n->name : NULL;
  spec.in = n->in;
  spec.n_in = n->n_in;
  spec.n_out = n->n_top;
  spec.out_names = names;
  spec.attrs = attrs.v;
  spec.n_attrs = attrs.n;
  spec.opaque = true;
  gie_status st = gie_node_add(n->g, &spec, &node);
  if (st != GIE_OK)
    return gie_error_prefix(n->ctx, st, "%u:%u: layer \"%s\"", n->f->line, n->f->column, n->name);
  const struct gie_attr note = {.name = "reason",
                                .kind = GIE_ATTR_STRING,
                                .n = (uint32_t)strlen(n->reason),
                                .u.s = n->reason};
  GIE_TRY(gie_node_set_note(n->g, node, &note));
  return bind_all(n, node);
}

/* ---- Constants ------------------------------------------------------------------------------- */

static gie_status constant(struct caffe_layer *n, const char *what, const struct gie_type *type,
                           const void *p, size_t bytes, gie_id *out)
{
  struct gie_blob *b;
  const char *name = caffe_fresh_name(n, what);
  if (!name)
    return GIE_E_MEMORY;
  GIE_TRY(gie_blob_new(n->ctx, bytes, &b));
  const struct gie_const data = {b, 0, bytes};
  if (bytes)
    memcpy(gie_blob_data(b), p, bytes);
  gie_status st = gie_graph_add_const(n->g, name, type, &data, out);
  gie_blob_unref(b);
  return st;
}

gie_status caffe_const_ints(struct caffe_layer *n, const char *what, const int64_t *v, uint32_t count,
                            gie_id *out)
{
  struct gie_type type = {GIE_I64, {1, {{0}}}};
  type.shape.dim[0] = gie_dim_num(count);
  return constant(n, what, &type, v, count * sizeof *v, out);
}

gie_status caffe_const_scalar(struct caffe_layer *n, const char *what, double v, gie_id *out)
{
  const struct gie_type type = {GIE_F32, {0, {{0}}}};
  float f = (float)v;
  return constant(n, what, &type, &f, sizeof f, out);
}

/* ---- Operands -------------------------------------------------------------------------------- */

bool caffe_dims(struct caffe_layer *n, uint32_t i, int64_t *dims, int *rank)
{
  const struct gie_shape *s = &gie_value_get(n->g, n->in[i])->type.shape;
  bool known = s->rank >= 0, moved = false;
  *rank = s->rank;
  for (int k = 0; k < s->rank; k++) {
    known &= gie_dim_is_known(s->dim[k]);
    moved |= !gie_dim_is_num(s->dim[k]) && (k > 0 || !n->im->open_batch);
    dims[k] = gie_dim_is_num(s->dim[k]) ? s->dim[k].b : 0;
  }
  if (known && !moved)
    return true;
  *rank = -1;
  if (known)
    caffe_refuse(n,
                 "a layer before it does not follow the batch, which is not the first dim of its bottom %u",
                 (unsigned)i);
  else
    caffe_refuse(n, "the shape of its bottom %u is not known, since a layer before it is not supported",
                 (unsigned)i);
  return false;
}

bool caffe_axis(struct caffe_layer *n, int64_t v, int rank, int extra, int *out)
{
  int64_t at = v < 0 && v >= -GIE_MAX_RANK ? v + rank + extra : v;
  if (at < 0 || at >= rank + extra) {
    caffe_refuse(n, "axis %lld of a blob with %d dims", (long long)v, rank);
    return false;
  }
  *out = (int)at;
  return true;
}
