/* SPDX-License-Identifier: Apache-2.0 */
/* Checks a node against its op's row: numbers of operands and results, attributes, epilogue steps.
 * Values and shapes are the business of inference. */
#include "core/ir/ir.h"
#include <math.h>

/* `rule` becomes the rule of doc/ir.md that the failure at hand breaks. */
struct checker {
  struct gie_context *ctx;
  const char *rule;
};

GIE_PRINTF(4, 5)
static gie_status broken(struct checker *c, const char *rule, gie_status status, const char *fmt, ...)
{
  va_list ap;
  c->rule = rule;
  va_start(ap, fmt);
  gie_vfail(c->ctx, status, fmt, ap);
  va_end(ap);
  return status;
}

/* ---- Attributes ------------------------------------------------------------------------------------ */

static const char *kind_name(enum gie_attr_kind kind)
{
  static const char *const names[] = {
      [GIE_ATTR_INT] = "an integer",
      [GIE_ATTR_FLOAT] = "a float",
      [GIE_ATTR_STRING] = "a string",
      [GIE_ATTR_DTYPE] = "a dtype",
      [GIE_ATTR_INTS] = "a list of integers",
      [GIE_ATTR_FLOATS] = "a list of floats",
      [GIE_ATTR_STRINGS] = "a list of strings",
      [GIE_ATTR_TENSOR] = "a tensor",
      [GIE_ATTR_GRAPH] = "a graph",
  };
  return (size_t)kind < sizeof names / sizeof names[0] ? names[kind] : "of no known kind";
}

/* "stride, pad, group" for the message about an unknown one. */
static const char *attr_names(const struct gie_op *op, char *buf, size_t size)
{
  size_t at = 0;
  snprintf(buf, size, "none");
  for (const struct gie_attr_spec *s = op->attrs; s && s->name && at < size; s++)
    at += (size_t)snprintf(buf + at, size - at, "%s%s", at ? ", " : "", s->name);
  return buf;
}

static gie_status unknown_attr(struct checker *c, const struct gie_op *op, const char *name)
{
  char list[400];
  return broken(c, "attribute-known", GIE_E_ATTR, "%s has no attribute \"%.100s\"; it has %s", op->name, name,
                attr_names(op, list, sizeof list));
}

static bool tensor_has_its_bytes(struct gie_context *ctx, const struct gie_tensor_attr *t)
{
  int64_t count;
  size_t bytes, end;
  return gie_shape_count(ctx, &t->type.shape, &count) == GIE_OK && gie_dtype_size(t->type.dtype) &&
         gie_mul((size_t)count, gie_dtype_size(t->type.dtype), &bytes) && t->data.blob &&
         bytes == t->data.size && gie_add(t->data.offset, t->data.size, &end) &&
         end <= gie_blob_size(t->data.blob);
}

static gie_status check_value(struct checker *c, const struct gie_attr *a, const struct gie_attr_spec *s)
{
  /* A float may be written as an integer. */
  if (a->kind != s->kind && !(s->kind == GIE_ATTR_FLOAT && a->kind == GIE_ATTR_INT))
    return broken(c, "attribute-kind", GIE_E_ATTR, "attribute %s is %s; it must be %s", a->name,
                  kind_name(a->kind), kind_name(s->kind));
  if (a->kind == GIE_ATTR_FLOAT && isnan(a->u.f))
    return broken(c, "attribute-kind", GIE_E_ATTR, "attribute %s is not a number", a->name);
  if (a->kind == GIE_ATTR_DTYPE && (a->u.i <= GIE_DTYPE_NONE || a->u.i >= GIE_DTYPE_COUNT))
    return broken(c, "attribute-kind", GIE_E_ATTR, "attribute %s is no dtype (%lld)", a->name,
                  (long long)a->u.i);
  if (a->kind == GIE_ATTR_STRING && strlen(a->u.s) != a->n)
    return broken(c, "attribute-kind", GIE_E_ATTR, "attribute %s holds a NUL", a->name);
  if (a->kind == GIE_ATTR_TENSOR && !tensor_has_its_bytes(c->ctx, a->u.t))
    return broken(c, "attribute-kind", GIE_E_ATTR, "attribute %s does not have the bytes of its type",
                  a->name);
  for (uint32_t i = 0; a->kind == GIE_ATTR_FLOATS && i < a->n; i++)
    if (isnan(a->u.fs[i]))
      return broken(c, "attribute-kind", GIE_E_ATTR, "attribute %s holds something that is not a number",
                    a->name);
  return GIE_OK;
}

/* Every attribute given is in the op's table, of its kind and given once; the required ones are there. */
static gie_status check_attrs(struct checker *c, const struct gie_op *op, const struct gie_attrs *attrs)
{
  uint32_t found = 0, times;
  for (const struct gie_attr_spec *s = op->attrs; s && s->name; s++) {
    times = 0;
    for (uint32_t i = 0; i < attrs->n; i++) {
      if (strcmp(attrs->v[i].name, s->name) != 0)
        continue;
      if (times++)
        return broken(c, "attribute-known", GIE_E_ATTR, "attribute %s is given twice", s->name);
      GIE_TRY(check_value(c, &attrs->v[i], s));
    }
    if (!times && s->presence == GIE_REQUIRED)
      return broken(c, "attribute-present", GIE_E_ATTR, "attribute %s is missing; %s needs it", s->name,
                    op->name);
    found += times;
  }
  for (uint32_t i = 0; found != attrs->n && i < attrs->n; i++)
    if (!gie_op_attr(op, attrs->v[i].name))
      return unknown_attr(c, op, attrs->v[i].name);
  return GIE_OK;
}

/* ---- Arity ------------------------------------------------------------------------------------------ */

static gie_status bad_count(struct checker *c, const char *what, uint32_t n, uint16_t min, uint16_t max)
{
  char range[48];
  if (min == max)
    snprintf(range, sizeof range, "%u", (unsigned)min);
  else if (max == UINT16_MAX)
    snprintf(range, sizeof range, "at least %u", (unsigned)min);
  else
    snprintf(range, sizeof range, "%u to %u", (unsigned)min, (unsigned)max);
  return broken(c, "arity", GIE_E_GRAPH, "%u %s; there must be %s", (unsigned)n, what, range);
}

static gie_status check_arity(struct checker *c, const struct gie_node *n)
{
  const struct gie_op *op = n->op;
  if (n->n_operands < op->min_in || n->n_operands > op->max_in)
    return bad_count(c, "operands", n->n_operands, op->min_in, op->max_in);
  if (n->n_out < op->min_out || n->n_out > op->max_out)
    return bad_count(c, "results", n->n_out, op->min_out, op->max_out);
  for (uint32_t i = 0; i < n->n_operands; i++) {
    struct ir_operand d;
    bool declared = ir_op_operand(op, i, &d), needed = declared ? !d.optional : i < op->min_in;
    if (n->in[i] != GIE_NONE || !needed)
      continue;
    if (declared)
      return broken(c, "operand-alive", GIE_E_GRAPH, "operand %u (%.*s) is omitted; %s needs it", (unsigned)i,
                    d.name_len, d.name, op->name);
    return broken(c, "operand-alive", GIE_E_GRAPH, "operand %u is omitted; %s needs it", (unsigned)i,
                  op->name);
  }
  return GIE_OK;
}

/* ---- Steps ------------------------------------------------------------------------------------------- */

static gie_status check_step(struct checker *c, const struct gie_node *n, const struct gie_step *s)
{
  uint32_t operands = s->operand >= 0 ? 2 : 1;
  if (!(s->op->flags & GIE_OP_POINTWISE) || !s->op->infer)
    return broken(c, "epilogue-pointwise", GIE_E_GRAPH, "%s is no pointwise op", s->op->name);
  if (operands < s->op->min_in || operands > s->op->max_in)
    return broken(c, "epilogue-pointwise", GIE_E_GRAPH, "%s takes %s operand as a step", s->op->name,
                  operands == 1 ? "an" : "no");
  if (s->operand >= 0 &&
      ((uint32_t)s->operand >= n->n_in - n->n_captures || (uint32_t)s->operand < n->n_operands))
    return broken(c, "epilogue-pointwise", GIE_E_GRAPH, "operand %d is none of the step operands",
                  (int)s->operand);
  if (s->reverse && s->operand < 0)
    return broken(c, "epilogue-pointwise", GIE_E_GRAPH, "a step without an operand cannot be reversed");
  return check_attrs(c, s->op, &s->attrs);
}

static gie_status check_all(struct checker *c, const struct gie_node *n)
{
  if (!(n->op->flags & GIE_OP_OPAQUE)) {
    GIE_TRY(check_arity(c, n));
    GIE_TRY(check_attrs(c, n->op, &n->attrs));
  }
  if (n->n_steps && !(n->op->flags & GIE_OP_EPILOGUE))
    return broken(c, "epilogue-allowed", GIE_E_GRAPH, "%s cannot carry an epilogue", n->op->name);
  for (uint32_t i = 0; i < n->n_steps; i++) {
    gie_status s = check_step(c, n, &n->steps[i]);
    if (s != GIE_OK)
      return gie_error_prefix(c->ctx, s, "step %u (%s)", (unsigned)i, n->steps[i].op->name);
  }
  return GIE_OK;
}

gie_status ir_check_node_rule(const struct gie_graph *g, const struct gie_node *n, const char **rule)
{
  struct checker c = {g->ctx, ""};
  char label[400];
  gie_status s = check_all(&c, n);
  *rule = c.rule;
  return s == GIE_OK ? s : gie_error_prefix(g->ctx, s, "%s", ir_node_label(n, label, sizeof label));
}

gie_status ir_check_node(const struct gie_graph *g, const struct gie_node *n)
{
  const char *rule;
  return ir_check_node_rule(g, n, &rule);
}
