/* SPDX-License-Identifier: Apache-2.0 */
/* --fp16=auto: the plan runs on held-out inputs beside the f32 network. Where its outputs are too far off, layers get
 * the note `keep_f32`: first those in which most of the error arises, more each time. What was timed is in
 * the cache, so another round is quick. */
#include "tools/precision.h"
#include <dirent.h>
#include <math.h>
#include <sys/stat.h>

/* ---- What is used */

struct precision_use precision_used(const struct gie_graph *g)
{
  struct precision_use u = {0};
  GIE_FOR_NODES(g, id) {
    const struct gie_node *n = gie_node_get(g, id);
    const struct gie_attr *math = gie_attrs_find(&n->notes, "math"),
                          *kept = gie_attrs_find(&n->notes, "keep_f32");
    enum gie_dtype t = n->n_out ? gie_value_get(g, n->out[0])->type.dtype : GIE_DTYPE_NONE;
    u.f16 += t == GIE_F16;
    u.f32 += t == GIE_F32;
    u.tf32 += math && math->u.i != 0 && t == GIE_F32;
    u.kept += kept && kept->u.i != 0;
  }
  return u;
}

const char *precision_text(struct tool *t, const struct gie_plan_profile *p)
{
  struct precision_use u = precision_used(p->graph);
  bool any = p->precision && *p->precision;
  return tool_format(t, "%s%s; used: %u node%s f16, %u f32%s%s",
                     any ? tool_safe(t, p->precision) : "as the types say", any ? " allowed" : "",
                     (unsigned)u.f16, u.f16 == 1 ? "" : "s", (unsigned)u.f32,
                     u.tf32 ? tool_format(t, ", %u products may round", (unsigned)u.tf32) : "",
                     u.kept ? tool_format(t, ", %u kept in f32 on purpose", (unsigned)u.kept) : "");
}

/* ---- Inputs from a folder */

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Adds "NAME=FILE" for every file in the folder, sorted. */
static gie_status add_folder(struct tool *t, const char *dir, const char *input, struct tool_list *list)
{
  DIR *d = opendir(dir);
  struct dirent *e;
  struct stat st;
  uint32_t from = list->n;
  if (!d)
    return gie_fail(t->ctx, GIE_E_NOINPUT, "%s: the folder cannot be read; give --data the one with inputs",
                    dir);
  while ((e = readdir(d))) {
    const char *path = tool_format(t, "%s/%s", dir, e->d_name);
    const char **v;
    if (e->d_name[0] == '.' || stat(path, &st) != 0 || !S_ISREG(st.st_mode))
      continue;
    if (!(v = gie_arena_alloc(&t->arena, (size_t)list->n + 2, sizeof *v))) {
      closedir(d);
      return gie_fail(t->ctx, GIE_E_MEMORY, "out of memory");
    }
    if (list->n)
      memcpy(v, list->v, list->n * sizeof *v);
    v[list->n++] = tool_format(t, "%s=%s", input, path);
    list->v = v;
  }
  closedir(d);
  if (list->n == from)
    return gie_fail(t->ctx, GIE_E_NOINPUT, "%s: there is no file in it", dir);
  qsort(list->v + from, list->n - from, sizeof *list->v, by_name);
  return GIE_OK;
}

static gie_status find_inputs(struct tool *t, const struct gie_graph *g, const struct precision_goal *goal,
                              struct feeds *out)
{
  struct feed_options o = goal->feed;
  uint32_t n = gie_graph_n_inputs(g);
  for (uint32_t i = 0; i < n; i++) {
    const char *name = gie_value_get(g, gie_graph_input(g, i))->name;
    GIE_TRY(add_folder(t, n == 1 ? goal->dir : tool_format(t, "%s/%s", goal->dir, name), name, &o.inputs));
  }
  return feeds_make(t, g, &o, out);
}

/* ---- Comparing two executors */

struct seen {
  const char *name;
  float *v; /* gie_free */
  size_t n;
  double error; /* of the other executor's value of that name; < 0: it has none */
};

struct pair {
  struct tool *t;
  struct gie_graph *base; /* the plans' own come and go */
  struct feeds feeds;
  struct gie_exec *reference, *plan;
  struct seen *seen;
  size_t n_seen, cap_seen;
};

static size_t count(const struct gie_tensor *x)
{
  size_t n = 1;
  for (int i = 0; i < x->rank; i++)
    n *= (size_t)x->dim[i];
  return n;
}

static double element(const struct gie_tensor *x, size_t i)
{
  return x->dtype == GIE_F16 ? (double)gie_f16_to_f32(((const uint16_t *)x->data)[i])
                             : (double)((const float *)x->data)[i];
}

static bool is_known(const struct gie_tensor *x) { return x->dtype == GIE_F32 || x->dtype == GIE_F16; }

/* max|a-b| / max|b|; what is not finite in one only is infinitely far. */
static double distance(const struct gie_tensor *a, const float *b, size_t n)
{
  double most = 0, scale = 0;
  for (size_t i = 0; i < n; i++) {
    double x = element(a, i), y = (double)b[i];
    if (x == y || (isnan(x) && isnan(y)))
      continue;
    if (!isfinite(x) || !isfinite(y))
      return INFINITY;
    most = fmax(most, fabs(x - y));
  }
  for (size_t i = 0; i < n; i++)
    scale = isfinite(b[i]) ? fmax(scale, fabs((double)b[i])) : scale;
  return most == 0 ? 0 : scale > 0 ? most / scale : INFINITY;
}

static gie_status keep_value(void *user, const struct gie_watched *w)
{
  struct pair *p = user;
  struct gie_context *ctx = p->t->ctx;
  if (w->tensor->dtype != GIE_F32)
    return GIE_OK;
  GIE_TRY(gie_grow(ctx, &p->seen, &p->cap_seen, p->n_seen + 1, sizeof *p->seen));
  struct seen s = {gie_arena_strdup(&p->t->arena, gie_value_get(w->graph, w->value)->name), NULL,
                   count(w->tensor), -1};
  s.v = gie_alloc_raw(ctx, s.n, sizeof *s.v);
  if (!s.name || !s.v) {
    gie_free(ctx, s.v);
    return gie_fail(ctx, GIE_E_MEMORY, "out of memory");
  }
  memcpy(s.v, w->tensor->data, s.n * sizeof *s.v);
  p->seen[p->n_seen++] = s;
  return GIE_OK;
}

static gie_status compare_value(void *user, const struct gie_watched *w)
{
  struct pair *p = user;
  const char *name = gie_value_get(w->graph, w->value)->name;
  for (size_t i = 0; is_known(w->tensor) && i < p->n_seen; i++)
    if (strcmp(p->seen[i].name, name) == 0 && p->seen[i].n == count(w->tensor))
      p->seen[i].error = distance(w->tensor, p->seen[i].v, p->seen[i].n);
  return GIE_OK;
}

static gie_status feed(struct pair *p, struct gie_exec *x, uint32_t run)
{
  for (uint32_t i = 0; i < p->feeds.n; i++) {
    struct gie_tensor in;
    if (!p->feeds.v[i].needed)
      continue;
    GIE_TRY(feeds_load(p->t, &p->feeds, run, i, &in));
    gie_status st = gie_exec_set_input(x, p->feeds.v[i].name, &in);
    tensor_free(p->t->ctx, &in);
    GIE_TRY(st);
  }
  return gie_exec_run(x);
}

static gie_status output_error(struct pair *p, const struct gie_graph *g, double *error)
{
  for (uint32_t i = 0; i < gie_graph_n_outputs(g); i++) {
    const char *name = gie_value_get(g, gie_graph_output(g, i))->name;
    struct gie_tensor a, b;
    GIE_TRY(gie_exec_output(p->plan, name, &a));
    GIE_TRY(gie_exec_output(p->reference, name, &b));
    if (b.dtype == GIE_F32 && is_known(&a) && count(&a) == count(&b))
      *error = fmax(*error, distance(&a, b.data, count(&b)));
  }
  return GIE_OK;
}

/* The greatest error of any output on any input; values inside are compared on the first. */
static gie_status measure(struct pair *p, const struct gie_plan *plan, const struct gie_build_options *o,
                          double *error)
{
  const struct gie_exec_options x = {.struct_size = sizeof x, .device = o->device, .threads = o->threads};
  *error = 0;
  for (size_t i = 0; i < p->n_seen; i++)
    p->seen[i].error = -1;
  GIE_TRY(gie_exec_new_plan(plan, &x, &p->plan));
  gie_status st = GIE_OK;
  for (uint32_t run = 0; st == GIE_OK && run < p->feeds.runs; run++) {
    bool first = run == 0 && p->n_seen == 0;
    gie_exec_watch(p->reference, first ? keep_value : NULL, p);
    gie_exec_watch(p->plan, run == 0 ? compare_value : NULL, p);
    st = feed(p, p->reference, run);
    if (st == GIE_OK)
      st = feed(p, p->plan, run);
    if (st == GIE_OK)
      st = output_error(p, gie_plan_base(plan), error);
  }
  gie_exec_free(p->plan);
  p->plan = NULL;
  return st;
}

/* ---- Layers */

struct layer {
  gie_id node;
  double effect; /* error of its result beyond that of what it reads */
};

static double error_of(const struct pair *p, const struct gie_graph *g, gie_id value)
{
  const struct gie_value *v = gie_value_get(g, value);
  for (size_t i = 0; v && i < p->n_seen; i++)
    if (strcmp(p->seen[i].name, v->name) == 0)
      return p->seen[i].error;
  return -1;
}

static int by_effect(const void *a, const void *b)
{
  const struct layer *x = a, *y = b;
  return x->effect != y->effect ? (x->effect < y->effect ? 1 : -1)
         : x->node < y->node    ? -1
                                : x->node > y->node;
}

/* The layers that are not kept, those where most of the error arises first. */
static gie_status list_layers(struct pair *p, const struct gie_graph *g, const bool *kept,
                              struct layer **layers, uint32_t *n)
{
  *n = 0;
  if (!(*layers = gie_arena_alloc(&p->t->arena, gie_graph_n_nodes(g) + 1, sizeof **layers)))
    return gie_fail(p->t->ctx, GIE_E_MEMORY, "out of memory");
  GIE_FOR_NODES(g, id) {
    const struct gie_node *node = gie_node_get(g, id);
    double read = 0;
    if (kept[id] || node->n_out == 0 || gie_value_get(g, node->out[0])->type.dtype != GIE_F32)
      continue;
    for (uint32_t i = 0; i < node->n_in; i++)
      read = fmax(read, error_of(p, g, node->in[i]));
    double effect = isfinite(read) ? error_of(p, g, node->out[0]) - read : 0;
    (*layers)[(*n)++] = (struct layer){id, effect};
  }
  qsort(*layers, *n, sizeof **layers, by_effect);
  return GIE_OK;
}

/* Builds again with these layers kept. */
static gie_status rebuild(const struct gie_build_options *o, const bool *kept, struct gie_plan **plan)
{
  static const struct gie_attr keep = {.name = "keep_f32", .kind = GIE_ATTR_INT, .u.i = 1};
  struct gie_build_options again = *o;
  struct gie_plan *next = NULL;
  struct gie_graph *g;
  again.pipeline = "";
  GIE_TRY(gie_graph_clone(gie_plan_base(*plan), &g));
  gie_status st = GIE_OK;
  for (gie_id id = gie_graph_first(g); st == GIE_OK && id != GIE_NONE; id = gie_node_get(g, id)->next)
    if (kept[id])
      st = gie_node_set_note(g, id, &keep);
  if (st == GIE_OK)
    st = gie_build(g, &again, NULL, &next);
  gie_graph_free(g);
  if (st != GIE_OK)
    return st;
  gie_plan_free(*plan);
  *plan = next;
  return GIE_OK;
}

/* Half as many again in each round, looking anew at where the error arises. */
static gie_status search(struct pair *p, const struct gie_build_options *o, const struct precision_goal *goal,
                         struct gie_plan **plan, struct precision_result *r)
{
  const struct gie_exec_options x = {.struct_size = sizeof x, .device = o->device, .threads = o->threads};
  struct layer *layers = NULL;
  uint32_t n;
  bool *kept = gie_arena_alloc(&p->t->arena, gie_graph_n_nodes(gie_plan_base(*plan)) + 1, sizeof *kept);
  if (!kept)
    return gie_fail(p->t->ctx, GIE_E_MEMORY, "out of memory");
  GIE_TRY(gie_graph_clone(gie_plan_base(*plan), &p->base));
  GIE_TRY(find_inputs(p->t, p->base, goal, &p->feeds));
  GIE_TRY(gie_exec_new(p->base, &x, &p->reference));
  GIE_TRY(measure(p, *plan, o, &r->error));
  r->first = r->error;
  r->inputs = p->feeds.runs;
  GIE_TRY(list_layers(p, p->base, kept, &layers, &r->nodes));
  for (n = r->nodes; !(r->error <= goal->error) && n > 0;) {
    uint32_t more = r->kept / 2 > 1 ? r->kept / 2 : 1;
    more = more < n ? more : n;
    for (uint32_t i = 0; i < more; i++)
      kept[layers[i].node] = true;
    r->kept += more;
    GIE_TRY(rebuild(o, kept, plan));
    GIE_TRY(measure(p, *plan, o, &r->error));
    GIE_TRY(list_layers(p, p->base, kept, &layers, &n));
  }
  return GIE_OK;
}

gie_status precision_search(struct tool *t, const struct gie_build_options *o,
                            const struct precision_goal *goal, struct gie_plan **plan,
                            struct precision_result *out)
{
  struct pair p = {.t = t};
  *out = (struct precision_result){0};
  gie_status st = search(&p, o, goal, plan, out);
  gie_exec_free(p.reference);
  gie_graph_free(p.base);
  for (size_t i = 0; i < p.n_seen; i++)
    gie_free(t->ctx, p.seen[i].v);
  gie_free(t->ctx, p.seen);
  return st;
}
