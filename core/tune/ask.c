/* SPDX-License-Identifier: Apache-2.0 */
/* Asking: each kernel is asked about each node with its epilogue cut to n, n-1, … 0 steps; what it offers are *raw*
 * variants whose ports name a layout or take any. */
#include "core/module/registry.h"
#include "core/tune/select.h"

static bool has_numbers(const struct gie_graph *g, const struct gie_node *n)
{
  for (uint32_t i = 0; i < n->n_in + n->n_out; i++) {
    const struct gie_value *v = gie_value_get(g, i < n->n_in ? n->in[i] : n->out[i - n->n_in]);
    if (v && !run_type_is_static(&v->type))
      return false;
  }
  return true;
}

/* ---- Asking ------------------------------------------------------------------------------------- */

struct ask {
  struct selection *s;
  struct tune_node *node;
  const struct gie_node *n; /* of the selection's graph */
  struct gie_buf refusals, cut;
};

/* A port as the problem has it: dtype always named, layout `any` kept in *any. */
static struct tune_port port_of(const struct gie_port *port, const struct gie_desc *plain, bool *any)
{
  struct tune_port p = {.pitch = port->pitch, .axes = port->pitch_axes, .align = port->align};
  p.form.dtype = port->dtype != GIE_DTYPE_NONE ? port->dtype : plain->dtype;
  *any = port->layout.any;
  if (!*any)
    p.form.layout = port->layout;
  return p;
}

static bool ports_are_possible(const struct run_problem *p, const struct gie_variant *v, const char **why)
{
  const struct gie_node *n = p->pub.node;
  *why = "describes more operands than can be";
  if (v->n_in > GIE_MAX_IO || v->n_out > GIE_MAX_IO)
    return false;
  for (uint32_t i = 0; i < n->n_in + n->n_out; i++) {
    const struct gie_port *port = mod_port(&p->pub, v, i);
    const struct gie_layout *l = &port->layout;
    *why = "names a layout of another rank";
    if (!l->any && l->rank && p->plain[i].dtype != GIE_DTYPE_NONE && l->rank != p->plain[i].rank)
      return false;
    *why = "wants another element type than the graph has";
    if (port->dtype != GIE_DTYPE_NONE && p->plain[i].dtype != GIE_DTYPE_NONE &&
        port->dtype != p->plain[i].dtype &&
        !(gie_dtype_class(port->dtype) == 'f' && gie_dtype_class(p->plain[i].dtype) == 'f'))
      return false;
  }
  return true;
}

/* Whether it names another layout than the plain one; constants are packed as it likes. */
static bool has_other_layout(const struct ask *a, const struct run_problem *p, const struct gie_variant *v)
{
  static const struct gie_layout plain;
  for (uint32_t i = 0; i < p->pub.n_in + p->pub.n_out; i++) {
    const struct gie_port *port = mod_port(&p->pub, v, i);
    bool is_const = i < p->pub.n_in && a->n->in[i] != GIE_NONE &&
                    gie_value_get(a->s->g, a->n->in[i])->kind == GIE_VALUE_CONST;
    if (!is_const && !port->layout.any && !gie_layout_equal(&port->layout, &plain, p->plain[i].rank))
      return true;
  }
  return false;
}

static gie_status add_raw(struct ask *a, const struct gie_kernel *k, const struct gie_variant *v,
                          double estimate)
{
  struct selection *s = a->s;
  const struct run_problem *p = &s->t->binder.problem;
  uint32_t n_in = p->pub.n_in, n_out = p->pub.n_out;
  struct tune_port *ports = gie_arena_alloc(&s->mem, (size_t)n_in + n_out, sizeof *ports);
  bool *any = gie_arena_alloc(&s->mem, (size_t)n_in + n_out, sizeof *any);
  char *label = gie_arena_strdup(&s->mem, v->label);
  if (!ports || !any || !label)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < n_in + n_out; i++)
    ports[i] = port_of(mod_port(&p->pub, v, i), &p->plain[i], &any[i]);
  GIE_TRY(
      gie_grow(s->t->ctx, &a->node->raws, &a->node->cap_raws, a->node->n_raws + 1, sizeof *a->node->raws));
  a->node->raws[a->node->n_raws++] = (struct tune_raw){.kernel = k,
                                                       .n_steps = v->n_steps,
                                                       .n_in = n_in,
                                                       .config = v->config,
                                                       .label = label,
                                                       .estimate = estimate,
                                                       .in = ports,
                                                       .out = ports + n_in,
                                                       .any = any};
  return GIE_OK;
}

static void refuse(struct ask *a, const struct gie_kernel *k, uint32_t n_steps, const char *why)
{
  gie_buf_printf(&a->refusals, "%s%s: ", a->refusals.len ? "; " : "", k->name);
  if (n_steps < a->n->n_steps)
    gie_buf_printf(&a->refusals, "(with %u of %u steps) ", (unsigned)n_steps, (unsigned)a->n->n_steps);
  gie_buf_escape(&a->refusals, why, strlen(why));
}

/* Whether a variant is of use; otherwise *why, NULL when memory is short. Other element types than the graph's only a
 * caller gets who accepts reduced precision. */
static bool is_usable(const struct ask *a, const struct gie_variant *v, const char **why)
{
  const struct tuner *t = a->s->t;
  const struct run_problem *p = &t->binder.problem;
  if (!ports_are_possible(p, v, why))
    return false;
  bool changes = mod_changes_types(&p->pub, v);
  gie_status st = GIE_OK;
  if (changes && !t->o->reduced_precision)
    *why = "computes in a narrower element type";
  else if (t->o->plain_layouts && has_other_layout(a, p, v))
    *why = "wants another layout than the plain one";
  else if (changes && tune_keeps_f32(a->n))
    *why = "the node keeps its element type";
  else if ((st = mod_check_types(&p->pub, v)) != GIE_OK)
    *why = st == GIE_E_MEMORY ? NULL : gie_error_text(t->ctx);
  else
    return true;
  return false;
}

/* Takes variants of a kernel that were offered for the problem at hand; *n_cut counts those without room. */
static gie_status take_variants(struct ask *a, const struct gie_kernel *k, const struct gie_variant *v,
                                uint32_t n, uint32_t *n_cut)
{
  struct tuner *t = a->s->t;
  const struct gie_problem *p = &t->binder.problem.pub;
  for (uint32_t i = 0; i < n; i++) {
    const char *why = NULL;
    if (v[i].n_steps != p->node->n_steps)
      continue; /* offered again when the node is asked about with that cut */
    if (a->node->n_raws == TUNE_MAX_VARIANTS)
      ++*n_cut;
    else if (is_usable(a, &v[i], &why))
      GIE_TRY(add_raw(a, k, &v[i], tune_estimate(k, p, &v[i], &t->peaks)));
    else if (why)
      refuse(a, k, p->node->n_steps, why);
    else
      return GIE_E_MEMORY;
  }
  return GIE_OK;
}

/* Asks one kernel about the problem at hand. */
static gie_status ask_kernel(struct ask *a, const struct gie_kernel *k)
{
  struct tuner *t = a->s->t;
  struct run_problem *p = &t->binder.problem;
  uint32_t n_steps = p->pub.node->n_steps, n_cut = 0;
  char why[256] = "";
  if (run_binder_library(&t->binder, k->library, &p->pub.library) != GIE_OK) {
    refuse(a, k, n_steps, gie_error_text(t->ctx));
    return GIE_OK;
  }
  if (!k->supports(k, &p->pub, why, sizeof why)) {
    why[sizeof why - 1] = 0;
    refuse(a, k, n_steps, *why ? why : "refuses without a reason");
    return GIE_OK;
  }
  uint32_t n = run_kernel_variants(k, &p->pub, t->binder.variants, RUN_MAX_VARIANTS);
  GIE_TRY(take_variants(a, k, t->binder.variants, n, &n_cut));
  if (n == RUN_MAX_VARIANTS)
    gie_buf_printf(&a->cut, "%s%s: all above the first %d variants", a->cut.len ? "; " : "", k->name,
                   RUN_MAX_VARIANTS);
  if (n_cut)
    gie_buf_printf(&a->cut, "%s%s: %u variants with %u of %u steps", a->cut.len ? "; " : "", k->name,
                   (unsigned)n_cut, (unsigned)n_steps, (unsigned)a->n->n_steps);
  return GIE_OK;
}

enum gie_dtype select_narrow_dtype(const struct selection *s, const struct gie_node *n)
{
  bool may = GIE_OPTION(s->t->o, reduced_precision) && !tune_keeps_f32(n);
  return may && gie_value_get(s->g, n->out[0])->type.dtype == GIE_F32 ? GIE_F16 : GIE_DTYPE_NONE;
}

static enum gie_dtype value_dtype(const struct selection *s, const struct gie_node *n, uint32_t i)
{
  const struct gie_value *v = gie_value_get(s->g, i < n->n_in ? n->in[i] : n->out[i - n->n_in]);
  return v ? v->type.dtype : GIE_DTYPE_NONE;
}

/* What a kernel that fuses more offers with fewer steps is hardly ever of use: the rest costs a launch and a trip to
 * memory. Asking takes time, where a vendor library's heuristics answer, so only a search of everything asks. */
static bool fuses_more(const struct ask *a, const struct gie_kernel *k, uint32_t n_steps)
{
  for (size_t i = 0; i < a->node->n_raws; i++)
    if (a->node->raws[i].kernel == k && a->node->raws[i].n_steps > n_steps)
      return !a->s->t->o->exhaustive;
  return false;
}

static bool offers(const struct ask *a, const struct gie_kernel *k, enum gie_dtype dtype)
{
  for (size_t i = 0; i < a->node->n_raws; i++)
    if (a->node->raws[i].kernel == k && a->node->raws[i].n_in && a->node->raws[i].in[0].form.dtype == dtype)
      return true;
  return false;
}

bool select_is_at_the_edge(const struct selection *s, const struct gie_node *n)
{
  for (uint32_t i = 0; i < n->n_in + n->n_out; i++) {
    const struct gie_value *v = gie_value_get(s->g, i < n->n_in ? n->in[i] : n->out[i - n->n_in]);
    if (v && select_is_edge(v))
      return true;
  }
  return false;
}

static enum gie_narrow narrow_of(const struct ask *a)
{
  const struct gie_build_options *o = a->s->t->o;
  if (!GIE_OPTION(o, reduced_precision) || tune_keeps_f32(a->n))
    return GIE_NARROW_NO;
  return o->exhaustive || select_is_at_the_edge(a->s, a->n) ? GIE_NARROW_PERHAPS : GIE_NARROW_WANTED;
}

/* Asks all kernels about the node with its epilogue cut; `narrow` not NONE: with its floats in that type. */
static gie_status ask_cut(struct ask *a, uint32_t n_steps, enum gie_dtype narrow)
{
  struct tuner *t = a->s->t;
  struct tune_problem cut;
  struct tune_form *forms = NULL;
  char buf[128];
  const char *forced = run_rules_forced(&t->binder.rules, a->n, buf, sizeof buf);
  if (narrow != GIE_DTYPE_NONE) {
    if (!(forms = gie_arena_alloc(&a->s->mem, (size_t)a->n->n_in + a->n->n_out, sizeof *forms)))
      return GIE_E_MEMORY;
    for (uint32_t i = 0; i < a->n->n_in + a->n->n_out; i++)
      if (value_dtype(a->s, a->n, i) == GIE_F32)
        forms[i].dtype = narrow;
  }
  GIE_TRY(tune_problem_make_with(&t->consts, a->s->g, a->n, n_steps, forms, forms ? forms + a->n->n_in : NULL,
                                 &cut));
  gie_status st = run_problem_fill(&t->binder.problem, &t->device, cut.g,
                                   gie_node_get(cut.g, gie_graph_first(cut.g)), NULL);
  t->binder.problem.pub.narrow = narrow == GIE_DTYPE_NONE ? narrow_of(a) : GIE_NARROW_NO;
  for (size_t i = 0; st == GIE_OK && i < t->binder.rules.n; i++) {
    const struct gie_kernel *k = t->binder.rules.order[i];
    if (run_kernel_has_op(k, a->n->op->name) && (!forced || strcmp(forced, k->name) == 0) &&
        !fuses_more(a, k, n_steps) && (narrow == GIE_DTYPE_NONE || !offers(a, k, narrow)))
      st = ask_kernel(a, k);
  }
  tune_problem_free(&cut, t->ctx);
  return st;
}

/* Ops that move values and compute nothing: what is f32 may be f16 on the way, and be so exactly, where those who make and
 * read it compute in f16. Their kernels need not know. */
static bool only_moves(const struct gie_node *n)
{
  static const char *const OPS[] = {"concat", "depth_to_space", "expand", "gather", "identity", "reorder",
                                    "slice",  "space_to_depth", "split",  "tile",   "transpose"};
  for (size_t i = 0; i < sizeof OPS / sizeof *OPS; i++)
    if (strcmp(OPS[i], n->op->name) == 0)
      return n->n_steps == 0;
  return false;
}

static gie_status ask_node(struct selection *s, gie_id id)
{
  struct ask a = {.s = s, .node = &s->nodes[id], .n = gie_node_get(s->g, id)};
  gie_status st = GIE_OK;
  gie_buf_init(&a.refusals, s->t->ctx);
  gie_buf_init(&a.cut, s->t->ctx);
  a.node->open = true;
  for (uint32_t k = a.n->n_steps + 1; st == GIE_OK && k-- > 0;)
    st = ask_cut(&a, k, GIE_DTYPE_NONE);
  enum gie_dtype narrow = only_moves(a.n) ? select_narrow_dtype(s, a.n) : GIE_DTYPE_NONE;
  if (st == GIE_OK && narrow != GIE_DTYPE_NONE)
    st = ask_cut(&a, 0, narrow);
  if (st == GIE_OK)
    st = a.refusals.status;
  if (st == GIE_OK)
    st = a.cut.status;
  a.node->refusals = st == GIE_OK && a.refusals.len ? gie_arena_strdup(&s->mem, a.refusals.data) : "";
  a.node->cut = st == GIE_OK && a.cut.len ? gie_arena_strdup(&s->mem, a.cut.data) : "";
  gie_buf_free(&a.refusals);
  gie_buf_free(&a.cut);
  return st == GIE_OK && (!a.node->refusals || !a.node->cut) ? GIE_E_MEMORY : st;
}

/* ---- Nodes with bodies ------------------------------------------------------------------------------ */

/* What an executor would take: the kernel's first variant whose ports are as the values are. */
static void fix(struct ask *a, const struct gie_kernel *k)
{
  struct tuner *t = a->s->t;
  struct run_problem *p = &t->binder.problem;
  const char *why;
  char said[256] = "";
  if (run_binder_library(&t->binder, k->library, &p->pub.library) != GIE_OK ||
      !k->supports(k, &p->pub, said, sizeof said))
    return;
  uint32_t n = run_kernel_variants(k, &p->pub, t->binder.variants, RUN_MAX_VARIANTS);
  for (uint32_t i = 0; i < n && !a->node->fixed.kernel; i++) {
    const struct gie_variant *v = &t->binder.variants[i];
    if (ports_are_possible(p, v, &why) && !mod_changes_types(&p->pub, v) && !has_other_layout(a, p, v))
      a->node->fixed = (struct tune_fixed){k, v->config, tune_estimate(k, &p->pub, v, &t->peaks)};
  }
}

static gie_status ask_bodies(struct selection *s, gie_id id)
{
  struct ask a = {.s = s, .node = &s->nodes[id], .n = gie_node_get(s->g, id)};
  struct run_binder *b = &s->t->binder;
  char buf[128];
  const char *forced = run_rules_forced(&b->rules, a.n, buf, sizeof buf);
  GIE_TRY(run_problem_fill(&b->problem, &s->t->device, s->g, a.n, NULL));
  for (size_t i = 0; i < b->rules.n && !a.node->fixed.kernel; i++)
    if (run_kernel_has_op(b->rules.order[i], a.n->op->name) &&
        (!forced || strcmp(forced, b->rules.order[i]->name) == 0))
      fix(&a, b->rules.order[i]);
  s->fixed += a.node->fixed.seconds;
  return GIE_OK;
}

gie_status select_ask(struct selection *s)
{
  GIE_FOR_NODES(s->g, id) {
    const struct gie_node *n = gie_node_get(s->g, id);
    if (!s->is_live[id] || s->is_tail[id] || !has_numbers(s->g, n))
      continue;
    if (ir_has_bodies(n)) {
      GIE_TRY(ask_bodies(s, id));
      continue;
    }
    GIE_TRY(ask_node(s, id));
    s->t->report.nodes++;
  }
  return GIE_OK;
}
