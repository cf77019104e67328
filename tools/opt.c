/* SPDX-License-Identifier: Apache-2.0 */
/* gie opt: runs passes over a network's graph and saves the result. */
#include "tools/opt.h"
#include "core/pass/pass.h"
#include "core/tune/tune.h"
#include "tools/diff.h"

static const char what[] =
    "Rewrites a network's graph and saves it as an ONNX model (.onnx), as text (.gie, with .weights\n"
    "beside it) or as a picture for Graphviz (.dot). Without --passes the default pipeline runs, with\n"
    "--passes= nothing.";
static const char examples[] =
    "  gie opt model.onnx -o optimized.onnx\n"
    "  gie opt model.onnx -o model.gie\n"
    "  gie opt model.onnx --passes= -o plain.dot\n"
    "  gie opt model.onnx --stats --passes=fold_constants,fuse_bn_into_conv -o out.gie\n"
    "  gie opt model.onnx --passes=default,structure -o out.gie\n"
    "  gie opt model.onnx --disable=fuse_gelu,fuse_mish --fixpoint -o out.onnx\n"
    "  gie opt model.onnx --diff --report=report.html\n"
    "  gie opt --list\n";

/* ---- Lists */

/* Whether the list has that pass, with an argument or without. */
static bool in_list(const char *list, const char *name)
{
  size_t n = strlen(name);
  for (const char *s = list; *s; s += strcspn(s, ","), s += *s == ',')
    if (strcspn(s, ",=") == n && memcmp(s, name, n) == 0)
      return true;
  return false;
}

/* NULL is the default pipeline. Names may stand for several passes. */
static bool in_pipeline(const char *list, const char *name)
{
  if (!list)
    return in_list(gie_pipeline_default(), name);
  if (in_list(list, name))
    return true;
  for (const char *s = list; *s; s += strcspn(s, ","), s += *s == ',') {
    const char *passes = pass_pipeline(s, strcspn(s, ","));
    if (passes && in_list(passes, name))
      return true;
  }
  return false;
}

static int list_passes(struct tool *t, bool json)
{
  static const char *const heads[] = {"pass", "default", "what it does"};
  const struct gie_pass *p;
  struct tool_table tab;
  struct json j;
  if (json) {
    json_begin(&j);
    json_text(&j, "default", gie_pipeline_default());
    json_open(&j, "passes", '[', false);
  } else {
    tool_table_begin(t, &tab, "lll", heads);
  }
  for (uint32_t i = 0; (p = pass_at(t->ctx, i)); i++) {
    const char *help = p->help ? p->help : "";
    if (json) {
      json_open(&j, NULL, '{', true);
      json_text(&j, "name", p->name);
      json_bool(&j, "default", in_pipeline(NULL, p->name));
      json_text(&j, "help", help);
      json_close(&j, '}');
      continue;
    }
    const char *argument = p->struct_size > offsetof(struct gie_pass, argument) ? p->argument : NULL;
    tool_cell(&tab, "%s%s%s", p->name, argument ? "=" : "", argument ? argument : "");
    tool_cell(&tab, "%s", in_pipeline(NULL, p->name) ? "yes" : "");
    tool_cell(&tab, "%s", help);
  }
  if (json) {
    json_close(&j, ']');
    json_end(&j);
  } else {
    tool_table_end(&tab, 0);
    printf("\nThe default pipeline, also called default:\n  %s\n", gie_pipeline_default());
    printf("\nWide products and views instead of copies, called structure:\n  %s\n",
           pass_pipeline("structure", strlen("structure")));
    printf(
        "\nThe same, with wide products whole inside the concat that reads a part, called wide_structure:\n  %s\n",
        pass_pipeline("wide_structure", strlen("wide_structure")));
  }
  return 0;
}

/* ---- Statistics */

static void print_stats(struct tool *t, const struct opt *o)
{
  static const char *const heads[] = {"pass", "changes", "nodes before", "after", "ms"};
  struct tool_table tab;
  double seconds = 0;
  uint32_t changes = 0;
  tool_table_begin(t, &tab, "lrrrr", heads);
  for (uint32_t i = 0; i < o->n_stats; i++) {
    const struct gie_pass_stat *s = &o->stat[i];
    tool_cell(&tab, "%s", s->pass);
    tool_cell(&tab, "%u", (unsigned)s->changes);
    tool_cell(&tab, "%u", (unsigned)s->nodes_before);
    tool_cell(&tab, "%u", (unsigned)s->nodes_after);
    tool_cell(&tab, "%.2f", 1e3 * s->seconds);
    seconds += s->seconds;
    changes += s->changes;
  }
  if (o->n_stats) {
    tool_cell(&tab, "all");
    tool_cell(&tab, "%u", (unsigned)changes);
    tool_cell(&tab, "%u", (unsigned)o->stat[0].nodes_before);
    tool_cell(&tab, "%u", (unsigned)o->stat[o->n_stats - 1].nodes_after);
    tool_cell(&tab, "%.2f", 1e3 * seconds);
  }
  tool_table_end(&tab, 0);
}

static void print_stats_json(const struct opt *o, const char *path)
{
  struct json j;
  json_begin(&j);
  json_text(&j, "file", path);
  json_open(&j, "passes", '[', false);
  for (uint32_t i = 0; i < o->n_stats; i++) {
    const struct gie_pass_stat *s = &o->stat[i];
    json_open(&j, NULL, '{', true);
    json_text(&j, "pass", s->pass);
    json_int(&j, "changes", s->changes);
    json_int(&j, "nodes_before", s->nodes_before);
    json_int(&j, "nodes_after", s->nodes_after);
    json_real(&j, "seconds", s->seconds);
    json_close(&j, '}');
  }
  json_close(&j, ']');
  json_end(&j);
}

/* ---- The verb */

static void print_graph(void *user, const char *pass, const struct gie_graph *g)
{
  struct tool *t = user;
  char *text;
  size_t n;
  printf("# after %s\n", pass);
  if (gie_graph_print(g, &text, &n) == GIE_OK) {
    fwrite(text, 1, n, stdout);
    gie_free(t->ctx, text);
  } else {
    tool_note(t, "after %s: %s", pass, gie_error_text(t->ctx));
  }
}

/* A model is for any device, so nothing is done to it that only some need. */
static uint64_t device_flags(const struct opt *o)
{
  size_t n = o->out ? strlen(o->out) : 0;
  bool model = n > 5 && strcmp(o->out + n - 5, ".onnx") == 0;
  return model ? GIE_DEVICE_F16 | GIE_DEVICE_BF16 : o->target_file ? o->target.flags : 0;
}

/* One run of the passes; *changes is their sum. */
static gie_status run_passes(struct tool *t, struct opt *o, struct gie_graph *g, const char *passes,
                             uint32_t *changes)
{
  uint32_t n = 0;
  struct gie_pipeline_options options = {.struct_size = sizeof options,
                                         .disable = o->disable,
                                         .device_flags = device_flags(o),
                                         .verify_each = o->verify_each,
                                         .target = o->target_file ? &o->target : NULL,
                                         .print_after = o->print_after,
                                         .print = print_graph,
                                         .print_user = t,
                                         .stats = o->stat + o->n_stats,
                                         .max_stats = OPT_MAX_STATS - o->n_stats,
                                         .n_stats = &n};
  GIE_TRY(gie_pipeline_run(g, passes, &options));
  *changes = 0;
  for (uint32_t i = 0; i < n; i++)
    *changes += o->stat[o->n_stats + i].changes;
  o->n_stats += n;
  o->rounds++;
  return GIE_OK;
}

/* With --fixpoint until nothing changes. What a pass may leave is a graph that keeps the rules. */
static gie_status run_rounds(struct tool *t, struct opt *o, struct gie_graph *g, const char *passes)
{
  uint32_t changes;
  do
    GIE_TRY(run_passes(t, o, g, passes, &changes));
  while (o->fixpoint && changes && o->rounds < OPT_MAX_ROUNDS);
  if (o->fixpoint && changes)
    tool_note(t, "still changes after %u rounds, which is where it ends", (unsigned)o->rounds);
  else if (o->fixpoint)
    tool_note(t, "nothing changes in round %u", (unsigned)o->rounds);
  gie_status st = o->verify_each ? GIE_OK : gie_graph_verify(g);
  return st == GIE_OK || st == GIE_E_MEMORY
             ? st
             : gie_error_prefix(t->ctx, GIE_E_INTERNAL,
                                "the passes left a broken graph, --verify-each says which");
}

static gie_status print_diff(struct tool *t, const char *path, const struct gie_graph *before,
                             const struct gie_graph *after)
{
  char *a = NULL, *b = NULL;
  gie_status st = gie_graph_print(before, &a, NULL);
  if (st == GIE_OK)
    st = gie_graph_print(after, &b, NULL);
  if (st == GIE_OK)
    st = diff_print(t->ctx, stdout, tool_safe(t, path), a, "optimized", b);
  gie_free(t->ctx, a);
  gie_free(t->ctx, b);
  return st;
}

static gie_status optimize(struct tool *t, struct opt *o, struct gie_graph *g, const char *path,
                           const char *passes)
{
  struct gie_graph *before = NULL;
  uint32_t n_before = gie_graph_count_nodes(g);
  if (o->diff || o->report)
    GIE_TRY(gie_graph_clone(g, &before));
  gie_status st = run_rounds(t, o, g, passes);
  if (st == GIE_OK && o->stats && !o->json)
    print_stats(t, o);
  if (st == GIE_OK && o->streams)
    st = opt_streams(t, g);
  if (st == GIE_OK && o->diff)
    st = print_diff(t, path, before, g);
  if (st == GIE_OK && o->report)
    st = opt_report(t, o, path, before, g);
  gie_graph_free(before);
  if (st == GIE_OK && o->out) {
    GIE_TRY(gie_graph_save(g, o->out));
    tool_note(t, "%s: %u nodes, %u before", o->out, (unsigned)gie_graph_count_nodes(g), (unsigned)n_before);
  }
  return st;
}

static int opt(struct tool *t, struct opt *o, const char *path, const char *passes)
{
  struct gie_graph *g;
  gie_status st = tool_load(t, path, &g);
  if (st != GIE_OK)
    return tool_error(t, st);
  st = optimize(t, o, g, path, passes);
  gie_graph_free(g);
  if (st != GIE_OK)
    return tool_error(t, st);
  if (o->json)
    print_stats_json(o, path);
  return 0;
}

/* ---- Which passes */

/* Better said now than shown by silence. */
static int check_names(struct tool *t, const struct opt *o)
{
  if (o->print_after && !in_pipeline(o->passes, o->print_after))
    return tool_fail(t, GIE_E_USAGE,
                     "pass \"%s\" is not among those that run, so --print-after would print nothing",
                     o->print_after);
  for (const char *s = o->disable ? o->disable : ""; *s; s += strcspn(s, ","), s += *s == ',') {
    const char *name = tool_format(t, "%.*s", (int)strcspn(s, ","), s);
    if (!in_pipeline(o->passes, name))
      return tool_fail(
          t, GIE_E_USAGE,
          "pass \"%s\" is not among those that run, so --disable would change nothing; gie opt --list "
          "shows them all",
          name);
  }
  return TOOL_GO_ON;
}

int tool_opt(struct tool *t, int argc, char **argv)
{
  struct opt *o = gie_arena_alloc(&t->arena, 1, sizeof *o);
  if (!o)
    return tool_fail(t, GIE_E_MEMORY, "out of memory");
  const struct tool_option options[] = {
      {"output", 'o', TOOL_TEXT, &o->out, "FILE", "where to save the result: .onnx, .gie or .dot"},
      {"passes", 0, TOOL_TEXT, &o->passes, "LIST", "passes to run, in order, separated by commas"},
      {"disable", 0, TOOL_TEXT, &o->disable, "LIST", "passes to leave out, separated by commas"},
      {"fixpoint", 0, TOOL_FLAG, &o->fixpoint, NULL,
       "repeat the passes until nothing changes, 16 times at most"},
      {"verify-each", 0, TOOL_FLAG, &o->verify_each, NULL,
       "check the graph behind each pass, not only at the end"},
      {"diff", 0, TOOL_FLAG, &o->diff, NULL, "print how the text of the graph differs from before"},
      {"report", 0, TOOL_TEXT, &o->report, "FILE",
       "save a page for browsers: the graph before and after, the passes"},
      {"target", 0, TOOL_TEXT, &o->target_file, "FILE",
       "what the graph is meant for, from gie target: fuse siblings only where that pays there"},
      {"streams", 0, TOOL_FLAG, &o->streams, NULL,
       "note streams for parallel branches behind the passes, and print them"},
      {"list", 0, TOOL_FLAG, &o->list, NULL, "list all passes and end"},
      {"stats", 0, TOOL_FLAG, &o->stats, NULL, "print what each pass did and how long it took"},
      {"print-after", 0, TOOL_TEXT, &o->print_after, "PASS", "print the graph each time this pass has run"},
      {"json", 0, TOOL_FLAG, &o->json, NULL, "--list or --stats for machines"},
      {NULL, 0, TOOL_FLAG, NULL, NULL, NULL}};
  const struct tool_command cmd = {"MODEL [--passes=LIST] -o FILE", what, examples, options, 0, 1};
  struct tool_list args;
  int exit_code = tool_parse(t, &cmd, argc, argv, &args);
  if (exit_code != TOOL_GO_ON)
    return exit_code;
  if (!o->list && args.n == 0)
    return tool_fail(t, GIE_E_USAGE, "an argument is missing; usage: gie opt %s", cmd.usage);
  if (!o->list && !o->out && !o->stats && !o->print_after && !o->json && !o->diff && !o->report &&
      !o->streams)
    return tool_fail(
        t, GIE_E_USAGE,
        "nothing to do with the result; give -o FILE, --stats, --diff, --report=FILE, --streams or "
        "--print-after=PASS");
  if ((exit_code = check_names(t, o)) != TOOL_GO_ON)
    return exit_code;
  if ((exit_code = tool_open(t)) != TOOL_GO_ON)
    return exit_code;
  gie_status st = o->target_file ? tune_target_read(t->ctx, o->target_file, &t->arena, &o->target) : GIE_OK;
  if (st != GIE_OK)
    return tool_error(t, st);
  if (o->list)
    return list_passes(t, o->json);
  const char *passes = o->passes ? o->passes : gie_pipeline_default();
  if (o->streams)
    passes = tool_format(t, "%s%sassign_streams", passes, *passes ? "," : "");
  return opt(t, o, args.v[0], passes);
}
