/* SPDX-License-Identifier: Apache-2.0 */
/* See costs.h. */
#include "tests/tune/costs.h"

#define MAX_ROWS 32
static struct gie_kernel kernel_of_row[MAX_ROWS];
static const char *ops_of_row[MAX_ROWS][2];
static uint32_t kept_of_row[MAX_ROWS];

static bool supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size)
{
  const struct cost_row *row = k->user;
  if (p->node->n_steps <= row->steps)
    return true;
  snprintf(why, size, "fuses %u steps", (unsigned)row->steps);
  return false;
}

static void set_port(const struct gie_problem *p, const char *layout, const struct gie_desc *d,
                     const struct cost_row *row, bool keeps, struct gie_port *port)
{
  port->pitch = row->pitch;
  port->dtype = d->dtype == GIE_F32 && !keeps ? row->dtype : GIE_DTYPE_NONE;
  port->layout.any = !layout;
  if (layout && d->rank == 4)
    ck_gie_ok(p->ctx, gie_layout_parse(p->ctx, layout, 4, &port->layout));
}

static uint32_t variants(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *v,
                         uint32_t max)
{
  const struct cost_row *row = k->user;
  uint32_t n = row->n_variants ? row->n_variants : 1, kept = kept_of_row[k - kernel_of_row];
  for (uint32_t j = 0; j < n && j < max; j++, v++) {
    v->config = (uint64_t)(k - kernel_of_row) + 1 + ((uint64_t)j << 8);
    v->n_steps = p->node->n_steps;
    v->n_in = p->n_in;
    v->n_out = p->n_out;
    for (uint32_t i = 0; i < p->n_in; i++)
      set_port(p, p->in_data[i] ? NULL : row->in, &p->in[i], row, kept >> i & 1, &v->in[i]);
    for (uint32_t i = 0; i < p->n_out; i++)
      set_port(p, row->out, &p->out[i], row, kept & COSTS_RESULTS, &v->out[i]);
  }
  return n;
}

static void estimate(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                     struct gie_cost *out)
{
  (void)p, (void)v;
  out->seconds = ((const struct cost_row *)k->user)->ms * 1e-3;
}

static gie_status create(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                         void **out)
{
  (void)k, (void)v, (void)out;
  return gie_fail(p->ctx, GIE_E_INTERNAL, "a kernel of the table is never made");
}

static gie_status run(void *instance, const struct gie_launch *l)
{
  (void)instance;
  return gie_fail(l->ctx, GIE_E_INTERNAL, "a kernel of the table is never run");
}

struct gie_context *costs_context(const struct cost_row *rows, uint32_t n)
{
  struct gie_context *c = mock_context(NULL);
  ck_assert(n <= MAX_ROWS);
  mock_register_device(c, &mock_cpu);
  for (uint32_t i = 0; i < n; i++) {
    ops_of_row[i][0] = rows[i].op;
    kept_of_row[i] = 0;
    kernel_of_row[i] = (struct gie_kernel){.struct_size = sizeof kernel_of_row[i],
                                           .name = rows[i].name,
                                           .device = "cpu",
                                           .ops = ops_of_row[i],
                                           .user = (void *)(uintptr_t)&rows[i],
                                           .supports = supports,
                                           .variants = variants,
                                           .estimate = estimate,
                                           .create = create,
                                           .run = run};
    mock_register_kernel(c, &kernel_of_row[i]);
  }
  return c;
}

const struct gie_kernel *costs_kernel(uint32_t row) { return &kernel_of_row[row]; }

void costs_keep_f32(uint32_t row, uint32_t ports) { kept_of_row[row] = ports; }

struct gie_plan *costs_build(struct gie_context *c, const char *text, const struct gie_build_options *more,
                             struct gie_build_report *report)
{
  struct gie_graph *g;
  struct gie_plan *plan;
  struct gie_build_options o = {.struct_size = sizeof o};
  if (more)
    o = *more;
  o.threads = 1;
  o.cache = o.cache ? o.cache : "";
  o.budget = -1;
  o.pipeline = "";
  ck_gie_ok(c, gie_graph_parse(c, text, strlen(text), NULL, &g));
  ck_gie_ok(c, gie_build(g, &o, report, &plan));
  gie_graph_free(g);
  return plan;
}

const char *costs_decisions(const struct gie_plan *plan, char *buf, size_t size)
{
  struct gie_plan_profile p = {.struct_size = sizeof p};
  size_t at = 0;
  ck_assert_int_eq(gie_plan_profile(plan, 0, &p), GIE_OK);
  buf[0] = 0;
  GIE_FOR_NODES(p.graph, id) {
    const struct gie_node *n = gie_node_get(p.graph, id);
    const struct gie_attr *a = gie_attrs_find(&n->notes, "kernel");
    at += (size_t)snprintf(buf + at, size - at, "%s%s:%s", at ? " " : "", n->op->name, a ? a->u.s : "-");
  }
  return buf;
}
