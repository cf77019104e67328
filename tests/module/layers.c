/* SPDX-License-Identifier: Apache-2.0 */
/* A layer, y = 2x, that breaks the rule that the environment variable TEST_LAYER names; the tester has to tell. */
#include <gie/module.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool is(const char *what)
{
  const char *mode = getenv("TEST_LAYER");
  return mode && strcmp(mode, what) == 0;
}

static gie_status infer(struct gie_infer *x)
{
  static int64_t turn;
  if (is("crash"))
    raise(SIGSEGV);
  while (is("hang"))
    pause();
  if (is("silent"))
    return GIE_E_SHAPE;
  x->out[0] = x->in[0];
  if (is("untyped"))
    x->out[0] = (struct gie_type){GIE_DTYPE_NONE, {-1, {{0}}}};
  if (is("moody"))
    x->out[0].shape = (struct gie_shape){1, {gie_dim_num(++turn)}};
  if (is("unsized"))
    x->out[0].shape = (struct gie_shape){1, {gie_dim_unknown()}};
  return GIE_OK;
}

static const struct gie_op op = {
    .struct_size = sizeof op,
    .name = "test::L",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .dtypes = GIE_DT(F32),
    .infer = infer,
    .help = "2 * x",
};

struct twice {
  struct gie_context *ctx;
  struct gie_desc x, y;
};

static bool supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t why_size)
{
  static int turn;
  (void)k;
  if (is("forgets") && ++turn % 2)
    return snprintf(why, why_size, "not now"), false;
  if (is("mute") && p->in[0].rank == 4)
    return false;
  if (p->node->n_steps || p->out[0].layout.block > 1)
    return snprintf(why, why_size, "no epilogue, no blocked layout"), false;
  return true;
}

static uint32_t variants(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *out,
                         uint32_t max)
{
  uint32_t n = is("twice") ? 2 : 1;
  (void)k, (void)p, (void)max;
  for (uint32_t i = 0; i < n; i++) {
    out[i] = (struct gie_variant){.struct_size = sizeof *out, .config = 3, .in_place = -1};
    out[i].any_in = out[i].any_out = (struct gie_port){.layout = {.any = true}, .pitch = true};
  }
  return n;
}

static void estimate(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                     struct gie_cost *out)
{
  (void)k, (void)p, (void)v;
  out->seconds = is("estimate") ? NAN : 0;
}

static gie_status create(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                         void **instance)
{
  (void)k, (void)v;
  struct twice *t = gie_alloc(p->ctx, 1, sizeof *t);
  if (!t && !is("greedy"))
    return GIE_E_MEMORY;
  void *more = gie_alloc(p->ctx, 1, 64);
  if (!more && !is("ignores")) {
    if (!is("leak_failing"))
      gie_free(p->ctx, t);
    return GIE_E_MEMORY;
  }
  gie_free(p->ctx, more);
  *t = (struct twice){p->ctx, p->in[0], p->out[0]};
  *instance = t;
  return GIE_OK;
}

static void destroy(void *instance)
{
  struct twice *t = instance;
  if (!is("leak"))
    gie_free(t->ctx, t);
}

static gie_status run(void *instance, const struct gie_launch *l)
{
  static float drift;
  const struct twice *t = instance;
  const float *x = l->in[0];
  float *y = l->out[0];
  int64_t idx[GIE_MAX_RANK] = {0}, n = gie_desc_count(&t->x);
  void *extra = is("allocates") ? gie_alloc(l->ctx, 1, 1) : NULL;
  drift += is("drifts") ? 1 : 0;
  for (int64_t i = 0; i < n; i++) {
    int64_t to = is("layout") && !t->y.pitched ? i : gie_desc_offset(&t->y, idx);
    y[to] = 2 * x[gie_desc_offset(&t->x, idx)] + drift;
    for (int axis = t->x.rank - 1; axis >= 0 && ++idx[axis] == t->x.dim[axis]; axis--)
      idx[axis] = 0;
  }
  gie_free(l->ctx, extra);
  return GIE_OK;
}

static const char *const ops[] = {"test::L", NULL};
static const struct gie_kernel kernel = {
    .struct_size = sizeof kernel,
    .name = "test.l",
    .device = "cpu",
    .ops = ops,
    .supports = supports,
    .variants = variants,
    .estimate = estimate,
    .create = create,
    .destroy = destroy,
    .run = run,
};

/* Before init, when the file is opened. */
__attribute__((constructor)) static void construct(void)
{
  if (is("constructor_exit"))
    _exit(0);
  while (is("constructor_hang"))
    pause();
}

static gie_status init(const struct gie_host *host, void **state)
{
  (void)state;
  if (is("init_crash"))
    raise(SIGSEGV);
  if (is("init_exit"))
    _exit(0);
  while (is("init_hang"))
    pause();
  GIE_TRY(host->register_op(host, &op));
  return host->register_kernel(host, &kernel);
}

GIE_MODULE("test-layers", GIE_MODULE_LAYER, init)
