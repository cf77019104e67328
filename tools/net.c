/* SPDX-License-Identifier: Apache-2.0 */
/* Opens what a verb runs: the file, and executors made from it, if wanted with another batch. */
#include "tools/net.h"
#include "core/plan/plan.h"

static gie_status open_network(struct tool *t, const char *passes, struct tool_net *n)
{
  GIE_TRY(gie_graph_load(t->ctx, n->path, t->load_options.v, &n->own));
  n->g = n->own;
  gie_status st = gie_pipeline_run(n->own, passes, NULL);
  return st == GIE_OK ? st : gie_error_prefix(t->ctx, st, "%s", n->path);
}

static gie_status open_plan(struct tool *t, const char *passes, struct tool_net *n)
{
  if (passes)
    return gie_fail(t->ctx, GIE_E_USAGE,
                    "%s: --passes chooses what a plan has chosen already; give it when it is built", n->path);
  gie_status st = gie_plan_load(t->ctx, n->path, &n->plan);
  if (st == GIE_E_MODULE && t->fallback)
    st = plan_load_any(t->ctx, n->path, &n->plan);
  if (st != GIE_OK)
    return st;
  n->g = gie_plan_base(n->plan);
  return GIE_OK;
}

gie_status tool_open_net(struct tool *t, const char *path, const char *passes, struct tool_net *out)
{
  struct tool_net n = {.path = path};
  gie_status st = gie_plan_probe(path) ? open_plan(t, passes, &n) : open_network(t, passes, &n);
  if (st == GIE_OK)
    *out = n;
  else
    tool_close_net(&n);
  return st;
}

void tool_close_net(struct tool_net *n)
{
  if (n->own)
    gie_graph_free(n->own);
  gie_plan_free(n->plan);
  *n = (struct tool_net){0};
}

/* ---- Another batch */

static const struct gie_type *input_type(const struct gie_graph *g, uint32_t i)
{
  return &gie_value_get(g, gie_graph_input(g, i))->type;
}

/* The dim that is the batch: the first one of the first input that has any, a symbol before a number. */
static bool find_batch(const struct gie_graph *g, struct gie_dim *out)
{
  bool found = false;
  for (uint32_t i = 0; i < gie_graph_n_inputs(g); i++) {
    const struct gie_shape *s = &input_type(g, i)->shape;
    struct gie_dim d = s->rank > 0 ? s->dim[0] : gie_dim_unknown();
    if (!gie_dim_is_known(d) || (!gie_dim_is_num(d) && (d.a != 1 || d.b != 0)))
      continue;
    if (!gie_dim_is_num(d)) {
      *out = d;
      return true;
    }
    if (!found)
      *out = d;
    found = true;
  }
  return found;
}

/* The dim with the batch in place: a symbol wherever it is, a number only as the first dim. */
static bool put_batch(struct gie_dim *d, int axis, struct gie_dim batch, uint32_t n)
{
  int64_t v;
  if (gie_dim_is_num(batch)) {
    if (axis == 0 && gie_dim_equal(*d, batch))
      *d = gie_dim_num(n);
    return true;
  }
  if (d->sym != batch.sym)
    return true;
  if (__builtin_mul_overflow(d->a, (int64_t)n, &v) || __builtin_add_overflow(v, d->b, &v))
    return false;
  *d = gie_dim_num(v);
  return true;
}

static gie_status set_inputs(struct gie_graph *g, struct gie_dim batch, uint32_t n)
{
  for (uint32_t i = 0; i < gie_graph_n_inputs(g); i++) {
    struct gie_type type = *input_type(g, i);
    for (int k = 0; k < type.shape.rank; k++)
      if (!put_batch(&type.shape.dim[k], k, batch, n))
        return gie_fail(gie_graph_context(g), GIE_E_LIMIT, "the size of an input overflows");
    GIE_TRY(gie_value_set_type(g, gie_graph_input(g, i), &type));
  }
  return gie_graph_infer(g);
}

/* A number that became another one must have reached every output that had it: a reshape in between may
 * have made images into channels. */
static gie_status check_outputs(const struct gie_graph *before, const struct gie_graph *after,
                                struct gie_dim batch, uint32_t n)
{
  for (uint32_t i = 0; i < gie_graph_n_outputs(after); i++) {
    const struct gie_value *a = gie_value_get(before, gie_graph_output(before, i)),
                           *b = gie_value_get(after, gie_graph_output(after, i));
    if (a->type.shape.rank < 1 || !gie_dim_equal(a->type.shape.dim[0], batch))
      continue;
    if (b->type.shape.rank < 1 || !gie_dim_equal(b->type.shape.dim[0], gie_dim_num(n)))
      return gie_fail(gie_graph_context(after), GIE_E_SHAPE, "output \"%s\" does not follow the batch",
                      b->name);
  }
  return GIE_OK;
}

static gie_status set_batch(struct gie_graph *g, const struct gie_graph *before, uint32_t n)
{
  struct gie_dim batch;
  struct gie_context *ctx = gie_graph_context(g);
  if (!find_batch(before, &batch))
    return gie_fail(ctx, GIE_E_SHAPE, "no input has a first dim that could be the batch");
  gie_status st = set_inputs(g, batch, n);
  if (st == GIE_OK && gie_dim_is_num(batch))
    st = check_outputs(before, g, batch, n);
  return st == GIE_OK ? st : gie_error_prefix(ctx, st, "with a batch of %u", (unsigned)n);
}

/* ---- Executors */

int tool_check_fallback(struct tool *t)
{
  if (!t->fallback || strcmp(t->fallback, "cpu") == 0)
    return TOOL_GO_ON;
  return tool_fail(t, GIE_E_USAGE, "--fallback=%s: only the cpu is always there; give --fallback=cpu",
                   t->fallback);
}

static gie_status new_exec(struct tool *t, const struct tool_net *n, const struct gie_exec_options *options,
                           struct tool_exec *e)
{
  struct gie_exec_options limited = *options, on_cpu;
  if (t->memory)
    GIE_TRY(tool_parse_bytes(t, "mem-limit", t->memory, &limited.memory_limit));
  gie_status st = n->plan ? gie_exec_new_plan(n->plan, &limited, &e->x) : gie_exec_new(e->g, &limited, &e->x);
  if ((st != GIE_E_DEVICE && st != GIE_E_MODULE) || !t->fallback)
    return st;
  tool_note(t, "%s: %s; it runs on the cpu, %s", tool_safe(t, n->path), gie_error_text(t->ctx),
            n->plan ? "from the plan's graph without the plan's choices" : "as --fallback says");
  on_cpu = limited;
  on_cpu.device = NULL;
  return gie_exec_new(e->g, &on_cpu, &e->x);
}

gie_status tool_open_exec(struct tool *t, const struct tool_net *n, uint32_t batch,
                          const struct gie_exec_options *options, struct tool_exec *out)
{
  struct tool_exec e = {.has_batch = batch != 0};
  if (n->plan && options->backends)
    return gie_fail(t->ctx, GIE_E_USAGE,
                    "%s: --backend chooses what a plan has chosen already; give it when it is built",
                    n->path);
  gie_status st = gie_graph_clone(n->g, &e.g);
  if (st == GIE_OK && batch)
    st = set_batch(e.g, n->g, batch);
  if (st == GIE_OK)
    st = new_exec(t, n, options, &e);
  if (st != GIE_OK) {
    tool_close_exec(&e);
    return gie_error_prefix(t->ctx, st, "%s", n->path);
  }
  *out = e;
  return GIE_OK;
}

void tool_close_exec(struct tool_exec *e)
{
  gie_exec_free(e->x);
  if (e->g)
    gie_graph_free(e->g);
  *e = (struct tool_exec){0};
}

static void use_profile_shapes(const struct tool_exec *e, struct feeds *f)
{
  const struct gie_graph *g = gie_exec_graph(e->x);
  for (uint32_t i = 0; i < f->n; i++)
    if (f->v[i].files.n == 0)
      f->v[i].type = gie_value_get(g, gie_graph_input(g, i))->type;
}

gie_status tool_make_feeds(struct tool *t, const struct tool_net *n, const struct tool_exec *e,
                           const struct feed_options *o, struct feeds *out)
{
  gie_status st = feeds_make(t, e->g, o, out);
  if (st != GIE_OK)
    return gie_error_prefix(t->ctx, st, "%s", n->path);
  if (n->plan && !o->shapes && !e->has_batch)
    use_profile_shapes(e, out);
  return GIE_OK;
}

gie_status tool_feed_exec(struct tool *t, const struct tool_net *n, const struct tool_exec *e,
                          const struct feeds *f, uint32_t run)
{
  for (uint32_t i = 0; i < f->n; i++) {
    struct gie_tensor x;
    if (!f->v[i].needed && !feed_file(f, run, i))
      continue;
    GIE_TRY(feeds_load(t, f, run, i, &x));
    gie_status st = gie_exec_set_input(e->x, f->v[i].name, &x);
    tensor_free(t->ctx, &x);
    if (st != GIE_OK)
      return gie_error_prefix(t->ctx, st, "%s", n->path);
  }
  return GIE_OK;
}
