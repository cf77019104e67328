/* SPDX-License-Identifier: Apache-2.0 */
/* A module whose init does what the environment variable TEST_INIT says. */
#include <gie/module.h>
#include <stdlib.h>

static gie_status run_pass(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)g, (void)pc, (void)changes;
  return GIE_OK;
}
static const struct gie_pass pass = {sizeof pass, "init_pass", "for tests", run_pass, NULL};
static const struct gie_pass without_run = {sizeof pass, "init_pass", "for tests", NULL, NULL};
static const struct gie_pass too_short = {offsetof(struct gie_pass, argument) - 1, "init_pass", "for tests",
                                          run_pass, NULL};
static const struct gie_pass without_name = {sizeof pass, NULL, "for tests", run_pass, NULL};
static const struct gie_pass with_comma = {sizeof pass, "a,b", "for tests", run_pass, NULL};
static const struct gie_op builtin = {.struct_size = sizeof builtin,
                                      .name = "relu",
                                      .max_in = 1,
                                      .max_out = 1};
static const struct gie_op backwards = {
    .struct_size = sizeof backwards, .name = "test::B", .min_in = 2, .max_in = 1, .max_out = 1};
static const char *const no_ops[] = {NULL};
static const struct gie_kernel without_ops = {.struct_size = sizeof without_ops,
                                              .name = "test.k",
                                              .device = "cpu",
                                              .ops = no_ops};

static gie_status infer_nothing(struct gie_infer *x)
{
  (void)x;
  return GIE_OK;
}
static bool supports_all(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t why_size)
{
  (void)k, (void)p, (void)why, (void)why_size;
  return true;
}
static gie_status create_none(const struct gie_kernel *k, const struct gie_problem *p,
                              const struct gie_variant *v, void **instance)
{
  (void)k, (void)p, (void)v, (void)instance;
  return GIE_E_NO;
}
static gie_status run_none(void *instance, const struct gie_launch *l)
{
  (void)instance, (void)l;
  return GIE_E_NO;
}

static gie_status register_op(const struct gie_host *host, struct gie_op op)
{
  static struct gie_op kept;
  kept = op;
  kept.infer = infer_nothing;
  kept.help = "for tests";
  return host->register_op(host, &kept);
}

static gie_status register_kernel(const struct gie_host *host, struct gie_kernel kernel)
{
  static struct gie_kernel kept;
  kept = kernel;
  kept.supports = supports_all;
  kept.create = create_none;
  kept.run = run_none;
  return host->register_kernel(host, &kept);
}

static gie_status init(const struct gie_host *host, void **state)
{
  const char *what = getenv("TEST_INIT");
  *state = NULL;
  if (!what)
    return host->register_pass(host, &pass);
  if (strcmp(what, "fail") == 0) {
    GIE_TRY(host->register_pass(host, &pass));
    return gie_fail(host->ctx, GIE_E_DEVICE, "the gadget is not plugged in; plug it in");
  }
  if (strcmp(what, "silent") == 0)
    return GIE_E_IO;
  if (strcmp(what, "twice") == 0) {
    GIE_TRY(host->register_pass(host, &pass));
    return host->register_pass(host, &pass);
  }
  if (strcmp(what, "ignore") == 0) {
    host->register_pass(host, &without_run);
    return GIE_OK;
  }
  if (strcmp(what, "null") == 0)
    return host->register_pass(host, NULL);
  if (strcmp(what, "null-run") == 0)
    return host->register_pass(host, &without_run);
  if (strcmp(what, "short") == 0)
    return host->register_pass(host, &too_short);
  if (strcmp(what, "no-name") == 0)
    return host->register_pass(host, &without_name);
  if (strcmp(what, "comma") == 0)
    return host->register_pass(host, &with_comma);
  if (strcmp(what, "builtin") == 0)
    return register_op(host, builtin);
  if (strcmp(what, "backwards") == 0)
    return register_op(host, backwards);
  if (strcmp(what, "no-ops") == 0)
    return register_kernel(host, without_ops);
  if (strcmp(what, "interface") == 0)
    return host->interface_(host, "gie.none", 1) || host->interface_(host, "gie.base", 2) ? GIE_OK : GIE_E_NO;
  return GIE_E_USAGE;
}

GIE_MODULE("init", GIE_MODULE_PASS, init)
