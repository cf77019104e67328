/* SPDX-License-Identifier: Apache-2.0 */
/* See debug_reference.h. */
#include "tools/debug_reference.h"

/* ---- Opening */

/* Reference kernels before all others, which serve for ops that those do not have. GIE_FORCE and what nodes note
 * are for what is compared with it. */
static gie_status open_kernels(struct reference *r)
{
  const struct gie_attr none = {.name = "kernel", .kind = GIE_ATTR_STRING, .u.s = ""};
  GIE_TRY(run_once_open(r->t->ctx, NULL, &r->once));
  struct run_rules *rules = &r->once.binder_own.rules;
  gie_free(r->t->ctx, rules->force);
  rules->force = NULL;
  if (r->t->threads)
    r->once.threads = r->t->threads;
  for (gie_id id = gie_graph_first(r->g); id != GIE_NONE; id = gie_node_get(r->g, id)->next)
    if (gie_attrs_find(&gie_node_get(r->g, id)->notes, none.name))
      GIE_TRY(gie_node_set_note(r->g, id, &none));
  return GIE_OK;
}

static gie_status make_tables(struct reference *r)
{
  struct gie_context *ctx = r->t->ctx;
  uint32_t n_nodes = gie_graph_n_nodes(r->g), n = gie_graph_n_values(r->g);
  bool *is_tail = gie_alloc(ctx, n_nodes, sizeof *is_tail);
  r->is_live = gie_alloc(ctx, n_nodes, sizeof *r->is_live);
  r->values = gie_alloc(ctx, n, sizeof *r->values);
  r->uses = gie_alloc(ctx, n, sizeof *r->uses);
  r->wanted = gie_alloc(ctx, n, sizeof *r->wanted);
  gie_status st = is_tail && r->is_live && r->values && r->uses && r->wanted
                      ? run_classify(r->g, r->is_live, is_tail)
                      : GIE_E_MEMORY;
  gie_free(ctx, is_tail);
  GIE_TRY(st);
  GIE_FOR_NODES(r->g, id) {
    const struct gie_node *node = gie_node_get(r->g, id);
    for (uint32_t i = 0; r->is_live[id] && i < node->n_in; i++)
      if (node->in[i] != GIE_NONE)
        r->uses[node->in[i]]++;
  }
  r->next = gie_graph_first(r->g);
  return GIE_OK;
}

gie_status reference_open(struct tool *t, const char *path, struct reference *out)
{
  *out = (struct reference){.t = t, .path = path};
  GIE_TRY(gie_graph_load(t->ctx, path, t->load_options.v, &out->g));
  gie_status st = open_kernels(out);
  if (st == GIE_OK)
    st = make_tables(out);
  return st == GIE_OK ? st : gie_error_prefix(t->ctx, st, "%s", path);
}

void reference_close(struct reference *r)
{
  if (!r->t)
    return;
  struct gie_context *ctx = r->t->ctx;
  for (uint32_t i = 0; r->values && i < gie_graph_n_values(r->g); i++)
    gie_free(ctx, r->values[i].data);
  run_once_close(&r->once);
  gie_free(ctx, r->is_live);
  gie_free(ctx, r->values);
  gie_free(ctx, r->uses);
  gie_free(ctx, r->wanted);
  if (r->g)
    gie_graph_free(r->g);
  *r = (struct reference){0};
}

/* ---- Inputs */

gie_status reference_feed(struct reference *r, const char *name, const struct gie_tensor *x)
{
  gie_id id = gie_value_find(r->g, name);
  size_t bytes, count;
  if (id == GIE_NONE || gie_value_get(r->g, id)->kind != GIE_VALUE_INPUT)
    return gie_fail(r->t->ctx, GIE_E_DATA,
                    "%s: there is no input \"%s\"; give the network that the other file was made from",
                    r->path, name);
  GIE_TRY(tensor_size(r->t->ctx, x, &count, &bytes));
  void *data = gie_alloc_raw(r->t->ctx, bytes, 1);
  if (!data)
    return GIE_E_MEMORY;
  if (bytes)
    memcpy(data, x->data, bytes);
  gie_free(r->t->ctx, r->values[id].data);
  r->values[id] = *x;
  r->values[id].data = data;
  return GIE_OK;
}

gie_status reference_check_inputs(const struct reference *r)
{
  for (uint32_t i = 0; i < gie_graph_n_inputs(r->g); i++) {
    gie_id id = gie_graph_input(r->g, i);
    if (r->uses[id] && !r->values[id].data)
      return gie_fail(r->t->ctx, GIE_E_DATA,
                      "%s: input \"%s\" is not one of the other file; give the network that it was made from",
                      r->path, gie_value_get(r->g, id)->name);
  }
  return GIE_OK;
}

/* ---- Computing */

gie_id reference_find(const struct reference *r, const char *name)
{
  gie_id id = gie_value_find(r->g, name);
  const struct gie_value *v = gie_value_get(r->g, id);
  return v && v->kind == GIE_VALUE_RESULT && r->is_live[v->producer] ? id : GIE_NONE;
}

static void release(struct reference *r, gie_id value)
{
  if (r->uses[value] || r->wanted[value])
    return;
  gie_free(r->t->ctx, r->values[value].data);
  r->values[value].data = NULL;
}

static gie_status compute(struct reference *r, const struct gie_node *n, struct gie_tensor *in,
                          struct gie_tensor *out)
{
  for (uint32_t i = 0; i < n->n_in; i++)
    if (n->in[i] != GIE_NONE)
      in[i] = r->values[n->in[i]]; /* without data: a constant of the graph */
  gie_status st = run_once_node(&r->once, r->g, n->id, in, out);
  if (st != GIE_OK)
    return gie_error_prefix(r->t->ctx, st, "%s", r->path);
  for (uint32_t i = 0; i < n->n_out; i++) {
    r->values[n->out[i]] = out[i];
    release(r, n->out[i]);
  }
  for (uint32_t i = 0; i < n->n_in; i++)
    if (n->in[i] != GIE_NONE) {
      r->uses[n->in[i]]--;
      release(r, n->in[i]);
    }
  return GIE_OK;
}

static gie_status step(struct reference *r)
{
  const struct gie_node *n = gie_node_get(r->g, r->next);
  r->next = n->next;
  if (!r->is_live[n->id])
    return GIE_OK;
  struct gie_tensor *in = gie_alloc(r->t->ctx, (size_t)n->n_in + n->n_out, sizeof *in);
  gie_status st = in ? compute(r, n, in, in + n->n_in) : GIE_E_MEMORY;
  gie_free(r->t->ctx, in);
  return st;
}

gie_status reference_get(struct reference *r, gie_id value, const struct gie_tensor **out)
{
  reference_want(r, value);
  while (!r->values[value].data && r->next != GIE_NONE)
    GIE_TRY(step(r));
  if (!r->values[value].data)
    return gie_fail(r->t->ctx, GIE_E_INTERNAL, "%s: value \"%s\" was let go too early", r->path,
                    gie_value_get(r->g, value)->name);
  *out = &r->values[value];
  return GIE_OK;
}

void reference_want(struct reference *r, gie_id value) { r->wanted[value] = true; }

void reference_drop(struct reference *r, gie_id value)
{
  r->wanted[value] = false;
  release(r, value);
}
