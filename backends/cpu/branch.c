/* SPDX-License-Identifier: Apache-2.0 */
/* if: one of two bodies, whose nodes run one after the other with the reference kernels of this backend. Every size
 * in a body has to be known before it runs. The results of its nodes lie in the workspace, each in a place of its
 * own, which both bodies share; in front of them what a run needs:
 *
 *     address of each value | operands and results of a node | scratch of a node | results
 *
 * A result of the if is a copy of the body's output, so an output may be an input or a constant as well. */
#include "backends/cpu/cpu.h"

#include <stdio.h>

#define ALIGN 256

struct step {
  const struct gie_node *node;
  const struct gie_kernel *kernel;
  void *instance;
};

struct body {
  const struct gie_graph *g;
  uint32_t n_values, n_steps, n_slots; /* slots: operands and results of the largest node */
  struct gie_desc *desc;               /* by value */
  size_t *offset;                      /* of a result in the workspace, by value */
  const void **fixed; /* bytes of a constant, by value; while it is made of a captured one too */
  struct step *steps;
  size_t slots, scratch, bytes; /* where these begin; where it ends */
  double seconds;               /* that its nodes expect to take */
};

/* The instance. */
struct branch {
  struct gie_context *ctx;
  const struct gie_node *node;
  uint32_t n_in, n_out;
  struct gie_desc *out;
  struct body body[2]; /* else, then */
  size_t workspace;
};

static gie_status prepare(const struct gie_problem *p, char *why, size_t size, struct branch **out);

/* ---- Values -------------------------------------------------------------------------------------- */

static bool reserve(size_t *end, size_t bytes, size_t *at)
{
  size_t past;
  if (__builtin_add_overflow(*end, bytes, &past) || past > SIZE_MAX / 4)
    return false;
  *at = *end;
  *end = (past + ALIGN - 1) / ALIGN * ALIGN;
  return true;
}

static bool has_type(const struct gie_desc *d, const struct gie_type *t)
{
  bool same = d->dtype == t->dtype && d->rank == t->shape.rank;
  for (int i = 0; same && i < d->rank; i++)
    same = gie_dim_is_num(t->shape.dim[i]) && d->dim[i] == t->shape.dim[i].b;
  return same;
}

static bool is_static(const struct gie_type *t)
{
  bool yes = t->dtype != GIE_DTYPE_NONE && t->shape.rank >= 0;
  for (int i = 0; yes && i < t->shape.rank; i++)
    yes = gie_dim_is_num(t->shape.dim[i]);
  return yes;
}

/* Inputs are as the captures lie in memory, all else is plain. */
static gie_status place_values(struct body *b, const struct gie_problem *p, char *why, size_t size)
{
  static const struct gie_layout plain;
  for (uint32_t i = 0; i < p->node->n_captures; i++) {
    const struct gie_value *v = gie_value_get(b->g, gie_graph_input(b->g, i));
    uint32_t slot = p->n_in - p->node->n_captures + i;
    const struct gie_desc *d = &p->in[slot];
    if (!has_type(d, &v->type)) {
      cpu_refuse(why, size, "\"%.100s\" of a branch does not have the type of what it captures", v->name);
      return GIE_E_UNSUPPORTED;
    }
    b->desc[v->id] = *d;
    b->fixed[v->id] = p->in_data ? p->in_data[slot] : NULL;
  }
  for (gie_id i = 0; i < b->n_values; i++) {
    const struct gie_value *v = gie_value_get(b->g, i);
    size_t bytes;
    if (v->kind != GIE_VALUE_CONST && v->kind != GIE_VALUE_RESULT)
      continue;
    if (!is_static(&v->type)) {
      cpu_refuse(why, size, "the size of \"%.100s\" in a branch is not known before it runs", v->name);
      return GIE_E_UNSUPPORTED;
    }
    GIE_TRY(gie_desc_make(p->ctx, &v->type, &plain, &b->desc[i], &bytes));
    b->fixed[i] = gie_value_bytes(b->g, i, NULL);
    if (v->kind == GIE_VALUE_RESULT && !reserve(&b->bytes, bytes, &b->offset[i])) {
      cpu_refuse(why, size, "the results in a branch have more bytes than can be addressed");
      return GIE_E_LIMIT;
    }
  }
  return GIE_OK;
}

/* ---- Nodes --------------------------------------------------------------------------------------- */

static bool is_empty(const struct gie_desc *d)
{
  for (int i = 0; i < d->rank; i++)
    if (d->dim[i] == 0)
      return true;
  return false;
}

static bool computes_nothing(const struct body *b, const struct gie_node *n)
{
  for (uint32_t i = 0; i < n->n_out; i++)
    if (!is_empty(&b->desc[n->out[i]]))
      return false;
  return true;
}

/* The problem of a node; `in`, `out` and `data` have room for it. */
static struct gie_problem problem_of(const struct body *b, const struct gie_problem *p,
                                     const struct gie_node *n, struct gie_desc *in, struct gie_desc *out,
                                     const void **data)
{
  struct gie_problem q = *p;
  for (uint32_t i = 0; i < n->n_in; i++) {
    bool given = n->in[i] != GIE_NONE;
    in[i] = given ? b->desc[n->in[i]] : (struct gie_desc){.dtype = GIE_DTYPE_NONE};
    data[i] = given ? b->fixed[n->in[i]] : NULL;
  }
  for (uint32_t i = 0; i < n->n_out; i++)
    out[i] = b->desc[n->out[i]];
  q.graph = b->g, q.node = n;
  q.n_in = n->n_in, q.n_out = n->n_out;
  q.in = in, q.out = out, q.in_data = data;
  return q;
}

/* An if inside is made at once: asking it is as much work as making it, which would double at each level. */
static gie_status make_instance(struct step *s, const struct gie_problem *q, char *why, size_t size,
                                size_t *workspace)
{
  s->kernel = cpu_kernel_of(q->node->op->name);
  if (s->kernel == &cpu_kernel_if) {
    struct branch *inner;
    GIE_TRY(prepare(q, why, size, &inner));
    s->instance = inner;
    *workspace = inner->workspace;
    return GIE_OK;
  }
  if (!s->kernel) {
    cpu_refuse(why, size, "there is no reference kernel for it");
    return GIE_E_UNSUPPORTED;
  }
  if (!s->kernel->supports(s->kernel, q, why, size))
    return GIE_E_UNSUPPORTED;
  *workspace = s->kernel->workspace(s->kernel, q, NULL);
  gie_status st = s->kernel->create(s->kernel, q, NULL, &s->instance);
  if (st != GIE_OK)
    cpu_refuse(why, size, "%s", gie_error_text(q->ctx));
  return st;
}

static double costlier(const struct branch *br)
{
  return br->body[0].seconds > br->body[1].seconds ? br->body[0].seconds : br->body[1].seconds;
}

/* Seconds of a node. An if takes as long as its costlier branch, and copies the results. */
static double expected(const struct step *s, const struct gie_problem *q)
{
  struct gie_problem results = *q;
  struct gie_cost cost = {.struct_size = sizeof cost};
  bool inner = s->kernel == &cpu_kernel_if;
  if (inner)
    results.n_in = 0;
  cpu_estimate(s->kernel, &results, NULL, &cost);
  return cost.seconds + (inner ? costlier(s->instance) : 0);
}

static gie_status add_step(struct body *b, const struct gie_problem *p, const struct gie_node *n, char *why,
                           size_t size)
{
  char inner[200] = "";
  struct gie_desc *descs = gie_alloc(p->ctx, (size_t)n->n_in + n->n_out, sizeof *descs);
  const void **data = gie_alloc(p->ctx, n->n_in, sizeof *data);
  size_t workspace = 0;
  gie_status st = GIE_E_MEMORY;
  if (descs && data) {
    struct gie_problem q = problem_of(b, p, n, descs, descs + n->n_in, data);
    st = make_instance(&b->steps[b->n_steps], &q, inner, sizeof inner, &workspace);
    if (st == GIE_OK)
      b->seconds += expected(&b->steps[b->n_steps], &q);
    else
      cpu_refuse(why, size, "\"%.60s\" (%.40s) in a branch: %s", n->name, n->op->name, inner);
  }
  gie_free(p->ctx, descs);
  gie_free(p->ctx, data);
  if (st != GIE_OK)
    return st;
  b->steps[b->n_steps++].node = n;
  b->n_slots = n->n_in + n->n_out > b->n_slots ? n->n_in + n->n_out : b->n_slots;
  b->scratch = workspace > b->scratch ? workspace : b->scratch;
  return GIE_OK;
}

/* ---- A branch -------------------------------------------------------------------------------------- */

static gie_status fill_body(struct body *b, const struct gie_problem *p, char *why, size_t size)
{
  b->n_values = gie_graph_n_values(b->g);
  b->desc = gie_alloc(p->ctx, b->n_values, sizeof *b->desc);
  b->offset = gie_alloc(p->ctx, b->n_values, sizeof *b->offset);
  b->fixed = gie_alloc(p->ctx, b->n_values, sizeof *b->fixed);
  b->steps = gie_alloc(p->ctx, gie_graph_count_nodes(b->g), sizeof *b->steps);
  if (!b->desc || !b->offset || !b->fixed || !b->steps)
    return GIE_E_MEMORY;
  GIE_TRY(place_values(b, p, why, size));
  GIE_FOR_NODES(b->g, id) {
    const struct gie_node *n = gie_node_get(b->g, id);
    if (!computes_nothing(b, n))
      GIE_TRY(add_step(b, p, n, why, size));
  }
  for (uint32_t i = 0; i < p->n_out; i++) {
    const struct gie_value *v = gie_value_get(b->g, gie_graph_output(b->g, i));
    if (!has_type(&p->out[i], &v->type)) {
      cpu_refuse(why, size, "\"%.100s\" of a branch does not have the type of result %u", v->name,
                 (unsigned)i);
      return GIE_E_UNSUPPORTED;
    }
  }
  size_t results = b->bytes, scratch = b->scratch, at;
  b->bytes = 0;
  bool fits = reserve(&b->bytes, b->n_values * sizeof(void *), &at) &&
              reserve(&b->bytes, b->n_slots * sizeof(void *), &b->slots) &&
              reserve(&b->bytes, scratch, &b->scratch);
  for (uint32_t i = 0; i < b->n_values; i++)
    b->offset[i] += b->bytes;
  if (fits && reserve(&b->bytes, results, &at))
    return GIE_OK;
  cpu_refuse(why, size, "the results in a branch have more bytes than can be addressed");
  return GIE_E_LIMIT;
}

static gie_status make_body(struct body *b, const struct gie_problem *p, const char *name, char *why,
                            size_t size)
{
  const struct gie_attr *a = gie_attrs_find(&p->node->attrs, name);
  if (!a || a->kind != GIE_ATTR_GRAPH || gie_graph_n_inputs(a->u.g) != p->node->n_captures ||
      gie_graph_n_outputs(a->u.g) != p->n_out) {
    cpu_refuse(why, size, "%s is no graph with the node's captures and results", name);
    return GIE_E_UNSUPPORTED;
  }
  b->g = a->u.g;
  return fill_body(b, p, why, size);
}

static void destroy(void *instance)
{
  struct branch *br = instance;
  for (int i = 0; br && i < 2; i++) {
    struct body *b = &br->body[i];
    for (uint32_t k = 0; k < b->n_steps; k++)
      b->steps[k].kernel->destroy(b->steps[k].instance);
    gie_free(br->ctx, b->desc);
    gie_free(br->ctx, b->offset);
    gie_free(br->ctx, b->fixed);
    gie_free(br->ctx, b->steps);
  }
  if (br) {
    gie_free(br->ctx, br->out);
    gie_free(br->ctx, br);
  }
}

static gie_status fill(struct branch *br, const struct gie_problem *p, char *why, size_t size)
{
  if (!(br->out = gie_alloc(p->ctx, p->n_out, sizeof *br->out)))
    return GIE_E_MEMORY;
  memcpy(br->out, p->out, p->n_out * sizeof *br->out);
  GIE_TRY(make_body(&br->body[0], p, "else_branch", why, size));
  GIE_TRY(make_body(&br->body[1], p, "then_branch", why, size));
  br->workspace = br->body[0].bytes > br->body[1].bytes ? br->body[0].bytes : br->body[1].bytes;
  return GIE_OK;
}

static gie_status prepare(const struct gie_problem *p, char *why, size_t size, struct branch **out)
{
  struct branch *br = gie_alloc(p->ctx, 1, sizeof *br);
  gie_status st = GIE_E_MEMORY;
  if (br) {
    *br = (struct branch){.ctx = p->ctx, .node = p->node, .n_in = p->n_in, .n_out = p->n_out};
    st = fill(br, p, why, size);
  }
  if (st == GIE_OK) {
    *out = br;
    return GIE_OK;
  }
  if (st == GIE_E_MEMORY)
    cpu_refuse(why, size, "%s", gie_error_text(p->ctx));
  destroy(br);
  return st;
}

/* ---- Running ----------------------------------------------------------------------------------------- */

static gie_status run_step(const struct gie_launch *launch, const struct body *b, const struct step *s,
                           char *base, void **address)
{
  const struct gie_node *n = s->node;
  void **in = (void **)(base + b->slots), **out = in + n->n_in;
  struct gie_launch l = *launch;
  for (uint32_t i = 0; i < n->n_in; i++)
    in[i] = n->in[i] == GIE_NONE ? NULL : address[n->in[i]];
  for (uint32_t i = 0; i < n->n_out; i++)
    out[i] = address[n->out[i]];
  l.in = in, l.out = out;
  l.workspace = base + b->scratch;
  gie_status st = s->kernel->run(s->instance, &l);
  return st == GIE_OK ? st : gie_error_prefix(l.ctx, st, "\"%.200s\" (%s) in a branch", n->name, n->op->name);
}

static void copy(const struct cpu_tensor *from, const struct cpu_tensor *to)
{
  struct cpu_box box = cpu_box(to, 0, NULL);
  int64_t idx[GIE_MAX_RANK];
  if (cpu_is_dense(from, 0) && cpu_is_dense(to, 0)) {
    memcpy(to->data, from->data, (size_t)cpu_count(to) * gie_dtype_size(to->dtype));
    return;
  }
  for (int64_t row = 0; row < box.rows; row++) {
    struct cpu_row r;
    int n = cpu_box_at(&box, row, idx);
    cpu_read_row(from, idx, box.axis, n, &r);
    cpu_write_row(to, idx, box.axis, n, &r);
  }
}

static gie_status run(void *instance, const struct gie_launch *l)
{
  const struct branch *br = instance;
  const struct body *b = &br->body[*(const unsigned char *)l->in[0] != 0];
  char *base = l->workspace;
  void **address = (void **)base;
  for (uint32_t i = 0; i < b->n_values; i++)
    address[i] = b->fixed[i] ? (void *)(uintptr_t)b->fixed[i] : base + b->offset[i];
  for (uint32_t i = 0; i < br->node->n_captures; i++)
    address[gie_graph_input(b->g, i)] = l->in[br->n_in - br->node->n_captures + i];
  for (uint32_t i = 0; i < b->n_steps; i++)
    GIE_TRY(run_step(l, b, &b->steps[i], base, address));
  for (uint32_t i = 0; i < br->n_out; i++) {
    gie_id value = gie_graph_output(b->g, i);
    struct cpu_tensor from = cpu_tensor_of(&b->desc[value], address[value]);
    struct cpu_tensor to = cpu_tensor_of(&br->out[i], l->out[i]);
    if (is_empty(&br->out[i]))
      continue;
    copy(&from, &to);
    cpu_zero_lanes(&to);
  }
  return GIE_OK;
}

/* ---- The kernel ---------------------------------------------------------------------------------------- */

static bool supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size)
{
  struct branch *br;
  (void)k;
  gie_status st = prepare(p, why, size, &br);
  if (st == GIE_OK)
    destroy(br);
  return st == GIE_OK || st == GIE_E_MEMORY; /* want of memory is for create() to say */
}

static size_t workspace(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v)
{
  char why[256];
  struct branch *br;
  (void)k, (void)v;
  if (prepare(p, why, sizeof why, &br) != GIE_OK)
    return SIZE_MAX; /* nobody has that much */
  size_t bytes = br->workspace;
  destroy(br);
  return bytes;
}

/* As if the costlier branch were taken every time. */
static void estimate(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                     struct gie_cost *out)
{
  char why[256];
  struct branch *br;
  (void)v;
  *out = (struct gie_cost){.struct_size = sizeof *out};
  if (prepare(p, why, sizeof why, &br) != GIE_OK)
    return;
  out->seconds = expected(&(struct step){p->node, k, br}, p);
  destroy(br);
}

static gie_status create(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                         void **instance)
{
  char why[256] = "";
  struct branch *br;
  (void)k, (void)v;
  gie_status st = prepare(p, why, sizeof why, &br);
  if (st != GIE_OK)
    return gie_fail(p->ctx, st, "%s", why);
  *instance = br;
  return GIE_OK;
}

const struct gie_kernel cpu_kernel_if = {
    .struct_size = sizeof cpu_kernel_if,
    .name = "cpu.if",
    .device = "cpu",
    .ops = (const char *const[]){"if", NULL},
    .supports = supports,
    .estimate = estimate,
    .workspace = workspace,
    .create = create,
    .destroy = destroy,
    .run = run,
    .flags = GIE_KERNEL_REFERENCE,
};
