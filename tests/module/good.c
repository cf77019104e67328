/* SPDX-License-Identifier: Apache-2.0 */
/* A module in order: one registration of every kind but a device. The tests also damage copies of it. */
#include <gie/module.h>

static gie_status infer_same(struct gie_infer *x)
{
  x->out[0] = x->in[0];
  return GIE_OK;
}

static const struct gie_op op = {
    .struct_size = sizeof op,
    .name = "test::Same",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = infer_same,
    .help = "the operand",
};

static bool supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t why_size)
{
  (void)k, (void)p, (void)why, (void)why_size;
  return true;
}

static gie_status create(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                         void **instance)
{
  (void)p, (void)v;
  *instance = (void *)k;
  return GIE_OK;
}

static gie_status run_kernel(void *instance, const struct gie_launch *l)
{
  (void)instance, (void)l;
  return GIE_OK;
}

static const char *const ops[] = {"test::Same", NULL};
static const struct gie_kernel kernel = {
    .struct_size = sizeof kernel,
    .name = "test.same",
    .device = "cpu",
    .ops = ops,
    .supports = supports,
    .create = create,
    .run = run_kernel,
};

static gie_status run_pass(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)g, (void)pc, (void)changes;
  return GIE_OK;
}

static const struct gie_pass pass = {
    .struct_size = sizeof pass,
    .name = "test_nothing",
    .help = "changes nothing",
    .run = run_pass,
};

/* "TESTFMT" and a line break, then the name of a network with one input and nothing else. */
static int probe(const struct gie_source *src)
{
  return src->n_head >= 8 && memcmp(src->head, "TESTFMT\n", 8) == 0 ? 95 : 0;
}

static gie_status import(struct gie_context *ctx, const struct gie_source *src, struct gie_graph **out)
{
  const struct gie_type type = {GIE_F32, {1, {gie_dim_num(4)}}};
  struct gie_graph *g;
  gie_id in;
  if (src->size == 8)
    return gie_fail(ctx, GIE_E_PARSE, "the name is missing; write it behind the first line");
  if (src->head[8] == '!') /* a broken importer */
    return GIE_OK;
  GIE_TRY(gie_graph_new(ctx, "imported", &g));
  gie_status st = gie_graph_add_input(g, "x", &type, &in);
  if (st == GIE_OK)
    st = gie_graph_add_output(g, in);
  if (st == GIE_OK)
    *out = g;
  else
    gie_graph_free(g);
  return st;
}

static const char *const suffixes[] = {".tst", NULL};
static const struct gie_format format = {
    .struct_size = sizeof format,
    .name = "testfmt",
    .suffixes = suffixes,
    .help = "for tests",
    .probe = probe,
    .import = import,
};

static gie_status init(const struct gie_host *host, void **state)
{
  (void)state;
  GIE_TRY(host->register_op(host, &op));
  GIE_TRY(host->register_kernel(host, &kernel));
  GIE_TRY(host->register_pass(host, &pass));
  return host->register_format(host, &format);
}

GIE_MODULE("good", GIE_MODULE_LAYER, init)
