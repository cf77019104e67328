/* SPDX-License-Identifier: Apache-2.0 */
/* gie inspect: what is in a network. */
#include "tools/inspect.h"
#include <gie/plan.h>

static const char what[] =
    "Shows a network: its inputs and outputs, how many nodes of each op it has, what its constants\n"
    "weigh, and how much of its results is alive at the same time. FILE is a model, a .gie text, or a plan,\n"
    "of which it shows the profiles: for what device and shapes, and how many nodes each kernel runs.\n"
    "Dims that are symbols count as 1 in sizes.";
static const char examples[] = "  gie inspect model.onnx\n"
                               "  gie inspect --nodes optimized.gie\n"
                               "  gie inspect model.plan\n"
                               "  gie inspect --json model.onnx | jq '.inputs[0].shape'\n";

#define LINE_WIDTH 100

struct inspect {
  bool json, nodes;
  const char *path;
  const struct gie_graph *g;
  struct measures m;
  struct fits fits; /* with `nodes` only */
};

/* ---- For people */

static void print_values(struct tool *t, const struct inspect *x, const char *head, uint32_t n,
                         gie_id (*at)(const struct gie_graph *, uint32_t))
{
  struct tool_table tab;
  tool_table_begin(t, &tab, "lll", NULL);
  for (uint32_t i = 0; i < n; i++) {
    const struct gie_value *v = gie_value_get(x->g, at(x->g, i));
    tool_cell(&tab, "%-11s", i ? "" : head);
    tool_cell(&tab, "%s", v->name);
    tool_cell(&tab, "%s", tool_type(t, x->g, &v->type));
  }
  tool_table_end(&tab, 0);
}

static const char *attr_text(struct tool *t, const struct gie_attr *a)
{
  switch (a->kind) {
  case GIE_ATTR_INT:
    return tool_format(t, "%lld", (long long)a->u.i);
  case GIE_ATTR_STRING:
    return a->u.s;
  default:
    return NULL;
  }
}

static void print_meta(struct tool *t, const struct inspect *x)
{
  const struct gie_attrs *meta = gie_graph_meta(x->g);
  printf("graph        \"%s\"", tool_safe(t, gie_graph_name(x->g)));
  for (uint32_t i = 0; i < meta->n; i++) {
    const char *text = attr_text(t, &meta->v[i]);
    if (text)
      printf(", %s %s", tool_safe(t, meta->v[i].name), tool_safe(t, text));
  }
  putchar('\n');
}

static void print_ops(struct tool *t, const struct inspect *x)
{
  size_t at = (size_t)printf("nodes        %u:", (unsigned)x->m.n_nodes), column = at;
  for (uint32_t i = 0; i < x->m.n_ops; i++) {
    const char *text = tool_format(t, " %u %s%s", (unsigned)x->m.ops[i].n, tool_safe(t, x->m.ops[i].op),
                                   i + 1 < x->m.n_ops ? "," : "");
    if (column + strlen(text) > LINE_WIDTH && column > at)
      column = (size_t)printf("\n%*s", (int)at, "") - 1;
    column += (size_t)printf("%s", text);
  }
  putchar('\n');
}

static void print_memory(struct tool *t, const struct inspect *x)
{
  printf("constants    %s in %u\n", tool_bytes(t, x->m.const_bytes), (unsigned)x->m.n_consts);
  printf("activations  %s alive at once", tool_bytes(t, x->m.peak_bytes));
  if (x->m.peak_node != GIE_NONE)
    printf(", at node \"%s\"", tool_safe(t, gie_node_get(x->g, x->m.peak_node)->name));
  if (graph_has_symbols(x->g))
    printf(" (with every symbol 1)");
  if (x->m.n_unknown)
    printf(" (results of unknown size left out: %u)", (unsigned)x->m.n_unknown);
  putchar('\n');
}

static void print_nodes(struct tool *t, const struct inspect *x)
{
  static const char *const heads[] = {"node", "op", "result", "kernel"};
  struct tool_table tab;
  tool_table_begin(t, &tab, "llll", heads);
  GIE_FOR_NODES(x->g, id) {
    const struct gie_node *n = gie_node_get(x->g, id);
    const char *types = "";
    for (uint32_t i = 0; i < n->n_out; i++)
      types = tool_format(t, "%s%s%s", types, i ? ", " : "",
                          tool_type(t, x->g, &gie_value_get(x->g, n->out[i])->type));
    tool_cell(&tab, "%s", n->name);
    tool_cell(&tab, "%s", tool_op(t, n));
    tool_cell(&tab, "%s", types);
    tool_cell(&tab, "%s", x->fits.v[id].kernel ? x->fits.v[id].kernel : "-");
  }
  putchar('\n');
  tool_table_end(&tab, 0);
}

static void print_text(struct tool *t, const struct inspect *x)
{
  printf("file         %s\n", tool_safe(t, x->path));
  print_meta(t, x);
  print_values(t, x, "inputs", gie_graph_n_inputs(x->g), gie_graph_input);
  print_values(t, x, "outputs", gie_graph_n_outputs(x->g), gie_graph_output);
  print_ops(t, x);
  print_memory(t, x);
  if (x->nodes)
    print_nodes(t, x);
}

/* ---- For machines */

static void json_values(struct json *j, const struct inspect *x, const char *key, uint32_t n,
                        gie_id (*at)(const struct gie_graph *, uint32_t))
{
  json_open(j, key, '[', false);
  for (uint32_t i = 0; i < n; i++) {
    json_open(j, NULL, '{', true);
    json_value(j, x->g, at(x->g, i));
    json_close(j, '}');
  }
  json_close(j, ']');
}

static void json_meta(struct tool *t, struct json *j, const struct gie_attrs *meta)
{
  json_open(j, "meta", '{', false);
  for (uint32_t i = 0; i < meta->n; i++)
    if (meta->v[i].kind == GIE_ATTR_INT)
      json_int(j, meta->v[i].name, meta->v[i].u.i);
    else if (attr_text(t, &meta->v[i]))
      json_text(j, meta->v[i].name, attr_text(t, &meta->v[i]));
  json_close(j, '}');
}

static void json_nodes(struct json *j, const struct inspect *x)
{
  json_open(j, "node_list", '[', false);
  GIE_FOR_NODES(x->g, id) {
    const struct gie_node *n = gie_node_get(x->g, id);
    json_open(j, NULL, '{', true);
    json_text(j, "name", n->name);
    json_text(j, "op", n->op->name);
    json_open(j, "steps", '[', true);
    for (uint32_t i = 0; i < n->n_steps; i++)
      json_text(j, NULL, n->steps[i].op->name);
    json_close(j, ']');
    json_open(j, "results", '[', true);
    for (uint32_t i = 0; i < n->n_out; i++) {
      json_open(j, NULL, '{', true);
      json_value(j, x->g, n->out[i]);
      json_close(j, '}');
    }
    json_close(j, ']');
    json_text(j, "kernel", x->fits.v[id].kernel);
    json_close(j, '}');
  }
  json_close(j, ']');
}

static void print_json(struct tool *t, const struct inspect *x)
{
  struct json j;
  json_begin(&j);
  json_text(&j, "file", x->path);
  json_text(&j, "name", gie_graph_name(x->g));
  json_meta(t, &j, gie_graph_meta(x->g));
  json_values(&j, x, "inputs", gie_graph_n_inputs(x->g), gie_graph_input);
  json_values(&j, x, "outputs", gie_graph_n_outputs(x->g), gie_graph_output);
  json_int(&j, "node_count", x->m.n_nodes);
  json_open(&j, "nodes", '{', false);
  for (uint32_t i = 0; i < x->m.n_ops; i++)
    json_int(&j, x->m.ops[i].op, x->m.ops[i].n);
  json_close(&j, '}');
  json_open(&j, "constants", '{', true);
  json_int(&j, "count", x->m.n_consts);
  json_int(&j, "bytes", (int64_t)x->m.const_bytes);
  json_close(&j, '}');
  json_open(&j, "activations", '{', true);
  json_int(&j, "peak_bytes", (int64_t)x->m.peak_bytes);
  json_bool(&j, "symbols_are_1", graph_has_symbols(x->g));
  json_int(&j, "unknown_results", x->m.n_unknown);
  json_close(&j, '}');
  if (x->nodes)
    json_nodes(&j, x);
  json_end(&j);
}

/* ---- The verb */

static int inspect(struct tool *t, struct inspect *x)
{
  struct gie_graph *g;
  gie_status st = tool_load(t, x->path, &g);
  if (st != GIE_OK)
    return tool_error(t, st);
  x->g = g;
  st = measures_take(t, g, &x->m);
  if (st == GIE_OK && x->nodes)
    st = fits_find(t, g, &x->fits);
  if (st != GIE_OK)
    tool_error(t, gie_error_prefix(t->ctx, st, "%s", x->path));
  else if (x->json)
    print_json(t, x);
  else
    print_text(t, x);
  gie_graph_free(g);
  return gie_status_exit_code(st);
}

int tool_inspect(struct tool *t, int argc, char **argv)
{
  struct inspect x = {0};
  const struct tool_option options[] = {{"nodes", 0, TOOL_FLAG, &x.nodes, NULL,
                                         "list every node with its result and the kernel that takes it"},
                                        {"json", 0, TOOL_FLAG, &x.json, NULL, "the same for machines"},
                                        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL}};
  const struct tool_command cmd = {"FILE [--nodes] [--json]", what, examples, options, 1, 1};
  struct tool_list args;
  int exit_code = tool_parse(t, &cmd, argc, argv, &args);
  if (exit_code == TOOL_GO_ON)
    exit_code = tool_open(t);
  if (exit_code != TOOL_GO_ON)
    return exit_code;
  x.path = args.v[0];
  return gie_plan_probe(x.path) ? inspect_plan(t, x.path, x.json, x.nodes) : inspect(t, &x);
}
