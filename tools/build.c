/* SPDX-License-Identifier: Apache-2.0 */
/* gie build: tunes a network for the device at hand and saves the plan. */
#include "tools/build.h"
#include <math.h>

static const char what[] =
    "Optimizes a network, times the kernels that could run each node on this machine, chooses kernel, layout and\n"
    "epilogue of all nodes together, and saves the result as a plan, which `gie run` and `gie bench` execute.\n"
    "Measurements are kept in the timing cache: what was measured once is not measured again.";
static const char examples[] =
    "  gie build model.onnx -o model.plan\n"
    "  gie build model.onnx --batch=1,8 -o model.plan            # two profiles\n"
    "  gie build model.onnx --shapes=data:1x3x224x224 -o model.plan\n"
    "  gie build --deploy=net.prototxt --model=net.caffemodel --output=prob --batch=8     # saves net.plan\n"
    "  gie build model.onnx --build-budget=10 -o model.plan      # at most ten seconds of timing\n"
    "  gie build model.onnx --timingCacheFile=ours.txt --cache-read-only -o model.plan\n";

struct build_flags build_flags_new(void) { return (struct build_flags){.budget = NAN, .goal.error = 1e-2}; }

static bool has_empty(const struct tool_list *list)
{
  for (uint32_t i = 0; i < list->n; i++)
    if (!*list->v[i])
      return true;
  return false;
}

/* "net.plan" here for the network "somewhere/net.prototxt". */
static const char *default_plan(struct tool *t)
{
  const char *slash = strrchr(t->deploy, '/'), *name = slash ? slash + 1 : t->deploy,
             *dot = strrchr(name, '.');
  return tool_format(t, "%.*s.plan", (int)(dot && dot > name ? dot - name : (ptrdiff_t)strlen(name)), name);
}

/* As in the old days: --deploy=x.prototxt --model=x.caffemodel --output=prob. */
int build_place(struct tool *t, struct build_flags *f)
{
  const char *names = NULL;
  if (!t->deploy) {
    if (f->outputs.n)
      f->out = f->outputs.v[f->outputs.n - 1];
    return TOOL_GO_ON;
  }
  for (uint32_t i = 0; i < f->outputs.n; i++)
    names = names ? tool_format(t, "%s,%s", names, f->outputs.v[i]) : f->outputs.v[i];
  if (!f->out)
    f->out = default_plan(t);
  return names ? tool_load_option(t, tool_format(t, "output=%s", names)) : TOOL_GO_ON;
}

int build_check(struct tool *t, const struct build_flags *f)
{
  if (!f->out)
    return tool_fail(t, GIE_E_USAGE, "nowhere to save the plan; give -o PLAN");
  if (f->budget < 0)
    return tool_fail(t, GIE_E_USAGE, "--build-budget cannot be negative; --estimate times nothing");
  if (f->budget == 0)
    return tool_fail(t, GIE_E_USAGE, "--build-budget=0 leaves no time to measure; --estimate times nothing");
  if (has_empty(&f->batches))
    return tool_fail(t, GIE_E_USAGE,
                     "--batch= says no batch; give numbers of at least 1, separated by commas");
  if (has_empty(&f->shapes))
    return tool_fail(t, GIE_E_USAGE,
                     "--shapes= names no input; give NAME:1x3x224x224, several separated by commas");
  if (f->fp16 && *f->fp16 && strcmp(f->fp16, "auto") != 0)
    return tool_fail(t, GIE_E_USAGE, "--fp16=%s: give --fp16, or --fp16=auto with --data", f->fp16);
  if (f->goal.dir && !(f->fp16 && *f->fp16))
    return tool_fail(t, GIE_E_USAGE, "--data is for --fp16=auto");
  if (!(f->goal.error >= 0))
    return tool_fail(t, GIE_E_USAGE, "--error is not negative");
  if (f->shapes.n && f->batches.n)
    return tool_fail(t, GIE_E_USAGE, "give --shapes or --batch, not both");
  return TOOL_GO_ON;
}

/* ---- Profiles */

static gie_status add_text(struct tool *t, struct tool_list *list, const char *text)
{
  const char **v = gie_arena_alloc(&t->arena, (size_t)list->n + 2, sizeof *v);
  if (!v)
    return gie_fail(t->ctx, GIE_E_MEMORY, "out of memory");
  if (list->n)
    memcpy(v, list->v, list->n * sizeof *v);
  v[list->n++] = text;
  list->v = v;
  return GIE_OK;
}

/* "data:8x3x224x224,…" with the first dim of every input that leaves it open set to n. */
static gie_status batch_shapes(struct tool *t, const struct gie_graph *g, int64_t n, const char **out)
{
  struct gie_buf b;
  gie_status st = GIE_OK;
  gie_buf_init(&b, t->ctx);
  for (uint32_t i = 0; st == GIE_OK && i < gie_graph_n_inputs(g); i++) {
    const struct gie_value *v = gie_value_get(g, gie_graph_input(g, i));
    const struct gie_shape *s = &v->type.shape;
    if (s->rank < 1 || gie_dim_is_num(s->dim[0]))
      continue;
    gie_buf_printf(&b, "%s%s:%lld", b.len ? "," : "", v->name, (long long)n);
    for (int k = 1; k < s->rank && st == GIE_OK; k++) {
      if (!gie_dim_is_num(s->dim[k]))
        st = gie_fail(t->ctx, GIE_E_SHAPE,
                      "input \"%s\" is %s; --batch sets the first dim only: give --shapes", v->name,
                      tool_type(t, g, &v->type));
      gie_buf_printf(&b, "x%lld", (long long)s->dim[k].b);
    }
  }
  if (st == GIE_OK && b.len == 0)
    st = gie_fail(t->ctx, GIE_E_SHAPE, "no input leaves its first dim open, so --batch has nothing to set");
  if (st == GIE_OK && !(*out = gie_arena_strdup(&t->arena, b.data)))
    st = GIE_E_MEMORY;
  gie_buf_free(&b);
  return st;
}

static gie_status batch_profiles(struct tool *t, const struct gie_graph *g, const char *list,
                                 struct tool_list *out)
{
  for (const char *s = list; *s;) {
    const char *end = s + strcspn(s, ","), *next;
    int64_t n;
    const char *text;
    if (!gie_parse_int(s, end, &n, &next) || next != end || n < 1 || (*end && !end[1]))
      return gie_fail(t->ctx, GIE_E_USAGE, "--batch=%s: give numbers of at least 1, separated by commas",
                      list);
    GIE_TRY(batch_shapes(t, g, n, &text));
    GIE_TRY(add_text(t, out, text));
    s = end + (*end == ',');
  }
  return GIE_OK;
}

/* ---- Building */

struct watch {
  struct tool *t;
  struct tool_progress bar;
};

static void show(void *user, const struct gie_build_progress *p)
{
  struct watch *w = user;
  tool_progress_step(&w->bar, p->done, p->total < p->done ? p->done : p->total,
                     p->seconds > 0 ? tool_format(w->t, "%s %s %.3f ms", tool_safe(w->t, p->node), p->kernel,
                                                  1e3 * p->seconds)
                                    : tool_safe(w->t, p->node));
}

/* What was allowed, what is used of it, and whether somebody looked. */
static void say_precision(struct tool *t, const struct build_flags *f, const struct gie_plan *plan,
                          const struct precision_result *r)
{
  for (uint32_t i = 0; i < gie_plan_n_profiles(plan); i++) {
    struct gie_plan_profile p = {.struct_size = sizeof p};
    if (gie_plan_profile(plan, i, &p) == GIE_OK && p.precision && *p.precision)
      tool_note(t, "precision of profile %u: %s%s", (unsigned)i, precision_text(t, &p),
                f->goal.dir ? "" : "; unverified");
  }
  if (f->goal.dir)
    tool_note(t, "error on %u input%s: %.3g%s, of at most %g", (unsigned)r->inputs, r->inputs == 1 ? "" : "s",
              r->error,
              r->kept ? tool_format(t, " (%.3g before %u of %u layers went back to f32)", r->first,
                                    (unsigned)r->kept, (unsigned)r->nodes)
                      : "",
              f->goal.error);
}

static void json_precision(struct json *j, const struct build_flags *f, const struct gie_plan *plan,
                           const struct precision_result *r)
{
  json_open(j, "precision", '[', false);
  for (uint32_t i = 0; i < gie_plan_n_profiles(plan); i++) {
    struct gie_plan_profile p = {.struct_size = sizeof p};
    if (gie_plan_profile(plan, i, &p) != GIE_OK)
      continue;
    struct precision_use u = precision_used(p.graph);
    json_open(j, NULL, '{', true);
    json_text(j, "allowed", p.precision);
    json_int(j, "f16_nodes", u.f16);
    json_int(j, "f32_nodes", u.f32);
    json_int(j, "tf32_products", u.tf32);
    json_int(j, "kept_f32", u.kept);
    json_bool(j, "verified", f->goal.dir != NULL);
    json_real(j, "error", f->goal.dir ? r->error : NAN);
    json_close(j, '}');
  }
  json_close(j, ']');
}

/* Where the time went, the longest parts first. */
static void say_times(struct tool *t, const struct gie_build_report *r)
{
#define PART(name, text) {text, r->times.name},
  struct {
    const char *text;
    double seconds;
  } parts[] = {GIE_BUILD_TIMES(PART){NULL, 0}};
#undef PART
  double rest = r->seconds;
  for (;;) {
    size_t most = 0;
    for (size_t i = 0; parts[i].text; i++)
      if (parts[i].seconds > parts[most].seconds)
        most = i;
    if (!(parts[most].seconds >= 5e-4))
      break;
    tool_note(t, "%8.3f s  %s", parts[most].seconds, parts[most].text);
    rest -= parts[most].seconds;
    parts[most].seconds = 0;
  }
  tool_note(t, "%8.3f s  all else", rest > 0 ? rest : 0);
}

static void json_times(struct json *j, const struct gie_build_report *r)
{
  json_open(j, "times", '{', true);
#define PART(name, text) json_real(j, #name, r->times.name);
  GIE_BUILD_TIMES(PART)
#undef PART
  json_close(j, '}');
}

static void say(struct tool *t, const struct build_flags *f, const struct gie_plan *plan,
                const struct gie_build_report *r, const struct precision_result *precision)
{
  struct json j;
  double gap = r->lower_bound > 0 ? 100 * (r->cost / r->lower_bound - 1) : 0;
  if (f->json) {
    json_begin(&j);
    json_text(&j, "plan", f->out);
    json_int(&j, "profiles", gie_plan_n_profiles(plan));
    json_int(&j, "nodes", r->nodes);
    json_int(&j, "candidates", r->candidates);
    json_int(&j, "pruned", r->pruned);
    json_int(&j, "cached", r->cached);
    json_int(&j, "timed", r->timed);
    json_int(&j, "bad", r->bad);
    json_real(&j, "cost_ms", 1e3 * r->cost);
    json_real(&j, "lower_bound_ms", 1e3 * r->lower_bound);
    json_bool(&j, "out_of_budget", r->out_of_budget);
    json_real(&j, "seconds", r->seconds);
    json_times(&j, r);
    json_precision(&j, f, plan, precision);
    json_end(&j);
    return;
  }
  tool_note(t, "%s: %u profile%s, %u nodes; %u candidates: %u pruned, %u from the cache, %u timed%s", f->out,
            (unsigned)gie_plan_n_profiles(plan), gie_plan_n_profiles(plan) == 1 ? "" : "s",
            (unsigned)r->nodes, (unsigned)r->candidates, (unsigned)r->pruned, (unsigned)r->cached,
            (unsigned)r->timed,
            r->bad ? tool_format(t, ", %u of them bad (gie explain says why)", (unsigned)r->bad) : "");
  tool_note(t, "expected %.3f ms%s%s, at most %.1f %% above the least possible; built in %.1f s%s",
            1e3 * r->cost, gie_plan_n_profiles(plan) > 1 ? " for all profiles together" : "",
            f->estimate || r->out_of_budget ? " by estimates" : "", gap, r->seconds,
            r->out_of_budget ? "; the budget ended before all was timed" : "");
  say_precision(t, f, plan, precision);
  if (f->stats)
    say_times(t, r);
}

/* Whether the plan can be saved there: better known before the timing than after. */
static gie_status try_place(struct tool *t, const char *path)
{
  struct gie_save s;
  GIE_TRY(gie_save_begin(t->ctx, path, &s));
  gie_save_abort(&s);
  return GIE_OK;
}

/* What a build that a signal has ended leaves behind. */
static gie_status say_stopped(struct tool *t, const struct build_flags *f, const struct gie_build_report *r)
{
  bool nowhere = f->cache_read_only || (f->cache && !*f->cache);
  return gie_fail(t->ctx, GIE_E_STOPPED, "stopped by signal %d (%s); no plan is saved, %u measurement%s %s",
                  t->stopped_by, strsignal(t->stopped_by), (unsigned)r->timed, r->timed == 1 ? "" : "s",
                  nowhere ? "lost" : "kept for the next time");
}

static gie_status are_distinct(struct tool *t, const struct tool_list *profiles)
{
  for (uint32_t i = 0; i < profiles->n; i++)
    for (uint32_t k = 0; k < i; k++)
      if (strcmp(profiles->v[i], profiles->v[k]) == 0)
        return gie_fail(t->ctx, GIE_E_USAGE, "two profiles are for %s; give each shape once", profiles->v[i]);
  return GIE_OK;
}

gie_status build_and_save(struct tool *t, const struct build_flags *f, const struct gie_graph *g,
                          const char *file, const struct tool_list *shapes)
{
  struct watch w = {.t = t};
  struct gie_build_report report = {.struct_size = sizeof report};
  struct tool_list profiles = shapes ? *shapes : f->shapes;
  struct gie_plan *plan;
  gie_status st = GIE_OK;
  for (uint32_t i = 0; !shapes && st == GIE_OK && i < f->batches.n; i++)
    st = batch_profiles(t, g, f->batches.v[i], &profiles);
  struct gie_build_options o = {.struct_size = sizeof o,
                                .device = f->device,
                                .backends = f->backend,
                                .threads = t->threads,
                                .modules = t->modules.v,
                                .pipeline = f->passes,
                                .disable = f->disable,
                                .plain_layouts = f->plain,
                                .shapes = profiles.v,
                                .n_shapes = profiles.n,
                                .cache = f->cache,
                                .cache_read_only = f->cache_read_only,
                                .budget = f->estimate        ? -1
                                          : isnan(f->budget) ? 0
                                                             : f->budget,
                                .exhaustive = f->exhaustive,
                                .progress = show,
                                .progress_user = &w,
                                .stop = tool_is_stopped,
                                .stop_user = t,
                                .reduced_precision = f->fp16 || f->best,
                                .math = f->tf32 || f->best ? GIE_MATH_TF32 : GIE_MATH_STRICT};
  struct precision_result precision = {0};
  if (st == GIE_OK && f->memory)
    st = tool_parse_bytes(t, "mem-limit", f->memory, &o.memory_limit);
  if (st == GIE_OK)
    st = try_place(t, f->out);
  if (st == GIE_OK)
    st = are_distinct(t, &profiles);
  tool_progress_begin(t, &w.bar);
  tool_catch_signals(t);
  if (st == GIE_OK)
    st = gie_build(g, &o, &report, &plan);
  if (st == GIE_OK && f->goal.dir && (st = precision_search(t, &o, &f->goal, &plan, &precision)) != GIE_OK)
    gie_plan_free(plan);
  tool_release_signals(t);
  tool_progress_end(&w.bar);
  if (st == GIE_OK && t->stopped_by) { /* it came when all was done */
    gie_plan_free(plan);
    st = GIE_E_STOPPED;
  }
  if (st == GIE_E_STOPPED)
    st = say_stopped(t, f, &report);
  if (st != GIE_OK)
    return gie_error_prefix(t->ctx, st, "%s", file);
  st = gie_plan_save(plan, f->out);
  if (st == GIE_OK)
    say(t, f, plan, &report, &precision);
  gie_plan_free(plan);
  return st;
}

/* ---- The network */

static bool has_unknown(const struct gie_graph *g)
{
  GIE_FOR_NODES(g, id)
    if (!gie_node_get(g, id)->op->infer)
      return true;
  return false;
}

/* Whether the one batch that was asked for is the first dim of every input already. */
static bool is_own_batch(const struct gie_graph *g, const struct tool_list *batches)
{
  const char *text = batches->v[0], *next;
  int64_t n;
  if (batches->n != 1 || !gie_parse_int(text, text + strlen(text), &n, &next) || *next)
    return false;
  for (uint32_t i = 0; i < gie_graph_n_inputs(g); i++) {
    const struct gie_shape *s = &gie_value_get(g, gie_graph_input(g, i))->type.shape;
    if (s->rank < 1 || !gie_dim_equal(s->dim[0], gie_dim_num(n)))
      return false;
  }
  return true;
}

/* Networks for Caffe say a batch; with --batch it is left open. Some cannot do with any other: they are built
 * as they are if theirs is what is wanted, and then no batch is left to set. */
static gie_status load(struct tool *t, const char *file, struct tool_list *batches, struct gie_graph **g)
{
  const struct tool_list as_it_is = t->load_options;
  struct gie_graph *own;
  if (!batches->n)
    return tool_load(t, file, g);
  if (tool_load_option(t, "batch=open") != TOOL_GO_ON)
    return GIE_E_MEMORY;
  gie_status st = tool_load(t, file, g);
  if (st != GIE_OK || !has_unknown(*g) || gie_graph_load(t->ctx, file, as_it_is.v, &own) != GIE_OK)
    return st;
  bool is_own = is_own_batch(own, batches);
  gie_graph_free(is_own ? *g : own);
  if (is_own) {
    *g = own;
    batches->n = 0;
  }
  return GIE_OK;
}

int tool_build(struct tool *t, int argc, char **argv)
{
  struct build_flags f = build_flags_new();
  const char *onnx = NULL;
  const struct tool_option options[] = {BUILD_OPTIONS(&f),
                                        {"onnx", 0, TOOL_TEXT, &onnx, "MODEL",
                                         "the network, instead of the argument"},
                                        {"passes", 0, TOOL_TEXT, &f.passes, "LIST",
                                         "clean-up passes, as in gie opt"},
                                        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL}};
  const struct tool_command cmd = {"MODEL -o PLAN [OPTION]...", what, examples, options, 0, 1};
  struct tool_list args;
  struct gie_graph *g;
  int exit_code = tool_parse(t, &cmd, argc, argv, &args);
  if (exit_code != TOOL_GO_ON)
    return exit_code;
  if (args.n + (onnx != NULL) != 1)
    return tool_fail(t, GIE_E_USAGE, "give one network; usage: gie build %s", cmd.usage);
  const char *file = args.n ? args.v[0] : onnx;
  if ((exit_code = build_place(t, &f)) != TOOL_GO_ON || (exit_code = build_check(t, &f)) != TOOL_GO_ON ||
      (exit_code = tool_open(t)) != TOOL_GO_ON)
    return exit_code;
  gie_status st = load(t, file, &f.batches, &g);
  if (st != GIE_OK)
    return tool_error(t, st);
  st = build_and_save(t, &f, g, file, NULL);
  gie_graph_free(g);
  return st == GIE_OK ? 0 : tool_error(t, st);
}
