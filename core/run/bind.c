/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel choice without measuring: what the node's notes name (selection wrote it there), else the first
 * kernel, in the order of the rules, with a variant that fits what is there. Every refusal is kept, so that a node that nobody takes can be explained.
 *
 * A kernel that misbehaves (asks for impossible workspace, fails in create) is dropped like one
 * that refuses, and the next is tried. */
#include "core/module/registry.h"
#include "core/run/run.h"

#define MAX_WHY 256

gie_status run_binder_init(struct run_binder *b, struct run_device *d, struct run_weights *w,
                           const char *backends)
{
  memset(b, 0, sizeof *b);
  b->device = d;
  b->weights = w;
  gie_buf_init(&b->refusals, d->ctx);
  gie_status st = run_rules_init(&b->rules, d->ctx, d->ops->kind, backends);
  if (st == GIE_OK && !(b->variants = gie_alloc(d->ctx, RUN_MAX_VARIANTS, sizeof *b->variants)))
    st = GIE_E_MEMORY;
  if (st != GIE_OK)
    run_binder_free(b);
  return st;
}

void run_binder_free(struct run_binder *b)
{
  if (!b->device)
    return;
  struct gie_context *ctx = b->device->ctx;
  for (size_t i = b->n_libs; i-- > 0;)
    if (b->libs[i].lib->close && b->libs[i].failed == GIE_OK)
      b->libs[i].lib->close(b->libs[i].handle);
  gie_free(ctx, b->libs);
  run_rules_free(&b->rules, ctx);
  run_problem_free(&b->problem, ctx);
  gie_free(ctx, b->variants);
  gie_buf_free(&b->refusals);
  memset(b, 0, sizeof *b);
}

gie_status run_binder_library(struct run_binder *b, const struct gie_library *lib, void **handle)
{
  struct gie_context *ctx = b->device->ctx;
  *handle = NULL;
  for (size_t i = 0; lib && i < b->n_libs; i++)
    if (b->libs[i].lib == lib) {
      *handle = b->libs[i].handle;
      return b->libs[i].failed == GIE_OK
                 ? GIE_OK
                 : gie_fail(ctx, b->libs[i].failed, "library %s cannot be opened", lib->name);
    }
  if (!lib)
    return GIE_OK;
  GIE_TRY(gie_grow(ctx, &b->libs, &b->cap_libs, b->n_libs + 1, sizeof *b->libs));
  struct run_library *l = &b->libs[b->n_libs];
  *l = (struct run_library){.lib = lib};
  l->failed = lib->open(ctx, b->device->dev, &l->handle);
  b->n_libs++;
  *handle = l->handle;
  return l->failed == GIE_OK ? GIE_OK : gie_error_prefix(ctx, l->failed, "library %s", lib->name);
}

/* ---- Refusals ---------------------------------------------------------------------------------- */

GIE_PRINTF(4, 5)
static void refuse(struct run_binder *b, const struct gie_kernel *k, gie_status st, const char *fmt, ...)
{
  char text[MAX_WHY];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  gie_buf_printf(&b->refusals, "%s%s: ", b->refusals.len ? "; " : "", k->name);
  gie_buf_escape(&b->refusals, text, strlen(text));
  if (st == GIE_E_MEMORY)
    b->failed = st;
}

/* ---- Does a variant fit? ----------------------------------------------------------------------- */

/* Alignment that an address is sure to have: constants can be copied to a better one, the storage of other
 * values begins at a multiple of RUN_ALIGN. */
static uint32_t align_of(const struct gie_desc *d, const struct run_value *v, bool is_const)
{
  if (!v || !v->placed)
    return RUN_ALIGN;
  if (is_const && v->offset == 0)
    return RUN_WORKSPACE_ALIGN;
  uint32_t a = RUN_ALIGN;
  while (a > 1 && v->offset % a)
    a /= 2;
  uint32_t size = (uint32_t)gie_dtype_size(d->dtype);
  return a < size ? size : a;
}

static bool port_fits(const struct gie_port *port, const struct gie_desc *plain, const struct gie_desc *here,
                      uint32_t align, const char *what, unsigned i, char *why, size_t size)
{
  char wants[64], has[64];
  if (plain->dtype == GIE_DTYPE_NONE)
    return true; /* omitted operand */
  if (port->dtype != GIE_DTYPE_NONE && port->dtype != here->dtype) {
    snprintf(why, size, "wants %s %u as %s, not %s", what, i, gie_dtype_name(port->dtype),
             gie_dtype_name(here->dtype));
    return false;
  }
  if (!port->layout.any && !gie_layout_equal(&port->layout, &here->layout, here->rank)) {
    gie_layout_text(&port->layout, here->rank, wants, sizeof wants);
    gie_layout_text(&here->layout, here->rank, has, sizeof has);
    snprintf(why, size, "wants %s %u in layout %s, not %s", what, i, *wants ? wants : "plain",
             *has ? has : "plain");
    return false;
  }
  if (here->pitched && !port->pitch) {
    snprintf(why, size, "wants %s %u dense, not a view", what, i);
    return false;
  }
  if (port->align > align) {
    snprintf(why, size, "wants %s %u aligned to %u bytes", what, i, (unsigned)port->align);
    return false;
  }
  return true;
}

static bool variant_fits(const struct run_problem *p, const struct gie_variant *v,
                         const struct run_value *values, char *why, size_t size)
{
  const struct gie_node *n = p->pub.node;
  if (v->n_in > GIE_MAX_IO || v->n_out > GIE_MAX_IO) {
    snprintf(why, size, "its variant describes %u operands; at most %d are possible",
             (unsigned)(v->n_in > v->n_out ? v->n_in : v->n_out), GIE_MAX_IO);
    return false;
  }
  if (v->n_steps != n->n_steps) {
    snprintf(why, size, "fuses %u of the %u epilogue steps", (unsigned)v->n_steps, (unsigned)n->n_steps);
    return false;
  }
  for (uint32_t i = 0; i < n->n_in; i++) {
    const struct gie_port *port = mod_port(&p->pub, v, i);
    uint32_t align = align_of(&p->here[i], values && n->in[i] != GIE_NONE ? &values[n->in[i]] : NULL,
                              p->in_data[i]);
    if (!port_fits(port, &p->plain[i], &p->here[i], align, "operand", i, why, size))
      return false;
  }
  for (uint32_t i = 0; i < n->n_out; i++) {
    const struct gie_port *port = mod_port(&p->pub, v, n->n_in + i);
    uint32_t align = align_of(&p->here[n->n_in + i], values ? &values[n->out[i]] : NULL, false);
    if (!port_fits(port, &p->plain[n->n_in + i], &p->here[n->n_in + i], align, "result", i, why, size))
      return false;
  }
  return true;
}

/* ---- Binding ----------------------------------------------------------------------------------- */

/* What a kernel without variants() offers. */
static void default_variant(const struct gie_node *n, struct gie_variant *v)
{
  static const struct gie_port any = {.layout.any = true, .pitch = true};
  memset(v, 0, sizeof *v);
  v->struct_size = sizeof *v;
  v->n_steps = n->n_steps;
  v->in_place = -1;
  v->any_in = v->any_out = any;
}

uint32_t run_kernel_variants(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *out,
                             uint32_t max)
{
  for (uint32_t i = 0; i < max; i++) {
    memset(&out[i], 0, sizeof out[i]);
    out[i].struct_size = sizeof out[i];
    out[i].in_place = -1;
    if (!k->variants)
      break;
  }
  if (!k->variants) {
    default_variant(p->node, &out[0]);
    return 1;
  }
  uint32_t n = k->variants(k, p, out, max);
  return n < max ? n : max;
}

static gie_status pack_operands(struct run_binder *b, struct gie_arena *mem, const struct gie_kernel *k,
                                const struct gie_variant *v, struct run_binding *out)
{
  struct gie_context *ctx = b->device->ctx;
  const struct gie_problem *p = &b->problem.pub;
  struct gie_pack packs[GIE_MAX_IO];
  if (!k->pack_desc || !k->pack)
    return GIE_OK;
  memset(packs, 0, sizeof packs);
  for (uint32_t i = 0; i < GIE_MAX_IO; i++)
    packs[i].struct_size = sizeof packs[i];
  uint32_t n = k->pack_desc(k, p, v, packs, GIE_MAX_IO);
  if (n == 0)
    return GIE_OK;
  if (n > GIE_MAX_IO)
    return gie_fail(ctx, GIE_E_INTERNAL, "packs %u operands", (unsigned)n);
  out->packed = gie_arena_alloc(mem, p->n_in, sizeof(struct run_weight *));
  if (!out->packed)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < n; i++) {
    if (packs[i].operand >= p->n_in || !p->in_data[packs[i].operand])
      return gie_fail(ctx, GIE_E_INTERNAL, "packs operand %u, which is no constant",
                      (unsigned)packs[i].operand);
    GIE_TRY(run_weights_packed(b->weights, k, p, v, &packs[i], &out->packed[packs[i].operand]));
  }
  return GIE_OK;
}

/* Alignment that the variant asks of constants, kept for when their bytes are fetched. */
static gie_status note_alignment(const struct run_problem *p, struct gie_arena *mem,
                                 const struct gie_variant *v, struct run_binding *out)
{
  for (uint32_t i = 0; i < p->pub.n_in; i++) {
    const struct gie_port *port = mod_port(&p->pub, v, i);
    if (!p->in_data[i] || port->align <= 1)
      continue;
    if (!out->align && !(out->align = gie_arena_alloc(mem, p->pub.n_in, sizeof *out->align)))
      return GIE_E_MEMORY;
    out->align[i] = port->align;
  }
  return GIE_OK;
}

/* Makes the instance of a variant that fits. A failure is for the caller to turn into a refusal. */
static gie_status instantiate(struct run_binder *b, struct gie_arena *mem, const struct gie_kernel *k,
                              const struct gie_variant *v, struct run_binding *out)
{
  struct gie_context *ctx = b->device->ctx;
  const struct gie_problem *p = &b->problem.pub;
  size_t bytes = k->workspace ? k->workspace(k, p, v) : 0;
  uint64_t limit = b->device->info.memory ? b->device->info.memory : PTRDIFF_MAX;
  if (bytes > limit)
    return gie_fail(ctx, GIE_E_MEMORY, "needs %zu bytes of workspace, the device has %llu", bytes,
                    (unsigned long long)limit);
  if (b->max_workspace && bytes >= b->max_workspace)
    return gie_fail(ctx, GIE_E_MEMORY, "needs %zu bytes of workspace, of which fewer than %zu are left",
                    bytes, b->max_workspace);
  struct run_binding bound = {.kernel = k,
                              .library = p->library,
                              .workspace = bytes,
                              .in_place = v->in_place,
                              .capture_safe = v->capture_safe};
  GIE_TRY(pack_operands(b, mem, k, v, &bound));
  GIE_TRY(note_alignment(&b->problem, mem, v, &bound));
  GIE_TRY(k->create(k, p, v, &bound.instance));
  if (!bound.instance)
    return gie_fail(ctx, GIE_E_INTERNAL, "create reports success without an instance");
  *out = bound;
  return GIE_OK;
}

/* `config` NULL: any variant will do. */
static void try_kernel(struct run_binder *b, struct gie_arena *mem, const struct gie_kernel *k,
                       const uint64_t *config, const struct run_value *values, struct run_binding *out)
{
  struct gie_context *ctx = b->device->ctx;
  struct run_problem *p = &b->problem;
  char why[MAX_WHY] = "";
  run_problem_show(p, false);
  gie_status st = run_binder_library(b, k->library, &p->pub.library);
  if (st != GIE_OK) {
    refuse(b, k, st, "%s", gie_error_text(ctx));
    return;
  }
  if (!k->supports(k, &p->pub, why, sizeof why)) {
    why[sizeof why - 1] = 0;
    refuse(b, k, GIE_E_UNSUPPORTED, "%s", *why ? why : "refuses without a reason");
    return;
  }
  uint32_t n = run_kernel_variants(k, &p->pub, b->variants, RUN_MAX_VARIANTS);
  if (n == 0)
    refuse(b, k, GIE_E_UNSUPPORTED, "offers no variant");
  for (uint32_t i = 0; i < n; i++) {
    if (config && b->variants[i].config != *config)
      continue;
    if (!variant_fits(p, &b->variants[i], values, why, sizeof why)) {
      refuse(b, k, GIE_E_UNSUPPORTED, "%s", why);
      continue;
    }
    run_problem_show(p, true);
    st = instantiate(b, mem, k, &b->variants[i], out);
    run_problem_show(p, false);
    if (st == GIE_OK)
      return;
    refuse(b, k, st, "%s", gie_error_text(ctx));
  }
}

/* The node's own wish: its `kernel` and `config` notes. */
struct wish {
  const char *kernel; /* NULL: none */
  bool has_config;
  uint64_t config;
};

static struct wish read_wish(const struct gie_node *n)
{
  const struct gie_attr *kernel = gie_attrs_find(&n->notes, "kernel");
  const struct gie_attr *config = gie_attrs_find(&n->notes, "config");
  struct wish w = {0};
  if (kernel && kernel->kind == GIE_ATTR_STRING)
    w.kernel = kernel->u.s;
  if (w.kernel && config && config->kind == GIE_ATTR_INT) {
    w.has_config = true;
    w.config = (uint64_t)config->u.i;
  }
  return w;
}

static void try_wish(struct run_binder *b, struct gie_arena *mem, const struct gie_node *n,
                     const struct wish *w, const struct run_value *values, struct run_binding *out)
{
  for (size_t i = 0; i < b->rules.n && !out->kernel; i++) {
    const struct gie_kernel *k = b->rules.order[i];
    if (strcmp(k->name, w->kernel) == 0 && run_kernel_has_op(k, n->op->name))
      try_kernel(b, mem, k, w->has_config ? &w->config : NULL, values, out);
  }
}

static void try_kernels(struct run_binder *b, struct gie_arena *mem, const struct gie_node *n,
                        const struct run_value *values, struct run_binding *out)
{
  char buf[128];
  const char *forced = run_rules_forced(&b->rules, n, buf, sizeof buf);
  struct wish wish = forced ? (struct wish){0} : read_wish(n);
  if (wish.kernel) {
    try_wish(b, mem, n, &wish, values, out);
    if (!out->kernel && b->n_missed++ == 0)
      snprintf(b->missed_why, sizeof b->missed_why, "\"%.80s\", %s", n->name,
               b->refusals.data ? b->refusals.data : "there is no such kernel");
  }
  for (size_t i = 0; i < b->rules.n && !out->kernel; i++) {
    const struct gie_kernel *k = b->rules.order[i];
    bool tried = wish.kernel && !wish.has_config && strcmp(k->name, wish.kernel) == 0;
    if (!tried && (!forced || strcmp(k->name, forced) == 0) && run_kernel_has_op(k, n->op->name))
      try_kernel(b, mem, k, NULL, values, out);
  }
  if (forced && !out->kernel && b->refusals.len == 0)
    gie_buf_printf(&b->refusals, "GIE_FORCE names \"%s\", which is not there for %s", forced, n->op->name);
}

gie_status run_bind_node(struct run_binder *b, struct gie_arena *mem, const struct gie_graph *g,
                         const struct gie_node *n, const struct run_value *values, struct run_binding *out)
{
  char label[128];
  memset(out, 0, sizeof *out);
  out->in_place = -1;
  b->failed = GIE_E_UNSUPPORTED;
  b->refusals.len = 0;
  gie_status st = run_problem_fill(&b->problem, b->device, g, n, values);
  uint32_t threads = b->threads ? b->threads : b->device->threads, streams = b->streams ? b->streams : 1;
  b->problem.pub.threads = threads > streams ? threads / streams : 1;
  if (st != GIE_OK)
    return gie_error_prefix(b->device->ctx, st, "%s", ir_node_label(n, label, sizeof label));
  try_kernels(b, mem, n, values, out);
  if (b->refusals.len)
    gie_log(b->device->ctx, GIE_LOG_DEBUG, "run", "%s: %s", ir_node_label(n, label, sizeof label),
            b->refusals.data);
  if (!out->kernel && b->refusals.len == 0)
    gie_buf_printf(&b->refusals, "no kernel for %s on %s", n->op->name, b->device->ops->kind);
  return b->refusals.status;
}

void run_binding_free(struct run_binding *b)
{
  if (b->kernel && b->kernel->destroy)
    b->kernel->destroy(b->instance);
  memset(b, 0, sizeof *b);
}
