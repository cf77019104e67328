/* SPDX-License-Identifier: Apache-2.0 */
/* The table of candidates that a plan keeps for `gie explain`; doc/plan.md names its lines and columns. */
#include "core/tune/select.h"
#include <math.h>

static void put_forms(struct gie_buf *b, const struct selection *s, const gie_id *values, uint32_t n,
                      const struct tune_port *ports)
{
  char text[64];
  for (uint32_t i = 0; i < n; i++) {
    const struct gie_value *v = gie_value_get(s->g, values[i]);
    if (!v || v->kind == GIE_VALUE_CONST)
      continue;
    gie_layout_text(&ports[i].form.layout, v->type.shape.rank, text, sizeof text);
    gie_buf_printf(b, "%s%s%s%s%s", b->len && b->data[b->len - 1] != '\t' ? " " : "",
                   gie_dtype_name(ports[i].form.dtype), *text ? ":" : "", text, ports[i].pitch ? "" : "!");
  }
}

static const char *state_of(const struct tune_node *node, size_t i)
{
  return node->choice == i ? "chosen" : node->alts[i].pruned ? "pruned" : "possible";
}

static void put_alt(struct gie_buf *b, const struct selection *s, const struct gie_node *n, size_t i)
{
  static const char *const SOURCES[] = {"estimated", "measured", "measured", "random"};
  static const char *const KINDS[] = {"", "free", "view"};
  const struct tune_node *node = &s->nodes[n->id];
  const struct tune_alt *a = &node->alts[i];
  const struct tune_cand *c = a->kind == ALT_KERNEL ? &s->t->cands[a->cand] : NULL;
  char seconds[GIE_NUMBER_MAX];
  gie_buf_printf(b, "%s\t%s\t%llx\t", c && c->bad ? "bad" : state_of(node, i),
                 c ? c->kernel->name : KINDS[a->kind], c ? (unsigned long long)c->config : 0ull);
  if (c)
    gie_buf_escape(b, c->label, strlen(c->label));
  gie_buf_printf(b, "\t%u/%u\t", (unsigned)(a->kind == ALT_KERNEL ? a->n_steps : n->n_steps),
                 (unsigned)n->n_steps);
  put_forms(b, s, n->in, n->n_in, a->in);
  gie_buf_puts(b, "\t");
  put_forms(b, s, n->out, n->n_out, a->out);
  gie_buf_printf(b, "\t%s\t%s\t", isfinite(a->cost) ? gie_double_text(a->cost, seconds) : "-",
                 c ? SOURCES[c->source] : "-");
  const char *why = c && c->bad ? c->bad : a->why;
  if (why)
    gie_buf_escape(b, why, strlen(why));
  gie_buf_puts(b, "\n");
}

static void put_node(struct gie_buf *b, const struct gie_node *n)
{
  gie_buf_puts(b, "node\t");
  gie_buf_escape(b, n->name, strlen(n->name));
  gie_buf_printf(b, "\t%s\n", n->op->name);
}

static void put_fixed(struct gie_buf *b, const struct tune_fixed *f)
{
  char seconds[GIE_NUMBER_MAX];
  gie_buf_printf(b, "chosen\t%s\t%llx\t\t0/0\t\t\t%s\testimated\t\n", f->kernel->name,
                 (unsigned long long)f->config, gie_double_text(f->seconds, seconds));
}

void select_put_table(struct gie_buf *b, const struct selection *s, uint32_t profile, const char *structure)
{
  char cost[GIE_NUMBER_MAX], bound[GIE_NUMBER_MAX];
  gie_buf_printf(b, "profile\t%u\t%s\t%s\t%s\n", (unsigned)profile, structure, gie_double_text(s->cost, cost),
                 gie_double_text(s->lower_bound, bound));
  GIE_FOR_NODES(s->g, id) {
    const struct gie_node *n = gie_node_get(s->g, id);
    const struct tune_node *node = &s->nodes[id];
    if (node->open || node->fixed.kernel)
      put_node(b, n);
    if (node->fixed.kernel)
      put_fixed(b, &node->fixed);
    if (!node->open)
      continue;
    for (size_t i = 0; i < node->n_alts; i++)
      put_alt(b, s, n, i);
    if (*node->cut)
      gie_buf_printf(b, "cut\t%s; a node may have %d\n", node->cut, TUNE_MAX_VARIANTS);
    if (*node->refusals)
      gie_buf_printf(b, "refused\t%s\n", node->refusals);
  }
}

void tune_put_run(struct gie_buf *b, const struct tune_run *r)
{
  char one[GIE_NUMBER_MAX], several[GIE_NUMBER_MAX];
  if (r->n_streams > 1 && r->seconds > 0)
    gie_buf_printf(b, "streams\t%u\t%s\t%s\t%s\n", (unsigned)r->n_streams, gie_double_text(r->one, one),
                   gie_double_text(r->several, several), r->takes_several ? "several" : "one");
}

/* Sets belong to no node: they are shared. */
void tuner_put_cut_sets(struct gie_buf *b, const struct tuner *t)
{
  for (size_t i = 0; i < t->n_sets; i++) {
    if (!t->sets[i].n_cut)
      continue;
    gie_buf_printf(b, "cut_set\t%u candidates of ", (unsigned)t->sets[i].n_cut);
    gie_buf_escape(b, t->sets[i].key, strlen(t->sets[i].key));
    gie_buf_printf(b, "; a conversion or step may have %d\n", TUNE_MAX_SET);
  }
}
