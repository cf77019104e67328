/* SPDX-License-Identifier: Apache-2.0 */
/* The verifier's rules on values and views. doc/ir.md lists them. */
#include "core/ir/verify.h"
#include <math.h>

gie_status ir_value_broken(const struct gie_graph *g, const struct gie_value *v, const char *rule,
                           gie_status status, const char *fmt, ...)
{
  char text[600];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  return gie_fail(g->ctx, status, "value \"%.200s\": %s [%s]", v->name ? v->name : "", text, rule);
}

/* ---- Names and kinds ------------------------------------------------------------------------------- */

static gie_status name_is_unique(const struct gie_graph *g, const struct gie_value *v)
{
  if (!v->name || !*v->name)
    return ir_value_broken(g, v, "unique-names", GIE_E_GRAPH, "value %u has no name", (unsigned)v->id);
  if (strlen(v->name) > GIE_MAX_NAME)
    return ir_value_broken(g, v, "limits", GIE_E_LIMIT, "its name has more than %d bytes", GIE_MAX_NAME);
  if (gie_value_find(g, v->name) != v->id)
    return ir_value_broken(g, v, "unique-names", GIE_E_GRAPH, "another value has this name");
  return GIE_OK;
}

static gie_status kind_fits(const struct gie_graph *g, const struct gie_value *v, const unsigned char *listed)
{
  const struct gie_node *n = gie_node_get(g, v->producer);
  const char *wrong = NULL;
  switch (v->kind) {
  case GIE_VALUE_INPUT:
    wrong = listed[v->id] != 1 ? "it is an input, but not listed once among the inputs" : NULL;
    break;
  case GIE_VALUE_CONST:
    wrong = !v->data.blob ? "it is a constant without bytes" : NULL;
    break;
  case GIE_VALUE_RESULT:
    if (!n || v->out_index >= n->n_out || n->out[v->out_index] != v->id)
      wrong = "no node has it as its result";
    break;
  default:
    wrong = "its kind is unknown";
  }
  if (!wrong && v->kind != GIE_VALUE_INPUT && listed[v->id])
    wrong = "it is listed among the inputs, but is none";
  if (!wrong && v->kind != GIE_VALUE_RESULT && v->producer != GIE_NONE)
    wrong = "only the result of a node has a producer";
  return wrong ? ir_value_broken(g, v, "value-kind", GIE_E_GRAPH, "%s", wrong) : GIE_OK;
}

/* ---- Shape, bytes, layout, quantization -------------------------------------------------------------- */

static gie_status shape_is_valid(const struct gie_graph *g, const struct gie_value *v)
{
  const struct gie_shape *s = &v->type.shape;
  if (s->rank < -1 || s->rank > GIE_MAX_RANK)
    return ir_value_broken(g, v, "shape-valid", GIE_E_SHAPE, "its rank is %d", (int)s->rank);
  if ((int)v->type.dtype < 0 || v->type.dtype >= GIE_DTYPE_COUNT)
    return ir_value_broken(g, v, "shape-valid", GIE_E_TYPE, "it has no valid dtype");
  for (int i = 0; i < s->rank; i++) {
    struct gie_dim d = s->dim[i];
    if (gie_dim_is_num(d) && d.b < 0)
      return ir_value_broken(g, v, "shape-valid", GIE_E_SHAPE, "dim %d is %lld", i, (long long)d.b);
    if (!gie_dim_is_num(d) && gie_dim_is_known(d) && (d.a == 0 || d.sym >= g->n_symbols))
      return ir_value_broken(g, v, "shape-valid", GIE_E_SHAPE, "dim %d has no valid symbol", i);
    if (v->kind == GIE_VALUE_CONST && !gie_dim_is_num(d))
      return ir_value_broken(g, v, "shape-valid", GIE_E_SHAPE, "dim %d of the constant is no number", i);
  }
  if (v->kind == GIE_VALUE_CONST && (s->rank < 0 || v->type.dtype == GIE_DTYPE_NONE))
    return ir_value_broken(g, v, "shape-valid", GIE_E_SHAPE, "the constant's type is not known");
  return GIE_OK;
}

static gie_status constant_has_its_bytes(const struct gie_graph *g, const struct gie_value *v)
{
  int64_t count;
  size_t bytes, end;
  if (v->kind != GIE_VALUE_CONST)
    return GIE_OK;
  if (gie_shape_count(g->ctx, &v->type.shape, &count) != GIE_OK ||
      !gie_mul((size_t)count, gie_dtype_size(v->type.dtype), &bytes))
    return ir_value_broken(g, v, "const-size", GIE_E_LIMIT, "the number of its bytes overflows");
  if (bytes != v->data.size)
    return ir_value_broken(g, v, "const-size", GIE_E_DATA, "its type needs %zu bytes, it has %zu", bytes,
                           v->data.size);
  if (!gie_add(v->data.offset, v->data.size, &end) || end > gie_blob_size(v->data.blob))
    return ir_value_broken(g, v, "const-size", GIE_E_DATA, "its bytes lie outside their blob");
  return GIE_OK;
}

static gie_status layout_is_valid(const struct gie_graph *g, const struct gie_value *v)
{
  const struct gie_layout *l = &v->layout;
  unsigned seen = 0;
  if (l->rank == 0 && l->block <= 1 && !l->any)
    return GIE_OK;
  bool valid = !l->any && l->rank <= GIE_MAX_RANK && l->rank == v->type.shape.rank && l->block <= 1024 &&
               (l->block <= 1 || l->block_axis < l->rank);
  for (int i = 0; valid && i < l->rank; i++)
    if (l->perm[i] < l->rank)
      seen |= 1u << l->perm[i];
  if (!valid || seen != (1u << l->rank) - 1)
    return ir_value_broken(g, v, "layout-valid", GIE_E_GRAPH, "its layout does not fit rank %d",
                           (int)v->type.shape.rank);
  return GIE_OK;
}

static bool zero_fits(enum gie_dtype t, int32_t zero)
{
  size_t bits = 8 * gie_dtype_size(t);
  switch (gie_dtype_class(t)) {
  case 'i':
    return bits >= 32 || (bits > 0 && zero >= -(1 << (bits - 1)) && zero < 1 << (bits - 1));
  case 'u':
    return zero >= 0 && (bits >= 32 || zero < 1 << bits);
  default:
    return zero == 0;
  }
}

static gie_status quantization_is_valid(const struct gie_graph *g, const struct gie_value *v)
{
  const struct gie_quant *q = &v->quant;
  const struct gie_shape *s = &v->type.shape;
  if (q->n == 0)
    return GIE_OK;
  if (q->axis == -1 ? q->n != 1 : q->axis < 0 || q->axis >= s->rank)
    return ir_value_broken(g, v, "quant-valid", GIE_E_GRAPH, "its quantization has axis %d and %u scales",
                           (int)q->axis, (unsigned)q->n);
  if (q->axis >= 0 && !(gie_dim_is_num(s->dim[q->axis]) && s->dim[q->axis].b == q->n))
    return ir_value_broken(g, v, "quant-valid", GIE_E_GRAPH,
                           "it has %u scales, which is not the extent of axis %d", (unsigned)q->n,
                           (int)q->axis);
  for (uint32_t i = 0; i < q->n; i++) {
    if (!isfinite(q->scale[i]) || q->scale[i] <= 0)
      return ir_value_broken(g, v, "quant-valid", GIE_E_GRAPH, "scale %u is not a finite number above 0",
                             (unsigned)i);
    if (!zero_fits(v->type.dtype, q->zero[i]))
      return ir_value_broken(g, v, "quant-valid", GIE_E_GRAPH, "zero %u (%d) does not fit %s", (unsigned)i,
                             (int)q->zero[i], gie_dtype_name(v->type.dtype));
  }
  return GIE_OK;
}

static gie_status verify_value(const struct gie_graph *g, const struct gie_value *v,
                               const unsigned char *listed)
{
  GIE_TRY(name_is_unique(g, v));
  GIE_TRY(kind_fits(g, v, listed));
  GIE_TRY(shape_is_valid(g, v));
  GIE_TRY(constant_has_its_bytes(g, v));
  GIE_TRY(layout_is_valid(g, v));
  return quantization_is_valid(g, v);
}

/* listed[id]: how often a value is an input, counted to 2. */
static gie_status count_inputs(const struct gie_graph *g, unsigned char *listed)
{
  for (size_t i = 0; i < g->n_inputs; i++) {
    const struct ir_value *v = ir_value(g, g->inputs[i]);
    if (!v || v->pub.kind == GIE_VALUE_DEAD)
      return gie_fail(g->ctx, GIE_E_GRAPH, "input %zu is no live value [value-kind]", i);
    listed[v->pub.id] += listed[v->pub.id] < 2;
  }
  return GIE_OK;
}

gie_status ir_verify_values(const struct gie_graph *g)
{
  unsigned char *listed = gie_alloc(g->ctx, g->n_values ? g->n_values : 1, 1);
  gie_status s = listed ? count_inputs(g, listed) : GIE_E_MEMORY;
  for (size_t i = 0; s == GIE_OK && i < g->n_values; i++)
    if (g->values[i]->pub.kind != GIE_VALUE_DEAD)
      s = verify_value(g, &g->values[i]->pub, listed);
  gie_free(g->ctx, listed);
  return s;
}

/* ---- Views ------------------------------------------------------------------------------------------- */

/* The node computes nothing new into the view: it reads the storage that the view lies in, as a split does
 * with its operand and a concat with operands that are views of the same base; or there is nothing in it. */
static bool only_reads(const struct gie_graph *g, const struct gie_value *v)
{
  const struct gie_node *n = gie_node_get(g, v->producer);
  if (v->view.extent == 0)
    return true;
  for (uint32_t i = 0; n && i < n->n_in; i++) {
    const struct gie_value *in = gie_value_get(g, n->in[i]);
    if (!in)
      continue;
    if (in->id == v->view.base)
      return true;
    if (in->view.base == v->view.base && in->view.axis == v->view.axis &&
        in->view.offset < v->view.offset + v->view.extent &&
        v->view.offset < in->view.offset + in->view.extent)
      return true;
  }
  return false;
}

static gie_status view_is_flat(const struct gie_graph *g, const struct gie_value *v,
                               const struct gie_value *base)
{
  if (!base || base->kind == GIE_VALUE_DEAD)
    return ir_value_broken(g, v, "view-flat", GIE_E_GRAPH, "the base of the view does not exist");
  if (base->view.base != GIE_NONE)
    return ir_value_broken(g, v, "view-flat", GIE_E_GRAPH, "its base \"%.200s\" is itself a view",
                           base->name);
  if (v->kind != GIE_VALUE_RESULT)
    return ir_value_broken(g, v, "view-flat", GIE_E_GRAPH, "only the result of a node can be a view");
  if (base->kind != GIE_VALUE_RESULT && !only_reads(g, v))
    return ir_value_broken(g, v, "view-flat", GIE_E_GRAPH,
                           "its node would write into \"%.200s\", which is no result", base->name);
  return GIE_OK;
}

static gie_status view_is_inside(const struct gie_graph *g, const struct gie_value *v,
                                 const struct gie_value *base)
{
  const char *rule = "view-inside-base";
  const struct gie_shape *s = &v->type.shape, *b = &base->type.shape;
  int axis = v->view.axis;
  int64_t end;
  if (v->type.dtype != base->type.dtype || s->rank != b->rank)
    return ir_value_broken(g, v, rule, GIE_E_TYPE, "dtype or rank differ from those of its base \"%.200s\"",
                           base->name);
  if (axis < 0 || axis >= s->rank)
    return ir_value_broken(g, v, rule, GIE_E_GRAPH, "the view's axis %d does not exist", axis);
  if (!gie_dim_is_num(s->dim[axis]) || s->dim[axis].b != v->view.extent)
    return ir_value_broken(g, v, rule, GIE_E_SHAPE, "the view's extent %lld is not its dim %d",
                           (long long)v->view.extent, axis);
  if (v->view.offset < 0 || v->view.extent < 0 || !gie_add64(v->view.offset, v->view.extent, &end) ||
      !gie_dim_is_num(b->dim[axis]) || end > b->dim[axis].b)
    return ir_value_broken(g, v, rule, GIE_E_SHAPE, "the range %lld+%lld lies outside its base \"%.200s\"",
                           (long long)v->view.offset, (long long)v->view.extent, base->name);
  for (int i = 0; i < s->rank; i++)
    if (i != axis && !ir_dim_may_equal(s->dim[i], b->dim[i]))
      return ir_value_broken(g, v, rule, GIE_E_SHAPE, "dim %d differs from that of its base \"%.200s\"", i,
                             base->name);
  return GIE_OK;
}

static gie_status view_layout_fits(const struct gie_graph *g, const struct gie_value *v,
                                   const struct gie_value *base)
{
  const char *rule = "view-layout";
  const struct gie_layout *l = &base->layout;
  int axis = v->view.axis;
  int64_t end = v->view.offset + v->view.extent;
  if (!gie_layout_equal(&v->layout, l, v->type.shape.rank))
    return ir_value_broken(g, v, rule, GIE_E_GRAPH, "its layout is not that of its base \"%.200s\"",
                           base->name);
  if (l->block <= 1 || l->block_axis != axis)
    return GIE_OK;
  if (v->view.offset % l->block || (v->view.extent % l->block && end != base->type.shape.dim[axis].b))
    return ir_value_broken(g, v, rule, GIE_E_GRAPH, "the range %lld+%lld cuts through a block of %u",
                           (long long)v->view.offset, (long long)v->view.extent, (unsigned)l->block);
  return GIE_OK;
}

static int by_base(const void *a, const void *b)
{
  const struct gie_value *x = *(const struct gie_value *const *)a, *y = *(const struct gie_value *const *)b;
  if (x->view.base != y->view.base)
    return x->view.base < y->view.base ? -1 : 1;
  if (x->view.axis != y->view.axis)
    return x->view.axis < y->view.axis ? -1 : 1;
  if (x->view.offset != y->view.offset)
    return x->view.offset < y->view.offset ? -1 : 1;
  return x->id < y->id ? -1 : x->id > y->id;
}

static gie_status overlap(const struct gie_graph *g, const struct gie_value *a, const struct gie_value *b)
{
  return ir_value_broken(g, b, "views-disjoint", GIE_E_GRAPH,
                         "it shares elements of \"%.200s\" with \"%.200s\"",
                         gie_value_get(g, b->view.base)->name, a->name);
}

/* Sorted by base, axis and offset, an overlap along an axis shows between neighbours; ranges along
 * different axes of one base always cross. */
static gie_status views_are_disjoint(const struct gie_graph *g, const struct gie_value **views, size_t n)
{
  const struct gie_value *widest = NULL; /* the one that reaches furthest so far */
  qsort(views, n, sizeof *views, by_base);
  for (size_t i = 0; i < n; i++) {
    const struct gie_value *v = views[i];
    if (widest && widest->view.base == v->view.base && widest->producer != v->producer &&
        (widest->view.axis != v->view.axis || widest->view.offset + widest->view.extent > v->view.offset))
      return overlap(g, widest, v);
    if (!widest || widest->view.base != v->view.base || widest->view.axis != v->view.axis ||
        widest->view.offset + widest->view.extent < v->view.offset + v->view.extent)
      widest = v;
  }
  return GIE_OK;
}

gie_status ir_verify_views(const struct gie_graph *g)
{
  size_t n = 0, written = 0;
  for (size_t i = 0; i < g->n_values; i++)
    n += g->values[i]->pub.kind != GIE_VALUE_DEAD && g->values[i]->pub.view.base != GIE_NONE;
  if (n == 0)
    return GIE_OK;
  const struct gie_value **views = gie_alloc(g->ctx, n, sizeof(struct gie_value *));
  gie_status s = views ? GIE_OK : GIE_E_MEMORY;
  for (size_t i = 0; s == GIE_OK && i < g->n_values; i++) {
    const struct gie_value *v = &g->values[i]->pub, *base = gie_value_get(g, v->view.base);
    if (v->kind == GIE_VALUE_DEAD || v->view.base == GIE_NONE)
      continue;
    if ((s = view_is_flat(g, v, base)) == GIE_OK && (s = view_is_inside(g, v, base)) == GIE_OK &&
        (s = view_layout_fits(g, v, base)) == GIE_OK && v->view.extent > 0 && !only_reads(g, v))
      views[written++] = v;
  }
  if (s == GIE_OK)
    s = views_are_disjoint(g, views, written);
  gie_free(g->ctx, views);
  return s;
}
