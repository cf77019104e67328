/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs on their way out: names, types, and the order of things. */
#include "plugins/common/utf8.h"
#include "plugins/onnx/export.h"

/* ---- Names ----------------------------------------------------------------------------------- */

static bool is_taken(const struct ex_scope *s, const char *name)
{
  for (; s; s = s->outer)
    if (gie_map_get(&s->taken, name) != UINT32_MAX)
      return true;
  return false;
}

const char *ex_fresh(struct ex *x, struct ex_scope *s, const char *base, const char *what)
{
  size_t size = strlen(base) + strlen(what) + 32;
  char *name = gie_arena_alloc(&x->arena, size, 1);
  if (!name)
    return NULL;
  snprintf(name, size, "%s.%s", base, what);
  for (unsigned i = 2; is_taken(s, name); i++)
    snprintf(name, size, "%s.%s_%u", base, what, i);
  return gie_map_set(&s->taken, name, 0) == GIE_OK ? name : NULL;
}

/* A value keeps its name, except in a body where one of a graph round it has the same. */
static gie_status name_value(struct ex *x, struct ex_scope *s, const struct gie_value *v)
{
  if (!utf8_valid((const unsigned char *)v->name, strlen(v->name)))
    return gie_fail(x->ctx, GIE_E_UNSUPPORTED,
                    "the name of value %u is not UTF-8, which ONNX wants; rename it", (unsigned)v->id);
  if (!is_taken(s, v->name)) {
    s->names[v->id] = v->name;
    return gie_map_set(&s->taken, v->name, 0);
  }
  s->names[v->id] = ex_fresh(x, s, v->name, "inner");
  return s->names[v->id] ? GIE_OK : GIE_E_MEMORY;
}

/* `input_names`: of captures, NULL where an input keeps its own. */
gie_status ex_scope_init(struct ex *x, struct ex_scope *s, const struct gie_graph *g,
                         const struct ex_scope *outer, const char *const *input_names)
{
  uint32_t n = gie_graph_n_values(g);
  *s = (struct ex_scope){.g = g, .outer = outer};
  gie_map_init(&s->taken, x->ctx);
  s->names = gie_arena_alloc(&x->arena, (size_t)n + 1, sizeof *s->names);
  s->used = gie_arena_alloc(&x->arena, (size_t)n + 1, sizeof *s->used);
  s->folded = gie_arena_alloc(&x->arena, (size_t)n + 1, sizeof *s->folded);
  if (!s->names || !s->used || !s->folded)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; input_names && i < gie_graph_n_inputs(g); i++)
    s->names[gie_graph_input(g, i)] = input_names[i];
  for (gie_id i = 0; i < n; i++) {
    const struct gie_value *v = gie_value_get(g, i);
    if (v->kind != GIE_VALUE_DEAD && !s->names[i])
      GIE_TRY(name_value(x, s, v));
  }
  return GIE_OK;
}

void ex_scope_free(struct ex_scope *s) { gie_map_free(&s->taken); }

const char *ex_name(struct ex_scope *s, gie_id value)
{
  if (value == GIE_NONE)
    return "";
  s->used[value] = true;
  return s->names[value];
}

/* ---- Types ----------------------------------------------------------------------------------- */

/* A symbol keeps its name; of other dims than numbers ONNX says nothing. */
static void put_dim(const struct gie_graph *g, struct gie_dim d, struct gie_buf *shape)
{
  struct gie_buf b;
  gie_buf_init(&b, shape->ctx);
  if (gie_dim_is_num(d))
    wire_int(&b, 1, d.b);
  else if (gie_dim_is_known(d) && d.a == 1 && d.b == 0 && gie_graph_symbol_name(g, d.sym))
    wire_text(&b, 2, gie_graph_symbol_name(g, d.sym));
  wire_message(shape, 1, &b);
}

static void put_info(struct ex_scope *s, const struct gie_value *v, struct gie_buf *out, int field)
{
  struct gie_buf info, type, tensor, shape;
  gie_buf_init(&info, out->ctx);
  gie_buf_init(&type, out->ctx);
  gie_buf_init(&tensor, out->ctx);
  gie_buf_init(&shape, out->ctx);
  wire_text(&info, 1, s->names[v->id]);
  if (v->type.dtype) {
    wire_int(&tensor, 1, onnx_data_type(v->type.dtype));
    for (int i = 0; i < v->type.shape.rank; i++)
      put_dim(s->g, v->type.shape.dim[i], &shape);
    if (v->type.shape.rank >= 0)
      wire_message(&tensor, 2, &shape);
    wire_message(&type, 1, &tensor);
    wire_message(&info, 2, &type);
  }
  wire_message(out, field, &info);
}

static gie_status check_type(struct ex *x, const struct ex_scope *s, const struct gie_value *v,
                             const char *what)
{
  if (s->outer || v->type.dtype)
    return GIE_OK;
  return gie_fail(x->ctx, GIE_E_UNSUPPORTED,
                  "%s \"%.200s\" has a type that ONNX needs and the graph does not have (a sequence, strings "
                  "or an operator that is not known); write .gie",
                  what, v->name);
}

gie_status ex_interface(struct ex *x, struct ex_scope *s, uint32_t n_inputs, struct gie_buf *out)
{
  struct gie_map seen;
  gie_status st = GIE_OK;
  for (uint32_t i = 0; i < n_inputs; i++) {
    const struct gie_value *v = gie_value_get(s->g, gie_graph_input(s->g, i));
    GIE_TRY(check_type(x, s, v, "input"));
    put_info(s, v, out, 11);
  }
  gie_map_init(&seen, x->ctx);
  for (uint32_t i = 0; st == GIE_OK && i < gie_graph_n_outputs(s->g); i++) {
    const struct gie_value *v = gie_value_get(s->g, gie_graph_output(s->g, i));
    st = check_type(x, s, v, "output");
    if (st == GIE_OK && gie_map_get(&seen, v->name) != UINT32_MAX)
      st = gie_fail(x->ctx, GIE_E_UNSUPPORTED, "output \"%.200s\" is listed twice, which ONNX does not allow",
                    v->name);
    if (st == GIE_OK)
      st = gie_map_set(&seen, v->name, 0);
    put_info(s, v, out, 12);
  }
  gie_map_free(&seen);
  return st;
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

/* A constant that is an output: readers want every output to come from a node. */
static void put_constant_outputs(struct ex *x, struct ex_scope *s, struct gie_buf *out)
{
  for (gie_id i = 0; i < gie_graph_n_values(s->g); i++) {
    const struct gie_value *v = gie_value_get(s->g, i);
    struct gie_buf node;
    if (v->kind != GIE_VALUE_CONST || !v->n_outputs)
      continue;
    ex_node_begin(x, &node, NULL, 0, &s->names[i], 1);
    ex_attr_tensor(&node, "value", &v->type, &v->data);
    ex_node_end(out, &node, s->names[i], "Constant", "");
  }
}

gie_status ex_nodes(struct ex *x, struct ex_scope *s, struct gie_buf *out, struct gie_buf *infos)
{
  put_constant_outputs(x, s, out);
  GIE_FOR_NODES(s->g, id) {
    const struct gie_node *n = gie_node_get(s->g, id);
    gie_status st = ex_op(x, s, n, out);
    if (st != GIE_OK)
      return gie_error_prefix(x->ctx, st, "node \"%.200s\" (%.200s)", n->name, n->op->name);
    for (uint32_t i = 0; ex_is_raw(n) && i < n->n_out; i++)
      if (gie_value_get(s->g, n->out[i])->type.dtype)
        put_info(s, gie_value_get(s->g, n->out[i]), infos, 13);
  }
  return out->status;
}

/* ---- Bodies ---------------------------------------------------------------------------------- */

/* What a body reads from outside goes by the name that it has there. */
static gie_status capture_names(struct ex *x, const struct gie_graph *g, struct ex_scope *outer,
                                const struct gie_node *node, const char ***out)
{
  uint32_t n = gie_graph_n_inputs(g), own = n - node->n_captures;
  *out = gie_arena_alloc(&x->arena, (size_t)n + 1, sizeof **out);
  if (!*out)
    return GIE_E_MEMORY;
  if (n < node->n_captures)
    return gie_fail(x->ctx, GIE_E_GRAPH, "a body has fewer inputs than the node has captures");
  for (uint32_t i = own; i < n; i++)
    (*out)[i] = ex_name(outer, node->in[node->n_in - n + i]);
  return GIE_OK;
}

/* An output of a body must be made in it: what comes from outside is copied. */
static gie_status copy_captures(struct ex *x, struct ex_scope *s, uint32_t n_inputs, struct gie_buf *out)
{
  for (uint32_t i = 0; i < gie_graph_n_outputs(s->g); i++) {
    gie_id id = gie_graph_output(s->g, i);
    for (uint32_t k = n_inputs; k < gie_graph_n_inputs(s->g); k++) {
      struct gie_buf node;
      const char *name;
      if (gie_graph_input(s->g, k) != id)
        continue;
      if (!(name = ex_fresh(x, s, s->names[id], "copy")))
        return GIE_E_MEMORY;
      ex_node_begin(x, &node, &s->names[id], 1, &name, 1);
      ex_node_end(out, &node, name, "Identity", "");
      s->names[id] = name;
      break;
    }
  }
  return GIE_OK;
}

static gie_status write_body(struct ex *x, struct ex_scope *s, uint32_t n_inputs, struct gie_buf *out)
{
  struct gie_buf infos;
  const char *name = gie_graph_name(s->g);
  gie_buf_init(&infos, x->ctx);
  gie_status st = ex_nodes(x, s, out, &infos);
  if (st == GIE_OK)
    st = copy_captures(x, s, n_inputs, out);
  wire_text(out, 2, name && *name ? name : "body");
  if (st == GIE_OK)
    st = ex_constants(x, s, out);
  if (st == GIE_OK)
    st = ex_interface(x, s, n_inputs, out);
  gie_buf_put(out, infos.data, infos.len);
  gie_buf_free(&infos);
  return st;
}

gie_status ex_body(struct ex *x, const struct gie_graph *g, struct ex_scope *outer,
                   const struct gie_node *node, struct gie_buf *out)
{
  struct ex_scope s;
  const char **names;
  GIE_TRY(capture_names(x, g, outer, node, &names));
  gie_status st = ex_scope_init(x, &s, g, outer, names);
  if (st == GIE_OK)
    st = write_body(x, &s, gie_graph_n_inputs(g) - node->n_captures, out);
  ex_scope_free(&s);
  return st;
}
