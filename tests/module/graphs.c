/* SPDX-License-Identifier: Apache-2.0 */
/* A pass, relu of a relu is one, and a format, a line "tiny N" that is a network of N relus, that break the rule that the
 * environment variable TEST_GRAPH names; the tester has to tell. */
#include <fcntl.h>
#include <gie/module.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool is(const char *what)
{
  const char *mode = getenv("TEST_GRAPH");
  return mode && strcmp(mode, what) == 0;
}

/* ---- The pass */

static bool is_relu(const struct gie_node *n)
{
  return n && strcmp(n->op->name, "relu") == 0 && n->n_steps == 0;
}

static gie_status drop(struct gie_graph *g, const struct gie_node *n, uint32_t *changes)
{
  const struct gie_value *before = gie_value_get(g, n->in[0]), *after = gie_value_get(g, n->out[0]);
  if (before->n_outputs && after->n_outputs)
    return GIE_OK;
  if (is("pass_crash"))
    raise(SIGSEGV);
  while (is("pass_hang"))
    pause();
  if (is("pass_fails"))
    return gie_fail(gie_graph_context(g), GIE_E_INTERNAL, "no idea what to do");
  if (is("pass_leaks") && !malloc(4096))
    return GIE_E_MEMORY;
  if (is("pass_wrong")) { /* the operand of the first relu instead of its result */
    before = gie_value_get(g, gie_node_get(g, before->producer)->in[0]);
    if (before->n_outputs)
      return GIE_OK;
  }
  GIE_TRY(gie_value_replace(g, after->id, before->id));
  GIE_TRY(gie_node_remove(g, n->id));
  *changes += !is("pass_silent");
  return GIE_OK;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  if (is("pass_argument") && !pc->argument)
    return gie_fail(pc->ctx, GIE_E_USAGE, "tiny needs a number; say tiny=1");
  *changes += is("pass_endless");
  for (gie_id id = gie_graph_first(g), next; id != GIE_NONE; id = next) {
    const struct gie_node *n = gie_node_get(g, id);
    next = n->next;
    if (is_relu(n) && (is_relu(gie_node_get(g, gie_value_get(g, n->in[0])->producer))))
      GIE_TRY(drop(g, n, changes));
    if (is("pass_again") && *changes) /* one at a time */
      break;
  }
  return GIE_OK;
}

static const struct gie_pass pass = {.struct_size = sizeof pass,
                                     .name = "tiny",
                                     .help = "one relu",
                                     .run = run};

static const struct gie_pass pass_with_argument = {.struct_size = sizeof pass_with_argument,
                                                   .name = "tiny",
                                                   .help = "one relu",
                                                   .run = run,
                                                   .argument = "N"};

/* ---- The format */

static int probe(const struct gie_source *src)
{
  static int turn;
  if (is("probe"))
    return 101;
  if (is("probe_moody"))
    return ++turn % 2 ? 90 : 80;
  return src->n_head >= 5 && memcmp(src->head, "tiny ", 5) == 0 ? 90 : 0;
}

static gie_status add_relus(struct gie_graph *g, long n)
{
  const struct gie_type type = {GIE_F32, {2, {gie_dim_num(2), gie_dim_num(3)}}};
  struct gie_node_spec spec = GIE_NODE_SPEC("relu");
  gie_id last, node;
  GIE_TRY(gie_graph_add_input(g, "x", &type, &last));
  for (long i = 0; i < n; i++) {
    spec.in = &last;
    spec.n_in = 1;
    GIE_TRY(gie_node_add(g, &spec, &node));
    last = gie_node_get(g, node)->out[0];
  }
  return gie_graph_add_output(g, last);
}

static gie_status import(struct gie_context *ctx, const struct gie_source *src, struct gie_graph **out)
{
  char text[64] = "";
  struct gie_graph *g;
  GIE_TRY(gie_file_pread(ctx, src->fd, src->path, text, src->size < 63 ? src->size : 63, 0));
  long n = strtol(text + 5, NULL, 10);
  if (is("import_crash") && n > 9)
    raise(SIGSEGV);
  while (is("import_hang") && n > 9)
    pause();
  if (is("import_opens"))
    (void)!open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (is("import_leaks") && !malloc(4096))
    return GIE_E_MEMORY;
  if (is("import_nothing"))
    return GIE_OK;
  if (n < 1 || n > 1000)
    return is("import_silent") ? GIE_E_DATA : gie_fail(ctx, GIE_E_DATA, "1 to 1000 relus, not %ld", n);
  GIE_TRY(gie_graph_new(ctx, "tiny", &g));
  gie_status st = add_relus(g, n);
  if (is("import_ignores") && st == GIE_E_MEMORY)
    st = GIE_OK;
  if (st != GIE_OK && !is("import_leaks_failing"))
    gie_graph_free(g);
  else if (st != GIE_OK)
    return st;
  else
    *out = g;
  return st;
}

static gie_status export_(struct gie_context *ctx, const struct gie_graph *g, const char *path, int fd)
{
  long n = 0;
  const struct gie_value *v = gie_value_get(g, gie_graph_input(g, 0));
  if (gie_graph_n_inputs(g) != 1 || v->type.shape.rank != 2 || v->type.shape.dim[0].b != 2 ||
      v->type.shape.dim[1].b != 3)
    return gie_fail(ctx, GIE_E_UNSUPPORTED, "the input is not 2 by 3");
  GIE_FOR_NODES(g, id) {
    const struct gie_node *node = gie_node_get(g, id);
    if (!is_relu(node) || gie_graph_n_outputs(g) != 1)
      return gie_fail(ctx, GIE_E_UNSUPPORTED, "there is more than a chain of relus");
    n++;
  }
  return dprintf(fd, is("export_wrong") ? "tiny x%ld" : "tiny %ld", n) > 0
             ? GIE_OK
             : gie_fail(ctx, GIE_E_IO, "%s: cannot be written", path);
}

static const char *const suffixes[] = {".tiny", NULL};
static const struct gie_format format = {.struct_size = sizeof format,
                                         .name = "tiny",
                                         .suffixes = suffixes,
                                         .help = "relus",
                                         .probe = probe,
                                         .import = import,
                                         .export_ = export_};

static gie_status init(const struct gie_host *host, void **state)
{
  (void)state;
  GIE_TRY(host->register_pass(host, is("pass_argument") ? &pass_with_argument : &pass));
  return host->register_format(host, &format);
}

GIE_MODULE("graphs", GIE_MODULE_FORMAT, init)
