/* SPDX-License-Identifier: Apache-2.0 */
/* Candidates, each once however many nodes and profiles want it, and sets of candidates for problems
 * whose forms are given: conversions between forms and epilogue steps that a kernel leaves over. */
#include "core/module/registry.h"
#include "core/tune/select.h"
#include <math.h>

/* 22 characters for each dim, 48 for each form */
#define CONVERSION_NAME ((size_t)GIE_MAX_RANK * 22 + 2 * 48)

bool tune_form_equal(const struct tune_form *a, const struct tune_form *b, int rank)
{
  return a->dtype == b->dtype && gie_layout_equal(&a->layout, &b->layout, rank);
}

struct tune_form tune_plain_form(const struct gie_value *v)
{
  struct tune_form f = {.dtype = v->type.dtype};
  return f;
}

/* ---- Candidates --------------------------------------------------------------------------------- */

gie_status tuner_problem(struct tuner *t, struct tune_problem *p, const struct tune_problem **out)
{
  uint32_t known = gie_map_get(&t->problem_index, p->key);
  if (known != UINT32_MAX) {
    tune_problem_free(p, t->ctx);
    *out = t->problems[known];
    return GIE_OK;
  }
  struct tune_problem *kept = gie_arena_alloc(&t->mem, 1, sizeof *kept);
  gie_status st = kept ? gie_grow(t->ctx, &t->problems, &t->cap_problems, t->n_problems + 1,
                                  sizeof(*t->problems))
                       : GIE_E_MEMORY;
  if (st == GIE_OK)
    st = gie_map_set(&t->problem_index, p->key, (uint32_t)t->n_problems);
  if (st != GIE_OK) {
    tune_problem_free(p, t->ctx);
    return st;
  }
  *kept = *p;
  *out = t->problems[t->n_problems++] = kept;
  return GIE_OK;
}

static const char *cand_key(struct tuner *t, const struct tune_problem *p, const struct gie_kernel *k,
                            uint64_t config)
{
  size_t size = strlen(p->key) + strlen(k->name) + 32;
  char *key = gie_arena_alloc(&t->mem, size, 1);
  if (key)
    snprintf(key, size, "%s\t%s\t%llx", p->key, k->name, (unsigned long long)config);
  return key;
}

gie_status tuner_cand(struct tuner *t, const struct tune_problem *p, const struct gie_kernel *k,
                      uint64_t config, const char *label, double estimate, uint32_t *out)
{
  const char *key = cand_key(t, p, k, config);
  if (!key)
    return GIE_E_MEMORY;
  if ((*out = gie_map_get(&t->cand_index, key)) != UINT32_MAX)
    return GIE_OK;
  GIE_TRY(gie_grow(t->ctx, &t->cands, &t->cap_cands, t->n_cands + 1, sizeof *t->cands));
  struct tune_cand c = {.problem = p,
                        .kernel = k,
                        .version = tune_entry_version(&t->mem, k, &t->device.info),
                        .config = config,
                        .label = gie_arena_strdup(&t->mem, label),
                        .estimate = estimate,
                        .seconds = estimate};
  if (!c.version || !c.label)
    return GIE_E_MEMORY;
  GIE_TRY(gie_map_set(&t->cand_index, key, (uint32_t)t->n_cands));
  *out = (uint32_t)t->n_cands;
  t->cands[t->n_cands++] = c;
  t->report.candidates++;
  return GIE_OK;
}

/* ---- Sets --------------------------------------------------------------------------------------- */

static bool port_takes(const struct gie_port *port, const struct gie_desc *d)
{
  return d->dtype == GIE_DTYPE_NONE ||
         ((port->dtype == GIE_DTYPE_NONE || port->dtype == d->dtype) &&
          (port->layout.any || gie_layout_equal(&port->layout, &d->layout, d->rank)));
}

/* Whether a variant takes the problem in the forms its values have. */
static bool variant_takes(const struct run_problem *p, const struct gie_variant *v)
{
  const struct gie_node *n = p->pub.node;
  if (v->n_in > GIE_MAX_IO || v->n_out > GIE_MAX_IO || v->n_steps != n->n_steps)
    return false;
  for (uint32_t i = 0; i < n->n_in + n->n_out; i++)
    if (!port_takes(mod_port(&p->pub, v, i), &p->here[i]))
      return false;
  return true;
}

/* Descriptors of a problem graph, whose values state their layouts. */
static gie_status fill_here(struct tuner *t, const struct tune_problem *p)
{
  struct run_problem *rp = &t->binder.problem;
  const struct gie_node *n = gie_node_get(p->g, gie_graph_first(p->g));
  GIE_TRY(run_problem_fill(rp, &t->device, p->g, n, NULL));
  for (uint32_t i = 0; i < n->n_in + n->n_out; i++) {
    const struct gie_value *v = gie_value_get(p->g, i < n->n_in ? n->in[i] : n->out[i - n->n_in]);
    if (v)
      GIE_TRY(gie_desc_make(t->ctx, &v->type, &v->layout, &rp->here[i], NULL));
  }
  return GIE_OK;
}

static gie_status ask_kernel(struct tuner *t, const struct tune_problem *p, const struct gie_kernel *k,
                             uint32_t *cands, uint32_t *n, uint32_t *n_cut)
{
  struct run_problem *rp = &t->binder.problem;
  char why[256] = "";
  run_problem_show(rp, false);
  if (run_binder_library(&t->binder, k->library, &rp->pub.library) != GIE_OK ||
      !k->supports(k, &rp->pub, why, sizeof why))
    return GIE_OK;
  struct gie_variant *v = t->binder.variants;
  uint32_t n_v = run_kernel_variants(k, &rp->pub, v, RUN_MAX_VARIANTS);
  for (uint32_t i = 0; i < n_v; i++) {
    if (!variant_takes(rp, &v[i]))
      continue;
    if (*n == TUNE_MAX_SET) {
      ++*n_cut;
      continue;
    }
    double estimate = tune_estimate(k, &rp->pub, &v[i], &t->peaks);
    GIE_TRY(tuner_cand(t, p, k, v[i].config, v[i].label, estimate, &cands[*n]));
    (*n)++;
  }
  return GIE_OK;
}

static gie_status ask_all(struct tuner *t, const struct tune_problem *p, struct tune_set *set)
{
  uint32_t cands[TUNE_MAX_SET], n = 0;
  set->n_cut = 0;
  GIE_TRY(fill_here(t, p));
  const char *op = t->binder.problem.pub.node->op->name;
  for (size_t i = 0; i < t->binder.rules.n; i++)
    if (run_kernel_has_op(t->binder.rules.order[i], op))
      GIE_TRY(ask_kernel(t, p, t->binder.rules.order[i], cands, &n, &set->n_cut));
  set->n = n;
  set->best = TUNE_NONE;
  set->cands = gie_arena_copy(&t->mem, cands, n, sizeof *cands);
  return n && !set->cands ? GIE_E_MEMORY : GIE_OK;
}

static gie_status find_set(struct tuner *t, const struct tune_problem *p, uint32_t *out)
{
  if ((*out = gie_map_get(&t->set_index, p->key)) != UINT32_MAX)
    return GIE_OK;
  struct tune_set set;
  GIE_TRY(ask_all(t, p, &set));
  set.key = p->key;
  GIE_TRY(gie_grow(t->ctx, &t->sets, &t->cap_sets, t->n_sets + 1, sizeof *t->sets));
  GIE_TRY(gie_map_set(&t->set_index, p->key, (uint32_t)t->n_sets));
  *out = (uint32_t)t->n_sets;
  t->sets[t->n_sets++] = set;
  return GIE_OK;
}

gie_status tuner_set(struct tuner *t, const struct gie_graph *g, const struct gie_node *n,
                     const struct tune_form *in, const struct tune_form *out, uint32_t *set)
{
  const struct tune_problem *p;
  struct tune_problem made;
  GIE_TRY(tune_problem_make_with(&t->consts, g, n, n->n_steps, in, out, &made));
  GIE_TRY(tuner_problem(t, &made, &p));
  return find_set(t, p, set);
}

/* A graph of one node without operands but inputs of the given types; set of its candidates. */
static gie_status lone_node(struct tuner *t, struct gie_graph *g, const struct gie_node_spec *spec,
                            const struct tune_form *in, const struct tune_form *out, uint32_t *set)
{
  gie_id id;
  GIE_TRY(gie_node_add(g, spec, &id));
  return tuner_set(t, g, gie_node_get(g, id), in, out, set);
}

static void put_form(char *buf, size_t size, size_t *at, const struct tune_form *f)
{
  *at += (size_t)snprintf(buf + *at, size - *at, " %d/%d/%u/%u/", (int)f->dtype, (int)f->layout.rank,
                          (unsigned)f->layout.block, (unsigned)f->layout.block_axis);
  for (int i = 0; i < GIE_MAX_RANK; i++)
    *at += (size_t)snprintf(buf + *at, size - *at, "%x", (unsigned)f->layout.perm[i]);
}

/* A conversion in short: it is asked for many times more often than there are different ones. */
static void conversion_name(const struct gie_type *type, const struct tune_form *from,
                            const struct tune_form *to, char buf[CONVERSION_NAME])
{
  size_t at = 0;
  for (int i = 0; i < type->shape.rank; i++)
    at += (size_t)snprintf(buf + at, CONVERSION_NAME - at, "%lld,", (long long)type->shape.dim[i].b);
  put_form(buf, CONVERSION_NAME, &at, from);
  put_form(buf, CONVERSION_NAME, &at, to);
}

static gie_status make_conversion(struct tuner *t, const struct gie_type *type, const struct tune_form *from,
                                  const struct tune_form *to, uint32_t *set)
{
  struct gie_graph *g;
  struct gie_type source = {from->dtype, type->shape};
  gie_id in;
  struct gie_attr to_dtype = {.name = "to", .kind = GIE_ATTR_DTYPE, .u.i = to->dtype};
  struct gie_node_spec spec = GIE_NODE_SPEC(from->dtype == to->dtype ? "reorder" : "cast");
  GIE_TRY(gie_graph_new(t->ctx, NULL, &g));
  gie_status st = gie_graph_add_input(g, "x", &source, &in);
  spec.n_in = 1;
  spec.in = &in;
  spec.n_attrs = from->dtype != to->dtype;
  spec.attrs = &to_dtype;
  if (st == GIE_OK)
    st = lone_node(t, g, &spec, from, to, set);
  gie_graph_free(g);
  return st;
}

gie_status tuner_conversion(struct tuner *t, const struct gie_type *type, const struct tune_form *from,
                            const struct tune_form *to, uint32_t *set)
{
  char name[CONVERSION_NAME];
  conversion_name(type, from, to, name);
  if ((*set = gie_map_get(&t->conversion_index, name)) != UINT32_MAX)
    return GIE_OK;
  GIE_TRY(make_conversion(t, type, from, to, set));
  const char *kept = gie_arena_strdup(&t->mem, name);
  return kept ? gie_map_set(&t->conversion_index, kept, *set) : GIE_E_MEMORY;
}

/* Operand of a step in the graph of its own: an input, or the same constant. */
static gie_status step_operand(struct gie_graph *to, const struct gie_graph *g, gie_id value, gie_id *out)
{
  const struct gie_value *v = gie_value_get(g, value);
  if (v->kind == GIE_VALUE_CONST)
    return gie_graph_add_const(to, "b", &v->type, &v->data, out);
  return gie_graph_add_input(to, "b", &v->type, out);
}

gie_status tuner_step(struct tuner *t, const struct gie_graph *g, const struct gie_node *n, uint32_t step,
                      const struct tune_form *form, const struct tune_form *operand_form, uint32_t *set)
{
  const struct gie_step *s = &n->steps[step];
  struct gie_graph *lone;
  struct gie_type type = gie_value_get(g, n->out[0])->type;
  struct gie_node_spec spec = GIE_NODE_SPEC(s->op->name);
  gie_id in[2] = {GIE_NONE, GIE_NONE};
  struct tune_form forms[2] = {*form, *form};
  type.dtype = form->dtype;
  GIE_TRY(gie_graph_new(t->ctx, NULL, &lone));
  uint32_t x = s->operand >= 0 && s->reverse ? 1 : 0;
  gie_status st = gie_graph_add_input(lone, "x", &type, &in[x]);
  if (st == GIE_OK && s->operand >= 0) {
    st = step_operand(lone, g, n->in[s->operand], &in[!x]);
    forms[!x] = *operand_form;
  }
  spec.n_in = s->operand >= 0 ? 2 : 1;
  spec.in = in;
  spec.n_attrs = s->attrs.n;
  spec.attrs = s->attrs.v;
  if (st == GIE_OK)
    st = lone_node(t, lone, &spec, forms, form, set);
  gie_graph_free(lone);
  return st;
}

double tuner_set_seconds(const struct tuner *t, uint32_t set)
{
  const struct tune_set *s = &t->sets[set];
  return s->best == TUNE_NONE ? INFINITY : t->cands[s->best].seconds;
}

bool tuner_set_is_measured(const struct tuner *t, uint32_t set)
{
  const struct tune_set *s = &t->sets[set];
  return s->best != TUNE_NONE && t->cands[s->best].source != TUNE_ESTIMATED;
}
