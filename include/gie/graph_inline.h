/* SPDX-License-Identifier: Apache-2.0 */
/* Header-only attribute readers; included by gie/graph.h only.
 *
 * A reader returns the attribute if it was given, else the default of the op's spec. They never
 * fail: an attribute that is neither given nor defaulted reads as 0, "" or no elements. */
#include <stdlib.h>
#include <string.h>

static inline const struct gie_attr *gie_attrs_find(const struct gie_attrs *attrs, const char *name)
{
  for (uint32_t i = 0; i < attrs->n; i++)
    if (strcmp(attrs->v[i].name, name) == 0)
      return &attrs->v[i];
  return NULL;
}

static inline const struct gie_attr_spec *gie_op_attr(const struct gie_op *op, const char *name)
{
  for (const struct gie_attr_spec *s = op->attrs; s && s->name; s++)
    if (strcmp(s->name, name) == 0)
      return s;
  return NULL;
}

static inline double gie_op_default(const struct gie_op *op, const char *name)
{
  const struct gie_attr_spec *s = gie_op_attr(op, name);
  return s && s->presence == GIE_DEFAULT ? s->num : 0;
}

static inline int64_t gie_attrs_int(const struct gie_attrs *attrs, const struct gie_op *op, const char *name)
{
  const struct gie_attr *a = gie_attrs_find(attrs, name);
  if (a)
    return a->kind == GIE_ATTR_INT || a->kind == GIE_ATTR_DTYPE ? a->u.i : 0;
  return (int64_t)gie_op_default(op, name);
}

static inline double gie_attrs_float(const struct gie_attrs *attrs, const struct gie_op *op, const char *name)
{
  const struct gie_attr *a = gie_attrs_find(attrs, name);
  if (a)
    return a->kind == GIE_ATTR_FLOAT ? a->u.f : a->kind == GIE_ATTR_INT ? (double)a->u.i : 0;
  return gie_op_default(op, name);
}

static inline int64_t gie_node_int(const struct gie_node *n, const char *name)
{
  return gie_attrs_int(&n->attrs, n->op, name);
}

static inline double gie_node_float(const struct gie_node *n, const char *name)
{
  return gie_attrs_float(&n->attrs, n->op, name);
}

static inline const char *gie_node_string(const struct gie_node *n, const char *name)
{
  const struct gie_attr *a = gie_attrs_find(&n->attrs, name);
  if (a)
    return a->kind == GIE_ATTR_STRING ? a->u.s : "";
  const struct gie_attr_spec *s = gie_op_attr(n->op, name);
  return s && s->text ? s->text : "";
}

/* Copies at most max elements, fills the rest of out[0..max) with `fill`; returns how many were given. */
static inline uint32_t gie_node_ints(const struct gie_node *n, const char *name, int64_t *out, uint32_t max,
                                     int64_t fill)
{
  const struct gie_attr *a = gie_attrs_find(&n->attrs, name);
  uint32_t given = a && a->kind == GIE_ATTR_INTS ? a->n : 0;
  for (uint32_t i = 0; i < max; i++)
    out[i] = i < given ? a->u.is[i] : fill;
  return given < max ? given : max;
}

static inline double gie_step_float(const struct gie_step *s, const char *name)
{
  return gie_attrs_float(&s->attrs, s->op, name);
}

static inline int64_t gie_step_int(const struct gie_step *s, const char *name)
{
  return gie_attrs_int(&s->attrs, s->op, name);
}
