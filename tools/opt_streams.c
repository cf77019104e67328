/* SPDX-License-Identifier: Apache-2.0 */
/* gie opt --streams: which nodes run beside which, and where one waits for another. */
#include "core/run/run.h"
#include "tools/opt.h"

struct streams {
  struct tool *t;
  const struct gie_graph *g;
  struct gie_arena mem;
  uint32_t n, n_streams;
  gie_id *node;                    /* by step */
  uint32_t *step;                  /* by node */
  uint32_t *stream, *first, *deps; /* as run_schedule_make() wants them */
  struct run_schedule schedule;
};

static uint32_t stream_of(const struct gie_node *n)
{
  const struct gie_attr *a = gie_attrs_find(&n->notes, "stream");
  return a && a->kind == GIE_ATTR_INT && a->u.i > 0 ? (uint32_t)(a->u.i % RUN_MAX_STREAMS) : 0;
}

static gie_status make_arrays(struct streams *s)
{
  size_t n_in = 0;
  GIE_FOR_NODES(s->g, id)
    n_in += gie_node_get(s->g, id)->n_in;
  s->n = gie_graph_count_nodes(s->g);
  s->node = gie_arena_alloc(&s->mem, s->n, sizeof *s->node);
  s->step = gie_arena_alloc(&s->mem, gie_graph_n_nodes(s->g), sizeof *s->step);
  s->stream = gie_arena_alloc(&s->mem, s->n, sizeof *s->stream);
  s->first = gie_arena_alloc(&s->mem, (size_t)s->n + 1, sizeof *s->first);
  s->deps = gie_arena_alloc(&s->mem, n_in, sizeof *s->deps);
  return s->node && s->step && s->stream && s->first && s->deps ? GIE_OK : GIE_E_MEMORY;
}

static gie_status make_schedule(struct streams *s)
{
  uint32_t i = 0, n_deps = 0;
  GIE_TRY(make_arrays(s));
  s->n_streams = 1;
  GIE_FOR_NODES(s->g, id) {
    const struct gie_node *n = gie_node_get(s->g, id);
    s->node[i] = id;
    s->step[id] = i;
    s->stream[i] = stream_of(n);
    s->n_streams = s->stream[i] >= s->n_streams ? s->stream[i] + 1 : s->n_streams;
    s->first[i++] = n_deps;
    for (uint32_t k = 0; k < n->n_in; k++) {
      const struct gie_value *v = gie_value_get(s->g, n->in[k]);
      if (v && v->producer != GIE_NONE)
        s->deps[n_deps++] = s->step[v->producer];
    }
  }
  s->first[i] = n_deps;
  return run_schedule_make(&s->mem, s->n, s->n_streams, s->stream, s->first, s->deps, &s->schedule);
}

static const char *name_of(const struct streams *s, uint32_t step)
{
  return gie_node_get(s->g, s->node[step])->name;
}

/* A row for every node at which a stream begins or waits. */
static void print(const struct streams *s)
{
  static const char *const heads[] = {"node", "stream", "waits for"};
  struct tool_table tab;
  tool_table_begin(s->t, &tab, "lrl", heads);
  for (uint32_t i = 0; i < s->n; i++) {
    const struct run_position *at = &s->schedule.at[i];
    const char *waits = "";
    for (uint32_t k = 0; k < at->n_waits; k++)
      waits = tool_format(s->t, "%s%s%s", waits, k ? ", " : "",
                          name_of(s, s->schedule.waits[at->first_wait + k]));
    if (at->n_waits == 0 && at->index > 0)
      continue;
    tool_cell(&tab, "%s", name_of(s, i));
    tool_cell(&tab, "%u", (unsigned)at->stream);
    tool_cell(&tab, "%s", waits);
  }
  tool_table_end(&tab, 0);
  printf("%u nodes on %u stream%s, %zu wait%s\n", (unsigned)s->n, (unsigned)s->n_streams,
         s->n_streams == 1 ? "" : "s", s->schedule.n_waits, s->schedule.n_waits == 1 ? "" : "s");
}

gie_status opt_streams(struct tool *t, const struct gie_graph *g)
{
  struct streams s = {.t = t, .g = g};
  gie_arena_init(&s.mem, t->ctx);
  gie_status st = make_schedule(&s);
  if (st == GIE_OK)
    print(&s);
  gie_arena_free(&s.mem);
  return st;
}
