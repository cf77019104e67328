/* SPDX-License-Identifier: Apache-2.0 */
/* gie inspect PLAN: what was chosen for which device and shapes. Kernels may be missing here. */
#include "core/plan/plan.h"
#include "tools/inspect.h"
#include "tools/precision.h"

struct kernel_count {
  const char *kernel;
  uint32_t n;
};

/* A profile with what there is to say of it. */
struct view {
  const struct gie_plan_profile *p;
  struct measures m;
  struct kernel_count *kernels; /* most frequent first; nodes without a note as "-" */
  uint32_t n_kernels;
};

/* ---- Counting ---------------------------------------------------------------------------------- */

static const char *note_text(const struct gie_node *n, const char *name)
{
  const struct gie_attr *a = gie_attrs_find(&n->notes, name);
  return a && a->kind == GIE_ATTR_STRING ? a->u.s : NULL;
}

static const char *kernel_of(const struct gie_node *n)
{
  const char *kernel = note_text(n, "kernel");
  return kernel ? kernel : "-";
}

static gie_status count_kernel(struct tool *t, struct view *v, size_t *cap, const char *kernel)
{
  for (uint32_t i = 0; i < v->n_kernels; i++)
    if (strcmp(v->kernels[i].kernel, kernel) == 0) {
      v->kernels[i].n++;
      return GIE_OK;
    }
  GIE_TRY(gie_grow(t->ctx, &v->kernels, cap, (size_t)v->n_kernels + 1, sizeof *v->kernels));
  v->kernels[v->n_kernels++] = (struct kernel_count){kernel, 1};
  return GIE_OK;
}

static int by_count(const void *a, const void *b)
{
  const struct kernel_count *x = a, *y = b;
  return x->n != y->n ? (x->n < y->n ? 1 : -1) : strcmp(x->kernel, y->kernel);
}

static gie_status look(struct tool *t, const struct gie_plan_profile *p, struct view *v)
{
  size_t cap = 0;
  *v = (struct view){.p = p};
  GIE_TRY(measures_take(t, p->graph, &v->m));
  gie_status st = GIE_OK;
  for (gie_id id = gie_graph_first(p->graph); st == GIE_OK && id != GIE_NONE;
       id = gie_node_get(p->graph, id)->next)
    st = count_kernel(t, v, &cap, kernel_of(gie_node_get(p->graph, id)));
  if (v->n_kernels)
    qsort(v->kernels, v->n_kernels, sizeof *v->kernels, by_count);
  return st;
}

static int compare_pointers(const void *a, const void *b)
{
  uintptr_t x = (uintptr_t) * (void *const *)a, y = (uintptr_t) * (void *const *)b;
  return x < y ? -1 : x > y;
}

/* Bytes of all constants of base and profiles, equal ones once: blobs are shared after loading. */
static gie_status pool_bytes(const struct gie_plan *plan, struct tool *t, uint64_t *bytes)
{
  const struct gie_blob **seen = NULL;
  size_t n = 0, cap = 0;
  gie_status st = GIE_OK;
  *bytes = 0;
  for (uint32_t i = 0; st == GIE_OK && i <= plan->n_profiles; i++) {
    const struct gie_graph *g = i ? plan->profiles[i - 1].pub.graph : plan->base;
    for (gie_id id = 0; st == GIE_OK && id < gie_graph_n_values(g); id++) {
      const struct gie_value *v = gie_value_get(g, id);
      if (v->kind == GIE_VALUE_CONST && (st = gie_grow(t->ctx, &seen, &cap, n + 1, sizeof *seen)) == GIE_OK)
        seen[n++] = v->data.blob;
    }
  }
  if (n)
    qsort(seen, n, sizeof *seen, compare_pointers);
  for (size_t i = 0; i < n; i++)
    *bytes += i == 0 || seen[i] != seen[i - 1] ? gie_blob_size(seen[i]) : 0;
  gie_free(t->ctx, seen);
  return st;
}

/* ---- For people -------------------------------------------------------------------------------- */

static const char *profile_name(struct tool *t, const struct gie_plan *plan, uint32_t i)
{
  struct gie_buf b;
  gie_buf_init(&b, t->ctx);
  plan_put_profile(plan, i, &b);
  const char *text = tool_format(t, "%s", b.data ? tool_safe(t, b.data) : "");
  gie_buf_free(&b);
  return text;
}

static void print_values(struct tool *t, const struct gie_graph *g, const char *head, uint32_t n,
                         gie_id (*at)(const struct gie_graph *, uint32_t))
{
  struct tool_table tab;
  tool_table_begin(t, &tab, "lll", NULL);
  for (uint32_t i = 0; i < n; i++) {
    const struct gie_value *v = gie_value_get(g, at(g, i));
    tool_cell(&tab, "%-11s", i ? "" : head);
    tool_cell(&tab, "%s", v->name);
    tool_cell(&tab, "%s", tool_type(t, g, &v->type));
  }
  tool_table_end(&tab, 0);
}

static void print_needs(struct tool *t, const char *head, const struct plan_needs *needs)
{
  for (uint32_t i = 0; i < needs->n; i++)
    printf("%-12s %s (%s)\n", i ? "" : head, tool_safe(t, needs->v[i].name),
           *needs->v[i].origin ? tool_safe(t, needs->v[i].origin) : "version not known");
}

static void print_nodes(struct tool *t, const struct gie_graph *g)
{
  static const char *const heads[] = {"node", "op", "result", "kernel"};
  struct tool_table tab;
  tool_table_begin(t, &tab, "llll", heads);
  GIE_FOR_NODES(g, id) {
    const struct gie_node *n = gie_node_get(g, id);
    tool_cell(&tab, "%s", n->name);
    tool_cell(&tab, "%s", tool_op(t, n));
    tool_cell(&tab, "%s", n->n_out ? tool_type(t, g, &gie_value_get(g, n->out[0])->type) : "");
    tool_cell(&tab, "%s", kernel_of(n));
  }
  tool_table_end(&tab, 2);
}

static void print_precision(struct tool *t, const struct gie_plan_profile *p)
{
  if (p->precision && *p->precision)
    printf("  precision  %s\n", precision_text(t, p));
}

static void print_profile(struct tool *t, const struct gie_plan *plan, uint32_t i, const struct view *v,
                          bool nodes)
{
  const struct gie_plan_profile *p = v->p;
  printf("\nprofile %-4u %s\n", (unsigned)i, profile_name(t, plan, i));
  printf("  device     %s%s%s%s, %u thread%s%s\n", *p->device_name ? tool_safe(t, p->device_name) : "any",
         *p->device_version ? " (" : "", tool_safe(t, p->device_version), *p->device_version ? ")" : "",
         (unsigned)p->threads, p->threads == 1 ? "" : "s",
         plan_profile_is_here(plan, i) ? "" : "; there is none here");
  printf("  time       %.3f ms, %s\n", 1e3 * p->seconds,
         p->measured ? "sum of what was measured" : "estimated");
  print_precision(t, p);
  printf("  memory     %s of constants, %s of results alive at once\n", tool_bytes(t, v->m.const_bytes),
         tool_bytes(t, v->m.peak_bytes));
  printf("  nodes      %u", (unsigned)v->m.n_nodes);
  for (uint32_t k = 0; k < v->n_kernels; k++)
    printf("%s %u %s", k ? "," : ":", (unsigned)v->kernels[k].n, tool_safe(t, v->kernels[k].kernel));
  putchar('\n');
  if (nodes)
    print_nodes(t, p->graph);
}

static void print_text(struct tool *t, const char *path, const struct gie_plan *plan, uint64_t bytes,
                       const struct view *views, bool nodes)
{
  printf("file         %s\n", tool_safe(t, path));
  printf("plan         of \"%s\", made by gie %s, module ABI %u.%u\n",
         tool_safe(t, gie_graph_name(plan->base)), tool_safe(t, plan->version), (unsigned)plan->abi_major,
         (unsigned)plan->abi_minor);
  print_values(t, plan->base, "inputs", gie_graph_n_inputs(plan->base), gie_graph_input);
  print_values(t, plan->base, "outputs", gie_graph_n_outputs(plan->base), gie_graph_output);
  printf("weights      %s\n", tool_bytes(t, bytes));
  print_needs(t, "kernels", &plan->kernels);
  print_needs(t, "ops", &plan->ops);
  for (uint32_t i = 0; i < plan->n_profiles; i++)
    print_profile(t, plan, i, &views[i], nodes);
}

/* ---- For machines ------------------------------------------------------------------------------ */

static void json_values(struct json *j, const struct gie_graph *g, const char *key, uint32_t n,
                        gie_id (*at)(const struct gie_graph *, uint32_t))
{
  json_open(j, key, '[', false);
  for (uint32_t i = 0; i < n; i++) {
    json_open(j, NULL, '{', true);
    json_value(j, g, at(g, i));
    json_close(j, '}');
  }
  json_close(j, ']');
}

static void json_needs(struct json *j, const char *key, const struct plan_needs *needs)
{
  json_open(j, key, '[', false);
  for (uint32_t i = 0; i < needs->n; i++) {
    json_open(j, NULL, '{', true);
    json_text(j, "name", needs->v[i].name);
    json_text(j, "module", needs->v[i].origin);
    json_close(j, '}');
  }
  json_close(j, ']');
}

static void json_nodes(struct json *j, const struct gie_graph *g)
{
  json_open(j, "node_list", '[', false);
  GIE_FOR_NODES(g, id) {
    const struct gie_node *n = gie_node_get(g, id);
    json_open(j, NULL, '{', true);
    json_text(j, "name", n->name);
    json_text(j, "op", n->op->name);
    json_text(j, "kernel", note_text(n, "kernel"));
    json_close(j, '}');
  }
  json_close(j, ']');
}

static void json_profile(struct json *j, const struct gie_plan *plan, uint32_t i, const struct view *v,
                         bool nodes)
{
  const struct gie_plan_profile *p = v->p;
  json_open(j, NULL, '{', false);
  json_text(j, "device", p->device);
  json_text(j, "device_name", p->device_name);
  json_text(j, "device_version", p->device_version);
  json_bool(j, "device_is_here", plan_profile_is_here(plan, i));
  json_int(j, "threads", p->threads);
  json_bool(j, "measured", p->measured);
  json_real(j, "seconds", p->seconds);
  json_values(j, p->graph, "inputs", gie_graph_n_inputs(p->graph), gie_graph_input);
  struct precision_use u = precision_used(p->graph);
  json_text(j, "precision", p->precision);
  json_int(j, "f16_nodes", u.f16);
  json_int(j, "f32_nodes", u.f32);
  json_int(j, "tf32_products", u.tf32);
  json_int(j, "constant_bytes", (int64_t)v->m.const_bytes);
  json_int(j, "peak_bytes", (int64_t)v->m.peak_bytes);
  json_int(j, "node_count", v->m.n_nodes);
  json_open(j, "kernels", '{', false);
  for (uint32_t k = 0; k < v->n_kernels; k++)
    json_int(j, v->kernels[k].kernel, v->kernels[k].n);
  json_close(j, '}');
  if (nodes)
    json_nodes(j, p->graph);
  json_close(j, '}');
}

static void print_json(const char *path, const struct gie_plan *plan, uint64_t bytes,
                       const struct view *views, bool nodes)
{
  struct json j;
  json_begin(&j);
  json_text(&j, "file", path);
  json_text(&j, "name", gie_graph_name(plan->base));
  json_text(&j, "gie", plan->version);
  json_values(&j, plan->base, "inputs", gie_graph_n_inputs(plan->base), gie_graph_input);
  json_values(&j, plan->base, "outputs", gie_graph_n_outputs(plan->base), gie_graph_output);
  json_int(&j, "weight_bytes", (int64_t)bytes);
  json_needs(&j, "needs_kernels", &plan->kernels);
  json_needs(&j, "needs_ops", &plan->ops);
  json_open(&j, "profiles", '[', false);
  for (uint32_t i = 0; i < plan->n_profiles; i++)
    json_profile(&j, plan, i, &views[i], nodes);
  json_close(&j, ']');
  json_end(&j);
}

/* ---- The whole --------------------------------------------------------------------------------- */

int inspect_plan(struct tool *t, const char *path, bool json, bool nodes)
{
  struct gie_plan *plan;
  uint64_t bytes = 0;
  gie_status st = plan_load_any(t->ctx, path, &plan);
  if (st != GIE_OK)
    return tool_error(t, st);
  struct view *views = gie_alloc(t->ctx, plan->n_profiles, sizeof *views);
  st = views ? pool_bytes(plan, t, &bytes) : GIE_E_MEMORY;
  for (uint32_t i = 0; st == GIE_OK && i < plan->n_profiles; i++)
    st = look(t, &plan->profiles[i].pub, &views[i]);
  if (st != GIE_OK)
    tool_error(t, gie_error_prefix(t->ctx, st, "%s", path));
  else if (json)
    print_json(path, plan, bytes, views, nodes);
  else
    print_text(t, path, plan, bytes, views, nodes);
  for (uint32_t i = 0; views && i < plan->n_profiles; i++)
    gie_free(t->ctx, views[i].kernels);
  gie_free(t->ctx, views);
  gie_plan_free(plan);
  return gie_status_exit_code(st);
}
