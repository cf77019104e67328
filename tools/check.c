/* SPDX-License-Identifier: Apache-2.0 */
/* gie check: every node that would not build, all at once. */
#include "tools/kernels.h"

static const char what[] =
    "Lists every node of a network that could not be built or run: ops that nobody knows, and\n"
    "nodes that no kernel takes, each with the reason. Exit 0 when there is none, else 1.\n"
    "Dims that are symbols count as 1.";
static const char examples[] = "  gie check model.onnx\n"
                               "  gie check --module=./mylayer.so model.onnx\n"
                               "  gie check --json model.onnx | jq '.unsupported[].op'\n";

/* Opset that an importer noted on a node, else the graph's. */
static const char *opset_of(struct tool *t, const struct gie_graph *g, const struct gie_node *n)
{
  const struct gie_attr *a = gie_attrs_find(&n->notes, "opset");
  if (!a)
    a = gie_attrs_find(gie_graph_meta(g), "opset");
  if (!a)
    return "-";
  if (a->kind == GIE_ATTR_INT)
    return tool_format(t, "%lld", (long long)a->u.i);
  return a->kind == GIE_ATTR_STRING ? a->u.s : "-";
}

static void print_json(struct tool *t, const char *path, const struct gie_graph *g, const struct fits *fits,
                       uint32_t bad)
{
  struct json j;
  json_begin(&j);
  json_text(&j, "file", path);
  json_int(&j, "nodes", gie_graph_count_nodes(g));
  json_bool(&j, "supported", bad == 0);
  json_open(&j, "unsupported", '[', false);
  GIE_FOR_NODES(g, id) {
    const struct gie_node *n = gie_node_get(g, id);
    if (fits->v[id].kernel)
      continue;
    json_open(&j, NULL, '{', true);
    json_text(&j, "node", n->name);
    json_text(&j, "op", n->op->name);
    json_text(&j, "opset", opset_of(t, g, n));
    json_text(&j, "reason", fits->v[id].reason);
    json_close(&j, '}');
  }
  json_close(&j, ']');
  json_end(&j);
}

static void print_text(struct tool *t, const char *path, const struct gie_graph *g, const struct fits *fits,
                       uint32_t bad)
{
  static const char *const heads[] = {"node", "op", "opset", "reason"};
  struct tool_table tab;
  uint32_t all = gie_graph_count_nodes(g);
  if (bad == 0) {
    printf("%s: all %u nodes are supported\n", tool_safe(t, path), (unsigned)all);
    return;
  }
  tool_table_begin(t, &tab, "llrl", heads);
  GIE_FOR_NODES(g, id) {
    const struct gie_node *n = gie_node_get(g, id);
    if (fits->v[id].kernel)
      continue;
    tool_cell(&tab, "%s", n->name);
    tool_cell(&tab, "%s", n->op->name);
    tool_cell(&tab, "%s", opset_of(t, g, n));
    tool_cell(&tab, "%s", fits->v[id].reason);
  }
  tool_table_end(&tab, 0);
  printf("%s: %u of %u nodes are not supported\n", tool_safe(t, path), (unsigned)bad, (unsigned)all);
}

static int check(struct tool *t, const char *path, bool json)
{
  struct gie_graph *g;
  struct fits fits;
  uint32_t bad = 0;
  gie_status st = tool_load(t, path, &g);
  if (st != GIE_OK)
    return tool_error(t, st);
  st = fits_find(t, g, &fits);
  if (st != GIE_OK) {
    gie_graph_free(g);
    return tool_error(t, gie_error_prefix(t->ctx, st, "%s", path));
  }
  GIE_FOR_NODES(g, id) {
    bad += !fits.v[id].kernel;
  }
  if (json)
    print_json(t, path, g, &fits, bad);
  else
    print_text(t, path, g, &fits, bad);
  gie_graph_free(g);
  return bad ? gie_status_exit_code(GIE_E_NO) : 0;
}

int tool_check(struct tool *t, int argc, char **argv)
{
  bool json = false;
  const struct tool_option options[] = {{"json", 0, TOOL_FLAG, &json, NULL, "the same for machines"},
                                        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL}};
  const struct tool_command cmd = {"MODEL", what, examples, options, 1, 1};
  struct tool_list args;
  int exit_code = tool_parse(t, &cmd, argc, argv, &args);
  if (exit_code == TOOL_GO_ON)
    exit_code = tool_open(t);
  return exit_code == TOOL_GO_ON ? check(t, args.v[0], json) : exit_code;
}
