/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of the race: a problem from the wire made whole, and the results that it must have. */
#include "core/tune/race.h"

#define CONSTANT_SEED 0x10000 /* apart from the seeds of operands */

/* ---- Constants */

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
    probe_fill_operand(n, c->operand, desc, gie_blob_data(blob), seed + CONSTANT_SEED + c->operand);
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

gie_status race_case_init(struct race_case *rc, struct gie_context *ctx, const struct race_problem *p,
                          uint64_t seed)
{
  struct gie_graph *g;
  GIE_TRY(parse(ctx, p, seed, &g));
  GIE_TRY(side_case_init(&rc->c, g, seed, 0, NULL));
  return make_places(rc);
}

void race_case_free(struct race_case *rc)
{
  if (rc->c.ctx)
    side_case_free(&rc->c);
}

/* ---- What the results must be */

/* Copies the reference's results out of the side. */
static gie_status keep_results(struct race_case *rc, const struct side *s)
{
  struct side_case *c = &rc->c;
  rc->expected = gie_arena_alloc(&c->arena, c->n_out + 1, sizeof *rc->expected);
  if (!rc->expected)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < c->n_out; i++) {
    size_t n = (size_t)gie_desc_count(&c->out[i]) * gie_dtype_size(c->out[i].dtype);
    if (!(rc->expected[i] = gie_arena_copy(&c->arena, s->out_plain[i], n ? n : 1, 1)))
      return GIE_E_MEMORY;
  }
  return GIE_OK;
}

/* Runs the reference kernel, even where that is the suspect. */
static gie_status run_reference(struct race_case *rc, struct side_devices *devices, struct side *s,
                                bool *found)
{
  double seconds;
  GIE_TRY(side_open_reference(s, &rc->c, devices, NULL, found));
  if (!*found)
    return GIE_OK;
  s->threads = s->device->info.units;
  GIE_TRY(side_prepare(s));
  for (uint32_t i = 0; i < rc->c.n_out; i++)
    GIE_TRY(side_unset(&rc->c, s->out_tensor[i]));
  GIE_TRY(side_launch(s, 1, &seconds));
  GIE_TRY(side_collect(s, true));
  return keep_results(rc, s);
}

static gie_status use_reference(struct race_case *rc, struct side_devices *devices)
{
  struct side s = {0};
  bool found = false;
  gie_status st = run_reference(rc, devices, &s, &found);
  if (st == GIE_E_NO && s.verdict != PROBE_OK)
    st = gie_fail(rc->c.ctx, GIE_E_INTERNAL, "the reference kernel %s: %s", s.k->name, s.text);
  side_close(&s);
  return st;
}

static gie_status expect(struct race_case *rc, struct side_devices *devices)
{
  struct side_case *c = &rc->c;
  const struct sample_problem p = {c->ctx, c->node, c->n_in, c->in, c->out, c->in_host, c->seed};
  rc->has_samples = c->n_out == 1 && sample_supports(&p);
  GIE_TRY(rc->has_samples ? sample_make(&p, &c->arena, &rc->samples) : use_reference(rc, devices));
  rc->has_expected = true;
  return GIE_OK;
}

static gie_status compare_samples(struct race_case *rc, struct side *s, double *error)
{
  char a[GIE_NUMBER_MAX], b[GIE_NUMBER_MAX];
  struct sample_diff d;
  sample_compare(&rc->samples, s->out_plain[0], (double)s->var.error, &d);
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
