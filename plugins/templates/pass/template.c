/* SPDX-License-Identifier: Apache-2.0 */
/* A graph pass for gie: relu of a relu.
 *
 *     %a = relu(%x)              %a = relu(%x)
 *     %b = relu(%a)      →       readers of %b read %a
 *
 * Does not fire when a relu has an epilogue, or when both results are graph outputs: each keeps its
 * name then. */
#include <gie/module.h>

/* 1. What is looked for: nodes are read through const structs. */
static bool is_plain_relu(const struct gie_node *n)
{
  return n && strcmp(n->op->name, "relu") == 0 && n->n_steps == 0;
}

/* 2. What is done about it: all editing goes through functions. Replacing a graph output by a result
 *    that is none keeps the output's name. */
static gie_status rewrite(struct gie_graph *g, const struct gie_node *n, uint32_t *changes)
{
  const struct gie_value *before = gie_value_get(g, n->in[0]), *after = gie_value_get(g, n->out[0]);
  if (before->n_outputs && after->n_outputs)
    return GIE_OK;
  GIE_TRY(gie_value_replace(g, after->id, before->id));
  GIE_TRY(gie_node_remove(g, n->id));
  ++*changes;
  return GIE_OK;
}

/* 3. The walk. The next node is read first, because this one may go. */
static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  for (gie_id id = gie_graph_first(g), next; id != GIE_NONE; id = next) {
    const struct gie_node *n = gie_node_get(g, id);
    next = n->next;
    if (!is_plain_relu(n) || !is_plain_relu(gie_node_get(g, gie_value_get(g, n->in[0])->producer)))
      continue;
    GIE_TRY(rewrite(g, n, changes));
  }
  return GIE_OK;
}

/* 4. The table: name and help are what `gie opt --list` prints. */
static const struct gie_pass pass = {
    .struct_size = sizeof pass,
    .name = "template",
    .help = "relu of a relu is the first relu",
    .run = run,
};

/* 5. The module: its name, its kind and what it registers. */
static gie_status init(const struct gie_host *host, void **state)
{
  (void)state;
  return host->register_pass(host, &pass);
}

GIE_MODULE("template", GIE_MODULE_PASS, init)
