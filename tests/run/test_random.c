/* SPDX-License-Identifier: Apache-2.0 */
/* Random graphs of relu, add, concat, split and reshape: sharing memory, overwriting operands and storing
 * ranges in place must give bit for bit what every value in memory of its own gives. */
#include "tests/run/mock.h"

#define MAX_VALUES 60
#define COLUMNS 3

static uint32_t seed;
static int rows; /* 1: ranges of channels are contiguous */
static uint32_t rnd(uint32_t n)
{
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 8) % n;
}

/* ---- Making a graph ---------------------------------------------------------------------------- */

struct maker {
  struct gie_buf text;
  uint32_t n, n_nodes;
  uint32_t channels[MAX_VALUES];
};

static uint32_t same_channels(const struct maker *m, uint32_t as)
{
  uint32_t v = rnd(m->n);
  for (uint32_t i = 0; m->channels[v] != m->channels[as] && i < 20; i++)
    v = rnd(m->n);
  return m->channels[v] == m->channels[as] ? v : as;
}

static void add_result(struct maker *m, uint32_t channels) { m->channels[m->n++] = channels; }

static void make_concat(struct maker *m)
{
  uint32_t n = 1 + rnd(3), sum = 0;
  gie_buf_printf(&m->text, " %%v%u = concat(", m->n);
  for (uint32_t i = 0; i < n; i++) {
    uint32_t v = rnd(m->n);
    gie_buf_printf(&m->text, "%s%%v%u", i ? ", " : "", v);
    sum += m->channels[v];
  }
  gie_buf_printf(&m->text, ") {axis=1}");
  add_result(m, sum);
}

static void make_split(struct maker *m, uint32_t v)
{
  uint32_t first = 1 + rnd(m->channels[v] - 1), rest = m->channels[v] - first;
  gie_buf_printf(&m->text, " const %%k%u : i64[2] = {%u, %u} %%v%u, %%v%u = split(%%v%u, %%k%u) {axis=1}",
                 m->n, first, rest, m->n, m->n + 1, v, m->n);
  add_result(m, first);
  add_result(m, rest);
}

static void make_reshape(struct maker *m, uint32_t v)
{
  uint32_t c = m->channels[v];
  gie_buf_printf(&m->text,
                 " const %%k%u : i64[2] = {%d, %u} const %%l%u : i64[3] = {%d, %u, %d}"
                 " %%f%u = reshape(%%v%u, %%k%u) %%v%u = reshape(%%f%u, %%l%u)",
                 m->n, rows * COLUMNS, c, m->n, rows, c, COLUMNS, m->n, v, m->n, m->n, m->n, m->n);
  add_result(m, c);
}

static void make_node(struct maker *m)
{
  uint32_t v = rnd(3) ? m->n - 1 - rnd(m->n < 4 ? m->n : 4) : rnd(m->n);
  switch (rnd(6)) {
  case 0:
    make_concat(m);
    break;
  case 1:
    if (m->channels[v] > 1) {
      make_split(m, v);
      break;
    }
    /* fall through */
  case 2:
    make_reshape(m, v);
    break;
  case 3:
    gie_buf_printf(&m->text, " %%v%u = relu(%%v%u)", m->n, v);
    add_result(m, m->channels[v]);
    break;
  default:
    gie_buf_printf(&m->text, " %%v%u = add(%%v%u, %%v%u)", m->n, v, same_channels(m, v));
    add_result(m, m->channels[v]);
  }
}

static struct gie_graph *make_graph(void)
{
  struct maker m = {0};
  gie_buf_init(&m.text, ctx);
  gie_buf_printf(&m.text, "graph \"g\" { input %%v0 : f32[%d,4,%d] input %%v1 : f32[%d,1,%d]", rows, COLUMNS,
                 rows, COLUMNS);
  add_result(&m, 4);
  add_result(&m, 1);
  for (uint32_t i = 3 + rnd(18); i > 0 && m.n + 2 < MAX_VALUES; i--) {
    make_node(&m);
    if (m.channels[m.n - 1] > 24)
      break;
  }
  for (uint32_t i = 1 + rnd(4); i > 0; i--)
    gie_buf_printf(&m.text, " output %%v%u", i == 1 ? m.n - 1 : rnd(m.n));
  gie_buf_printf(&m.text, " }");
  struct gie_graph *g = parse(m.text.data);
  gie_buf_free(&m.text);
  return g;
}

/* Views where they are allowed, mostly of concats and splits, sometimes with no sense at all. */
static void add_views(struct gie_graph *g)
{
  for (gie_id id = gie_graph_last(g); id != GIE_NONE; id = gie_node_get(g, id)->prev) {
    const struct gie_node *n = gie_node_get(g, id);
    bool joins = strcmp(n->op->name, "concat") == 0, cuts = strcmp(n->op->name, "split") == 0;
    const gie_id *parts = joins ? n->in : n->out;
    int64_t at = 0;
    for (uint32_t i = 0; (joins || cuts) && i < (joins ? n->n_operands : 2); i++) {
      const struct gie_value *v = gie_value_get(g, parts[i]);
      struct gie_view view = {joins ? n->out[0] : n->in[0], 1, at, v->type.shape.dim[1].b};
      at += view.extent;
      if (rnd(12) == 0)
        view.offset = rnd(8);
      if (v->kind == GIE_VALUE_RESULT && v->view.base == GIE_NONE && rnd(8))
        (void)gie_value_set_view(g, parts[i], &view);
    }
  }
}

/* ---- Running it -------------------------------------------------------------------------------- */

static struct gie_exec *run(struct gie_graph *g, bool twice)
{
  float data[2 * 4 * COLUMNS];
  struct gie_exec *x;
  ck_gie_ok(ctx, gie_exec_new(g, NULL, &x));
  for (int i = twice ? 0 : 1; i < 2; i++) {
    for (int k = 0; k < 2 * 4 * COLUMNS; k++)
      data[k] = (float)(k * 5 % 7 - 3) + (i ? 0 : 100);
    ck_gie_ok(ctx, set(x, "v0", data, 3, rows, 4, COLUMNS, 0));
    ck_gie_ok(ctx, set(x, "v1", data + 2, 3, rows, 1, COLUMNS, 0));
    ck_gie_ok(ctx, gie_exec_run(x));
  }
  return x;
}

static void compare(uint32_t round)
{
  struct gie_graph *g = make_graph(), *h;
  struct gie_exec *plain, *x;
  ck_gie_ok(ctx, gie_graph_clone(g, &h));
  add_views(h);
  bool legal = gie_graph_verify(h) == GIE_OK; /* views of several nodes in one place are refused */
  mocks[0].in_place = false;
  plain = run(g, false);
  mocks[0].in_place = true;
  x = run(legal ? h : g, true);
  for (uint32_t i = 0; i < gie_graph_n_outputs(g); i++) {
    const char *name = gie_value_get(g, gie_graph_output(g, i))->name;
    struct gie_tensor a, b;
    ck_gie_ok(ctx, gie_exec_output(plain, name, &a));
    ck_gie_ok(ctx, gie_exec_output(x, name, &b));
    size_t bytes = (size_t)(a.dim[0] * a.dim[1] * a.dim[2]) * sizeof(float);
    ck_assert_msg(memcmp(a.data, b.data, bytes) == 0, "seed %u, output %s", round, name);
  }
  gie_exec_free(plain);
  gie_exec_free(x);
  gie_graph_free(g);
  gie_graph_free(h);
}

START_TEST(random_graphs)
{
  kernel("a.any");
  for (uint32_t round = 0; round < 3000; round++) {
    seed = round;
    rows = 1 + (int)(round % 2);
    compare(round);
  }
}
END_TEST

GIE_TESTS_MAIN_WITH("random", setup, teardown, random_graphs)
