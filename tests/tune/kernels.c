/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels for the race: 2-d convolutions with at most a relu behind, that go wrong in one way each, and
 * some that take a known time. They take any layout and pitch, unless their name says otherwise. */
#include <gie/module.h>
#include <gie/window.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

struct instance {
  const struct gie_kernel *k;
  const struct gie_node *node;
  struct gie_desc x, w, y;
  bool has_bias;
  int runs;
};

static bool is(const struct gie_kernel *k, const char *what)
{
  return strcmp(k->name + strlen("race."), what) == 0;
}

static bool supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t why_size)
{
  (void)k;
  for (uint32_t i = 0; i < p->n_in; i++)
    if (p->in[i].dtype != GIE_F32 && p->in[i].dtype != GIE_DTYPE_NONE) {
      snprintf(why, why_size, "f32 only");
      return false;
    }
  return p->in[0].rank == 4 && p->node->n_steps <= 1;
}

/* Variants by config: 0 takes anything, 1 wants nChw8c, 2 is dense. */
static uint32_t variants(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *out,
                         uint32_t max)
{
  const struct gie_layout blocked = {.rank = 4, .perm = {0, 1, 2, 3}, .block_axis = 1, .block = 8};
  (void)k;
  for (uint32_t i = 0; i < 3 && i < max; i++) {
    out[i].config = i;
    out[i].n_steps = p->node->n_steps;
    out[i].any_in = out[i].any_out = (struct gie_port){.layout.any = true, .pitch = i != 2};
    out[i].n_in = out[i].n_out = i == 1;
    out[i].in[0] = out[i].out[0] = (struct gie_port){.layout = blocked, .pitch = true};
    out[i].error = is(k, "coarse") ? 0.1f : 0;
  }
  return 3;
}

static gie_status create(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                         void **instance)
{
  struct instance *i = gie_alloc(p->ctx, 1, sizeof *i);
  (void)v;
  if (!i)
    return GIE_E_MEMORY;
  *i = (struct instance){.k = k, .node = p->node, .x = p->in[0], .w = p->in[1], .y = p->out[0]};
  i->has_bias = p->node->n_operands > 2 && p->in[2].dtype != GIE_DTYPE_NONE;
  *instance = i;
  return GIE_OK;
}

static void destroy(void *instance) { free(instance); }

static float at(const struct gie_desc *d, const void *data, int64_t a, int64_t b, int64_t c, int64_t e)
{
  const int64_t idx[4] = {a, b, c, e};
  return ((const float *)data)[gie_desc_offset(d, idx)];
}

static float output(const struct instance *i, const struct gie_launch *l, const int64_t *o)
{
  int64_t pad[4], group = gie_node_int(i->node, "group"), c_per = i->x.dim[1] / group;
  float sum = i->has_bias && !is(i->k, "no_bias") ? ((const float *)l->in[2])[o[1]] : 0;
  gie_node_ints(i->node, "pad", pad, 4, 0);
  int64_t first = o[1] / (i->y.dim[1] / group) * c_per, shift = is(i->k, "bad_pad");
  for (int64_t c = 0; c < c_per; c++)
    for (int64_t r = 0; r < i->w.dim[2]; r++)
      for (int64_t s = 0; s < i->w.dim[3]; s++) {
        int64_t y = o[2] + r - pad[0], x = o[3] + s - pad[1] - shift;
        if (y >= 0 && y < i->x.dim[2] && x >= 0 && x < i->x.dim[3])
          sum += at(&i->x, l->in[0], o[0], first + c, y, x) * at(&i->w, l->in[1], o[1], c, r, s);
      }
  if (is(i->k, "border") && o[0] == i->y.dim[0] - 1 && o[1] == 15 && o[2] == 8 && o[3] == 31)
    sum += 0.5f;
  if (is(i->k, "last_channel") && o[1] == i->y.dim[1] - 1)
    sum = 0;
  if (is(i->k, "coarse"))
    sum += 0.01f;
  return i->node->n_steps && !is(i->k, "no_relu") && sum < 0 ? 0 : sum;
}

static void convolve(const struct instance *i, const struct gie_launch *l)
{
  const struct gie_desc *y = &i->y;
  int64_t channels = y->dim[1], o[4];
  if (y->layout.block > 1)
    channels = (channels + y->layout.block - 1) / y->layout.block * y->layout.block;
  for (o[0] = 0; o[0] < y->dim[0]; o[0]++)
    for (o[1] = 0; o[1] < channels; o[1]++)
      for (o[2] = 0; o[2] < y->dim[2]; o[2]++)
        for (o[3] = 0; o[3] < y->dim[3]; o[3]++)
          ((float *)l->out[0])[gie_desc_offset(y, o)] = o[1] < y->dim[1]   ? output(i, l, o)
                                                        : is(i->k, "pads") ? 1
                                                                           : 0;
}

/* Works for so much processor time of this thread. */
static void spin(double seconds)
{
  struct timespec t, start;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
  do
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  while ((double)(t.tv_sec - start.tv_sec) + 1e-9 * (double)(t.tv_nsec - start.tv_nsec) < seconds);
}

static gie_status run(void *instance, const struct gie_launch *l)
{
  struct instance *i = instance;
  const struct gie_kernel *k = i->k;
  i->runs++;
  for (volatile bool hang = is(k, "hang") || (is(k, "hang_later") && i->runs > 1); hang;)
    ;
  if (is(k, "crash") || (is(k, "crash_later") && i->runs > 2))
    raise(SIGSEGV);
  if (is(k, "fail"))
    return gie_fail(l->ctx, GIE_E_DEVICE, "the device fell asleep");
  if (i->runs == 1)
    convolve(i, l);
  if (is(k, "skip_image")) { /* as if it had not written the middle: what is there counts as unset */
    float nan = NAN;
    memcpy((char *)l->out[0] + gie_desc_count(&i->y) / 2 * 4, &nan, sizeof nan);
  }
  if (is(k, "stray_later") && i->runs > 1)
    ((float *)l->out[0])[-3] = 1;
  if (is(k, "gap"))
    ((float *)l->out[0])[-1] = 1;
  if (is(k, "threads") && l->threads != 3)
    return gie_fail(l->ctx, GIE_E_DEVICE, "%u threads", l->threads);
  spin(is(k, "slow") ? 2e-3 : is(k, "slower") ? 8e-3 : is(k, "fast") ? 2e-4 : 0);
  return GIE_OK;
}

/* clang-format never settles on this list. */
/* clang-format off */
#define NAMES(X)                                                                                     \
  X(right) X(border) X(last_channel) X(bad_pad) X(no_bias) X(no_relu) X(pads) X(coarse) X(skip_image) \
  X(gap) X(fail) X(crash) X(crash_later) X(hang) X(hang_later) X(stray_later) X(threads) X(fast)      \
  X(slow) X(slower)
/* clang-format on */

static const char *const names[] = {
#define NAME(name) "race." #name,
    NAMES(NAME)};
#define N (sizeof names / sizeof names[0])
static const char *const ops[] = {"conv", NULL};

static gie_status init(const struct gie_host *host, void **state)
{
  static struct gie_kernel kernels[N];
  (void)state;
  for (size_t i = 0; i < N; i++) {
    kernels[i] = (struct gie_kernel){.struct_size = sizeof kernels[i],
                                     .name = names[i],
                                     .device = "cpu",
                                     .ops = ops,
                                     .supports = supports,
                                     .variants = variants,
                                     .create = create,
                                     .destroy = destroy,
                                     .run = run};
    GIE_TRY(host->register_kernel(host, &kernels[i]));
  }
  return GIE_OK;
}

GIE_MODULE("test-race", GIE_MODULE_KERNEL, init)
