/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes: references of functions resolved, kinds checked against the table of operators, values read. */
#include "plugins/onnx/onnx.h"

static const char *const type_names[] = {"undefined",      "float",   "int",    "string",
                                         "tensor",         "graph",   "floats", "ints",
                                         "strings",        "tensors", "graphs", "sparse tensor",
                                         "sparse tensors", "type",    "types"};

/* Type of an attribute; files before IR version 2 leave it out and it follows from what is there. */
int onnx_attr_type(const Onnx__Attribute *a)
{
  if (a->type >= ONNX_A_FLOAT && a->type <= ONNX_A_TYPES)
    return a->type;
  return a->has_f           ? ONNX_A_FLOAT
         : a->has_i         ? ONNX_A_INT
         : a->has_s         ? ONNX_A_STRING
         : a->t             ? ONNX_A_TENSOR
         : a->g             ? ONNX_A_GRAPH
         : a->n_floats      ? ONNX_A_FLOATS
         : a->n_ints        ? ONNX_A_INTS
         : a->n_strings     ? ONNX_A_STRINGS
         : a->n_tensors     ? ONNX_A_TENSORS
         : a->n_graphs      ? ONNX_A_GRAPHS
         : a->sparse_tensor ? ONNX_A_SPARSE_TENSOR
         : a->tp            ? ONNX_A_TYPE
                            : 0;
}

/* ---- Resolving ------------------------------------------------------------------------------- */

/* The value of attribute `name` of the function call: the caller's, else the function's default, else NULL. */
static const Onnx__Attribute *call_attr(const struct onnx_call *call, const char *name)
{
  for (size_t i = 0; i < call->n_attrs; i++)
    if (strcmp(call->attrs[i].name, name) == 0)
      return call->attrs[i].a;
  for (size_t i = 0; i < call->function->n_default_attribute; i++)
    if (strcmp(onnx_str(call->function->default_attribute[i]->name), name) == 0)
      return call->function->default_attribute[i];
  return NULL;
}

gie_status onnx_resolve_attrs(struct onnx_scope *s, const Onnx__Node *node, struct onnx_attr **out, size_t *n)
{
  struct onnx_attr *attrs = gie_arena_alloc(&s->im->arena, node->n_attribute, sizeof *attrs);
  size_t count = 0;
  if (!attrs)
    return GIE_E_MEMORY;
  if (node->n_attribute > ONNX_MAX_ATTRS)
    return gie_fail(s->im->ctx, GIE_E_LIMIT, "%zu attributes; at most %d are allowed", node->n_attribute,
                    ONNX_MAX_ATTRS);
  for (size_t i = 0; i < node->n_attribute; i++) {
    const Onnx__Attribute *a = node->attribute[i];
    const char *name = onnx_str(a->name);
    if (!*name)
      return gie_fail(s->im->ctx, GIE_E_ATTR, "attribute %zu has no name", i);
    for (size_t k = 0; k < count; k++)
      if (strcmp(attrs[k].name, name) == 0)
        return gie_fail(s->im->ctx, GIE_E_ATTR, "attribute %s is given twice", name);
    if (a->ref_attr_name && *a->ref_attr_name) {
      if (!s->call)
        return gie_fail(s->im->ctx, GIE_E_ATTR,
                        "attribute %s refers to \"%s\" of a function, but this is none", name,
                        a->ref_attr_name);
      if (!(a = call_attr(s->call, a->ref_attr_name)))
        continue; /* not given: the operator's own default holds */
    }
    attrs[count++] = (struct onnx_attr){name, a};
  }
  *out = attrs;
  *n = count;
  return GIE_OK;
}

/* ---- The table's specs ----------------------------------------------------------------------- */

static int type_of_code(char c)
{
  static const char codes[] = "?fistgFIS";
  const char *p = strchr(codes, c);
  return p && c ? (int)(p - codes) : 0;
}

bool onnx_next_spec(const char **text, struct onnx_spec *out)
{
  const char *p = *text + strspn(*text, " "), *end = p + strcspn(p, " ");
  size_t n = strcspn(p, "-=:");
  if (p == end || n >= sizeof out->onnx)
    return false;
  memcpy(out->onnx, p, n);
  out->onnx[n] = '\0';
  memcpy(out->ir, out->onnx, n + 1);
  out->plain = p[n] != '-';
  const char *colon = p + strcspn(p, ":");
  if (p[n] == '=' && (size_t)(colon - p) - n - 1 < sizeof out->ir) {
    memcpy(out->ir, p + n + 1, (size_t)(colon - p) - n - 1);
    out->ir[(size_t)(colon - p) - n - 1] = '\0';
  }
  out->type = type_of_code(colon[1]);
  out->required = colon[1] && colon[2] == '!';
  *text = end;
  return true;
}

static bool find_spec(const struct onnx_op *op, const char *name, struct onnx_spec *out)
{
  const char *text = op->attrs;
  while (onnx_next_spec(&text, out))
    if (strcmp(out->onnx, name) == 0)
      return true;
  return false;
}

gie_status onnx_check_attrs(struct onnx_node *n)
{
  struct onnx_spec s;
  for (size_t i = 0; i < n->n_attrs; i++) {
    int type = onnx_attr_type(n->attrs[i].a);
    if (!find_spec(n->op, n->attrs[i].name, &s))
      return onnx_refuse(n, "attribute %s of %s is not known", n->attrs[i].name, n->op->name);
    if (s.type && type != s.type)
      return gie_fail(n->ctx, GIE_E_ATTR, "attribute %s is of kind %s; it must be of kind %s", s.onnx,
                      type_names[type], type_names[s.type]);
    if (type == ONNX_A_TENSOR && !n->attrs[i].a->t)
      return gie_fail(n->ctx, GIE_E_ATTR, "attribute %s has no tensor", s.onnx);
  }
  for (const char *text = n->op->attrs; onnx_next_spec(&text, &s);)
    if (s.required && !onnx_attr_find(n, s.onnx))
      return gie_fail(n->ctx, GIE_E_ATTR, "attribute %s is missing", s.onnx);
  return GIE_OK;
}

gie_status onnx_plain_attrs(struct onnx_node *n, struct onnx_attrs *l)
{
  struct onnx_spec s;
  for (size_t i = 0; i < n->n_attrs; i++) {
    if (!find_spec(n->op, n->attrs[i].name, &s) || !s.plain)
      continue;
    const char *name = gie_arena_strdup(&n->im->arena, s.ir);
    uint32_t count;
    if (!name)
      return GIE_E_MEMORY;
    if (s.type == ONNX_A_INT) {
      onnx_put_int(l, name, onnx_attr_int(n, s.onnx, 0));
    } else if (s.type == ONNX_A_FLOAT) {
      onnx_put_float(l, name, onnx_attr_float(n, s.onnx, 0));
    } else if (s.type == ONNX_A_INTS) {
      const int64_t *v = onnx_attr_ints(n, s.onnx, &count);
      onnx_put_ints(l, name, v, count);
    } else {
      const char *text = onnx_attr_string(n, s.onnx, "");
      if (!text)
        return GIE_E_MEMORY;
      onnx_put_string(l, name, text);
    }
  }
  return GIE_OK;
}

/* ---- Reading --------------------------------------------------------------------------------- */

const Onnx__Attribute *onnx_attr_find(const struct onnx_node *n, const char *name)
{
  for (size_t i = 0; i < n->n_attrs; i++)
    if (strcmp(n->attrs[i].name, name) == 0)
      return n->attrs[i].a;
  return NULL;
}

int64_t onnx_attr_int(const struct onnx_node *n, const char *name, int64_t def)
{
  const Onnx__Attribute *a = onnx_attr_find(n, name);
  return a ? a->i : def;
}

double onnx_attr_float(const struct onnx_node *n, const char *name, double def)
{
  const Onnx__Attribute *a = onnx_attr_find(n, name);
  return a ? (double)a->f : def;
}

const char *onnx_attr_string(const struct onnx_node *n, const char *name, const char *def)
{
  const Onnx__Attribute *a = onnx_attr_find(n, name);
  if (!a)
    return def;
  char *s = gie_arena_alloc(&n->im->arena, a->s.len + 1, 1);
  if (s && a->s.len)
    memcpy(s, a->s.data, a->s.len);
  return s;
}

const int64_t *onnx_attr_ints(const struct onnx_node *n, const char *name, uint32_t *count)
{
  static const int64_t none[1];
  const Onnx__Attribute *a = onnx_attr_find(n, name);
  *count = 0;
  if (!a)
    return NULL;
  *count = (uint32_t)a->n_ints;
  return a->n_ints ? a->ints : none;
}
