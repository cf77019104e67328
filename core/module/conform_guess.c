/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance: operands and attributes for an op of which nothing but its row in the registry is known. Shapes are guessed
 * so that they fit together now and then: whole numbers up to 7, operands like the first or like one of its axes. */
#include "core/module/conform.h"

static uint64_t below(uint64_t *random, uint64_t n) { return probe_random(random) % n; }

static bool one_in(uint64_t *random, uint64_t n) { return below(random, n) == 0; }

/* ---- Types */

static enum gie_dtype pick_dtype(uint32_t set, uint64_t *random)
{
  enum gie_dtype t = GIE_F32;
  if (set == 0 || ((set & GIE_DT(F32)) && !one_in(random, 4)))
    return GIE_F32;
  do
    t = (enum gie_dtype)(1 + below(random, GIE_DTYPE_COUNT - 1));
  while (!(set & 1u << t));
  return t;
}

static void put_dims(struct gie_type *t, int rank, const int64_t *dims)
{
  t->shape.rank = rank;
  for (int i = 0; i < rank; i++)
    t->shape.dim[i] = gie_dim_num(dims[i]);
}

static void first_operand(struct gie_type *t, uint32_t dtypes, uint64_t *random)
{
  int64_t dims[GIE_MAX_RANK];
  int rank = one_in(random, 3) ? (int)below(random, 6) : 4;
  for (int i = 0; i < rank; i++)
    dims[i] = 1 + (int64_t)below(random, 7);
  t->dtype = pick_dtype(dtypes, random);
  put_dims(t, rank, dims);
}

/* An operand behind the first one. */
static void next_operand(struct gie_type *t, const struct gie_type *first, uint64_t *random)
{
  const struct gie_shape *s = &first->shape;
  int64_t c = s->rank > 1   ? s->dim[1].b
              : s->rank > 0 ? s->dim[0].b
                            : 1,
          last = s->rank ? s->dim[s->rank - 1].b : 1;
  int64_t k = 1 + (int64_t)below(random, 5);
  *t = *first;
  switch (below(random, 10)) {
  case 0:
    put_dims(t, 1, &c);
    break;
  case 1:
    put_dims(t, 1, &last);
    break;
  case 2:
    put_dims(t, 0, NULL);
    break;
  case 3:
    put_dims(t, 4, (int64_t[]){k, c, 1, 1});
    break;
  case 4:
    put_dims(t, 2, (int64_t[]){last, k});
    break;
  case 5:
    put_dims(t, 2, (int64_t[]){k, 5});
    break;
  case 6:
    put_dims(t, 1, &k);
    break;
  default:
    break;
  }
  if (one_in(random, 6))
    t->dtype = one_in(random, 2) ? GIE_I64 : GIE_F32;
}

/* ---- Attributes */

/* A value for an attribute that must be given, or now and then for one that may be. */
static bool guess_attr(const struct gie_attr_spec *s, uint64_t *random, struct gie_attr *out)
{
  static const int64_t ints[] = {1, 2, 1, 2};
  static const double floats[] = {1, 2, 0.5, 3};
  if (s->presence != GIE_REQUIRED && !one_in(random, 8))
    return false;
  *out = (struct gie_attr){.name = s->name, .kind = s->kind};
  switch (s->kind) {
  case GIE_ATTR_INT:
    out->u.i = (int64_t)below(random, 4);
    return true;
  case GIE_ATTR_FLOAT:
    out->u.f = 0.25 * (double)(1 + below(random, 8));
    return true;
  case GIE_ATTR_DTYPE:
    out->u.i = GIE_F32;
    return true;
  case GIE_ATTR_INTS:
    out->n = (uint32_t)(1 + below(random, 4));
    out->u.is = ints;
    return true;
  case GIE_ATTR_FLOATS:
    out->n = (uint32_t)(1 + below(random, 4));
    out->u.fs = floats;
    return true;
  case GIE_ATTR_STRING:
    out->u.s = s->text ? s->text : "";
    out->n = (uint32_t)strlen(out->u.s);
    return true;
  default:
    return false; /* strings, tensors and graphs cannot be guessed */
  }
}

#define MAX_GUESSED 32

static uint32_t guess_attrs(const struct gie_op *op, uint64_t *random, struct gie_attr *out)
{
  uint32_t n = 0;
  for (const struct gie_attr_spec *s = op->attrs; s && s->name && n < MAX_GUESSED; s++)
    n += guess_attr(s, random, &out[n]);
  return n;
}

/* ---- The graph */

static gie_status add_constant(struct gie_graph *g, const struct gie_type *type, uint64_t *random,
                               gie_id *out)
{
  struct gie_context *ctx = gie_graph_context(g);
  const struct gie_layout plain = {0};
  struct gie_desc d;
  struct gie_const c = {.offset = 0};
  GIE_TRY(gie_desc_make(ctx, type, &plain, &d, &c.size));
  GIE_TRY(gie_blob_new(ctx, c.size, &c.blob));
  for (int64_t i = 0; i < gie_desc_count(&d); i++) {
    float f = (float)((double)(probe_random(random) >> 40) / (1 << 23) - 1);
    if (type->dtype == GIE_F32)
      memcpy((char *)gie_blob_data(c.blob) + 4 * i, &f, sizeof f);
  }
  gie_status st = gie_graph_add_const(g, NULL, type, &c, out);
  gie_blob_unref(c.blob);
  return st;
}

static gie_status add_operands(struct gie_graph *g, const struct gie_type *types, uint32_t n, bool constants,
                               uint64_t *random, gie_id *in)
{
  for (uint32_t i = 0; i < n; i++) {
    char name[16];
    snprintf(name, sizeof name, "x%u", (unsigned)i);
    if (constants && i && types[i].dtype == GIE_F32)
      GIE_TRY(add_constant(g, &types[i], random, &in[i]));
    else
      GIE_TRY(gie_graph_add_input(g, name, &types[i], &in[i]));
  }
  return GIE_OK;
}

static gie_status add_node(struct gie_graph *g, struct gie_node_spec *spec)
{
  gie_id id;
  GIE_TRY(gie_node_add(g, spec, &id));
  const struct gie_node *n = gie_node_get(g, id);
  for (uint32_t i = 0; i < n->n_out; i++)
    GIE_TRY(gie_graph_add_output(g, n->out[i]));
  return GIE_OK;
}

struct gie_graph *conform_guess(struct gie_context *ctx, const struct gie_op *op, uint64_t *random,
                                bool constants, gie_status *refused)
{
  struct gie_type types[8] = {{0}};
  struct gie_attr attrs[MAX_GUESSED];
  gie_id in[8];
  struct gie_graph *g = NULL;
  struct gie_node_spec spec = GIE_NODE_SPEC(op->name);
  uint32_t most = op->max_in < 8 ? op->max_in : op->min_in < 6 ? op->min_in + 2u : 8;
  spec.n_in = op->min_in + (most > op->min_in ? (uint32_t)below(random, most - op->min_in + 1) : 0);
  spec.n_out = op->min_out;
  *refused = spec.n_in > 8 ? gie_fail(ctx, GIE_E_LIMIT, "more than 8 operands are not guessed") : GIE_OK;
  for (uint32_t i = 0; i < spec.n_in && i < 8; i++) {
    if (i == 0)
      first_operand(&types[0], op->dtypes, random);
    else
      next_operand(&types[i], &types[0], random);
  }
  spec.n_attrs = guess_attrs(op, random, attrs);
  spec.attrs = attrs;
  spec.in = in;
  if (*refused == GIE_OK)
    *refused = gie_graph_new(ctx, "guess", &g);
  if (*refused == GIE_OK)
    *refused = add_operands(g, types, spec.n_in, constants, random, in);
  if (*refused == GIE_OK)
    *refused = add_node(g, &spec);
  if (*refused == GIE_OK)
    return g;
  gie_graph_free(g);
  return NULL;
}

/* ---- Nodes of graphs at hand */

static bool is_static(const struct gie_graph *g, gie_id id)
{
  const struct gie_value *v = gie_value_get(g, id);
  if (!v)
    return true; /* omitted */
  if (v->type.dtype == GIE_DTYPE_NONE || v->type.shape.rank < 0)
    return false;
  for (int i = 0; i < v->type.shape.rank; i++)
    if (!gie_dim_is_num(v->type.shape.dim[i]))
      return false;
  return true;
}

bool conform_is_static(const struct gie_graph *g, const struct gie_node *n)
{
  for (uint32_t i = 0; i < n->n_operands; i++)
    if (!is_static(g, n->in[i]))
      return false;
  for (uint32_t i = 0; i < n->n_out; i++)
    if (!is_static(g, n->out[i]))
      return false;
  return true;
}

static gie_status copy_node(struct gie_graph *to, const struct gie_graph *g, const struct gie_node *n,
                            gie_id *in)
{
  struct gie_node_spec spec = GIE_NODE_SPEC(n->op->name);
  for (uint32_t i = 0; i < n->n_operands; i++) {
    const struct gie_value *v = gie_value_get(g, n->in[i]);
    gie_id there = v ? gie_value_find(to, v->name) : GIE_NONE;
    in[i] = there;
    if (!v || there != GIE_NONE)
      continue;
    if (v->kind == GIE_VALUE_CONST)
      GIE_TRY(gie_graph_add_const(to, v->name, &v->type, &v->data, &in[i]));
    else
      GIE_TRY(gie_graph_add_input(to, v->name, &v->type, &in[i]));
  }
  spec.n_in = n->n_operands;
  spec.in = in;
  spec.n_out = n->n_out;
  spec.n_attrs = n->attrs.n;
  spec.attrs = n->attrs.v;
  return add_node(to, &spec);
}

struct gie_graph *conform_extract(const struct gie_graph *g, const struct gie_node *n)
{
  struct gie_context *ctx = gie_graph_context(g);
  struct gie_graph *to = NULL;
  if (!conform_is_static(g, n) || n->n_captures)
    return NULL;
  gie_id *in = gie_alloc(ctx, n->n_operands + 1, sizeof *in);
  gie_status st = in ? gie_graph_new(ctx, "case", &to) : GIE_E_MEMORY;
  if (st == GIE_OK)
    st = copy_node(to, g, n, in);
  gie_free(ctx, in);
  if (st == GIE_OK)
    return to;
  gie_graph_free(to);
  return NULL;
}

void conform_operands_text(const struct gie_graph *g, const struct gie_node *n, char *buf, size_t size)
{
  size_t at = 0;
  buf[0] = 0;
  for (uint32_t i = 0; i < n->n_operands && at < size; i++) {
    char shape[128];
    const struct gie_value *v = gie_value_get(g, n->in[i]);
    const char *dtype = v ? gie_dtype_name(v->type.dtype) : "_";
    at += (size_t)snprintf(buf + at, size - at, "%s%s%s%s", i ? ", " : "",
                           v && v->kind == GIE_VALUE_CONST ? "const " : "", dtype,
                           v ? gie_shape_text(g, &v->type.shape, shape, sizeof shape) : "");
  }
}
