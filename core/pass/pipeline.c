/* SPDX-License-Identifier: Apache-2.0 */
/* Runs passes in order: time, counts, verification, dumps after each. A pass that breaks a rule of
 * the graph is found out right behind it, and the error names it. */
#include "core/base/base.h"
#include "core/ir/ir.h"
#include "core/pass/pass.h"
#include <time.h>

#define NAME_MAX_BYTES 256 /* of a pass in a pipeline, with its argument */

struct pipeline {
  struct gie_graph *g;
  struct gie_context *ctx;
  struct gie_pass_ctx pc;
  struct gie_pipeline_options options;
  const char *dump_dir; /* NULL: no dumps */
  unsigned number;      /* of the dump */
  uint32_t n_stats;
};

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* DIR/NN-<what>.gie and .dot */
static gie_status dump(struct pipeline *p, const char *what)
{
  static const char *const suffixes[] = {"gie", "dot"};
  if (!p->dump_dir)
    return GIE_OK;
  for (int i = 0; i < 2; i++) {
    struct gie_buf path;
    gie_buf_init(&path, p->ctx);
    gie_buf_printf(&path, "%s/%02u-%s.%s", p->dump_dir, p->number, what, suffixes[i]);
    gie_status s = path.status == GIE_OK ? ir_write_file(p->g, path.data) : path.status;
    gie_buf_free(&path);
    if (s != GIE_OK)
      return gie_error_prefix(p->ctx, s, "GIE_DUMP");
  }
  p->number++;
  return GIE_OK;
}

/* A build to find bugs with: not optimized, or with a sanitizer. */
#if !defined __OPTIMIZE__ || defined __SANITIZE_ADDRESS__
#define DEBUG_BUILD true
#else
#define DEBUG_BUILD false
#endif

/* A pass that leaves a broken graph is a bug, whatever the rule. */
static gie_status verify(struct pipeline *p, const char *who)
{
  gie_status s = gie_graph_verify(p->g);
  if (s == GIE_OK || s == GIE_E_MEMORY)
    return s;
  return gie_error_prefix(p->ctx, GIE_E_INTERNAL, "%s left a broken graph", who);
}

static gie_status verify_pass(struct pipeline *p, const char *name)
{
  char who[NAME_MAX_BYTES + 8];
  snprintf(who, sizeof who, "pass %s", name);
  return p->options.verify_each ? verify(p, who) : GIE_OK;
}

/* A pass works on one graph; the bodies of known ops are graphs like it, and come after the one round them. */
static gie_status run_on(struct pipeline *p, const struct gie_pass *pass, struct gie_graph *g,
                         uint32_t *changes)
{
  GIE_TRY(pass->run(g, &p->pc, changes));
  GIE_FOR_NODES(g, id) {
    const struct gie_node *n = gie_node_get(g, id);
    uint32_t before = *changes;
    for (uint32_t i = 0; (n->op->flags & GIE_OP_BODIES) && i < n->attrs.n; i++)
      if (n->attrs.v[i].kind == GIE_ATTR_GRAPH)
        GIE_TRY(run_on(p, pass, n->attrs.v[i].u.g, changes));
    if (*changes > before)
      GIE_TRY(gie_node_infer(g, id));
  }
  return GIE_OK;
}

static gie_status run_pass(struct pipeline *p, const struct gie_pass *pass, const char *argument)
{
  p->pc.argument = argument;
  struct gie_pass_stat stat = {pass->name, 0, gie_graph_count_nodes(p->g), 0, 0};
  double start = now();
  gie_status s = run_on(p, pass, p->g, &stat.changes);
  stat.seconds = now() - start;
  if (s != GIE_OK)
    return gie_error_prefix(p->ctx, s, "pass %s", pass->name);
  stat.nodes_after = gie_graph_count_nodes(p->g);
  gie_log(p->ctx, GIE_LOG_DEBUG, "pass", "%s: %u changes, %u -> %u nodes, %.3f ms", pass->name,
          (unsigned)stat.changes, (unsigned)stat.nodes_before, (unsigned)stat.nodes_after,
          1e3 * stat.seconds);
  if (p->n_stats < p->options.max_stats)
    p->options.stats[p->n_stats++] = stat;
  GIE_TRY(verify_pass(p, pass->name));
  GIE_TRY(dump(p, pass->name));
  if (p->options.print && p->options.print_after && strcmp(p->options.print_after, pass->name) == 0)
    p->options.print(p->options.print_user, pass->name, p->g);
  return GIE_OK;
}

/* The next name of "a, b,c" without its blanks; false at the end. An empty name is one, too. */
static bool next_name(const char **list, char name[NAME_MAX_BYTES])
{
  const char *s = *list;
  if (!s)
    return false;
  size_t n = strcspn(s, ",");
  *list = s[n] ? s + n + 1 : NULL;
  while (n > 0 && (*s == ' ' || *s == '\n'))
    s++, n--;
  while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\n'))
    n--;
  snprintf(name, NAME_MAX_BYTES, "%.*s", n < NAME_MAX_BYTES ? (int)n : NAME_MAX_BYTES, s);
  return true;
}

/* The list with names of pipelines replaced by their passes. */
static gie_status expand(struct gie_context *ctx, const char *list, struct gie_buf *out)
{
  char name[NAME_MAX_BYTES];
  gie_buf_init(out, ctx);
  for (bool first = true; next_name(&list, name); first = false) {
    const char *passes = pass_pipeline(name, strlen(name));
    gie_buf_printf(out, "%s%s", first ? "" : ",", passes ? passes : name);
  }
  return out->status;
}

/* Cuts "pass=argument" into two; NULL: there is none. */
static const char *cut_argument(char *name)
{
  char *equals = strchr(name, '=');
  if (equals)
    *equals = 0;
  return equals ? equals + 1 : NULL;
}

static bool in_list(const char *list, const char *wanted)
{
  char name[NAME_MAX_BYTES];
  while (next_name(&list, name))
    if (strcmp(name, wanted) == 0)
      return true;
  return false;
}

static gie_status no_such_pass(struct gie_context *ctx, const char *name, const char *what_for)
{
  if (pass_pipeline(name, strlen(name)))
    return gie_fail(ctx, GIE_E_USAGE, "%s is a list of passes, no pass%s; gie opt --list shows what is in it",
                    name, what_for);
  return gie_fail(ctx, GIE_E_USAGE, "there is no pass \"%s\"%s; gie opt --list shows them all", name,
                  what_for);
}

/* All names are looked up before the first pass runs. */
static gie_status check_names(struct gie_context *ctx, const char *list, const char *disable,
                              const char *print_after)
{
  char name[NAME_MAX_BYTES];
  while (next_name(&list, name)) {
    const char *argument = cut_argument(name);
    const struct gie_pass *pass = pass_find(ctx, name);
    if (!pass)
      return no_such_pass(ctx, name, "");
    if (argument && !GIE_OPTION(pass, argument))
      return gie_fail(ctx, GIE_E_USAGE, "pass %s takes no argument; leave \"=%s\" out", name, argument);
  }
  while (next_name(&disable, name))
    if (!pass_find(ctx, name))
      return no_such_pass(ctx, name, " to leave out");
  if (print_after && !pass_find(ctx, print_after))
    return no_such_pass(ctx, print_after, " to print after");
  return GIE_OK;
}

static gie_status run_list(struct pipeline *p, const char *list)
{
  char name[NAME_MAX_BYTES];
  GIE_TRY(check_names(p->ctx, list, p->options.disable, p->options.print_after));
  p->pc = (struct gie_pass_ctx){.struct_size = sizeof p->pc,
                                .ctx = p->ctx,
                                .target = p->options.target,
                                .device_flags = p->options.device_flags};
  GIE_TRY(dump(p, "before"));
  while (next_name(&list, name)) {
    const char *argument = cut_argument(name);
    if (!in_list(p->options.disable, name))
      GIE_TRY(run_pass(p, pass_find(p->ctx, name), argument));
  }
  return p->options.verify_each ? GIE_OK : verify(p, "one of the passes (verifying each names it)");
}

gie_status gie_pipeline_run(struct gie_graph *g, const char *pipeline,
                            const struct gie_pipeline_options *options)
{
  struct pipeline p = {.g = g, .ctx = gie_graph_context(g)};
  const char *dir = gie_config(p.ctx, "DUMP");
  struct gie_buf list;
  if (options)
    memcpy(&p.options, options,
           options->struct_size < sizeof p.options ? options->struct_size : sizeof p.options);
  p.options.verify_each |= DEBUG_BUILD;
  if (p.options.n_stats)
    *p.options.n_stats = 0;
  p.dump_dir = dir && *dir ? dir : NULL;
  pipeline = pipeline ? pipeline : gie_pipeline_default();
  gie_status s = expand(p.ctx, *pipeline ? pipeline : NULL, &list);
  if (s == GIE_OK)
    s = run_list(&p, *pipeline ? list.data : NULL);
  gie_buf_free(&list);
  if (p.options.n_stats)
    *p.options.n_stats = p.n_stats;
  return s;
}
