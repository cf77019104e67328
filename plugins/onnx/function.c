/* SPDX-License-Identifier: Apache-2.0 */
/* Model-local functions are inlined: a call becomes the function's nodes, its inputs the caller's
 * operands, its results the caller's names; other values are named "<call>/<name>". */
#include "plugins/onnx/onnx.h"

/* Domains that are the same give the same key. */
static char *function_key(struct onnx_import *im, const char *domain, const char *name, const char *overload)
{
  size_t size = strlen(domain) + strlen(name) + strlen(overload) + 16;
  char *key = gie_arena_alloc(&im->arena, size, 1);
  if (key)
    snprintf(key, size, "%s::%s:%s", onnx_default_domain(domain) ? "ai.onnx" : domain, name, overload);
  return key;
}

gie_status onnx_index_functions(struct onnx_import *im)
{
  for (size_t i = 0; i < im->model->n_functions; i++) {
    const Onnx__Function *f = im->model->functions[i];
    const char *key = function_key(im, onnx_str(f->domain), onnx_str(f->name), onnx_str(f->overload));
    if (!key)
      return GIE_E_MEMORY;
    if (gie_map_get(&im->functions, key) != UINT32_MAX)
      return gie_fail(im->ctx, GIE_E_GRAPH, "two functions are named \"%s\"", onnx_str(f->name));
    GIE_TRY(gie_map_set(&im->functions, key, (uint32_t)i));
  }
  return GIE_OK;
}

const Onnx__Function *onnx_find_function(struct onnx_import *im, const Onnx__Node *node)
{
  if (!im->model->n_functions)
    return NULL;
  const char *key = function_key(im, onnx_str(node->domain), onnx_str(node->op_type),
                                 onnx_str(node->overload));
  uint32_t i = key ? gie_map_get(&im->functions, key) : UINT32_MAX;
  return i == UINT32_MAX ? NULL : im->model->functions[i];
}

static gie_status check_call(struct onnx_node *n, const Onnx__Function *f)
{
  unsigned depth = 0;
  for (const struct onnx_call *c = n->im->call; c; c = c->outer, depth++)
    if (c->function == f)
      return gie_fail(n->ctx, GIE_E_GRAPH, "function \"%s\" calls itself; functions cannot be recursive",
                      onnx_str(f->name));
  if (depth >= ONNX_MAX_CALL_DEPTH)
    return gie_fail(n->ctx, GIE_E_LIMIT, "functions call each other more than %d deep", ONNX_MAX_CALL_DEPTH);
  if (++n->im->n_calls > ONNX_MAX_CALLS)
    return gie_fail(n->ctx, GIE_E_LIMIT, "more than %u function calls", ONNX_MAX_CALLS);
  if (n->n_in > f->n_input || n->n_out > f->n_output)
    return gie_fail(n->ctx, GIE_E_GRAPH,
                    "function \"%s\" has %zu inputs and %zu results, the call has %u and %u",
                    onnx_str(f->name), f->n_input, f->n_output, (unsigned)n->n_in, (unsigned)n->n_out);
  return GIE_OK;
}

static gie_status bind_inputs(struct onnx_node *n, const Onnx__Function *f, struct onnx_scope *s)
{
  for (size_t i = 0; i < f->n_input; i++) {
    gie_id in = onnx_in(n, (uint32_t)i);
    GIE_TRY(in == GIE_NONE ? onnx_omit(s, f->input[i]) : gie_map_set(&s->values, f->input[i], in));
  }
  return GIE_OK;
}

/* Results keep the caller's names. Where the function hands an input through, or one value out twice, an
 * identity node makes a value of that name. */
static gie_status bind_results(struct onnx_node *n, const Onnx__Function *f, struct onnx_scope *s)
{
  for (uint32_t i = 0; i < n->n_out; i++) {
    const char *want = s->call->outputs[i];
    gie_id id = gie_map_get(&s->values, f->output[i]);
    const struct gie_value *v = gie_value_get(n->g, id);
    if (!v)
      return gie_fail(n->ctx, GIE_E_GRAPH, "result \"%s\" of function \"%s\" is never produced", f->output[i],
                      onnx_str(f->name));
    if (*want && strcmp(v->name, want) != 0) {
      struct gie_node_spec spec = GIE_NODE_SPEC("identity");
      const char *name = want;
      gie_id node;
      spec.in = &id;
      spec.n_in = 1;
      spec.out_names = &name;
      GIE_TRY(gie_node_add(n->g, &spec, &node));
      id = gie_node_get(n->g, node)->out[0];
    }
    GIE_TRY(onnx_bind(n, i, id));
  }
  return GIE_OK;
}

static gie_status name_results(struct onnx_node *n, struct onnx_call *call)
{
  call->n_outputs = n->n_out;
  call->outputs = gie_arena_alloc(&n->im->arena, n->n_out + 1, sizeof *call->outputs);
  if (!call->outputs)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < n->n_out; i++) {
    const char *name = n->proto->output[i];
    if (*name && !(name = onnx_value_name(n->scope, name)))
      return GIE_E_MEMORY;
    call->outputs[i] = name;
  }
  return GIE_OK;
}

gie_status onnx_inline(struct onnx_node *n, const Onnx__Function *f)
{
  struct onnx_import *im = n->im;
  struct onnx_call call = {.outer = im->call, .function = f, .attrs = n->attrs, .n_attrs = n->n_attrs};
  struct onnx_scope s = {
      .im = im, .g = n->g, .call = &call, .nodes = f->node, .n_nodes = f->n_node, .taken = n->scope->taken};
  GIE_TRY(check_call(n, f));
  call.prefix = onnx_fresh_name(n, onnx_str(f->name));
  if (!call.prefix)
    return GIE_E_MEMORY;
  GIE_TRY(name_results(n, &call));
  s.opsets = f->opset_import;
  s.n_opsets = f->n_opset_import;
  s.infos = f->value_info;
  s.n_infos = f->n_value_info;
  s.depth = n->scope->depth;
  im->call = &call;
  gie_status st = onnx_scope_init(&s);
  if (st == GIE_OK)
    st = bind_inputs(n, f, &s);
  if (st == GIE_OK)
    st = onnx_nodes(&s);
  if (st == GIE_OK)
    st = bind_results(n, f, &s);
  onnx_scope_free(&s);
  im->call = call.outer;
  return st;
}
