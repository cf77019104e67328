/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel backend for gie: relu on f32 tensors of the cpu device.
 *
 * Follow the numbers. The members that are left out here (estimate, pack, workspace) are explained
 * in gie/kernel.h; doc/backend.md walks through a kernel that uses them. */
#include <gie/module.h>
#include <stdio.h>

/* 1. What one prepared call needs to know. The engine makes an instance per node, once. */
struct relu {
  struct gie_context *ctx;
  int64_t n;
};

/* 2. The computation. It neither allocates nor waits; buffers are the engine's. An instance may run
 *    on several threads at once, so it only reads its instance. */
static gie_status run(void *instance, const struct gie_launch *l)
{
  const struct relu *r = instance;
  const float *x = l->in[0];
  float *y = l->out[0];
  for (int64_t i = 0; i < r->n; i++)
    y[i] = x[i] > 0 ? x[i] : 0;
  return GIE_OK;
}

/* 3. Which problems it takes. Every dim is a number here. When the answer is no, `why` tells the
 *    user what is missing; the node's name is added by the engine. */
static bool supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t why_size)
{
  (void)k;
  if (p->in[0].dtype != GIE_F32) {
    snprintf(why, why_size, "%s, not f32", gie_dtype_name(p->in[0].dtype));
    return false;
  }
  if (p->node->n_steps > 0) {
    snprintf(why, why_size, "no epilogue");
    return false;
  }
  return true;
}

/* 4. In which ways it can run: here one, on plain dense tensors. A zero port means the problem's
 *    dtype, the plain layout, no pitch. */
static uint32_t variants(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *out,
                         uint32_t max)
{
  (void)k, (void)p;
  if (max < 1)
    return 0;
  out[0] = (struct gie_variant){.struct_size = sizeof out[0], .in_place = 0, .capture_safe = true};
  return 1;
}

/* 5. Preparing and forgetting a call. */
static gie_status create(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                         void **instance)
{
  (void)k, (void)v;
  struct relu *r = gie_alloc(p->ctx, 1, sizeof *r);
  if (!r)
    return GIE_E_MEMORY;
  r->ctx = p->ctx;
  r->n = gie_desc_count(&p->in[0]);
  *instance = r;
  return GIE_OK;
}

static void destroy(void *instance)
{
  struct relu *r = instance;
  gie_free(r->ctx, r);
}

/* 6. The table. The name begins with the module's, so that --backend=+template prefers it and
 *    --backend=-template leaves it out. */
static const char *const ops[] = {"relu", NULL};
static const struct gie_kernel kernel = {
    .struct_size = sizeof kernel,
    .name = "template.relu",
    .device = "cpu",
    .ops = ops,
    .supports = supports,
    .variants = variants,
    .create = create,
    .destroy = destroy,
    .run = run,
};

/* 7. The module: its name, its kind and what it registers. */
static gie_status init(const struct gie_host *host, void **state)
{
  (void)state;
  return host->register_kernel(host, &kernel);
}

GIE_MODULE("template", GIE_MODULE_KERNEL, init)
