/* SPDX-License-Identifier: Apache-2.0 */
/* Which outputs are computed exactly, and how far from them a kernel may be: see sample.h. */
#include "core/tune/sample.h"
#include "core/module/probe.h"
#include <math.h>

#define ALL 4096   /* results of up to so many elements are computed whole */
#define CROSS 2048 /* of the cross product of borders */
#define BESIDE 1024
#define RANDOM 1024
#define MAX_BORDERS 16

/* ---- Which */

struct borders {
  int64_t at[MAX_BORDERS];
  uint32_t n, used;
};

static void add_border(struct borders *b, int64_t at, int64_t dim)
{
  if (at < 0 || at >= dim || b->n == MAX_BORDERS)
    return;
  for (uint32_t i = 0; i < b->n; i++)
    if (b->at[i] == at)
      return;
  b->at[b->n++] = at;
}

/* Most telling first. */
static void find_borders(int64_t dim, struct borders *b)
{
  static const int tiles[] = {32, 16, 8};
  *b = (struct borders){.used = 1};
  add_border(b, dim - 1, dim);
  add_border(b, 0, dim);
  for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++) {
    int64_t t = tiles[i], last = (dim - 1) / t * t;
    add_border(b, t - 1, dim);
    add_border(b, t, dim);
    add_border(b, last, dim);
    add_border(b, last - 1, dim);
  }
}

/* As many of each axis as keep the product within CROSS. */
static int64_t fit_borders(struct borders *b, int rank)
{
  int64_t product = 1;
  for (bool grown = true; grown;) {
    grown = false;
    for (int i = 0; i < rank; i++)
      if (b[i].used < b[i].n && product / b[i].used * (b[i].used + 1) <= CROSS) {
        product = product / b[i].used * (b[i].used + 1);
        b[i].used++;
        grown = true;
      }
  }
  return product;
}

static int64_t flat(const struct gie_desc *d, const int64_t *idx)
{
  int64_t at = 0;
  for (int i = 0; i < d->rank; i++)
    at = at * d->dim[i] + idx[i];
  return at;
}

static void unflat(const struct gie_desc *d, int64_t at, int64_t *idx)
{
  for (int i = d->rank - 1; i >= 0; i--) {
    idx[i] = at % d->dim[i];
    at /= d->dim[i];
  }
}

/* Where the operands of that output are. */
static void find_output(const struct sample_problem *p, int64_t at, int64_t *idx)
{
  unflat(p->out, at, idx);
  if (p->period)
    idx[0] %= p->period;
}

static int64_t random_below(uint64_t *state, int64_t n)
{
  return (int64_t)(probe_random(state) % (uint64_t)n);
}

static int64_t beside_a_tile(uint64_t *state, int64_t dim)
{
  int64_t tile = INT64_C(8) << random_below(state, 3);
  int64_t at = random_below(state, dim / tile + 1) * tile + random_below(state, 3) - 1;
  return at < 0 ? 0 : at >= dim ? dim - 1 : at;
}

static void draw(const struct gie_desc *d, uint64_t *state, struct sample_set *s)
{
  int64_t idx[GIE_MAX_RANK] = {0};
  for (int i = 0; i < BESIDE + RANDOM; i++) {
    for (int a = 0; a < d->rank; a++)
      idx[a] = i < BESIDE ? beside_a_tile(state, d->dim[a]) : random_below(state, d->dim[a]);
    if (i % 8 == 0 && d->rank > 1)
      idx[1] = d->dim[1] - 1;
    if (i % 8 == 4)
      idx[0] = d->dim[0] - 1;
    s->at[s->n++] = flat(d, idx);
  }
}

static gie_status choose(const struct gie_desc *d, uint64_t seed, struct gie_arena *mem, struct sample_set *s)
{
  int64_t count = gie_desc_count(d), idx[GIE_MAX_RANK] = {0};
  struct borders b[GIE_MAX_RANK];
  uint64_t state = seed ^ 0x73616d706c65u;
  size_t room = count <= ALL ? (size_t)count : CROSS + BESIDE + RANDOM;
  s->out = *d;
  s->at = gie_arena_alloc(mem, room + 1, sizeof *s->at);
  if (!s->at)
    return GIE_E_MEMORY;
  if (count <= ALL) {
    for (int64_t i = 0; i < count; i++)
      s->at[s->n++] = i;
    return GIE_OK;
  }
  for (int i = 0; i < d->rank; i++)
    find_borders(d->dim[i], &b[i]);
  int64_t product = fit_borders(b, d->rank);
  for (int64_t k = 0; k < product; k++) {
    int64_t rest = k;
    for (int i = 0; i < d->rank; i++) {
      idx[i] = b[i].at[rest % b[i].used];
      rest /= b[i].used;
    }
    s->at[s->n++] = flat(d, idx);
  }
  draw(d, &state, s);
  return GIE_OK;
}

gie_status sample_choose(const struct gie_desc *d, uint64_t seed, struct gie_arena *mem, int64_t **at,
                         uint32_t *n)
{
  struct sample_set s = {0};
  GIE_TRY(choose(d, seed, mem, &s));
  *at = s.at;
  *n = s.n;
  return GIE_OK;
}

/* ---- How exact */

static double storage_unit(enum gie_dtype t)
{
  return t == GIE_F64 ? 0x1p-53 : t == GIE_F32 ? 0x1p-24 : t == GIE_F16 ? 0x1p-11 : 0x1p-8;
}

/* What is lost below the least normal number. */
static double least(enum gie_dtype t) { return t == GIE_F16 ? 0x1p-24 : t == GIE_F64 ? 0x1p-1060 : 0x1p-130; }

static double further(double limit, double v, double from)
{
  double d = fabs(v - from);
  return isfinite(d) && d > limit ? d : limit;
}

/* How far off the result may be when v, in front of step `first`, is off by d. */
static double carried(const struct sample_problem *p, const int64_t *idx, uint32_t first, double v, double d,
                      double want)
{
  double off = further(0, sample_run_steps(p, idx, first, v - d), want);
  return further(off, sample_run_steps(p, idx, first, v + d), want);
}

/* Each step is rounded, and what follows may magnify that: 150 * tanh(x) + 150 near 0 is as exact as 150 is. */
static void finish(const struct sample_problem *p, uint32_t i, const struct sample_sum *sum, double d,
                   struct sample_set *s)
{
  int64_t idx[GIE_MAX_RANK] = {0};
  double u = p->in[0].dtype == GIE_F64 ? 0x1p-53 : 0x1p-24, v = sum->sum;
  find_output(p, s->at[i], idx);
  double want = sample_run_steps(p, idx, 0, v), off = carried(p, idx, 0, v, d, want);
  for (uint32_t k = 0; k < p->node->n_steps; k++) {
    v = sample_run_step(p, idx, k, v);
    off += carried(p, idx, k + 1, v, 4 * u * fabs(v), want);
  }
  s->want[i] = want;
  s->allowed[i] = off + 2 * fabs(want) * storage_unit(s->out.dtype) + least(s->out.dtype);
  if (isfinite(want) && fabs(want) > s->peak)
    s->peak = fabs(want);
}

/* How far from exact a sum of so many products of that magnitude may be. */
static double sum_error(const struct sample_problem *p, double taps, double magnitude)
{
  double u = p->in[0].dtype == GIE_F64 ? 0x1p-53 : p->math == GIE_MATH_FAST ? 0x1p-11 : 0x1p-24;
  double error = 4 * sqrt(taps) * u * magnitude;
  if (p->math != GIE_MATH_STRICT && p->in[0].dtype == GIE_F32)
    error += fmin(4 / sqrt(taps), 1) * 0x1p-10 * magnitude;
  return error;
}

bool sample_supports(const struct sample_problem *p)
{
  if (!sample_has_sum(p->node) || gie_dtype_class(p->out->dtype) != 'f')
    return false;
  for (uint32_t i = 0; i < p->n_in; i++)
    if (p->in[i].dtype != GIE_DTYPE_NONE && gie_dtype_class(p->in[i].dtype) != 'f')
      return false;
  for (uint32_t i = 0; i < p->node->n_steps; i++)
    if (!sample_has_step(&p->node->steps[i]))
      return false;
  return true;
}

gie_status sample_make(const struct sample_problem *p, struct gie_arena *mem, struct sample_set *out)
{
  struct sample_set s = {0};
  double magnitude = 0, taps = 1;
  GIE_TRY(choose(p->out, p->seed, mem, &s));
  s.want = gie_arena_alloc(mem, s.n + 1, sizeof *s.want);
  s.allowed = gie_arena_alloc(mem, s.n + 1, sizeof *s.allowed);
  struct sample_sum *sums = gie_alloc(p->ctx, s.n + 1, sizeof *sums);
  if (!s.want || !s.allowed || !sums) {
    gie_free(p->ctx, sums);
    return GIE_E_MEMORY;
  }
  for (uint32_t i = 0; i < s.n; i++) {
    int64_t idx[GIE_MAX_RANK] = {0};
    find_output(p, s.at[i], idx);
    sums[i] = sample_sum_at(p, idx);
    magnitude = fmax(magnitude, sums[i].magnitude);
    taps = fmax(taps, sums[i].taps);
  }
  for (uint32_t i = 0; i < s.n; i++)
    finish(p, i, &sums[i], sum_error(p, taps, magnitude), &s);
  gie_free(p->ctx, sums);
  *out = s;
  return GIE_OK;
}

/* ---- Comparing */

/* NaN where no sample has one: not written, or computed from what is not there. */
static bool find_nan(const struct sample_set *s, const void *data, bool picked, struct sample_diff *out)
{
  int64_t n = picked ? s->n : gie_desc_count(&s->out);
  for (uint32_t i = 0; i < s->n; i++)
    if (isnan(s->want[i]))
      return false;
  for (int64_t i = 0; i < n; i++)
    if (isnan(probe_element(s->out.dtype, data, i))) {
      *out = (struct sample_diff){INFINITY, true, picked ? s->at[i] : i, NAN, 0};
      return true;
    }
  return false;
}

void sample_compare(const struct sample_set *s, const void *data, bool picked, double stated,
                    struct sample_diff *out)
{
  double worst = 0;
  *out = (struct sample_diff){0};
  if (find_nan(s, data, picked, out))
    return;
  for (uint32_t i = 0; i < s->n; i++) {
    double got = probe_element(s->out.dtype, data, picked ? i : s->at[i]), want = s->want[i];
    double allowed = fmax(s->allowed[i], stated * s->peak), off = fabs(got - want);
    if (got == want || (isnan(got) && isnan(want)))
      continue;
    /* Beyond the dtype's range: infinite like a number that rounds to it. */
    if (!isfinite(got) || !isfinite(want))
      off = isinf(got) && got == probe_round(s->out.dtype, want) ? 0 : INFINITY;
    if (s->peak > 0)
      out->error = fmax(out->error, off / s->peak);
    if (off > allowed && off / allowed > worst) {
      worst = off / allowed;
      out->wrong = true;
      out->at = s->at[i];
      out->a = got;
      out->b = want;
    }
  }
}
