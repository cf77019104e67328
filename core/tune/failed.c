/* SPDX-License-Identifier: Apache-2.0 */
/* Why a node is left without a candidate: one line with what became of each. */
#include "core/tune/select.h"
#include <math.h>

#define SHOWN 6 /* reasons; a kernel that fails alike in many variants is one */

struct reasons {
  struct gie_buf text;
  uint32_t n, n_more;
  bool all_memory;
};

static void put_reason(struct reasons *r, const struct tune_cand *c)
{
  char line[512];
  snprintf(line, sizeof line, "%s: %s", c->kernel->name, c->bad);
  r->all_memory &= c->verdict == PROBE_LIMIT;
  if (r->text.len && strstr(r->text.data, line))
    return;
  if (r->n == SHOWN) {
    r->n_more++;
    return;
  }
  gie_buf_puts(&r->text, r->n++ ? "; " : "");
  gie_buf_escape(&r->text, line, strlen(line));
}

static void put_set(struct reasons *r, const struct tuner *t, uint32_t set)
{
  const struct tune_set *s = &t->sets[set];
  for (uint32_t i = 0; isinf(tuner_set_seconds(t, set)) && i < s->n; i++)
    if (t->cands[s->cands[i]].bad)
      put_reason(r, &t->cands[s->cands[i]]);
}

static bool has_failed(const struct tune_node *node)
{
  for (size_t i = 0; i < node->n_alts; i++)
    if (!node->alts[i].pruned && isfinite(node->alts[i].cost))
      return false;
  return true;
}

static gie_status say_failed(struct selection *s, gie_id id)
{
  const struct tune_node *node = &s->nodes[id];
  struct reasons r = {.all_memory = true};
  char label[128];
  gie_buf_init(&r.text, s->t->ctx);
  for (size_t i = 0; i < node->n_alts; i++) {
    const struct tune_alt *a = &node->alts[i];
    if (a->kind == ALT_KERNEL && s->t->cands[a->cand].bad)
      put_reason(&r, &s->t->cands[a->cand]);
    for (uint32_t k = 0; k < a->n_rest; k++)
      put_set(&r, s->t, a->rest[k]);
  }
  if (r.n_more)
    gie_buf_printf(&r.text, "; and %u more", (unsigned)r.n_more);
  gie_status st = r.text.status;
  bool memory = r.n && r.all_memory;
  if (st == GIE_OK)
    st = gie_fail(s->t->ctx, memory ? GIE_E_MEMORY : GIE_E_UNSUPPORTED,
                  "%s: every kernel that takes it failed (%s); %s",
                  ir_node_label(gie_node_get(s->g, id), label, sizeof label),
                  r.text.data ? r.text.data : "no reason is known",
                  memory ? "give it more memory, or a smaller batch" : "load a module with one that works");
  gie_buf_free(&r.text);
  return st;
}

gie_status select_check_failed(struct selection *s)
{
  GIE_FOR_NODES(s->g, id)
    if (s->nodes[id].open && has_failed(&s->nodes[id]))
      return say_failed(s, id);
  return GIE_OK;
}
