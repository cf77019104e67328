/* SPDX-License-Identifier: Apache-2.0 */
/* gie debug compare: runs a network as it is optimized beside the network as it was read, and compares every
 * result that both have, while it is computed. */
#include "tools/debug_judge.h"
#include "tools/debug_reference.h"
#include "tools/net.h"
#include <math.h>

static const char what[] =
    "Runs FILE as gie run does, with passes and the kernels that it gets, and MODEL, the network that it was made\n"
    "from, without passes on the reference kernels. Values are matched by name and compared as they are computed,\n"
    "so that no more is in memory than what is alive. Says which node is the first that differs, and where NaN and\n"
    "Inf first appear. Inputs are random unless --input gives some. Exit 1 when something differs.";
static const char examples[] =
    "  gie debug compare model.onnx model.onnx                      what the passes and kernels change\n"
    "  gie debug compare model.gie model.onnx --input data=in.npy\n"
    "  gie debug compare model.onnx model.onnx --passes= --backend=+mine --rtol=1e-3\n";

/* One result; strings belong to the executor's graph or to the registries. */
struct row {
  const char *node, *op, *kernel, *value;
  struct judgement j;
};

/* Where something first appears. `input` or `constant`: it came with an operand. */
struct origin {
  const char *node, *op, *kernel, *value, *operand;
  bool is_constant, in_reference;
};

struct debug {
  struct tool *t;
  const char *file, *model, *passes, *backend, *device;
  struct feed_options feed;
  double rtol;
  bool is_json;
  /* while running */
  struct tool_net net;
  struct tool_exec exec;
  struct reference ref;
  struct tool_progress progress;
  const struct gie_graph *g;         /* of the executor; NULL before the first result */
  unsigned char *found;              /* by value of g: FOUND_NAN | FOUND_INF */
  bool *compared;                    /* by value of g: and the same */
  double *exactness, *ref_exactness; /* by value of g, of the reference */
  struct row *rows;
  size_t n_rows, cap_rows;
  uint32_t n_results;    /* shown so far */
  int64_t given, filled; /* a plan's profile for a larger batch: rows given, rows that run; else 0 */
  size_t first;          /* row that is the first to differ */
  bool differs;
  const char *doubt; /* operand of the first one that could not be compared, or NULL */
  struct origin nan, inf;
};

/* ---- The first result: what can be matched */

/* Whether a plan runs a profile for more rows than were given. */
static void note_rows(struct debug *d, const struct gie_tensor *given, const struct gie_shape *runs)
{
  if (!given->data || given->rank < 1 || runs->rank != given->rank || given->dim[0] >= runs->dim[0].b)
    return;
  d->given = given->dim[0];
  d->filled = runs->dim[0].b;
}

/* The inputs' own NaN and Inf count as found. */
static gie_status begin(struct debug *d, const struct gie_graph *g)
{
  struct gie_context *ctx = d->t->ctx;
  uint32_t n = gie_graph_n_values(g);
  d->g = g;
  d->found = gie_alloc(ctx, n, sizeof *d->found);
  d->compared = gie_alloc(ctx, n, sizeof *d->compared);
  if (!d->found || !d->compared)
    return GIE_E_MEMORY;
  GIE_TRY(judge_exactness(g, &d->exactness));
  GIE_TRY(judge_exactness(d->ref.g, &d->ref_exactness));
  for (gie_id id = 0; id < n; id++) {
    const struct gie_value *v = gie_value_get(g, id);
    struct gie_tensor x = {.struct_size = sizeof x, .dtype = v->type.dtype, .rank = 1};
    gie_id match = v->kind == GIE_VALUE_RESULT && (v->n_uses || v->n_outputs)
                       ? reference_find(&d->ref, v->name)
                       : GIE_NONE;
    d->compared[id] = v->kind != GIE_VALUE_RESULT;
    if (match != GIE_NONE)
      reference_want(&d->ref, match);
    if (v->kind == GIE_VALUE_CONST && gie_dtype_size(v->type.dtype)) {
      x.data = (void *)(uintptr_t)gie_value_bytes(g, id, NULL);
      x.dim[0] = (int64_t)(v->data.size / gie_dtype_size(v->type.dtype));
      d->found[id] = (unsigned char)judge_scan(&x);
    } else if (v->kind == GIE_VALUE_INPUT && gie_value_find(d->ref.g, v->name) != GIE_NONE) {
      const struct gie_tensor *in = &d->ref.values[gie_value_find(d->ref.g, v->name)];
      d->found[id] = in->data ? (unsigned char)judge_scan(in) : 0;
      note_rows(d, in, &v->type.shape);
    }
  }
  return GIE_OK;
}

/* ---- Each result */

/* Notes where NaN (or Inf) is for the first time: no operand that was computed has it. */
static void note_origin(struct debug *d, const struct gie_watched *w, unsigned bit, const char *op,
                        unsigned in_reference, struct origin *o)
{
  const struct gie_node *n = gie_node_get(w->graph, w->node);
  struct origin at = {.node = n->name,
                      .op = op,
                      .kernel = w->kernel,
                      .value = gie_value_get(w->graph, w->value)->name,
                      .in_reference = in_reference & bit};
  if (o->node || !(d->found[w->value] & bit))
    return;
  for (uint32_t i = 0; i < n->n_in; i++) {
    const struct gie_value *v = gie_value_get(w->graph, n->in[i]);
    if (!v || !(d->found[v->id] & bit))
      continue;
    if (v->kind == GIE_VALUE_RESULT)
      return;
    at.operand = v->name;
    at.is_constant = v->kind == GIE_VALUE_CONST;
  }
  *o = at;
}

static gie_status add_row(struct debug *d, const struct gie_watched *w, const char *op,
                          const struct judgement *j)
{
  const struct gie_node *n = gie_node_get(w->graph, w->node);
  GIE_TRY(gie_grow(d->t->ctx, &d->rows, &d->cap_rows, d->n_rows + 1, sizeof *d->rows));
  d->rows[d->n_rows++] = (struct row){n->name, op, w->kernel, gie_value_get(w->graph, w->value)->name, *j};
  if (j->same || d->differs)
    return GIE_OK;
  d->differs = true;
  d->first = d->n_rows - 1;
  for (uint32_t i = 0; i < n->n_in; i++)
    if (n->in[i] != GIE_NONE && !d->compared[n->in[i]] && !d->doubt)
      d->doubt = gie_value_get(w->graph, n->in[i])->name;
  return GIE_OK;
}

/* What was given, or as exact as both sides can be. Integers and bool are equal or not. */
static double tolerance(const struct debug *d, const struct gie_value *v, gie_id match)
{
  bool is_float = gie_dtype_class(v->type.dtype) == 'f';
  return !isnan(d->rtol) ? d->rtol : is_float ? fmax(d->exactness[v->id], d->ref_exactness[match]) : 0;
}

static gie_status look(void *user, const struct gie_watched *w)
{
  struct debug *d = user;
  const struct gie_tensor *want = NULL;
  if (!d->g)
    GIE_TRY(begin(d, w->graph));
  const struct gie_value *v = gie_value_get(w->graph, w->value);
  const char *op = tool_op(d->t, gie_node_get(w->graph, w->node));
  tool_progress_step(&d->progress, d->n_results, gie_graph_count_nodes(d->g), tool_safe(d->t, v->name));
  gie_id match = reference_find(&d->ref, v->name);
  d->n_results++;
  d->found[v->id] = (unsigned char)judge_scan(w->tensor);
  if (match != GIE_NONE) {
    GIE_TRY(reference_get(&d->ref, match, &want));
    struct gie_tensor have = *w->tensor; /* without the rows that only fill up */
    if (d->filled && have.rank > 0 && have.dim[0] == d->filled && want->rank == have.rank)
      have.dim[0] = d->given;
    struct judgement j = judge_tensors(&have, want, tolerance(d, v, match));
    GIE_TRY(add_row(d, w, op, &j));
    d->compared[v->id] = j.same;
  }
  unsigned in_reference = want ? judge_scan(want) : 0;
  note_origin(d, w, FOUND_NAN, op, in_reference, &d->nan);
  note_origin(d, w, FOUND_INF, op, in_reference, &d->inf);
  if (match != GIE_NONE)
    reference_drop(&d->ref, match);
  return GIE_OK;
}

/* ---- Text */

static void print_rows(struct debug *d)
{
  static const char *const heads[] = {"node", "op", "kernel", "max abs", "max rel", "cosine", ""};
  struct tool_table tab;
  tool_table_begin(d->t, &tab, "lllrrrl", heads);
  for (size_t i = 0; i < d->n_rows; i++) {
    const struct row *r = &d->rows[i];
    tool_cell(&tab, "%s", r->node);
    tool_cell(&tab, "%s", r->op);
    tool_cell(&tab, "%s", r->kernel);
    tool_cell(&tab, r->j.same_shape ? "%.2e" : "-", r->j.max_abs);
    tool_cell(&tab, r->j.same_shape ? "%.2e" : "-", r->j.max_rel);
    tool_cell(&tab, r->j.same_shape ? "%.8f" : "-", r->j.cosine);
    tool_cell(&tab, "%s", r->j.same ? "" : r->j.same_shape ? "DIFFERENT" : "another shape");
  }
  tool_table_end(&tab, 0);
}

static void print_node(struct debug *d, const char *head, const char *node, const char *op,
                       const char *kernel, const char *value)
{
  printf("%s: node \"%s\" (%s, kernel %s), value \"%s\"", head, tool_safe(d->t, node), tool_safe(d->t, op),
         tool_safe(d->t, kernel), tool_safe(d->t, value));
}

static void print_first(struct debug *d)
{
  const struct row *r = &d->rows[d->first];
  print_node(d, "first difference", r->node, r->op, r->kernel, r->value);
  if (!r->j.same_shape)
    printf(": another shape");
  else
    printf(": relative error %.3g (rtol %.3g)", r->j.max_rel, r->j.tolerance);
  if (d->doubt)
    printf("; its operand \"%s\" could not be compared, so the error may be older\n",
           tool_safe(d->t, d->doubt));
  else
    printf("; its operands agree\n");
}

static void print_origin(struct debug *d, const char *what_it_is, const struct origin *o)
{
  if (!o->node)
    return;
  print_node(d, tool_format(d->t, "first %s", what_it_is), o->node, o->op, o->kernel, o->value);
  if (o->operand)
    printf("; it comes from %s \"%s\"", o->is_constant ? "constant" : "input", tool_safe(d->t, o->operand));
  else
    printf("; its operands have none");
  printf("%s\n", o->in_reference ? "; the reference has it there too" : "");
}

static void print_all(struct debug *d)
{
  double worst = 0;
  for (size_t i = 0; i < d->n_rows; i++)
    worst = d->rows[i].j.max_rel > worst ? d->rows[i].j.max_rel : worst;
  print_rows(d);
  printf("%zu of %u results have a counterpart and were compared\n", d->n_rows, (unsigned)d->n_results);
  print_origin(d, "NaN", &d->nan);
  print_origin(d, "Inf", &d->inf);
  if (d->differs)
    print_first(d);
  else
    printf("same: worst relative error %.3g\n", worst);
}

/* ---- JSON */

static void json_node(struct json *j, const char *node, const char *op, const char *kernel, const char *value)
{
  json_text(j, "node", node);
  json_text(j, "op", op);
  json_text(j, "kernel", kernel);
  json_text(j, "value", value);
}

static void json_row(struct json *j, const char *key, const struct row *r)
{
  json_open(j, key, '{', true);
  json_node(j, r->node, r->op, r->kernel, r->value);
  json_bool(j, "same", r->j.same);
  json_bool(j, "same_shape", r->j.same_shape);
  json_real(j, "max_abs", r->j.max_abs);
  json_real(j, "max_rel", r->j.max_rel);
  json_real(j, "cosine", r->j.cosine);
  json_real(j, "rtol", r->j.tolerance);
  json_close(j, '}');
}

static void json_origin(struct json *j, const char *key, const struct origin *o)
{
  if (!o->node) {
    json_text(j, key, NULL);
    return;
  }
  json_open(j, key, '{', true);
  json_node(j, o->node, o->op, o->kernel, o->value);
  json_text(j, "operand", o->operand);
  json_bool(j, "in_reference", o->in_reference);
  json_close(j, '}');
}

static void print_json(const struct debug *d)
{
  struct json j;
  json_begin(&j);
  json_text(&j, "file", d->file);
  json_text(&j, "model", d->model);
  json_bool(&j, "same", !d->differs);
  json_int(&j, "results", d->n_results);
  json_int(&j, "compared", (int64_t)d->n_rows);
  json_open(&j, "tensors", '[', false);
  for (size_t i = 0; i < d->n_rows; i++)
    json_row(&j, NULL, &d->rows[i]);
  json_close(&j, ']');
  if (d->differs)
    json_row(&j, "first_difference", &d->rows[d->first]);
  else
    json_text(&j, "first_difference", NULL);
  json_text(&j, "not_compared_operand", d->doubt);
  json_origin(&j, "first_nan", &d->nan);
  json_origin(&j, "first_inf", &d->inf);
  json_end(&j);
}

/* ---- The whole */

static bool reads(const struct reference *r, const char *name)
{
  gie_id id = gie_value_find(r->g, name);
  return id != GIE_NONE && r->uses[id];
}

static gie_status feed_both(struct debug *d)
{
  struct feeds feeds;
  GIE_TRY(tool_make_feeds(d->t, &d->net, &d->exec, &d->feed, &feeds));
  if (feeds.runs > 1)
    return gie_fail(d->t->ctx, GIE_E_USAGE, "an input is given %u times; a comparison takes one of each",
                    (unsigned)feeds.runs);
  for (uint32_t i = 0; i < feeds.n; i++) {
    struct gie_tensor x;
    if (!feeds.v[i].needed && !reads(&d->ref, feeds.v[i].name))
      continue;
    GIE_TRY(feeds_load(d->t, &feeds, 0, i, &x));
    gie_status st = gie_exec_set_input(d->exec.x, feeds.v[i].name, &x);
    if (st == GIE_OK)
      st = reference_feed(&d->ref, feeds.v[i].name, &x);
    tensor_free(d->t->ctx, &x);
    GIE_TRY(st);
  }
  return reference_check_inputs(&d->ref);
}

static gie_status compare(struct debug *d)
{
  const struct gie_exec_options options = {.struct_size = sizeof options,
                                           .device = d->device,
                                           .backends = d->backend,
                                           .threads = d->t->threads};
  GIE_TRY(tool_open_net(d->t, d->file, d->passes, &d->net));
  GIE_TRY(tool_open_exec(d->t, &d->net, 0, &options, &d->exec));
  GIE_TRY(reference_open(d->t, d->model, &d->ref));
  GIE_TRY(feed_both(d));
  gie_exec_watch(d->exec.x, look, d);
  tool_progress_begin(d->t, &d->progress);
  gie_status st = gie_exec_run(d->exec.x);
  tool_progress_end(&d->progress);
  if (st != GIE_OK)
    return gie_error_prefix(d->t->ctx, st, "%s", d->file);
  if (d->n_rows == 0)
    return gie_fail(d->t->ctx, GIE_E_DATA,
                    "%s: no result has a name that is in %s; give the network that it was made from", d->file,
                    d->model);
  return GIE_OK;
}

static int run(struct debug *d)
{
  gie_status st = compare(d);
  if (st == GIE_OK && d->is_json)
    print_json(d);
  else if (st == GIE_OK)
    print_all(d);
  int exit_code = st != GIE_OK ? tool_error(d->t, st) : d->differs ? gie_status_exit_code(GIE_E_NO) : 0;
  gie_free(d->t->ctx, d->rows);
  gie_free(d->t->ctx, d->found);
  gie_free(d->t->ctx, d->compared);
  gie_free(d->t->ctx, d->exactness);
  gie_free(d->t->ctx, d->ref_exactness);
  tool_close_exec(&d->exec);
  tool_close_net(&d->net);
  reference_close(&d->ref);
  return exit_code;
}

int tool_debug(struct tool *t, int argc, char **argv)
{
  struct debug d = {.t = t, .rtol = NAN, .feed = {.random = ""}};
  const struct tool_option options[] = {
      {"rtol", 0, TOOL_REAL, &d.rtol, "R", "tolerate max|a-b| <= R * max|b|; default: by type, f32 1e-4"},
      {"input", 'i', TOOL_LIST, &d.feed.inputs, "[NAME=]FILE", "feed this input: .npy, .pb, .png, .jpg"},
      {"random", 0, TOOL_MAYBE, &d.feed.random, "SEED", "the seed of the other inputs; default 1"},
      {"shapes", 0, TOOL_TEXT, &d.feed.shapes, "NAME:DIMS,...",
       "dims of inputs that the network leaves open: data:1x3x224x224"},
      {"passes", 0, TOOL_TEXT, &d.passes, "LIST", "passes to run on FILE before, as in gie opt"},
      {"backend", 0, TOOL_TEXT, &d.backend, "-NAME,+NAME",
       "kernels for FILE to leave out, or to try first, by how their names begin"},
      {"device", 0, TOOL_TEXT, &d.device, "KIND[:N]", "device to run FILE on; default cpu"},
      {"json", 0, TOOL_FLAG, &d.is_json, NULL, "everything for machines"},
      {NULL, 0, TOOL_FLAG, NULL, NULL, NULL}};
  const struct tool_command cmd = {"compare FILE MODEL [OPTION]...", what, examples, options, 3, 3};
  struct tool_list args;
  int exit_code = tool_parse(t, &cmd, argc, argv, &args);
  if (exit_code != TOOL_GO_ON)
    return exit_code;
  if (strcmp(args.v[0], "compare") != 0)
    return tool_fail(t, GIE_E_USAGE, "gie debug does not know \"%s\"; usage: gie debug compare FILE MODEL",
                     args.v[0]);
  if (d.rtol < 0)
    return tool_fail(t, GIE_E_USAGE, "a tolerance cannot be negative");
  if ((exit_code = tool_open(t)) != TOOL_GO_ON)
    return exit_code;
  d.file = args.v[1];
  d.model = args.v[2];
  return run(&d);
}
