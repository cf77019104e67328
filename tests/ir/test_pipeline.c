/* SPDX-License-Identifier: Apache-2.0 */
/* The pass manager: order, statistics, printing, dumps, passes of modules, and passes that fail or
 * break the graph. */
#include "core/ir/ir.h"
#include "core/module/registry.h"
#include "core/pass/pass.h"
#include "tests/gie_check.h"
#include <unistd.h>

static struct gie_context *ctx;
static struct gie_graph *g;

static gie_status fails(struct gie_graph *graph, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)graph, (void)changes;
  return gie_fail(pc->ctx, GIE_E_UNSUPPORTED, "not today");
}

static gie_status breaks(struct gie_graph *graph, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  struct gie_type type = {GIE_I8, {1, {gie_dim_num(77)}}};
  (void)pc;
  ++*changes;
  return gie_value_set_type(graph, gie_value_find(graph, "y"), &type);
}

static uint64_t flags_seen;
static char argument_seen[32];
static gie_status looks(struct gie_graph *graph, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)graph, (void)changes;
  flags_seen = pc->device_flags;
  snprintf(argument_seen, sizeof argument_seen, "%s", pc->argument ? pc->argument : "none");
  return pc->ctx == ctx ? GIE_OK : gie_fail(ctx, GIE_E_INTERNAL, "another context");
}

static const struct gie_pass passes[] = {{sizeof(struct gie_pass), "test_fails", "fails", fails, NULL},
                                         {sizeof(struct gie_pass), "test_breaks", "breaks the graph", breaks,
                                          NULL},
                                         {sizeof(struct gie_pass), "test_looks", "looks", looks, "WORD"}};

static const char text[] =
    "graph \"t\" {\n  input %x : f32[2]\n  %a = identity(%x)\n  %b = cast(%a) {to=f32}\n"
    "  %y = relu(%b)\n  output %y\n}\n";

static void start(const char *const *config)
{
  struct gie_context_options options = {.struct_size = sizeof options,
                                        .log = check_no_log,
                                        .config = config,
                                        .no_modules = true};
  ck_assert_int_eq(gie_context_new(&options, &ctx), GIE_OK);
  ctx->registry->open = true; /* as if a module's init were running */
  for (size_t i = 0; i < sizeof passes / sizeof *passes; i++)
    ck_gie_ok(ctx, ctx->registry->host.register_pass(&ctx->registry->host, &passes[i]));
  ctx->registry->open = false;
  ck_gie_ok(ctx, gie_graph_parse(ctx, text, strlen(text), NULL, &g));
}

static void stop(void)
{
  gie_graph_free(g);
  gie_context_free(ctx);
}

START_TEST(test_names)
{
  static const struct {
    const char *pipeline;
    gie_status status;
    const char *message;
  } cases[] = {
      {"eliminate_identity", GIE_OK, ""},
      {" eliminate_identity ,\n test_looks ", GIE_OK, ""},
      {"", GIE_OK, ""},
      {"nonsense", GIE_E_USAGE, "there is no pass \"nonsense\""},
      {"test_fails,nonsense", GIE_E_USAGE, "there is no pass \"nonsense\""}, /* before anything runs */
      {"eliminate_identity,", GIE_E_USAGE, "there is no pass \"\""},
      {",", GIE_E_USAGE, "there is no pass \"\""},
      {"test_fails=1", GIE_E_USAGE, "pass test_fails takes no argument; leave \"=1\" out"},
      {"test_looks=", GIE_OK, ""},
      {"nonsense=test_looks", GIE_E_USAGE, "there is no pass \"nonsense\""},
      {"test_fails", GIE_E_UNSUPPORTED, "pass test_fails: not today"},
      {"test_breaks", GIE_E_INTERNAL, "pass test_breaks left a broken graph: "},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct gie_pipeline_options options = {.struct_size = sizeof options, .verify_each = true};
    start(NULL);
    ck_gie(ctx, gie_pipeline_run(g, cases[i].pipeline, &options), cases[i].status);
    if (cases[i].status != GIE_OK)
      ck_assert_msg(strstr(gie_error_text(ctx), cases[i].message), "%s", gie_error_text(ctx));
    stop();
  }
}
END_TEST

/* A pass is left out wherever it stands, in pipelines too; names must be those of passes. */
START_TEST(test_disable)
{
  struct gie_pass_stat stats[64];
  uint32_t n = 0;
  struct gie_pipeline_options options = {.struct_size = sizeof options,
                                         .stats = stats,
                                         .max_stats = sizeof stats / sizeof *stats,
                                         .n_stats = &n,
                                         .disable = "eliminate_nop_cast, eliminate_identity"};
  start(NULL);
  ck_gie_ok(ctx, gie_pipeline_run(g, "default,test_looks,eliminate_identity", &options));
  ck_assert_uint_eq(gie_graph_count_nodes(g), 3);
  ck_assert_uint_gt(n, 10);
  for (uint32_t i = 0; i < n; i++)
    ck_assert(strcmp(stats[i].pass, "eliminate_identity") != 0 &&
              strcmp(stats[i].pass, "eliminate_nop_cast") != 0);
  options.disable = "eliminate_identity,nonsense";
  ck_gie(ctx, gie_pipeline_run(g, "", &options), GIE_E_USAGE);
  ck_assert_msg(strstr(gie_error_text(ctx), "there is no pass \"nonsense\" to leave out"), "%s",
                gie_error_text(ctx));
  stop();
}
END_TEST

START_TEST(test_lists)
{
  start(NULL);
  uint32_t n = 0;
  while (pass_at(ctx, n))
    n++;
  for (uint32_t i = 0; i < n; i++) {
    const struct gie_pass *p = pass_at(ctx, i);
    ck_assert_ptr_eq(pass_find(ctx, p->name), p); /* names are unique */
    ck_assert(p->struct_size == sizeof *p && p->help && *p->help && p->run);
  }
  ck_assert_ptr_eq(pass_find(ctx, "test_looks"), &passes[2]);
  ck_assert_str_eq(pass_at(ctx, n - 1)->name, "test_looks"); /* modules' passes come last */
  ck_gie_ok(ctx, gie_pipeline_run(g, gie_pipeline_default(), NULL));
  ck_assert_uint_eq(gie_graph_count_nodes(g), 1);
  stop();
}
END_TEST

static void count_print(void *user, const char *pass, const struct gie_graph *graph)
{
  ck_assert_str_eq(pass, "eliminate_identity");
  *(uint32_t *)user += gie_graph_count_nodes(graph);
}

START_TEST(test_options)
{
  struct gie_pass_stat stats[2];
  uint32_t n = 99, printed = 0;
  struct gie_pipeline_options options = {.struct_size = sizeof options,
                                         .device_flags = GIE_DEVICE_F16,
                                         .print_after = "eliminate_identity",
                                         .print = count_print,
                                         .print_user = &printed,
                                         .stats = stats,
                                         .max_stats = 2,
                                         .n_stats = &n};
  start(NULL);
  ck_gie_ok(ctx, gie_pipeline_run(g, "eliminate_identity,eliminate_nop_cast,test_looks", &options));
  ck_assert_uint_eq(n, 2); /* no more than there is room for */
  ck_assert_str_eq(stats[0].pass, "eliminate_identity");
  ck_assert(stats[0].changes == 1 && stats[0].nodes_before == 3 && stats[0].nodes_after == 2 &&
            stats[0].seconds >= 0);
  ck_assert(stats[1].changes == 1 && stats[1].nodes_before == 2 && stats[1].nodes_after == 1);
  ck_assert_uint_eq(printed, 2);
  ck_assert_uint_eq(flags_seen, GIE_DEVICE_F16);
  options.print_after = "nonsense";
  ck_gie(ctx, gie_pipeline_run(g, "", &options), GIE_E_USAGE);
  /* A caller that knows only the first members. */
  options.struct_size = offsetof(struct gie_pipeline_options, print_after);
  n = 99;
  ck_gie_ok(ctx, gie_pipeline_run(g, "test_looks", &options));
  ck_assert_uint_eq(n, 99);
  stop();
}
END_TEST

/* What stands behind "=" is one pass's alone. */
START_TEST(test_argument)
{
  start(NULL);
  ck_gie_ok(ctx, gie_pipeline_run(g, "test_looks=a=b/c:1 ,eliminate_identity", NULL));
  ck_assert_str_eq(argument_seen, "a=b/c:1");
  ck_gie_ok(ctx, gie_pipeline_run(g, "test_looks=x,test_looks", NULL));
  ck_assert_str_eq(argument_seen, "none");
  stop();
}
END_TEST

/* Weights whose bytes nobody else has are scaled where they are; a clone's stay, and the results are the same. */
START_TEST(test_scaled_in_place)
{
  static const char network[] =
      "graph {\n  input %x : f32[1,16,2,2]\n  const %w : f32[1,16,1,1] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, "
      "15, %s}\n  const %s : f32[1] = {3}\n  %c = conv(%x, %w)\n  %y = batch_norm(%c, %s, %s, %s, %s)\n  output %y\n}\n";
  static const char *const last[] = {"16", "inf", "3e38", "nan"}; /* those that are not in place, too */
  start(NULL);
  for (size_t i = 0; i < sizeof last / sizeof *last; i++) {
    char *all[2];
    struct gie_buf b;
    const char *at = strstr(network, "%s}");
    gie_buf_init(&b, ctx);
    gie_buf_printf(&b, "%.*s%s%s", (int)(at - network), network, last[i], at + 2);
    for (int shared = 0; shared < 2; shared++) {
      struct gie_graph *net, *clone = NULL;
      char *before, *after;
      ck_gie_ok(ctx, gie_graph_parse(ctx, b.data, b.len, NULL, &net));
      if (shared)
        ck_gie_ok(ctx, gie_graph_clone(net, &clone));
      const void *bytes = gie_value_bytes(net, gie_value_find(net, "w"), NULL);
      if (shared)
        ck_gie_ok(ctx, gie_graph_print(clone, &before, NULL));
      ck_gie_ok(ctx, gie_pipeline_run(net, "fuse_bn_into_conv", NULL));
      ck_gie_ok(ctx, gie_graph_print(net, &all[shared], NULL));
      const struct gie_node *conv = gie_node_get(net, gie_graph_first(net));
      ck_assert_int_eq(gie_value_bytes(net, conv->in[1], NULL) == bytes, i == 2 || (i == 0 && !shared));
      if (shared) {
        ck_gie_ok(ctx, gie_graph_print(clone, &after, NULL));
        ck_assert_str_eq(before, after);
        gie_free(ctx, before);
        gie_free(ctx, after);
      }
      gie_graph_free(clone);
      gie_graph_free(net);
    }
    ck_assert_str_eq(all[0], all[1]);
    gie_free(ctx, all[0]);
    gie_free(ctx, all[1]);
    gie_buf_free(&b);
  }
  stop();
}
END_TEST

START_TEST(test_dump)
{
  static const char *const files[] = {"00-before.gie",
                                      "00-before.dot",
                                      "01-eliminate_identity.gie",
                                      "01-eliminate_identity.dot",
                                      "02-eliminate_nop_cast.gie",
                                      "02-eliminate_nop_cast.dot"};
  char dir[] = "/tmp/gie-dump-XXXXXX", setting[64], path[128];
  const char *config[] = {setting, NULL};
  struct gie_graph *read;
  ck_assert_ptr_nonnull(mkdtemp(dir));
  snprintf(setting, sizeof setting, "DUMP=%s", dir);
  start(config);
  ck_gie_ok(ctx, gie_pipeline_run(g, "eliminate_identity,eliminate_nop_cast", NULL));
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    snprintf(path, sizeof path, "%s/%s", dir, files[i]);
    if (i % 2 == 0) {
      ck_gie_ok(ctx, gie_graph_load(ctx, path, NULL, &read));
      ck_assert_uint_eq(gie_graph_count_nodes(read), 3 - i / 2);
      gie_graph_free(read);
    }
    ck_assert_int_eq(unlink(path), 0);
  }
  ck_assert_int_eq(rmdir(dir), 0); /* nothing else is there */
  ck_gie(ctx, gie_pipeline_run(g, "eliminate_identity", NULL), GIE_E_CREATE);
  ck_assert_ptr_nonnull(strstr(gie_error_text(ctx), "GIE_DUMP"));
  stop();
}
END_TEST

GIE_TESTS_MAIN("pipeline", test_names, test_disable, test_lists, test_options, test_argument,
               test_scaled_in_place, test_dump)
