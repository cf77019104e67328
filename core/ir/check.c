/* SPDX-License-Identifier: Apache-2.0 */
/* Checks a node against its op's row: numbers of operands and results, attributes, epilogue steps.
 * Values and shapes are the business of inference. */
#include "core/ir/ir.h"
#include <math.h>

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

static gie_status unknown_attr(struct gie_context *ctx, const struct gie_op *op, const char *name)
{
  char list[400];
  return gie_fail(ctx, GIE_E_ATTR, "%s has no attribute \"%.100s\"; it has %s", op->name, name,
                  attr_names(op, list, sizeof list));
}

static gie_status check_value(struct gie_context *ctx, const struct gie_attr *a,
                              const struct gie_attr_spec *s)
{
  /* A float may be written as an integer. */
  if (a->kind != s->kind && !(s->kind == GIE_ATTR_FLOAT && a->kind == GIE_ATTR_INT))
    return gie_fail(ctx, GIE_E_ATTR, "attribute %s is %s; it must be %s", a->name, kind_name(a->kind),
                    kind_name(s->kind));
  if (a->kind == GIE_ATTR_FLOAT && isnan(a->u.f))
    return gie_fail(ctx, GIE_E_ATTR, "attribute %s is not a number", a->name);
  if (a->kind == GIE_ATTR_DTYPE && (a->u.i <= GIE_DTYPE_NONE || a->u.i >= GIE_DTYPE_COUNT))
    return gie_fail(ctx, GIE_E_ATTR, "attribute %s is no dtype (%lld)", a->name, (long long)a->u.i);
  if (a->kind == GIE_ATTR_STRING && strlen(a->u.s) != a->n)
    return gie_fail(ctx, GIE_E_ATTR, "attribute %s holds a NUL", a->name);
  for (uint32_t i = 0; a->kind == GIE_ATTR_FLOATS && i < a->n; i++)
    if (isnan(a->u.fs[i]))
      return gie_fail(ctx, GIE_E_ATTR, "attribute %s holds something that is not a number", a->name);
  return GIE_OK;
}

/* Every attribute given is in the op's table, of its kind and given once; the required ones are there. */
static gie_status check_attrs(struct gie_context *ctx, const struct gie_op *op, const struct gie_attrs *attrs)
{
  uint32_t found = 0, times;
  for (const struct gie_attr_spec *s = op->attrs; s && s->name; s++) {
    times = 0;
    for (uint32_t i = 0; i < attrs->n; i++) {
      if (strcmp(attrs->v[i].name, s->name) != 0)
        continue;
      if (times++)
        return gie_fail(ctx, GIE_E_ATTR, "attribute %s is given twice", s->name);
      GIE_TRY(check_value(ctx, &attrs->v[i], s));
    }
    if (!times && s->presence == GIE_REQUIRED)
      return gie_fail(ctx, GIE_E_ATTR, "attribute %s is missing; %s needs it", s->name, op->name);
    found += times;
  }
  for (uint32_t i = 0; found != attrs->n && i < attrs->n; i++)
    if (!gie_op_attr(op, attrs->v[i].name))
      return unknown_attr(ctx, op, attrs->v[i].name);
  return GIE_OK;
}

/* ---- Arity ------------------------------------------------------------------------------------------ */

static gie_status bad_count(struct gie_context *ctx, const char *what, uint32_t n, uint16_t min, uint16_t max)
{
  char range[48];
  if (min == max)
    snprintf(range, sizeof range, "%u", (unsigned)min);
  else if (max == UINT16_MAX)
    snprintf(range, sizeof range, "at least %u", (unsigned)min);
  else
    snprintf(range, sizeof range, "%u to %u", (unsigned)min, (unsigned)max);
  return gie_fail(ctx, GIE_E_GRAPH, "%u %s; there must be %s", (unsigned)n, what, range);
}

static gie_status check_arity(struct gie_context *ctx, const struct gie_node *n)
{
  const struct gie_op *op = n->op;
  if (n->n_operands < op->min_in || n->n_operands > op->max_in)
    return bad_count(ctx, "operands", n->n_operands, op->min_in, op->max_in);
  if (n->n_out < op->min_out || n->n_out > op->max_out)
    return bad_count(ctx, "results", n->n_out, op->min_out, op->max_out);
  for (uint32_t i = 0; i < n->n_operands; i++) {
    struct ir_operand d;
    bool declared = ir_op_operand(op, i, &d), needed = declared ? !d.optional : i < op->min_in;
    if (n->in[i] != GIE_NONE || !needed)
      continue;
    if (declared)
      return gie_fail(ctx, GIE_E_GRAPH, "operand %u (%.*s) is omitted; %s needs it", (unsigned)i, d.name_len,
                      d.name, op->name);
    return gie_fail(ctx, GIE_E_GRAPH, "operand %u is omitted; %s needs it", (unsigned)i, op->name);
  }
  return GIE_OK;
}

/* ---- Steps ------------------------------------------------------------------------------------------- */

static gie_status check_step(struct gie_context *ctx, const struct gie_node *n, const struct gie_step *s)
{
  uint32_t operands = s->operand >= 0 ? 2 : 1;
  if (!(s->op->flags & GIE_OP_POINTWISE) || !s->op->infer)
    return gie_fail(ctx, GIE_E_GRAPH, "%s is no pointwise op", s->op->name);
  if (operands < s->op->min_in || operands > s->op->max_in)
    return gie_fail(ctx, GIE_E_GRAPH, "%s takes %s operand as a step", s->op->name,
                    operands == 1 ? "an" : "no");
  if (s->operand >= 0 &&
      ((uint32_t)s->operand >= n->n_in - n->n_captures || (uint32_t)s->operand < n->n_operands))
    return gie_fail(ctx, GIE_E_GRAPH, "operand %d is none of the step operands", (int)s->operand);
  if (s->reverse && s->operand < 0)
    return gie_fail(ctx, GIE_E_GRAPH, "a step without an operand cannot be reversed");
  return check_attrs(ctx, s->op, &s->attrs);
}

static gie_status check_all(struct gie_context *ctx, const struct gie_node *n)
{
  if (!(n->op->flags & GIE_OP_OPAQUE)) {
    GIE_TRY(check_arity(ctx, n));
    GIE_TRY(check_attrs(ctx, n->op, &n->attrs));
  }
  if (n->n_steps && !(n->op->flags & GIE_OP_EPILOGUE))
    return gie_fail(ctx, GIE_E_GRAPH, "%s cannot carry an epilogue", n->op->name);
  for (uint32_t i = 0; i < n->n_steps; i++) {
    gie_status s = check_step(ctx, n, &n->steps[i]);
    if (s != GIE_OK)
      return gie_error_prefix(ctx, s, "step %u (%s)", (unsigned)i, n->steps[i].op->name);
  }
  return GIE_OK;
}

gie_status ir_check_node(const struct gie_graph *g, const struct gie_node *n)
{
  char label[400];
  gie_status s = check_all(g->ctx, n);
  return s == GIE_OK ? s : gie_error_prefix(g->ctx, s, "%s", ir_node_label(n, label, sizeof label));
}
