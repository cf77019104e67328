/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels for relu on f32 that break one rule each; the probe has to tell which. */
#include <gie/module.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct instance {
  const struct gie_kernel *k;
  struct gie_desc in, out;
};

static bool is(const struct gie_kernel *k, const char *what)
{
  return strcmp(k->name + strlen("test."), what) == 0;
}

static bool supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t why_size)
{
  if (is(k, "refuse")) {
    snprintf(why, why_size, "only on Sundays");
    return false;
  }
  if (is(k, "crash_supports"))
    raise(SIGSEGV);
  return p->in[0].dtype == GIE_F32;
}

/* One variant; layouts for those kernels that want one. */
static uint32_t variants(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *out,
                         uint32_t max)
{
  const struct gie_layout nhwc = {.rank = 4, .perm = {0, 2, 3, 1}};
  const struct gie_layout blocked = {.rank = 4, .perm = {0, 1, 2, 3}, .block_axis = 1, .block = 8};
  if (is(k, "no_variant"))
    return 0;
  if (is(k, "many_variants"))
    return max + 1;
  struct gie_variant *v = &out[0];
  v->config = 7;
  v->in_place = is(k, "over") || is(k, "wrong_over") ? 0 : -1;
  v->n_steps = is(k, "no_steps") ? 0 : p->node->n_steps;
  v->any_in = v->any_out = (struct gie_port){.pitch = true};
  if (p->in[0].rank == 4 && (is(k, "nhwc") || is(k, "blocked") || is(k, "pads")))
    v->any_in.layout = v->any_out.layout = is(k, "nhwc") ? nhwc : blocked;
  if (is(k, "half"))
    v->any_in.dtype = v->any_out.dtype = GIE_F64;
  if (is(k, "mixed")) { /* all but operand 0 */
    v->n_in = 1;
    v->in[0] = v->any_in;
    v->any_in.dtype = v->any_out.dtype = GIE_F16;
  }
  if (is(k, "untyped"))
    v->any_out.dtype = (enum gie_dtype)99;
  return 1;
}

static size_t workspace(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v)
{
  (void)p, (void)v;
  return is(k, "huge") ? (size_t)1 << 60 : is(k, "stray_workspace") ? 1024 : 0;
}

/* One that nothing else is worth being timed beside. */
static void estimate(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                     struct gie_cost *out)
{
  (void)k, (void)p, (void)v;
  out->seconds = 1e-12;
}

static gie_status create(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                         void **instance)
{
  (void)v;
  if (is(k, "null"))
    return GIE_OK;
  if (is(k, "fail_create"))
    return gie_fail(p->ctx, GIE_E_MEMORY, "no room for the plan");
  struct instance *i = gie_alloc(p->ctx, 1, sizeof *i);
  if (!i)
    return GIE_E_MEMORY;
  *i = (struct instance){k, p->in[0], p->out[0]};
  *instance = i;
  return GIE_OK;
}

static void destroy(void *instance) { free(instance); }

static void relu(const struct instance *k, const void *from, void *to)
{
  int64_t idx[GIE_MAX_RANK] = {0}, n = gie_desc_count(&k->in);
  for (int64_t i = 0; i < n; i++) {
    int64_t a = gie_desc_offset(&k->in, idx), b = gie_desc_offset(&k->out, idx);
    if (k->in.dtype == GIE_F64)
      ((double *)to)[b] = fmax(((const double *)from)[a], 0);
    else
      ((float *)to)[b] = fmaxf(((const float *)from)[a], 0);
    for (int d = k->in.rank - 1; d >= 0 && ++idx[d] == k->in.dim[d]; d--)
      idx[d] = 0;
  }
}

static gie_status run(void *instance, const struct gie_launch *l)
{
  struct instance *i = instance;
  const struct gie_kernel *k = i->k;
  float *out = l->out[0];
  size_t n = (size_t)gie_desc_count(&i->out);
  if (is(k, "fail_run"))
    return gie_fail(l->ctx, GIE_E_DEVICE, "the device fell asleep");
  if (is(k, "crash") || is(k, "tempting")) {
    int *volatile nowhere = (int *)(uintptr_t)8;
    *nowhere = 1;
  }
  if (is(k, "abort"))
    abort();
  if (is(k, "exit"))
    exit(0);
  if (is(k, "closes"))
    close(3);
  for (volatile bool hang = is(k, "hang"); hang;)
    ;
  for (volatile bool sleeps = is(k, "sleep"); sleeps;)
    pause();
  if (is(k, "unset"))
    return GIE_OK;
  if (is(k, "prints"))
    printf("a kernel that prints\n");
  if (i->out.layout.block > 1) /* pad lanes too */
    memset(out, 0, (size_t)((i->out.dim[1] + 7) / 8 * 8 * i->out.dim[0] * i->out.dim[2] * i->out.dim[3]) * 4);
  relu(i, l->in[0], l->out[0]);
  if (is(k, "wrong"))
    out[n / 2] += 0.5f;
  if (is(k, "wrong_over") && l->in[0] == l->out[0])
    out[n / 2] += 0.5f;
  if (is(k, "nan"))
    out[n - 1] = NAN;
  if (is(k, "pads"))
    out[7] = 1;
  if (is(k, "stray_after"))
    out[n] = 1;
  if (is(k, "stray_before"))
    out[-3] = 1;
  if (is(k, "stray_operand"))
    ((float *)l->in[0])[1] += 1;
  if (is(k, "stray_workspace"))
    ((char *)l->workspace)[1024] = 0;
  return GIE_OK;
}

/* Twice what it should write: the shape with one dim doubled. */
static gie_status run_wrong_shape(void *instance, const struct gie_launch *l)
{
  struct instance *i = instance;
  memset(l->out[0], 0, 2 * (size_t)gie_desc_count(&i->out) * sizeof(float));
  return GIE_OK;
}

static uint32_t pack_desc(const struct gie_kernel *k, const struct gie_problem *p,
                          const struct gie_variant *v, struct gie_pack *out, uint32_t max)
{
  (void)k, (void)v;
  if (!p->in_data[0] || max < 1)
    return 0;
  out[0] = (struct gie_pack){.struct_size = sizeof *out,
                             .operand = 0,
                             .bytes = (size_t)gie_desc_count(&p->in[0]) * 4};
  return 1;
}

/* The operand negated; "pack" undoes that. */
static gie_status pack(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                       const struct gie_pack *d, const void *plain, void *packed)
{
  (void)v;
  for (size_t i = 0; i < d->bytes / 4; i++)
    ((float *)packed)[i] = -((const float *)plain)[i];
  if (is(k, "stray_pack"))
    ((char *)packed)[d->bytes] = 1;
  return is(k, "fail_pack") ? gie_fail(p->ctx, GIE_E_DATA, "cannot pack this") : GIE_OK;
}

static gie_status run_packed(void *instance, const struct gie_launch *l)
{
  struct instance *i = instance;
  for (int64_t j = 0; j < gie_desc_count(&i->out); j++)
    ((float *)l->out[0])[j] = fmaxf(-((const float *)l->in[0])[j], 0);
  return GIE_OK;
}

/* clang-format never settles on this list. */
/* clang-format off */
#define NAMES(X)                                                                                             \
  X(right)                                                                                                   \
  X(refuse)                                                                                                  \
  X(crash_supports)                                                                                          \
  X(no_variant)                                                                                              \
  X(many_variants)                                                                                           \
  X(no_steps)                                                                                                \
  X(nhwc)                                                                                                    \
  X(blocked) X(pads) X(half) X(huge) X(stray_workspace) X(null) X(fail_create) X(fail_run) X(crash) X(abort) \
      X(exit) X(closes) X(hang) X(sleep) X(unset) X(prints) X(wrong) X(over) X(wrong_over) X(nan) X(stray_after) X(stray_before)   \
          X(stray_operand) X(wrong_shape) X(pack) X(stray_pack) X(fail_pack) X(tempting) X(mixed) X(untyped)
/* clang-format on */

static const char *const names[] = {
#define NAME(name) "test." #name,
    NAMES(NAME)};
#define N (sizeof names / sizeof names[0])
static const char *const ops[] = {"relu", "conv", NULL};

static gie_status init(const struct gie_host *host, void **state)
{
  static struct gie_kernel kernels[N];
  (void)state;
  for (size_t i = 0; i < N; i++) {
    struct gie_kernel *k = &kernels[i];
    *k = (struct gie_kernel){.struct_size = sizeof *k,
                             .name = names[i],
                             .device = "cpu",
                             .ops = ops,
                             .supports = supports,
                             .variants = variants,
                             .workspace = workspace,
                             .create = create,
                             .destroy = destroy,
                             .run = run};
    if (is(k, "wrong_shape"))
      k->run = run_wrong_shape;
    if (strstr(k->name, "pack")) {
      k->pack_desc = pack_desc;
      k->pack = pack;
      k->run = run_packed;
    }
    if (is(k, "right"))
      k->variants = NULL;
    if (is(k, "tempting"))
      k->estimate = estimate;
    GIE_TRY(host->register_kernel(host, k));
  }
  return GIE_OK;
}

GIE_MODULE("test-kernels", GIE_MODULE_KERNEL, init)
