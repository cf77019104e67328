/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that stay as they are: operators nobody knows, and known ones in a form that the IR cannot
 * express. They keep operands, results, attributes and bodies, so that `gie check` can list them all at once
 * and a graph with them can still be looked at. Operators of modules come this way too, and so does If, which is
 * one that is known as long as its branches are. */
#include "plugins/onnx/onnx.h"

/* What has to be given back after the node was added. */
struct raw {
  struct onnx_node *n;
  struct gie_attr *v;
  uint32_t count, cap;
  struct onnx_capture *captures;
  size_t n_captures;
  bool is_if; /* `v` are its branches and nothing else */
};

static void raw_free(struct raw *r)
{
  for (uint32_t i = 0; i < r->count; i++) {
    if (r->v[i].kind == GIE_ATTR_GRAPH)
      gie_graph_free(r->v[i].u.g);
    else if (r->v[i].kind == GIE_ATTR_TENSOR)
      gie_blob_unref(r->v[i].u.t->data.blob);
  }
}

static void *temp(struct raw *r, size_t n, size_t size)
{
  return gie_arena_alloc(&r->n->im->arena, n + 1, size);
}

/* Room for one more attribute; NULL when out of memory. `index` >= 0 is an element of a list that the IR has
 * no list for: "name.0", "name.1". */
static struct gie_attr *next_attr(struct raw *r, const char *name, int index)
{
  if (index >= 0) {
    size_t size = strlen(name) + 16;
    char *numbered = temp(r, size, 1);
    if (!numbered)
      return NULL;
    snprintf(numbered, size, "%s.%d", name, index);
    name = numbered;
  }
  if (r->count == r->cap) {
    uint32_t cap = r->cap ? 2 * r->cap : 8;
    struct gie_attr *v = temp(r, cap, sizeof *v);
    if (!v)
      return NULL;
    if (r->count)
      memcpy(v, r->v, r->count * sizeof *v);
    r->v = v;
    r->cap = cap;
  }
  r->v[r->count] = (struct gie_attr){.name = name};
  return &r->v[r->count];
}

static char *copy_bytes(struct raw *r, ProtobufCBinaryData b)
{
  char *s = temp(r, b.len, 1);
  if (s && b.len)
    memcpy(s, b.data, b.len);
  return s;
}

static gie_status put_string(struct raw *r, const char *name, int index, const char *s, size_t len)
{
  struct gie_attr *a = next_attr(r, name, index);
  if (!a || !s)
    return GIE_E_MEMORY;
  a->kind = GIE_ATTR_STRING;
  a->n = (uint32_t)len;
  a->u.s = s;
  r->count++;
  return GIE_OK;
}

static gie_status put_tensor(struct raw *r, const char *name, int index, const Onnx__Tensor *t)
{
  if (!t)
    return gie_fail(r->n->ctx, GIE_E_ATTR, "attribute %s has no tensor", name);
  if (onnx_dtype_name(t->data_type) && !onnx_dtype(t->data_type))
    return put_string(r, name, index, "tensor of a type that is not supported", 38);
  struct gie_attr *a = next_attr(r, name, index);
  struct gie_tensor_attr *tensor = temp(r, 1, sizeof *tensor);
  if (!a || !tensor)
    return GIE_E_MEMORY;
  gie_status st = onnx_tensor(r->n->im, t, &tensor->type, &tensor->data);
  if (st != GIE_OK)
    return gie_error_prefix(r->n->ctx, st, "attribute %s", name);
  a->kind = GIE_ATTR_TENSOR;
  a->u.t = tensor;
  r->count++;
  return GIE_OK;
}

static gie_status put_graph(struct raw *r, const char *name, int index, const Onnx__Graph *proto)
{
  struct gie_graph *g;
  if (!proto)
    return gie_fail(r->n->ctx, GIE_E_ATTR, "attribute %s has no graph", name);
  struct gie_attr *a = next_attr(r, name, index);
  if (!a)
    return GIE_E_MEMORY;
  gie_status st = onnx_graph(r->n->im, proto, r->n->scope, r->captures, r->n_captures, &g);
  if (st != GIE_OK)
    return gie_error_prefix(r->n->ctx, st, "%s", name);
  a->kind = GIE_ATTR_GRAPH;
  a->u.g = g;
  r->count++;
  return GIE_OK;
}

static gie_status put_floats(struct raw *r, const char *name, const Onnx__Attribute *p)
{
  struct gie_attr *a = next_attr(r, name, -1);
  double *v = temp(r, p->n_floats, sizeof *v);
  if (!a || !v)
    return GIE_E_MEMORY;
  for (size_t i = 0; i < p->n_floats; i++)
    v[i] = (double)p->floats[i];
  a->kind = GIE_ATTR_FLOATS;
  a->n = (uint32_t)p->n_floats;
  a->u.fs = v;
  r->count++;
  return GIE_OK;
}

static gie_status put_strings(struct raw *r, const char *name, const Onnx__Attribute *p)
{
  struct gie_attr *a = next_attr(r, name, -1);
  const char **v = temp(r, p->n_strings, sizeof *v);
  if (!a || !v)
    return GIE_E_MEMORY;
  for (size_t i = 0; i < p->n_strings; i++)
    if (!(v[i] = copy_bytes(r, p->strings[i])))
      return GIE_E_MEMORY;
  a->kind = GIE_ATTR_STRINGS;
  a->n = (uint32_t)p->n_strings;
  a->u.ss = v;
  r->count++;
  return GIE_OK;
}

static gie_status put_number(struct raw *r, const char *name, const Onnx__Attribute *p, int type)
{
  struct gie_attr *a = next_attr(r, name, -1);
  if (!a)
    return GIE_E_MEMORY;
  a->kind = type == ONNX_A_INT ? GIE_ATTR_INT : type == ONNX_A_FLOAT ? GIE_ATTR_FLOAT : GIE_ATTR_INTS;
  if (type == ONNX_A_INT)
    a->u.i = p->i;
  else if (type == ONNX_A_FLOAT)
    a->u.f = (double)p->f;
  else
    a->u.is = p->ints;
  a->n = type == ONNX_A_INTS ? (uint32_t)p->n_ints : 0;
  r->count++;
  return GIE_OK;
}

static gie_status put_attr(struct raw *r, const struct onnx_attr *attr)
{
  const Onnx__Attribute *p = attr->a;
  int type = onnx_attr_type(p);
  gie_status st = GIE_OK;
  switch (type) {
  case ONNX_A_FLOAT:
  case ONNX_A_INT:
  case ONNX_A_INTS:
    return put_number(r, attr->name, p, type);
  case ONNX_A_FLOATS:
    return put_floats(r, attr->name, p);
  case ONNX_A_STRING:
    return put_string(r, attr->name, -1, copy_bytes(r, p->s), p->s.len);
  case ONNX_A_STRINGS:
    return put_strings(r, attr->name, p);
  case ONNX_A_TENSOR:
    return put_tensor(r, attr->name, -1, p->t);
  case ONNX_A_GRAPH:
    return put_graph(r, attr->name, -1, p->g);
  case ONNX_A_TENSORS:
    for (size_t i = 0; st == GIE_OK && i < p->n_tensors; i++)
      st = put_tensor(r, attr->name, (int)i, p->tensors[i]);
    return st;
  case ONNX_A_GRAPHS:
    for (size_t i = 0; st == GIE_OK && i < p->n_graphs; i++)
      st = put_graph(r, attr->name, (int)i, p->graphs[i]);
    return st;
  default:
    return GIE_OK; /* types and sparse tensors have no counterpart */
  }
}

/* ---- Captures -------------------------------------------------------------------------------- */

static gie_status find_captures(struct raw *r, const struct onnx_names *names)
{
  r->captures = temp(r, names->n, sizeof *r->captures);
  if (!r->captures)
    return GIE_E_MEMORY;
  for (size_t i = 0; i < names->n; i++) {
    gie_id id = gie_map_get(&r->n->scope->values, names->v[i]);
    if (!gie_value_get(r->n->g, id))
      return gie_fail(r->n->ctx, GIE_E_GRAPH, "a body reads \"%s\", which is never produced", names->v[i]);
    r->captures[r->n_captures++] = (struct onnx_capture){names->v[i], id};
  }
  return GIE_OK;
}

static gie_status read_raw(struct raw *r)
{
  struct onnx_names names = {0};
  if (onnx_has_bodies(r->n->proto)) {
    gie_status st = onnx_free_names(r->n->im, r->n->proto, &names);
    if (st == GIE_OK)
      st = find_captures(r, &names);
    onnx_names_free(&names);
    GIE_TRY(st);
  }
  for (size_t i = 0; i < r->n->n_attrs; i++)
    GIE_TRY(put_attr(r, &r->n->attrs[i]));
  return GIE_OK;
}

/* ---- Types of the results of an If ------------------------------------------------------------ */

/* A body has the symbols of the graph round it, and may have more. A number that is declared says what the symbol is
 * when the branch is taken. */
static gie_status branch_type(const struct raw *r, uint32_t branch, uint32_t result, struct gie_type *out)
{
  struct onnx_scope *s = r->n->scope;
  const struct gie_graph *g = r->v[branch].u.g;
  struct gie_type declared;
  GIE_TRY(onnx_output_type(s, r->n->attrs[branch].a->g->output[result], false, &declared));
  *out = gie_value_get(g, gie_graph_output(g, result))->type;
  for (int i = 0; i < out->shape.rank; i++) {
    struct gie_dim *d = &out->shape.dim[i];
    if (gie_dim_is_num(*d) || !gie_dim_is_known(*d))
      continue;
    if (declared.shape.rank == out->shape.rank && gie_dim_is_num(declared.shape.dim[i]))
      *d = declared.shape.dim[i];
    else if (d->sym >= gie_graph_n_symbols(s->g))
      *d = gie_dim_unknown();
  }
  return GIE_OK;
}

/* What is the same in both branches. */
static gie_status if_type(const struct raw *r, uint32_t result, struct gie_type *out)
{
  *out = (struct gie_type){GIE_DTYPE_NONE, {.rank = -1}};
  for (uint32_t i = 0; i < r->count; i++) {
    struct gie_type t;
    if (result >= gie_graph_n_outputs(r->v[i].u.g))
      return GIE_OK;
    GIE_TRY(branch_type(r, i, result, &t));
    if (i == 0)
      *out = t;
    if (out->dtype != t.dtype)
      out->dtype = GIE_DTYPE_NONE;
    if (out->shape.rank != t.shape.rank)
      out->shape.rank = -1;
    for (int k = 0; k < out->shape.rank; k++)
      if (!gie_dim_equal(out->shape.dim[k], t.shape.dim[k]))
        out->shape.dim[k] = gie_dim_unknown();
  }
  return GIE_OK;
}

/* ---- The node -------------------------------------------------------------------------------- */

static gie_status note_string(struct gie_graph *g, gie_id node, const char *name, const char *text)
{
  const struct gie_attr a = {.name = name, .kind = GIE_ATTR_STRING, .n = (uint32_t)strlen(text), .u.s = text};
  return gie_node_set_note(g, node, &a);
}

static gie_status note_int(struct gie_graph *g, gie_id node, const char *name, int64_t v)
{
  const struct gie_attr a = {.name = name, .kind = GIE_ATTR_INT, .u.i = v};
  return gie_node_set_note(g, node, &a);
}

/* Where what an operator does depends on the version of the operator set and no attribute says so, the op of a module
 * has an attribute "opset" for it. */
static gie_status put_opset(struct raw *r, const struct gie_op *op)
{
  const struct gie_attr_spec *spec = op ? gie_op_attr(op, "opset") : NULL;
  if (!spec || spec->kind != GIE_ATTR_INT)
    return GIE_OK;
  for (uint32_t i = 0; i < r->count; i++)
    if (strcmp(r->v[i].name, "opset") == 0)
      return GIE_OK;
  struct gie_attr *a = next_attr(r, "opset", -1);
  if (!a)
    return GIE_E_MEMORY;
  a->kind = GIE_ATTR_INT;
  a->u.i = r->n->opset;
  r->count++;
  return GIE_OK;
}

static gie_status name_results(const struct raw *r, const char **names, struct gie_type *types)
{
  struct onnx_node *n = r->n;
  for (uint32_t i = 0; i < n->n_out; i++) {
    if (!(names[i] = onnx_result_name(n, i)))
      return GIE_E_MEMORY;
    GIE_TRY(onnx_declared_type(n->scope, n->proto->output[i], &types[i]));
    if (r->is_if) {
      struct gie_type made;
      GIE_TRY(if_type(r, i, &made));
      onnx_fill_type(&types[i], &made, true);
    }
  }
  return GIE_OK;
}

static gie_status add_node(struct raw *r, const char *op, const struct gie_op *known, gie_id *node)
{
  struct onnx_node *n = r->n;
  struct gie_node_spec spec = GIE_NODE_SPEC(op);
  const char **names = temp(r, n->n_out, sizeof *names);
  struct gie_type *types = temp(r, n->n_out, sizeof *types);
  if (!names || !types)
    return GIE_E_MEMORY;
  GIE_TRY(name_results(r, names, types));
  GIE_TRY(put_opset(r, known));
  spec.name = n->proto->name && *n->proto->name ? n->proto->name : NULL;
  spec.in = n->in;
  spec.n_in = n->n_in;
  spec.n_out = n->n_out;
  spec.out_names = names;
  spec.out_types = known ? NULL : types;
  spec.attrs = r->v;
  spec.n_attrs = r->count;
  spec.opaque = true;
  GIE_TRY(gie_node_add(n->g, &spec, node));
  for (size_t i = 0; i < r->n_captures; i++) {
    uint32_t slot;
    GIE_TRY(gie_node_add_capture(n->g, *node, r->captures[i].value, &slot));
  }
  return GIE_OK;
}

static gie_status bind_results(struct onnx_node *n, gie_id node)
{
  for (uint32_t i = 0; i < n->n_out; i++)
    GIE_TRY(onnx_bind(n, i, gie_node_get(n->g, node)->out[i]));
  return GIE_OK;
}

static gie_status add_opaque(struct raw *r, const char *op)
{
  struct onnx_node *n = r->n;
  const struct gie_op *known = gie_op_find(n->ctx, op);
  gie_id node;
  GIE_TRY(add_node(r, op, known, &node));
  GIE_TRY(bind_results(n, node));
  if (known)
    return GIE_OK;
  GIE_TRY(note_string(n->g, node, "reason", n->reason));
  return note_int(n->g, node, "opset", n->opset);
}

gie_status onnx_opaque(struct onnx_node *n)
{
  const char *domain = onnx_str(n->proto->domain), *type = onnx_str(n->proto->op_type);
  struct raw r = {.n = n};
  size_t size = strlen(domain) + strlen(type) + 16;
  char *op = temp(&r, size, 1);
  if (!op)
    return GIE_E_MEMORY;
  if (!*type)
    return gie_fail(n->ctx, GIE_E_GRAPH, "a node without op_type");
  snprintf(op, size, "%s::%s", onnx_default_domain(domain) ? "ai.onnx" : domain, type);
  gie_status st = read_raw(&r);
  if (st == GIE_OK)
    st = add_opaque(&r, op);
  raw_free(&r);
  return st;
}

/* ---- If -------------------------------------------------------------------------------------- */

/* An operator in a branch that nobody knows makes the whole node one. */
static gie_status check_branches(struct raw *r)
{
  for (uint32_t i = 0; i < r->count && !r->n->reason; i++) {
    const struct gie_graph *g = r->v[i].u.g;
    GIE_FOR_NODES(g, id) {
      const struct gie_node *inner = gie_node_get(g, id);
      const struct gie_attr *why = gie_attrs_find(&inner->notes, "reason");
      if (inner->op->flags & GIE_OP_OPAQUE)
        return onnx_refuse(r->n, "%s has \"%.100s\" (%.100s): %.300s", r->v[i].name, inner->name,
                           inner->op->name, why && why->kind == GIE_ATTR_STRING ? why->u.s : "not known");
    }
    if (gie_graph_n_inputs(g) > r->n_captures)
      return onnx_refuse(r->n, "%s has inputs of its own", r->v[i].name);
  }
  return GIE_OK;
}

/* What is not known to be the same in both branches is not known of the result. */
static gie_status check_results(struct onnx_node *n, gie_id node)
{
  char text[300];
  for (uint32_t i = 0; i < n->n_out && !n->reason; i++) {
    const struct gie_value *v = gie_value_get(n->g, gie_node_get(n->g, node)->out[i]);
    bool known = v->type.dtype != GIE_DTYPE_NONE && v->type.shape.rank >= 0;
    for (int k = 0; known && k < v->type.shape.rank; k++)
      known = gie_dim_is_known(v->type.shape.dim[k]);
    if (!known)
      return onnx_refuse(n,
                         "the branches are not known to yield the same shape: of result %u they agree on %s",
                         (unsigned)i, gie_shape_text(n->g, &v->type.shape, text, sizeof text));
  }
  return GIE_OK;
}

/* The error at hand becomes the reason; the node that it names is the one that has it. */
static gie_status refuse_for(struct onnx_node *n, gie_status st)
{
  const char *text = gie_error_text(n->ctx), *label = strstr(text, "(if): ");
  return st == GIE_E_MEMORY || st == GIE_E_INTERNAL ? st : onnx_refuse(n, "%s", label ? label + 6 : text);
}

/* Where the branches are not known to agree, what both declare holds; the sizes are checked when it runs. */
static gie_status complete_results(const struct raw *r, gie_id node)
{
  struct gie_graph *g = r->n->g;
  for (uint32_t i = 0; i < r->n->n_out; i++) {
    const struct gie_value *v = gie_value_get(g, gie_node_get(g, node)->out[i]);
    struct gie_type type = v->type, both;
    GIE_TRY(if_type(r, i, &both));
    onnx_fill_type(&type, &both, true);
    GIE_TRY(gie_value_set_type(g, v->id, &type));
  }
  return GIE_OK;
}

/* Adds it as the op `if`, or says why that cannot be. */
static gie_status add_if(struct raw *r)
{
  struct onnx_node *n = r->n;
  gie_id node = GIE_NONE;
  gie_status st = add_node(r, "if", gie_op_find(n->ctx, "if"), &node);
  if (st == GIE_OK)
    st = gie_node_infer(n->g, node);
  if (st == GIE_OK)
    st = complete_results(r, node);
  st = st == GIE_OK ? check_results(n, node) : refuse_for(n, st);
  if (st != GIE_OK || !n->reason)
    return st == GIE_OK ? bind_results(n, node) : st;
  return node == GIE_NONE ? GIE_OK : gie_node_remove(n->g, node);
}

/* The branches are read once, whatever becomes of the node: reading again at each level would double the work. */
gie_status onnx_lower_if(struct onnx_node *n)
{
  struct raw r = {.n = n, .is_if = true};
  n->n_out = (uint32_t)n->proto->n_output;
  gie_status st = read_raw(&r);
  if (st == GIE_OK)
    st = check_branches(&r);
  if (st == GIE_OK && !n->reason)
    st = add_if(&r);
  if (st == GIE_OK && n->reason)
    st = add_opaque(&r, "ai.onnx::If");
  n->reason = NULL; /* the node is there */
  raw_free(&r);
  return st;
}

gie_status onnx_opaque_const(struct onnx_scope *s, const char *name, const char *reason)
{
  char text[128];
  gie_id node;
  const struct gie_type unknown = {GIE_DTYPE_NONE, {.rank = -1}};
  struct gie_node_spec spec = GIE_NODE_SPEC("ai.onnx::Constant");
  spec.out_names = &name;
  spec.n_out = 1;
  spec.out_types = &unknown;
  spec.opaque = true;
  GIE_TRY(gie_node_add(s->g, &spec, &node));
  GIE_TRY(gie_map_set(&s->values, name, gie_node_get(s->g, node)->out[0]));
  snprintf(text, sizeof text, "initializer of type %s", reason);
  GIE_TRY(note_string(s->g, node, "reason", text));
  return note_int(s->g, node, "opset", onnx_opset(s, ""));
}
