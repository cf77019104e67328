/* SPDX-License-Identifier: Apache-2.0 */
/* The probe: see probe.h. The suspect and the reference are two sides (side.h) fed with the same
 * operands; results come back to the host in plain layout. */
#include "core/module/side.h"
#include <math.h>

const char *probe_verdict_word(enum probe_verdict v)
{
  static const char *const words[] = {
#define PROBE_WORD(name, word) word,
      PROBE_VERDICTS(PROBE_WORD)
#undef PROBE_WORD
  };
  return words[v];
}

struct probe {
  struct gie_context *ctx;
  const struct probe_request *rq;
  struct probe_result *result;
  struct side_devices devices;
  struct side_case c;
  struct side suspect, reference;
};

/* Variants may fuse only the first steps: then that is the problem. */
static gie_status open_suspect(struct probe *p)
{
  struct side *s = &p->suspect;
  GIE_TRY(side_open(s, &p->c, &p->devices));
  GIE_TRY(side_choose(s, p->rq->any_config, p->rq->config));
  if (s->var.n_steps == p->c.node->n_steps)
    return GIE_OK;
  uint64_t config = s->var.config;
  GIE_TRY(gie_node_cut_steps(p->c.g, p->c.node->id, s->var.n_steps));
  GIE_TRY(gie_node_infer(p->c.g, p->c.node->id));
  side_close(s);
  GIE_TRY(side_case_describe(&p->c));
  GIE_TRY(side_open(s, &p->c, &p->devices));
  return side_choose(s, false, config);
}

/* The same results when they are written over the operand that the variant names. */
static gie_status run_over(struct probe *p, double *seconds)
{
  struct side *s = &p->suspect;
  void **apart = s->out_plain, **over = gie_arena_alloc(&s->arena, p->c.n_out + 1, sizeof *over);
  double error = 0;
  if (!over)
    return GIE_E_MEMORY;
  s->out_plain = over;
  GIE_TRY(side_set_over(s, true));
  GIE_TRY(side_launch(s, 1, seconds));
  GIE_TRY(side_collect(s, true));
  GIE_TRY(side_compare(s, 0, apart[0], side_tolerance(s, 0), &error));
  s->out_plain = apart;
  return side_set_over(s, false);
}

static gie_status run_suspect(struct probe *p)
{
  struct side *s = &p->suspect;
  double seconds;
  GIE_TRY(side_prepare(s));
  GIE_TRY(side_launch(s, 1, &seconds));
  GIE_TRY(side_collect(s, true));
  if (side_overwrites(s))
    GIE_TRY(run_over(p, &seconds));
  for (uint32_t i = 0; i < p->rq->repeat; i++) {
    GIE_TRY(side_launch(s, 1, &seconds));
    if (i == 0 || seconds < p->result->seconds)
      p->result->seconds = seconds;
  }
  return GIE_OK;
}

static void hash_results(struct probe *p)
{
  struct gie_sha256 h;
  unsigned char digest[32];
  gie_sha256_init(&h);
  for (uint32_t i = 0; i < p->c.n_out; i++)
    gie_sha256_update(&h, p->suspect.out_plain[i],
                      (size_t)gie_desc_count(&p->c.out[i]) * gie_dtype_size(p->c.out[i].dtype));
  gie_sha256_final(&h, digest);
  gie_sha256_hex(digest, p->result->hash);
}

static gie_status run_reference(struct probe *p, bool *found)
{
  struct side *r = &p->reference;
  double seconds;
  GIE_TRY(side_open_reference(r, &p->c, &p->devices, p->suspect.k, found));
  if (!*found)
    return GIE_OK;
  GIE_TRY(side_prepare(r));
  for (uint32_t i = 0; i < p->c.n_out; i++) /* the suspect may have filled the same tensor */
    GIE_TRY(side_unset(&p->c, r->out_tensor[i]));
  GIE_TRY(side_launch(r, 1, &seconds));
  return side_collect(r, true);
}

static gie_status against_reference(struct probe *p)
{
  bool found = false;
  gie_status st = run_reference(p, &found);
  if (st == GIE_E_NO && p->reference.verdict != PROBE_OK)
    return gie_fail(p->ctx, GIE_E_INTERNAL, "the reference kernel %s: %s", p->reference.k->name,
                    p->reference.text);
  GIE_TRY(st);
  p->result->compared = found;
  for (uint32_t i = 0; found && i < p->c.n_out; i++) {
    double tolerance = p->rq->tolerance > 0 ? p->rq->tolerance : side_tolerance(&p->suspect, i);
    GIE_TRY(side_compare(&p->suspect, i, p->reference.out_plain[i], tolerance, &p->result->error));
  }
  return GIE_OK;
}

static gie_status probe(struct probe *p)
{
  GIE_TRY(open_suspect(p));
  GIE_TRY(run_suspect(p));
  hash_results(p);
  return against_reference(p);
}

gie_status probe_run(const struct gie_graph *g, const struct probe_request *rq, struct probe_result *out)
{
  struct probe_result result = {.verdict = PROBE_OK};
  struct gie_context *ctx = gie_graph_context(g);
  struct gie_graph *copy;
  struct probe p = {.ctx = ctx, .rq = rq, .result = &result, .devices = {.ctx = ctx}};
  p.suspect.k = mod_find(ctx, MOD_KERNEL, rq->kernel);
  if (!p.suspect.k)
    return gie_fail(ctx, GIE_E_USAGE, "there is no kernel \"%s\"; see gie plugin list", rq->kernel);
  p.suspect.max_workspace = rq->max_workspace;
  GIE_TRY(gie_graph_clone(g, &copy));
  gie_status st = side_case_init(&p.c, copy, rq->seed, 0, rq->n_inputs, rq->inputs);
  if (st == GIE_OK)
    st = probe(&p);
  side_close(&p.suspect);
  side_close(&p.reference);
  side_case_free(&p.c);
  side_devices_close(&p.devices);
  result.verdict = p.suspect.verdict;
  result.workspace = p.suspect.workspace_bytes;
  memcpy(result.text, p.suspect.text, sizeof result.text);
  if (st != GIE_OK && st != GIE_E_NO)
    return st;
  /* E_NO without a verdict would be a probe that says "fine" about nothing. */
  if (st == GIE_E_NO && result.verdict == PROBE_OK)
    return gie_fail(ctx, GIE_E_INTERNAL, "a device of the probe failed with E_NO");
  *out = result;
  return GIE_OK;
}
