/* SPDX-License-Identifier: Apache-2.0 */
/* Products for the tests of --fp16: f32 ones, and ones that compute in f16 and say that they are faster. */
#include <gie/module.h>
#include <stdio.h>

struct product {
  struct gie_context *ctx;
  int64_t m, n, k;
  bool half;
};

/* Between f16 and f32, without subnormal numbers; too large becomes infinite. */
static float wide(uint16_t h)
{
  uint32_t e = h >> 10 & 31, u = (uint32_t)(h & 0x8000) << 16;
  float f;
  u |= e == 0    ? 0
       : e == 31 ? 0x7f800000 | (uint32_t)(h & 1023) << 13
                 : (e + 112) << 23 | (uint32_t)(h & 1023) << 13;
  memcpy(&f, &u, sizeof f);
  return f;
}

static uint16_t narrow(float f)
{
  uint32_t u;
  memcpy(&u, &f, sizeof u);
  uint32_t sign = u >> 16 & 0x8000, rest = (u & 0x7fffffff) + 0x1000;
  if (rest < 0x38800000)
    return (uint16_t)sign;
  return (uint16_t)(rest >= 0x47800000 ? sign | 0x7c00 : sign | ((rest >> 13) - (112 << 10)));
}

static gie_status run(void *instance, const struct gie_launch *l)
{
  const struct product *p = instance;
  for (int64_t i = 0; i < p->m; i++)
    for (int64_t j = 0; j < p->n; j++) {
      float sum = 0;
      for (int64_t k = 0; k < p->k; k++)
        sum += p->half ? wide(((const uint16_t *)l->in[0])[i * p->k + k]) *
                             wide(((const uint16_t *)l->in[1])[k * p->n + j])
                       : ((const float *)l->in[0])[i * p->k + k] * ((const float *)l->in[1])[k * p->n + j];
      if (p->half)
        ((uint16_t *)l->out[0])[i * p->n + j] = narrow(sum);
      else
        ((float *)l->out[0])[i * p->n + j] = sum;
    }
  return GIE_OK;
}

static bool supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size)
{
  bool ok = p->n_in == 2 && p->in[0].rank == 2 && p->in[1].rank == 2 && p->node->n_steps == 0 &&
            (p->in[0].dtype == GIE_F32 || p->in[0].dtype == GIE_F16);
  (void)k;
  if (!ok)
    snprintf(why, size, "plain products of floats only");
  return ok;
}

static uint32_t variants(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *out,
                         uint32_t max)
{
  (void)k, (void)max;
  uint32_t n = 0;
  if (p->in[0].dtype == GIE_F32)
    out[n++].config = 32;
  out[n].config = 16;
  out[n].any_in.dtype = out[n].any_out.dtype = GIE_F16;
  return n + 1;
}

static void estimate(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                     struct gie_cost *out)
{
  (void)k, (void)p;
  out->seconds = v->config == 16 ? 1e-9 : 1e-3;
}

static gie_status create(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                         void **out)
{
  struct product *x = gie_alloc(p->ctx, 1, sizeof *x);
  (void)k;
  if (!x)
    return GIE_E_MEMORY;
  *x = (struct product){p->ctx, p->out[0].dim[0], p->out[0].dim[1], p->in[0].dim[1], v->config == 16};
  *out = x;
  return GIE_OK;
}

static void destroy(void *instance)
{
  struct product *x = instance;
  gie_free(x->ctx, x);
}

static const char *const ops[] = {"matmul", NULL};
static const struct gie_kernel kernel = {.struct_size = sizeof kernel,
                                         .name = "half.product",
                                         .device = "cpu",
                                         .ops = ops,
                                         .supports = supports,
                                         .variants = variants,
                                         .estimate = estimate,
                                         .create = create,
                                         .destroy = destroy,
                                         .run = run};

static gie_status init(const struct gie_host *host, void **state)
{
  (void)state;
  return host->register_kernel(host, &kernel);
}

GIE_MODULE("test-half", GIE_MODULE_KERNEL, init)
