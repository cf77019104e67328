/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of the race: a problem from the wire made whole, and the results that it must have. */
#include "core/plan/plan.h"
#include "core/tune/race.h"

#define CONSTANT_SEED 0x10000 /* apart from the seeds of operands */
/* A random constant of more elements repeats after so many: a number that no tile divides. */
#define RANDOM_ELEMENTS ((int64_t)1048573)
#define PERIOD_BYTES \
  ((double)(8 << 20)) /* of the rows that the largest operand repeats after, if that is a few */
#define PERIOD_ROWS 3 /* at least */

/* ---- Constants */

/* Of many elements only a first part is random. */
static void fill_constant(const struct gie_node *n, uint32_t operand, struct gie_desc *desc, char *data,
                          size_t bytes, uint64_t seed)
{
  struct gie_desc *d = &desc[operand];
  size_t have = RANDOM_ELEMENTS * gie_dtype_size(d->dtype);
  bool is_index = operand == 1 && strcmp(n->op->name, "gather") == 0;
  if (have >= bytes || is_index) {
    probe_fill_operand(n, operand, desc, data, seed);
    return;
  }
  *d = (struct gie_desc){.dtype = d->dtype, .rank = 1, .dim = {RANDOM_ELEMENTS}, .stride = {1}};
  probe_fill_operand(n, operand, desc, data, seed);
  for (size_t more; have < bytes; have += more) {
    more = have < bytes - have ? have : bytes - have;
    memcpy(data + have, data, more);
  }
}

static gie_status make_constant(struct gie_graph *g, const struct race_constant *c, uint64_t seed)
{
  static const struct gie_layout plain;
  struct gie_context *ctx = gie_graph_context(g);
  const struct gie_node *n = gie_node_get(g, gie_graph_first(g));
  struct gie_desc desc[GIE_MAX_IO] = {0};
  struct gie_blob *blob;
  size_t bytes = 0;
  if (c->operand >= n->n_in || c->operand >= GIE_MAX_IO || n->in[c->operand] == GIE_NONE)
    return gie_fail(ctx, GIE_E_DATA, "a race has a constant for operand %u, which is not there", c->operand);
  for (uint32_t i = 0; i <= c->operand; i++) {
    const struct gie_value *v = gie_value_get(g, n->in[i]);
    if (v)
      GIE_TRY(gie_desc_make(ctx, &v->type, &plain, &desc[i], &bytes));
  }
  if (c->data && c->size != bytes)
    return gie_fail(ctx, GIE_E_DATA, "a race has %zu bytes for a constant of %zu", c->size, bytes);
  GIE_TRY(gie_blob_new(ctx, bytes, &blob));
  if (c->data)
    memcpy(gie_blob_data(blob), c->data, bytes);
  else
    fill_constant(n, c->operand, desc, gie_blob_data(blob), bytes, seed + CONSTANT_SEED + c->operand);
  const struct gie_const data = {blob, 0, bytes};
  gie_id from = n->in[c->operand], to;
  const struct gie_value *v = gie_value_get(g, from);
  gie_status st = gie_graph_add_const(g, NULL, &v->type, &data, &to);
  gie_blob_unref(blob);
  GIE_TRY(st);
  GIE_TRY(gie_value_set_layout(g, to, &v->layout));
  if (v->quant.n)
    GIE_TRY(gie_value_set_quant(g, to, &v->quant));
  GIE_TRY(gie_value_replace(g, from, to));
  return gie_value_remove(g, from);
}

static gie_status parse(struct gie_context *ctx, const struct race_problem *p, uint64_t seed,
                        struct gie_graph **out)
{
  struct gie_graph *g;
  GIE_TRY(gie_graph_parse(ctx, p->text, p->n_text, NULL, &g));
  gie_status st = gie_graph_count_nodes(g) == 1
                      ? GIE_OK
                      : gie_fail(ctx, GIE_E_USAGE, "a race takes graphs of one node");
  for (uint32_t i = 0; st == GIE_OK && i < p->n_constants; i++)
    st = make_constant(g, &p->constants[i], seed);
  if (st == GIE_OK)
    st = gie_graph_infer(g);
  if (st == GIE_OK)
    *out = g;
  else
    gie_graph_free(g);
  return st;
}

/* ---- Places */

static gie_status make_places(struct race_case *rc)
{
  struct side_case *c = &rc->c;
  uint32_t n = c->n_in + c->n_out;
  rc->places = gie_arena_alloc(&c->arena, (size_t)n + 1, sizeof *rc->places);
  if (!rc->places)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < n; i++) {
    const struct gie_value *v = gie_value_get(c->g, i < c->n_in ? c->node->in[i] : c->node->out[i - c->n_in]);
    struct side_place *p = &rc->places[i];
    if (!v)
      continue;
    if (tune_is_pitched(c->node, i))
      GIE_TRY(tune_pitched_desc(c->ctx, &v->type, &v->layout, &p->desc, &p->bytes, &p->offset));
    else
      GIE_TRY(gie_desc_make(c->ctx, &v->type, &v->layout, &p->desc, &p->bytes));
    c->places[i] = p;
  }
  return GIE_OK;
}

/* ---- Few rows for many */

/* Bytes of the largest tensor of a graph of one node with numbers as dims, and the rows of its first result. */
static double largest(const struct gie_graph *g, int64_t *rows)
{
  const struct gie_node *n = gie_node_get(g, gie_graph_first(g));
  const struct gie_value *y = n->n_out ? gie_value_get(g, n->out[0]) : NULL;
  double most = 0;
  *rows = y && y->type.shape.rank > 0 ? y->type.shape.dim[0].b : 0;
  for (uint32_t i = 0; i < n->n_in + n->n_out; i++) {
    const struct gie_value *v = gie_value_get(g, i < n->n_in ? n->in[i] : n->out[i - n->n_in]);
    double bytes = v && v->kind != GIE_VALUE_CONST ? (double)gie_dtype_size(v->type.dtype) : 0;
    for (int k = 0; v && k < v->type.shape.rank; k++)
      bytes *= (double)v->type.shape.dim[k].b;
    most = bytes > most ? bytes : most;
  }
  return most;
}

/* Copy of g whose inputs, which all must begin with `rows`, begin with that dim. GIE_E_NO: it cannot be made. */
static gie_status with_rows(const struct gie_graph *g, int64_t rows, bool symbol, int64_t number,
                            struct gie_graph **out)
{
  struct gie_dim dim = gie_dim_num(number);
  struct gie_graph *h;
  uint32_t sym;
  GIE_TRY(gie_graph_clone(g, &h));
  gie_status st = symbol ? gie_graph_symbol(h, "rows", &sym) : GIE_OK;
  if (st == GIE_OK && symbol)
    dim = (struct gie_dim){.sym = sym, .a = 1};
  for (uint32_t i = 0; st == GIE_OK && i < gie_graph_n_inputs(h); i++) {
    struct gie_type t = gie_value_get(h, gie_graph_input(h, i))->type;
    if (t.shape.rank < 1 || t.shape.dim[0].b != rows) {
      st = GIE_E_NO;
      break;
    }
    t.shape.dim[0] = dim;
    st = gie_value_set_type(h, gie_graph_input(h, i), &t);
  }
  if (st == GIE_OK)
    st = gie_graph_infer(h);
  if (st == GIE_OK)
    *out = h;
  else
    gie_graph_free(h);
  return st;
}

/* Whether row i of the results follows from row i of the operands, whatever their number. */
static bool rows_are_apart(const struct gie_graph *g, int64_t rows)
{
  struct gie_graph *open;
  bool is_free = false;
  if (with_rows(g, rows, true, 0, &open) != GIE_OK)
    return false;
  if (plan_batch_is_free(open, &is_free, NULL) != GIE_OK)
    is_free = false;
  gie_graph_free(open);
  return is_free;
}

/* The same results but for their first dim, which is the period. */
static bool is_same_with(const struct gie_graph *few, const struct gie_graph *g, int64_t period)
{
  const struct gie_node *a = gie_node_get(few, gie_graph_first(few)),
                        *b = gie_node_get(g, gie_graph_first(g));
  for (uint32_t i = 0; i < b->n_out; i++) {
    const struct gie_shape *x = &gie_value_get(few, a->out[i])->type.shape,
                           *y = &gie_value_get(g, b->out[i])->type.shape;
    if (x->rank != y->rank || x->rank < 1 || !gie_dim_is_num(x->dim[0]) || x->dim[0].b != period)
      return false;
    for (int k = 1; k < x->rank; k++)
      if (!gie_dim_is_num(x->dim[k]) || x->dim[k].b != y->dim[k].b)
        return false;
  }
  return true;
}

/* The rows that contents repeat after, with a graph of so many; 0: they do not. */
static int64_t find_period(struct gie_graph *g, size_t whole, struct gie_graph **few)
{
  int64_t rows;
  double most = largest(g, &rows), fit = rows ? 2 * (double)whole / (most / (double)rows) : 0;
  int64_t period = fit < PERIOD_ROWS ? PERIOD_ROWS : fit < (double)rows ? ((int64_t)fit - 1) | 1 : rows;
  *few = NULL;
  if (!whole || most <= (double)whole || period >= rows || !rows_are_apart(g, rows) ||
      with_rows(g, rows, false, period, few) != GIE_OK)
    return 0;
  if (is_same_with(*few, g, period))
    return period;
  gie_graph_free(*few);
  *few = NULL;
  return 0;
}

/* The elements of results that are looked at. */
static gie_status make_points(struct race_case *rc)
{
  struct side_case *c = &rc->c;
  c->points = gie_arena_alloc(&c->arena, (size_t)c->n_out + 1, sizeof *c->points);
  if (!c->points)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < c->n_out; i++) {
    int64_t *at = NULL;
    if (gie_desc_count(&c->out[i]))
      GIE_TRY(sample_choose(&c->out[i], c->seed, &c->arena, &at, &c->points[i].n));
    c->points[i].at = at;
  }
  return GIE_OK;
}

/* Whether result i is looked at in samples, by the sides of a device with memory of its own. */
static bool race_case_picks(const struct race_case *rc, uint32_t i)
{
  return rc->c.points && rc->places[rc->c.n_in + i].bytes > rc->c.whole;
}

/* ---- Twins: the same contents in other layouts, or in ranges, have the same results */

static gie_status make_key(struct race_case *rc)
{
  static const struct gie_layout plain;
  const struct gie_attr whole = {.name = "pitched", .kind = GIE_ATTR_INTS};
  const struct side_case *c = &rc->c;
  struct gie_graph *g;
  GIE_TRY(gie_graph_clone(c->g, &g));
  gie_status st = GIE_OK;
  for (gie_id v = 0; st == GIE_OK && v < gie_graph_n_values(g); v++)
    if (gie_value_get(g, v)->kind != GIE_VALUE_DEAD)
      st = gie_value_set_layout(g, v, &plain);
  if (st == GIE_OK)
    st = gie_node_set_note(g, gie_graph_first(g), &whole);
  if (st == GIE_OK)
    st = tune_problem_key(g, &rc->key);
  gie_graph_free(g);
  return st;
}

/* Whether the results of both are looked at in the same way. */
static bool look_alike(const struct race_case *a, const struct race_case *b)
{
  for (uint32_t i = 0; i < a->c.n_out; i++)
    if (race_case_picks(a, i) != race_case_picks(b, i))
      return false;
  return !a->few == !b->few;
}

void race_case_pair(struct race_case *rc, struct race_case *before, uint32_t n)
{
  for (uint32_t i = 0; i < n && !rc->twin; i++)
    if (strcmp(before[i].key, rc->key) == 0 && look_alike(rc, &before[i]))
      rc->twin = before[i].twin ? before[i].twin : &before[i];
}

gie_status race_case_init(struct race_case *rc, struct gie_context *ctx, const struct race_problem *p,
                          uint64_t seed, size_t whole)
{
  struct gie_graph *g;
  GIE_TRY(parse(ctx, p, seed, &g));
  int64_t period = find_period(g, whole, &rc->few);
  GIE_TRY(side_case_init(&rc->c, g, seed, period, 0, NULL));
  rc->c.whole = whole;
  if (whole)
    GIE_TRY(make_points(rc));
  GIE_TRY(make_places(rc));
  return make_key(rc);
}

void race_case_free(struct race_case *rc)
{
  gie_graph_free(rc->few);
  if (rc->c.ctx) {
    gie_free(rc->c.ctx, rc->key);
    side_case_free(&rc->c);
  }
}

/* ---- What the results must be */

/* Copies the reference's results out of the side: all, and of large ones the points, from the rows that there are. */
static gie_status keep_result(struct race_case *rc, const struct side *s, uint32_t i)
{
  struct side_case *c = &rc->c;
  const struct gie_desc *d = &c->out[i];
  size_t size = gie_dtype_size(d->dtype), n = (size_t)gie_desc_count(d);
  bool picked = race_case_picks(rc, i);
  if (!picked && !rc->few)
    return (rc->expected[i] = gie_arena_copy(&c->arena, s->out_plain[i], n ? n * size : 1, 1)) ? GIE_OK
                                                                                               : GIE_E_MEMORY;
  int64_t row = n && d->dim[0] ? (int64_t)n / d->dim[0] : 1, all = rc->few ? row * c->period : (int64_t)n;
  n = picked ? c->points[i].n : n;
  char *to = rc->expected[i] = gie_arena_alloc(&c->arena, n ? n : 1, size);
  if (!to)
    return GIE_E_MEMORY;
  for (size_t k = 0; k < n; k++)
    memcpy(to + k * size,
           (const char *)s->out_plain[i] + (picked ? c->points[i].at[k] : (int64_t)k) % all * (int64_t)size,
           size);
  return GIE_OK;
}

static gie_status keep_results(struct race_case *rc, const struct side *s)
{
  rc->expected = gie_arena_alloc(&rc->c.arena, rc->c.n_out + 1, sizeof *rc->expected);
  if (!rc->expected)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < rc->c.n_out; i++)
    GIE_TRY(keep_result(rc, s, i));
  return GIE_OK;
}

/* Runs the reference kernel, even where that is the suspect. */
static gie_status run_reference(struct race_case *rc, struct side_case *c, struct side_devices *devices,
                                struct side *s, bool *found)
{
  double seconds;
  GIE_TRY(side_open_reference(s, c, devices, NULL, found));
  if (!*found)
    return GIE_OK;
  s->threads = s->device->info.units;
  GIE_TRY(side_prepare(s));
  for (uint32_t i = 0; i < c->n_out; i++)
    GIE_TRY(side_unset(c, s->out_tensor[i]));
  GIE_TRY(side_launch(s, 1, &seconds));
  GIE_TRY(side_collect(s, true));
  return keep_results(rc, s);
}

/* On the problem, or on the few rows that it repeats. */
static gie_status use_reference(struct race_case *rc, struct side_devices *devices)
{
  struct side s = {0};
  struct side_case few = {0}, *c = &rc->c;
  bool found = false;
  gie_status st = GIE_OK;
  if (rc->few) {
    struct gie_graph *g;
    GIE_TRY(gie_graph_clone(rc->few, &g));
    st = side_case_init(&few, g, rc->c.seed, 0, 0, NULL);
    c = &few;
  }
  if (st == GIE_OK)
    st = run_reference(rc, c, devices, &s, &found);
  if (st == GIE_E_NO && s.verdict != PROBE_OK)
    st = gie_fail(rc->c.ctx, GIE_E_INTERNAL, "the reference kernel %s: %s", s.k->name, s.text);
  side_close(&s);
  if (few.ctx)
    side_case_free(&few);
  return st;
}

static gie_status expect(struct race_case *rc, struct side_devices *devices)
{
  struct side_case *c = &rc->c;
  if (rc->twin) {
    if (!rc->twin->has_expected)
      GIE_TRY(expect(rc->twin, devices));
    rc->has_samples = rc->twin->has_samples;
    rc->samples = rc->twin->samples;
    rc->expected = rc->twin->expected;
    rc->has_expected = true;
    return GIE_OK;
  }
  const struct sample_problem p = {c->ctx,     c->node, c->n_in,           c->in,    c->out,
                                   c->in_host, c->seed, mod_math(c->node), c->period};
  rc->has_samples = c->n_out == 1 && sample_supports(&p);
  GIE_TRY(rc->has_samples ? sample_make(&p, &c->arena, &rc->samples) : use_reference(rc, devices));
  rc->has_expected = true;
  return GIE_OK;
}

static gie_status compare_samples(struct race_case *rc, struct side *s, double *error)
{
  char a[GIE_NUMBER_MAX], b[GIE_NUMBER_MAX];
  struct sample_diff d;
  bool picked = s->out_points[0] != NULL;
  sample_compare(&rc->samples, picked ? s->out_points[0] : s->out_plain[0], picked, (double)s->var.error, &d);
  *error = d.error;
  if (!d.wrong)
    return GIE_OK;
  return side_verdict(s, PROBE_WRONG,
                      "result 0 differs from exact arithmetic: element %lld is %s instead of %s",
                      (long long)d.at, gie_double_text(d.a, a), gie_double_text(d.b, b));
}

gie_status race_case_compare(struct race_case *rc, struct side_devices *devices, struct side *s,
                             double *error)
{
  *error = 0;
  if (!rc->has_expected)
    GIE_TRY(expect(rc, devices));
  if (rc->has_samples)
    return compare_samples(rc, s, error);
  for (uint32_t i = 0; rc->expected && i < rc->c.n_out; i++)
    GIE_TRY(side_compare(s, i, rc->expected[i], side_tolerance(s, i), error));
  return GIE_OK;
}
